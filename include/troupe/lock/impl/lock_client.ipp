#ifndef TROUPE_LOCK_IMPL_LOCK_CLIENT_IPP
#define TROUPE_LOCK_IMPL_LOCK_CLIENT_IPP

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <random>
#include <utility>

#include "troupe/lock/lock_client.hpp"

namespace troupe::lock {

/// Makes the owner names of one program: random, so that they are unique among programs.
class lock_client::owners {
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

TROUPE_COMPILED lock_client::lock_client(host::client<lock_protocol> service)
  : service_(std::move(service)), names_(std::make_shared<owners>()) {}

TROUPE_COMPILED lock_client::lock_client(caf::actor_system& sys, const lock_actor& service)
  : lock_client(host::client<lock_protocol>{sys, service}) {}

TROUPE_COMPILED result<lease> lock_client::acquire(const std::string& name,
                                                   const hold_options& how) {
  return service_.ask(lock::acquire{name, names_->next(), how.ttl, how.wait, how.label, how.mode},
                      how.wait + how.answer_within);
}

TROUPE_COMPILED void lock_client::acquire(const std::string& name, const hold_options& how,
                                          std::function<void(const result<lease>&)> done) {
  service_.async(lock::acquire{name, names_->next(), how.ttl, how.wait, how.label, how.mode},
                 how.wait + how.answer_within, std::move(done));
}

TROUPE_COMPILED bool lock_client::has_asked_for(const lease& held) const {
  return names_->has(held.owner);
}

TROUPE_COMPILED result<lease> lock_client::renew(const lease& held, duration ttl, duration wait) {
  return service_.ask(lock::renew{held.name, held.token, ttl}, wait);
}

TROUPE_COMPILED result<lease> lock_client::release(const lease& held, duration wait) {
  return service_.ask(lock::release{held.name, held.token}, wait);
}

TROUPE_COMPILED result<revoked_leases> lock_client::force_release(const std::string& name) {
  return service_.ask(lock::force_release{name}, answer_within);
}

TROUPE_COMPILED result<lock_view> lock_client::find(const std::string& name) {
  return service_.ask(find_lock{name}, answer_within);
}

TROUPE_COMPILED result<lock_page> lock_client::list(const list_locks& question) {
  return service_.ask(question, answer_within);
}

} // namespace troupe::lock

#endif
