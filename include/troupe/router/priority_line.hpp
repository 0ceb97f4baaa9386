#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "troupe/router/message_options.hpp"

namespace troupe::router {

/// What waits, by priority: the highest goes first, and within a priority what came first. Whatever
/// waits at a priority goes as soon as `patience` of others have passed it, the lowest first: so of
/// each patience + 4 that go, one is of each priority at which something waits. It counts, and
/// needs no clock. A priority at which nothing waits takes no memory.
template <class Entry>
class priority_line {
public:
  static constexpr std::size_t patience = 16;

  [[nodiscard]] std::size_t size() const {
    return size_;
  }

  [[nodiscard]] bool empty() const {
    return size_ == 0;
  }

  void push(message_priority at, Entry what) {
    auto number = static_cast<std::size_t>(at); // of a later release it may have no name
    auto& to = levels_.at(number < levels_.size() ? number : unnamed);
    if (!to)
      to = std::make_unique<level>();
    to->entries.push_back(std::move(what));
    ++size_;
  }

  /// Takes out what goes next. There is something.
  [[nodiscard]] Entry take_next() {
    auto& from = next();
    for (auto& each : levels_)
      if (each)
        ++each->passed_by;
    from->passed_by = 0;
    return take(from);
  }

  /// Takes out what has waited for longest at the lowest priority. There is something.
  [[nodiscard]] Entry take_oldest_of_lowest() {
    std::size_t at = 0;
    while (!levels_.at(at))
      ++at;
    return take(levels_.at(at));
  }

private:
  static constexpr auto unnamed = static_cast<std::size_t>(message_priority::normal);

  struct level {
    std::deque<Entry> entries{};
    /// So many of others have gone since one of these has.
    std::size_t passed_by = 0;
  };
  using slot = std::unique_ptr<level>;

  [[nodiscard]] slot& next() {
    slot* highest = nullptr;
    for (auto& each : levels_) {
      if (!each)
        continue;
      if (each->passed_by >= patience)
        return each;
      highest = &each;
    }
    return *highest;
  }

  Entry take(slot& from) {
    auto result = std::move(from->entries.front());
    from->entries.pop_front();
    if (from->entries.empty())
      from.reset();
    --size_;
    return result;
  }

  std::array<slot, message_priority_names.size()> levels_{};
  std::size_t size_ = 0;
};

} // namespace troupe::router
