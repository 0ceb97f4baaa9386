// What an operator does to runs and locks by hand.

#include "three_voters.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <memory>

using namespace troupe::test;

namespace {

/// A task that goes on once there is the file `gate`, and says then that it has run.
json waiting_task(const std::string& id, const std::string& gate, const std::string& log,
                  const std::vector<std::string>& parents = {}) {
  auto script = "until [ -e " + gate + " ]; do sleep 0.02; done; echo " + id + " >> " + log
                + "; echo of " + id;
  return {{"id", id},
          {"run", "exec"},
          {"parents", parents},
          {"input", {{"argv", {"/bin/sh", "-c", script}}}}};
}

std::string flow_of(const std::vector<json>& tasks) {
  return json{{"schema", "troupe-dag/1"}, {"name", "by hand"}, {"tasks", tasks}}.dump();
}

/// The run with its tasks, as `troupe run` shows them by id.
struct shown_run {
  json run;
  std::map<std::string, json> tasks;
};

shown_run show(const std::string& run_id, const std::string& at, bool results = false) {
  words command{"run", run_id, "--json", "--at", at};
  if (results)
    command.emplace_back("--results");
  shown_run found;
  for (auto& line : run(command).lines())
    if (line.contains("task"))
      found.tasks[line["task"].get<std::string>()] = line;
    else
      found.run = line;
  return found;
}

bool is_state(const std::string& run_id, const std::string& task, const std::string& state,
              const std::string& at) {
  auto found = show(run_id, at);
  return found.tasks.contains(task) && found.tasks[task]["state"] == state;
}

} // namespace

TEST_CASE("a run is paused, outlives its leader so, is resumed and shown by command",
          "[cluster][cli]") {
  three_voters cluster;
  temporary_folder folder;
  std::string gate = folder / "gate";
  std::string log = folder / "log";
  running_node worker{
    {"--name", "worker", "--slots", "1", "--allow-exec", "--join", cluster.addresses()}};
  write_file(folder / "flow.json", flow_of({waiting_task("first", gate, log),
                                            waiting_task("second", gate, log, {"first"}),
                                            waiting_task("third", gate, log, {"second"})}));
  auto submit = start({"submit", folder / "flow.json", "--json", "--at", cluster.addresses()});
  auto submitted = json::parse(submit.read_line().value_or(""), nullptr, false);
  REQUIRE(submitted.value("event", "") == "submitted");
  auto id = submitted["run"].dump();
  REQUIRE(comes_true([&] { return is_state(id, "first", "running", cluster.addresses()); }));

  auto paused = run({"workflows", "pause", id, "--json", "--at", cluster.addresses()});
  INFO(paused);
  CHECK(paused.status == 0);
  CHECK(paused.line()["state"] == "paused");
  write_file(gate, "");
  REQUIRE(comes_true([&] { return is_state(id, "first", "completed", cluster.addresses()); }));
  auto leads = cluster.leader();
  cluster[leads].kill();
  cluster.leader(leads);
  cluster.start_node(leads);
  CHECK(is_state(id, "second", "ready", cluster.addresses())); // though its only parent is over
  CHECK(content_of(log) == "first\n");
  CHECK(show(id, cluster.addresses()).run["state"] == "paused");

  CHECK(run({"workflows", "resume", id, "--at", cluster.addresses()}).says("running"));
  auto end = finish(submit);
  INFO(end);
  CHECK(end.status == 0);
  CHECK(content_of(log) == "first\nsecond\nthird\n");
  auto found = show(id, cluster.addresses(), true);
  CHECK(found.run["state"] == "completed");
  CHECK(found.run["done"] == 3);
  CHECK(found.run["completed"] == 3);
  for (auto* task : {"first", "second", "third"}) {
    auto& each = found.tasks[task];
    INFO(each.dump());
    CHECK(each["state"] == "completed");
    CHECK(each["worker"] == "worker");
    CHECK(each["result"].get<std::string>().find("of "s + task) != std::string::npos);
  }
}

