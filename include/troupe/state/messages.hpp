#pragma once

#include "troupe/core/caf/inspect_bytes.hpp"
#include "troupe/core/caf/inspect_enum.hpp"
#include "troupe/core/caf/inspect_time.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/state/commands.hpp"
#include "troupe/state/queries.hpp"

namespace troupe::state {

struct table_snapshot; // in troupe/state/types.hpp, which is needed to register the messages

using state_commands = host::commands<put, remove_key>;
using state_queries = host::queries<get, list_keys, watch_state, count_entries>;

template <class Inspector>
bool inspect(Inspector& f, consistency& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, value_type& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, change_kind& x) {
  return inspect_enum(f, x);
}

/// The handle of the state service and its messages, for clients. Each command is answered with
/// `written` or with a troupe::errc; state_table::step lists those. Give watch_state a timeout
/// longer than its `wait`.
using state_actor = host::service_handle<state_commands, state_queries>;

using state_protocol = host::protocol<state_commands, state_queries>;

} // namespace troupe::state

CAF_BEGIN_TYPE_ID_BLOCK(troupe_state, ::troupe::type_ids::state)

  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::state_actor))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::consistency))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::value_type))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::entry_key))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::vector_clock))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::entry))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::state_options))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::put))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::remove_key))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::written))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::get))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::entries_found))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::list_keys))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::key_page))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::watch_state))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::state_changes))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::change_kind))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::change))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::count_entries))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::state_counts))
  CAF_ADD_TYPE_ID(troupe_state, (troupe::state::table_snapshot))

CAF_END_TYPE_ID_BLOCK(troupe_state)

static_assert(caf::id_block::troupe_state::end <= troupe::type_ids::state + 100);
