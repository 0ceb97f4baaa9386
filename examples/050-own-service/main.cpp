// A service of one's own, with a client that finds it by its name. It hands out tickets.
#include <chrono>
#include <iostream>

#include "tickets.hpp"
#include "troupe/node/node.hpp"
#include "troupe/node/spawn.hpp"

using namespace std::literals;

int main() {
  troupe::init<caf::id_block::tickets>();
  auto me = troupe::node::start({.listen = {"127.0.0.1", 0}});
  if (!me)
    return 1;
  // In memory; with host::durable as third argument it survives kill -9.
  auto service = troupe::spawn<ticket_service>((*me)->system(), 2);
  (*me)->add_agent("tickets", *service);

  // On any node of the cluster:
  auto handle = (*me)->find<ticket_service::handle>("tickets");
  if (!handle)
    return 1;
  troupe::host::client<ticket_service::protocol> tickets{(*me)->system(), *handle};
  for (auto asked = 0; asked < 3; ++asked)
    if (auto number = tickets.ask(take_ticket{}, 5s))
      std::cout << "ticket " << *number << '\n';
    else
      std::cout << name_of(number.error().code) << ": " << number.error().detail << '\n';
  std::cout << "taken: " << *tickets.ask(count_tickets{}, 5s) << '\n';
}
