#include "node/node_fixture.hpp"
#include "troupe/await.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caf/event_based_actor.hpp"
#include "caf/response_promise.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "caf/typed_event_based_actor.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

namespace asking_test {

/// That nobody has registered.
struct unknown {
  int number = 0;

  TROUPE_FIELDS(unknown, number);
};

TROUPE_MESSAGES(never_registered, unknown);

} // namespace asking_test

using namespace std::literals;
using namespace troupe;
using asking_test::unknown;
using Catch::Matchers::ContainsSubstring;

namespace {

using greeter = caf::typed_actor<caf::result<std::string>(std::string), caf::result<int>(int)>;
/// As in a program of another release.
using old_greeter = caf::typed_actor<caf::result<std::string>(std::string, std::string)>;

std::string greet(const std::string& whom) {
  return "hello " + whom;
}

int next(int number) {
  return number + 1;
}

/// Two agents one after the other.
task<std::string> greet_answer(node& me, std::string whom) {
  auto number = co_await me.async_request<int>(to_agent("next"), 5s, 1);
  if (!number)
    co_return number.error();
  co_return co_await me.async_request<std::string>(to_agent("greet"), 5s,
                                                   whom + std::to_string(*number));
}

} // namespace

TEST_CASE("a program asks without waiting", "[node][asking]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("greet", greet));
  REQUIRE(c[1].agent("next", next));
  REQUIRE(c.until([&] { return c[0].find("next") && c[0].find("greet"); }));
  auto ask = [&] { return c[0].async_request<std::string>(to_agent("greet"), 5s, "anna"s); };
  SECTION("and waits later") {
    auto first = ask();
    auto second = c[0].async_request<int>(to_agent("next"), 5s, 41);
    CHECK(std::move(second).wait().value() == 42);
    CHECK(std::move(first).wait().value() == "hello anna");
  }
  SECTION("and has a future, or a handler") {
    promise<std::string> heard;
    ask().then([heard](result<std::string> what) { heard.set(std::move(what)); });
    CHECK(ask().future().get().value() == "hello anna");
    CHECK(heard.answer(5s).wait().value() == "hello anna");
  }
  SECTION("and goes on in a coroutine") {
    CHECK(start(greet_answer(c[0], "no. ")).wait().value() == "hello no. 2");
    c[1].remove_agent("next");
    REQUIRE(c.until([&] { return !c[0].find("next"); }));
    CHECK(start(greet_answer(c[0], "no. ")).wait().error().code == errc::not_found);
  }
  SECTION("for as long as it takes") {
    CHECK(c[0].async_request<int>(to_agent("next"), duration::max(), 1).wait().value() == 2);
    CHECK(c[0].request<int>(to_agent("next"), duration::max(), 1).value() == 2);
    CHECK(c[0].find("next", duration::max()));
    CHECK(c[0].state().service().ask(state::count_entries{}, duration::max()));
  }
  SECTION("and hears why there is no answer") {
    CHECK(c[0].async_request<int>(to_agent("nobody"), 5s, 1).wait().error().code
          == errc::not_found);
    auto wrong = c[0].async_request<int>(to_agent("greet"), 5s, "anna"s).wait();
    CHECK(wrong.error().code == errc::wrong_type);
    CHECK_THAT(wrong.error().detail, ContainsSubstring("std::string"));
    auto untaken = c[0].async_request<int>(to_agent("greet"), 5s, 1.5).wait();
    CHECK(untaken.error().code == errc::wrong_type);
    CHECK_THAT(untaken.error().detail, ContainsSubstring("'greet' has no function for double"));
    CHECK(c[0].async_request<int>(to_everyone(), 5s, 1).wait().error().code == errc::bad_argument);
    CHECK(c[0].request<int>(to_all("x"), 5s, 1).error().code == errc::bad_argument);
  }
  SECTION("of an agent of its own process that is silent, too") {
    REQUIRE(c[0].agent("silent", [](int) { return promise<int>{}.answer(); }));
    std::vector<promise<int>> kept;
    REQUIRE(c[0].agent("slow", [&kept](int) { return kept.emplace_back().answer(); }));
    CHECK(c[0].async_request<int>(to_agent("silent"), 5s, 1).wait().error().code
          == errc::outcome_unknown);
    CHECK(c[0].async_request<int>(to_agent("slow"), 100ms, 1).wait().error().code
          == errc::timed_out);
  }
}

