#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/host/waiting_questions.hpp"

namespace troupe::host {

/// Holds what is asked of a node that has just started and does not know yet what others know: so
/// nobody is told that something does not exist because this node has not heard of it. Questions
/// wait until the node knows all. Once the first has waited for `patience`, or `period` after the
/// start, none waits any more, so that a node that finds no others answers, too; when it finds them
/// after all, they do again.
///
/// What is asked about something that is expected waits likewise on a node that knows all: until it
/// comes, or for `patience` at most since that was said.
///
/// A plain class, as waiting_questions: the caller provides the time. At most `most` wait, and of
/// one identity as many as there is room for others; likewise their bytes, for which a question of
/// any size has room alone. `most` things are expected at most; of further ones nothing is. Cost of
/// a call: O(log n), knows_all_now(): O(n log n) for the n that wait.
class early_questions {
public:
  using time_point = waiting_questions::time_point;

  static constexpr std::chrono::seconds patience{5};
  static constexpr std::chrono::seconds period{10};
  static constexpr std::size_t most = 10'000;

  struct question {
    /// What it is about: while one waits, later ones about the same wait behind it.
    std::string about;
    /// Who asks; empty: that is not known.
    std::string by;
    /// Answers it with what is known by then.
    std::function<void()> answer;
    std::function<void(const problem&)> refuse;
    /// That it holds.
    std::size_t bytes = 0;
  };

  explicit early_questions(std::size_t most_bytes = std::numeric_limits<std::size_t>::max())
    : most_bytes_(most_bytes) {}

  early_questions(const early_questions&) = delete;
  early_questions& operator=(const early_questions&) = delete;

  /// Questions wait from here on.
  void begin(time_point now) {
    until_ = now + period;
    knows_all_ = false;
  }

  /// The others can be reached from here on, and tell what they know in a moment.
  void finds_others(time_point now) {
    if (!knows_all_)
      begin(now);
  }

  [[nodiscard]] bool knows_all() const {
    return knows_all_;
  }

  [[nodiscard]] bool may_wait(time_point now) const {
    return !knows_all_ && now < until_;
  }

  /// This may come to be known soon, as where its node has begun anew.
  void expect(time_point now, const std::string& about) {
    if (planted_flaw == flaw::return_not_awaited)
      return;
    drop_expected(now);
    answer_all();
    auto known = expected_.find(about);
    if (known == expected_.end() && expected_.size() >= most)
      return;
    if (known != expected_.end())
      dues_.erase({known->second, about});
    expected_[about] = now + patience;
    dues_.emplace(now + patience, about);
  }

  /// It has come: answers what waits for it, in its order, also where all is yet to come.
  void comes(const std::string& about) {
    auto found = expected_.find(about);
    if (found == expected_.end())
      return;
    dues_.erase({found->second, about});
    expected_.erase(found);
    is_coming_ = true;
    waiting_.look(about);
    is_coming_ = false;
    answer_all();
  }

  [[nodiscard]] bool is_expected(time_point now, const std::string& about) const {
    auto found = expected_.find(about);
    return found != expected_.end() && now < found->second;
  }

  /// Whether anything at all has to wait.
  [[nodiscard]] bool is_idle() const {
    return knows_all_ && expected_.empty() && abouts_.empty();
  }

  [[nodiscard]] bool is_waiting(const std::string& about) const {
    return abouts_.contains(about);
  }

  /// Whether a question about that waits: behind an earlier one, also where that is about to be
  /// answered, or what it is about has come to be known since; or because it is not known, and all
  /// or this is yet to come.
  [[nodiscard]] bool has_to_wait(time_point now, const std::string& about, bool is_known) const {
    return is_waiting(about) || ((may_wait(now) || is_expected(now, about)) && !is_known);
  }

