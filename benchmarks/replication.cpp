// What does it cost that three nodes keep state and locks together, synced to disk, and how
// long does a lost leader hold them up? Rival is etcd, three processes of it on the same disk,
// with the same timers; without etcd on the PATH its figures are left out. Ours are three nodes
// with data folders, as `troupe node --data` starts them. Both are up while they are measured
// and take turns.
//
// Clients are closed loops in this one process: each waits for its answer before it asks again.
// Ours share one cluster_client, etcd's one connection.
// A put has 256 bytes under one of 16 keys of the client; a lock cycle is acquire and release,
// by etcd as its own concurrency.Mutex does it (one lease for each client). Speaks gRPC to
// etcd in one thread.
//
// Usage: replication [--OPTION VALUE]...
//   --what puts,locks,idle,leader,connected,tls   what to measure; all. tls: puts and lock cycles
//                                   of both with certificates, beside both without
//   --clients 1,16,64               of puts
//   --connected 10                  clients that are connected and ask for nothing, in a process of
//                                   their own: ours without and with them
//   --turns 1                       of each side; figures are medians
//   --seconds 1                     of each turn
//   --idle-seconds 2
//   --kills 10                      how often the leader is lost
//   --signal KILL,STOP              by which signal; KILL
//   --timers 20/200,100/1000        heartbeat and election time-out in ms for that; 20/200
//   --folder DIR                    for the data; the system's for temporary files
//
// Prints a JSON line for each measurement, and one for each group when it idles. cpu_us is
// processor time for one operation, of all three servers together; client_cpu_us that of this
// process; resident_mib the largest of the three.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "closed_loop.hpp"
#include "etcd_cluster.hpp"
#include "settings.hpp"
#include "troupe/core/random.hpp"
#include "troupe_cluster.hpp"

namespace {

using namespace troupe;
using namespace troupe::benchmark;
using json_line = nlohmann::ordered_json;

settings asked{{
  {"what", "puts,locks,idle,leader,connected,tls"},
  {"clients", "1,16,64"},
  {"connected", "10"},
  {"turns", "1"},
  {"seconds", "1"},
  {"idle-seconds", "2"},
  {"kills", "10"},
  {"signal", "KILL"},
  {"timers", "20/200"},
  {"folder", ""},
}};

timers timers_of(const std::string& text) {
  auto middle = text.find('/');
  return {std::chrono::milliseconds{std::stol(text.substr(0, middle))},
          std::chrono::milliseconds{std::stol(text.substr(middle + 1))}};
}

double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

void print(const json_line& line) {
  std::cout << line.dump() << std::endl;
}

/// Both sides, or ours alone.
struct sides {
  sides(const std::filesystem::path& folder, const timers& how) : ours(folder / "troupe", how) {
    if (etcd_cluster::program())
      theirs.emplace(folder / "etcd", how);
    if (!ours.await_whole() || (theirs && !theirs->await_whole()))
      throw std::runtime_error{"a group of three does not come to be"};
  }

  troupe_cluster ours;
  std::optional<etcd_cluster> theirs;
};

// -- throughput ------------------------------------------------------------------------

void compare(sides& both, workload what, std::size_t clients) {
  seconds span{std::stod(asked.at("seconds"))};
  std::vector<figures> ours;
  std::vector<figures> theirs;
  for (auto turn = std::stoi(asked.at("turns")); turn > 0; --turn) {
    if (both.theirs)
      theirs.push_back(both.theirs->run(what, clients, span));
    ours.push_back(both.ours.run(what, clients, span));
  }
  json_line line{{"benchmark", "replication"}, {"what", name_of(what)}, {"clients", clients}};
  auto add = [&](const std::string& name, const std::vector<figures>& found,
                 const std::vector<pid_t>& processes) {
    auto of = [&](double figures::*field) {
      std::vector<double> values;
      for (auto& each : found)
        values.push_back(each.*field);
      return median(values);
    };
    line[name + "_per_s"] = of(&figures::per_s);
    line[name + "_p50_us"] = of(&figures::p50_us);
    line[name + "_p99_us"] = of(&figures::p99_us);
    line[name + "_cpu_us"] = of(&figures::server_cpu_us);
    line[name + "_client_cpu_us"] = of(&figures::client_cpu_us);
    line[name + "_resident_mib"] = resident_mib(processes);
    return of(&figures::per_s);
  };
  auto found = add("troupe", ours, both.ours.processes());
  if (both.theirs) {
    line["ratio"] = found / add("etcd", theirs, both.theirs->processes());
    std::vector<double> ratios;
    for (std::size_t turn = 0; turn < ours.size(); ++turn)
      ratios.push_back(ours[turn].per_s / theirs[turn].per_s);
    line["ratio_least"] = std::ranges::min(ratios);
    line["ratio_most"] = std::ranges::max(ratios);
  }
  print(line);
}

// -- with certificates -------------------------------------------------------------------

/// What one kind of cluster does plain and with certificates, in turns.
template <class Group>
struct tls_pair {
  tls_pair(const std::filesystem::path& folder)
    : plain(folder / "plain", {}), secure(folder / "secure", {}, true) {
    if (!plain.await_whole() || !secure.await_whole())
      throw std::runtime_error{std::string{Group::name} + ": a group of three does not come to be"};
  }

