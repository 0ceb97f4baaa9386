#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "troupe/platform/thread_name.hpp"

namespace troupe {

/// Up to `max_threads` threads for calls that block, started on demand and kept until the end. The
/// caller must bound the number of jobs. The destructor waits for the jobs that run and drops those
/// that have not started.
class thread_pool {
public:
  using job = std::function<void()>;

  /// @pre `name` outlives this and has at most 15 bytes: see name_this_thread()
  thread_pool(std::size_t max_threads, const char* name) : max_threads_(max_threads), name_(name) {}

  ~thread_pool() {
    {
      std::lock_guard guard{mutex_};
      ended_ = true;
      jobs_.clear();
      arrived_.notify_all();
    }
    for (auto& each : threads_)
      each.join();
  }

  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  void run(job what) {
    std::lock_guard guard{mutex_};
    jobs_.push_back(std::move(what));
    if (jobs_.size() > idle_ && threads_.size() < max_threads_)
      threads_.emplace_back([this] {
        name_this_thread(name_);
        work();
      });
    arrived_.notify_one();
  }

private:
  void work() {
    std::unique_lock guard{mutex_};
    for (;;) {
      ++idle_;
      arrived_.wait(guard, [this] { return ended_ || !jobs_.empty(); });
      --idle_;
      if (ended_)
        return;
      auto next = std::move(jobs_.front());
      jobs_.pop_front();
      guard.unlock();
      next();
      guard.lock();
    }
  }

  std::size_t max_threads_;
  const char* name_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<job> jobs_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool ended_ = false;
};

} // namespace troupe
