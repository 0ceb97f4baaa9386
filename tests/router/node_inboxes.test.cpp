#include "troupe/router/node_inboxes.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"

namespace node_inboxes_test {

using namespace troupe;
using namespace troupe::router;

namespace {

/// From 100 on, those of one hundred.
struct same_hundred {
  bool operator()(int one, int other) const {
    return one >= 100 && one / 100 == other / 100;
  }
};

using inboxes = node_inboxes<int, int, same_hundred>;
using numbers = std::vector<inboxes::place_number>;

constexpr int held = inboxes::inbox::max_held;

/// Inboxes that hold four messages, and agents that take nothing out of their mailboxes unless told
/// to.
struct hosted {
  inboxes all;
  std::vector<int> told{};
  /// What each of them was told last.
  inbox_space each_told{};
  std::size_t signs = 0;

  inboxes::place made(inboxes::place_number number, when_full full = when_full::reject) {
    return {number, {.max_messages = 4, .full = full}, all.room()};
  }

  void come(inboxes::place& to, int count) {
    for (; count > 0; --count) {
      if (auto how = all.pass(to, 1, false); how.is_open) {
        signs += how.wants_sign ? 1U : 0U;
        continue;
      }
      inboxes::inbox::effects out;
      all.arrive({}, to, count, 1, {}, false, out);
      carry_out(to, std::move(out));
    }
  }

  void sign(inboxes::place& by) {
    --signs;
    inboxes::inbox::effects out;
    all.signed_for({}, by, out);
    carry_out(by, std::move(out));
  }

  void carry_out(inboxes::place& of, inboxes::inbox::effects out) {
    while (!out.empty()) {
      auto hands = false;
      for (auto& each : out)
        troupe::visit(overloaded{[&](const inboxes::inbox::hand& next) {
                                   signs += next.wants_sign ? 1U : 0U;
                                   hands = true;
                                 },
                                 [&](const inboxes::inbox::has_room&) {
                                   auto found = all.take_waiters(of);
                                   for (auto by : found.waiters)
                                     told.push_back(by);
                                   each_told = found.each;
                                 },
                                 [](const auto&) {}},
                      each);
      out.clear();
      if (hands)
        all.handed({}, of, out);
    }
  }

  bool await(inboxes::place& in, int by) {
    auto space = all.await_room(in, by);
    each_told = space.value_or(inbox_space{});
    return !space;
  }
};

} // namespace

TEST_CASE("a node says which of its agents are full, until half of what waits has gone",
          "[router]") {
  hosted it;
  auto slow = it.made(1);
  auto other = it.made(2);
  it.come(slow, held + 3);
  CHECK(it.all.full_ones().empty());
  it.come(slow, 1);
  CHECK(it.all.full_ones() == numbers{1});
  CHECK(slow.is_full());
  it.come(other, held + 4);
  CHECK(it.all.full_ones() == numbers{1, 2});
  it.sign(slow);
  CHECK(it.all.full_ones() == numbers{2});
  CHECK_FALSE(slow.is_full());
}

TEST_CASE("an agent that was full of what was taken for it is full no more once that has come",
          "[router]") {
  hosted it;
  auto fast = it.made(1);
  for (auto count = 0; count < 4; ++count)
    REQUIRE(inboxes::take(fast, 1));
  REQUIRE_FALSE(inboxes::take(fast, 1));
  it.come(fast, held / 4); // which asks for a sign
  it.sign(fast);
  CHECK(it.all.full_ones() == numbers{1});
  for (auto count = 0; count < 4; ++count)
    CHECK(it.all.pass(fast, 1, true).is_open);
  CHECK_FALSE(fast.is_full());
  CHECK(it.all.full_ones().empty());
}

TEST_CASE("nobody is to hold back where older messages give way", "[router]") {
  hosted it;
  auto slow = it.made(1, when_full::drop_oldest);
  it.come(slow, held + 50);
  CHECK_FALSE(slow.is_full());
  CHECK(it.all.full_ones().empty());
}

TEST_CASE("whoever waits for room in an inbox hears once there is some, each once", "[router]") {
  hosted it;
  auto slow = it.made(1);
  CHECK_FALSE(it.await(slow, 1)); // there is room
  CHECK(it.each_told.messages == 4);
  it.come(slow, held + 4);
  CHECK(it.await(slow, 2));
  CHECK(it.await(slow, 3));
  it.sign(slow);
  CHECK(it.told == std::vector{2, 3});
  CHECK(it.each_told.messages == 2); // they share it
  CHECK_FALSE(it.await(slow, 4));
  CHECK(it.each_told.messages == 4);
  it.come(slow, held);
  it.sign(slow);
  CHECK(it.told == std::vector{2, 3});
}

TEST_CASE("those who are told of room at once share it, and each may send something", "[router]") {
  inbox_space all{10, 7};
  CHECK(all.divided_by(0) == all);
  CHECK(all.divided_by(1) == all);
  CHECK(all.divided_by(3) == inbox_space{3, 2});
  CHECK(all.divided_by(8) == inbox_space{1, 1});
  CHECK(inbox_space{}.divided_by(3) == inbox_space{});
}

TEST_CASE("not more than so many wait for room in one inbox", "[router]") {
  hosted it;
  auto slow = it.made(1);
  it.come(slow, held + 4);
  for (std::size_t each = 0; each < inboxes::most_waiters; ++each)
    REQUIRE(it.await(slow, 1));
  CHECK_FALSE(it.await(slow, 2)); // tries again
  CHECK(it.each_told == inbox_space{1, 1});
  it.sign(slow);
  CHECK(it.told.size() == inboxes::most_waiters);
  CHECK(it.each_told.messages == 1);
}

TEST_CASE("who asks for room again and again takes no places of others, and no part of their room",
          "[router]") {
  hosted it;
  auto slow = it.made(1);
  it.come(slow, held + 4);
  REQUIRE(it.await(slow, 2));
  REQUIRE(it.await(slow, 100));
  REQUIRE(it.await(slow, 101));
  auto last = 102;
  for (; last < 200; ++last) {
    auto by = last;
    auto space = it.all.await_room(slow, by);
    REQUIRE(space == inbox_space{1, 1});
    REQUIRE(by == last - 2); // its earliest question, which it has given up
  }
  REQUIRE(it.await(slow, 3));
  it.sign(slow);
  CHECK(it.told == std::vector{2, 198, 199, 3});
}

TEST_CASE("not more than so many agents are said to be full", "[router]") {
  hosted it;
  std::vector<std::unique_ptr<inboxes::place>> all;
  for (inboxes::place_number each = 1; each <= inboxes::most_full + 1; ++each) {
    all.push_back(
      std::make_unique<inboxes::place>(each, inbox_options{.max_messages = 1}, it.all.room()));
    it.come(*all.back(), held + 1);
  }
  CHECK(it.all.full_ones().size() == inboxes::most_full);
}

TEST_CASE("an agent that ends leaves what has waited for it, and those who waited for room",
          "[router]") {
  hosted it;
  auto slow = it.made(1);
  it.come(slow, held + 4);
  REQUIRE(it.await(slow, 7));
  auto left = it.all.end(slow);
  CHECK(left.letters == std::vector{4, 3, 2, 1});
  CHECK(left.waiters == std::vector{7});
  CHECK(it.all.full_ones().empty());
  CHECK(it.all.waiting().messages() == 0);
  CHECK(it.all.waiting().bytes() == 0);
}

} // namespace node_inboxes_test
