#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>

#include "troupe/cluster/seats.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/replica.hpp"
#include "troupe/sim/laws/seats_laws.hpp"
#include "troupe/sim/world/findings.hpp"
#include "troupe/sim/world/group_on_disk.hpp"
#include "troupe/sim/world/world.hpp"

/// What simulated nodes with a seat in the group say to each other, and share; see group_seat.
namespace troupe::sim {

/// A message of the group, over the link of a life of its sender.
struct group_letter {
  std::uint64_t life = 0;
  raft::member_id from;
  raft::member_id to;
  raft::message what;
};

/// A node shows its card, and may say that a seat of the receiver is void.
struct card_shown {
  std::uint64_t life = 0;
  /// Counts the cards of the sender.
  std::uint64_t order = 0;
  request_id number = 0;
  cluster::seats::card mine;
  raft::member_id forgotten;
};

/// The answer.
struct card_returned {
  std::uint64_t life = 0; // of the receiver
  request_id number = 0;
  cluster::seats::card theirs;
  std::uint64_t their_life = 0;
  std::uint64_t order = 0;
};

/// What the nodes of one world share of their seats.
struct seats_shared {
  process_id nodes = 5;
  /// How many voters nodes want that start from now on.
  std::size_t voters = 3;
  /// And after how long they replace a voter that is gone; zero: never.
  duration replace_after = std::chrono::seconds{1};
  findings found{};
  seat_facts facts{};
  /// The highest term that anybody has led, and who has led each.
  raft::term_number latest = 0;
  std::map<raft::term_number, node_id> leaders{};
  /// Seats, ids and addresses that were given.
  std::uint64_t given = 0;
  std::function<void(process_id, const raft::replica&, const host::group_core::effects&)> stepped{};
  std::function<raft::log_index(raft::member_id)> on_disk{};
  // Figures.
  std::uint64_t answers = 0;
  std::uint64_t made = 0;
  std::uint64_t promoted = 0;
  std::uint64_t renewed = 0;
  std::uint64_t replaced = 0;
};

} // namespace troupe::sim
