#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/catch_up.hpp"
#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/member_news.hpp"
#include "troupe/cluster/member_standings.hpp"
#include "troupe/cluster/node_core_types.hpp"
#include "troupe/cluster/own_agents.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/cluster/record_news.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// What one node knows of its cluster, and says there. Joins what it says itself (`claims`), how it
/// gets to know what others say (`record_exchange`), and whose work goes to others while it leads
/// (`liveness`). No other node decides for it what it shows.
///
/// - Of itself it goes by what it says, of others by what the table shows: agents of this node are
///   found as this node says them.
///
/// The rules of what it shows are those of other parts: `member_standings` says which nodes show as
/// active, `record_news` which agents are found, `own_agents` how those of this node are registered
/// and changed, `catch_up` when all is here that others knew. What is left here joins them.
///
/// Steps like any machine. No snapshot: what it knows comes from others again. Not thread-safe.
/// Cost of a step: that of its parts and O(log n) for each change of what is shown; of `lead` O(n).
///
/// It counts on its host for what its parts do.
class node_core : public node_core_types {
public:
  /// The topic of its own complaint.
  static constexpr const char* not_kept = "what others say is not kept here";

  explicit node_core(const node_core_options& how, record_exchange::verifier check = &verify)
    : id_(how.node),
      name_(how.name),
      nodes_(how.table.max_owners),
      claims_(how.node, how.boot, how.claims),
      exchange_(how.node, how.exchange, table_, check),
      liveness_(nodes_, how.liveness),
      news_(nodes_, how.liveness.max_nodes),
      standings_({how.liveness.lost_after, how.drop_fleeting_after, how.forget_after}, nodes_,
                 table_),
      catch_up_(how.catch_up_within),
      agents_(how.node, how.name, how.table.max_record_bytes, claims_, table_),
      shown_(how.node, how.name,
             std::size_t{how.table.max_records} + how.table.max_owners + how.claims.max_records,
             table_, nodes_),
      max_batch_(how.table.max_batch) {
    registry::effects none;
    table_.step(time_point::min(), 0, registry::configure{how.table, how.revision_floor, how.node},
                none);
  }

  node_core(const node_core&) = delete;
  node_core& operator=(const node_core&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([&](auto& each) { handle(id, each); }, what);
    follow_table();
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    table_.tick(now);
    follow_passed(standings_.tick(now));
    catch_up_.tick(now);
    run(claims_, [&](auto& made) { claims_.tick(now, made); });
    run(exchange_, [&](auto& made) { exchange_.tick(now, made); });
    run(liveness_, [&](auto& made) { liveness_.tick(now, made); });
    tell([&](auto& lines) { news_.tick(now, lines); });
    follow_table();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = standings_.next_deadline();
    for (auto& each :
         {catch_up_.next_deadline(), claims_.next_deadline(), exchange_.next_deadline(),
          liveness_.next_deadline(), news_.next_deadline(), table_.next_deadline()})
      if (each)
        next = std::min(next.value_or(*each), *each);
    return next;
  }

  // -- what it knows ---------------------------------------------------------------------

  [[nodiscard]] const node_id& id() const {
    return id_;
  }

  /// What this node says at present.
  [[nodiscard]] const registry::own_records& book() const {
    return claims_.book();
  }

  [[nodiscard]] const known_nodes& nodes() const {
    return nodes_;
  }

  /// All that is known of nodes and their agents; for look-ups.
  [[nodiscard]] const registry::record_table& table() const {
    return table_;
  }

  /// Calls `use(const registry::record_view&)` for each record, whatever its status. O(n).
  template <class Use>
  void for_each_record(Use use) const {
    registry::find_records question;
    question.statuses = registry::all_statuses();
    question.unhealthy_too = true;
    question.limit = 1'000;
    for (auto more = true; more;) {
      auto page = table_.answer(question);
      for (auto& each : page.records)
        use(each);
      more = page.more && !page.records.empty();
      if (more)
        question.after = page.records.back().value.key;
    }
  }

  /// Members whose records have not come yet as they were said last.
  [[nodiscard]] std::size_t behind() const {
    return exchange_.behind();
  }

  /// The version of book() up to which the members are told what this node says.
  [[nodiscard]] std::uint64_t said_version() const {
    return exchange_.said_version();
  }

