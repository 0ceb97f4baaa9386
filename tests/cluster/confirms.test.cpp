// Messages of class confirm and once between real processes that are killed and stopped.

#include "support/temporary_folder.hpp"
#include "troupe/storage/database.hpp"
#include "troupe/testing/comes_true.hpp"
#include "troupe_command.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;
using troupe::testing::child_process;

namespace {

constexpr auto confirms_program = TROUPE_BIN_DIR "/confirms_program";

/// What "account" has entered in its database.
std::vector<std::int64_t> entries_in(const std::filesystem::path& database) {
  storage::database file;
  REQUIRE(file.open(database, storage::database::sharing::shared, "").code == errc::none);
  std::vector<std::int64_t> found;
  auto rows = file.prepare("SELECT value FROM entries ORDER BY place");
  while (rows.next() == SQLITE_ROW)
    found.push_back(rows.integer(0));
  return found;
}

/// One node that sends to an agent of another one.
class ledger_cluster {
public:
  explicit ledger_cluster(std::uint64_t count, const std::string& how = "send")
    : count_(count), sends_({confirms_program, how, "n0", folder_ / "n0", std::to_string(count)}) {
    auto ready = sends_.read_line().value_or("");
    REQUIRE(ready.starts_with("ready "));
    address_ = "127.0.0.1:" + ready.substr(6);
    start();
  }

  void start() {
    keeps_.emplace(
      std::vector<std::string>{confirms_program, "serve", "n1", folder_ / "n1", address_});
    lives_.emplace_back();
    REQUIRE(keeps_->read_line() == "ready");
  }

  /// Reads what the agent has handled until it has come so far.
  void read(std::uint64_t until) {
    while (last_ < until) {
      auto line = keeps_->read_line(60s);
      REQUIRE(line);
      note(*line);
    }
  }

  void kill() {
    keeps_->send_signal(SIGKILL);
    keeps_->wait_for_end();
    while (auto line = keeps_->read_line(0s)) // what it had still said
      note(*line);
  }

  child_process& keeper() {
    return *keeps_;
  }

  child_process& sender() {
    return sends_;
  }

  [[nodiscard]] const std::string& address() const {
    return address_;
  }

  /// Each life has handled its messages in order, none twice, and all of them have handled all.
  void check_that_all_were_handled() const {
    std::set<std::uint64_t> all;
    for (auto& life : lives_) {
      CHECK(std::ranges::adjacent_find(life, std::greater_equal<>{}) == life.end());
      all.insert(life.begin(), life.end());
    }
    CHECK(all.size() == count_);
    CHECK(*all.begin() == 1);
    CHECK(*all.rbegin() == count_);
  }

  /// What "account" has entered, in that order.
  [[nodiscard]] std::vector<std::int64_t> entries() const {
    return entries_in(folder_ / "n1.account");
  }

  /// Those that more than one life has handled.
  [[nodiscard]] std::size_t repeated() const {
    std::set<std::uint64_t> all;
    std::size_t handled = 0;
    for (auto& life : lives_) {
      all.insert(life.begin(), life.end());
      handled += life.size();
    }
    return handled - all.size();
  }

private:
  void note(const std::string& line) {
    REQUIRE(line.starts_with("handled "));
    last_ = std::stoull(line.substr(8));
    lives_.back().push_back(last_);
  }

  temporary_folder folder_;
  std::uint64_t count_;
  child_process sends_;
  std::string address_;
  std::optional<child_process> keeps_;
  std::vector<std::vector<std::uint64_t>> lives_;
  std::uint64_t last_ = 0;
};

/// An agent's node, and one that keeps what it sends to the agent on its disk.
class kept_letters {
public:
  kept_letters() {
    serve();
  }

  void serve() {
    ledger_.emplace(std::vector<std::string>{confirms_program, "serve", "n0", folder_ / "n0"});
    auto ready = ledger_->read_line(60s).value_or("");
    REQUIRE(ready.starts_with("ready "));
    address_ = "127.0.0.1:" + ready.substr(6);
    lives_.emplace_back();
  }

  /// Sends from the number after the last that was accepted.
  void send(std::uint64_t last, const std::string& mode = "keep") {
    sender_.emplace(std::vector<std::string>{confirms_program, mode, "n1", folder_ / "n1", address_,
                                             std::to_string(accepted_ + 1), std::to_string(last)});
    REQUIRE(sender_->read_line(60s) == "ready");
  }

