// What a replica keeps of its log behind a snapshot.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace kept_log_test {

using namespace troupe;
using namespace troupe::raft;

namespace {

/// A group of one, whose disk costs nothing.
class alone {
public:
  explicit alone(options how) : inside_({1}, how, disk(), time_point{}) {
    effects out;
    inside_.tick(inside_.next_deadline().value(), out);
    carry_out(out);
    REQUIRE(inside_.is_settled());
  }

  void write(std::size_t bytes) {
    step(replica::propose{{std::string(bytes, 'x')}});
  }

  /// The first entry that it has after a snapshot of all that there is.
  log_index first_after_snapshot() {
    step(replica::compacted{inside_.last_index()});
    return inside_.look({}).first;
  }

  [[nodiscard]] const replica& inside() const {
    return inside_;
  }

private:
  using effects = replica::effects;

  static stored_state disk() {
    stored_state made;
    made.base.members.members[{1}] = {true, ""};
    return made;
  }

  void step(const replica::event& what) {
    effects out;
    inside_.step({}, 1, what, out);
    carry_out(out);
  }

  void carry_out(const effects& out) {
    for (auto& what : out)
      if (auto* write = std::get_if<replica::write>(&what))
        step(replica::written{write->number});
  }

  replica inside_;
};

/// The leader of three and one that follows it; the other one has all at once. What is loaded of a
/// snapshot never comes.
class leader_and_follower {
public:
  leader_and_follower()
    : leader_({1}, keeping(), disk(), {}), follower_({3}, keeping(), disk(), {}) {
    pass(2 * keeping().election_timeout);
    for (auto trial : {true, false})
      hear({2}, {1, vote_answer{trial, true}});
    REQUIRE(leader_.current_role() == role::leader);
    pass(keeping().heartbeat);
    REQUIRE(leader_.is_settled());
  }

  void step(const replica::event& what) {
    replica::effects out;
    leader_.step(now_, 1, what, out);
    carry_out(out);
  }

  void pass(duration span) {
    now_ += span;
    replica::effects out;
    leader_.tick(now_, out);
    carry_out(out);
  }

  /// What the follower answers arrives.
  void hear_follower(bool hears) {
    hears_ = hears;
  }

  [[nodiscard]] const replica& leader() const {
    return leader_;
  }

  [[nodiscard]] const replica& follower() const {
    return follower_;
  }

  static options keeping() {
    auto made = lan();
    made.keep_entries = 0;
    return made;
  }

private:
  static stored_state disk() {
    stored_state made;
    for (std::uint64_t each : {1, 2, 3})
      made.base.members.members[{each}] = {true, ""};
    return made;
  }

  void hear(member_id from, message what) {
    step(replica::received{from, std::move(what)});
  }

  void carry_out(const replica::effects& out) {
    for (auto& what : out)
      if (auto* begun = std::get_if<replica::write>(&what))
        step(replica::written{begun->number});
      else if (auto* letter = std::get_if<replica::send>(&what))
        letter->to == member_id{3} ? tell_follower(replica::received{{1}, letter->what})
                                   : acknowledge(letter->what);
  }

  void acknowledge(const message& what) {
    if (auto* news = std::get_if<append>(&what.body)) {
      auto last = news->previous_index + news->entries.size();
      hear({2}, {what.term, append_answer{true, last, 0, 0, news->round, last}});
    }
  }

  void tell_follower(const replica::event& what) {
    replica::effects out;
    follower_.step(now_, 1, what, out);
    for (auto& each : out)
      if (auto* begun = std::get_if<replica::write>(&each))
        tell_follower(replica::written{begun->number});
      else if (auto* letter = std::get_if<replica::send>(&each); letter && hears_)
        hear({3}, letter->what);
  }

  time_point now_{};
  bool hears_ = true;
  replica leader_;
  replica follower_;
};

options keeping(std::uint32_t entries, std::uint64_t bytes) {
  auto made = lan();
  made.keep_entries = entries;
  made.keep_bytes = bytes;
  return made;
}

} // namespace

TEST_CASE("behind a snapshot so many entries are kept") {
  alone replica{keeping(5, 1'000'000)};
  for (auto each = 0; each < 20; ++each)
    replica.write(10);
  auto last = replica.inside().last_index();
  CHECK(replica.inside().expendable(last) == last - 5);
  CHECK(replica.first_after_snapshot() == last - 4);
}

TEST_CASE("behind a snapshot no more bytes of entries are kept than the bound says") {
  alone replica{keeping(1'000, 10'000)};
  for (auto each = 0; each < 5; ++each)
    replica.write(100'000);
  for (auto each = 0; each < 5; ++each)
    replica.write(1'500);
  auto last = replica.inside().last_index();
  CHECK(replica.inside().expendable(last) == last - 5); // the next one is too large
  CHECK(replica.first_after_snapshot() == last - 4);
  replica.write(100'000);
  CHECK(replica.first_after_snapshot() == replica.inside().last_index() + 1);
}

TEST_CASE("a follower that has what a snapshot would bring needs none") {
  leader_and_follower group;
  group.hear_follower(false);
  for (auto each = 0; each < 10; ++each)
    group.step(replica::propose{{"command"}});
  group.pass(leader_and_follower::keeping().heartbeat);
  auto last = group.leader().last_index();
  REQUIRE(group.follower().commit_index() == last);
  group.step(replica::lost_link{{3}});
  group.step(replica::compacted{last});
  REQUIRE(group.leader().look({}).first == last + 1);
  group.pass(leader_and_follower::keeping().heartbeat); // a snapshot is asked for
  group.hear_follower(true);
  for (auto each = 0; each < 2; ++each)
    group.pass(leader_and_follower::keeping().heartbeat);
  group.step(replica::propose{{"next"}});
  CHECK(group.follower().last_index() == last + 1);
}

} // namespace kept_log_test
