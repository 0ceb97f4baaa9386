// How many no-op tasks a second go through the rules of the scheduler, with two
// workers and nothing else? Beside it, as the rival, the least that could be done: the
// same tasks through a std::priority_queue, without workers, parents, results or fences.
//
// Usage: scheduler_machine [TASKS]

#include "troupe/scheduler/task_scheduler.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <queue>
#include <string>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::scheduler;

namespace {

using clock_type = std::chrono::steady_clock;

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

/// A scheduler with two workers of 64 slots that end whatever they get at once.
class pair_of_workers {
public:
  pair_of_workers() {
    ask(configure{});
    for (auto* name : {"ann", "bob"})
      ask(register_worker{.name = name,
                          .owner = owner_id{"here"},
                          .boot = 1,
                          .capacity = {.slots = 64},
                          .handlers = {"noop"}});
  }

  void ask(const event& what) {
    out_.clear();
    machine_.step(now_ += std::chrono::microseconds{1}, ++last_, what, out_);
  }

  /// Both fetch, run and report until nothing is left.
  void work() {
    for (auto idle = 0; idle < 2;) {
      idle = 0;
      for (std::uint64_t number = 1; number <= 2; ++number) {
        auto& seen = seen_[number - 1];
        auto orders = machine_.answer(watch_assignments{worker_id{number}, 1, seen});
        seen = orders->sequence;
        if (orders->assignments.empty()) {
          ++idle;
          continue;
        }
        report done{worker_id{number}, 1, {}};
        for (auto& each : orders->assignments)
          done.outcomes.push_back({.what = each.what});
        ask(done);
      }
    }
  }

  [[nodiscard]] std::uint64_t completed() const {
    return machine_.answer(find_statistics{}).completed;
  }

private:
  task_scheduler machine_;
  effects out_;
  time_point now_{};
  request_id last_ = 0;
  std::uint64_t seen_[2]{};
};

/// Returns a workflow whose tasks wait for those 1, 8, 27 … places before.
submit graph(std::uint32_t tasks, std::uint32_t parents) {
  submit result{.name = "noop", .tasks = {}};
  result.tasks.reserve(tasks);
  for (std::uint32_t position = 0; position < tasks; ++position) {
    task_spec each{.id = "task" + std::to_string(position), .handler = "noop"};
    for (std::uint32_t back = 1; back <= parents && back * back * back <= position; ++back)
      each.parents.push_back(position - back * back * back);
    result.tasks.push_back(std::move(each));
  }
  return result;
}

/// Returns tasks a second from submission to the last result, best of three.
double measure(const std::vector<event>& work, std::uint64_t tasks) {
  double best = 0;
  for (auto round = 0; round < 3; ++round) {
    pair_of_workers all;
    auto start = clock_type::now();
    for (auto& each : work)
      all.ask(each);
    all.work();
    best = std::max(best, static_cast<double>(tasks) / seconds_since(start));
    if (all.completed() != tasks) {
      std::fprintf(stderr, "error: %llu of %llu tasks completed\n",
                   static_cast<unsigned long long>(all.completed()),
                   static_cast<unsigned long long>(tasks));
      std::exit(1);
    }
  }
  return best;
}

double measure_rival(std::uint32_t tasks) {
  auto work = graph(tasks, 0);
  auto start = clock_type::now();
  std::priority_queue<std::pair<std::int64_t, std::string>> queue;
  std::uint64_t sum = 0;
  for (std::uint32_t position = 0; position < tasks; ++position)
    queue.emplace(-std::int64_t{position}, work.tasks[position].id);
  for (; !queue.empty(); queue.pop())
    sum += queue.top().second.size();
  return sum == 0 ? 0 : tasks / seconds_since(start);
}

} // namespace

int main(int argc, char** argv) {
  auto tasks = static_cast<std::uint32_t>(argc > 1 ? std::stoul(argv[1]) : 100'000);
  auto rival = measure_rival(tasks);
  auto print = [&](const char* shape, double rate) {
    // ready, running and completed: three changes of state for each task
    std::printf("{\"benchmark\":\"scheduler_machine\",\"shape\":\"%s\",\"tasks\":%u,"
                "\"tasks_per_s\":%.0f,\"transitions_per_s\":%.0f,"
                "\"priority_queue_per_s\":%.0f,\"ratio\":%.3f}\n",
                shape, tasks, rate, 3 * rate, rival, rate / rival);
  };
  print("one wide workflow", measure({graph(tasks, 0)}, tasks));
  print("narrow, three parents each", measure({graph(tasks, 3)}, tasks));
  print("chain", measure({graph(tasks, 1)}, tasks));
  print("workflows of one", measure(std::vector<event>(tasks, graph(1, 0)), tasks));
  return 0;
}
