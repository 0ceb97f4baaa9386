#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/gate.hpp"

namespace troupe::net {

/// Where a node takes links, of all that it was to listen at.
struct listening {
  /// The same at each address.
  std::uint16_t port = 0;
  /// Why others of its addresses have no listener.
  std::vector<problem> refused{};
};

/// Takes links at each of `where`, which have one port; if that is 0, the first that is free at
/// the first address is taken for all. An address that this machine does not have, or that is not
/// for plain links, is left out and told. Errors: those of gate::listen() if no address is left;
/// in_use if another process has the port at one of them and the port was given: whoever dials
/// the name would reach one process or the other.
inline result<listening> listen_at_each(gate& by, const std::vector<endpoint>& where) {
  listening made;
  std::vector<endpoint> seen;
  for (auto& each : where) {
    auto is_same = [&](const endpoint& other) { return to_string(other) == to_string(each); };
    if (std::ranges::any_of(seen, is_same))
      continue; // a name may give one address twice
    seen.push_back(each);
    auto port = by.listen(each.port() == 0 ? each.with_port(made.port) : each);
    if (port)
      made.port = *port;
    else if (port.error().code == errc::in_use && each.port() != 0)
      return port.error();
    else
      made.refused.push_back(port.error());
  }
  if (made.port == 0)
    return made.refused.empty() ? problem{errc::bad_argument, "there is no address to listen at"}
                                : made.refused.front();
  return made;
}

} // namespace troupe::net
