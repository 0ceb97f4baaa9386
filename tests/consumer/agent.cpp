// A node with one agent, as somebody writes it first.
#include <chrono>
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"

using namespace std::literals;

int main() {
  troupe::init();
  auto me = troupe::node::start({.listen = {"127.0.0.1", 0}});
  if (!me) {
    std::cerr << me.error().detail << '\n';
    return 1;
  }
  auto why = (*me)->agent("echo", [](const std::string& text) { return text; });
  if (why.code != troupe::errc::none) {
    std::cerr << why.detail << '\n';
    return 1;
  }
  auto answer = (*me)->request<std::string>(troupe::to_agent("echo"), 10s, "hello"s);
  std::cout << (answer ? *answer : answer.error().detail) << '\n';
  return answer && *answer == "hello" ? 0 : 1;
}
