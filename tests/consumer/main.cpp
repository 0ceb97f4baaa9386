// A program of somebody else, who knows only the installed headers.
#include <chrono>
#include <iostream>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/lock/lock_service.hpp"

using namespace std::literals;
using namespace troupe;

int main() {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  caf::actor_system_config cfg;
  caf::actor_system sys{cfg};
  auto service = host::spawn<lock::lock_service>(sys);
  if (!service)
    return 1;
  auto done = false;
  caf::scoped_actor self{sys};
  self->request(*service, 10s, host::call{}, lock::acquire{"door", "me", 5s, 0s})
    .receive(
      [&](const lock::lease& held) {
        std::cout << "holds " << held.name << '\n';
        done = true;
      },
      [](const caf::error& why) { std::cerr << to_string(why) << '\n'; });
  caf::anon_send_exit(*service, caf::exit_reason::user_shutdown);
  return done ? 0 : 1;
}
