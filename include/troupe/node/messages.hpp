#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/type_id.hpp"
#include "troupe/cluster/member_view.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/caf/inspect_enum.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/messages.hpp"

/// Messages between the nodes that keep the services of a cluster, and the questions that operators
/// ask them: see voters.hpp.
namespace troupe::cluster {

/// The name of the actor that answers these on each node that may vote, for router::find_service;
/// voters_name is that of the leader's.
inline constexpr const char* seat_name = "troupe.seat";
/// The name of the actor on every node that answers, also without a leader, show_node and what
/// registry::registry_protocol has: see node::registry().
inline constexpr const char* knowledge_name = "troupe.node";

/// The name of the actor on each node with certificates that takes tell_revocations.
inline constexpr const char* trust_name = "troupe.trust";

/// The name of the actor on each node that takes exchange_cards, find_cards,
/// compare_members and exchange_records.
inline constexpr const char* membership_name = "troupe.membership";

/// A node's place in the group, and the actor that takes the messages of the group. The rest is of
/// its log, see seats_types::card.
struct seat_card {
  std::string node;
  std::uint64_t seat = 0;
  caf::strong_actor_ptr group;
  std::uint64_t term = 0;
  std::uint64_t promotions = 0;
  std::set<std::uint64_t> voters{};

  TROUPE_FIELDS(seat_card, node, seat, group, term, promotions, voters);
};

/// Sent from node to node on a new link: tells the own seat and asks for that of the other one.
struct exchange_seats {
  using result = seat_card;

  seat_card mine;
  /// From the leader: a seat of the receiver that is void, because its disk has lost synced
  /// entries. The receiver takes another one. Zero: no seat.
  std::uint64_t forgotten = 0;

  TROUPE_FIELDS(exchange_seats, mine, forgotten);
};

struct list_voters {
  using result = voters_view;

  TROUPE_FIELDS(list_voters);
};

/// The peer of a link.
struct link_view {
  /// Its id, and the name in its certificate.
  std::string node;
  std::string name;
  /// "member" or "client".
  std::string role;
  /// What a client may do: "read", "use" or "operate".
  std::string rights;
  /// The version of TLS, "1.3"; empty if the link is not encrypted, so that the peer's identity is
  /// not proven.
  std::string tls;
  /// When its certificate ends.
  wall_time valid_until{};
  /// The address of the node that relays the link, which this node has dialled; empty if none does.
  std::string via{};

  friend bool operator==(const link_view&, const link_view&) = default;

  TROUPE_FIELDS(link_view, node, name, role, rights, tls, valid_until, via);
};

/// What one node knows of its cluster, also without a leader.
struct node_view {
  /// The most links that are shown.
  static constexpr std::size_t max_links = 256;
  /// The most members that are shown.
  static constexpr std::size_t max_members = 1'000;

  /// Its id and its name.
  std::string node;
  std::string name;
  /// The address of the leader; empty if it knows no leader.
  std::string leader;
  /// Zero while there is a leader.
  duration leaderless_for{};
  /// How often leadership has changed since this node started.
  std::uint64_t changes_of_leader = 0;
  /// As its own replica has it; without seats if the node has no replica.
  voters_view group;
  /// no_quorum, with the missing voters, once it has reached no majority of the voters for a while;
  /// otherwise errc::none.
  problem why;
  /// The peers of its links, members first; at most max_links.
  std::vector<link_view> links{};
  /// How many links it has.
  std::uint64_t all_links = 0;
  /// When its certificate ends; empty without a certificate.
  std::optional<wall_time> certificate_valid_until{};
  /// The other members, as it sees them: at most max_members.
  std::vector<member_view> members{};
  /// How many it knows.
  std::uint64_t all_members = 0;
  /// How many connections it has refused since its start, as another process of the same identity
  /// runs.
  std::uint64_t refused_duplicates = 0;
  /// How long ago the last of them was; empty: none was.
  std::optional<duration> refused_duplicate_ago{};

  friend bool operator==(const node_view&, const node_view&) = default;

  TROUPE_FIELDS(node_view, node, name, leader, leaderless_for, changes_of_leader, group, why, links,
                all_links, certificate_valid_until, members, all_members, refused_duplicates,
                refused_duplicate_ago);
};

struct show_node {
  using result = node_view;

  TROUPE_FIELDS(show_node);
};

/// A backup that can be read from the asked node for a few minutes.
struct backup_receipt {
  /// Its number: that of the last entry of the log that is in it, or a greater one.
  std::uint64_t index = 0;
  std::uint64_t bytes = 0;

  TROUPE_FIELDS(backup_receipt, index, bytes);
};

/// Asks the leader for a backup of all that the group keeps, as of now or a little later. Replaces
/// the previous one. Errors: not_leader, busy, and those of the disk.
struct make_backup {
  using result = backup_receipt;

  TROUPE_FIELDS(make_backup);
};

/// Asks for a piece of a backup. Errors: not_found (it was replaced, or its time is over).
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

/// Member to member, on a new link, and as a sign of life: the member_card of who asks, in our own
/// form. The answer is that of who is asked.
struct exchange_cards {
  using result = std::string;

  std::string card;

  TROUPE_FIELDS(exchange_cards, card);
};

/// Member to member: asks for the cards of these nodes, a vector of ids in our own form. The answer
/// is those that are known.
struct find_cards {
  using result = std::string;

  std::string nodes;

  TROUPE_FIELDS(find_cards, nodes);
};

/// Member to member: a page of all that the sender knows of members, as swim::page() makes it. The
/// answer is that of the receiver behind `after`.
struct compare_members {
  using result = std::string;

  std::string page;
  node_id after{};

  TROUPE_FIELDS(compare_members, page, after);
};

/// Member to member: asks for what has changed in the records of some nodes, a vector of
/// record_wish in our own form. The answer is a vector of told_records.
struct exchange_records {
  using result = std::string;

  std::string wishes;

  TROUPE_FIELDS(exchange_records, wishes);
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
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::member_view))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::exchange_cards))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::find_cards))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::compare_members))
  CAF_ADD_TYPE_ID(troupe_node, (troupe::cluster::exchange_records))

CAF_END_TYPE_ID_BLOCK(troupe_node)

static_assert(caf::id_block::troupe_node::end <= troupe::type_ids::net);
