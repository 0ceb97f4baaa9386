// Nodes as processes: how they meet, what they are asked, what their end does to others.

#include "../../examples/troupe/end_requests.hpp"
#include "troupe_command.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <map>
#include <set>

using namespace troupe::test;

namespace {

json status_at(const std::string& address) {
  return run({"status", "--json", "--at", address}).line();
}

/// The members of a cluster with this status, by name.
std::set<std::string> members_with(const std::string& status, const std::string& address) {
  std::set<std::string> result;
  auto seen = status_at(address);
  for (auto& each : seen.value("members", json::array()))
    if (each["status"] == status)
      result.insert(each["node"].get<std::string>());
  return result;
}

void await_workers(int count, const std::string& address) {
  REQUIRE(comes_true([&] { return status_at(address).value("workers", 0) == count; }));
}

} // namespace

TEST_CASE("what the command prints stays whole beside its log", "[cluster][cli]") {
  constexpr auto count = 20'000;
  troupe::testing::child_process process{{"/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1",
                                          TROUPE_BIN_DIR "/lines_program", std::to_string(count)}};
  auto printed = 0;
  while (auto line = process.read_line())
    if (*line != "a line of the log")
      REQUIRE(*line == json{{"number", printed++}}.dump());
  CHECK(printed == count);
}

TEST_CASE("a node is ready when it has joined, and says before that it looks for its cluster",
          "[cluster][cli]") {
  need_command();
  std::string address;
  {
    running_node once{{"--slots", "0"}};
    address = once.address();
    once.kill();
  }
  words command{"node",     "--name",      "n2",     "--slots", "0",
                "--listen", "127.0.0.1:0", "--join", address};
  auto line_with = [](troupe::testing::child_process& process, const std::string& what) {
    std::string seen;
    while (auto line = process.read_line(20s)) {
      if (line->find(what) != std::string::npos)
        return *line;
      seen += *line + '\n';
    }
    return "no such line: " + seen;
  };
  auto start_one = [&](const words& more) {
    auto line = command;
    line.insert(line.end(), {"--identity", test_ca().make_identity()});
    line.insert(line.end(), more.begin(), more.end());
    return start(line);
  };
  auto early = start_one({});
  auto as_json = start_one({"--json"});
  auto looks = line_with(early, "node n2 ");
  CHECK(looks.find("node n2 listens at port ") == 0);
  CHECK(looks.ends_with(" and looks for its cluster"));
  auto ready = json::parse(line_with(as_json, "\"ready\""), nullptr, false);
  CHECK(ready.value("joined", true) == false);
  running_node first{{"--slots", "0"}, address};
  CHECK(line_with(early, " is ready").starts_with("node n2 is ready at port "));
  CHECK(first.ready()["joined"] == true);
}

TEST_CASE("two nodes know each other's agents and pass messages on", "[cluster][cli]") {
  need_command();
  running_node first{{"--name", "n1", "--slots", "2"}};
  running_node second{{"--name", "n2", "--slots", "3", "--join", first.address()}};
  CHECK(first.ready()["host"] == true);
  CHECK(second.ready()["host"] == false);
  auto answers = [](const std::string& agent, const std::string& at) {
    auto done = run({"request", agent, "hello", "--at", at});
    UNSCOPED_INFO(done);
    return done.status == 0 && done.output == "hello\n";
  };
  // At once, as a script does once both are ready.
  CHECK(answers("echo-n2", first.address()));
  CHECK(answers("echo-n1", second.address()));
  CHECK(run({"send", "echo-n2", "hello", "--at", first.address()}).status == 0);

  auto listed = run({"agents", "--json", "--at", second.address()});
  INFO(listed);
  std::set<std::string> agents;
  for (auto& each : listed.lines())
    agents.insert(each["agent"].get<std::string>() + " at " + each["node"].get<std::string>());
  CHECK(agents == std::set<std::string>{"echo-n1 at n1", "echo-n2 at n2"});

  await_workers(2, second.address());
  auto status = status_at(second.address());
  INFO(status.dump());
  CHECK(members_with("active", second.address()) == std::set<std::string>{"n1", "n2"});
  CHECK(status["leader"] == "n1");
  CHECK(status["slots"] == 5);
  CHECK(status["agents"]["active"] == 2);
  CHECK(run({"status", "--at", first.address()}).says("2 members"));

  auto nobody = run({"request", "nobody", "hello", "--at", first.address()});
  INFO(nobody);
  CHECK(nobody.status == 1);
  CHECK(nobody.says("error: "));
  CHECK(run({"send", "nobody", "hello", "--at", first.address()}).status == 1);

  second.process().send_signal(SIGTERM);
  CHECK(second.process().wait_for_end() == 0);
  first.process().send_signal(SIGTERM);
  CHECK(first.process().wait_for_end() == 0);
}

