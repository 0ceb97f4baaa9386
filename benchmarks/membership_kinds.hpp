#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "troupe/cluster/swim_options.hpp"
#include "troupe/net/address.hpp"
#include "troupe/node/node.hpp"
#include "troupe/platform/one_heap.hpp"
#include "troupe/raft/options.hpp"
#include "troupe/registry/registry_client.hpp"

/// The two kinds of members that are compared: how each is started, and what it says of others.
namespace troupe::benchmark {

/// A member is known by the port that it gets datagrams at, which no later one gets again.
using port_number = std::uint16_t;

/// What a line of a member's output says.
struct said {
  /// Whom it sees, and whether as a member that is there.
  std::optional<port_number> whom{};
  bool is_there = false;
  /// Whether it leads, which it says when it begins to rest.
  std::optional<bool> leads{};
  /// How many agents it finds.
  std::optional<std::size_t> agents{};
};

/// How a member is started.
struct member_start {
  port_number port;
  /// Those to join. Empty: it is the first.
  std::vector<port_number> seeds;
  /// Where it keeps data; empty: nowhere.
  std::filesystem::path folder;
  /// "wan" or "lan".
  std::string timers;
  /// How many agents it has; of troupe only.
  std::size_t agents = 0;
};

class member_kind {
public:
  virtual ~member_kind() = default;

  [[nodiscard]] virtual const char* name() const = 0;
  [[nodiscard]] virtual std::vector<std::string> command(const member_start& how) const = 0;
  [[nodiscard]] virtual said read(const std::string& line) const = 0;
  /// Makes a member leave and end.
  [[nodiscard]] virtual int leave_signal() const = 0;
  /// Makes it look no more, and say whether it leads; and look again. Nothing: looking costs it
  /// nothing, and none of them leads.
  [[nodiscard]] virtual std::optional<int> rest_signal() const = 0;
  [[nodiscard]] virtual int look_signal() const = 0;
};

// -- troupe ----------------------------------------------------------------------------

/// Processes of this benchmark's own that are a node each, as `troupe node --insecure` starts them.
/// Each asks its node every 20 ms who is there, and prints what has changed.
class troupe_members : public member_kind {
public:
  static constexpr std::chrono::milliseconds look_every{20};

  [[nodiscard]] const char* name() const override {
    return "troupe";
  }

  [[nodiscard]] std::vector<std::string> command(const member_start& how) const override {
    std::vector<std::string> made{std::filesystem::canonical("/proc/self/exe"),
                                  "serve",
                                  std::to_string(how.agents),
                                  how.timers,
                                  how.folder,
                                  std::to_string(how.port)};
    for (auto each : how.seeds)
      made.push_back(std::to_string(each));
    return made;
  }

  [[nodiscard]] said read(const std::string& line) const override {
    auto found = nlohmann::json::parse(line, nullptr, false);
    if (found.contains("leads"))
      return {.leads = found["leads"].get<bool>()};
    if (found.contains("agents"))
      return {.agents = found["agents"].get<std::size_t>()};
    if (!found.contains("address"))
      return {};
    auto where = net::address::from_string(found["address"].get<std::string>());
    auto status = found["status"].get<std::string>();
    return {.whom = where.value().port, .is_there = status == "alive" || status == "suspect"};
  }

  [[nodiscard]] int leave_signal() const override {
    return SIGTERM;
  }

  [[nodiscard]] std::optional<int> rest_signal() const override {
    return SIGUSR2;
  }

  [[nodiscard]] int look_signal() const override {
    return SIGUSR1;
  }

  /// Is a node, as the words say that command() gave, until it is killed or leaves.
  [[noreturn]] static void serve(const std::vector<std::string>& words) {
    use_one_heap(); // as `troupe node` does
    sigset_t signals;
    ::sigemptyset(&signals);
    for (auto each : {SIGUSR1, SIGUSR2, SIGTERM})
      ::sigaddset(&signals, each);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); // threads of the node inherit it
    auto made = node::start(options_of({words.begin() + 1, words.end()}));
    if (!made)
      give_up(made.error());
    auto agents = std::stoul(words.at(0));
    for (std::size_t each = 0; each < agents; ++each)
      if (auto why = made->agent("worker " + std::to_string(each),
                                 {.capabilities = {"work"}, .unique = false},
                                 [](const std::string& text) { return text; });
          !why)
        give_up(why.error());
    look_on(*made, signals);
    if (auto left = made->leave(); !left)
      give_up(left.error());
    std::_Exit(0);
  }

private:
  using sights = std::map<std::string, std::string>;

