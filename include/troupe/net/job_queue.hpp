#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include "troupe/net/socket.hpp"

namespace troupe::net {

/// Work for a thread that sleeps in poll. Thread-safe.
class job_queue {
public:
  using job = std::function<void()>;

  job_queue() : wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  /// Returns whether the system provided a descriptor.
  [[nodiscard]] bool usable() const {
    return static_cast<bool>(wake_);
  }

  /// The descriptor to poll for reading, beside all others.
  [[nodiscard]] int descriptor() const {
    return wake_.get();
  }

  /// Returns false once the queue is closed; `what` is then not run.
  bool post(job what) {
    std::lock_guard guard{mutex_};
    if (closed_)
      return false;
    jobs_.push_back(std::move(what));
    if (jobs_.size() == 1) { // otherwise the thread is awake already
      std::uint64_t one = 1;
      [[maybe_unused]] auto count = ::write(wake_.get(), &one, sizeof(one));
    }
    return true;
  }

  /// Returns the waiting jobs, in the order in which they were posted.
  std::vector<job> take() {
    std::lock_guard guard{mutex_};
    std::uint64_t count = 0;
    [[maybe_unused]] auto size = ::read(wake_.get(), &count, sizeof(count));
    return std::exchange(jobs_, {});
  }

  /// Accepts no more jobs; returns those that will not run now.
  std::vector<job> close() {
    std::lock_guard guard{mutex_};
    closed_ = true;
    return std::exchange(jobs_, {});
  }

  [[nodiscard]] bool is_closed() const {
    std::lock_guard guard{mutex_};
    return closed_;
  }

private:
  socket wake_;
  mutable std::mutex mutex_;
  std::vector<job> jobs_;
  bool closed_ = false;
};

} // namespace troupe::net
