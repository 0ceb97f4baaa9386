#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include <sys/stat.h>

namespace troupe::storage {

/// Notices that a file has changed, by its times, its size and its inode: so it misses no file that
/// took the place of another, as write_private() and mv have it.
class watched_file {
public:
  explicit watched_file(std::filesystem::path file) : file_(std::move(file)) {}

  /// Whether it has changed since the last call, come or gone. The first call returns true.
  bool has_changed() {
    auto before = std::exchange(seen_, look());
    return before != seen_;
  }

  [[nodiscard]] const std::filesystem::path& file() const {
    return file_;
  }

private:
  /// Of no file: nothing but zeros.
  using traits = std::tuple<dev_t, ino_t, off_t, std::int64_t, std::int64_t>;

  [[nodiscard]] traits look() const {
    struct stat about {};
    if (::stat(file_.c_str(), &about) != 0)
      return {};
    return {about.st_dev, about.st_ino, about.st_size, about.st_mtim.tv_sec, about.st_mtim.tv_nsec};
  }

  std::filesystem::path file_;
  std::optional<traits> seen_;
};

} // namespace troupe::storage
