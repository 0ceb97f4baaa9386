#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/router/idle_links.hpp"

/// What peer_lines hears and says. Parcels, visits and requests stay with its host, by numbers.
namespace troupe::router::lines {

/// A link, as its node counts them: no two of one process have the same number.
using link_number = std::uint64_t;

/// Letters that go in one message.
using parcel_number = std::uint64_t;

/// Bounds of the lines of one router, made from its router_options.
struct options {
  /// When links are left to rest.
  idle_options idle{};
  /// See link_window.
  std::size_t window_bytes = 0;
  /// Letters to all peers after which all go, also before the turn is over.
  std::size_t max_turn_letters = 512; // as many as go in one bundle
  /// That wait for one peer; more are turned away.
  std::size_t max_visits = 100'000; // as many as requests, see router_options::max_pending
};

/// A letter in a parcel that may be withdrawn: a request, or one that may expire.
struct request {
  std::uint64_t number = 0;
  /// Of its letter in the parcel.
  std::size_t bytes = 0;
  /// That its letter was taken for, see fair_room.
  std::size_t taken = 0;

  friend bool operator==(const request&, const request&) = default;
};

// -- events -------------------------------------------------------------------------

/// A letter lies in parcel_for(peer). One that may be withdrawn has a number above all those before
/// it, as `request`; others have zero.
struct enclosed {
  node_id peer{};
  std::size_t bytes = 0;
  std::size_t taken = 0;
  std::uint64_t request = 0;
};

/// The parcel for that peer has no room for one more letter.
struct parcel_full {
  node_id peer{};
};

/// What await_turn asked for.
struct turn_over {};

/// Whoever asked has been told how the request ended, or the letter has expired. Harmless if it has
/// gone out.
struct withdrawn {
  node_id peer{};
  std::uint64_t request = 0;
};

/// Somebody wants to use the link itself, behind all that waits for it. If it `holds` the link,
/// that stays until it is lost. `request`: as in enclosed; `number`: of no other visit.
struct visit {
  node_id peer{};
  std::uint64_t number = 0;
  bool holds = false;
  std::uint64_t request = 0;
};

/// It takes the place of any other to that peer, whose end may be told only later.
struct link_up {
  node_id peer{};
  link_number link = 0;
};

struct link_down {
  node_id peer{};
  link_number link = 0;
};

/// A link has ended before it could be used, and any before it: word of their ends comes late, or
/// as that of others.
struct link_missed {
  node_id peer{};
};

/// There is no link and will be none for now.
struct link_failed {
  node_id peer{};
  problem why{};
};

/// Others have filled that link, or it has drained.
struct link_full {
  node_id peer{};
  link_number link = 0;
  bool is_full = false;
};

/// The peer has the parcel with that mark, and all before it.
struct received {
  node_id peer{};
  link_number link = 0;
  std::uint64_t mark = 0;
};

/// Something that the lines do not see needs the link: an answer is waited for, or a letter is on
/// its way to them.
struct used {
  node_id peer{};
};

/// From now on this side needs all its links, or those to these peers, used or not; and no others.
struct keep_links {
  bool all = false;
  std::set<node_id> peers{};
};

/// That peer wants to close its link. `link`: over which that was said, zero if over none: only the
/// router of the peer itself may stop what is sent to it.
struct rest_asked {
  node_id peer{};
  link_number link = 0;
};

/// What the peer said to ask_to_rest; false as well if it said nothing.
struct rest_answered {
  node_id peer{};
  link_number link = 0;
  bool agrees = false;
};

using event = std::variant<enclosed, parcel_full, turn_over, withdrawn, visit, link_up, link_down,
                           link_missed, link_failed, link_full, received, used, keep_links,
                           rest_asked, rest_answered>;

// -- effects ------------------------------------------------------------------------

/// Say turn_over once all is done that waits to be done now.
struct await_turn {};

/// Make a link; link_up, link_missed or link_failed follows.
struct want_link {
  node_id peer{};
};

/// The parcel goes out, with these requests in it. With a `mark` the peer is to say when it has it.
struct send {
  node_id peer{};
  link_number link = 0;
  parcel_number parcel = 0;
  std::size_t letters = 0;
  std::size_t taken = 0;
  std::vector<request> requests{};
  std::optional<std::uint64_t> mark{};
};

/// Takes a letter that was withdrawn out of its parcel; `is_last`: the parcel goes, too.
struct cut {
  node_id peer{};
  parcel_number parcel = 0;
  std::uint64_t request = 0;
  std::size_t taken = 0;
  bool is_last = false;
};

/// The parcel does not go out.
struct refuse {
  node_id peer{};
  parcel_number parcel = 0;
  std::size_t letters = 0;
  std::size_t taken = 0;
  std::vector<request> requests{};
  problem why{};
};

/// The visit has the link.
struct admit {
  node_id peer{};
  link_number link = 0;
  std::uint64_t visit = 0;
};

/// The visit gets none.
struct turn_away {
  node_id peer{};
  std::uint64_t visit = 0;
  problem why{};
};

/// Nothing comes over that link any more: fail what was sent over it and not answered.
struct lost {
  node_id peer{};
  link_number link = 0;
  problem why{};
};

/// Nothing is sent behind this question; rest_answered follows.
struct ask_to_rest {
  node_id peer{};
  link_number link = 0;
};

/// To rest_asked, at once. If this side agrees, nothing is sent behind the answer.
struct answer_rest {
  node_id peer{};
  bool agrees = false;
};

/// Neither side uses that link, and nothing is on the way.
struct close {
  node_id peer{};
  link_number link = 0;
};

using effect = std::variant<await_turn, want_link, send, cut, refuse, admit, turn_away, lost,
                            ask_to_rest, answer_rest, close>;

} // namespace troupe::router::lines
