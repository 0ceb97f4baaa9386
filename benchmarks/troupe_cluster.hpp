#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "closed_loop.hpp"
#include "free_port.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/node.hpp"
#include "troupe/platform/one_heap.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/testing/child_process.hpp"
#include "troupe/testing/throwaway_ca.hpp"

namespace troupe::benchmark {

using namespace std::literals;

/// Three node processes of this benchmark's own on 127.0.0.1, with data folders, and clients in
/// this process: closed loops that share one cluster_client, so one session for each service
/// and one link to the node that leads.
class troupe_cluster {
public:
  static constexpr std::size_t size = 3;
  static constexpr const char* name = "troupe";

  /// Is a node, as the words say that start() gave, until it is killed.
  [[noreturn]] static void serve(const std::vector<std::string>& words) {
    use_one_heap(); // as `troupe node` does
    node_options options;
    options.data = words.at(0);
    options.links.insecure = !security::has_certificates(options.data);
    options.group.consensus.heartbeat = std::chrono::milliseconds{std::stol(words.at(1))};
    options.group.consensus.election_timeout = std::chrono::milliseconds{std::stol(words.at(2))};
    options.listen = at_port(words.at(3));
    options.wait_joined = {}; // a voter, and the others start now
    for (std::size_t each = 4; each < words.size(); ++each)
      options.join.push_back(at_port(words[each]));
    auto made = node::start(std::move(options));
    if (!made) {
      std::cerr << "error: " << made.error() << std::endl;
      std::_Exit(1);
    }
    std::cout << "ready" << std::endl;
    for (;;)
      ::pause();
  }

  /// Is so many clients that ask for nothing, as the words say that connect_others() gave, until
  /// it is killed. Each has been used once.
  [[noreturn]] static void stay_connected(const std::vector<std::string>& words) {
    std::vector<net::address> addresses;
    for (std::size_t each = 1; each < words.size(); ++each)
      addresses.push_back(at_port(words[each]));
    std::vector<std::unique_ptr<cluster_client>> all(std::stoul(words.at(0)));
    std::atomic<std::size_t> next{0};
    auto connect_some = [&] {
      for (std::size_t each; (each = next++) < all.size();) {
        auto made = cluster_client::connect(addresses, 60s, {.insecure = true});
        if (!made || !(*made)->services().state.ask(put_of("connected", "x"), 60s)) {
          std::cerr << "error: client " << each << " is refused" << std::endl;
          std::_Exit(1);
        }
        all[each] = std::move(*made);
      }
    };
    std::vector<std::thread> threads;
    for (auto each = 0; each < 8; ++each)
      threads.emplace_back(connect_some);
    for (auto& each : threads)
      each.join();
    std::cout << "ready" << std::endl;
    for (;;)
      ::pause();
  }

  /// With insecure links, as etcd's and Redis' are in the same run, or with certificates.
  troupe_cluster(std::filesystem::path folder, const timers& how, bool is_secure = false)
    : folder_(std::move(folder)), timers_(how) {
    std::filesystem::create_directories(folder_);
    if (is_secure) {
      testing::throwaway_ca ca;
      for (std::size_t each = 0; each < size; ++each)
        ca.issue(data_of(each));
      identity_ = folder_ / "client";
      ca.issue(identity_, "client", security::role::client);
    }
    for (auto& each : ports_)
      each = free_port();
    for (std::size_t each = 0; each < size; ++each)
      start(each);
    client_ = connect({0, 1, 2});
  }

  /// The first one founds the cluster, unless it was there before.
  void start(std::size_t which) {
    auto data = data_of(which);
    auto is_new = !std::filesystem::exists(data / "group.db");
    std::vector<std::string> command{std::filesystem::canonical("/proc/self/exe"),
                                     "serve",
                                     data,
                                     std::to_string(timers_.heartbeat.count()),
                                     std::to_string(timers_.election.count()),
                                     std::to_string(ports_[which])};
    if (which > 0 || !is_new)
      for (auto each : ports_)
        if (each != ports_[which])
          command.push_back(std::to_string(each));
    nodes_[which].emplace(command);
    nodes_[which]->read_line(20s);
  }

  /// So many clients in another process, each with its links and sessions, until that ends.
  [[nodiscard]] testing::child_process connect_others(std::size_t clients) const {
    std::vector<std::string> command{std::filesystem::canonical("/proc/self/exe"), "connect",
                                     std::to_string(clients)};
    for (auto each : ports_)
      command.push_back(std::to_string(each));
    testing::child_process made{command};
    if (!made.read_line(300s))
      throw std::runtime_error{"not all clients are connected"};
    return made;
  }

  void send_signal(std::size_t which, int number) {
    nodes_[which]->send_signal(number);
  }

