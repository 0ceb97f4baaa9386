#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/replica.hpp"

namespace troupe::cluster {

/// Where a member of the group is found: its node's id, and the address of that.
struct seat_contact {
  node_id node;
  std::string address;

  friend bool operator==(const seat_contact&, const seat_contact&) = default;
};

/// As raft::member::contact has it: `NODE@HOST:PORT`.
inline std::string to_string(const seat_contact& where) {
  return to_string(where.node) + '@' + where.address;
}

/// Returns what a contact has for the id of its node.
constexpr std::string_view digits_in(std::string_view contact) {
  return contact.substr(0, contact.find('@'));
}

/// The node is all zero if the text does not begin with an id.
inline seat_contact to_seat_contact(std::string_view text) {
  auto digits = digits_in(text);
  auto node = node_id::from_string(digits);
  text.remove_prefix(std::min(text.size(), digits.size() + 1));
  return {node ? *node : node_id{}, std::string{text}};
}

/// Whether the group remembers that this node gets no seat.
inline bool keeps_out(const raft::configuration& members, const node_id& node) {
  return !members.kept_out.empty() && members.kept_out.contains(to_string(node));
}

/// What a cluster wants of its group of voters.
struct voter_wishes {
  /// So many voters.
  std::size_t voters = 3;
  /// Nodes that vote, whatever their number.
  std::set<node_id> add{};
  /// Nodes that lose their seat and get none until they are to be added: the group remembers them
  /// as kept out.
  std::set<node_id> remove{};
  /// Nodes that lose their seat, and may come back as any other.
  std::set<node_id> leave{};
  /// Those of `remove` and `leave` that go even if the group tolerates fewer losses without them.
  std::set<node_id> forced{};
  /// Nodes that are kept out no more.
  std::set<node_id> let_in{};
  /// Voters that nobody wants away, and that lose their seat once they can be spared and there are
  /// more voters than so many, or than `voters`. They may come back as any other.
  std::map<node_id, std::size_t> replaced{};
  /// Seats whose disk has lost what it had synced. They go, and are not added again: their
  /// nodes come with others.
  std::set<raft::member_id> forgotten{};
  /// Nodes whose replicas have said nothing for long. They are not made voters unless somebody asks
  /// for that.
  std::set<node_id> silent{};
  /// Nodes whose identity is revoked: they get no seat, and lose the one that they have.
  std::set<node_id> revoked{};
  /// How long ago somebody was last wished away, by `remove`, `leave` or `replaced`.
  duration since = duration::max();
};

/// Decides the next change of the members of a group, one at a time, as its leader sees it. A
/// rule without state: asked again after each change, it ends with nothing to do.
///
/// A node that joins learns first and votes once it has caught up. Voters come in odd numbers:
/// a second one is promoted when there is a third, as two stand no loss that one would not.
///
/// A voter that is to go stays until it can be spared: there are more voters than wished, or an
/// even number of at least four, which tolerates no more losses than one fewer. So a removal
/// lowers the number of losses that the group tolerates only down to what the wished number does.
/// Of three it waits until another node has taken its place, for ever if need be, under each
/// leader. It does not wait where it is forced, which the log says of nodes that are kept out; but
/// nodes that can vote now vote first.
///
/// One of `replaced` waits for another node that votes, whatever the number. It goes before others.
///
/// Forced or not, it stays while too few of the others have caught up; they have acknowledged an
/// entry that was written since somebody wished so, so that they are there and their disks have
/// room. A seat whose node has another one now, or which has forgotten, goes at once: its vote is
/// worth nothing (semantics of seats: a disk that was emptied or restored comes back as a learner).
///
/// So does the seat of a revoked node, if the others go on without it. Its links end within a
/// second: who waits for a replacement may lose the majority by then, and can change no member any
/// more.
class voter_plan {
public:
  using change = raft::replica::event;

  /// A node that is linked and could vote.
  struct candidate {
    raft::member_id seat;
    std::string address;
  };

  /// `linked` by node id, this node among them; `self` is its id.
  voter_plan(const raft::replica::status& now, const node_id& self,
             const std::map<node_id, candidate>& linked, const voter_wishes& wishes)
    : now_(now), self_(self), linked_(linked), wishes_(wishes) {
    for (auto& [seat, who] : now.members.members)
      seats_.emplace(to_seat_contact(who.contact).node, seat);
    kept_out_ = to_ids(now.members.kept_out);
    forced_out_ = to_ids(now.members.forced_out);
    choose();
  }

