#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/agent_change.hpp"
#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/log_effects.hpp"
#include "troupe/cluster/member_news.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record_bounds.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Who a node is, and its limits and times.
struct node_core_options {
  /// The id of the node.
  std::string node;
  /// What people call it.
  std::string name;
  /// Of its present life.
  boot_number boot = 0;
  /// Of what it says.
  claims_options claims{};
  /// Of what it judges while it leads.
  liveness_options liveness{};
  /// Bounds of what it knows of others.
  registry::registry_options table{};
  /// How it gets that.
  exchange_options exchange{};
  /// After the first comparison with another member, the records of members are waited for so long.
  duration catch_up_within = std::chrono::seconds{5};
};

/// What one node knows of its cluster, and says there. Joins what it says itself (`claims`), how it
/// gets to know what others say (`record_exchange`), and whose work goes to others while it leads
/// (`liveness`). No other node decides for it what it shows.
///
/// - A node shows active while the members show it alive, or suspect it; disconnected once they
/// show
///   it dead, or once it has stopped for lost_after. Only what the members forget is forgotten
///   here; it may come back as it was.
/// - Of a node whose identity is revoked nothing is known here once the members do not show it
///   alive any more.
/// - An agent is found where it can get messages: its node is there, or in maintenance; it rests
///   there, and is ill while callers of this node do not reach it. Agents of this node are found as
///   this node says them.
/// - All is here when the first comparison with another member has ended, and records of all
/// members
///   that it has shown have come, or catch_up_within is over; where this node leads, at once.
///
/// Steps like any machine. No snapshot: what it knows comes from others again. Not thread-safe.
/// Cost of a step: that of its parts and O(log n) for each change of what is shown; of `lead` O(n).
///
/// It counts on its host for what its parts do.
class node_core {
public:
  // -- events ----------------------------------------------------------------------------

  /// A member shows so from here on, see swim::shows; that is its key.
  struct member_is {
    node_id who;
    incarnation when;
    member_status is{};
    signed_statement told{};
    public_key key{};
    node_id from{};
  };

  /// The members have forgotten it.
  struct member_forgotten {
    node_id who;
  };

  /// The identities of these nodes are revoked, so that they never come back; of no others.
  struct expelled {
    std::set<std::string> nodes;
  };

  /// The first comparison with another member has ended, or cannot be.
  struct compared {};

  /// The services are on this node from here on.
  struct lead {};

  /// They are elsewhere.
  struct follow {};

  /// Registers an agent. `what.key.name` is its id: one that ends with "@" and the name of the node
  /// is the node's own and needs no claim. `done` as for claims::add; bad_argument if it names
  /// another node.
  struct add_agent {
    registry::record what;
    /// No other agent of the cluster may have the id.
    bool is_unique = true;
  };

  /// Changes an agent of this node; one whose name is still being claimed begins so. `done` at
  /// once. Errors: not_found, bad_argument, limit_reached, too_large (nothing has changed).
  struct update_agent {
    std::string id;
    agent_change how;
  };

  /// Says whether this node is in maintenance. `done` at once.
  struct maintain {
    bool on = false;
  };

  /// So a call of somebody on this node to the agent of that node has ended.
  struct call_ended {
    std::string node;
    std::string agent;
    registry::call_outcome how = registry::call_outcome::succeeded;
  };

  using event = std::variant<
    member_is, member_forgotten, expelled, compared, lead, follow, add_agent, update_agent,
    maintain, call_ended, record_exchange::hurry, record_exchange::spoke, record_exchange::answered,
    record_exchange::asked, claims::put, claims::remove, claims::leave, claims::bound,
    claims::outlived, claims::given_up, claims::risen, claims::heard<registry::names::claims>,
    claims::heard<registry::names::freed>, claims::heard<registry::names::claim_page>,
    liveness::link_up, liveness::link_down, liveness::names_listed, liveness::pong>;

  // -- effects ---------------------------------------------------------------------------

  /// The agent `id` of `what` gets messages where its node is; what was said of it before is over.
  struct found {
    registry::record what;
    std::string id;
    /// It gets no work that another one could do.
    bool rests = false;
    /// Callers of this node do not reach it.
    bool ill = false;
  };

  /// That agent of that node gets none any more.
  struct gone {
    std::string id;
    std::string node;
  };

  /// No agents are found but these, each with its node, and those of this node.
  struct found_only {
    std::set<std::pair<std::string, std::string>> agents;
  };

  /// There is this node, or that has changed of it.
  struct node_is {
    registry::record what;
  };

