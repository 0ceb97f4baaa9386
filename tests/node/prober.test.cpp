#include "troupe/cluster/prober.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/take.hpp"

namespace prober_test {

using namespace std::literals;
using namespace troupe;
using namespace cluster;

namespace {

node_id id(const std::string& name) {
  public_key key;
  for (std::size_t each = 0; each < name.size(); ++each)
    key.bytes[each] = static_cast<std::byte>(name[each]);
  return id_of(key);
}

/// A prober beside members that stand as the test says.
struct asking {
  explicit asking(const swim_options& how = {}) : options(how) {
    it.begin(now);
    for (auto* name : {"a", "b", "c", "d"})
      join(name);
  }

  void join(const std::string& name) {
    auto made = members.try_emplace(id(name)).first;
    made->second.told.what.node = id(name);
    made->second.told.what.when = {1, 0};
    it.join(*made);
  }

  void forget(const std::string& name) {
    it.drop(id(name));
    members.erase(id(name));
  }

  member_status& state_of(const std::string& name) {
    return members.at(id(name)).is;
  }

  void pass(duration span) {
    auto until = now + span;
    for (auto due = it.next_deadline(); due && *due <= until; due = it.next_deadline()) {
      now = std::max(now, *due);
      while (it.end_wait(now, out)) {
      }
      it.probe_next(now, out);
      check();
    }
    now = until;
  }

  void check() const {
    CHECK(it.flaws().empty());
  }

  void hear(const std::string& from, const swim_mail::subject& what) {
    it.hear(now, id(from), what, out);
    check();
  }

  /// What it wants done lately, of one kind.
  template <class Effect>
  std::vector<Effect> take() {
    return test::take<Effect>(out);
  }

  /// Whom mail of that kind went to lately, and its number.
  template <class What>
  std::vector<std::pair<node_id, std::uint32_t>> sent() {
    std::vector<std::pair<node_id, std::uint32_t>> found;
    for (auto& each : out)
      if (auto* mail = std::get_if<prober::mail>(&each))
        if (auto* one = std::get_if<What>(&mail->what))
          found.emplace_back(mail->to, one->number);
    return found;
  }

  /// Pings that member; returns the number.
  std::uint32_t ping(const std::string& name) {
    out.clear();
    it.doubt_about(now, id(name), out);
    REQUIRE(sent<swim_ping>().size() == 1);
    auto number = sent<swim_ping>().front().second;
    out.clear();
    return number;
  }

