// Nodes that come back with less than they had, or from the first moments of their lives.

#include "support/free_port.hpp"
#include "three_voters.hpp"

#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using Catch::Matchers::ContainsSubstring;
using namespace troupe::test;
using troupe::testing::child_process;

namespace {

void copy_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

std::uint64_t seat_of(three_voters& cluster, int index) {
  auto seen = cluster.voters();
  for (auto& each : seen.value("voters", json::array()))
    if (each["node"] == three_voters::name(index))
      return each.value("seat", std::uint64_t{0});
  return 0;
}

std::uint64_t last_entry(three_voters& cluster) {
  return cluster.voters().value("last", std::uint64_t{0});
}

/// Entries of one index and term are the same, whoever has written them (see raft::event_log).
void must_agree(const std::vector<std::filesystem::path>& raft_logs) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, json> known;
  for (auto& file : raft_logs) {
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);) {
      auto event = json::parse(line, nullptr, false);
      if (event.value("ev", "") != "append")
        continue;
      auto place
        = std::pair{event.value("index", std::uint64_t{0}), event.value("term", std::uint64_t{0})};
      auto [same, is_new] = known.emplace(place, event["hash"]);
      INFO(file.filename() << ": " << line);
      CHECK((is_new || same->second == event["hash"]));
    }
  }
  CHECK(known.size() > 20);
}

/// Every configuration of the group in its order, as a node said it: who votes, who learns.
struct configuration {
  std::set<std::string> voters;
  std::set<std::string> learners;
};

std::set<std::string> names_in(const std::string& list, const std::string& node) {
  std::set<std::string> found;
  std::istringstream text{list};
  for (std::string each; std::getline(text >> std::ws, each, ',');)
    found.insert(each == "this node" ? node : each);
  return found;
}

/// Ends the node.
std::vector<configuration> configurations_of(three_voters& cluster, int index) {
  cluster[index].kill();
  std::vector<configuration> found;
  std::istringstream output{cluster[index].process().read_rest()};
  auto name = three_voters::name(index);
  const std::string begin = "voters of the cluster: ";
  const std::string middle = "; learners: ";
  for (std::string line; std::getline(output, line);) {
    auto place = line.find(begin);
    if (place == std::string::npos)
      continue;
    auto lists = line.substr(place + begin.size());
    auto end = lists.find(middle);
    auto learners = end == std::string::npos ? "" : lists.substr(end + middle.size());
    found.push_back({names_in(lists.substr(0, end), name), names_in(learners, name)});
  }
  return found;
}

/// What became of a node from one configuration to the next.
words steps_of(const std::string& node, const std::vector<configuration>& all) {
  words steps;
  for (auto& each : all) {
    auto step = each.voters.contains(node)     ? "votes"s
                : each.learners.contains(node) ? "learns"s
                                               : "has no seat"s;
    if (steps.empty() || steps.back() != step)
      steps.push_back(std::move(step));
  }
  return steps;
}

/// A node whose disk is slow from its first moment on.
child_process start_slowly(const words& node) {
  words command{"/usr/bin/env", "LD_PRELOAD=" TROUPE_SLOW_DISK, "SLOW_WRITE_MS=20"};
  auto own = command_line(node);
  command.insert(command.end(), own.begin(), own.end());
  return child_process{command};
}

/// When a founder is killed: so long after it was started, or after it has won its election.
struct moment {
  std::string after{};
  std::chrono::milliseconds span{};
};

} // namespace

