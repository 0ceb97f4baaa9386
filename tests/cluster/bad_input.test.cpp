// What users get wrong, and what the command says to it.

#include "troupe/storage/database.hpp"
#include "troupe_command.hpp"

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace troupe::test;

namespace {

/// Takes links and never says a word.
class silent_listener {
public:
  silent_listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(where);
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&where), size) == 0);
    REQUIRE(::listen(socket_, 16) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&where), &size) == 0);
    port_ = ::ntohs(where.sin_port);
  }

  ~silent_listener() {
    ::close(socket_);
  }

  silent_listener(const silent_listener&) = delete;
  silent_listener& operator=(const silent_listener&) = delete;

  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + std::to_string(port_);
  }

  /// Says `text` to the next that comes.
  void say(const std::string& text) const {
    auto peer = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    REQUIRE(peer >= 0);
    REQUIRE(::write(peer, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(peer);
  }

private:
  int socket_;
  std::uint16_t port_ = 0;
};

/// A refusal: which status, and words that must be in the sentence.
void check_refused(const words& arguments, int status, const words& sayings) {
  auto done = run(arguments);
  INFO("troupe " << arguments.front() << ' ' << arguments.back().substr(0, 100));
  INFO(done);
  CHECK(done.status == status);
  CHECK(done.says("error: "));
  CHECK(done.says("; "));
  for (auto& each : sayings)
    CHECK(done.says(each));
}

} // namespace

TEST_CASE("wrong words on the command line are bad usage", "[cluster][cli]") {
  need_command();
  check_refused({"dance"}, 2, {"dance"});
  check_refused({"status", "--colour", "red"}, 2, {"--colour"});
  CHECK(run({"--json"}).status == 2);
  check_refused({"lock", "press"}, 2, {"COMMAND"});
  check_refused({"status", "--at", "nowhere"}, 2, {"nowhere", "HOST:PORT"});
  check_refused({"leave", "--at", "a:1", "--at", "b:2"}, 2, {"2 nodes"});
  check_refused({"get", "k", "--level", "loud"}, 2, {"loud", "eventual, causal, strong"});
  check_refused({"node", "--slots", "many"}, 2, {"many"});
  check_refused({"node", "--slots", "010"}, 2, {"--slots", "'010'"});
  check_refused({"node", "--voters", "0x2"}, 2, {"--voters", "'0x2'"});
  check_refused({"node", "--cpus", "nan"}, 2, {"--cpus", "'nan'"});
  check_refused({"node", "--cpus", "0x2"}, 2, {"--cpus", "'0x2'"});
  check_refused({"node", "--memory", "-5"}, 2, {"--memory", "'-5'"});
  check_refused({"node", "--slots", "many"}, 2, {"see troupe node --help"});
  check_refused({"demo", "--seconds", "nan"}, 2, {"--seconds", "'nan'"});
  check_refused({"sim", "raft", "--loss", "nan"}, 2, {"--loss", "'nan'"});
  check_refused({"sim", "raft", "--nodes", "0x3"}, 2, {"--nodes", "'0x3'"});
  for (auto* seed : {"-1", "0x7", "010", "18446744073709551616", "seven"})
    for (words command : {words{"sim", "raft"}, words{"chaos"}}) {
      command.insert(command.end(), {"--seed", seed});
      check_refused(command, 2, {"--seed", "'"s + seed + "'"});
    }
  check_refused({"node", "--config", "/no/such/file"}, 2, {"/no/such/file"});
  check_refused({"lock", "press", "--ttl", "soon", "--", "true"}, 2, {"soon", "10s"});
  CHECK(run({"--help"}).status == 0);
  CHECK(run({"lock", "--help"}).says("TROUPE_TOKEN"));
  CHECK(run({"--version"}).output.starts_with("troupe "));
}

TEST_CASE("the help is shown to whoever asks for it, and to whoever gives no command",
          "[cluster][cli]") {
  need_command();
  auto asked = run({"help"});
  INFO(asked);
  CHECK(asked.status == 0);
  CHECK(asked.says("Usage: troupe [OPTIONS] COMMAND"));
  CHECK(run({"--help"}).output == asked.output);
  auto bare = run({});
  CHECK(bare.status == 2); // a script whose variable is empty has to notice
  CHECK(bare.says("Usage: troupe [OPTIONS] COMMAND"));
  auto of_lock = run({"help", "lock"});
  INFO(of_lock);
  CHECK(of_lock.status == 0);
  CHECK(of_lock.says("Usage: troupe lock [OPTIONS] NAME"));
  CHECK(of_lock.says("keeps the lock: 500ms, 10s, up to 10m")); // lock_options::max_span
  CHECK(of_lock.output == run({"lock", "--help"}).output);
  check_refused({"help", "lokc"}, 2, {"'lokc'", "the nearest one is lock"});
}

