#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/confirm_desk.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/early_desk.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/fire_line.hpp"
#include "troupe/router/detail/fires.hpp"
#include "troupe/router/detail/inboxes_of.hpp"
#include "troupe/router/detail/outbound.hpp"
#include "troupe/router/detail/outbox_file.hpp"
#include "troupe/router/detail/outbox_keeper.hpp"
#include "troupe/router/detail/outgoing.hpp"
#include "troupe/router/detail/room_desk.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/detail/service_places.hpp"
#include "troupe/router/idle_links.hpp"
#include "troupe/router/inbox_space.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/peer_lines_types.hpp"
#include "troupe/router/router_events.hpp"

namespace troupe::router {

/// Ends an actor before its next message.
inline void kill_next(const caf::strong_actor_ptr& which) {
  which->enqueue(nullptr, caf::make_message_id(caf::message_priority::high),
                 caf::make_message(caf::exit_msg{which->address(), caf::exit_reason::kill}),
                 nullptr);
}

/// Brings messages to agents, wherever they live: the entry point of its node. Finds out
/// who is meant, hands on to agents here, sends to the routers of other nodes, and fails
/// requests as soon as their link is gone (CAF would let them run into their time-out).
/// An agent gets the application's own message and sees no envelope.
///
/// Delivery is at most once. Messages from one sender to one agent keep their order as
/// long as the link lasts; a router_core decides what becomes of each. What waits for a
/// link, or for room on it, is bounded in bytes (see fair_room); beyond that messages are
/// refused, and so are the answers of agents. What waits for an agent of this node is bounded as
/// well (see agent_inbox), and those who send to one of another node are refused while it has no
/// room. A request is not sent after its caller was told that
/// it timed out. A link that neither side uses is closed (see idle_links) and made again for the
/// next message; those over which handles were found stay.
///
/// A node that has just started does not know yet who is where: until it does, messages to agents
/// that it does not know, and to many, wait (see host::early_questions), all but those that a
/// program gives to router_access::send(). So do those to an agent whose node has just started
/// again, until that says whether it is there.
///
/// Public functions other than make_behavior() are for the node, through router_access.
class router_state {
public:
  static inline const char* name = "troupe.router";

  router_state(caf::event_based_actor* self, std::shared_ptr<detail::entrance> entrance,
               const node_id& node, router_options options, router_events events, idle_options idle)
    : self_(self),
      entrance_(std::move(entrance)),
      node_(node),
      options_(options),
      events_(std::move(events)),
      services_(self),
      outbound_(self, *entrance_, node, options, events_, idle),
      confirms_(self, *entrance_, node, options,
                [this](time_point moment, const node_id& to, const letter& what) {
                  outbound_.write(moment, to, what);
                }),
      early_(self_, *entrance_, node, options,
             {[this](detail::outgoing what) { for_room_.send(std::move(what)); },
              [this](detail::early_desk::look_up what) { look(std::move(what)); }}),
      for_room_(self_, *entrance_, options,
                {[this](const detail::outgoing& what) { return plan(what); },
                 [this](detail::outgoing what, detail::route where) {
                   send(std::move(what), std::move(where));
                 },
                 [this](const agent_id& agent) { return outbound_.is_elsewhere(agent); },
                 [this](const agent_id& agent) { outbound_.ask_room(agent); }}) {
    outbound_.on_room = [this](const agent_id& agent, const std::optional<inbox_space>& space) {
      for_room_.may_have_room(agent, space);
    };
    self_->set_down_handler([this](const caf::down_msg& gone) { end_agent(gone.source); });
  }

  router_state(const router_state&) = delete;
  router_state& operator=(const router_state&) = delete;

  ~router_state() {
    early_.close();
    for_room_.close();
    confirms_.close();
    entrance_->close();
  }

