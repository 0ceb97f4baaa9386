#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <sys/socket.h>

#include "caf/actor.hpp"
#include "caf/actor_control_block.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/side.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

class link_scribe;

namespace detail {
class gate_loop;
} // namespace detail

/// One connection to one life of one node, from the greeting to its end. A peer that reconnects or
/// restarts gets another link, with another number and other handles.
///
/// Thread-safe.
class link {
public:
  link(connection_id number, hello peer, side end, int descriptor,
       std::optional<security::facts> proven = {}, bool is_relayed = false)
    : number_(number),
      peer_(std::move(peer)),
      proven_(std::move(proven)),
      end_(end),
      is_relayed_(is_relayed),
      descriptor_(descriptor) {}

  link(const link&) = delete;
  link& operator=(const link&) = delete;

  /// Identifies this link in this process.
  [[nodiscard]] connection_id number() const {
    return number_;
  }

  /// The peer, as it introduced itself.
  [[nodiscard]] const hello& peer() const {
    return peer_;
  }

  /// Who the peer is by its certificate; nothing without encryption.
  [[nodiscard]] const std::optional<security::facts>& proven() const {
    return proven_;
  }

  /// Who the peer is and what it may do: as its certificate proves, or without encryption as it
  /// says; then a client may do all that clients can.
  [[nodiscard]] security::facts who() const {
    if (proven_)
      return *proven_;
    return {.node = peer_.node, .as = peer_.as, .may = security::rights::operate};
  }

  /// Whether this node dialled.
  [[nodiscard]] side end() const {
    return end_;
  }

  /// Whether this node dialled it through another, which relays it (see gate::dial_through).
  [[nodiscard]] bool is_relayed() const {
    return is_relayed_;
  }

  /// The actor of the peer that receives all other requests; null while the link is not up, or if
  /// the peer has no such actor.
  [[nodiscard]] caf::strong_actor_ptr entry_point() const {
    std::lock_guard guard{mutex_};
    return entry_point_;
  }

  /// The actor that carries requests over this link (see link_actor.hpp); null while the link is
  /// not up.
  [[nodiscard]] caf::actor carrier() const {
    std::lock_guard guard{mutex_};
    return carrier_;
  }

  /// Returns whether BASP carries messages over it; stays true after the link has ended.
  [[nodiscard]] bool has_been_up() const {
    return is_up_.load(std::memory_order_acquire);
  }

  /// Returns how many bytes BASP has serialized and the kernel has not taken yet. Messages that
  /// still wait in BASP's own mailbox are not counted.
  [[nodiscard]] std::size_t queued_bytes() const {
    return queued_.load(std::memory_order_relaxed);
  }

  /// Returns how many bytes the peer has sent.
  [[nodiscard]] std::uint64_t received_bytes() const {
    return received_.load(std::memory_order_relaxed);
  }

  /// Returns how many of the peer's messages were dropped (see basp_filter).
  [[nodiscard]] std::uint64_t dropped_messages() const {
    return dropped_.load(std::memory_order_relaxed);
  }

  /// Ends the link; on_down follows once everything received has been delivered. The first reason
  /// is kept.
  void close(const std::string& why, end_cause cause = end_cause::this_node) {
    std::lock_guard guard{mutex_};
    if (reason_.empty()) {
      reason_ = why;
      cause_ = cause;
    }
    if (descriptor_ >= 0)
      ::shutdown(descriptor_, SHUT_RDWR);
  }

  /// Returns why it has ended or is about to end; empty while it is alive.
  [[nodiscard]] std::string reason() const {
    std::lock_guard guard{mutex_};
    return reason_;
  }

  /// What kind of reason that is.
  /// @pre reason() is not empty.
  [[nodiscard]] end_cause cause() const {
    std::lock_guard guard{mutex_};
    return cause_;
  }

private:
  friend class detail::gate_loop;
  friend class link_scribe;

  using clock = std::chrono::steady_clock;

  void received(std::size_t bytes) {
    received_.fetch_add(bytes, std::memory_order_relaxed);
    heard_at_.store(clock::now(), std::memory_order_relaxed);
  }

  [[nodiscard]] clock::time_point heard_at() const {
    return heard_at_.load(std::memory_order_relaxed);
  }

  /// CAF closes the descriptor now; another connection may get its number.
  void forget_descriptor() {
    std::lock_guard guard{mutex_};
    descriptor_ = -1;
  }

  /// Returns false, and keeps nothing, if release_actors() has been called.
  [[nodiscard]] bool came_up(caf::strong_actor_ptr entry_point, caf::actor carrier) {
    std::lock_guard guard{mutex_};
    if (released_)
      return false;
    entry_point_ = std::move(entry_point);
    carrier_ = std::move(carrier);
    is_up_.store(true, std::memory_order_release);
    return true;
  }

  /// Releases all actors, for ever: the carrier holds the link, and a handle must not outlive its
  /// actor system.
  caf::actor release_actors() {
    std::lock_guard guard{mutex_};
    released_ = true;
    entry_point_ = nullptr;
    return std::exchange(carrier_, nullptr);
  }

  const connection_id number_;
  const hello peer_;
  const std::optional<security::facts> proven_;
  const side end_;
  const bool is_relayed_;
  std::atomic<bool> is_up_{false};
  std::atomic<std::size_t> queued_{0};
  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<clock::time_point> heard_at_{clock::now()};
  mutable std::mutex mutex_;
  int descriptor_;
  std::string reason_;
  end_cause cause_ = end_cause::this_node;
  bool released_ = false;
  caf::strong_actor_ptr entry_point_;
  caf::actor carrier_;
};

using link_ptr = std::shared_ptr<link>;

} // namespace troupe::net
