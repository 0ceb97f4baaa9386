#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/thread_pool.hpp"
#include "troupe/host/client.hpp"
#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/task_call.hpp"

namespace troupe::scheduler {

/// What a worker is and has.
struct worker_options {
  /// Unique on its node.
  std::string name = "worker";
  /// Slots are tasks at once; a worker has as many threads for handlers that block.
  resources capacity{0, 0, 0, 4};
  std::vector<std::string> groups{};
  scheduler::labels labels{};
};

/// Returns why no scheduler takes a worker like this; errc::none if one does. A worker that is
/// refused tries again and again, see worker_reports.
inline problem check(const worker_options& what) {
  return detail::check(register_worker{.name = what.name,
                                       .owner = "node",
                                       .boot = 1,
                                       .capacity = what.capacity,
                                       .handlers = {"sleep"},
                                       .groups = what.groups,
                                       .labels = what.labels});
}

/// What the process of a worker hears of it. Called on an actor; must not block.
struct worker_reports {
  /// The answer to each registration: errc::none, or why the scheduler did not take the worker, as
  /// with bad_argument or limit_reached. That it is out of reach is no answer.
  std::function<void(const problem&)> registered = [](const problem&) {};
};

/// Which functions a worker offers, by name; one whose name ends with ':' gets the tasks of
/// all names that begin with it. "sleep" is built in.
class task_handlers {
public:
  /// Offers `what` as `name`, in threads of the worker's own.
  task_handlers& handle(std::string name, blocking_handler what) {
    blocking_.insert_or_assign(std::move(name), std::move(what));
    return *this;
  }

  /// Offers `what` as `name`, called on the worker's actor.
  task_handlers& handle_async(std::string name, task_handler what) {
    async_.insert_or_assign(std::move(name), std::move(what));
    return *this;
  }

  [[nodiscard]] const std::map<std::string, blocking_handler>& blocking() const {
    return blocking_;
  }

  [[nodiscard]] const std::map<std::string, task_handler>& async() const {
    return async_;
  }

private:
  std::map<std::string, blocking_handler> blocking_;
  std::map<std::string, task_handler> async_;
};

/// The handler that does nothing for as many seconds as its input says ("1.5").
inline constexpr const char* sleep_handler = "sleep";

/// Returns the span that a text of seconds says, for people and for sleep_handler.
inline result<duration> span_from_seconds(const std::string& text) {
  double seconds = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (fault != std::errc{} || end != text.data() + text.size() || !(seconds >= 0) || seconds > 1e9)
    return problem{errc::bad_argument,
                   "'" + text.substr(0, 64) + "' is no span; give seconds as in 1.5, at most 1e9"};
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>{seconds});
}

namespace detail {

/// Runs the tasks of one worker. Decides nothing but what its own books say: it takes no
/// more than its capacity, names what it runs when it renews its lease, stops all when it
/// could not, and keeps each outcome until the scheduler has it.
class worker_state {
public:
  static inline const char* name = "troupe.worker";

  worker_state(caf::event_based_actor* self, host::client<scheduler_protocol> scheduler,
               register_worker words, std::function<std::uint64_t()> boot, task_handlers handlers,
               std::function<bool()> in_maintenance, worker_reports reports)
    : self_(self),
      scheduler_(std::move(scheduler)),
      words_(std::move(words)),
      boot_(std::move(boot)),
      handlers_(std::move(handlers)),
      in_maintenance_(std::move(in_maintenance)),
      reports_(std::move(reports)),
      timers_(self),
      random_(self->id()),
      threads_(std::make_shared<thread_pool>(
        std::clamp<std::size_t>(words_.capacity.slots, 1, max_threads))) {
    words_.handlers = {sleep_handler};
    for (auto& [handler, what] : handlers_.blocking())
      words_.handlers.push_back(handler);
    for (auto& [handler, what] : handlers_.async())
      words_.handlers.push_back(handler);
  }

