#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/platform/entropy.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "caf/scoped_actor.hpp"
#include "caf/telemetry/metric_registry.hpp"

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::voter_change;
using troupe::test::answer_of;
using troupe::test::echo;

namespace {

/// Nodes with data folders, in one process.
struct group_of_nodes {
  explicit group_of_nodes(std::size_t count, std::uint32_t snapshot_every = 10'000,
                          duration election_timeout = 500ms, duration idle_after = 60s)
    : nodes(count, [=, this](std::size_t index, node_options& how) {
        how.group.snapshot_every = snapshot_every;
        how.data = folder / std::to_string(index);
        how.lost_after = 500ms;
        how.group.consensus.heartbeat = 50ms;
        how.group.consensus.election_timeout = election_timeout;
        how.links.idle_after = idle_after;
        how.log = log;
      }) {
    REQUIRE(becomes(std::min<std::size_t>(count, 3)));
  }

  /// Waits until so many vote, and nobody only learns.
  bool becomes(std::size_t voters) {
    return nodes.until([&] {
      auto found = view();
      return found && found->seats.size() == voters
             && std::ranges::all_of(found->seats, &cluster::seat_view::votes);
    });
  }

  result<cluster::voters_view> view() {
    return any().voters().list(5s);
  }

  node& any() {
    return nodes[stopped == 0 ? 1 : 0];
  }

  std::set<std::string> voters() {
    std::set<std::string> found;
    for (std::size_t index = 0; index < nodes.size(); ++index)
      if (auto seen = view())
        for (auto& each : seen->seats)
          if (index != stopped && each.votes && each.node == to_string(nodes[index].id()))
            found.insert(nodes[index].name());
    return found;
  }

  std::size_t leader() {
    std::optional<std::size_t> found;
    nodes.until([&] {
      for (std::size_t index = 0; index < nodes.size(); ++index)
        if (index != stopped && nodes[index].is_host())
          found = index;
      return found.has_value();
    });
    return found.value();
  }

  void stop(std::size_t index) {
    nodes.stop(index);
    stopped = index;
  }

  void start(std::size_t index) {
    nodes.start(index);
    stopped = none;
  }

  static constexpr std::size_t none = 1'000;
  std::size_t stopped = none;
  test::temporary_folder folder;
  test::lines log;
  testing::cluster nodes;
};

} // namespace

TEST_CASE("three nodes keep what the cluster has, and any of them may stop", "[node][voters]") {
  group_of_nodes group{3};
  REQUIRE(group.nodes[1].agent("echo", echo()));
  for (std::size_t round = 0; round < 3; ++round) {
    CAPTURE(round);
    auto name = "lock " + std::to_string(round);
    auto held = group.nodes[2].locks().acquire(name, {.ttl = 60s});
    REQUIRE(held);
    auto leads = group.leader();
    group.stop(leads);
    CHECK(group.leader() != leads);
    auto seen = group.any().locks().find(name);
    REQUIRE(seen);
    REQUIRE(seen->holders.size() == 1);
    CHECK(seen->holders.front().value.token == held->token);
    group.start(leads);
    REQUIRE(group.becomes(3));
    if (leads == 1) // its agents ended with it
      REQUIRE(group.nodes[1].agent("echo", echo()));
    for (std::size_t from = 0; from < 3; ++from)
      CHECK(group.nodes.until([&] { return answer_of(group.nodes[from], "echo") == "hello"; }));
  }
}

