#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/log_effects.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Limits and times of a `liveness`.
struct liveness_options {
  /// How long a node with a data folder may be away that has stopped, and any node whose link has
  /// ended and which is no member.
  duration lost_after = std::chrono::seconds{5};
  /// How often unhealthy agents are pinged; zero: never.
  duration check_every = std::chrono::seconds{10};
  /// How long to wait for each answer.
  duration answer_within = std::chrono::seconds{10};
  /// Pings of one check.
  std::size_t max_checks = 100;
  /// Nodes that are watched. Further ones are taken for alive until one of these is forgotten.
  std::size_t max_nodes = 10'000;
  /// Agents to be pinged. Further ones are unhealthy until a caller reaches them.
  std::size_t max_ill = 100'000;
  /// How often all names are looked through for those whose owner will never come back, and all
  /// workers for silent ones; zero: never.
  duration sweep_every = std::chrono::seconds{30};
  /// Names, and workers, of one page of that; the services give at most 1,000.
  std::uint32_t sweep_page = 1'000;
};

/// Decides, on the node that leads a cluster, whose work goes to others; and on each node, which
/// agents are pinged.
///
/// - A node is there as long as the members show it alive, or suspect it; with or without a link.
///   Once they show it dead, it is lost. One that has stopped comes back within lost_after, or is
///   lost; at once if it has no data folder, as it begins with nothing. So no single link decides.
/// - Of a node of which the members say nothing, links do: it is there while it is linked, and lost
///   once its link has been away for lost_after, unless it has left.
/// - The scheduler runs the tasks of a lost node elsewhere: once for each loss.
/// - Who begins to lead says so once more of those that are lost by then, as the last leader may
///   not have got to it. It gives those that are known and not there the same time as those whose
///   link ends; and so those of which it hears later that they are there.
/// - Names are freed where nobody comes back for them: of lost nodes without a data folder, whose
///   next start claims anew, or whose identity is revoked, and of nodes that are forgotten.
/// - Claims say whether their owner has no data folder. Who leads looks through all of them again
///   and again, and gives such owners, and those whose identity is revoked, the same time if they
///   are not there, whether or not anybody else has ever heard of them. So a claim that was granted
///   late ends, too, and one whose freeing was lost with an earlier leader.
/// - Who leads looks through all workers likewise. The owner of one whose lease is over
///   gets the same time if it is not there: so no worker stays of a node of which this leader, and
///   all whom it knows, have never heard.
/// - Agents that callers of this node did not reach are pinged in turn; who answers is well again.
///
/// Steps like any machine. No snapshot: another leader begins anew. Not thread-safe. Cost of a
/// step: O(log n), of `lead` and `listed` O(n).
///
/// It counts on this of its host: each `ping` is answered once, within its time.
class liveness {
public:
  // -- events ----------------------------------------------------------------------------

  /// This node decides from here on. `known`: the nodes of which there is any record, without
  /// itself; `lost`: those of them that show disconnected.
  struct lead {
    std::map<node_id, boot_number> known;
    node_id self{};
    std::map<node_id, boot_number> lost{};
  };

  /// Another node decides from here on.
  struct follow {};

  /// A node is linked that greeted with this boot.
  struct link_up {
    node_id node;
    boot_number boot = 0;
  };

  /// Its link is gone, and no other has taken its place.
  struct link_down {
    node_id node;
    boot_number boot = 0;
    std::string why;
  };

  /// The members show that life of it so from here on.
  struct seen {
    node_id node;
    boot_number boot = 0;
    member_status is{};
  };

  /// It has taken back its record in that boot. Its link will end, or has ended already: that is no
  /// loss. A later life of it has not left.
  struct left {
    node_id node;
    boot_number boot = 0;
  };

  /// A record of another node is known, and that node is not disconnected.
  struct shown {
    node_id node;
    boot_number boot = 0;
  };

  /// It was away for so long that nothing is known of it any more. That was its last boot.
  struct forgotten {
    node_id node;
    boot_number boot = 0;
  };

  /// The identities of these nodes are revoked, so that they never come back; of no others.
  struct expelled {
    std::set<node_id> nodes;
  };

