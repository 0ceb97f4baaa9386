#pragma once

#include <chrono>
#include <cstddef>

#include "troupe/core/backoff.hpp"
#include "troupe/core/time.hpp"

namespace troupe::host {

/// How a client behaves. All spans count on the clock of whoever runs it.
struct client_options {
  /// Commands and questions without an answer yet; more are refused.
  std::size_t max_pending = 512;
  /// How long between two tries while the service is out of reach.
  backoff retry{std::chrono::milliseconds{20}, std::chrono::seconds{1}};
  /// The service ends a session that is silent for its term (a minute).
  duration keep_every = std::chrono::seconds{20};
  /// The service may hang where requests wait and nothing is heard of it for so long; zero: nobody
  /// is told.
  duration doubt_after = std::chrono::milliseconds{250};
};

} // namespace troupe::host
