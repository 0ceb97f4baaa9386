#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "troupe/core/time.hpp"
#include "troupe/net/greeting.hpp"

namespace troupe::net {

/// Whether a link may be of no use any more, long before it has been silent for too long.
///
/// Another process of the peer's node wants the place of the link: usually the peer's process is
/// dead. The end of a process is known at once; only where its machine is gone, too, does it take
/// this long. Or the peer itself is there by another way, and that is no dial that has crossed with
/// the one of the link: it, or a node on the way, does not hear over the link.
///
/// The doubt lasts for three heartbeats of the peer. If it is not heard of by then, the link ends.
/// If it is, and another process was the cause, two processes have one identity: the other one is
/// refused as a duplicate for as long as a peer may be silent; then the link is doubted anew.
///
/// Steps like a machine: no clock. The link_table has one for each link, and closes that.
class link_doubt {
public:
  enum class cause : std::uint8_t { other_process, other_way };

  static constexpr int heartbeats_of_doubt = 3;

  /// Of a link whose peer has that `heartbeat`. A dial that comes before `crossing_until` may have
  /// crossed with the one of the link.
  link_doubt(duration heartbeat, time_point crossing_until)
    : heartbeat_(heartbeat), crossing_until_(crossing_until) {}

  /// Another process of the node wants the place of the link. Returns what that is told: `linked`,
  /// and the link is in doubt; or `duplicate`.
  [[nodiscard]] verdict claimed(time_point now) {
    if (proven_alive_until_ && now < *proven_alive_until_)
      return verdict::duplicate;
    if (!since_)
      since_ = now;
    why_ = cause::other_process;
    return verdict::linked;
  }

  /// The peer itself is there by another way.
  void redialled(time_point now) {
    if (since_ || now < crossing_until_)
      return;
    since_ = now;
    why_ = cause::other_way;
  }

  /// The peer, which may be silent for so long, was heard of over the link at `at`.
  void heard(time_point at, duration silence) {
    if (!since_ || at <= *since_)
      return;
    since_.reset();
    if (why_ == cause::other_process)
      proven_alive_until_ = at + silence;
  }

  /// Why the link is in doubt; nothing if it is in none.
  [[nodiscard]] std::optional<cause> why() const {
    return since_ ? std::optional{why_} : std::nullopt;
  }

  /// Returns the end of the doubt, or `deadline` if that is earlier or there is no doubt.
  [[nodiscard]] time_point limit(time_point deadline) const {
    return since_ ? std::min(deadline, *since_ + heartbeats_of_doubt * heartbeat_) : deadline;
  }

private:
  duration heartbeat_;
  time_point crossing_until_;
  /// Since then there has been a doubt, and the peer has not been heard of.
  std::optional<time_point> since_;
  /// Of the last doubt.
  cause why_ = cause::other_process;
  /// It has been heard of beside another process of the node, which is refused until then.
  std::optional<time_point> proven_alive_until_;
};

} // namespace troupe::net
