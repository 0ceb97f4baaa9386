// Two processes. The first founds a cluster and has the agent "pong"; the second knows one
// address and has an invitation, joins, and asks the agent by its name.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"
#include "troupe/testing/child_process.hpp"

using namespace std::literals;

namespace {

int fail(const troupe::problem& why) {
  std::cerr << "error: " << why << '\n';
  return 1;
}

// [ping]
int ping(std::uint16_t port, const std::string& token) {
  auto me = troupe::node::start(
    {.listen = {"127.0.0.1", 0}, .join = {{"127.0.0.1", port}}, .token = token});
  if (!me)
    return fail(me.error());
  for (auto number = 1; number <= 3; ++number) {
    auto answer = me->request<int>(troupe::to_agent("pong"), 5s, number);
    if (!answer)
      return fail(answer.error());
    std::cout << "ping " << number << ", pong " << *answer << std::endl;
  }
  return 0;
}
// [ping]

} // namespace

int main(int argc, char** argv) {
  if (argc == 3)
    return ping(static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10)), argv[2]);

  // [pong]
  auto me = troupe::node::start({.listen = {"127.0.0.1", 0}});
  if (!me)
    return fail(me.error());
  me->agent("pong", [](int number) { return number * 10; }).value();
  // [pong]

  // [child]
  auto token = me->invite().value(); // for one node, within 15 minutes
  troupe::testing::child_process other{{argv[0], std::to_string(me->port()), token}};
  while (auto line = other.read_line())
    std::cout << *line << std::endl;
  std::cout << "the other process ended with " << other.wait_for_end().value_or(-1) << std::endl;
  // [child]
}
