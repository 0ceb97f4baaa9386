#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_clock.hpp"
#include "caf/actor_system.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/entropy.hpp"
#include "troupe/core/worker_thread.hpp"
#include "troupe/host/group_backup.hpp"
#include "troupe/host/group_core.hpp"
#include "troupe/host/group_log.hpp"
#include "troupe/host/group_member.hpp"
#include "troupe/host/group_metrics.hpp"
#include "troupe/host/messages.hpp"

namespace troupe::host {

/// What a group tells the program that runs this node: in the order in which it happens, one
/// call at a time, on any thread. Must not block.
struct group_listener {
  std::function<void(const group_core::changed_role&)> changed_role;
  std::function<void(const raft::configuration&)> members_are;
  /// A message for this seat had nowhere to go: make a link to `contact`, then set_peer().
  std::function<void(raft::seat_id, const std::string& contact)> wants_peer;
  /// This member has lost what it had synced: remove it.
  std::function<void(raft::seat_id)> forgot;
  /// This node takes part no more.
  std::function<void(const problem&)> stopped;
};

/// How a group stands, for people and tests.
struct group_status {
  raft::replica::status consensus;
  raft::log_index applied = 0;
};

namespace detail {

/// Drives a group_core: clock, disk thread, peers and services. Holds no rule.
///
/// Whoever brings an input steps the core, under a lock: a link's thread a message, the disk's
/// that something is written, a service a proposal. It also carries out what comes of that,
/// without the lock; or, if another thread does so just then, leaves it to that one. So no
/// thread has to be woken for a step, and effects are carried out in their order.
class group_driver : public std::enable_shared_from_this<group_driver> {
public:
  struct prepared {
    group_options how;
    group_listener listener;
    std::set<service_id> services;
    std::shared_ptr<group_log> log;
    stored_group stored;
    /// Of group_options::event_log.
    std::ofstream events;
  };

  struct service {
    std::uint32_t rules = 1;
    job_runner home;
    std::function<void(group_event&)> tell;
  };

  group_driver(caf::actor_system& sys, prepared from)
    : clock_(sys.clock()),
      from_(std::move(from)),
      seat_(from_.stored.seat),
      metrics_(sys),
      writer_(std::make_unique<worker_thread>()) {}

  /// The actor that has the timer. Comes first.
  void set_home(const caf::actor& self) {
    home_ = caf::actor_cast<caf::weak_actor_ptr>(self);
  }

  /// Before start().
  void join(service_id which, service who) {
    std::lock_guard guard{mutex_};
    services_[which] = std::move(who);
  }

  /// From here on messages and time count; all services have joined.
  void start() {
    std::unique_lock guard{mutex_};
    if (!writer_ || core_)
      return;
    auto& stored = from_.stored;
    std::map<service_id, std::uint32_t> rules;
    for (auto each : from_.services)
      rules[each] = services_.contains(each) ? services_.at(each).rules : 1;
    core_.emplace(seat_, from_.how, rules, stored.state, now());
    if (from_.events.is_open())
      core_->write_events(&events_.emplace(from_.events, seat_, stored.state));
    if (stored.state.base.index > 0)
      if (auto why = core_->begin(stored.snapshot, out_); why.code != errc::none)
        out_.push_back(group_core::stop{std::move(why)});
    stored = {};
    go_on(guard);
  }

  /// Of the actor, when its timer ends.
  void wake() {
    std::unique_lock guard{mutex_};
    wake_at_.reset();
    if (!core_)
      return;
    core_->tick(now(), out_);
    if (core_->consensus().current_role() == raft::role::leader && now() >= mark_at_) {
      mark_at_ = now() + mark_every;
      writer_->run(
        [log = from_.log, time = core_->consensus().time_of_group(now())] { log->mark(time); });
    }
    go_on(guard);
  }

  void step(request_id id, group_core::event what) {
    std::unique_lock guard{mutex_};
    step(guard, id, std::move(what));
  }

  void receive(const group_message& what) {
    if (what.to != seat_)
      return;
    if (auto content = from_bytes<raft::message>(what.bytes))
      step(0, raft::replica::event{raft::replica::received{what.from, *std::move(content)}});
  }

  /// Returns false if that is known, and after the end.
  bool set_peer(raft::seat_id seat, const caf::strong_actor_ptr& who) {
    std::lock_guard guard{mutex_};
    if (!writer_)
      return false;
    auto known = peers_.find(seat);
    if (known != peers_.end() && known->second == who)
      return false;
    if (who)
      peers_[seat] = who;
    else
      peers_.erase(seat);
    return true;
  }

