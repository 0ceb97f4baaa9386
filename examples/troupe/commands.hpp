#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli.hpp"

/// The commands of `troupe`, one function each; what they return is the exit status.
namespace cli {

struct node_command {
  std::string listen = "127.0.0.1:6767";
  std::string advertise{};
  std::vector<std::string> join{};
  std::string data{};
  std::string name{};
  std::string group{};
  /// What its worker offers; zero of all but slots: tasks that need any go elsewhere.
  std::uint32_t slots = 4;
  double cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::vector<std::string> labels{};
  bool allow_exec = false;
  bool bootstrap = false;
  bool leave_on_term = false;
  /// How long its tasks may take yet when it is to end; a span as to_duration() reads it.
  std::string drain = "30s";
  std::uint32_t voters = 3;
  /// Of the group that keeps the services: wan or lan.
  std::string timers = "wan";
  /// Where it writes what its replica does; none: nowhere.
  std::string raft_log{};
  /// Takes and makes links at any address, though everybody on the way reads them.
  bool plain_beyond_loopback = false;
};

int run_node(const common_options& common, const node_command& what, const held_signals& signals);

struct demo_command {
  std::string file{};
  double seconds = 11; // without a loss; with it about 15
  std::uint32_t slots = 4;
};

int run_demo(const common_options& common, const demo_command& what, const std::string& self,
             const held_signals& signals);

int run_dag(const common_options& common, const std::string& file);

struct submit_command {
  std::string file{};
  double time_scale = 1;
  std::string key{};
  std::string priority = "medium";
  std::string policy = "fail_fast";
  bool resources = false;
};

int run_submit(const common_options& common, const submit_command& what);

struct workflows_command {
  /// list, pause, resume or cancel.
  std::string verb = "list";
  /// Of the last three.
  std::optional<std::uint64_t> run{};
};

int run_workflows(const common_options& common, const workflows_command& what);

struct run_command {
  std::uint64_t run = 0;
  /// Also what its tasks have returned.
  bool results = false;
};

int run_run(const common_options& common, const run_command& what);

struct lock_command {
  std::string name{};
  /// Spans as to_duration() reads them.
  std::string ttl = "10s";
  std::string wait = "0s";
  bool shared = false;
  std::vector<std::string> command{};
};

int run_lock(const common_options& common, const lock_command& what);

struct locks_command {
  /// The lock to take from whoever holds it.
  std::optional<std::string> force_release{};
};

int run_locks(const common_options& common, const locks_command& what);

struct leave_command {
  bool force = false;
};

int run_leave(const common_options& common, const leave_command& what);

struct maintain_command {
  /// Name or id.
  std::string node{};
  bool off = false;
};

int run_maintain(const common_options& common, const maintain_command& what);

struct voters_command {
  /// list, add, remove, replace or lead.
  std::string verb = "list";
  std::string node{};
  /// For replace: who takes its place.
  std::string by{};
  bool force = false;
};

int run_voters(const common_options& common, const voters_command& what);

struct backup_command {
  std::string file{};
  std::string data{};
  bool dry_run = false;
};

int run_backup(const common_options& common, const backup_command& what);

int run_restore(const common_options& common, const backup_command& what);

int run_recover(const common_options& common, const backup_command& what);

int run_status(const common_options& common);

int run_agents(const common_options& common);

struct message_command {
  std::string agent{};
  std::string text{};
  bool wants_answer = false;
};

int run_message(const common_options& common, const message_command& what);

struct state_command {
  enum class verb { get, put, watch } what = verb::get;
  std::string key{};
  std::string value{};
  std::string level = "strong";
};

int run_state(const common_options& common, const state_command& what);

struct sim_command {
  std::string scenario{};
  std::uint32_t nodes = 5;
  std::uint64_t seed = 0;
  /// A..B, instead of one seed.
  std::string seeds{};
  std::uint32_t seconds = 60;
  std::string faults = "rough";
  /// Share of messages; below zero: as `faults` says.
  double loss = -1;
};

int run_sim(const common_options& common, const sim_command& what);

struct chaos_command {
  std::uint32_t nodes = 3;
  std::uint32_t seconds = 60;
  std::uint64_t seed = 0;
  std::uint32_t clients = 4;
  /// Of the group that keeps the services: wan or lan.
  std::string timers = "wan";
  std::string workload = "register";
  /// What is between the processes: proxy or namespaces.
  std::string network = "proxy";
  /// Kinds, by name; none: all of them.
  std::vector<std::string> faults{};
  /// Where the history goes; none: only that of a bad run is kept, here.
  std::string history{};
  /// The folder where each node writes down what its replica does; none: nowhere.
  std::string raft_log{};
};

int run_chaos(const common_options& common, const chaos_command& what, const std::string& self,
              const held_signals& signals);

} // namespace cli
