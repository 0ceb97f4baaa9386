// What a program sees of replicated state: the client, and the watcher that rides
// through what happens to links and services.

#include "troupe/state/state_client.hpp" // the header under test
#include "support/services.hpp"
#include "troupe/state/state_service.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;
using Catch::Matchers::ContainsSubstring;

namespace {

const entry_key letter{consistency::eventual, value_type::lww_register, "alpha"};
const entry_key notes{consistency::causal, value_type::mv_register, "notes"};

using live_state = test::live_service<caf::id_block::troupe_state, state_service>;

/// What a watcher was told, put together, for another thread to look at.
class notebook {
public:
  void take(const result<state_changes>& answer) {
    std::lock_guard guard{mutex_};
    if (!answer) {
      ++problems_;
      last_problem_ = answer.error();
      changed_.notify_all();
      return;
    }
    ++answers_;
    if (answer->complete) {
      ++snapshots_;
      table_.clear();
    }
    for (auto& each : answer->changes)
      if (each.entries.empty())
        table_.erase(each.key.key);
      else
        table_[each.key.key] = to_text(each.entries.back().value);
    changed_.notify_all();
  }

  auto callback() {
    return [this](const result<state_changes>& answer) { take(answer); };
  }

  /// Waits until it says what is expected.
  void expect(const std::map<std::string, std::string>& table) {
    until([&] { return table_ == table; });
  }

  template <class Condition>
  void until(Condition condition) {
    std::unique_lock guard{mutex_};
    auto in_time = changed_.wait_for(guard, 20s, condition);
    INFO("keys: " << table_.size() << ", answers: " << answers_ << ", problems: " << problems_
                  << ' ' << last_problem_.detail);
    REQUIRE(in_time);
  }

  int snapshots_ = 0;
  int answers_ = 0;
  int problems_ = 0;
  problem last_problem_;

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> table_;
};

} // namespace

TEST_CASE_METHOD(live_state, "values are put, read, listed and removed", "[state][client]") {
  state_client values{sys, service};
  auto first = values.put(letter, "one");
  REQUIRE(first);
  auto found = values.get(letter);
  REQUIRE(found);
  REQUIRE(found->entries.size() == 1);
  CHECK(to_text(found->entries[0].value) == "one");
  CHECK(found->entries[0].version == first->version);
  CHECK(found->clock == first->clock);
  SECTION("what is there can be replaced only by who knows it") {
    CHECK(values.put(letter, "two", {.expect_version = 0}).error().code == errc::conflict);
    auto second = values.put(letter, "two", {.expect_version = first->version});
    REQUIRE(second);
    CHECK(values.put(letter, "three", {.expect_version = first->version}).error().code
          == errc::conflict);
    CHECK(to_text(values.get(letter)->entries.at(0).value) == "two");
  }
  SECTION("keys are listed without their values") {
    REQUIRE(values.put(notes, "n"));
    auto page = values.list();
    REQUIRE(page);
    REQUIRE(page->keys.size() == 2);
    CHECK(page->keys[0].key == letter);
    CHECK(page->keys[1].key == notes);
    CHECK(page->keys[1].content == sha256("n"));
    CHECK(values.list({.scope = {.prefix = "al"}})->keys.size() == 1);
    CHECK(values.count()->causal.keys == 1);
  }
  SECTION("what is removed is gone") {
    CHECK(values.remove(letter, 7).error().code == errc::conflict);
    CHECK(values.remove(letter));
    CHECK(values.get(letter)->entries.empty());
    CHECK(values.remove(letter).error().code == errc::not_found);
  }
  SECTION("writers that have not seen each other are siblings") {
    auto one = values.put(notes, "one");
    auto other = values.put(notes, "other");
    REQUIRE(other);
    auto both = values.get(notes);
    CHECK(both->entries.size() == 2);
    CHECK(compare(both->entries[0], both->entries[1]) == clock_order::concurrent);
    REQUIRE(values.put(notes, "merged", {.context = both->clock}));
    CHECK(values.get(notes)->entries.size() == 1);
    CHECK(values.count()->causal.conflicts == 1);
  }
  SECTION("a value of a mebibyte comes back as it was") {
    bytes large(1'048'576, std::byte{0xff});
    REQUIRE(values.put(letter, large));
    CHECK(values.get(letter)->entries.at(0).value == large);
    large.push_back({});
    CHECK(values.put(letter, large).error().code == errc::too_large);
  }
}

TEST_CASE_METHOD(live_state, "values, versions and revisions survive a restart",
                 "[state][client]") {
  state_client values{sys, service};
  auto first = values.put(letter, "one", {.ttl = 1h});
  REQUIRE(first);
  REQUIRE(values.put(notes, "n"));
  REQUIRE(values.remove(notes));
  auto before = values.get(letter);
  auto counts = values.count();
  stop();
  start();
  values.service().set_target(service);
  CHECK(*values.get(letter) == *before);
  CHECK(*values.count() == *counts);
  auto second = values.put(letter, "two", {.expect_version = first->version});
  REQUIRE(second);
  CHECK(second->version > before->revision);
}

TEST_CASE_METHOD(live_state, "a value with a time to live goes by itself", "[state][client]") {
  state_client values{sys, service};
  notebook seen;
  auto watching = values.watch({}, seen.callback());
  REQUIRE(values.put(letter, "short", {.ttl = 100ms}));
  seen.expect({{"alpha", "short"}});
  seen.expect({});
  CHECK(values.get(letter)->entries.empty());
  CHECK(values.count()->eventual.expiries == 1);
}