  /// For what does not end at the entrance.
  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {
      [this](dispatch& what) {
        detail::fire_line::going it{entrance_->fires};
        send(what, awaited::answer);
      },
      [this](post& what) {
        detail::fire_line::going it{entrance_->fires};
        send(what, awaited::receipt);
      },
      [this](const rest_link& what) { outbound_.let_rest(what); },
      [this](const await_room& what) { await(what); },
      [this](const agents_full& what) { outbound_.hold_back(what); },
      [this](confirm_event& what) { confirms_.take(what); },
      [this](const find_agent& what) -> caf::result<caf::strong_actor_ptr> {
        auto found = entrance_->agents.find(what.id).handle;
        if (!found)
          return to_error(entrance_->inboxes.absent(self_->ctrl(), what.id));
        if (auto why = detail::check_type(what.id, found, what.takes))
          return to_error(std::move(why));
        return found;
      },
      [this](const resolve_agent& what) { resolve(what); },
      [this](const find_service& what) { // the answer takes the sender away
        return services_.find(
          what, entrance_->origin_of(self_->ctrl(), self_->current_sender(), agent_id{}));
      },
      [this](const find_router_statistics&) { return statistics(); },
      [this](const list_dead_letters& what) { return confirms_.dead().list(what); },
      [this](const show_dead_letter& what) { return confirms_.dead().show(what); },
      [this](const redrive_dead_letter& what) { return confirms_.dead().redrive(what); },
      [this](const purge_dead_letters& what) {
        confirms_.dead().purge(what, detail::asker::of(self_));
      },
      [this](const list_inboxes& what) { return detail::inboxes_of(*entrance_, confirms_, what); },
      [this](const expire_messages& what) -> caf::result<expire_receipt> {
        auto made = detail::let_go_of(*entrance_, confirms_, what);
        if (!made)
          return to_error(made.error());
        return *made;
      },
      [this](const leave_cluster& what) {
        leave({.force = what.force}, [this](caf::response_promise& answer, const auto& report) {
          answer.deliver(leave_receipt{report.node});
          events_.departure_heard(); // that one does not say so
        });
      },
      [this](const leave_node& what) {
        leave(what,
              [](caf::response_promise& answer, const auto& report) { answer.deliver(report); });
      },
      [this](const departure_heard&) { events_.departure_heard(); },
      [this](const maintain_node& what) { maintain(what.on); },
    };
  }

  // -- the node's agents -------------------------------------------------------------

  /// Ends all agents that live in this process; one that catches exits may go on.
  void end_agents() {
    for (auto& each : entrance_->agents.all())
      if (each->node() == self_->node())
        caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  }

  /// Ends them before their next message, however many wait; none may go on.
  void kill_agents() {
    for (auto& each : entrance_->agents.all())
      if (each->node() == self_->node())
        kill_next(each);
  }

  /// Returns the ids of agents that live in this process.
  [[nodiscard]] std::vector<agent_id> agents_left() const {
    return entrance_->agents.ids_on(self_->node());
  }

  /// One that takes_info gets a message_info in front of what is sent to it, and one that has_store
  /// each as a kept_message. Returns limit_reached, name_taken, or bad_argument of its inbox.
  [[nodiscard]] problem add_agent(const agent_id& id, const caf::strong_actor_ptr& handle,
                                  bool takes_info = false, const inbox_options& inbox = {},
                                  bool has_store = false) {
    if (auto why = check(inbox))
      return why;
    auto why
      = entrance_->agents.add(self_, id, handle, options_.max_agents, takes_info, inbox, has_store);
    if (!why)
      early_.comes(id);
    return why;
  }

  /// Hands nothing to the agent from here on. Returns it, null if there was none.
  caf::strong_actor_ptr remove_agent(const agent_id& id) {
    return entrance_->inboxes.remove(self_, id);
  }

  /// The same, if `agent` is the one of that id. By then another one may be.
  caf::strong_actor_ptr remove_agent(const agent_id& id, const caf::actor_addr& agent) {
    auto found = entrance_->agents.find(id).handle;
    return found && found->address() == agent ? remove_agent(id) : nullptr;
  }

