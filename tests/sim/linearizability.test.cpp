#include "troupe/sim/laws/linearizability.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <sstream>
#include <string>

#include "support/seeds.hpp"
#include "troupe/sim/laws/history.hpp"

namespace linearizability_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::sim;

namespace {

operation done(std::string verb, std::optional<std::string> argument,
               std::optional<std::string> result, std::int64_t call, std::int64_t end,
               outcome how = outcome::ok) {
  return {"c", "k", {std::move(verb), std::move(argument), {}, std::move(result), how, call}, end};
}

operation lost(std::string verb, std::optional<std::string> argument, std::int64_t call) {
  return {"c", "k", {std::move(verb), std::move(argument), {}, {}, outcome::unknown, call}, {}};
}

template <class Model>
verdict of(const Model& model, const std::vector<operation>& lines) {
  history all;
  for (auto& each : lines)
    all.add(each);
  return judge(model, all).outcome;
}

} // namespace

TEST_CASE("an empty history is linearizable") {
  CHECK(of(register_model{}, {}) == verdict::linearizable);
}

TEST_CASE("a read sees the last write that ended before it") {
  CHECK(of(register_model{}, {done("write", "1", {}, 0, 10), done("read", {}, "1", 20, 30)})
        == verdict::linearizable);
  CHECK(of(register_model{}, {done("write", "1", {}, 0, 10), done("read", {}, {}, 20, 30)})
        == verdict::violated);
}

TEST_CASE("a read beside a write sees either") {
  for (auto seen : {std::optional<std::string>{"1"}, std::optional<std::string>{}})
    CHECK(of(register_model{}, {done("write", "1", {}, 0, 100), done("read", {}, seen, 20, 30)})
          == verdict::linearizable);
}

TEST_CASE("what one read has seen the next one sees, too") {
  CHECK(of(register_model{}, {done("write", "1", {}, 0, 100), done("read", {}, "1", 10, 20),
                              done("read", {}, {}, 30, 40)})
        == verdict::violated);
}

TEST_CASE("a write of unknown outcome may take effect at any time since, or never") {
  CHECK(of(register_model{},
           {lost("write", "1", 0), done("read", {}, {}, 10, 20), done("read", {}, "1", 30, 40)})
        == verdict::linearizable);
  CHECK(of(register_model{}, {lost("write", "1", 0), done("read", {}, {}, 10, 20)})
        == verdict::linearizable);
  CHECK(of(register_model{},
           {lost("write", "1", 0), done("read", {}, "1", 10, 20), done("read", {}, {}, 30, 40)})
        == verdict::violated);
}

TEST_CASE("a write that overlooks what came and went since its writer read is noticed") {
  auto put_seen = [](const std::string& seen, const std::string& number) {
    return operation{"c", "k", {"put_seen", seen, "b", number, outcome::ok, 60}, 70};
  };
  auto judged = [](const operation& last) {
    return of(numbered_register_model{},
              {done("get", {}, "10", 0, 10), done("put", "a", "11", 20, 30),
               done("delete", {}, "12", 40, 50), last, done("get", {}, "15 b", 80, 90)});
  };
  CHECK(judged(put_seen("12", "13")) == verdict::linearizable);
  CHECK(judged(put_seen("14", "15")) == verdict::linearizable); // other keys changed, too
  CHECK(judged(put_seen("10", "13")) == verdict::violated);     // read before the put
  CHECK(judged(put_seen("11", "13")) == verdict::violated);     // read before the removal
  CHECK(judged(put_seen("12", "12")) == verdict::violated);     // a number that came before
  CHECK(judged(put_seen("12", "16")) == verdict::violated);     // was read too early
}

TEST_CASE("of a write on what was read that is refused nothing is judged") {
  operation refused{"c", "k", {"put_seen", "1", "b", {}, outcome::fail, 20}, 30};
  CHECK(of(numbered_register_model{},
           {done("put", "a", "5", 0, 10), refused, done("get", {}, "7 a", 40, 50)})
        == verdict::linearizable);
  CHECK(of(numbered_register_model{},
           {done("put", "a", "5", 0, 10), refused, done("get", {}, "7 b", 40, 50)})
        == verdict::violated);
}

TEST_CASE("compare and set takes effect only on the value it expects") {
  operation swap{"c", "k", {"cas", "1", "2", {}, outcome::ok, 20}, 30};
  CHECK(of(register_model{}, {done("write", "1", {}, 0, 10), swap, done("read", {}, "2", 40, 50)})
        == verdict::linearizable);
  CHECK(of(register_model{}, {done("write", "3", {}, 0, 10), swap}) == verdict::violated);
  swap.what.how = outcome::fail;
  CHECK(of(register_model{}, {done("write", "1", {}, 0, 10), swap}) == verdict::violated);
}