TEST_CASE("a workflow outlives the worker that runs half of it", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "1"}};
  running_node worker{{"--name", "n2", "--slots", "4", "--join", host.address()}};
  await_workers(2, host.address());
  // More than the host has slots for, so the other runs some.
  submitted_diamond flow{host.address(), 6, 3};
  worker.kill();
  flow.must_complete();
  auto runs = run({"workflows", "--json", "--at", host.address()});
  INFO(runs);
  CHECK(runs.line()["state"] == "completed");
  CHECK(members_with("disconnected", host.address()) == std::set<std::string>{"n2"});
}

TEST_CASE("a cluster goes on where its host was killed", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  words durable{"--name", "n1", "--slots", "0", "--data", folder / "n1"};
  std::optional<running_node> host{durable};
  auto address = host->address();
  running_node member{{"--name", "n2", "--slots", "2", "--join", address}};
  REQUIRE(run({"put", "colour", "blue", "--at", address}).status == 0);
  auto holder
    = start({"lock", "press", "--json", "--ttl", "20s", "--at", address, "--", "sleep", "60"});
  auto held = json::parse(holder.read_line().value_or("{}"), nullptr, false);
  REQUIRE(held.value("event", "") == "held");
  submitted_diamond flow{address, 6, 2, {"--key", "k"}};

  host->kill();
  host.emplace(durable, address);
  CHECK(host->ready()["host"] == true);

  flow.must_complete();
  CHECK(run({"get", "colour", "--at", address}).output == "blue\n");
  auto locks = run({"locks", "--json", "--at", address});
  INFO(locks);
  CHECK(locks.line()["lock"] == "press");
  CHECK(locks.line()["holders"][0]["token"] == held["token"]);
  CHECK(comes_true([&] {
    return members_with("active", address) == std::set<std::string>{"n1", "n2"};
  }));
  auto again = run({"submit", flow.file(), "--json", "--key", "k", "--at", address});
  INFO(again);
  CHECK(again.line()["repeated"] == true);
}

TEST_CASE("values put are seen by those who get and watch them", "[cluster][cli]") {
  need_command();
  running_node node{{"--name", "n1", "--slots", "0"}};
  auto nothing = run({"get", "colour", "--at", node.address()});
  INFO(nothing);
  CHECK(nothing.status == 1);
  CHECK(nothing.says("error: "));
  auto watch = start({"watch", "colour", "--json", "--at", node.address()});
  auto next = [&] { return json::parse(watch.read_line().value_or("{}"), nullptr, false); };
  for (auto* value : {"red", "gr\"ün", ""}) {
    REQUIRE(run({"put", "colour", value, "--at", node.address()}).status == 0);
    auto seen = next();
    INFO(seen.dump());
    CHECK(seen["event"] == "put");
    CHECK(seen["value"] == value);
  }
  CHECK(run({"get", "colour", "--json", "--at", node.address()}).line()["value"] == "");
  // The same text at another level is another key.
  auto elsewhere = run({"get", "colour", "--level", "causal", "--at", node.address()});
  INFO(elsewhere);
  CHECK(elsewhere.status == 1);
  CHECK(elsewhere.says("error: no key 'colour' at level causal; "));
  watch.send_signal(SIGTERM);
  CHECK(watch.wait_for_end() == 0);
}

