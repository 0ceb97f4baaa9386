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

/// Registers the messages of troupe and of the application. A program with message types of its own
/// calls it once, first in main(); otherwise node::agent() and all that sends such a message refuse
/// it with bad_argument, and CAF's own calls crash. A program without such types does not need it.
/// The blocks are those of TROUPE_MESSAGES, or `caf::id_block::NAME` of CAF's macros with type IDs
/// below or above those of troupe (see type_ids).
///
/// Throws std::logic_error if two blocks share type IDs, and after the first node, client or
/// configure() of the process, because CAF takes no further types then.
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
