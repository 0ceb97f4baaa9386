#include "demo_figures.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <queue>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/group/group_core.hpp"
#include "troupe/group/group_log.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/node/services.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/scheduler/task_scheduler.hpp"

namespace cli {

using namespace troupe;

namespace {

using machine = scheduler::task_scheduler;
using batch = host::replicated_batch<machine>;

/// Replays the scheduler of a cluster, to see which results it recorded.
class replay {
public:
  explicit replay(scheduler::run_id run) : run_(run) {}

  void take(const host::record<machine>& line) {
    if (line.index <= last_) // a duplicate, by a leader that did not know its successor yet
      return;
    last_ = line.index;
    machine::effects out;
    rules_.tick(line.at, out);
    const scheduler::event* what = nullptr;
    if (auto* asked = std::get_if<host::command<machine>>(&line.what))
      what = &asked->what;
    else if (auto* entered = std::get_if<host::notice<machine>>(&line.what))
      what = &entered->what;
    if (what == nullptr)
      return;
    rules_.step(line.at, line.index, *what, out);
    auto* report = std::get_if<scheduler::report>(what);
    if (report == nullptr || out.empty())
      return;
    if (auto* answer = std::get_if<scheduler::answered<scheduler::report_receipt>>(&out.back()))
      count(*report, answer->value);
  }

  [[nodiscard]] journal_count counted() const {
    auto twice = std::ranges::count_if(taken_, [](auto& each) { return each.second > 1; });
    return {taken_.size(), static_cast<std::size_t>(twice), late_};
  }

private:
  void count(const scheduler::report& said, const scheduler::report_receipt& answer) {
    for (auto& outcome : said.outcomes) {
      if (outcome.kind != scheduler::outcome_kind::completed || outcome.what.run != run_)
        continue;
      auto is_stale
        = std::ranges::any_of(answer.stale, [&](auto& late) { return late.what == outcome.what; });
      ++(is_stale ? late_ : taken_[outcome.what.task]);
    }
  }

  machine rules_;
  scheduler::run_id run_;
  std::uint64_t last_ = 0;
  std::map<std::uint32_t, std::size_t> taken_;
  std::size_t late_ = 0;
};

} // namespace

duration list_schedule_with_losses(const workflow::dag& flow, double scale,
                                   const std::map<duration, std::size_t>& workers) {
  auto length
    = [&](workflow::task_index each) { return scheduler::scaled(flow[each].run_time, scale); };
  auto order = flow.topological_order();
  std::vector<duration> rest(flow.size());
  std::vector<std::size_t> missing(flow.size());
  for (auto each = order.rbegin(); each != order.rend(); ++each) {
    for (auto child : flow.children(*each))
      rest[*each] = std::max(rest[*each], rest[child]);
    rest[*each] += length(*each);
    missing[*each] = flow.parents(*each).size();
  }
  auto later = [&](workflow::task_index left, workflow::task_index right) {
    return std::pair{rest[left], right} < std::pair{rest[right], left};
  };
  std::priority_queue<workflow::task_index, std::vector<workflow::task_index>, decltype(later)>
    ready{later};
  for (auto each : flow.sources())
    ready.push(each);
  std::multimap<duration, workflow::task_index> running;
  duration now{};
  auto change = workers.begin();
  auto count = change->second;
  ++change;
  while (!ready.empty() || !running.empty()) {
    while (!ready.empty() && running.size() < count) {
      running.emplace(now + length(ready.top()), ready.top());
      ready.pop();
    }
    auto next = running.begin();
    if (change != workers.end() && next->first > change->first) {
      now = change->first;
      count = change->second;
      ++change;
      while (running.size() > count) { // the tasks that would have ended last
        ready.push(std::prev(running.end())->second);
        running.erase(std::prev(running.end()));
      }
      continue;
    }
    now = next->first;
    for (auto child : flow.children(next->second))
      if (--missing[child] == 0)
        ready.push(child);
    running.erase(next);
  }
  return now;
}

result<journal_count> count_results(const std::filesystem::path& file, scheduler::run_id run) {
  host::group_log log{file};
  host::stored_group content;
  if (auto why = log.load(content))
    return why;
  if (content.state.base.index > 0)
    return problem{errc::failed,
                   "the log begins with a snapshot, so earlier results cannot be counted; "
                   "run a smaller workflow"};
  replay seen{run};
  for (auto& each : content.state.entries) {
    auto* bytes = std::get_if<std::string>(&each.what);
    auto line = bytes != nullptr ? from_bytes<host::group_entry>(*bytes) : std::nullopt;
    if (!line || line->service != cluster::hosted_services::scheduler_number)
      continue;
    auto records = from_bytes<batch>(line->payload);
    if (!records)
      return problem{errc::incompatible,
                     "entry " + std::to_string(each.index) + " of the log is of a newer release"};
    for (auto& record : records->records)
      seen.take(record);
  }
  return seen.counted();
}

} // namespace cli
