#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/boot_rise.hpp"
#include "troupe/cluster/claims_types.hpp"
#include "troupe/cluster/name_claims.hpp"
#include "troupe/cluster/service_questions.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::cluster {

/// Decides what a node says of itself and its agents, and which names of the cluster it has.
///
/// - Each change is said at once: `says` it, for the node's own table, from which others get it.
/// - If others or the service of names have heard of a later boot of the node, or of another life
/// in
///   the present one, it asks to go above that. It says its new boot to others only after `risen`,
///   when its host has kept it. A boot that is more than max_boot_jump later, or the last one, is
///   not believed: nothing would be left above it.
/// - A name is claimed before it is shown, released before it is shown no more, and
///   given back if the agent ends while the claim is under way. At most one claim of an agent's
///   name is under way; a claim waits until an earlier release of it is answered.
/// - Who has a name claims it again at a new boot or when the service may have forgotten. Names of
///   a node without a data folder are freed when it is taken for dead, those of others when they
///   are forgotten, and it may not hear of that: so it looks whether they are still its when it
///   hears that it was taken for dead, from then on each look_every, without a data folder always,
///   and claims again what is free. A batch that is refused as name_taken is claimed one by one. An
///   agent whose name another node has claimed later loses it.
/// - An answer counts if its question is still open. What failed for another reason than its
/// content
///   is tried again each retry_every.
/// - A name that is granted to an agent that has ended meanwhile is given back.
///
/// Composes two parts: `name_claims` has the names, `boot_rise` goes above other boots. What is
/// left here is what takes both, and who has added which agent.
///
/// Steps like any machine. No snapshot: the agents end with the process. Not thread-safe. Cost of a
/// step: O(log n) for each record that it touches, O(n) in open questions for `bound` and `risen`.
///
/// It counts on this of its host: questions that are open at the same time may be carried out in
/// any order; what has ended without an answer is carried out before a later question, or never.
class claims : public claims_types {
public:
  claims(const node_id& node, boot_number boot, const claims_options& options)
    : options_(options),
      book_(node, boot),
      questions_(options.answer_within),
      names_(options_, book_, questions_),
      boots_(options_, book_, questions_) {}

  claims(const claims&) = delete;
  claims& operator=(const claims&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([&](auto& each) { handle(id, each); }, what);
    give_all_back();
    plan_to_retry();
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    while (auto late = questions_.take_due(now))
      give_up(*late);
    boots_.end_wish_if_due(now);
    if (look_at_ && *look_at_ <= now) {
      look_at_.reset();
      look_at_names();
    }
    if (retry_at_ && *retry_at_ <= now) {
      retry_at_.reset();
      names_.catch_up(now, out);
    }
    give_all_back();
    plan_to_retry();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = retry_at_;
    for (auto& when : {questions_.next_deadline(), boots_.next_deadline(), look_at_})
      if (when)
        next = std::min(next.value_or(*when), *when);
    return next;
  }

  /// What is said at present.
  [[nodiscard]] const registry::own_records& book() const {
    return book_;
  }

  /// Records that are said, and names that are being claimed or given back.
  [[nodiscard]] std::size_t count() const {
    return book_.size() + names_.size();
  }

  /// Records that are said, or will be once their names are granted.
  [[nodiscard]] std::size_t count_to_say() const {
    return book_.size() + names_.count_claims();
  }

  /// The record that an agent is to have whose name is being claimed; null if none is. Valid until
  /// the next step.
  [[nodiscard]] const registry::record* find_wish(const agent_id& name) const {
    return names_.find_wish(name);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    auto found = questions_.flaws();
    auto expect = [&found](bool holds, std::string what) {
      if (!holds)
        found.push_back(std::move(what));
    };
    for (auto& part : {names_.flaws(), boots_.flaws()})
      found.insert(found.end(), part.begin(), part.end());
    std::set<request_id> askers;
    for (auto each : names_.askers())
      expect(each == 0 || askers.insert(each).second, "an asker waits for two answers");
    for (auto each : leavers_)
      expect(each == 0 || askers.insert(each).second, "an asker waits for two answers");
    expect(leavers_.empty() || is_giving_back_ || names_.is_under_way(),
           "a leave waits for nothing");
    for (auto& [name, asker] : added_by_)
      expect(book_.find(registry::record_kind::agent, name).has_value(),
             "an agent " + name + " is known that is not said");
    expect(book_.size() <= options_.max_records, "more records than allowed");
    return found;
  }

private:
  using questions = service_questions;

  template <class Effect>
  void emit(Effect what) {
    out_->push_back(std::move(what));
  }

  void tell(request_id asker, const problem& why) {
    if (asker != 0)
      emit(done{asker, why});
  }

  // -- questions ---------------------------------------------------------------------------

  [[nodiscard]] bool has_room() const {
    return count() < options_.max_records;
  }

