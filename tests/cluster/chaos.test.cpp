// Real clusters that are broken on purpose, and what their clients saw.

#include "chaos/faults.hpp"
#include "chaos/witness.hpp"
#include "support/network_links.hpp"
#include "support/seeds.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/sim/laws/history.hpp"
#include "troupe/sim/laws/membership_laws.hpp"
#include "troupe/sim/laws/message_laws.hpp"
#include "troupe/storage/database.hpp"
#include "troupe/testing/namespace_network.hpp"
#include "troupe_command.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

using namespace std::literals;
using namespace troupe::test;

namespace {

/// A run on nodes that elect soon.
struct chaos_plan {
  std::string workload;
  words faults;
  std::size_t min_answers = 50;
  std::size_t seconds = 15;
  std::string network = "proxy";
  std::size_t nodes = 3;
  std::size_t voters = 3;
};

std::string joined(const words& parts, char between) {
  std::string all;
  for (auto& each : parts)
    all += (all.empty() ? "" : std::string{between}) + each;
  return all;
}

/// Whether the figures on calls answered in time go with each other.
void check_share(const json& last) {
  auto calls = last["calls"].get<std::size_t>();
  auto answered = last["answered_in_time"].get<std::size_t>();
  REQUIRE(calls > 0);
  CHECK(calls <= last["operations"].get<std::size_t>()); // without what is read in the end
  CHECK(answered + last["no_quorum_in_time"].get<std::size_t>() <= calls);
  CHECK(answered <= last["ok"].get<std::size_t>() + last["fail"].get<std::size_t>());
  auto share = last["share_in_time"].get<double>();
  CHECK(share == static_cast<double>(answered) / static_cast<double>(calls));
  CHECK(share > 0.5);
  CHECK(last["calls_with_majority"].get<std::size_t>() <= calls);
  CHECK((last["share_in_time_with_majority"] >= share || last["faults"].contains("isolate_all")
         || last["faults"].contains("kill_all")));
}

/// Checks what the command says of such a run: that each fault came, and all that it promises.
/// Returns its last line.
json check_chaos(const chaos_plan& what) {
  need_command();
  temporary_folder folder;
  auto file = (folder / "history.jsonl").string();
  words command{"chaos",
                "--workload",
                what.workload,
                "--network",
                what.network,
                "--faults",
                joined(what.faults, ','),
                "--nodes",
                std::to_string(what.nodes),
                "--voters",
                std::to_string(what.voters),
                "--timers",
                "lan",
                "--seconds",
                std::to_string(what.seconds),
                "--seed",
                std::to_string(given_seed().value_or(7))};
  INFO("replay with: troupe " << joined(command, ' '));
  command.insert(command.end(), {"--json", "--history", file, "--raft-log", folder / "raft"});
  auto done = run(command, 100s);
  INFO(done);
  if (done.status != 0)
    folder.keep(); // the history, and what the nodes said
  REQUIRE(done.status == 0);
  auto last = done.lines().back();
  CHECK(last["event"] == "done");
  CHECK(last["linearizable"] == true);
  CHECK(last["network"] == what.network);
  for (auto& kind : what.faults) {
    INFO(kind);
    CHECK(last["faults"].value(kind, 0) >= 1);
    CHECK((!kind.ends_with("_leader") || last["elections"] >= 1));
  }
  CHECK(last["ok"].get<std::size_t>() >= what.min_answers);
  check_share(last);
  std::size_t voters = 0;
  for (std::size_t node = 1; node <= what.nodes; ++node)
    if (std::filesystem::file_size(folder / "raft" / ("n" + std::to_string(node) + ".jsonl"))
        > 1'000)
      ++voters;
  CHECK(voters >= what.voters);
  CHECK(last["voters"] == what.voters);
  std::ifstream in{file};
  auto history = troupe::sim::read_history(in);
  REQUIRE(history);
  CHECK(history->operations().size() == last["operations"].get<std::size_t>());
  return last;
}

} // namespace

TEST_CASE("registers are linearizable while leaders are killed and stopped", "[cluster][chaos]") {
  check_chaos({"register", {"kill_leader", "pause_leader"}, 100});
}

TEST_CASE("tables are linearizable while leaders are cut off and others are killed",
          "[cluster][chaos]") {
  check_chaos({"kv", {"isolate_leader", "kill_others"}, 100});
}

TEST_CASE(
  "a queue in strong state is linearizable while no node hears another and while some are stopped",
  "[cluster][chaos]") {
  check_chaos({"queue", {"isolate_all", "pause_others"}});
}

TEST_CASE("locks are linearizable while leaders are killed and while nodes are cut off one way",
          "[cluster][chaos]") {
  check_chaos({"lock", {"kill_leader", "one_way"}});
}

TEST_CASE(
  "locks that clients share are linearizable while voters are removed and added among other "
  "faults",
  "[cluster][chaos]") {
  auto last = check_chaos({.workload = "lock",
                           .faults = {"members", "kill_others"},
                           .seconds = 20,
                           .nodes = 5,
                           .voters = 5});
  CHECK(last["voters_removed"] >= 1);
  CHECK(last["voters_added"] == last["faults"]["members"]);
  CHECK(last["most_sharers"] >= 2);
}

TEST_CASE("locks of ten nodes of which five vote are linearizable while some are killed, one gets "
          "little of the processor and all are restarted one after the other",
          "[cluster][chaos]") {
  auto last = check_chaos({.workload = "lock",
                           .faults = {"kill_others", "starve_others", "restart_all"},
                           .seconds = 30,
                           .nodes = 10,
                           .voters = 5});
  CHECK(last["nodes"] == 10);
  CHECK(last["unknown"].get<std::size_t>() < last["ok"].get<std::size_t>() / 10);
}

TEST_CASE("keys are linearizable while all nodes are killed at once, again and again",
          "[cluster][chaos]") {
  auto last = check_chaos({.workload = "kv", .faults = {"kill_all"}, .seconds = 20});
  CHECK(last["faults"]["kill_all"] >= 2);
}

TEST_CASE("voters among ten nodes are removed and added while others are killed",
          "[cluster][chaos]") {
  auto last = check_chaos({.workload = "kv",
                           .faults = {"members", "kill_others"},
                           .seconds = 20,
                           .nodes = 10,
                           .voters = 3});
  CHECK(last["voters_added"] == last["faults"]["members"]);
}

TEST_CASE("chaos refuses more voters than nodes", "[cluster][cli]") {
  need_command();
  auto done = run({"chaos", "--nodes", "5", "--voters", "7"});
  CHECK(done.status == 2);
  CHECK(done.says("--voters is 7 of 5 nodes; give no more than --nodes"));
}

TEST_CASE("chaos says in words how many calls were answered in time", "[cluster][cli]") {
  need_command();
  auto done
    = run({"chaos", "--faults", "reset", "--timers", "lan", "--seconds", "10", "--seed", "7"}, 60s);
  INFO(done);
  REQUIRE(done.status == 0);
  CHECK(done.says("calls were answered before their own time-out"));
  CHECK(done.says("linearizable    yes"));
}

TEST_CASE("leases last as long as was granted, and their tokens rise, while leaders are stopped "
          "and links are slow",
          "[cluster][chaos]") {
  check_chaos({"lease", {"pause_leader", "slow"}, 20});
}

TEST_CASE(
  "each task of a workflow has one result while processes are killed and connections are reset",
  "[cluster][chaos]") {
  check_chaos({"scheduler", {"kill_leader", "kill_others", "reset"}, 10});
}

TEST_CASE("a service of the nodes' own program does each command once while leaders are killed and "
          "while nodes are cut off",
          "[cluster][chaos]") {
  check_chaos({"service", {"kill_leader", "isolate_leader"}});
}

namespace {

/// Checks what the command says of such a run, and that its history says the same.
void check_messages(const words& faults, std::size_t nodes, std::size_t seconds) {
  need_command();
  temporary_folder folder;
  auto file = folder / "messages.jsonl";
  auto done = run({"chaos", "--json", "--workload", "messages", "--timers", "lan", "--faults",
                   joined(faults, ','), "--nodes", std::to_string(nodes), "--seconds",
                   std::to_string(seconds), "--seed", std::to_string(given_seed().value_or(7)),
                   "--history", file},
                  220s);
  INFO(done);
  if (done.status != 0)
    folder.keep();
  REQUIRE(done.status == 0);
  auto last = done.lines().back();
  CHECK(last["linearizable"] == true);
  CHECK(last["faults"].size() == faults.size());
  CHECK(last["accepted"] >= 2'000);
  std::ifstream in{file};
  troupe::sim::message_laws laws;
  CHECK(laws.read(in, "the history").detail.empty());
  CHECK(laws.violations().empty());
  CHECK(laws.accepted() == last["accepted"]);
}

} // namespace

TEST_CASE("what was accepted of messages is handled in order, with one effect of class once, while "
          "nodes are killed, stopped and cut off",
          "[cluster][chaos]") {
  check_messages({"kill_leader", "kill_others", "pause_others", "isolate_minority"}, 3, 40);
}

TEST_CASE("what was accepted of messages is handled in order, with one effect of class once, while "
          "all nodes are restarted one after the other, again and again",
          "[cluster][chaos]") {
  check_messages({"restart_all"}, 5, 20);
}

TEST_CASE("what was accepted of messages is handled in order, with one effect of class once, while "
          "all nodes are killed at once, again and again",
          "[cluster][chaos]") {
  check_messages({"kill_all"}, 3, 20);
}

namespace {

/// Checks what the command says of such a run, and that its history says the same. Returns the
/// history.
std::string check_membership(const words& faults, std::size_t nodes) {
  need_command();
  temporary_folder folder;
  auto file = folder / "membership.jsonl";
  auto done = run({"chaos", "--json", "--workload", "membership", "--timers", "lan", "--faults",
                   joined(faults, ','), "--nodes", std::to_string(nodes), "--seconds", "60",
                   "--seed", std::to_string(given_seed().value_or(7)), "--history", file},
                  170s);
  INFO(done);
  if (done.status != 0)
    folder.keep();
  REQUIRE(done.status == 0);
  auto last = done.lines().back();
  CHECK(last["linearizable"] == true);
  CHECK(last["faults"].size() == faults.size());
  CHECK(last["shown_dead"] >= nodes - 1);
  std::ifstream in{file};
  troupe::sim::membership_laws laws{
    troupe::sim::membership_bounds::of(troupe::cluster::swim_options::lan(), nodes)};
  CHECK(laws.read(in, "the history").detail.empty());
  CHECK(laws.is_settled());
  CHECK(laws.deaths() == last["shown_dead"]);
  return content_of(file);
}

} // namespace

TEST_CASE("nodes find out together who is there while they are killed, stopped, ended and cut off",
          "[cluster][chaos]") {
  auto lines = check_membership(
    {"kill_others", "pause_leader", "end_others", "unlink_leader", "isolate_minority"}, 3);
  for (auto* verb : {"start", "ready", "kill", "stop", "cont", "leave", "cut", "heal"}) {
    INFO(verb);
    CHECK(lines.find("\"witness\":\"" + std::string{verb} + '"') != std::string::npos);
  }
}

TEST_CASE(
  "ten nodes of which five vote find out together who is there while some are killed and cut "
  "off and one gets little of the processor",
  "[cluster][chaos]") {
  check_membership({"kill_others", "isolate_minority", "starve_others"}, 10);
}

TEST_CASE("a witness merges what nodes write with what happened to them", "[cluster][chaos]") {
  temporary_folder folder;
  cli::chaos::witness seen{folder / "membership"};
  auto first = seen.start("n1");
  seen.ready("n1", "5f");
  seen.heal(); // of nothing
  auto between = cli::chaos::witness::now_ns();
  seen.note("kill", "n1");
  auto second = seen.start("n1");
  CHECK(first != second);
  seen.cut({{"n1"}, {"n2"}});
  seen.heal();
  auto at = [&](std::int64_t when) { return "\"at_ns\":" + std::to_string(when); };
  std::ofstream{first} << R"({"node":"n2","about":"5f","status":"alive",)" << at(between) << "}\n"
                       << "what is not understood\n"
                       << R"({"node":"n2","abo)";
  std::istringstream in{seen.merged()};
  words lines;
  for (std::string each; std::getline(in, each);)
    lines.push_back(each);
  REQUIRE(lines.size() == 8);
  auto says = [&](std::size_t line, const std::string& what) {
    INFO(lines[line]);
    CHECK(lines[line].find(what) != std::string::npos);
  };
  says(0, R"("witness":"start")");
  says(1, R"("witness":"ready")");
  says(2, R"("about":"n1")");
  CHECK(lines[3] == "what is not understood");
  says(4, R"("witness":"kill")");
  says(5, R"("witness":"start")");
  says(6, R"("sides":[["n1"],["n2"]])");
  says(7, R"("witness":"heal")");
}

TEST_CASE("a plan of chaos has each fault once before any comes again", "[cluster][chaos]") {
  using namespace cli::chaos;
  auto all = to_fault_kinds({});
  REQUIRE(all);
  for_each_seed(100, [&](random_source random) {
    auto check = [&](troupe::duration whole, const std::vector<fault_kind>& kinds) {
      auto plan = plan_faults(random.seed(), whole, kinds);
      REQUIRE(plan.size() >= kinds.size());
      std::set<fault_kind> first_round;
      troupe::duration free = 1s;
      for (auto& each : plan) {
        if (first_round.size() < kinds.size())
          CHECK(first_round.insert(each.kind).second);
        CHECK(each.at >= free);
        free = each.at + each.span + 400ms;
        auto is_short = each.kind < fault_kind::pause_leader || each.kind == fault_kind::kill_all;
        auto least = is_short ? 200ms : 1'200ms;
        CHECK((each.span >= least || each.kind == fault_kind::reset));
        CHECK(each.at + each.span <= whole - calm_of(whole));
      }
    };
    check(60s, *all);
    for (auto one : *all)
      for (auto other : *all)
        if (one < other)
          check(15s, {one, other});
    for (auto& each : plan_faults(random.seed(), 60s, *all))
      CHECK((each.kind == fault_kind::members) == each.beside.has_value());
    for (auto& each : plan_faults(random.seed(), 200s, {fault_kind::kill_others}, 5s))
      CHECK((each.span > 5s || each.at + each.span == 190s));
    for (auto& each : plan_faults(random.seed(), 60s, {fault_kind::members}))
      CHECK_FALSE(each.beside);
  });
}

namespace {

void need_namespaces() {
  if (auto why = troupe::testing::namespace_network::missing())
    SKIP(why.detail);
}

/// What the machine has of networks with a name: links, and namespaces of `ip netns`.
std::set<std::string> named_networks() {
  auto found = network_links();
  std::error_code none; // the folder is made by the first of them
  for (auto& each : std::filesystem::directory_iterator{"/run/netns", none})
    found.insert("netns " + each.path().filename().string());
  return found;
}

/// check_chaos() in a network of the kernel, of which nothing may be left.
void check_chaos_in_namespaces(chaos_plan what) {
  need_namespaces();
  auto before = named_networks();
  what.network = "namespaces";
  check_chaos(what);
  CHECK(named_networks() == before);
}

/// The network namespace of a process; empty if there is no such process.
std::string namespace_of(const std::string& pid) {
  std::error_code gone;
  return std::filesystem::read_symlink("/proc/" + pid + "/ns/net", gone).string();
}

/// The processes that `parent` has started and that run, by their numbers.
words children_of(pid_t parent) {
  words found;
  for (auto& each : std::filesystem::directory_iterator{"/proc"}) {
    auto pid = each.path().filename().string();
    auto status = content_of("/proc/" + pid + "/status");
    if (status.find("\nPPid:\t" + std::to_string(parent) + "\n") != std::string::npos)
      found.push_back(pid);
  }
  return found;
}

/// How many processes are in one of these namespaces.
std::ptrdiff_t inhabitants_of(const std::set<std::string>& namespaces) {
  std::ptrdiff_t count = 0;
  for (auto& each : std::filesystem::directory_iterator{"/proc"})
    count += namespaces.contains(namespace_of(each.path().filename().string())) ? 1 : 0;
  return count;
}

} // namespace

TEST_CASE("registers are linearizable in a network of the kernel while leaders are cut off",
          "[cluster][chaos][namespaces]") {
  check_chaos_in_namespaces({"register", {"isolate_leader", "one_way"}, 100});
}

TEST_CASE(
  "locks are linearizable in a network of the kernel that loses packets and resets connections",
  "[cluster][chaos][namespaces]") {
  check_chaos_in_namespaces(
    {.workload = "lock", .faults = {"isolate_minority", "slow", "reset"}, .seconds = 20});
}

TEST_CASE("chaos in a network of the kernel that is killed leaves no process, link or namespace",
          "[cluster][cli][namespaces]") {
  need_command();
  need_namespaces();
  temporary_folder folder; // the only thing that a killed command cannot remove
  auto before = named_networks();
  words command{"/usr/bin/env",
                "TMPDIR=" + (folder / "").string(),
                command_path(),
                "chaos",
                "--json",
                "--network",
                "namespaces",
                "--faults",
                "isolate_all",
                "--seconds",
                "60"};
  troupe::testing::child_process chaos{command};
  for (auto* event : {"started", "fault"}) {
    auto line = chaos.read_line(30s);
    REQUIRE(line);
    REQUIRE(json::parse(*line)["event"] == event);
  }
  auto nodes = children_of(chaos.pid());
  REQUIRE(nodes.size() == 3);
  std::set<std::string> inside{namespace_of(std::to_string(chaos.pid()))};
  for (auto& each : nodes)
    inside.insert(namespace_of(each));
  CHECK(inside.size() == 4);
  CHECK_FALSE(inside.contains(""));
  CHECK_FALSE(inside.contains(namespace_of("self")));
  CHECK(named_networks() == before);
  chaos.send_signal(SIGKILL);
  CHECK(chaos.wait_for_end() == 128 + SIGKILL);
  CHECK(comes_true([&] { return inhabitants_of(inside) == 0; }));
  CHECK(named_networks() == before);
}

TEST_CASE("chaos in a network of the kernel says what it lacks, and takes no other network",
          "[cluster][cli]") {
  need_command();
  auto run_with = [](words command) {
    command.insert(command.end(), {"/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1", command_path(),
                                   "chaos", "--network", "namespaces"});
    troupe::testing::child_process process{command};
    return finish(process);
  };
  auto without_rights
    = run_with(::geteuid() == 0 ? words{"/usr/bin/setpriv", "--bounding-set=-sys_admin,-net_admin"}
                                : words{"/usr/bin/env"});
  INFO(without_rights);
  CHECK(without_rights.status == 2);
  CHECK(without_rights.says("run this as root"));
  CHECK(without_rights.says("--network proxy"));
  need_namespaces();
  auto without_programs = run_with({"/usr/bin/env", "PATH=/nowhere"});
  INFO(without_programs);
  CHECK(without_programs.status == 2);
  CHECK(without_programs.says("install the package iproute2"));
}

TEST_CASE("troupe chaos says what it does not know", "[cluster][cli]") {
  need_command();
  CHECK(run({"chaos", "--workload", "nothing"}).status == 2);
  CHECK(run({"chaos", "--faults", "kill_leader,rain"}).status == 2);
  CHECK(run({"chaos", "--nodes", "2"}).status == 2);
  CHECK(run({"chaos", "--network", "ether"}).status == 2);
  for (auto* span : {"9", "9s", "1801", "31m", "-60", "010", "0x20", "10 x", ""}) {
    INFO(span);
    CHECK(run({"chaos", "--seconds", span}).status == 2);
  }
  temporary_folder folder;
  std::ofstream{folder / "n1.jsonl"} << "of another run\n";
  CHECK(run({"chaos", "--raft-log", (folder / "").string()}).status == 2);
  CHECK(run({"node", "--raft-log", (folder / "log").string()}).status == 2);
}

TEST_CASE("chaos refuses a history that cannot be written before it starts a node",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  auto done = run({"chaos", "--json", "--seconds", "10", "--history", folder / "no/history"});
  INFO(done);
  CHECK(done.status == 2);
  CHECK(done.says("check its folder"));
  CHECK_FALSE(done.says("started"));
}

TEST_CASE("chaos refuses a run into which no fault fits", "[cluster][cli]") {
  need_command();
  auto done = run({"chaos", "--workload", "membership", "--seconds", "10", "--seed", "7"});
  INFO(done);
  CHECK(done.status == 2);
  CHECK(done.says("no fault fits into 10 s, of which the last are without; give more --seconds"));
}

TEST_CASE("chaos judges what clients saw also where the disk has no room for their history",
          "[cluster][cli]") {
  need_command();
  auto done = run({"chaos", "--json", "--faults", "reset", "--timers", "lan", "--seconds", "10",
                   "--history", "/dev/full"},
                  60s);
  INFO(done);
  CHECK(done.status == 2);
  CHECK(done.says("\"linearizable\":true"));
  CHECK(done.says("cannot write the history to '/dev/full'"));
}

TEST_CASE("what many clients see at a time is judged, too", "[cluster][chaos]") {
  need_command();
  for (auto* workload : {"register", "lock"}) {
    auto done = run({"chaos", "--json", "--workload", workload, "--clients", "60", "--faults",
                     "reset", "--timers", "lan", "--seconds", "10", "--seed", "7"},
                    55s);
    INFO(done);
    CHECK(done.status == 0);
    CHECK(done.lines().back()["linearizable"] == true);
  }
}

TEST_CASE("chaos that is interrupted leaves no process and no file behind", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  words command{"/bin/sh",   "-c",           "TMPDIR=\"$0\" exec \"$@\" 2>&1",
                folder / "", command_path(), "chaos",
                "--json",    "--seconds",    "60"};
  troupe::testing::child_process chaos{command};
  auto line = chaos.read_line(30s);
  REQUIRE(line);
  CHECK(json::parse(*line)["event"] == "started");
  REQUIRE_FALSE(std::filesystem::is_empty(folder / ""));
  chaos.send_signal(SIGINT);
  auto end = finish(chaos, 20s);
  INFO(end);
  CHECK(end.status == 1);
  CHECK(end.says("was not checked"));
  CHECK(std::filesystem::is_empty(folder / ""));
}

namespace {

/// Two processes that write what one lock guards.
class guarded_resource {
public:
  explicit guarded_resource(const std::string& kind) : kind_(kind) {}

