// Clusters whose services live on several processes, as people run them.

#include "three_voters.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace troupe::test;

namespace {

/// Behind the leader, while requests are on their way.
constexpr int a_few_entries = 100;

/// Eight clients that write without a pause (see writers_program).
class writers {
public:
  explicit writers(const three_voters& cluster) : writers(cluster.addresses()) {}

  explicit writers(const std::string& addresses)
    : process_{{TROUPE_BIN_DIR "/writers_program", addresses}} {
    REQUIRE(process_.read_line() == "writing");
  }

  /// Ends them: each command has had its answer, and was carried out once.
  void must_have_met_no_error() {
    process_.send_signal(SIGTERM);
    auto said = process_.read_rest(30s);
    INFO(said);
    CHECK(process_.wait_for_end(1s) == 0);
    CHECK(said.find("error") == std::string::npos);
    std::uint64_t made = 0;
    std::istringstream{said} >> made;
    CHECK(made >= 80); // they were all at work, however slow the machine is
  }

private:
  troupe::testing::child_process process_;
};

} // namespace

TEST_CASE("a cluster of three loses its leader to SIGKILL and nothing else", "[cluster][cli]") {
  three_voters cluster;
  auto leads = cluster.leader();
  auto stays = (leads + 1) % 3;
  REQUIRE(run({"put", "colour", "blue", "--at", cluster[stays].address()}).status == 0);
  auto holder = start(
    {"lock", "press", "--json", "--ttl", "20s", "--at", cluster.addresses(), "--", "sleep", "60"});
  auto held = json::parse(holder.read_line().value_or("{}"), nullptr, false);
  REQUIRE(held.value("event", "") == "held");
  submitted_diamond flow{cluster[stays].address(), 6, 2};

  cluster[leads].kill();

  CHECK(cluster.leader(leads) != leads);
  flow.must_complete();
  CHECK(run({"get", "colour", "--at", cluster[stays].address()}).output == "blue\n");
  auto locks = run({"locks", "--json", "--at", cluster[stays].address()});
  INFO(locks);
  CHECK(locks.line()["holders"][0]["token"] == held["token"]);
  auto status = run({"status", "--json", "--at", cluster[stays].address()});
  INFO(status);
  CHECK(status.line()["group"]["term"].get<int>() > 1);

  cluster.start_node(leads);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
}

TEST_CASE("all voters are restarted one after the other under load", "[cluster][cli]") {
  three_voters cluster;
  auto holder = start(
    {"lock", "press", "--json", "--ttl", "20s", "--at", cluster.addresses(), "--", "sleep", "60"});
  auto held = json::parse(holder.read_line().value_or("{}"), nullptr, false);
  REQUIRE(held.value("event", "") == "held");
  writers load{cluster};
  for (auto index : {0, 1, 2}) {
    CAPTURE(index);
    cluster[index].process().send_signal(SIGTERM);
    REQUIRE(cluster[index].process().wait_for_end(20s));
    cluster.start_node(index);
    REQUIRE(comes_true([&] { return cluster.is_whole(a_few_entries); }));
  }
  load.must_have_met_no_error();
  auto locks = run({"locks", "--json", "--at", cluster.addresses()});
  INFO(locks);
  CHECK(locks.line()["holders"][0]["token"] == held["token"]);
}

TEST_CASE("all voters are killed and started again under load, and no client hears of it",
          "[cluster][cli]") {
  three_voters cluster;
  writers load{cluster};
  for (auto round = 0; round < 2; ++round) {
    CAPTURE(round);
    for (auto index : {0, 1, 2})
      cluster[index].kill();
    for (auto index : {0, 1, 2})
      cluster.start_node(index);
    REQUIRE(comes_true([&] { return cluster.is_whole(a_few_entries); }));
  }
  load.must_have_met_no_error();
}

