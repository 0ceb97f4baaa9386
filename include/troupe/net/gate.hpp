#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/fwd.hpp"
#include "caf/telemetry/gauge.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/link_events.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/peer_policy.hpp"

namespace troupe::net::detail {

class gate_loop;

} // namespace troupe::net::detail

namespace troupe::net {

class socket;

/// Makes the links of one node: one thread listens, dials and greets, and hands agreed connections
/// to CAF's BASP. Contains no rules; link_table decides.
///
/// At most one gate per actor system. Stop it before the system ends.
class gate {
public:
  /// Called once, in the gate's thread, with the live link or the reason why there is none.
  using on_dialled = std::function<void(result<link_ptr>)>;

  /// Starts the thread. `self` describes this node; the gate fills in BASP's node id, the heartbeat
  /// and `entry_point`'s number, and of a client with credentials in `policy` the node id. With
  /// those all links are TLS, and each peer proves who it is; without they are plain, which
  /// link_options::insecure has to ask for.
  ///
  /// Errors: bad_argument (`sys` has no middleman or no heartbeat, `self` has no node id or not
  /// that of the credentials, neither credentials nor insecure or both, or an option is invalid),
  /// limit_reached (the system has no descriptor or thread left).
  static result<std::unique_ptr<gate>> start(caf::actor_system& sys, hello self,
                                             caf::strong_actor_ptr entry_point,
                                             link_events events = {}, link_options options = {},
                                             peer_policy policy = {});

  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  ~gate();

  /// Accepts connections at `where` from now on; may be called for several addresses. Returns the
  /// port. Errors: in_use (another process has it), bad_argument (this machine has no such address,
  /// or plain connections are not allowed there). Thread-safe.
  result<std::uint16_t> listen(const endpoint& where);

  /// The same with a socket that listens already: see listen_at_each().
  result<std::uint16_t> listen(socket listener);

  /// Makes a link to the node at one of `where`, tried in this order, with 1 s each to connect;
  /// `who` refuses all other nodes. An existing link, or one that the other side makes meanwhile,
  /// counts as well; if the other side does not know yet that it has lost a link, it is asked again
  /// for 4 s. Resolve names first: see resolve().
  ///
  /// Errors: those of outcome.hpp; limit_reached above table_options::max_dialling. Thread-safe.
  void dial(std::vector<endpoint> where, std::optional<node_id> who, on_dialled done);

  /// The same through the node at `relay`, which relays the connection to `where`: for a node that
  /// this one cannot reach. The two ends prove who they are to each other, and encrypt what passes,
  /// as over any link.
  ///
  /// Errors: those of outcome.hpp; unreachable if the node at `relay` has no link to `where` of its
  /// own, or relays as many as it may. Thread-safe.
  void dial_through(std::vector<endpoint> relay, const address& where, on_dialled done);

  /// What a node has answered to ask(). A cluster of zeros: it has none, and `from` is its word.
  struct told {
    cluster_id cluster{};
    founding_word from;
    /// Of its certificate; empty: it has none.
    std::string name;
  };

  /// Called once, in the gate's thread.
  using on_told = std::function<void(result<told>)>;

  /// Asks the node at one of `where`, tried in this order, how it is to found a cluster with this
  /// one. There is no link afterwards.
  ///
  /// Errors: those of outcome.hpp; limit_reached above table_options::max_dialling. Thread-safe.
  void ask(std::vector<endpoint> where, const founding_word& what, on_told done);

  /// From now on this node relays connections of peers to `where`, at one of `found`: it has a link
  /// to that node, which is not relayed itself. No `found`: it relays to nobody. Connections that
  /// are relayed already go on. Thread-safe.
  void relay_to(const address& where, std::vector<endpoint> found);

  /// This node has founded a cluster: it accepts nodes that join. Thread-safe.
  /// @pre This node had no cluster, or the same one.
  void found(const cluster_id& cluster);

  /// This node continues with this boot number, which is on its disk. Thread-safe.
  void rise(boot_number boot);

  /// Gives `which` a time-out of its own, never below twice the peer's heartbeat. Thread-safe.
  void set_timeout(const link_ptr& which, duration silence);

  /// Ends the links to peers whose certificates the credentials refuse by now
  /// (security::enforced_revocations). Links whose certificates end are ended without it, within a
  /// minute. Thread-safe.
  void end_revoked();

  /// Returns this node's current hello. Thread-safe.
  [[nodiscard]] hello self() const;

  /// Returns how many links there are, including those that are not up yet or are ending.
  /// Thread-safe.
  [[nodiscard]] std::size_t links() const;

  /// Returns how many accepted connections did not become links, by reason. Thread-safe.
  [[nodiscard]] std::map<verdict, std::uint64_t> refused() const;

  /// Returns how long ago one was last refused for that reason; nothing: none was. Thread-safe.
  [[nodiscard]] std::optional<duration> last_refused(verdict why) const;

  /// Returns how many messages to all peers wait in BASP's mailbox, which has no bound.
  /// Back-pressure: code that sends in a loop on handles of peers checks this, and the
  /// queued_bytes() of its link, and waits while they grow. Zero if the actor system was not
  /// configured by configure_links(). Thread-safe.
  [[nodiscard]] std::size_t waiting_messages() const;

  /// Closes all links, waits up to 1 s until BASP has done so, too, and ends the thread. Dials end
  /// with cancelled; on_down is not called. Afterwards the actor system may end. Call it from one
  /// thread at a time, and never from the gate's thread or a scheduler thread: so never from an
  /// actor, an event or an on_dialled.
  void stop();

private:
  gate(caf::actor_system& sys, caf::strong_actor_ptr entry_point,
       std::shared_ptr<detail::gate_loop> inside);

  static constexpr char basp_name[] = "caf.system.basp-broker";

  friend void configure_links(caf::actor_system_config& cfg);

  caf::actor_system& sys_;
  caf::telemetry::int_gauge* waiting_ = nullptr;
  caf::strong_actor_ptr entry_point_;
  std::shared_ptr<detail::gate_loop> loop_;
  std::thread thread_;
};

/// Configures `cfg` for links: loads CAF's middleman, makes BASP send a heartbeat every 500 ms and
/// leaves time-outs to us, selects the scheduler that answers over links four times sooner, and
/// enables gate::waiting_messages(). For an actor system of your own: call it before the system is
/// made.
void configure_links(caf::actor_system_config& cfg);

} // namespace troupe::net

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/net/impl/gate.ipp"
#endif