TEST_CASE("agents are found all the time while leadership moves, however many there are",
          "[node][voters]") {
  group_of_nodes group{3};
  // More than the registry tells of at once.
  constexpr auto count = 1'500;
  auto agent_of = [](int number) { return "echo-" + std::to_string(number); };
  auto made = group.nodes[1].system().spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string& text) { return text; }};
  });
  std::vector<std::future<bool>> added; // in parallel: each waits for the disk
  for (auto part = 0; part < 10; ++part)
    added.push_back(std::async(std::launch::async, [&, part] {
      for (auto each = part; each < count; each += 10)
        if (!group.nodes[1].add_agent(agent_of(each), made))
          return false;
      return true;
    }));
  for (auto& each : added)
    REQUIRE(each.get());
  for (std::size_t from = 0; from < 3; ++from)
    REQUIRE(group.nodes.until([&] {
      auto report = group.nodes[from].broadcast(to_everyone(), "hello"s);
      return report && report->sent == count;
    }));
  // One from each part of the table, again and again: before, while and after leadership moves.
  std::atomic<int> moves{0};
  std::map<std::string, int> failures;
  auto asked_while_moving = 0;
  std::mutex mutex;
  std::vector<std::jthread> callers;
  for (std::size_t from = 0; from < 3; ++from)
    callers.emplace_back([&, from](const std::stop_token& ends) {
      for (auto number = static_cast<int>(from); !ends.stop_requested();
           number = (number + 97) % count) {
        auto answer = answer_of(group.nodes[from], agent_of(number));
        std::lock_guard guard{mutex};
        asked_while_moving += moves > 0 ? 1 : 0;
        if (answer != "hello")
          ++failures["n" + std::to_string(from) + ": " + answer];
      }
    });
  for (; moves < 4; ++moves) {
    auto next = (group.leader() + 1) % 3;
    auto moved
      = group.nodes[0].voters().change({voter_change::lead, group.nodes[next].name(), false}, 20s);
    REQUIRE(moved);
    REQUIRE(group.nodes.until([&] { return group.leader() == next; }));
    // The followers know it when they have heard of an agent that came after it.
    auto later = "later-" + std::to_string(moves);
    REQUIRE(group.nodes[1].agent(later, echo()));
    for (std::size_t from = 0; from < 3; ++from)
      CHECK(group.nodes.until([&] { return answer_of(group.nodes[from], later) == "hello"; }));
  }
  callers.clear();
  for (auto& [what, times] : failures)
    UNSCOPED_INFO(what << ", " << times << " times");
  CHECK(failures.empty());
  CHECK(asked_while_moving > 0);
}

TEST_CASE("each change of leadership is said, with its cause, by who led and by who leads",
          "[node][voters]") {
  group_of_nodes group{3, 10'000, 2s}; // so that it moves as asked, and not by chance
  auto& next = group.nodes[(group.leader() + 1) % 3];
  CHECK_FALSE(group.log.contain("leads the cluster no more"));
  REQUIRE(group.nodes[0].voters().change({voter_change::lead, next.name(), false}, 20s));
  auto is_said = group.nodes.until([&] {
    return group.log.contain("leads the cluster no more: it has handed over, as it was asked to")
           && group.log.contain("node " + next.name() + " leads the cluster in term ");
  });
  INFO(group.log.text());
  CHECK(is_said);
}

TEST_CASE("of several nodes of one name the one that is meant is named by its id",
          "[node][voters]") {
  test::temporary_folder folder;
  testing::cluster nodes{3, [&](std::size_t index, node_options& how) {
                           how.data = folder / std::to_string(index);
                           how.name = index == 0 ? "first" : "twin";
                           how.group.consensus.heartbeat = 50ms;
                           how.group.consensus.election_timeout = 500ms;
                         }};
  auto voters = nodes[0].voters();
  REQUIRE(nodes.until([&] {
    auto found = voters.list(5s);
    return found && found->seats.size() == 3
           && std::ranges::all_of(found->seats, &cluster::seat_view::votes);
  }));
  auto refused = voters.change({voter_change::remove, "twin", true}, 20s);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::bad_argument);
  CHECK_THAT(refused.error().detail, ContainsSubstring("2 nodes are called 'twin'"));
  CHECK(voters.list(5s)->seats.size() == 3);
  auto id = to_string(nodes[1].id());
  CHECK(voters.change({voter_change::remove, id.substr(0, 3), true}, 20s).error().code
        == errc::not_found);
  CHECK(voters.change({voter_change::remove, id.substr(0, 8), true}, 20s));
}

