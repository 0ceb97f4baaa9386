#include "node/node_fixture.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/json.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/scheduler/workflow_client.hpp"
#include "troupe/workflow/dag_builder.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "caf/event_based_actor.hpp"
#include "caf/response_promise.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

/// The length of a text, and the sum of two of them.
scheduler::task_handlers counting() {
  scheduler::task_handlers offered;
  offered.handle("length", [](const scheduler::task_call& call) -> result<std::string> {
    return std::to_string(call.input().size());
  });
  offered.handle("sum", [](const scheduler::task_call& call) -> result<std::string> {
    auto sum = 0;
    for (auto& each : call.order().parents)
      sum += std::stoi(each.value);
    return std::to_string(sum);
  });
  offered.handle("refuse", [](const scheduler::task_call&) -> result<std::string> {
    return problem{errc::bad_argument, "no such letter"};
  });
  return offered;
}

workflow::dag letters() {
  return workflow::dag_builder{"letters"}
    .task("total")
    .after("left", "right")
    .runs("sum")
    .task("left")
    .runs("length", "distributed")
    .task("right")
    .runs("length", "agents")
    .build()
    .value();
}

/// One task that nobody runs, as no worker offers it.
workflow::dag waiting() {
  return workflow::dag_builder{"waiting"}.task("only").runs("nobody's").build().value();
}

} // namespace

TEST_CASE("a program submits a workflow, waits for its end and reads what it came to",
          "[node][clients]") {
  testing::cluster c{2};
  auto worker = c[0].work({.name = "w"}, counting());
  auto run = c[1].workflows().submit(letters(), {.key = "tonight"});
  REQUIRE(run);
  CHECK_FALSE(run->repeated());
  std::uint32_t told = 0;
  std::uint64_t revision = 0;
  auto end = run->wait([&](const result<scheduler::run_view>& now) {
    REQUIRE(now);
    CHECK(now->revision >= revision);
    revision = now->revision;
    ++told;
  });
  REQUIRE(end);
  CHECK(end->state == scheduler::run_state::completed);
  CHECK(told > 0);
  CHECK(end->revision == revision);
  CHECK(run->look()->state == scheduler::run_state::completed);
  CHECK(run->result("total").value() == "17");
  CHECK(run->result<int>("total").value() == 17);
  auto tasks = run->tasks();
  REQUIRE(tasks);
  REQUIRE(tasks->size() == 3);
  CHECK(tasks->front().id == "left");
  auto unknown = run->result("missing");
  CHECK(unknown.error().code == errc::not_found);
  auto wrong = run->result<bool>("total");
  CHECK(wrong.error().code == errc::bad_argument);
  CHECK_THAT(wrong.error().detail, ContainsSubstring("task total"));

  SECTION("which another program finds by its key, or by its number") {
    auto same = c[0].workflows().submit(letters(), {.key = "tonight"});
    REQUIRE(same);
    CHECK(same->repeated());
    CHECK(same->id() == run->id());
    CHECK(c[0].workflows().run(run->id()).result<int>("total").value() == 17);
  }
  SECTION("which a light client does as well") {
    auto client = c.connect(0, 10s).value();
    auto again = client->workflows().submit(letters());
    REQUIRE(again);
    CHECK(again->wait());
    CHECK(again->result<int>("total").value() == 17);
  }
}

TEST_CASE("who waits for a run hears that it takes longer, and may end it", "[node][clients]") {
  testing::cluster c{1};
  auto run = c[0].workflows().submit(waiting()).value();
  auto began = std::chrono::steady_clock::now();
  auto tells = 0;
  auto early = run.wait([&](const result<scheduler::run_view>&) { ++tells; }, 300ms);
  REQUIRE_FALSE(early);
  CHECK(early.error().code == errc::timed_out);
  CHECK_THAT(early.error().detail, ContainsSubstring("300 ms"));
  CHECK(std::chrono::steady_clock::now() - began >= 300ms);
  CHECK(tells == 1); // of how it stands, and nothing has changed since
  CHECK(run.result("only").error().code == errc::busy);
  CHECK(run.pause().value() == scheduler::run_state::paused);
  CHECK(run.resume().value() != scheduler::run_state::paused);
  CHECK(run.cancel().value() == scheduler::run_state::cancelled);
  CHECK(run.wait()->state == scheduler::run_state::cancelled);
  CHECK(run.result("only").error().code == errc::cancelled);
  auto client = c[0].workflows();
  CHECK(client.runs()->size() == 1);
  CHECK(client.runs(scheduler::run_state::cancelled)->size() == 1);
  CHECK(client.runs(scheduler::run_state::completed)->empty());
}

