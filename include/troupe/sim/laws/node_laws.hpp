#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/swim.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::sim {

/// Checks by its events and effects whom a node gives up while it leads:
///
/// - a node is there while it is linked, or the members show it alive, or suspect it;
/// - it is given up at once if the members show that life of it dead, or a later one, or stopped
///   where this node knows that it has no data folder;
/// - else it is given up if it was not there for lost_after, unless it has left: because it has
///   stopped; because its link has ended and it is no member; because it was known to the leader at
///   its beginning, or shown to it later, or has a name and no data folder, or a silent worker. It
///   is given up then;
/// - never a later boot than the one that was there.
class judge_laws {
public:
  using machine = cluster::node_core;

  explicit judge_laws(duration lost_after) : lost_after_(lost_after) {}

  /// Call before `node` is stepped.
  void hears(time_point now, request_id id, const machine::event& what, const machine& node) {
    auto note = overloaded{
      [&](const machine::lead&) {
        leads_ = true;
        awaited_.clear();
        leaving_.clear();
        node.for_each_record([&](const registry::record_view& each) {
          auto& owner = each.value.key.owner;
          auto is_lost = each.liveness == registry::record_status::disconnected;
          if (owner != node.id() && !there(owner))
            awaited_[owner] = {is_lost ? now : now + lost_after_, each.value.boot};
        });
      },
      [&](const machine::follow&) {
        leads_ = false;
        awaited_.clear();
        leaving_.clear();
      },
      [&](const cluster::liveness::link_up& each) {
        auto& latest = links_[each.node];
        latest = std::max(latest, each.boot);
        come(each.node);
      },
      [&](const cluster::liveness::link_down& each) {
        auto linked = links_.find(each.node);
        if (linked == links_.end() || linked->second > each.boot)
          return; // the link of an earlier life
        links_.erase(linked);
        if (!members_.contains(each.node))
          go(now, each.node, each.boot);
      },
      [&](const machine::member_is& each) {
        cluster::liveness::seen news{each.who, each.when.boot, each.is};
        if (each.is == cluster::member_status::alive || each.is == cluster::member_status::suspect)
          see_there(news);
        else
          see_gone(now, news, node.nodes().is_fleeting(each.who));
      },
      [&](const cluster::liveness::names_listed& each) {
        if (names_page_ != id || !leads_ || !each.what)
          return;
        for (auto& claim : each.what->claimed)
          if (claim.is_fleeting && claim.owner != node.id())
            await(now, *claim.owner.node(), claim.boot);
      },
      [&](const cluster::liveness::workers_listed& each) {
        if (workers_page_ != id || !leads_ || !each.what)
          return;
        for (auto& worker : *each.what)
          if (worker.is_silent && worker.owner != node.id())
            await(now, *worker.owner.node(), worker.boot);
      },
      [](const auto&) {},
    };
    troupe::visit(note, what);
  }

  /// Call after `node` is stepped.
  void looks(time_point now, const machine& node) {
    while (node.table().has_news(watched_)) {
      auto news = node.table().answer(watched_);
      watched_ = watched_.next(news);
      for (auto& change : news.changes)
        if (change.what.value.key.owner != node.id())
          follow(now, change);
    }
  }

  /// Call with each effect.
  void does(time_point now, const machine::effect& what) {
    auto judge = overloaded{
      [&](const cluster::liveness::give_up& each) {
        auto& node = *each.owner.node();
        auto found = awaited_.find(node);
        if (found == awaited_.end() || found->second.first > now)
          return broken("gives node " + to_string(node) + " up, " + why_not(node));
        if (each.boot > found->second.second)
          broken("gives boot " + std::to_string(each.boot) + " of node " + to_string(node)
                 + " up, where boot " + std::to_string(found->second.second) + " was lost");
        awaited_.erase(found);
      },
      [&](const cluster::liveness::list_names& each) { names_page_ = each.id; },
      [&](const cluster::liveness::list_workers& each) { workers_page_ = each.id; },
      [](const auto&) {},
    };
    troupe::visit(judge, what);
  }

  /// Call when all that is due by `now` was done.
  void ticked(time_point now) {
    for (auto& [node, due] : std::map{awaited_})
      if (due.first <= now) {
        broken("keeps the worker of node " + to_string(node)
               + ", which is dead or away for lost_after");
        awaited_.erase(node);
      }
  }

