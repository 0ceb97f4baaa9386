#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "troupe/node/cluster_client.hpp"
#include "troupe/node/node.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/testing/comes_true.hpp"
#include "troupe/testing/throwaway_ca.hpp"

namespace troupe::testing {

/// A cluster of nodes in one process, each with an actor system of its own and a certificate of a
/// throwaway_ca, linked over loopback as real ones are; the first node runs the services.
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
      certify(each);
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

  /// The CA of the cluster, for more nodes and clients.
  [[nodiscard]] throwaway_ca& ca() {
    return ca_;
  }

  /// Gives a node that is to join a certificate of this cluster, unless it has one, or its links
  /// are insecure.
  void certify(node_options& how) {
    if (how.links.insecure || !how.identity.empty() || security::has_certificates(how.data))
      return;
    if (how.data.empty())
      how.identity = ca_.make_identity(how.name);
    else
      ca_.issue(how.data, how.name);
  }

  /// The folder with the certificate of a client that may do all that clients may, for
  /// cluster_client.
  [[nodiscard]] const std::filesystem::path& client_identity() {
    if (client_identity_.empty())
      client_identity_ = ca_.make_identity("client", security::role::client);
    return client_identity_;
  }

  /// Connects such a client to one of the nodes. @pre The node runs.
  [[nodiscard]] result<std::unique_ptr<cluster_client>> connect(std::size_t index,
                                                                duration wait = patience) {
    return cluster_client::connect({{"127.0.0.1", nodes_.at(index)->port()}}, wait, {},
                                   client_identity());
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
    return std::ranges::all_of(nodes_, [this](std::optional<node>& each) {
      auto found = each->registry().count();
      return found && found->nodes.active == nodes_.size();
    });
  }

  throwaway_ca ca_;
  std::filesystem::path client_identity_;
  std::vector<node_options> options_;
  std::vector<std::optional<node>> nodes_;
};

} // namespace troupe::testing
