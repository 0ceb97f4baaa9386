#pragma once

#include "support/temporary_folder.hpp"
#include "support/test_ca.hpp"
#include "support/variable.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/testing/child_process.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

/// The command `troupe` as its users have it: processes, what they print, how they end.
namespace troupe::test {

using namespace std::literals;
using json = nlohmann::json;
using words = std::vector<std::string>;

/// Its environment has the identity of a client, which commands and programs of tests find.
inline const auto& ca_of_tests = test_ca();

inline std::string command_path() {
  return TROUPE_BIN_DIR "/troupe";
}

/// Skips the test where the command was not built.
inline void need_command() {
  if (!std::filesystem::exists(command_path()))
    SKIP("the command troupe is not built");
}

/// The words of a process that runs the command; what it writes to stderr comes with its
/// output. In a session of its own: where a test stops a process, the kernel may end all of its
/// process group by SIGHUP (POSIX: orphaned process groups), and so tests that run beside it.
inline words command_line(const words& arguments) {
  words command{"/bin/sh", "-c", "exec setsid \"$0\" \"$@\" 2>&1", command_path()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

inline testing::child_process start(const words& arguments) {
  return testing::child_process{command_line(arguments)};
}

/// How a command ended.
struct outcome {
  /// As a shell has it; nothing if it had to be killed.
  std::optional<int> status;
  std::string output;

  /// The line number `index` that is JSON.
  [[nodiscard]] json line(std::size_t index = 0) const {
    std::istringstream text{output};
    for (std::string each; std::getline(text, each);)
      if (auto read = json::parse(each, nullptr, false); read.is_object() && index-- == 0)
        return read;
    return json::object();
  }

  [[nodiscard]] std::vector<json> lines() const {
    std::vector<json> result;
    for (auto next = line(); !next.empty(); next = line(result.size()))
      result.push_back(next);
    return result;
  }

  [[nodiscard]] bool says(const std::string& what) const {
    return output.find(what) != std::string::npos;
  }
};

inline std::ostream& operator<<(std::ostream& out, const outcome& what) {
  return out << "status " << what.status.value_or(-1) << ", " << what.output;
}

/// Waits for the end of `process`.
inline outcome finish(testing::child_process& process, std::chrono::seconds wait = 25s) {
  auto output = process.read_rest(wait);
  return {process.wait_for_end(1s), output};
}

/// Runs the command to its end.
inline outcome run(const words& arguments, std::chrono::seconds wait = 25s) {
  auto process = start(arguments);
  return finish(process, wait);
}

using testing::comes_true;

/// What `troupe status` says there of the node of that name; empty: nothing.
inline json member(const std::string& at, const std::string& node) {
  auto status = run({"status", "--json", "--at", at});
  for (auto& each : status.line().value("members", json::array()))
    if (each.value("node", "") == node)
      return each;
  return json::object();
}

/// From now on all nodes and commands have insecure links, in tests of clocks that differ or of
/// folders that only they see.
class insecure_cluster {
  variable set_{"TROUPE_INSECURE", "true"};
};

/// A node in a process of its own.
class running_node {
public:
  /// Returns once it is ready.
  explicit running_node(const words& options, const std::string& listen = "127.0.0.1:0")
    : running_node(start(with_defaults(options, listen))) {}

  /// Of a process that was started otherwise.
  explicit running_node(testing::child_process process) : process_(std::move(process)) {
    auto deadline = std::chrono::steady_clock::now() + 20s;
    std::string seen;
    while (auto line = process_.read_line(deadline)) {
      auto read = json::parse(*line, nullptr, false);
      if (read.is_object() && read.value("event", "") == "ready") {
        ready_ = read;
        return;
      }
      seen += *line + '\n';
    }
    FAIL("the node did not start: " << seen);
  }

  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + std::to_string(ready_.value("port", 0));
  }

  [[nodiscard]] const json& ready() const {
    return ready_;
  }

  [[nodiscard]] testing::child_process& process() {
    return process_;
  }

  void kill() {
    process_.send_signal(SIGKILL);
    process_.wait_for_end();
  }

  /// The words of the command for a node with these options. It gets a certificate, unless they say
  /// where it is to have that from.
  static words with_defaults(const words& options, const std::string& listen) {
    words result{"node", "--json", "--listen", listen};
    result.insert(result.end(), options.begin(), options.end());
    auto has = [&](const std::string& option) {
      return std::ranges::find(options, option) != options.end();
    };
    auto value = [&](const std::string& option) {
      auto found = std::ranges::find(options, option);
      return found != options.end() && found + 1 != options.end() ? *(found + 1) : std::string{};
    };
    if (has("--insecure") || has("--identity") || has("--token")
        || std::getenv("TROUPE_INSECURE") != nullptr)
      return result;
    auto name = value("--name").substr(0, security::max_certified_name_bytes);
    if (!has("--data"))
      result.insert(result.end(), {"--identity", test_ca().make_identity(name)});
    else if (auto data = value("--data"); !security::has_certificates(data))
      test_ca().issue(data, name);
    return result;
  }

private:
  testing::child_process process_;
  json ready_;
};

inline void write_file(const std::filesystem::path& where, const std::string& text) {
  std::ofstream{where, std::ios::binary} << text;
}

/// Empty if there is no such file.
inline std::string content_of(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// A first task, `width` tasks after it, and one after all of these; each takes a second.
inline std::string diamond(std::size_t width) {
  auto tasks = json::array({{{"id", "first"}, {"runtime_s", 1}}});
  auto middle = json::array();
  for (std::size_t each = 0; each < width; ++each) {
    middle.push_back("middle" + std::to_string(each));
    tasks.push_back({{"id", middle.back()}, {"runtime_s", 1}, {"parents", {"first"}}});
  }
  tasks.push_back({{"id", "last"}, {"runtime_s", 1}, {"parents", middle}});
  return json{{"schema", "troupe-dag/1"}, {"name", "diamond"}, {"tasks", tasks}}.dump();
}

/// A workflow file with diamond(width), submitted to the node at an address.
class submitted_diamond {
public:
  /// Returns once `slots` of the cluster are in use for it. `more` are words of the command.
  submitted_diamond(std::string address, std::size_t width, int slots, const words& more = {})
    : address_(std::move(address)), tasks_(width + 2) {
    write_file(file(), diamond(width));
    words command{"submit", file(), "--json", "--at", address_};
    command.insert(command.end(), more.begin(), more.end());
    process_.emplace(start(command));
    REQUIRE(comes_true([&] {
      return run({"status", "--json", "--at", address_}).line().value("slots_used", 0) >= slots;
    }));
  }

  /// Waits for its end, at which each task has one result.
  void must_complete() {
    auto done = test::finish(*process_, 28s);
    INFO(done);
    REQUIRE(done.status == 0);
    auto last = done.lines().back();
    CHECK(last["event"] == "done");
    CHECK(last["state"] == "completed");
    CHECK(last["completed"] == tasks_);
  }

  [[nodiscard]] std::string file() const {
    return folder_ / "diamond.json";
  }

private:
  temporary_folder folder_;
  std::string address_;
  std::size_t tasks_;
  std::optional<testing::child_process> process_;
};

} // namespace troupe::test
