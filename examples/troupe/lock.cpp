#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "commands.hpp"
#include "connect.hpp"
#include "troupe/core/process.hpp"
#include "troupe/core/supervised_program.hpp"
#include "troupe/lock/auto_renew_lock.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;

namespace {

/// A command that runs as long as a lock is held, with all that it starts. It gets our input and
/// output, dies with this process, and is stopped when the lock is lost. Thread-safe.
class guarded_command {
public:
  /// Between the SIGTERM that stops it, or what it leaves behind, and the SIGKILL.
  static constexpr duration grace = 5s;

  /// The same where the lock is lost: how long before the end of a lease that could not be renewed.
  static duration margin(duration ttl) {
    return std::min(grace, ttl / 6);
  }

  explicit guarded_command(duration ttl) : margin_(margin(ttl)) {}

  /// A signal ends what `client` waits for from here on; null: what is begun then ends first.
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

  /// The lock is lost, and soon gone: nothing must run then.
  void lose(const problem& why) {
    std::lock_guard guard{mutex_};
    lost_ = why;
    lost_at_ = std::chrono::steady_clock::now();
    ::eventfd_write(has_lost_.get(), 1);
  }

  /// It is for the command while that runs; before, it ends what we wait for, and after it the wait
  /// for the release. Returns false if there is nothing to end but this process.
  bool pass_on(held_signals::signal what) {
    std::lock_guard guard{mutex_};
    was_signalled_ = true;
    if (program_) {
      // Unless it has left our process group: who types once more means it.
      if (!what.was_typed || was_typed_)
        program_->signal(what.number);
      was_typed_ |= what.was_typed;
      if (what.number == SIGTERM || what.number == SIGHUP)
        program_->signal(SIGCONT); // one that was stopped has to hear it, too
      return true;
    }
    if (std::exchange(ended_by_, what.number) != 0)
      return false; // whoever asks again does not want to wait
    if (waiting_ != nullptr)
      waiting_->close(); // its place in line goes with its session
    return is_connected_;
  }

  /// Of this process, if a signal ends it now.
  [[nodiscard]] int status_by(int number) const {
    std::lock_guard guard{mutex_};
    return status_.value_or(128 + number);
  }

  /// Gives the lock back and waits for that: 10 s, or 1 s once a signal has come, as whoever sent
  /// it waits for our end.
  void give_back(lock::auto_renew_lock& held) const {
    constexpr duration patience = 10s;
    auto released = std::make_shared<std::promise<void>>();
    held.release(patience, [released](const auto&) { released->set_value(); });
    auto news = released->get_future();
    auto end = std::chrono::steady_clock::now() + patience;
    while (news.wait_for(20ms) != std::future_status::ready) {
      std::lock_guard guard{mutex_};
      auto now = std::chrono::steady_clock::now();
      if (was_signalled_)
        end = std::min(end, now + duration{1s});
      if (now >= end)
        return; // the lease ends by itself
    }
  }

  /// Runs `command` under `held` to its end and stops what it leaves behind. Returns its exit
  /// status, or 128 and the signal that ended it, as a shell does; the problem that the lock was
  /// lost with, if it was.
  result<int> run(const std::vector<std::string>& command, const lock::auto_renew_lock& held) {
    if (auto why = start(command, held); why.code == errc::not_found)
      return complain(why), ::access(command.front().c_str(), F_OK) == 0 ? 126 : 127;
    else if (why.code != errc::none)
      return why;
    for (; !is_lost() && !program_->has_ended(); program_->look()) {
      std::array<pollfd, 2> news{{{program_->news(), POLLIN, 0}, {has_lost_.get(), POLLIN, 0}}};
      ::poll(news.data(), news.size(), -1);
    }
    auto was_over = !is_lost();
    program_->signal(SIGTERM);
    program_->signal(SIGCONT); // one that was stopped at a terminal has to hear it, too
    if (!ends_in_time())
      program_->kill();
    auto status = program_->status();
    std::lock_guard guard{mutex_};
    program_.reset();
    status_ = lost_.code == errc::none ? status : failed;
    if (lost_.code != errc::none)
      return problem{lost_.code,
                     (was_over ? "what the command had left behind was stopped late, as the lock "
                                 "was lost: "
                               : "the command was stopped, as its lock was lost: ")
                       + lost_.detail};
    return status;
  }

private:
  [[nodiscard]] bool is_lost() const {
    std::lock_guard guard{mutex_};
    return lost_.code != errc::none;
  }

