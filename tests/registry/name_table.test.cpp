#include "troupe/registry/name_table.hpp" // the header under test
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace name_table_test {

using namespace troupe;
using namespace troupe::registry;
using namespace troupe::registry::names;
using test::operator""_owner;

namespace {

struct driven_table {
  name_table table;
  request_id last_id = 0;

  explicit driven_table(const name_options& options = {}) {
    effects out;
    table.step({}, 0, configure{options, 0}, out);
    CHECK(out.empty());
  }

  effects ask(const event& what) {
    effects out;
    table.step({}, ++last_id, what, out);
    return out;
  }

  std::vector<name_claim> claimed(std::vector<agent_id> names, const owner_id& owner,
                                  std::uint64_t boot = 1) {
    auto out = ask(claim{std::move(names), owner, boot});
    REQUIRE(out.size() == 1);
    REQUIRE(std::holds_alternative<granted>(out[0]));
    return std::get<granted>(out[0]).value.claimed;
  }

  [[nodiscard]] owner_id owner_of(const std::string& name) const {
    auto found = table.answer(find_claim{name}).found;
    return found ? found->owner : "nobody"_owner;
  }
};

problem refusal(const effects& answers) {
  auto* found = answers.size() == 1 ? std::get_if<refused>(&answers[0]) : nullptr;
  return found ? found->why : problem{};
}

std::vector<agent_id> set_free(const effects& answers) {
  REQUIRE(answers.size() == 1);
  return std::get<released>(answers[0]).value.names;
}

} // namespace

SCENARIO("a name has one owner at a time", "[registry][names]") {
  GIVEN("a node that claimed two names") {
    driven_table table;
    auto first = table.claimed({"echo", "ping"}, "n1"_owner);
    CHECK(first[0].token < first[1].token);
    WHEN("another node claims one of them, with others") {
      auto why = refusal(table.ask(claim{{"pong", "echo"}, "n2"_owner, 1}));
      THEN("it is refused, and none is claimed") {
        CHECK(why.code == errc::name_taken);
        CHECK(why.detail
              == "node n1 has the name echo (token 1); choose another, or register name@node");
        CHECK(table.owner_of("pong") == "nobody"_owner);
      }
    }
    WHEN("the node claims them again") {
      auto again = table.claimed({"ping", "new", "ping"}, "n1"_owner);
      THEN("it has them with the same tokens") {
        CHECK(again[0] == first[1]);
        CHECK(again[2] == first[1]);
        CHECK(again[1].token > first[1].token);
      }
    }
    WHEN("it gives one back") {
      CHECK(set_free(table.ask(release{{"echo", "other"}, "n1"_owner, 1}))
            == std::vector<agent_id>{"echo"});
      THEN("another can have it, with a higher token") {
        CHECK(table.claimed({"echo"}, "n2"_owner)[0].token > first[1].token);
        CHECK(table.owner_of("ping") == "n1"_owner);
      }
    }
    WHEN("another node gives it back") {
      CHECK(set_free(table.ask(release{{"echo"}, "n2"_owner, 1})).empty());
      THEN("it stays") {
        CHECK(table.owner_of("echo") == "n1"_owner);
      }
    }
    WHEN("the node starts again and claims one of them") {
      auto later = table.claimed({"echo"}, "n1"_owner, 2);
      THEN("it has that with a higher token, and the other is free") {
        CHECK(later[0].token > first[1].token);
        CHECK(table.owner_of("ping") == "nobody"_owner);
      }
      THEN("its earlier boot claims and releases nothing any more") {
        CHECK(refusal(table.ask(claim{{"ping"}, "n1"_owner, 1})).code == errc::in_use);
        CHECK(set_free(table.ask(release{{"echo"}, "n1"_owner, 1})).empty());
        CHECK(set_free(table.ask(owner_gone{"n1"_owner, 1})).empty());
        CHECK(table.owner_of("echo") == "n1"_owner);
      }
    }
    WHEN("the node is gone") {
      CHECK(set_free(table.ask(owner_gone{"n1"_owner, 1}))
            == std::vector<agent_id>{"echo", "ping"});
      THEN("its names are free") {
        CHECK(table.claimed({"echo"}, "n2"_owner)[0].token > first[1].token);
      }
    }
  }
}

TEST_CASE("since rules 2 a claim says whether its owner has no data folder", "[registry][names]") {
  driven_table table;
  auto mark = [&](std::vector<agent_id> names, const owner_id& owner, bool is_fleeting) {
    auto out = table.ask(claim{std::move(names), owner, 1, is_fleeting});
    return std::get<granted>(out.at(0)).value.claimed.back().is_fleeting;
  };
  CHECK_FALSE(mark({"echo"}, "n1"_owner, true)); // as in a log of before
  CHECK_FALSE(table.table.snapshot().marks_fleeting);
  table.table.use_rules(2);
  CHECK_FALSE(table.table.answer(find_claim{"echo"}).found->is_fleeting);
  auto before = table.table.answer(find_claim{"echo"}).found->token;
  CHECK(mark({"echo"}, "n1"_owner, true)); // who claims again is marked, and keeps the token
  CHECK(table.table.answer(find_claim{"echo"}).found->token == before);
  CHECK_FALSE(mark({"pong"}, "n2"_owner, false));
  name_table twin;
  twin.restore({}, table.table.snapshot());
  CHECK(twin.snapshot() == table.table.snapshot());
  CHECK(twin.answer(find_claim{"echo"}).found->is_fleeting);
  table.table = std::move(twin);
  CHECK(mark({"ping"}, "n1"_owner, true));
}

TEST_CASE("tokens of a new era lie above its floor", "[registry][names]") {
  driven_table table;
  table.claimed({"echo"}, "n1"_owner);
  CHECK(table.ask(configure{{}, std::uint64_t{1} << 32U}).empty());
  CHECK(table.claimed({"ping"}, "n1"_owner)[0].token == (std::uint64_t{1} << 32U) + 1);
  CHECK(table.owner_of("echo") == "n1"_owner); // as in a log of before names were freed
}

TEST_CASE("a new era frees all names, as nobody knows who of the past still lives",
          "[registry][names]") {
  driven_table table;
  constexpr auto floor = std::uint64_t{1} << 32U;
  table.claimed({"echo"}, "n1"_owner, 7);
  table.ask(configure{{}, floor, true});
  CHECK(table.owner_of("echo") == "nobody"_owner);
  CHECK(table.claimed({"echo"}, "n2"_owner)[0].token == floor + 1);
  table.claimed({"ping"}, "n1"_owner, 1); // what boots it had is of the past, too
  SECTION("once: whoever is told of it again changes nothing") {
    table.ask(configure{{}, floor, true});
    CHECK(table.owner_of("echo") == "n2"_owner);
    CHECK(table.owner_of("ping") == "n1"_owner);
  }
}

TEST_CASE("claims are listed by name, in pages", "[registry][names]") {
  driven_table table;
  table.claimed({"d", "a", "c"}, "n1"_owner);
  table.claimed({"b"}, "n2"_owner);
  auto names = [&](const list_claims& question) {
    std::string result;
    auto page = table.table.answer(question);
    for (auto& each : page.claimed)
      result += each.name.text();
    return result + (page.more ? "+" : "");
  };
  CHECK(names({}) == "abcd");
  CHECK(names({.owner = "n1"_owner}) == "acd");
  CHECK(names({.owner = "n9"_owner}).empty());
  CHECK(names({.limit = 3}) == "abc+");
  CHECK(names({.after = "c", .limit = 3}) == "d");
  CHECK(names({.owner = "n1"_owner, .after = "a", .limit = 1}) == "c+");
  CHECK(names({.limit = 4}) == "abcd");
}

TEST_CASE("claims outside the contract are refused by name", "[registry][names]") {
  driven_table table{{.max_names = 3, .max_batch = 3}};
  table.claimed({"a", "b"}, "n1"_owner, 2);
  const std::vector<std::pair<event, errc>> cases = {
    {claim{{}, "n1"_owner, 2}, errc::bad_argument},
    {claim{{""}, "n1"_owner, 2}, errc::bad_argument},
    {claim{{std::string(256, 'x')}, "n1"_owner, 2}, errc::bad_argument},
    {claim{{std::string(1'000'000, 'x')}, "n1"_owner, 2}, errc::bad_argument},
    {claim{{"x@n1"}, "n1"_owner, 2}, errc::bad_argument},
    {claim{{"\xff"}, "n1"_owner, 2}, errc::bad_argument},
    {claim{{"x"}, {}, 2}, errc::bad_argument},
    {claim{{"x"}, "n1"_owner, 0}, errc::bad_argument},
    {claim{{"x"}, "n1"_owner, ~std::uint64_t{0}}, errc::bad_argument},
    {claim{{"x"}, "n1"_owner, 1}, errc::in_use},
    {claim{{"x", "a"}, "n2"_owner, 1}, errc::name_taken},
    {claim{{"w", "x"}, "n2"_owner, 1}, errc::limit_reached},
    {claim{{"w", "x", "y", "z"}, "n2"_owner, 1}, errc::too_large},
    {release{{"@"}, "n1"_owner, 2}, errc::bad_argument},
    {release{{"a"}, "n1"_owner, 0}, errc::bad_argument},
    {owner_gone{{}, 1}, errc::bad_argument},
  };
  auto before = table.table.snapshot();
  for (std::size_t index = 0; index < cases.size(); ++index) {
    INFO("case " << index);
    auto why = refusal(table.ask(cases[index].first));
    CHECK(why.code == cases[index].second);
    CHECK(why.detail.size() < 300);
    CHECK(table.table.snapshot() == before);
  }
  CHECK(table.claimed({"c", "c"}, "n2"_owner).size() == 2); // one name, so there is room
  CHECK(table.claimed({"a"}, "n1"_owner, 2).size() == 1);   // nothing new
}

} // namespace name_table_test