TEST_CASE("values are listed by the beginning of their keys, and removed", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto at = node.address();
  CHECK(run({"list", "--at", at}).output == "KEY  BYTES  VERSION  EXPIRES\n");
  for (auto* key : {"jobs/a", "jobs/b", "other"})
    REQUIRE(run({"put", key, "four", "--at", at}).status == 0);
  REQUIRE(run({"put", "jobs/c", "x", "--level", "causal", "--at", at}).status == 0);
  auto shown = run({"list", "jobs/", "--json", "--at", at});
  INFO(shown);
  REQUIRE(shown.lines().size() == 2);
  CHECK(shown.line()["key"] == "jobs/a");
  CHECK(shown.line()["bytes"] == 4);
  CHECK(shown.line()["expires_at"] == nullptr);
  CHECK(shown.line(1)["key"] == "jobs/b");
  CHECK(run({"list", "--level", "causal", "--at", at}).says("jobs/c  1"));
  auto removed = run({"remove", "jobs/a", "--at", at});
  INFO(removed);
  CHECK(removed.status == 0);
  CHECK(removed.output == "removed\n");
  CHECK(run({"get", "jobs/a", "--at", at}).status == 1);
  CHECK(run({"list", "jobs/", "--json", "--at", at}).lines().size() == 1);
  auto again = run({"remove", "jobs/a", "--at", at});
  INFO(again);
  CHECK(again.status == 1);
  CHECK(again.says(" has no value; troupe list shows the keys\n"));
  CHECK(run({"remove", "", "--at", at}).status == 2);
}

TEST_CASE("a value that is put with --ttl expires", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto at = node.address();
  REQUIRE(run({"put", "long", "v", "--ttl", "1h", "--at", at}).status == 0);
  auto shown = run({"list", "--json", "--at", at});
  INFO(shown);
  CHECK(shown.line()["expires_at"].is_string());
  REQUIRE(run({"put", "short", "v", "--ttl", "300ms", "--at", at}).status == 0);
  CHECK(comes_true([&] { return run({"get", "short", "--at", at}).status == 1; }));
  CHECK(run({"get", "long", "--at", at}).status == 0);
  for (auto* span : {"0", "87841h", "soon"}) {
    auto refused = run({"put", "key", "v", "--ttl", span, "--at", at});
    INFO(refused);
    CHECK(refused.status == 2);
    CHECK(refused.says("--ttl: '"s + span + "' is not a span from 1ms to 87840h (10 years); "));
  }
}

TEST_CASE("a value that is not UTF-8 is shown under --json with all its bytes", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto at = node.address();
  REQUIRE(run({"put", "bytes", "a\xff", "--at", at}).status == 0);
  CHECK(run({"get", "bytes", "--at", at}).output == "a\xff\n");
  auto shown = run({"get", "bytes", "--json", "--at", at});
  INFO(shown);
  CHECK(shown.line()["value_base64"] == "Yf8=");
  CHECK_FALSE(shown.line().contains("value"));
  REQUIRE(run({"put", "text", "\xc3\xbc", "--at", at}).status == 0);
  auto text = run({"get", "text", "--json", "--at", at}).line();
  CHECK(text["value"] == "\xc3\xbc");
  CHECK_FALSE(text.contains("value_base64"));
}

TEST_CASE("whoever asks an agent hears that its node is away, and for how long", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  running_node other{{"--name", "third", "--slots", "0", "--join", host.address()}};
  REQUIRE(comes_true([&] {
    return run({"request", "echo-third", "hello", "--at", host.address()}).status == 0;
  }));
  other.kill();
  outcome refused;
  CHECK(comes_true(
    [&] {
      refused = run({"request", "echo-third", "hello", "--at", host.address()});
      INFO(refused);
      CHECK(refused.says("node third")); // at once, and by its name
      return refused.says("agent 'echo-third' is on node third, which has been disconnected for ");
    },
    40s));
  INFO(refused);
  CHECK(refused.status == 1);
  auto sent = run({"send", "echo-third", "hello", "--json", "--at", host.address()});
  INFO(sent);
  CHECK(sent.line()["code"] == "unreachable");
  CHECK(run({"request", "nobody", "hello", "--at", host.address()}).says("no agent 'nobody'"));
}

TEST_CASE("whoever asks an agent is not sent to start a node whose place another one takes",
          "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  words how{"--name", "third", "--slots", "0", "--join", host.address()};
  running_node before{how};
  REQUIRE(run({"request", "echo-third", "hello", "--at", host.address()}).status == 0);
  before.kill();
  running_node now{how}; // others have not found yet that the one before is dead
  CHECK(comes_true(
    [&] {
      auto asked = run({"request", "echo-third", "hello", "--at", host.address()});
      INFO(asked);
      CHECK_FALSE(asked.says("start that node again"));
      return asked.status == 0;
    },
    60s));
}

