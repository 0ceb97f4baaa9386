// What does a message cost through troupe, beside raw CAF, in one process and over loopback?
//
// Usage: messaging [MESSAGES]; prints a JSON line for each way. "raw" is a typed message to a
// plain CAF handle (over loopback: CAF's own transport); "find" the same message to a handle
// from node::find; "router" a message by the agent's id. Nothing is pinned; both sides of a
// loopback figure share the machine's cores. A way that fails ends it with an error and status 1:
// also one where fewer messages arrive than were sent. With "open_at_once": so many requests are
// under way all the time, of one actor ("raw" and "agent_handle") or of a program
// ("async_request"). "registry" is no message: a look-up of one of 1,000 agents in what the node
// knows, and of what an actor would take for the same, the "raw" request above. "any" is none,
// either: the choice of one of 10,000 agents for work that any could do, beside "least_of_all", a
// look at the load of each.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <unistd.h>

#include "caf/io/middleman.hpp"
#include "caf/scoped_actor.hpp"
#include "loopback_node.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/router/directory.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/testing/child_process.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using steady = std::chrono::steady_clock;

namespace {

const std::string payload(64, 'x');

[[noreturn]] void fail(const std::string& why) {
  std::cerr << "error: " << why << std::endl;
  std::_Exit(1); // without a wait for the other process
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

struct figures {
  double requests_per_s = 0;
  double p50_us = 0;
  double p99_us = 0;
  double fires_per_s = 0;
};

/// Measures one way to send: `request` sends a text and waits, `fire` only sends, `count` waits
/// until all is through and returns how many texts have come.
figures measure(std::uint64_t messages, const std::function<void()>& request,
                const std::function<void()>& fire, const std::function<std::uint64_t()>& count) {
  figures result;
  auto rounds = std::max<std::uint64_t>(messages / 20, 10);
  std::vector<double> spans;
  auto start = steady::now();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    auto sent = steady::now();
    request();
    spans.push_back(std::chrono::duration<double, std::micro>(steady::now() - sent).count());
  }
  result.requests_per_s
    = static_cast<double>(rounds) / std::chrono::duration<double>(steady::now() - start).count();
  std::ranges::sort(spans);
  result.p50_us = spans[spans.size() / 2];
  result.p99_us = spans[spans.size() * 99 / 100];
  auto before = count();
  start = steady::now();
  for (std::uint64_t each = 0; each < messages; ++each)
    fire();
  if (auto arrived = count() - before; arrived != messages)
    fail(std::to_string(arrived) + " of " + std::to_string(messages) + " messages arrived");
  result.fires_per_s
    = static_cast<double>(messages) / std::chrono::duration<double>(steady::now() - start).count();
  return result;
}

figures through_handle(caf::actor_system& sys, const caf::actor& to, std::uint64_t messages) {
  caf::scoped_actor self{sys};
  auto ask = [&](auto what) {
    std::uint64_t answer = 0;
    self->request(to, 60s, std::move(what))
      .receive([&](std::uint64_t number) { answer = number; },
               [](const caf::error& why) { fail("a request: " + to_string(why)); });
    return answer;
  };
  return measure(
    messages, [&] { ask(payload); }, [&] { caf::anon_send(to, payload); },
    [&] { return ask(std::uint64_t{0}); });
}

/// Messages of class confirm that have not ended.
std::uint32_t unhandled(node& of) {
  caf::scoped_actor self{of.system()};
  std::uint32_t result = 0;
  self->request(of.router(), 60s, router::find_router_statistics{})
    .receive([&](const router::router_statistics& what) { result = what.confirms; },
             [](const caf::error& why) { fail("statistics: " + to_string(why)); });
  return result;
}

figures through_router(node& from, const std::string& agent, std::uint64_t messages,
                       const router::message_options& how = {}) {
  caf::scoped_actor self{from.system()};
  auto ask = [&](auto what) {
    std::uint64_t answer = 0;
    self
      ->request(from.router(), 61s,
                router::dispatch{to_agent(agent), {}, 60s, caf::make_message(std::move(what))})
      .receive([&](std::uint64_t number) { answer = number; },
               [](const caf::error& why) { fail("a request: " + to_string(why)); });
    return answer;
  };
  // As programs do: what is refused is sent again a little later, for a while.
  auto fire = [&] {
    auto send = [&] {
      return is_empty(how) ? from.send(to_agent(agent), payload)
                           : from.send(to_agent(agent), how, payload);
    };
    auto sent = send();
    for (auto tries = 0; sent.error_or().code == errc::limit_reached && tries < 100'000; ++tries) {
      std::this_thread::sleep_for(100us);
      sent = send();
    }
    if (!sent)
      fail("a message: " + sent.error().detail);
  };
  return measure(
    messages, [&] { ask(payload); }, fire,
    [&] {
      while (how.delivery != router::delivery_class::fire && unhandled(from) > 0)
        std::this_thread::sleep_for(100us);
      for (auto tries = 0;; ++tries) { // the question may be refused, too
        auto answer = from.request<std::uint64_t>(to_agent(agent), 60s, std::uint64_t{0});
        if (answer)
          return *answer;
        if (answer.error().code != errc::limit_reached || tries > 100'000)
          fail("a request: " + answer.error().detail);
        std::this_thread::sleep_for(100us);
      }
    });
}

void print(const std::string& where, const std::string& way, const figures& found,
           const figures& raw) {
  nlohmann::ordered_json line{{"benchmark", "messaging"},
                              {"where", where},
                              {"way", way},
                              {"requests_per_s", found.requests_per_s},
                              {"p50_us", found.p50_us},
                              {"p99_us", found.p99_us},
                              {"fires_per_s", found.fires_per_s},
                              {"request_ratio", found.requests_per_s / raw.requests_per_s},
                              {"fire_ratio", found.fires_per_s / raw.fires_per_s}};
  std::cout << line.dump() << std::endl;
}

// -- many requests at once ---------------------------------------------------------------

constexpr std::uint64_t open_at_once = 100;

/// Calls `ask(done)` so often that this many are open all the time, and waits for the last; returns
/// how many there were in a second. `done` is called when one has its answer.
template <class Ask>
double rate_of(std::uint64_t messages, Ask ask) {
  std::atomic<std::uint64_t> begun = 0;
  std::atomic<std::uint64_t> left = messages;
  std::promise<void> all;
  std::function<void()> next = [&] {
    if (begun.fetch_add(1) < messages)
      ask([&] {
        next();
        if (left.fetch_sub(1) == 1)
          all.set_value();
      });
  };
  auto start = steady::now();
  for (std::uint64_t each = 0; each < open_at_once; ++each)
    next();
  if (all.get_future().wait_for(10min) != std::future_status::ready)
    fail("requests without an answer");
  return static_cast<double>(messages)
         / std::chrono::duration<double>(steady::now() - start).count();
}

/// An actor asks, with request() and then().
double rate_of_actor(caf::actor_system& sys, const caf::actor& to, std::uint64_t messages) {
  auto by = sys.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; });
  auto* self = caf::actor_cast<caf::event_based_actor*>(by);
  auto rate = rate_of(messages, [&](std::function<void()> done) {
    run_on(caf::actor_cast<caf::strong_actor_ptr>(by), [self, to, done] {
      self->request(to, 60s, payload)
        .then([done](std::uint64_t) { done(); },
              [](const caf::error& why) { fail("a request: " + to_string(why)); });
    });
  });
  caf::anon_send_exit(by, caf::exit_reason::kill); // the timers of its requests would hold it
  return rate;
}

