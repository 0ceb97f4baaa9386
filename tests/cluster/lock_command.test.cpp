// Commands that run while a lock is held.

#include "support/processes.hpp"
#include "troupe_command.hpp"

#include <sys/stat.h>

#include <string>
#include <vector>

using namespace troupe::test;

namespace {

words lock_press(const running_node& node, words options, words command) {
  words result{"lock", "press", "--at", node.address()};
  result.insert(result.end(), options.begin(), options.end());
  result.push_back("--");
  result.insert(result.end(), command.begin(), command.end());
  return result;
}

words sh(const std::string& script) {
  return {"/bin/sh", "-c", script};
}

/// A script that leaves two processes in the background, one of them in a session of its own whose
/// parent is gone, and says its number and theirs.
const std::string tree = "sleep 600 & one=$!; "
                         "two=$(setsid sh -c 'sleep 600 >/dev/null 2>&1 & echo $!'); "
                         "echo $$ $one $two; ";

/// A command at a terminal of its own, to which the test types.
class at_terminal {
public:
  explicit at_terminal(const words& arguments) {
    REQUIRE(::mkfifo(keys().c_str(), 0600) == 0);
    // A shell that stayed would be interrupted, too; which one it is, SHELL decides.
    std::string line = "exec " + command_path();
    for (auto& each : arguments)
      line += " '" + each + "'";
    process_.emplace(words{
      "/bin/sh", "-c", "exec script --quiet --return --flush --command \"$1\" /dev/null < \"$0\"",
      keys(), line});
    keyboard_.open(keys(), std::ios::binary); // waits for the other side
  }

  void type(const std::string& what) {
    keyboard_ << what << std::flush;
  }

  /// The next line that holds `what`.
  std::string line_with(const std::string& what) {
    for (auto line = process_->read_line(); line; line = process_->read_line())
      if (line->find(what) != std::string::npos)
        return line->substr(line->find(what));
    return "nothing said";
  }

  std::optional<int> wait_for_end(std::chrono::milliseconds wait = std::chrono::seconds{20}) {
    return process_->wait_for_end(wait);
  }

private:
  [[nodiscard]] std::string keys() const {
    return folder_ / "keys";
  }

  temporary_folder folder_;
  std::optional<troupe::testing::child_process> process_;
  std::ofstream keyboard_;
};

} // namespace

TEST_CASE("a command runs under a lock and its status passes through", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto done = run(lock_press(node, {}, sh("echo token $TROUPE_TOKEN; exit 7")));
  INFO(done);
  CHECK(done.status == 7);
  REQUIRE(done.output.starts_with("token "));
  auto first = std::stoull(done.output.substr(6));
  auto next = run(lock_press(node, {}, sh("echo token $TROUPE_TOKEN")));
  INFO(next);
  CHECK(next.status == 0); // it was given back
  CHECK(std::stoull(next.output.substr(6)) > first);
  CHECK(run(lock_press(node, {}, sh("kill -9 $$"))).status == 128 + SIGKILL);
  auto missing = run(lock_press(node, {}, {"/no/such/program"}));
  INFO(missing);
  CHECK(missing.status == 127);
  CHECK(missing.says("error: cannot run '/no/such/program'"));
  CHECK(run({"locks", "--at", node.address()}).output == "no locks\n");
}

TEST_CASE("the words of a command are passed on as they are", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto done
    = run(lock_press(node, {}, {"printf", "<%s>", "[abc]", "", "[]", "[a,b]", "--", "-x", "--at"}));
  INFO(done);
  CHECK(done.output == "<[abc]><><[]><[a,b]><--><-x><--at>");
  auto none = run({"lock", "press", "--at", node.address()});
  INFO(none);
  CHECK(none.status == 2);
  CHECK(none.says("error: there is no command to run; give it after --"));
  temporary_folder folder;
  std::ofstream{folder / "text"} << "no program";
  CHECK(run(lock_press(node, {}, {(folder / "text").string()})).status == 126);
}