  /// Until its end after a signal.
  void await_end(std::size_t which) {
    nodes_[which].reset();
  }

  [[nodiscard]] std::vector<pid_t> processes() const {
    std::vector<pid_t> found;
    for (auto& each : nodes_)
      found.push_back(each->pid());
    return found;
  }

  /// Until all three vote, follow one leader and have all that there is. Returns who leads,
  /// nothing if that has not come to be in time.
  std::optional<std::size_t> await_whole(std::chrono::seconds wait = 60s) {
    for (auto deadline = steady::now() + wait; steady::now() < deadline;) {
      std::optional<std::size_t> leader;
      std::size_t whole = 0;
      for (auto& each : ask_seats()) {
        whole += each.votes && each.lag == 0 && each.silent_for < 3 * timers_.heartbeat ? 1 : 0;
        for (std::size_t place = 0; place < size; ++place)
          if (each.leads && each.address == to_string(at_port(std::to_string(ports_[place]))))
            leader = place;
      }
      if (whole == size && leader)
        return leader;
      std::this_thread::sleep_for(20ms);
    }
    return std::nullopt;
  }

  figures run(workload what, std::size_t clients, seconds span) {
    auto shared = std::make_shared<run_state>();
    std::vector<std::shared_ptr<client>> all;
    for (std::size_t number = 0; number < clients; ++number) {
      all.push_back(std::make_shared<client>(*client_, number, shared));
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
  /// write that was asked for after that, of a client that came by one of the other nodes;
  /// nothing if none did within 30 s.
  std::optional<seconds> until_next_write(std::size_t leader, int signal) {
    std::vector<std::unique_ptr<cluster_client>> clients;
    for (std::size_t each = 0; each < size; ++each)
      if (each != leader)
        clients.push_back(connect({each}));
    struct outcome {
      std::atomic<bool> is_written{false};
      steady::time_point at;
    };
    auto first = std::make_shared<outcome>();
    auto take = [first, once = std::make_shared<std::atomic<bool>>(false)](
                  const result<state::written>& done) {
      if (!done || once->exchange(true))
        return;
      first->at = steady::now();
      first->is_written = true;
    };
    auto what = put_of("any", "value");
    for (auto& each : clients) // has its session, as etcd's client has its connection
      if (!each->services().state.ask(what, 10s))
        throw std::runtime_error{"troupe takes no write while nothing is wrong"};
    auto start = steady::now();
    send_signal(leader, signal);
    while (!first->is_written && steady::now() < start + 30s) {
      for (auto& each : clients)
        each->services().state.async(what, 30s, take);
      std::this_thread::sleep_for(ask_every);
    }
    return first->is_written ? std::optional<seconds>{first->at - start} : std::nullopt;
  }

private:
  struct run_state {
    std::atomic<bool> stops{false};
    std::atomic<std::size_t> running{0};
  };

  /// One that waits for each answer.
  struct client {
    client(cluster_client& cluster, std::size_t number, std::shared_ptr<run_state> run)
      : states{cluster.services().state},
        locks{cluster.services().locks},
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

    cluster::state_client states;
    cluster::locks_client locks;
    std::string name;
    std::shared_ptr<run_state> shared;
    std::string value = std::string(value_bytes, 'x');
    std::string lock_name;
    std::uint64_t count = 0;
    steady::time_point asked;
    std::vector<sample> samples;
  };

  static state::put put_of(const std::string& key, const std::string& value) {
    return {{state::consistency::strong, state::value_type::version_register, key},
            state::to_value(value)};
  }

  static net::address at_port(const std::string& port) {
    return {"127.0.0.1", static_cast<std::uint16_t>(std::stoul(port))};
  }

  [[nodiscard]] std::filesystem::path data_of(std::size_t which) const {
    return folder_ / ("node" + std::to_string(which));
  }

  /// A client that knows these nodes.
  std::unique_ptr<cluster_client> connect(const std::vector<std::size_t>& nodes) {
    std::vector<net::address> addresses;
    for (auto each : nodes)
      addresses.push_back(at_port(std::to_string(ports_[each])));
    auto made = cluster_client::connect(addresses, 30s, {.insecure = identity_.empty()}, identity_);
    if (!made)
      throw std::runtime_error{"troupe: " + made.error().detail};
    return std::move(*made);
  }

  /// As the leader sees them; none if none answers.
  std::vector<cluster::seat_view> ask_seats() {
    auto found = client_->voters().list(1s);
    return found ? found->seats : std::vector<cluster::seat_view>{};
  }

  std::filesystem::path folder_;
  timers timers_;
  std::filesystem::path identity_; // empty: insecure links
  std::array<std::uint16_t, size> ports_{};
  std::array<std::optional<testing::child_process>, size> nodes_;
  std::unique_ptr<cluster_client> client_;
};

} // namespace troupe::benchmark
