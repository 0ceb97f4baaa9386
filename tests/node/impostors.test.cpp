// Whoever cannot prove to belong to the cluster, whatever it sends to a node: no agent gets a
// message of it.

#include "net/impostors.hpp"
#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/testing/cluster.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/security/revocation_list.hpp"

namespace impostors_test {

using namespace std::literals;
using namespace troupe;
using test::careless_peer;

TEST_CASE("an agent gets no message of a peer that cannot prove to be what it says", "[node]") {
  test::throwaway_ca ca;
  test::temporary_folder folder;
  ca.testing::throwaway_ca::issue(folder.path(), "n0");
  auto revoked = ca.issue("eve");
  std::ofstream{folder / security::revocation_list_file}
    << ca.authority().sign({1, read_calendar(), {{revoked->self().serial, read_calendar()}}, {}});
  test::lines said;
  auto made
    = node::start({.name = "n0", .listen = {"127.0.0.1", 0}, .data = folder.path(), .log = said});
  REQUIRE(made);
  std::atomic<int> heard = 0;
  REQUIRE(made->agent("counter", [&heard](const std::string&) { ++heard; }));
  auto where = net::resolve({"127.0.0.1", made->port()})->front();
  caf::byte_buffer bytes;
  caf::binary_serializer sink{made->system(), bytes};
  REQUIRE(sink.apply(made->system().node()));
  const std::string process{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  char processes = 0;
  auto hello_of = [&](const security::facts& who) {
    net::hello self;
    self.node = who.node;
    self.boot = 1;
    self.basp_node = process;
    self.basp_node.back() = static_cast<char>(self.basp_node.back() ^ ++processes);
    self.entry_point = 1'000;
    return self;
  };
  auto to_counter = [&](const test::welcome& there, const net::hello& self) {
    return there.message(made->system(), self,
                         caf::make_message(router::envelope{"counter", caf::make_message("hi"s)}));
  };
  // The agent can be reached in this way, by whoever belongs to the cluster.
  auto good_is = ca.issue("good");
  auto good_self = hello_of(good_is->self());
  careless_peer good{where, good_is->context(read_calendar())};
  auto shown = good.greet(good_self);
  REQUIRE(shown);
  good.say(shown->answer_of(good_self) + to_counter(*shown, good_self));
  REQUIRE(testing::comes_true([&] { return heard == 1; }));
  for (auto& each : test::impostors(ca, revoked, hello_of))
    for (auto at_once : {true, false}) {
      INFO(each.what << (at_once ? ", all at once" : ", in turns"));
      const test::speech words{each.self, shown->answer_of(each.self),
                               to_counter(*shown, each.self)};
      careless_peer peer{where, each.context};
      if (at_once)
        peer.say(words.whole());
      else
        words.say_to(peer);
      CHECK(peer.closes());
    }
  good.say(to_counter(*shown, good_self));
  CHECK(testing::comes_true([&] { return heard == 2; }));
  CHECK(heard == 2);
  for (auto* why : {"has expired", "was revoked", "does not prove what it says it is"})
    CHECK(testing::comes_true([&] { return said.contain(why); }));
}

TEST_CASE("a client refuses a member that the list in its folder calls revoked, and knows no other",
          "[node]") {
  testing::cluster c{1};
  auto with_list = c.ca().make_identity("c1", security::role::client);
  auto ask = [&](const std::filesystem::path& identity) {
    auto made = cluster_client::connect({{"127.0.0.1", c[0].port()}}, 20s, {}, identity);
    return made ? ""s : made.error().detail;
  };
  CHECK(ask(with_list).empty());
  auto now = read_calendar();
  std::ofstream{with_list / security::revocation_list_file}
    << c.ca().authority().sign({1, now, {}, {{c[0].id(), now}}});
  CHECK_THAT(ask(with_list), Catch::Matchers::ContainsSubstring("was revoked"));
  CHECK(ask(c.client_identity()).empty());
}

} // namespace impostors_test
