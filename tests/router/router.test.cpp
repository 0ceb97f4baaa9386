#include "troupe/router/router.hpp" // the header under test

#include "router/named_nodes.hpp"
#include "support/services.hpp"
#include "troupe/router/router_access.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>

#include "caf/actor_system.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/sec.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto n1 = test::node_named("n1");
const auto n2 = test::node_named("n2");

/// Routers of two nodes in one system; the test makes and breaks the link between them.
struct live_routers : test::live_system<caf::id_block::troupe_router> {
  caf::scoped_actor self{sys};
  std::vector<caf::actor> agents;

  ~live_routers() {
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
  static void tell(const router_access& where, const std::string& agent, const node_id& node) {
    where.run([=](router_state& state) { state.places().put({agent, node}); });
  }

  template <class What = std::string>
  auto ask(const router_access& where, const std::string& agent, What what = "hello"s) {
    return self->request(where.handle(), 20s,
                         dispatch{to_agent(agent), {}, 10s, caf::make_message(std::move(what))});
  }

  send_report broadcast(const router_access& where, const recipients& to, std::string what = "x") {
    send_report report;
    self->request(where.handle(), 20s, dispatch{to, {}, 1s, caf::make_message(std::move(what))})
      .receive([&](const send_report& value) { report = value; },
               [](const caf::error& why) { FAIL(to_string(why)); });
    return report;
  }

  template <class Pending>
  std::string answer_to(Pending pending) {
    std::string result;
    pending.receive([&](std::string& text) { result = std::move(text); },
                    [&](const caf::error& why) { result = name_of(to_problem(why).code); });
    return result;
  }

  router_access make(const node_id& node, const router_options& bounds = {}) {
    return {sys, node, bounds, {[](const node_id&) {}, [](const agent_id&) {}}};
  }

  static void end(const router_access& which) {
    caf::anon_send_exit(which.handle(), caf::exit_reason::user_shutdown);
  }

  /// A peer that takes bundles and says that it has them when it is told to.
  struct slow_peer {
    std::vector<bundle> got;
    std::deque<caf::response_promise> owed;
  };

  caf::actor add_slow_peer() {
    auto seen = std::make_shared<slow_peer>();
    auto made = sys.spawn([seen](caf::event_based_actor* me) -> caf::behavior {
      return {[me, seen](bundle& what) {
                seen->got.push_back(std::move(what));
                if (me->current_message_id().is_request())
                  seen->owed.push_back(me->make_response_promise());
              },
              [seen](int receipts) {
                for (; receipts > 0 && !seen->owed.empty(); --receipts) {
                  seen->owed.front().deliver(caf::message{});
                  seen->owed.pop_front();
                }
              },
              [seen](caf::get_atom) {
                std::uint64_t bytes = 0;
                for (auto& each : seen->got)
                  bytes += each.bytes();
                return bytes;
              }};
    });
    agents.push_back(made);
    return made;
  }

  /// How many bytes a slow peer has got.
  std::uint64_t bytes_at(const caf::actor& slow) {
    std::uint64_t result = 0;
    self->request(slow, 20s, caf::get_atom_v)
      .receive([&](std::uint64_t bytes) { result = bytes; }, [](const caf::error&) {});
    return result;
  }

  static void link(const router_access& from, const node_id& node, std::uint64_t number,
                   const router_access& to) {
    to.answer_over(number, caf::actor_cast<caf::strong_actor_ptr>(from.handle()));
    from.run([node, number, entry = caf::actor_cast<caf::strong_actor_ptr>(to.handle())](
               router_state& state) { state.link_up(node, number, entry); });
  }
};

} // namespace

