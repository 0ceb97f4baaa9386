#pragma once

#include <functional>
#include <string>

#include "troupe/core/ids.hpp"
#include "troupe/net/link.hpp"

namespace troupe::net {

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
