// Voters that come back when the log of the others does not have what they lack any more.

#include "support/free_port.hpp"
#include "troupe/testing/proxy.hpp"
#include "troupe_command.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

using namespace troupe::test;

namespace {

constexpr std::uint64_t chunk_bytes = 512 * 1'024; // raft::options::max_message_bytes
/// More than the log keeps: a snapshot is due after 6 MiB (group_options::snapshot_every_bytes),
/// and 1 MiB of entries stays behind it (raft::options::keep_bytes).
constexpr std::size_t many_values = 66;
constexpr std::size_t value_bytes = 120'000; // as long as an argument of a command may be
/// In which a state of more than 6 MiB takes some seconds.
constexpr std::uint64_t slow_bytes_per_second = 3 * 1'024 * 1'024 / 2;

/// Three voters, each at a host of its own, which reach each other through a network.
class voters_in_a_network {
public:
  voters_in_a_network() {
    need_command();
    for (std::size_t each = 0; each < 3; ++each) {
      ports_.push_back(troupe::test::free_port(host(each)));
      fronts_.push_back(to_string(*network.open(host(each), {host(each), ports_.back()})));
      nodes_.emplace_back();
      start(each);
    }
    REQUIRE(comes_true([this] { return is_whole(); }));
  }

  void start(std::size_t index) {
    words how{"--name",     name(index),   "--data",      folder_ / name(index),
              "--timers",   "lan",         "--slots",     "0",
              "--raft-log", events(index), "--advertise", fronts_[index]};
    for (std::size_t other = 0; other < nodes_.size(); ++other)
      if (other != index)
        how.insert(how.end(), {"--join", fronts_[other]});
    nodes_[index]
      = std::make_unique<running_node>(how, host(index) + ":" + std::to_string(ports_[index]));
  }

  void kill(std::size_t index) {
    nodes_[index]->kill();
  }

  /// What all others say to this node travels so.
  void set_path_to(std::size_t index, const troupe::testing::network_path& how) {
    for (std::size_t other = 0; other < 3; ++other)
      if (other != index)
        network.set_path(host(other), host(index), how);
  }

  /// How much the others have said to this node.
  std::uint64_t bytes_to(std::size_t index) {
    std::uint64_t sum = 0;
    for (std::size_t other = 0; other < 3; ++other)
      if (other != index)
        sum += network.passed_bytes(host(other), host(index));
    return sum;
  }

  [[nodiscard]] const std::string& address(std::size_t index) const {
    return fronts_[index];
  }

  [[nodiscard]] std::string addresses() const {
    return fronts_[0] + "," + fronts_[1] + "," + fronts_[2];
  }

  /// What the leader says of each voter.
  [[nodiscard]] std::vector<json> seats() const {
    return run({"voters", "--json", "--at", addresses()})
      .line()
      .value("voters", std::vector<json>{});
  }

  [[nodiscard]] bool is_whole() const {
    auto seen = seats();
    return seen.size() == 3 && std::ranges::all_of(seen, [](const json& each) {
             return each["votes"] == true && each["lag"] == 0 && each["silent_s"].is_number()
                    && each["silent_s"] < 1.0;
           });
  }

  [[nodiscard]] std::size_t leader() const {
    std::size_t found = 3;
    REQUIRE(comes_true([&] {
      for (auto& each : seats())
        for (std::size_t index = 0; index < 3; ++index)
          if (each["leads"] == true && each["node"] == name(index))
            found = index;
      return found < 3;
    }));
    return found;
  }

  /// How many snapshots of another one a node has written down (see raft::event_log).
  [[nodiscard]] std::size_t installed(std::size_t index) const {
    std::ifstream in{events(index)};
    std::size_t count = 0;
    for (std::string line; std::getline(in, line);)
      count += json::parse(line, nullptr, false).value("ev", "") == "install" ? 1U : 0U;
    return count;
  }

  static std::string name(std::size_t index) {
    return "n" + std::to_string(index);
  }

  troupe::testing::proxy network;

private:
  static std::string host(std::size_t index) {
    return "127.0.0." + std::to_string(2 + index);
  }

  [[nodiscard]] std::string events(std::size_t index) const {
    return folder_ / (name(index) + ".jsonl");
  }

  temporary_folder folder_;
  std::vector<std::uint16_t> ports_;
  std::vector<std::string> fronts_;
  std::vector<std::unique_ptr<running_node>> nodes_;
};

std::string key(std::size_t number) {
  return "key-" + std::to_string(number);
}

std::string value(std::size_t number) {
  return key(number) + std::string(value_bytes, '.');
}

/// Runs commands for these values at this address, some at once, and checks what each says.
template <class Command, class Check>
void for_many_values(Command command, Check check) {
  constexpr std::size_t at_once = 6;
  for (std::size_t first = 0; first < many_values; first += at_once) {
    std::vector<troupe::testing::child_process> all;
    for (auto each = first; each < std::min(first + at_once, many_values); ++each)
      all.push_back(troupe::test::start(command(each)));
    for (std::size_t each = 0; each < all.size(); ++each)
      check(first + each, finish(all[each]));
  }
}

} // namespace

TEST_CASE(
  "a voter that lacks more than the log has gets the state in parts, also when it is killed "
  "between them",
  "[cluster][cli]") {
  voters_in_a_network cluster;
  auto leads = cluster.leader();
  auto away = (leads + 1) % 3;
  cluster.kill(away);
  for_many_values(
    [&](std::size_t each) {
      return words{"put", key(each), value(each), "--at", cluster.addresses()};
    },
    [](std::size_t each, const outcome& done) {
      INFO(each << ": " << done);
      REQUIRE(done.status == 0);
    });
  REQUIRE(cluster.installed(away) == 0);

  cluster.set_path_to(away, {.bytes_per_second = slow_bytes_per_second});
  auto before = cluster.bytes_to(away);
  cluster.start(away);
  REQUIRE(comes_true([&] { return cluster.bytes_to(away) > before + 2 * chunk_bytes; }));
  CHECK_FALSE(cluster.is_whole());
  cluster.kill(away);
  CHECK(cluster.installed(away) == 0);
  CHECK(cluster.bytes_to(away) < before + many_values * value_bytes);

  cluster.network.heal();
  cluster.start(away);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
  CHECK(cluster.installed(away) == 1);
  cluster.kill(leads); // what it answers is its own
  for_many_values(
    [&](std::size_t each) {
      return words{"get", key(each), "--at", cluster.address(away)};
    },
    [](std::size_t each, const outcome& done) {
      INFO(each << ": status " << done.status.value_or(-1) << ", " << done.output.size()
                << " bytes");
      CHECK(done.output == value(each) + '\n');
    });
}