TEST_CASE("a lock has one holder, and its tokens rise") {
  CHECK(of(lock_model{}, {done("acquire", {}, "5", 0, 10), done("release", "5", {}, 20, 30),
                          done("acquire", {}, "6", 25, 60)})
        == verdict::linearizable);
  CHECK(of(lock_model{}, {done("acquire", {}, "5", 0, 10), done("acquire", {}, "6", 20, 30)})
        == verdict::violated);
  CHECK(of(lock_model{}, {done("acquire", {}, "5", 0, 10), done("release", "5", {}, 20, 30),
                          done("acquire", {}, "4", 40, 60)})
        == verdict::violated);
  CHECK(
    of(lock_model{}, {lost("acquire", {}, 0), done("try_acquire", {}, {}, 10, 20, outcome::fail)})
    == verdict::linearizable);
  CHECK(of(lock_model{}, {done("try_acquire", {}, {}, 10, 20, outcome::fail)})
        == verdict::violated);
}

TEST_CASE("a shared lock has several holders, and nobody else meanwhile") {
  auto five = done("acquire_shared", {}, "5", 0, 10);
  auto six = done("acquire_shared", {}, "6", 20, 30);
  CHECK(
    of(lock_model{}, {five, six, done("release", "5", {}, 40, 50), done("renew", "6", {}, 60, 70),
                      done("release", "6", {}, 80, 90), done("acquire", {}, "7", 100, 110)})
    == verdict::linearizable);
  CHECK(of(lock_model{},
           {five, six, done("release", "5", {}, 40, 50), done("acquire", {}, "7", 60, 70)})
        == verdict::violated);
  CHECK(of(lock_model{}, {done("acquire", {}, "5", 0, 10), six}) == verdict::violated);
  CHECK(of(lock_model{}, {five, done("acquire_shared", {}, {}, 20, 30, outcome::fail)})
        == verdict::linearizable); // behind somebody who wants it alone
  CHECK(of(lock_model{}, {five, done("release", "5", {}, 20, 30),
                          done("acquire_shared", {}, {}, 40, 50, outcome::fail)})
        == verdict::violated);
  CHECK(of(lock_model{}, {lost("acquire_shared", {}, 0), six, done("release", "6", {}, 40, 50),
                          done("try_acquire", {}, {}, 60, 70, outcome::fail)})
        == verdict::linearizable); // that of which nobody heard may share it
}

TEST_CASE("a queue gives each value once, in order") {
  CHECK(of(queue_model{}, {done("push", "a", {}, 0, 10), done("push", "b", {}, 20, 30),
                           done("pop", {}, "a", 40, 50), done("pop", {}, "b", 60, 70),
                           done("pop", {}, {}, 80, 90)})
        == verdict::linearizable);
  CHECK(of(queue_model{}, {done("push", "a", {}, 0, 10), done("pop", {}, "a", 20, 30),
                           done("pop", {}, "a", 40, 50)})
        == verdict::violated);
}

TEST_CASE("a counter counts each addition once") {
  CHECK(of(counter_model{}, {done("add", "2", "2", 0, 10), done("add", "3", "5", 5, 20),
                             done("get", {}, "5", 30, 40)})
        == verdict::linearizable);
  CHECK(of(counter_model{}, {done("add", "2", "2", 0, 10), done("get", {}, "4", 30, 40)})
        == verdict::violated);
}