TEST_CASE("the help of each command has an example, and no words of its parser", "[cluster][cli]") {
  need_command();
  auto all = run({"help"}).output;
  auto start_of_list = all.find("First steps:");
  REQUIRE(start_of_list != std::string::npos);
  std::size_t count = 0;
  std::istringstream lines{all.substr(start_of_list)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  ") || line[2] == ' ')
      continue;
    auto name = line.substr(2, line.find(' ', 2) - 2);
    auto help = run({"help", name}).output;
    INFO(help);
    auto example = help.find("Example:\n  ");
    REQUIRE(example != std::string::npos);
    CHECK(help.find("troupe " + name, example) != std::string::npos);
    CHECK(help.find(command_path()) == std::string::npos);
    for (auto* word : {"UINT", "FLOAT", "[]", " in ["})
      CHECK(help.find(word) == std::string::npos);
    auto usage = help.substr(help.find("Usage: "));
    std::istringstream arguments{usage.substr(0, usage.find('\n'))};
    for (std::string word; arguments >> word;) { // in brackets: need not be given
      auto meaning = help.find("\n  " + word + "  ");
      if (meaning == std::string::npos)
        continue;
      auto text = help.substr(meaning + 1, help.find('\n', meaning + 1) - meaning);
      CHECK(text.find("; default: ") == std::string::npos);
    }
    ++count;
  }
  CHECK(count == 35);
}

TEST_CASE("the help of a verb of the CA has its options only", "[cluster][cli]") {
  need_command();
  const std::map<std::string, words> options{
    {"issue", {"--name", "--role", "--rights", "--out FOLDER", "--request", "default: member"}},
    {"list", {}},
    {"renew", {"WHICH", "--out FOLDER"}},
    {"revoke", {"WHICH", "--at HOST:PORT", "--force", "default: 127.0.0.1:6767"}},
    {"invite", {"--name", "--role", "--rights", "--for SPAN", "--out FILE", "default: 15m"}},
    {"invitations", {}},
    {"withdraw", {"WHICH"}}};
  auto whole = run({"ca", "--help"});
  INFO(whole);
  CHECK(whole.status == 0);
  for (auto& [verb, own] : options) {
    CHECK(whole.says('\n' + verb + ": "));
    auto page = run({"ca", verb, "--help"});
    INFO(page);
    CHECK(page.status == 0);
    CHECK(page.says("Usage: troupe ca " + verb + " [OPTIONS]"));
    CHECK(page.says("troupe ca " + verb + ' '));
    CHECK(page.says("Example:\n  troupe ca " + verb));
    for (auto* each : {"--data FOLDER", "--json", "-h,--help"})
      CHECK(page.says(each));
    for (auto& each : own)
      CHECK(page.says(each));
    for (auto* each :
         {"--name", "--role", "--rights", "--for", "--out", "--request", "--at", "--force"})
      if (std::ranges::none_of(own, [&](auto& one) { return one.starts_with(each); }))
        CHECK_FALSE(page.says("\n  " + std::string{each} + ' '));
    CHECK(page.output == run({"help", "ca", verb}).output);
    CHECK(page.output == run({"ca", "-h", verb, "--data", "d"}).output);
  }
}

TEST_CASE("a word that a command does not take is refused with the nearest one", "[cluster][cli]") {
  need_command();
  check_refused({"status", "--att", "x"}, 2,
                {"'--att' is no option of troupe status", "the nearest one is --at,"});
  check_refused({"node", "--nmae=foo"}, 2, {"'--nmae'", "the nearest one is --name,"});
  check_refused({"request", "--levle"}, 2, {"'--levle'", "see troupe request --help"});
  check_refused({"--verbose"}, 2, {"'--verbose' is no option of troupe itself", "give a command"});
  check_refused({"--jsno", "status"}, 2, {"'--jsno' is no option of troupe itself"});
  check_refused({"put", "key", "two", "words"}, 2, {"'words' is one word too many"});
  check_refused({"help", "voters", "add"}, 2,
                {"'add' is one word too many", "see troupe help voters"});
  check_refused({"help", "ca", "isue"}, 2, {"'isue' is no verb", "the nearest one is issue"});
  check_refused({"help", "ca", "issue", "x"}, 2, {"'x' is one word too many for troupe help"});
  check_refused({"voters", "lsit"}, 2,
                {"'lsit' is none of list, add, remove, replace, lead", "the nearest one is list"});
  check_refused({"workflows", "stop"}, 2, {"'stop' is none of list, pause, resume, cancel"});
  check_refused({"node", "--slots"}, 2, {"--slots has no value"});
  check_refused({"node", "--slots", "1", "--slots", "2"}, 2, {"--slots is given more than once"});
  check_refused({"node", "--memory", "16XB"}, 2, {"--memory: '16XB'", "512MB"});
}

