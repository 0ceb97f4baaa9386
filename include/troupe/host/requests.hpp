#pragma once

namespace troupe::host {

/// The commands of a service; each names its `result`.
template <class... Requests>
struct commands {};

/// The queries of a service, which are answered from committed state.
template <class... Questions>
struct queries {};

} // namespace troupe::host
