#include "troupe/host/plain_machine.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/host/journaled.hpp"
#include "troupe/host/replicated_core.hpp"

namespace plain_machine_test {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

struct put_aside {
  using result = std::uint64_t;

  std::string what;
  std::uint64_t count = 1;

  TROUPE_FIELDS(put_aside, what, count);
};

struct name_of_latest {
  using result = std::string;

  TROUPE_FIELDS(name_of_latest);
};

struct count_again {
  using result = std::uint64_t; // as put_aside

  TROUPE_FIELDS(count_again);
};

struct how_many {
  using result = std::uint64_t;

  std::string what;
};

struct how_many_kinds {
  using result = std::uint64_t;
};

struct shelf_state {
  std::map<std::string, std::uint64_t> things;
  std::string latest;
  time_point at{};

  TROUPE_FIELDS(shelf_state, things, latest, at);
};

struct shelf_options {
  std::uint64_t most = 2;

  TROUPE_FIELDS(shelf_options, most);
};

struct shelf
  : host::plain_machine<shelf, shelf_state, host::commands<put_aside, name_of_latest, count_again>,
                        host::queries<how_many, how_many_kinds>, shelf_options> {
  static constexpr std::uint32_t rules = 2;

  result<std::uint64_t> apply(const put_aside& what, time_point now) {
    auto& found = state().things[what.what];
    if (found + what.count > options().most)
      return problem{errc::limit_reached, "the shelf is full"};
    state().latest = what.what;
    state().at = now;
    return found += what.count;
  }

  std::string apply(const name_of_latest&) {
    return state().latest;
  }

  std::uint64_t apply(const count_again&) {
    return rules_in_force() < 2 ? 0 : state().things.size();
  }

  result<std::uint64_t> answer(const how_many& what) const {
    auto found = state().things.find(what.what);
    if (found == state().things.end())
      return problem{errc::not_found, "there is none"};
    return found->second;
  }

  std::uint64_t answer(const how_many_kinds&) const {
    return state().things.size();
  }

  [[nodiscard]] time_point last_change() const {
    return state().at;
  }
};

struct hall_state {
  std::vector<std::optional<std::string>> sold_to;

  TROUPE_FIELDS(hall_state, sold_to);
};

struct hall : host::plain_machine<hall, hall_state, host::commands<count_again>> {
  std::uint64_t apply(const count_again&) {
    return state().sold_to.size();
  }
};

/// Nothing is asked of it.
struct silent : host::plain_machine<silent, std::uint64_t, host::commands<count_again>> {
  std::uint64_t apply(const count_again&) {
    return ++state();
  }
};

template <class Answer>
Answer last(const shelf::effects& all) {
  REQUIRE_FALSE(all.empty());
  auto* found = std::get_if<Answer>(&all.back());
  REQUIRE(found != nullptr);
  return *found;
}

} // namespace

static_assert(machine<shelf> && host::journaled<shelf>);
static_assert(machine<silent> && host::journaled<silent>);
// Two commands with one type of result have one kind of answer.
static_assert(std::variant_size_v<effect_of<shelf>> == 3);

TEST_CASE("a plain machine answers each command at once, with its value or its refusal") {
  shelf subject;
  shelf::effects out;
  subject.step(time_point{1s}, 7, put_aside{"cup", 2}, out);
  CHECK(last<answered<std::uint64_t>>(out) == answered<std::uint64_t>{7, 2});
  subject.step(time_point{2s}, 8, put_aside{"cup", 1}, out);
  CHECK(last<refused>(out).id == 8);
  CHECK(last<refused>(out).why.code == errc::limit_reached);
  subject.step(time_point{3s}, 9, name_of_latest{}, out);
  CHECK(last<answered<std::string>>(out) == answered<std::string>{9, "cup"});
  CHECK(out.size() == 3);
  CHECK(subject.last_change() == time_point{1s});
  CHECK(subject.answer(how_many{"cup"}).value() == 2);
  CHECK(subject.answer(how_many{"plate"}).error().code == errc::not_found);
  CHECK(subject.answer(how_many_kinds{}) == 1);
  CHECK_FALSE(subject.next_deadline());
}

TEST_CASE("the options of a plain machine count from the event that brings them") {
  shelf subject;
  shelf::effects out;
  subject.step({}, 0, host::options_are<shelf_options>{{5}}, out);
  CHECK(out.empty());
  subject.step({}, 1, put_aside{"cup", 5}, out);
  CHECK(last<answered<std::uint64_t>>(out).value == 5);
}

TEST_CASE("a plain machine that was restored goes on as the original does") {
  shelf original;
  shelf::effects out;
  original.step({}, 0, host::options_are<shelf_options>{{5}}, out);
  original.use_rules(2);
  original.step({}, 1, put_aside{"cup", 3}, out);
  auto bytes = to_bytes(original.snapshot());
  shelf copy;
  copy.restore({}, from_bytes<shelf::snapshot_type>(bytes).value());
  CHECK(to_bytes(copy.snapshot()) == bytes);
  for (auto* each : {&original, &copy}) {
    out.clear();
    each->step({}, 2, put_aside{"cup", 3}, out);
    CHECK(last<refused>(out).id == 2);
    each->step({}, 3, count_again{}, out);
    CHECK(last<answered<std::uint64_t>>(out).value == 1); // by rules 2
  }
}

TEST_CASE("a plain machine goes by its first rules until the host says otherwise") {
  shelf subject;
  shelf::effects out;
  subject.step({}, 1, put_aside{"cup", 1}, out);
  subject.step({}, 2, count_again{}, out);
  CHECK(last<answered<std::uint64_t>>(out).value == 0);
  subject.use_rules(rules_of<shelf>());
  subject.step({}, 3, count_again{}, out);
  CHECK(last<answered<std::uint64_t>>(out).value == 1);
}

TEST_CASE("a dense state of a plain machine is read as it was written") {
  host::replicated_core<hall> before{7};
  auto saved = before.snapshot();
  saved.inside.state.sold_to.resize(50'000); // a byte each, and 40 in memory
  before.restore({}, saved);
  host::replicated_core<hall> after{8};
  host::replicated_core<hall>::effects out;
  REQUIRE(after.restore_section(before.section(), out).code == errc::none);
  CHECK(after.section() == before.section());
}

} // namespace plain_machine_test
