#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/record.hpp"

/// What anybody may ask of a record_table, as of its last call.
namespace troupe::registry {

// -- look up -------------------------------------------------------------------------

/// A record as it shows.
struct record_view {
  record value{};
  /// Of its node: active, inactive or disconnected.
  record_status liveness = record_status::active;
  /// The worst of liveness, its own and its node's own status.
  record_status status = record_status::active;
  bool healthy = true;
  /// Since the last heartbeat of its node, as of the last call. Zero in changes.
  duration unseen_for{};

  friend bool operator==(const record_view&, const record_view&) = default;
};

struct record_found {
  std::optional<record_view> found{};

  friend bool operator==(const record_found&, const record_found&) = default;
};

/// Asks for a record by kind and name, and by owner if one is given. Of several the best
/// is found: by token, status, health, then owner.
struct get_record {
  using result = record_found;

  record_kind kind = record_kind::agent;
  std::string name{};
  std::string owner{};
};

/// One page of records, in the order of their keys.
struct found_records {
  std::vector<record_view> records{};
  /// There is more: ask again with `after` the last key.
  bool more = false;

  friend bool operator==(const found_records&, const found_records&) = default;
};

/// Asks for the records that meet every condition given. A page has at most `limit`
/// (and 1,000) records and about 1 MiB.
struct find_records {
  using result = found_records;

  std::optional<record_kind> kind{};
  std::string name{};
  std::string owner{};
  /// All of them.
  std::vector<std::string> capabilities{};
  std::string group{};
  /// All of them, with these very values.
  std::map<std::string, std::string> metadata{};
  /// One of them; none given: active.
  std::vector<record_status> statuses{};
  bool unhealthy_too = false;
  std::optional<record_key> after{};
  std::uint32_t limit = 100;
};

/// Every status, for find_records::statuses.
inline std::vector<record_status> all_statuses() {
  return {record_status::active, record_status::maintenance, record_status::inactive,
          record_status::disconnected};
}

/// How a node stands.
struct owner_view {
  std::string owner{};
  /// The highest heard of; zero if it never was.
  std::uint64_t boot = 0;
  /// No record of this boot is taken any more; the node has to start above it.
  bool over = false;
  /// By its silence and by membership: active, inactive or disconnected.
  record_status liveness = record_status::active;
  /// Since its last heartbeat, as of the last call of the table.
  duration unseen_for{};
  /// Records that are not removed.
  std::uint32_t records = 0;
  /// When its next heartbeat is expected.
  duration heartbeat_every{};

  friend bool operator==(const owner_view&, const owner_view&) = default;
};

/// Asks how a node stands.
struct find_owner {
  using result = owner_view;

  std::string owner{};
};

// -- count ---------------------------------------------------------------------------

struct status_counts {
  std::uint32_t active = 0;
  std::uint32_t maintenance = 0;
  std::uint32_t inactive = 0;
  std::uint32_t disconnected = 0;

  friend bool operator==(const status_counts&, const status_counts&) = default;
};

struct registry_counts {
  status_counts nodes{};
  status_counts agents{};
  status_counts services{};
  std::uint32_t unhealthy = 0;
  /// Removed, but not forgotten yet.
  std::uint32_t removed = 0;
  /// Nodes ever heard of.
  std::uint32_t owners = 0;
  /// Records for each capability, whatever their status; the first 1,000 by name.
  std::map<std::string, std::uint32_t> by_capability{};
  std::uint64_t revision = 0;

  friend bool operator==(const registry_counts&, const registry_counts&) = default;
};

struct count_records {
  using result = registry_counts;
};

// -- watch ---------------------------------------------------------------------------

/// Numbers go over the wire: append at the end.
enum class change_kind : std::uint8_t {
  added = 0,
  updated = 1,
  /// Its owner took it back.
  removed = 2,
  /// Its node started again without it, or was forgotten.
  lost = 3,
  /// Another node has a newer claim to its name. It may show again or be removed or lost,
  /// also if it never showed.
  taken = 4,
};

inline constexpr std::array<std::string_view, 5> change_kind_names{"added", "updated", "removed",
                                                                   "lost", "taken"};

constexpr std::string_view name_of(change_kind kind) noexcept {
  auto index = static_cast<std::size_t>(kind);
  return index < change_kind_names.size() ? change_kind_names[index] : "unknown";
}

/// Returns whether the record shows from then on.
constexpr bool is_shown(change_kind kind) {
  return kind == change_kind::added || kind == change_kind::updated;
}

struct change {
  std::uint64_t revision = 0;
  change_kind kind = change_kind::added;
  /// As it shows now or, if it does not, as it was last known.
  record_view what{};

