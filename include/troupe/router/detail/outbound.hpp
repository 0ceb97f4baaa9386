#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/response_promise.hpp"
#include "caf/timestamp.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/outgoing.hpp"
#include "troupe/router/idle_links.hpp"
#include "troupe/router/inbox_space.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/peer_lines_types.hpp"
#include "troupe/router/router_core.hpp"
#include "troupe/router/router_events.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Carries out what a router_core decides. Has the bundles and the handles of the routers of other
/// nodes, those who wait for a link, and the clock. Part of the actor, and used on it only.
class outbound {
public:
  using core = router_core<asker, content>;
  /// Called with the router of a node, or with null if there will be no link.
  using visitor = std::function<void(const caf::strong_actor_ptr& entry, const problem& why)>;

  /// `self` and what is passed by reference outlive this.
  outbound(caf::event_based_actor* self, entrance& shared, const node_id& node,
           const router_options& options, const router_events& events, const idle_options& idle)
    : self_(self),
      shared_(shared),
      node_(node),
      events_(events),
      answer_within_(idle.answer_within),
      core_(node,
            {.max_pending = options.max_pending,
             .max_recipients = bundle::max_recipients,
             .lines = {.idle = idle,
                       .window_bytes = options.window_bytes,
                       .max_turn_letters = bundle::max_letters,
                       .max_visits = options.max_pending}},
            shared.ways, shared.pending) {
    fired_.to.resize(1);
  }

  outbound(const outbound&) = delete;
  outbound& operator=(const outbound&) = delete;

  template <class Event>
  void step(Event what) {
    step(now(), std::move(what));
  }

  /// @pre `moment` is now; whoever knows it saves a look at the clock.
  template <class Event>
  void step(time_point moment, Event what) {
    core_.step(moment, std::move(what), wanted_);
    carry_out();
  }

  /// Does what is due.
  void tick(time_point moment) {
    core_.tick(moment, wanted_);
    carry_out();
  }

  /// Puts a message of the program on its way, which nobody waits for and which does not expire.
  /// @pre `moment` is now, after tick().
  void fire(time_point moment, far_place& where, caf::message payload,
            std::shared_ptr<const message_options> how) {
    auto& made = fired_;
    made.to.front() = std::move(where.agent);
    made.payload = std::move(payload);
    made.message = shared_.next_message();
    made.how = std::move(how);
    auto is_written = enclose(where.node, made, moment, where.bytes, 0);
    made.payload.reset();
    made.how.reset();
    if (!is_written)
      step(moment, core::unwritable{where.node, where.bytes});
  }

  /// Calls `then` once there is a link to `node`, behind all that waits for it. See lines::visit.
  void visit(const node_id& node, bool holds, visitor then) {
    auto number = ++last_visit_;
    visitors_.emplace(number, std::move(then));
    step(lines::visit{node, number, holds});
  }

  void link_up(const node_id& node, lines::link_number number, caf::strong_actor_ptr entry) {
    ends_.try_emplace(number, link_end{node, std::move(entry)});
    step(lines::link_up{node, number});
  }

  /// The router of another node asks that the link may rest; the answer goes out before anything
  /// else.
  void let_rest(const rest_link& what) {
    auto node = node_id::from_string(what.node);
    if (!node)
      return reply(to_error(node.error()));
    auto link = core_.link_to(*node).value_or(0);
    auto found = ends_.find(link);
    auto& asks = self_->current_sender();
    auto is_its = found != ends_.end() && asks && asks->address() == found->second.entry->address();
    step(lines::rest_asked{*node, is_its ? link : 0});
  }

  /// The router of another node says that agents there are full.
  void hold_back(const agents_full& what) {
    auto& says = self_->current_sender();
    if (!says)
      return;
    for (auto& [link, there] : ends_)
      if (says->address() == there.entry->address())
        return hold_back(there.peer, link, what.agents);
  }

  /// Puts a letter on its way that a channel sends again if it gets lost.
  /// @pre `moment` is now
  void write(time_point moment, const node_id& node, const letter& what) {
    static_cast<void>(enclose(node, what, moment, 0, 0));
  }

  [[nodiscard]] bool has_link(const node_id& node) const {
    return core_.link_to(node).has_value();
  }

