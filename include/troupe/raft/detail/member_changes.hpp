#pragma once

#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

/// The configuration that results from each change of the members, or why it is refused.
namespace troupe::raft::detail {

inline result<configuration> changed(configuration members,
                                     const replica_types::add_learner& what) {
  if (what.seat == member_id{}
      || !members.members.try_emplace(what.seat, member{false, what.contact}).second)
    return problem{errc::bad_argument, "that seat is none, or in the group already"};
  return members;
}

inline result<configuration> changed(configuration members, const replica_types::promote& what) {
  auto found = members.members.find(what.seat);
  if (found == members.members.end())
    return problem{errc::not_found, "that seat is not in the group; add it as a learner"};
  if (found->second.votes)
    return problem{errc::bad_argument, "that member votes already"};
  found->second.votes = true;
  ++members.promotions;
  return members;
}

inline result<configuration> changed(configuration members, const replica_types::remove& what) {
  if (members.members.erase(what.seat) == 0)
    return problem{errc::not_found, "that seat is not in the group"};
  if (members.voters().empty())
    return problem{errc::bad_argument, "the last voter stays; promote another one first"};
  return members;
}

inline result<configuration> changed(configuration members, const replica_types::move& what) {
  auto found = members.members.find(what.seat);
  if (found == members.members.end())
    return problem{errc::not_found, "that seat is not in the group"};
  if (found->second.contact == what.contact)
    return problem{errc::bad_argument, "that member is found there already"};
  found->second.contact = what.contact;
  return members;
}

inline result<configuration> changed(configuration members, const replica_types::keep_out& what) {
  if (what.name.empty() || what.name.size() > max_kept_out_bytes)
    return problem{errc::bad_argument, "a name that is kept out has 1 to "
                                         + std::to_string(max_kept_out_bytes) + " bytes"};
  auto is_kept_out = members.kept_out.contains(what.name);
  if (is_kept_out && members.forced_out.contains(what.name) == what.forced)
    return problem{errc::bad_argument, "that name is kept out already"};
  if (!is_kept_out && members.kept_out.size() >= max_kept_out)
    return problem{errc::limit_reached,
                   std::to_string(max_kept_out) + " names are kept out; let one of them in first"};
  members.kept_out.insert(what.name);
  if (what.forced)
    members.forced_out.insert(what.name);
  else
    members.forced_out.erase(what.name);
  return members;
}

inline result<configuration> changed(configuration members, const replica_types::let_in& what) {
  if (members.kept_out.erase(what.name) == 0)
    return problem{errc::not_found, "that name is not kept out"};
  members.forced_out.erase(what.name);
  return members;
}

inline result<configuration> changed(configuration members, const replica_types::confirm_members&) {
  return members;
}

} // namespace troupe::raft::detail
