#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/page_room.hpp"
#include "troupe/registry/detail/health_book.hpp"
#include "troupe/registry/detail/record_index.hpp"
#include "troupe/registry/detail/refusals.hpp"
#include "troupe/registry/detail/showcase.hpp"
#include "troupe/registry/record_bounds.hpp"
#include "troupe/registry/record_set.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::registry {

/// Merges the records that nodes publish, and derives how each shows from the liveness of its
/// node. A pure state machine. The same machine runs in the cluster's registry and, as a copy,
/// on every node, so that look-ups are local.
///
/// Merging is associative, commutative and idempotent: of one owner the highest boot wins, and
/// within it the greater record of each key; a removal is a record. So all tables that got the
/// same records agree, whatever way, in whatever order and however often these came. A
/// forgotten record leaves a floor of (boot, version) for its owner, so that late news of it is
/// ignored. Of a forgotten owner nothing is left: it may come back with the same boot.
///
/// How a record shows is derived, never merged: its status is the worst of its own, its node's
/// own, its node's silence and membership's verdict on the node. If several records have a claim
/// to one name, the one with the highest token shows and the others are `taken`. Health depends
/// on calls without an answer, never on errors of the application.
///
/// Source of the merge: Shapiro, Preguica, Baquero, Zawirski, "Conflict-free replicated
/// data types", SSS 2011, section 2.2 (state-based).
class record_table {
public:
  using event = registry::event;
  using effects = registry::effects;
  using query = get_record;
  using snapshot_type = table_snapshot;
  static constexpr bool events_read_back_exactly = true;

  record_table() = default;
  record_table(record_table&&) = default; // not copied: indexes point at entries
  record_table& operator=(record_table&&) = default;

  /// Handles one request made at `now`, after everything that was due by then. Every `id` but
  /// that of configure gets one answer, in this call.
  ///
  /// Refusals: bad_argument (a record or field outside its bounds, see check()),
  /// too_large (a record or batch), limit_reached (too many records or owners; a record
  /// with too many tags), not_found (heartbeat or verdict for a boot without records; an
  /// outcome for an unknown record), conflict (heartbeat of a boot that is over).
  /// Cost: O(log n) for each record and each of its tags; a change of a node's liveness
  /// or status touches all of its records; O(log n) for any other heartbeat.
  void step(time_point now, request_id id, const event& what, effects& out) {
    tick(now, out);
    std::visit([&](const auto& request) { handle(now, id, request, out); }, what);
  }

  /// Returns why step() would refuse `what` for its size; errc::none if not.
  /// Cost: O(records and their tags).
  [[nodiscard]] problem screen(const event& what) const {
    auto look = overloaded{
      [this](const put_records& request) { return screen(request); },
      [](const auto& request) { return detail::screen(request); },
    };
    return std::visit(look, what);
  }

  /// Handles what is due by `now`: silent nodes become inactive, then disconnected; records that
  /// were removed long ago are forgotten. Harmless when early.
  /// @pre `now` never goes backwards.
  void tick(time_point now, effects& out) {
    assert(now >= last_now_);
    last_now_ = now;
    while (!owner_alarms_.empty() && owner_alarms_.begin()->first <= now)
      settle(now, owners_.find(owner_alarms_.begin()->second));
    for (auto due = health_.next_deadline(); due && *due <= now; due = health_.next_deadline()) {
      auto& what = entries_.find(health_.next())->second;
      if (health_.settle(now, what, options_))
        out.push_back(check_health{what.key()});
      refresh(what);
    }
    if (auto due = sweep_at(); due && *due <= now)
      while (!gone_.empty() && gone_.begin()->first + options_.retention <= now)
        drop(entries_.find(gone_.begin()->second), out);
    trim(out);
  }

