#pragma once

#include <algorithm>
#include <cstddef>
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
#include "caf/node_id.hpp"
#include "troupe/channel/receiver.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/dead_desk.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/inbox_desk.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/stored_letter.hpp"
#include "troupe/router/later.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router::detail {

/// Carries out what the receivers of other nodes' channels decide, and the one of this node's
/// channel to itself: has the contents of the messages that have come, gives them to their agents,
/// and says what has become of them. Part of the router's actor, and used on it only.
class arrival_desk {
public:
  struct hooks {
    /// The receiver of this node says that to its own outbox.
    std::function<void(const channel::acknowledgement&)> heard_here;
    /// There is something to carry out, or to wait for.
    std::function<void()> has_wishes;
  };

  struct incoming {
    caf::message payload;
    origin from;
    std::size_t bytes = 0;
    std::optional<time_point> expires_at{};
    problem unreadable{};
    /// Of deliveries_, the last one of it.
    std::uint64_t delivery = 0;
  };

  /// `self`, `shared` and `dead` outlive this.
  arrival_desk(caf::event_based_actor* self, entrance& shared, const node_id& node,
               const channel::options& options, dead_desk& dead, hooks tell)
    : self_(self),
      shared_(shared),
      node_(node),
      options_(options),
      dead_(dead),
      tell_(std::move(tell)) {}

  arrival_desk(const arrival_desk&) = delete;
  arrival_desk& operator=(const arrival_desk&) = delete;

  /// What has come goes to its agents again, as to those of a later start.
  void begin_anew() {
    receivers_.clear();
    got_.clear();
    arrived_.clear();
    deliveries_.clear();
  }

  // -- what comes ------------------------------------------------------------------------

  void take(confirm_event::letters& what) {
    auto& from = what.by.id;
    answer_to_.insert_or_assign(from, std::move(what.entry));
    auto moment = now();
    auto& in = receiver_of(from);
    auto& got = got_[from];
    for (auto& each : what.all) {
      auto how
        = each.probe
            ? in.asked(moment, *each.probe, got)
            : arrive(moment, in, *each.frame, each.to.front(),
                     {std::move(each.payload), shared_.origin_of(moment, {what.by}, each),
                      each.bytes,
                      each.life != longest_life ? std::optional{moment + each.life} : std::nullopt,
                      std::move(each.unreadable)},
                     got);
      if (how == channel::verdict::nonsense)
        shared_.count_damaged();
    }
  }

  /// An agent has done with a message, or cannot have it.
  void take(confirm_event::answer& what) {
    auto found = deliveries_.find(what.number);
    if (found == deliveries_.end())
      return;
    if (what.where && *what.where != found->second.where)
      return shared_.count_uninvited();
    auto it = std::move(found->second);
    deliveries_.erase(found);
    auto& in = receiver_of(it.from);
    auto& got = got_[it.from];
    auto moment = now();
    if (!what.why)
      in.handled(moment, it.session, it.number, got);
    else if (what.is_bounced && what.why.code == errc::limit_reached)
      in.no_room(moment, it.session, it.number, got);
    else if (what.is_bounced && what.why.code == errc::expired)
      in.expired(moment, it.session, it.number, got);
    else if (what.is_bounced)
      in.missing(it.session, it.number, got); // it ended before it came to this one
    else
      fail(in, it, std::move(what.why), got);
  }

  /// This node has sent itself that.
  void arrive_here(time_point moment, const channel::frame_header& head, const agent_id& agent,
                   incoming what) {
    arrive(moment, receiver_of(node_), head, agent, std::move(what), got_[node_]);
  }

  void asked_here(time_point moment, const channel::probe& what) {
    static_cast<void>(receiver_of(node_).asked(moment, what, got_[node_]));
  }

  /// Those agents are no more.
  void agents_gone(const std::set<agent_id>& which) {
    for (auto each = deliveries_.begin(); each != deliveries_.end();) {
      if (!which.contains(each->second.agent)) {
        ++each;
        continue;
      }
      auto gone = std::move(deliveries_.extract(each++).mapped());
      receiver_of(gone.from).ended(gone.session, gone.number, got_[gone.from]);
    }
  }

  // -- what they want ----------------------------------------------------------------------

  [[nodiscard]] bool wants() const {
    return !got_.empty();
  }

  /// All that is wanted now.
  void carry_out() {
    for (auto all = std::exchange(got_, {}); auto& [node, got] : all)
      for (auto& each : got)
        troupe::visit([this, from = node](auto& what) { perform(from, what); }, each);
  }

