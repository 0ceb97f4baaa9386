#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "troupe/host/any_host.hpp"
#include "troupe/host/group_types.hpp"

namespace troupe::host {

/// The last record that a service has reached on this node; its clients learn it when they find
/// the service (see client_core::reached). Outlives the service.
using record_gauge = std::shared_ptr<std::atomic<request_id>>;

/// The connection of a service to its group. Thread-safe.
class group_member {
public:
  group_member() = default;
  group_member(const group_member&) = delete;
  group_member& operator=(const group_member&) = delete;
  virtual ~group_member() = default;

  /// Joins the group, which then calls `tell` with its messages, in order, through `home`. This
  /// release of the service knows rules up to `rules`.
  virtual void join(std::uint32_t rules, job_runner home, std::function<void(group_event&)> tell)
    = 0;

  virtual void propose(proposal what) = 0;

  /// Asks for read_ready, which comes after all that is committed at the time of the call.
  /// `may_wait`: it may come raft::options::heartbeat later, and costs the group no message then.
  virtual void read(request_id id, bool may_wait) = 0;

  /// Answers take_section. `write` is called once, on a thread for long jobs.
  virtual void give_section(raft::log_index index, std::function<std::string()> write) = 0;

  /// The machine has thrown. If it is a service of the program, that service stops on this node,
  /// which continues with the others; if it is one of troupe's own, the node stops.
  virtual void end(problem why) = 0;

  /// This replica has diverged from the others: it must not vote any more.
  virtual void stop(problem why) = 0;

  /// Returns the floor for tokens if the group was recreated on this node and may have forgotten
  /// some; zero if it was not. Constant for the life of the log.
  [[nodiscard]] virtual std::uint64_t token_floor() const = 0;

  /// Returns a random number of this start of the process; not zero.
  [[nodiscard]] virtual std::uint64_t life() const = 0;

  /// Set by the service.
  [[nodiscard]] const record_gauge& gauge() const {
    return gauge_;
  }

private:
  const record_gauge gauge_ = std::make_shared<std::atomic<request_id>>(0);
};

} // namespace troupe::host
