#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/shares.hpp"

namespace troupe::host {

/// Questions that wait for changes, indexed by topic: a change checks only the questions whose
/// interest matches its topic. Questions without an interest are checked after every change.
/// Answers are given in pieces, so that a change that concerns ten thousand watchers does not
/// delay other messages until all are answered.
///
/// A plain class: the caller provides the time, the changes, and how much to do at once.
class waiting_questions {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// One question. Its functions get the mark (see indexed_query) up to which nothing concerned it.
  struct question {
    /// Empty: any change may be news.
    std::optional<interest> about;
    std::function<bool(std::uint64_t seen)> has_news;
    std::function<void(std::uint64_t seen)> answer;
    std::function<void(const problem&)> refuse;
    /// At this time it is answered with or without news.
    time_point ends;
    /// Who asks; empty: that is not known.
    std::string by{};
  };

  void add(question what) {
    shares_.take(what.by);
    auto which = waiting_.emplace(waiting_.end());
    which->what = std::move(what);
    which->alarm = alarms_.emplace(which->what.ends, which);
    auto& about = which->what.about;
    auto& those = about ? (about->exact ? exact_ : prefixes_)[about->topic] : any_;
    which->place = those.insert(those.end(), which);
    if (about && !about->exact)
      ++lengths_[about->topic.size()];
  }

  /// Call after any change: checks the questions without an interest for news.
  void look() {
    ask_all(any_);
  }

  /// Checks the questions that a change of `topic` concerns for news.
  /// Cost: O(different lengths of the waiting prefixes, up to that of the topic), plus O(1) for
  /// each of these questions.
  void look(std::string_view topic) {
    ask_all_of(exact_, topic);
    for (auto each = lengths_.begin(); each != lengths_.end() && each->first <= topic.size();) {
      auto length = each->first;
      ++each; // before the last question of a length erases it
      ask_all_of(prefixes_, topic.substr(0, length));
    }
  }

  /// Checks all questions for news.
  void look_at_all() {
    for (auto each = waiting_.begin(); each != waiting_.end();)
      ask(each++);
  }

  /// Notes that all topics up to `mark` have been checked.
  void seen(std::uint64_t mark) {
    seen_ = mark;
  }

  [[nodiscard]] std::uint64_t seen() const {
    return seen_;
  }

  /// Makes the questions due whose wait is over.
  void tick(time_point now) {
    while (!alarms_.empty() && alarms_.begin()->first <= now)
      settle(alarms_.begin()->second);
  }

  /// Gives up to `most` answers; returns whether more are due.
  bool answer_some(std::size_t most) {
    for (; most > 0 && !due_.empty(); --most) {
      auto [what, since] = std::move(due_.front());
      due_.pop_front();
      shares_.give_back(what.by);
      what.answer(since);
    }
    return !due_.empty();
  }

  void refuse_all(const problem& why) {
    auto due = std::exchange(due_, {});
    while (!waiting_.empty())
      settle(waiting_.begin());
    std::ranges::move(std::exchange(due_, {}), std::back_inserter(due));
    shares_.clear();
    for (auto& [what, since] : due)
      what.refuse(why);
  }

  /// Returns the number of questions that wait or are due.
  [[nodiscard]] std::size_t size() const {
    return waiting_.size() + due_.size();
  }

  /// Returns limit_reached if no other question of `by` may wait where `most` do altogether.
  [[nodiscard]] problem no_room_for(const std::string& by, std::size_t most) const {
    if (size() >= most)
      return {errc::limit_reached,
              std::to_string(most) + " questions wait for news; ask without wait"};
    if (shares_.may_take(by, most - size()))
      return {};
    return {errc::limit_reached, std::to_string(shares_.of(by))
                                   + " questions of this identity wait for news, and there is room "
                                     "for as many of all; end watchers, or ask without wait"};
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return alarms_.empty() ? std::nullopt : std::optional{alarms_.begin()->first};
  }

  /// Returns how often a question was checked for news: a measure of the work for changes.
  [[nodiscard]] std::uint64_t looks() const {
    return looks_;
  }

private:
  struct entry;
  using entries = std::list<entry>;
  using places = std::list<entries::iterator>;
  using index = std::map<std::string, places, std::less<>>;
  using alarms = std::multimap<time_point, entries::iterator>;

  struct entry {
    question what;
    places::iterator place;
    alarms::iterator alarm;
  };

  void ask_all_of(const index& in, std::string_view topic) {
    if (auto found = in.find(topic); found != in.end())
      ask_all(found->second);
  }

  /// Questions that become due leave the list, which may be erased with the last one.
  void ask_all(const places& those) {
    auto each = those.begin();
    for (auto left = those.size(); left > 0; --left)
      ask(*each++);
  }

  void ask(entries::iterator which) {
    ++looks_;
    if (which->what.has_news(seen_))
      settle(which);
  }

  /// Makes a question due.
  void settle(entries::iterator which) {
    alarms_.erase(which->alarm);
    if (auto& about = which->what.about)
      take_out_of(about->exact ? exact_ : prefixes_, *which);
    else
      any_.erase(which->place);
    due_.emplace_back(std::move(which->what), seen_);
    waiting_.erase(which);
  }

  void take_out_of(index& in, const entry& what) {
    auto& [topic, exact] = *what.what.about;
    auto found = in.find(topic);
    found->second.erase(what.place);
    if (found->second.empty())
      in.erase(found);
    auto length = lengths_.find(topic.size());
    if (!exact && --length->second == 0)
      lengths_.erase(length);
  }

  entries waiting_;
  places any_;
  index exact_;
  index prefixes_;
  /// Lengths of the waiting prefixes, each with its number of questions.
  std::map<std::size_t, std::size_t> lengths_;
  alarms alarms_;
  std::deque<std::pair<question, std::uint64_t>> due_; // each with the last mark before it
  shares<std::string> shares_;
  std::uint64_t seen_ = 0;
  std::uint64_t looks_ = 0;
};

} // namespace troupe::host
