#include "node/node_fixture.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/temporary_folder.hpp"
#include "troupe/node/singleton.hpp"

using namespace std::literals;
using namespace troupe;
using troupe::test::answer_of;

namespace {

constexpr auto nobody = std::size_t{99};

/// Three nodes that offer the singleton "report", which answers with the number of its node, and
/// throws where that is wanted.
struct offering_cluster {
  /// With data folders nodes that stop keep their votes and their names.
  explicit offering_cluster(bool have_data = false)
    : nodes(3, [&](std::size_t index, node_options& how) {
        how.lost_after = 200ms;
        if (have_data)
          how.data = folder / std::to_string(index);
      }) {
    for (std::size_t index = 0; index < nodes.size(); ++index)
      offers.emplace_back(offer(index));
  }

  cluster::singleton offer(std::size_t index) {
    singleton_options how{.ttl = 2s, .margin = 200ms};
    auto count = [index, calls = 0](const std::string& what) mutable {
      if (what == "throw")
        throw std::runtime_error{"as asked"};
      return std::to_string(index) + '.' + std::to_string(++calls);
    };
    auto made = nodes[index].singleton("report", how, count);
    REQUIRE(made);
    return std::move(*made);
  }

  /// The only node that runs it; nobody: none does.
  [[nodiscard]] std::size_t runner() const {
    auto found = nobody;
    for (std::size_t index = 0; index < offers.size(); ++index)
      if (offers[index] && offers[index]->runs_here()) {
        CHECK(found == nobody);
        found = index;
      }
    return found;
  }

  std::size_t await_runner(std::size_t other_than = nobody) {
    REQUIRE(nodes.until([&] {
      auto now = runner();
      return now != nobody && now != other_than;
    }));
    return runner();
  }

  test::temporary_folder folder;
  testing::cluster nodes;
  std::vector<std::optional<cluster::singleton>> offers;
};

} // namespace

TEST_CASE_METHOD(offering_cluster, "a singleton runs on one of the nodes that offer it, for all",
                 "[node][singleton]") {
  auto first = await_runner();
  CHECK(offers[first]->token());
  for (std::size_t index = 0; index < nodes.size(); ++index)
    CHECK(nodes.until(
      [&] { return answer_of(nodes[index], "report").starts_with(std::to_string(first) + '.'); }));
  SECTION("its state is that of its functions while it runs") {
    auto last = nodes[0].request<std::string>(to_agent("report"), 5s, "count"s);
    REQUIRE(last);
    CHECK(last->size() >= 3);
    CHECK(*last != std::to_string(first) + ".1");
  }
  SECTION("who offers it no more ends it first, and another one runs it, from the beginning") {
    auto token = *offers[first]->token();
    CHECK(offers[first]->end());
    CHECK_FALSE(offers[first]->runs_here());
    auto next = await_runner();
    CHECK(next != first);
    CHECK(*offers[next]->token() > token);
    CHECK(nodes.until(
      [&] { return answer_of(nodes[first], "report").starts_with(std::to_string(next)); }));
    CHECK(offers[first]->end()); // it has ended
  }
  SECTION("an offer that goes is withdrawn") {
    offers[first].reset();
    CHECK(await_runner() != first);
  }
  SECTION("one that throws has ended, and runs again") {
    auto token = *offers[first]->token();
    CHECK_FALSE(nodes[0].request<std::string>(to_agent("report"), 5s, "throw"s));
    REQUIRE(nodes.until([&] {
      auto now = runner();
      return now != nobody && *offers[now]->token() > token;
    }));
    CHECK(nodes.until([&] { return answer_of(nodes[0], "report") != "not_found"; }));
  }
}

TEST_CASE("a singleton runs elsewhere once its node has stopped", "[node][singleton]") {
  offering_cluster it{GENERATE(false, true)};
  it.offers[0].reset(); // it may have the services
  auto first = it.await_runner(0);
  it.nodes.stop(first);
  CHECK_FALSE(it.offers[first]->runs_here());
  auto next = it.await_runner(first);
  CHECK(it.nodes.until(
    [&] { return answer_of(it.nodes[0], "report").starts_with(std::to_string(next) + '.'); }));
  CHECK(it.offers[first]->end());
}

TEST_CASE("an agent that must run here no more handles no message, and ends", "[node][singleton]") {
  testing::cluster c{1};
  auto may = std::make_shared<std::atomic<bool>>(true);
  auto handled = std::make_shared<std::atomic<int>>(0);
  REQUIRE(c[0].agent("report", [may, handled](agent_context& self, const std::string& what) {
    self.run_while([may] { return may->load(); });
    ++*handled;
    return what;
  }));
  CHECK(answer_of(c[0], "report") == "hello");
  CHECK(answer_of(c[0], "report") == "hello");
  *may = false; // as where this process was stopped for longer than the lease
  CHECK(answer_of(c[0], "report") == "unreachable");
  CHECK(*handled == 2);
  CHECK(c.until([&] { return answer_of(c[0], "report") == "not_found"; }));
}

TEST_CASE("a singleton that cannot be offered says why", "[node][singleton]") {
  testing::cluster c{1};
  auto nothing = [](const std::string&) {};
  for (auto& id : {""s, std::string(246, 'x')}) // the name of its lock is longer
    CHECK(c[0].singleton(id, nothing).error().code == errc::bad_argument);
  auto too_long = c[0].singleton("report", {.ttl = 10min + 1ms}, nothing);
  REQUIRE_FALSE(too_long);
  CHECK(too_long.error().code == errc::bad_argument);
  CHECK(too_long.error().detail.find("max_span") != std::string::npos);
  for (auto& how : {singleton_options{.ttl = 999ms}, singleton_options{.margin = -1ns}}) {
    auto refused = c[0].singleton("report", how, nothing);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::bad_argument);
    CHECK(refused.error().detail.find("margin") != std::string::npos);
  }
  c[0].stop();
  CHECK(c[0].singleton("report", nothing).error().code == errc::cancelled);
}
