#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/node_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/link_flow.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Brings answers to those who asked over a link: each waits here until there is room on that (see
/// link_flow), and one for which there is none is replaced by an error that says so. For this the
/// router asks the agents in their place.
///
/// Works in the thread of whoever answers. Thread-safe; sends nothing while it is locked.
class answers {
public:
  explicit answers(const router_options& options) : options_(options) {}

  // -- links ---------------------------------------------------------------------------

  /// All on the node of `entry` are answered over link `number` from here on; a link that led there
  /// before has ended. `entry` answers compat::ping().
  void link_up(std::uint64_t number, caf::strong_actor_ptr entry) {
    std::lock_guard guard{mutex_};
    auto node = entry->node();
    if (auto before = numbers_.find(node); before != numbers_.end())
      forget(before->second);
    numbers_.emplace(node, number);
    auto& there = peers_.try_emplace(number, number, std::move(entry), options_).first->second;
    there.flow.link_up();
  }

  /// What waits for it is lost: whoever asked hears of the end of the link.
  void link_down(std::uint64_t number) {
    std::lock_guard guard{mutex_};
    forget(number);
  }

  /// Others have filled that link, or it has drained.
  void hold(const caf::strong_actor_ptr& self, std::uint64_t number, bool is_held,
            compat::execution_context* context) {
    outgoing out;
    {
      std::lock_guard guard{mutex_};
      auto found = peers_.find(number);
      if (found == peers_.end())
        return;
      found->second.flow.hold(is_held);
      release(found->second, out);
    }
    send(self, std::move(out), context);
  }

  // -- requests ------------------------------------------------------------------------

  /// Returns who asks an agent in place of `asks`: `self`, the router, for one behind a link, else
  /// `asks`. Over one link so many requests may be open as a router itself may ask; with one more
  /// the first of them is given up.
  [[nodiscard]] asker stand_in(const caf::strong_actor_ptr& self, asker asks,
                               compat::execution_context* context) {
    if (!asks.id.is_request())
      return asks;
    std::optional<asker> given_up;
    std::uint64_t number = 0;
    {
      std::lock_guard guard{mutex_};
      auto* there = peer_of(asks.who);
      if (there == nullptr)
        return asks;
      number = answer_flag | ++last_;
      if (there->open.size() >= options_.max_pending)
        given_up = finish(*there->open.begin());
      there->open.insert(number);
      requests_.emplace(number, request{std::move(asks), there->number});
    }
    if (given_up)
      given_up->tell(self, caf::make_message(to_error(no_answer(options_.max_pending))), context);
    return {self, caf::message_id{number}.with_normal_priority()};
  }

  /// Takes `what` if it answers one of these requests or says that a link has brought what was on
  /// it; returns false if not, then it is as it was.
  bool take(const caf::strong_actor_ptr& self, caf::mailbox_element& what,
            compat::execution_context* context) {
    auto number = what.mid.request_id().integer_value();
    if ((number & mark_flag) != 0) {
      received(self, number, context);
      return true;
    }
    if ((number & answer_flag) == 0)
      return false;
    std::optional<asker> asks;
    {
      std::lock_guard guard{mutex_};
      asks = finish(number);
    }
    if (asks)
      tell(self, std::move(*asks), in_our_words(std::move(what.payload)), context);
    return true;
  }

  // -- answers -------------------------------------------------------------------------

  /// Sends an answer as soon as there is room for it.
  void tell(const caf::strong_actor_ptr& self, asker to, caf::message answer,
            compat::execution_context* context) {
    if (!is_behind_link(to.who))
      return to.tell(self, std::move(answer), context);
    auto bytes = compat::size_of(*self->home_system, answer);
    problem why;
    if (!bytes)
      why = unwritable();
    else if (*bytes > options_.max_message_bytes)
      why = answer_too_large(*bytes, options_.max_message_bytes);
    outgoing out;
    {
      std::lock_guard guard{mutex_};
      auto* there = peer_of(to.who);
      if (there == nullptr)
        return; // the link has just ended
      if (why.code == errc::none && !there->flow.take(*bytes))
        why = too_many_answers(there->flow.waiting_bytes());
      if (why.code == errc::none) {
        there->line.push_back({std::move(to), std::move(answer), *bytes});
        release(*there, out);
      } else {
        ++refused_;
      }
    }
    if (why.code != errc::none)
      to.tell(self, caf::make_message(to_error(std::move(why))), context);
    send(self, std::move(out), context);
  }

