#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
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

  /// Runs a job on a thread of its own, or throws std::system_error if there is none to be had.
  using thread_maker = std::function<void(std::function<void()>)>;

  explicit undertaker(thread_maker in_thread
                      = [](std::function<void()> job) { std::thread{std::move(job)}.detach(); })
    : in_thread_(std::move(in_thread)) {}

  undertaker(const undertaker&) = delete;
  undertaker& operator=(const undertaker&) = delete;

  /// Does not wait for ever: a thread that has called std::exit() may be waited for.
  ~undertaker() {
    std::unique_lock guard{inside_->mutex};
    inside_->closed.wait_for(guard, std::chrono::seconds{5}, [this] { return inside_->open == 0; });
  }

  /// Destroys `what` on another thread. Where the system has no thread left it waits for one: no
  /// other thread could do it.
  void take(std::shared_ptr<void> what) {
    {
      std::lock_guard guard{inside_->mutex};
      ++inside_->open;
    }
    // In a box, so that no copy of the job destroys it here.
    auto box = std::make_shared<std::shared_ptr<void>>(std::move(what));
    while (!try_to([there = inside_, box] {
      *box = nullptr;
      std::lock_guard guard{there->mutex};
      --there->open;
      there->closed.notify_all();
    }))
      std::this_thread::sleep_for(try_every);
  }

private:
  struct shared {
    std::mutex mutex;
    std::condition_variable closed;
    std::size_t open = 0;
  };

  bool try_to(const std::function<void()>& job) {
    try {
      in_thread_(job);
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  }

  static constexpr std::chrono::milliseconds try_every{50};

  const thread_maker in_thread_;
  const std::shared_ptr<shared> inside_ = std::make_shared<shared>();
};

} // namespace troupe::cluster