  /// Holds it, for `longest` at most. Returns limit_reached, and forgets it, if too many wait.
  [[nodiscard]] problem hold(time_point now, std::chrono::nanoseconds longest, question what) {
    if (waiting_.no_room_for(what.by, most) || !has_room_for(what))
      return no_room();
    if (may_wait(now))
      until_ = std::min(until_, now + patience);
    auto until = may_wait(now) ? until_ : now;
    if (auto found = expected_.find(what.about); found != expected_.end())
      until = std::max(until, found->second);
    auto& others = abouts_[what.about];
    ++others.count;
    others.until = until = std::max(until, others.until);
    bytes_ += what.bytes;
    if (what.bytes > 0)
      bytes_of_[what.by] += what.bytes;
    waiting_.add({.about = interest{what.about, true},
                  .has_news =
                    [this, about = what.about](std::uint64_t) {
                      return (knows_all_ || is_coming_) && !expected_.contains(about);
                    },
                  .answer =
                    [this, about = std::move(what.about), by = what.by, bytes = what.bytes,
                     answer = std::move(what.answer)](std::uint64_t) {
                      if (auto found = abouts_.find(about); --found->second.count == 0)
                        abouts_.erase(found);
                      give_back(by, bytes);
                      answer();
                    },
                  .refuse = std::move(what.refuse),
                  .ends = now + std::min<std::chrono::nanoseconds>(longest, until - now),
                  .by = std::move(what.by)});
    return {};
  }

  /// Answers all that wait, in their order.
  void knows_all_now() {
    if (std::exchange(knows_all_, true))
      return;
    waiting_.look_at_all();
    answer_all();
  }

  /// Refuses all that wait: nobody is there to answer.
  void refuse_all(const problem& why) {
    abouts_.clear();
    bytes_of_.clear();
    bytes_ = 0;
    waiting_.refuse_all(why);
  }

  void tick(time_point now) {
    drop_expected(now);
    waiting_.tick(now);
    answer_all();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = waiting_.next_deadline();
    if (!dues_.empty())
      next = std::min(next.value_or(dues_.begin()->first), dues_.begin()->first);
    return next;
  }

private:
  /// For one thing, and for how long: what comes to wait behind them waits as long.
  struct those_that_wait {
    std::size_t count = 0;
    time_point until{};
  };

  /// What has not come in time is expected no more: who waits for it and for nothing else is due.
  void drop_expected(time_point now) {
    while (!dues_.empty() && dues_.begin()->first <= now) {
      auto about = std::move(dues_.extract(dues_.begin()).value().second);
      expected_.erase(about);
      waiting_.look(about);
    }
  }

  [[nodiscard]] problem no_room() const {
    return {errc::limit_reached,
            knows_all_
              ? "too much waits for agents whose nodes have just started again; retry with "
                "backoff"
              : "too much waits until this node, which has just started, knows the others "
                "of its cluster; retry with backoff, or ask another node"};
  }

  void answer_all() {
    waiting_.answer_some(std::numeric_limits<std::size_t>::max());
  }

  [[nodiscard]] bool has_room_for(const question& what) const {
    auto found = bytes_of_.find(what.by);
    auto own = found != bytes_of_.end() && !what.by.empty() ? found->second : 0;
    auto free = most_bytes_ - std::min(most_bytes_, bytes_);
    return bytes_ == 0 || shares<std::string>::may_take(own, free, what.bytes);
  }

  /// One of that asker waits no more.
  void give_back(const std::string& by, std::size_t bytes) {
    bytes_ -= bytes;
    auto found = bytes_of_.find(by);
    if (bytes == 0 || found == bytes_of_.end())
      return;
    found->second -= bytes;
    if (found->second == 0)
      bytes_of_.erase(found);
  }

  std::size_t most_bytes_;
  bool knows_all_ = true;
  time_point until_{};
  waiting_questions waiting_;
  std::map<std::string, those_that_wait> abouts_;
  /// What may come, each until then, and in the order of that.
  std::map<std::string, time_point> expected_;
  std::set<std::pair<time_point, std::string>> dues_;
  /// While what is looked for has come.
  bool is_coming_ = false;
  /// Of those that wait: of all, and by who asks.
  std::size_t bytes_ = 0;
  std::map<std::string, std::size_t> bytes_of_;
};

} // namespace troupe::host
