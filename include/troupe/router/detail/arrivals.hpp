#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/node_id.hpp"
#include "troupe/channel/receiver.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/rising_map.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/inbox_desk.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/later.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// How the channels of a router go on.
inline channel::options channel_options(const router_options& options) {
  return {.max_deliveries = std::max(options.max_deliveries, 1U),
          .longest_handling = std::clamp(options.longest_handling, duration::zero(), longest_span)};
}

/// Runs the receivers of other nodes' channels, and the one of this node's channel to itself: has
/// the contents of the messages that have come, and gives them to their agents.
///
/// An agent that has handled a message gets the next one in the same thread, its own: so there is
/// no hand-over to the router's actor between two messages, and that hears of many at once. All
/// else that the receivers want is left to it; see arrival_desk. So is what follows a message that
/// an agent had before and failed: its sender hears first that it was handled, as it counts an end
/// of this process for the first one that it has not heard of. And so is the next one after
/// `longest_run`: an agent that always has another message would not leave its thread to others,
/// the router's actor among them, and no sender would hear of what it has handled.
///
/// Thread-safe. Gives nothing to an agent, and copies and destroys nothing of others, while it is
/// locked.
class arrivals {
public:
  struct incoming {
    caf::message payload;
    origin from;
    std::size_t bytes = 0;
    std::optional<time_point> expires_at{};
    problem unreadable{};
    /// Of deliveries_, the last one of it.
    std::uint64_t delivery = 0;
  };

  using wishes = std::vector<std::pair<node_id, channel::receiver::effects>>;

  /// In the number of a message of class confirm or once that an agent has; the rest is its
  /// delivery.
  static constexpr std::uint64_t handled_flag = std::uint64_t{1} << 54U;

  /// For how long an agent gets one message after the other in its own thread.
  static constexpr duration longest_run = std::chrono::milliseconds{10};

  /// `agents` and `inboxes` outlive this.
  arrivals(agent_table& agents, inbox_desk& inboxes, boot_number boot,
           const channel::options& options)
    : agents_(agents), inboxes_(inboxes), boot_(boot), options_(options) {}

  arrivals(const arrivals&) = delete;
  arrivals& operator=(const arrivals&) = delete;

  /// What has come goes to its agents again, as to those of a later start.
  void begin_anew(boot_number boot) {
    contents gone;
    std::lock_guard guard{mutex_};
    boot_ = boot;
    deliveries_.clear();
    peers_.clear();
    std::swap(gone, arrived_);
  }

  /// Nobody gets anything from here on.
  void close() {
    contents gone;
    std::lock_guard guard{mutex_};
    is_closed_ = true;
    std::swap(gone, arrived_);
    deliveries_.clear();
  }

  // -- what comes ------------------------------------------------------------------------

  channel::verdict arrive(time_point moment, const node_id& from, const channel::frame_header& head,
                          const agent_id& agent, incoming what) {
    auto& said = what.from.said;
    channel::receiver::arrival made{agent,
                                    0,
                                    what.bytes,
                                    what.expires_at,
                                    {said.id.node, said.id.boot, said.id.number, said.redrives}};
    std::optional<incoming> gone;
    std::lock_guard guard{mutex_};
    made.what = ++last_arrived_;
    arrived_.emplace(last_arrived_, std::move(what));
    auto& [in, wanted] = peer(from)->second;
    auto how = in.arrive(moment, head, std::move(made), wanted);
    if (how != channel::verdict::taken)
      gone = arrived_.take(last_arrived_);
    return how;
  }

  channel::verdict asked(time_point moment, const node_id& from, const channel::probe& what) {
    std::lock_guard guard{mutex_};
    auto& [in, wanted] = peer(from)->second;
    return in.asked(moment, what, wanted);
  }

  /// What was made of an answer.
  enum class heard : std::uint8_t {
    taken,
    /// Of one that an agent had before. It is to be said before the next one is delivered.
    taken_again,
    /// It is over since.
    late,
    /// It is of a process where the agent does not live.
    uninvited,
  };

  /// An agent has done with a message, or cannot have it.
  [[nodiscard]] heard take(time_point moment, confirm_event::answer& what) {
    std::lock_guard guard{mutex_};
    auto found = deliveries_.find(what.number);
    if (found == deliveries_.end())
      return heard::late;
    if (what.where && *what.where != found->second.where)
      return heard::uninvited;
    auto it = *deliveries_.take(what.number);
    auto& [in, out] = it.from->second;
    if (!what.why)
      in.handled(moment, it.session, it.number, out);
    else if (what.is_bounced && what.why.code == errc::limit_reached)
      in.no_room(moment, it.session, it.number, out);
    else if (what.is_bounced && what.why.code == errc::expired)
      in.expired(moment, it.session, it.number, out);
    else if (what.is_bounced)
      in.missing(it.session, it.number, out); // it ended before it came to this one
    else
      fail(moment, in, it, std::move(what.why), out);
    return it.is_again ? heard::taken_again : heard::taken;
  }

