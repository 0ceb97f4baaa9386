#include "chaos/network.hpp"

#include <chrono>
#include <cstddef>

#include <unistd.h>

#include "troupe/core/random.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/testing/namespace_network.hpp"
#include "troupe/testing/proxy.hpp"

namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

/// Node number k, from 0, listens at 127.0.0.(k+2) and dials from there; clients dial from
/// 127.0.0.1. All of them reach a node through its proxy.
class proxy_network final : public network {
public:
  /// Runs with neighbouring seeds that start at the same time try different ports.
  explicit proxy_network(std::uint64_t seed)
    : proxy_(seed), random_(random_source{seed}.next() ^ static_cast<std::uint64_t>(::getpid())) {}

  result<place> add_node() override {
    auto host = "127.0.0." + std::to_string(++nodes_ + 1);
    auto port = free_port(host);
    if (!port)
      return port.error();
    net::address listen{host, *port};
    auto front = proxy_.open(host, listen);
    if (!front)
      return front.error();
    return place{host, listen, *front};
  }

  [[nodiscard]] std::string client_host() const override {
    return "127.0.0.1";
  }

  void at(const std::string&, const std::function<void()>& start) const override {
    start();
  }

  problem cut(const std::vector<direction>& which) override {
    for (auto& [from, to] : which)
      proxy_.set_path(from, to, {.cut = true});
    return {};
  }

  problem slow(const std::vector<direction>& which, std::uint64_t dice) override {
    for (auto& [from, to] : which)
      proxy_.set_path(from, to,
                      {.delay = 10ms + 1ms * static_cast<int>(dice % 50),
                       .jitter = 50ms,
                       .bytes_per_second = 200'000});
    return {};
  }

  problem reset(const std::vector<direction>& which) override {
    for (auto& [from, to] : which)
      proxy_.reset(from, to);
    return {};
  }

  problem heal() override {
    proxy_.heal();
    return {};
  }

private:
  /// A free port of `host`, for connections and datagrams. It is below the ephemeral ports: an
  /// outgoing connection could take one of those while its node is down.
  result<std::uint16_t> free_port(const std::string& host) {
    problem last;
    for (auto count = 0; count < 100; ++count) {
      auto port = static_cast<std::uint16_t>(20'000 + random_.below(12'000));
      auto where = net::resolve({host, port});
      if (!where)
        return where.error();
      auto made = net::start_listen(where->front());
      auto datagrams = net::datagram_socket::open(where->front());
      if (made && datagrams)
        return port;
      last = made ? datagrams.error() : made.error();
    }
    return last;
  }

  testing::proxy proxy_;
  random_source random_;
  std::size_t nodes_ = 0;
};

/// Each node has a network namespace, and so have the clients.
class namespaces final : public network {
public:
  explicit namespaces(std::unique_ptr<testing::namespace_network> made) : made_(std::move(made)) {}

  result<place> add_node() override {
    auto host = made_->add_host();
    if (!host)
      return host.error();
    net::address where{*host, 6767};
    return place{*host, where, where};
  }

  [[nodiscard]] std::string client_host() const override {
    return made_->here();
  }

  void at(const std::string& host, const std::function<void()>& start) const override {
    made_->at(host, start);
  }

  problem cut(const std::vector<direction>& which) override {
    return made_->set_path(which, {.cut = true}).error_or();
  }

  problem slow(const std::vector<direction>& which, std::uint64_t dice) override {
    return made_
      ->set_path(which, {.lost_percent = static_cast<std::uint32_t>(5 + dice % 16),
                         .bytes_per_second = 200'000})
      .error_or();
  }

  problem reset(const std::vector<direction>& which) override {
    return made_->set_path(which, {.resets = true}).error_or();
  }

  problem heal() override {
    return made_->heal().error_or();
  }

private:
  std::unique_ptr<testing::namespace_network> made_;
};

} // namespace

result<std::unique_ptr<network>> make_network(const std::string& kind, std::uint64_t seed) {
  if (kind != "namespaces")
    return std::unique_ptr<network>{std::make_unique<proxy_network>(seed)};
  auto made = testing::namespace_network::make();
  if (!made)
    return problem{made.error().code, made.error().detail
                                        + "; or give --network proxy, which needs neither rights "
                                          "nor programs"};
  return std::unique_ptr<network>{std::make_unique<namespaces>(*std::move(made))};
}

} // namespace cli::chaos
