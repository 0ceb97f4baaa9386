#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scheduler/test_coordinator.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"

namespace troupe::testing {

/// An actor system whose actors and clock move only when the test says so, in one thread:
/// hours of leases, retries and time-outs pass in milliseconds and in the same order each
/// time.
///
///     testing::fake_clock world;
///     auto locks = *spawn<lock::lock_service>(world.system());
///     auto held = world.ask<lock::lease>(locks, host::call{}, lock::acquire{"db", "ann", 10s});
///     world.advance(10s); // the lease is over
///
/// For services in memory and for actors of one's own. What has threads of its own (disks,
/// links, blocking calls) must not send to its actors: CAF's test scheduler has no lock.
/// Call troupe::init() or init_messages() before.
class fake_clock {
public:
  /// `change` may add to the configuration.
  explicit fake_clock(const std::function<void(caf::actor_system_config&)>& change = {})
    : config_(change) {}

  [[nodiscard]] caf::actor_system& system() {
    return system_;
  }

  /// Lets actors run until none has anything to do.
  void run() {
    scheduler_.run();
  }

  /// Lets `span` pass: every timer goes off at its own time, and the actors run after each.
  void advance(duration span) {
    run();
    auto end = clock_now() + span;
    while (auto next = next_timer()) {
      if (*next > end)
        break;
      scheduler_.advance_time(*next > clock_now() ? *next - clock_now() : duration{0});
      run();
    }
    scheduler_.advance_time(end - clock_now());
    run();
  }

  /// Sends `what` to an actor and lets actors run, without a step of the clock. Returns the
  /// answer; timed_out if there is none yet.
  template <class Result, class Handle, class... Ts>
  result<Result> ask(const Handle& whom, Ts&&... what) {
    auto pending = self_->request(whom, caf::infinite, std::forward<Ts>(what)...);
    run();
    result<Result> answer{problem{errc::timed_out, "no answer at this time of the clock"}};
    if (!self_->mailbox().empty())
      pending.receive([&](Result& value) { answer = std::move(value); },
                      [&](const caf::error& why) { answer = to_problem(why); });
    return answer;
  }

  /// Ends an actor.
  template <class Handle>
  void stop(const Handle& whom) {
    self_->send_exit(whom, caf::exit_reason::user_shutdown);
    run();
  }

private:
  struct config : caf::actor_system_config {
    explicit config(const std::function<void(caf::actor_system_config&)>& change) {
      set("caf.scheduler.policy", "testing");
      if (change)
        change(*this);
    }
  };

  [[nodiscard]] caf::actor_clock::time_point clock_now() {
    return scheduler_.clock().now();
  }

  /// Of those that were not cancelled.
  [[nodiscard]] std::optional<caf::actor_clock::time_point> next_timer() {
    for (auto& [when, each] : scheduler_.clock().schedule)
      if (!each.f.disposed())
        return when;
    return std::nullopt;
  }

  config config_;
  caf::actor_system system_{config_};
  caf::scheduler::test_coordinator& scheduler_
    = dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  caf::scoped_actor self_{system_};
};

} // namespace troupe::testing
