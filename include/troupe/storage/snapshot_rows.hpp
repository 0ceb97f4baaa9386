#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "troupe/core/checksum.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/result.hpp"
#include "troupe/storage/database.hpp"
#include "troupe/storage/log.hpp"

namespace troupe::storage {

/// The snapshots of a log, in a table of its SQLite file: part by part, each with a checksum; the
/// previous snapshot is kept until the next is complete. Writes go into the caller's transaction.
class snapshot_rows {
public:
  static constexpr auto schema = "CREATE TABLE IF NOT EXISTS snapshot"
                                 "(place INTEGER, part INTEGER, parts INTEGER, bytes BLOB,"
                                 " sum INTEGER, PRIMARY KEY(place, part));";

  /// `file` must outlive this. `places` names what snapshots are taken at ("record"), `advice` what
  /// to do about a damaged one.
  snapshot_rows(database& file, std::string places, std::string advice)
    : file_(file), places_(std::move(places)), advice_(std::move(advice)) {}

  /// Call after each open of the database.
  [[nodiscard]] bool prepare() {
    insert_ = file_.prepare("INSERT INTO snapshot VALUES(?,?,?,?,?)");
    drop_place_ = file_.prepare("DELETE FROM snapshot WHERE place = ?");
    drop_older_ = file_.prepare("DELETE FROM snapshot WHERE rowid IN "
                                "(SELECT rowid FROM snapshot WHERE place < ? LIMIT 2)");
    return insert_ && drop_place_ && drop_older_;
  }

  /// Call before the database is closed.
  void close() {
    for (auto* each : {&insert_, &drop_place_, &drop_older_})
      *each = {};
  }

  /// Returns the newest complete snapshot; its index is zero if there is none. Parts without their
  /// last one belong to a snapshot that was never completed. Errors: damaged, and those of the
  /// disk.
  [[nodiscard]] result<stored_record> load() {
    auto place = file_.number("SELECT coalesce(max(place), 0) FROM (SELECT place FROM snapshot "
                              "GROUP BY place HAVING count(*) = max(parts))");
    newest_ = static_cast<std::uint64_t>(place);
    stored_record found{newest_, {}};
    auto select = "SELECT part, parts, bytes, sum FROM snapshot WHERE place = "
                  + std::to_string(place) + " ORDER BY part";
    auto rows = file_.prepare(select.c_str());
    for (int state = rows.next(); state != SQLITE_DONE; state = rows.next()) {
      if (state != SQLITE_ROW)
        return file_.failed("read");
      snapshot_part each{newest_, static_cast<std::uint32_t>(rows.integer(0)),
                         static_cast<std::uint32_t>(rows.integer(1)), std::string{rows.bytes(2)}};
      if (sum_of(each) != rows.integer(3))
        return problem{errc::damaged, file_.file().string() + ": the snapshot at " + places_ + ' '
                                        + std::to_string(newest_) + " has a wrong checksum; "
                                        + advice_};
      found.bytes += each.bytes;
    }
    return found;
  }

  /// Writes a part. The first part deletes what was begun at its place; each part also deletes two
  /// parts of older snapshots: deleting a large one at once would delay the next writes.
  [[nodiscard]] bool put(const snapshot_part& what) {
    return (what.number > 0 || drop(what.index))
           && insert_.bind(1, static_cast<std::int64_t>(what.index))
                .bind(2, what.number)
                .bind(3, what.count)
                .bind_blob(4, what.bytes)
                .bind(5, sum_of(what))
                .run()
           && drop_older_.bind(1, static_cast<std::int64_t>(newest_)).run();
  }

  /// Call when the transaction of a put() is on the disk.
  void committed(const snapshot_part& what) {
    if (what.is_last())
      newest_ = what.index;
  }

  /// Deletes the parts at `index`.
  bool drop(std::uint64_t index) {
    return drop_place_.bind(1, static_cast<std::int64_t>(index)).run();
  }

  /// Deletes all parts.
  [[nodiscard]] bool clear() {
    newest_ = 0;
    return file_.run("DELETE FROM snapshot");
  }

private:
  static std::int64_t sum_of(const snapshot_part& what) {
    encoder place;
    place.put(what.index);
    place.put(what.number);
    place.put(what.count);
    return crc32c(what.bytes, crc32c(place.take()));
  }

  database& file_;
  std::string places_;
  std::string advice_;
  database::statement insert_;
  database::statement drop_place_;
  database::statement drop_older_;
  std::uint64_t newest_ = 0; // complete; older ones are deleted
};

} // namespace troupe::storage
