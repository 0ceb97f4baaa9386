#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/link_options.hpp"

namespace cli::chaos {

/// From one host to another, in this direction only.
using direction = std::pair<std::string, std::string>;

/// The network between the nodes of a run and their clients, which can be broken. To be used by
/// the thread that has made it; the threads of the clients are to be started by that one, too.
class network {
public:
  virtual ~network() = default;

  /// Where a node lives.
  struct place {
    std::string host;
    troupe::net::address listen;
    /// Where others and clients reach it.
    troupe::net::address front;
  };

  virtual troupe::result<place> add_node() = 0;

  /// The host of all clients.
  [[nodiscard]] virtual std::string client_host() const = 0;

  /// Calls `start()`, so that the processes that it starts live at `host`.
  virtual void at(const std::string& host, const std::function<void()>& start) const = 0;

  /// More words for each node.
  [[nodiscard]] virtual std::vector<std::string> node_words() const = 0;

  /// For the links of clients.
  [[nodiscard]] virtual troupe::net::link_options client_links() const = 0;

  /// Each of these holds until heal(), but for a reset where it happens once.
  [[nodiscard]] virtual troupe::problem cut(const std::vector<direction>& which) = 0;
  [[nodiscard]] virtual troupe::problem slow(const std::vector<direction>& which,
                                             std::uint64_t dice)
    = 0;
  [[nodiscard]] virtual troupe::problem reset(const std::vector<direction>& which) = 0;
  [[nodiscard]] virtual troupe::problem heal() = 0;
};

/// `kind` is proxy or namespaces. Errors: those of testing::namespace_network::make(), with what
/// to do instead.
troupe::result<std::unique_ptr<network>> make_network(const std::string& kind, std::uint64_t seed);

} // namespace cli::chaos
