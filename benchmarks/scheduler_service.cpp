// How many no-op tasks a second go from a client through the scheduler and two workers
// of this process, everything in memory, and how long is one task under way? Beside
// it, as the rival, bare CAF: as many requests to two actors that answer at once, with
// as many under way, and one at a time.
//
// Usage: scheduler_service [TASKS] [SINGLE_TASKS]

#include "troupe/scheduler/scheduler_service.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/host/client.hpp"
#include "troupe/scheduler/worker.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;

namespace {

using clock_type = std::chrono::steady_clock;
using client = host::client<scheduler_protocol>;

constexpr std::uint32_t slots = 64;

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

template <class T>
T check(result<T> answer) {
  if (answer)
    return *std::move(answer);
  std::fprintf(stderr, "error: %s\n", answer.error().detail.c_str());
  std::exit(1);
}

submit graph(std::uint32_t tasks) {
  submit result{.name = "noop", .tasks = {}};
  for (std::uint32_t position = 0; position < tasks; ++position)
    result.tasks.push_back({.id = "task" + std::to_string(position), .handler = "noop"});
  return result;
}

/// Waits for the end of a run.
void wait_for(client& all, run_id run) {
  for (std::uint64_t seen = 0;;) {
    auto news = check(all.ask(watch_run{.run = run, .after = seen, .wait = 20s}, 30s));
    if (is_final(news.run.state))
      return;
    seen = news.revision;
  }
}

/// Submits a workflow so many times, then waits for the end of all.
void run(client& all, const submit& what, std::uint32_t times = 1) {
  std::vector<run_id> runs;
  while (runs.size() < times)
    runs.push_back(check(all.ask(what, 30s)).run);
  for (auto each : runs)
    wait_for(all, each);
}

struct bare_result {
  double per_second = 0;
  double median_us = 0;
};

/// Sends `count` requests to two actors, `window` under way at a time.
bare_result bare(caf::actor_system& sys, std::uint32_t count, std::uint32_t window) {
  auto echo = [](caf::event_based_actor*) -> caf::behavior {
    return {[](std::uint64_t number) { return number; }};
  };
  caf::actor workers[]{sys.spawn(echo), sys.spawn(echo)};
  caf::scoped_actor self{sys};
  std::vector<double> spans;
  auto start = clock_type::now();
  for (std::uint32_t sent = 0; sent < count;) {
    auto round = clock_type::now();
    auto burst = std::min(window, count - sent);
    for (std::uint32_t each = 0; each < burst; ++each)
      self->send(workers[each % 2], std::uint64_t{sent + each});
    for (std::uint32_t each = 0; each < burst; ++each)
      self->receive([](std::uint64_t) {});
    sent += burst;
    spans.push_back(seconds_since(round) * 1e6);
  }
  bare_result result{count / seconds_since(start), 0};
  std::ranges::nth_element(spans, spans.begin() + static_cast<std::ptrdiff_t>(spans.size() / 2));
  result.median_us = spans[spans.size() / 2];
  for (auto& each : workers)
    self->send_exit(each, caf::exit_reason::user_shutdown);
  return result;
}

} // namespace

int main(int argc, char** argv) {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_scheduler>();
  auto tasks = static_cast<std::uint32_t>(argc > 1 ? std::stoul(argv[1]) : 100'000);
  auto singles = static_cast<std::uint32_t>(argc > 2 ? std::stoul(argv[2]) : 1'000);
  caf::actor_system_config cfg;
  cfg.set("caf.scheduler.policy", "sharing");
  caf::actor_system sys{cfg};
  auto service = host::spawn<scheduler_service>(sys);
  if (!service)
    return 1;
  {
    client all{sys, *service};
    task_handlers handlers;
    std::atomic<clock_type::time_point> started{};
    handlers.handle_async("noop", [&started](const task_call& call) {
      started = clock_type::now();
      call.finish(std::string{});
    });
    worker ann{sys,     all, owner_id{"here"}, 1, {.name = "ann", .capacity = {.slots = slots}},
               handlers};
    worker bob{sys,     all, owner_id{"here"}, 1, {.name = "bob", .capacity = {.slots = slots}},
               handlers};
    for (auto size : {tasks, std::min(tasks, 1'000U)}) {
      auto what = graph(size);
      run(all, what); // warm
      auto start = clock_type::now();
      run(all, what, tasks / size);
      auto rate = tasks / seconds_since(start);
      auto rival = bare(sys, tasks, 2 * slots);
      std::printf("{\"benchmark\":\"scheduler_service\",\"shape\":\"workflows of %u tasks\","
                  "\"tasks\":%u,\"workers\":2,\"tasks_per_s\":%.0f,\"caf_requests_per_s\":%.0f,"
                  "\"ratio\":%.3f}\n",
                  size, tasks, rate, rival.per_second, rate / rival.per_second);
    }

    std::vector<double> spans;
    std::vector<double> to_start; // from the call of submit to the handler
    auto single = graph(1);
    for (std::uint32_t each = 0; each < singles; ++each) {
      auto begin = clock_type::now();
      run(all, single);
      spans.push_back(seconds_since(begin) * 1e6);
      to_start.push_back(std::chrono::duration<double>(started.load() - begin).count() * 1e6);
    }
    std::ranges::sort(spans);
    std::ranges::sort(to_start);
    auto rival_single = bare(sys, singles, 1);
    std::printf("{\"benchmark\":\"scheduler_service\",\"shape\":\"one task at a time\","
                "\"tasks\":%u,\"workers\":2,\"p50_us\":%.0f,\"p99_us\":%.0f,"
                "\"submit_to_start_p50_us\":%.0f,\"submit_to_start_p99_us\":%.0f,"
                "\"caf_request_p50_us\":%.0f,\"ratio\":%.1f}\n",
                singles, spans[spans.size() / 2], spans[spans.size() * 99 / 100],
                to_start[to_start.size() / 2], to_start[to_start.size() * 99 / 100],
                rival_single.median_us, spans[spans.size() / 2] / rival_single.median_us);
  }
  caf::anon_send_exit(*service, caf::exit_reason::user_shutdown);
  return 0;
}
