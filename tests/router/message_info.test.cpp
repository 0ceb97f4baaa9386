#include "router/named_nodes.hpp"
#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>

#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/forwarding_actor_proxy.hpp"
#include "caf/make_actor.hpp"
#include "caf/node_id.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/node/agent_functions.hpp"
#include "troupe/router/router_access.hpp"
#include "troupe/router/router_client.hpp"

namespace message_info_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto n1 = test::node_named("n1");
const auto n2 = test::node_named("n2");
const auto n3 = test::node_named("n3");
/// As a letter says it.
const auto c1 = test::node_named("c1");

/// Who is behind which actor, as links would prove it.
class known_peers {
public:
  void enter(const caf::actor& who, link_peer there) {
    std::lock_guard guard{mutex_};
    all_.insert_or_assign(who.address(), std::move(there));
  }

  [[nodiscard]] link_peer of(const caf::strong_actor_ptr& who) const {
    std::lock_guard guard{mutex_};
    auto found = who ? all_.find(who->address()) : all_.end();
    return found != all_.end() ? found->second : link_peer{};
  }

private:
  mutable std::mutex mutex_;
  std::map<caf::actor_addr, link_peer> all_;
};

/// What an agent has heard, for another thread.
class heard_lines {
public:
  void push(std::string line) {
    std::lock_guard guard{mutex_};
    lines_.push_back(std::move(line));
    came_.notify_one();
  }

  /// Waits for the next line.
  std::string next() {
    std::unique_lock guard{mutex_};
    if (!came_.wait_for(guard, 10s, [this] { return !lines_.empty(); }))
      return "nothing came";
    auto line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }

private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::string> lines_;
};

link_peer peer_named(const std::string& called, bool is_member, bool is_proven = true) {
  return {test::node_named(called), is_member, is_proven};
}

std::string told(const message_info& from) {
  return test::name_of(from.node) + "/" + from.from.text() + (from.is_member ? " member" : "")
         + (from.is_proven ? " proven" : "");
}

/// The router of the node n1 with the agent "asked", which answers who asks, and a program of that
/// node. Other actors stand for routers and clients behind links.
struct asked_router : test::live_system<caf::id_block::troupe_router> {
  std::shared_ptr<known_peers> peers = std::make_shared<known_peers>();
  router_access here{sys, n1,
                     {},  {[](const node_id&) {}, [](const agent_id&) {}},
                     {},  [all = peers](const caf::strong_actor_ptr& who) { return all->of(who); }};
  std::shared_ptr<heard_lines> kept = std::make_shared<heard_lines>();
  std::vector<caf::actor> started;
  caf::actor asked = add(here, "asked", true);

  ~asked_router() {
    for (auto& each : started)
      caf::anon_send_exit(each, caf::exit_reason::kill);
    end(here);
  }

  static void end(const router_access& which) {
    caf::anon_send_exit(which.handle(), caf::exit_reason::user_shutdown);
  }

  template <class Job>
  static auto on(const router_access& where, Job job) {
    using value = decltype(job(std::declval<router_state&>()));
    auto promise = std::make_shared<std::promise<value>>();
    where.run([promise, job](router_state& state) { promise->set_value(job(state)); });
    return promise->get_future().get();
  }

  caf::actor add(const router_access& where, const std::string& id, bool takes_info) {
    auto made = sys.spawn([id](caf::event_based_actor* self) -> caf::behavior {
      auto context = std::make_shared<agent_context>(self, id, [](const problem&) {});
      return troupe::detail::agent_behavior(
        context, [](const message_info& from, const std::string&) { return told(from); },
        [n = 0](agent_context&, const message_info& from, int) mutable {
          return told(from) + " " + std::to_string(++n);
        },
        [](double) { return "not asked"s; });
    });
    started.push_back(made);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(made);
    REQUIRE(
      on(where, [=](router_state& state) { return state.add_agent(id, handle, takes_info); }).code
      == errc::none);
    return made;
  }

  /// Adds the agent "keeper", which keeps who sent a message.
  void add_keeper(bool takes_info = true) {
    auto made = sys.spawn([lines = kept](caf::event_based_actor* self) -> caf::behavior {
      return troupe::detail::agent_behavior(
        std::make_shared<agent_context>(self, "keeper", [](const problem&) {}),
        [lines](const message_info& from, const std::string&) { lines->push(told(from)); });
    });
    started.push_back(made);
    auto why = on(here, [handle = caf::actor_cast<caf::strong_actor_ptr>(made),
                         takes_info](router_state& state) {
      state.places().put({"keeper", n1, {"keeping"}, {"keepers"}});
      return state.add_agent("keeper", handle, takes_info);
    });
    REQUIRE(why.code == errc::none);
  }