  /// Handlers in threads are waited for; they are asked to be quick.
  ~worker_state() {
    for (auto& [which, each] : open_)
      each.call.cancel();
  }

  caf::behavior make_behavior() {
    ignore_strays(self_);
    enroll();
    return {[](caf::ok_atom) {}}; // lives on the actions that arrive
  }

  /// Takes nothing new, reports what it has, then calls `done`.
  void drain(std::function<void()> done) {
    drained_ = std::move(done);
    draining_ = true;
    if (id_ == worker_id{})
      return finish_draining();
    ask(deregister_worker{id_, words_.boot}, [](const auto&) {});
    finish_draining();
  }

private:
  struct running {
    task_call call;
    resources needs;
    /// Tells it from an attempt of the same number of an earlier registration.
    std::uint64_t serial = 0;
    timer_queue<caf::event_based_actor>::id timer = 0;
  };

  /// Sends `what`; `then` gets the answer on this actor, if it still lives.
  template <class Request, class Then>
  void ask(const Request& what, Then then, duration wait = answer_within) {
    scheduler_.async(
      what, wait,
      [home = caf::weak_actor_ptr{self_->ctrl()}, then](result<typename Request::result> answer) {
        run_on(home, [then, answer = std::move(answer)] { then(answer); });
      });
  }

  // -- the lease -------------------------------------------------------------------

  void enroll() {
    if (draining_)
      return finish_draining();
    auto sent = self_->clock().now();
    words_.boot = boot_();
    words_.maintenance = in_maintenance_();
    ask(words_, [this, sent](const result<worker_receipt>& answer) {
      if (!answer) {
        if (is_verdict(answer.error().code))
          reports_.registered(answer.error());
        return later([this] { enroll(); });
      }
      reports_.registered({});
      failures_ = 0;
      id_ = answer->worker;
      lease_ = answer->lease;
      renewed_ = sent;
      sequence_ = 0;
      fetch(++life_);
      renew_later(life_);
    });
  }

  /// Whether the scheduler has looked at this worker, and will not have it as it is.
  static bool is_verdict(errc code) {
    return code == errc::bad_argument || code == errc::limit_reached || code == errc::conflict;
  }

  /// The scheduler has forgotten this worker: what it runs, runs elsewhere. It takes room
  /// here until it has ended.
  void start_anew() {
    ++life_;
    id_ = {};
    stop_all();
    outcomes_.clear();
    for (auto& [which, each] : std::exchange(open_, {}))
      given_up_.emplace(each.serial, each.needs);
    enroll();
  }

  void renew_later(std::uint64_t life) {
    timers_.after(std::min(lease_ / 3, lease_left()), [this, life] {
      if (life == life_)
        renew();
    });
  }

  /// Without a record where that will do: as long as both sides have the same in their books.
  void renew() {
    say_alive<check_in>([this](const problem& why) {
      if (why.code == errc::conflict || why.code == errc::failed) // or it knows no check_in
        say_alive<renew_worker>([this](const problem&) { renew_later(life_); });
      else
        renew_later(life_);
    });
  }

  template <class Words>
  void say_alive(std::function<void(const problem&)> failed) {
    auto sent = self_->clock().now();
    Words words{id_, words_.boot, sequence_, {}};
    for (auto& [what, each] : open_)
      words.open.push_back(what);
    for (auto& each : outcomes_)
      if (each.kind != outcome_kind::progress)
        words.open.push_back(each.what);
    ask(
      words,
      [this, sent, life = life_, failed](const result<worker_receipt>& answer) {
        if (life != life_)
          return;
        if (answer) {
          renewed_ = sent;
          return renew_later(life);
        }
        if (answer.error().code == errc::not_found)
          return start_anew();
        if (self_->clock().now() - renewed_ >= lease_)
          stop_all(); // they are given to others now
        failed(answer.error());
      },
      lease_left());
  }

