#include "troupe/net/greeting.hpp" // the header under test
#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace greeting_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

namespace {

hello sample() {
  hello result;
  result.as = role::client;
  result.cluster.bytes.fill(std::byte{0xcc});
  result.node.bytes.fill(std::byte{0xdd});
  result.boot = 3;
  result.entry_point = 17;
  result.basp_node = std::string(max_basp_node_bytes, 'b');
  return result;
}

/// Returns what a peer reads that gets `bytes`.
std::optional<greeting> read(std::string_view bytes) {
  auto size = body_bytes(bytes.substr(0, greeting_head_bytes));
  if (!size || bytes.size() != greeting_head_bytes + *size)
    return std::nullopt;
  return from_wire(bytes.substr(greeting_head_bytes));
}

/// As long as one can be.
founding_word founding_sample() {
  auto most = std::numeric_limits<std::uint64_t>::max();
  founding_word result{.node = sample().node,
                       .boot = most,
                       .process = most,
                       .expect = 7,
                       .sees = std::numeric_limits<std::uint32_t>::max(),
                       .candidate = sample().node,
                       .asks = true,
                       .round = most,
                       .promised = sample().node,
                       .promised_round = most};
  return result;
}

} // namespace

TEST_CASE("a greeting arrives as it was said", "[net][wire]") {
  for (auto& said : std::vector<greeting>{
         sample(), answer{verdict::linked, sample()}, commit{},
         relay_request{sample().cluster, mark_of("h:1")},
         bootstrap_request{.from = founding_sample()},
         bootstrap_answer{verdict::no_cluster, sample().cluster, founding_sample()}}) {
    auto bytes = to_wire(said);
    CHECK(bytes.size() <= max_greeting_bytes);
    CHECK(read(bytes) == said);
  }
}

TEST_CASE("a greeting cut short anywhere is refused", "[net][wire]") {
  auto bytes = to_wire(answer{verdict::go, sample()});
  while (!bytes.empty()) {
    bytes.pop_back();
    if (bytes.size() > greeting_head_bytes) // with a head that tells the truth
      bytes[3] = static_cast<char>(bytes.size() - greeting_head_bytes);
    INFO(bytes.size() << " bytes");
    CHECK_FALSE(read(bytes));
  }
}

TEST_CASE("what is no troupe node is found out by its first four bytes", "[net][wire]") {
  for (auto each : {"HTTP"sv, "SSH-"sv, "\0\0\0\0"sv, "TRL\0"sv, "TRL\xff"sv, "TRL"sv, ""sv})
    CHECK_FALSE(body_bytes(each));
  CHECK(body_bytes("TRL\1") == 1);
  CHECK(body_bytes("TRL\xfc") == max_greeting_bytes - greeting_head_bytes);
}

TEST_CASE("a hello that nobody could mean is refused", "[net][wire]") {
  struct {
    std::string what;
    void (*spoil)(hello&);
  } given[] = {
    {"no node id", [](hello& x) { x.node = {}; }},
    {"a role that is none", [](hello& x) { x.as = static_cast<role>(9); }},
    {"an empty range of versions",
     [](hello& x) {
       x.wire = {2, 1};
     }},
    {"no BASP node id", [](hello& x) { x.basp_node.clear(); }},
    {"a heartbeat of nothing", [](hello& x) { x.heartbeat = {}; }},
    {"a heartbeat with which it could be silent for more than 30 s",
     [](hello& x) { x.heartbeat = 15s + 1ns; }},
    {"a heartbeat a year long", [](hello& x) { x.heartbeat = 24h * 365; }},
    {"a negative heartbeat", [](hello& x) { x.heartbeat = -1s; }},
  };
  for (auto& each : given) {
    INFO(each.what);
    auto said = sample();
    CHECK(is_plausible(said));
    each.spoil(said);
    CHECK_FALSE(is_plausible(said));
    CHECK_FALSE(from_wire(to_bytes(greeting{said})));
    CHECK_FALSE(from_wire(to_bytes(greeting{answer{verdict::go, said}})));
  }
  auto long_id = sample();
  long_id.basp_node += 'b';
  CHECK_FALSE(from_wire(to_bytes(greeting{long_id})));
}

TEST_CASE("a no that this version does not know is a no", "[net][wire]") {
  auto said = from_wire(to_bytes(greeting{answer{static_cast<verdict>(99), sample()}}));
  REQUIRE(said);
  CHECK(std::get<answer>(*said).said != verdict::go);
  CHECK_FALSE(from_wire(to_bytes(greeting{answer{verdict::unreachable, sample()}})));
}

TEST_CASE("the bytes of a hello stay as they are", "[net][wire]") {
  auto said = sample();
  said.basp_node = "b";
  auto bytes = to_wire(said);
  CHECK(bytes.starts_with("TRL\x6e"sv));
  CHECK(bytes.substr(4, 7)
        == "\x01"             // format of the codec
           "\x00"             // hello
           "\x68\x00\x00\x00" // bytes in it
           "\x01"s);          // client
  CHECK(to_wire(commit{}) == "TRL\x06\x01\x02\x00\x00\x00\x00"s);
}

TEST_CASE("no bytes bring the reader of greetings down", "[net][wire]") {
  test::for_each_seed(5'000, [](test::random_source random) {
    auto bytes = to_wire(answer{verdict::go, sample()});
    for (auto flips = 1 + random.below(4); flips > 0; --flips)
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    bytes.resize(random.below(bytes.size() + 1));
    if (auto said = read(bytes))
      CHECK(to_wire(*said).size() <= max_greeting_bytes);
  });
}

} // namespace greeting_test
