#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "troupe/cluster/suspicion.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
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

/// @pre it is accused
inline accusation accusation_of(const known_members::value_type& who) {
  auto& [node, known] = who;
  return {node, known.told.what.when, known.by, known.is == member_status::dead};
}

} // namespace troupe::cluster
