#include "channel/channel_pair.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace channel_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::channel;
using test::channel_pair;

namespace {

using told = std::vector<std::pair<std::uint64_t, outcome>>;

channel_pair linked(const options& how = {}) {
  channel_pair made{how};
  made.link_up();
  return made;
}

/// All that is taken back of that agent.
std::vector<std::uint64_t> taken_of(test::channel_pair& pair, const std::string& agent) {
  std::vector<std::uint64_t> result;
  for (auto& each : pair.out.take_back(agent))
    result.push_back(each.what);
  return result;
}

} // namespace

TEST_CASE("a set of numbers joins ranges that touch and knows its gaps", "[channel]") {
  number_set all;
  all.add(5);
  all.add({7, 9});
  CHECK(all.size() == 2);
  CHECK(all.next_absent(5) == 6);
  CHECK_FALSE(all.contains(6));
  all.add(6);
  CHECK(all.ranges() == std::vector<number_range>{{5, 9}});
  all.add({1, 20});
  CHECK(all.ranges() == std::vector<number_range>{{1, 20}});
  all.drop_below(10);
  CHECK(all.ranges() == std::vector<number_range>{{10, 20}});
  all.add({30, 30});
  CHECK(all.size() == 1);
}

TEST_CASE("a message is told to be handled once its agent has handled it", "[channel]") {
  auto pair = linked();
  pair.put("a", 10);
  REQUIRE(pair.handed.contains(10));
  CHECK(pair.ended.empty());
  pair.handled(10);
  CHECK(pair.ended == told{{10, outcome::handled}});
  CHECK(pair.out.empty());
  CHECK(pair.in.held() == 0);
}

TEST_CASE("the sender hears why a message has failed that is tried again", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.take_lines();
  pair.failed(1, "no");
  CHECK(pair.take_lines() == "<- fails 1\ntold: 1 fails: no");
  pair.pass(1min);
  pair.take_lines();
  pair.lost = 1;
  pair.failed(1, "lost");
  CHECK(pair.take_lines() == "<- fails 1\n  lost"); // and is not said again
  pair.pass(1min);
  pair.handled(1);
  CHECK(pair.ended == told{{1, outcome::handled}});
}

TEST_CASE("of what an agent says of a failure the beginning is told, in whole characters",
          "[channel]") {
  auto pair = linked({.max_deliveries = 2});
  pair.put("a", 1);
  pair.take_lines();
  std::string cut = "x";
  while (cut.size() < 199)
    cut += "\xc3\xa4";
  pair.failed(1, cut + "\xc3\xa4");
  CHECK(pair.take_lines() == "<- fails 1\ntold: 1 fails: " + cut);
  pair.pass(1min);
  pair.failed(1, cut + "\xc3\xa4");
  CHECK(pair.dead.front().why.detail == cut);
  CHECK(in_few_words({errc::failed, std::string(999, '\xff')}).detail.size() == 200);
}

TEST_CASE("no failure is told of a message that has ended since", "[channel]") {
  receiver in{1, {}, 7};
  receiver::effects out;
  const time_point later{1min};
  in.arrive({}, {1, 1, 1, 1, 1}, {"a", 1, 1}, out);
  in.failed({}, 1, 1, {.why = {errc::failed, "no"}}, out);
  in.tick(later, out);
  in.handled(later, 1, 1, out);
  auto word = in.take_word();
  CHECK(word.failing.empty());
  CHECK(word.handled == std::vector<number_range>{{1, 2}});
}

TEST_CASE("word of failures that contradicts itself is refused", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.put("b", 2);
  pair.take_lines();
  const problem why{errc::failed, "no"};
  for (auto& forged : {std::vector<setback>{{1, why}, {1, why}}, {{2, why}, {1, why}}, {{3, why}}})
    CHECK(pair.heard({1, 1, 0, 0, {}, {}, forged}) == verdict::nonsense);
  CHECK(pair.take_lines().empty());
  CHECK(pair.heard({1, 1, 0, 0, {}, {}, {{1, why}, {2, why}}}) == verdict::taken);
  pair.handled(1);
  pair.take_lines();
  CHECK(pair.heard({1, 1, 0, 0, {}, {}, {{1, why}}}) == verdict::taken); // it has ended
  CHECK(pair.take_lines().empty());
}

TEST_CASE("an agent gets one message of a sender at a time, and others get theirs", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.put("a", 2);
  pair.put("b", 3);
  CHECK(pair.handed.contains(1));
  CHECK_FALSE(pair.handed.contains(2));
  CHECK(pair.handed.contains(3));
  pair.handled(3);
  CHECK(pair.ended == told{{3, outcome::handled}});
  pair.handled(1);
  CHECK(pair.handed.contains(2));
}

TEST_CASE("nothing goes before the receiver has answered over the link", "[channel]") {
  channel_pair pair;
  pair.put("a", 1);
  CHECK(pair.take_lines() == "-> probe 1 base 1");
  pair.put("a", 2);
  CHECK(pair.take_lines().empty());
  pair.lost = 1;
  pair.link_up();
  CHECK(pair.handed.empty());
  pair.pass(2s);
  CHECK(pair.handed.contains(1));
}

TEST_CASE("a link opens however long the answer takes", "[channel]") {
  sender subject{1, {}, 7};
  sender::effects out;
  time_point now{1h};
  subject.link_up(now, out);
  subject.put(now, "a", {1, 1}, out);
  for (auto end = now + 60s; *subject.next_deadline() < end;) {
    now = *subject.next_deadline();
    subject.tick(now, out);
  }
  out.clear();
  subject.heard(now, {1, 1, 1, 1, {}, {}}, out);
  CHECK(std::holds_alternative<sender::transmit>(out.at(0)));
}

TEST_CASE("an answer to a question of an earlier link opens no later one", "[channel]") {
  sender subject{1, {}, 7};
  sender::effects out;
  time_point now{1h};
  subject.link_up(now, out);
  subject.put(now, "a", {1, 1}, out);
  subject.link_up(now, out);
  out.clear();
  subject.heard(now, {1, 1, 1, 1, {}, {}}, out);
  CHECK(out.empty());
}

