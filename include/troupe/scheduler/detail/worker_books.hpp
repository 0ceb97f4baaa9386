#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::scheduler::detail {

/// A worker's running attempts, the room that they take, and the outcomes that the scheduler has
/// not acknowledged. Times and requests are worker_core's.
///
/// An attempt takes room until its handler has ended, even if it was stopped or given up. An
/// outcome is reported until it is acknowledged. Cost: O(log n) in attempts, unless said otherwise.
class worker_books {
public:
  /// Limits of one report, of one result, and of the sentence of one failure, which is cut.
  struct bounds {
    std::uint32_t max_report = 0;
    std::uint64_t max_report_bytes = 0;
    std::uint64_t max_value_bytes = 0;
    std::uint64_t max_detail_bytes = 64ULL * 1024;
  };

  worker_books(const resources& capacity, const bounds& limits)
    : capacity_(capacity), limits_(limits) {}

  /// Number of attempts that run or whose outcome is not acknowledged.
  [[nodiscard]] std::size_t size() const {
    return jobs_.size() + unheard_.size();
  }

  [[nodiscard]] bool is_running() const {
    return !jobs_.empty();
  }

  // -- attempts ------------------------------------------------------------------------------

  /// Takes room for an attempt and returns its job; nothing if there is no room.
  std::optional<request_id> begin(const attempt_id& what, const resources& needs) {
    if (!fits(needs, used_, capacity_))
      return std::nullopt;
    auto id = ++last_job_;
    jobs_.emplace(id, job{what, needs});
    open_.emplace(what, id);
    used_ += needs;
    return id;
  }

  /// Whether the attempt runs in this registration, or its outcome is not acknowledged.
  [[nodiscard]] bool has(const attempt_id& what) const {
    return open_.contains(what) || unheard_.contains(what);
  }

  [[nodiscard]] std::optional<request_id> job_of(const attempt_id& what) const {
    auto found = open_.find(what);
    return found != open_.end() ? std::optional{found->second} : std::nullopt;
  }

  /// Marks the job as stopped. Returns false if it has ended or was stopped before. Its room is
  /// free only when its handler has ended.
  bool stop(request_id id) {
    auto found = jobs_.find(id);
    return found != jobs_.end() && !std::exchange(found->second.is_stopped, true);
  }

  /// Marks all jobs as stopped and calls `tell(id)` for those that were not. O(n).
  template <class Tell>
  void stop_all(Tell tell) {
    for (auto& [id, each] : jobs_)
      if (!std::exchange(each.is_stopped, true))
        tell(id);
  }

  void progress(request_id id, std::uint16_t permille) {
    auto found = jobs_.find(id);
    if (found != jobs_.end() && !found->second.is_given_up)
      progress_[found->second.what] = permille; // only the latest counts
  }

  /// The handler of the job has ended.
  void end(request_id id, result<std::string> value) {
    auto gone = jobs_.extract(id);
    if (!gone)
      return;
    auto& was = gone.mapped();
    used_ -= was.needs;
    if (was.is_given_up)
      return;
    open_.erase(was.what);
    progress_.erase(was.what);
    tell(outcome_of(was, std::move(value)));
  }

  /// The scheduler has forgotten all attempts: their outcomes are dropped, but running handlers
  /// take room until they end. O(n).
  void give_up() {
    for (auto& [id, each] : jobs_) {
      each.is_given_up = true;
      if (planted_flaw == flaw::room_promised_twice)
        used_ -= std::exchange(each.needs, no_resources);
    }
    open_.clear();
    outcomes_.clear();
    progress_.clear();
    under_way_.clear();
    unheard_.clear();
  }

  /// The open attempts for a sign of life, in order. O(n log n).
  [[nodiscard]] std::vector<attempt_id> names() const {
    std::vector<attempt_id> all(unheard_.begin(), unheard_.end());
    for (auto& [what, id] : open_)
      all.push_back(what);
    std::ranges::sort(all);
    return all;
  }

  // -- outcomes ------------------------------------------------------------------------------

  /// Adds the outcome of an attempt that was never begun.
  void tell(const attempt_id& what, outcome_kind kind) {
    tell({what, kind, {}, {}, false, 0});
  }