  // -- what the node knows -------------------------------------------------------------

  [[nodiscard]] detail::routes& places() {
    return entrance_->ways;
  }

  /// Others have yet to tell where the agents of their nodes are; until knows_all().
  void await_all() {
    early_.begin();
    entrance_->inboxes.begin(now(), host::early_questions::patience);
  }

  /// An agent of another node is there.
  void found(location what) {
    auto agent = what.agent;
    places().put(std::move(what));
    early_.comes(agent);
  }

  /// That agent is not on that node any more. If that `returns`, it may be there again soon.
  void gone(const agent_id& agent, const node_id& node, bool returns) {
    places().remove(agent, node);
    if (returns)
      early_.expect(agent);
  }

  /// They can be reached from here on.
  void finds_others() {
    early_.finds_others();
  }

  /// All is known that others knew when this node joined them.
  void knows_all() {
    early_.knows_all_now();
  }

  /// Sends a batch of what programs have given; nobody hears what becomes of it.
  void send(const detail::fire_line::ticket& which) {
    auto all = entrance_->fires.take(which);
    auto moment = now();
    outbound_.tick(moment);
    std::size_t accepted = 0;
    auto deliver_accepted = [&] {
      if (accepted > 0)
        confirms_.carry_out();
      for (; accepted > 0; --accepted)
        entrance_->fires.has_gone();
    };
    for (auto& each : all)
      if (auto* to = std::get_if<detail::sure_place>(&each.where)) {
        confirms_.accept_more(moment, std::move(to->agent), std::move(each.payload),
                              entrance_->own_origin(moment, each.said), to->bytes);
        ++accepted;
      } else {
        deliver_accepted(); // before what was sent after them
        send_one(moment, each);
      }
    deliver_accepted();
    all.clear();
    entrance_->fires.give_back(std::move(all));
  }

  /// Sends what was taken for `where`; nobody hears what becomes of it.
  void send(std::vector<detail::stop> where, caf::message payload,
            const detail::said_by_program& said = {}) {
    auto from = entrance_->own_origin(self_->system(), said);
    auto expires_at = from.said.expires_at();
    outbound_.step(detail::outbound::core::message{{.stops = std::move(where)},
                                                   awaited::nothing,
                                                   {},
                                                   {},
                                                   {std::move(payload), std::move(from)},
                                                   expires_at});
  }

  /// This process goes on as a later start of its node.
  void go_on_as(boot_number boot) {
    entrance_->go_on_as(boot);
    confirms_.go_on_as(boot);
  }

  /// Gives a message without a ttl to an agent of this node, which has a place for it, behind all
  /// that was sent before.
  void bring(const detail::agent_table::reservation& to, const caf::message& payload,
             const detail::said_by_program& said = {}) {
    detail::bring(self_->ctrl(), *entrance_, entrance_->agents.pass(to), to.bytes, payload, said,
                  self_->context());
  }

  /// The same, on the disk first: `accepted` hears of that on this actor.
  void keep(const agent_id& to, caf::message payload, const detail::said_by_program& said,
            std::size_t bytes, std::function<void(const problem&)> accepted) {
    detail::fire_line::going it{entrance_->fires};
    confirms_.keep(to, std::move(payload), entrance_->own_origin(self_->system(), said), bytes, {},
                   {}, std::move(accepted));
  }

  /// What it has accepted to deliver.
  [[nodiscard]] const detail::confirm_desk& accepted() const {
    return confirms_;
  }

  /// See confirm_desk::go_on_with().
  auto go_on_with(std::shared_ptr<detail::outbox_keeper> keeper,
                  std::vector<detail::outbox_file::row> all) {
    return confirms_.go_on_with(std::move(keeper), std::move(all));
  }

  /// See service_places::set_gauges().
  void set_gauges(std::map<std::string, detail::service_places::gauge> all) {
    services_.set_gauges(std::move(all));
  }

  void set_service(const std::string& what, service_place where) {
    services_.set(what, std::move(where));
  }

