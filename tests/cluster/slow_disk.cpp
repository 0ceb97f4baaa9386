// Preloaded into a process: each write to a log of SQLite begins SLOW_WRITE_MS milliseconds late,
// as on a slow disk. Who kills the process meanwhile loses what was not written.

#include <array>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include <dlfcn.h>
#include <unistd.h>

namespace {

void wait_for_disk(int file) {
  std::array<char, 4096> name{};
  auto link = "/proc/self/fd/" + std::to_string(file);
  auto size = ::readlink(link.c_str(), name.data(), name.size());
  auto* span = std::getenv("SLOW_WRITE_MS");
  if (span != nullptr && size > 0
      && std::string_view{name.data(), static_cast<std::size_t>(size)}.ends_with("-wal"))
    std::this_thread::sleep_for(std::chrono::milliseconds{std::atol(span)});
}

template <class Function>
Function* next_one(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" ssize_t write(int file, const void* bytes, size_t size) {
  static auto* next = next_one<ssize_t(int, const void*, size_t)>("write");
  wait_for_disk(file);
  return next(file, bytes, size);
}

extern "C" ssize_t pwrite(int file, const void* bytes, size_t size, off_t place) {
  static auto* next = next_one<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  wait_for_disk(file);
  return next(file, bytes, size, place);
}

extern "C" ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t place) {
  static auto* next = next_one<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  wait_for_disk(file);
  return next(file, bytes, size, place);
}
