#ifndef TROUPE_ROUTER_IMPL_CALLER_IPP
#define TROUPE_ROUTER_IMPL_CALLER_IPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/spawn_options.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/router/caller.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router {

namespace detail {

/// The router itself ends what takes too long, with better words.
inline duration beyond(duration wait) {
  return patience(wait) + std::chrono::seconds{1};
}

/// Calls its handler once: in its destructor at the latest, if it was dropped unsent.
class open_request {
public:
  open_request(caller::handler done, caller::thrown_handler on_throw,
               std::shared_ptr<std::atomic<std::size_t>> open)
    : done_(std::move(done)),
      on_throw_(std::move(on_throw)),
      open_(std::move(open)),
      among_(++*open_) {}

  open_request(const open_request&) = delete;
  open_request& operator=(const open_request&) = delete;

  ~open_request() {
    end(has_stopped());
  }

  /// How many were open when this one came, with it.
  [[nodiscard]] std::size_t among() const {
    return among_;
  }

  /// What the handler throws ends the program if nobody is told of it: CAF would end an actor only.
  void end(result<caf::message> answer) noexcept {
    auto done = std::exchange(done_, nullptr);
    if (!done)
      return;
    --*open_;
    if (!on_throw_)
      done(std::move(answer));
    else if (auto why = guarded([&] { done(std::move(answer)); }))
      static_cast<void>(guarded([&] { on_throw_(why); }));
  }

private:
  caller::handler done_;
  const caller::thrown_handler on_throw_;
  const std::shared_ptr<std::atomic<std::size_t>> open_;
  const std::size_t among_;
};

using request_ptr = std::shared_ptr<open_request>;

class caller_state {
public:
  static inline const char* name = "troupe.caller";

  explicit caller_state(caf::event_based_actor* self) : self_(self), timers_(self) {}

  /// Requests are open only if the actor was killed, as by the end of its actor system.
  ~caller_state() {
    for (auto& [number, each] : requests_)
      end(*each.what, cancelled());
  }

  caller_state(const caller_state&) = delete;
  caller_state& operator=(const caller_state&) = delete;

  /// What is asked of it comes as jobs. Agents of this process know it as who asks.
  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {[](caf::ok_atom) {}}; // lives on the jobs that arrive
  }

  void ask(const caf::actor& router, dispatch what, request_ptr request) {
    auto number = ++last_;
    auto wait = beyond(what.timeout);
    auto id = compat::ask(self_, caf::actor_cast<caf::strong_actor_ptr>(router),
                          caf::make_message(std::move(what)), [this, number](caf::message& answer) {
                            if (answer.match_elements<caf::error>())
                              finish(number, to_problem(answer.get_as<caf::error>(0)));
                            else
                              finish(number, std::move(answer));
                          });
    auto alarm = timers_.after(wait, [this, number, id] {
      finish(number, to_problem(caf::make_error(caf::sec::request_timeout)));
      compat::withdraw(self_, id);
    });
    requests_.emplace(number, pending{std::move(request), alarm});
  }

  /// Whose handler runs on this thread.
  static inline thread_local const caller_state* running = nullptr;

  void stop() {
    while (!requests_.empty())
      finish(requests_.begin()->first, cancelled());
    self_->quit();
  }

private:
  struct pending {
    request_ptr what;
    timer_queue<caf::event_based_actor>::id alarm = 0;
  };

  static problem cancelled() {
    return {errc::cancelled, "this node has stopped; the agent may have got the request"};
  }

  /// An answer that comes after the alarm is not heard.
  void finish(std::uint64_t number, result<caf::message> answer) {
    auto found = requests_.extract(number);
    if (!found)
      return;
    timers_.cancel(found.mapped().alarm);
    end(*found.mapped().what, std::move(answer));
  }

  void end(open_request& which, result<caf::message> answer) const {
    auto before = std::exchange(running, this);
    which.end(std::move(answer));
    running = before;
  }

