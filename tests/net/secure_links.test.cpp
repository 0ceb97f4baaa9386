// Links over TLS, from the certificate to BASP.

#include "net/careless_peer.hpp"
#include "net/node_fixture.hpp"
#include "net/raw_peer.hpp"
#include "support/certificates.hpp"
#include "support/stranger_flood.hpp"
#include "troupe/core/complaints.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <atomic>
#include <numeric>
#include <optional>
#include <thread>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using test::test_node;
using test::throwaway_ca;

namespace {

/// How late a node may be for what is due, beside a flood of strangers. Without other load it is
/// late by 10 ms.
#ifdef TROUPE_SANITIZED
constexpr auto flooded_bound = 5s;
#else
constexpr auto flooded_bound = 500ms;
#endif

/// Why a dial failed; empty if it did not.
std::string trouble(test_node& from, const net::endpoint& where) {
  auto got = from.dial(where);
  return got ? std::string{} : got.error().detail;
}

bool has_told(test_node& node, const std::string& words) {
  return testing::comes_true([&] {
    auto lines = node.refusals();
    return std::ranges::any_of(lines, [&](auto& each) { return each.find(words) != each.npos; });
  });
}

} // namespace

SCENARIO("nodes with certificates of one CA have links that prove who is there", "[net]") {
  GIVEN("two such nodes") {
    throwaway_ca ca;
    auto ann_is = ca.issue("ann");
    auto bob_is = ca.issue("bob");
    test_node ann{{.node = 1, .credentials = ann_is}};
    test_node bob{{.node = 2, .credentials = bob_is}};
    auto where = ann.listen();
    WHEN("one dials the other") {
      auto got = bob.dial(where, ann_is->self().node);
      REQUIRE((got ? "" : got.error().detail) == std::string{});
      REQUIRE(ann.wait_for_links(1));
      THEN("each knows the other by its certificate") {
        CHECK((*got)->proven() == ann_is->self());
        CHECK(ann.only_link()->proven() == bob_is->self());
        CHECK(ann.only_link()->peer().node == bob_is->self().node);
      }
      THEN("messages of every size arrive both ways") {
        for (std::size_t size : {1U, 16'384U, 65'536U, 524'289U, 5'000'000U}) {
          std::string text(size, 'x');
          CHECK(bob.greet(*got, text) == text + ", says 1");
          CHECK(ann.greet(ann.only_link(), text) == text + ", says 2");
        }
      }
    }
    WHEN("the certificate of a peer is revoked") {
      REQUIRE(bob.dial(where, ann_is->self().node));
      REQUIRE(ann.wait_for_links(1));
      ca.revoke(*ann_is, bob_is->self());
      ann.gate().end_revoked();
      THEN("its link ends, the log says why, and it gets no other") {
        CHECK(ann.wait_for_links(0));
        CHECK(bob.wait_for_links(0));
        CHECK(has_told(ann, "ended a link: the certificate of 'bob'"));
        auto got = bob.dial(where);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::denied);
        CHECK_THAT(got.error().detail, ContainsSubstring("has been revoked"));
        CHECK(has_told(ann, "are refused"));
        CHECK_THAT(trouble(ann, bob.listen()), ContainsSubstring("was revoked"));
      }
    }
    WHEN("the certificate of another one is revoked") {
      auto got = bob.dial(where, ann_is->self().node);
      REQUIRE(got);
      REQUIRE(ann.wait_for_links(1));
      ca.revoke(*ann_is, ca.issue("eve")->self());
      ann.gate().end_revoked();
      THEN("the link stays") {
        CHECK(bob.greet(*got, "hello") == "hello, says 1");
        CHECK(ann.downs() == 0);
      }
    }
    WHEN("another node is expected there") {
      auto got = bob.dial(where, test::node_number(7));
      THEN("it is refused") {
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unreachable);
      }
    }
  }
}

TEST_CASE("a link ends with the certificate of its peer", "[net]") {
  throwaway_ca ca;
  test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
  auto where = ann.listen();
  std::optional<test_node> bob;
  for (auto left : {3s, 15s, 60s}) { // on a slow machine the first one has ended before it is shown
    bob.emplace(test::node_options{.node = 2, .credentials = ca.issue_for("bob", left - 1h)});
    if (bob->dial(where))
      break;
  }
  CHECK(testing::comes_true([&] { return ann.ups() == 1 && ann.downs() == 1; }, 70s));
  CHECK(has_told(ann, "ended a link: 'bob': the certificate has expired"));
}

