// Agents of several processes, found by what they can do, and messages to many of them.

#include "troupe_command.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <string>

using namespace troupe::test;
using troupe::testing::child_process;

namespace {

constexpr auto agents_program = TROUPE_BIN_DIR "/agents_program";

/// Three nodes with an agent each: n0 asks, and is in group head, n1 and n2 are in group tail; n0
/// and n1 are red, n2 is blue.
class three_agents {
public:
  three_agents() : asks_({agents_program, "ask", "n0"}) {
    auto ready = asks_.read_line().value_or("");
    REQUIRE(ready.starts_with("ready "));
    port_ = ready.substr(6);
    start("n1", "red");
    start("n2", "blue");
  }

  /// With so many more agents in its group.
  void start(const std::string& name, const std::string& colour, int clerks = 0) {
    auto& made = serve_
                   .insert_or_assign(name, child_process{{agents_program, "serve", name, address(),
                                                          "tail", colour, std::to_string(clerks)}})
                   .first->second;
    REQUIRE(made.read_line() == "ready");
  }

  void stop(const std::string& name) {
    serve_.at(name).send_signal(SIGSTOP);
  }

  void kill(const std::string& name) {
    serve_.at(name).send_signal(SIGKILL);
    serve_.at(name).wait_for_end();
  }

  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + port_;
  }

  /// Has n0 do all that it does: what it says of each, by name, and what it has heard of itself.
  json all() {
    begin();
    return end();
  }

  void begin() {
    asks_.send_signal(SIGUSR1);
  }

  json end() {
    json seen;
    seen["heard"] = json::array();
    while (!seen.contains("asked any")) {
      auto line = asks_.read_line();
      REQUIRE(line);
      if (auto read = json::parse(*line, nullptr, false); read.is_object())
        seen[read["what"].get<std::string>()] = read["seen"];
      else if (line->starts_with("heard "))
        seen["heard"].push_back(line->substr(6));
    }
    return seen;
  }

  /// The next thing that the agent of a node has heard.
  std::string heard(const std::string& name) {
    auto line = serve_.at(name).read_line().value_or("nothing");
    return line.starts_with("heard ") ? line.substr(6) : line;
  }

  /// What the agents of a node have heard of what goes to many, by agent, until each of them got
  /// what goes to everyone.
  std::map<std::string, words> heard_of_many(const std::string& name, std::size_t agents) {
    std::map<std::string, words> seen;
    for (std::size_t ended = 0; ended < agents;) {
      auto line = serve_.at(name).read_line();
      INFO(name);
      REQUIRE(line);
      auto at = line->find("heard ");
      REQUIRE(at != std::string::npos);
      auto text = line->substr(at + 6);
      if (text != "any")
        seen[line->substr(0, at)].push_back(text);
      ended += text == "everyone";
    }
    return seen;
  }

  /// Returns when all that is there is found.
  void await(std::size_t count) {
    REQUIRE(comes_true([&] {
      auto seen = run({"agents", "--json", "--at", address()}).lines();
      return static_cast<std::size_t>(
               std::ranges::count_if(seen, [](auto& each) { return each["status"] == "active"; }))
             == count;
    }));
  }

private:
  child_process asks_;
  std::string port_;
  std::map<std::string, child_process> serve_;
};

json names(const words& of) {
  return of;
}

} // namespace

