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

/// Vocabulary of the link table: what it is told, what it wants done.
namespace troupe::net {

/// Given by whoever runs the table, never reused: one connection, and the link that it
/// may become.
using connection_id = std::uint64_t;

// -- events -------------------------------------------------------------------------

/// Somebody wants a link, and `connection` is being made for it. `who` is there, if the
/// dialler knows.
struct dial {
  connection_id connection = 0;
  std::optional<node_id> who;
};

/// A peer has connected.
struct accepted {
  connection_id connection = 0;
};

/// What was dialled is connected, encryption included.
struct connected {
  connection_id connection = 0;
};

struct heard {
  connection_id connection = 0;
  greeting what;
};

/// A connection that is no link yet has ended by itself.
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

/// This node goes on as this boot: it was outlived.
struct risen {
  boot_number boot = 0;
};

using event = std::variant<dial, accepted, connected, heard, broken, up, alive, expect, ended,
                           founded, risen>;

// -- effects ------------------------------------------------------------------------

struct say {
  connection_id connection = 0;
  greeting what;
};

/// Close the connection: there will be no link. For whoever dialled it, this is the
/// outcome; `peer` is who was there, if it said so.
struct drop {
  connection_id connection = 0;
  verdict why = verdict::closed;
  std::optional<node_id> peer;
};

/// The connection is the link now: give it to BASP.
struct hand_over {
  connection_id connection = 0;
  hello peer;
  side end = side::dialled;
};

/// Close a link; `ended` will follow.
struct close_link {
  connection_id connection = 0;
  std::string why;
};

/// This node has no cluster yet and takes that of the node that it joins.
struct adopt {
  cluster_id cluster{};
};

/// A peer has heard of a later life of this node, which is over: the data of this one are older,
/// or restored. It is refused until it goes on as a boot above.
struct outlived {
  boot_number heard = 0;
};

using effect = std::variant<say, drop, hand_over, close_link, adopt, outlived>;

} // namespace troupe::net
