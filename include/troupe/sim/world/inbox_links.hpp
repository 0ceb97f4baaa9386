#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/peer_lines_types.hpp"
#include "troupe/router/router_core.hpp"
#include "troupe/sim/laws/inbox_laws.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// What simulated routers say to each other over a link.
namespace inbox_words {

struct letter {
  agent_id to{};
  inbox_laws::message_number number = 0;
  router::awaited wants = router::awaited::nothing;
  std::uint64_t request = 0;
  std::size_t bytes = 0;
  std::optional<duration> life{};
};

struct parcel {
  std::vector<letter> letters;
  std::optional<std::uint64_t> mark{};
};

/// The parcel with that mark is here, and which agents are full.
struct received {
  std::uint64_t mark = 0;
  std::vector<agent_id> full{};
};

/// So are these, for which something has come.
struct full {
  std::vector<agent_id> agents{};
};

struct answer {
  std::uint64_t request = 0;
  std::optional<problem> why{};
};

struct ask_room {
  std::uint64_t number = 0;
  agent_id agent{};
};

struct room {
  std::uint64_t number = 0;
};

/// The first word over each link.
struct hello {};

using word = std::variant<hello, parcel, received, full, answer, ask_room, room>;

} // namespace inbox_words

/// The links of a world of routers. Each keeps its order and loses nothing until it is cut: then
/// all that is on it is lost, and its ends hear so later, each in its own time.
class inbox_links {
public:
  using number = router::lines::link_number;
  using word = inbox_words::word;

  explicit inbox_links(inbox_laws& laws) : laws_(laws) {}

  /// Returns the link between the two, perhaps a new one.
  number make(process_id one, process_id other) {
    auto& now = current_[std::minmax(one, other)];
    if (now == 0) {
      now = ++last_;
      links_.emplace(now, link{{one, other}});
      put(now, one, inbox_words::hello{});
      put(now, other, inbox_words::hello{});
    }
    return now;
  }

  /// Zero if there is none.
  [[nodiscard]] number between(process_id one, process_id other) const {
    auto found = current_.find(std::minmax(one, other));
    return found != current_.end() ? found->second : 0;
  }

  [[nodiscard]] process_id peer_of(number which, process_id end) const {
    auto& ends = links_.at(which).ends;
    return ends[0] == end ? ends[1] : ends[0];
  }

  void cut(number which) {
    auto& it = links_.at(which);
    it.is_cut = true;
    current_[std::minmax(it.ends[0], it.ends[1])] = 0;
    for (auto& way : it.ways)
      for (auto& each : std::exchange(way.words, {}))
        lose(each);
  }

  void slow_down(number which, duration for_each_word) {
    links_.at(which).for_each_word = for_each_word;
  }

  /// Returns when it arrives: then take() it.
  time_point send(number over, process_id from, time_point now, word what) {
    auto& it = links_.at(over);
    if (it.is_cut) {
      lose(what);
      return now;
    }
    auto& way = put(over, from, std::move(what));
    way.due = std::max(way.due, now) + it.for_each_word;
    return way.due;
  }

  /// The first word on its way to `to`; nothing if the link was cut.
  std::optional<word> take(number over, process_id to) {
    auto& it = links_.at(over);
    auto& words = it.ways[it.ends[0] == to ? 1 : 0].words;
    if (words.empty())
      return std::nullopt;
    auto first = std::move(words.front());
    words.pop_front();
    return first;
  }

private:
  struct direction {
    std::deque<word> words{};
    time_point due{};
  };

  struct link {
    std::array<process_id, 2> ends{};
    bool is_cut = false;
    duration for_each_word{};
    /// From the first end, and from the second.
    std::array<direction, 2> ways{};
  };

  direction& put(number over, process_id from, word what) {
    auto& it = links_.at(over);
    auto& way = it.ways[it.ends[0] == from ? 0 : 1];
    way.words.push_back(std::move(what));
    return way;
  }

  void lose(const word& what) {
    if (auto* letters = std::get_if<inbox_words::parcel>(&what))
      for (auto& each : letters->letters)
        laws_.end(each.number, message_end::lost);
  }

  inbox_laws& laws_;
  std::map<number, link> links_;
  std::map<std::pair<process_id, process_id>, number> current_;
  number last_ = 0;
};

} // namespace troupe::sim
