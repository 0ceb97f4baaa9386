#include "troupe/net/link_table.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "net/link_world.hpp"

namespace link_table_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

namespace {

/// A node with a link to another one, which is connection 1.
struct linked_table {
  linked_table() {
    step(accepted{1});
    step(heard{1, test::member(9)});
    step(heard{1, commit{}});
    step(up{1});
    out.clear();
  }

  void step(const event& what) {
    table.step(now, what, out);
  }

  void pass(duration span) {
    now += span;
    table.tick(now, out);
  }

  link_table table{test::member(5)};
  time_point now{1h};
  link_table::effects out;
};

constexpr duration silence = table_options{}.link_timeout;

} // namespace

TEST_CASE_METHOD(linked_table,
                 "a link that is being closed is closed once, whatever is heard of it", "[net]") {
  pass(silence);
  REQUIRE(out.size() == 1);
  CHECK(std::holds_alternative<close_link>(out.front()));
  out.clear();
  step(alive{1, now});
  step(expect{1, 1s});
  step(up{1});
  CHECK_FALSE(table.next_deadline());
  pass(2 * silence);
  CHECK(out.empty());
  CHECK(table.link_count() == 1); // until it has ended
}

TEST_CASE_METHOD(linked_table, "a link that was alive is not closed if that is told late",
                 "[net]") {
  auto heard_at = now + silence / 2;
  now += silence;
  step(alive{1, heard_at}); // before time passes
  CHECK(out.empty());
  CHECK(table.next_deadline() == heard_at + silence);
  pass(silence / 2);
  REQUIRE(out.size() == 1);
  CHECK(std::holds_alternative<close_link>(out.front()));
}

TEST_CASE("a link whose handshake is not over is not alive, whatever comes over it", "[net]") {
  link_table table{test::member(5)};
  link_table::effects out;
  time_point now{1h};
  for (const event& each :
       {event{accepted{1}}, event{heard{1, test::member(9)}}, event{heard{1, commit{}}}})
    table.step(now, each, out);
  auto end = now + table_options{}.handshake_timeout;
  REQUIRE(table.next_deadline() == end);
  now += 1s;
  table.step(now, alive{1, now}, out);
  CHECK(table.next_deadline() == end);
  table.step(now, up{1}, out);
  CHECK(table.next_deadline() == now + silence);
}

TEST_CASE("members and clients have a bound each", "[net]") {
  link_table table{test::member(5), {.max_members = 1, .max_clients = 2}};
  link_table::effects out;
  time_point now{1h};
  auto verdict_on = [&](std::uint8_t number, role as) {
    auto who = test::member(number);
    who.as = as;
    out.clear();
    table.step(now, accepted{number}, out);
    table.step(now, heard{number, who}, out);
    auto said = std::get<answer>(std::get<say>(out.at(0)).what).said;
    table.step(now, heard{number, commit{}}, out);
    return said;
  };
  CHECK(verdict_on(6, role::client) == verdict::go);
  CHECK(verdict_on(7, role::client) == verdict::go);
  CHECK(verdict_on(8, role::client) == verdict::full);
  CHECK(verdict_on(9, role::member) == verdict::go);
  CHECK(verdict_on(10, role::member) == verdict::full);
}

TEST_CASE("clients that say nothing keep others out for 30 s at most, and members never", "[net]") {
  constexpr auto most = table_options{}.max_clients;
  link_table table{test::member(5)};
  link_table::effects out;
  time_point now{1h};
  connection_id last = 0;
  auto verdict_on = [&](role as) {
    auto who = test::member(6);
    who.as = as;
    who.heartbeat = max_heartbeat;
    ++last;
    who.node.bytes[0] = static_cast<std::byte>(1 + last % 255);
    who.node.bytes[1] = static_cast<std::byte>(last / 255);
    who.basp_node += std::to_string(last);
    out.clear();
    table.step(now, accepted{last}, out);
    table.step(now, heard{last, who}, out);
    auto said = std::get<answer>(std::get<say>(out.at(0)).what).said;
    table.step(now, heard{last, commit{}}, out);
    table.step(now, up{last}, out);
    out.clear();
    return said;
  };
  for (std::uint32_t count = 0; count < most; ++count)
    REQUIRE(verdict_on(role::client) == verdict::go);
  CHECK(verdict_on(role::client) == verdict::full);
  CHECK(verdict_on(role::member) == verdict::go);
  now += 30s - 1ms;
  table.tick(now, out);
  CHECK(out.empty());
  CHECK(verdict_on(role::client) == verdict::full);
  now += 1ms;
  table.tick(now, out);
  CHECK(out.size() == most + 1); // with the member, which is silent as well
  CHECK(verdict_on(role::client) == verdict::go);
}

