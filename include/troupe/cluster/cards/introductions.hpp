#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Decides when a node shows its card to each node that it has a link to, until it has seen the
/// card of that one: members that start at the same moment may each be there before the other
/// listens, and who has seen no card is no member, whatever else is said of it.
///
/// - The one that has dialled begins, the other one after a while.
/// - What brings no card is tried again: soon at first, then each `longest_pause`, as long as the
///   link lasts. A peer whose card does not count here stays one without.
///
/// Steps like a machine: no clock. Not thread-safe. Cost of a call: O(log n) in links.
class introductions {
public:
  /// The card of the one that has dialled is here by then, also where many join at once.
  static constexpr duration other_side_after = std::chrono::seconds{5};
  static constexpr duration first_pause = std::chrono::milliseconds{250};
  static constexpr duration longest_pause = std::chrono::seconds{8};

  /// To try after a pause, if still_wants() says so then.
  struct try_later {
    std::uint64_t ticket = 0;
    duration pause{};
  };

  /// There is a link, instead of an earlier one to that node.
  try_later link_up(const node_id& node, bool has_dialled) {
    auto& it = peers_[node] = {.ticket = ++last_ticket_};
    return {it.ticket, has_dialled ? duration::zero() : other_side_after};
  }

  void link_down(const node_id& node) {
    peers_.erase(node);
  }

  /// All links begin anew: this node goes on as another life, or was not ready before. Calls
  /// `begin(node, what)` for each.
  template <class Begin>
  void begin_anew(Begin begin) {
    for (auto& [node, each] : peers_) {
      each = {.ticket = ++last_ticket_};
      begin(node, try_later{each.ticket, {}});
    }
  }

  /// What is shown to that node from here on has this ticket; zero: there is no link.
  [[nodiscard]] std::uint64_t ticket_of(const node_id& node) const {
    auto found = peers_.find(node);
    return found != peers_.end() ? found->second.ticket : 0;
  }

  /// That node has answered with its card what it was shown with that ticket. One to which this
  /// node was an earlier life is to be shown the later one.
  void met(const node_id& node, std::uint64_t ticket) {
    if (still_wants(node, ticket))
      peers_.at(node).is_met = true;
  }

  /// Whether that try is still of use.
  [[nodiscard]] bool still_wants(const node_id& node, std::uint64_t ticket) const {
    auto found = peers_.find(node);
    return found != peers_.end() && found->second.ticket == ticket && !found->second.is_met;
  }

  /// A try has ended, and the card has come or not. Returns the next one.
  std::optional<try_later> tried(const node_id& node, std::uint64_t ticket) {
    if (!still_wants(node, ticket))
      return std::nullopt;
    auto& it = peers_.at(node);
    it.pause = it.pause == duration::zero() ? first_pause : std::min(2 * it.pause, longest_pause);
    return try_later{ticket, it.pause};
  }

private:
  struct peer {
    std::uint64_t ticket = 0;
    bool is_met = false;
    duration pause{};
  };

  std::map<node_id, peer> peers_;
  std::uint64_t last_ticket_ = 0;
};

} // namespace troupe::cluster
