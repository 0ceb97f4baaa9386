#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "troupe/raft/options.hpp"

namespace troupe::host {

/// Returns the name of the node at a contact of raft::member, for messages to people.
using contact_naming = std::string (*)(const std::string& contact);

/// Options of a group that runs several services on one log.
struct group_options {
  /// Options of the Raft replica.
  raft::options consensus;
  /// Entries between two snapshots; bounds the log and the time of a restart.
  std::uint32_t snapshot_every = 10'000;
  /// A snapshot is also made after so many bytes of entries, or after as many as the last snapshot
  /// had if that is more, so that a large state is not written again for each small change.
  std::uint64_t snapshot_every_bytes = 6ULL * 1024 * 1024;
  /// A member whose program lacks a service that others have, or where its rules have failed or
  /// take too long, keeps the entries of that service, so that it can carry them out later; above
  /// so many bytes of them it stops with limit_reached.
  std::uint64_t max_unread_bytes = 64ULL * 1024 * 1024;
  /// File to which the events of the replica are appended (see raft::event_log); empty: none. It
  /// has no bound: for tests.
  std::filesystem::path event_log{};
  /// Names the node at a contact of raft::member; null: the contact itself is used.
  contact_naming name_of = nullptr;
};

} // namespace troupe::host
