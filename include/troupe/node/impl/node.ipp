#ifndef TROUPE_NODE_IMPL_NODE_IPP
#define TROUPE_NODE_IMPL_NODE_IPP

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caf/send.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/secret.hpp"
#include "troupe/net/listeners.hpp"
#include "troupe/node/agent_tasks.hpp"
#include "troupe/node/check_options.hpp"
#include "troupe/node/impl/events.ipp"
#include "troupe/node/impl/inside.ipp"
#include "troupe/node/impl/leave.ipp"
#include "troupe/node/impl/seats.ipp"
#include "troupe/node/impl/singletons.ipp"
#include "troupe/node/impl/start.ipp"
#include "troupe/node/node.hpp"
#include "troupe/node/proofs.hpp"
#include "troupe/node/undertaker.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/scheduler/workflow_client.hpp"

namespace troupe {

TROUPE_COMPILED node::node(std::unique_ptr<inside> made)
  : inside_(std::move(made)),
    system_(inside_->system_),
    messages_(*system_, inside_->router_->handle(), inside_->warn_of_throw()) {}

TROUPE_COMPILED node::node(node&& other) noexcept = default;

TROUPE_COMPILED node& node::operator=(node&& other) noexcept {
  node old{std::move(other)};
  std::swap(inside_, old.inside_);
  std::swap(system_, old.system_);
  std::swap(messages_, old.messages_);
  return *this;
}

TROUPE_COMPILED node::~node() {
  if (!inside_)
    return;
  if (!inside_->is_on_own_thread()) {
    stop();
    return;
  }
  // What is here ends in the order of a node.
  struct remains {
    std::unique_ptr<inside> it;
    router::router_client messages;

    remains(std::unique_ptr<inside> what, router::router_client by)
      : it(std::move(what)), messages(std::move(by)) {}

    ~remains() {
      messages.stop();
    }
  };
  cluster::undertaker::of_process().take(
    std::make_shared<remains>(std::move(inside_), std::move(messages_)));
}

TROUPE_COMPILED result<node> node::start(node_options options, caf::actor_system* sys) {
  if (auto why = cluster::check(options))
    return why;
  auto data = cluster::data_folder::open(options.data.empty() ? options.identity : options.data,
                                         !options.data.empty());
  if (!data)
    return data.error();
  auto called = options.name.empty() ? to_string(data->self().id).substr(0, 8) : options.name;
  auto began = std::chrono::steady_clock::now();
  // Before there is a CA, or a token is used: neither can be undone.
  auto where = net::resolve(options.listen);
  if (!where)
    return where.error();
  auto listeners = net::listen_at_each(*where, options.links.insecure);
  if (!listeners)
    return listeners.error();
  auto datagrams = net::receive_at_each(*listeners, options.listen.port == 0);
  if (!datagrams)
    return datagrams.error();
  cluster::proofs proofs{options, *data, {called, options.log}};
  auto credentials = proofs.find(read_calendar());
  secret::wipe(std::as_writable_bytes(std::span{options.token}));
  options.token.clear();
  if (!credentials)
    return credentials.error();
  if (*credentials && (*credentials)->self().as != security::role::member)
    return problem{errc::bad_argument,
                   "the certificate of '" + (*credentials)->self().name + "' in "
                     + data->path().string()
                     + " has the role client; a node needs one with the role member (troupe ca "
                       "issue --role member)"};
  if (auto why = data->count_start())
    return why;
  auto wait = options.wait_joined;
  auto stop = options.stop;
  auto ca = proofs.take_authority();
  auto made
    = std::make_unique<inside>(std::move(options), std::move(*data), *std::move(listeners),
                               *std::move(datagrams), *std::move(credentials), std::move(ca), sys);
  if (auto why = made->set_up())
    return why;
  if (wait > duration::zero()) {
    auto spent = std::chrono::duration_cast<duration>(std::chrono::steady_clock::now() - began);
    auto rest = std::max(wait - spent, std::min<duration>(wait, std::chrono::seconds{1}));
    if (auto why = made->wait_until(inside::progress::knows_others, rest, stop))
      if (!made->group_ || !made->group_->own_seat().votes() || stop.stop_requested())
        return why;
  }
  return node{std::move(made)};
}

TROUPE_COMPILED void node::stop() {
  messages_.stop();
  inside_->stop();
}

TROUPE_COMPILED result<departure_report> node::leave(const leave_options& how) {
  return inside_->leave(how, [this] { messages_.stop(); });
}

TROUPE_COMPILED result<std::string> node::invite(const security::invitation_options& how) {
  if (!inside_->credentials_)
    return problem{errc::bad_argument, "this node has insecure links; others join without a token"};
  auto token = inside_->ca_.invite(how, read_calendar());
  if (!token)
    return token.error();
  return std::string{token->line().text()};
}

TROUPE_COMPILED const std::string& node::name() const {
  return inside_->options_.name;
}

TROUPE_COMPILED const node_id& node::id() const {
  return inside_->data_.self().id;
}

TROUPE_COMPILED boot_number node::boot() const {
  return *inside_->boot_;
}

TROUPE_COMPILED std::function<boot_number()> node::present_boot() const {
  return [boot = inside_->boot_] { return boot->load(); };
}

TROUPE_COMPILED std::uint16_t node::port() const {
  return inside_->port_;
}

TROUPE_COMPILED cluster::voters_client node::voters() {
  return inside_->voters();
}

TROUPE_COMPILED bool node::is_host() const {
  std::lock_guard guard{inside_->mutex_};
  return inside_->is_host_;
}

TROUPE_COMPILED result<void> node::wait_joined(duration wait) {
  return inside_->wait_until(inside::progress::knows_others, wait);
}

TROUPE_COMPILED result<void> node::wait_for_services(duration wait) {
  return inside_->wait_until(inside::progress::has_services, wait);
}

TROUPE_COMPILED result<void> node::add_agent(const agent_id& id, const caf::strong_actor_ptr& actor,
                                             const agent_options& how) {
  if (how.once)
    return problem{errc::bad_argument, "agent_options::once is for agents made of functions, which "
                                       "run in its transactions; make this one by node::agent()"};
  return add_agent(id, actor, how, false);
}

TROUPE_COMPILED result<void> node::add_agent(const agent_id& id, const caf::strong_actor_ptr& actor,
                                             const agent_options& how, bool takes_info) {
  if (auto why = inside::check_agent(id, how))
    return why;
  struct attempt {
    std::mutex mutex;
    bool is_given_up = false;
    bool is_added = false;
  };
  auto mine = std::make_shared<attempt>();
  auto take_back = [&] { // by now another one may have that id
    inside_->router_->run(
      [id, who = actor->address()](router::router_state& state) { state.remove_agent(id, who); });
  };
  auto why = inside_->on_router<problem>(
    [id, actor, mine, takes_info, inbox = how.inbox,
     has_store = how.once != nullptr](router::router_state& state) {
      std::lock_guard guard{mine->mutex};
      auto refusal = mine->is_given_up ? problem{errc::cancelled, "nobody waits for it"}
                                       : state.add_agent(id, actor, takes_info, inbox, has_store);
      mine->is_added = refusal.code == errc::none;
      return refusal;
    },
    {errc::cancelled, "this node has stopped; nothing was done"},
    {errc::timed_out, "the node gave no answer in time; it is overloaded"});
  if (why.code == errc::timed_out) {
    std::unique_lock guard{mine->mutex};
    mine->is_given_up = true;
    if (auto is_added = mine->is_added; guard.unlock(), is_added)
      take_back();
  }
  if (why)
    return why;
  auto number = std::make_shared<request_id>(0); // for the member alone
  why = inside::wait_until_done([&](std::function<void(problem)> done) {
    inside_->on_member(
      [id, how, number, who = actor->address(), done](cluster::member_part& state) {
        *number = state.add_agent(id, who, how, done);
      });
  });
  if (!why)
    return {};
  inside_->on_member(
    [id, number](cluster::member_part& state) { state.give_up_agent(id, *number); });
  take_back(); // then the id is free
  return why;
}

TROUPE_COMPILED result<void> node::adopt_agent(const agent_id& id, const caf::actor& agent,
                                               const agent_options& how, bool takes_info) {
  inside_->agents_->add(id, agent);
  auto added = add_agent(id, caf::actor_cast<caf::strong_actor_ptr>(agent), how, takes_info);
  if (!added)
    caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
  return added;
}

TROUPE_COMPILED result<void> node::send_message(const router::recipients& to,
                                                const caf::message& what) {
  if (inside_->router_has_ended_)
    return problem{errc::cancelled, "this node has stopped; nothing was sent"};
  return inside_->router_->send(to, what);
}

TROUPE_COMPILED result<void> node::send_message(const router::recipients& to, message_options how,
                                                const caf::message& what) {
  if (inside_->router_has_ended_)
    return problem{errc::cancelled, "this node has stopped; nothing was sent"};
  return inside_->router_->send(to, what, std::move(how));
}

TROUPE_COMPILED void node::send_message(const router::recipients& to, message_options how,
                                        const caf::message& what, const promise<void>& done) {
  if (inside_->router_has_ended_)
    return done.set(problem{errc::cancelled, "this node has stopped; nothing was sent"});
  inside_->router_->send(to, what, std::move(how), [done](const problem& why) {
    done.set(why ? result<void>{why} : result<void>{});
  });
}

TROUPE_COMPILED std::function<std::shared_ptr<agent_context>(caf::scheduled_actor* self)>
node::agent_begin(const agent_id& id, const agent_options& registered) const {
  // Weak: in an actor system of somebody else the agent may outlive this node.
  return [id, store = registered.once, log = inside_->log_,
          member
          = caf::actor_cast<caf::weak_actor_ptr>(inside_->shell_)](caf::scheduled_actor* self) {
    ignore_strays(self);
    auto on_stranger = [id, log](caf::scheduled_actor* me, const caf::message& what) {
      problem why{errc::wrong_type, "agent '" + id.text() + "' has no function for "
                                      + troupe::detail::types_in(what)
                                      + "; send exactly what one of its functions takes"};
      if (me->current_message_id().is_request())
        return to_error(std::move(why));
      log.complain("agent '" + id.text() + "' gets messages that it does not take", why.detail);
      me->drop_current_message_id(); // an error would go to who sent it
      return caf::error{};
    };
    self->set_default_handler(
      [on_stranger](caf::scheduled_actor* me, caf::message& what) -> caf::skippable_result {
        if (auto why = on_stranger(me, what))
          return why;
        return caf::make_message();
      });
    self->set_exception_handler([id, log](std::exception_ptr& thrown) {
      auto is_elsewhere = false;
      auto why = guarded([&] {
        try {
          std::rethrow_exception(thrown);
        } catch (const agent_context::not_here&) {
          is_elsewhere = true;
        }
      });
      if (is_elsewhere)
        return to_error({errc::unreachable, "singleton '" + id.text()
                                              + "' runs on this node no more, and has not handled "
                                                "this; retry"});
      why.detail
        = "agent '" + id.text() + "' has ended, as one of its functions threw: " + why.detail;
      log.warn(why.detail);
      return to_error(why);
    });
    auto on_quit = [id, log](const problem& why) {
      log.warn("agent '" + id.text() + "' has ended: " + to_string(why));
    };
    auto on_update = [id, log, member](const agent_change& how) {
      auto topic = "agent '" + id.text() + "' cannot change";
      inside::run_on_member(member, [id, log, topic, how](cluster::member_part& state) {
        state.update_agent(id, how, [log, topic](const problem& why) {
          if (why)
            log.complain(topic, why.detail);
          else
            log.settle(topic);
        });
      });
    };
    return std::make_shared<agent_context>(self, id, on_quit, on_update, store, on_stranger);
  };
}

TROUPE_COMPILED scheduler::worker node::work(const scheduler::worker_options& options,
                                             scheduler::task_handlers handlers) {
  handlers.handle_async(scheduler::agent_handlers, cluster::agent_tasks(*system_, router()));
  auto log_answers
    = [topic = "the scheduler does not take worker '" + options.name.substr(0, 64) + "'",
       log = inside_->log_](const problem& why) {
        if (why)
          log.complain(topic, why.detail);
        else
          log.settle(topic);
      };
  return scheduler::worker{*system_,
                           inside_->clients_->scheduler,
                           id(),
                           present_boot(),
                           options,
                           std::move(handlers),
                           [flag = inside_->rests_] { return flag->load(); },
                           {std::move(log_answers)}};
}

TROUPE_COMPILED scheduler::worker node::work(const scheduler::worker_options& options) {
  return work(options, {});
}

TROUPE_COMPILED scheduler::worker node::work() {
  return work({}, {});
}

TROUPE_COMPILED lock::lock_client node::locks() {
  return lock::lock_client{inside_->clients_->locks};
}

TROUPE_COMPILED state::state_client node::state(duration wait) {
  return state::state_client{*system_, inside_->clients_->state, wait};
}

TROUPE_COMPILED std::shared_ptr<host::detail::service_caller>
node::own_service(const std::string& name) {
  return inside_->clients_->get(name);
}

TROUPE_COMPILED scheduler::workflow_client node::workflows(duration wait) {
  return scheduler::workflow_client{inside_->clients_->scheduler, wait};
}

TROUPE_COMPILED registry::registry_client node::registry(duration wait) {
  return registry::registry_client{*system_, inside_->clients_->registry, wait, inside_->records_};
}

TROUPE_COMPILED result<void> node::update_agent(const agent_id& id, const agent_change& how) {
  if (inside_->stopped_)
    return problem{errc::cancelled, "this node has stopped; nothing was done"};
  return inside::wait_until_done([&](std::function<void(problem)> done) {
    inside_->on_member([id, how, done = std::move(done)](cluster::member_part& state) {
      state.update_agent(id, how, done);
    });
  });
}

TROUPE_COMPILED void node::remove_agent(const agent_id& id) {
  inside_->on_member([id](cluster::member_part& state) { state.remove_agent(id); });
  for (auto& [name, each] : inside_->agents_->take(id))
    caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
}

TROUPE_COMPILED result<void> node::maintain(bool on) {
  if (inside_->stopped_)
    return problem{errc::cancelled, "this node has stopped; nothing has changed"};
  return inside::wait_until_done([&](done_handler done) {
    inside_->on_shell(
      [there = inside_.get(), on, done = std::move(done)] { there->maintain(on, done); });
  });
}

TROUPE_COMPILED result<std::vector<cluster::member_view>> node::members() {
  using members = std::vector<cluster::member_view>;
  if (inside_->stopped_)
    return problem{errc::cancelled, "this node has stopped"};
  return inside::wait_for_result<members>(
    [&](std::function<void(result<members>)> done) {
      inside_->on_membership([done = std::move(done)](cluster::membership_part& state) {
        state.show({}, [done](cluster::node_view seen) { done(std::move(seen.members)); });
      });
    },
    default_wait);
}

TROUPE_COMPILED result<peer> node::find_peer(const std::string& name, duration wait) {
  auto entry = inside::wait_for_result<caf::strong_actor_ptr>(
    [&](std::function<void(result<caf::strong_actor_ptr>)> done) {
      inside_->on_member([name, done = std::move(done)](cluster::member_part& state) {
        state.links().find_entry(name, done);
      });
    },
    wait);
  if (!entry)
    return entry.error();
  return peer{system_, (*entry)->node(), caf::actor_cast<caf::strong_actor_ptr>(router())};
}

} // namespace troupe

#endif
