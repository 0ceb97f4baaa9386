// What does a message cost that is delivered until it is handled, in memory (class confirm) and
// kept on the sender's disk until then (synced)? Beside them messages that are only sent (fire),
// and Redis: XADD to a stream, with appendfsync always and its file beside ours, of which a reader
// of a group takes them (XREADGROUP) and acknowledges them (XACK). Without redis-server on the PATH
// its figures are left out.
//
// Ours are two processes over loopback: the senders' node, which has a data folder, and a node with
// the agent. Senders are threads that wait until a message of 64 bytes is accepted before they send
// another one; of "synced_async" there is one program with as many open at once. Redis's are
// connections that wait for the answer to each XADD, in one thread. Nothing is pinned; all share
// the machine's cores. What is refused for lack of room is sent again 0.1 ms later, and is timed
// from the first try.
//
// Usage: kept_messages [--OPTION VALUE]...
//   --what fire,confirm,synced,synced_async   all
//   --senders 1,64
//   --turns 3        of each way, in turns; figures are medians
//   --seconds 1      of each turn, in which messages are sent
//   --folder DIR     for the data; the system's for temporary files
//
// Prints a JSON line for each way and number of senders. msg_per_s counts until the agent has
// handled all that was accepted; an agent that got fewer or more is an error, status 1. p50_us and
// p99_us are the time until a message is accepted. A ratio is that of medians; least and most are
// of single turns.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <unistd.h>

#include "caf/scoped_actor.hpp"
#include "closed_loop.hpp"
#include "loopback_node.hpp"
#include "redis_server.hpp"
#include "redis_stream.hpp"
#include "settings.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/testing/child_process.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::benchmark;
using router::delivery_class;
using router::durability;
using router::message_options;

namespace {

settings asked{{
  {"what", "fire,confirm,synced,synced_async"},
  {"senders", "1,64"},
  {"turns", "3"},
  {"seconds", "1"},
  {"folder", ""},
}};

const std::string payload(64, 'x');
const auto agent = to_agent("far");
constexpr auto send_again_after = 100us;

[[noreturn]] void fail(const std::string& doing, const problem& why) {
  throw std::runtime_error{doing + ": " + why.detail};
}

/// Answers a text with its length, a number with how many texts have come.
caf::behavior counter() {
  auto seen = std::make_shared<std::uint64_t>(0);
  return {
    [seen](const std::string& text) {
      ++*seen;
      return static_cast<std::uint64_t>(text.size());
    },
    [seen](std::uint64_t) { return *seen; },
  };
}

double microseconds_since(steady::time_point start) {
  return std::chrono::duration<double, std::micro>(steady::now() - start).count();
}

// -- ways to send ----------------------------------------------------------------------

/// Sends until `end`; returns how long each message took to be accepted, in microseconds.
std::vector<double> send_one_by_one(node& from, const message_options& how,
                                    steady::time_point end) {
  std::vector<double> took;
  while (steady::now() < end) {
    auto begun = steady::now();
    auto sent = from.send(agent, how, payload);
    while (sent.error_or().code == errc::limit_reached) {
      std::this_thread::sleep_for(send_again_after);
      sent = from.send(agent, how, payload);
    }
    if (!sent)
      fail("a message", sent.error());
    took.push_back(microseconds_since(begun));
  }
  return took;
}

std::vector<double> send_by_threads(node& from, const message_options& how, std::size_t senders,
                                    steady::time_point end) {
  std::vector<std::future<std::vector<double>>> all;
  for (std::size_t each = 0; each < senders; ++each)
    all.push_back(std::async(std::launch::async,
                             [&from, &how, end] { return send_one_by_one(from, how, end); }));
  std::vector<double> took;
  for (auto& each : all) {
    auto its = each.get();
    took.insert(took.end(), its.begin(), its.end());
  }
  return took;
}

/// As many messages of one program at once: the handler of each sends the next one.
class open_sends {
public:
  open_sends(node& from, const message_options& how, steady::time_point end)
    : from_(&from), how_(how), end_(end) {}

