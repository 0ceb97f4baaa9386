// Two processes. The first founds a cluster and has the agent "pong"; the second knows one
// address, joins, and asks the agent by its name.
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
  std::cerr << "error: " << why.detail << '\n';
  return 1;
}

int ping(std::uint16_t port) {
  auto me = troupe::node::start({.listen = {"127.0.0.1", 0}, .join = {{"127.0.0.1", port}}});
  if (!me)
    return fail(me.error());
  if (!(*me)->wait_joined(10s))
    return fail({troupe::errc::timed_out, "the cluster did not answer within 10 s"});
  // News of agents arrive shortly after the node has joined.
  auto deadline = std::chrono::steady_clock::now() + 10s;
  auto pong = (*me)->find("pong");
  while (!pong && std::chrono::steady_clock::now() < deadline)
    pong = (*me)->find("pong");
  for (auto number = 1; number <= 3; ++number) {
    auto answer = (*me)->request<int>(troupe::to_agent("pong"), 5s, number);
    if (!answer)
      return fail(answer.error());
    std::cout << "ping " << number << ", pong " << *answer << std::endl;
  }
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  troupe::init();
  if (argc == 2)
    return ping(static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10)));

  auto me = troupe::node::start({.listen = {"127.0.0.1", 0}});
  if (!me)
    return fail(me.error());
  (*me)->agent("pong", [](int number) { return number * 10; });

  troupe::testing::child_process other{{argv[0], std::to_string((*me)->port())}};
  while (auto line = other.read_line())
    std::cout << *line << std::endl;
  std::cout << "the other process ended with " << other.wait_for_end().value_or(-1) << std::endl;
}
