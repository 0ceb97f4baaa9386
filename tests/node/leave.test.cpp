#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/node/voters_client.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"

namespace leave_test {

using namespace std::literals;
using namespace troupe;

namespace {

using moment = std::chrono::steady_clock;

/// Three voters, and one that can take the place of any.
struct four_with_folders {
  test::temporary_folder folder;
  testing::cluster nodes{4, [this](std::size_t index, node_options& how) {
                           how.data = folder / std::to_string(index);
                           how.group.consensus.heartbeat = 50ms;
                           how.group.consensus.election_timeout = 500ms;
                         }};

  bool have_three_voters() {
    return nodes.until([&] {
      auto seen = nodes[0].voters().list(5s);
      std::size_t voters = 0;
      for (auto& each : seen ? seen->seats : std::vector<cluster::seat_view>{})
        voters += each.votes ? 1 : 0;
      return voters == 3;
    });
  }

  std::size_t leader() {
    std::optional<std::size_t> found;
    nodes.until([&] {
      for (std::size_t index = 0; index < 4 && !found; ++index)
        if (nodes[index].is_host())
          found = index;
      return found.has_value();
    });
    return found.value();
  }
};

} // namespace

TEST_CASE("a node that is stopped while it gives up its vote ends at once", "[node][leave]") {
  // When its request is under way, with luck.
  for (auto delay : {60ms, 20ms, 100ms}) {
    CAPTURE(delay);
    four_with_folders four;
    REQUIRE(four.have_three_voters());
    auto leads = four.leader();
    auto leaves = std::async(std::launch::async, [&] { return four.nodes[leads].leave(); });
    leaves.wait_for(delay);
    auto before = moment::now();
    four.nodes[leads].stop();
    auto left = leaves.get();
    CHECK(moment::now() - before < 5s);
    if (left)
      continue; // it was faster
    CAPTURE(left.error().detail);
    CHECK((left.error().code == errc::cancelled || left.error().code == errc::outcome_unknown));
  }
}

TEST_CASE("who waits for a leader hears when its node stops", "[node][leave]") {
  caf::actor_system_config how;
  caf::actor_system sys{how};
  auto silent = sys.spawn([](caf::event_based_actor* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    auto kept = std::make_shared<std::vector<caf::response_promise>>();
    return {[self, kept](const cluster::change_voters&) {
      kept->push_back(self->make_response_promise()); // never
    }};
  });
  for (auto is_led : {true, false}) {
    CAPTURE(is_led);
    std::atomic<bool> ends{false};
    cluster::voters_client client{
      sys, [&] { return is_led ? caf::actor_cast<caf::strong_actor_ptr>(silent) : nullptr; },
      [] { return problem{}; },
      [&] {
        return ends ? problem{errc::cancelled, "this node has stopped"} : problem{};
      }};
    auto asked = std::async(std::launch::async, [&] {
      return client.change({cluster::voter_change::leave, "n", false}, 40s).error_or();
    });
    CHECK(asked.wait_for(200ms) == std::future_status::timeout);
    auto before = moment::now();
    ends = true;
    CHECK(asked.get().code == errc::cancelled);
    CHECK(moment::now() - before < 5s);
  }
  caf::anon_send_exit(silent, caf::exit_reason::user_shutdown);
}

TEST_CASE("a node stays where nobody leads who could hear that it leaves, unless it is forced to",
          "[node][leave]") {
  testing::cluster c{2};
  c.stop(0); // with it, all that the cluster has
  auto why = c[1].leave().error_or();
  CAPTURE(why.detail);
  CHECK(why.code == errc::no_quorum);
  CHECK(why.detail.starts_with("this node stays, as no node that leads has answered it: "));
  CHECK(c[1].leave().error_or().code == errc::no_quorum); // it goes on
  auto forced = c[1].leave({.force = true});
  REQUIRE_FALSE(forced);
  CHECK(forced.error().code != errc::no_quorum); // that of the services, which have not heard
  CHECK(c[1].leave().error_or().code == errc::cancelled);
}

} // namespace leave_test
