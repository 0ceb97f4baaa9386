// The names that threads are listed under.

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <pthread.h>

#include "troupe/platform/thread_pool.hpp"
#include "troupe/platform/worker_thread.hpp"

using namespace troupe;

namespace {

std::string name_here() {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return name.data();
}

} // namespace

TEST_CASE("threads for calls that block are listed under their names", "[platform]") {
  auto own = name_here();
  std::string of_worker;
  {
    worker_thread one{"troupe.snapshot"};
    one.run([&] { of_worker = name_here(); });
  }
  CHECK(of_worker == "troupe.snapshot");
  std::string of_pool;
  {
    std::mutex held;
    std::condition_variable done;
    thread_pool some{1, "troupe.task"};
    some.run([&] {
      std::lock_guard guard{held};
      of_pool = name_here();
      done.notify_one();
    });
    std::unique_lock guard{held};
    CHECK(done.wait_for(guard, std::chrono::seconds{20}, [&] { return !of_pool.empty(); }));
  }
  CHECK(of_pool == "troupe.task");
  CHECK(name_here() == own);
}
