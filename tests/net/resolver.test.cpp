#include "troupe/net/resolver.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace resolver_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::net;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Name servers of which those of hosts called "slow..." do not answer until they are told to.
struct name_servers {
  std::atomic<int> asked = 0;
  std::promise<void> answers;
  std::shared_future<void> slow_ones{answers.get_future()};

  static resolver ask(const std::shared_ptr<name_servers>& all) {
    return resolver{[all](const address& where) -> resolver::endpoints {
      ++all->asked;
      if (where.host.starts_with("slow"))
        all->slow_ones.wait();
      return *resolve_number({"127.0.0.1", where.port});
    }};
  }
};

using answer = std::future<resolver::endpoints>;

answer find(resolver& from, const address& where) {
  auto found = std::make_shared<std::promise<resolver::endpoints>>();
  auto later = found->get_future();
  from.find(where, [found](const resolver::endpoints& what) { found->set_value(what); });
  return later;
}

bool is_there(const answer& what) {
  return what.wait_for(0s) == std::future_status::ready;
}

constexpr auto patience = 20s;

} // namespace

TEST_CASE("a number and another name do not wait for a name that nobody answers", "[net]") {
  auto servers = std::make_shared<name_servers>();
  auto names = name_servers::ask(servers);
  auto slow = find(names, {"slow.test", 1});
  auto number = find(names, {"127.0.0.1", 2});
  REQUIRE(is_there(number));
  CHECK(number.get()->front().port() == 2);
  auto other = find(names, {"quick.test", 3});
  REQUIRE(other.wait_for(patience) == std::future_status::ready);
  CHECK(other.get()->front().port() == 3);
  CHECK_FALSE(is_there(slow));
  servers->answers.set_value();
  CHECK(slow.get()->front().port() == 1);
}

TEST_CASE("a name is looked up once for all who ask meanwhile", "[net]") {
  auto servers = std::make_shared<name_servers>();
  auto names = name_servers::ask(servers);
  std::vector<answer> all;
  for (auto each = 0; each < 3; ++each)
    all.push_back(find(names, {"slow.test", 1}));
  servers->answers.set_value();
  for (auto& each : all)
    CHECK(each.get()->size() == 1);
  CHECK(servers->asked == 1);
  CHECK(find(names, {"slow.test", 1}).get());
  CHECK(servers->asked == 2);
}

TEST_CASE(
  "of names that nobody answers a bounded number is looked up at a time, and all in the end",
  "[net]") {
  auto servers = std::make_shared<name_servers>();
  auto names = name_servers::ask(servers);
  std::vector<answer> all;
  for (std::size_t each = 0; each < resolver::max_names; ++each)
    all.push_back(find(names, {"slow" + std::to_string(each), 1}));
  auto refused = find(names, {"any.test", 1});
  REQUIRE(is_there(refused));
  auto why = refused.get();
  CHECK(why.error().code == errc::limit_reached);
  CHECK_THAT(why.error().detail, ContainsSubstring("host 'any.test' is not looked up"));
  CHECK(servers->asked <= static_cast<int>(resolver::max_threads));
  servers->answers.set_value();
  for (auto& each : all)
    CHECK(each.get());
  CHECK(find(names, {"any.test", 1}).get());
}

TEST_CASE("the end of a resolver waits for nobody, and who waits is answered all the same",
          "[net]") {
  auto servers = std::make_shared<name_servers>();
  answer late;
  {
    auto names = name_servers::ask(servers);
    late = find(names, {"slow.test", 1});
  }
  CHECK_FALSE(is_there(late));
  servers->answers.set_value();
  CHECK(late.get());
}

} // namespace resolver_test