TEST_CASE("a voter whose folder is an older copy learns anew under another seat, once",
          "[cluster][cli]") {
  three_voters cluster;
  auto forgets = (cluster.leader() + 1) % 3;
  temporary_folder copies;
  cluster[forgets].kill();
  copy_folder(cluster.data(forgets), copies / "older");
  cluster.start_node(forgets);
  REQUIRE(comes_true([&] { return cluster.is_whole(); }));
  for (auto each = 0; each < 20; ++each)
    REQUIRE(run({"put", "key-" + std::to_string(each), "value", "--at", cluster.addresses()}).status
            == 0);
  REQUIRE(comes_true([&] { return cluster.is_whole(); }));
  auto before = seat_of(cluster, forgets);
  REQUIRE(before != 0);
  cluster[forgets].kill();
  copy_folder(copies / "older", cluster.data(forgets));
  auto last = last_entry(cluster);

  cluster.start_node(forgets);

  CHECK(comes_true([&] {
    auto now = seat_of(cluster, forgets);
    return now != 0 && now != before && cluster.is_whole();
  }));
  auto after = seat_of(cluster, forgets);
  for (auto each = 0; each < 5; ++each)
    CHECK(cluster.is_whole(10)); // services write of themselves
  CHECK(seat_of(cluster, forgets) == after);
  auto entries = last_entry(cluster) - last;
  CHECK(entries >= 3);  // its old seat goes, it learns, it votes
  CHECK(entries <= 50); // with what the services write of themselves
  CHECK(run({"get", "key-7", "--at", cluster[forgets].address()}).output == "value\n");
  auto steps = steps_of(three_voters::name(forgets), configurations_of(cluster, cluster.leader()));
  steps.erase(steps.begin(), std::ranges::find(steps, "votes"));
  CHECK(steps == words{"votes", "has no seat", "learns", "votes"});
}

TEST_CASE("a voter that is removed is replaced before, and never are there fewer",
          "[cluster][cli]") {
  three_voters cluster;
  auto leads = cluster.leader();
  auto goes = three_voters::name((leads + 1) % 3);
  cluster.start_node(3);
  auto comes = three_voters::name(3);
  CHECK(comes_true([&] {
    return run({"voters", "remove", goes, "--timeout", "20", "--at", cluster.addresses()}).status
           == 0; // once the new one is known
  }));
  auto all = configurations_of(cluster, leads);
  auto whole = std::ranges::find_if(all, [](auto& each) { return each.voters.size() == 3; });
  all.erase(all.begin(), whole);
  REQUIRE(all.size() > 1);
  for (auto& each : all)
    CHECK(each.voters.size() >= 3);
  CHECK(steps_of(goes, all) == words{"votes", "has no seat"});
  CHECK(steps_of(comes, all) == words{"has no seat", "learns", "votes"});
}

TEST_CASE("a folder that was put back is in the cluster within seconds, whatever starts it missed",
          "[cluster][cli]") {
  three_voters cluster;
  auto returns = (cluster.leader() + 1) % 3;
  temporary_folder copies;
  cluster[returns].kill();
  copy_folder(cluster.data(returns), copies / "older");
  for (auto life = 0; life < 4; ++life) {
    cluster.start_node(returns);
    REQUIRE(comes_true([&] { return cluster.is_whole(); }));
    cluster[returns].kill();
  }
  copy_folder(copies / "older", cluster.data(returns));
  cluster.start_node(returns);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
  CHECK(comes_true([&] { // its worker, too
    auto seen = run({"status", "--json", "--at", cluster[returns].address()}).line();
    return seen.value("slots", 0) == 6;
  }));
  INFO("it keeps what it has risen to");
  cluster[returns].kill();
  cluster.start_node(returns);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
}

