#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>

#include "troupe/core/flaw.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// How far a leader has come with one other member.
struct progress {
  enum class pace : std::uint8_t {
    /// Looks for the place where the logs agree: one message at a time.
    probe = 0,
    /// Sends ahead of the answers.
    stream = 1,
    /// The log does not reach back so far: a snapshot is on its way.
    snapshot = 2,
  };

  pace state = pace::probe;
  /// Synced there, and as it is here.
  log_index match = 0;
  /// It has lost what it had synced up to `match`, and maybe its vote for another leader: it
  /// confirms no rounds.
  bool has_forgotten = false;
  /// What is sent next.
  log_index next = 1;
  /// The leader's round when `match` rose last.
  std::uint64_t match_round = 0;
  /// The last round that was answered.
  std::uint64_t round = 0;
  time_point heard{};
  /// Last entries of messages without an answer.
  std::deque<log_index> in_flight;
  /// A probe is out, or a part of a snapshot.
  bool waits = false;
  time_point sent{};
  log_index told_commit = 0;
  /// What it said last of itself.
  std::string about;

  /// The part of the snapshot that is next.
  log_index snapshot_index = 0;
  std::uint64_t offset = 0;

  /// What counts as had by it, for commits and promotions.
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
