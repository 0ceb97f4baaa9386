// Machines without a certificate, which ask a gate for one.

#include "troupe/net/join.hpp"
#include "net/node_fixture.hpp"
#include "net/raw_peer.hpp"
#include "support/certificates.hpp"
#include "troupe/net/tls_stream.hpp"
#include "troupe/security/admission.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <future>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using test::test_node;
using test::throwaway_ca;

namespace {

using answer_of_desk = std::function<security::join_answer(const net::join_inquiry&)>;

net::join_desk desk(answer_of_desk say) {
  return [say = std::move(say)](const net::join_inquiry& what, auto done) {
    auto answer = say(what);
    auto* refused = std::get_if<security::join_refused>(&answer);
    done(net::join_reply{to_bytes(answer), refused != nullptr ? "it asked: " + refused->why : ""});
  };
}

net::address address_of(const net::endpoint& where) {
  return {"127.0.0.1", where.port()};
}

/// A member that has the CA in its folder.
struct issuer {
  explicit issuer(throwaway_ca& from) : ca(from) {
    where = address_of(node.listen());
  }

  security::join_token invite(security::role as = security::role::member) {
    return security::invite(ca.folder(), id, {.as = as}, read_calendar()).value();
  }

  throwaway_ca& ca;
  net::credentials_ptr who = ca.issue("issuer");
  node_id id = who->self().node;
  test_node node{
    {.credentials = who,
     .joins = desk([this](const net::join_inquiry& what) {
       auto request = from_bytes<security::join_request>(what.request);
       REQUIRE(request);
       auto made = security::admit(ca.folder(), *request, what.binding, read_calendar()).answer;
       return made ? security::join_answer{security::join_granted{made->to_pem()}}
                   : security::join_answer{
                     security::join_refused{made.error().code, made.error().detail}};
     })}};
  net::address where;
};

} // namespace

SCENARIO("a machine without a certificate gets one by a token, and is linked with it",
         "[net][join]") {
  GIVEN("a member with a CA") {
    throwaway_ca ca;
    issuer it{ca};
    auto key = security::key_pair::make();
    WHEN("a machine has a token") {
      auto got = net::join({it.where}, it.invite(), key, {security::role::member, "ada"});
      REQUIRE((got ? "" : got.error().detail) == ""s);
      THEN("it is the node that the certificate names") {
        auto proofs = security::credentials::make(key, got->own, got->ca, read_calendar());
        REQUIRE(proofs);
        CHECK((*proofs)->self().name == "ada");
        test_node ada{{.credentials = *proofs}};
        auto link = ada.dial(test::loopback(it.where.port));
        REQUIRE(link);
        CHECK((*link)->proven()->node == it.id);
      }
      THEN("the member has not counted a refusal") {
        CHECK(it.node.gate().refused().empty());
      }
    }
    WHEN("the token is used again by another identity") {
      auto token = it.invite();
      REQUIRE(net::join({it.where}, token, key, {security::role::member, "ada"}));
      auto other
        = net::join({it.where}, token, security::key_pair::make(), {security::role::member, "eve"});
      THEN("it hears so, and the member says it") {
        REQUIRE_FALSE(other);
        CHECK(other.error().code == errc::in_use);
        CHECK(testing::comes_true([&] { return !it.node.refusals().empty(); }));
        CHECK(it.node.gate().refused().at(net::verdict::not_admitted) == 1);
      }
    }
    WHEN("another member is asked, which says where the CA is") {
      test_node other{
        {.credentials = ca.issue("other"), .joins = desk([&](const net::join_inquiry&) {
                                             return security::join_elsewhere{{to_string(it.where)}};
                                           })}};
      auto got = net::join({address_of(other.listen())}, it.invite(), key,
                           {security::role::member, "ada"});
      THEN("it is asked") {
        CHECK((got ? "" : got.error().detail) == ""s);
      }
    }
    WHEN("members only say where else the CA is, in a circle") {
      std::vector<std::string> places;
      test_node one{{.credentials = ca.issue("one"), .joins = desk([&](const net::join_inquiry&) {
                                                       return security::join_elsewhere{places};
                                                     })}};
      auto where = address_of(one.listen());
      places = {to_string(where), "127.0.0.1:1", "nonsense"};
      auto got
        = net::join({where}, it.invite(), key, {security::role::member, "ada"}, {.wait = 500ms});
      THEN("that ends in time") {
        REQUIRE_FALSE(got);
        CHECK(got.error().code != errc::none);
      }
    }
  }
}

