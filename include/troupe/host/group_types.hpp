#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::host {

/// Names a service of a group in its log: stored, so a number is never used for another.
using service_id = std::uint16_t;

/// What a service that leads wants in the log.
struct proposal {
  /// Of the lead that it follows on: on the way here its replica may have stopped leading, and
  /// lead again, and what was right then is not now.
  raft::term_number term = 0;
  /// For not_taken.
  std::uint64_t number = 0;
  std::string payload;
};

/// What a group has to say to one of its services, in the order of its log.
namespace to_service {

/// Step committed.
struct deliver {
  service_id service = 0;
  std::string payload;
};

/// Step leads; the group's time was `now` when the clock here showed `at`, and has gone on by
/// that clock since: a service that counted from when it hears this would be behind, and the
/// next leader's would end its leases early. Proposals carry the term.
struct lead {
  service_id service = 0;
  raft::group_time now{};
  raft::term_number term = 0;
  time_point at{};
};

struct follow {
  service_id service = 0;
  problem why;
};

/// The proposal of this number is not in the log, nor will it be.
struct not_taken {
  service_id service = 0;
  std::uint64_t number = 0;
  problem why;
};

/// The question `id` may be answered from the state as it is.
struct read_ready {
  service_id service = 0;
  request_id id = 0;
};

struct read_refused {
  service_id service = 0;
  request_id id = 0;
  problem why;
};

/// Step section with the state as it is; it may be written down while the service goes on.
struct take_section {
  service_id service = 0;
  raft::log_index index = 0;
};

/// All members of the group know rules up to this number, so that they may come into force.
struct allow_rules {
  service_id service = 0;
  std::uint32_t number = 1;
};

/// The state is this from here on.
struct restore_section {
  service_id service = 0;
  std::string bytes;
};

/// Step without_quorum: this replica reaches no majority, so that nobody can be found here who
/// carries anything out. errc::none: it does again.
struct without_quorum {
  service_id service = 0;
  problem why;
};

} // namespace to_service

using group_event
  = std::variant<to_service::deliver, to_service::lead, to_service::follow, to_service::not_taken,
                 to_service::read_ready, to_service::read_refused, to_service::allow_rules,
                 to_service::take_section, to_service::restore_section, to_service::without_quorum>;

} // namespace troupe::host
