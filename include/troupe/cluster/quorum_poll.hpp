#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "troupe/cluster/finder_contact.hpp"
#include "troupe/cluster/finder_requests.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/service_addresses.hpp"
#include "troupe/cluster/vain_search.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// Whether there is a quorum, and whether this node is refused, while the services are out of
/// reach. When the contact says that there is none, some other nodes are asked side by side whether
/// they know of a majority that the contact does not reach. Part of `finder`; when which word
/// counts is the rule of `vain_search`.
///
/// - A node that votes has its own word of the quorum, which goes before that of the contact.
/// - Without a word of either, a node that sees no more than half of the nodes of its cluster, and
///   has tried them in vain for longer than an election takes, is in a minority. It may have begun
///   to try before it saw so few: who is dead is known later.
/// - The same holds of a node that has tried all in vain, and among them the one that had the
///   services in its memory: nobody else can take them over.
/// - Nodes that hang count as asked in time, too; their answers still count.
///
/// Not thread-safe. Cost of a call: O(addresses).
class quorum_poll {
public:
  using effects = finder_effects::effects;

  /// How the word begins that the only host of the services does not answer.
  static constexpr const char* kept_in_memory
    = "this cluster keeps its services in the memory of the node at ";

  struct aside {
    /// When it counts as tried, as it may hang; the answer still counts.
    std::optional<time_point> tried_at{};
    /// None while it is dialled.
    std::optional<inquiry> question{};
  };

  /// @pre all but the first outlive this
  quorum_poll(std::size_t max_addresses, const service_addresses& addresses,
              const finder_contact& contact, finder_requests& requests)
    : addresses_(addresses),
      contact_(contact),
      requests_(requests),
      max_addresses_(max_addresses),
      vain_(max_addresses) {}

  quorum_poll(const quorum_poll&) = delete;
  quorum_poll& operator=(const quorum_poll&) = delete;

  // -- this node's own word ----------------------------------------------------------------

  /// Whether this node votes.
  [[nodiscard]] bool votes() const {
    return votes_;
  }

  void seated(time_point now, bool votes, effects& out) {
    votes_ = votes;
    tell(now, out);
  }

  void seat_says(time_point now, const problem& why, effects& out) {
    own_quorum_ = why;
    tell(now, out);
  }

  /// The services are bound at that node, which keeps them in its memory; none: others may take
  /// them over. Counts once they are out of reach.
  void kept_in_memory_at(const std::optional<net::address>& where) {
    only_host_ = where;
  }

  void see(time_point now, const finder_events::present& what, effects& out) {
    auto saw_few = sees_few();
    present_ = what;
    if (saw_few && !sees_few())
      vain_since_.reset(); // those that are back may elect one
    tell(now, out);
  }

  // -- what others say ---------------------------------------------------------------------

  /// What the contact says of the quorum; errc::none: nothing, or there is no contact.
  void hear(time_point now, const problem& why, effects& out) {
    auto is_news = vain_.hear(why);
    tell(now, out);
    if (is_news)
      ask_around(now, out);
  }

  /// This node was asked, or gave no link because of `why`.
  void tried(time_point now, const net::address& where, const problem& why, effects& out) {
    vain_.tried(where, why);
    tell(now, out);
  }

  /// The services are found.
  void forget(time_point now, effects& out) {
    asides_.clear();
    vain_.forget();
    tell(now, out);
  }

  // -- nodes that are asked beside ---------------------------------------------------------

  /// Which node is asked by that question.
  [[nodiscard]] std::optional<net::address> asked_by(request_id id) const {
    auto found = std::ranges::find_if(
      asides_, [id](auto& each) { return is_asked(each.second.question, id); });
    return found != asides_.end() ? std::optional{found->first} : std::nullopt;
  }

  /// That node has answered.
  void answered(const net::address& where) {
    asides_.erase(where);
  }

  void dialled(time_point now, const net::address& where, const result<net::connection_id>& got,
               effects& out) {
    auto beside = asides_.find(where);
    if (beside == asides_.end() || beside->second.question)
      return;
    if (got)
      beside->second.question
        = requests_.ask(now, *got, where, 0, {}, finder_requests::answer_within, out);
    else
      give_up(now, where, got.error(), out);
  }

  void link_down(time_point now, net::connection_id link, effects& out) {
    std::vector<net::address> lost;
    for (auto& [where, each] : asides_)
      if (each.question && each.question->link == link)
        lost.push_back(where);
    for (auto& where : lost)
      give_up(now, where, {}, out);
  }

  void tick(time_point now, effects& out) {
    std::vector<net::address> hang;
    std::vector<net::address> silent;
    for (auto& [where, each] : asides_) {
      if (each.question && each.question->is_due(now))
        silent.push_back(where);
      else if (each.tried_at && *each.tried_at <= now) {
        each.tried_at.reset();
        hang.push_back(where);
      }
    }
    for (auto& where : silent)
      give_up(now, where, {}, out);
    for (auto& where : hang)
      tried(now, where, {}, out);
    if (minority_at_ && *minority_at_ <= now) {
      minority_at_.reset();
      is_minority_ = true;
      tell(now, out);
    }
  }

