#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/page_room.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/detail/health_book.hpp"
#include "troupe/registry/detail/record_index.hpp"
#include "troupe/registry/detail/refusals.hpp"
#include "troupe/registry/detail/showcase.hpp"
#include "troupe/registry/record_bounds.hpp"
#include "troupe/registry/record_set.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::registry {

/// Merges the records that nodes publish, and derives how each shows from the liveness of its
/// node, which it is told. A pure state machine that runs on every node, so that look-ups are
/// local. It has no snapshot: a node that starts gets the records from the others.
///
/// Merging is associative, commutative and idempotent: of one owner the highest boot wins, and
/// within it the greater record of each key; a removal is a record. So all tables that got the
/// same records agree, whatever way, in whatever order and however often these came. A
/// forgotten record leaves a floor of (boot, version) for its owner, so that late news of it is
/// ignored. Of a forgotten owner nothing is left: it may come back with the same boot.
///
/// How a record shows is derived, never merged: its status is the worst of its own, its node's own
/// and membership's verdict on the node. If several records have a claim to one name, the one with
/// the highest token shows and the others are `taken`. Health depends on calls without an answer,
/// never on errors of the application.
///
/// Source of the merge: Shapiro, Preguica, Baquero, Zawirski, "Conflict-free replicated
/// data types", SSS 2011, section 2.2 (state-based).
class record_table {
public:
  using event = registry::event;
  using effects = registry::effects;

  record_table() = default;
  record_table(record_table&&) = default; // not copied: indexes point at entries
  record_table& operator=(record_table&&) = default;

  /// Handles one request made at `now`, after everything that was due by then. Every `id` but
  /// that of configure gets one answer, in this call.
  ///
  /// Refusals: bad_argument (a record or field outside its bounds, see check()),
  /// too_large (a record or batch), limit_reached (too many records or owners; a record
  /// with too many tags), not_found (verdict for a boot without records; an outcome for an
  /// unknown record).
  /// Cost: O(log n) for each record and each of its tags; a change of a node's liveness
  /// or status touches all of its records.
  void step(time_point now, request_id id, const event& what, effects& out) {
    tick(now);
    troupe::visit([&](const auto& request) { handle(id, request, out); }, what);
    trim();
  }

  /// Handles what is due by `now`: unhealthy records get another chance, and records that were
  /// removed long ago are forgotten. Harmless when early.
  /// @pre `now` never goes backwards.
  void tick(time_point now) {
    assert(now >= last_now_);
    last_now_ = now;
    for (auto due = health_.next_deadline(); due && *due <= now; due = health_.next_deadline()) {
      auto& what = **entries_.find(health_.next());
      health_.give_chance(what, options_);
      refresh(what);
    }
    if (auto due = sweep_at(); due && *due <= now)
      while (!gone_.empty() && gone_.begin()->first + options_.retention <= now)
        drop(entries_.find(gone_.begin()->second));
    trim();
  }

