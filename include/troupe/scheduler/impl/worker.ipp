#ifndef TROUPE_SCHEDULER_IMPL_WORKER_IPP
#define TROUPE_SCHEDULER_IMPL_WORKER_IPP

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <memory>
#include <system_error>
#include <variant>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/shell.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/core/wait_for.hpp"
#include "troupe/platform/thread_pool.hpp"
#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/scheduler/worker_core.hpp"

namespace troupe::scheduler {

TROUPE_COMPILED problem check(const worker_options& what) {
  return detail::check(register_worker{.name = what.name,
                                       .owner = owner_id{"node"},
                                       .boot = 1,
                                       .capacity = what.capacity,
                                       .handlers = {"sleep"},
                                       .groups = what.groups,
                                       .labels = what.labels});
}

TROUPE_COMPILED result<duration> span_from_seconds(const std::string& text) {
  double seconds = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (fault != std::errc{} || end != text.data() + text.size() || !(seconds >= 0) || seconds > 1e9)
    return problem{errc::bad_argument,
                   "'" + text.substr(0, 64)
                     + "' is not a number of seconds; give one such as 1.5, at most 1e9"};
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>{seconds});
}

namespace detail {

/// Carries out the effects of a worker_core: sends its requests to the scheduler, returns the
/// answers, and runs handlers on this actor or in threads.
class worker_state {
public:
  static inline const char* name = "troupe.worker";

  worker_state(caf::event_based_actor* self, host::client<scheduler_protocol> scheduler,
               const register_worker& words, std::function<std::uint64_t()> boot,
               task_handlers handlers, std::function<bool()> in_maintenance, worker_reports reports)
    : self_(self),
      scheduler_(std::move(scheduler)),
      boot_(std::move(boot)),
      handlers_(std::move(handlers)),
      in_maintenance_(std::move(in_maintenance)),
      reports_(std::move(reports)),
      core_(self, this, with_handlers(words, handlers_), worker_core_options{}, self->id()),
      timers_(self),
      threads_(std::make_shared<thread_pool>(
        std::clamp<std::size_t>(words.capacity.slots, 1, max_threads), "troupe.task")) {}

  /// Cancels the running handlers. The thread pool waits for those in threads.
  ~worker_state() {
    for (auto& [which, each] : running_)
      each.call.cancel();
  }

  caf::behavior make_behavior() {
    ignore_strays(self_);
    core_.tick();
    return {[](caf::ok_atom) {}}; // all its work comes as actions
  }

  /// Takes no new tasks, and calls `done` when all outcomes are reported.
  void drain(std::function<void()> done) {
    drained_.push_back(std::move(done));
    core_.step(worker_core::drain{});
  }

private:
  friend class shell<worker_core, worker_state>;

  struct running {
    task_call call;
    /// The timer of sleep_handler.
    timer_queue<caf::event_based_actor>::id timer = 0;
  };

  static register_worker with_handlers(register_worker words, const task_handlers& handlers) {
    words.handlers = {sleep_handler};
    for (auto& [handler, what] : handlers.blocking())
      words.handlers.push_back(handler);
    for (auto& [handler, what] : handlers.async())
      words.handlers.push_back(handler);
    return words;
  }

  // -- the core --------------------------------------------------------------------

  /// Steps the core on this actor, if it is still alive then. Callable from any thread.
  static void step_later(const caf::weak_actor_ptr& home, worker_state* state, request_id id,
                         worker_core::event what) {
    run_on(home, [state, id, what = std::move(what)]() mutable {
      state->core_.step(std::move(what), id);
    });
  }

  void perform(worker_core::identify&) {
    core_.step(worker_core::identified{boot_(), in_maintenance_()});
  }

  void perform(worker_core::send& what) {
    auto send = [&]<class Words>(const Words& words) {
      using answer = typename Words::result;
      scheduler_.async(words, what.wait, [home = home(), this, id = what.id](result<answer> heard) {
        step_later(home, this, id, worker_core::heard<answer>{std::move(heard)});
      });
    };
    troupe::visit(send, what.what);
  }

  void perform(worker_core::registered& what) {
    reports_.registered(what.why);
  }

  void perform(worker_core::drained&) {
    for (auto& done : std::exchange(drained_, {}))
      done();
  }

  // -- handlers --------------------------------------------------------------------