  /// Who sent the next message to it.
  [[nodiscard]] std::string seen() const {
    return kept->next();
  }

  /// An actor behind a link.
  caf::actor behind(link_peer there) {
    auto made = sys.spawn([](caf::event_based_actor* self) -> caf::behavior {
      ignore_strays(self);
      return {[](caf::ok_atom) {}};
    });
    started.push_back(made);
    peers->enter(made, std::move(there));
    return made;
  }

  /// What the answer to `what` is if `who` asks `whom` for it.
  std::string ask_as(const caf::actor& who, const caf::actor& whom, const caf::message& what) {
    auto answer = std::make_shared<std::promise<std::string>>();
    run_on(caf::actor_cast<caf::strong_actor_ptr>(who), [=] {
      auto* self = caf::actor_cast<caf::event_based_actor*>(who);
      compat::ask(
        self, caf::actor_cast<caf::strong_actor_ptr>(whom), what, [answer](caf::message& said) {
          answer->set_value(said.match_elements<std::string>() ? said.get_as<std::string>(0)
                                                               : "none: " + to_string(said));
        });
    });
    return answer->get_future().get();
  }

  std::string ask_as(const caf::actor& who, std::string from = {}) {
    return ask_as(who, here.handle(),
                  caf::make_message(
                    dispatch{to_agent("asked"), std::move(from), 10s, caf::make_message("x"s)}));
  }

  /// Sends a letter of `who`, whose answer it does not wait for.
  void post_letter(const caf::actor& who, const letter& what) {
    run_on(caf::actor_cast<caf::strong_actor_ptr>(who), [=, this] {
      auto* self = caf::actor_cast<caf::event_based_actor*>(who);
      bundle one;
      if (one.add(self->context(), what) == bundle::added::yes)
        caf::actor_cast<caf::strong_actor_ptr>(here.handle())
          ->enqueue(self->ctrl(), caf::make_message_id(), caf::make_message(std::move(one)),
                    nullptr);
    });
  }

  /// As a letter, which the router of another node writes.
  std::string ask_by_letter(const caf::actor& who, const agent_id& from) {
    return ask_by_letter(who, {word::answer, 0, {"asked"}, from, caf::make_message("x"s), {}, 10s});
  }

  /// As one of somebody else.
  std::string ask_for(const caf::actor& who, const node_id& first) {
    return ask_by_letter(
      who, {word::answer, 0, {"asked"}, {}, caf::make_message("x"s), {}, 10s, true, first});
  }

  std::string ask_by_letter(const caf::actor& who, letter what) {
    bundle one;
    auto answer = std::make_shared<std::promise<std::string>>();
    run_on(caf::actor_cast<caf::strong_actor_ptr>(who), [=, this]() mutable {
      auto* self = caf::actor_cast<caf::event_based_actor*>(who);
      auto id = self->new_request_id(caf::message_priority::normal);
      what.number = id.request_id().integer_value();
      auto added = one.add(self->context(), what);
      compat::when_answered(self, id, [answer](const caf::message& said) {
        answer->set_value(said.match_elements<std::string>() ? said.get_as<std::string>(0)
                                                             : "none: " + to_string(said));
      });
      if (added == bundle::added::yes)
        caf::actor_cast<caf::strong_actor_ptr>(here.handle())
          ->enqueue(self->ctrl(), caf::make_message_id(), caf::make_message(std::move(one)),
                    nullptr);
    });
    return answer->get_future().get();
  }
};

} // namespace

TEST_CASE_METHOD(asked_router, "what a client says of its name is not believed", "[router]") {
  auto client = behind(peer_named("c1", false));
  CHECK(ask_as(client) == "c1/ proven");
  CHECK(ask_as(client, "asked") == "c1/ proven");
  CHECK(ask_by_letter(client, "asked") == "c1/ proven");
  CHECK(ask_for(client, n2) == "c1/ proven");
  auto stranger = behind(peer_named("c2", false, false));
  CHECK(ask_as(stranger, "asked") == "c2/");
}

