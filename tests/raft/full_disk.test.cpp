// What a leader without room on its disk may take back.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/checksum.hpp"

namespace full_disk_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::raft;

namespace {

/// The one voter of a group, with a member that learns from it. Its disk is told when it is done.
class voter_and_learner {
public:
  voter_and_learner() : inside_({1}, lan(), disk(), time_point{}) {
    now_ = inside_.next_deadline().value();
    inside_.tick(now_, out_);
    write();
    write();
    REQUIRE(inside_.is_settled());
  }

  void step(const replica::event& what) {
    inside_.step(now_, 1, what, out_);
  }

  /// What is under way is on the disk.
  void write() {
    step(replica::written{take_write()});
  }

  void fail_to_write() {
    take_write();
    step(replica::not_written{{errc::storage_full, "the disk is full"}});
  }

  template <class Effect>
  [[nodiscard]] bool has_made() const {
    for (auto& what : out_)
      if (std::holds_alternative<Effect>(what))
        return true;
    return false;
  }

  [[nodiscard]] const replica& inside() const {
    return inside_;
  }

private:
  static stored_state disk() {
    stored_state made;
    made.base.members.members[{1}] = {true, ""};
    made.base.members.members[{2}] = {false, ""};
    return made;
  }

  std::uint64_t take_write() {
    for (auto& what : out_)
      if (auto* write = std::get_if<replica::write>(&what)) {
        auto number = write->number;
        out_.clear();
        return number;
      }
    FAIL("nothing is being written");
    return 0;
  }

  time_point now_{};
  replica::effects out_;
  replica inside_;
};

} // namespace

TEST_CASE("what another member may have is not taken back, though that is about to be removed") {
  voter_and_learner leader;
  leader.step(replica::propose{{"on its way to the learner"}});
  leader.step(replica::remove{{2}});
  auto last = leader.inside().last_index();
  leader.fail_to_write();
  CHECK_FALSE(leader.has_made<replica::taken_back>());
  CHECK(leader.has_made<replica::changed_role>());
  CHECK(leader.inside().last_index() == last);
}

TEST_CASE("a leader alone that could not write its first entry leads anew once there is room") {
  stored_state disk;
  disk.base.members.members[{1}] = {true, ""};
  replica alone{{1}, lan(), disk, time_point{}};
  time_point now{};
  auto is_full = true;
  auto tick = [&] {
    replica::effects out;
    now = std::max(now, alone.next_deadline().value());
    alone.tick(now, out);
    while (!out.empty()) {
      replica::effects more;
      for (auto& what : out)
        if (auto* write = std::get_if<replica::write>(&what)) {
          auto fails = is_full && !write->entries.empty();
          alone.step(now, 0,
                     fails ? replica::event{replica::not_written{{errc::storage_full, "full"}}}
                           : replica::event{replica::written{write->number}},
                     more);
        }
      out = std::move(more);
    }
  };
  for (auto each = 0; each < 5; ++each)
    tick();
  CHECK_FALSE(alone.is_settled());
  is_full = false;
  for (auto each = 0; each < 20 && !alone.is_settled(); ++each)
    tick();
  CHECK(alone.is_settled());
}

/// Replica 1 of three that follows replica 2, and writes when it is told to.
class slow_follower {
public:
  template <class Body>
  void hear(Body what, member_id from = {2}, term_number term = 1) {
    step(replica::received{from, {term, std::move(what)}});
  }

  void step(const replica::event& what) {
    out_.clear();
    inside_.step(now_, 0, what, out_);
  }

  void pass(duration span) {
    now_ += span;
    out_.clear();
    inside_.tick(now_, out_);
  }

  /// @pre something is being written since the last step
  [[nodiscard]] std::uint64_t number_of_write() const {
    for (auto& what : out_)
      if (auto* write = std::get_if<replica::write>(&what))
        return write->number;
    FAIL("nothing is being written");
    return 0;
  }

  /// Since the last step.
  [[nodiscard]] std::ptrdiff_t answers() const {
    return std::ranges::count_if(
      out_, [](auto& what) { return std::holds_alternative<replica::send>(what); });
  }

