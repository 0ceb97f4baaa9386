#pragma once

#include <algorithm>
#include <chrono>
#include <map>

#include "troupe/core/time.hpp"

namespace troupe::host::detail {

/// Who of those that have to show signs of life was heard of when: memory of the host that
/// writes records, not state. Gives up each that was silent for its term, once; who is seen for
/// the first time has a full term from there. Cost of a look: O(those watched), eight in a term.
template <class Id>
class life_signs {
public:
  /// All have a full term from the next look.
  void begin_anew() {
    known_.clear();
    due_ = time_point::min();
  }

  /// Too late for one that was given up.
  void hear(Id who, time_point now) {
    known_.try_emplace(who).first->second.heard = now;
  }

  [[nodiscard]] bool is_given_up(Id who) const {
    auto found = known_.find(who);
    return found != known_.end() && found->second.is_given_up;
  }

  /// It is over, or was given up and is so no more.
  void forget(Id who) {
    known_.erase(who);
  }

  /// When to look next.
  [[nodiscard]] time_point due() const {
    return due_;
  }

  /// Calls `give_up(id)` for each of `ids`, all that are watched, that has been silent for `term`.
  template <class Ids, class GiveUp>
  void look(time_point now, duration term, const Ids& ids, GiveUp give_up) {
    if (now < due_)
      return;
    due_ = now + std::max(term / 8, duration{std::chrono::milliseconds{1}});
    std::map<Id, sign> watched;
    for (auto who : ids) {
      auto found = known_.find(who);
      auto& each = watched[who] = found != known_.end() ? found->second : sign{now};
      if (each.is_given_up || each.heard + term > now)
        continue;
      each.is_given_up = true;
      give_up(who);
    }
    known_.swap(watched);
  }

private:
  struct sign {
    time_point heard{};
    bool is_given_up = false;
  };

  std::map<Id, sign> known_;
  time_point due_ = time_point::min();
};

} // namespace troupe::host::detail
