#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/actor_clock.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/error.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/outgoing.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/inbox_space.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/room_line.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Carries out what a room_line decides: has the messages whose senders wait for room, asks for
/// that, and has the clock. Part of the router's actor, and used on it only.
class room_desk {
public:
  struct hooks {
    /// Finds out where a message goes and takes it, or says why not.
    std::function<route(const outgoing&)> plan;
    std::function<void(outgoing, route)> send;
    /// Whether that agent is known to be on another node.
    std::function<bool(const agent_id&)> is_elsewhere;
    /// Asks that node for room: then may_have_room() follows.
    std::function<void(const agent_id&)> ask;
  };

  /// `self` and `shared` outlive this.
  room_desk(caf::event_based_actor* self, entrance& shared, const router_options& options,
            hooks then)
    : self_(self),
      shared_(shared),
      then_(std::move(then)),
      line_({options.max_pending, options.max_all_waiting_bytes}) {}

  room_desk(const room_desk&) = delete;
  room_desk& operator=(const room_desk&) = delete;

  /// Sends it, now or once there is room if its sender waits for that.
  void send(outgoing what) {
    if (waits(what) && !may_try(what)) {
      auto why = behind_others(what.to);
      return wait(std::move(what), std::move(why));
    }
    auto where = then_.plan(what);
    if (where.refusal.code == errc::limit_reached && waits(what))
      return wait(std::move(what), std::move(where.refusal));
    then_.send(std::move(what), std::move(where));
  }

  /// There is room for that agent, or nobody says; `space`: so much, if it was asked for.
  void may_have_room(const agent_id& agent, const std::optional<inbox_space>& space) {
    if (space)
      return has_room(to_agent(agent), *space);
    line::effects out;
    line_.may_have_room(now(), key_of_critical(to_agent(agent)), out);
    line_.may_have_room(now(), key_of(to_agent(agent)), out);
    carry_out(std::move(out), false);
  }

  /// The router ends: nobody waits any more, nor may anybody hold it.
  void close() {
    for (auto& each : line_.end())
      each.what.message.by.tell(nullptr, caf::make_message(to_error(has_stopped())), nullptr);
  }

  void add_to(router_statistics& sum) const {
    sum.waiting += static_cast<std::uint32_t>(line_.size());
    sum.waiting_bytes += line_.bytes();
  }

private:
  struct patient {
    outgoing message;
    time_point since{};
    /// Why there was no room.
    problem why{};
  };

  using line = room_line<patient>;

  static bool waits(const outgoing& what) {
    auto& how = what.what.from.said.how;
    return how && how->wait_for_room && what.wants != awaited::nothing && is_to_one(what.to);
  }

  static bool is_first(const outgoing& what) {
    return is_critical(what.what.from.said.how.get());
  }

  /// Critical messages go to full inboxes as well, so they wait for nothing that others wait for.
  static std::string key_of_critical(const recipients& to) {
    return "critical " + key_of(to);
  }

  static std::string line_of(const outgoing& what) {
    return is_first(what) ? key_of_critical(what.to) : key_of(what.to);
  }

  /// To an agent of another node only of the room that is said to be there.
  bool may_try(const outgoing& what) {
    return asks_there(what) ? line_.may_go(now(), key_of(what.to), what.bytes(self_->system()))
                            : !line_.has_line(line_of(what));
  }

  [[nodiscard]] bool asks_there(const outgoing& what) const {
    return is_elsewhere(what.to) && !is_first(what);
  }

  [[nodiscard]] bool is_elsewhere(const recipients& to) const {
    return to.who == audience::agent && then_.is_elsewhere(agent_id{to.name});
  }

  void wait(outgoing what, problem why) {
    auto by = what.what.from.by();
    auto bytes = what.bytes(self_->system());
    if (!line_.may_wait(by, bytes))
      return tell(self_, what.by, no_place_in_line(line_.size()));
    auto to = what.to;
    auto place = line_of(what);
    auto asks = asks_there(what);
    auto moment = now();
    auto until = moment + std::min(patience(what.timeout), what.what.from.said.life);
    line::effects out;
    line_.wait(moment,
               {place, std::move(by), bytes, until, {std::move(what), moment, std::move(why)}},
               asks, out);
    ask_here(to);
    carry_out(std::move(out), false);
  }

  /// An agent of this process says when it has some; a node elsewhere has been asked.
  void ask_here(const recipients& to) {
    if (to.who != audience::agent || !shared_.agents.find(std::string_view{to.name})
        || !asked_here_.insert(to.name).second)
      return;
    auto heard = [this, to] {
      asked_here_.erase(to.name);
      has_room(to, {});
    };
    compat::relay(
      self_, caf::strong_actor_ptr{self_->ctrl()}, longest_wait,
      caf::make_message(await_room{agent_id{to.name}}), [heard](const caf::message&) { heard(); },
      [heard](const caf::error&) { heard(); });
  }

  void has_room(const recipients& to, const inbox_space& space) {
    line::effects out;
    line_.may_have_room(now(), key_of_critical(to), out);
    line_.has_room(now(), key_of(to), space, out);
    carry_out(std::move(out), false);
  }

  void carry_out(line::effects out, bool asks_again) {
    while (!out.empty())
      for (auto& what : std::exchange(out, {}))
        troupe::visit(overloaded{[&](line::attempt& each) {
                                   try_again(std::move(each.which), asks_again, out);
                                 },
                                 [&](line::too_late& each) { give_up(each.which.what); },
                                 [&](line::ask& each) { ask_there(each.to, out); }},
                      what);
    arm();
  }

  void try_again(line::request which, bool asks_again, line::effects& out) {
    auto moment = now();
    auto& it = which.what;
    it.message.shorten(moment - it.since);
    it.since = moment;
    auto where = then_.plan(it.message);
    if (where.refusal.code != errc::limit_reached) {
      line_.gone(which.to, out);
      return then_.send(std::move(it.message), std::move(where));
    }
    it.why = std::move(where.refusal);
    auto to = it.message.to;
    line_.refused(moment, std::move(which));
    if (asks_again)
      ask_here(to); // not at once, as room may be refused for what waits for others
  }

  /// Only of an agent of another node is it said how much room there is.
  void ask_there(const std::string& to, line::effects& out) {
    agent_id agent{to.substr(key_of(to_agent(agent_id{})).size())};
    if (then_.is_elsewhere(agent))
      then_.ask(agent);
    else
      line_.has_room(now(), to, {}, out); // it has come here, or has ended
  }

  void give_up(patient& what) {
    what.message.shorten(now() - what.since);
    auto is_over = what.message.what.from.said.life <= duration::zero();
    tell(self_, what.message.by,
         is_over ? shared_.inboxes.count_expired(1) : waited_in_vain(std::move(what.why)));
  }

  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  void arm() {
    auto next = line_.next_deadline();
    if (!next)
      return;
    timer_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      line::effects out;
      line_.tick(now(), out);
      carry_out(std::move(out), true);
    });
  }

  caf::event_based_actor* self_;
  entrance& shared_;
  hooks then_;
  line line_;
  /// Agents of this process that are to say when they have room.
  std::set<std::string> asked_here_;
  deadline_timer timer_;
};

} // namespace troupe::router::detail
