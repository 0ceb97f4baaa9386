#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/checksum.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/detail/calendar_floor.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/raft/replica.hpp"
#include "troupe/storage/database.hpp"
#include "troupe/storage/mark_file.hpp"
#include "troupe/storage/size_limit.hpp"
#include "troupe/storage/snapshot_rows.hpp"

namespace troupe::host {

/// The content of a replica's disk.
struct stored_group {
  /// The member id. It is created with the log: a lost disk does not keep the vote.
  raft::member_id seat;
  raft::stored_state state;
  /// The state after entry `state.base.index`; empty if there is no snapshot.
  std::string snapshot;
  /// Not zero if the group was recreated on this disk, from a backup or without its other members:
  /// entries may have been acknowledged that it does not know, so tokens must be above this. The
  /// same at each load: a new value would begin a new era each time.
  std::uint64_t token_floor = 0;
};

/// The disk of a replica: vote, entries and snapshots of a group in one SQLite file, WAL,
/// one sync for each write, a checksum for each row. FILE.mark has the end of the log and the
/// vote at the last write; a log that ends earlier is damaged, and its replica must not
/// vote. It also has the commit index, which may be old after a crash of the computer, as the
/// mark is not synced.
///
/// Calls may block; one caller at a time. On a full disk a call returns storage_full and changes
/// nothing; after any other problem the content of the disk is unknown.
class group_log {
  /// Size of a part of a snapshot. Entries wait for at most one part.
  static constexpr auto part_bytes = std::size_t{256} * 1024;
  /// Deletes rewrite pages, so they do not happen with each entry; 0.5 MiB take some 5 ms.
  static constexpr std::uint64_t drop_every_bytes = part_bytes;

  /// A snapshot as stored, in parts, without a copy of the whole.
  class snapshot_parts {
  public:
    explicit snapshot_parts(const raft::snapshot& what)
      : index_(what.header.index), bytes_(what.bytes) {
      encoder head;
      head.put(codec_format);
      head.put(what.header);
      head.put(static_cast<std::uint32_t>(bytes_->size())); // the prefix of any text
      head_ = head.take();
    }

    [[nodiscard]] std::uint32_t count() const {
      return static_cast<std::uint32_t>((head_.size() + bytes_->size() + part_bytes - 1)
                                        / part_bytes);
    }

    [[nodiscard]] storage::snapshot_part part(std::uint32_t number) const {
      auto first = number * part_bytes;
      std::string found{std::string_view{head_}.substr(std::min(first, head_.size()), part_bytes)};
      auto begin = std::max(first, head_.size()) - head_.size();
      found.append(*bytes_, std::min(begin, bytes_->size()), part_bytes - found.size());
      return {index_, number, count(), std::move(found)};
    }

  private:
    raft::log_index index_;
    std::string head_;
    std::shared_ptr<const std::string> bytes_;
  };

public:
  explicit group_log(std::filesystem::path file) : file_(std::move(file)) {}

  ~group_log() {
    storage::size_limit_is_error guard;
    close();
  }

  group_log(const group_log&) = delete;
  group_log& operator=(const group_log&) = delete;

  /// Opens the file and reads it; call it first. A new file gets a member id.
  [[nodiscard]] problem load(stored_group& content) {
    storage::size_limit_is_error guard;
    close();
    content = {};
    if (auto why = open())
      return why;
    if (auto why = load_facts(content))
      return why;
    auto newest = read_snapshot();
    if (!newest)
      return newest.error();
    content.state.base = newest->header;
    content.snapshot = *newest->bytes;
    if (auto why = load_entries(content.state))
      return why;
    return compare_mark(content.state);
  }

