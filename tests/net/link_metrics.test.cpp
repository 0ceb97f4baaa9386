#include "troupe/net/link_metrics.hpp" // the header under test
#include "net/careless_peer.hpp"
#include "net/node_fixture.hpp"
#include "net/raw_peer.hpp"
#include "support/certificates.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/net/join.hpp"
#include "troupe/security/admission.hpp"
#include "troupe/testing/comes_true.hpp"

#include "caf/telemetry/collector/prometheus.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>

#include <unistd.h>

namespace link_metrics_test {

using namespace std::literals;
using namespace troupe;
using test::raw_peer;
using test::test_node;

namespace {

/// The reasons that the metrics of a node have, as a collector reads them.
std::set<std::string> reasons(test_node& of) {
  caf::telemetry::collector::prometheus collector;
  auto text = collector.collect_from(of.system().metrics());
  const std::string all{text.begin(), text.end()};
  const auto name = "troupe_connections_refused_total{reason=\""s;
  std::set<std::string> found;
  for (auto at = all.find(name); at != all.npos; at = all.find(name, at + 1)) {
    auto first = at + name.size();
    found.insert(all.substr(first, all.find('"', first) - first));
  }
  return found;
}

/// A node of which strangers want something.
struct refusing {
  explicit refusing(test::node_options how) : node(std::move(how)) {}

  /// A hello of another process of this cluster.
  net::hello stranger(unsigned char number) {
    auto self = node.gate().self();
    self.cluster = test::cluster_number(7);
    self.node = test::node_number(number);
    self.basp_node.back() = static_cast<char>(self.basp_node.back() ^ number);
    return self;
  }

  /// Whether the metrics come to have that reason.
  bool counts(const std::string& reason) {
    return testing::comes_true([&] { return reasons(node).contains(reason); });
  }

  test_node node;
  net::endpoint where = node.listen();
};

} // namespace

TEST_CASE("a connection that is refused is counted with its reason", "[net]") {
  std::set<std::string> seen;
  auto has = [&](refusing& by, const std::string& reason) {
    CAPTURE(reason);
    CHECK(by.counts(reason));
  };
  {
    net::link_options few;
    few.table.max_clients = 1;
    few.table.greeting_timeout = 2s;
    refusing ann{{.node = 1, .links = few}};
    auto greet = [&](const net::hello& self) { return raw_peer::connect(ann.where).greet(self); };
    auto silent = raw_peer::connect(ann.where);
    auto self = ann.stranger(20);
    self.cluster = test::cluster_number(8);
    CHECK(greet(self) == net::verdict::foreign);
    has(ann, "other_cluster");
    self = ann.stranger(21);
    self.wire = {200, 201};
    CHECK(greet(self) == net::verdict::incompatible);
    has(ann, "incompatible");
    CHECK(greet(ann.node.gate().self()) == net::verdict::myself);
    has(ann, "itself");
    self = ann.stranger(22);
    self.node = ann.node.gate().self().node;
    CHECK(greet(self) == net::verdict::duplicate);
    has(ann, "duplicate_identity");
    self = ann.stranger(23);
    self.boot = 5;
    auto linked = raw_peer::linked(ann.where, self);
    REQUIRE(ann.node.wait_for_links(1));
    CHECK(greet(self) == net::verdict::linked);
    has(ann, "other_connection");
    self.boot = 4;
    CHECK(greet(self) == net::verdict::old_boot);
    has(ann, "old_boot");
    self = ann.stranger(24);
    self.as = net::role::client;
    auto client = raw_peer::linked(ann.where, self);
    self = ann.stranger(25);
    self.as = net::role::client;
    CHECK(greet(self) == net::verdict::full);
    has(ann, "full");
    raw_peer::connect(ann.where); // and goes
    has(ann, "closed");
    raw_peer::connect(ann.where).send("GET / HTTP/1.0\r\n\r\n");
    has(ann, "bad_greeting");
    CHECK(silent.closes_within(20s));
    has(ann, "timed_out");
    auto lines = ann.node.refusals();
    for (auto words : {"all places for links of its kind", "another process with its identity",
                       "a later start of its node"})
      CHECK(std::ranges::count_if(lines, [&](auto& each) { return each.find(words) != each.npos; })
            == 1);
    seen.merge(reasons(ann.node));
  }
  {
    refusing lone{{.node = 2, .cluster = 0}};
    auto self = lone.stranger(30);
    CHECK(raw_peer::connect(lone.where).greet(self) == net::verdict::no_cluster);
    has(lone, "no_cluster");
    seen.merge(reasons(lone.node));
  }
  {
    test::throwaway_ca ca;
    net::join_desk refuses = [](const net::join_inquiry&, auto done) {
      done(net::join_reply{
        to_bytes(security::join_answer{security::join_refused{errc::denied, "no such token"}}),
        "no such token"});
    };
    auto is = ca.issue("secure");
    refusing secure{{.node = 3, .credentials = is, .joins = refuses}};
    raw_peer::connect(secure.where).send("GET / HTTP/1.0\r\n\r\n");
    has(secure, "not_secured");
    auto client = ca.issue("c1", security::role::client);
    auto self = secure.stranger(40);
    self.node = client->self().node;
    test::careless_peer as_member{secure.where, client->context(read_calendar())};
    as_member.say(net::to_wire(self));
    has(secure, "unproven");
    auto token = security::invite(ca.folder(), is->self().node, {}, read_calendar()).value();
    CHECK_FALSE(net::join({{"127.0.0.1", secure.where.port()}}, token, security::key_pair::make(),
                          {security::role::member, "ada"}));
    has(secure, "not_admitted");
    seen.merge(reasons(secure.node));
  }
  // All that a connection which others have made can be refused for.
  CHECK(seen
        == std::set<std::string>{"bad_greeting", "closed", "duplicate_identity", "full",
                                 "incompatible", "itself", "no_cluster", "not_admitted",
                                 "not_secured", "old_boot", "other_cluster", "other_connection",
                                 "timed_out", "unproven"});
}

} // namespace link_metrics_test
