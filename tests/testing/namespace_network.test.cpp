#include "troupe/testing/namespace_network.hpp" // the header under test

#include "support/network_links.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/socket.hpp"

#include <catch2/catch_test_macros.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

using namespace std::literals;
using namespace troupe;

namespace {

constexpr std::uint16_t far_port = 4711;

bool is_ready(const net::socket& which, short what, std::chrono::milliseconds wait) {
  pollfd polled{which.get(), what, 0};
  return ::poll(&polled, 1, static_cast<int>(wait.count())) == 1;
}

void say(const net::socket& to, std::string_view text) {
  auto count = ::send(to.get(), text.data(), text.size(), MSG_NOSIGNAL);
  REQUIRE(count == static_cast<ssize_t>(text.size()));
}

/// What arrives within `wait`; empty if nothing does.
std::string hear(const net::socket& from, std::chrono::milliseconds wait) {
  std::array<char, 4'096> bytes{};
  if (!is_ready(from, POLLIN, wait))
    return {};
  auto count = ::recv(from.get(), bytes.data(), bytes.size(), 0);
  return {bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

/// Two hosts with a connection from the one of the test to the other.
struct connected_hosts {
  connected_hosts() {
    if (auto why = testing::namespace_network::missing())
      SKIP(why.detail);
    auto made = testing::namespace_network::make();
    REQUIRE((made ? ""s : made.error().detail) == "");
    network = *std::move(made);
    auto host = network->add_host();
    REQUIRE((host ? ""s : host.error().detail) == "");
    far_host = *host;
    network->at(far_host, [&] {
      auto started = net::start_listen(net::resolve({far_host, far_port})->front());
      REQUIRE(started);
      listener = std::move(*started);
    });
    near = call();
    REQUIRE(is_ready(listener, POLLIN, 10s));
    far = net::socket{::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    REQUIRE(far);
    REQUIRE(is_ready(near, POLLOUT, 10s));
  }

  [[nodiscard]] net::socket call() const {
    auto started = net::start_connect(net::resolve({far_host, far_port})->front());
    REQUIRE(started);
    return std::move(*started);
  }

  [[nodiscard]] std::string there() const {
    return far_host;
  }

  std::unique_ptr<testing::namespace_network> network;
  std::string far_host;
  net::socket listener;
  net::socket near;
  net::socket far;
};

} // namespace

TEST_CASE("hosts in namespaces hear each other", "[testing][namespaces]") {
  connected_hosts c;
  say(c.near, "ping");
  CHECK(hear(c.far, 10s) == "ping");
  say(c.far, "pong");
  CHECK(hear(c.near, 10s) == "pong");
}

TEST_CASE("what is lost on a cut path arrives when it is repeated on a healed one",
          "[testing][namespaces]") {
  connected_hosts c;
  REQUIRE(c.network->set_path({{c.network->here(), c.there()}}, {.cut = true}));
  say(c.near, "ping");
  CHECK(hear(c.far, 300ms).empty());
  REQUIRE(c.network->heal());
  CHECK(hear(c.far, 10s) == "ping");
}

TEST_CASE("a path that is cut one way only carries what the other side says",
          "[testing][namespaces]") {
  connected_hosts c;
  REQUIRE(c.network->set_path({{c.network->here(), c.there()}}, {.cut = true}));
  say(c.far, "pong");
  CHECK(hear(c.near, 10s) == "pong");
  say(c.near, "ping");
  CHECK(hear(c.far, 300ms).empty());
}

TEST_CASE("who is cut off does not hear that the other side is gone", "[testing][namespaces]") {
  connected_hosts c;
  REQUIRE(c.network->set_path({{c.network->here(), c.there()}, {c.there(), c.network->here()}},
                              {.cut = true}));
  c.far = {};
  say(c.near, "ping");
  CHECK_FALSE(is_ready(c.near, POLLIN | POLLHUP, 300ms));
  auto late = c.call(); // hangs, where a proxy would take it
  CHECK_FALSE(is_ready(late, POLLOUT, 300ms));
  REQUIRE(c.network->heal());
  CHECK(is_ready(late, POLLOUT, 10s));
  CHECK(is_ready(c.near, POLLIN | POLLHUP, 10s));
}

TEST_CASE("a path that resets breaks connections and refuses new ones", "[testing][namespaces]") {
  connected_hosts c;
  REQUIRE(c.network->set_path({{c.network->here(), c.there()}}, {.resets = true}));
  say(c.near, "ping");
  REQUIRE(is_ready(c.near, POLLIN, 10s));
  CHECK(net::connect_error(c.near) == ECONNRESET);
  auto late = c.call();
  REQUIRE(is_ready(late, POLLOUT, 10s));
  CHECK(net::connect_error(late) == ECONNREFUSED);
}

TEST_CASE("bytes get through a narrow path that loses packets, late and unharmed",
          "[testing][namespaces]") {
  connected_hosts c;
  auto begin = std::chrono::steady_clock::now();
  REQUIRE(c.network->set_path({{c.network->here(), c.there()}},
                              {.lost_percent = 3, .bytes_per_second = 50'000}));
  std::string sent;
  for (auto number = 0; sent.size() < 100'000; ++number)
    sent += std::to_string(number) + ' ';
  std::string heard;
  std::string_view rest{sent};
  while (heard.size() < sent.size()) {
    if (!rest.empty()) {
      auto count = ::send(c.near.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count > 0)
        rest.remove_prefix(static_cast<std::size_t>(count));
    }
    auto more = hear(c.far, 10s);
    REQUIRE_FALSE(more.empty());
    heard += more;
  }
  CHECK(heard == sent);
  CHECK(std::chrono::steady_clock::now() - begin > 300ms);
  tcp_info info{};
  socklen_t size = sizeof(info);
  REQUIRE(::getsockopt(c.near.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
  CHECK(info.tcpi_total_retrans > 0);
}

TEST_CASE("a network of namespaces knows no paths to hosts that it lacks",
          "[testing][namespaces]") {
  connected_hosts c;
  CHECK(c.network->set_path({{c.there(), "198.18.9.2"}}, {.cut = true}).error().code
        == errc::bad_argument);
  CHECK(c.network->set_path({{"localhost", c.there()}}, {}).error().code == errc::bad_argument);
}

TEST_CASE("a network of namespaces has no name outside, and nothing of it is left at its end",
          "[testing][namespaces]") {
  auto before = test::network_links();
  {
    connected_hosts c;
    CHECK(test::network_links() == std::set{"lo"s, "eth0"s});
  }
  CHECK(test::network_links() == before);
}
