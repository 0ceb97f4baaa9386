#pragma once

#include <chrono>
#include <optional>

#include "troupe/core/time.hpp"

namespace cli {

/// What the signals mean that ask a node to end. The first has it stop. A second one within
/// `same_within` of it is the same request: timeout(1) signals the process and its group, and so
/// does a script whose child shares its group. A second one that comes later, and the third in any
/// case, ends the process at once.
class end_requests {
public:
  static constexpr troupe::duration same_within = std::chrono::seconds{1};

  enum class meaning { stop, same, end_at_once };

  /// A signal has come. @pre `now` never goes backwards.
  meaning heard(troupe::time_point now) {
    if (!first_) {
      first_ = now;
      return meaning::stop;
    }
    if (is_repeated_ || now > *first_ + same_within)
      return meaning::end_at_once;
    is_repeated_ = true;
    return meaning::same;
  }

private:
  std::optional<troupe::time_point> first_;
  bool is_repeated_ = false;
};

} // namespace cli
