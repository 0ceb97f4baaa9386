#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "troupe/core/fields.hpp"

namespace troupe::router {

/// What an inbox can take before it is full; all that comes, by default.
struct inbox_space {
  static constexpr std::uint64_t no_end = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t messages = no_end;
  std::uint64_t bytes = no_end;

  /// Returns the part of one of so many who are told at once; each may send something.
  [[nodiscard]] inbox_space divided_by(std::size_t many) const {
    auto part = [many](std::uint64_t all) {
      auto each = all / (many > 0 ? many : 1);
      return all == no_end ? all : each > 0 ? each : 1;
    };
    return {part(messages), part(bytes)};
  }

  friend bool operator==(const inbox_space&, const inbox_space&) = default;

  TROUPE_FIELDS(inbox_space, messages, bytes);
};

} // namespace troupe::router
