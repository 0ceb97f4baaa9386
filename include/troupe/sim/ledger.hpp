#pragma once

#include <cstddef>
#include <cstdint>
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

/// How often each number was entered.
struct ledger_numbers {
  std::map<std::uint64_t, std::uint64_t> times;
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
  return f.object(x).fields(f.field("times", x.times));
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
    ++state_.times[number];
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
    if (!question.repeated)
      return state_;
    ledger_numbers found;
    for (auto& each : state_.times)
      if (each.second > 1)
        found.times.insert(each);
    return found;
  }

private:
  snapshot_type state_;
};

} // namespace troupe::sim
