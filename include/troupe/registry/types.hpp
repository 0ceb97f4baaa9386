#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "troupe/core/answers.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record.hpp"

/// Vocabulary of the record_table: events, results and effects.
namespace troupe::registry {

// -- configuration -------------------------------------------------------------------

/// Limits and times of one table. A time of zero means never.
struct registry_options {
  /// How often a node sends a heartbeat. The table tells it to nodes and does not use it itself.
  duration heartbeat_every = std::chrono::seconds{10};
  /// Silence after which a node shows inactive: three heartbeats, so that two may be lost.
  duration inactive_after = std::chrono::seconds{30};
  /// Silence after which a node shows disconnected.
  duration disconnected_after = std::chrono::seconds{90};
  /// Removed records are forgotten after this time.
  duration retention = std::chrono::hours{24};
  /// A record shows unhealthy after this many consecutive outcomes `unreachable` or `timed_out`
  /// (report_outcome).
  std::uint32_t unhealthy_after = 3;
  /// An unhealthy record shows healthy again after this time; one more failure makes it unhealthy
  /// again.
  duration unhealthy_for = std::chrono::minutes{1};
  /// How often the cluster's host pings unhealthy agents, 100 at a time.
  duration check_every = std::chrono::seconds{10};
  /// Records that are not removed, about 1,300 bytes each with their indexes.
  std::uint32_t max_records = 100'000;
  /// Nodes with a record since they were forgotten last, about 200 bytes each.
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

  friend bool operator==(const registry_options&, const registry_options&) = default;

  /// Options for a table that goes by verdicts alone: its host decides which nodes are there.
  static registry_options copy(registry_options bounds) {
    bounds.inactive_after = bounds.disconnected_after = {};
    return bounds;
  }

  static registry_options copy() {
    return copy(registry_options{});
  }

  TROUPE_FIELDS(registry_options, heartbeat_every, inactive_after, disconnected_after, retention,
                unhealthy_after, unhealthy_for, check_every, max_records, max_owners, max_removed,
                max_changes, max_batch, max_record_bytes);
};

// -- results -------------------------------------------------------------------------

/// How many records of a batch were merged.
struct put_report {
  std::uint32_t merged = 0;
  /// Equal to what is known.
  std::uint32_t known = 0;
  /// Older than what is known: late news, or records of an earlier boot. find_owner tells which;
  /// in the second case the node takes a higher boot (own_records::rise_above).
  std::uint32_t stale = 0;
  /// Same version as what is known, but different content: two nodes use one id.
  std::uint32_t clashing = 0;

  friend bool operator==(const put_report&, const put_report&) = default;

  TROUPE_FIELDS(put_report, merged, known, stale, clashing);
};

struct health_view {
  record_key key{};
  bool healthy = true;
  /// Consecutive failures.
  std::uint32_t failures = 0;

  friend bool operator==(const health_view&, const health_view&) = default;

  TROUPE_FIELDS(health_view, key, healthy, failures);
};

// -- events: what a caller may ask -----------------------------------------------------

/// Merges records, from any sender: all of them or none. A node puts all its records when it
/// starts, and later each one that changed.
struct put_records {
  using result = put_report;

  std::vector<record> records{};

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return std::ranges::all_of(
      records, [&](const record& each) { return may_speak_for(each.key.owner, node); });
  }

  TROUPE_FIELDS(put_records, records);
};

/// A node's sign of life. Clears the verdict on it.
struct heartbeat {
  using result = owner_view;

  std::string owner{};
  std::uint64_t boot = 0;

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return may_speak_for(owner, node);
  }

  TROUPE_FIELDS(heartbeat, owner, boot);
};

/// The liveness of a node by membership, or by the table that this one follows: active,
/// inactive or disconnected. The node never shows better than that.
struct verdict {
  using result = owner_view;

  std::string owner{};
  std::uint64_t boot = 0;
  record_status liveness = record_status::active;
  /// With disconnected: for how long it has been, as far as the sender knows. Counts if the table
  /// did not know it yet; negative spans are zero.
  duration for_long{};

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return may_speak_for(owner, node);
  }

  TROUPE_FIELDS(verdict, owner, boot, liveness, for_long);
};

/// Forgets a node with all its records, as if it had never been heard of. No effect if a boot
/// above `boot` is known.
struct forget {
  using result = owner_view;