TEST_CASE("voters are added, removed and replaced while the cluster runs", "[node][voters]") {
  group_of_nodes group{4};
  auto before = group.voters();
  REQUIRE(before.size() == 3);
  std::string other;
  for (std::size_t index = 0; index < 4; ++index)
    if (!before.contains(group.nodes[index].name()))
      other = group.nodes[index].name();
  auto leads = group.nodes[group.leader()].name();
  auto goes = *std::ranges::find_if(before, [&](auto& name) { return name != leads; });
  auto voters = group.nodes[0].voters();
  SECTION("one beside the others") {
    REQUIRE(voters.change({voter_change::add, other, false}, 20s));
    CHECK(group.voters().size() == 4);
  }
  SECTION("one that goes is replaced") {
    REQUIRE(voters.change({voter_change::remove, goes, false}, 20s));
    auto after = group.voters();
    CHECK(after.size() == 3);
    CHECK(after.contains(other));
    CHECK_FALSE(after.contains(goes));
  }
  SECTION("the leader, too") {
    REQUIRE(voters.change({voter_change::remove, leads, false}, 20s));
    CHECK_FALSE(group.voters().contains(leads));
    CHECK(group.nodes[group.leader()].name() != leads);
  }
  SECTION("once more is no harm") {
    REQUIRE(voters.change({voter_change::remove, goes, false}, 20s));
    CHECK(voters.change({voter_change::remove, goes, false}, 20s));
  }
  SECTION("only nodes that are there") {
    auto refused = voters.change({voter_change::add, "nobody", false}, 20s);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::not_found);
    auto led = voters.change({voter_change::lead, other, false}, 20s);
    REQUIRE_FALSE(led);
    CHECK(led.error().code == errc::bad_argument);
  }
  auto held = group.nodes[3].locks().acquire("after", {.ttl = 60s});
  CHECK(held);
}

TEST_CASE("a voter leaves once another one has taken its place", "[node][voters]") {
  SECTION("not where there is none") {
    group_of_nodes group{3};
    auto why = group.nodes[2].leave().error_or();
    CHECK(why.code == errc::in_use);
    CHECK_THAT(why.detail,
               ContainsSubstring("force it (leave_options::force, change_voters::force)"));
    CHECK(group.voters().size() == 3); // it goes on
    CHECK(group.nodes[2].leave({.force = true}));
    group.stopped = 2;
    CHECK(group.becomes(2));
  }
  SECTION("where there is one") {
    group_of_nodes group{4};
    auto leads = group.leader();
    CHECK(group.nodes[leads].leave());
    group.stopped = leads;
    CHECK(group.becomes(3));
  }
}

TEST_CASE("a node whose log was lost comes back with another seat", "[node][voters]") {
  group_of_nodes group{3};
  auto victim = (group.leader() + 1) % 3;
  auto seat_of = [&](std::size_t index) {
    auto seen = group.view();
    for (auto& each : seen ? seen->seats : std::vector<cluster::seat_view>{})
      if (each.node == to_string(group.nodes[index].id()))
        return each.seat;
    return std::uint64_t{0};
  };
  auto before = seat_of(victim);
  REQUIRE(before != 0);
  auto held = group.nodes[0].locks().acquire("kept", {.ttl = 60s});
  REQUIRE(held);
  group.stop(victim);
  auto data = group.folder / std::to_string(victim);
  for (auto& each : std::filesystem::directory_iterator{data})
    if (each.path().filename().string().starts_with("group.db"))
      std::filesystem::remove(each.path());
  group.start(victim);
  CHECK(group.nodes.until([&] {
    auto now = seat_of(victim);
    return now != 0 && now != before;
  }));
  CHECK(group.becomes(3));
  auto seen = group.nodes[victim].locks().find("kept");
  REQUIRE(seen);
  CHECK(seen->holders.size() == 1);
}

