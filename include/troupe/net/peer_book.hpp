#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/node_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/net/types.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

/// Who is behind the handles of other processes: each link enters its peer before the first message
/// from there arrives, and takes it out after the last. BASP sets the node of a handle from the
/// link over which it comes, so what is found here is as well proven as the link.
///
/// Thread-safe. Cost: O(log n) for n links.
class peer_book {
public:
  /// The peer of link `number`; CAF knows it as `process`.
  void enter(connection_id number, const caf::node_id& process, security::facts who) {
    std::lock_guard guard{mutex_};
    processes_.insert_or_assign(number, process);
    peers_.insert_or_assign(process, entry{number, std::move(who)});
  }

  void leave(connection_id number) {
    std::lock_guard guard{mutex_};
    auto gone = processes_.extract(number);
    if (!gone)
      return;
    if (auto found = peers_.find(gone.mapped());
        found != peers_.end() && found->second.number == number)
      peers_.erase(found);
  }

  /// Returns who has sent a message with this sender; nothing if there is no link to there.
  [[nodiscard]] std::optional<security::facts> find(const caf::strong_actor_ptr& from) const {
    if (!from)
      return std::nullopt;
    std::lock_guard guard{mutex_};
    auto found = peers_.find(from->node());
    return found != peers_.end() ? std::optional{found->second.who} : std::nullopt;
  }

private:
  struct entry {
    connection_id number = 0;
    security::facts who;
  };

  mutable std::mutex mutex_;
  std::map<caf::node_id, entry> peers_;
  std::map<connection_id, caf::node_id> processes_;
};

} // namespace troupe::net
