#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::host {

/// Number of a service in the log of its group. It is stored, so never reuse it for another.
using service_id = std::uint16_t;

/// An entry that the leader's service wants to append to the log.
struct proposal {
  /// Term in which it was proposed. The group drops it if leadership was lost and regained since.
  raft::term_number term = 0;
  /// Its number, which not_taken refers to.
  std::uint64_t number = 0;
  std::string payload;
};

/// Messages of a group to one of its services, in the order of the log.
namespace to_service {

/// Step committed.
struct deliver {
  service_id service = 0;
  std::string payload;
};

/// Step leads; proposals carry `term`. The group's time was `now` when the local clock showed
/// `at`, and has advanced with that clock since. A service that counted from the receipt of this
/// message instead would be late, and leases would end early under the next leader.
struct lead {
  service_id service = 0;
  raft::group_time now{};
  raft::term_number term = 0;
  time_point at{};
};

/// Step follows: this replica is not the leader. Requests are refused with `why`.
struct follow {
  service_id service = 0;
  problem why;
};

/// The service does not run here until the next start of the process: its machine has thrown, or
/// in the log its number means another service; see own_services.
struct excluded {
  service_id service = 0;
  problem why;
};

/// The proposal of this number is not in the log and never will be.
struct not_taken {
  service_id service = 0;
  std::uint64_t number = 0;
  problem why;
};

/// The question `id` may be answered from the current state.
struct read_ready {
  service_id service = 0;
  request_id id = 0;
};

struct read_refused {
  service_id service = 0;
  request_id id = 0;
  problem why;
};

/// Call give_section() with the current state; it may be encoded while the service continues.
struct take_section {
  service_id service = 0;
  raft::log_index index = 0;
};

/// All members of the group know the rules up to this number, so these may come into force.
struct allow_rules {
  service_id service = 0;
  std::uint32_t number = 1;
};

/// Replace the state by this one.
struct restore_section {
  service_id service = 0;
  std::string bytes;
};

/// Step without_quorum: this replica reaches no majority, so no request can be carried out.
/// errc::none: it reaches a majority again.
struct without_quorum {
  service_id service = 0;
  problem why;
};

} // namespace to_service

using group_event
  = std::variant<to_service::deliver, to_service::lead, to_service::follow, to_service::not_taken,
                 to_service::read_ready, to_service::read_refused, to_service::allow_rules,
                 to_service::take_section, to_service::restore_section, to_service::without_quorum,
                 to_service::excluded>;

} // namespace troupe::host
