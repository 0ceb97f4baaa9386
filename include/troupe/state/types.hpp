#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/answers.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/state/entry.hpp"
#include "troupe/state/queries.hpp"
#include "troupe/state/sibling_set.hpp"

/// Vocabulary of the state_table: what goes in and what comes out.
namespace troupe::state {

// -- configuration -------------------------------------------------------------------

/// Bounds of one table. Whatever lies beyond them is refused.
struct state_options {
  /// Keys with a value, about 700 bytes each beside key and value.
  std::uint32_t max_keys = 100'000;
  /// Of one key.
  std::uint32_t max_key_bytes = 512;
  std::uint32_t max_value_bytes = 1'048'576; // larger ones are refused: keep them elsewhere
  /// Of all keys and values together.
  std::uint64_t max_bytes = 268'435'456;
  /// Concurrent values of one key.
  std::uint32_t max_siblings = 16;
  duration max_ttl = std::chrono::hours{24} * 3'660; // about ten years: longer is for good
  /// Changes kept for watchers. One that is further behind is told how each key that changed
  /// meanwhile stands, not each change. As many removed keys are remembered; a watcher that
  /// has missed more removals begins anew.
  std::uint32_t max_changes = 10'000;
  /// Bytes of keys and values in those changes, and of the removed keys.
  std::uint64_t max_change_bytes = 524'288; // every snapshot of the table has them
  /// What this replica signs its writes with, 1 to 64 bytes of UTF-8. Taken once, at the
  /// birth of the table; empty: a number made then.
  std::string replica{};

  friend bool operator==(const state_options&, const state_options&) = default;
};

// -- events: what a caller may ask -----------------------------------------------------

/// How a key stands after a write.
struct written {
  entry_key key;
  /// Of the write; above all that this table gave before.
  std::uint64_t version = 0;
  /// What the writer has seen now: the context of its next write. Not among it are the
  /// siblings of others that it has not read.
  vector_clock clock;
  /// Entries that stand there now.
  std::uint32_t siblings = 0;
  wall_time written_at{};
  std::optional<wall_time> expires_at;

  friend bool operator==(const written&, const written&) = default;
};

/// Puts a value under a key.
///
/// With a context, the writer says what of the key it had seen (the clock of what it read).
/// An mv_register then keeps beside the new value whatever is not in it; without one, all.
/// On the other registers the new value wins in any case, but a conflict is counted. At
/// level strong the put is refused if the key was written or removed, or its value expired,
/// since the context was read, or if the state was restored from a backup since.
struct put {
  using result = written;

  entry_key key;
  bytes value{};
  /// Refused with conflict unless this is the version of the key; zero: nothing is there.
  std::optional<std::uint64_t> expect_version{};
  /// How long it stays, by the calendar. None: for good.
  std::optional<duration> ttl{};
  std::optional<vector_clock> context{};
  /// SHA-256 of the value: refused with damaged unless it arrived as such.
  std::optional<digest> content{};

  friend bool operator==(const put&, const put&) = default;
};

/// Removes what is under a key; with a context, what of it the caller had seen. At level strong
/// the context is judged as that of a put.
struct remove_key {
  using result = written;

  entry_key key;
  std::optional<std::uint64_t> expect_version{};
  std::optional<vector_clock> context{};

  friend bool operator==(const remove_key&, const remove_key&) = default;
};

/// Entered by the host, first of all and at every start: bounds for the requests from
/// here on. Revisions and versions from here on lie above `revision_floor`. A floor above the
/// revision of the table begins a new era, as after a restore from a backup: watchers of before
/// begin anew, and contexts of before are refused at level strong.
struct configure {
  state_options options;
  std::uint64_t revision_floor = 0;
};

using event = std::variant<put, remove_key, wall, configure>;

// -- effects: what the caller of step() must carry out ----------------------------------

/// Answer `id` with how the key stands now.
using accepted = answered<written>;

/// The time of an entry ran out. Nobody waits for this; watchers see it.
struct expired {
  entry_key key;
  std::uint64_t version = 0;

  friend bool operator==(const expired&, const expired&) = default;
};

using troupe::refused;

using effect = std::variant<accepted, refused, expired>;

using effects = std::vector<effect>;

// -- snapshot --------------------------------------------------------------------------

/// What is known of a key, and since when.
struct saved_key {
  entry_key key;
  sibling_set set;
  /// Of its last change.
  std::uint64_t revision = 0;

