// What peers send that nobody asked them for.

#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/enclosed_request.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/node/configure.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/raft/types.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include "caf/scoped_actor.hpp"

#include <algorithm>
#include <cstdint>
#include <future>
#include <optional>
#include <utility>
#include <vector>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A process with a link to one node, which sends what it likes.
class stranger {
public:
  stranger(const troupe::node& whom, net::role as)
    : self_(sys_.spawn([](caf::event_based_actor* it) -> caf::behavior {
        it->set_default_handler(caf::drop);
        return {[](caf::unit_t) {}};
      })) {
    net::hello hello;
    hello.node = random_id<node_id>();
    hello.boot = 1;
    hello.as = as;
    auto made = net::gate::start(sys_, hello, caf::actor_cast<caf::strong_actor_ptr>(self_), {},
                                 {.insecure = true});
    REQUIRE(made);
    gate_ = *std::move(made);
    auto where = net::resolve({"127.0.0.1", whom.port()});
    REQUIRE(where);
    std::promise<result<net::link_ptr>> dialled;
    gate_->dial(*where, std::nullopt,
                [&](result<net::link_ptr> got) { dialled.set_value(std::move(got)); });
    auto got = dialled.get_future().get();
    REQUIRE(got);
    link_ = *got;
  }

  ~stranger() {
    link_ = nullptr;
    gate_->stop();
    caf::anon_send_exit(self_, caf::exit_reason::kill);
  }

  /// Answers requests of the node's router that were not sent here.
  void answer(std::uint64_t first, std::uint64_t last) {
    auto me = caf::actor_cast<caf::strong_actor_ptr>(self_);
    for (auto number = first; number <= last; ++number)
      for (auto flag : {enclosed_request, std::uint64_t{0}})
        link_->entry_point()->enqueue(
          me, caf::message_id{flag | number}.with_normal_priority().response_id(),
          caf::make_message("forged"s), nullptr);
  }

  /// Asks the entry point of the node, or `whom`, and returns the error.
  template <class... Ts>
  std::string ask(const caf::strong_actor_ptr& whom, const Ts&... what) {
    caf::scoped_actor self{sys_};
    std::string result;
    compat::ask_and_wait(
      self, caf::actor_cast<caf::actor>(whom ? whom : link_->entry_point()), 10s,
      caf::make_message(what...), [&](const caf::message&) { result = "answered"; },
      [&](const caf::error& why) { result = to_string(why); });
    return result;
  }

  /// Sends it as nobody: the message shows no actor that it comes from.
  template <class... Ts>
  void say_as_nobody(const caf::strong_actor_ptr& whom, const Ts&... what) {
    caf::anon_send(caf::actor_cast<caf::actor>(whom), what...);
  }

  /// Sends it as an actor of this process.
  template <class... Ts>
  void say(const caf::strong_actor_ptr& whom, const Ts&... what) {
    whom->enqueue(caf::actor_cast<caf::strong_actor_ptr>(self_), caf::make_message_id(),
                  caf::make_message(what...), nullptr);
  }

  /// The answer to a question.
  template <class Question>
  typename Question::result answer_of(const caf::strong_actor_ptr& whom, const Question& what) {
    caf::scoped_actor self{sys_};
    std::optional<typename Question::result> found;
    self->request(caf::actor_cast<caf::actor>(whom), 10s, what)
      .receive([&](const typename Question::result& answer) { found = answer; },
               [](const caf::error&) {});
    REQUIRE(found);
    return *found;
  }

  /// The handle of a service, from the node.
  caf::strong_actor_ptr find(const std::string& service) {
    caf::scoped_actor self{sys_};
    caf::strong_actor_ptr found;
    self
      ->request(caf::actor_cast<caf::actor>(link_->entry_point()), 10s,
                router::find_service{service, 0, {}})
      .receive([&](const router::service_place& place) { found = place.handle; },
               [](const caf::error&) {});
    REQUIRE(found);
    return found;
  }

  [[nodiscard]] std::string id() const {
    return to_string(gate_->self().node);
  }

private:
  node_config config_;
  caf::actor_system sys_{config_};
  caf::actor self_;
  std::unique_ptr<net::gate> gate_;
  net::link_ptr link_;
};

} // namespace

