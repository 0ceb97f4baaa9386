#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::router::detail {

/// Letters that wait to be sent and expire if they wait for too long, by their numbers. One ends
/// once it lies in a parcel, out of which it can be taken. Part of a machine. Cost: O(log n); while
/// there are none, one comparison.
class letter_lives {
public:
  struct letter {
    std::uint64_t number = 0;
    node_id node{};
    /// That it is for.
    std::size_t agents = 0;
  };

  /// @pre There is none of that number.
  void begin(std::uint64_t number, time_point expires_at, const node_id& node, std::size_t agents) {
    [[maybe_unused]] auto is_new
      = letters_.emplace(number, life{expires_at, {number, node, agents}}).second;
    assert(is_new);
  }

  /// It lies in a parcel.
  void enclose(std::uint64_t number) {
    if (letters_.empty())
      return;
    if (auto found = letters_.find(number); found != letters_.end())
      ends_.emplace(found->second.expires_at, number);
  }

  /// It waits no more.
  void erase(std::uint64_t number) {
    if (letters_.empty())
      return;
    if (auto gone = letters_.extract(number))
      ends_.erase({gone.mapped().expires_at, number});
  }

  [[nodiscard]] bool has_expired_one(time_point now) const {
    return !ends_.empty() && ends_.begin()->first <= now;
  }

  /// Forgets and returns the one that expires first.
  /// @pre has_expired_one()
  [[nodiscard]] letter take_expired() {
    auto gone = letters_.extract(ends_.begin()->second);
    ends_.erase(ends_.begin());
    return gone.mapped().which;
  }

  [[nodiscard]] std::optional<time_point> next_end() const {
    return ends_.empty() ? std::nullopt : std::optional{ends_.begin()->first};
  }

private:
  struct life {
    time_point expires_at{};
    letter which{};
  };

  std::map<std::uint64_t, life> letters_;
  std::set<std::pair<time_point, std::uint64_t>> ends_;
};

} // namespace troupe::router::detail
