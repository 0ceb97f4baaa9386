#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/security/revocation_list.hpp"

namespace troupe::security {

/// What happens to a revocation_book, and what it wants done.
namespace revocations {

// -- events -------------------------------------------------------------------------

/// The file of the list was read, at the start or as it has changed. Nothing: it is not there.
struct file_read {
  std::optional<std::string> bytes;
};

/// The file has the list with this number now.
struct list_stored {
  std::uint64_t number = 0;
};

/// A member has sent a list.
struct list_heard {
  node_id from{};
  std::string bytes;
};

/// A member has answered what it was told: it has the list with this number now, zero for none.
struct list_taken {
  node_id by{};
  std::uint64_t number = 0;
};

/// There is a link to a member; it takes the place of an earlier one.
struct link_up {
  node_id node{};
  std::uint64_t link = 0;
};

struct link_down {
  node_id node{};
  std::uint64_t link = 0;
};

using event = std::variant<file_read, list_stored, list_heard, list_taken, link_up, link_down>;

// -- effects ------------------------------------------------------------------------

/// From here on this list applies: links of those that it revokes end.
struct enforce {
  revocation_list_ptr list;
  /// Members that it revokes have just been sent it, and are to get it before their links end.
  bool are_told = false;
};

/// Put it into the file; list_stored follows, or nothing if that fails.
struct store {
  std::uint64_t number = 0;
  std::string bytes;
};

/// Send it to a member; list_taken follows, or nothing if that fails.
struct tell {
  node_id to{};
  std::string bytes;
};

/// A list is not taken, and this node keeps what it has.
struct refuse {
  /// Who sent it; nothing: it is that of the file.
  std::optional<node_id> from;
  problem why;
};

using effect = std::variant<enforce, store, tell, refuse>;

} // namespace revocations

/// Which list of revoked certificates a node believes: of all that the CA has signed the one with
/// the highest number, whoever brings it; of two with one number, which copies of a CA make, the
/// first. A new one applies at once, and linked members whose identity it revokes get it as the
/// last that they hear. The others are told only when it is on the disk, so that no restart makes
/// this node believe an older one. What cannot be stored or told is tried again.
///
/// Steps like any machine. It has no snapshot: its file has what outlives the process. Cost: a
/// signature to verify for a list with new bytes, and O(n) for n linked members.
class revocation_book {
public:
  using effects = std::vector<revocations::effect>;

  /// After so long it tries again.
  static constexpr duration again_after = std::chrono::seconds{5};

  /// `ca` is the key of the cluster's CA.
  explicit revocation_book(const public_key& ca) : ca_(ca) {}

  void step(time_point now, const revocations::event& what, effects& out) {
    tick(now, out);
    troupe::visit([&](const auto& each) { handle(now, each, out); }, what);
  }

  void tick(time_point now, effects& out) {
    if (store_at_ && *store_at_ <= now)
      store(now, out);
    for (auto& [node, peer] : peers_)
      if (peer.tell_at && *peer.tell_at <= now)
        offer(now, node, peer, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = store_at_;
    for (auto& [node, peer] : peers_)
      if (peer.tell_at)
        next = next ? std::min(*next, *peer.tell_at) : *peer.tell_at;
    return next;
  }

  /// The number of the list that it believes; zero: none.
  [[nodiscard]] std::uint64_t number() const {
    return list_ ? list_->number : 0;
  }

private:
  struct linked_peer {
    std::uint64_t link = 0;
    /// The highest number that it is known to have.
    std::uint64_t known = 0;
    /// When to tell it again.
    std::optional<time_point> tell_at{};
  };

  void handle(time_point now, const revocations::file_read& what, effects& out) {
    if (what.bytes && *what.bytes == bytes_ && list_)
      return stored(now, out);
    auto found = what.bytes ? read_revocation_list(*what.bytes, ca_)
                            : result<revocation_list>{problem{errc::not_found, {}}};
    if (found && found->number > number()) {
      believe(*std::move(found), *what.bytes, out);
      return stored(now, out);
    }
    if (what.bytes)
      out.push_back(
        revocations::refuse{std::nullopt, found ? outdated(found->number) : found.error()});
    if (list_)
      store(now, out); // or a restart would forget it
  }

  void handle(time_point now, const revocations::list_stored& what, effects& out) {
    if (list_ && what.number == list_->number)
      stored(now, out);
  }

  void handle(time_point now, const revocations::list_heard& what, effects& out) {
    if (what.bytes == bytes_ && list_)
      return knows(what.from, list_->number);
    auto found = read_revocation_list(what.bytes, ca_);
    if (!found) {
      out.push_back(revocations::refuse{what.from, found.error()});
      return;
    }
    if (found->number == number()) {
      out.push_back(revocations::refuse{what.from, outdated(found->number)});
      return;
    }
    knows(what.from, found->number);
    if (found->number < number())
      return;
    believe(*std::move(found), what.bytes, out);
    store(now, out);
  }

  void handle(time_point, const revocations::list_taken& what, effects&) {
    knows(what.by, what.number);
  }

  void handle(time_point now, const revocations::link_up& what, effects& out) {
    auto& peer = peers_[what.node];
    peer = {what.link};
    offer(now, what.node, peer, out);
  }

  void handle(time_point, const revocations::link_down& what, effects&) {
    if (auto found = peers_.find(what.node);
        found != peers_.end() && found->second.link == what.link)
      peers_.erase(found);
  }

  void believe(revocation_list found, const std::string& bytes, effects& out) {
    list_ = std::make_shared<const revocation_list>(std::move(found));
    bytes_ = bytes;
    is_stored_ = false;
    for (auto& [node, peer] : peers_)
      peer.tell_at.reset(); // once it is stored
    auto are_told = false;
    for (auto& [node, peer] : peers_)
      if (list_->identities.contains(node) && std::exchange(peer.known, number()) < number()) {
        out.push_back(revocations::tell{node, bytes_});
        are_told = true;
      }
    out.push_back(revocations::enforce{list_, are_told});
  }

  void store(time_point now, effects& out) {
    store_at_ = now + again_after;
    out.push_back(revocations::store{list_->number, bytes_});
  }

  void stored(time_point now, effects& out) {
    is_stored_ = true;
    store_at_.reset();
    for (auto& [node, peer] : peers_)
      if (!peer.tell_at)
        offer(now, node, peer, out);
  }

  /// Tells a member what it does not know.
  void offer(time_point now, const node_id& node, linked_peer& peer, effects& out) {
    peer.tell_at.reset();
    if (!is_stored_ || peer.known >= number())
      return;
    peer.tell_at = now + again_after;
    out.push_back(revocations::tell{node, bytes_});
  }

  void knows(const node_id& node, std::uint64_t number) {
    auto found = peers_.find(node);
    if (found == peers_.end())
      return;
    found->second.known = std::max(found->second.known, number);
    if (found->second.known >= this->number())
      found->second.tell_at.reset();
  }

  [[nodiscard]] problem outdated(std::uint64_t found) const {
    auto other = found == number() ? std::string{"another one with that number"}
                                   : "one with number " + std::to_string(number());
    return {errc::conflict, "it has number " + std::to_string(found) + ", and the cluster has "
                              + other + " by now; revoke again where the CA is (troupe ca revoke)"};
  }

  const public_key ca_;
  revocation_list_ptr list_;
  /// The same as it is stored and sent.
  std::string bytes_;
  bool is_stored_ = false;
  /// When to store it again, unless it is stored by then.
  std::optional<time_point> store_at_;
  std::map<node_id, linked_peer> peers_;
};

} // namespace troupe::security