namespace {

security::facts certified(const node_id& node, role as) {
  security::facts made;
  made.node = node;
  made.name = "certified";
  made.as = as;
  return made;
}

node_id node_of(std::uint8_t number) {
  return test::member(number).node;
}

/// As linked_table, with TLS: node 9 has proven who it is.
struct proving_table {
  proving_table() {
    step(accepted{1});
    step(connected{1, certified(node_of(9), role::member)});
    step(heard{1, test::member(9)});
    step(heard{1, commit{}});
    step(up{1});
    REQUIRE(table.link_to(node_of(9)) == 1);
    out.clear();
  }

  void step(const event& what) {
    table.step(now, what, out);
  }

  /// What a connection proven by `by` gets as the answer to `said`.
  verdict verdict_on(const hello& said, std::optional<security::facts> by) {
    auto id = ++last_id;
    step(accepted{id});
    out.clear();
    step(connected{id, std::move(by)});
    step(heard{id, said});
    for (auto& each : out)
      if (auto* spoken = std::get_if<say>(&each))
        return std::get<answer>(spoken->what).said;
    return std::get<drop>(out.at(0)).why;
  }

  /// What becomes of a dial that is proven by `by`, and answered with go by `said`.
  effect dial_result(const hello& said, std::optional<security::facts> by) {
    auto id = ++last_id;
    step(dial{id, {}});
    step(connected{id, std::move(by)});
    out.clear();
    step(heard{id, answer{verdict::go, said}});
    return out.at(out.size() - 1);
  }

  [[nodiscard]] bool has_closed_a_link() const {
    return std::ranges::any_of(out,
                               [](auto& each) { return std::holds_alternative<close_link>(each); });
  }

  link_table table{test::member(5), {}, trust::proven};
  time_point now{1h};
  link_table::effects out;
  connection_id last_id = 100;
};

} // namespace

