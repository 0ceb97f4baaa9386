#pragma once

#include "troupe/core/caf/init.hpp"
#include "troupe/core/compiled.hpp"

namespace troupe {

namespace detail {

/// Gives all blocks of troupe to `list`.
TROUPE_COMPILED void list_blocks(message_blocks& list);

} // namespace detail

/// Registers the messages of troupe and of the application. Call once, first thing in
/// main, before any actor_system_config is made; without it CAF crashes at the first
/// message that leaves the process. Blocks of the application lie below or above those of
/// troupe (see type_ids).
template <class... Blocks>
void init() {
  message_blocks list;
  detail::list_blocks(list);
  (list.add<Blocks>(), ...);
  list.init();
}

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/init.ipp"
#endif
