#pragma once

#include <algorithm>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "troupe/core/fields.hpp"
#include "troupe/core/result.hpp"

namespace troupe::net {

/// The longest host name that DNS knows.
inline constexpr std::size_t max_host_bytes = 253;

/// The address of a process, as people write it: a name or a number, and a port. Does not say which
/// node is there.
struct address {
  /// A DNS name, an IPv4 or an IPv6 address (without brackets).
  std::string host;
  /// Zero: any free port, for listening.
  std::uint16_t port = 0;

  /// Reads "HOST:PORT", IPv6 as in "[::1]:6767". Returns bad_argument with the part
  /// that is wrong.
  static result<address> from_string(std::string_view text);

  friend auto operator<=>(const address&, const address&) = default;

  TROUPE_FIELDS(address, host, port);
};

/// Returns "HOST:PORT", with brackets where from_string() wants them.
inline std::string to_string(const address& where) {
  auto bare = where.host.find(':') == std::string::npos;
  return (bare ? where.host : "[" + where.host + "]") + ":" + std::to_string(where.port);
}

inline result<address> address::from_string(std::string_view text) {
  auto wrong = [&](const std::string& what) {
    return problem{errc::bad_argument, "'" + std::string{text.substr(0, max_host_bytes + 16)} + "' "
                                         + what
                                         + "; give HOST:PORT, as in 127.0.0.1:6767 or [::1]:6767"};
  };
  if (text.find("://") != std::string_view::npos)
    return wrong("is a URL");
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']'))
    return wrong("has no port");
  auto host = text.substr(0, colon);
  auto digits = text.substr(colon + 1);
  std::uint32_t port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port > 65'535)
    return wrong("has a port that is not a number from 0 to 65535");
  auto bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed)
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return wrong("has an IPv6 address without brackets");
  if (host.empty())
    return wrong("has no host");
  if (host.size() > max_host_bytes)
    return wrong("has a host of more than " + std::to_string(max_host_bytes) + " bytes");
  auto fits = [&](char each) {
    return (each >= '0' && each <= '9') || (each >= 'a' && each <= 'z')
           || (each >= 'A' && each <= 'Z')
           || std::string_view{bracketed ? ":.%" : "-._"}.find(each) != std::string_view::npos;
  };
  if (!std::ranges::all_of(host, fits))
    return wrong("has a host with characters that are invalid in a host name");
  return address{std::string{host}, static_cast<std::uint16_t>(port)};
}

} // namespace troupe::net
