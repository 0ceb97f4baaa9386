#ifndef TROUPE_NODE_IMPL_INIT_IPP
#define TROUPE_NODE_IMPL_INIT_IPP

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

namespace troupe::detail {

TROUPE_COMPILED void list_blocks(message_blocks& list) {
  caf::io::middleman::init_global_meta_objects();
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

} // namespace troupe::detail

#endif