TEST_CASE("locks are listed under headings, with a row for each holder", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  CHECK(run({"locks", "--json", "--at", node.address()}).output.empty());
  auto hold = [&] {
    auto holder
      = start({"lock", "press", "--shared", "--json", "--at", node.address(), "--", "sleep", "60"});
    REQUIRE(holder.read_line());
    return holder;
  };
  auto first = hold();
  auto second = hold();
  auto shown = run({"locks", "--at", node.address()});
  INFO(shown);
  std::istringstream lines{shown.output};
  std::string line;
  REQUIRE(std::getline(lines, line));
  CHECK(line.starts_with("LOCK   MODE    TOKEN  "));
  std::size_t rows = 0;
  while (std::getline(lines, line)) {
    std::istringstream cells{line};
    std::string name;
    std::string mode;
    std::string token;
    std::string left;
    std::string unit;
    cells >> name >> mode >> token >> left >> unit;
    CHECK(name + ' ' + mode == "press shared");
    CHECK((left.find('.') == std::string::npos || left.find('.') == left.size() - 2));
    CHECK((unit == "s" || unit == "ms"));
    CHECK(line.find("process ") != std::string::npos);
    ++rows;
  }
  CHECK(rows == 2);
  for (auto* each : {&first, &second}) {
    each->send_signal(SIGTERM);
    finish(*each);
  }
}

TEST_CASE("a signal that a process sends to the holder of a lock reaches its command",
          "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  for (auto signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    auto holder = start(lock_press(node, {},
                                   sh("trap 'echo heard; exit 9' INT TERM HUP QUIT; echo mine; "
                                      "while :; do sleep 0.05; done")));
    REQUIRE(holder.read_line() == "mine");
    holder.send_signal(signal);
    auto ended = finish(holder);
    INFO(ended);
    CHECK(ended.status == 9);
    CHECK(ended.output.ends_with("heard\n")); // the shell says what its sleep ended by
    CHECK(run(lock_press(node, {}, {"true"})).status == 0);
  }
}

TEST_CASE("who has held a lock ends at a signal, also where the service hangs", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  temporary_folder folder;
  auto sign = (folder / "go on").string();
  auto holder = start(lock_press(
    node, {}, sh("echo $$; while [ ! -e '" + sign + "' ]; do sleep 0.05; done; exit 5")));
  auto command = numbers_in(holder.read_line().value_or(""));
  REQUIRE(command.size() == 1);
  node.process().send_signal(SIGSTOP);
  std::ofstream{sign} << "now";
  REQUIRE(comes_true([&] { return all_over(command); }));
  auto began = std::chrono::steady_clock::now();
  holder.send_signal(SIGTERM);
  CHECK(holder.wait_for_end() == 5);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds{5});
  node.process().send_signal(SIGCONT);
}

TEST_CASE("a command whose lock was not given back for sure does not end with 0",
          "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  temporary_folder folder;
  auto sign = (folder / "go on").string();
  auto holder = start(lock_press(
    node, {"--ttl", "1m"}, sh("echo held; while [ ! -e '" + sign + "' ]; do sleep 0.05; done")));
  REQUIRE(holder.read_line() == "held");
  node.process().send_signal(SIGSTOP);
  std::ofstream{sign} << "now";
  auto done = finish(holder);
  node.process().send_signal(SIGCONT);
  INFO(done);
  CHECK(done.status == 1);
  CHECK(done.says("to release the lock")); // while it waits
  CHECK(done.says("the command has ended with status 0, and the release of the lock is not "
                  "confirmed"));
}

TEST_CASE("who is ended in line takes the lock from nobody, whatever that one is called",
          "[cluster][cli]") {
  need_command();
  if (::geteuid() != 0)
    SKIP("only root can have two processes of one number");
  running_node node{{"--slots", "0"}};
  auto as_first = [&](const words& options, const words& command) {
    words result{"/usr/bin/unshare", "--pid",        "--fork",
                 "--kill-child",     "--mount-proc", command_path()};
    auto rest = lock_press(node, options, command);
    result.insert(result.end(), rest.begin(), rest.end());
    return result;
  };
  troupe::testing::child_process holder{as_first({}, sh("echo mine; exec sleep 60"))};
  REQUIRE(holder.read_line() == "mine");
  auto seen = [&] { return run({"locks", "--json", "--at", node.address()}).line(); };
  auto token = seen()["holders"][0]["token"];
  troupe::testing::child_process patient{as_first({"--wait", "60s"}, sh("echo mine"))};
  REQUIRE(comes_true([&] { return seen().value("waiting", 0) == 1; }));
  CHECK(seen()["holders"][0]["label"].get<std::string>().starts_with("process 1 on "));
  // unshare itself ends by it; its child is the one in line.
  auto child = content_of("/proc/" + std::to_string(patient.pid()) + "/task/"
                          + std::to_string(patient.pid()) + "/children");
  ::kill(std::stoi(child), SIGTERM);
  CHECK(patient.wait_for_end() == 128 + SIGTERM);
  CHECK(seen().value("waiting", -1) == 0);
  CHECK(seen()["holders"][0]["token"] == token);
}