TEST_CASE_METHOD(asked_router, "a member is believed about its own agents, and what it passes on",
                 "[router]") {
  auto member = behind(peer_named("n2", true));
  CHECK(ask_by_letter(member, "") == "n2/ member proven");
  CHECK(ask_by_letter(member, "new") == "n2/new member proven");
  on(here, [](router_state& state) {
    state.places().put({"theirs", n2});
    state.places().put({"others", n3});
    return true;
  });
  CHECK(ask_by_letter(member, "theirs") == "n2/theirs member proven");
  CHECK(ask_by_letter(member, "others") == "n2/ member proven");
  CHECK(ask_for(member, c1) == "c1/ proven");
  CHECK(ask_for(member, {}) == "/");
  CHECK(ask_as(member, "theirs") == "n2/ member proven");
  CHECK(ask_by_letter(member, "asked") == "n2/ member proven"); // which is here
  auto unproven = behind(peer_named("n4", true, false));
  CHECK(ask_by_letter(unproven, "new") == "n4/new member");
  CHECK(ask_for(unproven, c1) == "c1/");
}

TEST_CASE_METHOD(asked_router, "in one process an agent is known by its actor", "[router]") {
  auto agent = add(here, "own", false);
  CHECK(ask_as(agent) == "n1/own member proven");
  CHECK(ask_as(agent, "asked") == "n1/own member proven");
  REQUIRE(on(here, [handle = caf::actor_cast<caf::strong_actor_ptr>(agent)](
                     router_state& state) { return state.add_agent("second", handle); })
            .code
          == errc::none);
  CHECK(ask_as(agent, "second") == "n1/second member proven");
  router_client program{sys, here.handle()};
  CHECK(program.request<std::string>(to_agent("asked"), 10s, "x"s).value() == "n1/ member proven");
  CHECK(program.request<std::string>(to_agent("asked"), 10s, 7).value() == "n1/ member proven 1");
  CHECK(program.request<std::string>(to_agent("asked"), 10s, 1.5).value() == "not asked");
  auto stand_in = program.agent_handle("asked");
  CHECK(ask_as(agent, stand_in, caf::make_message("x"s)) == "n1/own member proven");
  SECTION("on a handle nothing is known") {
    CHECK(ask_as(agent, asked, caf::make_message("x"s)) == "/");
    CHECK(ask_as(agent, asked, caf::make_message(8)) == "/ 2");
  }
  SECTION("who sends what an agent does not take is told so") {
    CHECK(program.request<std::string>(to_agent("asked"), 10s, 'x').error().code
          == errc::wrong_type);
  }
  program.stop();
  caf::anon_send_exit(stand_in, caf::exit_reason::kill);
}

TEST_CASE_METHOD(asked_router, "an agent sees who sent a message, whatever kind of message it is",
                 "[router]") {
  auto client = behind(peer_named("c1", false));
  auto one = caf::make_message("x"s);
  SECTION("one that asks for an answer, for a receipt or for nothing") {
    add_keeper();
    for (auto& to :
         {to_agent("keeper"), to_any("keeping"), to_all("keeping"), to_group("keepers")}) {
      static_cast<void>(
        ask_as(client, here.handle(), caf::make_message(dispatch{to, "keeper", 10s, one})));
      CHECK(seen() == "c1/ proven");
      static_cast<void>(
        ask_as(client, here.handle(), caf::make_message(post{to, "keeper", 10s, one})));
      CHECK(seen() == "c1/ proven");
      caf::actor_cast<caf::strong_actor_ptr>(here.handle())
        ->enqueue(caf::actor_cast<caf::strong_actor_ptr>(client), caf::make_message_id(),
                  caf::make_message(dispatch{to, "keeper", 10s, one}), nullptr);
      CHECK(seen() == "c1/ proven");
      CHECK_FALSE(here.send(to, one));
      CHECK(seen() == "n1/ member proven");
    }
    static_cast<void>(ask_as(client, here.handle(), caf::make_message(envelope{"keeper", one})));
    CHECK(seen() == "c1/ proven");
    caf::anon_send(here.handle(), dispatch{to_agent("keeper"), "asked", 10s, one});
    CHECK(seen() == "/"); // without a sender it is anybody's
  }
  SECTION("an agent that is added without that sees nothing") {
    add_keeper(false);
    CHECK_FALSE(here.send(to_agent("keeper"), one));
    CHECK(seen() == "/");
  }
  SECTION("a letter that asks for nothing or for a receipt") {
    add_keeper();
    auto member = behind(peer_named("n2", true));
    for (auto wanted : {word::nothing, word::receipt}) {
      post_letter(member, {wanted, 1, {"keeper"}, "new", one});
      CHECK(seen() == "n2/new member proven");
      post_letter(client, {wanted, 1, {"keeper"}, "new", one});
      CHECK(seen() == "c1/ proven");
    }
  }
}

