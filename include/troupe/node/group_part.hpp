#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/node/cluster_access.hpp"
#include "troupe/node/member.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/seat.hpp"

namespace troupe::cluster {

/// What a node's part in the group has to do with its other parts. All may be called by any
/// thread; none blocks.
struct group_surroundings {
  /// Who this node is.
  node_id node;
  /// Who sends a command of another process.
  node_finder nodes;
  std::function<net::address()> address;
  std::function<caf::strong_actor_ptr()> entry;
  /// Runs a job on that actor of the node.
  std::function<void(std::function<void(member_state&)>)> on_member;
  std::function<void(std::function<void(access_state&)>)> on_access;
  std::function<void(const net::link_ptr&, duration)> set_timeout;
  /// This node needs all its links from here on, or those to these nodes, used or not; no others.
  std::function<void(bool all, const std::set<node_id>& peers)> keep_links;
  node_log log;
};

/// A node's part in the group that keeps the services of its cluster: its seat, and what
/// leading and following are for the rest of the node.
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
    auto opened = seat::open(sys, log, group, how.services, made->setup(how));
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

  /// Has the seat hear what the member hears of other nodes.
  void listen_to(member_setup& member) const {
    member.linked = [this](const net::link_ptr& which) {
      seat_->run([which](voters_state& state) { state.link_up(which); });
    };
    member.unlinked = [this](const node_id& node) {
      seat_->run([node](voters_state& state) { state.link_down(node); });
    };
    member.node_is = [this](const node_id& node, const registry::record& what) {
      if (what.endpoints.empty())
        return;
      auto& where = what.endpoints.front();
      seat_->run([node, called = what.key.name,
                  address = to_string(net::address{where.host, where.port})](voters_state& state) {
        state.node_is(node, called, address);
      });
    };
    member.shows = [this](const node_id& node, bool is_there) {
      seat_->run([node, is_there](voters_state& state) { state.member_shows(node, is_there); });
    };
    member.revoked = [this](const std::set<node_id>& nodes) {
      seat_->run([nodes](voters_state& state) { state.revoked(nodes); });
    };
    member.node_left = [this](const node_id& node, boot_number boot) {
      seat_->run([node, boot](voters_state& state) { state.node_left(node, boot); });
    };
  }

  /// Calls `then` with what the seat knows of the group: see voters_state::show().
  void show(std::function<void(const voters_view&, const problem&)> then) const {
    seat_->run([then = std::move(then)](voters_state& state) { state.show(then); });
  }

  /// Whether this node has a seat, as far as it has heard. Thread-safe.
  [[nodiscard]] bool is_seated() const {
    return is_seated_;
  }

private:
  explicit group_part(group_surroundings around) : around_(std::move(around)) {}

  voters_setup setup(const node_options& how) {
    voters_setup made;
    made.node = around_.node;
    made.nodes = around_.nodes;
    made.address = [this] { return to_string(around_.address()); };
    made.voters = how.voters;
    made.replace_after = how.replace_after;
    made.lead = [this](std::uint64_t turn) { lead(turn); };
    made.follow = [this](std::uint64_t turn, const std::string& leader) { follow(turn, leader); };
    made.others = [this](const std::vector<std::string>& others) {
      around_.on_access([others](access_state& access) { access.know(others); });
    };
    made.reach = [this](const seat_contact& where) {
      around_.on_member(
        [where](member_state& state) { state.links().reach(where.node, where.address); });
    };
    made.set_timeout = around_.set_timeout;
    made.keep_links = around_.keep_links;
    made.seated = [this](bool is_seated, bool votes) {
      is_seated_ = is_seated;
      around_.on_access([votes](access_state& access) { access.seated(votes); });
    };
    made.without_quorum = [this](const problem& why) {
      around_.on_access([why](access_state& access) { access.seat_says(why); });
    };
    made.log = around_.log;
    return made;
  }

  // -- on the actor of the seat ------------------------------------------------------------

  /// This node leads from here on.
  void lead(std::uint64_t turn) const {
    service_binding here{.handles = seat_->services(),
                         .where = around_.address(),
                         .entry = around_.entry(),
                         .others = {},
                         .is_here = true};
    for (auto& [called, gauge] : seat_->gauges())
      here.records[called] = gauge->load();
    here.handles[voters_name] = caf::actor_cast<caf::strong_actor_ptr>(seat_->voters());
    around_.on_member([](member_state& state) { state.lead(); });
    around_.on_access([turn, here](access_state& access) { access.lead_here(turn, here); });
  }

  void follow(std::uint64_t turn, const std::string& leader) const {
    around_.on_member([](member_state& state) { state.follow(); });
    around_.on_access([turn, leader](access_state& access) { access.follow(turn, leader); });
  }

  const group_surroundings around_;
  std::unique_ptr<seat> seat_;
  std::atomic<bool> is_seated_ = false;
};

} // namespace troupe::cluster
