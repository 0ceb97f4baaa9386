#pragma once

#include "troupe/core/caf/inspect_enum.hpp"
#include "troupe/core/caf/inspect_time.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::registry {

template <class Inspector>
bool inspect(Inspector& f, record_kind& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, record_status& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, change_kind& x) {
  return inspect_enum(f, x);
}

/// What each node answers of the nodes, agents and services of the cluster, as far as it has heard
/// of them: it asks nobody. A request with watch_records needs a timeout longer than its `wait`.
using registry_queries
  = host::queries<get_record, find_records, find_owner, count_records, watch_records>;
using registry_actor = host::service_handle<host::commands<>, registry_queries>;
using registry_protocol = host::protocol<host::commands<>, registry_queries>;

using names_commands = host::commands<names::claim, names::release, names::owner_gone>;
using names_queries = host::queries<names::find_claim, names::list_claims>;

/// The handle of the service for names; name_table::step lists its refusals.
using names_actor = host::service_handle<names_commands, names_queries>;
using names_protocol = host::protocol<names_commands, names_queries>;

} // namespace troupe::registry

CAF_BEGIN_TYPE_ID_BLOCK(troupe_registry, ::troupe::type_ids::registry)

  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::registry_actor))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names_actor))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::record_kind))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::record_status))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::record_key))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::endpoint))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::resources))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::record))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::owner_view))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::get_record))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::record_view))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::record_found))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::find_records))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::found_records))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::find_owner))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::count_records))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::status_counts))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::registry_counts))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::watch_records))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::change_kind))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::change))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::record_changes))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::name_claim))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::name_options))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::claim))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::claims))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::release))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::owner_gone))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::freed))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::find_claim))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::claim_found))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::list_claims))
  CAF_ADD_TYPE_ID(troupe_registry, (troupe::registry::names::claim_page))

CAF_END_TYPE_ID_BLOCK(troupe_registry)

static_assert(caf::id_block::troupe_registry::end <= troupe::type_ids::registry + 100);
