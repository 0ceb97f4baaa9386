#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/group/group.hpp"
#include "troupe/node/options.hpp"

namespace troupe::cluster {

/// The services of a cluster on one node: in memory, or as a member of the group that keeps them.
class hosted_services {
public:
  /// The numbers of the services in the group's log. They never change.
  static constexpr host::service_id names_number = 1;
  static constexpr host::service_id locks_number = 2;
  static constexpr host::service_id scheduler_number = 3;
  static constexpr host::service_id state_number = 4;

  static std::set<host::service_id> numbers() {
    return {names_number, locks_number, scheduler_number, state_number};
  }

  /// The numbers of the services that the program has added.
  static std::map<host::service_id, host::service_title> own(const service_options& how) {
    std::map<host::service_id, host::service_title> all;
    for (auto& each : how.own)
      all[host::number_of_own(each.name)] = {each.name, each.type};
    return all;
  }

  /// Starts all of them in memory; if one fails, none. `warn` is called if a service of the program
  /// stops; `nodes` tells which node sends a command.
  TROUPE_COMPILED static result<hosted_services>
  start(caf::actor_system& sys, const service_options& how, node_finder nodes,
        const std::function<void(const problem&)>& warn);

  /// Starts all as members of `group`; if one fails, none. Start the group after
  /// that.
  TROUPE_COMPILED static result<hosted_services> start(caf::actor_system& sys,
                                                       const host::group& group,
                                                       const service_options& how,
                                                       node_finder nodes);

  hosted_services(hosted_services&&) noexcept = default;

  hosted_services& operator=(hosted_services&& other) noexcept {
    std::swap(sys_, other.sys_);
    std::swap(nodes_, other.nodes_);
    std::swap(handles_, other.handles_);
    std::swap(gauges_, other.gauges_);
    return *this;
  }

  ~hosted_services() {
    stop();
  }

  /// Ends all and waits until their files are closed.
  TROUPE_COMPILED void stop();

  /// Keys: the names of service_names.hpp.
  [[nodiscard]] const std::map<std::string, caf::strong_actor_ptr>& handles() const {
    return handles_;
  }

  /// For services on a group. Keys: the same names.
  [[nodiscard]] const std::map<std::string, host::record_gauge>& gauges() const {
    return gauges_;
  }

private:
  hosted_services(caf::actor_system& sys, node_finder nodes)
    : sys_(&sys), nodes_(std::move(nodes)) {}

  problem add_own(const own_service& which, std::shared_ptr<host::group_member> member,
                  const host::core_options& limits,
                  const std::function<void(const problem&)>& warn);

  template <class Service, class Host>
  problem add(const typename Service::options& options, Host host,
              const host::core_options& limits);

  template <class Service>
  problem add_member(const typename Service::options& options,
                     std::shared_ptr<host::group_member> member, const host::core_options& limits);

  caf::actor_system* sys_;
  node_finder nodes_;
  std::map<std::string, caf::strong_actor_ptr> handles_;
  std::map<std::string, host::record_gauge> gauges_;
};

} // namespace troupe::cluster

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/services.ipp"
#endif
