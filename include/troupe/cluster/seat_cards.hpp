#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/seats_types.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// What a node knows of the others: which are linked, which seat each of those says it has, what
/// they are called, and which are members by what is committed. Part of `seats`. Cost of a call:
/// O(links + members), where it says nothing else.
class seat_cards {
public:
  /// A linked node.
  struct link {
    /// The number of its greetings: an answer over an earlier link does not count.
    request_id life = 0;
    /// Zero: unknown.
    boot_number boot = 0;
    /// Its name; empty: unknown.
    std::string called{};
    /// What it has said. Zero: nothing.
    raft::member_id seat{};
    /// It has said that it has none to show, as a node without a data folder.
    bool shows_none = false;
    /// When it is told again that its seat is void.
    std::optional<time_point> told_void{};
    /// Times in a row that it has not answered, and when it is asked again.
    std::uint32_t failed = 0;
    std::optional<time_point> ask_again{};
  };

  /// `node`: the id of this one. `max_nodes` as in seats_options.
  seat_cards(node_id node, std::size_t max_nodes) : node_(node), max_nodes_(max_nodes) {}

  /// The id of this node.
  [[nodiscard]] const node_id& self() const {
    return node_;
  }

  // -- members -------------------------------------------------------------------------------

  void members_are(raft::configuration committed) {
    members_ = std::move(committed);
    std::erase_if(known_,
                  [this](auto& each) { return each.second.is_gone && !seat_of(each.first); });
  }

  /// By what is committed.
  [[nodiscard]] const raft::configuration& members() const {
    return members_;
  }

  [[nodiscard]] std::optional<raft::member_id> seat_of(const node_id& node) const {
    for (auto& [seat, who] : members_.members)
      if (to_seat_contact(who.contact).node == node)
        return seat;
    return std::nullopt;
  }

  static bool is_of_another(raft::member_id seat, const node_id& node,
                            const raft::configuration& members) {
    auto found = members.members.find(seat);
    return found != members.members.end() && to_seat_contact(found->second.contact).node != node;
  }

  // -- links ---------------------------------------------------------------------------------

  [[nodiscard]] bool may_link(const node_id& node) const {
    return node != node_ && (links_.size() < max_nodes_ || links_.contains(node));
  }

  /// It takes the place of an earlier one.
  void link_up(const node_id& node, request_id life, boot_number boot, std::string called = {}) {
    links_[node] = {life, boot, std::move(called)};
  }

  void link_down(const node_id& node) {
    links_.erase(node);
  }

  [[nodiscard]] bool is_linked(const node_id& node) const {
    return links_.contains(node);
  }

  /// By node, in the order of their ids.
  [[nodiscard]] const std::map<node_id, link>& links() const {
    return links_;
  }

  [[nodiscard]] std::map<node_id, link>& links() {
    return links_;
  }

  /// Returns nullptr if there is no link.
  [[nodiscard]] link* find_link(const node_id& node) {
    auto found = links_.find(node);
    return found != links_.end() ? &found->second : nullptr;
  }

  /// Zero: there is no link, or its boot number is unknown.
  [[nodiscard]] boot_number boot_of(const node_id& node) const {
    auto found = links_.find(node);
    return found != links_.end() ? found->second.boot : 0;
  }

  [[nodiscard]] bool has_card(const node_id& node) const {
    return card_of(node) != raft::member_id{};
  }

  /// The seat that a linked node has said; zero: none.
  [[nodiscard]] raft::member_id card_of(const node_id& node) const {
    auto found = links_.find(node);
    return found != links_.end() ? found->second.seat : raft::member_id{};
  }

  /// Whether a linked node has said that it has no card.
  [[nodiscard]] bool has_no_card(const node_id& node) const {
    auto found = links_.find(node);
    return found != links_.end() && found->second.shows_none;
  }

  /// The answer to greetings of that number: there is no card. A node shows one that it gets later.
  void shows_none(request_id life) {
    for (auto& [node, each] : links_)
      if (each.life == life)
        each.shows_none = true;
  }

