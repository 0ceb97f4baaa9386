#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/directory.hpp"
#include "troupe/router/fair_room.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// The agents of one node that a message goes to.
struct stop {
  node_id node{};
  std::vector<agent_id> agents;
  /// What it was taken for; zero on the router's own node, where nothing waits.
  std::size_t bytes = 0;
  /// If it is work that any agent could do, and an answer is awaited: see directory::choice.
  std::uint64_t given = 0;
};

/// An agent of another node that a message goes to, and what it was taken for.
struct far_place {
  node_id node{};
  agent_id agent;
  std::size_t bytes = 0;
};

/// Where a message goes.
struct route {
  /// Whether it is to one agent.
  bool is_one = false;
  std::vector<stop> stops{};
  send_report report{};
  /// Why it goes nowhere: not_found, limit_reached, too_large, bad_argument or expired.
  problem refusal{};
};

/// What plan() has to know of a message beside whom it is for.
struct question {
  /// Whoever asks says ended() of what was given.
  bool is_awaited = false;
  /// Of who sent it, and of what was said of it (see letter::from).
  std::size_t said_bytes = 0;
  /// How long it may be delivered.
  duration life = longest_life;
  /// Of the highest priority: sent also to agents for which as much waits as may, which have some
  /// room beyond that (see agent_inbox::slack).
  bool is_critical = false;
  std::string_view tenant{};
};

/// Whether an agent is on a node.
enum class presence : std::uint8_t {
  none,
  here,
  /// It is, and as many messages wait for it as may.
  full,
};

/// Finds out where messages go, and takes them only as far as there is room on the way: so whoever
/// sends one hears at once that it is refused, without waiting for the router. What waits is
/// bounded for each node (see fair_room), and for all of them together: of that each node may take
/// more while it has less than is free, so that those out of reach leave room for others.
///
/// Thread-safe. Calls nothing of others while it is locked.
class routes {
public:
  /// Says whether an agent of that id is on the router's own node.
  using is_here = std::function<presence(std::string_view agent)>;
  /// Says how many bytes a payload has; npos if it cannot be written.
  using size_of_payload = std::function<std::size_t()>;

  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
  /// What a message has beside its payload and names.
  static constexpr std::size_t letter_bytes = 48;
  /// Agents that are looked at for one that can take work that any of them could do.
  static constexpr int most_tries = 8;

