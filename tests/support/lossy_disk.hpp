#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::test {

/// A disk below the files of SQLite, which knows what of them outlives a loss of power: what was
/// written before a sync that worked. A sync that fails loses what it was to bring to the disk,
/// though reads go on to see it and later syncs work, as on Linux, where a page whose write has
/// failed is clean. Source: Rebello and others, "Can applications recover from fsync failures?",
/// USENIX ATC 2020.
///
/// While it lives it is the default file system of SQLite. For databases of one connection.
class lossy_disk {
public:
  lossy_disk() : below_(sqlite3_vfs_find(nullptr)) {
    static_cast<sqlite3_vfs&>(vfs_) = *below_;
    vfs_.disk = this;
    vfs_.zName = "lossy";
    vfs_.szOsFile = static_cast<int>(sizeof(file)) + below_->szOsFile;
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    sqlite3_vfs_register(&vfs_, 1);
  }

  ~lossy_disk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(below_, 1);
  }

  lossy_disk(const lossy_disk&) = delete;
  lossy_disk& operator=(const lossy_disk&) = delete;

  /// Called after each change of a file, and after each sync.
  std::function<void()> on_change = [] {};

  /// The next sync of a write-ahead log fails.
  void fail_next_sync() {
    fails_ = true;
  }

  /// Puts at `to` what a process finds that starts after the one that has `from` was killed.
  void restart(const std::filesystem::path& from, const std::filesystem::path& to) {
    for (auto* end : {"", "-wal"}) {
      images_[to.string() + end] = images_[from.string() + end];
      std::filesystem::copy_file(from.string() + end, to.string() + end);
    }
  }

  /// Puts at `to` what is left of `from` after a loss of power.
  void lose_power(const std::filesystem::path& from, const std::filesystem::path& to) {
    for (auto* end : {"", "-wal"}) {
      auto& left = images_[to.string() + end] = images_[from.string() + end];
      left.unsynced.clear();
      std::ofstream out{to.string() + end, std::ios::binary};
      out << left.synced;
      if (!out)
        throw std::runtime_error{"cannot write " + to.string() + end};
    }
  }

