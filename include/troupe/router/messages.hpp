#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/allowed_unsafe_message_type.hpp"
#include "caf/inspector_access.hpp"
#include "caf/message.hpp"
#include "caf/node_id.hpp"
#include "caf/result.hpp"
#include "caf/type_id.hpp"
#include "caf/typed_actor.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/coded_access.hpp"
#include "troupe/core/caf/inspect_enum.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/departure_report.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/confirm_word.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/inbox_report.hpp"
#include "troupe/router/inbox_space.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/types.hpp"

template <>
struct caf::inspector_access<troupe::router::message_options>
  : troupe::coded_access<troupe::router::message_options> {};

namespace troupe::router {

template <class Inspector>
bool inspect(Inspector& f, dead_reason& x) {
  return inspect_enum(f, x);
}

} // namespace troupe::router

namespace troupe::channel {

template <class Inspector>
bool inspect(Inspector& f, outcome& x) {
  return inspect_enum(f, x);
}

} // namespace troupe::channel

template <>
struct caf::inspector_access<troupe::router::confirm_word>
  : troupe::coded_access<troupe::router::confirm_word> {};

template <>
struct caf::inspector_access<troupe::router::inbox_page>
  : troupe::coded_access<troupe::router::inbox_page> {};

template <>
struct caf::inspector_access<troupe::router::dead_letter_page>
  : troupe::coded_access<troupe::router::dead_letter_page> {};

/// What routers say to each other, and what their clients may ask. A node's router is its
/// entry point: the one actor that a new link knows. A router_service stands alone.
namespace troupe::router {

template <class Inspector>
bool inspect(Inspector& f, audience& x) {
  return inspect_enum(f, x);
}

/// To the router of a node: a message for one of its agents, past all that waits for that node.
/// Sent as a request, it is answered by the agent. What applications send lies in a bundle.
struct envelope {
  agent_id to;
  caf::message payload;

  TROUPE_FIELDS(envelope, to, payload);
};

/// From a program to the router of a node: find out who is meant and hand it on. As a
/// request to one: answered by the agent, or with not_found, unreachable, limit_reached, too_large,
/// bad_argument, expired (nothing was delivered), outcome_unknown or timed_out. To many: a
/// send_report.
struct dispatch {
  recipients to;
  /// Which of its ids, if the sender is an agent with several. Nothing else is believed; see
  /// message_info.
  agent_id from;
  /// For the answer of the agent.
  duration timeout = std::chrono::seconds{10};
  caf::message payload;
  message_options how{};

  TROUPE_FIELDS(dispatch, to, from, timeout, payload, how);
};

/// From a program to the router of a node: hand it on as dispatch does, and say so. Answered
/// with a send_report: for one agent once that has it in its mailbox, for many when it is on
/// the way. Errors as of dispatch, but for those of the agent, which nobody waits for.
struct post {
  using result = send_report;

  recipients to;
  /// As dispatch::from.
  agent_id from;
  /// For the word of the other node.
  duration timeout = std::chrono::seconds{10};
  caf::message payload;
  message_options how{};

  TROUPE_FIELDS(post, to, from, timeout, payload, how);
};

/// From router to router: this side has sent its last message and does not use the link
/// any more. Answered with whether the other side does not, either, and sends nothing
/// after that answer.
struct rest_link {
  using result = bool;

  /// Who asks.
  std::string node;

  TROUPE_FIELDS(rest_link, node);
};

/// From router to router, of agents there that can take no more messages for now: of those for
/// which more has come than fits, at once; else it is said as well where a bundle asks whether it
/// is here.
struct agents_full {
  /// Their ids.
  std::vector<std::string> agents;

  TROUPE_FIELDS(agents_full, agents);
};

/// From router to router, once that said that an agent there can take no more messages for now (see
/// agent_inbox): answered when it can, or is there no more.
struct await_room {
  using result = inbox_space;

  agent_id agent;

  TROUPE_FIELDS(await_room, agent);
};

/// From the router of a node to an agent of its process that has a once_store.
struct kept_message {
  message_info info;
  /// What one of its functions takes.
  caf::message payload;
};

/// Stays inside of a router: what has come for its channels.
struct confirm_event {
  /// Of that node, whose router is `entry`.
  struct letters {
    link_peer by;
    caf::strong_actor_ptr entry;
    std::vector<letter> all;
  };

  struct word {
    node_id from{};
    channel::acknowledgement said;
  };

  /// That node does not know the class.
  struct refusal {
    node_id from{};
    problem why;
  };

  /// What has become of the delivery of that number; errc::none: it is handled.
  struct answer {
    std::uint64_t number = 0;
    problem why{};
    /// The agent has not seen it.
    bool is_bounced = false;
    /// Nothing: in this process, or without a sender.
    std::optional<caf::node_id> where{};
  };

  /// Agents have handled messages, of which other nodes are to hear.
  struct news {};

  std::variant<letters, word, refusal, answer, news> body;
};

/// Asks for the handle of an agent of this very node, for raw CAF messages. Errors: not_found,
/// wrong_type (it does not say that it takes `takes`).
struct find_agent {
  using result = caf::strong_actor_ptr;

