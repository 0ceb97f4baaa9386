#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::net {

/// Time-outs of links, and how many there may be.
struct table_options {
  /// From dialling to a TCP connection.
  duration connect_timeout = std::chrono::seconds{1};
  /// From there to the last word of the greeting, encryption included.
  duration greeting_timeout = std::chrono::seconds{3};
  /// From there to the end of BASP's handshake.
  duration handshake_timeout = std::chrono::seconds{3};
  /// A link that is silent for so long is closed; at least twice the peer's heartbeat.
  duration link_timeout = std::chrono::seconds{8};
  /// Accepted connections without a link yet; the oldest gives way to a new one.
  std::uint32_t max_accepting = 64;
  /// Dialled connections without a link yet; more are refused.
  std::uint32_t max_dialling = 256;
  std::uint32_t max_members = 2048; // full membership; beyond it come partial views
  /// Links of those that are no members; more are refused.
  std::uint32_t max_clients = 1024;
  /// How often in its life this node goes above a boot that peers have heard of: two processes
  /// with one identity would go above each other for ever.
  std::uint32_t max_rises = 16;
  /// Nodes without a link whose boot is remembered; the longest gone is forgotten.
  std::uint32_t max_remembered = 4096;
};

/// What one link lets in.
struct filter_options {
  /// The longest payload of one message.
  std::uint32_t max_payload_bytes = 64U << 20U;
  /// The longest payload of BASP's own: handshake, monitor and down messages.
  std::uint32_t max_control_bytes = 64U << 10U;
  /// Whether peers may spawn the services that this node offers. If not, their
  /// remote_spawn ends by its own time-out.
  bool spawns = true;
};

/// What bounds the requests over one link.
struct request_options {
  /// Requests without an answer.
  std::uint32_t max_pending = 65'536;
  /// Bulk that the other side has not acknowledged. Measured: larger ones are no faster,
  /// and heartbeats wait behind them.
  std::uint32_t bulk_window_bytes = 256U << 10U;
  /// One piece of bulk.
  std::uint32_t max_piece_bytes = 64U << 10U;
};

/// What bounds the links of a node.
struct link_options {
  /// Time-outs, and how many there may be.
  table_options table = {};
  /// What peers may send.
  filter_options filter = {};
  /// What this node asks over one link.
  request_options requests = {};
  /// Payloads above are collected as they arrive, so that memory follows what was
  /// received, not what was announced.
  std::size_t chunk_bytes = 512U << 10U;
  /// A link with more bytes waiting to be written is closed.
  std::size_t max_queued_bytes = 64U << 20U;
  /// on_full is called above, on_drained below again.
  std::size_t full_bytes = 256U << 10U; // a round trip's worth of a fast network
  /// See full_bytes.
  std::size_t drained_bytes = 64U << 10U;
  /// Nodes close a link that neither has used for so long, and make it again for the next
  /// message; zero: never. Links to the host of the cluster stay.
  duration idle_after = std::chrono::seconds{60};
  /// Plain TCP is for loopback: everybody on the way reads it and writes into it. With
  /// this, other addresses are listened at and dialled all the same.
  bool allow_plain_beyond_loopback = false;
};

} // namespace troupe::net
