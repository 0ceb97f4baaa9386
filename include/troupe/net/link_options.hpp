#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "troupe/core/ids.hpp"
#include "troupe/net/basp_filter.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/link_actor.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

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

/// What a node hears of its links. Each is optional; keep them short (send a message),
/// none may call gate::stop(). For one link on_up comes first, before the first message
/// of the peer is delivered, and on_down last, after the last one; on_full and on_drained
/// alternate in between. No call is under way or follows once gate::stop() has returned.
struct link_events {
  /// In CAF's I/O thread.
  std::function<void(const link_ptr&)> on_up;
  /// In the gate's thread. Only for links that were up.
  std::function<void(const link_ptr&, const std::string& why)> on_down;
  /// In CAF's I/O thread.
  std::function<void(const link_ptr&)> on_full;
  std::function<void(const link_ptr&)> on_drained;
  /// In the gate's thread: this node had no cluster and takes that of a peer.
  std::function<void(const cluster_id&)> on_adopted;
  /// In the gate's thread: a peer refuses this node, as it has heard of a later life of it. Keep
  /// a boot above, and tell gate::rise().
  std::function<void(boot_number heard)> on_outlived;
};

} // namespace troupe::net