  std::vector<double> run(std::size_t count) {
    open_ = count;
    refused_.assign(count, steady::now());
    std::unique_lock guard{mutex_};
    while (open_ > 0) {
      changed_.wait(guard, [this] { return open_ == 0 || !refused_.empty(); });
      auto again = std::exchange(refused_, {});
      guard.unlock();
      for (auto begun : again)
        send(begun);
      std::this_thread::sleep_for(send_again_after);
      guard.lock();
    }
    if (why_)
      fail("a message", why_);
    return std::move(took_);
  }

private:
  void send(steady::time_point begun) {
    from_->async_send(agent, how_, payload).then([this, begun](const result<void>& accepted) {
      if (is_to_go_on(begun, accepted))
        send(steady::now());
    });
  }

  bool is_to_go_on(steady::time_point begun, const result<void>& accepted) {
    std::lock_guard guard{mutex_};
    if (accepted) {
      took_.push_back(microseconds_since(begun));
      if (steady::now() < end_)
        return true;
      --open_;
    } else if (accepted.error().code == errc::limit_reached) {
      refused_.push_back(begun);
    } else {
      why_ = accepted.error();
      --open_;
    }
    changed_.notify_one();
    return false;
  }

  node* from_;
  message_options how_;
  steady::time_point end_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t open_ = 0;
  /// When each was tried first.
  std::vector<steady::time_point> refused_;
  std::vector<double> took_;
  problem why_;
};

// -- what the agent has ----------------------------------------------------------------

std::uint64_t count_handled(node& from) {
  for (;;) { // the question may be refused, too
    auto found = from.request<std::uint64_t>(agent, 60s, std::uint64_t{0});
    if (found)
      return *found;
    if (found.error().code != errc::limit_reached)
      fail("the agent's count", found.error());
    std::this_thread::sleep_for(1ms);
  }
}

/// Waits until no message of class confirm is left that has not ended.
void await_handled(node& from) {
  caf::scoped_actor self{from.system()};
  auto left = [&] {
    std::uint32_t count = 0;
    self->request(from.router(), 60s, router::find_router_statistics{})
      .receive([&](const router::router_statistics& what) { count = what.confirms; },
               [](const caf::error& why) { throw std::runtime_error{to_string(why)}; });
    return count;
  };
  for (auto end = steady::now() + 60s; left() > 0;) {
    if (steady::now() > end)
      throw std::runtime_error{"messages that are not handled in a minute"};
    std::this_thread::sleep_for(1ms);
  }
}

bool is_synced(const std::string& way) {
  return way.starts_with("synced");
}

figures run(node& from, const std::string& way, std::size_t senders, seconds span) {
  message_options how;
  if (way != "fire")
    how.delivery = delivery_class::confirm;
  if (is_synced(way))
    how.durability = durability::synced;
  auto before = count_handled(from);
  auto start = steady::now();
  auto end = start + std::chrono::duration_cast<steady::duration>(span);
  auto took = way == "synced_async" ? open_sends{from, how, end}.run(senders)
                                    : send_by_threads(from, how, senders, end);
  await_handled(from);
  auto handled = count_handled(from) - before; // behind all that was fired
  if (handled != took.size())
    throw std::runtime_error{way + ": the agent has handled " + std::to_string(handled) + " of "
                             + std::to_string(took.size()) + " messages"};
  figures made;
  made.per_s = static_cast<double>(handled) / seconds{steady::now() - start}.count();
  made.p50_us = quantile(took, 0.5);
  made.p99_us = quantile(std::move(took), 0.99);
  return made;
}

// -- all of it -------------------------------------------------------------------------

std::vector<double> all_of(const std::vector<figures>& turns, double figures::*field) {
  std::vector<double> values;
  for (auto& each : turns)
    values.push_back(each.*field);
  return values;
}

double median(const std::vector<figures>& turns, double figures::*field) {
  return quantile(all_of(turns, field), 0.5);
}

using json_line = nlohmann::ordered_json;

void add_figures(json_line& line, const std::string& prefix, const std::vector<figures>& turns) {
  auto rates = all_of(turns, &figures::per_s);
  line[prefix + "msg_per_s"] = quantile(rates, 0.5);
  line[prefix + "msg_per_s_least"] = std::ranges::min(rates);
  line[prefix + "msg_per_s_most"] = std::ranges::max(rates);
  line[prefix + "p50_us"] = median(turns, &figures::p50_us);
  line[prefix + "p99_us"] = median(turns, &figures::p99_us);
}

void add_ratio(json_line& line, const std::string& name, const std::vector<figures>& ours,
               const std::vector<figures>& theirs, double figures::*field) {
  line[name] = median(ours, field) / median(theirs, field);
  std::vector<double> ratios;
  for (std::size_t turn = 0; turn < ours.size(); ++turn)
    ratios.push_back(ours[turn].*field / (theirs[turn].*field));
  line[name + "_least"] = std::ranges::min(ratios);
  line[name + "_most"] = std::ranges::max(ratios);
}

void compare(node& from, const redis_server& redis, std::size_t senders) {
  auto ways = asked.list_of("what");
  auto has_rival = redis.is_up() && std::ranges::any_of(ways, is_synced);
  seconds span{std::stod(asked.at("seconds"))};
  std::map<std::string, std::vector<figures>> found;
  std::vector<figures> theirs;
  for (auto turn = std::stoi(asked.at("turns")); turn > 0; --turn) {
    for (auto& way : ways)
      found[way].push_back(run(from, way, senders, span));
    if (has_rival)
      theirs.push_back(redis_stream{redis}.run(senders, payload, span));
  }
  for (auto& way : ways) {
    auto& ours = found.at(way);
    json_line line{{"benchmark", "kept_messages"}, {"way", way}, {"senders", senders}};
    add_figures(line, "", ours);
    if (way == "confirm" && found.contains("fire"))
      add_ratio(line, "fire_ratio", ours, found.at("fire"), &figures::per_s);
    if (is_synced(way) && !theirs.empty()) {
      add_figures(line, "redis_", theirs);
      add_ratio(line, "ratio", ours, theirs, &figures::per_s);
      add_ratio(line, "p50_ratio", ours, theirs, &figures::p50_us);
    }
    std::cout << line.dump() << std::endl;
  }
}

int run_in(const std::filesystem::path& folder) {
  std::filesystem::create_directory(folder / "redis");
  auto me = start_node(0, folder / "troupe");
  testing::child_process other{
    {std::filesystem::canonical("/proc/self/exe"), "serve", std::to_string(me.port())}};
  if (!other.read_line(30s)
      || !testing::comes_true([&] { return me.find("far", 20s).has_value(); }))
    throw std::runtime_error{"the agent of the other process is not found"};
  redis_server redis{folder / "redis"};
  for (auto& senders : asked.list_of("senders"))
    compare(me, redis, std::stoul(senders));
  other.send_signal(SIGKILL);
  return 0;
}

/// The other process.
[[noreturn]] void serve(std::uint16_t join) {
  auto me = start_node(join);
  if (auto made = me.add_agent("far", me.system().spawn(counter)); !made)
    std::exit(1);
  std::cout << "ready" << std::endl;
  for (;;) // until it is killed
    ::pause();
}

} // namespace

int main(int argc, char** argv) {
  troupe::init();
  if (argc == 3 && argv[1] == "serve"s)
    serve(static_cast<std::uint16_t>(std::stoul(argv[2])));
  if (!asked.read(argc, argv, "benchmarks/kept_messages.cpp"))
    return 2;
  return in_new_folder(asked.at("folder"), "kept_messages", run_in);
}
