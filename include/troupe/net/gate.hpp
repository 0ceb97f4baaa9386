#pragma once

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "caf/actor_registry.hpp"
#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"
#include "caf/defaults.hpp"
#include "caf/io/middleman.hpp"
#include "caf/io/network/default_multiplexer.hpp"
#include "caf/telemetry/gauge.hpp"
#include "caf/telemetry/metric_family_impl.hpp"
#include "troupe/core/result.hpp"
#include "troupe/net/byte_stream.hpp"
#include "troupe/net/detail/gate_loop.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/outcome.hpp"

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
                                             stream_maker make_stream = nullptr) {
    if (!sys.has_middleman()
        || dynamic_cast<caf::io::network::default_multiplexer*>(&sys.middleman().backend())
             == nullptr)
      return problem{errc::bad_argument, "the actor system has no middleman; load "
                                         "caf::io::middleman into its configuration"};
    caf::byte_buffer bytes;
    caf::binary_serializer sink{sys, bytes};
    auto written = sink.apply(sys.node());
    assert(written);
    static_cast<void>(written);
    self.basp_node.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    self.heartbeat = heartbeat_of(sys);
    self.entry_point = entry_point ? entry_point->id() : 0;
    if (auto why = refuse(self, options); why.code != errc::none)
      return why;
    auto inside = std::make_shared<detail::gate_loop>(sys, std::move(self), std::move(events),
                                                      options, std::move(make_stream));
    if (!inside->jobs.usable())
      return problem{errc::limit_reached, "no descriptor left for the gate of links: "
                                            + system_text(errno) + "; raise ulimit -n"};
    try {
      return std::unique_ptr<gate>{new gate(sys, std::move(entry_point), std::move(inside))};
    } catch (const std::system_error& why) {
      return problem{errc::limit_reached, std::string{"no thread left for the gate of links: "}
                                            + why.what() + "; raise ulimit -u"};
    }
  }

  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  ~gate() {
    stop();
  }

  /// Takes connections at `where` from now on; may be called for several addresses.
  /// Returns the port, in_use if another process has it, bad_argument if this machine
  /// has no such address or if plain connections are not for it. Any thread.
  result<std::uint16_t> listen(const endpoint& where) {
    if (auto why = loop_->refuse_plain(where, "listen at"); why.code != errc::none)
      return why;
    auto made = start_listen(where);
    if (!made)
      return made.error();
    auto port = local_endpoint(*made).port();
    auto kept = std::make_shared<socket>(std::move(*made));
    if (!loop_->jobs.post([it = loop_.get(), kept] { it->listen(std::move(*kept)); }))
      return problem{errc::cancelled, "this node has stopped; it takes no connections any more"};
    return port;
  }

  /// Makes a link to whoever is at one of `where`, tried in this order, 1 s each to
  /// connect; `who` refuses all others. A link that is there already, or that the other
  /// side makes meanwhile, is as good; where the other side does not know yet that it has
  /// lost one, it is asked again for 4 s. Resolve names first: see resolve().
  ///
  /// Gives the problems of outcome.hpp; limit_reached above table_options::max_dialling.
  /// Any thread.
  void dial(std::vector<endpoint> where, std::optional<node_id> who, on_dialled done) {
    auto what = std::make_shared<detail::dial_job>(
      detail::dial_job{.where = std::move(where), .who = std::move(who), .done = std::move(done)});
    if (!loop_->jobs.post([it = loop_.get(), what] { it->dial(std::move(*what)); }))
      what->done(to_problem(verdict::stopped, "the address"));
  }

  /// This node has founded a cluster: joiners are welcome. Any thread.
  /// @pre it had none, or the same.
  void found(const cluster_id& cluster) {
    loop_->set_cluster(cluster);
    loop_->jobs.post([it = loop_.get(), cluster] { it->step(founded{cluster}); });
  }

  /// Gives `which` a time-out of its own; never below twice the peer's heartbeat. Any
  /// thread.
  void set_timeout(const link_ptr& which, duration silence) {
    loop_->jobs.post([it = loop_.get(), number = which->number(), silence] {
      it->step(expect{number, silence});
    });
  }

  /// What this node says of itself now. Any thread.
  [[nodiscard]] hello self() const {
    return loop_->self();
  }

  /// Returns how many links there are, those included that are not up yet or ending.
  /// Any thread.
  [[nodiscard]] std::size_t links() const {
    return loop_->link_count.load();
  }

  /// Returns how many messages to all peers wait in BASP's mailbox, which has no bound:
  /// whoever sends in a loop on handles of peers looks here, and at the queued_bytes() of
  /// its link, and waits while they grow. Zero if the actor system was not configured by
  /// configure_links(). Any thread.
  [[nodiscard]] std::size_t waiting_messages() const {
    return waiting_ != nullptr
             ? static_cast<std::size_t>(std::max<std::int64_t>(waiting_->value(), 0))
             : 0;
  }

  /// Closes everything, waits up to 1 s until BASP has done so, too, and ends the thread.
  /// Dials end with cancelled; on_down is not called. Afterwards the actor system may end.
  /// Any thread but the gate's and the scheduler's, so never an actor, an event or an
  /// on_dialled; one at a time.
  void stop() {
    if (!thread_.joinable())
      return;
    loop_->silence();
    loop_->jobs.post([it = loop_.get()] { it->stop(); });
    thread_.join();
    if (entry_point_)
      sys_.registry().erase(entry_point_->id());
    entry_point_ = nullptr;
  }