  /// Returns when tick() has to be called next; nothing if never.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = sweep_at();
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    if (!owner_alarms_.empty())
      no_later(owner_alarms_.begin()->first);
    if (auto due = health_.next_deadline())
      no_later(*due);
    return next;
  }

  // -- queries -------------------------------------------------------------------

  /// Cost: O(log n + records of that name).
  [[nodiscard]] record_found answer(const get_record& question) const {
    const entry* best = nullptr;
    auto beats = [](const entry& one, const entry& other) {
      if (one.shown->token != other.shown->token)
        return one.shown->token > other.shown->token;
      return std::pair{one.shows.status, !one.healthy}
             < std::pair{other.shows.status, !other.healthy};
    };
    for_each_of_name(question.kind, question.name, [&](const entry& each) {
      if (each.shown && (question.owner.empty() || each.key().owner == question.owner)
          && (best == nullptr || beats(each, *best)))
        best = &each;
    });
    return best != nullptr ? record_found{view_of(*best)} : record_found{};
  }

  /// Cost: O(log n) for each record that has the rarest of the given tags; without tags, for
  /// each record of the owner, or of the kind and name. Stops when the page is full.
  [[nodiscard]] found_records answer(const find_records& question) const {
    found_records result;
    page_room room{question.limit};
    auto owner = owners_.find(question.owner);
    auto* owned = question.owner.empty()   ? nullptr
                  : owner == owners_.end() ? &nobodys_
                                           : &owner->second.records;
    world_.find(entries_, owned, question, [&](const entry& each) {
      result.more = !room.left();
      if (result.more)
        return false;
      room.take(size_of(*each.shown));
      result.records.push_back(view_of(each));
      return true;
    });
    return result;
  }

  /// Since when that boot of a node is disconnected; nothing if it is not. O(log n).
  [[nodiscard]] std::optional<time_point> disconnected_since(const std::string& owner,
                                                             std::uint64_t boot) const {
    auto found = owners_.find(owner);
    return found != owners_.end() && found->second.boot == boot ? found->second.disconnected_since
                                                                : std::nullopt;
  }

  [[nodiscard]] owner_view answer(const find_owner& question) const {
    auto found = owners_.find(question.owner);
    return found != owners_.end() ? view_of(*found) : owner_view{.owner = question.owner};
  }

  [[nodiscard]] registry_counts answer(const count_records&) const {
    registry_counts result;
    world_.count_into(result);
    result.removed = static_cast<std::uint32_t>(gone_.size());
    result.owners = static_cast<std::uint32_t>(owners_.size());
    return result;
  }

  [[nodiscard]] bool has_news(const watch_records& question) const {
    return question.rest || question.after == 0 || question.after != world_.log().revision();
  }

  [[nodiscard]] std::uint64_t change_mark() const {
    return world_.log().revision();
  }

  /// All changes have the same topic.
  template <class Take>
  [[nodiscard]] bool for_each_topic(std::uint64_t mark, Take take) const {
    return mark >= change_mark() || take(std::string{});
  }

  /// Cost: O(page).
  [[nodiscard]] record_changes answer(const watch_records& question) const {
    return world_.answer(entries_, question);
  }

  // -- what one node says ------------------------------------------------------------

  /// Returns all records of that life of a node; nothing if the table shows another one, or none.
  /// Cost: O(n) in them.
  [[nodiscard]] std::optional<record_set> records_of(const std::string& owner,
                                                     std::uint64_t boot) const {
    auto found = owners_.find(owner);
    if (found == owners_.end() || found->second.boot != boot)
      return std::nullopt;
    record_set made{found->second.floor, {}};
    made.records.reserve(found->second.records.size());
    for (auto* each : found->second.records)
      made.records.push_back(each->is);
    return made;
  }

  /// Calls `use(const record&, const records_digest&)` for each record that the node has not
  /// removed, in the order of their keys.
  template <class Use>
  void for_each_of(const std::string& owner, Use use) const {
    auto found = owners_.find(owner);
    if (found == owners_.end())
      return;
    for (auto* each : found->second.records)
      if (!each->gone_since)
        use(*each->is, each->digest);
  }

  // -- snapshot --------------------------------------------------------------------

  /// Returns the state as of the last call. Equal states give equal snapshots.
  [[nodiscard]] table_snapshot snapshot() const {
    table_snapshot result{options_, world_.log().revision(), {}, {}, world_.log().snapshot()};
    for (auto& [name, each] : owners_)
      result.owners.push_back({name, each.boot, each.floor, each.verdict, last_now_ - each.heard,
                               since(each.disconnected_since)});
    for (auto& [key, each] : entries_)
      result.records.push_back({*each.is, each.failures, each.healthy, until(each.chance_at),
                                until(each.check_at), since(each.gone_since)});
    return result;
  }

  /// Continues at `now` from `saved`; exactly as the original if `now` is the time of its last
  /// call. The time in between does not count as silence.
  /// @pre `saved` comes from snapshot(); the host has verified its checksum.
  void restore(time_point now, const table_snapshot& saved) {
    *this = {};
    options_ = saved.options;
    last_now_ = now;
    for (auto& copy : saved.owners) {
      auto& owner = owners_[copy.owner];
      owner.boot = copy.boot;
      owner.floor = copy.floor;
      owner.verdict = copy.verdict;
      owner.heard = now - copy.silent_for;
      owner.disconnected_since = before(now, copy.disconnected_for);
      owner.liveness = worse(owner.verdict, by_silence(now, owner));
    }
    for (auto& copy : saved.records)
      restore(now, copy);
    restore_appearance(now);
    world_.log().restore(saved.revision, saved.changes, [this](const record& value) {
      auto found = entries_.find(value.key);
      return found != entries_.end() && *found->second.is == value
               ? found->second.is
               : std::make_shared<const record>(value);
    });
  }

