#include "troupe/net/gate.hpp" // the header under test

#include <cstddef>
#include <string>

#include <malloc.h>

#include "net/node_fixture.hpp"
#include "net/raw_peer.hpp"
#include "support/certificates.hpp"
#include "troupe/net/listeners.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using troupe::test::node_number;
using troupe::test::test_node;

SCENARIO("two nodes become linked when one knows the address of the other", "[net]") {
  GIVEN("a node that listens") {
    test_node ann{{.node = 1}};
    test_node bob{{.node = 2}};
    auto where = ann.listen();
    WHEN("the other dials its address") {
      auto got = bob.dial(where);
      THEN("each can ask the other") {
        REQUIRE(got);
        REQUIRE(ann.wait_for_links(1));
        REQUIRE(bob.wait_for_links(1));
        CHECK((*got)->peer().node == node_number(1));
        CHECK(ann.only_link()->peer().node == node_number(2));
        CHECK(bob.greet(*got) == "hello, says 1");
        CHECK(ann.greet(ann.only_link()) == "hello, says 2");
      }
    }
  }
}

SCENARIO("a node hears at once that a link has ended", "[net]") {
  GIVEN("two linked nodes") {
    test_node ann{{.node = 1}};
    auto bob = std::make_unique<test_node>(test::node_options{.node = 2});
    REQUIRE(bob->dial(ann.listen()));
    REQUIRE(ann.wait_for_links(1));
    WHEN("one of them is gone") {
      auto start = std::chrono::steady_clock::now();
      bob.reset();
      THEN("the other is told") {
        REQUIRE(ann.wait_for_links(0));
        CHECK(ann.downs() == 1);
        CHECK(ann.last_reason() == "closed by the peer");
        CHECK(std::chrono::steady_clock::now() - start < 2s);
        CHECK(ann.gate().links() == 0);
      }
    }
  }
}

TEST_CASE("nothing that comes late is kept for a node that has ended", "[net]") {
  caf::actor broker;
  {
    test_node ann{{.node = 1}};
    broker = ann.system().middleman().get_named_broker("BASP");
  }
  auto* it = static_cast<caf::scheduled_actor*>(caf::actor_cast<caf::abstract_actor*>(broker));
  CHECK(it->mailbox().closed());
}

TEST_CASE("a link works over IPv6", "[net]") {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto got = bob.dial(ann.listen("::1"));
  REQUIRE(got);
  CHECK(bob.greet(*got) == "hello, says 1");
}

TEST_CASE("a node listens at several addresses", "[net]") {
  test_node ann{{.node = 1}};
  auto first = ann.listen("127.0.0.1");
  auto second = ann.listen("::1");
  test_node bob{{.node = 2}};
  test_node eve{{.node = 3}};
  CHECK(bob.dial(first));
  CHECK(eve.dial(second));
}

TEST_CASE("a node listens at each address of a name, at one port", "[net]") {
  test_node ann{{.node = 1}};
  auto none_such = test::loopback(0, "192.0.2.1"); // of TEST-NET-1: no machine has it
  auto got = net::listen_at_each(
    {test::loopback(), none_such, test::loopback(0, "::1"), test::loopback()}, false);
  REQUIRE(got);
  for (auto& each : got->sockets)
    REQUIRE(ann.gate().listen(std::move(each)) == got->port);
  REQUIRE(got->refused.size() == 1);
  CHECK(got->refused.front().detail.find("192.0.2.1") != std::string::npos);
  test_node bob{{.node = 2}};
  test_node eve{{.node = 3}};
  CHECK(bob.dial(test::loopback(got->port, "127.0.0.1")));
  CHECK(eve.dial(test::loopback(got->port, "::1")));
}