  /// It has taken its record of that boot back.
  struct node_left {
    std::string node;
    boot_number boot = 0;
  };

  /// All is here that others knew when this node joined them.
  struct caught_up {};

  using inform = log_effects::inform;
  using warn = log_effects::warn;
  using complain = log_effects::complain;
  using settle = log_effects::settle;

  using effect = std::variant<found, gone, found_only, node_is, node_left, caught_up, inform, warn,
                              complain, settle, record_exchange::restate, record_exchange::ask,
                              record_exchange::reply, record_exchange::learned, claims::ask,
                              claims::done, claims::lost_name, claims::rise, liveness::give_up,
                              liveness::free_names, liveness::list_names, liveness::ping>;
  using effects = std::vector<effect>;

  /// Other nodes of this node's name of which the log hears, each once.
  static constexpr std::size_t max_namesakes = 16;
  /// The topic of its own complaint.
  static constexpr const char* not_kept = "what others say is not kept here";

  explicit node_core(const node_core_options& how, record_exchange::verifier check = &verify)
    : id_(how.node),
      name_(how.name),
      lost_after_(how.liveness.lost_after),
      catch_up_within_(how.catch_up_within),
      nodes_(how.table.max_owners),
      max_records_(how.table.max_records),
      max_record_bytes_(how.table.max_record_bytes),
      claims_(how.node, how.boot, how.claims),
      exchange_(node_id::from_string(how.node).value_or(node_id{}), how.exchange, table_, check),
      liveness_(nodes_, how.liveness),
      news_(nodes_, how.liveness.max_nodes) {
    registry::effects none;
    auto bounds = registry::registry_options::copy(how.table);
    table_.step(time_point::min(), 0, registry::configure{bounds, 0}, none);
  }

  node_core(const node_core&) = delete;
  node_core& operator=(const node_core&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([&](auto& each) { handle(id, each); }, what);
    follow_table();
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    registry::effects none;
    table_.tick(now, none);
    end_stays();
    if (catch_up_until_ && *catch_up_until_ <= now)
      awaited_.clear();
    run(claims_, [&](auto& made) { claims_.tick(now, made); });
    run(exchange_, [&](auto& made) { exchange_.tick(now, made); });
    run(liveness_, [&](auto& made) { liveness_.tick(now, made); });
    tell([&](auto& lines) { news_.tick(now, lines); });
    follow_table();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    if (!stays_.empty())
      next = stays_.begin()->first;
    if (catch_up_until_)
      next = std::min(next.value_or(*catch_up_until_), *catch_up_until_);
    for (auto& each : {claims_.next_deadline(), exchange_.next_deadline(),
                       liveness_.next_deadline(), news_.next_deadline(), table_.next_deadline()})
      if (each)
        next = std::min(next.value_or(*each), *each);
    return next;
  }

  // -- what it knows ---------------------------------------------------------------------

  [[nodiscard]] const std::string& id() const {
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

  /// The id of the agent that a record is of. Names that nobody has claimed end with the id of
  /// their node in the registry.
  static std::string agent_of(const registry::record& what) {
    auto& [kind, full, owner] = what.key;
    return what.token == 0 && full.ends_with('@' + owner)
             ? full.substr(0, full.size() - owner.size() - 1)
             : full;
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    auto all = claims_.flaws();
    for (auto& part : {exchange_.flaws(), liveness_.flaws()})
      all.insert(all.end(), part.begin(), part.end());
    if (namesakes_.size() > max_namesakes)
      all.emplace_back("more namesakes than allowed");
    return all;
  }

private:
  /// How a member stands, in that life.
  struct standing {
    boot_number boot = 0;
    bool is_there = false;
    /// It has stopped, and may come back.
    std::optional<time_point> until{};
  };

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
      std::visit([this](auto& what) { this->pass_on(what); }, each);
  }

  template <class Effect>
  void pass_on(Effect& what) {
    out_->push_back(std::move(what));
  }

  void pass_on(claims::says& what) {
    constexpr std::size_t at_once = 500;
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
    out_->push_back(
      complain{not_kept, "node " + nodes_.name_of(to_string(what.of)) + ' ' + what.what});
  }

  void pass_on(record_exchange::merged& what) {
    awaited_.erase(what.who);
    settle_standing(to_string(what.who));
    forget_expelled(to_string(what.who));
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
    out_->push_back(gone{agent_of(what.what), what.what.key.owner});
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
    judge(std::move(what), id);
  }

  void handle(request_id id, liveness::link_down& what) {
    note_link(what.node, false);
    judge(std::move(what), id);
  }

