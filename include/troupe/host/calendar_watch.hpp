#pragma once

#include <chrono>
#include <optional>

#include "troupe/core/time.hpp"

namespace troupe::host {

/// Detects that the calendar was set: it and a steady clock have drifted apart.
class calendar_watch {
public:
  /// Smaller differences come from leap seconds, sleep and drift.
  static constexpr duration worth_a_word = std::chrono::hours{1};

  /// Returns how far the calendar was moved since the last report, if that is more than
  /// worth_a_word; negative if it was set back. `steady` may have any origin.
  std::optional<duration> look(wall_time calendar, duration steady) {
    auto offset = calendar.time_since_epoch() - steady;
    if (!offset_)
      offset_ = offset;
    auto moved = offset - *offset_;
    if (moved <= worth_a_word && moved >= -worth_a_word)
      return std::nullopt;
    offset_ = offset;
    return moved;
  }

private:
  std::optional<duration> offset_;
};

} // namespace troupe::host
