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

#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/version.hpp"

/// What two processes say to each other before anything else: who they are, and
/// whether this connection becomes the link between them. The dialler says hello, the
/// acceptor answers, the dialler commits; only then both enter BASP.
namespace troupe::net {

/// What a process is to its peers: one of the cluster, or somebody who asks it for
/// something. A client has one link and is no member.
enum class role : std::uint8_t { member = 0, client = 1 };

/// What a process says of itself.
struct hello {
  role as = role::member;
  /// All zero: "I have no cluster, I take yours".
  cluster_id cluster{};
  node_id node{};
  boot_number boot = 0;
  wire_range wire = wire_versions;
  /// The number of the actor that takes what peers have to say.
  std::uint64_t entry_point = 0;
  /// It sends something at least as often.
  duration heartbeat = std::chrono::milliseconds{500};
  /// Its node id in BASP, as CAF serializes it.
  std::string basp_node;
  /// For people; what counts is `wire`.
  release_version release = library_version;

  friend bool operator==(const hello&, const hello&) = default;
};

/// What the acceptor says to a hello; `go` reserves the place for this connection.
/// Below 128 they travel: append, never reorder. From 128 on they are what a dialler
/// finds out by itself.
enum class verdict : std::uint8_t {
  go = 0,
  foreign = 1,      ///< of another cluster
  no_cluster = 2,   ///< the acceptor has none itself
  incompatible = 3, ///< no common version of the wire
  myself = 4,       ///< this is the dialler's own address
  duplicate = 5,    ///< another process with this identity is alive
  old_boot = 6,     ///< a later life of this identity has been seen
  linked = 7,       ///< there is a link already
  greeting = 8,     ///< another connection of the dialler's is being greeted
  dialling = 9,     ///< the acceptor dials the dialler, and its id is smaller
  full = 10,        ///< no room for another link

  unreachable = 128,  ///< no connection
  timed_out = 129,    ///< no greeting in time
  closed = 130,       ///< the connection ended before it was a link
  bad_greeting = 131, ///< what came was no greeting of ours
  wrong_node = 132,   ///< not the node that was expected there
  crossed = 133,      ///< both dialled; the other connection is kept
  displaced = 134,    ///< an unfinished connection gave way to a newer one
  stopped = 135,      ///< this node is stopping
};

struct answer {
  verdict said = verdict::go;
  hello from;
  /// With old_boot: the boot of the dialler's identity that was heard of, unless a process with
  /// that lives; else zero. The dialler's folder may have been restored: it goes above.
  boot_number heard = 0;

  friend bool operator==(const answer&, const answer&) = default;
};

/// "Both said go, and I have chosen this connection."
struct commit {
  friend bool operator==(const commit&, const commit&) = default;
};

using greeting = std::variant<hello, answer, commit>;

// -- wire form ----------------------------------------------------------------------

/// How far above the last one heard of a boot is believed: that many starts nobody misses, and a
/// claim beyond leaves no room to go above it.
inline constexpr boot_number max_boot_jump = 1'000'000;

/// No greeting is longer, head included.
inline constexpr std::size_t max_greeting_bytes = 256;

/// Magic "TRL", then the number of bytes that follow.
inline constexpr std::size_t greeting_head_bytes = 4;
inline constexpr std::string_view greeting_magic = "TRL";

inline constexpr std::size_t max_basp_node_bytes = 64;

/// Beyond these a heartbeat tells nothing.
inline constexpr duration min_heartbeat = std::chrono::milliseconds{10};
inline constexpr duration max_heartbeat = std::chrono::minutes{1};

template <class Inspector>
bool inspect(Inspector& f, hello& x) {
  return f.object(x).fields(f.field("as", x.as), f.field("cluster", x.cluster),
                            f.field("node", x.node), f.field("boot", x.boot),
                            f.field("wire", x.wire), f.field("entry_point", x.entry_point),
                            f.field("heartbeat", x.heartbeat), f.field("basp_node", x.basp_node),
                            f.field("release", x.release));
}

template <class Inspector>
bool inspect(Inspector& f, answer& x) {
  return f.object(x).fields(f.field("said", x.said), f.field("from", x.from),
                            f.field("heard", x.heard));
}

template <class Inspector>
bool inspect(Inspector& f, commit& x) {
  return f.object(x).fields();
}

/// Returns whether `said` is one that this version could mean.
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

/// Returns how many bytes follow a head, nothing if `head` is not one of ours. A peer
/// that is no troupe node is found out here, four bytes in.
inline std::optional<std::size_t> body_bytes(std::string_view head) {
  if (head.size() != greeting_head_bytes || !head.starts_with(greeting_magic))
    return std::nullopt;
  auto size = static_cast<std::size_t>(static_cast<unsigned char>(head.back()));
  if (size == 0 || greeting_head_bytes + size > max_greeting_bytes)
    return std::nullopt;
  return size;
}

/// Returns what the bytes after a head say, nothing if they are no greeting. Fields that
/// a later version has added are skipped.
inline std::optional<greeting> from_wire(std::string_view body) {
  auto said = from_bytes<greeting>(body);
  if (!said)
    return std::nullopt;
  if (auto* first = std::get_if<hello>(&*said); first != nullptr && !is_plausible(*first))
    return std::nullopt;
  if (auto* second = std::get_if<answer>(&*said);
      second != nullptr && (!is_plausible(second->from) || second->said >= verdict::unreachable))
    return std::nullopt;
  return said;
}

} // namespace troupe::net