  [[nodiscard]] bool leads() const {
    return leads_;
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    auto all = claims_.flaws();
    for (auto& part : {exchange_.flaws(), liveness_.flaws(), standings_.flaws(), shown_.flaws()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }

private:
  // -- the machines in it ------------------------------------------------------------------

  void say(claims::event what, request_id id = 0) {
    run(claims_, [&](auto& made) { claims_.step(now_, id, std::move(what), made); });
  }

  void judge(liveness::event what, request_id id = 0) {
    run(liveness_, [&](auto& made) { liveness_.step(now_, id, std::move(what), made); });
  }

  template <class Machine, class Job>
  void run(Machine&, Job job) {
    typename Machine::effects made;
    job(made);
    for (auto& each : made)
      troupe::visit([this](auto& what) { this->pass_on(what); }, each);
  }

  template <class Effect>
  void pass_on(Effect& what) {
    out_->push_back(std::move(what));
  }

  void pass_on(claims::says& what) {
    auto at_once = std::min<std::size_t>(500, std::max<std::size_t>(max_batch_, 1));
    for (std::size_t first = 0; first < what.what.size(); first += at_once) {
      auto from = what.what.begin() + static_cast<std::ptrdiff_t>(first);
      auto to = what.what.begin()
                + static_cast<std::ptrdiff_t>(std::min(first + at_once, what.what.size()));
      put({from, to});
    }
    exchange(record_exchange::changed{book().boot(), book().version()});
  }

  void put(std::vector<registry::record> what) {
    registry::effects made;
    table_.step(now_, 1, registry::put_records{std::move(what)}, made);
    for (auto& each : made)
      if (auto* no = std::get_if<refused>(&each))
        out_->push_back(complain{not_kept, no->why.detail});
  }

  void pass_on(record_exchange::complain& what) {
    out_->push_back(complain{not_kept, "node " + nodes_.name_of(what.of) + ' ' + what.what});
  }

  void pass_on(record_exchange::merged& what) {
    catch_up_.await_no_more(what.who);
    standings_.settle(now_, what.who);
  }

  void pass_on(liveness::recovered& what) {
    report({std::move(what.what), registry::call_outcome::succeeded});
  }

  void report(registry::report_outcome what) {
    registry::effects none;
    table_.step(now_, 0, std::move(what), none);
  }

  void pass_on(claims::show& what) {
    find(std::move(what.what), rests());
  }

  void pass_on(claims::hide& what) {
    out_->push_back(gone{agent_of(what.what), id_});
  }

  template <class Event>
  requires std::constructible_from<claims::event, Event>
  void handle(request_id id, Event& what) {
    say(std::move(what), id);
  }

  /// For the log: what members do.
  template <class Job>
  void tell(Job job) {
    member_news::lines lines;
    job(lines);
    for (auto& each : lines)
      if (each.is_bad)
        out_->push_back(warn{std::move(each.text)});
      else
        out_->push_back(inform{std::move(each.text)});
  }

  template <class Event>
  requires std::constructible_from<liveness::event, Event>
  void handle(request_id id, Event& what) {
    judge(std::move(what), id);
  }

  void handle(request_id id, liveness::link_up& what) {
    note_link(what.node, true);
    judge(what, id);
  }

  /// The link of an earlier life may end when another one has taken its place.
  void handle(request_id id, liveness::link_down& what) {
    auto node = what.node;
    judge(std::move(what), id);
    if (!liveness_.is_linked(node))
      note_link(node, false);
  }

  void note_link(const node_id& node, bool is_up) {
    exchange(record_exchange::linked{node, is_up});
  }

  template <class Event>
  requires std::constructible_from<record_exchange::event, Event>
  void handle(request_id id, Event& what) {
    exchange(std::move(what), id);
  }

  void exchange(record_exchange::event what, request_id id = 0) {
    run(exchange_, [&](auto& made) { exchange_.step(now_, id, std::move(what), made); });
  }

  // -- who is there ------------------------------------------------------------------------

  void handle(request_id, member_is& what) {
    standings_.note(now_, what.who, what.when.boot, what.is);
    // Of one that was dead before this node came, others have the records. What comes of one that
    // is dropped is not kept, and so not asked for before it is back.
    auto has_its_records = exchange_.knows(what.who) || standings_.is_dropped(what.who);
    if (what.is != member_status::dead || !has_its_records)
      exchange(record_exchange::heard{std::move(what.told), what.key, what.from});
    standings_.settle(now_, what.who);
    follow_member(what.who, what.when.boot, what.is);
  }

  void follow_member(const node_id& who, boot_number boot, member_status is) {
    if (!member_standings::is_there(is)) {
      exchange(record_exchange::gone{who});
      catch_up_.await_no_more(who);
    }
    tell([&](auto& lines) { news_.shows(now_, who, boot, is, lines); });
    judge(liveness::seen{who, boot, is});
  }

  /// Members that know this node anew say nothing of them; and those that are gone say no more.
  void follow_passed(const member_standings::passed& what) {
    for (auto& [node, boot] : what.lost)
      follow_member(node, boot, member_status::dead);
    if (planted_flaw == flaw::dropped_for_good)
      return;
    for (auto& node : what.forgotten)
      exchange(record_exchange::forgotten{node});
  }

  void handle(request_id, expelled& what) {
    liveness::expelled all{what.nodes};
    what.nodes.erase(id_);
    standings_.expel(now_, std::move(what.nodes));
    judge(std::move(all));
  }

  void handle(request_id, const member_forgotten& what) {
    exchange(record_exchange::forgotten{what.who});
    standings_.forget(now_, what.who);
  }

  void handle(request_id, const compared&) {
    catch_up_.compared(now_, exchange_.missing());
  }

  void handle(request_id id, claims::risen& what) {
    if (what.boot > book().boot())
      standings_.begin_anew(now_);
    say(what, id);
  }

  // -- what this node says -----------------------------------------------------------------

  void handle(request_id id, add_agent& what) {
    auto made = agents_.to_add(std::move(what.what), what.is_unique);
    if (!made)
      return end(id, made.error());
    say(*std::move(made), id);
  }

  void handle(request_id id, const update_agent& what) {
    auto made = agents_.to_change(what.id, what.how);
    if (!made)
      return end(id, made.error());
    if (auto* to_come = std::get_if<claims::reword>(&*made))
      return say(std::move(*to_come), id);
    if (auto* said = std::get_if<claims::put>(&*made)) {
      auto key = said->what.key;
      say(std::move(*said));
      find(*book().find(key.kind, key.name), rests(), liveness_.is_ill(key));
    }
    end(id, {}); // who has asked finds it as it is now
  }

  void end(request_id id, problem why) {
    out_->push_back(claims::done{id, std::move(why)});
  }

  void handle(request_id id, const maintain& what) {
    auto self = own_record();
    if (!self)
      return end(id, {}); // it says so when it begins to speak
    self->status = what.on ? registry::record_status::maintenance : registry::record_status::active;
    say(claims::put{*std::move(self)}, id);
  }

  void handle(request_id, call_ended& what) {
    for (auto& name : {what.agent.text(), registry::unclaimed_name(what.agent, what.node)}) {
      auto known
        = table_.answer(registry::get_record{registry::record_kind::agent, name, what.node});
      if (known.found && agent_of(known.found->value) == what.agent)
        return report({known.found->value.key, what.how});
    }
  }

  [[nodiscard]] std::optional<registry::record> own_record() const {
    return book().find(registry::record_kind::node, name_);
  }

  /// Whether this node is in maintenance. What others show of it may be worse than that.
  [[nodiscard]] bool rests() const {
    auto self = own_record();
    return self && self->status == registry::record_status::maintenance;
  }

  // -- what the table shows ----------------------------------------------------------------

  void follow_table() {
    record_news::effects made;
    for (; shown_.next(made); made.clear())
      for (auto& each : made)
        troupe::visit([this](auto& what) { this->pass_on(what); }, each);
    if (catch_up_.ends())
      out_->push_back(caught_up{});
    if (auto now = nodes_.seen(); now != told_)
      out_->push_back(presence{told_ = now});
  }

  template <class Event>
  requires std::constructible_from<liveness::event, Event>
  void pass_on(Event& what) {
    judge(std::move(what));
  }

  void pass_on(liveness::forgotten& what) {
    news_.forget(what.node);
    judge(what);
  }

  void pass_on(claims::seen& what) {
    say(std::move(what));
  }

  void pass_on(node_left& what) {
    auto name = what.name;
    out_->push_back(std::move(what));
    if (leads_)
      out_->push_back(inform{"node " + name + " has left"});
  }

  /// As this node says it, whatever others show of it.
  void pass_on(record_news::own_agent& what) {
    if (auto own = book().find(what.which.kind, what.which.name))
      find(*std::move(own), rests(), what.is_ill);
  }

  void find(registry::record what, bool rests, bool ill = false) {
    auto agent = agent_of(what);
    out_->push_back(found{std::move(what), std::move(agent), id_, rests, ill});
  }

  // -- who leads ---------------------------------------------------------------------------

  void handle(request_id, const lead& what) {
    leads_ = true;
    catch_up_.leads(now_, what.is_alone);
    liveness::lead begun;
    begun.self = id_;
    for_each_record([&](const registry::record_view& each) {
      auto is_lost = each.liveness == registry::record_status::disconnected;
      if (auto& node = each.value.key.owner; node != id_)
        (is_lost ? begun.lost : begun.known)[node] = each.value.boot;
    });
    judge(std::move(begun));
  }

  void handle(request_id, const follow&) {
    leads_ = false;
    catch_up_.follows();
    judge(liveness::follow{});
  }

  const node_id id_;
  const std::string name_;
  known_nodes nodes_;            // others look there
  registry::record_table table_; // exchange_ fills it
  claims claims_;
  record_exchange exchange_;
  liveness liveness_;
  member_news news_;
  known_nodes::presence told_;
  member_standings standings_;
  catch_up catch_up_;
  own_agents agents_;
  record_news shown_;
  const std::size_t max_batch_;
  bool leads_ = false;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
