#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/platform/worker_thread.hpp"
#include "troupe/router/detail/outbox_file.hpp"

namespace troupe::router::detail {

/// Keeps what a node has accepted on its disk until that has ended, and what has ended without
/// being handled for as long as it is wanted. Writes in groups, each with one sync, on a thread of
/// its own: what comes while one group is synced is the next. What has ended waits a little for
/// what is to be written, so that they share a sync. Where there is no space for a whole group,
/// what is to be written goes by itself, and of what has ended the least first: so one large
/// message holds up no others. Thread-safe.
class outbox_keeper {
public:
  /// Called on the thread of the disk; must not block.
  using handler = std::function<void(const problem& why)>;

  /// More that have ended do not wait: a channel has room for ten times as many that are not
  /// forgotten.
  static constexpr std::size_t most_waiting = 100;

  /// `last`: the highest place in `file`, which is loaded. What has ended waits for
  /// `settled_within`: longer than a message takes to its agent and back, shorter than anybody
  /// waits. `told` hears how each write went.
  outbox_keeper(
    std::unique_ptr<outbox_file> file, std::uint64_t last,
    duration settled_within = std::chrono::milliseconds{10}, handler told = [](const problem&) {})
    : file_(std::move(file)),
      ended_cleanly_(file_->ended_cleanly()),
      last_(last),
      settled_within_(settled_within),
      told_(std::move(told)),
      disk_(std::make_unique<worker_thread>("troupe.outbox")) {}

  /// Writes what was given so far; of what was settled, some may not be.
  ~outbox_keeper() {
    {
      std::lock_guard guard{mutex_};
      is_closing_ = true;
      changed_.notify_all();
    }
    disk_.reset();
    if (ends_cleanly_)
      file_->end_cleanly();
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

  /// The same in the place of what was kept there, and was not removed.
  void replace(std::uint64_t place, std::string bytes, handler done) {
    std::lock_guard guard{mutex_};
    if (auto late = next_.settled.find(place); late != next_.settled.end())
      late->second.is_overtaken = true;
    next_.added.push_back({place, std::move(bytes)});
    next_.heard.push_back(std::move(done));
    begin();
  }

  /// Its message has ended: puts `last` in its place, or removes it if there is none. Calls `done`
  /// once that is synced. As long as the disk is full it is tried again.
  void settle(std::uint64_t place, std::optional<std::string> last, std::function<void()> done) {
    std::lock_guard guard{mutex_};
    auto& it = next_.settled[place];
    it.last = std::move(last);
    it.is_overtaken = false;
    it.heard.push_back(std::move(done));
    if (!is_busy_ || next_.settled.size() >= most_waiting)
      begin();
  }

  /// Whether the process that used the file before has ended cleanly.
  [[nodiscard]] bool ended_cleanly() const {
    return ended_cleanly_;
  }

  /// So does this one: the file says so once this object is gone.
  void end_cleanly() {
    std::lock_guard guard{mutex_};
    ends_cleanly_ = true;
  }

private:
  struct end {
    std::optional<std::string> last;
    /// Something else was put there since.
    bool is_overtaken = false;
    std::vector<std::function<void()>> heard;
  };

  /// By their places.
  using ends = std::map<std::uint64_t, end>;

  struct group {
    std::vector<outbox_file::row> added;
    std::vector<handler> heard;
    ends settled;

    [[nodiscard]] bool empty() const {
      return added.empty() && settled.empty();
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
      if (next_.added.empty())
        changed_.wait_for(guard, settled_within_, [this] {
          return is_closing_ || !next_.added.empty() || next_.settled.size() >= most_waiting;
        });
      auto all = std::exchange(next_, {});
      guard.unlock();
      auto before = all.settled.size();
      std::vector<end> written;
      auto why = commit(all, written);
      if (!why || !all.heard.empty()) // else nothing was to be kept
        told_(why);
      for (auto& each : all.heard)
        each(why);
      for (auto& each : written)
        for (auto& done : each.heard)
          done();
      guard.lock();
      auto left = all.settled.size();
      take_back(std::move(all.settled));
      if (left == 0 || left < before)
        continue;
      changed_.wait_for(guard, retry, [this] { return is_closing_ || !next_.added.empty(); });
      if (is_closing_ && next_.added.empty())
        break;
    }
    is_busy_ = false;
  }

  /// Moves what of `all.settled` is on the disk to `written`. Returns why nothing was added.
  problem commit(group& all, std::vector<end>& written) {
    std::vector<std::uint64_t> order;
    for (auto& [place, each] : all.settled)
      order.push_back(place);
    auto why = commit(all.added, all.settled, order);
    if (!why)
      move(all.settled, order, written);
    if (!why || order.empty())
      return why;
    if (why.code != errc::storage_full) {
      overtaken_by_nothing(all.settled);
      return why;
    }
    auto is_tried = all.added.empty();
    if (!is_tried)
      why = file_->commit(all.added, {});
    if (!why)
      std::erase_if(order, [&](auto place) {
        auto is_over = all.settled.at(place).is_overtaken;
        if (is_over)
          move(all.settled, {place}, written);
        return is_over;
      });
    overtaken_by_nothing(all.settled);
    std::ranges::stable_sort(order, {}, [&](auto place) {
      auto& last = all.settled.at(place).last;
      return last ? last->size() + 1 : 0;
    });
    for (auto most = is_tried ? order.size() / 2 : order.size(); most > 0; most /= 2) {
      order.resize(most);
      std::vector<outbox_file::row> none;
      if (!commit(none, all.settled, order)) {
        move(all.settled, order, written);
        break;
      }
    }
    return why;
  }

  /// What was to take the places of those is not there.
  static void overtaken_by_nothing(ends& all) {
    for (auto& [place, each] : all)
      each.is_overtaken = false;
  }

  /// Writes these, and those of what was settled, in one commit.
  problem commit(std::vector<outbox_file::row>& added, const ends& settled,
                 const std::vector<std::uint64_t>& which) {
    auto count = added.size();
    std::vector<std::uint64_t> removed;
    for (auto place : which) {
      auto& it = settled.at(place);
      if (it.is_overtaken)
        continue;
      if (it.last)
        added.push_back({place, *it.last});
      else
        removed.push_back(place);
    }
    auto why = file_->commit(added, removed);
    added.resize(count);
    return why;
  }

  static void move(ends& from, const std::vector<std::uint64_t>& which, std::vector<end>& to) {
    for (auto place : which)
      to.push_back(std::move(from.extract(place).mapped()));
  }

  /// They were not written, and nothing that was to take their place with them.
  /// @pre locked
  void take_back(ends settled) {
    for (auto& [place, before] : settled) {
      auto [found, is_new] = next_.settled.try_emplace(place);
      auto& it = found->second;
      if (is_new) {
        it.last = std::move(before.last);
        it.is_overtaken = is_replaced(place);
      }
      std::ranges::move(it.heard, std::back_inserter(before.heard));
      it.heard = std::move(before.heard);
    }
  }

  /// @pre locked
  [[nodiscard]] bool is_replaced(std::uint64_t place) const {
    return std::ranges::any_of(next_.added,
                               [place](const auto& each) { return each.place == place; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_closing_ = false;
  bool is_busy_ = false;
  bool ends_cleanly_ = false;
  std::unique_ptr<outbox_file> file_;
  const bool ended_cleanly_;
  std::uint64_t last_ = 0;
  const duration settled_within_;
  const handler told_;
  group next_;
  std::unique_ptr<worker_thread> disk_; // last: it uses all of this
};

} // namespace troupe::router::detail
