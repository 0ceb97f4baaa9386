#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/problem.hpp"
#include "troupe/core/utf8.hpp"

namespace troupe::state {

/// The causal order of two points in the history of a key.
enum class clock_order : std::uint8_t { equal = 0, before = 1, after = 2, concurrent = 3 };

inline constexpr std::array<std::string_view, 4> clock_order_names{"equal", "before", "after",
                                                                   "concurrent"};

constexpr std::string_view name_of(clock_order order) noexcept {
  auto index = static_cast<std::size_t>(order);
  return index < clock_order_names.size() ? clock_order_names[index] : "unknown";
}

/// The known part of a history: for each replica all writes up to a count and, beyond that,
/// single writes ("dots"). The numbers of writes rise, but need not be consecutive.
///
/// The dots are needed where several writers use one replica: a writer that has read up to
/// number 4, and has then written number 6, may not have seen number 5.
///
/// Clocks are partially ordered: of two that are concurrent neither knows all of the other.
/// merge() is their least upper bound, so it is associative, commutative and idempotent.
/// Sources: Fidge, "Timestamps in message-passing systems that preserve the partial
/// ordering" (1988); Mattern, "Virtual time and global states of distributed systems"
/// (1989); for the dots: Almeida, Shoker, Baquero, "Delta state replicated data types"
/// (2018), section 7.2.
class vector_clock {
public:
  /// Bounds of a clock from outside; check() refuses larger ones.
  static constexpr std::size_t max_replicas = 64;
  static constexpr std::size_t max_dots = 256;
  static constexpr std::size_t max_replica_bytes = 64;

  /// Returns the number up to which all writes of `replica` are known; zero if none is.
  [[nodiscard]] std::uint64_t count_of(std::string_view replica) const {
    auto found = counts_.find(replica);
    return found != counts_.end() ? found->second : 0;
  }

  /// Returns the last write of `replica` that is known; zero if none is.
  [[nodiscard]] std::uint64_t last_of(const std::string& replica) const {
    auto behind = dots_.upper_bound({replica, std::numeric_limits<std::uint64_t>::max()});
    if (behind != dots_.begin() && std::prev(behind)->first == replica)
      return std::prev(behind)->second; // dots lie above the count
    return count_of(replica);
  }

  /// Returns whether write number `count` of `replica` is known.
  [[nodiscard]] bool knows(const std::string& replica, std::uint64_t count) const {
    return count <= count_of(replica) || dots_.contains({replica, count});
  }

  /// Counts one more write of `replica`; returns its number.
  /// @pre All writes of `replica` are known, so only the replica itself may call this.
  std::uint64_t increment(const std::string& replica) {
    assert(dots_.lower_bound({replica, 0}) == dots_.lower_bound({replica + '\0', 0}));
    return ++counts_[replica];
  }

  /// All writes of `replica` up to `count` are known from now on.
  void raise(const std::string& replica, std::uint64_t count) {
    if (count <= count_of(replica))
      return; // adds no zero count: equal clocks have equal bytes
    counts_[replica] = count;
    dots_.erase(dots_.lower_bound({replica, 0}), dots_.upper_bound({replica, count}));
  }

  /// Write number `count` of `replica` is known from now on; changes nothing for those below it.
  void add(const std::string& replica, std::uint64_t count) {
    if (!knows(replica, count))
      dots_.emplace(replica, count);
  }

  /// Adds all that `other` knows. Cost: O(m log n).
  void merge(const vector_clock& other) {
    for (auto& [replica, count] : other.counts_)
      raise(replica, count);
    for (auto& [replica, count] : other.dots_)
      add(replica, count);
  }

  /// Returns whether this clock knows all that `other` knows. Cost: O(m log n).
  [[nodiscard]] bool covers(const vector_clock& other) const {
    return std::ranges::all_of(other.counts_,
                               [this](auto& each) { return each.second <= count_of(each.first); })
           && std::ranges::all_of(other.dots_,
                                  [this](auto& each) { return knows(each.first, each.second); });
  }

  /// Returns the order of the two: before, if `right` knows all that `left` knows, and more.
  friend clock_order compare(const vector_clock& left, const vector_clock& right) {
    auto not_more = right.covers(left);
    auto not_less = left.covers(right);
    if (not_more)
      return not_less ? clock_order::equal : clock_order::before;
    return not_less ? clock_order::after : clock_order::concurrent;
  }

  [[nodiscard]] bool empty() const {
    return counts_.empty() && dots_.empty();
  }

  [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& counts() const {
    return counts_;
  }

  [[nodiscard]] const std::set<std::pair<std::string, std::uint64_t>>& dots() const {
    return dots_;
  }

  /// Returns bad_argument or too_large if this clock, which came from outside, is invalid.
  [[nodiscard]] problem check() const {
    if (counts_.size() > max_replicas || dots_.size() > max_dots)
      return {errc::too_large, "the clock has " + std::to_string(counts_.size()) + " replicas and "
                                 + std::to_string(dots_.size()) + " dots; give at most "
                                 + std::to_string(max_replicas) + " and "
                                 + std::to_string(max_dots)};
    auto is_good = [](auto& each) {
      auto& [replica, count] = each;
      return count != 0 && !replica.empty() && replica.size() <= max_replica_bytes
             && is_utf8(replica);
    };
    auto is_beyond = [this](auto& each) { return each.second > count_of(each.first); };
    if (!std::ranges::all_of(counts_, is_good) || !std::ranges::all_of(dots_, is_good)
        || !std::ranges::all_of(dots_, is_beyond))
      return {errc::bad_argument, "the clock is invalid; give the one that was read, unchanged"};
    return {};
  }

  friend bool operator==(const vector_clock&, const vector_clock&) = default;

  template <class Inspector>
  friend bool inspect(Inspector& f, vector_clock& x) {
    return f.object(x).fields(f.field("counts", x.counts_), f.field("dots", x.dots_));
  }

private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
  std::set<std::pair<std::string, std::uint64_t>> dots_;
};

/// Returns `clock` as text: "a:3 b:1 +b:4" knows writes of a up to 3, of b up to 1, and b's 4.
inline std::string to_text(const vector_clock& clock) {
  std::string result;
  auto append = [&result](const std::string& sign, auto& each) {
    result += (result.empty() ? "" : " ") + sign + each.first + ':' + std::to_string(each.second);
  };
  for (auto& each : clock.counts())
    append("", each);
  for (auto& each : clock.dots())
    append("+", each);
  return result;
}

} // namespace troupe::state
