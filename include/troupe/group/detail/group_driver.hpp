#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
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
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/group/group_backup.hpp"
#include "troupe/group/group_core.hpp"
#include "troupe/group/group_listener.hpp"
#include "troupe/group/group_log.hpp"
#include "troupe/group/group_metrics.hpp"
#include "troupe/host/any_host.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/platform/worker_thread.hpp"

namespace troupe::host::detail {

/// Runs a group_core: provides clock, threads, peers and services. Contains no rules.
///
/// Whichever thread delivers a message, a proposal or a disk completion steps the core, under a
/// lock. It also carries out the effects, without the lock; if another thread is doing so, it
/// leaves them to that one. So no thread has to be woken for a step, and effects are carried out
/// in their order.
///
/// Long jobs have their own threads: one for the disk, and one that encodes snapshots, as a
/// service, a sync or a heartbeat must not wait for a large state.
class group_driver : public std::enable_shared_from_this<group_driver> {
public:
  struct prepared {
    group_options how;
    group_listener listener;
    std::set<service_id> services;
    /// Those of the services that the program adds.
    std::map<service_id, service_title> own;
    std::shared_ptr<group_log> log;
    stored_group stored;
    /// The file group_options::event_log.
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
      writer_(std::make_unique<worker_thread>("troupe.disk")) {}

  /// Sets the function that arranges one call of wake(when) at that time, not earlier. Call it
  /// first.
  void set_alarm(std::function<void(time_point)> alarm) {
    alarm_ = std::move(alarm);
  }

  /// Sets the actor that its messages come from. Call it before start().
  void set_actor(caf::weak_actor_ptr who) {
    actor_ = std::move(who);
  }

  /// Adds a service. Call it before start().
  void join(service_id which, service who) {
    std::lock_guard guard{mutex_};
    services_[which] = std::move(who);
  }

  /// Starts the core, which then handles messages and time. Call it after all services have joined.
  void start() {
    std::unique_lock guard{mutex_};
    if (!writer_ || core_)
      return;
    auto& stored = from_.stored;
    std::map<service_id, std::uint32_t> rules;
    for (auto each : from_.services)
      rules[each] = services_.contains(each) ? services_.at(each).rules : 1;
    core_.emplace(seat(), from_.how, rules, stored.state, now(), from_.own);
    if (from_.events.is_open())
      core_->write_events(&events_.emplace(from_.events, seat(), stored.state));
    if (stored.state.base.index > 0)
      if (auto why = core_->begin(stored.snapshot, out_))
        out_.push_back(group_core::stop{std::move(why)});
    stored = {};
    for (auto& [seat, who] : peers_)
      core_->step(now(), 0, raft::replica::event{raft::replica::found_link{seat}}, out_);
    go_on(guard);
  }

  /// Call it at the time that the alarm was set to.
  void wake(time_point when) {
    std::unique_lock guard{mutex_};
    if (wake_at_ != when)
      return; // an earlier alarm has replaced it
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

  /// See group_member.
  void give_section(service_id which, raft::log_index index, std::function<std::string()> write) {
    run_aside([which, index, write = std::move(write)](group_driver& self) mutable {
      group_core::section made;
      auto why = guarded(
        [&] { made = group_core::section_of(which, index, std::exchange(write, nullptr)()); });
      if (why)
        return self.step(
          0, group_core::ended{which,
                               {errc::unreachable, "its state cannot be encoded: " + why.detail}});
      self.step(0, std::move(made));
    });
  }

  [[nodiscard]] raft::member_id seat() const {
    return seat_;
  }

  /// Replaces the member id `lost`, whose disk has lost synced data, by `fresh`; then calls `done`,
  /// on any thread.
  /// Errors: those of the disk; the member id does not change then.
  void change_seat(raft::member_id lost, raft::member_id fresh,
                   std::function<void(const problem&)> done) {
    run_on_disk([self = shared_from_this(), lost, fresh, done = std::move(done)](group_log& log) {
      if (self->seat() != lost)
        return done({});
      auto why = log.change_seat(fresh);
      if (!why) {
        self->seat_ = fresh;
        self->step(0, raft::replica::event{raft::replica::change_seat{fresh}});
      }
      done(why);
    });
  }

  /// A message counts only if `from` speaks for that member: see group_listener::speaks_for.
  void receive(const group_message& what, const caf::strong_actor_ptr& from) {
    if (what.to != seat())
      return;
    auto content = from_bytes<raft::message>(what.bytes); // before the lock
    std::unique_lock guard{mutex_};
    if (is_of_another(what.from, from))
      return;
    if (content)
      return step(guard, 0,
                  raft::replica::event{raft::replica::received{what.from, *std::move(content)}});
    if (core_)
      out_.push_back(
        group_core::ignored{what.from, {errc::damaged, "a message that cannot be decoded"}});
    go_on(guard);
  }

  /// Returns false if `who` is already set, and after the end.
  bool set_peer(raft::member_id seat, const caf::strong_actor_ptr& who) {
    std::unique_lock guard{mutex_};
    if (!writer_)
      return false;
    auto known = peers_.find(seat);
    if (known != peers_.end() && known->second == who)
      return false;
    if (who) {
      peers_[seat] = who;
      step(guard, 0, raft::replica::event{raft::replica::found_link{seat}});
    } else {
      peers_.erase(seat);
    }
    return true;
  }

  void lost(const caf::actor_addr& gone) {
    std::unique_lock guard{mutex_};
    std::vector<raft::member_id> seats;
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
        found = {core_->consensus().look(now()), core_->applied(), core_->own_view_of_all()};
    }
    done(found);
  }