TEST_CASE("a founder that is killed at any moment of its birth starts again", "[cluster][cli]") {
  need_command();
  std::vector<moment> moments;
  for (auto span = 0ms; span < 900ms; span += 150ms)
    moments.push_back({{}, span});
  for (auto span = 0ms; span <= 100ms; span += 20ms) // its log is being written then
    moments.push_back({"leads the cluster", span});
  auto unready = 0;
  for (auto& [after, span] : moments) {
    CAPTURE(after, span.count());
    temporary_folder folder;
    // It makes its CA then, too.
    words options{"node",    "--json", "--listen", "127.0.0.1:0", "--name", "n0",
                  "--slots", "0",      "--timers", "lan",         "--data", folder / "n0"};
    {
      auto born = start_slowly(options);
      auto deadline = std::chrono::steady_clock::now() + (after.empty() ? span : 20s);
      auto is_ready = false;
      auto is_near = after.empty();
      while (auto line = born.read_line(deadline)) {
        is_ready |= line->find("\"ready\"") != std::string::npos;
        if (!is_near && line->find(after) != std::string::npos) {
          is_near = true;
          deadline = std::chrono::steady_clock::now() + span;
        }
      }
      born.send_signal(SIGKILL);
      born.wait_for_end();
      REQUIRE(is_near);
      unready += is_ready ? 0 : 1;
    }
    running_node again{start(options)};
    CHECK(again.ready()["host"] == true);
    CHECK(
      run({"put", "colour", "blue", "--at", again.address(), "--identity", folder / "n0"}).status
      == 0);
  }
  CHECK(unready >= 3);
}

TEST_CASE("a half-born founder that is told to join another cluster founds none",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node first{{"--name", "n0", "--slots", "0", "--timers", "lan", "--data", folder / "n0"}};
  words born{"--name", "n1", "--slots", "0", "--timers", "lan", "--data", folder / "n1"};
  {
    running_node alone{born};
    alone.kill();
  }
  // As if it had been killed before its identity named a cluster.
  auto file = folder / "n1" / "identity.json";
  auto identity = json::parse(content_of(file));
  identity["cluster"] = std::string(32, '0');
  identity["host"] = false;
  write_file(file, identity.dump());
  born.insert(born.end(), {"--join", first.address()});
  running_node joins{born};
  CHECK(comes_true([&] {
    auto seen = run({"voters", "--json", "--at", joins.address()}).line();
    std::set<std::string> names;
    for (auto& each : seen.value("voters", json::array()))
      names.insert(each["node"].get<std::string>());
    return names == std::set<std::string>{"n0", "n1"};
  }));
}

TEST_CASE("a removed voter stays out under the next leader, until it is added again",
          "[cluster][cli]") {
  three_voters cluster;
  auto leads = cluster.leader();
  auto goes = (leads + 1) % 3;
  auto next = (leads + 2) % 3;
  auto change = [&](words what) {
    what.insert(what.begin(), "voters");
    what.insert(what.end(), {"--json", "--timeout", "20", "--at", cluster.addresses()});
    auto made = run(what, 30s);
    INFO(made);
    CHECK(made.status == 0);
  };
  auto names = [&] {
    std::set<std::string> found;
    auto seen = cluster.voters();
    for (auto& each : seen.value("voters", json::array()))
      found.insert(each["node"].get<std::string>());
    return found;
  };
  change({"remove", three_voters::name(goes), "--force"});
  change({"lead", three_voters::name(next)});
  REQUIRE(cluster.leader(leads) == next);
  cluster.start_node(3); // takes the free place, which the removed one does not
  auto with = [](int index) { return three_voters::name(index); };
  CHECK(comes_true([&] { return names().contains(with(3)); }));
  CHECK(names() == std::set<std::string>{with(leads), with(next), with(3)});
  change({"add", three_voters::name(goes)});
  CHECK(comes_true([&] { return names().contains(with(goes)); }));
}

