#pragma once

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/storage/database.hpp"
#include "troupe/storage/size_limit.hpp"

namespace troupe::router {

/// Bounds of a once_store.
struct once_options {
  /// Marks that it keeps, of messages of the last 24 h. Beyond it messages are refused with
  /// limit_reached. About 130 bytes each: 1.3 GB, and 115 messages a second.
  std::uint64_t max_marks = 10'000'000;
  /// The calendar of this computer.
  std::function<wall_time()> now = read_calendar;
};

/// A SQLite database of an agent that has the effect of each message of class once exactly once:
/// one transaction holds the effect and a mark that names the message, by the agent and its
/// message_id. So a message that comes again, to this or a later process, is known whatever
/// instruction the last one was killed at.
///
///     auto store = once_store::open("ledger.db").value();
///     me.agent("ledger", {.once = store}, [store](const order& what) -> result<void> {
///       return enter(store->database(), what);
///     });
///
/// A mark is kept for once_window (24 h) by the calendar of this computer, and a message lives
/// 23 h at most; so the calendar may be set forward by up to an hour. What must move with
/// the agent is this file: with another one nobody knows what has been applied.
///
/// Thread-safe; one transaction at a time. Several processes may open the file.
class once_store {
public:
  static result<std::shared_ptr<once_store>> open(const std::filesystem::path& file,
                                                  once_options how = {}) {
    constexpr auto schema = "CREATE TABLE IF NOT EXISTS troupe_once"
                            "(place INTEGER PRIMARY KEY, agent TEXT NOT NULL, node BLOB NOT NULL,"
                            " boot INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL);"
                            "CREATE UNIQUE INDEX IF NOT EXISTS troupe_once_ids"
                            " ON troupe_once(agent, node, boot, number);";
    std::shared_ptr<once_store> made{new once_store{std::move(how)}};
    if (auto why = made->database_.open(file, storage::database::sharing::shared, schema))
      return why;
    sqlite3_commit_hook(made->database_.raw(), refuse_commit, made.get());
    sqlite3_rollback_hook(made->database_.raw(), note_rollback, made.get());
    return made;
  }

  once_store(const once_store&) = delete;
  once_store& operator=(const once_store&) = delete;

  enum class applied : std::uint8_t {
    now,
    /// Its effect is there already.
    before,
  };

  /// Runs `body(database)` in one transaction with the mark of that message, unless there is such a
  /// mark. `body` returns a problem. If that is one, or if `body` throws, there is neither effect
  /// nor mark. Errors: that of `body`, storage_full (nothing was kept), limit_reached
  /// (once_options::max_marks), in_use (another process writes for seconds), failed (`body` has
  /// ended the transaction), bad_argument (called by a `body`), damaged.
  template <class Body>
  result<applied> apply(const agent_id& agent, const message_id& id, Body body) {
    auto how = applied::now;
    auto why = in_transaction([&]() -> problem {
      if (is_marked(agent, id)) {
        how = applied::before;
        return {};
      }
      if (planted_flaw != flaw::effect_without_mark)
        if (auto refusal = mark(agent, id))
          return refusal;
      if (planted_flaw == flaw::mark_without_effect && !database_.run("COMMIT; BEGIN IMMEDIATE"))
        return database_.failed("begin");
      return guarded(body);
    });
    if (!why && how == applied::now && planted_flaw == flaw::effect_without_mark)
      why = mark(agent, id);
    if (why)
      return why;
    ++(how == applied::now ? applied_ : repeated_);
    return how;
  }

  /// Runs `body(database)` in one transaction without a mark, for messages of other classes.
  template <class Body>
  result<void> run(Body body) {
    if (auto why = in_transaction([&] { return guarded(body); }))
      return why;
    return {};
  }

  /// For what apply() and run() are called with, and for set-up before that.
  [[nodiscard]] storage::database& database() {
    return database_;
  }

  /// Messages that were applied since it was opened.
  [[nodiscard]] std::uint64_t applied_count() const {
    return applied_;
  }

  /// Messages that came again, and were known.
  [[nodiscard]] std::uint64_t repeated_count() const {
    return repeated_;
  }

  /// Marks in the file, or a few more.
  [[nodiscard]] std::uint64_t marks() {
    std::lock_guard guard{mutex_};
    return count_marks();
  }

private:
  /// So many marks go at a time, with one that comes.
  static constexpr std::int64_t most_pruned = 16;

  explicit once_store(once_options how) : options_(std::move(how)) {}

  // -- transactions ----------------------------------------------------------------------

  template <class Job>
  problem in_transaction(Job job) {
    std::lock_guard guard{mutex_};
    if (is_open_)
      return {errc::bad_argument, database_.file().string()
                                    + ": a function that runs in a transaction of this once_store "
                                      "begins another one; write through database()"};
    storage::size_limit_is_error limit;
    if (!database_.run("BEGIN IMMEDIATE"))
      return database_.failed("begin");
    open_transaction now{*this};
    if (auto why = job())
      return why;
    return now.commit();
  }