namespace {

/// Three voters and a fourth node, which writes letters to one voter that follows.
struct letter_writer : group_of_nodes {
  letter_writer() : group_of_nodes{4} {
    auto seated = voters();
    for (std::size_t index = 0; index < 4; ++index)
      if (!seated.contains(nodes[index].name()))
        writer = index;
      else if (index != leads)
        reader = index;
    caf::scoped_actor self{nodes[reader].system()};
    self->request(nodes[reader].router(), 5s, router::find_service{cluster::seat_name})
      .receive([&](const router::service_place& found) { actor = found.handle; },
               [](const caf::error&) {});
    REQUIRE(actor);
    auto carry = [](caf::event_based_actor* own, const caf::strong_actor_ptr& to,
                    const std::string& node, std::uint64_t seat, std::uint64_t forgotten) {
      auto answer = own->make_response_promise<std::uint64_t>();
      cluster::seat_card card{node, seat, caf::actor_cast<caf::strong_actor_ptr>(own)};
      own
        ->request(caf::actor_cast<caf::actor>(to), caf::infinite,
                  cluster::exchange_seats{card, forgotten})
        .then([answer](const cluster::seat_card& now) mutable { answer.deliver(now.seat); },
              [answer](const caf::error& why) mutable { answer.deliver(why); });
      return answer;
    };
    auto carrier
      = nodes[writer].system().spawn([carry](caf::event_based_actor* own) -> caf::behavior {
          return {[own, carry](const caf::strong_actor_ptr& to, const std::string& node,
                               std::uint64_t seat, std::uint64_t forgotten) {
            return carry(own, to, node, seat, forgotten);
          }};
        });
    REQUIRE(nodes[writer].add_agent("carrier", carrier));
    REQUIRE(nodes.until([&] { return write(id(writer), 77).has_value(); }));
  }

  /// The reader gets a card of `node`, and is told which of its seats is void, over the link of
  /// the writer. Returns the seat that it says it has.
  result<std::uint64_t> write(const std::string& node, std::uint64_t seat,
                              std::uint64_t forgotten = 0) {
    return nodes[reader].request<std::uint64_t>(to_agent("carrier"), 5s, actor, node, seat,
                                                forgotten);
  }

  std::string id(std::size_t index) {
    return to_string(nodes[index].id());
  }

  /// As the leader sees that node.
  cluster::seat_view seat(std::size_t index) {
    auto seen = view();
    for (auto& each : seen ? seen->seats : std::vector<cluster::seat_view>{})
      if (each.node == id(index))
        return each;
    return {};
  }

  std::size_t leads = leader();
  std::size_t reader = none;
  std::size_t writer = none;
  caf::strong_actor_ptr actor;
};

} // namespace

TEST_CASE("a node is told that its seat is void by its leader, or by any node while it has none",
          "[node][voters]") {
  letter_writer group;
  auto before = group.seat(group.reader).seat;
  REQUIRE(before != 0);
  auto refusal = [&](const std::string& from) {
    auto answer = group.write(from, 77, before);
    return answer ? errc::none : answer.error().code;
  };
  auto leader = group.id(group.leads);
  CHECK(refusal(group.id(group.writer)) == errc::bad_argument);
  CHECK(refusal(leader) == errc::bad_argument); // not over the leader's link

  for (std::size_t index = 0; index < 4; ++index)
    if (index != group.reader && index != group.writer)
      group.nodes.stop(index);
  REQUIRE(group.nodes.until([&] { return !group.nodes[group.reader].voters().list(1s); }));
  CHECK(refusal(leader) == errc::bad_argument);
  std::uint64_t after = 0;
  CHECK(group.nodes.until([&] {
    auto now = group.write(group.id(group.writer), 77, before);
    after = now ? *now : 0;
    return after != 0;
  }));
  CHECK(after != before);
}