  /// See group::quorum().
  [[nodiscard]] quorum_view quorum() {
    std::lock_guard guard{mutex_};
    return core_ ? core_->quorum(now()) : quorum_view{};
  }

  /// See group::back_up().
  void back_up(std::function<void(result<group_backup>)> done) {
    std::unique_lock guard{mutex_};
    if (!core_ || core_->consensus().current_role() != raft::role::leader) {
      guard.unlock();
      return done(problem{errc::not_leader, "this node is a follower; ask the leader"});
    }
    if (back_up_) {
      guard.unlock();
      return done(problem{errc::busy, "a backup is being made; retry when it is done"});
    }
    back_up_ = std::move(done);
    back_up_after_ = core_->applied();
    step(guard, 0, group_core::snapshot_now{});
  }

  /// Stops the participation of this node: its services follow, and waiting callers get `why`.
  void stop(const problem& why) {
    std::unique_lock guard{mutex_};
    if (core_)
      out_.push_back(group_core::stop{why});
    go_on(guard);
  }

  /// Ends the driver: later inputs are ignored, and the file is closed on return.
  void close() {
    std::unique_lock guard{mutex_};
    core_.reset();
    out_.clear();
    auto peers = std::exchange(peers_, {}); // otherwise drivers would keep each other alive
    auto writer = std::move(writer_);
    auto scribe = std::move(scribe_);
    guard.unlock();
    scribe.reset(); // after its current job
    writer.reset(); // after all its jobs
    from_.log.reset();
  }

private:
  using lock = std::unique_lock<std::mutex>;

  /// The time of the actor clock, which services use, too.
  [[nodiscard]] time_point now() const {
    return time_point{clock_.now().time_since_epoch()};
  }

  /// Under the lock.
  [[nodiscard]] bool is_of_another(raft::member_id seat, const caf::strong_actor_ptr& from) const {
    if (core_ && from_.listener.speaks_for) {
      auto& members = core_->consensus().members().members;
      if (auto member = members.find(seat); member != members.end())
        return !from_.listener.speaks_for(member->second.contact, from);
    }
    auto known = peers_.find(seat);
    return known != peers_.end() && (!from || from->node() != known->second->node());
  }

  void step(lock& guard, request_id id, group_core::event what) {
    if (!core_)
      return;
    core_->step(now(), id, std::move(what), out_);
    go_on(guard);
  }

  /// Call it after each input: carries out the effects, and sets the alarm.
  void go_on(lock& guard) {
    if (auto next = core_ ? core_->next_deadline() : std::nullopt;
        next && (!wake_at_ || *next < *wake_at_)) {
      wake_at_ = next;
      wants_timer_ = true;
    }
    if (std::exchange(is_carrying_out_, true))
      return; // the thread that is doing so carries out ours, too
    while (!out_.empty() || wants_timer_) {
      doing_.swap(out_);
      auto timer = std::exchange(wants_timer_, false) ? wake_at_ : std::nullopt;
      auto applied = core_ ? core_->applied() : 0;
      guard.unlock();
      for (auto& what : doing_)
        if (!is_stopped_)
          troupe::visit([this](auto& each) { handle(each); }, what);
      doing_.clear();
      if (applied > 0)
        metrics_.applied(applied);
      if (timer)
        alarm_(*timer);
      guard.lock();
    }
    is_carrying_out_ = false;
  }

  // -- what takes long --------------------------------------------------------------------

  /// Runs `job(group_driver&)` on the thread for long jobs; not at all once the core has stopped.
  template <class Job>
  void run_aside(Job job) {
    static_cast<void>(run_anyway([self = shared_from_this(), job = std::move(job)]() mutable {
      if (self->is_running())
        job(*self);
    }));
  }

