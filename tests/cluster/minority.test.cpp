// What people see of a cluster whose majority is gone, and that it goes on when that is back.

#include "three_voters.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace troupe::test;

namespace {

using clock = std::chrono::steady_clock;

/// A cluster of which one voter is left: the leader, or a follower.
struct minority : three_voters {
  /// `end`: SIGKILL, or SIGSTOP, so that the others hang.
  explicit minority(bool leader_stays, int end = SIGKILL) {
    for (auto each : {0, 1, 2})
      REQUIRE(comes_true([&] {
        return run({"request", "echo-" + name(each), "hello", "--at", addresses()}).output
               == "hello\n";
      }));
    REQUIRE(run({"put", "colour", "blue", "--at", addresses()}).status == 0);
    auto leads = leader();
    left = leader_stays ? leads : (leads + 1) % 3;
    for (auto each : {0, 1, 2})
      if (each != left)
        lost.insert(each);
    for (auto each : lost)
      (*this)[each].process().send_signal(end);
    if (end == SIGKILL)
      for (auto each : lost)
        (*this)[each].process().wait_for_end();
    began = clock::now();
  }

  /// Runs a command at the one that is left; it has to end within `bound`.
  outcome at_left(words arguments, std::chrono::milliseconds bound = 5s) {
    arguments.insert(arguments.begin() + 1, {"--at", (*this)[left].address()});
    auto start = clock::now();
    auto ended = run(arguments);
    auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start);
    INFO(arguments.front() << " took " << took.count() << " ms");
    UNSCOPED_INFO(arguments.front() << " took " << took.count() << " ms: " << ended);
    CHECK(took < bound);
    return ended;
  }

  void must_name_the_lost(const outcome& what) {
    for (auto each : lost)
      CHECK(what.says((*this)[each].address()));
  }

  int left = 0;
  std::set<int> lost;
  clock::time_point began;
};

/// A cluster with a node that has a folder and no vote, as three vote already.
struct with_fourth : three_voters {
  with_fourth() {
    start_node(3);
    REQUIRE(comes_true([&] {
      return run({"request", "echo-n3", "hello", "--at", addresses()}).output == "hello\n";
    }));
  }
};

} // namespace

TEST_CASE("without a majority status, agents and voters show what the asked node knows",
          "[cluster][cli][minority]") {
  for (auto leader_stays : {false, true}) {
    CAPTURE(leader_stays);
    minority cluster{leader_stays};
    auto first = cluster.at_left({"status", "--json"});
    REQUIRE(first.status == 0);
    REQUIRE(comes_true([&] {
      auto seen = cluster.at_left({"status", "--json"}).line();
      return seen["leader"].is_null() && seen.value("voters_reachable", 0) == 1;
    }));
    auto status = cluster.at_left({"status", "--json"}, 3s);
    INFO(status);
    REQUIRE(status.status == 0);
    auto seen = status.line();
    CHECK(seen["leader"].is_null());
    CHECK(seen["leaderless_s"] > 0.0);
    CHECK(seen["voters"] == 3);
    CHECK(seen["voters_reachable"] == 1);
    CHECK(seen["asked"] == cluster.name(cluster.left));
    REQUIRE(seen["members"].size() == 3);
    for (auto& each : seen["members"])
      CHECK(each["status"]
            == (each["node"] == cluster.name(cluster.left) ? "active" : "disconnected"));

    auto told = cluster.at_left({"status"}, 3s);
    CHECK(told.status == 0);
    CHECK(std::regex_search(told.output,
                            std::regex{"no leader since [0-9]+ s(, |: no majority of the voters "
                                       "answers: )1 of 3 voters reachable"}));

    auto agents = cluster.at_left({"agents"}, 3s);
    CHECK(agents.status == 0);
    for (auto each : {0, 1, 2})
      CHECK(agents.says("echo-" + cluster.name(each)
                        + (each == cluster.left ? "  active" : "  disconnected")));
    CHECK(agents.says("1 of 3 voters reachable"));

    auto voters = cluster.at_left({"voters"}, 3s);
    CHECK(voters.status == 0);
    CHECK(voters.says("1 of 3 voters reachable"));
    auto listed = cluster.at_left({"voters", "--json"}, 3s).line();
    CHECK(listed["voters"].size() == 3);
    CHECK(listed["voters_reachable"] == 1);
    for (auto& each : listed["voters"]) {
      CHECK(each["lag"].is_null()); // which the leader knew
      CHECK(each["silent_s"].is_null());
    }
  }
}