TEST_CASE("what a task failed with is what its result says", "[node][clients]") {
  testing::cluster c{1};
  auto worker = c[0].work({.name = "w"}, counting());
  auto flow = workflow::dag_builder{"bad"}
                .task("first")
                .runs("refuse")
                .task("second")
                .after("first")
                .runs("sum")
                .build();
  auto run = c[0].workflows().submit(*flow).value();
  CHECK(run.wait()->state == scheduler::run_state::failed);
  auto first = run.result("first");
  CHECK(first.error().code == errc::bad_argument);
  CHECK_THAT(first.error().detail, ContainsSubstring("no such letter"));
  CHECK_FALSE(run.result("second"));
}

TEST_CASE("a run that gets tasks which undo others is followed to its end", "[node][clients]") {
  testing::cluster c{1};
  auto run = c[0]
               .workflows()
               .submit(scheduler::submit{
                 .name = "undone",
                 .tasks = {{.id = "first", .handler = "length", .compensation = "length"},
                           {.id = "second", .handler = "refuse", .parents = {0}}},
                 .policy = scheduler::failure_policy::compensate})
               .value();
  CHECK(run.look()->tasks == 2);
  CHECK(run.result("second").error().code == errc::busy);
  auto worker = c[0].work({.name = "w"}, counting());
  auto end = run.wait();
  REQUIRE(end);
  CHECK(end->state == scheduler::run_state::failed);
  CHECK(end->tasks == 3);
  CHECK(run.look());
  CHECK(run.tasks()->size() == 3);
  CHECK(run.result("undo:first").value() == "0");
  CHECK(run.result("missing").error().code == errc::not_found);
}

TEST_CASE("clients and runs may outlive their node", "[node][clients]") {
  std::optional<scheduler::workflow_run> run;
  std::optional<scheduler::workflow_client> workflows;
  std::optional<registry::registry_client> registry;
  {
    testing::cluster c{1};
    workflows = c[0].workflows();
    registry = c[0].registry();
    run = workflows->submit(waiting()).value();
  }
  CHECK(run->wait().error().code == errc::withdrawn);
  CHECK(run->cancel().error().code == errc::withdrawn);
  CHECK(workflows->submit(waiting()).error().code == errc::withdrawn);
  CHECK(registry->count().error().code == errc::withdrawn);
}

TEST_CASE("a look-up on a node waits for no actor", "[node][clients]") {
  testing::cluster c{1};
  REQUIRE(c[0].agent("echo", test::echo()));
  auto registry = c[0].registry();
  std::promise<void> over;
  auto ends = over.get_future().share();
  std::atomic<std::size_t> blocked = 0;
  auto workers = c[0].system().scheduler().num_workers();
  for (std::size_t each = 0; each < workers; ++each)
    c[0].system().spawn([ends, &blocked](caf::event_based_actor*) {
      ++blocked;
      ends.wait();
    });
  CHECK(c.until([&] { return blocked == workers; })); // no actor runs from here on
  CHECK(registry.agent("echo")->has_value());
  CHECK(registry.find({.kind = registry::record_kind::agent, .limit = 1})->size() == 1);
  CHECK(registry.count()->nodes.active == 1);
  over.set_value();
}

