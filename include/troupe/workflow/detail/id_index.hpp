#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "troupe/workflow/types.hpp"

namespace troupe::workflow::detail {

/// Finds tasks by id. Sorted, not hashed, because ids come from outside and could be chosen
/// to make hash look-ups slow. Most ids of a workflow differ within the first 8 bytes after
/// their common prefix, so comparing those as a number is nearly always enough.
/// @pre the tasks and their ids do not change.
class id_index {
public:
  explicit id_index(std::span<const task> tasks) : tasks_(tasks), by_id_(tasks.size()) {
    if (!tasks.empty())
      prefix_ = tasks.front().id;
    for (auto& each : tasks) {
      auto same = std::mismatch(prefix_.begin(), prefix_.end(), each.id.begin(), each.id.end());
      prefix_ = prefix_.substr(0, static_cast<std::size_t>(same.first - prefix_.begin()));
    }
    for (std::uint32_t position = 0; position < tasks.size(); ++position)
      by_id_[position] = {number_of(tasks[position].id), position};
    std::sort(by_id_.begin(), by_id_.end(), [&](const entry& left, const entry& right) {
      if (left.number != right.number)
        return left.number < right.number;
      return std::tie(id_of(left), left.position) < std::tie(id_of(right), right.position);
    });
  }

  /// Returns the position of the task whose id is greater than exactly `rank` others.
  [[nodiscard]] std::uint32_t operator[](std::uint32_t rank) const {
    return by_id_[rank].position;
  }

  [[nodiscard]] std::uint32_t size() const {
    return static_cast<std::uint32_t>(by_id_.size());
  }

  /// Returns how many ids are smaller than `id`; nothing if no task has it.
  [[nodiscard]] std::optional<std::uint32_t> rank_of(std::string_view id) const {
    if (!id.starts_with(prefix_))
      return std::nullopt;
    auto number = number_of(id);
    auto found = std::lower_bound(
      by_id_.begin(), by_id_.end(), id, [&](const entry& each, std::string_view wanted) {
        return each.number != number ? each.number < number : id_of(each) < wanted;
      });
    if (found == by_id_.end() || found->number != number || id_of(*found) != id)
      return std::nullopt;
    return static_cast<std::uint32_t>(found - by_id_.begin());
  }

private:
  struct entry {
    std::uint64_t number = 0;
    std::uint32_t position = 0;
  };

  [[nodiscard]] const std::string& id_of(const entry& each) const {
    return tasks_[each.position].id;
  }

  /// The first bytes after the common prefix, as a number of the same order.
  [[nodiscard]] std::uint64_t number_of(std::string_view id) const {
    std::uint64_t result = 0;
    for (auto at = prefix_.size(); at < prefix_.size() + sizeof(result); ++at)
      result = (result << 8U) | (at < id.size() ? static_cast<unsigned char>(id[at]) : 0U);
    return result;
  }

  std::span<const task> tasks_;
  std::string_view prefix_;
  std::vector<entry> by_id_;
};

} // namespace troupe::workflow::detail
