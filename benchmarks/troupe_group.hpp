#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/io/middleman.hpp"
#include "caf/scoped_actor.hpp"
#include "closed_loop.hpp"
#include "free_port.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/group.hpp"
#include "troupe/host/replicated.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/state/state_service.hpp"
#include "troupe/testing/child_process.hpp"

/// Three processes that replicate state and locks on one log, and clients of them.
namespace troupe::benchmark {

using namespace std::literals;

struct group_config : caf::actor_system_config {
  group_config() {
    load<caf::io::middleman>();
    set("caf.scheduler.policy", "sharing");
    set("caf.scheduler.max-threads", 2);
  }
};

inline void init_group_messages() {
  caf::core::init_global_meta_objects();
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host, caf::id_block::troupe_state,
                caf::id_block::troupe_lock>();
  caf::io::middleman::init_global_meta_objects();
}

/// What a member says of itself to whoever asks at its port.
struct member_card {
  raft::seat_id seat;
  caf::actor group;
  caf::actor state;
  caf::actor locks;
  bool leads = false;
  std::size_t voters = 0;
  raft::log_index applied = 0;
};

using card_result = caf::result<raft::seat_id, caf::actor, caf::actor, caf::actor, bool,
                                std::uint64_t, std::uint64_t>;

/// Asks the member at `port`, and introduces the one that asks, if it is a member itself.
template <class... Introduction>
std::optional<member_card> ask_member(caf::actor_system& sys, std::uint16_t port,
                                      const Introduction&... who) {
  auto door = sys.middleman().remote_actor("127.0.0.1", port);
  if (!door)
    return std::nullopt;
  std::optional<member_card> found;
  caf::scoped_actor self{sys};
  self->request(*door, 1s, caf::get_atom_v, who...)
    .receive(
      [&](raft::seat_id seat, const caf::actor& group, const caf::actor& state,
          const caf::actor& locks, bool leads, std::uint64_t voters, std::uint64_t applied) {
        found = member_card{seat, group, state, locks, leads, voters, applied};
      },
      [](const caf::error&) {});
  return found;
}

/// One member, until the process is killed. The first one founds the group, and the one that
/// leads makes voters of the others.
class group_process {
public:
  group_process(const std::filesystem::path& file, const timers& how, std::size_t place,
                std::vector<std::uint16_t> ports)
    : place_(place), ports_(std::move(ports)) {
    host::group_options options;
    options.consensus.heartbeat = how.heartbeat;
    options.consensus.election_timeout = how.election;
    host::group_listener listener;
    listener.changed_role = [this](const auto& what) { leads_ = what.now == raft::role::leader; };
    listener.stopped = [](const problem& why) { fail(why.detail); };
    auto made = host::group::open(sys_, file, {state_seat, locks_seat}, options, listener);
    if (!made)
      fail(to_string(made.error()));
    group_ = *made;
    state_ = spawn<state::state_service>(state_seat);
    locks_ = spawn<lock::lock_service>(locks_seat);
    group_.start();
  }

  [[noreturn]] void run() {
    auto door = sys_.spawn([this](caf::event_based_actor*) { return make_door(); });
    if (auto open = sys_.middleman().publish(door, ports_[place_], "127.0.0.1", true); !open)
      fail(to_string(open.error()));
    if (place_ == 0 && group_.is_new())
      ask(raft::replica::found_group{std::to_string(ports_[0])});
    std::cout << "ready" << std::endl;
    caf::scoped_actor self{sys_};
    std::array<caf::actor_addr, 3> linked;
    for (;;) {
      // Who comes later dials, so that no two dial each other.
      for (std::size_t each = 0; each < place_; ++each)
        if (!linked[each])
          if (auto found = ask_member(sys_, ports_[each], group_.seat(), group_.handle())) {
            group_.set_peer(found->seat, caf::actor_cast<caf::strong_actor_ptr>(found->group));
            self->monitor(found->group);
            linked[each] = found->group.address();
          }
      look();
      if (leads_ && voters_ < ports_.size()) // repeated until it is so
        for (auto port : ports_)
          if (auto found = ask_member(sys_, port); found && found->seat != group_.seat()) {
            ask(raft::replica::add_learner{found->seat, std::to_string(port)});
            ask(raft::replica::promote{found->seat});
          }
      auto is_done = voters_ >= ports_.size();
      for (std::size_t each = 0; each < place_; ++each)
        is_done = is_done && linked[each];
      self->receive(
        [&](const caf::down_msg& gone) {
          for (auto& each : linked)
            if (each == gone.source)
              each = nullptr;
        },
        caf::after(is_done ? 1h : 50ms) >> [] {});
    }
  }

private:
  static constexpr host::service_id state_seat = 1;
  static constexpr host::service_id locks_seat = 2;

  [[noreturn]] static void fail(const std::string& why) {
    std::cerr << "error: " << why << std::endl;
    std::_Exit(1);
  }

