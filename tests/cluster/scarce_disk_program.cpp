// A durable lock service on a disk that gets full. First it names the locks that it found
// there, then it acquires lock after lock and writes a line for each answer, after the answer:
//
//   there NAME TOKEN     in the journal of an earlier life
//   ready
//   held NAME TOKEN
//   refused NAME CODE SENTENCE
//   free NAME            what was refused is free, and the lock before it is held: reads go on
//   wrong NAME           no, it is not
//
// A lock that was refused is asked for again.
//
// Usage: scarce_disk_program FILE

#include "troupe/core/caf/init.hpp"
#include "troupe/host/durable_file.hpp"
#include "troupe/lock/lock_client.hpp"
#include "troupe/lock/lock_service.hpp"

#include <iostream>
#include <memory>
#include <string>

#include <poll.h>

#include "caf/actor_system.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

void run(caf::actor_system& sys, const std::string& file) {
  auto service
    = host::spawn<lock::lock_service>(sys, {}, host::durable{file}, {.snapshot_every = 50});
  if (!service) {
    std::cout << "failed: " << to_string(service.error()) << std::endl;
    return;
  }
  lock::lock_client locks{sys, *service};
  std::string last;
  for (lock::list_locks page{};;) {
    auto found = locks.list(page);
    if (!found) {
      std::cout << "failed: " << found.error().detail << std::endl;
      return;
    }
    for (auto& each : found->locks) {
      last = each.name;
      std::cout << "there " << last << ' ' << each.holders.at(0).value.token.value << '\n';
    }
    if (!found->more)
      break;
    page.after = last;
  }
  std::cout << "ready" << std::endl;
  auto is_held = [&](const std::string& name) {
    auto found = locks.find(name);
    return found && !found->holders.empty();
  };
  for (int number = 0;; ++number) {
    // Names rise, and fill the disk soon.
    auto name = "lock" + std::to_string(1'000'000 + number) + std::string(200, '-');
    if (number == 0 && !last.empty())
      number = std::stoi(last.substr(4, 7)) - 1'000'000;
    else
      for (;;) {
        auto held = locks.acquire(name, {.ttl = 10min});
        if (held) {
          last = name;
          std::cout << "held " << name << ' ' << held->token.value << std::endl;
          break;
        }
        std::cout << "refused " << name << ' ' << name_of(held.error().code) << ' '
                  << held.error().detail << std::endl;
        auto right = !is_held(name) && (last.empty() || is_held(last));
        std::cout << (right ? "free " : "wrong ") << name << std::endl;
        ::poll(nullptr, 0, 20); // nobody wakes us when there is space
      }
  }
}

} // namespace

int main(int argc, char** argv) {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  caf::actor_system_config cfg;
  caf::actor_system sys{cfg};
  if (argc == 2)
    run(sys, argv[1]);
  return 1;
}
