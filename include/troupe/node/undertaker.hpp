#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace troupe::cluster {

/// Ends what cannot end on the thread that is done with it.
class undertaker {
public:
  /// It was made after all that the program needed to start the node, so it ends before that.
  static undertaker& of_process() {
    static undertaker it;
    return it;
  }

  undertaker(const undertaker&) = delete;
  undertaker& operator=(const undertaker&) = delete;

  /// Destroys `what` on another thread.
  void take(std::shared_ptr<void> what) {
    {
      std::lock_guard guard{inside_->mutex};
      ++inside_->open;
    }
    std::thread{[there = inside_, what = std::move(what)]() mutable {
      what = nullptr;
      std::lock_guard guard{there->mutex};
      --there->open;
      there->closed.notify_all();
    }}.detach();
  }

private:
  struct shared {
    std::mutex mutex;
    std::condition_variable closed;
    std::size_t open = 0;
  };

  undertaker() = default;

  /// Does not wait for ever: a thread that has called std::exit() may be waited for.
  ~undertaker() {
    std::unique_lock guard{inside_->mutex};
    inside_->closed.wait_for(guard, std::chrono::seconds{5}, [this] { return inside_->open == 0; });
  }

  const std::shared_ptr<shared> inside_ = std::make_shared<shared>();
};

} // namespace troupe::cluster
