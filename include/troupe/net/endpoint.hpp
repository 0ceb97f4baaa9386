#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "troupe/core/result.hpp"
#include "troupe/net/address.hpp"

namespace troupe::net {

/// An address in the kernel's form: IPv4 or IPv6, numbers only.
class endpoint {
public:
  endpoint() = default;

  /// @pre `size` bytes at `from` are a sockaddr of AF_INET or AF_INET6.
  endpoint(const sockaddr* from, socklen_t size) : size_(size) {
    std::memcpy(&storage_, from, size);
  }

  [[nodiscard]] const sockaddr* data() const {
    return reinterpret_cast<const sockaddr*>(&storage_);
  }

  [[nodiscard]] socklen_t size() const {
    return size_;
  }

  [[nodiscard]] int family() const {
    return storage_.ss_family;
  }

  [[nodiscard]] std::uint16_t port() const {
    return ntohs(family() == AF_INET6 ? as<sockaddr_in6>().sin6_port : as<sockaddr_in>().sin_port);
  }

  /// Returns the same host with another port.
  [[nodiscard]] endpoint with_port(std::uint16_t port) const {
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    auto result = *this;
    auto in_network_order = htons(port);
    std::memcpy(reinterpret_cast<char*>(&result.storage_) + offsetof(sockaddr_in, sin_port),
                &in_network_order, sizeof(in_network_order));
    return result;
  }

  /// Returns whether bytes sent there never leave this machine.
  [[nodiscard]] bool is_loopback() const {
    if (family() == AF_INET)
      return (ntohl(as<sockaddr_in>().sin_addr.s_addr) >> 24U) == IN_LOOPBACKNET;
    auto there = as<sockaddr_in6>().sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(&there)
           || (IN6_IS_ADDR_V4MAPPED(&there) && there.s6_addr[12] == IN_LOOPBACKNET);
  }

  /// The part of the address that its owner cannot choose at will: "192.0.2.1", or for IPv6 the
  /// first 64 bits, "2001:db8:0:1::". Source: RFC 4291, section 2.5.1.
  [[nodiscard]] std::string network() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (family() == AF_INET) {
      auto number = as<sockaddr_in>().sin_addr;
      ::inet_ntop(AF_INET, &number, text.data(), text.size());
      return text.data();
    }
    auto number = as<sockaddr_in6>().sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&number)) {
      ::inet_ntop(AF_INET, &number.s6_addr[12], text.data(), text.size());
      return text.data();
    }
    constexpr auto network_bytes = 8;
    std::fill(std::begin(number.s6_addr) + network_bytes, std::end(number.s6_addr),
              std::uint8_t{0});
    ::inet_ntop(AF_INET6, &number, text.data(), text.size());
    return text.data();
  }

private:
  template <class T>
  [[nodiscard]] T as() const {
    T result;
    std::memcpy(&result, &storage_, sizeof(result));
    return result;
  }

  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

/// Returns `where` in numbers, as in "127.0.0.1:6767" or "[::1]:6767".
inline std::string to_string(const endpoint& where) {
  std::array<char, NI_MAXHOST> host{};
  if (::getnameinfo(where.data(), where.size(), host.data(), host.size(), nullptr, 0,
                    NI_NUMERICHOST)
      != 0)
    return "an unknown address";
  return to_string(address{host.data(), where.port()});
}

namespace detail {

inline result<std::vector<endpoint>> look_up(const address& where, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  auto failed
    = ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
  if (failed != 0)
    return problem{errc::unreachable, "host '" + where.host + "' was not found ("
                                        + ::gai_strerror(failed)
                                        + "); check its spelling, or give its IP address"};
  std::vector<endpoint> result;
  for (auto* each = found; each != nullptr; each = each->ai_next)
    if (each->ai_family == AF_INET || each->ai_family == AF_INET6)
      result.emplace_back(each->ai_addr, each->ai_addrlen);
  ::freeaddrinfo(found);
  if (result.empty())
    return problem{errc::unreachable, "host '" + where.host + "' has no IP address"};
  return result;
}

} // namespace detail

/// Returns all endpoints of `where`, in the order in which to try them.
///
/// For a name it blocks as long as the resolver of the system takes (often 5 s per name server):
/// never call it from an actor or the gate's thread, see resolver. Errors: unreachable (no such
/// name, or no answer).
inline result<std::vector<endpoint>> resolve(const address& where) {
  return detail::look_up(where, 0);
}

/// The same if the host is a number; nothing if it is a name. Does not block.
inline std::optional<std::vector<endpoint>> resolve_number(const address& where) {
  auto found = detail::look_up(where, AI_NUMERICHOST);
  return found ? std::optional{*std::move(found)} : std::nullopt;
}

} // namespace troupe::net