TEST_CASE("a near word is named only if it is close, otherwise all words are", "[cluster][cli]") {
  need_command();
  check_refused({"STATUS"}, 2, {"the nearest one is status,"});
  check_refused({"voters", "LEAD"}, 2, {"the nearest one is lead"});
  check_refused({"status", "--Tiemout", "1s"}, 2, {"the nearest one is --timeout,"});
  auto far = [](const words& arguments, const std::string& instead) {
    check_refused(arguments, 2, {instead});
    CHECK_FALSE(run(arguments).says("nearest"));
  };
  far({"frobnicate"}, "see troupe --help, which lists them");
  far({"help", "frobnicate"}, "see troupe --help, which lists them");
  far({"voters", "frobnicate"}, "none of list, add, remove, replace, lead; give one of these");
  far({"completion", "tcsh"}, "none of bash, zsh, fish; give one of these");
  far({"status", "--colour"}, "see troupe status --help, which lists them");
}

TEST_CASE("a number or span beyond its range is refused with the range", "[cluster][cli]") {
  need_command();
  auto refused = [](const std::string& option, const std::string& value, const std::string& why) {
    check_refused({"node", option, value}, 2, {option + ": '" + value + "' is not " + why});
  };
  for (auto* slots : {"-1", "2.5", "010", ""})
    refused("--slots", slots, "a whole number from 0 to 1024; write it as 4");
  for (auto* slots : {"1025", "99999999", "99999999999"})
    refused("--slots", slots, "a whole number from 0 to 1024; give at most 1024");
  refused("--gpus", "-1", "a whole number from 0 to 1000000; ");
  refused("--voters", "8", "a whole number from 1 to 7; give at most 7");
  refused("--voters", "0", "a whole number from 1 to 7; give at least 1");
  refused("--cpus", "1e7", "a number from 0 to 1000000; ");
  for (auto* size : {"1e9", "-5", "0x10", "010", "1.5GiB", "16EiB", "99999999999999999999", ""})
    refused("--memory", size, "a size up to 15EiB; write it as 512MB, 16GiB or a whole number");
  const auto advice = "; write it as 500ms, 10s, 2m, 1h or plain seconds"s;
  for (auto* span : {"soon", "-1s", "nan"})
    refused("--drain", span, "a span" + advice);
  for (auto* span : {"100001h", "99999999h", "1e300", "infs"})
    refused("--drain", span, "a span up to 100000h (11 years)" + advice);
  for (auto* option : {"--ttl", "--wait"})
    check_refused({"lock", "press", option, "1d", "--", "true"}, 2,
                  {option + ": '1d' is not a span"s + advice});
  check_refused({"put", "a", "b", "--ttl", "abc"}, 2,
                {"--ttl: 'abc' is not a span from 1ms to 87840h (10 years)" + advice});
  auto refused_ttl = [](const std::string& ttl, const std::string& why) {
    check_refused({"send", "a", "text", "--ttl", ttl}, 2,
                  {"--ttl: '" + ttl + "' is not a span from 1ms to 8760h (365 days)" + why});
  };
  refused_ttl("100y", advice);
  refused_ttl("0", "; it is too short; ");
  refused_ttl("8761h", "; it is too long; ");
  check_refused({"submit", "file", "--within", "abc"}, 2,
                {"--within: 'abc' is not a span from 10ms to 10000h (416 days)" + advice});
  check_refused({"status", "--timeout", "5000s"}, 2, {"'5000s' is not a span from 10ms to 1h; "});
  check_refused({"submit", "file", "--time-scale", "1e308"}, 2,
                {"--time-scale: '1e308' is not a number from 0 to 1000000; "});
  for (auto& [size, bytes] : {std::pair{"2kb", "2000"},
                              {"2KiB", "2048"},
                              {"3 G", "3000000000"},
                              {"15EiB", "17293822569102704640"},
                              {"7", "7"}})
    CHECK(run({"config", "--memory", size}).says("memory = "s + bytes + "  (flag)"));
}

