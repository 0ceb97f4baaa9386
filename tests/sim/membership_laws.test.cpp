#include "troupe/sim/laws/membership_laws.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/cluster/membership_log.hpp"
#include "troupe/sim/scenarios/swim_scenario.hpp"
#include "troupe/sim/world/swim_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace membership_laws_test {

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

using words = std::vector<std::string>;

constexpr sim::membership_bounds bounds{.alive_within = 10s, .dead_within = 5s};

/// Lines of JSON from lines like `7 kill b`, `8 a:b suspect 2.0` and `9 cut a|b,c`; times in
/// seconds.
std::string log_of(const words& lines) {
  std::ostringstream out;
  for (auto& each : lines) {
    std::istringstream parts{each};
    std::int64_t at = 0;
    std::string what;
    std::string rest;
    parts >> at >> what >> rest;
    if (auto colon = what.find(':'); colon != std::string::npos) {
      char dot = 0;
      std::uint64_t boot = 0;
      std::uint64_t refutation = 0;
      parts >> boot >> dot >> refutation;
      out << R"({"node":")" << what.substr(0, colon) << R"(","about":")" << what.substr(colon + 1)
          << R"(","status":")" << rest << R"(","boot":)" << boot << R"(,"refutation":)"
          << refutation;
    } else if (what == "cut") {
      std::string sides;
      for (auto letter : rest)
        sides += letter == '|' ? R"("],[")" : letter == ',' ? R"(",")" : std::string{letter};
      out << R"({"witness":"cut","sides":[[")" << sides << R"("]])";
    } else if (what == "heal") {
      out << R"({"witness":"heal")";
    } else {
      out << R"({"witness":")" << what << R"(","node":")" << rest << '"';
    }
    out << R"(,"at_ns":)" << at * 1'000'000'000 << "}\n";
  }
  return out.str();
}

