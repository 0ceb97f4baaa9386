#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace troupe::router {

/// Decides when the next message goes over the link to another node: as long as fewer than `bytes`
/// are on it that the other router has not received. The other router says so for each quarter of
/// the window. No message is split, so one message more than the window may be on the link.
class link_window {
public:
  explicit link_window(std::size_t bytes) : bytes_(bytes) {}

  /// There is a link, and nothing on it.
  void link_up() {
    clear();
    is_linked_ = true;
  }

  /// There is none. What was on it is lost or received, nobody knows.
  void link_down() {
    clear();
    is_linked_ = false;
  }

  /// From here on it has room for so many, and the other router says so for each quarter of them.
  /// What is on the link by then may be more.
  void resize(std::size_t bytes) {
    bytes_ = bytes;
  }

  /// Others have filled the link, or it has drained.
  void hold(bool is_held) {
    is_held_ = is_held;
  }

  /// Whether the next message may go out: also where the other router would say nothing more of
  /// those on the link, as it was to do so for runs that are longer than what there is room for
  /// now.
  [[nodiscard]] bool has_room() const {
    return is_linked_ && !is_held_
           && (on_link_ < std::max<std::size_t>(bytes_, 1) || marks_.empty());
  }

  /// A message of `bytes` goes out. Returns whether the other router is to say when it has received
  /// it, and with it all that went before.
  [[nodiscard]] bool send(std::size_t bytes) {
    on_link_ += bytes;
    unmarked_ += bytes;
    if (unmarked_ < std::max<std::size_t>(bytes_ / 4, 1))
      return false;
    marks_.push_back(unmarked_);
    unmarked_ = 0;
    return true;
  }

  /// The other router has received the first of those of which it was to say so. One too many
  /// is ignored. Returns how many bytes that tells of.
  std::size_t received() {
    if (marks_.empty())
      return 0;
    auto run = marks_.front();
    on_link_ -= run;
    marks_.erase(marks_.begin());
    return run;
  }

  /// Those that may be on the link.
  [[nodiscard]] std::size_t link_bytes() const {
    return on_link_;
  }

  /// Whether the other router is to say something.
  [[nodiscard]] bool awaits_word() const {
    return !marks_.empty();
  }

private:
  void clear() {
    on_link_ = unmarked_ = 0;
    marks_.clear();
    is_held_ = false;
  }

  std::size_t bytes_;
  std::size_t on_link_ = 0;
  /// Of those on the link: since the last of which the other router is to say so.
  std::size_t unmarked_ = 0;
  /// Runs of bytes, each with one of which the other router is to say so at its end. Few, as each
  /// is a quarter of the window at least.
  std::vector<std::size_t> marks_;
  bool is_linked_ = false;
  bool is_held_ = false;
};

} // namespace troupe::router
