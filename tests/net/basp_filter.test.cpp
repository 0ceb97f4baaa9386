#include "troupe/net/basp_filter.hpp" // the header under test
#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace basp_filter_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;
using enum basp_header::operation;
using decision = basp_filter::decision;

namespace {

/// Returns a filter between "peer" and "self" that has seen the handshake.
basp_filter shaken(filter_options options = {}) {
  basp_filter result{options, "peer", "self"};
  CHECK(result.header({server_handshake, 0, 20, 0, 0}).what == decision::pass);
  CHECK(result.payload("peer and more").what == decision::pass);
  return result;
}

} // namespace

TEST_CASE("a header is read as BASP writes it", "[net][wire]") {
  std::array<std::byte, basp_header::wire_bytes> bytes{};
  bytes[0] = std::byte{2};
  bytes[3] = std::byte{1};
  bytes[6] = std::byte{1};    // 256 bytes
  bytes[8] = std::byte{0x80}; // an answer
  bytes[23] = std::byte{7};
  bytes[31] = std::byte{9};
  auto header = basp_header::from_bytes(bytes);
  CHECK(header.what == direct_message);
  CHECK(header.flags == basp_header::named_receiver);
  CHECK(header.payload_bytes == 256);
  CHECK(header.source == 7);
  CHECK(header.destination == 9);
  CHECK(header.data == std::uint64_t{1} << 63U);
}

TEST_CASE("a heartbeat is told from other bytes, by its size, too", "[net][wire]") {
  std::array<std::byte, 2 * basp_header::wire_bytes> bytes{};
  auto is_heartbeat
    = [&](std::size_t size) { return basp_header::is_heartbeat(std::span{bytes}.first(size)); };
  CHECK_FALSE(is_heartbeat(basp_header::wire_bytes));
  bytes[0] = std::byte{6};
  CHECK(is_heartbeat(basp_header::wire_bytes));
  for (std::size_t size : {0, 31, 33, 64})
    CHECK_FALSE(is_heartbeat(size));
}

TEST_CASE("the first message has to be the handshake", "[net]") {
  for (auto first :
       {client_handshake, direct_message, routed_message, monitor_message, down_message, heartbeat})
    CHECK(basp_filter{{}, "peer", "self"}.header({first, 0, 20, 0, 0}).what == decision::close);
  CHECK(basp_filter{{}, "peer", "self"}.header({server_handshake, 0, 0, 0, 0}).what
        == decision::close);
  CHECK(basp_filter{{}, "peer", "self"}.header({server_handshake, 0, 65'537, 0, 0}).what
        == decision::close);
}

TEST_CASE("the handshake must be that of the node that greeted", "[net]") {
  basp_filter filter{{}, "peer", "self"};
  CHECK(filter.header({server_handshake, 0, 20, 0, 0}).what == decision::pass);
  CHECK(filter.payload("another").what == decision::close);
}

TEST_CASE("a linked peer may send messages and nothing for others", "[net]") {
  struct {
    std::string what;
    basp_header header;
    decision meets;
  } given[] = {
    {"a message", {direct_message, 0, 100, 1, 2}, decision::pass},
    {"the longest message", {direct_message, 0, 64U << 20U, 1, 2}, decision::pass},
    {"a longer one", {direct_message, 0, (64U << 20U) + 1, 1, 2}, decision::close},
    {"4 GiB", {direct_message, 0, 0xfffffff0U, 1, 2}, decision::close},
    {"a heartbeat", {heartbeat, 0, 0, 0, 0}, decision::pass},
    {"a heartbeat of 4 GiB", {heartbeat, 0, 0xfffffff0U, 0, 0}, decision::close},
    {"a message to be routed", {routed_message, 0, 100, 1, 2}, decision::drop},
    {"the spawn server", {direct_message, 1, 100, 1, 2}, decision::pass},
    {"the other server of CAF", {direct_message, 1, 100, 1, 1}, decision::drop},
    {"a message of a stream",
     {direct_message, 0, 100, 1, 2, basp_header::of_stream},
     decision::drop},
    {"monitor", {monitor_message, 0, 8, 0, 2}, decision::pass},
    {"a long monitor", {monitor_message, 0, 65'537, 0, 2}, decision::close},
    {"a second handshake", {server_handshake, 0, 20, 0, 0}, decision::close},
    {"a client's handshake", {client_handshake, 0, 20, 0, 0}, decision::close},
    {"an operation that is none", {basp_header::operation{7}, 0, 0, 0, 0}, decision::close},
    {"another", {basp_header::operation{255}, 0, 0, 0, 0}, decision::close},
  };
  for (auto& each : given) {
    INFO(each.what);
    auto filter = shaken();
    auto judged = filter.header(each.header);
    CHECK(judged.what == each.meets);
    CHECK(judged.why.empty() == (judged.what == decision::pass));
  }
}

TEST_CASE("spawning can be turned off", "[net]") {
  auto filter = shaken({.spawns = false});
  CHECK(filter.header({direct_message, 1, 100, 1, 2}).what == decision::drop);
  CHECK(filter.header({direct_message, 0, 100, 1, 2}).what == decision::pass);
}

TEST_CASE("who monitors is who greeted, and what is monitored is here", "[net]") {
  for (auto operation : {monitor_message, down_message}) {
    auto filter = shaken();
    CHECK(filter.pinned_bytes() == "peerself"sv.size());
    CHECK(filter.header({operation, 0, 8, 0, 2}).what == decision::pass);
    CHECK(filter.payload("peerself").what == decision::pass);
    CHECK(filter.payload("peerthird").what == decision::close);
    CHECK(filter.payload("thirdself").what == decision::close);
    CHECK(filter.payload("peer").what == decision::close);
    CHECK(filter.payload("").what == decision::close);
  }
}

TEST_CASE("no header brings the filter down", "[net]") {
  test::for_each_seed(2'000, [](test::random_source random) {
    basp_filter filter{{}, "peer", "self"};
    std::array<std::byte, basp_header::wire_bytes> bytes{};
    for (auto left = 0; left < 20; ++left) {
      for (auto& each : bytes)
        each = static_cast<std::byte>(random.one_in(3) ? random.below(256) : 0);
      filter.header(basp_header::from_bytes(bytes));
      static_cast<void>(filter.payload(random.one_in(2) ? "peerself" : ""));
    }
  });
}

} // namespace basp_filter_test
