// Messages of class confirm go to their agent one behind the other in its own thread: while the
// router of its node is busy, too.

#include "troupe/router/detail/arrivals.hpp" // the header under test

#include "router/live_confirms.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/response_promise.hpp"
#include "caf/result.hpp"
#include "caf/scheduler/abstract_coordinator.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/router_access.hpp"
#include "troupe/testing/comes_true.hpp"

namespace arrivals_test {

using namespace troupe;
using namespace troupe::router;
using namespace confirms_test;

namespace {

constexpr std::uint64_t many = 20;

struct arriving : live_confirms {
  /// What the agent has got, each time that it came.
  std::shared_ptr<seen> all = std::make_shared<seen>();

  /// Answers the number 1 once it is told to, and fails at the number `fails_at` once.
  caf::actor add_hesitant(const router_access& where, std::uint64_t fails_at = 0) {
    auto first = std::make_shared<caf::response_promise>();
    auto has_failed = std::make_shared<bool>(false);
    auto agent = sys.spawn([=, all = all](caf::event_based_actor* me) -> caf::behavior {
      return {[=](std::uint64_t number) -> caf::result<void> {
                if (number == fails_at && !std::exchange(*has_failed, true)) {
                  ++all->count;
                  return to_error({errc::failed, "dropped it"});
                }
                all->take(number);
                if (number != 1)
                  return {};
                *first = me->make_response_promise();
                return *first;
              },
              [=](bool) { first->deliver(); }, [](int number) { return number; }};
    });
    agents.push_back(agent);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
    REQUIRE(on(where, [=](router_state& state) { return state.add_agent("a", handle); }).code
            == errc::none);
    return agent;
  }

  /// Answers the number 1 once it is told to, and takes a while for each other one: as long as a
  /// thread is at an agent at most. Returns how many of those it has handled.
  std::shared_ptr<std::atomic<std::uint64_t>> add_slow(const std::string& id) {
    auto count = std::make_shared<std::atomic<std::uint64_t>>(0);
    auto first = std::make_shared<caf::response_promise>();
    auto agent = sys.spawn([=](caf::event_based_actor* me) -> caf::behavior {
      return {[=](std::uint64_t number) -> caf::result<void> {
                if (number == 1) {
                  *first = me->make_response_promise();
                  return *first;
                }
                auto begun = std::chrono::steady_clock::now();
                while (std::chrono::steady_clock::now()
                       < begun + router::detail::arrivals::longest_run)
                  continue;
                ++*count;
                return {};
              },
              [=](bool) { first->deliver(); }};
    });
    agents.push_back(agent);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
    REQUIRE(on(*here, [=](router_state& state) { return state.add_agent(id, handle); }).code
            == errc::none);
    return count;
  }

  /// Sends them; returns once the agent has the first one and its node all others.
  void send_all(const router_access& where) {
    for (std::uint64_t each = 1; each <= many; ++each)
      REQUIRE(send("a", each).code == errc::none);
    REQUIRE(testing::comes_true([&] { return all->count == 1; }));
    statistics(*here); // those that were given are in the bundle of this turn
    statistics(*here); // which has gone
    statistics(where);
  }

  /// Runs `job` while that router does nothing else.
  template <class Job>
  void while_busy(const router_access& where, Job job) {
    std::promise<void> is_busy;
    std::promise<void> goes_on;
    where.run([&](router_state&) {
      is_busy.set_value();
      goes_on.get_future().wait();
    });
    is_busy.get_future().wait();
    job();
    goes_on.set_value();
    statistics(where); // it has let go of these
  }
};

} // namespace

TEST_CASE_METHOD(arriving,
                 "an agent that has handled a confirm gets the next one while the router of its "
                 "node is busy, and nobody hears of that before",
                 "[router]") {
  auto is_here = GENERATE(true, false);
  auto& where = is_here ? *here : *there;
  link();
  place("a", is_here ? n1 : n2);
  auto agent = add_hesitant(where);
  send_all(where);
  while_busy(where, [&] {
    caf::anon_send(agent, true);
    CHECK(testing::comes_true([&] { return all->count > 1; }));
    if (!is_here)
      CHECK(statistics(*here).confirms == many);
  });
  CHECK(all_ended());
  CHECK(all->count == many);
  CHECK(all->disorder == 0);
}

TEST_CASE_METHOD(arriving,
                 "what comes behind a confirm that has failed does not pass it while the router is "
                 "busy, nor after that",
                 "[router]") {
  auto is_here = GENERATE(true, false);
  auto& where = is_here ? *here : *there;
  link();
  place("a", is_here ? n1 : n2);
  auto agent = add_hesitant(where, 2);
  send_all(where);
  while_busy(where, [&] {
    caf::anon_send(agent, true);
    CHECK(testing::comes_true([&] { return all->count == 2; }));
    self
      ->request(agent, 20s, 7) // behind all that is in its mailbox
      .receive([](int number) { CHECK(number == 7); },
               [](const caf::error& why) { FAIL_CHECK(to_string(to_problem(why))); });
    CHECK(all->count == 2);
  });
  CHECK(all_ended());
  CHECK(all->count == many + 1);
  CHECK(all->disorder == 0);
}

TEST_CASE_METHOD(arriving,
                 "that a confirm was handled that had failed before is said before its agent gets "
                 "the next one",
                 "[router]") {
  link();
  std::atomic<bool> is_said{false};
  back->lets_through = [&](const caf::mailbox_element& what) {
    if (what.payload.match_elements<confirm_word>())
      for (auto& range : what.payload.get_as<confirm_word>(0).said.handled)
        if (range.first == 1)
          is_said = true;
    return true;
  };
  std::atomic<std::uint64_t> tries{0};
  std::atomic<bool> was_said{false};
  add(*there, "a", [&](std::uint64_t number) -> caf::result<void> {
    if (number == 1 && ++tries == 1)
      return to_error({errc::failed, "dropped it"});
    if (number == 2)
      was_said = is_said.load();
    return {};
  });
  place("a", n2);
  REQUIRE(send("a", 1).code == errc::none);
  REQUIRE(send("a", 2).code == errc::none);
  CHECK(all_ended());
  CHECK(tries == 2);
  CHECK(was_said);
}

TEST_CASE_METHOD(
  arriving, "agents that have many confirms to handle leave their threads to others in between",
  "[router]") {
  std::vector<std::shared_ptr<std::atomic<std::uint64_t>>> handled;
  for (std::size_t each = 0; each < sys.scheduler().num_workers(); ++each) {
    auto id = "slow" + std::to_string(each);
    handled.push_back(add_slow(id));
    for (std::uint64_t number = 1; number <= many; ++number)
      REQUIRE(send(id, number).code == errc::none);
  }
  statistics(*here); // each has its first one, and waits
  for (auto& each : agents)
    caf::anon_send(each, true);
  CHECK(testing::comes_true(
    [&] { return std::ranges::all_of(handled, [](auto& count) { return *count > 0; }); }));
  auto most = on(*here, [&](router_state&) {
    std::uint64_t result = 0;
    for (auto& count : handled)
      result = std::max(result, count->load());
    return result;
  });
  CHECK(most < many - 1); // all but the first one
  CHECK(all_ended());
}

} // namespace arrivals_test
