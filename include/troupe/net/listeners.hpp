#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/socket.hpp"

namespace troupe::net {

/// Returns why insecure links at `where` are refused; errc::none for a loopback address.
inline problem refuse_insecure(const std::string& what, const endpoint& where) {
  if (where.is_loopback())
    return {};
  return {errc::bad_argument, "will not " + what + " " + to_string(where)
                                + ": insecure links are for loopback addresses; use one, or leave "
                                  "out link_options::insecure"};
}

/// Sockets that listen; nobody accepts their connections yet: see gate::listen().
struct listeners {
  /// The same at each address.
  std::uint16_t port = 0;
  std::vector<socket> sockets{};
  /// Why the other addresses have no listener.
  std::vector<problem> refused{};
};

/// Listens at each of `where`, which have the same port; if that is 0, the first free port at the
/// first address is used for all. An address that this machine does not have, or that is not for
/// links that are `insecure`, is skipped and reported in `refused`. Errors: those of start_listen()
/// if no address is left; in_use if another process has the given port at one of them, because a
/// dial to the name could reach either process.
inline result<listeners> listen_at_each(const std::vector<endpoint>& where, bool insecure) {
  listeners made;
  std::vector<endpoint> seen;
  for (auto& each : where) {
    auto is_same = [&](const endpoint& other) { return to_string(other) == to_string(each); };
    if (std::ranges::any_of(seen, is_same))
      continue; // a name may give one address twice
    seen.push_back(each);
    auto barred = insecure ? refuse_insecure("listen at", each) : problem{};
    auto opened = barred ? result<socket>{barred}
                         : start_listen(each.port() == 0 ? each.with_port(made.port) : each);
    if (opened) {
      made.port = local_endpoint(*opened).port();
      made.sockets.push_back(*std::move(opened));
    } else if (opened.error().code == errc::in_use && each.port() != 0) {
      return opened.error();
    } else {
      made.refused.push_back(opened.error());
    }
  }
  if (made.sockets.empty())
    return made.refused.empty()
             ? problem{errc::bad_argument, "there is no address to listen at; give at least one"}
             : made.refused.front();
  return made;
}

/// Opens a socket for datagrams at each address where `those` listen, all with one port: the same
/// one, or if another process has that and `any_port` will do, a free one. Errors: those of
/// datagram_socket::open().
inline result<std::vector<datagram_socket>> receive_at_each(const listeners& those, bool any_port) {
  auto open = [&](std::optional<std::uint16_t> port) -> result<std::vector<datagram_socket>> {
    std::vector<datagram_socket> made;
    for (auto& each : those.sockets) {
      auto where = local_endpoint(each);
      auto opened = datagram_socket::open(port ? where.with_port(*port) : where);
      if (!opened)
        return opened.error();
      made.push_back(*std::move(opened));
      if (port)
        port = made.back().local().port();
    }
    return made;
  };
  auto made = open(std::nullopt);
  return made || !any_port ? std::move(made) : open(0);
}

} // namespace troupe::net
