#include "troupe/router/agent_inbox.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/message_options.hpp"

namespace agent_inbox_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

using inbox = agent_inbox<int>;
constexpr int held = inbox::max_held;
constexpr message_turn critical{message_priority::critical};

/// An inbox with its host, which hands over at once, and an agent that takes nothing out unless
/// told to.
struct hosted {
  explicit hosted(const inbox_options& how, std::size_t room = 1'000'000)
    : all(room), box(how, all) {}

  /// Returns whether it was not refused.
  bool come(int what, std::size_t bytes = 0, const std::optional<time_point>& expires_at = {},
            bool is_taken = false, const message_turn& of = {}) {
    if (auto how = box.pass(bytes, is_taken); how.is_open) {
      take_in(what, how.wants_sign);
      return true;
    }
    inbox::effects out;
    auto result = box.arrive(now, what, bytes, expires_at, is_taken, out, of);
    carry_out(std::move(out));
    return result;
  }

  /// Fills the mailbox.
  void fill(int from = 0) {
    for (auto each = 0; each < held; ++each)
      REQUIRE(come(from + each));
  }

  void take_in(int what, bool wants_sign) {
    got.push_back(what);
    if (!wants_sign)
      return;
    ++signs;
    signed_at.push_back(got.size());
  }

  /// The agent takes out what it was handed, up to the next of which it says so, and needs so long
  /// for each.
  void work(duration each) {
    auto until = signed_at.at(signed_at.size() - signs);
    now += each * static_cast<duration::rep>(until - worked);
    worked = until;
    sign();
  }

  /// What the mailbox holds once the agent has worked for long at that speed.
  std::size_t held_at(duration each) {
    for (auto round = 0; round < 300; ++round) {
      while (box.waiting() < 200)
        REQUIRE(come(0));
      work(each);
    }
    return box.held();
  }

  /// The agent takes out what it was handed, up to the next of which it says so.
  void sign() {
    REQUIRE(signs > 0);
    --signs;
    inbox::effects out;
    box.signed_for(now, out);
    carry_out(std::move(out));
  }

  void carry_out(inbox::effects out) {
    while (!out.empty()) {
      auto hands = false;
      for (auto& each : out)
        troupe::visit(overloaded{[&](const inbox::hand& next) {
                                   take_in(next.what, next.wants_sign);
                                   hands = true;
                                 },
                                 [&](const inbox::refuse& next) { refused.push_back(next.what); },
                                 [&](const inbox::expire& next) { expired.push_back(next.what); },
                                 [&](const inbox::has_room&) { ++drained; }},
                      each);
      out.clear();
      if (hands)
        box.handed(now, out);
    }
  }

  inbox_room all;
  inbox box;
  time_point now{};
  std::vector<int> got;
  std::vector<int> refused;
  std::vector<int> expired;
  std::size_t signs = 0;
  /// Of what it got, behind which it says so.
  std::vector<std::size_t> signed_at;
  std::size_t worked = 0;
  int drained = 0;
};

std::vector<int> numbers(int from, int to) {
  std::vector<int> result;
  for (auto each = from; each < to; ++each)
    result.push_back(each);
  return result;
}

} // namespace

TEST_CASE("an agent holds few messages, and gets the next in order as it takes them out",
          "[router]") {
  hosted it{{}};
  for (auto each = 0; each < 2 * held; ++each)
    CHECK(it.come(each));
  CHECK(it.got == numbers(0, held));
  CHECK(it.box.waiting() == held);
  it.sign();
  CHECK(it.got == numbers(0, held + held / 4));
  while (it.signs > 0)
    it.sign();
  CHECK(it.got == numbers(0, 2 * held));
  CHECK(it.box.waiting() == 0);
  CHECK(it.all.messages() == 0);
}

