// What is left of a cluster when its machines are not.

#include "troupe_command.hpp"

#include <filesystem>
#include <string>

using namespace troupe::test;

namespace {

std::uint64_t token_of(const json& line) {
  return line.value("token", std::uint64_t{0});
}

/// Takes a lock for a moment and returns its token.
std::uint64_t take_lock(const std::string& at) {
  auto done = run({"lock", "door", "--json", "--ttl", "20s", "--at", at, "--", "true"});
  INFO(done);
  REQUIRE(done.status == 0);
  return token_of(done.line());
}

} // namespace

TEST_CASE("a backup begins a new cluster with all that the old one had", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  auto file = folder / "cluster.backup";
  std::uint64_t before = 0;
  {
    running_node old{{"--name", "old", "--slots", "0", "--data", folder / "old"}};
    REQUIRE(run({"put", "colour", "blue", "--at", old.address()}).status == 0);
    auto made = run({"backup", file, "--json", "--at", old.address()});
    INFO(made);
    REQUIRE(made.status == 0);
    before = take_lock(old.address()); // the backup does not know of this one
    old.kill();
  }
  auto restored = run({"restore", "--insecure", file, "--json", "--data", folder / "new"});
  INFO(restored);
  REQUIRE(restored.status == 0);
  running_node anew{{"--name", "old", "--slots", "0", "--data", folder / "new"}};
  running_node second{
    {"--name", "2nd", "--slots", "0", "--data", folder / "2", "--join", anew.address()}};
  running_node third{
    {"--name", "3rd", "--slots", "0", "--data", folder / "3", "--join", anew.address()}};
  CHECK(run({"get", "colour", "--at", second.address()}).output == "blue\n");
  CHECK(take_lock(third.address()) > before);
  // The names of those of the past are free.
  CHECK(comes_true([&] {
    return run({"request", "echo-old", "hello", "--at", second.address()}).output == "hello\n";
  }));
  CHECK(comes_true([&] { return run({"status", "--at", third.address()}).says("3 of 3 voters"); }));
}

TEST_CASE("a task of a cluster that is gone runs at once in the restored one", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  auto file = folder / "cluster.backup";
  const std::string gate = folder / "gate";
  words worker{"--slots", "1", "--allow-exec", "--data"};
  auto node_at = [&](const std::string& data) {
    auto how = worker;
    how.push_back(data);
    return how;
  };
  json task{
    {"id", "only"},
    {"run", "exec"},
    {"input",
     {{"argv", {"/bin/sh", "-c", "until [ -e '" + gate + "' ]; do sleep 0.02; done; echo done"}}}}};
  write_file(folder / "flow.json",
             json{{"schema", "troupe-dag/1"}, {"name", "old"}, {"tasks", {task}}}.dump());
  std::string id;
  {
    running_node old{node_at(folder / "old")};
    auto submitted
      = run({"submit", folder / "flow.json", "--detach", "--json", "--at", old.address()});
    INFO(submitted);
    REQUIRE(submitted.status == 0);
    id = submitted.line()["run"].dump();
    REQUIRE(comes_true([&] { return run({"run", id, "--at", old.address()}).says("running"); }));
    REQUIRE(run({"backup", file, "--at", old.address()}).status == 0);
    old.kill();
  }
  write_file(gate, "");
  auto restored = run({"restore", "--insecure", file, "--data", folder / "new"});
  INFO(restored);
  REQUIRE(restored.status == 0);
  running_node anew{node_at(folder / "new")};
  CHECK(comes_true([&] {
    return run({"status", "--json", "--at", anew.address()}).line().value("workers", 0) == 1;
  }));
  CHECK(comes_true([&] {
    return run({"run", id, "--results", "--at", anew.address()}).says("done");
  }));
}

