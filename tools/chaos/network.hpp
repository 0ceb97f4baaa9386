#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/net/address.hpp"

namespace cli::chaos {

/// The path from one host to another, in this direction only.
using direction = std::pair<std::string, std::string>;

/// The network between the nodes of a run and their clients, with faults. To be used by the thread
/// that has made it, which also has to start the threads of the clients.
class network {
public:
  virtual ~network() = default;

  /// The addresses of a node.
  struct place {
    std::string host;
    troupe::net::address listen;
    /// Where others and clients reach it.
    troupe::net::address front;
  };

  virtual troupe::result<place> add_node() = 0;

  /// The host of all clients.
  [[nodiscard]] virtual std::string client_host() const = 0;

  /// Calls `start()`; the processes that it starts run on `host`.
  virtual void at(const std::string& host, const std::function<void()>& start) const = 0;

  /// Each of these lasts until heal(), except a reset that happens once.
  [[nodiscard]] virtual troupe::problem cut(const std::vector<direction>& which) = 0;
  [[nodiscard]] virtual troupe::problem slow(const std::vector<direction>& which,
                                             std::uint64_t dice)
    = 0;
  [[nodiscard]] virtual troupe::problem reset(const std::vector<direction>& which) = 0;
  [[nodiscard]] virtual troupe::problem heal() = 0;
};

/// `kind` is proxy or namespaces. Errors: those of testing::namespace_network::make(), with an
/// alternative.
troupe::result<std::unique_ptr<network>> make_network(const std::string& kind, std::uint64_t seed);

} // namespace cli::chaos
