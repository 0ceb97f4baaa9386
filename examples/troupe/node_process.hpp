#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

#include "cli.hpp"
#include "troupe/storage/scratch_folder.hpp"
#include "troupe/testing/child_process.hpp"

/// Nodes that a command starts for itself, each as a process.
namespace cli {

using troupe::storage::scratch_folder;

/// Prints the `*.log` files of the nodes in the folder to stderr, each line after the node's name.
inline void print_logs(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (auto& each : std::filesystem::directory_iterator{folder, ignored})
    if (each.path().extension() == ".log") {
      std::ifstream in{each.path()};
      for (std::string line; std::getline(in, line);)
        print_line(std::cerr, "  " + each.path().stem().string() + ": " + printable(line));
    }
}

struct started_node {
  troupe::testing::child_process process;
  std::string name;
  std::uint16_t port = 0;
  /// The id of the node in hex.
  std::string id{};
};

/// Starts `troupe node` with `options` and waits until it is ready. Its stderr is appended to the
/// file `log`, if given. It dies with the calling thread.
inline std::optional<started_node> start_node(const std::string& self, const std::string& name,
                                              const std::vector<std::string>& options,
                                              const std::filesystem::path& log = {}) {
  std::vector<std::string> command{self, "node", "--json", "--name", name};
  command.insert(command.end(), options.begin(), options.end());
  if (!log.empty()) {
    auto to_log = {std::string{"/bin/sh"}, std::string{"-c"},
                   std::string{R"(log=$0; exec "$@" 2>>"$log")"}, log.string()};
    command.insert(command.begin(), to_log.begin(), to_log.end());
  }
  started_node result{troupe::testing::child_process{command}, name, 0, {}};
  auto line = result.process.read_line(std::chrono::seconds{20});
  auto ready = line ? json::parse(*line, nullptr, false) : json{};
  if (!ready.is_object() || ready.value("event", "") != "ready")
    return std::nullopt;
  result.port = ready.value("port", std::uint16_t{0});
  result.id = ready.value("id", "");
  return result;
}

} // namespace cli
