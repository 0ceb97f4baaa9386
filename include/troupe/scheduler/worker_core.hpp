#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/backoff.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/detail/worker_books.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::scheduler {

/// Bounds and spans of a worker_core. All spans count on the clock of whoever runs it.
struct worker_core_options {
  /// Between two tries of what has failed.
  backoff retry{std::chrono::milliseconds{50}, std::chrono::seconds{2}};
  /// How long a request is waited for. A sign of life: until the lease ends.
  duration answer_within = std::chrono::seconds{30};
  /// How long the scheduler may wait for orders before it answers that there are none.
  duration poll_for = std::chrono::seconds{20};
  /// Attempts in its books: those that run, those of an earlier registration that have not ended
  /// yet, and those whose outcome the scheduler has not heard. No orders are asked for beyond it.
  std::uint32_t max_attempts = 10'000;
  /// Orders in one answer.
  std::uint32_t max_orders = 1'000;
  /// Outcomes in one report, and the bytes of their texts; a single outcome may have more.
  std::uint32_t max_report = 1'000;
  /// Bytes of the texts in one report.
  std::uint32_t max_report_bytes = 4 * 1024 * 1024;
  /// A larger result fails its task here, with too_large: a group takes 16 MiB in one entry
  /// (raft::options::max_command_bytes). The scheduler takes less by default
  /// (scheduler_options::max_payload_bytes).
  std::uint32_t max_value_bytes = 8 * 1024 * 1024;
};

/// Decides what a worker does: registers, asks for orders, admits attempts by its own books, tells
/// the scheduler of each outcome until it has heard it, once, and stops all when its lease is over.
///
/// - The lease counts from when the last sign of life that was answered was *sent*. When it is
///   over, all attempts are stopped, as others run them then; no order is begun until the
///   scheduler has heard of this worker again.
/// - An attempt takes its room until its handler has ended, also when it was stopped meanwhile or
///   the scheduler has forgotten this worker. An order that does not fit is told `busy`.
/// - An outcome is repeated in the same report until that is answered. Then it is never sent
///   again, not even if an order that is on its way still names the attempt. What the scheduler
///   refuses for good keeps nothing else waiting: in the end its task has failed.
/// - A scheduler that does not know this worker (not_found) has given its attempts to others: they
///   are stopped, their outcomes dropped, and the worker registers anew.
/// - Where a link or session is lost, and another leader answers, the same words are sent again:
///   all of them may be repeated. An answer to anything else than the last try is ignored.
/// - A worker that drains begins nothing, leaves, and tells when all that it had has ended and been
///   heard.
///
/// Whoever runs it carries requests and answers, runs the handlers, and knows which process this
/// is. Steps like any machine; not thread-safe; no snapshot, as its handlers do not outlive their
/// process. Cost: O(log n) in attempts for each that a step touches, O(n log n) of a sign of life.
class worker_core {
public:
  // -- events: the id of the step is the one of the effect that is meant -----------------------

  /// Answers `identify`.
  struct identified {
    std::uint64_t boot = 0;
    /// It is to get no tasks; see set_maintenance.
    bool maintenance = false;
  };

  /// The answer to `send`, or why there was none within its `wait`.
  template <class Result>
  struct heard {
    result<Result> what;
  };

  /// The handler of `begin` says how far it is, in thousandths.
  struct progressed {
    std::uint16_t permille = 0;
  };

  /// The handler of `begin` has ended. A problem is tried again, unless its code says that this
  /// would be no better (may_pass).
  struct ended {
    result<std::string> value;
  };

  /// Takes nothing new from here on; `drained` follows. Idempotent.
  struct drain {};

  using event = std::variant<identified, heard<worker_receipt>, heard<worker_orders>,
                             heard<report_receipt>, progressed, ended, drain>;

  // -- effects ---------------------------------------------------------------------------------

  /// Say which process this is, before it registers.
  struct identify {};

