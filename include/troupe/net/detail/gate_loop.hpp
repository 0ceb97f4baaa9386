#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "caf/actor_system.hpp"
#include "caf/io/basp_broker.hpp"
#include "caf/io/middleman.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/basp_node.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/byte_budget.hpp"
#include "troupe/net/connection.hpp"
#include "troupe/net/dial_book.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/handshake_turns.hpp"
#include "troupe/net/job_queue.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/link_events.hpp"
#include "troupe/net/link_metrics.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/link_table.hpp"
#include "troupe/net/listeners.hpp"
#include "troupe/net/peer_policy.hpp"
#include "troupe/net/plain_stream.hpp"
#include "troupe/net/refusal_log.hpp"
#include "troupe/net/relayed_connections.hpp"
#include "troupe/net/scribe.hpp"
#include "troupe/net/silence_watch.hpp"
#include "troupe/net/tls_stream.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/standing.hpp"

namespace troupe::net::detail {

/// All state of the gate's thread. Scribes keep it until CAF no longer uses them, which may be
/// after the end of the gate.
class gate_loop final : public link_owner, public std::enable_shared_from_this<gate_loop> {
public:
  gate_loop(caf::actor_system& sys, hello self, link_events events, link_options options,
            peer_policy policy)
    : sys_(sys),
      options_(options),
      policy_(std::move(policy)),
      is_plain_(!policy_.credentials),
      make_stream_(is_plain_ ? make_plain_stream
                             : make_tls_streams(policy_.credentials, policy_.joins != nullptr)),
      budgets_{byte_budget{options_.max_all_queued_bytes},
               byte_budget{options_.max_all_collected_bytes}},
      metrics_(sys),
      events_(std::move(events)),
      self_(self),
      table_(std::move(self), options_.table, is_plain_ ? trust::told : trust::proven) {}

  job_queue jobs;
  std::atomic<std::size_t> link_count{0};

  // -- any thread ----------------------------------------------------------------

  [[nodiscard]] hello self() const {
    std::lock_guard guard{self_mutex_};
    return self_;
  }

  [[nodiscard]] std::map<verdict, std::uint64_t> refused() const {
    std::lock_guard guard{self_mutex_};
    return refused_;
  }

  [[nodiscard]] std::optional<duration> last_refused(verdict why) const {
    std::lock_guard guard{self_mutex_};
    auto found = last_refused_.find(why);
    return found != last_refused_.end() ? std::optional{now() - found->second} : std::nullopt;
  }

  void set_cluster(const cluster_id& cluster) {
    std::lock_guard guard{self_mutex_};
    self_.cluster = cluster;
  }

  void set_boot(boot_number boot) {
    std::lock_guard guard{self_mutex_};
    self_.boot = boot;
  }

  [[nodiscard]] problem refuse_plain(const endpoint& where, const std::string& what) const {
    return is_plain_ ? refuse_insecure(what, where) : problem{};
  }

  /// After this call, no event is running and no further one is raised.
  void silence() {
    std::unique_lock guard{events_mutex_};
    events_ = {};
  }

  void came_up(const link_ptr& which) override {
    tell(&link_events::on_up, which);
    jobs.post([this, which] { bring_up(which); });
  }

  void filled(const link_ptr& which) override {
    tell(&link_events::on_full, which);
  }

  void drained(const link_ptr& which) override {
    tell(&link_events::on_drained, which);
  }

  void dropped(const link_ptr& which, const std::string& why) override {
    metrics_.dropped();
    tell(&link_events::on_dropped, which, why);
  }

  [[nodiscard]] const peer_policy& policy() const override {
    return policy_;
  }

  link_budgets& budgets() override {
    return budgets_;
  }

  void give_way(connection_id which, const std::string& why) override {
    jobs.post([this, which, why] { perform(close_link{which, why, end_cause::overloaded}); });
  }

  void disconnected(const link_ptr& which) override {
    if (!which->has_been_up()) // otherwise BASP still delivers, then calls forgotten()
      jobs.post([this, which] { end(which); });
  }

  /// BASP calls this before it kills the proxies of the node, and its remaining work is in the
  /// queue of its thread then. A new link that got its proxies in between would lose them, so the
  /// place is free only after that queue has been processed.
  void forgotten(const link_ptr& which) override {
    forgotten_nodes_.fetch_add(1, std::memory_order_relaxed);
    if (jobs.is_closed())
      return; // the actor system may be ending
    auto& backend = sys_.middleman().backend();
    backend.post([it = shared_from_this(), &backend, which] {
      backend.post([it, which] { it->jobs.post([it = it.get(), which] { it->end(which); }); });
    });
  }

