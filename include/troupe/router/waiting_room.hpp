#pragma once

#include <algorithm>
#include <cstddef>

namespace troupe::router {

/// Decides whether one more message is taken where others wait.
///
/// A message is refused if more than max_bytes would wait with it. From then on all are refused
/// until half of that has gone, so that who retries finds room for more than one message. Where
/// nothing waits, a message of any size is taken.
class waiting_room {
public:
  explicit waiting_room(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// Takes a message of `bytes`, or returns false if too much waits.
  [[nodiscard]] bool take(std::size_t bytes) {
    if (refuses_all())
      return false;
    is_full_ = waiting_ > 0 && (waiting_ > max_bytes_ || bytes > max_bytes_ - waiting_);
    if (!is_full_)
      waiting_ += bytes;
    return !is_full_;
  }

  /// Takes a message that cannot be refused, as it says that another one was.
  void take_anyway(std::size_t bytes) {
    waiting_ += bytes;
  }

  /// So much of what was taken waits no more.
  void drop(std::size_t bytes) {
    waiting_ -= std::min(waiting_, bytes);
  }

  /// Whether one was refused, and less than half of what waits has gone since.
  [[nodiscard]] bool refuses_all() const {
    return is_full_ && waiting_ > max_bytes_ / 2;
  }

  [[nodiscard]] std::size_t waiting_bytes() const {
    return waiting_;
  }

private:
  std::size_t max_bytes_;
  std::size_t waiting_ = 0;
  bool is_full_ = false;
};

} // namespace troupe::router
