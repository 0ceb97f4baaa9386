#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "chaos/faults.hpp"
#include "chaos/network.hpp"
#include "chaos/witness.hpp"
#include "node_process.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/messages.hpp"

namespace cli::chaos {

/// The nodes of a run: processes on a network with faults. To be used by one thread; the nodes end
/// with that thread.
class chaos_cluster {
public:
  struct options {
    std::string self;
    std::filesystem::path folder;
    std::size_t nodes = 3;
    /// How many of them vote, at least; nodes at most.
    std::size_t voters = 3;
    /// Raft timers: wan or lan.
    std::string timers = "wan";
    /// Folder for the actions of the replicas, n1.jsonl and so on; empty: none.
    std::filesystem::path raft_log{};
    /// Hears of all that happens to the nodes, which write down how they see each other; null:
    /// nobody does. Outlives the cluster.
    witness* seen = nullptr;
    /// More arguments for each node.
    std::vector<std::string> words{};
    std::function<bool()> is_interrupted{};
  };

  /// The network has to outlive it.
  chaos_cluster(options how, network& links);
  chaos_cluster(const chaos_cluster&) = delete;
  chaos_cluster& operator=(const chaos_cluster&) = delete;
  ~chaos_cluster();

  /// Starts all nodes and waits until they are one cluster that has all its voters.
  [[nodiscard]] troupe::problem start();

  /// Connects a client, preferably to node number `first`. Waits up to 20 s.
  [[nodiscard]] troupe::result<std::unique_ptr<troupe::cluster_client>> connect(std::size_t first
                                                                                = 0) const;

  /// The number of the leader, as the cluster reports it, or the last known one without an answer.
  /// Waits up to 300 ms.
  std::size_t leader();

  /// How often leader() has found a later term than before. (Terms may skip numbers.)
  [[nodiscard]] std::uint64_t elections() const {
    return elections_;
  }

  /// How often a voter was removed, and how often one was added again.
  [[nodiscard]] std::size_t removed() const {
    return removed_;
  }
  [[nodiscard]] std::size_t added() const {
    return added_;
  }

  /// Starts a fault, and calls `begins` just before, which may be a while after the call. Returns a
  /// text with the affected nodes, or why the fault is not possible.
  [[nodiscard]] troupe::result<std::string> begin(const fault& what,
                                                  const std::function<void()>& begins);

  /// Repairs the network.
  [[nodiscard]] troupe::problem heal();

  /// Ends the other effects of begin(), after heal(). Returns a problem if that fails, for example
  /// if a node does not start again.
  [[nodiscard]] troupe::problem end();

  /// Checks the recorded actions of the replicas. Returns the violations, in words.
  [[nodiscard]] std::vector<std::string> judge_replicas() const;

  /// Waits until all nodes are active members again, and as many vote as should. Returns false if
  /// it took too long.
  bool wait_until_whole(troupe::duration wait);

private:
  struct node {
    std::string name;
    network::place where;
    std::optional<started_node> process;
  };

  [[nodiscard]] troupe::problem start(node& which, bool founds);
  /// Starts a fault of one kind. It affects at most `most_voters` voters besides the leader.
  [[nodiscard]] troupe::result<std::string> begin(fault_kind kind, std::uint64_t dice,
                                                  std::size_t leads, std::size_t most_voters);
  /// SIGKILL, at once; end() starts them again.
  void kill(const std::set<std::size_t>& which);
  /// Restarts one node after the other, each voter when the one before has caught up.
  [[nodiscard]] troupe::problem restart_all();
  /// Has these nodes run for a tenth of the time, until end().
  void starve(const std::set<std::size_t>& which);
  /// Repeats the request to remove or add a voter until it is done, `over` is set or `wait` has
  /// passed.
  [[nodiscard]] troupe::problem change_voters(troupe::cluster::voter_change what,
                                              const std::string& name, troupe::duration wait,
                                              const std::atomic<bool>& over) const;
  /// Tells the witness.
  void note(const std::string& what, std::size_t which) const;
  void note_cut(const std::vector<std::set<std::size_t>>& sides) const;
  [[nodiscard]] std::set<std::size_t> all_but(const std::set<std::size_t>& which) const;
  void remove_voter(std::size_t which);
  void add_voter();
  [[nodiscard]] std::set<std::size_t> some(std::size_t count, std::uint64_t dice,
                                           std::optional<std::size_t> without,
                                           std::size_t most_voters) const;
  /// What the cluster says of its voters; keeps who votes. Nothing: no answer within `wait`.
  [[nodiscard]] std::optional<troupe::cluster::voters_view> look_at_seats(troupe::duration wait);
  /// The node that others reach there.
  [[nodiscard]] std::optional<std::size_t> number_at(const std::string& address) const;
  /// Both directions between these nodes and all others, optionally also clients.
  [[nodiscard]] std::vector<direction> around(const std::set<std::size_t>& which,
                                              bool clients_too) const;
  /// Both directions between all nodes, optionally also clients.
  [[nodiscard]] std::vector<direction> everywhere(bool clients_too) const;
  [[nodiscard]] bool is_whole();

  options how_;
  network& network_;
  std::vector<node> nodes_;
  std::unique_ptr<troupe::cluster_client> eye_;
  std::size_t leader_ = 0;
  std::optional<std::uint64_t> last_term_;
  std::uint64_t elections_ = 0;
  /// Who voted when the cluster was asked last.
  std::set<std::size_t> voting_;
  std::set<std::size_t> killed_;
  std::set<std::size_t> paused_;
  /// The node that is removed, or will be.
  std::optional<std::size_t> outside_;
  std::atomic<bool> stop_removing_ = false;
  std::future<troupe::problem> removing_;
  std::size_t removed_ = 0;
  std::size_t added_ = 0;
  /// Stops and continues nodes; ends before them.
  std::jthread starving_;
};

} // namespace cli::chaos
