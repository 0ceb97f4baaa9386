#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/laws/history.hpp"

/// What the clients of a run of `troupe chaos` saw, and how it is checked.
namespace cli::chaos {

/// The answer that a client got before its own time-out.
enum class word : std::uint8_t {
  none,
  /// The service answered: done, or refused.
  answer,
  /// There is no majority, and nothing was done.
  no_quorum,
};

/// How many calls were answered before the time-out of the call.
struct share_in_time {
  std::size_t calls = 0;
  std::size_t answered = 0;
  /// Not answered, but refused in time because there is no majority.
  std::size_t no_quorum = 0;
  /// The same without calls during a time in which no node heard another.
  std::size_t calls_with_majority = 0;
  std::size_t answered_with_majority = 0;
};

/// The history of a run, on one clock for all clients. Thread-safe.
class recorder {
public:
  using clock = std::chrono::steady_clock;

  [[nodiscard]] std::int64_t now_ns() const {
    return std::chrono::nanoseconds{clock::now() - started_}.count();
  }

  /// Records that a request is about to be sent; returns its index.
  std::size_t call(const std::string& client, const std::string& key,
                   troupe::sim::step_of_history what) {
    std::lock_guard guard{mutex_};
    what.call = now_ns();
    return lines_.call(client, key, std::move(what));
  }

  /// Records how a call ended; the client's own time-out is `patience`.
  void answer(std::size_t place, troupe::sim::outcome how, std::optional<std::string> result,
              word last, troupe::duration patience) {
    auto now = now_ns();
    std::lock_guard guard{mutex_};
    auto in_time = now - lines_.operations()[place].what.call <= patience.count();
    lines_.answer(place, how, std::move(result), now);
    ends_.resize(lines_.operations().size());
    ends_[place] = {now, in_time ? last : word::none};
  }

  /// Whether the history has reached its bound of calls.
  [[nodiscard]] bool is_full() const {
    std::lock_guard guard{mutex_};
    return lines_.operations().size() >= max_calls;
  }

  /// @pre All clients have ended.
  [[nodiscard]] const troupe::sim::history& lines() const {
    return lines_;
  }

  /// Counts the calls so far. `leaderless`: spans in which no majority was connected.
  /// @pre All clients have ended.
  [[nodiscard]] share_in_time
  count(const std::vector<std::pair<std::int64_t, std::int64_t>>& leaderless) const {
    share_in_time counted;
    for (std::size_t place = 0; place < ends_.size(); ++place) {
      auto begin = lines_.operations()[place].what.call;
      auto& [end, last] = ends_[place];
      auto is_answered = last == word::answer;
      ++counted.calls;
      counted.answered += is_answered ? 1 : 0;
      counted.no_quorum += last == word::no_quorum ? 1 : 0;
      if (std::ranges::any_of(leaderless,
                              [&](auto& span) { return begin < span.second && end > span.first; }))
        continue;
      ++counted.calls_with_majority;
      counted.answered_with_majority += is_answered ? 1 : 0;
    }
    return counted;
  }

  /// About 1 GB.
  static constexpr std::size_t max_calls = 2'000'000;

private:
  struct end_of_call {
    std::int64_t at = 0;
    word last = word::none;
  };

  const clock::time_point started_ = clock::now();
  mutable std::mutex mutex_;
  troupe::sim::history lines_;
  std::vector<end_of_call> ends_;
};

/// The keys that clients work on. After a number of operations a key is replaced by another one,
/// because the search for an order grows with the operations of a key. The final value of a
/// replaced key is read some time later, during the run, so that the end of a long run has little
/// to do. Thread-safe.
class key_ring {
public:
  struct options {
    std::string prefix;
    /// How many keys are used at a time.
    std::size_t width = 1;
    /// Operations of unknown outcome after which a key is replaced.
    std::size_t max_unsure = 0;
    std::size_t max_uses = 100;
  };

  explicit key_ring(options how) : how_(std::move(how)) {
    for (std::size_t count = 0; count < how_.width; ++count)
      current_.push_back(make());
  }

  std::string take(troupe::random_source& random, std::int64_t now_ns) {
    std::lock_guard guard{mutex_};
    auto& each = current_[random.below(current_.size())];
    auto name = each.name;
    if (++each.uses >= how_.max_uses)
      replace(each, now_ns);
    return name;
  }

  void unsure(const std::string& name, std::int64_t now_ns) {
    std::lock_guard guard{mutex_};
    for (auto& each : current_)
      if (each.name == name && ++each.unsure > how_.max_unsure)
        replace(each, now_ns);
  }

  struct old_key {
    std::string name;
    /// When it was replaced.
    std::int64_t since_ns = 0;
  };

