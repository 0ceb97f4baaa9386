#pragma once

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace troupe {

/// Makes all threads of this process allocate from one heap, for a program that is a node. By
/// default, glibc gives each thread a heap of its own, up to eight for each core. One thread
/// allocates messages and log entries and another frees them, which fragments all heaps: a node
/// under load used twice the memory. Call it first in main(), before threads are started. Does
/// nothing with other allocators.
inline void use_one_heap() noexcept {
#ifdef M_ARENA_MAX
  ::mallopt(M_ARENA_MAX, 1);
#endif
}

} // namespace troupe
