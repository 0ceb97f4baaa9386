#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/page_room.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/core/watch_pages.hpp"
#include "troupe/state/detail/change_log.hpp"
#include "troupe/state/detail/key_table.hpp"
#include "troupe/state/types.hpp"

namespace troupe::state {

/// A key-value store: one replica of its data. A pure state machine.
///
/// Every write gets a version above all that the table gave before, for any key, so that a
/// version that was read identifies the state that was seen, even if the key was removed in
/// between. Revisions count the changes of the table; the version of a write is the revision
/// that it made.
///
/// Values with a time to live expire when the calendar, which the host reports, has passed their
/// end. Timestamps of writes follow the calendar, too: they never go back, and are above those of
/// what they replace.
///
/// At level strong a put with a context is a conditional write of one linearizable register:
/// the context of a read says up to which revision of the table the key is known. The put is
/// refused if the key changed since, or may have: if a removal of it may be forgotten, or
/// another era has begun (see configure).
///
/// The table remembers the last removals, and up to which revision earlier ones may be forgotten.
/// A watcher whose revision is before that starts again with a snapshot, which simply lacks what
/// was removed. Removals need not be kept for other replicas: the table is not merged with any.
class state_table {
public:
  using event = state::event;
  using effects = state::effects;
  using query = get;
  using snapshot_type = table_snapshot;
  static constexpr bool events_read_back_exactly = true;

  /// Handles one request made at `now`. Every put and remove_key gets one answer, in this call.
  ///
  /// Refusals: bad_argument (a key that is empty or not UTF-8; an unknown level or type, or an
  /// mv_register at level strong; a ttl out of range; an invalid clock), too_large (key,
  /// value or clock), damaged (the value does not match put::content), conflict (not the
  /// expected version; a clock with writes that are unknown here; at level strong a context that
  /// lacks the last change of the key or comes from another era),
  /// limit_reached (too many keys, bytes or siblings), not_found (nothing to remove).
  /// Cost: O(log n), one SHA-256 of the value, copies of it to the table and the log.
  void step(time_point now, request_id id, const event& what, effects& out) {
    tick(now, out);
    troupe::visit([&](const auto& request) { handle(now, id, request, out); }, what);
    keys_changed();
  }

  /// Returns why step() would refuse `what` for its size, errc::none if it would not.
  /// Cost: O(clock).
  [[nodiscard]] problem screen(const event& what) const {
    return troupe::visit([this](const auto& request) { return screen(request); }, what);
  }

  /// Only notes the time: no state depends on it.
  /// @pre `now` never goes backwards.
  void tick(time_point now, effects&) {
    assert(now >= last_now_);
    last_now_ = now;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return std::nullopt;
  }

  /// Returns when the next value expires; empty if no value will.
  [[nodiscard]] std::optional<wall_time> next_wall_deadline() const {
    if (keys_.expiries().empty())
      return std::nullopt;
    return keys_.expiries().begin()->at;
  }

  // -- queries -------------------------------------------------------------------

  [[nodiscard]] entries_found answer(const get& question) const {
    entries_found result{question.key, {}, {}, log_.revision()};
    if (auto* held = keys_.find(question.key))
      std::tie(result.entries, result.clock) = std::tie(held->set.entries, held->set.clock);
    if (question.key.level == consistency::strong)
      result.clock.raise(replica_, log_.revision()); // the absence of a value is known, too
    return result;
  }

  [[nodiscard]] key_page answer(const list_keys& question) const {
    key_page result;
    page_room room{question.limit};
    keys_.for_each_in(question.scope, question.after, [&](const saved_key& held) {
      result.more = !room.left();
      if (result.more)
        return false;
      room.take(held.key.key.size());
      auto& newest = held.set.entries.back();
      result.keys.push_back(
        {held.key, newest.version, static_cast<std::uint32_t>(held.set.entries.size()),
         newest.value.size(), newest.content, newest.written_at, newest.expires_at});
      return true;
    });
    return result;
  }

  [[nodiscard]] state_counts answer(const count_entries&) const {
    return {keys_.counts(consistency::eventual),
            keys_.counts(consistency::causal),
            keys_.counts(consistency::strong),
            log_.revision(),
            replica_,
            log_.size()};
  }