TEST_CASE("whoever asks hears of the end of the node, and nothing after that", "[node][asking]") {
  testing::cluster c{2};
  std::mutex mutex;
  std::vector<promise<int>> kept;
  for (std::size_t each = 0; each < 2; ++each)
    REQUIRE(c[each].agent("slow@n" + std::to_string(each), [&](int) {
      std::lock_guard guard{mutex};
      return kept.emplace_back().answer();
    }));
  REQUIRE(c.until([&] { return c[0].find("slow@n1").has_value(); }));
  auto here = c[0].async_request<int>(to_agent("slow@n0"), 1min, 1);
  auto there = c[0].async_request<int>(to_agent("slow@n1"), 1min, 1);
  auto heard = std::make_shared<std::atomic<int>>(0);
  c[0].async_request<int>(to_agent("slow@n1"), 1min, 1).then([heard](const result<int>& what) {
    if (what.error().code == errc::cancelled)
      ++*heard;
  });
  c[0].stop();
  CHECK(*heard == 1);
  CHECK(std::move(here).wait().error().code == errc::cancelled);
  CHECK(std::move(there).wait().error().code == errc::cancelled);
  CHECK(c[0].async_request<int>(to_agent("slow@n1"), 5s, 1).wait().error().code == errc::cancelled);
  c[1].stop(); // a request that is still on its way would find `kept` gone
}

TEST_CASE("what sends messages may outlive its node, to no effect", "[node][asking]") {
  auto me = std::make_unique<node>(node::start({.listen = {"127.0.0.1", 0}}).value());
  auto messages = me->messages();
  me.reset();
  CHECK(messages.request<int>(to_agent("next"), 5s, 1).error().code == errc::cancelled);
  CHECK(messages.async_request<int>(to_agent("next"), 5s, 1).wait().error().code
        == errc::cancelled);
  CHECK(messages.post(to_agent("next"), 5s, 1).error().code == errc::cancelled);
  CHECK(messages.find("next").error().code == errc::cancelled);
  CHECK(messages.agent_handle("next") == nullptr);
  messages.send(to_agent("next"), 1);
}

TEST_CASE("messages of types that are not registered are refused", "[node][asking]") {
  testing::cluster c{1};
  REQUIRE(c[0].agent("next", next));
  auto why = c[0].request<int>(to_agent("next"), 5s, unknown{}).error();
  CHECK(why.code == errc::bad_argument);
  CHECK_THAT(why.detail, ContainsSubstring("troupe::init"));
  CHECK(c[0].request<unknown>(to_agent("next"), 5s, 1).error().code == errc::bad_argument);
  CHECK(c[0].async_request<unknown>(to_agent("next"), 5s, 1).wait().error().code
        == errc::bad_argument);
  CHECK(c[0].send(to_agent("next"), unknown{}).error().code == errc::bad_argument);
  CHECK(c[0].agent("takes", [](const unknown&) {}).error().code == errc::bad_argument);
  CHECK(c[0].agent("gives", [](int) -> result<unknown> { return unknown{}; }).error().code
        == errc::bad_argument);
}

TEST_CASE("an agent goes on whatever it is sent", "[node][asking]") {
  test::lines log;
  testing::cluster c{1, [&](std::size_t, node_options& how) { how.log = log; }};
  REQUIRE(c[0].agent("next", next));
  REQUIRE(c[0].send(to_agent("next"), 1.5));
  REQUIRE(c[0].send(to_agent("next"), caf::make_error(caf::sec::runtime_error)));
  CHECK(c[0].request<int>(to_agent("next"), 5s, 1).value() == 2);
  CHECK(log.contain("agent 'next' gets messages that it does not take"));
}