  /// A key that has not been used for `settle`, to be read; call again() if that fails.
  std::optional<old_key> take_old(std::int64_t now_ns) {
    std::lock_guard guard{mutex_};
    if (old_.empty() || now_ns - old_.front().looked_ns < settle.count())
      return std::nullopt;
    auto found = std::move(old_.front().what);
    old_.pop_front();
    return found;
  }

  void again(old_key what, std::int64_t now_ns) {
    std::lock_guard guard{mutex_};
    old_.push_back({std::move(what), now_ns});
  }

  /// All keys whose final value has not been read.
  [[nodiscard]] std::vector<old_key> left(std::int64_t now_ns) const {
    std::lock_guard guard{mutex_};
    std::vector<old_key> result;
    for (auto& each : old_)
      result.push_back(each.what);
    for (auto& each : current_)
      result.push_back({each.name, now_ns});
    return result;
  }

private:
  struct key {
    std::string name;
    std::size_t uses = 0;
    std::size_t unsure = 0;
  };

  struct waiting {
    old_key what;
    /// When it was last used or read.
    std::int64_t looked_ns = 0;
  };

  key make() {
    return {how_.prefix + std::to_string(++made_), 0, 0};
  }

  void replace(key& which, std::int64_t now_ns) {
    old_.push_back({{std::exchange(which, make()).name, now_ns}, now_ns});
  }

  /// After this time operations that were under way when a key was replaced have ended.
  static constexpr troupe::duration settle = std::chrono::seconds{20};

  const options how_;
  mutable std::mutex mutex_;
  std::vector<key> current_;
  std::deque<waiting> old_;
  std::uint64_t made_ = 0;
};

/// How many keys this number of clients works on at a time, at least `least`. The search for an
/// order grows exponentially with the overlapping operations of a key: with 10 clients on one key
/// it takes milliseconds, with 20 most of a minute.
constexpr std::size_t width_for(std::size_t clients, std::size_t least) {
  constexpr std::size_t clients_of_a_key = 5;
  return std::max(least, (clients + clients_of_a_key - 1) / clients_of_a_key);
}

/// The findings of a check.
struct findings {
  std::vector<std::string> violations;
  /// Keys for which the search was given up.
  std::vector<std::string> undecided;
};

/// How long a check may take; the rest is undecided.
inline constexpr auto max_check = std::chrono::minutes{2};

/// How many states the search for an order of one key may visit; about 500 bytes each.
inline constexpr std::size_t max_states = 1'000'000;

/// Checks each key of a history against a model.
template <class Model>
void check_linearizable(const Model& model, const troupe::sim::history& lines, findings& found,
                        troupe::duration limit = max_check) {
  auto deadline = std::chrono::steady_clock::now() + limit;
  std::map<std::string, std::vector<const troupe::sim::operation*>> keys;
  for (auto& each : lines.operations())
    keys[each.key].push_back(&each);
  for (auto& [key, operations] : keys) {
    if (std::chrono::steady_clock::now() >= deadline) {
      found.undecided.push_back("there was no time left to check the history of " + key);
      continue;
    }
    troupe::sim::history part;
    for (auto* each : operations)
      part.add(*each);
    switch (troupe::sim::judge(model, part, max_states).outcome) {
      case troupe::sim::verdict::linearizable:
        break;
      case troupe::sim::verdict::violated:
        found.violations.push_back("the history of " + key + " is not linearizable");
        break;
      case troupe::sim::verdict::undecided:
        found.undecided.push_back("the search for an order of the history of " + key
                                  + " was given up");
    }
  }
}

/// The largest number of clients that shared a lock at the same time: each holds it from its answer
/// until it asks to release it.
inline std::size_t most_sharers(const troupe::sim::history& lines) {
  using place = std::pair<std::string, std::string>; // key and token
  std::map<place, std::int64_t> ends;
  for (auto& each : lines.operations())
    if (each.what.verb == "release")
      ends.try_emplace({each.key, each.what.argument.value_or("")}, each.what.call);
  std::map<std::string, std::map<std::int64_t, int>> changes;
  for (auto& each : lines.operations())
    if (each.what.verb == "acquire_shared" && each.what.how == troupe::sim::outcome::ok) {
      auto& of_key = changes[each.key];
      ++of_key[*each.end];
      if (auto end = ends.find({each.key, each.what.result.value_or("")}); end != ends.end())
        --of_key[end->second];
    }
  std::size_t most = 0;
  for (auto& [key, times] : changes) {
    std::int64_t now = 0;
    for (auto& [at, change] : times)
      most = std::max(most, static_cast<std::size_t>(std::max<std::int64_t>(now += change, 0)));
  }
  return most;
}

} // namespace cli::chaos
