#ifndef TROUPE_NODE_IMPL_INIT_IPP
#define TROUPE_NODE_IMPL_INIT_IPP

#include <mutex>
#include <stdexcept>
#include <utility>

#include "caf/io/middleman.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/net/messages.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/state/messages.hpp"
#include "troupe/state/types.hpp"

namespace troupe::detail {

inline void register_all(const message_blocks& list) {
  caf::io::middleman::init_global_meta_objects();
  list.init();
}

/// Gives all blocks of troupe to `list`.
inline void list_blocks(message_blocks& list) {
  list.add<caf::id_block::troupe_core>();
  list.add<caf::id_block::troupe_host>();
  list.add<caf::id_block::troupe_lock>();
  list.add<caf::id_block::troupe_registry>();
  list.add<caf::id_block::troupe_scheduler>();
  list.add<caf::id_block::troupe_router>();
  list.add<caf::id_block::troupe_state>();
  list.add<caf::id_block::troupe_net>();
  list.add<caf::id_block::troupe_node>();
}

struct init_state {
  std::mutex mutex;
  /// Of the application.
  message_blocks registered;
  bool is_done = false;
  /// There may be an actor system.
  bool is_in_use = false;
};

/// Of this process, as CAF's own table of types is.
inline init_state& state_of_init() {
  static init_state only;
  return only;
}

TROUPE_COMPILED void init_own_messages() {
  auto& state = state_of_init();
  std::lock_guard guard{state.mutex};
  state.is_in_use = true;
  if (std::exchange(state.is_done, true))
    return;
  message_blocks list;
  list_blocks(list);
  register_all(list);
}

TROUPE_COMPILED void init_messages_with(message_blocks own) {
  auto& state = state_of_init();
  std::lock_guard guard{state.mutex};
  auto is_only_troupe = own.empty();
  auto all = state.registered;
  all.add(own);
  list_blocks(all);
  all.refuse_collisions(); // also with those of an earlier call
  if (!is_only_troupe && state.is_in_use)
    throw std::logic_error{"troupe::init() with message types of the application comes after the "
                           "first node, client or configure(); call it first thing in main"};
  register_all(all);
  state.registered.add(own);
  state.is_done = true;
}

} // namespace troupe::detail

#endif
