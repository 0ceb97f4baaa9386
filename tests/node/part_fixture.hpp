#pragma once

#include "support/services.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/registry/name_service.hpp"
#include "troupe/registry/registry_service.hpp"

#include <optional>
#include <utility>

#include "caf/event_based_actor.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"

namespace troupe::test {

/// An actor for something that is part of one.
template <class Part>
struct host_of_part {
  static inline const char* name = "host-of-part";

  explicit host_of_part(caf::event_based_actor* own) : self(own) {}

  caf::behavior make_behavior() {
    ignore_strays(self);
    return {[](caf::ok_atom) {}};
  }

  caf::event_based_actor* self;
  std::optional<Part> part;
};

/// A cluster's registry and service of names, and parts of nodes that use them, on a clock that
/// only the test moves.
struct clocked_cluster : clocked_services<caf::id_block::troupe_registry,
                                          registry::registry_service, registry::name_service> {
  clocked_cluster() {
    registry.set_target(registry_actor);
    names.set_target(names_actor);
  }

  /// A part in an actor of its own, made by make(self, std::optional<Part>&).
  template <class Part>
  class hosted {
  public:
    template <class Make>
    hosted(clocked_cluster& where, Make make)
      : where_(where),
        actor_(where.world.system().spawn<caf::stateful_actor<host_of_part<Part>>>()) {
      run_on_state<host_of_part<Part>>(
        actor_, [make](host_of_part<Part>& state) { make(state.self, state.part); });
      where.world.run();
    }

    ~hosted() {
      where_.world.stop(actor_);
    }

    hosted(const hosted&) = delete;
    hosted& operator=(const hosted&) = delete;

    /// Runs `job` on the part, and what comes of it.
    template <class Job>
    void run(Job job) {
      run_on_state<host_of_part<Part>>(
        actor_, [job = std::move(job)](host_of_part<Part>& state) mutable { job(*state.part); });
      where_.world.run();
    }

  private:
    clocked_cluster& where_;
    caf::actor actor_;
  };

  registry::registry_actor registry_actor = start<registry::registry_service>();
  registry::names_actor names_actor = start<registry::name_service>();
  cluster::registry_client registry{world.system()};
  cluster::names_client names{world.system()};
  cluster::scheduler_client scheduler{world.system()};
};

} // namespace troupe::test