TEST_CASE("without a majority what needs one ends with no_quorum and names who is missing",
          "[cluster][cli][minority]") {
  for (auto leader_stays : {false, true}) {
    CAPTURE(leader_stays);
    minority cluster{leader_stays};
    for (auto round = 0; round < 2; ++round) // at once, and when it is known
      for (auto& command : std::vector<words>{{"put", "colour", "red"},
                                              {"get", "colour"},
                                              {"locks"},
                                              {"workflows"},
                                              {"watch", "colour"},
                                              {"lock", "press", "--", "true"},
                                              {"voters", "lead", "n0"}}) {
        auto refused = cluster.at_left(command, round == 0 ? 5s : 3s);
        INFO(refused);
        CHECK(refused.status == 1);
        CHECK(refused.says("error: "));
        CHECK(refused.says("1 of 3 voters"));
        cluster.must_name_the_lost(refused);
      }
    cluster.start_node(*cluster.lost.begin());
    auto back = clock::now();
    CHECK(comes_true([&] {
      auto got = run({"get", "colour", "--at", cluster[cluster.left].address()});
      return got.output == "blue\n" || got.output == "red\n"; // the first may have been proposed
    }));
    CHECK(clock::now() - back < 10s);
    auto status = run({"status", "--json", "--at", cluster[cluster.left].address()}).line();
    INFO(status.dump());
    CHECK(status["leader"].is_string());
    CHECK(status["voters"] == 3);
    CHECK(comes_true([&] {
      return run({"status", "--json", "--at", cluster[cluster.left].address()})
               .line()
               .value("voters_reachable", 0)
             == 2;
    }));
  }
}

TEST_CASE("voters that hang hold nobody up who asks for what needs a majority",
          "[cluster][cli][minority]") {
  for (auto leader_stays : {false, true}) {
    CAPTURE(leader_stays);
    minority cluster{leader_stays, SIGSTOP};
    for (auto round = 0; round < 2; ++round) // at once, and when it is known
      for (auto& command : std::vector<words>{{"put", "colour", "red"}, {"locks"}}) {
        auto refused = cluster.at_left(command, round == 0 ? 5s : 3s);
        INFO(refused);
        CHECK(refused.status == 1);
        CHECK(refused.says("1 of 3 voters"));
        cluster.must_name_the_lost(refused);
      }
    // Who knows all addresses may ask those that hang first.
    auto start = clock::now();
    auto everywhere = run({"locks", "--at", cluster.addresses()});
    INFO(everywhere);
    CHECK(everywhere.says("1 of 3 voters"));
    CHECK(clock::now() - start < 5s);
    for (auto each : cluster.lost)
      cluster[each].process().send_signal(SIGCONT);
    CHECK(comes_true([&] {
      return run({"put", "colour", "red", "--at", cluster.addresses()}).status == 0;
    }));
  }
}

TEST_CASE("without a majority messages reach the agents of nodes that are there",
          "[cluster][cli][minority]") {
  for (auto leader_stays : {false, true}) {
    CAPTURE(leader_stays);
    minority cluster{leader_stays};
    auto own = "echo-" + cluster.name(cluster.left);
    for (auto round = 0; round < 2; ++round) {
      auto answer = cluster.at_left({"request", own, "hello"}, 3s);
      CHECK(answer.status == 0);
      CHECK(answer.output == "hello\n");
      CHECK(cluster.at_left({"send", own, "hello"}, 3s).status == 0);
      for (auto each : cluster.lost) {
        auto gone = cluster.at_left({"request", "echo-" + cluster.name(each), "hello"});
        CHECK(gone.status == 1);
      }
      REQUIRE(comes_true([&] { // by then the node knows
        return cluster.at_left({"put", "colour", "red", "--timeout", "1"}).says("1 of 3 voters");
      }));
    }
  }
}

