#pragma once

#include <chrono>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "troupe/cluster/agent_change.hpp"
#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/exchange_types.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/log_effects.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/cluster/record_news.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/record.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Who a node is, and its limits and times.
struct node_core_options {
  /// The id of the node.
  node_id node;
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
  /// The changes of its table are counted from there, so that who has watched another table, or
  /// that of an earlier life, begins anew. Random, of up to 52 bits.
  std::uint64_t revision_floor = 0;
  /// How it gets that.
  exchange_options exchange{};
  /// After the first comparison with another member, the records of members are waited for so long;
  /// on a node that leads, and is not alone in its group, both together.
  duration catch_up_within = std::chrono::seconds{5};
  /// When it goes on as a later life: how long it keeps those of whom the members then say nothing.
  /// As they keep those that are gone (swim_options::keep_gone).
  duration forget_after = std::chrono::hours{24};
  /// How long it shows a node without a data folder that is gone: it begins with nothing when it
  /// starts again, mostly under another id. As long as a voter is waited for.
  duration drop_fleeting_after = std::chrono::minutes{5};
};

/// What a `node_core` hears and says.
struct node_core_types {
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
    std::set<node_id> nodes;
  };

  /// The first comparison with another member has ended, or cannot be.
  struct compared {};

  /// The services are on this node from here on. `is_alone`: no other node has a seat in its group,
  /// so nobody knows more than this one.
  struct lead {
    bool is_alone = false;
  };

  /// They are elsewhere.
  struct follow {};

  /// Registers an agent. `what.key.name` is its id: one that ends with "@" and the name of the node
  /// is the node's own and needs no claim. `done` as for claims::add; bad_argument if it names
  /// another node, or no registry would take it; too_large.
  struct add_agent {
    registry::record what;
    /// No other agent of the cluster may have the id.
    bool is_unique = true;
  };

  /// Changes an agent of this node; one whose name is still being claimed begins so. `done` at
  /// once. Errors: not_found, bad_argument, limit_reached, too_large (nothing has changed).
  struct update_agent {
    agent_id id;
    agent_change how;
  };

  /// Says whether this node is in maintenance. `done` at once.
  struct maintain {
    bool on = false;
  };

  /// So a call of somebody on this node to the agent of that node has ended.
  struct call_ended {
    node_id node;
    agent_id agent;
    registry::call_outcome how = registry::call_outcome::succeeded;
  };

  using event = std::variant<
    member_is, member_forgotten, expelled, compared, lead, follow, add_agent, update_agent,
    maintain, call_ended, record_exchange::hurry, record_exchange::spoke, record_exchange::answered,
    record_exchange::asked, claims::put, claims::remove, claims::leave, claims::bound,
    claims::outlived, claims::given_up, claims::risen, claims::heard<registry::names::claims>,
    claims::heard<registry::names::freed>, claims::heard<registry::names::claim_page>,
    liveness::link_up, liveness::link_down, liveness::names_listed, liveness::workers_listed,
    liveness::pong>;

  // -- effects ---------------------------------------------------------------------------

  using found = record_news::found;
  using gone = record_news::gone;
  using found_only = record_news::found_only;
  using node_is = record_news::node_is;
  using node_left = record_news::node_left;

  /// All is here that others knew when this node joined them.
  struct caught_up {};

  /// So many of so many nodes are there now, as this one sees them; itself counted.
  using presence = known_nodes::presence;

  using inform = log_effects::inform;
  using warn = log_effects::warn;
  using complain = log_effects::complain;
  using settle = log_effects::settle;

  using effect
    = std::variant<found, gone, found_only, node_is, node_left, caught_up, presence, inform, warn,
                   complain, settle, record_exchange::restate, record_exchange::ask,
                   record_exchange::reply, record_exchange::learned, claims::ask, claims::done,
                   claims::lost_name, claims::rise, liveness::give_up, liveness::free_names,
                   liveness::list_names, liveness::list_workers, liveness::ping>;
  using effects = std::vector<effect>;
};

} // namespace troupe::cluster
