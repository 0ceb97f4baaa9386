// How long do nodes that start at once on empty folders take to join a cluster, each with a token
// of its own, and what of that is the price of certificates? Beside them as many with insecure
// links.
//
// Usage: joining [NODES]; prints a JSON line for each. The founder is this process, each of the
// others a process of its own with a data folder, all on this machine; time runs from the first
// start to the last node that is joined and knows all agents. A node that does not join ends it
// with an error and status 1.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <unistd.h>

#include "troupe/node/node.hpp"
#include "troupe/platform/one_heap.hpp"
#include "troupe/storage/scratch_folder.hpp"
#include "troupe/testing/child_process.hpp"

namespace {

using namespace std::literals;
using namespace troupe;
using steady = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << "error: " << why << std::endl;
  std::exit(1);
}

/// Is a node until it is killed.
[[noreturn]] void serve(const std::string& data, const std::string& port, std::string token) {
  use_one_heap(); // as `troupe node` does
  node_options options;
  options.listen = {"127.0.0.1", 0};
  options.data = data;
  options.join = {{"127.0.0.1", static_cast<std::uint16_t>(std::stoul(port))}};
  options.links.insecure = token.empty();
  options.token = std::move(token);
  options.wait_joined = {};
  auto made = node::start(std::move(options));
  if (!made) {
    std::cerr << "error: " << made.error() << std::endl;
    std::_Exit(1);
  }
  if (auto joined = made->wait_for_services(2min); !joined) { // as `troupe node` does
    std::cerr << "error: " << joined.error() << std::endl;
    std::_Exit(1);
  }
  std::cout << "joined" << std::endl;
  for (;;)
    ::pause();
}

void measure(const std::filesystem::path& folder, std::size_t nodes, bool is_secure) {
  node_options options;
  options.listen = {"127.0.0.1", 0};
  options.data = folder / "founder";
  options.links.insecure = !is_secure;
  auto founder = node::start(std::move(options));
  if (!founder)
    give_up(founder.error().detail);
  std::vector<std::string> tokens(nodes);
  if (is_secure)
    for (auto& each : tokens)
      each = founder->invite().value();
  auto program = std::filesystem::canonical("/proc/self/exe").string();
  std::vector<testing::child_process> others;
  std::vector<double> took;
  auto began = steady::now();
  for (std::size_t index = 0; index < nodes; ++index)
    others.emplace_back(std::vector<std::string>{program, "serve",
                                                 (folder / std::to_string(index)).string(),
                                                 std::to_string(founder->port()), tokens[index]});
  for (auto& each : others) {
    if (each.read_line(2min) != "joined")
      give_up("a node has not joined");
    took.push_back(std::chrono::duration<double>(steady::now() - began).count());
  }
  std::cout << nlohmann::ordered_json{{"benchmark", "joining"},
                                      {"with", is_secure ? "tokens" : "insecure links"},
                                      {"nodes", nodes},
                                      {"all_joined_s", std::ranges::max(took)}}
                 .dump()
            << std::endl;
}

} // namespace

int main(int count, char** words) {
  troupe::init();
  if (count == 5 && words[1] == "serve"s)
    serve(words[2], words[3], words[4]);
  auto nodes = count > 1 ? std::stoul(words[1]) : 100;
  storage::scratch_folder folder{"joining"};
  if (auto& why = folder.missing())
    give_up(why.detail);
  measure(folder.path() / "plain", nodes, false);
  measure(folder.path() / "secure", nodes, true);
}
