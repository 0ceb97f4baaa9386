// Journals of earlier releases, which this one has to go on with.

#include "support/journal_fixture.hpp"
#include "troupe/lock/lock_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <utility>
#include <vector>

namespace journal_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::lock;

namespace {

/// A life of every kind of record.
std::vector<host::record<lock_table>> a_life() {
  std::vector<host::record<lock_table>> result;
  time_point now{};
  auto add = [&](decltype(host::record<lock_table>::what) what) {
    result.push_back({result.size() + 1, now, std::move(what)});
    now += 1s;
  };
  using command = host::command<lock_table>;
  add(host::notice<lock_table>{configure{{}, 1'000}});
  add(host::open_session{});
  add(command{{{2}, 1, 0}, acquire{"db", "ann", 30s, 0s, "Ann"}});
  add(command{{{2}, 2, 0}, acquire{"db", "bob", 30s, 60s}});
  add(command{{{2}, 3, 1}, acquire{"log", "ann", 5s, 0s, "", lock_mode::shared}});
  add(command{{}, acquire{"log", "bob", 60s, 0s, "", lock_mode::shared}});
  add(command{{{2}, 4, 1}, renew{"db", {1'001}, 40s}});
  now += 10s;
  add(host::time_passed{});
  add(command{{{2}, 5, 1}, release{"db", {1'001}}});
  add(command{{}, force_release{"log"}});
  add(command{{}, acquire{"db", "eve", 30s, 90s}});
  add(host::notice<lock_table>{withdraw{11}});
  add(host::open_session{});
  add(host::close_session{{13}});
  return result;
}

} // namespace

TEST_CASE("journals of earlier releases are read and come to the same state", "[lock][journal]") {
  test::check_journal_fixture<lock_table>(TROUPE_TESTS_DIR "/data/journals/locks-0.1.0.hex",
                                          a_life());
}

} // namespace journal_test
