#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/error.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/sec.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/enclosed_request.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/answers.hpp"
#include "troupe/router/detail/arrivals.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/call_outcomes.hpp"
#include "troupe/router/detail/confirm_room.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/fire_line.hpp"
#include "troupe/router/detail/inbox_desk.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router::detail {

/// The part of a router that works in the thread which brings a message: hands on what comes
/// for agents, and answers to those who wait for them. So between a link and either there is no
/// hand-over to a thread of the router, and messages keep the order of their link. Whatever
/// else a router gets, it handles in its own turn.
///
/// Thread-safe; outlives the state of its actor, which closes it.
class entrance {
public:
  /// `boot` counts the starts of the node, for the ids of messages.
  entrance(const node_id& node, boot_number boot, const router_options& options,
           call_outcomes::teller called, link_peer_finder peers)
    : agents(options.max_all_waiting_bytes),
      ways(node, options),
      outcomes(std::move(called)),
      going_out(options),
      confirms(options),
      coming_in(agents, inboxes, boot, channel_options(options)),
      peers_(std::move(peers)),
      own_{node, true, true},
      boot_(boot),
      max_message_bytes_(options.max_message_bytes) {}

  agent_table agents;
  /// To these.
  inbox_desk inboxes{agents};
  /// To the agents of all nodes.
  routes ways;
  /// By the numbers of their requests; sent over links, by their numbers.
  open_requests<node_id, std::uint64_t, call<asker>> pending;
  /// What becomes of these.
  call_outcomes outcomes;
  /// To those who ask over links.
  answers going_out;
  /// Of class confirm or once, accepted here.
  confirm_room confirms;
  /// Those that other nodes have accepted for agents here, and this one.
  arrivals coming_in;
  /// To the router's actor, from programs.
  fire_line fires;
  /// Whether the last of these had to say its size: the next one may as well.
  std::atomic<bool> wants_sizes{false};

  /// The number of what a node that does not know the class answers. Like those of requests it has
  /// their flag, or the link would take the answer for one that nobody has asked for.
  static constexpr std::uint64_t confirm_number = enclosed_request | std::uint64_t{1} << 55U;

  void add_to(router_statistics& sum) const {
    sum.damaged = damaged_.load();
    sum.uninvited = uninvited_.load();
    inboxes.add_to(sum);
  }

  /// Takes `what` if it is a message for agents, or an answer to one or to somebody behind a link;
  /// returns false if not, then it is as it was. `self` is the router.
  bool take(const caf::strong_actor_ptr& self, caf::mailbox_element& what,
            compat::execution_context* context) {
    if (closed_.load(std::memory_order_acquire))
      return false;
    if (what.mid.is_response())
      return bring_back(self, what, context);
    if (what.payload.match_elements<bundle>()) {
      auto full = deliver(self, what.sender, what.payload.get_mutable_as<bundle>(0), context);
      if (!full.agents.empty() && what.sender && !what.mid.is_request())
        what.sender->enqueue(self, caf::make_message_id(), caf::make_message(std::move(full)),
                             context);
      say_that_it_is_here(
        self, what, [this] { return full_agents(); }, context);
    } else if (what.payload.match_elements<envelope>()) {
      auto& letter = what.payload.get_as<envelope>(0);
      deliver_to(
        letter.to, self, {letter.payload, {what.sender, what.mid}}, patience(quiet_patience),
        [&] { return origin_of(self, what.sender, agent_id{}).info(); }, context);
    } else if (what.payload.match_elements<ready_answer>()) {
      going_out.tell(self, {what.sender, what.mid, what.stages},
                     std::move(what.payload.get_mutable_as<ready_answer>(0).what), context,
                     patience(quiet_patience));
    } else if (what.payload.match_elements<confirm_word>()) {
      if (auto by = member_behind(what.sender))
        tell(
          self,
          confirm_event::word{by->id, std::move(what.payload.get_mutable_as<confirm_word>(0).said)},
          context);
    } else if (compat::is_ping(what.payload)) {
      say_that_it_is_here(
        self, what, [] { return caf::message{}; }, context);
    } else {
      return false;
    }
    return true;
  }

