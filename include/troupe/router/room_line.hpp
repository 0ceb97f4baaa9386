#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/inbox_space.hpp"

namespace troupe::router {

/// Those who wait for room for their messages, in a line for each recipient.
///
/// Only the first of a line is tried: again when somebody says that there may be room, and else
/// after a pause, which doubles up to longest_pause, as rooms are of several kinds. Each waits
/// until its own time is over. How many wait is bounded, and those who send share that, see shares.
///
/// Whoever sends to an agent of another node finds out too late that its inbox is full. There the
/// first asks how much room there is, only so many go, and then that is asked again. What is left
/// holds for a moment, so that not each message has to ask.
///
/// Steps like any machine. It has no snapshot: messages in memory do not outlive a process.
template <class What>
class room_line {
public:
  struct options {
    std::size_t max_messages = 100'000;
    std::size_t max_bytes = std::size_t{256} << 20U;
  };

  struct request {
    /// The recipient, by whatever tells it from others.
    std::string to;
    detail::share_holder by{};
    std::size_t bytes = 0;
    time_point until{};
    What what;
    /// In its line; given by this.
    std::uint64_t place = 0;
  };

  /// There may be room: `gone` or `refused` follows.
  struct attempt {
    request which;
  };

  /// There was no room in its time.
  struct too_late {
    request which;
  };

  /// How much room is there? has_room() follows.
  struct ask {
    std::string to;
  };

  using effect = std::variant<attempt, too_late, ask>;
  using effects = std::vector<effect>;

  static constexpr duration first_pause = std::chrono::milliseconds{1};
  static constexpr duration longest_pause = std::chrono::milliseconds{128};
  /// What was said to be free and is not used.
  static constexpr duration space_holds = std::chrono::seconds{1};
  static constexpr std::size_t max_spaces = 1'000;

  explicit room_line(const options& how) : options_(how) {}

  /// Whether somebody waits for that recipient, so that others go behind them.
  [[nodiscard]] bool has_line(const std::string& to) const {
    return lines_.contains(to);
  }

  /// Whether one more may wait, of so many bytes.
  [[nodiscard]] bool may_wait(const detail::share_holder& by, std::size_t bytes) const {
    auto [messages, amount] = of(by);
    auto free = options_.max_messages - std::min(options_.max_messages, size());
    auto free_bytes = options_.max_bytes - std::min(options_.max_bytes, bytes_);
    return shares<int>::may_take(messages, free)
           && shares<int>::may_take(amount, free_bytes, bytes);
  }

  /// Whether a message of so many bytes may go at once, of the room that was said to be there;
  /// takes that.
  [[nodiscard]] bool may_go(time_point now, const std::string& to, std::size_t bytes) {
    auto found = spaces_.find(to);
    if (found == spaces_.end() || found->second.until <= now || has_line(to)
        || !holds(found->second.space, bytes))
      return false;
    use(found->second.space, bytes);
    return true;
  }

  /// It waits behind those that wait for the same. The first one asks for room, or is tried.
  /// @pre may_wait()
  void wait(time_point now, request what, bool asks, effects& out) {
    what.place = ++last_;
    auto [found, is_new] = lines_.try_emplace(what.to);
    if (is_new && asks)
      ask_once(what.to, out);
    else if (is_new)
      try_at(found, now + first_pause);
    found->second.asks = found->second.asks || asks;
    enter(found->second, std::move(what));
  }

  /// What was tried has gone, or has ended: the next one is tried.
  void gone(const std::string& to, effects& out) {
    auto found = lines_.find(to);
    auto& it = found->second;
    it.is_tried = false;
    it.pause = first_pause;
    use(it.space, it.tried_bytes);
    if (it.waiting.empty())
      keep_space(to, it);
    if (it.waiting.empty() || holds(it.space, requests_.at(*it.waiting.begin()).bytes))
      go_on(found, out);
    else
      ask_once(to, out);
  }

  /// There was no room for what was tried: it goes back to its place.
  void refused(time_point now, request what) {
    auto found = lines_.find(what.to);
    auto& it = found->second;
    it.is_tried = false;
    it.space = it.asks ? inbox_space{0, 0} : inbox_space{};
    try_at(found, now + it.pause);
    it.pause = std::min(2 * it.pause, longest_pause);
    enter(it, std::move(what));
  }

  /// Somebody says that there may be room. Where it was asked for the answer says how much.
  void may_have_room(time_point now, const std::string& to, effects& out) {
    end_late(now, out);
    auto found = lines_.find(to);
    if (found == lines_.end() || asked_.contains(to))
      return;
    if (found->second.asks)
      found->second.space = {0, 0};
    go_on(found, out);
  }

  /// There is room for that recipient, so much if that is known: at least one is tried.
  void has_room(time_point now, const std::string& to, const inbox_space& space, effects& out) {
    asked_.erase(to);
    end_late(now, out);
    auto found = lines_.find(to);
    if (found == lines_.end())
      return;
    found->second.space = space;
    found->second.space_until = now + space_holds;
    go_on(found, out);
  }

