#pragma once

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "troupe/core/errc.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/platform/process.hpp"

namespace troupe::storage {

/// A folder of mode 0700 in the system's folder for temporary files ($TMPDIR, else /tmp), removed
/// in the destructor. What a process that was killed has left, the next one with the same purpose
/// removes after a minute: folders in use are locked, so a file `lock` is in each.
///
/// Not thread-safe. Blocks for the disk.
class scratch_folder {
public:
  /// The folder is called `troupe-PURPOSE-` and six letters.
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
        = {errc::bad_argument,
           "a temporary folder cannot be created: "
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

  /// Why there is no folder (bad_argument), if so. Ask it first: path() is then empty, which stands
  /// for the current folder.
  [[nodiscard]] const problem& missing() const {
    return why_;
  }

  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }

private:
  /// Nothing if another process holds the lock.
  static descriptor lock(const std::filesystem::path& folder, int more = O_CREAT) {
    descriptor file{
      ::open((folder / "lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | more, 0600)};
    if (file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
      file = descriptor{};
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
  descriptor in_use_;
  problem why_;
};

} // namespace troupe::storage
