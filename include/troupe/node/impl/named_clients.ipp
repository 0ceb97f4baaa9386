#ifndef TROUPE_NODE_IMPL_NAMED_CLIENTS_IPP
#define TROUPE_NODE_IMPL_NAMED_CLIENTS_IPP

#include <algorithm>
#include <chrono>

#include "troupe/cluster/service_names.hpp"
#include "troupe/node/named_clients.hpp"

namespace troupe::cluster {

TROUPE_COMPILED named_clients::named_clients(caf::actor_system& sys,
                                             const host::client_options& how)
  : sys_(sys), how_(how) {}

TROUPE_COMPILED std::shared_ptr<host::detail::service_caller>
named_clients::get(const std::string& name) {
  std::lock_guard guard{mutex_};
  auto& found = callers_[name];
  if (found)
    return found;
  auto how = how_;
  if (!is_ours(name))
    how.unknown_request = of_another_type(name);
  found = std::make_shared<caller>(sys_, how);
  if (is_closed_) {
    found->close();
    return found;
  }
  if (doubt_)
    found->on_doubt(doubt_);
  bind(name, *found);
  return found;
}

TROUPE_COMPILED void named_clients::close() {
  std::lock_guard guard{mutex_};
  is_closed_ = true;
  for (auto& [name, each] : callers_)
    each->close();
  where_.clear();
  pinned_.clear();
}

TROUPE_COMPILED void named_clients::close(duration wait) {
  close();
  auto end = std::chrono::steady_clock::now() + wait;
  std::lock_guard guard{mutex_};
  for (auto& [name, each] : callers_)
    each->close(std::max<duration>(end - std::chrono::steady_clock::now(), {}));
}

TROUPE_COMPILED void named_clients::refuse(const problem& why) {
  std::lock_guard guard{mutex_};
  why_ = why;
  for (auto& [name, each] : callers_)
    if (!find(name) && !pinned_.contains(name))
      each->refuse(why_nowhere(name));
}

TROUPE_COMPILED void named_clients::hinder(const problem& why) {
  std::lock_guard guard{mutex_};
  if (hindrance_ == why)
    return;
  hindrance_ = why;
  for (auto& [name, each] : callers_)
    if (!pinned_.contains(name))
      each->hinder(why);
}

TROUPE_COMPILED void named_clients::pin(const std::string& name, const caf::strong_actor_ptr& where,
                                        const problem& why) {
  std::lock_guard guard{mutex_};
  pinned_[name] = {where, why};
  if (auto found = callers_.find(name); found != callers_.end() && !is_closed_)
    bind(name, *found->second);
}

TROUPE_COMPILED void named_clients::on_doubt(const std::function<void()>& job) {
  std::lock_guard guard{mutex_};
  doubt_ = job;
  for (auto& [name, each] : callers_)
    each->on_doubt(job);
}

TROUPE_COMPILED void named_clients::bind(const std::map<std::string, caf::strong_actor_ptr>& where,
                                         const std::map<std::string, request_id>& records) {
  std::lock_guard guard{mutex_};
  if (is_closed_)
    return;
  where_ = where;
  records_ = records;
  if (!where_.empty())
    hindrance_ = {};
  for (auto& [name, each] : callers_)
    bind(name, *each);
}

inline void named_clients::bind(const std::string& name, caller& which) const {
  auto there = find(name);
  auto record = records_.find(name);
  which.set_target(there, record != records_.end() ? record->second : 0);
  if (there)
    return;
  which.refuse(why_nowhere(name));
  if (!pinned_.contains(name))
    which.hinder(hindrance_);
}

inline caf::strong_actor_ptr named_clients::find(const std::string& name) const {
  if (auto found = pinned_.find(name); found != pinned_.end())
    return found->second.where;
  auto found = where_.find(name);
  return found != where_.end() ? found->second : nullptr;
}

inline problem named_clients::of_another_type(const std::string& name) {
  return {errc::wrong_type, "the service '" + name.substr(0, 64)
                              + "' does not know this request: it has another type, or its node "
                                "has an older release of the program; ask for the type that it "
                                "has, or upgrade the node that leads"};
}

inline problem named_clients::why_nowhere(const std::string& name) const {
  if (auto found = pinned_.find(name); found != pinned_.end())
    return found->second.why;
  if (why_ || where_.empty())
    return why_;
  return {errc::not_found, "the node that leads the cluster does not have the service '"
                             + name.substr(0, 64)
                             + "': see its name, add it to the program of that node "
                               "(node_options::services), or have a node lead that has it"};
}

} // namespace troupe::cluster

#endif
