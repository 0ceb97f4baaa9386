#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "caf/init_global_meta_objects.hpp"
#include "caf/type_id.hpp"

namespace troupe {

/// The blocks of type IDs that a program uses, in any order. CAF 0.18.7 aborts when a
/// later block starts below an earlier one and ends above it, so init() sorts them.
class message_blocks {
public:
  template <class Block>
  void add() {
    blocks_.emplace_back(Block::begin, [] { caf::init_global_meta_objects<Block>(); });
  }

  /// Registers them all. Call once, before any actor_system.
  void init() {
    std::ranges::sort(blocks_);
    caf::core::init_global_meta_objects();
    for (auto& [begin, add_to_caf] : blocks_)
      add_to_caf();
  }

private:
  std::vector<std::pair<caf::type_id_t, void (*)()>> blocks_;
};

/// Registers the messages of the given blocks. Call once, first thing in main.
template <class... Blocks>
void init_messages() {
  message_blocks list;
  (list.add<Blocks>(), ...);
  list.init();
}

} // namespace troupe
