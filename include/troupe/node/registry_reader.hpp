#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "caf/actor_clock.hpp"
#include "caf/delegated.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/response_promise.hpp"
#include "caf/result.hpp"
#include "troupe/core/caf/answer_path.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/unknown_sender.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/early_questions.hpp"
#include "troupe/host/waiting_questions.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::cluster {

/// Answers what registry::registry_protocol asks, from the table of one node. Part of an actor.
///
/// At most max_parked questions wait for news, each for max_wait at most, and of one identity as
/// many as there is room for others (see host::waiting_questions); further ones get limit_reached.
/// All others are answered at once, but on a node that has just started: there they wait until it
/// knows what others know, see host::early_questions.
/// Cost of look(): O(1), if there is news O(waiting questions).
class registry_reader {
public:
  static constexpr std::size_t max_parked = 10'000;
  static constexpr duration max_wait = std::chrono::minutes{1};

  /// `nodes`: who asks; null: that is not known.
  /// @pre the first two outlive this
  registry_reader(caf::event_based_actor* self, const registry::record_table& table,
                  node_finder nodes)
    : self_(self), answers_(self->system()), table_(table), nodes_(std::move(nodes)) {}

  registry_reader(const registry_reader&) = delete;
  registry_reader& operator=(const registry_reader&) = delete;

  /// Answers the current message.
  template <class Question>
  caf::result<typename Question::result> answer(const Question& what) {
    auto now = self_->clock().now();
    if (!early_.may_wait(now)) {
      auto promise = self_->make_response_promise();
      answers_.deliver(promise, table_.answer(what));
      return caf::delegated<typename Question::result>{};
    }
    auto known = nodes_ ? nodes_(self_->current_sender()) : nullptr; // the promise takes it
    if (nodes_ && !known)
      return to_error(unknown_sender()); // nobody's share would bound it
    auto promise = self_->make_response_promise();
    host::early_questions::question held{
      .about = {},
      .by = known ? *known : std::string{},
      .answer = [this, what, promise]() mutable { answers_.deliver(promise, table_.answer(what)); },
      .refuse = [promise](const problem& why) mutable { promise.deliver(to_error(why)); },
    };
    if (auto why = early_.hold(now, max_wait, std::move(held)))
      promise.deliver(to_error(std::move(why)));
    else
      arm();
    return caf::delegated<typename Question::result>{};
  }

  /// The same, once there is news or its time is over.
  caf::result<registry::record_changes> answer(const registry::watch_records& what) {
    auto has_to_wait = what.wait > duration::zero() && !table_.has_news(what);
    if (!has_to_wait) {
      auto promise = self_->make_response_promise();
      answers_.deliver(promise, table_.answer(what));
      return caf::delegated<registry::record_changes>{};
    }
    auto known = nodes_ ? nodes_(self_->current_sender()) : nullptr; // the promise takes it
    if (nodes_ && !known)
      return to_error(unknown_sender()); // nobody's share would bound it
    auto by = known ? *known : std::string{};
    if (auto why = waiting_.no_room_for(by, max_parked))
      return to_error(std::move(why));
    park(what, self_->make_response_promise(), std::move(by));
    return caf::delegated<registry::record_changes>{};
  }

  /// Others have yet to tell what they know; until knows_all().
  void await_all() {
    early_.begin(self_->clock().now());
  }

  /// They can be reached from here on.
  void finds_others() {
    early_.finds_others(self_->clock().now());
  }

  /// The table has all from here on that others knew when this node joined them.
  void knows_all() {
    early_.knows_all_now();
  }

  /// Call it after each step that may have changed the table.
  void look() {
    if (auto mark = table_.revision(); mark != waiting_.seen()) {
      waiting_.look();
      waiting_.seen(mark);
      answer_some();
    }
  }

  /// Refuses those that wait. Part of the end of the actor.
  void stop() {
    problem why{errc::cancelled, "this node has stopped"};
    early_.refuse_all(why);
    waiting_.refuse_all(why);
  }

private:
  /// In one piece, before the next message is handled.
  static constexpr std::size_t max_answers = 256;

  void park(const registry::watch_records& what, caf::response_promise promise, std::string by) {
    waiting_.add(
      {.about = {},
       .has_news = [this, what](std::uint64_t) { return table_.has_news(what); },
       .answer = [this, what, promise](
                   std::uint64_t) mutable { answers_.deliver(promise, table_.answer(what)); },
       .refuse = [promise](const problem& why) mutable { promise.deliver(to_error(why)); },
       .ends = self_->clock().now() + std::min(what.wait, max_wait),
       .by = std::move(by)});
    arm();
  }

  void answer_some() {
    if (waiting_.answer_some(max_answers))
      timer_.arm(self_, self_->clock().now(), [this] { wake(); });
    else
      arm();
  }

  void arm() {
    timer_.arm(self_, waiting_.next_deadline(), [this] { wake(); });
    timer_.arm(self_, early_.next_deadline(), [this] { wake(); });
  }

  void wake() {
    early_.tick(self_->clock().now());
    waiting_.tick(self_->clock().now());
    answer_some();
  }

  caf::event_based_actor* self_;
  answer_path answers_;
  const registry::record_table& table_;
  const node_finder nodes_;
  host::early_questions early_;
  host::waiting_questions waiting_;
  deadline_timer timer_;
};

} // namespace troupe::cluster
