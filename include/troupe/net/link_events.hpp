#pragma once

#include <functional>
#include <string>

#include "troupe/core/ids.hpp"
#include "troupe/net/link.hpp"

namespace troupe::net {

/// Events of the links of a node. Each handler is optional; keep handlers short (send a message),
/// and never call gate::stop() in one. For each link on_up comes first, before the first message of
/// the peer is delivered, and on_down last, after the last message; on_full and on_drained
/// alternate in between. Once gate::stop() has returned, no handler is running or will be called.
struct link_events {
  /// In CAF's I/O thread.
  std::function<void(const link_ptr&)> on_up;
  /// In the gate's thread. Only for links that were up.
  std::function<void(const link_ptr&, const std::string& why)> on_down;
  /// In the gate's thread: nothing was heard of that peer, which is a member, for three of its
  /// heartbeats, 1.5 s at least (see silence_watch). Once in each silence. The link may go on.
  std::function<void(const link_ptr&)> on_silent;
  /// In CAF's I/O thread.
  std::function<void(const link_ptr&)> on_full;
  std::function<void(const link_ptr&)> on_drained;
  /// In the gate's thread: this node had no cluster and takes the cluster of a peer.
  std::function<void(const cluster_id&)> on_adopted;
  /// In the gate's thread: a peer refuses this node because it knows a higher boot number of it.
  /// Store a higher number than `heard`, and call gate::rise().
  std::function<void(boot_number heard)> on_outlived;
  /// In CAF's I/O thread: a message of that peer was dropped, as it may not send it. May come
  /// often.
  std::function<void(const link_ptr&, const std::string& why)> on_dropped;
  /// In the gate's thread: a line for the operator on connections that were refused.
  std::function<void(const std::string& line)> on_refused;
};

} // namespace troupe::net
