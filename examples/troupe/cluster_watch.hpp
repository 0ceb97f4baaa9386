#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster_report.hpp"
#include "watched_runs.hpp"

namespace cli {

/// Rates per second, averaged over the last few seconds.
struct change_rates {
  double tasks = 0;
  double attempts = 0;
  double entries = 0;
};

/// The state of a cluster at one moment.
struct cluster_moment {
  std::chrono::steady_clock::time_point at{};
  /// The node that was asked.
  std::string address;
  cluster_report report;
  /// Unfinished runs, then those that ended while the cluster was watched, the last first.
  std::vector<troupe::scheduler::run_view> runs;
  /// Empty at the first query, and after the services could not be reached.
  std::optional<change_rates> rates;
};

/// Queries a cluster repeatedly. Not thread-safe; calls block.
class cluster_watch {
public:
  explicit cluster_watch(common_options common) : common_(std::move(common)) {}

  /// Errors: those of connecting and querying. The next call tries again, also at the addresses of
  /// all nodes seen so far.
  troupe::result<cluster_moment> look() {
    if (client_ == nullptr || has_failed_) {
      auto fresh = connect_silently(common_);
      if (!fresh && client_ == nullptr)
        return fresh.error();
      if (fresh)
        client_ = *std::move(fresh);
    }
    auto seen = ask();
    has_failed_ = !seen;
    if (seen)
      remember_addresses(seen->report);
    else
      last_.clear();
    return seen;
  }

private:
  static constexpr std::size_t max_addresses = 32;

  struct counters {
    std::chrono::steady_clock::time_point at;
    std::uint64_t completed = 0;
    std::uint64_t attempts = 0;
    std::uint64_t commit = 0;
  };

  troupe::result<cluster_moment> ask() {
    auto found = look_around(*client_, common_.wait());
    if (!found)
      return found.error();
    cluster_moment seen;
    seen.report = *std::move(found);
    if (seen.report.services) {
      auto runs = runs_.look(client_->services().scheduler, common_.wait());
      if (!runs)
        return runs.error();
      seen.runs = *std::move(runs);
    }
    seen.at = std::chrono::steady_clock::now();
    seen.address = client_->address();
    seen.rates = rates_until(seen);
    return seen;
  }

  /// Averaged over a few seconds, because tasks that take longer than one interval would make the
  /// rates jump.
  std::optional<change_rates> rates_until(const cluster_moment& seen) {
    constexpr std::chrono::seconds span{5};
    if (!seen.report.services) {
      last_.clear();
      return std::nullopt;
    }
    auto& runs = seen.report.services->runs;
    counters now{seen.at, runs.completed, runs.attempts, seen.report.seen.group.commit};
    while (last_.size() > 1 && last_[1].at <= now.at - span)
      last_.pop_front();
    last_.push_back(now);
    if (last_.size() == 1)
      return std::nullopt;
    auto& before = last_.front();
    auto between = std::chrono::duration<double>(now.at - before.at).count();
    auto rate = [&](std::uint64_t from, std::uint64_t to) {
      return to < from ? 0.0 : static_cast<double>(to - from) / std::max(between, 0.001);
    };
    return change_rates{rate(before.completed, now.completed), rate(before.attempts, now.attempts),
                        rate(before.commit, now.commit)};
  }

  void remember_addresses(const cluster_report& found) {
    for (auto& each : found.nodes) {
      auto place = place_of(each.value);
      if (!place.empty() && common_.at.size() < max_addresses
          && std::ranges::find(common_.at, place) == common_.at.end())
        common_.at.push_back(std::move(place));
    }
  }

  common_options common_;
  std::unique_ptr<troupe::cluster_client> client_;
  bool has_failed_ = false;
  /// Samples of the last few seconds, the oldest first.
  std::deque<counters> last_;
  watched_runs runs_;
};

} // namespace cli
