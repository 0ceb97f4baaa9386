#ifndef TROUPE_NODE_IMPL_SEATS_IPP
#define TROUPE_NODE_IMPL_SEATS_IPP

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "troupe/core/wait_for.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/cluster_access.hpp"
#include "troupe/node/group_part.hpp"
#include "troupe/node/impl/inside.ipp"
#include "troupe/node/member.hpp"
#include "troupe/node/services.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/router/router.hpp"

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
  around.node = to_string(data_.self().id);
  around.nodes = finder();
  around.address = [this] { return own_address(); };
  around.entry = [this] { return entry(); };
  around.on_member = [this](auto job) { on_member(std::move(job)); };
  around.on_access = [this](auto job) { on_access(std::move(job)); };
  around.set_timeout
    = [this](const net::link_ptr& which, duration silence) { gate_->set_timeout(which, silence); };
  around.log = log_;
  around.seated = [this](bool is_seated) {
    // Those to other members are needed, used or not.
    router_->run([is_seated](router::router_state& state) { state.keep_links(is_seated); });
  };
  auto opened = cluster::group_part::open(*system_, data_.file(log_file), options_,
                                          !addresses().empty(), std::move(around));
  if (!opened)
    return opened.error();
  group_ = std::move(*opened);
  return {};
}

inline problem node::inside::take_seat(bool founds) {
  auto& self = data_.self();
  auto& seat = group_->own_seat();
  if (self.host && seat.is_new() && addresses().empty())
    return {errc::damaged, "this node founded its cluster, and its log is gone from "
                             + data_.file(log_file).string()
                             + "; restore a backup, or give nodes of the cluster to join"};
  on_member([all = seat.services()](cluster::member_state& state) { state.guard(all); });
  seat.start();
  router_->run([gauges = seat.gauges()](router::router_state& state) {
    state.set_gauges({gauges.begin(), gauges.end()});
  });
  say_where(cluster::seat_name, seat.voters());
  if (!founds)
    return {};
  if (auto why = seat.found({to_string(self.id), to_string(own_address())}))
    return why;
  // Only now, or a crash between would leave a cluster without a group.
  return found_cluster();
}

inline problem node::inside::found_cluster() {
  auto cluster = random_id<cluster_id>();
  if (auto why = data_.belong_to(cluster, true, {}))
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
          }};
}

inline problem node::inside::look_for_cluster() {
  for (auto& each : options_.join) {
    auto where = net::resolve(each);
    if (!where)
      continue;
    using link = result<net::link_ptr>;
    auto found = wait_for<link>( // a dial has its own time-outs
      [&](std::function<void(link)> done) { gate_->dial(*where, std::nullopt, std::move(done)); },
      default_wait * 3,
      [](unheard) {
        return link{problem{errc::timed_out, "no answer"}};
      });
    if (found)
      return {errc::conflict, "a cluster was found at " + to_string(each)
                                + "; leave out bootstrap to join it, or join to found another"};
    if (found.error().code != errc::unreachable && found.error().code != errc::timed_out)
      return {errc::conflict, "a process answers at " + to_string(each)
                                + ", so that no cluster is founded: " + found.error().detail
                                + "; leave out bootstrap to join a cluster there, or join to "
                                  "found another"};
    log_("no cluster at " + to_string(each) + ": " + found.error().detail);
  }
  return {};
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
  on_member([all = services_->handles()](cluster::member_state& state) {
    state.guard(all);
    state.lead();
  });
  cluster::service_binding here{.handles = services_->handles(),
                                .where = own_address(),
                                .entry = entry(),
                                .others = {},
                                .is_here = true,
                                .has_voters = false};
  on_access([here](cluster::access_state& access) { access.lead_here(1, here); });
  return {};
}

} // namespace troupe

#endif
