// Nodes that send each other messages of class confirm and once.
//
// Usage: confirms_program serve NAME FOLDER JOIN
//            a member with an agent "ledger" that says "handled NUMBER" for each number, and
//            "ready" once it has joined. Its agents "strict" and "loose" fail three times at the
//            number 1 and say "strict NUMBER" or "loose NUMBER" for what they handle; "loose" asks
//            for no order. "sick" fails at each number while the file "cure" is not in FOLDER, and
//            says "sick NUMBER" after that. "account" enters each number in the database
//            FOLDER.account, which is its once_store, and says "handled NUMBER" before that is
//            committed.
//            Without JOIN it founds the cluster, and says "ready PORT".
//        confirms_program keep NAME FOLDER JOIN FIRST LAST
//        confirms_program keep-once NAME FOLDER JOIN FIRST LAST
//            a member that sends the numbers from FIRST to LAST to "ledger" or, of class once, to
//            "account", synced; it says "ready" once it has joined, and "accepted NUMBER" for each
//            that was
//        confirms_program send NAME FOLDER COUNT
//            founds the cluster, says "ready PORT", sends the numbers from 1 to COUNT to "ledger"
//            as soon as each is accepted, says "accepted", and "done" once the last one is handled
//        confirms_program send-once NAME FOLDER COUNT
//            the same of class once, to "account"
//        confirms_program trouble NAME FOLDER
//            founds the cluster and says "ready PORT"; at SIGUSR1 it sends 1, 2 and 3 to "strict"
//            and "loose" each, and 1 to "sick", and says "gave up: WHY" once that is over
//        confirms_program die NAME FOLDER [HOW]
//            founds the cluster. With HOW, which is confirm or once, it sends 1 and 2 to its agent
//            "deadly", synced. That ends the process by SIGSEGV at the number 1, and says
//            "handled NUMBER" at others. Once it is there, says "ready PORT".

#include "program_end.hpp"
#include "support/test_ca.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/node/node.hpp"
#include "troupe/once.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

using namespace std::literals;
using namespace troupe;
using test::addresses_in;
using test::fail;
using test::value_of;

namespace {

node start(node_options how) {
  how.listen = {"127.0.0.1", 0};
  how.lost_after = 500ms;
  how.log = [](const log_line& line) { std::cerr << to_string(line) << std::endl; };
  how.wait_joined = 20s;
  test::certify(how);
  return value_of(node::start(std::move(how)));
}

void add_clumsy(node& me, const std::string& name, bool is_ordered) {
  agent_options how;
  how.inbox.ordered = is_ordered;
  auto made
    = me.agent(name, how, [name, failures = 0](std::uint64_t number) mutable -> result<void> {
        if (number == 1 && ++failures <= 3)
          return later(300ms * failures, "dropped it"); // others have come by then
        std::cout << name + ' ' + std::to_string(number) + '\n' << std::flush;
        return {};
      });
  if (!made)
    fail(made.error());
}

void add_sick(node& me, const std::string& folder) {
  auto made = me.agent("sick", [folder](std::uint64_t number) -> result<void> {
    if (!std::filesystem::exists(std::filesystem::path{folder} / "cure"))
      return problem{errc::failed, "a fever"};
    std::cout << "sick " + std::to_string(number) + '\n' << std::flush;
    return {};
  });
  if (!made)
    fail(made.error());
}

void add_account(node& me, const std::string& file) {
  auto store = once_store::open(file);
  if (!store)
    fail(store.error());
  if (!(*store)->database().run("CREATE TABLE IF NOT EXISTS entries"
                                "(place INTEGER PRIMARY KEY, value INTEGER NOT NULL)"))
    fail("no table");
  auto made
    = me.agent("account", {.once = *store}, [store = *store](std::uint64_t number) -> result<void> {
        auto& into = store->database();
        auto add = into.prepare("INSERT INTO entries(value) VALUES(?)");
        if (!add.bind(1, static_cast<std::int64_t>(number)).run())
          return into.failed("enter");
        std::cout << "handled " + std::to_string(number) + '\n' << std::flush;
        return {};
      });
  if (!made)
    fail(made.error());
}

[[noreturn]] void serve(const std::string& name, const std::string& folder,
                        const std::string& join) {
  node_options how{.name = name, .join = addresses_in(join), .data = folder};
  how.router.max_deliveries = 4;
  auto me = start(std::move(how));
  add_clumsy(me, "strict", true);
  add_clumsy(me, "loose", false);
  add_sick(me, folder);
  add_account(me, folder + ".account");
  auto made = me.agent("ledger", [](std::uint64_t number) {
    std::cout << "handled " + std::to_string(number) + '\n' << std::flush;
  });
  if (!made)
    fail(made.error());
  std::cout << (join.empty() ? "ready " + std::to_string(me.port()) : "ready") << std::endl;
  for (;;)
    ::pause();
}

[[noreturn]] void keep(const std::string& name, const std::string& folder, const std::string& join,
                       std::uint64_t first, std::uint64_t last, const std::string& agent,
                       router::delivery_class which) {
  auto me = start({.name = name, .join = addresses_in(join), .data = folder});
  std::cout << "ready" << std::endl;
  const router::message_options how{.delivery = which, .durability = router::durability::synced};
  for (auto number = first; number <= last; ++number) {
    if (auto sent = me.send(to_agent(agent), how, number); !sent)
      fail(sent.error());
    std::cout << "accepted " + std::to_string(number) << std::endl;
  }
  for (;;)
    ::pause();
}

void send(const std::string& name, const std::string& folder, std::uint64_t count,
          const agent_id& to, router::delivery_class which) {
  auto me = start({.name = name, .data = folder});
  std::cout << "ready " << me.port() << std::endl;
  const router::message_options how{.delivery = which};
  for (std::uint64_t number = 1; number < count; ++number)
    if (auto sent = me.send(to_agent(to), how, number); !sent)
      fail(sent.error());
  std::cout << "accepted" << std::endl;
  if (auto done = me.messages().post(to_agent(to), 3min, how, count); !done)
    fail(done.error());
  std::cout << "done" << std::endl;
}

[[noreturn]] void make_trouble(const std::string& name, const std::string& folder) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto me = start({.name = name, .data = folder});
  std::cout << "ready " << me.port() << std::endl;
  const router::message_options how{.delivery = router::delivery_class::confirm};
  for (auto which = 0;;) {
    ::sigwait(&signals, &which);
    for (std::uint64_t number = 1; number <= 3; ++number)
      for (auto* agent : {"strict", "loose"})
        if (auto sent = me.send(to_agent(agent), how, number); !sent)
          fail(sent.error());
    auto told = me.messages().post(to_agent("sick"), 1min, how, std::uint64_t{1});
    std::cout << (told ? "handled" : "gave up: " + told.error().detail) << std::endl;
  }
}

