// A service of your own next to those of the cluster: it hands out tickets, each number once.
//
//     example_own-service                      in memory, three tickets
//     example_own-service PORT FOLDER [PORT TOKEN]   a node of a cluster, the port of another one,
//                                                    and what troupe ca invite printed: start
//                                                    three, and end any with kill -9
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "tickets.hpp"
#include "troupe/node/node.hpp"

using namespace std::literals;

int main(int count, char** words) {
  troupe::init<tickets>(); // registers its messages
  troupe::node_options options{.listen = {"127.0.0.1", 0}};
  auto goes_on = count > 2;
  auto port = [words](int which) { return static_cast<std::uint16_t>(std::atoi(words[which])); };
  if (goes_on) {
    options.listen.port = port(1);
    options.data = words[2];
  }
  if (count > 3)
    options.join = {{"127.0.0.1", port(3)}};
  if (count > 4)
    options.token = words[4];
  // [use]
  options.services.add<ticket_service>("tickets", goes_on ? 1'000'000 : 2);
  auto me = troupe::node::start(options);
  if (!me) {
    std::cerr << me.error() << '\n';
    return 1;
  }
  auto client = me->service<ticket_service>("tickets"); // on any node of the cluster
  for (auto asked = 0; goes_on || asked < 3; ++asked) {
    if (auto number = client.ask(take_ticket{}, 10s))
      std::cout << "ticket " << *number << std::endl;
    else
      std::cout << number.error() << std::endl;
    if (goes_on)
      std::this_thread::sleep_for(20ms);
  }
  std::cout << "taken: " << *client.ask(count_tickets{}, 5s) << '\n';
  // [use]
}
