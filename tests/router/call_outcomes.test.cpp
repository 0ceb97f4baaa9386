#include "troupe/router/detail/call_outcomes.hpp"
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <tuple>
#include <vector>

namespace troupe::router::detail {
namespace {

using namespace std::literals;

const auto n1 = test::node_named("n1");
const auto n2 = test::node_named("n2");

struct told_ends {
  std::vector<std::tuple<node_id, agent_id, call_end>> heard;
  call_outcomes all{[this](const node_id& node, const agent_id& agent, call_end how) {
    heard.emplace_back(node, agent, how);
  }};
  time_point now{1h};

  /// How many of `count` failures of that agent are told.
  std::size_t fail(int count, const agent_id& agent = "a", const node_id& node = n1) {
    auto before = heard.size();
    for (auto each = 0; each < count; ++each)
      all.failed(now, node, agent, call_end::timed_out);
    return heard.size() - before;
  }
};

TEST_CASE_METHOD(told_ends, "failures are told, and the first answer after them", "[router]") {
  all.answered(n1, "a");
  CHECK(heard.empty()); // as nobody doubts it
  all.failed(now, n1, "a", call_end::unreachable);
  all.failed(now, n1, "a", call_end::timed_out);
  all.answered(n1, "b");
  all.answered(n2, "a");
  CHECK(all.doubted() == 1);
  all.answered(n1, "a");
  all.answered(n1, "a");
  CHECK(heard
        == decltype(heard){{n1, "a", call_end::unreachable},
                           {n1, "a", call_end::timed_out},
                           {n1, "a", call_end::answered}});
  CHECK(all.doubted() == 0);
}

TEST_CASE_METHOD(told_ends, "of failures in a row three are told at once, then one each second",
                 "[router]") {
  CHECK(fail(10) == 3);
  now += 1s - 1ns;
  CHECK(fail(10) == 0);
  now += 1ns;
  CHECK(fail(10) == 1);
  now += 1s;
  CHECK(fail(10) == 1);
  CHECK(fail(10, "b") == 3);
  all.answered(n1, "a");
  CHECK(fail(10) == 3);
}

TEST_CASE_METHOD(told_ends, "of all agents no more than a hundred failures are told in a second",
                 "[router]") {
  auto count = std::size_t{0};
  for (auto agent = 0; agent < 200; ++agent)
    count += fail(1, std::to_string(agent));
  CHECK(count == call_outcomes::most_told);
  CHECK(all.doubted() == call_outcomes::most_told); // of others nothing was told
  now += 1s - 1ns;
  CHECK(fail(1, "late") == 0);
  now += 1ns;
  CHECK(fail(1, "late") == 1);
}

TEST_CASE_METHOD(told_ends, "of a thousand doubted agents those go that nobody calls any more",
                 "[router]") {
  for (auto agent = 0U; agent < call_outcomes::max_doubted; ++agent) {
    if (agent % call_outcomes::most_told == 0)
      now += 1s;
    REQUIRE(fail(1, std::to_string(agent)) == 1);
  }
  now += 1s;
  CHECK(fail(1, "one more") == 0);
  CHECK(all.doubted() == call_outcomes::max_doubted);
  now += call_outcomes::forget_after - 1s;
  fail(1, "999"); // is called still
  CHECK(fail(1, "one more") == 1);
  CHECK(all.doubted() < call_outcomes::max_doubted);
  now += 2s;
  heard.clear();
  all.answered(n1, "999");
  CHECK(heard.size() == 1);
}

TEST_CASE_METHOD(told_ends, "an agent is called still also where no more failures are told",
                 "[router]") {
  fail(1);
  now += call_outcomes::forget_after - 1s;
  for (auto agent = 1U; agent < call_outcomes::max_doubted; ++agent) {
    REQUIRE(fail(1, std::to_string(agent)) == 1);
    if (agent % call_outcomes::most_told != 0)
      continue;
    if (agent == call_outcomes::most_told)
      CHECK(fail(1) == 0);
    now += 1s;
  }
  now += 1s;
  CHECK(fail(1, "one more") == 0);
  heard.clear();
  all.answered(n1, "a");
  CHECK(heard.size() == 1);
}

TEST_CASE("who has nobody to tell tells nobody", "[router]") {
  call_outcomes all{{}};
  all.failed(time_point{1s}, n1, "a", call_end::timed_out);
  all.answered(n1, "a");
  CHECK(all.doubted() == 0);
}

} // namespace
} // namespace troupe::router::detail
