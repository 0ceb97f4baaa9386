#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "troupe/cluster/node_core_types.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/scheduler/types.hpp"
#include "troupe/sim/laws/task_laws.hpp"
#include "troupe/sim/world/raft_process.hpp"
#include "troupe/sim/world/seat_types.hpp"
#include "troupe/sim/world/world.hpp"

/// What simulated nodes keep on their disks, their times, and what they share; see node_process.
namespace troupe::sim {

/// What a data folder keeps of a node: its log, who it is, and how often it has begun.
struct node_disk : raft_disk {
  /// Empty before the first start.
  std::string id{};
  boot_number boot = 0;
};

/// Times of the simulated nodes, as node_options has them, in a cluster that is in a hurry.
struct node_times {
  static cluster::swim_options membership() {
    auto made = cluster::swim_options::lan();
    made.sync_every = std::chrono::seconds{5};
    made.revisit_every = std::chrono::seconds{2};
    made.keep_gone = retention;
    return made;
  }

  static cluster::node_core_options core(const node_id& node, const std::string& name,
                                         boot_number boot, bool has_folder) {
    cluster::node_core_options made;
    made.node = node;
    made.name = name;
    made.boot = boot;
    made.claims.is_fleeting = !has_folder;
    made.claims.answer_within = answer_within;
    made.claims.retry_every = retry;
    made.claims.look_every = look_at_names;
    made.liveness.lost_after = lost_after;
    made.liveness.check_every = check;
    made.liveness.answer_within = answer_within;
    made.liveness.sweep_every = sweep;
    made.table.retention = retention;
    made.table.unhealthy_after = 1;
    made.table.unhealthy_for = std::chrono::hours{1}; // only a ping heals
    made.forget_after = retention;
    made.drop_fleeting_after = dropped_after;
    return made;
  }

  static scheduler::scheduler_options tasks() {
    scheduler::scheduler_options made;
    made.lease = std::chrono::seconds{3};
    made.max_losses = 1'000;
    return made;
  }

  static constexpr duration beat = std::chrono::milliseconds{250};
  static constexpr duration answer_within = std::chrono::seconds{2};
  static constexpr duration lost_after = std::chrono::milliseconds{1'500};
  static constexpr duration retry = std::chrono::seconds{1};
  static constexpr duration look_at_names = std::chrono::seconds{3};
  /// Longer than a node that starts later is watched for what it shows of the dead: twice
  /// given_up_within.
  static constexpr duration dropped_after = std::chrono::seconds{9};
  static constexpr duration retention = std::chrono::seconds{15};
  static constexpr duration check = std::chrono::seconds{1};
  static constexpr duration sweep = std::chrono::seconds{2};
  /// From the end of the path to the leader until another node relays. That one may have
  /// been relayed itself by the node that asks.
  static constexpr duration relayed_within = std::chrono::seconds{8};
  /// From the end of a node, or of its link, until a leader that hears the others has given it up.
  static constexpr duration given_up_within = std::chrono::seconds{4};
  /// From the time that a dead node is given up until nobody remembers it.
  static constexpr duration forgotten_within = retention + given_up_within;
  /// Five tries of a put with their waits, after a release and a claim.
  static constexpr duration any_answer = std::chrono::seconds{40};
};

struct node_setting : seats_shared {
  /// Ids that disks and processes without a folder have got.
  std::uint64_t ids = 0;
  /// The boots that nodes have had, and the nodes that have had one twice, as their disk was put
  /// back. What they have said in the first of the two lives may be taken for theirs.
  std::set<std::pair<node_id, boot_number>> begun{};
  std::set<node_id> twins{};
  /// The nodes: their process and their key.
  std::map<node_id, std::pair<process_id, public_key>> members{};
  task_laws tasks{node_times::tasks().lease};
  /// Runs of one task that nodes have submitted.
  std::set<scheduler::run_id> submitted{};
  /// The latest boot of each node that was given up, whoever led.
  std::map<node_id, boot_number> lost{};
  // Figures.
  std::uint64_t given_up = 0;
  std::uint64_t names_lost = 0;
  std::uint64_t names_freed = 0;
  std::uint64_t rises = 0;
  /// Disks that were replaced by an older copy.
  std::uint64_t put_back = 0;
  /// How often members showed one another dead.
  std::uint64_t deaths = 0;
  /// Links that ended while the members showed the node.
  std::uint64_t outlived_links = 0;
  /// Links to the services that another node relayed.
  std::uint64_t relayed = 0;
};

} // namespace troupe::sim
