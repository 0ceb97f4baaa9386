#pragma once

#include <optional>

#include "troupe/core/flaw.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/side.hpp"

namespace troupe::net {

/// Decides when one side of a link sends a heartbeat, so that one exchange serves both directions.
///
/// The side that accepted the link sends one each interval. The other side answers it at once, and
/// sends one by itself only if it has answered none for longer than an interval. So a node that
/// many others have dialled hears from all of them right after its own turn, which takes it a few
/// wake-ups; by themselves they would come at as many different times as there are links. And the
/// answer carries TCP's acknowledgement. Other messages are signs of life as well: where both sides
/// send some, there is no heartbeat for half an interval.
///
/// The peer hears from this side one and a half intervals after the last time at most; two and a
/// quarter, if that was an answer and the peer has sent no heartbeat since. A peer of a release
/// that answers none sends one each interval, whichever side it is.
///
/// Steps like a machine: no clock. Not thread-safe.
class heartbeat_turns {
public:
  heartbeat_turns(side end, duration interval) : end_(end), interval_(interval) {}

  /// Something else than a heartbeat is sent.
  void sent(time_point now) {
    sent_at_ = now;
  }

  /// One more interval is over. Returns whether to send a heartbeat. The peer was heard of last at
  /// `heard_at`.
  [[nodiscard]] bool is_due(time_point now, time_point heard_at) const {
    if (end_ == side::accepted) // the other side waits for this one
      return !has_just_sent(now) || now - heard_at >= interval_ / 2;
    if (planted_flaw == flaw::heartbeats_left_to_peer)
      return false;
    return !has_just_sent(now) && !has_just_answered(now);
  }

  /// The peer has sent a heartbeat. Returns whether to answer it with one.
  [[nodiscard]] bool has_to_answer(time_point now) {
    if (end_ == side::accepted || has_just_sent(now))
      return false;
    answered_at_ = now;
    sent_at_ = now;
    return true;
  }

private:
  [[nodiscard]] bool has_just_sent(time_point now) const {
    return sent_at_ && now - *sent_at_ < interval_ / 2;
  }

  /// The next heartbeat may be late by a quarter of an interval.
  [[nodiscard]] bool has_just_answered(time_point now) const {
    return answered_at_ && now - *answered_at_ < interval_ + interval_ / 4;
  }

  side end_;
  duration interval_;
  /// The last answer or other message, but no heartbeat of its own.
  std::optional<time_point> sent_at_;
  std::optional<time_point> answered_at_;
};

} // namespace troupe::net