  /// Returns what to ask of the group next; nothing if all is as it should be, or something has
  /// to happen first.
  [[nodiscard]] std::optional<change> next() const {
    using rule = std::optional<change> (voter_plan::*)() const;
    for (rule each :
         {&voter_plan::borrowed_lead, &voter_plan::void_seat, &voter_plan::moved_seat,
          &voter_plan::welcome_node, &voter_plan::kept_out_node, &voter_plan::missing_seat,
          &voter_plan::spare_voter, &voter_plan::ready_learner, &voter_plan::unwanted_seat})
      if (auto found = (this->*each)())
        return found;
    return std::nullopt;
  }

  /// Returns whether a voter can be spared once all vote that could, be it at once or because one
  /// of them takes its place.
  [[nodiscard]] bool has_replacement() const {
    auto could = count_steady();
    if (is_one_spare_of(could))
      return true;
    for (auto& node : wanted_)
      if (!votes(node) && is_one_spare_of(++could))
        return true;
    return false;
  }

  /// What a voter that is to go waits for.
  enum class hold : std::uint8_t {
    /// It goes next.
    nothing,
    /// There is no other voter.
    only_voter,
    /// Too few of the others have caught up.
    needed,
    no_replacement,
    replacement_learns,
    /// It is forced out, once those vote that can.
    others_learn,
  };

  /// @pre this node votes, and is to go
  [[nodiscard]] hold held_by(const node_id& node) const {
    if (count_voters() == 1)
      return hold::only_voter;
    if (!goes_on_without(node))
      return hold::needed;
    if (is_revoked(node))
      return hold::nothing;
    if (is_forced(node))
      return could_vote() ? hold::others_learn : hold::nothing;
    if (is_replaced(node)) {
      auto voters = count_voters();
      auto is_replaced_by_now = voters > wishes_.replaced.at(node) || voters > wishes_.voters;
      if ((is_replaced_by_now && is_one_spare_of(voters))
          || planted_flaw == flaw::dead_voter_dropped)
        return hold::nothing;
      return could_vote() ? hold::replacement_learns : hold::no_replacement;
    }
    if (is_one_spare_of(count_steady()) || planted_flaw == flaw::replacement_overlooked)
      return hold::nothing;
    return has_replacement() ? hold::replacement_learns : hold::no_replacement;
  }

  /// Returns whether this node is to have no seat.
  [[nodiscard]] bool is_unwanted(const node_id& node) const {
    auto may_come = wishes_.add.contains(node) || wishes_.let_in.contains(node);
    return is_wished_away(node) || is_revoked(node) || wishes_.replaced.contains(node)
           || (is_kept_out(node) && !may_come);
  }

  /// Returns whether it is to have no seat only because it is gone.
  [[nodiscard]] bool is_replaced(const node_id& node) const {
    return wishes_.replaced.contains(node) && !is_wished_away(node) && !is_revoked(node)
           && !is_kept_out(node);
  }

  [[nodiscard]] bool is_revoked(const node_id& node) const {
    return wishes_.revoked.contains(node);
  }

  /// Returns whether this node goes even if the group tolerates fewer losses without it.
  [[nodiscard]] bool is_forced(const node_id& node) const {
    return is_revoked(node) || (is_wished_away(node) ? wishes_.forced : forced_out_).contains(node);
  }

  /// Returns whether a majority of the voters that stay has caught up when this node's seat goes.
  /// Otherwise nothing could be committed, and so no member be added or removed: for a while, or
  /// for ever if their disks are lost.
  [[nodiscard]] bool goes_on_without(const node_id& node) const {
    std::size_t stay = 0;
    std::size_t ready = 0;
    for (auto& [each, seat] : seats_)
      if (now_.members.votes(seat) && each != node) {
        ++stay;
        ready += seat == now_.self || is_caught_up(seat) ? 1 : 0;
      }
    return ready > stay / 2 || (planted_flaw == flaw::silence_overlooked && stay > 0);
  }

