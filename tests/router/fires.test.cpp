#include "troupe/router/detail/fires.hpp" // the header under test
#include "router/live_confirms.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "caf/message.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/testing/comes_true.hpp"

namespace fires_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

constexpr std::uint64_t many = 3'000;

struct live_fires : confirms_test::live_confirms {
  live_fires() {
    link();
    place("near", confirms_test::n1);
    place("far", confirms_test::n2);
  }

  problem fire(const std::string& agent, std::uint64_t number,
               const message_options& how = {}) const {
    return here->send(to_agent(agent), caf::make_message(number), how);
  }

  /// Past the line of what programs send.
  void dispatch(const std::string& agent, std::uint64_t number) {
    self->send(here->handle(),
               router::dispatch{to_agent(agent), {}, 10s, caf::make_message(number), {}});
  }
};

} // namespace

TEST_CASE_METHOD(live_fires, "what one thread sends to an agent keeps its order in whatever way",
                 "[router]") {
  for (auto& name : {"near"s, "far"s}) {
    auto got = add_counting(name == "near" ? *here : *there, name);
    for (std::uint64_t each = 1; each <= many; ++each)
      switch (each % 7) {
        case 0:
          dispatch(name, each);
          break;
        case 3:
          REQUIRE(fire(name, each, {.ttl = 1h}).code == errc::none);
          break;
        case 5:
          REQUIRE(fire(name, each, {.correlation = "it"}).code == errc::none);
          break;
        default:
          REQUIRE(fire(name, each).code == errc::none);
      }
    CHECK(testing::comes_true([&] { return got->count == many; }));
    CHECK(got->disorder == 0);
  }
}

TEST_CASE_METHOD(live_fires,
                 "what one thread sends to an agent keeps its order while others send as well",
                 "[router]") {
  place("other", confirms_test::n1);
  add(*here, "other", [](std::uint64_t) {});
  for (auto& name : {"near"s, "far"s}) {
    auto got = add_counting(name == "near" ? *here : *there, name);
    std::jthread others{[this](const std::stop_token& ends) {
      while (!ends.stop_requested()) // by way of the router's actor
        static_cast<void>(fire("other", 0, {.ttl = 1h}));
    }};
    for (std::uint64_t each = 1; each <= many; ++each)
      if (each % 2 == 0)
        REQUIRE(fire(name, each).code == errc::none);
      else
        dispatch(name, each);
    others = {};
    CHECK(testing::comes_true([&] { return got->count == many; }));
    CHECK(got->disorder == 0);
  }
}

TEST_CASE_METHOD(live_fires, "what several threads send at once arrives, each once, and is counted",
                 "[router]") {
  auto near = add_counting(*here, "near");
  auto far = add_counting(*there, "far");
  std::vector<std::jthread> senders;
  for (auto thread = 0; thread < 4; ++thread)
    senders.emplace_back([this, thread] {
      for (std::uint64_t each = 1; each <= many; ++each)
        static_cast<void>(fire((each + thread) % 2 == 0 ? "near" : "far", each));
    });
  senders.clear();
  CHECK(testing::comes_true([&] { return near->count + far->count == 4 * many; }));
  CHECK(near->count == 2 * many);
  CHECK(statistics(*here).delivered == 2 * many);
  CHECK(statistics(*here).forwarded == 2 * many);
  CHECK(statistics(*there).delivered == 2 * many);
  CHECK(testing::comes_true([&] { return statistics(*here).waiting_bytes == 0; }));
}

TEST_CASE_METHOD(live_fires,
                 "a message to an agent here is there once it was sent, as long as none "
                 "is on its way to the router",
                 "[router]") {
  auto got = add_counting(*here, "near");
  std::promise<void> goes_on;
  here->run([held = goes_on.get_future().share()](router_state&) { held.wait(); });
  CHECK(fire("near", 1).code == errc::none);
  CHECK(testing::comes_true([&] { return got->count == 1; }));
  dispatch("near", 2);
  CHECK(fire("near", 3).code == errc::none);
  goes_on.set_value();
  CHECK(testing::comes_true([&] { return got->count == 3; }));
  CHECK(got->disorder == 0);
}

TEST_CASE_METHOD(live_fires,
                 "whoever sends to an agent that is full, unknown, or whose node has no "
                 "room hears so at once",
                 "[router]") {
  add(*here, "near", [](std::uint64_t) {}, {.max_messages = 1});
  CHECK(fire("nobody", 1).code == errc::not_found);
  CHECK(fire("near", 1, {.ttl = -1s}).code == errc::expired);
  out->is_cut = true; // and nothing says so
  auto why = fire("far", 1);
  std::string text(64U << 10U, 'x');
  for (auto sent = 0; sent < 1'000 && !why; ++sent)
    why = here->send(to_agent("far"), caf::make_message(text));
  CHECK(why.code == errc::limit_reached);
  CHECK(statistics(*here).refused == 1);
  CHECK(statistics(*here).unknown == 1);
  CHECK(statistics(*here).expired == 1);
}

TEST_CASE_METHOD(live_fires, "a router that has ended takes no message", "[router]") {
  CHECK(fire("far", 1).code == errc::none);
  end(*here);
  CHECK(testing::comes_true([&] { return fire("far", 2).code == errc::cancelled; }));
}

} // namespace fires_test
