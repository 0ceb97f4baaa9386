#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "troupe/core/problem.hpp"

namespace troupe {

/// Gets errc::none when something is done, else why not.
using done_handler = std::function<void(problem)>;

/// Returns a handler that calls `done`, with the first problem, when it is called for the last
/// of `count` times, of which there must be one. For one thread or actor.
inline done_handler once_all(std::size_t count, done_handler done) {
  struct tally {
    std::size_t missing;
    problem first;
    done_handler done;
  };
  auto shared = std::make_shared<tally>(tally{count, {}, std::move(done)});
  return [shared](problem why) {
    if (shared->first.code == errc::none)
      shared->first = std::move(why);
    if (--shared->missing == 0)
      shared->done(shared->first);
  };
}

} // namespace troupe
