#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include <sys/random.h>

/// Random bytes of the operating system, suitable for secrets. For actors and hosts only: a machine
/// takes its randomness from a random_source, whose seed comes in with an event, so that every
/// replay draws the same.
namespace troupe {

/// Fills `bytes`. Blocks only while a computer that has just booted has not gathered enough entropy
/// yet. Throws std::system_error if the system offers none.
inline void fill_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    auto filled = ::getrandom(bytes.data(), bytes.size(), 0);
    if (filled >= 0)
      bytes = bytes.subspan(static_cast<std::size_t>(filled));
    else if (errno != EINTR)
      throw std::system_error{errno, std::generic_category(), "getrandom"};
  }
}

/// Returns a new id: node_id, cluster_id.
template <class Id>
Id random_id() {
  Id made;
  fill_random(made.bytes);
  return made;
}

/// Returns a seed for a random_source.
inline std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  fill_random(std::as_writable_bytes(std::span{&seed, 1}));
  return seed;
}

} // namespace troupe