TEST_CASE("a frame that is lost goes again, however long the answer to a question takes",
          "[channel]") {
  sender subject{1, {}, 7};
  sender::effects out;
  time_point now{1h};
  subject.link_up(now, out);
  subject.put(now, "a", {1, 1}, out);
  subject.heard(now, {1, 1, 1, 1, {}, {}}, out);
  std::multimap<time_point, std::uint64_t> answers;
  std::size_t sent = 0;
  while (now < time_point{1h} + 600s) {
    for (auto& each : std::exchange(out, {}))
      if (auto* what = std::get_if<sender::ask>(&each))
        answers.emplace(now + 10s, what->what.number);
      else if (std::holds_alternative<sender::transmit>(each))
        ++sent;
    now = *subject.next_deadline();
    if (answers.empty() || now < answers.begin()->first) {
      subject.tick(now, out);
      continue;
    }
    auto next = answers.extract(answers.begin());
    now = next.key();
    subject.heard(now, {1, 1, next.mapped(), 1, {}, {}}, out);
  }
  CHECK(sent > 1);
}

TEST_CASE("a message goes at once over a link, also if others before it were taken back",
          "[channel]") {
  channel_pair pair;
  pair.put("a", 1);
  while (*pair.out.next_deadline() < pair.now + 5s)
    pair.pass(1s);
  CHECK(taken_of(pair, "a") == std::vector<std::uint64_t>{1});
  pair.link_up();
  pair.put("a", 2);
  CHECK(pair.handed.contains(2));
}

TEST_CASE("what a lost link had goes again over the next, and only that", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.lost = 1;
  pair.put("b", 2);
  pair.put("c", 3);
  CHECK_FALSE(pair.handed.contains(3)); // behind a gap
  pair.handled(1);
  pair.link_down();
  pair.take_lines();
  pair.link_up();
  CHECK(pair.handed.contains(2));
  CHECK(pair.handed.contains(3));
  CHECK(pair.take_lines().find("-> 1 ") == std::string::npos);
  pair.handled(3);
  pair.handled(2);
  CHECK(pair.out.empty());
}

TEST_CASE("a message does not overtake one that is lost, also if its agent has nothing else",
          "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.lost = 1;
  pair.put("a", 2);
  pair.put("a", 3);
  pair.handled(1);
  CHECK(pair.handed.empty());
  pair.pass(2s);
  CHECK(pair.handed.contains(2));
  CHECK_FALSE(pair.handed.contains(3));
}

TEST_CASE("nothing goes over a link that has ended", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.link_down();
  pair.take_lines();
  pair.put("b", 2);
  CHECK(pair.take_lines().empty());
}

TEST_CASE("an acknowledgement that is lost is said again after a silence", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.lost = 1;
  pair.handled(1);
  CHECK(pair.ended.empty());
  pair.pass(2s);
  CHECK(pair.ended == told{{1, outcome::handled}});
  CHECK(pair.handed.empty()); // not twice
}

TEST_CASE("a sender that restarts is not taken for its earlier life", "[channel]") {
  SECTION("with messages on their way") {
    auto pair = linked();
    pair.put("a", 1);
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 2);
    CHECK(pair.handed.contains(2));
    pair.handled(1); // of the session before: nobody waits for it
    CHECK(pair.ended.empty());
    pair.handled(2);
    CHECK(pair.ended == told{{2, outcome::handled}});
  }
  SECTION("with all of them acknowledged") {
    auto pair = linked();
    pair.put("a", 1);
    pair.handled(1);
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 2);
    CHECK(pair.handed.contains(2));
  }
}

TEST_CASE("what a sender sends again after a restart is not handled twice", "[channel]") {
  auto pair = linked();
  pair.keeps = true;
  pair.put("a", 1);
  SECTION("if it was handled") {
    pair.is_up = false; // nobody hears of it
    pair.handled(1);
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 1);
    CHECK(pair.handed.empty());
    CHECK(pair.ended == told{{1, outcome::handled}});
  }
  SECTION("if it was given up") {
    pair.is_up = false;
    for (auto each = options{}.max_deliveries; each > 0; --each) {
      REQUIRE(pair.handed.contains(1));
      pair.failed(1, "no");
      pair.pass(60s);
    }
    REQUIRE(pair.dead.size() == 1);
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 1);
    CHECK(pair.handed.empty());
    CHECK(pair.ended == told{{1, outcome::given_up}});
    CHECK(pair.failures == options{}.max_deliveries);
    CHECK(pair.dead.size() == 1);
  }
  SECTION("if it was given up, but for a wish that it goes again") {
    for (auto each = options{}.max_deliveries; each > 0; --each) {
      pair.failed(1, "no");
      pair.pass(60s);
    }
    REQUIRE(pair.ended == told{{1, outcome::given_up}});
    pair.restart_sender();
    pair.link_up();
    pair.redrives = 1;
    pair.put("a", 1);
    REQUIRE(pair.handed.contains(1));
    CHECK(pair.handed.at(1).attempt == 1);
  }
  SECTION("if its agent has it, and is done before it comes again") {
    pair.restart_sender();
    pair.link_up();
    pair.put("b", 2); // of the next session
    pair.handled(1);
    pair.put("a", 1);
    CHECK(pair.handed.contains(2));
    CHECK(!pair.handed.contains(1));
    CHECK(pair.ended == told{{1, outcome::handled}});
  }
  SECTION("if its agent has it, and is done after it has come again") {
    auto first = pair.handed.at(1);
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 1);
    pair.put("a", 2); // waits behind it
    CHECK(pair.handed.size() == 1);
    CHECK(pair.handed.at(1).session == first.session);
    pair.restart_sender(); // once more
    pair.link_up();
    pair.put("a", 1);
    pair.put("a", 2);
    CHECK(pair.handed.size() == 1);
    pair.handled(1);
    CHECK(pair.ended == told{{1, outcome::handled}});
    CHECK(pair.handed.contains(2));
    CHECK(pair.in.held() == 1);
  }
  SECTION("if its agent is done while it waits behind another one") {
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 5);
    pair.put("a", 1);
    pair.handled(1);
    pair.handled(5);
    CHECK(!pair.handed.contains(1));
    CHECK(pair.ended == told{{5, outcome::handled}, {1, outcome::handled}});
  }
  SECTION("if its agent is done while it waits, and its time is over after that") {
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 5);
    pair.lost = 1;
    pair.put("a", 1);
    CHECK(pair.arrive({2, 1, 1, 2, 1}, "a", 1, pair.now + 1s) == verdict::taken);
    pair.handled(1);
    pair.pass(1s);
    pair.handled(5);
    CHECK(pair.ended == told{{5, outcome::handled}, {1, outcome::handled}});
    CHECK(pair.dead.empty());
  }
  SECTION("if its agent is done when it has come in a session and not in the next one") {
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 1);
    pair.restart_sender();
    pair.link_up();
    pair.put("b", 2); // has the number that the other one had
    pair.handled(1);
    CHECK(pair.ended.empty());
    pair.put("a", 1);
    CHECK(!pair.handed.contains(1));
    CHECK(pair.ended == told{{1, outcome::handled}});
  }
  SECTION("if its agent fails after it has come again") {
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 1);
    pair.failed(1, "no");
    pair.pass(1s);
    REQUIRE(pair.handed.contains(1)); // again
    CHECK(pair.handed.at(1).attempt == 2);
    pair.handled(1);
    CHECK(pair.ended == told{{1, outcome::handled}});
  }
  SECTION("if its agent never answers") {
    pair.restart_sender();
    pair.link_up();
    pair.put("b", 2);
    pair.pass(options{}.longest_handling);
    CHECK(pair.dead.size() == 2); // that for b as well
    pair.put("a", 1);
    CHECK(!pair.handed.contains(3));
    CHECK(pair.ended == told{{2, outcome::given_up}, {1, outcome::given_up}});
  }
  SECTION("if its agent never answers, and nothing else is there") {
    auto until = pair.now + options{}.longest_handling;
    pair.restart_sender();
    pair.link_up();
    pair.put("b", 2);
    pair.handled(2);
    CHECK(pair.in.next_deadline() == until);
  }
  SECTION("if its agent never answers, after it has come again") {
    pair.pass(30min);
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 1);
    pair.pass(30min);
    CHECK(pair.dead.empty()); // its time counts anew
    pair.pass(30min);
    CHECK(pair.dead.size() == 1);
    CHECK(pair.ended == told{{1, outcome::given_up}});
  }
}