  caf::event_based_actor* self_;
  timer_queue<caf::event_based_actor> timers_;
  std::map<std::uint64_t, pending> requests_;
  std::uint64_t last_ = 0;
};

} // namespace detail

/// Its actor begins with the first request. The lock is held while the actor system is used, so
/// that nobody uses it once stop() has returned: it may end then.
class caller::inside {
public:
  inside(caf::actor_system& sys, thrown_handler on_throw)
    : system_(sys), on_throw_(std::move(on_throw)) {}

  inside(const inside&) = delete;
  inside& operator=(const inside&) = delete;

  /// Perhaps in a handler.
  ~inside() {
    if (actor_)
      end(actor_);
  }

  [[nodiscard]] detail::request_ptr begin(handler done) const {
    return std::make_shared<detail::open_request>(std::move(done), on_throw_, open_);
  }

  /// Runs `job(caller_state&)` on the actor, unless this has stopped.
  template <class Job>
  void run(Job job) {
    std::lock_guard guard{mutex_};
    if (stopped_)
      return;
    begin();
    run_on_state<detail::caller_state>(actor_, std::move(job));
  }

  /// Returns false if this has stopped.
  bool send(const caf::actor& to, caf::message what) {
    std::lock_guard guard{mutex_};
    if (stopped_)
      return false;
    begin();
    caf::actor_cast<caf::strong_actor_ptr>(to)->enqueue(
      caf::actor_cast<caf::strong_actor_ptr>(actor_), caf::make_message_id(), std::move(what),
      nullptr);
    return true;
  }

  bool before_stop(const std::function<void()>& job) {
    std::lock_guard guard{mutex_};
    if (!stopped_)
      job();
    return !stopped_;
  }

  void stop() {
    std::unique_lock guard{mutex_};
    stopped_ = true;
    auto last = std::exchange(actor_, nullptr);
    guard.unlock();
    if (!last)
      return;
    if (&caf::actor_cast<caf::stateful_actor<detail::caller_state>*>(last)->state
        == detail::caller_state::running)
      return end(last);
    wait_for_ends(system_, {caf::actor_cast<caf::strong_actor_ptr>(last)}, [&] { end(last); });
  }

private:
  void begin() {
    if (!actor_)
      actor_ = system_.spawn<caf::stateful_actor<detail::caller_state>, caf::hidden>();
  }

  static void end(const caf::actor& which) {
    run_on_state<detail::caller_state>(which, [](detail::caller_state& state) { state.stop(); });
  }

  caf::actor_system& system_;
  const thrown_handler on_throw_;
  const std::shared_ptr<std::atomic<std::size_t>> open_
    = std::make_shared<std::atomic<std::size_t>>(0);
  std::mutex mutex_;
  bool stopped_ = false;
  caf::actor actor_;
};

TROUPE_COMPILED caller::caller(caf::actor_system& sys, thrown_handler on_throw)
  : inside_(std::make_shared<inside>(sys, std::move(on_throw))) {}

TROUPE_COMPILED void caller::ask(const caf::actor& router, dispatch what, handler done) const {
  auto request = inside_->begin(std::move(done));
  if (request->among() > max_open)
    return request->end(
      problem{errc::limit_reached, std::to_string(max_open)
                                     + " requests wait for answers already; nothing was sent, wait "
                                       "for some of them"});
  // If it is dropped, it ends here: not before the lock is free, as its handler may call this.
  inside_->run([router, asked = std::move(what), request](detail::caller_state& state) mutable {
    state.ask(router, std::move(asked), std::move(request));
  });
}

TROUPE_COMPILED bool caller::send(const caf::actor& router, dispatch what) const {
  return inside_->send(router, caf::make_message(std::move(what)));
}

TROUPE_COMPILED bool caller::before_stop(const std::function<void()>& job) const {
  return inside_->before_stop(job);
}

TROUPE_COMPILED void caller::stop() const {
  inside_->stop();
}

} // namespace troupe::router

#endif
