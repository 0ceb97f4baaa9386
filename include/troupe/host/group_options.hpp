#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "troupe/raft/options.hpp"

namespace troupe::host {

/// What people call the node at a contact of raft::member.
using contact_naming = std::string (*)(const std::string& contact);

/// How a group that runs several services on one log goes about it.
struct group_options {
  /// Of the replica of the log.
  raft::options consensus;
  /// A snapshot after so many entries; bounds the log and a restart.
  std::uint32_t snapshot_every = 10'000;
  /// And after so many bytes of them, or as many as the snapshot before it had if that is more:
  /// a large state is not written again for each small change.
  std::uint64_t snapshot_every_bytes = 6ULL * 1024 * 1024;
  /// Where to write what the replica does (see raft::event_log), behind what is there. It has no
  /// bound: for tests. Empty: nowhere.
  std::filesystem::path event_log{};
  /// What people call the node at a contact of raft::member; null: the contact itself.
  contact_naming name_of = nullptr;
};

} // namespace troupe::host
