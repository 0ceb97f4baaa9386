#ifndef TROUPE_HOST_IMPL_TIED_ACTOR_IPP
#define TROUPE_HOST_IMPL_TIED_ACTOR_IPP

#include "caf/exit_reason.hpp"
#include "caf/send.hpp"
#include "troupe/host/detail/tied_actor.hpp"

namespace troupe::host::detail {

TROUPE_COMPILED void tied_actor::end() {
  std::lock_guard guard{mutex_};
  if (auto last = std::exchange(actor_, nullptr))
    caf::anon_send_exit(last, caf::exit_reason::user_shutdown);
}

} // namespace troupe::host::detail

#endif
