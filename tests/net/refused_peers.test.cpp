// Whoever cannot prove to belong to the cluster, whatever it sends: no actor gets a message of it.

#include "net/careless_peer.hpp"
#include "net/impostors.hpp"
#include "net/node_fixture.hpp"
#include "support/certificates.hpp"
#include "troupe/testing/comes_true.hpp"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace std::literals;
using namespace troupe;
using test::careless_peer;
using test::speech;
using test::test_node;
using test::throwaway_ca;

namespace {

/// A node whose entry point counts what comes to it, and what a good peer has said to it.
struct counting_node {
  /// A hello of the node with this certificate, in a process of its own.
  net::hello hello_of(const security::facts& who) {
    net::hello self;
    self.cluster = test::cluster_number(7);
    self.node = who.node;
    self.boot = 1;
    self.basp_node = ann.gate().self().basp_node;
    auto& last = self.basp_node.back();
    last = static_cast<char>(last ^ ++processes);
    self.entry_point = 1'000;
    return self;
  }

  speech as(net::hello self) {
    auto message
      = shown.message(ann.system(), self, caf::make_message(test::greet_request{"hello"}));
    auto handshake = shown.answer_of(self);
    return {std::move(self), std::move(handshake), std::move(message)};
  }

  /// A peer that belongs to the cluster; its link stays as long as the result does.
  std::unique_ptr<careless_peer> check_good_peer(const std::string& name) {
    auto is = ca.issue(name);
    auto before = ann.greeted();
    auto made = std::make_unique<careless_peer>(where, is->context(read_calendar()));
    auto self = hello_of(is->self());
    auto welcomed = made->greet(self);
    REQUIRE(welcomed);
    shown = *welcomed;
    auto words = as(self);
    made->say(words.handshake + words.message);
    CHECK(testing::comes_true([&] { return ann.greeted() == before + 1; }));
    return made;
  }

  throwaway_ca ca;
  std::shared_ptr<security::credentials> ann_is = ca.issue("ann");
  test_node ann{{.node = 1, .credentials = ann_is}};
  net::endpoint where = ann.listen();
  char processes = 0;
  test::welcome shown;
};

std::set<net::verdict> reasons(test_node& of) {
  std::set<net::verdict> all;
  for (auto& [why, count] : of.gate().refused())
    all.insert(why);
  return all;
}

} // namespace

TEST_CASE("an actor gets no message of a peer that cannot prove to be what it says",
          "[net][hostile]") {
  counting_node here;
  auto good = here.check_good_peer("good");
  auto eve_is = here.ca.issue("eve");
  throwaway_ca::revoke(*here.ann_is, eve_is->self());
  for (auto& each :
       test::impostors(here.ca, eve_is, [&](auto& who) { return here.hello_of(who); })) {
    auto words = here.as(each.self);
    for (auto at_once : {true, false}) {
      INFO(each.what << (at_once ? ", all at once" : ", in turns"));
      auto before = here.ann.gate().refused();
      careless_peer peer{here.where, each.context};
      if (at_once)
        peer.say(words.whole());
      else
        words.say_to(peer);
      CHECK(peer.closes());
      REQUIRE(testing::comes_true([&] { return here.ann.gate().refused() != before; }));
      std::set<net::verdict> counted;
      for (auto& [why, count] : here.ann.gate().refused())
        if (!before.contains(why) || before.at(why) != count)
          counted.insert(why);
      // More than a greeting at once is refused before what it says.
      auto is_early = at_once && each.why == net::verdict::unproven;
      CHECK(counted == std::set{is_early ? net::verdict::bad_greeting : each.why});
    }
  }
  CHECK(here.ann.greeted() == 1);
  CHECK(here.ann.ups() == 1);
  CHECK(here.ann.downs() == 0);
  here.check_good_peer("another");
  CHECK(here.ann.greeted() == 2);
}

TEST_CASE("an actor gets no message of a second process with the folder of a linked node",
          "[net][hostile]") {
  counting_node here;
  here.check_good_peer("good"); // whose words are repeated
  REQUIRE(here.ann.wait_for_links(0));
  auto bob_is = here.ca.issue("bob");
  test_node bob{{.node = 2, .boot = 5, .credentials = bob_is}};
  auto link = bob.dial(here.where);
  REQUIRE(link);
  REQUIRE(here.ann.wait_for_links(1));
  for (auto [boot, why] : {std::pair{6U, net::verdict::duplicate},
                           {5U, net::verdict::duplicate},
                           {4U, net::verdict::old_boot}}) {
    CAPTURE(boot);
    auto self = here.hello_of(bob_is->self());
    self.boot = boot;
    // Until bob has been heard of beside it.
    CHECK(testing::comes_true([&] {
      careless_peer peer{here.where, bob_is->context(read_calendar())};
      here.as(self).say_to(peer);
      CHECK(peer.closes());
      return reasons(here.ann).contains(why);
    }));
  }
  CHECK(std::ranges::any_of(here.ann.refusals(), [&](auto& line) {
    return line.find("two processes use the identity of 'bob' (" + to_string(bob_is->self().node))
           != line.npos;
  }));
  CHECK(here.ann.greeted() == 1);
  CHECK(bob.greet(*link) == "hello, says 1"); // its link stays
  CHECK(here.ann.greeted() == 2);
}
