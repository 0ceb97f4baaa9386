#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "troupe/sim/ledger.hpp"
#include "troupe/sim/service_scenario.hpp"
#include "troupe/sim/session_client.hpp"

namespace troupe::sim {

struct ledger_record {
  std::uint64_t entries = 0;
  std::uint64_t answers = 0;
  bool is_over = false;
};

/// A client that lives for a few commands, as a command line does: often one,
/// or some at a time, and then the next client comes, now and then without a
/// word of the last. Nothing may be carried out twice.
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
      return this->inquire(repeated_, ledger::list_numbers{.repeated = true});
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
    for (auto& [number, times] : repeated_->times)
      this->here().setting().found.broken("entry " + std::to_string(number)
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
  std::shared_ptr<ledger_numbers> repeated_ = std::make_shared<ledger_numbers>();
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