  template <class Service>
  caf::actor spawn(host::service_id seat) {
    auto made = host::spawn<Service>(sys_, {}, host::replicated{group_.seat(seat)});
    if (!made)
      fail(to_string(made.error()));
    return caf::actor_cast<caf::actor>(*made);
  }

  void ask(const raft::replica::event& what) {
    group_.ask(what, [](const problem&) {});
  }

  /// For whoever asks next.
  void look() {
    group_.look([this](const host::group_status& found) {
      voters_ = found.consensus.members.voters().size();
      applied_ = found.applied;
    });
  }

  caf::behavior make_door() {
    auto tell = [this] {
      look();
      return card_result{group_.seat(),  group_.handle(), state_,
                         locks_,         leads_.load(),   std::uint64_t{voters_.load()},
                         applied_.load()};
    };
    return {
      [tell](caf::get_atom) { return tell(); },
      [this, tell](caf::get_atom, raft::seat_id seat, const caf::actor& group) {
        group_.set_peer(seat, caf::actor_cast<caf::strong_actor_ptr>(group));
        return tell();
      },
    };
  }

  std::size_t place_;
  std::vector<std::uint16_t> ports_;
  std::atomic<bool> leads_{false};
  std::atomic<std::size_t> voters_{0};
  std::atomic<raft::log_index> applied_{0};
  group_config config_;
  caf::actor_system sys_{config_};
  host::group group_;
  caf::actor state_;
  caf::actor locks_;
};

/// Three such processes, and clients in this one: sessions of their own that share one actor
/// system (two threads, and one for the network) and so one link to the node that leads.
class troupe_group {
public:
  static constexpr std::size_t size = 3;
  static constexpr const char* name = "troupe";

  /// Runs what the arguments of a process that start() began say.
  [[noreturn]] static void serve(char** words) {
    std::vector<std::uint16_t> ports;
    for (std::size_t each = 0; each < size; ++each)
      ports.push_back(static_cast<std::uint16_t>(std::stoul(words[4 + each])));
    timers how{std::chrono::milliseconds{std::stol(words[1])},
               std::chrono::milliseconds{std::stol(words[2])}};
    group_process{words[0], how, std::stoul(words[3]), std::move(ports)}.run();
  }

  troupe_group(std::filesystem::path folder, const timers& how)
    : folder_(std::move(folder)), timers_(how) {
    std::filesystem::create_directories(folder_);
    for (auto& each : ports_)
      each = free_port();
    for (std::size_t each = 0; each < size; ++each)
      start(each);
  }

  void start(std::size_t which) {
    std::vector<std::string> command{
      std::filesystem::canonical("/proc/self/exe"), "serve",
      folder_ / ("node" + std::to_string(which)),   std::to_string(timers_.heartbeat.count()),
      std::to_string(timers_.election.count()),     std::to_string(which)};
    for (auto each : ports_)
      command.push_back(std::to_string(each));
    members_[which].emplace(command);
    members_[which]->read_line(20s);
  }

  void send_signal(std::size_t which, int number) {
    members_[which]->send_signal(number);
  }

  /// Until its end after a signal.
  void await_end(std::size_t which) {
    members_[which].reset();
  }

  [[nodiscard]] std::vector<pid_t> processes() const {
    std::vector<pid_t> found;
    for (auto& each : members_)
      found.push_back(each->pid());
    return found;
  }

  /// Until all three vote, follow one leader and have all that there is. Returns who leads,
  /// nothing if that has not come to be in time.
  std::optional<std::size_t> await_whole(std::chrono::seconds wait = 60s) {
    auto deadline = steady::now() + wait;
    while (steady::now() < deadline) {
      std::optional<std::size_t> leader;
      std::size_t equal = 0;
      for (std::size_t each = 0; each < size; ++each) {
        auto found = ask_member(sys_, ports_[each]);
        if (!found)
          continue;
        cards_[each] = *found;
        equal += found->voters == size && found->applied == cards_[0].applied ? 1 : 0;
        if (found->leads)
          leader = each;
      }
      if (equal == size && leader)
        return leader;
      std::this_thread::sleep_for(20ms);
    }
    return std::nullopt;
  }

  /// As many clients, all of them on the node that leads.
  figures run(workload what, std::size_t clients, seconds span) {
    auto leader = await_whole();
    if (!leader)
      return {};
    auto shared = std::make_shared<run_state>();
    std::vector<std::shared_ptr<client>> all;
    for (std::size_t number = 0; number < clients; ++number) {
      all.push_back(std::make_shared<client>(sys_, cards_[*leader], number, shared));
      all.back()->begin(all.back(), what);
    }
    std::this_thread::sleep_for(span / 5);
    measured_span measured{processes(), span};
    std::this_thread::sleep_until(measured.end());
    measured.stop();
    shared->stops = true;
    for (auto deadline = steady::now() + 10s; shared->running > 0 && steady::now() < deadline;)
      std::this_thread::sleep_for(1ms);
    if (shared->running > 0)
      return {}; // they may still write
    std::vector<std::vector<sample>> samples;
    for (auto& each : all)
      samples.push_back(each->samples);
    return measured.sum_up(samples);
  }

