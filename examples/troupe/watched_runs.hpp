#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/scheduler/queries.hpp"

namespace cli {

/// The unfinished runs of a scheduler, and those that ended while they were watched. Each run is
/// listed once. A run may change its state between two queries; so a run that has disappeared from
/// the lists is queried, and counts as ended only if its state is final.
///
/// `Service` answers list_runs and find_run, as cluster::scheduler_client does.
class watched_runs {
public:
  using runs = std::vector<troupe::scheduler::run_view>;

  /// The unfinished runs by number, then those that ended, the last first. Errors: those of the
  /// queries; the next call repeats what is missing.
  template <class Service>
  troupe::result<runs> look(Service& service, troupe::duration wait) {
    auto listed = list(service, wait);
    if (!listed)
      return listed.error();
    auto now = *std::move(listed);
    if (auto why = find_others(service, wait, now)) {
      live_.merge(now);
      return why;
    }
    live_ = std::move(now);
    runs all;
    for (auto& [id, run] : live_)
      all.push_back(run);
    all.insert(all.end(), ended_.begin(), ended_.end());
    return all;
  }

private:
  static constexpr std::size_t max_ended = 50;

  using runs_by_number = std::map<troupe::scheduler::run_id, troupe::scheduler::run_view>;

  template <class Service>
  static troupe::result<runs_by_number> list(Service& service, troupe::duration wait) {
    using troupe::scheduler::run_state;
    runs_by_number found;
    for (auto state :
         {run_state::running, run_state::waiting, run_state::paused, run_state::compensating})
      for (troupe::scheduler::list_runs question{.state = state};;) {
        auto page = service.ask(question, wait);
        if (!page)
          return page.error();
        if (page->runs.empty())
          break;
        question.after = page->runs.back().run;
        for (auto& each : page->runs)
          found.insert_or_assign(each.run, std::move(each)); // the later answer is the newer one
      }
    return found;
  }

  /// Queries the runs that were listed before and are not in `now`.
  template <class Service>
  troupe::problem find_others(Service& service, troupe::duration wait, runs_by_number& now) {
    for (auto at = live_.begin(); at != live_.end();) {
      if (now.contains(at->first)) {
        ++at;
        continue;
      }
      auto found = service.ask(troupe::scheduler::find_run{.run = at->first, .limit = 1}, wait);
      if (!found && found.error().code != troupe::errc::not_found)
        return found.error();
      if (found && is_final(found->run.state))
        add_ended(std::move(found->run));
      else if (found)
        now.insert_or_assign(at->first, std::move(found->run));
      at = live_.erase(at);
    }
    return {};
  }

  void add_ended(troupe::scheduler::run_view run) {
    std::erase_if(ended_, [&](auto& each) { return each.run == run.run; });
    ended_.push_front(std::move(run));
    if (ended_.size() > max_ended)
      ended_.pop_back();
  }

  runs_by_number live_;
  std::deque<troupe::scheduler::run_view> ended_;
};

} // namespace cli
