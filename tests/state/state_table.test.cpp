#include "troupe/state/state_table.hpp" // the header under test
#include "state/calendar_table.hpp"
#include "troupe/core/codec.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace state_table_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;
using Catch::Matchers::ContainsSubstring;
using test::calendar_table;
using texts = std::vector<std::string>;

namespace {

const entry_key last{consistency::eventual, value_type::lww_register, "k"};
const entry_key all{consistency::causal, value_type::mv_register, "k"};
const entry_key highest{consistency::eventual, value_type::version_register, "k"};
const entry_key one{consistency::strong, value_type::lww_register, "k"};
const entry_key other_one{consistency::strong, value_type::lww_register, "l"};
const entry_key strong_highest{consistency::strong, value_type::version_register, "k"};

put text(const entry_key& key, std::string_view value) {
  return {.key = key, .value = to_value(value)};
}

put text(const entry_key& key, std::string_view value, const vector_clock& context) {
  return {.key = key, .value = to_value(value), .context = context};
}

entry_key named(std::string_view name) {
  return {consistency::eventual, value_type::lww_register, std::string{name}};
}

state_changes watch(const calendar_table& keys, const watch_state& question) {
  auto answer = keys.table.answer(question);
  REQUIRE(answer);
  return *answer;
}

} // namespace

// -- versions --------------------------------------------------------------------------

TEST_CASE("versions rise over all keys, also over removals", "[state]") {
  calendar_table keys;
  auto first = keys.write(text(last, "one"));
  auto other = keys.write(text(all, "other"));
  CHECK(other.version > first.version);
  auto removal = keys.write(remove_key{last});
  CHECK(removal.version > other.version);
  CHECK(keys.write(text(last, "two")).version > removal.version);
}

SCENARIO("a writer that expects a version is not surprised", "[state]") {
  GIVEN("a value that was read") {
    auto key = GENERATE(last, all, highest, one);
    INFO(to_text(key));
    calendar_table keys;
    auto read = keys.write(text(key, "one")).version;
    auto swap = [&](std::uint64_t expected) {
      auto what = text(key, "mine");
      what.expect_version = expected;
      return keys.refusal(what).code;
    };
    WHEN("it stands unchanged, it can be replaced") {
      CHECK(swap(read) == errc::none);
      CHECK(keys.texts(key) == texts{"mine"});
    }
    WHEN("it was written again, to the same, it cannot") {
      keys.write(text(key, "one", keys.clock(key)));
      CHECK(swap(read) == errc::conflict);
    }
    WHEN("it was removed and written again, it cannot") {
      keys.write(remove_key{key});
      CHECK(swap(read) == errc::conflict);
      CHECK(keys.texts(key).empty());
      keys.write(text(key, "one"));
      CHECK(swap(read) == errc::conflict);
    }
    WHEN("it is there, it cannot be created") {
      CHECK(swap(0) == errc::conflict);
      keys.write(remove_key{key});
      CHECK(swap(0) == errc::none);
    }
    WHEN("it changed, it cannot be removed either") {
      keys.write(text(key, "two", keys.clock(key)));
      CHECK(keys.refusal(remove_key{key, read}).code == errc::conflict);
      CHECK(keys.texts(key) == texts{"two"});
    }
  }
}

// -- concurrent writes -------------------------------------------------------------------

SCENARIO("values whose writers have not seen each other stand side by side", "[state]") {
  GIVEN("two writers that read the same") {
    calendar_table keys;
    auto start = keys.write(text(all, "start")).clock;
    auto ann = keys.write(text(all, "ann", start));
    auto bob = keys.write(text(all, "bob", start));
    CHECK(keys.texts(all) == texts{"ann", "bob"});
    CHECK(bob.siblings == 2);
    WHEN("a third has read both and writes, its value takes their place") {
      keys.write(text(all, "both", keys.clock(all)));
      CHECK(keys.texts(all) == texts{"both"});
    }
    WHEN("the first writes on, it replaces its own and no other") {
      keys.write(text(all, "ann again", ann.clock));
      CHECK(keys.texts(all) == texts{"bob", "ann again"});
    }
    WHEN("the second writes on, what it has not read stays, too") {
      keys.write(text(all, "bob again", bob.clock));
      CHECK(keys.texts(all) == texts{"ann", "bob again"});
    }
    WHEN("somebody writes who has seen nothing") {
      keys.write(text(all, "blind"));
      CHECK(keys.texts(all) == texts{"ann", "bob", "blind"});
    }
    WHEN("the first removes what it has seen, the other stays") {
      auto gone = keys.write(remove_key{all, {}, ann.clock});
      CHECK(keys.texts(all) == texts{"bob"});
      CHECK(gone.siblings == 1);
    }
    WHEN("somebody removes without saying what was seen, all go") {
      keys.write(remove_key{all});
      CHECK(keys.texts(all).empty());
      AND_WHEN("a writer that had not seen the removal writes") {
        keys.write(text(all, "late", bob.clock));
        CHECK(keys.texts(all) == texts{"late"});
      }
    }
    THEN("each conflict is counted") {
      CHECK(keys.table.answer(count_entries{}).causal.conflicts == 1);
      CHECK(keys.table.answer(count_entries{}).causal.siblings == 1);
    }
  }
}

