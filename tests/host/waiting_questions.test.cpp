// Which questions a change is looked at for, and how many answers are given at once.

#include "troupe/host/waiting_questions.hpp" // the header under test
#include "state/calendar_table.hpp"
#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace waiting_questions_test {

using namespace std::literals;
using namespace troupe;
using host::waiting_questions;
using test::calendar_table;
using texts = std::vector<std::string>;

namespace {

constexpr waiting_questions::time_point start{};

/// Questions that write down what became of them.
class notebook {
public:
  void add(const std::string& name, std::optional<interest> about,
           std::chrono::seconds span = 30s) {
    waiting.add({std::move(about),
                 [this](std::uint64_t seen) {
                   asked_after = seen;
                   return has_news;
                 },
                 [this, name](std::uint64_t seen) {
                   heard.push_back(name + (seen != 0 ? " after " + std::to_string(seen) : ""));
                 },
                 [this, name](const problem&) { heard.push_back(name + " refused"); },
                 start + span});
  }

  texts take() {
    while (waiting.answer_some(1))
      ;
    return std::exchange(heard, {});
  }

  waiting_questions waiting;
  bool has_news = true;
  std::uint64_t asked_after = 0;
  texts heard;
};

state::entry_key key(const std::string& text) {
  return {state::consistency::strong, state::value_type::lww_register, text};
}

/// A table, and watchers that wait for news of it as at a service.
class watched_table {
public:
  watched_table() {
    waiting.seen(table.table.change_mark());
  }

  void watch(const state::key_scope& scope) {
    state::watch_state question{.scope = scope, .after = table.table.change_mark()};
    auto answer = [this, question](std::uint64_t seen) {
      auto page = table.table.answer(question.later(seen));
      REQUIRE(page);
      for (auto& each : page->changes)
        heard.push_back(each.key.key);
    };
    waiting.add(
      {question.about(),
       [this, question](std::uint64_t seen) { return table.table.has_news(question.later(seen)); },
       answer, [](const problem&) {}, start + 30s});
  }

  void put(const std::string& text) {
    table.write(state::put{.key = key(text)});
    auto look = [this](const std::string& topic) {
      waiting.look(topic);
      return true;
    };
    CHECK(table.table.for_each_topic(waiting.seen(), look));
    waiting.seen(table.table.change_mark());
    while (waiting.answer_some(100))
      ;
  }

  calendar_table table;
  waiting_questions waiting;
  texts heard;
};

} // namespace

TEST_CASE("a change is looked at for the questions that it concerns", "[host][watch]") {
  notebook all;
  all.add("one key", interest{"ab", true});
  all.add("all", interest{});
  all.add("some", interest{"a"});
  all.add("others", interest{"b"});
  all.add("any change", std::nullopt);
  SECTION("by what they wait for") {
    all.waiting.look("ab");
    CHECK(all.take() == texts{"one key", "all", "some"});
    CHECK(all.waiting.looks() == 3);
    all.waiting.look("abc");
    CHECK(all.take().empty());
    all.waiting.look("b");
    CHECK(all.take() == texts{"others"});
    all.waiting.look();
    CHECK(all.take() == texts{"any change"});
    CHECK(all.waiting.size() == 0);
  }
  SECTION("and those without news wait on") {
    all.has_news = false;
    all.waiting.look("ab");
    CHECK(all.take().empty());
    CHECK(all.waiting.size() == 5);
    all.has_news = true;
    all.waiting.seen(7);
    all.waiting.look("ab");
    CHECK(all.asked_after == 7);
    CHECK(all.take() == texts{"one key after 7", "all after 7", "some after 7"});
  }
  SECTION("or for all, where nobody knows what changed") {
    all.waiting.look_at_all();
    CHECK(all.take().size() == 5);
  }
}

TEST_CASE("a question that has waited long enough is answered, with news or without",
          "[host][watch]") {
  notebook all;
  all.has_news = false;
  all.add("later", interest{"a"}, 20s);
  all.add("sooner", interest{"a"}, 10s);
  all.add("last", std::nullopt, 30s);
  CHECK(all.waiting.next_deadline() == start + 10s);
  all.waiting.tick(start + 9s);
  CHECK(all.take().empty());
  all.waiting.tick(start + 20s);
  CHECK(all.take() == texts{"sooner", "later"});
  CHECK(all.waiting.next_deadline() == start + 30s);
  all.waiting.tick(start + 30s);
  CHECK(all.take() == texts{"last"});
  CHECK_FALSE(all.waiting.next_deadline());
}

TEST_CASE("answers are given in pieces, and all are refused when the service ends",
          "[host][watch]") {
  notebook all;
  for (auto* name : {"a", "b", "c", "d", "e"})
    all.add(name, interest{});
  all.has_news = false;
  all.add("f", interest{});
  all.waiting.look("x");
  CHECK(all.waiting.size() == 6);
  all.has_news = true;
  all.waiting.look("x");
  CHECK(all.waiting.answer_some(2));
  CHECK(std::exchange(all.heard, {}) == texts{"a", "b"});
  CHECK(all.waiting.size() == 4);
  all.add("g", interest{"y", true});
  all.waiting.refuse_all({errc::busy, "it ends"});
  CHECK(all.heard == texts{"c refused", "d refused", "e refused", "f refused", "g refused"});
  CHECK(all.waiting.size() == 0);
}

TEST_CASE("a put costs nothing for watchers of other keys, however many there are",
          "[host][watch][state]") {
  watched_table keys;
  for (int each = 0; each < 10'000; ++each)
    keys.watch(state::only(key("own-" + std::to_string(each))));
  for (int each = 0; each < 1'000; ++each)
    keys.put("other-" + std::to_string(each));
  CHECK(keys.waiting.looks() == 0);
  CHECK(keys.heard.empty());
  keys.put("own-17");
  CHECK(keys.waiting.looks() == 1);
  CHECK(keys.heard == texts{"own-17"}); // without a look at the thousand changes before
  CHECK(keys.waiting.size() == 9'999);
}

// How: watchers of random scopes over keys of few letters; each is asked about exactly the
// changes that are in its scope.
TEST_CASE("of each change those watchers hear whose scope it is in", "[host][watch][property]") {
  test::for_each_seed(50, [](test::random_source random) {
    auto word = [&random] {
      std::string result;
      for (auto letters = random.below(4); letters > 0; --letters)
        result += static_cast<char>('a' + random.below(2));
      return result;
    };
    watched_table keys;
    for (int round = 0; round < 100; ++round) {
      std::vector<state::key_scope> scopes;
      for (auto more = random.below(6); more > 0; --more) {
        auto text = word();
        scopes.push_back(random.one_in(2) && !text.empty() ? state::only(key(text))
                                                           : state::key_scope{.prefix = text});
        keys.watch(scopes.back());
      }
      auto changed = 'x' + word();
      changed = random.one_in(3) ? changed : changed.substr(1) + "a";
      std::size_t concerned = 0;
      for (auto& each : scopes)
        concerned += contains(each, key(changed)) ? 1 : 0;
      auto before = keys.waiting.looks();
      keys.put(changed);
      REQUIRE(keys.heard.size() == concerned);
      REQUIRE(keys.waiting.looks() - before == concerned);
      keys.heard.clear();
      keys.waiting.refuse_all({errc::busy, "the next round"});
    }
  });
}

} // namespace waiting_questions_test
