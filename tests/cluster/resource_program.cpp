// Holds a lock as long as it can, and writes into what the lock guards. SIGUSR1 has it stop, as
// SIGSTOP does, where that hurts most: once it has seen that it holds the lock, before it writes.
//
// Usage: resource_program ADDRESS FILE fenced|plain
// Says "wrote TOKEN", "refused TOKEN" (the store did), "lost TOKEN" (it knows by itself), or
// "stops TOKEN".

#include "support/test_ca.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/lock/fenced_store.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/init.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <string>

#include <poll.h>

using namespace std::literals;
using namespace troupe;

namespace {

volatile std::sig_atomic_t shall_stop = 0;

int complain(const problem& why) {
  std::cout << "error: " << why.detail << std::endl;
  return 1;
}

problem write_line(storage::database& into, std::uint64_t token) {
  auto add = into.prepare("INSERT INTO line VALUES(?)");
  return add.bind(1, static_cast<std::int64_t>(token)).run() ? problem{}
                                                             : into.failed("write a line");
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 4)
    return complain({errc::bad_argument, "give ADDRESS FILE fenced|plain"});
  init();
  std::signal(SIGUSR1, [](int) { shall_stop = 1; });
  auto where = net::address::from_string(argv[1]);
  auto cluster
    = where ? cluster_client::connect({*where}, 10s, test::client_links(), test::client_identity())
            : where.error();
  if (!cluster)
    return complain(cluster.error());
  auto store = lock::fenced_store::open(argv[2]);
  if (!store || !store->unguarded().run("CREATE TABLE IF NOT EXISTS line(token INTEGER)"))
    return complain({errc::failed, "no store"});
  auto looks_at_tokens = argv[3] == "fenced"s;
  lock::lock_client locks{(*cluster)->services().locks};
  for (;;) {
    auto held
      = lock::auto_renew_lock::hold((*cluster)->system(), locks, "guard", {.ttl = 1s, .wait = 30s});
    if (!held)
      return complain(held.error());
    auto token = held->token().value;
    while (held->held()) {
      ::poll(nullptr, 0, 50); // makes up its mind what to write
      if (shall_stop != 0 && held->held()) {
        shall_stop = 0;
        std::cout << "stops " << token << std::endl;
        std::raise(SIGSTOP);
      }
      auto write = [&](storage::database& into) { return write_line(into, token); };
      auto why = looks_at_tokens ? store->write(held->value(), write).error_or()
                                 : write(store->unguarded());
      if (why && why.code != errc::stale_token)
        return complain(why);
      std::cout << (why ? "refused " : "wrote ") << token << std::endl;
    }
    std::cout << "lost " << token << std::endl;
  }
}