SCENARIO("a request is answered by the node that was asked, whoever else answers", "[node]") {
  GIVEN("a request of one node that another one is slow to answer") {
    auto founder = troupe::node::start(
      {.name = "founder", .listen = {"127.0.0.1", 0}, .links = {.insecure = true}});
    REQUIRE(founder);
    auto other = troupe::node::start({.name = "other",
                                      .listen = {"127.0.0.1", 0},
                                      .join = {{"127.0.0.1", founder->port()}},
                                      .links = {.insecure = true}});
    REQUIRE(other);
    std::promise<void> may_answer;
    auto waits = may_answer.get_future().share();
    std::atomic<int> asked = 0;
    auto slow = other->agent("slow", [&asked, waits](const std::string&) {
      ++asked;
      waits.wait_for(20s);
      return "true answer"s;
    });
    REQUIRE(slow);
    REQUIRE(testing::comes_true([&] { return founder->find("slow").has_value(); }));
    auto pending
      = founder->async_request<std::string>(to_agent("slow"), 15s, std::string{"hello"}).future();
    REQUIRE(testing::comes_true([&] { return asked == 1; }));
    for (auto as : {net::role::member, net::role::client}) {
      WHEN("a third process answers with guessed numbers, as a " + std::string{name_of(as)}) {
        stranger third{*founder, as};
        third.answer(1, 399);
        CHECK(pending.wait_for(500ms) == std::future_status::timeout);
        may_answer.set_value();
        auto got = pending.get();
        THEN("only the true answer counts") {
          REQUIRE(got);
          CHECK(*got == "true answer");
        }
      }
    }
  }
}

TEST_CASE("a client without a certificate is refused what is for members, and hears so", "[node]") {
  test::lines said;
  auto founder = troupe::node::start(
    {.name = "founder", .listen = {"127.0.0.1", 0}, .links = {.insecure = true}, .log = said});
  REQUIRE(founder);
  stranger third{*founder, net::role::client};
  auto refused = third.ask(nullptr, cluster::exchange_seats{});
  CHECK_THAT(refused, ContainsSubstring("denied"));
  CHECK_THAT(refused, ContainsSubstring("for members of the cluster"));
  CHECK(testing::comes_true([&] { return said.contain("messages of a client are dropped"); }));
}

SCENARIO("no node speaks for another one", "[node]") {
  GIVEN("a member that is linked to the node with the services") {
    auto founder = troupe::node::start(
      {.name = "founder", .listen = {"127.0.0.1", 0}, .links = {.insecure = true}});
    REQUIRE(founder);
    auto victim = troupe::node::start({.name = "victim",
                                       .listen = {"127.0.0.1", 0},
                                       .join = {{"127.0.0.1", founder->port()}},
                                       .links = {.insecure = true}});
    REQUIRE(victim);
    REQUIRE(victim->agent("echo", test::echo()));
    REQUIRE(testing::comes_true([&] { return founder->find("echo").has_value(); }));
    stranger third{*founder, net::role::member};
    const owner_id owner{victim->id()};
    constexpr std::uint64_t later = std::uint64_t{1} << 62U;
    const host::call plain{};
    THEN("what it says of others is refused, and they go on") {
      auto names = third.find(cluster::names_name);
      auto scheduler = third.find(cluster::scheduler_name);
      const std::string refusals[]{
        third.ask(names, plain, registry::names::claim{{"echo"}, owner, later}),
        third.ask(names, plain, registry::names::release{{"echo"}, owner, later}),
        third.ask(names, plain, registry::names::owner_gone{owner, later}),
        third.ask(scheduler, plain, scheduler::worker_lost{owner, later, {}}),
        third.ask(scheduler, plain,
                  scheduler::register_worker{.name = "w", .owner = owner, .boot = later}),
      };
      for (auto& each : refusals)
        CHECK_THAT(each, ContainsSubstring("denied") && ContainsSubstring("only the node"));
      CHECK(test::answer_of(*founder, "echo") == "hello");
    }
    THEN("what it says of a name that is no node counts") {
      auto scheduler = third.find(cluster::scheduler_name);
      CHECK(third.ask(scheduler, plain, scheduler::worker_lost{owner_id{"somebody"}, 1, {}})
            == "answered");
    }
  }
}

