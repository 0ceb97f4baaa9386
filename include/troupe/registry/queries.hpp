#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/as_text.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/record.hpp"

/// Queries to a record_table. Answers are as of its last call.
namespace troupe::registry {

// -- look up -------------------------------------------------------------------------

/// A record with its effective state.
struct record_view {
  record value{};
  /// Liveness of its node: active or disconnected.
  record_status liveness = record_status::active;
  /// The worst of `liveness`, its own status and the status of its node.
  record_status status = record_status::active;
  bool healthy = true;
  /// For how long its node has been disconnected, as of the last call; zero while it is not, and in
  /// changes.
  duration unseen_for{};

  friend bool operator==(const record_view&, const record_view&) = default;

  TROUPE_FIELDS(record_view, value, liveness, status, healthy, unseen_for);
};

struct record_found {
  std::optional<record_view> found{};

  friend bool operator==(const record_found&, const record_found&) = default;

  TROUPE_FIELDS(record_found, found);
};

/// Asks for a record by kind and name, and by owner if one is given. Of several, returns the
/// best by token, status, health, then owner.
struct get_record {
  using result = record_found;

  record_kind kind = record_kind::agent;
  std::string name{};
  node_id owner{};

  template <class Inspector>
  friend bool inspect(Inspector& f, get_record& x) {
    as_text written{x.owner};
    return f.object(x).fields(f.field("kind", x.kind), f.field("name", x.name),
                              f.field("owner", written));
  }
};

/// One page of records, in the order of their keys.
struct found_records {
  std::vector<record_view> records{};
  /// There are more records: ask again with `after` set to the last key.
  bool more = false;

  friend bool operator==(const found_records&, const found_records&) = default;

  TROUPE_FIELDS(found_records, records, more);
};

/// Asks for the records that meet every given condition. A page has at most `limit` records,
/// at most 1,000, and about 1 MiB.
struct find_records {
  using result = found_records;

  std::optional<record_kind> kind{};
  std::string name{};
  node_id owner{};
  /// The record has all of them.
  std::vector<std::string> capabilities{};
  std::string group{};
  /// The record has all these keys, with exactly these values.
  std::map<std::string, std::string> metadata{};
  /// The record has one of them; active if the list is empty.
  std::vector<record_status> statuses{};
  bool unhealthy_too = false;
  std::optional<record_key> after{};
  std::uint32_t limit = 100;

  template <class Inspector>
  friend bool inspect(Inspector& f, find_records& x) {
    as_text written{x.owner};
    return f.object(x).fields(f.field("kind", x.kind), f.field("name", x.name),
                              f.field("owner", written), f.field("capabilities", x.capabilities),
                              f.field("group", x.group), f.field("metadata", x.metadata),
                              f.field("statuses", x.statuses),
                              f.field("unhealthy_too", x.unhealthy_too), f.field("after", x.after),
                              f.field("limit", x.limit));
  }
};

/// Every status, for find_records::statuses.
inline std::vector<record_status> all_statuses() {
  return {record_status::active, record_status::maintenance, record_status::inactive,
          record_status::disconnected};
}

/// State of a node.
struct owner_view {
  node_id owner{};
  /// The highest boot seen; zero if the node is unknown.
  std::uint64_t boot = 0;
  /// Membership's verdict: active or disconnected.
  record_status liveness = record_status::active;
  /// For how long it has been disconnected, as of the last call of the table.
  duration unseen_for{};
  /// Records that are not removed.
  std::uint32_t records = 0;

  friend bool operator==(const owner_view&, const owner_view&) = default;

  template <class Inspector>
  friend bool inspect(Inspector& f, owner_view& x) {
    as_text written{x.owner};
    return f.object(x).fields(f.field("owner", written), f.field("boot", x.boot),
                              f.field("liveness", x.liveness), f.field("unseen_for", x.unseen_for),
                              f.field("records", x.records));
  }
};

/// Asks for the state of a node.
struct find_owner {
  using result = owner_view;

  node_id owner{};