  /// Of a lease that is over: a new one, to be asked for.
  [[nodiscard]] duration lease_left() const {
    auto left = std::chrono::duration_cast<duration>(renewed_ + lease_ - self_->clock().now());
    return left > duration::zero() ? left : lease_;
  }

  void later(std::function<void()> what) {
    timers_.after(retry_.delay(std::min(++failures_, 10U), random_), std::move(what));
  }

  // -- orders ----------------------------------------------------------------------

  void fetch(std::uint64_t life) {
    watch_assignments question{id_, words_.boot, sequence_, poll_for, 1'000};
    ask(
      question,
      [this, life](const result<worker_orders>& answer) {
        if (life != life_)
          return;
        if (!answer && answer.error().code == errc::not_found)
          return start_anew();
        if (!answer)
          return later([this, life] {
            if (life == life_)
              fetch(life);
          });
        failures_ = 0;
        sequence_ = answer->sequence;
        for (auto& each : answer->assignments)
          begin(each);
        for (auto& each : answer->cancellations)
          cancel(each);
        send_outcomes();
        fetch(life);
      },
      poll_for + answer_within);
  }

  void begin(const assignment& what) {
    if (open_.contains(what.what) || is_reported(what.what))
      return;
    if (!has_room(what.needs))
      return report_outcome({what.what, outcome_kind::busy, {}, {}, false, 0});
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    auto serial = ++last_serial_;
    task_call call{
      what,
      {[this, home, serial, which = what.what](result<std::string> value) {
         run_on(home,
                [this, serial, which, value = std::move(value)] { end(serial, which, value); });
       },
       [this, home, serial, which = what.what](std::uint16_t permille) {
         run_on(home, [this, serial, which, permille] { progress(serial, which, permille); });
       }}};
    open_.emplace(what.what, running{call, what.needs, serial});
    take(what.needs);
    start(call);
  }

  void start(const task_call& call) {
    auto& handler = call.order().handler;
    if (auto quick = of_name(handlers_.async(), handler); quick != handlers_.async().end())
      return carry_out(quick->second, call);
    if (auto slow = of_name(handlers_.blocking(), handler); slow != handlers_.blocking().end())
      return threads_->run([what = slow->second, call] {
        carry_out([&what](const task_call& each) { each.finish(what(each)); }, call);
      });
    if (handler == sleep_handler)
      return sleep(call);
    call.finish(problem{errc::not_found, "this worker has no handler '" + handler + "'"});
  }

  /// The handler of that name, or of all that begin like it up to a ':'.
  template <class Handlers>
  static typename Handlers::const_iterator of_name(const Handlers& among, const std::string& name) {
    auto found = among.find(name);
    return found != among.end() ? found : among.find(name.substr(0, name.find(':') + 1));
  }

  /// Whatever a handler throws fails its task.
  template <class Handler>
  static void carry_out(const Handler& what, const task_call& call) {
    if (auto why = guarded([&] { what(call); }); why.code != errc::none)
      call.finish(
        problem{why.code, "the handler '" + call.order().handler + "' threw: " + why.detail});
  }

  void sleep(const task_call& call) {
    auto span = span_from_seconds(call.input().empty() ? "0" : call.input());
    if (!span)
      return call.finish(span.error());
    open_.at(call.order().what).timer
      = timers_.after(*span, [call] { call.finish(std::string{}); });
  }

  void cancel(const attempt_id& which) {
    auto found = open_.find(which);
    if (found != open_.end()) {
      stop(found->second);
    } else if (!is_reported(which)) {
      report_outcome({which, outcome_kind::stopped, {}, {}, false, 0});
    }
  }

  /// A handler that does not look is left to its end; its slot is free only then.
  void stop(running& what) {
    timers_.cancel(what.timer);
    auto asleep = what.timer != 0;
    what.call.cancel();
    if (asleep)
      what.call.finish(problem{errc::cancelled, "cancelled"});
  }

  void stop_all() {
    for (auto& [which, each] : open_)
      stop(each);
  }

  // -- outcomes ----------------------------------------------------------------------

  void progress(std::uint64_t serial, const attempt_id& which, std::uint16_t permille) {
    auto found = open_.find(which);
    if (found == open_.end() || found->second.serial != serial)
      return;
    // Only the latest counts of what has not left.
    for (auto index = in_flight_; index < outcomes_.size(); ++index)
      if (outcomes_[index].what == which) {
        outcomes_[index].permille = permille;
        return;
      }
    report_outcome({which, outcome_kind::progress, {}, {}, false, permille});
    send_outcomes();
  }

  void end(std::uint64_t serial, const attempt_id& which, const result<std::string>& value) {
    if (auto old = given_up_.extract(serial)) {
      give_back(old.mapped());
      return finish_draining();
    }
    auto found = open_.extract(which);
    give_back(found.mapped().needs);
    if (found.mapped().call.is_cancelled() && !value)
      report_outcome({which, outcome_kind::stopped, {}, {}, false, 0});
    else if (value)
      report_outcome({which, outcome_kind::completed, *value, {}, false, 0});
    else
      report_outcome(
        {which, outcome_kind::failed, {}, value.error(), may_pass(value.error().code), 0});
    send_outcomes();
  }

  void report_outcome(outcome what) {
    outcomes_.push_back(std::move(what));
  }

  [[nodiscard]] bool is_reported(const attempt_id& which) const {
    return std::ranges::any_of(outcomes_, [&](const outcome& each) {
      return each.what == which && each.kind != outcome_kind::progress;
    });
  }

  /// One report is under way at a time; what ends meanwhile is the next one.
  void send_outcomes() {
    if (reporting_ || outcomes_.empty() || id_ == worker_id{})
      return finish_draining();
    reporting_ = true;
    auto count = std::min<std::size_t>(outcomes_.size(), max_report);
    in_flight_ = count;
    report words{id_,
                 words_.boot,
                 {outcomes_.begin(), outcomes_.begin() + static_cast<std::ptrdiff_t>(count)}};
    auto sent = self_->clock().now();
    ask(words, [this, count, sent, life = life_](const result<report_receipt>& answer) {
      reporting_ = false;
      in_flight_ = 0;
      if (life != life_)
        return send_outcomes();
      if (!answer && answer.error().code == errc::not_found)
        return start_anew();
      if (!answer)
        return later([this] { send_outcomes(); }); // again: what got through is stale then
      renewed_ = sent;
      outcomes_.erase(outcomes_.begin(), outcomes_.begin() + static_cast<std::ptrdiff_t>(count));
      send_outcomes();
    });
  }

  void finish_draining() {
    if (drained_ && open_.empty() && outcomes_.empty() && given_up_.empty())
      std::exchange(drained_, nullptr)();
  }

  // -- capacity ----------------------------------------------------------------------

  [[nodiscard]] bool has_room(const resources& needs) const {
    auto& all = words_.capacity;
    return used_.slots + needs.slots <= all.slots
           && used_.millicores + needs.millicores <= all.millicores
           && used_.memory_bytes + needs.memory_bytes <= all.memory_bytes
           && used_.gpus + needs.gpus <= all.gpus;
  }

  void take(const resources& needs) {
    used_.slots += needs.slots;
    used_.millicores += needs.millicores;
    used_.memory_bytes += needs.memory_bytes;
    used_.gpus += needs.gpus;
  }

  void give_back(const resources& needs) {
    used_.slots -= needs.slots;
    used_.millicores -= needs.millicores;
    used_.memory_bytes -= needs.memory_bytes;
    used_.gpus -= needs.gpus;
  }

  static constexpr std::size_t max_threads = 1'024;
  static constexpr std::size_t max_report = 1'000;
  static constexpr duration answer_within = std::chrono::seconds{30};
  static constexpr duration poll_for = std::chrono::seconds{20};

  caf::event_based_actor* self_;
  host::client<scheduler_protocol> scheduler_;
  register_worker words_;
  std::function<std::uint64_t()> boot_;
  task_handlers handlers_;
  std::function<bool()> in_maintenance_;
  worker_reports reports_;
  timer_queue<caf::event_based_actor> timers_;
  random_source random_;
  backoff retry_{std::chrono::milliseconds{50}, std::chrono::seconds{2}};
  std::uint32_t failures_ = 0;
  std::shared_ptr<thread_pool> threads_;
  worker_id id_;
  /// Counts the registrations: answers to an earlier one are of no account.
  std::uint64_t life_ = 0;
  duration lease_ = std::chrono::seconds{10};
  caf::actor_clock::time_point renewed_;
  std::uint64_t sequence_ = 0;
  std::map<attempt_id, running> open_;
  /// What attempts of an earlier registration still take, by their serials.
  std::map<std::uint64_t, resources> given_up_;
  std::uint64_t last_serial_ = 0;
  std::vector<outcome> outcomes_;
  bool reporting_ = false;
  /// The first of them are under way.
  std::size_t in_flight_ = 0;
  resources used_{0, 0, 0, 0};
  std::function<void()> drained_;
  bool draining_ = false;
};

} // namespace detail

/// Runs tasks in this process for the scheduler that its client knows, as long as it
/// lives. Rides through a lost link and a restart of the scheduler; when it could not renew
/// its lease in time it cancels what it runs, as others run it then. Thread-safe. Must end before
/// its actor_system does.
class worker {
public:
  /// `owner` and `boot` name the process: its boot is dead when it is. `in_maintenance` says,
  /// on an actor and at each registration, whether it is to get no tasks; see set_maintenance.
  worker(
    caf::actor_system& sys, host::client<scheduler_protocol> scheduler, std::string owner,
    std::uint64_t boot, const worker_options& options, task_handlers handlers,
    std::function<bool()> in_maintenance = [] { return false; }, worker_reports reports = {})
    : worker(
      sys, std::move(scheduler), std::move(owner), [boot] { return boot; }, options,
      std::move(handlers), std::move(in_maintenance), std::move(reports)) {}

