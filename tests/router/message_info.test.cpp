#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>

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
#include "caf/send.hpp"
#include "troupe/node/agent_functions.hpp"
#include "troupe/router/router.hpp"
#include "troupe/router/router_client.hpp"

namespace message_info_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

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

link_peer peer_named(const std::string& id, bool is_member, bool is_proven = true) {
  return {std::make_shared<const std::string>(id), is_member, is_proven};
}

std::string told(const message_info& from) {
  return from.node + "/" + from.from + (from.is_member ? " member" : "")
         + (from.is_proven ? " proven" : "");
}

/// The router of the node n1 with the agent "asked", which answers who asks, and a program of that
/// node. Other actors stand for routers and clients behind links.
struct asked_router : test::live_system<caf::id_block::troupe_router> {
  std::shared_ptr<known_peers> peers = std::make_shared<known_peers>();
  router_access here{sys, "n1",
                     {},  {[](const std::string&) {}, [](const std::string&) {}},
                     {},  [all = peers](const caf::strong_actor_ptr& who) { return all->of(who); }};
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

  /// An actor behind a link.
  caf::actor behind(link_peer there) {
    auto made
      = sys.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](caf::ok_atom) {}}; });
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

  /// As a letter, which the router of another node writes.
  std::string ask_by_letter(const caf::actor& who, const std::string& from, bool is_passed_on) {
    bundle one;
    letter what{word::answer, 0, {"asked"}, from, caf::make_message("x"s), {}, 10s, is_passed_on};
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
  CHECK(ask_by_letter(client, "asked", false) == "c1/ proven");
  CHECK(ask_by_letter(client, "n2", true) == "c1/ proven");
  auto stranger = behind(peer_named("c2", false, false));
  CHECK(ask_as(stranger, "asked") == "c2/");
}

TEST_CASE_METHOD(asked_router, "a member is believed about its own agents, and what it passes on",
                 "[router]") {
  auto member = behind(peer_named("n2", true));
  CHECK(ask_by_letter(member, "", false) == "n2/ member proven");
  CHECK(ask_by_letter(member, "new", false) == "n2/new member proven");
  on(here, [](router_state& state) {
    state.places().put({"theirs", "n2"});
    state.places().put({"others", "n3"});
    return true;
  });
  CHECK(ask_by_letter(member, "theirs", false) == "n2/theirs member proven");
  CHECK(ask_by_letter(member, "others", false) == "n2/ member proven");
  CHECK(ask_by_letter(member, "c1", true) == "c1/ proven");
  CHECK(ask_by_letter(member, "", true) == "/");
  CHECK(ask_as(member, "theirs") == "n2/ member proven");
  auto unproven = behind(peer_named("n4", true, false));
  CHECK(ask_by_letter(unproven, "new", false) == "n4/new member");
  CHECK(ask_by_letter(unproven, "c1", true) == "c1/");
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

TEST_CASE_METHOD(asked_router, "a router says who sent what it passes on", "[router]") {
  auto far = add(here, "far", true);
  router_access there{
    sys, "n2",
    {},  {[](const std::string&) {}, [](const std::string&) {}},
    {},  [all = peers](const caf::strong_actor_ptr& who) { return all->of(who); }};
  peers->enter(there.handle(), peer_named("n2", true));
  there.run([entry = caf::actor_cast<caf::strong_actor_ptr>(here.handle())](router_state& state) {
    state.places().put({"asked", "n1"});
    state.link_up("n1", 1, entry);
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
  CHECK(ask_there(behind(peer_named("c1", false)), "theirs") == "c1/ proven");
  end(there);
}

TEST_CASE_METHOD(asked_router, "who sent a message cannot be written, nor read from a link",
                 "[router]") {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{sys, bytes};
  CHECK_FALSE(sink.apply(caf::make_message(message_info{"a", "n1", true, true}, "x"s)));
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
