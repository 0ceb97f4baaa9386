#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/gate.hpp"

namespace troupe::net {

/// The result of listen_at_each().
struct listening {
  /// The same at each address.
  std::uint16_t port = 0;
  /// Why the other addresses have no listener.
  std::vector<problem> refused{};
};

/// Accepts links at each of `where`, which have the same port; if that is 0, the first free port at
/// the first address is used for all. An address that this machine does not have, or that does not
/// allow plain links, is skipped and reported in `refused`. Errors: those of gate::listen() if no
/// address is left; in_use if another process has the given port at one of them, because a dial to
/// the name could reach either process.
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
    return made.refused.empty()
             ? problem{errc::bad_argument, "there is no address to listen at; give at least one"}
             : made.refused.front();
  return made;
}

} // namespace troupe::net