double rate_of_program(node& from, const std::string& agent, std::uint64_t messages) {
  return rate_of(messages, [&](std::function<void()> done) {
    from.async_request<std::uint64_t>(to_agent(agent), 60s, payload)
      .then([done](const result<std::uint64_t>& answer) {
        if (!answer)
          fail("a request: " + answer.error().detail);
        done();
      });
  });
}

void print_rate(const std::string& where, const std::string& way, double rate, double raw) {
  nlohmann::ordered_json line{
    {"benchmark", "messaging"},     {"where", where},         {"way", way},
    {"open_at_once", open_at_once}, {"requests_per_s", rate}, {"request_ratio", rate / raw}};
  std::cout << line.dump() << std::endl;
}

/// Looks up agents of this node in turn.
void print_look_up(node& me, const figures& raw) {
  constexpr std::size_t agents = 1'000;
  for (std::size_t each = 0; each < agents; ++each)
    if (auto made = me.agent("agent-" + std::to_string(each), [](int x) { return x; }); !made)
      fail(made.error().detail);
  auto registry = me.registry();
  std::vector<double> spans;
  for (std::size_t each = 0; each < 50 * agents; ++each) {
    auto id = "agent-" + std::to_string(each % agents);
    auto begun = steady::now();
    auto found = registry.agent(id);
    spans.push_back(std::chrono::duration<double, std::micro>(steady::now() - begun).count());
    if (!found || !*found)
      fail("no agent " + id);
  }
  std::ranges::sort(spans);
  auto p50 = spans[spans.size() / 2];
  nlohmann::ordered_json line{{"benchmark", "messaging"},
                              {"where", "local"},
                              {"way", "registry"},
                              {"agents", agents},
                              {"p50_us", p50},
                              {"p99_us", spans[spans.size() * 99 / 100]},
                              {"p50_ratio", p50 / raw.p50_us}};
  std::cout << line.dump() << std::endl;
}

