#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <utility>
#include <vector>

/// Checks whether a history of concurrent operations is linearizable.
namespace troupe::sim {

/// The time of an operation, by one clock for all clients. Without an end the outcome is unknown:
/// it may have taken effect at any time since the call, or never.
struct interval {
  std::int64_t call = 0;
  std::optional<std::int64_t> end;
};

enum class verdict : std::uint8_t {
  linearizable = 0,
  /// No order of the operations explains the results.
  violated = 1,
  /// The search reached its limit.
  undecided = 2,
};

/// Result of a search. `stuck` are the operations of which one would have to come next after the
/// longest explained part of the history.
struct judgement {
  verdict outcome = verdict::linearizable;
  std::size_t explained = 0;
  std::vector<std::size_t> stuck;
};

namespace detail {

/// The set of operations in the current order. It has nearly all of the early ones and none of the
/// late ones, so only the part between needs memory.
class taken_set {
public:
  /// Number of full words, and the words after them without the empty ones at the end.
  using key = std::pair<std::size_t, std::vector<std::uint64_t>>;

  explicit taken_set(std::size_t size) : words_(size / 64 + 1) {}

  void add(std::size_t which) {
    words_[which / 64] |= bit(which);
  }

  void remove(std::size_t which) {
    words_[which / 64] &= ~bit(which);
  }

  [[nodiscard]] key as_key() const {
    auto first = std::ranges::find_if(words_, [](auto each) { return ~each != 0; });
    auto last = words_.end();
    while (last != first && *(last - 1) == 0)
      --last;
    return {static_cast<std::size_t>(first - words_.begin()), {first, last}};
  }

private:
  static std::uint64_t bit(std::size_t which) {
    return std::uint64_t{1} << which % 64;
  }

  std::vector<std::uint64_t> words_;
};

/// Result of a search, and whether it tried every order, so that a violation is certain.
struct search_end {
  judgement best;
  bool is_complete = false;
};

/// The search of judge(), with at most `max_in_a_row` consecutive operations without an end.
template <class Model, class Operation>
search_end search(const Model& model, const std::vector<Operation>& operations,
                  const std::vector<interval>& when, std::size_t max_states,
                  std::size_t max_in_a_row) {
  constexpr auto never = std::numeric_limits<std::int64_t>::max();
  using state = typename Model::state;
  auto count = operations.size();

  struct event {
    std::int64_t at;
    bool is_end;
    std::size_t operation;
  };

  // A list of calls and ends by time. Explained operations are removed from it.
  std::vector<event> events;
  std::size_t known = 0;
  for (std::size_t each = 0; each < count; ++each) {
    events.push_back({when[each].call, false, each});
    events.push_back({when[each].end.value_or(never), true, each});
    known += when[each].end ? 1 : 0;
  }
  std::ranges::stable_sort(events, [](const event& x, const event& y) {
    return std::pair{x.at, x.is_end} < std::pair{y.at, y.is_end};
  });
  auto size = events.size();
  std::vector<std::size_t> next(size + 1);
  std::vector<std::size_t> before(size + 1);
  std::vector<std::size_t> end_of(count);
  std::vector<std::size_t> call_of(count);
  auto head = size; // the list is circular, through this index
  for (std::size_t place = 0; place <= size; ++place) {
    next[place] = place == size ? 0 : place + 1;
    before[place] = place == 0 ? size : place - 1;
  }
  if (size == 0)
    return {{}, true};
  for (std::size_t place = 0; place < size; ++place)
    (events[place].is_end ? end_of : call_of)[events[place].operation] = place;
  auto take_out = [&](std::size_t place) {
    next[before[place]] = next[place];
    before[next[place]] = before[place];
  };
  auto put_back = [&](std::size_t place) {
    next[before[place]] = place;
    before[next[place]] = place;
  };

  struct choice {
    std::size_t operation;
    state previous;
    std::size_t in_a_row; // of those without an end, with this one
  };

  std::vector<choice> chosen;
  taken_set taken{count};
  std::set<std::pair<taken_set::key, state>> seen;
  search_end found{{verdict::violated, 0, {}}, true};
  auto& best = found.best;
  auto current = state{};
  std::size_t done_known = 0;
  // Operations without an end are tried last: most of them never took effect.
  auto tries_endless = false;
  auto place = next[head];
  while (done_known < known) {
    auto is_candidate = place != head && !events[place].is_end;
    if (!is_candidate && !tries_endless) {
      tries_endless = true;
      place = next[head];
      continue;
    }
    if (is_candidate) {
      auto which = events[place].operation;
      auto in_a_row = tries_endless ? 1 + (chosen.empty() ? 0 : chosen.back().in_a_row) : 0;
      auto is_its_turn = tries_endless != when[which].end.has_value();
      auto after = is_its_turn ? model.apply(current, operations[which]) : std::nullopt;
      if (after && in_a_row > max_in_a_row) {
        found.is_complete = false;
      } else if (after) {
        taken.add(which);
        if (seen.emplace(taken.as_key(), *after).second) {
          if (seen.size() > max_states) {
            best.outcome = verdict::undecided;
            return found;
          }
          chosen.push_back({which, std::exchange(current, *std::move(after)), in_a_row});
          done_known += when[which].end ? 1 : 0;
          take_out(call_of[which]);
          take_out(end_of[which]);
          tries_endless = false;
          place = next[head];
          continue;
        }
        taken.remove(which);
      }
      place = next[place];
      continue;
    }
    // The next event is the end of an operation that could not be placed: backtrack.
    if (chosen.size() >= best.explained) {
      best.explained = chosen.size();
      best.stuck.clear();
      for (auto each = next[head]; each != head && !events[each].is_end; each = next[each])
        best.stuck.push_back(events[each].operation);
    }
    if (chosen.empty())
      return found;
    auto last = std::move(chosen.back());
    chosen.pop_back();
    taken.remove(last.operation);
    done_known -= when[last.operation].end ? 1 : 0;
    current = std::move(last.previous);
    put_back(end_of[last.operation]);
    put_back(call_of[last.operation]);
    tries_endless = !when[last.operation].end;
    place = next[call_of[last.operation]];
  }
  return {{verdict::linearizable, chosen.size(), {}}, true};
}

} // namespace detail

/// Searches for an order of `operations` that respects real time and that the sequential
/// `model` allows. The model has a `state` (ordered, with an initial value) and
/// `std::optional<state> apply(state, operation)`, which returns nothing if the operation cannot
/// have its outcome in that state. An operation without an end may be applied or left out.
///
/// Sources: Wing and Gong, "Testing and verifying concurrent objects", JPDC 17 (1993); Lowe,
/// "Testing for linearizability", CCPE 29 (2017), for the cache of visited states. Judge different
/// keys separately (Herlihy and Wing's locality). Cost: at worst exponential in the operations that
/// overlap; an operation without an end overlaps with all later ones. Most of these never took
/// effect, so orders with few of them in a row are tried first. `max_states` bounds the search, at
/// about 100 bytes each plus the size of a state.
template <class Model, class Operation>
judgement judge(const Model& model, const std::vector<Operation>& operations,
                const std::vector<interval>& when, std::size_t max_states = 2'000'000) {
  for (auto in_a_row : {std::size_t{1}, std::size_t{4}}) {
    auto found = detail::search(model, operations, when, max_states / 4, in_a_row);
    if (found.best.outcome == verdict::linearizable
        || (found.best.outcome == verdict::violated && found.is_complete))
      return found.best;
  }
  return detail::search(model, operations, when, max_states, operations.size()).best;
}

} // namespace troupe::sim