  /// Returns true also if more than max_passed_over keys outside the scope changed. Cost:
  /// O(log n), plus the keys that changed since, max_passed_over at most.
  [[nodiscard]] bool has_news(const watch_state& question) const {
    if (question.rest || !may_go_on(question) || unfit(question.scope))
      return true;
    std::size_t passed = 0;
    return !keys_.for_each_changed(question.after, [&](const saved_key& each) {
      return !contains(question.scope, each.key) && ++passed <= max_passed_over;
    });
  }

  [[nodiscard]] std::uint64_t change_mark() const {
    return log_.revision();
  }

  /// Topics are the texts of keys. Cost: O(log n), plus the keys that changed since.
  template <class Take>
  [[nodiscard]] bool for_each_topic(std::uint64_t mark, Take take) const {
    return mark >= keys_.forgotten_up_to()
           && keys_.for_each_changed(mark,
                                     [&](const saved_key& each) { return take(each.key.key); });
  }

  /// Refuses a scope longer than any key may be: too_large. Cost: O(page), plus the changes or
  /// keys that are skipped.
  [[nodiscard]] result<state_changes> answer(const watch_state& question) const {
    if (auto why = unfit(question.scope))
      return why;
    page_room room{question.limit};
    if (!question.rest && may_go_on(question) && log_.reaches_back_to(question.after))
      return log_.page(question.after, question.scope, room);
    scope_view view{*this, question.scope};
    watch_pages<scope_view> pages{view, room};
    return may_go_on(question) ? pages.next(question.after, question.rest) : pages.first();
  }

  // -- snapshot --------------------------------------------------------------------

  /// Returns the state as of the last call. Equal states give equal snapshots.
  [[nodiscard]] table_snapshot snapshot() const {
    table_snapshot result;
    result.options = options_;
    result.replica = replica_;
    keys_.save(result);
    log_.save(result);
    result.told = told_;
    result.told_ago = last_now_ - told_at_;
    result.latest = latest_;
    result.era = era_;
    return result;
  }

  /// Continues at `now` from the state `saved`; exactly so if `now` is the time of the last call
  /// before the snapshot.
  /// @pre `saved` comes from snapshot() and has passed verify().
  void restore(time_point now, const table_snapshot& saved) {
    options_ = saved.options;
    replica_ = saved.replica;
    keys_.restore(saved);
    log_.restore(saved);
    told_ = saved.told;
    told_at_ = now - saved.told_ago;
    latest_ = saved.latest;
    era_ = saved.era;
    last_now_ = now;
  }

  /// Returns damaged unless the checksums of all values in a snapshot are right. Hosts call this
  /// before they restore. Cost: one SHA-256 of each value.
  [[nodiscard]] static problem verify(const table_snapshot& saved) {
    for (auto& key : saved.keys)
      for (auto& each : key->set.entries)
        if (auto why = state::verify(each))
          return why;
    for (auto& line : saved.changes)
      for (auto& each : line.entries)
        if (auto why = state::verify(each))
          return why;
    return {};
  }

private:
  struct scope_view;

  /// In one step, as links may wait for it; next_wall_deadline() is then due at once for the rest.
  static constexpr int max_expiries = 1'000;

  // -- requests ----------------------------------------------------------------------

  void handle(time_point now, request_id id, const put& request, effects& out) {
    if (auto why = unfit(request))
      return refuse(id, std::move(why), out);
    auto* held = keys_.find(request.key);
    auto context = context_of(request, held);
    if (!context)
      return refuse(id, context.error(), out);
    if (!request.context && !request.expect_version && request.key.type == value_type::mv_register)
      *context = {}; // its writer has seen nothing
    if (auto why = no_room(request, held, *context))
      return refuse(id, std::move(why), out);
    if (!has_seen_all(held, *context))
      ++keys_.history(request.key.level).conflicts;
    ++keys_.history(request.key.level).puts;

    entry made;
    made.key = request.key;
    made.value = request.value;
    made.version = log_.advance();
    made.replica = replica_;
    made.context = std::move(*context);
    made.written_at = stamp(now, held);
    if (request.ttl)
      made.expires_at = later(calendar(now), *request.ttl);
    if (request.content) { // unfit() has compared it with the value
      made.content = *request.content;
      made.checksum = checksum_of(made);
    } else {
      seal(made);
    }
    written answer{made.key, made.version, clock_of(made), 0, made.written_at, made.expires_at};
    auto& set = keys_.change(request.key, made.version, [&](sibling_set& siblings) {
      add_write(siblings, std::move(made), request.key.type);
    });
    finish(id, std::move(answer), change_kind::put, set, out);
  }

