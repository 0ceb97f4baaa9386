#include "troupe/platform/supervised_program.hpp" // the header under test
#include "support/processes.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace supervised_program_test {

using namespace std::literals;
using namespace troupe;
using test::all_over;
using test::is_over;
using test::numbers_in_file;
using testing::comes_true;

namespace {

supervised_program start(const std::string& script) {
  auto made = supervised_program::start({.command = {"/bin/sh", "-c", script}});
  REQUIRE(made);
  return std::move(*made);
}

} // namespace

TEST_CASE("a supervised program says how it ended, and whether all of it has", "[core]") {
  auto one = start("exit 7");
  REQUIRE(one.wait_until_gone(20s));
  CHECK(one.has_ended());
  CHECK(one.status() == 7);
  auto killed = start("kill -9 $$");
  REQUIRE(killed.wait_until_gone(20s));
  CHECK(killed.status() == 128 + SIGKILL);
  auto missing = supervised_program::start({.command = {"/no/such/program"}});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == errc::not_found);
}

TEST_CASE("a supervised program says how it ended, also when signals came too late", "[core]") {
  test::temporary_folder folder;
  std::string file = folder / "numbers";
  std::string gate = folder / "gate";
  REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
  auto one = start("echo $$ $PPID > " + file + ".new; mv " + file + ".new " + file
                   + "; read line < " + gate + "; exit 9");
  REQUIRE(comes_true([&] { return numbers_in_file(file).size() == 2; }));
  auto program = numbers_in_file(file).at(0);
  auto supervisor = numbers_in_file(file).at(1);
  ::kill(supervisor, SIGSTOP);
  std::ofstream{gate} << "go on\n";
  REQUIRE(comes_true([&] { return is_over(program); }));
  for (auto each = 0; each < 4; ++each) // it takes one, then sees that nothing is left
    one.signal(SIGCONT);
  ::kill(supervisor, SIGCONT);
  REQUIRE(comes_true([&] { return is_over(supervisor); }));
  REQUIRE(one.wait_until_gone(20s));
  CHECK(one.status() == 9);
}

TEST_CASE("a supervised program takes with it all that it started, in whatever session", "[core]") {
  test::temporary_folder folder;
  std::string file = folder / "numbers";
  auto tell = " > " + file + ".new; mv " + file + ".new " + file + "; ";
  // The second is in a session of its own, and its parent ends before it.
  auto script
    = "sleep 600 & one=$!; two=$(setsid sh -c 'sleep 600 >/dev/null & echo $!'); echo $$ $one $two"
      + tell;
  auto is_all_over = [&] { return all_over(numbers_in_file(file)); };
  SECTION("when its owner lets go of it") {
    {
      auto one = start(script + "wait");
      REQUIRE(comes_true([&] { return numbers_in_file(file).size() == 3; }));
      CHECK_FALSE(is_all_over());
    }
    CHECK(is_all_over());
  }
  SECTION("when it is killed after its end") {
    auto one = start(script + "exit 3");
    REQUIRE(comes_true([&] {
      one.look();
      return one.has_ended();
    }));
    CHECK(one.status() == 3);
    CHECK_FALSE(one.is_gone());
    one.kill();
    CHECK(is_all_over());
  }
  SECTION("when a signal is sent to it") {
    auto one = start(script + "wait");
    REQUIRE(comes_true([&] { return numbers_in_file(file).size() == 3; }));
    one.signal(SIGTERM);
    CHECK(one.wait_until_gone(20s));
    CHECK(is_all_over());
    CHECK(one.status() == 128 + SIGTERM);
  }
  SECTION("when the process of its owner is killed") {
    auto owner = ::fork();
    if (owner == 0) {
      auto one
        = supervised_program::start({.command = {"/bin/sh", "-c", script + "wait"}}); // NOLINT
      for (;;)
        ::pause();
    }
    REQUIRE(comes_true([&] { return numbers_in_file(file).size() == 3; }));
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    CHECK(comes_true(is_all_over));
  }
  REQUIRE(numbers_in_file(file).size() == 3);
}

TEST_CASE("a supervised program is in our process group, unless it wants its own", "[core]") {
  test::temporary_folder folder;
  std::string file = folder / "group";
  auto group_of = [&](bool own) {
    auto made = supervised_program::start(
      {.command = {"/bin/sh", "-c", "cut -d' ' -f5 /proc/$$/stat > " + file}, .own_group = own});
    REQUIRE(made);
    REQUIRE(made->wait_until_gone(20s));
    return numbers_in_file(file).at(0);
  };
  CHECK(group_of(false) == ::getpgrp());
  CHECK(group_of(true) != ::getpgrp());
}

} // namespace supervised_program_test
