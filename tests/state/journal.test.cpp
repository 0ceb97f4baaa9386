// Journals of earlier releases, which this one has to go on with.

#include "support/journal_fixture.hpp"
#include "troupe/state/state_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace journal_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;

namespace {

/// A life of every kind of record, on keys of every level.
std::vector<host::record<state_table>> a_life() {
  std::vector<host::record<state_table>> result;
  time_point now{};
  auto add = [&](decltype(host::record<state_table>::what) what) {
    result.push_back({result.size() + 1, now, std::move(what)});
    now += 1s;
  };
  using command = host::command<state_table>;
  using notice = host::notice<state_table>;
  const entry_key colour{consistency::eventual, value_type::lww_register, "colour"};
  const entry_key notes{consistency::causal, value_type::mv_register, "notes"};
  const entry_key leader{consistency::strong, value_type::lww_register, "leader"};
  add(notice{configure{{.max_siblings = 4, .max_changes = 5, .replica = "r1"}, 1'000}});
  add(notice{wall{wall_time{1'000h}}});
  add(host::open_session{});
  add(command{{{3}, 1, 0}, put{.key = colour, .value = to_value("blue")}});
  add(
    command{{{3}, 2, 1}, put{.key = colour, .value = to_value("red"), .expect_version = 1}}); // no
  add(command{{{3}, 3, 1}, put{.key = colour, .value = to_value("green"), .ttl = 30s}});
  add(command{{}, put{.key = notes, .value = to_value("one")}});
  add(command{{}, put{.key = notes, .value = to_value("two")}}); // a sibling
  add(command{
    {}, put{.key = leader, .value = to_value("n1"), .expect_version = 0, .content = sha256("n1")}});
  add(command{{}, put{.key = leader, .value = to_value("n2"), .content = sha256("n3")}}); // no
  add(command{{}, remove_key{.key = notes}});
  add(command{{}, remove_key{.key = notes}}); // nothing is there
  now += 1min;
  add(host::time_passed{});
  add(notice{wall{wall_time{1'000h + 1min}}}); // colour is over
  add(command{{}, put{.key = notes, .value = to_value("three")}});
  add(notice{configure{{}, 5'000}}); // another start
  add(command{{{3}, 4, 3}, put{.key = colour, .value = to_value("white"), .ttl = 1h}});
  add(host::open_session{});
  add(host::close_session{{18}});
  return result;
}

} // namespace

TEST_CASE("journals of state of earlier releases are read and come to the same state",
          "[state][journal]") {
  test::check_journal_fixture<state_table>(TROUPE_TESTS_DIR "/data/journals/state-0.1.0.hex",
                                           a_life());
}

} // namespace journal_test