TEST_CASE("agents of three processes are found by what they can, their group and their metadata, "
          "and get what is sent so",
          "[cluster][node]") {
  need_command();
  three_agents agents;
  agents.await(3);
  auto seen = agents.all();
  INFO(seen.dump());
  CHECK(seen["found in group"] == names({"n1", "n2"}));
  CHECK(seen["found by capability"] == names({"n0", "n1", "n2"}));
  CHECK(seen["found by metadata"] == names({"n0", "n1"}));
  CHECK(seen["found by all of these"] == names({"n1"}));
  CHECK(seen["found by what no agent can"] == names({}));
  CHECK(seen["sent to group"] == 2);
  CHECK(seen["sent to all"] == 3);
  CHECK(seen["sent to everyone"] == 3);
  CHECK(seen["sent to a group without agents"] == 0);
  auto answers = seen["asked any"].get<words>(); // in turn
  std::ranges::sort(answers);
  CHECK(answers == words{"n0", "n0", "n1", "n1", "n2", "n2"});
  for (auto* name : {"n1", "n2"}) {
    CAPTURE(name);
    for (auto* each : {"group", "all", "everyone", "any", "any"})
      CHECK(agents.heard(name) == each);
  }
  CHECK(seen["heard"] == names({"all", "everyone", "any", "any"})); // n0 is not in that group

  INFO("one of them dies, and another one comes");
  agents.kill("n1");
  agents.await(2);
  seen = agents.all();
  CAPTURE(seen.dump());
  CHECK(seen["found in group"] == names({"n2"}));
  CHECK(seen["found by metadata"] == names({"n0"}));
  CHECK(seen["sent to group"] == 1);
  CHECK(seen["sent to everyone"] == 2);
  answers = seen["asked any"].get<words>();
  CHECK(std::ranges::count(answers, "n0") == 3);
  CHECK(std::ranges::count(answers, "n2") == 3);
  agents.start("n3", "red");
  agents.await(3);
  seen = agents.all();
  CAPTURE(seen.dump());
  CHECK(seen["found in group"] == names({"n2", "n3"}));
  CHECK(seen["found by all of these"] == names({"n3"}));
  CHECK(seen["sent to group"] == 2);
  CHECK(agents.heard("n3") == "group");
}

TEST_CASE("each member of a group gets what is sent to it once, in every process, though another "
          "process is killed or stands still",
          "[cluster][node]") {
  need_command();
  three_agents agents;
  agents.start("n3", "red", 2);
  agents.await(6);
  // To one agent of a sender, messages come in order: a second copy would be heard before what
  // goes to everyone, here or in the next round.
  const std::map<std::string, words> with_clerks{{"", {"group", "all", "everyone"}},
                                                 {"clerk 1 ", {"group", "everyone"}},
                                                 {"clerk 2 ", {"group", "everyone"}}};
  const std::map<std::string, words> alone{{"", {"group", "all", "everyone"}}};
  auto must_be_heard = [&] {
    CHECK(agents.heard_of_many("n1", 1) == alone);
    CHECK(agents.heard_of_many("n3", 3) == with_clerks);
  };
  auto seen = agents.all();
  CAPTURE(seen.dump());
  CHECK(seen["sent to group"] == 5);
  CHECK(seen["sent to everyone"] == 6);
  must_be_heard();
  CHECK(agents.heard_of_many("n2", 1) == alone);

  INFO("one of them is killed just before, or while, messages go to the group");
  auto is_before = GENERATE(true, false);
  CAPTURE(is_before);
  if (is_before)
    agents.kill("n2");
  agents.begin();
  if (!is_before)
    agents.kill("n2");
  agents.end();
  must_be_heard();

  INFO("another one stands still, and is killed in that state");
  agents.start("n4", "blue");
  agents.await(6);
  agents.stop("n4");
  agents.begin();
  must_be_heard(); // though nobody knows yet that it is gone
  agents.kill("n4");
  agents.end();
  agents.await(5);
  seen = agents.all();
  CAPTURE(seen.dump());
  CHECK(seen["sent to group"] == 4);
  must_be_heard();
}

TEST_CASE("the command asks an agent once, and at once if its id is known", "[cluster][cli]") {
  need_command();
  three_agents agents;
  agents.start("n3", "red", 1);
  agents.await(5);
  auto refused = run({"request", "counter", "what", "--at", agents.address()});
  INFO(refused);
  CHECK(refused.says("nothing to count")); // so says the agent, by not_found
  auto seen = agents.all();
  auto asked = std::ranges::count(seen["heard"], json("what"));
  for (auto* name : {"n1", "n2"})
    asked += std::ranges::count(agents.heard_of_many(name, 1)[""], "what");
  asked += std::ranges::count(agents.heard_of_many("n3", 2)[""], "what");
  CHECK(asked == 1);
  auto is_quick = [&](const std::string& agent) {
    return comes_true([&] {
      auto begins = std::chrono::steady_clock::now();
      auto sent = run({"send", agent, "hello", "--at", agents.address()});
      INFO(sent);
      CHECK(sent.status == 0);
      return std::chrono::steady_clock::now() - begins < 1s;
    });
  };
  CHECK(is_quick("counter"));    // several have that id
  CHECK(is_quick("clerk 1@n3")); // its node alone may have it
}
