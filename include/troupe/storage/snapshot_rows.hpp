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

/// The snapshots of a log, in a table of its SQLite file: part by part, with a checksum for each,
/// the one before kept until the next is whole. What writes goes into a transaction of the caller.
class snapshot_rows {
public:
  static constexpr auto schema = "CREATE TABLE IF NOT EXISTS snapshot"
                                 "(place INTEGER, part INTEGER, parts INTEGER, bytes BLOB,"
                                 " sum INTEGER, PRIMARY KEY(place, part));";

  /// `file` outlives this. `places` is what snapshots stand at ("record"), `advice` what to do
  /// about a damaged one.
  snapshot_rows(database& file, std::string places, std::string advice)
    : file_(file), places_(std::move(places)), advice_(std::move(advice)) {}

  /// After each start of the database.
  [[nodiscard]] bool prepare() {
    insert_ = file_.prepare("INSERT INTO snapshot VALUES(?,?,?,?,?)");
    drop_place_ = file_.prepare("DELETE FROM snapshot WHERE place = ?");
    drop_older_ = file_.prepare("DELETE FROM snapshot WHERE rowid IN "
                                "(SELECT rowid FROM snapshot WHERE place < ? LIMIT 2)");
    return insert_ && drop_place_ && drop_older_;
  }

  /// Before its end.
  void close() {
    for (auto* each : {&insert_, &drop_place_, &drop_older_})
      *each = {};
  }

  /// The newest that is whole; at zero if there is none. Parts whose last one is missing are of a
  /// snapshot that was never done. Errors: damaged, and those of the disk.
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

  /// Writes a part. The first lets go of what was begun at its place, and with each go two parts
  /// of those before the newest: a large one at once would keep what is written next waiting.
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

  /// The transaction of a put() is on the disk.
  void committed(const snapshot_part& what) {
    if (what.is_last())
      newest_ = what.index;
  }

  /// Lets go of the parts at `index`.
  bool drop(std::uint64_t index) {
    return drop_place_.bind(1, static_cast<std::int64_t>(index)).run();
  }

  /// Lets go of all.
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
  std::uint64_t newest_ = 0; // that is whole; those before it go
};

} // namespace troupe::storage