  swim_options options;
  known_members members;
  random_source random{1};
  prober it{options, members, random};
  time_point now{std::chrono::hours{1}};
  prober::effects out;
};

} // namespace

TEST_CASE_METHOD(asking, "each round pings each member that is there once",
                 "[node][swim][prober]") {
  state_of("c") = member_status::dead;
  state_of("d") = member_status::left;
  state_of("b") = member_status::suspect;
  std::map<node_id, int> times;
  for (auto period = 0; period < 10; ++period) {
    pass(1s);
    for (auto& [to, number] : sent<swim_ping>()) {
      ++times[to];
      it.hear(now, to, swim_ack{number}, out);
    }
    out.clear();
  }
  CHECK(times == std::map<node_id, int>{{id("a"), 5}, {id("b"), 5}});
}

TEST_CASE_METHOD(asking, "a ping that nobody answers names the incarnation that was pinged",
                 "[node][swim][prober]") {
  ping("a");
  members.at(id("a")).told.what.when = {1, 7}; // it has spoken meanwhile
  pass(options.period);
  auto lost = take<prober::unheard>();
  REQUIRE_FALSE(lost.empty());
  CHECK(lost.front().whom == id("a"));
  CHECK(lost.front().when == incarnation{1, 0});
}

TEST_CASE_METHOD(asking, "only members that are alive are asked for help", "[node][swim][prober]") {
  state_of("b") = member_status::suspect;
  state_of("c") = member_status::dead;
  auto number = ping("a");
  it.not_sent(now, id("a"), out);
  CHECK(sent<swim_ping_request>()
        == std::vector<std::pair<node_id, std::uint32_t>>{{id("d"), number}});
  auto links = take<prober::reach>();
  REQUIRE(links.size() == 1);
  CHECK(links.front().whom == id("a"));
  it.not_sent(now, id("a"), out); // is asked already
  CHECK(take<prober::reach>().empty());
}

TEST_CASE_METHOD(asking, "those that do not answer are tried over their links a few at a time",
                 "[node][swim][prober]") {
  for (auto* name : {"e", "f"})
    join(name);
  auto reached = [this](std::vector<std::string> names) {
    for (auto& each : names)
      ping(each);
    pass(options.answer_within * (it.doubt() + 1));
    std::vector<node_id> found;
    for (auto& each : take<prober::reach>())
      found.push_back(each.whom);
    return found;
  };
  SECTION("three") {
    CHECK(reached({"a", "b", "c", "d", "e"}).size() == 3);
    pass(options.period); // those have failed
    CHECK(it.doubt() > 0);
  }
  SECTION("one while it doubts its own hearing") {
    it.raise_doubt(1);
    CHECK(reached({"a", "b", "c"}).size() == 1);
  }
  SECTION("and each that has answered so before") {
    for (auto* name : {"d", "e", "f"})
      it.reached(ping(name), true, out);
    it.raise_doubt(1);
    auto found = reached({"d", "e", "f", "a"});
    for (auto* name : {"d", "e", "f"})
      CHECK(std::ranges::count(found, id(name)) == 1);
  }
}

TEST_CASE_METHOD(asking, "answers over the link alone say that datagrams do not get there",
                 "[node][swim][prober]") {
  for (auto before = 1U; before < prober::lost_in_a_row; ++before) {
    it.reached(ping("a"), true, out);
    CHECK(take<prober::no_datagrams>().empty());
    REQUIRE(take<prober::answered>().size() == 1);
  }
  auto number = ping("a");
  it.reached(number + 1, true, out);
  it.reached(number, false, out);
  CHECK(out.empty());
  it.reached(number, true, out);
  REQUIRE(take<prober::no_datagrams>().size() == 1);
  REQUIRE(take<prober::answered>().size() == 1);
  it.reached(number, true, out);
  CHECK(out.empty());
}

TEST_CASE_METHOD(asking, "that datagrams get there again is said once", "[node][swim][prober]") {
  auto lost = [this] {
    for (auto each = 0U; each < prober::lost_in_a_row; ++each)
      it.reached(ping("a"), true, out);
    REQUIRE(take<prober::no_datagrams>().size() == 1);
  };
  lost();
  SECTION("when the member answers itself") {
    hear("a", swim_ack{ping("a")});
    auto again = take<prober::datagrams_again>();
    REQUIRE(again.size() == 1);
    CHECK(again.front().to == id("a"));
    hear("a", swim_ack{ping("a")});
    CHECK(take<prober::datagrams_again>().empty());
    lost();
    hear("a", swim_ack{ping("a")});
    CHECK(take<prober::datagrams_again>().size() == 1);
  }
  SECTION("not when another answers for it") {
    auto number = ping("a");
    pass(600ms);
    auto helpers = sent<swim_ping_request>();
    REQUIRE(!helpers.empty());
    it.hear(now, helpers.front().first, swim_ack{number}, out);
    CHECK(take<prober::answered>().size() == 1);
    CHECK(take<prober::datagrams_again>().empty());
  }
  SECTION("not of one that was forgotten") {
    forget("a");
    check();
    join("a");
    hear("a", swim_ack{ping("a")});
    CHECK(take<prober::datagrams_again>().empty());
  }
}

TEST_CASE_METHOD(asking, "of datagrams that are lost now and then nothing is said",
                 "[node][swim][prober]") {
  for (auto round = 0; round < 3; ++round) {
    for (auto each = 1U; each < prober::lost_in_a_row; ++each) {
      it.reached(ping("a"), true, out);
      CHECK(take<prober::no_datagrams>().empty());
    }
    hear("a", swim_ack{ping("a")});
    CHECK(take<prober::datagrams_again>().empty());
  }
}

TEST_CASE_METHOD(asking, "what is under way to or for a member that is forgotten has an end",
                 "[node][swim][prober]") {
  auto number = ping("a");
  hear("b", swim_ping_request{77, id("c")});
  auto run = sent<swim_ping>().back().second;
  for (auto* name : {"a", "b"})
    forget(name);
  check();
  out.clear();
  hear("c", swim_ack{run}); // the asker is no member any more
  it.reached(number, true, out);
  pass(10ms);
  CHECK(sent<swim_ack>().empty());
  CHECK(take<prober::answered>().empty());
  it.doubt_about(now, id("a"), out);
  it.not_sent(now, id("a"), out);
  it.give_opinion(now, id("a"), 1, out);
  CHECK(sent<swim_ping>().empty());
}

TEST_CASE("a node that runs no errands says so at once", "[node][swim][prober]") {
  swim_options how;
  how.max_errands = 0;
  asking of{how};
  of.hear("b", swim_ping_request{77, id("c")});
  CHECK(of.sent<swim_nack>() == std::vector<std::pair<node_id, std::uint32_t>>{{id("b"), 77}});
}

TEST_CASE("one that asks for pings without end takes the place of nobody else",
          "[node][swim][prober]") {
  swim_options how;
  how.max_errands = 4;
  asking of{how};
  of.hear("b", swim_ping_request{1, id("a")});
  for (auto number = 100U; number < 200U; ++number)
    of.hear("c", swim_ping_request{number, id("a")});
  of.hear("d", swim_ping_request{1, id("a")});
  auto lost = of.sent<swim_nack>();
  CHECK(lost.size() == 98);
  for (auto& [to, number] : lost)
    CHECK(to == id("c")); // its own, the oldest first
  of.out.clear();
  of.pass(of.options.answer_within);
  CHECK(of.sent<swim_nack>()
        == std::vector<std::pair<node_id, std::uint32_t>>{
          {id("b"), 1}, {id("c"), 198}, {id("c"), 199}, {id("d"), 1}});
}

TEST_CASE_METHOD(asking, "of many that hear of a suspect as many ask it as it takes to agree",
                 "[node][swim][prober]") {
  auto asked = 0;
  for (auto time = 0; time < 1'000; ++time) {
    it.give_opinion(now, id("a"), 100, out);
    for (auto& [to, number] : sent<swim_ping>()) {
      ++asked;
      it.hear(now, to, swim_ack{number}, out);
    }
    out.clear();
  }
  CHECK(asked >= 15); // three of a hundred
  CHECK(asked <= 45);
}

TEST_CASE_METHOD(asking, "doubt has a bound, and an answer takes some of it",
                 "[node][swim][prober]") {
  it.raise_doubt(1'000);
  CHECK(it.doubt() == options.most_doubt);
  hear("a", swim_ack{ping("a")});
  CHECK(it.doubt() == options.most_doubt - 1);
  ping("a");
  pass(options.answer_within * options.most_doubt - 1ns);
  CHECK(take<prober::reach>().empty());
}

TEST_CASE_METHOD(asking, "whoever is accused is pinged once in five periods, whatever it sends",
                 "[node][swim][prober]") {
  it.show_life(now, id("a"), out);
  it.show_life(now, id("stranger"), out);
  CHECK(out.empty());
  state_of("a") = GENERATE(member_status::suspect, member_status::dead);
  auto pings_to_a = [this] {
    std::size_t found = 0;
    for (auto& [to, number] : sent<swim_ping>()) {
      found += to == id("a") ? 1 : 0;
      hear(to == id("a") ? "a" : "b", swim_ack{number}); // it is there, but says nothing of it
    }
    out.clear();
    return found;
  };
  it.show_life(now, id("a"), out);
  CHECK(pings_to_a() == 1);
  for (auto end = now + 5 * options.period; now < end; now += 10ms) {
    it.show_life(now, id("a"), out);
    CHECK(pings_to_a() == 0);
  }
  it.show_life(now, id("a"), out);
  CHECK(pings_to_a() == 1);
  check();
  it.show_life(now + 1h, id("a"), out);
  it.show_life(now + 1h, id("a"), out); // its answer is awaited
  CHECK(pings_to_a() == 1);
  forget("a");
  check();
}

TEST_CASE_METHOD(asking, "the dead are tried one at a time", "[node][swim][prober]") {
  it.try_the_dead(now, out);
  CHECK(out.empty());
  state_of("a") = state_of("b") = member_status::dead;
  std::set<node_id> tried;
  for (auto time = 0; time < 3; ++time)
    it.try_the_dead(now, out);
  for (auto& [to, number] : sent<swim_ping>())
    tried.insert(to);
  CHECK(sent<swim_ping>().size() == 2);
  CHECK(tried == std::set<node_id>{id("a"), id("b")});
}

} // namespace prober_test
