#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
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
  /// The last command of each client in a session that it has chosen, for others that use it.
  std::map<process_id, host::call> last_calls{};
  /// Numbers that were entered in the session of another client.
  std::set<std::uint64_t> stolen{};
  /// After the end, the first client checks all numbers.
  bool is_looked_at = false;
  bool is_over = false;
};

/// A client that lives for a few commands, as a command-line program does: one, or several at a
/// time. Then a new client follows, sometimes without the old one closing its session. Now and then
/// one sends a command in the session of another. No command may be carried out twice, nor in a
/// session of another, and acknowledged ones must be carried out.
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
    if (random.one_in(10))
      steal();
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

  void sends(const host::call& who) {
    if ((who.session.value & host::session_id::chosen) != 0)
      record().last_calls.insert_or_assign(this->here().self(), who);
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
    if (looks_at_all_)
      for (auto number : record().stolen)
        if (found_->contains(number))
          broken(number, "was carried out in the session of another");
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

  /// Takes the number of a command that another client has sent last, or one of the next. Cannot
  /// begin the session.
  void steal() {
    auto& others = record().last_calls;
    if (others.empty())
      return;
    auto& random = this->here().random();
    auto& [whose, last]
      = *std::next(others.begin(), static_cast<std::ptrdiff_t>(random.below(others.size())));
    if (whose == this->here().self())
      return;
    record().stolen.insert(++record().entries);
    this->ask_as({last.session, last.number + random.below(3)}, enter_number{record().entries});
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
