// The process between a supervised program and us: nothing but its end may end it, and it holds
// nothing of ours.

#include "troupe/platform/supervised_program.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <string>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace keeper_test {

using namespace std::literals;
using namespace troupe;
using testing::comes_true;

namespace {

/// A program that runs until it is told to end, and its keeper.
struct kept_program {
  supervised_program inside;
  pid_t keeper = 0;

  static kept_program start() {
    auto said = make_pipe();
    REQUIRE(said);
    auto made
      = supervised_program::start({.command = {"/bin/sh", "-c", "echo $PPID; exec sleep 60"},
                                   .output = said->second.get(),
                                   .alone = true});
    REQUIRE(made);
    std::array<char, 32> text{};
    REQUIRE(::read(said->first.get(), text.data(), text.size()) > 0);
    pid_t keeper = 0;
    std::from_chars(text.data(), text.data() + text.size(), keeper);
    REQUIRE(keeper > 1);
    return {std::move(*made), keeper};
  }
};

} // namespace

TEST_CASE("signals for the keeper of a program do not end it", "[core]") {
  auto one = kept_program::start();
  for (auto number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE})
    CHECK(::kill(one.keeper, number) == 0);
  one.inside.signal(SIGTERM);
  REQUIRE(one.inside.wait_until_gone(20s));
  CHECK(one.inside.status() == 128 + SIGTERM); // by the keeper's own hand, not by its death
}

TEST_CASE("the keeper of a program leaves the group of its owner", "[core]") {
  auto one = kept_program::start();
  CHECK(comes_true([&] { return ::getpgid(one.keeper) == one.keeper; }));
}

TEST_CASE("the keeper of a program holds no pipe of its owner open", "[core]") {
  auto pipe = make_pipe();
  REQUIRE(pipe);
  descriptor high{::fcntl(pipe->second.get(), F_DUPFD_CLOEXEC, 500)}; // above all of its own
  REQUIRE(high.get() >= 500);
  auto one = kept_program::start();
  pipe->second.close();
  high.close();
  pollfd end{pipe->first.get(), POLLIN, 0};
  REQUIRE(::poll(&end, 1, 20'000) == 1);
  CHECK((end.revents & POLLHUP) != 0);
  CHECK_FALSE(one.inside.has_ended());
}

TEST_CASE("how a program ended is not how what it left behind did", "[core]") {
  auto input = make_pipe();
  REQUIRE(input);
  auto made = supervised_program::start(
    {.command = {"/bin/sh", "-c", "exec 3<&0; (read line <&3; exit 3) & exit 7"},
     .input = input->first.get(),
     .alone = true});
  REQUIRE(made);
  CHECK(comes_true([&] {
    made->look();
    return made->has_ended();
  }));
  CHECK_FALSE(made->is_gone());
  input->second.close(); // what it left behind has nothing to wait for
  REQUIRE(made->wait_until_gone(20s));
  CHECK(made->status() == 7);
}

} // namespace keeper_test
