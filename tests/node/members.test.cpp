// Who is there, as nodes see each other.

#include "node/node_fixture.hpp"
#include "support/free_port.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "caf/telemetry/collector/prometheus.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/testing/proxy.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

/// How `asked` sees a node; empty: not at all.
std::string sight(node& asked, const node_id& whom) {
  auto seen = asked.members();
  if (!seen)
    return to_string(seen.error());
  auto found = std::ranges::find(*seen, to_string(whom), &cluster::member_view::node);
  return found != seen->end() ? found->status : "";
}

bool all_see_each_other(testing::cluster& c) {
  for (std::size_t asked = 0; asked < c.size(); ++asked)
    for (std::size_t whom = 0; whom < c.size(); ++whom)
      if (asked != whom && sight(c[asked], c[whom].id()) != "alive")
        return false;
  return true;
}

/// Nodes with a host each, which reach each other through a network; the first one leads.
class nodes_in_a_network {
public:
  /// With data folders in `folder`, if there is one.
  explicit nodes_in_a_network(std::size_t count, const std::filesystem::path& folder = {},
                              duration link_timeout = net::table_options{}.link_timeout) {
    for (std::size_t each = 0; each < count; ++each) {
      auto host = host_of(each);
      auto port = test::free_port(host);
      node_options how;
      how.name = "n" + std::to_string(each);
      how.listen = {host, port};
      how.advertise = network.open(host, how.listen).value();
      how.links.insecure = true;
      how.links.table.link_timeout = link_timeout;
      how.membership = cluster::swim_options::lan();
      how.lost_after = 300ms;
      if (!folder.empty())
        how.data = folder / how.name;
      if (each == 0)
        how.log = [three = three_vote_](const log_line& what) {
          constexpr auto both = 2; // commas between three
          if (what.text.starts_with("voters of the cluster: "))
            *three = std::ranges::count(what.text, ',') == both
                     && what.text.find("learners") == std::string::npos;
        };
      fronts_.push_back(*how.advertise);
      if (each > 0)
        how.join = {fronts_.front()};
      all.push_back(node::start(how).value());
    }
  }

  static std::string host_of(std::size_t which) {
    return "127.0.0." + std::to_string(which + 2);
  }

  /// Neither hears the other from here on.
  void cut(std::size_t one, std::size_t other) {
    network.set_path(host_of(one), host_of(other), {.cut = true});
    network.set_path(host_of(other), host_of(one), {.cut = true});
  }

  /// Neither hears the other, and both know that their link is gone.
  void separate(std::size_t one, std::size_t other) {
    cut(one, other);
    network.reset(host_of(one), host_of(other));
  }

  [[nodiscard]] const net::address& front_of(std::size_t which) const {
    return fronts_[which];
  }

  [[nodiscard]] bool see_each_other() {
    for (auto& asked : all)
      for (auto& whom : all)
        if (asked.id() != whom.id() && sight(asked, whom.id()) != "alive")
          return false;
    return true;
  }

  /// With data folders: no other node is to get a vote.
  [[nodiscard]] bool three_vote() const {
    return *three_vote_;
  }

  /// How the registry shows a node.
  [[nodiscard]] std::string status_of(std::size_t which) {
    auto answer = all[0].registry().service().ask(
      registry::get_record{registry::record_kind::node, "n" + std::to_string(which), {}}, 5s);
    return answer && answer->found ? std::string{name_of(answer->found->status)} : "";
  }

  testing::proxy network;
  std::vector<node> all;

private:
  std::shared_ptr<std::atomic<bool>> three_vote_ = std::make_shared<std::atomic<bool>>(false);
  std::vector<net::address> fronts_;
};

void quickly(std::size_t, node_options& how) {
  how.membership = cluster::swim_options::lan();
}

} // namespace

