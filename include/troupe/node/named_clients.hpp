#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/client_options.hpp"
#include "troupe/host/detail/service_caller.hpp"
#include "troupe/host/types.hpp"

namespace troupe::cluster {

/// One client for each service of a cluster by its name, ours and those that programs bring; made
/// when it is first asked for, and kept as long as this. Calls wait, within their deadlines, while
/// the services are out of reach. Thread-safe.
class named_clients {
public:
  TROUPE_COMPILED named_clients(caf::actor_system& sys, const host::client_options& how);

  /// Never null; withdraws all after close().
  [[nodiscard]] TROUPE_COMPILED std::shared_ptr<host::detail::service_caller>
  get(const std::string& name);

  /// Ends them all, copies included, so that their actor system can end.
  TROUPE_COMPILED void close();

  /// The same, and waits up to `wait` until the services have heard of it, as far as they are in
  /// reach: sessions end at once, then, not after their term.
  TROUPE_COMPILED void close(duration wait);

  /// They will be out of reach for a while: see host::client::refuse().
  TROUPE_COMPILED void refuse(const problem& why);

  /// The last try to reach them has failed because of `why`; see host::client_core::hinder.
  TROUPE_COMPILED void hinder(const problem& why);

  /// See host::client::on_doubt().
  TROUPE_COMPILED void on_doubt(const std::function<void()>& job);

  /// The services are there from now on, by their names; those that are missing nowhere. They had
  /// come to these records, as far as that is known.
  TROUPE_COMPILED void bind(const std::map<std::string, caf::strong_actor_ptr>& where,
                            const std::map<std::string, request_id>& records);

  /// That one is there from now on, whatever bind() and refuse() say; null: out of reach, and for
  /// a while if it is known why.
  TROUPE_COMPILED void pin(const std::string& name, const caf::strong_actor_ptr& where,
                           const problem& why = {});

private:
  using caller = host::detail::service_caller;

  // Under the lock.

  void bind(const std::string& name, caller& which) const;

  /// Null if it is out of reach.
  [[nodiscard]] caf::strong_actor_ptr find(const std::string& name) const;

  /// Why a service is nowhere; errc::none: it may be found soon.
  [[nodiscard]] problem why_nowhere(const std::string& name) const;

  /// For a service of a program; a node has ours with all their requests, or an older release.
  static problem of_another_type(const std::string& name);

  caf::actor_system& sys_;
  const host::client_options how_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<caller>> callers_;
  bool is_closed_ = false;
  std::map<std::string, caf::strong_actor_ptr> where_;
  struct pinned {
    caf::strong_actor_ptr where;
    problem why;
  };

  std::map<std::string, pinned> pinned_;
  std::map<std::string, request_id> records_;
  problem why_;
  problem hindrance_;
  std::function<void()> doubt_;
};

} // namespace troupe::cluster

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/named_clients.ipp"
#endif