  void run(workload what, std::size_t clients, seconds span) {
    plain_per_s.push_back(plain.run(what, clients, span).per_s);
    secure_per_s.push_back(secure.run(what, clients, span).per_s);
  }

  void put(json_line& line) {
    std::string name = Group::name;
    auto spread = ratios(secure_per_s, plain_per_s);
    line[name + "_plain_per_s"] = median(plain_per_s);
    line[name + "_tls_per_s"] = median(secure_per_s);
    line[name + "_tls_to_plain"] = median(spread);
    line[name + "_tls_to_plain_least"] = std::ranges::min(spread);
    line[name + "_tls_to_plain_most"] = std::ranges::max(spread);
  }

  static std::vector<double> ratios(const std::vector<double>& above,
                                    const std::vector<double>& below) {
    std::vector<double> found;
    for (std::size_t turn = 0; turn < above.size(); ++turn)
      found.push_back(above[turn] / below[turn]);
    return found;
  }

  Group plain;
  Group secure;
  std::vector<double> plain_per_s{};
  std::vector<double> secure_per_s{};
};

void compare_tls(const std::filesystem::path& folder) {
  tls_pair<troupe_cluster> ours{folder / "troupe"};
  std::optional<tls_pair<etcd_cluster>> theirs;
  if (etcd_cluster::program())
    theirs.emplace(folder / "etcd");
  seconds span{std::stod(asked.at("seconds"))};
  for (auto what : {workload::puts, workload::own_locks})
    for (auto& text : asked.list_of("clients")) {
      auto clients = std::stoul(text);
      for (auto turn = std::stoi(asked.at("turns")); turn > 0; --turn) {
        ours.run(what, clients, span);
        if (theirs)
          theirs->run(what, clients, span);
      }
      json_line line{{"benchmark", "replication"},
                     {"what", std::string{"tls_"} + name_of(what)},
                     {"clients", clients}};
      ours.put(line);
      if (theirs) {
        theirs->put(line);
        auto& of = tls_pair<etcd_cluster>::ratios;
        line["ratio_plain"] = median(of(ours.plain_per_s, theirs->plain_per_s));
        line["ratio_tls"] = median(of(ours.secure_per_s, theirs->secure_per_s));
        theirs->plain_per_s.clear();
        theirs->secure_per_s.clear();
      }
      ours.plain_per_s.clear();
      ours.secure_per_s.clear();
      print(line);
    }
}

// -- at rest ---------------------------------------------------------------------------

template <class Group>
void rest(Group& group) {
  seconds span{std::stod(asked.at("idle-seconds"))};
  auto processes = group.processes();
  auto before = cpu_seconds(processes);
  std::this_thread::sleep_for(span);
  auto used = cpu_seconds(processes) - before;
  print({{"benchmark", "replication"},
         {"what", "idle"},
         {"who", Group::name},
         {"cpu_percent", 100 * used / span.count()}, // of one core, all three together
         {"resident_mib", resident_mib(processes)}});
}

// -- clients that are only connected ------------------------------------------------------

/// Processor time of the leader, in percent of one core, while nobody asks for anything.
double leader_at_rest(troupe_cluster& group) {
  auto leader = group.await_whole();
  if (!leader)
    throw std::runtime_error{"troupe does not become whole"};
  seconds span{std::stod(asked.at("idle-seconds"))};
  std::vector<pid_t> process{group.processes().at(*leader)};
  auto before = cpu_seconds(process);
  std::this_thread::sleep_for(span);
  return 100 * (cpu_seconds(process) - before) / span.count();
}

void connect_many(const std::filesystem::path& folder) {
  troupe_cluster group{folder, {}};
  auto clients = std::stoul(asked.at("connected"));
  json_line line{{"benchmark", "replication"}, {"what", "connected"}, {"clients", clients}};
  line["leader_cpu_percent_without"] = leader_at_rest(group);
  auto others = group.connect_others(clients);
  line["leader_cpu_percent"] = leader_at_rest(group);
  print(line);
}

// -- a lost leader ---------------------------------------------------------------------

/// Returns the spans without a leader in ms.
template <class Group>
std::vector<double> lose_leaders(Group& group, int signal, const timers& how) {
  std::vector<double> found;
  random_source random{1};
  for (auto left = std::stoi(asked.at("kills")); left > 0; --left) {
    auto leader = group.await_whole();
    if (!leader)
      throw std::runtime_error{std::string{Group::name} + " does not come back"};
    // At any moment between two heartbeats.
    auto most = static_cast<std::uint64_t>(how.heartbeat.count());
    std::this_thread::sleep_for(2 * how.heartbeat + std::chrono::milliseconds{random.below(most)});
    auto took = group.until_next_write(*leader, signal);
    if (signal == SIGKILL) {
      group.await_end(*leader);
      group.start(*leader);
    } else {
      group.send_signal(*leader, SIGCONT);
    }
    if (!took)
      throw std::runtime_error{std::string{Group::name} + " takes no writes any more"};
    found.push_back(took->count() * 1'000);
  }
  return found;
}

void lose_leaders(const std::filesystem::path& folder, const std::string& timers_text,
                  const std::string& signal) {
  auto how = timers_of(timers_text);
  auto number = signal == "STOP" ? SIGSTOP : SIGKILL;
  sides both{folder, how};
  json_line line{{"benchmark", "replication"},
                 {"what", "leader_lost"},
                 {"signal", signal},
                 {"timers_ms", timers_text},
                 {"times", std::stoi(asked.at("kills"))}};
  auto add = [&](const std::string& name, const std::vector<double>& spans) {
    line[name + "_p50_ms"] = median(spans);
    line[name + "_p99_ms"] = quantile(spans, 0.99);
    line[name + "_max_ms"] = quantile(spans, 1);
    return median(spans);
  };
  auto found = add("troupe", lose_leaders(both.ours, number, how));
  if (both.theirs)
    line["ratio"] = found / add("etcd", lose_leaders(*both.theirs, number, how));
  print(line);
}

void measure(const std::filesystem::path& folder) {
  if (!etcd_cluster::program())
    std::cerr << "replication: no etcd on the PATH, so its figures are left out (Debian: "
                 "etcd-server)"
              << std::endl;
  if (asked.wants("idle") || asked.wants("puts") || asked.wants("locks")) {
    sides both{folder / "load", {}};
    if (asked.wants("idle")) {
      rest(both.ours);
      if (both.theirs)
        rest(*both.theirs);
    }
    if (asked.wants("puts"))
      for (auto& clients : asked.list_of("clients"))
        compare(both, workload::puts, std::stoul(clients));
    if (asked.wants("locks")) {
      compare(both, workload::own_locks, 1);
      compare(both, workload::own_locks, 16);
      compare(both, workload::one_lock, 16);
    }
  }
  if (asked.wants("tls"))
    compare_tls(folder / "tls");
  if (asked.wants("connected"))
    connect_many(folder / "connected");
  if (asked.wants("leader"))
    for (auto& how : asked.list_of("timers"))
      for (auto& signal : asked.list_of("signal"))
        lose_leaders(folder / (signal + how.substr(0, how.find('/'))), how, signal);
}

} // namespace

int main(int count, char** words) {
  troupe::init();
  if (count > 1 && words[1] == std::string{"serve"})
    troupe_cluster::serve({words + 2, words + count});
  if (count > 1 && words[1] == std::string{"connect"})
    troupe_cluster::stay_connected({words + 2, words + count});
  if (!asked.read(count, words, "benchmarks/replication.cpp"))
    return 2;
  return in_new_folder(asked.at("folder"), "replication", [](const std::filesystem::path& folder) {
    measure(folder);
    return 0;
  });
}