  void read_accepted(std::uint64_t until) {
    while (accepted_ < until) {
      auto line = sender_->read_line(60s);
      REQUIRE(line);
      REQUIRE(line->starts_with("accepted "));
      accepted_ = std::stoull(line->substr(9));
    }
  }

  void kill_sender() {
    kill(*sender_);
    while (auto line = sender_->read_line(0s))
      if (line->starts_with("accepted "))
        accepted_ = std::stoull(line->substr(9));
  }

  void kill_ledger() {
    kill(*ledger_);
    while (auto line = ledger_->read_line(0s))
      lives_.back().push_back(std::stoull(line->substr(8)));
  }

  void read_handled(std::uint64_t until) {
    while (lives_.back().empty() || lives_.back().back() < until) {
      auto line = ledger_->read_line(60s);
      REQUIRE(line);
      lives_.back().push_back(std::stoull(line->substr(8)));
    }
  }

  /// What "account" has entered, in that order.
  [[nodiscard]] std::vector<std::int64_t> entries() const {
    return entries_in(folder_ / "n0.account");
  }

  [[nodiscard]] const std::vector<std::uint64_t>& handled() const {
    return lives_.back();
  }

  [[nodiscard]] std::uint64_t accepted() const {
    return accepted_;
  }

private:
  static void kill(child_process& which) {
    which.send_signal(SIGKILL);
    which.wait_for_end();
  }

  temporary_folder folder_;
  std::optional<child_process> ledger_;
  std::string address_;
  std::optional<child_process> sender_;
  std::uint64_t accepted_ = 0;
  std::vector<std::vector<std::uint64_t>> lives_;
};

} // namespace

