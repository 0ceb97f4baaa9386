#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Decides to whom a node shows its card once its certificate is another one: to one member after
/// the other, as each may cost a link, and there is time. Whoever has not taken it is shown it
/// again in a later round, after a pause that grows: it may have been out of reach, or not know yet
/// that the certificate counts. It ends when all members have taken it.
///
/// Steps like a machine: no clock. Not thread-safe. Bounded by the number of members. Cost of a
/// call: O(log n), of next() O(n).
class showings {
public:
  static constexpr duration each_after = std::chrono::seconds{1};
  static constexpr duration first_pause = std::chrono::seconds{30};
  static constexpr duration longest_pause = std::chrono::minutes{10};

  struct turn {
    /// Nobody now, if there is none.
    std::optional<node_id> whom;
    /// When next() is to be called again; nothing: it is over.
    std::optional<duration> again_in;
  };

  /// There is another certificate. Returns its number: what goes by an earlier one is over.
  std::uint64_t begin() {
    behind_.reset();
    again_.reset();
    untold_.clear();
    pause_ = first_pause;
    return ++number_;
  }

  [[nodiscard]] bool is_last(std::uint64_t number) const {
    return number == number_;
  }

  /// The members are these.
  turn next(const std::set<node_id>& members) {
    auto is_due = [this](const node_id& each) { return !again_ || again_->contains(each); };
    auto from = behind_ ? members.upper_bound(*behind_) : members.begin();
    auto found = std::find_if(from, members.end(), is_due);
    if (found != members.end()) {
      behind_ = *found;
      untold_.insert(*found);
      return {*found, each_after};
    }
    behind_.reset();
    again_ = std::exchange(untold_, {});
    if (again_->empty())
      return {};
    return {std::nullopt, std::exchange(pause_, std::min(2 * pause_, longest_pause))};
  }

  /// That member has seen the certificate of that number, and it counts there.
  void taken(std::uint64_t number, const node_id& whom) {
    if (!is_last(number))
      return;
    untold_.erase(whom);
    if (again_)
      again_->erase(whom);
  }

private:
  std::uint64_t number_ = 0;
  /// The last one of this round.
  std::optional<node_id> behind_;
  /// Those of this round; nothing: all members.
  std::optional<std::set<node_id>> again_;
  /// Who was shown it in this round, and has not taken it yet.
  std::set<node_id> untold_;
  duration pause_ = first_pause;
};

} // namespace troupe::cluster
