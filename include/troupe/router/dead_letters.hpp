#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "troupe/core/page_room.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/message_options.hpp"

namespace troupe::router {

/// Keeps the messages that ended on a node without being handled, with their contents, until they
/// are delivered again or give way to later ones: bounded by count and bytes, the oldest go first.
///
/// One that is taken out to be delivered again keeps its id; it either comes back, or is known to
/// have been handled for a while. Steps like any machine. It has no snapshot: its host has those on
/// its disk that are to outlive the process.
template <class Content>
class dead_letters {
public:
  /// So many are known to have been handled after they were taken out.
  static constexpr std::size_t max_applied = 1'000;

  dead_letters(std::size_t max_messages, std::size_t max_bytes)
    : max_messages_(max_messages), max_bytes_(max_bytes) {}

  /// A message has ended; `head.place` is set here. One of the same id gives way. Returns what has
  /// given way, the new one perhaps among it.
  std::vector<Content> bury(dead_letter head, Content what) {
    std::vector<Content> gone;
    under_way_.erase(head.id);
    if (auto before = places_.find(head.id); before != places_.end())
      gone.push_back(remove(before->second));
    head.place = ++last_place_;
    bytes_ += head.bytes;
    places_.emplace(head.id, head.place);
    letters_.emplace(head.place, letter{std::move(head), std::move(what)});
    while (letters_.size() > max_messages_ || bytes_ > max_bytes_) {
      ++dropped_;
      gone.push_back(remove(letters_.begin()->first));
    }
    return gone;
  }

  /// Those behind that place, in their order: at most `limit`, and what page_room has room for.
  [[nodiscard]] dead_letter_page list(std::uint64_t after, std::uint32_t limit) const {
    dead_letter_page page{{}, false, dropped_};
    page_room room{limit};
    auto next = letters_.upper_bound(after);
    for (; next != letters_.end() && room.left(); ++next) {
      auto& head = next->second.head;
      room.take(head_bytes + head.why.size() + head.type.size());
      page.letters.push_back(head);
    }
    page.more = next != letters_.end();
    return page;
  }

  [[nodiscard]] std::vector<message_id> ids() const {
    std::vector<message_id> result;
    result.reserve(letters_.size());
    for (auto& [place, each] : letters_)
      result.push_back(each.head.id);
    return result;
  }

  struct letter {
    dead_letter head;
    Content what;
  };

  /// Null: there is none of that id. Valid until the next change.
  [[nodiscard]] const letter* find(const message_id& id) const {
    auto found = places_.find(id);
    return found != places_.end() ? &letters_.at(found->second) : nullptr;
  }

  /// That one is delivered again: ended() follows, or it is buried again.
  /// @pre find() finds it.
  void redrive(const message_id& id) {
    remove(places_.at(id));
    under_way_.insert(id);
  }

  /// Nobody wants that one any more. Returns what it was.
  /// @pre find() finds it.
  Content remove(const message_id& id) {
    return remove(places_.at(id));
  }

  /// A message has ended, perhaps one that was delivered again.
  void ended(const message_id& id, bool is_handled) {
    if (under_way_.erase(id) == 0 || !is_handled)
      return;
    applied_.push_back(id);
    if (applied_.size() > max_applied)
      applied_.pop_front();
  }

  [[nodiscard]] bool is_under_way(const message_id& id) const {
    return under_way_.contains(id);
  }

  /// Whether it was delivered again and handled.
  [[nodiscard]] bool is_applied(const message_id& id) const {
    return std::ranges::find(applied_, id) != applied_.end();
  }

  [[nodiscard]] std::size_t size() const {
    return letters_.size();
  }

  [[nodiscard]] std::size_t bytes() const {
    return bytes_;
  }

  /// How many gave way.
  [[nodiscard]] std::uint64_t dropped() const {
    return dropped_;
  }

private:
  /// Of what is said of each, beside the texts that agents and applications choose.
  static constexpr std::size_t head_bytes = 400;

  Content remove(std::uint64_t place) {
    auto gone = letters_.extract(place);
    bytes_ -= gone.mapped().head.bytes;
    places_.erase(gone.mapped().head.id);
    return std::move(gone.mapped().what);
  }

  std::size_t max_messages_;
  std::size_t max_bytes_;
  /// By their places.
  std::map<std::uint64_t, letter> letters_;
  std::map<message_id, std::uint64_t> places_;
  std::size_t bytes_ = 0;
  std::uint64_t last_place_ = 0;
  std::uint64_t dropped_ = 0;
  /// That are delivered again.
  std::set<message_id> under_way_;
  /// And were handled, oldest first.
  std::deque<message_id> applied_;
};

} // namespace troupe::router
