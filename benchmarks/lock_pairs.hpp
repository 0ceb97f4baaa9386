#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/lock/messages.hpp"

/// Clients of a lock service on plain handles, as many pairs (acquire, release) as it takes.
namespace troupe::benchmark {

using namespace std::literals;

using seconds = std::chrono::duration<double>;

/// Takes and gives back a lock of its own until told to stop.
inline caf::behavior client(caf::event_based_actor* self, lock::lock_actor hdl, int number,
                            std::shared_ptr<std::atomic<std::uint64_t>> pairs) {
  auto name = "lock" + std::to_string(number);
  return {
    [=](caf::ok_atom) {
      self->request(hdl, caf::infinite, host::call{}, lock::acquire{name, name, 10s, 0s})
        .then([=](const lock::lease& held) {
          self->request(hdl, caf::infinite, host::call{}, lock::release{name, held.token})
            .then([=](const lock::lease&) {
              pairs->fetch_add(1, std::memory_order_relaxed);
              self->send(self, caf::ok_atom_v);
            });
        });
    },
  };
}

inline double pairs_per_second(caf::actor_system& sys, const lock::lock_actor& hdl, int clients,
                               seconds span) {
  auto pairs = std::make_shared<std::atomic<std::uint64_t>>(0);
  std::vector<caf::actor> all;
  for (auto number = 0; number < clients; ++number)
    caf::anon_send(all.emplace_back(sys.spawn(client, hdl, number, pairs)), caf::ok_atom_v);
  std::this_thread::sleep_for(span / 5); // warm
  auto before = pairs->load();
  auto start = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(span);
  auto result = static_cast<double>(pairs->load() - before)
                / seconds{std::chrono::steady_clock::now() - start}.count();
  for (auto& each : all)
    caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  caf::scoped_actor {
    sys
    } -> wait_for(all);
  return result;
}

} // namespace troupe::benchmark
