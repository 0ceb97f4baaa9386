// What a leader without room on its disk may take back.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace full_disk_test {

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