namespace {

/// A founder of which there is a copy from when it was alone, and two that have voted since.
class grown_cluster {
public:
  /// With `led_since` it has led alone once more after the copy was made, as the copy will.
  explicit grown_cluster(bool led_since) {
    start(0, {});
    REQUIRE(run({"put", "before", "any", "--at", address(0)}).status == 0);
    nodes_[0]->process().send_signal(SIGSTOP);
    copy_folder(folder(0), files_ / "older");
    nodes_[0]->process().send_signal(SIGCONT);
    if (led_since) {
      kill(0);
      start(0, {});
      for (auto each = 0; each < 20; ++each)
        REQUIRE(run({"put", "early", std::to_string(each), "--at", address(0)}).status == 0);
    }
    start(1, {"--join", address(0)});
    start(2, {"--join", address(0)});
    REQUIRE(comes_true([&] {
      auto seen = run({"voters", "--json", "--at", address(0)}).line();
      auto& seats = seen["voters"];
      return seats.is_array() && seats.size() == 3
             && std::ranges::all_of(seats, [](auto& each) { return each["votes"] == true; });
    }));
    REQUIRE(run({"put", "key", "value", "--at", address(0)}).status == 0);
  }

  void start(int index, const words& more) {
    auto name = three_voters::name(index);
    words how{"--name", name,      "--data", folder(index), "--timers",
              "lan",    "--slots", "0",      "--raft-log",  events(index)};
    how.insert(how.end(), more.begin(), more.end());
    auto& node = nodes_.at(static_cast<std::size_t>(index));
    auto known = addresses_.find(index);
    node = std::make_unique<running_node>(how, known == addresses_.end() ? "127.0.0.1:0"s
                                                                         : known->second);
    addresses_[index] = node->address();
  }

  void kill(int index) {
    nodes_.at(static_cast<std::size_t>(index))->kill();
  }

  void put_back_the_founder() {
    copy_folder(files_ / "older", folder(0));
  }

  [[nodiscard]] const std::string& address(int index) const {
    return addresses_.at(index);
  }

  [[nodiscard]] std::string others() const {
    return address(1) + "," + address(2);
  }

  [[nodiscard]] std::string folder(int index) const {
    return files_ / three_voters::name(index);
  }

  [[nodiscard]] bool has_its_value() {
    auto found = run({"get", "key", "--timeout", "20", "--at", others()}, 30s);
    UNSCOPED_INFO(found);
    return found.output == "value\n";
  }

  /// The node that leads, as this one has it; empty if none does.
  [[nodiscard]] std::string leader_by(int index) const {
    auto seen = run({"status", "--json", "--at", address(index)}).line();
    return seen["leader"].is_string() ? seen["leader"].get<std::string>() : std::string{};
  }

  /// Ends all.
  void must_agree_in_their_logs() {
    for (auto each = 0; each < 3; ++each)
      kill(each);
    must_agree({events(0), events(1), events(2)});
  }

private:
  [[nodiscard]] std::string events(int index) const {
    return files_ / (three_voters::name(index) + ".jsonl");
  }

  temporary_folder files_;
  std::map<int, std::string> addresses_;
  std::array<std::unique_ptr<running_node>, 3> nodes_;
};

/// Puts back the folder that a founder had before others voted, while those go on.
void put_back_a_founder(bool told_of_others) {
  need_command();
  auto led_since = GENERATE(false, true);
  CAPTURE(led_since);
  grown_cluster cluster{led_since};
  cluster.kill(0);
  REQUIRE(cluster.has_its_value());
  cluster.put_back_the_founder();
  cluster.start(0, told_of_others ? words{"--join", cluster.others()} : words{});
  for (auto end = std::chrono::steady_clock::now() + 8s; std::chrono::steady_clock::now() < end;)
    REQUIRE(cluster.has_its_value());
  if (told_of_others) { // it waits for their leader, and takes part again
    auto seen = run({"voters", "--json", "--at", cluster.others()}).line();
    for (auto& each : seen["voters"])
      if (each["node"] == "n0") {
        CHECK(each["votes"] == true);
        CHECK(each["lag"].is_number());
        CHECK(each["silent_s"].is_number());
        CHECK(each.value("lag", 999) < 20);
        CHECK(each.value("silent_s", 999.0) < 5);
      }
  }
  cluster.must_agree_in_their_logs();
}

} // namespace

