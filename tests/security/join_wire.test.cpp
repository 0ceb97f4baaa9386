#include "troupe/security/join_wire.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace join_wire_test {

using namespace troupe::security;

namespace {

std::string head_of(std::size_t size) {
  return to_join_wire(std::string(size, 'x')).substr(0, join_head_bytes);
}

} // namespace

TEST_CASE("a request to join has 1,024 bytes at most", "[security][join]") {
  for (auto size : {std::size_t{1}, std::size_t{255}, std::size_t{256}, std::size_t{1'024}})
    CHECK(join_body_bytes(head_of(size), max_join_request_bytes) == size);
  CHECK(join_body_bytes(head_of(1'025), max_join_request_bytes) == std::nullopt);
  CHECK(join_body_bytes(head_of(8'192), max_join_request_bytes) == std::nullopt);
  CHECK(join_body_bytes(head_of(8'192), max_join_answer_bytes) == 8'192);
  CHECK(join_body_bytes(std::string(join_magic) + "\xff\xff", max_join_request_bytes)
        == std::nullopt);
}

TEST_CASE("the head of a request to join is whole, and of nothing else", "[security][join]") {
  CHECK(join_body_bytes(std::string(join_magic) + std::string(2, '\0'), max_join_request_bytes)
        == std::nullopt);
  CHECK(join_body_bytes("GET /", max_join_request_bytes) == std::nullopt);
  CHECK(join_body_bytes(head_of(7) + "x", max_join_request_bytes) == std::nullopt);
  CHECK(join_body_bytes(head_of(7).substr(0, join_head_bytes - 1), max_join_request_bytes)
        == std::nullopt);
}

} // namespace join_wire_test
