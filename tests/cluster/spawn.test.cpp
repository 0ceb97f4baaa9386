// Services that one process spawns in another one.

#include "support/temporary_folder.hpp"
#include "troupe/testing/child_process.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

using namespace std::literals;
using troupe::testing::child_process;

namespace {

constexpr auto spawn_program = TROUPE_BIN_DIR "/spawn_program";

/// Reads what it says up to a line that begins so, and returns the rest of that.
std::string heard(child_process& from, const std::string& word) {
  auto deadline = std::chrono::steady_clock::now() + 20s;
  std::string seen;
  while (auto line = from.read_line(deadline)) {
    if (line->starts_with(word))
      return line->substr(word.size());
    seen += *line + '\n';
  }
  FAIL("it did not say '" << word << "', but:\n" << seen);
  return {};
}

/// A node where others may spawn services, in a process of its own. Without a folder each start of
/// it is another node of the same name.
child_process place_of(const std::string& port, const std::string& folder = {}) {
  std::vector<std::string> command{spawn_program, "place", "127.0.0.1:" + port, "place"};
  if (!folder.empty())
    command.push_back(folder);
  child_process made{command};
  heard(made, "ready ");
  return made;
}

/// Has taken some tickets of a new service, which has nothing of the one before.
void must_be_served(child_process& asks) {
  heard(asks, "spawned");
  for (auto each = 1; each <= 5; ++each)
    REQUIRE(asks.read_line() == "ticket " + std::to_string(each));
}

} // namespace

TEST_CASE("a service that was spawned in another process ends with either of the two",
          "[cluster][node]") {
  troupe::test::temporary_folder folder;
  child_process asks{{spawn_program, "ask", "place"}};
  auto port = heard(asks, "ready ");
  CHECK(asks.read_line() == "no place not_found");
  std::optional<child_process> place{place_of(port, folder / "place")};
  must_be_served(asks);
  for (auto is_stopped : {false, true}) {
    CAPTURE(is_stopped);
    if (is_stopped) // so that a question is open
      place->send_signal(SIGSTOP);
    place->send_signal(SIGKILL);
    auto killed = std::chrono::steady_clock::now();
    heard(asks, "down");
    auto code = asks.read_line();
    REQUIRE(code);
    INFO(*code);
    CHECK((*code == "failed unreachable" || *code == "failed outcome_unknown"));
    CHECK(std::chrono::steady_clock::now() - killed < 5s); // of the 20 s that it had
    CHECK(asks.read_line().value_or("").starts_with("no place "));
    place = place_of(port, folder / "place");
    must_be_served(asks);
  }
  asks.send_signal(SIGKILL);
  heard(*place, "ended");
}

TEST_CASE("a node is found by its name, though others that had this name are lost",
          "[cluster][node]") {
  child_process asks{{spawn_program, "ask", "place"}};
  auto port = heard(asks, "ready ");
  for (auto life = 0; life < 5; ++life) {
    CAPTURE(life);
    auto place = place_of(port);
    must_be_served(asks);
    place.send_signal(SIGKILL);
    heard(asks, "failed ");
  }
}
