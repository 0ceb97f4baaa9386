// How many lock pairs (acquire, release) a second, without a disk: by the rules alone, through
// the actor in one process, and over loopback through a client of another node? Rival of the
// actor is a bare CAF actor that answers the same messages and does nothing, the most that any
// actor could reach. Rival of the last is Redis: SET NX PX and a compare-and-delete script,
// its server another process, too. Without redis-server on the PATH its figures are left out.
//
// Usage: memory_lock [SECONDS]; prints a JSON line for each way and number of clients.

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "lock_pairs.hpp"
#include "loopback_node.hpp"
#include "redis_server.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/testing/child_process.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::benchmark;
using steady = std::chrono::steady_clock;

namespace {

void print(const std::string& way, int clients, double found, const std::string& rival = {},
           double rivals = 0) {
  nlohmann::ordered_json line{
    {"benchmark", "memory_lock"}, {"way", way}, {"clients", clients}, {"pairs_per_s", found}};
  if (rivals > 0) {
    line[rival + "_pairs_per_s"] = rivals;
    line["ratio"] = found / rivals;
  }
  std::cout << line.dump() << std::endl;
}

// -- the rules alone -----------------------------------------------------------------

double rules_per_second(seconds span) {
  lock::lock_table table;
  lock::lock_table::effects out;
  table.step({}, 1, lock::configure{}, out);
  request_id id = 1;
  auto start = steady::now();
  auto elapsed = [&] { return seconds{steady::now() - start}; };
  std::uint64_t pairs = 0;
  for (; pairs % 1'024 != 0 || elapsed() < span; ++pairs) {
    out.clear();
    table.step({}, ++id, lock::acquire{"lock", "ann", 10s, 0s}, out);
    auto token = std::get<lock::accepted>(out.back()).value.token;
    table.step({}, ++id, lock::release{"lock", token}, out);
  }
  return static_cast<double>(pairs) / elapsed().count();
}

// -- in one process --------------------------------------------------------------------

/// Says yes to everybody.
caf::behavior yes_man() {
  auto last = std::make_shared<std::uint64_t>(0);
  return {
    [last](const host::call&, const lock::acquire& what) {
      return lock::lease{what.name, what.owner, {++*last}, what.ttl};
    },
    [](const host::call&, const lock::release& what) {
      return lock::lease{what.name, what.name, what.token};
    },
  };
}

/// They take turns, as the machine may have other work.
void compare_with_caf(caf::actor_system& sys, const lock::lock_actor& service, seconds span) {
  constexpr int turns = 4;
  auto bare = caf::actor_cast<lock::lock_actor>(sys.spawn(yes_man));
  for (auto clients : {1, 64}) {
    double found = 0;
    double rivals = 0;
    for (auto turn = 0; turn < turns; ++turn) {
      rivals += pairs_per_second(sys, bare, clients, span / turns) / turns;
      found += pairs_per_second(sys, service, clients, span / turns) / turns;
    }
    print("actor", clients, found, "caf", rivals);
  }
  caf::anon_send_exit(bare, caf::exit_reason::user_shutdown);
}

// -- over loopback -------------------------------------------------------------------

/// One line of pairs through a client of the library, until told to stop.
struct line_of_pairs {
  host::client<lock::lock_protocol> service;
  std::string name;
  std::shared_ptr<std::atomic<std::uint64_t>> pairs;
  std::shared_ptr<std::atomic<bool>> stops;

  static void next(const std::shared_ptr<line_of_pairs>& self) {
    if (*self->stops)
      return;
    auto& name = self->name;
    self->service.async(lock::acquire{name, name, 10s, 0s}, 10s, [self](result<lock::lease> held) {
      if (!held)
        return;
      self->service.async(lock::release{self->name, held->token}, 10s,
                          [self](const result<lock::lease>&) {
                            self->pairs->fetch_add(1, std::memory_order_relaxed);
                            next(self);
                          });
    });
  }
};

double node_pairs_per_second(node& from, int clients, seconds span) {
  auto pairs = std::make_shared<std::atomic<std::uint64_t>>(0);
  auto stops = std::make_shared<std::atomic<bool>>(false);
  auto service = from.locks().service();
  for (auto number = 0; number < clients; ++number)
    line_of_pairs::next(std::make_shared<line_of_pairs>(
      line_of_pairs{service, "lock" + std::to_string(number), pairs, stops}));
  std::this_thread::sleep_for(span / 5); // warm
  auto before = pairs->load();
  auto start = steady::now();
  std::this_thread::sleep_for(span);
  auto result
    = static_cast<double>(pairs->load() - before) / seconds{steady::now() - start}.count();
  *stops = true;
  return result;
}

[[noreturn]] void serve() {
  auto host = start_node(0);
  std::cout << host.port() << std::endl;
  for (;;) // until it is killed
    ::pause();
}

} // namespace

int main(int argc, char** argv) {
  troupe::init();
  if (argc > 1 && argv[1] == "serve"s)
    serve();
  seconds span{argc > 1 ? std::stod(argv[1]) : 2.0};
  print("rules", 1, rules_per_second(span));
  auto me = start_node(0);
  auto memory = host::spawn<lock::lock_service>(me.system());
  compare_with_caf(me.system(), *memory, span);
  caf::anon_send_exit(*memory, caf::exit_reason::user_shutdown);

  testing::child_process other{{std::filesystem::canonical("/proc/self/exe"), "serve"}};
  auto port = other.read_line(30s);
  if (!port)
    return 1;
  auto member = start_node(static_cast<std::uint16_t>(std::stoul(*port)));
  redis_server redis;
  for (auto clients : {1, 16, 64}) {
    auto rival = redis.pairs_per_second(clients, span);
    print("loopback", clients, node_pairs_per_second(member, clients, span), "redis", rival);
  }
  other.send_signal(SIGKILL);
  return 0;
}