TEST_CASE("an empty word where a name or a file is due is refused", "[cluster][cli]") {
  need_command();
  for (auto* command : {"get", "watch"})
    check_refused({command, ""}, 2, {"KEY: the word is empty; give the name of a value"});
  check_refused({"put", "", "v"}, 2, {"KEY: the word is empty; "});
  for (auto* command : {"submit", "dag", "backup"})
    check_refused({command, ""}, 2, {"FILE: the word is empty; "});
  check_refused({"restore", "", "--data", "new"}, 2, {"FILE: the word is empty; "});
  check_refused({"restore", "old.backup", "--data", ""}, 2,
                {"--data: the word is empty; give a folder"});
  check_refused({"recover", "--data", ""}, 2, {"--data: the word is empty; give a folder"});
  check_refused({"node", "--data", ""}, 2, {"--data: the word is empty", "leave --data out"});
  check_refused({"init", "--data", ""}, 2, {"--data: the word is empty; give a folder"});
  check_refused({"init", "--data", "new", "--request", ""}, 2, {"--request: the word is empty; "});
  check_refused({"ca", "issue", "--data", "", "--name", "x", "--out", "new"}, 2,
                {"--data: the word is empty; give a folder"});
  check_refused({"ca", "issue", "--data", "d", "--name", "x", "--out", ""}, 2,
                {"--out: the word is empty; give a file or folder"});
  check_refused({"node", "--join", ""}, 2, {"--join: the word is empty", "leave --join out"});
  check_refused({"submit", "run.json", "--key", ""}, 2, {"--key: the word is empty; give a key"});
  check_refused({"status", "--config", ""}, 2, {"--config: the word is empty; give a file"});
  check_refused({"status", "--at", ""}, 2, {"--at: the word is empty; give a node"});
  for (const words& dials : {words{"status", "--at"}, words{"node", "--join"}, words{"login"}}) {
    auto command = dials;
    command.emplace_back("127.0.0.1:0");
    check_refused(command, 2, {"'127.0.0.1:0' has port 0", "give the port that the node has"});
  }
  check_refused({"maintain", ""}, 2, {"NODE: the word is empty; "});
  check_refused({"request", "", "text"}, 2, {"AGENT: the word is empty; "});
}

TEST_CASE("what a certificate would not get is refused, not ignored", "[cluster][cli]") {
  need_command();
  check_refused({"ca", "issue", "--data", "d", "--name", "x", "--out", "x", "--rights", "read"}, 2,
                {"--rights is for clients", "give --role client"});
  check_refused({"ca", "issue", "x", "--data", "d", "--out", "x"}, 2,
                {"'x'", "give a name as --name"});
  check_refused({"ca", "list", "x", "--data", "d"}, 2, {"'x' is one word too many"});
  check_refused({"ca", "renew", "x", "--data", "d", "--out", "x", "--role", "client"}, 2,
                {"--role is for troupe ca issue and invite"});
  check_refused({"ca", "revoke", "x", "--data", "d", "--name", "x"}, 2,
                {"--name is for troupe ca issue"});
  check_refused({"ca", "invite", "--data", "d", "--rights", "read"}, 2,
                {"--rights is for clients"});
  check_refused({"ca", "issue", "--data", "d", "--name", "x", "--out", "x", "--for", "1h"}, 2,
                {"--for is for troupe ca invite"});
  check_refused({"ca", "renew", "x", "--data", "d", "--out", "x", "--force"}, 2,
                {"--force is for troupe ca revoke"});
  check_refused({"ca", "revoke", "x", "--data", "d", "--out", "x"}, 2,
                {"--out is for troupe ca issue, renew and invite"});
  check_refused({"init", "--data", "d", "--request", "d.csr", "--name", "x"}, 2,
                {"--name says nothing beside --request", "troupe ca issue --name"});
}

TEST_CASE("behind -- no word is an option", "[cluster][cli]") {
  need_command();
  running_node node{{"--name", "n1", "--slots", "0"}};
  auto at = node.address();
  CHECK(run({"put", "x", "--at", at, "--", "--foo"}).status == 0);
  CHECK(run({"get", "--at", at, "--", "x"}).output == "--foo\n");
  CHECK(run({"put", "--at", at, "--", "-k", "-v"}).status == 0);
  CHECK(run({"get", "--at", at, "--", "-k"}).output == "-v\n");
  CHECK(run({"put", "--at", at, "x", "--", "--"}).status == 0);
  CHECK(run({"get", "--at", at, "x"}).output == "--\n");
  REQUIRE(comes_true([&] {
    return run({"request", "--at", at, "echo-n1", "--", "--json"}).output == "--json\n";
  }));
  CHECK(run({"send", "--at", at, "--", "echo-n1", "-v"}).status == 0);
  CHECK(run({"send", "--at", at, "--ttl", "10s", "echo-n1", "x"}).status == 0);
  CHECK(run({"send", "--at", at, "--priority", "critical", "echo-n1", "x"}).status == 0);
  check_refused({"send", "--at", at, "--priority", "urgent", "echo-n1", "x"}, 2, {"critical"});
  check_refused({"send", "--at", at, "--synced", "echo-n1", "x"}, 2, {"--class confirm and once"});
  CHECK(run({"send", "--at", at, "--class", "confirm", "--synced", "echo-n1", "x"})
          .says("start it with --data, or leave out --synced"));
  check_refused({"send", "--at", at, "--class", "confirm", "--ttl", "100ms", "nobody", "x"}, 1,
                {"send it again with a longer --ttl if it still matters"});
  CHECK(run({"request", "--at", at, "--ttl", "8760h", "echo-n1", "x"}).output == "x\n");
  check_refused({"run", "--at", at, "--", "-1"}, 2, {"RUN: '-1' is not the number of a run"});
  check_refused({"maintain", "--at", at, "--", "--node"}, 1, {"no node is called '--node'"});
  check_refused({"locks", "--at", at, "--", "--json"}, 2, {"'--json' is one word too many"});
  check_refused({"put", "x", "--", "--foo", "--at", at}, 2,
                {"'--at' is one word too many", "give options before it, see troupe put --help"});
  check_refused({"put", "x", "y", "--", "--at", at}, 2, {"'--at' is one word too many"});
  check_refused({"put", "x", "--foo"}, 2, {"'--foo' is no option", "write -- before a word"});
  check_refused({"put", "x", "--"}, 2, {"VALUE is required"});
  CHECK(run({"help", "put"}).says("troupe put options -- --dry-run"));
}

