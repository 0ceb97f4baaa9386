#ifndef TROUPE_NODE_IMPL_SINGLETONS_IPP
#define TROUPE_NODE_IMPL_SINGLETONS_IPP

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/names.hpp"
#include "troupe/node/impl/inside.ipp"
#include "troupe/node/node.hpp"
#include "troupe/node/singleton_state.hpp"
#include "troupe/platform/entropy.hpp"

/// Agents of which at most one runs in the cluster.
namespace troupe {

inline problem node::inside::check_agent(const agent_id& id, const agent_options& how) {
  if (auto why = check(id))
    return why;
  if (auto why = router::check(how.inbox))
    return why;
  if (auto why = check_names("capabilities", how.capabilities))
    return why;
  return check_names("groups", how.groups);
}

inline cluster::singleton_setup node::inside::singleton_setup(const agent_id& id,
                                                              const singleton_options& how,
                                                              cluster::singleton_maker make,
                                                              bool takes_info) const {
  auto well = how;
  well.agent.unique = false; // its lock is
  well.margin = std::min(how.margin, how.ttl / 3);
  cluster::singleton_setup made{id.text(),
                                options_.name,
                                well,
                                lock::lock_client{clients_->locks},
                                random_seed(),
                                log_,
                                std::make_shared<cluster::detail::singleton_board>(),
                                std::move(make),
                                {}};
  // Weak: they may be called after the end of this node.
  auto member = caf::actor_cast<caf::weak_actor_ptr>(shell_);
  auto router = caf::actor_cast<caf::weak_actor_ptr>(router_->handle());
  made.add = [=, agents = agents_](const caf::actor& agent, const done_handler& done) {
    agents->add(id, agent);
    auto who = caf::actor_cast<caf::strong_actor_ptr>(agent);
    run_on_router(router, [=](router::router_state& state) {
      if (auto why
          = state.add_agent(id, who, takes_info, well.agent.inbox, well.agent.once != nullptr))
        return done(why);
      run_on_member(member, [=](cluster::member_part& speaks) {
        speaks.add_agent(id, agent->address(), well.agent, done);
      });
    });
  };
  return made;
}

TROUPE_COMPILED result<cluster::singleton> node::offer_singleton(const agent_id& id,
                                                                 const singleton_options& how,
                                                                 cluster::singleton_maker make,
                                                                 bool takes_info) {
  using std::chrono::seconds;
  if (auto why = cluster::singleton_core::check(id))
    return why;
  if (auto why = inside::check_agent(id, how.agent))
    return why;
  if (how.ttl < seconds{1} || how.margin < duration::zero())
    return problem{errc::bad_argument, "singleton_options::ttl is " + to_string(how.ttl)
                                         + ", and margin " + to_string(how.margin)
                                         + "; give a ttl of at least 1 s, and a margin that is not "
                                           "negative"};
  if (auto most = inside_->options_.services.locks.max_span; how.ttl > most)
    return problem{errc::bad_argument, "singleton_options::ttl is " + to_string(how.ttl)
                                         + ", and the lock service takes at most " + to_string(most)
                                         + " while this node leads; give less, or raise "
                                           "service_options::locks.max_span on all nodes"};
  if (inside_->stopped_)
    return problem{errc::cancelled, "this node has stopped; nothing is offered"};
  auto setup = inside_->singleton_setup(id, how, std::move(make), takes_info);
  auto board = setup.board;
  auto locks = setup.locks;
  auto actor
    = system_->spawn<caf::stateful_actor<cluster::singleton_state>, caf::hidden>(std::move(setup));
  return cluster::singleton{std::move(board),
                            locks.service().tie(caf::actor_cast<caf::actor>(actor))};
}

} // namespace troupe

#endif
