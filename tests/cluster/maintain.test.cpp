// Maintenance by hand: a node that takes no new tasks for a while.

#include <algorithm>

#include "troupe_command.hpp"

using namespace troupe::test;

namespace {

/// Runs a workflow of that many tasks, one after the other on each slot, and returns where each
/// ran: the process of the node.
words places_of_tasks(const std::string& at, int tasks) {
  temporary_folder folder;
  std::string log = folder / "log";
  auto list = json::array();
  for (auto each = 0; each < tasks; ++each)
    list.push_back(
      {{"id", "t" + std::to_string(each)},
       {"run", "exec"},
       {"input",
        {{"argv",
          {"/bin/sh", "-c", "cut -d' ' -f4 /proc/$PPID/stat >> " + log + "; sleep 0.2"}}}}});
  write_file(folder / "flow.json",
             json{{"schema", "troupe-dag/1"}, {"name", "where"}, {"tasks", list}}.dump());
  auto done = run({"submit", folder / "flow.json", "--at", at});
  INFO(done);
  CHECK(done.status == 0);
  std::istringstream text{content_of(log)};
  words result;
  for (std::string each; text >> each;)
    result.push_back(each);
  return result;
}

bool names(const words& among, const running_node& node) {
  auto wanted = std::to_string(const_cast<running_node&>(node).process().pid());
  return std::ranges::find(among, wanted) != among.end();
}

/// That node is there, and ends. Without a data folder it is another node in each life.
void come_and_go(const words& how, const std::string& at, int signal) {
  running_node node{how};
  REQUIRE(comes_true([&] { return member(at, "n2")["status"] == "active"; }));
  node.process().send_signal(signal);
  node.process().wait_for_end();
}

} // namespace

TEST_CASE("a node in maintenance gets no new tasks and finishes what it runs", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string begun = folder / "begun";
  running_node host{{"--name", "n1", "--slots", "0"}};
  auto at = host.address();
  running_node first{{"--name", "n2", "--slots", "2", "--allow-exec", "--join", at}};
  REQUIRE(comes_true([&] { return run({"status", "--at", at}).says(" 1 worker with"); }));
  write_file(folder / "long.json", json{{"schema", "troupe-dag/1"},
                                        {"name", "long"},
                                        {"tasks",
                                         {{{"id", "long"},
                                           {"run", "exec"},
                                           {"input",
                                            {{"argv",
                                              {"/bin/sh", "-c",
                                               "echo yes > " + begun + "; while [ -e " + begun
                                                 + " ]; do sleep 0.05; done; echo done"}}}}}}}}
                                     .dump());
  auto running = start({"submit", folder / "long.json", "--json", "--at", at});
  REQUIRE(comes_true([&] { return content_of(begun) == "yes\n"; }));
  auto rests = run({"maintain", "n2", "--json", "--at", at});
  INFO(rests);
  REQUIRE(rests.status == 0);
  CHECK(rests.line()["event"] == "maintenance");
  CHECK(rests.line()["node"] == "n2");
  CHECK(rests.line()["id"] == first.ready()["id"]);
  CHECK(rests.line()["on"] == true);
  CHECK(member(at, "n2")["status"] == "maintenance");
  auto heard = run({"request", "echo-n2", "are you there?", "--at", at});
  INFO(heard);
  CHECK(heard.output == "are you there?\n"); // its agents get messages all the same
  running_node second{{"--name", "n3", "--slots", "1", "--allow-exec", "--join", at}};
  REQUIRE(comes_true([&] { return run({"status", "--at", at}).says("2 workers"); }));
  auto places = places_of_tasks(at, 3);
  CHECK(places.size() == 3);
  CHECK_FALSE(names(places, first));
  std::filesystem::remove(begun);
  auto ended = finish(running);
  INFO(ended);
  CHECK(ended.status == 0); // it has finished what it had
  auto works = run({"maintain", "n2", "--off", "--at", at});
  INFO(works);
  CHECK(works.status == 0);
  CHECK(works.says("node n2 takes tasks again"));
  CHECK(member(at, "n2")["status"] == "active");
  CHECK(names(places_of_tasks(at, 6), first));
}

TEST_CASE("a node with a data folder is in maintenance until that is ended, over restarts",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node host{{"--name", "n1", "--slots", "1", "--allow-exec"}};
  auto at = host.address();
  words options{"--name", "n2", "--slots", "4",          "--allow-exec",
                "--join", at,   "--data",  folder / "n2"};
  {
    running_node first{options};
    REQUIRE(comes_true([&] { return member(at, "n2")["status"] == "active"; }));
    REQUIRE(run({"maintain", first.ready()["id"], "--at", at}).status == 0); // by its id
    first.kill();
  }
  running_node again{options};
  REQUIRE(comes_true([&] { return run({"status", "--at", at}).says("2 workers"); }));
  REQUIRE(comes_true([&] { return member(at, "n2")["status"] == "maintenance"; }));
  CHECK_FALSE(names(places_of_tasks(at, 4), again));
  REQUIRE(run({"maintain", "n2", "--off", "--at", at}).status == 0);
  CHECK(names(places_of_tasks(at, 6), again));
}

TEST_CASE("a name is that of the node that is there, not of its earlier lives", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  auto at = host.address();
  const words how{"--name", "n2", "--slots", "0", "--join", at};
  come_and_go(how, at, SIGKILL);
  REQUIRE(comes_true([&] { return member(at, "n2")["status"] == "disconnected"; }, 30s));
  running_node again{how};
  std::string id = again.ready()["id"];
  REQUIRE(comes_true([&] {
    auto status = run({"status", "--json", "--at", at});
    return std::ranges::any_of(status.line().value("members", json::array()), [&](auto& each) {
      return each["id"] == id && each["status"] == "active";
    });
  }));
  auto rests = run({"maintain", "n2", "--json", "--at", at});
  INFO(rests);
  REQUIRE(rests.status == 0);
  CHECK(rests.line()["id"] == id);
}

TEST_CASE("a name is not that of a node that has stopped", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  auto at = host.address();
  const words how{"--name", "n2", "--slots", "0", "--join", at};
  come_and_go(how, at, SIGTERM);
  running_node again{how};
  for (auto& command : {words{"maintain", "n2"}, {"inbox", "--node", "n2"}, {"inbox"}}) {
    auto asked = command;
    asked.insert(asked.end(), {"--json", "--at", at});
    auto said = run(asked);
    INFO(said);
    CHECK(said.status == 0);
  }
  auto works = run({"maintain", "n2", "--off", "--json", "--at", at});
  INFO(works);
  REQUIRE(works.status == 0);
  CHECK(works.line()["id"] == again.ready()["id"]);
}

TEST_CASE("agents of a node that has stopped are there again as soon as it is", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  auto at = host.address();
  const words how{"--name", "n2", "--slots", "0", "--join", at};
  come_and_go(how, at, SIGTERM);
  running_node again{how};
  // A node with a data folder would keep the name for 5 s, and the next try is 10 s later.
  CHECK(comes_true([&] { return run({"send", "--at", at, "echo-n2", "x"}).status == 0; }, 8s));
}

TEST_CASE("maintenance of a node that is not there is refused", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  auto none = run({"maintain", "nobody", "--at", host.address()});
  INFO(none);
  CHECK(none.status == 1);
  CHECK(none.says("no node is called 'nobody'; see troupe status"));
}
