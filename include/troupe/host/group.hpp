#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/stateful_actor.hpp"
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

/// What a group tells the program that runs this node. Called on the group's actor: must not
/// block.
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

/// The actor around a group_core: clock, disk thread and peers. Holds no rule.
class group_state_actor {
public:
  static inline const char* name = "troupe.group";

  struct prepared {
    group_options how;
    group_listener listener;
    std::set<service_id> services;
    std::shared_ptr<group_log> log;
    stored_group stored;
  };

  group_state_actor(caf::event_based_actor* self, const std::shared_ptr<prepared>& from)
    : self_(self), from_(from), started_(self->clock().now()), metrics_(self->system()) {
    ignore_strays(self_);
    self_->set_down_handler([this](const caf::down_msg& gone) { lost(gone.source); });
  }

  caf::behavior make_behavior() {
    return {
      [this](const group_message& what) {
        if (core_ && what.to == core_->consensus().self())
          receive(what);
      },
    };
  }

  // -- jobs, all on this actor ---------------------------------------------------------

  struct service {
    job_runner home;
    std::function<void(group_event&)> tell;
  };

  void join(service_id which, service who) {
    services_[which] = std::move(who);
  }

  /// From here on messages and time count; all services have joined.
  void start() {
    core_.emplace(from_->stored.seat, from_->how, from_->services, from_->stored.state, now());
    if (from_->stored.state.base.index > 0)
      if (auto why = core_->begin(from_->stored.snapshot, out_); why.code != errc::none)
        out_.push_back(group_core::stop{std::move(why)});
    from_->stored = {};
    carry_out();
  }

  void step(request_id id, const group_core::event& what) {
    if (!core_)
      return;
    core_->step(now(), id, what, out_);
    carry_out();
  }

  void set_peer(raft::seat_id seat, const caf::strong_actor_ptr& who) {
    if (auto known = peers_.find(seat); known != peers_.end()) {
      if (known->second == who)
        return;
      peers_.erase(known);
    }
    if (!who)
      return;
    peers_[seat] = who;
    self_->monitor(who);
  }

  void ask(const raft::replica::event& what, std::function<void(const problem&)> done) {
    if (!core_)
      return done({errc::unreachable, "the group has not started on this node; retry"});
    auto id = ++last_asker_;
    askers_.emplace(id, std::move(done));
    step(id, what);
  }

  void look(const std::function<void(const group_status&)>& done) {
    if (core_)
      done({core_->consensus().look(now()), core_->applied()});
    else
      done({});
  }

  /// See group::back_up().
  void back_up(std::function<void(result<group_backup>)> done) {
    if (!core_ || core_->consensus().current_role() != raft::role::leader)
      return done(problem{errc::not_leader, "this node follows; ask the one that leads"});
    if (back_up_)
      return done(problem{errc::busy, "a backup is being made; retry when it is done"});
    back_up_ = std::move(done);
    back_up_after_ = core_->applied();
    step(0, group_core::snapshot_now{});
  }

