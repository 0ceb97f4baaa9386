#include "troupe/net/socket.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <optional>

#include <arpa/inet.h>
#include <poll.h>

namespace socket_test {

using namespace troupe;

namespace {

net::endpoint loopback() {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return {reinterpret_cast<const sockaddr*>(&made), sizeof(made)};
}

/// Whether a connection to there is made.
bool connects(const net::socket& made) {
  pollfd polled{made.get(), POLLOUT, 0};
  ::poll(&polled, 1, 10'000);
  return net::connect_error(made) == 0;
}

/// Whether the other side has ended that connection, within so many milliseconds.
bool has_ended(const net::socket& made, int within) {
  pollfd polled{made.get(), POLLIN, 0};
  char heard = 0;
  return ::poll(&polled, 1, within) > 0 && ::recv(made.get(), &heard, 1, 0) <= 0;
}

} // namespace

TEST_CASE("a socket listens until its last descriptor is closed, and whom nobody accepts sees that",
          "[net]") {
  auto first = net::start_listen(loopback());
  REQUIRE(first);
  auto where = net::local_endpoint(*first);
  std::optional<net::socket> second{net::duplicate(*first)};
  REQUIRE(*second);
  *first = {};
  auto waits = net::start_connect(where);
  REQUIRE(waits);
  REQUIRE(connects(*waits));
  CHECK_FALSE(has_ended(*waits, 0));
  second.reset();
  CHECK(has_ended(*waits, 10'000));
  auto refused = net::start_connect(where);
  CHECK((!refused || !connects(*refused)));
}

} // namespace socket_test
