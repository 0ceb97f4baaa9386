#pragma once

#include <mutex>
#include <optional>

#include "troupe/registry/record_table.hpp"

namespace troupe::registry {

/// The table of a node of this process, for look-ups that cost no message: whoever owns the table
/// holds lock() while it changes, and others read it meanwhile or wait. Thread-safe. Cost of a
/// look-up: that of record_table::answer(), and a lock that is held for as long.
class local_records {
public:
  /// Nobody reads while this is held.
  [[nodiscard]] std::unique_lock<std::mutex> lock() const {
    return std::unique_lock{mutex_};
  }

  /// That table is read from here on; null: none is.
  /// @pre `table` outlives the next call
  void show(const record_table* table) {
    auto held = lock();
    table_ = table;
  }

  /// Nothing where no table is shown.
  template <class Question>
  [[nodiscard]] std::optional<typename Question::result> answer(const Question& what) const {
    auto held = lock();
    if (table_ == nullptr)
      return std::nullopt;
    return table_->answer(what);
  }

private:
  mutable std::mutex mutex_;
  const record_table* table_ = nullptr;
};

} // namespace troupe::registry
