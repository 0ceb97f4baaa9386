#pragma once

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "troupe/core/checksum.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/version.hpp"
#include "troupe/security/types.hpp"

/// What two processes exchange before anything else: who they are, and whether this connection
/// becomes the link between them. The dialler sends hello, the acceptor answers, the dialler
/// commits; only then do both enter BASP. Or the dialler asks the acceptor to relay the connection,
/// or how it is to found a cluster with it.
namespace troupe::net {

using security::role;

/// How a process introduces itself.
struct hello {
  role as = role::member;
  /// All zero: "I have no cluster, I take yours".
  cluster_id cluster{};
  node_id node{};
  boot_number boot = 0;
  wire_range wire = wire_versions;
  /// The number of the actor that receives the messages of peers.
  std::uint64_t entry_point = 0;
  /// The longest time between two messages that it sends.
  duration heartbeat = std::chrono::milliseconds{500};
  /// Its node id in BASP, as CAF serializes it.
  std::string basp_node;
  /// For people; only `wire` decides.
  release_version release = library_version;

  friend bool operator==(const hello&, const hello&) = default;

  TROUPE_FIELDS(hello, as, cluster, node, boot, wire, entry_point, heartbeat, basp_node, release);
};

/// The acceptor's answer to a hello; `go` reserves the place for this connection. Values below 128
/// are sent: append, never reorder. Values from 128 on are results that the dialler finds itself.
enum class verdict : std::uint8_t {
  go = 0,
  foreign = 1,      ///< the two are of different clusters
  no_cluster = 2,   ///< the acceptor has no cluster itself
  incompatible = 3, ///< no common version of the wire
  myself = 4,       ///< this is the dialler's own address
  duplicate = 5,    ///< another process with this identity is alive
  old_boot = 6,     ///< a later life of this identity has been seen
  linked = 7,       ///< there is a link already
  greeting = 8,     ///< another connection of the dialler's is being greeted
  dialling = 9,     ///< the acceptor dials the dialler, and its id is smaller
  full = 10,        ///< no room for another link
  unproven = 11,    ///< the id or the role is not the one that the certificate proves
  no_relay = 12,    ///< the acceptor does not relay there, or cannot reach it

  unreachable = 128,  ///< no connection
  timed_out = 129,    ///< no greeting in time
  closed = 130,       ///< the connection ended before it was a link
  bad_greeting = 131, ///< the bytes received are not a greeting of ours
  wrong_node = 132,   ///< not the node that was expected there
  crossed = 133,      ///< both dialled; the other connection is kept
  displaced = 134,    ///< an unfinished connection gave way to a newer one
  stopped = 135,      ///< this node is stopping
  not_secured = 136,  ///< encryption failed, or the other side did not prove who it is
  admitted = 137,     ///< no link was wanted, but a certificate, and it was given
  not_admitted = 138, ///< the same, and it was refused
  denied = 139,       ///< a node that has proven who it is refused this side's certificate
  encrypted = 140,    ///< the other side has certificates, and this one has none
  asked = 141,        ///< no link was wanted, but an answer, and it was given
};

struct answer {
  verdict said = verdict::go;
  hello from;
  /// With old_boot: the highest known boot number of the dialler's identity, or zero if a process
  /// with that number is alive; else zero. The dialler's folder may have been restored: it
  /// continues with a higher number.
  boot_number heard = 0;

  friend bool operator==(const answer&, const answer&) = default;

  TROUPE_FIELDS(answer, said, from, heard);
};

/// "Both said go, and I have chosen this connection."
struct commit {
  friend bool operator==(const commit&, const commit&) = default;

  TROUPE_FIELDS(commit);
};

/// Stands for an address in a greeting, which has no room for a long one.
using place_mark = std::uint32_t;

/// @pre `where` is "HOST:PORT", as the acceptor has named it.
inline place_mark mark_of(std::string_view where) {
  return crc32c(where);
}

/// Said by the dialler instead of hello: "I cannot reach the node of the services, relay this
/// connection to it". After the answer go the dialler begins anew, with encryption, and greets the
/// node at the other end; the acceptor only moves bytes.
struct relay_request {
  cluster_id cluster{};
  /// Where the acceptor has said that the services are.
  place_mark to = 0;

  friend bool operator==(const relay_request&, const relay_request&) = default;