  /// The agent `id`, with that record, shows unhealthy. Only those of nodes are pinged.
  struct ill {
    registry::record_key what;
    agent_id id;
  };

  /// It is healthy, or not there.
  struct well {
    registry::record_key what;
  };

  /// All records that are known: an agent that is not among them is not there.
  struct listed {
    std::set<registry::record_key> all;
  };

  /// The answer to the `list_names` of this step's id.
  struct names_listed {
    result<registry::names::claim_page> what;
  };

  struct worker {
    std::uint64_t number = 0;
    owner_id owner;
    boot_number boot = 0;
    /// Its lease has run out.
    bool is_silent = false;
  };

  /// The answer to the `list_workers` of this step's id.
  struct workers_listed {
    result<std::vector<worker>> what;
  };

  /// Whether the agent has answered the `ping` of this step's id.
  struct pong {
    bool answered = false;
  };

  using event = std::variant<lead, follow, link_up, link_down, seen, left, shown, forgotten,
                             expelled, ill, well, listed, names_listed, workers_listed, pong>;

  // -- effects ---------------------------------------------------------------------------

  /// Tell the scheduler: that life of the owner is over, or cannot be heard.
  struct give_up {
    owner_id owner;
    boot_number boot = 0;
  };

  /// Tell the service of names: they are free.
  struct free_names {
    owner_id owner;
    boot_number boot = 0;
  };

  /// Ask the service of names, and step `names_listed` within `wait`.
  struct list_names {
    request_id id = 0;
    registry::names::list_claims what;
    duration wait{};
  };

  /// Ask the scheduler for the first `limit` workers of a higher number, and step `workers_listed`
  /// within `wait`.
  struct list_workers {
    request_id id = 0;
    std::uint64_t above = 0;
    std::uint32_t limit = 0;
    duration wait{};
  };

  /// Ask an agent of that node for a sign of life, and step `pong` within `wait`.
  struct ping {
    request_id id = 0;
    node_id node;
    agent_id agent;
    duration wait{};
  };

  /// It was reached.
  struct recovered {
    registry::record_key what;
  };

  using warn = log_effects::warn;

  using effect = std::variant<give_up, free_names, list_names, list_workers, ping, recovered, warn>;
  using effects = std::vector<effect>;

