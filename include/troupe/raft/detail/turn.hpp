#pragma once

#include <utility>

#include "troupe/raft/detail/stable_storage.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// The context of one step of a replica, for its parts: the time, the state that they may change,
/// and where their effects go.
struct turn {
  member_id self;
  const options& how;
  /// Local and steady.
  time_point now;
  group_time time;
  stable_storage& disk;
  log_index& commit;
  replica_types::effects& out;

  [[nodiscard]] const entry_log& log() const {
    return disk.log();
  }

  [[nodiscard]] const configuration& members() const {
    return disk.log().members();
  }

  template <class Effect>
  void put(Effect what) const {
    out.push_back(std::move(what));
  }

  template <class Body>
  void tell(member_id to, Body body) const {
    put(replica_types::send{to, {disk.term(), std::move(body)}});
  }

  /// Sends `body` once all changes so far are on the disk.
  template <class Body>
  void tell_when_written(member_id to, Body body) const {
    disk.hold(to, {disk.term(), std::move(body)});
  }
};

} // namespace troupe::raft::detail