TEST_CASE("without a majority what waits at nodes that are there is shown, and dead letters",
          "[cluster][cli][minority]") {
  minority cluster{false};
  auto own = cluster.name(cluster.left);
  auto send = [&](const words& how) {
    words whole{"send", "nobody", "hello", "--class", "confirm"};
    whole.insert(whole.end(), how.begin(), how.end());
    return cluster.at_left(whole);
  };
  outcome shown;
  REQUIRE(comes_true([&] {
    send({"--timeout", "500ms"});
    shown = cluster.at_left({"inbox"});
    return shown.status == 0 && shown.says("nobody  " + own);
  }));
  INFO(shown);
  CHECK(shown.says("1 of 3 voters"));
  CHECK(shown.says("this is what node " + own + " knows"));
  CHECK(shown.says("not asked, as away: "));
  for (auto each : cluster.lost)
    CHECK(shown.says(cluster.name(each)));
  CHECK(send({"--ttl", "100ms"}).status != 0);
  outcome dead;
  CHECK(comes_true([&] {
    dead = cluster.at_left({"dead-letters"});
    return dead.says("expired  for nobody  at " + own);
  }));
  INFO(dead);
  CHECK(dead.status == 0);
  auto purged = cluster.at_left({"dead-letters", "--purge", "all"});
  INFO(purged);
  CHECK(purged.says(" purged at " + own));
  CHECK(cluster.at_left({"dead-letters"}).says("no dead letters"));
}

TEST_CASE("a node without a vote passes messages on while nobody leads",
          "[cluster][cli][minority]") {
  three_voters cluster;
  running_node worker{{"--name", "w1", "--slots", "0", "--join", cluster[0].address(), "--join",
                       cluster[1].address(), "--join", cluster[2].address()}};
  auto left = (cluster.leader() + 1) % 3;
  auto answers = [&](const std::string& agent, const std::string& at) {
    auto got = run({"request", agent, "hello", "--at", at});
    UNSCOPED_INFO(got);
    return got.output == "hello\n";
  };
  auto agent = "echo-" + three_voters::name(left);
  REQUIRE(comes_true([&] { return answers(agent, worker.address()); }));
  REQUIRE(comes_true([&] { return answers("echo-w1", cluster[left].address()); }));
  for (auto each : {0, 1, 2})
    if (each != left)
      cluster[each].kill();
  // Until here the leader may have found that agent for this node, which hears of it a moment
  // later.
  REQUIRE(comes_true([&] { return answers("echo-w1", cluster[left].address()); }));
  for (auto round = 0; round < 3; ++round) {
    CHECK(answers(agent, worker.address()));
    CHECK(answers("echo-w1", cluster[left].address()));
    CHECK(run({"put", "colour", "red", "--at", worker.address(), "--timeout", "9"}).says("n"));
  }
  auto refused = run({"put", "colour", "red", "--at", worker.address()});
  INFO(refused);
  CHECK(refused.status == 1);
  CHECK(refused.says("1 of 3 voters"));
  auto status = run({"status", "--json", "--at", worker.address()}).line();
  INFO(status.dump());
  CHECK(status["leader"].is_null());
  CHECK(status["members"].size() == 4);
}

TEST_CASE("a node with a folder and no seat says within seconds that the majority is gone",
          "[cluster][cli][minority]") {
  with_fourth cluster;
  auto& fourth = cluster[3];
  auto leads = cluster.leader();
  std::set<int> lost{leads, (leads + 1) % 3};
  for (auto each : lost)
    cluster[each].kill();
  outcome refused;
  CHECK(comes_true([&] {
    refused = run({"put", "colour", "red", "--at", fourth.address()});
    return refused.says("1 of 3 voters");
  }));
  INFO(refused);
  CHECK(refused.status != 0);
  for (auto each : lost)
    CHECK(refused.says(cluster[each].address()));
  CHECK(comes_true([&] {
    auto seen = run({"status", "--json", "--at", fourth.address()}).line();
    return seen["leader"].is_null() && seen.value("leaderless_s", 0.0) > 1.0
           && seen.value("why", "").find(cluster[leads].address()) != std::string::npos;
  }));
}

TEST_CASE("a node that is left without any voter says that it is in a minority",
          "[cluster][cli][minority]") {
  with_fourth cluster;
  auto& fourth = cluster[3];
  for (auto each : {0, 1, 2})
    cluster[each].kill();
  outcome refused;
  CHECK(comes_true([&] {
    refused = run({"put", "colour", "red", "--at", fourth.address()});
    return refused.says("minority: 1 of 4 nodes are reachable");
  }));
  INFO(refused);
  CHECK(refused.status != 0);
  auto start = clock::now(); // it is known by now
  CHECK(run({"put", "colour", "red", "--at", fourth.address()}).says("minority: 1 of 4 nodes"));
  CHECK(clock::now() - start < 5s);
  CHECK(run({"request", "echo-n3", "hello", "--at", fourth.address()}).output == "hello\n");
  for (auto each : {0, 1, 2})
    cluster.start_node(each);
  CHECK(comes_true([&] {
    return run({"put", "colour", "red", "--at", fourth.address()}).status == 0;
  }));
}

