#pragma once

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
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record.hpp"

/// Vocabulary of the record_table: what goes in and what comes out.
namespace troupe::registry {

// -- configuration -------------------------------------------------------------------

/// Bounds and spans of one table. A span of zero means never.
struct registry_options {
  /// How often a node says that it lives. Told to nodes; no rule of the table's own.
  duration heartbeat_every = std::chrono::seconds{10};
  /// Silence after which a node shows inactive: three heartbeats, so that two may be lost.
  duration inactive_after = std::chrono::seconds{30};
  /// Silence after which a node shows disconnected.
  duration disconnected_after = std::chrono::seconds{90};
  /// What is removed, or disconnected without a break, is forgotten after so long.
  duration retention = std::chrono::hours{24};
  /// Calls in a row that found nobody, as report_outcome tells, before a record shows unhealthy.
  /// Calls through routers are not told.
  std::uint32_t unhealthy_after = 3;
  /// After so long it gets another chance: the next failure makes it unhealthy again.
  duration unhealthy_for = std::chrono::minutes{1};
  /// How often the host of the cluster pings those that are unhealthy, 100 agents at a time.
  duration check_every = std::chrono::seconds{10};
  /// Records that are not removed, about 1,300 bytes each with what finds them.
  std::uint32_t max_records = 100'000;
  /// Nodes ever heard of: their boots are kept for good, about 200 bytes each.
  std::uint32_t max_owners = 100'000;
  /// Removed records, kept so that late news of them are known as such. Beyond them the
  /// oldest is forgotten early.
  std::uint32_t max_removed = 10'000;
  /// Changes kept for watchers; those that are further behind get a snapshot.
  std::uint32_t max_changes = 10'000;
  /// Records in one put_records.
  std::uint32_t max_batch = 1'000;
  /// All texts of one record.
  std::uint32_t max_record_bytes = 16'384;

  friend bool operator==(const registry_options&, const registry_options&) = default;

  /// For the copy on a node: the table that it follows tells who is silent and who is to
  /// be forgotten. `bounds` are that table's.
  static registry_options copy(registry_options bounds) {
    bounds.inactive_after = bounds.disconnected_after = bounds.retention = {};
    return bounds;
  }

  static registry_options copy() {
    return copy(registry_options{});
  }
};

// -- results -------------------------------------------------------------------------

/// What became of a batch.
struct put_report {
  std::uint32_t merged = 0;
  /// Known, in these very words.
  std::uint32_t known = 0;
  /// Older than what is known: late news or, if find_owner says so, of a boot that is
  /// over; the node then goes above it (own_records::rise_above).
  std::uint32_t stale = 0;
  /// As new as what is known, and different: two nodes live under one id.
  std::uint32_t clashing = 0;

  friend bool operator==(const put_report&, const put_report&) = default;
};

struct health_view {
  record_key key{};
  bool healthy = true;
  /// In a row.
  std::uint32_t failures = 0;

  friend bool operator==(const health_view&, const health_view&) = default;
};

// -- events: what a caller may ask -----------------------------------------------------

/// Merges records, whoever says them; a node puts all of its own at its start and each
/// that changed. All of them or none.
struct put_records {
  using result = put_report;

  std::vector<record> records{};
};

/// A node says that it lives. Clears what membership said of it.
struct heartbeat {
  using result = owner_view;

  std::string owner{};
  std::uint64_t boot = 0;
};

/// What membership, or the table that this one follows, says of a node: active, inactive
/// or disconnected. Never shown better than that.
struct verdict {
  using result = owner_view;

  std::string owner{};
  std::uint64_t boot = 0;
  record_status liveness = record_status::active;
};

/// Drops the records of a node up to `boot`, which are not taken again.
struct forget {
  using result = owner_view;

  std::string owner{};
  std::uint64_t boot = 0;
};

/// How a call to an agent or service ended. Numbers go over the wire.
enum class call_outcome : std::uint8_t {
  /// It answered, or passed a check: healthy at once.
  succeeded = 0,
  /// It answered with an error of its own, which says nothing of its health.
  failed = 1,
  unreachable = 2,
  timed_out = 3,
  /// Found unhealthy by a check, or by hand: at once.
  condemned = 4,
};

inline constexpr std::array<std::string_view, 5> call_outcome_names{
  "succeeded", "failed", "unreachable", "timed_out", "condemned"};

constexpr std::string_view name_of(call_outcome outcome) noexcept {
  auto index = static_cast<std::size_t>(outcome);
  return index < call_outcome_names.size() ? call_outcome_names[index] : "unknown";
}

/// Callers do not send this by themselves: a record shows unhealthy by the word of whoever
/// sends it.
struct report_outcome {
  using result = health_view;

  record_key key{};
  call_outcome outcome = call_outcome::succeeded;
};

/// Entered by the host, first of all and at every start. Revisions from here on lie
/// above `revision_floor`, so that a watcher of a lost past finds out.
struct configure {
  registry_options options{};
  std::uint64_t revision_floor = 0;
};

using event = std::variant<put_records, heartbeat, verdict, forget, report_outcome, configure>;

// -- effects: what the caller of step() must carry out ----------------------------------

/// Answer `id` with what became of its records.
using put_done = answered<put_report>;

/// Answer `id` with how the node stands now.
using owner_done = answered<owner_view>;

/// Answer `id` with how healthy the record is now.
using health_done = answered<health_view>;

/// `holder` has a newer claim to the name of `loser`. If that is an agent of this node it
/// stops receiving at once and is told name_taken.
struct name_lost {
  record_key loser{};
  std::string holder{};

