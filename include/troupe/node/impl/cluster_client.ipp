#ifndef TROUPE_NODE_IMPL_CLUSTER_CLIENT_IPP
#define TROUPE_NODE_IMPL_CLUSTER_CLIENT_IPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "caf/actor_cast.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/print_to_stderr.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/node/access_part.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/init.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/router/client_end.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/scheduler/workflow_client.hpp"
#include "troupe/security/credentials.hpp"

namespace troupe::cluster {

/// Another try may do better: the node may be starting.
inline bool may_come_right(errc code) {
  return code != errc::bad_argument && code != errc::incompatible && code != errc::denied;
}

} // namespace troupe::cluster

namespace troupe {

TROUPE_COMPILED result<std::unique_ptr<cluster_client>>
cluster_client::connect(std::vector<net::address> addresses, duration wait,
                        const net::link_options& links, const std::filesystem::path& identity) {
  if (addresses.empty())
    return problem{errc::bad_argument, "there is no address to connect to; give at least one"};
  std::unique_ptr<cluster_client> made{new cluster_client};
  if (auto why = made->start(std::move(addresses), wait, links, identity))
    return why;
  std::unique_lock guard{made->mutex_};
  auto& here = *made;
  auto is_connected = [&here] { return here.entry_ || here.contact_; };
  // One of several addresses may be a stranger's.
  auto decided = [&] { return is_connected() || here.hopeless_ >= here.addresses_; };
  if (!here.changed_.wait_for(guard, wait, decided) || !is_connected()) {
    auto why
      = here.last_problem_
          ? here.last_problem_
          : problem{errc::timed_out, "no answer in time; see that a troupe node listens there, "
                                     "or wait longer"};
    guard.unlock();
    return why;
  }
  // Where somebody leads, that is found at once.
  constexpr duration moment = std::chrono::seconds{1};
  here.changed_.wait_for(guard, std::min(wait, moment),
                         [&] { return here.entry_ || here.last_problem_; });
  guard.unlock();
  return made;
}

TROUPE_COMPILED cluster_client::~cluster_client() {
  messages_.stop();
  clients_->close(std::chrono::seconds{1}); // before the links
  if (access_) {
    wait_for_ends(system_, {caf::actor_cast<caf::strong_actor_ptr>(access_)}, [this] {
      run_on_state<cluster::client_access>(access_,
                                           [](cluster::client_access& state) { state.stop(); });
    });
  }
  if (gate_)
    gate_->stop();
  access_ = nullptr; // links are heard of until here
  entry_ = contact_ = voters_ = nullptr;
  clients_.reset();
  cluster::own_system<config>::end(std::move(own_system_));
}

TROUPE_COMPILED lock::lock_client cluster_client::locks() {
  return lock::lock_client{clients_->locks};
}

TROUPE_COMPILED state::state_client cluster_client::state(duration wait) {
  return state::state_client{system_, clients_->state, wait};
}

TROUPE_COMPILED scheduler::workflow_client cluster_client::workflows(duration wait) {
  return scheduler::workflow_client{clients_->scheduler, wait};
}

TROUPE_COMPILED registry::registry_client cluster_client::registry(duration wait) {
  return registry::registry_client{system_, clients_->registry, wait};
}

TROUPE_COMPILED result<net::link_ptr> cluster_client::link_to(const net::address& where,
                                                              duration wait) {
  auto endpoints = net::resolve(where);
  if (!endpoints)
    return endpoints.error();
  auto deadline = std::chrono::steady_clock::now() + wait;
  for (;;) {
    using link = result<net::link_ptr>;
    auto got = wait_for<link>(
      [&](std::function<void(link)> done) {
        gate_->dial(*endpoints, std::nullopt, std::move(done));
      },
      deadline - std::chrono::steady_clock::now(),
      [&](unheard) -> link {
        return problem{errc::timed_out, to_string(where) + " made no link in time; wait longer"};
      });
    if (!got || keep((*got)->number(), deadline))
      return got;
  }
}

TROUPE_COMPILED result<void> cluster_client::await_services(duration wait) {
  std::unique_lock guard{mutex_};
  changed_.wait_for(guard, wait, [this] { return entry_ || why_ || denied_; });
  if (entry_)
    return {};
  if (denied_)
    return denied_;
  if (why_)
    return why_;
  if (last_problem_)
    return last_problem_;
  return problem{errc::timed_out, "no node that leads was found in time; wait longer"};
}

TROUPE_COMPILED result<cluster::node_view> cluster_client::look(duration wait) {
  auto deadline = std::chrono::steady_clock::now() + wait;
  auto there = knowledge(deadline);
  if (!there)
    return there.error();
  return ask<cluster::node_view>(*there, deadline, cluster::show_node{});
}

TROUPE_COMPILED result<cluster::node_view> cluster_client::look_at(const net::address& where,
                                                                   duration wait) {
  auto deadline = std::chrono::steady_clock::now() + wait;
  auto link = link_to(where, wait);
  if (!link)
    return link.error();
  auto there = knowledge((*link)->entry_point(), deadline);
  if (!there)
    return there.error();
  return ask<cluster::node_view>(*there, deadline, cluster::show_node{});
}

TROUPE_COMPILED result<caf::actor>
cluster_client::knowledge(std::chrono::steady_clock::time_point deadline) {
  caf::strong_actor_ptr entry;
  {
    std::unique_lock guard{mutex_};
    changed_.wait_until(guard, deadline, [this] { return entry_ || contact_ || denied_; });
    if (!entry_ && !contact_ && denied_)
      return denied_;
    if (!entry_ && contact_)
      kept_.insert(contact_link_);
    entry = entry_ ? entry_ : contact_;
  }
  return knowledge(entry, deadline);
}

TROUPE_COMPILED result<caf::actor>
cluster_client::knowledge(const caf::strong_actor_ptr& entry,
                          std::chrono::steady_clock::time_point deadline) {
  if (!entry)
    return problem{errc::unreachable, "no node of the cluster answers; retry once one is back"};
  auto found = ask<router::service_place>(caf::actor_cast<caf::actor>(entry), deadline,
                                          router::find_service{cluster::knowledge_name});
  if (!found)
    return found.error();
  if (!found->handle)
    return problem{errc::unreachable, "the node is starting or stopping; retry"};
  return caf::actor_cast<caf::actor>(found->handle);
}

TROUPE_COMPILED void cluster_client::know_by(const caf::strong_actor_ptr& entry) {
  if (!entry)
    return; // another node may answer soon
  run_on_state<cluster::client_access>(access_, [this, entry](cluster::access_part& access) {
    auto use = [this, entry](const caf::strong_actor_ptr& found) {
      std::unique_lock guard{mutex_};
      if (!found || denied_ || entry != (entry_ ? entry_ : contact_))
        return; // by now it is another one
      guard.unlock();
      clients_->know_by(found);
    };
    access.find_service(entry, cluster::knowledge_name, use);
  });
}

TROUPE_COMPILED cluster_client::config::config() {
  detail::init_own_messages();
  net::configure_links(*this);
  set("caf.scheduler.max-threads", 2);
}

TROUPE_COMPILED cluster_client::cluster_client()
  : own_system_(std::make_unique<cluster::own_system<config>>()),
    system_(own_system_->system()),
    clients_(system_),
    messages_(system_, caf::actor{}) {}

TROUPE_COMPILED bool cluster_client::keep(net::connection_id link,
                                          std::chrono::steady_clock::time_point deadline) {
  std::unique_lock guard{mutex_};
  if (!closing_.contains(link)) {
    kept_.insert(link);
    return true;
  }
  changed_.wait_until(guard, deadline, [&] { return !closing_.contains(link); });
  return false;
}

TROUPE_COMPILED void cluster_client::note_failure(const problem& why) {
  auto is_silence = [](const problem& each) { return each.code == errc::timed_out; };
  silences_ = is_silence(why) ? silences_ + 1 : 0;
  if (!last_problem_ || is_silence(last_problem_) || silences_ == 0 || silences_ >= addresses_)
    last_problem_ = why;
}

TROUPE_COMPILED void cluster_client::close_idle(const net::link_ptr& which) {
  std::lock_guard guard{mutex_};
  if (kept_.contains(which->number()) || !which->reason().empty())
    return;
  closing_.insert(which->number());
  which->close("idle", net::end_cause::idle);
}

TROUPE_COMPILED problem cluster_client::start(std::vector<net::address> addresses, duration wait,
                                              const net::link_options& options,
                                              const std::filesystem::path& identity) {
  print_to_stderr(system_);
  addresses_ = std::max<std::size_t>(addresses.size(), 1);
  cluster::finder_options how{.addresses = std::move(addresses),
                              .idle_after = options.idle_after,
                              .check_every = std::chrono::milliseconds{250},
                              .check_at_rest = std::chrono::seconds{2},
                              .guide_after = std::chrono::seconds{2}};
  // Each address has its turn within half of the time.
  if (addresses_ > 1)
    how.dial_next_after
      = std::min(how.dial_next_after, wait / 2 / static_cast<std::int64_t>(addresses_));
  cluster::access_events events{[this](const cluster::service_binding& place) {
                                  clients_->bind(place.handles, place.records);
                                  auto voters = place.handles.find(cluster::voters_name);
                                  std::lock_guard guard{mutex_};
                                  voters_
                                    = voters != place.handles.end() ? voters->second : nullptr;
                                  has_no_voters_ = !place.has_voters;
                                  address_ = place.where;
                                  entry_ = place.entry;
                                  last_problem_ = {};
                                  changed_.notify_all();
                                  know_by(entry_ ? entry_ : contact_);
                                },
                                [this](const cluster::finder::failed& what) {
                                  auto& why = what.why;
                                  std::unique_lock guard{mutex_};
                                  note_failure(why);
                                  hopeless_ = cluster::may_come_right(why.code) ? 0 : hopeless_ + 1;
                                  changed_.notify_all();
                                  auto last = last_problem_;
                                  guard.unlock();
                                  clients_->hinder(last);
                                },
                                [this](const net::link_ptr& which) { close_idle(which); },
                                [this](const net::link_ptr& which, const net::address& where) {
                                  std::lock_guard guard{mutex_};
                                  contact_ = which ? which->entry_point() : nullptr;
                                  contact_link_ = which ? which->number() : 0;
                                  contact_address_ = where;
                                  if (which)
                                    last_problem_ = {}; // that was of others
                                  changed_.notify_all();
                                  know_by(entry_ ? entry_ : contact_);
                                },
                                [this](const cluster::finder::without_quorum& what) {
                                  std::unique_lock guard{mutex_};
                                  why_ = what.why;
                                  changed_.notify_all();
                                  if (denied_)
                                    return;
                                  guard.unlock();
                                  clients_->refuse(what.why);
                                },
                                [this](const problem& why) {
                                  std::unique_lock guard{mutex_};
                                  denied_ = why;
                                  changed_.notify_all();
                                  auto now = denied_ ? denied_ : why_;
                                  guard.unlock();
                                  if (why)
                                    clients_->know_by(nullptr, why);
                                  clients_->refuse(now);
                                }};
  access_
    = system_.spawn<caf::stateful_actor<cluster::client_access>>(std::move(how), std::move(events));
  clients_->on_doubt([access = access_] {
    run_on_state<cluster::client_access>(access,
                                         [](cluster::access_part& state) { state.doubt(); });
  });
  net::hello self;
  self.as = net::role::client;
  self.node = random_id<node_id>();
  self.boot = 1;
  net::link_events links;
  links.on_down = [this](const net::link_ptr& which, const std::string&) {
    {
      std::lock_guard guard{mutex_};
      kept_.erase(which->number());
      closing_.erase(which->number());
      changed_.notify_all();
    }
    run_on_state<cluster::client_access>(
      access_,
      [number = which->number()](cluster::access_part& state) { state.link_down(number); });
  };
  security::credentials_ptr credentials;
  if (!identity.empty()) {
    auto loaded = security::credentials::load(identity, read_calendar());
    if (!loaded)
      return loaded.error();
    credentials = *std::move(loaded);
  }
  auto made = net::gate::start(system_, std::move(self), router::client_end::make(system_),
                               std::move(links), options, {std::move(credentials)});
  if (!made)
    return made.error();
  gate_ = std::move(*made);
  run_on_state<cluster::client_access>(
    access_, [gate = gate_.get()](cluster::access_part& state) { state.start(gate); });
  return {};
}

} // namespace troupe

#endif