TEST_CASE("with one voter dead status counts two of three, and changes of leadership",
          "[cluster][cli][minority]") {
  three_voters cluster;
  auto whole = run({"status", "--json", "--at", cluster.addresses()}).line();
  CHECK(whole["voters"] == 3);
  CHECK(whole["voters_reachable"] == 3);
  CHECK(run({"status", "--at", cluster.addresses()}).says("3 of 3 voters"));
  auto leads = cluster.leader();
  auto dead = (leads + 1) % 3;
  auto stays = (leads + 2) % 3;
  cluster[dead].kill();
  CHECK(comes_true([&] {
    return run({"status", "--at", cluster[stays].address()}).says("2 of 3 voters reachable");
  }));
  auto less = run({"status", "--json", "--at", cluster[stays].address()}).line();
  INFO(less.dump());
  CHECK(less["voters"] == 3);
  CHECK(less["voters_reachable"] == 2);
  CHECK(less["leader"] == cluster.name(leads));
  for (auto& each : less["group"]["voters"])
    CHECK(each["reachable"] == (each["node"] != cluster.name(dead)));

  auto before = less.value("changes_of_leader", -1);
  REQUIRE(before >= 0);
  cluster.start_node(dead);
  REQUIRE(comes_true([&] { return cluster.is_whole(); }));
  // Twice, so that the one that is asked leads, and has counted both.
  for (auto next : {stays, leads})
    REQUIRE(
      run({"voters", "lead", cluster.name(next), "--at", cluster.addresses(), "--timeout", "20"})
        .status
      == 0);
  CHECK(comes_true([&] {
    auto now = run({"status", "--json", "--at", cluster[leads].address()}).line();
    return now["leader"] == cluster.name(leads) && now["changes_of_leader"] == before + 2;
  }));
}

TEST_CASE("the log of a node that is left alone says what is wrong once, and when it is over",
          "[cluster][cli][minority]") {
  minority cluster{false};
  auto& survivor = cluster[cluster.left].process();
  std::vector<std::string> lines;
  auto read = [&](clock::time_point until) {
    while (auto line = survivor.read_line(until))
      lines.push_back(*line);
  };
  read(cluster.began + 8s);
  cluster.start_node(*cluster.lost.begin());
  REQUIRE(comes_true([&] {
    return run({"get", "colour", "--at", cluster[cluster.left].address()}).output == "blue\n";
  }));
  read(clock::now() + 1s);
  std::regex form{"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
                  "(info|warning|error) "
                  + cluster.name(cluster.left) + ": .+"};
  std::ostringstream all;
  auto count = [&](const std::string& words) {
    return std::ranges::count_if(lines,
                                 [&](auto& each) { return each.find(words) != std::string::npos; });
  };
  for (auto& each : lines) {
    all << each << '\n';
    CHECK(std::regex_match(each, form));
  }
  INFO(all.str());
  CHECK(lines.size() < 30);
  CHECK(
    count(" warning " + cluster.name(cluster.left) + ": no leader: 1 of 3 voters reachable, not ")
    == 1);
  CHECK(count(": over: no leader (") == 1);
  CHECK(count(": no way to the cluster: ") <= 8);
  CHECK(count(": over: no way to the cluster (") == 1);
}

TEST_CASE("a node that others were stopped beside says that the way is found again, and not itself",
          "[cluster][cli][minority]") {
  three_voters cluster;
  auto stays = cluster.leader();
  auto& process = cluster[stays].process();
  for (auto other : {(stays + 1) % 3, (stays + 2) % 3})
    cluster[other].process().send_signal(SIGSTOP);
  auto seen = [&] { return run({"status", "--json", "--at", cluster[stays].address()}).line(); };
  REQUIRE(comes_true([&] { return seen().value("leaderless_s", 0.0) > 3; }));
  for (auto other : {(stays + 1) % 3, (stays + 2) % 3})
    cluster[other].process().send_signal(SIGCONT);
  REQUIRE(comes_true([&] { return cluster.is_whole() && seen()["leader"].is_string(); }));
  std::vector<std::string> lines;
  auto until = clock::now() + 3s;
  while (auto line = process.read_line(until))
    lines.push_back(*line);
  std::ostringstream all;
  auto is_open = false;
  for (auto& each : lines) {
    all << each << '\n';
    if (each.find("no way to the cluster") != std::string::npos)
      is_open = each.find(": over: ") == std::string::npos;
  }
  INFO(all.str());
  CHECK_FALSE(is_open);
  CHECK(all.str().find("is this node itself") == std::string::npos);
}
