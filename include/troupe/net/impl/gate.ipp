#ifndef TROUPE_NET_IMPL_GATE_IPP
#define TROUPE_NET_IMPL_GATE_IPP

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "caf/actor_registry.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/defaults.hpp"
#include "caf/io/middleman.hpp"
#include "caf/io/network/default_multiplexer.hpp"
#include "caf/telemetry/metric_family_impl.hpp"
#include "troupe/core/caf/basp_node.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/net/client_id.hpp"
#include "troupe/net/detail/gate_loop.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/outcome.hpp"
#include "troupe/platform/thread_name.hpp"

namespace troupe::net::detail {

inline problem refuse(const hello& self, const link_options& options) {
  if (self.node == node_id{})
    return {errc::bad_argument, "hello::node is zero; give the node's own id"};
  if (self.heartbeat < min_heartbeat || self.heartbeat > max_heartbeat)
    return {errc::bad_argument,
            "caf.middleman.heartbeat-interval is " + troupe::to_string(self.heartbeat)
              + "; links need one from " + troupe::to_string(min_heartbeat) + " to "
              + troupe::to_string(max_heartbeat) + " (see net::configure_links)"};
  assert(is_plausible(self));
  if (options.table.max_accepting == 0 || options.table.max_accepting_of_one == 0
      || options.table.max_remembered == 0 || options.chunk_bytes == 0)
    return {errc::bad_argument,
            "table_options::max_accepting, table_options::max_accepting_of_one, "
            "table_options::max_remembered and link_options::chunk_bytes must not be zero"};
  return {};
}

/// No peer would take a process that proves nothing, nor a member that cannot prove to be one.
inline problem refuse(const hello& self, const security::credentials* credentials,
                      bool is_insecure) {
  if ((credentials == nullptr) != is_insecure)
    return {errc::bad_argument,
            is_insecure
              ? "link_options::insecure is set, and there are certificates; leave out one "
                "of the two"
              : "there are no certificates with which this process proves who it is; "
                "give some (troupe ca issue makes them), or for tests on one machine "
                "link_options::insecure"};
  if (is_insecure || self.as == role::client)
    return {};
  auto proven = credentials->self();
  if (proven.as != role::member)
    return {errc::bad_argument, "the certificate of '" + proven.name
                                  + "' has the role client; a node needs one with the role member "
                                    "(troupe ca issue --role member)"};
  if (proven.node != self.node)
    return {errc::bad_argument, "the certificate of '" + proven.name
                                  + "' is of another node than this one; have one issued for this "
                                    "node's key"};
  return {};
}

inline duration heartbeat_of(caf::actor_system& sys) {
  return caf::get_or(sys.config(), "caf.middleman.heartbeat-interval",
                     caf::defaults::middleman::heartbeat_interval);
}

} // namespace troupe::net::detail

