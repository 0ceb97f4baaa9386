#pragma once

#include <algorithm>
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
#include "troupe/cluster/registry_copy.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/follow.hpp"
#include "troupe/registry/record_bounds.hpp"
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
  /// Of the copy of the registry; as the registry has them.
  registry::registry_options copy{};
};

/// What one node knows of its cluster, and says there. Joins what it says itself (`claims`), who is
/// alive while it leads (`liveness`), and its copy of the registry.
///
/// - A snapshot of the registry comes in pages: until the last one all that was known before is
///   found, too; afterwards only what it has shown, up to the bounds of the copy.
/// - An agent is found where it can get messages: its node is there, or in maintenance; it rests
///   there, and is ill while the registry shows it unhealthy. Agents of this node are found as this
///   node says them, before the registry shows them.
/// - Who begins to lead with a new registry tells it what the last one knew of other nodes, and
///   what this node says: whoever asks the new one finds all that the last one had. What nodes say
///   themselves is newer, or the same.
///
/// Steps like any machine. No snapshot: what it knows comes from the registry again. Not
/// thread-safe. Cost of a step: that of `claims` and `liveness`; of `told` O(log n) for each
/// change, of a snapshot's last page and of `lead` O(n).
///
/// It counts on its host for what `claims` and `liveness` do.
class node_core {
public:
  // -- events ----------------------------------------------------------------------------

  /// The registry has answered the watch of this node: each answer once, in their order.
  struct told {
    registry::record_changes news;
  };

  /// The services are on this node from here on. `has_new_registry`: an empty one.
  struct lead {
    bool has_new_registry = true;
  };

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

  /// Changes an agent of this node. `done` once the registry has heard it; at once if nothing
  /// changes, or if the name of the agent is still being claimed: then it begins so. Errors:
  /// not_found, bad_argument, limit_reached, too_large (nothing has changed), and what the registry
  /// says.
  struct update_agent {
    std::string id;
    agent_change how;
  };

  /// Says whether this node is in maintenance. `done` once the registry has heard it; at once if
  /// the node has said nothing of itself yet.
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
    told, lead, follow, add_agent, update_agent, maintain, call_ended, claims::put, claims::remove,
    claims::leave, claims::begin, claims::bound, claims::outlived, claims::risen,
    claims::heard<registry::put_report>, claims::heard<registry::owner_view>,
    claims::heard<registry::names::claims>, claims::heard<registry::names::freed>,
    claims::heard<registry::names::claim_page>, liveness::link_up, liveness::link_down,
    liveness::seen, liveness::heard, liveness::names_listed, liveness::pong>;

  // -- effects ---------------------------------------------------------------------------

  /// The agent `id` of `what` gets messages where its node is; what was said of it before is over.
  struct found {
    registry::record what;
    std::string id;
    /// It gets no work that another one could do.
    bool rests = false;
    /// The registry shows it unhealthy.
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

  /// The registry shows this node, or what has changed of it.
  struct node_is {
    registry::record what;
  };

  /// It has taken its record of that boot back.
  struct node_left {
    std::string node;
    boot_number boot = 0;
  };

  /// Tell the new registry of this node this, in pages, then these verdicts.
  struct begin_registry {
    std::vector<registry::put_records> pages;
    std::vector<registry::verdict> lost;
  };

  /// All is here that the registry had when it was asked.
  struct caught_up {};

  /// Tell the registry that a call to the agent with this record has ended so. May be left out.
  struct report {
    registry::report_outcome what;
  };

  using inform = log_effects::inform;
  using warn = log_effects::warn;
  using complain = log_effects::complain;
  using settle = log_effects::settle;

  using effect
    = std::variant<found, gone, found_only, node_is, node_left, begin_registry, caught_up, report,
                   inform, warn, complain, settle, claims::ask, claims::done, claims::lost_name,
                   claims::rise, liveness::ask, liveness::judge, liveness::give_up,
                   liveness::free_names, liveness::list_names, liveness::ping, liveness::recovered>;
  using effects = std::vector<effect>;

  /// Records of one page of begin_registry.
  static constexpr std::size_t page = 500;
  /// Other nodes of this node's name of which the log hears, each once.
  static constexpr std::size_t max_namesakes = 16;
  /// The topic of its own complaint.
  static constexpr const char* not_kept = "what the registry tells is not kept here";

