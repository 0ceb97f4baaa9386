#pragma once

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/scheduler/task_scheduler.hpp"

namespace troupe::test {

/// A worker process as it could be anywhere: keeps its own books, believes what it is
/// told, and may be cut off, slow, or dead. What it says goes through the test.
class simulated_worker {
public:
  /// An attempt in its hands.
  struct job {
    scheduler::assignment what;
    bool cancelled = false;
  };

  explicit simulated_worker(scheduler::register_worker words) : words_(std::move(words)) {}

  [[nodiscard]] const scheduler::register_worker& words() const {
    return words_;
  }

  [[nodiscard]] bool is_up() const {
    return up_;
  }

  [[nodiscard]] bool is_registered() const {
    return id_.has_value();
  }

  [[nodiscard]] scheduler::worker_id id() const {
    return *id_;
  }

  [[nodiscard]] bool is_cut_off(time_point now) const {
    return now < cut_off_until_;
  }

  void cut_off(time_point until) {
    cut_off_until_ = until;
  }

  void reconnect() {
    cut_off_until_ = time_point::min();
  }

  void kill() {
    up_ = false;
    stop_all();
  }

  void restart() {
    up_ = true;
    ++words_.boot;
  }

  /// The scheduler does not know this worker any more: it ends what it runs.
  void stop_all() {
    id_.reset();
    seen_ = 0;
    jobs_.clear();
    unsent_.clear();
    sent_.clear();
  }

  void registered(const scheduler::worker_receipt& receipt) {
    if (id_ == receipt.worker)
      return;
    stop_all();
    id_ = receipt.worker;
  }

  [[nodiscard]] scheduler::watch_assignments ask_orders(random_source& random) const {
    auto from_start = random.one_in(10); // as after a lost link
    return {.worker = *id_,
            .boot = words_.boot,
            .after = from_start ? 0 : seen_,
            .limit = static_cast<std::uint32_t>(1 + random.below(4))};
  }

  /// Returns the attempts that are new to it.
  std::vector<scheduler::assignment> take(const scheduler::worker_orders& orders) {
    std::vector<scheduler::assignment> fresh;
    for (auto& each : orders.assignments)
      if (!jobs_.contains(each.what) && !unsent_.contains(each.what)) {
        jobs_.emplace(each.what, job{each});
        fresh.push_back(each);
      }
    for (auto& each : orders.cancellations)
      if (auto found = jobs_.find(each); found != jobs_.end())
        found->second.cancelled = true;
      else if (!unsent_.contains(each)) // never began
        unsent_[each] = {.what = each, .kind = scheduler::outcome_kind::stopped};
    seen_ = std::max(seen_, orders.sequence);
    return fresh;
  }

  /// What it runs takes so much, by its own books.
  [[nodiscard]] scheduler::resources used() const {
    scheduler::resources sum{.slots = 0};
    for (auto& [what, each] : jobs_) {
      sum.millicores += each.what.needs.millicores;
      sum.memory_bytes += each.what.needs.memory_bytes;
      sum.gpus += each.what.needs.gpus;
      sum.slots += each.what.needs.slots;
    }
    return sum;
  }

  [[nodiscard]] const std::map<scheduler::attempt_id, job>& jobs() const {
    return jobs_;
  }

  /// Ends an attempt; its outcome is to be sent.
  void end(const scheduler::outcome& how) {
    jobs_.erase(how.what);
    unsent_[how.what] = how;
  }

  [[nodiscard]] bool has_unsent() const {
    return !unsent_.empty();
  }

  /// Everything it has to say, and now and then something it said before.
  [[nodiscard]] scheduler::report make_report(random_source& random) const {
    scheduler::report result{.worker = *id_, .boot = words_.boot, .outcomes = {}};
    for (auto& [what, each] : unsent_)
      result.outcomes.push_back(each);
    if (!sent_.empty() && random.one_in(3))
      result.outcomes.insert(
        result.outcomes.begin()
          + static_cast<std::ptrdiff_t>(random.below(result.outcomes.size() + 1)),
        sent_[random.below(sent_.size())]);
    return result;
  }

  void report_arrived(const scheduler::report& what) {
    for (auto& each : what.outcomes)
      if (unsent_.erase(each.what) > 0)
        sent_.push_back(each);
  }

  [[nodiscard]] scheduler::renew_worker make_renewal() const {
    scheduler::renew_worker result{.worker = *id_, .boot = words_.boot, .seen = seen_, .open = {}};
    for (auto& [what, each] : jobs_)
      result.open.push_back(what);
    for (auto& [what, each] : unsent_)
      result.open.push_back(what);
    return result;
  }

private:
  scheduler::register_worker words_;
  bool up_ = true;
  std::optional<scheduler::worker_id> id_;
  std::uint64_t seen_ = 0;
  std::map<scheduler::attempt_id, job> jobs_;
  std::map<scheduler::attempt_id, scheduler::outcome> unsent_;
  std::vector<scheduler::outcome> sent_;
  time_point cut_off_until_ = time_point::min();
};

} // namespace troupe::test
