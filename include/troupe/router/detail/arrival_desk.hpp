#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "troupe/channel/receiver.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/detail/arrivals.hpp"
#include "troupe/router/detail/dead_desk.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/stored_letter.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router::detail {

/// Carries out what the receivers in `arrivals` decide and agents' threads do not: says what has
/// become of messages, keeps dead letters, and gives each agent its first message. Part of the
/// router's actor, and used on it only.
class arrival_desk {
public:
  struct hooks {
    /// The receiver of this node says that to its own outbox.
    std::function<void(const channel::acknowledgement&)> heard_here;
  };

  /// `self`, `shared` and `dead` outlive this.
  arrival_desk(caf::event_based_actor* self, entrance& shared, const node_id& node, dead_desk& dead,
               hooks tell)
    : self_(self), shared_(shared), node_(node), dead_(dead), tell_(std::move(tell)) {}

  arrival_desk(const arrival_desk&) = delete;
  arrival_desk& operator=(const arrival_desk&) = delete;

  /// What has come goes to its agents again, as to those of a later start.
  void begin_anew() {
    shared_.coming_in.begin_anew(shared_.boot());
  }

  // -- what comes ------------------------------------------------------------------------

  void take(confirm_event::letters& what) {
    auto& from = what.by.id;
    answer_to_.insert_or_assign(from, std::move(what.entry));
    auto moment = now();
    for (auto& each : what.all) {
      auto how
        = each.probe
            ? shared_.coming_in.asked(moment, from, *each.probe)
            : shared_.coming_in.arrive(
              moment, from, *each.frame, each.to.front(),
              {std::move(each.payload), shared_.origin_of(moment, {what.by}, each), each.bytes,
               each.life != longest_life ? std::optional{moment + each.life} : std::nullopt,
               std::move(each.unreadable)});
      if (how == channel::verdict::nonsense)
        shared_.count_damaged();
    }
  }

  /// An agent has done with a message, or cannot have it.
  void take(confirm_event::answer& what) {
    switch (shared_.coming_in.take(now(), what)) {
      case arrivals::heard::uninvited:
        return shared_.count_uninvited();
      case arrivals::heard::taken_again:
        return say();
      case arrivals::heard::taken:
      case arrivals::heard::late:
        break;
    }
  }

  /// This node has sent itself that.
  void arrive_here(time_point moment, const channel::frame_header& head, const agent_id& agent,
                   arrivals::incoming what) {
    shared_.coming_in.arrive(moment, node_, head, agent, std::move(what));
  }

  void asked_here(time_point moment, const channel::probe& what) {
    static_cast<void>(shared_.coming_in.asked(moment, node_, what));
  }

  /// Those agents are no more.
  void agents_gone(const std::set<agent_id>& which) {
    shared_.coming_in.agents_gone(which);
  }

  // -- what they want ----------------------------------------------------------------------

  [[nodiscard]] bool wants() const {
    return shared_.coming_in.wants();
  }

  /// All that is wanted now.
  void carry_out() {
    for (auto all = shared_.coming_in.take_wishes(); auto& [node, wanted] : all)
      for (auto& each : wanted)
        troupe::visit([this, from = node](auto& what) { perform(from, what); }, each);
  }

  /// Once all is done that lies in the mailbox now, so that one word tells of many.
  void say_later() {
    if (shared_.coming_in.wake_to_say())
      self_->ctrl()->enqueue(nullptr, caf::make_message_id(),
                             caf::make_message(confirm_event{confirm_event::news{}}),
                             self_->context());
  }

  /// What is to be said to others.
  void say() {
    for (auto& [node, what] : shared_.coming_in.take_words())
      say(node, std::move(what));
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return shared_.coming_in.next_deadline();
  }

  void tick(time_point moment) {
    shared_.coming_in.tick(moment);
  }

  /// Messages that their agents do not get again.
  [[nodiscard]] std::uint64_t given_up() const {
    return given_up_;
  }

private:
  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  // -- what they want ----------------------------------------------------------------------

  void perform(const node_id& from, channel::receiver::deliver& what) {
    shared_.coming_in.deliver(self_->ctrl(), from, std::move(what), self_->context());
  }

  void perform(const node_id&, const channel::receiver::drop& what) {
    shared_.coming_in.drop(what);
  }

  void perform(const node_id&, const channel::receiver::dead& what) {
    auto is_expired = what.how == channel::outcome::expired;
    given_up_ += is_expired ? 0 : 1;
    auto found = shared_.coming_in.find(what.what);
    if (!found || is_kept_by_sender(found->from))
      return;
    dead_.bury(what.agent,
               end_of(is_expired ? dead_reason::expired : dead_reason::failed, what.failures,
                      is_expired ? expired() : what.why),
               {std::move(found->payload), std::move(found->from), found->bytes,
                std::move(found->unreadable)});
  }

  /// Then it is a dead letter there.
  static bool is_kept_by_sender(const origin& from) {
    return from.said.how && from.said.how->durability != durability::memory;
  }

  void say(const node_id& to, channel::acknowledgement what) {
    if (to == node_)
      tell_.heard_here(what);
    else if (auto found = answer_to_.find(to); found != answer_to_.end())
      found->second->enqueue(self_->ctrl(), caf::make_message_id(),
                             caf::make_message(confirm_word{std::move(what)}), self_->context());
  }

  caf::event_based_actor* self_;
  entrance& shared_;
  node_id node_;
  dead_desk& dead_;
  hooks tell_;
  /// The routers of other nodes, for what is said to them.
  std::map<node_id, caf::strong_actor_ptr> answer_to_;
  std::uint64_t given_up_ = 0;
};

} // namespace troupe::router::detail