  void lost(const caf::actor_addr& gone) {
    std::unique_lock guard{mutex_};
    std::vector<raft::seat_id> seats;
    std::erase_if(peers_, [&](auto& each) {
      auto is_gone = each.second->address() == gone;
      if (is_gone)
        seats.push_back(each.first);
      return is_gone;
    });
    for (auto each : seats)
      if (core_)
        core_->step(now(), 0, raft::replica::event{raft::replica::lost_link{each}}, out_);
    go_on(guard);
  }

  void ask(const raft::replica::event& what, std::function<void(const problem&)> done) {
    std::unique_lock guard{mutex_};
    if (!core_) {
      guard.unlock();
      return done({errc::unreachable, "the group has not started on this node; retry"});
    }
    auto id = ++last_asker_;
    askers_.emplace(id, std::move(done));
    step(guard, id, what);
  }

  void look(const std::function<void(const group_status&)>& done) {
    group_status found;
    {
      std::lock_guard guard{mutex_};
      if (core_)
        found = {core_->consensus().look(now()), core_->applied()};
    }
    done(found);
  }

  /// See group::back_up().
  void back_up(std::function<void(result<group_backup>)> done) {
    std::unique_lock guard{mutex_};
    if (!core_ || core_->consensus().current_role() != raft::role::leader) {
      guard.unlock();
      return done(problem{errc::not_leader, "this node follows; ask the one that leads"});
    }
    if (back_up_) {
      guard.unlock();
      return done(problem{errc::busy, "a backup is being made; retry when it is done"});
    }
    back_up_ = std::move(done);
    back_up_after_ = core_->applied();
    step(guard, 0, group_core::snapshot_now{});
  }

  /// This node takes part no more: its services lead nothing, and whoever waits is told why.
  void stop(const problem& why) {
    std::unique_lock guard{mutex_};
    if (core_)
      out_.push_back(group_core::stop{why});
    go_on(guard);
  }

  /// The end: no input counts any more, and the file is closed on return.
  void close() {
    std::unique_lock guard{mutex_};
    core_.reset();
    out_.clear();
    auto peers = std::exchange(peers_, {}); // drivers that know each other would keep each other
    auto writer = std::move(writer_);
    guard.unlock();
    writer.reset(); // what was given to it is written
    from_.log.reset();
  }

private:
  using lock = std::unique_lock<std::mutex>;

  /// As the clock of the actors shows it: services go on from there.
  [[nodiscard]] time_point now() const {
    return time_point{clock_.now().time_since_epoch()};
  }

  void step(lock& guard, request_id id, group_core::event what) {
    if (!core_)
      return;
    core_->step(now(), id, std::move(what), out_);
    go_on(guard);
  }

  /// After each input: carries out what it led to, and sees to it that the actor wakes in time.
  void go_on(lock& guard) {
    if (auto next = core_ ? core_->next_deadline() : std::nullopt;
        next && (!wake_at_ || *next < *wake_at_)) {
      wake_at_ = next;
      wants_timer_ = true;
    }
    if (std::exchange(is_carrying_out_, true))
      return; // whoever does that takes ours along
    while (!out_.empty() || wants_timer_) {
      doing_.swap(out_);
      auto timer = std::exchange(wants_timer_, false) ? wake_at_ : std::nullopt;
      auto applied = core_ ? core_->applied() : 0;
      guard.unlock();
      for (auto& what : doing_)
        if (!is_stopped_)
          std::visit([this](auto& each) { handle(each); }, what);
      doing_.clear();
      if (applied > 0)
        metrics_.applied(applied);
      if (timer)
        wake_at(*timer);
      guard.lock();
    }
    is_carrying_out_ = false;
  }

  inline void wake_at(time_point when); // needs the actor

  // -- effects: the network --------------------------------------------------------------

  void handle(group_core::send& what) {
    std::optional<std::string> contact;
    caf::strong_actor_ptr peer;
    {
      std::lock_guard guard{mutex_};
      if (auto found = peers_.find(what.to); found != peers_.end())
        peer = found->second;
      else if (core_)
        if (auto& members = core_->consensus().members().members; members.contains(what.to))
          contact = members.at(what.to).contact;
    }
    if (peer)
      compat::anon_send(caf::actor_cast<caf::actor>(peer),
                        group_message{seat_, what.to, to_bytes(what.what)});
    else if (contact && from_.listener.wants_peer)
      from_.listener.wants_peer(what.to, *contact);
  }

