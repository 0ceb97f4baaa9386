#include "troupe/cluster/member_standings.hpp" // the header under test
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace member_standings_test {

using namespace std::literals;
using namespace troupe;
using cluster::member_status;
using registry::record_status;

namespace {

/// The table of a node that hears of "n2".
struct standing {
  standing() {
    registry::effects none;
    table.step({}, 0, registry::configure{registry::registry_options{}, 0}, none);
  }

  /// A record of that life comes.
  void comes(boot_number boot) {
    registry::record made;
    if (is_fleeting)
      made.metadata[cluster::known_nodes::fleeting_mark] = "yes";
    made.key = {registry::record_kind::node, "two", node};
    made.boot = boot;
    made.version = 1;
    registry::effects none;
    table.step(now, 1, registry::put_records{{made}}, none);
    it.settle(now, node);
    nodes.put(node, {made}); // once that is done, as in node_core
  }

  void see(boot_number boot, member_status is) {
    it.note(now, node, boot, is);
    it.settle(now, node);
    CHECK(it.flaws() == std::vector<std::string>{});
  }

  void pass(duration span) {
    auto end = now + span;
    while (it.next_deadline() && *it.next_deadline() <= end) {
      now = std::max(now, *it.next_deadline());
      auto made = it.tick(now);
      std::ranges::move(made.lost, std::back_inserter(lost));
      std::ranges::move(made.forgotten, std::back_inserter(forgotten));
      CHECK(it.flaws() == std::vector<std::string>{});
    }
    now = end;
  }

  [[nodiscard]] registry::owner_view known() const {
    return table.answer(registry::find_owner{node});
  }

  [[nodiscard]] bool is_active() const {
    return known().liveness == record_status::active;
  }

  const node_id node = test::node_named("n2");
  registry::record_table table;
  cluster::known_nodes nodes;
  cluster::member_standings it{{5s, 5min, 24h}, nodes, table};
  bool is_fleeting = false;
  std::vector<std::pair<node_id, boot_number>> lost;
  std::vector<node_id> forgotten;
  time_point now{1h};
};

} // namespace

TEST_CASE_METHOD(standing, "a node shows as the members show it", "[node][standings]") {
  comes(1);
  see(1, member_status::alive);
  CHECK(is_active());
  see(1, member_status::suspect);
  CHECK(is_active());
  see(1, member_status::dead);
  CHECK_FALSE(is_active());
  see(2, member_status::alive);
  CHECK(is_active());
}

TEST_CASE_METHOD(standing, "what comes late of a node shows as that stands", "[node][standings]") {
  SECTION("dead") {
    see(1, member_status::dead);
    comes(1);
    CHECK_FALSE(is_active());
  }
  SECTION("of a later life than the members show") {
    see(1, member_status::dead);
    comes(2);
    CHECK(is_active());
  }
  SECTION("alive, of an earlier life") {
    see(2, member_status::alive);
    comes(1);
    CHECK(is_active());
  }
}

TEST_CASE_METHOD(standing, "of a revoked node nothing is kept once it is not there any more",
                 "[node][standings]") {
  comes(1);
  SECTION("it is there when that is heard") {
    see(1, member_status::alive);
    it.expel(now, {node});
    CHECK(known().boot == 1);
    CHECK(is_active());
    see(1, member_status::dead);
  }
  SECTION("it is dead by then") {
    see(1, member_status::dead);
    it.expel(now, {node});
  }
  SECTION("nothing is known of it by then but its records") {
    it.expel(now, {node});
  }
  CHECK(known().boot == 0);
  comes(1); // of a member that has not heard of it
  CHECK(known().boot == 0);
  it.expel(now, {});
  comes(1);
  CHECK(known().boot == 1);
}

TEST_CASE_METHOD(standing, "a node that has stopped is there for a while", "[node][standings]") {
  comes(1);
  see(1, member_status::alive);
  see(1, member_status::left);
  pass(5s - 1ns);
  CHECK(is_active());
  SECTION("and then gone") {
    pass(1ns);
    CHECK_FALSE(is_active());
    CHECK(lost.empty()); // it has said that it stops
  }
  SECTION("no longer for being told again") {
    see(1, member_status::left);
    CHECK(is_active());
    pass(1ns);
    CHECK_FALSE(is_active());
    see(1, member_status::left); // it stays gone
    CHECK_FALSE(is_active());
  }
  SECTION("as long again in another life") {
    see(2, member_status::alive);
    CHECK_FALSE(it.next_deadline());
    see(2, member_status::left);
    pass(5s - 1ns);
    CHECK(is_active());
    pass(1ns);
    see(3, member_status::left); // it was there, and nobody here has seen that
    CHECK(is_active());
    pass(4s);
    see(4, member_status::left); // once more
    pass(5s - 1ns);
    CHECK(is_active());
    pass(1ns);
    CHECK_FALSE(is_active());
  }
  SECTION("unless it is dead") {
    see(1, member_status::dead);
    CHECK_FALSE(is_active());
  }
}

TEST_CASE_METHOD(standing, "a node without a data folder is gone once it has stopped",
                 "[node][standings]") {
  is_fleeting = true;
  comes(1);
  see(1, member_status::alive);
  see(1, member_status::left);
  CHECK_FALSE(is_active());
  CHECK(lost.empty());
  pass(5min);
  CHECK(forgotten == std::vector{node});
}

TEST_CASE_METHOD(standing, "a node without a data folder is shown for a while once it is gone",
                 "[node][standings]") {
  is_fleeting = true;
  comes(1);
  see(1, member_status::alive);
  pass(24h);
  CHECK(is_active());
  see(1, member_status::dead);
  SECTION("and then dropped, however often that is said") {
    pass(1min);
    see(1, member_status::dead);
    pass(4min - 1ns);
    CHECK(known().records == 1);
    pass(1ns);
    CHECK(known().boot == 0);
    CHECK(forgotten == std::vector{node});
    CHECK_FALSE(it.next_deadline());
    comes(1); // of a member that has seen it die later
    CHECK(known().boot == 0);
    see(1, member_status::dead);
    comes(1);
    CHECK(known().boot == 0);
    CHECK_FALSE(it.next_deadline());
    CHECK(it.is_dropped(node));
    SECTION("it was only cut off") {
      see(1, member_status::alive);
      CHECK_FALSE(it.is_dropped(node));
      comes(1);
      CHECK(is_active());
      see(1, member_status::dead); // and is shown for as long again
      pass(5min - 1ns);
      CHECK(known().records == 1);
    }
    SECTION("a later life of it is shown for as long") {
      see(2, member_status::dead);
      comes(2);
      CHECK(known().records == 1);
      CHECK_FALSE(is_active());
    }
  }
  SECTION("unless it is back by then") {
    pass(4min);
    see(1, member_status::alive);
    CHECK_FALSE(it.next_deadline());
    pass(1h);
    CHECK(is_active());
    see(1, member_status::dead); // and has all that time again
    pass(5min - 1ns);
    CHECK(known().records == 1);
    CHECK_FALSE(it.is_dropped(node));
  }
  SECTION("unless it is there in a later life of which the members say nothing yet") {
    pass(4min);
    comes(2);
    CHECK(is_active());
    CHECK(it.flaws() == std::vector<std::string>{});
    pass(1min);
    CHECK(known().boot == 2);
    CHECK(forgotten.empty());
    see(2, member_status::dead); // and has all that time again
    pass(5min - 1ns);
    CHECK(known().records == 1);
    pass(1ns);
    CHECK(known().boot == 0);
  }
  SECTION("as long if it is heard of only then") {
    it.forget(now, node);
    nodes.remove(node);
    see(1, member_status::dead);
    CHECK_FALSE(it.next_deadline());
    comes(1);
    CHECK_FALSE(is_active());
    pass(5min);
    CHECK(known().boot == 0);
  }
}

TEST_CASE_METHOD(standing, "a node with a data folder is shown until the members forget it",
                 "[node][standings]") {
  comes(1);
  see(1, member_status::dead);
  pass(23h);
  CHECK(known().records == 1);
  CHECK(forgotten.empty());
  CHECK_FALSE(it.next_deadline());
}

TEST_CASE_METHOD(standing, "who begins anew among the members waits for each of them again",
                 "[node][standings]") {
  comes(1);
  see(1, member_status::alive);
  it.begin_anew(now);
  CHECK(it.flaws() == std::vector<std::string>{});
  pass(30s - 1ns);
  CHECK(is_active());
  CHECK(lost.empty());
  SECTION("and those that it does not hear of are gone, and forgotten in the end") {
    pass(1ns);
    CHECK_FALSE(is_active());
    CHECK(lost == decltype(lost){{node, 1}});
    it.begin_anew(now); // they are kept no longer
    pass(24h - 30s - 1ns);
    CHECK(known().records == 1);
    now += 1ns;
    CHECK(it.tick(now).forgotten == std::vector{node});
    CHECK(known().records == 0);
    CHECK_FALSE(it.next_deadline());
    CHECK(lost.size() == 1);
  }
  SECTION("but not of those that have come") {
    see(1, member_status::alive);
    pass(48h);
    CHECK(is_active());
    CHECK(lost.empty());
  }
}

TEST_CASE_METHOD(standing, "of those that are gone, or about to go, nobody is waited for anew",
                 "[node][standings]") {
  comes(1);
  SECTION("gone") {
    see(1, member_status::dead);
    it.begin_anew(now);
    CHECK_FALSE(is_active());
    pass(24h);
    CHECK(lost.empty());
    CHECK(known().records == 0); // forgotten, like others that are gone
  }
  SECTION("about to go") {
    see(1, member_status::left);
    it.begin_anew(now);
    pass(5s);
    CHECK_FALSE(is_active());
  }
}

TEST_CASE_METHOD(standing, "of who is forgotten nothing is left", "[node][standings]") {
  comes(1);
  see(1, member_status::alive);
  see(1, member_status::left);
  it.forget(now, node);
  CHECK(it.flaws() == std::vector<std::string>{});
  CHECK(known().records == 0);
  CHECK_FALSE(it.next_deadline());
  it.forget(now, node); // nothing happens
  comes(1);
  CHECK(is_active()); // as the table has it of itself
}

} // namespace member_standings_test