  std::uint64_t forgotten_nodes() const override {
    return forgotten_nodes_.load(std::memory_order_relaxed);
  }

  // -- the gate's thread -----------------------------------------------------------

  void run() {
    std::vector<pollfd> polled;
    std::vector<connection_id> ids;
    handshake_turns turns;
    while (!stopping_) {
      polled.assign(1, {jobs.descriptor(), POLLIN, 0});
      auto accepts = now() >= paused_until_;
      for (auto& each : listeners_)
        polled.push_back({accepts ? each.get() : -1, POLLIN, 0});
      ids.clear();
      for (auto& [id, each] : connections_) {
        ids.push_back(id);
        polled.push_back({each.descriptor(), each.interest(), 0});
      }
      auto behind = polled.size();
      relays_.poll_for(polled);
      ::poll(polled.data(), polled.size(), wait_milliseconds(accepts));
      let_time_pass();
      for (auto& what : jobs.take())
        what();
      auto first = behind - ids.size();
      std::vector<connection_id> to_secure;
      for (std::size_t index = 0; index < ids.size(); ++index)
        if (polled[first + index].revents == 0)
          continue;
        else if (is_costly(ids[index]))
          to_secure.push_back(ids[index]);
        else
          go_on(ids[index]);
      for (auto each : turns.take(to_secure))
        go_on(each);
      relays_.go_on(now(), std::span{polled}.subspan(behind));
      for (std::size_t index = 1; index < first; ++index)
        if (polled[index].revents != 0)
          accept_from(polled[index].fd);
    }
    hang_up();
    finish();
  }

  void stop() {
    stopping_ = true;
  }

  void listen(socket from) {
    if (auto here = local_endpoint(from);
        !source_ && here.is_loopback()
        && here.family() == AF_INET) // IPv6 has only one loopback address
      source_ = here;
    listeners_.push_back(std::move(from));
  }

  void dial(dial_job<link_ptr> job) {
    auto id = next_id();
    auto who = job.who;
    auto relayed_to = job.relayed_to;
    auto asks = job.asks;
    auto where = dials_.attempt(
      id, std::move(job), [this](const endpoint& each) { return refuse_plain(each, "dial"); });
    if (!where)
      return;
    step(net::dial{id, who, relayed_to, asks});
    if (!dials_.contains(id))
      return; // the link table refused at once
    auto made = start_connect(*where, source_for(*where));
    if (!made) {
      dials_.note(id, made.error().detail);
      return step(broken{id, verdict::unreachable});
    }
    connections_.emplace(id, connection{std::move(*made), side::dialled});
  }

  /// `at`: where that is.
  void relay_to(const std::string& where, std::vector<endpoint> at) {
    relays_.offer(now(), where, std::move(at));
  }

  void end_revoked() {
    certificates_due_.reset();
    for (auto& [id, which] : links_)
      end_if_refused(which);
  }

  void step(const event& what) {
    auto moment = now();
    tell_who_is_alive(moment);
    table_.step(moment, what, out_);
    carry_out();
  }

private:
  using clock = std::chrono::steady_clock;

  // -- waiting ---------------------------------------------------------------------

  [[nodiscard]] time_point now() const {
    return to_time(clock::now());
  }

  [[nodiscard]] time_point to_time(clock::time_point moment) const {
    return time_point{moment - started_};
  }

  [[nodiscard]] int wait_milliseconds(bool accepts) const {
    auto next = table_.next_deadline();
    auto consider = [&](time_point other) { next = next ? std::min(*next, other) : other; };
    if (!accepts)
      consider(paused_until_);
    if (auto again = dials_.next_deadline())
      consider(*again);
    if (auto late = relays_.next_deadline())
      consider(*late);
    if (auto look = silences_.next_deadline())
      consider(*look);
    if (auto line = refusals_.next_deadline())
      consider(*line);
    if (certificates_due_)
      consider(*certificates_due_);
    if (!next)
      return -1;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }

  void let_time_pass() {
    auto moment = now();
    tell_who_is_alive(moment);
    table_.tick(moment, out_);
    carry_out();
    tell_who_is_silent(moment);
    relays_.tick(moment);
    std::vector<std::string> lines;
    refusals_.tick(moment, lines);
    tell_refusals(lines);
    if (certificates_due_ && *certificates_due_ <= moment)
      end_revoked();
    for (auto& each : dials_.tick(moment))
      dial(std::move(each));
  }

