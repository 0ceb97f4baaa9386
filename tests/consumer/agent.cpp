// A node with one agent, as somebody writes it first.
#include <chrono>
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"

using namespace std::literals;

int main() {
  auto me = troupe::node::start({.listen = {"127.0.0.1", 0}});
  if (!me) {
    std::cerr << me.error() << '\n';
    return 1;
  }
  auto made = me->agent("echo", [](const std::string& text) { return text; });
  if (!made) {
    std::cerr << made.error() << '\n';
    return 1;
  }
  auto answer = me->request<std::string>(troupe::to_agent("echo"), 10s, "hello"s);
  std::cout << (answer ? *answer : answer.error().detail) << '\n';
  return answer && *answer == "hello" ? 0 : 1;
}
