#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "troupe/router/message_options.hpp"
#include "troupe/router/tenant_line.hpp"

namespace troupe::router {

/// What waits, by priority: the highest goes first, and within a priority the tenants take turns
/// (see tenant_line), so that of one tenant what came first goes first. Whatever waits at a
/// priority goes as soon as `patience` of others have passed it, the lowest first: so of each
/// patience + 4 that go, one is of each priority at which something waits. It counts, and needs no
/// clock. A priority at which nothing waits takes no memory.
template <class Entry>
class priority_line {
public:
  static constexpr std::size_t patience = 16;

  /// `weights` outlive this.
  explicit priority_line(const tenant_weights& weights) : weights_(weights) {}

  [[nodiscard]] std::size_t size() const {
    return size_;
  }

  [[nodiscard]] bool empty() const {
    return size_ == 0;
  }

  void push(const message_turn& at, Entry what) {
    auto number = static_cast<std::size_t>(at.priority); // of a later release it may have no name
    auto& to = levels_.at(number < levels_.size() ? number : unnamed);
    if (!to)
      to = std::make_unique<level>(weights_);
    to->entries.push(at.tenant, std::move(what));
    ++size_;
  }

  /// Takes out what goes next. There is something.
  [[nodiscard]] Entry take_next() {
    auto& from = next();
    for (auto& each : levels_)
      if (each)
        ++each->passed_by;
    from->passed_by = 0;
    auto result = from->entries.take_next();
    taken(from);
    return result;
  }

  /// Takes out what has waited for longest at the lowest priority, of the tenant that has most of
  /// these there. There is something.
  [[nodiscard]] Entry take_oldest_of_lowest(std::size_t waiting_amount::*of_these) {
    std::size_t at = 0;
    while (!levels_.at(at))
      ++at;
    auto result = levels_.at(at)->entries.take_oldest(of_these);
    taken(levels_.at(at));
    return result;
  }

  /// What waits of that tenant.
  [[nodiscard]] waiting_amount of(std::string_view tenant) const {
    waiting_amount sum;
    for (auto& each : levels_)
      if (each)
        each->entries.add_to(sum, tenant);
    return sum;
  }

private:
  static constexpr auto unnamed = static_cast<std::size_t>(message_priority::normal);

  struct level {
    explicit level(const tenant_weights& weights) : entries(weights) {}

    tenant_line<Entry> entries;
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

  void taken(slot& from) {
    if (from->entries.empty())
      from.reset();
    --size_;
  }

  const tenant_weights& weights_;
  std::array<slot, message_priority_names.size()> levels_{};
  std::size_t size_ = 0;
};

} // namespace troupe::router