TEST_CASE("a node does not listen at a name whose port another process has at one address",
          "[net]") {
  auto taken = net::start_listen(test::loopback(0, "::1"));
  REQUIRE(taken);
  auto port = net::local_endpoint(*taken).port();
  auto got = net::listen_at_each({test::loopback(port), test::loopback(port, "::1")}, false);
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::in_use);
  CHECK(got.error().detail.find("::1") != std::string::npos);
  auto nowhere = net::listen_at_each({test::loopback(0, "192.0.2.1")}, false);
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == errc::bad_argument);
  auto beyond = net::listen_at_each({test::loopback(0, "0.0.0.0")}, true);
  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().detail.find("insecure links are for loopback") != std::string::npos);
}

TEST_CASE("a dial tries one address after the other", "[net]") {
  test_node ann{{.node = 1}};
  auto where = ann.listen();
  test_node bob{{.node = 2}};
  auto nobody = net::local_endpoint(*net::start_listen(test::loopback())); // closed again
  auto done = std::make_shared<std::promise<result<net::link_ptr>>>();
  bob.gate().dial({nobody, where}, {}, [done](auto got) { done->set_value(std::move(got)); });
  auto got = done->get_future().get();
  REQUIRE(got);
  CHECK((*got)->peer().node == node_number(1));
}

