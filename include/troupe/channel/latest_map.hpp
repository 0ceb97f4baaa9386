#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace troupe::channel {

/// Values by their keys, `most` of them: beyond that those that were put first give way. Cost:
/// O(log n) a call.
template <class Key, class Value>
class latest_map {
public:
  explicit latest_map(std::size_t most) : most_(most) {}

  /// In the place of that of the same key, as the latest.
  void put(const Key& key, Value what) {
    take(key);
    values_.emplace(key, entry{std::move(what), ++last_});
    order_.emplace(last_, key);
    if (values_.size() > most_)
      take(Key{order_.begin()->second});
  }

  std::optional<Value> take(const Key& key) {
    auto found = values_.extract(key);
    if (!found)
      return std::nullopt;
    order_.erase(found.mapped().place);
    return std::move(found.mapped().what);
  }

  void clear() {
    values_.clear();
    order_.clear();
  }

  [[nodiscard]] bool empty() const {
    return values_.empty();
  }

  [[nodiscard]] std::size_t size() const {
    return values_.size();
  }

private:
  struct entry {
    Value what;
    std::uint64_t place = 0;
  };

  std::size_t most_;
  std::map<Key, entry> values_;
  /// In the order in which they were put.
  std::map<std::uint64_t, Key> order_;
  std::uint64_t last_ = 0;
};

} // namespace troupe::channel