TEST_CASE("spans have units, or are plain seconds", "[cluster][cli]") {
  need_command();
  for (auto* span : {"2m", "120s", "120", "120000ms"}) {
    auto shown = run({"config", "--timeout", span});
    INFO(span << ": " << shown);
    CHECK(shown.says("timeout = 120.0  (flag)\n"));
  }
  CHECK(run({"config", "--timeout", "500ms"}).says("timeout = 0.5  (flag)\n"));
  for (auto* wrong : {"5x", "s", "-1s", "nan", "infs", "0x2", "1h1m"})
    check_refused({"status", "--timeout", wrong}, 2, {"--timeout", wrong});
  check_refused({"status", "--timeout", "2h"}, 2,
                {"--timeout: '2h' is not a span from 10ms to 1h; it is too long"});
  auto simulated = run({"sim", "lock", "--json", "--seconds", "2s"});
  INFO(simulated);
  CHECK(simulated.line()["virtual_s"] == 2);
  check_refused({"sim", "lock", "--seconds", "500ms"}, 2, {"--seconds", "'500ms'", "1s to 24h"});
  check_refused({"chaos", "--seconds", "31m"}, 2, {"--seconds", "'31m'", "10s to 30m"});
  check_refused({"demo", "--seconds", "2h"}, 2, {"--seconds"});
}

TEST_CASE("what is printed and does not arrive is a failure", "[cluster][cli]") {
  need_command();
  auto printed = [](const std::string& words) {
    troupe::testing::child_process process{
      {"/bin/bash", "-c", "set -o pipefail; { \"$0\" " + words + "; } 2>&1", command_path()}};
    return finish(process);
  };
  for (auto* command :
       {"help", "config", "sim list --json", "--help", "--version", "put --help", "man"}) {
    auto full = printed(command + " > /dev/full"s);
    INFO(full);
    CHECK(full.status == 1);
    CHECK(full.says("the output could not be written; "));
  }
  // Whoever reads the first line only has what it wanted.
  auto head = printed("config | head -n 1");
  INFO(head);
  CHECK_FALSE(head.says("error"));
  CHECK(printed("config > /dev/null").status == 0);
}

TEST_CASE("with --json a refusal is an object with its code", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  auto check
    = [](const words& arguments, int status, const std::string& code, const std::string& saying) {
        auto done = run(arguments);
        INFO(done);
        CHECK(done.status == status);
        auto line = done.line();
        CHECK(line.value("event", "") == "error");
        CHECK(line.value("code", "") == code);
        CHECK(line.value("detail", "").find(saying) != std::string::npos);
        CHECK_FALSE(done.says("error: "));
        CHECK(done.lines().size() == 1);
      };
  check({"dance", "--json"}, 2, "bad_argument", "'dance' is no command");
  check({"status", "--json", "--att", "x"}, 2, "bad_argument", "--att");
  check({"status", "--att", "x", "--json"}, 2, "bad_argument", "--att");
  check({"node", "--slots=", "--json"}, 2, "bad_argument", "--slots= has no value");
  check({"node", "--config", "/no/such/file", "--json"}, 2, "not_found", "/no/such/file");
  check({"dag", "--json", folder / "none.json"}, 2, "not_found", "none.json");
  running_node node{{"--slots", "0"}};
  check({"get", "nokey", "--json", "--at", node.address()}, 1, "not_found", "nokey");
  // What is behind -- is for the command.
  auto plain = run({"lock", "", "--at", node.address(), "--", "true", "--json"});
  INFO(plain);
  CHECK(plain.says("error: "));
}

