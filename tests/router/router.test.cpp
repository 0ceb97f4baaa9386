#include "troupe/router/router.hpp" // the header under test
#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include <poll.h>

#include "caf/actor_system.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

/// Routers of two nodes in one system; the test makes and breaks the link between them.
struct fixture : test::live_system<caf::id_block::troupe_router> {
  caf::scoped_actor self{sys};
  std::vector<caf::actor> agents;

  ~fixture() {
    for (auto& each : agents)
      caf::anon_send_exit(each, caf::exit_reason::kill);
  }

  /// Runs `job` on a router and waits for what it returns.
  template <class Job>
  static auto on(const router_access& where, Job job) {
    using value = decltype(job(std::declval<router_state&>()));
    auto promise = std::make_shared<std::promise<value>>();
    where.run([promise, job](router_state& state) { promise->set_value(job(state)); });
    return promise->get_future().get();
  }

  static router_statistics statistics(const router_access& where) {
    return on(where, [](router_state& state) { return state.statistics(); });
  }

  caf::actor add_echo(const router_access& where, const std::string& id) {
    auto made = sys.spawn([](caf::event_based_actor*) -> caf::behavior {
      return {[](const std::string& text) { return text; }};
    });
    agents.push_back(made);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(made);
    REQUIRE(on(where, [=](router_state& state) { return state.add_agent(id, handle); }).code
            == errc::none);
    return made;
  }

  /// Says that `agent` is on `node`.
  static void tell(const router_access& where, const std::string& agent, const std::string& node) {
    where.run([=](router_state& state) { state.places().put({agent, node}); });
  }

  auto ask(const router_access& where, const std::string& agent) {
    return self->request(where.handle(), 20s,
                         dispatch{to_agent(agent), {}, 10s, caf::make_message("hello"s)});
  }

  template <class Pending>
  std::string answer_to(Pending pending) {
    std::string result;
    pending.receive([&](std::string& text) { result = std::move(text); },
                    [&](const caf::error& why) { result = name_of(to_problem(why).code); });
    return result;
  }

  router_access make(const std::string& node, const router_options& bounds = {}) {
    return {sys, node, bounds, {[](const std::string&) {}, [](const std::string&) {}}};
  }

  static void end(const router_access& which) {
    caf::anon_send_exit(which.handle(), caf::exit_reason::user_shutdown);
  }