  /// The same, also if the core stops before it is its turn. Returns false if that has stopped.
  template <class Job>
  [[nodiscard]] bool run_anyway(Job job) {
    std::lock_guard guard{mutex_};
    if (!core_)
      return false;
    if (!scribe_)
      scribe_ = std::make_unique<worker_thread>("troupe.snapshot");
    scribe_->run(std::move(job));
    return true;
  }

  [[nodiscard]] bool is_running() {
    std::lock_guard guard{mutex_};
    return core_.has_value();
  }

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
      peer->enqueue(actor_.lock(), caf::make_message_id(),
                    caf::make_message(group_message{seat(), what.to, to_bytes(what.what)}),
                    nullptr);
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

  void handle(group_core::note_commit& what) {
    run_on_disk([index = what.index](group_log& log) { log.note_commit(index); });
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
    auto index = what.header.index;
    raft::log_index expendable = 0;
    {
      std::lock_guard guard{mutex_};
      if (!core_)
        return;
      expendable = core_->consensus().expendable(index);
    }
    run_aside([kept = std::make_shared<const group_core::save>(std::move(what)), index,
               expendable](group_driver& self) {
      self.save_next(
        std::make_shared<group_log::saving>(group_core::to_snapshot(*kept), expendable), index);
    });
  }

  /// Saves part by part, with entries in between.
  void save_next(const std::shared_ptr<group_log::saving>& what, raft::log_index index) {
    run_on_disk([self = shared_from_this(), what, index](group_log& log) {
      auto why = log.save(*what);
      if (why)
        self->not_saved(index, why);
      else if (what->is_done())
        self->saved(index, log);
      else
        self->save_next(what, index);
    });
  }

  void not_saved(raft::log_index index, const problem& why) {
    if (why.code != errc::storage_full)
      return stop(why); // the content of the disk is unknown
    step(0, group_core::saved{index, false});
    if (auto done = take_back_up(index))
      done(why);
  }

  /// On the disk's thread.
  void saved(raft::log_index index, group_log& log) {
    step(0, group_core::saved{index, true});
    auto done = take_back_up(index);
    if (!done)
      return;
    auto found = log.newest();
    if (!found)
      return done(found.error());
    auto give = [what = *found, done = std::move(done)] {
      done(group_backup{what.header.index, what.header.term, what.header.at, {}, *what.bytes});
    };
    if (!run_anyway(give)) // somebody waits for it
      give();
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
        done(problem{errc::not_leader, "this node is a follower now; ask the leader"});
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

  void handle(group_core::warned& what) {
    if (from_.listener.warned)
      from_.listener.warned(what.why);
  }

  void handle(group_core::disk_room& what) {
    if (from_.listener.disk_room)
      from_.listener.disk_room(what.why);
  }

  void handle(group_core::ignored& what) {
    metrics_.ignored();
    if (from_.listener.ignored)
      from_.listener.ignored(what);
  }

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

  /// Returns the callback of the waiting backup if a snapshot at entry `index` is new enough.
  [[nodiscard]] std::function<void(result<group_backup>)>
  take_back_up(raft::log_index index = std::numeric_limits<raft::log_index>::max()) {
    std::lock_guard guard{mutex_};
    return index > back_up_after_ ? std::exchange(back_up_, nullptr) : nullptr;
  }

  static constexpr duration mark_every = std::chrono::seconds{1};

  caf::actor_clock& clock_;
  prepared from_;
  std::atomic<raft::member_id> seat_; // changes on the disk's thread only
  std::function<void(time_point)> alarm_;
  caf::weak_actor_ptr actor_;
  std::map<service_id, service> services_; // does not change after the start

  // -- used by the thread that carries out -------------------------------------------------

  group_metrics metrics_;
  group_core::effects doing_;
  bool is_stopped_ = false;

  // -- under the lock ------------------------------------------------------------------------

  std::mutex mutex_;
  std::optional<raft::event_log> events_;
  std::optional<group_core> core_; // empty before the start and after a stop
  group_core::effects out_;
  bool is_carrying_out_ = false;
  std::map<raft::member_id, caf::strong_actor_ptr> peers_;
  std::map<request_id, std::function<void(const problem&)>> askers_;
  request_id last_asker_ = 0;
  std::function<void(result<group_backup>)> back_up_;
  raft::log_index back_up_after_ = 0;
  std::optional<time_point> wake_at_; // what the alarm is set to
  bool wants_timer_ = false;
  time_point mark_at_{};
  std::unique_ptr<worker_thread> writer_; // null after close()
  std::unique_ptr<worker_thread> scribe_; // null before the first snapshot and after close()
};

} // namespace troupe::host::detail