TEST_CASE_METHOD(live_routers, "what is sent before there is a link waits for it", "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  add_echo(there, "echo");
  tell(here, "echo", n2);
  auto waiting = ask(here, "echo");
  CHECK(statistics(here).waiting == 1);
  SECTION("and arrives with it") {
    link(here, n2, 1, there);
    CHECK(answer_to(std::move(waiting)) == "hello");
    CHECK(statistics(here).pending == 0);
  }
  SECTION("and is refused if there will be none") {
    here.run([](router_state& state) {
      state.link_failed(n2, {errc::unreachable, "nobody answers there"});
    });
    CHECK(answer_to(std::move(waiting)) == "unreachable");
    CHECK(statistics(here).waiting == 0);
  }
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "a router keeps to its bounds", "[router]") {
  auto there = make(n2);
  SECTION("agents") {
    auto here = make(n1, {.max_agents = 1});
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
  SECTION("bytes that wait for a link") {
    auto here = make(n1, {.max_waiting_bytes = 3'000});
    tell(here, "echo", n2);
    const std::string large(1'000, 'x');
    auto first = ask(here, "echo", large);
    auto second = ask(here, "echo", large);
    auto third = ask(here, "echo", large);
    CHECK(answer_to(std::move(third)) == "limit_reached");
    CHECK(statistics(here).refused == 1);
    CHECK(statistics(here).forwarded == 0);
    CHECK(statistics(here).pending == 2);
    CHECK(statistics(here).waiting == 2);
    CHECK(statistics(here).waiting_bytes > 2'000);
    add_echo(there, "echo");
    link(here, n2, 1, there);
    CHECK(answer_to(std::move(first)) == large);
    CHECK(answer_to(std::move(second)) == large);
    CHECK(answer_to(ask(here, "echo")) == "hello");
    CHECK(statistics(here).forwarded == 3);
    CHECK(statistics(here).waiting_bytes == 0);
    end(here);
  }
  SECTION("bytes of one message") {
    auto here = make(n1, {.max_message_bytes = 1'000});
    add_echo(there, "echo");
    tell(here, "echo", n2);
    link(here, n2, 1, there);
    CHECK(answer_to(ask(here, "echo", std::string(1'000, 'x'))) == "too_large");
    CHECK(answer_to(ask(here, "echo", std::string(900, 'x'))) == std::string(900, 'x'));
    end(here);
  }
  SECTION("requests to other nodes without an answer") {
    auto here = make(n1, {.max_pending = 1});
    tell(here, "echo", n2);
    auto first = ask(here, "echo");
    CHECK(answer_to(ask(here, "echo")) == "limit_reached");
    add_echo(there, "echo");
    link(here, n2, 1, there);
    CHECK(answer_to(std::move(first)) == "hello");
    CHECK(answer_to(ask(here, "echo")) == "hello");
    end(here);
  }
  SECTION("agents that one message to many reaches") {
    auto here = make(n1, {.max_recipients = 2});
    for (auto* each : {"a", "b", "c"}) {
      add_echo(here, each);
      tell(here, each, n1);
    }
    auto report = broadcast(here, to_everyone());
    CHECK(report.sent == 2);
    CHECK(report.left_out == 1);
    CHECK(statistics(here).refused == 1);
    auto why = here.send(to_everyone(), caf::make_message("x"s));
    CHECK(why.code == errc::limit_reached);
    CHECK(why.detail.find("max_recipients") != std::string::npos);
    end(here);
  }
  end(there);
}

TEST_CASE_METHOD(live_routers,
                 "what waits for a slow node is bounded, and whoever sends more is told",
                 "[router]") {
  constexpr std::uint64_t window = 4'000;
  constexpr std::uint64_t most = 20'000;
  auto here = make(n1, {.max_waiting_bytes = most, .window_bytes = window});
  tell(here, "far", n2);
  auto slow = add_slow_peer();
  here.run([entry = caf::actor_cast<caf::strong_actor_ptr>(slow)](router_state& state) {
    state.link_up(n2, 1, entry);
  });
  REQUIRE(statistics(here).links == 1); // the router has done what it was told
  // Fills the link: nothing goes out until the peer says that it has it.
  REQUIRE(here.send(to_agent("far"), caf::make_message(std::string(window, 'x'))).code
          == errc::none);
  REQUIRE(testing::comes_true([&] { return bytes_at(slow) > 0; }));
  // Several threads, as programs have them.
  const std::string text(500, 'x');
  std::atomic<std::uint64_t> taken{1};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> told{0};
  {
    std::vector<std::jthread> senders;
    for (auto thread = 0; thread < 3; ++thread)
      senders.emplace_back([&] {
        for (auto each = 0; each < 100; ++each) {
          auto why = here.send(to_agent("far"), caf::make_message(text));
          ++(why.code == errc::none ? taken : refused);
          if (why.detail.find("router_options::max_waiting_bytes") != std::string::npos)
            ++told;
        }
      });
  }
  CHECK(taken + refused == 301);
  CHECK(refused > 0);
  CHECK(told == refused);
  auto counted = statistics(here);
  CHECK(counted.forwarded + counted.waiting == taken);
  CHECK(counted.refused == refused);
  CHECK(counted.waiting_bytes <= most);
  auto on_link = bytes_at(slow);
  CHECK(on_link < window + bundle::max_bytes);
  CHECK(answer_to(ask(here, "far")) == "limit_reached");
  CHECK(broadcast(here, to_everyone()).refused == 1);
  SECTION("until that has drained; what was taken arrives, all of it") {
    for (std::uint64_t arrived = 0; arrived < taken;) {
      self->send(slow, 1);
      bytes_at(slow);
      arrived = statistics(here).forwarded;
    }
    CHECK(statistics(here).waiting_bytes == 0);
    self->send(slow, 1'000);
    bytes_at(slow);
    CHECK(here.send(to_agent("far"), caf::make_message(text)).code == errc::none);
    CHECK(testing::comes_true([&] { return statistics(here).forwarded == taken + 1; }));
  }
  SECTION("and what waits goes over the next link when this one is lost") {
    auto there = make(n2);
    auto heard = std::make_shared<std::atomic<std::uint64_t>>(0);
    auto counter = sys.spawn([heard](caf::event_based_actor*) -> caf::behavior {
      return {[heard](const std::string&) { ++*heard; }};
    });
    agents.push_back(counter);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(counter);
    REQUIRE(on(there, [=](router_state& state) { return state.add_agent("far", handle); }).code
            == errc::none);
    auto waited = counted.waiting;
    here.run([](router_state& state) { state.link_down(n2, 1); });
    link(here, n2, 2, there);
    CHECK(testing::comes_true([&] { return *heard == waited; }));
    end(there);
  }
  SECTION("and it is refused when there is no link any more") {
    here.run([](router_state& state) { state.link_down(n2, 1); });
    here.run([](router_state& state) {
      state.link_failed(n2, {errc::unreachable, "nobody answers there"});
    });
    CHECK(statistics(here).unreachable == counted.waiting);
    CHECK(statistics(here).waiting_bytes == 0);
  }
  end(here);
}

TEST_CASE_METHOD(live_routers, "nothing more is sent over a link that others have filled",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  add_echo(there, "far");
  tell(here, "far", n2);
  link(here, n2, 7, there);
  here.run([](router_state& state) { state.link_full(n2, 6, true); }); // of an earlier link
  CHECK(answer_to(ask(here, "far")) == "hello");
  here.run([](router_state& state) { state.link_full(n2, 7, true); });
  auto open = ask(here, "far");
  statistics(here); // the turn in which it would have gone out is over then
  CHECK(statistics(here).waiting == 1);
  here.run([](router_state& state) { state.link_full(n2, 7, false); });
  CHECK(answer_to(std::move(open)) == "hello");
  CHECK(statistics(here).waiting == 0);
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "a receipt is given for what is in the mailbox only", "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  auto far = add_echo(there, "far");
  tell(here, "far", n2);
  link(here, n2, 1, there);
  // The router does not hear of the end of its agent meanwhile.
  std::promise<void> ends;
  std::promise<void> begun;
  there.run([&](router_state&) {
    begun.set_value();
    ends.get_future().get();
  });
  begun.get_future().get();
  self->monitor(far);
  caf::anon_send_exit(far, caf::exit_reason::kill);
  self->receive([](const caf::down_msg&) {});
  auto posted = errc::none;
  self->request(here.handle(), 20s, post{to_agent("far"), {}, 10s, caf::make_message("hello"s)})
    .receive([](const send_report&) {},
             [&](const caf::error& why) { posted = to_problem(why).code; });
  CHECK(posted == errc::not_found);
  CHECK(answer_to(ask(here, "far")) != "hello");
  ends.set_value();
  CHECK(statistics(there).delivered == 0);
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "a message for more agents than a bundle names goes in several",
                 "[router]") {
  auto here = make(n1, {.max_recipients = 30'000});
  auto there = make(n2);
  auto heard = std::make_shared<std::atomic<int>>(0);
  auto counter = sys.spawn([heard](caf::event_based_actor*) -> caf::behavior {
    return {[heard](const std::string&) { ++*heard; }};
  });
  agents.push_back(counter);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(counter);
  constexpr auto count = 2 * static_cast<int>(bundle::max_recipients) + 1;
  auto added = on(there, [=](router_state& state) {
    auto good = 0;
    for (auto each = 0; each < count; ++each)
      good += state.add_agent("a" + std::to_string(each), handle).code == errc::none ? 1 : 0;
    return good;
  });
  REQUIRE(added == count);
  here.run([](router_state& state) {
    for (auto each = 0; each < count; ++each)
      state.places().put({"a" + std::to_string(each), n2});
  });
  link(here, n2, 1, there);
  CHECK(broadcast(here, to_everyone()).sent == count);
  CHECK(testing::comes_true([&] { return *heard == count; }));
  CHECK(statistics(here).waiting_bytes == 0);
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "a lost link fails what was sent over it, and no other",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  auto deaf = sys.spawn([](caf::event_based_actor* me) -> caf::behavior {
    me->set_default_handler(caf::skip);
    return {[](int) {}};
  });
  agents.push_back(deaf);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(deaf);
  REQUIRE(on(there, [=](router_state& state) { return state.add_agent("deaf", handle); }).code
          == errc::none);
  tell(here, "deaf", n2);
  link(here, n2, 7, there);
  auto open = ask(here, "deaf");
  CHECK(statistics(here).pending == 1);
  here.run([](router_state& state) { state.link_down(n2, 6); }); // an earlier one
  CHECK(statistics(here).pending == 1);
  SECTION("whose end is told") {
    here.run([](router_state& state) { state.link_down(n2, 7); });
  }
  SECTION("that is told to have ended only after another has taken its place") {
    link(here, n2, 8, there);
    here.run([](router_state& state) { state.link_down(n2, 7); });
    CHECK(statistics(here).links == 1);
  }
  CHECK(answer_to(std::move(open)) == "outcome_unknown");
  CHECK(statistics(here).pending == 0);
  CHECK(statistics(here).failed == 1);
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "work for any agent is answered, also if the agent ends",
                 "[router]") {
  auto here = make(n1);
  auto give = [&] {
    return self->request(here.handle(), 20s,
                         dispatch{to_any("work"), {}, 10s, caf::make_message("hello"s)});
  };
  auto can_work = [&](const std::string& agent) {
    here.run([=](router_state& state) { state.places().put({agent, n1, {"work"}}); });
  };
  SECTION("by its answer") {
    add_echo(here, "echo");
    can_work("echo");
    CHECK(answer_to(give()) == "hello");
  }
  SECTION("by its end") {
    auto silent = sys.spawn([](caf::event_based_actor* me) -> caf::behavior {
      auto kept = std::make_shared<std::vector<caf::response_promise>>();
      return {[me, kept](const std::string&) -> caf::delegated<std::string> {
        kept->push_back(me->make_response_promise());
        return {};
      }};
    });
    agents.push_back(silent);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(silent);
    REQUIRE(on(here, [=](router_state& state) { return state.add_agent("silent", handle); }).code
            == errc::none);
    can_work("silent");
    auto answer = give();
    REQUIRE(testing::comes_true([&] { return statistics(here).delivered == 1; }));
    CHECK(statistics(here).pending == 1);
    caf::anon_send_exit(silent, caf::exit_reason::kill);
    CHECK(answer_to(std::move(answer)) == "outcome_unknown");
  }
  SECTION("by an error, if that was the work") {
    add_echo(here, "echo");
    can_work("echo");
    CHECK(answer_to(self->request(
            here.handle(), 20s,
            dispatch{to_any("work"),
                     {},
                     10s,
                     caf::make_message(caf::make_error(caf::sec::bad_function_call))}))
          == "wrong_type");
  }
  CHECK(statistics(here).pending == 0);
  end(here);
}

TEST_CASE_METHOD(live_routers, "an answer goes through what stands before the router", "[router]") {
  auto here = make(n1);
  add_echo(here, "near");
  auto twice = sys.spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string& text) { return text + text; }};
  });
  agents.push_back(twice);
  auto ask_both = [&] {
    return answer_to(self->request(twice * here.handle(), 20s,
                                   dispatch{to_agent("near"), {}, 10s, caf::make_message("ab"s)}));
  };
  CHECK(ask_both() == "abab");
  // Also where it goes over a link.
  auto there = make(n2);
  here.answer_over(1, caf::actor_cast<caf::strong_actor_ptr>(there.handle()));
  CHECK(ask_both() == "abab");
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "an error as a message ends no agent", "[router]") {
  auto a = make(n1);
  add_echo(a, "echo"); // it does not ignore errors
  auto why = caf::make_error(caf::sec::runtime_error);
  CHECK(a.send(to_agent("echo"), caf::make_message(why)).code == errc::none);
  CHECK(answer_to(ask(a, "echo", why)) == "wrong_type");
  CHECK(answer_to(ask(a, "echo")) == "hello");
  end(a);
}

TEST_CASE_METHOD(live_routers, "an agent that ends is unknown from then on", "[router]") {
  auto ended = std::make_shared<std::promise<std::string>>();
  router_access here{
    sys,
    n1,
    {},
    {[](const node_id&) {}, [ended](const agent_id& id) { ended->set_value(id.text()); }}};
  auto made = add_echo(here, "mortal");
  CHECK(answer_to(ask(here, "mortal")) == "hello");
  caf::anon_send_exit(made, caf::exit_reason::user_shutdown);
  CHECK(ended->get_future().get() == "mortal");
  CHECK(answer_to(ask(here, "mortal")) == "not_found");
  end(here);
}

TEST_CASE_METHOD(live_routers,
                 "a router that has just started brings what is for agents that it hears of later",
                 "[router]") {
  auto one = make(n1);
  on(one, [](router_state& state) {
    state.await_all();
    return 0;
  });
  add_echo(one, "near");
  tell(one, "near", n1);
  CHECK(answer_to(ask(one, "near")) == "hello"); // it is here

  auto early = ask(one, "late", "1"s);
  auto many
    = self->request(one.handle(), 20s, dispatch{to_all("sum"), {}, 10s, caf::make_message("x"s)});
  auto after = ask(one, "late", "2"s);
  CHECK(statistics(one).unknown == 0);

  add_echo(one, "late");
  one.run([](router_state& state) {
    state.places().put({"late", n1, {"sum"}});
    state.knows_all();
  });
  CHECK(answer_to(std::move(early)) == "1");
  CHECK(answer_to(std::move(after)) == "2");
  send_report report;
  many.receive([&](const send_report& value) { report = value; },
               [](const caf::error& why) { FAIL(to_string(why)); });
  CHECK(report.sent == 1);
  CHECK(answer_to(ask(one, "nobody")) == "not_found");
  end(one);
}

TEST_CASE_METHOD(live_routers,
                 "a router that is told nothing says that it does not know, and does not wait for "
                 "longer than whoever asks",
                 "[router]") {
  auto one = make(n1);
  on(one, [](router_state& state) {
    state.await_all();
    return 0;
  });
  auto begin = std::chrono::steady_clock::now();
  auto early = self->request(one.handle(), 20s,
                             dispatch{to_agent("late"), {}, 200ms, caf::make_message("x"s)});
  auto held = self->request(one.handle(), 20s, resolve_agent{"late", 200ms});
  CHECK(answer_to(std::move(early)) == "unreachable");
  CHECK(std::chrono::steady_clock::now() - begin >= 200ms);
  std::string found;
  held.receive([&](const caf::strong_actor_ptr&) { found = "found"; },
               [&](const caf::error& why) { found = name_of(to_problem(why).code); });
  CHECK(found == "unreachable");
  end(one);
}

TEST_CASE_METHOD(
  live_routers,
  "of what waits at a router that has just started nothing goes out once nobody waits "
  "for its answer, so it overtakes nothing",
  "[router]") {
  auto one = make(n1);
  on(one, [](router_state& state) {
    state.await_all();
    return 0;
  });
  auto first = ask(one, "late", "1"s);
  auto second = self->request(one.handle(), 20s,
                              dispatch{to_agent("late"), {}, 200ms, caf::make_message("2"s)});
  add_echo(one, "late"); // it is known, and yet not all is
  tell(one, "late", n1);
  CHECK(answer_to(std::move(second)) == "timed_out");
  auto third = self->request(
    one.handle(), 20s, dispatch{to_agent("late"), {}, duration::min(), caf::make_message("3"s)});
  CHECK(answer_to(std::move(third)) == "timed_out");
  CHECK(statistics(one).delivered == 0);
  one.run([](router_state& state) { state.knows_all(); });
  CHECK(answer_to(std::move(first)) == "1");
  CHECK(statistics(one).delivered == 1);
  end(one);
}

TEST_CASE_METHOD(
  live_routers, "at a router that has just started nothing overtakes what waits for the same agent",
  "[router]") {
  auto one = make(n1);
  on(one, [](router_state& state) {
    state.await_all();
    return 0;
  });
  auto first = ask(one, "late", "1"s);
  statistics(one); // it has taken it
  add_echo(one, "late");
  tell(one, "late", n1);
  auto second = ask(one, "late", "2"s);
  CHECK(statistics(one).delivered == 0);
  one.run([](router_state& state) { state.knows_all(); });
  CHECK(answer_to(std::move(first)) == "1");
  CHECK(answer_to(std::move(second)) == "2");
  end(one);
}

TEST_CASE_METHOD(
  live_routers,
  "who waits at a router that has just started hears of its end, also if nobody holds "
  "it any more",
  "[router]") {
  auto is_ended = GENERATE(true, false);
  auto one = std::make_unique<router_access>(make(n1));
  on(*one, [](router_state& state) {
    state.await_all();
    return 0;
  });
  auto early = ask(*one, "late");
  auto held = self->request(one->handle(), 20s, resolve_agent{"late", 10s});
  statistics(*one); // it has taken both
  if (is_ended)
    end(*one);
  one.reset();
  CHECK(answer_to(std::move(early)) == "cancelled");
  std::string found;
  held.receive([&](const caf::strong_actor_ptr&) { found = "found"; },
               [&](const caf::error& why) { found = name_of(to_problem(why).code); });
  CHECK(found == "cancelled");
}

TEST_CASE_METHOD(live_routers,
                 "what is for an agent whose node has begun anew waits until that says it is there",
                 "[router]") {
  auto one = make(n1);
  tell(one, "back", n2);
  on(one, [](router_state& state) {
    state.gone("back", n2, true);
    return 0;
  });
  auto first = ask(one, "back", "1"s);
  CHECK(answer_to(ask(one, "nobody")) == "not_found"); // of others there is nothing to wait for
  auto short_one = self->request(one.handle(), 20s,
                                 dispatch{to_agent("back"), {}, 200ms, caf::make_message("x"s)});
  CHECK(answer_to(std::move(short_one)) == "unreachable");
  CHECK(statistics(one).unknown == 2);
  add_echo(one, "back");
  one.run([](router_state& state) { state.found({"back", n1}); });
  CHECK(answer_to(std::move(first)) == "1");
  on(one, [](router_state& state) {
    state.gone("gone", n2, false);
    return 0;
  });
  CHECK(answer_to(ask(one, "gone")) == "not_found");
  end(one);
}

TEST_CASE_METHOD(live_routers,
                 "who waits for an agent finds it where it begins on the node that is asked",
                 "[router]") {
  auto one = make(n1);
  auto is_new = GENERATE(true, false); // the node that is asked, or the one where the agent was
  on(one, [is_new](router_state& state) {
    is_new ? state.await_all() : state.gone("here", n2, true);
    return 0;
  });
  auto sent = ask(one, "here", "1"s);
  auto looked_up = self->request(one.handle(), 20s, resolve_agent{"here", 10s});
  statistics(one); // it has taken both
  add_echo(one, "here");
  if (is_new)
    on(one, [](router_state& state) {
      state.knows_all();
      return 0;
    });
  CHECK(answer_to(std::move(sent)) == "1");
  std::string found;
  looked_up.receive([&](const caf::strong_actor_ptr& who) { found = who ? "found" : "nothing"; },
                    [&](const caf::error& why) { found = name_of(to_problem(why).code); });
  CHECK(found == "found");
  CHECK_FALSE(statistics(one).unknown);
  end(one);
}

TEST_CASE_METHOD(live_routers,
                 "an agent whose node has begun anew is waited for as long as it may come",
                 "[router]") {
  auto one = make(n1);
  on(one, [](router_state& state) {
    state.gone("away", n2, true);
    return 0;
  });
  auto begin = std::chrono::steady_clock::now();
  CHECK(answer_to(ask(one, "away")) == "not_found");
  CHECK(std::chrono::steady_clock::now() - begin >= 4s);
  CHECK(answer_to(ask(one, "away")) == "not_found");
  end(one);
}

TEST_CASE_METHOD(live_routers, "a node that has just started says of no agent that it is not there",
                 "[router]") {
  auto one = make(n1);
  auto two = make(n2);
  on(two, [](router_state& state) {
    state.await_all();
    return 0;
  });
  tell(one, "echo", n2); // in its last life
  link(one, n2, 1, two);
  CHECK(answer_to(ask(one, "echo")) == "unreachable");
  auto held = self->request(one.handle(), 20s, resolve_agent{"echo", 10s});
  std::string found;
  held.receive([&](const caf::strong_actor_ptr&) { found = "found"; },
               [&](const caf::error& why) { found = name_of(to_problem(why).code); });
  CHECK(found == "unreachable");
  end(one);
  end(two);
}

TEST_CASE_METHOD(live_routers, "bytes of what waits at a router that has just started are bounded",
                 "[router]") {
  auto one = make(n1, {.max_all_waiting_bytes = 3'000});
  on(one, [](router_state& state) {
    state.await_all();
    return 0;
  });
  const std::string large(1'000, 'x');
  auto first = ask(one, "late", large);
  auto second = ask(one, "late", large);
  CHECK(answer_to(ask(one, "late", large)) == "limit_reached");
  auto third = ask(one, "late", "small"s);
  add_echo(one, "late");
  tell(one, "late", n1);
  one.run([](router_state& state) { state.knows_all(); });
  CHECK(answer_to(std::move(first)) == large);
  CHECK(answer_to(std::move(second)) == large);
  CHECK(answer_to(std::move(third)) == "small");
  end(one);
}

TEST_CASE_METHOD(live_routers,
                 "what one peer asks of a router that has just started leaves room for others",
                 "[router]") {
  caf::scoped_actor eve{sys};
  link_peer_finder peers = [eve = eve->address()](const caf::strong_actor_ptr& who) {
    return who && who->address() == eve ? link_peer{n2, false, true} : link_peer{};
  };
  router_access one{sys, n1, {}, {[](const node_id&) {}, [](const agent_id&) {}}, {}, peers};
  on(one, [](router_state& state) {
    state.await_all();
    return 0;
  });
  auto many = host::early_questions::most;
  SECTION("handles of agents") {
    for (; many > 0; --many)
      eve->send(one.handle(), resolve_agent{"nobody", 10s});
  }
  SECTION("messages") {
    for (; many > 0; --many)
      eve->send(one.handle(), dispatch{to_agent("nobody"), {}, 10s, caf::make_message("x"s)});
  }
  SECTION("messages without a sender") {
    for (; many > 0; --many)
      caf::anon_send(one.handle(), dispatch{to_agent("nobody"), {}, 10s, caf::make_message("x"s)});
  }
  auto other = ask(one, "late");
  statistics(one); // it has taken them all
  add_echo(one, "late");
  tell(one, "late", n1);
  one.run([](router_state& state) { state.knows_all(); });
  CHECK(answer_to(std::move(other)) == "hello");
  end(one);
}

TEST_CASE_METHOD(live_routers,
                 "whoever posts a message hears that the agent has it, not what it says",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  add_echo(there, "far");
  add_echo(here, "near");
  tell(here, "far", n2);
  tell(here, "gone", n2);
  link(here, n2, 1, there);
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

TEST_CASE_METHOD(live_routers,
                 "messages from one sender keep their order, whatever is wanted of them",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  auto seen = std::make_shared<std::vector<int>>();
  auto recorder = sys.spawn([seen](caf::event_based_actor*) -> caf::behavior {
    return {[seen](int number) {
              seen->push_back(number);
              return number;
            },
            [seen](int number, const std::string&) { seen->push_back(number); }};
  });
  agents.push_back(recorder);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(recorder);
  REQUIRE(on(there, [=](router_state& state) { return state.add_agent("far", handle); }).code
          == errc::none);
  tell(here, "far", n2);
  link(here, n2, 1, there);
  constexpr auto messages = 3'000;
  const std::string long_text(2 * bundle::max_bytes, 'x');
  std::vector<std::function<void()>> answers;
  auto answered = 0;
  auto wait_for = [&](auto pending) {
    answers.push_back([&, pending = std::make_shared<decltype(pending)>(std::move(pending))] {
      pending->receive([&](int) { ++answered; },
                       [&](const caf::error& why) { FAIL(to_string(why)); });
    });
  };
  auto posted = 0;
  for (auto each = 0; each < messages; ++each) {
    dispatch what{to_agent("far"), {}, 10s, caf::make_message(each)};
    switch (each % 7) {
      case 1:
        wait_for(self->request(here.handle(), 20s, std::move(what)));
        break;
      case 3: {
        auto pending = self->request(here.handle(), 20s,
                                     post{std::move(what.to), {}, 10s, std::move(what.payload)});
        auto kept = std::make_shared<decltype(pending)>(std::move(pending));
        answers.push_back([&, kept] {
          kept->receive([&](const send_report& got) { posted += static_cast<int>(got.sent); },
                        [&](const caf::error& why) { FAIL(to_string(why)); });
        });
        break;
      }
      case 5: // as to many, in a message of its own
        self->send(here.handle(), dispatch{to_everyone(), {}, 10s, std::move(what.payload)});
        break;
      default:
        if (each % 500 == 0)
          what.payload = caf::make_message(each, long_text);
        self->send(here.handle(), std::move(what));
    }
  }
  for (auto& each : answers)
    each();
  wait_for(ask(here, "far", messages));
  answers.back()();
  CHECK(answered == (messages + 5) / 7 + 1);
  CHECK(posted == (messages + 3) / 7);
  REQUIRE(seen->size() == messages + 1);
  for (auto each = 0; each <= messages; ++each)
    REQUIRE((*seen)[static_cast<std::size_t>(each)] == each);
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "messages that wait together go in bundles, each within its bounds",
                 "[router]") {
  auto here = make(n1, {.window_bytes = 8U << 20U});
  struct arrival {
    std::size_t letters = 0;
    std::size_t bytes = 0;
  };
  auto seen = std::make_shared<std::vector<arrival>>();
  auto peer = sys.spawn([seen](caf::event_based_actor* me) -> caf::behavior {
    return {[me, seen](bundle& what) {
              auto bytes = what.bytes();
              seen->push_back({what.take(me->context()).letters.size(), bytes});
            },
            [seen](int) { return static_cast<std::uint64_t>(seen->size()); }};
  });
  agents.push_back(peer);
  tell(here, "far", n2);
  constexpr std::size_t messages = 5'000;
  // They wait for the link, so that all come up at once.
  for (std::size_t each = 0; each < messages; ++each)
    self->send(here.handle(),
               dispatch{to_agent("far"),
                        {},
                        10s,
                        caf::make_message(each % 1'000 == 999 ? std::string(100'000, 'x') : "x"s)});
  CHECK(statistics(here).waiting == messages);
  here.run([entry = caf::actor_cast<caf::strong_actor_ptr>(peer)](router_state& state) {
    state.link_up(n2, 1, entry);
  });
  CHECK(statistics(here).forwarded == messages); // behind the end of that turn
  self->request(peer, 20s, 1).receive([](std::uint64_t) {}, [](const caf::error&) {});
  std::size_t letters = 0;
  for (auto& each : *seen) {
    letters += each.letters;
    CHECK(each.letters <= bundle::max_letters);
    CHECK((each.bytes <= bundle::max_bytes || each.letters == 1));
  }
  CHECK(letters == messages);
  CHECK(seen->size() < 30);
  end(here);
}

TEST_CASE_METHOD(live_routers,
                 "a link lost among messages answers each request once, and repeats none",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  auto seen = std::make_shared<std::vector<int>>();
  auto recorder = sys.spawn([seen](caf::event_based_actor*) -> caf::behavior {
    return {[seen](int number) {
      seen->push_back(number);
      return number;
    }};
  });
  agents.push_back(recorder);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(recorder);
  REQUIRE(on(there, [=](router_state& state) { return state.add_agent("far", handle); }).code
          == errc::none);
  tell(here, "far", n2);
  link(here, n2, 1, there);
  constexpr auto messages = 2'000;
  using pending = decltype(ask(here, "far", 1));
  std::vector<pending> open;
  for (auto each = 0; each < messages; ++each) {
    if (each == messages / 2)
      here.run([](router_state& state) { state.link_down(n2, 1); });
    if (each == messages / 2 + messages / 4)
      link(here, n2, 2, there);
    if (each % 2 == 0)
      open.push_back(ask(here, "far", each));
    else
      self->send(here.handle(), dispatch{to_agent("far"), {}, 10s, caf::make_message(each)});
  }
  auto answered = 0;
  auto failed = 0;
  for (auto& each : open)
    each.receive([&](int) { ++answered; },
                 [&](const caf::error& why) {
                   CHECK(to_problem(why).code == errc::outcome_unknown);
                   ++failed;
                 });
  CHECK(answered + failed == messages / 2);
  CHECK(answered >= messages / 4); // all that came after the loss
  CHECK(statistics(here).pending == 0);
  ask(here, "far", messages).receive([](int) {}, [](const caf::error&) {});
  for (std::size_t each = 1; each < seen->size(); ++each)
    REQUIRE((*seen)[each - 1] < (*seen)[each]); // none twice, none out of order
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers,
                 "what a router cannot read or write is answered and counted, and it goes on",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  add_echo(there, "far");
  tell(here, "far", n2);
  link(here, n2, 1, there);
  auto refused = errc::none;
  self
    ->request(here.handle(), 20s,
              dispatch{to_agent("far"), {}, 10s, caf::make_message(caf::make_action([] {}))})
    .receive([](const std::string&) {},
             [&](const caf::error& why) { refused = to_problem(why).code; });
  CHECK(refused == errc::bad_argument);
  CHECK(statistics(here).pending == 0);

  // Two letters, of which the second is cut short: nothing is delivered.
  bundle good;
  letter first{word::answer, 1, {"far"}, {}, caf::make_message("hello"s)};
  REQUIRE(good.add(nullptr, first) == bundle::added::yes);
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.apply(good));
  REQUIRE(bytes.size() < 100); // its length is one byte
  auto half = (bytes.size() - 1) / 2;
  bytes.insert(bytes.end(), bytes.begin() + 1,
               bytes.begin() + 1 + static_cast<std::ptrdiff_t>(half));
  bytes.front() = static_cast<compat::byte>(bytes.size() - 1);
  caf::binary_deserializer source{nullptr, bytes};
  bundle bad;
  REQUIRE(source.apply(bad));
  auto delivered = statistics(there).delivered;
  self->send(there.handle(), bad);
  CHECK(statistics(there).damaged == 1);
  CHECK(statistics(there).delivered == delivered);
  CHECK(answer_to(ask(here, "far")) == "hello");
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "a request that nobody answers ends with its time-out, in any order",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  auto deaf = sys.spawn([](caf::event_based_actor* me) -> caf::behavior {
    me->set_default_handler(caf::skip);
    return {[](int) {}};
  });
  agents.push_back(deaf);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(deaf);
  REQUIRE(on(there, [=](router_state& state) { return state.add_agent("deaf", handle); }).code
          == errc::none);
  add_echo(there, "far");
  tell(here, "deaf", n2);
  tell(here, "far", n2);
  link(here, n2, 1, there);
  auto wait = [&](duration timeout) {
    return self->request(here.handle(), 60s,
                         dispatch{to_agent("deaf"), {}, timeout, caf::make_message("hello"s)});
  };
  auto longest = wait(1h);
  auto longer = wait(30ms);
  auto shorter = wait(10ms);
  CHECK(answer_to(ask(here, "far")) == "hello");
  CHECK(answer_to(std::move(shorter)) == "timed_out");
  CHECK(answer_to(std::move(longer)) == "timed_out");
  CHECK(statistics(here).pending == 1);
  SECTION("and one that is open ends with its router") {
    end(here);
    CHECK(answer_to(std::move(longest)) != "hello");
  }
  SECTION("and one that is open ends with its link") {
    here.run([](router_state& state) { state.link_down(n2, 1); });
    CHECK(answer_to(std::move(longest)) == "outcome_unknown");
    end(here);
  }
  end(there);
}

TEST_CASE_METHOD(live_routers, "a request is not sent after its caller was told that it timed out",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  auto seen = std::make_shared<std::vector<int>>();
  auto recorder = sys.spawn([seen](caf::event_based_actor*) -> caf::behavior {
    return {[seen](int number) {
      seen->push_back(number);
      return "heard"s;
    }};
  });
  agents.push_back(recorder);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(recorder);
  REQUIRE(on(there, [=](router_state& state) { return state.add_agent("far", handle); }).code
          == errc::none);
  tell(here, "far", n2);
  auto wait = [&](duration timeout, int number) {
    return self->request(here.handle(), 60s,
                         dispatch{to_agent("far"), {}, timeout, caf::make_message(number)});
  };
  auto stays = wait(30s, 1);
  auto ends = wait(10ms, 2);
  self->send(here.handle(), dispatch{to_agent("far"), {}, 10s, caf::make_message(3)});
  auto finds = self->request(here.handle(), 60s, resolve_agent{"far", 10ms});
  CHECK(answer_to(std::move(ends)) == "timed_out");
  auto found = errc::none;
  finds.receive([](const caf::strong_actor_ptr&) {},
                [&](const caf::error& why) { found = to_problem(why).code; });
  CHECK(found == errc::timed_out);
  CHECK(statistics(here).waiting == 2);
  link(here, n2, 1, there);
  CHECK(answer_to(std::move(stays)) == "heard");
  CHECK(answer_to(wait(30s, 4)) == "heard");
  CHECK(*seen == std::vector{1, 3, 4});
  CHECK(statistics(here).waiting_bytes == 0);
  CHECK(statistics(here).unreachable == 0);
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "a busy router holds up no message for its agents, and no answer",
                 "[router]") {
  auto here = make(n1);
  auto there = make(n2);
  std::promise<void> arrived;
  auto slow = sys.spawn([&arrived](caf::event_based_actor* me) -> caf::behavior {
    auto answer = std::make_shared<caf::response_promise>();
    return {[&arrived, answer, me](const std::string&) {
              *answer = me->make_response_promise();
              arrived.set_value();
            },
            [answer](int) { answer->deliver("hello"s); }};
  });
  agents.push_back(slow);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(slow);
  REQUIRE(on(there, [=](router_state& state) { return state.add_agent("far", handle); }).code
          == errc::none);
  tell(here, "far", n2);
  link(here, n2, 1, there);
  // Holds up a router, and with it one of the two threads there are.
  auto hold = [](const router_access& which, auto meanwhile) {
    std::promise<void> ends;
    std::promise<void> begun;
    which.run([&](router_state&) {
      begun.set_value();
      ends.get_future().get();
    });
    begun.get_future().get();
    meanwhile();
    ends.set_value();
    statistics(which); // it is past the hold, which may go now
  };
  std::vector<decltype(ask(here, "far"))> open;
  hold(there, [&] {
    open.push_back(ask(here, "far"));
    CHECK(arrived.get_future().wait_for(20s) == std::future_status::ready);
  });
  hold(here, [&] {
    caf::anon_send(slow, 1);
    CHECK(answer_to(std::move(open.front())) == "hello");
  });
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "a router that nobody holds any more ends what was asked through it",
                 "[router]") {
  auto waiting = [&] {
    auto here = make(n1);
    tell(here, "far", n2);
    auto open = ask(here, "far");
    CHECK(statistics(here).waiting == 1);
    return open;
  }();
  auto why = caf::sec::none;
  waiting.receive([](const std::string&) {},
                  [&](const caf::error& said) {
                    if (said == caf::sec::broken_promise)
                      why = caf::sec::broken_promise;
                  });
  CHECK(why == caf::sec::broken_promise);
}

TEST_CASE_METHOD(live_routers,
                 "a link that nobody uses is closed, and nothing that comes up is lost",
                 "[router]") {
  idle_options quick{.idle_after = 20ms};
  auto closed = std::make_shared<std::promise<std::uint64_t>>();
  auto wanted = std::make_shared<std::promise<node_id>>();
  router_events events;
  events.link_wanted = [wanted](const node_id& node) { wanted->set_value(node); };
  events.agent_ended = [](const agent_id&) {};
  events.link_idle = [closed](const node_id&, std::uint64_t link) { closed->set_value(link); };
  router_access here{sys, n1, {}, events, quick};
  router_access there{sys, n2, {}, {[](const node_id&) {}, [](const agent_id&) {}}, quick};
  add_echo(there, "echo");
  tell(here, "echo", n2);
  link(there, n1, 1, here);
  link(here, n2, 7, there);
  CHECK(closed->get_future().get() == 7);
  auto waiting = ask(here, "echo");
  CHECK(statistics(here).waiting == 1);
  here.run([](router_state& state) { state.link_down(n2, 7); });
  there.run([](router_state& state) { state.link_down(n1, 1); });
  CHECK(wanted->get_future().get() == n2);
  link(there, n1, 2, here);
  link(here, n2, 8, there);
  CHECK(answer_to(std::move(waiting)) == "hello");
  end(here);
  end(there);
}

TEST_CASE_METHOD(live_routers, "a link that is used or needed is not closed", "[router]") {
  idle_options quick{.idle_after = 10ms, .answer_within = 50ms};
  auto closed = std::make_shared<std::atomic<bool>>(false);
  router_events events;
  events.link_wanted = [](const node_id&) {};
  events.agent_ended = [](const agent_id&) {};
  events.link_idle = [closed](const node_id&, std::uint64_t) { *closed = true; };
  router_access here{sys, n1, {}, events, quick};
  auto needs_it = quick;
  needs_it.keeps_all = true; // as the host of a cluster does
  router_access there{sys, n2, {}, events, needs_it};
  add_echo(there, "echo");
  tell(here, "echo", n2);
  link(there, n1, 1, here);
  link(here, n2, 7, there);
  for (auto round = 0; round < 30; ++round) {
    ::poll(nullptr, 0, 5 + round % 10); // so that some come up while the question is under way
    REQUIRE(answer_to(ask(here, "echo")) == "hello");
  }
  // Nobody may stop another's messages.
  auto agreed = true;
  self->request(there.handle(), 20s, rest_link{to_string(n1)})
    .receive([&](bool said) { agreed = said; },
             [](const caf::error& why) { FAIL(to_string(why)); });
  CHECK_FALSE(agreed);
  auto refused = errc::none;
  self->request(there.handle(), 20s, rest_link{"n1"})
    .receive([](bool) {}, [&](const caf::error& why) { refused = to_problem(why).code; });
  CHECK(refused == errc::bad_argument); // which is not the id of a node
  CHECK_FALSE(*closed);
  end(here);
  end(there);
}
