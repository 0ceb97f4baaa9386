// Kills a real process, again and again, and holds it to what it said.

#include "support/seeds.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/testing/child_process.hpp"

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

using namespace std::literals;
using namespace troupe;

namespace {

/// Runs `command` and returns the lines it wrote until it was killed, `span` after the first
/// that begins with `word`.
std::vector<std::string> lines_until_killed(const std::vector<std::string>& command,
                                            const std::string& word,
                                            std::chrono::milliseconds span) {
  testing::child_process child{command};
  std::vector<std::string> result;
  auto deadline = std::chrono::steady_clock::now() + 20s; // until that word
  auto heard = false;
  while (auto line = child.read_line(deadline)) {
    if (!heard && line->starts_with(word)) {
      heard = true;
      deadline = std::chrono::steady_clock::now() + span;
    }
    result.push_back(*std::move(line));
  }
  child.send_signal(SIGKILL);
  std::istringstream rest{child.read_rest()};
  for (std::string line; std::getline(rest, line) && !rest.eof();) // a line without end is none
    result.push_back(line);
  return result;
}

} // namespace

TEST_CASE("kill -9 takes back nothing that was said", "[cluster][host]") {
  test::temporary_folder folder;
  auto seed = test::given_seed().value_or(std::random_device{}());
  INFO("replay with TROUPE_SEED=" << seed);
  test::random_source random{seed};
  std::string session;
  std::map<std::uint64_t, std::uint64_t> held;
  for (auto life = 0; life < 20; ++life) {
    std::vector<std::string> command{TROUPE_BIN_DIR "/lock_keeper_program", folder / "locks"};
    if (!held.empty())
      command.insert(command.end(), {session, std::to_string(held.rbegin()->first)});
    // Now and then before it has taken one.
    auto takes_one = life % 4 != 3;
    auto before = held.size();
    auto next = held.empty() ? 1 : held.rbegin()->first + 1;
    auto awaited = takes_one ? "held " + std::to_string(next) + ' ' : "session";
    for (auto& each :
         lines_until_killed(command, awaited, std::chrono::milliseconds{random.below(120)})) {
      INFO("life " << life << ", after lock " << held.size() << ": " << each);
      std::istringstream line{each};
      std::string word;
      line >> word;
      if (word == "session") {
        REQUIRE(line >> word);
        REQUIRE((session.empty() || session == word));
        session = word;
        continue;
      }
      REQUIRE(word == "held");
      std::uint64_t number = 0;
      std::uint64_t token = 0;
      REQUIRE(line >> number >> token);
      auto [known, first_time] = held.try_emplace(number, token);
      REQUIRE(known->second == token);
      REQUIRE((!first_time || held.size() < 2 || std::prev(known)->second < token));
    }
    INFO("life " << life);
    CHECK((held.size() > before || !takes_one));
  }
  WARN(held.size() << " locks acknowledged over 20 lives");
}
