#include "troupe/net/datagram_socket.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <optional>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "troupe/net/endpoint.hpp"

namespace datagram_socket_test {

using namespace troupe;
using namespace troupe::net;
using Catch::Matchers::ContainsSubstring;

namespace {

endpoint at(const std::string& host, std::uint16_t port = 0) {
  return resolve({host, port}).value().front();
}

/// The next datagram that comes within 5 s.
std::optional<datagram_socket::arrival> wait_for(datagram_socket& where) {
  pollfd asked{where.descriptor(), POLLIN, 0};
  ::poll(&asked, 1, 5'000);
  return where.receive();
}

} // namespace

TEST_CASE("a datagram comes as it was sent, with the address to answer to", "[net]") {
  auto host = GENERATE("127.0.0.1", "::1");
  auto a = datagram_socket::open(at(host));
  auto b = datagram_socket::open(at(host));
  if (!a)
    SKIP("this machine has no " << host);
  CHECK_FALSE(b->receive());
  for (std::string what : {std::string{"hello"}, std::string{}, std::string("\0\1", 2),
                           std::string(datagram_socket::max_size, 'x')}) {
    CHECK(a->send(b->local(), what) == datagram_socket::outcome::sent);
    auto found = wait_for(*b);
    REQUIRE(found);
    CHECK(found->what == what);
    CHECK(to_string(found->from) == to_string(a->local()));
    CHECK(b->send(found->from, "answer") == datagram_socket::outcome::sent);
    CHECK(wait_for(*a)->what == "answer");
  }
}

TEST_CASE("datagrams go to the first address of a kind that this node has, and it is said if there "
          "is none",
          "[net]") {
  auto old = at("127.0.0.1", 1);
  auto late = at("::1", 2);
  auto chosen = [&](const std::vector<int>& families, const std::vector<endpoint>& found) {
    auto made = choose(families, found);
    return made ? to_string(*made) : std::string{};
  };
  CHECK(chosen({AF_INET}, {late, old}) == "127.0.0.1:1");
  CHECK(chosen({AF_INET6}, {old, late}) == "[::1]:2");
  CHECK(chosen({AF_INET, AF_INET6}, {late, old}) == "[::1]:2");
  CHECK(chosen({AF_INET}, {late}).empty());
  CHECK_THAT(refuse_family({AF_INET}, {late}, "[::1]:2"),
             ContainsSubstring("gets datagrams by IPv4 only")
               && ContainsSubstring("that one, [::1]:2, is of IPv6")
               && ContainsSubstring("node_options::listen"));
  CHECK_THAT(refuse_family({AF_INET6}, {old}, "n1:1"),
             ContainsSubstring("gets datagrams by IPv6 only")
               && ContainsSubstring("that one, n1:1, is of IPv4"));
  CHECK(refuse_family({AF_INET}, {late, old}, "n1:1").empty());
  CHECK(refuse_family({AF_INET}, {}, "n1:1").empty()); // the name is not known
  CHECK(refuse_family({}, {old}, "n1:1").empty());
}

TEST_CASE("larger datagrams than ours are dropped, and the next one comes", "[net]") {
  auto a = datagram_socket::open(at("127.0.0.1")).value();
  auto b = datagram_socket::open(at("127.0.0.1")).value();
  REQUIRE(a.send(b.local(), std::string(datagram_socket::max_size + 1, 'x'))
          == datagram_socket::outcome::sent);
  REQUIRE(a.send(b.local(), "hello") == datagram_socket::outcome::sent);
  CHECK(wait_for(b)->what == "hello");
  CHECK_FALSE(b.receive());
  CHECK(b.dropped() == 1);
  REQUIRE(b.dropped_from());
  CHECK(to_string(*b.dropped_from()) == to_string(a.local()));
}

TEST_CASE("who sends too large datagrams without end does not keep the receiver", "[net]") {
  auto a = datagram_socket::open(at("127.0.0.1")).value();
  auto b = datagram_socket::open(at("127.0.0.1")).value();
  for (auto each = 0; each < datagram_socket::max_dropped; ++each)
    REQUIRE(a.send(b.local(), std::string(datagram_socket::max_size + 1, 'x'))
            == datagram_socket::outcome::sent);
  REQUIRE(a.send(b.local(), "hello") == datagram_socket::outcome::sent);
  CHECK_FALSE(wait_for(b));
  CHECK(wait_for(b)->what == "hello");
}

TEST_CASE("who is not there any more costs no error", "[net]") {
  auto a = datagram_socket::open(at("127.0.0.1")).value();
  auto gone = [] { return datagram_socket::open(at("127.0.0.1")).value().local(); }();
  auto there = datagram_socket::open(at("127.0.0.1")).value();
  for (auto each = 0; each < 3; ++each) {
    CHECK(a.send(gone, "hello") == datagram_socket::outcome::sent);
    CHECK(a.send(there.local(), "hello") == datagram_socket::outcome::sent);
    CHECK(wait_for(there));
    CHECK_FALSE(a.receive());
  }
}

TEST_CASE("where this machine has no way to, it says so", "[net]") {
  auto a = datagram_socket::open(at("127.0.0.1")).value();
  CHECK(a.send(at("::1", 9), "hello") == datagram_socket::outcome::failed);
}

TEST_CASE("a port is of one process, also for datagrams", "[net]") {
  auto a = datagram_socket::open(at("127.0.0.1")).value();
  auto again = datagram_socket::open(a.local());
  REQUIRE(again.error().code == errc::in_use);
  CHECK_THAT(again.error().detail, ContainsSubstring("choose another port"));
  CHECK(datagram_socket::open(at("192.0.2.1")).error().code == errc::bad_argument);
}

} // namespace datagram_socket_test
