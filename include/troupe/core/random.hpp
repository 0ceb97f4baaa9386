#pragma once

#include <cassert>
#include <cstdint>

namespace troupe {

/// Random numbers for machines: the same seed gives the same numbers on every
/// platform, which the distributions of the standard library do not, and the
/// whole state is one number that fits into a snapshot. Not for secrets.
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014 (SplitMix64).
class random_source {
public:
  constexpr random_source() = default;

  constexpr explicit random_source(std::uint64_t seed) : state_(seed) {}

  /// Returns 64 random bits.
  constexpr std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    auto bits = state_;
    bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
    bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
    return bits ^ (bits >> 31U);
  }

  /// Returns a number in [0, bound); its bias is below bound / 2^64.
  /// @pre bound > 0
  constexpr std::uint64_t below(std::uint64_t bound) {
    assert(bound > 0);
    return next() % bound;
  }

  /// Returns true once in so many `calls`, on average.
  constexpr bool one_in(std::uint64_t calls) {
    return below(calls) == 0;
  }

  /// The current state: random_source{seed()} continues with the same numbers.
  [[nodiscard]] std::uint64_t seed() const {
    return state_;
  }

  friend bool operator==(const random_source&, const random_source&) = default;

  template <class Inspector>
  friend bool inspect(Inspector& f, random_source& x) {
    return f.object(x).fields(f.field("state", x.state_));
  }

private:
  std::uint64_t state_ = 0;
};

} // namespace troupe
