#pragma once

#include <chrono>

#include <poll.h>

#include "troupe/core/time.hpp"

namespace troupe::testing {

/// How long, in real time, tests wait for an event before they call it missing.
constexpr duration patience = std::chrono::seconds{20};

/// Checks every 2 ms until `condition()` holds: for the work of other threads or processes, which
/// cannot wake a test. Returns whether it held within `wait`.
template <class Condition>
bool comes_true(Condition condition, duration wait = patience) {
  auto end = std::chrono::steady_clock::now() + wait;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end)
      return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

} // namespace troupe::testing