TEST_CASE("a mailbox holds what its agent takes out in 200 us, as long as that is behind",
          "[router]") {
  hosted it{{}};
  CHECK(it.held_at(1us) == held);
  CHECK(it.held_at(20us) == 10);
  CHECK(it.held_at(60us) == 3);
  CHECK(it.held_at(100ms) == 1);
  CHECK(it.held_at(10us) == 20);
  CHECK(it.held_at(0us) == held);
}

TEST_CASE("with a slow agent a message of the highest priority waits for one other", "[router]") {
  hosted it{{}};
  CHECK(it.held_at(1ms) == 1);
  inbox::effects out;
  REQUIRE(it.box.arrive(it.now, 7, 0, {}, false, out, critical));
  it.carry_out(std::move(out));
  CHECK(it.got.back() == 0);
  it.work(1ms);
  CHECK(it.got.back() == 7);
}

TEST_CASE("an agent that becomes slow shows it also where nothing new comes", "[router]") {
  hosted it{{}};
  it.fill();
  for (auto each = 0; each < 300; ++each)
    REQUIRE(it.come(each));
  it.work(20us);
  for (auto each = 0; each < 40; ++each)
    it.work(1ms);
  CHECK(it.box.held() == 1);
}

TEST_CASE("how slow an agent is shows with the first messages behind which others wait",
          "[router]") {
  hosted it{{}};
  it.fill();
  REQUIRE(it.come(held));
  it.work(1ms);
  CHECK(it.got == numbers(0, held));
}

TEST_CASE("a message of the highest priority takes a place up to five times the bounds",
          "[router]") {
  hosted it{{.max_messages = 2, .max_bytes = 100}};
  it.fill();
  auto takes = [&it](std::size_t bytes, bool is_critical) {
    auto result = it.box.take(bytes, is_critical ? critical : message_turn{});
    if (result)
      it.come(0, bytes, {}, true);
    return result;
  };
  REQUIRE(takes(10, false));
  REQUIRE(takes(10, false));
  CHECK_FALSE(takes(10, false));
  for (auto number = 3; number <= 10; ++number)
    CHECK(takes(30, true));
  CHECK_FALSE(takes(1, true));
  CHECK(it.box.waiting() == 10);
  while (it.box.waiting() > 0)
    it.sign();
  REQUIRE(it.box.take(490, critical)); // on its way
  CHECK_FALSE(it.box.take(11, critical));
  CHECK(it.box.take(10, critical));
}

TEST_CASE("what comes beyond all bounds leaves room for messages of the highest priority",
          "[router]") {
  hosted it{{.max_messages = 2, .max_bytes = 100}};
  it.fill();
  auto arrives = [&it](message_priority priority) {
    inbox::effects out;
    return it.box.arrive(it.now, 1, 1, {}, false, out, {priority});
  };
  for (auto number = 1; number <= 8; ++number)
    CHECK(arrives(message_priority::normal));
  CHECK_FALSE(arrives(message_priority::high));
  CHECK(arrives(message_priority::critical));
  CHECK(arrives(message_priority::critical));
  CHECK_FALSE(arrives(message_priority::critical));
}

TEST_CASE("an agent that had nothing to do for long is not taken for a slow one", "[router]") {
  hosted it{{}};
  for (auto round = 0; round < 100; ++round) {
    for (auto each = 0; each < held / 4; ++each)
      REQUIRE(it.come(each));
    it.work(1s);
  }
  it.fill();
  CHECK(it.box.waiting() == 0);
}