  [[nodiscard]] bool may_ask() const {
    return questions_.size() < options_.max_questions;
  }

  [[nodiscard]] problem full() const {
    if (!may_ask())
      return {errc::limit_reached,
              std::to_string(questions_.size())
                + " questions to the service of names wait for an answer; retry later"};
    return {errc::limit_reached, "this node has " + std::to_string(options_.max_records)
                                   + " agents and services, and takes no more; remove some"};
  }

  /// The time of a question is over.
  void give_up(questions::purpose& what) {
    problem late{errc::timed_out, "the service of names gave no answer in time; retry once a node "
                                  "leads (troupe status), or add the agent with unique = false"};
    if (auto* one = std::get_if<questions::claim_of>(&what))
      claimed(one->name, late);
    else if (auto* several = std::get_if<questions::claimed_again>(&what))
      renewed(*several, late);
    else if (auto* back = std::get_if<questions::given_back>(&what))
      names_.released(now_, *back, late, *out_);
    else if (std::holds_alternative<questions::all_given_back>(what))
      all_given_back(late);
  }

  // -- what is said ------------------------------------------------------------------------

  void announce(std::vector<registry::record> what) {
    if (!what.empty())
      emit(says{std::move(what)});
  }

  static problem leaves() {
    return {errc::cancelled, "this node leaves its cluster, and says nothing more"};
  }

  void handle(request_id id, put& what) {
    if (has_left_)
      return tell(id, leaves());
    auto is_new = !book_.find(what.what.key.kind, what.what.key.name);
    if (is_new && !has_room())
      return tell(id, full());
    announce({book_.put(std::move(what.what))});
    tell(id, {});
  }

  void handle(request_id, bound&) {
    names_.bound(now_, *out_);
  }

  void handle(request_id, given_up&) {
    if (!names_.has_any())
      return;
    look_at_names();
    look_at_ = now_ + options_.retry_every; // who leads may free them yet
  }

  void look_at_names() {
    if (!names_.has_any())
      return;
    names_.look(now_, {}, *out_);
    look_at_ = now_ + options_.look_every;
  }

  void plan_to_retry() {
    if (!retry_at_ && names_.owes())
      retry_at_ = now_ + options_.retry_every;
  }

  // -- boots -------------------------------------------------------------------------------

  void handle(request_id, outlived& what) {
    boots_.outlived(now_, what.heard, what.is_twin, *out_);
  }

  void handle(request_id, risen& what) {
    if (!boots_.risen(what.boot, *out_))
      return;
    announce(book_.all());
    names_.risen(now_, *out_);
  }

  void handle(request_id id, heard<registry::names::claim_page>& answer) {
    if (questions_.take<questions::search_names>(id) && answer.what)
      boots_.found(now_, *answer.what, *out_);
    else if (auto look = questions_.take<questions::look_at_names>(id); look && answer.what)
      names_.looked(now_, look->after, *answer.what, *out_);
  }

  // -- agents ------------------------------------------------------------------------------

  void handle(request_id id, add& what) {
    auto name = what.what.key.name;
    if (has_left_) // nobody would take its name back
      return tell(id, leaves());
    if (!may_ask() || !has_room())
      return tell(id, full());
    if (book_.find(registry::record_kind::agent, name))
      return tell(id, registered(name));
    if (!what.claims)
      return introduce({std::move(what.what), id});
    if (!names_.claim(now_, {std::move(what.what), id}, *out_))
      tell(id, registered(name));
  }

  static problem registered(const std::string& name) {
    return {errc::in_use,
            "agent '" + name.substr(0, 64) + "' is registered already, or about to be"};
  }

  void introduce(name_claims::wish mine) {
    auto name = mine.what.key.name;
    added_by_[name] = mine.asker;
    emit(show{mine.what});
    announce({book_.put(std::move(mine.what))});
    tell(mine.asker, {});
  }

  void handle(request_id id, reword& what) {
    names_.reword(std::move(what.what));
    tell(id, {});
  }

  void handle(request_id id, remove& what) {
    names_.withdraw(what.name, id, *out_);
    for (auto& name : {what.name.text(), registry::unclaimed_name(what.name, book_.owner())})
      if (auto by = added_by_.find(name); by != added_by_.end() && (id == 0 || by->second == id))
        return take_back(name);
  }

  /// @pre There is an agent of that name.
  void take_back(const std::string& name) {
    // First: who sees that the agent is gone may claim its name, though a moment later.
    if (names_.has_name(name))
      names_.give_back(now_, {name}, *out_);
    announce({forget(name)});
  }

  /// Returns the removal.
  registry::record forget(const std::string& name) {
    added_by_.erase(name);
    auto gone = *book_.remove(registry::record_kind::agent, name);
    emit(hide{gone});
    return gone;
  }

