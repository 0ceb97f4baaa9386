#pragma once

#include <chrono>
#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::sim {

/// The faults of a simulated world. Probabilities are per million, so that no floating-point
/// number has any influence.
struct faults {
  static constexpr std::uint32_t always = 1'000'000;

  // -- the network --------------------------------------------------------------------
  /// Each message takes a random time between these, so that messages overtake each other.
  duration min_delay = std::chrono::microseconds{100};
  duration max_delay = std::chrono::milliseconds{2};
  /// Probability that a message is lost.
  std::uint32_t loss = 0;
  /// Probability that a message arrives twice.
  std::uint32_t duplication = 0;
  /// Probability that a message takes up to straggler_delay instead.
  std::uint32_t straggler = 0;
  duration straggler_delay = std::chrono::seconds{1};

  // -- processes; `…_every` is the mean time between two such faults, zero: never -----------
  duration kill_every{};
  /// A killed process starts again after up to this time.
  duration down_for = std::chrono::seconds{2};
  /// A paused process (SIGSTOP) sees no events, and then all of them at once.
  duration pause_every{};
  duration pause_for = std::chrono::seconds{2};

  // -- threads of one process -----------------------------------------------------------
  /// A message between two threads takes up to this time.
  duration max_handover = std::chrono::microseconds{200};
  /// Probability that the receiver of such a message is busy for up to busy_for.
  std::uint32_t busy = 10'000;
  duration busy_for = std::chrono::milliseconds{5};
  /// Probability that the receiver of such a message gets no processor time for up to starved_for:
  /// long enough for the other thread's replica to lose leadership and win it again.
  std::uint32_t starved = 0;
  duration starved_for = std::chrono::seconds{1};

  // -- partitions -----------------------------------------------------------------------
  duration partition_every{};
  duration partition_for = std::chrono::seconds{3};
  /// Probability that a partition cuts only one direction.
  std::uint32_t one_way = 250'000;

  // -- wall clocks ----------------------------------------------------------------------
  /// The wall clock of a process is set back by calendar_back, or corrected; never ahead.
  duration calendar_every{};
  duration calendar_back = std::chrono::hours{1};

  // -- clocks and disks -----------------------------------------------------------------
  /// Largest drift of a process's clock, fast or slow, in parts per million.
  std::uint32_t clock_drift = 0;
  /// A write is synced after a random time between these.
  duration min_sync = std::chrono::microseconds{200};
  duration max_sync = std::chrono::milliseconds{5};
  /// Mean time between two occasions when a disk becomes full, zero: never. It has room again after
  /// up to disk_full_for.
  duration disk_full_every{};
  duration disk_full_for = std::chrono::seconds{1};
};

/// Returns faults of all kinds, each from time to time.
inline faults rough() {
  faults made;
  made.loss = 20'000;
  made.duplication = 20'000;
  made.straggler = 5'000;
  made.kill_every = std::chrono::seconds{8};
  made.pause_every = std::chrono::seconds{15};
  made.starved = 200;
  made.partition_every = std::chrono::seconds{10};
  made.clock_drift = 50'000;
  made.disk_full_every = std::chrono::seconds{9};
  return made;
}

/// Returns faults so frequent that leaders fail before they commit anything.
inline faults storm() {
  auto made = rough();
  made.loss = 50'000;
  made.kill_every = std::chrono::milliseconds{1'500};
  made.down_for = std::chrono::milliseconds{800};
  made.pause_every = std::chrono::seconds{3};
  made.pause_for = std::chrono::milliseconds{800};
  made.starved = 1'000;
  made.partition_every = std::chrono::milliseconds{1'200};
  made.partition_for = std::chrono::seconds{1};
  made.max_sync = std::chrono::milliseconds{30};
  made.disk_full_every = std::chrono::seconds{2};
  return made;
}

} // namespace troupe::sim