TEST_CASE("all members know all, whoever has met whom", "[node][membership]") {
  auto is_insecure = GENERATE(false, true);
  testing::cluster c{5, [&](std::size_t, node_options& how) {
                       how.membership = cluster::swim_options::lan();
                       how.links.insecure = is_insecure;
                     }};
  CHECK(c.until([&] { return all_see_each_other(c); }));
  auto seen = c[3].members();
  REQUIRE(seen);
  CHECK(seen->size() == 4);
  for (auto& each : *seen) {
    CHECK(each.boot > 0);
    CHECK(net::address::from_string(each.address));
  }
}

TEST_CASE("who is stopped has left, and is there again when it starts again",
          "[node][membership]") {
  testing::cluster c{4, quickly};
  REQUIRE(c.until([&] { return all_see_each_other(c); }));
  auto id = c[2].id();
  auto boot = c[2].boot();
  c.stop(2);
  for (auto asked : {0U, 1U, 3U})
    CHECK(c.until([&] { return sight(c[asked], id) == "left"; }));
  c.start(2);
  REQUIRE(c[2].id() == id);
  CHECK(c.until([&] { return all_see_each_other(c); }));
  auto seen = c[0].members();
  REQUIRE(seen);
  auto again = std::ranges::find(*seen, to_string(id), &cluster::member_view::node);
  REQUIRE(again != seen->end());
  CHECK(again->boot == boot + 1);
}

TEST_CASE("a node that has stopped shows no members", "[node][membership]") {
  testing::cluster c{1};
  CHECK(c[0].members()->empty());
  c[0].stop();
  auto seen = c[0].members();
  REQUIRE(!seen);
  CHECK(seen.error().code == errc::cancelled);
}

TEST_CASE("a node whose port is taken for datagrams says so", "[node][membership]") {
  auto port = test::free_port(); // for connections, too: they are looked at first
  auto where = net::resolve({"127.0.0.1", port}).value().front();
  auto taken = net::datagram_socket::open(where).value();
  node_options how;
  how.links.insecure = true;
  how.listen = {"127.0.0.1", port};
  auto refused = node::start(how);
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::in_use);
  CHECK(refused.error().detail.find("datagrams (UDP)") != std::string::npos);
}