  agent_id id;
  /// Signatures, as CAF writes those of a typed actor. Empty: whatever it takes.
  std::set<std::string> takes{};

  TROUPE_FIELDS(find_agent, id, takes);
};

/// Asks for the handle of an agent on any node, with a link to that if there is none. The
/// handle is good as long as the link; look the agent up anew after that.
struct resolve_agent {
  using result = caf::strong_actor_ptr;

  agent_id id;
  duration timeout = std::chrono::seconds{10};
  /// As find_agent::takes.
  std::set<std::string> takes{};

  TROUPE_FIELDS(resolve_agent, id, timeout, takes);
};

/// Where a service of the cluster is.
struct service_place {
  /// Its handle, if it is on the node that was asked.
  caf::strong_actor_ptr handle;
  /// Else where to ask instead, "HOST:PORT"; empty if that is not known.
  std::string address;
  /// Where to ask if all else fails.
  std::vector<std::string> others{};
  /// Counts the changes that the node that was asked has seen.
  std::uint64_t revision = 0;
  /// Why it will be nowhere for a while: no_quorum, with who is missing. errc::none otherwise.
  problem why{};
  /// With `handle`, if find_service::known was zero: all services that the node that was asked
  /// knows of, by their names; null for those that are not on it.
  std::map<std::string, caf::strong_actor_ptr> all{};
  /// With `all`: how far those have come that the node keeps with others (see
  /// host::client_core::reached).
  std::map<std::string, std::uint64_t> records{};

  TROUPE_FIELDS(service_place, handle, address, others, revision, why, all, records);
};

/// Asks for a service of the cluster by its name. Answered at once if the place has another
/// revision than `known`, else when that comes to be, at the latest after `wait` (at most
/// 30 s).
struct find_service {
  using result = service_place;

  std::string name;
  std::uint64_t known = 0;
  duration wait{};

  TROUPE_FIELDS(find_service, name, known, wait);
};

struct find_router_statistics {
  using result = router_statistics;

  TROUPE_FIELDS(find_router_statistics);
};

/// Asks the router of a node for its dead letters behind the place `after`, at most `limit` (and
/// 1,000, and a MiB).
struct list_dead_letters {
  using result = dead_letter_page;

  std::uint64_t after = 0;
  std::uint32_t limit = 100;

  TROUPE_FIELDS(list_dead_letters, after, limit);
};

/// The content of a dead letter.
struct shown_dead_letter {
  /// As core/caf/message_tree.hpp writes it.
  std::string json;

  TROUPE_FIELDS(shown_dead_letter, json);
};

/// Asks the router of a node for the content of a dead letter. Errors: bad_argument (no id, or it
/// has no JSON), not_found (it is not here), busy (it is being delivered again), incompatible (its
/// node cannot read it), too_large (above max_bytes of JSON).
struct show_dead_letter {
  using result = shown_dead_letter;

  static constexpr std::size_t max_bytes = 64U << 10U;

  /// As to_string(message_id) writes it.
  std::string id;

  TROUPE_FIELDS(show_dead_letter, id);
};

/// Asks the router of a node to let go of a dead letter, for good: answered once that has left the
/// disk as well. Errors: bad_argument (no id), not_found (it is not here), busy (it is being
/// delivered again).
struct purge_dead_letters {
  using result = purge_receipt;

  /// As to_string(message_id) writes it. Empty: all.
  std::string id;

  TROUPE_FIELDS(purge_dead_letters, id);
};

/// Asks the router of a node what waits there for each agent of its own, and for each that it has
/// accepted messages for: behind the id `after`, at most `limit` (and 1,000, and a MiB). With
/// `agent`: for that one only.
struct list_inboxes {
  using result = inbox_page;

  agent_id after{};
  std::uint32_t limit = 100;
  agent_id agent{};

  TROUPE_FIELDS(list_inboxes, after, limit, agent);
};

/// Asks the router of a node to let go of the messages of class confirm and once that it has
/// accepted for an agent which no node in its reach has: they end as if their ttl were over, and
/// are dead letters. Those that were on their way are of reason `unknown`. If a node in reach has
/// the agent, nothing ends. Errors: bad_argument (no agent).
struct expire_messages {
  using result = expire_receipt;

  agent_id agent{};

  TROUPE_FIELDS(expire_messages, agent);
};

/// Asks the router of a node to deliver a dead letter again, under its own id and without a ttl.
/// Errors: bad_argument (no id), not_found (it is not here), busy (it is on its way already),
/// limit_reached (router_options::max_confirms; it stays).
struct redrive_dead_letter {
  using result = redrive_receipt;

  /// As to_string(message_id) writes it. Empty: all.
  std::string id;

