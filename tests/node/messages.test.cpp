#include "node/node_fixture.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/spawn.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "caf/typed_event_based_actor.hpp"

using namespace std::literals;
using namespace troupe;
using troupe::test::answer_of;
using troupe::test::echo;

namespace {

using echo_actor = caf::typed_actor<caf::result<std::string>(std::string)>;

} // namespace

TEST_CASE("an agent is reached by its id from every node", "[node]") {
  testing::cluster c{3};
  REQUIRE(c[1].agent<echo_actor>("echo", echo()));
  for (std::size_t each = 0; each < c.size(); ++each) {
    CHECK(c.until([&] { return answer_of(c[each], "echo") == "hello"; }));
    CHECK(answer_of(c[each], "nobody") == "not_found");
  }
  SECTION("and by a handle that speaks raw CAF") {
    auto found = c[2].find<echo_actor>("echo");
    REQUIRE(found);
    caf::scoped_actor self{c[2].system()};
    std::string answer;
    self->request(*found, 5s, "direct"s)
      .receive([&](std::string& text) { answer = std::move(text); }, [](const caf::error&) {});
    CHECK(answer == "direct");
    CHECK(c[2].find("nobody").error().code == errc::not_found);
  }
  SECTION("until it is taken back") {
    c[1].remove_agent("echo");
    CHECK(c.until([&] { return answer_of(c[2], "echo") == "not_found"; }));
    // Its node says so at once; the name is free once the cluster has heard of it.
    CHECK(c.until([&] { return c[2].agent("echo", echo()); }));
  }
  SECTION("and its name is free about when others see that it is gone") {
    auto is_there = [&] {
      auto seen = c[0].registry().service().ask(
        registry::get_record{registry::record_kind::agent, "echo", {}}, 5s);
      return !seen || seen->found;
    };
    for (std::size_t round = 0; round < 50; ++round) {
      c[1 + round % 2].remove_agent("echo");
      REQUIRE(c.until([&] { return !is_there(); }));
      // The services and the members hear of it on ways of their own.
      REQUIRE(c.until([&] { return c[1 + (round + 1) % 2].agent("echo", echo()); }));
    }
  }
}

TEST_CASE("messages of the application arrive typed, at other nodes too", "[node]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("measure",
                     [](const test::tile& what) { return test::area{what.side * what.side}; }));
  REQUIRE(c.until([&] { return c[0].find("measure").has_value(); }));
  auto answer = c[0].request<test::area>(to_agent("measure"), 5s, test::tile{7, {"red", "green"}});
  REQUIRE(answer);
  CHECK(answer->value == 49);
  SECTION("and an agent that does not understand one says so") {
    auto why = c[0].request<test::area>(to_agent("measure"), 5s, "a text"s);
    REQUIRE_FALSE(why);
    CHECK(why.error().code == errc::wrong_type);
  }
}

TEST_CASE("a message goes to a group, to all or to any with a capability, or to everyone",
          "[node]") {
  testing::cluster c{3};
  std::array<std::atomic<int>, 3> heard{};
  for (std::size_t each = 0; each < c.size(); ++each) {
    agent_options how{.capabilities = {"count"}, .unique = false};
    if (each > 0)
      how.groups = {"tail"};
    REQUIRE(c[each].agent("counter", how, [&heard, each](int number) {
      heard[each] += number;
      return static_cast<int>(each);
    }));
  }
  auto reached = [&](const router::recipients& whom) {
    auto report = c[0].broadcast(whom, 0);
    return report ? report->sent : 0;
  };
  REQUIRE(c.until([&] { return reached(to_everyone()) == 3; }));
  auto heard_are = [&](int first, int second, int third) {
    return c.until([&] { return heard[0] == first && heard[1] == second && heard[2] == third; });
  };
  SECTION("a group") {
    CHECK(reached(to_group("tail")) == 2);
    CHECK(c[0].send(to_group("tail"), 1));
    CHECK(heard_are(0, 1, 1));
  }
  SECTION("all with a capability") {
    CHECK(c[0].send(to_all("count"), 1));
    CHECK(heard_are(1, 1, 1));
  }
  SECTION("any with a capability, in turn") {
    for (auto round = 0; round < 6; ++round)
      CHECK(c[0].request<int>(to_any("count"), 5s, 1));
    CHECK(heard_are(2, 2, 2));
  }
  SECTION("a group that nobody is in") {
    CHECK(reached(to_group("nobody")) == 0);
  }
}

