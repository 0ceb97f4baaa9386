#pragma once

#include <chrono>
#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::sim {

/// What goes wrong in a simulated world, and how often. Chances are per million, so that no
/// real number decides anything.
struct faults {
  static constexpr std::uint32_t always = 1'000'000;

  // -- the network --------------------------------------------------------------------
  /// Each message takes between these, drawn anew: so later ones overtake.
  duration min_delay = std::chrono::microseconds{100};
  duration max_delay = std::chrono::milliseconds{2};
  /// Of a message, that it is lost.
  std::uint32_t loss = 0;
  /// Of a message, that it arrives twice.
  std::uint32_t duplication = 0;
  /// Of a message, that it takes up to so long instead.
  std::uint32_t straggler = 0;
  duration straggler_delay = std::chrono::seconds{1};

  // -- processes; mean times between two of a kind, zero: never -----------------------------
  duration kill_every{};
  /// A killed process is back after up to so long.
  duration down_for = std::chrono::seconds{2};
  /// A paused process (SIGSTOP) sees nothing, then everything at once.
  duration pause_every{};
  duration pause_for = std::chrono::seconds{2};

  // -- threads of one process -----------------------------------------------------------
  /// What one tells another is heard after up to so long.
  duration max_handover = std::chrono::microseconds{200};
  /// Of such a message, that whoever is to hear it is busy for up to so long.
  std::uint32_t busy = 10'000;
  duration busy_for = std::chrono::milliseconds{5};
  /// Of such a message, that whoever is to hear it gets no time for up to so long: enough for
  /// the other thread's replica to fall as a leader and to lead again.
  std::uint32_t starved = 0;
  duration starved_for = std::chrono::seconds{1};

  // -- partitions -----------------------------------------------------------------------
  duration partition_every{};
  duration partition_for = std::chrono::seconds{3};
  /// Of a partition, that only one direction is cut.
  std::uint32_t one_way = 250'000;

  // -- calendars, as services ask of the time of day ------------------------------------
  /// The calendar of a process is set back by so much, or right again; never ahead.
  duration calendar_every{};
  duration calendar_back = std::chrono::hours{1};

  // -- clocks and disks -----------------------------------------------------------------
  /// A process's clock runs up to so much fast or slow, per million.
  std::uint32_t clock_drift = 0;
  /// A write is synced after between these.
  duration min_sync = std::chrono::microseconds{200};
  duration max_sync = std::chrono::milliseconds{5};
  /// Mean time between two moments when a disk is full, zero: never; it has room again after up
  /// to so long.
  duration disk_full_every{};
  duration disk_full_for = std::chrono::seconds{1};
};

/// Returns a world in which everything goes wrong now and then.
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

/// Returns a world in which hardly anything lasts: leaders fall before they have committed.
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
