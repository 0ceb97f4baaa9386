#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/random.hpp"
#include "troupe/core/rolling_hash.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/faults.hpp"

/// A simulated world: many processes in one thread, on a schedule that one seed determines.
namespace troupe::sim {

/// Number of a process, from zero.
using process_id = std::uint32_t;

template <class Process>
class world;

/// A process's access to the world: clock, network and disk. Valid until the process is killed.
template <class Process>
class environment {
public:
  environment(world<Process>& home, process_id self, std::uint64_t life)
    : home_(home), self_(self), life_(life) {}

  [[nodiscard]] process_id self() const {
    return self_;
  }

  /// Counts the starts of this process.
  [[nodiscard]] std::uint64_t life() const {
    return life_;
  }

  /// The process's own clock: steady, may drift from the others, and continues over restarts.
  [[nodiscard]] time_point now() const;

  /// The process's wall clock; may be set back, see faults.
  [[nodiscard]] wall_time calendar() const;

  /// Sends a message, which may be lost, late or duplicated. One to itself always arrives.
  void send(process_id to, typename Process::message what);

  /// Sends a message over a connection: it may be late, and arrives once unless the path is cut or
  /// the receiver is down.
  void send_over_link(process_id to, typename Process::message what);

  /// Calls `job` once a write that begins now is synced; never if the process is killed before.
  void sync(std::function<void()> job);

  /// Whether the disk accepts writes now.
  [[nodiscard]] bool has_room() const;

  /// Calls `job` after `span` of the world's time; never if the process is killed before.
  void after(duration span, std::function<void()> job);

  /// Returns how long a message to another thread of this process takes. Random for each call; see
  /// mailbox.
  [[nodiscard]] duration handover();

  /// The disk, which survives the process.
  [[nodiscard]] typename Process::disk& disk();

  /// Data shared by all processes of the world and its observers.
  [[nodiscard]] typename Process::setting& setting();

  [[nodiscard]] random_source& random();

private:
  world<Process>& home_;
  process_id self_;
  std::uint64_t life_;
};

/// A process that a world can run. `disk` is made once for each process; its crash(), called when
/// the process is killed, drops writes that were not synced. One `setting` is shared by all.
template <class P>
concept process
  = requires(P subject, const P& frozen, environment<P>& here, const typename P::message& what,
             typename P::disk& disk, random_source& random) {
  P{here};
  subject.receive(process_id{}, what);
  subject.wake();
  { frozen.next_deadline() } -> std::same_as<std::optional<time_point>>;
  disk.crash(random);
};

/// Runs processes in virtual time. The same seed gives exactly the same run: all random choices
/// come from it, and all events are in one queue. Not thread-safe. Cost of an event: O(log n) in
/// the events in the queue.
template <class Process>
class world {
public:
  /// The first `fragile` processes (all, if not given) are killed and paused, and have faulty
  /// disks and clocks. The others, such as clients, only have a faulty network.
  world(std::uint64_t seed, process_id count, const faults& what,
        typename Process::setting shared = {}, std::optional<process_id> fragile = {})
    : random_(seed),
      faults_(what),
      shared_(std::move(shared)),
      places_(count),
      fragile_(fragile.value_or(count)) {
    for (process_id which = 0; which < fragile_; ++which)
      places_[which].rate = drift();
  }

  world(const world&) = delete;
  world& operator=(const world&) = delete;

  /// Starts a process that is down.
  void start(process_id which) {
    auto& place = places_.at(which);
    assert(!place.running);
    ++place.life;
    place.here = std::make_unique<environment<Process>>(*this, which, place.life);
    place.running = std::make_unique<Process>(*place.here);
    note(kind::start, which, place.life);
    arm(which);
  }

  /// Starts a process, unless it runs.
  void start_if_down(process_id which) {
    if (at(which) == nullptr)
      start(which);
  }

  void start_all() {
    for (process_id which = 0; which < size(); ++which)
      start(which);
  }

  /// As kill -9: unsynced writes are lost.
  void kill(process_id which) {
    auto& place = places_.at(which);
    if (!place.running)
      return;
    place.running.reset();
    place.here.reset();
    place.armed_for.reset(); // its alarm is void
    place.disk.crash(random_);
    note(kind::kill, which, place.life);
  }

  /// Kills a process, and starts it again after a random time, see after(); unless it runs by then.
  void restart(process_id which, std::chrono::milliseconds least, std::chrono::milliseconds below) {
    kill(which);
    after(least, below, [this, which] { start_if_down(which); });
  }

  /// As SIGSTOP: the process sees events of this time when it continues.
  void pause(process_id which, duration span) {
    places_.at(which).paused_until = now_ + span;
    note(kind::pause, which, 0);
  }

  /// Its disk is full for `span`.
  void fill(process_id which, duration span) {
    places_.at(which).full_until = now_ + span;
    note(kind::full, which, 0);
  }