TEST_CASE("a backup that is made under load is whole, and the load goes on where it is restored",
          "[cluster][cli]") {
  three_voters cluster;
  temporary_folder folder;
  writers load{cluster};
  REQUIRE(run({"put", "colour", "blue", "--at", cluster.addresses()}).status == 0);
  auto made = run({"backup", folder / "file", "--json", "--at", cluster.addresses()});
  INFO(made);
  REQUIRE(made.status == 0);
  load.must_have_met_no_error();
  for (auto index : {0, 1, 2})
    cluster[index].kill();
  REQUIRE(run({"restore", "--insecure", folder / "file", "--data", folder / "new"}).status == 0);
  running_node anew{{"--name", "anew", "--slots", "0", "--data", folder / "new"}};
  CHECK(run({"get", "colour", "--at", anew.address()}).output == "blue\n");
  writers{anew.address()}.must_have_met_no_error();
}

TEST_CASE("leadership is handed over twenty times under load", "[cluster][cli]") {
  three_voters cluster;
  writers load{cluster};
  auto term = cluster.voters()["term"].get<int>();
  auto leads = cluster.leader();
  for (auto round = 0; round < 20; ++round) {
    CAPTURE(round);
    leads = (leads + 1) % 3;
    REQUIRE(comes_true([&] { // given up where the next one does not catch up in time
      return run({"voters", "lead", three_voters::name(leads), "--at", cluster.addresses(),
                  "--timeout", "3"})
               .status
             == 0;
    }));
  }
  load.must_have_met_no_error();
  CHECK(cluster.voters()["term"].get<int>() >= term + 20);
}

TEST_CASE("a dead voter is replaced by a new node", "[cluster][cli]") {
  three_voters cluster;
  auto dead = (cluster.leader() + 1) % 3;
  REQUIRE(run({"put", "colour", "blue", "--at", cluster.addresses()}).status == 0);
  cluster.start_node(3);
  cluster[dead].kill();
  auto typo = run({"voters", "replace", "nosuch", three_voters::name(3), "--at",
                   cluster.addresses(), "--timeout", "20"});
  INFO(typo);
  CHECK(typo.status == 1);
  CHECK(typo.says("no voter 'nosuch' is known, so there is nothing to replace"));
  CHECK(cluster.voters()["voters"].size() == 3); // nobody was added
  auto one = cluster.voters()["voters"].front();
  auto same
    = run({"voters", "replace", one["node"], one["id"], "--force", "--at", cluster.addresses()});
  INFO(same);
  CHECK(same.status == 2);
  CHECK(same.says(" are the same one"));
  CHECK(cluster.voters()["voters"].size() == 3);
  auto other = cluster.voters()["voters"].back();
  auto votes = run({"voters", "replace", one["node"], other["node"], "--at", cluster.addresses()});
  INFO(votes);
  CHECK(votes.status == 2);
  CHECK(votes.says(" votes already, so it takes nobody's place"));
  CHECK(cluster.voters()["voters"].size() == 3);
  words replace{"voters", "replace", cluster[dead].address(), three_voters::name(3), "--json"};
  replace.insert(replace.end(), {"--at", cluster.addresses(), "--timeout", "20"});
  CHECK(comes_true([&] { return run(replace).status == 0; })); // once the new one is known
  CHECK(comes_true([&] { return cluster.is_whole(); }));
  std::set<std::string> names;
  auto seen = cluster.voters();
  for (auto& each : seen["voters"])
    names.insert(each["node"].get<std::string>());
  CHECK(names.contains(three_voters::name(3)));
  CHECK_FALSE(names.contains(three_voters::name(dead)));
  CHECK(seen["kept_out_ids"].size() == 1);
  replace[2] = seen["kept_out_ids"].front().get<std::string>();
  CHECK(run(replace).status == 0); // it is done
  cluster.start_node(4);
  REQUIRE(comes_true([&] {
    return run({"voters", "--at", cluster.addresses()}).says(three_voters::name(4) + "  spare");
  }));
  replace[3] = three_voters::name(4); // but not by that one
  auto late = run(replace);
  INFO(late);
  CHECK(late.status == 1);
  CHECK(late.says("so there is nothing to replace"));
  CHECK(cluster.voters()["voters"].size() == 3);
  CHECK(run({"get", "colour", "--at", cluster[3].address()}).output == "blue\n");
}

