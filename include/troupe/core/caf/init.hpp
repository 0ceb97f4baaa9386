#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "caf/init_global_meta_objects.hpp"
#include "caf/type_id.hpp"

namespace troupe {

/// Registers the messages of the given blocks, in any order. Call once, first thing in
/// main, before any actor_system. CAF 0.18.7 aborts when a later block starts below an
/// earlier one and ends above it, hence the sorting.
template <class... Blocks>
void init_messages() {
  using registration = std::pair<caf::type_id_t, void (*)()>;
  std::array<registration, sizeof...(Blocks)> all{
    registration{Blocks::begin, [] { caf::init_global_meta_objects<Blocks>(); }}...};
  std::ranges::sort(all);
  caf::core::init_global_meta_objects();
  for (auto& [begin, add] : all)
    add();
}

} // namespace troupe
