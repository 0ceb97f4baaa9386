#pragma once

#include <algorithm>
#include <array>
#include <chrono>
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
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
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

/// What a directory has of one agent by itself. What finds it are the indexes: a node knows all
/// agents of its cluster, which mostly can do the same few things.
struct place {
  agent_id agent;
  node_id node{};
  std::uint32_t load = 0;
  bool rests = false;
  bool ill = false;
};

/// Which agents there are, as far as this node knows. Plain data: what the registry says
/// goes in, who is meant comes out.
///
/// An id may stand for several agents only if none of them claimed it; a message to the
/// id goes to the one on the node with the smallest id then.
///
/// Work that any agent with a capability may do goes to the less loaded one of two: the one whose
/// turn it is, and one that is drawn at random. Agents that rest or are ill are among them only
/// where there is no other. To its load counts what an agent was given here since it was put here
/// last: requests until ended(), messages without an answer for one to two seconds. So equals are
/// taken in turn, and many directories, which hear of loads some time later, do not all choose the
/// same agent. Source: Mitzenmacher, "The power of two choices in randomized load balancing", IEEE
/// TPDS 2001; there both are drawn at random.
class directory {
public:
  /// Directories with different seeds draw differently.
  explicit directory(std::uint64_t seed = 0) : random_(seed) {}
  directory(directory&&) = default; // not copied: indexes point at what it holds
  directory& operator=(directory&&) = default;

  /// Puts `what` in the place of what was known of that agent on that node. O(log n) for
  /// each capability and group, and O(c^2) in the capabilities of one agent.
  void put(location what) {
    remove(what.agent, what.node);
    auto& [agent, node, capabilities, groups, load, rests, ill] = what;
    const auto* put = &*agents_.insert(holder{{std::move(agent), node, load, rests, ill}}).first;
    put->given.since = ++last_put_;
    put->seats.reserve(capabilities.size());
    for (auto& each : capabilities) {
      auto& in = pool_of(each);
      in.second.all.insert(put);
      sit_down(*put, in);
    }
    put->groups.reserve(groups.size());
    for (auto& each : groups) {
      auto& in = *by_group_.try_emplace(each).first;
      in.second.insert(put);
      put->groups.push_back(&in);
    }
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
    std::erase_if(agents_, [&](const holder& each) {
      auto goes = condition(each.agent, each.node);
      if (goes)
        take_out(each);
      return goes;
    });
  }

  /// One agent that a message goes to.
  struct choice {
    /// Null: there is none. Good until the next change.
    const place* where = nullptr;
    /// For ended(), if this is work that any agent could do; else zero.
    std::uint64_t given = 0;
  };

  /// Returns the agent of that id, null if there is none. Good until the next change.
  [[nodiscard]] const place* find_agent(std::string_view id) const {
    return one_of(id);
  }

  /// Returns the agents that `who`, many, stands for, at most `most`, in the order of their ids.
  [[nodiscard]] std::vector<location> find(const recipients& who, std::size_t most) const {
    return list(who, {}, most);
  }

  /// Chooses one of `who`, who are one. Work that any could do is counted as given to it: if an
  /// answer `is_awaited`, until ended(). `now`: that of one clock. Cost: O(log n).
  [[nodiscard]] choice find_one(const recipients& who, bool is_awaited, time_point now) {
    if (who.who == audience::agent)
      return {one_of(who.name)};
    const auto* found = who.who == audience::any_with_capability ? draw(who.name, now) : nullptr;
    if (found == nullptr)
      return {};
    if (!is_awaited)
      found->given.send(now);
    else
      ++found->given.open;
    return {found, is_awaited ? found->given.since : 0};
  }

  /// A request that was `given` as work has ended, however it did. Harmless if the agent has been
  /// put here anew, or is gone.
  void ended(const agent_id& agent, const node_id& node, std::uint64_t given) {
    auto found = agents_.find(key{agent.text(), node});
    if (found != agents_.end() && found->given.since == given && found->given.open > 0)
      --found->given.open;
  }

  /// As find(), behind the id `after`; of any_with_capability all that could be meant, of an agent
  /// it.
  [[nodiscard]] std::vector<location> list(const recipients& who, const agent_id& after,
                                           std::size_t most) const {
    switch (who.who) {
      case audience::agent:
        return after < who.name && most > 0 ? only(one_of(who.name)) : std::vector<location>{};
      case audience::any_with_capability:
      case audience::all_with_capability:
      case audience::group: {
        const auto* among = all_of(who);
        return among != nullptr ? some_of(*among, after, most) : std::vector<location>{};
      }
      case audience::everyone:
        return some_of(agents_, after, most);
    }
    return {};
  }

  /// Returns how many agents `who` stands for; of any_with_capability all that could be meant.
  [[nodiscard]] std::size_t count(const recipients& who) const {
    switch (who.who) {
      case audience::agent:
        return one_of(who.name) != nullptr ? 1 : 0;
      case audience::any_with_capability:
      case audience::all_with_capability:
      case audience::group: {
        const auto* among = all_of(who);
        return among != nullptr ? among->size() : 0;
      }
      case audience::everyone:
        return agents_.size();
    }
    return 0;
  }

private:
  /// Agent, node.
  using key = std::pair<std::string_view, const node_id&>;

  /// What an agent was given since it was put here.
  struct work {
    /// Which put() that was.
    std::uint64_t since = 0;
    /// Requests that have not ended.
    std::uint32_t open = 0;
    /// Other messages, in this second and the one before.
    std::array<std::uint32_t, 2> sent{};
    std::int64_t second = 0;