  void add_to(router_statistics& sum) const {
    core_.add_to(sum);
  }

  /// Called when another node has said that there is room for that agent, or may have said so.
  std::function<void(const agent_id&, const std::optional<inbox_space>&)> on_room
    = [](const agent_id&, const std::optional<inbox_space>&) {};

  [[nodiscard]] bool is_elsewhere(const agent_id& agent) const {
    auto node = shared_.ways.node_of(agent);
    return node != node_id{} && node != node_;
  }

  /// Asks the node of that agent for room, behind all that waits for the link there, so that it
  /// counts that, too. A link is made if there is none. on_room tells of it, without bounds if
  /// there will be no link, as then nothing goes.
  /// @pre is_elsewhere()
  void ask_room(const agent_id& agent) {
    visit(shared_.ways.node_of(agent), false,
          [this, agent](const caf::strong_actor_ptr& entry, const problem&) {
            auto asked = entry ? core_.ask_room(agent) : std::nullopt;
            if (asked)
              await(*asked, true);
            else
              on_room(agent, inbox_space{});
          });
  }

private:
  /// The other end of a link.
  struct link_end {
    node_id peer;
    caf::strong_actor_ptr entry;
    /// Requests that the peer answers when it has the parcels with these marks.
    std::map<std::uint64_t, caf::message_id> receipts{};
    /// Questions for room that the peer has not answered, and what each answer is for.
    std::map<std::uint64_t, std::function<void(const inbox_space&)>> questions{};
  };

  /// How much room there is where that is not known: one message finds out.
  static constexpr inbox_space nobody_says{1, 1};

  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  /// Answers the current message, if it asks for an answer.
  template <class Answer>
  void reply(Answer what) {
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(std::move(what));
  }

