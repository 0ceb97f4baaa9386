// The demo, as its users see it.

#include "troupe_command.hpp"

using namespace troupe::test;

TEST_CASE("the demo loses a worker, then the leader, and no result", "[cluster][cli]") {
  need_command();
  auto demo = run({"demo", "--json", "--seconds", "6"}, 60s);
  INFO(demo);
  REQUIRE(demo.status == 0);
  auto last = demo.lines().back();
  CHECK(last["event"] == "done");
  CHECK(last["tasks"].get<int>() >= 100);
  CHECK(last["completed"] == last["tasks"]);
  CHECK(last["recorded"] == last["tasks"]);
  CHECK(last["recorded_twice"] == 0);
  CHECK(last["nodes_lost"] == 2);
}

TEST_CASE("a demo that is interrupted leaves no process and no file behind", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  words command{"/usr/bin/env",
                "TMPDIR=" + (folder / "").string(),
                command_path(),
                "demo",
                "--json",
                "--seconds",
                "20"};
  troupe::testing::child_process demo{command};
  std::vector<pid_t> nodes;
  auto is_running = false;
  while (!is_running) {
    auto line = demo.read_line(20s);
    REQUIRE(line);
    auto said = json::parse(*line);
    if (said["event"] == "node")
      nodes.push_back(said["pid"].get<pid_t>());
    is_running = said["event"] == "progress";
  }
  CHECK(nodes.size() == 3);
  REQUIRE_FALSE(std::filesystem::is_empty(folder / ""));
  demo.send_signal(SIGINT);
  CHECK(demo.wait_for_end(10s) == 1);
  CHECK(std::filesystem::is_empty(folder / ""));
  for (auto each : nodes)
    CHECK(::kill(each, 0) == -1);
}

TEST_CASE("a demo that was killed leaves its files to the next one, which says nothing of nodes",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  auto begin_demo = [&](const words& more) {
    words command{"/bin/sh",      "-c",  "TMPDIR=\"$0\" exec \"$@\" 2>&1", (folder / "").string(),
                  command_path(), "demo"};
    command.insert(command.end(), more.begin(), more.end());
    return troupe::testing::child_process{command};
  };
  {
    auto killed = begin_demo({"--json", "--seconds", "20s"});
    REQUIRE(killed.read_line(20s));
    killed.send_signal(SIGKILL);
    killed.wait_for_end(10s);
  }
  auto left = [&] {
    std::filesystem::directory_iterator all{folder / ""};
    return std::distance(begin(all), end(all));
  };
  REQUIRE(left() == 1);
  std::filesystem::last_write_time(*std::filesystem::directory_iterator{folder / ""},
                                   std::filesystem::file_time_type::clock::now() - 2min);
  auto next = begin_demo({"--seconds", "3s"});
  auto done = finish(next, 60s);
  INFO(done);
  CHECK(done.status == 0);
  CHECK(left() == 0);
  CHECK_FALSE(done.says(" warning "));
  CHECK_FALSE(done.says(" info "));
}
