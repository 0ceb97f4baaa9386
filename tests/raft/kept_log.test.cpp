// What a replica keeps of its log behind a snapshot.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

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
