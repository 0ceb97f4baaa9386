#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/idle_links.hpp"
#include "troupe/router/link_window.hpp"
#include "troupe/router/peer_lines_types.hpp"

namespace troupe::router {

/// Decides what a router sends to each other node, when, and over which link.
///
/// Letters to one peer lie in a parcel that goes at the end of the turn, so that a busy router
/// sends many for the price of one; earlier if it is full. Parcels and visits of a peer make a line
/// which keeps its order: it waits for a link, for room on it (see link_window), and while the link
/// rests (see idle_links). Nothing goes out behind the question or answer that lets a link rest.
///
/// Each letter has one end: it is sent once; or refused, since there is no link and will be none;
/// or cut, since its caller was told how the request ended, or it has expired. What waits outlives
/// links: it goes over the next one. What was sent over a link that has ended is repeated by
/// nobody, so its open requests fail, also if another link took its place before the end was told.
///
/// What waits in bytes is bounded where letters are taken (fair_room): each effect that ends
/// letters says for how much they were taken. Here visits are.
///
/// Steps like any machine. It has no snapshot: links do not outlive a process.
class peer_lines {
public:
  using effects = std::vector<lines::effect>;
  using event = lines::event;

  peer_lines(const node_id& self, const lines::options& options)
    : options_(options), idle_(self, options.idle) {}

  peer_lines(const peer_lines&) = delete;
  peer_lines& operator=(const peer_lines&) = delete;

  /// Handles what has happened at `now`. Cost: O(log n) in peers and in what waits for one; O(n)
  /// where looks_at_uses().
  void step(time_point now, const lines::event& what, effects& out) {
    troupe::visit([&](const auto& each) { handle(now, each, out); }, what);
  }

