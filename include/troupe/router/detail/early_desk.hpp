#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/early_questions.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/outbound.hpp"
#include "troupe/router/detail/outgoing.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Messages and look-ups of a node that has just started wait here until it knows who is where, and
/// those for an agent whose node has just started again until that says so: see
/// host::early_questions. Part of the router's actor, and used on it only.
class early_desk {
public:
  using look_up = outbound::core::look_up;

  struct hooks {
    std::function<void(outgoing)> send;
    std::function<void(look_up)> look;
  };

  /// `self` and `shared` outlive this.
  early_desk(caf::event_based_actor* self, entrance& shared, const node_id& node,
             const router_options& options, hooks then)
    : self_(self),
      shared_(shared),
      node_(node),
      then_(std::move(then)),
      held_(options.max_all_waiting_bytes) {}

  early_desk(const early_desk&) = delete;
  early_desk& operator=(const early_desk&) = delete;

  /// Others have yet to tell where the agents of their nodes are; until knows_all_now().
  void begin() {
    held_.begin(self_->clock().now());
  }

  /// They can be reached from here on.
  void finds_others() {
    held_.finds_others(self_->clock().now());
  }

  /// All is known that others knew when this node joined them.
  void knows_all_now() {
    held_.knows_all_now();
  }

  [[nodiscard]] bool knows_all() const {
    return held_.knows_all();
  }

  /// The node of that agent has begun a later life, in which it may be there again.
  void expect(const agent_id& which) {
    held_.expect(self_->clock().now(), key_of(to_agent(which)));
    arm();
  }

  /// It is found again.
  void comes(const agent_id& which) {
    if (!held_.is_idle())
      held_.comes(key_of(to_agent(which)));
  }

  /// Why one that is not known may be there all the same; nothing if it is not.
  [[nodiscard]] problem may_come(const recipients& who) const {
    if (!knows_all())
      return not_told_yet(who);
    return held_.is_expected(self_->clock().now(), key_of(who)) ? not_back_yet(who) : problem{};
  }

  /// Sends it, now or once it is known who is meant.
  void send(outgoing what) {
    if (!has_to_wait(what.to))
      return then_.send(std::move(what));
    what.timeout = patience(what.timeout); // any number may have come
    auto& from = what.what.from;
    auto longest
      = what.wants == awaited::answer ? std::min(what.timeout, from.said.life) : from.said.life;
    auto bytes = what.bytes(self_->system());
    hold(what.to, from.where.id, longest, bytes, std::move(what),
         [this](outgoing& late, duration waited) {
           late.shorten(waited);
           // It would overtake what waits about the same for longer.
           auto is_over = late.wants == awaited::answer && late.timeout <= duration::zero();
           if (is_over && is_to_one(late.to) && is_known(late.to))
             return tell(self_, late.by, no_answer_in_time());
           then_.send(std::move(late));
         });
  }

  /// The same for a look-up.
  void look(look_up what) {
    if (!has_to_wait(to_agent(what.agent)))
      return then_.look(std::move(what));
    what.timeout = patience(what.timeout);
    auto bytes = what.agent.text().size() + routes::letter_bytes;
    hold(to_agent(what.agent), what.from.first, what.timeout, bytes, std::move(what),
         [this](look_up& late, duration waited) {
           late.timeout -= waited;
           auto who = to_agent(late.agent);
           if (auto why = may_come(who); why && !is_known(who))
             return tell(self_, late.by, why);
           then_.look(std::move(late));
         });
  }

  /// The router ends: nobody waits any more.
  void close() {
    held_.refuse_all(has_stopped());
  }

private:
  [[nodiscard]] bool has_to_wait(const recipients& who) const {
    return !held_.is_idle() && held_.has_to_wait(self_->clock().now(), key_of(who), is_known(who));
  }

  [[nodiscard]] bool is_known(const recipients& who) const {
    auto is_here = who.who == audience::agent && shared_.agents.find(std::string_view{who.name});
    return is_here || (is_to_one(who) && shared_.ways.knows(who));
  }

  /// Calls `then` with it, and for how long it has waited. `from`: who asks, all zero if that is
  /// not known; only this node's own program may take all places.
  template <class What, class Then>
  void hold(const recipients& who, const node_id& from, duration longest, std::size_t bytes,
            What&& what, Then then) {
    auto about = key_of(who); // `who` and `from` may be parts of `what`
    auto by = from == node_ ? std::string{} : to_string(from);
    auto since = self_->clock().now();
    auto held = std::make_shared<What>(std::forward<What>(what)); // a function wants to be copied
    auto answer = [this, since, held, then] { then(*held, self_->clock().now() - since); };
    auto refuse = [held](const problem& why) { // at its end, when nobody may hold the router
      held->by.tell(nullptr, caf::make_message(to_error(why)), nullptr);
    };
    if (auto why
        = held_.hold(since, longest, {std::move(about), std::move(by), answer, refuse, bytes}))
      return tell(self_, held->by, why);
    arm();
  }

  void arm() {
    timer_.arm(self_, held_.next_deadline(), [this] {
      held_.tick(self_->clock().now());
      arm();
    });
  }

  caf::event_based_actor* self_;
  entrance& shared_;
  node_id node_;
  hooks then_;
  host::early_questions held_;
  deadline_timer timer_;
};

} // namespace troupe::router::detail
