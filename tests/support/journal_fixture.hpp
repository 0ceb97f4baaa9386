#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/hex.hpp"
#include "troupe/host/durable_core.hpp"

namespace troupe::test {

inline std::string hex_of(const std::string& bytes) {
  return to_hex(std::as_bytes(std::span{bytes}));
}

inline std::string bytes_of(const std::string& hex) {
  auto bytes = from_hex(hex);
  REQUIRE(bytes);
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

/// Replays a journal that an earlier release wrote: lines of records in hex, the last one
/// the state that they came to. Whatever this release has become, it has to read them and
/// come to the same state.
///
/// TROUPE_REWRITE=1 writes `made`, a journal of this release, where there is no such file yet; a
/// fixture of a release that is out is never rewritten.
template <machine M>
void check_journal_fixture(const std::filesystem::path& file,
                           const std::vector<host::record<M>>& made) {
  INFO(file.filename().string());
  auto state_after = [](const std::vector<host::record<M>>& records) {
    host::durable_core<M> core;
    for (auto& each : records)
      REQUIRE(core.replay(each).code == errc::none);
    auto state = core.snapshot();
    state.history = {}; // what a state came from is no part of it
    return to_bytes(state);
  };
  if (std::getenv("TROUPE_REWRITE") != nullptr && !std::filesystem::exists(file)) {
    std::ofstream out{file};
    for (auto& each : made)
      out << hex_of(to_bytes(each)) << '\n';
    out << hex_of(state_after(made)) << '\n';
  }
  std::ifstream in{file};
  REQUIRE(in);
  std::vector<host::record<M>> records;
  std::string last;
  for (std::string line; std::getline(in, line); last = line) {
    if (last.empty())
      continue;
    auto read = from_bytes<host::record<M>>(bytes_of(last));
    REQUIRE(read);
    records.push_back(*std::move(read));
  }
  REQUIRE_FALSE(records.empty());
  auto then = from_bytes<host::durable_snapshot<M>>(bytes_of(last));
  REQUIRE(then);
  then->history = {};
  // Written anew, as fields that came later stand in new bytes only.
  CHECK(to_bytes(*then) == state_after(records));
}

} // namespace troupe::test
