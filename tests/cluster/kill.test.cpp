// Kills a real process, again and again, and holds it to what it said.

#include "support/seeds.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::literals;
using namespace troupe;

namespace {

/// Runs `command` and returns all it wrote until it was killed, `span` after its
/// first word.
std::string lines_until_killed(std::vector<std::string> command, std::chrono::milliseconds span) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  std::vector<char*> words;
  for (auto& each : command)
    words.push_back(each.data());
  words.push_back(nullptr);
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, words[0], &actions, nullptr, words.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string result;
  char buffer[4096];
  auto killed = false;
  auto deadline = std::chrono::steady_clock::now() + 10s; // to say its first word
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
    pollfd readable{ends[0], POLLIN, 0};
    if (!killed && (left <= 0ms || poll(&readable, 1, static_cast<int>(left.count())) == 0)) {
      kill(child, SIGKILL);
      killed = true;
    }
    auto count = read(ends[0], buffer, sizeof(buffer));
    if (count <= 0)
      break;
    if (result.empty())
      deadline = std::chrono::steady_clock::now() + span;
    result.append(buffer, static_cast<std::size_t>(count));
  }
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return result;
}

} // namespace

TEST_CASE("kill -9 takes back nothing that was said", "[cluster][host]") {
  test::temporary_folder folder;
  test::random_source random{std::random_device{}()};
  std::string session;
  std::map<std::uint64_t, std::uint64_t> held;
  for (auto life = 0; life < 20; ++life) {
    std::vector<std::string> command{TROUPE_BIN_DIR "/lock_keeper_program", folder / "locks"};
    if (!held.empty())
      command.insert(command.end(), {session, std::to_string(held.rbegin()->first)});
    std::istringstream lines{
      lines_until_killed(command, std::chrono::milliseconds{20 + random.below(120)})};
    auto before = held.size();
    std::string word;
    while (lines >> word) {
      INFO("life " << life << ", after lock " << held.size() << ": " << word);
      std::uint64_t number = 0;
      std::uint64_t token = 0;
      if (word == "session") {
        REQUIRE(lines >> word);
        REQUIRE((session.empty() || session == word));
        session = word;
        continue;
      }
      REQUIRE(word == "held");
      if (!(lines >> number >> token))
        break; // killed within a line
      auto [known, first_time] = held.try_emplace(number, token);
      REQUIRE(known->second == token);
      REQUIRE((!first_time || held.size() < 2 || std::prev(known)->second < token));
    }
    INFO("life " << life);
    CHECK(held.size() > before);
  }
  WARN(held.size() << " locks acknowledged over 20 lives");
}
