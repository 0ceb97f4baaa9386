#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "caf/actor_ostream.hpp"
#include "caf/actor_system.hpp"

namespace troupe {

/// Has what actors of `sys` print with CAF's aout go to stderr, as programs write to stdout
/// what others read. CAF itself prints there of each actor that an exception ends. CAF
/// keeps up to 8 KiB of it until the system ends. Without effect where stderr cannot be opened by
/// its name, as a socket cannot.
inline void print_to_stderr(caf::actor_system& sys) {
  constexpr auto* name = "/dev/stderr";
  auto opened = ::open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (opened < 0)
    return;
  ::close(opened);
  caf::actor_ostream::redirect_all(sys, name, caf::actor_ostream::append);
}

} // namespace troupe
