#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/message_options.hpp"

namespace troupe::router {

/// Why a message of class confirm or once was not handled. Numbers go over the wire: append at the
/// end.
enum class dead_reason : std::uint8_t {
  /// Its agent failed as often as router_options::max_deliveries says, or could not read it; or its
  /// node ended as often while the agent had it.
  failed = 0,
  /// Its ttl ran out before its agent could get it.
  expired = 1,
  /// It was on its way when its ttl ran out, and nobody says what has become of it: perhaps it was
  /// handled.
  unknown = 2,
  /// The node of its agent does not know the class.
  incompatible = 3,
};

inline constexpr std::array<std::string_view, 4> dead_reason_names{"failed", "expired", "unknown",
                                                                   "incompatible"};

constexpr std::string_view name_of(dead_reason value) noexcept {
  auto index = static_cast<std::size_t>(value);
  return index < dead_reason_names.size() ? dead_reason_names[index] : "unknown";
}

/// What is known of a message that ended without being handled, beside its content.
struct dead_letter {
  message_id id{};
  dead_reason reason = dead_reason::failed;
  /// What its agent said at last, or why it ended.
  std::string why{};
  /// Who sent it: the node or client, all zero if that is not known, and the agent.
  node_id node{};
  agent_id from{};
  agent_id to{};
  /// message_options::type, else the C++ types of the content.
  std::string type{};
  /// When it ended, by the calendar of the node where it did.
  wall_time ended_at{};
  /// How often its agent had it and failed, or its node ended meanwhile.
  std::uint32_t deliveries = 0;
  /// Its size, with all this.
  std::uint64_t bytes = 0;
  /// Counts those of the node, in the order in which they ended.
  std::uint64_t place = 0;

  friend bool operator==(const dead_letter&, const dead_letter&) = default;

  TROUPE_FIELDS(dead_letter, id, reason, why, node, from, to, type, ended_at, deliveries, bytes,
                place);
};

struct dead_letter_page {
  std::vector<dead_letter> letters;
  /// There is more: ask again with `after` the last place.
  bool more = false;
  /// How many gave way to later ones since the node has started.
  std::uint64_t dropped = 0;

  friend bool operator==(const dead_letter_page&, const dead_letter_page&) = default;

  TROUPE_FIELDS(dead_letter_page, letters, more, dropped);
};

/// What has become of a wish to deliver dead letters again.
struct redrive_receipt {
  /// They are on their way again.
  std::uint32_t redriven = 0;
  /// Handled already, after an earlier wish.
  std::uint32_t applied_already = 0;
  /// There was no room for them (router_options::max_confirms), or they are of class once and too
  /// old: they stay.
  std::uint32_t refused = 0;
  /// Their node cannot read them: they stay.
  std::uint32_t unreadable = 0;

  friend bool operator==(const redrive_receipt&, const redrive_receipt&) = default;

  TROUPE_FIELDS(redrive_receipt, redriven, applied_already, refused, unreadable);
};

/// What has become of a wish to let go of dead letters.
struct purge_receipt {
  std::uint32_t purged = 0;

  friend bool operator==(const purge_receipt&, const purge_receipt&) = default;

  TROUPE_FIELDS(purge_receipt, purged);
};

} // namespace troupe::router
