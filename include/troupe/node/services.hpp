#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/service_names.hpp"
#include "troupe/registry/name_service.hpp"
#include "troupe/registry/registry_service.hpp"
#include "troupe/scheduler/scheduler_service.hpp"
#include "troupe/state/state_service.hpp"
#include "troupe/storage/sqlite_log.hpp"

namespace troupe::cluster {

/// The services that the first node of a cluster hosts: durable where it has a data
/// folder, else in memory. The registry is always in memory, as every node says again what
/// it says.
class hosted_services {
public:
  /// Starts all of them or none. Reads the journals, so it blocks.
  static result<hosted_services> start(caf::actor_system& sys, const data_folder& data,
                                       const service_options& how) {
    hosted_services made{sys};
    auto why = made.add<registry::registry_service>(how.registry, host::in_memory{}, how.journal);
    if (why.code == errc::none)
      why = made.add_kept<registry::name_service>({}, data, "names.db", how.journal);
    if (why.code == errc::none)
      why = made.add_kept<lock::lock_service>(how.locks, data, "locks.db", how.journal);
    if (why.code == errc::none)
      why = made.add_kept<scheduler::scheduler_service>(how.scheduler, data, "scheduler.db",
                                                        how.journal);
    if (why.code == errc::none)
      why = made.add_kept<state::state_service>(how.state, data, "state.db", how.journal);
    if (why.code != errc::none)
      return why;
    return made;
  }

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
  void stop() {
    if (handles_.empty())
      return;
    caf::scoped_actor self{*sys_};
    for (auto& [name, each] : handles_) {
      self->monitor(each);
      caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    }
    for (auto left = std::exchange(handles_, {}).size(); left > 0; --left)
      self->receive([](const caf::down_msg&) {});
  }

  /// By the names of service_names.hpp.
  [[nodiscard]] const std::map<std::string, caf::strong_actor_ptr>& handles() const {
    return handles_;
  }

private:
  explicit hosted_services(caf::actor_system& sys) : sys_(&sys) {}

  template <class Service, class Host>
  problem add(const typename Service::options& options, Host host,
              const host::core_options& limits) {
    auto made = host::spawn<Service>(*sys_, options, std::move(host), limits);
    if (!made)
      return to_problem(made.error());
    handles_[Service::name] = caf::actor_cast<caf::strong_actor_ptr>(*made);
    return {};
  }

  template <class Service>
  problem add_kept(const typename Service::options& options, const data_folder& data,
                   const char* file, const host::core_options& limits) {
    if (!data.is_durable())
      return add<Service>(options, host::in_memory{}, limits);
    auto log = std::make_unique<storage::sqlite_log>(data.file(file));
    return add<Service>(options, host::durable{std::move(log)}, limits);
  }

  caf::actor_system* sys_;
  std::map<std::string, caf::strong_actor_ptr> handles_;
};

} // namespace troupe::cluster