TEST_CASE("what an agent did not have comes to it after a restart of the sender", "[channel]") {
  auto pair = linked();
  pair.keeps = true;
  pair.put("a", 1);
  pair.is_up = false; // the sender does not hear that there is no such agent
  pair.missing(1);
  pair.restart_sender();
  pair.link_up();
  pair.put("a", 1);
  CHECK(pair.handed.contains(1));
}

TEST_CASE("a failure that an agent tells of the session before is the last one", "[channel]") {
  auto pair = linked({.max_deliveries = 1});
  pair.keeps = true;
  pair.put("a", 1);
  pair.restart_sender();
  pair.link_up();
  pair.put("b", 2);
  pair.failed(1);
  pair.put("a", 1);
  CHECK(!pair.handed.contains(1));
  CHECK(pair.ended == told{{1, outcome::given_up}});
}

TEST_CASE("how often a message has failed is known over restarts of its sender", "[channel]") {
  auto pair = linked();
  pair.keeps = true;
  for (auto each = 1U; each <= options{}.max_deliveries; ++each) {
    pair.put("a", 1);
    REQUIRE(pair.handed.contains(1));
    CHECK(pair.handed.at(1).attempt == each);
    if (each % 2 == 0) {
      pair.failed(1, "no");
      pair.restart_sender();
    } else { // the agent says so of the session before
      pair.restart_sender();
      pair.link_up();
      pair.put("b", 100 + each);
      pair.failed(1, "no");
    }
    pair.link_up();
  }
  pair.put("a", 1);
  CHECK(!pair.handed.contains(1));
  CHECK(pair.ended.back() == std::pair{std::uint64_t{1}, outcome::given_up});
}

TEST_CASE("a receiver knows of a kept message until its sender has forgotten it", "[channel]") {
  auto pair = linked();
  pair.keeps = true;
  pair.put("a", 1);
  pair.handled(1);
  REQUIRE(pair.ended == told{{1, outcome::handled}});
  for (std::uint64_t other = 2; other <= 50; ++other) {
    pair.put("a", other);
    pair.handled(other);
    pair.forget(other);
  }
  CHECK(pair.out.base() == 1);
  SECTION("it restarts before that") {
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 1);
    CHECK(pair.handed.empty());
    CHECK(pair.ended.back() == std::pair{std::uint64_t{1}, outcome::handled});
  }
  SECTION("it restarts before that, and has asked meanwhile") {
    pair.put("a", 51);
    pair.link_down();
    pair.link_up();
    pair.restart_sender();
    pair.link_up();
    pair.put("a", 1);
    CHECK(!pair.handed.contains(1));
    CHECK(pair.ended.back() == std::pair{std::uint64_t{1}, outcome::handled});
  }
  SECTION("it restarts after that") {
    pair.forget(1);
    CHECK(pair.out.base() == 51);
    pair.put("a", 51);
    CHECK(pair.in.remembered_ids() == 0);
  }
}

TEST_CASE("a receiver that restarts does not wait for a kept message that has ended", "[channel]") {
  auto pair = linked();
  pair.keeps = true;
  pair.put("a", 1);
  pair.put("b", 2);
  pair.handled(1); // and the disk is slow
  pair.restart_receiver();
  pair.link_down();
  pair.link_up();
  REQUIRE(pair.handed.contains(2));
  CHECK(pair.out.base() == 2);
  pair.put("a", 3);
  CHECK(pair.handed.contains(3));
  pair.forget(1);
  pair.handled(2);
  CHECK(pair.out.base() == 2); // the next life knows of that one
}

TEST_CASE("what a sender has not forgotten takes its place among what is on its way", "[channel]") {
  channel_pair pair{{.max_messages = 3}};
  pair.keeps = true;
  pair.link_up();
  for (std::uint64_t each = 1; each <= 4; ++each)
    pair.put("agent " + std::to_string(each), each);
  for (std::uint64_t each = 1; each <= 3; ++each)
    pair.handled(each);
  CHECK(pair.handed.empty());
  pair.forget(2);
  CHECK(pair.handed.contains(4));
}

TEST_CASE("what a sender has not forgotten leaves less for a slow agent", "[channel]") {
  channel_pair pair{{.max_messages = 8}};
  pair.keeps = true;
  pair.link_up();
  for (std::uint64_t each = 1; each <= 4; ++each) {
    pair.put("a", each);
    pair.handled(each);
  }
  for (std::uint64_t each = 5; each <= 10; ++each)
    pair.put("slow", each);
  CHECK(pair.out.under_way() == 2);
}