TEST_CASE("a founder whose folder is from when it was alone overwrites nothing of its cluster",
          "[cluster][cli]") {
  put_back_a_founder(false);
}

TEST_CASE("a founder whose folder is from when it was alone waits for those that it is told of",
          "[cluster][cli]") {
  put_back_a_founder(true);
}

TEST_CASE(
  "a founder whose folder is from when it was alone overwrites nothing where all start anew",
  "[cluster][cli]") {
  need_command();
  auto led_since = GENERATE(false, true);
  CAPTURE(led_since);
  grown_cluster cluster{led_since};
  for (auto each = 0; each < 3; ++each)
    cluster.kill(each);
  cluster.put_back_the_founder();
  SECTION("it leads before the others come") {
    cluster.start(0, {});
    REQUIRE(comes_true([&] {
      return run({"put", "alone", "0", "--at", cluster.address(0)}).status == 0;
    }));
    cluster.start(1, {"--join", cluster.address(0)});
    cluster.start(2, {"--join", cluster.address(0)});
  }
  SECTION("all come at once") {
    cluster.start(1, {"--join", cluster.address(0)});
    cluster.start(0, {});
    cluster.start(2, {"--join", cluster.address(0)});
  }
  SECTION("another one is started again while it leads") {
    cluster.start(1, {});
    cluster.start(2, {});
    cluster.start(0, {});
    cluster.kill(1);
    cluster.start(1, {"--join", cluster.address(0)});
  }
  CHECK(comes_true([&] { return cluster.leader_by(0) != "n0" && cluster.has_its_value(); }));
  for (auto end = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < end;)
    REQUIRE(cluster.has_its_value());
  CHECK(run({"get", "alone", "--at", cluster.others()}).status == 1); // what it did alone
  cluster.must_agree_in_their_logs();
}

TEST_CASE(
  "a founder whose folder is from when it was alone hears of the others, though it has missed "
  "starts and is told of nobody",
  "[cluster][cli]") {
  need_command();
  grown_cluster cluster{false};
  for (auto life = 0; life < 3; ++life) {
    cluster.kill(0);
    cluster.start(0, {});
  }
  REQUIRE(cluster.has_its_value());
  cluster.kill(0);
  REQUIRE(cluster.has_its_value());
  cluster.put_back_the_founder();
  cluster.start(0, {});
  CHECK(comes_true([&] { return cluster.leader_by(0) != "n0"; }));
  CHECK(cluster.has_its_value());
  cluster.must_agree_in_their_logs();
}

TEST_CASE(
  "a founder whose folder is from when it was alone serves nobody beside one that knows what it "
  "has lost",
  "[cluster][cli]") {
  need_command();
  grown_cluster cluster{false};
  for (auto each = 0; each < 3; ++each)
    cluster.kill(each);
  cluster.put_back_the_founder();
  SECTION("it leads before the other one comes") {
    cluster.start(0, {});
    REQUIRE(comes_true([&] {
      return run({"put", "alone", "0", "--at", cluster.address(0)}).status == 0;
    }));
    cluster.start(1, {"--join", cluster.address(0)});
  }
  SECTION("it comes to one that waits") {
    cluster.start(1, {"--join", cluster.address(0)});
    cluster.start(0, {});
  }
  auto ask = [&](words command, int index) {
    command.insert(command.end(), {"--at", cluster.address(index), "--timeout", "2"});
    return run(command);
  };
  REQUIRE(comes_true([&] { // the copy is named as soon as it has answered, by its id at least
    auto said = ask({"get", "key"}, 1);
    INFO(said);
    CHECK(said.status == 1);
    return said.says("1 of 3 voters") && said.says("whose log lacks or contradicts");
  }));
  for (auto each : {0, 1}) {
    for (auto& command : {words{"put", "alone", "1"}, words{"get", "key"}}) {
      auto said = ask(command, each);
      INFO(said);
      CHECK(said.status == 1);
    }
    CHECK(cluster.leader_by(each).empty());
  }
  auto seen = run({"status", "--json", "--at", cluster.address(0)}).line();
  CHECK_THAT(seen.value("why", ""), ContainsSubstring("the disk of this node has lost"));
  cluster.start(2, {"--join", cluster.address(1)});
  CHECK(comes_true([&] { return cluster.leader_by(0) != "n0" && cluster.has_its_value(); }));
  CHECK(run({"get", "alone", "--at", cluster.others()}).status == 1);
  cluster.must_agree_in_their_logs();
}

