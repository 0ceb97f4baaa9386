#pragma once

#include "caf/io/middleman.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/net/messages.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/state/messages.hpp"

namespace troupe {

/// Registers the messages of troupe and of the application. Call once, first thing in
/// main, before any actor_system_config is made; without it CAF crashes at the first
/// message that leaves the process. Blocks of the application lie below or above those of
/// troupe (see type_ids).
template <class... Blocks>
void init() {
  caf::io::middleman::init_global_meta_objects();
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host, caf::id_block::troupe_lock,
                caf::id_block::troupe_registry, caf::id_block::troupe_scheduler,
                caf::id_block::troupe_router, caf::id_block::troupe_state,
                caf::id_block::troupe_net, Blocks...>();
}

} // namespace troupe
