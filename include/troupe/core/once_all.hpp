#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "troupe/core/problem.hpp"

namespace troupe {

/// Called with errc::none on success, else with the problem.
using done_handler = std::function<void(problem)>;

/// Returns a handler to be called `count` times, which must be at least one. The last call calls
/// `done` with the first problem, if there was one. For one thread or actor.
inline done_handler once_all(std::size_t count, done_handler done) {
  struct tally {
    std::size_t missing;
    problem first;
    done_handler done;
  };
  auto shared = std::make_shared<tally>(tally{count, {}, std::move(done)});
  return [shared](problem why) {
    if (!shared->first)
      shared->first = std::move(why);
    if (--shared->missing == 0)
      shared->done(shared->first);
  };
}

} // namespace troupe
