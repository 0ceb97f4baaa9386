#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/directory.hpp"
#include "troupe/router/types.hpp"
#include "troupe/router/waiting_room.hpp"

namespace troupe::router::detail {

/// The agents of one node that a message goes to.
struct stop {
  node_id node{};
  std::vector<agent_id> agents;
  /// What it was taken for; zero on the router's own node, where nothing waits.
  std::size_t bytes = 0;
};

/// Where a message goes.
struct route {
  std::vector<stop> stops;
  send_report report;
  /// Why it goes nowhere: not_found, limit_reached, too_large or bad_argument.
  problem refusal{};
};

/// Finds out where messages go, and takes them only as far as there is room on the way: so whoever
/// sends one hears at once that it is refused, without waiting for the router.
///
/// Thread-safe. Calls nothing of others while it is locked.
class routes {
public:
  /// Says whether an agent of that id is on the router's own node.
  using is_here = std::function<bool(std::string_view agent)>;
  /// Says how many bytes a payload has; npos if it cannot be written.
  using size_of_payload = std::function<std::size_t()>;

  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  routes(const node_id& node, const router_options& options) : node_(node), options_(options) {}

  // -- where agents are ----------------------------------------------------------------

  void put(location what) {
    std::lock_guard guard{mutex_};
    places_.put(std::move(what));
  }

  void remove(const agent_id& agent, const node_id& node) {
    std::lock_guard guard{mutex_};
    places_.remove(agent, node);
  }

  /// Forgets all agents of other nodes but these, each with its node.
  void keep_others(const std::set<std::pair<agent_id, node_id>>& those) {
    std::lock_guard guard{mutex_};
    places_.remove_if([&](const agent_id& agent, const node_id& node) {
      return node != node_ && !those.contains({agent, node});
    });
  }

  /// Returns the node of an agent, all zero if there is none.
  [[nodiscard]] node_id node_of(const agent_id& agent) {
    std::lock_guard guard{mutex_};
    const auto* found = places_.find_one(to_agent(agent));
    return found != nullptr ? found->node : node_id{};
  }

  /// Whether that agent is said to be on `node`, or nowhere: a new one may not be heard of yet. One
  /// that `is_own_agent`, on the router's own node, is somewhere before that is said.
  [[nodiscard]] bool may_be_on(const agent_id& agent, const node_id& node,
                               bool is_own_agent) const {
    std::lock_guard guard{mutex_};
    return places_.is_on(agent, node) || (!is_own_agent && places_.count(to_agent(agent)) == 0);
  }

  // -- messages ------------------------------------------------------------------------

  /// Finds out where a message for `who` goes and takes it, with so many bytes for who sent it (see
  /// letter::from). Whoever asks sends it, or says drop() of its bytes.
  [[nodiscard]] route plan(const recipients& who, std::size_t from_bytes, const is_here& here,
                           const size_of_payload& size) {
    auto is_one = who.who == audience::agent || who.who == audience::any_with_capability;
    auto result = is_one ? find_one(who, here) : find_many(who);
    auto is_elsewhere = [this](const stop& each) { return each.node != node_; };
    auto payload = std::ranges::any_of(result.stops, is_elsewhere) ? size() : 0;
    std::vector<stop> taken;
    for (auto& each : result.stops) {
      auto why = is_elsewhere(each) ? take(each, payload, from_bytes) : problem{};
      auto agents = static_cast<std::uint32_t>(each.agents.size());
      (!why ? result.report.sent : result.report.refused) += agents;
      if (!why)
        taken.push_back(std::move(each));
      else if (is_one || why.code != errc::limit_reached)
        result.refusal = std::move(why);
    }
    result.stops = std::move(taken);
    if (result.refusal)
      take_back(result);
    count(result);
    return result;
  }

  // -- what waits: for the router ------------------------------------------------------

  /// So many bytes taken for a node wait no more.
  void drop(const node_id& node, std::size_t bytes) {
    with(node, [&](room& it) { it.bytes.drop(bytes); });
  }

  /// While a node has a link, messages for it come and go: it is not forgotten each time.
  void set_linked(const node_id& node, bool is_linked) {
    with(node, [&](room& it) { it.is_linked = is_linked; });
  }

