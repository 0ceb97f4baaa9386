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
/// after a pause, which doubles up to longest_pause, as rooms are of several kinds. Where it is
/// said how much room there is, as by the node of the agent, only so many go before that is asked
/// again: what goes must not fill it once more. Each waits until its own time is over. How many
/// wait is bounded, and those who send share that, see shares.
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

  /// The room of which was said is used up: has_room() follows.
  struct ask {
    std::string to;
  };

  using effect = std::variant<attempt, too_late, ask>;
  using effects = std::vector<effect>;

  static constexpr duration first_pause = std::chrono::milliseconds{1};
  static constexpr duration longest_pause = std::chrono::milliseconds{128};

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

  /// It waits behind those that wait for the same.
  /// @pre may_wait()
  void wait(time_point now, request what) {
    what.place = ++last_;
    auto [found, is_new] = lines_.try_emplace(what.to);
    if (is_new)
      try_at(found, now + first_pause);
    enter(found->second, std::move(what));
  }

  /// What was tried has gone, or has ended: the next one is tried.
  void gone(const std::string& to, effects& out) {
    auto found = lines_.find(to);
    auto& it = found->second;
    it.is_tried = false;
    it.pause = first_pause;
    use(it.space.messages, 1);
    use(it.space.bytes, it.tried_bytes);
    if (it.waiting.empty() || has_space(it))
      go_on(found, out);
    else
      out.emplace_back(ask{to});
  }

  /// There was no room for what was tried: it goes back to its place.
  void refused(time_point now, request what) {
    auto found = lines_.find(what.to);
    auto& it = found->second;
    it.is_tried = false;
    it.space = {};
    try_at(found, now + it.pause);
    it.pause = std::min(2 * it.pause, longest_pause);
    enter(it, std::move(what));
  }

  /// There may be room for that recipient, so much if that is known: at least one is tried.
  void has_room(const std::string& to, const inbox_space& space, effects& out) {
    auto found = lines_.find(to);
    if (found == lines_.end())
      return;
    found->second.space = space;
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
    while (!ends_.empty() && ends_.begin()->first <= now)
      end(ends_.begin()->second, out);
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
    /// What may go before it is asked for more.
    inbox_space space{};
    /// Unless one is tried, or it was asked for more space.
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

  static void use(std::uint64_t& of, std::uint64_t amount) {
    of -= of != inbox_space::no_end ? std::min(of, amount) : 0;
  }

  [[nodiscard]] bool has_space(const line& it) const {
    return it.space.messages > 0 && requests_.at(*it.waiting.begin()).bytes <= it.space.bytes;
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
  std::size_t bytes_ = 0;
  std::map<detail::share_holder, std::pair<std::size_t, std::size_t>> shares_;
  std::uint64_t last_ = 0;
};

} // namespace troupe::router