  [[nodiscard]] bool asks_over(net::connection_id link) const {
    return std::ranges::any_of(asides_, [link](auto& each) {
      return each.second.question && each.second.question->is_over(link);
    });
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = minority_at_;
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    for (auto& [where, each] : asides_) {
      if (each.tried_at)
        no_later(*each.tried_at);
      if (each.question)
        no_later(each.question->due);
    }
    return next;
  }

  /// Whether it has anything to do, or knows anything, while the services are out of reach.
  [[nodiscard]] bool is_at_rest() const {
    return asides_.empty() && vain_.size() == 0;
  }

  /// What is wrong with its state, in words; empty if all is well. `is_up`: whether a link is.
  template <class IsUp>
  [[nodiscard]] std::vector<std::string> flaws(IsUp is_up) const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    for (auto& [where, each] : asides_)
      expect(each.question ? each.question->asked != 0 && is_up(each.question->link)
                           : requests_.is_dialling(where),
             "a node is waited for that nobody asks");
    expect(!vain_.hears_anything() || contact_, "nobody says that there is no quorum");
    expect(vain_.size() <= std::max(max_addresses_, vain_search::enough_tried),
           "more tries than allowed");
    return found;
  }

private:
  /// Longer than most elections.
  static constexpr duration minority_after = std::chrono::seconds{3};

  void ask_around(time_point now, effects& out) {
    asides_.clear();
    std::vector<net::address> others;
    for (auto& where : addresses_.all())
      if (!vain_.has_tried(where) && where != contact_.who().where
          && others.size() < vain_search::enough_tried)
        others.push_back(where);
    for (auto& where : others) {
      if (requests_.dial(now, where, out) == nullptr)
        tried(now, where, {}, out);
      else
        asides_[where].tried_at = now + finder_requests::answer_within;
    }
  }

  void give_up(time_point now, const net::address& where, const problem& why, effects& out) {
    auto gone = asides_.extract(where);
    tried(now, gone.key(), why, out);
  }

  [[nodiscard]] bool may_be_minority() const {
    return !votes_ && (is_lost_with_host() || sees_few()) && vain_.is_over(addresses_.all());
  }

  /// Enough others may have been tried before that one.
  [[nodiscard]] bool is_lost_with_host() const {
    return only_host_ && vain_.has_tried(*only_host_);
  }

  [[nodiscard]] bool sees_few() const {
    return present_.all > 0 && present_.there <= present_.all / 2;
  }

  static problem lost_with(const net::address& host) {
    return {errc::no_quorum, kept_in_memory + to_string(host)
                               + ", which does not answer, and no other node can take them over; "
                                 "if that process has ended, they are lost: end all nodes, and "
                                 "start the cluster anew, nodes with --data on empty folders"};
  }

  [[nodiscard]] problem minority() const {
    return {errc::no_quorum, "minority: " + std::to_string(present_.there) + " of "
                               + std::to_string(present_.all)
                               + " nodes are reachable, and none of them leads; start the others, "
                                 "or open the network to them"};
  }

  void tell(time_point now, effects& out) {
    if (votes_ || !vain_.is_over(addresses_.all()))
      vain_since_.reset();
    else if (!vain_since_)
      vain_since_ = now;
    if (!may_be_minority()) {
      minority_at_.reset();
      is_minority_ = false;
    } else if (!is_minority_) {
      minority_at_ = *vain_since_ + minority_after;
      is_minority_ = *minority_at_ <= now;
      if (is_minority_)
        minority_at_.reset();
    }
    auto why = votes_ ? own_quorum_ : vain_.no_quorum(addresses_.all());
    if (!why && is_minority_)
      why = is_lost_with_host() ? lost_with(*only_host_) : minority();
    if (why != told_quorum_)
      out.emplace_back(finder_effects::without_quorum{told_quorum_ = why, votes_});
    auto denied = vain_.denied(addresses_.all(), static_cast<bool>(contact_));
    if (denied != told_denied_)
      out.emplace_back(finder_effects::refused{told_denied_ = denied});
  }

  const service_addresses& addresses_;
  const finder_contact& contact_;
  finder_requests& requests_;
  bool votes_ = false;
  problem own_quorum_;
  finder_events::present present_{};
  std::optional<net::address> only_host_;
  bool is_minority_ = false;
  /// Since when enough nodes have been tried, in vain.
  std::optional<time_point> vain_since_;
  /// When it will be one, unless something changes.
  std::optional<time_point> minority_at_;
  std::map<net::address, aside> asides_;
  std::size_t max_addresses_;
  /// Since the services were bound last.
  vain_search vain_;
  problem told_quorum_;
  problem told_denied_;
};

} // namespace troupe::cluster