  /// Once all is done that lies in the mailbox now, so that one word tells of many.
  void say_later() {
    auto owes = [](const auto& each) { return each.second.owes_word(); };
    if (is_saying_ || std::ranges::none_of(receivers_, owes))
      return;
    is_saying_ = true;
    run_on(caf::strong_actor_ptr{self_->ctrl()}, [this] {
      is_saying_ = false;
      for (auto& [node, each] : receivers_)
        if (each.owes_word())
          say(node, each.take_word());
      tell_.has_wishes();
    });
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    for (auto& [node, each] : receivers_)
      if (auto due = each.next_deadline())
        next = next ? std::min(next, due) : due;
    return next;
  }

  void tick(time_point moment) {
    for (auto& [node, each] : receivers_)
      if (auto due = each.next_deadline(); due && *due <= moment)
        each.tick(moment, got_[node]);
  }

  /// Messages that their agents do not get again.
  [[nodiscard]] std::uint64_t given_up() const {
    return given_up_;
  }

private:
  struct delivery {
    node_id from{};
    boot_number session = 0;
    channel::sequence_number number = 0;
    agent_id agent;
    /// The process that the agent lives in.
    caf::node_id where{};
    /// See inbox_options::ordered.
    bool is_ordered = true;
  };

  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  channel::receiver& receiver_of(const node_id& node) {
    return receivers_.try_emplace(node, shared_.boot(), options_, shared_.boot() + 2).first->second;
  }

  channel::verdict arrive(time_point moment, channel::receiver& in,
                          const channel::frame_header& head, const agent_id& agent, incoming what,
                          channel::receiver::effects& got) {
    auto& said = what.from.said;
    channel::receiver::arrival made{agent,
                                    ++last_arrived_,
                                    what.bytes,
                                    what.expires_at,
                                    {said.id.node, said.id.boot, said.id.number, said.redrives}};
    arrived_.emplace(last_arrived_, std::move(what));
    auto how = in.arrive(moment, head, made, got);
    if (how != channel::verdict::taken)
      arrived_.erase(last_arrived_);
    return how;
  }

  void fail(channel::receiver& in, const delivery& which, problem why,
            channel::receiver::effects& got) const {
    auto again_in = delay_of(why);
    in.failed(now(), which.session, which.number, {std::move(why), again_in, !which.is_ordered},
              got);
  }

  // -- what they want ----------------------------------------------------------------------

  void perform(const node_id& from, channel::receiver::deliver& what) {
    auto found = arrived_.find(what.what);
    if (found == arrived_.end())
      return; // it is over since
    auto& it = found->second;
    if (it.unreadable)
      return receiver_of(from).refused(now(), what.session, what.number, it.unreadable, got_[from]);
    if (it.from.said.is_once())
      if (auto agent = shared_.agents.find(what.agent); agent && !agent.has_store)
        return receiver_of(from).refused(now(), what.session, what.number, no_store(what.agent),
                                         got_[from]);
    auto to = shared_.agents.pass(what.agent, it.bytes);
    if (!to.agent)
      return receiver_of(from).missing(what.session, what.number, got_[from]);
    auto payload = message_for(to.agent, it.payload, [&] { return it.from.info(); });
    deliveries_.emplace(++last_delivery_, delivery{from, what.session, what.number, what.agent,
                                                   to.agent.handle->node(), to.agent.is_ordered});
    it.delivery = last_delivery_;
    asker by{self_->ctrl(),
             caf::message_id{entrance::handled_flag | last_delivery_}.with_normal_priority()};
    shared_.inboxes.give(self_->ctrl(), what.agent, to,
                         {payload, std::move(by), it.bytes, it.expires_at}, self_->context());
  }

  void perform(const node_id&, const channel::receiver::drop& what) {
    if (auto gone = arrived_.extract(what.what))
      deliveries_.erase(gone.mapped().delivery); // its agent may have it yet
  }

  void perform(const node_id&, const channel::receiver::dead& what) {
    auto is_expired = what.how == channel::outcome::expired;
    given_up_ += is_expired ? 0 : 1;
    auto found = arrived_.find(what.what);
    if (found == arrived_.end() || is_kept_by_sender(found->second.from))
      return;
    dead_.bury(
      what.agent,
      end_of(is_expired ? dead_reason::expired : dead_reason::failed, what.failures,
             is_expired ? expired() : what.why),
      {found->second.payload, found->second.from, found->second.bytes, found->second.unreadable});
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
  channel::options options_;
  dead_desk& dead_;
  hooks tell_;
  std::map<node_id, channel::receiver> receivers_;
  /// What they want done.
  std::map<node_id, channel::receiver::effects> got_;
  bool is_saying_ = false;
  /// The routers of other nodes, for what is said to them.
  std::map<node_id, caf::strong_actor_ptr> answer_to_;
  std::map<std::uint64_t, incoming> arrived_;
  std::uint64_t last_arrived_ = 0;
  /// That agents have.
  std::map<std::uint64_t, delivery> deliveries_;
  std::uint64_t last_delivery_ = 0;
  std::uint64_t given_up_ = 0;
};

} // namespace troupe::router::detail
