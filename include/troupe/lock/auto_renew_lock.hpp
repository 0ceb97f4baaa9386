#pragma once

#include <functional>
#include <memory>
#include <string>

#include "caf/actor_clock.hpp"
#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/lock/lock_client.hpp"

namespace troupe::lock {

/// Called once, on a thread of the actor system, when a lock is lost before its release.
/// Must not block.
using lost_handler = std::function<void(const problem& why)>;

namespace detail {

struct hold_status;

} // namespace detail

/// Holds a lock as long as this object lives: renews the lease in the background after each
/// third of its ttl, tells the holder when the lock is lost, and releases it at the end. It counts
/// as lost, too, once the cluster denies a renewal, as one of a revoked certificate.
///
/// held() is true only while the lease is certain: the lease counts from the moment the last
/// renewal was *sent*, and after a wait in line it is renewed once before it counts as held.
/// A program that was paused between held() and a write may still write late, so guard what
/// matters with token() and a fenced_store.
///
/// Movable; calls are thread-safe. Ends with its client, as where its node stops: held() is false
/// then, the holder is told (withdrawn), release() ends with withdrawn, and the lock is free when
/// its lease has run out. Must end before its actor_system does, unless its client was closed
/// before, as those of a node are.
class auto_renew_lock {
public:
  /// Blocks until the lock is held or `how.wait` is over. Errors: those of
  /// lock_client::acquire; bad_argument for a margin that is out of its bounds.
  TROUPE_COMPILED static result<auto_renew_lock> hold(caf::actor_system& sys, lock_client locks,
                                                      const std::string& name,
                                                      const hold_options& how = {},
                                                      lost_handler on_lost = {});

  /// The same without blocking: calls `done`, which must not block, on an actor.
  TROUPE_COMPILED static void hold(caf::actor_system& sys, lock_client locks,
                                   const std::string& name, const hold_options& how,
                                   lost_handler on_lost,
                                   std::function<void(result<auto_renew_lock>)> done);

  /// Holds the lease `granted`, which `locks` asked for at `asked`. Renews it first if `how.wait`
  /// is not zero or the lease may have run out since; gives it back if that fails. Blocks. Errors:
  /// those of lock_client::renew; bad_argument for a margin that is out of its bounds.
  TROUPE_COMPILED static result<auto_renew_lock>
  keep(caf::actor_system& sys, lock_client locks, lease granted, caf::actor_clock::time_point asked,
       const hold_options& how = {}, lost_handler on_lost = {});

  auto_renew_lock(auto_renew_lock&&) noexcept = default;

  TROUPE_COMPILED auto_renew_lock& operator=(auto_renew_lock&& other) noexcept;

  TROUPE_COMPILED ~auto_renew_lock();

  [[nodiscard]] TROUPE_COMPILED bool held() const;

  [[nodiscard]] TROUPE_COMPILED fencing_token token() const;

  /// The lease as it was granted, for a fenced_store.
  [[nodiscard]] TROUPE_COMPILED const lease& value() const;

  /// Gives the lock back and waits up to `wait` for the answer. Blocks.
  TROUPE_COMPILED result<lease> release(duration wait = lock_client::answer_within);

  /// Gives the lock back without waiting; calls `done`, which must not block, on an actor.
  TROUPE_COMPILED void release(duration wait, std::function<void(const result<lease>&)> done);

private:
  TROUPE_COMPILED auto_renew_lock(caf::actor_system& sys, lock_client locks, lease granted,
                                  duration margin, caf::actor_clock::time_point sent,
                                  lost_handler on_lost);

  TROUPE_COMPILED void stop();

  TROUPE_COMPILED void let_go();

  lock_client locks_;
  std::shared_ptr<detail::hold_status> status_;
  std::shared_ptr<host::detail::tied_actor> renewer_;
};

} // namespace troupe::lock

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/lock/impl/auto_renew_lock.ipp"
#endif
