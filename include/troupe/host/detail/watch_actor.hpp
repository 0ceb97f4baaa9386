#pragma once

#include <cstdint>
#include <functional>

#include "caf/actor.hpp"
#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/time.hpp"

namespace troupe::host::detail {

/// An actor that runs jobs one after the other, at once or after a delay. Ends with this object.
class watch_actor {
public:
  TROUPE_COMPILED explicit watch_actor(caf::actor_system& sys);

  TROUPE_COMPILED ~watch_actor();

  watch_actor(const watch_actor&) = delete;
  watch_actor& operator=(const watch_actor&) = delete;

  /// Unique in its actor system.
  [[nodiscard]] TROUPE_COMPILED std::uint64_t id() const;

  TROUPE_COMPILED void run(std::function<void()> job);

  TROUPE_COMPILED void after(duration delay, std::function<void()> job);

private:
  caf::actor inside_;
};

} // namespace troupe::host::detail

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/host/impl/watch_actor.ipp"
#endif