TEST_CASE("nobody sends a request to a member of another cluster, or to no member", "[net][join]") {
  throwaway_ca ca;
  issuer it{ca};
  throwaway_ca other;
  auto key = security::key_pair::make();
  auto token = security::join_token::make(other.authority().key(), it.id);
  auto asked = false;
  auto trouble = [&](net::credentials_ptr who) {
    test_node node{{.credentials = std::move(who), .joins = desk([&](const net::join_inquiry&) {
                                                     asked = true;
                                                     return security::join_refused{};
                                                   })}};
    auto got = net::join({address_of(node.listen())}, token, key, {}, {.wait = 2s});
    return got ? ""s : got.error().detail;
  };
  CHECK_THAT(trouble(ca.issue("ann")),
             ContainsSubstring("no member of the cluster that the token is for"));
  // Of the right CA, but a client: it cannot listen as troupe has it, so its stream is made here.
  CHECK_FALSE(asked);
  CHECK(trouble(other.issue("ann")).empty());
  CHECK(asked);
}

TEST_CASE("a process of another cluster at one address keeps nobody from joining at the next",
          "[net][join]") {
  throwaway_ca ca;
  issuer it{ca};
  throwaway_ca other;
  test_node stranger{{.credentials = other.issue("eve")}};
  auto got = net::join({address_of(stranger.listen()), it.where}, it.invite(),
                       security::key_pair::make(), {security::role::member, "ada"});
  CHECK((got ? "" : got.error().detail) == ""s);
}

TEST_CASE("a host that no name server knows of in time keeps nobody from joining at the next",
          "[net][join]") {
  throwaway_ca ca;
  issuer it{ca};
  struct name_server {
    std::promise<void> says;
    std::shared_future<void> waits = says.get_future();
  };
  auto silent = std::make_shared<name_server>();
  auto look_up = [silent](const net::address& where) {
    silent->waits.wait();
    return net::resolve(where);
  };
  auto got = net::join({{"dead.example", 1}, it.where}, it.invite(), security::key_pair::make(),
                       {security::role::member, "ada"}, {.look_up = look_up});
  silent->says.set_value();
  CHECK((got ? "" : got.error().detail) == ""s);
}

TEST_CASE("a name that no certificate can have is refused before anybody is asked", "[net][join]") {
  throwaway_ca ca;
  issuer it{ca};
  for (auto size : {1'500, 9'000}) {
    auto began = std::chrono::steady_clock::now();
    auto got = net::join({it.where}, it.invite(), security::key_pair::make(),
                         {security::role::member, std::string(size, 'a')});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::bad_argument);
    CHECK(std::chrono::steady_clock::now() - began < 5s);
  }
}

TEST_CASE("a member without a desk refuses those without a certificate", "[net][join]") {
  throwaway_ca ca;
  test_node ann{{.credentials = ca.issue("ann")}};
  auto token = security::join_token::make(ca.authority().key(), node_id{});
  auto got
    = net::join({address_of(ann.listen())}, token, security::key_pair::make(), {}, {.wait = 2s});
  REQUIRE_FALSE(got);
  CHECK_THAT(got.error().detail, ContainsSubstring("certificate"));
}

