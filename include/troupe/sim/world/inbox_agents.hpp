#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/agent_inbox.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/node_inboxes.hpp"
#include "troupe/router/peer_lines_types.hpp"
#include "troupe/sim/laws/inbox_laws.hpp"

namespace troupe::sim {

/// The agents of one simulated node, with their inboxes, their mailboxes, and how long they have
/// each message. Threads may be interrupted anywhere.
template <class Home>
class inbox_agents {
public:
  using number = inbox_laws::message_number;

  struct waiting_letter {
    number what = 0;
    /// The request over that link that is to be answered; zero: nobody waits, or somebody here.
    std::uint64_t request = 0;
    std::optional<router::lines::link_number> over{};
  };

  /// A node that waits for room.
  struct waiter {
    router::lines::link_number over = 0;
    std::uint64_t number = 0;

    struct same_link {
      bool operator()(const waiter& one, const waiter& other) const {
        return one.over == other.over;
      }
    };
  };

  using inboxes = router::node_inboxes<waiting_letter, waiter, typename waiter::same_link>;
  using inbox = typename inboxes::inbox;

  /// In the mailbox of an agent: a message, or what it gives a sign for.
  struct mail {
    std::optional<waiting_letter> what{};
  };

  struct agent {
    agent(typename inboxes::place_number number, const router::inbox_options& with,
          router::inbox_room& room)
      : place(number, with, room) {}

    agent_id id{};
    router::inbox_options how{};
    typename inboxes::place place;
    std::deque<mail> mailbox{};
    duration pace{};
    bool is_busy = false;
    bool has_room = true;
    time_point has_room_since{};
  };

  struct hooks {
    /// That is the end of it; whoever waits is told.
    std::function<void(const waiting_letter&, message_end, const std::optional<problem>&)> end;
    std::function<void(const waiter&)> tell_room;
  };

  inbox_agents(Home& here, inbox_laws& laws, std::size_t max_waiting_bytes, hooks then)
    : here_(here), laws_(laws), inboxes_(max_waiting_bytes), then_(std::move(then)) {}

  inbox_agents(const inbox_agents&) = delete;
  inbox_agents& operator=(const inbox_agents&) = delete;

  /// `pace`: how long it has each message.
  void add(const agent_id& id, const router::inbox_options& how, duration pace) {
    auto made = std::make_unique<agent>(++last_place_, how, inboxes_.room());
    made->id = id;
    made->how = how;
    made->pace = pace;
    by_place_.emplace(last_place_, made.get());
    agents_.emplace(id, std::move(made));
  }

  void set_pace(const agent_id& id, duration pace) {
    if (auto* it = find(id))
      it->pace = pace;
  }

  [[nodiscard]] bool has(const agent_id& id) const {
    return agents_.contains(id);
  }

  /// It ends as an actor does: with its mailbox.
  void remove(const agent_id& id) {
    auto gone = agents_.extract(id);
    if (!gone)
      return;
    auto& it = *gone.mapped();
    by_place_.erase(it.place.number());
    auto left = inboxes_.end(it.place);
    for (auto& each : left.letters)
      then_.end(each, message_end::no_agent, router::detail::no_agent(id));
    for (auto& each : left.waiters)
      then_.tell_room(each);
    for (auto& each : it.mailbox)
      if (each.what)
        then_.end(*each.what, message_end::lost, {{errc::failed, "the agent has ended"}});
  }

  agent* find(const agent_id& id) {
    auto found = agents_.find(id);
    return found != agents_.end() ? found->second.get() : nullptr;
  }

  agent* at(typename inboxes::place_number place) {
    auto found = by_place_.find(place);
    return found != by_place_.end() ? found->second : nullptr;
  }

  /// Those that have as many messages as they may.
  [[nodiscard]] std::vector<agent_id> full_ones() const {
    std::vector<agent_id> result;
    for (auto place : inboxes_.full_ones())
      result.push_back(by_place_.at(place)->id);
    return result;
  }

  /// Keeps `by` until there is room for that agent; returns false if there is.
  [[nodiscard]] bool await_room(const agent_id& id, waiter& by) {
    auto* in = find(id);
    return in != nullptr && !inboxes_.await_room(in->place, by);
  }

  /// Since when there is room in the inbox of that agent, or it is not there.
  [[nodiscard]] time_point has_room_since(const agent_id& id) const {
    auto found = agents_.find(id);
    return found != agents_.end() ? found->second->has_room_since : time_point{};
  }

