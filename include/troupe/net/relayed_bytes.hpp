#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "troupe/net/socket.hpp"

namespace troupe::net {

/// Moves the bytes of two connections to each other, as they are. Reads no more from one than the
/// other takes: at most `buffer_bytes` wait in each direction. Never blocks. Used by one thread.
class relayed_bytes {
public:
  static constexpr std::size_t buffer_bytes = std::size_t{64} << 10U;

  relayed_bytes(socket near, socket far) : ends_{std::move(near), std::move(far)} {
    for (auto& each : ends_)
      send_at_once(each);
  }

  /// What to poll for at one end. An end that can only wait for the other one is left out: that its
  /// peer is gone would be reported at once, again and again, until the other one takes its bytes.
  [[nodiscard]] pollfd wanted(std::size_t end) const {
    auto reads = waiting_[end].empty() ? POLLIN : 0;
    auto writes = waiting_[1 - end].empty() ? 0 : POLLOUT;
    auto events = static_cast<short>(reads | writes);
    return {events != 0 ? ends_[end].get() : -1, events, 0};
  }

  struct outcome {
    /// Bytes have come.
    bool has_moved = false;
    /// One of the two has closed its connection.
    bool is_over = false;
  };

  /// Moves what can be moved without waiting, a bounded part of it: so the thread comes to others.
  outcome move() {
    outcome seen;
    for (std::size_t end = 0; end < ends_.size(); ++end)
      for (auto turns = 0; turns < max_turns && !seen.is_over; ++turns)
        if (!move_from(end, seen))
          break;
    return seen;
  }

private:
  static bool has_to_wait() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  }

  /// Returns whether there may be more.
  bool move_from(std::size_t end, outcome& seen) {
    if (waiting_[end].empty()) {
      auto& into = buffers_[end];
      into.resize(buffer_bytes);
      auto count = ::recv(ends_[end].get(), into.data(), into.size(), 0);
      if (count <= 0) {
        seen.is_over = count == 0 || !has_to_wait();
        return false;
      }
      seen.has_moved = true;
      waiting_[end] = std::span{into}.first(static_cast<std::size_t>(count));
    }
    auto& rest = waiting_[end];
    auto count = ::send(ends_[1 - end].get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count < 0) {
      seen.is_over = !has_to_wait();
      return false;
    }
    rest = rest.subspan(static_cast<std::size_t>(count));
    return rest.empty();
  }

  /// Of one end in one call.
  static constexpr int max_turns = 4;

  std::array<socket, 2> ends_;
  std::array<std::vector<std::byte>, 2> buffers_;
  /// What one end has sent, and the other has not taken yet.
  std::array<std::span<std::byte>, 2> waiting_;
};

} // namespace troupe::net