  /// Stops the holder of the lock for longer than its lease, in the middle of its work, and lets
  /// it go on once another has written. Returns what it says then.
  std::string stop_the_holder() {
    auto ann = start();
    REQUIRE(says(ann, "wrote"));
    auto bob = start();
    REQUIRE(says(ann, "wrote"));
    ann.send_signal(SIGUSR1);
    REQUIRE(says(ann, "stops"));
    REQUIRE(says(bob, "wrote"));
    ann.send_signal(SIGCONT);
    auto line = ann.read_line(20s);
    REQUIRE(line);
    return line->substr(0, line->find(' '));
  }

  /// The tokens of all that was written, in its order.
  std::vector<std::int64_t> tokens() {
    troupe::storage::database file;
    auto why = file.open(folder_ / "guarded.db", troupe::storage::database::sharing::shared, "");
    REQUIRE(why.code == troupe::errc::none);
    std::vector<std::int64_t> found;
    auto rows = file.prepare("SELECT token FROM line ORDER BY rowid");
    while (rows.next() == SQLITE_ROW)
      found.push_back(rows.integer(0));
    return found;
  }

private:
  troupe::testing::child_process start() {
    return troupe::testing::child_process{
      {TROUPE_BIN_DIR "/resource_program", node_.address(), folder_ / "guarded.db", kind_}};
  }

  static bool says(troupe::testing::child_process& who, const std::string& word) {
    auto deadline = std::chrono::steady_clock::now() + 20s;
    while (auto line = who.read_line(deadline))
      if (line->starts_with(word))
        return true;
    return false;
  }

  temporary_folder folder_;
  std::string kind_;
  running_node node_{{"--data", folder_ / "node"}};
};

} // namespace

TEST_CASE("a lock alone does not keep out a holder that was stopped for longer than its lease",
          "[cluster][chaos]") {
  need_command();
  guarded_resource plain{"plain"};
  CHECK(plain.stop_the_holder() == "wrote");
  auto tokens = plain.tokens();
  CHECK_FALSE(std::ranges::is_sorted(tokens));
}

TEST_CASE("a fenced store keeps out a holder that was stopped for longer than its lease",
          "[cluster][chaos]") {
  need_command();
  guarded_resource fenced{"fenced"};
  CHECK(fenced.stop_the_holder() == "refused");
  auto tokens = fenced.tokens();
  CHECK(tokens.size() >= 2);
  CHECK(std::ranges::is_sorted(tokens));
}