  void handle(time_point now, request_id id, const remove_key& request, effects& out) {
    if (auto why = unfit(request.key))
      return refuse(id, std::move(why), out);
    auto* held = keys_.find(request.key);
    auto context = context_of(request, held);
    if (!context)
      return refuse(id, context.error(), out);
    if (held == nullptr || held->set.entries.empty())
      return refuse(
        id, {errc::not_found, to_text(request.key) + " has no value; list_keys lists the keys"},
        out);
    if (!has_seen_all(held, *context))
      ++keys_.history(request.key.level).conflicts;
    ++keys_.history(request.key.level).removals;

    write_stamp when{stamp(now, held), replica_, log_.advance()};
    auto& set = keys_.change(request.key, when.version, [&](sibling_set& siblings) {
      add_removal(siblings, when, *context, request.key.type);
    });
    finish(id, {request.key, when.version, *std::move(context), 0, when.at, {}},
           change_kind::removed, set, out);
  }

  void handle(time_point now, request_id, const wall& request, effects& out) {
    told_ = std::max(told_, request.now);
    told_at_ = now;
    for (auto count = 0;
         count < max_expiries && !keys_.expiries().empty() && keys_.expiries().begin()->at <= told_;
         ++count) {
      auto due = *keys_.expiries().begin();
      auto gone = entry_of(due);
      ++keys_.history(due.key.level).expiries;
      auto& set = keys_.change(due.key, log_.advance(), [&](sibling_set& siblings) {
        add_expiry(siblings, gone, due.key.type);
      });
      log_.note({log_.revision(), change_kind::expired, due.key, set.entries});
      out.push_back(expired{due.key, due.version});
    }
  }

  void handle(time_point, request_id, const configure& request, effects&) {
    options_ = request.options;
    if (auto floor = std::max<std::uint64_t>(request.revision_floor, 1); floor > log_.revision()) {
      log_.begin_above(floor);
      keys_.forget_gone(floor);
      era_ = floor;
    }
    if (!replica_.empty())
      return;
    auto& wished = options_.replica;
    auto fits
      = !wished.empty() && wished.size() <= vector_clock::max_replica_bytes && is_utf8(wished);
    replica_ = fits ? wished : "r" + std::to_string(log_.revision());
  }

  /// @pre answer.clock is what the writer has seen, its write included.
  void finish(request_id id, written answer, change_kind kind, const sibling_set& set,
              effects& out) {
    answer.siblings = static_cast<std::uint32_t>(set.entries.size());
    answer.clock = shortened(answer.clock, set);
    log_.note({answer.version, kind, answer.key, set.entries});
    out.push_back(accepted{id, std::move(answer)});
  }

  /// Drops changes and tombstones beyond their bounds.
  void keys_changed() {
    log_.keep_last(options_.max_changes, options_.max_change_bytes);
    keys_.keep_gone(options_.max_changes, options_.max_change_bytes);
  }

  [[nodiscard]] entry entry_of(const detail::key_table::expiry& due) const {
    auto& entries = keys_.find(due.key)->set.entries;
    return *std::ranges::find_if(entries, [&](auto& each) {
      return each.replica == due.replica && each.version == due.version;
    });
  }

  // -- what a writer has seen --------------------------------------------------------

  /// Returns what the writer has seen of the key: all of it if the request has no context. Refuses
  /// an unexpected version and an invalid or outdated context.
  template <class Request>
  [[nodiscard]] result<vector_clock> context_of(const Request& request,
                                                const saved_key* held) const {
    auto version = held != nullptr ? version_of(held->set.entries) : 0;
    if (request.expect_version && *request.expect_version != version)
      return problem{errc::conflict, to_text(request.key) + " has version "
                                       + std::to_string(version) + ", expected was "
                                       + std::to_string(*request.expect_version)
                                       + "; read it again"};
    if (!request.context)
      return held != nullptr ? held->set.clock : vector_clock{};
    if (auto why = request.context->check())
      return why;
    auto known = held != nullptr ? held->set.clock : vector_clock{};
    known.raise(replica_, log_.revision()); // including forgotten writes
    if (!known.covers(*request.context))
      return problem{errc::conflict, "the clock knows writes that are unknown here; read "
                                       + to_text(request.key) + " again"};
    if (request.key.level == consistency::strong && !is_as_seen(held, *request.context))
      return problem{errc::conflict, to_text(request.key)
                                       + " changed since the clock was read, or the clock is too "
                                         "old to tell; read it again"};
    return held != nullptr ? shortened(*request.context, held->set) : vector_clock{};
  }

