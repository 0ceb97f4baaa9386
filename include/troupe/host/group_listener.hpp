#pragma once

#include <functional>
#include <string>

#include "troupe/host/group_core.hpp"

namespace troupe::host {

/// What a group tells the program that runs this node: in the order in which it happens, one
/// call at a time, on any thread. Must not block.
struct group_listener {
  std::function<void(const group_core::changed_role&)> changed_role;
  std::function<void(const raft::configuration&)> members_are;
  /// A message for this seat had nowhere to go: make a link to `contact`, then set_peer().
  std::function<void(raft::seat_id, const std::string& contact)> wants_peer;
  /// This member has lost what it had synced: remove it; if it is this one: change its seat.
  std::function<void(raft::seat_id)> forgot;
  /// A message of a member was dropped; as often as that comes.
  std::function<void(const group_core::ignored&)> ignored;
  /// The group goes on, but somebody has to do something; as often as it is found.
  std::function<void(const problem&)> warned;
  /// The disk has no room, or has it again (errc::none).
  std::function<void(const problem&)> disk_room;
  /// This node takes part no more.
  std::function<void(const problem&)> stopped;
};

/// How a group stands, for people and tests.
struct group_status {
  raft::replica::status consensus;
  raft::log_index applied = 0;
};

} // namespace troupe::host
