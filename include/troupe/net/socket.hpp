#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "troupe/core/result.hpp"
#include "troupe/net/endpoint.hpp"

namespace troupe::net {

/// Owns one descriptor.
class socket {
public:
  socket() = default;

  explicit socket(int descriptor) : descriptor_(descriptor) {}

  socket(socket&& other) noexcept : descriptor_(other.release()) {}

  socket& operator=(socket&& other) noexcept {
    socket old{std::exchange(descriptor_, other.release())};
    return *this;
  }

  ~socket() {
    if (descriptor_ >= 0)
      ::close(descriptor_);
  }

  /// Returns the descriptor, negative if there is none.
  [[nodiscard]] int get() const {
    return descriptor_;
  }

  explicit operator bool() const {
    return descriptor_ >= 0;
  }

  /// Hands the descriptor over to the caller.
  int release() {
    return std::exchange(descriptor_, -1);
  }

private:
  int descriptor_ = -1;
};

/// Returns the system's text for `error`, an errno.
inline std::string system_text(int error) {
  return std::generic_category().message(error);
}

/// Starts to connect and returns at once; the socket becomes writable when the connect has
/// succeeded or failed. The other side sees `source` as the address of this host, if given.
/// @pre `source` is of the family of `where`.
inline result<socket> start_connect(const endpoint& where,
                                    const std::optional<endpoint>& source = std::nullopt) {
  socket made{::socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (made && source) {
    auto on = 1; // connect() chooses the port, so that connections can share one
    ::setsockopt(made.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    auto from = source->with_port(0);
    if (::bind(made.get(), from.data(), from.size()) != 0)
      return problem{errc::unreachable,
                     "cannot connect from " + to_string(from) + ": " + system_text(errno)};
  }
  if (!made || (::connect(made.get(), where.data(), where.size()) != 0 && errno != EINPROGRESS))
    return problem{errc::unreachable, system_text(errno)};
  return made;
}

/// Returns the errno of a finished connect, zero on success.
inline int connect_error(const socket& made) {
  auto error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(made.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

/// Sends small messages at once (Nagle's algorithm would delay them until an ack).
inline void send_at_once(const socket& made) {
  auto on = 1;
  ::setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/// Listens at `where`. Errors: in_use (another process does), bad_argument (this machine has no
/// such address or may not use the port).
inline result<socket> start_listen(const endpoint& where) {
  auto wrong = [&] {
    auto error = errno;
    if (error == EADDRINUSE)
      return problem{errc::in_use, "port " + std::to_string(where.port()) + " of "
                                     + to_string(where)
                                     + " is used by another process; stop that one, or choose "
                                       "another port (0 takes any free one)"};
    return problem{errc::bad_argument,
                   "cannot listen at " + to_string(where) + ": " + system_text(error)
                     + "; give an address of this machine, and a port that this process may use"};
  };
  socket made{::socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!made)
    return wrong();
  auto on = 1; // a restart need not wait for connections of the last life
  ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(made.get(), where.data(), where.size()) != 0 || ::listen(made.get(), SOMAXCONN) != 0)
    return wrong();
  return made;
}

/// Returns another descriptor of the same socket, none if the process has no more. A socket that
/// listens does so until its last descriptor is closed.
inline socket duplicate(const socket& of) {
  return socket{::fcntl(of.get(), F_DUPFD_CLOEXEC, 0)};
}

/// Returns the endpoint that `made` is bound to, with the port that the system chose for "any free
/// one".
inline endpoint local_endpoint(const socket& made) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  ::getsockname(made.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  return {reinterpret_cast<const sockaddr*>(&bound), size};
}

} // namespace troupe::net
