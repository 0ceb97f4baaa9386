#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "troupe/core/entropy.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/result.hpp"
#include "troupe/storage/size_limit.hpp"

namespace troupe::cluster {

/// What a node remembers of itself from one life to the next.
struct identity {
  node_id id{};
  /// Counts its starts.
  boot_number boot = 0;
  /// All zero until it has founded or joined one.
  cluster_id cluster{};
  /// It has founded the cluster and hosts its services.
  bool host = false;
  /// Files of a higher format are of a newer release.
  std::uint32_t format = 1;
  /// Where it has met the cluster, as HOST:PORT.
  std::vector<std::string> met{};
  /// Set by hand: it takes no new work.
  bool maintenance = false;

  friend bool operator==(const identity&, const identity&) = default;

  TROUPE_FIELDS(identity, id, boot, cluster, host, format, met, maintenance);
};

/// The folder in which one node keeps everything. Held by a file lock, so that no second
/// process can take it; without a folder a node has a new identity at each start.
class data_folder {
public:
  static constexpr std::uint32_t format = 1;

  /// Opens or makes `path` and counts a new start. Errors: in_use (another process has it),
  /// incompatible (of a newer release), damaged, bad_argument (it cannot be made), storage_full.
  static result<data_folder> open(const std::filesystem::path& path) {
    data_folder made;
    made.path_ = path;
    if (path.empty()) {
      made.self_ = {random_id<node_id>(), 1, {}, false, format, {}, false};
      return made;
    }
    if (auto why = made.take())
      return why;
    if (auto why = made.load())
      return why;
    ++made.self_.boot;
    if (auto why = made.save())
      return why;
    return made;
  }

  data_folder(data_folder&& other) noexcept
    : path_(std::move(other.path_)),
      self_(std::move(other.self_)),
      lock_(std::exchange(other.lock_, -1)) {}

  data_folder& operator=(data_folder&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(self_, other.self_);
    std::swap(lock_, other.lock_);
    return *this;
  }

  ~data_folder() {
    if (lock_ >= 0)
      ::close(lock_);
  }

  [[nodiscard]] const identity& self() const {
    return self_;
  }

  /// Whether anything outlives the process.
  [[nodiscard]] bool is_durable() const {
    return !path_.empty();
  }

  [[nodiscard]] std::filesystem::path file(const std::string& name) const {
    return path_ / name;
  }

  /// The file `name` and what SQLite and its owner keep beside it go: they are of a cluster that
  /// was never born. Errors: bad_argument (a file cannot be removed).
  [[nodiscard]] problem discard(const std::string& name) const {
    for (auto* end : {"", "-wal", "-shm", "-journal", ".mark"}) {
      std::error_code fault;
      auto each = file(name + end);
      std::filesystem::remove(each, fault);
      if (fault)
        return cannot("remove " + each.string(), fault.value());
    }
    return {};
  }

  /// Another process has been this node with the start `heard`: its folder is an older copy, or
  /// was restored. This start counts as the one after that. Errors: those of the disk; nothing has
  /// changed then.
  [[nodiscard]] problem rise_above(boot_number heard) {
    if (heard < self_.boot)
      return {};
    auto before = std::exchange(self_.boot, heard + 1);
    auto why = path_.empty() ? problem{} : save();
    if (why)
      self_.boot = before;
    return why;
  }

  /// Remembers the cluster, for good.
  [[nodiscard]] problem belong_to(const cluster_id& cluster, bool as_host,
                                  std::vector<std::string> met) {
    self_.cluster = cluster;
    self_.host = as_host;
    self_.met = std::move(met);
    return path_.empty() ? problem{} : save();
  }

  /// Remembers whether it is in maintenance. Errors: storage_full, bad_argument (the folder cannot
  /// be written); it is as before then.
  [[nodiscard]] problem set_maintenance(bool on) {
    auto before = std::exchange(self_.maintenance, on);
    auto why = path_.empty() ? problem{} : save();
    if (why)
      self_.maintenance = before;
    return why;
  }

private:
  data_folder() = default;

  problem take() {
    std::error_code fault;
    std::filesystem::create_directories(path_, fault);
    if (fault)
      return cannot("make the folder", fault.value());
    auto name = (path_ / "lock").string();
    lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock_ < 0)
      return cannot("open " + name, errno);
    if (::flock(lock_, LOCK_EX | LOCK_NB) == 0)
      return {};
    return {errc::in_use, path_.string()
                            + " belongs to a running node; stop that, or give another "
                              "folder as node_options::data"};
  }

  problem load() {
    errno = 0;
    std::ifstream in{identity_file()};
    if (!in && errno != ENOENT)
      return cannot("read " + identity_file().string(), errno);
    if (!in) {
      if (has_databases())
        return {errc::damaged, path_.string()
                                 + " has data, but no identity.json that says whose; restore that "
                                   "file from a backup, or give an empty folder as "
                                   "node_options::data to start as a new node"};
      self_ = {random_id<node_id>(), 0, {}, false, format, {}, false};
      return {};
    }
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    auto found = from_json<identity>(text);
    if (!found || found->id == node_id{} || found->boot == std::numeric_limits<boot_number>::max())
      return {errc::damaged,
              identity_file().string()
                + " is not readable as an identity; restore it from a backup, or "
                  "give an empty folder as node_options::data to start as a new node"};
    if (found->format > format)
      return {errc::incompatible, path_.string() + " has format " + std::to_string(found->format)
                                    + ", this release reads up to " + std::to_string(format)
                                    + "; upgrade first"};
    self_ = *found;
    return {};
  }

  /// Whether a node has kept anything here before.
  [[nodiscard]] bool has_databases() const {
    std::error_code fault;
    for (auto& each : std::filesystem::directory_iterator{path_, fault})
      if (each.path().extension() == ".db")
        return true;
    return false;
  }

  /// Whoever reads the file sees the old one or the new one, also after a crash.
  problem save() {
    auto text = to_json(self_);
    if (!text)
      return text.error();
    storage::size_limit_is_error guard;
    auto fresh = identity_file().string() + ".new";
    auto out = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out < 0)
      return cannot("write " + fresh, errno);
    auto written = ::write(out, text->data(), text->size());
    auto fault = written != static_cast<ssize_t>(text->size()) ? (written < 0 ? errno : ENOSPC)
                 : ::fsync(out) != 0                           ? errno
                                                               : 0;
    ::close(out);
    if (fault != 0 || ::rename(fresh.c_str(), identity_file().c_str()) != 0)
      return cannot("write " + fresh, fault != 0 ? fault : errno);
    if (auto folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
      ::fsync(folder); // the name of the new file
      ::close(folder);
    }
    return {};
  }

  [[nodiscard]] std::filesystem::path identity_file() const {
    return path_ / "identity.json";
  }

  [[nodiscard]] problem cannot(const std::string& what, int fault) const {
    if (fault == ENOSPC || fault == EDQUOT || fault == EFBIG)
      return {errc::storage_full, "cannot " + what + ": " + std::strerror(fault) + "; "
                                    + path_.string()
                                    + " has no space left, make some, then start "
                                      "again"};
    return {errc::bad_argument, "cannot " + what + ": " + std::strerror(fault)
                                  + "; check node_options::data (" + path_.string()
                                  + ") and its permissions"};
  }

  std::filesystem::path path_;
  identity self_;
  int lock_ = -1;
};

} // namespace troupe::cluster
