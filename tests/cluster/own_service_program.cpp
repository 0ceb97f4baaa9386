// Nodes whose programs bring services of their own, and clients of these.
//
// Usage: own_service_program node KIND NAME FOLDER PORT [JOIN]...
//            a node at this port; says "ready PORT". KIND: with (it brings the service "till"),
//            without, other (another type of this name), mended (as with, but nothing throws)
//        own_service_program ask AT [AT]...
//            takes number after number from the till, and says "number N" or "failed CODE: WHY"
//        own_service_program once take|break|count|look AT [AT]...
//            asks once, and says the same

#include "support/test_ca.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/node.hpp"
#include "troupe/service.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

using namespace std::literals;
using namespace troupe;

namespace till_program {

struct take_number {
  using result = std::uint64_t;

  bool breaks = false;

  TROUPE_FIELDS(take_number, breaks);
};

struct count_numbers {
  using result = std::uint64_t;

  bool breaks = false;

  TROUPE_FIELDS(count_numbers, breaks);
};

TROUPE_MESSAGES(till, take_number, count_numbers);

} // namespace till_program

using namespace till_program;

namespace {

bool is_mended = false;

struct till_rules : host::plain_machine<till_rules, std::uint64_t, host::commands<take_number>,
                                        host::queries<count_numbers>> {
  result<std::uint64_t> apply(const take_number& what) {
    if (what.breaks && !is_mended)
      throw std::runtime_error{"the drawer is stuck"};
    return ++state();
  }

  result<std::uint64_t> answer(const count_numbers& what) const {
    if (what.breaks)
      throw std::runtime_error{"nobody can read this"};
    return state();
  }
};

struct till_service : host::plain_service<till_rules> {
  using plain_service::plain_service;
  static constexpr const char* name = "till";
};

struct raffle_service : host::plain_service<till_rules> {
  using plain_service::plain_service;
  static constexpr const char* name = "raffle";
};

net::address place(const std::string& text) {
  return *net::address::from_string(text);
}

int run_node(const std::vector<std::string>& words) {
  auto& kind = words.at(1);
  is_mended = kind == "mended";
  node_options how;
  how.name = words.at(2);
  how.data = words.at(3);
  how.listen = place("127.0.0.1:" + words.at(4));
  for (std::size_t each = 5; each < words.size(); ++each)
    how.join.push_back(place(words.at(each)));
  how.group.consensus = raft::lan();
  how.group.snapshot_every = 50;
  how.log = [](const log_line& line) { std::cerr << to_string(line) << std::endl; };
  if (kind == "with" || kind == "mended")
    how.services.add<till_service>("till");
  else if (kind == "other")
    how.services.add<raffle_service>("till");
  how.wait_joined = 20s;
  test::certify(how);
  auto me = node::start(how);
  if (!me) {
    std::cout << "no node: " << me.error() << std::endl;
    return 1;
  }
  std::cout << "ready " << me->port() << std::endl;
  for (;;)
    ::pause(); // until it is killed
}

template <class Answer>
void say(const Answer& what) {
  if (what)
    std::cout << "number " << *what << std::endl;
  else
    std::cout << "failed " << name_of(what.error().code) << ": " << what.error().detail
              << std::endl;
}

int run_client(const std::vector<std::string>& words) {
  auto once = words.at(0) == "once";
  std::vector<net::address> nodes;
  for (std::size_t each = once ? 2 : 1; each < words.size(); ++each)
    nodes.push_back(place(words.at(each)));
  auto client = cluster_client::connect(nodes, 10s, test::client_links(), test::client_identity());
  if (!client) {
    std::cout << "failed " << name_of(client.error().code) << ": " << client.error().detail
              << std::endl;
    return 1;
  }
  auto numbers = (*client)->service<till_service>("till");
  while (!once) // as fast as they are read
    say(numbers.ask(take_number{}, 20s));
  auto& what = words.at(1);
  if (what == "count" || what == "look")
    say(numbers.ask(count_numbers{what == "look"}, 10s));
  else
    say(numbers.ask(take_number{what == "break"}, 10s));
  return 0;
}

} // namespace

int main(int count, char** arguments) {
  init<till>();
  std::vector<std::string> words{arguments + 1, arguments + count};
  return words.at(0) == "node" ? run_node(words) : run_client(words);
}