private:
  /// Bytes at a place, or, without bytes, the end of the file.
  struct change {
    std::size_t place = 0;
    std::string bytes;
  };

  struct image {
    std::string synced;
    std::vector<change> unsynced;
  };

  struct file : sqlite3_file {
    lossy_disk* disk = nullptr;
    image* kept = nullptr; // null: nobody looks for it later

    [[nodiscard]] sqlite3_file* below() {
      return reinterpret_cast<sqlite3_file*>(this + 1);
    }
  };

  struct vfs : sqlite3_vfs {
    lossy_disk* disk = nullptr;
  };

  static file& of(sqlite3_file* what) {
    return *static_cast<file*>(what);
  }

  static sqlite3_file* below(sqlite3_file* what) {
    return of(what).below();
  }

  static int open(sqlite3_vfs* self, const char* name, sqlite3_file* what, int flags, int* found) {
    auto* disk = static_cast<vfs*>(self)->disk;
    auto* made = new (what) file;
    made->disk = disk;
    made->kept = name != nullptr ? &disk->images_[name] : nullptr;
    auto code = disk->below_->xOpen(disk->below_, name, made->below(), flags, found);
    made->pMethods = made->below()->pMethods != nullptr ? &methods : nullptr;
    return code;
  }

  static int remove(sqlite3_vfs* self, const char* name, int syncs) {
    auto* disk = static_cast<vfs*>(self)->disk;
    disk->images_[name] = {};
    return disk->below_->xDelete(disk->below_, name, syncs);
  }

  static int close(sqlite3_file* what) {
    return below(what)->pMethods->xClose(below(what));
  }

  static int read(sqlite3_file* what, void* to, int size, sqlite3_int64 place) {
    return below(what)->pMethods->xRead(below(what), to, size, place);
  }

  static int write(sqlite3_file* what, const void* from, int size, sqlite3_int64 place) {
    if (auto* kept = of(what).kept)
      kept->unsynced.push_back({static_cast<std::size_t>(place),
                                {static_cast<const char*>(from), static_cast<std::size_t>(size)}});
    return changed(what, below(what)->pMethods->xWrite(below(what), from, size, place));
  }

  static int truncate(sqlite3_file* what, sqlite3_int64 size) {
    if (auto* kept = of(what).kept)
      kept->unsynced.push_back({static_cast<std::size_t>(size), {}});
    return changed(what, below(what)->pMethods->xTruncate(below(what), size));
  }

  static int sync(sqlite3_file* what, int flags) {
    auto& self = of(what);
    if (self.kept == nullptr)
      return below(what)->pMethods->xSync(below(what), flags);
    auto changes = std::exchange(self.kept->unsynced, {});
    if (self.disk->fails_ && self.disk->is_log(*self.kept)) {
      self.disk->fails_ = false;
      return SQLITE_IOERR_FSYNC;
    }
    auto& synced = self.kept->synced;
    for (auto& [place, bytes] : changes) {
      synced.resize(bytes.empty() ? place : std::max(synced.size(), place + bytes.size()));
      synced.replace(place, bytes.size(), bytes);
    }
    return changed(what, below(what)->pMethods->xSync(below(what), flags));
  }

  static int changed(sqlite3_file* what, int code) {
    if (of(what).kept != nullptr)
      of(what).disk->on_change();
    return code;
  }

  [[nodiscard]] bool is_log(const image& which) const {
    return std::ranges::any_of(
      images_, [&](auto& each) { return &each.second == &which && each.first.ends_with("-wal"); });
  }

  static int size(sqlite3_file* what, sqlite3_int64* found) {
    return below(what)->pMethods->xFileSize(below(what), found);
  }

  static int lock(sqlite3_file* what, int how) {
    return below(what)->pMethods->xLock(below(what), how);
  }

  static int unlock(sqlite3_file* what, int how) {
    return below(what)->pMethods->xUnlock(below(what), how);
  }

  static int is_locked(sqlite3_file* what, int* found) {
    return below(what)->pMethods->xCheckReservedLock(below(what), found);
  }

  static int control(sqlite3_file* what, int verb, void* data) {
    return below(what)->pMethods->xFileControl(below(what), verb, data);
  }

  static int sector_size(sqlite3_file* what) {
    return below(what)->pMethods->xSectorSize(below(what));
  }

  static int traits(sqlite3_file* what) {
    return below(what)->pMethods->xDeviceCharacteristics(below(what));
  }

  // -- the memory that connections of a file share

  static int map(sqlite3_file* what, int page, int size, int makes, void volatile** found) {
    return below(what)->pMethods->xShmMap(below(what), page, size, makes, found);
  }

  static int lock_map(sqlite3_file* what, int first, int count, int how) {
    return below(what)->pMethods->xShmLock(below(what), first, count, how);
  }

  static void fence_map(sqlite3_file* what) {
    below(what)->pMethods->xShmBarrier(below(what));
  }

  static int unmap(sqlite3_file* what, int removes) {
    return below(what)->pMethods->xShmUnmap(below(what), removes);
  }

  static constexpr sqlite3_io_methods methods{
    .iVersion = 2,
    .xClose = close,
    .xRead = read,
    .xWrite = write,
    .xTruncate = truncate,
    .xSync = sync,
    .xFileSize = size,
    .xLock = lock,
    .xUnlock = unlock,
    .xCheckReservedLock = is_locked,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = traits,
    .xShmMap = map,
    .xShmLock = lock_map,
    .xShmBarrier = fence_map,
    .xShmUnmap = unmap,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
  };

  sqlite3_vfs* below_;
  vfs vfs_;
  std::map<std::string, image> images_;
  bool fails_ = false;
};

} // namespace troupe::test
