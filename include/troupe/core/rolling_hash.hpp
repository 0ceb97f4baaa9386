#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "troupe/core/random.hpp"

namespace troupe {

/// The hash of a growing sequence of entries: equal for replicas that took the same entries in the
/// same order, so that one number shows where two of them diverged.
///
/// Detects bugs and bit flips, not attackers: it has no key, and collisions can be constructed.
/// Each step, eight bytes at a time, is one output of SplitMix64, a bijection of the hash and of
/// the bytes: entries that differ in one word always have different hashes, any others collide once
/// in 2^64. A CRC would be linear, so that the same flip in two entries could go unseen; SHA-256
/// costs eight times as much for a record of 100 bytes, and every record of a journal pays. Cost:
/// about 1.9 GB/s, 55 ns for 100 bytes. Its numbers are stored and sent: they never change.
class rolling_hash {
public:
  /// Adds one entry; its length counts, too.
  constexpr void add(std::string_view entry) {
    mix(entry.size());
    for (; entry.size() > sizeof(std::uint64_t); entry.remove_prefix(sizeof(std::uint64_t)))
      mix(word(entry.substr(0, sizeof(std::uint64_t))));
    mix(word(entry));
  }

  [[nodiscard]] constexpr std::uint64_t value() const {
    return value_;
  }

  friend bool operator==(const rolling_hash&, const rolling_hash&) = default;

  template <class Inspector>
  friend bool inspect(Inspector& f, rolling_hash& x) {
    return f.object(x).fields(f.field("value", x.value_));
  }

private:
  constexpr void mix(std::uint64_t bits) {
    value_ = random_source{value_ ^ bits}.next();
  }

  /// Little endian on every processor.
  static constexpr std::uint64_t word(std::string_view bytes) {
    std::uint64_t bits = 0;
    for (std::size_t byte = 0; byte < bytes.size(); ++byte)
      bits |= std::uint64_t{static_cast<unsigned char>(bytes[byte])} << (8 * byte);
    return bits;
  }

  std::uint64_t value_ = 0;
};

} // namespace troupe
