#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "commands.hpp"
#include "connect.hpp"
#include "troupe/core/process.hpp"
#include "troupe/lock/auto_renew_lock.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;

namespace {

/// A command that runs as long as a lock is held. It gets our input and output, dies with
/// this process, and is stopped when the lock is lost. Thread-safe.
class guarded_command {
public:
  /// Between the SIGTERM for a lost lock and the SIGKILL.
  static constexpr auto grace = 5s;

  /// The lock is gone; from here on nothing must run.
  void lose(const problem& why) {
    std::lock_guard guard{mutex_};
    lost_ = why;
    changed_.notify_all();
  }

  /// Passes a signal on; returns false if nothing runs yet.
  bool pass_on(int number) {
    std::lock_guard guard{mutex_};
    if (pid_ > 0 && !over_)
      ::kill(pid_, number);
    return pid_ > 0;
  }

  /// Runs `command` to its end. Returns its exit status, or 128 and the signal that ended it, as
  /// a shell does; the problem that the lock was lost with, if it was.
  result<int> run(const std::vector<std::string>& command, lock::fencing_token token) {
    if (auto why = start(command, token); why.code == errc::not_found)
      return complain(why), 127;
    else if (why.code != errc::none)
      return why;
    std::thread guardian{[this] { stop_when_lost(); }};
    siginfo_t ended{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT) != 0)
      continue; // interrupted
    {
      std::lock_guard guard{mutex_};
      over_ = true; // from here on its number may be another's
      changed_.notify_all();
    }
    guardian.join();
    int status = 0;
    ::waitpid(pid_, &status, 0);
    std::lock_guard guard{mutex_};
    if (lost_.code != errc::none)
      return problem{lost_.code, "the command was stopped, as its lock was lost: " + lost_.detail};
    return exit_status(status);
  }

private:
  problem start(const std::vector<std::string>& command, lock::fencing_token token) {
    ::setenv("TROUPE_TOKEN", std::to_string(token.value).c_str(), 1);
    std::lock_guard guard{mutex_};
    auto started = start_program({.command = command});
    if (!started)
      return started.error();
    pid_ = *started;
    return {};
  }

  void stop_when_lost() {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [this] { return over_ || lost_.code != errc::none; });
    if (over_)
      return;
    ::kill(pid_, SIGTERM);
    if (!changed_.wait_for(guard, grace, [this] { return over_; }))
      ::kill(pid_, SIGKILL);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  pid_t pid_ = 0;
  bool over_ = false;
  problem lost_;
};

/// From here on SIGTERM is for the command, once it runs; until then it ends us. What is
/// typed at a terminal reaches the command by itself.
void pass_signals_to(const std::shared_ptr<guarded_command>& command,
                     const std::shared_ptr<held_signals>& signals) {
  std::thread{[command, signals] {
    for (;;) {
      auto number = *signals->wait();
      if (!command->pass_on(number == SIGINT ? 0 : number))
        std::_Exit(128 + number);
    }
  }}.detach();
}

std::string own_label() {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  return "process " + std::to_string(::getpid()) + " on " + std::string{host};
}

} // namespace

int run_lock(const common_options& common, const lock_command& what) {
  auto ttl = to_duration(what.ttl, "--ttl");
  if (!ttl)
    return complain(ttl.error());
  auto wait = to_duration(what.wait, "--wait");
  if (!wait)
    return complain(wait.error());
  auto command = std::make_shared<guarded_command>();
  pass_signals_to(command, std::make_shared<held_signals>());
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  lock::hold_options how{
    *ttl, *wait, what.shared ? lock::lock_mode::shared : lock::lock_mode::exclusive, own_label()};
  auto held = lock::auto_renew_lock::hold(
    (*cluster)->system(), lock::lock_client{(*cluster)->services().locks}, what.name, how,
    [command](const problem& why) { command->lose(why); });
  if (!held) {
    auto status = complain(held.error());
    return held.error().code == errc::lock_held ? timed_out : status;
  }
  if (common.json)
    print({{"event", "held"}, {"lock", what.name}, {"token", held->token().value}});
  auto status = command->run(what.command, held->token());
  if (!status) {
    complain(status.error());
    return failed;
  }
  // Refused or not: the work was done under the lock, and the lease ends by itself.
  static_cast<void>(held->release());
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