    void send(time_point now) {
      pass(now);
      ++sent[0];
    }

    [[nodiscard]] std::uint64_t count(time_point now) {
      pass(now);
      return std::uint64_t{open} + sent[0] + sent[1];
    }

    void pass(time_point now) {
      auto current = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
      if (current == second)
        return;
      sent = {0, current == second + 1 ? sent[0] : 0};
      second = current;
    }
  };

  struct holder;

  struct by_key {
    using is_transparent = void;

    static key of(const key& one) {
      return one;
    }

    static key of(const place& one) {
      return {one.agent.text(), one.node};
    }

    static key of(const place* one) {
      return of(*one);
    }

    bool operator()(const auto& left, const auto& right) const {
      return of(left) < of(right);
    }
  };

  using holders = std::set<const holder*, by_key>;

  /// Those with a capability.
  struct pool {
    holders all{};
    /// In no order: one can be drawn by its place.
    std::vector<const holder*> well{};
    /// Who rest or are ill.
    std::vector<const holder*> others{};
    /// Whose turn it is, modulo their number.
    std::uint64_t turn = 0;
  };

  /// The elements of both stay where they are.
  using pool_index = std::map<std::string, pool, std::less<>>;
  using group_index = std::map<std::string, holders, std::less<>>;

  /// Where one stands in a pool.
  struct seat {
    pool_index::value_type* in = nullptr;
    std::size_t at = 0;
  };

  struct holder : place {
    explicit holder(place what) : place(std::move(what)) {}

    [[nodiscard]] std::vector<const holder*>& among(pool& which) const {
      return rests || ill ? which.others : which.well;
    }

    /// For each of its capabilities, in their order.
    mutable std::vector<seat> seats;
    /// In their order.
    mutable std::vector<group_index::value_type*> groups;
    mutable work given;
  };

  /// Below all ids of nodes, and that of none.
  static constexpr node_id no_node{};

  void take_out(const holder& what) {
    for (auto& each : what.seats) {
      each.in->second.all.erase(&what);
      stand_up(what, each);
      if (each.in->second.all.empty())
        pools_.erase(pools_.find(each.in->first));
    }
    for (auto* each : what.groups) {
      each->second.erase(&what);
      if (each->second.empty())
        by_group_.erase(by_group_.find(each->first));
    }
  }

  /// A new one begins anywhere, so that not all directories give their first work to the same
  /// agent.
  pool_index::value_type& pool_of(const std::string& capability) {
    auto found = pools_.find(capability);
    if (found == pools_.end())
      found = pools_.emplace(capability, pool{.turn = random_.next()}).first;
    return *found;
  }

  static void sit_down(const holder& which, pool_index::value_type& in) {
    auto& among = which.among(in.second);
    which.seats.push_back({&in, among.size()});
    among.push_back(&which);
  }

  /// The last of them takes the place of `which`.
  static void stand_up(const holder& which, const seat& from) {
    auto& among = which.among(from.in->second);
    const auto* last = among.back();
    std::ranges::find(last->seats, from.in, &seat::in)->at = from.at;
    among[from.at] = last;
    among.pop_back();
  }

  [[nodiscard]] const holder* one_of(std::string_view agent) const {
    auto found = agents_.lower_bound(key{agent, no_node});
    return found != agents_.end() && found->agent == agent ? &*found : nullptr;
  }

  static std::vector<location> only(const holder* found) {
    return found != nullptr ? std::vector{location_of(*found)} : std::vector<location>{};
  }

  static location location_of(const holder* what) {
    return location_of(*what);
  }

  static location location_of(const holder& what) {
    location made{what.agent, what.node, {}, {}, what.load, what.rests, what.ill};
    for (auto& each : what.seats)
      made.capabilities.emplace_hint(made.capabilities.end(), each.in->first);
    for (auto* each : what.groups)
      made.groups.emplace_hint(made.groups.end(), each->first);
    return made;
  }

  [[nodiscard]] const holder* draw(const std::string& capability, time_point now) {
    auto found = pools_.find(capability);
    if (found == pools_.end())
      return nullptr;
    auto& among = found->second.well.empty() ? found->second.others : found->second.well;
    const auto* next = among[found->second.turn++ % among.size()];
    const auto* other = among[random_.below(among.size())];
    auto load = [&](const holder& each) { return each.load + each.given.count(now); };
    return load(*other) < load(*next) ? other : next;
  }

  /// The agents of a capability or group; null: none has it.
  [[nodiscard]] const holders* all_of(const recipients& who) const {
    if (who.who == audience::group) {
      auto found = by_group_.find(who.name);
      return found != by_group_.end() ? &found->second : nullptr;
    }
    auto found = pools_.find(who.name);
    return found != pools_.end() ? &found->second.all : nullptr;
  }

  template <class Among>
  static std::vector<location> some_of(const Among& among, const agent_id& after,
                                       std::size_t most) {
    std::vector<location> result;
    auto first = behind(after);
    for (auto each = among.lower_bound(key{first, no_node}); each != among.end(); ++each) {
      if (result.size() == most)
        break;
      result.push_back(location_of(*each));
    }
    return result;
  }

  /// Not above any id behind `after`, and above all others.
  static std::string behind(const agent_id& after) {
    return after.empty() ? std::string{} : after.text() + '\0';
  }

  /// Their addresses do not change, so indexes can point at them.
  std::set<holder, by_key> agents_;
  /// By capabilities.
  pool_index pools_;
  group_index by_group_;
  random_source random_;
  std::uint64_t last_put_ = 0;
};

} // namespace troupe::router
