#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/random.hpp"
#include "troupe/registry/hash_ring.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::registry {

/// How to choose among those that could do the work. Numbers go over the wire: append at
/// the end.
enum class balancing : std::uint8_t {
  /// Each in turn, in the order of their ids.
  round_robin = 0,
  random = 1,
  least_loaded = 2,
  /// The one with the most room after the work, of those that have enough.
  resource_aware = 3,
  /// The same key to the same one, as long as it is there.
  consistent_hash = 4,
};

inline constexpr std::array<std::string_view, 5> balancing_names{
  "round_robin", "random", "least_loaded", "resource_aware", "consistent_hash"};

constexpr std::string_view name_of(balancing policy) noexcept {
  auto index = static_cast<std::size_t>(policy);
  return index < balancing_names.size() ? balancing_names[index] : "unknown";
}

/// One that could do the work: who it is, what it has in hand, what it has left.
struct candidate {
  std::string id{};
  std::uint64_t load = 0;
  resources free{};
};

/// What is to be done. The key matters to consistent_hash only, the resources to
/// resource_aware only.
struct work {
  std::string key{};
  resources needs{};
};

/// Returns whether `room` has all of what `needs` asks for.
constexpr bool has_room(const resources& room, const resources& needs) {
  return needs.cpu_millis <= room.cpu_millis && needs.memory_bytes <= room.memory_bytes
         && needs.gpus <= room.gpus;
}

namespace detail {

/// A part of a whole, compared without rounding.
struct share {
  std::uint64_t part = 0;
  std::uint64_t whole = 1;

  /// As in Euclid's algorithm: the whole numbers first, then what is left of them.
  friend constexpr bool operator<(share left, share right) {
    while (true) {
      auto left_times = left.part / left.whole;
      auto right_times = right.part / right.whole;
      if (left_times != right_times)
        return left_times < right_times;
      left.part %= left.whole;
      right.part %= right.whole;
      if (left.part == 0 || right.part == 0)
        return left.part == 0 && right.part != 0;
      std::swap(left.part, left.whole); // 1/x grows as x falls
      std::swap(right.part, right.whole);
      std::swap(left, right);
    }
  }
};

/// Returns the largest share of anything that `needs` takes of `room`.
/// @pre has_room(room, needs)
constexpr share largest_share(const resources& room, const resources& needs) {
  auto of = [](std::uint64_t part, std::uint64_t whole) {
    return whole != 0 ? share{part, whole} : share{};
  };
  return std::max({of(needs.cpu_millis, room.cpu_millis), of(needs.memory_bytes, room.memory_bytes),
                   of(needs.gpus, room.gpus)});
}

} // namespace detail

/// Chooses, by one policy, among candidates that change from call to call. The same calls
/// give the same choices; nothing is chosen only if nobody can.
class balancer {
public:
  explicit balancer(balancing policy, std::uint64_t seed = 0) : policy_(policy), random_(seed) {}

  [[nodiscard]] balancing policy() const {
    return policy_;
  }

  /// Returns the position of the chosen one.
  /// @pre Ids differ.
  /// Cost: O(n); consistent_hash O(n log n), and O(points) for each that came or left.
  [[nodiscard]] std::optional<std::size_t> choose(std::span<const candidate> among,
                                                  const work& what = {}) {
    if (among.empty())
      return std::nullopt;
    switch (policy_) {
      case balancing::round_robin:
        return in_turn(among);
      case balancing::random:
        return random_.below(among.size());
      case balancing::least_loaded:
        return least_loaded(among);
      case balancing::resource_aware:
        return roomiest(among, what.needs);
      case balancing::consistent_hash:
        return by_key(among, what.key);
    }
    return std::nullopt;
  }

private:
  /// The next id after the last; so that nobody is passed over when others come and go.
  std::size_t in_turn(std::span<const candidate> among) {
    std::optional<std::size_t> next;
    std::size_t first = 0;
    for (std::size_t each = 0; each < among.size(); ++each) {
      if (among[each].id < among[first].id)
        first = each;
      if (among[each].id > last_ && (!next || among[each].id < among[*next].id))
        next = each;
    }
    auto chosen = next.value_or(first);
    last_ = among[chosen].id;
    return chosen;
  }

  /// Equally loaded ones are drawn from, as many callers see the same loads.
  std::size_t least_loaded(std::span<const candidate> among) {
    auto order
      = [](const candidate& left, const candidate& right) { return left.load < right.load; };
    return *best(among, order, [](auto&) { return true; });
  }

  std::optional<std::size_t> roomiest(std::span<const candidate> among, const resources& needs) {
    auto order = [&](const candidate& left, const candidate& right) {
      auto left_share = detail::largest_share(left.free, needs);
      auto right_share = detail::largest_share(right.free, needs);
      if (left_share < right_share || right_share < left_share)
        return left_share < right_share;
      return left.load < right.load;
    };
    return best(among, order, [&](auto& each) { return has_room(each.free, needs); });
  }

  template <class Less, class Fits>
  std::optional<std::size_t> best(std::span<const candidate> among, Less less, Fits fits) {
    std::optional<std::size_t> result;
    std::uint64_t equals = 0;
    for (std::size_t each = 0; each < among.size(); ++each) {
      if (!fits(among[each]))
        continue;
      if (!result || less(among[each], among[*result])) {
        result = each;
        equals = 1;
      } else if (!less(among[*result], among[each]) && random_.one_in(++equals)) {
        result = each; // each of k equals with 1/k
      }
    }
    return result;
  }

  std::size_t by_key(std::span<const candidate> among, const std::string& key) {
    auto known = [this](const candidate& each) { return ring_.members().contains(each.id); };
    if (among.size() != ring_.members().size() || !std::ranges::all_of(among, known))
      follow(among);
    auto owner = ring_.owner_of(key);
    return static_cast<std::size_t>(std::ranges::find(among, *owner, &candidate::id)
                                    - among.begin());
  }

  /// Brings the ring up to who is there now.
  void follow(std::span<const candidate> among) {
    auto gone = ring_.members();
    for (auto& each : among)
      gone.erase(each.id);
    for (auto& each : gone)
      ring_.remove(each);
    for (auto& each : among)
      ring_.add(each.id);
  }

  balancing policy_;
  random_source random_;
  std::string last_;
  hash_ring ring_;
};

} // namespace troupe::registry
