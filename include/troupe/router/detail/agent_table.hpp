#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caf/actor_addr.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/node_id.hpp"
#include "caf/scheduled_actor.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/agent_inbox.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/inbox_report.hpp"
#include "troupe/router/inbox_space.hpp"
#include "troupe/router/node_inboxes.hpp"

namespace troupe::router::detail {

/// A message that waits for an agent of this process.
struct waiting_message {
  caf::message payload;
  /// Who asks the agent; of a message that wants no answer: nobody.
  asker by;
};

/// Who waits for room for messages to an agent of this process.
struct room_asker {
  asker by;
  /// Of the link that the question came over; all zero: of none.
  node_id node{};

  /// Whether two ask for the same.
  struct same {
    bool operator()(const room_asker& one, const room_asker& other) const {
      if (one.node != other.node || one.node != node_id{})
        return one.node == other.node;
      return one.by.who == other.by.who;
    }
  };
};

/// The actors that a router hands messages to, by their ids as agents, each with its inbox. The
/// router watches each, so that it hears of its end and calls end_of(). One actor may have several
/// ids.
///
/// Thread-safe; add() and remove() are for the router's own actor, `self`. Calls nothing while
/// it is locked.
class agent_table {
public:
  using inboxes = node_inboxes<waiting_message, room_asker, room_asker::same>;
  using inbox = inboxes::inbox;
  using place_number = inboxes::place_number;

  struct entry {
    /// Null: there is no such agent.
    caf::strong_actor_ptr handle;
    /// Whether it gets a message_info in front of each message.
    bool takes_info = false;
    place_number place = 0;
    /// See inbox_options::ordered.
    bool is_ordered = true;
    /// Whether it has a once_store, and gets each message as a kept_message.
    bool has_store = false;

    explicit operator bool() const {
      return handle != nullptr;
    }
  };

  /// What has waited for an agent that is gone, and those who have waited for room.
  struct remains {
    std::vector<std::pair<agent_id, waiting_message>> messages;
    std::vector<room_asker> askers;
  };

  /// What waits for all agents has so many bytes at most.
  explicit agent_table(std::size_t max_waiting_bytes = std::numeric_limits<std::size_t>::max())
    : inboxes_(max_waiting_bytes) {}

  // -- agents --------------------------------------------------------------------------

  /// Returns limit_reached or name_taken.
  [[nodiscard]] problem add(caf::event_based_actor* self, const agent_id& id,
                            const caf::strong_actor_ptr& agent, std::size_t most,
                            bool takes_info = false, const inbox_options& how = {},
                            bool has_store = false) {
    auto is_first = false;
    {
      std::lock_guard guard{mutex_};
      if (by_id_.contains(id))
        return {errc::name_taken,
                "there is an agent '" + id.text() + "' here already; take another id"};
      if (by_id_.size() >= most)
        return {errc::limit_reached, std::to_string(by_id_.size())
                                       + " agents are registered here; use another node or raise "
                                         "router_options::max_agents"};
      auto made
        = by_id_
            .try_emplace(id, entry{agent, takes_info, ++last_place_, how.ordered, has_store}, how,
                         inboxes_.room())
            .first;
      made->second.gives_signs = gives_signs(self, agent);
      by_place_.emplace(last_place_, made);
      auto& ids = ids_[agent->address()];
      ids.insert(id);
      is_first = ids.size() == 1;
    }
    if (is_first)
      self->monitor(agent);
    return {};
  }

  /// Returns the agent that had this id, null if there was none.
  caf::strong_actor_ptr remove(caf::event_based_actor* self, const agent_id& id, remains& left) {
    caf::strong_actor_ptr agent;
    {
      std::lock_guard guard{mutex_};
      auto found = by_id_.find(id);
      if (found == by_id_.end())
        return nullptr;
      agent = take_out(found, left);
      auto who = ids_.find(agent->address());
      who->second.erase(id);
      if (!who->second.empty())
        return agent;
      ids_.erase(who);
    }
    self->demonitor(agent->address());
    return agent;
  }

  /// Takes out an actor that has ended and returns the ids that it had.
  std::set<agent_id> end_of(const caf::actor_addr& who, remains& left) {
    std::vector<caf::strong_actor_ptr> gone; // let go of when the lock is
    std::lock_guard guard{mutex_};
    auto found = ids_.extract(who);
    if (!found)
      return {};
    for (auto& id : found.mapped())
      gone.push_back(take_out(by_id_.find(id), left));
    return std::move(found.mapped());
  }

  [[nodiscard]] entry find(const agent_id& id) const {
    return find(std::string_view{id.text()});
  }

  /// The agent whose id has this text, as in recipients.
  [[nodiscard]] entry find(std::string_view id) const {
    std::lock_guard guard{mutex_};
    auto found = by_id_.find(id);
    return found != by_id_.end() ? found->second.agent : entry{};
  }