TEST_CASE("what a node says of the seat of another counts for nothing", "[node][voters]") {
  letter_writer group;
  auto of_leader = group.seat(group.leads).seat;
  REQUIRE(group.write(group.id(group.leads), of_leader));
  REQUIRE(group.nodes[group.writer].locks().acquire("any", {.ttl = 60s}));
  // Who believed it would send its answers to the writer from now on.
  CHECK_FALSE(group.nodes.until([&] { return group.seat(group.reader).silent_for > 1s; }, 3s));
  CHECK(group.nodes.until([&] { return group.seat(group.reader).lag == 0; }));
}

TEST_CASE("a node that is asked for its seat has no say over that of another", "[node][voters]") {
  group_of_nodes group{3};
  auto leads = group.leader();
  auto reader = (leads + 1) % 3;
  auto seat = [&](std::size_t index) {
    auto seen = group.nodes[leads].voters().list(5s);
    for (auto& each : seen ? seen->seats : std::vector<cluster::seat_view>{})
      if (each.node == to_string(group.nodes[index].id()))
        return each;
    return cluster::seat_view{};
  };
  auto of_leader = seat(leads);
  REQUIRE(of_leader.seat != 0);
  node_config config;
  caf::actor_system sys{config};
  std::atomic<bool> has_answered = false;
  // Linked to the reader only, as one that joins; it answers with the leader's seat.
  auto liar = sys.spawn([&](caf::event_based_actor* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    return {
      [self](const router::find_service& what) {
        auto own = caf::actor_cast<caf::strong_actor_ptr>(self);
        return router::service_place{what.name == cluster::seat_name ? own : nullptr, {}};
      },
      [&, self](const cluster::exchange_seats&) {
        has_answered = true;
        return cluster::seat_card{of_leader.node, of_leader.seat,
                                  caf::actor_cast<caf::strong_actor_ptr>(self)};
      },
    };
  });
  auto credentials = group.nodes.ca().make_credentials("liar");
  net::hello self;
  self.node = credentials->self().node;
  self.boot = 1;
  auto gate = net::gate::start(sys, self, caf::actor_cast<caf::strong_actor_ptr>(liar), {}, {},
                               {credentials});
  REQUIRE(gate);
  auto where = net::resolve({"127.0.0.1", group.nodes[reader].port()});
  REQUIRE(where);
  (*gate)->dial(*where, std::nullopt, [](const result<net::link_ptr>&) {});
  REQUIRE(group.nodes.until([&] { return has_answered.load(); }));
  REQUIRE(group.nodes[leads].locks().acquire("any", {.ttl = 60s}));
  // Who believed it would send its answers to the liar from now on.
  CHECK_FALSE(group.nodes.until([&] { return seat(reader).silent_for > 1s; }, 3s));
  CHECK(group.nodes.until([&] { return seat(reader).lag == 0; }));
  (*gate)->stop();
  caf::anon_send_exit(liar, caf::exit_reason::user_shutdown);
}

TEST_CASE("a node that starts behind a snapshot knows who votes", "[node][voters]") {
  group_of_nodes group{3, 5};
  auto voters = [&](std::size_t index) {
    return group.nodes[index]
      .system()
      .metrics()
      .gauge_singleton("troupe", "group-voters", "")
      ->value();
  };
  for (auto each = 0; each < 20; ++each)
    REQUIRE(group.nodes[0].locks().acquire("lock " + std::to_string(each), {.ttl = 60s}));
  auto victim = (group.leader() + 1) % 3;
  group.stop(victim);
  group.start(victim);
  CHECK(group.nodes.until([&] { return voters(victim) == 3; }));
  auto seen = group.nodes[victim].locks().find("lock 7");
  REQUIRE(seen);
  CHECK(seen->holders.size() == 1);
}