  friend bool operator==(const saved_key&, const saved_key&) = default;
};

/// A saved_key that does not change any more. A table and its snapshots share it, so that a
/// snapshot of many keys is made at once, and can be written down by another thread while the
/// table goes on. It compares, and is written and read, as what it holds.
class frozen_key {
public:
  /// For memory_budget: what they share, and its count of owners.
  static constexpr std::size_t bytes_elsewhere = sizeof(saved_key) + 2 * sizeof(void*);

  /// Nothing is known of it. These share one, as there is one for each key that is read.
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

/// What a level has seen since its birth; the rest is counted anew.
struct saved_history {
  std::uint64_t puts = 0;
  std::uint64_t removals = 0;
  std::uint64_t expiries = 0;
  std::uint64_t conflicts = 0;

  friend bool operator==(const saved_history&, const saved_history&) = default;
};

/// All that a table needs to go on elsewhere.
struct table_snapshot {
  state_options options;
  std::string replica;
  std::uint64_t revision = 0;
  std::vector<frozen_key> keys;
  /// All changes after this revision are kept.
  std::uint64_t complete_after = 0;
  std::vector<change> changes;
  /// By level.
  std::array<saved_history, 3> history{};
  /// The calendar as it was told last, how long ago, and as it was last written down.
  wall_time told{};
  duration told_ago{};
  wall_time latest{};
  /// The revision at which this era began.
  std::uint64_t era = 0;
  /// Removals up to this revision may be forgotten.
  std::uint64_t forgotten_up_to = 0;

  friend bool operator==(const table_snapshot&, const table_snapshot&) = default;
};

// -- inspection ------------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, state_options& x) {
  return f.object(x).fields(
    f.field("max_keys", x.max_keys), f.field("max_key_bytes", x.max_key_bytes),
    f.field("max_value_bytes", x.max_value_bytes), f.field("max_bytes", x.max_bytes),
    f.field("max_siblings", x.max_siblings), f.field("max_ttl", x.max_ttl),
    f.field("max_changes", x.max_changes), f.field("max_change_bytes", x.max_change_bytes),
    f.field("replica", x.replica));
}

template <class Inspector>
bool inspect(Inspector& f, written& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("version", x.version),
                            f.field("clock", x.clock), f.field("siblings", x.siblings),
                            f.field("written_at", x.written_at),
                            f.field("expires_at", x.expires_at));
}

template <class Inspector>
bool inspect(Inspector& f, put& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("value", x.value),
                            f.field("expect_version", x.expect_version), f.field("ttl", x.ttl),
                            f.field("context", x.context), f.field("content", x.content));
}

template <class Inspector>
bool inspect(Inspector& f, remove_key& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("expect_version", x.expect_version),
                            f.field("context", x.context));
}

template <class Inspector>
bool inspect(Inspector& f, configure& x) {
  return f.object(x).fields(f.field("options", x.options),
                            f.field("revision_floor", x.revision_floor));
}

template <class Inspector>
bool inspect(Inspector& f, expired& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("version", x.version));
}

template <class Inspector>
bool inspect(Inspector& f, saved_key& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("set", x.set),
                            f.field("revision", x.revision));
}

template <class Inspector>
bool inspect(Inspector& f, frozen_key& x) {
  if constexpr (Inspector::is_loading) {
    saved_key read;
    if (!inspect(f, read))
      return false;
    x = frozen_key{std::move(read)};
    return true;
  } else {
    return inspect(f, const_cast<saved_key&>(*x)); // who writes only reads
  }
}

template <class Inspector>
bool inspect(Inspector& f, saved_history& x) {
  return f.object(x).fields(f.field("puts", x.puts), f.field("removals", x.removals),
                            f.field("expiries", x.expiries), f.field("conflicts", x.conflicts));
}

template <class Inspector>
bool inspect(Inspector& f, table_snapshot& x) {
  return f.object(x).fields(
    f.field("options", x.options), f.field("replica", x.replica), f.field("revision", x.revision),
    f.field("keys", x.keys), f.field("complete_after", x.complete_after),
    f.field("changes", x.changes), f.field("history", x.history), f.field("told", x.told),
    f.field("told_ago", x.told_ago), f.field("latest", x.latest), f.field("era", x.era),
    f.field("forgotten_up_to", x.forgotten_up_to));
}

} // namespace troupe::state
