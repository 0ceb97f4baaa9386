#include "troupe/sim/world/seats_process.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "support/seeds.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/sim/world/world.hpp"

namespace revoked_voters_test {

using namespace std::chrono_literals;
using namespace troupe;

namespace {

/// Nodes with the real Raft group and no faults, of which some are revoked: all hear of it within
/// 200 ms, and a second later the links of those have ended.
class group_of_nodes {
public:
  group_of_nodes(std::uint64_t seed, sim::process_id count) : world_(seed, count, {}) {
    auto& shared = world_.setting();
    shared.nodes = count;
    shared.on_disk = [this](raft::member_id seat) {
      return world_.disk(sim::raft_process::process_of(seat)).last_index();
    };
    world_.start(0);
    world_.at(0)->found();
    world_.arm(0);
    for (sim::process_id each = 1; each < count; ++each)
      world_.start(each);
    REQUIRE(comes_true([&] { return voters().size() == std::min<std::size_t>(count, 3); }));
  }

  /// `dead`: one of them that is killed just before.
  void revoke(const std::set<sim::process_id>& which, std::optional<sim::process_id> dead = {}) {
    for (auto each : which) {
      auto& node = world_.at(each)->node();
      revoked_.insert(node);
      world_.setting().facts.wished_away(node, true);
    }
    if (dead)
      world_.kill(*dead);
    for (sim::process_id each = 0; each < world_.size(); ++each)
      world_.after(0ms, 200ms, [this, each] {
        if (auto* node = world_.at(each)) {
          node->hear_of_revoked(revoked_);
          world_.arm(each);
        }
      });
    world_.after(1s, [this, which] {
      for (auto each : which)
        world_.kill(each);
    });
    run(10s);
  }

  /// The processes of the voters, by the node that leads; none if no node does.
  std::set<sim::process_id> voters() {
    std::set<sim::process_id> found;
    for (sim::process_id each = 0; each < world_.size(); ++each)
      if (auto* node = world_.at(each);
          node != nullptr && node->consensus().current_role() == raft::role::leader)
        for (auto seat : node->consensus().members().voters())
          found.insert(sim::raft_process::process_of(seat));
    return found;
  }

  sim::process_id leader() {
    for (sim::process_id each = 0; each < world_.size(); ++each)
      if (auto* node = world_.at(each);
          node != nullptr && node->consensus().current_role() == raft::role::leader)
        return each;
    FAIL("no node leads");
    return 0;
  }

  /// Whether the group enters something once more.
  bool goes_on() {
    auto before = world_.setting().entered.size();
    return comes_true([&] { return world_.setting().entered.size() > before; });
  }

  [[nodiscard]] std::string violations() {
    std::string text;
    for (auto& each : world_.setting().found.violations)
      text += each + '\n';
    return text;
  }

private:
  void run(duration span) {
    world_.run_until(world_.now() + span);
  }

  bool comes_true(const std::function<bool()>& condition) {
    return world_.run_until(world_.now() + 30s, condition);
  }

  sim::world<sim::seats_process> world_;
  std::set<node_id> revoked_;
};

} // namespace

TEST_CASE("a group goes on when two of its three voters are revoked, one after the other",
          "[sim][seats]") {
  test::for_each_seed(20, [](random_source random) {
    group_of_nodes nodes{random.seed(), 3};
    nodes.revoke({2});
    CHECK(nodes.voters() == std::set<sim::process_id>{0, 1});
    nodes.revoke({1});
    CHECK(nodes.voters() == std::set<sim::process_id>{0});
    CHECK(nodes.goes_on());
    CHECK(nodes.violations().empty());
  });
}

TEST_CASE("a group goes on when its leader is revoked, and then the next one", "[sim][seats]") {
  test::for_each_seed(20, [](random_source random) {
    group_of_nodes nodes{random.seed(), 3};
    nodes.revoke({0});
    REQUIRE(nodes.voters() == std::set<sim::process_id>{1, 2});
    CHECK(nodes.goes_on());
    nodes.revoke({nodes.leader()});
    CHECK(nodes.voters().size() == 1);
    CHECK(nodes.goes_on());
    CHECK(nodes.violations().empty());
  });
}

TEST_CASE("a group goes on when two of its three voters are revoked at once", "[sim][seats]") {
  test::for_each_seed(20, [](random_source random) {
    group_of_nodes nodes{random.seed(), 3};
    nodes.revoke({1, 2});
    CHECK(nodes.voters() == std::set<sim::process_id>{0});
    CHECK(nodes.goes_on());
    CHECK(nodes.violations().empty());
  });
}

TEST_CASE("a group goes on when a dead voter is revoked together with a spare", "[sim][seats]") {
  test::for_each_seed(20, [](random_source random) {
    group_of_nodes nodes{random.seed(), 5};
    auto voters = nodes.voters();
    sim::process_id dead = 0;
    sim::process_id spare = 0;
    for (sim::process_id each = 1; each < 5; ++each)
      (voters.contains(each) ? dead : spare) = each;
    nodes.revoke({dead, spare}, dead);
    CHECK(nodes.voters().size() == 3);
    CHECK_FALSE(nodes.voters().contains(dead));
    CHECK_FALSE(nodes.voters().contains(spare));
    CHECK(nodes.goes_on());
    CHECK(nodes.violations().empty());
  });
}

} // namespace revoked_voters_test