  [[nodiscard]] bool has_room(process_id which) const {
    return now_ >= places_.at(which).full_until;
  }

  /// Cuts the links from each of `from` to each of `to`, in that direction.
  void cut(const std::set<process_id>& from, const std::set<process_id>& to) {
    for (auto source : from)
      for (auto target : to)
        if (source != target)
          cuts_.emplace(source, target);
  }

  void heal() {
    cuts_.clear();
  }

  /// Cuts a process off from all others; half of the time it still sends, or still hears. After a
  /// random time, see after(), all links are healed.
  void isolate(process_id which, std::chrono::milliseconds least, std::chrono::milliseconds below) {
    auto others = all_but(which);
    auto ways = random_.below(4);
    if (ways != 0)
      cut({which}, others);
    if (ways != 1)
      cut(others, {which});
    after(least, below, [this] { heal(); });
  }

  /// Begins kills, pauses, partitions and full disks. Messages are lost from the start of the
  /// world.
  void begin_faults() {
    plan_faults();
  }

  /// Ends all faults: links are healed, and processes that are down start again.
  void end_faults() {
    auto quiet = faults_;
    quiet.loss = quiet.duplication = quiet.straggler = quiet.starved = 0;
    quiet.kill_every = quiet.pause_every = quiet.partition_every = duration{};
    quiet.calendar_every = quiet.disk_full_every = {};
    faults_ = quiet;
    ++epoch_;
    heal();
    for (process_id which = 0; which < size(); ++which) {
      places_[which].paused_until = std::min(places_[which].paused_until, now_);
      places_[which].calendar_behind = {};
      places_[which].full_until = now_;
      if (!places_[which].running)
        start(which);
    }
  }

  /// Cuts the path between two processes, both ways; all others reach both. After a random time,
  /// see after(), all links are healed.
  void cut_between(process_id one, process_id other, std::chrono::milliseconds least,
                   std::chrono::milliseconds below) {
    cut({one}, {other});
    cut({other}, {one});
    after(least, below, [this] { heal(); });
  }

  /// Calls `look` after every event. It must not change anything.
  void observe(std::function<void(process_id)> look) {
    look_ = std::move(look);
  }

  /// Calls `job` after `span`, whichever processes run: for clients and operators.
  void after(duration span, std::function<void()> job) {
    push(now_ + span, [job = std::move(job)] { job(); });
  }

  /// Calls `job` after a random number of milliseconds, at least `least` and less than `below`.
  /// @pre least < below
  void after(std::chrono::milliseconds least, std::chrono::milliseconds below,
             std::function<void()> job) {
    auto more = random_.below(static_cast<std::uint64_t>((below - least).count()));
    after(least + std::chrono::milliseconds{more}, std::move(job));
  }

  /// Calls `job` every `mean`, on average, until the faults end; never, if `mean` is zero.
  void every(duration mean, std::function<void()> job) {
    repeat(mean, duration::zero(), std::move(job));
  }

  /// Runs all events up to `end` of the world's time.
  void run_until(duration end) {
    while (!queue_.empty() && queue_.top().at <= end)
      step();
    now_ = std::max(now_, end);
  }

  /// Runs until done() is true or the time is `end`. Returns whether it was done.
  template <class Done>
  bool run_until(duration end, Done done) {
    while (!done()) {
      if (queue_.empty() || queue_.top().at > end)
        return false;
      step();
    }
    return true;
  }

  [[nodiscard]] duration now() const {
    return now_;
  }

  [[nodiscard]] process_id size() const {
    return static_cast<process_id>(places_.size());
  }

  /// Returns a random one of the processes that are killed and paused.
  [[nodiscard]] process_id any() {
    return static_cast<process_id>(random_.below(fragile_));
  }

  /// Returns all processes but one.
  [[nodiscard]] std::set<process_id> all_but(process_id which) const {
    std::set<process_id> others;
    for (process_id each = 0; each < size(); ++each)
      if (each != which)
        others.insert(each);
    return others;
  }

  /// The process; null while it is down.
  [[nodiscard]] Process* at(process_id which) {
    return places_.at(which).running.get();
  }

  [[nodiscard]] typename Process::disk& disk(process_id which) {
    return places_.at(which).disk;
  }

  [[nodiscard]] typename Process::setting& setting() {
    return shared_;
  }

  [[nodiscard]] random_source& random() {
    return random_;
  }

  [[nodiscard]] std::uint64_t events() const {
    return events_;
  }

  /// Hash of all events: equal for two runs of the same seed.
  [[nodiscard]] std::uint64_t trace() const {
    return trace_.value();
  }

