#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/visit.hpp"
#include "troupe/lock/lock_table.hpp"
#include "troupe/sim/world/recording_client.hpp"

namespace troupe::sim {

/// What clients of a lock service saw.
struct lock_record : client_record {
  std::uint64_t keys = 0;
};

/// A client of a lock service. It uses one lock, which it shares with other clients, and another
/// lock after it has become a new client. `Derived` decides what it does:
///
///     void begin();                        hold(), renew() or release()
///     void has(const lock::lease&);        it holds the lock, newly or for longer
///     void has_not();                      it no longer holds it, or that is unknown
template <class Derived, class Home>
class lock_user : public recording_client<Derived, Home, lock::lock_table> {
  using base = recording_client<Derived, Home, lock::lock_table>;

public:
  explicit lock_user(Home& here) : base(here) {
    take_key();
  }

  void be_another() {
    take_key();
    self().has_not();
  }

  void answered(const lock::effect& what) {
    troupe::visit([&](const auto& each) { handle(each); }, what);
  }

protected:
  [[nodiscard]] const std::string& key() const {
    return key_;
  }

  /// Acquires the lock. Half of the time it waits in line if another client has it.
  void hold(duration ttl, lock::lock_mode mode = lock::lock_mode::exclusive) {
    auto wait
      = this->here().random().one_in(2) ? duration::zero() : duration{std::chrono::seconds{2}};
    begin_call(mode == lock::lock_mode::shared ? "acquire_shared" : "acquire", {}, ttl);
    this->ask(lock::acquire{key_, this->name() + '/' + std::to_string(++holds_), ttl, wait,
                            this->name(), mode});
  }

  void renew(lock::fencing_token held, duration ttl) {
    begin_call("renew", held, ttl);
    this->ask(lock::renew{key_, held, ttl});
  }

  void release(lock::fencing_token held) {
    begin_call("release", held, {});
    this->ask(lock::release{key_, held});
  }

private:
  Derived& self() {
    return static_cast<Derived&>(*this);
  }

  void take_key() {
    this->rename();
    key_ = "key-" + std::to_string(++this->record().keys / 3); // three clients share one
  }

  void begin_call(const std::string& verb, std::optional<lock::fencing_token> held, duration ttl) {
    verb_ = verb;
    auto text = [](auto number) { return std::optional{std::to_string(number)}; };
    this->call(key_, verb, held ? text(held->value) : std::nullopt,
               ttl > duration::zero() ? text(ttl.count()) : std::nullopt);
  }

  void handle(const lock::accepted& what) {
    auto& lease = what.value;
    this->finish(outcome::ok, verb_.starts_with("acquire")
                                ? std::optional{std::to_string(lease.token.value)}
                                : std::nullopt);
    if (verb_ == "release")
      self().has_not();
    else
      self().has(lease);
  }

  void handle(const refused& what) {
    switch (what.why.code) {
      case errc::stale_token:
        self().has_not();
        [[fallthrough]];
      case errc::lock_held:
      case errc::timed_out:
        return this->finish(outcome::fail);
      default: // withdrawn with its session
        this->give_up();
    }
  }

  template <class Other>
  void handle(const Other&) {}

  std::string key_;
  std::uint64_t holds_ = 0;
  std::string verb_; // of the current request
};

/// A lock service with `Client`s, for a simulation.
template <class Record, template <class Home> class Client>
struct lock_service_model {
  using machine = lock::lock_table;
  using record = Record;
  template <class Home>
  using client = Client<Home>;

  static lock::event opening(std::uint64_t floor) {
    return lock::configure{{}, floor};
  }
};

} // namespace troupe::sim
