// How many lock pairs (acquire, release) a second survive kill -9: through the actor, and by
// its core and log alone, without CAF? Beside them, as the rival, as many records put into the
// same file system by bare SQLite, one transaction for as many records as there are clients.
//
// Usage: durable_lock [SECONDS] [FOLDER]; prints a JSON line for each way and number of
// clients. All ways take turns, a fifteenth of SECONDS each and
// each order as often, as disks change their pace and others use the cores.

#include "troupe/core/caf/init.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/durable_file.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/storage/sqlite_log.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/scoped_actor.hpp"
#include "lock_pairs.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::benchmark;
using steady = std::chrono::steady_clock;

namespace {

constexpr int turns = 15;

/// As many records of 90 bytes as clients in each transaction.
class bare_sqlite {
public:
  explicit bare_sqlite(const std::filesystem::path& file) {
    sqlite3_open(file.c_str(), &database_);
    sqlite3_exec(database_,
                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;"
                 "CREATE TABLE journal(place INTEGER PRIMARY KEY, bytes BLOB)",
                 nullptr, nullptr, nullptr);
    sqlite3_prepare_v2(database_, "INSERT INTO journal VALUES(?, zeroblob(90))", -1, &insert_,
                       nullptr);
  }

  ~bare_sqlite() {
    sqlite3_finalize(insert_);
    sqlite3_close(database_);
  }

  bare_sqlite(const bare_sqlite&) = delete;
  bare_sqlite& operator=(const bare_sqlite&) = delete;

  double pairs_per_second(int group, seconds span) {
    auto before = records_;
    auto start = steady::now();
    while (seconds{steady::now() - start} < span) {
      sqlite3_exec(database_, "BEGIN", nullptr, nullptr, nullptr);
      for (auto each = 0; each < group; ++each) {
        sqlite3_bind_int64(insert_, 1, ++records_);
        sqlite3_step(insert_);
        sqlite3_reset(insert_);
      }
      sqlite3_exec(database_, "COMMIT", nullptr, nullptr, nullptr);
    }
    return static_cast<double>(records_ - before) / 2 / seconds{steady::now() - start}.count();
  }

private:
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  std::int64_t records_ = 0;
};

/// What the actor has inside, on one thread: core, journal, log.
class bare_core {
public:
  explicit bare_core(const std::filesystem::path& file) : log_(file) {
    if (host::recover(core_, log_))
      std::abort();
    step(0, host::notice<lock::lock_table>{lock::configure{}});
    carry_out();
  }

  double pairs_per_second(int clients, seconds span) {
    tokens_.assign(static_cast<std::size_t>(clients), {});
    for (std::size_t each = 0; each < tokens_.size(); ++each)
      idle_.push_back(each);
    pairs_ = 0;
    auto start = steady::now();
    auto elapsed = [&] { return seconds{steady::now() - start}; };
    while (elapsed() < span) {
      for (auto each : std::exchange(idle_, {}))
        ask(each);
      go_on();
    }
    auto result = static_cast<double>(pairs_) / elapsed().count();
    settle();
    for (auto each : std::exchange(idle_, {}))
      if (tokens_[each].value != 0)
        ask(each);
      else
        idle_.push_back(each);
    settle();
    idle_.clear();
    return result;
  }

private:
  using core = host::durable_core<lock::lock_table>;

  static time_point now() {
    return time_point{steady::now().time_since_epoch()};
  }

  void step(request_id caller, const core::event& what) {
    core_.step(now(), caller, what, out_);
  }

  void ask(std::size_t client) {
    auto name = "lock" + std::to_string(client);
    auto token = tokens_[client];
    step(client + 1, host::command<lock::lock_table>{
                       {},
                       token.value == 0 ? lock::event{lock::acquire{name, name, 10s, 0s}}
                                        : lock::event{lock::release{name, token}}});
  }

  /// Waits until everybody has an answer.
  void settle() {
    while (idle_.size() < tokens_.size())
      go_on();
  }

  void go_on() {
    if (out_.empty())
      core_.tick(now(), out_);
    carry_out();
  }

  /// Carries out what is there; what that leads to waits, as new requests come first.
  void carry_out() {
    for (auto& what : std::exchange(out_, {}))
      troupe::visit([this](auto& each) { handle(each); }, what);
  }

  void handle(const core::append& what) {
    if (log_.append(host::to_stored(*what.records).value()))
      std::abort();
    core_.step(now(), 0, core::synced{}, out_);
  }

  void handle(const core::save& what) {
    for (auto parts = host::to_parts(*what.state).value(); auto& part : parts)
      if (log_.save(part))
        std::abort();
  }

  void handle(const core::answered& what) {
    auto client = static_cast<std::size_t>(what.id - 1);
    auto& token = tokens_[client];
    pairs_ += token.value != 0 ? 1 : 0;
    token
      = token.value != 0 ? lock::fencing_token{} : std::get<lock::accepted>(what.what).value.token;
    idle_.push_back(client);
  }

  void handle(const core::session_done&) {}
  void handle(const core::rejected&) {}
  void handle(const core::perform&) {}

  core core_;
  storage::sqlite_log log_;
  core::effects out_;
  std::vector<lock::fencing_token> tokens_; // zero: holds nothing
  std::vector<std::size_t> idle_;
  std::uint64_t pairs_ = 0;
};

void print(const char* way, int clients, double found, double bare) {
  std::printf("{\"benchmark\":\"durable_lock\",\"way\":\"%s\",\"clients\":%d,"
              "\"pairs_per_s\":%.0f,\"sqlite_pairs_per_s\":%.0f,\"ratio\":%.3f}\n",
              way, clients, found / turns, bare / turns, found / bare);
  std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  seconds span{argc > 1 ? std::stod(argv[1]) : 4.0};
  std::filesystem::path folder{argc > 2 ? argv[2] : "."};
  caf::actor_system_config cfg;
  cfg.set("caf.scheduler.policy", "sharing");
  caf::actor_system sys{cfg};
  for (auto clients : {1, 64}) {
    auto file = (folder / ("durable_lock." + std::to_string(clients))).string();
    double bare = 0;
    double core = 0;
    double actor = 0;
    {
      bare_sqlite rival{file + ".bare"};
      bare_core alone{file + ".core"};
      auto disk = host::spawn<lock::lock_service>(sys, {}, host::durable{file});
      for (auto turn = 0; turn < turns * 3; ++turn)
        switch ((turn + turn / 3) % 3) {
          case 0:
            bare += rival.pairs_per_second(clients, span / turns);
            break;
          case 1:
            core += alone.pairs_per_second(clients, span / turns);
            break;
          default:
            actor += pairs_per_second(sys, *disk, clients, span / turns);
        }
      caf::anon_send_exit(*disk, caf::exit_reason::user_shutdown);
      caf::scoped_actor {
        sys
        } -> wait_for(*disk);
    }
    print("core", clients, core, bare);
    print("actor", clients, actor, bare);
    for (auto* way : {"", ".core", ".bare"})
      for (auto* ending : {"", "-wal", ".mark"})
        std::filesystem::remove(file + way + ending);
  }
  return 0;
}
