#include "troupe/net/linkless_requests.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace linkless_requests_test {

using namespace troupe;
using namespace troupe::net;

namespace {

node_id node_of(std::uint8_t number) {
  node_id made;
  made.bytes.back() = std::byte{number};
  return made;
}

cluster_id cluster_of(std::uint8_t number) {
  cluster_id made;
  made.bytes.back() = std::byte{number};
  return made;
}

security::facts certified(std::uint8_t number, role as = role::member) {
  security::facts made;
  made.node = node_of(number);
  made.name = "certified";
  made.as = as;
  return made;
}

/// Node 5, of cluster 7, and its connection 1.
struct asked_node {
  using to = linkless_requests;

  asked_node() {
    self.node = node_of(5);
    self.cluster = cluster_of(7);
    it.end = side::accepted;
    it.proven = certified(8);
  }

  template <class Said>
  to::outcome hear(const Said& said) {
    out.clear();
    return decides.hear(self, 1, it, said, out);
  }

  to::outcome reply(verdict said, const founding_word& word = {}) {
    out.clear();
    return decides.take(self, it, {1, said, word}, out);
  }

  template <class Effect>
  [[nodiscard]] const Effect& only() const {
    REQUIRE(out.size() == 1);
    return std::get<Effect>(out.front());
  }

  /// Its peer hears that, and the connection ends.
  template <class Said>
  [[nodiscard]] const Said& said() const {
    CHECK(only<say>().connection == 1);
    return std::get<Said>(only<say>().what);
  }

  /// It is dialled.
  void dials() {
    it.end = side::dialled;
    it.is_reached = true;
  }

  hello self;
  attempt it;
  to decides{trust::proven};
  to::effects out;
};

template <class Outcome>
bool is(const linkless_requests::outcome& what) {
  return std::holds_alternative<Outcome>(what);
}

/// Why it was given up; nothing if it was not.
std::optional<verdict> end_of(const linkless_requests::outcome& what) {
  auto* end = std::get_if<linkless_requests::given_up>(&what);
  return end != nullptr ? std::optional{end->why} : std::nullopt;
}

const bootstrap_request question{.from = {.node = node_of(8), .expect = 3}};
const founding_word word{.node = node_of(5), .expect = 3};

} // namespace

// -- relays ----------------------------------------------------------------------------

TEST_CASE_METHOD(asked_node, "who proves to be of this cluster has a connection relayed", "[net]") {
  for (auto as : {role::member, role::client}) {
    it.proven = certified(8, as);
    CHECK(is<to::handed_on>(hear(relay_request{self.cluster, 77})));
    CHECK(only<relay_wanted>().connection == 1);
    CHECK(only<relay_wanted>().to == 77);
    CHECK(only<relay_wanted>().proven == certified(8, as));
  }
  CHECK(end_of(hear(relay_request{cluster_of(6), 77})) == verdict::foreign);
  CHECK(said<answer>().said == verdict::foreign);
  CHECK(said<answer>().from == self);
  it.proven.reset();
  CHECK(end_of(hear(relay_request{self.cluster, 77})) == verdict::unproven);
  CHECK(said<answer>().said == verdict::unproven);
  decides = to{trust::told};
  CHECK(is<to::handed_on>(hear(relay_request{self.cluster, 77})));
  CHECK_FALSE(only<relay_wanted>().proven);
}

TEST_CASE_METHOD(asked_node, "a node without a cluster relays nothing", "[net]") {
  self.cluster = {};
  CHECK(end_of(hear(relay_request{})) == verdict::no_cluster);
  CHECK(said<answer>().said == verdict::no_cluster);
}

TEST_CASE_METHOD(asked_node, "a connection asks for one thing, and who is dialled for nothing",
                 "[net]") {
  SECTION("it has a place of a link") {
    it.who = node_of(8);
  }
  SECTION("it waits for an answer") {
    it.waits_for_answer = true;
  }
  SECTION("it is dialled") {
    dials();
  }
  CHECK(end_of(hear(relay_request{self.cluster, 77})) == verdict::bad_greeting);
  CHECK(out.empty());
  CHECK(end_of(hear(question)) == verdict::bad_greeting);
  CHECK(out.empty());
}