  static void link(const router_access& from, const std::string& node, std::uint64_t number,
                   const router_access& to) {
    from.run([node, number, entry = caf::actor_cast<caf::strong_actor_ptr>(to.handle())](
               router_state& state) { state.link_up(node, number, entry); });
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "what is sent before there is a link waits for it", "[router]") {
  auto here = make("n1");
  auto there = make("n2");
  add_echo(there, "echo");
  tell(here, "echo", "n2");
  auto waiting = ask(here, "echo");
  CHECK(statistics(here).waiting == 1);
  SECTION("and arrives with it") {
    link(here, "n2", 1, there);
    CHECK(answer_to(std::move(waiting)) == "hello");
    CHECK(statistics(here).pending == 0);
  }
  SECTION("and is refused if there will be none") {
    here.run([](router_state& state) {
      state.link_failed("n2", {errc::unreachable, "nobody answers there"});
    });
    CHECK(answer_to(std::move(waiting)) == "unreachable");
    CHECK(statistics(here).waiting == 0);
  }
  end(here);
  end(there);
}

TEST_CASE_METHOD(fixture, "a router keeps to its bounds", "[router]") {
  auto there = make("n2");
  SECTION("agents") {
    auto here = make("n1", {.max_agents = 1});
    auto first = add_echo(here, "first");
    auto again = caf::actor_cast<caf::strong_actor_ptr>(first);
    auto why = on(here, [=](router_state& state) { return state.add_agent("second", again); });
    CHECK(why.code == errc::limit_reached);
    CHECK(why.detail.find("max_agents") != std::string::npos);
    CHECK(on(here, [](router_state& state) { return state.remove_agent("first") != nullptr; }));
    CHECK(on(here, [=](router_state& state) { return state.add_agent("second", again); }).code
          == errc::none);
    end(here);
  }
  SECTION("a full line of messages that wait for links") {
    auto here = make("n1", {.max_waiting = 2});
    tell(here, "echo", "n2");
    auto first = ask(here, "echo");
    auto second = ask(here, "echo");
    auto third = ask(here, "echo");
    CHECK(answer_to(std::move(third)) == "limit_reached");
    CHECK(statistics(here).refused == 1);
    CHECK(statistics(here).pending == 2);
    add_echo(there, "echo");
    link(here, "n2", 1, there);
    CHECK(answer_to(std::move(first)) == "hello");
    CHECK(answer_to(std::move(second)) == "hello");
    CHECK(answer_to(ask(here, "echo")) == "hello");
    end(here);
  }
  SECTION("requests to other nodes without an answer") {
    auto here = make("n1", {.max_pending = 1});
    tell(here, "echo", "n2");
    auto first = ask(here, "echo");
    CHECK(answer_to(ask(here, "echo")) == "limit_reached");
    add_echo(there, "echo");
    link(here, "n2", 1, there);
    CHECK(answer_to(std::move(first)) == "hello");
    CHECK(answer_to(ask(here, "echo")) == "hello");
    end(here);
  }
  SECTION("agents that one message to many reaches") {
    auto here = make("n1", {.max_recipients = 2});
    for (auto* each : {"a", "b", "c"}) {
      add_echo(here, each);
      tell(here, each, "n1");
    }
    send_report report;
    self->request(here.handle(), 10s, dispatch{to_everyone(), {}, 1s, caf::make_message("x"s)})
      .receive([&](const send_report& value) { report = value; }, [](const caf::error&) {});
    CHECK(report.sent == 2);
    end(here);
  }
  end(there);
}

TEST_CASE_METHOD(fixture, "a lost link fails what was sent over it, and no other", "[router]") {
  auto here = make("n1");
  auto there = make("n2");
  auto deaf = sys.spawn([](caf::event_based_actor* me) -> caf::behavior {
    me->set_default_handler(caf::skip);
    return {[](int) {}};
  });
  agents.push_back(deaf);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(deaf);
  REQUIRE(on(there, [=](router_state& state) { return state.add_agent("deaf", handle); }).code
          == errc::none);
  tell(here, "deaf", "n2");
  link(here, "n2", 7, there);
  auto open = ask(here, "deaf");
  CHECK(statistics(here).pending == 1);
  here.run([](router_state& state) { state.link_down("n2", 6); }); // an earlier one
  CHECK(statistics(here).pending == 1);
  here.run([](router_state& state) { state.link_down("n2", 7); });
  CHECK(answer_to(std::move(open)) == "outcome_unknown");
  CHECK(statistics(here).pending == 0);
  CHECK(statistics(here).failed == 1);
  end(here);
  end(there);
}

TEST_CASE_METHOD(fixture, "an agent that ends is unknown from then on", "[router]") {
  auto ended = std::make_shared<std::promise<std::string>>();
  router_access here{
    sys,
    "n1",
    {},
    {[](const std::string&) {}, [ended](const std::string& id) { ended->set_value(id); }}};
  auto made = add_echo(here, "mortal");
  CHECK(answer_to(ask(here, "mortal")) == "hello");
  caf::anon_send_exit(made, caf::exit_reason::user_shutdown);
  CHECK(ended->get_future().get() == "mortal");
  CHECK(answer_to(ask(here, "mortal")) == "not_found");
  end(here);
}

TEST_CASE_METHOD(fixture, "whoever posts a message hears that the agent has it, not what it says",
                 "[router]") {
  auto here = make("n1");
  auto there = make("n2");
  add_echo(there, "far");
  add_echo(here, "near");
  tell(here, "far", "n2");
  tell(here, "gone", "n2");
  link(here, "n2", 1, there);
  auto post_to = [&](const std::string& agent) {
    std::string result;
    self->request(here.handle(), 20s, post{to_agent(agent), {}, 10s, caf::make_message("hello"s)})
      .receive([&](const send_report& got) { result = "sent to " + std::to_string(got.sent); },
               [&](const caf::error& why) { result = name_of(to_problem(why).code); });
    return result;
  };
  CHECK(post_to("near") == "sent to 1");
  CHECK(post_to("far") == "sent to 1");
  CHECK(post_to("gone") == "not_found"); // by word of its node
  CHECK(post_to("nobody") == "not_found");
  CHECK(statistics(there).delivered == 1);
  end(here);
  end(there);
}

TEST_CASE_METHOD(fixture, "a link that nobody uses is closed, and nothing that comes up is lost",
                 "[router]") {
  idle_options quick{.idle_after = 20ms};
  auto closed = std::make_shared<std::promise<std::uint64_t>>();
  auto wanted = std::make_shared<std::promise<std::string>>();
  router_events events;
  events.link_wanted = [wanted](const std::string& node) { wanted->set_value(node); };
  events.agent_ended = [](const std::string&) {};
  events.link_idle = [closed](const std::string&, std::uint64_t link) { closed->set_value(link); };
  router_access here{sys, "n1", {}, events, quick};
  router_access there{sys, "n2", {}, {[](const std::string&) {}, [](const std::string&) {}}, quick};
  add_echo(there, "echo");
  tell(here, "echo", "n2");
  link(there, "n1", 1, here);
  link(here, "n2", 7, there);
  CHECK(closed->get_future().get() == 7);
  auto waiting = ask(here, "echo");
  CHECK(statistics(here).waiting == 1);
  here.run([](router_state& state) { state.link_down("n2", 7); });
  there.run([](router_state& state) { state.link_down("n1", 1); });
  CHECK(wanted->get_future().get() == "n2");
  link(there, "n1", 2, here);
  link(here, "n2", 8, there);
  CHECK(answer_to(std::move(waiting)) == "hello");
  end(here);
  end(there);
}

TEST_CASE_METHOD(fixture, "a link that is used or needed is not closed", "[router]") {
  idle_options quick{.idle_after = 10ms, .answer_within = 50ms};
  auto closed = std::make_shared<std::atomic<bool>>(false);
  router_events events;
  events.link_wanted = events.agent_ended = [](const std::string&) {};
  events.link_idle = [closed](const std::string&, std::uint64_t) { *closed = true; };
  router_access here{sys, "n1", {}, events, quick};
  auto needs_it = quick;
  needs_it.keeps_all = true; // as the host of a cluster does
  router_access there{sys, "n2", {}, events, needs_it};
  add_echo(there, "echo");
  tell(here, "echo", "n2");
  link(there, "n1", 1, here);
  link(here, "n2", 7, there);
  for (auto round = 0; round < 30; ++round) {
    ::poll(nullptr, 0, 5 + round % 10); // so that some come up while the question is under way
    REQUIRE(answer_to(ask(here, "echo")) == "hello");
  }
  // Nobody may stop another's messages.
  auto agreed = true;
  self->request(there.handle(), 20s, rest_link{"n1"})
    .receive([&](bool said) { agreed = said; }, [&](const caf::error&) { agreed = false; });
  CHECK_FALSE(agreed);
  CHECK_FALSE(*closed);
  end(here);
  end(there);
}