  void note_link(const std::string& node, bool is_up) {
    if (auto who = node_id::from_string(node))
      exchange(record_exchange::linked{*who, is_up});
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
    auto node = to_string(what.who);
    auto is_there = what.is == member_status::alive || what.is == member_status::suspect;
    auto& now = standings_[node];
    auto was = now;
    leave_off(node, now);
    now = {what.when.boot, is_there};
    if (what.is == member_status::left && (was.is_there || was.until || was.boot != now.boot)) {
      now.until = was.until.value_or(now_ + lost_after_);
      stays_.emplace(*now.until, node);
    }
    if (what.is != member_status::dead)
      exchange(record_exchange::heard{std::move(what.told), what.key, what.from});
    if (!is_there) {
      exchange(record_exchange::gone{what.who});
      awaited_.erase(what.who);
    }
    settle_standing(node);
    forget_expelled(node);
    tell([&](auto& lines) { news_.shows(now_, node, what.when.boot, what.is, lines); });
    judge(liveness::seen{node, what.when.boot, what.is});
  }

  void handle(request_id, const member_forgotten& what) {
    auto node = to_string(what.who);
    if (auto place = standings_.find(node); place != standings_.end()) {
      leave_off(node, place->second);
      standings_.erase(place);
    }
    exchange(record_exchange::forgotten{what.who});
    forget(node);
  }

  void forget(const std::string& node) {
    auto known = table_.answer(registry::find_owner{node});
    registry::effects none;
    if (known.boot != 0)
      table_.step(now_, 0, registry::forget{node, known.boot}, none);
  }

  void handle(request_id, expelled& what) {
    expelled_ = what.nodes;
    judge(liveness::expelled{std::move(what.nodes)});
    for (auto& node : expelled_)
      forget_expelled(node);
  }

  /// Members that have not heard of it may say it once more.
  void forget_expelled(const std::string& node) {
    auto place = standings_.find(node);
    auto is_there = place != standings_.end() && place->second.is_there;
    if (!is_there && node != id_ && expelled_.contains(node))
      forget(node);
  }

  void leave_off(const std::string& node, standing& what) {
    if (what.until)
      stays_.erase({*std::exchange(what.until, std::nullopt), node});
  }

  /// Those that have stopped, and have not come back.
  void end_stays() {
    while (!stays_.empty() && stays_.begin()->first <= now_) {
      auto node = stays_.begin()->second;
      leave_off(node, standings_.at(node));
      settle_standing(node);
    }
  }

  /// How that node shows.
  void settle_standing(const std::string& node) {
    auto place = standings_.find(node);
    auto known = table_.answer(registry::find_owner{node});
    if (place == standings_.end() || known.boot == 0)
      return;
    auto& [boot, is_there, until] = place->second;
    auto is_active = is_there || until || known.boot > boot;
    auto shows
      = is_active ? registry::record_status::active : registry::record_status::disconnected;
    registry::effects none;
    if (known.liveness != shows)
      table_.step(now_, 0, registry::verdict{node, known.boot, shows}, none);
  }

  void handle(request_id, const compared&) {
    if (std::exchange(has_compared_, true) || is_caught_up_)
      return;
    awaited_ = exchange_.missing();
    catch_up_until_ = now_ + catch_up_within_;
  }

  /// For the members it is new, and so are they for it: those that it does not hear of again are
  /// gone.
  void handle(request_id id, claims::risen& what) {
    if (what.boot > book().boot())
      for (auto& [node, each] : standings_)
        if (std::exchange(each.is_there, false) && !each.until) {
          each.until = now_ + 6 * lost_after_;
          stays_.emplace(*each.until, node);
        }
    say(what, id);
  }

  // -- what this node says -----------------------------------------------------------------

  void handle(request_id id, add_agent& what) {
    auto& called = what.what.key.name;
    auto at = called.rfind('@');
    auto is_own = at != std::string::npos;
    if (is_own && called.substr(at + 1) != name_) {
      out_->push_back(claims::done{id,
                                   {errc::bad_argument, "agent id '" + called.substr(0, 64)
                                                          + "' names another node; end it with @"
                                                          + name_ + " or leave out the @"}});
      return;
    }
    auto is_claimed = what.is_unique && !is_own;
    what.what.key.kind = registry::record_kind::agent;
    what.what.key.owner = id_;
    if (!what.is_unique && !is_own)
      what.what.capabilities.insert(called); // several may have it
    if (!is_claimed)
      called += '@' + id_;
    say(claims::add{std::move(what.what), is_claimed}, id);
  }

