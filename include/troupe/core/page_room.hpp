#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace troupe {

/// Most lines in one answer of a service; a query cannot raise it.
inline constexpr std::size_t max_page = 1'000;
/// Most bytes in one answer, not counting its last line.
inline constexpr std::size_t max_page_bytes = std::size_t{1} << 20U;
/// Most changes that one answer may skip because the watcher may not see them or has not reached
/// their keys yet.
inline constexpr std::size_t max_passed_over = 10'000;

/// Counts how much still fits into one answer.
class page_room {
public:
  explicit page_room(std::uint32_t limit)
    : places_(std::clamp<std::size_t>(limit, 1, max_page)), half_of_them_(places_ / 2) {}

  /// Returns whether another line fits.
  [[nodiscard]] bool left() const {
    return places_ > 0 && bytes_ < max_page_bytes;
  }

  /// Returns whether another line fits into the first half.
  [[nodiscard]] bool half_left() const {
    return places_ > half_of_them_ && bytes_ < max_page_bytes / 2;
  }

  void take(std::size_t bytes) {
    --places_;
    bytes_ += bytes;
  }

private:
  std::size_t places_;
  std::size_t half_of_them_;
  std::size_t bytes_ = 0;
};

} // namespace troupe