  // -- effects: the disk -------------------------------------------------------------------

  /// Runs `job(group_log&)` on the disk's thread.
  template <class Job>
  void run_on_disk(Job job) {
    std::lock_guard guard{mutex_};
    if (writer_)
      writer_->run([log = from_.log, job = std::move(job)]() mutable { job(*log); });
  }

  void handle(group_core::write& what) {
    auto kept = std::make_shared<const group_core::write>(std::move(what));
    run_on_disk([self = shared_from_this(), kept](group_log& log) {
      auto begun = std::chrono::steady_clock::now();
      auto why = log.write(*kept);
      self->metrics_.synced(kept->entries.size(), std::chrono::steady_clock::now() - begun);
      self->written(kept->number, why);
    });
  }

  void written(std::uint64_t number, const problem& why) {
    switch (why.code) {
      case errc::none:
        return step(0, raft::replica::event{raft::replica::written{number}});
      case errc::storage_full:
        return step(0, raft::replica::event{raft::replica::not_written{why}});
      default:
        stop(why);
    }
  }

  void handle(group_core::save& what) {
    auto index = what.what.header.index;
    raft::log_index expendable = 0;
    {
      std::lock_guard guard{mutex_};
      if (!core_)
        return;
      expendable = core_->consensus().expendable(index);
    }
    save_next(std::make_shared<group_log::saving>(what.what, expendable), index);
  }

  /// Part by part, with entries in between.
  void save_next(const std::shared_ptr<group_log::saving>& what, raft::log_index index) {
    run_on_disk([self = shared_from_this(), what, index](group_log& log) {
      auto why = log.save(*what);
      if (why.code != errc::none)
        self->step(0, group_core::saved{index, false});
      else if (what->is_done())
        self->saved(index, log);
      else
        self->save_next(what, index);
    });
  }

  /// On the disk's thread.
  void saved(raft::log_index index, group_log& log) {
    step(0, group_core::saved{index, true});
    lock guard{mutex_};
    auto done = index > back_up_after_ ? std::exchange(back_up_, nullptr) : nullptr;
    guard.unlock();
    if (!done)
      return;
    auto found = log.newest();
    if (!found)
      return done(found.error());
    auto& header = found->header;
    done(group_backup{header.index, header.term, header.at, {}, *found->bytes});
  }

  void handle(group_core::load_snapshot&) {
    run_on_disk([self = shared_from_this()](group_log& log) {
      auto found = log.newest();
      if (!found)
        return self->stop(found.error());
      self->step(0, raft::replica::event{raft::replica::loaded{*found}});
    });
  }

  // -- effects: the services ---------------------------------------------------------------

  template <class Effect>
  requires std::is_constructible_v<group_event, Effect>
  void handle(Effect& what) {
    auto found = services_.find(what.service);
    if (found == services_.end())
      return;
    found->second.home([tell = found->second.tell,
                        kept = std::make_shared<group_event>(std::move(what))] { tell(*kept); });
  }

  // -- effects: the program ------------------------------------------------------------------

  void handle(group_core::changed_role& what) {
    metrics_.changed_role(what.now, what.term, what.leader);
    if (what.now != raft::role::leader)
      if (auto done = take_back_up())
        done(problem{errc::not_leader, "this node follows now; ask the one that leads"});
    if (from_.listener.changed_role)
      from_.listener.changed_role(what);
  }

  void handle(group_core::members_are& what) {
    metrics_.members_are(what.members);
    if (from_.listener.members_are)
      from_.listener.members_are(what.members);
  }

  void handle(group_core::forgot& what) {
    if (from_.listener.forgot)
      from_.listener.forgot(what.seat);
  }

  void handle(group_core::ignored&) {}

  void handle(group_core::proposed& what) {
    answer(what.id, {});
  }

  void handle(group_core::refused& what) {
    answer(what.id, what.why);
  }

  void handle(group_core::stop& what) {
    is_stopped_ = true;
    lock guard{mutex_};
    core_.reset();
    auto askers = std::exchange(askers_, {});
    guard.unlock();
    for (auto& [which, who] : services_) {
      to_service::follow told{which, what.why};
      handle(told);
    }
    for (auto& [id, done] : askers)
      done(what.why);
    if (auto done = take_back_up())
      done(what.why);
    if (from_.listener.stopped)
      from_.listener.stopped(what.why);
  }