  routes(const node_id& node, const router_options& options)
    : node_(node), options_(options), places_(seed_of(node)) {}

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
    auto found = places_.find_one(to_agent(agent), false, {});
    return found.where != nullptr ? found.where->node : node_id{};
  }

  /// Whether anybody that is meant is known.
  [[nodiscard]] bool knows(const recipients& who) const {
    std::lock_guard guard{mutex_};
    return places_.count(who) > 0;
  }

  /// Whether that agent is said to be on `node`, or nowhere: a new one may not be heard of yet. One
  /// that `is_own_agent`, on the router's own node, is somewhere before that is said.
  [[nodiscard]] bool may_be_on(const agent_id& agent, const node_id& node,
                               bool is_own_agent) const {
    std::lock_guard guard{mutex_};
    return places_.is_on(agent, node) || (!is_own_agent && places_.count(to_agent(agent)) == 0);
  }

  /// See directory::list().
  [[nodiscard]] std::vector<location> list(const recipients& among, const agent_id& after,
                                           std::size_t most) const {
    std::lock_guard guard{mutex_};
    return places_.list(among, after, most);
  }

  // -- messages ------------------------------------------------------------------------

  /// Finds out where a message for `who` goes and takes it. Whoever asks sends it, or says drop()
  /// of its bytes, or expire().
  [[nodiscard]] route plan(time_point now, const recipients& who, const question& of,
                           const is_here& here, const size_of_payload& size) {
    if (of.life <= duration::zero())
      return {.is_one = is_to_one(who), .refusal = count_expired(1)};
    auto result = is_to_one(who) ? find_one(now, who, of, here) : find_many(who);
    auto is_elsewhere = [this](const stop& each) { return each.node != node_; };
    auto payload = std::ranges::any_of(result.stops, is_elsewhere) ? size() : 0;
    auto taken = result.stops.begin();
    for (auto each = taken; each != result.stops.end(); ++each) {
      auto why = is_elsewhere(*each) ? take(*each, payload, of, result.report) : problem{};
      auto agents = static_cast<std::uint32_t>(each->agents.size());
      (!why ? result.report.sent : result.report.refused) += agents;
      if (why && (result.is_one || why.code != errc::limit_reached))
        result.refusal = std::move(why);
      else if (!why && taken++ != each)
        *std::prev(taken) = std::move(*each);
    }
    result.stops.erase(taken, result.stops.end());
    if (result.refusal)
      take_back(result);
    count(result);
    return result;
  }

  /// Does what plan() does, at less cost, for a message without a ttl to the agent `id`, which is
  /// not on this node, where nothing stands against it. Else it returns false: plan() says why.
  /// `payload`: its bytes.
  [[nodiscard]] bool take_far(const std::string& id, std::size_t payload, const question& of,
                              far_place& into) {
    auto bytes = payload + of.said_bytes + letter_bytes + id.size() + 1;
    if (of.is_critical || bytes > options_.max_message_bytes)
      return false;
    std::lock_guard guard{mutex_};
    const auto* found = places_.find_agent(id);
    if (found == nullptr || found->node == node_)
      return false;
    auto its = rooms_.find(found->node);
    if (its == rooms_.end() || !its->second.full.empty())
      return false;
    auto& left = its->second.bytes;
    auto free = options_.max_all_waiting_bytes
                - std::min<std::size_t>(options_.max_all_waiting_bytes, waiting_bytes_);
    if (waiting_bytes_ > 0 && !shares<node_id>::may_take(left.waiting_bytes(), free, bytes))
      return false;
    if (!left.take(found->agent, bytes))
      return false;
    waiting_bytes_ += bytes;
    into = {found->node, found->agent, bytes};
    return true;
  }

  /// It has expired before it was sent; returns what whoever waits is told.
  [[nodiscard]] problem expire(route& what) {
    std::size_t agents = 0;
    for (auto& each : what.stops) {
      agents += each.agents.size();
      if (each.node != node_)
        drop(each.node, each.bytes);
      ended(each.agents.front(), each.node, each.given);
    }
    what.stops.clear();
    return count_expired(agents);
  }

  /// A request has ended, however it did.
  template <class Caller>
  void ended(const call<Caller>& which, const node_id& node) {
    ended(which.agent, node, which.given);
  }

  // -- agents of other nodes for which much waits ----------------------------------------

  /// That agent of `node`, over the link there, can take no more messages for now: until may_send()
  /// or the end of the link, senders are refused. Returns false if that was known, or if it is said
  /// of too many.
  bool hold_back(const node_id& node, const agent_id& agent) {
    constexpr std::size_t most = 1'000;
    return with(node, [&](room& it) {
      return it.is_linked && it.full.size() < most && it.full.insert(agent).second;
    });
  }

  void may_send(const node_id& node, const agent_id& agent) {
    with(node, [&](room& it) { it.full.erase(agent); });
  }

  // -- what waits: for the router ------------------------------------------------------

  /// So many bytes taken for a node wait no more.
  void drop(const node_id& node, std::size_t bytes) {
    with(node, [&](room& it) { it.bytes.drop(bytes); });
  }

  /// While a node has a link, messages for it come and go: it is not forgotten each time.
  void set_linked(const node_id& node, bool is_linked) {
    with(node, [&](room& it) {
      it.is_linked = is_linked;
      if (planted_flaw != flaw::fullness_kept)
        it.full.clear(); // said over the link before
    });
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
    sum.expired += expired_;
    sum.waiting_bytes += waiting_bytes_;
  }