  TROUPE_FIELDS(relay_request, cluster, to);
};

/// What a node without a cluster says of itself to others that are to found one with it. Its rules
/// are those of cluster::bootstrap.
struct founding_word {
  node_id node{};
  boot_number boot = 0;
  /// Drawn at each start.
  std::uint64_t process = 0;
  /// How many nodes it waits for, itself included; zero: it joins a cluster.
  std::uint32_t expect = 0;
  /// How many it hears of, itself included.
  std::uint32_t sees = 0;
  /// The node that is to found the cluster; zero: not known.
  node_id candidate{};
  /// It asks to be promised that nobody founds one without it, in `round`.
  bool asks = false;
  /// It has given up all rounds below.
  std::uint64_t round = 0;
  /// Whom it has promised that, and for which round; zero: no node.
  node_id promised{};
  std::uint64_t promised_round = 0;

  friend bool operator==(const founding_word&, const founding_word&) = default;

  TROUPE_FIELDS(founding_word, node, boot, process, expect, sees, candidate, asks, round, promised,
                promised_round);
};

/// Said by the dialler instead of hello: no link is wanted, but an answer. The connection ends with
/// it.
struct bootstrap_request {
  wire_range wire = wire_versions;
  founding_word from{};

  friend bool operator==(const bootstrap_request&, const bootstrap_request&) = default;

  TROUPE_FIELDS(bootstrap_request, wire, from);
};

struct bootstrap_answer {
  verdict said = verdict::go;
  /// All zero: it has no cluster, and `from` is its word. Else only `from.node` is set.
  cluster_id cluster{};
  founding_word from{};

  friend bool operator==(const bootstrap_answer&, const bootstrap_answer&) = default;

  TROUPE_FIELDS(bootstrap_answer, said, cluster, from);
};

using greeting
  = std::variant<hello, answer, commit, relay_request, bootstrap_request, bootstrap_answer>;

// -- wire form ----------------------------------------------------------------------

/// The longest greeting, head included.
inline constexpr std::size_t max_greeting_bytes = 256;

/// Magic "TRL", then the number of bytes that follow.
inline constexpr std::size_t greeting_head_bytes = 4;
inline constexpr std::string_view greeting_magic = "TRL";

inline constexpr std::size_t max_basp_node_bytes = 64;

/// The bounds of a plausible heartbeat. Two of the longest are how long a peer may be silent, at
/// most, whatever it says.
inline constexpr duration min_heartbeat = std::chrono::milliseconds{10};
inline constexpr duration max_heartbeat = std::chrono::seconds{15};

/// Returns whether `said` is a hello that this version could send.
inline bool is_plausible(const hello& said) {
  return (said.as == role::member || said.as == role::client) && said.node != node_id{}
         && said.wire.oldest <= said.wire.newest && said.heartbeat >= min_heartbeat
         && said.heartbeat <= max_heartbeat && !said.basp_node.empty()
         && said.basp_node.size() <= max_basp_node_bytes;
}

/// @pre every hello in `said` is plausible.
inline std::string to_wire(const greeting& said) {
  auto body = to_bytes(said);
  assert(greeting_head_bytes + body.size() <= max_greeting_bytes);
  return std::string{greeting_magic} + static_cast<char>(body.size()) + body;
}

/// Returns how many bytes follow a head, nothing if `head` is not one of ours. So a peer that is
/// not a troupe node is detected after four bytes.
inline std::optional<std::size_t> body_bytes(std::string_view head) {
  if (head.size() != greeting_head_bytes || !head.starts_with(greeting_magic))
    return std::nullopt;
  auto size = static_cast<std::size_t>(static_cast<unsigned char>(head.back()));
  if (size == 0 || greeting_head_bytes + size > max_greeting_bytes)
    return std::nullopt;
  return size;
}

/// Decodes the bytes after a head; nothing if they are not a greeting. Fields that a later version
/// has added are skipped.
inline std::optional<greeting> from_wire(std::string_view body) {
  auto said = from_bytes<greeting>(body);
  if (!said)
    return std::nullopt;
  if (auto* first = std::get_if<hello>(&*said); first != nullptr && !is_plausible(*first))
    return std::nullopt;
  if (auto* second = std::get_if<answer>(&*said);
      second != nullptr && (!is_plausible(second->from) || second->said >= verdict::unreachable))
    return std::nullopt;
  if (auto* third = std::get_if<bootstrap_answer>(&*said);
      third != nullptr && third->said >= verdict::unreachable)
    return std::nullopt;
  return said;
}

} // namespace troupe::net
