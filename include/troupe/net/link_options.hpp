#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::net {

/// Time-outs of links, and the most links of each kind.
struct table_options {
  /// From dialling to a TCP connection.
  duration connect_timeout = std::chrono::seconds{1};
  /// From there to the end of the greeting, encryption included.
  duration greeting_timeout = std::chrono::seconds{3};
  /// From there to the end of BASP's handshake.
  duration handshake_timeout = std::chrono::seconds{3};
  /// From a request for a certificate to its answer, which the CA's disk may hold up.
  duration join_timeout = std::chrono::seconds{30};
  /// A link that is silent for so long is closed; at least twice the peer's heartbeat.
  duration link_timeout = std::chrono::seconds{8};
  /// Accepted connections that are not links yet; a new one replaces the oldest.
  std::uint32_t max_accepting = 64;
  /// How many of those may come from one address (IPv6: one /64 network); a new one replaces the
  /// oldest of them.
  std::uint32_t max_accepting_of_one = 16;
  /// Accepted connections whose request for a certificate has no answer yet: they count no more as
  /// unfinished ones; more are closed.
  std::uint32_t max_joining = 128;
  /// Dialled connections that are not links yet; more are refused.
  std::uint32_t max_dialling = 256;
  std::uint32_t max_members = 2048; // full membership; beyond it come partial views
  /// Links of clients; more are refused.
  std::uint32_t max_clients = 1024;
  /// Of those with one certificate.
  std::uint32_t max_links_of_one_client = 32;
  /// How often a process may raise its boot number above one that peers know: two processes with
  /// one identity would outbid each other forever.
  std::uint32_t max_rises = 16;
  /// Nodes without a link whose boot number is remembered; the one gone for longest is forgotten,
  /// clients first.
  std::uint32_t max_remembered = 4096;
};

/// What one link accepts from the peer.
struct filter_options {
  /// The longest payload of one message.
  std::uint32_t max_payload_bytes = 64U << 20U;
  /// The longest payload of BASP's own messages: handshake, monitor and down messages.
  std::uint32_t max_control_bytes = 64U << 10U;
  /// Whether members may spawn the services that this node offers. If not, their
  /// remote_spawn ends by its own time-out.
  bool spawns = true;
};

/// Bounds of the requests over one link.
struct request_options {
  /// Requests without an answer.
  std::uint32_t max_pending = 65'536;
  /// Bulk data that the other side has not acknowledged. Measured: larger windows are no faster,
  /// and heartbeats wait behind them.
  std::uint32_t bulk_window_bytes = 256U << 10U;
  /// The longest piece of bulk data.
  std::uint32_t max_piece_bytes = 64U << 10U;
};

/// Options of the links of a node.
struct link_options {
  /// Time-outs, and how many there may be.
  table_options table = {};
  /// What peers may send.
  filter_options filter = {};
  /// Requests of this node over one link.
  request_options requests = {};
  /// Longer payloads are collected as they arrive, so that memory grows with the bytes received,
  /// not with the size announced.
  std::size_t chunk_bytes = 512U << 10U;
  /// A link with more bytes waiting to be written is closed.
  std::size_t max_queued_bytes = 64U << 20U;
  /// Bytes waiting to be written on all links together. Beyond it the largest link of the peer with
  /// most of them is closed.
  std::size_t max_all_queued_bytes = 256U << 20U;
  /// Bytes of payloads longer than chunk_bytes that have arrived in part, on all links together.
  /// Beyond it the largest link of the peer with most of them is closed.
  std::size_t max_all_collected_bytes = 256U << 20U;
  /// on_full is called from this many waiting bytes on, on_drained when drained_bytes or fewer are
  /// left.
  std::size_t full_bytes = 256U << 10U; // a round trip's worth of a fast network
  /// See full_bytes.
  std::size_t drained_bytes = 64U << 10U;
  /// Nodes close a link that both sides have left unused for this long, and make it again for the
  /// next message; zero: never. Links to the leader and between voters stay.
  duration idle_after = std::chrono::seconds{60};
  /// Links are plain TCP, and all processes are whoever they say: for tests, on one machine. Other
  /// addresses than those of loopback are neither listened at nor dialled. Both ends need the same.
  bool insecure = false;
};

} // namespace troupe::net
