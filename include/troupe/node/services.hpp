#pragma once

#include <map>
#include <string>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "troupe/core/result.hpp"
#include "troupe/node/compiled.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/node/options.hpp"

namespace troupe::cluster {

/// The services that the first node of a cluster hosts: durable where it has a data
/// folder, else in memory. The registry is always in memory, as every node says again what
/// it says.
class hosted_services {
public:
  /// Starts all of them or none. Reads the journals, so it blocks.
  TROUPE_COMPILED static result<hosted_services>
  start(caf::actor_system& sys, const data_folder& data, const service_options& how);

  hosted_services(hosted_services&&) noexcept = default;

  hosted_services& operator=(hosted_services&& other) noexcept {
    std::swap(sys_, other.sys_);
    std::swap(handles_, other.handles_);
    return *this;
  }

  ~hosted_services() {
    stop();
  }

  /// Waits until all are gone and their files closed.
  TROUPE_COMPILED void stop();

  /// By the names of service_names.hpp.
  [[nodiscard]] const std::map<std::string, caf::strong_actor_ptr>& handles() const {
    return handles_;
  }

private:
  explicit hosted_services(caf::actor_system& sys) : sys_(&sys) {}

  template <class Service, class Host>
  problem add(const typename Service::options& options, Host host,
              const host::core_options& limits);

  template <class Service>
  problem add_kept(const typename Service::options& options, const data_folder& data,
                   const char* file, const host::core_options& limits);

  caf::actor_system* sys_;
  std::map<std::string, caf::strong_actor_ptr> handles_;
};

} // namespace troupe::cluster

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/services.ipp"
#endif