  /// Returns whether it is certain that a key of level strong has not changed since `context`
  /// was read.
  [[nodiscard]] bool is_as_seen(const saved_key* held, const vector_clock& context) const {
    if (planted_flaw == flaw::removals_overlooked)
      return has_seen_all(held, context);
    auto read_at = context.last_of(replica_);
    if (held == nullptr)
      return read_at >= keys_.forgotten_up_to();
    return read_at >= era_ && context.knows(replica_, held->revision);
  }

  static bool has_seen_all(const saved_key* held, const vector_clock& context) {
    return held == nullptr || has_seen_all(held->set, context);
  }

  static bool has_seen_all(const sibling_set& set, const vector_clock& context) {
    return std::ranges::all_of(
      set.entries, [&](auto& each) { return context.knows(each.replica, each.version); });
  }

  /// Returns `seen` without dots of writes that the key no longer has: they make no difference and
  /// would only take memory. If it has seen all current writes, that is the clock of the set.
  static vector_clock shortened(const vector_clock& seen, const sibling_set& set) {
    if (has_seen_all(set, seen))
      return set.clock;
    vector_clock result;
    for (auto& [replica, count] : seen.counts())
      result.raise(replica, count);
    for (auto& each : set.entries)
      if (seen.knows(each.replica, each.version))
        result.add(each.replica, each.version);
    return result;
  }

  // -- the calendar ------------------------------------------------------------------

  /// The last calendar time from the host plus the time since; never goes back.
  [[nodiscard]] wall_time calendar(time_point now) {
    latest_ = std::max(latest_, told_ + (now - told_at_));
    return latest_;
  }

  /// Returns a timestamp above those of what a write replaces.
  [[nodiscard]] wall_time stamp(time_point now, const saved_key* held) {
    auto result = calendar(now);
    if (held == nullptr)
      return result;
    constexpr duration least{1};
    for (auto& each : held->set.entries)
      result = std::max(result, each.written_at + least);
    if (held->set.removed)
      result = std::max(result, held->set.removed->at + least);
    return result;
  }

  /// The calendar ends in 2262.
  static wall_time later(wall_time from, duration span) {
    return span > wall_time::max() - from ? wall_time::max() : from + span;
  }

  // -- refusals ----------------------------------------------------------------------

  static void refuse(request_id id, problem why, effects& out) {
    out.push_back(refused{id, std::move(why)});
  }

  static problem too_large(const std::string& what, std::size_t size, const std::string& option,
                           std::uint64_t bound) {
    return {errc::too_large, what + " has " + std::to_string(size) + " bytes; give at most "
                               + std::to_string(bound) + " (state_options::" + option + ")"};
  }

  static problem full(const std::string& what, const std::string& option, std::uint64_t bound) {
    return {errc::limit_reached, "all " + std::to_string(bound) + ' ' + what
                                   + " are in use; remove some or raise state_options::" + option};
  }

  [[nodiscard]] problem unfit(const key_scope& scope) const {
    auto longest = std::max(scope.prefix.size(), scope.key.size());
    return longest > options_.max_key_bytes
             ? too_large("key or prefix", longest, "max_key_bytes", options_.max_key_bytes)
             : problem{};
  }

  /// Checks in the order of step(), but for the clock, so that the refusal is the same.
  template <class Request>
  [[nodiscard]] problem screen(const Request& request) const {
    if constexpr (requires { request.key; }) {
      if (request.key.key.size() > options_.max_key_bytes)
        return unfit(request.key);
      if constexpr (requires { request.value; })
        if (request.value.size() > options_.max_value_bytes)
          return unfit(request);
      if (request.context)
        return request.context->check();
    }
    return {};
  }

  [[nodiscard]] problem unfit(const entry_key& key) const {
    if (key.key.size() > options_.max_key_bytes)
      return too_large("key", key.key.size(), "max_key_bytes", options_.max_key_bytes);
    if (key.key.empty() || !is_utf8(key.key))
      return {errc::bad_argument, "key has to be UTF-8 and not empty; encode it, e.g. as base64"};
    if (name_of(key.level) == "unknown" || name_of(key.type) == "unknown")
      return {errc::bad_argument, "level " + std::to_string(static_cast<int>(key.level))
                                    + " with type " + std::to_string(static_cast<int>(key.type))
                                    + " is unknown here; upgrade first"};
    if (key.level == consistency::strong && key.type == value_type::mv_register)
      return {errc::bad_argument, "level strong has no siblings; give type lww_register"};
    return {};
  }

