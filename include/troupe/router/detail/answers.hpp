#pragma once

#include <algorithm>
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
#include "caf/actor_system.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/node_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/link_flow.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Brings answers to those who asked over a link, in the order in which they come: each waits here
/// until there is room on that (see link_flow), and one for which there is none is replaced by an
/// error that says so. For this the router asks the agents in their place.
///
/// Works in the thread of whoever answers. Thread-safe; nothing of others is called or destroyed
/// while it is locked.
class answers {
public:
  explicit answers(const router_options& options) : options_(options) {}

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
    auto& there = peers_.try_emplace(number, number, std::move(entry), options_).first->second;
    there.flow.link_up();
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
    {
      std::lock_guard guard{mutex_};
      if (auto found = peers_.find(number); found != peers_.end())
        found->second.flow.hold(is_held);
    }
    flush(self, number, context);
  }

  // -- requests ------------------------------------------------------------------------

  /// Returns who asks an agent in place of `asks`: `self`, the router, for one behind a link, else
  /// `asks`. Nobody waits for the answer longer than `wait`. Over one link so many requests may be
  /// open as a router itself may ask; with one more the first of them is given up.
  [[nodiscard]] asker stand_in(const caf::strong_actor_ptr& self, asker asks, duration wait,
                               compat::execution_context* context) {
    if (!asks.id.is_request())
      return asks;
    std::optional<request> given_up;
    std::uint64_t number = 0;
    {
      auto until = now(self) + wait;
      std::lock_guard guard{mutex_};
      auto* there = peer_of(asks.who);
      if (there == nullptr)
        return asks;
      number = answer_flag | ++last_;
      if (!there->open.empty() && there->open.size() >= options_.max_pending)
        given_up = finish(*there->open.begin());
      there->open.insert(number);
      requests_.emplace(number, request{std::move(asks), there->number, until});
    }
    if (given_up)
      tell(self, std::move(given_up->asks),
           caf::make_message(to_error(no_answer(options_.max_pending))), context);
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
    std::optional<request> found;
    {
      std::lock_guard guard{mutex_};
      found = finish(number);
    }
    if (found)
      tell(self, std::move(found->asks), in_our_words(std::move(what.payload)), context,
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
    problem why;
    if (!bytes)
      why = unwritable();
    else if (*bytes > options_.max_message_bytes)
      why = answer_too_large(*bytes, options_.max_message_bytes);
    parcel next{std::move(to), std::move(answer), bytes.value_or(0) + parcel_bytes, until};
    std::uint64_t number = 0;
    {
      std::lock_guard guard{mutex_};
      auto* there = peer_of(next.to.who);
      if (there == nullptr)
        return; // the link has just ended
      number = there->number;
      if (!why)
        why = take(next.bytes, *there, now(self));
      if (why && !refuse(next, why, *there))
        return;
      waiting_ += next.bytes;
      there->line.push_back(std::move(next));
    }
    flush(self, number, context);
  }

  /// The same; nobody waits for it for longer than `wait` from now.
  void tell(const caf::strong_actor_ptr& self, asker to, caf::message answer,
            compat::execution_context* context, duration wait) {
    tell(self, std::move(to), std::move(answer), context, now(self) + wait);
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
    std::map<std::uint64_t, peer> peers;
    std::map<std::uint64_t, request> requests;
    std::lock_guard guard{mutex_};
    numbers_.clear();
    marks_.clear();
    peers.swap(peers_);
    requests.swap(requests_);
  }

private:
  /// In the numbers of requests; those of the router's actor do not come so far.
  static constexpr std::uint64_t answer_flag = std::uint64_t{1} << 59U;
  static constexpr std::uint64_t mark_flag = std::uint64_t{1} << 58U;
  /// What an answer costs beside its content.
  static constexpr std::size_t parcel_bytes = 128;
  /// That wait for one link.
  static constexpr std::size_t max_refusals = 10'000;

  struct parcel {
    asker to;
    caf::message what;
    std::size_t bytes = 0;
    time_point until = time_point::max();
    bool is_refusal = false;
  };

  struct peer {
    peer(std::uint64_t which, caf::strong_actor_ptr there, const router_options& how)
      : number(which), entry(std::move(there)), flow({how.max_answer_bytes, how.window_bytes}) {}

    std::uint64_t number;
    caf::strong_actor_ptr entry;
    link_flow flow;
    /// Answers that wait for room.
    std::deque<parcel> line{};
    /// Of those refusals.
    std::size_t refusals = 0;
    /// Numbers of requests that wait for agents.
    std::set<std::uint64_t> open{};
    /// A thread sends what there is room for, also what others put into the line meanwhile: so that
    /// answers keep their order.
    bool is_sending = false;
  };

  struct request {
    asker asks;
    std::uint64_t link = 0;
    time_point until;
  };

  /// What goes out once nothing is locked: an answer, or the question to the entry of the peer
  /// whether it has all before.
  struct outgoing_step {
    std::optional<parcel> answer;
    caf::strong_actor_ptr entry;
    std::uint64_t mark = 0;
  };

  using outgoing = std::vector<outgoing_step>;

  /// What may end with the last handle of it, once nothing is locked.
  struct remains {
    std::optional<peer> link;
    std::vector<request> requests;
  };

  static time_point now(const caf::strong_actor_ptr& self) {
    return time_point{self->home_system->clock().now().time_since_epoch()};
  }

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

  void forget(std::uint64_t number, remains& into) {
    auto found = peers_.find(number);
    if (found == peers_.end())
      return;
    auto& there = found->second;
    for (auto each : there.open)
      into.requests.push_back(std::move(requests_.extract(each).mapped()));
    std::erase_if(marks_, [&](const auto& each) { return each.second == number; });
    for (auto& each : there.line)
      waiting_ -= each.bytes;
    numbers_.erase(there.entry->node());
    into.link.emplace(std::move(there));
    peers_.erase(found);
  }

  /// Returns the request, if anybody waits for its answer.
  std::optional<request> finish(std::uint64_t number) {
    auto found = requests_.extract(number);
    if (!found)
      return std::nullopt;
    peers_.at(found.mapped().link).open.erase(number);
    return std::move(found.mapped());
  }

  /// Returns why there is no room for an answer; errc::none: it is taken.
  problem take(std::size_t bytes, peer& there, time_point now) {
    auto waits = !there.line.empty() || !there.flow.has_room();
    if (waits && waiting_ + bytes > options_.max_all_answer_bytes)
      drop_late(now);
    if (waits && waiting_ + bytes > options_.max_all_answer_bytes)
      return too_many_answers(waiting_, "max_all_answer_bytes");
    if (!there.flow.take(bytes))
      return too_many_answers(there.flow.waiting_bytes(), "max_answer_bytes");
    return {};
  }

  /// Lets go of what nobody waits for any more, of all links; no more often than twice a second, as
  /// it looks at each answer.
  void drop_late(time_point now) {
    if (now < look_again_)
      return;
    look_again_ = now + std::chrono::milliseconds{500};
    for (auto& entry : peers_) {
      auto& there = entry.second;
      std::erase_if(there.line, [&](const parcel& each) {
        if (each.until >= now)
          return false;
        there.flow.drop(each.bytes);
        waiting_ -= each.bytes;
        there.refusals -= each.is_refusal ? 1 : 0;
        return true;
      });
    }
  }

  /// Makes a refusal of an answer, which waits like that. Returns false if too many wait already:
  /// then whoever asked hears of its time-out.
  bool refuse(parcel& what, const problem& why, peer& there) {
    ++refused_;
    if (there.refusals >= max_refusals)
      return false;
    ++there.refusals;
    what.is_refusal = true;
    what.what = caf::make_message(to_error(why));
    what.bytes = why.detail.size() + parcel_bytes;
    there.flow.take_anyway(what.bytes);
    return true;
  }

  /// Puts what there is room for into `out`, and what nobody waits for any more into `late`.
  void release(time_point now, peer& there, outgoing& out, std::vector<parcel>& late) {
    while (!there.line.empty() && there.flow.has_room()) {
      auto next = std::move(there.line.front());
      there.line.pop_front();
      waiting_ -= next.bytes;
      there.refusals -= next.is_refusal ? 1 : 0;
      if (next.until < now) {
        there.flow.drop(next.bytes);
        late.push_back(std::move(next));
        continue;
      }
      auto is_marked = there.flow.send(next.bytes, next.bytes);
      out.push_back({std::move(next), nullptr});
      if (!is_marked)
        continue;
      auto mark = mark_flag | ++last_;
      marks_.emplace(mark, there.number);
      out.push_back({std::nullopt, there.entry, mark});
    }
  }

  /// Sends over link `number` what there is room for, unless another thread does.
  void flush(const caf::strong_actor_ptr& self, std::uint64_t number,
             compat::execution_context* context) {
    for (auto goes_on = false;; goes_on = true) {
      outgoing out;
      std::vector<parcel> late;
      {
        std::lock_guard guard{mutex_};
        auto found = peers_.find(number);
        if (found == peers_.end() || (found->second.is_sending && !goes_on))
          return;
        release(now(self), found->second, out, late);
        found->second.is_sending = !out.empty();
        if (out.empty())
          return;
      }
      send(self, std::move(out), context);
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
    std::uint64_t number = 0;
    {
      std::lock_guard guard{mutex_};
      auto found = marks_.extract(mark);
      if (!found)
        return;
      number = found.mapped();
      peers_.at(number).flow.received();
    }
    flush(self, number, context);
  }

  const router_options options_;
  mutable std::mutex mutex_;
  /// The links to nodes of CAF, and these by their numbers.
  std::map<caf::node_id, std::uint64_t> numbers_;
  std::map<std::uint64_t, peer> peers_;
  std::map<std::uint64_t, request> requests_;
  /// Marks on their way, each with its link.
  std::map<std::uint64_t, std::uint64_t> marks_;
  /// Bytes in all lines.
  std::size_t waiting_ = 0;
  time_point look_again_ = time_point::min();
  std::uint64_t last_ = 0;
  std::uint64_t refused_ = 0;
};

} // namespace troupe::router::detail
