// How often a command goes to the cluster and back before its user sees something: each way costs
// half a round trip, so that the time tells their number.

#include "troupe_command.hpp"

#include "troupe/testing/proxy.hpp"

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr auto far_host = "127.0.0.2"; // where the front of the node is

} // namespace

TEST_CASE("the command of a lock begins after five round trips", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--name", "n0", "--slots", "0", "--data", folder / "n0"}};
  constexpr auto one_way = 300ms;
  testing::proxy network;
  auto front = network.open(far_host, *net::address::from_string(node.address()));
  REQUIRE(front);
  network.set_path("127.0.0.1", far_host, {.delay = one_way});
  network.set_path(far_host, "127.0.0.1", {.delay = one_way});
  auto file = folder / "began";
  auto began = std::chrono::system_clock::now();
  auto done = run(
    {"lock", "door", "--at", to_string(*front), "--", "sh", "-c", "date +%s%N > " + file.string()});
  INFO(done);
  REQUIRE(done.status == 0);
  std::int64_t seen = 0;
  std::ifstream{file} >> seen;
  auto took = std::chrono::nanoseconds{seen} - began.time_since_epoch();
  INFO("after " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms");
  // The link (one of TLS, two of ours, and one of TCP, which the proxy answers at once), the
  // services, the lock, with which the session begins.
  CHECK(took >= 5 * 2 * one_way);
  CHECK(took < 6 * 2 * one_way);
}