TEST_CASE("the metrics of a node tell how its group stands", "[node][voters]") {
  group_of_nodes group{3};
  auto gauge = [&](std::size_t index, const char* name) {
    return group.nodes[index].system().metrics().gauge_singleton("troupe", name, "")->value();
  };
  auto leads = group.leader();
  auto follows = (leads + 1) % 3;
  CHECK(gauge(leads, "group-leads") == 1);
  CHECK(gauge(follows, "group-leads") == 0);
  CHECK(group.nodes.until([&] { return gauge(follows, "group-voters") == 3; }));
  CHECK(
    group.nodes.until([&] { return gauge(follows, "group-term") == gauge(leads, "group-term"); }));
  auto before = gauge(leads, "group-commit");
  REQUIRE(group.nodes[follows].locks().acquire("counted", {.ttl = 60s}));
  // It is told once the step has ended whose answer the caller may have already.
  CHECK(group.nodes.until([&] { return gauge(leads, "group-commit") > before; }));
  group.stop(leads);
  auto next = group.leader();
  CHECK(gauge(next, "group-leads") == 1);
  CHECK(gauge(next, "group-term") > 1);
}

TEST_CASE("a damaged log is named, and its node does not vote", "[node][voters]") {
  group_of_nodes group{3};
  auto victim = (group.leader() + 1) % 3;
  group.stop(victim);
  auto data = group.folder / std::to_string(victim);
  for (auto& each : std::filesystem::directory_iterator{data})
    if (each.path().filename() == "group.db-wal")
      std::filesystem::remove(each.path());
  std::filesystem::resize_file(data / "group.db", 4096);
  auto again = node::start(
    {.listen = {"127.0.0.1", 0}, .join = {{"127.0.0.1", group.any().port()}}, .data = data});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == errc::damaged);
  CHECK_THAT(again.error().detail, ContainsSubstring("group.db"));
  CHECK(group.any().locks().acquire("on", {.ttl = 60s}));
}

TEST_CASE("a node that reaches no majority of the voters says who is missing until one is back",
          "[node][voters]") {
  group_of_nodes group{3};
  auto stays = (group.leader() + 1) % 3;
  auto& node = group.nodes[stays];
  {
    auto client = group.nodes.connect(stays);
    REQUIRE(client);
    REQUIRE(group.nodes.until([&] { // it has heard of all voters
      auto seen = (*client)->look(5s);
      return seen && seen->group.seats.size() == 3
             && std::ranges::all_of(seen->group.seats, &cluster::seat_view::votes);
    }));
  }
  REQUIRE(node.agent("own", echo()));
  for (std::size_t index = 0; index < 3; ++index)
    if (index != stays)
      group.nodes.stop(index);
  // Before it knows that, a request may reach a leader that is about to end: its outcome is
  // unknown.
  REQUIRE(
    group.nodes.until([&] { return group.log.contain("no leader: 1 of 3 voters reachable"); }));
  auto refused = node.locks().acquire("any", {.ttl = 60s});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::no_quorum);
  CHECK_THAT(refused.error().detail, ContainsSubstring("1 of 3 voters"));
  CHECK(node.voters().list(20s).error().code == errc::no_quorum);
  CHECK(answer_of(node, "own") == "hello");
  CHECK_FALSE(group.log.contain("over: no leader"));
  test::lines heard;
  node_options how{
    .name = "late", .listen = {"127.0.0.1", 0}, .join = {{"127.0.0.1", node.port()}}};
  how.log = heard;
  how.wait_joined = 0s;
  group.nodes.certify(how);
  auto late = node::start(std::move(how));
  REQUIRE(late);
  CHECK(group.nodes.until(
    [&] { return heard.contain("no leader: no majority of the voters answers: 1 of 3"); }));

  group.nodes.start((stays + 1) % 3);
  CHECK(group.nodes.until([&] { return heard.contain("over: no leader"); }));
  // Until it knows of the other one again, it refuses at once.
  CHECK(group.nodes.until([&] { return group.log.contain("over: no leader"); }));
  CHECK(node.locks().acquire("any", {.ttl = 60s}));
}