  /// Sets the alarm of a process to its next deadline. Call after each step of the process.
  void arm(process_id which) {
    auto& place = places_.at(which);
    if (!place.running)
      return;
    auto next = place.running->next_deadline();
    if (!next)
      return;
    auto at = std::max({now_, world_time(place, *next), place.paused_until});
    if (place.armed_for && *place.armed_for <= at && *place.armed_for > now_)
      return;
    place.armed_for = at;
    push(at, [this, which, life = place.life, at] { wake(which, life, at); });
  }

private:
  friend class environment<Process>;

  enum class kind : std::uint8_t { start, kill, pause, deliver, wake, sync, partition, full };

  struct node {
    std::unique_ptr<environment<Process>> here;
    std::unique_ptr<Process> running;
    typename Process::disk disk;
    std::uint64_t life = 0;
    duration paused_until{};
    duration full_until{}; // its disk
    std::int64_t rate = 0; // how fast its clock runs, in parts per million
    duration calendar_behind{};
    std::optional<duration> armed_for;
  };

  struct due {
    duration at{};
    std::uint64_t order = 0;
    std::shared_ptr<std::function<void()>> job;

    friend bool operator<(const due& x, const due& y) { // the queue's top is its largest
      return std::pair{x.at, x.order} > std::pair{y.at, y.order};
    }
  };

  void push(duration at, std::function<void()> job) {
    queue_.push({at, ++order_, std::make_shared<std::function<void()>>(std::move(job))});
  }

  void step() {
    auto next = queue_.top();
    queue_.pop();
    now_ = std::max(now_, next.at);
    ++events_;
    (*next.job)();
  }

  void note(kind what, process_id which, std::uint64_t number) {
    std::string line;
    for (auto value : {static_cast<std::uint64_t>(now_.count()), static_cast<std::uint64_t>(what),
                       std::uint64_t{which}, number})
      for (unsigned byte = 0; byte < 8; ++byte)
        line.push_back(static_cast<char>((value >> (8 * byte)) & 0xffU));
    trace_.add(line);
  }

  void looked(process_id which) {
    arm(which);
    if (look_)
      look_(which);
  }

  void wake(process_id which, std::uint64_t life, duration at) {
    auto& place = places_[which];
    if (!place.running || place.life != life || place.armed_for != at)
      return;
    place.armed_for.reset();
    if (now_ < place.paused_until)
      return arm(which);
    note(kind::wake, which, 0);
    place.running->wake();
    looked(which);
  }

  // -- clocks -----------------------------------------------------------------------------

  std::int64_t drift() {
    if (faults_.clock_drift == 0)
      return 0;
    auto range = std::uint64_t{faults_.clock_drift};
    return static_cast<std::int64_t>(random_.below(2 * range + 1))
           - static_cast<std::int64_t>(range);
  }

  [[nodiscard]] static time_point local_time(const node& where, duration at) {
    constexpr std::int64_t million = 1'000'000;
    auto count = at.count();
    return time_point{
      at + duration{count / million * where.rate + count % million * where.rate / million}};
  }

