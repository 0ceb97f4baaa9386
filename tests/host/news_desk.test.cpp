#include "troupe/host/news_desk.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "state/calendar_table.hpp"

namespace news_desk_test {

using namespace std::literals;
using namespace troupe;
using state::state_table;
using texts = std::vector<std::string>;

namespace {

state::entry_key key(const std::string& text) {
  return {state::consistency::strong, state::value_type::lww_register, text};
}

/// What a core tells of its machine.
struct table_core {
  void put(const std::string& text) {
    it.write(state::put{.key = key(text)});
    ++at;
  }

  [[nodiscard]] request_id index() const {
    return at;
  }

  [[nodiscard]] std::uint64_t change_mark() const {
    return it.table.change_mark();
  }

  template <class Take>
  [[nodiscard]] bool for_each_topic(std::uint64_t mark, Take take) const {
    ++looks;
    return knows_changes && it.table.for_each_topic(mark, take);
  }

  [[nodiscard]] bool has_news(const state::watch_state& what) const {
    if (throws)
      throw std::runtime_error{"for the test"};
    return it.table.has_news(what);
  }

  test::calendar_table it;
  request_id at = 0;
  bool knows_changes = true;
  bool throws = false;
  mutable int looks = 0;
};

using desk = host::news_desk<state_table, table_core>;

struct asking {
  /// Asks for changes of `text`; what it hears is its keys, or "refused".
  void watch(const std::string& text, duration wait = 30s, const std::string& by = {}) {
    state::watch_state what{.scope = state::only(key(text)), .after = core.change_mark()};
    what.wait = wait;
    it.ask(
      now, what,
      [this](const state::watch_state& asked) {
        auto page = core.it.table.answer(asked);
        REQUIRE(page);
        heard.push_back(page->changes.empty() ? "nothing" : page->changes.front().key.key);
        after = asked.after;
      },
      [this](const problem& why) { heard.push_back(std::string{name_of(why.code)}); }, by);
  }

  /// What was heard since; all answers that are due.
  texts look() {
    while (it.look(now)) {
    }
    return std::exchange(heard, {});
  }