  std::vector<std::string> take_violations() {
    return std::exchange(violations_, {});
  }

private:
  /// The latest boot that is there.
  [[nodiscard]] std::optional<boot_number> there(const node_id& node) const {
    std::optional<boot_number> latest;
    for (auto* each : {&links_, &members_})
      if (auto found = each->find(node); found != each->end())
        latest = std::max(latest, std::optional{found->second});
    return latest;
  }

  [[nodiscard]] std::string why_not(const node_id& node) const {
    return members_.contains(node) ? "which the members do not show dead"
           : links_.contains(node) ? "whose link is there"
                                   : "which was not away for lost_after";
  }

  void come(const node_id& node) {
    awaited_.erase(node);
    leaving_.erase(node);
  }

  /// It was there, and is there no more.
  void go(time_point now, const node_id& node, boot_number boot) {
    if (leaving_.erase(node) == 0 && leads_)
      awaited_[node] = {now + lost_after_, boot};
  }

  void see_there(const cluster::liveness::seen& what) {
    auto before = there(what.node);
    auto& latest = members_[what.node];
    latest = std::max(latest, what.boot);
    if (there(what.node) > before)
      come(what.node);
  }

  /// A link does not outlive that life of the node, and one that stops ends it.
  void see_gone(time_point now, const cluster::liveness::seen& what, bool is_fleeting) {
    auto before = there(what.node);
    auto member = members_.find(what.node);
    if (member != members_.end() && member->second > what.boot)
      return;
    if (member != members_.end())
      members_.erase(member);
    auto is_over = what.is == cluster::member_status::dead || is_fleeting;
    auto linked = links_.find(what.node);
    if (linked != links_.end() && (!is_over || linked->second > what.boot))
      return;
    if (linked != links_.end())
      links_.erase(linked);
    if (before)
      go(now, what.node, what.boot);
    auto awaited = awaited_.find(what.node);
    if (is_over && awaited != awaited_.end() && awaited->second.second <= what.boot)
      awaited->second = {now, what.boot}; // which may have begun unseen
  }

  void follow(time_point now, const registry::change& news) {
    auto& node = news.what.value.key.owner;
    if (news.kind == registry::change_kind::removed) {
      if (news.what.value.key.kind == registry::record_kind::node)
        left(node, news.what.value.boot);
    } else if (registry::is_shown(news.kind) && leads_
               && news.what.liveness != registry::record_status::disconnected) {
      await(now, node, news.what.value.boot);
    }
  }

  void await(time_point now, const node_id& node, boot_number boot) {
    if (!there(node))
      awaited_.try_emplace(node, now + lost_after_, boot);
  }

  /// A later life of it has not left.
  void left(const node_id& node, boot_number boot) {
    auto awaited = awaited_.find(node);
    auto latest = there(node);
    if (!latest && awaited != awaited_.end())
      latest = awaited->second.second;
    if (!leads_ || latest > boot)
      return;
    awaited_.erase(node);
    if (there(node))
      leaving_.insert(node);
  }

  void broken(std::string what) {
    violations_.push_back(std::move(what));
  }

  duration lost_after_;
  bool leads_ = false;
  std::map<node_id, boot_number> links_;
  /// As the members show them.
  std::map<node_id, boot_number> members_;
  std::map<node_id, std::pair<time_point, boot_number>> awaited_;
  std::set<node_id> leaving_;
  registry::watch_records watched_{};
  request_id names_page_ = 0;
  request_id workers_page_ = 0;
  std::vector<std::string> violations_;
};

/// Where messages to agents go from a node: by the id of the agent, and the node that it is on.
using node_routes = std::map<std::pair<agent_id, node_id>, cluster::node_core::found>;

/// What a node that runs says and shows.
struct node_sight {
  const registry::own_records* book = nullptr;
  const cluster::node_core* core = nullptr;
  /// Names that were claimed, whose agents get messages.
  const std::set<agent_id>* receivers = nullptr;
  const node_routes* routes = nullptr;
  /// Whom it shows as members.
  const cluster::swim* members = nullptr;
  /// It has had its boot in an earlier life, too, whose words may be taken for its.
  bool is_twin = false;
};

