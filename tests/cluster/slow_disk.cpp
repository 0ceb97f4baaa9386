// Preloaded into a process: each write to a log of SQLite begins SLOW_WRITE_MS milliseconds late,
// as on a slow disk. Who kills the process meanwhile loses what was not written. The file that
// COUNT_SYNCS_IN names has a byte for each time that such a log was synced.

#include <array>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

namespace {

bool is_log(int file) {
  std::array<char, 4096> name{};
  auto link = "/proc/self/fd/" + std::to_string(file);
  auto size = ::readlink(link.c_str(), name.data(), name.size());
  return size > 0
         && std::string_view{name.data(), static_cast<std::size_t>(size)}.ends_with("-wal");
}

void wait_for_disk(int file) {
  if (auto* span = std::getenv("SLOW_WRITE_MS"); span != nullptr && is_log(file))
    std::this_thread::sleep_for(std::chrono::milliseconds{std::atol(span)});
}

int counted(int file, int done) {
  auto* name = std::getenv("COUNT_SYNCS_IN");
  if (name == nullptr || done != 0 || !is_log(file))
    return done;
  auto counter = ::open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  [[maybe_unused]] auto written = ::write(counter, "x", 1);
  ::close(counter);
  return done;
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

extern "C" int fsync(int file) {
  static auto* next = next_one<int(int)>("fsync");
  return counted(file, next(file));
}

extern "C" int fdatasync(int file) {
  static auto* next = next_one<int(int)>("fdatasync");
  return counted(file, next(file));
}