TEST_CASE("a name belongs to one agent of the cluster", "[node]") {
  testing::cluster c{3};
  REQUIRE(c[1].agent("solo", echo()));
  CHECK(c[1].agent("solo", echo()).error().code == errc::name_taken);
  CHECK(c[2].agent("solo", echo()).error().code == errc::name_taken);
  CHECK(c[0].agent("solo", echo()).error().code == errc::name_taken);
  SECTION("and goes with its node when that leaves") {
    CHECK(c[1].leave());
    CHECK(c[1].leave().error().code == errc::cancelled); // it has stopped
    CHECK(c[2].agent("solo", echo()));
  }
  SECTION("but not names that several may have, or that end with their node's") {
    for (std::size_t each = 0; each < c.size(); ++each) {
      CHECK(c[each].agent("many", {.unique = false}, echo()));
      CHECK(c[each].agent("own@n" + std::to_string(each), echo()));
    }
    CHECK(c[1].agent("own@n2", echo()).error().code == errc::bad_argument);
    CHECK(c.until([&] { return c[2].find("own@n1").has_value(); }));
  }
}

TEST_CASE("an agent that ends is taken back", "[node]") {
  testing::cluster c{2};
  auto made = c[1].system().spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string& text) { return text; }};
  });
  REQUIRE(c[1].add_agent("mortal", made));
  REQUIRE(c.until([&] { return c[0].find("mortal").has_value(); }));
  caf::anon_send_exit(made, caf::exit_reason::user_shutdown);
  CHECK(c.until([&] {
    auto found = c[0].registry().service().ask(
      registry::get_record{registry::record_kind::agent, "mortal", {}}, 5s);
    return found && !found->found;
  }));
  CHECK(c.until([&] { return c[0].agent("mortal", echo()); }));
}

TEST_CASE("ids of agents are checked", "[node]") {
  testing::cluster c{1};
  CHECK(c[0].agent("", echo()).error().code == errc::bad_argument);
  CHECK(c[0].agent(std::string(256, 'x'), echo()).error().code == errc::bad_argument);
  CHECK(c[0].agent("\xff", echo()).error().code == errc::bad_argument);
}

TEST_CASE("a node ends the agents it was given with an actor system of its own", "[node]") {
  testing::cluster c{2, [](std::size_t, node_options& how) { how.lost_after = 200ms; }};
  for (auto* id : {"own", "shared"}) {
    auto made = c[1].system().spawn([](caf::event_based_actor*) -> caf::behavior {
      return {[](const std::string& text) { return text; }};
    });
    REQUIRE(c[1].add_agent(id, made, {.unique = id == "own"s}));
  }
  c.stop(1); // comes back, as nothing is left that its actor system waits for
  CHECK(c.until([&] { return answer_of(c[0], "own") == "not_found"; }));
}

TEST_CASE("the end of a node does not wait for all that its agents have to do", "[node]") {
  test::lines log;
  testing::cluster c{2, [&](std::size_t, node_options& how) {
                       how.agents_end_within = 200ms;
                       how.allow_spawn = true;
                       how.log = log;
                     }};
  auto handled = std::make_shared<std::atomic<int>>(0);
  auto slow = [handled](int) {
    std::this_thread::sleep_for(5ms);
    ++*handled;
  };
  constexpr auto messages = 4'000; // 20 s
  REQUIRE(c[1].agent("slow", slow));
  REQUIRE(c[1].agent("quick", echo()));
  REQUIRE(c.until([&] { return c[0].find("slow").has_value(); }));
  for (auto each = 0; each < messages; ++each)
    REQUIRE(c[0].send(to_agent("slow"), each));
  REQUIRE(c.until([&] { return *handled > 0; }));
  auto begun = std::chrono::steady_clock::now();
  c.stop(1);
  CHECK(std::chrono::steady_clock::now() - begun < 8s);
  CHECK(*handled < messages);
  CHECK(log.contain("1 agent ('slow') did not end within 200 ms"));
  CHECK(log.contain("what waited for them is dropped"));
}

