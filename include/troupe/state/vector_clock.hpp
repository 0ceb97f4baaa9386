#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "troupe/core/problem.hpp"
#include "troupe/core/utf8.hpp"

namespace troupe::state {

/// How one moment in the history of a key stands to another.
enum class clock_order : std::uint8_t { equal = 0, before = 1, after = 2, concurrent = 3 };

inline constexpr std::array<std::string_view, 4> clock_order_names{"equal", "before", "after",
                                                                   "concurrent"};

constexpr std::string_view name_of(clock_order order) noexcept {
  auto index = static_cast<std::size_t>(order);
  return index < clock_order_names.size() ? clock_order_names[index] : "unknown";
}

/// What is known of a history: of each replica, all of its writes up to a count. Counts
/// rise, but need not follow on each other: whoever knows number 7 of a replica knows
/// whatever lies below.
///
/// Clocks are ordered in part: of two that are concurrent neither knows all of the other.
/// merge() is their least upper bound, so it is associative, commutative and idempotent.
/// Sources: Fidge, "Timestamps in message-passing systems that preserve the partial
/// ordering" (1988); Mattern, "Virtual time and global states of distributed systems" (1989).
class vector_clock {
public:
  /// Wider ones are refused where they come in.
  static constexpr std::size_t max_replicas = 64;
  static constexpr std::size_t max_replica_bytes = 64;

  /// Returns how far `replica` is known; zero if not at all.
  [[nodiscard]] std::uint64_t count_of(std::string_view replica) const {
    auto found = counts_.find(replica);
    return found != counts_.end() ? found->second : 0;
  }

  /// Returns whether write number `count` of `replica` is known.
  [[nodiscard]] bool knows(std::string_view replica, std::uint64_t count) const {
    return count <= count_of(replica);
  }

  /// Counts one more write of `replica`; returns its number.
  std::uint64_t increment(const std::string& replica) {
    return ++counts_[replica];
  }

  /// All writes of `replica` up to `count` are known from now on, if they were not.
  void raise(const std::string& replica, std::uint64_t count) {
    if (count == 0)
      return; // clocks that know the same have the same bytes
    auto& known = counts_[replica];
    known = std::max(known, count);
  }

  /// From now on all is known that either knew. Cost: O(m log n).
  void merge(const vector_clock& other) {
    for (auto& [replica, count] : other.counts_)
      raise(replica, count);
  }

  /// Returns how `left` stands to `right`: before, if right knows all of left and more.
  /// Cost: O(n + m).
  friend clock_order compare(const vector_clock& left, const vector_clock& right) {
    bool less = false;
    bool more = false;
    auto one = left.counts_.begin();
    auto other = right.counts_.begin();
    while (one != left.counts_.end() || other != right.counts_.end()) {
      auto left_only
        = other == right.counts_.end() || (one != left.counts_.end() && one->first < other->first);
      auto right_only = !left_only && (one == left.counts_.end() || other->first < one->first);
      auto mine = right_only ? 0 : (one++)->second;
      auto yours = left_only ? 0 : (other++)->second;
      less = less || mine < yours;
      more = more || mine > yours;
    }
    if (less && more)
      return clock_order::concurrent;
    return less ? clock_order::before : more ? clock_order::after : clock_order::equal;
  }

  /// Returns whether all that `other` knows is known here.
  [[nodiscard]] bool covers(const vector_clock& other) const {
    auto order = compare(other, *this);
    return order == clock_order::equal || order == clock_order::before;
  }

  [[nodiscard]] bool empty() const {
    return counts_.empty();
  }

  [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& counts() const {
    return counts_;
  }

  /// Returns why a clock that came from outside is none: bad_argument or too_large.
  [[nodiscard]] problem check() const {
    if (counts_.size() > max_replicas)
      return {errc::too_large, "the clock names " + std::to_string(counts_.size())
                                 + " replicas; give at most " + std::to_string(max_replicas)};
    for (auto& [replica, count] : counts_)
      if (count == 0 || replica.empty() || replica.size() > max_replica_bytes || !is_utf8(replica))
        return {errc::bad_argument, "the clock was not made here; hand back the one that was read"};
    return {};
  }

  friend bool operator==(const vector_clock&, const vector_clock&) = default;

  template <class Inspector>
  friend bool inspect(Inspector& f, vector_clock& x) {
    return f.object(x).fields(f.field("counts", x.counts_));
  }

private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
};

/// Returns `clock` for people: "a:3 b:1".
inline std::string to_text(const vector_clock& clock) {
  std::string result;
  for (auto& [replica, count] : clock.counts())
    result += (result.empty() ? "" : " ") + replica + ':' + std::to_string(count);
  return result;
}

} // namespace troupe::state
