#include "troupe/core/caf/compat.hpp" // the header under test
#include "troupe/core/caf/init.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/proxy_registry.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/sec.hpp"
#include "caf/stateful_actor.hpp"

using namespace troupe;

#if CAF_MAJOR_VERSION < 1

namespace {

/// Writes down on which thread it was told what.
struct witness_state {
  explicit witness_state(caf::event_based_actor*) {}

  caf::behavior make_behavior() {
    return {
      [this](const std::string& what) {
        heard.push_back(what);
        where = std::this_thread::get_id();
        return what;
      },
    };
  }

  std::vector<std::string> heard;
  std::thread::id where;
};

using witness = compat::near_links<caf::stateful_actor<witness_state>>;

/// Keeps what a thread that reads links keeps to run itself, and gives the rest to the scheduler.
class reader : public caf::execution_unit {
public:
  explicit reader(caf::actor_system& sys) : caf::execution_unit(&sys) {}

  void exec_later(caf::resumable* what) override {
    if (what->subtype() == caf::resumable::io_actor)
      due.push_back(what);
    else
      system().scheduler().enqueue(what);
  }

  void run_all() {
    for (auto* each : std::exchange(due, {}))
      if (each->resume(this, 1'000) == caf::resumable::awaiting_message)
        caf::intrusive_ptr_release(each);
  }

  std::vector<caf::resumable*> due;
};

/// Waits until nobody runs the actor: it may have answered a moment before.
template <class Actor>
void wait_until_idle(const caf::strong_actor_ptr& which) {
  auto* subject = caf::actor_cast<Actor*>(which);
  REQUIRE(testing::comes_true([&] { return subject->mailbox().blocked(); }));
}

/// What a reader has that takes messages of links apart.
class no_nodes : public caf::proxy_registry::backend {
public:
  caf::strong_actor_ptr make_proxy(caf::node_id, caf::actor_id) override {
    return nullptr;
  }

  void set_last_hop(caf::node_id*) override {}
};

} // namespace

TEST_CASE("an actor near links runs in the thread that brings it something", "[host]") {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto subject = caf::actor_cast<caf::strong_actor_ptr>(system.spawn<witness>());
  auto& state = caf::actor_cast<witness*>(subject)->state;
  caf::scoped_actor self{system};
  auto ask = [&] { // from elsewhere; returns when all before has been handled
    self->request(caf::actor_cast<caf::actor>(subject), caf::infinite, std::string{"asked"})
      .receive([](const std::string&) {}, [](const caf::error& why) { FAIL(to_string(why)); });
  };
  ask();
  wait_until_idle<witness>(subject);
  CHECK(state.where != std::this_thread::get_id());

  reader here{system};
  for (auto* text : {"first", "second"})
    subject->enqueue(nullptr, caf::make_message_id(), caf::make_message(std::string{text}), &here);
  REQUIRE(here.due.size() == 1); // both at once
  CHECK(here.due[0]->subtype() == caf::resumable::scheduled_actor);
  CHECK(state.heard.size() == 1);
  here.run_all();
  CHECK(state.heard == std::vector<std::string>{"asked", "first", "second"});
  CHECK(state.where == std::this_thread::get_id());

  SECTION("and what is run on it because of that") {
    {
      compat::bringing bring{&here};
      run_on(subject, [&state] { state.heard.emplace_back("job"); });
    }
    CHECK(state.heard.size() == 3);
    here.run_all();
    CHECK(state.heard.back() == "job");
    run_on(subject, [&state] { state.heard.emplace_back("another"); });
    CHECK(here.due.empty());
    ask();
    CHECK(state.heard.size() == 6);
  }
}

namespace {

/// Takes its time for some messages.
struct slow_state {
  explicit slow_state(caf::event_based_actor* self) : self_(self) {}

  caf::behavior make_behavior() {
    return {
      [this](const std::string& what) {
        if (what != "slow")
          return note(what);
        is_due_ = true;
        run_next_on(caf::strong_actor_ptr{self_->ctrl()}, [this] {
          is_due_ = false;
          note("slow");
        });
      },
      [](caf::get_atom) { return caf::ok_atom_v; },
    };
  }

  [[nodiscard]] bool wants_time() const {
    return is_due_;
  }

  std::vector<std::pair<std::string, std::thread::id>> heard;

private:
  void note(const std::string& what) {
    heard.emplace_back(what, std::this_thread::get_id());
  }

