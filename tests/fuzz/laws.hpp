#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string_view>

#include "support/counted_memory.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/json_tree.hpp"

/// What holds for whatever a decoder makes of hostile bytes.
namespace troupe::test {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Calls `take(kind, bytes)` with each part of an input that stands for several messages: two bytes
/// with its kind, 0 to 3, and its size, and so many bytes, or what is left.
template <class Take>
void for_each_message(std::string_view rest, Take take) {
  while (rest.size() >= 2) {
    auto head = static_cast<std::size_t>(static_cast<unsigned char>(rest[0]))
                | static_cast<std::size_t>(static_cast<unsigned char>(rest[1])) << 8U;
    auto bytes = rest.substr(2, head >> 2U);
    rest.remove_prefix(2 + bytes.size());
    take(static_cast<unsigned>(head) & 3U, bytes);
  }
}

/// Ends the process, as fuzzers want it, if a law does not hold.
inline void must_hold(bool held, const char* law) {
  if (held)
    return;
  std::fprintf(stderr, "broken: %s\n", law);
  std::abort();
}

/// Inputs are short, so that a decoder has less to spare than usual.
constexpr std::size_t spare = 4'096;

/// A document with less to spare than usual.
inline json_limits narrow_limits() {
  return {.spare_memory = spare};
}

/// `decode` reads `bytes` with so much to spare, and allocates no more than that allows, but for
/// the texts of a refusal.
template <class Body>
void check_memory(std::string_view bytes, Body decode) {
  constexpr std::size_t texts = 4'096;
  must_hold(counted_memory::peak_of(decode)
              <= memory_budget::bytes_per_byte * bytes.size() + spare + texts,
            "a decoder allocates no more than a memory_budget allows");
}

/// Whatever is decoded from `bytes` is encoded to bytes that mean the same.
template <class T>
void check_codec(std::string_view bytes) {
  check_memory(bytes, [&] {
    decoder source{bytes.substr(std::min<std::size_t>(1, bytes.size())),
                   memory_budget{bytes.size(), memory_budget::bytes_per_byte, spare}};
    T value{};
    source.get(value);
  });
  auto read = from_bytes<T>(bytes);
  if (!read)
    return;
  auto written = to_bytes(*read);
  auto again = from_bytes<T>(written);
  must_hold(again.has_value(), "what was encoded is decoded");
  must_hold(to_bytes(*again) == written, "a second round trip changes nothing");
}

/// What a program runs that replays seeds: the fuzzers that it is made of, by name.
inline std::map<std::string_view, int (*)(const std::uint8_t*, std::size_t)>& replayed_fuzzers() {
  static std::map<std::string_view, int (*)(const std::uint8_t*, std::size_t)> all;
  return all;
}

} // namespace troupe::test

/// Makes a function of bytes a fuzzer: what libFuzzer calls, or one of those that are replayed.
#ifdef TROUPE_LIBFUZZER
#define TROUPE_FUZZER(name, one_input)                                                             \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {              \
    return one_input(data, size);                                                                  \
  }
#else
#define TROUPE_FUZZER(name, one_input)                                                             \
  [[maybe_unused]] static const bool name##_is_replayed                                            \
    = troupe::test::replayed_fuzzers().emplace(#name, one_input).second;
#endif
