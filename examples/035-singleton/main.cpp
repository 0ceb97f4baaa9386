// An agent of which the cluster runs one at a time, offered by two nodes. Both are in this process
// to keep the program short; in two processes the lines are the same.
#include <chrono>
#include <iostream>
#include <string>
#include <thread>

#include "troupe/node/node.hpp"

using namespace std::literals;

// [singleton]
/// Each node offers it; who holds the lock "singleton/numbers" runs it.
troupe::cluster::singleton offer(troupe::node& me) {
  auto where = me.name();
  return me
    .singleton("numbers", {.ttl = 2s},
               [where, last = 0](const std::string&) mutable {
                 return where + " says " + std::to_string(++last);
               })
    .value();
}
// [singleton]

/// Asks until some node runs it.
std::string ask(troupe::node& from) {
  for (;;) {
    if (auto answer = from.request<std::string>(troupe::to_agent("numbers"), 5s, "next"s))
      return *answer;
    std::this_thread::sleep_for(50ms);
  }
}

int main() {
  auto a = troupe::node::start({.name = "a", .listen = {"127.0.0.1", 0}});
  if (!a)
    return 1;
  auto on_a = offer(*a);
  std::cout << ask(*a) << '\n';
  auto b = troupe::node::start({.name = "b",
                                .listen = {"127.0.0.1", 0},
                                .join = {{"127.0.0.1", a->port()}},
                                .token = a->invite().value()});
  if (!b)
    return 1;
  auto on_b = offer(*b);
  std::cout << ask(*b) << '\n';
  // Without this, as where its process is killed, b would wait for the end of the lease.
  if (!on_a.end())
    return 1;
  std::cout << ask(*a) << '\n';
}
