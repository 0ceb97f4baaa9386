#pragma once

#include <chrono>
#include <cstddef>
#include <set>
#include <utility>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// What a node that starts waits for before it goes by what it knows of the members: it has
/// compared that with another member, and has the cards of those of which it was told meanwhile.
/// Cards that do not come are waited for `patience` at most.
///
/// Not thread-safe. Cost of a call: O(log n).
class first_comparison {
public:
  /// So many cards are waited for: one member can tell of strangers without end.
  static constexpr std::size_t max_missing = 10'000;
  /// For the cards, once all pages have come.
  static constexpr duration patience = std::chrono::seconds{5};
  /// A comparison that failed before is made again after this pause.
  static constexpr duration again_after = std::chrono::milliseconds{500};

  /// A node was told of that member, whose card is missing.
  void misses(const node_id& whom) {
    if (!has_pages_ && missing_.size() < max_missing)
      missing_.insert(whom);
  }

  /// The card has come, or whoever was asked does not have it.
  void has_asked(const node_id& whom) {
    missing_.erase(whom);
  }

  /// All pages have come. Returns whether they are the first: then `patience` begins.
  bool pages_came() {
    if (std::exchange(has_pages_, true))
      return false;
    awaits_cards_ = true;
    return true;
  }

  /// A later comparison comes anyway; one that fails before this is made again.
  [[nodiscard]] bool has_pages() const {
    return has_pages_;
  }

  /// `patience` is over.
  void give_up_cards() {
    missing_.clear();
  }

  /// Returns whether nothing is waited for any more: once.
  bool ends() {
    return missing_.empty() && std::exchange(awaits_cards_, false);
  }

private:
  bool has_pages_ = false;
  bool awaits_cards_ = false;
  std::set<node_id> missing_;
};

} // namespace troupe::cluster
