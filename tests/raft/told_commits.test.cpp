// When a leader tells its followers, and a replica its disk, what is committed.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace told_commits_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::raft;

namespace {

/// The leader of three, whose disk costs nothing, and what it says to the others.
class leader_of_three {
public:
  explicit leader_of_three(const options& how) : inside_({1}, how, disk(), time_point{}) {
    now_ = inside_.next_deadline().value();
    tick();
    hear({2}, {1, vote_answer{true, true}});
    hear({2}, {1, vote_answer{false, true}});
    REQUIRE(inside_.current_role() == role::leader);
    acknowledge();
    pass(20ms);
    acknowledge();
    said_.clear();
  }

  void propose() {
    step(replica::propose{{"command"}});
  }

  /// Both followers have synced all that there is.
  void acknowledge() {
    auto last = inside_.last_index();
    for (std::uint64_t each : {2, 3})
      hear({each}, {1, append_answer{true, last, 0, 0, 0, last}});
    REQUIRE(inside_.commit_index() == last);
  }

  void pass(duration span) {
    now_ += span;
    tick();
  }

  /// The commits that it has told since it was asked, to each in turn.
  std::vector<log_index> told() {
    std::vector<log_index> found;
    for (auto& what : std::exchange(said_, {}))
      if (auto* line = std::get_if<append>(&what.what.body))
        found.push_back(line->commit);
    return found;
  }

  /// What it has said that its disk is to know of commits: with writes, and alone.
  std::vector<log_index> written() {
    return std::exchange(written_, {});
  }

  std::vector<log_index> noted() {
    return std::exchange(noted_, {});
  }

