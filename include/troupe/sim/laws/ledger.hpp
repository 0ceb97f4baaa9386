#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"

namespace troupe::sim {

/// Enters a number into a ledger.
/// @pre No other command enters the same number.
struct enter_number {
  std::uint64_t number = 0;

  TROUPE_FIELDS(enter_number, number);
};

struct number_entered {
  request_id id = 0;
  std::uint64_t number = 0;

  TROUPE_FIELDS(number_entered, id, number);
};

/// The numbers that were entered. They have few gaps, so runs take less memory than a list.
struct ledger_numbers {
  /// The last number of each run, by its first.
  std::map<std::uint64_t, std::uint64_t> runs;
  /// Numbers that were entered more than once, and how often.
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

  TROUPE_FIELDS(ledger_numbers, runs, repeated);
};

/// A machine that counts how often it has carried out each command.
class ledger {
public:
  /// Few, so that ended sessions are forgotten while requests are on their way.
  static constexpr std::size_t max_ended_sessions = 8;

  /// Asks which numbers were entered, and how often.
  struct list_numbers {
    using result = ledger_numbers;

    /// Only numbers that were entered more than once.
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
