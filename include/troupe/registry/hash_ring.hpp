#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::registry {

/// Returns a hash that is the same on every platform and in every release. Not safe against
/// an attacker who chooses keys. Source: Fowler, Noll, Vo, FNV-1a, 64 bit; its bits are
/// mixed at the end as in SplitMix64, because FNV alone clusters texts that differ at the end.
constexpr std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (auto each : text) {
    hash ^= static_cast<unsigned char>(each);
    hash *= 0x100000001b3U;
  }
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebU;
  return hash ^ (hash >> 31U);
}

/// Consistent hashing: each member owns the arcs of a circle that end at its points, and a
/// key belongs to the owner of the arc that it falls on. When a member leaves, only its own
/// keys move, 1/n of all; when one joins, only the keys that it takes over.
/// Source: Karger et al., "Consistent hashing and random trees", STOC 1997; virtual nodes
/// as in DeCandia et al., "Dynamo", SOSP 2007, section 4.2.
class hash_ring {
public:
  /// With 10 members, the busiest has about 1.11 times its share at 256 points each, and 1.19
  /// times at 64 (means of 30 rings). A point takes 16 bytes.
  explicit hash_ring(std::uint32_t points_each = 256) : points_each_(std::max(points_each, 1U)) {}

  hash_ring(hash_ring&&) = default; // not copied: points name their owner by address
  hash_ring& operator=(hash_ring&&) = default;

  /// Cost: O(points).
  void add(const std::string& member) {
    auto [position, is_new] = members_.insert(member);
    if (!is_new)
      return;
    auto before = static_cast<std::ptrdiff_t>(points_.size());
    for (std::uint32_t each = 0; each < points_each_; ++each)
      points_.push_back({stable_hash(*position + '#' + std::to_string(each)), &*position});
    std::sort(points_.begin() + before, points_.end());
    std::inplace_merge(points_.begin(), points_.begin() + before, points_.end());
  }

  /// Cost: O(points).
  void remove(const std::string& member) {
    auto found = members_.find(member);
    if (found == members_.end())
      return;
    std::erase_if(points_, [&](const point& each) { return each.owner == &*found; });
    members_.erase(found);
  }

  [[nodiscard]] const std::set<std::string>& members() const {
    return members_;
  }

  /// Returns the owner of `key`; nothing if there are no members. Cost: O(log points).
  [[nodiscard]] std::optional<std::string> owner_of(std::string_view key) const {
    auto found = owners_of(key, 1);
    return found.empty() ? std::nullopt : std::optional{std::move(found.front())};
  }

  /// Returns the first `count` members for `key`, each once: its owner, then the member that
  /// would own it without those before.
  [[nodiscard]] std::vector<std::string> owners_of(std::string_view key, std::size_t count) const {
    std::vector<std::string> result;
    count = std::min(count, members_.size());
    auto hash = stable_hash(key);
    auto place = std::ranges::lower_bound(points_, hash, {}, &point::place);
    while (result.size() < count) {
      if (place == points_.end())
        place = points_.begin();
      if (std::ranges::count(result, *place->owner) == 0)
        result.push_back(*place->owner);
      ++place;
    }
    return result;
  }

private:
  struct point {
    std::uint64_t place;
    const std::string* owner;

    /// Two points at one place are ordered by name, never by address.
    friend bool operator<(const point& left, const point& right) {
      return left.place != right.place ? left.place < right.place : *left.owner < *right.owner;
    }
  };

  std::uint32_t points_each_;
  std::set<std::string> members_;
  std::vector<point> points_;
};

} // namespace troupe::registry
