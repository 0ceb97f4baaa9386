#pragma once

#include <cerrno>
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

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.hpp"
#include "troupe/core/process.hpp"
#include "troupe/testing/child_process.hpp"

/// Nodes that a command starts for itself, each as a process.
namespace cli {

/// A temporary folder for the data of such nodes, removed in the destructor. If a process was
/// killed, the next one with the same purpose removes its folder: folders in use are locked.
class scratch_folder {
public:
  explicit scratch_folder(const std::string& purpose) {
    std::error_code no_parent;
    auto parent = std::filesystem::temp_directory_path(no_parent);
    auto pattern = (parent / ("troupe-" + purpose + "-XXXXXX")).string();
    if (!no_parent)
      remove_leftovers(parent, "troupe-" + purpose + "-");
    if (!no_parent && ::mkdtemp(pattern.data()) != nullptr) {
      path_ = pattern;
      in_use_ = lock(path_);
    } else
      why_
        = {troupe::errc::bad_argument,
           "the folder for the data of the nodes cannot be created: "
             + (no_parent ? "TMPDIR, or /tmp, is not a folder"
                          : "'" + parent.string() + "': " + std::generic_category().message(errno))
             + "; set TMPDIR to a writable folder"};
  }

  ~scratch_folder() {
    std::error_code ignored; // leftovers are in the temporary folder of the system
    std::filesystem::remove_all(path_, ignored);
  }

  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  /// Why there is no folder, if so: without it nodes would write into the current one.
  [[nodiscard]] const troupe::problem& missing() const {
    return why_;
  }

  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }

private:
  /// Nothing if another process holds the lock.
  static troupe::descriptor lock(const std::filesystem::path& folder, int more = O_CREAT) {
    troupe::descriptor file{
      ::open((folder / "lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | more, 0600)};
    if (file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
      file = troupe::descriptor{};
    return file;
  }

  /// Removes only folders of this user: others share the parent folder.
  static void remove_leftovers(const std::filesystem::path& parent, const std::string& prefix) {
    std::error_code ignored;
    for (auto& each : std::filesystem::directory_iterator{parent, ignored}) {
      struct stat what {};
      if (!each.path().filename().string().starts_with(prefix)
          || ::lstat(each.path().c_str(), &what) != 0 || !S_ISDIR(what.st_mode)
          || what.st_uid != ::geteuid())
        continue;
      auto age = std::filesystem::file_time_type::clock::now()
                 - std::filesystem::last_write_time(each.path(), ignored);
      if (ignored || age < std::chrono::minutes{1})
        continue; // its process may be about to lock it
      if (auto unused = lock(each.path(), 0); unused.get() >= 0)
        std::filesystem::remove_all(each.path(), ignored);
    }
  }

  std::filesystem::path path_;
  troupe::descriptor in_use_;
  troupe::problem why_;
};

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
  started_node result{troupe::testing::child_process{command}, name, 0};
  auto line = result.process.read_line(std::chrono::seconds{20});
  auto ready = line ? json::parse(*line, nullptr, false) : json{};
  if (!ready.is_object() || ready.value("event", "") != "ready")
    return std::nullopt;
  result.port = ready.value("port", std::uint16_t{0});
  return result;
}

} // namespace cli
