#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include <sys/socket.h>

namespace troupe::net {

/// The alerts of TLS (RFC 8446, section 6) by which processes with and without certificates tell
/// each other apart: the refused one then knows that another try is of no use.
enum class tls_alert : std::uint8_t {
  protocol_version = 70,
  insufficient_security = 71,
};

/// Returns whether a connection that begins so speaks TLS, to a process without certificates.
inline bool begins_tls(std::string_view bytes) {
  constexpr char handshake = 22;
  return bytes.size() >= 2 && bytes[0] == handshake && bytes[1] == 3;
}

/// Returns whether bytes that begin so are a plain alert, the answer of a process with
/// certificates.
inline bool begins_alert(std::string_view bytes) {
  constexpr char alert = 21;
  return bytes.size() >= 2 && bytes[0] == alert && bytes[1] == 3;
}

/// Answers a peer that cannot be linked by a plain alert; the connection is to be closed then.
/// First reads what the peer has sent: with that unread the system would reset the connection, and
/// the peer might not get the alert. Does not block.
inline void refuse_plain(int descriptor, tls_alert why) {
  constexpr std::size_t pieces = 4; // a stranger that sends more is not worth the time
  std::array<char, 4'096> rest{};
  for (std::size_t count = 0; count < pieces; ++count)
    if (::recv(descriptor, rest.data(), rest.size(), MSG_DONTWAIT) <= 0)
      break;
  const std::array<char, 7> record{21, 3, 3, 0, 2, 2, static_cast<char>(why)}; // 2: fatal
  static_cast<void>(::send(descriptor, record.data(), record.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

} // namespace troupe::net
