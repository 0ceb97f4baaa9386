#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/fwd.hpp"
#include "caf/telemetry/gauge.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/net/byte_stream.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/link_events.hpp"
#include "troupe/net/link_options.hpp"

namespace troupe::net::detail {

class gate_loop;

} // namespace troupe::net::detail

namespace troupe::net {

/// Makes the links of one node: one thread that listens, dials and greets, and gives
/// agreed connections to CAF's BASP. Holds no rule; link_table decides.
///
/// At most one gate for an actor system. Stop it before the system ends.
class gate {
public:
  /// Gets the live link, or why there is none. Called once, in the gate's thread.
  using on_dialled = std::function<void(result<link_ptr>)>;

  /// Starts the thread. `self` says who this node is; the gate fills in what it knows
  /// itself (BASP's node id, heartbeat, `entry_point`'s number). `make_stream` lays
  /// encryption over connections; without it they are plain and for loopback only.
  ///
  /// Returns bad_argument if `sys` has no middleman or no heartbeat, `self` no node id or
  /// an option no value; limit_reached if the system has no descriptor or thread left.
  static result<std::unique_ptr<gate>> start(caf::actor_system& sys, hello self,
                                             caf::strong_actor_ptr entry_point,
                                             link_events events = {}, link_options options = {},
                                             stream_maker make_stream = nullptr);

  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  ~gate();

  /// Takes connections at `where` from now on; may be called for several addresses.
  /// Returns the port, in_use if another process has it, bad_argument if this machine
  /// has no such address or if plain connections are not for it. Any thread.
  result<std::uint16_t> listen(const endpoint& where);

  /// Makes a link to whoever is at one of `where`, tried in this order, 1 s each to
  /// connect; `who` refuses all others. A link that is there already, or that the other
  /// side makes meanwhile, is as good; where the other side does not know yet that it has
  /// lost one, it is asked again for 4 s. Resolve names first: see resolve().
  ///
  /// Gives the problems of outcome.hpp; limit_reached above table_options::max_dialling.
  /// Any thread.
  void dial(std::vector<endpoint> where, std::optional<node_id> who, on_dialled done);

  /// This node has founded a cluster: joiners are welcome. Any thread.
  /// @pre it had none, or the same.
  void found(const cluster_id& cluster);

  /// This node goes on as this boot, which is on its disk. Any thread.
  void rise(boot_number boot);

  /// Gives `which` a time-out of its own; never below twice the peer's heartbeat. Any
  /// thread.
  void set_timeout(const link_ptr& which, duration silence);

  /// What this node says of itself now. Any thread.
  [[nodiscard]] hello self() const;

  /// Returns how many links there are, those included that are not up yet or ending.
  /// Any thread.
  [[nodiscard]] std::size_t links() const;

  /// Returns how many messages to all peers wait in BASP's mailbox, which has no bound:
  /// whoever sends in a loop on handles of peers looks here, and at the queued_bytes() of
  /// its link, and waits while they grow. Zero if the actor system was not configured by
  /// configure_links(). Any thread.
  [[nodiscard]] std::size_t waiting_messages() const;

  /// Closes everything, waits up to 1 s until BASP has done so, too, and ends the thread.
  /// Dials end with cancelled; on_down is not called. Afterwards the actor system may end.
  /// Any thread but the gate's and the scheduler's, so never an actor, an event or an
  /// on_dialled; one at a time.
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

/// Makes `cfg` fit for links: loads CAF's middleman, lets BASP send a heartbeat every
/// 500 ms and leaves time-outs to us, takes the scheduler that answers over links four
/// times sooner, and lets gate::waiting_messages() count. For an actor system of one's own: call it
/// before that is made.
void configure_links(caf::actor_system_config& cfg);

} // namespace troupe::net

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/net/impl/gate.ipp"
#endif