  caf::event_based_actor* self_;
  bool is_due_ = false;
};

} // namespace

TEST_CASE("an actor near links leaves them for a step that takes time, and keeps the order",
          "[host]") {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  using slow = compat::near_links<caf::stateful_actor<slow_state>>;
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto subject = caf::actor_cast<caf::strong_actor_ptr>(system.spawn<slow>());
  auto& state = caf::actor_cast<slow*>(subject)->state;
  caf::scoped_actor self{system};
  auto wait = [&] { // until all before has been handled
    self->request(caf::actor_cast<caf::actor>(subject), caf::infinite, caf::get_atom_v)
      .receive([](caf::ok_atom) {}, [](const caf::error& why) { FAIL(to_string(why)); });
  };
  wait();
  wait_until_idle<slow>(subject);
  reader here{system};
  auto bring = [&](const char* text) {
    subject->enqueue(nullptr, caf::make_message_id(), caf::make_message(std::string{text}), &here);
  };
  for (auto* text : {"a", "b", "slow", "c"})
    bring(text);
  here.run_all();
  wait();
  wait_until_idle<slow>(subject);
  bring("d");
  REQUIRE(here.due.size() == 1); // it is near them again
  here.run_all();
  std::vector<std::string> order;
  for (auto& [text, where] : state.heard) {
    order.push_back(text);
    INFO(text);
    CHECK((where == std::this_thread::get_id()) == (text == "a" || text == "b" || text == "d"));
  }
  CHECK(order == std::vector<std::string>{"a", "b", "slow", "c", "d"});
}

TEST_CASE("an actor that talks over links stays with them", "[host]") {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  using faithful = compat::near_links<caf::stateful_actor<witness_state>, //
                                      compat::elsewhere::by_links>;
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto subject = caf::actor_cast<caf::strong_actor_ptr>(system.spawn<faithful>());
  auto& state = caf::actor_cast<faithful*>(subject)->state;
  caf::scoped_actor self{system};
  auto ask = [&] {
    return self->request(caf::actor_cast<caf::actor>(subject), std::chrono::seconds{10},
                         std::string{"asked"});
  };
  ask().receive([](const std::string&) {}, [](const caf::error& why) { FAIL(to_string(why)); });
  wait_until_idle<faithful>(subject);
  CHECK(state.where != std::this_thread::get_id());

  no_nodes nodes;
  caf::proxy_registry known{system, nodes};
  reader links{system};
  links.proxy_registry_ptr(&known);
  subject->enqueue(nullptr, caf::make_message_id(), caf::make_message(std::string{"brought"}),
                   &links);
  links.run_all();
  auto second = ask(); // from elsewhere, and still for the links
  REQUIRE(links.due.size() == 1);
  links.run_all();
  std::move(second).receive([](const std::string&) {},
                            [](const caf::error& why) { FAIL(to_string(why)); });
  CHECK(state.heard == std::vector<std::string>{"asked", "brought", "asked"});
  CHECK(state.where == std::this_thread::get_id());
  links.proxy_registry_ptr(nullptr);
}

#endif

TEST_CASE("what answers a request is taken once, whatever it is", "[host]") {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto subject = system.spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string& what) -> caf::result<std::string> {
              if (what.empty())
                return caf::make_error(caf::sec::invalid_argument);
              return what;
            },
            [](caf::ok_atom) {}};
  });
  auto there = caf::actor_cast<caf::strong_actor_ptr>(subject);
  std::vector<std::string> taken;
  caf::actor asks = system.spawn([&](caf::event_based_actor* self) {
    auto note = [&](const caf::message& what) { taken.push_back(to_string(what.types())); };
    compat::ask(self, there, caf::make_message(std::string{"text"}), note);
    compat::ask(self, there, caf::make_message(caf::ok_atom_v), note);
    compat::relay(self, there, std::chrono::seconds{10}, caf::make_message(std::string{"text"}),
                  note, [&](const caf::error&) { taken.emplace_back("no error"); });
    compat::relay(
      self, there, std::chrono::seconds{10}, caf::make_message(std::string{}),
      [&](const caf::message&) { taken.emplace_back("no answer"); },
      [&](const caf::error&) { taken.emplace_back("refused"); });
  });
  caf::scoped_actor self{system};
  self->wait_for(asks);
  CHECK(taken == std::vector<std::string>{"[std::string]", "[]", "[std::string]", "refused"});
}
