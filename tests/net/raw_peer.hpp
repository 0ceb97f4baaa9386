#pragma once

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

#include "troupe/net/basp_filter.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/socket.hpp"

namespace troupe::test {

/// A connection that says whatever a test likes.
class raw_peer {
public:
  explicit raw_peer(net::socket from) : socket_(std::move(from)) {}

  /// Connects; every wait of a peer has a deadline.
  static raw_peer connect(const net::endpoint& where) {
    net::socket made{::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
    REQUIRE(made);
    REQUIRE(::connect(made.get(), where.data(), where.size()) == 0);
    return raw_peer{std::move(made)};
  }

  /// Returns false if the other side is gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0)
        return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  /// Returns `size` bytes, fewer if the other side is gone or the deadline has passed.
  std::string receive(std::size_t size,
                      std::chrono::milliseconds limit = std::chrono::seconds{10}) {
    std::string result;
    auto deadline = std::chrono::steady_clock::now() + limit;
    while (result.size() < size) {
      auto left
        = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd asked{socket_.get(), POLLIN, 0};
      if (left.count() <= 0 || ::poll(&asked, 1, static_cast<int>(left.count())) != 1)
        break;
      std::array<char, 4096> piece{};
      auto count
        = ::recv(socket_.get(), piece.data(), std::min(piece.size(), size - result.size()), 0);
      if (count <= 0) {
        is_gone_ = true;
        break;
      }
      result.append(piece.data(), static_cast<std::size_t>(count));
    }
    return result;
  }

  /// Reads whatever comes; returns whether the other side closes before the deadline.
  bool closes_within(std::chrono::milliseconds limit) {
    auto deadline = std::chrono::steady_clock::now() + limit;
    while (!is_gone_ && std::chrono::steady_clock::now() < deadline)
      receive(1, std::chrono::ceil<std::chrono::milliseconds>(deadline
                                                              - std::chrono::steady_clock::now()));
    return is_gone_;
  }

  // -- greeting ------------------------------------------------------------------

  std::optional<net::greeting> hear() {
    auto size = net::body_bytes(receive(net::greeting_head_bytes));
    return size ? net::from_wire(receive(*size)) : std::nullopt;
  }

  /// Says hello and hears the answer.
  net::verdict greet(const net::hello& self) {
    REQUIRE(send(net::to_wire(self)));
    auto said = hear();
    if (!said || !std::holds_alternative<net::answer>(*said))
      return net::verdict::closed;
    host_ = std::get<net::answer>(*said).from;
    return std::get<net::answer>(*said).said;
  }

  /// The node that answered.
  [[nodiscard]] const net::hello& host() const {
    return host_;
  }

  /// Greets and goes through BASP's handshake, as an honest node does.
  static raw_peer linked(const net::endpoint& where, net::hello self) {
    auto result = connect(where);
    REQUIRE(result.greet(self) == net::verdict::go);
    REQUIRE(result.send(net::to_wire(net::commit{})));
    REQUIRE(result.shake_hands(self.basp_node));
    return result;
  }

  /// Answers BASP's handshake with its own, with another node id in it.
  bool shake_hands(const std::string& basp_node) {
    auto header = receive(net::basp_header::wire_bytes);
    if (header.size() != net::basp_header::wire_bytes)
      return false;
    auto seen = net::basp_header::from_bytes(std::as_bytes(std::span{header}));
    auto payload = receive(seen.payload_bytes);
    return payload.size() == seen.payload_bytes
           && send(header + basp_node + payload.substr(host_.basp_node.size()));
  }

  [[nodiscard]] int descriptor() const {
    return socket_.get();
  }

private:
  net::socket socket_;
  net::hello host_;
  bool is_gone_ = false;
};

/// Returns a BASP header as it goes over the wire.
inline std::string basp_bytes(net::basp_header header, std::uint64_t data = 0) {
  std::string result;
  auto put = [&](std::uint64_t value, int size) {
    for (auto byte = size - 1; byte >= 0; --byte)
      result += static_cast<char>((value >> (8 * byte)) & 0xffU);
  };
  put(static_cast<std::uint8_t>(header.what), 1);
  put(0, 2);
  put(header.flags, 1);
  put(header.payload_bytes, 4);
  put(data, 8);
  put(header.source, 8);
  put(header.destination, 8);
  return result;
}

/// Listens and gives the first connection to `serve`, in a thread of its own.
class raw_server {
public:
  explicit raw_server(std::function<void(raw_peer&)> serve) {
    auto made = net::start_listen(net::resolve({"127.0.0.1", 0})->front());
    REQUIRE(made);
    listener_ = std::move(*made);
    thread_ = std::thread{[this, serve = std::move(serve)] {
      pollfd asked{listener_.get(), POLLIN, 0};
      if (::poll(&asked, 1, 20'000) != 1)
        return;
      raw_peer peer{net::socket{::accept(listener_.get(), nullptr, nullptr)}};
      serve(peer);
    }};
  }

  ~raw_server() {
    thread_.join();
  }

  [[nodiscard]] net::endpoint where() const {
    return net::local_endpoint(listener_);
  }

private:
  net::socket listener_;
  std::thread thread_;
};

} // namespace troupe::test
