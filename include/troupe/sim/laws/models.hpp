#pragma once

#include <algorithm>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "troupe/sim/laws/linearizability.hpp"

/// Sequential models of a register, a counter, a queue and a lock, for
/// sim/laws/linearizability.hpp.
namespace troupe::sim {

/// What a client knows about the outcome of an operation.
enum class outcome : std::uint8_t {
  /// It took effect and returned `result`.
  ok = 0,
  /// The service said that it took no effect: compare failed, lock held, not the holder.
  fail = 1,
  /// Time ran out, or the connection broke.
  unknown = 2,
};

constexpr const char* name_of(outcome how) noexcept {
  switch (how) {
    case outcome::ok:
      return "ok";
    case outcome::fail:
      return "fail";
    case outcome::unknown:
      return "unknown";
  }
  return "unknown";
}

/// One operation on one key. Values are text, so that any value can be compared.
struct step_of_history {
  std::string verb;
  /// The value to write, push, compare with or add, or the token.
  std::optional<std::string> argument;
  /// For cas: the value to write. For a lease: its ttl in nanoseconds.
  std::optional<std::string> second;
  std::optional<std::string> result;
  outcome how = outcome::ok;
  /// Nanoseconds on the history's clock.
  std::int64_t call = 0;
};

namespace detail {

/// Returns the number in a text; zero if there is no text, nothing if it is not a number.
template <class Number>
std::optional<Number> number_in(const std::optional<std::string>& text) {
  if (!text)
    return Number{};
  Number found{};
  auto* end = text->data() + text->size();
  auto [last, fault] = std::from_chars(text->data(), end, found);
  return fault == std::errc{} && last == end ? std::optional{found} : std::nullopt;
}

} // namespace detail

/// read -> value, write value, cas from to. get, put and append are the same for a key of a table;
/// delete removes the value.
struct register_model {
  using state = std::optional<std::string>;

  [[nodiscard]] std::optional<state> apply(const state& now, const step_of_history& what) const {
    auto is_known = what.how != outcome::unknown;
    if (what.verb == "read" || what.verb == "get")
      return !is_known || what.how == outcome::fail || now == what.result
               ? std::optional<state>{now}
               : std::nullopt;
    if (what.how == outcome::fail)
      return what.verb != "cas" || now != what.argument ? std::optional<state>{now} : std::nullopt;
    if (what.verb == "write" || what.verb == "put")
      return state{what.argument};
    if (what.verb == "append")
      return state{now.value_or("") + what.argument.value_or("")};
    if (what.verb == "delete")
      return std::optional<state>{std::in_place};
    if (what.verb == "cas") {
      if (now == what.argument)
        return state{what.second};
      return is_known ? std::nullopt : std::optional<state>{now};
    }
    return std::nullopt;
  }
};

/// A key of a table that numbers its changes, so that a value that was removed and written again is
/// not mistaken for the one that was read:
/// get -> number value, or the number alone if there is no value; put value -> number;
/// delete -> number; cas from to -> number; put_seen and delete_seen with a number that was read or
/// returned -> number: accepted only if the key has not changed since. They may also be refused
/// without a change, because the table may have forgotten when a key was removed.
struct numbered_register_model {
  struct state {
    std::optional<std::string> value;
    /// Number of the last change, or a lower one if no client saw that.
    std::uint64_t last = 0;

    friend auto operator<=>(const state&, const state&) = default;
  };

  [[nodiscard]] std::optional<state> apply(const state& now, const step_of_history& what) const {
    if (what.verb == "get")
      return what.how != outcome::ok || shows(now, what.result.value_or("")) ? std::optional{now}
                                                                             : std::nullopt;
    auto is_cas = what.verb == "cas";
    auto is_seen = what.verb == "put_seen" || what.verb == "delete_seen";
    auto fits = (!is_cas || now.value == what.argument)
                && (!is_seen || now.last <= number_of(what.argument));
    if (what.how == outcome::fail)
      return is_cas && fits ? std::nullopt : std::optional{now};
    auto after = now;
    if (what.verb == "put")
      after.value = what.argument;
    else if (what.verb == "delete" || what.verb == "delete_seen")
      after.value.reset();
    else if (is_cas || is_seen)
      after.value = what.second;
    else
      return std::nullopt;
    if (what.how == outcome::unknown) {
      ++after.last;
      return fits ? after : now;
    }
    after.last = number_of(what.result);
    return fits && after.last > now.last ? std::optional{after} : std::nullopt;
  }

private:
  static std::uint64_t number_of(const std::optional<std::string>& text) {
    return detail::number_in<std::uint64_t>(text).value_or(0);
  }

  /// Whether a read in state `now` may return `found`. Its number is the table's, so it is at least
  /// the key's.
  static bool shows(const state& now, const std::string& found) {
    auto space = found.find(' ');
    auto value = space != std::string::npos ? std::optional{found.substr(space + 1)} : std::nullopt;
    return now.value == value && now.last <= number_of(found.substr(0, space));
  }
};

/// add n -> value (after); get -> value.
struct counter_model {
  using state = std::int64_t;

