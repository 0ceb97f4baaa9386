#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/sim/world/node_links.hpp"
#include "troupe/sim/world/service_thread.hpp"
#include "troupe/sim/world/swim_member.hpp"

/// What whole nodes of a simulated cluster say to each other; see node_process.
namespace troupe::sim {

/// Where are the services? As `finder_effects::ask` has it.
struct way_question {
  request_id number = 0;
  std::uint64_t known = 0;
  duration wait{};
};

struct way_answer {
  request_id number = 0;
  result<cluster::whereabouts> what;
};

/// Is there a way to the receiver? To begin a link that another node relays, and to keep it.
struct way_knock {
  request_id number = 0;
};

struct way_knocked {
  request_id number = 0;
};

using names_question = service_question<registry::name_table>;
using scheduler_question = service_question<scheduler::task_scheduler>;

/// A request to the services, or to the node that leads, whose number counts among those of its
/// kind.
struct node_ask {
  request_id number = 0;
  std::variant<names_question::any, scheduler_question::any, cluster::change_voters> what;
};

/// The answer to a change of voters: errc::none if it is made.
struct voters_changed {
  problem why;
};

struct node_reply {
  request_id number = 0;
  std::variant<names_question::answer, scheduler_question::answer, voters_changed> what;
  /// The record that the service has reached.
  request_id record = 0;
};

/// What goes over a link that was made to find the services, or to use them.
struct node_letter {
  caller from;
  /// Life 0: whichever runs there.
  caller to;
  /// The process that relays the link.
  std::optional<process_id> through;
  std::variant<way_question, way_answer, way_knock, way_knocked, node_ask, node_reply> what;
};

/// Whom to answer.
struct node_asker {
  caller who;
  std::optional<process_id> through;
  request_id number = 0;
};

struct node_ping {
  std::uint64_t life = 0;
  request_id number = 0;
  agent_id agent;
};

struct node_pong {
  std::uint64_t life = 0;
  request_id number = 0;
};

/// What members of the cluster say to each other of who is there.
struct node_gossip {
  node_id from;
  /// Of the receiver, in the life that is meant.
  std::string address;
  swim_message what;
};

/// What changed of some nodes, asked over a link, and what the other knows of that.
struct node_wishes {
  std::uint64_t life = 0;
  request_id number = 0;
  std::vector<cluster::record_wish> what;
};

struct node_records {
  std::uint64_t life = 0;
  request_id number = 0;
  std::vector<cluster::told_records> what;
};

} // namespace troupe::sim
