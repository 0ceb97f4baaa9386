#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "troupe/core/problem.hpp"

namespace troupe::storage {

/// One connection to a SQLite file, closed with the object. Uses a write-ahead log; a commit
/// returns once it is synced. For one thread at a time. Source of the modes: "Write-Ahead Logging"
/// and "PRAGMA synchronous" at sqlite.org.
class database {
public:
  /// A prepared statement; must end before its database does.
  class statement {
  public:
    statement() = default;

    statement(statement&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}

    statement& operator=(statement&& other) noexcept {
      std::swap(raw_, other.raw_);
      return *this;
    }

    ~statement() {
      sqlite3_finalize(raw_);
    }

    explicit operator bool() const {
      return raw_ != nullptr;
    }

    // -- values, counted from one; texts must live until run() or next() --------------

    statement& bind(int position, std::int64_t value) {
      sqlite3_bind_int64(raw_, position, value);
      return *this;
    }

    statement& bind_blob(int position, std::string_view bytes) {
      sqlite3_bind_blob64(raw_, position, bytes.data(), bytes.size(), SQLITE_STATIC);
      return *this;
    }

    statement& bind_text(int position, std::string_view text) {
      sqlite3_bind_text64(raw_, position, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
      return *this;
    }

    /// Steps to the next row; returns SQLITE_ROW, SQLITE_DONE or an error of SQLite.
    int next() {
      return raw_ != nullptr ? sqlite3_step(raw_) : SQLITE_ERROR;
    }

    void reset() {
      sqlite3_reset(raw_);
    }

    /// Runs a statement that returns no rows; afterwards it is ready for the next values.
    bool run() {
      auto done = next() == SQLITE_DONE;
      reset();
      return done;
    }

    // -- columns, counted from zero; views hold until the next step --------------------

    [[nodiscard]] std::int64_t integer(int column) const {
      return sqlite3_column_int64(raw_, column);
    }

    [[nodiscard]] std::string_view bytes(int column) const {
      auto* data = static_cast<const char*>(sqlite3_column_blob(raw_, column));
      return {data, static_cast<std::size_t>(sqlite3_column_bytes(raw_, column))};
    }

  private:
    friend class database;

    sqlite3_stmt* raw_ = nullptr;
  };

  /// Whether other connections, also of other processes, may use the file meanwhile.
  enum class sharing { shared, exclusive };

  database() = default;

  database(database&& other) noexcept
    : file_(std::move(other.file_)), raw_(std::exchange(other.raw_, nullptr)) {}

  database& operator=(database&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(raw_, other.raw_);
    return *this;
  }

  ~database() {
    close();
  }