  [[nodiscard]] bool has_news() const {
    return !under_way_.empty() || !outcomes_.empty() || !progress_.empty();
  }

  /// The report to send: the same until it is acknowledged.
  [[nodiscard]] const std::vector<outcome>& next_report() {
    if (under_way_.empty())
      fill_report();
    return under_way_;
  }

  /// The scheduler has acknowledged the report. Returns the attempts that ended with it.
  std::vector<attempt_id> heard() {
    std::vector<attempt_id> over;
    if (planted_flaw == flaw::outcome_repeated)
      return over;
    for (auto& each : std::exchange(under_way_, {}))
      if (each.kind != outcome_kind::progress) {
        unheard_.erase(each.what);
        over.push_back(each.what);
      }
    return over;
  }

  /// The scheduler refuses the report permanently. Halves of it are sent next. A single outcome
  /// that is refused becomes a failure with that reason, sent after all others; if that is refused
  /// too, it is dropped.
  void refused(const problem& why) {
    if (under_way_.size() > 1) {
      auto half = under_way_.begin() + static_cast<std::ptrdiff_t>(under_way_.size() / 2);
      outcomes_.insert(outcomes_.begin(), std::make_move_iterator(half),
                       std::make_move_iterator(under_way_.end()));
      under_way_.erase(half, under_way_.end());
      return;
    }
    for (auto& each : std::exchange(under_way_, {}))
      if (each.kind == outcome_kind::failed && each.why.detail.starts_with(refusal))
        unheard_.erase(each.what); // refused twice: drop it
      else if (each.kind != outcome_kind::progress)
        outcomes_.push_back(
          {each.what, outcome_kind::failed, {}, cut({why.code, refusal + why.detail}), false, 0});
  }

private:
  struct job {
    attempt_id what;
    resources needs;
    bool is_stopped = false;
    /// It belongs to an earlier registration.
    bool is_given_up = false;
  };

  [[nodiscard]] outcome outcome_of(const job& was, result<std::string> value) const {
    if (value && value->size() > limits_.max_value_bytes)
      value = problem{errc::too_large, "the result has " + std::to_string(value->size())
                                         + " bytes; return less, at most "
                                         + std::to_string(limits_.max_value_bytes)};
    if (value)
      return {was.what, outcome_kind::completed, std::move(*value), {}, false, 0};
    if (was.is_stopped)
      return {was.what, outcome_kind::stopped, {}, {}, false, 0};
    auto& why = value.error();
    return {was.what, outcome_kind::failed, {}, cut(why), may_pass(why.code), 0};
  }

  [[nodiscard]] problem cut(problem why) const {
    why.detail = is_utf8(why.detail) ? utf8_prefix(why.detail, limits_.max_detail_bytes)
                                     : std::string_view{why.detail}.substr(
                                       0, static_cast<std::size_t>(limits_.max_detail_bytes));
    return why;
  }

  void tell(outcome what) {
    unheard_.insert(what.what);
    outcomes_.push_back(std::move(what));
  }

  void fill_report() {
    std::uint64_t bytes = 0;
    while (!outcomes_.empty() && under_way_.size() < limits_.max_report) {
      auto& next = outcomes_.front();
      bytes += next.value.size() + next.why.detail.size();
      if (bytes > limits_.max_report_bytes && !under_way_.empty())
        return;
      under_way_.push_back(std::move(next));
      outcomes_.pop_front();
    }
    while (!progress_.empty() && under_way_.size() < limits_.max_report) {
      auto next = progress_.extract(progress_.begin());
      under_way_.push_back({next.key(), outcome_kind::progress, {}, {}, false, next.mapped()});
    }
  }

  static constexpr resources no_resources{0, 0, 0, 0};
  static constexpr const char* refusal = "the scheduler refused the outcome: ";

  resources capacity_;
  bounds limits_;
  std::map<request_id, job> jobs_;
  request_id last_job_ = 0;
  /// Running attempts of this registration.
  std::map<attempt_id, request_id> open_;
  resources used_ = no_resources;
  std::deque<outcome> outcomes_;
  std::map<attempt_id, std::uint16_t> progress_;
  std::vector<outcome> under_way_;
  /// Ended attempts whose outcome the scheduler has not acknowledged.
  std::set<attempt_id> unheard_;
};

} // namespace troupe::scheduler::detail
