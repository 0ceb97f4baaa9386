#include "troupe/raft/event_log.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

namespace event_log_test {

using namespace troupe;
using namespace troupe::raft;

namespace {

/// A replica of three in term 1, which writes down what it does, and its disk, which waits to be
/// told to sync.
class writer {
public:
  void hear_leader_of(term_number term) {
    step(replica::received{{2}, {term, append{0, 0, 0, {}, 1, {}}}});
  }

  void sync() {
    step(replica::written{std::exchange(written_, 0)});
  }

  /// What has come since.
  [[nodiscard]] std::string lines() {
    auto found = out_.str();
    out_.str({});
    return found;
  }

private:
  static stored_state disk() {
    stored_state made;
    made.last_ballot = {1, {}};
    for (std::uint64_t each : {1, 2, 3})
      made.base.members.members[{each}] = {true, ""};
    return made;
  }

  void step(const replica::event& what) {
    replica::effects out;
    log_.heard(what);
    replica_.step({}, 1, what, out);
    log_.made(replica_, out);
    for (auto& each : out)
      if (auto* write = std::get_if<replica::write>(&each))
        written_ = write->number;
  }

  std::ostringstream out_;
  replica replica_{{1}, lan(), disk(), {}};
  event_log log_{out_, {1}, disk()};
  std::uint64_t written_ = 0;
};

} // namespace

TEST_CASE("the lines of a replica say when the term of a leader that it hears is synced",
          "[raft]") {
  writer one;
  static_cast<void>(one.lines());
  one.hear_leader_of(5);
  CHECK(one.lines() == "{\"node\":\"1\",\"ev\":\"follower\",\"term\":5}\n");
  SECTION("once it is") {
    one.sync();
    CHECK(one.lines() == "{\"node\":\"1\",\"ev\":\"term\",\"term\":5}\n");
  }
  SECTION("but not when it is in a later one by then") {
    one.hear_leader_of(7);
    CHECK(one.lines() == "{\"node\":\"1\",\"ev\":\"follower\",\"term\":7}\n");
    one.sync(); // of term 5
    CHECK(one.lines().empty());
    one.sync();
    CHECK(one.lines() == "{\"node\":\"1\",\"ev\":\"term\",\"term\":7}\n");
  }
}

} // namespace event_log_test
