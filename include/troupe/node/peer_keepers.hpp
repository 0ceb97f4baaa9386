#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/link.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::cluster {

/// Finds the actors that answer for the membership_part of other nodes, and knows which of those
/// are linked. Part of this node's one.
class peer_keepers {
public:
  using handle_taker = std::function<void(const caf::strong_actor_ptr&)>;
  /// Gives the entry point of a node, with a link if there is none; the answer on any thread.
  using entry_finder = std::function<void(
    const node_id& node, std::function<void(const result<caf::strong_actor_ptr>&)>)>;

  /// What its host waits for an answer of another keeper, too.
  static constexpr duration answer_within = std::chrono::seconds{4};

  peer_keepers(caf::event_based_actor* self, entry_finder find_entry)
    : self_(self), find_entry_(std::move(find_entry)) {}

  void link_up(const net::link_ptr& which) {
    links_[which->peer().node] = {which, nullptr};
  }

  /// Returns whether it was the present link to that node.
  bool link_down(const net::link_ptr& which) {
    return is_present(*which) && links_.erase(which->peer().node) == 1;
  }

  /// Returns whether it is the link to that node, and not one that another has taken the place of.
  [[nodiscard]] bool is_present(const net::link& which) const {
    auto found = links_.find(which.peer().node);
    return found != links_.end() && found->second.which->number() == which.number();
  }

  [[nodiscard]] bool is_linked(const node_id& node) const {
    return links_.contains(node);
  }

  /// Returns a linked node, another one than `last` if there are several; `last` if there is none.
  [[nodiscard]] node_id next_linked(const node_id& last) const {
    if (links_.empty())
      return last;
    auto next = links_.upper_bound(last);
    return next == links_.end() ? links_.begin()->first : next->first;
  }

  /// Returns that node if it is linked, or no node is; else one that is linked.
  [[nodiscard]] node_id linked_instead_of(const node_id& node) const {
    return links_.empty() || is_linked(node) ? node : links_.begin()->first;
  }

  /// Finds the keeper of a node, with a link if there is none; null if there is no way, or none.
  void find(const node_id& node, handle_taker done) {
    auto found = links_.find(node);
    if (found != links_.end() && found->second.keeper)
      return done(found->second.keeper);
    if (found != links_.end() && found->second.which->entry_point())
      return ask(node, found->second.which->entry_point(), std::move(done));
    find_entry_(node, [this, node, home = caf::weak_actor_ptr{self_->ctrl()},
                       done = std::move(done)](const result<caf::strong_actor_ptr>& entry) {
      run_on(home, [this, node, done, entry] {
        if (entry && *entry)
          ask(node, *entry, done);
        else
          done(nullptr);
      });
    });
  }

private:
  struct linked {
    net::link_ptr which;
    /// Its keeper; null: not asked for yet.
    caf::strong_actor_ptr keeper;
  };

  void ask(const node_id& node, const caf::strong_actor_ptr& entry, handle_taker done) {
    self_
      ->request(caf::actor_cast<caf::actor>(entry), answer_within,
                router::find_service{membership_name})
      .then(
        [this, node, entry, done](const router::service_place& place) {
          auto link = links_.find(node); // by now perhaps to a later life
          if (link != links_.end() && link->second.which->entry_point() == entry)
            link->second.keeper = place.handle;
          done(place.handle);
        },
        [done](const caf::error&) { done(nullptr); });
  }

  caf::event_based_actor* self_;
  entry_finder find_entry_;
  std::map<node_id, linked> links_;
};

} // namespace troupe::cluster