private:
  gate(caf::actor_system& sys, caf::strong_actor_ptr entry_point,
       std::shared_ptr<detail::gate_loop> inside)
    : sys_(sys), entry_point_(std::move(entry_point)), loop_(std::move(inside)) {
    if (auto* gauges = sys.actor_metric_families().mailbox_size)
      waiting_ = gauges->get_or_add({{"name", basp_name}});
    thread_ = std::thread{[it = loop_] { it->run(); }};
    if (entry_point_) // BASP finds receivers there
      sys_.registry().put(entry_point_->id(), entry_point_);
  }

  static problem refuse(const hello& self, const link_options& options) {
    if (self.node == node_id{})
      return {errc::bad_argument, "hello::node is zero; give the node's own id"};
    if (self.heartbeat < min_heartbeat || self.heartbeat > max_heartbeat)
      return {errc::bad_argument,
              "caf.middleman.heartbeat-interval is " + troupe::to_string(self.heartbeat)
                + "; links need one from " + troupe::to_string(min_heartbeat) + " to "
                + troupe::to_string(max_heartbeat) + " (see net::configure_links)"};
    assert(is_plausible(self));
    if (options.table.max_accepting == 0 || options.table.max_remembered == 0
        || options.chunk_bytes == 0)
      return {errc::bad_argument, "table_options::max_accepting, table_options::max_remembered and "
                                  "link_options::chunk_bytes must not be zero"};
    return {};
  }

  static duration heartbeat_of(caf::actor_system& sys) {
    return caf::get_or(sys.config(), "caf.middleman.heartbeat-interval",
                       caf::defaults::middleman::heartbeat_interval);
  }

  static constexpr const char* basp_name = "caf.system.basp-broker";

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
inline void configure_links(caf::actor_system_config& cfg) {
  cfg.load<caf::io::middleman>();
  cfg.set("caf.scheduler.policy", "sharing"); // idle workers of "stealing" sleep 50 us a hop
  cfg.set("caf.middleman.heartbeat-interval", caf::timespan{std::chrono::milliseconds{500}});
  cfg.set("caf.middleman.connection-timeout", caf::timespan{std::chrono::hours{24}});
  cfg.set("caf.metrics-filters.actors.includes", std::vector<std::string>{gate::basp_name});
}

} // namespace troupe::net
