#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>

#include "troupe/core/flaw.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// Progress of one other member, as its leader knows it.
struct progress {
  enum class pace : std::uint8_t {
    /// Looks for the index where the logs agree: one message at a time.
    probe = 0,
    /// Sends entries without waiting for answers.
    stream = 1,
    /// The log begins after what the member needs: it gets a snapshot.
    snapshot = 2,
  };

  pace state = pace::probe;
  /// Last index that is synced there and equal to the leader's.
  log_index match = 0;
  /// It has lost entries that it had synced up to `match`, and perhaps its vote for another leader.
  /// So its answers confirm no rounds.
  bool has_forgotten = false;
  /// The next entry to send.
  log_index next = 1;
  /// The leader's round when `match` last rose.
  std::uint64_t match_round = 0;
  /// The last round that the member answered.
  std::uint64_t round = 0;
  time_point heard{};
  /// The last entry of each unanswered message.
  std::deque<log_index> in_flight;
  /// A probe or a part of a snapshot is unanswered.
  bool waits = false;
  time_point sent{};
  log_index told_commit = 0;
  /// Its latest options::about.
  std::string about;

  /// The snapshot that is sent, and the offset of its next part.
  log_index snapshot_index = 0;
  std::uint64_t offset = 0;

  /// The index that counts for commits and promotions.
  [[nodiscard]] log_index counted() const {
    return has_forgotten && planted_flaw != flaw::forgotten_counted ? 0 : match;
  }

  void begin_probe(log_index from) {
    state = pace::probe;
    next = std::max(from, match + 1);
    in_flight.clear();
    waits = false;
  }

  void begin_stream() {
    state = pace::stream;
    next = std::max(next, match + 1);
    in_flight.clear();
    waits = false;
  }

  void begin_snapshot() {
    state = pace::snapshot;
    in_flight.clear();
    waits = false;
    snapshot_index = 0;
    offset = 0;
  }

  void answered_up_to(log_index index) {
    while (!in_flight.empty() && in_flight.front() <= index)
      in_flight.pop_front();
  }
};

} // namespace troupe::raft::detail