TEST_CASE("who sends as nobody speaks for no node, either", "[node]") {
  auto founder = troupe::node::start(
    {.name = "founder", .listen = {"127.0.0.1", 0}, .links = {.insecure = true}});
  REQUIRE(founder);
  auto victim = troupe::node::start({.name = "victim",
                                     .listen = {"127.0.0.1", 0},
                                     .join = {{"127.0.0.1", founder->port()}},
                                     .links = {.insecure = true}});
  REQUIRE(victim);
  stranger third{*founder, net::role::member};
  const owner_id owner{victim->id()};
  REQUIRE(victim->agent("echo", test::echo()));
  auto names = third.find(cluster::names_name);
  constexpr std::uint64_t later = std::uint64_t{1} << 62U;
  third.say_as_nobody(names, host::call{}, registry::names::release{{"echo"}, owner, later});
  third.say_as_nobody(names, host::call{}, registry::names::owner_gone{owner, later});
  auto after = third.answer_of(names, registry::names::find_claim{"echo"}); // behind those
  REQUIRE(after.found);
  CHECK(after.found->owner == owner);
}

TEST_CASE("records of members are for members, and few at once", "[node]") {
  auto founder = troupe::node::start(
    {.name = "founder", .listen = {"127.0.0.1", 0}, .links = {.insecure = true}});
  REQUIRE(founder);
  using wishes = std::vector<cluster::record_wish>;
  {
    stranger third{*founder, net::role::client};
    auto keeper = third.find(cluster::membership_name);
    CHECK_THAT(third.ask(keeper, cluster::exchange_records{to_bytes(wishes{})}),
               ContainsSubstring("for members of the cluster"));
  }
  stranger third{*founder, net::role::member};
  auto keeper = third.find(cluster::membership_name);
  auto told = third.answer_of(keeper, cluster::exchange_records{to_bytes(wishes{{founder->id()}})});
  auto found = from_bytes<std::vector<cluster::told_records>>(told);
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  CHECK(found->front().page.records.size() == 1); // the node
  for (auto& bad : {to_bytes(wishes(201)), std::string{"rubbish"}})
    CHECK_THAT(third.ask(keeper, cluster::exchange_records{bad}),
               ContainsSubstring("more nodes than there are in an answer"));
}

TEST_CASE("no member speaks for a voter of another node, whether that is up or not",
          "[node][voters]") {
  test::temporary_folder folder;
  std::vector<troupe::node> nodes;
  for (const auto* name : {"n0", "n1", "n2"}) {
    node_options how{
      .name = name, .listen = {"127.0.0.1", 0}, .data = folder / name, .links = {.insecure = true}};
    if (!nodes.empty())
      how.join = {{"127.0.0.1", nodes.front().port()}};
    auto made = troupe::node::start(std::move(how));
    REQUIRE(made);
    nodes.push_back(std::move(*made));
  }
  cluster::voters_view seen;
  REQUIRE(testing::comes_true([&] {
    if (auto got = nodes.front().voters().list(5s))
      seen = *got;
    return seen.seats.size() == 3 && std::ranges::all_of(seen.seats, &cluster::seat_view::votes);
  }));
  auto leads = std::ranges::find_if(nodes, &node::is_host);
  REQUIRE(leads != nodes.end());
  auto lead_id = to_string(leads->id());
  auto in_front
    = std::ranges::partition(seen.seats, [&](auto& each) { return each.node != lead_id; });
  REQUIRE(in_front.size() == 1); // so the seat of the leader is the last one
  stranger third{*leads, net::role::member};
  auto card = third.answer_of(third.find(cluster::seat_name), cluster::exchange_seats{});
  REQUIRE(card.node == lead_id);
  // Whom a leader hears gives up its lead for such a request. An election of their own goes up by
  // raft::max_first_step at most.
  constexpr auto far_ahead = std::uint64_t{1} << 30U;
  auto pretend = [&](std::uint64_t voter) {
    auto what = to_bytes(raft::message{
      seen.term + far_ahead,
      raft::vote_request{.last_index = 1'000'000, .last_term = seen.term, .forced = true}});
    third.say_as_nobody(
      card.group, host::group_message{raft::member_id{voter}, raft::member_id{card.seat}, what});
    third.say(card.group,
              host::group_message{raft::member_id{voter}, raft::member_id{card.seat}, what});
    // Behind these, at the group: an answer of the other voter to this command.
    CHECK(third.answer_of(third.find(cluster::seat_name), cluster::exchange_seats{}).seat
          == card.seat);
    CHECK(leads->state().put("key", "value"));
    auto now = leads->voters().list(5s);
    REQUIRE(now);
    CHECK(now->term < seen.term + far_ahead);
  };
  pretend(seen.seats.front().seat);
  auto gone = std::ranges::find_if(
    nodes, [&](auto& each) { return to_string(each.id()) == seen.seats.front().node; });
  gone->stop();
  REQUIRE(testing::comes_true([&] { // that voter has no link anymore
    auto now = leads->voters().list(5s);
    return now && std::ranges::any_of(now->seats, [](auto& each) { return !each.is_reached; });
  }));
  pretend(seen.seats.front().seat);
}

