#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
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

/// What a replica has on stable storage, or on its way there: its vote, its log, a snapshot
/// that takes the place of both. One write is out at a time; what changes meanwhile is the
/// next. Keeps back the messages that nobody may hear before the disk has what they tell of.
class stable_storage {
public:
  using write = replica_types::write;

  struct letter {
    seat_id to;
    message what;
  };

  explicit stable_storage(const stored_state& stored) : ballot_(stored.last_ballot) {
    log_.reset(stored.base);
    auto& lines = stored.entries;
    if (!lines.empty() && lines.front().index <= stored.base.index) {
      auto& first = lines.front(); // kept for followers: what was before it, nobody asks
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

  /// Whom this replica voted for in its term, if anybody.
  [[nodiscard]] seat_id vote() const {
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
      held_.clear(); // answers of an older term might tell of what is gone since
  }

  void vote_for(seat_id seat) {
    is_ballot_dirty_ = is_ballot_dirty_ || ballot_.vote != seat;
    ballot_.vote = seat;
  }

  void push(entry line) {
    log_.push(std::move(line));
  }

  /// Takes away the entry at `from` and all behind it.
  void truncate(log_index from) {
    log_.truncate(from);
    unwritten_ = std::min(unwritten_, from);
    synced_ = std::min(synced_, from - 1);
    if (under_way_ && planted_flaw != flaw::cut_entries_counted)
      under_way_->valid_to = std::min(under_way_->valid_to, from - 1);
  }

  /// Lets `what` take the place of the log and of the state.
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

  /// Forgets entries up to `index`, which a snapshot on the disk has.
  void compact(log_index index) {
    log_.compact(index);
    unwritten_ = std::max(unwritten_, log_.base_index() + 1);
  }

  // -- writing --------------------------------------------------------------------------

  /// Whether a vote or a term waits to be written.
  [[nodiscard]] bool is_ballot_dirty() const {
    return is_ballot_dirty_;
  }

  /// Returns what is to be written, if anything is and nothing is under way.
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
      each.need = std::min(each.need, what.number); // all that is known goes with it
    return what;
  }

  /// The write of this number is synced. Returns the snapshot that is the state from now on,
  /// if it was one.
  std::optional<snapshot> written(std::uint64_t number) {
    if (!under_way_ || under_way_->number != number)
      return std::nullopt;
    auto done = *std::move(under_way_);
    under_way_.reset();
    written_ = done.number;
    synced_ = std::max(synced_, done.valid_to);
    if (!done.base || done.base->header.index != installing_)
      return std::nullopt;
    installing_ = 0;
    return std::move(done.base);
  }

  /// Nothing of the write is on the disk: all of it is written again, after a rest. Returns
  /// false if none was under way.
  bool not_written(time_point now) {
    if (!under_way_)
      return false;
    auto lost = *std::move(under_way_);
    under_way_.reset();
    rests_until_ = now + rest;
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

  /// Whether the disk has just failed, so that nothing new is begun.
  [[nodiscard]] bool is_resting(time_point now) const {
    return now < rests_until_;
  }

  /// When there is something to write again.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return is_dirty() && !under_way_ ? std::optional{rests_until_} : std::nullopt;
  }

  // -- messages that wait for it -----------------------------------------------------------

  /// Keeps `what` until all that is known now is on the disk.
  void hold(seat_id to, message what) {
    held_.push_back({is_dirty() ? write_number_ + 1 : write_number_, {to, std::move(what)}});
  }

  /// What waits is not said.
  void forget_answers() {
    held_.clear();
  }

  /// Returns the next message that has waited long enough.
  [[nodiscard]] std::optional<letter> release() {
    if (held_.empty() || held_.front().need > written_)
      return std::nullopt;
    auto each = std::move(held_.front());
    held_.pop_front();
    return std::move(each.what);
  }

private:
  struct held {
    std::uint64_t need = 0; // this write
    letter what;
  };

  struct under_way {
    std::uint64_t number = 0;
    log_index first = 0;    // entry
    log_index valid_to = 0; // what it has behind that was replaced since
    std::optional<snapshot> base;
  };

  [[nodiscard]] bool is_dirty() const {
    return is_ballot_dirty_ || base_.has_value() || unwritten_ <= log_.last_index();
  }

  /// After a clean failure nothing is written, and no election begun, for so long.
  static constexpr duration rest = std::chrono::milliseconds{100};

  ballot ballot_;
  entry_log log_;
  std::optional<snapshot> base_; // to be written
  log_index installing_ = 0;     // the snapshot that takes the place of the state, once written
  bool is_ballot_dirty_ = false;
  log_index unwritten_ = 1; // the first entry that no write has taken yet
  log_index synced_ = 0;
  std::uint64_t write_number_ = 0;
  std::uint64_t written_ = 0;
  std::optional<under_way> under_way_;
  std::deque<held> held_;
  time_point rests_until_ = time_point::min();
};

} // namespace troupe::raft::detail