TEST_CASE("a node dials from the loopback address that it listens at", "[net]") {
  auto door = net::start_listen(test::loopback(0, "127.0.0.3"));
  REQUIRE(door);
  auto caller = [&](test_node& who) {
    who.gate().dial({net::local_endpoint(*door)}, {}, [](const auto&) {});
    pollfd polled{door->get(), POLLIN, 0};
    REQUIRE(::poll(&polled, 1, 10'000) == 1);
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    auto* raw = reinterpret_cast<sockaddr*>(&peer);
    net::socket made{::accept(door->get(), raw, &size)};
    REQUIRE(made);
    return to_string(net::endpoint{raw, size}.with_port(0));
  };
  test_node ann{{.node = 1}};
  ann.listen("127.0.0.2");
  CHECK(caller(ann) == "127.0.0.2:0");
  test::throwaway_ca ca;
  test_node bob{{.credentials = ca.issue("bob")}};
  bob.listen("0.0.0.0");
  CHECK(caller(bob) == "127.0.0.1:0");
}

TEST_CASE("whoever dials a linked node gets the link there is", "[net]") {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto at_ann = ann.listen();
  auto at_bob = bob.listen();
  auto first = bob.dial(at_ann);
  REQUIRE(first);
  REQUIRE(ann.wait_for_links(1));
  for (auto who : {std::optional<node_id>{}, std::optional{node_number(1)}}) {
    auto again = bob.dial(at_ann, who);
    REQUIRE(again);
    CHECK(*again == *first);
  }
  auto back = ann.dial(at_bob);
  REQUIRE(back);
  CHECK((*back)->end() == net::side::accepted);
  CHECK(ann.ups() == 1);
}

TEST_CASE("a long message arrives whole", "[net]") {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto got = bob.dial(ann.listen());
  REQUIRE(got);
  for (auto size :
       {std::size_t{512} << 10U, (std::size_t{512} << 10U) + 1, std::size_t{5'000'000}}) {
    std::string text(size, 'x');
    CHECK(bob.greet(*got, text) == text + ", says 1");
  }
}

TEST_CASE("a link gives back the memory that its largest message took", "[net]") {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto where = ann.listen();
  auto held = [] {
    auto now = ::mallinfo2();
    return now.uordblks + now.hblkhd;
  };
  auto exchange_much = [&] {
    auto got = bob.dial(where);
    REQUIRE(got);
    std::string text(5'000'000, 'x');
    CHECK(bob.greet(*got, text) == text + ", says 1");
    return *got;
  };
  // What CAF keeps for all links of a node it has by then.
  exchange_much()->close("enough");
  REQUIRE(ann.wait_for_links(0));
  REQUIRE(bob.wait_for_links(0));
  auto before = held();
  auto link = exchange_much();
  constexpr std::size_t little = 256U << 10U;
  SECTION("with what is said next") {
    CHECK(testing::comes_true([&] { // each of these changes the two buffers of a stream
      return bob.greet(link) == "hello, says 1" && held() < before + little;
    }));
  }
  SECTION("at rest, when there are only heartbeats") {
    CHECK(testing::comes_true([&] { return held() < before + little; }));
  }
}

TEST_CASE("a message that cannot be written is left out, and the link goes on", "[net]") {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto got = bob.dial(ann.listen());
  REQUIRE(got);
  caf::anon_send(caf::actor_cast<caf::actor>((*got)->entry_point()),
                 test::unwritable{std::string(1'000, 'x')});
  CHECK(bob.greet(*got) == "hello, says 1");
  CHECK(bob.downs() == 0);
}

SCENARIO("links are refused for a reason that the dialler is told", "[net]") {
  GIVEN("node 1 of cluster 7, started twice") {
    test_node ann{{.node = 1, .boot = 2}};
    auto where = ann.listen();
    auto dial_as = [&](test::node_options who, std::optional<node_id> expected = {}) {
      test_node other{std::move(who)};
      auto got = other.dial(where, expected);
      REQUIRE_FALSE(got);
      return got.error();
    };
    THEN("another cluster is refused") {
      CHECK(dial_as({.node = 2, .cluster = 8}).code == errc::bad_argument);
    }
    THEN("another process with the same identity is refused") {
      CHECK(dial_as({.node = 1, .boot = 2}).code == errc::in_use);
      CHECK(dial_as({.node = 1, .boot = 9}).code == errc::in_use);
    }
    THEN("a node that expects another is told so") {
      CHECK(dial_as({.node = 2}, node_number(3)).code == errc::unreachable);
    }
    THEN("it does not link with itself") {
      auto got = ann.dial(where);
      REQUIRE_FALSE(got);
      CHECK(got.error().code == errc::bad_argument);
      CHECK(got.error().detail.find("itself") != std::string::npos);
    }
    WHEN("node 2 has been there in its fourth life") {
      {
        test_node bob{{.node = 2, .boot = 4}};
        REQUIRE(bob.dial(where));
      }
      REQUIRE(ann.wait_for_links(0));
      THEN("its third is refused") {
        auto why = dial_as({.node = 2, .boot = 3});
        CHECK(why.code == errc::in_use);
        CHECK(why.detail.find("later start") != std::string::npos);
      }
    }
  }
}

SCENARIO("a process that runs keeps its link from a later start of its identity", "[net]") {
  GIVEN("a link to a process that runs") {
    test_node ann{{.node = 1}};
    auto where = ann.listen();
    test_node before{{.node = 2, .boot = 1}};
    REQUIRE(before.dial(where));
    REQUIRE(ann.wait_for_links(1));
    WHEN("a later start dials") {
      test_node copy{{.node = 2, .boot = 2}};
      auto got = copy.dial(where);
      THEN("it is refused, and told why") {
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::in_use);
        CHECK(got.error().detail.find("another process with this node's identity")
              != std::string::npos);
        CHECK(ann.only_link()->peer().boot == 1);
      }
      AND_WHEN("the first one has ended") {
        before.gate().stop();
        REQUIRE(ann.wait_for_links(0));
        THEN("it is linked") {
          got = copy.dial(where);
          REQUIRE(got);
          CHECK(copy.greet(*got) == "hello, says 1");
          CHECK(ann.only_link()->peer().boot == 2);
        }
      }
    }
  }
}

SCENARIO("a node without a cluster takes that of the node that it joins", "[net]") {
  GIVEN("a node of cluster 7 and two without one") {
    test_node seed{{.node = 1}};
    test_node joiner{{.node = 2, .cluster = 0}};
    test_node other{{.node = 3, .cluster = 0}};
    auto at_joiner = joiner.listen();
    THEN("the two do not make one") {
      auto got = other.dial(at_joiner);
      REQUIRE_FALSE(got);
      CHECK(got.error().code == errc::unreachable);
      CHECK(got.error().detail.find("no cluster") != std::string::npos);
    }
    WHEN("one joins, and the other joins by it") {
      REQUIRE(joiner.dial(seed.listen()));
      REQUIRE(other.dial(at_joiner));
      THEN("all are of the one cluster") {
        for (auto* each : {&joiner, &other}) {
          CHECK(each->adopted() == test::cluster_number(7));
          CHECK(each->gate().self().cluster == test::cluster_number(7));
        }
      }
    }
    WHEN("one of them founds a cluster of its own") {
      joiner.gate().found(test::cluster_number(9));
      THEN("the other may join that") {
        REQUIRE(other.dial(at_joiner));
        CHECK(other.adopted() == test::cluster_number(9));
        CHECK_FALSE(joiner.adopted());
      }
    }
  }
}

TEST_CASE("a client has a link and is no member", "[net]") {
  test_node ann{{.node = 1}};
  test_node client{{.node = 2, .cluster = 0, .as = net::role::client}};
  auto got = client.dial(ann.listen());
  REQUIRE(got);
  REQUIRE(ann.wait_for_links(1));
  CHECK(ann.only_link()->peer().as == net::role::client);
  CHECK((*got)->peer().as == net::role::member);
}

TEST_CASE("a port that another process has is named", "[net]") {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto where = ann.listen();
  auto got = bob.gate().listen(where);
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::in_use);
  CHECK(got.error().detail.find(std::to_string(where.port())) != std::string::npos);
}

TEST_CASE("an address that this machine does not have is refused", "[net]") {
  test::throwaway_ca ca;
  test_node ann{{.credentials = ca.issue("ann")}};
  auto got = ann.gate().listen(test::loopback(0, "203.0.113.1"));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::bad_argument);
}

TEST_CASE("insecure links stay on loopback", "[net]") {
  test_node ann{{.node = 1}};
  for (auto host : {"0.0.0.0", "::", "203.0.113.1"}) {
    auto got = ann.gate().listen(test::loopback(0, host));
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::bad_argument);
    CHECK(got.error().detail.find("insecure links are for loopback") != std::string::npos);
  }
  auto got = ann.dial(test::loopback(6767, "203.0.113.1"));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::bad_argument);
  test::throwaway_ca ca;
  test_node bob{{.credentials = ca.issue("bob")}};
  CHECK(bob.gate().listen(test::loopback(0, "0.0.0.0")));
}