TEST_CASE("where one value stands the last writer wins, and a conflict is counted", "[state]") {
  auto key = GENERATE(last, highest);
  calendar_table keys;
  auto start = keys.write(text(key, "start")).clock;
  keys.write(text(key, "ann", start));
  keys.write(text(key, "bob", start));
  CHECK(keys.texts(key) == texts{"bob"});
  CHECK(keys.table.answer(count_entries{}).eventual.conflicts == 1);
  keys.write(text(key, "blind")); // replaces what is there, whatever it is
  CHECK(keys.table.answer(count_entries{}).eventual.conflicts == 1);
}

TEST_CASE("at level strong a writer has to know the last write", "[state]") {
  calendar_table keys;
  auto start = keys.write(text(one, "start")).clock;
  auto next = keys.write(text(one, "ann", start)).clock;
  CHECK(keys.refusal(text(one, "bob", start)).code == errc::conflict);
  CHECK(keys.refusal(remove_key{one, {}, start}).code == errc::conflict);
  CHECK(keys.texts(one) == texts{"ann"});
  keys.write(text(one, "cid", next));
  keys.write(text(one, "whatever is there"));
  CHECK(keys.texts(one) == texts{"whatever is there"});
}

SCENARIO("at level strong a writer has to know that a key is gone, too", "[state]") {
  GIVEN("a key, and a writer that has read it") {
    auto key = GENERATE(one, strong_highest);
    calendar_table keys{{.max_changes = 3}};
    auto for_a_while = text(key, "start");
    for_a_while.ttl = 10s;
    keys.write(for_a_while);
    auto read = keys.clock(key);
    auto is_refused = [&](const vector_clock& context) {
      auto why = keys.refusal(text(key, "mine", context));
      CHECK(why.code == errc::conflict);
      CHECK_THAT(why.detail, ContainsSubstring("read it again"));
      CHECK(keys.refusal(remove_key{key, {}, context}).code == errc::conflict);
    };
    WHEN("it is removed") {
      auto removed = keys.write(remove_key{key}).clock;
      THEN("what was read before is refused, what was read after is not") {
        is_refused(read);
        auto absent = keys.clock(key);
        keys.write(text(key, "next", absent));
        is_refused(absent); // it came back meanwhile
        is_refused(removed);
      }
      AND_WHEN("the one that removed it goes on, so may it") {
        keys.write(text(key, "next", removed));
      }
      AND_WHEN("its removal is forgotten, and a later one of another key") {
        for (auto* name : {"w", "x", "y", "z"}) {
          keys.write(text(named(name), name));
          keys.write(remove_key{named(name)});
        }
        REQUIRE(keys.table.answer(count_entries{}).strong.tombstones == 0);
        THEN("what was read before is refused all the same") {
          is_refused(read);
          is_refused(removed); // nobody can tell that nothing came after it
          keys.write(text(key, "next", keys.clock(key)));
        }
      }
      AND_WHEN("it comes and goes") {
        auto absent = keys.clock(key);
        keys.write(text(key, "next"));
        keys.write(remove_key{key});
        THEN("a writer that read that nothing is there is refused") {
          is_refused(absent);
          is_refused({});
        }
      }
    }
    WHEN("its time runs out") {
      keys.pass(10s);
      REQUIRE(keys.texts(key).empty());
      THEN("what was read before is refused, what was read after is not") {
        is_refused(read);
        keys.write(text(key, "next", keys.clock(key)));
      }
    }
    WHEN("other keys change, a writer may go on") {
      for (auto* value : {"1", "2", "3", "4", "5"})
        keys.write(text(named("x"), value));
      keys.write(text(key, "mine", read));
    }
  }
  GIVEN("a writer that read that nothing is there") {
    calendar_table keys{{.max_changes = 3}};
    auto absent = keys.clock(one);
    WHEN("others put, it may go on") {
      for (auto* value : {"1", "2", "3", "4", "5"})
        keys.write(text(named("x"), value));
      keys.write(text(one, "mine", absent));
    }
    WHEN("somebody puts, it is refused") {
      keys.write(text(one, "theirs"));
      CHECK(keys.refusal(text(one, "mine", absent)).code == errc::conflict);
    }
  }
}

