#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <utility>

#include "troupe/core/flaw.hpp"
#include "troupe/raft/detail/entry_log.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// What a replica has on stable storage or is writing there: its vote, its log, and a snapshot
/// that replaces the log and the state. One write is open at a time; later changes go into the
/// next. Holds back messages until the disk has everything that they depend on.
class stable_storage {
public:
  using write = replica_types::write;

  struct letter {
    member_id to;
    message what;
  };

  explicit stable_storage(const stored_state& stored) : ballot_(stored.last_ballot) {
    log_.reset(stored.base);
    auto& lines = stored.entries;
    if (!lines.empty() && lines.front().index <= stored.base.index) {
      auto& first = lines.front(); // kept for followers; serves as the base of the log
      log_.reset({first.index, first.term, first.at, stored.base.members});
    }
    for (auto& line : lines)
      if (line.index > log_.base_index())
        log_.push(line);
    synced_ = log_.last_index();
    unwritten_ = synced_ + 1;
  }

  [[nodiscard]] term_number term() const {
    return ballot_.term;
  }

  /// This replica's vote in its term; zero if it has not voted.
  [[nodiscard]] member_id vote() const {
    return ballot_.vote;
  }

  [[nodiscard]] const entry_log& log() const {
    return log_;
  }

  /// All entries up to here are on the disk.
  [[nodiscard]] log_index synced() const {
    return synced_;
  }

  // -- changes --------------------------------------------------------------------------

  /// @pre term > this->term()
  void enter_term(term_number term) {
    assert(term > ballot_.term);
    ballot_ = {term, {}};
    is_ballot_dirty_ = true;
    if (planted_flaw != flaw::answers_kept)
      held_.clear(); // answers of an older term may refer to entries that are gone
  }

  void vote_for(member_id seat) {
    is_ballot_dirty_ = is_ballot_dirty_ || ballot_.vote != seat;
    ballot_.vote = seat;
  }

  void push(entry line) {
    log_.push(std::move(line));
  }

  /// Removes the entry at `from` and all after it.
  void truncate(log_index from) {
    log_.truncate(from);
    unwritten_ = std::min(unwritten_, from);
    synced_ = std::min(synced_, from - 1);
    if (under_way_ && planted_flaw != flaw::cut_entries_counted)
      under_way_->valid_to = std::min(under_way_->valid_to, from - 1);
  }

  /// Replaces the log and the state by `what`.
  void install(snapshot what) {
    auto& header = what.header;
    log_.reset(header);
    installing_ = header.index;
    synced_ = 0;
    unwritten_ = header.index + 1;
    if (under_way_ && planted_flaw != flaw::replaced_entries_counted)
      under_way_->valid_to = 0;
    base_ = std::move(what);
  }

  /// Drops entries up to `index`, which a snapshot on the disk covers.
  void compact(log_index index) {
    log_.compact(index);
    unwritten_ = std::max(unwritten_, log_.base_index() + 1);
  }

  // -- writing --------------------------------------------------------------------------

  /// Whether a vote or a term waits to be written.
  [[nodiscard]] bool is_ballot_dirty() const {
    return is_ballot_dirty_;
  }

  /// Returns the next write; nothing if there is nothing to write, a write is open, or the disk
  /// rests.
  [[nodiscard]] std::optional<write> begin_write(time_point now) {
    if (under_way_ || !is_dirty() || is_resting(now))
      return std::nullopt;
    constexpr auto all = std::numeric_limits<std::size_t>::max();
    write what;
    what.number = ++write_number_;
    if (std::exchange(is_ballot_dirty_, false) && planted_flaw != flaw::vote_not_persisted)
      what.vote = ballot_;
    what.base = std::exchange(base_, {});
    what.first = unwritten_;
    what.entries = log_.slice(unwritten_, log_.last_index(), all, all);
    unwritten_ = log_.last_index() + 1;
    under_way_ = under_way{what.number, what.first, log_.last_index(), what.base};
    if (planted_flaw == flaw::sync_skipped) {
      written_ = what.number;
      synced_ = what.base ? synced_ : log_.last_index();
    }
    for (auto& each : held_)
      each.need = std::min(each.need, what.number); // this write has all changes so far
    return what;
  }

