#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/time.hpp"

namespace troupe::router::detail {

/// Decides when messages that an earlier process of this node had accepted go to agents of the
/// node itself, where that process did not end cleanly: one of them may have ended it, and would
/// end each later one. How often the process has ended while an agent had a message is counted on
/// the disk. The end of this one is counted before the agent gets the message, so a message that
/// only waits is not counted.
///
/// For each agent one of them is on its way at a time. All that are on their way when the process
/// ends are counted, also those that are not to blame. So one that has used half of its chances
/// goes alone: those that are not to blame come to that as well, and are handled then. While one
/// waits for that no others begin, however many there are. An agent that takes long holds up those
/// of others for `longest_alone` only.
///
/// Part of a machine. Cost: O(log n); while there are none, one comparison.
class probation {
public:
  using content = std::uint64_t;

  /// Most that end a process do it in less.
  static constexpr duration longest_alone = std::chrono::minutes{1};

  explicit probation(std::uint32_t max_deliveries) : chances_(max_deliveries) {}

  /// Whether one that was counted so often is given up.
  [[nodiscard]] bool is_over(std::uint32_t ends) const {
    return ends >= chances_;
  }

  void add(content what, const agent_id& agent, std::uint32_t ends) {
    items_.emplace(what, item{agent, ends});
  }

  [[nodiscard]] bool contains(content what) const {
    return items_.contains(what);
  }

  /// Whether it may go now, or be counted so that it goes then. If not, take_freed() says when to
  /// ask again.
  [[nodiscard]] bool may_go(content what) {
    auto found = items_.find(what);
    if (found == items_.end())
      return true;
    auto& agent = found->second.agent;
    if (turns_.contains(agent))
      return false;
    auto alone = goes_alone(found->second);
    if (on_their_way_.empty() || (!alone && !alone_ && !is_held_up(found->second)))
      return true;
    (alone ? awaiting_alone_ : awaiting_).insert(agent);
    return false;
  }

  /// Whether the disk has counted the end of this process for it, or need not.
  [[nodiscard]] bool is_counted(content what) const {
    auto found = items_.find(what);
    return found == items_.end() || found->second.is_counted;
  }

  /// It is on its way, or being counted.
  /// @pre may_go()
  void go(time_point now, content what) {
    auto found = items_.find(what);
    if (found == items_.end())
      return;
    turns_.emplace(found->second.agent, what);
    on_their_way_.emplace(what, now + longest_alone);
    until_.emplace(now + longest_alone, what);
    if (goes_alone(found->second))
      alone_ = what;
  }

  void counted(content what) {
    if (auto found = items_.find(what); found != items_.end())
      found->second.is_counted = true;
  }

  /// Its agent has not got it, or has given it back.
  void back(content what) {
    if (auto found = items_.find(what); found != items_.end()) {
      leave(what);
      end_turn(what, found->second);
    }
  }

  /// Its agent has failed, and so has not ended the process; it gets it again.
  void failed(content what, bool is_passed) {
    auto found = items_.find(what);
    if (found == items_.end())
      return;
    leave(what);
    if (is_passed && end_turn(what, found->second))
      free(found->second.agent);
  }

  void end(content what) {
    auto gone = items_.extract(what);
    if (!gone)
      return;
    leave(what);
    if (end_turn(what, gone.mapped()))
      free(gone.mapped().agent);
  }

  /// Those that take long do not hold up others any more.
  void tick(time_point now) {
    while (!until_.empty() && until_.begin()->first <= now)
      leave(until_.begin()->second);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return until_.empty() ? std::nullopt : std::optional{until_.begin()->first};
  }

  /// The agents whose next message may go since. Asked again until there are none, as those that
  /// were freed may have nothing that goes.
  [[nodiscard]] std::set<agent_id> take_freed() {
    if (freed_.empty() && on_their_way_.empty())
      free_next();
    return freed_.empty() ? std::set<agent_id>{} : std::exchange(freed_, {});
  }

  /// Those for which the end of this process is counted, or about to be, with how often an earlier
  /// one has ended.
  [[nodiscard]] std::vector<std::pair<content, std::uint32_t>> counted() const {
    std::vector<std::pair<content, std::uint32_t>> result;
    for (auto& [what, each] : items_)
      if (each.is_counted || has_turn(what, each))
        result.emplace_back(what, each.ends);
    return result;
  }

  /// Whether an earlier process has ended while an agent had one of them.
  [[nodiscard]] bool has_suspects() const {
    for (auto& [what, each] : items_)
      if (each.ends > 0)
        return true;
    return false;
  }

private:
  struct item {
    agent_id agent;
    /// Of earlier processes.
    std::uint32_t ends = 0;
    bool is_counted = false;
  };

  [[nodiscard]] bool goes_alone(const item& what) const {
    return what.ends >= chances_ / 2;
  }

  [[nodiscard]] bool has_turn(content what, const item& it) const {
    auto found = turns_.find(it.agent);
    return found != turns_.end() && found->second == what;
  }

  /// By one that goes alone and waits until all are back. It does not wait for what is to be
  /// counted yet; what is counted goes, so that nothing is counted that waits.
  [[nodiscard]] bool is_held_up(const item& what) const {
    return !awaiting_alone_.empty() && !what.is_counted;
  }

  /// Its next message may go, but not before one that goes alone and was just freed.
  void free(const agent_id& agent) {
    (is_alone_next_ ? awaiting_ : freed_).insert(agent);
  }

  void leave(content what) {
    if (auto gone = on_their_way_.extract(what))
      until_.erase({gone.mapped(), what});
    if (alone_ == what)
      alone_.reset();
    is_alone_next_ = false;
    if (on_their_way_.empty())
      free_next();
  }

  /// One that goes alone, else all others.
  void free_next() {
    is_alone_next_ = !awaiting_alone_.empty();
    if (is_alone_next_)
      freed_.insert(awaiting_alone_.extract(awaiting_alone_.begin()).value());
    else if (!awaiting_.empty())
      freed_.merge(std::exchange(awaiting_, {}));
  }

  bool end_turn(content what, const item& it) {
    if (!has_turn(what, it))
      return false;
    turns_.erase(it.agent);
    return true;
  }

  std::uint32_t chances_;
  std::map<content, item> items_;
  /// Which of its messages each agent has, or is to get next.
  std::map<agent_id, content> turns_;
  /// Of those, all that may end the process now, with how long others wait for that.
  std::map<content, time_point> on_their_way_;
  std::set<std::pair<time_point, content>> until_;
  std::optional<content> alone_;
  /// Agents whose messages wait for those of others.
  std::set<agent_id> awaiting_;
  /// The same of those that go alone: one at a time, before the others.
  std::set<agent_id> awaiting_alone_;
  /// One of them was freed last.
  bool is_alone_next_ = false;
  std::set<agent_id> freed_;
};

} // namespace troupe::router::detail