TEST_CASE("a dead voter is replaced by itself, and a spare member votes in its place",
          "[cluster][cli]") {
  three_voters cluster{[](int) { return words{"env", "TROUPE_REPLACE_AFTER=5s"}; }};
  auto dead = (cluster.leader() + 1) % 3;
  REQUIRE(run({"put", "colour", "blue", "--at", cluster.addresses()}).status == 0);
  cluster.start_node(3);
  REQUIRE(comes_true([&] {
    return run({"status", "--at", cluster.addresses()}).says(three_voters::name(3));
  }));
  auto voting = [&] {
    std::set<std::string> names;
    auto seen = cluster.voters();
    for (auto& each : seen.value("voters", json::array()))
      if (each["votes"] == true)
        names.insert(each["node"].get<std::string>());
    return names;
  };
  CHECK(comes_true([&] {
    return run({"voters", "--at", cluster.addresses()}).says(three_voters::name(3) + "  spare");
  }));
  cluster[dead].kill();
  CHECK(comes_true([&] {
    return run({"voters", "--at", cluster.addresses()})
      .says(three_voters::name(dead) + "  replacement: it has been gone for");
  }));
  std::set<std::string> expected;
  for (auto each : {0, 1, 2, 3})
    if (each != dead)
      expected.insert(three_voters::name(each));
  CHECK(comes_true([&] { return voting() == expected; }));
  CHECK(comes_true([&] { return cluster.is_whole(); }));
  cluster.start_node(dead); // as a member that does not vote
  CHECK(comes_true([&] {
    return run({"get", "colour", "--at", cluster[dead].address()}).output == "blue\n";
  }));
  CHECK(voting() == expected);
  CHECK(cluster.voters()["pending"].empty());
}

TEST_CASE("a voter stays while another one is away, and goes when that is back", "[cluster][cli]") {
  three_voters cluster;
  auto leads = cluster.leader();
  auto away = (leads + 1) % 3;
  auto goes = three_voters::name((leads + 2) % 3);
  auto& at = cluster[leads];
  cluster[away].kill();
  auto is_silent = [&] {
    auto seen = run({"voters", "--json", "--at", at.address()}).line();
    return std::ranges::any_of(seen.value("voters", json::array()), [&](auto& each) {
      return each["node"] == three_voters::name(away) && each["silent_s"] > 1.0;
    });
  };
  REQUIRE(comes_true(is_silent));
  auto asked = run({"voters", "remove", goes, "--force", "--at", at.address()});
  INFO(asked);
  CHECK(asked.status == 3);
  CHECK(asked.says("it goes once they are back"));
  auto left = run({"leave", "--force", "--at", cluster[(leads + 2) % 3].address()});
  INFO(left);
  CHECK(left.status == 1);
  CHECK(left.says("ask again once they are back"));
  CHECK(run({"put", "colour", "blue", "--at", at.address()}).status == 0); // it has a majority
  cluster.start_node(away);
  CHECK(comes_true([&] {
    auto seen = run({"voters", "--json", "--at", at.address()}).line();
    auto seats = seen.value("voters", json::array());
    return seats.size() == 2
           && std::ranges::none_of(seats, [&](auto& each) { return each["node"] == goes; });
  }));
  CHECK(run({"get", "colour", "--at", at.address()}).output == "blue\n");
}

TEST_CASE("a voter does not leave when another one has just died", "[cluster][cli]") {
  three_voters cluster;
  auto leads = cluster.leader();
  auto& at = cluster[leads];
  cluster[(leads + 1) % 3].kill(); // which nobody can have noticed
  auto left = run({"leave", "--force", "--at", cluster[(leads + 2) % 3].address()});
  INFO(left);
  CHECK(left.status == 1);
  CHECK(left.says("ask again once they are back"));
  CHECK(run({"put", "colour", "blue", "--at", at.address()}).status == 0); // it has a majority
  cluster.start_node((leads + 1) % 3);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
  auto votes_on = [&] { return cluster.voters()["voters"].size() == 3; };
  CHECK_FALSE(comes_true([&] { return !votes_on(); }, 2s)); // it was told that it does not leave
}

