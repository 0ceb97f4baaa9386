#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "troupe/host/any_host.hpp"
#include "troupe/host/group_types.hpp"

namespace troupe::host {

/// How far a service has come here: what its clients know of it when they find it (see
/// client_core::reached). Outlives the service.
using record_gauge = std::shared_ptr<std::atomic<request_id>>;

/// A service's way to the group that runs it. Thread-safe.
class group_member {
public:
  group_member() = default;
  group_member(const group_member&) = delete;
  group_member& operator=(const group_member&) = delete;
  virtual ~group_member() = default;

  /// From here on `tell` is called for what the group has to say, in its order, through `home`.
  /// This release of the service knows `rules` and all before.
  virtual void join(std::uint32_t rules, job_runner home, std::function<void(group_event&)> tell)
    = 0;

  virtual void propose(proposal what) = 0;

  /// Asks for read_ready, once all that was committed before now has been told.
  virtual void read(request_id id) = 0;

  /// What take_section asked for: `write` is called once, on a thread that has time for it.
  virtual void give_section(raft::log_index index, std::function<std::string()> write) = 0;

  /// This replica is not what the others are: it must not vote on.
  virtual void stop(problem why) = 0;

  /// Tokens have to rise above this, as the group began anew on this node and may have forgotten
  /// some. The same as long as the log is; zero: it did not.
  [[nodiscard]] virtual std::uint64_t token_floor() const = 0;

  /// Of this start of the process: random, not zero.
  [[nodiscard]] virtual std::uint64_t life() const = 0;

  /// The service sets it.
  [[nodiscard]] const record_gauge& gauge() const {
    return gauge_;
  }

private:
  const record_gauge gauge_ = std::make_shared<std::atomic<request_id>>(0);
};

} // namespace troupe::host
