#pragma once

#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::testing {

/// How bytes of connections and datagrams travel from one host to another.
struct network_path {
  /// Nothing arrives. Bytes of connections wait until the path is healed, and connections hang;
  /// datagrams are dropped.
  bool cut = false;
  duration delay{};
  /// Additional delay, random up to this. Bytes of one connection keep their order; datagrams may
  /// overtake each other.
  duration jitter{};
  /// For all connections and datagrams together; zero: no limit. Datagrams that would wait for more
  /// than a second before they leave are dropped.
  std::uint64_t bytes_per_second = 0;
  /// The probability, from 0 to 1, with which a datagram is lost. Bytes of connections never are.
  double loss = 0;
};

} // namespace troupe::testing
