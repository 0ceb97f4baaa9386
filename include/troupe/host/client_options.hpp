#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

#include "troupe/core/backoff.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

namespace troupe::host {

/// How a client behaves. All durations are on the clock of the client's host.
struct client_options {
  /// Commands and questions without an answer; more are refused.
  std::size_t max_pending = 512;
  /// Delay between two tries after a failed one.
  backoff retry{std::chrono::milliseconds{20}, std::chrono::seconds{1}};
  /// How often a session is kept alive. The service ends a session that is silent for its term (one
  /// minute).
  duration keep_every = std::chrono::seconds{20};
  /// The client reports that the service may hang if requests wait and nothing is heard from it for
  /// this long, and for the same requests again after ever longer pauses, of 8 s at most; where all
  /// that waits is long polls, after 8 s. Zero: it never does.
  duration doubt_after = std::chrono::milliseconds{250};
  /// What a request ends with that the service does not know.
  problem unknown_request{errc::incompatible,
                          "the service does not know this request; upgrade its node"};
  /// Called with what a handler of an answer has thrown, on the client's own actor; by default it
  /// is dropped. The client goes on.
  std::function<void(const problem&)> on_throw{};
};

} // namespace troupe::host
