// What counts as synced: snapshots and entries of a leader, over logs that were on their way to the
// disk.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/checksum.hpp"

namespace installs_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::raft;

namespace {

/// Replica 1 of three, whose disk has the entries 1 to `last` of term 1 and takes as long as the
/// test wants.
class slow_follower {
public:
  explicit slow_follower(log_index last) : inside_({1}, lan(), disk(last), time_point{}) {}

  void hear(message what) {
    step(replica::received{{2}, std::move(what)});
  }

  /// The write that is under way is done.
  void sync() {
    step(replica::written{write_});
  }

  /// The disk refuses the write that is under way, and has rested since.
  void refuse() {
    step(replica::not_written{{errc::storage_full, "the disk is full"}});
    now_ += 150ms;
    replica::effects out;
    inside_.tick(now_, out);
    note(out);
  }

  /// The one before is done, once more.
  void sync_earlier() {
    step(replica::written{write_ - 1});
  }

  /// What it said last that it has.
  [[nodiscard]] std::optional<log_index> acknowledged() const {
    return acknowledged_;
  }

  /// The places of the snapshots that became its state.
  [[nodiscard]] const std::vector<log_index>& installed() const {
    return installed_;
  }

  [[nodiscard]] const replica& operator*() const {
    return inside_;
  }

private:
  static stored_state disk(log_index last) {
    stored_state made;
    made.last_ballot = {1, {}};
    for (std::uint64_t each = 1; each <= 3; ++each)
      made.base.members.members[{each}] = {true, ""};
    for (log_index each = 1; each <= last; ++each)
      made.entries.push_back({each, 1, {}, no_op{}});
    return made;
  }

  void step(const replica::event& what) {
    replica::effects out;
    inside_.step(now_, 0, what, out);
    note(out);
  }

  void note(const replica::effects& out) {
    for (auto& each : out) {
      if (auto* write = std::get_if<replica::write>(&each))
        write_ = write->number;
      if (auto* state = std::get_if<replica::installed>(&each))
        installed_.push_back(state->what.header.index);
      auto* letter = std::get_if<replica::send>(&each);
      if (auto* answer = letter ? std::get_if<append_answer>(&letter->what.body) : nullptr;
          answer && answer->accepted)
        acknowledged_ = answer->index;
    }
  }

  time_point now_{};
  replica inside_;
  std::uint64_t write_ = 0;
  std::optional<log_index> acknowledged_;
  std::vector<log_index> installed_;
};

std::vector<entry> entries(log_index first, log_index last, term_number term) {
  std::vector<entry> made;
  for (auto each = first; each <= last; ++each)
    made.push_back({each, term, {}, no_op{}});
  return made;
}

snapshot_part whole_snapshot(log_index index, term_number term) {
  const std::string state = "state";
  snapshot_header header{
    index, term, {}, {{{{1}, {true, ""}}, {{2}, {true, ""}}, {{3}, {true, ""}}}, {}}};
  return {header, 0, state.size(), crc32c(state), state};
}

} // namespace

TEST_CASE("a snapshot does not take the place of a log that has what it has, and more") {
  slow_follower one{5};
  one.hear({1, append{5, 1, 0, {}, 1, {}}});
  REQUIRE(one.acknowledged() == 5);
  one.hear({1, whole_snapshot(3, 1)});
  one.sync();
  CHECK((*one).last_index() == 5);
  one.hear({1, append{5, 1, 0, {}, 2, {}}});
  CHECK(one.acknowledged() == 5);
}

TEST_CASE("entries that were being written when a snapshot took their place are not there") {
  slow_follower one{1};
  one.hear({1, append{1, 1, 0, {}, 1, entries(2, 9, 1)}}); // on their way to the disk
  one.hear({2, whole_snapshot(4, 2)});                     // of a leader that lacks them
  one.sync();                                              // they are there, and are to go
  one.hear({2, append{4, 2, 4, {}, 1, entries(5, 9, 2)}});
  one.hear({2, append{9, 2, 4, {}, 2, {}}}); // a heartbeat
  CHECK(one.acknowledged().value_or(0) < 5);
  one.sync();
  one.sync();
  CHECK(one.acknowledged() == 9);
}

TEST_CASE("what was synced of a log whose place a snapshot has taken does not count") {
  slow_follower one{9};
  one.hear({2, whole_snapshot(4, 2)}); // of a leader that lacks the entries 5 to 9
  one.hear({2, append{4, 2, 4, {}, 1, entries(5, 9, 2)}});
  one.hear({2, append{9, 2, 4, {}, 2, {}}}); // a heartbeat
  CHECK(one.acknowledged().value_or(0) < 5);
  one.sync();
  one.sync();
  CHECK(one.acknowledged() == 9);
}

TEST_CASE("of two snapshots that come while the disk is slow the last one becomes the state") {
  slow_follower one{1};
  one.hear({2, whole_snapshot(4, 2)});
  one.hear({2, whole_snapshot(6, 2)});
  one.sync();
  CHECK(one.installed().empty());
  one.sync();
  CHECK(one.installed() == std::vector<log_index>{6});
}

TEST_CASE("a snapshot that the disk refused is written again, and becomes the state then") {
  slow_follower one{1};
  one.hear({2, whole_snapshot(6, 2)});
  one.refuse();
  CHECK(one.installed().empty());
  one.sync();
  CHECK(one.installed() == std::vector<log_index>{6});
}

TEST_CASE("a snapshot that comes late does not take a log back") {
  slow_follower one{1};
  one.hear({2, whole_snapshot(6, 2)});
  one.sync();
  one.hear({2, whole_snapshot(4, 2)});
  one.sync();
  CHECK((*one).last_index() == 6);
  CHECK(one.installed() == std::vector<log_index>{6});
}

TEST_CASE("entries that take the place of others do not count before they are synced") {
  slow_follower one{5};
  one.hear({2, append{4, 1, 0, {}, 1, entries(5, 5, 2)}});
  one.hear({2, append{5, 2, 0, {}, 2, {}}}); // a heartbeat
  CHECK(one.acknowledged() == 4);
  one.sync();
  CHECK(one.acknowledged() == 5);
}

TEST_CASE("word of an earlier write says nothing of the one that is under way") {
  slow_follower one{1};
  one.hear({1, append{1, 1, 0, {}, 1, entries(2, 2, 1)}});
  one.sync();
  one.hear({1, append{2, 1, 0, {}, 1, entries(3, 3, 1)}});
  one.sync_earlier();
  CHECK(one.acknowledged() == 2);
  one.sync();
  CHECK(one.acknowledged() == 3);
}

} // namespace installs_test