private:
  using entry = detail::entry;
  using entries = detail::entries;

  struct owner_state {
    std::uint64_t boot = 0;
    /// Records of this boot that the table does not have are stale up to this version.
    std::uint64_t floor = 0;
    record_status verdict = record_status::active;
    time_point heard;
    /// The worse of the verdict and the node's silence, as of the last call.
    record_status liveness = record_status::active;
    /// The worst status of its node records.
    record_status own_word = record_status::active;
    std::optional<time_point> disconnected_since;
    std::optional<time_point> alarm;
    detail::entry_set records;
    std::uint32_t removed = 0;
  };

  using owners = std::map<std::string, owner_state, std::less<>>;

  // -- requests ----------------------------------------------------------------------

  void handle(time_point now, request_id id, const put_records& request, effects& out) {
    if (auto why = unfit(request))
      return refuse(id, std::move(why), out);
    put_report report;
    for (auto& each : request.records)
      ++(report.*merge(now, each, out));
    trim(out);
    out.push_back(put_done{id, report});
  }

  void handle(time_point now, request_id id, const heartbeat& request, effects& out) {
    auto found = owners_.find(request.owner);
    if (found == owners_.end() || request.boot > found->second.boot)
      return refuse(id, detail::without_records(request.owner, request.boot), out);
    auto& owner = found->second;
    if (request.boot < owner.boot)
      return refuse(id, detail::outlived(found->first, request.boot, owner.boot), out);
    owner.heard = now;
    owner.verdict = record_status::active;
    settle(now, found);
    out.push_back(owner_done{id, view_of(*found)});
  }

  void handle(time_point now, request_id id, const verdict& request, effects& out) {
    if (auto why = detail::unfit(request))
      return refuse(id, std::move(why), out);
    auto found = owners_.find(request.owner);
    if (found == owners_.end() || request.boot > found->second.boot)
      return refuse(id, detail::without_records(request.owner, request.boot), out);
    if (request.boot == found->second.boot) { // a verdict on an earlier boot is obsolete
      found->second.verdict = request.liveness;
      if (request.liveness == record_status::disconnected)
        is_long_gone(found->second, now - std::max(request.for_long, duration::zero()));
      settle(now, found);
    }
    out.push_back(owner_done{id, view_of(*found)});
  }

  void handle(time_point, request_id id, const forget& request, effects& out) {
    if (auto why = detail::unfit(request))
      return refuse(id, std::move(why), out);
    auto found = owners_.find(request.owner);
    if (found != owners_.end() && request.boot >= found->second.boot)
      drop(found, out);
    trim(out);
    out.push_back(owner_done{id, answer(find_owner{request.owner})});
  }

  void handle(time_point now, request_id id, const report_outcome& request, effects& out) {
    auto found = entries_.find(request.key);
    if (found == entries_.end() || found->second.gone_since)
      return refuse(id, detail::unknown(request.key), out);
    auto& what = found->second;
    health_.judge(now, what, request.outcome, options_);
    refresh(what);
    trim(out);
    out.push_back(health_done{id, {what.key(), what.healthy, what.failures}});
  }

  void handle(time_point now, request_id, const configure& request, effects& out) {
    options_ = request.options;
    world_.log().begin_above(std::max<std::uint64_t>(request.revision_floor, 1));
    for (auto each = owners_.begin(); each != owners_.end(); ++each)
      settle(now, each);
    trim(out);
  }

  // -- merging -----------------------------------------------------------------------

  /// Merges one record. Returns the field of the report that counts it.
  std::uint32_t put_report::*merge(time_point now, const record& value, effects& out) {
    auto owner = owners_.try_emplace(value.key.owner).first;
    auto& known = owner->second;
    if (value.boot < known.boot)
      return &put_report::stale;
    if (value.boot > known.boot)
      begin_boot(now, owner, value.boot, 0, out);
    auto found = entries_.find(value.key);
    if (found == entries_.end()) {
      if (value.version <= known.floor)
        return &put_report::stale;
      if (known.records.empty())
        begin_boot(now, owner, known.boot, known.floor, out); // as if it were new
      found = entries_.try_emplace(value.key).first;
      found->second.become(value);
      known.records.insert(&found->second);
      take_over(now, owner, found->second, 0, out);
      return &put_report::merged;
    }
    auto& what = found->second;
    if (value == *what.is)
      return &put_report::known;
    auto clashes = value.version == what.is->version;
    if (value < *what.is)
      return clashes ? &put_report::clashing : &put_report::stale;
    auto token = what.is->token;
    what.become(value);
    take_over(now, owner, what, token, out);
    return clashes ? &put_report::clashing : &put_report::merged;
  }

  /// Updates everything that depends on the new content of `what`.
  void take_over(time_point now, owners::iterator owner, entry& what, std::uint64_t old_token,
                 effects& out) {
    if (!what.is->removed) {
      set_present(owner->second, what);
    } else if (!what.gone_since) {
      set_gone(owner->second, what, now);
      health_.clear(what);
      refresh(what);
    }
    if (old_token != 0 || what.is->token != 0)
      settle_name(what.key(), out);
    refresh(what);
    if (what.key().kind == record_kind::node)
      settle_own_word(owner->second);
    arm(now, owner);
  }

  /// Begins a boot of the owner: drops the records of earlier ones.
  void begin_boot(time_point now, owners::iterator owner, std::uint64_t boot, std::uint64_t floor,
                  effects& out) {
    auto& known = owner->second;
    lose_all(known, out);
    known.boot = boot;
    known.floor = floor;
    known.heard = now;
    known.verdict = known.liveness = known.own_word = record_status::active;
    known.disconnected_since.reset();
    arm(now, owner);
  }

  /// Forgets the owner, as if it had never been heard of.
  void drop(owners::iterator position, effects& out) {
    auto& [name, owner] = *position;
    lose_all(owner, out);
    if (owner.alarm)
      owner_alarms_.erase({*owner.alarm, name});
    owners_.erase(position);
  }

  void lose_all(owner_state& owner, effects& out) {
    while (!owner.records.empty())
      lose(**owner.records.begin(), out);
  }

  /// Removes an entry from the table permanently.
  void lose(entry& what, effects& out) {
    auto& owner = owners_.find(what.key().owner)->second;
    world_.remove(what, change_kind::lost);
    health_.clear(what);
    set_present(owner, what);
    owner.records.erase(&what);
    auto last = std::move(entries_.extract(what.key()).mapped().is);
    if (last->token != 0)
      settle_name(last->key, out);
  }

  /// Forgets a removed record and raises the floor of its owner to its version.
  void drop(entries::iterator position, effects& out) {
    auto& what = position->second;
    auto owner = owners_.find(what.key().owner);
    owner->second.floor = std::max(owner->second.floor, what.is->version);
    lose(what, out);
    arm(last_now_, owner);
  }

  /// Applies the limits of removed records and changes.
  void trim(effects& out) {
    while (gone_.size() > options_.max_removed)
      drop(entries_.find(gone_.begin()->second), out);
    world_.log().keep_last(options_.max_changes);
  }

  void set_gone(owner_state& owner, entry& what, time_point when) {
    what.gone_since = when;
    gone_.emplace(when, what.key());
    ++owner.removed;
  }

  void set_present(owner_state& owner, entry& what) {
    if (!what.gone_since)
      return;
    gone_.erase({*what.gone_since, what.key()});
    what.gone_since.reset();
    --owner.removed;
  }

  // -- liveness ----------------------------------------------------------------------

  /// It is disconnected since then, unless it is known to be for longer.
  static void is_long_gone(owner_state& owner, time_point since) {
    if (owner.disconnected_since)
      return;
    owner.disconnected_since = since;
    owner.heard = std::min(owner.heard, since);
  }

  /// Updates the liveness of one node as of `now`.
  void settle(time_point now, owners::iterator position) {
    auto& owner = position->second;
    auto before = std::exchange(owner.liveness, worse(owner.verdict, by_silence(now, owner)));
    if (owner.liveness != record_status::disconnected)
      owner.disconnected_since.reset();
    else if (!owner.disconnected_since)
      owner.disconnected_since = now;
    if (owner.liveness != before)
      for (auto* each : owner.records)
        refresh(*each);
    arm(now, position);
  }

  [[nodiscard]] record_status by_silence(time_point now, const owner_state& owner) const {
    auto silent_for = now - owner.heard;
    auto after = [&](duration span) { return span > duration::zero() && silent_for >= span; };
    if (after(options_.disconnected_after))
      return record_status::disconnected;
    return after(options_.inactive_after) ? record_status::inactive : record_status::active;
  }

  /// Sets the alarm of a node to the next time at which its liveness may change.
  void arm(time_point now, owners::iterator position) {
    auto& [name, owner] = *position;
    std::optional<time_point> next;
    auto consider = [&](time_point from, duration span) {
      if (span > duration::zero() && from + span > now)
        next = std::min(next.value_or(time_point::max()), from + span);
    };
    consider(owner.heard, options_.inactive_after);
    consider(owner.heard, options_.disconnected_after);
    if (next == owner.alarm)
      return;
    if (owner.alarm)
      owner_alarms_.erase({*owner.alarm, name});
    if (next)
      owner_alarms_.emplace(*next, name);
    owner.alarm = next;
  }

  /// Applies the status of a node's own records to all its records.
  void settle_own_word(owner_state& owner) {
    auto before = std::exchange(owner.own_word, own_word_of(owner));
    if (owner.own_word == before)
      return;
    for (auto* each : owner.records)
      refresh(*each);
  }

  static record_status own_word_of(const owner_state& owner) {
    auto result = record_status::active;
    for (auto* each : owner.records) {
      if (each->key().kind != record_kind::node)
        break; // nodes come first
      if (!each->gone_since)
        result = worse(result, each->is->status);
    }
    return result;
  }

  [[nodiscard]] bool retains() const {
    return options_.retention > duration::zero();
  }

  /// Removed records are dropped in batches, so that there is no alarm for each.
  [[nodiscard]] std::optional<time_point> sweep_at() const {
    if (gone_.empty() || !retains())
      return std::nullopt;
    return gone_.begin()->first + options_.retention + options_.retention / 8;
  }

  // -- names -------------------------------------------------------------------------

  /// Shows only the newest claim to a name.
  void settle_name(const record_key& key, effects& out) {
    const entry* newest = nullptr;
    for_each_of_name(key.kind, key.name, [&](const entry& each) {
      if (!each.gone_since && (newest == nullptr || each.is->token > newest->is->token))
        newest = &each;
    });
    auto first = entries_.lower_bound({key.kind, key.name, {}});
    for (auto hides : {true, false}) // so that at no revision two show
      for (auto each = first; each != entries_.end() && of_name(each->first, key.kind, key.name);
           ++each) {
        auto& what = each->second;
        auto token = what.is->token;
        auto taken = !what.gone_since && token != 0 && token < newest->is->token;
        if (taken != hides)
          continue;
        if (taken && !what.taken)
          out.push_back(name_lost{what.key(), newest->key().owner});
        what.taken = taken;
        refresh(what);
      }
  }

  static bool of_name(const record_key& key, record_kind kind, const std::string& name) {
    return key.kind == kind && key.name == name;
  }

  template <class Visit>
  void for_each_of_name(record_kind kind, const std::string& name, Visit visit) const {
    auto each = entries_.lower_bound({kind, name, {}});
    for (; each != entries_.end() && of_name(each->first, kind, name); ++each)
      visit(each->second);
  }

  // -- what shows --------------------------------------------------------------------

  /// Updates how `what` shows, and notes a change if it differs.
  void refresh(entry& what) {
    if (what.gone_since)
      world_.remove(what, change_kind::removed);
    else if (what.taken)
      world_.take_name(what);
    else
      world_.show(what, appearance_of(what));
  }

  [[nodiscard]] detail::appearance appearance_of(const entry& what) const {
    auto& owner = owners_.find(what.key().owner)->second;
    auto status = worse(worse(what.is->status, owner.own_word), owner.liveness);
    return {owner.liveness, status, what.healthy};
  }

  [[nodiscard]] record_view view_of(const entry& what) const {
    auto& owner = owners_.find(what.key().owner)->second;
    return {*what.shown, what.shows.liveness, what.shows.status, what.shows.healthy,
            away_for(owner)};
  }

  [[nodiscard]] duration away_for(const owner_state& owner) const {
    return since(owner.disconnected_since).value_or(duration::zero());
  }

  [[nodiscard]] owner_view view_of(const owners::value_type& from) const {
    auto& [name, owner] = from;
    return {name,
            owner.boot,
            owner.liveness,
            away_for(owner),
            static_cast<std::uint32_t>(owner.records.size()) - owner.removed,
            options_.heartbeat_every};
  }

  // -- refusals ----------------------------------------------------------------------

  static void refuse(request_id id, problem why, effects& out) {
    out.push_back(refused{id, std::move(why)});
  }

  [[nodiscard]] problem screen(const put_records& request) const {
    auto is_large = [this](auto& each) { return size_of(each) > options_.max_record_bytes; };
    return request.records.size() > options_.max_batch
               || std::ranges::any_of(request.records, is_large)
             ? unfit(request)
             : problem{};
  }

  /// Checks all records before any is merged.
  [[nodiscard]] problem unfit(const put_records& request) const {
    if (request.records.size() > options_.max_batch)
      return {errc::too_large,
              std::to_string(request.records.size()) + " records in one put_records; give at most "
                + std::to_string(options_.max_batch) + " (registry_options::max_batch)"};
    std::set<std::string> new_owners;
    std::set<record_key> new_records;
    for (auto& each : request.records) {
      if (auto why = check(each))
        return why;
      if (auto size = size_of(each); size > options_.max_record_bytes)
        return {errc::too_large, to_text(each.key) + " has " + std::to_string(size)
                                   + " bytes; give at most "
                                   + std::to_string(options_.max_record_bytes)
                                   + " (registry_options::max_record_bytes)"};
      if (!owners_.contains(each.key.owner))
        new_owners.insert(each.key.owner);
      if (auto found = entries_.find(each.key);
          !each.removed && (found == entries_.end() || found->second.gone_since))
        new_records.insert(each.key);
    }
    if (!new_owners.empty() && owners_.size() + new_owners.size() > options_.max_owners)
      return detail::full("owners", "max_owners", options_.max_owners);
    if (!new_records.empty()
        && entries_.size() - gone_.size() + new_records.size() > options_.max_records)
      return detail::full("records", "max_records", options_.max_records);
    return {};
  }

  // -- spans -------------------------------------------------------------------------

  [[nodiscard]] std::optional<duration> since(const std::optional<time_point>& when) const {
    return when ? std::optional{last_now_ - *when} : std::nullopt;
  }

  [[nodiscard]] std::optional<duration> until(const std::optional<time_point>& when) const {
    return when ? std::optional{*when - last_now_} : std::nullopt;
  }

  static std::optional<time_point> before(time_point now, const std::optional<duration>& span) {
    return span ? std::optional{now - *span} : std::nullopt;
  }

  void restore(time_point now, const saved_record& copy) {
    auto& what = entries_[copy.value.key];
    what.become(copy.value);
    what.failures = copy.failures;
    what.healthy = copy.healthy;
    if (copy.chance_in)
      what.chance_at = now + *copy.chance_in;
    if (copy.check_in)
      what.check_at = now + *copy.check_in;
    health_.arm(what);
    auto& owner = owners_.find(copy.value.key.owner)->second;
    owner.records.insert(&what);
    if (copy.gone_for)
      set_gone(owner, what, now - *copy.gone_for);
  }

  /// Derives what is not saved: which records show, and the alarms.
  void restore_appearance(time_point now) {
    effects told_before;
    for (auto each = owners_.begin(); each != owners_.end(); ++each) {
      each->second.own_word = own_word_of(each->second);
      arm(now, each);
    }
    for (auto& [key, what] : entries_)
      if (what.is->token != 0)
        settle_name(key, told_before);
      else
        refresh(what);
  }

  // -- state -------------------------------------------------------------------------

  registry_options options_;
  entries entries_;
  owners owners_;
  detail::showcase world_;
  detail::health_book health_;
  /// Removed records by the time of their removal.
  std::set<std::pair<time_point, record_key>> gone_;
  /// One alarm for each node whose liveness may change with time.
  std::set<std::pair<time_point, std::string>> owner_alarms_;
  detail::entry_set nobodys_;
  time_point last_now_ = time_point::min();
};

static_assert(machine<record_table>);
static_assert(indexed_query<record_table, watch_records>);

} // namespace troupe::registry
