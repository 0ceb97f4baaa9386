#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/answers.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/state/commands.hpp"
#include "troupe/state/entry.hpp"
#include "troupe/state/queries.hpp"
#include "troupe/state/sibling_set.hpp"

/// Vocabulary of the state_table: what goes in and what comes out.
namespace troupe::state {

// -- events ----------------------------------------------------------------------------

/// The host enters this first, at every start: it sets the bounds for the requests that follow.
/// Later revisions and versions are above `revision_floor`. A floor above the revision of the
/// table begins a new era, as after a restore from a backup: watchers of the old era start again
/// with a snapshot, and contexts of the old era are refused at level strong.
struct configure {
  state_options options;
  std::uint64_t revision_floor = 0;

  TROUPE_FIELDS(configure, options, revision_floor);
};

using event = std::variant<put, remove_key, wall, configure>;

// -- effects: what the caller of step() must carry out ----------------------------------

/// Answer `id` with the state of the key after the write.
using accepted = answered<written>;

/// An entry expired. This answers no request; watchers see it.
struct expired {
  entry_key key;
  std::uint64_t version = 0;

  friend bool operator==(const expired&, const expired&) = default;

  TROUPE_FIELDS(expired, key, version);
};

using troupe::refused;

using effect = std::variant<accepted, refused, expired>;

using effects = std::vector<effect>;

// -- snapshot --------------------------------------------------------------------------

/// What is known of a key.
struct saved_key {
  entry_key key;
  sibling_set set;
  /// Revision of its last change.
  std::uint64_t revision = 0;

  friend bool operator==(const saved_key&, const saved_key&) = default;

  TROUPE_FIELDS(saved_key, key, set, revision);
};

/// An immutable saved_key. A table and its snapshots share it, so that a snapshot of many keys is
/// cheap and another thread can encode it while the table changes. Compares, and is encoded, like
/// the saved_key in it.
class frozen_key {
public:
  /// For memory_budget: the shared object and its reference count.
  static constexpr std::size_t bytes_elsewhere = sizeof(saved_key) + 2 * sizeof(void*);

  /// Empty. All empty ones share one object, as reading a snapshot makes one for each key.
  frozen_key() : what_(nothing()) {}

  explicit frozen_key(saved_key what) : what_(std::make_shared<const saved_key>(std::move(what))) {}

  const saved_key& operator*() const {
    return *what_;
  }

  const saved_key* operator->() const {
    return what_.get();
  }

  friend bool operator==(const frozen_key& left, const frozen_key& right) {
    return left.what_ == right.what_ || *left == *right;
  }

private:
  static const std::shared_ptr<const saved_key>& nothing() {
    static const auto made = std::make_shared<const saved_key>();
    return made;
  }

  std::shared_ptr<const saved_key> what_;
};

/// Counts of a level since the table was created. A restore recomputes the other counts.
struct saved_history {
  std::uint64_t puts = 0;
  std::uint64_t removals = 0;
  std::uint64_t expiries = 0;
  std::uint64_t conflicts = 0;

  friend bool operator==(const saved_history&, const saved_history&) = default;

  TROUPE_FIELDS(saved_history, puts, removals, expiries, conflicts);
};

/// All that a table needs to continue elsewhere.
struct table_snapshot {
  state_options options;
  std::string replica;
  std::uint64_t revision = 0;
  std::vector<frozen_key> keys;
  /// All changes after this revision are kept.
  std::uint64_t complete_after = 0;
  std::vector<change> changes;
  /// One for each level.
  std::array<saved_history, 3> history{};
  /// The last calendar time from the host, how long ago it came, and the latest one used.
  wall_time told{};
  duration told_ago{};
  wall_time latest{};
  /// The revision at which this era began.
  std::uint64_t era = 0;
  /// Removals up to this revision may be forgotten.
  std::uint64_t forgotten_up_to = 0;

  friend bool operator==(const table_snapshot&, const table_snapshot&) = default;

  TROUPE_FIELDS(table_snapshot, options, replica, revision, keys, complete_after, changes, history,
                told, told_ago, latest, era, forgotten_up_to);
};

// -- inspection ------------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, frozen_key& x) {
  if constexpr (Inspector::is_loading) {
    saved_key read;
    if (!inspect(f, read))
      return false;
    x = frozen_key{std::move(read)};
    return true;
  } else {
    return inspect(f, const_cast<saved_key&>(*x)); // an encoder only reads it
  }
}

} // namespace troupe::state
