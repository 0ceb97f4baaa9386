#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/lock/types.hpp"
#include "troupe/storage/database.hpp"
#include "troupe/storage/size_limit.hpp"

namespace troupe::lock {

/// A SQLite database that only holders of locks may use, so that safety does not depend on
/// time: a holder that was paused past the end of its lease is refused as soon as its
/// successor has written, whatever its clock says.
///
/// For each lock it remembers the highest exclusive token, and compares and writes in
/// one transaction of the guarded database. A shared token may read as long as it is above
/// that mark, and never raises it.
///
/// Bound to the lock service whose token it saw first; tokens of another are refused
/// until an operator calls adopt(). Not thread-safe; several processes may open the
/// same file.
/// Source: Kleppmann, "How to do distributed locking" (2016); Burrows, "The Chubby
/// lock service", OSDI 2006, section 2.4 (sequencers).
class fenced_store {
public:
  static result<fenced_store> open(const std::filesystem::path& file) {
    constexpr auto schema = "CREATE TABLE IF NOT EXISTS troupe_fence"
                            "(name TEXT PRIMARY KEY, mark INTEGER NOT NULL) WITHOUT ROWID;"
                            "CREATE TABLE IF NOT EXISTS troupe_fence_service"
                            "(only INTEGER PRIMARY KEY CHECK (only = 1), id INTEGER NOT NULL);";
    fenced_store made;
    if (auto why = made.database_.open(file, storage::database::sharing::shared, schema))
      return why;
    return made;
  }

  /// Runs `body(database)` in one transaction if `held` may write what its lock guards. If `body`
  /// returns a problem, rolls the transaction back and returns that problem. Errors: stale_token
  /// (a newer holder has written), bad_argument (a shared lease, or one of another service).
  template <class Body>
  result<void> write(const lease& held, Body body) {
    if (held.mode != lock_mode::exclusive)
      return problem{errc::bad_argument,
                     "the lease of " + held.name
                       + " is shared and may only read; acquire it exclusively"};
    return guarded(held, [&](std::uint64_t mark) -> problem {
      auto token = held.token.value;
      if (token < mark)
        return stale(held, mark);
      auto raise = database_.prepare("INSERT INTO troupe_fence VALUES(?,?) ON CONFLICT(name) "
                                     "DO UPDATE SET mark = excluded.mark");
      if (token > mark
          && !raise.bind_text(1, held.name).bind(2, static_cast<std::int64_t>(token)).run())
        return database_.failed("raise the mark");
      return body(database_);
    });
  }

  /// Runs `body(database)` in one transaction if `held` may read what its lock guards. If `body`
  /// returns a problem, returns that problem. Errors: stale_token (a newer holder has written),
  /// bad_argument (a lease of another service).
  template <class Body>
  result<void> read(const lease& held, Body body) {
    return guarded(held, [&](std::uint64_t mark) -> problem {
      auto token = held.token.value;
      auto passes = held.mode == lock_mode::exclusive ? token >= mark : token > mark;
      return passes ? body(database_) : stale(held, mark);
    });
  }

  /// Accepts tokens of `service` only from now on. Clears all marks, so first make sure that no
  /// holder of the old service is left.
  result<void> adopt(std::uint64_t service) {
    storage::size_limit_is_error guard;
    if (!database_.run("BEGIN IMMEDIATE") || !database_.run("DELETE FROM troupe_fence")
        || !bind_to(service) || !database_.run("COMMIT"))
      return database_.failed("adopt");
    return {};
  }

  /// For set-up: access through this is not guarded.
  [[nodiscard]] storage::database& unguarded() {
    return database_;
  }

private:
  fenced_store() = default;

  template <class Check>
  problem guarded(const lease& held, Check check) {
    storage::size_limit_is_error guard;
    if (!database_.run("BEGIN IMMEDIATE"))
      return database_.failed("begin");
    auto why = known_service(held);
    if (!why)
      why = check(mark_of(held.name));
    if (why) {
      database_.run("ROLLBACK");
      return why;
    }
    return database_.run("COMMIT") ? problem{} : database_.failed("commit");
  }

  problem known_service(const lease& held) {
    auto bound = database_.prepare("SELECT id FROM troupe_fence_service");
    if (bound.next() != SQLITE_ROW) {
      bound.reset();
      return bind_to(held.service) ? problem{} : database_.failed("bind to the service");
    }
    if (static_cast<std::uint64_t>(bound.integer(0)) == held.service)
      return {};
    return {errc::bad_argument, "the store accepts tokens of lock service "
                                  + std::to_string(bound.integer(0)) + ", this one is of "
                                  + std::to_string(held.service)
                                  + "; an operator has to call adopt()"};
  }

  bool bind_to(std::uint64_t service) {
    return database_.prepare("INSERT OR REPLACE INTO troupe_fence_service VALUES(1,?)")
      .bind(1, static_cast<std::int64_t>(service))
      .run();
  }

  std::uint64_t mark_of(const std::string& name) {
    auto rows = database_.prepare("SELECT mark FROM troupe_fence WHERE name = ?");
    rows.bind_text(1, name);
    return rows.next() == SQLITE_ROW ? static_cast<std::uint64_t>(rows.integer(0)) : 0;
  }

  static problem stale(const lease& held, std::uint64_t mark) {
    return {errc::stale_token, "token " + std::to_string(held.token.value) + " of " + held.name
                                 + " is older than " + std::to_string(mark)
                                 + ", whose holder has written; stop, and acquire the lock again"};
  }

  storage::database database_;
};

} // namespace troupe::lock
