#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "troupe/cluster/membership.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Logs how one node sees the others, one JSON object per line, for later checks of all nodes
/// (sim::membership_laws) or for other tools:
///
///     {"node":"n1","about":"5f…","status":"suspect","boot":2,"refutation":0,"at_ns":5}
///
/// `node` is the name of the node that writes, `about` the id of the other one in hex: names of
/// others are not always known, and several may have one name. `status` is alive, suspect, dead or
/// left; `at_ns` is the time of the change. Lines are flushed at once, so that they survive the
/// process; that costs a system call per line. Not thread-safe.
class membership_log {
public:
  /// `out` must outlive this.
  membership_log(std::ostream& out, const std::string& name)
    : out_(out), begin_(R"({"node":)" + nlohmann::json(name).dump()) {}

  /// The node sees another one so from `now` on.
  void write(time_point now, const membership::shows& what) {
    out_ << begin_ << R"(,"about":")" << to_string(what.who) << R"(","status":")"
         << name_of(what.is) << R"(","boot":)" << what.when.boot << R"(,"refutation":)"
         << what.when.refutation << R"(,"at_ns":)" << now.time_since_epoch().count() << "}\n"
         << std::flush;
  }

private:
  std::ostream& out_;
  const std::string begin_;
};

} // namespace troupe::cluster
