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

/// Shows and changes the voters of a cluster. Calls block, so do not make them inside an actor;
/// they are repeated over a change of leader. Thread-safe.
class voters_client {
public:
  /// `leader` returns the actor of the present leader, null while there is none in reach; `refusal`
  /// returns why there will be none for a while, errc::none if there may be one soon; `end` why
  /// nobody is to wait any more, whoever leads. Each is called every 100 ms or so.
  TROUPE_COMPILED voters_client(
    caf::actor_system& sys, std::function<caf::strong_actor_ptr()> leader,
    std::function<problem()> refusal, std::function<problem()> end = [] { return problem{}; });

  /// The refusal in a cluster that keeps its services in the memory of one node.
  TROUPE_COMPILED static problem no_voters();

  /// Errors: no_quorum (there is no leader; at once if no majority of the voters is reached),
  /// not_found (at once: see no_voters()), cancelled (the node has stopped meanwhile).
  TROUPE_COMPILED result<voters_view> list(duration wait);

  /// Errors: those of list() and of change_voters.
  TROUPE_COMPILED result<voters_view> change(const change_voters& what, duration wait);

  /// Makes a backup of all that the group keeps and returns it in the format of host::group_backup.
  /// Waits up to `wait` for each piece. Errors: those of list() and of make_backup, not_found if
  /// leadership moves meanwhile (make another one).
  TROUPE_COMPILED result<std::string> back_up(duration wait);

private:
  struct asking;

  caf::actor_system& sys_;
  std::function<caf::strong_actor_ptr()> leader_;
  std::function<problem()> refusal_;
  std::function<problem()> end_;
};

} // namespace troupe::cluster

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/voters_client.ipp"
#endif
