#include "troupe/net/relay_table.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>
#include <vector>

#include "support/take.hpp"

namespace relay_table_test {

using namespace std::literals;
using namespace troupe;
using net::connection_id;
using net::relay_table;
using net::verdict;

namespace {

const auto place = "10.0.0.1:6767"s;

node_id node_of(std::uint8_t number) {
  node_id made{};
  made.bytes.back() = std::byte{number};
  return made;
}

struct relaying {
  explicit relaying(net::relay_options how = {}) : it(how) {
    step(relay_table::offer{place});
  }

  void step(const relay_table::event& what) {
    it.step(now, what, out);
  }

  void pass(duration span) {
    now += span;
    it.tick(now, out);
  }

  void ask(connection_id which, std::uint8_t who = 1, const std::string& where = place) {
    step(relay_table::asked{which, net::mark_of(where), node_of(who)});
  }

  template <class Effect>
  std::vector<connection_id> took() {
    std::vector<connection_id> found;
    for (auto& each : test::take<Effect>(out))
      found.push_back(each.connection);
    return found;
  }

  std::optional<verdict> refusal() {
    auto found = test::take<relay_table::refuse>(out);
    return found.empty() ? std::nullopt : std::optional{found.front().why};
  }

  time_point now{1h};
  relay_table it;
  relay_table::effects out;
};

using ids = std::vector<connection_id>;

} // namespace

TEST_CASE("a connection is relayed once the other node is reached, until one of both is gone",
          "[net]") {
  relaying r;
  r.ask(5);
  auto made = test::take<relay_table::connect>(r.out);
  REQUIRE(made.size() == 1);
  CHECK(made.front().connection == 5);
  CHECK(made.front().where == place);
  CHECK(r.out.empty());
  r.step(relay_table::reached{5});
  CHECK(r.took<relay_table::begin>() == ids{5});
  r.step(relay_table::reached{5}); // answered once
  CHECK(r.out.empty());
  CHECK(r.it.size() == 1);
  r.step(relay_table::gone{5});
  CHECK(r.took<relay_table::end>() == ids{5});
  CHECK(r.it.size() == 0);
  r.step(relay_table::gone{5});
  r.step(relay_table::moved{5});
  r.step(relay_table::reached{5});
  CHECK(r.out.empty());
  CHECK_FALSE(r.it.next_deadline());
}

TEST_CASE("a node relays only to the place where it reaches the services itself", "[net]") {
  relaying r;
  r.ask(1, 1, "10.0.0.2:6767");
  CHECK(r.refusal() == verdict::no_relay);
  r.step(relay_table::offer{""});
  r.ask(2);
  CHECK(r.refusal() == verdict::no_relay);
  r.ask(3, 1, "");
  CHECK(r.refusal() == verdict::no_relay);
  CHECK(r.it.size() == 0);
}

TEST_CASE("a relayed connection goes on when the services have moved", "[net]") {
  relaying r;
  r.ask(1);
  r.step(relay_table::reached{1});
  r.out.clear();
  r.step(relay_table::offer{"10.0.0.2:6767"});
  CHECK(r.out.empty());
  CHECK(r.it.size() == 1);
}

TEST_CASE("who cannot be relayed because the other node is out of reach is told so", "[net]") {
  relaying r;
  r.ask(1);
  r.out.clear();
  SECTION("at once") {
    r.step(relay_table::gone{1});
    CHECK(r.refusal() == verdict::no_relay);
  }
  SECTION("after a second") {
    r.pass(999ms);
    CHECK(r.out.empty());
    r.step(relay_table::moved{1}); // not yet
    r.pass(1ms);
    CHECK(r.refusal() == verdict::no_relay);
  }
  CHECK(r.it.size() == 0);
}

TEST_CASE("a relayed connection without a byte for a minute is ended", "[net]") {
  relaying r;
  r.ask(1);
  r.step(relay_table::reached{1});
  r.out.clear();
  r.pass(59s);
  r.step(relay_table::moved{1});
  r.pass(59s);
  CHECK(r.out.empty());
  CHECK(r.it.next_deadline() == r.now + 1s);
  r.pass(1s);
  CHECK(r.took<relay_table::end>() == ids{1});
}

TEST_CASE("relayed connections have a bound, also those of one certificate", "[net]") {
  relaying r{{.max_relays = 3, .max_relays_of_one = 2}};
  r.ask(1);
  r.ask(2);
  r.ask(3);
  CHECK(r.took<relay_table::connect>() == ids{1, 2});
  CHECK(r.refusal() == verdict::full);
  r.ask(4, 2);
  CHECK(r.took<relay_table::connect>() == ids{4});
  r.ask(5, 3);
  CHECK(r.refusal() == verdict::full);
  r.step(relay_table::gone{1});
  r.out.clear();
  r.ask(6, 3);
  CHECK(r.took<relay_table::connect>() == ids{6});
}

} // namespace relay_table_test