  /// `nodes` outlives this, and changes between its steps.
  liveness(const known_nodes& nodes, const liveness_options& options)
    : nodes_(&nodes), options_(options) {}

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([&](auto& each) { handle(id, each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    while (!due_.empty() && due_.begin()->first <= now)
      declare_lost(owner_id{due_.begin()->second});
    if (check_at_ && *check_at_ <= now)
      check();
    if (sweep_at_ && *sweep_at_ <= now)
      sweep();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = check_at_;
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    if (!due_.empty())
      no_later(due_.begin()->first);
    if (sweep_at_)
      no_later(*sweep_at_);
    return next;
  }

  /// Whether there is a link to that node, of the first `max_nodes` that are watched. One that the
  /// members have since shown dead, or stopped without a data folder, is none.
  [[nodiscard]] bool is_linked(const node_id& node) const {
    auto found = watched_.find(node);
    return found != watched_.end() && found->second.linked;
  }

  /// Whether the agent with that record showed unhealthy last. Of the first `max_ill` such agents.
  [[nodiscard]] bool is_ill(const registry::record_key& which) const {
    return ill_.contains(which);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, std::string what) {
      if (!holds)
        found.push_back(std::move(what));
    };
    std::size_t waited_for = 0;
    for (auto& [who, each] : watched_) {
      auto node = to_string(who);
      expect(!is_idle(each), node + " is watched for nothing");
      auto is_there = each.there().has_value();
      expect(!is_there || !each.lost_at, node + " is there and waited for");
      expect(!each.has_left || is_there, node + " has left and is not there");
      expect(decides_ || (!each.lost_at && !each.has_left),
             node + " is judged by who does not lead");
      if (each.lost_at) {
        ++waited_for;
        expect(due_.contains({*each.lost_at, who}), node + " will never be lost");
      }
    }
    expect(waited_for == due_.size(), "a node will be lost that nobody waits for");
    expect(watched_.size() <= options_.max_nodes, "more nodes than allowed");
    expect(ill_.size() <= options_.max_ill, "more agents than allowed");
    for (auto& [id, key] : pings_)
      expect(id <= last_id_ && pinged_.contains(key) && pinged_.at(key) == id,
             "a ping of " + key.name + " is lost");
    expect(pings_.size() == pinged_.size(), "an agent waits for a ping that was not sent");
    expect(ill_.empty() || check_at_ || options_.check_every == duration::zero(),
           "agents are ill and never pinged");
    expect(decides_ || (!sweep_at_ && names_page_ == 0 && workers_page_ == 0),
           "who does not lead sweeps");
    return found;
  }

private:
  struct watched {
    /// The highest boot that it has greeted with, while it is linked.
    std::optional<boot_number> linked{};
    /// The latest boot that the members show alive, or suspect.
    std::optional<boot_number> member{};
    /// It is there yet.
    bool has_left = false;
    /// When it is lost, unless it comes back, and the boot of that loss.
    std::optional<time_point> lost_at{};
    boot_number boot = 0;
    /// A claim says that it has no data folder.
    bool is_fleeting = false;

    /// The latest boot that is there.
    [[nodiscard]] std::optional<boot_number> there() const {
      return std::max(linked, member); // nothing is less than anything
    }
  };

  /// An agent, and its node.
  struct unreached {
    node_id node;
    agent_id agent;
  };

  /// For people.
  [[nodiscard]] std::string name_of(const owner_id& who) const {
    auto* node = who.node();
    return node != nullptr ? nodes_->name_of(*node) : to_string(who).substr(0, 8);
  }

  [[nodiscard]] bool is_known_fleeting(const owner_id& who) const {
    auto* node = who.node();
    return node != nullptr && nodes_->is_fleeting(*node);
  }

  static bool is_idle(const watched& what) {
    return !what.there() && !what.lost_at;
  }

  /// Null: there are too many.
  watched* find_or_make(const owner_id& who) {
    auto found = watched_.find(who);
    if (found == watched_.end() && watched_.size() >= options_.max_nodes)
      return nullptr;
    return &watched_[who];
  }

  void tidy(const owner_id& who) {
    auto found = watched_.find(who);
    if (found != watched_.end() && is_idle(found->second))
      watched_.erase(found);
  }

  // -- who leads -------------------------------------------------------------------------

  void handle(request_id, const lead& what) {
    end();
    decides_ = true;
    for (auto& [node, boot] : what.known)
      await_unlinked(node, boot);
    for (auto& [node, boot] : what.lost)
      if (auto found = watched_.find(node); found == watched_.end() || !found->second.there())
        give_up_lost(node, boot);
    self_ = what.self;
    if (options_.sweep_every > duration::zero())
      sweep();
  }

  void handle(request_id, const follow&) {
    end();
  }

  void end() {
    decides_ = false;
    due_.clear();
    sweep_at_.reset();
    names_page_ = 0;
    workers_page_ = 0;
    for (auto& [node, each] : watched_)
      each = {.linked = each.linked, .member = each.member};
    std::erase_if(watched_, [](auto& each) { return is_idle(each.second); });
  }

  // -- who is there ----------------------------------------------------------------------

  void handle(request_id, const link_up& what) {
    auto* each = find_or_make(what.node);
    if (each == nullptr)
      return;
    each->linked = std::max(each->linked.value_or(0), what.boot);
    come(what.node, *each, what.boot);
  }

  void come(const owner_id& who, watched& each, boot_number boot) {
    each.has_left = false;
    if (planted_flaw != flaw::later_boot_lost || boot <= each.boot)
      forgive(who, each);
  }

  void handle(request_id, const link_down& what) {
    auto found = watched_.find(what.node);
    if (found == watched_.end() || !found->second.linked
        || (*found->second.linked > what.boot && planted_flaw != flaw::earlier_link_used))
      return; // of an earlier life than the present link
    auto& each = found->second;
    each.linked.reset();
    if (planted_flaw == flaw::link_decides)
      each.member.reset();
    if (each.member)
      return; // it does not depend on this link
    if (is_loss(each)) {
      out_->push_back(warn{"link to node " + nodes_->name_of(what.node) + " lost (" + what.why
                           + "); its work goes to others in " + in_words(options_.lost_after)
                           + " unless it comes back"});
      await(what.node, each, what.boot);
    }
    tidy(what.node);
  }

  /// Of a node that is not there any more.
  bool is_loss(watched& each) {
    return !std::exchange(each.has_left, false) && decides_;
  }

  void handle(request_id, const seen& what) {
    auto is_there = what.is == member_status::alive || what.is == member_status::suspect;
    if (what.is == member_status::suspect && planted_flaw == flaw::suspect_lost)
      return see_gone({what.node, what.boot, member_status::dead});
    return is_there ? see_there(what) : see_gone(what);
  }

  void see_there(const seen& what) {
    auto* each = find_or_make(what.node);
    if (each == nullptr)
      return;
    auto before = each->there();
    each->member = std::max(each->member.value_or(0), what.boot);
    if (each->there() > before)
      come(what.node, *each, what.boot);
  }

  /// Who has stopped and may be back will end its link, or has ended it.
  void see_gone(const seen& what) {
    auto found = watched_.find(what.node);
    if (found == watched_.end())
      return;
    auto& each = found->second;
    auto is_over = what.is == member_status::dead || ends_for_good(what);
    if (each.member > what.boot)
      return;
    auto before = each.there();
    each.member.reset();
    if (each.linked && (!is_over || *each.linked > what.boot))
      return;
    each.linked.reset();
    if (before && is_loss(each) && (is_over || planted_flaw != flaw::stop_forgiven))
      await(what.node, each, what.boot); // which may have begun unseen
    if (is_over && each.lost_at && each.boot <= what.boot)
      hasten(what.node, each, what.boot);
    tidy(what.node);
  }

  [[nodiscard]] bool ends_for_good(const seen& what) const {
    return what.is == member_status::left && nodes_->is_fleeting(what.node)
           && planted_flaw != flaw::other_id_awaited;
  }

  void hasten(const owner_id& who, watched& each, boot_number boot) {
    due_.erase({*each.lost_at, who});
    each.lost_at = now_;
    each.boot = boot;
    due_.emplace(now_, who);
  }

  void handle(request_id, const left& what) {
    auto found = watched_.find(what.node);
    if (found == watched_.end() || !decides_)
      return;
    auto& each = found->second;
    auto is_there = each.there();
    if (is_there.value_or(each.boot) > what.boot)
      return; // it has begun again since
    each.has_left = is_there.has_value();
    forgive(what.node, each);
    tidy(what.node);
  }

  void handle(request_id, const shown& what) {
    if (decides_)
      await_unlinked(what.node, what.boot);
  }

  /// It is known, and perhaps it is not there. Returns null if it is not waited for.
  watched* await_unlinked(const owner_id& who, boot_number boot) {
    auto* each = find_or_make(who);
    if (each == nullptr || each->there())
      return nullptr;
    if (!each->lost_at && planted_flaw != flaw::dead_worker_kept)
      await(who, *each, boot);
    return each;
  }

  void await(const owner_id& who, watched& each, boot_number boot) {
    forgive(who, each);
    each.lost_at = now_ + options_.lost_after;
    each.boot = boot;
    due_.emplace(*each.lost_at, who);
  }

  void forgive(const owner_id& who, watched& each) {
    if (each.lost_at)
      due_.erase({*std::exchange(each.lost_at, std::nullopt), who});
  }

  void declare_lost(const owner_id& who) {
    auto& each = watched_.at(who);
    forgive(who, each);
    out_->push_back(warn{"node " + name_of(who) + " is lost; its tasks run elsewhere"});
    give_up_lost(who, each.boot, each.is_fleeting);
    tidy(who);
  }

  void give_up_lost(const owner_id& who, boot_number boot, bool is_fleeting = false) {
    out_->push_back(give_up{who, boot});
    if (is_fleeting || is_known_fleeting(who) || expelled_.contains(who))
      out_->push_back(free_names{who, boot});
  }

  void handle(request_id, const forgotten& what) {
    if (decides_)
      out_->push_back(free_names{what.node, what.boot});
  }

  /// Those that were lost before have their names yet.
  void handle(request_id, const expelled& what) {
    expelled_ = {what.nodes.begin(), what.nodes.end()};
    if (sweep_at_)
      sweep();
  }

  // -- names and workers -----------------------------------------------------------------

  /// What is under way of the last sweep goes on.
  void sweep() {
    sweep_at_ = now_ + options_.sweep_every;
    if (names_page_ == 0 && planted_flaw != flaw::names_not_swept)
      list_names_after({});
    if (workers_page_ == 0 && planted_flaw != flaw::workers_not_swept)
      list_workers_above(0);
  }

  void list_names_after(const agent_id& last) {
    names_page_ = ++last_id_;
    out_->push_back(
      list_names{names_page_, {{}, last, options_.sweep_page}, options_.answer_within});
  }

  void list_workers_above(std::uint64_t number) {
    workers_page_ = ++last_id_;
    out_->push_back(
      list_workers{workers_page_, number, options_.sweep_page, options_.answer_within});
  }

  void handle(request_id id, const names_listed& what) {
    if (id == 0 || id != names_page_)
      return;
    names_page_ = 0;
    if (!what.what)
      return; // until the next sweep
    for (auto& each : what.what->claimed) {
      auto& owner = each.owner;
      if ((each.is_fleeting || expelled_.contains(owner)) && owner != self_)
        if (auto* awaited = await_unlinked(owner, each.boot))
          awaited->is_fleeting = true;
    }
    if (what.what->more && !what.what->claimed.empty())
      list_names_after(what.what->claimed.back().name);
  }

  void handle(request_id id, const workers_listed& what) {
    if (id == 0 || id != workers_page_)
      return;
    workers_page_ = 0;
    if (!what.what)
      return; // until the next sweep
    for (auto& each : *what.what)
      if (each.is_silent && each.owner != self_)
        await_unlinked(each.owner, each.boot);
    if (what.what->size() >= options_.sweep_page)
      list_workers_above(what.what->back().number);
  }

  // -- agents ----------------------------------------------------------------------------

  void handle(request_id, ill& what) {
    auto node = what.what.owner;
    if (ill_.size() < options_.max_ill || ill_.contains(what.what))
      ill_.insert_or_assign(std::move(what.what), unreached{node, std::move(what.id)});
    if (!check_at_ && options_.check_every > duration::zero())
      check_at_ = now_ + options_.check_every;
  }

  void handle(request_id, const well& what) {
    ill_.erase(what.what);
  }

  void handle(request_id, const listed& what) {
    std::erase_if(ill_, [&](auto& each) { return !what.all.contains(each.first); });
  }

  /// Who has not answered the last ping gets no other.
  void check() {
    check_at_.reset();
    if (ill_.empty())
      return;
    check_at_ = now_ + options_.check_every;
    auto next = ill_.upper_bound(last_);
    for (auto rest = std::min(ill_.size(), options_.max_checks); rest > 0; --rest, ++next) {
      if (next == ill_.end())
        next = ill_.begin();
      last_ = next->first;
      if (pinged_.contains(last_))
        continue;
      pings_.emplace(++last_id_, last_);
      pinged_.emplace(last_, last_id_);
      auto& [node, agent] = next->second;
      out_->push_back(ping{last_id_, node, agent, options_.answer_within});
    }
  }

  void handle(request_id id, const pong& what) {
    auto open = pings_.extract(id);
    if (!open)
      return;
    pinged_.erase(open.mapped());
    if (what.answered && ill_.contains(open.mapped()))
      out_->push_back(recovered{std::move(open.mapped())});
  }

  const known_nodes* nodes_;
  const liveness_options options_;
  bool decides_ = false;
  std::map<owner_id, watched> watched_;
  std::set<std::pair<time_point, owner_id>> due_;
  std::map<registry::record_key, unreached> ill_;
  registry::record_key last_{};
  std::map<request_id, registry::record_key> pings_;
  std::map<registry::record_key, request_id> pinged_;
  std::optional<time_point> check_at_;
  owner_id self_;
  std::set<owner_id> expelled_;
  std::optional<time_point> sweep_at_;
  /// The pages of names and workers that are asked for; zero: none.
  request_id names_page_ = 0;
  request_id workers_page_ = 0;
  request_id last_id_ = 0;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
