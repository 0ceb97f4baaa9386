// A lock service on one node, used from another. Both nodes are in this process to keep the
// program short; in two processes the lines are the same.
#include <chrono>
#include <iostream>

#include "troupe/node/node.hpp"

using namespace std::literals;

// [lock]
int main() {
  // The first node of a cluster spawns its services, locks among them; give it a data folder
  // and they survive kill -9.
  troupe::node_options first{.listen = {"127.0.0.1", 0}};
  first.services.locks.max_locks = 100;
  auto a = troupe::node::start(first);
  if (!a)
    return 1;
  // Another node joins and holds a lock for as long as `key` lives, renewed in the background.
  auto b = troupe::node::start(
    {.listen = {"127.0.0.1", 0}, .join = {{"127.0.0.1", a->port()}}, .token = a->invite().value()});
  if (!b)
    return 1;
  auto key = b->hold("front door", {.ttl = 5s, .label = "b"});
  std::cout << "b holds it: " << (key && key->held()) << '\n';
  auto second = a->locks().acquire("front door");
  std::cout << "a gets: " << name_of(second.error().code) << '\n';
}
// [lock]