  /// The write of this number is synced. Returns the snapshot that becomes the state, if it wrote
  /// one.
  std::optional<snapshot> written(std::uint64_t number) {
    if (!under_way_ || under_way_->number != number)
      return std::nullopt;
    auto done = *std::move(under_way_);
    under_way_.reset();
    is_failing_ = false;
    written_ = done.number;
    synced_ = std::max(synced_, done.valid_to);
    if (!done.base || done.base->header.index != installing_)
      return std::nullopt;
    installing_ = 0;
    return std::move(done.base);
  }

  /// The write failed, and no part of it is on the disk: all of it is written again after a rest.
  /// Returns false if no write was open.
  bool not_written(time_point now) {
    if (!under_way_)
      return false;
    auto lost = *std::move(under_way_);
    under_way_.reset();
    rests_until_ = now + rest;
    is_failing_ = true;
    if (planted_flaw == flaw::refused_write_dropped)
      return true;
    --write_number_;
    is_ballot_dirty_ = true;
    if (lost.base && !base_ && installing_ == lost.base->header.index)
      base_ = std::move(lost.base);
    unwritten_ = std::min({unwritten_, lost.first, log_.last_index() + 1});
    unwritten_ = std::max(unwritten_, log_.base_index() + 1);
    return true;
  }

  [[nodiscard]] bool is_writing() const {
    return under_way_.has_value();
  }

  /// Whether the last write failed. The next one is tried again and again, and may be under way.
  [[nodiscard]] bool is_failing() const {
    return is_failing_;
  }

  /// Whether the disk failed recently: no write is begun then.
  [[nodiscard]] bool is_resting(time_point now) const {
    return now < rests_until_;
  }

  /// When to try the next write, if one waits for the end of a rest.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return is_dirty() && !under_way_ ? std::optional{rests_until_} : std::nullopt;
  }

  // -- messages that wait for it -----------------------------------------------------------

  /// Holds `what` until all changes so far are on the disk. If max_held wait already, drops it, as
  /// the network may: whoever gets no answer asks again.
  void hold(member_id to, message what) {
    if (held_.size() >= max_held)
      return;
    held_.push_back({is_dirty() ? write_number_ + 1 : write_number_, {to, std::move(what)}});
  }

  /// Drops all held messages.
  void forget_answers() {
    held_.clear();
  }

  /// Returns the next held message whose write is synced.
  [[nodiscard]] std::optional<letter> release() {
    if (held_.empty() || held_.front().need > written_)
      return std::nullopt;
    auto each = std::move(held_.front());
    held_.pop_front();
    return std::move(each.what);
  }

private:
  struct held {
    std::uint64_t need = 0; // number of the write it waits for
    letter what;
  };

  struct under_way {
    std::uint64_t number = 0;
    log_index first = 0;    // first entry
    log_index valid_to = 0; // its entries after this one have been replaced since
    std::optional<snapshot> base;
  };

  [[nodiscard]] bool is_dirty() const {
    return is_ballot_dirty_ || base_.has_value() || unwritten_ <= log_.last_index();
  }

  static constexpr std::size_t max_held = 10'000;
  /// After a failed write, no write and no election begin for this long.
  static constexpr duration rest = std::chrono::milliseconds{100};

  ballot ballot_;
  entry_log log_;
  std::optional<snapshot> base_; // to be written
  log_index installing_ = 0;     // index of the snapshot that becomes the state once written
  bool is_ballot_dirty_ = false;
  log_index unwritten_ = 1; // the first entry that no write has taken yet
  log_index synced_ = 0;
  std::uint64_t write_number_ = 0;
  std::uint64_t written_ = 0;
  std::optional<under_way> under_way_;
  std::deque<held> held_;
  time_point rests_until_ = time_point::min();
  bool is_failing_ = false;
};

} // namespace troupe::raft::detail