TEST_CASE("a node may be stopped in a handler, and what that throws is in the log",
          "[node][asking]") {
  test::lines log;
  testing::cluster c{1, [&](std::size_t, node_options& how) { how.log = log; }};
  auto& me = c[0];
  std::promise<void> is_heard; // with the answer there already, then() would run the handler
  REQUIRE(me.agent("next", [go_on = is_heard.get_future().share()](int number) {
    go_on.wait();
    return number + 1;
  }));
  promise<int> stopped;
  me.async_request<int>(to_agent("next"), 5s, 1).then([&](const result<int>& what) {
    me.stop();
    stopped.set(what);
    throw std::runtime_error{"no more"};
  });
  is_heard.set_value();
  CHECK(stopped.answer(10s).wait().value() == 2);
  CHECK(c.until([&] { return log.contain("no more"); }));
}

TEST_CASE("a node may be destroyed on a thread of its own", "[node][asking]") {
  auto token = std::make_shared<int>();
  auto me = std::make_unique<node>(
    node::start({.listen = {"127.0.0.1", 0}, .log = [token](const log_line&) {}}).value());
  promise<int> destroyed;
  std::promise<void> is_heard; // with the answer there already, then() would run the handler
  REQUIRE(me->agent("next", [go_on = is_heard.get_future().share()](int number) {
    go_on.wait();
    return number + 1;
  }));
  SECTION("in a handler") {
    me->async_request<int>(to_agent("next"), 5s, 1).then([&](const result<int>& what) {
      me.reset();
      destroyed.set(what);
    });
  }
  SECTION("by an agent") {
    REQUIRE(me->agent("last", [&](int number) {
      me.reset();
      destroyed.set(number);
    }));
    REQUIRE(me->send(to_agent("last"), 2));
  }
  SECTION("with a coroutine") {
    auto run = [](node mine) -> task<int> {
      co_return co_await mine.async_request<int>(to_agent("next"), 5s, 1);
    };
    start(run(std::move(*me))).then([&](result<int> what) { destroyed.set(std::move(what)); });
  }
  is_heard.set_value();
  CHECK(destroyed.answer(10s).wait().value() == 2);
  CHECK(testing::comes_true([&] { return token.use_count() == 1; }));
}

TEST_CASE("what is asked where nobody can answer any more is cancelled", "[node][asking]") {
  testing::cluster c{1};
  // It ends the actor that asks for others, as the end of an actor system does.
  auto killer = c[0].system().spawn([](caf::event_based_actor* self) -> caf::behavior {
    return {[self](int) -> caf::delegated<int> {
      caf::anon_send_exit(self->current_sender(), caf::exit_reason::kill);
      self->make_response_promise();
      return {};
    }};
  });
  REQUIRE(c[0].add_agent("killer", killer));
  auto ask = [&] { return c[0].async_request<int>(to_agent("killer"), 5s, 1); };
  CHECK(ask().wait().error().code == errc::cancelled);
  CHECK(ask().wait().error().code == errc::cancelled);
  caf::anon_send_exit(killer, caf::exit_reason::user_shutdown);
}

TEST_CASE("a node may end while other threads ask", "[node][asking]") {
  for (int round = 0; round < 5; ++round) {
    auto me = std::make_unique<node>(node::start({.listen = {"127.0.0.1", 0}}).value());
    auto messages = me->messages();
    auto state = me->state().service();
    std::atomic<std::size_t> asked = 0;
    std::atomic<std::size_t> heard = 0;
    std::vector<std::jthread> others;
    for (int each = 0; each < 4; ++each)
      others.emplace_back([&] {
        for (bool goes_on = true; goes_on;) {
          ++asked;
          messages.async_request<int>(to_agent("nobody"), 5s, 1).then([&](const result<int>&) {
            ++heard;
          });
          ++asked;
          state.async(state::count_entries{}, 5s, [&](const auto&) { ++heard; });
          auto [post, request] = std::pair{messages.post(to_agent("nobody"), 5s, 1),
                                           messages.request<int>(to_agent("nobody"), 5s, 1)};
          goes_on = request.error().code != errc::cancelled;
        }
      });
    CHECK(testing::comes_true([&] { return heard > 100; }));
    me.reset();
    others.clear();
    CHECK(asked == heard);
  }
}

