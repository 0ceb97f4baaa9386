#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "troupe/sim/laws/ledger.hpp"
#include "troupe/sim/scenarios/service_scenario.hpp"
#include "troupe/sim/world/session_client.hpp"

namespace troupe::sim {

struct ledger_record {
  std::uint64_t entries = 0;
  std::uint64_t answers = 0;
  /// Numbers whose entry was acknowledged to a client.
  std::set<std::uint64_t> acknowledged{};
  /// After the end, the first client checks all numbers.
  bool is_looked_at = false;
  bool is_over = false;
};

/// A client that lives for a few commands, as a command-line program does: one, or several at a
/// time. Then a new client follows, sometimes without the old one closing its session. No command
/// may be carried out twice, and acknowledged ones must be carried out.
template <class Home>
class ledger_client : public session_client<ledger_client<Home>, Home, ledger> {
public:
  using session_client<ledger_client<Home>, Home, ledger>::session_client;

  void begin() {
    if (open_ > 0)
      return;
    auto& random = this->here().random();
    asked_.clear();
    due_.clear();
    if (random.one_in(20) || record().is_over) {
      open_ = 1;
      looks_at_all_ = record().is_over && !std::exchange(record().is_looked_at, true);
      if (looks_at_all_)
        due_ = record().acknowledged;
      return this->inquire(found_, ledger::list_numbers{.repeated = !looks_at_all_});
    }
    open_ = random.one_in(3) ? 1 + random.below(8) : 1;
    for (auto left = open_; left > 0; --left) {
      asked_.insert(++record().entries);
      this->ask(enter_number{record().entries});
    }
    if (!random.one_in(50))
      return;
    open_ = 1;
    this->give_up();
  }

  void answered(const std::variant<number_entered>& what) {
    auto number = std::get<number_entered>(what).number;
    if (asked_.erase(number) == 0)
      broken(number, "is the answer to another command, or came twice");
    record().acknowledged.insert(number);
    ++record().answers;
    if (--open_ > 0)
      return;
    if (this->here().random().one_in(2))
      this->take_leave();
    go_on();
  }

  void seen() {
    --open_;
    for (auto& [number, times] : found_->repeated)
      broken(number, "was carried out " + std::to_string(times) + " times");
    for (auto number : due_)
      if (!found_->contains(number))
        broken(number, "was acknowledged and is not there");
    looks_at_all_ = false;
    if (!record().is_over)
      go_on();
  }

  void lost() {
    --open_;
    if (std::exchange(looks_at_all_, false))
      record().is_looked_at = false;
  }

private:
  auto& record() {
    return this->here().setting().record;
  }

  void broken(std::uint64_t number, const std::string& law) {
    this->here().setting().found.broken("entry " + std::to_string(number) + ' ' + law);
  }

  void go_on() {
    this->rest(std::chrono::milliseconds{this->here().random().below(20)});
  }

  std::uint64_t open_ = 0;
  std::set<std::uint64_t> asked_;
  bool looks_at_all_ = false;
  /// Numbers that have to be found.
  std::set<std::uint64_t> due_;
  std::shared_ptr<ledger_numbers> found_ = std::make_shared<ledger_numbers>();
};

struct ledger_service {
  using machine = ledger;
  using record = ledger_record;
  template <class Home>
  using client = ledger_client<Home>;

  /// Nothing is left to check: the clients have done it.
  static void check(const ledger_record&, const findings&) {}
};

using session_scenario = service_scenario<ledger_service>;

} // namespace troupe::sim