  [[nodiscard]] std::optional<state> apply(state now, const step_of_history& what) const {
    if (what.how == outcome::fail)
      return now;
    if (what.verb == "add") {
      auto more = detail::number_in<state>(what.argument);
      if (!more)
        return std::nullopt;
      now += *more;
    } else if (what.verb != "get") {
      return std::nullopt;
    }
    auto fits = what.how == outcome::unknown || what.result == std::to_string(now);
    return fits ? std::optional<state>{now} : std::nullopt;
  }
};

/// push value; pop -> value or nothing.
struct queue_model {
  struct state {
    std::deque<std::string> items;
    /// How many values have been pushed so far.
    std::size_t pushes = 0;

    friend auto operator<=>(const state&, const state&) = default;
  };

  /// A model for a whole history: of two values popped one after the other, the first was pushed
  /// before the second. Without this, the order of concurrent pushes is only guessed until the
  /// values are popped, and the search grows exponentially with the length of the queue.
  [[nodiscard]] static queue_model knowing(const std::vector<step_of_history>& all,
                                           const std::vector<interval>& when) {
    queue_model made;
    std::set<std::string> twice;
    for (std::size_t each = 0; each < all.size(); ++each)
      if (all[each].verb == "pop" && all[each].how == outcome::ok && all[each].result) {
        made.ends_.push_back(when[each].end.value_or(when[each].call));
        if (!made.pops_.try_emplace(*all[each].result, when[each]).second)
          twice.insert(*all[each].result);
      }
    for (auto& each : twice)
      made.pops_.erase(each);
    std::ranges::sort(made.ends_);
    return made;
  }

  [[nodiscard]] std::optional<state> apply(const state& now, const step_of_history& what) const {
    if (what.how == outcome::fail)
      return now;
    if (what.verb == "push") {
      auto value = what.argument.value_or("");
      if (now.pushes < pushes_before(value)
          || std::ranges::any_of(now.items, [&](auto& each) { return is_before(value, each); }))
        return std::nullopt;
      auto after = now;
      after.items.push_back(std::move(value));
      ++after.pushes;
      return after;
    }
    if (what.verb != "pop")
      return std::nullopt;
    auto first = now.items.empty() ? std::nullopt : std::optional{now.items.front()};
    if (what.how != outcome::unknown && first != what.result)
      return std::nullopt;
    auto after = now;
    if (first)
      after.items.pop_front();
    return after;
  }

private:
  /// Whether the pop of `first` ended before the pop of `second` was called.
  [[nodiscard]] bool is_before(const std::string& first, const std::string& second) const {
    auto one = pops_.find(first);
    auto other = pops_.find(second);
    return one != pops_.end() && other != pops_.end() && one->second.end
           && *one->second.end < other->second.call;
  }

  /// The least number of values popped before the pop of `value` was called.
  [[nodiscard]] std::size_t pushes_before(const std::string& value) const {
    auto found = pops_.find(value);
    if (found == pops_.end())
      return 0;
    auto end = std::ranges::lower_bound(ends_, found->second.call);
    return static_cast<std::size_t>(end - ends_.begin());
  }

  /// Pops by value.
  std::map<std::string, interval> pops_;
  /// The ends of all pops that returned a value.
  std::vector<std::int64_t> ends_;
};

/// acquire, try_acquire, acquire_shared -> token; release token; renew token; force_release.
/// Without expiry. Tokens of one key strictly rise. There are several holders only if all hold it
/// shared. A request to share it may be refused while it is shared, because another client may wait
/// for it exclusively.
struct lock_model {
  struct state {
    /// Tokens of the holders; zero for a holder whose token no client saw.
    std::multiset<std::uint64_t> holders;
    bool is_shared = false;
    std::uint64_t last = 0;

    friend auto operator<=>(const state&, const state&) = default;
  };

  [[nodiscard]] std::optional<state> apply(state now, const step_of_history& what) const {
    if (what.verb == "acquire" || what.verb == "try_acquire" || what.verb == "acquire_shared")
      return acquire(std::move(now), what, what.verb == "acquire_shared");
    if (what.verb == "force_release")
      return state{{}, false, now.last};
    if (what.verb != "release" && what.verb != "renew")
      return std::nullopt;
    auto shown = detail::number_in<std::uint64_t>(what.argument).value_or(0);
    auto known = shown != 0 && now.holders.contains(shown);
    if (what.how == outcome::fail)
      return known ? std::nullopt : std::optional{now};
    auto held = known ? now.holders.find(shown) : now.holders.find(0);
    if (held == now.holders.end())
      return what.how == outcome::unknown ? std::optional{now} : std::nullopt;
    if (what.verb == "release")
      now.holders.erase(held);
    now.is_shared = now.is_shared && !now.holders.empty();
    return now;
  }

private:
  static std::optional<state> acquire(state now, const step_of_history& what, bool shared) {
    auto is_free = now.holders.empty();
    if (what.how == outcome::fail)
      return is_free ? std::nullopt : std::optional{now};
    if (!is_free && !(shared && now.is_shared))
      return std::nullopt;
    auto token = detail::number_in<std::uint64_t>(what.result).value_or(0);
    if (what.how == outcome::ok && token <= now.last)
      return std::nullopt;
    now.is_shared = shared;
    now.last = std::max(now.last, what.how == outcome::ok ? token : 0);
    now.holders.insert(what.how == outcome::ok ? token : 0);
    return now;
  }
};

} // namespace troupe::sim