TEST_CASE("a submitted run is followed to its end, also while no majority is there",
          "[cluster][cli]") {
  three_voters cluster;
  temporary_folder folder;
  std::string gate = folder / "gate";
  std::string log = folder / "log";
  running_node worker{
    {"--name", "worker", "--slots", "1", "--allow-exec", "--join", cluster.addresses()}};
  write_file(folder / "flow.json", flow_of({waiting_task("first", gate, log)}));
  auto submit = start({"submit", folder / "flow.json", "--at", cluster.addresses()});
  REQUIRE(comes_true([&] { return is_state("1", "first", "running", cluster.addresses()); }));
  cluster[0].kill();
  cluster[1].kill();
  std::string seen;
  while (seen.find("was taken and is followed on") == std::string::npos) {
    auto line = submit.read_line(60s);
    INFO(seen);
    REQUIRE(line);
    seen += *line + '\n';
  }
  cluster.start_node(0);
  cluster.start_node(1);
  write_file(gate, "");
  auto end = finish(submit, 60s);
  INFO(seen);
  INFO(end);
  CHECK(end.status == 0);
  CHECK(content_of(log) == "first\n");
}

TEST_CASE("a submit that gets no answer ends when its --timeout is over", "[cluster][cli]") {
  three_voters cluster;
  temporary_folder folder;
  write_file(folder / "flow.json",
             flow_of({waiting_task("first", folder / "flow.json", "/dev/null")}));
  cluster[0].kill();
  cluster[1].kill();
  auto start = std::chrono::steady_clock::now();
  auto refused
    = run({"submit", folder / "flow.json", "--timeout", "2s", "--at", cluster.addresses()});
  INFO(refused);
  CHECK(refused.status != 0);
  CHECK(refused.says("error: "));
  CHECK(std::chrono::steady_clock::now() - start < 8s);
}

TEST_CASE("whoever submits hears at once what no worker offers, and what goes on without it",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--slots", "1"}};
  auto none = run({"workflows", "--at", node.address()});
  CHECK(none.output == "no workflows\n");
  write_file(folder / "flow.json", flow_of({{{"id", "first"}, {"run", "render"}},
                                            {{"id", "second"}, {"run", "render"}}}));
  auto submit = start({"submit", folder / "flow.json", "--at", node.address()});
  std::string seen;
  while (seen.find("2 ready: no worker offers the handler \"render\"") == std::string::npos) {
    auto line = submit.read_line(10s);
    INFO(seen);
    REQUIRE(line);
    seen += *line + '\n';
  }
  submit.send_signal(SIGINT);
  auto ended = finish(submit);
  INFO(ended);
  CHECK(ended.status == 130);
  CHECK(ended.says("run 1 goes on; see it with troupe run 1, cancel it with troupe workflows "
                   "cancel 1"));
  auto listed = run({"workflows", "--at", node.address()});
  INFO(listed);
  CHECK(listed.says("RUN  STATE    TASKS  TIME"));
  CHECK(listed.says("1    running  0/2    "));
  auto shown = run({"run", "1", "--at", node.address()});
  INFO(shown);
  CHECK(shown.says("  TASK    STATE  ATTEMPTS  TIME  WORKER\n"));
  CHECK(shown.says("  first   ready                          no worker offers"));
}

TEST_CASE("who submits does not wait longer than it wants to, and the run goes on",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--slots", "1"}};
  write_file(folder / "flow.json", flow_of({{{"id", "first"}, {"run", "render"}}}));
  words command{"submit", folder / "flow.json", "--key", "one", "--at", node.address()};
  auto with = [&](const words& more) {
    auto all = command;
    all.insert(all.end(), more.begin(), more.end());
    auto done = run(all);
    UNSCOPED_INFO(done);
    return done;
  };
  const std::string goes_on
    = "run 1 goes on; see it with troupe run 1, cancel it with troupe workflows cancel 1";
  auto detached = with({"--detach"});
  CHECK(detached.status == 0);
  CHECK(detached.output == "run 1: 1 task\n" + goes_on + '\n');
  auto again = with({"--detach", "--json"});
  CHECK(again.status == 0);
  REQUIRE(again.lines().size() == 1);
  CHECK(again.line() == json{{"event", "submitted"}, {"run", 1}, {"repeated", true}});
  auto late = with({"--within", "100ms"});
  CHECK(late.status == 3);
  CHECK(late.says("error: the time of --within is over; " + goes_on + '\n'));
  auto unreported = with({"--within", "100ms", "--json", "--report", folder / "run.svg"});
  CHECK(unreported.status == 3);
  CHECK(unreported.lines().back()["code"] == "timed_out");
  CHECK(unreported.says(goes_on + "; no report was written"));
  CHECK(with({"--within", "1s", "--detach"}).status == 2);
  CHECK(with({"--report", folder / "run.svg", "--detach"}).status == 2);
  CHECK(
    with({"--within", "0"}).says("--within: '0' is not a span from 10ms to 10000h (416 days); "));
  CHECK(run({"workflows", "--at", node.address()}).says("1    running  0/1    "));
}

