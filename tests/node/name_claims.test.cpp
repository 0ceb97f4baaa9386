#include "troupe/node/name_claims.hpp" // the header under test

#include "node/part_fixture.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>
#include <vector>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::name_claims;

namespace {

using words = std::vector<std::string>;

/// The claims of one node, and what they lead to.
class claimant {
public:
  claimant(test::clocked_cluster& where, const std::string& node)
    : claims_(where, [this, &where, node](auto* self, auto& part) {
        part.emplace(self, where.names,
                     name_claims::setup{
                       node,
                       [this] { return boot; },
                       [this](const auto& claims) {
                         for (auto& each : claims)
                           kept.push_back(each.name);
                       },
                       [this](const std::string& name, const problem&) { lost.push_back(name); },
                       [this](boot_number heard) { outlived = heard; },
                       {node, [this](const log_line& line) { log += line.text + '\n'; }}});
      }) {}

  /// Claims a name whose agent may end at once. Returns "token", or the name of the error.
  std::string claim(const std::string& name, bool ends = false) {
    std::string said = "nothing";
    claims_.run([&](name_claims& them) {
      them.claim(name, [&](const result<std::uint64_t>& token) {
        said = token ? "token" : std::string{name_of(token.error().code)};
      });
      if (ends)
        them.withdraw(name);
    });
    return said;
  }

  void claim_again(const words& names) {
    claims_.run([&](name_claims& them) { them.claim_again(names); });
  }

  /// Returns whether the service has heard of all.
  bool release(const words& names) {
    auto heard = false;
    claims_.run([&](name_claims& them) {
      them.release(names, [&](const problem& why) { heard = why.code == errc::none; });
    });
    return heard;
  }

  boot_number boot = 1;
  words kept;
  words lost;
  boot_number outlived = 0;
  std::string log;

private:
  test::clocked_cluster::hosted<name_claims> claims_;
};

} // namespace

TEST_CASE_METHOD(test::clocked_cluster, "a name is one node's until that gives it back",
                 "[node][names]") {
  claimant first{*this, "n1"};
  claimant second{*this, "n2"};
  CHECK(first.claim("painter") == "token");
  CHECK(second.claim("painter") == "name_taken");
  CHECK(first.release({"painter"}));
  CHECK(second.claim("painter") == "token");
}

TEST_CASE_METHOD(test::clocked_cluster, "a claim is given back if its agent has ended meanwhile",
                 "[node][names]") {
  claimant first{*this, "n1"};
  claimant second{*this, "n2"};
  CHECK(first.claim("painter", true) == "withdrawn");
  CHECK(second.claim("painter") == "token");
}

TEST_CASE_METHOD(test::clocked_cluster, "who claims names again hears which it has lost",
                 "[node][names]") {
  claimant first{*this, "n1"};
  claimant second{*this, "n2"};
  REQUIRE(second.claim("b") == "token");
  first.claim_again({"a", "b", "c"});
  CHECK(first.kept == words{"a", "c"});
  CHECK(first.lost == words{"b"});
}

TEST_CASE_METHOD(test::clocked_cluster,
                 "the log says that names cannot be claimed anew, and that they can again",
                 "[node][names]") {
  claimant first{*this, "n1"};
  names.set_target(caf::strong_actor_ptr{});
  first.claim_again({"painter"});
  world.advance(cluster::service_patience);
  CHECK_THAT(first.log, ContainsSubstring("names could not be claimed anew: "));
  CHECK_THAT(first.log, !ContainsSubstring("over: "));
  names.set_target(names_actor);
  first.claim_again({"painter"});
  CHECK(first.kept == words{"painter"});
  CHECK_THAT(first.log, ContainsSubstring("over: names could not be claimed anew"));
}

TEST_CASE_METHOD(test::clocked_cluster, "a node hears of a later boot of its own",
                 "[node][names]") {
  claimant restored{*this, "n1"};
  restored.boot = 7;
  REQUIRE(restored.claim("painter") == "token");
  restored.boot = 3;
  CHECK(restored.claim("sculptor") == "in_use");
  CHECK(restored.outlived == 7);
}

TEST_CASE_METHOD(test::clocked_cluster, "any number of names is given back", "[node][names]") {
  claimant first{*this, "n1"};
  words many;
  for (auto number = 0; number < 2'500; ++number)
    many.push_back("agent-" + std::to_string(number));
  first.claim_again(many);
  REQUIRE(first.kept.size() == many.size());
  CHECK(first.release(many));
  CHECK(look(names_actor, registry::names::list_claims{}).claimed.empty());
}