  /// Writes and syncs `what`, and `facts` by their names, all or nothing. damaged: also if the file
  /// has been moved or deleted.
  [[nodiscard]] problem write(const raft::replica::write& what,
                              const std::map<std::string_view, std::string>& facts = {}) {
    storage::size_limit_is_error guard;
    auto put_facts = [&] {
      return std::ranges::all_of(facts,
                                 [&](auto& each) { return put_fact(each.first, each.second); });
    };
    if (!begin_.run() || !put_facts() || !put(what))
      return database_.failed("write");
    auto next = kept_after(what);
    auto is_shorter
      = std::pair{next.last_term, next.last_index} < std::pair{kept_.last_term, kept_.last_index};
    auto shorter = next;
    shorter.vote = kept_.vote;                                     // the write may still fail
    shorter.committed = std::min(kept_.committed, next.committed); // for the same reason
    if (is_shorter) // mark it before the write: otherwise the log would seem to have lost entries
      if (auto why = mark_.write_synced(to_mark(shorter)))
        return database_.run("ROLLBACK") ? why : database_.failed("write");
    if (!commit_.run())
      return database_.failed("write");
    if (auto why = database_.check_place())
      return why;
    kept_ = next;
    if (what.base)
      snapshots_.committed({what.base->header.index, 0, 1, {}});
    write_mark(kept_);
    return {};
  }

  /// Saves a snapshot of this replica's state in parts, so that other writes need not wait for the
  /// whole: call save() until it is done. Later writes delete entries up to `expendable`, and the
  /// parts of the next snapshot replace the old one: in small steps, for the same reason.
  class saving {
  public:
    /// @pre expendable <= what.header.index
    saving(const raft::snapshot& what, raft::log_index expendable)
      : expendable_(expendable), parts_(what) {}

    [[nodiscard]] bool is_done() const {
      return next_ == parts_.count();
    }

  private:
    friend class group_log;

    raft::log_index expendable_;
    snapshot_parts parts_;
    std::uint32_t next_ = 0;
  };

  /// Saves the next part.
  [[nodiscard]] problem save(saving& what) {
    storage::size_limit_is_error guard;
    auto part = what.parts_.part(what.next_);
    if (begin_.run() && snapshots_.put(part) && commit_.run()) {
      snapshots_.committed(part);
      ++what.next_;
      if (what.is_done())
        expendable_ = what.expendable_;
      return {};
    }
    auto why = database_.failed("snapshot");
    [[maybe_unused]] auto freed = snapshots_.drop(part.index); // the snapshot stays incomplete
    return why;
  }

  /// Makes this the log of a new group with this disk, under a new member id, as its only voter:
  /// with the state `base` if given, else with all that the log has. May be repeated.
  /// @pre `content` comes from load()
  [[nodiscard]] problem begin_anew(const stored_group& content, const std::string& contact,
                                   std::optional<raft::snapshot> base = std::nullopt) {
    storage::size_limit_is_error guard;
    raft::member_id seat{random_seed() | 1U};
    raft::configuration alone{{{seat, raft::member{true, contact}}}};
    alone.promotions = newest_members(content.state).promotions;
    raft::replica::write what;
    auto term = std::max(content.state.last_ballot.term, kept_.last_term);
    what.first = kept_.last_index + 1;
    if (base) {
      term = std::max(term, base->header.term);
      base->header.members = std::move(alone);
      what.first = base->header.index + 1;
      what.base = std::move(base);
    } else {
      auto at
        = content.state.entries.empty() ? content.state.base.at : content.state.entries.back().at;
      what.entries.push_back({what.first, term + 1, at, std::move(alone)});
    }
    what.vote = raft::ballot{term + 1, {}};
    auto floor = detail::calendar_floor();
    return write(what, {{"seat", to_bytes(seat)}, {"recovered", to_bytes(floor)}});
  }

  /// Writes and syncs a new member id for this disk.
  [[nodiscard]] problem change_seat(raft::member_id seat) {
    storage::size_limit_is_error guard;
    return put_fact("seat", to_bytes(seat)) ? problem{} : database_.failed("write");
  }

