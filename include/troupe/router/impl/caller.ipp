#ifndef TROUPE_ROUTER_IMPL_CALLER_IPP
#define TROUPE_ROUTER_IMPL_CALLER_IPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
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

class caller_state {
public:
  static inline const char* name = "troupe.caller";

  caller_state(caf::event_based_actor* self, std::shared_ptr<std::atomic<std::size_t>> open,
               caller::thrown_handler on_throw)
    : self_(self), timers_(self), open_(std::move(open)), on_throw_(std::move(on_throw)) {}

  /// What is asked of it comes as jobs. Agents of this process know it as who asks.
  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {[](caf::ok_atom) {}}; // lives on the jobs that arrive
  }

  void ask(const caf::actor& router, dispatch what, caller::handler done) {
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
    requests_.emplace(number, request{std::move(done), alarm});
  }

  /// Whose handler runs on this thread.
  static inline thread_local const caller_state* running = nullptr;

  void stop() {
    while (!requests_.empty())
      finish(requests_.begin()->first,
             problem{errc::cancelled, "this node has stopped; the agent may have got the request"});
    self_->quit();
  }

private:
  struct request {
    caller::handler done;
    timer_queue<caf::event_based_actor>::id alarm = 0;
  };

  /// An answer that comes after the alarm is not heard.
  void finish(std::uint64_t number, result<caf::message> answer) {
    auto found = requests_.extract(number);
    if (!found)
      return;
    timers_.cancel(found.mapped().alarm);
    --*open_;
    auto before = std::exchange(running, this);
    if (!on_throw_)
      call(found.mapped().done, std::move(answer));
    else if (auto why = guarded([&] { found.mapped().done(std::move(answer)); }))
      on_throw_(why);
    running = before;
  }

  /// CAF would end this actor only.
  static void call(const caller::handler& done, result<caf::message> answer) noexcept {
    done(std::move(answer));
  }

  caf::event_based_actor* self_;
  timer_queue<caf::event_based_actor> timers_;
  std::shared_ptr<std::atomic<std::size_t>> open_;
  caller::thrown_handler on_throw_;
  std::map<std::uint64_t, request> requests_;
  std::uint64_t last_ = 0;
};

} // namespace detail

/// Its actor begins with the first request.
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

  /// Null once it has stopped.
  caf::actor actor() {
    std::lock_guard guard{mutex_};
    if (!actor_ && !stopped_)
      actor_
        = system_.spawn<caf::stateful_actor<detail::caller_state>, caf::hidden>(open, on_throw_);
    return actor_;
  }

  bool has_stopped() {
    std::lock_guard guard{mutex_};
    return stopped_;
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

  const std::shared_ptr<std::atomic<std::size_t>> open
    = std::make_shared<std::atomic<std::size_t>>(0);

private:
  static void end(const caf::actor& which) {
    run_on_state<detail::caller_state>(which, [](detail::caller_state& state) { state.stop(); });
  }

  caf::actor_system& system_;
  const thrown_handler on_throw_;
  std::mutex mutex_;
  bool stopped_ = false;
  caf::actor actor_;
};

TROUPE_COMPILED caller::caller(caf::actor_system& sys, thrown_handler on_throw)
  : inside_(std::make_shared<inside>(sys, std::move(on_throw))) {}

TROUPE_COMPILED void caller::ask(const caf::actor& router, recipients to, duration wait,
                                 caf::message what, handler done) const {
  auto by = inside_->actor();
  if (!by)
    return done(detail::has_stopped());
  if (inside_->open->fetch_add(1) >= max_open) {
    --*inside_->open;
    return done(problem{errc::limit_reached, std::to_string(max_open)
                                               + " requests wait for answers already; nothing was "
                                                 "sent, wait for some of them"});
  }
  dispatch asked{std::move(to), {}, wait, std::move(what)};
  run_on_state<detail::caller_state>(by, [router, asked = std::move(asked), done = std::move(done)](
                                           detail::caller_state& state) mutable {
    state.ask(router, std::move(asked), std::move(done));
  });
}

TROUPE_COMPILED bool caller::has_stopped() const {
  return inside_->has_stopped();
}

TROUPE_COMPILED void caller::stop() const {
  inside_->stop();
}

} // namespace troupe::router

#endif