TEST_CASE("a node whose replica has ended says what voters say of their majority",
          "[node][voters]") {
  group_of_nodes group{3};
  auto leads = group.leader();
  auto ended = (leads + 1) % 3;
  auto folder = group.folder / std::to_string(ended);
  std::filesystem::rename(folder, folder.string() + ".moved");
  REQUIRE(group.nodes[leads].locks().acquire("any", {.ttl = 60s}));
  REQUIRE(group.nodes.until(
    [&] { return group.log.contain("takes part in the cluster's group no more"); }));
  group.nodes.stop((leads + 2) % 3);
  auto client = group.nodes.connect(ended);
  REQUIRE(client);
  CHECK(group.nodes.until([&] {
    auto seen = (*client)->look(5s);
    return seen && seen->why.code == errc::no_quorum
           && seen->why.detail.find("1 of 3 voters reachable") != std::string::npos;
  }));
  auto refused = group.nodes[ended].locks().acquire("other", {.ttl = 60s});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::no_quorum);
}

TEST_CASE("a voter starts also while the others are not there", "[node][voters]") {
  group_of_nodes group{3};
  node_options how{.name = "n1", .listen = {"127.0.0.1", group.nodes[1].port()}};
  how.data = group.folder / "1";
  how.group.consensus.heartbeat = 50ms;
  how.group.consensus.election_timeout = 500ms;
  how.wait_joined = 300ms;
  for (std::size_t index = 0; index < 3; ++index)
    group.nodes.stop(index);
  auto alone = node::start(how);
  INFO(alone.error_or());
  REQUIRE(alone);
  CHECK_FALSE(alone->wait_joined(10ms));
  CHECK(
    group.nodes.until([&] { return alone->wait_joined(10ms).error_or().code == errc::no_quorum; }));
  group.nodes.start(0);
  CHECK(alone->wait_joined(testing::cluster::patience));
}

TEST_CASE("at rest voters keep the links among them, and other nodes that to the leader",
          "[node][voters]") {
  group_of_nodes group{5, 10'000, 500ms, 100ms};
  auto rests = [&] {
    auto voters = group.voters();
    auto leads = group.leader();
    for (std::size_t each = 0; each < 5; ++each) {
      auto& node = group.nodes[each];
      std::uint32_t needed = each == leads ? 4 : voters.contains(node.name()) ? 2 : 1;
      if (voters.size() != 3 || test::links_of(node) != needed)
        return false;
    }
    return true;
  };
  REQUIRE(group.nodes.until(rests));
  CHECK_FALSE(group.log.contain("lost")); // as a link that is closed is no loss
  auto leads = group.leader();
  group.stop(leads);
  for (std::size_t each = 0; each < 5; ++each)
    if (each != leads)
      CHECK(group.nodes[each].state().put("from " + std::to_string(each), "any"));
  group.start(leads);
  CHECK(group.nodes.until(rests));
}

TEST_CASE("a light client keeps a second node that tells it where the services have moved",
          "[node][voters]") {
  group_of_nodes group{3};
  auto leads = group.leader();
  auto way = net::address{"127.0.0.1", group.nodes[leads == 0 ? 1 : 0].port()};
  net::link_options links;
  links.idle_after = 100ms;
  auto connected = cluster_client::connect({way}, 5s, links, group.nodes.client_identity());
  REQUIRE(connected);
  auto& client = **connected;
  CHECK(client.address() == to_string(net::address{"127.0.0.1", group.nodes[leads].port()}));
  CHECK(group.nodes.until([&] { return client.links() == 1; })); // one call needs no more
  CHECK(group.nodes.until([&] { return client.links() == 2; }));
  for (int round = 0; round < 2; ++round) {
    group.stop(leads);
    leads = group.leader();
    auto there = to_string(net::address{"127.0.0.1", group.nodes[leads].port()});
    CHECK(group.nodes.until([&] { return client.address() == there; }));
    CHECK(client.services().state.ask(
      state::put{{state::consistency::strong, state::value_type::version_register, "any"},
                 state::to_value("value")},
      5s));
    group.start(group.stopped);
    REQUIRE(group.becomes(3));
    CHECK(group.nodes.until([&] { return client.links() == 2; })); // it has found another one
  }
}
