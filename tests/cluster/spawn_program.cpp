// A service of an application, spawned by one node in the process of another one.
//
// Usage: spawn_program place JOIN NAME [FOLDER]
//            a node that offers the service of tickets to whoever spawns it; says "ready PORT", and
//            "ended" for each service that has ended there
//        spawn_program ask NAME
//            founds the cluster and says "ready PORT"; spawns the service at the node of that name,
//            says "spawned", takes ticket after ticket, and says "ticket NUMBER" for each answer.
//            Says "down" when it hears that the service has ended, and "failed CODE" when it has no
//            answer for that; then it spawns another one. Says "no place CODE" while it cannot,
//            once.

#include "../../examples/050-own-service/tickets.hpp"
#include "support/test_ca.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/node/node.hpp"
#include "troupe/node/spawn.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "caf/event_based_actor.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

/// Of any thread.
void say(const std::string& line) {
  static std::mutex one_at_a_time;
  std::lock_guard guard{one_at_a_time};
  std::cout << line << std::endl;
}

/// Says when one has ended.
struct told_tickets : ticket_service {
  using ticket_service::ticket_service;
  static constexpr const char* name = "told_tickets";

  told_tickets(const told_tickets&) = delete;
  told_tickets& operator=(const told_tickets&) = delete;

  ~told_tickets() {
    say("ended");
  }
};

struct config : node_config {
  config() {
    host::add_service<told_tickets>(*this);
  }
};

[[noreturn]] void fail(const std::string& why) {
  std::cerr << "error: " << why << std::endl;
  std::exit(1);
}

net::address address_of(const std::string& text) {
  auto read = net::address::from_string(text);
  if (!read)
    fail(read.error().detail);
  return *read;
}

node start(caf::actor_system& sys, node_options how) {
  how.lost_after = 500ms;
  how.log = [](const log_line& line) { std::cerr << to_string(line) << std::endl; };
  how.wait_joined = 20s;
  test::certify(how);
  how.allow_spawn = true;
  auto made = node::start(std::move(how), &sys);
  if (!made)
    fail(made.error().detail);
  say("ready " + std::to_string(made->port()));
  return *std::move(made);
}

/// Returns the service once it was spawned there.
told_tickets::handle spawn_there(node& me, const std::string& place) {
  std::optional<errc> known;
  for (;;) {
    auto there = me.find_peer(place);
    auto made = there ? spawn_at<told_tickets>(*there, 1'000'000)
                      : result<told_tickets::handle>{there.error()};
    if (made)
      return *std::move(made);
    if (known != made.error().code)
      say("no place " + std::string{name_of(made.error().code)});
    known = made.error().code;
    ::poll(nullptr, 0, 20); // nobody wakes us when it is there
  }
}

/// Has the client wait no longer for a service that has ended. As long as it is kept.
caf::actor watch(caf::actor_system& sys, const told_tickets::handle& service,
                 const host::client<told_tickets::protocol>& tickets) {
  return sys.spawn([service, tickets](caf::event_based_actor* self) -> caf::behavior {
    self->set_down_handler([self, asking = tickets](const caf::down_msg&) mutable {
      say("down");
      asking.set_target(caf::strong_actor_ptr{}); // it is nowhere, and will be for a while
      asking.refuse({errc::unreachable, "the service has ended"});
      self->quit();
    });
    self->monitor(service);
    return {[](caf::ok_atom) {}};
  });
}

[[noreturn]] void ask(node& me, const std::string& place) {
  for (;;) {
    auto service = spawn_there(me, place);
    say("spawned");
    host::client<told_tickets::protocol> tickets{me.system(), service};
    auto watching = watch(me.system(), service, tickets);
    for (;;) {
      auto number = tickets.ask(take_ticket{}, 20s);
      if (!number) {
        say("failed " + std::string{name_of(number.error().code)});
        break;
      }
      say("ticket " + std::to_string(*number));
      ::poll(nullptr, 0, 10); // of those that it could take
    }
  }
}

} // namespace

int main(int argc, char** argv) {
  init<tickets>();
  config cfg;
  caf::actor_system sys{cfg};
  if (argc == 3 && argv[1] == "ask"s) {
    auto me = start(sys, {.name = "asks", .listen = {"127.0.0.1", 0}});
    ask(me, argv[2]);
  }
  if ((argc != 4 && argc != 5) || argv[1] != "place"s)
    fail("give ask NAME or place JOIN NAME [FOLDER]");
  node_options how{.name = argv[3], .listen = {"127.0.0.1", 0}, .join = {address_of(argv[2])}};
  if (argc == 5)
    how.data = argv[4];
  auto me = start(sys, std::move(how));
  for (;;)
    ::pause(); // until it is killed
}