TEST_CASE("commands that start nodes keep nothing in the current folder for want of another",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  for (words command : {words{"chaos", "--seconds", "10"}, words{"demo"}}) {
    words line{"/bin/sh", "-c", "cd \"$0\" && exec /usr/bin/env TMPDIR=/proc \"$@\" 2>&1",
               folder / "", command_path()};
    line.insert(line.end(), command.begin(), command.end());
    for (auto* none : {"TMPDIR=/proc", "TMPDIR=/no/such/folder"}) {
      line[2] = "cd \"$0\" && exec /usr/bin/env "s + none + " \"$@\" 2>&1";
      troupe::testing::child_process process{line};
      auto done = finish(process);
      INFO(command.front() << ' ' << none << '\n' << done);
      CHECK(done.status == 2);
      CHECK(done.says("set TMPDIR to a writable folder"));
    }
  }
  CHECK(std::filesystem::is_empty(folder / ""));
}

TEST_CASE("files that are no workflows are refused with the place", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  write_file(folder / "cycle.json",
             R"({"schema": "troupe-dag/1", "name": "c", "tasks": [
               {"id": "left", "runtime_s": 1, "parents": ["right"]},
               {"id": "right", "runtime_s": 1, "parents": ["left"]}]})");
  check_refused({"dag", folder / "cycle.json"}, 2, {"left", "right", "cycle"});
  check_refused({"dag", folder / "none.json"}, 2, {"none.json"});
  check_refused({"submit", folder / "none.json"}, 2, {"none.json"});
  auto once = run({"dag", folder / "none.json"}).output;
  CHECK(once.find("none.json") == once.rfind("none.json"));
  write_file(folder / "broken.json", "{\"schema\": ");
  check_refused({"dag", folder / "broken.json"}, 2, {"line 1"});
  write_file(folder / "README.md", "# Not a workflow\n");
  check_refused({"submit", folder / "README.md"}, 2,
                {"README.md: line 1, column 1: this is no workflow", "troupe-dag/1 or WfFormat"});
  write_file(folder / "large.json", "{");
  std::filesystem::resize_file(folder / "large.json", 1'073'741'824);
  check_refused({"dag", folder / "large.json"}, 2, {"1073741824"});
  write_file(folder / "good.json", diamond(2));
  check_refused({"submit", folder / "good.json", "--time-scale", "-1"}, 2, {"--time-scale"});
  check_refused({"submit", folder / "good.json", "--time-scale", "0x2"}, 2,
                {"--time-scale", "'0x2'"});
  check_refused({"submit", folder / "good.json", "--priority", "utmost"}, 2, {"utmost", "urgent"});
}

TEST_CASE("whoever is no node or not there is named", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  write_file(folder / "good.json", diamond(2));
  silent_listener silent;
  std::string free_port;
  {
    silent_listener once;
    free_port = once.address();
  }
  check_refused({"submit", folder / "good.json", "--timeout", "1", "--at", free_port}, 1, {});
  check_refused({"submit", folder / "good.json", "--timeout", "1", "--at", silent.address()}, 3,
                {});
  auto asking = start({"status", "--timeout", "10", "--at", silent.address()});
  silent.say("HTTP/1.1 400 Bad Request\r\n\r\n" + std::string(300, 'x'));
  silent.say("HTTP/1.1 400 Bad Request\r\n\r\n" + std::string(300, 'x'));
  auto done = finish(asking);
  INFO(done);
  CHECK(done.status == 2);
  CHECK(done.says("error: "));
}

TEST_CASE("no answer within --timeout is exit status 3, however long that is, and whoever asks",
          "[cluster][cli]") {
  need_command();
  silent_listener silent;
  for (auto* span : {"500ms", "2s", "4s"})
    for (words command : {words{"status"}, words{"put", "key", "value"}}) {
      command.insert(command.end(), {"--timeout", span, "--at", silent.address()});
      check_refused(command, 3, {"troupe node"});
    }
  auto told = run({"status", "--timeout", "2s", "--at", silent.address()});
  INFO(told);
  CHECK(told.output.starts_with("trying for 1 s more: no answer yet from " + silent.address()
                                + "\nerror: "));
}

TEST_CASE("of several nodes one that refuses says why, in whichever order they are given",
          "[cluster][cli]") {
  need_command();
  silent_listener silent;
  std::string free_port;
  {
    silent_listener once;
    free_port = once.address();
  }
  temporary_folder folder;
  write_file(folder / "good.json", diamond(2));
  for (auto& at : {silent.address() + ',' + free_port, free_port + ',' + silent.address()})
    for (auto* span : {"500ms", "2s", "4s"})
      for (auto& command : {words{"status"}, words{"submit", folder / "good.json"}}) {
        auto asked = command;
        asked.insert(asked.end(), {"--timeout", span, "--at", at});
        check_refused(asked, 1, {free_port + " cannot be reached: Connection refused"});
      }
}

