#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "caf/event_based_actor.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/service_request.hpp"

namespace troupe::cluster {

/// Decides, on the node that leads a cluster, which nodes are alive: a node is lost once its link
/// has been away for a while, unless it has left. Tells the registry, has the scheduler run the
/// node's tasks elsewhere, and frees the names of nodes that cannot come back. Part of an actor,
/// and used on it only.
class failure_detector {
public:
  struct setup {
    /// How long a link may be away.
    duration lost_after{};
    registry_client registry;
    names_client names;
    scheduler_client scheduler;
    node_log log;
    /// What people call a node.
    std::function<std::string(const std::string& node)> called;
    /// Whether nobody comes back under the id of a node once it has ended.
    std::function<bool(const std::string& node)> is_fleeting;
  };

  failure_detector(caf::event_based_actor* self, setup how)
    : self_(self), setup_(std::move(how)), timers_(self) {}

  /// Decides from here on; before that it only takes note of links.
  void begin() {
    decides_ = true;
    for (auto& [node, boot] : linked_)
      judge(node, boot, registry::record_status::active);
  }

  /// Another node decides from here on.
  void end() {
    decides_ = false;
    for (auto& [node, timer] : std::exchange(lost_timers_, {}))
      timers_.cancel(timer);
    left_.clear();
  }

  /// A node is linked that greeted with this boot.
  void link_up(const std::string& node, boot_number boot) {
    linked_[node] = boot;
    left_.erase(node);
    forgive(node);
    if (decides_)
      judge(node, boot, registry::record_status::active);
  }

  /// Its link is gone, and no other has taken its place.
  void link_down(const std::string& node, boot_number boot, const std::string& why) {
    linked_.erase(node);
    if (left_.erase(node) > 0 || !decides_)
      return;
    setup_.log.warn("link to node " + setup_.called(node) + " lost (" + why
                    + "); its work goes to others in " + troupe::to_string(setup_.lost_after)
                    + " unless it comes back");
    await(node, boot);
  }

  /// A node that was there before this one led: it is lost, too, if it does not come.
  void expect(const std::string& node, boot_number boot) {
    if (!linked_.contains(node))
      await(node, boot);
  }

  /// It has taken back its record. Its link will end, or has ended already: that is no loss.
  void left(const std::string& node) {
    if (decides_ && linked_.contains(node))
      left_.insert(node);
    forgive(node);
  }

  /// The registry has nothing of `node` any more: if it was forgotten, its names are free.
  void forgotten(const std::string& node) {
    ask_service(self_, setup_.registry, registry::find_owner{node},
                [this, node](const result<registry::owner_view>& heard) {
                  if (decides_ && heard && heard->over)
                    free_names(node, heard->boot);
                });
  }

private:
  void await(const std::string& node, boot_number boot) {
    forgive(node);
    lost_timers_[node] = timers_.after(setup_.lost_after, [this, node, boot] {
      lost_timers_.erase(node);
      declare_lost(node, boot);
    });
  }

  void forgive(const std::string& node) {
    if (auto pending = lost_timers_.extract(node))
      timers_.cancel(pending.mapped());
  }

  void declare_lost(const std::string& node, boot_number boot) {
    setup_.log.warn("node " + setup_.called(node) + " is lost; its tasks run elsewhere");
    judge(node, boot, registry::record_status::disconnected);
    tell_service(setup_.scheduler, scheduler::worker_lost{node, boot, {}});
  }

  /// Passes a verdict on the latest life of a node that the registry knows: it may have
  /// gone above the one it greeted with.
  void judge(const std::string& node, boot_number boot, registry::record_status liveness) {
    ask_service(self_, setup_.registry, registry::find_owner{node},
                [this, node, boot, liveness](const result<registry::owner_view>& heard) {
                  auto is_linked = linked_.contains(node);
                  if (!decides_ || is_linked != (liveness == registry::record_status::active))
                    return; // late
                  auto latest = heard ? std::max(heard->boot, boot) : boot;
                  tell_service(setup_.registry, registry::verdict{node, latest, liveness});
                  if (!is_linked && setup_.is_fleeting(node))
                    free_names(node, latest);
                });
  }

  /// A node that is there all the same claims them again, or loses them.
  void free_names(const std::string& node, boot_number boot) {
    tell_service(setup_.names, registry::names::owner_gone{node, boot});
  }

  caf::event_based_actor* self_;
  setup setup_;
  timer_queue<caf::event_based_actor> timers_;
  bool decides_ = false;
  /// With the boots that they greeted with.
  std::map<std::string, boot_number> linked_;
  std::map<std::string, timer_queue<caf::event_based_actor>::id> lost_timers_;
  /// Nodes that have left and are linked yet.
  std::set<std::string> left_;
};

} // namespace troupe::cluster