  /// Returns the newest snapshot; its index is zero if there is none.
  [[nodiscard]] result<raft::snapshot> newest() {
    return read_snapshot();
  }

  /// Notes that entries up to `index` are committed, unsynced.
  void note_commit(raft::log_index index) {
    kept_.committed = std::max(kept_.committed, index);
    write_mark(kept_);
  }

  /// Notes the group's time, unsynced.
  void mark(raft::group_time now) {
    kept_.now = now;
    write_mark(kept_);
  }

private:
  [[nodiscard]] static raft::configuration newest_members(const raft::stored_state& state) {
    for (auto line = state.entries.rbegin(); line != state.entries.rend(); ++line)
      if (auto* members = std::get_if<raft::configuration>(&line->what))
        return *members;
    return state.base.members;
  }

  /// The content of FILE.mark, and the same of the log.
  struct kept_mark {
    raft::log_index last_index = 0;
    raft::term_number last_term = 0;
    raft::ballot vote;
    raft::group_time now{};
    raft::log_index committed = 0;
  };

  static constexpr std::int64_t format = 1;
  static constexpr auto must_not_vote
    = "this node must not vote: move this file and those beside it that begin with its name "
      "(-wal, .mark) away; the node then joins again as a new member, or, if it was the only "
      "voter, goes on from a backup of the cluster";
  static constexpr std::size_t mark_bytes = 6 * sizeof(std::uint64_t);

  [[nodiscard]] problem damaged(const std::string& what) const {
    return {errc::damaged, file_.string() + ": " + what + "; " + must_not_vote};
  }

  // -- rows ---------------------------------------------------------------------------

  static std::int64_t sum_of(std::uint64_t place, std::string_view bytes) {
    encoder head;
    head.put(place);
    return crc32c(bytes, crc32c(head.take()));
  }

  bool put(const raft::replica::write& what) {
    if (what.vote && !put_fact("ballot", to_bytes(*what.vote)))
      return false;
    if (written_bytes_ >= drop_every_bytes && !drop_expendable())
      return false;
    if (what.base) {
      snapshot_parts parts{*what.base};
      if (!database_.run("DELETE FROM entry") || !snapshots_.clear())
        return false;
      for (std::uint32_t each = 0; each < parts.count(); ++each)
        if (!snapshots_.put(parts.part(each)))
          return false;
      oldest_ = what.first;
      expendable_ = 0;
    } else if (what.first <= kept_.last_index
               && !truncate_.bind(1, static_cast<std::int64_t>(what.first)).run()) {
      return false;
    }
    return std::ranges::all_of(what.entries, [&](const raft::entry& line) {
      auto bytes = to_bytes(line);
      ++written_;
      written_bytes_ += bytes.size();
      return insert_.bind(1, static_cast<std::int64_t>(line.index))
        .bind_blob(2, bytes)
        .bind(3, sum_of(line.index, bytes))
        .run();
    });
  }

  /// Deletes up to two old entries for each one written, so that the size of the file stays
  /// bounded: new entries reuse the space.
  bool drop_expendable() {
    auto end = std::min(expendable_ + 1, oldest_ + 2 * written_);
    if (oldest_ < end && !drop_entries_.bind(1, static_cast<std::int64_t>(end)).run())
      return false;
    oldest_ = std::max(oldest_, end);
    written_ = written_bytes_ = 0;
    return true;
  }

  bool put_fact(std::string_view name, std::string_view bytes) {
    return insert_fact_.bind_text(1, name).bind_blob(2, bytes).bind(3, crc32c(bytes)).run();
  }

  // -- reading ------------------------------------------------------------------------

