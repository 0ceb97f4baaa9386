#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "troupe/cluster/suspicion.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/rolling_hash.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// What a node knows of one member of its cluster.
struct known_member {
  public_key key{};
  /// What it has said last.
  signed_statement told{};
  member_status is = member_status::alive;
  /// Who has accused it last.
  node_id by{};
  /// While it is a suspect.
  std::optional<suspicion> doubts{};
  time_point dead_at{};
  /// Since when it is dead, or has left.
  time_point gone{};
  /// When it was asked last whether it is back, as it had left and has written since.
  time_point asked{};
  /// What it adds to the digest of who is there.
  std::uint64_t part = 0;
  /// The digest that it has written last, and when.
  std::uint64_t digest = 0;
  time_point digest_at{};

  /// Whether it takes part, as far as anybody knows: a suspect does.
  [[nodiscard]] bool is_here() const {
    return is == member_status::alive || is == member_status::suspect;
  }

  /// Whether somebody says that it does not hear it, and it has not contradicted.
  [[nodiscard]] bool is_accused() const {
    return is == member_status::suspect || is == member_status::dead;
  }
};

/// All members but the node itself.
using known_members = std::map<node_id, known_member>;

/// What a member that is there adds to a digest of who is. Detects differences, not attackers.
inline std::uint64_t part_of_digest(const statement& what) {
  rolling_hash made;
  made.add({reinterpret_cast<const char*>(what.node.bytes.data()), node_id::size});
  auto life = random_source{made.value() ^ what.when.boot}.next();
  return random_source{life ^ what.when.refutation}.next();
}

/// @pre it is accused
inline accusation accusation_of(const known_members::value_type& who) {
  auto& [node, known] = who;
  return {node, known.told.what.when, known.by, known.is == member_status::dead};
}

} // namespace troupe::cluster
