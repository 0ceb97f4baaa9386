#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace troupe::router {

/// Bounds of what a router has on its way to one other node: those of router_options.
struct flow_options {
  /// Waiting to be written; more is refused until half of it has gone.
  std::size_t max_waiting_bytes = 0;
  /// Written and not acknowledged yet; what is more waits.
  std::size_t window_bytes = 0;
};

/// Decides what a router may take for one other node, and when it goes over the link.
///
/// What is taken waits here until the link has room: until fewer than window_bytes are on it that
/// the other router has not received. The other router says so for each quarter of the window. No
/// message is split, so one message more than the window may be on the link.
///
/// A message is refused if more than max_waiting_bytes would wait with it. From then on all are
/// refused until half of that has gone, so that who retries finds room for more than one message.
/// Where nothing waits, a message of any size is taken.
class link_flow {
public:
  explicit link_flow(flow_options options) : options_(options) {}

  // -- what waits ----------------------------------------------------------------------

  /// Takes a message of `bytes`, or returns false if too much waits.
  [[nodiscard]] bool take(std::size_t bytes) {
    if (is_full_ && waiting_ > options_.max_waiting_bytes / 2)
      return false;
    auto most = options_.max_waiting_bytes;
    is_full_ = waiting_ > 0 && (waiting_ > most || bytes > most - waiting_);
    if (!is_full_)
      waiting_ += bytes;
    return !is_full_;
  }

  /// Takes a message that cannot be refused, as it says that another one was.
  void take_anyway(std::size_t bytes) {
    waiting_ += bytes;
  }

  /// So much of what was taken does not go out after all.
  void drop(std::size_t bytes) {
    waiting_ -= std::min(waiting_, bytes);
  }

  // -- the link ------------------------------------------------------------------------

  /// There is a link, and nothing on it.
  void link_up() {
    clear_link();
    is_linked_ = true;
  }

  /// There is none. What was on it is lost or received, nobody knows; what waits goes on waiting.
  void link_down() {
    clear_link();
    is_linked_ = false;
  }

  /// Others have filled the link, or it has drained.
  void hold(bool is_held) {
    is_held_ = is_held;
  }

  /// Whether the next message may go out.
  [[nodiscard]] bool has_room() const {
    return is_linked_ && !is_held_ && on_link_ < std::max<std::size_t>(options_.window_bytes, 1);
  }

  /// What was taken for `taken` bytes goes out, as `bytes`. Returns whether the other router is to
  /// say when it has received them, and with them all that went before.
  [[nodiscard]] bool send(std::size_t taken, std::size_t bytes) {
    drop(taken);
    on_link_ += bytes;
    unmarked_ += bytes;
    if (unmarked_ < std::max<std::size_t>(options_.window_bytes / 4, 1))
      return false;
    marks_.push_back(unmarked_);
    unmarked_ = 0;
    return true;
  }

  /// The other router has received the first of those of which it was to say so. One too many
  /// is ignored.
  void received() {
    if (marks_.empty())
      return;
    on_link_ -= marks_.front();
    marks_.pop_front();
  }

  // -- how it stands -------------------------------------------------------------------

  [[nodiscard]] std::size_t waiting_bytes() const {
    return waiting_;
  }

  /// Those that may be on the link.
  [[nodiscard]] std::size_t link_bytes() const {
    return on_link_;
  }

  /// Whether anything is to go out, or to be heard of.
  [[nodiscard]] bool is_busy() const {
    return waiting_ > 0 || !marks_.empty();
  }

  [[nodiscard]] bool is_linked() const {
    return is_linked_;
  }

private:
  void clear_link() {
    on_link_ = unmarked_ = 0;
    marks_.clear();
    is_held_ = false;
  }

  flow_options options_;
  std::size_t waiting_ = 0;
  std::size_t on_link_ = 0;
  /// Of those on the link: since the last of which the other router is to say so.
  std::size_t unmarked_ = 0;
  /// Runs of bytes, each with one of which the other router is to say so at its end.
  std::deque<std::size_t> marks_;
  bool is_full_ = false;
  bool is_linked_ = false;
  bool is_held_ = false;
};

} // namespace troupe::router