  /// Whether anything that was taken for a node still waits.
  [[nodiscard]] bool has_waiting(const node_id& node) const {
    std::lock_guard guard{mutex_};
    auto found = rooms_.find(node);
    return found != rooms_.end() && found->second.bytes.waiting_bytes() > 0;
  }

  /// Adds what was refused here, and what waits, to the statistics of the router.
  void add_to(router_statistics& sum) const {
    std::lock_guard guard{mutex_};
    sum.unknown += unknown_;
    sum.refused += refused_;
    for (auto& [node, each] : rooms_)
      sum.waiting_bytes += each.bytes.waiting_bytes();
  }

private:
  /// What a letter has beside its payload and names.
  static constexpr std::size_t letter_bytes = 20;

  /// For messages to one node.
  struct room {
    waiting_room bytes;
    bool is_linked = false;
  };

  route find_one(const recipients& who, const is_here& here) {
    route result;
    if (who.who == audience::agent && here(who.name)) {
      result.stops.push_back({node_, {who.name}});
      return result;
    }
    {
      std::lock_guard guard{mutex_};
      if (const auto* found = places_.find_one(who))
        result.stops.push_back({found->node, {found->agent}});
    }
    if (result.stops.empty()
        || (result.stops.front().node == node_
            && !here(result.stops.front().agents.front().text()))) {
      result.stops.clear();
      result.refusal = nobody(who);
    }
    return result;
  }

  route find_many(const recipients& who) {
    route result;
    std::map<node_id, std::vector<agent_id>> by_node;
    {
      std::lock_guard guard{mutex_};
      auto all = places_.count(who);
      auto found = places_.find(who, options_.max_recipients);
      result.report.left_out = static_cast<std::uint32_t>(all - found.size());
      for (auto& each : found)
        by_node[each.node].push_back(std::move(each.agent));
    }
    for (auto& [node, agents] : by_node)
      result.stops.push_back({node, std::move(agents)});
    return result;
  }

  problem take(stop& where, std::size_t payload, std::size_t from_bytes) {
    if (payload == npos)
      return unwritable();
    where.bytes = payload + from_bytes + letter_bytes;
    for (auto& each : where.agents)
      where.bytes += each.text().size() + 1;
    if (where.bytes > options_.max_message_bytes)
      return too_large(where.bytes, options_.max_message_bytes);
    return with(where.node, [&](room& it) {
      return it.bytes.take(where.bytes) ? problem{}
                                        : too_much_waits(where.node, it.bytes.waiting_bytes());
    });
  }

  /// It goes nowhere.
  void take_back(route& what) {
    for (auto& each : std::exchange(what.stops, {}))
      if (each.node != node_)
        drop(each.node, each.bytes);
    what.report.refused += std::exchange(what.report.sent, 0);
  }

  void count(const route& what) {
    if (!what.refusal && what.report.refused == 0 && what.report.left_out == 0)
      return;
    std::lock_guard guard{mutex_};
    if (what.refusal.code == errc::not_found)
      ++unknown_;
    refused_ += what.report.refused + what.report.left_out;
  }

  /// Runs `job` on the room of `node`; one without a link in which nothing waits is forgotten.
  template <class Job>
  std::invoke_result_t<Job, room&> with(const node_id& node, Job job) {
    struct tidy {
      std::map<node_id, room>& rooms;
      std::map<node_id, room>::iterator which;

      ~tidy() {
        if (!which->second.is_linked && which->second.bytes.waiting_bytes() == 0)
          rooms.erase(which);
      }
    };

    std::lock_guard guard{mutex_};
    auto most = waiting_room{options_.max_waiting_bytes};
    tidy after{rooms_, rooms_.try_emplace(node, room{most}).first};
    return job(after.which->second);
  }

  const node_id node_;
  const router_options options_;
  mutable std::mutex mutex_;
  directory places_;
  std::map<node_id, room> rooms_;
  std::uint64_t unknown_ = 0;
  std::uint64_t refused_ = 0;
};

} // namespace troupe::router::detail