  /// Returns whether the group has room to remember that this node is kept out.
  [[nodiscard]] bool can_keep_out(const node_id& node) const {
    return is_kept_out(node) || now_.members.kept_out.size() < raft::max_kept_out
           || dispensable() != nullptr;
  }

private:
  /// The group remembers texts; one that is no id is of no node.
  static std::set<node_id> to_ids(const std::set<std::string>& names) {
    std::set<node_id> found;
    for (auto& each : names)
      if (auto node = node_id::from_string(each))
        found.insert(*node);
    return found;
  }

  [[nodiscard]] std::size_t count_voters() const {
    return now_.members.voters().size();
  }

  [[nodiscard]] bool votes(const node_id& node) const {
    auto found = seats_.find(node);
    return found != seats_.end() && now_.members.votes(found->second);
  }

  [[nodiscard]] bool is_wished_away(const node_id& node) const {
    return wishes_.remove.contains(node) || wishes_.leave.contains(node);
  }

  /// Returns whether a node that does not vote should.
  [[nodiscard]] bool could_vote() const {
    return std::ranges::any_of(wanted_, [this](auto& each) { return !votes(each); });
  }

  [[nodiscard]] bool is_kept_out(const node_id& node) const {
    return kept_out_.contains(node);
  }

  /// Of a group with so many voters.
  [[nodiscard]] bool is_one_spare_of(std::size_t voters) const {
    return voters > wishes_.voters || (voters % 2 == 0 && voters > 2);
  }

  /// The voters without those that go by force.
  [[nodiscard]] std::size_t count_steady() const {
    auto forced = std::ranges::count_if(seats_, [this](auto& each) {
      return now_.members.votes(each.second) && is_unwanted(each.first) && is_forced(each.first);
    });
    return count_voters() - static_cast<std::size_t>(forced);
  }

  /// The nodes that should vote: those that do, those that are asked for, then learners, then
  /// others in the order of their ids.
  void choose() {
    for (auto& [node, seat] : seats_)
      if (now_.members.votes(seat) && !is_unwanted(node))
        wanted_.insert(node);
    for (auto& node : wishes_.add)
      if (!is_unwanted(node))
        wanted_.insert(node);
    for (auto learners : {true, false})
      for (auto& [node, who] : linked_)
        if (wanted_.size() < wishes_.voters && seats_.contains(node) == learners
            && !is_unwanted(node) && !wishes_.forgotten.contains(who.seat)
            && !wishes_.silent.contains(node))
          wanted_.insert(node);
  }

  /// Who leads without a vote has won with an earlier one, that was taken away by a change that
  /// was not committed then. It leads on only until a voter can; who leads then gives it a vote if
  /// it is to have one. It names that voter: the one with the longest log may be dead.
  [[nodiscard]] std::optional<change> borrowed_lead() const {
    if (now_.members.votes(now_.self))
      return std::nullopt;
    const raft::replica::member_status* next = nullptr;
    for (auto& other : now_.others)
      if (other.who.votes && is_caught_up(other) && (!next || other.match > next->match))
        next = &other;
    return next ? std::optional<change>{raft::replica::transfer{next->seat}} : std::nullopt;
  }