TEST_CASE("a sender tells what has ended before it sends twice as many as may be on their way",
          "[channel]") {
  channel_pair pair{{.max_messages = 4}};
  pair.link_up();
  pair.put("stuck", 1);
  for (std::uint64_t each = 2; each <= 100; ++each) {
    pair.put("a", each);
    REQUIRE(pair.handed.contains(each));
    pair.handled(each);
    REQUIRE(pair.in.remembered_ids() <= 8);
  }
}

TEST_CASE("a receiver that restarts begins where its sender is", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.put("b", 2);
  pair.put("c", 3);
  pair.put("d", 4);
  pair.handled(1);
  pair.handled(3);
  pair.restart_receiver();
  pair.link_up();
  CHECK_FALSE(pair.handed.contains(1));
  CHECK(pair.handed.contains(2));
  CHECK_FALSE(pair.handed.contains(3)); // has ended before
  CHECK(pair.handed.contains(4));
  pair.handled(4);
  pair.handled(2);
  CHECK(pair.out.empty());
}

TEST_CASE("a receiver that restarts finds a sender all of whose messages were acknowledged",
          "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.handled(1);
  pair.restart_receiver();
  pair.link_up();
  pair.put("a", 2);
  CHECK(pair.handed.contains(2));
}

TEST_CASE("a message that fails comes again, others pass, and at last it is given up",
          "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.put("a", 2);
  pair.put("b", 3);
  for (auto time = 1; time < 8; ++time) {
    pair.failed(1);
    CHECK_FALSE(pair.handed.contains(2));
    pair.pass(30s);
    REQUIRE(pair.handed.contains(1));
    CHECK(pair.handed.at(1).attempt == static_cast<std::uint32_t>(time + 1));
  }
  pair.handled(3);
  pair.failed(1, "the last straw");
  CHECK(pair.ended == told{{3, outcome::handled}, {1, outcome::given_up}});
  CHECK(pair.take_lines().find("the last straw") != std::string::npos);
  CHECK(pair.handed.contains(2));
}

TEST_CASE("a message that its agent puts off comes when the agent asked for it, and not before",
          "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.put("a", 2);
  pair.put_off(1, 10s);
  pair.pass(10s - 1ms);
  CHECK(pair.handed.empty());
  pair.pass(1ms);
  REQUIRE(pair.handed.contains(1));
  CHECK(pair.handed.at(1).attempt == 2);
  CHECK_FALSE(pair.handed.contains(2));
  pair.put_off(1, -5s);
  pair.pass(0s);
  REQUIRE(pair.handed.contains(1));
  pair.put_off(1, 100h);
  pair.pass(1h);
  CHECK(pair.handed.contains(1));
}

TEST_CASE("a message that is put off again and again is given up", "[channel]") {
  auto pair = linked({.max_deliveries = 3});
  pair.put("a", 1);
  for (auto each = 0; each < 2; ++each) {
    pair.put_off(1, 1s);
    pair.pass(1s);
  }
  pair.put_off(1, 1s);
  CHECK(pair.ended == told{{1, outcome::given_up}});
  REQUIRE(pair.dead.size() == 1);
  CHECK(pair.dead.front().what == 1);
  CHECK(pair.dead.front().failures == 3);
  CHECK(pair.failures == 3);
  CHECK(pair.dead.front().why.detail == "later");
}

TEST_CASE("a message that is put off beyond its time expires in time, and the next one comes",
          "[channel]") {
  receiver in{1, {}, 7};
  receiver::effects out;
  time_point now{1h};
  REQUIRE(in.arrive(now, {1, 1, 1, 1, 1}, {"a", 10, 1, now + 2s, {{}, 1, 10}}, out)
          == verdict::taken);
  REQUIRE(in.arrive(now, {1, 1, 1, 2, 1}, {"a", 11, 1, {}, {{}, 1, 11}}, out) == verdict::taken);
  in.failed(now, 1, 1, {{errc::busy, "later"}, 1h}, out);
  REQUIRE(in.next_deadline() == now + 2s);
  out.clear();
  in.tick(now + 2s, out);
  REQUIRE(out.size() == 3);
  auto& gone = std::get<receiver::dead>(out.front()); // before its content is dropped
  CHECK(gone.what == 10);
  CHECK(gone.how == outcome::expired);
  CHECK(gone.failures == 1);
  CHECK(std::get<receiver::deliver>(out.back()).what == 11);
  CHECK(in.take_word().others.at(0).how == outcome::expired);
}

TEST_CASE(
  "a message whose agent does not answer is given up, is not repeated, and the next one comes",
  "[channel]") {
  auto pair = linked({.longest_handling = 1min});
  pair.put("a", 1);
  pair.put("a", 2);
  auto silent = pair.handed.at(1);
  REQUIRE(pair.in.next_deadline() == pair.now + 1min);
  pair.pass(1min - 1ms);
  CHECK_FALSE(pair.handed.contains(2));
  pair.pass(1ms);
  CHECK(pair.ended == told{{1, outcome::given_up}});
  REQUIRE(pair.handed.contains(2));
  pair.handled(1); // at last
  CHECK(pair.ended.size() == 1);
  pair.pass(30s);
  pair.put_off(2, 2min); // it is not with its agent
  pair.pass(1min);
  CHECK(pair.ended.size() == 1);
  pair.pass(1min);
  REQUIRE(pair.handed.contains(2));
  CHECK(silent.attempt == 1);
  pair.handled(2);
  CHECK(pair.ended.back() == told::value_type{2, outcome::handled});
  CHECK_FALSE(pair.in.next_deadline());
}

TEST_CASE("messages pass one that has failed where the agent asks for no order", "[channel]") {
  auto pair = linked();
  for (std::uint64_t each = 1; each <= 3; ++each)
    pair.put("a", each);
  pair.put_off(1, 10s, true);
  REQUIRE(pair.handed.contains(2));
  CHECK_FALSE(pair.handed.contains(3)); // one at a time
  pair.handled(2);
  CHECK(pair.handed.contains(3));
  pair.pass(10s); // the agent still has the third
  CHECK_FALSE(pair.handed.contains(1));
  pair.handled(3);
  REQUIRE(pair.handed.contains(1));
  CHECK(pair.handed.at(1).attempt == 2);
  pair.put_off(1, 10s, true);
  pair.pass(10s); // alone
  REQUIRE(pair.handed.contains(1));
  pair.handled(1);
  CHECK(pair.ended == told{{2, outcome::handled}, {3, outcome::handled}, {1, outcome::handled}});
  CHECK(pair.out.empty());
}

