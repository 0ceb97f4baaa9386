#pragma once

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace troupe {

/// Has all threads of this process allocate from one heap, for a program that is a node. glibc
/// gives each thread one of its own, up to eight for each core, and what is allocated by one thread
/// and freed by another, as messages and log entries are, leaves holes in all of them: a node under
/// load came to twice the memory. Call it first in main(), before there are threads; does nothing
/// with other allocators.
inline void use_one_heap() noexcept {
#ifdef M_ARENA_MAX
  ::mallopt(M_ARENA_MAX, 1);
#endif
}

} // namespace troupe
