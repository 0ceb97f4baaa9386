// When replicas stand for election.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/checksum.hpp"

namespace elections_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::raft;

namespace {

/// When a replica that hears nothing stands for the first time.
time_point stands_at(member_id seat, std::uint64_t seed) {
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

namespace {

/// The only voter by its disk, told of others, 100 ms after its start.
class told_of_others {
public:
  told_of_others() {
    run_until(100ms);
  }

  void hear(message what) {
    replica::effects out;
    self.step(time_point{now_}, 0, replica::received{{2}, std::move(what)}, out);
    carry_out(out);
  }

  void step(const replica::event& what) {
    replica::effects out;
    self.step(time_point{now_}, 0, what, out);
    carry_out(out);
  }

  void run_until(duration when) {
    for (; now_ < when; now_ += 10ms) {
      replica::effects out;
      self.tick(time_point{now_}, out);
      carry_out(out);
    }
  }

  [[nodiscard]] bool leads() const {
    return self.current_role() == role::leader;
  }

  replica self{{1}, how(), disk(), time_point{}};
  std::vector<member_id> forgot;

private:
  static options how() {
    auto made = lan();
    made.lead_alone_after = 3s;
    return made;
  }

  static stored_state disk() {
    stored_state made;
    made.last_ballot = {7, {}};
    made.base.members.members[{1}] = {true, ""};
    made.entries = {{1, 7, {}, no_op{}}};
    return made;
  }

  void carry_out(const replica::effects& out) {
    for (auto& what : out)
      if (auto* write = std::get_if<replica::write>(&what))
        step(replica::written{write->number});
      else if (auto* lost = std::get_if<replica::forgot>(&what))
        forgot.push_back(lost->seat);
  }

  duration now_{};
};

} // namespace

TEST_CASE("the only voter leads at once where there is nobody else", "[raft]") {
  stored_state disk;
  disk.base.members.members[{1}] = {true, ""};
  CHECK(*replica{{1}, lan(), disk, time_point{}}.next_deadline() == time_point{});
}

TEST_CASE("the only voter waits for the leader of others that it was told of", "[raft]") {
  told_of_others replica;
  SECTION("nobody comes") {
    replica.run_until(3s);
    CHECK_FALSE(replica.leads());
    replica.run_until(3s + 100ms);
    CHECK(replica.leads());
  }
  SECTION("their leader comes: what made others voters was on this disk") {
    configuration both{{{{1}, {true, ""}}, {{2}, {true, ""}}}};
    message news{8, append{1, 7, 2, {}, 1, {{2, 8, {}, both}}}};
    replica.hear(news);
    CHECK(replica.self.leader() == member_id{2});
    CHECK(replica.forgot == std::vector{member_id{1}});
    INFO("it takes nothing, and leads no more, until it has another seat");
    replica.run_until(60s);
    CHECK_FALSE(replica.leads());
    CHECK(replica.self.last_index() == 1);
    replica.step(replica::change_seat{{5}});
    replica.hear(news);
    CHECK(replica.self.members().voters().size() == 2);
    CHECK(replica.forgot.size() == 1);
    replica.run_until(120s);
    CHECK(replica.self.current_role() == role::follower);
  }
  SECTION("their leader comes with a snapshot") {
    configuration both{{{{1}, {true, ""}}, {{2}, {true, ""}}}};
    replica.hear({8, snapshot_part{{9, 8, {}, both}, 0, 1, crc32c("x"), "x"}});
    CHECK(replica.forgot == std::vector{member_id{1}});
    CHECK(replica.self.last_index() == 1);
  }
  SECTION("one of them wants its vote again and again, and has more than it has") {
    for (auto term = term_number{8}; term < 28; ++term) {
      replica.hear({term, vote_request{500, 7, false, false}});
      replica.run_until(duration{1s} * static_cast<int>(term - 7));
      CHECK_FALSE(replica.leads());
    }
  }
  SECTION("one asks again and again whether it would vote, and never comes to it") {
    for (auto each = 1; each <= 3; ++each) {
      replica.hear({8, vote_request{500, 7, true, false}});
      replica.run_until(duration{1s} * each);
    }
    replica.run_until(3s + 100ms);
    CHECK(replica.leads());
  }
  SECTION("one that has less does not keep it waiting") {
    for (auto term = term_number{8}; term < 11; ++term) {
      replica.hear({term, vote_request{1, 6, false, false}});
      replica.run_until(duration{1s} * static_cast<int>(term - 7));
    }
    replica.run_until(3s + 100ms);
    CHECK(replica.leads());
  }
}

TEST_CASE("an option of a lonely start that is out of its bounds is refused", "[raft]") {
  auto how = lan();
  for (auto span : {duration{-1}, duration{1h} + duration{1}}) {
    how.lead_alone_after = span;
    CHECK_THROWS_AS((replica{{1}, how, {}, time_point{}}), std::invalid_argument);
  }
  how.lead_alone_after = 1h;
  CHECK_NOTHROW(replica{{1}, how, {}, time_point{}});
}

} // namespace elections_test
