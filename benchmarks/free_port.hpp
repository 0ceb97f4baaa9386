#pragma once

#include <cstdint>

#include "troupe/net/address.hpp"
#include "troupe/net/socket.hpp"

namespace troupe::benchmark {

/// A port of 127.0.0.1 that nobody listens at.
inline std::uint16_t free_port() {
  return net::local_endpoint(*net::start_listen(net::resolve({"127.0.0.1", 0})->front())).port();
}

} // namespace troupe::benchmark