  /// Of a process whose boot may rise: `boot` is asked, on any thread, when the worker registers.
  worker(
    caf::actor_system& sys, host::client<scheduler_protocol> scheduler, std::string owner,
    std::function<std::uint64_t()> boot, const worker_options& options, task_handlers handlers,
    std::function<bool()> in_maintenance = [] { return false; }, worker_reports reports = {})
    : inside_(sys.spawn<caf::stateful_actor<detail::worker_state>>(
      std::move(scheduler),
      register_worker{
        options.name, std::move(owner), 0, options.capacity, {}, options.groups, options.labels},
      std::move(boot), std::move(handlers), std::move(in_maintenance), std::move(reports))) {}

  worker(worker&& other) noexcept : inside_(std::exchange(other.inside_, nullptr)) {}

  worker& operator=(worker&& other) noexcept {
    std::swap(inside_, other.inside_);
    return *this;
  }

  ~worker() {
    caf::anon_send_exit(inside_, caf::exit_reason::user_shutdown);
  }

  /// Takes nothing new and waits up to `wait` until all it runs is done and reported.
  /// Returns whether that came to pass. Blocks.
  bool drain(duration wait) {
    auto done = std::make_shared<std::promise<void>>();
    auto finished = done->get_future();
    run_on_state<detail::worker_state>(
      inside_, [done](detail::worker_state& state) { state.drain([done] { done->set_value(); }); });
    return finished.wait_for(wait) == std::future_status::ready;
  }

private:
  caf::actor inside_;
};

} // namespace troupe::scheduler