  [[noreturn]] static void give_up(const problem& why) {
    std::cerr << "error: " << why << std::endl;
    std::_Exit(1);
  }

  static node_options options_of(const std::vector<std::string>& words) {
    auto at_port = [](const std::string& port) {
      return net::address{"127.0.0.1", static_cast<port_number>(std::stoul(port))};
    };
    node_options made;
    made.links.insecure = true;
    if (words.at(0) == "lan") {
      made.membership = cluster::swim_options::lan();
      made.group.consensus = raft::lan();
    }
    made.data = words.at(1);
    made.listen = at_port(words.at(2));
    made.wait_joined = {}; // the others start now
    for (std::size_t each = 3; each < words.size(); ++each)
      made.join.push_back(at_port(words[each]));
    return made;
  }

  /// Until it is asked to leave.
  static void look_on(node& asked, const sigset_t& signals) {
    sights seen;
    std::size_t agents = 0;
    for (auto rests = false;;) {
      timespec wait{};
      wait.tv_nsec = std::chrono::nanoseconds{look_every}.count();
      switch (::sigtimedwait(&signals, nullptr, rests ? nullptr : &wait)) {
        case SIGTERM:
          return;
        case SIGUSR1:
          rests = false;
          break;
        case SIGUSR2:
          rests = true;
          std::cout << nlohmann::json{{"leads", asked.is_host()}}.dump() << std::endl;
          break;
        default:
          look(asked, seen);
          count(asked, agents);
      }
    }
  }

  static void look(node& asked, sights& seen) {
    auto members = asked.members();
    if (!members)
      return; // overloaded: it looks again
    sights now;
    for (auto& each : *members)
      now[each.address] = each.status;
    for (auto& [address, status] : seen)
      if (!now.contains(address))
        print(address, "forgotten");
    for (auto& [address, status] : now)
      if (auto before = seen.find(address); before == seen.end() || before->second != status)
        print(address, status);
    seen = std::move(now);
  }

  static void count(node& asked, std::size_t& before) {
    auto found = asked.registry().count();
    if (!found || found->agents.active == before)
      return;
    before = found->agents.active;
    std::cout << nlohmann::json{{"agents", before}}.dump() << std::endl;
  }

  static void print(const std::string& address, const std::string& status) {
    std::cout << nlohmann::json{{"address", address}, {"status", status}}.dump() << std::endl;
  }
};

// -- serf ------------------------------------------------------------------------------

/// Agents of Hashicorp's serf, which say in their log what changes, at once.
class serf_agents : public member_kind {
public:
  /// Whether it is on the PATH.
  static bool is_there() {
    auto* path = std::getenv("PATH");
    std::istringstream folders{path != nullptr ? path : ""};
    for (std::string folder; std::getline(folders, folder, ':');)
      if (::access((std::filesystem::path{folder} / "serf").c_str(), X_OK) == 0)
        return true;
    return false;
  }

  [[nodiscard]] const char* name() const override {
    return "serf";
  }

  [[nodiscard]] std::vector<std::string> command(const member_start& how) const override {
    std::vector<std::string> made{"serf",
                                  "agent",
                                  "-node=" + std::to_string(how.port),
                                  "-bind=127.0.0.1:" + std::to_string(how.port),
                                  "-rpc-addr=127.0.0.1:0",
                                  "-profile=" + how.timers,
                                  "-retry-interval=1s"}; // it takes no less
    for (auto each : how.seeds)
      made.push_back("-retry-join=127.0.0.1:" + std::to_string(each));
    return made;
  }

  /// Such as "2026/01/31 12:00:00 [INFO] serf: EventMemberFailed: NAME 127.0.0.1".
  [[nodiscard]] said read(const std::string& line) const override {
    static constexpr std::array<std::pair<std::string_view, bool>, 3> events{
      {{"EventMemberJoin", true}, {"EventMemberFailed", false}, {"EventMemberLeave", false}}};
    for (auto& [event, is_there] : events)
      if (auto place = line.find(event); place != std::string::npos)
        if (auto name = line.find(": ", place); name != std::string::npos)
          return {.whom = static_cast<port_number>(std::stoul(line.substr(name + 2))),
                  .is_there = is_there};
    return {};
  }

  [[nodiscard]] int leave_signal() const override {
    return SIGINT;
  }

  [[nodiscard]] std::optional<int> rest_signal() const override {
    return std::nullopt;
  }

  [[nodiscard]] int look_signal() const override {
    return 0;
  }
};

} // namespace troupe::benchmark