TEST_CASE("agents finish what they have got when their node ends, if there is time", "[node]") {
  test::lines log;
  testing::cluster c{1, [&](std::size_t, node_options& how) {
                       how.agents_end_within = 20s;
                       how.log = log;
                     }};
  auto handled = std::make_shared<std::atomic<int>>(0);
  constexpr auto messages = 100;
  auto slow = [handled](int) {
    std::this_thread::sleep_for(1ms);
    ++*handled;
  };
  REQUIRE(c[0].agent("slow", slow));
  for (auto each = 0; each < messages; ++each)
    REQUIRE(c[0].send(to_agent("slow"), each));
  c.stop(0);
  CHECK(*handled == messages);
  CHECK_FALSE(log.contain("dropped"));
}

TEST_CASE("an actor that a peer has spawned without an owner does not keep a node from its end",
          "[node]") {
  test::lines log;
  testing::cluster c{2, [&](std::size_t, node_options& how) {
                       how.agents_end_within = 200ms;
                       how.allow_spawn = true;
                       how.log = log;
                     }};
  auto there = test::find_peer(c, 0, "n1");
  REQUIRE(there);
  there->owner = nullptr;
  auto made = spawn_at<lock::lock_service>(*there, {});
  REQUIRE(made);
  auto begun = std::chrono::steady_clock::now();
  c.stop(1);
  CHECK(std::chrono::steady_clock::now() - begun < 8s);
  CHECK(log.contain("actors that nobody ended were ended with it"));
}

TEST_CASE("agents of a program's own actor system outlive their node", "[node]") {
  troupe::node_config config;
  caf::actor_system sys{config};
  auto made = sys.spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string& text) { return text; }};
  });
  {
    auto lone = node::start({.listen = {"127.0.0.1", 0}}, &sys);
    REQUIRE(lone);
    REQUIRE(lone->add_agent("mine", made));
  }
  caf::scoped_actor self{sys};
  std::string answer;
  self->request(made, 20s, "still here"s)
    .receive([&](std::string& text) { answer = std::move(text); }, [](const caf::error&) {});
  CHECK(answer == "still here");
  caf::anon_send_exit(made, caf::exit_reason::user_shutdown);
}

TEST_CASE("a light client hears whether its message was handed over", "[node]") {
  testing::cluster c{3};
  REQUIRE(c[1].agent("echo", echo()));
  REQUIRE(c.until([&] { return c[0].find("echo").has_value(); }));
  auto client = c.connect(2);
  REQUIRE(client);
  auto sent = (*client)->send(to_agent("echo"), 5s, "hello"s);
  REQUIRE(sent);
  CHECK(sent->sent == 1);
  CHECK((*client)->send(to_agent("nobody"), 5s, "hello"s).error().code == errc::not_found);
}

TEST_CASE("a node may be stopped while other threads send, and they are told", "[node]") {
  for (auto round = 0; round < 5; ++round) {
    testing::cluster c{2};
    REQUIRE(c[1].agent("echo", echo()));
    REQUIRE(c.until([&] { return answer_of(c[0], "echo") == "hello"; }));
    auto& sender = c[0];
    std::vector<std::thread> threads;
    for (auto each = 0; each < 3; ++each)
      threads.emplace_back([&] {
        while (sender.send(to_agent("echo"), "hello"s).error_or().code != errc::cancelled)
          continue;
      });
    sender.stop();
    for (auto& each : threads)
      each.join();
    CHECK(sender.send(to_agent("echo"), "hello"s).error().code == errc::cancelled);
  }
}
