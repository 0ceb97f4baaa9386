#include "troupe/scheduler/exec.hpp" // the header under test
#include "support/processes.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <future>
#include <string>
#include <vector>

namespace exec_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using test::all_over;
using test::numbers_in_file;
using testing::comes_true;
using json = nlohmann::json;

namespace {

task_call call_for(const std::string& input, duration timeout = {}) {
  return {assignment{.handler = exec_handler, .input = input, .timeout = timeout},
          {[](const result<std::string>&) {}, [](std::uint16_t) {}}};
}

result<std::string> run(const json& input, const exec_options& bounds = {}) {
  return exec_programs(bounds)(call_for(input.dump()));
}

json shell(const std::string& script) {
  return {{"argv", {"/bin/sh", "-c", script}}};
}

/// The result of a program that is to end well.
json seen(const json& input, const exec_options& bounds = {}) {
  auto done = run(input, bounds);
  INFO((done ? *done : done.error().detail));
  REQUIRE(done);
  return json::parse(*done);
}

} // namespace

TEST_CASE("a program's status, output and errors are its task's result", "[scheduler][exec]") {
  auto done = seen(shell("echo out; echo err >&2"));
  CHECK(done
        == json{{"status", 0}, {"stdout", "out\n"}, {"stderr", "err\n"}, {"truncated", false}});
  SECTION("its arguments arrive as they are: there is no shell") {
    CHECK(seen({{"argv", {"printf", "%s|", "$HOME", "a b", ";"}}})["stdout"] == "$HOME|a b|;|");
  }
  SECTION("it reads what it was given, or nothing") {
    std::string text(200'000, 'x'); // more than a pipe holds
    CHECK(seen({{"argv", {"wc", "-c"}}, {"stdin", text}})["stdout"] == "200000\n");
    CHECK(seen({{"argv", {"cat"}}})["stdout"] == "");
    CHECK(seen({{"argv", {"true"}}, {"stdin", text}})["status"] == 0);
  }
  SECTION("it gets none of our descriptors") {
    CHECK(seen(shell("ls /proc/self/fd | wc -l"))["stdout"] == "4\n"); // and that of ls
  }
}

TEST_CASE("a program that fails fails its task, with its last words", "[scheduler][exec]") {
  auto input = shell("echo out; echo why >&2; exit 3");
  auto done = run(input);
  REQUIRE_FALSE(done);
  CHECK(done.error().code == errc::failed);
  CHECK(done.error().detail.find("status 3") != std::string::npos);
  CHECK(done.error().detail.find("why") != std::string::npos);
  SECTION("unless nobody minds") {
    input["check"] = false;
    CHECK(seen(input)["status"] == 3);
    auto killed = shell("kill -9 $$");
    killed["check"] = false;
    CHECK(seen(killed)["status"] == 128 + SIGKILL);
  }
}

TEST_CASE("what is no program is refused for good", "[scheduler][exec]") {
  for (auto* input : {"", "no JSON", "{}", R"({"argv": []})", R"({"argv": [""]})",
                      R"({"argv": "true"})", R"({"argv": ["true"], "stdin": 1})"}) {
    INFO(input);
    auto done = exec_programs()(call_for(input));
    REQUIRE_FALSE(done);
    CHECK(done.error().code == errc::bad_argument);
    CHECK(done.error().detail.find("\"argv\"") != std::string::npos);
  }
  auto missing = run({{"argv", {"/no/such/program"}}});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == errc::not_found);
  CHECK(missing.error().detail.find("cannot run '/no/such/program'") != std::string::npos);
}

TEST_CASE("of what a program writes only so much is kept", "[scheduler][exec]") {
  auto long_one = seen(shell("head -c 1000000 /dev/zero | tr '\\0' x; echo err >&2"));
  CHECK(long_one["stdout"].get<std::string>() == std::string(exec_options{}.max_output_bytes, 'x'));
  CHECK(long_one["stderr"] == "err\n");
  CHECK(long_one["truncated"] == true);
  CHECK(seen(shell("printf 12345"), {.max_output_bytes = 5})["truncated"] == false);
  // Each of these bytes takes six in JSON.
  auto escaped = run(shell("head -c 16000 /dev/zero"));
  REQUIRE(escaped);
  CHECK(escaped->size() <= 60'000);
  CHECK(json::parse(*escaped)["truncated"] == true);
  CHECK(seen(shell("printf 'a\\377b'"))["stdout"]
        == "a\xef\xbf\xbd"
           "b");
}

TEST_CASE("a program and all that it started are killed", "[scheduler][exec]") {
  test::temporary_folder folder;
  std::string file = folder / "numbers";
  auto script = "sleep 600 & echo $$ $! > " + file + ".new; mv " + file + ".new " + file;
  SECTION("when its task is cancelled") {
    auto call = call_for(shell(script + "; wait").dump());
    auto done = std::async(std::launch::async, [&] { return exec_programs()(call); });
    REQUIRE(comes_true([&] { return numbers_in_file(file).size() == 2; }));
    call.cancel();
    REQUIRE(done.wait_for(20s) == std::future_status::ready);
    CHECK(done.get().error().code == errc::cancelled);
  }
  SECTION("when its time is over") {
    auto done = exec_programs()(call_for(shell(script + "; wait").dump(), 300ms));
    REQUIRE_FALSE(done);
    CHECK(done.error().code == errc::timed_out);
    if (numbers_in_file(file).size() != 2)
      SKIP("the machine was too slow for the program to begin");
  }
  SECTION("also what it leaves behind") {
    CHECK(seen(shell(script))["status"] == 0);
  }
  auto numbers = numbers_in_file(file);
  REQUIRE(numbers.size() == 2);
  CHECK(comes_true([&] { return all_over(numbers); }));
}

TEST_CASE("a task that was cancelled before runs no program to its end", "[scheduler][exec]") {
  auto call = call_for(shell("sleep 600").dump());
  call.cancel();
  auto done = exec_programs()(call);
  REQUIRE_FALSE(done);
  CHECK(done.error().code == errc::cancelled);
}

} // namespace exec_test
