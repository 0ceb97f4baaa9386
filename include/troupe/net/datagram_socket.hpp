#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/socket.hpp"

namespace troupe::net {

/// The first of `found` to which a socket of one of these families can send; nothing: none.
inline std::optional<endpoint> choose(const std::vector<int>& families,
                                      const std::vector<endpoint>& found) {
  auto fits = [&](const endpoint& each) {
    return std::ranges::find(families, each.family()) != families.end();
  };
  auto first = std::ranges::find_if(found, fits);
  return first != found.end() ? std::optional{*first} : std::nullopt;
}

/// Why choose() has found none at `where`, the address of a node: that one has IPv6 only, and this
/// one IPv4, or the other way round. Empty: it is another reason.
inline std::string refuse_family(const std::vector<int>& families,
                                 const std::vector<endpoint>& found, const std::string& where) {
  if (families.empty() || found.empty() || choose(families, found))
    return {};
  auto is_old = families.front() == AF_INET;
  return "this node gets datagrams by " + std::string{is_old ? "IPv4" : "IPv6"}
         + " only, and the address of that one, " + where + ", is of " + (is_old ? "IPv6" : "IPv4")
         + "; have both accept links at addresses of one kind (node_options::listen)";
}

/// Sends and receives datagrams (UDP). Never blocks. Not thread-safe.
class datagram_socket {
public:
  /// The largest that is sent, in bytes: no path of today cuts it. Larger ones that come are
  /// dropped.
  static constexpr std::size_t max_size = 1'200;

  enum class outcome : std::uint8_t {
    /// It is on its way, and may still be lost.
    sent,
    /// This machine has no room for it now.
    full,
    /// This machine cannot send there at all: its network is down, or has no way there.
    failed,
  };

  struct arrival {
    endpoint from;
    std::string what;
  };

  /// Errors: in_use (another process has that port), bad_argument (this machine has no such
  /// address, or may not use the port).
  static result<datagram_socket> open(const endpoint& where) {
    datagram_socket made;
    made.socket_ = socket{::socket(where.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (made.socket_ && ::bind(made.socket_.get(), where.data(), where.size()) == 0)
      return made;
    auto error = errno;
    if (error == EADDRINUSE)
      return problem{errc::in_use, "port " + std::to_string(where.port()) + " of "
                                     + to_string(where)
                                     + " is used by another process for datagrams (UDP); stop that "
                                       "one, or choose another port"};
    return problem{errc::bad_argument, "cannot receive datagrams (UDP) at " + to_string(where)
                                         + ": " + system_text(error)};
  }

  /// To be polled for reading.
  [[nodiscard]] int descriptor() const {
    return socket_.get();
  }

  [[nodiscard]] endpoint local() const {
    return local_endpoint(socket_);
  }

  /// @pre what.size() <= max_size
  [[nodiscard]] outcome send(const endpoint& to, std::string_view what) {
    for (auto tries = 0; tries < 2; ++tries) {
      auto count
        = ::sendto(socket_.get(), what.data(), what.size(), MSG_NOSIGNAL, to.data(), to.size());
      if (count >= 0)
        return outcome::sent;
      switch (errno) {
        case EINTR:
        case ECONNREFUSED: // the answer to one that was sent before
          continue;
        case EAGAIN:
        case ENOBUFS:
        case ENOMEM:
          return outcome::full;
        default:
          return outcome::failed;
      }
    }
    return outcome::sent;
  }

  /// Those that receive() drops at once: else who sends too large ones without end would keep the
  /// caller.
  static constexpr int max_dropped = 32;

  /// The next one; nothing: there is none now, or max_dropped were of no use; poll again.
  [[nodiscard]] std::optional<arrival> receive() {
    std::array<char, max_size + 1> buffer; // filled below
    for (auto rest = max_dropped; rest > 0; --rest) {
      sockaddr_storage from{};
      socklen_t size = sizeof(from);
      auto count = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), 0,
                              reinterpret_cast<sockaddr*>(&from), &size);
      if (count < 0) {
        if (errno == EINTR || errno == ECONNREFUSED)
          continue;
        return std::nullopt;
      }
      auto is_of_ours = from.ss_family == AF_INET || from.ss_family == AF_INET6;
      if (!is_of_ours) {
        ++dropped_;
        continue;
      }
      endpoint sender{reinterpret_cast<const sockaddr*>(&from), size};
      if (static_cast<std::size_t>(count) > max_size) {
        ++dropped_;
        dropped_from_ = sender;
        continue;
      }
      return arrival{sender, std::string{buffer.data(), static_cast<std::size_t>(count)}};
    }
    return std::nullopt;
  }

  /// How many receive() has dropped. Those that the kernel has no room for are not among them.
  [[nodiscard]] std::uint64_t dropped() const {
    return dropped_;
  }

  /// From where the last one of these came, as far as it had an address.
  [[nodiscard]] const std::optional<endpoint>& dropped_from() const {
    return dropped_from_;
  }

private:
  datagram_socket() = default;

  socket socket_;
  std::uint64_t dropped_ = 0;
  std::optional<endpoint> dropped_from_;
};

} // namespace troupe::net
