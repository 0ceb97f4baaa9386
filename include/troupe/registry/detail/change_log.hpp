#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "troupe/registry/detail/record_index.hpp"
#include "troupe/registry/queries.hpp"

namespace troupe::registry::detail {

/// The last changes of a table, numbered without a gap. It shares records with the table, so
/// a line takes about 100 bytes until the table replaces its record.
class change_log {
public:
  struct line {
    std::uint64_t revision;
    change_kind kind;
    std::shared_ptr<const record> what;
    appearance shows;
  };

  static change to_change(const line& from) {
    auto& [liveness, status, healthy] = from.shows;
    return {from.revision, from.kind, {*from.what, liveness, status, healthy, {}}};
  }

  [[nodiscard]] std::uint64_t revision() const {
    return revision_;
  }

  /// Later revisions are above `floor`. Watchers that know only lower ones get a snapshot.
  void begin_above(std::uint64_t floor) {
    if (floor <= revision_)
      return;
    revision_ = floor;
    lines_.clear();
  }

  void note(change_kind kind, std::shared_ptr<const record> what, const appearance& shows) {
    lines_.push_back({++revision_, kind, std::move(what), shows});
  }

  void keep_last(std::size_t most) {
    while (lines_.size() > most)
      lines_.pop_front();
  }

  /// Returns whether all changes after `revision` are kept. False for zero.
  [[nodiscard]] bool reaches_back_to(std::uint64_t revision) const {
    return revision != 0 && revision <= revision_ && revision + lines_.size() >= revision_;
  }

  /// Calls `take(line)` for each change after a revision until it returns false. Returns
  /// whether all were taken.
  /// @pre reaches_back_to(revision)
  template <class Take>
  bool for_each_after(std::uint64_t revision, Take take) const {
    assert(reaches_back_to(revision));
    auto known = static_cast<std::ptrdiff_t>(lines_.size() - (revision_ - revision));
    return std::all_of(lines_.begin() + known, lines_.end(), take);
  }

private:
  std::deque<line> lines_;
  std::uint64_t revision_ = 0;
};

} // namespace troupe::registry::detail