TEST_CASE("where the oldest give way, the oldest of the lowest priority does", "[router]") {
  hosted it{{.max_messages = 2, .full = when_full::drop_oldest}};
  it.fill();
  auto send = [&](int what, message_priority priority) {
    inbox::effects out;
    REQUIRE(it.box.arrive(it.now, what, 0, {}, false, out, {priority}));
    it.carry_out(std::move(out));
  };
  send(1'000, message_priority::high);
  send(1'001, message_priority::low);
  send(1'002, message_priority::critical);
  CHECK(it.refused == std::vector{1'001});
  it.sign();
  CHECK(std::vector(it.got.begin() + held, it.got.end()) == std::vector{1'002, 1'000});
}

TEST_CASE("an agent that keeps up gives a sign for each quarter of what it holds", "[router]") {
  hosted it{{}};
  for (auto each = 0; each < 10 * held; ++each) {
    CHECK(it.come(each));
    CHECK((it.signs > 0) == ((each + 1) % (held / 4) == 0));
    if (it.signs > 0)
      it.sign();
  }
  CHECK(it.box.held() == 0);
}

TEST_CASE("what an agent holds is bounded in bytes as well", "[router]") {
  hosted it{{}};
  constexpr auto most = inbox::max_held * inbox::bytes_per_unit;
  CHECK(it.come(1, most)); // of any size
  CHECK(it.come(2, 10));
  CHECK(it.got == numbers(1, 2));
  it.sign();
  CHECK(it.got == numbers(1, 3));
}

TEST_CASE("a message that comes while others are handed over stays behind them", "[router]") {
  inbox_room all{1'000};
  inbox box{{}, all};
  for (auto each = 0; each < held; ++each)
    REQUIRE(box.pass(0, false).is_open);
  REQUIRE_FALSE(box.pass(0, false).is_open);
  inbox::effects out;
  REQUIRE(box.arrive({}, 1, 0, {}, false, out));
  REQUIRE(out.empty());
  box.signed_for({}, out);
  REQUIRE(out.size() == 1); // and another thread has yet to put it into the mailbox
  CHECK(box.waiting() == 0);
  CHECK_FALSE(box.pass(0, false).is_open);
  inbox::effects later;
  REQUIRE(box.arrive({}, 2, 0, {}, false, later));
  CHECK(later.empty());
  box.handed({}, later);
  REQUIRE(later.size() == 1);
  CHECK(std::get<inbox::hand>(later.front()).what == 2);
  box.handed({}, later);
  CHECK(later.size() == 1);
  CHECK(box.pass(0, false).is_open);
}

TEST_CASE("a sender of this process is refused once too many messages wait, until half have gone",
          "[router]") {
  hosted it{{.max_messages = 64}};
  it.fill();
  for (auto each = 0; each < 64; ++each) {
    REQUIRE(it.box.take(0));
    REQUIRE(it.come(held + each, 0, {}, true));
  }
  CHECK_FALSE(it.box.take(0));
  it.sign(); // 32 have gone
  CHECK(it.box.waiting() == 32);
  CHECK(it.box.take(0));
  CHECK(it.come(1'000, 0, {}, true));
  CHECK(it.refused.empty());
}

TEST_CASE("what has a place counts before it has come", "[router]") {
  hosted it{{.max_messages = 10}};
  for (auto each = 0; each < 10; ++each)
    REQUIRE(it.box.take(0));
  CHECK_FALSE(it.box.take(0));
  CHECK(it.box.waiting() == 10);
  for (auto each = 0; each < 10; ++each)
    CHECK(it.come(each, 0, {}, true));
  CHECK(it.got == numbers(0, 10));
  CHECK(it.box.waiting() == 0);
  CHECK(it.all.messages() == 0);
}

TEST_CASE("what waits for an agent is bounded in bytes, and a message of any size has room alone",
          "[router]") {
  hosted it{{.max_bytes = 100}};
  it.fill();
  CHECK_FALSE(it.box.wants_size());
  REQUIRE(it.box.take(101));
  REQUIRE(it.come(1, 101, {}, true));
  CHECK_FALSE(it.box.take(1));
  CHECK(it.box.waiting() == 1); // no place is lost
  CHECK(it.box.is_full());
  it.sign();
  CHECK(it.box.take(1));
}

TEST_CASE("what is on its way over a link is taken beyond the bounds, up to some times as much",
          "[router]") {
  hosted it{{.max_messages = 10}};
  it.fill();
  constexpr auto most = static_cast<int>(10 * inbox::slack);
  for (auto each = 0; each < most; ++each) {
    CHECK(it.come(held + each));
    CHECK(it.box.is_full() == (each >= 9));
  }
  CHECK_FALSE(it.box.take(0));
  CHECK_FALSE(it.come(1'000));
  CHECK(it.refused == std::vector{1'000});
  while (it.signs > 0)
    it.sign();
  CHECK(it.got == numbers(0, held + most));
}

TEST_CASE("the slack is bounded in bytes as well", "[router]") {
  hosted it{{.max_bytes = 100}};
  it.fill();
  CHECK(it.come(1, 1'000)); // alone
  CHECK_FALSE(it.come(2, 1));
  it.sign();
  CHECK(it.come(3, 400));
  hosted other{{.max_bytes = 100}};
  other.fill();
  CHECK(other.come(1, 300));
  CHECK_FALSE(other.come(2, 101));
  CHECK(other.come(3, 100));
}

TEST_CASE("bounds may be as high as numbers are", "[router]") {
  auto most = GENERATE(std::size_t{1} << 62U, std::numeric_limits<std::size_t>::max());
  hosted agent{{.max_messages = most, .max_bytes = most}, most};
  agent.fill();
  for (auto each = 0; each < 10; ++each)
    CHECK(agent.come(each, 1'000));
  CHECK(agent.refused.empty());
  CHECK(agent.box.waiting() == 10);
}

TEST_CASE("where the oldest give way, the latest arrive", "[router]") {
  hosted it{{.max_messages = 3, .full = when_full::drop_oldest}};
  it.fill();
  for (auto each = 0; each < 10; ++each)
    CHECK(it.come(held + each));
  CHECK(it.refused == numbers(held, held + 7));
  CHECK(it.box.waiting() == 3);
  it.sign();
  CHECK(std::vector(it.got.end() - 3, it.got.end()) == numbers(held + 7, held + 10));
}

TEST_CASE("where the oldest give way, bytes count as well, but a message alone stays", "[router]") {
  hosted it{{.max_bytes = 100, .full = when_full::drop_oldest}};
  it.fill();
  CHECK(it.come(1, 60));
  CHECK(it.come(2, 40));
  CHECK(it.refused.empty());
  CHECK(it.come(3, 500));
  CHECK(it.refused == std::vector{1, 2});
  CHECK(it.box.waiting_bytes() == 500);
}

TEST_CASE("where the oldest give way, no more bytes may be on their way than may wait",
          "[router]") {
  hosted it{{.max_bytes = 100, .full = when_full::drop_oldest}};
  REQUIRE(it.box.take(500)); // of any size, as none is before it
  CHECK_FALSE(it.box.take(1));
  REQUIRE(it.come(1, 500, {}, true));
  REQUIRE(it.box.take(60));
  REQUIRE(it.box.take(40));
  CHECK_FALSE(it.box.take(1));
  REQUIRE(it.come(2, 60, {}, true));
  CHECK(it.box.take(60));
}

TEST_CASE("where the oldest give way, no more may be on their way than may wait", "[router]") {
  hosted it{{.max_messages = 3, .full = when_full::drop_oldest}};
  it.fill();
  for (auto each = 0; each < 3; ++each)
    CHECK(it.come(each));
  for (auto each = 0; each < 3; ++each)
    CHECK(it.box.take(0));
  CHECK_FALSE(it.box.take(0));
}

TEST_CASE("agents that are slow leave room for others", "[router]") {
  inbox_room all{100};
  inbox slow{{}, all};
  inbox other{{}, all};
  inbox::effects out;
  for (auto* each : {&slow, &other})
    for (auto count = 0; count < held; ++count)
      REQUIRE(each->pass(0, false).is_open);
  CHECK(slow.take(50));
  CHECK_FALSE(slow.take(1)); // as much as is free
  CHECK_FALSE(slow.arrive({}, 1, 1, {}, false, out));
  CHECK(other.take(25));
  CHECK_FALSE(other.take(1));
  CHECK(all.bytes() == 75);
  slow.arrive({}, 2, 50, {}, true, out);
  CHECK(slow.end() == std::vector{2});
  CHECK(other.take(37));
}

TEST_CASE("what waits for an agent that is gone waits no more", "[router]") {
  inbox_room all{1'000};
  {
    inbox box{{}, all};
    inbox::effects out;
    for (auto count = 0; count < held; ++count)
      REQUIRE(box.pass(0, false).is_open);
    REQUIRE(box.take(10));
    REQUIRE(box.arrive({}, 1, 20, {}, false, out));
    REQUIRE(box.arrive({}, 2, 30, {}, false, out));
    CHECK(all.bytes() == 60);
    CHECK(box.end() == std::vector{1, 2});
    CHECK(all.bytes() == 10);
  }
  CHECK(all.bytes() == 0); // that was on its way
  CHECK(all.messages() == 0);
}

TEST_CASE("a message that has waited longer than it may is not handed over", "[router]") {
  hosted it{{}};
  it.fill();
  CHECK(it.come(1, 0, time_point{1s}));
  CHECK(it.come(2, 0, time_point{3s}));
  CHECK(it.come(3));
  it.now = time_point{1s};
  while (it.got.back() != 3)
    it.sign();
  CHECK(it.expired == std::vector{1});
  CHECK(std::vector(it.got.end() - 2, it.got.end()) == std::vector{2, 3});
}

TEST_CASE("an inbox is full when one more would be too much, never an empty one", "[router]") {
  hosted it{{.max_messages = 2, .max_bytes = 10}};
  it.fill();
  CHECK(it.come(1, 9));
  CHECK_FALSE(it.box.is_full());
  CHECK(it.come(2, 0));
  CHECK(it.box.is_full());
  hosted bytes{{.max_bytes = 10}};
  bytes.fill();
  CHECK(bytes.come(1, 10));
  CHECK(bytes.box.is_full());
  CHECK_FALSE(hosted{{.max_messages = 0, .max_bytes = 0}}.box.is_full());
}

TEST_CASE("an inbox says what it can take before it is full", "[router]") {
  hosted it{{.max_messages = 4, .max_bytes = 10}};
  CHECK(it.box.space() == inbox_space{4, 10});
  it.fill();
  CHECK(it.come(1, 7));
  CHECK(it.box.space() == inbox_space{3, 3});
  CHECK(it.come(2, 7));
  CHECK(it.box.space() == inbox_space{2, 0});
  CHECK(hosted{{.max_messages = 1, .full = when_full::drop_oldest}}.box.space() == inbox_space{});
}

TEST_CASE("whoever waits for room hears once half of it is there", "[router]") {
  hosted it{{.max_messages = 64}};
  CHECK_FALSE(it.box.await_room()); // there is some
  it.fill();
  for (auto each = 0; each < 65; ++each)
    REQUIRE(it.come(held + each));
  REQUIRE(it.box.is_full());
  CHECK(it.box.await_room());
  CHECK(it.box.await_room());
  it.sign();
  CHECK(it.box.waiting() == 33);
  CHECK(it.drained == 0);
  it.sign();
  CHECK(it.drained == 1);
  it.sign();
  CHECK(it.drained == 1);
}

TEST_CASE("whoever waits for room of bytes hears once half of them are there", "[router]") {
  hosted it{{.max_bytes = 64}};
  it.fill();
  for (auto each = 0; each < 64; ++each)
    REQUIRE(it.come(held + each, 1));
  CHECK(it.box.await_room());
  REQUIRE(it.come(200, 1));
  it.sign();
  CHECK(it.box.waiting_bytes() == 33);
  CHECK(it.drained == 0);
  it.sign();
  CHECK(it.drained == 1);
}

TEST_CASE("where the oldest give way, they do so as well for what waits for other agents",
          "[router]") {
  hosted it{{.full = when_full::drop_oldest}, 100};
  it.fill();
  REQUIRE(it.come(1, 40));
  it.all.add(40); // for another agent
  REQUIRE(it.come(2, 20));
  CHECK(it.refused == std::vector{1});
  CHECK(it.box.waiting_bytes() == 20);
  it.all.remove(1, 40);
}

TEST_CASE("bounds under which nothing could wait are refused in a sentence", "[router]") {
  CHECK(check(inbox_options{}).code == errc::none);
  CHECK(check(inbox_options{.max_messages = 1, .max_bytes = 1}).code == errc::none);
  CHECK(check(inbox_options{.max_messages = 0}).detail.find("inbox_options::max_messages is 0")
        == 0);
  CHECK(check(inbox_options{.max_bytes = 0}).detail.find("inbox_options::max_bytes is 0") == 0);
  CHECK(!check(inbox_options{.tenants = {{"a", 1}, {"b", 1'000}}}));
  for (auto weight : {0, 1'001}) {
    auto why = check(inbox_options{.tenants = {{"a", 1}, {"b", weight}}}).detail;
    CHECK(why
          == "inbox_options::tenants has the weight " + std::to_string(weight)
               + " for 'b'; give 1 to 1000");
  }
}

TEST_CASE("of what waits for an agent tenants take turns by their weights", "[router]") {
  hosted it{{.tenants = {{"b", 2}}}};
  it.fill();
  for (auto each = 1; each <= 6; ++each)
    REQUIRE(it.come(100 + each, 0, {}, false, {message_priority::normal, "a"}));
  for (auto each = 1; each <= 5; ++each)
    REQUIRE(it.come(200 + each, 0, {}, false, {message_priority::normal, "b"}));
  REQUIRE(it.come(301, 0, {}, false, {message_priority::high, "a"}));
  it.sign();
  CHECK(std::vector(it.got.begin() + held, it.got.end())
        == std::vector{301, 101, 201, 202, 102, 203, 204, 103, 205, 104, 105, 106});
}

TEST_CASE("a tenant leaves others room in an inbox, in messages and in bytes", "[router]") {
  auto bytes = GENERATE(std::size_t{0}, std::size_t{10});
  hosted it{bytes == 0 ? inbox_options{.max_messages = 100} : inbox_options{.max_bytes = 1'000}};
  it.fill();
  auto takes = [&](std::string_view tenant, message_priority priority = message_priority::normal) {
    message_turn of{priority, tenant};
    auto result = it.box.take(bytes, of);
    if (result)
      it.come(0, bytes, {}, true, of);
    return result;
  };
  auto count = [&](std::string_view tenant) {
    std::size_t taken = 0;
    while (takes(tenant))
      ++taken;
    return taken;
  };
  CHECK(count("a") == 75);
  CHECK(it.box.is_full("a"));
  CHECK_FALSE(it.box.is_full("b"));
  CHECK_FALSE(it.box.is_full());
  CHECK(count("b") == 13); // half of what is left, and so on
  CHECK(count("c") == 6);
  CHECK(takes("a", message_priority::critical));
  CHECK(count("") == 5); // what has no tenant has all that there is
  CHECK(it.box.is_full());
}

TEST_CASE("an inbox for four messages leaves each tenant a share, and a smaller one none",
          "[router]") {
  auto most = GENERATE(1U, 2U, 3U, 4U);
  hosted it{inbox_options{.max_messages = most}};
  it.fill();
  auto count = [&](std::string_view tenant) {
    std::size_t taken = 0;
    for (message_turn of{message_priority::normal, tenant}; it.box.take(0, of); ++taken)
      it.come(0, 0, {}, true, of);
    return taken;
  };
  CHECK(count("a") == (most == 4 ? 3 : most));
  CHECK(count("b") == (most == 4 ? 1 : 0));
}

TEST_CASE("a tenant that sends faster than its messages come leaves others room", "[router]") {
  auto bytes = GENERATE(std::size_t{0}, std::size_t{10});
  hosted it{bytes == 0 ? inbox_options{.max_messages = 100} : inbox_options{.max_bytes = 1'000}};
  it.fill();
  message_turn fast{message_priority::normal, "fast"};
  auto taken = 0;
  while (it.box.take(bytes, fast))
    ++taken;
  CHECK(taken == 75);
  for (; taken > 0; --taken)
    it.come(taken, bytes, {}, true, fast);
  CHECK(it.box.take(bytes, {message_priority::normal, "other"}));
  CHECK(it.box.take(bytes, {}));
}

TEST_CASE("what is on its way of a tenant over a link leaves others room as well", "[router]") {
  hosted it{{.max_messages = 10}};
  it.fill();
  auto count = [&](std::string_view tenant) {
    auto before = it.box.waiting();
    for (auto each = 0; each < 100; ++each)
      it.come(each, 0, {}, false, {message_priority::normal, tenant});
    return it.box.waiting() - before;
  };
  CHECK(count("a") == 30);
  CHECK(count("b") == 5);
  CHECK(count("") == 5);
  CHECK(it.come(1'000, 0, {}, false, {message_priority::critical, "a"}));
}

TEST_CASE("where the oldest give way, the oldest of the tenant that has most does", "[router]") {
  hosted it{{.max_messages = 4, .full = when_full::drop_oldest}};
  it.fill();
  for (auto each = 1; each <= 4; ++each)
    REQUIRE(it.come(100 + each, 1, {}, false, {message_priority::normal, "a"}));
  for (auto each = 1; each <= 3; ++each)
    REQUIRE(it.come(200 + each, 1, {}, false, {message_priority::normal, "b"}));
  CHECK(it.refused == std::vector{101, 102, 201});
}

TEST_CASE("where messages are too many the tenant that has most of these gives way, else bytes",
          "[router]") {
  auto messages_are_too_many = GENERATE(true, false);
  hosted it{{.max_messages = messages_are_too_many ? 4U : 100U,
             .max_bytes = messages_are_too_many ? 100'000U : 1'010U,
             .full = when_full::drop_oldest}};
  it.fill();
  REQUIRE(it.come(101, 1'000, {}, false, {message_priority::normal, "large"}));
  for (auto each = 1; each <= 6; ++each)
    REQUIRE(it.come(200 + each, 3, {}, false, {message_priority::normal, "small"}));
  CHECK(it.refused == (messages_are_too_many ? std::vector{201, 202, 203} : std::vector{101}));
}

TEST_CASE("whoever waits for room hears also when what is on its way comes", "[router]") {
  hosted it{{.max_messages = 2}};
  for (auto each = 0; each < 2; ++each)
    REQUIRE(it.box.take(0));
  CHECK(it.box.await_room());
  CHECK(it.come(1, 0, {}, true));
  CHECK(it.drained == 1);
  CHECK(it.come(2, 0, {}, true));
  CHECK(it.got == std::vector{1, 2});
}

TEST_CASE("an inbox that has refused a sender here is full for those elsewhere, too", "[router]") {
  hosted it{{.max_messages = 8}};
  it.fill();
  for (auto each = 0; each < 8; ++each)
    REQUIRE(it.box.take(0));
  CHECK_FALSE(it.box.take(0));
  CHECK(it.box.is_full());
  it.sign();
  for (auto each = 0; each < 3; ++each)
    REQUIRE(it.come(held + each, 0, {}, true));
  CHECK(it.box.waiting() == 5); // they were on their way, and went on to the mailbox
  CHECK(it.box.is_full());
  CHECK_FALSE(it.box.take(0));
  REQUIRE(it.come(held + 3, 0, {}, true));
  CHECK_FALSE(it.box.is_full()); // half of them have gone
  CHECK(it.box.take(0));
}

} // namespace agent_inbox_test
