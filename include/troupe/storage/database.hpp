#pragma once

#include <sqlite3.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/problem.hpp"

namespace troupe::storage {

/// One connection to a SQLite file, closed with the object. Write-ahead log, and a
/// commit returns once it is synced. Not thread-safe; one thread at a time.
/// Source of the modes: "Write-Ahead Logging" and "PRAGMA synchronous" at sqlite.org.
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

    /// Goes to the next row; returns SQLITE_ROW, SQLITE_DONE or an error of SQLite.
    int next() {
      return raw_ != nullptr ? sqlite3_step(raw_) : SQLITE_ERROR;
    }

    void reset() {
      sqlite3_reset(raw_);
    }

    /// Runs a statement without rows, ready for the next values afterwards.
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

  /// Opens or makes `file` and runs `schema`. Errors: in_use (another process has it),
  /// damaged (no database, or one that cannot be read), storage_full, bad_argument (the file
  /// cannot be made).
  [[nodiscard]] problem open(const std::filesystem::path& file, sharing mode, const char* schema) {
    close();
    file_ = file;
    constexpr auto one_thread = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(file.c_str(), &raw_, one_thread, nullptr) != SQLITE_OK)
      return failed("open");
    sqlite3_extended_result_codes(raw_, 1);
    if (mode == sharing::shared)
      sqlite3_busy_timeout(raw_, 5'000);
    else if (!run("PRAGMA locking_mode=EXCLUSIVE")) // one host, and no shared memory
      return failed("open");
    if (!run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL") || !run(schema))
      return failed("open");
    return {};
  }

  void close() {
    sqlite3_close(std::exchange(raw_, nullptr));
  }

  /// Returns why this release, which writes files of `format`, cannot use this one: incompatible if
  /// it is of a higher one. A lower one is its own from here on.
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

  /// Says what went wrong last, and takes back a transaction that is still open. Only
  /// of a full disk, quota or limit of file sizes is known that nothing stays behind.
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
      case SQLITE_IOERR: // to SQLite a disk is full with ENOSPC only
        if (undone && (cause == EFBIG || cause == EDQUOT))
          return {errc::storage_full, why
                                        + "; make space, or raise the limit of file sizes "
                                          "(ulimit -f) or the quota, then go on"};
        break;
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

  /// For what this class does not offer.
  [[nodiscard]] sqlite3* raw() const {
    return raw_;
  }

  [[nodiscard]] const std::filesystem::path& file() const {
    return file_;
  }

private:
  /// Returns the errno of the write-ahead log, where all is written first.
  [[nodiscard]] int failed_write() const {
    sqlite3_file* log = nullptr;
    auto found = sqlite3_file_control(raw_, nullptr, SQLITE_FCNTL_JOURNAL_POINTER, &log);
    int cause = 0;
    if (found == SQLITE_OK && log != nullptr && log->pMethods != nullptr)
      log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &cause);
    return cause;
  }

  std::filesystem::path file_;
  sqlite3* raw_ = nullptr;
};

} // namespace troupe::storage