TEST_CASE("whoever asks an agent is not told to wait for a node that cannot take its place",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node host{{"--name", "n1", "--slots", "0"}};
  auto start_in = [&](const std::string& name) {
    return running_node{
      {"--name", "third", "--slots", "0", "--join", host.address(), "--data", folder / name}};
  };
  auto before = start_in("before");
  REQUIRE(run({"request", "echo-third", "hello", "--at", host.address()}).status == 0);
  before.kill();
  auto other = start_in("other");
  auto is_advised = [&] {
    auto asked = run({"request", "echo-third", "hello", "--at", host.address()});
    INFO(asked);
    CHECK_FALSE(asked.says("a node of that name has started since"));
    return asked.says("start that node again");
  };
  CHECK(comes_true(is_advised, 60s));
  CHECK(comes_true([&] {
    auto status = run({"status", "--json", "--at", host.address()}).line();
    INFO(status);
    return std::ranges::any_of(status["members"], [](auto& each) {
      return each["node"] == "third" && each["status"] == "active";
    });
  }));
  CHECK(is_advised());
}

TEST_CASE("flags win over variables, variables over the file", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  write_file(folder / "troupe.json", R"({"slots": 7, "name": "file", "join": ["a:1", "b:2"]})");
  auto with = [&](const std::string& environment, const words& arguments) {
    words command{"/bin/sh", "-c", environment + " exec \"$0\" \"$@\" 2>&1", command_path()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    troupe::testing::child_process process{command};
    return finish(process);
  };
  auto shown = with("TROUPE_NAME=variable TROUPE_GROUP=g",
                    {"config", "--json", "--config", folder / "troupe.json", "--group", "flag"});
  INFO(shown);
  REQUIRE(shown.status == 0);
  std::map<std::string, std::pair<json, std::string>> values;
  for (auto& each : shown.lines())
    values[each["key"]] = {each["value"], each["from"]};
  using value = std::pair<json, std::string>;
  CHECK(values["slots"] == value{7, "file"});
  CHECK(values["join"] == value{json::array({"a:1", "b:2"}), "file"});
  CHECK(values["name"] == value{"variable", "environment"});
  CHECK(values["group"] == value{"flag", "flag"});
  CHECK(values["listen"] == value{"127.0.0.1:6767", "default"});
  CHECK(values["at"] == value{json::array({"127.0.0.1:6767"}), "default"});
  CHECK(values["label"] == value{json::array(), "default"});
  CHECK(values["allow-exec"] == value{false, "default"});
  CHECK(values["cpus"] == value{0.0, "default"});
  CHECK(values["timeout"] == value{10.0, "default"});
  auto given = with("TROUPE_ALLOW_EXEC=true", {"config", "--memory", "2GB", "--timeout", "2m"});
  INFO(given);
  CHECK(given.says("allow-exec = true  (environment)\n"));
  CHECK(given.says("memory = 2000000000  (flag)\n"));
  CHECK(given.says("timeout = 120.0  (flag)\n"));
  CHECK(given.says("name = (none)  (default)\n"));

  write_file(folder / "wrong.json", R"({"slot": 7})");
  auto wrong = with("", {"node", "--config", folder / "wrong.json"});
  INFO(wrong);
  CHECK(wrong.status == 2);
  CHECK(wrong.says("'slot' is not known; the nearest one is 'slots'"));
  write_file(folder / "secret.json", R"({"token": "@two.token"})");
  auto secret = with("", {"node", "--config", folder / "secret.json"});
  INFO(secret);
  CHECK(secret.status == 2);
  CHECK(secret.says("'token' is a flag only; give --token"));
  auto misspelt = with("TROUPE_LISTNE=127.0.0.1:0", {"node"});
  INFO(misspelt);
  CHECK(misspelt.status == 2);
  CHECK(misspelt.says("TROUPE_LISTEN"));
}

TEST_CASE("insecure links are asked for by a flag, a variable or a file", "[cluster][cli]") {
  need_command();
  CHECK(run({"config"}).says("insecure = false  (default)\n"));
  CHECK(run({"config", "--insecure"}).says("insecure = true  (flag)\n"));
  temporary_folder folder;
  std::string file = folder / "troupe.json";
  write_file(file, R"({"insecure": true})");
  CHECK(run({"config", "--config", file}).says("insecure = true  (file)\n"));
  running_node by_flag{{"--insecure", "--slots", "0"}};
  auto asked = run({"status", "--at", by_flag.address(), "--config", file});
  INFO(asked);
  CHECK(asked.status == 0);
  insecure_cluster by_variable;
  CHECK(run({"status", "--at", by_flag.address()}).status == 0);
  CHECK(run({"status", "--at", by_flag.address(), "--insecure=false", "--timeout", "2s"}).status
        != 0);
}

TEST_CASE("a wrong value is refused with the variable or the file that has it", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string file = folder / "troupe.json";
  auto refused = [&](const std::string& variable, const std::string& why) {
    troupe::testing::child_process process{
      {"/bin/sh", "-c", variable + " exec \"$0\" node --listen 127.0.0.1:0 2>&1", command_path()}};
    auto done = finish(process);
    INFO(done);
    CHECK(done.status == 2);
    CHECK(done.output.starts_with("error: " + why));
    CHECK(done.says("; "));
    CHECK_FALSE(done.says("--slots"));
  };
  auto in_file = [&](const std::string& text, const std::string& why) {
    write_file(file, text);
    refused("TROUPE_CONFIG=" + file, file + ": " + why);
  };
  constexpr auto no_slots = "slots: 'x' is not a whole number from 0 to 1024; write it as 4";
  refused("TROUPE_SLOTS=x",
          "TROUPE_SLOTS: 'x' is not a whole number from 0 to 1024; write it as 4");
  refused("TROUPE_DRAIN=x", "TROUPE_DRAIN: 'x' is not a span; ");
  refused("TROUPE_JOIN=a:1,b", "TROUPE_JOIN: 'b' has no port; ");
  refused("TROUPE_LABEL=a=1,b", "TROUPE_LABEL: 'b' is no label; ");
  refused("TROUPE_TIMERS=x", "TROUPE_TIMERS: 'x' is none of wan, lan; ");
  refused("TROUPE_BOOTSTRAP=x", "TROUPE_BOOTSTRAP: 'x' is neither true nor false; ");
  in_file(R"({"slots": "x"})", no_slots);
  in_file(R"({"slots": ["1", "2"]})", "slots is given more than once; ");
  in_file(R"({"slots": 1, "slots": 2})", "line 1, column ");
  in_file("{\"slots\":", "line 1, column 9: syntax error");
  in_file("{\n  \"slots\": 8,\n}", "line 3, column 1: syntax error");
  in_file("[8]", "is not a JSON object; write for example {\"slots\": 8}");
}

TEST_CASE("a label may have commas, and a variable separates labels by them", "[cluster][cli]") {
  need_command();
  auto labels = [](const std::string& variable, const words& flags) {
    words line{"/bin/sh", "-c", variable + " exec \"$0\" config --json \"$@\" 2>&1",
               command_path()};
    line.insert(line.end(), flags.begin(), flags.end());
    troupe::testing::child_process process{line};
    auto done = finish(process);
    INFO(done);
    CHECK(done.status == 0);
    for (auto& each : done.lines())
      if (each["key"] == "label")
        return each["value"];
    return json{};
  };
  CHECK(labels("", {"--label", "q=1,2", "--label", "r=3"}) == json::array({"q=1,2", "r=3"}));
  CHECK(labels("TROUPE_LABEL=q=1,r=3", {}) == json::array({"q=1", "r=3"}));
}

TEST_CASE("a node takes links at any address, as nobody gets in without a certificate",
          "[cluster][cli]") {
  need_command();
  auto nowhere = run({"node", "--listen", "0.0.0.0:0"});
  INFO(nowhere);
  CHECK(nowhere.status == 2);
  CHECK(nowhere.says("--listen is 0.0.0.0:0"));
  CHECK(nowhere.says("give --advertise"));
  running_node open{{"--advertise", "127.0.0.1:0"}, "0.0.0.0:0"};
  CHECK(run({"status", "--at", open.address()}).status == 0);
  auto plain = run({"status", "--at", open.address(), "--insecure", "--timeout", "2s"});
  INFO(plain);
  CHECK(plain.status != 0);
}

TEST_CASE("a node that is told to leave is gone for good, and its tasks run elsewhere",
          "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "1"}};
  running_node worker{{"--name", "n2", "--slots", "4", "--join", host.address()}};
  await_workers(2, host.address());
  REQUIRE(comes_true([&] { return run({"agents", "--at", host.address()}).says("echo-n2"); }));
  submitted_diamond flow{host.address(), 6, 3};
  auto left = run({"leave", "--json", "--at", worker.address()});
  INFO(left);
  REQUIRE(left.status == 0);
  CHECK(left.line()["event"] == "left");
  CHECK(left.line()["id"] == worker.ready()["id"]);
  CHECK(worker.process().wait_for_end(5s) == 0);
  auto status = status_at(host.address());
  INFO(status.dump());
  CHECK(status["members"].size() == 1);
  CHECK(status["workers"] == 1);
  CHECK_FALSE(run({"agents", "--at", host.address()}).says("echo-n2"));
  flow.must_complete();
  // Its name is free at once: nobody waits for it to come back.
  running_node next{{"--name", "n2", "--slots", "0", "--join", host.address()}};
  CHECK(comes_true([&] {
    return run({"request", "echo-n2", "hello", "--at", host.address()}).output == "hello\n";
  }));
}

TEST_CASE("a second signal within a second asks for the same, a later one and a third end the node",
          "[cluster][cli]") {
  using meaning = cli::end_requests::meaning;
  constexpr troupe::time_point start{1h};
  cli::end_requests soon;
  CHECK(soon.heard(start) == meaning::stop);
  CHECK(soon.heard(start + 1s) == meaning::same);
  CHECK(soon.heard(start + 1s) == meaning::end_at_once);
  cli::end_requests late;
  CHECK(late.heard(start) == meaning::stop);
  CHECK(late.heard(start + 1s + 1ns) == meaning::end_at_once);
}

TEST_CASE("a node that is signalled twice at once, as by timeout, says that it leaves",
          "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  running_node member{{"--name", "n2", "--slots", "0", "--join", host.address()}};
  REQUIRE(comes_true([&] { return members_with("active", host.address()).size() == 2; }));
  member.process().send_signal(SIGTERM);
  member.process().send_signal(SIGINT); // two that are not one while they wait
  CHECK(member.process().wait_for_end() == 0);
  CHECK(comes_true([&] { return status_at(host.address())["seen"]["left"] == 1; }));
}

TEST_CASE("a node leaves at SIGTERM where it was told to", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0", "--leave-on-term"}};
  running_node member{
    {"--name", "n2", "--slots", "0", "--leave-on-term", "--join", host.address()}};
  REQUIRE(comes_true([&] { return members_with("active", host.address()).size() == 2; }));
  member.process().send_signal(SIGTERM);
  CHECK(member.process().wait_for_end() == 0);
  CHECK(status_at(host.address())["members"].size() == 1);
  // The host only stops: what it keeps for the others must not be given up by a signal.
  host.process().send_signal(SIGTERM);
  auto said = host.process().read_rest();
  INFO(said);
  CHECK(said.find("did not leave the cluster") != std::string::npos);
  CHECK(host.process().wait_for_end() == 0);
}

TEST_CASE("the host of a cluster leaves only when it is forced to", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  auto refused = run({"leave", "--at", host.address()});
  INFO(refused);
  CHECK(refused.status == 1);
  CHECK(refused.says("error: "));
  CHECK(refused.says("--force"));
  CHECK(status_at(host.address())["members"].size() == 1); // it goes on
  auto left = run({"leave", "--force", "--json", "--at", host.address()});
  INFO(left);
  CHECK(left.status == 0);
  CHECK(left.line()["event"] == "left");
  CHECK(host.process().wait_for_end(5s) == 0);
}

TEST_CASE("a worker that is stopped finishes what it runs, others do the rest", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "1"}};
  running_node worker{{"--name", "n2", "--slots", "4", "--join", host.address()}};
  await_workers(2, host.address());
  submitted_diamond flow{host.address(), 6, 3};
  worker.process().send_signal(SIGTERM);
  CHECK(worker.process().wait_for_end(10s) == 0);
  flow.must_complete();
}

