// Programs as tasks of a workflow, on nodes that allow it.

#include "troupe_command.hpp"

using namespace troupe::test;

namespace {

json shell(const std::string& script) {
  return {{"argv", {"/bin/sh", "-c", script}}};
}

/// For scripts: the process of the node. The parent of a program is the one that keeps it.
const std::string worker = "$(cut -d' ' -f4 /proc/$PPID/stat)";

std::string flow(const json& tasks) {
  return json{{"schema", "troupe-dag/1"}, {"name", "programs"}, {"tasks", tasks}}.dump();
}

} // namespace

TEST_CASE("programs of a workflow run on the node that allows it", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string made = folder / "made";
  running_node host{{"--name", "n1", "--slots", "2"}};
  running_node runner{{"--name", "n2", "--slots", "2", "--join", host.address(), "--allow-exec"}};
  write_file(folder / "flow.json",
             flow({{{"id", "write"},
                    {"run", "exec"},
                    {"input", {{"argv", {"tee", made}}, {"stdin", "by a task\n"}}}},
                   {{"id", "more"},
                    {"run", "exec"},
                    {"parents", {"write"}},
                    {"input", shell("echo of " + worker + " >> " + made)}}}));
  auto done = run({"submit", folder / "flow.json", "--json", "--at", host.address()});
  INFO(done);
  CHECK(done.status == 0);
  // Not the other node, which would have run it, too, if it could.
  CHECK(content_of(made) == "by a task\nof " + std::to_string(runner.process().pid()) + "\n");

  write_file(
    folder / "wrong.json",
    flow({{{"id", "fails"}, {"run", "exec"}, {"input", shell("echo no such luck >&2; exit 9")}}}));
  auto failed = run({"submit", folder / "wrong.json", "--at", host.address()});
  INFO(failed);
  CHECK(failed.status == 1);
  CHECK(failed.says("ended with status 9"));
  CHECK(failed.says("no such luck"));
}

TEST_CASE("the priorities of a workflow file order what one slot runs", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string log = folder / "log";
  running_node node{{"--slots", "1", "--allow-exec"}};
  auto tasks = json::array();
  for (auto priority : {10, -5, 1'000, 11, 12})
    tasks.push_back({{"id", "of " + std::to_string(priority)},
                     {"run", "exec"},
                     {"priority", priority},
                     {"input", shell("echo " + std::to_string(priority) + " >> " + log)}});
  write_file(folder / "flow.json", flow(tasks));
  auto done = run({"submit", folder / "flow.json", "--at", node.address()});
  INFO(done);
  CHECK(done.status == 0);
  CHECK(content_of(log) == "1000\n12\n11\n10\n-5\n");
}

TEST_CASE("a program dies with the node that runs it, and so does all that it has started",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string made = folder / "made";
  running_node node{{"--name", "n1", "--allow-exec"}};
  write_file(folder / "flow.json",
             flow({{{"id", "long"},
                    {"run", "exec"},
                    {"input", shell("sleep 600 & one=$!; "
                                    "two=$(setsid sh -c 'sleep 600 >/dev/null & echo $!'); "
                                    "echo $$ $one $two > "
                                    + made + ".new; mv " + made + ".new " + made + "; wait")}}}));
  auto submit = start({"submit", folder / "flow.json", "--at", node.address()});
  REQUIRE(comes_true([&] { return !content_of(made).empty(); }));
  std::istringstream numbers{content_of(made)};
  words programs;
  for (std::string each; numbers >> each;)
    programs.push_back("/proc/" + each + "/cmdline");
  REQUIRE(programs.size() == 3);
  for (auto& each : programs)
    CHECK_FALSE(content_of(each).empty());
  node.kill();
  for (auto& each : programs)
    CHECK(comes_true([&] { return content_of(each).empty(); })); // or a zombie
}

TEST_CASE("a node offers what its flags say, and tasks that need more go elsewhere",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node host{{"--name", "n1", "--slots", "4", "--allow-exec"}};
  running_node large{{"--name", "n2", "--slots", "4", "--join", host.address(), "--cpus", "2.5",
                      "--gpus", "1", "--memory", "1GB", "--label", "disk=fast", "--label", "zone=a",
                      "--allow-exec"}};
  std::string log = folder / "log";
  auto needs = json{{"gpus", 1},
                    {"cores", 2},
                    {"memory_bytes", 1'000'000},
                    {"labels", {{"disk", "fast"}, {"zone", "a"}}}};
  auto tasks = json::array();
  for (auto* each : {"a", "b"}) {
    auto task = needs;
    task.update({{"id", each},
                 {"run", "exec"},
                 {"input", shell("echo " + worker + " begins >> " + log + "; sleep 0.2; echo "
                                 + worker + " ends >> " + log)}});
    tasks.push_back(task);
  }
  write_file(folder / "flow.json", flow(tasks));
  auto done
    = run({"submit", folder / "flow.json", "--resources", "--json", "--at", host.address()});
  INFO(done);
  CHECK(done.status == 0);
  auto who = std::to_string(large.process().pid());
  auto one = who + " begins\n" + who + " ends\n";
  CHECK(content_of(log) == one + one); // one after the other: there is one GPU
  auto wrong = run({"node", "--listen", "127.0.0.1:0", "--label", "fast"});
  INFO(wrong);
  CHECK(wrong.status == 2);
  CHECK(
    wrong.says("error: --label: 'fast' is no label; give NAME=VALUE; see troupe node --help\n"));
}