TEST_CASE("the only voter that is left hears no older copy of the founder", "[cluster][cli]") {
  need_command();
  temporary_folder files;
  auto folder
    = [&](int index) -> std::filesystem::path { return files / three_voters::name(index); };
  auto start = [&](int index, const words& more, const std::string& listen = "127.0.0.1:0") {
    words how{
      "--name", three_voters::name(index), "--data", folder(index), "--timers", "lan", "--slots",
      "0"};
    how.insert(how.end(), more.begin(), more.end());
    return std::make_unique<running_node>(how, listen);
  };
  auto founder = start(0, {});
  auto first = founder->address();
  founder->process().send_signal(SIGSTOP);
  copy_folder(folder(0), files / "older");
  founder->process().send_signal(SIGCONT);
  auto left = start(1, {"--join", first});
  auto second = left->address();
  REQUIRE(comes_true([&] { return run({"voters", "add", "n1", "--at", first}).status == 0; }));
  REQUIRE(run({"leave", "--force", "--at", first}).status == 0);
  REQUIRE(comes_true([&] { return run({"put", "key", "value", "--at", second}).status == 0; }));
  founder->kill();
  left->kill();
  copy_folder(files / "older", folder(0));
  founder = start(0, {}, first);
  REQUIRE(comes_true([&] { return run({"put", "alone", "0", "--at", first}).status == 0; }));
  left = start(1, {}, second);
  auto has_its_value = [&] { return run({"get", "key", "--at", second}).output == "value\n"; };
  CHECK(comes_true(has_its_value));
  for (auto end = std::chrono::steady_clock::now() + 8s; std::chrono::steady_clock::now() < end;)
    REQUIRE(has_its_value());
}

TEST_CASE("nodes that are all killed and start again at once are members for each other again",
          "[cluster]") {
  need_command();
  temporary_folder folder;
  constexpr std::size_t count = 3;
  std::array<std::string, count> at;
  for (auto& each : at)
    each = "127.0.0.1:" + std::to_string(free_port());
  std::vector<child_process> nodes;
  auto start_all = [&] {
    nodes.clear();
    for (std::size_t number = 0; number < count; ++number) {
      auto name = three_voters::name(static_cast<int>(number));
      words how{"node",     "--insecure", "--json",      "--name",  name, "--listen",
                at[number], "--data",     folder / name, "--slots", "1"};
      if (number > 0)
        how.insert(how.end(), {"--join", at.front()});
      nodes.emplace_back(command_line(how));
    }
  };
  auto are_members = [&](std::size_t voters) {
    auto seen = run({"status", "--insecure", "--json", "--timeout", "2s", "--at", at.front()});
    if (seen.status != 0)
      return false;
    auto members = seen.line()["members"];
    return seen.line()["group"]["voters"].size() >= voters && members.size() == count
           && std::ranges::all_of(members, [](auto& each) { return each["status"] == "active"; });
  };
  start_all();
  REQUIRE(comes_true([&] { return are_members(count); }));
  for (auto round = 0; round < 10; ++round) {
    CAPTURE(round);
    for (auto& each : nodes)
      each.send_signal(SIGKILL);
    for (auto& each : nodes)
      each.wait_for_end();
    start_all();
    REQUIRE(comes_true([&] { return are_members(count); }, 30s));
  }
}
