#pragma once

#include <vector>

#include "troupe/registry/types.hpp"

namespace troupe::registry {

/// Returns the events that bring a copy of a table (registry_options::copy) up to `news`, an
/// answer to watch_records. If `news` is complete, step them in a new table, configured with the
/// revision of the old one as floor, so that watchers of the copy get a snapshot, too.
///
/// Health is not copied: each node judges by its own calls.
inline std::vector<event> to_events(const record_changes& news) {
  std::vector<event> result;
  for (auto& [revision, kind, what] : news.changes) {
    auto& value = what.value;
    switch (kind) {
      case change_kind::added:
      case change_kind::updated:
        result.emplace_back(put_records{{value}});
        result.emplace_back(verdict{value.key.owner, value.boot, what.liveness});
        break;
      case change_kind::removed:
        result.emplace_back(put_records{{value}});
        break;
      case change_kind::lost: // its boot is over, with all records of that boot
        result.emplace_back(forget{value.key.owner, value.boot});
        break;
      case change_kind::taken: // the copy derives it from the record with the newer claim
        break;
    }
  }
  return result;
}

} // namespace troupe::registry