TEST_CASE_METHOD(asked_node, "of a node that is to relay, only go or a refusal counts", "[net]") {
  dials();
  it.relayed_to = 77;
  CHECK(std::get<relay_request>(to::opening(self, it)) == relay_request{self.cluster, 77});
  SECTION("it relays: what follows is another node, which proves itself") {
    CHECK(is<to::begins_anew>(decides.hear_relay(1, it, verdict::go, out)));
    CHECK(only<start_over>().connection == 1);
    CHECK(it.is_relayed);
    CHECK(it.connecting);
    CHECK_FALSE(it.proven);
    CHECK(std::get<hello>(to::opening(self, it)) == self);
  }
  SECTION("it does not") {
    CHECK(end_of(decides.hear_relay(1, it, verdict::no_relay, out)) == verdict::no_relay);
    CHECK(out.empty());
  }
}

// -- questions of nodes that found a cluster together ------------------------------------

TEST_CASE_METHOD(asked_node, "a node with a cluster says so to members that prove who they are",
                 "[net][bootstrap]") {
  CHECK(end_of(hear(question)) == verdict::asked);
  CHECK(said<bootstrap_answer>()
        == bootstrap_answer{verdict::go, self.cluster, {.node = self.node}});
  for (auto& other : {certified(7), certified(8, role::client)}) {
    it.proven = other;
    CHECK(end_of(hear(question)) == verdict::unproven);
    CHECK(said<bootstrap_answer>() == bootstrap_answer{verdict::unproven, {}, {.node = self.node}});
  }
  it.proven = certified(8);
  CHECK(end_of(hear(bootstrap_request{{60'000, 60'001}, question.from})) == verdict::incompatible);
  CHECK(said<bootstrap_answer>().said == verdict::incompatible);
}

TEST_CASE_METHOD(asked_node, "the owner of a node without a cluster says how it would found one",
                 "[net][bootstrap]") {
  self.cluster = {};
  CHECK(is<to::waits>(reply(verdict::go, word))); // nothing was asked
  CHECK(out.empty());
  CHECK(is<to::waits>(hear(question)));
  CHECK(only<bootstrap_wanted>().from == question.from);
  CHECK(only<bootstrap_wanted>().proven == certified(8));
  SECTION("by its word") {
    CHECK(end_of(reply(verdict::go, word)) == verdict::asked);
    CHECK(said<bootstrap_answer>() == bootstrap_answer{verdict::go, {}, word});
  }
  SECTION("that it founds none") {
    CHECK(end_of(reply(verdict::no_cluster, word)) == verdict::no_cluster);
    CHECK(said<bootstrap_answer>()
          == bootstrap_answer{verdict::no_cluster, {}, {.node = self.node}});
  }
  SECTION("whatever, if it has a cluster by then") {
    self.cluster = cluster_of(7);
    CHECK(end_of(reply(verdict::no_cluster)) == verdict::asked);
    CHECK(said<bootstrap_answer>()
          == bootstrap_answer{verdict::go, self.cluster, {.node = self.node}});
  }
  SECTION("and the same connection asks no more") {
    CHECK(end_of(hear(question)) == verdict::bad_greeting);
    CHECK(out.empty());
  }
}

TEST_CASE_METHOD(asked_node, "an answer counts if the member that it names gives it, when asked",
                 "[net][bootstrap]") {
  dials();
  it.asks = word;
  CHECK(std::get<bootstrap_request>(to::opening(self, it)) == bootstrap_request{.from = word});
  const bootstrap_answer told{verdict::go, {}, {.node = node_of(8), .expect = 3}};
  SECTION("it is") {
    CHECK(is<to::handed_on>(hear(told)));
    CHECK(only<bootstrap_heard>().connection == 1);
    CHECK(only<bootstrap_heard>().what == told);
    CHECK(only<bootstrap_heard>().proven == certified(8));
  }
  SECTION("it refuses") {
    CHECK(end_of(hear(bootstrap_answer{verdict::full, {}, {.node = node_of(8)}})) == verdict::full);
    CHECK(out.empty());
  }
  SECTION("another one gives it") {
    it.proven = certified(7);
    CHECK(end_of(hear(told)) == verdict::unproven);
    it.proven = certified(8, role::client);
    CHECK(end_of(hear(told)) == verdict::unproven);
    CHECK(out.empty());
  }
  SECTION("nothing was asked") {
    it.asks.reset();
    CHECK(end_of(hear(told)) == verdict::bad_greeting);
    CHECK(out.empty());
  }
  SECTION("the connection is not there yet") {
    it.connecting = true;
    CHECK(end_of(hear(told)) == verdict::bad_greeting);
    CHECK(out.empty());
  }
}

} // namespace linkless_requests_test
