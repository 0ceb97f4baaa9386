#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <stdlib.h>

#include "cli.hpp"
#include "troupe/testing/child_process.hpp"

/// Nodes that a command starts for itself, as processes of their own.
namespace cli {

/// A folder for what such nodes keep, gone at its end.
class scratch_folder {
public:
  explicit scratch_folder(const std::string& purpose) {
    std::error_code no_parent;
    auto parent = std::filesystem::temp_directory_path(no_parent);
    auto pattern = (parent / ("troupe-" + purpose + "-XXXXXX")).string();
    if (!no_parent && ::mkdtemp(pattern.data()) != nullptr)
      path_ = pattern;
    else
      why_
        = {troupe::errc::bad_argument,
           "there is no folder for what the nodes keep: "
             + (no_parent ? "TMPDIR, or /tmp, is none"
                          : "'" + parent.string() + "': " + std::generic_category().message(errno))
             + "; set TMPDIR to a folder that can be written"};
  }

  ~scratch_folder() {
    std::error_code ignored; // what is left is in the system's folder for such
    std::filesystem::remove_all(path_, ignored);
  }

  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  /// Why there is no folder, if so: nodes would keep their data in the current one.
  [[nodiscard]] const troupe::problem& missing() const {
    return why_;
  }

  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }

private:
  std::filesystem::path path_;
  troupe::problem why_;
};

struct started_node {
  troupe::testing::child_process process;
  std::string name;
  std::uint16_t port = 0;
};

/// Starts `troupe node` with `options` and waits until it is ready. What it has to say goes to
/// the end of the file `log`, if given. It dies with the thread that calls this.
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
  started_node result{troupe::testing::child_process{command}, name, 0};
  auto line = result.process.read_line(std::chrono::seconds{20});
  auto ready = line ? json::parse(*line, nullptr, false) : json{};
  if (!ready.is_object() || ready.value("event", "") != "ready")
    return std::nullopt;
  result.port = ready.value("port", std::uint16_t{0});
  return result;
}

} // namespace cli
