#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "troupe/lock/lock_table.hpp"
#include "troupe/sim/history.hpp"
#include "troupe/sim/lease_model.hpp"
#include "troupe/sim/service_scenario.hpp"
#include "troupe/sim/session_client.hpp"

namespace troupe::sim {

/// A resource that a lock guards: it takes no write with an older token than it has seen, as
/// lock::fenced_store does.
class fenced_resource {
public:
  /// Returns whether the write was taken.
  bool write(std::uint64_t token) {
    if (token < mark_)
      return false;
    mark_ = token;
    return true;
  }

private:
  std::uint64_t mark_ = 0;
};

/// What holders of short leases saw.
struct lease_record {
  history lines;
  std::map<std::string, fenced_resource> resources;
  /// Writes that were taken, those refused to holders who had overslept, and those refused
  /// though their lease cannot have ended.
  std::uint64_t written = 0;
  std::uint64_t fenced_off = 0;
  std::uint64_t wronged = 0;
  std::uint64_t clients = 0;
  std::uint64_t keys = 0;
  std::uint64_t answers = 0;
  bool is_over = false;
};

/// How leases are judged: no clock is more than 6 % fast (faults::clock_drift is 5 %).
inline constexpr lease_model lease_rules{940'000'000};

/// A client that takes a lock for a moment, writes to what it guards, and then renews it,
/// gives it back, or oversleeps and writes all the same.
template <class Home>
class lease_client : public session_client<lease_client<Home>, Home, lock::lock_table> {
  using base = session_client<lease_client<Home>, Home, lock::lock_table>;

public:
  explicit lease_client(Home& here) : base(here) {
    be_another();
  }

  void begin() {
    if (held_)
      return go_on();
    if (!record().is_over)
      acquire();
  }

  void answered(const lock::effect& what) {
    std::visit([&](const auto& each) { handle(each); }, what);
  }

  /// Whoever does not know an outcome is never heard of again; its lease ends by itself.
  void lost() {
    be_another();
  }

private:
  struct holding {
    lock::fencing_token token;
    duration ttl{};
    std::int64_t ends = 0; // at the earliest
    bool oversleeps = false;
  };

  [[nodiscard]] lease_record& record() {
    return this->here().setting().record;
  }

  [[nodiscard]] std::int64_t clock() {
    return this->here().now().time_since_epoch().count(); // clients have true clocks
  }

  void be_another() {
    name_ = "client-" + std::to_string(++record().clients);
    key_ = "key-" + std::to_string(++record().keys / 3); // three share one
    held_.reset();
  }

  [[nodiscard]] std::int64_t shortest(duration ttl) const {
    return ttl.count() / 1'000 * (lease_rules.shortest_second / 1'000'000);
  }

  void call(std::string verb, std::optional<std::string> token, duration ttl) {
    asked_at_ = clock();
    step_of_history line{std::move(verb), std::move(token), {}, {}, outcome::unknown, asked_at_};
    if (ttl > duration::zero())
      line.second = std::to_string(ttl.count());
    verb_ = line.verb;
    line_ = record().lines.call(name_, key_, std::move(line));
  }

  void acquire() {
    auto& random = this->here().random();
    ttl_ = std::chrono::milliseconds{100 + random.below(900)};
    auto wait = random.one_in(2) ? duration::zero() : duration{std::chrono::seconds{2}};
    call("acquire", {}, ttl_);
    this->ask(lock::acquire{key_, name_ + '/' + std::to_string(this->number()), ttl_, wait, name_,
                            lock::lock_mode::exclusive});
  }

  /// Of one that holds, or did.
  void go_on() {
    write();
    auto& random = this->here().random();
    auto token = std::to_string(held_->token.value);
    if (held_->oversleeps) {
      if (random.one_in(2))
        return this->rest(held_->ttl);
      held_.reset(); // and never gives it back
      return this->rest(std::chrono::milliseconds{random.below(100)});
    }
    if (!record().is_over && random.one_in(2)) {
      call("renew", token, held_->ttl);
      return this->ask(lock::renew{key_, held_->token, held_->ttl});
    }
    call("release", token, {});
    this->ask(lock::release{key_, held_->token});
  }

  void write() {
    auto is_taken = record().resources[key_].write(held_->token.value);
    if (is_taken)
      ++record().written;
    else
      ++(clock() < held_->ends ? record().wronged : record().fenced_off);
  }

  void handle(const lock::accepted& what) {
    auto& random = this->here().random();
    if (verb_ == "release") {
      held_.reset();
      return finish(outcome::ok, {});
    }
    held_ = holding{what.value.token, ttl_, asked_at_ + shortest(ttl_), random.one_in(4)};
    write();
    finish(outcome::ok,
           verb_ == "acquire" ? std::optional{std::to_string(held_->token.value)} : std::nullopt);
    auto part = static_cast<std::uint64_t>(ttl_.count()) / (held_->oversleeps ? 1 : 2);
    this->rest(duration{static_cast<std::int64_t>(random.below(part))});
  }

  void handle(const refused& what) {
    switch (what.why.code) {
      case errc::stale_token:
        held_.reset();
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
  duration ttl_{};
  std::string verb_; // of what is under way
  std::int64_t asked_at_ = 0;
  std::size_t line_ = 0; // in the history
  std::optional<holding> held_;
};

struct lease_service_model {
  using machine = lock::lock_table;
  using record = lease_record;
  template <class Home>
  using client = lease_client<Home>;

  static lock::event opening(std::uint64_t floor) {
    return lock::configure{{}, floor};
  }

  static void check(const lease_record& what, findings& found) {
    auto report = judge(lease_rules, what.lines);
    for (auto& key : report.violated)
      found.broken("linearizability of leases: " + key);
    for (auto& key : report.undecided)
      found.broken("linearizability of leases of " + key + " is undecided");
    if (what.wronged > 0)
      found.broken("leases: " + std::to_string(what.wronged)
                   + " writes were refused to holders whose leases cannot have ended");
  }
};

/// Holders of short leases, some of whom oversleep, and what their locks guard.
using lease_scenario = service_scenario<lease_service_model>;

} // namespace troupe::sim