  void perform(worker_core::begin& what) {
    auto at = home();
    task_call call{std::move(what.what),
                   {[at, this, id = what.id](result<std::string> value) {
                      run_on(at, [this, id, value = std::move(value)] { end(id, value); });
                    },
                    [at, this, id = what.id](std::uint16_t permille) {
                      step_later(at, this, id, worker_core::progressed{permille});
                    }}};
    start(running_.emplace(what.id, running{call}).first->second);
  }

  void start(running& what) {
    auto& call = what.call;
    auto& handler = call.order().handler;
    if (auto quick = of_name(handlers_.async(), handler); quick != handlers_.async().end())
      return run_handler(quick->second, call);
    if (auto slow = of_name(handlers_.blocking(), handler); slow != handlers_.blocking().end())
      return threads_->run([what = slow->second, call] {
        run_handler([&what](const task_call& each) { each.finish(what(each)); }, call);
      });
    if (handler == sleep_handler)
      return sleep(what);
    call.finish(problem{errc::not_found, "this worker has no handler '" + handler + "'"});
  }

  /// The handler of that name, otherwise the one of its prefix up to the ':'.
  template <class Handlers>
  static typename Handlers::const_iterator of_name(const Handlers& among,
                                                   const std::string& asked) {
    auto found = among.find(asked);
    return found != among.end() ? found : among.find(asked.substr(0, asked.find(':') + 1));
  }

  /// An exception from a handler fails its task.
  template <class Handler>
  static void run_handler(const Handler& what, const task_call& call) {
    if (auto why = guarded([&] { what(call); }))
      call.finish(
        problem{why.code, "the handler '" + call.order().handler + "' threw: " + why.detail});
  }

  void sleep(running& what) {
    auto& call = what.call;
    auto span = span_from_seconds(call.input().empty() ? "0" : call.input());
    if (!span)
      return call.finish(span.error());
    what.timer = timers_.after(*span, [call] { call.finish(std::string{}); });
  }

  void perform(worker_core::stop& what) {
    auto found = running_.find(what.id);
    if (found == running_.end())
      return; // has ended
    auto stopped = found->second;
    timers_.cancel(stopped.timer);
    stopped.call.cancel();
    if (stopped.timer != 0)
      stopped.call.finish(problem{errc::cancelled, "cancelled"});
  }

  void end(request_id id, const result<std::string>& value) {
    running_.erase(id);
    core_.step(worker_core::ended{value}, id);
  }

  [[nodiscard]] caf::weak_actor_ptr home() const {
    return caf::weak_actor_ptr{self_->ctrl()};
  }

  static constexpr std::size_t max_threads = 1'024;

  caf::event_based_actor* self_;
  host::client<scheduler_protocol> scheduler_;
  std::function<std::uint64_t()> boot_;
  task_handlers handlers_;
  std::function<bool()> in_maintenance_;
  worker_reports reports_;
  shell<worker_core, worker_state> core_;
  timer_queue<caf::event_based_actor> timers_;
  std::shared_ptr<thread_pool> threads_;
  std::map<request_id, running> running_;
  std::vector<std::function<void()>> drained_;
};

} // namespace detail

TROUPE_COMPILED worker::worker(caf::actor_system& sys, host::client<scheduler_protocol> scheduler,
                               owner_id owner, std::uint64_t boot, const worker_options& options,
                               task_handlers handlers, std::function<bool()> in_maintenance,
                               worker_reports reports)
  : worker(
    sys, std::move(scheduler), std::move(owner), [boot] { return boot; }, options,
    std::move(handlers), std::move(in_maintenance), std::move(reports)) {}

TROUPE_COMPILED worker::worker(caf::actor_system& sys, host::client<scheduler_protocol> scheduler,
                               owner_id owner, std::function<std::uint64_t()> boot,
                               const worker_options& options, task_handlers handlers,
                               std::function<bool()> in_maintenance, worker_reports reports)
  : inside_(
    scheduler.tie(caf::actor_cast<caf::actor>(sys.spawn<caf::stateful_actor<detail::worker_state>>(
      scheduler,
      register_worker{
        options.name, std::move(owner), 0, options.capacity, {}, options.groups, options.labels},
      std::move(boot), std::move(handlers), std::move(in_maintenance), std::move(reports))))) {}

TROUPE_COMPILED bool worker::drain(duration wait) {
  return wait_for<bool>(
    [this](std::function<void(bool)> done) {
      inside_->use([&](const caf::actor& by) {
        run_on_state<detail::worker_state>(by,
                                           [done = std::move(done)](detail::worker_state& state) {
                                             state.drain([done] { done(true); });
                                           });
      });
    },
    wait, [](unheard) { return false; });
}

} // namespace troupe::scheduler

#endif
