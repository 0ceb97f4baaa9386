#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "troupe/sim/laws/lease_model.hpp"
#include "troupe/sim/scenarios/service_scenario.hpp"
#include "troupe/sim/world/lock_user.hpp"

namespace troupe::sim {

/// A resource guarded by a lock: refuses writes with an older fencing token than it has seen, as
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
struct lease_record : lock_record {
  std::map<std::string, fenced_resource> resources;
  /// Writes that were accepted, writes refused to holders that had overslept, and writes refused
  /// although the lease cannot have ended.
  std::uint64_t written = 0;
  std::uint64_t fenced_off = 0;
  std::uint64_t wronged = 0;
};

/// The model of leases: no clock is more than 6 % fast (faults::clock_drift is 5 %).
inline constexpr lease_model lease_rules{940'000'000};

/// A client that takes a lock for a short time, writes to the resource, and then renews the lock,
/// releases it, or oversleeps and writes nevertheless. If an outcome is unknown, the lease ends by
/// itself.
template <class Home>
class lease_client : public lock_user<lease_client<Home>, Home> {
  using base = lock_user<lease_client<Home>, Home>;

public:
  using base::base;

  void begin() {
    if (held_)
      return go_on();
    if (this->record().is_over)
      return;
    asked_at_ = this->clock();
    ttl_ = std::chrono::milliseconds{100 + this->here().random().below(900)};
    this->hold(ttl_);
  }

  void has(const lock::lease& what) {
    auto& random = this->here().random();
    held_ = holding{what.token, asked_at_ + lease_rules.shortest(ttl_.count()), random.one_in(4)};
    write();
    auto part = static_cast<std::uint64_t>(ttl_.count()) / (held_->oversleeps ? 1 : 2);
    this->rest(duration{static_cast<std::int64_t>(random.below(part))});
  }

  void has_not() {
    held_.reset();
  }

private:
  struct holding {
    lock::fencing_token token;
    std::int64_t ends = 0; // at the earliest
    bool oversleeps = false;
  };

  /// The next step of a client that holds the lock, or did.
  void go_on() {
    write();
    auto& random = this->here().random();
    if (held_->oversleeps) {
      if (random.one_in(2))
        return this->rest(ttl_);
      held_.reset(); // and never releases it
      return this->rest(std::chrono::milliseconds{random.below(100)});
    }
    asked_at_ = this->clock();
    if (!this->record().is_over && random.one_in(2))
      this->renew(held_->token, ttl_);
    else
      this->release(held_->token);
  }

  void write() {
    auto& record = this->record();
    auto is_taken = record.resources[this->key()].write(held_->token.value);
    if (is_taken)
      ++record.written;
    else
      ++(this->clock() < held_->ends ? record.wronged : record.fenced_off);
  }

  duration ttl_{};
  std::int64_t asked_at_ = 0;
  std::optional<holding> held_;
};

struct short_leases : lock_service_model<lease_record, lease_client> {
  static void check(const lease_record& what, findings& found) {
    check_history(lease_rules, what.lines, found);
    if (what.wronged > 0)
      found.broken("leases: " + std::to_string(what.wronged)
                   + " writes were refused to holders whose leases cannot have ended");
  }
};

/// Holders of short leases, some of which oversleep, and their guarded resources.
using lease_scenario = service_scenario<short_leases>;

} // namespace troupe::sim
