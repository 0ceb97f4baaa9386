#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router {

/// Where an agent is and what finds it.
struct location {
  agent_id agent;
  /// The node that it runs on.
  node_id node{};
  std::set<std::string> capabilities{};
  std::set<std::string> groups{};
  /// Work in hand, in units of its own.
  std::uint32_t load = 0;
  /// Gets what is meant for it, but no work that another one could do.
  bool rests = false;
  /// Calls to it fail: no work either, as long as another one could do it.
  bool ill = false;

  friend bool operator==(const location&, const location&) = default;
};

/// Which agents there are, as far as this node knows. Plain data: what the registry says
/// goes in, who is meant comes out.
///
/// An id may stand for several agents only if none of them claimed it; a message to the
/// id goes to the one on the node with the smallest id then.
class directory {
public:
  directory() = default;
  directory(directory&&) = default; // not copied: indexes point at what it holds
  directory& operator=(directory&&) = default;

  /// Puts `what` in the place of what was known of that agent on that node. O(log n) for
  /// each capability and group.
  void put(location what) {
    remove(what.agent, what.node);
    auto* put = &*agents_.insert(std::move(what)).first;
    for (auto& each : put->capabilities)
      by_capability_[each].insert(put);
    for (auto& each : put->groups)
      by_group_[each].insert(put);
  }

  void remove(const agent_id& agent, const node_id& node) {
    auto found = agents_.find(key{agent.text(), node});
    if (found == agents_.end())
      return;
    take_out(*found);
    agents_.erase(found);
  }

  [[nodiscard]] bool is_on(const agent_id& agent, const node_id& node) const {
    return agents_.contains(key{agent.text(), node});
  }

  /// Forgets all for which `condition(agent, node)` holds. O(n).
  template <class Condition>
  void remove_if(Condition condition) {
    std::erase_if(agents_, [&](const location& each) {
      auto goes = condition(each.agent, each.node);
      if (goes)
        take_out(each);
      return goes;
    });
  }

  /// Returns the agents that `who` stands for, at most `most`, in the order of their ids.
  /// any_with_capability turns round among the least loaded that neither rest nor are ill,
  /// so it is not const.
  [[nodiscard]] std::vector<location> find(const recipients& who, std::size_t most) {
    if (who.who == audience::any_with_capability)
      return only(any_in(who.name));
    return list(who, {}, most);
  }

  /// As find() for one of `who`; null if there is none. Good until the next change.
  [[nodiscard]] const location* find_one(const recipients& who) {
    if (who.who == audience::agent)
      return one_of(who.name);
    if (who.who == audience::any_with_capability)
      return any_in(who.name);
    return nullptr;
  }

  /// As find(), behind the id `after`; of any_with_capability all that could be meant.
  [[nodiscard]] std::vector<location> list(const recipients& who, const agent_id& after,
                                           std::size_t most) const {
    switch (who.who) {
      case audience::agent:
        return after < who.name && most > 0 ? only(one_of(who.name)) : std::vector<location>{};
      case audience::any_with_capability:
      case audience::all_with_capability:
        return all_in(by_capability_, who.name, after, most);
      case audience::group:
        return all_in(by_group_, who.name, after, most);
      case audience::everyone:
        return everyone(after, most);
    }
    return {};
  }

  /// Returns how many agents `who` stands for; of any_with_capability all that could be meant.
  [[nodiscard]] std::size_t count(const recipients& who) const {
    auto size_of = [&](const index& among) {
      auto found = among.find(who.name);
      return found != among.end() ? found->second.size() : 0;
    };
    switch (who.who) {
      case audience::agent:
        return one_of(who.name) != nullptr ? 1 : 0;
      case audience::any_with_capability:
      case audience::all_with_capability:
        return size_of(by_capability_);
      case audience::group:
        return size_of(by_group_);
      case audience::everyone:
        return agents_.size();
    }
    return 0;
  }

private:
  /// Agent, node.
  using key = std::pair<std::string_view, const node_id&>;

  /// Below all ids of nodes, and that of none.
  static constexpr node_id no_node{};

  struct by_key {
    using is_transparent = void;

    static key of(const key& one) {
      return one;
    }

    static key of(const location& one) {
      return {one.agent.text(), one.node};
    }

    static key of(const location* one) {
      return of(*one);
    }

    bool operator()(const auto& left, const auto& right) const {
      return of(left) < of(right);
    }
  };

  using index = std::map<std::string, std::set<const location*, by_key>, std::less<>>;

  void take_out(const location& what) {
    for (auto& each : what.capabilities)
      take_out(by_capability_, each, what);
    for (auto& each : what.groups)
      take_out(by_group_, each, what);
  }

  static void take_out(index& from, const std::string& name, const location& what) {
    auto found = from.find(name);
    found->second.erase(&what);
    if (found->second.empty())
      from.erase(found);
  }

  [[nodiscard]] const location* one_of(std::string_view agent) const {
    auto found = agents_.lower_bound(key{agent, no_node});
    return found != agents_.end() && found->agent == agent ? &*found : nullptr;
  }

  static std::vector<location> only(const location* found) {
    return found != nullptr ? std::vector{*found} : std::vector<location>{};
  }

  [[nodiscard]] const location* any_in(const std::string& capability) {
    auto found = by_capability_.find(capability);
    if (found == by_capability_.end())
      return nullptr;
    auto rank = [](const location& each) { return std::pair{each.rests || each.ill, each.load}; };
    std::vector<const location*> best;
    for (auto* each : found->second) {
      if (!best.empty() && rank(*each) < rank(*best.front()))
        best.clear();
      if (best.empty() || rank(*each) == rank(*best.front()))
        best.push_back(each);
    }
    return best[turn_++ % best.size()];
  }

  [[nodiscard]] std::vector<location> all_in(const index& where, const std::string& name,
                                             const agent_id& after, std::size_t most) const {
    std::vector<location> result;
    auto found = where.find(name);
    if (found == where.end())
      return result;
    auto& among = found->second;
    auto first = behind(after);
    for (auto each = among.lower_bound(key{first, no_node}); each != among.end(); ++each) {
      if (result.size() == most)
        break;
      result.push_back(**each);
    }
    return result;
  }

  [[nodiscard]] std::vector<location> everyone(const agent_id& after, std::size_t most) const {
    std::vector<location> result;
    auto first = behind(after);
    for (auto each = agents_.lower_bound(key{first, no_node}); each != agents_.end(); ++each) {
      if (result.size() == most)
        break;
      result.push_back(*each);
    }
    return result;
  }

  /// Not above any id behind `after`, and above all others.
  static std::string behind(const agent_id& after) {
    return after.empty() ? std::string{} : after.text() + '\0';
  }

  /// Their addresses do not change, so indexes can point at them.
  std::set<location, by_key> agents_;
  index by_capability_;
  index by_group_;
  std::uint64_t turn_ = 0;
};

} // namespace troupe::router