  friend bool operator==(const name_lost&, const name_lost&) = default;
};

/// Ping it and report the outcome. Harmless to leave out: it gets another chance anyway.
struct check_health {
  record_key key{};

  friend bool operator==(const check_health&, const check_health&) = default;
};

using troupe::refused;

using effect = std::variant<put_done, owner_done, health_done, refused, name_lost, check_health>;

using effects = std::vector<effect>;

// -- snapshot --------------------------------------------------------------------------

/// A node, with its spans as of the last call.
struct saved_owner {
  std::string owner{};
  std::uint64_t boot = 0;
  /// Unknown records of this boot are stale up to this version.
  std::uint64_t floor = 0;
  record_status verdict = record_status::active;
  duration silent_for{};
  std::optional<duration> disconnected_for{};

  friend bool operator==(const saved_owner&, const saved_owner&) = default;
};

/// A record, removed or not, with its spans as of the last call.
struct saved_record {
  record value{};
  std::uint32_t failures = 0;
  bool healthy = true;
  /// If unhealthy: until it gets another chance, until it is to be checked.
  std::optional<duration> chance_in{};
  std::optional<duration> check_in{};
  /// If removed.
  std::optional<duration> gone_for{};

  friend bool operator==(const saved_record&, const saved_record&) = default;
};

/// All that a table needs to go on elsewhere.
struct table_snapshot {
  registry_options options{};
  std::uint64_t revision = 0;
  std::vector<saved_owner> owners{};
  std::vector<saved_record> records{};
  /// The last ones, up to `revision` without a gap.
  std::vector<change> changes{};

  friend bool operator==(const table_snapshot&, const table_snapshot&) = default;
};

// -- inspection ------------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, registry_options& x) {
  return f.object(x).fields(
    f.field("heartbeat_every", x.heartbeat_every), f.field("inactive_after", x.inactive_after),
    f.field("disconnected_after", x.disconnected_after), f.field("retention", x.retention),
    f.field("unhealthy_after", x.unhealthy_after), f.field("unhealthy_for", x.unhealthy_for),
    f.field("check_every", x.check_every), f.field("max_records", x.max_records),
    f.field("max_owners", x.max_owners), f.field("max_removed", x.max_removed),
    f.field("max_changes", x.max_changes), f.field("max_batch", x.max_batch),
    f.field("max_record_bytes", x.max_record_bytes));
}

template <class Inspector>
bool inspect(Inspector& f, put_report& x) {
  return f.object(x).fields(f.field("merged", x.merged), f.field("known", x.known),
                            f.field("stale", x.stale), f.field("clashing", x.clashing));
}

template <class Inspector>
bool inspect(Inspector& f, health_view& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("healthy", x.healthy),
                            f.field("failures", x.failures));
}

template <class Inspector>
bool inspect(Inspector& f, put_records& x) {
  return f.object(x).fields(f.field("records", x.records));
}

template <class Inspector>
bool inspect(Inspector& f, heartbeat& x) {
  return f.object(x).fields(f.field("owner", x.owner), f.field("boot", x.boot));
}

template <class Inspector>
bool inspect(Inspector& f, verdict& x) {
  return f.object(x).fields(f.field("owner", x.owner), f.field("boot", x.boot),
                            f.field("liveness", x.liveness));
}

template <class Inspector>
bool inspect(Inspector& f, forget& x) {
  return f.object(x).fields(f.field("owner", x.owner), f.field("boot", x.boot));
}

template <class Inspector>
bool inspect(Inspector& f, report_outcome& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("outcome", x.outcome));
}

template <class Inspector>
bool inspect(Inspector& f, configure& x) {
  return f.object(x).fields(f.field("options", x.options),
                            f.field("revision_floor", x.revision_floor));
}

template <class Inspector>
bool inspect(Inspector& f, name_lost& x) {
  return f.object(x).fields(f.field("loser", x.loser), f.field("holder", x.holder));
}

template <class Inspector>
bool inspect(Inspector& f, check_health& x) {
  return f.object(x).fields(f.field("key", x.key));
}

template <class Inspector>
bool inspect(Inspector& f, saved_owner& x) {
  return f.object(x).fields(f.field("owner", x.owner), f.field("boot", x.boot),
                            f.field("floor", x.floor), f.field("verdict", x.verdict),
                            f.field("silent_for", x.silent_for),
                            f.field("disconnected_for", x.disconnected_for));
}

template <class Inspector>
bool inspect(Inspector& f, saved_record& x) {
  return f.object(x).fields(f.field("value", x.value), f.field("failures", x.failures),
                            f.field("healthy", x.healthy), f.field("chance_in", x.chance_in),
                            f.field("check_in", x.check_in), f.field("gone_for", x.gone_for));
}

template <class Inspector>
bool inspect(Inspector& f, table_snapshot& x) {
  return f.object(x).fields(f.field("options", x.options), f.field("revision", x.revision),
                            f.field("owners", x.owners), f.field("records", x.records),
                            f.field("changes", x.changes));
}

} // namespace troupe::registry
