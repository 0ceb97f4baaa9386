#pragma once

#include <functional>
#include <string>

#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/node/messages.hpp"

namespace troupe::cluster {

/// Whether a change of voters could not be made as nobody leads who would make it.
inline bool nobody_leads(errc why) {
  return why == errc::no_quorum || why == errc::not_leader || why == errc::unreachable;
}

/// Shows and changes which nodes keep the services of a cluster. Calls block, so not from
/// inside an actor; they ride through a change of leader. Thread-safe.
class voters_client {
public:
  /// `leader` gives the actor of the node that leads now, null while none is in reach; `refusal`
  /// why none will be for a while, errc::none if one may be soon.
  TROUPE_COMPILED voters_client(caf::actor_system& sys,
                                std::function<caf::strong_actor_ptr()> leader,
                                std::function<problem()> refusal);

  /// What is refused where the cluster keeps its services in the memory of one node.
  TROUPE_COMPILED static problem no_voters();

  /// Errors: no_quorum (nobody leads: at once where no majority of the voters is reached),
  /// not_found (at once: see no_voters()).
  TROUPE_COMPILED result<voters_view> list(duration wait);

  /// Errors beside those of list(): those of change_voters.
  TROUPE_COMPILED result<voters_view> change(const change_voters& what, duration wait);

  /// Makes a backup of all that the group keeps and returns it, as host::group_backup has it in
  /// a file; `wait` for each piece. Errors beside those of list(): those of make_backup, and
  /// not_found if leadership moves meanwhile (make another).
  TROUPE_COMPILED result<std::string> back_up(duration wait);

private:
  struct asking;

  caf::actor_system& sys_;
  std::function<caf::strong_actor_ptr()> leader_;
  std::function<problem()> refusal_;
};

} // namespace troupe::cluster

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/voters_client.ipp"
#endif
