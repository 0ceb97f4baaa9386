#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Nodes of which a member has spoken and of which this one knows too little, and since when
/// somebody is asked about each: so a hundred rumours of a stranger cost one question.
/// At most `limit`; when it is full, only those give way about which nobody has
/// answered for `patience`. Not thread-safe. Cost: O(log n), amortized.
class stranger_list {
public:
  stranger_list(std::size_t limit, duration patience) : limit_(limit), patience_(patience) {}

  /// Returns whether to ask about it now. `is_news`: others may not know it yet.
  bool ask(time_point now, const node_id& whom, bool is_news) {
    auto found = strangers_.find(whom);
    if (found == strangers_.end()) {
      if (strangers_.size() >= limit_)
        drop_unanswered(now);
      if (strangers_.size() >= limit_)
        return false;
      strangers_.emplace(whom, stranger{now, is_news});
    } else {
      auto& each = found->second;
      if (now - each.asked < patience_)
        return false;
      by_age_.erase({each.asked, whom});
      each = {now, is_news || each.is_news};
    }
    by_age_.emplace(now, whom);
    return true;
  }

  /// It is known now. Returns whether others may not know it yet; no value if nobody was asked.
  std::optional<bool> met(const node_id& whom) {
    auto found = strangers_.extract(whom);
    if (!found)
      return std::nullopt;
    by_age_.erase({found.mapped().asked, whom});
    return found.mapped().is_news;
  }

  [[nodiscard]] std::size_t size() const {
    return strangers_.size();
  }

private:
  struct stranger {
    time_point asked;
    bool is_news = true;
  };

  void drop_unanswered(time_point now) {
    while (!by_age_.empty() && now - by_age_.begin()->first >= patience_) {
      strangers_.erase(by_age_.begin()->second);
      by_age_.erase(by_age_.begin());
    }
  }

  std::size_t limit_;
  duration patience_;
  std::map<node_id, stranger> strangers_;
  std::set<std::pair<time_point, node_id>> by_age_;
};

} // namespace troupe::cluster