TEST_CASE("who waits for a node hears after a second that nothing listens there",
          "[cluster][cli]") {
  need_command();
  std::string free_port;
  {
    silent_listener once;
    free_port = once.address();
  }
  auto refusal = free_port + " cannot be reached: Connection refused";
  auto done = run({"status", "--timeout", "3s", "--at", free_port});
  INFO(done);
  CHECK(done.status == 1);
  CHECK(done.output.starts_with("trying for 2 s more: " + refusal + "\nerror: " + refusal + "; "));
  auto as_json = run({"status", "--json", "--timeout", "3s", "--at", free_port});
  INFO(as_json);
  CHECK(as_json.status == 1);
  CHECK(as_json.output.starts_with("{"));
  CHECK(as_json.lines().size() == 1);
  // A node that starts meanwhile is found.
  auto asking = start({"status", "--timeout", "30s", "--at", free_port});
  REQUIRE(asking.read_line(10s).value_or("").starts_with("trying for 29 s more: "));
  running_node node{{"--slots", "0"}, free_port};
  auto found = finish(asking);
  INFO(found);
  CHECK(found.status == 0);
}

TEST_CASE("what another process uses is refused", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--slots", "0", "--data", folder / "data"}};
  check_refused({"node", "--slots", "0", "--listen", node.address()}, 1,
                {node.address().substr(node.address().find(':') + 1)});
  check_refused({"node", "--slots", "0", "--listen", "127.0.0.1:0", "--data", folder / "data"}, 1,
                {(folder / "data").string()
                 + " belongs to a running node; stop that, or give "
                   "another folder with --data\n"});
}

TEST_CASE("a node whose name or worker no cluster would take does not start", "[cluster][cli]") {
  need_command();
  auto refused = [](const std::string& option, const std::string& value, const words& sayings) {
    check_refused({"node", "--listen", "127.0.0.1:0", option, value}, 2, sayings);
  };
  refused("--name", std::string(300, 'x'),
          {"--name: the name of 300 bytes cannot stand in a certificate", "1 to 64 bytes"});
  refused(
    "--name", "two\nlines",
    {"--name: the name of 9 bytes cannot stand in a certificate", "without control characters"});
  refused("--group", std::string(300, 'x'), {"--group of 300 bytes is not a valid name"});
  refused("--label", std::string(300, 'x') + "=1", {"labels key has 300 bytes"});
  running_node longest{{"--name", std::string(64, 'x'), "--slots", "0"}};
  CHECK(longest.ready()["node"] == std::string(64, 'x'));
}

// A node's name is for people; its id tells it from others.
TEST_CASE("two nodes with one name are two members, and one of them has the name of its agent",
          "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  auto at = host.address();
  running_node first{{"--name", "twin", "--slots", "0", "--join", at}};
  REQUIRE(comes_true([&] {
    return run({"request", "echo-twin", "hello", "--at", at}).status == 0;
  }));
  auto second = start(
    running_node::with_defaults({"--name", "twin", "--slots", "0", "--join", at}, "127.0.0.1:0"));
  std::string refusal;
  while (auto line = second.read_line(20s)) {
    refusal = *line;
    if (line->find("has the name echo-twin") != std::string::npos)
      break;
  }
  INFO(refusal);
  CHECK(refusal.find("has the name echo-twin") != std::string::npos);
  CHECK(refusal.find("; choose another") != std::string::npos);
  CHECK(refusal.find("node twin at " + first.address()) != std::string::npos);
  auto status = [&] { return run({"status", "--at", at}); };
  CHECK(comes_true([&] { return status().says("3 members"); }));
  std::regex twin{"\ntwin \\(([0-9a-f]{8})\\)  active"};
  auto shown = "\n" + status().output;
  INFO(shown);
  std::set<std::string> digits;
  for (std::sregex_iterator each{shown.begin(), shown.end(), twin}; each != std::sregex_iterator{};
       ++each)
    digits.insert((*each)[1]);
  CHECK(digits.size() == 2);
  CHECK(shown.find("\nn1  active") != std::string::npos);
  CHECK(run({"maintain", "twin", "--at", at}).says("the first digits of its id"));
  CHECK(run({"request", "echo-twin", "hello", "--at", at}).output == "hello\n");
}

TEST_CASE("a data folder of a newer release is refused", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node{{"--slots", "0", "--data", folder / "data"}}.kill();
  auto is_refused = [&](const std::string& file) {
    check_refused({"node", "--slots", "0", "--listen", "127.0.0.1:0", "--data", folder / "data"}, 2,
                  {"upgrade first", file});
  };
  SECTION("by the format of a journal") {
    std::string journal;
    for (auto& each : std::filesystem::directory_iterator{folder / "data"})
      if (std::filesystem::exists(each.path().string() + "-wal"))
        journal = each.path();
    REQUIRE(!journal.empty());
    {
      troupe::storage::database file;
      REQUIRE(
        file.open(journal, troupe::storage::database::sharing::exclusive, "PRAGMA user_version=7")
          .code
        == troupe::errc::none);
    }
    is_refused(journal);
  }
  SECTION("by the format of the folder") {
    auto file = folder / "data" / "identity.json";
    auto identity = json::parse(std::ifstream{file});
    identity["format"] = 7;
    write_file(file, identity.dump());
    is_refused((folder / "data").string());
    CHECK(json::parse(std::ifstream{file}) == identity); // left as it is
  }
}