TEST_CASE("whoever submits sees what the tasks came to", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--slots", "1", "--allow-exec"}};
  write_file(folder / "gate", "");
  write_file(folder / "flow.json", flow_of({waiting_task("first", folder / "gate", "/dev/null")}));
  auto done = run({"submit", folder / "flow.json", "--at", node.address()});
  INFO(done);
  CHECK(done.status == 0);
  CHECK(done.says("run 1: 1 task\n"));
  CHECK(done.says("\n  first  "));
  CHECK(done.says("of first"));
  CHECK(done.says("completed after "));
  CHECK_FALSE(done.says("e-"));
  auto as_json = run({"submit", folder / "flow.json", "--json", "--at", node.address()});
  INFO(as_json);
  auto last = as_json.lines().back();
  CHECK(last["event"] == "done");
  CHECK(last["results"]["first"].get<std::string>().find("of first") != std::string::npos);
}

TEST_CASE("a submitted run is followed into the cluster that recover makes", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string gate = folder / "gate";
  std::string log = folder / "log";
  write_file(folder / "flow.json", flow_of({waiting_task("first", gate, log)}));
  words options{"--slots", "1", "--allow-exec", "--data", folder / "data"};
  auto node = std::make_unique<running_node>(options);
  auto address = node->address();
  auto submit = start({"submit", folder / "flow.json", "--at", address});
  REQUIRE(comes_true([&] { return is_state("1", "first", "running", address); }));
  node->kill();
  REQUIRE(run({"recover", "--data", folder / "data"}).status == 0);
  node = std::make_unique<running_node>(options, address);
  write_file(gate, "");
  auto end = finish(submit, 90s);
  INFO(end);
  CHECK(end.status == 0);
}

TEST_CASE("a submitted run is not taken for that of another cluster with its number",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  write_file(folder / "mine.json",
             flow_of({waiting_task("mine", folder / "never", folder / "log")}));
  write_file(folder / "other.json", R"({"schema": "troupe-dag/1", "name": "other", "tasks": [
                                      {"id": "a", "runtime_s": 0}, {"id": "b", "runtime_s": 0}]})");
  words options{"--slots", "1", "--allow-exec"};
  auto node = std::make_unique<running_node>(options);
  auto address = node->address();
  auto submit = start({"submit", folder / "mine.json", "--at", address});
  REQUIRE(comes_true([&] { return is_state("1", "mine", "running", address); }));
  node->kill();
  node = std::make_unique<running_node>(options, address); // keeps nothing: another cluster
  REQUIRE(run({"submit", folder / "other.json", "--at", address}).status == 0);
  auto end = finish(submit, 90s);
  INFO(end);
  CHECK(end.status == 1);
  CHECK(end.says("its run 1 is 'other' with 2 tasks"));
  CHECK(end.says("how it ended cannot be seen any more"));
  CHECK_FALSE(end.says("completed"));
}

TEST_CASE("who submits under a key that is in use hears that the file was not", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string log = folder / "log";
  running_node node{{"--slots", "1", "--allow-exec"}};
  for (auto* task : {"one", "two"}) {
    write_file(folder / "flow.json", flow_of({waiting_task(task, folder / "flow.json", log)}));
    auto done = run({"submit", folder / "flow.json", "--key", "k", "--at", node.address()});
    INFO(done);
    CHECK(done.status == 0);
    CHECK(done.says("was not submitted") == (task == "two"s));
  }
  CHECK(content_of(log) == "one\n");
}