  void answer(request_id id, const problem& why) {
    lock guard{mutex_};
    auto found = askers_.extract(id);
    guard.unlock();
    if (found)
      found.mapped()(why);
  }

  [[nodiscard]] std::function<void(result<group_backup>)> take_back_up() {
    std::lock_guard guard{mutex_};
    return std::exchange(back_up_, nullptr);
  }

  static constexpr duration mark_every = std::chrono::seconds{1};

  caf::actor_clock& clock_;
  prepared from_;
  const raft::seat_id seat_;
  caf::weak_actor_ptr home_;
  std::map<service_id, service> services_; // does not change after the start

  // -- of whoever carries out --------------------------------------------------------------

  group_metrics metrics_;
  group_core::effects doing_;
  bool is_stopped_ = false;

  // -- under the lock ------------------------------------------------------------------------

  std::mutex mutex_;
  std::optional<raft::event_log> events_;
  std::optional<group_core> core_; // none before the start, and after a stop
  group_core::effects out_;
  bool is_carrying_out_ = false;
  std::map<raft::seat_id, caf::strong_actor_ptr> peers_;
  std::map<request_id, std::function<void(const problem&)>> askers_;
  request_id last_asker_ = 0;
  std::function<void(result<group_backup>)> back_up_;
  raft::log_index back_up_after_ = 0;
  std::optional<time_point> wake_at_; // when the timer of the actor ends
  bool wants_timer_ = false;
  time_point mark_at_{};
  std::unique_ptr<worker_thread> writer_; // none after close()
};

/// What of a group needs an actor: its timer, and word of peers that are gone.
class group_state_actor {
public:
  static inline const char* name = "troupe.group";

  group_state_actor(caf::event_based_actor* self, std::shared_ptr<group_driver> driver)
    : self_(self), driver_(std::move(driver)) {
    ignore_strays(self_);
    self_->set_down_handler([this](const caf::down_msg& gone) { driver_->lost(gone.source); });
  }

  ~group_state_actor() {
    driver_->close();
  }

  group_state_actor(const group_state_actor&) = delete;
  group_state_actor& operator=(const group_state_actor&) = delete;

  caf::behavior make_behavior() {
    return {
      [this](const group_message& what) { driver_->receive(what); },
    };
  }

  /// The driver hears when it is gone.
  void watch(const caf::strong_actor_ptr& who) {
    self_->monitor(who);
  }

  void arm(caf::actor_clock::time_point when) {
    timer_.arm(self_, when, [this] { driver_->wake(); });
  }

private:
  caf::event_based_actor* self_;
  std::shared_ptr<group_driver> driver_;
  deadline_timer timer_;
};

/// Hands messages of the group to its driver in the thread that brings them.
class group_actor : public caf::stateful_actor<group_state_actor> {
public:
  group_actor(caf::actor_config& how, const std::shared_ptr<group_driver>& driver)
    : caf::stateful_actor<group_state_actor>(how, driver), driver_(driver) {}

  bool enqueue(caf::mailbox_element_ptr what, compat::execution_context* context) override {
    if (!what->content().match_elements<group_message>())
      return caf::stateful_actor<group_state_actor>::enqueue(std::move(what), context);
    driver_->receive(what->content().get_as<group_message>(0));
    return true;
  }

private:
  std::shared_ptr<group_driver> driver_;
};

inline void group_driver::wake_at(time_point when) {
  if (auto self = home_.lock())
    run_on_state<group_state_actor>(caf::actor_cast<caf::actor>(self),
                                    [when = caf::actor_clock::time_point{when.time_since_epoch()}](
                                      group_state_actor& state) { state.arm(when); });
}

class group_seat final : public group_member {
public:
  group_seat(std::shared_ptr<group_driver> group, service_id which, std::uint64_t life,
             bool is_recovered)
    : group_(std::move(group)), which_(which), life_(life), is_recovered_(is_recovered) {}

  void join(std::uint32_t rules, job_runner home, std::function<void(group_event&)> tell) override {
    group_->join(which_, {rules, std::move(home), std::move(tell)});
  }

  void propose(proposal what) override {
    group_->step(0, group_core::propose{which_, std::move(what)});
  }

  void read(request_id id) override {
    group_->step(id, group_core::read{which_});
  }

