#pragma once

#include <chrono>
#include <cstdint>
#include <variant>
#include <vector>

#include "troupe/core/answers.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record.hpp"

/// Vocabulary of the record_table: events, results and effects.
namespace troupe::registry {

// -- configuration -------------------------------------------------------------------

/// Limits and times of one table. A time of zero means never.
struct registry_options {
  /// Removed records are forgotten after this time.
  duration retention = std::chrono::hours{24};
  /// A record shows unhealthy after this many consecutive calls that were not answered, or found no
  /// way to its node.
  std::uint32_t unhealthy_after = 3;
  /// An unhealthy record shows healthy again after this time; one more failure makes it unhealthy
  /// again.
  duration unhealthy_for = std::chrono::minutes{1};
  /// How often a node pings the agents that it shows unhealthy, 100 at a time.
  duration check_every = std::chrono::seconds{10};
  /// Records that are not removed, about 1,000 bytes each with their indexes; one of each node
  /// about itself counts apart, see max_owners. Of one node half of them are kept, and it adds no
  /// agent while it has as many as are free.
  std::uint32_t max_records = 100'000;
  /// Nodes with a record since they were forgotten last, about 200 bytes each, and 1,000 for the
  /// record about the node itself.
  std::uint32_t max_owners = 100'000;
  /// Removed records that are kept, so that late news of them is recognized. Beyond this
  /// number the oldest is forgotten early.
  std::uint32_t max_removed = 10'000;
  /// Changes kept for watchers. A watcher that is further behind gets a snapshot.
  std::uint32_t max_changes = 10'000;
  /// Records in one put_records.
  std::uint32_t max_batch = 1'000;
  /// Bytes of all texts of one record.
  std::uint32_t max_record_bytes = 16'384;
};

// -- results -------------------------------------------------------------------------

/// How many records of a batch were merged.
struct put_report {
  std::uint32_t merged = 0;
  /// Equal to what is known.
  std::uint32_t known = 0;
  /// Older than what is known: late news, or records of an earlier boot.
  std::uint32_t stale = 0;
  /// Same version as what is known, but different content: two nodes use one id.
  std::uint32_t clashing = 0;

  friend bool operator==(const put_report&, const put_report&) = default;
};

struct health_view {
  record_key key{};
  bool healthy = true;
  /// Consecutive failures.
  std::uint32_t failures = 0;

  friend bool operator==(const health_view&, const health_view&) = default;
};

// -- events: what a caller may ask -----------------------------------------------------

/// Merges records: all of them or none.
struct put_records {
  std::vector<record> records{};
};

/// The liveness of a node by membership: active or disconnected. Its records never show better than
/// that. Has no effect if a boot above `boot` is known.
struct verdict {
  node_id owner{};
  std::uint64_t boot = 0;
  record_status liveness = record_status::active;
};

/// Forgets a node with all its records, as if it had never been heard of. Has no effect if a boot
/// above `boot` is known.
struct forget {
  node_id owner{};
  std::uint64_t boot = 0;
};

/// How a call to an agent ended.
enum class call_outcome : std::uint8_t {
  /// It answered, perhaps with an error of the application. It is healthy at once.
  succeeded,
  unreachable,
  timed_out,
};

/// Reports how a call ended. Nodes report those of their callers to agents of other nodes, each
/// failure in a row up to a bound, and the first answer after it.
struct report_outcome {
  record_key key{};
  call_outcome outcome = call_outcome::succeeded;
};

/// Sent before anything else. `self` is the node that has the table: whatever else there is, it
/// takes the records of that, which asks check_share() before it adds one. Later revisions are
/// above `revision_floor`: a watcher that knows those of a table with another floor gets a
/// snapshot.
struct configure {
  registry_options options{};
  std::uint64_t revision_floor = 0;
  node_id self{};
};

using event = std::variant<put_records, verdict, forget, report_outcome, configure>;

// -- effects: what the caller of step() must carry out ----------------------------------

/// Answer `id` with how its records were merged.
using put_done = answered<put_report>;

/// Answer `id` with the state of the node.
using owner_done = answered<owner_view>;

/// Answer `id` with the health of the record.
using health_done = answered<health_view>;

using troupe::refused;

using effect = std::variant<put_done, owner_done, health_done, refused>;

using effects = std::vector<effect>;

} // namespace troupe::registry
