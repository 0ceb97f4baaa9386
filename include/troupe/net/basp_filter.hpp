#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/net/link_options.hpp"

namespace troupe::net {

/// The header that CAF's protocol BASP puts before each message: 32 bytes, big endian.
struct basp_header {
  static constexpr std::size_t wire_bytes = 32;

  enum class operation : std::uint8_t {
    server_handshake = 0,
    client_handshake = 1,
    direct_message = 2,
    routed_message = 3,
    monitor_message = 4,
    down_message = 5,
    heartbeat = 6,
  };

  /// The receiver is a server of CAF itself, not an actor's number.
  static constexpr std::uint8_t named_receiver = 1;
  /// The one that spawns actors; the other one keeps what peers tell it, for ever.
  static constexpr std::uint64_t spawn_server = 2;
  /// In the number of a message: it belongs to a stream of CAF.
  static constexpr std::uint64_t of_stream = std::uint64_t{1} << 61U;

  operation what{};
  std::uint8_t flags = 0;
  std::uint32_t payload_bytes = 0;
  std::uint64_t source = 0;
  std::uint64_t destination = 0;
  /// Of a message: its number, and whether it asks or answers.
  std::uint64_t data = 0;

  /// Whether these are the bytes of one heartbeat and nothing else.
  static bool is_heartbeat(std::span<const std::byte> bytes) {
    return bytes.size() == wire_bytes && from_bytes(bytes).what == operation::heartbeat;
  }

  /// @pre `from` has wire_bytes.
  static basp_header from_bytes(std::span<const std::byte> from) {
    assert(from.size() >= wire_bytes);
    auto number = [&](std::size_t at, std::size_t size) {
      std::uint64_t result = 0;
      for (auto each : from.subspan(at, size))
        result = result << 8U | std::to_integer<std::uint64_t>(each);
      return result;
    };
    return {static_cast<operation>(number(0, 1)),
            static_cast<std::uint8_t>(number(3, 1)),
            static_cast<std::uint32_t>(number(4, 4)),
            number(16, 8),
            number(24, 8),
            number(8, 8)};
  }
};

/// Checks what a peer sends before BASP sees it: BASP trusts every header (it would allocate 4 GiB
/// if one says so).
///
/// Closes links that send too much, a second handshake, a BASP node id other than the greeting's,
/// monitor and down messages that are not from this peer to this node, or unknown operations. Drops
/// what an honest peer may send but this node does not deliver: messages to be routed on, of CAF's
/// streams, to its configuration server, and to its spawn server if `spawns` is off. So no node
/// forwards for another, and a third node's actors are reached only over a direct link to it. CAF
/// takes the content of whatever is numbered as a message of a stream for that, unchecked.
class basp_filter {
public:
  enum class decision : std::uint8_t { pass, drop, close };

  struct verdict {
    decision what = decision::pass;
    std::string_view why = {};
  };

  /// `peer` and `self` are the BASP node ids of the greeting, serialized.
  basp_filter(filter_options options, std::string peer, std::string self)
    : options_(options), peer_(std::move(peer)), self_(std::move(self)) {}

  /// Decides on a header; its payload, if there is one and it passes, goes to payload() next.
  verdict header(const basp_header& seen) {
    using enum basp_header::operation;
    if (seen.payload_bytes > options_.max_payload_bytes)
      return {decision::close, "payload above the limit"};
    last_ = seen.what;
    if (!shaken_) { // both sides send the server's handshake, once and first
      if (seen.what != server_handshake || seen.payload_bytes == 0
          || seen.payload_bytes > options_.max_control_bytes)
        return {decision::close, "no BASP handshake"};
      shaken_ = true;
      return {};
    }
    switch (seen.what) {
      case direct_message:
        if ((seen.data & basp_header::of_stream) != 0)
          return {decision::drop, "message of a stream"};
        if ((seen.flags & basp_header::named_receiver) == 0
            || (options_.spawns && seen.destination == basp_header::spawn_server))
          return {};
        return {decision::drop, "message to a server of CAF"};
      case routed_message:
        return {decision::drop, "message to be routed"};
      case monitor_message:
      case down_message:
        if (seen.payload_bytes > options_.max_control_bytes)
          return {decision::close, "monitor or down message above the limit"};
        return {};
      case heartbeat:
        return {};
      case server_handshake:
      case client_handshake:
        return {decision::close, "second BASP handshake"};
    }
    return {decision::close, "unknown BASP operation"};
  }

  /// Decides on the payload of the last header. Never drops.
  [[nodiscard]] verdict payload(std::string_view seen) const {
    using enum basp_header::operation;
    auto pinned = true;
    if (last_ == server_handshake)
      pinned = seen.starts_with(peer_);
    else if (last_ == monitor_message || last_ == down_message)
      pinned = seen.starts_with(peer_) && seen.substr(peer_.size()).starts_with(self_);
    if (!pinned)
      return {decision::close, "BASP node id other than the greeting's"};
    return {};
  }

  /// How long the two ids are with which monitor and down messages begin.
  [[nodiscard]] std::size_t pinned_bytes() const {
    return peer_.size() + self_.size();
  }

private:
  filter_options options_;
  std::string peer_;
  std::string self_;
  bool shaken_ = false;
  basp_header::operation last_{};
};

} // namespace troupe::net