TEST_CASE("a history that costs too much is undecided") {
  history all;
  for (int each = 0; each < 30; ++each)
    all.add(done("write", std::to_string(each), {}, 0, 100));
  all.add(done("read", {}, "none of them", 0, 100));
  CHECK(judge(register_model{}, all, 1'000).outcome == verdict::undecided);
}

TEST_CASE("what was never carried out costs little") {
  history all;
  for (auto each = 0; each < 25; ++each)
    all.add(lost("add", std::to_string(1 << each), 0));
  for (auto each = 0; each < 100; ++each)
    all.add(done("get", {},
                 each < 50   ? "0"
                 : each < 80 ? "4"
                             : "4100",
                 10 * each + 1, 10 * each + 5));
  CHECK(judge(counter_model{}, all, 10'000).outcome == verdict::linearizable);
}

TEST_CASE("many operations without an end may have been carried out one after the other") {
  for (auto count : {2, 5, 9}) {
    INFO(count);
    std::vector<operation> lines{done("get", {}, "0", 10, 20)};
    for (auto each = 0; each < count; ++each)
      lines.push_back(lost("add", "1", 0));
    lines.push_back(done("get", {}, std::to_string(count), 30, 40));
    CHECK(of(counter_model{}, lines) == verdict::linearizable);
    lines.push_back(done("get", {}, std::to_string(count + 1), 50, 60));
    CHECK(of(counter_model{}, lines) == verdict::violated);
  }
}

TEST_CASE("histories of a true register pass, and fail when a read is forged", "[property]") {
  test::for_each_seed(200, [](random_source random) {
    std::optional<std::string> value;
    history good;
    history bad;
    std::int64_t now = 0;
    for (int each = 0; each < 60; ++each) {
      // It takes effect at `at`, somewhere inside of its interval.
      now += 10;
      auto call = now - static_cast<std::int64_t>(random.below(40));
      auto end = now + static_cast<std::int64_t>(random.below(40));
      auto line = done("read", {}, value, call, end);
      if (random.one_in(2)) {
        value = std::to_string(each);
        line = done("write", value, {}, call, end);
      }
      good.add(line);
      if (each == 59)
        line = done("read", {}, "forged", call, end);
      bad.add(line);
    }
    REQUIRE(judge(register_model{}, good).outcome == verdict::linearizable);
    REQUIRE(judge(register_model{}, bad).outcome == verdict::violated);
  });
}

TEST_CASE("a long queue with pushes at one time is judged quickly", "[property]") {
  test::for_each_seed(20, [](random_source random) {
    std::vector<std::string> in_order;
    history good;
    for (int round = 0; round < 100; ++round) {
      std::vector<std::string> at_once;
      for (int each = 0; each < 4; ++each)
        at_once.push_back(std::to_string(4 * round + each));
      for (auto& value : at_once)
        good.add(done("push", value, {}, round * 10, round * 10 + 5));
      for (; !at_once.empty(); at_once.pop_back()) {
        std::swap(at_once[random.below(at_once.size())], at_once.back());
        in_order.push_back(at_once.back());
      }
    }
    auto bad = good;
    auto pop_all = [](history& into, const std::vector<std::string>& values) {
      std::int64_t now = 10'000;
      for (auto& value : values) {
        into.add(done("pop", {}, value, now, now + 5));
        now += 10;
      }
    };
    pop_all(good, in_order);
    std::swap(in_order[40], in_order[80]);
    pop_all(bad, in_order);
    constexpr std::size_t few = 10'000;
    REQUIRE(judge(queue_model{}, good, few).outcome == verdict::linearizable);
    REQUIRE(judge(queue_model{}, bad, few).outcome == verdict::violated);
  });
}

TEST_CASE("a history reads back as it was written") {
  history all;
  all.add(done("write", "1", {}, 0, 10));
  all.add(done("acquire", {}, "77", 0, 10));
  all.add(lost("push", "x y", 5));
  std::stringstream text;
  write_history(text, all);
  CHECK(text.str().starts_with(
    R"({"client":"c","op":"write","key":"k","args":{"value":1},"result":{"value":null},"outcome":"ok","call_ns":0,"return_ns":10})"));
  auto back = read_history(text);
  REQUIRE(back);
  REQUIRE(back->operations().size() == 3);
  CHECK(back->operations()[1].what.result == "77");
  CHECK(back->operations()[2].what.argument == "x y");
  CHECK_FALSE(back->operations()[2].end);
}

TEST_CASE("a line that is no operation is named") {
  std::istringstream text{"{\"op\":\"read\",\"call_ns\":1,\"outcome\":\"unknown\"}\nnot json\n"};
  auto found = read_history(text);
  REQUIRE_FALSE(found);
  CHECK(found.error().detail.find("line 2") != std::string::npos);
}

TEST_CASE("a line whose client, key or outcome is no text is named") {
  auto* member = GENERATE("client", "key", "outcome");
  auto line = R"({"op":"read","call_ns":1,")"s + member + "\":7}";
  std::istringstream text{line};
  auto found = read_history(text);
  REQUIRE_FALSE(found);
  CHECK(found.error().code == errc::bad_argument);
}

TEST_CASE("a text where a number should be is a violation") {
  history all;
  all.add(done("add", "x", {}, 0, 10));
  CHECK(judge(counter_model{}, all).outcome == verdict::violated);
  history locks;
  locks.add(done("acquire", {}, "many", 0, 10));
  CHECK(judge(lock_model{}, locks).outcome == verdict::violated);
}

} // namespace linearizability_test
