// When replicas stand for election.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <set>

using namespace std::chrono_literals;
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

TEST_CASE("the first election of a start goes by its step, later ones by one", "[raft]") {
  auto how = wan();
  how.first_step = 1'000;
  stored_state disk;
  disk.last_ballot = {7, {}};
  for (std::uint64_t each = 1; each <= 3; ++each)
    disk.base.members.members[{each}] = {true, ""};
  disk.base.index = 1;
  disk.base.term = 7;
  replica self{{1}, how, disk, time_point{}};
  std::uint64_t number = 0;
  auto stand = [&] {
    replica::effects out;
    self.tick(*self.next_deadline(), out);
    REQUIRE(self.current_role() == role::pre_candidate);
    self.step(*self.next_deadline(), 0,
              replica::received{{2}, {self.term() + 1, vote_answer{true, true}}}, out);
    REQUIRE(self.current_role() == role::candidate);
    self.step(*self.next_deadline(), 0, replica::written{++number}, out);
    return self.term();
  };
  CHECK(stand() == 1'007);
  CHECK(stand() == 1'008);
}

TEST_CASE("the only voter leads at once, or waits for the leader of others that it was told of",
          "[raft]") {
  stored_state disk;
  disk.last_ballot = {7, {}};
  disk.base.members.members[{1}] = {true, ""};
  disk.entries = {{1, 7, {}, no_op{}}};
  auto how = lan();
  CHECK(*replica{{1}, how, disk, time_point{}}.next_deadline() == time_point{});
  how.lead_alone_after = 3s;
  replica self{{1}, how, disk, time_point{}};
  replica::effects out;
  self.tick(time_point{2999ms}, out);
  CHECK(self.current_role() == role::follower);
  SECTION("nobody comes") {
    self.tick(time_point{3s}, out);
    CHECK(self.current_role() == role::candidate);
  }
  SECTION("their leader comes") {
    append more{1,  7, 2,
                {}, 1, {{2, 8, {}, configuration{{{{1}, {true, ""}}, {{2}, {true, ""}}}}}}};
    self.step(time_point{2999ms}, 0, replica::received{{2}, {8, more}}, out);
    CHECK(self.leader() == seat_id{2});
    self.tick(time_point{3s}, out);
    CHECK(self.current_role() == role::follower);
    CHECK(self.members().voters().size() == 2);
  }
}
