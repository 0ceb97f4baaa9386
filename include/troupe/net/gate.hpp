#pragma once

#include <algorithm>
#include <array>
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
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "caf/actor_registry.hpp"
#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"
#include "caf/defaults.hpp"
#include "caf/io/basp_broker.hpp"
#include "caf/io/middleman.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/result.hpp"
#include "troupe/net/connection.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/job_queue.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/link_table.hpp"
#include "troupe/net/outcome.hpp"
#include "troupe/net/plain_stream.hpp"
#include "troupe/net/scribe.hpp"

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
  /// Returns bad_argument if `sys` has no middleman, limit_reached if the system has no
  /// descriptor or thread left.
  static result<std::unique_ptr<gate>> start(caf::actor_system& sys, hello self,
                                             caf::strong_actor_ptr entry_point,
                                             link_events events = {}, link_options options = {},
                                             stream_maker make_stream = nullptr) {
    if (!sys.has_middleman() || dynamic_cast<multiplexer*>(&sys.middleman().backend()) == nullptr)
      return problem{errc::bad_argument, "the actor system has no middleman; load "
                                         "caf::io::middleman into its configuration"};
    caf::byte_buffer bytes;
    caf::binary_serializer sink{sys, bytes};
    auto written = sink.apply(sys.node());
    assert(written);
    static_cast<void>(written);
    self.basp_node.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    self.heartbeat = std::clamp(heartbeat_of(sys), min_heartbeat, max_heartbeat);
    self.entry_point = entry_point ? entry_point->id() : 0;
    auto inside = std::make_shared<loop>(sys, std::move(self), std::move(events), options,
                                         std::move(make_stream));
    if (!inside->jobs.usable())
      return problem{errc::limit_reached, "no descriptor left for the gate of links: "
                                            + system_text(errno) + "; raise ulimit -n"};
    return std::unique_ptr<gate>{new gate(sys, std::move(entry_point), std::move(inside))};
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
    loop_->jobs.post([it = loop_.get(), kept] { it->listen(std::move(*kept)); });
    return port;
  }

  /// Makes a link to whoever is at one of `where`, tried in this order, 1 s each to
  /// connect; `who` refuses all others. A link that is there already, or that the other
  /// side makes meanwhile, is as good. Resolve names first: see resolve().
  ///
  /// Gives the problems of outcome.hpp; limit_reached above table_options::max_dialling.
  /// Any thread.
  void dial(std::vector<endpoint> where, std::optional<node_id> who, on_dialled done) {
    auto what = std::make_shared<dial_job>(
      dial_job{std::move(where), 0, std::move(who), std::move(done), {}});
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

  /// Closes everything and ends the thread. Dials end with cancelled; on_down is not
  /// called. Never call it from an event or an on_dialled. Afterwards the actor system
  /// may end.
  void stop() {
    if (!thread_.joinable())
      return;
    loop_->jobs.post([it = loop_.get()] { it->stopping = true; });
    thread_.join();
    loop_->silence();
    if (entry_point_)
      sys_.registry().erase(entry_point_->id());
    entry_point_ = nullptr;
  }

private:
  using clock = std::chrono::steady_clock;
  using multiplexer = caf::io::network::default_multiplexer;

  /// A wish for a link, until there is one or no address is left.
  struct dial_job {
    std::vector<endpoint> where;
    std::size_t tried = 0;
    std::optional<node_id> who;
    on_dialled done;
    problem last;

    [[nodiscard]] std::string place() const {
      return tried > 0 ? to_string(where[tried - 1]) : "the address";
    }
  };

  /// A wish whose node makes the link itself.
  struct parked_dial {
    node_id who;
    time_point deadline;
    dial_job job;
  };

  /// Everything that lives in the gate's thread. Scribes keep it until CAF is done with
  /// them, which may be after the gate.
  class loop final : public link_owner, public std::enable_shared_from_this<loop> {
  public:
    loop(caf::actor_system& sys, hello self, link_events events, link_options options,
         stream_maker make_stream)
      : sys_(sys),
        options_(std::move(options)),
        is_plain_(!make_stream),
        make_stream_(is_plain_ ? make_plain_stream : std::move(make_stream)),
        events_(std::move(events)),
        self_(self),
        table_(std::move(self), options_.table) {}

    job_queue jobs;
    std::atomic<std::size_t> link_count{0};
    bool stopping = false; // the gate's thread only

    // -- any thread ----------------------------------------------------------------

    [[nodiscard]] hello self() const {
      std::lock_guard guard{self_mutex_};
      return self_;
    }

    void set_cluster(const cluster_id& cluster) {
      std::lock_guard guard{self_mutex_};
      self_.cluster = cluster;
    }

    [[nodiscard]] problem refuse_plain(const endpoint& where, const std::string& what) const {
      if (!is_plain_ || options_.allow_plain_beyond_loopback || where.is_loopback())
        return {};
      return {errc::bad_argument, "will not " + what + " " + to_string(where)
                                    + ": links are not encrypted; use a loopback address, or set "
                                      "link_options::allow_plain_beyond_loopback"};
    }

    /// After this no event is under way or comes.
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

    void disconnected(const link_ptr& which) override {
      if (!which->has_been_up()) // otherwise BASP has something to deliver yet
        jobs.post([this, which] { end(which); });
    }

    /// BASP tells before it kills the proxies of the node, and has what is left to do in
    /// its thread's queue then. A new link whose proxies come in between would lose them,
    /// so the place is free only when that queue has been through.
    void forgotten(const link_ptr& which) override {
      if (jobs.is_closed())
        return; // the actor system may be ending
      auto& backend = sys_.middleman().backend();
      backend.post([it = shared_from_this(), &backend, which] {
        backend.post([it, which] { it->jobs.post([it = it.get(), which] { it->end(which); }); });
      });
    }

    // -- the gate's thread -----------------------------------------------------------

    void run() {
      std::vector<pollfd> polled;
      std::vector<connection_id> ids;
      while (!stopping) {
        polled.assign(1, {jobs.descriptor(), POLLIN, 0});
        auto accepts = now() >= paused_until_;
        for (auto& each : listeners_)
          polled.push_back({accepts ? each.get() : -1, POLLIN, 0});
        ids.clear();
        for (auto& [id, each] : connections_) {
          ids.push_back(id);
          polled.push_back({each.descriptor(), each.interest(), 0});
        }
        ::poll(polled.data(), polled.size(), wait_milliseconds(accepts));
        let_time_pass();
        for (auto& what : jobs.take())
          what();
        auto first = 1 + (polled.size() - 1 - ids.size());
        for (std::size_t index = 0; index < ids.size(); ++index)
          if (polled[first + index].revents != 0)
            go_on(ids[index]);
        for (std::size_t index = 1; index < first; ++index)
          if (polled[index].revents != 0)
            accept_from(polled[index].fd);
      }
      finish();
    }

    void listen(socket from) {
      listeners_.push_back(std::move(from));
    }

    void dial(dial_job job) {
      if (job.tried == job.where.size())
        return job.done(job.last.code != errc::none
                          ? job.last
                          : problem{errc::bad_argument, "there is no address to dial"});
      auto& where = job.where[job.tried++];
      if (job.last = refuse_plain(where, "dial"); job.last.code != errc::none)
        return dial(std::move(job));
      auto id = next_id();
      auto who = job.who;
      dials_.emplace(id, std::move(job));
      step(net::dial{id, who});
      auto waiting = dials_.find(id);
      if (waiting == dials_.end())
        return; // refused at once
      auto made = start_connect(waiting->second.where[waiting->second.tried - 1]);
      if (!made)
        return step(broken{id, verdict::unreachable});
      connections_.emplace(id, connection{std::move(*made), side::dialled});
    }

    void step(const event& what) {
      auto moment = now();
      tell_who_is_alive(moment);
      table_.step(moment, what, out_);
      carry_out();
    }

  private:
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
      for (auto& each : parked_)
        consider(each.deadline);
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
      for (auto& each : take_parked([&](auto& it) { return it.deadline <= moment; }))
        each.job.done(each.job.last);
    }

    /// Links are looked at when one of them seems to be silent, and only then.
    void tell_who_is_alive(time_point moment) {
      auto next = table_.next_deadline();
      if (!next || *next > moment)
        return;
      for (auto& [id, which] : links_)
        table_.step(moment, alive{id, to_time(which->heard_at())}, out_);
    }

    template <class Condition>
    std::vector<parked_dial> take_parked(Condition condition) {
      auto middle = std::stable_partition(parked_.begin(), parked_.end(),
                                          [&](auto& each) { return !condition(each); });
      std::vector<parked_dial> result{std::move_iterator{middle},
                                      std::move_iterator{parked_.end()}};
      parked_.erase(middle, parked_.end());
      return result;
    }

    // -- connections -----------------------------------------------------------------

    void accept_from(int listener) {
      for (auto count = 0; count < max_accepts_in_a_row; ++count) {
        socket made{::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (!made) {
          // No descriptor left: the connection stays, and poll would wake us for ever.
          if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            paused_until_ = now() + accept_pause;
          return;
        }
        auto id = next_id();
        connections_.emplace(id, connection{std::move(made), side::accepted});
        step(accepted{id});
        go_on(id);
      }
    }

    /// Takes a connection as far as it goes without waiting.
    void go_on(connection_id id) {
      for (;;) {
        auto found = connections_.find(id);
        if (found == connections_.end())
          return;
        auto news = found->second.next(make_stream_);
        if (!news)
          return;
        std::visit([&](auto& each) { learn(id, each); }, *news);
      }
    }

    void learn(connection_id id, connection::ready) {
      if (dials_.contains(id))
        step(connected{id});
    }

    void learn(connection_id id, greeting& said) {
      step(heard{id, std::move(said)});
    }

    void learn(connection_id id, verdict why) {
      step(broken{id, why});
      assert(!connections_.contains(id));
    }

    // -- effects ---------------------------------------------------------------------

    /// Carries out all effects, also those that they lead to.
    void carry_out() {
      if (std::exchange(carrying_out_, true))
        return;
      while (!out_.empty())
        for (auto& what : std::exchange(out_, {}))
          std::visit([this](auto& each) { perform(each); }, what);
      carrying_out_ = false;
    }

    void perform(const say& what) {
      auto found = connections_.find(what.connection);
      if (found != connections_.end() && !found->second.say(what.what))
        step(broken{what.connection, verdict::closed});
    }

    void perform(const drop& what) {
      connections_.erase(what.connection);
      auto found = dials_.extract(what.connection);
      if (!found)
        return;
      auto& job = found.mapped();
      job.last = to_problem(what.why, job.place());
      switch (what.why) {
        case verdict::linked:
        case verdict::greeting:
        case verdict::dialling:
        case verdict::crossed: // the same node, another connection: it may still become a link
          return what.peer ? park(*what.peer, std::move(job)) : job.done(job.last);
        case verdict::unreachable:
        case verdict::timed_out:
        case verdict::closed: // the host may have another address
          return dial(std::move(job));
        default:
          return job.done(job.last);
      }
    }

    void park(const node_id& who, dial_job job) {
      if (auto number = table_.link_to(who))
        if (auto found = links_.find(*number);
            found != links_.end() && found->second->has_been_up())
          return job.done(found->second);
      auto& limits = options_.table;
      parked_.push_back(
        {who, now() + limits.connect_timeout + limits.greeting_timeout, std::move(job)});
    }

    void perform(hand_over& what) {
      auto found = connections_.extract(what.connection);
      if (!found)
        return;
      auto [descriptor, stream] = found.mapped().release();
      auto made
        = std::make_shared<link>(what.connection, std::move(what.peer), what.end, descriptor);
      links_.emplace(what.connection, made);
      link_count = links_.size();
      auto own_basp_node = table_.self().basp_node;
      caf::io::scribe_ptr scribe{caf::make_counted<link_scribe>(
        dynamic_cast<multiplexer&>(sys_.middleman().backend()), descriptor, std::move(stream),
        std::move(made), options_, std::move(own_basp_node), shared_from_this())};
      // The message by which CAF's own tests join two instances: both write the server's
      // handshake, so both check application identifiers, and a redundant connection is
      // closed rather than kept as one that BASP does not know.
      compat::anon_send(sys_.middleman().named_broker<caf::io::basp_broker>("BASP"),
                        caf::publish_atom_v, std::move(scribe), std::uint16_t{0},
                        caf::strong_actor_ptr{}, std::set<std::string>{});
    }

    void perform(const close_link& what) {
      if (auto found = links_.find(what.connection); found != links_.end())
        found->second->close(what.why);
    }

    void perform(const adopt& what) {
      set_cluster(what.cluster);
      tell(&link_events::on_adopted, what.cluster);
    }

    // -- links -----------------------------------------------------------------------

    void bring_up(const link_ptr& which) {
      step(up{which->number()});
      if (auto found = dials_.extract(which->number()))
        found.mapped().done(which);
      for (auto& each : take_parked([&](auto& it) { return it.who == which->peer().node; }))
        each.job.done(which);
    }

    void end(const link_ptr& which) {
      if (links_.erase(which->number()) == 0)
        return;
      link_count = links_.size();
      which->close("closed by the peer"); // unless there was a reason before
      step(ended{which->number()});
      release(which);
      if (auto found = dials_.extract(which->number()))
        found.mapped().done(to_problem(verdict::closed, found.mapped().place()));
      if (which->has_been_up())
        tell(&link_events::on_down, which, which->reason());
    }

    static void release(const link_ptr& which) {
      if (auto carrier = which->release_actors())
        compat::anon_send(carrier, link_lost{});
    }

    template <class... Parameters, class... Ts>
    void tell(std::function<void(Parameters...)> link_events::*which, const Ts&... what) {
      std::shared_lock guard{events_mutex_};
      if (auto& call = events_.*which)
        call(what...);
    }

    /// The end of the thread.
    void finish() {
      for (auto& what : jobs.close())
        what();
      connections_.clear();
      listeners_.clear();
      for (auto& [id, job] : std::exchange(dials_, {}))
        job.done(to_problem(verdict::stopped, job.place()));
      for (auto& each : std::exchange(parked_, {}))
        each.job.done(to_problem(verdict::stopped, each.job.place()));
      for (auto& [id, which] : std::exchange(links_, {})) {
        which->close("this node is stopping");
        release(which);
      }
      link_count = 0;
    }

    connection_id next_id() {
      return ++last_id_;
    }

    static constexpr int max_accepts_in_a_row = 64;
    static constexpr duration accept_pause = std::chrono::milliseconds{100};

    caf::actor_system& sys_;
    const link_options options_;
    const bool is_plain_;
    const stream_maker make_stream_;
    const clock::time_point started_ = clock::now();
    std::shared_mutex events_mutex_;
    link_events events_;
    mutable std::mutex self_mutex_;
    hello self_;

    link_table table_;
    link_table::effects out_;
    bool carrying_out_ = false;
    std::vector<socket> listeners_;
    time_point paused_until_{};
    std::map<connection_id, connection> connections_;
    /// Those that wait for their connection, or for it to be an up link.
    std::map<connection_id, dial_job> dials_;
    std::vector<parked_dial> parked_;
    std::map<connection_id, link_ptr> links_;
    /// Above all descriptors, by which BASP knows its other connections.
    connection_id last_id_ = connection_id{1} << 32U;
  };

  gate(caf::actor_system& sys, caf::strong_actor_ptr entry_point, std::shared_ptr<loop> inside)
    : sys_(sys), entry_point_(std::move(entry_point)), loop_(std::move(inside)) {
    if (entry_point_) // BASP finds receivers there
      sys_.registry().put(entry_point_->id(), entry_point_);
    thread_ = std::thread{[it = loop_] { it->run(); }};
  }

  static duration heartbeat_of(caf::actor_system& sys) {
    return caf::get_or(sys.config(), "caf.middleman.heartbeat-interval",
                       caf::defaults::middleman::heartbeat_interval);
  }

  caf::actor_system& sys_;
  caf::strong_actor_ptr entry_point_;
  std::shared_ptr<loop> loop_;
  std::thread thread_;
};

/// Makes `cfg` fit for links: loads CAF's middleman, lets BASP send a heartbeat every
/// 500 ms and leaves time-outs to us, and takes the scheduler that answers over links
/// four times sooner. For an actor system of one's own: call it before that is made.
inline void configure_links(caf::actor_system_config& cfg) {
  cfg.load<caf::io::middleman>();
  cfg.set("caf.scheduler.policy", "sharing"); // idle workers of "stealing" sleep 50 us a hop
  cfg.set("caf.middleman.heartbeat-interval", caf::timespan{std::chrono::milliseconds{500}});
  cfg.set("caf.middleman.connection-timeout", caf::timespan{std::chrono::hours{24}});
}

} // namespace troupe::net