TEST_CASE("a light client uses messages and services as a node does", "[node][clients]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("echo", test::echo()));
  REQUIRE(c.until([&] { return c[0].find("echo").has_value(); }));
  std::optional<lock::auto_renew_lock> key;
  std::optional<lock::lock_client> locks;
  std::optional<router::router_client> messages;
  {
    // [client]
    auto client = c.connect(0).value();
    REQUIRE(client->state().put("greeting", "hello"));
    CHECK(client->request<std::string>(to_agent("echo"), 5s, "hello"s).value() == "hello");
    auto door = client->hold("front door", {.label = "a client"});
    REQUIRE(door);
    // [client]
    CHECK(c[1].state().get("greeting").value() == "hello");
    CHECK(client->state().get("greeting").value() == "hello");
    CHECK(door->held());
    auto second = c[1].locks().acquire("front door");
    REQUIRE_FALSE(second);
    CHECK_THAT(second.error().detail, ContainsSubstring("a client holds front door"));
    CHECK(client->locks().list()->locks.size() == 1);
    CHECK(client->registry().agent("echo")->has_value());
    CHECK(client->workflows().runs()->empty());
    CHECK(client->broadcast(to_everyone(), "hello"s)->sent == 1);
    CHECK(client->async_request<std::string>(to_agent("echo"), 5s, "later"s).wait().value()
          == "later");
    auto stand_in = client->messages().agent_handle("echo");
    caf::scoped_actor self{client->system()};
    std::string answer;
    self->request(stand_in, 5s, "through it"s)
      .receive([&](std::string& text) { answer = std::move(text); }, [](const caf::error&) {});
    CHECK(answer == "through it");
    caf::anon_send_exit(stand_in, caf::exit_reason::user_shutdown);
    key.emplace(*std::move(door));
    locks = client->locks();
    messages = client->messages();
  }
  CHECK_FALSE(key->held());
  CHECK(locks->list().error().code == errc::withdrawn);
  CHECK(messages->request<std::string>(to_agent("echo"), 5s, "hello"s).error().code
        == errc::cancelled);
}

TEST_CASE("a client without an address hears at once that it needs one", "[node][clients]") {
  auto client = cluster_client::connect({}, 1min);
  REQUIRE_FALSE(client);
  CHECK(client.error().code == errc::bad_argument);
  CHECK(client.error().detail.find("at least one") != std::string::npos);
}

TEST_CASE("a client of a cluster may end on another thread than the one that made it",
          "[node][clients]") {
  testing::cluster c{1};
  auto client = c.connect(0).value();
  auto ended = std::async(std::launch::async, [&] { client.reset(); });
  CHECK(ended.wait_for(testing::patience) == std::future_status::ready);
  REQUIRE(
    c[0].agent("echo", test::echo())); // by this thread, which otherwise holds the client's logger
}

TEST_CASE("a client goes on after what a handler throws, which is in the log", "[node][clients]") {
  test::lines log;
  testing::cluster c{1, [&](std::size_t, node_options& how) { how.log = log; }};
  auto state = c[0].state().service();
  state.async(state::count_entries{}, 5s,
              [](const auto&) { throw std::runtime_error{"no such entry"}; });
  CHECK(c.until([&] { return log.contain("no such entry"); }));
  CHECK(state.ask(state::count_entries{}, 5s));
}

TEST_CASE("a command that was sent may have been carried out, however its client ends",
          "[node][clients]") {
  testing::cluster c{1};
  // It ends the actor that asks for others, as the end of an actor system does.
  auto killer = c[0].system().spawn([](caf::event_based_actor* self) -> caf::behavior {
    auto kill = [self] {
      caf::anon_send_exit(self->current_sender(), caf::exit_reason::kill);
      self->make_response_promise();
    };
    return {[](const host::open_session&) { return host::session_id{7}; },
            [](const host::keep_session&) {},
            [kill](const host::call&, const lock::acquire&) -> caf::delegated<lock::lease> {
              kill();
              return {};
            },
            [kill](const lock::list_locks&) -> caf::delegated<lock::lock_page> {
              kill();
              return {};
            }};
  });
  host::client<lock::lock_protocol> locks{c[0].system()};
  locks.set_target(caf::actor_cast<caf::strong_actor_ptr>(killer));
  SECTION("other than a question") {
    CHECK(locks.ask(lock::list_locks{}, 5s).error().code == errc::withdrawn);
  }
  SECTION("and later ones are not, whatever their handlers throw") {
    lock::acquire what{"db", "ann", 1s, 0s};
    CHECK(locks.ask(what, 5s).error().code == errc::outcome_unknown);
    CHECK(locks.ask(what, 5s).error().code == errc::withdrawn);
    CHECK_NOTHROW(locks.async(what, 5s, [](const auto&) { throw std::runtime_error{"no more"}; }));
  }
  locks.close();
  caf::anon_send_exit(killer, caf::exit_reason::user_shutdown);
}

