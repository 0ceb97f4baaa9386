// How many lock pairs (acquire, release) a second survive kill -9? Beside it, as
// the rival, as many records put into the same file system by bare SQLite.
//
// Usage: durable_lock [SECONDS] [FOLDER]

#include "troupe/core/caf/init.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/storage/sqlite_log.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "caf/actor_system.hpp"
#include "caf/scoped_actor.hpp"
#include "lock_pairs.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::benchmark;

namespace {

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
    std::printf("{\"benchmark\":\"durable_lock\",\"clients\":%d,\"pairs_per_s\":%.0f,"
                "\"sqlite_pairs_per_s\":%.0f,\"ratio\":%.3f,\"in_memory_pairs_per_s\":%.0f}\n",
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
