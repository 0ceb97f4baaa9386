#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/cluster/leader_history.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/router/router.hpp"

namespace troupe::cluster {

/// Says where the services of the cluster are to those who ask this node: it keeps what the
/// node knows of that, and tells the router, which answers. Thread-safe.
class signpost {
public:
  explicit signpost(router::router_access router) : router_(std::move(router)), history_(now()) {
    tell();
  }

  /// The actor that answers what this node knows.
  void set_knowledge(caf::strong_actor_ptr knowledge) {
    std::lock_guard guard{mutex_};
    knowledge_ = std::move(knowledge);
    tell();
  }

  /// The actor that other members tell of revoked certificates.
  void set_trust(caf::strong_actor_ptr keeper) {
    std::lock_guard guard{mutex_};
    trust_ = std::move(keeper);
    tell();
  }

  /// The node has a seat in the group: `voters` is the actor of it, for other members.
  void add_seat(caf::strong_actor_ptr voters) {
    std::lock_guard guard{mutex_};
    seat_ = std::move(voters);
    tell();
  }

  /// Services that are `here`, by their names, and the address where the others are; empty if
  /// nobody knows.
  void point(std::map<std::string, caf::strong_actor_ptr> here, std::string elsewhere) {
    std::lock_guard guard{mutex_};
    here_ = std::move(here);
    for (auto& [called, handle] : here_)
      told_.insert(called);
    elsewhere_ = std::move(elsewhere);
    history_.leads(now(), here_.empty() ? elsewhere_ : "this node");
    tell();
  }

  /// Nobody will know for a while, because of `why`; errc::none: somebody may soon.
  void refuse(problem why) {
    std::lock_guard guard{mutex_};
    why_ = std::move(why);
    tell();
  }

  /// Addresses of nodes that may know when those at `elsewhere` are gone.
  void set_others(std::vector<std::string> others) {
    std::lock_guard guard{mutex_};
    others_ = std::move(others);
    tell();
  }

  /// Puts down who leads, since when nobody does and how often that has changed. `own` is the
  /// address of this node.
  void show(node_view& seen, const std::string& own) const {
    std::lock_guard guard{mutex_};
    seen.leader = here_.empty() ? elsewhere_ : own;
    seen.leaderless_for = history_.leaderless_for(now());
    seen.changes_of_leader = history_.changes();
    seen.why = why_;
  }

  /// Lets go of all actors.
  void clear() {
    std::lock_guard guard{mutex_};
    here_.clear();
    seat_ = knowledge_ = trust_ = nullptr;
  }

private:
  static time_point now() {
    auto since = std::chrono::steady_clock::now().time_since_epoch();
    return time_point{std::chrono::duration_cast<duration>(since)};
  }

  /// Under the lock, so that the router hears of changes in their order.
  void tell() const {
    std::map<std::string, caf::strong_actor_ptr> found;
    for (auto& each : told_)
      found[each] = nullptr;
    if (seat_) {
      found[voters_name] = nullptr;
      found[seat_name] = seat_;
    }
    found[knowledge_name] = knowledge_;
    if (trust_)
      found[trust_name] = trust_;
    for (auto& [called, handle] : here_)
      found[called] = handle;
    router_.run([found = std::move(found), elsewhere = elsewhere_, others = others_,
                 why = why_](router::router_state& state) {
      for (auto& [called, handle] : found)
        state.set_service(called, {handle, elsewhere, others, 0, handle ? problem{} : why});
    });
  }

  router::router_access router_;
  mutable std::mutex mutex_;
  std::map<std::string, caf::strong_actor_ptr> here_;
  /// All that were here once.
  std::set<std::string> told_{cluster_services.begin(), cluster_services.end()};
  std::string elsewhere_;
  std::vector<std::string> others_;
  problem why_;
  leader_history history_;
  caf::strong_actor_ptr knowledge_;
  caf::strong_actor_ptr seat_;  // none without a data folder
  caf::strong_actor_ptr trust_; // none without certificates
};

} // namespace troupe::cluster
