#include "troupe/net/link_table.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
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

TEST_CASE("a link whose handshake is not over is not alive, whatever comes over it", "[net]") {
  link_table table{test::member(5)};
  link_table::effects out;
  time_point now{1h};
  for (const event& each :
       {event{accepted{1}}, event{heard{1, test::member(9)}}, event{heard{1, commit{}}}})
    table.step(now, each, out);
  auto end = now + table_options{}.handshake_timeout;
  REQUIRE(table.next_deadline() == end);
  now += 1s;
  table.step(now, alive{1, now}, out);
  CHECK(table.next_deadline() == end);
  table.step(now, up{1}, out);
  CHECK(table.next_deadline() == now + silence);
}

TEST_CASE("members and clients have a bound each", "[net]") {
  link_table table{test::member(5), {.max_members = 1, .max_clients = 2}};
  link_table::effects out;
  time_point now{1h};
  auto verdict_on = [&](std::uint8_t number, role as) {
    auto who = test::member(number);
    who.as = as;
    out.clear();
    table.step(now, accepted{number}, out);
    table.step(now, heard{number, who}, out);
    auto said = std::get<answer>(std::get<say>(out.at(0)).what).said;
    table.step(now, heard{number, commit{}}, out);
    return said;
  };
  CHECK(verdict_on(6, role::client) == verdict::go);
  CHECK(verdict_on(7, role::client) == verdict::go);
  CHECK(verdict_on(8, role::client) == verdict::full);
  CHECK(verdict_on(9, role::member) == verdict::go);
  CHECK(verdict_on(10, role::member) == verdict::full);
}

} // namespace link_table_test