  TROUPE_FIELDS(redrive_dead_letter, id);
};

/// Asks the node of a router to leave its cluster permanently and to end. The answer comes once it
/// has delivered what it has accepted, as far as it could, and has taken back what it has said;
/// whoever gets it sends departure_heard, upon which the node ends. Errors: in_use (it alone hosts
/// the services of the cluster, no node can take its place as a voter, or messages are not
/// delivered: these need `force`), failed (its program does not end when somebody asks for it), and
/// others of node::leave().
struct leave_node {
  using result = departure_report;

  bool force = false;
  /// As leave_options::deliver_within.
  duration deliver_within = std::chrono::seconds{20};

  TROUPE_FIELDS(leave_node, force, deliver_within);
};

/// Tells the node of a router that its departure_report has arrived. Has no answer.
struct departure_heard {
  TROUPE_FIELDS(departure_heard);
};

/// A node that was asked to leave has left but for its end.
struct leave_receipt {
  /// Its id.
  std::string node;

  TROUPE_FIELDS(leave_receipt, node);
};

/// The same as leave_node, as earlier releases ask for it: the answer does not say what is left
/// behind.
struct leave_cluster {
  using result = leave_receipt;

  bool force = false;

  TROUPE_FIELDS(leave_cluster, force);
};

/// What a node that was asked for maintenance has done.
struct maintenance_receipt {
  /// Its id.
  std::string node;
  bool on = false;

  TROUPE_FIELDS(maintenance_receipt, node, on);
};

/// Asks the node of a router to take no new work, or to take it again. Errors: those of
/// node::maintain(), failed (a router without a node).
struct maintain_node {
  using result = maintenance_receipt;

  bool on = true;

  TROUPE_FIELDS(maintain_node, on);
};

/// Asks a router_service to bring messages to `agent` under this id. Once more for the same
/// actor: what is said of it here takes the place of what was. It is taken out when it ends.
///
/// The agent lives with the service or with whoever asks, as no third process has a link
/// to both for sure. Errors: bad_argument (no name), name_taken, limit_reached, unreachable.
struct add_agent {
  using result = agent_receipt;

  agent_id id;
  caf::strong_actor_ptr agent;
  std::set<std::string> capabilities{};
  std::set<std::string> groups{};
  /// Work in hand, in units of its own: of agents with a capability the least loaded is asked.
  std::uint32_t load = 0;

  TROUPE_FIELDS(add_agent, id, agent, capabilities, groups, load);
};

struct remove_agent {
  using result = agent_receipt;

  agent_id id;

  TROUPE_FIELDS(remove_agent, id);
};

/// Asks a router_service which agents `among` stands for (one of any_with_capability: all that
/// could be meant), behind the id `after`, at most `limit` (and 1,000).
struct list_agents {
  using result = agent_page;

  recipients among = to_everyone();
  agent_id after{};
  std::uint32_t limit = 100;

  TROUPE_FIELDS(list_agents, among, after, limit);
};

using router_queries = host::queries<add_agent, remove_agent, list_agents, find_agent,
                                     resolve_agent, find_router_statistics>;

/// All that a host::client has to know of a router_service. No request counts more than
/// once, so none needs a session.
struct router_protocol {
  using commands = host::commands<>;
  using queries = router_queries;
  using handle = caf::typed_actor<
    caf::result<agent_receipt>(add_agent), caf::result<agent_receipt>(remove_agent),
    caf::result<agent_page>(list_agents), caf::result<caf::strong_actor_ptr>(find_agent),
    caf::result<caf::strong_actor_ptr>(resolve_agent),
    caf::result<router_statistics>(find_router_statistics), caf::result<caf::message>(dispatch)>;
};

/// The handle of a router_service, here or elsewhere. What comes back for a dispatch is up to
/// the agent, so ask with a router_client or through a caf::actor.
using router_actor = router_protocol::handle;

} // namespace troupe::router

/// Stays in its process: nobody elsewhere can send one.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::router::message_info)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::router::confirm_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::router::kept_message)

CAF_BEGIN_TYPE_ID_BLOCK(troupe_router, ::troupe::type_ids::router)

  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::envelope))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::dispatch))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::find_agent))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::service_place))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::find_service))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::find_router_statistics))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::router_statistics))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::send_report))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::audience))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::recipients))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::resolve_agent))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::leave_receipt))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::leave_cluster))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::post))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::bundle))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::rest_link))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::router_actor))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::router_options))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::add_agent))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::remove_agent))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::list_agents))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::agent_view))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::agent_page))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::agent_receipt))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::maintenance_receipt))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::maintain_node))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::message_info))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::await_room))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::confirm_word))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::confirm_event))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::inbox_space))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::agents_full))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::list_dead_letters))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::dead_letter_page))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::redrive_dead_letter))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::redrive_receipt))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::kept_message))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::purge_dead_letters))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::purge_receipt))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::list_inboxes))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::inbox_page))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::show_dead_letter))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::shown_dead_letter))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::leave_node))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::departure_heard))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::departure_report))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::expire_messages))
  CAF_ADD_TYPE_ID(troupe_router, (troupe::router::expire_receipt))

CAF_END_TYPE_ID_BLOCK(troupe_router)

static_assert(caf::id_block::troupe_router::end <= troupe::type_ids::router + 100);
