#ifndef TROUPE_NODE_IMPL_SEATS_IPP
#define TROUPE_NODE_IMPL_SEATS_IPP

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "troupe/net/gate.hpp"
#include "troupe/node/access_part.hpp"
#include "troupe/node/founding.hpp"
#include "troupe/node/group_part.hpp"
#include "troupe/node/impl/inside.ipp"
#include "troupe/node/member_part.hpp"
#include "troupe/node/services.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/router/router_access.hpp"

/// How a node gets the services of its cluster, or a part in the group that keeps them.
namespace troupe {

inline void node::inside::await_lead() {
  std::unique_lock guard{mutex_};
  changed_.wait_for(guard, std::chrono::seconds{5}, [this] { return is_host_; });
}

inline problem node::inside::open_group() {
  // What a founder left that was killed before its cluster had a name: nobody has heard of it.
  if (data_.self().cluster == cluster_id{})
    if (auto why = data_.discard(log_file))
      return why;
  cluster::group_surroundings around;
  around.node = data_.self().id;
  around.nodes = finder();
  around.address = [this] { return own_address(); };
  around.entry = [this] { return entry(); };
  around.set_timeout
    = [this](const net::link_ptr& which, duration silence) { gate_->set_timeout(which, silence); };
  around.log = log_;
  around.keep_links = [this](bool all, const std::set<node_id>& peers) {
    router_->run([all, peers](router::router_state& state) { state.keep_links(all, peers); });
  };
  auto opened = cluster::group_part::open(*system_, data_.file(log_file), options_,
                                          !addresses().empty(), std::move(around));
  if (!opened)
    return of_file(std::move(opened).error(), log_file,
                   ", and start it with addresses of others (node_options::join), which give it "
                   "the state; if it was the only voter, restore a backup of the cluster");
  group_ = std::move(*opened);
  return {};
}

inline problem node::inside::take_seat() {
  auto& self = data_.self();
  auto& seat = group_->own_seat();
  if (self.host && seat.is_new() && addresses().empty())
    return {errc::damaged, "this node founded its cluster, and its log is gone from "
                             + data_.file(log_file).string()
                             + "; restore a backup, or give nodes of the cluster to join"};
  on_member([all = seat.services()](cluster::member_part& state) { state.guard(all); });
  seat.start(shell_);
  router_->run([gauges = seat.gauges()](router::router_state& state) {
    state.set_gauges({gauges.begin(), gauges.end()});
  });
  say_where(cluster::seat_name);
  return {};
}

inline problem node::inside::found_group() {
  auto self = cluster::seat_contact{data_.self().id, to_string(own_address())};
  if (auto why = group_->own_seat().found(self))
    return why;
  // Only now, or a crash between would leave a cluster without a group.
  return found_cluster();
}

inline problem node::inside::found_cluster() {
  auto cluster = random_id<cluster_id>();
  if (auto why = wait_until_done([&](done_handler done) {
        on_shell(
          [this, cluster, done = std::move(done)] { done(data_.belong_to(cluster, true, {})); });
      }))
    return why;
  gate_->found(cluster);
  return {};
}

inline cluster::voters_client node::inside::voters() {
  return {*system_,
          [this] {
            std::lock_guard guard{mutex_};
            return voters_;
          },
          [this] {
            std::lock_guard guard{mutex_};
            return has_no_voters_ ? cluster::voters_client::no_voters() : why_;
          },
          [this]() -> problem {
            std::lock_guard guard{departing_};
            if (!departure_.is_ending())
              return {};
            return {errc::cancelled, "this node has stopped, or does so now; a change of voters "
                                     "that it has asked for may still be made, see troupe voters"};
          }};
}

inline void node::inside::prepare_founding() {
  auto may_found = is_founder() || founds_together();
  auto is_bound = data_.self().founding.promised.has_value(); // of an earlier start, with others
  if (!may_found || (options_.join.empty() && !is_bound))
    return;
  cluster::bootstrap_options how;
  how.self = data_.self().id;
  how.boot = data_.self().boot;
  how.process = random_seed();
  how.waits = founds_together();
  if (how.waits)
    how.expect = options_.bootstrap_expect;
  cluster::founding::surroundings around;
  around.keep = [this](const cluster::founding_record& what) {
    return wait_until_done([&](done_handler done) {
      on_shell([this, what, done = std::move(done)] { done(data_.keep(what)); });
    });
  };
  around.standing = [this](const problem& why) { note_founding(why); };
  founding_ = std::make_shared<cluster::founding>(std::move(how), options_.join,
                                                  data_.self().founding, std::move(around));
}

inline void node::inside::note_founding(const problem& why) {
  on_shell([this, why] {
    auto said = note_try(why);
    clients_->hinder(said);
    log_.follow("no cluster is founded yet", said);
  });
}

inline problem node::inside::look_for_cluster() {
  if (!founding_)
    return {};
  auto end = founding_->run(*gate_, options_.stop);
  if (end.what == cluster::founding::outcome::stopped)
    return {errc::cancelled, "node " + options_.name
                               + " was asked to stop before it had founded "
                                 "its cluster"};
  return end.why;
}

inline problem node::inside::begin_founding() {
  try {
    founding_thread_ = std::jthread{[this](const std::stop_token& stop) { found_together(stop); }};
  } catch (const std::system_error& why) {
    return {errc::limit_reached, std::string{"no thread is left to found a cluster: "} + why.what()
                                   + "; raise ulimit -u"};
  }
  return {};
}

inline void node::inside::found_together(const std::stop_token& stop) {
  auto end = founding_->run(*gate_, stop);
  if (end.what == cluster::founding::outcome::stopped)
    return;
  note_founding({});
  log_("this node " + end.text);
  if (end.what == cluster::founding::outcome::found)
    if (auto why = found_group()) {
      log_.fail("this node cannot found the cluster, and the others wait for it; start it again: "
                + why.detail);
      return clients_->hinder(note_try(why));
    }
  start_search();
}

inline void node::inside::end_founding() {
  std::lock_guard guard{ending_founding_};
  if (!founding_thread_.joinable())
    return;
  founding_thread_.request_stop();
  founding_thread_.join();
}

inline void node::inside::start_search() {
  on_access([gate = gate_.get(), self = own_address()](cluster::access_part& state) {
    state.start(gate, self);
  });
}

inline problem node::inside::host_services() {
  auto started
    = cluster::hosted_services::start(*system_, options_.services, finder(),
                                      [log = log_](const problem& why) { log.warn(why.detail); });
  if (!started)
    return started.error();
  services_ = std::move(*started);
  if (auto why = found_cluster())
    return why;
  on_member([all = services_->handles()](cluster::member_part& state) {
    state.guard(all);
    state.lead(true);
  });
  cluster::service_binding here{.handles = services_->handles(),
                                .where = own_address(),
                                .entry = entry(),
                                .others = {},
                                .is_here = true,
                                .has_voters = false};
  on_access([here](cluster::access_part& access) { access.lead_here(1, here); });
  return {};
}

} // namespace troupe

#endif
