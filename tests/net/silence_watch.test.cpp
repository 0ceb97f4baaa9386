#include "troupe/net/silence_watch.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <vector>

namespace silence_watch_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

namespace {

using numbers = std::vector<connection_id>;

/// A node and its links, whose peers send heartbeats at first.
struct links {
  void add(connection_id which, role as = role::member, duration heartbeat = 500ms) {
    hello peer;
    peer.as = as;
    peer.heartbeat = heartbeat;
    all[which] = {heartbeat, now, now + heartbeat};
    watch.watch(now, which, peer);
  }

  void remove(connection_id which) {
    all.erase(which);
    watch.forget(which);
  }

  /// Each peer sends what is due, and the node looks when it wants to. Returns what it found.
  numbers pass(duration span) {
    numbers found;
    for (auto end = now + span; now < end;) {
      now = std::clamp(watch.next_deadline().value_or(end), now, end);
      deliver();
      for (auto each : look())
        found.push_back(each);
    }
    return found;
  }

  /// This process stands still; what has come meanwhile is not read yet.
  numbers stand_still(duration span) {
    now += span;
    return look();
  }

  numbers look() {
    return watch.tick(now, [this](connection_id which) -> std::optional<time_point> {
      ++looked_at;
      auto& it = all.at(which);
      return it.is_closing ? std::nullopt : std::optional{it.heard_at};
    });
  }

  void deliver() {
    for (auto& [which, it] : all)
      for (; !it.hangs && it.next <= now; it.next += it.heartbeat)
        it.heard_at = it.next;
  }

  /// The peer goes on; what it had sent before it hung has been read.
  void go_on(connection_id which) {
    all.at(which).hangs = false;
    all.at(which).next = now;
    deliver();
  }

  struct link {
    duration heartbeat{};
    time_point heard_at{};
    time_point next{};
    bool hangs = false;
    bool is_closing = false;
  };

  silence_watch watch;
  time_point now{1h};
  std::map<connection_id, link> all;
  /// How many links, in all looks.
  std::size_t looked_at = 0;
};

} // namespace

TEST_CASE_METHOD(links,
                 "a link of a member that misses three heartbeats is found to be silent once",
                 "[net]") {
  add(1);
  add(2);
  CHECK(pass(1min).empty());
  all[1].hangs = true;
  CHECK(pass(1499ms).empty());
  CHECK(pass(501ms) == numbers{1});
  CHECK(pass(1min).empty());
}

TEST_CASE_METHOD(links, "a link that is heard of again may be found to be silent again", "[net]") {
  add(1);
  all[1].hangs = true;
  CHECK(pass(2s) == numbers{1});
  go_on(1);
  all[1].hangs = true; // after one sign of life
  CHECK(pass(1499ms).empty());
  CHECK(pass(501ms) == numbers{1});
  go_on(1);
  CHECK(pass(1min).empty());
}

TEST_CASE_METHOD(links, "a link is silent after three heartbeats of its peer, not of this node",
                 "[net]") {
  add(1, role::member, 10s);
  add(2, role::member, 10ms);
  CHECK(pass(10min).empty());
  all[1].hangs = all[2].hangs = true;
  CHECK(pass(1499ms).empty());
  CHECK(pass(501ms) == numbers{2});
  CHECK(pass(27999ms).empty());
  CHECK(pass(501ms) == numbers{1});
}

TEST_CASE_METHOD(links, "links of clients, and links that are closed, are not found to be silent",
                 "[net]") {
  add(1, role::client);
  CHECK_FALSE(watch.next_deadline());
  add(2);
  add(3);
  for (auto& [which, it] : all)
    it.hangs = true;
  all[2].is_closing = true;
  remove(3);
  CHECK(pass(1min).empty());
}

TEST_CASE_METHOD(links,
                 "of links that fall silent at once some are found in each look, all in the end",
                 "[net]") {
  for (connection_id each = 1; each <= 8; ++each)
    add(each);
  CHECK(pass(1min).empty());
  for (auto& [which, it] : all)
    it.hangs = true;
  CHECK(pass(1499ms).empty());
  CHECK(pass(1ms) == numbers{1, 2, 3});
  SECTION("each once") {
    CHECK(pass(500ms) == numbers{4, 5, 6});
    CHECK(pass(500ms) == numbers{7, 8});
    CHECK(pass(1min).empty());
  }
  SECTION("but for those that are heard of again meanwhile") {
    for (connection_id each = 1; each <= 7; ++each)
      go_on(each);
    CHECK(pass(500ms) == numbers{8});
    CHECK(pass(1min).empty());
  }
}

TEST_CASE_METHOD(links, "links that are silent for longest are found first", "[net]") {
  for (connection_id each = 1; each <= 5; ++each)
    add(each, role::member, 10ms);
  pass(1min + 50ms);
  for (connection_id each : {5, 3, 1, 2, 4}) {
    all[each].hangs = true;
    CHECK(pass(50ms).empty());
  }
  CHECK(pass(2s) == numbers{5, 3, 1}); // in one look
  CHECK(pass(500ms) == numbers{2, 4});
}

TEST_CASE_METHOD(links, "a process that stood still finds no link to be silent for that", "[net]") {
  add(1);
  add(2);
  CHECK(pass(1min).empty());
  SECTION("for long") {
    CHECK(stand_still(1h).empty());
    deliver(); // what they have sent meanwhile
    all[2].hangs = true;
    CHECK(pass(1499ms).empty());
    CHECK(pass(501ms) == numbers{2});
  }
  SECTION("and the links have not come to life since") {
    all[1].hangs = all[2].hangs = true;
    CHECK(stand_still(751ms).empty());
    CHECK(pass(1499ms).empty()); // counted from its end
    CHECK(pass(501ms) == numbers{1, 2});
  }
  SECTION("for so short that it does not notice") {
    all[1].hangs = all[2].hangs = true;
    all[1].heard_at -= 500ms; // a heartbeat was due
    CHECK(stand_still(750ms).empty());
    go_on(1);
    go_on(2);
    CHECK(pass(1min).empty());
  }
  SECTION("and a silence was found before") {
    all[2].hangs = true;
    CHECK(pass(2s) == numbers{2});
    CHECK(stand_still(1h).empty());
    CHECK(pass(10s).empty()); // it is the same one
  }
}

TEST_CASE_METHOD(links, "a silence is found also where each look is somewhat late", "[net]") {
  add(1);
  all[1].hangs = true;
  CHECK(stand_still(750ms).empty());
  CHECK(stand_still(750ms) == numbers{1});
}

TEST_CASE_METHOD(links, "links are looked at twice a second, however many, and not without any",
                 "[net]") {
  CHECK_FALSE(watch.next_deadline());
  CHECK(look().empty());
  for (connection_id each = 1; each <= 100; ++each) {
    add(each);
    CHECK(pass(7ms).empty()); // which is when something else wakes it up
  }
  CHECK(looked_at == 72); // those of the first 500 ms
  looked_at = 0;
  CHECK(pass(1min).empty());
  CHECK(looked_at == 120 * 100);
  for (connection_id each = 1; each <= 100; ++each)
    remove(each);
  CHECK_FALSE(watch.next_deadline());
  add(101);
  CHECK(*watch.next_deadline() == now + 500ms);
}

} // namespace silence_watch_test