TEST_CASE("a change that is asked of a leader that stands still is made by the next one",
          "[cluster][cli]") {
  three_voters cluster;
  auto leads = cluster.leader();
  auto next = (leads + 1) % 3;
  cluster[leads].process().send_signal(SIGSTOP);
  words change{"voters", "lead", three_voters::name(next), "--json", "--timeout", "20"};
  change.insert(change.end(), {"--at", cluster[next].address()});
  auto made = run(change);
  INFO(made);
  CHECK(made.status == 0);
  cluster[leads].process().send_signal(SIGCONT);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
}

TEST_CASE("without a majority commands say so, and nothing is lost", "[cluster][cli]") {
  three_voters cluster;
  REQUIRE(run({"put", "colour", "blue", "--at", cluster.addresses()}).status == 0);
  cluster[0].kill();
  cluster[1].kill();
  auto refused = run({"put", "colour", "red", "--at", cluster[2].address(), "--timeout", "2"});
  INFO(refused);
  CHECK(refused.status != 0);
  CHECK(refused.says("error: "));
  cluster.start_node(0);
  CHECK(comes_true([&] {
    auto got = run({"get", "colour", "--at", cluster[2].address()});
    return got.output == "blue\n" || got.output == "red\n"; // the put may have been under way
  }));
}

TEST_CASE("a node that was removed says who votes now, not who did when it voted",
          "[cluster][cli]") {
  three_voters cluster;
  cluster.start_node(3);
  auto spare = three_voters::name(3);
  auto change = [&](const std::string& verb) {
    return run({"voters", verb, spare, "--at", cluster.addresses(), "--timeout", "20"});
  };
  CHECK(comes_true([&] { return change("add").status == 0; })); // once it is known
  CHECK(cluster.voters()["voters"].size() == 4);
  auto removed = change("remove");
  INFO(removed);
  REQUIRE(removed.status == 0);
  SECTION("while it runs") {}
  SECTION("nor after a restart") {
    cluster[3].kill();
    auto words = three_voters::name(3) + "  removed, and not there";
    CHECK(comes_true([&] { return run({"voters", "--at", cluster.addresses()}).says(words); }));
    cluster[0].kill();
    cluster.start_node(3);
  }
  cluster[0].kill();
  cluster[1].kill();
  auto says_so = [&] {
    auto seen = run({"status", "--json", "--at", cluster[3].address(), "--timeout", "3"});
    UNSCOPED_INFO(seen);
    return seen.status == 0 && seen.line()["voters"] == 0
           && seen.says("1 of 3 voters reachable, not n");
  };
  CHECK(comes_true(says_so));
  auto voters = run({"voters", "--at", cluster[3].address(), "--timeout", "3"});
  INFO(voters);
  CHECK(voters.status != 0);
  CHECK(voters.says("does not vote, so it knows no voters; give a voter with --at"));
}