TEST_CASE("messages that others have passed go back in their order, each with its count",
          "[channel]") {
  auto pair = linked({.max_deliveries = 3});
  for (std::uint64_t each = 1; each <= 3; ++each)
    pair.put("a", each);
  for (auto round = 1; round < 3; ++round) {
    pair.put_off(1, 10s, true);
    REQUIRE(pair.handed.contains(2));
    CHECK(pair.handed.at(2).attempt == static_cast<std::uint32_t>(round));
    pair.agent_ended(2);
    CHECK(std::exchange(pair.returned, {}) == std::vector<std::uint64_t>{1, 2, 3});
    for (std::uint64_t each = 1; each <= 3; ++each)
      pair.put("a", each);
  }
  pair.put_off(1, 10s, true);
  CHECK(pair.ended == told{{1, outcome::given_up}});
  pair.agent_ended(2);
  CHECK(pair.ended == told{{1, outcome::given_up}, {2, outcome::given_up}});
  CHECK(pair.returned == std::vector<std::uint64_t>{3});
}

TEST_CASE("what others have passed is dropped when its sender has taken it back", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.put_off(1, 10s, true);
  CHECK(taken_of(pair, "a") == std::vector<std::uint64_t>{1});
  pair.put("a", 2);
  CHECK(pair.in.held() == 1);
  pair.pass(10s);
  CHECK_FALSE(pair.handed.contains(1));
  pair.handled(2);
  CHECK(pair.ended == told{{2, outcome::handled}});
}

TEST_CASE("a message for which an agent has no room waits, and is not counted as a failure",
          "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  for (auto time = 0; time < 20; ++time) {
    pair.no_room(1);
    pair.pass(30s);
    REQUIRE(pair.handed.contains(1));
    CHECK(pair.handed.at(1).attempt == 1);
  }
  CHECK(pair.ended.empty());
}

TEST_CASE("messages for an agent that is not there go back in their order", "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.put("a", 2);
  pair.put("b", 9);
  pair.lost = 1;
  pair.put("a", 3); // is not there yet
  pair.missing(1);
  CHECK(pair.returned.empty());
  pair.put("a", 4);
  CHECK(pair.out.under_way() == 4); // the new one waits
  CHECK(pair.returned.empty());
  pair.pass(2s); // the gap is found
  CHECK(pair.returned == std::vector<std::uint64_t>{1, 2, 3, 4});
  pair.put("a", 1); // it is back
  CHECK(pair.handed.contains(1));
}

TEST_CASE("a message under which its agent ends again and again is given up, and no other",
          "[channel]") {
  auto pair = linked({.max_deliveries = 3});
  std::vector<std::uint32_t> attempts;
  pair.put("b", 9);
  for (auto round = 0; round < 3; ++round) {
    pair.put("a", 1);
    pair.put("a", 2);
    REQUIRE(pair.handed.contains(1));
    attempts.push_back(pair.handed.at(1).attempt);
    pair.agent_ended(1);
    if (round < 2)
      CHECK(std::exchange(pair.returned, {}) == std::vector<std::uint64_t>{1, 2});
  }
  CHECK(attempts == std::vector<std::uint32_t>{1, 2, 3});
  CHECK(pair.ended == told{{1, outcome::given_up}});
  CHECK(pair.returned == std::vector<std::uint64_t>{2});
  pair.put("a", 2); // it is back
  REQUIRE(pair.handed.contains(2));
  CHECK(pair.handed.at(2).attempt == 1);
}

TEST_CASE("a handler that fails and ends its agent counts as often as it has failed", "[channel]") {
  auto pair = linked({.max_deliveries = 3});
  pair.put("a", 1);
  pair.failed(1);
  pair.pass(30s);
  pair.missing(1); // it had answered, and was gone then
  pair.put("a", 1);
  CHECK(pair.handed.at(1).attempt == 2);
  pair.failed(1);
  pair.pass(30s);
  pair.failed(1);
  CHECK(pair.ended == told{{1, outcome::given_up}});
}

TEST_CASE("a receiver that restarts delivers what its earlier life gave back in part",
          "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.lost = 1;
  pair.put("a", 2);
  pair.missing(1);
  pair.restart_receiver();
  pair.link_up();
  REQUIRE(pair.handed.contains(1));      // in front of the second
  CHECK(pair.handed.at(1).attempt == 1); // nobody has had it
  pair.handled(1);
  pair.handled(2);
  CHECK(pair.ended == told{{1, outcome::handled}, {2, outcome::handled}});
  CHECK(pair.out.empty());
}

TEST_CASE("a slow agent takes part of the window only", "[channel]") {
  auto pair = linked({.max_messages = 8});
  for (std::uint64_t each = 0; each < 100; ++each)
    pair.put("slow", each);
  CHECK(pair.out.under_way() == 4);
  for (std::uint64_t each = 100; each < 1'000; ++each) {
    pair.put("quick", each);
    REQUIRE(pair.handed.contains(each));
    pair.handled(each);
  }
  CHECK(pair.ended.size() == 900);
  CHECK(pair.in.held() == 4);
  CHECK(pair.in.remembered() < 10);
}