  void tick(time_point now, effects& out) {
    tell_uses(now);
    idle_.tick(now, idle_out_);
    carry_out(now, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return idle_.next_deadline();
  }

  /// Whether that step() may decide that a link rests: before it, and before each tick(), the host
  /// says of each of links() if it is `used`.
  [[nodiscard]] bool looks_at_uses(time_point now, const lines::event& what) const {
    if (std::holds_alternative<lines::rest_asked>(what))
      return true;
    auto is_of_links = std::holds_alternative<lines::link_up>(what)
                       || std::holds_alternative<lines::link_down>(what)
                       || std::holds_alternative<lines::link_missed>(what)
                       || std::holds_alternative<lines::keep_links>(what)
                       || std::holds_alternative<lines::rest_answered>(what);
    return is_of_links && is_due(now);
  }

  /// Returns the parcel for the next letter to `peer`, perhaps a new one. As of the last step.
  [[nodiscard]] lines::parcel_number parcel_for(const node_id& peer) {
    auto found = find(peer);
    return found != lines_.end() && !found->second.open.empty() ? found->second.open.number
                                                                : last_parcel_ + 1;
  }

  /// The peers that have one, each with its link.
  [[nodiscard]] std::vector<std::pair<node_id, lines::link_number>> links() const {
    std::vector<std::pair<node_id, lines::link_number>> result;
    for (auto& [peer, it] : lines_)
      if (it.link)
        result.emplace_back(peer, *it.link);
    return result;
  }

  [[nodiscard]] std::optional<lines::link_number> link_to(const node_id& peer) const {
    auto found = lines_.find(peer);
    return found != lines_.end() ? found->second.link : std::nullopt;
  }

  /// Letters and visits that wait.
  [[nodiscard]] std::size_t waiting() const {
    std::size_t result = 0;
    for (auto& [peer, it] : lines_) {
      result += it.open.letters + it.visits;
      for (auto& each : it.closed)
        result += each.letters;
    }
    return result;
  }

private:
  /// Letters in one parcel, or a visit.
  struct entry {
    lines::parcel_number number = 0;
    std::size_t letters = 0;
    std::size_t bytes = 0;
    std::size_t taken = 0;
    std::vector<lines::request> requests{};
    /// Of the requests to that peer up to here.
    std::uint64_t highest = 0;
    std::optional<std::uint64_t> visit{};
    bool holds = false;

    [[nodiscard]] bool empty() const {
      return letters == 0;
    }
  };

  struct line {
    explicit line(std::size_t window_bytes) : window(window_bytes) {}

    std::optional<lines::link_number> link{};
    link_window window;
    /// Marks that the peer is to say that it has.
    std::deque<std::uint64_t> marks{};
    /// Goes at the end of the turn, or when there is room.
    entry open{};
    /// What waits for the link, or for room on it, before the open parcel.
    std::deque<entry> closed{};
    /// Among these.
    std::size_t visits = 0;
    /// Of the requests enclosed so far.
    std::uint64_t highest = 0;
    bool wanted = false;
    /// A visit holds the link.
    bool held = false;
    /// Nothing may be sent until the link ends or stays after all.
    bool rests = false;
    time_point used = time_point::min();

    [[nodiscard]] bool empty() const {
      return closed.empty() && open.empty();
    }
  };

  using lines_map = std::map<node_id, line>;

  // -- letters -------------------------------------------------------------------------

  void handle(time_point now, const lines::enclosed& what, effects& out) {
    auto& it = line_of(what.peer);
    if (it.open.empty()) {
      it.open.number = ++last_parcel_;
      it.open.highest = it.highest;
      outgoing_.push_back(what.peer);
    }
    ++it.open.letters;
    it.open.bytes += what.bytes;
    it.open.taken += what.taken;
    if (what.request != 0) {
      assert(what.request > it.highest);
      it.highest = it.open.highest = what.request;
      it.open.requests.push_back({what.request, what.bytes, what.taken});
    }
    want(what.peer, it, out);
    if (++in_turn_ >= options_.max_turn_letters)
      flush_all(now, out); // also to peers to whom there is less to say
    else if (!std::exchange(turn_awaited_, true))
      out.emplace_back(lines::await_turn{});
  }

  void handle(time_point now, const lines::parcel_full& what, effects& out) {
    auto found = find(what.peer);
    if (found == lines_.end())
      return;
    close_parcel(found->second);
    flush(now, what.peer, found->second, out);
  }

  void handle(time_point now, const lines::turn_over&, effects& out) {
    turn_awaited_ = false;
    flush_all(now, out);
  }

  void handle(time_point now, const lines::withdrawn& what, effects& out) {
    auto found = find(what.peer);
    if (found == lines_.end())
      return;
    auto& it = found->second;
    auto where = std::ranges::lower_bound(it.closed, what.request, {}, &entry::highest);
    auto& among = where != it.closed.end() ? *where : it.open;
    auto which
      = std::ranges::lower_bound(among.requests, what.request, {}, &lines::request::number);
    if (which == among.requests.end() || which->number != what.request)
      return; // it has gone out
    if (among.visit) {
      out.emplace_back(lines::turn_away{
        what.peer, *among.visit, {errc::timed_out, "the request ended before there was a link"}});
      --it.visits;
      it.closed.erase(where);
      return;
    }
    out.emplace_back(
      lines::cut{what.peer, among.number, what.request, which->taken, among.letters == 1});
    --among.letters;
    among.bytes -= which->bytes;
    among.taken -= which->taken;
    among.requests.erase(which);
    if (!among.empty() || where == it.closed.end())
      return;
    it.closed.erase(where);
    flush(now, what.peer, it, out); // a visit behind it needs no room
  }

  void handle(time_point now, const lines::visit& what, effects& out) {
    auto& it = line_of(what.peer);
    if (it.visits >= options_.max_visits) {
      out.emplace_back(lines::turn_away{what.peer, what.number, too_many_visits(what.peer)});
      return;
    }
    close_parcel(it);
    entry made{.visit = what.number, .holds = what.holds};
    if (what.request != 0) {
      assert(what.request > it.highest);
      it.highest = what.request;
      made.requests.push_back({what.request, 0, 0});
    }
    made.highest = it.highest;
    it.closed.push_back(std::move(made));
    ++it.visits;
    want(what.peer, it, out);
    flush(now, what.peer, it, out);
  }

  // -- links ---------------------------------------------------------------------------

  void handle(time_point now, const lines::link_up& what, effects& out) {
    auto& it = line_of(what.peer);
    if (it.link == what.link)
      return;
    if (it.link)
      lose(now, what.peer, it, out);
    it.link = what.link;
    it.window.link_up();
    it.wanted = false;
    step_idle(now, idle::linked{what.peer}, out);
    flush(now, what.peer, it, out);
  }

  void handle(time_point now, const lines::link_down& what, effects& out) {
    auto found = find(what.peer);
    if (found == lines_.end() || found->second.link != what.link)
      return; // another link has taken its place
    lose(now, what.peer, found->second, out);
    look_for_next(found, out);
  }

  void handle(time_point now, const lines::link_missed& what, effects& out) {
    auto found = find(what.peer);
    if (found == lines_.end())
      return;
    if (found->second.link)
      lose(now, what.peer, found->second, out);
    found->second.wanted = false;
    look_for_next(found, out);
  }

  void handle(time_point, const lines::link_failed& what, effects& out) {
    auto found = find(what.peer);
    if (found == lines_.end() || found->second.link)
      return;
    close_parcel(found->second);
    for (auto& each : found->second.closed)
      if (each.visit)
        out.emplace_back(lines::turn_away{what.peer, *each.visit, what.why});
      else
        out.emplace_back(lines::refuse{what.peer, each.number, each.letters, each.taken,
                                       std::move(each.requests), what.why});
    forget(found);
  }

  void handle(time_point now, const lines::link_full& what, effects& out) {
    auto* it = line_over(what.peer, what.link);
    if (it == nullptr)
      return;
    it->window.hold(what.is_full);
    flush(now, what.peer, *it, out);
  }

  void handle(time_point now, const lines::received& what, effects& out) {
    auto* it = line_over(what.peer, what.link);
    if (it == nullptr || std::ranges::find(it->marks, what.mark) == it->marks.end())
      return;
    for (auto is_last = false; !is_last; it->marks.pop_front()) {
      is_last = it->marks.front() == what.mark;
      it->window.received();
    }
    flush(now, what.peer, *it, out);
  }

  /// What was sent over its link has an unknown fate; what waits goes on waiting.
  void lose(time_point now, const node_id& peer, line& it, effects& out) {
    out.emplace_back(lines::lost{peer, *it.link, link_lost(peer)});
    it.link.reset();
    it.window.link_down();
    it.marks.clear();
    it.rests = it.held = false;
    step_idle(now, idle::unlinked{peer}, out);
  }

  void look_for_next(lines_map::iterator which, effects& out) {
    if (which->second.empty())
      forget(which);
    else
      want(which->first, which->second, out);
  }

  void want(const node_id& peer, line& it, effects& out) {
    if (!it.link && !std::exchange(it.wanted, true))
      out.emplace_back(lines::want_link{peer});
  }

  // -- what goes out -------------------------------------------------------------------

  /// Puts the open parcel at the end of the line.
  static void close_parcel(line& it) {
    if (!it.open.empty())
      it.closed.push_back(std::exchange(it.open, {}));
  }

  void flush_all(time_point now, effects& out) {
    in_turn_ = 0;
    for (auto& peer : outgoing_)
      if (auto found = find(peer); found != lines_.end())
        flush(now, peer, found->second, out);
    outgoing_.clear();
  }

  /// Sends what waits for a peer, as far as there is room.
  void flush(time_point now, const node_id& peer, line& it, effects& out) {
    if (!it.link || it.rests)
      return;
    while (!it.closed.empty()) {
      auto& next = it.closed.front();
      if (!next.visit && !it.window.has_room())
        return;
      if (next.visit) {
        it.used = now;
        it.held = it.held || next.holds;
        --it.visits;
        out.emplace_back(lines::admit{peer, *it.link, *next.visit});
      } else {
        release(now, peer, it, next, out);
      }
      it.closed.pop_front();
    }
    if (!it.open.empty() && it.window.has_room()) {
      release(now, peer, it, it.open, out);
      it.open = {};
    }
  }

  void release(time_point now, const node_id& peer, line& it, entry& what, effects& out) {
    it.used = now;
    std::optional<std::uint64_t> mark;
    if (it.window.send(what.bytes))
      it.marks.push_back(*(mark = ++last_mark_));
    out.emplace_back(lines::send{peer, *it.link, what.number, what.letters, what.taken,
                                 std::move(what.requests), mark});
  }

  // -- links that nobody uses ----------------------------------------------------------

  void handle(time_point now, const lines::used& what, effects&) {
    if (auto found = find(what.peer); found != lines_.end())
      found->second.used = now;
  }

  void handle(time_point now, const lines::keep_links& what, effects& out) {
    step_idle(now, idle::keep{what.all, what.peers}, out);
  }

  void handle(time_point now, const lines::rest_asked& what, effects& out) {
    if (line_over(what.peer, what.link) == nullptr) {
      out.emplace_back(lines::answer_rest{what.peer, false});
      return;
    }
    tell_uses(now);
    step_idle(now, idle::asked{what.peer}, out);
  }

  void handle(time_point now, const lines::rest_answered& what, effects& out) {
    if (line_over(what.peer, what.link) != nullptr)
      step_idle(now, idle::answered{what.peer, what.agrees}, out);
  }

  void step_idle(time_point now, const idle::event& what, effects& out) {
    if (is_due(now))
      tell_uses(now);
    idle_.step(now, what, idle_out_);
    carry_out(now, out);
  }

  [[nodiscard]] bool is_due(time_point now) const {
    auto next = idle_.next_deadline();
    return next && *next <= now;
  }

  /// Links are looked at when one of them may have been idle for long, not at each letter.
  void tell_uses(time_point now) {
    for (auto& [peer, it] : lines_) {
      auto busy = it.held || !it.empty() || it.window.awaits_word();
      idle_.step(now, idle::used{peer, busy ? now : it.used}, idle_out_);
    }
  }

  void carry_out(time_point now, effects& out) {
    for (auto& what : idle_out_)
      troupe::visit([&](const auto& each) { perform(now, each, out); }, what);
    idle_out_.clear();
  }

  void perform(time_point now, const idle::ask& what, effects& out) {
    auto* it = linked_line(what.peer);
    if (it == nullptr)
      return;
    flush(now, what.peer, *it, out);
    it->rests = true;
    out.emplace_back(lines::ask_to_rest{what.peer, *it->link});
  }

  void perform(time_point now, const idle::answer& what, effects& out) {
    if (auto* it = linked_line(what.peer); it != nullptr && what.agrees) {
      flush(now, what.peer, *it, out);
      it->rests = true;
    }
    out.emplace_back(lines::answer_rest{what.peer, what.agrees});
  }

  void perform(time_point, const idle::close& what, effects& out) {
    if (auto* it = linked_line(what.peer))
      out.emplace_back(lines::close{what.peer, *it->link});
  }

  void perform(time_point now, const idle::go_on& what, effects& out) {
    if (auto* it = linked_line(what.peer)) {
      it->rests = false;
      flush(now, what.peer, *it, out);
    }
  }

  // -- lines ---------------------------------------------------------------------------

  line& line_of(const node_id& peer) {
    auto found = find(peer);
    if (found == lines_.end())
      found = recent_ = lines_.try_emplace(peer, options_.window_bytes).first;
    return found->second;
  }

  /// Most letters are for the peer of the letter before.
  lines_map::iterator find(const node_id& peer) {
    if (recent_ == lines_.end() || recent_->first != peer)
      recent_ = lines_.find(peer);
    return recent_;
  }

  void forget(lines_map::iterator which) {
    recent_ = lines_.end();
    lines_.erase(which);
  }

  /// Null if it has no link.
  line* linked_line(const node_id& peer) {
    auto found = find(peer);
    return found != lines_.end() && found->second.link ? &found->second : nullptr;
  }

  /// Null if it has another link, or none.
  line* line_over(const node_id& peer, lines::link_number link) {
    auto* it = linked_line(peer);
    return it != nullptr && it->link == link ? it : nullptr;
  }

  // -- refusals ------------------------------------------------------------------------

  static problem link_lost(const node_id& peer) {
    return {errc::outcome_unknown, "the link to node " + to_string(peer)
                                     + " was lost before the answer; the agent may have got the "
                                       "request"};
  }

  [[nodiscard]] problem too_many_visits(const node_id& peer) const {
    return {errc::limit_reached, std::to_string(options_.max_visits)
                                   + " callers wait for a link to node " + to_string(peer)
                                   + "; retry with backoff or raise router_options::max_pending"};
  }

  lines::options options_;
  lines_map lines_;
  lines_map::iterator recent_ = lines_.end();
  /// Peers that may have an open parcel, in the order of their first letters. Stale and repeated
  /// ones are harmless.
  std::vector<node_id> outgoing_;
  lines::parcel_number last_parcel_ = 0;
  std::uint64_t last_mark_ = 0;
  /// Letters since all were sent.
  std::size_t in_turn_ = 0;
  /// Whether await_turn has no turn_over yet.
  bool turn_awaited_ = false;
  idle_links idle_;
  idle_links::effects idle_out_;
};

} // namespace troupe::router
