#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cluster_lists.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "table.hpp"
#include "troupe/core/base64.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/platform/process.hpp"
#include "troupe/platform/supervised_program.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;

namespace {

/// A command that runs while a lock is held, with all processes that it starts. It gets our input
/// and output, dies with this process, and is stopped when the lock is lost. Thread-safe.
class guarded_command {
public:
  /// Time from SIGTERM to SIGKILL, for the command and for processes that it leaves behind.
  static constexpr duration grace = 5s;

  /// If the lease cannot be renewed, the lock counts as lost this long before the lease ends.
  static duration margin(duration ttl) {
    return std::min(grace, ttl / 6);
  }

  explicit guarded_command(duration ttl) : margin_(margin(ttl)) {}

  /// From here on a signal ends the calls of `client`; null: a signal lets the current call end.
  void wait_by(cluster::service_clients* client) {
    std::lock_guard guard{mutex_};
    waiting_ = client;
    is_connected_ = true;
  }

  /// The signal that came before the command ran; zero if none has.
  [[nodiscard]] int ended_by() const {
    std::lock_guard guard{mutex_};
    return was_started_ ? 0 : ended_by_;
  }

  /// Says that the lock is lost: the command has to end before the lease does.
  void lose(const problem& why) {
    std::lock_guard guard{mutex_};
    lost_ = why;
    lost_at_ = std::chrono::steady_clock::now();
    ::eventfd_write(has_lost_.get(), 1);
  }

  /// Handles a signal: while the command runs, passes it to the command; before, ends our wait for
  /// the lock; afterwards, shortens the wait for the release. Returns false if this process is to
  /// end at once.
  bool pass_on(held_signals::signal what) {
    std::lock_guard guard{mutex_};
    was_signalled_ = true;
    if (program_) {
      // The terminal has sent a typed one already, unless the command left our process group:
      // a second one is passed on.
      if (!what.was_typed || was_typed_)
        program_->signal(what.number);
      was_typed_ |= what.was_typed;
      if (what.number == SIGTERM || what.number == SIGHUP)
        program_->signal(SIGCONT); // a stopped process cannot handle it otherwise
      return true;
    }
    if (std::exchange(ended_by_, what.number) != 0)
      return false; // a second signal ends us at once
    if (waiting_ != nullptr)
      waiting_->close(); // ends its session, and with it the place in line
    return is_connected_;
  }

  /// Exit status of this process if the signal `number` ends it now.
  [[nodiscard]] int status_by(int number) const {
    std::lock_guard guard{mutex_};
    return status_.value_or(128 + number);
  }

  /// Releases the lock and waits for that up to 10 s, or up to 1 s after a signal, because its
  /// sender waits for our end. Says so after a second, to people. Errors: those of the release,
  /// timed_out; the lease then ends by itself.
  problem give_back(const common_options& common, lock::auto_renew_lock& held) const {
    constexpr duration patience = 10s;
    auto released = std::make_shared<std::promise<problem>>();
    held.release(patience, [released](const result<lock::lease>& what) {
      released->set_value(what ? problem{} : what.error());
    });
    auto news = released->get_future();
    auto begin = std::chrono::steady_clock::now();
    auto end = begin + patience;
    auto has_said = common.json;
    while (news.wait_for(20ms) != std::future_status::ready) {
      std::lock_guard guard{mutex_};
      auto now = std::chrono::steady_clock::now();
      if (was_signalled_)
        end = std::min(end, now + duration{1s});
      if (now >= end)
        return {errc::timed_out, "no answer in time"};
      if (!was_signalled_ && now >= begin + 1s && !std::exchange(has_said, true))
        print_line(std::cerr, "the command has ended; trying for 9 s more to release the lock");
    }
    return news.get();
  }

  /// Runs `command` under `held` to its end and stops the processes that it leaves behind. Returns
  /// its exit status, or 128 plus the signal that ended it, as a shell does. Errors: why the lock
  /// was lost.
  result<int> run(const common_options& common, const std::vector<std::string>& command,
                  const lock::auto_renew_lock& held) {
    if (auto why = start(command, held); why.code == errc::not_found)
      return complain(common, why), ::access(command.front().c_str(), F_OK) == 0 ? 126 : 127;
    else if (why)
      return why;
    for (; !is_lost() && !program_->has_ended(); program_->look()) {
      std::array<pollfd, 2> news{{{program_->news(), POLLIN, 0}, {has_lost_.get(), POLLIN, 0}}};
      ::poll(news.data(), news.size(), -1);
    }
    auto was_over = !is_lost();
    program_->signal(SIGTERM);
    program_->signal(SIGCONT); // one that was stopped at a terminal cannot end otherwise
    if (!ends_in_time())
      program_->kill();
    auto status = program_->status();
    std::lock_guard guard{mutex_};
    program_.reset();
    status_ = !lost_ ? status : failed;
    if (lost_)
      return problem{lost_.code,
                     (was_over
                        ? "processes that the command left behind were still running when the "
                          "lock was lost: "
                        : "the command was stopped, as its lock was lost: ")
                       + lost_.detail};
    return status;
  }

private:
  [[nodiscard]] bool is_lost() const {
    std::lock_guard guard{mutex_};
    return lost_.code != errc::none;
  }

