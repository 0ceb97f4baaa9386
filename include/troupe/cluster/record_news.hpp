#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/claims_types.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/log_effects.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Says what the changes of this node's table mean: for whoever sends messages to agents, for
/// `liveness` and for `claims`. Part of `node_core`.
///
/// - An agent is found where it can get messages: its node is there, or in maintenance; it rests
///   there, and is ill while callers of this node do not reach it. What is found of the agents of
///   this node is for its host to say.
/// - Where changes were missed there is a snapshot, in pages. After its last page all that it has
///   not shown is gone. One that is begun anew takes the place of the one before.
///
/// Machine. Not thread-safe. Cost of a call: that of a page of changes of the table, or O(log n).
class record_news {
public:
  // -- effects ---------------------------------------------------------------------------

  /// The agent `id` of `what` gets messages where its node is; what was said of it before is over.
  struct found {
    registry::record what;
    agent_id id;
    node_id node;
    /// It gets no work that another one could do.
    bool rests = false;
    /// Callers of this node do not reach it.
    bool ill = false;
  };

  /// An agent of this node shows so.
  struct own_agent {
    registry::record_key which;
    bool is_ill = false;
  };

  /// That agent of that node gets none any more.
  struct gone {
    agent_id id;
    node_id node;
    /// Its node has begun a later life, in which it may be there again.
    bool returns = false;
  };

  /// No agents are found but these, each with its node, and those of this node.
  struct found_only {
    std::set<std::pair<agent_id, node_id>> agents;
  };

  /// There is this node, or that has changed of it.
  struct node_is {
    node_id node;
    registry::record what;
  };

  /// It has taken its record of that boot back. `name` is for people.
  struct node_left {
    node_id node;
    boot_number boot = 0;
    std::string name{};
  };

  using effect
    = std::variant<found, own_agent, gone, found_only, node_is, node_left, log_effects::warn,
                   liveness::shown, liveness::left, liveness::forgotten, liveness::listed,
                   liveness::ill, liveness::well, claims_types::seen>;
  using effects = std::vector<effect>;

  /// Other nodes of this node's name of which the log hears, each once.
  static constexpr std::size_t max_namesakes = 16;

  /// `node` is the id of this node, `name` what people call it. @pre `table` and `nodes` outlive
  /// this; it keeps `nodes`.
  record_news(const node_id& node, std::string name, std::size_t max_records,
              const registry::record_table& table, known_nodes& nodes)
    : id_(node), name_(std::move(name)), max_records_(max_records), table_(table), nodes_(nodes) {}

  record_news(const record_news&) = delete;
  record_news& operator=(const record_news&) = delete;

  /// Goes on to the next change. Returns false if there is none. What one change means is to be
  /// carried out before the next call.
  [[nodiscard]] bool next(effects& out) {
    if (page_ && in_page_ < page_->changes.size()) {
      take(page_->changes[in_page_++], out);
      return true;
    }
    if (page_) {
      end_page(out);
      return true;
    }
    if (!table_.has_news(watched_))
      return false;
    page_ = table_.answer(watched_);
    in_page_ = 0;
    watched_ = watched_.next(*page_);
    if (page_->complete)
      snapshot_.emplace();
    return true;
  }

  /// What is wrong with its state, in words; empty if all is well.
  [[nodiscard]] std::vector<std::string> flaws() const {
    if (namesakes_.size() > max_namesakes)
      return {"more namesakes than allowed"};
    return {};
  }

private:
  struct shown_record {
    node_id node;
    /// Empty: it is of no agent.
    agent_id agent;
  };

  /// What a snapshot of the table has shown so far. Two records may be of one agent: one that has
  /// claimed its name takes the place of one that has not.
  using shown_records = std::map<registry::record_key, shown_record>;

  void note(const node_id& node, const registry::record& what, bool is_shown) {
    if (!is_shown)
      snapshot_->erase(what.key);
    else if (snapshot_->size() < max_records_)
      snapshot_->insert_or_assign(
        what.key, shown_record{node, what.key.kind == registry::record_kind::agent ? agent_of(what)
                                                                                   : agent_id{}});
  }

  void take(const registry::change& news, effects& out) {
    auto& value = news.what.value;
    auto& node = value.key.owner;
    auto is_shown = registry::is_shown(news.kind);
    if (snapshot_)
      note(node, value, is_shown);
    if (is_shown && node != id_ && news.what.liveness != registry::record_status::disconnected)
      out.emplace_back(liveness::shown{node, value.boot});
    if (value.key.kind == registry::record_kind::node)
      follow_node(node, news, is_shown, out);
    else if (value.key.kind == registry::record_kind::agent)
      follow_agent(node, news, is_shown, out);
  }