TEST_CASE("an actor system without a middleman cannot have links", "[net]") {
  test::net_config registers_messages;
  caf::actor_system_config cfg;
  caf::actor_system sys{cfg};
  net::hello self;
  self.node = node_number(1);
  auto got = net::gate::start(sys, self, nullptr);
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::bad_argument);
}

TEST_CASE("dials that are under way end when the gate stops", "[net]") {
  test::raw_server silent{[](test::raw_peer& peer) { peer.closes_within(20s); }};
  test_node ann{{.node = 1}};
  auto pending = ann.start_dial(silent.where());
  ann.gate().stop();
  REQUIRE(pending.wait_for(20s) == std::future_status::ready);
  auto got = pending.get();
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::cancelled);
  auto late = ann.dial(silent.where());
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::cancelled);
}

TEST_CASE("what is no troupe node is told from what is none at all", "[net]") {
  net::link_options quick;
  quick.table.greeting_timeout = 200ms;
  struct {
    std::string what;
    std::function<void(test::raw_peer&)> serve;
    errc code;
    std::string says;
  } given[] = {
    {"an HTTP server",
     [](test::raw_peer& peer) {
       peer.receive(4);
       peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
       peer.closes_within(20s);
     },
     errc::bad_argument, "not a troupe node"},
    {"an echo server",
     [](test::raw_peer& peer) {
       auto head = peer.receive(net::greeting_head_bytes);
       peer.send(head + peer.receive(*net::body_bytes(head)));
       peer.closes_within(20s);
     },
     errc::bad_argument, "not a troupe node"},
    {"one that says nothing", [](test::raw_peer& peer) { peer.closes_within(20s); },
     errc::unreachable, "did not greet"},
    {"one that hangs up", [](test::raw_peer&) {}, errc::unreachable, "closed the connection"},
    {"one that hangs up after the greeting",
     [](test::raw_peer& peer) {
       auto said = peer.hear();
       auto self = std::get<net::hello>(*said);
       self.node = node_number(9);
       self.basp_node.back() = self.basp_node.back() == '9' ? '8' : '9';
       peer.send(net::to_wire(net::answer{net::verdict::go, self}));
       peer.hear();
     },
     errc::unreachable, "closed the connection"},
  };
  for (auto& each : given) {
    INFO(each.what);
    test::raw_server server{each.serve};
    test_node ann{{.node = 1, .links = quick}};
    auto got = ann.dial(server.where());
    REQUIRE_FALSE(got);
    INFO(got.error().detail);
    CHECK(got.error().code == each.code);
    CHECK(got.error().detail.find(each.says) != std::string::npos);
    CHECK(got.error().detail.find(to_string(server.where())) != std::string::npos);
    CHECK(ann.ups() == 0);
  }
}

