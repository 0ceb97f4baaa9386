#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "troupe/core/machine.hpp"

namespace troupe::host::detail {

/// The callers that wait for the answer to each record. Repeats of one request wait for the same
/// record. Memory, not state.
class waiting_callers {
public:
  /// Does nothing for caller zero.
  void attach(request_id record, request_id caller) {
    if (caller == 0)
      return;
    by_record_.emplace(record, caller);
    by_caller_.emplace(caller, record);
  }

  /// Calls `tell(caller)` for each that waits for `record`, and removes them.
  template <class Tell>
  void release(request_id record, Tell tell) {
    auto [first, last] = by_record_.equal_range(record);
    for (auto each = first; each != last; ++each) {
      by_caller_.erase(each->second);
      tell(each->second);
    }
    by_record_.erase(first, last);
  }

  /// The same for all records, in the order of the callers.
  template <class Tell>
  void release_all(Tell tell) {
    by_record_.clear();
    for (auto& [caller, record] : std::exchange(by_caller_, {}))
      tell(caller);
  }

  /// Removes a caller. Returns the record that it waited for, if any.
  std::optional<request_id> forget(request_id caller) {
    auto found = by_caller_.extract(caller);
    if (!found)
      return std::nullopt;
    auto [first, last] = by_record_.equal_range(found.mapped());
    by_record_.erase(std::find_if(first, last, [&](auto& each) { return each.second == caller; }));
    return found.mapped();
  }

private:
  std::multimap<request_id, request_id> by_record_;
  std::map<request_id, request_id> by_caller_;
};

} // namespace troupe::host::detail
