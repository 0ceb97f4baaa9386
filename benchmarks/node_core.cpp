// The machines that make a node a member of its cluster, alone: steps a second of
// cluster::node_core with many known nodes, and how many seconds of a node the simulator runs in
// one.
//
//   node_core_benchmark [NODES]

#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "troupe/cluster/node_core.hpp"
#include "troupe/registry/follow.hpp"
#include "troupe/registry/types.hpp"
#include "troupe/sim/scenarios/node_scenario.hpp"
#include "troupe/sim/scenarios/swim_measure.hpp"

namespace {

using namespace troupe;
using cluster::node_core;

constexpr std::uint64_t agents_each = 10;

double seconds_of(const std::function<void()>& job) {
  auto begin = std::chrono::steady_clock::now();
  job();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string node_name(std::uint64_t number) {
  return "n" + std::to_string(number);
}

registry::change change_of(registry::record_kind kind, std::string name, std::string owner,
                           std::uint64_t version) {
  registry::change made;
  made.kind = version == 1 ? registry::change_kind::added : registry::change_kind::updated;
  made.what.value.key = {kind, std::move(name), std::move(owner)};
  made.what.value.boot = 1;
  made.what.value.version = version;
  return made;
}

/// Node n0 of a cluster of so many, with ten agents each.
class one_node {
public:
  explicit one_node(std::uint64_t nodes)
    : nodes_(nodes), it_({.node = node_name(0), .name = node_name(0), .boot = 1}, 1) {
    for (std::uint64_t node = 1; node < nodes; ++node) {
      tell(change_of(registry::record_kind::node, node_name(node), node_name(node), 1));
      for (std::uint64_t each = 0; each < agents_each; ++each)
        tell(agent(node, each, 1));
    }
  }

  /// An agent of some node says something new.
  void hear(std::uint64_t number) {
    tell(agent(1 + number % (nodes_ - 1), number % agents_each, 2 + number));
  }

  void lead() {
    step(node_core::lead{false});
  }

  /// A node is linked, and gone again.
  void link(std::uint64_t number) {
    auto node = node_name(1 + number % (nodes_ - 1));
    step(cluster::liveness::link_up{node, 1});
    step(cluster::liveness::link_down{node, 1, "lost"});
  }

private:
  static registry::change agent(std::uint64_t node, std::uint64_t each, std::uint64_t version) {
    auto owner = node_name(node);
    return change_of(registry::record_kind::agent, "a" + std::to_string(each) + "@" + owner, owner,
                     version);
  }

  void tell(registry::change what) {
    registry::record_changes news;
    news.revision = ++revision_;
    news.changes.push_back(std::move(what));
    step(node_core::told{std::move(news)});
  }

  void step(node_core::event what) {
    out_.clear();
    it_.step(now_, 0, std::move(what), out_);
  }

  std::uint64_t nodes_;
  node_core it_;
  node_core::effects out_;
  time_point now_{std::chrono::hours{1}};
  std::uint64_t revision_ = 0;
};

void print(const char* what, std::uint64_t nodes, const char* figure, double value) {
  std::cout << nlohmann::ordered_json{{"benchmark", what}, {"nodes", nodes}, {figure, value}}
            << '\n';
}

} // namespace

int main(int count, char** words) {
  auto nodes = count > 1 ? std::stoull(words[1]) : 1'000ULL;
  auto steps = nodes * 200;
  one_node it{nodes};
  auto took = seconds_of([&] {
    for (std::uint64_t each = 0; each < steps; ++each)
      it.hear(each);
  });
  print("node_core_news", nodes, "steps_per_s", static_cast<double>(steps) / took);
  it.lead();
  took = seconds_of([&] {
    for (std::uint64_t each = 0; each < steps; ++each)
      it.link(each);
  });
  print("node_core_links", nodes, "steps_per_s", static_cast<double>(2 * steps) / took);

  sim::scenario_options how;
  how.nodes = 5;
  how.seed = 1;
  how.span = std::chrono::seconds{30};
  how.what = sim::storm();
  took = seconds_of([&] { (void)sim::node_scenario{how}.run(); });
  print("simulated_nodes", how.nodes, "node_seconds_per_s", how.nodes * 45 / took);

  sim::swim_measure_options members;
  members.nodes = static_cast<sim::process_id>(nodes);
  members.killed = members.nodes / 20;
  members.span = std::chrono::seconds{20};
  took = seconds_of([&] { (void)sim::swim_measure{members}.run(); });
  print("simulated_members", nodes, "node_seconds_per_s", static_cast<double>(nodes) * 25 / took);
}
