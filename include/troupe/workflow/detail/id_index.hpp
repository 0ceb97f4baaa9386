#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "troupe/workflow/types.hpp"

namespace troupe::workflow::detail {

/// Finds tasks by id. Sorted, not hashed: ids come from outside, and nobody shall be
/// able to choose them so that a look-up takes long.
/// @pre the tasks stay where they are.
class id_index {
public:
  explicit id_index(std::span<const task> tasks) : tasks_(tasks), by_id_(tasks.size()) {
    std::iota(by_id_.begin(), by_id_.end(), 0U);
    std::sort(by_id_.begin(), by_id_.end(), [&](std::uint32_t left, std::uint32_t right) {
      auto order = tasks_[left].id.compare(tasks_[right].id);
      return order != 0 ? order < 0 : left < right;
    });
  }

  /// Returns the positions of all tasks in the order of their ids.
  [[nodiscard]] std::span<const std::uint32_t> by_id() const {
    return by_id_;
  }

  /// Returns how many ids are smaller than `id`, nothing if no task has it.
  [[nodiscard]] std::optional<std::uint32_t> rank_of(std::string_view id) const {
    auto found = std::lower_bound(by_id_.begin(), by_id_.end(), id,
                                  [&](std::uint32_t position, std::string_view wanted) {
                                    return tasks_[position].id < wanted;
                                  });
    if (found == by_id_.end() || tasks_[*found].id != id)
      return std::nullopt;
    return static_cast<std::uint32_t>(found - by_id_.begin());
  }

private:
  std::span<const task> tasks_;
  std::vector<std::uint32_t> by_id_;
};

} // namespace troupe::workflow::detail