  /// Waits for the end of all processes: for `grace`, but not longer than the lock is ours, minus
  /// the time to kill them.
  bool ends_in_time() {
    auto start = std::chrono::steady_clock::now();
    for (;;) {
      auto end = start + grace;
      {
        std::lock_guard guard{mutex_};
        if (lost_)
          end = std::min(end, lost_at_ + margin_ * 3 / 4);
      }
      auto left = end - std::chrono::steady_clock::now();
      if (left <= 0s)
        return false;
      auto slice = std::min<duration>(left, 50ms);
      if (program_->wait_until_gone(std::chrono::ceil<std::chrono::milliseconds>(slice)))
        return true;
    }
  }

  problem start(const std::vector<std::string>& command, const lock::auto_renew_lock& held) {
    ::setenv("TROUPE_TOKEN", std::to_string(held.token().value).c_str(), 1);
    std::lock_guard guard{mutex_};
    if (ended_by_ != 0)
      return {errc::withdrawn, "a signal arrived before the command started"};
    if (lost_)
      return lost_;
    if (!held.held()) // we were stopped, and have no notice of the loss yet
      return {errc::stale_token, "the lease ended before the command started; give a longer --ttl"};
    // In our process group, so that at a terminal it can read, be interrupted and be suspended.
    auto started = supervised_program::start({.command = command});
    if (!started)
      return started.error();
    program_ = std::move(*started);
    was_started_ = true;
    return {};
  }

  descriptor has_lost_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  const duration margin_;
  mutable std::mutex mutex_;
  cluster::service_clients* waiting_ = nullptr;
  bool is_connected_ = false;
  int ended_by_ = 0;
  bool was_signalled_ = false;
  bool was_typed_ = false;
  /// Created and reset under the mutex; in between only run() uses it.
  std::optional<supervised_program> program_;
  bool was_started_ = false;
  /// Exit status once the command has ended.
  std::optional<int> status_;
  problem lost_;
  std::chrono::steady_clock::time_point lost_at_;
};

/// From here on signals go to the command and the processes that it started, while it runs;
/// otherwise they end our waiting, and this process. Signals typed at a terminal reach the command
/// directly.
void pass_signals_to(const std::shared_ptr<guarded_command>& command) {
  auto signals
    = std::make_shared<held_signals>(std::initializer_list<int>{SIGINT, SIGTERM, SIGHUP, SIGQUIT});
  std::thread{[command, signals] {
    for (;;) {
      auto what = signals->next();
      if (!command->pass_on(what))
        std::_Exit(command->status_by(what.number));
    }
  }}.detach();
}

std::string own_label() {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  return "process " + std::to_string(::getpid()) + " on " + std::string{host};
}

/// Releases the lock if it was granted to `asked` just before its session ended: the end of a
/// session does not release it.
void give_back(common_options common, const std::string& name, lock::lock_client& asked) {
  // Once the session has ended, late requests of it are refused.
  asked.service().close(1s);
  common.wait_s = std::min(common.wait_s, 1.0);
  auto cluster = connect_silently(common);
  if (!cluster)
    return;
  auto& locks = (*cluster)->services().locks;
  auto found = locks.ask(lock::find_lock{name}, 1s);
  if (!found)
    return;
  for (auto& holder : found->holders)
    if (asked.has_asked_for(holder.value))
      static_cast<void>(locks.ask(lock::release{name, holder.value.token}, 1s));
}

} // namespace