  desk::time_point now{};
  table_core core;
  desk it{core};
  texts heard;
  std::uint64_t after = 0;
};

} // namespace

SCENARIO("a question to a service waits for news", "[host][watch]") {
  asking a;
  a.core.put("old");
  GIVEN("one that does not wait") {
    THEN("it is answered at once, whatever it asks") {
      a.watch("x", 0s);
      CHECK(a.heard == texts{"nothing"});
      auto answered = 0;
      a.it.ask(
        a.now, state::get{key("x")}, [&](const state::get&) { ++answered; }, [](const problem&) {});
      CHECK(answered == 1);
      CHECK(a.it.size() == 0);
    }
  }
  GIVEN("one that has news already") {
    state::watch_state what{.scope = state::only(key("old"))};
    what.wait = 30s;
    auto answered = 0;
    a.it.ask(
      a.now, what, [&](const state::watch_state&) { ++answered; }, [](const problem&) {});
    THEN("it is answered at once") {
      CHECK(answered == 1);
      CHECK(a.it.size() == 0);
    }
  }
  GIVEN("one that waits") {
    a.watch("x");
    CHECK(a.heard.empty());
    CHECK(a.it.size() == 1);
    THEN("a change of something else is none for it, and is looked at once") {
      a.core.put("y");
      auto before = a.core.looks;
      CHECK(a.look().empty());
      CHECK(a.look().empty());
      CHECK(a.core.looks == before + 1);
    }
    THEN("its change is its answer, without a look at the changes before") {
      a.core.put("y");
      CHECK(a.look().empty());
      auto seen = a.core.change_mark();
      a.core.put("x");
      CHECK(a.look() == texts{"x"});
      CHECK(a.after == seen);
      CHECK(a.it.size() == 0);
    }
    THEN("it hears of a change among more than the machine remembers") {
      a.core.put("x");
      a.core.knows_changes = false;
      CHECK(a.look() == texts{"x"});
    }
    THEN("it is answered when its wait is over") {
      CHECK(a.it.next_deadline() == a.now + 30s);
      a.now += 30s;
      CHECK(a.look() == texts{"nothing"});
      CHECK_FALSE(a.it.next_deadline());
    }
    THEN("it is refused when the service ends") {
      a.it.refuse_all({errc::cancelled, "for the test"});
      CHECK(a.heard == texts{std::string{name_of(errc::cancelled)}});
      CHECK(a.it.size() == 0);
    }
  }
  GIVEN("one that would wait for hours") {
    a.watch("x", 10h);
    THEN("it waits for a minute") {
      CHECK(a.it.next_deadline() == a.now + 1min);
    }
  }
  GIVEN("changes that nobody waited for") {
    a.watch("x");
    a.core.put("x");
    CHECK(a.look() == texts{"x"});
    a.core.put("z");
    a.watch("x");
    THEN("who comes later does not make them be looked at") {
      auto before = a.core.looks;
      CHECK(a.look().empty());
      CHECK(a.core.looks == before);
      CHECK(a.it.size() == 1);
    }
  }
}

TEST_CASE("the questions that wait for news are bounded", "[host][watch]") {
  asking a;
  for (std::size_t count = 0; count < desk::max_waiting; ++count)
    a.watch("x");
  CHECK(a.heard.empty());
  a.watch("x");
  CHECK(a.heard == texts{std::string{name_of(errc::limit_reached)}});
  CHECK(a.it.size() == desk::max_waiting);
}

TEST_CASE("of one identity as many questions wait as there is room for others", "[host][watch]") {
  asking a;
  for (std::size_t count = 0; count < desk::max_waiting / 2; ++count)
    a.watch("x", 30s, "ann");
  CHECK(a.heard.empty());
  a.watch("x", 30s, "ann");
  CHECK(std::exchange(a.heard, {}) == texts{std::string{name_of(errc::limit_reached)}});
  a.watch("y", 30s, "bob");
  a.watch("y");
  CHECK(a.heard.empty());
  a.core.put("x");
  CHECK(a.look().size() == desk::max_waiting / 2);
  for (std::size_t count = 0; count < 4'000; ++count)
    a.watch("x", 30s, "ann"); // as hers are answered
  CHECK(a.heard.empty());
  a.it.refuse_all({errc::cancelled, "for the test"});
  CHECK(std::exchange(a.heard, {}).size() == 4'002);
  for (std::size_t count = 0; count < desk::max_waiting / 2; ++count)
    a.watch("x", 30s, "ann");
  CHECK(a.heard.empty());
}

TEST_CASE("answers are given in pieces, between which other messages have their turn",
          "[host][watch]") {
  asking a;
  for (std::size_t count = 0; count < desk::max_answers + 1; ++count)
    a.watch("x");
  a.core.put("x");
  CHECK(a.it.look(a.now));
  CHECK(a.heard.size() == desk::max_answers);
  CHECK_FALSE(a.it.look(a.now));
  CHECK(a.heard.size() == desk::max_answers + 1);
}

TEST_CASE("a machine that throws for a question is asked for its answer", "[host][watch]") {
  asking a;
  desk careful{a.core, true};
  state::watch_state what{.scope = state::only(key("x")), .after = a.core.change_mark()};
  what.wait = 30s;
  auto answered = 0;
  auto ask = [&] {
    careful.ask(
      a.now, what, [&](const state::watch_state&) { ++answered; }, [](const problem&) {});
  };
  a.core.throws = true;
  ask();
  CHECK(answered == 1);
  a.core.throws = false;
  ask();
  CHECK(answered == 1);
  a.core.put("x");
  a.core.throws = true;
  static_cast<void>(careful.look(a.now));
  CHECK(answered == 2);
}

} // namespace news_desk_test