TEST_CASE_METHOD(live_state, "a watcher has the keys, and every change of them",
                 "[state][watcher]") {
  state_client values{sys, service};
  REQUIRE(values.put(letter, "one"));
  notebook seen;
  auto watching = values.watch({.prefix = "al"}, seen.callback());
  seen.expect({{"alpha", "one"}});
  REQUIRE(values.put(notes, "not in its scope"));
  REQUIRE(values.put(letter, "two"));
  seen.expect({{"alpha", "two"}});
  REQUIRE(values.remove(letter));
  seen.expect({});
  CHECK(seen.snapshots_ == 1);
}

TEST_CASE_METHOD(live_state, "a watcher of a known revision hears what came after it only",
                 "[state][watcher]") {
  state_client values{sys, service};
  REQUIRE(values.put(letter, "one"));
  auto known = values.count()->revision;
  REQUIRE(values.put(notes, "later"));
  notebook seen;
  auto watching = values.watch({}, seen.callback(), known);
  seen.until([&] { return seen.answers_ > 0; });
  seen.expect({{"notes", "later"}});
  CHECK(seen.snapshots_ == 0);
}

TEST_CASE_METHOD(live_state, "a snapshot may need many pages", "[state][watcher]") {
  state_client values{sys, service};
  std::map<std::string, std::string> expected;
  for (int each = 0; each < 250; ++each) {
    auto name = "k" + std::to_string(each);
    REQUIRE(values.put({.key = name}, name));
    expected[name] = name;
  }
  notebook seen;
  host::watcher watching{sys, values.service(), watch_state{.limit = 100}, seen.callback()};
  seen.expect(expected);
  CHECK(seen.snapshots_ == 1);
  CHECK(seen.answers_ == 3);
}

TEST_CASE_METHOD(live_state, "a watcher goes on where a lost link broke it off",
                 "[state][watcher]") {
  state_client values{sys, service};
  REQUIRE(values.put(letter, "one"));
  notebook seen;
  host::client<state_protocol> link{sys, service};
  host::watcher watching{sys, link, watch_state{}, seen.callback(),
                         host::watcher_options{.wait = 200ms, .answer_within = 100ms}};
  seen.expect({{"alpha", "one"}});
  link.set_target(caf::strong_actor_ptr{});
  REQUIRE(values.put(letter, "two"));
  seen.until([&] { return seen.problems_ > 0; });
  CHECK(seen.last_problem_.code == errc::unreachable);
  link.set_target(service);
  seen.expect({{"alpha", "two"}});
  CHECK(seen.snapshots_ == 1); // no gap, so no need for another
  SECTION("and says so even if nothing changed meanwhile") {
    auto answers = seen.answers_;
    auto problems = seen.problems_;
    link.set_target(caf::strong_actor_ptr{});
    seen.until([&] { return seen.problems_ > problems; });
    link.set_target(service);
    seen.until([&] { return seen.answers_ > answers; });
  }
}

TEST_CASE_METHOD(live_state, "a watcher rides through a restart of its service",
                 "[state][watcher]") {
  state_client values{sys, service};
  REQUIRE(values.put(letter, "one"));
  notebook seen;
  auto watching = values.watch({}, seen.callback());
  seen.expect({{"alpha", "one"}});
  stop();
  SECTION("with what it had") {
    start();
    values.service().set_target(service);
    REQUIRE(values.put(letter, "two"));
    seen.expect({{"alpha", "two"}});
    CHECK(seen.snapshots_ == 1);
  }
  SECTION("and begins anew where that has lost its past") {
    remove_journal();
    start();
    state_client others{sys, service};
    REQUIRE(others.put(notes, "n"));
    values.service().set_target(service);
    seen.expect({{"notes", "n"}});
    CHECK(seen.snapshots_ == 2);
  }
}

TEST_CASE_METHOD(live_state, "a watcher tells why it is refused, and goes on", "[state][watcher]") {
  notebook seen;
  host::client<state_protocol> link{sys, service};
  host::watcher watching{sys, link, watch_state{.scope = {.prefix = std::string(10'000, 'a')}},
                         seen.callback(), host::watcher_options{.retry = {10ms, 20ms}}};
  seen.until([&] { return seen.problems_ >= 3; });
  CHECK(seen.last_problem_.code == errc::too_large);
  CHECK_THAT(seen.last_problem_.detail, ContainsSubstring("max_key_bytes"));
}

TEST_CASE_METHOD(live_state, "nothing is told after the end of a watcher", "[state][watcher]") {
  state_client values{sys, service};
  SECTION("which may come while it is told") {
    // Its end waits for the call, so that what the call uses may go right after it.
    for (int round = 0; round < 50; ++round) {
      auto told = std::make_unique<int>(0);
      {
        auto watching = values.watch({}, [&](const auto&) { ++*told; });
        REQUIRE(values.put(letter, std::to_string(round)));
      }
      told.reset();
      REQUIRE(values.put(letter, "after"));
    }
  }
  SECTION("not even if that is told to end it") {
    std::mutex mutex;
    std::condition_variable done;
    int told = 0;
    std::optional<state_client::watcher> watching;
    std::unique_lock guard{mutex};
    watching = values.watch({}, [&](const auto&) {
      std::lock_guard inner{mutex};
      watching.reset();
      ++told;
      done.notify_all();
    });
    REQUIRE(done.wait_for(guard, 20s, [&] { return told == 1; }));
    guard.unlock();
    REQUIRE(values.put(letter, "after"));
    CHECK(told == 1);
  }
  SECTION("and the one it was moved to goes on") {
    notebook seen;
    notebook others;
    auto watching = values.watch({}, seen.callback());
    auto moved = std::move(watching);
    REQUIRE(values.put(letter, "one"));
    seen.expect({{"alpha", "one"}});
    moved = values.watch({}, others.callback());
    REQUIRE(values.put(letter, "two"));
    others.expect({{"alpha", "two"}});
    seen.expect({{"alpha", "one"}});
  }
}