  void give_section(raft::log_index index, std::string bytes) override {
    group_->step(0, group_core::section{which_, index, std::move(bytes)});
  }

  void stop(problem why) override {
    group_->stop(why);
  }

  [[nodiscard]] std::uint64_t life() const override {
    return life_;
  }

  [[nodiscard]] bool is_recovered() const override {
    return is_recovered_;
  }

private:
  std::shared_ptr<group_driver> group_;
  service_id which_;
  std::uint64_t life_;
  bool is_recovered_;
};

} // namespace detail

/// This node's share of a group of nodes that runs services on one replicated log. Make it,
/// spawn its services on seat(n), then start it. Copies share it; thread-safe.
class group {
public:
  group() = default;

  /// Reads the log in `file`, so it blocks. Returns damaged, incompatible or in_use if that
  /// cannot be; failed if group_options::event_log cannot be written.
  static caf::expected<group> open(caf::actor_system& sys, const std::filesystem::path& file,
                                   const std::set<service_id>& services, group_options how = {},
                                   group_listener listener = {}) {
    detail::group_driver::prepared from;
    from.log = std::make_shared<group_log>(file);
    if (auto why = from.log->load(from.stored); why.code != errc::none)
      return to_error(std::move(why));
    if (how.consensus.seed == 0)
      how.consensus.seed = random_seed();
    if (!how.event_log.empty()) {
      from.events.open(how.event_log, std::ios::app);
      if (!from.events)
        return to_error({errc::failed, "the Raft event log " + how.event_log.string()
                                         + " cannot be written; see that its folder is there"});
    }
    from.how = how;
    from.listener = std::move(listener);
    from.services = services;
    group made;
    made.seat_ = from.stored.seat;
    made.is_recovered_ = from.stored.is_recovered;
    made.is_new_ = from.stored.state.last_ballot.term == 0 && from.stored.state.base.index == 0;
    made.life_ = random_seed() | 1U;
    made.driver_ = std::make_shared<detail::group_driver>(sys, std::move(from));
    made.inside_ = sys.spawn<detail::group_actor, caf::hidden>(made.driver_);
    made.driver_->set_home(made.inside_);
    return made;
  }

  /// For host::replicated: where the service of this number takes part.
  [[nodiscard]] std::shared_ptr<group_member> seat(service_id which) const {
    return std::make_shared<detail::group_seat>(driver_, which, life_, is_recovered_);
  }

  void start() const {
    if (driver_)
      driver_->start();
  }

  /// The seat of this node's log.
  [[nodiscard]] raft::seat_id seat() const {
    return seat_;
  }

  /// Whether the log is empty: the group is to be founded, or joined.
  [[nodiscard]] bool is_new() const {
    return is_new_;
  }

  /// To be told to the other members, for their set_peer().
  [[nodiscard]] const caf::actor& handle() const {
    return inside_;
  }

  /// The member `seat` is reached there; null: nowhere.
  void set_peer(raft::seat_id seat, const caf::strong_actor_ptr& where) const {
    if (driver_ && driver_->set_peer(seat, where) && where)
      run_on_state<detail::group_state_actor>(
        inside_, [where](detail::group_state_actor& state) { state.watch(where); });
  }

  /// Founds, adds, promotes, removes, moves or hands over; `done` is called on any thread, must
  /// not block: with errc::none once the request is in the log, not_leader where this node does
  /// not lead.
  void ask(const raft::replica::event& what, std::function<void(const problem&)> done) const {
    if (driver_)
      driver_->ask(what, std::move(done));
  }

  /// Calls `done` before it returns.
  void look(const std::function<void(const group_status&)>& done) const {
    if (driver_)
      driver_->look(done);
  }

  /// Makes a snapshot of all that is committed when this is asked; `done` gets it on any thread,
  /// must not block. Errors: not_leader, busy (one is being made), failed.
  void back_up(std::function<void(result<group_backup>)> done) const {
    if (driver_)
      driver_->back_up(std::move(done));
  }

  /// Takes part no more; what is committed stays.
  void stop() const {
    if (inside_)
      caf::anon_send_exit(inside_, caf::exit_reason::user_shutdown);
  }

private:
  caf::actor inside_;
  std::shared_ptr<detail::group_driver> driver_;
  raft::seat_id seat_;
  std::uint64_t life_ = 0;
  bool is_new_ = false;
  bool is_recovered_ = false;
};

} // namespace troupe::host
