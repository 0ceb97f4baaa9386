#include "troupe/cluster/identity_dispute.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>

namespace identity_dispute_test {

using namespace std::literals;
using namespace troupe;

const problem twin{errc::in_use, "n1:1 knows another live process with this node's identity"};
const problem away{errc::unreachable, "n2:1 cannot be reached"};

TEST_CASE("a node that starts gives up while another process of its identity runs", "[node]") {
  cluster::identity_dispute its;
  its.tried(time_point{5s}, away);
  its.tried(time_point{6s}, twin);
  its.tried(time_point{15'999ms}, twin);
  CHECK_FALSE(its.lost());
  its.tried(time_point{15'999ms}, away); // says nothing of its identity
  CHECK_FALSE(its.lost());
  its.tried(time_point{16s}, twin);
  CHECK(its.lost() == twin);
}

TEST_CASE("a member that has refused an identity and is silent then is said to have refused it",
          "[node]") {
  const problem silent{errc::timed_out, "n1:1 does not answer"};
  cluster::identity_dispute its;
  its.tried(time_point{1s}, silent);
  CHECK(its.reason_of(silent) == silent);
  its.tried(time_point{2s}, twin);
  its.tried(time_point{3s}, silent);
  CHECK(its.reason_of(silent) == twin);
  const problem other{errc::in_use, "n2:1 knows another live process with this node's identity"};
  its.tried(time_point{4s}, other);
  CHECK(its.reason_of(silent) == other); // the last one
  CHECK(its.reason_of(away) == away);
  CHECK_FALSE(its.reason_of({}));
  its.joined();
  CHECK(its.reason_of(silent) == silent);
  CHECK_FALSE(its.lost());
}

TEST_CASE("a node that has reached its cluster does not give up", "[node]") {
  cluster::identity_dispute its;
  its.tried(time_point{1s}, twin);
  SECTION("at once") {
    its.joined();
  }
  SECTION("late") {
    its.tried(time_point{20s}, twin);
    REQUIRE(its.lost());
    its.joined();
    CHECK_FALSE(its.lost());
  }
  its.tried(time_point{30s}, twin);
  CHECK_FALSE(its.lost());
}

} // namespace identity_dispute_test
