#pragma once

#include <cstddef>

#include "troupe/router/link_window.hpp"
#include "troupe/router/waiting_room.hpp"

namespace troupe::router {

/// Bounds of what a router has on its way to one other node: those of router_options.
struct flow_options {
  /// Waiting to be written; more is refused until half of it has gone.
  std::size_t max_waiting_bytes = 0;
  /// Written and not acknowledged yet; what is more waits.
  std::size_t window_bytes = 0;
};

/// Decides what a router may take for one other node, and when it goes over the link: a
/// waiting_room in front of a link_window. What waits when a link ends waits for the next.
class link_flow : public waiting_room, public link_window {
public:
  explicit link_flow(const flow_options& options)
    : waiting_room(options.max_waiting_bytes), link_window(options.window_bytes) {}

  /// What was taken for `taken` bytes goes out, as `bytes`. Returns what link_window::send() does.
  [[nodiscard]] bool send(std::size_t taken, std::size_t bytes) {
    drop(taken);
    return link_window::send(bytes);
  }

  /// Whether anything is to go out, or to be heard of.
  [[nodiscard]] bool is_busy() const {
    return waiting_bytes() > 0 || awaits_word();
  }
};

} // namespace troupe::router
