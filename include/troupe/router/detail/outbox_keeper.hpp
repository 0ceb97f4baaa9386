#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/platform/worker_thread.hpp"
#include "troupe/router/detail/outbox_file.hpp"

namespace troupe::router::detail {

/// Keeps what a node has accepted on its disk until that has ended. Writes and removes in groups,
/// each with one sync, on a thread of its own: what comes while one group is synced is the next.
/// What cannot be removed, as the disk is full, is tried again. Thread-safe.
class outbox_keeper {
public:
  /// Called on the thread of the disk; must not block.
  using handler = std::function<void(const problem& why)>;

  /// `last`: the highest place in `file`, which is loaded.
  outbox_keeper(std::unique_ptr<outbox_file> file, std::uint64_t last)
    : file_(std::move(file)),
      last_(last),
      disk_(std::make_unique<worker_thread>("troupe.outbox")) {}

  /// Writes what was given so far; what is to be removed may stay.
  ~outbox_keeper() {
    {
      std::lock_guard guard{mutex_};
      is_closing_ = true;
      changed_.notify_all();
    }
    disk_.reset();
  }

  outbox_keeper(const outbox_keeper&) = delete;
  outbox_keeper& operator=(const outbox_keeper&) = delete;

  /// Returns the place of `bytes`. Calls `done` once they are synced, in the order of the calls, or
  /// with why they are not kept.
  std::uint64_t add(std::string bytes, handler done) {
    std::lock_guard guard{mutex_};
    next_.added.push_back({++last_, std::move(bytes)});
    next_.heard.push_back(std::move(done));
    begin();
    return last_;
  }

  /// The same in the place of what was kept there, unless that is removed.
  void replace(std::uint64_t place, std::string bytes, handler done) {
    std::lock_guard guard{mutex_};
    next_.added.push_back({place, std::move(bytes)});
    next_.heard.push_back(std::move(done));
    begin();
  }

  /// Calls `done` once that has gone from the disk.
  void remove(std::uint64_t place, std::function<void()> done) {
    std::lock_guard guard{mutex_};
    next_.removed.push_back(place);
    next_.gone.push_back(std::move(done));
    begin();
  }

private:
  struct group {
    std::vector<outbox_file::row> added;
    std::vector<handler> heard;
    std::vector<std::uint64_t> removed;
    std::vector<std::function<void()>> gone;

    [[nodiscard]] bool empty() const {
      return added.empty() && removed.empty();
    }
  };

  static constexpr auto retry = std::chrono::seconds{1};

  /// @pre locked
  void begin() {
    changed_.notify_all();
    if (!std::exchange(is_busy_, true))
      disk_->run([this] { work(); });
  }

  void work() {
    std::unique_lock guard{mutex_};
    while (!next_.empty()) {
      auto all = std::exchange(next_, {});
      guard.unlock();
      auto why = file_->commit(all.added, all.removed);
      for (auto& each : all.heard)
        each(why);
      if (!why)
        for (auto& each : all.gone)
          each();
      guard.lock();
      if (!why)
        continue;
      std::ranges::move(all.removed, std::back_inserter(next_.removed));
      std::ranges::move(all.gone, std::back_inserter(next_.gone));
      changed_.wait_for(guard, retry, [this] { return is_closing_ || !next_.added.empty(); });
      if (is_closing_ && next_.added.empty())
        break;
    }
    is_busy_ = false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_closing_ = false;
  bool is_busy_ = false;
  std::unique_ptr<outbox_file> file_;
  std::uint64_t last_ = 0;
  group next_;
  std::unique_ptr<worker_thread> disk_; // last: it uses all of this
};

} // namespace troupe::router::detail
