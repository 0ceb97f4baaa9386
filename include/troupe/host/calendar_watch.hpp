#pragma once

#include <chrono>
#include <optional>

#include "troupe/core/time.hpp"

namespace troupe::host {

/// Finds out that somebody has set the calendar: it and a steady clock have run apart.
class calendar_watch {
public:
  /// Less is a matter of leap seconds, sleep and drift.
  static constexpr duration worth_a_word = std::chrono::hours{1};

  /// Returns how far the calendar was moved since the last look, if that is worth a word;
  /// below zero if it was set back. `steady` counts from anywhere.
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