TEST_CASE("a node with insecure links gives no certificate, and that is said", "[net][join]") {
  throwaway_ca ca;
  test_node plain{{.node = 1}};
  auto token = security::join_token::make(ca.authority().key(), node_id{});
  auto got
    = net::join({address_of(plain.listen())}, token, security::key_pair::make(), {}, {.wait = 1s});
  REQUIRE_FALSE(got);
  INFO(got.error());
  CHECK(got.error().code != errc::denied);
}

TEST_CASE("a member that ends in the middle, or says nothing, is told from one that refuses",
          "[net][join]") {
  throwaway_ca ca;
  auto token = security::join_token::make(ca.authority().key(), node_id{});
  for (auto silent : {true, false}) {
    test::raw_server server{[silent](test::raw_peer& peer) {
      if (silent)
        peer.closes_within(20s);
    }};
    auto began = std::chrono::steady_clock::now();
    auto got = net::join({address_of(server.where())}, token, security::key_pair::make(), {},
                         {.wait = 1s});
    REQUIRE_FALSE(got);
    CHECK((got.error().code == errc::timed_out || got.error().code == errc::unreachable));
    CHECK(std::chrono::steady_clock::now() - began < 10s);
  }
}

namespace {

/// One that has no certificate and speaks the protocol, byte by byte.
class stranger {
public:
  stranger(const net::endpoint& where, const digest& ca)
    : socket_(net::start_connect(where).value()) {
    pollfd asked{socket_.get(), POLLOUT, 0};
    REQUIRE(::poll(&asked, 1, 5'000) == 1);
    stream_.emplace(socket_.get(), net::side::dialled, security::make_join_context(),
                    security::peer_check{ca});
    for (;;) {
      auto state = stream_->handshake();
      if (state == net::progress::done)
        break;
      REQUIRE(state != net::progress::failed);
      wait();
    }
  }

  void send(std::string_view bytes) {
    auto sent = stream_->write(std::as_bytes(std::span{bytes}));
    REQUIRE(sent.bytes == bytes.size());
  }

  /// All that comes until the end.
  std::string read() {
    std::string heard;
    for (;;) {
      std::byte piece[512];
      auto got = stream_->read(piece);
      if (got.state == net::progress::failed)
        return heard;
      if (got.state == net::progress::done)
        heard.append(reinterpret_cast<const char*>(piece), got.bytes);
      else
        wait();
    }
  }

private:
  void wait() {
    pollfd asked{socket_.get(), POLLIN, 0};
    REQUIRE(::poll(&asked, 1, 10'000) == 1);
  }

  net::socket socket_;
  std::optional<net::tls_stream> stream_;
};

} // namespace

TEST_CASE(
  "what is no request to join ends the connection, and what is cut short ends with its time",
  "[net][join]") {
  throwaway_ca ca;
  std::atomic<int> asked = 0;
  net::link_options quick;
  quick.table.greeting_timeout = 300ms;
  test_node ann{{.links = quick,
                 .credentials = ca.issue("ann"),
                 .joins = desk([&](const net::join_inquiry&) {
                   ++asked;
                   return security::join_refused{errc::denied, "no"};
                 })}};
  auto where = ann.listen();
  auto mark = security::fingerprint_of(ca.authority().key());
  for (auto text : {"GET / HTTP/1.1\r\n\r\n"s, "TRJ\xff\xff"s, std::string{"TRJ\0\0", 5},
                    std::string{"TRL\x10", 4} + std::string(16, 'x')}) {
    stranger eve{where, mark};
    eve.send(text);
    CHECK(eve.read().empty());
  }
  auto whole = security::to_join_wire(std::string(100, 'x'));
  for (auto size : {std::size_t{0}, std::size_t{1}, std::size_t{4}, std::size_t{50}}) {
    stranger eve{where, mark};
    eve.send(whole.substr(0, size));
    CHECK(eve.read().empty());
  }
  CHECK(asked == 0);
  stranger eve{where, mark};
  eve.send(whole);
  CHECK(eve.read().starts_with(security::join_magic));
  CHECK(asked == 1);
  stranger longest{where, mark};
  longest.send(security::to_join_wire(std::string(1'024, 'x')));
  CHECK(longest.read().starts_with(security::join_magic));
  CHECK(asked == 2);
  stranger longer{where, mark};
  longer.send(security::to_join_wire(std::string(1'025, 'x')));
  CHECK(longer.read().empty());
  CHECK(asked == 2);
}

TEST_CASE("a desk that answers late, or never, holds up nobody else", "[net][join]") {
  throwaway_ca ca;
  net::link_options quick;
  quick.table.join_timeout = 300ms;
  std::mutex guard;
  std::vector<std::function<void(net::join_reply)>> open;
  test_node ann{{.links = quick,
                 .credentials = ca.issue("ann"),
                 .joins = [&](const net::join_inquiry&, auto done) {
                   std::lock_guard lock{guard};
                   open.push_back(done);
                 }}};
  test_node bob{{.credentials = ca.issue("bob")}};
  auto where = ann.listen();
  stranger eve{where, security::fingerprint_of(ca.authority().key())};
  eve.send(security::to_join_wire("x"));
  CHECK(bob.dial(where));
  CHECK(eve.read().empty()); // its time is over
  {
    std::lock_guard lock{guard};
    for (auto& each : open)
      each({"late", ""});
  }
  CHECK(bob.greet(*bob.dial(where), "hello") == "hello, says 1");
}

TEST_CASE("a slow CA answers more machines of one address than that has places for links",
          "[net][join]") {
  throwaway_ca ca;
  issuer it{ca};
  net::link_options quick;
  quick.table.greeting_timeout = 300ms;
  quick.table.max_accepting_of_one = 4;
  constexpr std::size_t machines = 12;
  std::mutex guard;
  std::vector<std::function<void()>> open;
  test_node slow{
    {.links = quick, .credentials = ca.issue("slow"), .joins = [&](auto what, auto done) {
       std::lock_guard hold{guard};
       open.push_back([&ca, what = std::move(what), done = std::move(done)] {
         CHECK(what.is_awaited());
         auto request = from_bytes<security::join_request>(what.request);
         auto made = security::admit(ca.folder(), *request, what.binding, read_calendar()).answer;
         done({to_bytes(security::join_answer{security::join_granted{made.value().to_pem()}}), ""});
       });
     }}};
  auto at = slow.listen();
  auto where = address_of(at);
  std::vector<std::future<problem>> outcomes;
  for (std::size_t each = 0; each < machines; ++each)
    outcomes.push_back(std::async(std::launch::async, [&, token = it.invite()] {
      auto got
        = net::join({where}, token, security::key_pair::make(), {security::role::member, "x"});
      return got ? problem{} : got.error();
    }));
  REQUIRE(testing::comes_true([&] {
    std::lock_guard hold{guard};
    return open.size() == machines;
  }));
  stranger silent{at, security::fingerprint_of(ca.authority().key())};
  CHECK(silent.read().empty()); // the time for a greeting is over, for those before it, too
  for (auto& each : open)
    each();
  for (auto& each : outcomes)
    CHECK(each.get().detail == "");
  CHECK(open.size() == machines); // nobody has asked twice
}

TEST_CASE("a desk hears that whoever has asked it is gone", "[net][join]") {
  throwaway_ca ca;
  std::promise<std::function<bool()>> asked;
  test_node ann{{.credentials = ca.issue("ann"), .joins = [&](const net::join_inquiry& what, auto) {
                   asked.set_value(what.is_awaited);
                 }}};
  auto is_awaited = [&] {
    stranger eve{ann.listen(), security::fingerprint_of(ca.authority().key())};
    eve.send(security::to_join_wire("x"));
    auto result = asked.get_future().get();
    CHECK(result());
    return result;
  }();
  CHECK(testing::comes_true([&] { return !is_awaited(); }));
}