  // -- links -------------------------------------------------------------------------

  /// Link number `number` leads to the router `entry` of `node`. One that it takes the place of
  /// has ended, though that may be told only later.
  void link_up(const node_id& node, std::uint64_t number, caf::strong_actor_ptr entry) {
    outbound_.link_up(node, number, std::move(entry));
    confirms_.link_up(node);
  }

  /// Others have filled that link, or it has drained.
  void link_full(const node_id& node, std::uint64_t number, bool is_full) {
    outbound_.step(lines::link_full{node, number, is_full});
  }

  /// From now on this side needs all its links, or those to these peers, used or not; no others.
  void keep_links(bool all, std::set<node_id> peers) {
    outbound_.step(lines::keep_links{all, std::move(peers)});
  }

  /// Fails what was sent over it and not answered. What waited for room on it waits for the next.
  void link_down(const node_id& node, std::uint64_t number) {
    outbound_.step(lines::link_down{node, number});
    tell_of_link(node);
  }

  /// A link to that node has ended before it could be used, and any before it: word of their ends
  /// comes late, or as that of others.
  void link_missed(const node_id& node) {
    outbound_.step(lines::link_missed{node});
    tell_of_link(node);
  }

  /// Gives the router of `node` to one who uses it directly, with a link if there is none. If it
  /// `holds` the link, that stays until it is lost; else as long as it is used.
  void reach(const node_id& node, std::function<void(result<caf::strong_actor_ptr>)> done,
             bool holds = true) {
    outbound_.visit(
      node, holds,
      [done = std::move(done)](const caf::strong_actor_ptr& entry, const problem& why) {
        if (!entry)
          return done(why);
        done(entry);
      });
  }

  /// There is no link to `node` and will be none for now: refuses what waits for it.
  void link_failed(const node_id& node, const problem& why) {
    outbound_.step(lines::link_failed{node, why});
  }

  [[nodiscard]] router_statistics statistics() const {
    router_statistics result;
    entrance_->add_to(result);
    auto waiting = entrance_->agents.waiting();
    result.waiting = static_cast<std::uint32_t>(waiting.messages());
    result.waiting_bytes = waiting.bytes();
    result.agents = static_cast<std::uint32_t>(entrance_->agents.size());
    entrance_->ways.add_to(result);
    entrance_->going_out.add_to(result);
    outbound_.add_to(result);
    for_room_.add_to(result);
    entrance_->confirms.add_to(result);
    confirms_.add_to(result);
    return result;
  }

  [[nodiscard]] kept_messages kept() const {
    kept_messages result;
    confirms_.add_to(result);
    auto all = statistics();
    result.in_inboxes = entrance_->agents.waiting().messages();
    result.dead_letters = all.dead_letters;
    return result;
  }

private:
  /// One may have ended.
  void tell_of_link(const node_id& node) {
    if (!outbound_.has_link(node))
      confirms_.link_down(node);
  }

  /// Calls `deliver` with the promise and the report, if the node leaves.
  template <class Deliver>
  void leave(const leave_node& how, Deliver deliver) {
    // It stays here: CAF counts who has it without a lock.
    leaving_.emplace(++last_leaving_, self_->make_response_promise());
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    events_.leave(
      how.force, how.deliver_within, kept(),
      [this, home, deliver, number = last_leaving_](const result<departure_report>& what) {
        run_on(home, [this, deliver, what, number] {
          auto found = leaving_.extract(number);
          if (found && what)
            deliver(found.mapped(), *what);
          else if (found)
            found.mapped().deliver(to_error(what.error()));
        });
      });
  }

  void await(const await_room& what) {
    if (self_->current_message_id().is_request())
      entrance_->await_room(self_->ctrl(), what.agent, detail::asker::of(self_), self_->context());
  }