  /// The node behind that link has shown that card. Returns whether it counts.
  bool believe(const seats_types::card& theirs, link& from) const {
    from.failed = 0;
    from.ask_again.reset();
    if (!theirs.is_reachable || theirs.seat == raft::member_id{}
        || is_of_another(theirs.seat, theirs.node, members_))
      return false; // the group says whose seat that is
    from.seat = theirs.seat;
    from.shows_none = false;
    return true;
  }

  /// The greetings of that number have no answer. The node is asked again, unless it has shown its
  /// card meanwhile.
  void is_silent(request_id life, const backoff& retry, random_source& random, time_point now) {
    auto found
      = std::ranges::find_if(links_, [life](auto& each) { return each.second.life == life; });
    if (found == links_.end() || found->second.seat != raft::member_id{})
      return;
    auto& silent = found->second;
    if (!silent.ask_again)
      silent.ask_again = now + retry.delay(++silent.failed, random);
  }

  /// Which nodes are to be asked for their cards again.
  std::vector<node_id> take_due(time_point now) {
    std::vector<node_id> found;
    for (auto& [node, each] : links_)
      if (each.ask_again && *each.ask_again <= now) {
        each.ask_again.reset();
        found.push_back(node);
      }
    return found;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    for (auto& [node, each] : links_)
      if (each.ask_again)
        next = std::min(next.value_or(*each.ask_again), *each.ask_again);
    return next;
  }

  /// Forgets the cards that contradict `members`. Returns whose.
  std::vector<node_id> doubt(const raft::configuration& members) {
    std::vector<node_id> found;
    for (auto& [seat, who] : members.members) {
      auto node = to_seat_contact(who.contact).node;
      auto* known = find_link(node);
      if (known == nullptr || known->seat == seat || known->seat == raft::member_id{})
        continue;
      known->seat = {};
      found.push_back(node);
    }
    return found;
  }

  /// The linked nodes that could vote, and this one at `address`.
  [[nodiscard]] std::map<node_id, voter_plan::candidate>
  candidates(const raft::replica_types::status& now, const std::string& address) const {
    std::map<node_id, voter_plan::candidate> found;
    for (auto& [node, each] : links_)
      if (auto where = known_.find(node); where != known_.end() && each.seat != raft::member_id{}
                                          && !is_of_another(each.seat, node, now.members))
        found[node] = {each.seat, where->second.address};
    found[node_] = {now.self, address};
    return found;
  }

  // -- names ---------------------------------------------------------------------------------

  void node_is(const node_id& node, std::string called, std::string address) {
    if (known_.size() >= max_nodes_ && !known_.contains(node) && !forget_a_node())
      return;
    known_[node] = {std::move(called), std::move(address)};
  }

  /// A node with a seat keeps it until that goes, for those who ask about the members.
  void forget_name(const node_id& node) {
    auto found = known_.find(node);
    if (found == known_.end())
      return;
    if (seat_of(node))
      found->second.is_gone = true;
    else
      known_.erase(found);
  }

  [[nodiscard]] std::string name_of(const node_id& node) const {
    if (auto found = known_.find(node); found != known_.end())
      return found->second.called;
    auto linked = links_.find(node); // before the registry says so, as after a start
    return linked != links_.end() && !linked->second.called.empty() ? linked->second.called
                                                                    : to_string(node).substr(0, 8);
  }

  /// For a contact: "n0 (127.0.0.1:1)". Says so if its node is among those that are `revoked`.
  [[nodiscard]] std::string name_at(const std::string& contact,
                                    const std::set<node_id>& revoked) const {
    auto where = to_seat_contact(contact);
    return name_of(where.node) + " (" + where.address
           + (revoked.contains(where.node) ? ", revoked)" : ")");
  }

  /// As name_at(), where no link has that seat.
  [[nodiscard]] std::string name_of_seat(raft::member_id seat,
                                         const std::set<node_id>& revoked) const {
    for (auto& [node, each] : links_)
      if (each.seat == seat && seat != raft::member_id{})
        return name_of(node);
    auto found = members_.members.find(seat);
    return found == members_.members.end() ? "member " + std::to_string(seat.value)
                                           : name_at(found->second.contact, revoked);
  }