TEST_CASE_METHOD(asked_router, "a sender in another process whose link nobody knows is nobody",
                 "[router]") {
  add_keeper();
  // As CAF makes it for an actor in another process.
  caf::actor_config how;
  auto sender = caf::make_actor<caf::forwarding_actor_proxy, caf::actor>(
    7, *caf::make_node_id(7, std::string(40, 'a')), &sys, how, behind({}));
  auto send = [&](const caf::message& what) {
    caf::actor_cast<caf::strong_actor_ptr>(here.handle())
      ->enqueue(caf::actor_cast<caf::strong_actor_ptr>(sender), caf::make_message_id(), what,
                nullptr);
  };
  auto one = caf::make_message("x"s);
  send(caf::make_message(dispatch{to_agent("keeper"), "asked", 10s, one}));
  CHECK(seen() == "/");
  send(caf::make_message(envelope{"keeper", one}));
  CHECK(seen() == "/");
  peers->enter(sender, peer_named("c1", false));
  send(caf::make_message(dispatch{to_agent("keeper"), "asked", 10s, one}));
  CHECK(seen() == "c1/ proven");
}

TEST_CASE_METHOD(asked_router, "what a payload says of who sent it is not believed", "[router]") {
  auto client = behind(peer_named("c1", false));
  auto ask_with = [&](const caf::message& payload) {
    return ask_as(client, here.handle(),
                  caf::make_message(dispatch{to_agent("asked"), {}, 10s, payload}));
  };
  message_info claimed{"clerk", n1, true, true};
  for (auto& payload : {caf::make_message(claimed, "x"s), caf::make_message(claimed),
                        caf::make_message(claimed, claimed, "x"s)})
    CHECK(ask_with(payload).starts_with("none: "));
  auto alone = ask_with(caf::make_message(caf::make_error(caf::sec::runtime_error)));
  CHECK(alone.find(router::detail::error_alone().detail) != std::string::npos);
  CHECK(ask_as(client) == "c1/ proven"); // the agent goes on
}

TEST_CASE_METHOD(asked_router, "a router says who sent what it passes on", "[router]") {
  auto far = add(here, "far", true);
  router_access there{
    sys, n2,
    {},  {[](const node_id&) {}, [](const agent_id&) {}},
    {},  [all = peers](const caf::strong_actor_ptr& who) { return all->of(who); }};
  peers->enter(there.handle(), peer_named("n2", true));
  there.run([entry = caf::actor_cast<caf::strong_actor_ptr>(here.handle())](router_state& state) {
    state.places().put({"asked", n1});
    state.link_up(n1, 1, entry);
  });
  auto ask_there = [&](const caf::actor& who, const std::string& from = {}) {
    return ask_as(
      who, there.handle(),
      caf::make_message(dispatch{to_agent("asked"), from, 10s, caf::make_message("x"s)}));
  };
  auto agent = add(there, "theirs", false);
  auto program = behind({});
  CHECK(ask_there(agent) == "n2/theirs member proven");
  CHECK(ask_there(program, "theirs") == "n2/ member proven");
  auto client = behind(peer_named("c1", false));
  CHECK(ask_there(client, "theirs") == "c1/ proven");
  SECTION("also where nothing is wanted of it, or it is for many") {
    add_keeper();
    on(there, [](router_state& state) {
      state.places().put({"keeper", n1, {}, {"keepers"}});
      return true;
    });
    for (auto& to : {to_agent("keeper"), to_group("keepers")})
      for (auto& [who, is_seen_as] : {std::pair{agent, "n2/theirs member proven"},
                                      {program, "n2/ member proven"},
                                      {client, "c1/ proven"}}) {
        caf::actor_cast<caf::strong_actor_ptr>(there.handle())
          ->enqueue(caf::actor_cast<caf::strong_actor_ptr>(who), caf::make_message_id(),
                    caf::make_message(dispatch{to, "theirs", 10s, caf::make_message("x"s)}),
                    nullptr);
        CHECK(seen() == is_seen_as);
      }
  }
  end(there);
}

TEST_CASE_METHOD(asked_router, "who sent a message cannot be written, nor read from a link",
                 "[router]") {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{sys, bytes};
  CHECK_FALSE(sink.apply(caf::make_message(message_info{"a", n1, true, true}, "x"s)));
  bytes.clear();
  // As CAF writes a message: how many elements, the type of each, these.
  caf::binary_serializer forged{sys, bytes};
  REQUIRE((forged.begin_sequence(1) && forged.value(caf::type_id_v<message_info>)
           && forged.value("a"s) && forged.value("n1"s)));
  caf::binary_deserializer source{sys, bytes};
  caf::message read;
  CHECK_FALSE(source.apply(read));
  CHECK(read.empty());
}

} // namespace message_info_test
