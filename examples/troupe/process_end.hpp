#pragma once

#include <chrono>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "troupe/core/time.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/socket.hpp"

/// How a command sees that the process of a node has let go of its data folder.
namespace cli {

/// Waits until one of these happens to the socket, or until `end`. Returns whether it did.
inline bool await_ready(const troupe::net::socket& what, short events,
                        std::chrono::steady_clock::time_point end) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  pollfd polled{what.get(), events, 0};
  return left.count() > 0 && ::poll(&polled, 1, static_cast<int>(left.count())) > 0;
}

/// Waits until a connection to `where` ends, or is refused. Returns whether it does in time.
inline bool await_hang_up(const troupe::net::endpoint& where,
                          std::chrono::steady_clock::time_point end) {
  auto made = troupe::net::start_connect(where);
  if (!made)
    return true;
  if (!await_ready(*made, POLLOUT, end))
    return false;
  if (troupe::net::connect_error(*made) != 0)
    return true;
  char heard[256];
  while (await_ready(*made, POLLIN, end))
    if (::recv(made->get(), heard, sizeof(heard), 0) <= 0)
      return true;
  return false;
}

/// Waits until the node that listened at these addresses, and has closed its links, has closed its
/// files. It still listens until then, and accepts no connection: so one that is made now ends when
/// the files are closed, whatever machine it is made on. Returns whether it does in time.
inline bool await_process_end(const std::vector<troupe::net::endpoint>& all,
                              troupe::duration wait) {
  auto end = std::chrono::steady_clock::now() + wait;
  // The second one counts if the first was still accepted, as when only the link was lost.
  for (auto round = 0; round < 2; ++round)
    for (auto& each : all)
      if (!await_hang_up(each, end))
        return false;
  return true;
}

} // namespace cli
