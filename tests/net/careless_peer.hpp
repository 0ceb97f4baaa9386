#pragma once

#include "net/raw_peer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "caf/actor_system.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"
#include "caf/message.hpp"
#include "troupe/net/basp_filter.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/security/credentials.hpp"

namespace troupe::test {

using context_ptr = security::credentials::context_ptr;

/// For a peer that shows no certificate.
inline context_ptr without_certificate() {
  return {::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free};
}

/// What a node says to a process that it links.
struct welcome {
  net::hello host;
  std::string header;  ///< of its handshake of BASP
  std::string payload; ///< of that

  /// The handshake with which that process answers.
  [[nodiscard]] std::string answer_of(const net::hello& self) const {
    return header + self.basp_node + payload.substr(host.basp_node.size());
  }

  /// A message for the entry point of the node, as the process with the hello `self` sends it.
  [[nodiscard]] std::string message(caf::actor_system& sys, const net::hello& self,
                                    const caf::message& what) const {
    caf::byte_buffer bytes;
    caf::binary_serializer sink{sys, bytes};
    REQUIRE(sink.apply(std::vector<caf::strong_actor_ptr>{}));
    REQUIRE(sink.apply(what));
    return basp_bytes({net::basp_header::operation::direct_message, 0,
                       static_cast<std::uint32_t>(bytes.size()), self.entry_point,
                       host.entry_point})
           + std::string{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

/// A connection of a peer that takes any certificate, and shows what it likes; over plain TCP
/// without a `context`. Its waits have a deadline of 10 s.
class careless_peer {
public:
  careless_peer(const net::endpoint& where, context_ptr context)
    : wire_(raw_peer::connect(where)), context_(std::move(context)) {
    timeval wait{10, 0};
    ::setsockopt(wire_.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (!context_)
      return;
    tls_.reset(::SSL_new(context_.get()));
    ::SSL_set_verify(tls_.get(), SSL_VERIFY_NONE, nullptr);
    ::SSL_set_fd(tls_.get(), wire_.descriptor());
    ::SSL_connect(tls_.get()); // it may have been refused; what it sends then tells
  }

  void say(const std::string& bytes) {
    if (tls_)
      ::SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
    else
      wire_.send(bytes);
  }

  /// Returns fewer bytes where the other side refuses to say more.
  std::string hear(std::size_t size) {
    if (!tls_)
      return wire_.receive(size);
    std::string heard(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      auto count = ::SSL_read(tls_.get(), heard.data() + done, static_cast<int>(size - done));
      if (count <= 0)
        break;
      done += static_cast<std::size_t>(count);
    }
    return heard.substr(0, done);
  }

  bool closes() {
    return wire_.closes_within(std::chrono::seconds{20});
  }

  /// Does all that a node of the cluster does until it has a link, but for its own handshake of
  /// BASP. Returns nothing if the other side does not go on.
  std::optional<welcome> greet(const net::hello& self) {
    say(net::to_wire(self));
    auto size = net::body_bytes(hear(net::greeting_head_bytes));
    auto said = size ? net::from_wire(hear(*size)) : std::nullopt;
    auto* answer = said ? std::get_if<net::answer>(&*said) : nullptr;
    if (answer == nullptr || answer->said != net::verdict::go)
      return std::nullopt;
    say(net::to_wire(net::commit{}));
    welcome result{answer->from, hear(net::basp_header::wire_bytes), {}};
    if (result.header.size() != net::basp_header::wire_bytes)
      return std::nullopt;
    auto seen = net::basp_header::from_bytes(std::as_bytes(std::span{result.header}));
    result.payload = hear(seen.payload_bytes);
    if (result.payload.size() <= answer->from.basp_node.size())
      return std::nullopt;
    return result;
  }

private:
  raw_peer wire_;
  context_ptr context_;
  std::unique_ptr<SSL, decltype(&::SSL_free)> tls_{nullptr, &::SSL_free};
};

/// What a linked peer says until its message has arrived.
struct speech {
  net::hello self;
  std::string handshake; ///< of BASP
  std::string message;

  /// All at once, before the other side has said anything.
  [[nodiscard]] std::string whole() const {
    return net::to_wire(self) + net::to_wire(net::commit{}) + handshake + message;
  }

  /// In turns, as far as the other side goes.
  void say_to(careless_peer& peer) const {
    peer.say(net::to_wire(self));
    auto size = net::body_bytes(peer.hear(net::greeting_head_bytes));
    if (!size)
      return;
    peer.hear(*size);
    peer.say(net::to_wire(net::commit{}) + handshake + message);
  }
};

} // namespace troupe::test