  /// In order, also if something is sent while it is done.
  void carry_out() {
    if (std::exchange(is_carrying_out_, true))
      return;
    while (!wanted_.empty()) {
      doing_.swap(wanted_);
      for (auto& what : doing_)
        troupe::visit([this](auto& each) { perform(each); }, what);
      doing_.clear();
    }
    is_carrying_out_ = false;
    auto next = core_.next_deadline();
    if (!next)
      return;
    timer_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      core_.tick(now(), wanted_);
      carry_out();
    });
  }

  // -- messages ------------------------------------------------------------------------

  void perform(core::ask& what) {
    auto to = shared_.agents.pass(what.agent, 0);
    if (!to.agent)
      return step(core::missed{std::move(what.agent), std::move(what.by), what.request});
    auto by = what.request != 0 ? asker{self_->ctrl(), id_of(what.request)}
                                : shared_.going_out.stand_in(self_->ctrl(), std::move(what.by),
                                                             what.patience, self_->context());
    auto payload = message_for(to.agent, what.what);
    shared_.inboxes.give(self_->ctrl(), what.agent, to,
                         {payload, std::move(by), 0, what.what.from.said.expires_at(), false,
                          turn_of(what.what.from.said.how.get())},
                         self_->context());
  }

  void perform(core::hand& what) {
    std::uint32_t missed = 0;
    std::uint32_t refused = 0;
    for (auto& agent : what.agents)
      switch (give(agent, what.what)) {
        case inbox_desk::given::yes:
        case inbox_desk::given::waits:
          break;
        case inbox_desk::given::refused:
          ++refused;
          break;
        case inbox_desk::given::gone:
          ++missed;
          break;
      }
    if (what.owed)
      step(core::handed{std::move(*what.owed), missed, refused});
  }

  inbox_desk::given give(const agent_id& agent, const content& what) {
    auto to = shared_.agents.pass(agent, 0);
    if (!to.agent)
      return inbox_desk::given::gone;
    auto payload = message_for(to.agent, what);
    return shared_.inboxes.give(
      self_->ctrl(), agent, to,
      {payload, {}, 0, what.from.said.expires_at(), false, turn_of(what.from.said.how.get())},
      self_->context());
  }

  static caf::message message_for(const agent_table::entry& agent, const content& what) {
    return detail::message_for(agent, what.payload, [&] { return what.from.info(); });
  }

  /// Puts a letter into the bundle that goes at the end of this turn: once all is done that
  /// lies in the mailbox now.
  void perform(core::letter& what) {
    auto node = what.where.node;
    auto taken = what.where.bytes;
    auto moment = now();
    if (!enclose(node, make_letter(what, moment), moment, taken, what.request))
      step(moment, core::unwritable{node, taken, what.request});
  }

  /// Returns false if it cannot be written. `request` is that of the core, if it has one.
  bool enclose(const node_id& node, const letter& made, time_point moment, std::size_t taken,
               std::uint64_t request) {
    auto number = core_.parcel_for(node);
    auto* into = &parcel_at(number, moment);
    auto before = into->bytes();
    auto result = into->add(self_->context(), made, moment);
    if (result == bundle::added::no_room) {
      step(moment, lines::parcel_full{node});
      number = core_.parcel_for(node);
      into = &parcel_at(number, moment);
      before = into->bytes();
      result = into->add(self_->context(), made, moment);
    }
    if (result == bundle::added::unwritable) {
      if (into->empty())
        parcels_.erase(number);
      return false;
    }
    auto is_full = into->full();
    step(moment, lines::enclosed{node, into->bytes() - before, taken, request});
    if (is_full)
      step(moment, lines::parcel_full{node});
    return true;
  }

  /// A new one is opened.
  bundle& parcel_at(lines::parcel_number number, time_point moment) {
    auto [found, is_new] = parcels_.try_emplace(number);
    if (is_new)
      found->second.open(moment, wall_time{caf::make_timestamp().time_since_epoch()},
                         shared_.boot());
    return found->second;
  }

  static letter make_letter(core::letter& what, time_point moment) {
    auto made = what.what.from.to(std::move(what.where.agents), std::move(what.what.payload));
    if (what.expires_at)
      made.life = *what.expires_at - moment;
    made.wanted = word_of(what.wants);
    made.number = what.request;
    made.patience = what.patience;
    return made;
  }

  static word word_of(awaited wants) {
    switch (wants) {
      case awaited::nothing:
        return word::nothing;
      case awaited::receipt:
        return word::receipt;
      case awaited::answer:
        return word::answer;
    }
    return word::nothing;
  }

  void perform(core::tell& what) {
    troupe::visit(overloaded{[&](problem& why) { tell(self_, what.by, std::move(why)); },
                             [&](const send_report& report) {
                               what.by.tell(self_->ctrl(), caf::make_message(report),
                                            self_->context());
                             }},
                  what.what);
  }

  void perform(const core::call_failed& what) {
    shared_.outcomes.failed(now(), what.node, what.agent, what.how);
  }

  void perform(core::look& what) {
    ends_.at(what.link).entry->enqueue(self_->ctrl(), id_of(what.request),
                                       std::move(what.what.payload), self_->context());
  }

  static caf::message_id id_of(std::uint64_t request) {
    return caf::message_id{request}.with_normal_priority();
  }

  // -- parcels -------------------------------------------------------------------------

  void perform(const lines::await_turn&) {
    run_on(caf::strong_actor_ptr{self_->ctrl()}, [this] { step(lines::turn_over{}); });
  }

  void perform(const lines::send& what) {
    auto parcel = parcels_.extract(what.parcel);
    parcel.mapped().close(now());
    auto& there = ends_.at(what.link);
    auto id = caf::make_message_id();
    if (what.mark) {
      id = self_->new_request_id(caf::message_priority::normal);
      there.receipts.emplace(*what.mark, id);
      compat::when_answered(
        self_, id,
        [this, peer = what.peer, link = what.link, mark = *what.mark](const caf::message& said) {
          if (said.match_elements<std::vector<std::string>>())
            hold_back(peer, link, said.get_as<std::vector<std::string>>(0));
          received(peer, link, mark);
        });
    }
    there.entry->enqueue(self_->ctrl(), id, caf::make_message(std::move(parcel.mapped())),
                         self_->context());
  }

  void received(const node_id& peer, lines::link_number link, std::uint64_t mark) {
    if (auto found = ends_.find(link); found != ends_.end()) {
      auto& open = found->second.receipts;
      open.erase(mark);
      for (auto each = open.begin(); each != open.end() && each->first < mark;
           each = open.erase(each)) // it has those as well
        compat::withdraw(self_, each->second.response_id());
    }
    step(lines::received{peer, link, mark});
  }

  /// The router of the peer says which agents there can take no more for now.
  void hold_back(const node_id& peer, lines::link_number link,
                 const std::vector<std::string>& agents) {
    core::told_full made{peer, link};
    auto most = agent_table::inboxes::most_full;
    for (auto& each : std::span{agents}.first(std::min(agents.size(), most)))
      if (agent_id agent{each}; !check(agent))
        made.agents.push_back(std::move(agent));
    step(std::move(made));
  }

  void perform(const core::await_room& what) {
    await(what, false);
  }

  /// `is_asked`: by ask_room(), who hears how much there is.
  void await(const core::await_room& what, bool is_asked) {
    auto& there = ends_.at(what.link);
    auto number = ++last_question_;
    there.questions.emplace(
      number, [this, is_asked,
               made = core::told_room{what.peer, what.link, what.agent}](const inbox_space& space) {
        step(made);
        on_room(made.agent, is_asked ? std::optional{space} : std::nullopt);
      });
    auto heard = [this, link = what.link, number](const inbox_space& space) {
      if (auto found = ends_.find(link); found != ends_.end())
        if (auto question = found->second.questions.extract(number))
          question.mapped()(space);
    };
    compat::relay(
      self_, there.entry, what.patience, caf::make_message(router::await_room{what.agent}),
      [heard](const caf::message& said) {
        auto is_known = said.match_elements<inbox_space>();
        heard(is_known ? said.get_as<inbox_space>(0) : inbox_space{});
      },
      [heard](const caf::error&) { heard(nobody_says); });
  }

  void perform(const lines::cut& what) {
    auto parcel = parcels_.find(what.parcel);
    if (what.is_last)
      parcels_.erase(parcel);
    else
      parcel->second.remove(what.request);
  }

  void perform(const lines::refuse& what) {
    parcels_.erase(what.parcel);
  }

  // -- links ---------------------------------------------------------------------------

  void perform(const lines::want_link& what) {
    events_.link_wanted(what.peer);
  }

  void perform(const lines::admit& what) {
    visitors_.extract(what.visit).mapped()(ends_.at(what.link).entry, {});
  }

  void perform(const lines::turn_away& what) {
    visitors_.extract(what.visit).mapped()(nullptr, what.why);
  }

  void perform(const lines::lost& what) {
    auto gone = ends_.extract(what.link);
    for (auto& [mark, id] : gone.mapped().receipts) // nobody says any more what has arrived
      compat::withdraw(self_, id.response_id());
    for (auto& [number, heard] : gone.mapped().questions) // CAF would let them run into their ends
      heard(nobody_says);
  }

  void perform(const lines::ask_to_rest& what) {
    auto heard = [this, peer = what.peer, link = what.link](bool agrees) {
      step(lines::rest_answered{peer, link, agrees});
    };
    compat::relay(
      self_, ends_.at(what.link).entry, answer_within_,
      caf::make_message(rest_link{to_string(node_)}),
      [heard](const caf::message& said) {
        heard(said.match_elements<bool>() && said.get_as<bool>(0));
      },
      [heard](const caf::error&) { heard(false); });
  }

  void perform(const lines::answer_rest& what) {
    reply(what.agrees);
  }

  void perform(const lines::close& what) {
    events_.link_idle(what.peer, what.link);
  }

  caf::event_based_actor* self_;
  entrance& shared_;
  node_id node_;
  const router_events& events_;
  duration answer_within_;
  core core_;
  /// What it wants done, and what is being done of it.
  core::effects wanted_;
  core::effects doing_;
  bool is_carrying_out_ = false;
  std::unordered_map<lines::parcel_number, bundle> parcels_;
  /// Of the next fire().
  letter fired_;
  std::map<std::uint64_t, visitor> visitors_;
  std::map<lines::link_number, link_end> ends_;
  std::uint64_t last_visit_ = 0;
  std::uint64_t last_question_ = 0;
  deadline_timer timer_;
};

} // namespace troupe::router::detail
