#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"

namespace troupe::cluster {

/// The dials of a finder that are under way, one for each address. Part of a machine. Cost of a
/// call: O(n).
class dial_list {
public:
  struct dial {
    request_id id = 0;
    /// When it has failed.
    time_point due{};
    /// The name in the address is found.
    bool is_resolved = false;
    /// A search has wanted it, and has given up waiting for it.
    bool is_for_search = false;
    bool is_late = false;
  };

  /// A dial that is over, and the address it was for.
  struct ended {
    net::address where;
    dial how;
  };

  explicit dial_list(std::size_t max_dials) : max_dials_(max_dials) {}

  /// Null: `where` is not being dialled.
  [[nodiscard]] dial* find(const net::address& where) {
    auto found = dials_.find(where);
    return found == dials_.end() ? nullptr : &found->second;
  }

  [[nodiscard]] bool contains(const net::address& where) const {
    return dials_.contains(where);
  }

  [[nodiscard]] bool is_full() const {
    return dials_.size() >= max_dials_;
  }

  /// @pre `where` is not being dialled, and is_full() is false.
  dial& add(const net::address& where, request_id id, time_point due) {
    return dials_[where] = {.id = id, .due = due};
  }

  void resolved(request_id id) {
    if (auto found = by(id); found != dials_.end())
      found->second.is_resolved = true;
  }

  /// None: there is no such dial any more.
  std::optional<ended> take(request_id id) {
    auto found = by(id);
    if (found == dials_.end())
      return std::nullopt;
    auto gone = dials_.extract(found);
    return ended{std::move(gone.key()), gone.mapped()};
  }

  std::vector<ended> take_due(time_point now) {
    std::vector<ended> found;
    std::erase_if(dials_, [&](auto& each) {
      auto is_due = each.second.due <= now;
      if (is_due)
        found.push_back({each.first, each.second});
      return is_due;
    });
    return found;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    for (auto& [where, each] : dials_)
      next = std::min(next.value_or(each.due), each.due);
    return next;
  }

  [[nodiscard]] std::size_t size() const {
    return dials_.size();
  }

private:
  std::map<net::address, dial>::iterator by(request_id id) {
    return std::ranges::find_if(dials_, [id](auto& each) { return each.second.id == id; });
  }

  std::size_t max_dials_;
  std::map<net::address, dial> dials_;
};

} // namespace troupe::cluster
