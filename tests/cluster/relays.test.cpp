// Nodes and clients that do not reach the leader, on a network of the kernel.

#include "cluster/identities.hpp"
#include "troupe/testing/namespace_network.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

constexpr auto at_default_port = ":6767";

/// Three nodes on hosts of their own, of which the first has founded the cluster; this process, and
/// the commands that it starts, are on a fourth one.
class hosts_of_three {
public:
  hosts_of_three() {
    auto made = testing::namespace_network::make();
    REQUIRE(made);
    network_ = *std::move(made);
    for (auto& each : hosts_)
      each = network_->add_host().value();
    for (auto index : {0, 1, 2})
      start_node(index);
  }

  [[nodiscard]] std::string at(int index) const {
    return hosts_[index] + at_default_port;
  }

  json status_of(int index) {
    return run({"status", "--links", "--json", "--at", at(index)}).line();
  }

  /// Who leads, as the node with the number `asked` knows.
  int leader(int asked) {
    int found = -1;
    REQUIRE(comes_true([&] {
      auto name = status_of(asked).value("leader", json{});
      for (auto index : {0, 1, 2})
        if (name == three_voters::name(index))
          found = index;
      return found >= 0;
    }));
    return found;
  }

  /// Neither of the two gets a packet of the other any more.
  void part(const std::string& one, const std::string& other) {
    REQUIRE(network_->set_path({{one, other}, {other, one}}, {.cut = true}));
  }

  [[nodiscard]] const std::string& host(int index) const {
    return hosts_[index];
  }

  [[nodiscard]] const std::string& here() const {
    return network_->here();
  }

private:
  void start_node(int index) {
    words command{"node",    "--json", "--listen",
                  at(index), "--data", who_.folder(three_voters::name(index)),
                  "--slots", "0"};
    if (index > 0)
      command.insert(command.end(), {"--join", at(0)});
    network_->at(hosts_[index], [&] { nodes_.emplace_back(start(command)); });
  }

  identities who_;
  variable home_{"TROUPE_HOME", who_.folder("c1")};
  std::unique_ptr<testing::namespace_network> network_;
  std::array<std::string, 3> hosts_;
  std::vector<running_node> nodes_;
};

} // namespace

TEST_CASE("a node and a client that the leader does not reach use the services through another",
          "[cluster]") {
  need_command();
  if (auto why = testing::namespace_network::missing())
    SKIP(why.detail);
  hosts_of_three nodes;
  REQUIRE(comes_true([&] {
    auto group = nodes.status_of(2)["group"];
    return group.is_object() && group["voters"].size() == 3
           && std::ranges::all_of(group["voters"],
                                  [](auto& each) { return each["votes"] == true; });
  }));
  auto leader = nodes.leader(2);
  auto far = (leader + 1) % 3;
  auto relay = (leader + 2) % 3;
  must({"put", "colour", "red", "--at", nodes.at(far)});
  nodes.part(nodes.host(leader), nodes.host(far));
  nodes.part(nodes.host(leader), nodes.here());
  must({"put", "colour", "blue", "--at", nodes.at(far), "--timeout", "20s"});
  CHECK(run({"get", "colour", "--at", nodes.at(relay)}).output == "blue\n");
  if (nodes.leader(far) != leader)
    SKIP("the lead has moved meanwhile, as this machine is busy");
  json links;
  auto via = [&]() -> std::string {
    links = nodes.status_of(far)["links"];
    for (auto& each : links)
      if (each["peer"] == three_voters::name(leader) && each["via"].is_string())
        return each["via"];
    return {};
  };
  auto is_relayed = comes_true([&] { return via() == nodes.at(relay); }, 40s);
  INFO(links);
  CHECK(is_relayed);
  auto text = run({"status", "--links", "--at", nodes.at(far)});
  INFO(text);
  CHECK(text.says("VIA"));
  CHECK(text.says(nodes.at(relay)));
}
