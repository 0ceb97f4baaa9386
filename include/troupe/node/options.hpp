#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/core_options.hpp"
#include "troupe/host/group_options.hpp"
#include "troupe/lock/types.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/registry/types.hpp"
#include "troupe/router/types.hpp"
#include "troupe/scheduler/types.hpp"
#include "troupe/state/commands.hpp"

namespace troupe::host {

class group_member;

} // namespace troupe::host

namespace troupe::cluster {

/// A service that a program brings: see service_options::add().
struct own_service {
  /// In the cluster.
  std::string name;
  /// The name of its trait: the same on all nodes, whatever their releases.
  std::string type;
  /// Starts it as a member of a group; of none (null): in memory. `warn` is told if it stops there.
  std::function<result<caf::strong_actor_ptr>(
    caf::actor_system& sys, std::shared_ptr<host::group_member> member,
    const host::core_options& limits, std::function<void(const problem&)> warn)>
    start;
};

/// Makes an own_service of a trait. Include troupe/service.hpp, which has it.
template <class Service>
struct own_service_of;

/// The port of a node that names none.
inline constexpr std::uint16_t default_port = 6767;

/// Bounds of the services of a cluster; those of the node that leads count.
struct service_options {
  /// Of the lock service.
  lock::lock_options locks{};
  /// Of the registry.
  registry::registry_options registry{};
  /// Of the scheduler.
  scheduler::scheduler_options scheduler{};
  /// Of shared state.
  state::state_options state{};
  /// How each of them writes its journal.
  host::core_options journal{};
  /// Those that this program brings: see add(). At most 100.
  std::vector<own_service> own{};

  /// Puts a service of one's own beside those of the cluster, on the group that keeps them: on each
  /// node that may vote, under the same name and trait (see host::service), so that it outlives the
  /// loss of nodes as they do. node::service() is its client. Include troupe/service.hpp.
  ///
  ///     options.services.add<ticket_service>("tickets", 500);
  ///
  /// A node whose program lacks it votes all the same, and leads the others; it keeps what it
  /// cannot carry out, up to host::group_options::max_unread_bytes. If its rules throw, the service
  /// refuses all on that node until the next start, and the others go on. `options` count on the
  /// node that leads. A bad name is refused by node::start(): bad_argument for one that is invalid
  /// or begins with "troupe.", conflict for two of one name or number.
  template <class Service>
  service_options& add(std::string name, typename Service::options options = {});
};

template <class Service>
service_options& service_options::add(std::string name, typename Service::options options) {
  own.push_back(own_service_of<Service>::make(std::move(name), std::move(options)));
  return *this;
}

/// How a node leaves its cluster.
struct leave_options {
  /// Also where others need it: a voter whose place nobody can take, so that the cluster stands
  /// fewer losses; the only host, which takes the services with it.
  bool force = false;
};

/// How a node is set up. Every span counts on the node's own clock.
struct node_options {
  /// For people; if empty, the name in its certificate, else the first 8 digits of its id. At most
  /// 255 bytes of UTF-8 without control characters.
  std::string name{};
  /// Where it takes links: at each address that a name stands for. Port 0 is any free one. What
  /// of them this machine does not have is a line of the log; it starts if it has one.
  net::address listen{"127.0.0.1", default_port};
  /// What others dial, where that differs (behind NAT, in a container).
  std::optional<net::address> advertise{};
  /// Nodes of the cluster to join, tried in turn. None: this node founds a cluster,
  /// if its data folder knows of none yet. A cluster that was founded without a data folder
  /// keeps its services in the memory of its founder, and ends with that.
  std::vector<net::address> join{};
  /// How long node::start() waits until the node has joined. Zero: it returns at once, and the node
  /// goes on trying, as it does after a loss.
  duration wait_joined = std::chrono::seconds{10};
  /// Founds a cluster also where `join` is given; refused, with errc::conflict, if one is
  /// found there. Without effect once the data folder knows its cluster.
  bool bootstrap = false;
  /// Where everything is kept; empty: nothing outlives the process.
  std::filesystem::path data{};
  /// How many nodes with a data folder the cluster has keep its services, as far as it goes by
  /// this node, which counts when that leads: a minority of them may be lost. Odd numbers up
  /// to 7 are of use.
  std::size_t voters = 3;
  /// How those agree; see raft::lan() for one machine or rack. The same on all nodes.
  host::group_options group{};
  /// A node whose link is lost for so long is taken for gone: its tasks run elsewhere,
  /// its agents show disconnected.
  duration lost_after = std::chrono::seconds{5};
  /// How long the agents of a node with an actor system of its own may go on, when it stops, with
  /// what is in their mailboxes; the rest of that is dropped. An agent ends no sooner than what it
  /// does at that moment.
  duration agents_end_within = std::chrono::seconds{2};
  /// How long between two tries to reach the cluster.
  backoff retry{std::chrono::milliseconds{100}, std::chrono::seconds{2}};
  /// Bounds of the services; see there.
  service_options services{};
  /// How messages between agents are brought.
  router::router_options router{};
  /// How links to others are kept.
  net::link_options links{};
  /// Gets a line for each thing that an operator should know, on any thread, one at a time; must
  /// not block. What goes wrong again and again is said when it begins, changes and ends. Default:
  /// nobody.
  std::function<void(const log_line&)> log{};
  /// Called once, on an actor of the node, when somebody asks this node to leave its cluster
  /// (as `troupe leave` does) and it may: the program ends what it does, calls
  /// node::leave() from a thread of its own and ends. Must not block. Default: nobody, such
  /// requests are refused.
  std::function<void(const leave_options&)> on_leave_asked{};
};

/// How an agent is registered.
struct agent_options {
  /// What it can do, by which others find it.
  std::set<std::string> capabilities{};
  /// Groups that it is a member of.
  std::set<std::string> groups{};
  /// By which others find it, too.
  std::map<std::string, std::string> metadata{};
  /// The only one of its name in the cluster. Otherwise the name is one that several may
  /// have, as a capability is, and needs no claim.
  bool unique = true;
  /// Called, on an actor of the node, when another node has a newer claim to the name (both
  /// were in parts of a cluster that did not see each other): the agent gets no messages
  /// of that name from then on. Must not block. Default: the agent gets an exit message
  /// with name_taken.
  std::function<void(const problem&)> on_name_taken{};
};

} // namespace troupe::cluster
