#pragma once

#include <pthread.h>

namespace troupe {

/// Shows the calling thread under `name` where threads are listed (`top -H`, `ps -T`, gdb, perf),
/// so that an operator sees which of a node's threads is busy. Cost: a system call.
/// @pre `name` has at most 15 bytes
inline void name_this_thread(const char* name) {
  ::pthread_setname_np(::pthread_self(), name); // fails for longer names only
}

} // namespace troupe
