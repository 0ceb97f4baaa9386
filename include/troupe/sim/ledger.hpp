#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"

namespace troupe::sim {

/// Enters a number into a ledger.
/// @pre No other command does.
struct enter_number {
  std::uint64_t number = 0;
};

struct number_entered {
  request_id id = 0;
  std::uint64_t number = 0;
};

/// Which numbers were entered. Few gaps are between them, so that runs are shorter than a list.
struct ledger_numbers {
  /// By their first number, the last of each run.
  std::map<std::uint64_t, std::uint64_t> runs;
  /// How often those were entered that were entered more than once.
  std::map<std::uint64_t, std::uint64_t> repeated;

  [[nodiscard]] bool contains(std::uint64_t number) const {
    auto after = runs.upper_bound(number);
    return after != runs.begin() && number <= std::prev(after)->second;
  }

  void enter(std::uint64_t number) {
    if (contains(number)) {
      ++repeated.try_emplace(number, 1).first->second;
      return;
    }
    auto after = runs.upper_bound(number);
    auto joins_next = after != runs.end() && after->first == number + 1;
    auto last = joins_next ? after->second : number;
    if (joins_next)
      after = runs.erase(after);
    if (after != runs.begin() && std::prev(after)->second + 1 == number)
      std::prev(after)->second = last;
    else
      runs.emplace(number, last);
  }
};

template <class Inspector>
bool inspect(Inspector& f, enter_number& x) {
  return f.object(x).fields(f.field("number", x.number));
}

template <class Inspector>
bool inspect(Inspector& f, number_entered& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("number", x.number));
}

template <class Inspector>
bool inspect(Inspector& f, ledger_numbers& x) {
  return f.object(x).fields(f.field("runs", x.runs), f.field("repeated", x.repeated));
}

/// A machine that counts how often it has carried out each command.
class ledger {
public:
  /// Few, so that they are forgotten while requests are on their way.
  static constexpr std::size_t max_ended_sessions = 8;

  /// Which numbers were entered, and how often?
  struct list_numbers {
    using result = ledger_numbers;

    /// Only those that were entered more than once.
    bool repeated = false;
  };

  using event = std::variant<enter_number>;
  using effects = std::vector<std::variant<number_entered>>;
  using snapshot_type = ledger_numbers;
  using query = list_numbers;

  void step(time_point, request_id id, const event& what, effects& out) {
    auto number = std::get<enter_number>(what).number;
    state_.enter(number);
    out.push_back(number_entered{id, number});
  }

  void tick(time_point, effects&) {}

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return std::nullopt;
  }

  [[nodiscard]] snapshot_type snapshot() const {
    return state_;
  }

  void restore(time_point, const snapshot_type& saved) {
    state_ = saved;
  }

  [[nodiscard]] ledger_numbers answer(const list_numbers& question) const {
    return question.repeated ? ledger_numbers{{}, state_.repeated} : state_;
  }

private:
  snapshot_type state_;
};

} // namespace troupe::sim