TEST_CASE("a node that leaves gives up tasks that take longer than its drain, and others run them",
          "[cluster][cli]") {
  need_command();
  auto told = GENERATE("troupe leave", "SIGTERM");
  INFO(told);
  temporary_folder folder;
  auto made = (folder / "made").string();
  auto shell = [](const std::string& script) { return json{{"argv", {"/bin/sh", "-c", script}}}; };
  // Only the first attempt takes long.
  auto tasks = json::array(
    {{{"id", "long"},
      {"run", "exec"},
      {"input", shell("echo ran >> " + made + "; [ $(wc -l < " + made + ") -gt 1 ] || sleep 60")}},
     {{"id", "next"},
      {"run", "exec"},
      {"parents", {"long"}},
      {"input", shell("echo next >> " + made)}}});
  write_file(folder / "flow.json",
             json{{"schema", "troupe-dag/1"}, {"name", "long"}, {"tasks", tasks}}.dump());
  running_node host{{"--name", "n1", "--slots", "0"}};
  words worker{"--slots", "1", "--allow-exec", "--leave-on-term", "--join", host.address()};
  auto named = [&](const std::string& name, const words& more) {
    words result{"--name", name};
    result.insert(result.end(), worker.begin(), worker.end());
    result.insert(result.end(), more.begin(), more.end());
    return result;
  };
  running_node leaver{named("n2", {"--drain", "300ms"})};
  auto submit = start({"submit", folder / "flow.json", "--json", "--at", host.address()});
  REQUIRE(comes_true([&] { return content_of(made) == "ran\n"; }));
  running_node other{named("n3", {})};
  await_workers(2, host.address());
  if (told == std::string{"SIGTERM"})
    leaver.process().send_signal(SIGTERM);
  else
    CHECK(run({"leave", "--at", leaver.address()}).status == 0);
  CHECK(leaver.process().wait_for_end(10s) == 0);
  auto done = finish(submit);
  INFO(done);
  CHECK(done.status == 0);
  REQUIRE(!done.lines().empty());
  CHECK(done.lines().back()["completed"] == 2);
  // Its end was recorded once: what waits for it ran once.
  CHECK(content_of(made) == "ran\nran\nnext\n");
  auto status = status_at(host.address());
  INFO(status.dump());
  CHECK(status["members"].size() == 2);
  CHECK(status["workers"] == 1);
}