TEST_CASE("what was accepted as synced is handled in order and once over kills of its sender",
          "[cluster]") {
  kept_letters cluster;
  constexpr std::uint64_t last = 1'500;
  for (auto until : {200U, 600U, 1'000U}) {
    cluster.send(last);
    cluster.read_accepted(until);
    cluster.kill_sender();
  }
  cluster.send(last);
  cluster.read_accepted(last);
  cluster.read_handled(last);
  auto handled = cluster.handled();
  CHECK(std::ranges::is_sorted(handled));
  // One may have been accepted that the killed sender had not said so of, and was sent again then.
  CHECK(handled.size() - last <= 3);
  CHECK(std::ranges::unique(handled).size() == handled.size() - last);
}

TEST_CASE(
  "what was accepted as synced while its agent was away is handled once both have restarted",
  "[cluster]") {
  kept_letters cluster;
  cluster.send(400);
  cluster.read_accepted(100);
  cluster.read_handled(100);
  cluster.kill_ledger();
  cluster.read_accepted(400); // nobody handles them
  cluster.kill_sender();
  cluster.serve();
  cluster.send(400); // none
  cluster.read_handled(400);
  auto& handled = cluster.handled();
  CHECK(handled.size() <= 300 + 100); // what was handled and not said is handled again
  CHECK(std::ranges::adjacent_find(handled, std::greater_equal<>{}) == handled.end());
  CHECK(handled.back() == 400);
  CHECK(handled.front() <= 101 + 100);
}

TEST_CASE("what was accepted of class confirm is handled in order over kills of the agent's node",
          "[cluster]") {
  ledger_cluster cluster{20'000};
  for (auto each : {1'000U, 10'000U}) {
    cluster.read(each);
    cluster.kill();
    cluster.start();
  }
  cluster.read(20'000);
  CHECK(cluster.sender().read_line(20s) == "accepted");
  CHECK(cluster.sender().read_line(20s) == "done");
  cluster.check_that_all_were_handled();
  // What the killed ones had handled and not yet said: one message of this sender at a time, and a
  // word of a few of them.
  CHECK(cluster.repeated() < 1'000);
}

TEST_CASE("what was accepted of class confirm while the agent's node is stopped is handled after",
          "[cluster]") {
  ledger_cluster cluster{5'000};
  cluster.read(500);
  cluster.keeper().send_signal(SIGSTOP);
  CHECK(cluster.sender().read_line(20s) == "accepted"); // all of them, while nobody handles one
  cluster.keeper().send_signal(SIGCONT);
  cluster.read(5'000);
  CHECK(cluster.sender().read_line(20s) == "done");
  cluster.check_that_all_were_handled();
  CHECK(cluster.repeated() == 0);
}

TEST_CASE("what was accepted as synced of class once has one effect over kills of both sides",
          "[cluster]") {
  kept_letters cluster;
  constexpr std::uint64_t last = 400;
  std::uint64_t restarts = 0;
  for (std::uint64_t until = 50; until < last; until += 100, ++restarts) {
    cluster.send(last, "keep-once");
    cluster.read_accepted(until);
    cluster.kill_sender();
    cluster.kill_ledger(); // with an entry that may not be committed
    cluster.serve();
  }
  cluster.send(last, "keep-once");
  cluster.read_accepted(last);
  cluster.read_handled(last);
  auto entries = cluster.entries();
  if (entries.empty() || entries.back() != last) // the last one is not committed yet
    CHECK(testing::comes_true([&] {
      entries = cluster.entries();
      return !entries.empty() && entries.back() == last;
    }));
  CHECK(std::ranges::is_sorted(entries));
  // A number that was accepted without a word of it is sent once more, as another message.
  CHECK(entries.size() - last <= restarts);
  entries.erase(std::ranges::unique(entries).begin(), entries.end());
  CHECK(entries.size() == last);
}

TEST_CASE("a message of class once has its effect exactly once over kills of the agent's node",
          "[cluster]") {
  constexpr std::uint64_t count = 1'000;
  ledger_cluster cluster{count, "send-once"};
  for (std::uint64_t each = 40; each < count; each += 80) {
    cluster.read(each); // the entry is made, and not committed yet
    cluster.kill();
    cluster.start();
  }
  CHECK(cluster.sender().read_line(60s) == "accepted");
  CHECK(cluster.sender().read_line(60s) == "done");
  std::vector<std::int64_t> wanted(count);
  std::iota(wanted.begin(), wanted.end(), 1);
  CHECK(cluster.entries() == wanted);
}

TEST_CASE(
  "what fails is tried again, in order or passed as its agent asks, and what is never handled "
  "is a dead letter that the command delivers again",
  "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  child_process sends{{confirms_program, "trouble", "n0", folder / "n0"}};
  auto ready = sends.read_line(20s).value_or("");
  REQUIRE(ready.starts_with("ready "));
  auto at = "127.0.0.1:" + ready.substr(6);
  child_process serves{{confirms_program, "serve", "n1", folder / "n1", at}};
  REQUIRE(serves.read_line(20s) == "ready");
  sends.send_signal(SIGUSR1);
  words strict;
  words loose;
  while (strict.size() + loose.size() < 6) {
    auto line = serves.read_line(30s);
    REQUIRE(line);
    (line->starts_with("strict ") ? strict : loose).push_back(*line);
  }
  CHECK(strict == words{"strict 1", "strict 2", "strict 3"});
  CHECK(loose == words{"loose 2", "loose 3", "loose 1"});

  auto told = sends.read_line(30s).value_or("");
  INFO(told);
  CHECK(told.starts_with("gave up: "));
  CHECK(told.ends_with("a fever"));
  auto list = run({"dead-letters", "--json", "--at", at});
  INFO(list);
  REQUIRE(list.status == 0);
  auto letter = list.line();
  CHECK(letter["reason"] == "failed");
  CHECK(letter["why"] == "a fever");
  CHECK(letter["node"] == "n1");
  CHECK(letter["sender_node"] == "n0");
  CHECK(letter["agent"] == "sick");
  CHECK(letter["deliveries"] == 4);
  std::string id = letter["id"];
  CHECK(run({"dead-letters", "--at", at, "--node", "n0"}).output == "no dead letters\n");
  auto shown = run({"dead-letters", "--at", at});
  INFO(shown);
  CHECK(shown.says("failed  for sick  at n1  from n0"));
  CHECK(shown.says("  ended 20"));
  CHECK(shown.says("Z  4 failures: a fever"));

  write_file(folder / "n1/cure", "");
  auto again = run({"dead-letters", "--redrive", id, "--at", at});
  INFO(again);
  CHECK(again.output == "1 message is on the way again at n1\n");
  CHECK(serves.read_line(30s) == "sick 1");
  CHECK(testing::comes_true([&] {
    return run({"dead-letters", "--redrive", id, "--at", at}).says("was applied already, at n1");
  }));
  CHECK(run({"dead-letters", "--at", at}).output == "no dead letters\n");
  CHECK(run({"dead-letters", "--redrive", "nonsense", "--at", at}).says("is no id of a message"));
  auto other = run({"dead-letters", "--redrive", id + "1", "--at", at});
  CHECK(other.says("no node keeps the dead letter"));
  CHECK(other.status != 0);
}

TEST_CASE(
  "a synced message that nobody has handled is a dead letter over kills of its node, and goes "
  "again over a kill as well",
  "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::optional<running_node> sender;
  auto start_sender = [&] {
    if (sender)
      sender->kill();
    sender.emplace(words{"--name", "n0", "--data", folder / "n0"});
  };
  start_sender();
  words command{"send", "echo-n1", "hello", "--class", "confirm", "--synced"};
  auto at = [&](words what) {
    what.insert(what.end(), {"--at", sender->address()});
    return what;
  };
  auto brief = at(command);
  brief.insert(brief.end(), {"--ttl", "100ms"});
  CHECK(run(brief).status != 0);
  auto letter = run(at({"dead-letters", "--json"})).line();
  CHECK(letter["reason"] == "expired");
  std::string id = letter["id"];

  start_sender();
  CHECK(run(at({"dead-letters", "--json"})).line() == letter);
  CHECK(run(at({"dead-letters", "--redrive", id})).says("1 message is on the way again at n0"));

  start_sender();
  CHECK(run(at({"dead-letters"})).output == "no dead letters\n"); // it is on its way
  running_node receiver{{"--name", "n1", "--data", folder / "n1", "--join", sender->address()}};
  CHECK(comes_true([&] { return run(at(command)).output == "handled by echo-n1\n"; })); // behind it
  CHECK(run(at({"dead-letters"})).output == "no dead letters\n");
}

TEST_CASE("a synced message at which its process ends each time is a dead letter in the end",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  auto how = GENERATE("confirm"s, "once"s);
  auto die = [&](words what) {
    what.insert(what.begin(), {confirms_program, "die", "n0", folder / "n0"});
    child_process dies{what};
    CHECK(dies.wait_for_end() == 128 + SIGSEGV);
  };
  die({how});
  for (auto each = 0; each < 8; ++each) // router_options::max_deliveries
    die({});
  child_process lives{{confirms_program, "die", "n0", folder / "n0"}};
  words said{lives.read_line(20s).value_or(""), lives.read_line(20s).value_or("")};
  std::ranges::sort(said);
  CHECK(said.front() == "handled 2");
  REQUIRE(said.back().starts_with("ready "));
  auto at = "127.0.0.1:" + said.back().substr(6);
  auto list = run({"dead-letters", "--json", "--at", at});
  INFO(list);
  auto letter = list.line();
  CHECK(letter["reason"] == "failed");
  CHECK(letter["why"]
        == "its node ended without a clean stop 8 times while the agent had it, or was to get it "
           "again");
  CHECK(letter["agent"] == "deadly");
  CHECK(letter["deliveries"] == 8);
}

TEST_CASE("troupe send --class confirm waits until an agent that was killed has handled the text",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node first{{"--name", "n0", "--data", folder / "n0"}};
  auto start_second = [&] {
    return running_node{{"--name", "n1", "--data", folder / "n1", "--join", first.address()}};
  };
  words command{"send", "echo-n1",       "hello",     "--class", "confirm",
                "--at", first.address(), "--timeout", "60s"};
  std::optional<running_node> second{start_second()};
  REQUIRE(comes_true([&] { return run(command).output == "handled by echo-n1\n"; }));
  second->kill();
  auto sent = start(command);
  CHECK_FALSE(sent.read_line(2s)); // nobody has handled it
  second.emplace(start_second());
  CHECK(sent.read_line(60s) == "handled by echo-n1");
  auto synced = command;
  synced.push_back("--synced");
  CHECK(run(synced).output == "handled by echo-n1\n");
  auto refused = run({"send", "echo-n1", "hello", "--class", "surely", "--at", first.address()});
  CHECK(refused.status == 2);
  CHECK(refused.says("fire"));
}
