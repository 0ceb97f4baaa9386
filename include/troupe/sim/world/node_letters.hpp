#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/scheduler/queries.hpp"
#include "troupe/scheduler/types.hpp"
#include "troupe/sim/world/node_clients.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/node_pings.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// What the node_core of a simulated node asks others, and what others ask it: the service of names
/// over the node's client; linked nodes for records, and whether their agents answer. Each question
/// gets one answer, as an event of the core. A node without a link answers nothing, which takes a
/// moment.
template <class Process>
class node_letters {
public:
  using home = environment<Process>;

  struct surroundings {
    /// The process of a node with a link.
    std::function<std::optional<process_id>(const node_id&)> find_link;
    /// Steps the node_core.
    std::function<void(cluster::node_core::event, request_id)> step;
    /// Called after a step that came of nothing received.
    std::function<void()> judge;
  };

  /// `here` and `services` outlive this. `node`: the id of this one.
  node_letters(home& here, node_clients<home>& services, const node_id& node, surroundings around)
    : here_(here), services_(services), node_(node), around_(std::move(around)), pings_(here) {}

  node_letters(const node_letters&) = delete;
  node_letters& operator=(const node_letters&) = delete;

  /// Which agents of this node answer.
  [[nodiscard]] node_pings<Process>& pings() {
    return pings_;
  }

  void wake() {
    for (auto number : pings_.take_unanswered())
      around_.step(cluster::liveness::pong{false}, number);
  }

  /// @param no_later than this
  [[nodiscard]] time_point next_deadline(time_point no_later) const {
    return pings_.next_deadline(no_later);
  }

  // -- the service of names ------------------------------------------------------------------

  void perform(const cluster::claims::ask& what) {
    auto tell = [this, id = what.id]<class Result>(const result<Result>& heard) {
      around_.step(cluster::claims::heard<Result>{heard}, id);
    };
    auto ask = overloaded{
      [&](const registry::names::list_claims& words) {
        services_.names().inquire(words, what.wait, tell);
      },
      [&](const auto& words) { services_.names().ask(words, what.wait, tell); },
    };
    troupe::visit(ask, what.what);
  }

  void perform(const cluster::liveness::list_names& what) {
    services_.names().inquire(
      what.what, what.wait, [this, id = what.id](const result<registry::names::claim_page>& heard) {
        around_.step(cluster::liveness::names_listed{heard}, id);
      });
  }

  void perform(const cluster::liveness::list_workers& what) {
    auto tell = [this, id = what.id](const result<scheduler::worker_list>& heard) {
      if (!heard)
        return around_.step(cluster::liveness::workers_listed{heard.error()}, id);
      std::vector<cluster::liveness::worker> found;
      for (auto& each : heard->workers)
        found.push_back({each.worker.value, each.owner, each.boot,
                         each.state == scheduler::worker_state::silent});
      around_.step(cluster::liveness::workers_listed{std::move(found)}, id);
    };
    services_.tasks().inquire(scheduler::list_workers{scheduler::worker_id{what.above}, what.limit},
                              what.wait, tell);
  }

  // -- agents of others ----------------------------------------------------------------------

  void perform(const cluster::liveness::ping& what) {
    if (what.node == node_)
      return around_.step(cluster::liveness::pong{!pings_.is_silent(what.agent)}, what.id);
    if (auto where = around_.find_link(what.node))
      pings_.send(*where, what);
    else
      around_.step(cluster::liveness::pong{false}, what.id);
  }

  void hear(process_id from, const node_ping& what) {
    pings_.hear(from, what);
  }

  void hear(process_id, const node_pong& what) {
    if (pings_.hear(what))
      around_.step(cluster::liveness::pong{true}, what.number);
  }

  // -- records of others ---------------------------------------------------------------------

  void perform(const cluster::record_exchange::ask& what) {
    if (auto where = around_.find_link(what.whom))
      here_.send_over_link(*where, node_wishes{here_.life(), what.id, what.what});
    else
      here_.after(std::chrono::milliseconds{50}, [this, id = what.id] {
        around_.step(cluster::record_exchange::answered{}, id);
        around_.judge();
      });
  }

  void hear(process_id from, const node_wishes& what) {
    asked_by_[++last_asked_] = {from, what.life, what.number};
    around_.step(cluster::record_exchange::asked{what.what}, last_asked_);
  }

  void perform(cluster::record_exchange::reply& what) {
    auto [to, life, number] = asked_by_.extract(what.id).mapped();
    here_.send_over_link(to, node_records{life, number, std::move(what.what)});
  }

  void hear(process_id, const node_records& what) {
    if (what.life == here_.life())
      around_.step(cluster::record_exchange::answered{what.what}, what.number);
  }

private:
  home& here_;
  node_clients<home>& services_;
  node_id node_;
  surroundings around_;
  node_pings<Process> pings_;
  /// Who has asked for records: the process, its life, and its number of the question.
  std::map<request_id, std::tuple<process_id, std::uint64_t, request_id>> asked_by_;
  request_id last_asked_ = 0;
};

} // namespace troupe::sim
