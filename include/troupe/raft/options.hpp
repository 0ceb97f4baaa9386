#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "troupe/core/time.hpp"

namespace troupe::raft {

/// How one replica behaves. Not state of the group: replicas may differ, though unequal
/// timers make the quicker ones lead.
struct options {
  /// Between two heartbeats of a leader. From 1 ms, at most a third of election_timeout.
  duration heartbeat = std::chrono::milliseconds{100};
  /// Without a leader for this and up to half as long again (at random): stand for election.
  /// Votes take milliseconds, so that a wider span would only be waited for.
  duration election_timeout = std::chrono::seconds{1};
  /// What one message may carry.
  std::uint32_t max_message_entries = 1'024;
  /// And its bytes of entries; a larger entry goes alone.
  std::uint32_t max_message_bytes = 512 * 1024;
  /// Messages with entries that a follower has not answered yet.
  std::uint32_t max_in_flight = 64;
  /// Entries and bytes that are not committed yet; more is refused.
  std::uint32_t max_uncommitted = 20'000;
  /// See max_uncommitted.
  std::uint64_t max_uncommitted_bytes = std::uint64_t{64} * 1024 * 1024;
  /// The largest command: services put the requests of many callers into one.
  std::uint32_t max_command_bytes = 16 * 1024 * 1024;
  /// Reads that wait for their round.
  std::uint32_t max_reads = 100'000;
  /// The largest snapshot that is sent to a member, or taken from a leader; at most 4 GiB - 1. A
  /// larger one serves its own replica only: members that are new or far behind do not catch up.
  std::uint64_t max_snapshot_bytes = std::uint64_t{1024} * 1024 * 1024;
  /// Entries that stay in memory and on disk behind a snapshot, for followers that are
  /// a little behind: so many, but no more than keep_bytes.
  std::uint32_t keep_entries = 5'000;
  /// Members of a group, learners included.
  std::uint32_t max_members = 32;
  /// Of the random election time-outs: different for each replica and each start.
  std::uint64_t seed = 0;
  /// How far above its term a replica stands for election first; later by one. Where each start
  /// draws its own from 1 to 65,536, as host::group does, a log that was put back from a copy leads
  /// no term that it led in another life: entries of one index and term are the same.
  std::uint32_t first_step = 1;
  /// How long the only voter waits for a leader when it starts, until it leads. Zero where there is
  /// nobody else; more where this node knows of others, as its log may be an older copy, from
  /// before they voted. At most an hour.
  duration lead_alone_after{};
  /// A commit is told to followers with the next entries, and alone after so long or with the next
  /// heartbeat: requests are answered where the group is led, so that hardly anybody waits for it.
  duration tell_commits_within = std::chrono::milliseconds{10};
  /// What entries behind a snapshot may take of memory and disk. A follower that lacks more gets
  /// the snapshot; while one is on its way, ten times that, or as much as the snapshot has if that
  /// is more.
  std::uint64_t keep_bytes = std::uint64_t{1024} * 1024;
  /// What each leader is to know of this replica, in words that only the host understands; at
  /// most 256 bytes.
  std::string about{};
};

/// Timers for one machine or one rack.
inline options lan() {
  options made;
  made.heartbeat = std::chrono::milliseconds{20};
  made.election_timeout = std::chrono::milliseconds{200};
  return made;
}

/// Timers for any network; the default.
inline options wan() {
  return {};
}

} // namespace troupe::raft
