#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/side.hpp"
#include "troupe/security/types.hpp"

/// The events and effects of the link table.
namespace troupe::net {

/// Identifies a connection, and the link that it may become. Given by the owner of the table, never
/// reused.
using connection_id = std::uint64_t;

/// What a table believes: what a peer says, or only what its certificate proves.
enum class trust : std::uint8_t { told, proven };

/// Why a link has ended.
enum class end_cause : std::uint8_t {
  peer = 0,       ///< the other side closed it, or the connection broke
  this_node = 1,  ///< its own program closed it, or it stops
  silent = 2,     ///< nothing was heard of the peer for too long
  replaced = 3,   ///< by a later life of the peer
  misbehaved = 4, ///< the peer sent what no peer may
  overloaded = 5, ///< the peer does not read, or all links together hold too much
  idle = 6,       ///< neither side used it
};

// -- events -------------------------------------------------------------------------

/// A link is wanted, and `connection` is being made for it. `who` is the expected node, if known.
struct dial {
  connection_id connection = 0;
  std::optional<node_id> who;
  /// Set: the connection is made with a node that is to relay it to the place with this mark.
  std::optional<place_mark> relayed_to = {};
  /// Set: no link is wanted, but the answer to this.
  std::optional<founding_word> asks = {};
};

/// A peer has connected.
struct accepted {
  connection_id connection = 0;
  /// The network it comes from (endpoint::network()); empty: not known, and so not bounded.
  std::string source = {};
};

/// A dialled connection is there; encryption may still be set up.
struct reached {
  connection_id connection = 0;
};

/// A connection is ready, encryption included.
struct connected {
  connection_id connection = 0;
  /// Who is at the other end, if encryption proves that.
  std::optional<security::facts> proven = {};
};

struct heard {
  connection_id connection = 0;
  greeting what;
};

/// Whoever is at the other end has asked for a certificate, and waits for it.
struct asks_to_join {
  connection_id connection = 0;
};

/// A connection that is not a link yet has ended by itself.
struct broken {
  connection_id connection = 0;
  verdict why = verdict::closed;
};

/// BASP's handshake is done.
struct up {
  connection_id connection = 0;
};

/// The peer has sent something, last at `at`.
struct alive {
  connection_id connection = 0;
  time_point at{};
};

/// The link has a time-out of its own from now on.
struct expect {
  connection_id connection = 0;
  duration silence{};
};

/// BASP has forgotten the link: its place is free.
struct ended {
  connection_id connection = 0;
};

/// This node has founded a cluster.
struct founded {
  cluster_id cluster{};
};

/// This node continues with this boot number, as its last one was outlived.
struct risen {
  boot_number boot = 0;
};

/// The answer to who asks how to found a cluster: see bootstrap_wanted.
struct bootstrap_reply {
  connection_id connection = 0;
  /// go: `word` is this node's; full: too many ask; no_cluster: it founds none.
  verdict said = verdict::no_cluster;
  founding_word word{};
};

using event = std::variant<dial, accepted, connected, heard, broken, up, alive, expect, ended,
                           founded, risen, reached, asks_to_join, bootstrap_reply>;

// -- effects ------------------------------------------------------------------------

struct say {
  connection_id connection = 0;
  greeting what;
};

/// Close the connection: there will be no link. For the dialler this is the outcome; `peer` is the
/// node that was there, if it introduced itself.
struct drop {
  connection_id connection = 0;
  verdict why = verdict::closed;
  std::optional<node_id> peer;
};

/// The connection is the link now: hand it to BASP.
struct hand_over {
  connection_id connection = 0;
  hello peer;
  side end = side::dialled;
  std::optional<security::facts> proven = {};
  /// This node has dialled it through another.
  bool is_relayed = false;
};

/// Close a link; `ended` will follow.
struct close_link {
  connection_id connection = 0;
  std::string why;
  end_cause cause = end_cause::silent;
};

/// This node has no cluster yet and takes the cluster of the node that it joins.
struct adopt {
  cluster_id cluster{};
};

/// A peer knows a higher boot number of this node than its own, whose process has ended: the data
/// of this node are older, or were restored. The peer refuses it until it continues with a number
/// above `heard`.
struct outlived {
  boot_number heard = 0;
};

/// The other side relays this connection from here on: begin anew with it, encryption included;
/// `connected` or `broken` follows.
struct start_over {
  connection_id connection = 0;
};

/// Whoever is at the other end wants this connection relayed. The table has forgotten it.
struct relay_wanted {
  connection_id connection = 0;
  place_mark to = 0;
  /// Who that is, if encryption proves it.
  std::optional<security::facts> proven = {};
};

/// Whoever is at the other end, which is that node, waits for a bootstrap_reply.
struct bootstrap_wanted {
  connection_id connection = 0;
  founding_word from;
  std::optional<security::facts> proven = {};
};

/// The answer to a dial that asked. The table has forgotten the connection.
struct bootstrap_heard {
  connection_id connection = 0;
  bootstrap_answer what;
  std::optional<security::facts> proven = {};
};

using effect = std::variant<say, drop, hand_over, close_link, adopt, outlived, start_over,
                            relay_wanted, bootstrap_wanted, bootstrap_heard>;

} // namespace troupe::net