  /// The first time of the world at which the clock there shows `at` or later.
  [[nodiscard]] static duration world_time(const node& where, time_point at) {
    constexpr std::int64_t million = 1'000'000;
    if (at == time_point::max())
      return duration::max();
    auto local = at.time_since_epoch().count();
    auto rest = local % (million + where.rate);
    auto result = duration{local / (million + where.rate) * million};
    result += std::chrono::microseconds{rest * million / (million + where.rate) / 1'000};
    while (local_time(where, result) < at)
      result += std::chrono::microseconds{1};
    return result;
  }

  // -- the network --------------------------------------------------------------------------

  duration between(duration low, duration high) {
    return low
           + duration{static_cast<std::int64_t>(
             random_.below(static_cast<std::uint64_t>((high - low).count()) + 1))};
  }

  bool happens(std::uint32_t chance) {
    return chance > 0 && random_.below(faults::always) < chance;
  }

  void transmit(process_id from, process_id to, typename Process::message what) {
    auto copies = 1;
    if (to < size() && from != to) {
      if (cuts_.contains({from, to}) || happens(faults_.loss))
        return;
      copies += happens(faults_.duplication) ? 1 : 0;
    }
    deliver(from, to, std::move(what), copies);
  }

  void deliver(process_id from, process_id to, typename Process::message what, int copies) {
    if (to >= size() || cuts_.contains({from, to}))
      return;
    auto shared = std::make_shared<typename Process::message>(std::move(what));
    for (auto copy = 0; copy < copies; ++copy) {
      auto delay = between(faults_.min_delay, faults_.max_delay);
      if (happens(faults_.straggler))
        delay = between(faults_.min_delay, faults_.straggler_delay);
      push(now_ + delay, [this, from, to, shared] { arrive(from, to, shared); });
    }
  }

  void arrive(process_id from, process_id to,
              const std::shared_ptr<typename Process::message>& what) {
    auto& place = places_[to];
    if (!place.running || cuts_.contains({from, to}))
      return;
    if (now_ < place.paused_until) {
      push(place.paused_until, [this, from, to, what] { arrive(from, to, what); });
      return;
    }
    note(kind::deliver, to, from);
    place.running->receive(from, *what);
    looked(to);
  }

  void run_later(process_id which, std::uint64_t life, duration at, std::function<void()> job) {
    push(at, [this, which, life, job = std::move(job)] {
      auto& place = places_[which];
      if (!place.running || place.life != life)
        return;
      if (now_ < place.paused_until)
        return run_later(which, life, place.paused_until, job);
      note(kind::sync, which, 0);
      job();
      looked(which);
    });
  }

  // -- faults -------------------------------------------------------------------------------

  void plan_faults() {
    plan(faults_.kill_every, [this] { kill_one(); });
    plan(faults_.pause_every, [this] { pause_one(); });
    plan(faults_.partition_every, [this] { part(); });
    plan(faults_.calendar_every, [this] {
      auto& place = places_[any()];
      place.calendar_behind = random_.one_in(2) ? faults_.calendar_back : duration{};
    });
    plan(faults_.disk_full_every,
         [this] { fill(any(), between(duration{1}, faults_.disk_full_for)); });
  }

  void plan(duration mean, std::function<void()> job) {
    repeat(mean, duration{1}, std::move(job));
  }

  /// Each time after `least` and a random time below twice `mean`.
  void repeat(duration mean, duration least, std::function<void()> job) {
    if (mean <= duration::zero())
      return;
    auto most = least + 2 * mean - duration{1};
    push(now_ + between(least, most), [this, mean, least, job = std::move(job), epoch = epoch_] {
      if (epoch != epoch_)
        return;
      job();
      repeat(mean, least, job);
    });
  }

  void kill_one() {
    auto which = any();
    if (!places_[which].running)
      return;
    kill(which);
    push(now_ + between(duration{1}, faults_.down_for), [this, which, epoch = epoch_] {
      if (epoch == epoch_)
        start_if_down(which);
    });
  }

  void pause_one() {
    pause(any(), between(duration{1}, faults_.pause_for));
  }

  void part() {
    std::set<process_id> one;
    std::set<process_id> other;
    for (process_id which = 0; which < size(); ++which)
      (random_.one_in(2) ? one : other).insert(which);
    note(kind::partition, static_cast<process_id>(one.size()), 0);
    cut(one, other);
    if (!happens(faults_.one_way))
      cut(other, one);
    push(now_ + between(duration{1}, faults_.partition_for), [this, epoch = epoch_] {
      if (epoch == epoch_)
        heal();
    });
  }

  random_source random_;
  faults faults_;
  typename Process::setting shared_;
  std::vector<node> places_;
  process_id fragile_;
  std::set<std::pair<process_id, process_id>> cuts_;
  std::priority_queue<due> queue_;
  std::function<void(process_id)> look_;
  rolling_hash trace_;
  duration now_{};
  std::uint64_t order_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t epoch_ = 0;
};

template <class Process>
time_point environment<Process>::now() const {
  return world<Process>::local_time(home_.places_[self_], home_.now_);
}

template <class Process>
wall_time environment<Process>::calendar() const {
  constexpr auto birth = std::chrono::hours{500'000}; // in 2027: calendars are not near zero
  return wall_time{birth + home_.now_ - home_.places_[self_].calendar_behind};
}

template <class Process>
void environment<Process>::send(process_id to, typename Process::message what) {
  home_.transmit(self_, to, std::move(what));
}

template <class Process>
void environment<Process>::send_over_link(process_id to, typename Process::message what) {
  home_.deliver(self_, to, std::move(what), 1);
}

template <class Process>
void environment<Process>::sync(std::function<void()> job) {
  auto span = home_.between(home_.faults_.min_sync, home_.faults_.max_sync);
  home_.run_later(self_, life_, home_.now_ + span, std::move(job));
}

template <class Process>
bool environment<Process>::has_room() const {
  return home_.has_room(self_);
}

template <class Process>
void environment<Process>::after(duration span, std::function<void()> job) {
  home_.run_later(self_, life_, home_.now_ + span, std::move(job));
}

template <class Process>
duration environment<Process>::handover() {
  auto& what = home_.faults_;
  auto at_most = home_.happens(what.starved) ? what.starved_for
                 : home_.happens(what.busy)  ? what.busy_for
                                             : what.max_handover;
  return home_.between(duration::zero(), at_most);
}

template <class Process>
typename Process::disk& environment<Process>::disk() {
  return home_.places_[self_].disk;
}

template <class Process>
typename Process::setting& environment<Process>::setting() {
  return home_.shared_;
}

template <class Process>
random_source& environment<Process>::random() {
  return home_.random_;
}

} // namespace troupe::sim
