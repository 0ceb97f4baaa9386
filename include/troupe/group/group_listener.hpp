#pragma once

#include <functional>
#include <string>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "troupe/group/group_core.hpp"

namespace troupe::host {

/// The callbacks of a group to the program of this node: in the order of events, one call at a
/// time, on any thread. They must not block.
struct group_listener {
  std::function<void(const group_core::changed_role&)> changed_role;
  std::function<void(const raft::configuration&)> members_are;
  /// A message for this member could not be sent: make a link to `contact`, then call set_peer().
  std::function<void(raft::member_id, const std::string& contact)> wants_peer;
  /// This member has lost synced data: remove it; if it is this node, call change_seat().
  std::function<void(raft::member_id)> forgot;
  /// A message of a member was dropped; called for each.
  std::function<void(const group_core::ignored&)> ignored;
  /// The group continues, but an operator has to act; called each time the problem is found.
  std::function<void(const problem&)> warned;
  /// The disk is full, or has room again (errc::none).
  std::function<void(const problem&)> disk_room;
  /// This node no longer takes part in the group, because of this problem.
  std::function<void(const problem&)> stopped;
  /// No event but a question, under a lock: whether that sender of another process is of the node
  /// with this contact. Without it the first one that shows a member id speaks for that.
  std::function<bool(const std::string& contact, const caf::strong_actor_ptr& from)> speaks_for;
};

/// The status of a group, for people and tests.
struct group_status {
  raft::replica::status consensus;
  raft::log_index applied = 0;
  /// See group_core::own_view_of_all().
  std::vector<group_core::own_view> own{};
};

} // namespace troupe::host
