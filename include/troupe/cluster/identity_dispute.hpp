#pragma once

#include <chrono>
#include <optional>

#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Decides when a node that has just started gives up, as another process of its identity runs:
/// once members have refused it for that reason (errc::in_use) for `patience`, and it has not
/// reached its cluster since its start. Before that a link of its own dead process may be in its
/// way. Afterwards it never gives up.
///
/// A machine without deadlines: each try of the node is an event.
class identity_dispute {
public:
  /// Longer than a link may be silent (link_options::link_timeout).
  static constexpr duration patience = std::chrono::seconds{10};

  void joined() {
    has_joined_ = true;
    why_.reset();
  }

  /// A try to reach the cluster has failed, or has not (errc::none).
  void tried(time_point now, const problem& how) {
    if (has_joined_ || how.code != errc::in_use)
      return; // another member may be down meanwhile, which contradicts nothing
    refusal_ = how;
    if (!since_)
      since_ = now;
    if (now - *since_ >= patience)
      why_ = how;
  }

  /// Returns why a try has failed, for people: a member that has refused this identity holds its
  /// answer back while it looks whether the other process is there, so that is the reason for its
  /// silence, too.
  [[nodiscard]] problem reason_of(const problem& how) const {
    return !has_joined_ && refusal_ && how.code == errc::timed_out ? refusal_ : how;
  }

  /// Why the node gives up; nothing if it goes on.
  [[nodiscard]] const std::optional<problem>& lost() const {
    return why_;
  }

private:
  bool has_joined_ = false;
  std::optional<time_point> since_;
  problem refusal_;
  std::optional<problem> why_;
};

} // namespace troupe::cluster