TEST_CASE("whoever comes second waits, or is told to", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock_press(node, {"--ttl", "5s"}, sh("echo mine; exec sleep 60")));
  REQUIRE(holder.read_line() == "mine");
  auto refused = run(lock_press(node, {}, {"true"}));
  INFO(refused);
  CHECK(refused.status == 3);
  CHECK(refused.says("error: "));
  auto late = run(lock_press(node, {"--wait", "300ms"}, {"true"}));
  INFO(late);
  CHECK(late.status == 3);
  auto patient = start(lock_press(node, {"--wait", "20s"}, sh("echo mine")));
  REQUIRE(comes_true([&] {
    return run({"locks", "--json", "--at", node.address()}).line().value("waiting", 0) == 1;
  }));
  holder.send_signal(SIGTERM); // for the command, so the lock is given back
  CHECK(holder.wait_for_end() == 128 + SIGTERM);
  auto served = finish(patient);
  INFO(served);
  CHECK(served.status == 0);
  CHECK(served.output == "mine\n");
}

TEST_CASE("a signal to one that waits for a lock gives its place in line back", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock_press(node, {}, sh("echo mine; exec sleep 60")));
  REQUIRE(holder.read_line() == "mine");
  auto waiting = [&] {
    return run({"locks", "--json", "--at", node.address()}).line().value("waiting", -1);
  };
  for (auto signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    auto patient = start(lock_press(node, {"--ttl", "60s", "--wait", "60s"}, sh("echo mine")));
    REQUIRE(comes_true([&] { return waiting() == 1; }));
    patient.send_signal(signal);
    auto ended = finish(patient);
    INFO(ended);
    CHECK(ended.status == 128 + signal);
    CHECK(ended.output.empty());
    CHECK(comes_true([&] { return waiting() == 0; }));
  }
  holder.send_signal(SIGTERM);
  CHECK(run(lock_press(node, {"--wait", "10s"}, {"true"})).status == 0); // not after a minute
}

TEST_CASE("a command whose lock could not be renewed is over before another holds the lock",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--slots", "0"}};
  const std::string now = "date +%s%N";
  auto signs = (folder / "signs").string();
  auto heard = (folder / "heard").string();
  auto stubborn = "trap 'echo yes > " + heard + "' TERM; echo mine; while :; do " + now + " > "
                  + signs + ".new; mv " + signs + ".new " + signs + "; sleep 0.05; done";
  auto holder = start(lock_press(node, {"--ttl", "6s"}, sh(stubborn)));
  REQUIRE(holder.read_line() == "mine");
  auto next = start(lock_press(node, {"--wait", "40s"}, sh(now)));
  REQUIRE(comes_true([&] {
    return run({"locks", "--json", "--at", node.address()}).line().value("waiting", 0) == 1;
  }));
  node.process().send_signal(SIGSTOP);
  CHECK(comes_true([&] { return content_of(heard) == "yes\n"; }));
  node.process().send_signal(SIGCONT);
  auto lost = finish(holder);
  INFO(lost);
  CHECK(lost.status == 1);
  auto served = finish(next, 40s);
  INFO(served);
  REQUIRE(served.status == 0);
  CHECK(std::stoll(content_of(signs)) < std::stoll(served.output));
}

TEST_CASE("readers share a lock and a writer does not", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto reader = start(lock_press(node, {"--shared"}, sh("echo mine; exec sleep 60")));
  REQUIRE(reader.read_line() == "mine");
  CHECK(run(lock_press(node, {"--shared"}, {"true"})).status == 0);
  CHECK(run(lock_press(node, {}, {"true"})).status == 3);
}

TEST_CASE("the lock of a killed holder is free after its ttl", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock_press(node, {"--ttl", "2s"}, sh("echo $$; exec sleep 60")));
  auto command = holder.read_line();
  REQUIRE(command);
  holder.send_signal(SIGKILL);
  auto next = run(lock_press(node, {"--wait", "15s"}, {"true"}));
  INFO(next);
  CHECK(next.status == 0);
  // The lease is not renewed from here on, so the command must not go on.
  CHECK(comes_true([&] { return ::kill(std::stoi(*command), 0) != 0; }));
}

TEST_CASE("a command is stopped when its lock is lost", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock_press(node, {"--ttl", "2s"}, sh("echo mine; exec sleep 60")));
  REQUIRE(holder.read_line() == "mine");
  node.kill(); // nothing outlives it, so the lease cannot be renewed
  auto lost = finish(holder);
  INFO(lost);
  CHECK(lost.status == 1);
  CHECK(lost.says("error: the command was stopped, as its lock was lost"));
}

