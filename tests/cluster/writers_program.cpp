// Eight writers that never pause: each writes on top of what it wrote last and holds a lock for a
// moment, one command at a time. Every other one comes back as a new client now and then. A
// command that is lost or carried out twice makes the next one fail: the version of the key is
// not what it should be, the lock is held. What there is of a key when it begins it goes on from,
// and who holds its lock then holds it no more.
//
// Usage: writers_program ADDRESS,...
// Says "error: KIND …" for each command that fails, and at SIGTERM "COUNT commands".

#include "support/test_ca.hpp"
#include "troupe/lock/lock_client.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/init.hpp"
#include "troupe/state/state_client.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::literals;
using namespace troupe;

namespace {

std::atomic<bool> shall_stop = false;
static_assert(std::atomic<bool>::is_always_lock_free);

std::mutex output;

void complain(const std::string& kind, const problem& why) {
  std::lock_guard guard{output};
  std::cout << "error: " << kind << ' ' << name_of(why.code) << ": " << why.detail << std::endl;
}

class writer {
public:
  writer(int number, std::vector<net::address> where)
    : name_("writer-" + std::to_string(number)),
      commands_each_(number % 2 == 0 ? 20 : 1'000'000),
      where_(std::move(where)) {}

  /// Returns how many commands it made.
  std::uint64_t run() {
    while (!may_stop()) {
      auto cluster
        = cluster_client::connect(where_, 20s, test::client_links(), test::client_identity());
      if (!cluster) {
        complain("connect", cluster.error());
        continue;
      }
      lock::lock_client locks{(*cluster)->services().locks};
      state::state_client table{(*cluster)->system(), (*cluster)->services().state};
      if (!std::exchange(has_begun_, true))
        begin(table, locks);
      for (auto each = 0; each < commands_each_ && !may_stop(); each += 3) {
        put(table);
        hold(locks);
      }
    }
    return made_;
  }

private:
  /// Each is at work for a while, however slow the machine is.
  [[nodiscard]] bool may_stop() const {
    return shall_stop && made_ >= 10;
  }

  [[nodiscard]] state::entry_key key() const {
    return {state::consistency::strong, state::value_type::lww_register, name_};
  }

  void begin(state::state_client& table, lock::lock_client& locks) {
    // In a backup it may be held by who held it when that was made.
    if (auto freed = locks.service().ask(lock::force_release{name_}, 20s);
        !freed && freed.error().code != errc::not_found)
      return complain("force release", freed.error());
    auto found = table.get(key());
    if (!found)
      return complain("get", found.error());
    version_ = found->entries.empty() ? 0 : found->entries.front().version;
  }

  void put(state::state_client& table) {
    ++made_;
    auto done = table.put(key(), "value", {.expect_version = version_});
    if (!done)
      return complain("put", done.error());
    version_ = done->version;
  }

  void hold(lock::lock_client& locks) {
    ++made_;
    auto held = locks.acquire(name_, {.ttl = 1min});
    if (!held)
      return complain("acquire", held.error());
    ++made_;
    if (held->token.value <= token_)
      complain("acquire", {errc::failed, "the token did not rise"});
    token_ = held->token.value;
    if (auto done = locks.release(*held); !done)
      complain("release", done.error());
  }

  std::string name_;
  int commands_each_; // of its clients
  std::vector<net::address> where_;
  std::uint64_t made_ = 0;
  bool has_begun_ = false;
  std::uint64_t version_ = 0;
  std::uint64_t token_ = 0;
};

} // namespace

int main(int argc, char** argv) {
  init();
  std::signal(SIGTERM, [](int) { shall_stop = true; });
  std::vector<net::address> where;
  std::istringstream list{argc == 2 ? argv[1] : ""};
  for (std::string each; std::getline(list, each, ',');)
    if (auto address = net::address::from_string(each))
      where.push_back(*address);
  if (where.empty()) {
    complain("usage", {errc::bad_argument, "give ADDRESS,..."});
    return 2;
  }
  std::atomic<std::uint64_t> made = 0;
  std::vector<std::thread> threads;
  for (auto number = 0; number < 8; ++number)
    threads.emplace_back([&, number] { made += writer{number, where}.run(); });
  std::cout << "writing" << std::endl;
  for (auto& each : threads)
    each.join();
  std::cout << made << " commands" << std::endl;
}
