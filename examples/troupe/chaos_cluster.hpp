#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "chaos_faults.hpp"
#include "node_process.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/testing/proxy.hpp"

namespace cli::chaos {

/// The nodes of a run: processes behind a network that can be broken. Node number k, from 0,
/// listens at 127.0.0.(k+2) and calls from there; clients call from 127.0.0.1. All of them reach
/// it at its front. To be used by one thread, with which the nodes die.
class chaos_cluster {
public:
  struct options {
    std::string self;
    std::filesystem::path folder;
    std::size_t nodes = 3;
    std::uint64_t seed = 0;
    /// Of the group: wan or lan.
    std::string timers = "wan";
    /// Where the nodes write down what their replicas do, n1.jsonl and so on; empty: nowhere.
    std::filesystem::path raft_log{};
    /// More words for each node.
    std::vector<std::string> words{};
    std::function<bool()> is_interrupted{};
  };

  explicit chaos_cluster(options how);

  /// Starts all nodes and waits until they are one cluster, and all of them vote.
  [[nodiscard]] troupe::problem start();

  /// Where clients reach the nodes, the one number `first` before the others.
  [[nodiscard]] std::vector<troupe::net::address> fronts(std::size_t first = 0) const;

  /// The number of the node that leads, as the cluster itself says: the last one known while it
  /// says nothing. Waits up to 300 ms.
  std::size_t leader();

  /// How many terms the group has begun since leader() was asked first.
  [[nodiscard]] std::uint64_t elections() const {
    return last_term_ - first_term_.value_or(0);
  }

  /// Makes something go wrong. Returns whom it hits, in words.
  std::string begin(const fault& what);

  /// Ends what begin() began. Returns a problem if a node does not start again.
  [[nodiscard]] troupe::problem end();

  /// Judges what the replicas have written down so far. Returns what is broken, in words.
  [[nodiscard]] std::vector<std::string> judge_replicas() const;

  /// Waits until all nodes are active members again. Returns whether they were in time.
  bool wait_until_whole(troupe::duration wait);

private:
  struct node {
    std::string name;
    std::string host;
    std::uint16_t port = 0;
    troupe::net::address front;
    std::optional<started_node> process;
  };

  [[nodiscard]] troupe::problem start(node& which, bool founds);
  [[nodiscard]] std::set<std::size_t> some(std::size_t count, std::uint64_t dice,
                                           std::optional<std::size_t> without) const;
  void cut(const std::string& from, const std::string& to);
  void cut_off(const std::set<std::size_t>& which, bool from_clients);
  [[nodiscard]] bool is_whole();

  options how_;
  troupe::testing::proxy network_;
  std::vector<node> nodes_;
  std::unique_ptr<troupe::cluster_client> eye_;
  std::size_t leader_ = 0;
  std::optional<std::uint64_t> first_term_;
  std::uint64_t last_term_ = 0;
  std::set<std::size_t> killed_;
  std::set<std::size_t> paused_;
};

} // namespace cli::chaos
