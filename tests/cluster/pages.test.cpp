// The commands that the pages show, run as they stand there.

#include "troupe_command.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <regex>
#include <set>

using namespace troupe::test;

namespace {

const std::filesystem::path root = std::filesystem::path{TROUPE_TESTS_DIR}.parent_path();

/// The lines of a page's blocks of code, without what follows a #.
std::vector<std::string> lines_of_code(const std::string& page) {
  std::vector<std::string> found;
  std::ifstream in{root / page};
  auto is_fenced = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) {
      is_fenced = !is_fenced;
      continue;
    }
    if (!is_fenced && !line.starts_with("    "))
      continue;
    line = line.substr(0, line.find(" #"));
    line.erase(line.find_last_not_of(' ') + 1);
    found.push_back(line.substr(std::min(line.find_first_not_of(' '), line.size())));
  }
  return found;
}

/// What a page has its reader type after `troupe`.
words commands_of(const std::string& page) {
  words found;
  for (auto& line : lines_of_code(page))
    if (std::smatch parts; std::regex_match(
          line, parts, std::regex{R"((?:sudo )?(?:build/release/bin/)?troupe (.*?)(?: \.\.\.)?)"}))
      found.push_back(parts[1]);
  return found;
}

std::string replace_all(std::string text, const std::string& what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

std::optional<std::string> word_after(const std::string& option, const std::string& command) {
  std::smatch found;
  if (!std::regex_search(command, found, std::regex{option + " (\\S+)"}))
    return std::nullopt;
  return found[1].str();
}

/// Runs what a page says, on this machine: with other ports and folders.
class stage {
public:
  /// Starts a node, or waits for the end of anything else. Repeats that until it passes: services
  /// may have to be born first.
  void play(const std::string& command) {
    INFO("troupe " << command);
    if (command.starts_with("node "))
      return start_node(command);
    if (command.starts_with("ca invite ") || command.starts_with("ca invitations ")) {
      be_on_machine_of(founder_);
      return must_pass(command);
    }
    if (command.starts_with("ca withdraw "))
      return withdraw(command);
    if (command.starts_with("init ") || command.starts_with("ca "))
      return certify(command);
    if (command.starts_with("login "))
      return must_pass(command);
    if (command.find("--data") == std::string::npos && command.find("--at") == std::string::npos)
      return must_pass(command + " --at " + begun_.begin()->second.address());
    must_pass(command);
  }

  /// What is to be there before the page's next command.
  void must_pass(const std::string& command) {
    outcome last;
    auto passes = [&] {
      auto process = shell("exec troupe " + here(command));
      last = finish(process, 60s);
      return last.status == 0;
    };
    auto done = comes_true(passes);
    INFO("troupe " << command << '\n' << last);
    REQUIRE(done);
  }

  /// On the machine of the CA, or the one that makes a request: each in a folder of its own.
  void certify(std::string command) {
    auto is_elsewhere
      = command.starts_with("init ") && command.find("--request") != std::string::npos;
    command = replace_all(command, "/var/lib/troupe", file(is_elsewhere ? "elsewhere" : "with-ca"));
    command = replace_all(command, "--out /root/b", "--out " + file("brought"));
    command = replace_all(command, "--out ~/.troupe", "--out " + file("mine"));
    command = replace_all(command, "--out c", "--out " + file("c"));
    must_pass(replace_all(command, "c.csr", file("c.csr")));
  }

  /// One that nobody has used, in the place of that of the page.
  void withdraw(const std::string& command) {
    be_on_machine_of(founder_);
    must_pass("ca invite --data /var/lib/troupe");
    auto process = shell("exec troupe " + here("ca invitations --data /var/lib/troupe --json"));
    json newest;
    for (auto& each : finish(process, 60s).lines())
      if (each["used_by"].is_null()
          && (newest.is_null() || newest["valid_until"] < each["valid_until"]))
        newest = each;
    REQUIRE_FALSE(newest.is_null());
    must_pass(replace_all(command, "3f0a", newest["id"].get<std::string>()));
  }

  /// A command that goes on; its first line is awaited.
  void begin(const std::string& command) {
    background_.push_back(
      std::make_unique<troupe::testing::child_process>(shell("exec troupe " + here(command))));
    REQUIRE(background_.back()->read_line());
  }

  void start_node(const std::string& command) {
    auto name = word_after("--name", command).value();
    auto called = word_after("--listen", command).value_or("127.0.0.1:6767");
    auto again = begun_.find(name);
    auto at = again == begun_.end() ? "127.0.0.1:0" : again->second.address();
    stop(name);
    if (command.find("--join") == std::string::npos)
      founder_ = name;
    data_ = folder_ / name;
    auto& made = begun_[name];
    auto line = std::regex_replace(command, std::regex{" --listen \\S+"}, "");
    made.running = std::make_unique<running_node>(
      shell("exec troupe " + here(line) + " --json --listen " + at));
    places_[called] = made.address();
  }

  void stop(const std::string& name) {
    auto found = begun_.find(name);
    if (found == begun_.end() || !found->second.running)
      return;
    found->second.running->process().send_signal(SIGTERM);
    REQUIRE(found->second.running->process().wait_for_end(30s));
    found->second.running.reset();
  }

  void stop_all() {
    for (auto& [name, each] : begun_)
      stop(name);
  }

  /// As a folder of /var/lib is meant from here on: of the machine on which this node runs.
  void be_on_machine_of(const std::string& name) {
    data_ = folder_ / name;
  }

  [[nodiscard]] std::string file(const std::string& name) const {
    return folder_ / name;
  }

private:
  struct node {
    std::unique_ptr<running_node> running;
    [[nodiscard]] std::string address() const {
      return running ? running->address() : "127.0.0.1:0";
    }
  };

  /// In the project's folder, with the command on the PATH, as a reader has it.
  [[nodiscard]] troupe::testing::child_process shell(const std::string& line) const {
    return troupe::testing::child_process{
      {"/bin/sh", "-c",
       "cd '" + root.string()
         + "' && PATH='" TROUPE_BIN_DIR "':$PATH && export PATH && TROUPE_HOME='" + file("home")
         + "' && export TROUPE_HOME && exec 2>&1 && " + line}};
  }

  [[nodiscard]] std::string here(std::string command) const {
    command = replace_all(command, "build/release/bin/", "");
    command = replace_all(command, "/tmp/", file(""));
    for (auto* token : {"b.token", "c.token", "d.token", "me.token", "two.token"})
      command = replace_all(command, token, file(token));
    for (auto& [called, real] : places_)
      command = replace_all(command, called, real);
    command = replace_all(command, "/var/lib/troupe-new", folder_ / "new");
    command = replace_all(command, "/var/lib/troupe", data_);
    command = replace_all(command, " cluster.backup", " " + file("cluster.backup"));
    return replace_all(command, "history.jsonl", file("history.jsonl"));
  }

  temporary_folder folder_;
  std::string data_;
  std::string founder_; // of the last cluster: it has the CA
  std::map<std::string, std::string> places_;
  std::map<std::string, node> begun_;
  std::vector<std::unique_ptr<troupe::testing::child_process>> background_;
};

} // namespace

