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
  /// A name of the holder for people to read.
  std::string label{};
  /// For auto_renew_lock: the lock counts as lost this long before the end of a lease that could
  /// not be renewed, so that the work it protects can end in time. From 0 to a third of ttl.
  duration margin{};
  /// How long the service may take to answer, in addition to the wait in line.
  duration answer_within = std::chrono::seconds{10};
};

/// A program's client of one lock service, on this node or another. Each attempt to hold a lock
/// gets an owner of its own, so that no two attempts share a lease by accident; the session
/// recognizes repeats. Copies share a session. Thread-safe; calls block, so do not make them
/// inside an actor. Errors: those of lock_table::step and of host::client.
class lock_client {
public:
  TROUPE_COMPILED explicit lock_client(host::client<lock_protocol> service);

  TROUPE_COMPILED lock_client(caf::actor_system& sys, const lock_actor& service);

  TROUPE_COMPILED result<lease> acquire(const std::string& name, const hold_options& how = {});

  /// The same without blocking: calls `done`, which must not block, on an actor.
  TROUPE_COMPILED void acquire(const std::string& name, const hold_options& how,
                               std::function<void(const result<lease>&)> done);

  /// Returns whether this client, or a copy of it, has asked for the lease `held`.
  [[nodiscard]] TROUPE_COMPILED bool has_asked_for(const lease& held) const;

  TROUPE_COMPILED result<lease> renew(const lease& held, duration ttl,
                                      duration wait = answer_within);

  TROUPE_COMPILED result<lease> release(const lease& held, duration wait = answer_within);

  /// For operators: ends all leases of the lock.
  TROUPE_COMPILED result<revoked_leases> force_release(const std::string& name);

  TROUPE_COMPILED result<lock_view> find(const std::string& name);

  TROUPE_COMPILED result<lock_page> list(const list_locks& question = {});

  [[nodiscard]] host::client<lock_protocol>& service() {
    return service_;
  }

  /// How long the service may take by default.
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