/// Whoever is not among them does not run.
using node_sights = std::map<node_id, node_sight>;

/// Whether an id of this world is that of a node without a data folder.
inline bool is_fleeting(const node_id& id) {
  return id.bytes.front() >= std::byte{0xf0};
}

/// By the owner of a name or a worker: all are nodes here.
inline node_sights::const_iterator find_owner(const node_sights& nodes, const owner_id& owner) {
  return nodes.find(*owner.node());
}

/// Checks, some time after the last fault, that each node shows of the others what they say, and
/// nobody who is gone as if they were there.
template <class Broken>
void check_copies(const node_sights& nodes, Broken broken) {
  for (auto& [id, node] : nodes) {
    auto shows = [&, who = &id](const registry::record_view& what, const std::string& how) {
      broken("node " + to_string(*who) + " shows " + to_text(what.value.key) + ' ' + how);
    };
    node.core->for_each_record([&](const registry::record_view& each) {
      auto& key = each.value.key;
      auto owner = nodes.find(key.owner);
      if (owner == nodes.end()) {
        if (each.liveness != registry::record_status::disconnected)
          shows(each, "as there, which is gone");
        return;
      }
      auto said = owner->second.book->find(key.kind, key.name);
      if (owner->second.is_twin)
        return;
      if (!said)
        shows(each, "which is not said");
      else if (*said != each.value)
        shows(each, "as it was in boot " + std::to_string(each.value.boot) + ", version "
                      + std::to_string(each.value.version) + ", and not as in "
                      + std::to_string(said->boot) + ", version " + std::to_string(said->version));
      else if (each.liveness != registry::record_status::active)
        shows(each, "as " + std::string{name_of(each.liveness)} + ", whose node is there");
    });
    for (auto& [owner, other] : nodes)
      for (auto& said : other.book->all())
        if (!other.is_twin
            && !node.core->table()
                  .answer(registry::get_record{said.key.kind, said.key.name, said.key.owner})
                  .found)
          broken("node " + to_string(id) + " does not show " + to_text(said.key));
  }
}

/// Checks, some time after the last fault, that messages go from each node to the agents that it
/// says or shows, by what these say at present, and to no others.
template <class Broken>
void check_routes(const node_sights& nodes, Broken broken) {
  using cluster::node_core;
  using registry::record_status;
  for (auto& [id, node] : nodes) {
    node_routes wanted;
    auto want = [&](const registry::record& what, bool rests) {
      auto agent = agent_of(what);
      auto& owner = what.key.owner;
      if (what.key.kind == registry::record_kind::agent)
        wanted[{agent, owner}] = {what, agent, owner, rests};
    };
    auto own = node.book->all();
    auto rests = std::ranges::any_of(own, [](const registry::record& each) {
      return each.key.kind == registry::record_kind::node
             && each.status == record_status::maintenance;
    });
    for (auto& each : own)
      if (!each.removed)
        want(each, rests);
    node.core->for_each_record([&, own = &id](const registry::record_view& each) {
      auto is_resting = each.status == record_status::maintenance;
      if (each.value.key.owner != *own && (is_resting || each.status == record_status::active))
        want(each.value, is_resting);
    });
    auto wrong = [&, from = &id](const node_routes::key_type& which, const std::string& how) {
      broken("node " + to_string(*from) + how + which.first.text() + " of node "
             + to_string(which.second));
    };
    for (auto& [which, each] : wanted)
      if (auto found = node.routes->find(which); found == node.routes->end())
        wrong(which, " sends nothing to agent ");
      else if (found->second.what != each.what || found->second.rests != each.rests)
        wrong(which, " sends by an old word to agent ");
      else if (found->second.ill)
        wrong(which, " takes for ill agent ");
    for (auto& [which, each] : *node.routes)
      if (!wanted.contains(which))
        wrong(which, " sends, though it is gone, to agent ");
  }
}

