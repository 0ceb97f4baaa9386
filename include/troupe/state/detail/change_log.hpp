#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "troupe/core/page_room.hpp"
#include "troupe/state/types.hpp"

namespace troupe::state::detail {

/// Returns the bytes that an entry counts towards the bounds.
inline std::size_t size_of(const entry& value) {
  return value.key.key.size() + value.value.size();
}

inline std::size_t size_of(const std::vector<entry>& entries) {
  std::size_t sum = 0;
  for (auto& each : entries)
    sum += size_of(each);
  return sum;
}

/// The last changes of a table, bounded by number and bytes.
class change_log {
public:
  [[nodiscard]] std::uint64_t revision() const {
    return revision_;
  }

  [[nodiscard]] std::size_t size() const {
    return changes_.size();
  }

  /// Returns the revision of the next change.
  std::uint64_t advance() {
    return ++revision_;
  }

  /// @pre what.revision is the last result of advance()
  void note(change what) {
    assert(what.revision == revision_);
    bytes_ += bytes_of(what);
    changes_.push_back(std::move(what));
  }

  /// Later revisions are above `floor`.
  /// @pre floor > revision()
  void begin_above(std::uint64_t floor) {
    keep_last(0, 0);
    revision_ = complete_after_ = floor;
  }

  void keep_last(std::size_t most, std::uint64_t most_bytes) {
    while (changes_.size() > most || bytes_ > most_bytes) {
      bytes_ -= bytes_of(changes_.front());
      complete_after_ = changes_.front().revision;
      changes_.pop_front();
    }
  }

  /// Returns whether every change after `revision` is still here.
  [[nodiscard]] bool reaches_back_to(std::uint64_t revision) const {
    return revision >= complete_after_ && revision <= revision_;
  }

  /// Returns the changes in `scope` after revision `after`.
  /// @pre reaches_back_to(after)
  [[nodiscard]] state_changes page(std::uint64_t after, const key_scope& scope,
                                   page_room room) const {
    assert(reaches_back_to(after));
    state_changes result;
    result.revision = after;
    for (auto each = behind(after); each != changes_.end() && room.left(); ++each) {
      result.revision = each->revision;
      if (!contains(scope, each->key))
        continue;
      room.take(bytes_of(*each));
      result.changes.push_back(*each);
    }
    result.more = result.revision != revision_;
    return result;
  }

  // -- snapshot --------------------------------------------------------------------

  void save(table_snapshot& to) const {
    to.revision = revision_;
    to.complete_after = complete_after_;
    to.changes.assign(changes_.begin(), changes_.end());
  }

  void restore(const table_snapshot& saved) {
    revision_ = saved.revision;
    complete_after_ = saved.complete_after;
    changes_.assign(saved.changes.begin(), saved.changes.end());
    bytes_ = 0;
    for (auto& each : changes_)
      bytes_ += bytes_of(each);
  }

private:
  static std::uint64_t bytes_of(const change& what) {
    return what.key.key.size() + size_of(what.entries);
  }

  [[nodiscard]] std::deque<change>::const_iterator behind(std::uint64_t after) const {
    return std::ranges::upper_bound(changes_, after, {}, &change::revision);
  }

  std::deque<change> changes_;
  std::uint64_t bytes_ = 0;
  std::uint64_t revision_ = 0;
  std::uint64_t complete_after_ = 0;
};

} // namespace troupe::state::detail