TEST_CASE("actors ask agents as they ask actors", "[node][asking]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent<greeter>("greeter", greet, next));
  REQUIRE(c.until([&] { return c[0].find("greeter").has_value(); }));
  auto handle = c[0].agent_handle("greeter");
  promise<std::string> heard;
  auto ask = [&](const auto& whom, const auto& what) {
    c[0].system().spawn([whom, what, heard](caf::event_based_actor* self) {
      self->request(whom, 5s, what)
        .then([heard](const std::string& text) { heard.set(text); },
              [heard](const caf::error& why) { heard.set(to_problem(why)); });
    });
    return heard.answer(10s).wait();
  };
  SECTION("in another process") {
    CHECK(ask(handle, "anna"s).value() == "hello anna");
  }
  SECTION("typed") {
    CHECK(ask(c[0].agent_handle<greeter>("greeter"), "anna"s).value() == "hello anna");
  }
  SECTION("and hear of what is not there") {
    CHECK(ask(c[0].agent_handle("nobody"), "anna"s).error().code == errc::not_found);
  }
  SECTION("wherever they are by then") {
    c[1].remove_agent("greeter");
    REQUIRE(c.until([&] { return c[0].agent("greeter", greet).has_value(); }));
    CHECK(ask(handle, "bert"s).value() == "hello bert");
  }
  SECTION("and send to them without an answer") {
    promise<int> got;
    REQUIRE(c[0].agent("ear", [got](int number) { got.set(number); }));
    caf::anon_send(c[0].agent_handle("ear"), 7);
    CHECK(got.answer(10s).wait().value() == 7);
  }
  SECTION("and an exit message for the handle is not for the agent") {
    caf::anon_send_exit(handle, caf::exit_reason::kill);
    CHECK(c[0].request<std::string>(to_agent("greeter"), 5s, "anna"s).value() == "hello anna");
  }
}

TEST_CASE("a typed agent is found by its type", "[node][asking]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent<greeter>("greeter", {.unique = false}, greet, next));
  REQUIRE(c[1].agent("anything", greet));
  for (std::size_t each = 0; each < 2; ++each) {
    REQUIRE(c.until([&] { return c[each].find("greeter") && c[each].find("anything"); }));
    auto found = c[each].find<greeter>("greeter");
    REQUIRE(found);
    caf::scoped_actor self{c[each].system()};
    self->request(*found, 5s, 41)
      .receive([](int number) { CHECK(number == 42); },
               [](const caf::error& why) { FAIL(to_string(why)); });
    auto old = c[each].find<old_greeter>("greeter");
    CHECK(old.error().code == errc::wrong_type);
    CHECK_THAT(old.error().detail, ContainsSubstring("'greeter'"));
    CHECK(c[each].find<greeter>("anything").error().code == errc::wrong_type);
  }
}

TEST_CASE("an agent answers later, and others meanwhile", "[node][asking]") {
  testing::cluster c{2};
  std::mutex mutex;
  std::map<int, promise<int>> open;
  auto take = [&](int number) {
    std::lock_guard guard{mutex};
    return open.extract(number).mapped();
  };
  REQUIRE(c[1].agent(
    "later",
    [&](int number) {
      std::lock_guard guard{mutex};
      return open[number].answer();
    },
    greet));
  REQUIRE(c.until([&] { return c[0].find("later").has_value(); }));
  auto first = c[0].async_request<int>(to_agent("later"), 1min, 1);
  auto second = c[0].async_request<int>(to_agent("later"), 1min, 2);
  auto third = c[0].async_request<int>(to_agent("later"), 1min, 3);
  CHECK(c[0].request<std::string>(to_agent("later"), 5s, "anna"s).value() == "hello anna");
  // They come by another actor than the one that has its answer.
  REQUIRE(c.until([&] {
    std::lock_guard guard{mutex};
    return open.size() == 3;
  }));
  std::jthread{[&] { take(2).set(20); }};
  CHECK(std::move(second).wait().value() == 20);
  take(1).set(problem{errc::busy, "not today"});
  auto why = std::move(first).wait().error();
  CHECK(why.code == errc::busy);
  CHECK(why.detail == "not today");
  SECTION("or says that it never will") {
    take(3);
    CHECK(std::move(third).wait().error().code == errc::outcome_unknown);
  }
  SECTION("or is gone before, which is heard at once") {
    c[1].remove_agent("later");
    CHECK(std::move(third).wait().error().code == errc::outcome_unknown);
  }
}

