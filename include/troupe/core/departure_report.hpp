#pragma once

#include <cstdint>
#include <string>

#include "troupe/core/fields.hpp"

namespace troupe {

/// Messages at a node, at one moment.
struct kept_messages {
  /// Of class confirm or once, accepted there and handled since it started.
  std::uint64_t delivered = 0;
  /// Of these classes, accepted there and not ended: only in its memory, and on its disk.
  std::uint64_t in_memory = 0;
  std::uint64_t synced = 0;
  /// Of any class, in inboxes of its agents.
  std::uint64_t in_inboxes = 0;
  std::uint64_t dead_letters = 0;

  friend bool operator==(const kept_messages&, const kept_messages&) = default;
};

/// What came of a node's leave.
struct departure_report {
  /// Its id.
  std::string node{};
  /// Messages of class confirm or once that it has accepted, and that were handled since it was
  /// asked to leave.
  std::uint64_t delivered = 0;
  /// Of those that it could not deliver: they are lost with its process.
  std::uint64_t lost = 0;
  /// Of those that it could not deliver: they go on if a node is started on its data folder again.
  std::uint64_t synced = 0;
  /// Messages in inboxes of its agents: lost, if the agents do not handle them before they end
  /// (node_options::agents_end_within).
  std::uint64_t in_inboxes = 0;
  /// Kept there. Those of synced messages are there again if a node is started on its data folder.
  std::uint64_t dead_letters = 0;
  /// It had a vote, and has none any more. False: it had none, or was forced to leave where nobody
  /// could take it away.
  bool gave_up_vote = false;
  /// The services have heard that its names, agents, records and workers are gone.
  bool took_back = false;
  /// The CA of the cluster is in its data folder, or was in its memory: nobody gets a certificate
  /// before a node has it again.
  bool has_authority = false;

  friend bool operator==(const departure_report&, const departure_report&) = default;

  TROUPE_FIELDS(departure_report, node, delivered, lost, synced, in_inboxes, dead_letters,
                gave_up_vote, took_back, has_authority);
};

} // namespace troupe