  [[nodiscard]] const router::inbox_room& waiting() const {
    return inboxes_.waiting();
  }

  [[nodiscard]] const std::map<agent_id, std::unique_ptr<agent>>& all() const {
    return agents_;
  }

  /// A message comes for an agent that is there. Returns false if it was refused.
  bool come(agent& to, const waiting_letter& what, std::size_t bytes,
            const std::optional<time_point>& expires_at) {
    return give(to.id, to.place.number(), what, bytes + router::detail::routes::letter_bytes,
                expires_at, false);
  }

  bool give(const agent_id& id, typename inboxes::place_number place, const waiting_letter& what,
            std::size_t bytes, const std::optional<time_point>& expires_at, bool is_taken) {
    auto* to = at(place);
    if (to == nullptr) {
      then_.end(what, message_end::no_agent, router::detail::no_agent(id));
      return false;
    }
    if (auto how = inboxes_.pass(to->place, bytes, is_taken); how.is_open) {
      hand(*to, what, how.wants_sign);
      return true;
    }
    typename inbox::effects out;
    auto taken = inboxes_.arrive(here_.now(), to->place, what, bytes, expires_at, is_taken, out);
    carry_out(*to, std::move(out));
    if (laws_.at(what.what).end != message_end::refused)
      laws_.arrived(what.what);
    return taken;
  }

private:
  /// Another thread may bring more before what is handed over lies in the mailbox.
  void carry_out(agent& to, typename inbox::effects out) {
    note_room(to);
    typename inbox::effects hands;
    for (auto& each : out)
      troupe::visit(
        overloaded{[&](const typename inbox::hand& next) { hands.emplace_back(next); },
                   [&](const typename inbox::refuse& next) {
                     then_.end(next.what, message_end::refused, router::detail::inbox_full(to.id));
                   },
                   [&](const typename inbox::expire& next) {
                     then_.end(next.what, message_end::expired, router::detail::expired());
                   },
                   [&](const typename inbox::has_room&) {
                     for (auto& by : inboxes_.take_waiters(to.place).waiters)
                       then_.tell_room(by);
                   }},
        each);
    if (hands.empty())
      return;
    here_.after(here_.handover(), [this, hands, id = to.id, place = to.place.number()] {
      auto* it = at(place);
      for (auto& each : hands) {
        auto& next = std::get<typename inbox::hand>(each);
        if (it != nullptr)
          hand(*it, next.what, next.wants_sign);
        else
          then_.end(next.what, message_end::no_agent, router::detail::no_agent(id));
      }
      if (it == nullptr)
        return;
      typename inbox::effects more;
      inboxes_.handed(here_.now(), it->place, more);
      carry_out(*it, std::move(more));
    });
  }

  void hand(agent& to, const waiting_letter& what, bool wants_sign) {
    laws_.arrived(what.what);
    to.mailbox.push_back({what});
    if (wants_sign)
      to.mailbox.push_back({});
    work(to);
  }

  /// It takes one out of its mailbox, and has it for a while.
  void work(agent& it) {
    if (it.is_busy || it.mailbox.empty())
      return;
    it.is_busy = true;
    auto next = it.mailbox.front();
    it.mailbox.pop_front();
    auto span = next.what ? it.pace : here_.handover();
    here_.after(span, [this, next, place = it.place.number()] {
      auto* who = at(place);
      if (next.what && who != nullptr)
        then_.end(*next.what, message_end::handled, std::nullopt);
      else if (next.what)
        then_.end(*next.what, message_end::lost, {{errc::failed, "the agent has ended"}});
      if (who == nullptr)
        return;
      if (!next.what) {
        typename inbox::effects out;
        inboxes_.signed_for(here_.now(), who->place, out);
        carry_out(*who, std::move(out));
      }
      who->is_busy = false;
      work(*who);
    });
  }

  void note_room(agent& it) {
    auto& box = it.place.box();
    auto had_room = it.has_room;
    it.has_room
      = 2 * box.waiting() <= it.how.max_messages && 2 * box.waiting_bytes() <= it.how.max_bytes;
    if (!had_room || !it.has_room)
      it.has_room_since = here_.now();
  }

  Home& here_;
  inbox_laws& laws_;
  inboxes inboxes_;
  hooks then_;
  std::map<agent_id, std::unique_ptr<agent>> agents_;
  std::map<typename inboxes::place_number, agent*> by_place_;
  typename inboxes::place_number last_place_ = 0;
};

} // namespace troupe::sim
