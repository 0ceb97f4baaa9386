#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "troupe/node/service_names.hpp"
#include "troupe/router/router.hpp"

namespace troupe::cluster {

/// Says where the services of the cluster are to those who ask this node: it keeps what the
/// node knows of that, and tells the router, which answers. Thread-safe.
class signpost {
public:
  explicit signpost(router::router_access router) : router_(std::move(router)) {}

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
    elsewhere_ = std::move(elsewhere);
    tell();
  }

  /// Addresses of nodes that may know when those at `elsewhere` are gone.
  void set_others(std::vector<std::string> others) {
    std::lock_guard guard{mutex_};
    others_ = std::move(others);
    tell();
  }

  /// Lets go of all actors.
  void clear() {
    std::lock_guard guard{mutex_};
    here_.clear();
    seat_ = nullptr;
  }

private:
  /// Under the lock, so that the router hears of changes in their order.
  void tell() const {
    std::map<std::string, caf::strong_actor_ptr> found;
    for (auto* each : cluster_services)
      found[each] = nullptr;
    if (seat_) {
      found[voters_name] = nullptr;
      found[seat_name] = seat_;
    }
    for (auto& [called, handle] : here_)
      found[called] = handle;
    router_.run([found = std::move(found), elsewhere = elsewhere_,
                 others = others_](router::router_state& state) {
      for (auto& [called, handle] : found)
        state.set_service(called, {handle, elsewhere, others});
    });
  }

  router::router_access router_;
  std::mutex mutex_;
  std::map<std::string, caf::strong_actor_ptr> here_;
  std::string elsewhere_;
  std::vector<std::string> others_;
  caf::strong_actor_ptr seat_; // none without a data folder
};

} // namespace troupe::cluster
