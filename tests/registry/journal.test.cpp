// Journals of earlier releases, which this one has to go on with. The record table has none: it
// is kept in memory, and nodes put their records again.

#include "router/named_nodes.hpp"
#include "support/journal_fixture.hpp"
#include "troupe/registry/name_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <utility>
#include <vector>

namespace journal_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::registry::names;
using registry::name_table;
using test::operator""_owner;

namespace {

/// A life of every kind of record.
std::vector<host::record<name_table>> a_life() {
  std::vector<host::record<name_table>> result;
  time_point now{};
  auto add = [&](decltype(host::record<name_table>::what) what) {
    result.push_back({result.size() + 1, now, std::move(what)});
    now += 1s;
  };
  using command = host::command<name_table>;
  add(host::notice<name_table>{configure{{.max_names = 4, .max_batch = 3}, 1'000}});
  add(host::open_session{});
  add(command{{{2}, 1, 0}, claim{{"echo", "ping"}, "n1"_owner, 1}});
  add(command{{{2}, 2, 1}, claim{{"echo"}, "n2"_owner, 1}});    // taken
  add(command{{}, claim{{"ping", "tick"}, "n1"_owner, 2}});     // a later boot
  add(command{{}, claim{{"a", "b", "c", "d"}, "n3"_owner, 1}}); // too many at once
  add(command{{}, release{{"ping", "echo"}, "n2"_owner, 1}});   // not its own
  add(command{{}, release{{"tick"}, "n1"_owner, 2}});
  add(command{{}, claim{{"a", "b"}, "n3"_owner, 1}});
  add(command{{}, owner_gone{"n3"_owner, 1}});
  add(host::notice<name_table>{configure{{}, 5'000}}); // another start
  add(command{{{2}, 3, 2}, claim{{"late"}, "n2"_owner, 1}});
  add(host::open_session{});
  add(host::close_session{{13}});
  return result;
}

} // namespace

TEST_CASE("journals of names of earlier releases are read and come to the same state",
          "[registry][names][journal]") {
  test::check_journal_fixture<name_table>(TROUPE_TESTS_DIR "/data/journals/names-0.1.0.hex",
                                          a_life());
}

} // namespace journal_test