TEST_CASE_METHOD(proving_table, "a forged hello in the name of a node ends no link of that node",
                 "[net]") {
  auto forged = test::member(9, 7, 900'000);
  CHECK(verdict_on(forged, certified(node_of(8), role::member)) == verdict::unproven);
  CHECK_FALSE(has_closed_a_link());
  CHECK(verdict_on(forged, certified(node_of(9), role::client)) == verdict::unproven);
  CHECK_FALSE(has_closed_a_link());
  CHECK(verdict_on(forged, {}) == verdict::not_secured);
  CHECK_FALSE(has_closed_a_link());
  CHECK(table.link_to(node_of(9)) == 1);
  // Nor was the boot learnt: the node itself comes back with the next one.
  step(ended{1});
  CHECK(verdict_on(test::member(9, 7, 2), certified(node_of(9), role::member)) == verdict::go);
}

TEST_CASE_METHOD(proving_table, "nobody is linked as the process of this node itself", "[net]") {
  auto same = test::member(8);
  same.basp_node = table.self().basp_node;
  CHECK(verdict_on(same, certified(node_of(8), role::member)) == verdict::duplicate);
}

TEST_CASE_METHOD(proving_table,
                 "a member that says it is the process of another ends no link of that", "[net]") {
  auto same = test::member(8);
  same.basp_node = test::member(9).basp_node;
  CHECK(verdict_on(same, certified(node_of(8), role::member)) == verdict::duplicate);
  CHECK_FALSE(has_closed_a_link());
  CHECK(table.link_to(node_of(9)) == 1);
  // Nor if it dials, and that one answers.
  auto made = dial_result(same, certified(node_of(8), role::member));
  REQUIRE(std::holds_alternative<drop>(made));
  CHECK(std::get<drop>(made).why == verdict::duplicate);
  // Once the other one is gone nobody's messages pass for those of another.
  step(ended{1});
  CHECK(verdict_on(same, certified(node_of(8), role::member)) == verdict::go);
  CHECK(verdict_on(test::member(9), certified(node_of(9), role::member)) == verdict::duplicate);
}

TEST_CASE_METHOD(proving_table,
                 "a process that is being closed has its place until BASP forgets it", "[net]") {
  now += 60s; // nothing was heard of node 9
  table.tick(now, out);
  REQUIRE(has_closed_a_link());
  auto same = test::member(8);
  same.basp_node = test::member(9).basp_node;
  CHECK(verdict_on(same, certified(node_of(8), role::member)) == verdict::linked);
}

TEST_CASE_METHOD(proving_table,
                 "who is dialled cannot commit, be relayed, nor answer before it is proven",
                 "[net]") {
  auto refused = [&](const greeting& what) {
    step(heard{last_id, what});
    REQUIRE(out.size() == 1);
    CHECK(std::get<drop>(out.front()).why == verdict::bad_greeting);
    CHECK(table.link_count() == 1);
  };
  step(dial{++last_id, node_of(8)});
  SECTION("commit") {
    step(connected{last_id, certified(node_of(8), role::member)});
    out.clear();
    refused(commit{});
  }
  SECTION("wish to be relayed") { // also if it was dialled by its address
    step(dial{++last_id, {}});
    step(connected{last_id, certified(node_of(8), role::member)});
    out.clear();
    refused(relay_request{table.self().cluster, 77});
  }
  SECTION("answer") {
    refused(answer{verdict::go, test::member(8)});
  }
}

TEST_CASE_METHOD(proving_table,
                 "a later life that proves who it is replaces the earlier one, of which nothing is "
                 "heard",
                 "[net]") {
  auto later
    = [&] { return verdict_on(test::member(9, 7, 2), certified(node_of(9), role::member)); };
  step(up{1});
  auto greeted = now;
  CHECK(later() == verdict::linked);
  CHECK_FALSE(has_closed_a_link());
  now = greeted + 1499ms;
  step(alive{1, greeted}); // not since the other one has greeted
  CHECK(later() == verdict::linked);
  now = greeted + 1500ms;
  step(alive{1, greeted});
  step(expect{1, 60s}); // wanted here, and no sign of life
  CHECK(has_closed_a_link());
  step(ended{1});
  CHECK(later() == verdict::go);
}

TEST_CASE_METHOD(proving_table,
                 "a process that is alive keeps its link, whatever a copy of its data folder says",
                 "[net]") {
  auto copy = test::member(9, 7, 2);
  auto tries = [&] { return verdict_on(copy, certified(node_of(9), role::member)); };
  step(up{1});
  SECTION("accepted, with a later start") {
    CHECK(tries() == verdict::linked);
    SECTION("or as often started") {
      copy = test::member(9);
      copy.basp_node = "copy";
    }
    now += 400ms;
    step(alive{1, now});
    CHECK(tries() == verdict::duplicate);
    now += 7999ms; // for as long as a peer may be silent
    step(alive{1, now});
    CHECK(tries() == verdict::duplicate);
    now += 1ms;
    step(alive{1, now});
    CHECK(tries() == verdict::linked); // it is asked anew
    now += 1ms;
    step(alive{1, now});
    CHECK(tries() == verdict::duplicate);
  }
  SECTION("dialled") {
    auto made = dial_result(copy, certified(node_of(9), role::member));
    REQUIRE(std::holds_alternative<drop>(made));
    CHECK(std::get<drop>(made).why == verdict::linked);
    now += 1ms;
    step(alive{1, now});
    made = dial_result(copy, certified(node_of(9), role::member));
    CHECK(std::get<drop>(made).why == verdict::duplicate);
  }
  CHECK_FALSE(has_closed_a_link());
  CHECK(table.link_to(node_of(9)) == 1);
}

TEST_CASE_METHOD(proving_table, "a process that begins anew has the place of its earlier link",
                 "[net]") {
  step(up{1});
  auto risen = test::member(9, 7, 2);
  risen.basp_node = test::member(9).basp_node;
  CHECK(verdict_on(risen, certified(node_of(9), role::member)) == verdict::go);
  CHECK(has_closed_a_link());
}

TEST_CASE_METHOD(proving_table, "an answer counts only if the node that answers is proven",
                 "[net]") {
  auto is_unproven = [](const effect& what) {
    auto* ended = std::get_if<drop>(&what);
    return ended != nullptr && ended->why == verdict::unproven;
  };
  CHECK(is_unproven(dial_result(test::member(8), certified(node_of(7), role::member))));
  CHECK(is_unproven(dial_result(test::member(9, 7, 900'000), certified(node_of(7), role::member))));
  CHECK(is_unproven(dial_result(test::member(8), certified(node_of(8), role::client))));
  CHECK(table.link_to(node_of(9)) == 1);
  auto made = dial_result(test::member(8), certified(node_of(8), role::member));
  REQUIRE(std::holds_alternative<hand_over>(made));
  CHECK(std::get<hand_over>(made).proven == certified(node_of(8), role::member));
}

TEST_CASE_METHOD(proving_table, "a later start of this node is believed of a proven member only",
                 "[net]") {
  auto hears_of_start = [&](std::optional<security::facts> by) {
    auto id = ++last_id;
    step(dial{id, {}});
    step(connected{id, std::move(by)});
    out.clear();
    step(heard{id, answer{verdict::old_boot, test::member(8), 5}});
    return std::ranges::any_of(out,
                               [](auto& each) { return std::holds_alternative<outlived>(each); });
  };
  CHECK_FALSE(hears_of_start({}));
  CHECK_FALSE(hears_of_start(certified(node_of(7), role::member))); // in the name of another
  CHECK_FALSE(hears_of_start(certified(node_of(8), role::client)));
  CHECK(hears_of_start(certified(node_of(8), role::member)));
}

TEST_CASE_METHOD(proving_table, "a client cannot stand in for a node", "[net]") {
  auto client = test::member(8);
  client.as = role::client;
  client.node = client_id(node_of(8), client.basp_node);
  auto made = dial_result(client, certified(node_of(8), role::client));
  REQUIRE(std::holds_alternative<drop>(made));
  CHECK(std::get<drop>(made).why == verdict::unproven);
}

TEST_CASE_METHOD(proving_table,
                 "a node is refused as soon as it proves to be another than the one "
                 "that was dialled",
                 "[net]") {
  step(dial{200, node_of(8)});
  out.clear();
  step(connected{200, certified(node_of(7), role::member)});
  REQUIRE(out.size() == 1);
  CHECK(std::get<drop>(out.front()).why == verdict::wrong_node);
}

TEST_CASE_METHOD(proving_table, "a dial without proof ends before anything is said", "[net]") {
  step(dial{200, {}});
  out.clear();
  step(connected{200});
  REQUIRE(out.size() == 1);
  CHECK(std::get<drop>(out.front()).why == verdict::not_secured);
}

TEST_CASE_METHOD(proving_table, "a connection is relayed for those who prove to be of this cluster",
                 "[net]") {
  auto asks = [&](connection_id id, std::optional<security::facts> by, cluster_id cluster) {
    out.clear();
    step(accepted{id});
    step(connected{id, std::move(by)});
    out.clear();
    step(heard{id, relay_request{cluster, 77}});
  };
  auto refusal = [&] {
    REQUIRE(out.size() == 2);
    auto said = std::get<answer>(std::get<say>(out.front()).what).said;
    CHECK(std::get<drop>(out.back()).why == said);
    return said;
  };
  auto ours = table.self().cluster;
  asks(200, certified(node_of(8), role::client), ours);
  REQUIRE(out.size() == 1);
  auto& wanted = std::get<relay_wanted>(out.front());
  CHECK(wanted.connection == 200);
  CHECK(wanted.to == 77);
  CHECK(wanted.proven->node == node_of(8));
  CHECK(table.unfinished() == 0); // it is no link, and takes no place of one
  CHECK_FALSE(table.next_deadline() < now + 8s);
  auto other = ours;
  other.bytes.front() ^= std::byte{1};
  asks(201, certified(node_of(8), role::member), other);
  CHECK(refusal() == verdict::foreign);
  asks(202, {}, ours);
  CHECK(std::ranges::none_of(
    out, [](auto& each) { return std::holds_alternative<relay_wanted>(each); }));
  // Not behind a greeting, which has reserved a place.
  asks(203, certified(node_of(8), role::member), ours);
  step(accepted{204});
  step(connected{204, certified(node_of(7), role::member)});
  step(heard{204, test::member(7)});
  out.clear();
  step(heard{204, relay_request{ours, 77}});
  REQUIRE(out.size() == 1);
  CHECK(std::get<drop>(out.front()).why == verdict::bad_greeting);
}

namespace {

/// Without a cluster.
struct lone_table {
  void step(const event& what) {
    out.clear();
    table.step(now, what, out);
  }

  [[nodiscard]] verdict why_dropped() const {
    REQUIRE_FALSE(out.empty());
    return std::get<drop>(out.back()).why;
  }

  link_table table{[] {
    auto alone = test::member(5);
    alone.cluster = {};
    return alone;
  }()};
  time_point now{1h};
  link_table::effects out;
};

} // namespace

TEST_CASE_METHOD(lone_table, "a node without a cluster answers what its owner says",
                 "[net][bootstrap]") {
  founding_word word{.node = node_of(5), .expect = 3};
  step(accepted{1});
  step(connected{1});
  step(heard{1, bootstrap_request{.from = {.node = node_of(8), .expect = 3}}});
  REQUIRE(out.size() == 1);
  CHECK(std::get<bootstrap_wanted>(out.front()).from.node == node_of(8));
  CHECK(table.unfinished() == 1);
  SECTION("once") {
    step(bootstrap_reply{1, verdict::go, word});
    CHECK(std::get<bootstrap_answer>(std::get<say>(out.front()).what).from == word);
    CHECK(why_dropped() == verdict::asked);
    CHECK(table.unfinished() == 0);
    step(bootstrap_reply{1, verdict::go, word});
    CHECK(out.empty());
  }
  SECTION("with its cluster, if it has one by then") {
    auto cluster = test::member(5).cluster;
    step(founded{cluster});
    step(bootstrap_reply{1, verdict::go, word});
    CHECK(std::get<bootstrap_answer>(std::get<say>(out.front()).what).cluster == cluster);
  }
  SECTION("and links nobody who has asked") {
    step(heard{1, test::member(8)});
    CHECK(why_dropped() == verdict::bad_greeting);
  }
  SECTION("and does not wait for ever") {
    now += table_options{}.greeting_timeout;
    out.clear();
    table.tick(now, out);
    CHECK(why_dropped() == verdict::timed_out);
  }
}

TEST_CASE_METHOD(lone_table, "a node asks others instead of linking them", "[net][bootstrap]") {
  founding_word word{.node = node_of(5), .expect = 3};
  step(dial{.connection = 1, .who = {}, .asks = word});
  step(reached{1});
  step(connected{1});
  REQUIRE(out.size() == 1);
  CHECK(std::get<bootstrap_request>(std::get<say>(out.front()).what).from == word);
  SECTION("and hears their word") {
    step(heard{1, bootstrap_answer{verdict::go, {}, {.node = node_of(8), .expect = 3}}});
    REQUIRE(out.size() == 1);
    CHECK(std::holds_alternative<bootstrap_heard>(out.front()));
    CHECK(table.unfinished() == 0);
    CHECK_FALSE(table.next_deadline());
    CHECK(table.self().cluster == cluster_id{});
  }
  SECTION("and takes no other answer") {
    step(heard{1, answer{verdict::go, test::member(8)}});
    CHECK(why_dropped() == verdict::bad_greeting);
  }
}

namespace {

/// That dials through node 8, which has heard so 2.9 s ago.
struct relayed_table : proving_table {
  relayed_table() {
    step(dial{200, {}, 77});
    step(reached{200});
    out.clear();
    step(connected{200, certified(node_of(8), role::member)});
    REQUIRE(out.size() == 1);
    CHECK(std::get<relay_request>(std::get<say>(out.front()).what)
          == relay_request{table.self().cluster, 77});
    now += 2'900ms;
    out.clear();
  }

  /// The relay agrees, and says that it is another.
  void begin() {
    step(heard{200, answer{verdict::go, test::member(9, 7, 900'000)}});
    REQUIRE(out.size() == 1);
    CHECK(std::get<start_over>(out.front()).connection == 200);
    CHECK(table.link_to(node_of(9)) == 1);
    out.clear();
  }

  [[nodiscard]] verdict why_dropped() const {
    REQUIRE(out.size() == 1);
    REQUIRE(std::holds_alternative<drop>(out.front()));
    return std::get<drop>(out.front()).why;
  }
};

} // namespace

TEST_CASE_METHOD(relayed_table, "a relay that refuses, or says what it may not, is left", "[net]") {
  SECTION("refuses") {
    step(heard{200, answer{verdict::no_relay, test::member(8)}});
    CHECK(why_dropped() == verdict::no_relay);
  }
  SECTION("says what it may not") {
    step(heard{200, commit{}});
    CHECK(why_dropped() == verdict::bad_greeting);
  }
  SECTION("agrees before it is proven") {
    step(dial{201, {}, 77});
    step(reached{201});
    step(heard{201, answer{verdict::go, test::member(8)}});
    CHECK(why_dropped() == verdict::bad_greeting);
  }
  SECTION("says nothing") {
    now += 100ms;
    table.tick(now, out);
    CHECK(why_dropped() == verdict::timed_out);
  }
}

TEST_CASE_METHOD(relayed_table,
                 "over a relay a node greets the node at the other end, and believes it alone",
                 "[net]") {
  begin();
  now += 2'900ms; // it has its own time
  auto proves = GENERATE(true, false);
  if (!proves) {
    step(connected{200});
    CHECK(why_dropped() == verdict::not_secured);
    return;
  }
  step(connected{200, certified(node_of(7), role::member)});
  REQUIRE(out.size() == 1);
  CHECK(std::get<hello>(std::get<say>(out.front()).what) == table.self());
  out.clear();
  auto is_itself = GENERATE(true, false);
  if (is_itself) {
    step(heard{200, answer{verdict::go, test::member(7)}});
    auto& made = std::get<hand_over>(out.back());
    CHECK(made.peer.node == node_of(7));
    CHECK(made.proven == certified(node_of(7), role::member));
    CHECK(made.is_relayed);
  } else {
    step(heard{200, answer{verdict::go, test::member(8)}}); // the relay once more
    CHECK(why_dropped() == verdict::unproven);
  }
}

namespace {

/// The other one is heard over its link 5 s after that is up.
struct old_link : linked_table {
  old_link() {
    now += 5s;
    step(alive{1, now});
  }

  /// What a connection is told that says this.
  verdict greets(const hello& who) {
    out.clear();
    step(accepted{++last});
    step(heard{last, who});
    auto said = std::get<answer>(std::get<say>(out.at(0)).what).said;
    out.clear();
    return said;
  }

  /// Lets time pass. Returns why the link is closed; empty: it is not.
  std::string closed_after(duration span) {
    out.clear();
    pass(span);
    for (auto& each : out)
      if (auto* found = std::get_if<close_link>(&each))
        return found->why + (found->cause == end_cause::silent ? "; silent" : "; replaced");
    return {};
  }

  connection_id last = 1;
};

const duration three_heartbeats = 3 * hello{}.heartbeat;

} // namespace

TEST_CASE_METHOD(old_link,
                 "a link over which its peer is silent ends soon once that greets by another way",
                 "[net]") {
  CHECK(greets(test::member(9)) == verdict::linked);
  pass(1s);
  CHECK(greets(test::member(9)) == verdict::linked); // that puts off nothing
  CHECK(closed_after(three_heartbeats - 1s - 1ns).empty());
  CHECK(closed_after(1ns) == "silent, while the node is there by another way; silent");
  CHECK(greets(test::member(9)) == verdict::linked); // until BASP has forgotten it
  step(ended{1});
  CHECK(greets(test::member(9)) == verdict::go);
}

TEST_CASE_METHOD(old_link,
                 "a link over which its peer is heard stays, whoever greets by another way",
                 "[net]") {
  CHECK(greets(test::member(9)) == verdict::linked);
  now += 1s;
  step(alive{1, now});
  CHECK(closed_after(three_heartbeats).empty());
  SECTION("and a later life of it is none of two processes of one node") {
    CHECK(greets(test::member(9, 7, 2)) == verdict::linked);
    CHECK(closed_after(three_heartbeats) == "replaced by a later life of the node; replaced");
  }
  SECTION("and it may be silent later on") {
    CHECK(greets(test::member(9)) == verdict::linked);
    CHECK(closed_after(three_heartbeats)
          == "silent, while the node is there by another way; silent");
  }
}

TEST_CASE_METHOD(old_link, "a process that wants the place of a link goes before the peer of that",
                 "[net]") {
  CHECK(greets(test::member(9)) == verdict::linked);
  CHECK(greets(test::member(9, 7, 2)) == verdict::linked);
  auto is_heard = GENERATE(false, true);
  if (is_heard) {
    now += 1s;
    step(alive{1, now});
    CHECK(greets(test::member(9, 7, 2)) == verdict::duplicate);
  } else {
    CHECK(closed_after(three_heartbeats) == "replaced by a later life of the node; replaced");
  }
}

TEST_CASE("dials that cross put no link in doubt", "[net]") {
  linked_table it;
  it.now += 3'999ms;
  it.step(accepted{2});
  it.step(heard{2, test::member(9)});
  CHECK(std::get<answer>(std::get<say>(it.out.at(0)).what).said == verdict::linked);
  CHECK(it.table.next_deadline() > it.now + three_heartbeats);
}

TEST_CASE_METHOD(old_link, "a dial that finds its link puts that in no doubt", "[net]") {
  step(dial{200, {}, {}});
  step(reached{200});
  step(connected{200, {}});
  step(heard{200, answer{verdict::linked, test::member(9)}});
  CHECK(table.next_deadline() == now + silence);
}

TEST_CASE_METHOD(relayed_table,
                 "a link ends soon whose peer says over a relay that it has one, and is silent",
                 "[net]") {
  begin();
  now += 2s;
  step(alive{1, now});
  auto answers = [&](const hello& who, const security::facts& proof) {
    step(connected{200, proof});
    step(heard{200, answer{verdict::linked, who}});
    out.clear();
    return table.next_deadline();
  };
  auto is_itself = GENERATE(true, false);
  if (is_itself)
    CHECK(answers(test::member(9), certified(node_of(9), role::member)) == now + three_heartbeats);
  else
    CHECK(answers(test::member(7), certified(node_of(7), role::member)) > now + three_heartbeats);
}

TEST_CASE_METHOD(relayed_table, "what another process of its peer says puts a link in no doubt",
                 "[net]") {
  begin();
  now += 2s;
  step(alive{1, now});
  step(connected{200, certified(node_of(9), role::member)});
  step(heard{200, answer{verdict::linked, test::member(9, 7, 2)}});
  CHECK(table.next_deadline() == now + silence);
}

TEST_CASE_METHOD(proving_table, "several processes of one client have a link each", "[net]") {
  auto identity = certified(node_of(8), role::client);
  auto process = [&](const std::string& basp_node) {
    auto made = test::member(8);
    made.as = role::client;
    made.basp_node = basp_node;
    made.node = client_id(identity.node, basp_node);
    return made;
  };
  CHECK(verdict_on(process("first"), identity) == verdict::go);
  CHECK(verdict_on(process("second"), identity) == verdict::go);
  auto taken = process("first"); // in the name of another identity's process
  CHECK(verdict_on(taken, certified(node_of(7), role::client)) == verdict::unproven);
  auto as_node = process("third");
  as_node.node = node_of(9);
  CHECK(verdict_on(as_node, identity) == verdict::unproven);
  // A node may be a client as well, such as a command that is run where it lives.
  auto at_node = process("fourth");
  at_node.node = client_id(node_of(9), "fourth");
  CHECK(verdict_on(at_node, certified(node_of(9), role::member)) == verdict::go);
}

TEST_CASE("encryption takes of the time for the greeting, not of that to connect", "[net]") {
  link_table table{test::member(5), {}, trust::proven};
  link_table::effects out;
  time_point now{1h};
  table.step(now, dial{1, {}}, out);
  now += 900ms;
  table.step(now, reached{1}, out);
  now += 2900ms;
  table.tick(now, out);
  CHECK(out.empty());
  table.step(now, connected{1, certified(node_of(9), role::member)}, out);
  CHECK(out.size() == 1); // its hello
  now += 100ms;
  out.clear();
  table.tick(now, out);
  REQUIRE(out.size() == 1);
  CHECK(std::get<drop>(out.front()).why == verdict::timed_out);
}

TEST_CASE("one address has a bound of unfinished connections, and loses its own oldest", "[net]") {
  link_table table{test::member(5), {.max_accepting = 8, .max_accepting_of_one = 2}};
  link_table::effects out;
  time_point now{1h};
  table.step(now, accepted{1, "honest"}, out);
  for (connection_id id = 2; id < 1000; ++id)
    table.step(now, accepted{id, "flood"}, out);
  CHECK(table.unfinished() == 3);
  CHECK(std::ranges::none_of(out, [](auto& each) { return std::get<drop>(each).connection == 1; }));
  CHECK(std::get<drop>(out.front()).connection == 2);
  CHECK(std::get<drop>(out.front()).why == verdict::displaced);
}

TEST_CASE("who waits for a certificate takes no place of others, and has a time of its own",
          "[net]") {
  link_table table{test::member(5),
                   {.max_accepting = 3, .max_accepting_of_one = 2, .max_joining = 2}};
  link_table::effects out;
  time_point now{1h};
  for (connection_id id = 1; id <= 2; ++id) {
    table.step(now, accepted{id, "many"}, out);
    table.step(now, asks_to_join{id}, out);
  }
  table.step(now, asks_to_join{77}, out); // unknown
  for (connection_id id = 11; id <= 13; ++id)
    table.step(now, accepted{id, id == 13 ? "other" : "many"}, out);
  CHECK(out.empty());
  CHECK(table.unfinished() == 5);
  table.step(now, asks_to_join{11}, out);
  REQUIRE(out.size() == 1);
  CHECK(std::get<drop>(out.front()).connection == 11);
  CHECK(std::get<drop>(out.front()).why == verdict::displaced);
  out.clear();
  now += table_options{}.greeting_timeout;
  table.tick(now, out);
  CHECK(out.size() == 2); // 12 and 13
  out.clear();
  now += table_options{}.join_timeout - table_options{}.greeting_timeout - 1ms;
  table.tick(now, out);
  CHECK(out.empty());
  table.step(now, broken{1, verdict::admitted}, out);
  out.clear();
  table.tick(now + 1ms, out);
  REQUIRE(out.size() == 1);
  CHECK(std::get<drop>(out.front()).connection == 2);
  CHECK(std::get<drop>(out.front()).why == verdict::timed_out);
}

TEST_CASE("who waits for a certificate is not displaced by later connections", "[net]") {
  link_table table{test::member(5), {.max_accepting = 2, .max_accepting_of_one = 2}};
  link_table::effects out;
  const time_point now{1h};
  table.step(now, accepted{1, "one"}, out);
  table.step(now, asks_to_join{1}, out);
  for (connection_id id = 2; id <= 4; ++id)
    table.step(now, accepted{id, "one"}, out);
  REQUIRE(out.size() == 1);
  CHECK(std::get<drop>(out.front()).connection == 2);
}

TEST_CASE("whoever has proven to belong here is not displaced by strangers", "[net]") {
  link_table table{test::member(5), {.max_accepting = 3}, trust::proven};
  link_table::effects out;
  time_point now{1h};
  table.step(now, accepted{1}, out);
  table.step(now, connected{1, certified(node_of(9), role::member)}, out);
  for (connection_id id = 2; id < 100; ++id)
    table.step(now, accepted{id}, out);
  table.step(now, heard{1, test::member(9)}, out);
  table.step(now, heard{1, commit{}}, out);
  CHECK(table.link_to(node_of(9)) == 1);
}

TEST_CASE_METHOD(proving_table, "clients with one certificate have a bound of their own", "[net]") {
  constexpr auto most = table_options{}.max_links_of_one_client;
  auto link_as = [&](std::uint8_t identity, std::uint16_t process) {
    hello who = test::member(1);
    who.as = role::client;
    who.basp_node = "process " + std::to_string(process);
    who.node = client_id(node_of(identity), who.basp_node);
    auto said = verdict_on(who, certified(node_of(identity), role::client));
    step(heard{last_id, commit{}});
    step(up{last_id});
    return said;
  };
  for (std::uint16_t process = 0; process < most; ++process)
    REQUIRE(link_as(20, process) == verdict::go);
  auto first = last_id - most + 1;
  CHECK(link_as(20, 1'000) == verdict::full);
  CHECK(link_as(21, 1'001) == verdict::go);
  step(ended{first});
  CHECK(link_as(20, 1'002) == verdict::go);
}

TEST_CASE_METHOD(proving_table, "connections that are about to be links count for the bounds",
                 "[net]") {
  auto hello_of = [&](std::uint8_t identity, std::uint16_t process) {
    hello who = test::member(1);
    who.as = role::client;
    who.basp_node = "process " + std::to_string(process);
    who.node = client_id(node_of(identity), who.basp_node);
    return verdict_on(who, certified(node_of(identity), role::client));
  };
  constexpr auto most = table_options{}.max_links_of_one_client;
  for (std::uint16_t process = 0; process < most; ++process)
    REQUIRE(hello_of(20, process) == verdict::go);
  CHECK(hello_of(20, most) == verdict::full);
  CHECK(hello_of(21, most + 1) == verdict::go);
  step(broken{last_id - most, verdict::closed}); // of the first identity
  CHECK(hello_of(20, most) == verdict::go);
}

TEST_CASE_METHOD(proving_table, "a client cannot keep a member away as the process of that",
                 "[net]") {
  auto client = [&](const hello& of) {
    auto made = of;
    made.as = role::client;
    made.node = client_id(node_of(20), of.basp_node);
    return made;
  };
  auto identity = certified(node_of(20), role::client);
  SECTION("of one that is linked, or was") {
    CHECK(verdict_on(client(test::member(9)), identity) == verdict::duplicate);
    step(ended{1});
    CHECK(verdict_on(client(test::member(9)), identity) == verdict::duplicate);
    CHECK(verdict_on(test::member(9), certified(node_of(9), role::member)) == verdict::go);
  }
  SECTION("of one that comes later") {
    REQUIRE(verdict_on(client(test::member(8)), identity) == verdict::go);
    auto false_one = last_id;
    step(heard{false_one, commit{}});
    step(up{false_one});
    out.clear();
    CHECK(verdict_on(test::member(8), certified(node_of(8), role::member)) == verdict::linked);
    REQUIRE(has_closed_a_link());
    for (auto& each : out)
      if (auto* closed = std::get_if<close_link>(&each)) {
        CHECK(closed->connection == false_one);
        CHECK(closed->cause == end_cause::misbehaved);
      }
    CHECK(verdict_on(test::member(8), certified(node_of(8), role::member)) == verdict::linked);
    CHECK_FALSE(has_closed_a_link()); // once
    step(ended{false_one});
    CHECK(verdict_on(client(test::member(8)), identity) == verdict::duplicate);
    CHECK(verdict_on(test::member(8), certified(node_of(8), role::member)) == verdict::go);
  }
  SECTION("of one that comes while the client greets") {
    REQUIRE(verdict_on(client(test::member(8)), identity) == verdict::go);
    auto false_one = last_id;
    CHECK(verdict_on(test::member(8), certified(node_of(8), role::member)) == verdict::go);
    step(heard{false_one, commit{}});
    CHECK_FALSE(table.link_to(client(test::member(8)).node));
  }
  SECTION("an old life of the member has no say") {
    step(ended{1});
    REQUIRE(verdict_on(test::member(9, 7, 5), certified(node_of(9), role::member)) == verdict::go);
    auto old = test::member(9, 7, 2);
    old.basp_node = "old";
    CHECK(verdict_on(old, certified(node_of(9), role::member)) == verdict::old_boot);
    auto other = old;
    CHECK(verdict_on(client(other), identity) == verdict::go);
  }
}

TEST_CASE_METHOD(proving_table, "a client cannot have a node forget the members that are away",
                 "[net]") {
  auto as_member = certified(node_of(9), role::member);
  step(ended{1});
  REQUIRE(verdict_on(test::member(9, 7, 5), as_member) == verdict::go);
  step(broken{last_id});
  auto as_client = certified(node_of(20), role::client);
  for (std::uint32_t count = 0; count <= table_options{}.max_remembered; ++count) {
    auto eve = test::member(8);
    eve.as = role::client;
    eve.basp_node = "eve" + std::to_string(count); // each process of a client has another id
    eve.node = client_id(node_of(20), eve.basp_node);
    REQUIRE(verdict_on(eve, as_client) == verdict::go);
    step(broken{last_id});
  }
  CHECK(verdict_on(test::member(9, 7, 2), as_member) == verdict::old_boot);
}

TEST_CASE("clients come and go at a node that remembers as many members as it may", "[net]") {
  link_table table{test::member(5), {.max_clients = 1, .max_remembered = 1}};
  link_table::effects out;
  connection_id last = 0;
  auto verdict_on = [&](const hello& said) {
    table.step(time_point{1h}, accepted{++last}, out);
    out.clear();
    table.step(time_point{1h}, heard{last, said}, out);
    for (auto& each : out)
      if (auto* spoken = std::get_if<say>(&each))
        return std::get<answer>(spoken->what).said;
    return verdict::closed;
  };
  auto client = [](std::uint8_t number, boot_number boot) {
    auto who = test::member(number, 7, boot);
    who.as = role::client;
    return who;
  };
  auto remember_a_member = [&] {
    REQUIRE(verdict_on(test::member(6, 7, 5)) == verdict::go);
    table.step(time_point{1h}, broken{last}, out);
  };
  remember_a_member();
  REQUIRE(verdict_on(client(7, 1)) == verdict::go);
  SECTION("one that is refused is forgotten, and no member") {
    CHECK(verdict_on(client(8, 1)) == verdict::full);
    CHECK(verdict_on(test::member(6, 7, 4)) == verdict::old_boot);
  }
  SECTION("one that greets twice, as a later life, has its place") {
    remember_a_member();
    CHECK(verdict_on(client(7, 2)) == verdict::go);
    table.step(time_point{1h}, heard{last, commit{}}, out);
    CHECK(table.link_to(client(7, 2).node) == last);
    CHECK(verdict_on(test::member(6, 7, 4)) == verdict::old_boot);
  }
}

} // namespace link_table_test
