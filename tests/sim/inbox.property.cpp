#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>

#include "support/worlds.hpp"
#include "troupe/sim/laws/inbox_laws.hpp"
#include "troupe/sim/scenarios/inbox_scenario.hpp"

namespace inbox_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::world_of_inboxes(seed);
}

} // namespace

TEST_CASE("whoever floods which agent, each message has one end, and nobody stays refused",
          "[property]") {
  std::uint64_t messages = 0;
  std::uint64_t handled = 0;
  std::uint64_t refused = 0;
  std::uint64_t full_told = 0;
  std::uint64_t held_back = 0;
  std::uint64_t crowded_out = 0;
  test::for_each_world<sim::inbox_scenario>(with_seed, [&](auto& world, auto&) {
    auto& all = world.record();
    messages += all.laws.count();
    handled += all.laws.count(sim::message_end::handled);
    refused += all.laws.count(sim::message_end::refused);
    full_told += all.full_told;
    held_back += all.held_back;
    crowded_out += all.crowded_out;
  });
  INFO(messages << " " << handled << " " << refused << " " << full_told << " " << held_back << " "
                << crowded_out);
  CHECK(handled > messages / 4);
  CHECK(refused > messages / 20);
  CHECK(full_told > test::in_200_worlds(100));
  CHECK(held_back > test::in_200_worlds(100));
  CHECK(crowded_out > test::in_200_worlds(100));
}

TEST_CASE("one seed of the inbox scenario is one run", "[property]") {
  test::check_replay<sim::inbox_scenario>(with_seed(3));
}

} // namespace inbox_property