  /// This node takes part no more: its services lead nothing, and whoever waits is told why.
  void stop(const problem& why) {
    if (!core_)
      return;
    core_.reset();
    for (auto& [which, who] : services_) {
      to_service::follow what{which, why};
      handle(what);
    }
    for (auto& [id, done] : std::exchange(askers_, {}))
      done(why);
    if (auto done = std::exchange(back_up_, nullptr))
      done(why);
    if (from_->listener.stopped)
      from_->listener.stopped(why);
  }

private:
  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now() - started_};
  }

  void receive(const group_message& what) {
    auto content = from_bytes<raft::message>(what.bytes);
    if (content)
      step(0, raft::replica::event{raft::replica::received{what.from, *std::move(content)}});
  }

  void lost(const caf::actor_addr& gone) {
    for (auto each = peers_.begin(); each != peers_.end();)
      if (each->second && each->second->address() == gone) {
        auto seat = each->first;
        each = peers_.erase(each);
        step(0, raft::replica::event{raft::replica::lost_link{seat}});
      } else {
        ++each;
      }
  }

  void carry_out() {
    while (!out_.empty() && core_)
      for (auto& what : std::exchange(out_, {}))
        if (core_)
          std::visit([this](auto& each) { handle(each); }, what);
    out_.clear();
    if (core_)
      metrics_.applied(core_->applied());
    arm();
  }

  // -- effects: the network --------------------------------------------------------------

  void handle(group_core::send& what) {
    auto found = peers_.find(what.to);
    if (found == peers_.end()) {
      auto& members = core_->consensus().members().members;
      if (auto who = members.find(what.to); who != members.end() && from_->listener.wants_peer)
        from_->listener.wants_peer(what.to, who->second.contact);
      return;
    }
    self_->send(caf::actor_cast<caf::actor>(found->second),
                group_message{core_->consensus().self(), what.to, to_bytes(what.what)});
  }

  // -- effects: the disk -------------------------------------------------------------------

  job_runner home() {
    return [self = caf::weak_actor_ptr{self_->ctrl()}](std::function<void()> job) {
      run_on(self, std::move(job));
    };
  }

  void handle(group_core::write& what) {
    writer_.run([this, back = home(), log = from_->log,
                 kept = std::make_shared<const group_core::write>(std::move(what))] {
      auto begun = std::chrono::steady_clock::now();
      auto why = log->write(*kept);
      metrics_.synced(kept->entries.size(), std::chrono::steady_clock::now() - begun);
      back([this, number = kept->number, why] { written(number, why); });
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
    auto expendable = core_->consensus().expendable(index);
    save_next(std::make_shared<group_log::saving>(what.what, expendable), index);
  }

  /// Part by part, with entries in between.
  void save_next(const std::shared_ptr<group_log::saving>& what, raft::log_index index) {
    writer_.run([this, back = home(), log = from_->log, what, index] {
      auto why = log->save(*what);
      back([this, what, index, why] {
        if (why.code != errc::none)
          step(0, group_core::saved{index, false});
        else if (what->is_done())
          saved(index);
        else
          save_next(what, index);
      });
    });
  }

  void saved(raft::log_index index) {
    step(0, group_core::saved{index, true});
    if (!back_up_ || index <= back_up_after_)
      return;
    writer_.run([this, back = home(), log = from_->log] {
      auto found = log->newest();
      back([this, found] {
        auto done = std::exchange(back_up_, nullptr);
        if (!done)
          return;
        if (!found)
          return done(found.error());
        auto& header = found->header;
        done(group_backup{header.index, header.term, header.at, {}, *found->bytes});
      });
    });
  }

  void handle(group_core::load_snapshot&) {
    writer_.run([this, back = home(), log = from_->log] {
      auto found = log->newest();
      back([this, found] {
        if (!found)
          return stop(found.error());
        step(0, raft::replica::event{raft::replica::loaded{*found}});
      });
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
    if (auto done = what.now != raft::role::leader ? std::exchange(back_up_, nullptr) : nullptr)
      done(problem{errc::not_leader, "this node follows now; ask the one that leads"});
    if (from_->listener.changed_role)
      from_->listener.changed_role(what);
  }

  void handle(group_core::members_are& what) {
    metrics_.members_are(what.members);
    if (from_->listener.members_are)
      from_->listener.members_are(what.members);
  }

  void handle(group_core::forgot& what) {
    if (from_->listener.forgot)
      from_->listener.forgot(what.seat);
  }

  void handle(group_core::ignored&) {}

  void handle(group_core::proposed& what) {
    answer(what.id, {});
  }

  void handle(group_core::refused& what) {
    answer(what.id, what.why);
  }

  void handle(group_core::stop& what) {
    stop(what.why);
  }

  void answer(request_id id, const problem& why) {
    if (auto found = askers_.extract(id))
      found.mapped()(why);
  }

  void arm() {
    if (!core_)
      return;
    auto next = core_->next_deadline();
    if (!next)
      return;
    timer_.arm(self_, started_ + next->time_since_epoch(), [this] {
      if (!core_)
        return;
      core_->tick(now(), out_);
      if (core_->consensus().current_role() == raft::role::leader && now() >= mark_at_) {
        mark_at_ = now() + mark_every;
        writer_.run(
          [log = from_->log, time = core_->consensus().time_of_group(now())] { log->mark(time); });
      }
      carry_out();
    });
  }

  static constexpr duration mark_every = std::chrono::seconds{1};

  caf::event_based_actor* self_;
  std::shared_ptr<prepared> from_;
  caf::actor_clock::time_point started_;
  group_metrics metrics_;
  std::optional<group_core> core_; // none before the start, and after a stop
  group_core::effects out_;
  std::map<raft::seat_id, caf::strong_actor_ptr> peers_;
  std::map<service_id, service> services_;
  std::map<request_id, std::function<void(const problem&)>> askers_;
  request_id last_asker_ = 0;
  std::function<void(result<group_backup>)> back_up_;
  raft::log_index back_up_after_ = 0;
  deadline_timer timer_;
  time_point mark_at_{};
  worker_thread writer_;
};

using group_actor = caf::stateful_actor<group_state_actor>;

class group_seat final : public group_member {
public:
  group_seat(caf::actor group, service_id which, std::uint64_t life, bool is_recovered)
    : group_(std::move(group)), which_(which), life_(life), is_recovered_(is_recovered) {}

  void join(job_runner home, std::function<void(group_event&)> tell) override {
    run([which = which_, who = group_state_actor::service{std::move(home), std::move(tell)}](
          group_state_actor& group) mutable { group.join(which, std::move(who)); });
  }

  void propose(proposal what) override {
    step(0, group_core::propose{which_, std::move(what)});
  }

  void read(request_id id) override {
    step(id, group_core::read{which_});
  }

  void give_section(raft::log_index index, std::string bytes) override {
    step(0, group_core::section{which_, index, std::move(bytes)});
  }

  void stop(problem why) override {
    run([why = std::move(why)](group_state_actor& group) { group.stop(why); });
  }

  [[nodiscard]] std::uint64_t life() const override {
    return life_;
  }

  [[nodiscard]] bool is_recovered() const override {
    return is_recovered_;
  }

private:
  template <class Job>
  void run(Job job) {
    run_on_state<group_state_actor>(group_, std::move(job));
  }

  void step(request_id id, group_core::event what) {
    run([id, what = std::move(what)](group_state_actor& group) { group.step(id, what); });
  }

  caf::actor group_;
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
  /// cannot be.
  static caf::expected<group> open(caf::actor_system& sys, const std::filesystem::path& file,
                                   const std::set<service_id>& services, group_options how = {},
                                   group_listener listener = {}) {
    auto from = std::make_shared<detail::group_state_actor::prepared>();
    from->log = std::make_shared<group_log>(file);
    if (auto why = from->log->load(from->stored); why.code != errc::none)
      return to_error(std::move(why));
    if (how.consensus.seed == 0)
      how.consensus.seed = random_seed();
    from->how = how;
    from->listener = std::move(listener);
    from->services = services;
    group made;
    made.seat_ = from->stored.seat;
    made.is_recovered_ = from->stored.is_recovered;
    made.is_new_ = from->stored.state.last_ballot.term == 0 && from->stored.state.base.index == 0;
    made.life_ = random_seed() | 1U;
    made.inside_ = sys.spawn<detail::group_actor, caf::hidden>(from);
    return made;
  }

  /// For host::replicated: where the service of this number takes part.
  [[nodiscard]] std::shared_ptr<group_member> seat(service_id which) const {
    return std::make_shared<detail::group_seat>(inside_, which, life_, is_recovered_);
  }

  void start() const {
    run([](detail::group_state_actor& state) { state.start(); });
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
    run([seat, where](detail::group_state_actor& state) { state.set_peer(seat, where); });
  }

  /// Founds, adds, promotes, removes, moves or hands over; `done` is called on the group's
  /// actor: with errc::none once the request is in the log, not_leader where this node
  /// does not lead.
  void ask(const raft::replica::event& what, std::function<void(const problem&)> done) const {
    run(
      [what, done = std::move(done)](detail::group_state_actor& state) { state.ask(what, done); });
  }

  void look(std::function<void(const group_status&)> done) const {
    run([done = std::move(done)](detail::group_state_actor& state) { state.look(done); });
  }

  /// Makes a snapshot of all that is committed when this is asked; `done` gets it on the group's
  /// actor. Errors: not_leader, busy (one is being made), failed.
  void back_up(std::function<void(result<group_backup>)> done) const {
    run([done = std::move(done)](detail::group_state_actor& state) { state.back_up(done); });
  }

  /// Takes part no more; what is committed stays.
  void stop() const {
    if (inside_)
      caf::anon_send_exit(inside_, caf::exit_reason::user_shutdown);
  }

private:
  template <class Job>
  void run(Job job) const {
    if (inside_)
      run_on_state<detail::group_state_actor>(inside_, std::move(job));
  }

  caf::actor inside_;
  raft::seat_id seat_;
  std::uint64_t life_ = 0;
  bool is_new_ = false;
  bool is_recovered_ = false;
};

} // namespace troupe::host
