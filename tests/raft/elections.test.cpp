// When replicas stand for election.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <set>

using namespace troupe;
using namespace troupe::raft;

namespace {

/// When a replica that hears nothing stands for the first time.
time_point stands_at(seat_id seat, std::uint64_t seed) {
  auto how = wan();
  how.seed = seed;
  stored_state disk;
  for (std::uint64_t each = 1; each <= 9; ++each)
    disk.base.members.members[{each}] = {true, ""};
  return *replica{seat, how, disk, time_point{}}.next_deadline();
}

} // namespace

TEST_CASE("replicas stand for election at different times, whatever their seeds are") {
  std::set<time_point> seeded_by_seat;
  std::set<time_point> of_one_seed;
  std::set<time_point> of_one_seat;
  for (std::uint64_t each = 1; each <= 9; ++each) {
    seeded_by_seat.insert(stands_at({each}, each));
    of_one_seed.insert(stands_at({each}, 7));
    of_one_seat.insert(stands_at({1}, each));
  }
  CHECK(seeded_by_seat.size() == 9);
  CHECK(of_one_seed.size() == 9);
  CHECK(of_one_seat.size() == 9);
}
