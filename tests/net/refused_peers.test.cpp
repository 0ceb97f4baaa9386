// Whoever cannot prove to belong to the cluster, whatever it sends: no actor gets a message of it.

#include "net/node_fixture.hpp"
#include "net/raw_peer.hpp"
#include "support/certificates.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <openssl/ssl.h>
#include <sys/time.h>

using namespace std::literals;
using namespace troupe;
using test::raw_peer;
using test::test_node;
using test::throwaway_ca;

namespace {

using context_ptr = security::credentials::context_ptr;

/// A connection of a peer that takes any certificate, and shows what it likes; over plain TCP
/// without a `context`.
class careless_peer {
public:
  careless_peer(const net::endpoint& where, context_ptr context)
    : wire_(raw_peer::connect(where)), context_(std::move(context)) {
    timeval wait{10, 0};
    ::setsockopt(wire_.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (!context_)
      return;
    tls_.reset(::SSL_new(context_.get()));
    ::SSL_set_verify(tls_.get(), SSL_VERIFY_NONE, nullptr);
    ::SSL_set_fd(tls_.get(), wire_.descriptor());
    ::SSL_connect(tls_.get()); // it may have been refused; what it sends then tells
  }

  void say(const std::string& bytes) {
    if (tls_)
      ::SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
    else
      wire_.send(bytes);
  }

  /// Returns fewer bytes where the other side refuses to say more.
  std::string hear(std::size_t size) {
    if (!tls_)
      return wire_.receive(size);
    std::string heard(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      auto count = ::SSL_read(tls_.get(), heard.data() + done, static_cast<int>(size - done));
      if (count <= 0)
        break;
      done += static_cast<std::size_t>(count);
    }
    return heard.substr(0, done);
  }

  bool closes() {
    return wire_.closes_within(20s);
  }

private:
  raw_peer wire_;
  context_ptr context_;
  std::unique_ptr<SSL, decltype(&::SSL_free)> tls_{nullptr, &::SSL_free};
};

/// What a linked peer says until its message has arrived, and what it has to know for that.
struct speech {
  net::hello self;
  std::string handshake; ///< of BASP
  std::string message;

  /// All at once, before the other side has said anything.
  [[nodiscard]] std::string whole() const {
    return net::to_wire(self) + net::to_wire(net::commit{}) + handshake + message;
  }

  /// In turns, as far as the other side goes.
  void say_to(careless_peer& peer) const {
    peer.say(net::to_wire(self));
    auto size = net::body_bytes(peer.hear(net::greeting_head_bytes));
    if (!size)
      return;
    peer.hear(*size);
    peer.say(net::to_wire(net::commit{}) + handshake + message);
  }
};

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
    caf::byte_buffer bytes;
    caf::binary_serializer sink{ann.system(), bytes};
    REQUIRE(sink.apply(std::vector<caf::strong_actor_ptr>{}));
    REQUIRE(sink.apply(caf::make_message(test::greet_request{"hello"})));
    std::string payload{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    auto message = test::basp_bytes({net::basp_header::operation::direct_message, 0,
                                     static_cast<std::uint32_t>(payload.size()), 1'000,
                                     ann.gate().self().entry_point})
                   + payload;
    auto handshake
      = shown.header + self.basp_node + shown.payload.substr(ann.gate().self().basp_node.size());
    return {std::move(self), std::move(handshake), std::move(message)};
  }

  /// A peer that belongs to the cluster; its link stays as long as the result does.
  std::unique_ptr<careless_peer> check_good_peer(const std::string& name) {
    auto is = ca.issue(name);
    auto before = ann.greeted();
    auto made = std::make_unique<careless_peer>(where, is->context(read_calendar()));
    auto self = hello_of(is->self());
    made->say(net::to_wire(self));
    made->hear(*net::body_bytes(made->hear(net::greeting_head_bytes)));
    made->say(net::to_wire(net::commit{}));
    shown.header = made->hear(net::basp_header::wire_bytes);
    auto seen = net::basp_header::from_bytes(std::as_bytes(std::span{shown.header}));
    shown.payload = made->hear(seen.payload_bytes);
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
  struct {
    std::string header;
    std::string payload;
  } shown; ///< the node's handshake of BASP
};

std::set<net::verdict> reasons(test_node& of) {
  std::set<net::verdict> all;
  for (auto& [why, count] : of.gate().refused())
    all.insert(why);
  return all;
}

context_ptr without_certificate() {
  return {::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free};
}

} // namespace

TEST_CASE("an actor gets no message of a peer that cannot prove to be what it says",
          "[net][hostile]") {
  counting_node here;
  auto good = here.check_good_peer("good");
  auto now = read_calendar();
  struct given {
    std::string what;
    context_ptr context;
    net::hello self;
    std::set<net::verdict> reasons;
  };
  throwaway_ca other;
  auto of = [&](const std::shared_ptr<security::credentials>& who, wall_time then) {
    return std::pair{who->context(then), here.hello_of(who->self())};
  };
  auto refused
    = [&](const std::string& what, std::pair<context_ptr, net::hello> who, net::verdict why) {
        return given{what, std::move(who.first), std::move(who.second), {why}};
      };
  using enum net::verdict;
  auto eve_is = here.ca.issue("eve");
  throwaway_ca::revoke(*here.ann_is, eve_is->self());
  auto client_is = here.ca.issue("c1", security::role::client, security::rights::operate);
  auto stolen = of(here.ca.issue("n2"), now);
  stolen.second.node = here.ca.issue("victim")->self().node;
  auto earlier = of(here.ca.issue("n4"), now);
  ::SSL_CTX_set_max_proto_version(earlier.first.get(), TLS1_2_VERSION);
  ::SSL_CTX_set_min_proto_version(earlier.first.get(), TLS1_2_VERSION);
  auto unknown = here.ca.issue("n3");
  std::vector<given> all{
    refused("with a certificate of another CA", of(other.issue("mallory"), now), not_secured),
    refused("without a certificate", {without_certificate(), here.hello_of(unknown->self())},
            not_secured),
    refused("with one that has expired", of(here.ca.issue_for("late", -2h), now - 2h), not_secured),
    refused("with one that is not valid yet", of(here.ca.issue_for("early", 1h), now + 1h),
            not_secured),
    refused("with one that is revoked", of(eve_is, now), not_secured),
    refused("with a client's, as a member", of(client_is, now), unproven),
    refused("with a member's, under the id of another", stolen, unproven),
    refused("over TLS 1.2", earlier, not_secured),
    refused("over plain TCP", {nullptr, here.hello_of(unknown->self())}, not_secured),
  };
  for (auto& each : all) {
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
      if (each.reasons.contains(unproven) && at_once)
        CHECK(counted == std::set{bad_greeting});
      else
        CHECK(counted == each.reasons);
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
  for (auto [boot, why] : {std::pair{5U, net::verdict::duplicate}, {4U, net::verdict::old_boot}}) {
    CAPTURE(boot);
    auto self = here.hello_of(bob_is->self());
    self.boot = boot;
    careless_peer peer{here.where, bob_is->context(read_calendar())};
    here.as(self).say_to(peer);
    CHECK(peer.closes());
    CHECK(testing::comes_true([&] { return reasons(here.ann).contains(why); }));
  }
  CHECK(here.ann.greeted() == 1);
  CHECK(bob.greet(*link) == "hello, says 1"); // its link stays
  CHECK(here.ann.greeted() == 2);
}
