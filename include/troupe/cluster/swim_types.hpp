#pragma once

#include <chrono>
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

/// What a node says of itself.
struct statement {
  node_id node{};
  incarnation when{};
  bool leaves = false;
  /// Where datagrams reach it: "host:port".
  std::string address{};

  friend bool operator==(const statement&, const statement&) = default;

  TROUPE_FIELDS(statement, node, when, leaves, address);
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

using rumour = std::variant<told_itself, accusation>;

inline const node_id& subject_of(const rumour& what) {
  auto* itself = std::get_if<told_itself>(&what);
  return itself != nullptr ? itself->what.what.node : std::get<accusation>(what).node;
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

  TROUPE_FIELDS(swim_mail, what, rumours);
};

// -- options -----------------------------------------------------------------------------------

/// Times and bounds of a `swim`.
struct swim_options {
  /// One member is pinged in each.
  duration period = std::chrono::seconds{1};
  /// How long to wait for the answer before others are asked to ping it.
  duration answer_within = std::chrono::milliseconds{500};
  /// How many others are asked.
  std::size_t helpers = 3;
  /// Periods that a suspect has to contradict, for each power of ten of members, once as many
  /// others agree as `accusers` says; at least this many.
  std::uint32_t least_suspicion = 2;
  /// How many times longer it has while nobody agrees. 1: no longer.
  std::uint32_t longest_suspicion = 3;
  /// How many others have to agree before a suspect has the least time.
  std::size_t accusers = 3;
  /// How many times slower a node becomes that has reason to doubt its own hearing. 0: it never
  /// has.
  std::uint32_t most_doubt = 8;
  /// Suspects hear of it with each ping, rather than by chance.
  bool tells_suspects = true;
  /// How often news goes to others while there is some.
  duration news_every = std::chrono::milliseconds{200};
  /// To how many it goes each time.
  std::size_t news_to = 3;
  /// How often each member passes on a rumour, beyond the power of two of members. Drawn at random,
  /// n members miss one with a probability of about n * e^-(times).
  std::uint32_t repeats = 7;
  /// How often all is compared with one other member. Above 32 members the span grows with the
  /// power of two.
  duration sync_every = std::chrono::seconds{30};
  /// How often one of those that are gone is tried: so the two sides of a long partition find each
  /// other again.
  duration revisit_every = std::chrono::seconds{30};
  /// Those that are gone are forgotten after this.
  duration keep_gone = std::chrono::hours{24};
  /// Further members are not taken in.
  std::size_t max_members = 10'000;
  /// Bytes of one mail, encoded.
  std::size_t max_mail = 1'100;
  /// Pings under way for others; the oldest gives way.
  std::size_t max_errands = 1'000;
  /// Strangers about whom somebody was asked and has not answered; further ones wait for the next
  /// comparison.
  std::size_t max_strangers = 1'000;

  /// For nodes of one room.
  static swim_options lan() {
    swim_options made;
    made.period = std::chrono::milliseconds{200};
    made.answer_within = std::chrono::milliseconds{100};
    made.news_every = std::chrono::milliseconds{100};
    return made;
  }
};

} // namespace troupe::cluster
