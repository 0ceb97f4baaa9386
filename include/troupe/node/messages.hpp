#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/inspect_enum.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/messages.hpp"

/// What the nodes that keep a cluster's services say to each other, and what people may ask of
/// them: see voters.hpp.
namespace troupe::cluster {

/// By this name routers know the actor that answers these; only where the services are.
inline constexpr const char* voters_name = "troupe.voters";
/// The same on each node that may vote.
inline constexpr const char* seat_name = "troupe.seat";
/// The same on every node: what it knows of its cluster, whoever leads. It answers show_node and
/// the registry's find_records, get_record and count_records from its copy of the registry.
inline constexpr const char* knowledge_name = "troupe.node";

/// The same on each node with certificates: it takes tell_revocations.
inline constexpr const char* trust_name = "troupe.trust";

/// A node's place in the group, and the actor that takes the messages of the group.
struct seat_card {
  std::string node;
  std::uint64_t seat = 0;
  caf::strong_actor_ptr group;

  TROUPE_FIELDS(seat_card, node, seat, group);
};

/// Node to node, on a new link: here is mine, give me yours.
struct exchange_seats {
  using result = seat_card;

  seat_card mine;
  /// From the leader: the disk of this seat of yours has lost what it had synced, so that the seat
  /// is void; take another one. Zero: none.
  std::uint64_t forgotten = 0;

  TROUPE_FIELDS(exchange_seats, mine, forgotten);
};

/// A member of the group as the leader sees it, or as another member does.
struct seat_view {
  /// The id of its node.
  std::string node;
  std::string address;
  std::uint64_t seat = 0;
  /// Counts for majorities; else it only receives.
  bool votes = false;
  bool leads = false;
  /// Entries of the leader's log that it has not synced. Of the leader's view only, once that has
  /// heard how far it has come.
  std::optional<std::uint64_t> lag;
  /// Since it was heard of last. Of the leader's view only.
  duration silent_for{};
  /// It is this node, or was heard of by it lately; a voter that a follower is linked to and has
  /// no reason to hear of is, too.
  bool is_reached = false;

  friend bool operator==(const seat_view&, const seat_view&) = default;

  TROUPE_FIELDS(seat_view, node, address, seat, votes, leads, lag, silent_for, is_reached);
};

/// A service that programs bring, as a member of the group sees it.
struct own_service_view {
  std::string name;
  std::string type;
  /// Why this member does not run it; errc::none: it does.
  problem why;
  /// Of the leader's view only: ids of nodes that do not run it, as their programs lack it or it
  /// has failed there, and of those that do not know all of its rules that the leader knows.
  std::vector<std::string> lacking{};
  std::vector<std::string> older{};

  friend bool operator==(const own_service_view&, const own_service_view&) = default;

  TROUPE_FIELDS(own_service_view, name, type, why, lacking, older);
};

struct voters_view {
  std::uint64_t term = 0;
  /// The last entry that a majority has synced.
  std::uint64_t commit = 0;
  /// The last entry of the leader's log.
  std::uint64_t last = 0;
  /// So many voters the cluster should have.
  std::uint64_t wanted = 0;
  std::vector<seat_view> seats;
  /// Nodes that were removed, and get a seat only when they are added again: by their ids.
  std::vector<std::string> kept_out{};
  /// Those that were introduced to the cluster.
  std::vector<own_service_view> services{};

  friend bool operator==(const voters_view&, const voters_view&) = default;

  TROUPE_FIELDS(voters_view, term, commit, last, wanted, seats, kept_out, services);
};

struct list_voters {
  using result = voters_view;

  TROUPE_FIELDS(list_voters);
};

/// The peer of a link of a node.
struct link_view {
  /// Its id, and its name by its certificate.
  std::string node;
  std::string name;
  /// "member" or "client".
  std::string role;
  /// What a client may do: "read", "use" or "operate".
  std::string rights;
  /// "1.3"; empty: the link is not encrypted, and the peer is who it says it is.
  std::string tls;
  /// Of its certificate.
  wall_time valid_until{};