TEST_CASE("a node that gets garbage as datagrams says so in its log, and counts it",
          "[node][membership]") {
  std::mutex mutex;
  std::vector<std::string> said;
  testing::cluster c{1, [&](std::size_t, node_options& how) {
                       how.log = [&](const log_line& what) {
                         std::lock_guard guard{mutex};
                         said.push_back(what.text);
                       };
                     }};
  auto where = net::resolve({"127.0.0.1", 0}).value().front();
  auto stranger = net::datagram_socket::open(where).value();
  auto to = net::resolve({"127.0.0.1", c[0].port()}).value().front();
  for (auto each = 0; each < 1'000; ++each)
    REQUIRE(stranger.send(to, "garbage") == net::datagram_socket::outcome::sent);
  CHECK(c.until([&] {
    std::lock_guard guard{mutex};
    return std::ranges::any_of(said, [&](const std::string& each) {
      return each.starts_with("datagrams (UDP) that are not a node's are dropped: ")
             && each.find("the last one from " + to_string(stranger.local())) != each.npos;
    });
  }));
  caf::telemetry::collector::prometheus collector;
  auto metrics = collector.collect_from(c[0].system().metrics());
  const std::string all{metrics.begin(), metrics.end()};
  CHECK(all.find("troupe_datagrams_dropped_total{reason=\"foreign\"} ") != all.npos);
  CHECK(all.find("troupe_datagrams_dropped_total{reason=\"foreign\"} 0") == all.npos);
}

TEST_CASE("a node that only the leader cannot reach stays", "[node][membership]") {
  nodes_in_a_network it{4};
  REQUIRE(testing::comes_true([&] { return it.see_each_other() && it.status_of(2) == "active"; }));
  it.separate(0, 2);
  auto is_lost = [&] {
    return sight(it.all[0], it.all[2].id()) == "dead" || it.status_of(2) == "disconnected";
  };
  CHECK(!testing::comes_true(is_lost, 3s)); // ten times lost_after
  it.separate(1, 2);
  it.separate(3, 2);
  CHECK(testing::comes_true([&] {
    return sight(it.all[0], it.all[2].id()) == "dead" && it.status_of(2) == "disconnected";
  }));
  it.network.heal();
  CHECK(testing::comes_true([&] { return it.see_each_other() && it.status_of(2) == "active"; }));
}

TEST_CASE("a node that only the leader cannot reach uses the services through another",
          "[node][membership]") {
  test::temporary_folder folder;
  nodes_in_a_network it{4, folder.path()};
  // Then the leader keeps its majority without a node.
  REQUIRE(testing::comes_true([&] { return it.see_each_other() && it.three_vote(); }));
  it.separate(0, 2);
  // The leader may have the end of the link yet to see, for which it has 8 s.
  auto is_put = [&] { return it.all[2].state().put("key", "value").has_value(); };
  CHECK(testing::comes_true(is_put, 40s));
  CHECK(it.all[2].locks().acquire("lock").has_value());
}

TEST_CASE(
  "a node that only the leader cannot reach has another relay their link, long before it gives "
  "up the one that is silent",
  "[node][membership]") {
  test::temporary_folder folder;
  nodes_in_a_network it{4, folder.path(), 5min};
  REQUIRE(testing::comes_true([&] { return it.see_each_other() && it.three_vote(); }));
  auto asked = it.front_of(3);
  auto client = cluster_client::connect({asked}, 20s, {.insecure = true});
  REQUIRE(client);
  it.cut(0, 3);
  auto is_relayed = [&] {
    auto seen = (*client)->look_at(asked, 1s);
    return seen && std::ranges::any_of(seen->links, [&](auto& each) {
             return each.node == to_string(it.all[0].id()) && !each.via.empty();
           });
  };
  CHECK(testing::comes_true(is_relayed, 60s));
}

TEST_CASE("a node appends how it sees the others to its membership log", "[node][membership]") {
  test::temporary_folder folder;
  auto file = folder / "sights.jsonl";
  std::ofstream{file} << "of an earlier life\n";
  testing::cluster c{2, [&](std::size_t which, node_options& how) {
                       how.membership = cluster::swim_options::lan();
                       if (which == 0)
                         how.membership_log = file;
                     }};
  REQUIRE(c.until([&] { return all_see_each_other(c); }));
  auto id = c[1].id();
  auto boot = c[1].boot();
  c.stop(1);
  REQUIRE(c.until([&] { return sight(c[0], id) == "left"; }));
  std::ifstream in{file};
  std::vector<nlohmann::json> lines;
  std::string text;
  REQUIRE(std::getline(in, text));
  CHECK(text == "of an earlier life");
  while (std::getline(in, text))
    lines.push_back(nlohmann::json::parse(text));
  REQUIRE(lines.size() >= 2);
  std::int64_t last = 0;
  for (auto& each : lines) {
    CHECK(each["node"] == c[0].name());
    CHECK(each["about"] == to_string(id));
    CHECK(each["boot"] == boot);
    CHECK(each["at_ns"] >= last);
    last = each["at_ns"];
  }
  CHECK(lines.front()["status"] == "alive");
  CHECK(lines.back()["status"] == "left");
}

TEST_CASE("a node whose membership log cannot be written says so", "[node][membership]") {
  test::temporary_folder folder;
  node_options how;
  how.links.insecure = true;
  how.listen = {"127.0.0.1", 0};
  how.membership_log = folder / "missing/sights.jsonl";
  auto refused = node::start(how);
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::failed);
  CHECK(refused.error().detail.find("make sure that its folder exists") != std::string::npos);
}