TEST_CASE("a run is cancelled by command, and its program with it", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string log = folder / "log";
  running_node node{{"--slots", "1", "--allow-exec"}};
  write_file(folder / "flow.json",
             flow_of({waiting_task("first", folder / "never", log),
                      waiting_task("second", folder / "never", log, {"first"})}));
  auto submit = start({"submit", folder / "flow.json", "--at", node.address()});
  REQUIRE(comes_true([&] { return is_state("1", "first", "running", node.address()); }));
  auto ran = [&] { return show("1", node.address()).tasks["first"]["ran_s"].get<double>(); };
  auto before = ran();
  CHECK(comes_true([&] { return ran() > before; })); // though nothing happens to it
  auto cancelled = run({"workflows", "cancel", "1", "--at", node.address()});
  INFO(cancelled);
  CHECK(cancelled.status == 0);
  auto end = finish(submit);
  INFO(end);
  CHECK(end.status == 1);
  CHECK(end.says("cancelled"));
  CHECK(comes_true([&] { return is_state("1", "first", "cancelled", node.address()); }));
  CHECK(content_of(log).empty());
  write_file(folder / "next.json", flow_of({waiting_task("next", folder / "next.json", log)}));
  auto next = run({"submit", folder / "next.json", "--at", node.address()});
  INFO(next);
  CHECK(next.status == 0); // the one slot is free: its program has ended

  auto again = run({"workflows", "cancel", "1", "--at", node.address()});
  CHECK(again.status == 0); // harmless
  for (auto* verb : {"pause", "resume"}) {
    auto late = run({"workflows", verb, "1", "--at", node.address()});
    INFO(late);
    CHECK(late.status == 1);
    CHECK(late.says("is over (cancelled)"));
  }
  CHECK(run({"workflows", "cancel", "2", "--at", node.address()}).says("is over (completed)"));
  auto skipped = show("1", node.address()).tasks["second"];
  CHECK(skipped["worker"].is_null());
  for (auto* number : {"01", "0x1", "-1", "0", "18446744073709551617", "one"}) {
    auto refused = run({"workflows", "cancel", number, "--at", node.address()});
    INFO(refused);
    CHECK(refused.status == 2);
    CHECK(run({"run", number, "--at", node.address()}).status == 2);
  }
  for (auto& command : std::vector<words>{{"run", "77"}, {"workflows", "pause", "77"}}) {
    auto asked = command;
    asked.insert(asked.end(), {"--at", node.address()});
    auto refused = run(asked);
    INFO(refused);
    CHECK(refused.status == 1);
    CHECK(refused.says("77"));
  }
  CHECK(run({"workflows", "pause", "--at", node.address()}).status == 2);
  CHECK(run({"workflows", "list", "1", "--at", node.address()}).status == 2);
  CHECK(run({"workflows", "stop", "1", "--at", node.address()}).status == 2);
}

TEST_CASE("an operator takes a lock from who holds it, and the next in line gets it",
          "[cluster][cli]") {
  three_voters cluster;
  words lock{"lock", "press", "--json", "--ttl", "2s", "--wait", "1m", "--at", cluster.addresses()};
  auto with = [&](const words& command) {
    auto all = lock;
    all.emplace_back("--");
    all.insert(all.end(), command.begin(), command.end());
    return start(all);
  };
  auto holder = with({"sleep", "60"});
  auto held = json::parse(holder.read_line().value_or("{}"), nullptr, false);
  REQUIRE(held.value("event", "") == "held");
  auto next = with({"true"});
  REQUIRE(comes_true([&] {
    return run({"locks", "--json", "--at", cluster.addresses()}).line()["waiting"] == 1;
  }));
  auto released = run({"locks", "--force-release", "press", "--json", "--at", cluster.addresses()});
  INFO(released);
  CHECK(released.status == 0);
  CHECK(released.line()["token"] == held["token"]);
  auto later = json::parse(next.read_line().value_or("{}"), nullptr, false);
  CHECK(later.value("token", std::uint64_t{0}) > held["token"].get<std::uint64_t>());
  CHECK(finish(next).status == 0);
  auto lost = finish(holder); // finds out when it renews, and ends its command
  INFO(lost);
  CHECK(lost.status != 0);
  auto empty = run({"locks", "--force-release=", "press", "--at", cluster.addresses()});
  INFO(empty);
  CHECK(empty.status == 2);
  CHECK(empty.says("--force-release= has no value"));
  auto none = run({"locks", "--force-release", "press", "--at", cluster.addresses()});
  INFO(none);
  CHECK(none.status == 1);
  CHECK(none.says("press"));
  auto nameless = run({"locks", "--force-release", "", "--at", cluster.addresses()});
  INFO(nameless);
  CHECK(nameless.status == 2);
}

TEST_CASE("what others call their locks does not write to the terminal", "[cluster][cli]") {
  need_command();
  running_node node{{}};
  auto show = [&](const std::string& name) {
    auto holder = start({"lock", name, "--json", "--at", node.address(), "--", "sleep", "60"});
    REQUIRE(holder.read_line());
    auto shown = run({"locks", "--at", node.address()});
    holder.send_signal(SIGTERM);
    finish(holder);
    return shown.output;
  };
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(show("evil\n\x1b[31mx"), ContainsSubstring("\nevil\\x0a\\x1b[31mx  "));
  CHECK_THAT(show("evil\xc2\x9b"
                  "31m\x7f\xc3\xbc"),
             ContainsSubstring("\nevil\\xc2\\x9b31m\\x7f\xc3\xbc  "));
}
