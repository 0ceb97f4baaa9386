#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/node/messages.hpp"

namespace troupe::cluster {

/// Shows and changes which nodes keep the services of a cluster. Calls block, so not from
/// inside an actor; they ride through a change of leader. Thread-safe.
class voters_client {
public:
  /// `leader` gives the actor of the node that leads now, null while none is in reach.
  voters_client(caf::actor_system& sys, std::function<caf::strong_actor_ptr()> leader)
    : sys_(sys), leader_(std::move(leader)) {}

  /// Errors: no_quorum (nobody leads, or the cluster keeps its services in the memory of one
  /// node and has no voters).
  result<voters_view> list(duration wait) {
    return ask(list_voters{}, wait);
  }

  /// Errors beside those of list(): those of change_voters.
  result<voters_view> change(const change_voters& what, duration wait) {
    return ask(what, wait);
  }

  /// Makes a backup of all that the group keeps and returns it, as host::group_backup has it in
  /// a file; `wait` for each piece. Errors beside those of list(): those of make_backup.
  result<std::string> back_up(duration wait) {
    auto made = ask(make_backup{}, wait);
    if (!made)
      return made.error();
    std::string bytes;
    while (bytes.size() < made->bytes) {
      auto piece = ask(read_backup{made->index, bytes.size()}, wait);
      if (!piece)
        return piece.error();
      bytes += *piece;
    }
    return bytes;
  }

private:
  template <class Request>
  result<typename Request::result> ask(const Request& what, duration wait) {
    using answer = typename Request::result;
    auto deadline = std::chrono::steady_clock::now() + wait;
    result<answer> found{
      problem{errc::no_quorum, "no node leads a group of voters; retry once a majority is back. A "
                               "cluster that was founded without --data has none"}};
    for (;;) {
      if (auto leader = leader_()) {
        caf::scoped_actor self{sys_};
        auto left
          = std::chrono::duration_cast<duration>(deadline - std::chrono::steady_clock::now());
        self
          ->request(caf::actor_cast<caf::actor>(leader),
                    std::max<duration>(left, std::chrono::milliseconds{1}), what)
          .receive([&](const answer& got) { found = got; },
                   [&](const caf::error& why) { found = to_problem(why); });
        if (found || !passes(found.error().code))
          return found;
      }
      if (std::chrono::steady_clock::now() >= deadline)
        return found;
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
  }

  /// The next leader may say otherwise; to ask once more does no harm.
  static bool passes(errc code) {
    return code == errc::not_leader || code == errc::unreachable;
  }

  caf::actor_system& sys_;
  std::function<caf::strong_actor_ptr()> leader_;
};

} // namespace troupe::cluster