  void handle(request_id id, const update_agent& what) {
    auto said = own_agent(what.id);
    auto before = said ? said : agent_to_come(what.id);
    if (!before)
      return end(id,
                 {errc::not_found, "no agent '" + what.id.substr(0, 64)
                                     + "' is registered at this node; only the node of an agent "
                                       "changes it"});
    auto made = changed(*before, what.how);
    if (auto why = refuse(what, *before, made))
      return end(id, std::move(why));
    if (made == *before)
      return end(id, {});
    if (!said)
      return say(claims::reword{std::move(made)}, id);
    auto key = made.key;
    say(claims::put{std::move(made)});
    find(*book().find(key.kind, key.name), rests(), liveness_.is_ill(key));
    end(id, {}); // who has asked finds it as it is now
  }

  /// Why a registry, or others, would not do with that.
  [[nodiscard]] problem refuse(const update_agent& what, const registry::record& own,
                               const registry::record& made) const {
    auto is_one_of_several = own.token == 0 && !registry::is_own_name(what.id);
    if (is_one_of_several && !made.capabilities.contains(what.id))
      return {errc::bad_argument,
              "agent '" + what.id + "' is found by its name as by a capability; it keeps that"};
    if (auto why = registry::check(made))
      return why;
    if (auto size = registry::size_of(made); size > max_record_bytes_)
      return {errc::too_large, "agent '" + what.id + "' would have a record of "
                                 + std::to_string(size) + " bytes; give at most "
                                 + std::to_string(max_record_bytes_)
                                 + " (registry_options::max_record_bytes)"};
    return {};
  }

  /// The agent whose name is being claimed, with a token as if it had that.
  [[nodiscard]] std::optional<registry::record> agent_to_come(const std::string& called) const {
    auto* wish = claims_.find_wish(called);
    if (wish == nullptr)
      return std::nullopt;
    auto made = *wish;
    made.boot = made.version = made.token = 1;
    return made;
  }

  /// The agent of this node that callers know by that id.
  [[nodiscard]] std::optional<registry::record> own_agent(const std::string& called) const {
    auto plain = book().find(registry::record_kind::agent, called + '@' + id_);
    return plain ? plain : book().find(registry::record_kind::agent, called);
  }

  void end(request_id id, problem why) {
    out_->push_back(claims::done{id, std::move(why)});
  }

  void handle(request_id id, const maintain& what) {
    auto self = own_record();
    if (!self) {
      out_->push_back(claims::done{id, {}}); // it says so when it begins to speak
      return;
    }
    self->status = what.on ? registry::record_status::maintenance : registry::record_status::active;
    say(claims::put{*std::move(self)}, id);
  }

