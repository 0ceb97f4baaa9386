#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <exception>
#include <string>

#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/socket.hpp"

namespace troupe::test {

/// A port of that host, a number, at which nothing takes connections or datagrams: a node takes
/// both there.
inline std::uint16_t free_port(const std::string& host = "127.0.0.1") {
  auto any = net::resolve_number({host, 0});
  REQUIRE(any);
  for (auto tries = 0; tries < 16; ++tries) {
    auto door = net::start_listen(any->front());
    REQUIRE(door);
    auto where = net::local_endpoint(*door);
    if (net::datagram_socket::open(where))
      return where.port();
  }
  FAIL("no port is free for connections and datagrams");
  std::terminate(); // not reached
}

} // namespace troupe::test