TEST_CASE("an agent of which nothing is on its way is not behind many that are slow", "[channel]") {
  auto pair = linked();
  for (std::uint64_t each = 1; each <= 2 * 999; ++each)
    pair.put("slow" + std::to_string(each % 999), each);
  REQUIRE(pair.out.under_way() == 999);
  pair.put("new", 2'000);
  CHECK(pair.handed.contains(2'000));
}

TEST_CASE("agents of which one message each may be on its way take turns", "[channel]") {
  auto pair = linked({.max_messages = 1});
  for (std::uint64_t each = 1; each <= 3; ++each) {
    pair.put("a", each);
    pair.put("b", 10 + each);
  }
  for (auto next : {1U, 11U, 2U, 12U, 3U, 13U}) {
    REQUIRE(pair.handed.contains(next));
    pair.handled(next);
  }
}

TEST_CASE("an agent that has handled all that was on its way has its turn again before the slow",
          "[channel]") {
  auto pair = linked({.max_messages = 3});
  pair.put("slow", 1);
  pair.put("a", 11);
  pair.put("b", 21);
  pair.put("slow", 2);
  pair.put("a", 12);
  pair.handled(21);
  REQUIRE(pair.out.under_way() == 2);
  pair.handled(11);
  CHECK(pair.handed.contains(12));
  CHECK(pair.out.under_way() == 2); // one place is for those that have none
}

TEST_CASE("bytes on their way are bounded, and a large message goes where there is room",
          "[channel]") {
  auto pair = linked({.max_bytes = 100});
  pair.put("a", 1, 1'000);
  CHECK(pair.handed.contains(1));
  pair.put("b", 2, 1);
  CHECK_FALSE(pair.handed.contains(2));
  pair.handled(1);
  CHECK(pair.handed.contains(2));
  CHECK(pair.out.under_way_bytes() == 1);
}

TEST_CASE("endings that the sender has not heard are bounded", "[channel]") {
  auto pair = linked({.max_messages = 4, .max_deliveries = 1});
  pair.put("slow", 1);
  for (std::uint64_t each = 2; each < 200; ++each) {
    pair.put("bad", each);
    for (auto tries = 0; tries < 5 && !pair.handed.contains(each); ++tries)
      pair.pass(3s);
    REQUIRE(pair.handed.contains(each));
    pair.failed(each);
    REQUIRE(pair.in.remembered() < 16);
  }
  CHECK(pair.ended.size() == 198);
}

TEST_CASE("what a sender says to have ended is kept within bounds", "[channel]") {
  auto pair = linked({.max_messages = 6});
  pair.put("a", 1);
  for (number_range next{100, 101}; next.first < 10'000; next = {next.first + 2, next.end + 2})
    pair.asked({1, 1, 1, {next}});
  CHECK(pair.in.remembered() <= 3 * 13);
  pair.put("a", 2);
  pair.handled(1);
  CHECK(pair.handed.contains(2));
}

TEST_CASE("an expired message is not delivered", "[channel]") {
  SECTION("while there is no link") {
    channel_pair pair;
    pair.put("a", 1, 1, 1s);
    pair.put("a", 2, 1);
    pair.pass(1s);
    CHECK(pair.ended == told{{1, outcome::expired}});
    pair.link_up();
    CHECK(pair.handed.contains(2));
  }
  SECTION("nobody says what became of one that was sent") {
    auto pair = linked();
    pair.put("a", 1, 1, 1s);
    pair.link_down();
    pair.pass(2s);
    CHECK(pair.ended.empty());
    pair.pass(4s);
    CHECK(pair.ended == told{{1, outcome::lost}});
    CHECK(pair.out.empty());
  }
}

TEST_CASE("messages for one agent expire each in its time, whatever their order", "[channel]") {
  channel_pair pair;
  constexpr std::uint64_t most = 20'000;
  for (std::uint64_t each = 1; each <= most; ++each)
    pair.put("a", each, 1, 1h + (each % 2 == 0 ? 1us : -1us) * each);
  pair.put("a", most + 1);
  pair.pass(1h - (most - 1) * 1us);
  CHECK(pair.ended == told{{most - 1, outcome::expired}});
  for (std::uint64_t each = 1; each < 2 * most; ++each)
    pair.pass(1us);
  CHECK(pair.ended.size() == most);
  CHECK(pair.ended.back() == told::value_type{most, outcome::expired});
  CHECK(taken_of(pair, "a") == std::vector<std::uint64_t>{most + 1});
}

TEST_CASE("a receiver delivers nothing that has expired", "[channel]") {
  receiver in{1, {}, 7};
  receiver::effects out;
  time_point now{1h};
  REQUIRE(in.arrive(now, {1, 1, 1, 1, 1}, {"a", 10, 1}, out) == verdict::taken);
  REQUIRE(in.arrive(now, {1, 1, 1, 2, 1}, {"a", 11, 1, now + 1s}, out) == verdict::taken);
  in.handled(now + 2s, 1, 1, out);
  auto said = in.take_word();
  CHECK(said.handled == std::vector<number_range>{{1, 2}});
  REQUIRE(said.others.size() == 1);
  CHECK(said.others.front().how == outcome::expired);
}

TEST_CASE("what is taken back is in its order and goes on elsewhere", "[channel]") {
  auto pair = linked({.max_messages = 4});
  for (std::uint64_t each = 1; each <= 5; ++each)
    pair.put("a", each);
  pair.put("b", 6);
  CHECK(taken_of(pair, "a") == std::vector<std::uint64_t>{1, 2, 3, 4, 5});
  CHECK(pair.out.take_back("a").empty());
  CHECK(pair.out.agents() == std::vector<agent_id>{"b"});
  pair.handled(6);
  CHECK(pair.out.empty());
  pair.put("a", 7); // comes at once: what was taken back is nobody's any more
  CHECK(pair.handed.contains(7));
}

TEST_CASE("what contradicts itself is refused, and nothing changes", "[channel]") {
  auto pair = linked();
  for (std::uint64_t each = 1; each <= 3; ++each)
    pair.put("a", each);
  pair.handled(1);
  pair.put("b", 4);
  auto held = pair.in.held();
  constexpr auto far = std::uint64_t{1} << 63U;
  CHECK(pair.arrive({1, 1, 1, far, 1}, "a", 9) == verdict::nonsense);
  CHECK(pair.arrive({1, 1, far, far, far}, "a", 9) == verdict::nonsense);
  CHECK(pair.arrive({1, 1, 5, 4, 1}, "a", 9) == verdict::nonsense); // base above it
  CHECK(pair.arrive({1, 1, 0, 4, 1}, "a", 9) == verdict::nonsense);
  CHECK(pair.arrive({1, 1, 1, 4, 5}, "a", 9) == verdict::nonsense); // its run begins later
  CHECK(pair.arrive({1, 1, 1, 4, 0}, "a", 9) == verdict::nonsense);
  CHECK(pair.arrive({1, 1, 1, 5, 1}, "a", 9) == verdict::repeated); // the base goes back
  CHECK(pair.arrive({1, 2, 2, 5, 5}, "a", 9) == verdict::repeated); // of another life of it
  CHECK(pair.arrive({0, 1, 2, 4, 1}, "a", 9) == verdict::repeated); // of an earlier session
  CHECK(pair.asked({1, 0, 9}) == verdict::nonsense);
  CHECK(pair.asked({1, far, 9}) == verdict::nonsense);
  CHECK(pair.asked({1, 2, 0}) == verdict::nonsense);
  CHECK(pair.asked({1, 2, 9, {{1, 3}}}) == verdict::nonsense);
  CHECK(pair.asked({1, 2, 9, {{3, 3}}}) == verdict::nonsense);
  CHECK(pair.asked({1, 2, 9, {{3, far}}}) == verdict::nonsense);
  CHECK(pair.asked({1, 2, 9, {{5, 6}, {3, 4}}}) == verdict::nonsense);
  CHECK(pair.asked({1, 1, 9}) == verdict::repeated);
  CHECK(pair.in.held() == held);
  CHECK_FALSE(pair.in.owes_word());

  CHECK(pair.heard({1, 1, 0, 0, {{2, 6}}}) == verdict::nonsense); // above what was sent
  CHECK(pair.heard({1, 1, 0, 0, {{0, 2}}}) == verdict::nonsense);
  CHECK(pair.heard({1, 1, 0, 0, {{3, 2}}}) == verdict::nonsense);
  CHECK(pair.heard({1, 1, 0, 6, {}}) == verdict::nonsense);
  CHECK(pair.heard({1, 1, 99, 1, {}}) == verdict::nonsense);
  CHECK(pair.heard({1, 1, 0, 0, {}, {{5, outcome::given_up}}}) == verdict::nonsense);
  CHECK(pair.heard({1, 1, 0, 0, {}, {{2, outcome::handled}}}) == verdict::nonsense);
  CHECK(pair.heard({2, 1, 0, 0, {{2, 3}}}) == verdict::repeated); // of another session
  CHECK(pair.heard({1, 0, 0, 0, {{2, 3}}}) == verdict::repeated); // of an earlier life
  CHECK(pair.ended.size() == 1);
  CHECK(pair.out.under_way() == 3);
}

TEST_CASE("a sender that sends more than it may is held back, and loses nothing", "[channel]") {
  auto pair = linked({.max_messages = 2});
  for (std::uint64_t each = 1; each <= 4; ++each)
    CHECK(pair.arrive({1, 1, 1, each, each}, "a" + std::to_string(each), each) == verdict::taken);
  CHECK(pair.arrive({1, 1, 1, 5, 5}, "a5", 5) == verdict::beyond_window);
}

TEST_CASE("a sender whose question is lost while nothing is on its way asks again", "[channel]") {
  auto pair = linked({.max_messages = 2});
  pair.put("a", 1);
  pair.handled(1);
  pair.loses_probes = true;
  for (std::uint64_t each = 2; each <= 4; ++each) {
    pair.put("a", each);
    pair.handled(each);
  }
  REQUIRE(pair.out.empty());
  pair.loses_probes = false;
  pair.put("a", 5);
  REQUIRE(!pair.handed.contains(5)); // the receiver would keep ever more
  REQUIRE(pair.out.next_deadline().has_value());
  pair.pass(1min);
  CHECK(pair.handed.contains(5));
}

TEST_CASE("a receiver knows longest how those have ended that ended last", "[channel]") {
  receiver in{1, {.max_messages = 1}, 7};
  receiver::effects out;
  auto handle = [&](boot_number session, std::uint64_t number, std::uint64_t id) {
    out.clear();
    in.arrive({}, {session, 1, 1, number, number}, {"a", id, 1, {}, {{}, 1, id}}, out);
    auto is_new = std::ranges::any_of(
      out, [](auto& each) { return std::holds_alternative<receiver::deliver>(each); });
    in.handled({}, session, number, out);
    return is_new;
  };
  for (std::uint64_t each = 1; each <= 3; ++each)
    CHECK(handle(1, each, 10 + each));
  CHECK(handle(2, 1, 1)); // accepted first, and handled last
  CHECK(handle(2, 2, 2));
  CHECK(!handle(3, 1, 1));
  CHECK(!handle(3, 2, 2));
  CHECK(!handle(3, 3, 13));
  CHECK(in.remembered_ids() <= 8);
}

TEST_CASE("what a receiver knows is bounded, whatever its sender does", "[channel]") {
  constexpr std::uint64_t most = 2;
  constexpr std::uint64_t many = 50;
  receiver in{1, {.max_messages = most, .max_deliveries = 2}, 7};
  receiver::effects out;
  auto arrive = [&](boot_number session, std::uint64_t number, std::uint64_t id) {
    auto agent = "a" + std::to_string(id);
    return in.arrive({}, {session, 1, 1, number, number}, {agent, id, 1, {}, {{}, 1, id}}, out);
  };
  SECTION("it never says that messages have ended") {
    for (std::uint64_t each = 1; each <= many; ++each) {
      CHECK(arrive(1, each, each) == verdict::taken);
      in.handled({}, 1, each, out);
    }
    CHECK(in.remembered_ids() <= 4 * most);
  }
  SECTION("nor that messages were given up") {
    for (std::uint64_t each = 1; each <= many; ++each)
      if (arrive(1, each, each) == verdict::taken)
        in.refused({}, 1, each, {errc::incompatible, "no"}, out);
    CHECK(in.remembered() <= 2 * most + 2);
  }
  SECTION("it restarts over and over after it has heard of nothing") {
    for (std::uint64_t each = 1; each <= many; ++each) {
      arrive(each, 1, 2 * each);
      in.handled({}, each, 1, out);
      arrive(each, 2, each % 3 == 0 ? 2 * each - 2 : 2 * each + 1); // some come again
      in.handled({}, each, 2, out);
      CHECK(in.remembered_ids() <= 4 * most + 2);
    }
  }
  SECTION("it restarts over and over while agents have its messages") {
    for (std::uint64_t each = 1; each <= many; ++each)
      arrive(each, 1, each);
    CHECK(in.held() <= 2 * most + 1);
  }
  SECTION("it restarts over and over while its messages fail") {
    for (std::uint64_t each = 1; each <= many; ++each) {
      arrive(each, 1, each);
      in.failed({}, each, 1, {.why = {errc::failed, "no"}}, out);
    }
    CHECK(in.remembered() <= 2 * most + 2);
  }
}

TEST_CASE("a message at which the process of its agent ends each time is given up, and no other",
          "[channel]") {
  auto pair = linked({.max_deliveries = 3});
  pair.put("a", 1);
  pair.put("a", 2);
  pair.put("b", 3);
  for (std::uint32_t life = 1; life < 3; ++life) {
    REQUIRE(pair.handed.contains(1));
    CHECK(pair.handed.at(1).attempt == life);
    if (life == 1)
      pair.handled(3);
    pair.link_down();
    pair.restart_receiver();
    pair.link_up();
  }
  REQUIRE(pair.handed.contains(1));
  CHECK(pair.handed.at(1).attempt == 3);
  pair.link_down();
  pair.restart_receiver();
  pair.link_up();
  CHECK(pair.ended == told{{3, outcome::handled}, {1, outcome::given_up}});
  CHECK(pair.failures == 3);
  REQUIRE(pair.handed.contains(2));
  CHECK(pair.handed.at(2).attempt == 1);
}

TEST_CASE("how often a message has failed counts over restarts of its receiver", "[channel]") {
  auto pair = linked({.max_deliveries = 4});
  pair.put("a", 1);
  pair.failed(1);
  pair.pass(10s);
  pair.failed(1);
  pair.link_down();
  pair.restart_receiver(); // the third
  pair.link_up();
  REQUIRE(pair.handed.contains(1));
  CHECK(pair.handed.at(1).attempt == 4);
  pair.failed(1);
  CHECK(pair.ended == told{{1, outcome::given_up}});
}

TEST_CASE("a message under which its agent has ended is counted where it goes next", "[channel]") {
  auto pair = linked({.max_deliveries = 2});
  pair.put("a", 1);
  pair.agent_ended(1);
  CHECK(pair.returned == std::vector<std::uint64_t>{1});
  CHECK(pair.failures_of[1] == 1);
  pair.restart_receiver();
  pair.link_up();
  pair.put("a", 1);
  REQUIRE(pair.handed.contains(1));
  CHECK(pair.handed.at(1).attempt == 2);
  pair.agent_ended(1);
  CHECK(pair.ended == told{{1, outcome::given_up}});
}

TEST_CASE("a message that its agent cannot have had has not failed", "[channel]") {
  auto pair = linked({.max_deliveries = 2});
  pair.put("a", 1);
  pair.missing(1); // the agent is not there
  pair.put("a", 1);
  REQUIRE(pair.handed.contains(1));
  pair.link_down();
  pair.link_up(); // only another link
  CHECK(pair.handed.at(1).attempt == 1);
  pair.put("a", 2);
  pair.link_down();
  pair.restart_receiver();
  pair.link_up();
  pair.handled(1);
  REQUIRE(pair.handed.contains(2));
  CHECK(pair.handed.at(2).attempt == 1); // it waited behind the first
}

TEST_CASE("a message has not failed at the end of a process that did not get it", "[channel]") {
  auto pair = linked({.max_deliveries = 2});
  pair.put("a", 1);
  pair.link_down();
  pair.restart_receiver();
  pair.link_up(); // the first life may have had it
  REQUIRE(pair.handed.contains(1));
  CHECK(pair.handed.at(1).attempt == 2);
  pair.handled(1);
  pair.put("a", 2);
  pair.link_down();
  for (boot_number life = 1; life <= 3; ++life) // each ends before anything is sent to it
    CHECK(pair.heard({pair.here, pair.there + life}) == verdict::taken);
  pair.there += 3;
  pair.restart_receiver();
  pair.link_up();
  REQUIRE(pair.handed.contains(2));
  CHECK(pair.handed.at(2).attempt == 2); // the life before those may have had it
}

TEST_CASE("a message that others pass has not failed at the end of the process", "[channel]") {
  auto pair = linked({.max_deliveries = 4});
  for (std::uint64_t each = 1; each <= 3; ++each)
    pair.put("a", each);
  pair.put_off(1, 1h, true);
  REQUIRE(pair.handed.contains(2));
  SECTION("the agent had another one") {
    pair.link_down();
    pair.restart_receiver();
    pair.link_up();
    REQUIRE(pair.handed.contains(1));
    CHECK(pair.handed.at(1).attempt == 2);
    SECTION("and so in the next life") {
      pair.put_off(1, 1h, true);
      REQUIRE(pair.handed.contains(2));
      CHECK(pair.handed.at(2).attempt == 2);
    }
    SECTION("in the next life it is the first again") {
      pair.link_down();
      pair.restart_receiver();
      pair.link_up();
      REQUIRE(pair.handed.contains(1));
      CHECK(pair.handed.at(1).attempt == 3);
    }
  }
  SECTION("unless it had no other") {
    pair.put_off(2, 1h, true);
    pair.put_off(3, 1h, true);
    pair.link_down();
    pair.restart_receiver();
    pair.link_up();
    REQUIRE(pair.handed.contains(1));
    CHECK(pair.handed.at(1).attempt == 3);
  }
}

TEST_CASE("what is taken from a node that is gone has failed there, if its agent may have had it",
          "[channel]") {
  auto pair = linked();
  pair.put("a", 1);
  pair.put("a", 2);
  pair.link_down();
  pair.put("b", 3); // it has not gone
  auto of_a = pair.out.take_away("a");
  REQUIRE(of_a.size() == 2);
  CHECK(of_a[0].failures == 1);
  CHECK(of_a[1].failures == 0);
  CHECK(pair.out.take_away("b").at(0).failures == 0);
  CHECK(pair.out.take_away("c").empty());
}

TEST_CASE("what is known of failures never grows less, nor is it more than can be counted",
          "[channel]") {
  auto pair = linked({.max_deliveries = 9});
  pair.put("a", 1);
  constexpr auto most = std::numeric_limits<std::uint32_t>::max();
  auto hear = [&](std::uint32_t failures) {
    REQUIRE(pair.heard({1, 1, 0, 0, {}, {}, {{1, {errc::failed, "no"}, failures}}})
            == verdict::taken);
  };
  hear(3);
  hear(1);
  SECTION("a lower figure") {
    auto back = pair.out.take_back("a");
    REQUIRE(back.size() == 1);
    CHECK(back.front().failures == 3);
  }
  SECTION("the highest figure, and an end of the process") {
    hear(most);
    pair.link_down();
    CHECK(pair.heard({1, 2}) == verdict::taken);
    auto back = pair.out.take_back("a");
    REQUIRE(back.size() == 1);
    CHECK(back.front().failures == most);
  }
}

TEST_CASE("whoever hears that a message has ended hears how often it has failed", "[channel]") {
  auto pair = linked({});
  pair.put("a", 1, 1, 20s);
  pair.failed(1);
  pair.link_down();
  SECTION("it may have been handled, and nobody says so") {
    pair.pass(25s);
    CHECK(pair.ended == told{{1, outcome::lost}});
    CHECK(pair.failures == 1);
  }
  SECTION("it was taken back, and has expired since") {
    auto back = pair.out.take_back("a");
    REQUIRE(back.size() == 1);
    pair.failures_of[1] = back.front().failures;
    pair.put("a", 1, 1, 20s);
    pair.pass(20s);
    CHECK(pair.ended == told{{1, outcome::expired}});
    CHECK(pair.failures == 1);
  }
}

} // namespace channel_test
