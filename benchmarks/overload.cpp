// How long does a message of the highest priority wait for an agent that gets more than it can do?
//
// Usage: overload [PROBES]; prints a JSON line for an agent in this process and one in another, and
// for each time that it needs for a message. "idle": a critical request now and then, and nothing
// else; "loaded": the same while one thread sends messages of normal priority as fast as they are
// taken, and another asks with low priority, one request at a time that waits for room. "ratio" is
// loaded beside idle; the time of the agent for the request itself is in both. "low_per_s" and
// "normal_per_s" are what the agent did meanwhile. Nothing is pinned. A request that fails ends it
// with an error and status 1.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <unistd.h>

#include "loopback_node.hpp"
#include "troupe/testing/child_process.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using steady = std::chrono::steady_clock;

/// What an agent has done.
struct tally {
  std::uint64_t normal = 0;
  std::uint64_t low = 0;

  TROUPE_FIELDS(tally, normal, low);
};

TROUPE_MESSAGES(overload_messages, tally);

namespace {

[[noreturn]] void fail(const std::string& why) {
  std::cerr << "error: " << why << std::endl;
  std::_Exit(1); // without a wait for the other process
}

enum kind : std::uint64_t { normal, low, probe };

/// Adds an agent that works so long for each message, and says how many of each kind it has done.
void add_slow(node& me, const std::string& name, std::chrono::microseconds work) {
  auto done = std::make_shared<tally>();
  agent_options how;
  how.inbox.max_messages = 1'000;
  auto made = me.agent(name, std::move(how), [done, work](std::uint64_t what) {
    for (auto until = steady::now() + work; steady::now() < until;) {
    }
    done->normal += what == normal ? 1 : 0;
    done->low += what == low ? 1 : 0;
    return *done;
  });
  if (!made)
    fail(made.error().detail);
}

struct figures {
  double p50_us = 0;
  double p99_us = 0;
  /// What the agent has done by then.
  tally done;
  steady::time_point at{};
};

figures ask(node& me, const std::string& agent, std::size_t probes) {
  std::vector<double> spans;
  figures made;
  const router::message_options critical{.priority = router::message_priority::critical};
  for (std::size_t each = 0; each < probes; ++each) {
    std::this_thread::sleep_for(3ms);
    auto sent = steady::now();
    auto answer = me.request<tally>(to_agent(agent), 60s, critical, std::uint64_t{probe});
    if (!answer)
      fail("a request: " + answer.error().detail);
    made.done = *answer;
    made.at = steady::now();
    spans.push_back(std::chrono::duration<double, std::micro>(made.at - sent).count());
  }
  std::ranges::sort(spans);
  made.p50_us = spans[spans.size() / 2];
  made.p99_us = spans[spans.size() * 99 / 100];
  return made;
}

/// Sends until `ends`; what is refused is sent again a little later.
void flood(node& me, const std::string& agent, const std::atomic<bool>& ends,
           std::atomic<bool>& is_refused) {
  while (!ends) {
    auto sent = me.send(to_agent(agent), std::uint64_t{normal});
    if (sent)
      continue;
    if (sent.error().code != errc::limit_reached)
      fail("a message: " + sent.error().detail);
    is_refused = true;
    std::this_thread::sleep_for(500us);
  }
}

/// Asks until `ends`, one request at a time, each of which waits for room.
void ask_patiently(node& me, const std::string& agent, const std::atomic<bool>& ends) {
  const router::message_options how{.priority = router::message_priority::low,
                                    .wait_for_room = true};
  while (!ends) {
    auto answer = me.request<tally>(to_agent(agent), 60s, how, std::uint64_t{low});
    if (!answer && answer.error().code != errc::limit_reached) // others may have filled it since
      fail("a request of low priority: " + answer.error().detail);
  }
}

void measure(node& me, const std::string& where, std::chrono::microseconds work,
             std::size_t probes) {
  auto agent = where + '-' + std::to_string(work.count());
  auto idle = ask(me, agent, probes);
  std::atomic<bool> ends = false;
  std::atomic<bool> is_full = false;
  std::thread many{[&] { flood(me, agent, ends, is_full); }};
  std::thread few{[&] { ask_patiently(me, agent, ends); }};
  while (!is_full)
    std::this_thread::sleep_for(1ms);
  auto before = ask(me, agent, 20); // by now it is known how slow the agent is
  auto loaded = ask(me, agent, probes);
  ends = true;
  many.join();
  few.join();
  auto rate_of
    = [span = std::chrono::duration<double>(loaded.at - before.at).count()](
        std::uint64_t from, std::uint64_t to) { return static_cast<double>(to - from) / span; };
  nlohmann::ordered_json line{{"benchmark", "overload"},
                              {"where", where},
                              {"work_us", work.count()},
                              {"idle_p50_us", idle.p50_us},
                              {"idle_p99_us", idle.p99_us},
                              {"loaded_p50_us", loaded.p50_us},
                              {"loaded_p99_us", loaded.p99_us},
                              {"p50_ratio", loaded.p50_us / idle.p50_us},
                              {"p99_ratio", loaded.p99_us / idle.p99_us},
                              {"normal_per_s", rate_of(before.done.normal, loaded.done.normal)},
                              {"low_per_s", rate_of(before.done.low, loaded.done.low)}};
  std::cout << line.dump() << std::endl;
}

constexpr std::array works{100us, 1'000us, 10'000us};

void add_all(node& me, const std::string& where) {
  for (auto each : works)
    add_slow(me, where + '-' + std::to_string(each.count()), each);
}

/// The other process.
[[noreturn]] void serve(std::uint16_t join) {
  auto me = benchmark::start_node(join);
  add_all(me, "far");
  std::cout << "ready" << std::endl;
  for (;;) // until it is killed
    ::pause();
}

} // namespace

int main(int argc, char** argv) {
  troupe::init<overload_messages>();
  if (argc > 2)
    serve(static_cast<std::uint16_t>(std::stoul(argv[2])));
  auto probes = argc > 1 ? std::stoull(argv[1]) : 1'000;
  auto me = benchmark::start_node(0);
  add_all(me, "near");
  for (auto each : works)
    measure(me, "near", each, probes);
  testing::child_process other{
    {std::filesystem::canonical("/proc/self/exe"), "serve", std::to_string(me.port())}};
  if (!other.read_line(30s))
    fail("the other process does not start");
  for (auto each : works)
    if (auto agent = "far-" + std::to_string(each.count());
        !testing::comes_true([&] { return me.find(agent, 20s).has_value(); }))
      fail("agent " + agent + " is not found");
  for (auto each : works)
    measure(me, "far", each, probes);
  other.send_signal(SIGKILL);
  std::_Exit(0); // without what waits for the agents here
}
