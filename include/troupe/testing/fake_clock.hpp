#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scheduler/test_coordinator.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/testing/comes_true.hpp"

namespace troupe::testing {

/// An actor system whose actors and clock move only when the test says so, in one thread:
/// hours of leases, retries and time-outs pass in milliseconds and in the same order each
/// time.
///
///     testing::fake_clock world;
///     auto locks = *spawn<lock::lock_service>(world.system());
///     auto held = world.ask(locks, host::call{}, lock::acquire{"db", "ann", 10s});
///     world.advance(10s); // the lease is over
///     world.stop(locks);
///
/// Code with threads of its own (a durable host's disk, a blocking call) may send to its actors:
/// they handle it when they run next, so wait for it with ask(), receive() or until(). Call
/// troupe::init() or init_messages() before, and stop() the actors that still run at the end: an
/// actor system waits for its actors.
class fake_clock {
public:
  /// `change` may add to the configuration.
  explicit fake_clock(const std::function<void(caf::actor_system_config&)>& change = {})
    : config_(change) {}

  [[nodiscard]] caf::actor_system& system() {
    return system_;
  }

  /// Runs actors until they have nothing to do.
  void run() {
    scheduler_.run_all();
  }

  /// Lets `span` pass: every timer fires at its own time, and the actors run after each.
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

  /// Runs actors until `condition()` holds, without a step of the clock. Returns whether it held
  /// within `wait` of real time, which allows for threads that work for actors.
  template <class Condition>
  bool until(Condition condition, duration wait = patience) {
    auto look = [&] {
      run();
      return static_cast<bool>(condition());
    };
    return comes_true(look, wait);
  }

  /// A request that may be answered later. When this object ends, so does the actor that asked.
  template <class Result, class Response>
  class pending {
  public:
    pending(std::unique_ptr<caf::scoped_actor> asker, Response response)
      : asker_(std::move(asker)), response_(std::move(response)) {}

    /// Whether receive() has something to return.
    [[nodiscard]] bool is_answered() const {
      return !(*asker_)->mailbox().empty();
    }

  private:
    friend class fake_clock;

    std::unique_ptr<caf::scoped_actor> asker_;
    Response response_;
  };

  /// Sends a request from a new actor; no actor runs yet. `Result` is by default the result type
  /// that the last of `what` declares.
  template <class Result = void, class Handle, class... Ts>
  [[nodiscard]] auto send(const Handle& whom, Ts&&... what) {
    auto asker = std::make_unique<caf::scoped_actor>(system_);
    auto response = (*asker)->request(whom, caf::infinite, std::forward<Ts>(what)...);
    return pending<typename answer_of<Result, std::remove_cvref_t<Ts>...>::type,
                   decltype(response)>{std::move(asker), std::move(response)};
  }

  /// Runs actors until `request` is answered, without a step of the clock. Returns timed_out if
  /// that takes longer than `wait` of real time. Call it once for each request.
  template <class Result, class Response>
  result<Result> receive(pending<Result, Response>& request, duration wait = patience) {
    result<Result> answer{problem{errc::timed_out, "no answer at this time of the clock"}};
    if (until([&] { return request.is_answered(); }, wait))
      request.response_.receive([&](Result& value) { answer = std::move(value); },
                                [&](const caf::error& why) { answer = to_problem(why); });
    return answer;
  }

  /// send() and receive() in one.
  template <class Result = void, class Handle, class... Ts>
  auto ask(const Handle& whom, Ts&&... what) {
    auto request = send<Result>(whom, std::forward<Ts>(what)...);
    return receive(request);
  }

  /// Ends an actor.
  template <class Handle>
  void stop(const Handle& whom) {
    self_->send_exit(whom, caf::exit_reason::user_shutdown);
    run();
  }

private:
  /// CAF's test scheduler has no lock. So messages that a thread sends from outside of an actor
  /// wait here, behind a lock, until the actors run.
  class scheduler : public caf::scheduler::test_coordinator {
  public:
    using test_coordinator::test_coordinator;

    /// Returns how many times actors ran.
    std::size_t run_all() {
      std::size_t result = 0;
      while (take_in() || has_job())
        result += run();
      return result;
    }

  protected:
    void enqueue(caf::resumable* what) override {
      std::lock_guard guard{mutex_};
      arrived_.push_back(what);
    }

    void stop() override {
      while (run_all() > 0)
        trigger_timeouts();
    }

  private:
    bool take_in() {
      std::lock_guard guard{mutex_};
      jobs.insert(jobs.end(), arrived_.begin(), arrived_.end());
      return !std::exchange(arrived_, {}).empty();
    }

    std::mutex mutex_;
    std::vector<caf::resumable*> arrived_;
  };

  struct config : caf::actor_system_config {
    explicit config(const std::function<void(caf::actor_system_config&)>& change) {
      module_factories.push_back([](caf::actor_system& system) { return new scheduler(system); });
      if (change)
        change(*this);
    }
  };

  template <class Result, class... Ts>
  struct answer_of {
    using type = Result;
  };

  template <class T>
  struct answer_of<void, T> {
    using type = typename T::result;
  };

  template <class T, class... Ts>
  requires(sizeof...(Ts) > 0) struct answer_of<void, T, Ts...> : answer_of<void, Ts...> {
  };

  [[nodiscard]] caf::actor_clock::time_point clock_now() {
    return scheduler_.clock().now();
  }

  /// The next timer that was not cancelled.
  [[nodiscard]] std::optional<caf::actor_clock::time_point> next_timer() {
    for (auto& [when, each] : scheduler_.clock().schedule)
      if (!each.f.disposed())
        return when;
    return std::nullopt;
  }

  config config_;
  caf::actor_system system_{config_};
  scheduler& scheduler_ = dynamic_cast<scheduler&>(system_.scheduler());
  caf::scoped_actor self_{system_};
};

} // namespace troupe::testing
