// Nodes whose agents are found by what they can do, and get messages.
//
// Usage: agents_program serve NAME JOIN GROUP COLOUR [CLERKS]
//            a member with an agent "counter", that several may have: it can "count", is in that
//            group, and has "colour" in its metadata. Says "ready", and "heard TEXT" for each text;
//            to "what" it answers not_found.
//            The group has as many more agents there as CLERKS says, "clerk NUMBER@NAME", which say
//            "clerk NUMBER heard TEXT".
//        agents_program ask NAME
//            founds the cluster, says "ready PORT", and has such an agent, too, in the group "head"
//            and red; at each SIGUSR1 it does what follows, and says of each in JSON what came of
//            it: looks for the agents of a group, with a capability, with metadata; sends a text to
//            a group, to all with a capability, to everyone; asks any with a capability six times.

#include "program_end.hpp"
#include "support/test_ca.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/node/node.hpp"
#include "troupe/registry/registry_client.hpp"

#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include <unistd.h>

using namespace std::literals;
using namespace troupe;
using test::fail;
using test::value_of;
using json = nlohmann::json;

namespace {

node start(node_options how) {
  how.listen = {"127.0.0.1", 0};
  how.lost_after = 500ms;
  how.log = [](const log_line& line) { std::cerr << to_string(line) << std::endl; };
  how.wait_joined = 20s;
  test::certify(how);
  return value_of(node::start(std::move(how)));
}

/// Answers a text with the name of its node.
void count(node& at, const std::string& group, const std::string& colour) {
  agent_options how{.capabilities = {"count"}, .groups = {group}, .unique = false};
  how.metadata = {{"colour", colour}};
  auto made
    = at.agent("counter", how, [name = at.name()](const std::string& text) -> result<std::string> {
        std::cout << "heard " + text + '\n'
                  << std::flush; // whole: agents may be of several threads
        if (text == "what")
          return problem{errc::not_found, "nothing to count"};
        return name;
      });
  if (!made)
    fail(made.error());
}

void add_clerk(node& at, const std::string& group, int number) {
  agent_options how{.groups = {group}, .unique = false};
  auto who = "clerk " + std::to_string(number);
  auto made = at.agent(who + '@' + at.name(), how, [who](const std::string& text) {
    std::cout << who + " heard " + text + '\n' << std::flush;
  });
  if (!made)
    fail(made.error());
}

/// The nodes of the agents that meet this.
json found(node& me, registry::find_records what) {
  what.kind = registry::record_kind::agent;
  auto agents = me.registry().service().ask(what, 5s);
  if (!agents)
    return std::string{name_of(agents.error().code)};
  std::set<std::string> owners;
  for (auto& each : agents->records) {
    registry::find_records where{.kind = registry::record_kind::node};
    where.owner = each.value.key.owner;
    auto node = me.registry().service().ask(where, 5s);
    owners.insert(node && node->records.size() == 1 ? node->records[0].value.key.name : "unknown");
  }
  return owners;
}

/// To how many a text goes.
json sent(node& me, const router::recipients& whom, const std::string& text) {
  auto report = me.broadcast(whom, text);
  return report ? json(report->sent) : json(std::string{name_of(report.error().code)});
}

void say(const std::string& what, const json& seen) {
  std::cout << json{{"what", what}, {"seen", seen}} << std::endl;
}

void do_all(node& me) {
  say("found in group", found(me, {.group = "tail"}));
  say("found by capability", found(me, {.capabilities = {"count"}}));
  say("found by metadata", found(me, {.metadata = {{"colour", "red"}}}));
  say("found by all of these",
      found(me, {.capabilities = {"count"}, .group = "tail", .metadata = {{"colour", "red"}}}));
  say("found by what no agent can", found(me, {.capabilities = {"sing"}}));
  say("sent to group", sent(me, to_group("tail"), "group"));
  say("sent to all", sent(me, to_all("count"), "all"));
  say("sent to everyone", sent(me, to_everyone(), "everyone"));
  say("sent to a group without agents", sent(me, to_group("nobody"), "group"));
  auto answers = json::array();
  for (auto each = 0; each < 6; ++each) {
    auto answer = me.request<std::string>(to_any("count"), 5s, "any"s);
    answers.push_back(answer ? *answer : std::string{name_of(answer.error().code)});
  }
  say("asked any", answers);
}

} // namespace

int main(int argc, char** argv) {
  sigset_t asked;
  sigemptyset(&asked);
  sigaddset(&asked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &asked, nullptr); // in all threads that are to come
  init();
  if (argc == 3 && argv[1] == "ask"s) {
    auto me = start({.name = argv[2]});
    count(me, "head", "red");
    std::cout << "ready " << me.port() << std::endl;
    for (int which = 0; sigwait(&asked, &which) == 0;)
      do_all(me);
    return 1;
  }
  if ((argc != 6 && argc != 7) || argv[1] != "serve"s)
    fail("give ask NAME or serve NAME JOIN GROUP COLOUR [CLERKS]");
  auto join = net::address::from_string(argv[3]);
  if (!join)
    fail(join.error());
  auto me = start({.name = argv[2], .join = {*join}});
  count(me, argv[4], argv[5]);
  for (auto clerk = 1; argc == 7 && clerk <= std::stoi(argv[6]); ++clerk)
    add_clerk(me, argv[4], clerk);
  std::cout << "ready" << std::endl;
  for (;;)
    ::pause(); // until it is killed
}
