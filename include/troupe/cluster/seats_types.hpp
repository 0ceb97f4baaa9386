#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "troupe/cluster/log_effects.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/group/quorum_watch.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// Limits of a `seats`.
struct seats_options {
  /// Voters that the cluster should have, as far as it goes by this node.
  std::size_t voters = 3;
  /// How long a voter has to be gone before another node takes its place, see voter_losses. Zero:
  /// it keeps its seat.
  duration replace_after = std::chrono::minutes{5};
  /// A voter of which the leader has heard nothing in the group for so long counts as gone,
  /// whatever its process does: its disk may have failed.
  duration silent_after = std::chrono::seconds{30};
  /// Linked nodes, members that are there, and nodes with a name and an address. Of the members
  /// one that does not vote gives way to a further one, see voter_losses. A further link gets no
  /// vote; of the nodes with a name one that is neither linked nor a member gives way to a further
  /// one.
  std::size_t max_nodes = 10'000;
  /// Changes and hand-overs that somebody waits for; more are refused with limit_reached.
  std::size_t max_changes = 100;
  /// Removals that nobody waits for any more and that go on; more are refused with limit_reached.
  std::size_t max_wishes = 1'000;
  /// Void seats that nobody holds and nobody misses are remembered up to so many.
  std::size_t max_forgotten = 1'000;
  /// Pause before a linked node that has not answered is asked for its card again.
  backoff retry{std::chrono::seconds{1}, std::chrono::seconds{30}};
};

/// What `seats` hears and says.
struct seats_types {
  // -- events: what the group says -----------------------------------------------------------

  using changed_role = raft::replica_types::changed_role;
  using ignored = raft::replica_types::ignored;

  /// These are the members by what is committed. `now`: as the group stands.
  struct members_are {
    raft::configuration committed;
    raft::replica_types::status now;
  };

  /// A message for a member could not be sent: it has to be linked.
  struct wants_peer {
    std::string contact;
  };

  /// That seat has lost what its disk had synced.
  struct forgot {
    raft::member_id seat;
  };

  /// The disk is full, or has room again (errc::none).
  struct disk_room {
    problem why;
  };

  /// This node takes part no more.
  struct stopped {
    problem why;
  };

  /// The answer to the `look` of this step's id. `address`: where this node takes links; needed
  /// where it leads.
  struct seen {
    raft::replica_types::status now;
    host::quorum_view quorum;
    std::string address{};
  };

  /// The answer to the `propose` of this step's id: errc::none once it is in the log.
  struct answered {
    problem why;
  };

  /// The answer to the `renew` of this step's id.
  struct renewed {
    problem why;
    raft::replica_types::status now;
  };

  // -- events: what other nodes say ----------------------------------------------------------

  /// There is a link to another node; it takes the place of an earlier one. The boot number tells
  /// whether that node has started again; zero: unknown. `called`: its name, as the link proves it;
  /// empty: it proves none.
  struct link_up {
    node_id node;
    boot_number boot = 0;
    std::string called{};
  };

  struct link_down {
    node_id node;
  };

  /// What the registry says of another node.
  struct node_is {
    node_id node;
    std::string called;
    std::string address;
  };

  /// It has taken back what it said in that boot: it leaves the cluster. Zero: unknown.
  struct node_left {
    node_id node;
    boot_number boot = 0;
  };

  /// The members show that node alive, or suspect it; or show it dead or stopped, or have forgotten
  /// it.
  struct member_shows {
    node_id node;
    bool is_there = false;
  };

  /// The identities of these nodes are revoked, and no others.
  struct revoked {
    std::set<node_id> nodes;
  };

  /// What a node says of its seat. `is_reachable`: with the actor that takes messages for it.
  /// `voters` and `promotions`: of the members in its log, see raft::configuration; without voters,
  /// it has no log. `term`: that of the last entry there, as the node may have heard of a later one
  /// whose leader has not sent it anything yet.
  struct card {
    node_id node;
    raft::member_id seat;
    bool is_reachable = true;
    raft::term_number term = 0;
    std::uint64_t promotions = 0;
    std::set<raft::member_id> voters{};
  };

  /// A node shows its card and wants that of this one: `show_card`, or `refuse`. It may say that a
  /// seat of this node is void.
  struct exchanged {
    card theirs;
    raft::member_id forgotten{};
    /// The node behind the present link over which it came; all zero: over no such link.
    node_id over{};
    /// The seat of this node, and of the leader if it knows one.
    raft::member_id self{};
    raft::member_id leader{};

