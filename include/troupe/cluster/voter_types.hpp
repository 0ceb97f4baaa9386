#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

/// What is shown of the nodes that keep the services of a cluster, and what can be changed.
namespace troupe::cluster {

/// A member of the group as the leader or another member sees it.
struct seat_view {
  /// The id of its node.
  std::string node;
  std::string address;
  std::uint64_t seat = 0;
  /// Whether it is a voter; otherwise it is a learner, which only receives entries.
  bool votes = false;
  bool leads = false;
  /// Entries of the leader's log that it has not synced. Only in the leader's view, once the leader
  /// knows it.
  std::optional<std::uint64_t> lag;
  /// Time since it was heard last. Only in the leader's view.
  duration silent_for{};
  /// Whether it is the asked node or was heard by it lately; for a follower, a link to the voter is
  /// enough, as other followers do not write to it.
  bool is_reached = false;
  /// What people call the node, if the asked one knows that; otherwise how its id begins.
  std::string name{};

  friend bool operator==(const seat_view&, const seat_view&) = default;

  TROUPE_FIELDS(seat_view, node, address, seat, votes, leads, lag, silent_for, is_reached, name);
};

/// A service that programs have added, as a member of the group sees it.
struct own_service_view {
  std::string name;
  std::string type;
  /// Why this member does not run it; errc::none if it does.
  problem why;
  /// Only in the leader's view: ids of nodes that do not run it, because their programs lack it or
  /// it has failed there; and of nodes whose programs have older rules than the leader's.
  std::vector<std::string> lacking{};
  std::vector<std::string> older{};

  friend bool operator==(const own_service_view&, const own_service_view&) = default;

  TROUPE_FIELDS(own_service_view, name, type, why, lacking, older);
};

/// What is to happen with a node's seat and has not happened yet.
struct pending_view {
  /// The id of the node.
  std::string node;
  /// `removal`, `replacement`, `void seat` or `hand-over`.
  std::string what;
  /// What it waits for, in words.
  std::string why;

  friend bool operator==(const pending_view&, const pending_view&) = default;

  TROUPE_FIELDS(pending_view, node, what, why);
};

struct voters_view {
  std::uint64_t term = 0;
  /// The last entry that a majority has synced.
  std::uint64_t commit = 0;
  /// The last entry of the leader's log.
  std::uint64_t last = 0;
  /// The number of voters that the leader wants: its node_options::voters.
  std::uint64_t wanted = 0;
  std::vector<seat_view> seats;
  /// The ids of removed nodes, which get a seat only when they are added again. The leader leaves
  /// out those that are revoked, which get none.
  std::vector<std::string> kept_out{};
  /// The services that programs have added to the cluster.
  std::vector<own_service_view> services{};
  /// Removals that wait, voters that are gone and are replaced, void seats and hand-overs under
  /// way. At most one for each member and each linked node, and one for each node that is asked to
  /// lead. Only the leader knows the reasons of removals.
  std::vector<pending_view> pending{};
  /// The ids of members without a seat that a leader gives one when it wants another voter. Only in
  /// the leader's view.
  std::vector<std::string> spares{};

  friend bool operator==(const voters_view&, const voters_view&) = default;

  TROUPE_FIELDS(voters_view, term, commit, last, wanted, seats, kept_out, services, pending,
                spares);
};

/// The voters beside a node that votes.
struct other_voters {
  std::size_t all = 0;
  std::size_t reached = 0;

  /// Whether they are a cluster without it: at least one votes, and a majority of them is reached.
  [[nodiscard]] bool go_on() const {
    return 2 * reached > all;
  }
};

/// Those beside `node`, an id; nothing if it does not vote.
inline std::optional<other_voters> voters_beside(const voters_view& group,
                                                 const std::string& node) {
  other_voters others;
  auto has_vote = false;
  for (auto& each : group.seats)
    if (each.votes && each.node == node) {
      has_vote = true;
    } else if (each.votes) {
      ++others.all;
      others.reached += each.is_reached ? 1 : 0;
    }
  return has_vote ? std::optional{others} : std::nullopt;
}

enum class voter_change : std::uint8_t {
  /// Makes the node one more voter.
  add = 0,
  /// Takes its vote and its seat until it is added again, under any leader. If the group would
  /// tolerate fewer losses, another node takes its place first; with `force` that is not waited
  /// for.
  remove = 1,
  /// Makes it the leader.
  lead = 2,
  /// As remove, but it may come back like any other node.
  leave = 3,
};

constexpr const char* name_of(voter_change which) noexcept {
  switch (which) {
    case voter_change::add:
      return "add";
    case voter_change::remove:
      return "remove";
    case voter_change::lead:
      return "lead";
    case voter_change::leave:
      return "leave";
  }
  return "unknown";
}

/// Asks the leader for a change and is answered once it is made. Idempotent. Errors: not_found (no
/// such node), in_use (no node can take its place, and `force` is not set), bad_argument (it is the
/// last voter, or has no data folder, or several nodes have that name), unreachable (the leader has
/// no link to it), busy (it has just been linked: ask again), not_leader (leadership has moved: ask
/// again), cancelled (a node that was to leave has started again instead, and stays), timed_out
/// (after 30 s; a removal goes on, see list_voters; repeat other changes).
struct change_voters {
  using result = voters_view;

  voter_change what = voter_change::add;
  /// Its name or id.
  std::string node;
  bool force = false;

  TROUPE_FIELDS(change_voters, what, node, force);
};

/// Whether a change of voters failed because there was no leader to make it.
constexpr bool nobody_leads(errc why) noexcept {
  return why == errc::no_quorum || why == errc::not_leader || why == errc::unreachable;
}

} // namespace troupe::cluster
