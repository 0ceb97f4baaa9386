#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/checksum.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/storage/database.hpp"
#include "troupe/storage/mark_file.hpp"
#include "troupe/storage/size_limit.hpp"

namespace troupe::router::detail {

/// The messages that a node has accepted and that were not handled, in one SQLite file: a checksum
/// for each, one sync for each commit(). A commit that is lost is noticed by the mark_file beside
/// it, as in storage::sqlite_log. Blocks; for one thread at a time.
class outbox_file {
public:
  struct row {
    /// In the order in which they were accepted.
    std::uint64_t place = 0;
    std::string bytes;
  };

  explicit outbox_file(std::filesystem::path file) : file_(std::move(file)) {}

  ~outbox_file() {
    storage::size_limit_is_error guard;
    insert_ = {};
    remove_ = {};
    count_ = {};
    database_.close();
  }

  outbox_file(const outbox_file&) = delete;
  outbox_file& operator=(const outbox_file&) = delete;

  /// Opens or creates the file, and reads it. Errors: those of storage::database::open();
  /// incompatible (of a later release), damaged.
  result<std::vector<row>> load() {
    storage::size_limit_is_error guard;
    constexpr auto schema
      = "CREATE TABLE IF NOT EXISTS outbox"
        "(place INTEGER PRIMARY KEY, bytes BLOB NOT NULL, sum INTEGER NOT NULL);"
        "CREATE TABLE IF NOT EXISTS commits"
        "(only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL);"
        "INSERT OR IGNORE INTO commits VALUES(1, 0);"
        "CREATE TABLE IF NOT EXISTS clean_end"
        "(only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL)";
    if (auto why = database_.open(file_, storage::database::sharing::exclusive, schema))
      return why;
    if (auto why = database_.use_format(format))
      return why;
    insert_ = database_.prepare("INSERT OR REPLACE INTO outbox VALUES(?,?,?)");
    remove_ = database_.prepare("DELETE FROM outbox WHERE place = ?");
    count_ = database_.prepare("UPDATE commits SET number = number + 1");
    if (!insert_ || !remove_ || !count_)
      return database_.failed("open");
    if (auto why = mark_.open(file_.string() + ".mark"))
      return why;
    commits_ = static_cast<std::uint64_t>(database_.number("SELECT number FROM commits"));
    std::uint64_t marked = 0;
    decoder mark{kept_mark_ = mark_.read(sizeof(marked))};
    if (mark.get(marked) && marked > commits_)
      return problem{errc::damaged, file_.string()
                                      + " lacks messages that were accepted; restore a "
                                        "backup, or move it away with what is beside it"};
    auto all = read();
    if (!all)
      return all;
    ended_cleanly_
      = static_cast<std::uint64_t>(database_.number("SELECT number FROM clean_end")) == commits_;
    if (ended_cleanly_ && !all->empty())
      ended_cleanly_ = !commit({}, {}); // this process has not
    return all;
  }

  /// Whether whoever used the file before has said end_cleanly(), and nothing was committed since.
  [[nodiscard]] bool ended_cleanly() const {
    return ended_cleanly_;
  }

  /// Call it last. If it cannot be written, the next process takes this one for killed.
  void end_cleanly() {
    storage::size_limit_is_error guard;
    static_cast<void>(
      database_.run("INSERT OR REPLACE INTO clean_end SELECT 1, number FROM commits"));
  }

  /// Writes these, in the place of what has their places, and removes those, all or nothing.
  /// Errors: storage_full (nothing was done, and a later call may do it), damaged.
  problem commit(const std::vector<row>& added, const std::vector<std::uint64_t>& removed) {
    storage::size_limit_is_error guard;
    if (!database_.run("BEGIN IMMEDIATE"))
      return database_.failed("begin");
    for (auto& each : added)
      if (!insert_.bind(1, static_cast<std::int64_t>(each.place))
             .bind_blob(2, each.bytes)
             .bind(3, sum_of(each))
             .run())
        return database_.failed("write");
    for (auto place : removed)
      if (!remove_.bind(1, static_cast<std::int64_t>(place)).run())
        return database_.failed("remove");
    if (!count_.run())
      return database_.failed("commit");
    if (auto why = database_.check_place()) // or whoever puts the file back has what was refused
      return database_.run("ROLLBACK") ? why : database_.failed("commit");
    if (!database_.run("COMMIT"))
      return database_.failed("commit");
    if (auto why = database_.check_place()) // moved meanwhile
      return why;
    encoder mark;
    mark.put(++commits_);
    mark_.write(mark.take());
    return {};
  }

private:
  static constexpr std::int64_t format = 1;

  result<std::vector<row>> read() {
    std::vector<row> all;
    auto rows = database_.prepare("SELECT place, bytes, sum FROM outbox ORDER BY place");
    for (int state = rows.next(); state != SQLITE_DONE; state = rows.next()) {
      if (state != SQLITE_ROW)
        return database_.failed("read");
      row found{static_cast<std::uint64_t>(rows.integer(0)), std::string{rows.bytes(1)}};
      if (sum_of(found) != rows.integer(2))
        return problem{errc::damaged, file_.string() + ": message " + std::to_string(found.place)
                                        + " has a wrong checksum; restore a backup"};
      all.push_back(std::move(found));
    }
    return all;
  }

  static std::int64_t sum_of(const row& what) {
    encoder place;
    place.put(what.place);
    return crc32c(what.bytes, crc32c(place.take()));
  }

  std::filesystem::path file_;
  storage::database database_;
  storage::database::statement insert_;
  storage::database::statement remove_;
  storage::database::statement count_;
  storage::mark_file mark_;
  std::string kept_mark_;
  std::uint64_t commits_ = 0;
  bool ended_cleanly_ = false;
};

} // namespace troupe::router::detail