  node_core(const node_core_options& how, std::uint64_t seed)
    : id_(how.node),
      name_(how.name),
      nodes_(how.copy.max_owners),
      max_records_(how.copy.max_records),
      max_record_bytes_(how.copy.max_record_bytes),
      copy_(how.copy),
      claims_(how.node, how.boot, how.claims, seed),
      liveness_(nodes_, how.liveness),
      news_(nodes_, how.liveness.max_nodes) {}

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([&](auto& each) { handle(id, each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    run(claims_, [&](auto& made) { claims_.tick(now, made); });
    run(liveness_, [&](auto& made) { liveness_.tick(now, made); });
    tell([&](auto& lines) { news_.tick(now, lines); });
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = claims_.next_deadline();
    for (auto& other : {liveness_.next_deadline(), news_.next_deadline()})
      if (other)
        next = std::min(next.value_or(*other), *other);
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

  /// Stays where it is when this object moves.
  [[nodiscard]] const known_nodes& nodes() const {
    return nodes_;
  }

  [[nodiscard]] const registry_copy& copy() const {
    return copy_;
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
    for (auto& each : liveness_.flaws())
      all.push_back(each);
    if (namesakes_.size() > max_namesakes)
      all.emplace_back("more namesakes than allowed");
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
      std::visit([this](auto& what) { this->pass_on(what); }, each);
  }

  template <class Effect>
  void pass_on(Effect& what) {
    out_->push_back(std::move(what));
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

  void handle(request_id id, liveness::seen& what) {
    if (what.node != id_)
      tell([&](auto& lines) { news_.shows(now_, what.node, what.boot, what.is, lines); });
    judge(std::move(what), id);
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
    say(claims::put{std::move(made)}, id);
    if (auto now = *book().find(key.kind, key.name); now != *said) // else it was refused
      find(std::move(now), rests(), liveness_.is_ill(key));
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

  /// The registry refuses a report on a record that it does not have.
  void handle(request_id, call_ended& what) {
    for (auto& name : {what.agent, what.agent + '@' + what.node}) {
      auto known
        = copy_.table().answer(registry::get_record{registry::record_kind::agent, name, what.node});
      if (known.found && agent_of(known.found->value) == what.agent)
        return out_->push_back(report{{known.found->value.key, what.how}});
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

  /// What a snapshot of the registry has shown so far.
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

  void handle(request_id, const told& what) {
    auto& news = what.news;
    keep(news);
    if (news.complete)
      snapshot_.emplace();
    for (auto& each : news.changes) {
      auto& value = each.what.value;
      auto is_shown = registry::is_shown(each.kind);
      if (snapshot_ && (!is_shown || snapshot_->keys.size() < max_records_))
        snapshot_->note(value, is_shown);
      if (is_shown && value.key.owner == id_)
        say(claims::shown{value, each.what.liveness == registry::record_status::disconnected});
      else if (is_shown && each.what.liveness != registry::record_status::disconnected)
        judge(liveness::shown{value.key.owner, value.boot});
      if (value.key.kind == registry::record_kind::node)
        follow_node(each, is_shown);
      else if (value.key.kind == registry::record_kind::agent)
        follow_agent(each, is_shown);
    }
    if (snapshot_ && !news.rest)
      forget_all_but(*std::exchange(snapshot_, std::nullopt));
    if (!news.more)
      out_->push_back(caught_up{});
  }

  void keep(const registry::record_changes& news) {
    if (auto why = copy_.take(now_, news))
      out_->push_back(complain{not_kept, why.detail});
    else if (news.complete)
      out_->push_back(settle{not_kept});
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
    } else if (news.kind == registry::change_kind::lost) {
      news_.forget(value.key.owner);
      judge(liveness::forgotten{value.key.owner});
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

  void handle(request_id, const lead& what) {
    leads_ = true;
    liveness::lead begun;
    begun.self = id_;
    copy_.for_each([&](const registry::record_view& each) {
      auto& owner = each.value.key.owner;
      if (owner == id_)
        return;
      begun.known[owner] = each.value.boot;
      if (each.liveness == registry::record_status::disconnected)
        begun.lost.insert(owner);
    });
    if (what.has_new_registry)
      tell_all();
    judge(std::move(begun));
  }

  void handle(request_id, const follow&) {
    leads_ = false;
    judge(liveness::follow{});
  }

  void tell_all() {
    begin_registry all;
    std::map<std::string, boot_number> lost;
    auto add = [&](const registry::record& what) {
      if (all.pages.empty() || all.pages.back().records.size() == page)
        all.pages.emplace_back();
      all.pages.back().records.push_back(what);
    };
    for (auto& each : book().all())
      add(each);
    copy_.for_each([&](const registry::record_view& each) {
      auto& owner = each.value.key.owner;
      if (owner == id_)
        return;
      add(each.value);
      if (each.liveness == registry::record_status::disconnected)
        lost[owner] = std::max(lost[owner], each.value.boot);
    });
    for (auto& [node, boot] : lost)
      all.lost.push_back(
        {node, boot, registry::record_status::disconnected, copy_.lost_for(now_, node, boot)});
    out_->push_back(std::move(all));
  }

  const std::string id_;
  const std::string name_;
  known_nodes nodes_; // liveness_ looks there
  const std::size_t max_records_;
  const std::size_t max_record_bytes_;
  /// What the registry has told, for the next one and for those who ask while there is none.
  registry_copy copy_;
  claims claims_;
  liveness liveness_;
  member_news news_;
  /// Of the registry, while its pages come in.
  std::optional<shown_records> snapshot_;
  std::set<std::string> namesakes_;
  bool leads_ = false;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
