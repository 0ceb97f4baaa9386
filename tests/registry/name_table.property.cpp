// What must hold on every schedule, not only on those we thought of.

#include "troupe/registry/name_table.hpp"
#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace name_table_property {

using namespace troupe;
using namespace troupe::registry;
using namespace troupe::registry::names;
using troupe::test::random_source;

namespace {

/// A second opinion on a table, from its requests and effects alone: a name that is
/// claimed is free or dead before, tokens only grow, every request gets one answer.
class name_witness {
public:
  void saw(request_id id, const event& what, const effects& out) {
    REQUIRE(out.size() == 1);
    REQUIRE(answered_by(out[0]) == id);
    if (auto* answer = std::get_if<granted>(&out[0]))
      check(std::get<claim>(what), answer->value.claimed);
    if (auto* answer = std::get_if<released>(&out[0]))
      for (auto& name : answer->value.names)
        REQUIRE(held_.erase(name) == 1);
  }

  void agrees_with(const name_table& table) const {
    auto all = table.answer(list_claims{.limit = 1000}).claimed;
    REQUIRE(all.size() == held_.size());
    for (auto& each : all)
      REQUIRE(held_.at(each.name) == each);
  }

private:
  void check(const claim& request, const std::vector<name_claim>& claimed) {
    std::erase_if(held_, [&](auto& each) {
      return each.second.owner == request.owner && each.second.boot < request.boot;
    });
    REQUIRE(claimed.size() == request.names.size());
    for (std::size_t each = 0; each < claimed.size(); ++each) {
      auto& now = claimed[each];
      REQUIRE(now.name == request.names[each]);
      REQUIRE(now.owner == request.owner);
      REQUIRE(now.boot == request.boot);
      if (auto held = held_.find(now.name); held != held_.end()) {
        REQUIRE(held->second == now); // nobody else's, and the token as it was
        continue;
      }
      REQUIRE(now.token > last_token_);
      last_token_ = now.token;
      held_.emplace(now.name, now);
    }
  }

  std::map<agent_id, name_claim> held_;
  std::uint64_t last_token_ = 0;
};

event random_event(random_source& random) {
  owner_id owner{"n" + std::to_string(random.below(4))};
  auto boot = 1 + random.below(6);
  std::vector<agent_id> wanted;
  for (auto count = random.below(4); count > 0; --count)
    wanted.emplace_back(std::string(1, static_cast<char>('a' + random.below(8))));
  switch (random.below(8)) {
    case 0:
      return owner_gone{owner, boot};
    case 1:
    case 2:
      return release{wanted, owner, boot};
    default:
      return claim{wanted, owner, boot, owner == owner_id{"n3"}};
  }
}

} // namespace

TEST_CASE("no schedule gives a name to two", "[registry][names][property]") {
  test::for_each_seed(200, [](random_source random) {
    name_table table;
    name_witness witness;
    effects none;
    table.step({}, 0, configure{{.max_names = 6, .max_batch = 3}, 0}, none);
    for (request_id id = 1; id <= 300; ++id) {
      auto what = random_event(random);
      effects out;
      table.step({}, id, what, out);
      witness.saw(id, what, out);
      witness.agrees_with(table);
    }
  });
}

TEST_CASE("a restored table of names answers as the original does",
          "[registry][names][property][snapshot]") {
  test::for_each_seed(100, [](random_source random) {
    name_table table;
    name_table twin;
    effects none;
    table.step({}, 0, configure{{.max_names = 6}, 0}, none);
    twin.step({}, 0, configure{{.max_names = 6}, 0}, none);
    table.use_rules(name_table::rules);
    twin.use_rules(name_table::rules);
    for (request_id id = 1; id <= 200; ++id) {
      auto what = random_event(random);
      effects out;
      effects twin_out;
      table.step({}, id, what, out);
      twin.step({}, id, what, twin_out);
      REQUIRE(out == twin_out);
      list_claims question{.owner = owner_id{random.one_in(2) ? "n1" : ""}, .limit = 3};
      REQUIRE(table.answer(question) == twin.answer(question));
      if (random.one_in(20)) {
        auto saved = from_bytes<name_snapshot>(to_bytes(table.snapshot()));
        REQUIRE(saved);
        twin = name_table{};
        twin.restore({}, *saved);
        REQUIRE(twin.snapshot() == table.snapshot());
      }
    }
  });
}

} // namespace name_table_property