SCENARIO("at level strong what was read before a restore is refused", "[state]") {
  GIVEN("a backup, and a writer that read something after it") {
    calendar_table keys;
    auto at_backup = keys.write(text(one, "old")).clock;
    auto backup = keys.table.snapshot();
    auto absent = keys.clock(other_one);
    auto lost = keys.write(text(one, "new")).clock;
    auto lost_removal = keys.write(remove_key{one}).clock;
    WHEN("the backup is restored") {
      keys.table.restore(keys.now, backup);
      keys.configure({}, 1'000);
      THEN("whatever was read before is refused") {
        for (auto& each : {at_backup, lost, lost_removal}) {
          auto why = keys.refusal(text(one, "mine", each));
          CHECK(why.code == errc::conflict);
          CHECK_THAT(why.detail, ContainsSubstring("read it again"));
        }
        CHECK(keys.refusal(text(other_one, "mine", absent)).code == errc::conflict);
      }
      THEN("that is so at each replica, also one that was away") {
        calendar_table replica;
        replica.table.restore(keys.now, keys.table.snapshot());
        replica.now = keys.now;
        CHECK(replica.refusal(text(one, "mine", at_backup)).code == errc::conflict);
        CHECK(replica.refusal(text(other_one, "mine", absent)).code == errc::conflict);
      }
      THEN("what is read afterwards counts, though the floor is said again") {
        auto now = keys.clock(one);
        keys.configure({}, 1'000);
        keys.write(text(one, "mine", now));
        keys.write(text(other_one, "mine", keys.clock(other_one)));
      }
    }
  }
}

TEST_CASE("the same text at another level or of another type is another key", "[state]") {
  calendar_table keys;
  for (auto& key : {last, all, highest, one})
    keys.write(text(key, to_text(key)));
  for (auto& key : {last, all, highest, one})
    CHECK(keys.texts(key) == texts{to_text(key)});
  CHECK(keys.table.answer(list_keys{}).keys.size() == 4);
}

TEST_CASE("a clock of another life is refused", "[state]") {
  calendar_table keys;
  keys.write(text(last, "one"));
  vector_clock stranger;
  stranger.raise("b", 1);
  CHECK(keys.refusal(text(last, "two", stranger)).code == errc::conflict);
  vector_clock ahead;
  ahead.raise("a", 99);
  CHECK(keys.refusal(text(last, "two", ahead)).code == errc::conflict);
  CHECK(keys.texts(last) == texts{"one"});
}

TEST_CASE("a clock takes no more room than what it tells apart", "[state]") {
  calendar_table keys;
  keys.write(text(all, "one"));
  for (auto* each : {"x", "y", "z"})
    keys.write(text(last, each));
  vector_clock many;
  for (std::uint64_t each = 2; each < 6; ++each)
    many.add("a", each);
  auto made = keys.write(text(all, "two", many));
  CHECK(keys.texts(all) == texts{"two"});
  CHECK(keys.table.answer(get{all}).entries.at(0).context.dots().empty());
  CHECK(made.clock.dots().empty());
}

// -- time --------------------------------------------------------------------------------

SCENARIO("a value with a time to live goes when the calendar has passed its end", "[state]") {
  GIVEN("a value for ten seconds") {
    calendar_table keys;
    auto what = text(last, "short");
    what.ttl = 10s;
    auto made = keys.write(what);
    CHECK(made.expires_at == keys.today + 10s);
    CHECK(keys.table.next_wall_deadline() == made.expires_at);
    CHECK_FALSE(keys.table.next_deadline());
    WHEN("nine seconds have passed") {
      CHECK(keys.pass(9s).empty());
      THEN("it stands, and a second later it does not") {
        CHECK(keys.texts(last) == texts{"short"});
        CHECK(keys.pass(1s) == effects{expired{last, made.version}});
        CHECK(keys.texts(last).empty());
        CHECK_FALSE(keys.table.next_wall_deadline());
        CHECK(keys.table.answer(count_entries{}).eventual.expiries == 1);
      }
    }
    WHEN("it is written again without") {
      keys.write(text(last, "for good"));
      CHECK(keys.pass(1h).empty());
      CHECK(keys.texts(last) == texts{"for good"});
    }
    WHEN("only machine time passes, as nobody knows the calendar") {
      keys.now += 1h;
      effects out;
      keys.table.tick(keys.now, out);
      CHECK(out.empty());
      CHECK(keys.texts(last) == texts{"short"});
    }
    WHEN("the calendar is set back, it is held") {
      keys.pass(9s);
      keys.today -= 1h;
      CHECK(keys.pass(0s).empty());
      auto next = text(named("next"), "n");
      next.ttl = 1s;
      CHECK(keys.write(next).written_at >= made.written_at + 9s);
    }
  }
  GIVEN("two siblings, one of them for ten seconds") {
    calendar_table keys;
    auto what = text(all, "short");
    what.ttl = 10s;
    keys.write(what);
    keys.write(text(all, "for good"));
    WHEN("they have passed, only that one goes") {
      CHECK(keys.pass(10s).size() == 1);
      CHECK(keys.texts(all) == texts{"for good"});
      auto log = watch(keys, {.after = keys.table.answer(count_entries{}).revision - 1});
      REQUIRE(log.changes.size() == 1);
      CHECK(log.changes[0].kind == change_kind::expired);
      CHECK(log.changes[0].entries.size() == 1);
    }
  }
}

TEST_CASE("stamps go on with machine time between two looks at the calendar", "[state]") {
  calendar_table keys;
  keys.pass(1h);
  keys.now += 5s;
  auto first = keys.write(text(last, "one"));
  CHECK(first.written_at == keys.today + 5s);
  auto second = keys.write(text(last, "two"));
  CHECK(second.written_at > first.written_at); // of one moment, and still above
  auto what = text(last, "three");
  what.ttl = 10s;
  CHECK(keys.write(what).expires_at == keys.today + 15s);
}

TEST_CASE("stamps never go back, also where the calendar is behind machine time", "[state]") {
  calendar_table keys;
  keys.pass(1h);
  keys.now += 5s;
  auto first = keys.write(text(named("one"), "1"));
  CHECK(keys.ask(wall{keys.today += 1s}).empty()); // of those five seconds
  CHECK(keys.write(text(named("two"), "2")).written_at == first.written_at);
  keys.now += 10s;
  CHECK(keys.write(text(named("three"), "3")).written_at == keys.today + 10s);
}

TEST_CASE("a time to live may end with the calendar itself", "[state]") {
  calendar_table keys{{.max_ttl = duration::max()}};
  keys.pass(1h);
  auto what = text(last, "long");
  what.ttl = duration::max();
  CHECK(keys.write(what).expires_at == wall_time::max());
}

TEST_CASE("of many values that end at once each step takes some, and the rest is due", "[state]") {
  calendar_table keys;
  keys.pass(1h);
  for (auto each = 0; each < 1'500; ++each) {
    auto what = text(named(std::to_string(each)), "short");
    what.ttl = 1s;
    keys.write(what);
  }
  CHECK(keys.pass(2s).size() == 1'000);
  REQUIRE(keys.table.next_wall_deadline());
  CHECK(*keys.table.next_wall_deadline() <= keys.today);
  CHECK(keys.pass({}).size() == 500);
  CHECK_FALSE(keys.table.next_wall_deadline());
}

// -- watching ----------------------------------------------------------------------------

SCENARIO("a watcher begins with a snapshot and goes on with every change", "[state][watch]") {
  GIVEN("five keys, and pages of two") {
    calendar_table keys;
    for (auto* name : {"a", "b", "c", "d", "e"})
      keys.write(text(named(name), name));
    watch_state question{.limit = 2};
    auto page = watch(keys, question);
    CHECK(page.complete);
    CHECK(page.more);
    REQUIRE(page.changes.size() == 2);
    CHECK(page.changes[1].key.key == "b");
    auto snapshot = page.revision;
    WHEN("keys change before the next page") {
      keys.write(text(named("a"), "a2"));  // was on the page
      keys.write(text(named("d"), "d2"));  // would be on the next
      keys.write(remove_key{named("e")});  // would be on the last
      keys.write(text(named("aa"), "aa")); // behind us by now
      THEN("the pages show further keys as they stand, and what changed of those before") {
        texts heard;
        for (question = question.next(page); page.more; question = question.next(page)) {
          page = watch(keys, question);
          CHECK_FALSE(page.complete);
          for (auto& each : page.changes)
            heard.push_back(each.key.key + (each.revision > snapshot ? " later" : ""));
        }
        CHECK(heard == texts{"c", "a later", "d later", "aa later"});
        CHECK(page.revision == keys.table.answer(count_entries{}).revision);
        CHECK_FALSE(keys.table.has_news(question));
      }
    }
    WHEN("only some keys are in scope, nothing else is told") {
      auto some = watch(keys, {.scope = {.prefix = "c"}});
      REQUIRE(some.changes.size() == 1);
      CHECK_FALSE(some.more);
      watch_state rest{.scope = {.prefix = "c"}, .after = some.revision};
      keys.write(text(named("d"), "d2"));
      CHECK_FALSE(keys.table.has_news(rest));
      keys.write(text(named("cc"), "cc"));
      CHECK(keys.table.has_news(rest));
      CHECK(watch(keys, rest).changes.size() == 1);
    }
    WHEN("one key is in scope, its like are not told") {
      keys.write(text(named("cc"), "cc"));
      auto some = watch(keys, {.scope = only(named("c"))});
      REQUIRE(some.changes.size() == 1);
      CHECK(some.changes[0].key == named("c"));
    }
  }
}

TEST_CASE("a watcher waits through what is out of its scope, but not for ever", "[state][watch]") {
  calendar_table keys;
  keys.write(text(named("a"), "a"));
  watch_state question{.scope = {.prefix = "a"},
                       .after = keys.table.answer(count_entries{}).revision};
  for (std::size_t each = 0; each < max_passed_over; ++each)
    keys.write(text(named("b" + std::to_string(each)), "b"));
  CHECK_FALSE(keys.table.has_news(question));
  keys.write(text(named("b"), "b"));
  CHECK(keys.table.has_news(question)); // so that its place does not get too old
  auto page = watch(keys, question);
  CHECK(page.changes.empty());
  CHECK_FALSE(keys.table.has_news(question.next(page)));
}

TEST_CASE(
  "a page leads a watcher past so many changes out of its scope, whether they are kept or not",
  "[state][watch]") {
  calendar_table keys{{.max_changes = 2}};
  keys.write(text(named("a"), "a"));
  auto start = keys.table.answer(count_entries{}).revision;
  for (std::size_t each = 0; each <= max_passed_over; ++each)
    keys.write(text(named("b" + std::to_string(each)), "b"));
  auto page = watch(keys, {.scope = {.prefix = "a"}, .after = start});
  CHECK(page.changes.empty());
  CHECK(page.more);
  CHECK(page.revision == start + max_passed_over);
}

TEST_CASE("what changed is told by topics, as long as no removal is forgotten", "[state][watch]") {
  calendar_table keys{{.max_changes = 1}};
  auto topics = [&keys](std::uint64_t mark) -> std::optional<texts> {
    texts found;
    auto take = [&found](const std::string& each) {
      found.push_back(each);
      return true;
    };
    return keys.table.for_each_topic(mark, take) ? std::optional{found} : std::nullopt;
  };
  auto start = keys.table.change_mark();
  keys.write(text(named("x"), "x"));
  keys.write(text(named("y"), "y"));
  CHECK(topics(start) == texts{"x", "y"});
  CHECK(topics(start + 1) == texts{"y"});
  keys.write(remove_key{named("x")});
  CHECK(topics(start) == texts{"y", "x"});
  keys.write(remove_key{named("y")});
  CHECK_FALSE(topics(start)); // who waits for x is not found by what is left
  CHECK(topics(keys.table.change_mark()) == texts{});
}

TEST_CASE("a watcher that is further behind than changes are kept is told how keys stand",
          "[state][watch]") {
  auto of_three = GENERATE(state_options{.max_changes = 3}, state_options{.max_change_bytes = 20});
  calendar_table keys{of_three};
  auto start = keys.write(text(last, "start")).version;
  keys.write(text(named("gone"), "1"));
  keys.write(text(named("x"), "1"));
  keys.write(text(last, "two"));
  keys.write(text(named("x"), "2"));
  keys.write(remove_key{named("gone")});
  for (auto* each : {"3", "4", "5", "6", "7", "8", "9"})
    keys.write(text(named("x"), each));
  auto page = watch(keys, {.after = start});
  CHECK_FALSE(page.complete);
  CHECK_FALSE(page.more);
  REQUIRE(page.changes.size() == 3); // in the order of their last changes
  CHECK(page.changes[0].key == last);
  CHECK(page.changes[1].key == named("gone"));
  CHECK(page.changes[1].kind == change_kind::removed);
  CHECK(page.changes[2].key == named("x"));
  CHECK(to_text(page.changes[2].entries.at(0).value) == "9");
  CHECK(page.revision == keys.table.answer(count_entries{}).revision);
}

TEST_CASE("a watcher that missed more removals than are remembered begins anew", "[state][watch]") {
  calendar_table keys{{.max_changes = 2}};
  for (auto* name : {"a", "b", "c", "d"})
    keys.write(text(named(name), name));
  auto start = keys.table.answer(count_entries{}).revision;
  keys.write(remove_key{named("a")});
  keys.write(remove_key{named("b")});
  CHECK(watch(keys, {.after = start}).changes.size() == 2);
  SECTION("after it") {
    keys.write(remove_key{named("c")});
    auto anew = watch(keys, {.after = start});
    CHECK(anew.complete);
    CHECK(anew.changes.size() == 1);
    CHECK(keys.table.has_news({.after = start}));
    CHECK_FALSE(watch(keys, {.after = start + 1}).complete); // has heard of the first
  }
  SECTION("in the middle of a snapshot") {
    watch_state question{.limit = 1};
    auto page = watch(keys, question);
    REQUIRE(page.rest == named("c"));
    for (auto* name : {"x", "y", "z"}) {
      keys.write(text(named(name), name));
      keys.write(remove_key{named(name)});
    }
    auto anew = watch(keys, question.next(page));
    CHECK(anew.complete);
    REQUIRE(anew.changes.size() == 1);
    CHECK(anew.changes[0].key.key == "c");
  }
}

TEST_CASE("a watcher from a lost past or future begins anew", "[state][watch]") {
  calendar_table keys;
  auto known = keys.write(text(last, "one")).version;
  CHECK(watch(keys, {.after = known + 1}).complete);
  keys.configure({}, 1'000); // restored, say, from a backup
  CHECK(watch(keys, {.after = known}).complete);
  CHECK(watch(keys, {.after = 999}).complete);
  CHECK(keys.write(text(last, "two")).version == 1'001);
  CHECK(keys.table.answer(count_entries{}).replica == "a");
}

TEST_CASE("of removed keys the last ones are remembered", "[state][watch]") {
  auto tombstones
    = [](calendar_table& keys) { return keys.table.answer(count_entries{}).causal.tombstones; };
  SECTION("by number") {
    calendar_table keys{{.max_changes = 2}};
    auto seen = keys.write(text(all, "one")).clock;
    keys.write(remove_key{all});
    for (auto* each : {"1", "2", "3", "4"})
      keys.write(text(named("x"), each)); // what else changes does not count
    CHECK(tombstones(keys) == 1);
    CHECK_FALSE(keys.clock(all).empty());
    keys.write(remove_key{named("x")});
    keys.write(text(named("y"), "y"));
    keys.write(remove_key{named("y")});
    CHECK(tombstones(keys) == 0);
    CHECK(keys.clock(all).empty());
    keys.write(text(all, "two", seen)); // a writer that knew it may go on
    CHECK(keys.texts(all) == texts{"two"});
  }
  SECTION("by the bytes of keys") {
    calendar_table keys{{.max_change_bytes = 100}};
    keys.write(text(all, "one"));
    keys.write(remove_key{all});
    auto longer = named(std::string(100, 'x'));
    keys.write(text(longer, "x"));
    CHECK(tombstones(keys) == 1);
    keys.write(remove_key{longer});
    CHECK(tombstones(keys) == 0);
  }
  SECTION("and one that came back is no longer among them") {
    calendar_table keys{{.max_changes = 1}};
    keys.write(text(all, "one"));
    keys.write(remove_key{all});
    keys.write(text(all, "two"));
    keys.write(text(named("x"), "x"));
    keys.write(remove_key{named("x")});
    CHECK(keys.texts(all) == texts{"two"});
  }
}

// -- lists and counts ----------------------------------------------------------------------

TEST_CASE("keys are listed in pages, in their order", "[state]") {
  calendar_table keys;
  for (auto* name : {"b", "a", "ab", "c"})
    keys.write(text(named(name), name));
  keys.write(text(one, "s"));
  keys.write(text({consistency::causal, value_type::mv_register, "ab"}, "s"));
  texts heard;
  list_keys question{.limit = 2};
  for (auto more = true; more;) {
    auto page = keys.table.answer(question);
    for (auto& each : page.keys)
      heard.push_back(to_text(each.key));
    more = page.more;
    question.after = page.keys.back().key;
  }
  CHECK(heard
        == texts{"eventual lww_register a", "eventual lww_register ab", "eventual lww_register b",
                 "eventual lww_register c", "causal mv_register ab", "strong lww_register k"});
  CHECK(keys.table.answer(list_keys{.scope = {.prefix = "ab"}}).keys.size() == 2);
  CHECK(keys.table.answer(list_keys{.scope = {.level = consistency::strong}}).keys.size() == 1);
  CHECK(keys.table.answer(list_keys{.scope = {.type = value_type::mv_register}}).keys.size() == 1);
  CHECK(keys.table.answer(list_keys{.scope = {.key = "a"}}).keys.size() == 1);
  keys.write(remove_key{named("a")});
  CHECK(keys.table.answer(list_keys{.scope = {.key = "a"}}).keys.empty());
}

TEST_CASE("keys, bytes, siblings and what happened are counted by level", "[state]") {
  calendar_table keys;
  keys.write(text(all, "12345"));
  keys.write(text(all, "1234"));
  keys.write(text(one, "123"));
  keys.write(remove_key{one});
  auto counts = keys.table.answer(count_entries{});
  CHECK(counts.causal
        == level_counts{.keys = 1, .siblings = 1, .bytes = 11, .puts = 2, .conflicts = 1});
  CHECK(counts.strong == level_counts{.tombstones = 1, .puts = 1, .removals = 1});
  CHECK(counts.eventual == level_counts{});
  CHECK(counts.changes == 4);
}

// -- refusals ------------------------------------------------------------------------------

TEST_CASE("what lies outside the contract is refused by name", "[state]") {
  calendar_table keys{{.max_keys = 2,
                       .max_key_bytes = 8,
                       .max_value_bytes = 64,
                       .max_bytes = 100,
                       .max_siblings = 2,
                       .max_ttl = 60s}};
  keys.write(text(all, "one"));
  keys.write(text(all, "two"));
  keys.write(text(last, std::string(60, 'x')));
  vector_clock wide;
  for (std::size_t each = 0; each <= vector_clock::max_replicas; ++each)
    wide.raise("n" + std::to_string(each), 1);
  vector_clock nameless;
  nameless.raise("", 1);
  auto lasting = [](duration ttl) {
    auto what = text(last, "v");
    what.ttl = ttl;
    return what;
  };
  auto damaged = text(last, "v");
  damaged.content = sha256("w");
  auto intact = text(last, "v");
  intact.content = sha256("v");
  constexpr auto no_level = static_cast<consistency>(9);
  constexpr auto no_type = static_cast<value_type>(9);
  const std::vector<std::pair<event, errc>> cases = {
    {text(named(""), "v"), errc::bad_argument},
    {text(named("\xff"), "v"), errc::bad_argument},
    {text(named("123456789"), "v"), errc::too_large},
    {text({no_level, value_type::lww_register, "k"}, "v"), errc::bad_argument},
    {text({consistency::eventual, no_type, "k"}, "v"), errc::bad_argument},
    {text({consistency::strong, value_type::mv_register, "k"}, "v"), errc::bad_argument},
    {text(last, std::string(65, 'x')), errc::too_large},
    {lasting(0s), errc::bad_argument},
    {lasting(-1s), errc::bad_argument},
    {lasting(61s), errc::bad_argument},
    {damaged, errc::damaged},
    {text(last, "v", wide), errc::too_large},
    {text(last, "v", nameless), errc::bad_argument},
    {text(all, "three"), errc::limit_reached},                               // two siblings already
    {text(one, "v"), errc::limit_reached},                                   // two keys already
    {text(all, std::string(50, 'x'), keys.clock(all)), errc::limit_reached}, // of 100 bytes
    {remove_key{named("")}, errc::bad_argument},
    {remove_key{named("none")}, errc::not_found},
    {remove_key{all, {}, wide}, errc::too_large},
  };
  for (std::size_t index = 0; index < cases.size(); ++index) {
    INFO("case " << index);
    auto why = keys.refusal(cases[index].first);
    CHECK(why.code == cases[index].second);
    CHECK(why.detail.find(';') != std::string::npos); // what to do about it
  }
  CHECK(keys.refusal(intact).code == errc::none);
  CHECK(keys.refusal(text(all, "both", keys.clock(all))).code == errc::none);
}

TEST_CASE("a refusal says what was wrong and what to do", "[state]") {
  calendar_table keys{{.max_value_bytes = 4}};
  CHECK(keys.refusal(text(last, "12345")).detail
        == "value has 5 bytes; give at most 4 (state_options::max_value_bytes)");
  auto version = keys.write(text(last, "one")).version;
  CHECK(keys.refusal(put{.key = last, .expect_version = 0}).detail
        == "eventual lww_register k has version " + std::to_string(version)
             + ", expected was 0; read it again");
  auto long_name = named(std::string(500, 'k'));
  CHECK_THAT(keys.refusal(remove_key{long_name}).detail, ContainsSubstring("kkk... (500 bytes)"));
}

TEST_CASE("what is refused changes nothing", "[state]") {
  calendar_table keys{{.max_siblings = 1}};
  keys.write(text(all, "one"));
  auto before = keys.table.snapshot();
  CHECK(keys.refusal(text(all, "two")).code == errc::limit_reached);
  CHECK(keys.refusal(put{.key = all, .expect_version = 99}).code == errc::conflict);
  CHECK(keys.refusal(remove_key{last}).code == errc::not_found);
  CHECK(keys.table.snapshot() == before);
}

TEST_CASE("a snapshot does not show what came after it", "[state][snapshot]") {
  calendar_table keys{{.max_changes = 2}};
  keys.write(text(last, "one"));
  keys.write(text(all, "one"));
  keys.write(text(highest, "one"));
  keys.write(put{.key = one, .value = to_value("short"), .ttl = 10s});
  keys.write(text(named("gone"), "one"));
  keys.write(remove_key{named("gone")});
  auto frozen = keys.table.snapshot();
  const auto bytes = to_bytes(frozen);

  keys.write(text(last, "two"));
  keys.write(text(all, "a sibling"));
  keys.write(remove_key{highest});
  keys.pass(1min); // one is over
  keys.write(text(named("new"), "one"));
  keys.write(text(named("gone"), "back"));
  CHECK_FALSE(keys.table.snapshot() == frozen);
  CHECK(to_bytes(frozen) == bytes);

  SECTION("nor does it lose what the table forgets") {
    keys.table.restore(keys.now, {});
    CHECK(to_bytes(frozen) == bytes);
  }
  SECTION("and a table that goes on from it leaves it as it is") {
    keys.table.restore(keys.now, frozen);
    keys.write(text(last, "three"));
    CHECK(to_bytes(frozen) == bytes);
  }
}

TEST_CASE("a frozen key is written and compared as what it holds", "[state][snapshot]") {
  calendar_table keys;
  keys.write(text(all, "one"));
  keys.write(text(all, "a sibling"));
  auto frozen = keys.table.snapshot().keys.at(0);
  CHECK(to_bytes(frozen) == to_bytes(*frozen));
  auto read = from_bytes<frozen_key>(to_bytes(*frozen));
  REQUIRE(read);
  CHECK(*read == frozen);
  CHECK_FALSE(*read == frozen_key{});
  CHECK(frozen_key{} == frozen_key{saved_key{}});
}

TEST_CASE("lowered bounds take nothing back", "[state]") {
  calendar_table keys;
  keys.write(text(named("a"), "12345"));
  keys.write(text(named("b"), "12345"));
  keys.configure({.max_keys = 1, .max_value_bytes = 1, .max_bytes = 1});
  CHECK(keys.texts(named("a")) == texts{"12345"});
  CHECK(keys.refusal(text(named("c"), "1")).code == errc::limit_reached);
  CHECK(keys.refusal(text(named("a"), "1")).code == errc::none); // less than before
  CHECK(keys.refusal(remove_key{named("b")}).code == errc::none);
}

TEST_CASE("a table is born with a name of its own", "[state]") {
  state_table table;
  effects out;
  table.step({}, 0, configure{{.replica = std::string(65, 'x')}, 1'234}, out);
  CHECK(table.answer(count_entries{}).replica == "r1234");
  table.step({}, 0, configure{{.replica = "other"}, 0}, out);
  CHECK(table.answer(count_entries{}).replica == "r1234"); // for life
}

} // namespace state_table_test
