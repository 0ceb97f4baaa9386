#pragma once

#include "three_voters.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace troupe::test {

constexpr auto workflows_program = TROUPE_BIN_DIR "/workflows_program";

/// For scripts: waits for a file.
inline std::string until_there(const std::string& file) {
  return "until [ -e " + file + " ]; do sleep 0.02; done; ";
}

/// A task that runs a script.
inline json script_task(const std::string& id, const std::string& script,
                        const words& parents = {}) {
  return {{"id", id},
          {"run", "exec"},
          {"parents", parents},
          {"input", {{"argv", {"/bin/sh", "-c", script}}}}};
}

/// `one` with more fields.
inline json with_more(json one, const json& more) {
  one.update(more);
  return one;
}

/// The process with this number is over, or a zombie.
inline bool has_ended(const std::string& pid) {
  auto stat = content_of("/proc/" + pid + "/stat"); // PID (NAME) STATE ...
  auto name_ends = stat.rfind(") ");
  return name_ends == std::string::npos || stat[name_ends + 2] == 'Z';
}

/// Three voters, and files that tasks wait for and write.
class runs_of_three {
public:
  explicit runs_of_three(three_voters::wrapper wrap = {}) : voters(std::move(wrap)) {}

  /// A node whose worker runs programs, so many at once.
  running_node worker(const std::string& name, int slots) {
    return running_node{{"--name", name, "--slots", std::to_string(slots), "--allow-exec", "--join",
                         voters.addresses()}};
  }

  /// Submits a workflow and returns its number once it was taken.
  std::string submit(const std::vector<json>& tasks, const words& more = {}) {
    auto file = flow("flow" + std::to_string(submitted_.size()), tasks);
    words command{"submit", file, "--json", "--at", voters.addresses()};
    command.insert(command.end(), more.begin(), more.end());
    auto process = start(command);
    auto line = process.read_line().value_or("");
    auto taken = json::parse(line, nullptr, false);
    INFO(line);
    REQUIRE(taken.is_object());
    REQUIRE(taken.value("event", "") == "submitted");
    auto number = taken["run"].dump();
    submitted_.emplace(number, std::move(process));
    return number;
  }

  /// Writes a workflow into a file, whose path it returns.
  [[nodiscard]] std::string flow(const std::string& name, const std::vector<json>& tasks) const {
    auto file = path(name + ".json");
    write_file(file, json{{"schema", "troupe-dag/1"}, {"name", name}, {"tasks", tasks}}.dump());
    return file;
  }

  /// What the program of these tests says to this, see there.
  outcome ask(const words& what) {
    words command{workflows_program, voters.addresses()};
    command.insert(command.end(), what.begin(), what.end());
    testing::child_process process{command};
    return finish(process);
  }

  /// The number of the run that it has submitted.
  std::string run_of(const words& what) {
    auto done = ask(what);
    INFO(done);
    REQUIRE(done.status == 0);
    REQUIRE(done.output.starts_with("run "));
    return done.output.substr(4, done.output.find('\n') - 4);
  }

  /// How its command ended.
  outcome end_of(const std::string& number) {
    return finish(submitted_.at(number), 60s);
  }

  /// The tasks of a run by id, as `troupe run` shows them.
  std::map<std::string, json> tasks(const std::string& number) {
    std::map<std::string, json> found;
    for (auto& line :
         run({"run", number, "--results", "--json", "--at", voters.addresses()}).lines())
      if (line.contains("task"))
        found[line["task"].get<std::string>()] = line;
    return found;
  }

  /// The runs in order, as `troupe workflows` shows them.
  std::vector<json> runs() {
    return run({"workflows", "--json", "--at", voters.addresses()}).lines();
  }

  /// The run, as `troupe workflows` shows it.
  json shown(const std::string& number) {
    for (auto& each : runs())
      if (each["run"].dump() == number)
        return each;
    return json::object();
  }

  /// Returns when the task is in this state.
  void await(const std::string& number, const std::string& task, const std::string& state) {
    std::string last;
    auto came = comes_true([&] {
      auto found = tasks(number);
      last = found.contains(task) ? found[task].dump() : "nothing";
      return found.contains(task) && found[task]["state"] == state;
    });
    INFO(last);
    REQUIRE(came);
  }

  /// Returns when another node leads, and the one that did is back.
  void lose_leader() {
    auto leads = voters.leader();
    voters[leads].kill();
    voters.leader(leads);
    voters.start_node(leads);
    REQUIRE(comes_true([&] { return voters.is_whole(); }));
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return folder_ / name;
  }

  void open(const std::string& gate) {
    write_file(path(gate), "");
  }

  three_voters voters;

private:
  temporary_folder folder_;
  std::map<std::string, troupe::testing::child_process> submitted_;
};

} // namespace troupe::test