TEST_CASE("a port where nobody listens is unreachable", "[net]") {
  auto nobody = net::local_endpoint(*net::start_listen(test::loopback())); // closed again
  test_node ann{{.node = 1}};
  auto got = ann.dial(nobody);
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::unreachable);
  CHECK(got.error().detail.find("Connection refused") != std::string::npos);
  CHECK(ann.gate().refused().empty()); // it counts what it has refused itself
}

SCENARIO("hosts that do not answer hold nobody up", "[net]") {
  GIVEN("an address whose backlog is full, and a good node") {
    net::socket hole{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    auto any = test::loopback();
    REQUIRE(::bind(hole.get(), any.data(), any.size()) == 0);
    REQUIRE(::listen(hole.get(), 0) == 0);
    auto where = net::local_endpoint(hole);
    std::vector<net::socket> fill;
    for (auto count = 0; count < 4; ++count)
      fill.push_back(*net::start_connect(where));
    test_node good{{.node = 1}};
    auto at_good = good.listen();
    WHEN("both are dialled") {
      net::link_options quick;
      quick.table.connect_timeout = 500ms;
      test_node ann{{.node = 2, .links = quick}};
      std::vector<std::future<result<net::link_ptr>>> pending;
      for (auto count = 0; count < 10; ++count)
        pending.push_back(ann.start_dial(where));
      auto linked = ann.dial(at_good);
      THEN("the good one is linked while the others are still tried") {
        REQUIRE(linked);
        CHECK(pending.front().wait_for(0s) == std::future_status::timeout);
        for (auto& each : pending) {
          REQUIRE(each.wait_for(20s) == std::future_status::ready);
          auto got = each.get();
          REQUIRE_FALSE(got);
          CHECK(got.error().code == errc::unreachable);
        }
      }
    }
  }
}

TEST_CASE("links that cannot work are refused at the start", "[net]") {
  test::net_config cfg;
  cfg.set("caf.middleman.heartbeat-interval", caf::timespan{0});
  caf::actor_system sys{cfg};
  net::hello self;
  auto no_id = net::gate::start(sys, self, nullptr);
  REQUIRE_FALSE(no_id);
  CHECK(no_id.error().code == errc::bad_argument);
  self.node = node_number(1);
  auto no_heartbeat = net::gate::start(sys, self, nullptr);
  REQUIRE_FALSE(no_heartbeat);
  CHECK(no_heartbeat.error().detail.find("heartbeat-interval is 0 ms") != std::string::npos);
}

TEST_CASE("links without certificates have to be asked for", "[net]") {
  test::net_config cfg;
  caf::actor_system sys{cfg};
  net::hello self;
  self.node = node_number(1);
  auto silent = net::gate::start(sys, self, nullptr);
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == errc::bad_argument);
  CHECK(silent.error().detail.find("link_options::insecure") != std::string::npos);
  test::throwaway_ca ca;
  auto both = net::gate::start(sys, self, nullptr, {}, {.insecure = true}, {ca.issue("ann")});
  REQUIRE_FALSE(both);
  CHECK(both.error().code == errc::bad_argument);
}