/// Checks, some time after the last fault, that all nodes show each other alive. Members know a
/// node by the boot that it has started with: one whose disk was put back is dead to those that
/// know a later one, until it starts again.
template <class Broken>
void check_members(const node_sights& nodes, Broken broken) {
  for (auto& [id, node] : nodes)
    for (auto& [of, other] : nodes) {
      if (of == id || node.is_twin || other.is_twin)
        continue;
      auto& own = other.members->own();
      auto known = own ? node.members->find(own->what.node) : std::nullopt;
      if (known && known->state == cluster::member_status::alive
          && known->when.boot == own->what.when.boot)
        continue;
      auto text = "node " + to_string(id) + " shows node " + to_string(of) + ' ';
      text += known ? name_of(known->state) : "not at all";
      broken(text + ", which is there as member");
    }
}

/// Checks at any time that no agent gets messages under a name that another node has claimed later,
/// by what the node itself shows.
template <class Broken>
void check_receivers(const node_id& id, const node_sight& node, Broken broken) {
  for (auto& name : *node.receivers) {
    auto own = node.book->find(registry::record_kind::agent, name.text());
    auto shown = node.core->table()
                   .answer(registry::get_record{registry::record_kind::agent, name.text(), {}})
                   .found;
    if (own && shown && shown->value.key.owner != id && shown->value.token > own->token)
      broken("keeps the name " + name.text() + ", which node " + to_string(shown->value.key.owner)
             + " has claimed later");
  }
}

/// Checks, some time after the last fault, that a name has the one holder that its service has
/// granted it to, and that nobody keeps it who cannot come back. What an earlier start of a node
/// has claimed stays its until the first claim of the present one. `names` answers as a name_table.
template <class Names, class Broken>
void check_names(const node_sights& nodes, const Names& names, Broken broken) {
  for (auto& each : names.answer(registry::names::list_claims{{}, {}, 1'000}).claimed) {
    auto owner = find_owner(nodes, each.owner);
    if (owner == nodes.end()) {
      if (is_fleeting(*each.owner.node()))
        broken("node " + each.owner.text() + " keeps the name " + each.name.text()
               + ", and is gone and has no data folder");
    } else if (each.boot == owner->second.book->boot() && !owner->second.is_twin
               && !owner->second.receivers->contains(each.name)) {
      broken("node " + each.owner.text() + " keeps the name " + each.name.text()
             + ", and has no such agent");
    }
  }
  auto wrong = [&](const node_id& node, const agent_id& name, const std::string& how) {
    broken("agent " + name.text() + " of node " + to_string(node) + how);
  };
  for (auto& [id, node] : nodes)
    for (auto& name : *node.receivers) {
      auto granted = names.answer(registry::names::find_claim{name}).found;
      auto said = node.book->find(registry::record_kind::agent, name.text());
      if (!granted || granted->owner != id)
        wrong(id, name,
              " gets messages, and its name is that of "
                + (granted ? "node " + granted->owner.text() : std::string{"nobody"}));
      else if (!said || said->token != granted->token)
        wrong(id, name, " is not said with the token of its claim");
    }
}

/// Checks, some time after the last fault, that each node has its worker, and that no other one is
/// kept whose node is gone, whether or not the leader has ever heard of that one.
template <class Broken>
void check_workers(const node_sights& nodes, const scheduler::worker_list& list, Broken broken) {
  std::set<owner_id> found;
  for (auto& each : list.workers) {
    auto is_there = find_owner(nodes, each.owner) != nodes.end();
    auto worker
      = "the worker of boot " + std::to_string(each.boot) + " of node " + each.owner.text();
    if (!is_there)
      broken(worker + " is kept, which is gone");
    if (!found.insert(each.owner).second)
      broken(worker + " is a second one");
    if (is_there && each.state != scheduler::worker_state::active)
      broken(worker + " is " + std::string{name_of(each.state)} + ", whose node is there");
  }
  for (auto& [id, node] : nodes)
    if (!found.contains(id))
      broken("node " + to_string(id) + " has no worker");
}

/// Checks, some time after all agents answer again, that they show healthy.
template <class Broken>
void check_health(const registry::record_table& table, Broken broken) {
  registry::find_records question{.kind = registry::record_kind::agent};
  question.unhealthy_too = true;
  question.limit = 1'000;
  for (auto& each : table.answer(question).records)
    if (!each.healthy)
      broken(to_text(each.value.key) + " shows unhealthy, and answers");
}

} // namespace troupe::sim