TEST_CASE("a service of another type does not take what it is asked, and its caller hears so",
          "[node][clients]") {
  testing::cluster c{1, [](std::size_t, node_options& how) {
                       how.services.own.push_back(
                         {.name = "tickets",
                          .type = "ticket_service",
                          .start = [](caf::actor_system& sys, auto&&...) {
                            auto made = sys.spawn([](caf::event_based_actor* self) {
                              ignore_strays(self);
                              return caf::behavior{[](caf::ok_atom) {}};
                            });
                            return result{caf::actor_cast<caf::strong_actor_ptr>(made)};
                          }});
                     }};
  auto locks = c[0].service<lock::lock_protocol>("tickets");
  auto why = locks.ask(lock::list_locks{}, 5s).error();
  CHECK(why.code == errc::wrong_type);
  CHECK_THAT(why.detail, ContainsSubstring("'tickets'"));
}

TEST_CASE("a run that the scheduler does not know is not waited for", "[node][clients]") {
  testing::cluster c{1};
  auto run = c[0].workflows().run(scheduler::run_id{77});
  CHECK(run.wait().error().code == errc::not_found);
  CHECK(run.look().error().code == errc::not_found);
}

TEST_CASE("a program has a workflow run by the calendar", "[node][clients]") {
  testing::cluster c{1};
  auto client = c[0].workflows();
  auto first = client.schedule("nightly", "0 3 * * *", letters());
  REQUIRE(first);
  CHECK_FALSE(first->replaced);
  CHECK(client.schedule("nightly", "0 4 * * *", letters())->replaced);
  CHECK(client.schedule("wrong", "often", letters()).error().code == errc::bad_argument);
  CHECK(client.unschedule("nightly"));
  CHECK(client.unschedule("nightly").error().code == errc::not_found);
}

namespace {

struct parcel {
  std::string to;
  std::int64_t grams = 0;