  /// Whether there is such an agent, and it has no once_store.
  [[nodiscard]] bool lacks_store(const agent_id& id) const {
    std::lock_guard guard{mutex_};
    auto found = by_id_.find(id);
    return found != by_id_.end() && !found->second.agent.has_store;
  }

  /// Whether it was here and is no more, of the first that have gone.
  [[nodiscard]] bool has_left(const agent_id& id) const {
    std::lock_guard guard{mutex_};
    return left_.contains(id) && !by_id_.contains(id);
  }

  /// Returns the id of this actor, `wanted` if it is one of several; empty if it is no agent.
  [[nodiscard]] agent_id id_of(const caf::actor_addr& who, const agent_id& wanted) const {
    std::lock_guard guard{mutex_};
    auto found = ids_.find(who);
    if (found == ids_.end())
      return {};
    return found->second.contains(wanted) ? wanted : *found->second.begin();
  }

  [[nodiscard]] std::vector<caf::strong_actor_ptr> all() const {
    std::lock_guard guard{mutex_};
    std::vector<caf::strong_actor_ptr> result;
    result.reserve(by_id_.size());
    for (auto& [id, it] : by_id_)
      result.push_back(it.agent.handle);
    return result;
  }

  /// Returns the ids of those that live in the process `where`.
  [[nodiscard]] std::vector<agent_id> ids_on(const caf::node_id& where) const {
    std::lock_guard guard{mutex_};
    std::vector<agent_id> result;
    for (auto& [id, it] : by_id_)
      if (it.agent.handle->node() == where)
        result.push_back(id);
    return result;
  }

  /// Lets go of all; they are watched until the router ends.
  void clear(remains& left) {
    std::vector<caf::strong_actor_ptr> gone;
    std::lock_guard guard{mutex_};
    while (!by_id_.empty())
      gone.push_back(take_out(by_id_.begin(), left));
    ids_.clear();
  }

  [[nodiscard]] std::size_t size() const {
    std::lock_guard guard{mutex_};
    return by_id_.size();
  }

  // -- messages: see agent_inbox -------------------------------------------------------

  /// Whether there is a place for one more message, which a sender of this process is about to
  /// send.
  struct reservation {
    entry agent{};
    /// It is taken, for so many bytes: those of the message, and routes::letter_bytes.
    bool is_taken = false;
    std::size_t bytes = 0;
    /// The size counts: ask again with it, if it was not said.
    bool wants_size = false;
  };

  /// Where a message goes that has come for an agent.
  struct passage {
    entry agent{};
    inbox::passage how{};
  };

  [[nodiscard]] passage pass(const agent_id& id, std::size_t bytes) {
    std::lock_guard guard{mutex_};
    auto found = by_id_.find(std::string_view{id.text()});
    return found != by_id_.end() ? pass(found->second, bytes, false) : passage{};
  }

  /// The same for one that bring() has taken for that agent.
  [[nodiscard]] passage pass(const reservation& to) {
    std::lock_guard guard{mutex_};
    auto found = by_place_.find(to.agent.place);
    return found != by_place_.end() ? pass(found->second->second, to.bytes, true)
                                    : passage{to.agent};
  }

  struct brought {
    reservation to{};
    /// If it is taken, and `passes`.
    std::optional<inbox::passage> how{};
  };

  /// Takes a place for a message that a sender of this process is about to send, and where it
  /// `passes` says how it goes: then it has come, as in pass().
  [[nodiscard]] brought bring(std::string_view id, const std::optional<std::size_t>& bytes,
                              const message_turn& of, bool passes) {
    std::lock_guard guard{mutex_};
    auto found = by_id_.find(id);
    if (found == by_id_.end())
      return {};
    brought result{take(found->second, bytes, of)};
    if (result.to.is_taken && passes)
      result.how = pass(found->second, result.to.bytes, true).how;
    return result;
  }

  /// A message comes that does not pass(), and is moved into the inbox, or into `out`. Returns
  /// false if it is refused, or if the agent has just ended: then `what` is as it was, and `out`
  /// too.
  bool arrive(time_point now, place_number place, waiting_message& what, std::size_t bytes,
              const std::optional<time_point>& expires_at, bool is_taken, inbox::effects& out,
              const message_turn& of) {
    auto result = false;
    with(place, [&](inboxes::place& to) {
      result = inboxes_.arrive(now, to, std::move(what), bytes, expires_at, is_taken, out, of);
    });
    return result;
  }

  /// The agent has taken out what it was to say so of.
  entry signed_for(time_point now, place_number place, inbox::effects& out) {
    return with(place, [&](inboxes::place& to) { inboxes_.signed_for(now, to, out); });
  }

