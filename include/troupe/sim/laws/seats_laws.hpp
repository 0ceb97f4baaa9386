#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/seats.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/raft/types.hpp"
#include "troupe/sim/world/named_nodes.hpp"
#include "troupe/sim/world/raft_process.hpp"

namespace troupe::sim {

/// What is true of the seats in a simulated world, whatever its nodes believe.
class seat_facts {
public:
  /// This node has that seat from here on.
  void has(duration now, const node_id& node, raft::member_id seat) {
    auto [found, is_new] = seat_of_.try_emplace(node, seat);
    if (!is_new && found->second != seat)
      void_until_[{node, std::exchange(found->second, seat)}] = duration::max();
    if (auto again = void_until_.find({node, seat}); again != void_until_.end())
      again->second = now + heard_within;
  }

  /// The disk of that seat is an older copy from here on.
  void put_back(raft::member_id seat) {
    put_back_.insert(seat);
  }

  [[nodiscard]] bool is_put_back(raft::member_id seat) const {
    return put_back_.contains(seat);
  }

  /// Somebody wants that node to have no seat, and may have forced it.
  void wished_away(const node_id& node, bool by_force) {
    wished_away_[node] = ++wishes_;
    if (by_force)
      forced_[node] = wishes_;
  }

  /// So many wishes there were.
  [[nodiscard]] std::uint64_t wishes() const {
    return wishes_;
  }

  /// It was added since, as somebody wanted it after the first `wishes`.
  void added(const node_id& node, std::uint64_t wishes) {
    auto is_earlier = [&](auto& each) { return each.first == node && each.second <= wishes; };
    std::erase_if(wished_away_, is_earlier);
    std::erase_if(forced_, is_earlier);
  }

  [[nodiscard]] bool is_wished_away(const node_id& node) const {
    return wished_away_.contains(node);
  }

  [[nodiscard]] bool is_forced(const node_id& node) const {
    return forced_.contains(node);
  }

  /// Whether that node has another seat, or had it so lately that others may not know better.
  [[nodiscard]] bool is_void(duration now, const node_id& node, raft::member_id seat) const {
    auto found = void_until_.find({node, seat});
    return found != void_until_.end() && now < found->second;
  }

  /// The seat of this node; zero if it has never started.
  [[nodiscard]] raft::member_id seat_of(const node_id& node) const {
    auto found = seat_of_.find(node);
    return found == seat_of_.end() ? raft::member_id{} : found->second;
  }

private:
  static constexpr duration heard_within = std::chrono::seconds{5};

  std::map<node_id, raft::member_id> seat_of_;
  std::map<std::pair<node_id, raft::member_id>, duration> void_until_;
  std::set<raft::member_id> put_back_;
  std::uint64_t wishes_ = 0;
  /// By node: the last such wish.
  std::map<node_id, std::uint64_t> wished_away_;
  std::map<node_id, std::uint64_t> forced_;
};

/// Checks what the `seats` of one node does, by its events and effects:
///
/// - it asks for one change of the members at a time, and only while it was told that it leads;
/// - a voter is promoted only if it has all entries but a few, and was heard lately;
/// - a seat is taken away only if its node has another one, its disk has lost what it had synced,
///   somebody wants its node to go, or it is that of a voter that is replaced;
/// - a voter is replaced only if it has been gone for long, by what its leader has heard, or has
///   come back when another one voted in its place; and only once another one votes, or where there
///   are more than wanted;
/// - who goes without force leaves a group that stands as many losses as before, or as it has to,
///   with nobody counted who goes by force;
/// - leadership is handed over only where somebody waits for that, or this node is to go;
/// - a seat whose disk is known to have lost what it had synced goes before members change
/// otherwise;
/// - a seat is given up only if its disk has lost what it had synced;
/// - messages for a seat are sent to the node that has it, or had it;
/// - turns rise.
class seat_laws {
public:
  using machine = cluster::seats;

  /// What the node wants of the group, see seats_options.
  struct wants {
    std::size_t voters = 3;
    duration replace_after{};
    duration silent_after{};
  };

  /// By the calendar of the world, and by the clock of the node.
  struct times {
    duration world{};
    time_point own{};
  };

  /// `facts` outlive this. `on_disk` returns the last entry on the disk of a seat.
  seat_laws(const seat_facts& facts, std::function<raft::log_index(raft::member_id)> on_disk,
            const node_id& node, wants what)
    : facts_(facts), on_disk_(std::move(on_disk)), node_(node), wants_(what) {}