namespace troupe::net {

TROUPE_COMPILED result<std::unique_ptr<gate>> gate::start(caf::actor_system& sys, hello self,
                                                          caf::strong_actor_ptr entry_point,
                                                          link_events events, link_options options,
                                                          peer_policy policy) {
  if (!sys.has_middleman()
      || dynamic_cast<caf::io::network::default_multiplexer*>(&sys.middleman().backend())
           == nullptr)
    return problem{errc::bad_argument, "the actor system has no middleman; load "
                                       "caf::io::middleman into its configuration"};
  compat::close_mailbox_at_end(sys.middleman().get_named_broker("BASP"));
  self.basp_node = to_basp_node(sys.node());
  self.heartbeat = detail::heartbeat_of(sys);
  self.entry_point = entry_point ? entry_point->id() : 0;
  if (policy.credentials && self.as == role::client)
    self.node = client_id(policy.credentials->self().node, self.basp_node);
  if (auto why = detail::refuse(self, options))
    return why;
  if (auto why = detail::refuse(self, policy.credentials.get(), options.insecure))
    return why;
  auto inside = std::make_shared<detail::gate_loop>(sys, std::move(self), std::move(events),
                                                    options, std::move(policy));
  if (!inside->jobs.usable())
    return problem{errc::limit_reached, "no file descriptor is left for links: "
                                          + system_text(errno) + "; raise ulimit -n"};
  try {
    return std::unique_ptr<gate>{new gate(sys, std::move(entry_point), std::move(inside))};
  } catch (const std::system_error& why) {
    return problem{errc::limit_reached,
                   std::string{"no thread is left for links: "} + why.what() + "; raise ulimit -u"};
  }
}

TROUPE_COMPILED gate::~gate() {
  stop();
}

TROUPE_COMPILED result<std::uint16_t> gate::listen(const endpoint& where) {
  if (auto why = loop_->refuse_plain(where, "listen at"))
    return why;
  auto made = start_listen(where);
  return made ? listen(*std::move(made)) : made.error();
}

TROUPE_COMPILED result<std::uint16_t> gate::listen(socket listener) {
  auto where = local_endpoint(listener);
  if (auto why = loop_->refuse_plain(where, "listen at"))
    return why;
  auto kept = std::make_shared<socket>(std::move(listener));
  if (!loop_->jobs.post([it = loop_.get(), kept] { it->listen(std::move(*kept)); }))
    return problem{errc::cancelled, "this node has stopped; it accepts no more connections"};
  return where.port();
}

TROUPE_COMPILED void gate::dial(std::vector<endpoint> where, std::optional<node_id> who,
                                on_dialled done) {
  auto what = std::make_shared<dial_job<link_ptr>>(
    dial_job<link_ptr>{.where = std::move(where), .who = who, .done = std::move(done)});
  if (!loop_->jobs.post([it = loop_.get(), what] { it->dial(std::move(*what)); }))
    what->done(to_problem(verdict::stopped, "the address"));
}

TROUPE_COMPILED void gate::dial_through(std::vector<endpoint> relay, const address& where,
                                        on_dialled done) {
  auto what = std::make_shared<dial_job<link_ptr>>(dial_job<link_ptr>{
    .where = std::move(relay), .relayed_to = mark_of(to_string(where)), .done = std::move(done)});
  if (!loop_->jobs.post([it = loop_.get(), what] { it->dial(std::move(*what)); }))
    what->done(to_problem(verdict::stopped, "the address"));
}

TROUPE_COMPILED void gate::ask(std::vector<endpoint> where, const founding_word& what,
                               on_told done) {
  auto job = std::make_shared<dial_job<link_ptr>>(
    dial_job<link_ptr>{.where = std::move(where), .asks = what});
  job->done = [done](const result<link_ptr>& how) { done(how.error_or({})); };
  job->answered = [done = std::move(done)](const bootstrap_answer& said,
                                           const std::optional<security::facts>& proven) {
    done(told{said.cluster, said.from, proven ? proven->name : std::string{}});
  };
  if (!loop_->jobs.post([it = loop_.get(), job] { it->dial(std::move(*job)); }))
    job->done(to_problem(verdict::stopped, "the address"));
}

TROUPE_COMPILED void gate::relay_to(const address& where, std::vector<endpoint> found) {
  loop_->jobs.post([it = loop_.get(), place = to_string(where), found = std::move(found)] {
    it->relay_to(place, found);
  });
}

TROUPE_COMPILED void gate::found(const cluster_id& cluster) {
  loop_->set_cluster(cluster);
  loop_->jobs.post([it = loop_.get(), cluster] { it->step(founded{cluster}); });
}

TROUPE_COMPILED void gate::rise(boot_number boot) {
  loop_->set_boot(boot);
  loop_->jobs.post([it = loop_.get(), boot] { it->step(risen{boot}); });
}

TROUPE_COMPILED void gate::set_timeout(const link_ptr& which, duration silence) {
  loop_->jobs.post([it = loop_.get(), number = which->number(), silence] {
    it->step(expect{number, silence});
  });
}

TROUPE_COMPILED void gate::end_revoked() {
  loop_->jobs.post([it = loop_.get()] { it->end_revoked(); });
}

TROUPE_COMPILED hello gate::self() const {
  return loop_->self();
}

TROUPE_COMPILED std::size_t gate::links() const {
  return loop_->link_count.load();
}

TROUPE_COMPILED std::map<verdict, std::uint64_t> gate::refused() const {
  return loop_->refused();
}

TROUPE_COMPILED std::optional<duration> gate::last_refused(verdict why) const {
  return loop_->last_refused(why);
}

TROUPE_COMPILED std::size_t gate::waiting_messages() const {
  return waiting_ != nullptr
           ? static_cast<std::size_t>(std::max<std::int64_t>(waiting_->value(), 0))
           : 0;
}

TROUPE_COMPILED void gate::stop() {
  if (!thread_.joinable())
    return;
  loop_->silence();
  loop_->jobs.post([it = loop_.get()] { it->stop(); });
  thread_.join();
  if (entry_point_)
    sys_.registry().erase(entry_point_->id());
  entry_point_ = nullptr;
}

TROUPE_COMPILED gate::gate(caf::actor_system& sys, caf::strong_actor_ptr entry_point,
                           std::shared_ptr<detail::gate_loop> inside)
  : sys_(sys), entry_point_(std::move(entry_point)), loop_(std::move(inside)) {
  if (auto* gauges = sys.actor_metric_families().mailbox_size)
    waiting_ = gauges->get_or_add({{"name", basp_name}});
  thread_ = std::thread{[it = loop_] {
    name_this_thread("troupe.gate");
    it->run();
  }};
  if (entry_point_) // BASP finds receivers there
    sys_.registry().put(entry_point_->id(), entry_point_);
}

TROUPE_COMPILED void configure_links(caf::actor_system_config& cfg) {
  cfg.load<caf::io::middleman>();
  cfg.set("caf.scheduler.policy", "sharing"); // idle workers of "stealing" sleep 50 us a hop
  cfg.set("caf.middleman.workers", 0); // the reading thread also decodes a message: one hop less
  cfg.set("caf.middleman.heartbeat-interval", caf::timespan{std::chrono::milliseconds{500}});
  cfg.set("caf.middleman.connection-timeout", caf::timespan{std::chrono::hours{24}});
  cfg.set("caf.metrics-filters.actors.includes", std::vector<std::string>{gate::basp_name});
}

} // namespace troupe::net

#endif