  [[nodiscard]] problem unfit(const put& request) const {
    if (auto why = unfit(request.key))
      return why;
    if (request.value.size() > options_.max_value_bytes)
      return too_large("value", request.value.size(), "max_value_bytes", options_.max_value_bytes);
    if (request.ttl && (*request.ttl <= duration::zero() || *request.ttl > options_.max_ttl))
      return {errc::bad_argument, "ttl is " + to_string(*request.ttl)
                                    + "; give more than 0 ms, at most "
                                    + to_string(options_.max_ttl) + " (state_options::max_ttl)"};
    if (request.content && *request.content != sha256(view_of(request.value)))
      return {errc::damaged, "the value for " + to_text(request.key)
                               + " did not arrive as it was sent; send it again"};
    return {};
  }

  /// Returns limit_reached if there is no room for a put that replaces what is in `context`.
  [[nodiscard]] problem no_room(const put& request, const saved_key* held,
                                const vector_clock& context) const {
    static const std::vector<entry> no_entries;
    std::uint64_t freed = 0;
    std::uint64_t stay = 0;
    auto is_replaced = [&](const entry& each) {
      return request.key.type != value_type::mv_register
             || context.knows(each.replica, each.version);
    };
    for (auto& each : held != nullptr ? held->set.entries : no_entries)
      is_replaced(each) ? freed += detail::size_of(each) : ++stay;
    if (stay >= options_.max_siblings)
      return {errc::limit_reached, to_text(request.key) + " has " + std::to_string(stay)
                                     + " siblings that the writer has not seen; read them and put "
                                       "one value with their clock as context"};
    if ((held == nullptr || held->set.entries.empty()) && keys_.live_keys() >= options_.max_keys)
      return full("keys", "max_keys", options_.max_keys);
    auto after = keys_.bytes() - freed + request.key.key.size() + request.value.size();
    if (after > options_.max_bytes && after > keys_.bytes())
      return full("bytes", "max_bytes", options_.max_bytes);
    return {};
  }

  // -- views -------------------------------------------------------------------------

  /// Returns whether the watcher may continue: it has seen all removals that are forgotten here.
  [[nodiscard]] bool may_go_on(const watch_state& question) const {
    return question.after != 0 && question.after >= keys_.forgotten_up_to()
           && question.after <= log_.revision();
  }

  /// The keys that a watcher of `scope` may see: in their order, and those that changed after a
  /// revision in the order of their last changes.
  struct scope_view {
    using page = state_changes;
    using key = entry_key;

    [[nodiscard]] std::uint64_t revision() const {
      return table.log_.revision();
    }

    template <class Take>
    void for_each_behind(const std::optional<key>& rest, Take take) const {
      table.keys_.for_each_in(scope, rest, take);
    }

    template <class Take>
    bool for_each_changed(std::uint64_t after, Take take) const {
      return table.keys_.for_each_changed(after, take);
    }

    [[nodiscard]] bool sees(const saved_key& held) const {
      return contains(scope, held.key);
    }

    static const key& key_of(const saved_key& held) {
      return held.key;
    }

    static std::uint64_t revision_of(const saved_key& held) {
      return held.revision;
    }

    static std::size_t size_of(const saved_key& held) {
      return held.key.key.size() + detail::size_of(held.set.entries);
    }

    static change line_of(const saved_key& held) {
      auto& entries = held.set.entries;
      auto& removed = held.set.removed;
      auto gone = removed && removed->version == held.revision ? change_kind::removed
                                                               : change_kind::expired;
      return {held.revision, entries.empty() ? gone : change_kind::put, held.key, entries};
    }

    const state_table& table;
    const key_scope& scope;
  };

  // -- state -------------------------------------------------------------------------

  state_options options_;
  std::string replica_;
  detail::key_table keys_;
  detail::change_log log_;
  wall_time told_{};
  time_point told_at_{};
  wall_time latest_{};
  std::uint64_t era_ = 0; // the revision at which it began
  time_point last_now_{};
};

static_assert(machine<state_table>);
static_assert(wall_timed<state_table>);
static_assert(indexed_query<state_table, watch_state>);

} // namespace troupe::state
