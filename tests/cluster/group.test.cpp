// Kills the leader of a group of real processes, again and again.

#include "support/free_port.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/testing/child_process.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace std::literals;
using namespace troupe;

namespace {

constexpr auto group_program = TROUPE_BIN_DIR "/group_program";

class group_of_three {
public:
  group_of_three() {
    for (int each = 0; each < 3; ++each)
      ports_.push_back(std::to_string(test::free_port()));
    for (std::size_t each = 0; each < 3; ++each)
      start(each);
    await(0, "voters 3"); // until then one loss is fatal
  }

  void start(std::size_t which) {
    std::vector<std::string> command{group_program, "member", folder_ / ports_[which],
                                     ports_[which], which == 0 ? "yes" : "no"};
    for (std::size_t each = 0; each < 3; ++each)
      if (each != which)
        command.push_back(ports_[each]);
    members_[which].emplace(command);
    await(which, "ready");
  }

  void kill(std::size_t which) {
    members_[which]->send_signal(SIGKILL);
    members_[which].reset();
  }

  [[nodiscard]] std::size_t at_port(const std::string& port) const {
    for (std::size_t each = 0; each < 3; ++each)
      if (ports_[each] == port)
        return each;
    FAIL("no member has port " << port);
    return 0;
  }

  testing::child_process client(const std::string& role, const std::string& count) {
    std::vector<std::string> command{group_program, role, count};
    command.insert(command.end(), ports_.begin(), ports_.end());
    return testing::child_process{command};
  }

private:
  /// Until the member says so.
  void await(std::size_t which, const std::string& what) {
    auto deadline = testing::child_process::clock::now() + 20s;
    while (auto line = members_[which]->read_line(deadline))
      if (*line == what)
        return;
    FAIL("a member does not say: " << what);
  }

  test::temporary_folder folder_;
  std::vector<std::string> ports_;
  std::map<std::size_t, std::optional<testing::child_process>> members_;
};

} // namespace

TEST_CASE("a group of processes loses its leader again and again, and no lock", "[cluster][host]") {
  group_of_three group;
  auto client = group.client("client", "400");
  std::map<std::uint64_t, std::uint64_t> held;
  std::optional<std::size_t> leader;
  std::optional<std::size_t> down;
  auto kills = 0;
  std::size_t held_at_kill = 0;
  auto deadline = [] { return testing::child_process::clock::now() + 30s; };
  for (;;) {
    auto line = client.read_line(deadline());
    INFO("after " << held.size() << " locks and " << kills << " kills");
    REQUIRE(line);
    INFO(*line);
    std::istringstream in{*line};
    std::string word;
    in >> word;
    if (word == "done")
      break;
    if (word == "leader") {
      std::string port;
      in >> port;
      leader = group.at_port(port);
      continue;
    }
    REQUIRE(word == "held");
    std::uint64_t number = 0;
    std::uint64_t token = 0;
    REQUIRE(in >> number >> token);
    REQUIRE((held.empty() || held.rbegin()->second < token));
    held[number] = token;
    if (down && held.size() >= held_at_kill + 10) {
      group.start(*down); // the others have gone on without it
      down.reset();
    } else if (!down && leader && held.size() >= held_at_kill + 40) {
      group.kill(*leader);
      down = std::exchange(leader, std::nullopt);
      held_at_kill = held.size();
      ++kills;
    }
  }
  CHECK(kills >= 5);
  REQUIRE(held.size() == 400);
  auto check = group.client("check", "400");
  std::size_t found = 0;
  while (auto line = check.read_line(deadline())) {
    std::istringstream in{*line};
    std::string word;
    std::uint64_t number = 0;
    std::uint64_t token = 0;
    in >> word;
    if (word == "done")
      break;
    if (word == "leader")
      continue;
    INFO(*line);
    REQUIRE(word == "held");
    REQUIRE(in >> number >> token);
    CHECK(held.at(number) == token);
    ++found;
  }
  CHECK(found == 400);
}