  void handed(time_point now, place_number place, inbox::effects& out) {
    with(place, [&](inboxes::place& to) { inboxes_.handed(now, to, out); });
  }

  /// `full` also where that tenant may have no more there.
  [[nodiscard]] presence look_for(std::string_view id, std::string_view tenant = {}) const {
    std::lock_guard guard{mutex_};
    auto found = by_id_.find(id);
    if (found == by_id_.end())
      return presence::none;
    auto& it = found->second;
    return it.place.is_full(tenant) ? presence::full : presence::here;
  }

  /// The ids of those that have as many messages as they may, as texts.
  [[nodiscard]] std::vector<std::string> full_ones() const {
    std::vector<std::string> result;
    std::lock_guard guard{mutex_};
    for (auto place : inboxes_.full_ones())
      result.push_back(by_place_.at(place)->first.text());
    return result;
  }

  /// Keeps `by` until there is room, or returns what it is to be told; see node_inboxes.
  std::optional<inbox_space> await_room(std::string_view id, room_asker& by) {
    std::lock_guard guard{mutex_};
    auto found = by_id_.find(id);
    return found != by_id_.end() ? inboxes_.await_room(found->second.place, by)
                                 : std::optional{inbox_space{}};
  }

  /// Those who have waited for it.
  inboxes::told take_askers(place_number place) {
    std::lock_guard guard{mutex_};
    auto found = by_place_.find(place);
    return found != by_place_.end() ? inboxes_.take_waiters(found->second->second.place)
                                    : inboxes::told{};
  }

  /// Adds what waits for the agents from `first` on, at most so many of them.
  void add_to(std::map<agent_id, inbox_report>& all, const agent_id& first,
              std::size_t most) const {
    std::lock_guard guard{mutex_};
    for (auto each = by_id_.lower_bound(first); each != by_id_.end() && most > 0; ++each, --most) {
      auto& place = each->second.place;
      auto& made = all[each->first];
      made.is_here = true;
      made.waiting = place.box().waiting();
      made.waiting_bytes = place.box().waiting_bytes();
      made.is_full = place.is_full();
    }
  }

  /// What waits for all agents.
  [[nodiscard]] inbox_room waiting() const {
    std::lock_guard guard{mutex_};
    return inboxes_.waiting();
  }

private:
  struct row {
    row(entry who, const inbox_options& how, inbox_room& all)
      : agent(std::move(who)), place(agent.place, how, all) {}

    entry agent;
    inboxes::place place;
    /// Others get all that comes at once.
    bool gives_signs = false;
  };

  using rows = std::map<agent_id, row, std::less<>>;

  /// Blocking actors answer no pings, and those of another process have a link of their own.
  static bool gives_signs(caf::event_based_actor* self, const caf::strong_actor_ptr& agent) {
    return agent->node() == self->node()
           && dynamic_cast<const caf::scheduled_actor*>(agent->get()) != nullptr;
  }

  static reservation take(row& it, const std::optional<std::size_t>& bytes,
                          const message_turn& of) {
    if (!it.gives_signs)
      return {it.agent, true};
    auto wants_size = it.place.box().wants_size();
    if (!bytes && wants_size)
      return {it.agent, false, 0, true};
    auto size = (wants_size ? *bytes : 0) + routes::letter_bytes;
    return {it.agent, inboxes::take(it.place, size, of), size, wants_size};
  }

  passage pass(row& it, std::size_t bytes, bool is_taken) {
    return {it.agent, it.gives_signs ? inboxes_.pass(it.place, bytes, is_taken)
                                     : inbox::passage{true, false}};
  }

  template <class Job>
  entry with(place_number place, Job job) {
    std::lock_guard guard{mutex_};
    auto found = by_place_.find(place);
    if (found == by_place_.end())
      return {};
    auto& it = found->second->second;
    job(it.place);
    return it.agent;
  }

  caf::strong_actor_ptr take_out(rows::iterator which, remains& left) {
    auto& [id, it] = *which;
    auto over = inboxes_.end(it.place);
    for (auto& each : over.letters)
      left.messages.emplace_back(id, std::move(each));
    std::ranges::move(over.waiters, std::back_inserter(left.askers));
    auto agent = std::move(it.agent.handle);
    if (left_.size() < max_left)
      left_.insert(id);
    by_place_.erase(it.agent.place);
    by_id_.erase(which);
    return agent;
  }

  /// Who is missed is asked for in the first seconds only, see inbox_desk::absent().
  static constexpr std::size_t max_left = 1'000;

  mutable std::mutex mutex_;
  inboxes inboxes_;
  rows by_id_;
  std::unordered_map<place_number, rows::iterator> by_place_;
  std::map<caf::actor_addr, std::set<agent_id>> ids_;
  std::set<agent_id> left_;
  place_number last_place_ = 0;
};

} // namespace troupe::router::detail