  template <class Inspector>
  friend bool inspect(Inspector& f, find_owner& x) {
    as_text written{x.owner};
    return f.object(x).fields(f.field("owner", written));
  }
};

// -- count ---------------------------------------------------------------------------

struct status_counts {
  std::uint32_t active = 0;
  std::uint32_t maintenance = 0;
  std::uint32_t inactive = 0;
  std::uint32_t disconnected = 0;

  friend bool operator==(const status_counts&, const status_counts&) = default;

  TROUPE_FIELDS(status_counts, active, maintenance, inactive, disconnected);
};

struct registry_counts {
  status_counts nodes{};
  status_counts agents{};
  status_counts services{};
  std::uint32_t unhealthy = 0;
  /// Removed records that are still kept.
  std::uint32_t removed = 0;
  /// Nodes with a record since they were forgotten last.
  std::uint32_t owners = 0;
  /// Records for each capability, whatever their status; the first 1,000 by name.
  std::map<std::string, std::uint32_t> by_capability{};
  std::uint64_t revision = 0;

  friend bool operator==(const registry_counts&, const registry_counts&) = default;

  TROUPE_FIELDS(registry_counts, nodes, agents, services, unhealthy, removed, owners, by_capability,
                revision);
};

struct count_records {
  using result = registry_counts;

  TROUPE_FIELDS(count_records);
};

// -- watch ---------------------------------------------------------------------------

/// The numbers go over the wire: append at the end.
enum class change_kind : std::uint8_t {
  added = 0,
  updated = 1,
  /// Its owner removed it.
  removed = 2,
  /// Its node started again without it, or was forgotten.
  lost = 3,
  /// Another node has a newer claim to its name, which hides it. It may show again later, or be
  /// removed or lost, even if it never showed.
  taken = 4,
};

inline constexpr std::array<std::string_view, 5> change_kind_names{"added", "updated", "removed",
                                                                   "lost", "taken"};

constexpr std::string_view name_of(change_kind kind) noexcept {
  auto index = static_cast<std::size_t>(kind);
  return index < change_kind_names.size() ? change_kind_names[index] : "unknown";
}

/// Returns whether the record is visible after the change.
constexpr bool is_shown(change_kind kind) {
  return kind == change_kind::added || kind == change_kind::updated;
}

struct change {
  std::uint64_t revision = 0;
  change_kind kind = change_kind::added;
  /// The record as it shows now, or as it was last known if it no longer shows.
  record_view what{};

  friend bool operator==(const change&, const change&) = default;

  TROUPE_FIELDS(change, revision, kind, what);
};

struct record_changes {
  /// Ask again with this as `after`.
  std::uint64_t revision = 0;
  /// A snapshot begins here: drop the records that you have.
  bool complete = false;
  std::vector<change> changes{};
  /// The snapshot is not complete: records up to this key have come.
  std::optional<record_key> rest{};
  /// More changes are ready: ask again at once.
  bool more = false;

  friend bool operator==(const record_changes&, const record_changes&) = default;

  TROUPE_FIELDS(record_changes, revision, complete, changes, rest, more);
};

/// Asks for the changes after revision `after`; zero asks for a snapshot first. Waits up to
/// `wait` while there are none. A watcher that keeps asking with next() has a copy of the table:
/// a snapshot, then every change in order without a gap. Only one that falls more than
/// registry_options::max_changes behind gets a snapshot again.
///
/// A snapshot comes in pages in the order of keys, each as the records show when the page is made.
/// Between them come the changes of records already sent. A change may come twice; the last one of
/// a key counts. After the last page of a snapshot the watcher has the table as of that page's
/// revision. A page has at most `limit` changes, at most 1,000, and about 1 MiB.
struct watch_records {
  using result = record_changes;

  std::uint64_t after = 0;
  std::optional<record_key> rest{};
  duration wait{};
  std::uint32_t limit = 1'000; // fewer end a snapshot later, or never if changes come faster

  /// Returns the question that follows on `last`.
  [[nodiscard]] watch_records next(const record_changes& last) const {
    return {last.revision, last.rest, wait, limit};
  }

  TROUPE_FIELDS(watch_records, after, rest, wait, limit);
};

} // namespace troupe::registry