  /// Adds what waits and what was refused here to the statistics of the router.
  void add_to(router_statistics& sum) const {
    std::lock_guard guard{mutex_};
    sum.refused += refused_;
    for (auto& [number, each] : peers_) {
      sum.waiting += static_cast<std::uint32_t>(each.line.size());
      sum.waiting_bytes += each.flow.waiting_bytes();
    }
  }

  /// Lets go of all actors.
  void clear() {
    std::lock_guard guard{mutex_};
    numbers_.clear();
    peers_.clear();
    requests_.clear();
    marks_.clear();
  }

private:
  /// In the numbers of requests; those of the router's actor do not come so far.
  static constexpr std::uint64_t answer_flag = std::uint64_t{1} << 59U;
  static constexpr std::uint64_t mark_flag = std::uint64_t{1} << 58U;

  struct parcel {
    asker to;
    caf::message what;
    std::size_t bytes = 0;
  };

  struct peer {
    peer(std::uint64_t which, caf::strong_actor_ptr there, const router_options& how)
      : number(which), entry(std::move(there)), flow({how.max_answer_bytes, how.window_bytes}) {}

    std::uint64_t number;
    caf::strong_actor_ptr entry;
    link_flow flow;
    /// Answers that wait for room.
    std::deque<parcel> line{};
    /// Numbers of requests that wait for agents.
    std::set<std::uint64_t> open{};
  };

  struct request {
    asker asks;
    std::uint64_t link = 0;
  };

  /// What goes out once nothing is locked: answers, and where the peer is to say that it has
  /// all before, a request to its entry.
  struct outgoing_step {
    std::optional<parcel> answer;
    caf::strong_actor_ptr entry;
    std::uint64_t mark = 0;
  };

  using outgoing = std::vector<outgoing_step>;

  [[nodiscard]] bool is_behind_link(const caf::strong_actor_ptr& who) const {
    std::lock_guard guard{mutex_};
    return who && numbers_.contains(who->node());
  }

  /// Null if `who` is behind no link.
  [[nodiscard]] peer* peer_of(const caf::strong_actor_ptr& who) {
    if (!who)
      return nullptr;
    auto found = numbers_.find(who->node());
    return found != numbers_.end() ? &peers_.at(found->second) : nullptr;
  }

  void forget(std::uint64_t number) {
    auto found = peers_.find(number);
    if (found == peers_.end())
      return;
    for (auto each : found->second.open)
      requests_.erase(each);
    std::erase_if(marks_, [&](const auto& each) { return each.second == number; });
    numbers_.erase(found->second.entry->node());
    peers_.erase(found);
  }

  /// Returns who waits for the answer, if anybody does.
  std::optional<asker> finish(std::uint64_t number) {
    auto found = requests_.extract(number);
    if (!found)
      return std::nullopt;
    peers_.at(found.mapped().link).open.erase(number);
    return std::move(found.mapped().asks);
  }

  /// Puts what there is room for into `out`.
  void release(peer& there, outgoing& out) {
    while (!there.line.empty() && there.flow.has_room()) {
      auto bytes = there.line.front().bytes;
      out.push_back({std::move(there.line.front()), nullptr});
      there.line.pop_front();
      if (!there.flow.send(bytes, bytes))
        continue;
      auto mark = mark_flag | ++last_;
      marks_.emplace(mark, there.number);
      out.push_back({std::nullopt, there.entry, mark});
    }
  }

  static void send(const caf::strong_actor_ptr& self, outgoing out,
                   compat::execution_context* context) {
    for (auto& each : out)
      if (each.answer)
        each.answer->to.tell(self, std::move(each.answer->what), context);
      else
        each.entry->enqueue(self, caf::message_id{each.mark}.with_normal_priority(), compat::ping(),
                            context);
  }

  /// The peer has what was on its link when it was asked.
  void received(const caf::strong_actor_ptr& self, std::uint64_t mark,
                compat::execution_context* context) {
    outgoing out;
    {
      std::lock_guard guard{mutex_};
      auto found = marks_.extract(mark);
      if (!found)
        return;
      auto& there = peers_.at(found.mapped());
      there.flow.received();
      release(there, out);
    }
    send(self, std::move(out), context);
  }

  const router_options options_;
  mutable std::mutex mutex_;
  /// The links to nodes of CAF, and these by their numbers.
  std::map<caf::node_id, std::uint64_t> numbers_;
  std::map<std::uint64_t, peer> peers_;
  std::map<std::uint64_t, request> requests_;
  /// Marks on their way, each with its link.
  std::map<std::uint64_t, std::uint64_t> marks_;
  std::uint64_t last_ = 0;
  std::uint64_t refused_ = 0;
};

} // namespace troupe::router::detail
