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

#include "troupe/registry/detail/change_log.hpp"
#include "troupe/registry/detail/record_index.hpp"
#include "troupe/registry/queries.hpp"

namespace troupe::registry::detail {

/// What the world sees of a table: the records that show, found by what they have, and
/// the changes of that in order.
class showcase {
public:
  // -- changes -------------------------------------------------------------------

  /// Shows `what` as it is now, or does nothing if that is no news.
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

  /// Shows `what` no more, as it is gone.
  void remove(entry& what, change_kind why) {
    if (what.shown || what.hidden)
      log_.note(why, what.is, what.shows);
    hide(what);
  }

  /// Hides `what` behind another of its name.
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

  /// Calls `take` with what `question` asks for, in the order of keys, until it returns
  /// false. `owned` are the records of the owner asked for, if one is.
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
    page_room room{question.limit};
    if (!log_.reaches_back_to(question.after))
      return snapshot_page(all, {}, log_.revision(), room);
    if (question.rest)
      return snapshot_page(all, question.rest, question.after, room);
    return log_.page(question.after, room);
  }

private:
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
        || (!question.owner.empty() && owner != question.owner))
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
      for (; each != all.end() && each->first.kind == kind
             && (question.name.empty() || each->first.name == question.name);
           ++each)
        if (!look(each->second))
          return;
    }
  }

  /// Returns what shows behind a key, as a part of the snapshot that is good as of
  /// `revision` once the changes after it are added.
  [[nodiscard]] record_changes snapshot_page(const entries& all,
                                             const std::optional<record_key>& behind,
                                             std::uint64_t revision, page_room room) const {
    record_changes result{revision, !behind, {}, {}, false};
    auto each = behind ? all.upper_bound(*behind) : all.begin();
    for (; each != all.end(); ++each) {
      auto& what = each->second;
      if (!what.shown)
        continue;
      if (!room.left()) {
        result.rest = result.changes.back().what.value.key;
        break;
      }
      room.take(size_of(*what.shown));
      auto& [liveness, status, healthy] = what.shows;
      result.changes.push_back(
        {revision, change_kind::added, {*what.shown, liveness, status, healthy, {}}});
    }
    result.more = result.rest || revision != log_.revision();
    return result;
  }

  record_index index_;
  change_log log_;
};

} // namespace troupe::registry::detail
