#include "troupe/sim/laws/ledger.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <map>

#include "support/seeds.hpp"

namespace ledger_test {

using namespace troupe;
using sim::ledger;

TEST_CASE("a ledger lists the numbers that were entered, and how often", "[property]") {
  test::for_each_seed(200, [](random_source random) {
    constexpr std::uint64_t most = 40;
    ledger kept;
    std::map<std::uint64_t, std::uint64_t> times;
    for (auto left = random.below(60); left > 0; --left) {
      auto number = random.below(most);
      ledger::effects out;
      kept.step({}, request_id{left}, sim::enter_number{number}, out);
      ++times[number];
      REQUIRE(out.size() == 1);
    }
    auto all = kept.answer({});
    auto repeated = kept.answer({.repeated = true}).repeated;
    CHECK(repeated == all.repeated);
    std::size_t runs = 0;
    for (std::uint64_t number = 0; number <= most; ++number) {
      auto entered = times.contains(number);
      CHECK(all.contains(number) == entered);
      runs += entered && (number == 0 || !times.contains(number - 1)) ? 1 : 0;
      auto found = repeated.find(number);
      CHECK((found == repeated.end() ? 1 : found->second) == (entered ? times[number] : 1));
    }
    CHECK(all.runs.size() == runs);
  });
}

} // namespace ledger_test
