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
#include "troupe/core/visit.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/detail/worker_books.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::scheduler {

/// Limits and times of a worker_core. Times are measured on the caller's clock.
struct worker_core_options {
  /// Wait between two tries of a failed request.
  backoff retry{std::chrono::milliseconds{50}, std::chrono::seconds{2}};
  /// How long to wait for the answer to a request; for that to a sign of life, until the lease
  /// ends.
  duration answer_within = std::chrono::seconds{30};
  /// How long the scheduler may hold a question for orders before it answers without any.
  duration poll_for = std::chrono::seconds{20};
  /// Attempts at a time: running ones, also those of an earlier registration, and ended ones whose
  /// outcome the scheduler has not acknowledged. At this limit no orders are requested.
  std::uint32_t max_attempts = 10'000;
  /// Orders in one answer.
  std::uint32_t max_orders = 1'000;
  /// Outcomes in one report.
  std::uint32_t max_report = 1'000;
  /// Bytes of the texts in one report; a single outcome may have more.
  std::uint32_t max_report_bytes = 4 * 1024 * 1024;
  /// A task with a larger result fails with too_large before anything is sent, because a log entry
  /// has at most 16 MiB (raft::options::max_command_bytes). The scheduler's own limit is lower by
  /// default (scheduler_options::max_payload_bytes).
  std::uint32_t max_value_bytes = 8 * 1024 * 1024;
};

/// Decides what a worker does: it registers, asks for orders, begins the attempts it has room for,
/// reports each outcome until that is acknowledged, and stops all attempts when its lease ends.
///
/// - The lease counts from the moment the last answered sign of life was *sent*. When it ends, all
///   attempts are stopped, because other workers run them from then on. No order is begun until
///   the scheduler has answered another sign of life.
/// - An attempt takes room until its handler has ended, even if it was stopped or the scheduler has
///   forgotten this worker. An order that does not fit is answered `busy`.
/// - A report is repeated until it is answered. After that its outcomes are never sent again, not
///   even if an order that is on its way still names the attempt. An outcome that the scheduler
///   refuses permanently does not hold up others: its task fails.
/// - A scheduler that answers not_found has given the attempts of this worker to others: the worker
///   stops them, drops their outcomes and registers again.
/// - After a lost link or session, or when the leader changes, requests are sent again. All are
///   idempotent. Only the answer to the last try counts.
/// - A draining worker begins nothing, deregisters, and says when all its attempts have ended and
///   their outcomes are acknowledged.
///
/// The host carries requests and answers, runs the handlers, and knows the boot of this process.
/// Steps like any machine. Not thread-safe. It has no snapshot, because handlers end with their
/// process. Cost: O(log n) in attempts for each one a step touches, O(n log n) for a sign of life.
class worker_core {
public:
  // -- events: the id of the step is that of the effect it answers -----------------------------

  /// Answers `identify`.
  struct identified {
    std::uint64_t boot = 0;
    /// The worker is to get no tasks; see set_maintenance.
    bool maintenance = false;
  };

  /// The answer to `send`, or why no answer came within its `wait`.
  template <class Result>
  struct heard {
    result<Result> what;
  };

  /// Progress of the handler of `begin`, in thousandths.
  struct progressed {
    std::uint16_t permille = 0;
  };

  /// The handler of `begin` has ended. After a problem the task is retried if may_pass(code).
  struct ended {
    result<std::string> value;
  };

  /// Begins no attempts from now on; `drained` follows. Idempotent.
  struct drain {};

  using event = std::variant<identified, heard<worker_receipt>, heard<worker_orders>,
                             heard<report_receipt>, progressed, ended, drain>;

  // -- effects ---------------------------------------------------------------------------------

  /// Step `identified`; the worker registers after that.
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

  /// The outcome is no longer needed: ask the handler to end. At most once for each attempt.
  struct stop {
    request_id id = 0;
  };

  /// The scheduler has registered this worker (errc::none), or refused it with bad_argument,
  /// limit_reached or conflict. The worker retries.
  struct registered {
    problem why;
  };

  /// Nothing runs, and the scheduler has acknowledged all outcomes. Once after `drain`, however
  /// often that was repeated meanwhile.
  struct drained {};

  using effect = std::variant<identify, send, begin, stop, registered, drained>;
  using effects = std::vector<effect>;

  /// `words` is the registration, without the boot. `seed` is that of the back-off's jitter.
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
    troupe::visit([&](auto& each) { handle(id, each); }, what);
    go_on();
    out_ = nullptr;
  }

  /// The first call starts the worker.
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

  /// This worker's id while it is registered.
  [[nodiscard]] std::optional<worker_id> id() const {
    return id_;
  }

private:
  /// One kind of request; at most one of each kind is open.
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

  /// Returns whether the answer is to the open request, which it closes.
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

  /// Whether the scheduler refused this worker itself, rather than could not answer.
  static bool is_verdict(errc code) {
    return code == errc::bad_argument || code == errc::limit_reached || code == errc::conflict;
  }

  /// The scheduler has forgotten this worker and runs its attempts elsewhere. They still take
  /// room here until their handlers end.
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

  /// Registered, and not yet done with leaving.
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
      stop_all(); // other workers get them now
  }

  [[nodiscard]] time_point next_sign() const {
    return now_ + std::min(lease_ / 3, lease_left());
  }

  /// Uses check_in, which costs no record, until the scheduler refuses it: renew_worker then makes
  /// both sides agree on the open attempts.
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
    // An older scheduler, which does not know check_in, answers failed.
    if (!was_record && (code == errc::conflict || code == errc::failed)) {
      is_record_due_ = true;
      live_.due = now_;
      return;
    }
    again(live_, lease_ / 3);
  }

  // -- orders ------------------------------------------------------------------------------

  /// After the end of the lease, orders are not requested: other workers run their attempts.
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
      return;                      // asked for again after the same order once it is renewed
    seen_ = answer.what->sequence; // may be less if the scheduler was restored from a backup
    auto is_known
      = [&](const attempt_id& which) { return books_.has(which) || settled.contains(which); };
    for (auto& each : answer.what->assignments)
      if (!is_known(each.what))
        admit(each);
    for (auto& each : answer.what->cancellations)
      if (auto job = books_.job_of(each))
        stop_one(*job);
      else if (!is_known(each) && !is_full())
        books_.tell(each, outcome_kind::stopped); // it never began
  }

  /// More than requested counts as lost, because no sign of life names it.
  [[nodiscard]] bool is_full() const {
    return books_.size() >= options_.max_attempts;
  }

  void admit(assignment& what) {
    if (is_full())
      return;
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
      return again(report_); // the same report otherwise: what was taken already is stale then
    }
    report_.failures = 0;
    report_.due = now_;
    renew(report_.sent, lease_);
    auto over = books_.heard();
    if (fetch_.asked != 0)
      settled_.insert(over.begin(), over.end());
  }

  static constexpr std::uint32_t max_failures = 10; // the delay has reached its maximum by then
  static constexpr duration min_lease = std::chrono::milliseconds{1};
  static constexpr duration max_lease = std::chrono::hours{24 * 366};

  register_worker words_;
  worker_core_options options_;
  random_source random_;
  time_point now_{};
  effects* out_ = nullptr; // of the current call

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
  /// The last order that was processed.
  std::uint64_t seen_ = 0;
  /// Attempts acknowledged while a question for orders was open: its answer may still name them.
  std::set<attempt_id> settled_;
};

} // namespace troupe::scheduler