  /// Send this, and step `heard` within `wait`.
  struct send {
    request_id id = 0;
    std::variant<register_worker, check_in, renew_worker, watch_assignments, report,
                 deregister_worker>
      what;
    duration wait{};
  };

  /// Run the handler.
  struct begin {
    request_id id = 0;
    assignment what;
  };

  /// The outcome is not wanted any more: ask the handler to end. Once for each attempt.
  struct stop {
    request_id id = 0;
  };

  /// The scheduler has taken this worker (errc::none), or has looked at it and refused:
  /// bad_argument, limit_reached, conflict. It tries again.
  struct registered {
    problem why;
  };

  /// Nothing runs, and the scheduler has heard all outcomes. Once for each `drain`.
  struct drained {};

  using effect = std::variant<identify, send, begin, stop, registered, drained>;
  using effects = std::vector<effect>;

  /// `words` without a boot; `seed`: of the delays.
  worker_core(register_worker words, const worker_core_options& options, std::uint64_t seed)
    : words_(std::move(words)),
      options_(options),
      random_(seed),
      books_(words_.capacity,
             {options.max_report, options.max_report_bytes, options.max_value_bytes}) {}

  /// @pre `now` never goes backwards, and is not negative.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([&](auto& each) { handle(id, each); }, what);
    go_on();
    out_ = nullptr;
  }

  /// Begins its work when called first.
  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    go_on();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    if (id_ && !is_lease_over_)
      no_later(lease_end());
    auto look_at = [&](const errand& what, bool is_wanted) {
      if (is_wanted && what.asked == 0)
        no_later(what.due);
    };
    look_at(enroll_, may_enroll());
    look_at(leave_, may_leave());
    look_at(live_, is_here());
    look_at(fetch_, may_fetch());
    look_at(report_, has_news());
    return next;
  }

  /// As what the scheduler knows this worker, if it does.
  [[nodiscard]] std::optional<worker_id> id() const {
    return id_;
  }

