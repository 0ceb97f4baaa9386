#pragma once

#include <utility>

#include "caf/init_global_meta_objects.hpp"
#include "caf/raise_error.hpp"
#include "caf/type_id.hpp"

namespace troupe {

/// Registers the messages of the given blocks. Call once, first thing in main,
/// before any actor_system. CAF 0.18.7 aborts when a later block starts below
/// an earlier one and ends above it, hence the check for ascending order.
template <class... Blocks>
void init_messages() {
  caf::type_id_t last = 0;
  auto ascending = [&last](caf::type_id_t begin) { return std::exchange(last, begin) < begin; };
  if (!(ascending(Blocks::begin) && ...))
    CAF_RAISE_ERROR("type-ID blocks must be given in ascending order");
  caf::core::init_global_meta_objects();
  (caf::init_global_meta_objects<Blocks>(), ...);
}

} // namespace troupe