  /// Call before the step, at `own` of the node's clock.
  void hears(time_point own, request_id id, const machine::event& what) {
    own_now_ = own;
    auto note = overloaded{
      [&](const machine::link_up& each) { see(each.node).is_linked = true; },
      [&](const machine::link_down& each) { see(each.node).is_linked = false; },
      [&](const machine::member_shows& each) { see(each.node).is_shown = each.is_there; },
      [&](const machine::changed_role&) {
        role_since_ = own;
        promoted_.clear();
        replaced_.clear();
      },
      [&](const machine::seen& each) {
        if (id == look_)
          shown_ = each.now;
      },
      [&](const machine::answered&) { open_.erase(id); },
      [&](const machine::change& each) {
        waiting_[id] = each.what.what == cluster::voter_change::lead;
      },
      [&](const machine::hand_over&) { waiting_[id] = true; },
      [&](const machine::forgot& each) {
        if (raft_process::process_of(each.seat) != raft_process::process_of(shown_.self))
          forgotten_.insert(each.seat);
      },
      [](const auto&) {},
    };
    troupe::visit(note, what);
  }

  /// Call with each effect, at `now`. `offered`: the process of the card of this step;
  /// `latest`: the highest term that anybody leads or has led.
  void does(times now, const machine::effect& what, std::optional<process_id> offered,
            raft::term_number latest) {
    now_ = now.world;
    own_now_ = now.own;
    latest_ = latest;
    auto judge = overloaded{
      [&](const machine::look& each) { look_ = each.id; },
      [&](const machine::propose& each) {
        troupe::visit([&](auto& change) { check(each.id, change); }, each.what);
      },
      [&](const machine::made& each) { ended(each.id); },
      [&](const machine::refuse& each) { ended(each.id); },
      [&](const machine::handed_over& each) { ended(each.id); },
      [&](const machine::renew& each) {
        if (!facts_.is_put_back(each.lost))
          broken("gives up its seat " + text(each.lost) + ", whose disk has lost nothing");
      },
      [&](const machine::trust& each) {
        if (!offered || *offered != raft_process::process_of(each.seat))
          broken("sends what is for seat " + text(each.seat) + " to another node");
      },
      [&](const machine::lead& each) { turns(each.turn); },
      [&](const machine::follow& each) {
        turns(each.turn);
        forgotten_.clear(); // the next leader finds that anew
      },
      [](const auto&) {},
    };
    troupe::visit(judge, what);
  }

  /// How often it was to remove a voter that nobody wants away, since the last call.
  std::uint64_t take_replaced() {
    return std::exchange(losses_, 0);
  }

  std::vector<std::string> take_violations() {
    return std::exchange(violations_, {});
  }

private:
  using group = raft::replica_types;

  static std::string text(raft::member_id seat) {
    return std::to_string(seat.value);
  }

  /// How many losses so many voters stand.
  static std::size_t stood_by(std::size_t voters) {
    return voters == 0 ? 0 : (voters - 1) / 2;
  }

  /// As voter_plan has it.
  static constexpr raft::log_index a_little = 100;
  static constexpr duration a_moment = std::chrono::seconds{1};

  void turns(std::uint64_t turn) {
    if (turn <= turn_)
      broken("says who leads in turn " + std::to_string(turn) + " after " + std::to_string(turn_));
    turn_ = turn;
  }

  void ended(request_id id) {
    waiting_.erase(id);
  }

  void check(request_id, const group::transfer& what) {
    auto is_awaited = std::ranges::any_of(waiting_, [](auto& each) { return each.second; });
    if (!is_awaited && shown_.members.votes(shown_.self) && !facts_.is_wished_away(node_)
        && !cluster::keeps_out(shown_.members, node_))
      broken("hands over to seat " + text(what.to) + ", which nobody waits for");
  }

  void check(request_id id, const group::promote& what) {
    begin(id);
    promoted_.insert(what.seat);
    auto who = std::ranges::find(shown_.others, what.seat, &group::member_status::seat);
    if (who == shown_.others.end() || who->match + a_little < shown_.last
        || who->silent_for >= a_moment || !who->knows_members)
      return broken("promotes seat " + text(what.seat) + ", which has not caught up");
    if (shown_.term == latest_ && !facts_.is_put_back(what.seat)
        && on_disk_(what.seat) + a_little < shown_.last)
      broken("promotes seat " + text(what.seat) + ", whose disk has "
             + std::to_string(on_disk_(what.seat)) + " of " + std::to_string(shown_.last)
             + " entries");
  }

