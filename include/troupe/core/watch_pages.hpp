#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "troupe/core/page_room.hpp"

namespace troupe {

/// Delivers a table of keys to a watcher in pages, while the table goes on changing. A page has
/// further keys in their current state and, for the keys already delivered, the changes since the
/// page before. The table keeps no state for the watcher: the watcher states up to which revision
/// it knows the changes (`after`) and up to which key it has the table (`rest`).
///
/// Invariant: for each key up to `rest`, the watcher has its state as of the page's revision or
/// later, and all changes after that revision are still to come. So after a page whose revision is
/// the table's, it has exactly the table up to `rest`. Only such a page ends a snapshot.
///
/// Progress: half of each page is for further keys as long as there are any, so all n keys are
/// delivered after 2 n / limit pages, however fast they change. From then on, if d changes are
/// pending and c more arrive per page, d - limit + c are pending after a page. So if c < limit, the
/// watcher has the table after d / (limit - c) more pages, and where only the last change of a key
/// counts, d is at most n.
///
/// A View is the part of a table that the watcher may see:
///   page, key                         page has revision, complete, changes, rest and more
///   revision()                        of the last change
///   for_each_behind(rest, take)       all items in the order of keys, after `rest` if given
///   for_each_changed(after, take)     changes after a revision, in order, also of removed items
///                                     and of those that the watcher may not see
///   Both call `take` until it returns false; the latter returns whether it never did.
///   sees(item), key_of(item), revision_of(item), size_of(item), line_of(item)
template <class View>
class watch_pages {
public:
  using page = typename View::page;
  using key = typename View::key;

  watch_pages(const View& view, page_room room) : view_(view), room_(room) {}

  /// Begins a snapshot.
  page first() {
    page_.revision = view_.revision();
    page_.complete = true;
    if (add_keys(&page_room::left))
      page_.rest.reset();
    page_.more = page_.rest.has_value();
    return page_;
  }

  /// Goes on with a snapshot or, without `rest`, with changes alone.
  page next(std::uint64_t after, const std::optional<key>& rest) {
    page_.revision = after;
    page_.rest = rest;
    auto all_keys = !rest || add_keys(&page_room::half_left);
    auto all_changes = add_changes(after, rest);
    if (all_changes)
      page_.revision = view_.revision();
    if (all_changes && (all_keys || add_keys(&page_room::left)))
      page_.rest.reset();
    page_.more = !all_changes || page_.rest;
    return page_;
  }

private:
  /// Adds the keys after page_.rest while there is room, and moves page_.rest to the last of them.
  /// Returns whether there are no more.
  bool add_keys(bool (page_room::*has_room)() const) {
    auto are_all = true;
    auto last = page_.rest;
    view_.for_each_behind(page_.rest, [&](const auto& item) {
      are_all = (room_.*has_room)();
      if (are_all) {
        add(item);
        last = view_.key_of(item);
      }
      return are_all;
    });
    page_.rest = last;
    return are_all;
  }

  /// Adds the changes of the keys up to `rest`, or of all keys without it.
  bool add_changes(std::uint64_t after, const std::optional<key>& rest) {
    std::size_t passed = 0;
    return view_.for_each_changed(after, [&](const auto& item) {
      auto is_told = view_.sees(item) && (!rest || view_.key_of(item) <= *rest);
      if (is_told ? !room_.left() : ++passed > max_passed_over)
        return false;
      page_.revision = view_.revision_of(item);
      if (is_told)
        add(item);
      return true;
    });
  }

  template <class Item>
  void add(const Item& item) {
    room_.take(view_.size_of(item));
    page_.changes.push_back(view_.line_of(item));
  }

  const View& view_;
  page_room room_;
  page page_{};
};

} // namespace troupe