TEST_CASE("the first five minutes go as their page says", "[cluster][cli]") {
  need_command();
  stage here;
  auto commands = commands_of("docs/start.md");
  CHECK(commands.size() >= 7);
  for (auto& each : commands)
    here.play(each);
}

TEST_CASE("a cluster is operated as its page says", "[cluster][cli]") {
  need_command();
  stage here;
  std::map<std::string, std::function<void()>> before{
    {"voters add d",
     [&] {
       here.play("ca invite --data /var/lib/troupe --out d.token");
       here.start_node(
         "node --name d --data /var/lib/troupe --join 10.0.0.1:6767 --token @d.token");
     }},
    {"run 6",
     [&] {
       const std::string submit = "submit examples/data/diamond.json --at 10.0.0.1:6767";
       for (auto run = 1; run <= 5; ++run)
         here.must_pass(submit + " --time-scale 0");
       here.begin(submit + " --time-scale 10000 --json"); // goes on until it is cancelled
     }},
    {"locks --force-release press",
     [&] {
       here.must_pass("workflows cancel 6 --at 10.0.0.1:6767");
       here.begin("lock press --json --ttl 30s --at 10.0.0.1:6767 -- sleep 60");
     }},
    {"recover --data /var/lib/troupe",
     [&] {
       here.stop_all();
       here.be_on_machine_of("a");
     }},
    {"backup cluster.backup --at 10.0.0.1:6767",
     [&] {
       here.start_node("node --name a --listen 10.0.0.1:6767 --data /var/lib/troupe");
       here.must_pass("voters --at 10.0.0.1:6767");
     }},
    {"node --data /var/lib/troupe-new --name a", [&] { here.stop_all(); }},
  };
  for (auto& each : commands_of("docs/operate.md")) {
    if (auto found = before.find(each); found != before.end())
      before.extract(found).mapped()();
    here.play(each);
  }
  for (auto& [command, prepare] : before)
    FAIL_CHECK("the page has no more: troupe " << command);
}

TEST_CASE("worlds are simulated and clusters broken as their page says", "[cluster][cli]") {
  need_command();
  stage here;
  for (auto each : commands_of("docs/robustness.md")) {
    if (each.starts_with("chaos ")) {
      if (each.find("namespaces") != std::string::npos && ::geteuid() != 0)
        continue;
      each = replace_all(each, "--seconds 60", "--seconds 10");
    }
    here.must_pass(replace_all(each, "0..99", "0..9"));
  }
  for (auto& each : commands_of("examples/data/README.md"))
    here.must_pass(each);
}

TEST_CASE("no page has a command that no test runs", "[cluster][cli]") {
  std::set<std::string> tried{"docs/start.md", "docs/operate.md", "docs/robustness.md",
                              "examples/data/README.md"};
  std::set<std::string> targets;
  std::ifstream makefile{root / "Makefile"};
  for (std::string line; std::getline(makefile, line);)
    if (auto end = line.find(':'); end != std::string::npos && line.find('=') == std::string::npos)
      targets.insert(line.substr(0, end));
  using all_below = std::filesystem::recursive_directory_iterator;
  for (auto each = all_below{root}; each != all_below{}; ++each) {
    auto page = std::filesystem::relative(each->path(), root).string();
    if (page == "build" || page.starts_with('.'))
      each.disable_recursion_pending();
    if (each->path().extension() != ".md")
      continue;
    INFO(page);
    if (!tried.contains(page))
      CHECK(commands_of(page).empty());
    for (auto& line : lines_of_code(page))
      if (std::smatch parts; std::regex_match(line, parts, std::regex{"make ([a-z-]+)"}))
        CHECK(targets.contains(parts[1]));
  }
}