  void check(request_id id, const group::remove& what) {
    begin(id);
    auto found = shown_.members.members.find(what.seat);
    if (found == shown_.members.members.end())
      return;
    auto node = cluster::to_seat_contact(found->second.contact).node;
    if (facts_.is_void(now_, node, what.seat) || facts_.is_put_back(what.seat))
      return;
    if (!facts_.is_wished_away(node) && !cluster::keeps_out(shown_.members, node)) {
      if (!found->second.votes)
        return broken("takes seat " + text(what.seat) + " away, which is that of node "
                      + name_of(node));
      check_loss(node);
    }
    if (!found->second.votes || facts_.is_forced(node))
      return;
    auto voters = shown_.members.voters().size();
    auto by_force = std::ranges::count_if(shown_.members.members, [this](auto& each) {
      return each.second.votes
             && facts_.is_forced(cluster::to_seat_contact(each.second.contact).node);
    });
    for (auto left = voters - static_cast<std::size_t>(by_force); left <= voters; ++left)
      if (!is_needed_of(left))
        return; // not all that somebody has forced counts for this leader
    broken("takes voter " + name_of(node) + " away without force, and " + std::to_string(voters - 1)
           + " stand fewer losses");
  }

  [[nodiscard]] bool is_needed_of(std::size_t voters) const {
    return voters > 0 && stood_by(voters - 1) < stood_by(std::min(voters, wants_.voters));
  }

  /// Another node as it was heard.
  struct other {
    bool is_linked = false;
    bool is_shown = false;
    /// When it was there last.
    time_point there{};

    [[nodiscard]] bool is_there() const {
      return is_linked || is_shown;
    }
  };

  /// As it was before, to be changed.
  other& see(const node_id& node) {
    for (auto& [name, each] : others_)
      if (each.is_there())
        each.there = own_now_;
    return others_[node];
  }

  /// By the last look.
  [[nodiscard]] duration silence_of(const node_id& node) const {
    auto found = std::ranges::find_if(shown_.others, [&node](auto& each) {
      return cluster::to_seat_contact(each.who.contact).node == node;
    });
    return found != shown_.others.end() ? found->silent_for : duration{};
  }

  /// Nobody wants that voter away.
  void check_loss(const node_id& node) {
    ++losses_;
    auto& it = see(node);
    auto silent_for = silence_of(node);
    auto is_there = it.is_there() && silent_for < wants_.silent_after;
    auto long_enough = [this](duration span) { return span >= wants_.replace_after; };
    if (wants_.replace_after == duration::zero() || !long_enough(own_now_ - role_since_)
        || (!is_there && !long_enough(own_now_ - it.there) && !long_enough(silent_for)))
      broken("replaces voter " + name_of(node) + " too early");
    if (!is_there && shown_.members.voters().size() > wants_.voters)
      return;
    replaced_.insert(node); // it may be asked for again
    if (replaced_.size() > promoted_.size())
      broken("removes voter " + name_of(node) + ", and no other node votes in its place");
  }

  template <class Change>
  void check(request_id id, const Change&) {
    begin(id);
    for (auto each : forgotten_)
      if (shown_.members.members.contains(each) && each != shown_.self)
        broken("leaves seat " + text(each) + " to a node whose disk has lost what it had synced");
  }

  void begin(request_id id) {
    if (!open_.empty())
      broken("asks for a second change of the members while one is open");
    if (shown_.now != raft::role::leader)
      broken("asks for a change of the members where it does not lead");
    open_.insert(id);
  }

  void broken(std::string what) {
    violations_.push_back(std::move(what));
  }

  const seat_facts& facts_;
  std::function<raft::log_index(raft::member_id)> on_disk_;
  node_id node_;
  wants wants_;
  duration now_{};
  time_point own_now_{};
  /// When this node began to lead, or to follow; whom it was to promote since, and to replace.
  time_point role_since_{};
  std::set<raft::member_id> promoted_;
  std::set<node_id> replaced_;
  std::map<node_id, other> others_;
  std::uint64_t losses_ = 0;
  raft::term_number latest_ = 0;
  request_id look_ = 0;
  raft::replica_types::status shown_; // by the last look that counts
  std::set<request_id> open_;
  std::set<raft::member_id> forgotten_;
  /// Requests of people, and whether they want leadership to move.
  std::map<request_id, bool> waiting_;
  std::uint64_t turn_ = 0;
  std::vector<std::string> violations_;
};

} // namespace troupe::sim
