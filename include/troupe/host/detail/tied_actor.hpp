#pragma once

#include <mutex>
#include <utility>

#include "caf/actor.hpp"
#include "troupe/core/compiled.hpp"

namespace troupe::host::detail {

/// An actor that ends when this does, or before when the client is closed that it is tied to (see
/// client::tie()): so that its owner may outlive the actor system. Thread-safe.
class tied_actor {
public:
  explicit tied_actor(caf::actor what) : actor_(std::move(what)) {}

  tied_actor(const tied_actor&) = delete;
  tied_actor& operator=(const tied_actor&) = delete;

  ~tied_actor() {
    end();
  }

  /// Sends the actor an exit message, once. Afterwards nobody uses it or its actor system here.
  TROUPE_COMPILED void end();

  /// Runs `job(const caf::actor&)`, which must be brief, unless the actor was told to end. Returns
  /// whether it ran.
  template <class Job>
  bool use(Job job) const {
    std::lock_guard guard{mutex_};
    if (!actor_)
      return false;
    job(actor_);
    return true;
  }

private:
  mutable std::mutex mutex_;
  caf::actor actor_;
};

} // namespace troupe::host::detail

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/host/impl/tied_actor.ipp"
#endif
