// Two agents in one process. An agent is what has a name and answers messages; a node is the
// process they live in.
#include <chrono>
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"

using namespace std::literals;

int main() {
  troupe::init(); // once, before anything else of troupe
  auto started = troupe::node::start({.listen = {"127.0.0.1", 0}});
  if (!started) {
    std::cerr << "error: " << started.error().detail << '\n';
    return 1;
  }
  auto& me = **started;

  // What a function takes is what the agent understands, what it returns is the answer.
  me.agent("greeter", [](const std::string& name) { return "hello, " + name; });
  me.agent("counter", [count = 0](const std::string& text) mutable {
    return std::to_string(++count) + ": " + text;
  });

  for (auto* name : {"ada", "grace"}) {
    auto greeting = me.request<std::string>(troupe::to_agent("greeter"), 5s, std::string{name});
    if (!greeting)
      return 1;
    auto counted = me.request<std::string>(troupe::to_agent("counter"), 5s, *greeting);
    if (!counted)
      return 1;
    std::cout << *counted << '\n';
  }
  auto nobody = me.request<std::string>(troupe::to_agent("gretel"), 5s, "hello?"s);
  std::cout << name_of(nobody.error().code) << '\n';
}