  // -- of whom, and what of it ---------------------------------------------------------------

  /// Answers `by` as soon as there is room for more messages for that agent.
  void await_room(const caf::strong_actor_ptr& self, const agent_id& id, asker by,
                  compat::execution_context* context) {
    room_asker who{std::move(by)};
    if (who.by.who)
      who.node = peer_of(who.by.who).id;
    inboxes.await_room(self, id, std::move(who), context);
  }

  /// Returns who asks the router for something; an agent of this process may say which of its ids
  /// it sends as. `self` is the router.
  [[nodiscard]] origin origin_of(const caf::strong_actor_ptr& self,
                                 const caf::strong_actor_ptr& sender, const agent_id& says) const {
    if (!sender)
      return {}; // perhaps from elsewhere: CAF does not say
    if (auto there = peer_of(sender); there.id != node_id{} || sender->node() != self->node())
      return {there, {}, false};
    return {own_, agents.id_of(sender->address(), says), true};
  }

  /// Of what `by`, a node or client, sends here. Only a member is believed about what it passes on,
  /// and about the names of its agents.
  [[nodiscard]] origin origin_of(time_point moment, origin by, const letter& what) const {
    terms said{{by.where.id, what.boot, what.message},
               what.life,
               what.wanted == word::answer ? what.patience : longest_life,
               moment,
               what.sent_at,
               what.how,
               what.age,
               what.redrives};
    auto is_member = by.where.id != node_id{} && by.where.is_member;
    if (is_member && what.id)
      said.id = *what.id;
    if (is_member && what.is_passed_on)
      by = what.first != node_id{} ? origin{{what.first, false, by.where.is_proven}} : origin{};
    else if (is_member && !what.from.empty() && !check(what.from)
             && ways.may_be_on(what.from, by.where.id, bool{agents.find(what.from)}))
      by.agent = what.from;
    by.said = std::move(said);
    return by;
  }

  /// The origin of what this node sends itself.
  [[nodiscard]] origin own_origin(terms said) const {
    return {own_, {}, true, std::move(said)};
  }

  [[nodiscard]] boot_number boot() const {
    return boot_.load(std::memory_order_relaxed);
  }

  /// This process goes on as that start.
  void go_on_as(boot_number boot) {
    boot_.store(boot, std::memory_order_relaxed);
  }

  /// Begins a message of which its sender says `how`, if anything, at `now`; it was taken `ago`.
  [[nodiscard]] terms begin(std::shared_ptr<const message_options> how, time_point now,
                            duration ago = {}) {
    terms made{{own_.id, boot(), next_message()}};
    made.now = now;
    if (!how)
      return made;
    made.life = life_of(*how, ago);
    made.age = ago;
    made.how = std::move(how);
    return made;
  }

  /// The number of a message that begins here.
  [[nodiscard]] std::uint64_t next_message() {
    return last_message_.fetch_add(1, std::memory_order_relaxed) + 1;
  }

  /// The origin of what the program of this node sends. The clock is looked at for those of which
  /// something is said.
  [[nodiscard]] origin own_origin(caf::actor_system& sys, const said_by_program& said) {
    return own_origin(said.how ? now(sys) : time_point{}, said);
  }

  /// The same where whoever asks knows what time it is.
  [[nodiscard]] origin own_origin(time_point moment, const said_by_program& said) {
    auto ago = said.at != time_point{} ? moment - said.at : duration{};
    return own_origin(begin(said.how, moment, ago));
  }

  /// Counts an answer of a node that was not asked.
  void count_uninvited() {
    uninvited_.fetch_add(1, std::memory_order_relaxed);
  }

  /// Counts what of a channel makes no sense.
  void count_damaged() {
    damaged_.fetch_add(1, std::memory_order_relaxed);
  }

