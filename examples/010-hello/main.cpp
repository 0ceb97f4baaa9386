// Two agents in one process. An agent is an actor with a name that answers messages; a node is the
// process that it runs in.
#include <chrono>
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"

using namespace std::literals;

int main() {
  auto me = troupe::node::start({.listen = {"127.0.0.1", 0}});
  if (!me) { // a call returns a value, or the problem that prevented it
    std::cerr << "error: " << me.error() << '\n';
    return 1;
  }

  // The parameter of a function is the message, its return value is the answer.
  me->agent("greeter", [](const std::string& name) { return "hello, " + name; }).value();
  me->agent("counter",
            [count = 0](const std::string& text) mutable {
              return std::to_string(++count) + ": " + text;
            })
    .value(); // throws if there is a problem

  for (auto* name : {"ada", "grace"}) {
    auto greeting = me->request<std::string>(troupe::to_agent("greeter"), 5s, std::string{name});
    auto counted = greeting.and_then([&](const std::string& text) {
      return me->request<std::string>(troupe::to_agent("counter"), 5s, text);
    });
    std::cout << counted.value() << '\n';
  }
  auto nobody = me->request<std::string>(troupe::to_agent("gretel"), 5s, "hello?"s);
  std::cout << name_of(nobody.error().code) << '\n';
}