TEST_CASE("a voter whose data folder is moved while it runs says so, and votes no more",
          "[cluster][cli]") {
  three_voters cluster;
  auto moved = (cluster.leader() + 1) % 3;
  auto folder = cluster.data(moved);
  auto elsewhere = folder.string() + ".moved";
  std::filesystem::rename(folder, elsewhere);
  auto put = [&](const std::string& what) {
    return run({"put", "colour", what, "--at", cluster.addresses()});
  };
  CHECK(put("blue").status == 0);
  auto until = std::chrono::steady_clock::now() + 10s;
  std::string log;
  while (log.find("was moved, deleted or replaced while this process") == std::string::npos) {
    auto line = cluster[moved].process().read_line(until);
    INFO(log);
    REQUIRE(line);
    log += *line + '\n';
  }
  CHECK(comes_true([&] {
    auto seen = cluster.voters();
    return std::ranges::any_of(seen["voters"], [&](auto& each) {
      return each["node"] == three_voters::name(moved) && each["reachable"] == false;
    });
  }));
  CHECK(put("red").status == 0);
  auto words = three_voters::name(moved) + "  cannot vote until it is started again, see its log";
  CHECK(comes_true([&] { return run({"voters", "--at", cluster.addresses()}).says(words); }));
  CHECK(run({"status", "--at", cluster.addresses()})
          .says("cannot vote until it is started again, see its log"));
  CHECK(cluster.voters()["replica_ended"] == json::array({three_voters::name(moved)}));
  auto added = run({"voters", "add", three_voters::name(moved), "--at", cluster.addresses()});
  INFO(added);
  CHECK(added.status == 2);
  CHECK(added.says("its replica of the log has ended"));
  auto led = run({"voters", "lead", three_voters::name(moved), "--at", cluster.addresses()});
  INFO(led);
  CHECK(led.status == 2);
  CHECK(led.says("cannot lead, as its replica of the log has ended"));
  CHECK(run({"top", "--once", "--at", cluster.addresses()}).says("voter (ended)"));
  cluster[moved].kill();
  std::filesystem::rename(elsewhere, folder);
  cluster.start_node(moved);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
  CHECK(comes_true([&] {
    return !run({"voters", "--at", cluster.addresses()}).says("cannot vote until");
  }));
}

TEST_CASE("the command for voters refuses what makes no sense", "[cluster][cli]") {
  need_command();
  CHECK(run({"voters", "crown", "n1"}).status == 2);
  CHECK(run({"voters", "add"}).status == 2);
  CHECK(run({"voters", "list", "n1"}).status == 2);
  CHECK(run({"voters", "replace", "n1"}).status == 2);
  CHECK(run({"voters", "add", "n1", "--force"}).status == 2);
  running_node alone{{"--name", "n1", "--slots", "0"}};
  auto none = run({"voters", "--at", alone.address(), "--timeout", "1"});
  INFO(none);
  CHECK(none.status == 1);
  CHECK(none.says("--data"));
}

TEST_CASE("a cluster without a data folder says at once that it has no voters", "[cluster][cli]") {
  need_command();
  troupe::test::temporary_folder folder;
  running_node node{{"--slots", "0"}};
  for (auto& command : std::vector<words>{
         {"voters"}, {"voters", "lead", "somebody"}, {"backup", folder / "cluster.backup"}}) {
    auto asked = command;
    asked.insert(asked.end(), {"--at", node.address(), "--timeout", "20"});
    auto start = std::chrono::steady_clock::now();
    auto refused = run(asked);
    INFO(refused);
    CHECK(std::chrono::steady_clock::now() - start < 5s);
    CHECK(refused.status == 1);
    CHECK(refused.says("error: this cluster has no voters"));
    CHECK(refused.says("started without a data folder (--data)\n"));
  }
}

TEST_CASE("a node that is down is no voter, and that is a failure, not bad input",
          "[cluster][cli]") {
  need_command();
  troupe::test::temporary_folder folder;
  running_node first{
    {"--name", "first", "--slots", "0", "--voters", "1", "--data", folder / "first"}};
  running_node second{{"--name", "second", "--slots", "0", "--voters", "1", "--data",
                       folder / "second", "--join", first.address()}};
  REQUIRE(comes_true([&] { return run({"status", "--at", first.address()}).says("2 members"); }));
  second.kill();
  outcome refused;
  CHECK(comes_true(
    [&] {
      refused = run({"voters", "add", "second", "--timeout", "3s", "--at", first.address()});
      REQUIRE(refused.status != 2);
      return refused.status == 1;
    },
    40s));
  INFO(refused);
  CHECK(refused.says("node second cannot become a voter, because it cannot be reached"));
  auto nobody = run({"voters", "add", "nosuch", "--at", first.address()});
  INFO(nobody);
  CHECK(nobody.status == 1);
  CHECK(nobody.says("no node 'nosuch' is known"));
}
