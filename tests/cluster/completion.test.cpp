// What shells and man are told of the command.

#include "support/pseudo_terminal.hpp"
#include "troupe_command.hpp"

#include <algorithm>
#include <cstddef>
#include <set>

namespace completion_test {

using namespace troupe::test;

namespace {

/// The output of a program, and how it ended.
outcome run_program(const words& command) {
  troupe::testing::child_process process{command};
  return finish(process);
}

bool has_program(const std::string& name) {
  return run_program({"/bin/sh", "-c", "command -v " + name}).status == 0;
}

/// Bash with the completion of troupe in it.
class completing_bash {
public:
  completing_bash() {
    need_command();
    if (!has_program("bash"))
      SKIP("bash is not installed");
    auto script = run({"completion", "bash"});
    REQUIRE(script.status == 0);
    write_file(script_, script.output);
  }

  /// What the last of these words may be, as bash splits them.
  std::vector<std::string> complete(const words& typed, const std::string& before = {}) {
    auto line = "set -u; source " + script_ + "; " + before + " COMP_WORDS=(";
    for (auto& each : typed)
      line += '\'' + each + "' ";
    line += "); COMP_CWORD=" + std::to_string(typed.size() - 1)
            + "; _troupe && printf '%s\\n' \"${COMPREPLY[@]}\"";
    auto done = run_program({"/bin/bash", "-c", "cd " + path(".") + "; " + line});
    INFO(line << '\n' << done);
    CHECK(done.status == 0);
    std::vector<std::string> found;
    std::istringstream text{done.output};
    for (std::string each; std::getline(text, each);)
      if (!each.empty())
        found.push_back(each);
    std::ranges::sort(found);
    return found;
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return folder_ / name;
  }

  [[nodiscard]] const std::string& script() const {
    return script_;
  }

private:
  temporary_folder folder_;
  std::string script_ = folder_ / "troupe.bash";
};

/// The completion of another shell, in a folder. Skips the test where that is not installed.
struct completing_shell {
  explicit completing_shell(const std::string& name) : script(folder / ("troupe." + name)) {
    need_command();
    if (!has_program(name))
      SKIP(name << " is not installed");
    write_file(script, run({"completion", name}).output);
  }

