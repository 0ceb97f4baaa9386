#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <utility>

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
  explicit lock_client(host::client<lock_protocol> service)
    : service_(std::move(service)), names_(std::make_shared<owners>()) {}

  lock_client(caf::actor_system& sys, const lock_actor& service)
    : lock_client(host::client<lock_protocol>{sys, service}) {}

  result<lease> acquire(const std::string& name, const hold_options& how = {}) {
    return service_.ask(lock::acquire{name, names_->next(), how.ttl, how.wait, how.label, how.mode},
                        how.wait + how.answer_within);
  }

  /// Returns whether this client, or a copy of it, has asked for what `held` is.
  [[nodiscard]] bool has_asked_for(const lease& held) const {
    return names_->has(held.owner);
  }

  result<lease> renew(const lease& held, duration ttl, duration wait = answer_within) {
    return service_.ask(lock::renew{held.name, held.token, ttl}, wait);
  }

  result<lease> release(const lease& held, duration wait = answer_within) {
    return service_.ask(lock::release{held.name, held.token}, wait);
  }

  /// For operators: takes the lock from whoever holds it.
  result<revoked_leases> force_release(const std::string& name) {
    return service_.ask(lock::force_release{name}, answer_within);
  }

  result<lock_view> find(const std::string& name) {
    return service_.ask(find_lock{name}, answer_within);
  }

  result<lock_page> list(const list_locks& question = {}) {
    return service_.ask(question, answer_within);
  }

  [[nodiscard]] host::client<lock_protocol>& service() {
    return service_;
  }

  /// How long the service may take, where nothing else is said.
  static constexpr duration answer_within = std::chrono::seconds{10};

private:
  /// Makes the owners of one program: random, so that no other has them.
  class owners {
  public:
    owners() {
      std::random_device source;
      char text[33];
      std::snprintf(text, sizeof(text), "%08x%08x%08x%08x", source(), source(), source(), source());
      program_ = text;
    }

    std::string next() {
      return program_ + '/' + std::to_string(++attempts_);
    }

    [[nodiscard]] bool has(const std::string& owner) const {
      return owner.starts_with(program_ + '/');
    }

  private:
    std::string program_;
    std::atomic<std::uint64_t> attempts_ = 0;
  };

  host::client<lock_protocol> service_;
  std::shared_ptr<owners> names_;
};

} // namespace troupe::lock
