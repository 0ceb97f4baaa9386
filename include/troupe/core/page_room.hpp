#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace troupe {

/// Most lines in one answer of a service, whatever its question says.
inline constexpr std::size_t max_page = 1'000;
/// The bytes in one answer, but for the last line of it.
inline constexpr std::size_t max_page_bytes = std::size_t{1} << 20U;
/// Most changes that a watcher is led past in one answer, as it may not see them or has not come
/// to their keys.
inline constexpr std::size_t max_passed_over = 10'000;

/// Tells how much fits into one answer.
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
