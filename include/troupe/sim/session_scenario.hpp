#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "troupe/sim/service_scenario.hpp"
#include "troupe/sim/session_client.hpp"

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

  /// Which numbers were entered more than once?
  struct list_repeated {
    using result = std::vector<std::uint64_t>;
  };

  using event = std::variant<enter_number>;
  using effects = std::vector<std::variant<number_entered>>;
  using snapshot_type = ledger_numbers;
  using query = std::variant<list_repeated>;

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

  [[nodiscard]] std::vector<std::uint64_t> answer(const query&) const {
    std::vector<std::uint64_t> repeated;
    for (auto& [number, times] : state_.times)
      if (times > 1)
        repeated.push_back(number);
    return repeated;
  }

private:
  snapshot_type state_;
};

struct ledger_record {
  std::uint64_t entries = 0;
  std::uint64_t answers = 0;
  bool is_over = false;
};

/// A client that lives for a few commands, as a command line does: often one, or some at a time,
/// and then the next client comes, now and then without a word of the last. Nothing may be carried
/// out twice.
template <class Home>
class ledger_client : public session_client<ledger_client<Home>, Home, ledger> {
public:
  using session_client<ledger_client<Home>, Home, ledger>::session_client;

  void begin() {
    if (open_ > 0)
      return;
    auto& random = this->here().random();
    if (random.one_in(20) || record().is_over) {
      open_ = 1;
      return this->inquire(repeated_, ledger::query{});
    }
    open_ = random.one_in(3) ? 1 + random.below(8) : 1;
    for (auto left = open_; left > 0; --left)
      this->ask(enter_number{++record().entries});
    if (!random.one_in(50))
      return;
    open_ = 1;
    this->give_up();
  }

  void answered(const std::variant<number_entered>&) {
    ++record().answers;
    if (--open_ > 0)
      return;
    if (this->here().random().one_in(2))
      this->take_leave();
    go_on();
  }

  void seen() {
    --open_;
    for (auto each : *repeated_)
      this->here().setting().found.broken("entry " + std::to_string(each)
                                          + " was carried out more than once");
    if (!record().is_over)
      go_on();
  }

  void lost() {
    --open_;
  }

private:
  auto& record() {
    return this->here().setting().record;
  }

  void go_on() {
    this->rest(std::chrono::milliseconds{this->here().random().below(20)});
  }

  std::uint64_t open_ = 0;
  std::shared_ptr<std::vector<std::uint64_t>> repeated_
    = std::make_shared<std::vector<std::uint64_t>>();
};

struct ledger_service {
  using machine = ledger;
  using record = ledger_record;
  template <class Home>
  using client = ledger_client<Home>;

  /// The clients have looked.
  static void check(const ledger_record&, const findings&) {}
};

using session_scenario = service_scenario<ledger_service>;

} // namespace troupe::sim