  /// Opens or creates `file` and runs `schema`. In exclusive mode, all that the file holds is on
  /// the disk afterwards, even if earlier syncs failed. Errors: in_use (another process has it),
  /// damaged (not a database, or one that cannot be read or synced; or the file is missing or empty
  /// but its write-ahead log or its mark_file exists: nothing is changed then), storage_full,
  /// bad_argument (the file cannot be created).
  [[nodiscard]] problem open(const std::filesystem::path& file, sharing mode, const char* schema) {
    close();
    file_ = file;
    if (auto why = miss_file())
      return why;
    constexpr auto one_thread = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(file.c_str(), &raw_, one_thread, nullptr) != SQLITE_OK)
      return failed("open");
    sqlite3_extended_result_codes(raw_, 1);
    if (mode == sharing::shared)
      sqlite3_busy_timeout(raw_, 5'000);
    else if (!run("PRAGMA locking_mode=EXCLUSIVE")) // one process, so no shared memory
      return failed("open");
    if (!run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL") || !run(schema))
      return failed("open");
    return mode == sharing::exclusive ? sync_again() : problem{};
  }

  void close() {
    sqlite3_close(std::exchange(raw_, nullptr));
  }

  /// Checks that this release, which writes files of `format`, can use this file: incompatible if
  /// the file has a higher format. A lower one is raised to `format`.
  [[nodiscard]] problem use_format(std::int64_t format) {
    auto found = number("PRAGMA user_version");
    if (found > format)
      return {errc::incompatible, file_.string() + " has format " + std::to_string(found)
                                    + ", this release reads up to " + std::to_string(format)
                                    + "; upgrade first"};
    auto mine = "PRAGMA user_version=" + std::to_string(format);
    return found == format || run(mine.c_str()) ? problem{} : failed("open");
  }

  [[nodiscard]] statement prepare(const char* text) {
    statement result;
    sqlite3_prepare_v2(raw_, text, -1, &result.raw_, nullptr);
    return result;
  }

  bool run(const char* text) {
    return sqlite3_exec(raw_, text, nullptr, nullptr, nullptr) == SQLITE_OK;
  }

  /// Returns the first column of the first row of `text`, zero if there is none.
  [[nodiscard]] std::int64_t number(const char* text) {
    auto rows = prepare(text);
    return rows.next() == SQLITE_ROW ? rows.integer(0) : 0;
  }

  /// Returns the last error as a problem, and rolls back a transaction that is still open. Only
  /// with a full disk, quota or file size limit is it certain that nothing was kept.
  [[nodiscard]] problem failed(const char* doing) {
    auto code = sqlite3_extended_errcode(raw_);
    auto cause = code == SQLITE_IOERR_WRITE ? failed_write() : 0;
    auto why = file_.string() + ": " + doing + ": " + sqlite3_errmsg(raw_);
    auto undone = raw_ != nullptr && (sqlite3_get_autocommit(raw_) != 0 || run("ROLLBACK"));
    switch (code & 0xff) {
      case SQLITE_FULL:
        if (undone)
          return {errc::storage_full, why + "; make space, then go on"};
        break;
      case SQLITE_IOERR: // SQLite reports only ENOSPC as a full disk
        if (undone && (cause == EFBIG || cause == EDQUOT))
          return {errc::storage_full, why
                                        + "; make space, or raise the file size limit "
                                          "(ulimit -f) or the quota, then go on"};
        return {errc::damaged, why + doubtful_disk};
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return {errc::in_use, why + "; another process uses the file, stop it or choose another"};
      case SQLITE_CANTOPEN:
      case SQLITE_READONLY:
      case SQLITE_PERM:
        return {errc::bad_argument, why + "; make its folder, or check the permissions"};
      case SQLITE_CONSTRAINT:
        return {errc::conflict, why};
      default:
        break;
    }
    return {errc::damaged, why + "; restore a backup"};
  }

  /// Returns damaged if the file was moved, deleted or replaced since it was opened: whoever opens
  /// it next finds nothing of what this one writes. Cost: one stat(2).
  [[nodiscard]] problem check_place() const {
    int has_moved = 0;
    sqlite3_file_control(raw_, nullptr, SQLITE_FCNTL_HAS_MOVED, &has_moved);
    if (has_moved == 0)
      return {};
    return {errc::damaged, file_.string()
                             + " was moved, deleted or replaced while this process has it open, so "
                               "that nobody would find what it writes; end the process, put the "
                               "file back with all beside it, and start it again"};
  }

  /// Gives access to what this class does not offer.
  [[nodiscard]] sqlite3* raw() const {
    return raw_;
  }

  [[nodiscard]] const std::filesystem::path& file() const {
    return file_;
  }

private:
  /// Refuses a missing or empty file whose write-ahead log or mark file exists: SQLite would make a
  /// new file and drop the log, which may hold most of what was synced.
  [[nodiscard]] problem miss_file() const {
    namespace fs = std::filesystem;
    std::error_code fault;
    auto found = fs::status(file_, fault); // follows symbolic links, as SQLite does
    if (found.type() == fs::file_type::none)
      return {errc::damaged, file_.string() + ": " + fault.message() + "; repair that first"};
    auto is_there = fs::exists(found);
    if (is_there && (!fs::is_regular_file(found) || fs::file_size(file_, fault) > 0))
      return {};
    auto behind = file_; // where SQLite puts its log
    for (auto links = 0; links < 40 && fs::is_symlink(fs::symlink_status(behind, fault)); ++links)
      behind = behind.parent_path() / fs::read_symlink(behind, fault);
    for (auto& left : {behind.string() + "-wal", file_.string() + "-wal", file_.string() + ".mark"})
      if (fs::exists(fs::symlink_status(left, fault))
          && (!is_there || fs::file_size(left, fault) > 0))
        return {errc::damaged, file_.string() + (is_there ? " is empty, and " : " is gone, and ")
                                 + left
                                 + " exists, so that it is not a new one: put the file back, "
                                   "complete, as what lies beside "
                                   "it may hold most of its data. If it is lost, move all that "
                                   "begins with its name away, "
                                   "and keep it"};
    return {};
  }

  /// Returns the write-ahead log, null while there is none.
  [[nodiscard]] sqlite3_file* log_file() const {
    sqlite3_file* log = nullptr;
    auto found
      = sqlite3_file_control(raw_, nullptr, SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
    return found == SQLITE_OK && log != nullptr && log->pMethods != nullptr ? log : nullptr;
  }

  /// Returns the errno of the write-ahead log, to which all writes go first.
  [[nodiscard]] int failed_write() const {
    int cause = 0;
    if (auto* log = log_file())
      log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &cause);
    return cause;
  }

  /// Rewrites the write-ahead log with the same bytes, and syncs it. A process that ended after a
  /// failed sync leaves pages that can be read but are not on the disk, and Linux takes them for
  /// clean: a sync alone reports success. (The database file needs none of this: it is written from
  /// the log, which is kept until the file is synced.) Needs no space on the disk; a checkpoint
  /// would. Cost: reading, writing and syncing the log, usually 4 MB. Source: Rebello and others,
  /// "Can applications recover from fsync failures?", USENIX ATC 2020.
  [[nodiscard]] problem sync_again() {
    auto* log = log_file();
    if (log == nullptr)
      return {};
    auto code = write_again(*log);
    if (code == SQLITE_OK)
      code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    if (code == SQLITE_OK)
      return {};
    auto why = file_.string() + "-wal: sync: " + sqlite3_errstr(code);
    if (auto cause = failed_write(); code == SQLITE_FULL || cause == EFBIG || cause == EDQUOT)
      return {errc::storage_full, why + "; make space, then go on"};
    return {errc::damaged, why + doubtful_disk};
  }

  static int write_again(sqlite3_file& log) {
    sqlite3_int64 size = 0;
    auto code = log.pMethods->xFileSize(&log, &size);
    std::string bytes;
    for (sqlite3_int64 place = 0; place < size && code == SQLITE_OK;
         place += static_cast<sqlite3_int64>(bytes.size())) {
      constexpr sqlite3_int64 most = 64LL * 1024; // SQLite writes no more than 128 KiB at a time
      bytes.resize(static_cast<std::size_t>(std::min(most, size - place)));
      auto count = static_cast<int>(bytes.size());
      code = log.pMethods->xRead(&log, bytes.data(), count, place);
      if (code == SQLITE_OK)
        code = log.pMethods->xWrite(&log, bytes.data(), count, place);
    }
    return code;
  }

  /// After an error of the disk the file may be as it should be.
  static constexpr auto doubtful_disk
    = "; check the disk, and that this user may write the file and its folder";

  std::filesystem::path file_;
  sqlite3* raw_ = nullptr;
};

} // namespace troupe::storage