private:
  /// One kind of request, of which one is under way at a time.
  struct errand {
    request_id asked = 0; // none
    time_point sent{};
    time_point due{};
    std::uint32_t failures = 0;
  };

  template <class Effect>
  void put(Effect what) {
    out_->push_back(std::move(what));
  }

  void go_on() {
    end_lease();
    if (is_due(enroll_, may_enroll())) {
      is_identifying_ = true;
      put(identify{});
    }
    if (is_due(leave_, may_leave()))
      ask(leave_, deregister_worker{*id_, words_.boot}, options_.answer_within);
    if (is_due(live_, is_here()))
      say_alive();
    if (is_due(fetch_, may_fetch()))
      ask(fetch_, watch_assignments{*id_, words_.boot, seen_, options_.poll_for, room_to_hear()},
          options_.poll_for + options_.answer_within);
    if (is_due(report_, has_news()))
      ask(report_, report{*id_, words_.boot, books_.next_report()}, options_.answer_within);
    if (is_drain_asked_ && !books_.is_running() && !has_news()) {
      is_drain_asked_ = false;
      put(drained{});
    }
  }

  // -- errands -----------------------------------------------------------------------------

  [[nodiscard]] bool is_due(const errand& what, bool is_wanted) const {
    return is_wanted && what.asked == 0 && what.due <= now_;
  }

  template <class Words>
  void ask(errand& what, Words words, duration wait) {
    what.asked = ++last_request_;
    what.sent = now_;
    put(send{what.asked, std::move(words), wait});
  }

  /// Whether the answer is the one that is waited for.
  static bool take(errand& what, request_id id) {
    return id != 0 && what.asked == id && std::exchange(what.asked, 0) != 0;
  }

  void again(errand& what, duration at_most = duration::max()) {
    what.failures = std::min(what.failures + 1, max_failures);
    what.due = now_ + std::min(options_.retry.delay(what.failures, random_), at_most);
  }

  void handle(request_id id, heard<worker_receipt>& answer) {
    if (take(enroll_, id))
      return enrolled(answer.what);
    if (take(leave_, id))
      return has_left(answer.what);
    if (take(live_, id))
      said_alive(answer.what);
  }

  // -- registration ------------------------------------------------------------------------

  [[nodiscard]] bool may_enroll() const {
    return !id_ && !is_draining_ && !is_identifying_;
  }

  void handle(request_id, const identified& what) {
    if (!std::exchange(is_identifying_, false) || id_ || is_draining_)
      return;
    words_.boot = what.boot;
    words_.maintenance = what.maintenance;
    ask(enroll_, words_, options_.answer_within);
  }

  void enrolled(const result<worker_receipt>& answer) {
    if (!answer) {
      if (is_verdict(answer.error().code))
        put(registered{answer.error()});
      return again(enroll_);
    }
    put(registered{});
    enroll_.failures = 0;
    id_ = answer->worker;
    is_lease_over_ = false;
    renew(enroll_.sent, answer->lease);
    live_.due = next_sign();
  }

  /// Whether the scheduler has looked at this worker, and will not have it as it is.
  static bool is_verdict(errc code) {
    return code == errc::bad_argument || code == errc::limit_reached || code == errc::conflict;
  }

  /// The scheduler has forgotten this worker: what it runs, runs elsewhere. It takes room
  /// here until it has ended.
  void start_anew() {
    id_.reset();
    stop_all();
    books_.give_up();
    settled_.clear();
    seen_ = 0;
    is_record_due_ = has_left_ = is_lease_over_ = false;
    enroll_ = leave_ = live_ = fetch_ = report_ = {};
  }

  // -- leaving -----------------------------------------------------------------------------

  void handle(request_id, const drain&) {
    is_draining_ = is_drain_asked_ = true;
  }

  [[nodiscard]] bool may_leave() const {
    return id_ && is_draining_ && !has_left_;
  }

  void has_left(const result<worker_receipt>& answer) {
    if (answer)
      has_left_ = true;
    else if (answer.error().code == errc::not_found)
      start_anew();
    else
      again(leave_);
  }

  /// Registered, and not only waiting to be forgotten.
  [[nodiscard]] bool is_here() const {
    return id_ && !(has_left_ && !books_.is_running() && !has_news());
  }

  // -- the lease ---------------------------------------------------------------------------

  [[nodiscard]] time_point lease_end() const {
    return renewed_ + lease_;
  }

  [[nodiscard]] duration lease_left() const {
    return std::max(lease_end() - now_, duration::zero());
  }

  void renew(time_point sent, duration lease) {
    lease_ = std::clamp(lease, min_lease, max_lease);
    renewed_ = std::max(renewed_, sent);
    if (now_ < lease_end())
      is_lease_over_ = false;
  }

  void end_lease() {
    if (!id_ || is_lease_over_ || now_ < lease_end())
      return;
    is_lease_over_ = true;
    if (planted_flaw != flaw::lease_overstayed)
      stop_all(); // they are given to others now
  }

  [[nodiscard]] time_point next_sign() const {
    return now_ + std::min(lease_ / 3, lease_left());
  }

  /// Without a record where that will do: as long as both sides have the same in their books.
  void say_alive() {
    is_record_due_ ? say_alive(renew_worker{}) : say_alive(check_in{});
  }

  template <class Words>
  void say_alive(Words words) {
    words.worker = *id_;
    words.boot = words_.boot;
    words.seen = seen_;
    words.open = books_.names();
    ask(live_, std::move(words), lease_left() > duration::zero() ? lease_left() : lease_);
  }

  void said_alive(const result<worker_receipt>& answer) {
    auto was_record = std::exchange(is_record_due_, false);
    if (answer) {
      live_.failures = 0;
      renew(live_.sent, answer->lease);
      live_.due = next_sign();
      return;
    }
    auto code = answer.error().code;
    if (code == errc::not_found)
      return start_anew();
    if (!was_record && (code == errc::conflict || code == errc::failed)) { // or knows no check_in
      is_record_due_ = true;
      live_.due = now_;
      return;
    }
    again(live_, lease_ / 3);
  }

  // -- orders ------------------------------------------------------------------------------

  /// Orders of attempts that are given to others would come too late.
  [[nodiscard]] bool may_fetch() const {
    return is_here() && !is_lease_over_ && room_to_hear() > 0;
  }

  [[nodiscard]] std::uint32_t room_to_hear() const {
    auto left = options_.max_attempts - std::min<std::size_t>(books_.size(), options_.max_attempts);
    return static_cast<std::uint32_t>(std::min<std::size_t>(left, options_.max_orders));
  }

  void handle(request_id id, heard<worker_orders>& answer) {
    if (!take(fetch_, id))
      return;
    auto settled = std::exchange(settled_, {});
    if (!answer.what && answer.what.error().code == errc::not_found)
      return start_anew();
    if (!answer.what)
      return again(fetch_);
    fetch_.failures = 0;
    fetch_.due = now_;
    if (now_ >= lease_end())
      return;                      // asked for again, from the same place, once it is renewed
    seen_ = answer.what->sequence; // may be less, where the scheduler was restored
    auto is_known
      = [&](const attempt_id& which) { return books_.has(which) || settled.contains(which); };
    for (auto& each : answer.what->assignments)
      if (!is_known(each.what))
        admit(each);
    for (auto& each : answer.what->cancellations)
      if (auto job = books_.job_of(each))
        stop_one(*job);
      else if (!is_known(each))
        books_.tell(each, outcome_kind::stopped); // it never began
  }

  void admit(assignment& what) {
    if (books_.size() >= options_.max_attempts)
      return; // more than was asked for: it is lost, as no sign of life names it
    auto job = is_draining_ ? std::nullopt : books_.begin(what.what, what.needs);
    if (job)
      put(begin{*job, std::move(what)});
    else
      books_.tell(what.what, outcome_kind::busy);
  }

  void stop_one(request_id id) {
    if (books_.stop(id))
      put(stop{id});
  }

  void stop_all() {
    books_.stop_all([this](request_id id) { put(stop{id}); });
  }

  // -- outcomes ----------------------------------------------------------------------------

  void handle(request_id id, const progressed& what) {
    books_.progress(id, what.permille);
  }

  void handle(request_id id, ended& what) {
    books_.end(id, std::move(what.value));
  }

  [[nodiscard]] bool has_news() const {
    return id_ && books_.has_news();
  }

  void handle(request_id id, const heard<report_receipt>& answer) {
    if (!take(report_, id))
      return;
    if (!answer.what && answer.what.error().code == errc::not_found)
      return start_anew();
    if (!answer.what) {
      if (!may_pass(answer.what.error().code))
        books_.refused(answer.what.error());
      return again(report_); // else the same: what got through is stale then
    }
    report_.failures = 0;
    report_.due = now_;
    renew(report_.sent, lease_);
    auto over = books_.heard();
    if (fetch_.asked != 0)
      settled_.insert(over.begin(), over.end());
  }

  static constexpr std::uint32_t max_failures = 10; // beyond it the delay is the longest anyway
  static constexpr duration min_lease = std::chrono::milliseconds{1};
  static constexpr duration max_lease = std::chrono::hours{24 * 366};

  register_worker words_;
  worker_core_options options_;
  random_source random_;
  time_point now_{};
  effects* out_ = nullptr; // of the call under way

  std::optional<worker_id> id_;
  bool is_identifying_ = false;
  bool is_draining_ = false;
  bool is_drain_asked_ = false;
  bool has_left_ = false;
  errand enroll_, leave_, live_, fetch_, report_;
  request_id last_request_ = 0;

  duration lease_ = std::chrono::seconds{10};
  time_point renewed_{};
  bool is_lease_over_ = false;
  /// The next sign of life is a renew_worker.
  bool is_record_due_ = false;

  detail::worker_books books_;
  /// Orders up to this one are in the books.
  std::uint64_t seen_ = 0;
  /// Heard while orders were on their way, which may still name them.
  std::set<attempt_id> settled_;
};

} // namespace troupe::scheduler
