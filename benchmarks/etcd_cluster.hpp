#pragma once

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "closed_loop.hpp"
#include "etcd_certificates.hpp"
#include "free_port.hpp"
#include "grpc_connection.hpp"
#include "troupe/testing/child_process.hpp"

namespace troupe::benchmark {

/// Three etcd processes of this benchmark's own on 127.0.0.1, with all that keeps data safe
/// left on, and clients of them in this thread.
class etcd_cluster {
public:
  static constexpr std::size_t size = 3;
  static constexpr const char* name = "etcd";

  /// Where etcd is on the PATH; nothing if it is not.
  static std::optional<std::filesystem::path> program() {
    auto* path = std::getenv("PATH");
    std::istringstream folders{path != nullptr ? path : ""};
    for (std::string folder; std::getline(folders, folder, ':');)
      if (auto found = std::filesystem::path{folder} / "etcd"; ::access(found.c_str(), X_OK) == 0)
        return found;
    return std::nullopt;
  }

  /// Plain, or with certificates between servers and from and to clients.
  etcd_cluster(std::filesystem::path folder, const timers& how, bool is_secure = false)
    : folder_(std::move(folder)), timers_(how) {
    std::filesystem::create_directories(folder_);
    if (is_secure)
      certificates_.emplace(folder_ / "certificates");
    for (auto& each : nodes_)
      each = {free_port(), free_port(), std::nullopt};
    for (std::size_t each = 0; each < size; ++each)
      start(each);
  }

  void start(std::size_t which) {
    std::string scheme = certificates_ ? "https" : "http";
    auto url = [&](std::uint16_t port) { return scheme + "://127.0.0.1:" + std::to_string(port); };
    std::string members;
    for (std::size_t each = 0; each < size; ++each)
      members
        += (each > 0 ? ",node" : "node") + std::to_string(each) + '=' + url(nodes_[each].peers);
    auto self = "node" + std::to_string(which);
    auto log = (folder_ / (self + ".log")).string();
    auto& [clients, peers, process] = nodes_[which];
    std::map<std::string, std::string> options{
      {"name", self},
      {"data-dir", folder_ / self},
      {"listen-client-urls", url(clients)},
      {"advertise-client-urls", url(clients)},
      {"listen-peer-urls", url(peers)},
      {"initial-advertise-peer-urls", url(peers)},
      {"initial-cluster", members},
      {"heartbeat-interval", std::to_string(timers_.heartbeat.count())},
      {"election-timeout", std::to_string(timers_.election.count())},
      {"logger", "zap"},
      {"log-level", "error"},
      {"log-outputs", log}};
    if (certificates_)
      for (std::string side : {"", "peer-"}) {
        options[side + "cert-file"] = certificates_->file();
        options[side + "key-file"] = certificates_->key_file();
        options[side + "trusted-ca-file"] = certificates_->ca_file();
        options[side + "client-cert-auth"] = "true";
      }
    // What else it says goes there, too, and not among what we print.
    std::vector<std::string> command{"/bin/sh", "-c", "exec \"$@\" 2>>\"$0\"", log, *program()};
    for (auto& [option, value] : options)
      command.push_back("--" + option + '=' + value);
    process.emplace(command);
  }

  void send_signal(std::size_t which, int number) {
    nodes_[which].process->send_signal(number);
  }

  /// Until its end after a signal.
  void await_end(std::size_t which) {
    nodes_[which].process.reset();
  }

  [[nodiscard]] std::vector<pid_t> processes() const {
    std::vector<pid_t> found;
    for (auto& each : nodes_)
      found.push_back(each.process->pid());
    return found;
  }

