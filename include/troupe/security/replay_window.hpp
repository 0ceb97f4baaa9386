#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace troupe::security {

/// Which numbers of one sender have come: each counts once, and those that come `width` or more
/// behind the highest one count no more. The highest of all never counts, as no sender gets that
/// far. Not thread-safe. Source: RFC 4303, appendix A2.
class replay_window {
public:
  static constexpr std::size_t width = 1'024;

  [[nodiscard]] bool is_new(std::uint64_t number) const {
    if (number >= next_)
      return number != std::numeric_limits<std::uint64_t>::max();
    return next_ - number <= width && !seen_.test(number % width);
  }

  /// @pre is_new(number), and who sent it is proven
  void note(std::uint64_t number) {
    if (number >= next_ && number - next_ >= width) {
      seen_.reset();
      next_ = number + 1;
    }
    for (; next_ <= number; ++next_)
      seen_.reset(next_ % width);
    seen_.set(number % width);
  }

private:
  /// One above the highest.
  std::uint64_t next_ = 0;
  std::bitset<width> seen_;
};

} // namespace troupe::security
