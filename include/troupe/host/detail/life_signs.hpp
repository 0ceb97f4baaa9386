#pragma once

#include <algorithm>
#include <chrono>
#include <map>

#include "troupe/core/time.hpp"

namespace troupe::host::detail {

/// The last sign of life of each watched client: memory of the host that writes records, not
/// state. Gives up each client that was silent for its term, once; a new client has a full term.
/// Cost of a look: O(watched clients), about eight looks in a term.
template <class Id>
class life_signs {
public:
  /// Grants all a full term from the next look.
  void begin_anew() {
    known_.clear();
    due_ = time_point::min();
  }

  /// Notes a sign of life; has no effect on one that was given up.
  void hear(Id who, time_point now) {
    known_.try_emplace(who).first->second.heard = now;
  }

  [[nodiscard]] bool is_given_up(Id who) const {
    auto found = known_.find(who);
    return found != known_.end() && found->second.is_given_up;
  }

  /// Stops watching `who`, or cancels that it was given up.
  void forget(Id who) {
    known_.erase(who);
  }

  /// Returns when to look next.
  [[nodiscard]] time_point due() const {
    return due_;
  }

  /// Calls `give_up(id)` for each of `ids` that was silent for `term`. `ids` are all watched ones.
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
