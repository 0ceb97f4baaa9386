#pragma once

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

/// Counts what the program has allocated with new. Replaces the allocator, so that one source of a
/// program includes it.
namespace troupe::test {

struct counted_memory {
  static inline std::atomic<std::size_t> now = 0;
  static inline std::atomic<std::size_t> most = 0;

  /// Returns how much more was allocated at once while `body` ran than before it. For one thread.
  template <class Body>
  static std::size_t peak_of(Body body) {
    auto before = now.load();
    most = before;
    body();
    return most - before;
  }
};

} // namespace troupe::test

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  auto* made = std::malloc(size);
  if (made == nullptr)
    return nullptr;
  using memory = troupe::test::counted_memory;
  auto bytes = malloc_usable_size(made);
  auto now = memory::now.fetch_add(bytes) + bytes;
  memory::most = std::max(now, memory::most.load());
  return made;
}

void* operator new(std::size_t size) {
  if (auto* made = operator new(size, std::nothrow))
    return made;
  throw std::bad_alloc{};
}

void operator delete(void* what) noexcept {
  if (what != nullptr)
    troupe::test::counted_memory::now -= malloc_usable_size(what);
  std::free(what);
}

void operator delete(void* what, std::size_t) noexcept {
  operator delete(what);
}