  static configuration members() {
    configuration made;
    for (std::uint64_t each : {1, 2, 3})
      made.members[{each}] = {true, ""};
    return made;
  }

private:
  static stored_state disk() {
    stored_state made;
    made.base.members = members();
    return made;
  }

  replica inside_{{1}, lan(), disk(), time_point{}};
  replica::effects out_;
  time_point now_{};
};

TEST_CASE("a follower is silent from a failed write until one succeeds") {
  slow_follower follower;
  auto hear = [&](log_index previous, std::vector<entry> entries, std::uint64_t round) {
    append sent;
    sent.previous_index = previous;
    sent.previous_term = previous == 0 ? 0U : 1U;
    sent.round = round;
    sent.entries = std::move(entries);
    follower.hear(std::move(sent));
  };
  hear(0, {{1, 1, {}, no_op{}}}, 1);
  follower.step(replica::written{follower.number_of_write()});
  CHECK(follower.answers() == 1);
  hear(1, {}, 2);
  CHECK(follower.answers() == 1);
  hear(1, {{2, 1, {}, "does not fit"}}, 3);
  REQUIRE(follower.number_of_write() != 0);
  follower.step(replica::not_written{{errc::storage_full, "the disk is full"}});
  hear(2, {}, 4);
  CHECK(follower.answers() == 0);
  follower.pass(1s); // the rest is over: the next try is under way
  auto number = follower.number_of_write();
  hear(2, {}, 5);
  CHECK(follower.answers() == 0);
  hear(9, {}, 6); // whose entries it does not have
  CHECK(follower.answers() == 0);
  follower.step(replica::written{number});
  CHECK(follower.answers() >= 1); // that it has entry 2
  hear(2, {}, 7);
  CHECK(follower.answers() == 1);
}

TEST_CASE("a follower whose disk fails tells others whether it would vote") {
  slow_follower follower;
  append heartbeat;
  heartbeat.round = 1;
  follower.hear(heartbeat);
  follower.step(replica::not_written{{errc::storage_full, "the disk is full"}}); // its term
  follower.hear(vote_request{.trial = true}, {3}, 2);
  CHECK(follower.answers() == 1);
}

TEST_CASE("a follower takes parts of a snapshot without a word while its disk fails") {
  slow_follower follower;
  const std::string whole = "the state after entry 50";
  auto hear_part = [&](std::size_t offset, std::uint32_t sum) {
    snapshot_part sent{{50, 1, {}, slow_follower::members()},
                       offset,
                       whole.size(),
                       sum,
                       whole.substr(offset, whole.size() / 2)};
    follower.hear(std::move(sent));
  };
  append heartbeat;
  heartbeat.round = 1;
  follower.hear(heartbeat);
  follower.step(replica::not_written{{errc::storage_full, "the disk is full"}}); // its term
  auto sum = crc32c(whole);
  hear_part(0, sum);
  CHECK(follower.answers() == 0);
  hear_part(0, sum + 1);
  hear_part(whole.size() / 2, sum + 1); // damaged on the way
  CHECK(follower.answers() == 0);
  hear_part(0, sum);
  follower.pass(1s); // the rest is over
  follower.step(replica::written{follower.number_of_write()});
  hear_part(0, sum);
  CHECK(follower.answers() == 1);
  hear_part(whole.size() / 2, sum);
  follower.step(replica::written{follower.number_of_write()});
  CHECK(follower.answers() == 1); // that it has the snapshot
}

TEST_CASE("a leader whose last other member is gone takes back what its disk has no room for") {
  voter_and_learner leader;
  leader.step(replica::remove{{2}});
  leader.write();
  auto last = leader.inside().last_index();
  leader.step(replica::propose{{"for nobody else"}});
  leader.fail_to_write();
  CHECK(leader.has_made<replica::taken_back>());
  CHECK(leader.inside().current_role() == role::leader);
  CHECK(leader.inside().last_index() == last);
}

} // namespace full_disk_test
