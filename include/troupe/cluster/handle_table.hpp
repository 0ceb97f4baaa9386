#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "troupe/cluster/finder_types.hpp"

namespace troupe::cluster {

/// The numbers by which a finder knows the actors in answers. An actor keeps its number as long as
/// it is bound, so that the finder sees whether an answer names the same actors as before; all
/// others are forgotten after each answer, which bounds the table. No number is given twice. Not
/// thread-safe. Cost of a call: O(log n), of bind, actor_of and forget_unbound O(n).
///
/// `Actor` is a pointer with an order.
template <class Actor>
class handle_table {
public:
  /// Zero if `which` is null.
  service_handle number_of(const Actor& which) {
    if (!which)
      return 0;
    auto& number = numbers_[which];
    if (number == 0)
      number = ++last_;
    return number;
  }

  /// Null: no actor has that number any more.
  [[nodiscard]] Actor actor_of(service_handle number) const {
    for (auto& [actor, each] : numbers_)
      if (each == number)
        return actor;
    return {};
  }

  /// These are bound from now on, and no others.
  void bind(const std::map<std::string, service_handle>& handles) {
    bound_.clear();
    for (auto& [called, number] : handles)
      bound_.insert(number);
  }

  void forget_unbound() {
    std::erase_if(numbers_, [this](auto& each) { return !bound_.contains(each.second); });
  }

  [[nodiscard]] std::size_t size() const {
    return numbers_.size();
  }

private:
  std::map<Actor, service_handle> numbers_;
  std::set<service_handle> bound_;
  service_handle last_ = 0;
};

} // namespace troupe::cluster
