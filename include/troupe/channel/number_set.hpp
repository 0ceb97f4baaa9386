#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "troupe/core/fields.hpp"

namespace troupe::channel {

/// Numbers from `first` up to, not including, `end`.
struct number_range {
  std::uint64_t first = 0;
  std::uint64_t end = 0;

  friend bool operator==(const number_range&, const number_range&) = default;

  TROUPE_FIELDS(number_range, first, end);
};

/// A set of numbers that has few gaps, kept as ranges. Cost: O(log n) in these.
class number_set {
public:
  void add(std::uint64_t number) {
    add(number_range{number, number + 1});
  }

  /// Costs O(n) in the ranges that it joins as well.
  void add(number_range what) {
    if (what.first >= what.end)
      return;
    auto next = ranges_.upper_bound(what.first);
    if (next != ranges_.begin())
      if (auto before = std::prev(next); before->second >= what.first) {
        if (next == ranges_.end() || what.end < next->first) { // it joins no other
          before->second = std::max(before->second, what.end);
          return;
        }
        next = before;
      }
    while (next != ranges_.end() && next->first <= what.end) {
      what = {std::min(what.first, next->first), std::max(what.end, next->second)};
      next = ranges_.erase(next);
    }
    ranges_.emplace_hint(next, what.first, what.end);
  }

  /// Takes out all below `number`.
  void drop_below(std::uint64_t number) {
    while (!ranges_.empty() && ranges_.begin()->first < number) {
      auto first = ranges_.extract(ranges_.begin());
      first.key() = number;
      if (number < first.mapped())
        ranges_.insert(ranges_.begin(), std::move(first));
    }
  }

  [[nodiscard]] bool contains(std::uint64_t number) const {
    return next_absent(number) != number;
  }

  /// Returns the lowest number from `number` on that is not in the set.
  [[nodiscard]] std::uint64_t next_absent(std::uint64_t number) const {
    auto next = ranges_.upper_bound(number);
    return next != ranges_.begin() ? std::max(number, std::prev(next)->second) : number;
  }

  [[nodiscard]] std::vector<number_range> ranges() const {
    std::vector<number_range> result;
    result.reserve(ranges_.size());
    for (auto& [first, end] : ranges_)
      result.push_back({first, end});
    return result;
  }

  [[nodiscard]] bool empty() const {
    return ranges_.empty();
  }

  /// The number of ranges.
  [[nodiscard]] std::size_t size() const {
    return ranges_.size();
  }

  void clear() {
    ranges_.clear();
  }

private:
  /// The end of each range by its first number; no two touch.
  std::map<std::uint64_t, std::uint64_t> ranges_;
};

} // namespace troupe::channel