TEST_CASE("a sender can see what BASP has not sent yet", "[net]") {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto got = bob.dial(ann.listen());
  REQUIRE(got);
  auto receiver = caf::actor_cast<caf::actor>((*got)->entry_point());
  std::promise<void> holding;
  std::promise<void> release;
  bob.system().middleman().backend().post(
    [&holding, held = release.get_future().share()] { // BASP sends nothing meanwhile
      holding.set_value();
      held.wait();
    });
  holding.get_future().wait();
  for (auto count = 0; count < 100; ++count)
    caf::anon_send(receiver, test::greet_request{"hi"});
  CHECK(bob.gate().waiting_messages() >= 100);
  release.set_value();
  CHECK(bob.greet(*got) == "hello, says 1");
  CHECK(bob.gate().waiting_messages() < 100);
}

TEST_CASE("a node hears of a link before the first message over it", "[net]") {
  struct order {
    std::mutex mutex;
    std::vector<std::string> seen;
  };
  auto log = std::make_shared<order>();
  test::net_config cfg;
  caf::actor_system sys{cfg};
  auto entry = sys.spawn([log](caf::event_based_actor*) -> caf::behavior {
    auto note = [log](const std::string& what) {
      std::lock_guard guard{log->mutex};
      log->seen.push_back(what);
    };
    return {
      [note](const test::wait_request&) { note("up"); },
      [note](const test::greet_request& what) {
        note(what.text);
        return test::greet_reply{};
      },
    };
  });
  net::link_events events;
  events.on_up = [entry](const net::link_ptr&) { caf::anon_send(entry, test::wait_request{}); };
  net::hello self;
  self.node = node_number(1);
  self.cluster = test::cluster_number(7);
  auto gate = net::gate::start(sys, self, caf::actor_cast<caf::strong_actor_ptr>(entry), events,
                               {.insecure = true});
  REQUIRE(gate);
  auto where = test::loopback(*(*gate)->listen(test::loopback()));
  {
    test_node bob{{.node = 2}};
    for (auto round = 0; round < 100; ++round) {
      auto got = bob.dial(where);
      REQUIRE(got);
      CHECK(bob.greet(*got, "message") == "");
      (*got)->close("test");
      REQUIRE(bob.wait_for_links(0));
    }
  }
  (*gate)->stop();
  caf::anon_send_exit(entry, caf::exit_reason::kill);
  std::lock_guard guard{log->mutex};
  REQUIRE(log->seen.size() == 200);
  for (std::size_t index = 0; index < log->seen.size(); index += 2) {
    CHECK(log->seen[index] == "up");
    CHECK(log->seen[index + 1] == "message");
  }
}

TEST_CASE("a gate that has stopped takes nothing more", "[net]") {
  test_node ann{{.node = 1}};
  ann.gate().stop();
  ann.gate().stop();
  auto got = ann.gate().listen(test::loopback());
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::cancelled);
}

TEST_CASE("nobody hears of a link that comes up after its gate has stopped", "[net]") {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto& multiplexer = ann.system().middleman().backend();
  std::promise<void> stopped;
  multiplexer.post([until = stopped.get_future().share()] { until.wait(); });
  auto pending = ann.start_dial(bob.listen());
  CHECK(testing::comes_true([&] { return ann.gate().links() == 1; }));
  CHECK(testing::comes_true([&] { return bob.gate().links() == 1; }));
  ann.gate().stop();
  stopped.set_value();
  REQUIRE(pending.wait_for(20s) == std::future_status::ready);
  CHECK_FALSE(pending.get());
  CHECK(ann.ups() == 0);
}
