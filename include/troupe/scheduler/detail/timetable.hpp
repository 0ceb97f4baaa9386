#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/cron.hpp"
#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/queries.hpp"
#include "troupe/scheduler/snapshot.hpp"

namespace troupe::scheduler::detail {

/// Schedules and their next start times.
class timetable {
public:
  struct entry {
    define_schedule words;
    cron_expression when;
    schedule_view standing;
  };

  [[nodiscard]] std::size_t size() const {
    return entries_.size();
  }

  /// Bytes of the texts and inputs of all workflows.
  [[nodiscard]] std::uint64_t bytes() const {
    return bytes_;
  }

  [[nodiscard]] const entry* find(const std::string& name) const {
    auto found = entries_.find(name);
    return found != entries_.end() ? &found->second : nullptr;
  }

  /// Its start times count from the next wall time, because the last one told may be old.
  /// @pre check() found nothing wrong.
  void add(const define_schedule& words) {
    remove(words.name);
    bytes_ += bytes_of(words.what);
    schedule_view standing{.name = words.name, .cron = words.cron};
    entries_.emplace(words.name,
                     entry{words, *cron_expression::parse(words.cron), std::move(standing)});
  }

  bool remove(const std::string& name) {
    auto found = entries_.extract(name);
    if (found.empty())
      return false;
    bytes_ -= bytes_of(found.mapped().words.what);
    return true;
  }

  /// Calls `begin(entry, moment)` once for each schedule that is due, even if it was due several
  /// times.
  template <class Begin>
  void pass(wall_time now, Begin begin) {
    for (auto& [name, each] : entries_) {
      auto due
        = each.standing.next && *each.standing.next <= now ? each.standing.next : std::nullopt;
      if (!each.standing.next || due)
        each.standing.next = each.when.next_after(now);
      if (due)
        begin(each, *due);
    }
  }

  /// When the wall time is needed again; at once while a new schedule has no start time yet.
  [[nodiscard]] std::optional<wall_time> next_deadline() const {
    std::optional<wall_time> result;
    for (auto& [name, each] : entries_) {
      auto next = each.standing.next.value_or(wall_time::min());
      result = std::min(result.value_or(next), next);
    }
    return result;
  }

  [[nodiscard]] schedule_list answer(const list_schedules& question) const {
    schedule_list result;
    for (auto at = entries_.upper_bound(question.after);
         at != entries_.end() && result.schedules.size() < question.limit; ++at)
      result.schedules.push_back(at->second.standing);
    return result;
  }

  [[nodiscard]] std::vector<saved_schedule> save() const {
    std::vector<saved_schedule> result;
    result.reserve(entries_.size());
    for (auto& [name, each] : entries_)
      result.push_back({each.words, each.standing});
    return result;
  }

  void load(const std::vector<saved_schedule>& saved) {
    for (auto& each : saved) {
      add(each.words);
      entries_.at(each.words.name).standing = each.standing;
    }
  }

private:
  std::map<std::string, entry, std::less<>> entries_;
  std::uint64_t bytes_ = 0;
};

} // namespace troupe::scheduler::detail
