#include "troupe/net/link_table.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <optional>
#include <utility>
#include <variant>

#include "net/link_world.hpp"

namespace link_table_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

namespace {

/// A node with a link to another one, which is connection 1.
struct linked_table {
  linked_table() {
    step(accepted{1});
    step(heard{1, test::member(9)});
    step(heard{1, commit{}});
    step(up{1});
    out.clear();
  }

  void step(const event& what) {
    table.step(now, what, out);
  }

  void pass(duration span) {
    now += span;
    table.tick(now, out);
  }

  link_table table{test::member(5)};
  time_point now{1h};
  link_table::effects out;
};

constexpr duration silence = table_options{}.link_timeout;

} // namespace

TEST_CASE_METHOD(linked_table,
                 "a link that is being closed is closed once, whatever is heard of it", "[net]") {
  pass(silence);
  REQUIRE(out.size() == 1);
  CHECK(std::holds_alternative<close_link>(out.front()));
  out.clear();
  step(alive{1, now});
  step(expect{1, 1s});
  step(up{1});
  CHECK_FALSE(table.next_deadline());
  pass(2 * silence);
  CHECK(out.empty());
  CHECK(table.link_count() == 1); // until it has ended
}

TEST_CASE_METHOD(linked_table, "a link that was alive is not closed if that is told late",
                 "[net]") {
  auto heard_at = now + silence / 2;
  now += silence;
  step(alive{1, heard_at}); // before time passes
  CHECK(out.empty());
  CHECK(table.next_deadline() == heard_at + silence);
  pass(silence / 2);
  REQUIRE(out.size() == 1);
  CHECK(std::holds_alternative<close_link>(out.front()));
}

} // namespace link_table_test