  void handle(request_id id, leave&) {
    has_left_ = true;
    leavers_.push_back(id);
    names_.withdraw_all(*out_);
    give_all_back();
    std::vector<registry::record> gone;
    for (auto& each : book_.all())
      gone.push_back(*book_.remove(each.key.kind, each.key.name));
    added_by_.clear();
    announce(std::move(gone));
  }

  /// Those of earlier lives, too. What is under way first: it may be granted yet.
  void give_all_back() {
    if (leavers_.empty() || is_giving_back_ || names_.is_under_way())
      return;
    is_giving_back_ = true;
    questions_.ask(now_, registry::names::owner_gone{book_.owner(), book_.boot()},
                   questions::all_given_back{}, *out_);
  }

  void all_given_back(const problem& why) {
    is_giving_back_ = false;
    for (auto each : std::exchange(leavers_, {}))
      tell(each, why);
  }

  // -- names -------------------------------------------------------------------------------

  void handle(request_id id, heard<registry::names::claims>& answer) {
    if (auto one = questions_.take<questions::claim_of>(id))
      claimed(one->name, std::move(answer.what));
    else if (auto several = questions_.take<questions::claimed_again>(id))
      renewed(*several, answer.what);
  }

  void claimed(const agent_id& name, result<registry::names::claims> answer) {
    if (!answer && answer.error().code == errc::in_use)
      boots_.look_for_claims(now_, *out_);
    auto granted = names_.claimed(now_, name, std::move(answer), *out_);
    if (!granted)
      return;
    introduce(std::move(granted->whose));
    if (options_.is_fleeting && !look_at_)
      look_at_ = now_ + options_.look_every;
    if (granted->is_stale)
      names_.claim_batch(now_, {name}, *out_);
  }

  void renewed(const questions::claimed_again& what,
               const result<registry::names::claims>& answer) {
    switch (names_.renewed(now_, what, answer, *out_)) {
      case name_claims::renewal::nothing:
        return;
      case name_claims::renewal::granted:
        return keep_tokens(answer->claimed);
      case name_claims::renewal::outlived:
        return boots_.look_for_claims(now_, *out_);
      case name_claims::renewal::lost:
        return lose(what.names.front().first, answer.error());
    }
  }

  void handle(request_id id, heard<registry::names::freed>& answer) {
    auto why = answer.what.error_or({});
    if (auto what = questions_.take<questions::given_back>(id))
      names_.released(now_, *what, why, *out_);
    else if (questions_.take<questions::all_given_back>(id))
      all_given_back(why);
  }

  /// Records carry the tokens of their claims, which only rise.
  void keep_tokens(const std::vector<registry::names::name_claim>& granted) {
    std::vector<registry::record> changed;
    for (auto& each : granted) {
      auto known = book_.find(registry::record_kind::agent, each.name.text());
      if (!known || known->token >= each.token || known->token == 0)
        continue;
      known->token = each.token;
      changed.push_back(book_.put(std::move(*known)));
    }
    if (!changed.empty())
      announce(std::move(changed));
  }

  /// Another has a newer claim: the agent gets nothing more from here on, and is told.
  void lose(const agent_id& name, const problem& why) {
    if (!names_.has_name(name) || planted_flaw == flaw::name_claimed_twice)
      return;
    emit(warn{"agent '" + name.text() + "' has lost its name: " + why.detail});
    auto by = added_by_.find(name.text());
    emit(lost_name{name, by != added_by_.end() ? by->second : 0, why});
    announce({forget(name.text())});
    names_.lose(name);
  }

  void handle(request_id, seen& what) {
    auto own = book_.find(registry::record_kind::agent, what.name.text());
    auto is_own = what.owner == book_.owner();
    if (!is_own && !what.taken)
      names_.seen(what.name, what.token, what.holder);
    if (!own || own->token == 0)
      return;
    auto is_lost
      = is_own ? what.taken && what.token == own->token : !what.taken && what.token > own->token;
    if (is_lost)
      lose(what.name, {errc::name_taken, (is_own ? "another node" : "node " + what.holder)
                                           + " has a newer claim to '" + what.name.text() + "'"});
  }

  const claims_options options_;
  registry::own_records book_;
  service_questions questions_;
  name_claims names_;
  boot_rise boots_;
  /// The agents that are said, by the names of their records, and who has added each.
  std::map<std::string, request_id> added_by_;
  /// It has taken back what it said, and is about to end.
  bool has_left_ = false;
  /// Who waits for that.
  std::vector<request_id> leavers_;
  bool is_giving_back_ = false;
  /// When what has failed is tried again.
  std::optional<time_point> retry_at_;
  /// When to look whether names of this node have been freed.
  std::optional<time_point> look_at_;
  time_point now_{};
  effects* out_ = nullptr; // of the current call
};

} // namespace troupe::cluster
