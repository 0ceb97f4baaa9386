#include "troupe/cluster/name_claims.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>
#include <vector>

#include "router/named_nodes.hpp"
#include "support/take.hpp"

namespace name_claims_test {

using namespace std::literals;
using namespace troupe;
using cluster::claims_types;
using cluster::name_claims;
using cluster::service_questions;
using test::operator""_node;
namespace names = registry::names;

namespace {

/// The claims of node n1, whose services answer as the test says.
struct claiming {
  static name_claims::wish agent(const std::string& name, request_id asker) {
    name_claims::wish made;
    made.asker = asker;
    made.what.key = {registry::record_kind::agent, name, "n1"_node};
    return made;
  }

  /// The agent is said, with that token.
  void have(const std::string& name, std::uint64_t token) {
    auto made = agent(name, 0).what;
    made.token = token;
    book.put(made);
  }

  /// The names of the claims that were asked since the last call; `asked`: the last of them.
  std::vector<agent_id> claims() {
    std::vector<agent_id> found;
    for (auto& each : test::take<claims_types::ask>(out))
      if (auto* claim = std::get_if<names::claim>(&each.what)) {
        found.insert(found.end(), claim->names.begin(), claim->names.end());
        asked = each.id;
      } else {
        released.push_back(std::get<names::release>(each.what).names.front());
      }
    return found;
  }

  std::optional<name_claims::grant> grant(const std::string& name, std::uint64_t token) {
    REQUIRE(questions.take<service_questions::claim_of>(asked));
    auto made = it.claimed(now, name, names::claims{{{.name = name, .token = token}}}, out);
    check();
    return made;
  }

  void check() const {
    CHECK(it.flaws() == std::vector<std::string>{});
  }

  cluster::claims_options options;
  registry::own_records book{"n1"_node, 3};
  service_questions questions{10s};
  name_claims it{options, book, questions};
  claims_types::effects out;
  time_point now{1h};
  request_id asked = 0;
  std::vector<agent_id> released;
};

} // namespace

TEST_CASE("a name that is being given back is claimed once that is answered", "[node][names]") {
  claiming c;
  c.it.give_back(c.now, {"desk"}, c.out);
  CHECK(c.it.claim(c.now, claiming::agent("desk", 7), c.out));
  CHECK(c.claims().empty());
  c.check();
  auto release = c.questions.take<service_questions::given_back>(1);
  REQUIRE(release);
  c.it.released(c.now, *release, {}, c.out);
  CHECK(c.claims() == std::vector<agent_id>{"desk"});
  auto granted = c.grant("desk", 12);
  REQUIRE(granted);
  CHECK(granted->whose.asker == 7);
  CHECK(granted->whose.what.token == 12);
}

TEST_CASE("of three agents of one name the last has it, once the others have ended",
          "[node][names]") {
  claiming c;
  CHECK(c.it.claim(c.now, claiming::agent("desk", 1), c.out));
  CHECK_FALSE(c.it.claim(c.now, claiming::agent("desk", 2), c.out));
  c.it.withdraw("desk", 1, c.out);
  CHECK(c.it.claim(c.now, claiming::agent("desk", 3), c.out));
  CHECK(c.claims() == std::vector<agent_id>{"desk"}); // one claim for both
  auto granted = c.grant("desk", 12);
  REQUIRE(granted);
  CHECK(granted->whose.asker == 3);
  auto told = test::take<claims_types::done>(c.out);
  REQUIRE(told.size() == 1);
  CHECK(told.front().id == 1);
  CHECK(told.front().why.code == errc::withdrawn);
}

TEST_CASE("a name that is granted to an agent that has ended is given back", "[node][names]") {
  claiming c;
  c.it.claim(c.now, claiming::agent("desk", 1), c.out);
  c.it.withdraw("desk", 1, c.out);
  CHECK(c.claims() == std::vector<agent_id>{"desk"});
  CHECK_FALSE(c.grant("desk", 12));
  CHECK(c.claims().empty());
  CHECK(c.released == std::vector<agent_id>{"desk"});
}

TEST_CASE("names that were claimed together and refused are claimed one by one", "[node][names]") {
  claiming c;
  c.have("desk", 4);
  c.have("door", 5);
  c.it.claim_again(c.now, c.out);
  CHECK(c.claims() == std::vector<agent_id>{"desk", "door"});
  auto both = c.questions.take<service_questions::claimed_again>(c.asked);
  REQUIRE(both);
  problem taken{errc::name_taken, "for the test"};
  CHECK(c.it.renewed(c.now, *both, taken, c.out) == name_claims::renewal::nothing);
  CHECK(c.claims() == std::vector<agent_id>{"desk", "door"});
  auto door = c.questions.take<service_questions::claimed_again>(c.asked);
  REQUIRE(door);
  CHECK(c.it.renewed(c.now, *door, taken, c.out) == name_claims::renewal::lost);
  c.check();
}

} // namespace name_claims_test