  [[nodiscard]] std::optional<change> void_seat() const {
    for (auto& [node, seat] : seats_) {
      auto there = linked_.find(node);
      auto is_other = there != linked_.end() && there->second.seat != seat
                      && planted_flaw != flaw::void_seat_kept;
      auto is_worthless = is_other || wishes_.forgotten.contains(seat)
                          || (is_revoked(node) && (!votes(node) || goes_on_without(node)));
      if (seat != now_.self && is_worthless)
        return raft::replica::remove{seat};
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<change> moved_seat() const {
    for (auto& [node, seat] : seats_) {
      auto there = linked_.find(node);
      if (there == linked_.end())
        continue;
      auto contact = to_string(seat_contact{node, there->second.address});
      if (contact != now_.members.members.at(seat).contact)
        return raft::replica::move{seat, std::move(contact)};
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<change> welcome_node() const {
    for (auto* wished : {&wishes_.add, &wishes_.let_in})
      for (auto& node : *wished)
        if (is_kept_out(node))
          return raft::replica::let_in{to_string(node)};
    return std::nullopt;
  }

  /// Returns one that is kept out and not there; null: all are there.
  [[nodiscard]] const std::string* dispensable() const {
    for (auto& each : now_.members.kept_out)
      if (auto node = node_id::from_string(each);
          !node || (!linked_.contains(*node) && !seats_.contains(*node)))
        return &each;
    return nullptr;
  }

  /// Where too many are kept out, one that is not there gives way.
  [[nodiscard]] std::optional<change> kept_out_node() const {
    for (auto& node : wishes_.remove) {
      auto forced = wishes_.forced.contains(node);
      if (is_kept_out(node) && forced_out_.contains(node) == forced)
        continue;
      if (is_kept_out(node) || now_.members.kept_out.size() < raft::max_kept_out)
        return raft::replica::keep_out{to_string(node), forced};
      if (auto* away = dispensable())
        return raft::replica::let_in{*away};
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<change> missing_seat() const {
    for (auto& node : wanted_)
      if (auto there = linked_.find(node); there != linked_.end() && !seats_.contains(node)
                                           && !wishes_.forgotten.contains(there->second.seat))
        return raft::replica::add_learner{there->second.seat,
                                          to_string(seat_contact{node, there->second.address})};
    return std::nullopt;
  }

  [[nodiscard]] std::optional<change> ready_learner() const {
    std::vector<node_id> ready;
    for (auto& each : now_.others)
      if (auto node = to_seat_contact(each.who.contact).node;
          !each.who.votes && wanted_.contains(node)
          && (is_caught_up(each) || planted_flaw == flaw::laggard_promoted))
        ready.push_back(node);
    if (ready.empty())
      return std::nullopt;
    auto voters = count_voters();
    auto replaces = std::ranges::any_of(
      seats_, [&](auto& each) { return is_unwanted(each.first) && votes(each.first); });
    auto asked
      = std::ranges::find_if(ready, [&](auto& node) { return wishes_.add.contains(node); });
    if (asked != ready.end())
      return raft::replica::promote{seats_.at(*asked)};
    if (voters % 2 == 0 || ready.size() > 1 || voters + 1 == wishes_.voters || replaces)
      return raft::replica::promote{seats_.at(ready.front())};
    return std::nullopt;
  }

  /// Before one more votes: of five it might be needed.
  [[nodiscard]] std::optional<change> spare_voter() const {
    for (auto replaced : {true, false})
      for (auto& [node, seat] : seats_)
        if (is_unwanted(node) && is_replaced(node) == replaced && now_.members.votes(seat)
            && !is_forced(node) && held_by(node) == hold::nothing)
          return take_away(node, seat);
    return std::nullopt;
  }

  /// Last, when all that should vote do.
  [[nodiscard]] std::optional<change> unwanted_seat() const {
    for (auto& [node, seat] : seats_) {
      if (!is_unwanted(node))
        continue;
      if (!now_.members.votes(seat))
        return raft::replica::remove{seat};
      if (is_forced(node) && held_by(node) == hold::nothing)
        return take_away(node, seat);
    }
    return std::nullopt;
  }

  /// @pre the group goes on without this voter
  [[nodiscard]] change take_away(const node_id& node, raft::member_id seat) const {
    if (node == self_)
      return raft::replica::transfer{};
    auto is_fresh = now_.members_for && *now_.members_for < std::min(wishes_.since, long_ago);
    if (!is_fresh && planted_flaw != flaw::stale_word_counted)
      return raft::replica::confirm_members{};
    return raft::replica::remove{seat};
  }

  /// It has said that it knows of its seat, and is at most a moment behind.
  [[nodiscard]] bool is_caught_up(const raft::replica::member_status& who) const {
    constexpr raft::log_index a_little = 100;
    constexpr duration long_silent = std::chrono::seconds{1};
    return who.knows_members && who.match + a_little >= now_.last && !who.by_snapshot
           && who.silent_for < long_silent;
  }

  [[nodiscard]] bool is_caught_up(raft::member_id which) const {
    auto who = std::ranges::find(now_.others, which, &raft::replica::member_status::seat);
    return who != now_.others.end() && is_caught_up(*who);
  }

  /// What was acknowledged says no more that somebody is there, or that its disk has room.
  static constexpr duration long_ago = std::chrono::seconds{2};

  const raft::replica::status& now_;
  const node_id& self_;
  const std::map<node_id, candidate>& linked_;
  const voter_wishes& wishes_;
  std::map<node_id, raft::member_id> seats_;
  std::set<node_id> kept_out_;
  std::set<node_id> forced_out_;
  std::set<node_id> wanted_;
};

} // namespace troupe::cluster
