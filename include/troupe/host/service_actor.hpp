#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/expected.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/signatures.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/host/any_host.hpp"
#include "troupe/host/core_options.hpp"
#include "troupe/host/durable_core.hpp"
#include "troupe/host/in_memory.hpp"
#include "troupe/host/service_actor_state.hpp"

namespace troupe::host {

/// A service that needs more than a machine, as it stores handles of actors, which a journal
/// cannot. It defines its own `actor`, a stateful_actor made from the owner with which it
/// ends (null: no owner) and its options, and has `options`, `handle` and `name`.
template <class Service>
concept keeps_handles = requires {
  typename Service::actor;
};

namespace detail {

/// An actor that reports its message types, so that a router can check whether it has the type
/// that a caller looks for.
template <class Base, class Handle>
class saying_its_type : public Base {
public:
  using Base::Base;

  [[nodiscard]] std::set<std::string> message_types() const override {
    return signatures_of<Handle>(this->system());
  }
};

template <class Service>
struct actor_of {
  using type
    = saying_its_type<caf::stateful_actor<service_actor_state<Service>>, typename Service::handle>;
};

template <class Service>
requires requires {
  requires Service::steps_are_brief;
}
struct actor_of<Service> {
  using type
    = saying_its_type<compat::near_links<caf::stateful_actor<service_actor_state<Service>>>,
                      typename Service::handle>;
};

template <keeps_handles Service>
struct actor_of<Service> {
  using type = typename Service::actor;
};

} // namespace detail

/// Handles of services are typed; their actors are not, as CAF's check of the answers of a typed
/// actor would take seconds to compile for each service. `protocol` declares the types once.
template <class Service>
using service_actor = typename detail::actor_of<Service>::type;

/// Starts a service in this process. Reads the journal, so it blocks. Errors: those of the journal
/// (damaged, incompatible, in_use, …). `on_end` and `nodes`: see
/// service_actor_state::prepared.
template <class Service, class Host = in_memory>
caf::expected<typename Service::handle>
spawn(caf::actor_system& sys, const typename Service::options& options = {}, Host host = {},
      core_options limits = {}, std::function<problem(const problem&)> on_end = {},
      node_finder nodes = {}) {
  if constexpr (keeps_handles<Service>) {
    static_assert(std::is_same_v<Host, in_memory>, "a journal cannot store handles of actors");
    auto made = sys.spawn<service_actor<Service>>(caf::strong_actor_ptr{}, options);
    return caf::actor_cast<typename Service::handle>(made);
  } else {
    using state = service_actor_state<Service>;
    auto kept = make_host<typename Service::machine>(std::move(host));
    durable_core<typename Service::machine> inside{limits};
    if (auto why = kept->load(inside))
      return to_error(std::move(why));
    auto core = kept->group() != nullptr ? typename state::core{kept->group()->life(), limits}
                                         : typename state::core{std::move(inside)};
    auto made = sys.spawn<service_actor<Service>>(
      std::make_shared<typename state::prepared>(typename state::prepared{
        std::move(core), std::move(kept), options, std::move(on_end), std::move(nodes)}));
    return caf::actor_cast<typename Service::handle>(made);
  }
}

/// Lets other nodes spawn the service on this node by its name, see troupe::spawn_at().
template <class Service>
void add_service(caf::actor_system_config& cfg) {
  cfg.add_actor_type<service_actor<Service>, const caf::strong_actor_ptr&,
                     const typename Service::options&>(Service::name);
}

} // namespace troupe::host
