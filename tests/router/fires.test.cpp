#include "troupe/router/detail/fires.hpp" // the header under test
#include "router/live_confirms.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstdint>
#include <future>
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
        case 1:
          self->send(here->handle(),
                     router::post{to_agent(name), {}, 10s, caf::make_message(each), {}});
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
  add(*here, "other", [](std::uint64_t) {});
  CHECK(send("other", 1).code == errc::none);
  CHECK(fire("other", 2, {.ttl = 1h}).code == errc::none);
  CHECK(post("other", 3) == "1");
  CHECK(post("other", 4, {}) == "1");
  CHECK(statistics(*here).unknown == 0); // behind which none of these is on its way
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

TEST_CASE_METHOD(live_fires, "an urgent message to an agent here goes before those that wait",
                 "[router]") {
  std::promise<void> goes_on;
  std::atomic<std::uint64_t> count{0};
  std::atomic<std::uint64_t> place{0};
  add(*here, "near", [&, held = goes_on.get_future().share()](std::uint64_t number) {
    held.wait();
    ++count;
    if (number == 0)
      place = count.load();
  });
  for (std::uint64_t each = 1; each <= 1'000; ++each)
    REQUIRE(fire("near", each).code == errc::none);
  CHECK(fire("near", 0, {.priority = message_priority::high}).code == errc::none);
  goes_on.set_value();
  CHECK(testing::comes_true([&] { return count == 1'001; }));
  CHECK(place > 0);
  CHECK(place < 500);
}

TEST_CASE_METHOD(live_fires, "what gives way in an inbox is not counted as delivered", "[router]") {
  std::promise<void> goes_on;
  std::atomic<std::uint64_t> got{0};
  add(*here, "near",
      [&, held = goes_on.get_future().share()](std::uint64_t) {
        held.wait();
        ++got;
      },
      {.max_messages = 2, .full = when_full::drop_oldest});
  for (std::uint64_t each = 1; each <= 500; ++each)
    CHECK(fire("near", each).code == errc::none);
  goes_on.set_value();
  CHECK(testing::comes_true([&] { return got + statistics(*here).refused == 500; }));
  CHECK(statistics(*here).delivered == got);
  CHECK(got < 500);
}

TEST_CASE_METHOD(live_fires, "what is said of a message to another node goes with it, and counts",
                 "[router]") {
  std::promise<std::vector<message_info>> all;
  std::vector<message_info> got;
  auto agent = sys.spawn([&]() -> caf::behavior {
    return {[&](const message_info& info, std::uint64_t) {
      got.push_back(info);
      if (got.size() == 3)
        all.set_value(got);
    }};
  });
  agents.push_back(agent);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
  CHECK(on(*there, [=](router_state& state) { return state.add_agent("far", handle, true); }).code
        == errc::none);
  cut();
  std::vector<std::uint64_t> waiting;
  for (auto& text : {""s, ""s, "12345"s}) {
    CHECK(fire("far", 1, {.correlation = text}).code == errc::none);
    waiting.push_back(statistics(*here).waiting_bytes);
  }
  CHECK(waiting[2] - waiting[1] == waiting[1] - waiting[0] + 5);
  link();
  auto heard = all.get_future();
  REQUIRE(heard.wait_for(20s) == std::future_status::ready);
  auto infos = heard.get();
  CHECK(infos[0].correlation.empty());
  CHECK(infos[2].correlation == "12345");
  for (std::size_t each = 1; each < infos.size(); ++each)
    CHECK(infos[each].id.number == infos[each - 1].id.number + 1);
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