TEST_CASE("a copied data folder does not make a second node", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node host{{"--name", "n1", "--slots", "0"}};
  {
    running_node original{
      {"--name", "n2", "--slots", "0", "--data", folder / "data", "--join", host.address()}};
    REQUIRE(comes_true([&] { return run({"status", "--at", host.address()}).says("2 members"); }));
    original.process().send_signal(SIGTERM);
    REQUIRE(original.process().wait_for_end() == 0);
  }
  std::filesystem::copy(folder / "data", folder / "copy", std::filesystem::copy_options::recursive);
  running_node original{
    {"--name", "n2", "--slots", "0", "--data", folder / "data", "--join", host.address()}};
  auto answers = [&] {
    return run({"request", "echo-n2", "hello", "--at", host.address()}).output == "hello\n";
  };
  REQUIRE(comes_true(answers));
  auto copy = start({"node", "--json", "--name", "n3", "--slots", "0", "--listen", "127.0.0.1:0",
                     "--data", folder / "copy", "--join", host.address()});
  // It must neither be a member nor harm the one whose identity it has, which was started as often.
  auto line = copy.read_line(10s);
  INFO(line.value_or("nothing said"));
  CHECK(comes_true(answers));
  auto seen = run({"status", "--json", "--at", host.address()});
  INFO(seen);
  CHECK(seen.line()["members"].size() == 2);
  CHECK_FALSE(seen.says("n3"));
  CHECK(comes_true([&] {
    return run({"status", "--at", host.address()}).says("two nodes use one identity: node n1");
  }));
  CHECK(copy.wait_for_end(30s) == 1); // it gives up
  // Nor if it was started more often.
  auto again = start({"node", "--json", "--name", "n3", "--slots", "0", "--listen", "127.0.0.1:0",
                      "--data", folder / "copy", "--join", host.address()});
  CHECK(again.wait_for_end(30s) == 1);
  CHECK(answers());
  CHECK_FALSE(run({"status", "--json", "--at", host.address()}).says("n3"));
}

TEST_CASE("locks beyond their bounds are refused", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto at = node.address();
  check_refused({"lock", "press", "--at", at, "--ttl", "0", "--", "true"}, 2, {"--ttl is '0'"});
  check_refused({"lock", "press", "--at", at, "--ttl", "11m", "--", "true"}, 2, {"--ttl is 66"});
  check_refused({"lock", "press", "--at", at, "--wait", "11m", "--", "true"}, 2, {"--wait is 66"});
  check_refused({"lock", "", "--at", at, "--", "true"}, 2, {"NAME is empty"});
  check_refused({"lock", "z\xfcrich", "--at", at, "--", "true"}, 2,
                {"error: the name of a lock has to be UTF-8; encode other bytes, e.g. as base64"});
  auto as_json = run({"lock", "z\xfcrich", "--json", "--at", at, "--", "true"});
  INFO(as_json);
  CHECK(as_json.status == 2);
  CHECK(as_json.line()["code"] == "bad_argument");
  // The longest word that the kernel passes on to a program.
  std::string name(131'000, 'n');
  check_refused({"lock", name, "--at", at, "--", "true"}, 2, {"255"});
  CHECK(run({"lock", "press", "--at", at, "--", "true"}).status == 0); // the node goes on
}

TEST_CASE("refusals name options of the command, and no fields of C++", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto at = node.address();
  auto without_fields = [](const words& arguments, int status, const words& sayings) {
    check_refused(arguments, status, sayings);
    CHECK_FALSE(run(arguments).says("::"));
    CHECK_FALSE(run(arguments).says("options"));
  };
  without_fields({"lock", "press", "--at", at, "--ttl", "11m", "--", "true"}, 2,
                 {"give more than 0 ms, at most 600000 ms"});
  without_fields({"locks", "--force-release", "nosuch", "--at", at}, 1,
                 {"nosuch is not held; troupe locks shows those that are held"});
  without_fields({"put", std::string(1'000, 'k'), "v", "--at", at}, 2, {"give at most 512"});
  without_fields({"node", "--listen", "0.0.0.0:0", "--insecure"}, 2, {"leave out --insecure"});
  auto holder = start({"lock", "press", "--json", "--at", at, "--", "sleep", "60"});
  REQUIRE(holder.read_line());
  without_fields({"lock", "press", "--at", at, "--", "true"}, 3, {"wait in line with --wait"});
  without_fields({"lock", "press", "--at", at, "--wait", "100ms", "--", "true"}, 3,
                 {"wait longer with --wait"});
  holder.send_signal(SIGTERM);
  finish(holder);
}