  /// All that wait, in line. Nobody waits any more.
  [[nodiscard]] std::vector<request> end() {
    std::vector<request> result;
    while (!requests_.empty()) {
      auto& first = *requests_.begin();
      result.push_back(leave(first.first, lines_.at(first.second.to)));
    }
    lines_.clear();
    tries_.clear();
    return result;
  }

  void tick(time_point now, effects& out) {
    end_late(now, out);
    while (!tries_.empty() && tries_.begin()->first <= now)
      go_on(lines_.find(tries_.begin()->second), out);
  }

  /// While somebody waits: when tick() is due.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> result;
    if (!ends_.empty())
      result = ends_.begin()->first;
    if (!tries_.empty() && (!result || tries_.begin()->first < *result))
      result = tries_.begin()->first;
    return result;
  }

  /// How many wait, beside those that are tried.
  [[nodiscard]] std::size_t size() const {
    return requests_.size();
  }

  [[nodiscard]] std::size_t bytes() const {
    return bytes_;
  }

private:
  struct line {
    /// By their places.
    std::set<std::uint64_t> waiting{};
    /// The first one is with the host.
    bool is_tried = false;
    std::size_t tried_bytes = 0;
    /// Whether it has to ask for room.
    bool asks = false;
    /// What may go before it asks again.
    inbox_space space{};
    time_point space_until{};
    /// Unless one is tried, or it has asked.
    time_point try_at{};
    duration pause = first_pause;
  };

  using lines_map = std::map<std::string, line>;

  [[nodiscard]] std::pair<std::size_t, std::size_t> of(const detail::share_holder& by) const {
    auto found = shares_.find(by);
    return found != shares_.end() ? found->second : std::pair<std::size_t, std::size_t>{};
  }

  void enter(line& it, request what) {
    it.waiting.insert(what.place);
    ends_.emplace(what.until, what.place);
    bytes_ += what.bytes;
    auto& [messages, bytes] = shares_[what.by];
    ++messages;
    bytes += what.bytes;
    requests_.emplace(what.place, std::move(what));
  }

  request leave(std::uint64_t place, line& it) {
    auto gone = std::move(requests_.extract(place).mapped());
    it.waiting.erase(place);
    ends_.erase({gone.until, place});
    bytes_ -= gone.bytes;
    auto mine = shares_.find(gone.by);
    mine->second.second -= gone.bytes;
    if (--mine->second.first == 0)
      shares_.erase(mine);
    return gone;
  }

  void try_at(typename lines_map::iterator which, time_point when) {
    which->second.try_at = when;
    tries_.emplace(when, which->first);
  }

  struct left_space {
    inbox_space space{};
    time_point until{};
  };

  void ask_once(const std::string& to, effects& out) {
    if (asked_.insert(to).second)
      out.emplace_back(ask{to});
  }

  static bool holds(const inbox_space& space, std::size_t bytes) {
    return space.messages > 0 && bytes <= space.bytes;
  }

  /// For one message.
  static void use(inbox_space& of, std::size_t bytes) {
    auto take = [](std::uint64_t& from, std::uint64_t amount) {
      from -= from != inbox_space::no_end ? std::min(from, amount) : 0;
    };
    take(of.messages, 1);
    take(of.bytes, bytes);
  }

  /// What its line has not used.
  void keep_space(const std::string& to, const line& of) {
    if (!of.asks)
      return;
    if (spaces_.size() >= max_spaces)
      spaces_.erase(spaces_.begin());
    spaces_.insert_or_assign(to, left_space{of.space, of.space_until});
  }

  void go_on(typename lines_map::iterator which, effects& out) {
    auto& it = which->second;
    if (it.is_tried)
      return;
    tries_.erase({it.try_at, which->first});
    if (it.waiting.empty()) {
      lines_.erase(which);
      return;
    }
    it.is_tried = true;
    auto first = leave(*it.waiting.begin(), it);
    it.tried_bytes = first.bytes;
    out.emplace_back(attempt{std::move(first)});
  }

  void end_late(time_point now, effects& out) {
    while (!ends_.empty() && ends_.begin()->first <= now)
      end(ends_.begin()->second, out);
  }

  void end(std::uint64_t place, effects& out) {
    auto found = lines_.find(requests_.at(place).to);
    out.emplace_back(too_late{leave(place, found->second)});
    if (found->second.waiting.empty())
      go_on(found, out); // forgets the line
  }

  options options_;
  lines_map lines_;
  /// By their places: the smaller is before the larger in its line.
  std::map<std::uint64_t, request> requests_;
  std::set<std::pair<time_point, std::uint64_t>> ends_;
  /// When the first of each line is tried, unless it is.
  std::set<std::pair<time_point, std::string>> tries_;
  /// Of whom it is asked how much room there is; perhaps nobody waits for that any more. Each
  /// answer lets some go, who ask again: so there is one question at a time.
  std::set<std::string> asked_;
  /// Of those for which nobody waits.
  std::map<std::string, left_space> spaces_;
  std::size_t bytes_ = 0;
  std::map<detail::share_holder, std::pair<std::size_t, std::size_t>> shares_;
  std::uint64_t last_ = 0;
};

} // namespace troupe::router