  /// Finds out where a message goes and takes it; see routes::plan().
  [[nodiscard]] route plan(caf::actor_system& sys, const recipients& to, const question& of,
                           const caf::message& payload) {
    return ways.plan(
      to.who == audience::any_with_capability ? now(sys) : time_point{}, to, of,
      [this, &of](std::string_view id) { return agents.look_for(id, of.tenant); },
      [&] { return compat::size_of(sys, payload).value_or(routes::npos); });
  }

  /// Takes a message of class confirm or once, which is on_the_way() then; returns why not. `asks`:
  /// an answer is wanted of the agent.
  [[nodiscard]] problem take_confirm(const recipients& to, bool asks,
                                     const std::optional<std::size_t>& bytes,
                                     std::size_t said_bytes, duration life,
                                     const confirm_room::client& by = {}) {
    if (to.who != audience::agent)
      return confirms_to_one();
    if (asks)
      return confirms_no_request();
    agent_id agent{to.name};
    if (auto why = check(agent))
      return why;
    if (life <= duration::zero())
      return inboxes.count_expired(1);
    if (!bytes)
      return unwritable();
    auto all = *bytes + said_bytes + agent.text().size() + routes::letter_bytes;
    if (all > max_message_bytes_)
      return too_large(all, max_message_bytes_);
    auto why = confirms.take(agent, *bytes + routes::letter_bytes, by);
    if (!why)
      fires.on_the_way();
    return why;
  }

  /// Ends all requests and lets go of all agents. The answers have no sender: the router may be
  /// at the end of its life, when nobody may hold it any more.
  void close() {
    closed_.store(true, std::memory_order_release);
    fires.close();
    pending.clear([](call<asker>& each) {
      each.by.tell(nullptr, caf::make_message(caf::make_error(caf::sec::broken_promise)), nullptr);
    });
    coming_in.close();
    inboxes.close();
    going_out.clear();
  }

private:
  [[nodiscard]] static time_point now(caf::actor_system& sys) {
    return time_point{sys.clock().now().time_since_epoch()};
  }

  /// Its router counts what has arrived, and hears which agents here are `full`.
  template <class Find>
  static void say_that_it_is_here(const caf::strong_actor_ptr& self,
                                  const caf::mailbox_element& what, const Find& full,
                                  compat::execution_context* context) {
    if (what.sender && what.mid.is_request())
      what.sender->enqueue(self, what.mid.response_id(), full(), context);
  }