TEST_CASE("messages over TLS both ways at once lose nothing and do not stop", "[net]") {
  throwaway_ca ca;
  test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
  test_node bob{{.node = 2, .credentials = ca.issue("bob")}};
  auto got = bob.dial(ann.listen());
  REQUIRE(got);
  REQUIRE(ann.wait_for_links(1));
  std::atomic<int> answered{0};
  auto talk = [&](test_node& from, const net::link_ptr& over, const std::string& end) {
    for (auto count = 0; count < 200; ++count) {
      std::string text(static_cast<std::size_t>(count * 997 % 200'000), 'x');
      if (from.greet(over, text) == text + end)
        ++answered;
    }
  };
  std::thread other{[&] { talk(ann, ann.only_link(), ", says 2"); }};
  talk(bob, *got, ", says 1");
  other.join();
  CHECK(answered == 400);
}

SCENARIO("a node with certificates takes nobody who cannot prove to belong there", "[net]") {
  GIVEN("a node with a certificate") {
    throwaway_ca ca;
    test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
    auto where = ann.listen();
    WHEN("a node without one dials it") {
      test_node plain{{.node = 2}};
      THEN("both sides say what is wrong") {
        auto got = plain.dial(where);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::bad_argument); // another try would end alike
        CHECK_THAT(got.error().detail, ContainsSubstring("encrypted links"));
        CHECK(has_told(ann, "does not speak TLS"));
        CHECK(ann.gate().refused().at(net::verdict::not_secured) >= 1);
      }
    }
    WHEN("it dials a node without one") {
      test_node plain{{.node = 2}};
      THEN("both sides say what is wrong") {
        auto there = plain.listen();
        auto got = ann.dial(there);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::bad_argument);
        CHECK_THAT(got.error().detail, ContainsSubstring("it has link_options::insecure"));
        CHECK(has_told(plain, "not a troupe node"));
      }
    }
    WHEN("a node with a certificate of another CA dials it") {
      throwaway_ca other;
      test_node mallory{{.node = 2, .credentials = other.issue("mallory")}};
      THEN("the dialler itself sees that it is wrong") {
        CHECK_THAT(trouble(mallory, where), ContainsSubstring("another CA"));
        CHECK(has_told(ann, "refused"));
      }
    }
    WHEN("a node whose certificate has expired dials it") {
      test_node late{{.node = 2, .credentials = ca.issue_for("late", -2h)}};
      THEN("the dialler is told, and the log has the times") {
        auto got = late.dial(where);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::denied);
        CHECK_THAT(got.error().detail, ContainsSubstring("has expired by its clock: valid from")
                                         && ContainsSubstring("this machine's clock says"));
        CHECK(has_told(ann, "this machine's clock says"));
      }
    }
    WHEN("a client's certificate is used for a member") {
      net::hello self;
      self.node = ca.issue("c1", security::role::client)->self().node;
      THEN("that is refused before anything is dialled") {
        test::net_config cfg;
        caf::actor_system sys{cfg};
        auto client = ca.issue("c1", security::role::client);
        self.node = client->self().node;
        auto made = net::gate::start(sys, self, nullptr, {}, {}, {client});
        REQUIRE_FALSE(made);
        CHECK_THAT(made.error().detail, ContainsSubstring("role client"));
        auto other = ca.issue("n9");
        auto stolen = net::gate::start(sys, self, nullptr, {}, {}, {other});
        REQUIRE_FALSE(stolen);
        CHECK_THAT(stolen.error().detail, ContainsSubstring("another node"));
      }
    }
    THEN("a good node links all the same") {
      test_node bob{{.node = 2, .credentials = ca.issue("bob")}};
      CHECK(trouble(bob, where).empty());
    }
  }
}

TEST_CASE("several processes of one client have a link each, also beside its node", "[net]") {
  throwaway_ca ca;
  auto ann_is = ca.issue("ann");
  auto client = ca.issue("c1", security::role::client, security::rights::use);
  test_node ann{{.node = 1, .credentials = ann_is}};
  auto where = ann.listen();
  test_node first{{.node = 2, .as = net::role::client, .credentials = client}};
  test_node second{{.node = 3, .as = net::role::client, .credentials = client}};
  CHECK(trouble(first, where).empty());
  CHECK(trouble(second, where).empty());
  REQUIRE(ann.wait_for_links(2));
  // A command that is run where a node lives has that node's certificate.
  auto bob_is = ca.issue("bob");
  test_node bob{{.node = 4, .credentials = bob_is}};
  test_node command{{.node = 5, .as = net::role::client, .credentials = bob_is}};
  CHECK(trouble(bob, where).empty());
  CHECK(trouble(command, where).empty());
  CHECK(ann.wait_for_links(4));
}