  /// Returns when tick() has to be called next; nothing if never.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = sweep_at();
    if (auto due = health_.next_deadline())
      next = std::min(next.value_or(*due), *due);
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
      if (each.shown && (question.owner == node_id{} || each.key().owner == question.owner)
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
    auto* owned = question.owner == node_id{} ? nullptr
                  : owner == owners_.end()    ? &nobodys_
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

  /// The number of the last change.
  [[nodiscard]] std::uint64_t revision() const {
    return world_.log().revision();
  }

  /// Returns whether the answer has more than a revision; if not, it will once revision() is
  /// another.
  [[nodiscard]] bool has_news(const watch_records& question) const {
    return question.rest || question.after == 0 || question.after != revision();
  }

  /// Cost: O(page).
  [[nodiscard]] record_changes answer(const watch_records& question) const {
    return world_.answer(entries_, question);
  }

  // -- what one node says ------------------------------------------------------------

  /// Returns all records of that life of a node; nothing if the table shows another one, or none.
  /// Cost: O(n) in them.
  [[nodiscard]] std::optional<record_set> records_of(const node_id& owner,
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
  void for_each_of(const node_id& owner, Use use) const {
    auto found = owners_.find(owner);
    if (found == owners_.end())
      return;
    for (auto* each : found->second.records)
      if (!each->gone_since)
        use(*each->is, each->digest);
  }

  /// Why that node should add no further record of its own, if it has so many beside that about
  /// itself; errc::none: it may. It leaves others as much room as it takes, see troupe::shares;
  /// beyond half of all, no table takes more of it.
  [[nodiscard]] problem check_share(const node_id& owner, std::size_t has) const {
    auto taken = has + count_present() - count_of(owner);
    auto free = options_.max_records - std::min<std::size_t>(taken, options_.max_records);
    return shares<node_id>::may_take(has, free)
             ? problem{}
             : detail::over_its_share(owner, has, options_.max_records);
  }

private:
  using entry = detail::entry;
  using entries = detail::entries;

  struct owner_state {
    std::uint64_t boot = 0;
    /// Records of this boot that the table does not have are stale up to this version.
    std::uint64_t floor = 0;
    /// It has a record about itself.
    bool has_node = false;
    /// Membership's verdict.
    record_status liveness = record_status::active;
    /// How many of its records about itself say each status that it can say.
    std::array<std::uint32_t, 3> words{};
    /// The worst of these.
    record_status own_word = record_status::active;
    std::optional<time_point> disconnected_since;
    detail::entry_set records;
    std::uint32_t removed = 0;
  };

  using owners = std::map<node_id, owner_state>;

  // -- requests ----------------------------------------------------------------------

  void handle(request_id id, const put_records& request, effects& out) {
    if (auto why = unfit(request))
      return refuse(id, std::move(why), out);
    put_report report;
    for (auto& each : request.records)
      ++(report.*merge(each));
    out.push_back(put_done{id, report});
  }

  void handle(request_id id, const verdict& request, effects& out) {
    if (auto why = detail::unfit(request))
      return refuse(id, std::move(why), out);
    auto found = owners_.find(request.owner);
    if (found == owners_.end() || request.boot > found->second.boot)
      return refuse(id, detail::without_records(request.owner, request.boot), out);
    if (request.boot == found->second.boot) // a verdict on an earlier boot is obsolete
      set_liveness(found->second, request.liveness);
    out.push_back(owner_done{id, view_of(*found)});
  }

  void handle(request_id id, const forget& request, effects& out) {
    if (auto why = detail::unfit(request))
      return refuse(id, std::move(why), out);
    auto found = owners_.find(request.owner);
    if (found != owners_.end() && request.boot >= found->second.boot)
      drop(found);
    out.push_back(owner_done{id, answer(find_owner{request.owner})});
  }

  void handle(request_id id, const report_outcome& request, effects& out) {
    auto found = entries_.find(request.key);
    if (found == entries_.end() || (*found)->gone_since)
      return refuse(id, detail::unknown(request.key), out);
    auto& what = **found;
    health_.judge(last_now_, what, request.outcome, options_);
    refresh(what);
    out.push_back(health_done{id, {what.key(), what.healthy, what.failures}});
  }

  void handle(request_id, const configure& request, effects&) {
    options_ = request.options;
    self_ = request.self;
    world_.log().begin_above(std::max<std::uint64_t>(request.revision_floor, 1));
  }

  // -- merging -----------------------------------------------------------------------

  /// Merges one record. Returns the field of the report that counts it.
  std::uint32_t put_report::*merge(const record& value) {
    auto owner = owners_.try_emplace(value.key.owner).first;
    auto& known = owner->second;
    if (value.boot < known.boot)
      return &put_report::stale;
    if (value.boot > known.boot)
      begin_boot(known, value.boot, 0);
    auto found = entries_.find(value.key);
    if (found == entries_.end()) {
      if (value.version <= known.floor)
        return &put_report::stale;
      if (known.records.empty())
        begin_boot(known, known.boot, known.floor); // as if it were new
      auto made = std::make_unique<entry>();
      made->become(value);
      auto& what = **entries_.insert(std::move(made)).first;
      known.records.insert(&what);
      take_over(known, what, 0);
      return &put_report::merged;
    }
    auto& what = **found;
    if (value == *what.is)
      return &put_report::known;
    auto clashes = value.version == what.is->version;
    if (value < *what.is)
      return clashes ? &put_report::clashing : &put_report::stale;
    auto token = what.is->token;
    what.become(value);
    take_over(known, what, token);
    return clashes ? &put_report::clashing : &put_report::merged;
  }

  /// Updates everything that depends on the new content of `what`.
  void take_over(owner_state& owner, entry& what, std::uint64_t old_token) {
    if (!what.is->removed) {
      set_present(owner, what);
    } else if (!what.gone_since) {
      set_gone(owner, what);
      health_.clear(what);
      refresh(what);
    }
    if (old_token != 0 || what.is->token != 0)
      settle_name(what.key());
    refresh(what);
    if (what.key().kind != record_kind::node)
      return;
    count_node(owner, what,
               what.gone_since ? std::nullopt : std::optional<record_status>{what.is->status});
    settle_own_word(owner);
  }

  /// What a record says of its node counts from here on as `word`. One record of each node about
  /// itself counts apart: max_owners bounds these.
  void count_node(owner_state& owner, entry& what, std::optional<record_status> word) {
    if (word)
      ++owner.words.at(static_cast<std::size_t>(*word));
    if (auto before = std::exchange(what.word, word))
      --owner.words.at(static_cast<std::size_t>(*before));
    auto has = std::ranges::any_of(owner.words, [](auto each) { return each > 0; });
    nodes_ += has ? 1 : 0;
    nodes_ -= std::exchange(owner.has_node, has) ? 1 : 0;
  }

  /// Begins a boot of the owner: drops the records of earlier ones.
  void begin_boot(owner_state& known, std::uint64_t boot, std::uint64_t floor) {
    lose_all(known);
    known.boot = boot;
    known.floor = floor;
    known.liveness = known.own_word = record_status::active;
    known.disconnected_since.reset();
  }

  /// Forgets the owner, as if it had never been heard of.
  void drop(owners::iterator position) {
    lose_all(position->second);
    owners_.erase(position);
  }

  void lose_all(owner_state& owner) {
    while (!owner.records.empty())
      lose(**owner.records.begin());
  }

  /// Removes an entry from the table permanently.
  void lose(entry& what) {
    auto& owner = owners_.find(what.key().owner)->second;
    world_.remove(what, change_kind::lost);
    health_.clear(what);
    set_present(owner, what);
    count_node(owner, what, std::nullopt);
    owner.records.erase(&what);
    auto last = what.is;
    entries_.erase(entries_.find(what.key()));
    if (last->token != 0)
      settle_name(last->key);
  }

  /// Forgets a removed record and raises the floor of its owner to its version.
  void drop(entries::iterator position) {
    auto& what = **position;
    auto& owner = owners_.find(what.key().owner)->second;
    owner.floor = std::max(owner.floor, what.is->version);
    lose(what);
  }

  /// Removed records are dropped in batches, so that there is no alarm for each.
  [[nodiscard]] std::optional<time_point> sweep_at() const {
    if (gone_.empty() || options_.retention <= duration::zero())
      return std::nullopt;
    return gone_.begin()->first + options_.retention + options_.retention / 8;
  }

  /// Applies the limits of removed records and changes.
  void trim() {
    while (gone_.size() > options_.max_removed)
      drop(entries_.find(gone_.begin()->second));
    world_.log().keep_last(options_.max_changes);
  }

  void set_gone(owner_state& owner, entry& what) {
    what.gone_since = last_now_;
    gone_.emplace(last_now_, what.key());
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

  void set_liveness(owner_state& owner, record_status liveness) {
    if (std::exchange(owner.liveness, liveness) == liveness)
      return;
    owner.disconnected_since.reset();
    if (liveness == record_status::disconnected)
      owner.disconnected_since = last_now_;
    for (auto* each : owner.records)
      refresh(*each);
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
    auto worst = owner.words.size() - 1;
    while (worst > 0 && owner.words.at(worst) == 0)
      --worst;
    return static_cast<record_status>(worst);
  }

  // -- names -------------------------------------------------------------------------

  /// Shows only the newest claim to a name.
  void settle_name(const record_key& key) {
    const entry* newest = nullptr;
    for_each_of_name(key.kind, key.name, [&](const entry& each) {
      if (!each.gone_since && (newest == nullptr || each.is->token > newest->is->token))
        newest = &each;
    });
    auto first = entries_.lower_bound(record_key{key.kind, key.name, {}});
    for (auto hides : {true, false}) // so that at no revision two show
      for (auto each = first; each != entries_.end() && of_name((*each)->key(), key.kind, key.name);
           ++each) {
        auto& what = **each;
        auto token = what.is->token;
        auto taken = !what.gone_since && token != 0 && token < newest->is->token;
        if (taken != hides)
          continue;
        what.taken = taken;
        refresh(what);
      }
  }

  static bool of_name(const record_key& key, record_kind kind, const std::string& name) {
    return key.kind == kind && key.name == name;
  }

  template <class Visit>
  void for_each_of_name(record_kind kind, const std::string& name, Visit visit) const {
    auto each = entries_.lower_bound(record_key{kind, name, {}});
    for (; each != entries_.end() && of_name((*each)->key(), kind, name); ++each)
      visit(**each);
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
    return owner.disconnected_since ? last_now_ - *owner.disconnected_since : duration::zero();
  }

  [[nodiscard]] owner_view view_of(const owners::value_type& from) const {
    auto& [name, owner] = from;
    return {name, owner.boot, owner.liveness, away_for(owner),
            static_cast<std::uint32_t>(owner.records.size()) - owner.removed};
  }

  // -- refusals ----------------------------------------------------------------------

  static void refuse(request_id id, problem why, effects& out) {
    out.push_back(refused{id, std::move(why)});
  }

  /// Checks all records before any is merged.
  [[nodiscard]] problem unfit(const put_records& request) const {
    if (request.records.size() > options_.max_batch)
      return {errc::too_large,
              std::to_string(request.records.size()) + " records in one put_records; give at most "
                + std::to_string(options_.max_batch) + " (registry_options::max_batch)"};
    std::set<node_id> new_owners;
    std::set<record_key> new_records;
    std::map<node_id, std::uint64_t> boots;
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
          !each.removed
          && (found == entries_.end() || (*found)->gone_since || (*found)->is->boot < each.boot))
        new_records.insert(each.key);
      auto& boot = boots[each.key.owner];
      boot = std::max(boot, each.boot);
    }
    if (!new_owners.empty() && owners_.size() + new_owners.size() > options_.max_owners)
      return detail::full("owners", "max_owners", options_.max_owners);
    return check_room(new_records, boots);
  }

  [[nodiscard]] std::size_t count_present() const {
    return entries_.size() - gone_.size() - nodes_;
  }

  [[nodiscard]] std::size_t count_of(const node_id& owner) const {
    auto found = owners_.find(owner);
    if (found == owners_.end())
      return 0;
    auto& known = found->second;
    return known.records.size() - known.removed - (known.has_node ? 1 : 0);
  }

  /// What one node may have, whoever came first: all members keep the same of it.
  [[nodiscard]] std::size_t most_of_one() const {
    return options_.max_records - options_.max_records / 2;
  }

  /// `boots`: the life of each owner that the records bring; what a later one takes the place of
  /// does not count.
  [[nodiscard]] problem check_room(const std::set<record_key>& new_records,
                                   const std::map<node_id, std::uint64_t>& boots) const {
    struct stock {
      std::size_t counted = 0;
      bool has_node = false;
    };
    std::map<node_id, stock> has;
    auto all = count_present();
    for (auto& [owner, boot] : boots) {
      auto known = owners_.find(owner);
      auto goes = known != owners_.end() && known->second.boot < boot;
      if (goes)
        all -= count_of(owner);
      else if (known != owners_.end())
        has[owner] = {count_of(owner), known->second.has_node};
    }
    for (auto& each : new_records) {
      auto& [own, has_node] = has[each.owner];
      if (each.owner == self_ || (each.kind == record_kind::node && !std::exchange(has_node, true)))
        continue;
      if (all >= options_.max_records)
        return detail::full("records", "max_records", options_.max_records);
      if (own >= most_of_one())
        return detail::over_half(each.owner, own, options_.max_records);
      ++own;
      ++all;
    }
    return {};
  }

  // -- state -------------------------------------------------------------------------

  registry_options options_;
  node_id self_;
  entries entries_;
  owners owners_;
  detail::showcase world_;
  detail::health_book health_;
  /// Owners that have a record about themselves.
  std::size_t nodes_ = 0;
  /// Removed records by the time of their removal.
  std::set<std::pair<time_point, record_key>> gone_;
  detail::entry_set nobodys_;
  time_point last_now_ = time_point::min();
};

} // namespace troupe::registry
