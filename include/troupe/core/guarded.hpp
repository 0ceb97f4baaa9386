#pragma once

#include <exception>

#include "troupe/core/problem.hpp"

namespace troupe {

/// Calls `what` and returns what it throws as a problem with errc::failed; errc::none if it
/// throws nothing. For functions of users that run in threads and actors of ours: an exception
/// that leaves one of those ends the process or the actor, so all of them are caught here.
template <class Function>
problem guarded(Function&& what) {
  try {
    what();
    return {};
  } catch (const std::exception& why) {
    return {errc::failed, why.what()};
  } catch (...) {
    return {errc::failed, "an exception was thrown that is not a std::exception; throw one, so "
                          "that its what() is shown here"};
  }
}

} // namespace troupe
