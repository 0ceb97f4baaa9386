#pragma once

#include <chrono>

#include <poll.h>

#include "troupe/core/time.hpp"

namespace troupe::testing {

/// How long, in real time, tests wait for what should come before they call it missing.
constexpr duration patience = std::chrono::seconds{20};

/// Looks again and again, every 2 ms, until `condition()` holds: for what other threads or
/// processes do, which cannot wake a test. Returns whether it came to hold within `wait`.
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
