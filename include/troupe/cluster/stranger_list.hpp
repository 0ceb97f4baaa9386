#pragma once

#include <cstddef>
#include <map>
#include <optional>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Nodes of which a member has spoken and of which this one knows too little, and since when
/// somebody is asked about each: so a hundred rumours of a stranger cost one question.
/// At most `limit`; when it is full, only one that waits for an answer in vain gives way.
/// Not thread-safe. Cost: O(log n), O(n) while full.
class stranger_list {
public:
  stranger_list(std::size_t limit, duration patience) : limit_(limit), patience_(patience) {}

  /// Returns whether to ask about it now. `is_news`: others may not know it yet.
  bool ask(time_point now, const node_id& whom, bool is_news) {
    auto found = strangers_.find(whom);
    if (found != strangers_.end() && now - found->second.asked < patience_)
      return false;
    if (found == strangers_.end() && strangers_.size() >= limit_
        && std::erase_if(strangers_, [&](auto& each) {
             return now - each.second.asked >= patience_;
           }) == 0)
      return false;
    is_news = is_news || (found != strangers_.end() && found->second.is_news);
    strangers_.insert_or_assign(whom, stranger{now, is_news});
    return true;
  }

  /// It is known now. Returns whether others may not know it yet; no value if nobody was asked.
  std::optional<bool> met(const node_id& whom) {
    auto found = strangers_.extract(whom);
    return found ? std::optional{found.mapped().is_news} : std::nullopt;
  }

  [[nodiscard]] std::size_t size() const {
    return strangers_.size();
  }

private:
  struct stranger {
    time_point asked;
    bool is_news = true;
  };

  std::size_t limit_;
  duration patience_;
  std::map<node_id, stranger> strangers_;
};

} // namespace troupe::cluster
