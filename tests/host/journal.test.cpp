#include "troupe/host/journal.hpp" // the header under test
#include "support/simulated_log.hpp"
#include "troupe/lock/lock_table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

using namespace std::literals;
using namespace troupe;
using namespace troupe::host;
using Catch::Matchers::ContainsSubstring;
using lock::lock_table;

namespace {

/// A journal of `count` acquires behind the configuration.
std::vector<record<lock_table>> a_journal(std::size_t count) {
  std::vector<record<lock_table>> result{{1, {}, notice<lock_table>{lock::configure{}}}};
  while (result.size() <= count) {
    auto number = std::to_string(result.size());
    result.push_back({result.size() + 1, time_point{} + 1ms * static_cast<int>(result.size()),
                      command<lock_table>{{}, lock::acquire{"lock" + number, "ann", 1min}}});
  }
  return result;
}

/// A machine of the next release, as far as a host can see one.
class newer_table : public lock_table {
public:
  static constexpr std::uint32_t rules = 2;

  void use_rules(std::uint32_t number) {
    in_force = number;
  }

  std::uint32_t in_force = 1;
};

} // namespace

TEST_CASE("a long replay tells how far it is", "[host][journal]") {
  test::simulated_log log;
  REQUIRE(log.append(to_stored(a_journal(5'000))).code == errc::none);
  durable_core<lock_table> core;
  std::vector<std::size_t> told;
  REQUIRE(recover(core, log,
                  [&](std::size_t done, std::size_t total) {
                    CHECK(total == 5'001);
                    told.push_back(done);
                  })
            .code
          == errc::none);
  CHECK(told == std::vector<std::size_t>{0, 1'024, 2'048, 3'072, 4'096});
  CHECK(core.index() == 5'001);
}

TEST_CASE("a record that is missing in the middle is named", "[host][journal]") {
  auto records = a_journal(10);
  records.erase(records.begin() + 4);
  test::simulated_log log;
  REQUIRE(log.append(to_stored(records)).code == errc::none);
  durable_core<lock_table> core;
  auto why = recover(core, log);
  CHECK(why.code == errc::damaged);
  CHECK_THAT(why.detail, ContainsSubstring("record 6 follows record 4"));
}

TEST_CASE("a newer release switches the rules by a record", "[host][journal]") {
  durable_core<newer_table> core;
  decltype(core)::effects out;
  core.start({}, out);
  REQUIRE(out.size() == 1);
  auto batch = std::get<durable_core<newer_table>::append>(out.front()).records;
  REQUIRE(batch->size() == 1);
  auto* change = std::get_if<use_rules>(&batch->front().what);
  REQUIRE(change != nullptr);
  CHECK(change->number == 2);
  SECTION("and an older one refuses what was written under them") {
    durable_core<lock_table> older;
    auto why = older.replay({1, {}, use_rules{2}});
    CHECK(why.code == errc::incompatible);
    CHECK_THAT(why.detail, ContainsSubstring("upgrade first"));
  }
  SECTION("and goes on under them after a restart") {
    core.step({}, 0, durable_core<newer_table>::synced{}, out);
    CHECK(core.snapshot().rules == 2);
  }
}
