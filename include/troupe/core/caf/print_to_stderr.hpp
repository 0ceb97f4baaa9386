#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "caf/actor_ostream.hpp"
#include "caf/actor_system.hpp"

namespace troupe {

/// Sends what actors of `sys` print with CAF's aout to stderr, because other programs read stdout.
/// CAF itself prints there when an exception ends an actor. CAF buffers up to 8 KiB of it until the
/// system ends. Does nothing if stderr cannot be opened by its name, as a socket cannot.
inline void print_to_stderr(caf::actor_system& sys) {
  constexpr auto* name = "/dev/stderr";
  auto opened = ::open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (opened < 0)
    return;
  ::close(opened);
  caf::actor_ostream::redirect_all(sys, name, caf::actor_ostream::append);
}

} // namespace troupe