SCENARIO("strangers hold no honest node up", "[net][hostile]") {
  GIVEN("a node with certificates, and strangers from another address") {
    throwaway_ca ca;
    test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
    auto where = ann.listen();
    std::vector<net::socket> held;
    auto source = test::loopback(0, "127.0.0.2");
    auto connect = [&] {
      auto made = net::start_connect(where, source);
      if (made)
        held.push_back(std::move(*made));
      return static_cast<bool>(made);
    };
    WHEN("100 of them say nothing") {
      for (auto count = 0; count < 100; ++count)
        REQUIRE(connect());
      THEN("a good node links at once, and is not displaced") {
        auto start = std::chrono::steady_clock::now();
        test_node bob{{.node = 2, .credentials = ca.issue("bob")}};
        CHECK(trouble(bob, where).empty());
        CHECK(std::chrono::steady_clock::now() - start < 2s);
      }
    }
    WHEN("2,000 of them come in each second, with rubbish") {
      test::stranger_flood flood{where, test::stranger_flood::words::rubbish};
      std::vector<std::string> all;
      for (std::size_t count = 0; count < 5; ++count) {
        // Each with the strangers of half a second before it, and of more on a fast machine.
        auto had = flood.wait_for_more(1'000);
        test_node bob{{.node = 2, .credentials = ca.issue("bob")}};
        auto deadline = std::chrono::steady_clock::now() + 5s;
        auto why = trouble(bob, where);
        while (!why.empty() && std::chrono::steady_clock::now() < deadline)
          why = trouble(bob, where); // as nodes do
        all.push_back(had ? why : "there are too few strangers");
      }
      THEN("good nodes link within 5 s, and the log has a line for each kind of rubbish") {
        CHECK(all == std::vector<std::string>(5));
        auto lines = ann.refusals();
        auto told = std::ranges::count_if(
          lines, [](auto& each) { return each.find("127.0.0.2") != each.npos; });
        CHECK(told >= 1);
        CHECK(told <= static_cast<std::ptrdiff_t>(complaints::max_details));
      }
    }
  }
}

TEST_CASE("beside 2,000 strangers a second a node keeps its times, and its own dials go on",
          "[net][hostile]") {
  using words = test::stranger_flood::words;
  auto said = GENERATE(words::rubbish, words::half_handshakes);
  throwaway_ca ca;
  net::link_options quick;
  quick.table.link_timeout = 100ms; // of peers with such heartbeats; others have a second
  test_node ann{{.node = 1, .links = quick, .credentials = ca.issue("ann")}};
  auto where = ann.listen();
  test_node bob{{.node = 2, .credentials = ca.issue("bob")}};
  auto there = bob.listen();
  test::stranger_flood flood{where, said};
  std::vector<std::chrono::milliseconds> late;
  std::vector<std::chrono::milliseconds> dials; // each with a handshake
  for (std::uint8_t count = 1; count <= 6; ++count) {
    CHECK(flood.wait_for_more(200));
    auto is = ca.issue("silent");
    auto self = ann.gate().self();
    self.node = is->self().node;
    self.basp_node.back() = static_cast<char>(self.basp_node.back() ^ count);
    self.heartbeat = 50ms;
    std::optional<test::careless_peer> silent;
    std::optional<test::welcome> shown;
    REQUIRE(testing::comes_true([&] { // on a busy machine a try may be given up, as others come
      silent.emplace(where, is->context(read_calendar()));
      shown = silent->greet(self);
      return shown.has_value();
    }));
    auto begins = std::chrono::steady_clock::now();
    silent->say(shown->answer_of(self));
    CHECK(silent->closes());
    late.push_back(std::chrono::floor<std::chrono::milliseconds>(std::chrono::steady_clock::now()
                                                                 - begins - 100ms));
    begins = std::chrono::steady_clock::now();
    CHECK(trouble(ann, there).empty());
    dials.push_back(
      std::chrono::floor<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begins));
  }
  CAPTURE(late, dials);
  CHECK(std::ranges::min(late) >= 0ms);
  CHECK(std::ranges::max(late) <= flooded_bound);
  CHECK(std::ranges::max(dials) <= 2 * flooded_bound);
  CHECK(testing::comes_true([&] { return ann.downs() >= 6; }));
  auto refused = ann.gate().refused();
  auto count = std::accumulate(refused.begin(), refused.end(), std::uint64_t{0},
                               [](auto sum, auto& each) { return sum + each.second; });
  CHECK(count >= 1'000); // so the node has met them
}

TEST_CASE("a client cannot keep a member away with the beginning of the id of its process",
          "[net][hostile]") {
  throwaway_ca ca;
  test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
  auto where = ann.listen();
  test_node bob{{.node = 2, .credentials = ca.issue("bob")}};
  auto process = bob.gate().self().basp_node;
  auto eve = ca.issue("eve", security::role::client, security::rights::read);
  auto wire = test::raw_peer::connect(where);
  net::tls_stream stream{wire.descriptor(), net::side::dialled, eve->context(read_calendar())};
  REQUIRE(stream.handshake() == net::progress::done); // the socket blocks
  auto say = [&](const std::string& what) {
    return stream.write(std::as_bytes(std::span{what})).bytes == what.size();
  };
  auto receive = [&](std::size_t size) {
    std::string heard(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      auto got = stream.read(std::as_writable_bytes(std::span{heard}).subspan(done));
      if (got.state != net::progress::done)
        break;
      done += got.bytes;
    }
    return heard.substr(0, done);
  };
  net::hello self;
  self.as = net::role::client;
  self.cluster = test::cluster_number(7);
  self.boot = 1;
  SECTION("of which it says a part") {
    self.basp_node = process.substr(0, process.size() - 1);
  }
  SECTION("of which it says no more than its kind") {
    self.basp_node = process.substr(0, 1);
  }
  SECTION("behind which it says more") {
    self.basp_node = process + '\0';
  }
  self.node = net::client_id(eve->self().node, self.basp_node);
  REQUIRE(say(net::to_wire(self)));
  if (auto size = net::body_bytes(receive(net::greeting_head_bytes))) {
    auto said = net::from_wire(receive(*size));
    REQUIRE(said);
    auto& answer = std::get<net::answer>(*said);
    if (answer.said == net::verdict::go) {
      say(net::to_wire(net::commit{}));
      auto header = receive(net::basp_header::wire_bytes);
      REQUIRE(header.size() == net::basp_header::wire_bytes);
      auto seen = net::basp_header::from_bytes(std::as_bytes(std::span{header}));
      auto payload = receive(seen.payload_bytes);
      say(header + process + payload.substr(answer.from.basp_node.size()));
    }
  }
  REQUIRE(testing::comes_true([&] { return ann.ups() > 0 || !ann.gate().refused().empty(); }));
  CHECK(ann.ups() == 0);
  CHECK(trouble(bob, where).empty());
}

TEST_CASE("a peer that has proven who it is and then sends more than a greeting is refused",
          "[net][hostile]") {
  throwaway_ca ca;
  test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
  auto where = ann.listen();
  auto bob = ca.issue("bob");
  auto wire = test::raw_peer::connect(where);
  net::tls_stream stream{wire.descriptor(), net::side::dialled, bob->context(read_calendar())};
  REQUIRE(stream.handshake() == net::progress::done); // the socket blocks
  net::hello self;
  self.node = bob->self().node;
  self.cluster = test::cluster_number(7);
  self.boot = 1;
  self.basp_node = ann.gate().self().basp_node;
  self.basp_node.back() = self.basp_node.back() == '9' ? '8' : '9';
  auto say = [&](const std::string& what) {
    REQUIRE(stream.write(std::as_bytes(std::span{what})).bytes == what.size());
  };
  SECTION("with its hello") {
    say(net::to_wire(self) + "more");
  }
  SECTION("with its commit") { // else BASP would have what poll does not report
    say(net::to_wire(self));
    std::array<std::byte, net::max_greeting_bytes> answer{};
    REQUIRE(stream.read(answer).bytes > net::greeting_head_bytes);
    say(net::to_wire(net::commit{}) + "more");
  }
  CHECK(testing::comes_true([&] {
    auto refused = ann.gate().refused();
    return refused.contains(net::verdict::bad_greeting);
  }));
}
