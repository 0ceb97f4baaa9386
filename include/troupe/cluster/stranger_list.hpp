#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Nodes of which a member has spoken and of which this one knows too little, and since when
/// somebody is asked about each: so a hundred rumours of a stranger cost one question.
/// At most `limit`. When it is full, those give way about which nobody has answered for `patience`;
/// if there are none, the oldest of the member that has spoken of the most, unless that is the one
/// that speaks now. So one that tells of strangers without end costs `limit` questions in each
/// `patience`, and leaves room for what others tell. Not thread-safe. Cost: O(log n), amortized;
/// when full, O(members that have spoken).
class stranger_list {
public:
  /// One that was not met yet.
  struct stranger {
    time_point asked{};
    node_id from{};
    /// Others may not know it yet.
    bool is_news = true;
    /// It was shown dead, and alive by nobody.
    std::optional<past_death> dead{};
  };

  stranger_list(std::size_t limit, duration patience) : limit_(limit), patience_(patience) {}

  /// Returns whether to ask about it now. `from` has spoken of it; `is_news`: others may not know
  /// it yet.
  bool ask(time_point now, const node_id& whom, const node_id& from, bool is_news) {
    if (auto found = strangers_.find(whom); found != strangers_.end())
      found->second.dead.reset();
    return ask(whom, {now, from, is_news, {}});
  }

  /// As ask(): `from` shows it dead, which is no news.
  bool ask_of_dead(time_point now, const node_id& from, const past_death& what) {
    auto found = strangers_.find(what.what.node);
    auto is_alive = found != strangers_.end() && !found->second.dead;
    return ask(what.what.node, {now, from, false, is_alive ? std::nullopt : std::optional{what}});
  }

  /// It is known now. Returns what was known of it; no value if nobody was asked.
  std::optional<stranger> met(const node_id& whom) {
    auto found = strangers_.find(whom);
    if (found == strangers_.end())
      return std::nullopt;
    auto known = found->second;
    drop(found);
    return known;
  }

  [[nodiscard]] std::size_t size() const {
    return strangers_.size();
  }

private:
  bool ask(const node_id& whom, stranger what) {
    auto found = strangers_.find(whom);
    if (found == strangers_.end()) {
      if (strangers_.size() >= limit_ && !make_room(what.asked, what.from))
        return false;
    } else {
      if (what.asked - found->second.asked < patience_)
        return false;
      what.is_news = what.is_news || found->second.is_news;
      drop(found);
    }
    by_age_.emplace(what.asked, whom);
    by_teller_[what.from].emplace(what.asked, whom);
    strangers_.emplace(whom, what);
    return true;
  }

  using by_age = std::set<std::pair<time_point, node_id>>;

  bool make_room(time_point now, const node_id& from) {
    while (!by_age_.empty() && now - by_age_.begin()->first >= patience_)
      drop(strangers_.find(node_id{by_age_.begin()->second}));
    if (strangers_.size() < limit_)
      return true;
    auto most
      = std::ranges::max_element(by_teller_, {}, [](auto& each) { return each.second.size(); });
    auto own = by_teller_.find(from);
    if (most == by_teller_.end()
        || (own != by_teller_.end() && own->second.size() + 1 >= most->second.size()))
      return false;
    drop(strangers_.find(node_id{most->second.begin()->second}));
    return true;
  }

  void drop(std::map<node_id, stranger>::iterator which) {
    auto& [whom, each] = *which;
    by_age_.erase({each.asked, whom});
    auto told = by_teller_.find(each.from);
    told->second.erase({each.asked, whom});
    if (told->second.empty())
      by_teller_.erase(told);
    strangers_.erase(which);
  }

  std::size_t limit_;
  duration patience_;
  std::map<node_id, stranger> strangers_;
  by_age by_age_;
  std::map<node_id, by_age> by_teller_;
};

} // namespace troupe::cluster
