// A node of a group that keeps locks, or a client of such a group; to be killed.
//
// Usage: group_program member FILE PORT yes|no PORT…   founds the group if yes; links to the others
//        group_program client COUNT PORT…              takes COUNT locks, one after the other
//        group_program check COUNT PORT…               says who holds the locks 1 to COUNT

#include "troupe/core/caf/init.hpp"
#include "troupe/group/group.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/replicated.hpp"
#include "troupe/lock/lock_service.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/io/middleman.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

constexpr host::service_id locks = 1;

/// What a node says of itself to whoever asks at its port.
struct card {
  raft::member_id seat;
  caf::actor group;
  caf::actor service;
  bool leads = false;
};

void say(const std::string& line) {
  std::cout << line << std::endl;
}

std::optional<card> ask_at(caf::actor_system& sys, std::uint16_t port) {
  auto door = sys.middleman().remote_actor("127.0.0.1", port);
  if (!door)
    return std::nullopt;
  std::optional<card> found;
  caf::scoped_actor self{sys};
  self->request(*door, 1s, caf::get_atom_v)
    .receive(
      [&](raft::member_id seat, const caf::actor& group, const caf::actor& service, bool leads) {
        found = card{seat, group, service, leads};
      },
      [](const caf::error&) {});
  return found;
}

std::vector<std::uint16_t> ports_from(char** first, char** last) {
  std::vector<std::uint16_t> ports;
  for (; first != last; ++first)
    ports.push_back(static_cast<std::uint16_t>(std::stoul(*first)));
  return ports;
}

void be_member(caf::actor_system& sys, const std::string& file, std::uint16_t port, bool founds,
               const std::vector<std::uint16_t>& others) {
  auto leads = std::make_shared<std::atomic<bool>>(false);
  host::group_options how;
  how.consensus = raft::lan();
  how.consensus.heartbeat = 50ms;
  how.consensus.election_timeout = 500ms;
  how.snapshot_every = 100;
  how.consensus.keep_entries = 20;
  host::group_listener listener;
  listener.changed_role = [leads](const auto& what) {
    *leads = what.now == raft::role::leader;
    say(std::string{name_of(what.now)} + " in term " + std::to_string(what.term) + ": "
        + what.cause);
  };
  listener.members_are = [](const raft::configuration& members) {
    say("voters " + std::to_string(members.voters().size()));
  };
  listener.stopped = [](const problem& why) { say("stopped: " + why.detail); };
  auto group = host::group::open(sys, file, {locks}, how, listener);
  if (!group)
    return say("error: " + to_string(group.error()));
  auto service = host::spawn<lock::lock_service>(sys, {}, host::replicated{group->seat(locks)});
  if (!service)
    return say("error: " + to_string(service.error()));
  group->start();
  auto door = sys.spawn([seat = group->seat(), handle = group->handle(),
                         there = caf::actor_cast<caf::actor>(*service), leads] {
    auto tell = [=](caf::get_atom) {
      return caf::result<raft::member_id, caf::actor, caf::actor, bool>{seat, handle, there,
                                                                        leads->load()};
    };
    return caf::behavior{tell};
  });
  auto open = sys.middleman().publish(door, port, "127.0.0.1", true);
  if (!open)
    return say("error: " + to_string(open.error()));
  auto ignore = [](const problem&) {};
  if (founds && group->is_new())
    group->ask(raft::replica::found_group{std::to_string(port)}, ignore);
  say("ready");
  for (;;) {
    for (auto each : others)
      if (auto found = ask_at(sys, each)) {
        group->set_peer(found->seat, caf::actor_cast<caf::strong_actor_ptr>(found->group));
        if (!*leads)
          continue;
        group->ask(raft::replica::add_learner{found->seat, std::to_string(each)}, ignore);
        group->ask(raft::replica::promote{found->seat}, ignore);
      }
    std::this_thread::sleep_for(100ms);
  }
}

/// Keeps `target` at the node that leads.
void follow_leader(caf::actor_system& sys, const std::vector<std::uint16_t>& ports,
                   host::client<lock::lock_protocol>& target) {
  caf::actor_addr last;
  for (;;) {
    for (auto each : ports)
      if (auto found = ask_at(sys, each); found && found->leads) {
        if (found->service.address() == last)
          continue;
        last = found->service.address();
        target.set_target(caf::actor_cast<caf::strong_actor_ptr>(found->service));
        say("leader " + std::to_string(each));
      }
    std::this_thread::sleep_for(50ms);
  }
}

void be_client(caf::actor_system& sys, std::uint64_t count, bool takes,
               const std::vector<std::uint16_t>& ports) {
  static host::client<lock::lock_protocol> client{sys}; // the process ends in the middle of it
  std::thread{[&sys, ports] { follow_leader(sys, ports, client); }}.detach();
  for (std::uint64_t number = 1; number <= count; ++number) {
    auto name = std::to_string(number);
    if (!takes) {
      auto found = client.ask(lock::find_lock{"lock " + name}, 30s);
      say(!found ? "error: " + found.error().detail
          : found->holders.empty()
            ? "lost " + name
            : "held " + name + ' ' + std::to_string(found->holders.front().value.token.value));
      continue;
    }
    auto held = client.ask(lock::acquire{"lock " + name, "owner " + name, 10min, 0s, {}, {}}, 30s);
    say(held ? "held " + name + ' ' + std::to_string(held->token.value)
             : "error: " + held.error().detail);
  }
  say("done");
}

} // namespace

int main(int argc, char** argv) {
  caf::core::init_global_meta_objects();
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  caf::io::middleman::init_global_meta_objects();
  caf::actor_system_config cfg;
  cfg.load<caf::io::middleman>();
  cfg.set("caf.scheduler.policy", "sharing");
  cfg.set("caf.scheduler.max-threads", 2);
  caf::actor_system sys{cfg};
  std::string role = argc > 1 ? argv[1] : "";
  if (role == "member" && argc > 5)
    be_member(sys, argv[2], static_cast<std::uint16_t>(std::stoul(argv[3])), argv[4] == "yes"s,
              ports_from(argv + 5, argv + argc));
  else if (argc > 3)
    be_client(sys, std::stoull(argv[2]), role == "client", ports_from(argv + 3, argv + argc));
  std::cout.flush();
  std::_Exit(role == "member" ? 1 : 0);
}
