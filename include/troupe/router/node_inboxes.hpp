#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/agent_inbox.hpp"
#include "troupe/router/inbox_space.hpp"
#include "troupe/router/message_options.hpp"

namespace troupe::router {

/// The inboxes of all agents of a node: decides which of them other nodes are told to be full, and
/// who hears that one has room again.
///
/// A node that is told so holds back what it sends to that agent, and asks for room (see
/// router_core::told_full). It hears as soon as half of what waits has gone, or at once where there
/// is room already, or where too many wait for it: then it tries again. Those of its messages that
/// wait for room come as far as it is told that there is some (see inbox_space), and those who hear
/// of it at once share it.
///
/// A Letter is what agents get, a Waiter who waits for room; SameAsker tells whether two of them
/// are questions of the same. The host keeps the place of each agent wherever it finds the agent,
/// so that a message needs no look-up of its own. Steps like any machine. It has no snapshot:
/// messages in memory do not outlive a process.
template <class Letter, class Waiter, class SameAsker = std::equal_to<>>
class node_inboxes {
public:
  using inbox = agent_inbox<Letter>;
  /// Of no other agent, not even of a later one with the same id.
  using place_number = std::uint64_t;

  /// At most so many are said to be full at a time.
  static constexpr std::size_t most_full = 1'000;
  /// At most so many wait for room in one inbox.
  static constexpr std::size_t most_waiters = 1'000;
  /// And of one asker: a node asks for those who wait for room, and for all others. An earlier
  /// question is one that it has given up, or that was lost with a link.
  static constexpr std::size_t most_of_one = 2;

  /// Of one agent; outlived by its node_inboxes.
  class place {
  public:
    place(place_number number, const inbox_options& how, inbox_room& all)
      : number_(number), box_(how, all), tells_when_full_(how.full == when_full::reject) {}

    [[nodiscard]] place_number number() const {
      return number_;
    }

    [[nodiscard]] const inbox& box() const {
      return box_;
    }

    /// Whether whoever sends to it for that tenant is to hold back. Where older messages give way
    /// there is room for each.
    [[nodiscard]] bool is_full(std::string_view tenant = {}) const {
      return tells_when_full_ && box_.is_full(tenant);
    }

  private:
    friend class node_inboxes;

    place_number number_;
    inbox box_;
    bool tells_when_full_;
    std::vector<Waiter> waiters_{};
  };

  /// What has waited for an agent that has ended, and those who have waited for room.
  struct remains {
    std::vector<Letter> letters;
    std::vector<Waiter> waiters;
  };

  /// What waits for all agents has so many bytes at most.
  explicit node_inboxes(std::size_t max_waiting_bytes = std::numeric_limits<std::size_t>::max())
    : room_(max_waiting_bytes) {}

  node_inboxes(const node_inboxes&) = delete;
  node_inboxes& operator=(const node_inboxes&) = delete;

  /// What the place of an agent is made with.
  [[nodiscard]] inbox_room& room() {
    return room_;
  }

  /// What waits for all agents.
  [[nodiscard]] const inbox_room& waiting() const {
    return room_;
  }

  // -- messages: see agent_inbox -------------------------------------------------------

  [[nodiscard]] typename inbox::passage pass(place& to, std::size_t bytes, bool is_taken) {
    auto result = to.box_.pass(bytes, is_taken);
    if (!full_.empty()) // it may have been full of what was taken only
      look_at(to);
    return result;
  }

  [[nodiscard]] static bool take(place& to, std::size_t bytes, const message_turn& of = {}) {
    return to.box_.take(bytes, of);
  }

  bool arrive(time_point now, place& to, Letter what, std::size_t bytes,
              const std::optional<time_point>& expires_at, bool is_taken,
              typename inbox::effects& out, const message_turn& of = {}) {
    auto result = to.box_.arrive(now, std::move(what), bytes, expires_at, is_taken, out, of);
    look_at(to);
    return result;
  }

  void signed_for(time_point now, place& to, typename inbox::effects& out) {
    to.box_.signed_for(now, out);
    look_at(to);
  }

  void handed(time_point now, place& to, typename inbox::effects& out) {
    to.box_.handed(now, out);
    look_at(to);
  }

  /// The agent has ended, or gets nothing more under this name.
  [[nodiscard]] remains end(place& of) {
    full_.erase(of.number_);
    return {of.box_.end(), std::exchange(of.waiters_, {})};
  }

  // -- those who send ------------------------------------------------------------------

  /// Those that have as many messages as they may.
  [[nodiscard]] std::vector<place_number> full_ones() const {
    std::vector<place_number> result;
    for (auto each : full_)
      if (result.size() < most_full)
        result.push_back(each);
    return result;
  }

  /// Keeps `by` until has_room comes of that inbox; returns what it is to be told if there is room,
  /// or if too many wait for it. Where the same has asked too often, its earliest question is in
  /// `by` then, and the new one is kept.
  [[nodiscard]] std::optional<inbox_space> await_room(place& in, Waiter& by) {
    auto& all = in.waiters_;
    auto is_its = [&](const Waiter& each) { return SameAsker{}(each, by); };
    auto earliest = std::ranges::find_if(all, is_its);
    auto asks_often = static_cast<std::size_t>(std::ranges::count_if(all, is_its)) >= most_of_one;
    if (!asks_often && all.size() >= most_waiters)
      return inbox_space{1, 1};
    if (!in.box_.await_room())
      return in.box_.space().divided_by(1);
    if (asks_often) {
      std::swap(*earliest, by);
      std::rotate(earliest, earliest + 1, all.end());
      return inbox_space{1, 1};
    }
    all.push_back(std::move(by));
    return std::nullopt;
  }

  /// Those who have waited for room, and what each of them is told.
  struct told {
    std::vector<Waiter> waiters;
    inbox_space each{};
  };

  /// has_room has come.
  [[nodiscard]] told take_waiters(place& in) {
    auto found = std::exchange(in.waiters_, {});
    if (planted_flaw == flaw::room_forgotten)
      found.clear();
    auto each = in.box_.space().divided_by(found.size());
    return {std::move(found), each};
  }

private:
  void look_at(const place& which) {
    if (which.is_full())
      full_.insert(which.number_);
    else if (!full_.empty())
      full_.erase(which.number_);
  }

  inbox_room room_;
  /// Those whose senders elsewhere are to hold back.
  std::set<place_number> full_;
};

} // namespace troupe::router