[[noreturn]] void die(const std::string& name, const std::string& folder, const std::string& how) {
  rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);
  std::signal(SIGSEGV, SIG_DFL);
  auto me = start({.name = name, .data = folder});
  if (!how.empty())
    for (std::uint64_t number = 1; number <= 2; ++number)
      if (auto sent = me.send(to_agent("deadly"),
                              {.delivery = how == "once" ? router::delivery_class::once
                                                         : router::delivery_class::confirm,
                               .durability = router::durability::synced},
                              number);
          !sent)
        fail(sent.error());
  auto store = once_store::open(folder + ".deadly");
  if (!store)
    fail(store.error());
  auto made = me.agent("deadly", {.once = *store}, [](std::uint64_t number) {
    if (number == 1)
      std::raise(SIGSEGV);
    std::cout << "handled " + std::to_string(number) + '\n' << std::flush;
  });
  if (!made)
    fail(made.error());
  std::cout << "ready " + std::to_string(me.port()) + '\n' << std::flush;
  for (;;)
    ::pause();
}

} // namespace

int main(int argc, char** argv) {
  init();
  if ((argc == 4 || argc == 5) && argv[1] == "die"s)
    die(argv[2], argv[3], argc == 5 ? argv[4] : "");
  if ((argc == 4 || argc == 5) && argv[1] == "serve"s)
    serve(argv[2], argv[3], argc == 5 ? argv[4] : "");
  if (argc == 7 && argv[1] == "keep"s)
    keep(argv[2], argv[3], argv[4], std::stoull(argv[5]), std::stoull(argv[6]), "ledger",
         router::delivery_class::confirm);
  if (argc == 7 && argv[1] == "keep-once"s)
    keep(argv[2], argv[3], argv[4], std::stoull(argv[5]), std::stoull(argv[6]), "account",
         router::delivery_class::once);
  if (argc == 4 && argv[1] == "trouble"s)
    make_trouble(argv[2], argv[3]);
  if (argc == 5 && argv[1] == "send-once"s)
    send(argv[2], argv[3], std::stoull(argv[4]), "account", router::delivery_class::once);
  else if (argc == 5 && argv[1] == "send"s)
    send(argv[2], argv[3], std::stoull(argv[4]), "ledger", router::delivery_class::confirm);
  else
    fail("give serve NAME FOLDER [JOIN], keep or keep-once NAME FOLDER JOIN FIRST LAST, send or "
         "send-once NAME FOLDER COUNT, trouble NAME FOLDER, or die NAME FOLDER [HOW]");
}