    /// Whether the node that the card names has said it.
    [[nodiscard]] bool is_proven() const {
      return over != node_id{} && over == theirs.node;
    }
  };

  /// The card of a node that was asked by the `greet` of this step's id.
  struct greeted {
    card theirs;
  };

  /// There is no card for the `greet` of this step's id. timed_out: it or its answer may be lost.
  /// Else the node has answered that it has no seat, or does not show its card now.
  struct unanswered {
    problem why;
  };

  // -- events: what people ask for ------------------------------------------------------------

  /// Ends with `made` or `refuse`.
  struct change {
    change_voters what;
  };

  /// This node is about to end: another one shall lead. Ends with `handed_over`, in 3 s at most.
  struct hand_over {};

  using event
    = std::variant<changed_role, members_are, wants_peer, forgot, ignored, disk_room, stopped, seen,
                   answered, renewed, link_up, link_down, node_is, node_left, member_shows, revoked,
                   exchanged, greeted, unanswered, change, hand_over>;

  // -- effects: for the group -----------------------------------------------------------------

  /// Step `seen` with how the group stands from here on.
  struct look {
    request_id id = 0;
  };

  /// Ask the group for this, and step `answered`.
  struct propose {
    request_id id = 0;
    raft::replica_types::event what;
  };

  /// Take another seat than `lost`, and step `renewed`.
  struct renew {
    request_id id = 0;
    raft::member_id lost;
  };

  /// Messages for that seat go to the actor on the card of this step.
  struct trust {
    raft::member_id seat;
  };

  /// Messages for that seat go nowhere: its node has another one.
  struct distrust {
    raft::member_id seat;
  };

  // -- effects: for other nodes ---------------------------------------------------------------

  /// Show the card of this node to the one behind that link, say that its seat `forgotten` is void
  /// if it has one, and step `greeted` with its card, or `unanswered` with why there is none.
  struct greet {
    request_id id = 0;
    node_id node;
    raft::member_id forgotten;
  };

  /// Make a link to that node, if there is none.
  struct reach {
    seat_contact where;
  };

  /// The link to that node may be silent for so long.
  struct watch_closely {
    node_id node;
    duration silence{};
  };

  // -- effects: answers, one for each request ---------------------------------------------------

  /// Of `exchanged`: the card of this node.
  struct show_card {
    request_id id = 0;
  };

  /// Of `exchanged` or `change`.
  struct refuse {
    request_id id = 0;
    problem why;
  };

  /// Of `change`.
  struct made {
    request_id id = 0;
    voters_view now;
  };

  struct handed_over {
    request_id id = 0;
  };

  // -- effects: for the rest of the node --------------------------------------------------------

  /// This node leads from here on. Turns rise with each change of who leads, as far as this node
  /// knows.
  struct lead {
    std::uint64_t turn = 0;
  };

  /// It does not: another leads at that address; empty: no leader is known.
  struct follow {
    std::uint64_t turn = 0;
    std::string address;
  };

  /// The addresses of all other members.
  struct others {
    std::vector<std::string> addresses;
  };

  /// Which links this node needs from here on, used or not: all, or those to these nodes; no
  /// others.
  struct keep_links {
    bool all = false;
    std::set<node_id> peers{};

    friend bool operator==(const keep_links&, const keep_links&) = default;
  };

  /// Whether this node has a seat in the group, and a vote. Said again at will.
  struct seated {
    bool is_seated = false;
    bool votes = false;
  };

  /// No leader, and fewer than a majority of the voters are reached: no_quorum, with those that are
  /// missing. errc::none: it is over.
  struct without_quorum {
    problem why;
  };

  using inform = log_effects::inform;
  using warn = log_effects::warn;
  using fail = log_effects::fail;
  using complain = log_effects::complain;
  using settle = log_effects::settle;

  /// Topic of the complaint that nobody leads, by whoever notices it.
  static constexpr const char* no_leader = "no leader";

  using effect
    = std::variant<look, propose, renew, trust, distrust, greet, reach, watch_closely, show_card,
                   refuse, made, handed_over, lead, follow, others, keep_links, seated,
                   without_quorum, inform, warn, fail, complain, settle>;
  using effects = std::vector<effect>;
};

} // namespace troupe::cluster
