#pragma once

#include <cstddef>
#include <map>

namespace troupe {

/// Counts how many places each of several has of a bounded number, so that none of them takes all:
/// one may take another while it has fewer than are free. So it alone gets half of them, and leaves
/// room for others whatever it does. `Key{}` stands for those that are not known: they are counted
/// nowhere, and only the bound of all holds for them.
///
/// Part of a machine. Cost: O(log n) for n that have some.
///
/// Source: Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
/// switches", IEEE/ACM Transactions on Networking 6 (2), 1998.
template <class Key>
class shares {
public:
  void take(const Key& by) {
    if (by != Key{})
      ++counts_[by];
  }

  void give_back(const Key& by) {
    if (auto found = counts_.find(by); found != counts_.end() && --found->second == 0)
      counts_.erase(found);
  }

  /// Whether it may take another where `free` are left.
  [[nodiscard]] bool may_take(const Key& by, std::size_t free) const {
    return may_take(of(by), free);
  }

  /// Whether one that has so many may take another where `free` are left.
  [[nodiscard]] static bool may_take(std::size_t has, std::size_t free) {
    return has < free;
  }

  /// The same for an amount of what is no place, such as bytes: one that has so much may take
  /// `amount` more where `free` is left.
  [[nodiscard]] static bool may_take(std::size_t has, std::size_t free, std::size_t amount) {
    return amount <= free && has <= free - amount;
  }

  [[nodiscard]] std::size_t of(const Key& by) const {
    auto found = counts_.find(by);
    return found != counts_.end() ? found->second : 0;
  }

  void clear() {
    counts_.clear();
  }

private:
  std::map<Key, std::size_t> counts_;
};

} // namespace troupe