  friend bool operator==(const change&, const change&) = default;
};

struct record_changes {
  /// Ask again after this.
  std::uint64_t revision = 0;
  /// A snapshot begins here: drop what you have.
  bool complete = false;
  std::vector<change> changes{};
  /// The snapshot goes on: the records up to here have come.
  std::optional<record_key> rest{};
  /// More can be had at once.
  bool more = false;

  friend bool operator==(const record_changes&, const record_changes&) = default;
};

/// Asks for what changed after revision `after`; zero asks for a snapshot first. Waits up
/// to `wait` while there is nothing. Whoever asks again and again, as next() says, has
/// the table: a snapshot, then every change in order without a gap. Only a watcher that falls
/// more than registry_options::max_changes behind begins anew with a snapshot.
///
/// A snapshot comes in pages by the order of keys, as they show when the page is made, between
/// them what changed of the records that have come; a change may come twice: the last word on a
/// key counts. It ends with a page after which the watcher has the table as of that page's
/// revision. A page has at most `limit` (and 1,000) changes and about 1 MiB.
struct watch_records {
  using result = record_changes;

  std::uint64_t after = 0;
  std::optional<record_key> rest{};
  duration wait{};
  std::uint32_t limit = 1'000; // fewer end a snapshot later, or not while more changes

  /// See indexed_query: every change concerns it.
  [[nodiscard]] static interest about() {
    return {};
  }

  [[nodiscard]] watch_records later(std::uint64_t revision) const {
    return {std::max(after, revision), rest, wait, limit};
  }

  /// Returns the question that follows on `last`.
  [[nodiscard]] watch_records next(const record_changes& last) const {
    return {last.revision, last.rest, wait, limit};
  }
};

// -- inspection ------------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, owner_view& x) {
  return f.object(x).fields(f.field("owner", x.owner), f.field("boot", x.boot),
                            f.field("over", x.over), f.field("liveness", x.liveness),
                            f.field("unseen_for", x.unseen_for), f.field("records", x.records),
                            f.field("heartbeat_every", x.heartbeat_every));
}

template <class Inspector>
bool inspect(Inspector& f, record_view& x) {
  return f.object(x).fields(f.field("value", x.value), f.field("liveness", x.liveness),
                            f.field("status", x.status), f.field("healthy", x.healthy),
                            f.field("unseen_for", x.unseen_for));
}

template <class Inspector>
bool inspect(Inspector& f, record_found& x) {
  return f.object(x).fields(f.field("found", x.found));
}

template <class Inspector>
bool inspect(Inspector& f, get_record& x) {
  return f.object(x).fields(f.field("kind", x.kind), f.field("name", x.name),
                            f.field("owner", x.owner));
}

template <class Inspector>
bool inspect(Inspector& f, found_records& x) {
  return f.object(x).fields(f.field("records", x.records), f.field("more", x.more));
}

template <class Inspector>
bool inspect(Inspector& f, find_records& x) {
  return f.object(x).fields(f.field("kind", x.kind), f.field("name", x.name),
                            f.field("owner", x.owner), f.field("capabilities", x.capabilities),
                            f.field("group", x.group), f.field("metadata", x.metadata),
                            f.field("statuses", x.statuses),
                            f.field("unhealthy_too", x.unhealthy_too), f.field("after", x.after),
                            f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, find_owner& x) {
  return f.object(x).fields(f.field("owner", x.owner));
}

template <class Inspector>
bool inspect(Inspector& f, status_counts& x) {
  return f.object(x).fields(f.field("active", x.active), f.field("maintenance", x.maintenance),
                            f.field("inactive", x.inactive),
                            f.field("disconnected", x.disconnected));
}

template <class Inspector>
bool inspect(Inspector& f, registry_counts& x) {
  return f.object(x).fields(
    f.field("nodes", x.nodes), f.field("agents", x.agents), f.field("services", x.services),
    f.field("unhealthy", x.unhealthy), f.field("removed", x.removed), f.field("owners", x.owners),
    f.field("by_capability", x.by_capability), f.field("revision", x.revision));
}

template <class Inspector>
bool inspect(Inspector& f, count_records& x) {
  return f.object(x).fields();
}

template <class Inspector>
bool inspect(Inspector& f, change& x) {
  return f.object(x).fields(f.field("revision", x.revision), f.field("kind", x.kind),
                            f.field("what", x.what));
}

template <class Inspector>
bool inspect(Inspector& f, record_changes& x) {
  return f.object(x).fields(f.field("revision", x.revision), f.field("complete", x.complete),
                            f.field("changes", x.changes), f.field("rest", x.rest),
                            f.field("more", x.more));
}

template <class Inspector>
bool inspect(Inspector& f, watch_records& x) {
  return f.object(x).fields(f.field("after", x.after), f.field("rest", x.rest),
                            f.field("wait", x.wait), f.field("limit", x.limit));
}

} // namespace troupe::registry