  /// What was told to end has as long as the lock is ours, less what it takes to kill it.
  bool ends_in_time() {
    auto start = std::chrono::steady_clock::now();
    for (;;) {
      auto end = start + grace;
      {
        std::lock_guard guard{mutex_};
        if (lost_.code != errc::none)
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
      return {errc::withdrawn, "a signal came before the command ran"};
    if (lost_.code != errc::none)
      return lost_;
    if (!held.held()) // we were stopped for long, and nobody has told yet
      return {errc::stale_token,
              "the lease was over before the command began; give a longer --ttl"};
    // In our process group: at a terminal it can read, be interrupted and be suspended.
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
  /// Made and ended under the mutex; only run() changes it between.
  std::optional<supervised_program> program_;
  bool was_started_ = false;
  /// Once it has ended.
  std::optional<int> status_;
  problem lost_;
  std::chrono::steady_clock::time_point lost_at_;
};

/// From here on signals are for the command and what it started, while it runs; else they end what
/// we wait for, and us. What is typed at a terminal reaches the command by itself.
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

/// Releases the lock if it was granted to `asked` just before its session ended, which does not.
void give_back(common_options common, const std::string& name, lock::lock_client& asked) {
  // What comes late of that session is refused once it has ended.
  asked.service().close(1s);
  common.wait_s = std::min(common.wait_s, 1.0);
  auto cluster = connect(common);
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
  auto ttl = to_duration(what.ttl, "--ttl");
  if (!ttl)
    return complain(ttl.error());
  auto wait = to_duration(what.wait, "--wait");
  if (!wait)
    return complain(wait.error());
  auto command = std::make_shared<guarded_command>(*ttl);
  pass_signals_to(command);
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  lock::hold_options how{*ttl,
                         *wait,
                         what.shared ? lock::lock_mode::shared : lock::lock_mode::exclusive,
                         own_label(),
                         guarded_command::margin(*ttl),
                         common.wait()};
  lock::lock_client locks{(*cluster)->services().locks};
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
    return signal != 0 ? 128 + signal : complain(held.error());
  }
  if (!held) {
    auto status = complain(held.error());
    return held.error().code == errc::lock_held ? timed_out : status;
  }
  if (common.json)
    print({{"event", "held"}, {"lock", what.name}, {"token", held->token().value}});
  auto status = command->run(what.command, *held);
  if (auto signal = command->ended_by(); signal != 0) {
    command->give_back(*held);
    return 128 + signal;
  }
  if (!status) {
    complain(status.error());
    return failed;
  }
  // Refused or not: the work was done under the lock, and the lease ends by itself.
  command->give_back(*held);
  return *status;
}

namespace {

int force_release(const common_options& common, cluster_client& cluster, const std::string& name) {
  auto revoked = cluster.services().locks.ask(lock::force_release{name}, common.wait());
  if (!revoked)
    return complain(revoked.error());
  for (auto& each : revoked->leases)
    if (common.json)
      print({{"event", "released"}, {"lock", name}, {"token", each.token.value}});
    else
      print_line(std::cout,
                 printable(name) + "  released, token " + std::to_string(each.token.value));
  return ok;
}

} // namespace

int run_locks(const common_options& common, const locks_command& what) {
  if (what.force_release && what.force_release->empty())
    return complain({errc::bad_argument, "--force-release has no name; give that of a lock, as "
                                         "troupe locks shows it"});
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  if (what.force_release)
    return force_release(common, **cluster, *what.force_release);
  auto locks = all_locks(**cluster, common.wait());
  if (!locks)
    return complain(locks.error());
  for (auto& each : *locks) {
    if (common.json) {
      auto holders = json::array();
      for (auto& holder : each.holders)
        holders.push_back({{"label", holder.value.label},
                           {"mode", std::string{name_of(holder.value.mode)}},
                           {"token", holder.value.token.value},
                           {"left_s", seconds(holder.left)}});
      print({{"lock", each.name}, {"holders", holders}, {"waiting", each.line.size()}});
      continue;
    }
    auto text = printable(each.name) + "  " + std::to_string(each.line.size()) + " waiting";
    for (auto& [value, left] : each.holders)
      text += "  " + std::string{name_of(value.mode)} + " by "
              + printable(value.label.empty() ? value.owner : value.label) + " for "
              + json(seconds(left)).dump() + " s, token " + std::to_string(value.token.value);
    print_line(std::cout, text);
  }
  return ok;
}

} // namespace cli