  /// Checks the links only when one of them seems to be silent.
  void tell_who_is_alive(time_point moment) {
    auto next = table_.next_deadline();
    if (!next || *next > moment)
      return;
    for (auto& [id, which] : links_)
      table_.step(moment, alive{id, to_time(which->heard_at())}, out_);
  }

  void tell_who_is_silent(time_point moment) {
    auto heard_at = [this](connection_id id) {
      auto& which = *links_.at(id);
      return which.reason().empty() ? std::optional{to_time(which.heard_at())} : std::nullopt;
    };
    for (auto id : silences_.tick(moment, heard_at))
      tell(&link_events::on_silent, links_.at(id));
  }

  // -- connections -----------------------------------------------------------------

  /// A node that listens at a loopback address also connects from it, so that nodes on one machine
  /// can be told apart. For other addresses the routes of the system decide.
  [[nodiscard]] std::optional<endpoint> source_for(const endpoint& where) const {
    auto fits = where.is_loopback() && where.family() == AF_INET;
    return fits ? source_ : std::nullopt;
  }

  void accept_from(int listener) {
    for (auto count = 0; count < max_accepts_in_a_row; ++count) {
      sockaddr_storage from{};
      socklen_t size = sizeof(from);
      socket made{::accept4(listener, reinterpret_cast<sockaddr*>(&from), &size,
                            SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (!made) {
        // No descriptor is left: the connection stays in the queue, and poll would return at once
        // again and again.
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
          paused_until_ = now() + accept_pause;
        return;
      }
      auto id = next_id();
      auto source = endpoint{reinterpret_cast<const sockaddr*>(&from), size}.network();
      connections_.emplace(id, connection{std::move(made), side::accepted, source});
      step(accepted{id, source});
      if (is_plain_)
        go_on(id); // else when it is its turn
    }
  }

  /// A handshake that a stranger has begun costs about a millisecond of this thread.
  [[nodiscard]] bool is_costly(connection_id id) const {
    auto found = connections_.find(id);
    return !is_plain_ && found != connections_.end() && found->second.end() == side::accepted
           && found->second.is_securing();
  }

  /// Advances a connection as far as possible without waiting.
  void go_on(connection_id id) {
    for (;;) {
      auto found = connections_.find(id);
      if (found == connections_.end())
        return;
      auto news = found->second.next(make_stream_);
      if (!news)
        return;
      troupe::visit([&](auto& each) { learn(id, each); }, *news);
    }
  }

  void learn(connection_id id, connection::reached) {
    step(reached{id});
  }

  void learn(connection_id id, connection::ready& what) {
    step(connected{id, std::move(what.proven)});
  }

  void learn(connection_id id, connection::join_asked& what) {
    auto source = connections_.at(id).source();
    step(asks_to_join{id});
    policy_.joins({std::move(what.request), std::move(what.binding), std::move(source),
                   [asker = std::move(what.asker)] { return !asker.expired(); }},
                  [it = shared_from_this(), id](join_reply reply) {
                    it->jobs.post([it = it.get(), id, reply = std::move(reply)]() mutable {
                      it->answer_join(id, std::move(reply));
                    });
                  });
  }

  void answer_join(connection_id id, join_reply reply) {
    auto found = connections_.find(id);
    if (found == connections_.end())
      return; // it did not wait
    auto is_refused = !reply.refusal.empty();
    if (!found->second.answer_join(reply.answer, std::move(reply.refusal)))
      return learn(id, verdict::closed);
    step(broken{id, is_refused ? verdict::not_admitted : verdict::admitted});
  }

  void learn(connection_id id, greeting& said) {
    if (!names_process(said))
      return learn(id, verdict::bad_greeting);
    step(heard{id, std::move(said)});
  }

  void learn(connection_id id, verdict why) {
    dials_.note(id, connections_.at(id).system_says());
    step(broken{id, why});
  }

  static bool names_process(const greeting& said) {
    if (auto* first = std::get_if<hello>(&said))
      return is_basp_node(first->basp_node);
    if (auto* second = std::get_if<answer>(&said))
      return is_basp_node(second->from.basp_node);
    return true;
  }

  // -- effects ---------------------------------------------------------------------

  /// Performs all effects, also those that they cause.
  void carry_out() {
    if (std::exchange(carrying_out_, true))
      return;
    while (!out_.empty())
      for (auto& what : std::exchange(out_, {}))
        troupe::visit([this](auto& each) { perform(each); }, what);
    carrying_out_ = false;
  }

  void perform(const say& what) {
    auto found = connections_.find(what.connection);
    if (found != connections_.end() && !found->second.say(what.what))
      learn(what.connection, found->second.why_closed());
  }

  void perform(const drop& what) {
    auto ended = connections_.extract(what.connection);
    auto is_answered = what.why == verdict::admitted || what.why == verdict::asked;
    if (ended && ended.mapped().end() == side::accepted && !is_answered)
      note_refusal(ended.mapped(), what.why);
    auto next = dials_.dropped(now(), what.connection, what.why, what.peer,
                               [this](const node_id& who) { return link_up_to(who); });
    if (next)
      dial(*std::move(next));
  }

  [[nodiscard]] std::optional<link_ptr> link_up_to(const node_id& who) const {
    auto number = table_.link_to(who);
    auto found = number ? links_.find(*number) : links_.end();
    return found != links_.end() && found->second->has_been_up() ? std::optional{found->second}
                                                                 : std::nullopt;
  }

  void perform(hand_over& what) {
    auto found = connections_.extract(what.connection);
    assert(found);
    auto [descriptor, stream] = found.mapped().release();
    auto made = std::make_shared<link>(what.connection, std::move(what.peer), what.end, descriptor,
                                       std::move(what.proven), what.is_relayed);
    links_.emplace(what.connection, made);
    link_count = links_.size();
    auto handed = made;
    caf::io::scribe_ptr scribe{caf::make_counted<link_scribe>(
      dynamic_cast<caf::io::network::default_multiplexer&>(sys_.middleman().backend()), descriptor,
      std::move(stream), std::move(made), options_, table_.self(), shared_from_this())};
    // The message with which CAF's own tests connect two instances: both sides write the server's
    // handshake, so both check application identifiers, and a redundant connection is closed
    // instead of kept as one that BASP does not know.
    compat::anon_send(sys_.middleman().named_broker<caf::io::basp_broker>("BASP"),
                      caf::publish_atom_v, std::move(scribe), std::uint16_t{0},
                      caf::strong_actor_ptr{}, std::set<std::string>{});
    end_if_refused(handed); // since its handshake
  }

  void perform(const close_link& what) {
    if (auto found = links_.find(what.connection); found != links_.end())
      found->second->close(what.why, what.cause);
  }

  void perform(const adopt& what) {
    set_cluster(what.cluster);
    tell(&link_events::on_adopted, what.cluster);
  }

  void perform(const outlived& what) {
    tell(&link_events::on_outlived, what.heard);
  }

  void perform(const start_over& what) {
    connections_.at(what.connection).start_over();
  }

  void perform(const relay_wanted& what) {
    auto found = connections_.extract(what.connection);
    assert(found);
    relays_.relay(now(), what.connection, std::move(found.mapped()), what.to,
                  what.proven ? what.proven->node : node_id{});
  }

  void perform(const bootstrap_wanted& what) {
    if (!policy_.founders)
      return step(bootstrap_reply{what.connection});
    policy_.founders({what.from, what.proven ? what.proven->name : std::string{}},
                     [it = shared_from_this(), id = what.connection](bootstrap_reply reply) {
                       reply.connection = id;
                       it->jobs.post([it = it.get(), reply] { it->step(reply); });
                     });
  }

  void perform(const bootstrap_heard& what) {
    connections_.erase(what.connection);
    dials_.answered(what.connection, what.what, what.proven);
  }

  // -- links -----------------------------------------------------------------------

  void bring_up(const link_ptr& which) {
    step(up{which->number()});
    if (links_.contains(which->number()))
      silences_.watch(now(), which->number(), which->peer());
    dials_.linked(which->number(), which->peer().node, which);
  }

  void end(const link_ptr& which) {
    if (links_.erase(which->number()) == 0)
      return;
    link_count = links_.size();
    silences_.forget(which->number());
    if (policy_.peers)
      policy_.peers->leave(which->number());
    which->close("closed by the peer", end_cause::peer); // keeps an earlier reason
    if (which->has_been_up() || which->cause() == end_cause::misbehaved)
      metrics_.ended(which->cause());
    note_end(*which);
    step(ended{which->number()});
    release(which);
    dials_.ended(which->number());
    if (which->has_been_up())
      tell(&link_events::on_down, which, which->reason());
  }

  /// Does so if the certificate of the peer has been revoked or has ended. If not, it is looked at
  /// again when that ends.
  void end_if_refused(const link_ptr& which) {
    if (!policy_.credentials || !which->proven() || !which->reason().empty())
      return;
    auto& who = *which->proven();
    auto [why, look_again]
      = security::standing_of(who, policy_.credentials->revoked()->refusal(who), read_calendar());
    if (why.empty()) {
      auto due = now() + look_again;
      certificates_due_ = std::min(certificates_due_.value_or(due), due);
      return;
    }
    tell(&link_events::on_refused, "ended a link: " + why);
    which->close(why);
  }

  static void release(const link_ptr& which) {
    if (auto carrier = which->release_actors())
      compat::anon_send(carrier, link_lost{});
  }

  void note_refusal(const connection& which, verdict why) {
    metrics_.refused(why);
    std::vector<std::string> lines;
    refusals_.note(now(), which.source(), why, which.system_says(), lines);
    {
      std::lock_guard guard{self_mutex_};
      refused_ = refusals_.counts();
      last_refused_ = refusals_.last();
    }
    tell_refusals(lines);
  }

  void tell_refusals(const std::vector<std::string>& lines) {
    for (auto& each : lines)
      tell(&link_events::on_refused, each);
  }

  /// Tells of a link that the peer is to blame for, also if BASP has never had it.
  void note_end(const link& which) {
    if (which.cause() != end_cause::misbehaved && which.cause() != end_cause::overloaded)
      return;
    auto who = which.who();
    std::vector<std::string> lines;
    refusals_.note_end(
      now(), who.name.empty() ? "a " + std::string{name_of(who.as)} : "'" + who.name + "'",
      which.reason(), lines);
    tell_refusals(lines);
  }

  template <class... Parameters, class... Ts>
  void tell(std::function<void(Parameters...)> link_events::*which, const Ts&... what) {
    std::shared_lock guard{events_mutex_};
    if (auto& call = events_.*which)
      call(what...);
  }

  // -- the end ----------------------------------------------------------------------

  /// Ends all that is in progress, and gives BASP time to clean up while all that it needs still
  /// exists.
  void hang_up() {
    connections_.clear();
    relays_.clear();
    listeners_.clear();
    dials_.stop();
    for (auto& [id, which] : links_)
      which->close("this node is stopping");
    for (auto deadline = now() + longest_good_bye; !links_.empty() && now() < deadline;) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
      pollfd polled{jobs.descriptor(), POLLIN, 0};
      ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
      for (auto& what : jobs.take())
        what();
    }
  }

  void finish() {
    for (auto& what : jobs.close())
      what();
    for (auto& [id, which] : std::exchange(links_, {}))
      release(which);
    link_count = 0;
  }

  connection_id next_id() {
    return ++last_id_;
  }

  static constexpr duration longest_good_bye = std::chrono::seconds{1};
  static constexpr int max_accepts_in_a_row = 64;
  static constexpr duration accept_pause = std::chrono::milliseconds{100};

  caf::actor_system& sys_;
  const link_options options_;
  const peer_policy policy_;
  const bool is_plain_;
  const stream_maker make_stream_;
  link_budgets budgets_;
  link_metrics metrics_;
  std::atomic<std::uint64_t> forgotten_nodes_{0};
  const clock::time_point started_ = clock::now();
  std::shared_mutex events_mutex_;
  link_events events_;
  mutable std::mutex self_mutex_;
  hello self_;
  std::map<verdict, std::uint64_t> refused_;
  std::map<verdict, time_point> last_refused_;

  // Used by the gate's thread only, from here on.
  bool stopping_ = false;
  link_table table_;
  link_table::effects out_;
  refusal_log refusals_;
  bool carrying_out_ = false;
  std::vector<socket> listeners_;
  /// The first loopback address that this node listens at.
  std::optional<endpoint> source_;
  time_point paused_until_{};
  std::map<connection_id, connection> connections_;
  relayed_connections relays_{
    {.connect = [this](const endpoint& where) { return start_connect(where, source_for(where)); },
     .self = [this] { return self(); },
     .refused = [this](verdict why) { metrics_.refused(why); }}};
  dial_book<link_ptr> dials_{
    {.gives_up_after = options_.table.connect_timeout + options_.table.greeting_timeout,
     .max_parked = options_.table.max_dialling},
    static_cast<std::uint64_t>(started_.time_since_epoch().count())};
  std::map<connection_id, link_ptr> links_;
  silence_watch silences_; // of links in links_
  /// When to look at the certificates of their peers.
  std::optional<time_point> certificates_due_;
  /// Above all descriptors, because BASP identifies its other connections by these.
  connection_id last_id_ = connection_id{1} << 32U;
};

} // namespace troupe::net::detail
