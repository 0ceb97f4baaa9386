#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/node_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/answer_lines.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Brings answers to those who asked over a link, as its answer_lines decide. For this the router
/// asks the agents in their place.
///
/// Works in the thread of whoever answers. Thread-safe; nothing of others is called or destroyed
/// while it is locked.
class answers {
public:
  explicit answers(const router_options& options) : lines_(options) {}

  // -- links ---------------------------------------------------------------------------

  /// All on the node of `entry` are answered over link `number` from here on; a link that led there
  /// before has ended. `entry` answers compat::ping().
  void link_up(std::uint64_t number, caf::strong_actor_ptr entry) {
    remains before;
    std::lock_guard guard{mutex_};
    auto node = entry->node();
    if (auto found = numbers_.find(node); found != numbers_.end())
      forget(found->second, before);
    numbers_.emplace(node, number);
    entries_.emplace(number, std::move(entry));
    lines_.link_up(number);
  }

  /// What waits for it is lost: whoever asked hears of the end of the link.
  void link_down(std::uint64_t number) {
    remains gone;
    std::lock_guard guard{mutex_};
    forget(number, gone);
  }

  /// Others have filled that link, or it has drained.
  void hold(const caf::strong_actor_ptr& self, std::uint64_t number, bool is_held,
            compat::execution_context* context) {
    machine::effects out;
    {
      std::lock_guard guard{mutex_};
      lines_.hold(now(self), number, is_held, out);
    }
    carry_out(self, number, std::move(out), context);
  }

  // -- requests ------------------------------------------------------------------------

  /// Returns who asks an agent in place of `asks`: `self`, the router, for one behind a link, else
  /// `asks`. Nobody waits for the answer longer than `wait`.
  [[nodiscard]] asker stand_in(const caf::strong_actor_ptr& self, asker asks, duration wait,
                               compat::execution_context* context) {
    if (!asks.id.is_request())
      return asks;
    std::optional<asker> given_up;
    std::uint64_t number = 0;
    {
      auto until = now(self) + wait;
      std::lock_guard guard{mutex_};
      auto link = link_of(asks.who);
      if (!link)
        return asks;
      number = lines_.ask(*link, std::move(asks), until, given_up);
    }
    if (given_up)
      tell(self, std::move(*given_up), caf::make_message(to_error(lines_.no_answer())), context);
    return {self, caf::message_id{answer_flag | number}.with_normal_priority()};
  }

  /// Takes `what` if it answers one of these requests or says that a link has brought what was on
  /// it; returns false if not, then it is as it was.
  bool take(const caf::strong_actor_ptr& self, caf::mailbox_element& what,
            compat::execution_context* context) {
    auto number = what.mid.request_id().integer_value();
    if ((number & mark_flag) != 0) {
      received(self, number & ~mark_flag, context);
      return true;
    }
    if ((number & answer_flag) == 0)
      return false;
    std::optional<machine::request> found;
    {
      std::lock_guard guard{mutex_};
      found = lines_.finish(number & ~answer_flag);
    }
    if (found)
      tell(self, std::move(found->by), in_our_words(std::move(what.payload)), context,
           found->until);
    return true;
  }

  // -- answers -------------------------------------------------------------------------

  /// Sends an answer as soon as there is room for it, behind all before it; not if nobody waits for
  /// it any more then.
  void tell(const caf::strong_actor_ptr& self, asker to, caf::message answer,
            compat::execution_context* context, time_point until = time_point::max()) {
    if (!is_behind_link(to.who))
      return to.tell(self, std::move(answer), context);
    auto bytes = compat::size_of(*self->home_system, answer);
    machine::effects out;
    std::optional<std::uint64_t> link;
    {
      std::lock_guard guard{mutex_};
      link = link_of(to.who);
      if (link)
        lines_.answer(now(self), *link, std::move(to), std::move(answer), bytes, until, out);
    }
    if (link) // else it has just ended
      carry_out(self, *link, std::move(out), context);
  }

  /// The same; nobody waits for it for longer than `wait` from now.
  void tell(const caf::strong_actor_ptr& self, asker to, caf::message answer,
            compat::execution_context* context, duration wait) {
    tell(self, std::move(to), std::move(answer), context, now(self) + wait);
  }

