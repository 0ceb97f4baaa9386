#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/node/access_part.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/seat.hpp"
#include "troupe/node/voters_part.hpp"

namespace troupe::cluster {

/// What a node's part in the group has to do with the node. All may be called by any thread; none
/// blocks.
struct group_surroundings {
  /// Who this node is.
  node_id node;
  /// Who sends a command of another process.
  node_finder nodes;
  std::function<net::address()> address;
  std::function<caf::strong_actor_ptr()> entry;
  std::function<void(const net::link_ptr&, duration)> set_timeout;
  /// This node needs all its links from here on, or those to these nodes, used or not; no others.
  std::function<void(bool all, const std::set<node_id>& peers)> keep_links;
  node_log log;
};

/// A node's part in the group that keeps the services of its cluster: its seat, and what its
/// node_shell has to know of that.
class group_part {
public:
  /// Reads the log of the group, so that the node is known to be sound before anybody
  /// hears of it. Blocks. A node that has others to ask waits for their leader before it leads
  /// alone (see raft::options::lead_alone_after). Errors: those of seat::open().
  static result<std::unique_ptr<group_part>> open(caf::actor_system& sys,
                                                  const std::filesystem::path& log,
                                                  const node_options& how, bool has_others,
                                                  group_surroundings around) {
    constexpr duration patience = std::chrono::seconds{3};
    auto made = std::unique_ptr<group_part>{new group_part(std::move(around))};
    auto group = how.group;
    if (has_others)
      group.consensus.lead_alone_after = std::max(group.consensus.lead_alone_after, patience);
    auto opened = seat::open(sys, log, group, how.services, made->around_.nodes);
    if (!opened)
      return opened.error();
    made->seat_ = std::move(*opened);
    return made;
  }

  group_part(const group_part&) = delete;
  group_part& operator=(const group_part&) = delete;

  ~group_part() {
    seat_.reset();
  }

  [[nodiscard]] seat& own_seat() {
    return *seat_;
  }

  /// For the node_shell, which ends before this does.
  [[nodiscard]] voters_setup voters(const node_options& how) {
    voters_setup made;
    made.node = around_.node;
    made.nodes = around_.nodes;
    made.address = [this] { return to_string(around_.address()); };
    made.voters = how.voters;
    made.replace_after = how.replace_after;
    made.group = seat_->group();
    made.set_timeout = around_.set_timeout;
    made.keep_links = around_.keep_links;
    made.seated = [this](bool is_seated, bool) { is_seated_ = is_seated; };
    made.log = around_.log;
    return made;
  }

  /// What this node offers when it leads.
  [[nodiscard]] service_binding here() const {
    service_binding made{.handles = seat_->services(),
                         .where = around_.address(),
                         .entry = around_.entry(),
                         .others = {},
                         .is_here = true};
    for (auto& [called, gauge] : seat_->gauges())
      made.records[called] = gauge->load();
    return made;
  }

  /// Whether this node has a seat, as far as it has heard. Thread-safe.
  [[nodiscard]] bool is_seated() const {
    return is_seated_;
  }

private:
  explicit group_part(group_surroundings around) : around_(std::move(around)) {}

  const group_surroundings around_;
  std::unique_ptr<seat> seat_;
  std::atomic<bool> is_seated_ = false;
};

} // namespace troupe::cluster