  bool bring_back(const caf::strong_actor_ptr& self, caf::mailbox_element& what,
                  compat::execution_context* context) {
    if (going_out.take(self, what, context))
      return true;
    auto number = what.mid.request_id().integer_value();
    auto is_from_here = !what.sender || what.sender->node() == self->node();
    if (is_from_here && inboxes.take_sign(self, what, number, context))
      return true;
    if (number == confirm_number)
      return hear_refusal(self, what, context);
    constexpr auto handled = arrivals::handled_flag;
    if ((number & ~(handled - 1)) == handled)
      return hear_of_delivery(self, what, number & (handled - 1), is_from_here, context);
    auto deliver = [&](call<asker>& to, const node_id& node) {
      if (to.is_telling && !what.payload.match_elements<caf::error>())
        outcomes.answered(node, to.agent);
      ways.ended(to, node);
      going_out.tell(self, std::move(to.by), in_our_words(std::move(what.payload)), context);
    };
    // From this process, or without a sender, it is CAF's word for what never got there.
    if (!peers_ || is_from_here)
      return pending.finish(number, deliver);
    if (auto by = peers_(what.sender).id; by != node_id{} && pending.finish_by(by, number, deliver))
      return true;
    if (!pending.is_open(number))
      return false;
    uninvited_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  /// Returns the agents that are full of what has come.
  agents_full deliver(const caf::strong_actor_ptr& self, const caf::strong_actor_ptr& asks,
                      bundle& what, compat::execution_context* context) {
    agents_full full;
    auto note = [&](const agent_id& id, inbox_desk::given how) {
      auto is_late = how == inbox_desk::given::waits || how == inbox_desk::given::refused;
      auto& known = full.agents;
      if (is_late && known.size() < agent_table::inboxes::most_full
          && agents.look_for(id.text()) == presence::full
          && std::ranges::find(known, id.text()) == known.end())
        known.push_back(id.text());
    };
    auto arrived = what.take(context);
    if (arrived.damage)
      damaged_.fetch_add(1, std::memory_order_relaxed);
    std::vector<letter> confirmed;
    if (!arrived.damage && std::ranges::all_of(arrived.letters, &letter::is_confirm))
      confirmed.swap(arrived.letters);
    auto moment = now(*self->home_system);
    for (auto& each : arrived.letters) {
      if (!arrived.damage && each.is_confirm()) {
        confirmed.push_back(std::move(each));
        continue;
      }
      // Built anew from the number, so that no letter passes for an answer.
      auto id = each.wanted == word::nothing || !asks
                  ? caf::make_message_id()
                  : caf::message_id{each.number & caf::message_id::request_id_mask}
                      .with_normal_priority();
      if (!arrived.damage && each.unreadable.code == errc::damaged)
        damaged_.fetch_add(1, std::memory_order_relaxed);
      auto why = arrived.damage ? arrived.damage : each.unreadable;
      if (!why && each.life <= duration::zero())
        why = inboxes.count_expired(each.to.size());
      if (why)
        answer(self, asks, id, to_error(std::move(why)), context);
      else if (each.wanted == word::receipt)
        note(each.to.front(), deliver_and_say(self, {asks, id}, each, context));
      else
        for (auto& agent : each.to)
          note(agent, deliver_to(
                        agent, self,
                        {each.payload,
                         {asks, id},
                         each.bytes,
                         expiry(self, each),
                         false,
                         turn_of(each.how.get()),
                         moment},
                        patience(each.patience), [&] { return origin_of(self, asks, each).info(); },
                        context));
    }
    if (!confirmed.empty())
      if (auto by = member_behind(asks))
        tell(self, confirm_event::letters{*by, asks, std::move(confirmed)}, context);
    return full;
  }

  // -- class confirm -------------------------------------------------------------------

  /// The router takes it in its own turn.
  template <class What>
  static void tell(const caf::strong_actor_ptr& self, What what,
                   compat::execution_context* context) {
    self->enqueue(nullptr, caf::make_message_id(),
                  caf::make_message(confirm_event{std::move(what)}), context);
  }

  /// The member whose router that is; nothing, and counted, if it is none.
  std::optional<link_peer> member_behind(const caf::strong_actor_ptr& sender) {
    auto there = sender ? peer_of(sender) : link_peer{};
    if (there.id != node_id{} && there.is_member)
      return there;
    uninvited_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }

  /// Other errors are of one message, which goes again.
  bool hear_refusal(const caf::strong_actor_ptr& self, caf::mailbox_element& what,
                    compat::execution_context* context) {
    if (!what.payload.match_elements<caf::error>())
      return true;
    auto why = to_problem(what.payload.get_as<caf::error>(0));
    if (why.code == errc::incompatible)
      if (auto by = member_behind(what.sender))
        tell(self, confirm_event::refusal{by->id, std::move(why)}, context);
    return true;
  }

  bool hear_of_delivery(const caf::strong_actor_ptr& self, caf::mailbox_element& what,
                        std::uint64_t number, bool is_from_here,
                        compat::execution_context* context) {
    auto wake = [&] { tell(self, confirm_event::news{}, context); };
    if (is_from_here && !what.payload.match_elements<caf::error>()
        && coming_in.handled(self, number, context, wake))
      return true;
    confirm_event::answer made{number};
    if (!is_from_here)
      made.where = what.sender->node();
    if (what.payload.match_elements<caf::error>()) {
      auto& why = what.payload.get_as<caf::error>(0);
      made.why = to_problem(why);
      auto is_from_nobody = !what.sender; // an agent may pass on what CAF said of another actor
      made.is_bounced
        = what.sender == self || (is_from_nobody && why == caf::sec::request_receiver_down);
    }
    tell(self, std::move(made), context);
    return true;
  }

  static std::optional<time_point> expiry(const caf::strong_actor_ptr& self, const letter& what) {
    return what.life != longest_life ? std::optional{now(*self->home_system) + what.life}
                                     : std::nullopt;
  }

  /// The receipt is for what the agent has, in its mailbox or its inbox.
  inbox_desk::given deliver_and_say(const caf::strong_actor_ptr& self, const asker& asks,
                                    const letter& what, compat::execution_context* context) {
    auto& id = what.to.front();
    auto to = agents.pass(id, what.bytes);
    if (!to.agent) {
      answer(self, asks.who, asks.id, to_error(inboxes.unknown(self, id)), context);
      return inbox_desk::given::gone;
    }
    auto payload
      = message_for(to.agent, what.payload, [&] { return origin_of(self, asks.who, what).info(); });
    auto how = inboxes.give(
      self, id, to, {payload, {}, what.bytes, expiry(self, what), false, turn_of(what.how.get())},
      context);
    switch (how) {
      case inbox_desk::given::yes:
      case inbox_desk::given::waits:
        answer(self, asks.who, asks.id, send_report{1}, context);
        break;
      case inbox_desk::given::refused:
        answer(self, asks.who, asks.id, to_error(inbox_full(id)), context);
        break;
      case inbox_desk::given::gone:
        answer(self, asks.who, asks.id, to_error(no_agent(id)), context);
        break;
    }
    return how;
  }

  /// Whoever asks waits for `wait`.
  template <class FindInfo>
  inbox_desk::given deliver_to(const agent_id& id, const caf::strong_actor_ptr& self,
                               inbox_desk::arrival what, duration wait, const FindInfo& find_info,
                               compat::execution_context* context) {
    auto to = agents.pass(id, what.bytes);
    if (!to.agent) {
      answer(self, what.by.who, what.by.id, to_error(inboxes.unknown(self, id)), context);
      return inbox_desk::given::gone;
    }
    what.by = going_out.stand_in(self, std::move(what.by), wait, context);
    auto payload = message_for(to.agent, what.payload, find_info);
    return inboxes.give(
      self, id, to,
      {payload, std::move(what.by), what.bytes, what.expires_at, false, what.turn, what.at},
      context);
  }

  /// Their ids; empty without any.
  [[nodiscard]] caf::message full_agents() const {
    auto found = agents.full_ones();
    return found.empty() ? caf::message{} : caf::make_message(std::move(found));
  }

  /// Of the peer of a link, or of this node's own process.
  [[nodiscard]] link_peer peer_of(const caf::strong_actor_ptr& sender) const {
    return peers_ ? peers_(sender) : link_peer{};
  }

  [[nodiscard]] origin origin_of(const caf::strong_actor_ptr& self,
                                 const caf::strong_actor_ptr& sender, const letter& what) const {
    return origin_of(now(*self->home_system), origin_of(self, sender, agent_id{}), what);
  }

  /// Answers the request `id` of `whom`, if it is one.
  template <class Answer>
  void answer(const caf::strong_actor_ptr& self, const caf::strong_actor_ptr& whom,
              caf::message_id id, Answer what, compat::execution_context* context) {
    if (whom && id.is_request())
      going_out.tell(self, {whom, id}, caf::make_message(std::move(what)), context);
  }

  /// Of who asks by an envelope, or a service: they say nothing of it.
  static constexpr duration quiet_patience = std::chrono::minutes{1};

  const link_peer_finder peers_;
  const link_peer own_;
  std::atomic<boot_number> boot_;
  const std::uint64_t max_message_bytes_;
  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> last_message_{0};
  std::atomic<std::uint64_t> damaged_{0};
  std::atomic<std::uint64_t> uninvited_{0};
};

} // namespace troupe::router::detail