  /// Stops the node `leader` by a signal. Returns how long it was until another acknowledged a
  /// write that was asked for after that; nothing if none did within 30 s.
  std::optional<seconds> until_next_write(std::size_t leader, int signal) {
    auto promise = std::make_shared<std::promise<steady::time_point>>();
    auto written = promise->get_future();
    std::vector<caf::actor> others;
    for (std::size_t each = 0; each < size; ++each)
      if (each != leader)
        others.push_back(cards_[each].state);
    auto asker = sys_.spawn(ask_again, others, promise);
    auto start = steady::now();
    send_signal(leader, signal);
    caf::anon_send(asker, caf::tick_atom_v);
    auto done = written.wait_for(30s) == std::future_status::ready;
    caf::anon_send_exit(asker, caf::exit_reason::user_shutdown);
    return done ? std::optional<seconds>{written.get() - start} : std::nullopt;
  }

private:
  struct run_state {
    std::atomic<bool> stops{false};
    std::atomic<std::size_t> running{0};
  };

  /// One that waits for each answer.
  struct client {
    client(caf::actor_system& sys, const member_card& where, std::size_t number,
           std::shared_ptr<run_state> run)
      : states{sys, caf::actor_cast<state::state_actor>(where.state)},
        locks{sys, caf::actor_cast<lock::lock_actor>(where.locks)},
        name{std::to_string(number)},
        shared{std::move(run)} {}

    static void begin(const std::shared_ptr<client>& self, workload what) {
      ++self->shared->running;
      if (what == workload::puts)
        return put_next(self);
      self->lock_name = what == workload::one_lock ? "lock" : "lock" + self->name;
      lock_next(self);
    }

    static void put_next(const std::shared_ptr<client>& self) {
      if (self->stop())
        return;
      state::put what{{state::consistency::strong, state::value_type::version_register,
                       "key" + self->name + '/' + std::to_string(++self->count % keys_of_client)},
                      state::to_value(self->value)};
      what.content = sha256(self->value); // as state_client does it
      self->asked = steady::now();
      self->states.async(std::move(what), 30s, [self](const result<state::written>& done) {
        if (self->ends(done))
          return;
        self->samples.push_back({steady::now(), steady::now() - self->asked});
        put_next(self);
      });
    }

    static void lock_next(const std::shared_ptr<client>& self) {
      if (self->stop())
        return;
      self->asked = steady::now();
      lock::acquire what{self->lock_name, "owner" + self->name, 1min, 30s, {}, {}};
      self->locks.async(std::move(what), 40s, [self](const result<lock::lease>& held) {
        if (self->ends(held))
          return;
        self->locks.async(lock::release{self->lock_name, held->token}, 30s,
                          [self](const result<lock::lease>& done) {
                            if (self->ends(done))
                              return;
                            self->samples.push_back({steady::now(), steady::now() - self->asked});
                            lock_next(self);
                          });
      });
    }

    bool stop() {
      if (shared->stops)
        --shared->running;
      return shared->stops;
    }

    /// A client whose call fails goes no further.
    template <class Value>
    bool ends(const result<Value>& done) {
      if (done)
        return false;
      std::cerr << "error: " << done.error().detail << std::endl;
      --shared->running;
      return true;
    }

    host::client<state::state_protocol> states;
    host::client<lock::lock_protocol> locks;
    std::string name;
    std::shared_ptr<run_state> shared;
    std::string value = std::string(value_bytes, 'x');
    std::string lock_name;
    std::uint64_t count = 0;
    steady::time_point asked;
    std::vector<sample> samples;
  };

  /// Asks all of `where` for a write, again and again, until one is acknowledged.
  static caf::behavior ask_again(caf::event_based_actor* self, const std::vector<caf::actor>& where,
                                 const std::shared_ptr<std::promise<steady::time_point>>& first) {
    auto written = std::make_shared<bool>(false);
    auto take = [written, first](const state::written&) {
      if (!std::exchange(*written, true))
        first->set_value(steady::now());
    };
    return {
      [=](caf::tick_atom) {
        state::put what{{state::consistency::strong, state::value_type::version_register, "any"},
                        state::to_value("value")};
        for (auto& each : where)
          self->request(each, 10s, host::call{}, what).then(take, [](const caf::error&) {});
        if (!*written)
          self->delayed_send(self, ask_every, caf::tick_atom_v);
      },
    };
  }

  std::filesystem::path folder_;
  timers timers_;
  std::array<std::uint16_t, size> ports_{};
  std::array<std::optional<testing::child_process>, size> members_;
  group_config config_;
  caf::actor_system sys_{config_};
  std::array<member_card, size> cards_;
};

} // namespace troupe::benchmark
