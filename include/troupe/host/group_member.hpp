#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>

#include "troupe/host/any_host.hpp"
#include "troupe/host/group_core.hpp"

namespace troupe::host {

/// What the group tells one of its services.
using group_event
  = std::variant<group_core::deliver, group_core::lead, group_core::follow, group_core::not_taken,
                 group_core::read_ready, group_core::read_refused, group_core::take_section,
                 group_core::restore_section>;

/// A service's way to the group that runs it. Thread-safe.
class group_member {
public:
  group_member() = default;
  group_member(const group_member&) = delete;
  group_member& operator=(const group_member&) = delete;
  virtual ~group_member() = default;

  /// From here on `tell` is called for what the group has to say, in its order, through `home`.
  virtual void join(job_runner home, std::function<void(group_event&)> tell) = 0;

  virtual void propose(std::string payload) = 0;

  /// Asks for read_ready, once all that was committed before now has been told.
  virtual void read(request_id id) = 0;

  virtual void give_section(raft::log_index index, std::string bytes) = 0;

  /// This replica is not what the others are: it must not vote on.
  virtual void stop(problem why) = 0;

  /// Of this start of the process: random, not zero.
  [[nodiscard]] virtual std::uint64_t life() const = 0;
};

} // namespace troupe::host