  /// What is not committed when it goes is rolled back, also where a function throws.
  class open_transaction {
  public:
    explicit open_transaction(once_store& of) : of_(of) {
      of_.is_open_ = true;
    }

    open_transaction(const open_transaction&) = delete;
    open_transaction& operator=(const open_transaction&) = delete;

    ~open_transaction() {
      of_.is_open_ = false;
      if (sqlite3_get_autocommit(of_.database_.raw()) == 0)
        of_.database_.run("ROLLBACK");
    }

    problem commit() {
      return of_.database_.run("COMMIT") ? problem{} : of_.database_.failed("commit");
    }

  private:
    once_store& of_;
  };

  /// Whatever the body does, its effect is not committed before its end.
  template <class Body>
  problem guarded(Body& body) {
    struct entry {
      once_store& of;
      explicit entry(once_store& which) : of(which) {
        of.is_in_body_ = true;
        of.is_spoilt_ = false;
      }
      entry(const entry&) = delete;
      entry& operator=(const entry&) = delete;
      ~entry() {
        of.is_in_body_ = false;
      }
    };
    problem why;
    {
      entry now{*this};
      why = body(database_);
    }
    if (!why && is_spoilt_)
      return {errc::failed, database_.file().string()
                              + ": the transaction was ended by the function that runs in it, or "
                                "rolled back as a statement failed; leave out BEGIN, COMMIT and "
                                "ROLLBACK, and return the errors of statements"};
    return why;
  }

  static int refuse_commit(void* self) {
    auto& of = *static_cast<once_store*>(self);
    of.is_spoilt_ |= of.is_in_body_;
    return of.is_in_body_ ? 1 : 0;
  }

  static void note_rollback(void* self) {
    auto& of = *static_cast<once_store*>(self);
    of.is_spoilt_ |= of.is_in_body_;
  }

  // -- marks -----------------------------------------------------------------------------

  bool is_marked(const agent_id& agent, const message_id& id) {
    auto rows = database_.prepare("SELECT 1 FROM troupe_once WHERE agent = ? AND node = ? "
                                  "AND boot = ? AND number = ?");
    bind(rows, agent, id);
    return rows.next() == SQLITE_ROW;
  }

  problem mark(const agent_id& agent, const message_id& id) {
    auto now = in_ms(options_.now());
    if (!prune(now)) // the transaction may be gone with it
      return database_.failed("remove old marks");
    if (auto kept = count_marks(); kept >= options_.max_marks)
      return {errc::limit_reached, database_.file().string() + " keeps " + std::to_string(kept)
                                     + " marks of messages of class once, of the last 24 h; send "
                                       "fewer, or raise once_options::max_marks"};
    auto add = database_.prepare("INSERT INTO troupe_once(agent, node, boot, number, at) "
                                 "VALUES(?,?,?,?,?)");
    bind(add, agent, id);
    return add.bind(5, now).run() ? problem{} : database_.failed("mark a message");
  }

  static void bind(storage::database::statement& into, const agent_id& agent,
                   const message_id& id) {
    into.bind_text(1, agent.text())
      .bind_blob(2, bytes_of(id.node))
      .bind(3, static_cast<std::int64_t>(id.boot))
      .bind(4, static_cast<std::int64_t>(id.number));
  }

  static std::string_view bytes_of(const node_id& which) {
    return {reinterpret_cast<const char*>(which.bytes.data()), which.bytes.size()};
  }

  /// Some of those whose messages cannot come again.
  bool prune(std::int64_t now) {
    auto some = database_.prepare("DELETE FROM troupe_once WHERE at < ? AND place IN "
                                  "(SELECT place FROM troupe_once ORDER BY place LIMIT ?)");
    return some.bind(1, now - in_ms(wall_time{once_window})).bind(2, most_pruned).run();
  }

  std::uint64_t count_marks() {
    return static_cast<std::uint64_t>(
      database_.number("SELECT IFNULL((SELECT MAX(place) FROM troupe_once) - "
                       "(SELECT MIN(place) FROM troupe_once) + 1, 0)"));
  }

  static std::int64_t in_ms(wall_time at) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  }

  once_options options_;
  mutable std::recursive_mutex mutex_;
  storage::database database_;
  bool is_open_ = false;
  bool is_in_body_ = false;
  /// The body has ended the transaction.
  bool is_spoilt_ = false;
  /// Counted once a transaction has ended, and so without its lock.
  std::atomic<std::uint64_t> applied_ = 0;
  std::atomic<std::uint64_t> repeated_ = 0;
};

} // namespace troupe::router
