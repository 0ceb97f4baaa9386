#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

#include "caf/actor_system_config.hpp"
#include "troupe/core/caf/compat.hpp"

namespace troupe {

/// Marks and counts the threads of one actor system. For what would wait for the thread that it
/// runs on, and for those that wait until no thread of the system is left. Copies are one mark.
class thread_mark {
public:
  /// Marks all threads of the actor system that is made with `cfg`.
  void set_on_threads_of(caf::actor_system_config& cfg) const {
    cfg.add_thread_hook<hook>(inside_);
  }

  [[nodiscard]] bool is_on_this_thread() const {
    return here == inside_.get();
  }

  void wait_for_no_threads() const {
    std::unique_lock guard{inside_->mutex};
    inside_->ended.wait(guard, [this] { return inside_->threads == 0; });
  }

private:
  struct shared {
    std::mutex mutex;
    std::condition_variable ended;
    std::size_t threads = 0;
  };

  class hook final : public compat::thread_hook {
  public:
    explicit hook(std::shared_ptr<shared> inside) : inside_(std::move(inside)) {}

    void init(caf::actor_system&) override {}

    void started() override {
      here = inside_.get();
      std::lock_guard guard{inside_->mutex};
      ++inside_->threads;
    }

    void thread_terminates() override {
      here = nullptr;
      std::lock_guard guard{inside_->mutex};
      --inside_->threads;
      inside_->ended.notify_all();
    }

  private:
    std::shared_ptr<shared> inside_;
  };

  static inline thread_local const shared* here = nullptr;

  std::shared_ptr<shared> inside_ = std::make_shared<shared>();
};

} // namespace troupe