  [[nodiscard]] problem load_facts(stored_group& content) {
    auto rows = database_.prepare("SELECT name, bytes, sum FROM fact");
    for (int state = rows.next(); state != SQLITE_DONE; state = rows.next()) {
      if (state != SQLITE_ROW)
        return database_.failed("read");
      auto name = std::string{rows.bytes(0)};
      auto bytes = std::string{rows.bytes(1)};
      if (crc32c(bytes) != rows.integer(2))
        return damaged("the " + name + " has a wrong checksum");
      if (name == "seat")
        content.seat = from_bytes<raft::member_id>(bytes).value_or(raft::member_id{});
      if (name == "recovered") {
        content.token_floor = from_bytes<std::uint64_t>(bytes).value_or(0);
        if (content.token_floor == 0)
          return damaged("the floor of its tokens cannot be read");
      }
      if (name == "ballot")
        content.state.last_ballot = from_bytes<raft::ballot>(bytes).value_or(raft::ballot{});
    }
    kept_.vote = content.state.last_ballot;
    if (content.seat != raft::member_id{})
      return {};
    content.seat = {random_seed() | 1U}; // never zero
    return put_fact("seat", to_bytes(content.seat)) ? problem{} : database_.failed("open");
  }

  [[nodiscard]] result<raft::snapshot> read_snapshot() {
    auto row = snapshots_.load();
    if (!row)
      return row.error();
    raft::snapshot found{{}, std::make_shared<const std::string>()};
    if (row->index == 0)
      return found;
    decoder source{row->bytes};
    std::uint8_t version = 0;
    auto bytes = std::make_shared<std::string>();
    if (!source.get(version) || version != codec_format || !source.get(found.header)
        || !source.get(*bytes))
      return damaged("the snapshot at entry " + std::to_string(row->index) + " cannot be read");
    found.bytes = std::move(bytes);
    return found;
  }

  [[nodiscard]] problem load_entries(raft::stored_state& content) {
    kept_.last_index = content.base.index;
    kept_.last_term = content.base.term;
    auto rows = database_.prepare("SELECT place, bytes, sum FROM entry ORDER BY place");
    for (int state = rows.next(); state != SQLITE_DONE; state = rows.next()) {
      if (state != SQLITE_ROW)
        return database_.failed("read");
      auto place = static_cast<std::uint64_t>(rows.integer(0));
      if (sum_of(place, rows.bytes(1)) != rows.integer(2))
        return damaged("entry " + std::to_string(place) + " has a wrong checksum");
      auto line = from_bytes<raft::entry>(rows.bytes(1));
      if (!line || line->index != place)
        return {errc::incompatible, file_.string() + ": entry " + std::to_string(place)
                                      + " cannot be read; upgrade first"};
      auto follows = content.entries.empty() ? place <= content.base.index + 1
                                             : place == content.entries.back().index + 1;
      if (!follows)
        return damaged("entries before " + std::to_string(place) + " are missing");
      if (place >= kept_.last_index) {
        kept_.last_index = place;
        kept_.last_term = line->term;
      }
      content.entries.push_back(*std::move(line));
    }
    oldest_ = content.entries.empty() ? kept_.last_index + 1 : content.entries.front().index;
    expendable_ = 0; // until the next snapshot
    if (!content.entries.empty() && content.entries.back().index < content.base.index)
      return damaged("the log ends at entry " + std::to_string(content.entries.back().index)
                     + ", before its snapshot");
    return {};
  }

  [[nodiscard]] problem compare_mark(raft::stored_state& content) {
    auto body = mark_.read(mark_bytes);
    decoder source{body};
    kept_mark marked;
    if (!source.get(marked.last_index) || !source.get(marked.last_term)
        || !source.get(marked.vote.term) || !source.get(marked.vote.vote.value)
        || !source.get(marked.now) || !source.get(marked.committed))
      return {};
    content.marked = kept_.now = marked.now;
    content.committed = kept_.committed = std::min(marked.committed, kept_.last_index);
    // write() marks a shorter log before it shortens it.
    if (std::pair{kept_.last_term, kept_.last_index}
        < std::pair{marked.last_term, marked.last_index})
      return damaged("the log ends at entry " + std::to_string(kept_.last_index) + ", but "
                     + std::to_string(marked.last_index) + " was synced");
    if (kept_.vote.term < marked.vote.term
        || (kept_.vote.term == marked.vote.term && marked.vote.vote != raft::member_id{}
            && kept_.vote.vote != marked.vote.vote))
      return damaged("the vote of term " + std::to_string(marked.vote.term) + " is lost");
    return {};
  }