  /// Adds what waits and what was refused here to the statistics of the router.
  void add_to(router_statistics& sum) const {
    std::lock_guard guard{mutex_};
    lines_.add_to(sum);
  }

  /// Lets go of all actors.
  void clear() {
    std::map<std::uint64_t, caf::strong_actor_ptr> entries;
    machine::effects gone;
    std::lock_guard guard{mutex_};
    numbers_.clear();
    entries.swap(entries_);
    for (auto& [number, entry] : entries)
      lines_.link_down(number, gone);
  }

private:
  using machine = answer_lines<asker, caf::message>;

  /// In the numbers of requests; those of the router's actor do not come so far.
  static constexpr std::uint64_t answer_flag = std::uint64_t{1} << 59U;
  static constexpr std::uint64_t mark_flag = std::uint64_t{1} << 58U;

  /// What may end with the last handle of it, once nothing is locked.
  struct remains {
    caf::strong_actor_ptr entry;
    machine::effects gone;
  };

  static time_point now(const caf::strong_actor_ptr& self) {
    return time_point{self->home_system->clock().now().time_since_epoch()};
  }

  [[nodiscard]] bool is_behind_link(const caf::strong_actor_ptr& who) const {
    std::lock_guard guard{mutex_};
    return link_of(who).has_value();
  }

  [[nodiscard]] std::optional<std::uint64_t> link_of(const caf::strong_actor_ptr& who) const {
    if (!who)
      return std::nullopt;
    auto found = numbers_.find(who->node());
    return found != numbers_.end() ? std::optional{found->second} : std::nullopt;
  }

  void forget(std::uint64_t number, remains& into) {
    auto found = entries_.extract(number);
    if (!found)
      return;
    into.entry = std::move(found.mapped());
    numbers_.erase(into.entry->node());
    lines_.link_down(number, into.gone);
  }

  /// The peer has what was on its link when it was asked.
  void received(const caf::strong_actor_ptr& self, std::uint64_t mark,
                compat::execution_context* context) {
    machine::effects out;
    std::optional<std::uint64_t> link;
    {
      std::lock_guard guard{mutex_};
      link = lines_.received(now(self), mark, out);
    }
    if (link)
      carry_out(self, *link, std::move(out), context);
  }

  /// Sends over that link, also what others leave to this thread meanwhile: so that answers keep
  /// their order.
  void carry_out(const caf::strong_actor_ptr& self, std::uint64_t link, machine::effects out,
                 compat::execution_context* context) {
    while (!out.empty()) {
      auto sends = false;
      for (auto& each : out)
        if (auto* next = std::get_if<machine::send>(&each)) {
          next->to.tell(self, to_message(std::move(next->what)), context);
          sends = true;
        } else if (auto* wanted = std::get_if<machine::ask_receipt>(&each)) {
          ask_receipt(self, *wanted, context);
        }
      out.clear();
      if (!sends)
        return;
      std::lock_guard guard{mutex_};
      lines_.sent(now(self), link, out);
    }
  }

  static caf::message to_message(std::variant<caf::message, problem> what) {
    auto* why = std::get_if<problem>(&what);
    return why != nullptr ? caf::make_message(to_error(std::move(*why)))
                          : std::get<caf::message>(std::move(what));
  }

  void ask_receipt(const caf::strong_actor_ptr& self, const machine::ask_receipt& what,
                   compat::execution_context* context) {
    caf::strong_actor_ptr entry;
    {
      std::lock_guard guard{mutex_};
      if (auto found = entries_.find(what.link); found != entries_.end())
        entry = found->second;
    }
    if (entry)
      entry->enqueue(self, caf::message_id{mark_flag | what.mark}.with_normal_priority(),
                     compat::ping(), context);
  }

  mutable std::mutex mutex_;
  /// The links to nodes of CAF, and who is at the other end of each.
  std::map<caf::node_id, std::uint64_t> numbers_;
  std::map<std::uint64_t, caf::strong_actor_ptr> entries_;
  machine lines_;
};

} // namespace troupe::router::detail