private:
  static inline const agent_id several{};

  /// For messages to one node.
  struct room {
    explicit room(std::size_t max_bytes) : bytes(max_bytes) {}

    fair_room bytes;
    bool is_linked = false;
    /// Agents that can take no more.
    std::set<agent_id> full{};
  };

  /// Each node draws its own numbers.
  static std::uint64_t seed_of(const node_id& node) {
    std::uint64_t seed = 0;
    for (auto each : node.bytes)
      seed = seed * 31 + std::to_integer<std::uint64_t>(each);
    return seed;
  }

  void ended(const agent_id& agent, const node_id& node, std::uint64_t given) {
    if (given == 0)
      return;
    std::lock_guard guard{mutex_};
    places_.ended(agent, node, given);
  }

  route find_one(time_point now, const recipients& who, const question& of, const is_here& here) {
    route result{.is_one = true};
    if (auto near = who.who == audience::agent ? here(who.name) : presence::none;
        near != presence::none) {
      if (near == presence::full && !of.is_critical)
        result.refusal = inbox_full(agent_id{who.name});
      else
        result.stops.push_back({node_, {who.name}});
      return result;
    }
    // Any of several: one that can take no more is passed over, as long as there may be another.
    for (auto tries = who.who == audience::agent ? 1 : most_tries; tries > 0; --tries) {
      draw_one(now, who, of.is_awaited, of.is_critical && tries == 1, here, result);
      if (result.refusal.code != errc::limit_reached)
        break;
    }
    return result;
  }

  /// Says in `result` where the message goes, or why it goes nowhere.
  void draw_one(time_point now, const recipients& who, bool is_awaited, bool takes_full,
                const is_here& here, route& result) {
    auto is_agent = who.who == audience::agent; // of which take() sees that it can take no more
    result.refusal = {};
    {
      std::lock_guard guard{mutex_};
      if (auto found = places_.find_one(who, is_awaited, now); found.where != nullptr) {
        result.stops.push_back({found.where->node, {found.where->agent}, 0, found.given});
        auto its = rooms_.find(found.where->node);
        if (!is_agent && !takes_full && its != rooms_.end()
            && its->second.full.contains(found.where->agent))
          result.refusal = inbox_full(found.where->agent);
      }
    }
    if (result.stops.empty())
      result.refusal = nobody(who);
    else if (auto& found = result.stops.front(); found.node == node_)
      if (auto near = here(found.agents.front().text());
          near == presence::none || (near == presence::full && !takes_full))
        result.refusal = near == presence::full ? inbox_full(found.agents.front()) : nobody(who);
    result.report.refused = !is_agent && result.refusal.code == errc::limit_reached ? 1 : 0;
    if (result.refusal)
      for (auto& each : std::exchange(result.stops, {}))
        ended(each.agents.front(), each.node, each.given);
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

  problem take(stop& where, std::size_t payload, const question& of, send_report& report) {
    auto why = take_bytes(where, payload, of, report);
    if (why && where.given != 0)
      ended(where.agents.front(), where.node, where.given);
    return why;
  }

  problem take_bytes(stop& where, std::size_t payload, const question& of, send_report& report) {
    if (payload == npos)
      return unwritable();
    where.bytes = payload + of.said_bytes + letter_bytes;
    for (auto& each : where.agents)
      where.bytes += each.text().size() + 1;
    if (where.bytes > options_.max_message_bytes)
      return too_large(where.bytes, options_.max_message_bytes);
    return with(where.node, [&](room& it) {
      if (!it.full.empty() && !of.is_critical)
        if (auto why = leave_out(it.full, where, report))
          return why;
      auto has = it.bytes.waiting_bytes();
      auto most = options_.max_all_waiting_bytes;
      auto free = most - std::min<std::size_t>(most, waiting_bytes_);
      if (waiting_bytes_ > 0 && !shares<node_id>::may_take(has, free, where.bytes))
        return too_much_waits_in_all(where.node, has, waiting_bytes_);
      auto& to = where.agents.size() == 1 ? where.agents.front() : several;
      auto is_taken = it.bytes.take(of.is_critical ? critical_ones(to) : to, where.bytes);
      return is_taken ? problem{} : too_much_waits(where.node, has);
    });
  }

  /// Whose share of the room critical messages to that agent take: one of their own.
  static agent_id critical_ones(const agent_id& to) {
    return to.text() + '!';
  }

  /// Takes those out that can take no more; returns why nobody is left.
  static problem leave_out(const std::set<agent_id>& full, stop& where, send_report& report) {
    auto is_full = [&](const agent_id& each) { return full.contains(each); };
    if (std::ranges::all_of(where.agents, is_full))
      return inbox_full(where.agents.front());
    report.refused += static_cast<std::uint32_t>(std::erase_if(where.agents, is_full));
    return {};
  }

  /// It goes nowhere.
  void take_back(route& what) {
    for (auto& each : std::exchange(what.stops, {}))
      if (each.node != node_)
        drop(each.node, each.bytes);
    what.report.refused += std::exchange(what.report.sent, 0);
  }

  problem count_expired(std::size_t agents) {
    std::lock_guard guard{mutex_};
    expired_ += agents;
    return expired();
  }

  void count(const route& what) {
    if (!what.refusal && what.report.refused == 0 && what.report.left_out == 0)
      return;
    std::lock_guard guard{mutex_};
    if (what.refusal.code == errc::not_found)
      ++unknown_;
    auto is_full_here = what.refusal.code == errc::limit_reached && what.report.refused == 0;
    refused_ += is_full_here ? 1 : what.report.refused + what.report.left_out;
  }

  /// Runs `job` on the room of `node`; one without a link in which nothing waits is forgotten.
  template <class Job>
  std::invoke_result_t<Job, room&> with(const node_id& node, Job job) {
    struct tidy {
      std::map<node_id, room>& rooms;
      std::map<node_id, room>::iterator which;
      std::size_t& all;
      std::size_t before;

      ~tidy() {
        all += which->second.bytes.waiting_bytes() - before;
        if (!which->second.is_linked && which->second.bytes.waiting_bytes() == 0)
          rooms.erase(which);
      }
    };

    std::lock_guard guard{mutex_};
    auto found = rooms_.try_emplace(node, options_.max_waiting_bytes).first;
    tidy after{rooms_, found, waiting_bytes_, found->second.bytes.waiting_bytes()};
    return job(found->second);
  }

  const node_id node_;
  const router_options options_;
  mutable std::mutex mutex_;
  directory places_;
  std::map<node_id, room> rooms_;
  /// In all of them.
  std::size_t waiting_bytes_ = 0;
  std::uint64_t unknown_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t expired_ = 0;
};

} // namespace troupe::router::detail
