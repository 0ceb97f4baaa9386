#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "troupe/node/node.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/testing/comes_true.hpp"

namespace troupe::testing {

/// A cluster of nodes in one process, each with an actor system of its own, linked over
/// loopback as real ones are; the first node runs the services.
///
///     testing::cluster c{3};
///     c[1].agent("echo", [](const std::string& text) { return text; }).value();
///     c.until([&] { return c[2].request<std::string>(to_agent("echo"), 1s, "hello"s); });
///
/// For faults of whole processes use child_process.
class cluster {
public:
  using change = std::function<void(std::size_t index, node_options&)>;

  /// Starts `count` nodes at free ports and waits until all have joined. `how` may change
  /// the options of each. Throws std::runtime_error with the reason if that fails.
  explicit cluster(std::size_t count, const change& how = {}) : options_(count), nodes_(count) {
    for (std::size_t index = 0; index < count; ++index) {
      auto& each = options_[index];
      each.name = "n" + std::to_string(index);
      each.listen = {"127.0.0.1", 0};
      each.wait_joined = patience;
      if (how)
        how(index, each);
      if (index > 0)
        each.join = {{options_[0].listen.host, nodes_[0]->port()}};
      start(index);
    }
    if (!until([this] { return all_are_known(); }))
      throw std::runtime_error{"the nodes did not all join in time"};
  }

  /// @pre The node runs.
  [[nodiscard]] node& operator[](std::size_t index) {
    return *nodes_.at(index);
  }

  [[nodiscard]] std::size_t size() const {
    return nodes_.size();
  }

  /// Stops one node, as SIGTERM does.
  void stop(std::size_t index) {
    nodes_.at(index).reset();
  }

  /// Starts a node that was stopped, with the same options and at the same port.
  void start(std::size_t index) {
    nodes_.at(index) = node::start(options_.at(index)).value();
    options_[index].listen.port = nodes_[index]->port();
  }

  /// Waits until `condition()` holds, which it checks again and again. Returns whether it held
  /// within `wait`.
  template <class Condition>
  bool until(Condition condition, duration wait = patience) {
    return comes_true(std::move(condition), wait);
  }

  /// Enough for all that a healthy cluster does at once; long, because test machines are slow.
  static constexpr duration patience = testing::patience;

private:
  bool all_are_known() {
    auto found = nodes_[0]->registry().service().ask(registry::count_records{}, patience);
    return found && found->nodes.active == nodes_.size();
  }

  std::vector<node_options> options_;
  std::vector<std::optional<node>> nodes_;
};

} // namespace troupe::testing
