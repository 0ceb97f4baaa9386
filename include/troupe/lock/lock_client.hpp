#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client.hpp"
#include "troupe/lock/messages.hpp"

namespace troupe::lock {

/// How to hold a lock.
struct hold_options {
  /// The lease: how long the lock stays with a holder that was killed.
  duration ttl = std::chrono::seconds{10};
  /// How long to wait in line; zero means try once.
  duration wait{};
  /// Alone, or shared with others that share it.
  lock_mode mode = lock_mode::exclusive;
  /// Names the holder to people.
  std::string label{};
  /// For auto_renew_lock: it is lost so long before the end of a lease that could not be renewed,
  /// so that what runs under it can end in time. Up to a third of ttl.
  duration margin{};
  /// How long the service may take to answer, beside the wait in line.
  duration answer_within = std::chrono::seconds{10};
};

/// The locks of one service, here or on another node, for a program. Each attempt to
/// hold gets an owner of its own, so that no two share a lease by accident; repeats are
/// known by the session. Copies share a session. Thread-safe; calls block, so not from
/// inside an actor. Errors: those of lock_table::step and of host::client.
class lock_client {
public:
  TROUPE_COMPILED explicit lock_client(host::client<lock_protocol> service);

  TROUPE_COMPILED lock_client(caf::actor_system& sys, const lock_actor& service);

  TROUPE_COMPILED result<lease> acquire(const std::string& name, const hold_options& how = {});

  /// Returns whether this client, or a copy of it, has asked for what `held` is.
  [[nodiscard]] TROUPE_COMPILED bool has_asked_for(const lease& held) const;

  TROUPE_COMPILED result<lease> renew(const lease& held, duration ttl,
                                      duration wait = answer_within);

  TROUPE_COMPILED result<lease> release(const lease& held, duration wait = answer_within);

  /// For operators: takes the lock from whoever holds it.
  TROUPE_COMPILED result<revoked_leases> force_release(const std::string& name);

  TROUPE_COMPILED result<lock_view> find(const std::string& name);

  TROUPE_COMPILED result<lock_page> list(const list_locks& question = {});

  [[nodiscard]] host::client<lock_protocol>& service() {
    return service_;
  }

  /// How long the service may take, where nothing else is said.
  static constexpr duration answer_within = std::chrono::seconds{10};

private:
  class owners;

  host::client<lock_protocol> service_;
  std::shared_ptr<owners> names_;
};

} // namespace troupe::lock

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/lock/impl/lock_client.ipp"
#endif