  void maintain(bool on) {
    constexpr std::size_t most = 100;
    if (maintained_.size() >= most)
      return reply(
        to_error({errc::busy, std::to_string(most)
                                + " requests to change the maintenance of this node wait "
                                  "for an answer; retry with backoff"}));
    // It stays here: CAF counts who has it without a lock.
    maintained_.emplace(++last_maintained_, self_->make_response_promise());
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    events_.maintain(on, [this, home, on, number = last_maintained_](const problem& why) {
      run_on(home, [this, on, why, number] {
        auto found = maintained_.extract(number);
        if (!found)
          return;
        if (why)
          return found.mapped().deliver(to_error(why));
        found.mapped().deliver(maintenance_receipt{to_string(node_), on});
      });
    });
  }

  /// Answers the current message, if it asks for an answer.
  template <class Answer>
  void reply(Answer what) {
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(std::move(what));
  }

  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  // -- messages that go out ------------------------------------------------------------

  /// Of a batch, and not of class confirm or once.
  void send_one(time_point moment, detail::fire& what) {
    troupe::visit(overloaded{[&](detail::far_place& where) {
                               outbound_.fire(moment, where, std::move(what.payload),
                                              std::move(what.said.how));
                             },
                             [&](const detail::agent_table::reservation& to) {
                               detail::fire_line::going it{entrance_->fires};
                               bring(to, what.payload, what.said);
                             },
                             [&](std::vector<detail::stop>& where) {
                               detail::fire_line::going it{entrance_->fires};
                               send(std::move(where), std::move(what.payload), what.said);
                             },
                             [](const detail::sure_place&) {}},
                  what.where);
  }

  /// A dispatch or a post.
  template <class What>
  void send(What& what, awaited wants) {
    if (auto why = check(what.how))
      return reply(to_error(std::move(why)));
    if (what.how.wait_for_room && !is_to_one(what.to))
      return reply(to_error(detail::waits_for_one()));
    auto from = entrance_->origin_of(self_->ctrl(), self_->current_sender(), what.from);
    from.said = entrance_->begin(detail::shared(std::move(what.how)), now());
    auto waits = self_->current_message_id().is_request();
    auto asks = waits && wants == awaited::answer;
    if (is_confirmed(from.said.delivery()))
      return confirm(what.to, std::move(what.payload), std::move(from), asks,
                     waits ? what.timeout : duration{});
    if (asks && is_to_one(what.to))
      from.said.patience = patience(what.timeout);
    early_.send({std::move(what.to),
                 waits ? wants : awaited::nothing,
                 what.timeout,
                 waits ? detail::asker::of(self_) : detail::asker{},
                 {std::move(what.payload), std::move(from)}});
  }

  /// Of class confirm or once; whoever waits hears once it is handled.
  void confirm(const recipients& to, caf::message payload, detail::origin from, bool asks,
               duration timeout) {
    agent_id agent{to.name};
    auto bytes = compat::size_of(self_->system(), payload);
    auto why
      = entrance_->take_confirm(to, asks, bytes, from.said_bytes(), from.said.life, from.client());
    if (why)
      return reply(to_error(std::move(why)));
    detail::fire_line::going it{entrance_->fires};
    auto by = self_->current_message_id().is_request() ? detail::asker::of(self_) : detail::asker{};
    if (from.said.how->durability == durability::synced)
      return confirms_.keep(agent, std::move(payload), std::move(from),
                            *bytes + detail::routes::letter_bytes, std::move(by), patience(timeout),
                            {});
    confirms_.accept(agent, std::move(payload), std::move(from),
                     *bytes + detail::routes::letter_bytes, std::move(by), patience(timeout));
  }

  detail::route plan(const detail::outgoing& what) {
    auto& from = what.what.from;
    auto where
      = entrance_->plan(self_->system(), what.to,
                        {what.wants == awaited::answer, from.said_bytes(), from.said.life,
                         is_critical(from.said.how.get()), turn_of(from.said.how.get()).tenant},
                        what.what.payload);
    if (where.refusal.code == errc::not_found)
      if (auto why = early_.may_come(what.to))
        where.refusal = std::move(why);
    return where;
  }

