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
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "caf/type_id.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/group/group_options.hpp"
#include "troupe/host/core_options.hpp"
#include "troupe/lock/types.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/registry/types.hpp"
#include "troupe/router/agent_inbox.hpp"
#include "troupe/router/types.hpp"
#include "troupe/scheduler/types.hpp"
#include "troupe/state/commands.hpp"

namespace troupe::host {

class group_member;

} // namespace troupe::host

namespace troupe::router {

class once_store;

} // namespace troupe::router

namespace troupe::cluster {

/// A service of a program: see service_options::add().
struct own_service {
  /// Its name in the cluster.
  std::string name;
  /// The name of its trait: the same on all nodes, also of different releases.
  std::string type;
  /// Starts it as a member of a group, or in memory if `member` is null. `warn` is called if it
  /// stops.
  std::function<result<caf::strong_actor_ptr>(
    caf::actor_system& sys, std::shared_ptr<host::group_member> member,
    const host::core_options& limits, std::function<void(const problem&)> warn)>
    start;
  /// The types of its queries, which clients may ask that have the right to read only.
  std::vector<caf::type_id_t> questions{};
  /// The types of its commands, for which they need more: also where another service has a query of
  /// that type.
  std::vector<caf::type_id_t> orders{};
};

/// Makes an own_service of a trait. Include troupe/service.hpp, which has it.
template <class Service>
struct own_service_of;

namespace detail {

template <class Service>
struct options_of_service {
  static_assert(sizeof(Service) == 0,
                "a service class derives from host::plain_service<RULES>, or from host::service "
                "and has `using options = ...;`");
  struct type {};
};

template <class Service>
requires requires {
  typename Service::options;
}
struct options_of_service<Service> {
  using type = typename Service::options;
};

} // namespace detail

/// The default port of a node.
inline constexpr std::uint16_t default_port = 6767;

/// Bounds of the services of a cluster. The leader's values apply.
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
  /// The services of this program: see add(). At most 100.
  std::vector<own_service> own{};

  /// Adds a service of the program to the services of the cluster. The same Raft group keeps it, so
  /// it survives the loss of nodes as they do. Add it on each node that may vote, with the same
  /// name and trait (see host::service). node::service() is its client. Include troupe/service.hpp.
  ///
  ///     options.services.add<ticket_service>("tickets", 500);
  ///
  /// A node whose program lacks the service votes and can lead the other services; it keeps the
  /// entries of this one, up to host::group_options::max_unread_bytes. If the rules of the service
  /// throw, it refuses all requests on that node until the next start, and the other services go
  /// on. The leader's `options` apply. node::start() refuses names: bad_argument for one that is
  /// invalid or begins with "troupe.", conflict for two with the same name or number.
  template <class Service>
  service_options& add(std::string name,
                       typename detail::options_of_service<Service>::type options = {});
};

template <class Service>
service_options& service_options::add(std::string name,
                                      typename detail::options_of_service<Service>::type options) {
  constexpr auto is_included = requires {
    sizeof(own_service_of<Service>);
  };
  static_assert(is_included, "include troupe/service.hpp to add a service");
  if constexpr (is_included)
    own.push_back(own_service_of<Service>::make(std::move(name), std::move(options)));
  return *this;
}

/// How a node leaves its cluster.
struct leave_options {
  /// Leaves even if the cluster loses by it: a voter without a replacement, after which the cluster
  /// tolerates fewer failures; the only host, with which the services end; a node that has accepted
  /// messages of class confirm or once which are not delivered yet: those in its memory are lost,
  /// those that are synced go on only if a node is started on its data folder again; or one that no
  /// leader answers, which the others expect back.
  bool force = false;
  /// How long it waits until the messages have ended that it has accepted so far.
  duration deliver_within = std::chrono::seconds{20};
};