  /// An agent of this process has handled that delivery, in the thread that calls this: gives it
  /// the next one. Returns false if the router's actor is to take the answer; then this has done
  /// nothing. Calls `wake()` unless that is about to call take_words() anyway. `self` is the
  /// router.
  template <class Wake>
  bool handled(const caf::strong_actor_ptr& self, std::uint64_t number,
               compat::execution_context* context, const Wake& wake) {
    // Of an actor that answers within enqueue() the next message would come within this one.
    if (handing::is_on)
      return false;
    std::optional<incoming> gone; // let go of when the lock is
    std::optional<handover> next;
    bool is_to_wake = false;
    {
      auto moment = now(self);
      std::lock_guard guard{mutex_};
      auto found = deliveries_.find(number);
      if (found == deliveries_.end())
        return true;
      auto run_since = found->second.run_since.value_or(moment);
      if (found->second.is_again || moment - run_since >= longest_run)
        return false;
      auto from = found->second.from;
      done_.clear();
      from->second.in.handled(moment, found->second.session, found->second.number, done_);
      deliveries_.erase(number);
      next = go_on(moment, from, run_since, gone);
      is_to_wake = !std::exchange(is_awake_, true);
    }
    if (is_to_wake)
      wake();
    if (next) {
      handing it;
      give(self, *next, context);
    }
    return true;
  }

  /// Those agents are no more.
  void agents_gone(const std::set<agent_id>& which) {
    std::lock_guard guard{mutex_};
    std::vector<std::uint64_t> theirs;
    for (auto& [number, each] : deliveries_)
      if (which.contains(each.agent))
        theirs.push_back(number);
    for (auto number : theirs) {
      auto gone = *deliveries_.take(number);
      auto& [in, wanted] = gone.from->second;
      in.ended(gone.session, gone.number, wanted);
    }
  }

  // -- for the router's actor --------------------------------------------------------------

  [[nodiscard]] bool wants() const {
    std::lock_guard guard{mutex_};
    return std::ranges::any_of(peers_,
                               [](const auto& each) { return !each.second.wanted.empty(); });
  }

  /// All that is wanted now.
  [[nodiscard]] wishes take_wishes() {
    wishes all;
    std::lock_guard guard{mutex_};
    for (auto& [node, each] : peers_)
      if (!each.wanted.empty())
        all.emplace_back(node, std::exchange(each.wanted, {}));
    return all;
  }

  /// Gives a message to its agent.
  void deliver(const caf::strong_actor_ptr& self, const node_id& from,
               channel::receiver::deliver what, compat::execution_context* context) {
    std::optional<handover> next;
    {
      std::lock_guard guard{mutex_};
      next = prepare(now(self), peer(from), std::move(what));
    }
    if (next)
      give(self, *next, context);
  }

  void drop(const channel::receiver::drop& what) {
    std::optional<incoming> gone;
    std::lock_guard guard{mutex_};
    gone = take_out(what);
  }

  /// Nothing: it is not there any more.
  [[nodiscard]] std::optional<incoming> find(channel::receiver::content which) const {
    std::lock_guard guard{mutex_};
    auto found = arrived_.find(which);
    return found != arrived_.end() ? std::optional{found->second} : std::nullopt;
  }

  /// Returns whether something is to be said to a node, and the actor is not on its way to that
  /// already: then it calls take_words() soon.
  [[nodiscard]] bool wake_to_say() {
    std::lock_guard guard{mutex_};
    if (is_awake_ || std::ranges::none_of(peers_, owes))
      return false;
    return is_awake_ = true;
  }

  /// What is to be said to each node.
  [[nodiscard]] std::vector<std::pair<node_id, channel::acknowledgement>> take_words() {
    std::vector<std::pair<node_id, channel::acknowledgement>> result;
    std::lock_guard guard{mutex_};
    is_awake_ = false;
    for (auto& each : peers_)
      if (owes(each))
        result.emplace_back(each.first, each.second.in.take_word());
    return result;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    std::lock_guard guard{mutex_};
    for (auto& [node, each] : peers_)
      if (auto due = each.in.next_deadline())
        next = next ? std::min(next, due) : due;
    return next;
  }

  void tick(time_point moment) {
    std::lock_guard guard{mutex_};
    for (auto& [node, each] : peers_)
      if (auto due = each.in.next_deadline(); due && *due <= moment)
        each.in.tick(moment, each.wanted);
  }

private:
  /// A node that sends to here.
  struct sending {
    channel::receiver in;
    /// What that wants done by the router's actor.
    channel::receiver::effects wanted{};
  };

  using sending_nodes = std::map<node_id, sending>;

  struct delivery {
    sending_nodes::iterator from;
    boot_number session = 0;
    channel::sequence_number number = 0;
    agent_id agent;
    /// The process that the agent lives in.
    caf::node_id where{};
    /// See inbox_options::ordered.
    bool is_ordered = true;
    /// An agent had it before, and failed.
    bool is_again = false;
    /// The agent gets one after the other in its own thread since then; nothing: the router's actor
    /// has given it this one.
    std::optional<time_point> run_since{};
  };

