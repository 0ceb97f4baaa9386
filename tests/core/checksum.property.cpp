#include "troupe/core/checksum.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

#include "troupe/core/random.hpp"

namespace checksum_property {

using namespace troupe;

TEST_CASE("the processor's CRC-32C is that of the tables", "[core]") {
  random_source random{1};
  for (std::size_t length = 0; length < 300; ++length) {
    std::string bytes(length, '\0');
    for (auto& each : bytes)
      each = static_cast<char>(random.below(256));
    auto seed = static_cast<std::uint32_t>(random.next());
    CHECK(crc32c(bytes, seed) == ~detail::crc32c_by_tables(bytes, ~seed));
  }
}

} // namespace checksum_property
