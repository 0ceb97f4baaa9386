#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "troupe/core/time.hpp"

namespace troupe::raft {

/// Options of one replica. They are not part of the group's state and may differ between
/// replicas; with unequal timers, those with the shorter ones tend to become leader.
struct options {
  /// Interval of a leader's heartbeats. From 1 ms, at most a third of election_timeout. What a
  /// leader sends at rest grows as it falls.
  duration heartbeat = std::chrono::milliseconds{200};
  /// A replica without a leader stands for election after this time, plus up to half of it at
  /// random. Votes take milliseconds, so a wider random span would only add delay.
  duration election_timeout = std::chrono::seconds{1};
  /// Entries in one message.
  std::uint32_t max_message_entries = 1'024;
  /// Bytes of entries in one message; a larger entry is sent alone.
  std::uint32_t max_message_bytes = 512 * 1024;
  /// Unanswered messages with entries for each follower.
  std::uint32_t max_in_flight = 64;
  /// Entries that are not committed yet; more are refused.
  std::uint32_t max_uncommitted = 20'000;
  /// Bytes of entries that are not committed yet; more are refused.
  std::uint64_t max_uncommitted_bytes = std::uint64_t{64} * 1024 * 1024;
  /// Bytes of one command. Services put the requests of many callers into one command.
  std::uint32_t max_command_bytes = 16 * 1024 * 1024;
  /// Reads that wait for a round of heartbeats; more are refused.
  std::uint32_t max_reads = 100'000;
  /// Bytes of the largest snapshot that is sent to a member or accepted from a leader; at most 4
  /// GiB - 1. A larger one is used only locally: members that are new or far behind cannot catch
  /// up.
  std::uint64_t max_snapshot_bytes = std::uint64_t{1024} * 1024 * 1024;
  /// Entries kept in memory and on disk before a snapshot, for slow followers, within
  /// keep_bytes.
  std::uint32_t keep_entries = 5'000;
  /// Members of a group, learners included.
  std::uint32_t max_members = 32;
  /// Seed of the random election time-outs. Should differ for each replica and each start.
  std::uint64_t seed = 0;
  /// How far a replica's first candidacy raises its term; later ones raise it by one. If each start
  /// draws it at random from 1 to 65,536, as host::group does, a log restored from an older copy
  /// does not lead a term again that it led before, so that entries of one index and term are
  /// equal.
  std::uint32_t first_step = 1;
  /// How long a replica that is the only voter waits for a leader after its start, before it leads.
  /// Zero if there are no other nodes. More if this node knows of others, because its log may be an
  /// older copy, from before they became voters. At most an hour.
  duration lead_alone_after{};
  /// Followers learn of a commit with the next entries or heartbeat, or in a message of its own
  /// after this time. The leader answers requests, so few callers wait for it.
  duration tell_commits_within = std::chrono::milliseconds{10};
  /// Bytes of entries kept in memory and on disk before a snapshot. A follower that lacks more gets
  /// the snapshot. During a snapshot transfer memory keeps ten times as much, or the size of the
  /// snapshot if that is more.
  std::uint64_t keep_bytes = std::uint64_t{1024} * 1024;
  /// Data about this replica for the leader's host; opaque here. At most 16,384 bytes, which are
  /// sent with each answer to a heartbeat.
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
