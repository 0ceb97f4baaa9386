#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "troupe/channel/latest_map.hpp"
#include "troupe/channel/number_set.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::channel {

/// What a receiver knows of contents by their ids, so that a sender that restarts and sends them
/// again in its next session is told how they have ended, no agent gets twice what it has, and each
/// failure counts.
///
/// Bounded: of the session that runs what the sender may not know, else what came last. Steps like
/// any machine. Cost: O(log n), but O(n) for each message that goes to an agent while agents have
/// something of an earlier session.
class known_contents {
public:
  using content = std::uint64_t;
  /// A message of a session.
  using place = std::pair<boot_number, sequence_number>;

  /// What an agent has of an earlier session.
  struct holding {
    agent_id agent;
    content_id id{};
    content what = 0;
    std::uint32_t failures = 0;
    /// Its agent is given up then.
    time_point until{};
    /// Its number in this session, once it is that agent's turn to have it; zero: not yet.
    sequence_number now = 0;
  };

  explicit known_contents(const options& how)
    : most_(how.max_messages), failures_(slack * most_), before_(id_slack * most_) {}

  // -- how they have ended -------------------------------------------------------------

  /// That one has ended in this session.
  void ended(sequence_number number, const content_id& id) {
    ids_.emplace_hint(ids_.end(), number, id);
    if (ids_.size() > id_slack * most_)
      ids_.erase(ids_.begin()); // the sender does not do as it should
  }

  /// The sender knows that these have ended.
  void forget(const number_range& which) {
    ids_.erase(ids_.lower_bound(which.first), ids_.lower_bound(which.end));
  }

  /// It has ended without having come in this session.
  void ended_before(const content_id& id, ending how) {
    before_.put(id, std::move(how));
  }

  /// How it has ended before it came in this session; that is known in this session from here on.
  [[nodiscard]] std::optional<ending> take_end(const content_id& id) {
    return before_.empty() ? std::nullopt : before_.take(id);
  }

  // -- how often agents have failed ----------------------------------------------------

  /// One that goes back, or comes again in another session. What is known does not grow less.
  void failed(const agent_id& agent, const content_id& id, std::uint32_t failures) {
    if (failures == 0 || planted_flaw == flaw::failures_forgotten)
      return;
    failures_.put({id, agent}, std::max(failures, take_failures(agent, id)));
  }

  /// Once more, before it came in this session.
  void failed_again(const agent_id& agent, const content_id& id) {
    auto before = take_failures(agent, id);
    failed(agent, id, std::max(before, before + 1));
  }

  /// How often it had failed when failed() said so last.
  std::uint32_t take_failures(const agent_id& agent, const content_id& id) {
    return failures_.empty() ? 0 : failures_.take({id, agent}).value_or(0);
  }

  // -- what agents have ----------------------------------------------------------------

  /// The session ends, in which those in `others` were not handled. Returns the numbers of what
  /// agents have of earlier ones.
  std::set<sequence_number> end_session(std::map<sequence_number, ending>& others) {
    for (auto& [number, id] : std::exchange(ids_, {})) {
      auto how = others.find(number);
      before_.put(id,
                  how != others.end() ? std::move(how->second) : ending{number, outcome::handled});
    }
    if (planted_flaw == flaw::ends_forgotten)
      before_.clear();
    std::set<sequence_number> numbers;
    for (auto& [at, each] : had_)
      numbers.insert(std::exchange(each.now, 0));
    return numbers;
  }

  /// Its agent has it still. Returns what is not known any more, as there is too much of it.
  std::optional<holding> hold(const place& which, holding what) {
    had_until_.emplace(what.until, which);
    had_.emplace(which, std::move(what));
    return had_.size() > slack * most_ ? let_go(place{had_.begin()->first}) : std::nullopt;
  }

  /// Whether its agent has it of an earlier session; it is its turn in this one.
  bool is_held(const content_id& id, sequence_number now) {
    auto found = std::ranges::find(had_, id, [](const auto& each) { return each.second.id; });
    if (found != had_.end())
      found->second.now = now;
    return found != had_.end();
  }

  /// The agent has done with it, if it had it of an earlier session.
  std::optional<holding> let_go(const place& which) {
    auto gone = had_.extract(which);
    if (!gone)
      return std::nullopt;
    had_until_.erase({gone.mapped().until, gone.key()});
    return std::move(gone.mapped());
  }

  /// One whose agent is to be given up, with its number in the session where it came.
  std::optional<std::pair<sequence_number, holding>> take_silent(time_point now) {
    if (had_until_.empty() || had_until_.begin()->first > now)
      return std::nullopt;
    auto which = had_until_.begin()->second;
    return std::pair{which.second, *let_go(which)};
  }

  /// Of take_silent().
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return had_until_.empty() ? std::nullopt : std::optional{had_until_.begin()->first};
  }

  // -- what is there -------------------------------------------------------------------

  [[nodiscard]] std::size_t held() const {
    return had_.size();
  }

  /// Of single messages whose ends are known.
  [[nodiscard]] std::size_t ends() const {
    return ids_.size() + before_.size();
  }

  [[nodiscard]] std::size_t failures() const {
    return failures_.size();
  }

private:
  /// A sender has taken back some of what is here, and sends others.
  static constexpr std::size_t slack = 2;
  /// A sender tells which have ended each time that it has sent so many, and waits for the answer
  /// when it has sent twice as many.
  static constexpr std::size_t id_slack = 4;

  std::size_t most_;
  /// By ids and agents.
  latest_map<std::pair<content_id, agent_id>, std::uint32_t> failures_;
  /// The messages of this session that have ended, as far as the sender may not know it.
  std::map<sequence_number, content_id> ids_;
  /// The same of earlier sessions, until they come again. A sender that has restarted since begins
  /// with what it has sent already, so that the earliest have come again, or will not.
  latest_map<content_id, ending> before_;
  std::map<place, holding> had_;
  std::set<std::pair<time_point, place>> had_until_;
};

} // namespace troupe::channel
