#pragma once

#include <utility>

#include "troupe/core/caf/init.hpp"
#include "troupe/core/compiled.hpp"

namespace troupe {

namespace detail {

/// Registers the messages of troupe, unless that has been done. What makes an actor system of
/// troupe calls it.
TROUPE_COMPILED void init_own_messages();

/// Registers these and the messages of troupe. See init().
TROUPE_COMPILED void init_messages_with(message_blocks own);

} // namespace detail

/// Registers the messages of troupe and of the application. Who has no blocks of his own need not
/// call it: nodes, clients and configure() do. Who has calls it once, first thing in main; without
/// it node::agent() and what sends such a message refuse it with bad_argument, and CAF's own calls
/// crash. The blocks are those of TROUPE_MESSAGES, or `caf::id_block::NAME` of CAF's macros: those
/// lie below or above the type IDs of troupe (see type_ids).
///
/// Throws std::logic_error if two blocks share type IDs, and after the first node, client or
/// configure() of the process: CAF takes no more then.
template <class... Blocks>
void init() {
  message_blocks own;
  (own.add<Blocks>(), ...);
  detail::init_messages_with(std::move(own));
}

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/init.ipp"
#endif