  /// Who votes and who learns, for people.
  [[nodiscard]] std::string describe_members() const {
    std::string voters;
    std::string learners;
    for (auto& [seat, who] : members_.members) {
      auto& list = who.votes ? voters : learners;
      auto node = to_seat_contact(who.contact).node;
      list += (list.empty() ? "" : ", ") + (node == node_ ? "this node" : name_of(node));
    }
    auto text = "voters of the cluster: " + voters;
    return learners.empty() ? text : text + "; learners: " + learners;
  }

  /// Returns the id of the node of that name, id or address; where there is none, that of the node
  /// whose id begins so. Of several one that is `revoked` is not meant. Errors: not_found;
  /// bad_argument if several are meant. Cost: O(nodes).
  [[nodiscard]] result<node_id> find_node(const std::string& called,
                                          const std::set<node_id>& revoked) const {
    auto id = node_id::from_string(called);
    if (id && (*id == node_ || known_.contains(*id)))
      return *id;
    auto found = nodes_called(called);
    if (found.empty())
      found = nodes_begun_by(called);
    found.erase(node_id{}); // of a contact without an id
    auto is_out = [&revoked](const node_id& each) { return revoked.contains(each); };
    if (!std::ranges::all_of(found, is_out))
      std::erase_if(found, is_out);
    if (found.size() == 1)
      return *found.begin();
    auto shown = "'" + called.substr(0, 64) + "'";
    if (found.empty())
      return problem{errc::not_found,
                     "no node " + shown + " is known; see troupe status for their names"};
    return problem{errc::bad_argument,
                   std::to_string(found.size()) + " nodes are called " + shown
                     + "; give the id of the one you mean, or its first digits: "
                     + digits_of(found)};
  }

  /// What is wrong with its state, in words; empty if all is well. `last_id`: the greatest number
  /// that was given. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws(request_id last_id) const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, std::string what) {
      if (!holds)
        found.push_back(std::move(what));
    };
    expect(links_.size() <= max_nodes_, "more links than allowed");
    expect(known_.size() <= max_nodes_, "more nodes than allowed");
    expect(!links_.contains(node_), "a link to itself");
    std::set<request_id> lives;
    for (auto& [node, each] : links_)
      expect(each.life <= last_id && lives.insert(each.life).second,
             "two links are one: " + to_string(node));
    return found;
  }

private:
  struct known_node {
    std::string called;
    std::string address;
    /// To be forgotten once it has no seat.
    bool is_gone = false;
  };

  static std::string digits_of(const std::set<node_id>& nodes) {
    constexpr std::size_t most = 5;
    constexpr std::size_t digits = 12;
    std::string text;
    std::size_t count = 0;
    for (auto& each : nodes)
      if (count++ < most)
        text += (text.empty() ? "" : ", ") + to_string(each).substr(0, digits);
    return count > most ? text + ", ..." : text;
  }

  [[nodiscard]] std::set<node_id> nodes_called(const std::string& called) const {
    std::set<node_id> found;
    for (auto& [node, who] : known_)
      if (who.called == called)
        found.insert(node);
    for (auto& [seat, who] : members_.members) // it may never come back
      if (auto where = to_seat_contact(who.contact);
          to_string(where.node) == called || where.address == called)
        found.insert(where.node);
    return found;
  }

  [[nodiscard]] std::set<node_id> nodes_begun_by(const std::string& digits) const {
    std::set<node_id> found;
    if (begins_id(digits, to_string(node_)))
      found.insert(node_);
    for (auto& [node, who] : known_)
      if (begins_id(digits, to_string(node)))
        found.insert(node);
    for (auto& [seat, who] : members_.members)
      if (auto id = to_seat_contact(who.contact).node; begins_id(digits, to_string(id)))
        found.insert(id);
    return found;
  }

  /// Returns whether one could be forgotten.
  bool forget_a_node() {
    for (auto each = known_.begin(); each != known_.end(); ++each)
      if (!links_.contains(each->first) && !seat_of(each->first)) {
        known_.erase(each);
        return true;
      }
    return false;
  }

  node_id node_;
  std::size_t max_nodes_;
  raft::configuration members_; // committed
  std::map<node_id, link> links_;
  std::map<node_id, known_node> known_;
};

} // namespace troupe::cluster
