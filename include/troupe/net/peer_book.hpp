#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/node_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/net/types.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

/// Who is behind the handles of other processes: each link enters its peer before the first message
/// from there arrives. BASP sets the node of a handle from the link over which it comes, so what is
/// found here is as well proven as the link. The peers of links that have ended stay for a while,
/// as their last messages may wait in mailboxes. Where one process was given out by several peers,
/// one after the other, the messages of its earlier links are nobody's.
///
/// Thread-safe. Cost: O(log n) for n links.
class peer_book {
public:
  /// Peers without a link that are remembered; beyond that the one gone for longest is forgotten.
  static constexpr std::size_t max_gone = 1'024;

  /// The peer of link `number`; CAF knows it as `process`.
  void enter(connection_id number, const caf::node_id& process, security::facts who,
             bool is_proven = false) {
    auto id = std::make_shared<const std::string>(to_string(who.node));
    std::lock_guard guard{mutex_};
    processes_.insert_or_assign(number, process);
    auto before = peers_.find(process);
    auto is_disputed
      = before != peers_.end() && (before->second.is_disputed || *before->second.id != *id);
    peers_.insert_or_assign(
      process, entry{number, std::move(who), std::move(id), is_proven, false, is_disputed});
  }

  /// That link has ended.
  void leave(connection_id number) {
    std::lock_guard guard{mutex_};
    auto process = processes_.find(number);
    if (process == processes_.end())
      return;
    if (auto peer = peers_.find(process->second); is_by(peer, number))
      peer->second.is_gone = true;
    gone_.push_back(number);
    for (; gone_.size() > max_gone; gone_.pop_front())
      forget(gone_.front());
  }

  /// Returns the id of who has sent a message with this sender, as services keep it; null if that
  /// is not known. Copies nothing, so it may be asked for each message.
  [[nodiscard]] shared_node_id id_of(const caf::strong_actor_ptr& from) const {
    std::lock_guard guard{mutex_};
    auto* found = sender(from);
    return found != nullptr ? found->id : nullptr;
  }

  /// Returns who has sent a message with this sender, with what the link proves.
  [[nodiscard]] link_peer peer_of(const caf::strong_actor_ptr& from) const {
    std::lock_guard guard{mutex_};
    auto* found = sender(from);
    if (found == nullptr)
      return {};
    return {found->who.node, found->who.as == security::role::member, found->is_proven};
  }

  /// Returns who has sent a message with this sender, as a copy; nothing if that is not known.
  [[nodiscard]] std::optional<security::facts> find(const caf::strong_actor_ptr& from) const {
    std::lock_guard guard{mutex_};
    auto* found = sender(from);
    return found != nullptr ? std::optional{found->who} : std::nullopt;
  }

  /// A peer with a link.
  struct linked {
    security::facts who;
    /// By its certificate, over an encrypted link.
    bool is_proven = false;
  };

  /// Returns at most `most` of the peers with links, members first, and how many there are.
  [[nodiscard]] std::pair<std::vector<linked>, std::size_t> list(std::size_t most) const {
    std::lock_guard guard{mutex_};
    std::vector<linked> all;
    for (auto& [process, each] : peers_)
      if (!each.is_gone)
        all.push_back({each.who, each.is_proven});
    std::ranges::stable_sort(all, {}, [](auto& each) { return each.who.as; });
    auto count = all.size();
    all.resize(std::min(count, most));
    return {std::move(all), count};
  }

private:
  struct entry {
    connection_id number = 0;
    security::facts who;
    shared_node_id id;
    bool is_proven = false;
    bool is_gone = false;
    /// An earlier link gave this process out as another peer.
    bool is_disputed = false;
  };

  /// Returns the peer behind a handle; null if it is not known. With the end of a link end the
  /// handles that it brought, and a later link brings others.
  [[nodiscard]] const entry* sender(const caf::strong_actor_ptr& from) const {
    if (!from)
      return nullptr;
    auto found = peers_.find(from->node());
    if (found == peers_.end() || (found->second.is_disputed && compat::has_ended(from)))
      return nullptr;
    return &found->second;
  }

  void forget(connection_id number) {
    auto gone = processes_.extract(number);
    if (auto peer = peers_.find(gone.mapped()); is_by(peer, number))
      peers_.erase(peer);
  }

  /// Whether that peer is here, and has no later link.
  [[nodiscard]] bool is_by(std::map<caf::node_id, entry>::const_iterator peer,
                           connection_id number) const {
    return peer != peers_.end() && peer->second.number == number;
  }

  mutable std::mutex mutex_;
  std::map<caf::node_id, entry> peers_;
  std::map<connection_id, caf::node_id> processes_;
  std::deque<connection_id> gone_;
};

} // namespace troupe::net
