#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/page_room.hpp"
#include "troupe/core/watch_pages.hpp"
#include "troupe/registry/detail/change_log.hpp"
#include "troupe/registry/detail/record_index.hpp"
#include "troupe/registry/queries.hpp"

namespace troupe::registry::detail {

/// The visible part of a table: the records that show, with indexes, and their changes in
/// order.
class showcase {
public:
  // -- changes -------------------------------------------------------------------

  /// Shows `what` as it is now. No effect if it shows like that already.
  void show(entry& what, const appearance& shows) {
    if (what.shown == what.is && what.shows == shows)
      return;
    auto kind = what.shown ? change_kind::updated : change_kind::added;
    if (what.shown == what.is) {
      index_.change(what, shows);
      what.shows = shows;
    } else {
      if (what.shown)
        index_.remove(what);
      what.shown = what.is;
      what.shows = shows;
      index_.add(what);
    }
    what.hidden = false;
    log_.note(kind, what.is, shows);
  }

  /// Hides `what`, which was removed or lost.
  void remove(entry& what, change_kind why) {
    if (what.shown || what.hidden)
      log_.note(why, what.is, what.shows);
    hide(what);
  }

  /// Hides `what`, because another record has its name.
  void take_name(entry& what) {
    if (what.shown)
      log_.note(change_kind::taken, what.is, what.shows);
    hide(what);
    what.hidden = true;
  }

  [[nodiscard]] change_log& log() {
    return log_;
  }

  [[nodiscard]] const change_log& log() const {
    return log_;
  }

  void count_into(registry_counts& result) const {
    index_.count_into(result, max_page);
    result.revision = log_.revision();
  }

  // -- look-ups --------------------------------------------------------------------

  /// Calls `take` with the matches of `question`, in the order of keys, until it returns false.
  /// `owned` are the records of the given owner, null if the question has no owner.
  template <class Take>
  void find(const entries& all, const entry_set* owned, const find_records& question,
            Take take) const {
    auto look = [&](const entry& each) { return !meets(each, question) || take(each); };
    if (auto candidates = index_.narrowest(question))
      scan(**candidates, question.after, look);
    else if (owned != nullptr)
      scan(*owned, question.after, look);
    else
      scan(all, question, look);
  }

  [[nodiscard]] record_changes answer(const entries& all, const watch_records& question) const {
    view seen{all, log_};
    watch_pages<view> pages{seen, page_room{question.limit}};
    return log_.reaches_back_to(question.after) ? pages.next(question.after, question.rest)
                                                : pages.first();
  }

private:
  struct view;

  void hide(entry& what) {
    if (what.shown)
      index_.remove(what);
    what.shown.reset();
    what.shows = {};
    what.hidden = false;
  }

  static bool meets(const entry& what, const find_records& question) {
    if (!what.shown || (!what.healthy && !question.unhealthy_too))
      return false;
    auto& [kind, name, owner] = what.key();
    if ((question.kind && kind != *question.kind)
        || (!question.name.empty() && name != question.name)
        || (question.owner != node_id{} && owner != question.owner))
      return false;
    if (question.statuses.empty() ? what.shows.status != record_status::active
                                  : std::ranges::count(question.statuses, what.shows.status) == 0)
      return false;
    auto& value = *what.shown;
    return std::ranges::all_of(question.capabilities,
                               [&](auto& each) { return value.capabilities.contains(each); })
           && (question.group.empty() || value.groups.contains(question.group))
           && std::ranges::all_of(question.metadata, [&](auto& each) {
                auto found = value.metadata.find(each.first);
                return found != value.metadata.end() && found->second == each.second;
              });
  }

  template <class Look>
  static void scan(const entry_set& candidates, const std::optional<record_key>& behind,
                   Look look) {
    auto each = behind ? candidates.upper_bound(*behind) : candidates.begin();
    while (each != candidates.end() && look(**each))
      ++each;
  }

  template <class Look>
  static void scan(const entries& all, const find_records& question, Look look) {
    for (auto kind : {record_kind::node, record_kind::agent, record_kind::service}) {
      if (question.kind && kind != *question.kind)
        continue;
      record_key first{kind, question.name, {}};
      auto each = question.after && first <= *question.after ? all.upper_bound(*question.after)
                                                             : all.lower_bound(first);
      for (; each != all.end() && (*each)->key().kind == kind
             && (question.name.empty() || (*each)->key().name == question.name);
           ++each)
        if (!look(**each))
          return;
    }
  }

  /// The source of watchers' pages: visible records and changes.
  struct view {
    using page = record_changes;
    using key = record_key;

    [[nodiscard]] std::uint64_t revision() const {
      return log.revision();
    }

    template <class Take>
    void for_each_behind(const std::optional<key>& rest, Take take) const {
      auto each = rest ? all.upper_bound(*rest) : all.begin();
      while (each != all.end() && (!(*each)->shown || take(**each)))
        ++each;
    }

    template <class Take>
    bool for_each_changed(std::uint64_t after, Take take) const {
      return log.for_each_after(after, take);
    }

    template <class Item>
    static bool sees(const Item&) {
      return true;
    }

    static const key& key_of(const entry& what) {
      return what.key();
    }

    static const key& key_of(const change_log::line& what) {
      return what.what->key;
    }

    static std::uint64_t revision_of(const change_log::line& what) {
      return what.revision;
    }

    static std::size_t size_of(const entry& what) {
      return registry::size_of(*what.shown);
    }

    static std::size_t size_of(const change_log::line& what) {
      return registry::size_of(*what.what);
    }

    [[nodiscard]] change line_of(const entry& what) const {
      return change_log::to_change({revision(), change_kind::added, what.shown, what.shows});
    }

    static change line_of(const change_log::line& what) {
      return change_log::to_change(what);
    }

    const entries& all;
    const change_log& log;
  };

  record_index index_;
  change_log log_;
};

} // namespace troupe::registry::detail
