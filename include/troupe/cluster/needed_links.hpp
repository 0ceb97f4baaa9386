#pragma once

#include <set>
#include <utility>

#include "troupe/cluster/seats_types.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// Which links a node needs, used or not. With a seat in the group those to the other members, over
/// which the group decides; and all unless another node leads: while this one does, others have the
/// services over theirs, and it goes by them where the members say nothing; while no leader is
/// known, others ask here for one, and it may be the next. Without a seat none: that to the leader
/// is kept there. Part of `seats`. Cost of a call: O(members).
class needed_links {
public:
  using types = seats_types;

  void role_is(const types::changed_role& what, types::effects& out) {
    another_leads_ = what.now != raft::role::leader && what.leader != raft::member_id{};
    tell(out);
  }

  /// The members by the log, committed or not, as after a start nobody may say how far it is.
  /// `own`: the seat of this node.
  void members_are(const raft::configuration& logged, raft::member_id own, types::effects& out) {
    peers_.clear();
    is_seated_ = logged.members.contains(own);
    if (is_seated_)
      for (auto& [seat, who] : logged.members)
        if (seat != own)
          peers_.insert(to_seat_contact(who.contact).node);
    tell(out);
  }

  /// This node takes part no more.
  void stop(types::effects& out) {
    peers_.clear();
    is_seated_ = false;
    tell(out);
  }

private:
  void tell(types::effects& out) {
    types::keep_links what{is_seated_ && !another_leads_, peers_};
    if (what == said_)
      return;
    said_ = std::move(what);
    out.push_back(said_);
  }

  bool is_seated_ = false;
  bool another_leads_ = false;
  std::set<node_id> peers_;
  types::keep_links said_;
};

} // namespace troupe::cluster
