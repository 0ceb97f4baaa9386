#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/exchange_types.hpp"
#include "troupe/cluster/own_head.hpp"
#include "troupe/cluster/record_pull.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/record_set.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::cluster {

/// Brings the records of all members to each member.
///
/// - What a node says of itself in `swim` has the head of its records: their version, and a digest
///   of all. Whoever has an older version asks another member for what has changed, over a link.
/// - What comes is merged once the digest of all that it makes of the node is the signed one: so it
///   does not matter who has told it, and nobody says anything for others.
/// - Others get what a node has said, and not what has changed since; of others, what is here as
///   they have said it.
///
/// Composes two parts: `own_head` says what the records of this node are, `record_pull` gets those
/// of others. What is left here is what it answers.
///
/// Steps like any machine. No snapshot: who starts again asks the others. Not thread-safe. Cost of
/// a step: O(log n) in the members; of an answer, and of a change, O(n) in the records of the
/// nodes that it is about.
/// Source of the idea: van Renesse, Dumitriu, Gough, Thomas, "Efficient Reconciliation and Flow
/// Control for Anti-Entropy Protocols", LADIS 2008.
///
/// It counts on its host for what `record_pull` does.
class record_exchange {
public:
  // -- events ----------------------------------------------------------------------------

  using changed = own_head::changed;
  using hurry = own_head::hurry;
  using spoke = own_head::spoke;

  using heard = record_pull::heard;
  using gone = record_pull::gone;
  using forgotten = record_pull::forgotten;
  using linked = record_pull::linked;
  using answered = record_pull::answered;

  /// A member asks; answer the question of this step's id.
  struct asked {
    std::vector<record_wish> what;
  };

  using event
    = std::variant<changed, hurry, spoke, heard, gone, forgotten, linked, answered, asked>;

  // -- effects ---------------------------------------------------------------------------

  using restate = own_head::restate;

  using ask = record_pull::ask;
  using learned = record_pull::learned;
  using merged = record_pull::merged;
  using complain = record_pull::complain;

  /// Answer the question of that id.
  struct reply {
    request_id id = 0;
    std::vector<told_records> what;
  };

  using effect = std::variant<restate, ask, reply, learned, merged, complain>;
  using effects = std::vector<effect>;

  using verifier = record_pull::verifier;

  /// `table` shows what this node knows. @pre it outlives this
  record_exchange(const node_id& self, const exchange_options& options,
                  registry::record_table& table, verifier check = &verify)
    : self_(self),
      max_asked_(options.max_asked),
      max_answer_(options.max_answer),
      table_(table),
      head_(self, options.restate_every, table),
      pull_(self, options, table, check) {}

  record_exchange(const record_exchange&) = delete;
  record_exchange& operator=(const record_exchange&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    troupe::visit([&](auto& each) { handle(now, id, each, out); }, what);
  }

  void tick(time_point now, effects& out) {
    run(head_, out, [&](auto& made) { head_.tick(now, made); });
    run(pull_, out, [&](auto& made) { pull_.tick(now, made); });
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = head_.next_deadline();
    if (auto other = pull_.next_deadline())
      next = std::min(next.value_or(*other), *other);
    return next;
  }

  // -- what it knows ---------------------------------------------------------------------

  /// The version up to which this node has said what its records are; zero: none, in this life.
  [[nodiscard]] std::uint64_t said_version() const {
    auto* said = head_.said();
    return said != nullptr ? said->what.records.version : 0;
  }

  /// Whether it has heard what that member says, and not forgotten it.
  [[nodiscard]] bool knows(const node_id& node) const {
    return pull_.knows(node);
  }

  /// Members whose records this node does not have as they were said last.
  [[nodiscard]] std::size_t behind() const {
    return pull_.behind();
  }

  /// Those of them that are there. O(n log n) in the members.
  [[nodiscard]] std::set<node_id> missing() const {
    return pull_.missing();
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    return pull_.flaws();
  }

private:
  template <class Machine, class Job>
  static void run(Machine&, effects& out, Job job) {
    typename Machine::effects made;
    job(made);
    for (auto& each : made)
      troupe::visit([&](auto& what) { out.emplace_back(std::move(what)); }, each);
  }

  template <class Event>
  requires std::constructible_from<own_head::event, Event>
  void handle(time_point now, request_id id, Event& what, effects& out) {
    run(head_, out, [&](auto& made) { head_.step(now, id, std::move(what), made); });
  }

  template <class Event>
  requires std::constructible_from<record_pull::event, Event>
  void handle(time_point now, request_id id, Event& what, effects& out) {
    run(pull_, out, [&](auto& made) { pull_.step(now, id, std::move(what), made); });
  }

  // -- what others ask -------------------------------------------------------------------

  void handle(time_point, request_id id, const asked& what, effects& out) {
    reply made{id, {}};
    auto room = max_answer_;
    std::set<node_id> named;
    for (auto& each : what.what) {
      if (made.what.size() >= max_asked_)
        break;
      if (!named.insert(each.owner).second)
        continue; // what a page costs depends on all records of its node
      if (auto told = each.owner == self_ ? own_page(each, room) : page_for(each, room)) {
        for (auto& one : told->page.records)
          room -= std::min(room, registry::transfer_size(one));
        made.what.push_back(*std::move(told));
      }
    }
    out.emplace_back(std::move(made));
  }

  [[nodiscard]] std::optional<told_records> page_for(const record_wish& what,
                                                     std::size_t room) const {
    auto* have = pull_.have(what.owner);
    if (have == nullptr)
      return std::nullopt;
    if (room == 0)
      return page_of(*have, {}, what, room);
    auto all = table_.records_of(what.owner, have->what.when.boot);
    return all ? std::optional{page_of(*have, *all, what, room)} : std::nullopt;
  }

  /// As this node has said it last.
  [[nodiscard]] std::optional<told_records> own_page(const record_wish& what,
                                                     std::size_t room) const {
    auto* said = head_.said();
    return said != nullptr ? std::optional{page_of(*said, head_.records(), what, room)}
                           : std::nullopt;
  }

  static told_records page_of(const signed_statement& of, const registry::record_set& all,
                              const record_wish& what, std::size_t room) {
    if (room == 0)
      return {of, {.after = what.after, .upto = what.after, .is_last = false, .records = {}}};
    auto goes_on = of.what.when.boot == what.boot && what.after <= of.what.records.version;
    return {of, registry::page_of(all, goes_on ? what.after : 0, room)};
  }

  const node_id self_;
  const std::size_t max_asked_;
  const std::size_t max_answer_;
  const registry::record_table& table_;
  own_head head_;
  record_pull pull_;
};

} // namespace troupe::cluster
