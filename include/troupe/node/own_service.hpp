#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/check_types.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/host/replicated.hpp"
#include "troupe/host/service.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/node/options.hpp"

namespace troupe::cluster {

/// What service_options::add() makes of the trait Service; see host::service for that.
template <class Service>
struct own_service_of {
  static own_service make(std::string name, typename Service::options how) {
    static_assert(
      requires {
        typename Service::machine;
        typename Service::commands;
        typename Service::queries;
      },
      "a service class derives from host::plain_service<RULES> or host::service<...>");
    static_assert(
      requires { typename std::bool_constant<!std::string_view{Service::name}.empty()>; },
      "a service class has a name that never changes; write `static constexpr const char* name = "
      "\"...\";` into it");
    static_assert(
      requires {
        static_cast<typename Service::machine::event>(Service::opening(how, std::uint64_t{0}));
      },
      "a service class has a `static event opening(const options&, std::uint64_t token_floor)`; "
      "host::plain_service has it for a plain_machine");
    static_assert(std::is_constructible_v<Service, caf::actor_system&>,
                  "a service has the constructor of its base; write `using "
                  "plain_service::plain_service;` into it, or `using service::service;`");
    static_assert(machine<typename Service::machine>,
                  "the rules of this service are no machine; a plain_machine has a public `R "
                  "answer(const QUERY&) const` for each of its queries, others what "
                  "core/machine.hpp says");
    static_assert(!machine<typename Service::machine> || host::journaled<typename Service::machine>,
                  "events, answers and the snapshot of a service on the group need an inspect each "
                  "(TROUPE_FIELDS), by which they are written");
    own_service made;
    made.name = name;
    made.type = Service::name;
    made.questions = types_of(typename Service::queries{});
    made.orders = types_of(typename Service::commands{});
    made.start = [name = std::move(name), how = std::move(how)](
                   caf::actor_system& sys, std::shared_ptr<host::group_member> member,
                   const host::core_options& limits,
                   std::function<void(const problem&)> warn) -> result<caf::strong_actor_ptr> {
      if (auto why = check_requests(typename Service::commands{}, typename Service::queries{}))
        return why;
      auto on_end = [name, member, warn = std::move(warn)](const problem& how_it_ended) {
        problem why{errc::unreachable, "the service '" + name
                                         + "' has stopped on this node: " + how_it_ended.detail
                                         + "; mend it and start the node again"};
        if (member)
          member->end(why); // which says so
        else
          warn(why);
        return why;
      };
      auto started = member
                       ? host::spawn<Service>(sys, how, host::replicated{member}, limits, on_end)
                       : host::spawn<Service>(sys, how, host::in_memory{}, limits, on_end);
      if (!started)
        return to_problem(started.error());
      return caf::actor_cast<caf::strong_actor_ptr>(*started);
    };
    return made;
  }

private:
  template <template <class...> class List, class... Requests>
  static std::vector<caf::type_id_t> types_of(List<Requests...>) {
    std::vector<caf::type_id_t> all;
    [[maybe_unused]] auto add = [&]<class Request>() {
      if constexpr (caf::has_type_id_v<Request>)
        all.push_back(caf::type_id_v<Request>);
    };
    (add.template operator()<Requests>(), ...);
    return all;
  }

  template <class... Cs, class... Qs>
  static problem check_requests(host::commands<Cs...>, host::queries<Qs...>) {
    static_assert((caf::has_type_id_v<Cs> && ...),
                  "a command of this service is no message; name it in TROUPE_MESSAGES");
    static_assert((caf::has_type_id_v<Qs> && ...),
                  "a query of this service is no message; name it in TROUPE_MESSAGES");
    static_assert((caf::has_type_id_v<typename Cs::result> && ...),
                  "what a command of this service results in is no message; name it in "
                  "TROUPE_MESSAGES");
    static_assert((caf::has_type_id_v<typename Qs::result> && ...),
                  "what a query of this service is answered with is no message; name it in "
                  "TROUPE_MESSAGES");
    return check_types<Cs..., typename Cs::result..., Qs..., typename Qs::result...>();
  }
};

} // namespace troupe::cluster