  void handle(request_id, call_ended& what) {
    for (auto& name : {what.agent, what.agent + '@' + what.node}) {
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

  // -- what others say ---------------------------------------------------------------------

  /// What a snapshot of the table has shown so far.
  struct shown_records {
    std::set<registry::record_key> keys;
    std::set<std::string> nodes;
    std::set<std::pair<std::string, std::string>> agents;

    void note(const registry::record& what, bool is_shown) {
      auto change = [is_shown](auto& among, const auto& each) {
        if (is_shown)
          among.insert(each);
        else
          among.erase(each);
      };
      change(keys, what.key);
      if (what.key.kind == registry::record_kind::node)
        change(nodes, what.key.owner);
      else if (what.key.kind == registry::record_kind::agent)
        change(agents, std::pair{agent_of(what), what.key.owner});
    }
  };

  /// What has changed in the table is for the router and for the other parts.
  void follow_table() {
    while (table_.has_news(watched_)) {
      auto news = table_.answer(watched_);
      watched_ = watched_.next(news);
      take(news);
    }
    if (is_caught_up_ || !(leads_ || (has_compared_ && awaited_.empty())))
      return;
    is_caught_up_ = true;
    catch_up_until_.reset();
    awaited_.clear();
    out_->push_back(caught_up{});
  }

  void take(const registry::record_changes& news) {
    if (news.complete)
      snapshot_.emplace();
    for (auto& each : news.changes) {
      auto& value = each.what.value;
      auto is_shown = registry::is_shown(each.kind);
      if (snapshot_ && (!is_shown || snapshot_->keys.size() < max_records_))
        snapshot_->note(value, is_shown);
      if (is_shown && value.key.owner != id_
          && each.what.liveness != registry::record_status::disconnected)
        judge(liveness::shown{value.key.owner, value.boot});
      if (value.key.kind == registry::record_kind::node)
        follow_node(each, is_shown);
      else if (value.key.kind == registry::record_kind::agent)
        follow_agent(each, is_shown);
    }
    if (snapshot_ && !news.rest)
      forget_all_but(*std::exchange(snapshot_, std::nullopt));
  }

  void forget_all_but(shown_records those) {
    nodes_.remove_if([&](const std::string& id) { return !those.nodes.contains(id); });
    judge(liveness::listed{std::move(those.keys)});
    out_->push_back(found_only{std::move(those.agents)});
  }

  void follow_node(const registry::change& news, bool is_shown) {
    auto& value = news.what.value;
    if (is_shown) {
      nodes_.put(news.what);
      out_->push_back(node_is{value});
      look_at_name(news.what);
      return;
    }
    auto has_left = news.kind == registry::change_kind::removed;
    nodes_.remove(value.key.owner);
    if (has_left) {
      out_->push_back(node_left{value.key.owner, value.boot});
      if (leads_)
        out_->push_back(inform{"node " + value.key.name + " has left"});
      judge(liveness::left{value.key.owner});
    } else if (news.kind == registry::change_kind::lost
               && table_.answer(registry::find_owner{value.key.owner}).boot == 0) {
      news_.forget(value.key.owner);
      judge(liveness::forgotten{value.key.owner, value.boot});
    }
  }

  /// Commands that name a node cannot tell two of one name apart.
  void look_at_name(const registry::record_view& what) {
    auto& key = what.value.key;
    if (key.name != name_ || key.owner == id_ || what.liveness != registry::record_status::active
        || namesakes_.size() >= max_namesakes || !namesakes_.insert(key.owner).second)
      return;
    out_->push_back(warn{"node " + key.owner.substr(0, 8) + " is called '" + key.name
                         + "' as well; give one of the two another --name, or commands that name "
                           "it may mean either"});
  }

  void follow_agent(const registry::change& news, bool is_shown) {
    auto& value = news.what.value;
    if (is_shown && !news.what.healthy)
      judge(liveness::ill{value.key, agent_of(value)});
    else
      judge(liveness::well{value.key});
    if (value.token != 0)
      follow_claim(news, is_shown);
    if (value.key.owner == id_) {
      if (auto own = book().find(value.key.kind, value.key.name))
        find(*std::move(own), rests(), is_shown && !news.what.healthy);
      return;
    }
    auto rests = news.what.status == registry::record_status::maintenance;
    if (is_shown && (rests || news.what.status == registry::record_status::active))
      find(value, rests, !news.what.healthy);
    else
      out_->push_back(gone{agent_of(value), value.key.owner});
  }

  void find(registry::record what, bool rests, bool ill = false) {
    auto agent = agent_of(what);
    out_->push_back(found{std::move(what), std::move(agent), rests, ill});
  }

  /// What is said of a name that this node may have, or claim.
  void follow_claim(const registry::change& news, bool is_shown) {
    auto& value = news.what.value;
    auto is_taken = news.kind == registry::change_kind::taken;
    if (value.key.owner == id_ ? is_taken : is_shown)
      say(claims::seen{value.key.name, value.key.owner, value.token, is_taken,
                       nodes_.name_of(value.key.owner)});
  }

  // -- who leads ---------------------------------------------------------------------------

  void handle(request_id, const lead&) {
    leads_ = true;
    liveness::lead begun;
    begun.self = id_;
    for_each_record([&](const registry::record_view& each) {
      auto is_lost = each.liveness == registry::record_status::disconnected;
      if (each.value.key.owner != id_)
        (is_lost ? begun.lost : begun.known)[each.value.key.owner] = each.value.boot;
    });
    judge(std::move(begun));
  }

  void handle(request_id, const follow&) {
    leads_ = false;
    judge(liveness::follow{});
  }

  const std::string id_;
  const std::string name_;
  const duration lost_after_;
  const duration catch_up_within_;
  known_nodes nodes_; // liveness_ looks there
  const std::size_t max_records_;
  const std::size_t max_record_bytes_;
  registry::record_table table_; // exchange_ fills it
  claims claims_;
  record_exchange exchange_;
  liveness liveness_;
  member_news news_;
  /// How the members show each other node.
  std::map<std::string, standing> standings_;
  /// Until when those that have stopped show as they were.
  std::set<std::pair<time_point, std::string>> stays_;
  registry::watch_records watched_{};
  /// While its pages come in.
  std::optional<shown_records> snapshot_;
  std::set<std::string> namesakes_;
  std::set<std::string> expelled_;
  bool leads_ = false;
  bool has_compared_ = false;
  bool is_caught_up_ = false;
  /// Members whose records it waits for until then.
  std::set<node_id> awaited_;
  std::optional<time_point> catch_up_until_;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