  friend bool operator==(const link_view&, const link_view&) = default;

  TROUPE_FIELDS(link_view, node, name, role, rights, tls, valid_until);
};

/// What one node knows of its cluster, whoever leads.
struct node_view {
  /// Links that are shown.
  static constexpr std::size_t max_links = 256;

  /// Its id, and what people call it.
  std::string node;
  std::string name;
  /// The address of the node that leads; empty: none that it knows.
  std::string leader;
  /// Zero while there is a leader.
  duration leaderless_for{};
  /// How often another one came to lead than the last, since this node started.
  std::uint64_t changes_of_leader = 0;
  /// By its own replica; without seats if it has none.
  voters_view group;
  /// no_quorum and who is missing, once it has reached no majority of the voters for a while;
  /// errc::none otherwise.
  problem why;
  /// To whom it is linked, members first; at most max_links.
  std::vector<link_view> links{};
  /// How many links it has.
  std::uint64_t all_links = 0;
  /// When its certificate ends; nothing: it has none.
  std::optional<wall_time> certificate_valid_until{};

  friend bool operator==(const node_view&, const node_view&) = default;

  TROUPE_FIELDS(node_view, node, name, leader, leaderless_for, changes_of_leader, group, why, links,
                all_links, certificate_valid_until);
};

struct show_node {
  using result = node_view;

  TROUPE_FIELDS(show_node);
};

enum class voter_change : std::uint8_t {
  /// The node becomes a voter, beside the others.
  add = 0,
  /// It votes no more, and has no seat until it is added again, whoever leads; another takes its
  /// place before, where the cluster would have too few.
  remove = 1,
  /// It leads.
  lead = 2,
  /// As remove, but it may come back as any other node.
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

/// Asks the leader for a change, and is answered once that is made. Once more does no harm.
/// Errors: not_found (no such node), in_use (nobody could take its place, and `force` is not
/// set), bad_argument (the last voter stays, or several nodes have that name), not_leader and
/// unreachable (ask again: leadership has moved), timed_out (after 30 s; a removal goes on, see
/// list_voters, the others are to be asked again).
struct change_voters {
  using result = voters_view;

  voter_change what = voter_change::add;
  /// Its name or id.
  std::string node;
  bool force = false;

  TROUPE_FIELDS(change_voters, what, node, force);
};

/// A backup that can be read for a few minutes, from the node that was asked.
struct backup_receipt {
  /// The last entry of the log that is in it.
  std::uint64_t index = 0;
  std::uint64_t bytes = 0;

  TROUPE_FIELDS(backup_receipt, index, bytes);
};

/// Asks the leader for a backup of all that the group keeps, as of now or a little later. It
/// takes the place of the last one. Errors: not_leader, busy, and those of the disk.
struct make_backup {
  using result = backup_receipt;

  TROUPE_FIELDS(make_backup);
};

/// Asks for a piece of it. Errors: not_found (there is another one by now, or none).
struct read_backup {
  using result = std::string;

  std::uint64_t index = 0;
  std::uint64_t offset = 0;

  TROUPE_FIELDS(read_backup, index, offset);
};

/// Member to member: a list of revoked certificates, as security::read_revocation_list() reads it.
/// The answer is the number of the list that the receiver has then.
struct tell_revocations {
  using result = std::uint64_t;

  std::string list;

  TROUPE_FIELDS(tell_revocations, list);
};

template <class Inspector>
bool inspect(Inspector& f, voter_change& x) {
  return inspect_enum(f, x);
}

} // namespace troupe::cluster

CAF_BEGIN_TYPE_ID_BLOCK(troupe_node, ::troupe::type_ids::node)

  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::seat_card))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::exchange_seats))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::voters_view))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::list_voters))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::change_voters))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::backup_receipt))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::make_backup))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::read_backup))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::node_view))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::show_node))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::own_service_view))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::link_view))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::tell_revocations))

CAF_END_TYPE_ID_BLOCK(troupe_node)

static_assert(caf::id_block::troupe_node::end <= troupe::type_ids::net);