/// The configuration of a node. Spans are measured by the node's own clock.
struct node_options {
  /// A name for people. If empty, the name in its certificate, else the first 8 digits of its id.
  /// At most 64 bytes of UTF-8 without control characters, no space at either end, no - in front.
  /// Empty: the one in the certificate, else the first 8 digits of its id.
  std::string name{};
  /// Where it accepts links. A host name stands for all its addresses; those that this machine does
  /// not have are logged, and the node starts if one remains. Port 0: any free port.
  net::address listen{"127.0.0.1", default_port};
  /// The address that others dial, if it differs from `listen` (behind NAT, in a container). Has to
  /// be given if `listen` is 0.0.0.0 or [::]. Port 0: that of `listen`.
  std::optional<net::address> advertise{};
  /// Nodes of the cluster to join, tried in turn. Empty: this node founds a cluster, unless its
  /// data folder already belongs to one. A cluster that was founded without a data folder keeps its
  /// services in the memory of its founder and ends with it.
  std::vector<net::address> join{};
  /// How long node::start() waits until the node has joined. Zero: it returns at once, and the node
  /// joins in the background, as it does after it has lost the cluster.
  duration wait_joined = std::chrono::seconds{10};
  /// Ends the waiting of node::start(), with errc::cancelled: for programs that are to end at a
  /// signal. No effect once the node has started; node::stop() ends it then.
  std::stop_token stop{};
  /// Founds a cluster even if `join` is given. Refused with errc::conflict if a cluster is found
  /// there. No effect once the data folder belongs to a cluster.
  bool bootstrap = false;
  /// Not zero: that many nodes found a cluster together, 1 to 7, all with this number, a data
  /// folder and the others in `join`; the own address may be there, too. Exactly one of them founds
  /// it, once all have been up at the same time, and the others join it. With certificates, all of
  /// one CA. If one of the nodes in `join` has a cluster, this node joins that one. No effect once
  /// the data folder belongs to a cluster. node::start() waits for `wait_joined`, as for any
  /// cluster.
  std::uint32_t bootstrap_expect = 0;
  /// The folder for all that outlives the process, and for the node's key and certificates. Empty:
  /// nothing outlives it.
  std::filesystem::path data{};
  /// Without a data folder: the folder with the node's key and certificates, as `troupe ca issue`
  /// makes it; there it counts its starts, too. If it is empty as well, a node that founds a
  /// cluster makes both for its life.
  std::filesystem::path identity{};
  /// A line of node::invite() or `troupe ca invite`, with which a node gets a certificate from the
  /// members at `join` at its first start: node::start() tries that for `wait_joined`, or 30 s if
  /// that is zero. Not used if its data folder has a certificate that is valid. The node wipes its
  /// copy once it has started, or failed to.
  std::string token{};
  /// Number of voters: nodes with a data folder that keep the services of the cluster. Any minority
  /// of them may be lost. The leader's value applies. Choose an odd number up to 7: an even one
  /// tolerates no more failures than the odd one below it.
  std::size_t voters = 3;
  /// A voter that has been gone for this long is replaced: another member with a data folder
  /// becomes a voter, then the one that is gone loses its seat. Gone is one that the members find
  /// dead, or that has stopped, and to which the leader has no link; or of which the leader has
  /// heard nothing in the group for 30 s, whatever its process does. The leader counts from its
  /// election on, and waits until no voter has come or gone for 30 s, or for this long if that is
  /// shorter. If no member can take its place, it keeps its seat. Zero: voters are not replaced.
  /// The leader's value applies.
  duration replace_after = std::chrono::minutes{5};
  /// Options of the Raft group that the voters form, the same on all nodes. For one machine or rack
  /// set group.consensus to raft::lan().
  host::group_options group{};
  /// How the members of the cluster find out which of them are there, the same on all nodes. For
  /// one machine or rack set it to cluster::swim_options::lan().
  cluster::swim_options membership{};
  /// File to which each change of how this node sees a member is appended (see
  /// cluster::membership_log); empty: none. node::start() fails if it cannot be written. It has no
  /// bound: for tests.
  std::filesystem::path membership_log{};
  /// A node that has stopped for this long counts as lost: its tasks run elsewhere, and its agents
  /// are shown as disconnected. So does one whose link has ended and of which the members say
  /// nothing. Those that the members find dead are lost at once, and so are those that have stopped
  /// and have no data folder.
  duration lost_after = std::chrono::seconds{5};
  /// How long agents may still handle the messages in their mailboxes when a node with an actor
  /// system of its own stops; messages left after that are dropped. A message that is being handled
  /// is always finished. Before that, how long messages of class confirm and once may still be
  /// delivered that the node has accepted in memory.
  duration agents_end_within = std::chrono::seconds{2};
  /// The pause between two attempts to reach the cluster: the first and the longest.
  backoff retry{std::chrono::milliseconds{100}, std::chrono::seconds{2}};
  /// Bounds of the services.
  service_options services{};
  /// Whether other members may spawn services in this process, with spawn_at(): those that
  /// configure() has offered.
  bool allow_spawn = false;
  /// Bounds of messages between agents.
  router::router_options router{};
  /// Options of links to other nodes.
  net::link_options links{};
  /// Called with each line that an operator should see, on any thread, one call at a time. Must not
  /// block. A problem that repeats is logged when it begins, changes and ends. Default: no log.
  std::function<void(const log_line&)> log{};
  /// Called on an actor of the node when this node is asked to leave its cluster (as `troupe
  /// leave` does), has delivered what it had accepted, and has given up its vote. The program then
  /// finishes its work, calls node::leave() with these options from a thread of its own, and ends;
  /// whoever asked hears what came of it. Must not block. Default: such requests are refused.
  std::function<void(const leave_options&)> on_leave_asked{};
  /// Called on an actor of the node when the CA has revoked the identity of this node: no member
  /// links to it any more, and no other certificate changes that. The members tell it as they end
  /// its links; one that was away is refused, and tries on. Gets errc::denied with what to do. The
  /// program then stops the node from a thread of its own. Must not block. Default: the node goes
  /// on, cut off, and its log says why.
  std::function<void(const problem&)> on_revoked{};
};

/// How an agent is registered.
struct agent_options {
  /// Its capabilities, by which other agents find it.
  std::set<std::string> capabilities{};
  /// The groups of receivers that it is a member of.
  std::set<std::string> groups{};
  /// Keys and values by which other agents find it as well.
  std::map<std::string, std::string> metadata{};
  /// Whether no other agent of the cluster may have its name, which is then claimed in the group.
  /// If false, several agents may have the name, as with a capability.
  bool unique = true;
  /// Called, on an actor of the node, when another node has a newer claim to the name, after both
  /// were in parts of the cluster that could not see each other. The agent then gets no more
  /// messages under that name. Must not block. Default: the agent gets an exit message with
  /// name_taken.
  std::function<void(const problem&)> on_name_taken{};
  /// Bounds what waits for it, beside the few messages in its mailbox, and says what gives way.
  router::inbox_options inbox{};
  /// Of an agent made of functions: its database, which has the effect of each message of class
  /// once exactly once; without one the agent gets none of that class. The functions run in a
  /// transaction of it and write through router::once_store::database(): what they write is kept if
  /// they return a value, not if they return a problem or throw. Include troupe/once.hpp.
  std::shared_ptr<router::once_store> once{};
};

} // namespace troupe::cluster
