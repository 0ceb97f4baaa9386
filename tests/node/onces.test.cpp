// Messages of class once between whole nodes: effects in the database of the agent.
#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/once.hpp"
#include "troupe/testing/comes_true.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/typed_actor.hpp"
#include "caf/typed_event_based_actor.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

const router::message_options once{.delivery = router::delivery_class::once};

/// Two nodes, and a database of entries for an agent of the second one.
struct two_nodes {
  test::temporary_folder folder;
  std::shared_ptr<once_store> store = once_store::open(folder / "entries.db").value();
  testing::cluster c{2};

  two_nodes() {
    REQUIRE(store->database().run("CREATE TABLE entries(value INTEGER NOT NULL)"));
  }

  static problem enter(once_store& into, std::uint64_t value) {
    auto add = into.database().prepare("INSERT INTO entries VALUES(?)");
    return add.bind(1, static_cast<std::int64_t>(value)).run() ? problem{}
                                                               : into.database().failed("enter");
  }

  std::int64_t number(const char* query) {
    std::int64_t found = -1;
    REQUIRE(store->run([&](storage::database& in) {
      found = in.number(query);
      return problem{};
    }));
    return found;
  }

  std::int64_t entries() {
    return number("SELECT COUNT(*) FROM entries");
  }

  std::int64_t marks() {
    return number("SELECT COUNT(*) FROM troupe_once");
  }

  template <class... Functions>
  void add_agent(Functions... functions) {
    REQUIRE(c[1].agent("ledger", {.once = store}, functions...));
  }

  /// Returns once it was handled, or has ended otherwise.
  template <class... Ts>
  result<router::send_report> post(const Ts&... what) {
    return c[0].messages().post(to_agent("ledger"), 30s, once, what...);
  }
};

} // namespace

TEST_CASE("a message of class once has its effect with its mark, and others have theirs without",
          "[node]") {
  two_nodes t;
  t.add_agent([store = t.store](std::uint64_t value) -> result<std::uint64_t> {
    if (auto why = two_nodes::enter(*store, value))
      return why;
    return value * 10;
  });
  REQUIRE(t.post(std::uint64_t{1}));
  CHECK(t.entries() == 1);
  CHECK(t.marks() == 1);
  for (std::uint64_t each = 2; each <= 50; ++each)
    REQUIRE(t.c[0].send(to_agent("ledger"), once, each));
  REQUIRE(t.post(std::uint64_t{51}));
  CHECK(t.number("SELECT COUNT(*) FROM entries WHERE rowid = value") == 51);
  CHECK(t.marks() == 51);
  // A request, one on a handle, and one of this class for an agent of the own node.
  auto answer = t.c[0].request<std::uint64_t>(to_agent("ledger"), 10s, std::uint64_t{52});
  CHECK(answer.value() == 520);
  auto handle = t.c[1].find<caf::actor>("ledger", 5s);
  REQUIRE(handle);
  caf::anon_send(*handle, std::uint64_t{53});
  REQUIRE(t.c[1].messages().post(to_agent("ledger"), 30s, once, std::uint64_t{54}));
  CHECK(t.number("SELECT COUNT(*) FROM entries WHERE rowid = value") == 54);
  CHECK(t.marks() == 52);
}

TEST_CASE("what a function has written of a message of class once goes with a problem, a delay, "
          "and an exception",
          "[node]") {
  two_nodes t;
  auto calls = std::make_shared<std::atomic<int>>(0);
  auto add = [&] {
    return t.c[1]
      .agent("ledger", {.once = t.store},
             [store = t.store, calls](const message_info& of, std::uint64_t value) -> result<void> {
               if (of.delivery != router::delivery_class::once)
                 return problem{errc::bad_argument, "not of class once"};
               if (auto why = two_nodes::enter(*store, value))
                 return why;
               switch (++*calls) {
                 case 1:
                   return problem{errc::failed, "no"};
                 case 2:
                   return later(1ms, "not yet");
                 case 3:
                   throw std::runtime_error{"an agent that ends"};
                 default:
                   return {};
               }
             })
      .has_value();
  };
  REQUIRE(add());
  REQUIRE(t.c[0].send(to_agent("ledger"), once, std::uint64_t{1}));
  REQUIRE(testing::comes_true([&] { return *calls == 3; }));
  REQUIRE(testing::comes_true(add)); // once its name is free
  REQUIRE(testing::comes_true([&] { return t.entries() == 1; }));
  CHECK(*calls == 4);
  CHECK(t.marks() == 1);
}

TEST_CASE("an agent without a store gets no message of class once, and its sender hears so",
          "[node]") {
  two_nodes t;
  auto called = std::make_shared<std::atomic<bool>>(false);
  REQUIRE(t.c[1].agent("ledger", [called](std::uint64_t) { *called = true; }));
  auto refused = t.post(std::uint64_t{1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::incompatible);
  CHECK(refused.error().detail.find("agent_options::once") != std::string::npos);
  CHECK_FALSE(*called);
}

TEST_CASE("a store is for agents whose functions answer when they return", "[node]") {
  two_nodes t;
  auto refusal = [&](auto... functions) {
    auto made = t.c[1].agent("ledger", {.once = t.store}, functions...);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == errc::bad_argument);
    return made.error().detail;
  };
  CHECK(refusal([&](std::uint64_t value) {
          return t.c[0].async_request<std::uint64_t>(to_agent("other"), 1s, value);
        }).find("pending<T>")
        != std::string::npos);
  CHECK(refusal([](std::uint64_t) { return caf::result<int>{1}; }).find("type of CAF")
        != std::string::npos);
  using typed = caf::typed_actor<caf::result<int>(int)>;
  auto made = t.c[1].agent<typed>("ledger", {.once = t.store}, [](int value) { return value; });
  REQUIRE_FALSE(made);
  CHECK(made.error().code == errc::bad_argument);
  auto actor = t.c[1].system().spawn(
    [](caf::event_based_actor*) -> caf::behavior { return {[](std::uint64_t) {}}; });
  auto added = t.c[1].add_agent("ledger", actor, {.once = t.store});
  REQUIRE_FALSE(added);
  CHECK(added.error().code == errc::bad_argument);
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  // One that answers by a promise behind the back of its function ends.
  t.add_agent([store = t.store](agent_context& self, std::uint64_t value) {
    static_cast<void>(two_nodes::enter(*store, value));
    static_cast<void>(self.actor().make_response_promise());
  });
  REQUIRE(t.c[0].send(to_agent("ledger"), once, std::uint64_t{1}));
  REQUIRE(testing::comes_true([&] { return !t.c[1].find<caf::actor>("ledger", 5s); }));
  CHECK(t.entries() == 0);
}

TEST_CASE("a message that no function takes leaves no mark", "[node]") {
  two_nodes t;
  t.add_agent([](std::uint64_t) {});
  auto refused = t.c[1].request<int>(to_agent("ledger"), 10s, "text"s);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::wrong_type);
  CHECK(t.marks() == 0);
}