TEST_CASE("all that a command has started is stopped when its lock is lost", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  SECTION("with SIGTERM, which it may use to clean up") {
    temporary_folder folder;
    auto last_words = "trap 'echo bye > " + (folder / "bye").string() + "; exit' TERM; ";
    auto holder
      = start(lock_press(node, {"--ttl", "2s"},
                         sh("(" + last_words + "while :; do sleep 0.1; done) & " + tree + "wait")));
    auto processes = numbers_in(holder.read_line().value_or(""));
    REQUIRE(processes.size() == 3);
    node.kill();
    auto lost = finish(holder);
    INFO(lost);
    CHECK(lost.status == 1);
    CHECK(all_over(processes));
    CHECK(content_of(folder / "bye") == "bye\n");
  }
  SECTION("with SIGKILL after 5 s if it does not hear that") {
    auto holder = start(lock_press(node, {"--ttl", "2s"},
                                   sh("trap '' TERM; " + tree + "while :; do sleep 600; done")));
    auto processes = numbers_in(holder.read_line().value_or(""));
    REQUIRE(processes.size() == 3);
    node.kill();
    auto lost = finish(holder);
    INFO(lost);
    CHECK(lost.status == 1);
    CHECK(lost.says("error: the command was stopped, as its lock was lost"));
    CHECK(all_over(processes));
  }
}

TEST_CASE("all that a command has started dies with the process that holds its lock",
          "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock_press(node, {}, sh(tree + "wait")));
  auto processes = numbers_in(holder.read_line().value_or(""));
  REQUIRE(processes.size() == 3);
  CHECK_FALSE(all_over(processes));
  holder.send_signal(SIGKILL);
  CHECK(comes_true([&] { return all_over(processes); }));
}

TEST_CASE("what a command leaves behind is stopped before its lock is given back",
          "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto done = run(lock_press(node, {}, sh(tree + "exit 3")));
  INFO(done);
  CHECK(done.status == 3);
  auto processes = numbers_in(done.output);
  REQUIRE(processes.size() == 3);
  CHECK(all_over(processes));
}

TEST_CASE("SIGTERM to the holder of a lock reaches all that its command has started",
          "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock_press(node, {}, sh(tree + "wait")));
  auto processes = numbers_in(holder.read_line().value_or(""));
  REQUIRE(processes.size() == 3);
  holder.send_signal(SIGTERM);
  CHECK(holder.wait_for_end() == 128 + SIGTERM);
  CHECK(all_over(processes));
  CHECK(run(lock_press(node, {}, {"true"})).status == 0);
}

TEST_CASE("SIGTERM to the holder of a lock ends also a command that is stopped", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock_press(node, {}, sh("echo $$; kill -STOP $$; sleep 600")));
  auto stopped = holder.read_line().value_or("");
  REQUIRE(comes_true(
    [&] { return content_of("/proc/" + stopped + "/stat").find(") T ") != std::string::npos; }));
  holder.send_signal(SIGTERM);
  CHECK(holder.wait_for_end() == 128 + SIGTERM);
  CHECK(run(lock_press(node, {}, {"true"})).status == 0);
}

TEST_CASE("a command under a lock reads from the terminal and ends at Ctrl-C", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  at_terminal one{lock_press(node, {},
                             sh("trap \"echo interrupted; exit 9\" INT; read word; "
                                "echo got $word; while :; do sleep 0.1; done"))};
  one.type("hello\n");
  CHECK(one.line_with("got") == "got hello\r");
  one.type("\003");
  CHECK(one.line_with("interrupted") == "interrupted\r");
  CHECK(one.wait_for_end() == 9);
  CHECK(run(lock_press(node, {}, {"true"})).status == 0);
}

TEST_CASE("a command that has left the terminal's process group ends at the second Ctrl-C",
          "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  at_terminal one{
    lock_press(node, {}, {"timeout", "600", "sh", "-c", "echo ready; exec sleep 600"})};
  CHECK(one.line_with("ready") == "ready\r");
  CHECK(comes_true([&] {
    one.type("\003");
    return one.wait_for_end(std::chrono::milliseconds{100}).has_value();
  }));
  CHECK(run(lock_press(node, {}, {"true"})).status == 0);
}

TEST_CASE("the lock of a terminal that is closed is free, and its command over", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  std::vector<int> command;
  {
    at_terminal one{lock_press(node, {"--ttl", "60s"}, sh("echo here $$; exec sleep 600"))};
    command = numbers_in(one.line_with("here ").substr(5));
    REQUIRE(command.size() == 1);
  } // as the process that has the other end is killed
  CHECK(comes_true([&] { return all_over(command); }));
  CHECK(comes_true([&] { return run(lock_press(node, {}, {"true"})).status == 0; }));
}