SCENARIO("no node speaks for the worker of another one", "[node]") {
  GIVEN("a worker, whose number everybody may know") {
    auto founder = troupe::node::start(
      {.name = "founder", .listen = {"127.0.0.1", 0}, .links = {.insecure = true}});
    REQUIRE(founder);
    auto victim = troupe::node::start({.name = "victim",
                                       .listen = {"127.0.0.1", 0},
                                       .join = {{"127.0.0.1", founder->port()}},
                                       .links = {.insecure = true}});
    REQUIRE(victim);
    scheduler::task_handlers handlers;
    handlers.handle("nothing",
                    [](const scheduler::task_call&) -> result<std::string> { return ""; });
    auto worker = victim->work({.name = "w"}, handlers);
    stranger third{*founder, net::role::client};
    auto scheduler = third.find(cluster::scheduler_name);
    std::vector<scheduler::worker_view> all;
    REQUIRE(testing::comes_true([&] {
      all = third.answer_of(scheduler, scheduler::list_workers{}).workers;
      return all.size() == 1;
    }));
    auto [id, boot] = std::pair{all.front().worker, all.front().boot};
    REQUIRE(all.front().owner == victim->id());
    const host::call plain{};
    THEN("what another one says of it is refused, and its tasks are told to nobody else") {
      const std::string refusals[]{
        third.ask(scheduler, plain, scheduler::renew_worker{id, boot, 1, {}}),
        third.ask(scheduler, plain, scheduler::deregister_worker{id, boot}),
        third.ask(scheduler, plain, scheduler::report{id, boot, {}}),
        third.ask(scheduler, scheduler::check_in{id, boot, 0, {}}),
        third.ask(scheduler, scheduler::watch_assignments{.worker = id, .boot = boot}),
      };
      for (auto& each : refusals)
        CHECK_THAT(each, ContainsSubstring("denied") && ContainsSubstring("only the node"));
      all = third.answer_of(scheduler, scheduler::list_workers{}).workers;
      REQUIRE(all.size() == 1);
      CHECK(all.front().state == scheduler::worker_state::active);
    }
    THEN("of a worker that is not there it hears that, and of one that is no node's it may speak") {
      CHECK_THAT(third.ask(scheduler, plain, scheduler::deregister_worker{id, boot + 1}),
                 ContainsSubstring("not_found"));
      REQUIRE(
        third.ask(scheduler, plain,
                  scheduler::register_worker{
                    .name = "x", .owner = owner_id{"somebody"}, .boot = 1, .handlers = {"nothing"}})
        == "answered");
      all = third.answer_of(scheduler, scheduler::list_workers{}).workers;
      REQUIRE(all.size() == 2);
      CHECK(third.ask(scheduler, plain, scheduler::deregister_worker{all.back().worker, 1})
            == "answered");
    }
  }
}
