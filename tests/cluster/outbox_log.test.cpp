// What the log of a node says of messages that it has accepted, when it starts and when it stops,
// and of files that are damaged.

#include "troupe_command.hpp"

#include <csignal>
#include <string>
#include <vector>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

/// Sends messages to an agent that there is not, each with one of these options, until the node has
/// accepted them.
void send_to_nobody(const running_node& node, const std::vector<words>& each_with) {
  std::vector<testing::child_process> sending;
  for (auto& how : each_with) {
    words command{"send",      "nobody", "hello", "--class",     "confirm",
                  "--timeout", "3s",     "--at",  node.address()};
    command.insert(command.end(), how.begin(), how.end());
    sending.push_back(start(command));
  }
  for (auto& each : sending)
    CHECK(finish(each).says("accepted, but has not been handled in time"));
}

/// Stops it, and returns what it has said since it was ready.
outcome stop(running_node& node) {
  node.process().send_signal(SIGTERM);
  return finish(node.process());
}

/// What a node says that starts on its folder once that file in it is damaged.
outcome start_with_damaged(const std::string& file) {
  temporary_folder folder;
  const words how{"--name", "n0", "--data", folder / "n0"};
  {
    running_node node{how};
    CHECK(stop(node).status == 0);
  }
  write_file(folder / ("n0/" + file), std::string(8'192, 'x'));
  return run(running_node::with_defaults(how, "127.0.0.1:0"));
}

} // namespace

TEST_CASE("a node that stops says what was not handled, and one that starts with what it goes on",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  const words how{"--name", "n0", "--data", folder / "n0"};
  {
    running_node node{how};
    send_to_nobody(node, {{}, {"--synced"}, {"--synced"}});
    CHECK(run({"send", "nobody", "hello", "--class", "confirm", "--synced", "--ttl", "100ms",
               "--at", node.address()})
            .status
          == 1);
    auto said = stop(node);
    INFO(said);
    CHECK(said.status == 0);
    CHECK(said.says("warning n0: the node stops with 3 unhandled messages: those that were "
                    "accepted as synced go on at its next start, others are lost\n"));
    CHECK(said.says("warning n0: the node stops with 1 dead letter: those of messages that were "
                    "accepted as synced are kept, others are lost\n"));
  }
  auto again = start(running_node::with_defaults(how, "127.0.0.1:0"));
  std::string said;
  while (auto line = again.read_line(20s)) {
    said += *line + '\n';
    if (line->find("\"ready\"") != std::string::npos)
      break;
  }
  again.send_signal(SIGTERM);
  said += finish(again).output;
  INFO(said);
  CHECK(said.find("info n0: goes on with 2 messages that it had accepted before\n")
        != std::string::npos);
  CHECK(said.find("info n0: has 1 dead letter of messages that it had accepted before\n")
        != std::string::npos);
  CHECK(said.find("the node stops with 2 unhandled messages: ") != std::string::npos);
}

TEST_CASE("a node without a data folder says what is lost when it stops, if anything",
          "[cluster][cli]") {
  need_command();
  running_node node{{"--name", "n0"}};
  send_to_nobody(node, {{}});
  auto said = stop(node);
  INFO(said);
  CHECK(said.says("the node stops with 1 unhandled message: without a data folder it is lost\n"));
  CHECK_FALSE(said.says("dead letter"));
  running_node other{{"--name", "n0"}};
  CHECK_FALSE(stop(other).says("the node stops with"));
}

TEST_CASE("a node whose log of the group is damaged says how it gets another one",
          "[cluster][cli]") {
  need_command();
  auto said = start_with_damaged("group.db");
  INFO(said);
  CHECK(said.status == 1);
  CHECK(said.says("group.db: open: file is not a database; move it and all files beside it whose "
                  "names begin with group.db away, and start it with addresses of others (--join), "
                  "which give it the state; if it was the only voter, restore a backup of the "
                  "cluster"));
}

TEST_CASE("a node whose kept messages are damaged is not told to restore a backup of them",
          "[cluster][cli]") {
  need_command();
  auto said = start_with_damaged("outbox.db");
  INFO(said);
  CHECK(said.status == 1);
  CHECK(said.says("outbox.db: open: file is not a database; move it and all files beside it whose "
                  "names begin with outbox.db away, as no backup has them: the messages in them "
                  "are not delivered then"));
  CHECK_FALSE(said.says("restore a backup"));
}