  /// What is to be given to an agent.
  struct handover {
    agent_id agent;
    agent_table::passage to;
    caf::message payload;
    /// If the agent wants to know.
    std::optional<origin> from{};
    std::uint64_t delivery = 0;
    std::size_t bytes = 0;
    std::optional<time_point> expires_at{};
  };

  using contents = rising_map<incoming>;

  /// While it lives, this thread gives an agent its next message.
  struct handing {
    static inline thread_local bool is_on = false;

    handing() {
      is_on = true;
    }
    handing(const handing&) = delete;
    handing& operator=(const handing&) = delete;
    ~handing() {
      is_on = false;
    }
  };

  [[nodiscard]] static time_point now(const caf::strong_actor_ptr& self) {
    return time_point{self->home_system->clock().now().time_since_epoch()};
  }

  static bool owes(const sending_nodes::value_type& each) {
    return each.second.in.owes_word();
  }

  sending_nodes::iterator peer(const node_id& node) {
    auto found = peers_.find(node);
    return found != peers_.end()
             ? found
             : peers_.emplace(node, sending{{boot_, options_, boot_ + 2}}).first;
  }

  static void fail(time_point moment, channel::receiver& in, const delivery& which, problem why,
                   channel::receiver::effects& out) {
    auto again_in = delay_of(why);
    in.failed(moment, which.session, which.number, {std::move(why), again_in, !which.is_ordered},
              out);
  }

  std::optional<incoming> take_out(const channel::receiver::drop& what) {
    auto gone = arrived_.take(what.what);
    if (gone)
      deliveries_.erase(gone->delivery); // its agent may have it yet
    return gone;
  }

  /// Does what the receiver wants now, as far as it needs no actor: lets go of one, and returns
  /// what is to be given.
  std::optional<handover> go_on(time_point moment, sending_nodes::iterator from,
                                time_point run_since, std::optional<incoming>& gone) {
    std::optional<handover> next;
    auto& left = from->second.wanted;
    auto each = done_.begin();
    if (left.empty()) // else all goes behind that
      for (; each != done_.end() && !next; ++each) {
        if (auto* what = std::get_if<channel::receiver::drop>(&*each); what && !gone)
          gone = take_out(*what);
        else if (auto* which = std::get_if<channel::receiver::deliver>(&*each))
          next = prepare(moment, from, std::move(*which), run_since);
        else
          break;
      }
    left.insert(left.end(), std::make_move_iterator(each), std::make_move_iterator(done_.end()));
    return next;
  }

  /// Nothing: it is over since, or its agent cannot have it.
  std::optional<handover> prepare(time_point moment, sending_nodes::iterator from,
                                  channel::receiver::deliver what,
                                  std::optional<time_point> run_since = {}) {
    auto found = arrived_.find(what.what);
    if (found == arrived_.end() || is_closed_)
      return std::nullopt;
    auto& it = found->second;
    auto& whose = from->second;
    auto refuse = [&](problem why) {
      whose.in.refused(moment, what.session, what.number, std::move(why), whose.wanted);
      return std::nullopt;
    };
    if (it.unreadable)
      return refuse(it.unreadable);
    if (it.from.said.is_once())
      if (agents_.lacks_store(what.agent))
        return refuse(no_store(what.agent));
    auto to = agents_.pass(what.agent, it.bytes);
    if (!to.agent) {
      whose.in.missing(what.session, what.number, whose.wanted);
      return std::nullopt;
    }
    auto tells = to.agent.takes_info || to.agent.has_store;
    it.delivery = ++last_delivery_;
    deliveries_.emplace(last_delivery_, delivery{from, what.session, what.number, what.agent,
                                                 to.agent.handle->node(), to.agent.is_ordered,
                                                 what.attempt > 1, run_since});
    return handover{std::move(what.agent),
                    std::move(to),
                    it.payload,
                    tells ? std::optional{it.from} : std::nullopt,
                    last_delivery_,
                    it.bytes,
                    it.expires_at};
  }

  void give(const caf::strong_actor_ptr& self, handover& what, compat::execution_context* context) {
    asker by{self, caf::message_id{handled_flag | what.delivery}.with_normal_priority()};
    auto payload = what.from
                     ? message_for(what.to.agent, what.payload, [&] { return what.from->info(); })
                     : std::move(what.payload);
    inboxes_.give(self, what.agent, what.to, {payload, std::move(by), what.bytes, what.expires_at},
                  context);
  }

  mutable std::mutex mutex_;
  agent_table& agents_;
  inbox_desk& inboxes_;
  boot_number boot_;
  channel::options options_;
  sending_nodes peers_;
  /// The room for what one wants done at once.
  channel::receiver::effects done_;
  contents arrived_;
  std::uint64_t last_arrived_ = 0;
  /// That agents have.
  rising_map<delivery> deliveries_;
  std::uint64_t last_delivery_ = 0;
  /// The actor is about to call take_words().
  bool is_awake_ = false;
  bool is_closed_ = false;
};

} // namespace troupe::router::detail