  [[nodiscard]] const replica& inside() const {
    return inside_;
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

  void step(const replica::event& what) {
    replica::effects out;
    inside_.step(now_, 1, what, out);
    carry_out(out);
  }

  void tick() {
    replica::effects out;
    inside_.tick(now_, out);
    carry_out(out);
  }

  void carry_out(const replica::effects& out) {
    for (auto& what : out)
      if (auto* send = std::get_if<replica::send>(&what))
        said_.push_back(*send);
      else if (auto* note = std::get_if<replica::note_commit>(&what))
        noted_.push_back(note->index);
    for (auto& what : out)
      if (auto* write = std::get_if<replica::write>(&what)) {
        written_.push_back(write->committed);
        step(replica::written{write->number});
      }
  }

  replica inside_;
  time_point now_{};
  std::vector<replica::send> said_;
  std::vector<log_index> written_;
  std::vector<log_index> noted_;
};

options telling_within(duration span) {
  options made;
  made.tell_commits_within = span;
  return made;
}

} // namespace

TEST_CASE("a commit goes to the followers with the next entries") {
  leader_of_three leader{telling_within(10ms)};
  leader.propose();
  leader.told();
  leader.acknowledge();
  auto commit = leader.inside().commit_index();
  CHECK(leader.told().empty());
  leader.propose();
  CHECK(leader.told() == std::vector{commit, commit});
  leader.pass(10ms);
  CHECK(leader.told().empty());
}

TEST_CASE("a commit that no entries follow is told within its time") {
  leader_of_three leader{telling_within(10ms)};
  leader.propose();
  leader.told();
  leader.acknowledge();
  auto commit = leader.inside().commit_index();
  leader.pass(9ms);
  CHECK(leader.told().empty());
  leader.pass(1ms);
  CHECK(leader.told() == std::vector{commit, commit});
}

TEST_CASE("a commit is told at once where that is wanted") {
  leader_of_three leader{telling_within({})};
  leader.propose();
  leader.told();
  leader.acknowledge();
  CHECK(leader.told() == std::vector<log_index>(2, leader.inside().commit_index()));
}

TEST_CASE("a follower that has answered the entries has nothing to say of their commit") {
  options how;
  how.about = GENERATE("", "what it knows");
  stored_state disk;
  for (std::uint64_t each : {1, 2, 3})
    disk.base.members.members[{each}] = {true, ""};
  replica follower{{2}, how, disk, time_point{}};
  auto answers_to = [&](const append& what) {
    std::size_t count = 0;
    replica::effects out;
    follower.step({}, 0, replica::received{{1}, {1, what}}, out);
    for (std::size_t each = 0; each < out.size(); ++each)
      if (auto* write = std::get_if<replica::write>(&out[each]))
        follower.step({}, 0, replica::written{write->number}, out);
      else if (std::holds_alternative<replica::send>(out[each]))
        ++count;
    return count;
  };
  entry line{1, 1, {}, std::string{"command"}};
  CHECK(answers_to({0, 0, 0, {}, 1, {line}}) == 1);
  CHECK(answers_to({1, 1, 1, {}, 1, {}}) == 0);
  CHECK(answers_to({1, 1, 1, {}, 2, {}}) == 1); // a round of heartbeats
}

TEST_CASE("a follower says in its answers what it was last told to say") {
  stored_state disk;
  for (std::uint64_t each : {1, 2, 3})
    disk.base.members.members[{each}] = {true, ""};
  replica follower{{2}, {}, disk, time_point{}};
  auto says = [&](std::uint64_t round) {
    std::string found;
    replica::effects out;
    follower.step({}, 0, replica::received{{1}, {1, append{0, 0, 0, {}, round, {}}}}, out);
    for (std::size_t each = 0; each < out.size(); ++each)
      if (auto* write = std::get_if<replica::write>(&out[each]))
        follower.step({}, 0, replica::written{write->number}, out);
      else if (auto* answer = std::get_if<replica::send>(&out[each]))
        found = std::get<append_answer>(answer->what.body).about;
    return found;
  };
  CHECK(says(1).empty());
  replica::effects out;
  follower.step({}, 0, replica::say_about{"new rules"}, out);
  CHECK(says(2) == "new rules");
  follower.step({}, 0, replica::say_about{std::string(16'385, 'x')}, out);
  CHECK(says(3) == "new rules");
  CHECK(out.empty());
}

TEST_CASE("what is committed is written with what is committed next") {
  leader_of_three leader{telling_within(10ms)};
  leader.propose();
  leader.acknowledge();
  auto commit = leader.inside().commit_index();
  leader.written();
  leader.propose();
  CHECK(leader.written() == std::vector{commit});
}

TEST_CASE("what is committed is noted, once in a heartbeat, where no write follows") {
  options how;
  leader_of_three leader{how};
  leader.pass(how.heartbeat);
  leader.noted();
  std::vector<log_index> expected;
  for (auto each = 0; each < 3; ++each) {
    leader.propose();
    leader.acknowledge();
    if (expected.empty())
      expected.push_back(leader.inside().commit_index());
  }
  CHECK(leader.noted() == expected); // the first at once
  leader.pass(how.heartbeat);
  CHECK(leader.noted() == std::vector{leader.inside().commit_index()});
  leader.pass(how.heartbeat);
  CHECK(leader.noted().empty());
}

TEST_CASE("what is committed and not on the disk is not noted") {
  options how;
  stored_state disk;
  for (std::uint64_t each : {1, 2, 3})
    disk.base.members.members[{each}] = {true, ""};
  replica follower{{2}, how, disk, time_point{}};
  time_point now{};
  std::uint64_t write = 0;
  std::vector<log_index> noted;
  auto step = [&](const replica::event& what) {
    replica::effects out;
    follower.step(now, 0, what, out);
    for (auto& each : out)
      if (auto* begun = std::get_if<replica::write>(&each))
        write = begun->number;
      else if (auto* note = std::get_if<replica::note_commit>(&each))
        noted.push_back(note->index);
  };
  auto hear = [&](append what) { step(replica::received{{1}, {1, std::move(what)}}); };
  hear({0, 0, 0, {}, 1, {{1, 1, {}, std::string{"a"}}}});
  step(replica::written{write});
  hear({1, 1, 0, {}, 1, {{2, 1, {}, std::string{"b"}}}});
  step(replica::not_written{{errc::storage_full, "the disk is full"}});
  hear({2, 1, 2, {}, 1, {}});
  REQUIRE(follower.commit_index() == 2);
  CHECK(noted == std::vector<log_index>{1});
  now += 1s; // it is written again
  hear({2, 1, 2, {}, 2, {}});
  step(replica::written{write});
  now += 1s;
  hear({2, 1, 2, {}, 3, {}});
  CHECK(noted == std::vector<log_index>{1}); // the write had it
}

} // namespace told_commits_test