/// Chooses agents for work, as a router does for each message to any of them.
void print_any() {
  constexpr std::uint32_t agents = 10'000;
  router::directory places;
  std::vector<router::location> all;
  for (std::uint32_t each = 0; each < agents; ++each) {
    all.push_back({"agent-" + std::to_string(each), {}, {"work"}, {}, each * 7919 % 100});
    places.put(all.back());
  }
  auto us_of_each = [](std::size_t rounds, const std::function<bool()>& choose) {
    auto begun = steady::now();
    for (std::size_t each = 0; each < rounds; ++each)
      if (!choose())
        fail("no agent is chosen");
    return std::chrono::duration<double, std::micro>(steady::now() - begun).count()
           / static_cast<double>(rounds);
  };
  auto least = us_of_each(200, [&] {
    auto found = std::ranges::min_element(all, {}, [](const router::location& each) {
      return std::pair{each.rests || each.ill, each.load};
    });
    return found != all.end();
  });
  auto to = to_any("work");
  auto drawn = us_of_each(
    200'000, [&] { return places.find_one(to, false, troupe::time_point{}).where != nullptr; });
  nlohmann::ordered_json line{
    {"benchmark", "messaging"}, {"where", "local"}, {"way", "any"},
    {"agents", agents},         {"us", drawn},      {"least_of_all_us", least},
    {"ratio", least / drawn}};
  std::cout << line.dump() << std::endl;
}

/// The other process: an agent in a node, and the same behind CAF's own transport.
[[noreturn]] void serve(std::uint16_t join) {
  auto me = benchmark::start_node(join);
  auto agent = me.system().spawn(counter);
  if (!me.add_agent("far", agent))
    std::exit(1);
  caf::actor_system_config cfg;
  configure(cfg);
  caf::actor_system sys{cfg};
  auto raw = sys.spawn(counter);
  auto port = sys.middleman().publish(raw, 0, "127.0.0.1");
  std::cout << (port ? *port : 0) << std::endl;
  for (;;) // until it is killed
    ::pause();
}

} // namespace

int main(int argc, char** argv) {
  troupe::init();
  if (argc > 2)
    serve(static_cast<std::uint16_t>(std::stoul(argv[2])));
  auto messages = argc > 1 ? std::stoull(argv[1]) : 200'000;
  auto me = benchmark::start_node(0);
  auto agent = me.system().spawn(counter);
  if (auto made = me.add_agent("near", agent); !made)
    fail(made.error().detail);
  auto raw = through_handle(me.system(), agent, messages);
  print("local", "raw", raw, raw);
  auto near = me.find("near");
  if (!near)
    fail(near.error().detail);
  print("local", "find", through_handle(me.system(), *near, messages), raw);
  print("local", "router", through_router(me, "near", messages), raw);
  const router::message_options confirmed{.delivery = router::delivery_class::confirm};
  print("local", "confirm", through_router(me, "near", messages, confirmed), raw);
  auto rate = rate_of_actor(me.system(), agent, messages);
  print_rate("local", "raw", rate, rate);
  print_rate("local", "agent_handle", rate_of_actor(me.system(), me.agent_handle("near"), messages),
             rate);
  print_rate("local", "async_request", rate_of_program(me, "near", messages), rate);
  print_look_up(me, raw);
  print_any();

  testing::child_process other{
    {std::filesystem::canonical("/proc/self/exe"), "serve", std::to_string(me.port())}};
  auto port = other.read_line(30s);
  if (!port || *port == "0")
    fail("the other process does not listen");
  {
    caf::actor_system_config cfg;
    configure(cfg);
    caf::actor_system sys{cfg};
    auto far
      = sys.middleman().remote_actor("127.0.0.1", static_cast<std::uint16_t>(std::stoul(*port)));
    if (!far)
      fail("CAF makes no connection: " + to_string(far.error()));
    raw = through_handle(sys, *far, messages);
    print("loopback", "raw", raw, raw);
    rate = rate_of_actor(sys, *far, messages);
    print_rate("loopback", "raw", rate, rate);
  }
  // It was added a moment before this node started, or after.
  if (!testing::comes_true([&] { return me.find("far", 20s).has_value(); }))
    fail("the agent of the other process is not found");
  auto found = me.find("far", 20s);
  if (!found)
    fail(found.error().detail);
  print("loopback", "find", through_handle(me.system(), *found, messages), raw);
  print("loopback", "router", through_router(me, "far", messages), raw);
  print("loopback", "confirm", through_router(me, "far", messages, confirmed), raw);
  print_rate("loopback", "agent_handle",
             rate_of_actor(me.system(), me.agent_handle("far"), messages), rate);
  print_rate("loopback", "async_request", rate_of_program(me, "far", messages), rate);
  other.send_signal(SIGKILL);
  caf::anon_send_exit(agent, caf::exit_reason::kill);
  return 0;
}
