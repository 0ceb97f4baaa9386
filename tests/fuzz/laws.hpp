#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "troupe/core/codec.hpp"

/// What holds for whatever a decoder makes of hostile bytes.
namespace troupe::test {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the process, as fuzzers want it, if a law does not hold.
inline void must_hold(bool held, const char* law) {
  if (held)
    return;
  std::fprintf(stderr, "broken: %s\n", law);
  std::abort();
}

/// Whatever is decoded from `bytes` is encoded to bytes that mean the same.
template <class T>
void check_codec(std::string_view bytes) {
  auto read = from_bytes<T>(bytes);
  if (!read)
    return;
  auto written = to_bytes(*read);
  auto again = from_bytes<T>(written);
  must_hold(again.has_value(), "what was encoded is decoded");
  must_hold(to_bytes(*again) == written, "a second round trip changes nothing");
}

} // namespace troupe::test