  /// Until all three follow one leader and have all that there is. Returns who leads, nothing
  /// if that has not come to be in time.
  std::optional<std::size_t> await_whole(std::chrono::seconds wait = std::chrono::seconds{60}) {
    auto deadline = steady::now() + wait;
    while (steady::now() < deadline) {
      grpc_loop loop;
      std::array<status, size> found;
      std::size_t answers = 0;
      for (std::size_t each = 0; each < size; ++each)
        ask_status(connect(loop, nodes_[each].clients), found[each], answers);
      loop.run(std::min(deadline, steady::now() + std::chrono::seconds{1}),
               [&] { return answers == size; });
      std::optional<std::size_t> leader;
      auto whole = true;
      for (std::size_t each = 0; each < size; ++each) {
        auto& one = found[each];
        whole = whole && one.ok && one.leader != 0 && one.leader == found[0].leader
                && one.applied == found[0].applied;
        if (one.ok && one.member == one.leader)
          leader = each;
      }
      if (whole && leader)
        return leader;
      ::usleep(20'000);
    }
    return std::nullopt;
  }

  /// As many clients, each on a node that it keeps to, in turn, as clients of etcd do; those of
  /// one node share a connection, which costs etcd less than one for each.
  figures run(workload what, std::size_t clients, seconds span) {
    grpc_loop loop;
    std::vector<grpc_connection*> lines;
    for (auto& each : nodes_)
      lines.push_back(&connect(loop, each.clients));
    auto stops = false;
    std::size_t running = 0;
    std::vector<std::unique_ptr<client>> all;
    for (std::size_t number = 0; number < clients; ++number) {
      all.push_back(std::make_unique<client>(*lines[number % size], number, stops, running));
      all.back()->begin(what);
    }
    auto never = [] { return false; };
    loop.run(steady::now() + std::chrono::duration_cast<steady::duration>(span / 5), never);
    measured_span measured{processes(), span};
    loop.run(measured.end(), never);
    measured.stop();
    stops = true;
    loop.run(steady::now() + std::chrono::seconds{10}, [&] { return running == 0; });
    std::vector<std::vector<sample>> samples;
    for (auto& each : all)
      samples.push_back(each->samples());
    return measured.sum_up(samples);
  }

  /// Stops the node `leader` by a signal. Returns how long it was until another acknowledged a
  /// write that was asked for after that; nothing if none did within 30 s.
  std::optional<seconds> until_next_write(std::size_t leader, int signal) {
    grpc_loop loop;
    std::vector<grpc_connection*> lines;
    for (std::size_t each = 0; each < size; ++each)
      if (each != leader)
        lines.push_back(&connect(loop, nodes_[each].clients));
    loop.run(steady::now() + std::chrono::milliseconds{50}, [] { return false; });
    auto start = steady::now();
    send_signal(leader, signal);
    auto written = false;
    while (!written && steady::now() < start + std::chrono::seconds{30}) {
      for (auto* each : lines)
        each->start(put_path, proto_writer{}.text(1, "any").text(2, "value"),
                    {{}, [&written](bool ok) { written = written || ok; }});
      loop.run(steady::now() + ask_every, [&] { return written; });
    }
    auto took = steady::now() - start;
    return written ? std::optional<seconds>{took} : std::nullopt;
  }

private:
  static constexpr const char* put_path = "/etcdserverpb.KV/Put";

  struct node {
    std::uint16_t clients = 0;
    std::uint16_t peers = 0;
    std::optional<testing::child_process> process;
  };

  struct status {
    bool ok = false;
    std::uint64_t member = 0;
    std::uint64_t leader = 0;
    std::uint64_t applied = 0;
  };

  grpc_connection& connect(grpc_loop& loop, std::uint16_t port) const {
    return loop.connect(port, certificates_ ? certificates_->context() : nullptr);
  }

  static void ask_status(grpc_connection& line, status& found, std::size_t& answers) {
    auto take = [&found](const proto_reader& answer) {
      found = {true, answer.message(1).number(2), answer.number(4), answer.number(7)};
    };
    line.start("/etcdserverpb.Maintenance/Status", {}, {take, [&answers](bool) { ++answers; }});
  }

  /// One that waits for each answer. Its lock is concurrency.Mutex of etcd's own client:
  /// a key for each waiting owner, bound to a lease; the oldest holds the lock, and each waits
  /// until the one before it is deleted.
  class client {
  public:
    client(grpc_connection& line, std::size_t number, const bool& stops, std::size_t& running)
      : line_(line), number_(number), stops_(stops), running_(running) {}

    client(const client&) = delete;
    client& operator=(const client&) = delete;

    void begin(workload what) {
      ++running_;
      if (what == workload::puts)
        return put_next();
      folder_ = what == workload::one_lock ? "lock/" : "lock" + std::to_string(number_) + '/';
      ask("/etcdserverpb.Lease/LeaseGrant", proto_writer{}.number(1, 600),
          [this](const proto_reader& answer) {
            lease_ = answer.number(2);
            std::ostringstream name;
            name << std::hex << lease_;
            key_ = folder_ + name.str();
            if (folder_ == "lock/")
              watch();
            acquire();
          });
    }

    [[nodiscard]] const std::vector<sample>& samples() const {
      return samples_;
    }

  private:
    using taker = std::function<void(const proto_reader&)>;

    /// A client whose call fails goes no further.
    void ask(const char* path, const proto_writer& what, taker take) {
      line_.start(path, what, {std::move(take), [this](bool ok) { running_ -= ok ? 0 : 1; }});
    }

    bool stop() {
      if (stops_)
        --running_;
      return stops_;
    }

    // -- puts ------------------------------------------------------------------------

    void put_next() {
      if (stop())
        return;
      asked_ = steady::now();
      auto key = "key" + std::to_string(number_) + '/' + std::to_string(++count_ % keys_of_client);
      ask(put_path, proto_writer{}.text(1, key).text(2, value_), [this](const proto_reader&) {
        samples_.push_back({steady::now(), steady::now() - asked_});
        put_next();
      });
    }

    // -- locks -----------------------------------------------------------------------

    void acquire() {
      if (stop())
        return;
      asked_ = steady::now();
      auto compare = proto_writer{}.number(2, create).text(3, key_).number(5, 0);
      auto put = proto_writer{}.text(1, key_).text(2, "").number(3, lease_);
      auto get = proto_writer{}.text(1, key_);
      auto first = all_keys().number(5, ascending).number(6, by_create).number(3, 1);
      ask("/etcdserverpb.KV/Txn",
          proto_writer{}
            .message(1, compare)
            .message(2, proto_writer{}.message(2, put))
            .message(2, proto_writer{}.message(1, first))
            .message(3, proto_writer{}.message(1, get))
            .message(3, proto_writer{}.message(1, first)),
          [this](const proto_reader& answer) {
            mine_ = answer.message(1).number(3);
            auto parts = answer.messages(3);
            auto owners
              = parts.size() > 1 ? parts[1].message(1).messages(2) : std::vector<proto_reader>{};
            if (owners.empty() || owners.front().number(2) == mine_)
              release();
            else
              wait_for_turn();
          });
    }

    /// Looks who is in line before us, and waits until that one is gone.
    void wait_for_turn() {
      auto last
        = all_keys().number(5, descending).number(6, by_create).number(3, 1).number(13, mine_ - 1);
      ask("/etcdserverpb.KV/Range", last, [this](const proto_reader& answer) {
        auto before = answer.messages(2);
        if (before.empty())
          return release();
        auto from
          = proto_writer{}.text(1, before.front().text(1)).number(3, answer.message(1).number(3));
        line_.say(watch_, proto_writer{}.message(1, from));
      });
    }

    /// One stream for all watches of this client.
    void watch() {
      auto take = [this](const proto_reader& news) {
        for (auto& event : news.messages(11))
          if (event.number(1) == deleted) {
            line_.say(watch_, proto_writer{}.message(2, proto_writer{}.number(1, news.number(2))));
            return wait_for_turn();
          }
      };
      // The first request of a stream watches a key that nobody writes.
      auto nothing = proto_writer{}.message(1, proto_writer{}.text(1, "nothing"));
      watch_ = line_.start("/etcdserverpb.Watch/Watch", nothing, {take, [](bool) {}}, true);
    }

    void release() {
      ask("/etcdserverpb.KV/DeleteRange", proto_writer{}.text(1, key_),
          [this](const proto_reader&) {
            samples_.push_back({steady::now(), steady::now() - asked_});
            acquire();
          });
    }

    [[nodiscard]] proto_writer all_keys() const {
      auto end = folder_;
      ++end.back(); // the first text behind all that begin so
      return proto_writer{}.text(1, folder_).text(2, end);
    }

    // Numbers of etcd's rpc.proto and kv.proto.
    static constexpr std::uint64_t create = 1;     // Compare.CREATE
    static constexpr std::uint64_t ascending = 1;  // RangeRequest.ASCEND
    static constexpr std::uint64_t descending = 2; // RangeRequest.DESCEND
    static constexpr std::uint64_t by_create = 2;  // RangeRequest.CREATE
    static constexpr std::uint64_t deleted = 1;    // Event.DELETE

    grpc_connection& line_;
    std::size_t number_;
    const bool& stops_;
    std::size_t& running_;
    std::string value_ = std::string(value_bytes, 'x');
    std::uint64_t count_ = 0;
    steady::time_point asked_;
    std::vector<sample> samples_;
    std::string folder_;
    std::string key_;
    std::uint64_t lease_ = 0;
    std::uint64_t mine_ = 0; // the revision at which we got into the line
    grpc_connection::stream_id watch_ = -1;
  };

  std::filesystem::path folder_;
  timers timers_;
  std::optional<etcd_certificates> certificates_;
  std::array<node, size> nodes_;
};

} // namespace troupe::benchmark