  friend bool operator==(const parcel&, const parcel&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, parcel& x) {
  return f.object(x).fields(f.field("to", x.to), f.field("grams", x.grams));
}

} // namespace

TEST_CASE("a program keeps texts and values of its own types in the cluster", "[node][clients]") {
  testing::cluster c{2};
  auto here = c[0].state();
  auto there = c[1].state();
  CHECK(there.get("greeting").value() == std::nullopt);
  REQUIRE(here.put("greeting", "hello"));
  CHECK(there.get("greeting").value() == "hello");
  parcel sent{"anna", 1'200};
  auto written = here.put("parcels/1", sent);
  REQUIRE(written);
  CHECK(there.get<parcel>("parcels/1").value() == sent);
  CHECK(there.get("parcels/1").value() == R"({"grams":1200,"to":"anna"})");
  CHECK(there.get<parcel>("parcels/2").value() == std::nullopt);
  auto wrong = there.get<parcel>("greeting");
  CHECK(wrong.error().code == errc::bad_argument);
  CHECK_THAT(wrong.error().detail, ContainsSubstring("the value of greeting"));
  CHECK(there.put("parcels/1", parcel{}, {.expect_version = 0}).error().code == errc::conflict);
  CHECK(there.put("parcels/1", parcel{}, {.expect_version = written->version}));
  REQUIRE(here.remove("greeting"));
  CHECK(there.get("greeting").value() == std::nullopt);
}

TEST_CASE("functions of a worker take and give values", "[node][clients]") {
  testing::cluster c{1};
  scheduler::task_handlers offered;
  offered.handle("weigh", [](const parcel& what) { return what.grams; });
  offered.handle("send", [](const scheduler::task_call& call, std::string to) -> result<parcel> {
    auto grams = call.parent<std::int64_t>("weigh");
    if (!grams)
      return grams.error();
    if (call.parents<std::int64_t>().value().size() != 1)
      return problem{errc::failed, "one parent is enough"};
    return parcel{std::move(to), *grams};
  });
  offered.handle("note", [](const std::string&) {});
  offered.handle("confuse",
                 [](const scheduler::task_call& call) { return call.parent<bool>("weigh"); });
  auto worker = c[0].work({.name = "w"}, offered);
  auto flow = workflow::dag_builder{"post"}
                .task("weigh")
                .runs("weigh", R"({"to": "anna", "grams": 1200})")
                .task("send")
                .after("weigh")
                .runs("send", "bert")
                .task("note")
                .runs("note")
                .task("wrong")
                .runs("weigh", "heavy")
                .task("confuse")
                .after("weigh")
                .runs("confuse")
                .build();
  REQUIRE(flow);
  auto run
    = c[0].workflows().submit(*flow, {.policy = scheduler::failure_policy::continue_what_can});
  REQUIRE(run);
  REQUIRE(run->wait());
  CHECK(run->result<parcel>("send").value() == parcel{"bert", 1'200});
  CHECK(run->result("note").value().empty());
  auto wrong = run->result<std::int64_t>("wrong");
  CHECK(wrong.error().code == errc::bad_argument);
  CHECK_THAT(wrong.error().detail, ContainsSubstring("the input of task wrong"));
  CHECK_THAT(run->result("confuse").error().detail,
             ContainsSubstring("the result of parent weigh"));
}

TEST_CASE("a program looks up and watches who is there", "[node][clients]") {
  testing::cluster c{2};
  std::mutex mutex;
  std::set<std::string> shown;
  // [registry]
  auto registry = c[0].registry();
  auto watcher = registry.watch([&](const result<registry::record_changes>& news) {
    std::lock_guard guard{mutex};
    if (!news)
      return;
    for (auto& each : news->changes) {
      if (is_shown(each.kind))
        shown.insert(each.what.value.key.name);
      else
        shown.erase(each.what.value.key.name);
    }
  });
  auto shows = [&](const std::string& name) {
    std::lock_guard guard{mutex};
    return shown.contains(name);
  };
  REQUIRE(c[1].agent("echo", test::echo()));
  CHECK(c.until([&] { return shows("echo"); }));
  REQUIRE(registry.agent("echo"));
  CHECK(registry.agent("echo")->has_value());
  CHECK(registry.agent("nobody").value() == std::nullopt);
  REQUIRE(registry.node(c[1].name()).value());
  CHECK(registry.node(c[1].name()).value()->value.key.owner == c[1].id());
  auto by_ones = registry.find({.limit = 1});
  REQUIRE(by_ones);
  CHECK(by_ones->size() >= 3); // two nodes, an agent
  CHECK(by_ones->size() == registry.find()->size());
  CHECK(registry.count()->agents.active == 1);
  // [registry]
  c[1].remove_agent("echo");
  CHECK(c.until([&] { return !shows("echo"); }));
}

TEST_CASE("a program keeps a text under a key", "[node][clients]") {
  testing::cluster c{2};
  // [state]
  auto state = c[0].state();
  CHECK(state.get("greeting").value() == std::nullopt);
  REQUIRE(state.put("greeting", "hello"));
  CHECK(c[1].state().get("greeting").value() == "hello");
  auto whole = c[1].state().get({.level = state::consistency::strong, .key = "greeting"});
  REQUIRE(whole);
  REQUIRE(whole->entries.size() == 1);
  CHECK(state.put("greeting", "hi", {.expect_version = 0}).error().code == errc::conflict);
  REQUIRE(state.remove("greeting"));
  // [state]
  CHECK(c[1].state().get("greeting").value() == std::nullopt);
}
