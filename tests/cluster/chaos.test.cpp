// Real clusters that are broken on purpose, and what their clients saw.

#include "troupe/sim/history.hpp"
#include "troupe/storage/database.hpp"
#include "troupe_command.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace std::literals;
using namespace troupe::test;

namespace {

/// Runs a workload on three nodes under one fault after the other, and checks what the command
/// says of it.
void check_chaos(const std::string& workload, std::size_t at_least, const words& more = {}) {
  need_command();
  temporary_folder folder;
  auto file = (folder / "history.jsonl").string();
  auto raft_log = (folder / "raft").string();
  words command{"chaos",  "--json", "--workload", workload, "--seconds",  "15",
                "--seed", "7",      "--history",  file,     "--raft-log", raft_log};
  command.insert(command.end(), more.begin(), more.end());
  auto done = run(command, 100s);
  INFO(done);
  REQUIRE(done.status == 0);
  auto last = done.lines().back();
  CHECK(last["event"] == "done");
  CHECK(last["linearizable"] == true);
  CHECK(last["faults"].size() >= 1);
  CHECK(last["ok"].get<std::size_t>() >= at_least);
  for (auto* node : {"n1", "n2", "n3"})
    CHECK(std::filesystem::file_size(folder / "raft" / (node + ".jsonl"s)) > 1'000);
  std::ifstream in{file};
  auto history = troupe::sim::read_history(in);
  REQUIRE(history);
  CHECK(history->operations().size() == last["operations"].get<std::size_t>());
}

} // namespace

TEST_CASE("registers are linearizable while processes are killed, stopped and cut off",
          "[cluster][chaos]") {
  check_chaos("register", 100);
}

TEST_CASE("tables are linearizable while processes are killed, stopped and cut off",
          "[cluster][chaos]") {
  check_chaos("kv", 100);
}

TEST_CASE("a queue in strong state is linearizable while processes are killed, stopped and cut off",
          "[cluster][chaos]") {
  check_chaos("queue", 50);
}

TEST_CASE("locks are linearizable while processes are killed, stopped and cut off",
          "[cluster][chaos]") {
  check_chaos("lock", 50);
}

TEST_CASE("leases last as long as was granted, and their tokens rise, under all faults",
          "[cluster][chaos]") {
  check_chaos("lease", 20);
}

TEST_CASE("each task of a workflow has one result while processes are killed, stopped and cut off",
          "[cluster][chaos]") {
  check_chaos("scheduler", 10);
}

TEST_CASE("troupe chaos says what it does not know", "[cluster][cli]") {
  need_command();
  CHECK(run({"chaos", "--workload", "nothing"}).status == 2);
  CHECK(run({"chaos", "--faults", "kill_leader,rain"}).status == 2);
  CHECK(run({"chaos", "--nodes", "2"}).status == 2);
  temporary_folder folder;
  std::ofstream{folder / "n1.jsonl"} << "of another run\n";
  CHECK(run({"chaos", "--raft-log", (folder / "").string()}).status == 2);
  CHECK(run({"node", "--raft-log", (folder / "log").string()}).status == 2);
}

TEST_CASE("chaos that is interrupted leaves no process and no file behind", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  words command{"/usr/bin/env",
                "TMPDIR=" + (folder / "").string(),
                command_path(),
                "chaos",
                "--json",
                "--seconds",
                "60"};
  troupe::testing::child_process chaos{command};
  auto line = chaos.read_line(30s);
  REQUIRE(line);
  CHECK(json::parse(*line)["event"] == "started");
  REQUIRE_FALSE(std::filesystem::is_empty(folder / ""));
  chaos.send_signal(SIGINT);
  CHECK(chaos.wait_for_end(20s) == 1);
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
