#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"

namespace troupe::host {

/// Questions that wait until the group has confirmed that the state here is the latest: no other
/// node has led meanwhile.
///
/// A plain class: the caller asks the group, once for each number that add() returns. Not
/// thread-safe. Cost of a call: O(log n), of refuse_all O(n).
class unconfirmed_questions {
public:
  /// One of them is called, once; it may add others.
  struct question {
    std::function<void()> go_on;
    std::function<void(const problem&)> refuse;
  };

  explicit unconfirmed_questions(std::size_t most) : most_(most) {}

  /// limit_reached if there is no room for another one.
  [[nodiscard]] problem full() const {
    if (open_.size() < most_)
      return {};
    return {errc::limit_reached, std::to_string(most_) + " questions wait; retry with backoff"};
  }

  /// Returns its number, which no other has had.
  /// @pre it is not full()
  request_id add(question what) {
    open_.emplace(++last_, std::move(what));
    return last_;
  }

  /// The group has confirmed it. Ignores one that has ended.
  void confirm(request_id which) {
    if (auto found = open_.extract(which))
      found.mapped().go_on();
  }

  /// The group cannot confirm it. Ignores one that has ended.
  void refuse(request_id which, const problem& why) {
    if (auto found = open_.extract(which))
      found.mapped().refuse(why);
  }

  void refuse_all(const problem& why) {
    for (auto& [which, each] : std::exchange(open_, {}))
      each.refuse(why);
  }

private:
  std::size_t most_;
  std::map<request_id, question> open_;
  request_id last_ = 0;
};

} // namespace troupe::host