  std::string owner{};
  std::uint64_t boot = 0;

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return may_speak_for(owner, node);
  }

  TROUPE_FIELDS(forget, owner, boot);
};

/// How a call to an agent or service ended. The numbers go over the wire.
enum class call_outcome : std::uint8_t {
  /// It answered, or passed a check. It is healthy at once.
  succeeded = 0,
  /// It answered with an error of the application. Its health does not change.
  failed = 1,
  unreachable = 2,
  timed_out = 3,
  /// A check or an operator found it unhealthy. It is unhealthy at once.
  condemned = 4,
};

inline constexpr std::array<std::string_view, 5> call_outcome_names{
  "succeeded", "failed", "unreachable", "timed_out", "condemned"};

constexpr std::string_view name_of(call_outcome outcome) noexcept {
  auto index = static_cast<std::size_t>(outcome);
  return index < call_outcome_names.size() ? call_outcome_names[index] : "unknown";
}

/// Reports how a call ended. Nodes report those of their callers to agents of other nodes, each
/// failure in a row up to a bound, and the first answer after it. The table trusts every report.
struct report_outcome {
  using result = health_view;

  record_key key{};
  call_outcome outcome = call_outcome::succeeded;

  TROUPE_FIELDS(report_outcome, key, outcome);
};

/// Sent by the host, before anything else and at every start. Later revisions are above
/// `revision_floor`, so that watchers notice when earlier state was lost.
struct configure {
  registry_options options{};
  std::uint64_t revision_floor = 0;

  TROUPE_FIELDS(configure, options, revision_floor);
};

using event = std::variant<put_records, heartbeat, verdict, forget, report_outcome, configure>;

// -- effects: what the caller of step() must carry out ----------------------------------

/// Answer `id` with how its records were merged.
using put_done = answered<put_report>;

/// Answer `id` with the state of the node.
using owner_done = answered<owner_view>;

/// Answer `id` with the health of the record.
using health_done = answered<health_view>;

/// `holder` has a newer claim to the name of `loser`. If `loser` is an agent of this node, it
/// stops receiving at once and gets name_taken.
struct name_lost {
  record_key loser{};
  std::string holder{};

  friend bool operator==(const name_lost&, const name_lost&) = default;

  TROUPE_FIELDS(name_lost, loser, holder);
};

/// Ping it and report the outcome. May be skipped: the record shows healthy again anyway after
/// registry_options::unhealthy_for.
struct check_health {
  record_key key{};

  friend bool operator==(const check_health&, const check_health&) = default;

  TROUPE_FIELDS(check_health, key);
};

using troupe::refused;

using effect = std::variant<put_done, owner_done, health_done, refused, name_lost, check_health>;

using effects = std::vector<effect>;

// -- snapshot --------------------------------------------------------------------------

/// A node. Spans are as of the last call.
struct saved_owner {
  std::string owner{};
  std::uint64_t boot = 0;
  /// Records of this boot that the table does not have are stale up to this version.
  std::uint64_t floor = 0;
  record_status verdict = record_status::active;
  duration silent_for{};
  std::optional<duration> disconnected_for{};

  friend bool operator==(const saved_owner&, const saved_owner&) = default;

  TROUPE_FIELDS(saved_owner, owner, boot, floor, verdict, silent_for, disconnected_for);
};

/// A record, also a removed one. Spans are as of the last call.
struct saved_record {
  record value{};
  std::uint32_t failures = 0;
  bool healthy = true;
  /// If unhealthy: time until it shows healthy again, and until its next check.
  std::optional<duration> chance_in{};
  std::optional<duration> check_in{};
  /// Time since it was removed, if it was.
  std::optional<duration> gone_for{};

  friend bool operator==(const saved_record&, const saved_record&) = default;

  TROUPE_FIELDS(saved_record, value, failures, healthy, chance_in, check_in, gone_for);
};

/// Everything a table needs to continue elsewhere.
struct table_snapshot {
  registry_options options{};
  std::uint64_t revision = 0;
  std::vector<saved_owner> owners{};
  std::vector<saved_record> records{};
  /// The last changes, up to `revision` without a gap.
  std::vector<change> changes{};

  friend bool operator==(const table_snapshot&, const table_snapshot&) = default;

  TROUPE_FIELDS(table_snapshot, options, revision, owners, records, changes);
};

} // namespace troupe::registry