TEST_CASE("an agent answers with what another one does", "[node][asking]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("next", next));
  REQUIRE(c.until([&] { return c[0].find("next").has_value(); }));
  REQUIRE(c[0].agent("twice", [&me = c[0]](int number) {
    promise<int> made;
    me.async_request<int>(to_agent("next"), 5s, number).then([made](const result<int>& half) {
      made.set(half.transform([](int value) { return 2 * value; }));
    });
    return made.answer();
  }));
  CHECK(c[0].request<int>(to_agent("twice"), 5s, 20).value() == 42);
}

TEST_CASE("an agent refuses, and has no answer but that it is done", "[node][asking]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("door", [](int key) -> result<std::string> {
    if (key != 7)
      return problem{errc::bad_argument, "that is not the key"};
    return "come in"s;
  }));
  std::atomic<int> noted = 0;
  REQUIRE(c[1].agent("book", [&](int number) -> result<void> {
    if (number < 0)
      return problem{errc::bad_argument, "below zero"};
    noted = number;
    return {};
  }));
  REQUIRE(c.until([&] { return c[0].find("door") && c[0].find("book"); }));
  CHECK(c[0].request<std::string>(to_agent("door"), 5s, 7).value() == "come in");
  auto refused = c[0].request<std::string>(to_agent("door"), 5s, 1);
  CHECK(refused.error().code == errc::bad_argument);
  CHECK(refused.error().detail == "that is not the key");
  CHECK(c[0].request<void>(to_agent("book"), 5s, 3));
  CHECK(noted == 3);
  CHECK(c[0].request<void>(to_agent("book"), 5s, -3).error().code == errc::bad_argument);
  CHECK(c[0].async_request<void>(to_agent("book"), 5s, 4).wait());
  CHECK(noted == 4);
  CHECK(c[0].request<void>(to_agent("door"), 5s, 7).error().code == errc::wrong_type);
}

TEST_CASE("an agent ends by itself, with a reason", "[node][asking]") {
  test::lines log;
  testing::cluster c{1, [&](std::size_t, node_options& how) { how.log = log; }};
  auto& me = c[0];
  auto counter = [n = 0](agent_context& self, int most) mutable -> result<int> {
    if (++n > most)
      self.quit({errc::limit_reached, "counted too far"});
    else if (n == most)
      self.quit();
    return n;
  };
  REQUIRE(me.agent("counter", counter));
  promise<std::string> ended;
  auto watched = me.find("counter").value();
  auto watcher = me.system().spawn([watched, ended](caf::event_based_actor* self) -> caf::behavior {
    self->set_down_handler([self, ended](const caf::down_msg& gone) {
      ended.set(to_problem(gone.reason).detail);
      self->quit();
    });
    self->monitor(watched);
    return {[](caf::ok_atom) {}};
  });
  CHECK(me.request<int>(to_agent("counter"), 5s, 2).value() == 1);
  CHECK(me.request<int>(to_agent("counter"), 5s, 0).value() == 2);
  CHECK(ended.answer(10s).wait().value() == "counted too far");
  CHECK(log.contain("agent 'counter' has ended: limit_reached: counted too far"));
}

TEST_CASE("the name of an agent that has ended is free", "[node][asking]") {
  testing::cluster c{1};
  REQUIRE(c[0].agent("once", [](agent_context& self, int) {
    self.quit();
    return self.id().text();
  }));
  CHECK(c[0].request<std::string>(to_agent("once"), 5s, 1).value() == "once");
  CHECK(c.until([&] { return c[0].agent("once", greet).has_value(); }));
}