/// What the laws say of such lines, watched until that second.
std::string verdict_on(const words& lines, std::int64_t until = 0) {
  std::istringstream in{log_of(lines)};
  sim::membership_laws laws{bounds};
  if (auto why = laws.read(in, "log"))
    return why.detail;
  auto found = laws.violations(until * 1'000'000'000);
  return found.empty() ? "well" : found.front();
}

/// Two nodes that show each other alive, and what happens to them then.
words after_start(const words& more) {
  words lines{"0 start a", "0 ready a",       "0 start b",
              "0 ready b", "1 a:b alive 1.0", "1 b:a alive 1.0"};
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

/// The same with three.
words of_three(const words& more) {
  words lines{"0 start a",       "0 ready a",       "0 start b",       "0 ready b",
              "0 start c",       "0 ready c",       "1 a:b alive 1.0", "1 a:c alive 1.0",
              "1 b:a alive 1.0", "1 b:c alive 1.0", "1 c:a alive 1.0", "1 c:b alive 1.0"};
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

} // namespace

TEST_CASE("what members show is well where they see what happens") {
  CHECK(verdict_on(after_start({}), 100) == "well");
  // Killed, found dead, started again.
  CHECK(verdict_on(after_start({"10 kill b", "12 a:b suspect 1.0", "14 a:b dead 1.0", "30 start b",
                                "31 ready b", "32 b:a alive 1.0", "32 a:b alive 2.0"}),
                   100)
        == "well");
  // Stopped, and accused without reason: it contradicts.
  CHECK(verdict_on(after_start({"10 stop b", "12 a:b suspect 1.0", "14 a:b dead 1.0", "30 cont b",
                                "31 a:b alive 1.1", "40 a:b suspect 1.1", "41 a:b alive 1.2"}),
                   100)
        == "well");
  // Left, and started again.
  CHECK(verdict_on(after_start({"10 leave b", "11 a:b left 1.0", "30 start b", "31 ready b",
                                "32 a:b alive 2.0", "32 b:a alive 1.0", "40 a:b suspect 2.0",
                                "41 a:b alive 2.1"}),
                   100)
        == "well");
  // A cut: each side may think of the other what it likes.
  CHECK(verdict_on(of_three({"10 cut a|b,c", "13 a:b dead 1.0", "13 b:a dead 1.0", "50 heal",
                             "55 a:b alive 1.1", "55 b:a alive 1.1"}),
                   100)
        == "well");
  // One that was stopped for long cannot have seen what happened.
  CHECK(verdict_on(after_start({"10 stop a", "10 kill b", "90 cont a", "93 a:b dead 1.0"}), 100)
        == "well");
  // A new life may begin with less than the last one had seen.
  CHECK(verdict_on(after_start({"2 a:b alive 1.3", "3 kill a", "4 start a", "5 ready a",
                                "6 a:b alive 1.2", "6 b:a alive 2.0"}),
                   100)
        == "well");
}

TEST_CASE("who takes part and is reached does not stay dead, suspect or unknown") {
  auto dead = after_start({"10 a:b dead 1.0"});
  CHECK(verdict_on(dead, 20) == "well");
  CHECK_THAT(verdict_on(dead, 21),
             ContainsSubstring("a shows b dead")
               && ContainsSubstring("11.000 s in which it ran and was reached"));
  CHECK_THAT(verdict_on(after_start({"10 a:b suspect 1.0"}), 21), ContainsSubstring("suspect"));
  // Another accusation does not begin another span; a late contradiction is one.
  CHECK_THAT(verdict_on(after_start({"10 a:b suspect 1.0", "15 a:b dead 1.0", "21 a:b alive 1.1"})),
             ContainsSubstring("a shows b dead"));
  CHECK_THAT(
    verdict_on({"0 start a", "0 ready a", "0 start b", "0 ready b", "1 b:a alive 1.0"}, 11),
    ContainsSubstring("a shows b not at all"));
  // On its side of a cut, too.
  auto on_one_side = of_three({"10 cut a|b,c", "12 b:c dead 1.0", "12 b:a dead 1.0"});
  CHECK_THAT(verdict_on(on_one_side, 23), ContainsSubstring("b shows c dead"));
  CHECK(verdict_on(of_three({"10 cut a,b|c", "12 b:c dead 1.0"}), 50) == "well");
  // The time is that from when it is reached again, or goes on.
  CHECK(verdict_on(of_three({"10 cut a,b|c", "12 b:c dead 1.0", "40 heal"}), 50) == "well");
  CHECK_THAT(verdict_on(of_three({"10 cut a,b|c", "12 b:c dead 1.0", "40 heal"}), 51),
             ContainsSubstring("b shows c dead"));
  CHECK_THAT(verdict_on(after_start({"10 stop b", "12 a:b dead 1.0", "40 cont b"}), 51),
             ContainsSubstring("a shows b dead"));
}

TEST_CASE("who does not run does not stay alive or suspect") {
  auto killed = after_start({"10 kill b"});
  CHECK(verdict_on(killed, 15) == "well");
  CHECK_THAT(verdict_on(killed, 16), ContainsSubstring("a shows b alive")
                                       && ContainsSubstring("6.000 s in which it did not run"));
  CHECK_THAT(verdict_on(after_start({"10 kill b", "13 a:b suspect 1.0"}), 16),
             ContainsSubstring("a shows b suspect"));
  CHECK_THAT(verdict_on(after_start({"10 stop b", "20 cont b"})),
             ContainsSubstring("a shows b alive"));
  CHECK_THAT(verdict_on(after_start({"10 leave b", "20 start b"})),
             ContainsSubstring("a shows b alive"));
  CHECK(verdict_on(after_start({"10 kill b", "14 start b", "20 ready b", "20 b:a alive 1.0"}), 25)
        == "well");
}

TEST_CASE("who has left is not called dead before it starts again") {
  CHECK_THAT(verdict_on(after_start({"10 leave b", "11 a:b left 1.0", "12 a:b dead 1.0"})),
             ContainsSubstring("a shows b dead, which it has seen leave"));
  CHECK_THAT(verdict_on(after_start({"10 leave b", "11 a:b left 1.0", "12 a:b suspect 1.1"})),
             ContainsSubstring("a shows b suspect, which it has seen leave"));
  // Who has not heard it leave may.
  CHECK(verdict_on(of_three({"10 leave b", "11 a:b left 1.0", "12 c:b dead 1.0"}), 100) == "well");
}

TEST_CASE("what is shown does not go back") {
  CHECK_THAT(verdict_on(after_start({"2 a:b alive 2.0", "3 a:b alive 1.5"})),
             ContainsSubstring("life 1, refutation 5 after")
               && ContainsSubstring("life 2, refutation 0"));
  CHECK_THAT(verdict_on(after_start({"2 a:b alive 1.2", "3 a:b alive 1.1"})),
             ContainsSubstring("goes back"));
  // Only a contradiction ends an accusation.
  CHECK_THAT(verdict_on(after_start({"2 a:b suspect 1.0", "3 a:b alive 1.0"})),
             ContainsSubstring("goes back"));
  CHECK_THAT(verdict_on(after_start({"2 a:b dead 1.0", "3 a:b suspect 1.0"})),
             ContainsSubstring("goes back"));
}

TEST_CASE("once all is healed all show each other alive") {
  // No span is too long, but one of them always accuses another.
  auto never
    = of_three({"10 cut a,b|c", "39 b:c suspect 1.0", "40 heal", "45 a:c suspect 1.0",
                "46 b:c alive 1.1", "50 b:a suspect 1.0", "51 a:c alive 1.1", "57 b:a alive 1.1"});
  CHECK_THAT(verdict_on(never),
             ContainsSubstring("all was healed 11.000 s ago, and a still shows c suspect"));
  CHECK(verdict_on(of_three({"10 cut a,b|c", "39 b:c suspect 1.0", "40 heal"}), 50) == "well");
  // Later accusations, which end in time, are another matter.
  CHECK(verdict_on(of_three({"10 cut a,b|c", "40 heal", "49 b:c suspect 1.0", "55 b:c alive 1.1"}))
        == "well");

  auto is_settled = [](const words& lines) {
    std::istringstream in{log_of(lines)};
    sim::membership_laws laws{bounds};
    REQUIRE(laws.read(in, "log").code == errc::none);
    return laws.is_settled();
  };
  CHECK(is_settled(after_start({})));
  CHECK_FALSE(is_settled({"0 start a", "0 ready a", "0 start b", "0 ready b", "1 a:b alive 1.0"}));
  CHECK_FALSE(is_settled(after_start({"2 a:b suspect 1.0"})));
  CHECK_FALSE(is_settled(after_start({"2 stop b"})));
  CHECK_FALSE(is_settled(after_start({"2 cut a|b"})));
  CHECK_FALSE(is_settled(after_start({"2 kill b", "3 start b"})));
  CHECK(is_settled(after_start({"2 cut a|b", "2 heal", "2 stop b", "3 cont b"})));
}

TEST_CASE("the deaths that were shown are counted") {
  std::istringstream in{log_of(of_three(
    {"10 kill b", "12 a:b dead 1.0", "12 a:c dead 1.0", "13 cut a|b,c", "14 c:a dead 1.0"}))};
  sim::membership_laws laws{bounds};
  REQUIRE(laws.read(in, "log").code == errc::none);
  CHECK(laws.deaths() == 3);
  CHECK(laws.wrong_deaths() == 1);
}

TEST_CASE("a log that is none is refused with its line") {
  auto read = [](const std::string& text) {
    std::istringstream in{log_of({"1 start a", "1 start b"}) + text + '\n'};
    sim::membership_laws laws{bounds};
    auto why = laws.read(in, "log");
    CHECK(why.code == errc::bad_argument);
    CHECK_THAT(why.detail, ContainsSubstring("log, line 3: "));
    return why.detail;
  };
  auto shows = [&](const std::string& node, const std::string& about, const std::string& rest) {
    return read(R"({"node":")" + node + R"(","about":")" + about + "\"," + rest + '}');
  };
  CHECK_THAT(read(R"({"node":"a","abo)"), ContainsSubstring("cut short"));
  CHECK_THAT(read(""), ContainsSubstring("cut short"));
  CHECK_THAT(read("[]"), ContainsSubstring("no JSON object"));
  CHECK_THAT(read(R"({"witness":"kill","node":"a"})"), ContainsSubstring("'at_ns'"));
  CHECK_THAT(read(log_of({"0 kill a"})), ContainsSubstring("time goes back"));
  auto rest = std::string{R"("boot":1,"refutation":0,"at_ns":1000000000)"};
  CHECK_THAT(shows("a", "c", R"("status":"alive",)" + rest), ContainsSubstring("'c' is no node"));
  CHECK_THAT(shows("c", "a", R"("status":"alive",)" + rest), ContainsSubstring("'c' is no node"));
  CHECK_THAT(shows("a", "a", R"("status":"alive",)" + rest), ContainsSubstring("sees itself"));
  CHECK_THAT(shows("a", "b", R"("status":"ill",)" + rest), ContainsSubstring("'ill' is no status"));
  CHECK_THAT(shows("a", "b", rest), ContainsSubstring("is no status"));
  for (auto* numbers : {R"("boot":-1,"refutation":0)", R"("boot":1,"refutation":4294967296)",
                        R"("boot":"1","refutation":0)", R"("refutation":0)"}) {
    INFO(numbers);
    CHECK_THAT(
      shows("a", "b", R"("status":"alive",)" + std::string{numbers} + R"(,"at_ns":1000000000)"),
      ContainsSubstring("whole numbers"));
  }
  CHECK_THAT(read(log_of({"1 sing a"})), ContainsSubstring("'sing' is nothing"));
  CHECK_THAT(read(log_of({"1 kill c"})), ContainsSubstring("'c' is no node"));
  CHECK_THAT(read(log_of({"1 start a"})), ContainsSubstring("runs already"));
  CHECK_THAT(read(R"({"witness":"start","at_ns":1000000000})"), ContainsSubstring("'node'"));
  CHECK_THAT(read(log_of({"1 cut a"})), ContainsSubstring("name each node"));
  CHECK_THAT(read(log_of({"1 cut a|b|c"})), ContainsSubstring("'c' is no node"));
  CHECK_THAT(read(log_of({"1 cut a|b,a"})), ContainsSubstring("two sides"));
  CHECK_THAT(read(R"({"witness":"cut","at_ns":1000000000})"), ContainsSubstring("'sides'"));
  CHECK_THAT(read(R"({"witness":"cut","sides":["a","b"],"at_ns":1000000000})"),
             ContainsSubstring("'sides'"));

  std::istringstream dead{log_of({"1 start a", "2 kill a", "3 cont a"})};
  sim::membership_laws laws{bounds};
  CHECK_THAT(laws.read(dead, "log").detail, ContainsSubstring("line 3: a does not run"));
}

TEST_CASE("a log has a bound of nodes") {
  words lines;
  for (std::size_t each = 0; each <= sim::membership_laws::max_nodes; ++each)
    lines.push_back("1 start n" + std::to_string(each));
  std::istringstream in{log_of(lines)};
  sim::membership_laws laws{bounds};
  auto why = laws.read(in, "log");
  CHECK(why.code == errc::limit_reached);
  CHECK_THAT(why.detail, ContainsSubstring("line 201"));
}

TEST_CASE("the laws read what a node writes of the others") {
  cluster::membership::shows seen{};
  seen.who.bytes[0] = std::byte{0x5f};
  seen.when = {3, 7};
  seen.is = cluster::member_status::left;
  std::ostringstream written;
  cluster::membership_log log{written, "a \"quoted\" name"};
  log.write(time_point{9ns}, seen);
  auto line = nlohmann::json::parse(written.str());
  CHECK(line
        == nlohmann::json{{"node", "a \"quoted\" name"},
                          {"about", to_string(seen.who)},
                          {"status", "left"},
                          {"boot", 3},
                          {"refutation", 7},
                          {"at_ns", 9}});
  CHECK(written.str().ends_with("}\n"));

  nlohmann::json first{{"witness", "start"}, {"node", "a \"quoted\" name"}, {"at_ns", 1}};
  nlohmann::json second{{"witness", "start"}, {"node", to_string(seen.who)}, {"at_ns", 1}};
  std::istringstream in{first.dump() + '\n' + second.dump() + '\n' + written.str()};
  sim::membership_laws laws{bounds};
  CHECK(laws.read(in, "log").detail.empty());
}

namespace {

/// Simulated members under one fault after the other, as `troupe chaos` makes them, and the log of
/// that.
class logged_world {
public:
  logged_world(std::uint64_t seed, const cluster::swim_options& how)
    : bounds(sim::membership_bounds::of(how, 3 + seed % 3)),
      world_(seed, static_cast<sim::process_id>(3 + seed % 3), {}) {
    auto& all = world_.setting();
    all.options = how;
    sim::name_processes(all, world_.size());
    for (auto& [node, which] : all.nodes)
      names_[which] = to_string(node);
    for (auto& [which, name] : names_)
      logs_.emplace_back(out_, name);
    all.on_shows = [this](sim::process_id who, std::uint64_t, const cluster::swim::shows& what) {
      logs_.at(who).write(time_point{world_.now()}, what);
    };
  }

  /// Returns what the laws say.
  std::vector<std::string> run() {
    for (sim::process_id which = 0; which < world_.size(); ++which)
      start(which);
    wait(10s);
    for (auto rounds = 0; rounds < 12; ++rounds) {
      strike();
      wait(std::chrono::milliseconds{1'000 + world_.random().below(2'000)});
    }
    wait(bounds.alive_within + 1s);
    std::istringstream in{out_.str()};
    sim::membership_laws laws{bounds};
    if (auto why = laws.read(in, "log"))
      return {why.detail};
    deaths = laws.deaths();
    return laws.violations(world_.now().count());
  }

  const sim::membership_bounds bounds;
  std::size_t deaths = 0;

private:
  void wait(duration span) {
    world_.run_until(world_.now() + span);
  }

  void note(const std::string& rest) {
    out_ << R"({"witness":)" << rest << R"(,"at_ns":)" << world_.now().count() << "}\n";
  }

  void note(const std::string& what, sim::process_id which) {
    note('"' + what + R"(","node":")" + names_.at(which) + '"');
  }

  void note_cut(const std::set<sim::process_id>& apart, bool all_alone) {
    nlohmann::json sides{nlohmann::json::array(), nlohmann::json::array()};
    for (auto& [which, name] : names_)
      if (all_alone)
        sides.push_back({name});
      else
        sides[apart.contains(which) ? 0 : 1].push_back(name);
    note(R"("cut","sides":)" + sides.dump());
  }

  void start(sim::process_id which) {
    note("start", which);
    world_.start(which);
    note("ready", which);
  }

  void strike() {
    auto span = bounds.dead_within + std::chrono::milliseconds{world_.random().below(4'000)};
    auto which = world_.any();
    auto others = world_.all_but(which);
    switch (world_.random().below(6)) {
      case 0:
        note("kill", which);
        world_.kill(which);
        wait(span);
        return start(which);
      case 1:
        note("leave", which);
        world_.at(which)->step(cluster::swim::leave{});
        world_.arm(which);
        wait(500ms);
        world_.kill(which);
        wait(span);
        return start(which);
      case 2:
        note("stop", which);
        world_.pause(which, span);
        wait(span);
        return note("cont", which);
      case 3: // one direction only
        note_cut({which}, false);
        world_.cut({which}, others);
        break;
      case 4:
        note_cut({which}, false);
        world_.cut({which}, others);
        world_.cut(others, {which});
        break;
      default:
        note_cut({}, true);
        for (auto each : others)
          world_.cut({each}, world_.all_but(each));
        world_.cut({which}, others);
    }
    wait(span);
    world_.heal();
    note(R"("heal")");
  }

  sim::world<sim::swim_process> world_;
  std::map<sim::process_id, std::string> names_;
  std::ostringstream out_;
  std::deque<cluster::membership_log> logs_;
};

} // namespace

TEST_CASE("what simulated members show of each other is well under the faults of chaos",
          "[property]") {
  test::for_each_seed(test::simulated_worlds / 4, [](random_source random) {
    for (auto& how : {cluster::swim_options{}, cluster::swim_options::lan()}) {
      logged_world it{random.seed(), how};
      for (auto& each : it.run())
        FAIL_CHECK(each);
      CHECK(it.deaths > 0);
    }
  });
}

} // namespace membership_laws_test
