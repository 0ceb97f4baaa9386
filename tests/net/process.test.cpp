// Links between processes: the other one is this program again, told by its environment
// to be a peer.

#include "net/node_fixture.hpp"

#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::literals;
using namespace troupe;
using test::node_number;
using test::test_node;

namespace {

/// Another process that dials `where` as node 2 and stays until it is killed.
class peer_process {
public:
  explicit peer_process(const net::endpoint& where) {
    REQUIRE(::setenv("TROUPE_DIAL", std::to_string(where.port()).c_str(), 1) == 0);
    char program[] = "/proc/self/exe";
    char name[] = "be a peer of another process";
    char* words[] = {program, name, nullptr};
    posix_spawn_file_actions_t quiet;
    ::posix_spawn_file_actions_init(&quiet);
    ::posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    REQUIRE(::posix_spawn(&process_, program, &quiet, nullptr, words, environ) == 0);
    ::posix_spawn_file_actions_destroy(&quiet);
  }

  ~peer_process() {
    tell(SIGCONT);
    tell(SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

  void tell(int signal) const {
    ::kill(process_, signal);
  }

private:
  pid_t process_ = 0;
};

} // namespace

TEST_CASE("be a peer of another process", "[.]") {
  auto* port = std::getenv("TROUPE_DIAL");
  if (port == nullptr)
    SKIP("part of the tests of processes");
  test_node self{{.node = 2}};
  REQUIRE(self.dial(test::loopback(static_cast<std::uint16_t>(std::stoi(port)))));
  CHECK(self.wait_for_links(0)); // the tests are over, or have died
}

TEST_CASE("a process that hangs is said to be silent each time, long before its link is given up",
          "[net][process]") {
  test_node ann{{.node = 1}};
  peer_process bob{ann.listen()};
  REQUIRE(ann.wait_for_links(1));
  for (auto time = 0; time < 2; ++time) {
    REQUIRE(ann.greet(ann.only_link()) == "hello, says 2");
    auto before = ann.silences();
    auto start = std::chrono::steady_clock::now();
    bob.tell(SIGSTOP);
    CHECK(ann.wait_for_silence(before));
    CHECK(std::chrono::steady_clock::now() - start < 5s); // the link would be given up after 8 s
    bob.tell(SIGCONT);
  }
  CHECK(ann.greet(ann.only_link()) == "hello, says 2");
  CHECK(ann.ups() == 1);
}

SCENARIO("the loss of a process is known at once", "[net][process]") {
  GIVEN("a link to another process, and requests under way") {
    test_node ann{{.node = 1}};
    peer_process bob{ann.listen()};
    REQUIRE(ann.wait_for_links(1));
    auto which = ann.only_link();
    REQUIRE(ann.greet(which) == "hello, says 2");
    caf::scoped_actor self{ann.system()};
    auto pending
      = net::request(self.operator->(), which->carrier(), 1h,
                     caf::actor_cast<caf::actor>(which->entry_point()), test::wait_request{1});
    WHEN("it is killed") {
      auto start = std::chrono::steady_clock::now();
      bob.tell(SIGKILL);
      THEN("the link is down and the requests have failed") {
        pending.receive(
          [](const test::greet_reply&) { FAIL("answered by a dead process"); },
          [](const caf::error& why) { CHECK(to_problem(why).code == errc::outcome_unknown); });
        CHECK(ann.wait_for_links(0));
        CHECK(std::chrono::steady_clock::now() - start < 2s);
      }
    }
    WHEN("it is stopped, and the link has a time-out of 1 s") {
      ann.gate().set_timeout(which, 1s);
      auto start = std::chrono::steady_clock::now();
      bob.tell(SIGSTOP);
      THEN("that is when the requests fail") {
        pending.receive(
          [](const test::greet_reply&) { FAIL("answered by a stopped process"); },
          [](const caf::error& why) { CHECK(to_problem(why).code == errc::outcome_unknown); });
        CHECK(ann.wait_for_links(0));
        CHECK(ann.last_reason() == "silent for 1 s");
        CHECK(std::chrono::steady_clock::now() - start > 400ms); // a heartbeat may have just come
        CHECK(std::chrono::steady_clock::now() - start < 4s);
      }
    }
  }
}
