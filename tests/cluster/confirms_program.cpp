// Nodes that send each other messages of class confirm.
//
// Usage: confirms_program serve NAME FOLDER JOIN
//            a member with an agent "ledger" that says "handled NUMBER" for each number, and
//            "ready" once it has joined
//        confirms_program send NAME FOLDER COUNT
//            founds the cluster, says "ready PORT", sends the numbers from 1 to COUNT to "ledger"
//            as soon as each is accepted, says "accepted", and "done" once the last one is handled

#include "support/test_ca.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/node/node.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include <unistd.h>

using namespace std::literals;
using namespace troupe;

namespace {

[[noreturn]] void fail(const std::string& why) {
  std::cerr << "error: " << why << std::endl;
  std::exit(1);
}

node start(node_options how) {
  how.listen = {"127.0.0.1", 0};
  how.lost_after = 500ms;
  how.log = [](const log_line& line) { std::cerr << to_string(line) << std::endl; };
  how.wait_joined = 20s;
  test::certify(how);
  auto made = node::start(std::move(how));
  if (!made)
    fail(made.error().detail);
  return *std::move(made);
}

[[noreturn]] void serve(const std::string& name, const std::string& folder,
                        const std::string& join) {
  auto where = net::address::from_string(join);
  if (!where)
    fail(where.error().detail);
  auto me = start({.name = name, .join = {*where}, .data = folder});
  auto made = me.agent("ledger", [](std::uint64_t number) {
    std::cout << "handled " + std::to_string(number) + '\n' << std::flush;
  });
  if (!made)
    fail(made.error().detail);
  std::cout << "ready" << std::endl;
  for (;;)
    ::pause();
}

void send(const std::string& name, const std::string& folder, std::uint64_t count) {
  auto me = start({.name = name, .data = folder});
  std::cout << "ready " << me.port() << std::endl;
  const router::message_options how{.delivery = router::delivery_class::confirm};
  for (std::uint64_t number = 1; number < count; ++number)
    if (auto sent = me.send(to_agent("ledger"), how, number); !sent)
      fail(sent.error().detail);
  std::cout << "accepted" << std::endl;
  if (auto done = me.messages().post(to_agent("ledger"), 2min, how, count); !done)
    fail(done.error().detail);
  std::cout << "done" << std::endl;
}

} // namespace

int main(int argc, char** argv) {
  init();
  if (argc == 5 && argv[1] == "serve"s)
    serve(argv[2], argv[3], argv[4]);
  if (argc != 5 || argv[1] != "send"s)
    fail("give serve NAME FOLDER JOIN, or send NAME FOLDER COUNT");
  send(argv[2], argv[3], std::stoull(argv[4]));
}
