#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/record_set.hpp"

/// What the members of a cluster tell each other of who is there.
namespace troupe::cluster {

/// Which life of a node, and how often it has contradicted a rumour in that life. The later one is
/// right.
struct incarnation {
  boot_number boot = 0;
  std::uint32_t refutation = 0;

  friend auto operator<=>(const incarnation&, const incarnation&) = default;

  TROUPE_FIELDS(incarnation, boot, refutation);
};

/// How a member stands. The numbers go over the wire.
enum class member_status : std::uint8_t {
  alive = 0,
  /// It has not answered, and may contradict.
  suspect = 1,
  /// Nobody has heard it contradict in time.
  dead = 2,
  /// It has said that it leaves.
  left = 3,
};

constexpr std::string_view name_of(member_status state) noexcept {
  switch (state) {
    case member_status::alive:
      return "alive";
    case member_status::suspect:
      return "suspect";
    case member_status::dead:
      return "dead";
    case member_status::left:
      return "left";
  }
  return "unknown";
}

/// Whether members say so of a node that has not said it itself.
constexpr bool may_be_gone(member_status state) noexcept {
  return state == member_status::suspect || state == member_status::dead;
}

/// The longest address that a member may have, in bytes: a host name of DNS, brackets and a port. A
/// page of rumours is of no use if it is larger than what the other side reads.
inline constexpr std::size_t max_member_address = 253 + 2 + 6;

/// What a node says of itself.
struct statement {
  node_id node{};
  incarnation when{};
  bool leaves = false;
  /// Where datagrams reach it: "host:port". At most max_member_address.
  std::string address{};
  /// What it says of itself, its agents and its services, in short.
  registry::records_head records{};

  friend bool operator==(const statement&, const statement&) = default;

  TROUPE_FIELDS(statement, node, when, leaves, address, records);
};

/// The bytes that a node signs. Nothing else that it signs begins as they do.
inline std::string to_be_signed(const statement& what) {
  return "troupe.swim.statement\n" + to_bytes(what);
}

struct signed_statement {
  statement what{};
  signature by{};

  friend bool operator==(const signed_statement&, const signed_statement&) = default;

  TROUPE_FIELDS(signed_statement, what, by);
};

// -- rumours -----------------------------------------------------------------------------------

/// A node says this of itself: it is alive, or leaves.
struct told_itself {
  signed_statement what{};

  friend bool operator==(const told_itself&, const told_itself&) = default;

  TROUPE_FIELDS(told_itself, what);
};

/// `by` says that it does not hear that life of `node`. Nobody signs it: `node` can contradict.
struct accusation {
  node_id node{};
  incarnation when{};
  node_id by{};
  /// It had its time to contradict.
  bool is_dead = false;

  friend bool operator==(const accusation&, const accusation&) = default;

  TROUPE_FIELDS(accusation, node, when, by, is_dead);
};

/// A member that is dead, and for how long it is, as whoever says so has seen it. Only comparisons
/// have it.
struct past_death {
  accusation what{};
  duration gone_for{};

  friend bool operator==(const past_death&, const past_death&) = default;

  TROUPE_FIELDS(past_death, what, gone_for);
};

using rumour = std::variant<told_itself, accusation, past_death>;

inline const node_id& subject_of(const told_itself& what) {
  return what.what.what.node;
}

inline const node_id& subject_of(const accusation& what) {
  return what.node;
}

inline const node_id& subject_of(const past_death& what) {
  return what.what.node;
}

inline const node_id& subject_of(const rumour& what) {
  return troupe::visit([](auto& each) -> const node_id& { return subject_of(each); }, what);
}

// -- mail --------------------------------------------------------------------------------------

/// Rumours alone.
struct swim_news {
  TROUPE_FIELDS(swim_news);
};

/// Answer with swim_ack of that number.
struct swim_ping {
  std::uint32_t number = 0;

  TROUPE_FIELDS(swim_ping, number);
};

/// Ping `whom`, and tell what comes of it: swim_ack, or swim_nack if it does not answer in time.
struct swim_ping_request {
  std::uint32_t number = 0;
  node_id whom{};

  TROUPE_FIELDS(swim_ping_request, number, whom);
};

struct swim_ack {
  std::uint32_t number = 0;

  TROUPE_FIELDS(swim_ack, number);
};

struct swim_nack {
  std::uint32_t number = 0;

  TROUPE_FIELDS(swim_nack, number);
};

/// One datagram: at most one question or answer, and rumours.
struct swim_mail {
  using subject = std::variant<swim_news, swim_ping, swim_ping_request, swim_ack, swim_nack>;

  subject what{};
  std::vector<rumour> rumours{};
  /// Who is there as its sender sees it, in short: see membership::digest(). Zero: it does not say.
  std::uint64_t digest = 0;

  TROUPE_FIELDS(swim_mail, what, rumours, digest);
};

} // namespace troupe::cluster
