#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "troupe/cluster/bootstrap.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/node/folder_content.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/platform/process.hpp"
#include "troupe/platform/user_name.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/invitation_book.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/storage/private_file.hpp"

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
  /// While it founds a cluster with others.
  founding_record founding{};

  friend bool operator==(const identity&, const identity&) = default;

  TROUPE_FIELDS(identity, id, boot, cluster, host, format, met, maintenance, founding);
};

/// Whether a process has the data folder `path` now.
inline bool is_in_use(const std::filesystem::path& path) {
  descriptor lock{::open((path / "lock").c_str(), O_RDONLY | O_CLOEXEC)};
  return lock.get() >= 0 && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/// Where the node of the data folder `path` has met its cluster, as HOST:PORT; empty if it has not,
/// or the folder is of no node. Also while a process has the folder.
inline std::vector<std::string> places_met(const std::filesystem::path& path) {
  std::ifstream in{path / "identity.json"};
  auto found = from_json<identity>(std::string{std::istreambuf_iterator<char>{in}, {}});
  return found ? found->met : std::vector<std::string>{};
}

/// The folder in which one node keeps everything, or only who it is: its key, its certificates and
/// how often it has started. Held by a file lock, so that no second process can take it; without a
/// folder a node has a new identity at each start.
class data_folder {
public:
  static constexpr std::uint32_t format = 1;

  /// Opens or makes `path`. If not `keeps_data`, it is the folder of an identity only, and each
  /// start is that of a node that belongs to no cluster. Errors: in_use
  /// (another process has it), incompatible (of a newer release), damaged, bad_argument (it cannot
  /// be made, or has files and is no node's; nothing in it is changed then), storage_full.
  static result<data_folder> open(const std::filesystem::path& path, bool keeps_data = true) {
    data_folder made;
    made.path_ = path;
    made.keeps_data_ = keeps_data && !path.empty();
    if (path.empty()) {
      made.key_ = security::key_pair::make();
      made.self_ = {id_of(made.key_->public_half()), 0, {}, false, format, {}, false, {}};
      return made;
    }
    if (auto why = made.take())
      return why;
    if (auto why = made.load())
      return why;
    return made;
  }

  /// The node starts: once, before anybody hears of it. A process that ends before has not been a
  /// start, so that people see the number of those that were. Errors: those of the disk.
  [[nodiscard]] problem count_start() {
    return rise_above(self_.boot);
  }

  data_folder(data_folder&& other) noexcept
    : path_(std::move(other.path_)),
      keeps_data_(other.keeps_data_),
      self_(std::move(other.self_)),
      key_(std::move(other.key_)),
      lock_(std::exchange(other.lock_, -1)) {}

  data_folder& operator=(data_folder&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(keeps_data_, other.keeps_data_);
    std::swap(self_, other.self_);
    std::swap(key_, other.key_);
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

  /// The key of the node, whose hash is its id.
  [[nodiscard]] const security::key_pair& key() const {
    return *key_;
  }

  /// What the node proves itself with; null if its folder has no certificates. Errors: those of
  /// security::credentials::load(), damaged (that of the CA is missing).
  [[nodiscard]] result<std::shared_ptr<security::credentials>> credentials(wall_time now) const {
    std::error_code fault;
    auto has = [&](const char* name) {
      return !path_.empty() && std::filesystem::exists(path_ / name, fault);
    };
    auto has_own = has(security::identity_certificate_file);
    auto has_ca = has(security::ca_certificate_file);
    if (has_own && !has_ca)
      return problem{errc::damaged, path_.string()
                                      + " has node.pem without ca.pem; put both there (troupe ca "
                                        "issue writes them)"};
    if (!has_own) // a crash may have left the CA's alone, which is written first
      return std::shared_ptr<security::credentials>{};
    return security::credentials::load(path_, *key_, now);
  }

  /// What other users of this machine can do to the folder and to the files of its CA, in sentences
  /// for the log.
  [[nodiscard]] std::vector<std::string> warnings() const {
    std::vector<std::string> found;
    if (path_.empty())
      return found;
    warn_of_authority(found);
    auto owner = storage::other_owner(path_);
    if (!owner && !storage::is_open_to_others(path_))
      return found;
    auto text = owner ? path_.string() + " belongs to the user " + user_name(*owner)
                          + ", who can replace this node's data and its key"
                      : "other users of this machine may enter " + path_.string()
                          + ", which holds this node's data";
    auto foreign = content_of(path_).foreign;
    if (!foreign.empty())
      text += " beside files that are of no node, such as " + foreign;
    // Others may need what is theirs, or all of it: /tmp.
    if (!foreign.empty() || storage::is_for_all(path_))
      text += "; stop the node and move its files into a new folder of its own";
    else if (owner)
      text += "; give it to the user of this process (chown " + std::to_string(::geteuid()) + ' '
              + path_.string() + ')';
    else
      text += "; close it with chmod 700 " + path_.string();
    found.push_back(std::move(text));
    return found;
  }

  /// Whether its data outlives the process.
  [[nodiscard]] bool is_durable() const {
    return keeps_data_;
  }

  /// Empty: there is none.
  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
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

  /// Remembers what it has promised while it founds a cluster with others. Errors: storage_full,
  /// bad_argument (the folder cannot be written); it is as before then.
  [[nodiscard]] problem keep(const founding_record& what) {
    auto before = std::exchange(self_.founding, what);
    auto why = path_.empty() ? problem{} : save();
    if (why)
      self_.founding = std::move(before);
    return why;
  }

  /// Remembers the cluster, for good. What it has promised before is void.
  [[nodiscard]] problem belong_to(const cluster_id& cluster, bool as_host,
                                  std::vector<std::string> met) {
    self_.cluster = cluster;
    self_.host = as_host;
    self_.met = std::move(met);
    self_.founding.promised.reset();
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

  /// The CA reads its key only when it issues something, and the node does not need it for more.
  void warn_of_authority(std::vector<std::string>& found) const {
    auto folder = path_ / security::authority_folder;
    auto key = folder / security::authority::key_file;
    if (storage::is_open_to_others(key))
      found.push_back("other users may read " + key.string()
                      + ", which holds a private key; close it with chmod 600 " + key.string()
                      + ", as this CA issues nothing before; if anyone may have read it, "
                      + security::authority::remedy);
    auto tokens = folder / security::known_invitations::file_name;
    if (storage::is_open_to_others(tokens))
      found.push_back("other users may read " + tokens.string()
                      + ", which proves the tokens that are open; close it with chmod 600 "
                      + tokens.string()
                      + "; if anyone may have read it, withdraw those (troupe ca withdraw)");
  }

  problem take() {
    if (auto made = storage::make_private_folder(path_); !made)
      return {made.error().code, made.error().detail + " (node_options::data)"};
    if (auto why = refuse_foreign())
      return why;
    auto name = (path_ / "lock").string();
    lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0)
      return cannot("open " + name, errno);
    if (::flock(lock_, LOCK_EX | LOCK_NB) == 0)
      return {};
    return {errc::in_use, path_.string()
                            + " belongs to a running node; stop that, or give another "
                              "folder as node_options::data"};
  }

  /// Before anything is made there.
  [[nodiscard]] problem refuse_foreign() const {
    auto there = content_of(path_);
    if (there.has_databases && !std::filesystem::is_symlink(identity_file())
        && !std::filesystem::exists(identity_file()))
      return {errc::damaged, path_.string()
                               + " has data, but no identity.json that says whose; restore that "
                                 "file from a backup, or give an empty folder as "
                                 "node_options::data to start as a new node"};
    if (there.is_of_node || there.foreign.empty())
      return {};
    return {errc::bad_argument, path_.string() + " has files that are of no node, such as "
                                  + there.foreign
                                  + "; give a new or an empty folder as node_options::data"};
  }

  problem load() {
    errno = 0;
    std::ifstream in{identity_file()};
    if (!in && errno != ENOENT)
      return cannot("read " + identity_file().string(), errno);
    if (!in) {
      if (auto why = load_key(true))
        return why;
      self_ = {id_of(key_->public_half()), 0, {}, false, format, {}, false, {}};
      return save();
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
    if (auto why = load_key(false))
      return why;
    if (found->id != id_of(key_->public_half()))
      return {errc::damaged, path_.string()
                               + " has an identity.json that is not of its identity.key; restore "
                                 "both from one backup, or give an empty folder as "
                                 "node_options::data to start as a new node"};
    self_ = *found;
    return {};
  }

  /// A new folder may have a key already, which troupe ca issue has put there.
  problem load_key(bool is_new) {
    auto file = path_ / security::identity_key_file;
    auto loaded = security::key_pair::load(file);
    if (!loaded && loaded.error().code == errc::not_found && is_new) {
      key_ = security::key_pair::make();
      return key_->save(file).error_or();
    }
    if (!loaded && loaded.error().code == errc::not_found)
      return {errc::damaged, path_.string()
                               + " has an identity.json, but no identity.key; restore that from a "
                                 "backup. A folder that never had one is of a version before the "
                                 "first release: give an empty folder as node_options::data"};
    if (!loaded)
      return loaded.error();
    key_ = *std::move(loaded);
    return {};
  }

  problem save() {
    auto kept
      = keeps_data_ ? self_ : identity{self_.id, self_.boot, {}, false, format, {}, false, {}};
    auto text = to_json(kept);
    if (!text)
      return text.error();
    auto saved = storage::write_private(identity_file(), *text);
    if (saved)
      return {};
    auto is_full = saved.error().code == errc::storage_full;
    return {is_full ? errc::storage_full : errc::bad_argument,
            saved.error().detail + (is_full ? "" : " (node_options::data)")};
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
  bool keeps_data_ = false;
  identity self_;
  std::optional<security::key_pair> key_;
  int lock_ = -1;
};

} // namespace troupe::cluster
