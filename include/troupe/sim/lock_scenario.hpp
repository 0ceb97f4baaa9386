#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "troupe/lock/lock_table.hpp"
#include "troupe/sim/history.hpp"
#include "troupe/sim/service_scenario.hpp"
#include "troupe/sim/session_client.hpp"

namespace troupe::sim {

/// What the clients of a lock service saw.
struct lock_record {
  history lines;
  std::uint64_t clients = 0;
  std::uint64_t keys = 0;
  std::uint64_t answers = 0;
  bool is_over = false;
};

/// A client that takes a lock and gives it back, over and over, and writes down what it saw.
template <class Home>
class lock_client : public session_client<lock_client<Home>, Home, lock::lock_table> {
  using base = session_client<lock_client<Home>, Home, lock::lock_table>;

public:
  explicit lock_client(Home& here) : base(here) {
    be_another();
  }

  void begin() {
    if (record().is_over)
      return;
    lock::event what = lock::release{key_, token_.value_or(lock::fencing_token{})};
    step_of_history line{"release", {}, {}, {}, outcome::unknown, clock()};
    if (token_) {
      line.argument = std::to_string(token_->value);
    } else {
      line.verb = "acquire";
      auto wait
        = this->here().random().one_in(2) ? duration::zero() : duration{std::chrono::seconds{2}};
      what = lock::acquire{key_,
                           name_ + '/' + std::to_string(this->number()),
                           std::chrono::minutes{10},
                           wait,
                           name_,
                           lock::lock_mode::exclusive};
    }
    line_ = record().lines.call(name_, key_, std::move(line));
    this->ask(std::move(what));
  }

  void answered(const lock::effect& what) {
    std::visit([&](const auto& each) { handle(each); }, what);
  }

  /// Who does not know an outcome is never heard of again, nor is its key: who knows who
  /// holds it.
  void lost() {
    be_another();
  }

private:
  [[nodiscard]] lock_record& record() {
    return this->here().setting().record;
  }

  [[nodiscard]] std::int64_t clock() {
    return this->here().now().time_since_epoch().count(); // clients have true clocks
  }

  void be_another() {
    name_ = "client-" + std::to_string(++record().clients);
    key_ = "key-" + std::to_string(++record().keys / 3); // three share one
    token_.reset();
  }

  void handle(const lock::accepted& what) {
    if (token_) {
      token_.reset();
      return finish(outcome::ok, {});
    }
    token_ = what.value.token;
    finish(outcome::ok, std::to_string(token_->value));
  }

  void handle(const refused& what) {
    switch (what.why.code) {
      case errc::stale_token:
        token_.reset();
        [[fallthrough]];
      case errc::lock_held:
      case errc::timed_out:
        return finish(outcome::fail, {});
      default: // withdrawn with its session
        this->give_up();
    }
  }

  template <class Other>
  void handle(const Other&) {}

  void finish(outcome how, std::optional<std::string> result) {
    ++record().answers;
    record().lines.answer(line_, how, std::move(result), clock());
    this->rest(std::chrono::milliseconds{this->here().random().below(100)});
  }

  std::string name_;
  std::string key_;
  std::optional<lock::fencing_token> token_;
  std::size_t line_ = 0; // in the history, of what is under way
};

struct lock_service_model {
  using machine = lock::lock_table;
  using record = lock_record;
  template <class Home>
  using client = lock_client<Home>;

  static lock::event opening(std::uint64_t floor) {
    return lock::configure{{}, floor};
  }

  static void check(const lock_record& what, findings& found) {
    auto report = judge(lock_model{}, what.lines);
    for (auto& key : report.violated)
      found.broken("linearizability: " + key);
    for (auto& key : report.undecided)
      found.broken("linearizability of " + key + " is undecided");
  }
};

using lock_scenario = service_scenario<lock_service_model>;

} // namespace troupe::sim