  void end_page(effects& out) {
    auto has_more = page_->rest;
    page_.reset();
    if (!snapshot_ || has_more)
      return;
    auto those = *std::exchange(snapshot_, std::nullopt);
    std::set<node_id> nodes;
    liveness::listed listed;
    found_only agents;
    for (auto& [key, each] : those) {
      listed.all.insert(key);
      if (key.kind == registry::record_kind::node)
        nodes.insert(each.node);
      else if (key.kind == registry::record_kind::agent)
        agents.agents.emplace(each.agent, each.node);
    }
    nodes_.remove_if([&](const node_id& id) { return !nodes.contains(id); });
    out.emplace_back(std::move(listed));
    out.emplace_back(std::move(agents));
  }

  // -- nodes -----------------------------------------------------------------------------

  void follow_node(const node_id& node, const registry::change& news, bool is_shown, effects& out) {
    auto& value = news.what.value;
    if (is_shown) {
      nodes_.put(node, news.what);
      out.emplace_back(node_is{node, value});
      look_at_name(node, news.what, out);
      return;
    }
    auto has_left = news.kind == registry::change_kind::removed;
    nodes_.remove(node);
    if (has_left) {
      out.emplace_back(node_left{node, value.boot, value.key.name});
      out.emplace_back(liveness::left{node, value.boot});
    } else if (news.kind == registry::change_kind::lost
               && table_.answer(registry::find_owner{node}).boot == 0) {
      out.emplace_back(liveness::forgotten{node, value.boot});
    }
  }

  /// Commands that name a node cannot tell two of one name apart.
  void look_at_name(const node_id& node, const registry::record_view& what, effects& out) {
    auto& key = what.value.key;
    if (key.name != name_ || node == id_ || what.liveness != registry::record_status::active
        || namesakes_.size() >= max_namesakes || !namesakes_.insert(node).second)
      return;
    out.emplace_back(log_effects::warn{
      "node " + to_string(node).substr(0, 8) + " is called '" + key.name
      + "' as well; give one of the two another --name, or name it to commands by "
        "the first digits of its id"});
  }

  // -- agents ----------------------------------------------------------------------------

  void follow_agent(const node_id& node, const registry::change& news, bool is_shown,
                    effects& out) const {
    auto& value = news.what.value;
    if (is_shown && !news.what.healthy)
      out.emplace_back(liveness::ill{value.key, agent_of(value)});
    else
      out.emplace_back(liveness::well{value.key});
    if (value.token != 0)
      follow_claim(node, news, is_shown, out);
    if (node == id_) {
      out.emplace_back(own_agent{value.key, is_shown && !news.what.healthy});
      return;
    }
    if (is_shown && gets_messages(news.what))
      return find(node, news.what, out);
    auto id = agent_of(value);
    if (auto other = find_other(id, value.key))
      find(node, *other, out);
    else
      out.emplace_back(gone{std::move(id), node, begins_anew(news)});
  }

  /// Whether that was said in an earlier life of its node than the table knows of.
  [[nodiscard]] bool begins_anew(const registry::change& news) const {
    auto& value = news.what.value;
    return news.kind == registry::change_kind::lost
           && table_.answer(registry::find_owner{value.key.owner}).boot > value.boot;
  }

  static bool rests(const registry::record_view& what) {
    return what.status == registry::record_status::maintenance;
  }

  static bool gets_messages(const registry::record_view& what) {
    return rests(what) || what.status == registry::record_status::active;
  }

  static void find(const node_id& node, const registry::record_view& what, effects& out) {
    out.emplace_back(found{what.value, agent_of(what.value), node, rests(what), !what.healthy});
  }

  /// Another record of the agent of that id, which gets messages. Changes that come together are
  /// not in the order in which they were made: that one of the two is gone may come last.
  [[nodiscard]] std::optional<registry::record_view>
  find_other(const agent_id& id, const registry::record_key& than) const {
    auto name = than.name == id ? registry::unclaimed_name(id, than.owner) : id.text();
    auto known = table_.answer(registry::get_record{than.kind, name, than.owner});
    if (known.found && agent_of(known.found->value) == id && gets_messages(*known.found))
      return known.found;
    return std::nullopt;
  }

  /// What is said of a name that this node may have, or claim.
  void follow_claim(const node_id& node, const registry::change& news, bool is_shown,
                    effects& out) const {
    auto& value = news.what.value;
    auto is_taken = news.kind == registry::change_kind::taken;
    if (node == id_ ? is_taken : is_shown)
      out.emplace_back(
        claims_types::seen{value.key.name, node, value.token, is_taken, nodes_.name_of(node)});
  }

  const node_id id_;
  const std::string name_;
  const std::size_t max_records_;
  const registry::record_table& table_;
  known_nodes& nodes_;
  registry::watch_records watched_{};
  /// The changes that are followed, and how many of them were.
  std::optional<registry::record_changes> page_;
  std::size_t in_page_ = 0;
  /// While the pages of a snapshot come in.
  std::optional<shown_records> snapshot_;
  std::set<node_id> namesakes_;
};

} // namespace troupe::cluster