  temporary_folder folder;
  std::string script;
};

bool has(const std::vector<std::string>& all, const std::string& one) {
  return std::ranges::find(all, one) != all.end();
}

/// The first words of the indented lines of a help: its commands and options.
std::set<std::string> names_in(const std::string& help) {
  std::set<std::string> found;
  std::istringstream text{help};
  for (std::string line; std::getline(text, line);)
    if (line.starts_with("  ") && line.size() > 2 && line[2] != ' ') {
      std::istringstream parts{line};
      std::string name;
      parts >> name;
      for (auto comma = name.find(','); comma != std::string::npos; comma = name.find(',')) {
        found.insert(name.substr(0, comma));
        name.erase(0, comma + 1);
      }
      found.insert(name);
    }
  return found;
}

/// The commands, as the help names them.
std::vector<std::string> commands() {
  std::vector<std::string> found;
  for (auto& each : names_in(run({"help"}).output))
    if (!each.starts_with('-'))
      found.push_back(each);
  return found;
}

} // namespace

TEST_CASE("bash completes commands, options, verbs and fixed values", "[cluster][cli]") {
  completing_bash bash;
  CHECK(bash.complete({"troupe", "vo"}) == words{"voters"});
  auto all = bash.complete({"troupe", ""});
  CHECK(all == commands());
  CHECK(bash.complete({"troupe", "--"}) == words{"--help", "--version"});
  CHECK(bash.complete({"troupe", "lock", "--w"}) == words{"--wait"});
  CHECK(bash.complete({"troupe", "lock", "press", "--ttl", "5s", "--w"}) == words{"--wait"});
  const words workloads{"kv",    "lease",    "lock",      "membership", "messages",
                        "queue", "register", "scheduler", "service"};
  CHECK(bash.complete({"troupe", "chaos", "--workload", ""}) == workloads);
  CHECK(bash.complete({"troupe", "chaos", "--workload", "=", "l"}) == words{"lease", "lock"});
  CHECK(bash.complete({"troupe", "chaos", "--workload", "="}).size() == workloads.size());
  CHECK(bash.complete({"troupe", "voters", ""})
        == words{"add", "lead", "list", "remove", "replace"});
  CHECK(bash.complete({"troupe", "voters", "--at", "127.0.0.1", ":", "6767", "re"})
        == words{"remove", "replace"});
  CHECK(bash.complete({"troupe", "voters", "--at", "[", "::", "1]", ":", "6767", "re"})
        == words{"remove", "replace"});
  CHECK(bash.complete({"troupe", "voters", "--at", "=", "[", "::", "1]", ":", "6767", "re"})
        == words{"remove", "replace"});
  CHECK(bash.complete({"troupe", "help", "stat"}) == words{"status"});
  CHECK(bash.complete({"troupe", "sim", "sched"}) == words{"scheduler"});
  CHECK(bash.complete({"troupe", "completion", ""}) == words{"bash", "fish", "zsh"});
}

TEST_CASE("bash offers nothing where nobody can tell, and no option where a value is due",
          "[cluster][cli]") {
  completing_bash bash;
  CHECK(bash.complete({"troupe", "lock", ""}).empty());
  CHECK(bash.complete({"troupe", "voters", "add", ""}).empty());
  CHECK(bash.complete({"troupe", "status", "--at", "127.0.0.1", ":", ""}).empty());
  CHECK(bash.complete({"troupe", "status", "--at", "[", "::", ""}).empty());
  CHECK(bash.complete({"troupe", "status", "--timeout", "-"}).empty());
  CHECK(bash.complete({"troupe", "dance", ""}).empty());
  CHECK(bash.complete({"troupe", "status", "--", "-"}).empty());
}

TEST_CASE("bash offers files, folders, and programs to run under a lock", "[cluster][cli]") {
  completing_bash bash;
  write_file(bash.path("a flow.json"), "{}");
  std::filesystem::create_directory(bash.path("a folder"));
  CHECK(bash.complete({"troupe", "dag", "a"}) == words{"a flow.json", "a folder"});
  CHECK(bash.complete({"troupe", "node", "--data", "a"}) == words{"a folder"});
  CHECK(has(bash.complete({"troupe", "lock", "press", "--", "env"}), "env"));
  CHECK(bash.complete({"troupe", "lock", "press", "--", "env", "--x", "a"})
        == words{"a flow.json", "a folder"});
}

TEST_CASE("bash completes whatever splits words otherwise, and by its own means",
          "[cluster][cli]") {
  completing_bash bash;
  CHECK(bash.complete({"troupe", "vo"}, "IFS=:;") == words{"voters"});
  CHECK(bash.complete({"troupe", "voters", ""}, "IFS=;")
        == words{"add", "lead", "list", "remove", "replace"});
  auto known = run_program({"/bin/bash", "-c", "source " + bash.script() + "; complete -p troupe"});
  INFO(known);
  CHECK(known.output == "complete -F _troupe troupe\n");
  program_at_terminal shell{
    {"/usr/bin/env", "TERM=dumb", "/bin/bash", "--norc", "--noprofile", "-i"}, 24, 80};
  shell.press("source " + bash.script() + "; echo is-$((1))-read\n");
  REQUIRE(shell.writes("is-1-read"));
  shell.press("echo is-$((2))-done; : troupe; troupe vot\tlist\x01: \n"); // Ctrl-A: before it
  auto is_completed = shell.writes("troupe voters list");
  INFO(shell.output());
  CHECK(is_completed);
  shell.press("exit\n");
  CHECK(shell.wait_for_end().has_value());
}

TEST_CASE("zsh says what it lacks where it completes nothing yet", "[cluster][cli]") {
  completing_shell zsh{"zsh"};
  auto early = run_program({"/bin/sh", "-c", "exec zsh -f -c 'source " + zsh.script + "' 2>&1"});
  INFO(early);
  CHECK(early.output.starts_with("error: the completion of troupe needs that of zsh"));
  CHECK(std::ranges::count(early.output, '\n') == 1);
  auto ready = run_program({"/bin/sh", "-c",
                            "exec zsh -f -c 'autoload -Uz compinit && compinit -D -u; source "
                              + zsh.script + "; echo $_comps[troupe]' 2>&1"});
  INFO(ready);
  CHECK(ready.output == "_troupe\n");
}

TEST_CASE("fish offers programs behind -- of lock, and files behind these", "[cluster][cli]") {
  completing_shell fish{"fish"};
  write_file(fish.folder / "plain.json", "{}");
  auto complete = [&](const std::string& line) {
    return run_program({"/bin/sh", "-c",
                        "cd " + std::string{fish.folder / "."} + "; HOME=$PWD exec fish -c 'source "
                          + fish.script + "; complete -C \"" + line + "\"' 2>&1"})
      .output;
  };
  CHECK(complete("troupe lock x -- cat pl") == "plain.json\n");
  CHECK(complete("troupe lock x -- ech").find("echo") != std::string::npos);
  CHECK(complete("troupe lock x -- pl").find("plain.json") == std::string::npos);
  CHECK(complete("troupe lock x --tt").starts_with("--ttl"));
}

TEST_CASE("each option of a command is offered by all three shells", "[cluster][cli]") {
  completing_bash bash;
  auto zsh = run({"completion", "zsh"}).output;
  auto fish = run({"completion", "fish"}).output;
  for (auto& command : commands()) {
    auto offered = bash.complete({"troupe", command, "-"});
    for (auto& option : names_in(run({"help", command}).output)) {
      if (!option.starts_with('-'))
        continue;
      INFO("troupe " << command << ' ' << option);
      CHECK(has(offered, option));
      auto in_zsh = zsh.find("\n    " + command + ")\n");
      REQUIRE(in_zsh != std::string::npos);
      auto of_command = zsh.substr(in_zsh, zsh.find(";;", in_zsh) - in_zsh);
      CHECK((of_command.find('\'' + option + '[') != std::string::npos
             || of_command.find(option + "=[") != std::string::npos));
      if (option.starts_with("--"))
        CHECK(fish.find("-l " + option.substr(2) + ' ') != std::string::npos);
    }
  }
}

TEST_CASE("shells that are installed can read what is made for them", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  auto is_any = false;
  for (std::string shell : {"bash", "zsh", "fish"}) {
    std::string script = folder / ("troupe." + shell);
    write_file(script, run({"completion", shell}).output);
    if (!has_program(shell))
      continue;
    is_any = true;
    auto done = run_program({"/bin/sh", "-c", "exec " + shell + " -n " + script + " 2>&1"});
    INFO(shell << ": " << done);
    CHECK(done.status == 0);
    CHECK(done.output.empty());
  }
  if (!is_any)
    SKIP("none of bash, zsh and fish is installed");
}

TEST_CASE("the help of a command says what its options do not", "[cluster][cli]") {
  need_command();
  auto top = run({"help", "top"});
  INFO(top);
  for (auto* text : {"Keys: q quits, p pauses", "100ms to 1h", "Prints one frame and ends"})
    CHECK(top.says(text));
  auto completion = run({"help", "completion"});
  INFO(completion);
  for (auto* text : {"~/.bashrc", "~/.zshrc after compinit", "~/.config/fish/completions"})
    CHECK(completion.says(text));
  CHECK(run({"help", "dag"}).says("the exit status is 0"));
  for (auto& each : commands()) {
    INFO(each);
    CHECK(run({"help", each}).says("Prints this help and ends"));
  }
}

TEST_CASE("what is asked for a shell that is not known names those that are", "[cluster][cli]") {
  need_command();
  auto done = run({"completion", "tcsh"});
  INFO(done);
  CHECK(done.status == 2);
  CHECK(done.says("error: "));
  CHECK(done.says("bash, zsh, fish"));
  CHECK(run({"completion"}).status == 2);
  CHECK(run({"man", "--json"}).status == 2);
}

TEST_CASE("the page for man names each command and option, and is formatted without a warning",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  std::string page = folder / "troupe.1";
  write_file(page, run({"man"}).output);
  if (!has_program("groff"))
    SKIP("groff is not installed");
  auto warnings
    = run_program({"/bin/sh", "-c", "groff -man -ww -Tascii " + page + " 2>&1 >/dev/null"});
  INFO(warnings);
  CHECK(warnings.status == 0);
  CHECK(warnings.output.empty());
  // Plain text, and lines long enough that none is broken within a word.
  auto shown
    = run_program({"/bin/sh", "-c", "groff -man -Tascii -P-cbou -rHY=0 -rLL=200n " + page});
  REQUIRE(shown.status == 0);
  for (auto& command : commands()) {
    auto begin = shown.output.find("\n   troupe " + command + '\n');
    INFO("troupe " << command);
    REQUIRE(begin != std::string::npos);
    auto end = shown.output.find("\n   troupe ", begin + 1);
    auto section = shown.output.substr(begin, end - begin);
    for (auto& option : names_in(run({"help", command}).output))
      if (option.starts_with('-')) {
        INFO(option);
        CHECK((section.find("  " + option) != std::string::npos
               || section.find(", " + option) != std::string::npos));
      }
  }
  for (auto* text : {"TROUPE_TOKEN", "NO_COLOR", "troupe dag examples/data/diamond.json",
                     "judged: register, kv, lock, lease, queue, scheduler", "Keys: q quits",
                     "Refresh interval, 100ms to 1h", "fish: troupe completion fish >"})
    CHECK(shown.says(text));
  auto of_statuses = shown.output.substr(shown.output.find("EXIT STATUS"));
  for (auto* text :
       {"0      It did what it was told", "1      It failed", "2      The words of the",
        "3      No answer came", "no run (--within)", "128 plus its number"})
    CHECK(of_statuses.find(text) != std::string::npos);
  auto of_variables = shown.output.substr(shown.output.find("\nENVIRONMENT"));
  for (auto* text : {"--token", "--at and --timeout", "NO_COLOR"})
    CHECK(of_variables.find(text) != std::string::npos);
  auto of_submit = shown.output.substr(shown.output.find("\n   troupe submit\n"));
  CHECK(of_submit.find("\n       FILE ") < of_submit.find("--help")); // arguments first
}

} // namespace completion_test
