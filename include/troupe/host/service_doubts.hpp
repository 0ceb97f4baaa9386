#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::host {

/// Decides when a service that does not answer is in doubt: it may hang, and the node that has it
/// is asked. Part of `client_core`.
///
/// - A request that comes is in doubt after doubt_after without any sign of life of the service;
///   the same requests again after ever longer pauses, of 8 s at most.
/// - A request that rests there by design, as a long poll does, is no reason for a doubt but after
///   the longest pause.
///
/// The ids of requests rise. Not thread-safe. Cost of a call: O(1).
class service_doubts {
public:
  /// `doubt_after`: zero for no doubts.
  explicit service_doubts(duration doubt_after) : doubt_after_(doubt_after) {}

  /// The service is there, or elsewhere than before.
  void begin(time_point now) {
    heard_at_ = now;
    doubted_ = 0;
    fresh_ = lively_;
  }

  void heard(time_point now) {
    heard_at_ = now;
  }

  /// A request waits from now on. `is_only`: no other one does.
  void waits(time_point now, bool rests, bool is_only) {
    if (rests ? is_only : fresh_ == 0)
      heard_at_ = now; // those that wait have been doubted for
    if (rests)
      return;
    ++lively_;
    ++fresh_;
  }

  /// That request waits no more.
  void ends(request_id id, bool rests) {
    if (rests)
      return;
    --lively_;
    fresh_ -= id > doubted_ ? 1 : 0;
  }

  /// When the service is in doubt, while requests wait and it is said to be there.
  [[nodiscard]] std::optional<time_point> due() const {
    if (doubt_after_ <= duration::zero())
      return std::nullopt;
    return heard_at_ + pause();
  }

  /// It is, for all requests up to `last`.
  void doubt(time_point now, request_id last) {
    pause_ = std::max(doubt_after_, std::min(2 * pause(), longest_pause));
    doubted_ = last;
    fresh_ = 0;
    heard_at_ = now;
  }

private:
  [[nodiscard]] duration pause() const {
    if (fresh_ > 0)
      return doubt_after_;
    return lively_ > 0 ? pause_ : std::max(doubt_after_, longest_pause);
  }

  /// A client looks after the service at rest, too, so that a doubt is not all that finds a hang.
  static constexpr duration longest_pause = std::chrono::seconds{8};

  duration doubt_after_;
  /// Last sign of life, or doubt; or when a request came while no fresh one waited.
  time_point heard_at_{};
  request_id doubted_ = 0; // the last request that was there at a doubt
  std::size_t lively_ = 0; // requests that do not rest
  std::size_t fresh_ = 0;  // those of them that have come since the last doubt
  duration pause_{};       // before another doubt for the same
};

} // namespace troupe::host