  [[nodiscard]] kept_mark kept_after(const raft::replica::write& what) const {
    auto next = kept_;
    if (what.vote)
      next.vote = *what.vote;
    if (what.base) {
      next.last_index = what.base->header.index;
      next.last_term = what.base->header.term;
      next.committed = next.last_index;
    }
    if (!what.entries.empty()) {
      next.last_index = what.entries.back().index;
      next.last_term = what.entries.back().term;
    }
    next.committed = std::max(next.committed, what.committed);
    return next;
  }

  void write_mark(const kept_mark& what) {
    mark_.write(to_mark(what));
  }

  static std::string to_mark(const kept_mark& what) {
    encoder body;
    body.put(what.last_index);
    body.put(what.last_term);
    body.put(what.vote.term);
    body.put(what.vote.vote.value);
    body.put(what.now);
    body.put(what.committed);
    return body.take();
  }

  // -- the file -------------------------------------------------------------------------

  [[nodiscard]] problem open() {
    auto schema = std::string{"CREATE TABLE IF NOT EXISTS fact"
                              "(name TEXT PRIMARY KEY, bytes BLOB, sum INTEGER);"
                              "CREATE TABLE IF NOT EXISTS entry"
                              "(place INTEGER PRIMARY KEY, bytes BLOB, sum INTEGER);"}
                  + storage::snapshot_rows::schema;
    if (auto why = database_.open(file_, storage::database::sharing::exclusive, schema.c_str()))
      return why;
    if (!database_.run("PRAGMA cache_size=-512")) // KiB; written pages are hardly ever read
      return database_.failed("open");
    if (auto why = database_.use_format(format))
      return why;
    insert_ = database_.prepare("INSERT INTO entry VALUES(?,?,?)");
    insert_fact_ = database_.prepare("INSERT OR REPLACE INTO fact VALUES(?,?,?)");
    truncate_ = database_.prepare("DELETE FROM entry WHERE place >= ?");
    drop_entries_ = database_.prepare("DELETE FROM entry WHERE place < ?");
    begin_ = database_.prepare("BEGIN IMMEDIATE");
    commit_ = database_.prepare("COMMIT");
    if (!std::ranges::all_of(statements(), [](auto* each) { return static_cast<bool>(*each); })
        || !snapshots_.prepare())
      return database_.failed("open");
    return mark_.open(file_.string() + ".mark");
  }

  std::array<storage::database::statement*, 6> statements() {
    return {&insert_, &insert_fact_, &truncate_, &drop_entries_, &begin_, &commit_};
  }

  void close() {
    for (auto* each : statements())
      *each = {};
    snapshots_.close();
    database_.close();
    mark_.close();
    kept_ = {};
  }

  std::filesystem::path file_;
  storage::database database_;
  storage::snapshot_rows snapshots_{database_, "entry", must_not_vote};
  storage::database::statement insert_;
  storage::database::statement insert_fact_;
  storage::database::statement truncate_;
  storage::database::statement drop_entries_;
  storage::database::statement begin_;
  storage::database::statement commit_;
  storage::mark_file mark_;
  kept_mark kept_;
  std::uint64_t written_ = 0;       // entries since the last deletion
  std::uint64_t written_bytes_ = 0; // their bytes
  raft::log_index oldest_ = 1;      // oldest entry on the disk
  raft::log_index expendable_ = 0;  // entries up to this one may be deleted
};

} // namespace troupe::host
