#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "troupe/core/time.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

/// Finds out which links of members have missed three heartbeats of the peer, 1.5 s at least, so
/// that the peer can be asked by another way long before the link is given up. Each silence of a
/// link is found once.
///
/// A look finds max_at_once at most, those that are silent for longest; the others are found by the
/// next looks. Where all links fall silent at once it is likely to be this node that is cut off:
/// one that asks all others then, and hears no answer, accuses each of them.
///
/// Looks at all links twice a second: at rest it costs two wake-ups a second of its owner's thread
/// and O(n) in links of members, and nothing without such links. So a silence is found up to half
/// a second late. A look that is late itself means that this process stood still (SIGSTOP, a busy
/// machine) and has not read what came meanwhile: silences count from the end of that on.
///
/// Steps like a machine: no clock, and links come out. Not thread-safe. As many links as the
/// link_table has.
class silence_watch {
public:
  static constexpr duration look_every = std::chrono::milliseconds{500};
  static constexpr duration least_silence = std::chrono::milliseconds{1500};
  static constexpr int missed_heartbeats = 3;
  static constexpr std::size_t max_at_once = 3;
  /// Of a look. With a stall of less, from one look to the next, a link seems to be silent for a
  /// heartbeat and three quarters of a second at most, which is no reason yet.
  static constexpr duration longest_delay = look_every / 2;

  /// A link is up. Clients are not watched: nobody asks them whether they are there.
  void watch(time_point now, connection_id which, const hello& peer) {
    if (peer.as != role::member)
      return;
    links_.emplace(which, watched{std::max(least_silence, missed_heartbeats * peer.heartbeat), {}});
    if (!next_look_)
      next_look_ = now + look_every;
  }

  /// The link has ended.
  void forget(connection_id which) {
    links_.erase(which);
    if (links_.empty())
      next_look_.reset();
  }

  /// Returns the links that were found to be silent. `heard_at(which)` gives the time at which the
  /// peer sent something last, or nothing for a link that is being closed.
  template <class HeardAt>
  std::vector<connection_id> tick(time_point now, HeardAt heard_at) {
    if (!next_look_ || now < *next_look_)
      return {};
    if (now - *next_look_ > longest_delay)
      awake_since_ = now;
    next_look_ = now + look_every;
    std::vector<std::pair<time_point, connection_id>> silent;
    for (auto& [which, it] : links_) {
      std::optional<time_point> heard = heard_at(which);
      if (!heard || heard == it.found_after || now - std::max(*heard, awake_since_) < it.patience)
        continue;
      silent.emplace_back(*heard, which);
    }
    std::ranges::sort(silent);
    silent.resize(std::min(silent.size(), max_at_once));
    std::vector<connection_id> found;
    for (auto& [heard, which] : silent) {
      links_.at(which).found_after = heard;
      found.push_back(which);
    }
    return found;
  }

  /// When to call tick(); nothing without links of members.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return next_look_;
  }

private:
  struct watched {
    duration patience;
    /// When it was heard of last before the silence that was found last.
    std::optional<time_point> found_after;
  };

  std::map<connection_id, watched> links_;
  std::optional<time_point> next_look_;
  /// The end of the last stall.
  time_point awake_since_{};
};

} // namespace troupe::net
