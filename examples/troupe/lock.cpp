#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
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

  /// Whoever did so waits for our end.
  [[nodiscard]] bool was_signalled() const {
    std::lock_guard guard{mutex_};
    return was_signalled_;
  }

  /// The signal that came before the command ran; zero if none has.
  [[nodiscard]] int ended_by() const {
    std::lock_guard guard{mutex_};
    return ended_by_;
  }

  /// The lock is lost, and soon gone: nothing must run then.
  void lose(const problem& why) {
    std::lock_guard guard{mutex_};
    lost_ = why;
    lost_at_ = std::chrono::steady_clock::now();
    ::eventfd_write(has_lost_.get(), 1);
  }

  /// `number` has come, which is zero if the command has it already. Returns false if there is
  /// nothing to end but this process.
  bool pass_on(int signal, int number) {
    std::lock_guard guard{mutex_};
    if (!was_started_ && ended_by_ != 0)
      return false; // whoever asks again does not want to wait
    was_signalled_ = true;
    if (program_)
      program_->signal(number);
    if (program_ && number == SIGTERM)
      program_->signal(SIGCONT); // one that was stopped has to hear it, too
    if (!was_started_)
      ended_by_ = signal;
    if (!was_started_ && waiting_ != nullptr)
      waiting_->close(); // its place in line goes with its session
    return was_started_ || is_connected_;
  }

  /// Runs `command` to its end and stops what it leaves behind. Returns its exit status, or 128
  /// and the signal that ended it, as a shell does; the problem that the lock was lost with, if it
  /// was.
  result<int> run(const std::vector<std::string>& command, lock::fencing_token token) {
    if (auto why = start(command, token); why.code == errc::not_found)
      return complain(why), 127;
    else if (why.code != errc::none)
      return why;
    for (; !is_lost() && !program_->has_ended(); program_->look()) {
      std::array<pollfd, 2> news{{{program_->news(), POLLIN, 0}, {has_lost_.get(), POLLIN, 0}}};
      ::poll(news.data(), news.size(), -1);
    }
    program_->signal(SIGTERM);
    program_->signal(SIGCONT); // one that was stopped at a terminal has to hear it, too
    if (!ends_in_time())
      program_->kill();
    auto status = program_->status();
    std::lock_guard guard{mutex_};
    program_.reset();
    if (lost_.code != errc::none)
      return problem{lost_.code, "the command was stopped, as its lock was lost: " + lost_.detail};
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

  problem start(const std::vector<std::string>& command, lock::fencing_token token) {
    ::setenv("TROUPE_TOKEN", std::to_string(token.value).c_str(), 1);
    std::lock_guard guard{mutex_};
    if (ended_by_ != 0)
      return {errc::withdrawn, "a signal came before the command ran"};
    if (lost_.code != errc::none)
      return lost_;
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
  /// Made and ended under the mutex; only run() changes it between.
  std::optional<supervised_program> program_;
  bool was_started_ = false;
  problem lost_;
  std::chrono::steady_clock::time_point lost_at_;
};

/// From here on SIGTERM is for the command and what it started, once it runs; until then it ends
/// the wait, and us. What is typed at a terminal reaches the command by itself.
void pass_signals_to(const std::shared_ptr<guarded_command>& command,
                     const std::shared_ptr<held_signals>& signals) {
  std::thread{[command, signals] {
    for (;;) {
      auto number = *signals->wait();
      if (!command->pass_on(number, number == SIGINT ? 0 : number))
        std::_Exit(128 + number);
    }
  }}.detach();
}

std::string own_label() {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  return "process " + std::to_string(::getpid()) + " on " + std::string{host};
}

/// Releases the lock if it was granted to us just before our session ended, which does not.
void give_back(common_options common, const std::string& name) {
  common.wait_s = std::min(common.wait_s, 1.0);
  auto cluster = connect(common);
  if (!cluster)
    return;
  auto& locks = (*cluster)->services().locks;
  auto found = locks.ask(lock::find_lock{name}, 1s);
  if (!found)
    return;
  for (auto& holder : found->holders)
    if (holder.value.label == own_label())
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
  pass_signals_to(command, std::make_shared<held_signals>());
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  lock::hold_options how{*ttl, *wait,
                         what.shared ? lock::lock_mode::shared : lock::lock_mode::exclusive,
                         own_label(), guarded_command::margin(*ttl)};
  lock::lock_client locks{(*cluster)->services().locks};
  command->wait_by(&(*cluster)->services());
  auto asked = (*cluster)->system().clock().now();
  auto granted = locks.acquire(what.name, how);
  command->wait_by(nullptr);
  if (auto signal = command->ended_by(); signal != 0) {
    if (granted || granted.error().code == errc::withdrawn)
      give_back(common, what.name);
    return 128 + signal;
  }
  auto held = granted
                ? lock::auto_renew_lock::keep((*cluster)->system(), locks, *granted, asked, how,
                                              [command](const problem& why) { command->lose(why); })
                : result<lock::auto_renew_lock>{granted.error()};
  if (auto signal = command->ended_by(); !held && signal != 0)
    return 128 + signal;
  if (!held) {
    auto status = complain(held.error());
    return held.error().code == errc::lock_held ? timed_out : status;
  }
  if (common.json)
    print({{"event", "held"}, {"lock", what.name}, {"token", held->token().value}});
  auto status = command->run(what.command, held->token());
  if (auto signal = command->ended_by(); signal != 0) {
    static_cast<void>(held->release(1s));
    return 128 + signal;
  }
  if (!status) {
    complain(status.error());
    return failed;
  }
  // Refused or not: the work was done under the lock, and the lease ends by itself.
  static_cast<void>(command->was_signalled() ? held->release(1s) : held->release());
  return *status;
}

int run_locks(const common_options& common) {
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
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
    std::cout << each.name << "  " << each.line.size() << " waiting";
    for (auto& holder : each.holders)
      std::cout << "  " << name_of(holder.value.mode) << " by "
                << (holder.value.label.empty() ? holder.value.owner : holder.value.label) << " for "
                << seconds(holder.left) << " s, token " << holder.value.token.value;
    std::cout << std::endl;
  }
  return ok;
}

} // namespace cli