TEST_CASE("a drain that is no span is refused", "[cluster][cli]") {
  need_command();
  auto refused = run({"node", "--listen", "127.0.0.1:0", "--drain", "soon"});
  INFO(refused);
  CHECK(refused.status == 2);
  CHECK(refused.says("--drain: 'soon' is not a span"));
}

TEST_CASE("a second signal ends a node that waits for its tasks", "[cluster][cli]") {
  need_command();
  running_node node{{"--name", "n1", "--slots", "2"}};
  submitted_diamond flow{node.address(), 2, 1, {"--time-scale", "25"}};
  node.process().send_signal(SIGINT);
  auto is_stopping = false;
  while (!is_stopping) {
    auto line = node.process().read_line();
    REQUIRE(line);
    is_stopping = line->find(": stopping; ") != std::string::npos;
  }
  REQUIRE(comes_true([&] { return run({"status", "--at", node.address()}).status == 0; }));
  CHECK_FALSE(node.process().wait_for_end(1'100ms)); // within a second it would be the same request
  node.process().send_signal(SIGINT);
  CHECK(node.process().wait_for_end(5s) == 1);
}

TEST_CASE("a run goes on when its host is stopped and started again", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  words durable{"--name", "n1", "--slots", "1", "--data", folder / "n1"};
  std::optional<running_node> host{durable};
  auto address = host->address();
  running_node member{{"--name", "n2", "--slots", "2", "--join", address}};
  submitted_diamond flow{address, 6, 2};
  host->process().send_signal(SIGTERM);
  CHECK(host->process().wait_for_end(10s) == 0);
  host.emplace(durable, address);
  flow.must_complete();
}

TEST_CASE("messages of types that a node does not know or expect do it no harm", "[cluster]") {
  need_command();
  running_node node{{"--name", "n1", "--slots", "0"}};
  troupe::testing::child_process stranger{{TROUPE_BIN_DIR "/stranger_program", node.address()}};
  auto said = finish(stranger);
  INFO(said);
  REQUIRE(said.status == 0);
  // The router and four services: a type that this node does not know cannot be read, so
  // nobody answers; one that they do not expect is refused.
  std::map<std::string, int> errors;
  for (auto& each : said.lines())
    ++errors[each["error"].get<std::string>().substr(0, 17)];
  CHECK(errors == std::map<std::string, int>{{"no answer in time", 5}, {"the receiver has ", 5}});
  CHECK(run({"request", "echo-n1", "hello", "--at", node.address()}).output == "hello\n");
  CHECK(run({"lock", "press", "--at", node.address(), "--", "true"}).status == 0);
  CHECK(run({"put", "colour", "blue", "--at", node.address()}).status == 0);
  CHECK(status_at(node.address())["members"].size() == 1);
  CHECK(run({"workflows", "--at", node.address()}).status == 0);
}
