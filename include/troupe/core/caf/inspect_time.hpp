#pragma once

#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe {

/// Carries wall time through CAF's binary form, as nanoseconds since the Unix epoch.
/// Our own forms need no `inspect` of it.
template <class Inspector>
bool inspect(Inspector& f, wall_time& x) {
  auto get = [&x] { return x.time_since_epoch().count(); };
  auto set = [&x](std::int64_t value) {
    x = wall_time{duration{value}};
    return true;
  };
  return f.apply(get, set);
}

} // namespace troupe