int run_lock(const common_options& common, const lock_command& what) {
  if (what.name.empty())
    return complain(common, {errc::bad_argument, "NAME is empty; give the name of a lock"});
  auto ttl = to_duration(what.ttl, "--ttl");
  if (!ttl)
    return complain(common, ttl.error());
  if (*ttl == duration::zero())
    return complain(
      common, {errc::bad_argument, "--ttl is '" + what.ttl + "'; give more than 0, such as 10s"});
  auto wait = to_duration(what.wait, "--wait");
  if (!wait)
    return complain(common, wait.error());
  auto command = std::make_shared<guarded_command>(*ttl);
  pass_signals_to(command);
  auto cluster = connect(common);
  if (!cluster)
    return complain(common, cluster.error());
  lock::hold_options how{*ttl,
                         *wait,
                         what.shared ? lock::lock_mode::shared : lock::lock_mode::exclusive,
                         own_label(),
                         guarded_command::margin(*ttl),
                         common.wait()};
  auto locks = (*cluster)->locks();
  command->wait_by(&(*cluster)->services());
  auto asked = (*cluster)->system().clock().now();
  auto granted = locks.acquire(what.name, how);
  auto held = granted
                ? lock::auto_renew_lock::keep((*cluster)->system(), locks, *granted, asked, how,
                                              [command](const problem& why) { command->lose(why); })
                : result<lock::auto_renew_lock>{granted.error()};
  command->wait_by(nullptr);
  auto may_be_ours
    = held || held.error().code == errc::withdrawn || held.error().code == errc::outcome_unknown;
  if (auto signal = command->ended_by(); signal != 0 || (!held && may_be_ours)) {
    if (may_be_ours)
      give_back(common, what.name, locks);
    return signal != 0 ? 128 + signal : complain(common, held.error());
  }
  if (!held) {
    auto why = held.error();
    if (why.detail.starts_with("ttl is ") || why.detail.starts_with("wait is "))
      why.detail = "--" + why.detail;
    auto status = complain(common, why);
    return held.error().code == errc::lock_held ? timed_out : status;
  }
  if (common.json)
    print({{"event", "held"}, {"lock", what.name}, {"token", held->token().value}});
  auto status = command->run(common, what.command, *held);
  if (auto signal = command->ended_by(); signal != 0) {
    static_cast<void>(command->give_back(common, *held));
    return 128 + signal;
  }
  if (!status) {
    complain(common, status.error());
    return failed;
  }
  auto kept = command->give_back(common, *held);
  if (!kept)
    return *status;
  complain(common, {kept.code, "the command has ended with status " + std::to_string(*status)
                                 + ", and the release of the lock is not confirmed: " + kept.detail
                                 + "; it is free in at most " + in_words(*ttl)});
  return *status != ok ? *status : failed;
}

namespace {

/// The lock `name`, under which a release before this one may have taken any bytes. What is not
/// UTF-8 cannot be in JSON: its bytes are in "lock_base64" instead.
json line_of(const std::string& name) {
  if (is_utf8(name))
    return {{"lock", name}};
  return {{"lock_base64", to_base64(std::as_bytes(std::span{name}))}};
}

int force_release(const common_options& common, cluster_client& cluster, const std::string& name) {
  auto revoked = cluster.services().locks.ask(lock::force_release{name}, common.wait());
  if (!revoked)
    return complain(common, revoked.error());
  for (auto& each : revoked->leases) {
    if (!common.json) {
      print_line(std::cout,
                 printable(name) + "  released, token " + std::to_string(each.token.value));
      continue;
    }
    json line{{"event", "released"}};
    line.update(line_of(name));
    line["token"] = each.token.value;
    print(line);
  }
  return ok;
}

} // namespace

int run_locks(const common_options& common, const locks_command& what) {
  if (what.force_release && what.force_release->empty())
    return complain(common,
                    {errc::bad_argument, "--force-release has no name; give the name of a lock, as "
                                         "troupe locks shows it"});
  auto cluster = connect(common);
  if (!cluster)
    return complain(common, cluster.error());
  if (what.force_release)
    return force_release(common, **cluster, *what.force_release);
  auto locks = all_locks(**cluster, common.wait());
  if (!locks)
    return complain(common, locks.error());
  table shown{{"LOCK", "MODE", "TOKEN", "LEFT", "WAITING", "HOLDER"}};
  for (auto& each : *locks) {
    if (common.json) {
      auto holders = json::array();
      for (auto& holder : each.holders)
        holders.push_back({{"label", holder.value.label},
                           {"mode", std::string{name_of(holder.value.mode)}},
                           {"token", holder.value.token.value},
                           {"left_s", seconds(holder.left)}});
      auto line = line_of(each.name);
      line["holders"] = std::move(holders);
      line["waiting"] = each.line.size();
      print(line);
      continue;
    }
    for (auto& [value, left] : each.holders)
      shown.add({each.name, std::string{name_of(value.mode)}, std::to_string(value.token.value),
                 in_words(left), std::to_string(each.line.size()),
                 value.label.empty() ? value.owner : value.label});
  }
  if (common.json)
    return ok;
  if (locks->empty())
    print_line(std::cout, "no locks");
  else
    shown.print(std::cout);
  return ok;
}

} // namespace cli
