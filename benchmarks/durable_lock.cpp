// How many lock pairs (acquire, release) a second survive kill -9? Beside it, as
// the rival, as many records put into the same file system by bare SQLite.
//
// Usage: durable_lock [SECONDS] [FOLDER]

#include "troupe/core/caf/init.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/storage/sqlite_log.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

using seconds = std::chrono::duration<double>;

/// Takes and gives back a lock of its own until told to stop.
caf::behavior client(caf::event_based_actor* self, lock::lock_actor hdl, int number,
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

double pairs_per_second(caf::actor_system& sys, const lock::lock_actor& hdl, int clients,
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

/// Returns the pairs of records a second when `group` records share one sync.
double bare_pairs_per_second(const std::filesystem::path& file, int group, seconds span) {
  sqlite3* database = nullptr;
  sqlite3_open(file.c_str(), &database);
  sqlite3_exec(database,
               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;"
               "CREATE TABLE journal(place INTEGER PRIMARY KEY, bytes BLOB)",
               nullptr, nullptr, nullptr);
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(database, "INSERT INTO journal VALUES(?, zeroblob(90))", -1, &insert, nullptr);
  std::int64_t records = 0;
  auto start = std::chrono::steady_clock::now();
  auto elapsed = [&] { return seconds{std::chrono::steady_clock::now() - start}; };
  while (elapsed() < span) {
    sqlite3_exec(database, "BEGIN", nullptr, nullptr, nullptr);
    for (auto each = 0; each < group; ++each) {
      sqlite3_bind_int64(insert, 1, ++records);
      sqlite3_step(insert);
      sqlite3_reset(insert);
    }
    sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr);
  }
  auto result = static_cast<double>(records) / 2 / elapsed().count();
  sqlite3_finalize(insert);
  sqlite3_close(database);
  return result;
}

} // namespace

int main(int argc, char** argv) {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  seconds span{argc > 1 ? std::stod(argv[1]) : 2.0};
  std::filesystem::path folder{argc > 2 ? argv[2] : "."};
  caf::actor_system_config cfg;
  cfg.set("caf.scheduler.policy", "sharing");
  caf::actor_system sys{cfg};
  auto memory = host::spawn<lock::lock_service>(sys);
  for (auto clients : {1, 64}) {
    auto file = folder / ("durable_lock." + std::to_string(clients));
    auto bare = bare_pairs_per_second(file.string() + ".bare", clients, span);
    auto disk = host::spawn<lock::lock_service>(
      sys, {}, host::durable{std::make_unique<storage::sqlite_log>(file)});
    auto durable = pairs_per_second(sys, *disk, clients, span);
    caf::anon_send_exit(*disk, caf::exit_reason::user_shutdown);
    std::printf("%2d clients: durable %.0f pairs/s, bare SQLite %.0f, ratio %.2f; in memory %.0f\n",
                clients, durable, bare, durable / bare,
                pairs_per_second(sys, *memory, clients, span));
    std::filesystem::remove(file.string() + ".bare");
    caf::scoped_actor {
      sys
      } -> wait_for(*disk);
    disk = caf::error{};
    for (auto* ending : {"", "-wal", ".mark"})
      std::filesystem::remove(file.string() + ending);
  }
  caf::anon_send_exit(*memory, caf::exit_reason::user_shutdown);
  return 0;
}