  void send(detail::outgoing what, detail::route where) {
    auto& from = what.what.from;
    auto expires_at = from.said.expires_at();
    auto holder = what.wants != awaited::nothing ? from.by() : detail::share_holder{};
    outbound_.step(detail::outbound::core::message{std::move(where), what.wants, what.timeout,
                                                   std::move(what.by), std::move(what.what),
                                                   expires_at, std::move(holder)});
  }

  void resolve(const resolve_agent& what) {
    if (auto here = entrance_->agents.find(what.id).handle) {
      auto answer = self_->make_response_promise();
      if (auto why = detail::check_type(what.id, here, what.takes))
        return answer.deliver(to_error(std::move(why)));
      return answer.deliver(here);
    }
    auto& asks = self_->current_sender();
    auto is_from_elsewhere = asks && asks->node() != self_->node();
    auto by = entrance_->origin_of(self_->ctrl(), asks, agent_id{}).by();
    detail::outbound::core::look_up made{what.id,
                                         is_from_elsewhere,
                                         what.timeout,
                                         detail::asker::of(self_),
                                         {caf::make_message(find_agent{what.id, what.takes})},
                                         std::move(by)};
    early_.look(std::move(made));
  }

  /// The agent may have begun on this node while that waited.
  void look(detail::early_desk::look_up what) {
    auto here = entrance_->agents.find(what.agent).handle;
    if (!here)
      return outbound_.step(std::move(what));
    auto& asks = what.what.payload.get_as<find_agent>(0);
    auto why = detail::check_type(what.agent, here, asks.takes);
    what.by.tell(self_->ctrl(),
                 why ? caf::make_message(to_error(std::move(why))) : caf::make_message(here),
                 self_->context());
  }

  void end_agent(const caf::actor_addr& who) {
    auto gone = entrance_->inboxes.end_of(self_, who);
    confirms_.agents_gone(gone);
    for (auto& id : gone)
      events_.agent_ended(id);
  }

  caf::event_based_actor* self_;
  std::shared_ptr<detail::entrance> entrance_;
  node_id node_;
  router_options options_;
  router_events events_;
  /// Who has asked the node to leave and has no answer yet; departure_options::max_askers at most.
  std::map<std::uint64_t, caf::response_promise> leaving_;
  std::uint64_t last_leaving_ = 0;
  /// Who has asked for maintenance and has no answer yet.
  std::map<std::uint64_t, caf::response_promise> maintained_;
  std::uint64_t last_maintained_ = 0;
  detail::service_places services_;
  detail::outbound outbound_;
  detail::confirm_desk confirms_;
  detail::early_desk early_;
  detail::room_desk for_room_;
};

/// The actor of a router. What its entrance takes never comes into its mailbox.
class node_router : public caf::stateful_actor<router_state> {
public:
  template <class... Ts>
  node_router(caf::actor_config& cfg, std::shared_ptr<detail::entrance> entrance, Ts&&... xs)
    : caf::stateful_actor<router_state>(cfg, entrance, std::forward<Ts>(xs)...),
      entrance_(std::move(entrance)) {}

  using caf::stateful_actor<router_state>::enqueue;

  bool enqueue(caf::mailbox_element_ptr what, compat::execution_context* context) override {
    if (entrance_->take(ctrl(), *what, context))
      return true;
    auto is_batch = what->sender == ctrl();
    if (!what->mid.is_response()
        && (what->payload.match_elements<dispatch>() || what->payload.match_elements<post>()))
      entrance_->fires.on_the_way();
    auto is_taken = caf::stateful_actor<router_state>::enqueue(std::move(what), context);
    // Not before, as others may have opened a batch since then; a batch is brought under its lock.
    if (!is_batch)
      entrance_->fires.seal();
    return is_taken;
  }

private:
  /// Not in the state, which ends before the last message comes.
  std::shared_ptr<detail::entrance> entrance_;
};

} // namespace troupe::router
