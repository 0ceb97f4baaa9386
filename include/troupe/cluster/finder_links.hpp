#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "troupe/core/time.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// The links of a finder, and since when each has had no use. Part of a machine. Cost of a call:
/// O(n).
class finder_links {
public:
  /// `idle_after` as in finder_options; zero: others close links, and those without a use are
  /// forgotten here at once. Beyond `max_links` the one that has had no use for longest is closed.
  finder_links(duration idle_after, std::size_t max_links)
    : idle_after_(idle_after), max_links_(max_links) {}

  void add(net::connection_id link) {
    links_[link] = {};
  }

  /// Returns whether it was known.
  bool remove(net::connection_id link) {
    return links_.erase(link) != 0;
  }

  [[nodiscard]] bool contains(net::connection_id link) const {
    return links_.contains(link);
  }

  /// Notes which links have a use now. A link that is kept is not forgotten, used or not. Returns
  /// those to close.
  template <class IsUsed, class IsKept>
  std::vector<net::connection_id> settle(time_point now, IsUsed is_used, IsKept is_kept) {
    auto others_close = idle_after_ <= duration::zero();
    std::erase_if(links_, [&](auto& each) {
      return others_close && !is_used(each.first) && !is_kept(each.first);
    });
    for (auto& [link, state] : links_)
      if (is_used(link))
        state = {};
      else if (!others_close && !state.idle_at && !state.is_closing)
        state.idle_at = now + idle_after_;
    std::vector<net::connection_id> excess;
    while (links_.size() > max_links_) {
      auto oldest = links_.end();
      for (auto each = links_.begin(); each != links_.end(); ++each)
        if (!is_used(each->first) && !is_kept(each->first)
            && (oldest == links_.end() || each->second.idle_at < oldest->second.idle_at))
          oldest = each;
      if (oldest == links_.end())
        break;
      excess.push_back(oldest->first);
      links_.erase(oldest);
    }
    return excess;
  }

  /// Those that have had no use for long enough, once; to be closed.
  std::vector<net::connection_id> take_idle(time_point now) {
    std::vector<net::connection_id> found;
    for (auto& [link, state] : links_)
      if (state.idle_at && *state.idle_at <= now) {
        state = {.idle_at = {}, .is_closing = true};
        found.push_back(link);
      }
    return found;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    for (auto& [link, each] : links_)
      if (each.idle_at)
        next = std::min(next.value_or(*each.idle_at), *each.idle_at);
    return next;
  }

  /// Those that count as idle, for checks.
  [[nodiscard]] std::vector<net::connection_id> idle() const {
    std::vector<net::connection_id> found;
    for (auto& [link, each] : links_)
      if (each.idle_at)
        found.push_back(link);
    return found;
  }

  [[nodiscard]] std::size_t size() const {
    return links_.size();
  }

private:
  struct use {
    /// When it has had no use for long enough; none while it has one, or if it is to be closed.
    std::optional<time_point> idle_at{};
    bool is_closing = false;
  };

  duration idle_after_;
  std::size_t max_links_;
  std::map<net::connection_id, use> links_;
};

} // namespace troupe::cluster