TEST_CASE("a voter goes on alone when the majority is gone for good", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::uint64_t before = 0;
  {
    running_node first{{"--name", "n1", "--slots", "0", "--timers", "lan", "--data", folder / "1"}};
    running_node second{{"--name", "n2", "--slots", "0", "--timers", "lan", "--data", folder / "2",
                         "--join", first.address()}};
    running_node third{{"--name", "n3", "--slots", "0", "--timers", "lan", "--data", folder / "3",
                        "--join", first.address()}};
    REQUIRE(comes_true([&] {
      return run({"status", "--at", third.address()}).says("3 of 3 voters");
    }));
    REQUIRE(run({"put", "colour", "blue", "--at", third.address()}).status == 0);
    before = take_lock(third.address());
    first.kill();
    second.kill();
    third.kill();
  }
  auto recover = [&](const words& more) {
    words how{"recover", "--json", "--data", folder / "3"};
    how.insert(how.end(), more.begin(), more.end());
    auto done = run(how);
    INFO(done);
    REQUIRE(done.status == 0);
    return done.line();
  };
  auto first_look = recover({"--dry-run"});
  CHECK(first_look["event"] == "recoverable");
  CHECK(first_look["entry"] > 0);
  CHECK(recover({"--dry-run"}) == first_look);
  auto recovered = recover({});
  CHECK(recovered["event"] == "recovered");
  CHECK(recovered["term"] == first_look["term"]);
  CHECK(recovered["entry"] == first_look["entry"]);
  running_node alone{{"--name", "n3", "--slots", "0", "--data", folder / "3"}};
  CHECK(alone.ready()["host"] == true);
  CHECK(run({"get", "colour", "--at", alone.address()}).output == "blue\n");
  CHECK(take_lock(alone.address()) > before);
}

TEST_CASE("a backup is written over nothing, and restored over nothing", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  auto file = folder / "cluster.backup";
  running_node node{{"--name", "old", "--slots", "0", "--data", folder / "old"}};
  write_file(file, "the only copy");
  auto refused = run({"backup", file, "--at", node.address()});
  INFO(refused);
  CHECK(refused.status == 2);
  CHECK(refused.says("cluster.backup exists already, and a backup replaces no file; give another"));
  CHECK(content_of(file) == "the only copy");
  std::filesystem::remove(file);
  REQUIRE(run({"backup", file, "--at", node.address()}).status == 0);
  auto running = run({"restore", "--insecure", file, "--data", folder / "old"});
  CHECK(running.status == 1);
  REQUIRE(run({"restore", "--insecure", file, "--data", folder / "new"}).status == 0);
  auto again = run({"restore", "--insecure", file, "--data", folder / "new"});
  INFO(again);
  CHECK(again.status == 1);
  auto unsigned_name
    = run({"restore", "--insecure", file, "--data", folder / "n2", "--name", "second"});
  INFO(unsigned_name);
  CHECK(unsigned_name.status == 2);
  CHECK(unsigned_name.says("--name stands in the certificate"));
  CHECK(run({"restore", file, "--data", folder / "n2", "--name", std::string(65, 'x')}).status
        == 2);
  CHECK_FALSE(std::filesystem::exists(folder / "n2"));
  auto named = run({"restore", file, "--data", folder / "n2", "--name", "second"});
  INFO(named);
  REQUIRE(named.status == 0);
  auto admitted = run({"ca", "list", "--json", "--data", folder / "n2"}).line();
  CHECK(admitted["name"] == "second");
  CHECK(run({"recover", "--data", folder / "old"}).says("running node"));
}

TEST_CASE("backups and folders that are none are refused", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  write_file(folder / "short", "abc");
  auto refused = run({"restore", "--insecure", folder / "short", "--data", folder / "new"});
  INFO(refused);
  CHECK(refused.status == 2);
  CHECK(refused.says("checksum"));
  CHECK(
    run({"restore", "--insecure", folder / "none", "--data", folder / "new"}).says("no such file"));
  CHECK(run({"restore", "--insecure", folder / ".", "--data", folder / "new"})
          .says("not a regular file"));
  write_file(folder / "huge", "abc");
  std::filesystem::resize_file(folder / "huge", std::uintmax_t{1} << 32U); // takes no room
  auto huge = run({"restore", "--insecure", folder / "huge", "--data", folder / "new"});
  INFO(huge);
  CHECK(huge.status == 2);
  CHECK_FALSE(std::filesystem::exists(folder / "new"));
  CHECK(run({"recover", "--data", folder / "none"}).status == 2);
  std::filesystem::create_directory(folder / "empty");
  auto nothing = run({"recover", "--dry-run", "--data", folder / "empty"});
  INFO(nothing);
  CHECK(nothing.status == 2);
  CHECK(std::filesystem::is_empty(folder / "empty"));
  running_node in_memory{{"--name", "n1", "--slots", "0"}};
  auto none = run({"backup", folder / "b", "--at", in_memory.address(), "--timeout", "1"});
  INFO(none);
  CHECK(none.status == 1);
  CHECK(none.says("--data"));
  CHECK_FALSE(std::filesystem::exists(folder / "b"));
}
