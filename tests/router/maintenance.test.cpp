#include "troupe/router/router_access.hpp" // the header under test

#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "caf/scoped_actor.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

TEST_CASE_METHOD(test::live_system<caf::id_block::troupe_router>,
                 "so many wait for a change of the maintenance of a node, and no more",
                 "[router]") {
  struct {
    std::mutex mutex;
    std::vector<done_handler> all;
  } asked;
  router_events events;
  events.maintain = [&](bool, done_handler done) {
    std::lock_guard guard{asked.mutex};
    asked.all.push_back(std::move(done));
  };
  router_access router{sys, node_id{}, {}, std::move(events)};
  caf::scoped_actor self{sys};
  auto outcome = [](auto& request) {
    auto code = errc::none;
    request.receive([](const maintenance_receipt&) {},
                    [&](const caf::error& why) { code = to_problem(why).code; });
    return code;
  };
  auto ask = [&] { return self->request(router.handle(), 20s, maintain_node{true}); };
  std::vector<decltype(ask())> waiting;
  for (auto count = 0; count < 100; ++count)
    waiting.push_back(ask());
  auto refused = ask();
  CHECK(outcome(refused) == errc::busy);
  for (auto& each : asked.all) // which came before the refusal
    each({});
  for (auto& each : waiting)
    CHECK(outcome(each) == errc::none);
  auto later = ask();
  REQUIRE(testing::comes_true([&] {
    std::lock_guard guard{asked.mutex};
    return asked.all.size() == 101;
  }));
  asked.all.back()({errc::storage_full, "no room"});
  CHECK(outcome(later) == errc::storage_full);
  caf::anon_send_exit(router.handle(), caf::exit_reason::user_shutdown);
}
