#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli.hpp"

/// The commands of `troupe`, one function each. Each returns the exit status.
namespace cli {

struct node_command {
  std::string listen = "127.0.0.1:6767";
  std::string advertise{};
  std::vector<std::string> join{};
  std::string data{};
  std::string name{};
  std::string group{};
  /// Resources of its worker. With zero cpus, memory or gpus, tasks that need any of it run on
  /// other nodes.
  std::uint32_t slots = 4;
  double cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::vector<std::string> labels{};
  bool allow_exec = false;
  bool allow_spawn = false;
  bool bootstrap = false;
  /// How many nodes found the cluster together; 0: none do.
  std::uint32_t bootstrap_expect = 0;
  bool leave_on_term = false;
  /// How long its tasks may still run after it was asked to end, as to_duration() reads it.
  std::string drain = "30s";
  std::uint32_t voters = 3;
  /// A span, as to_duration() reads it, or never.
  std::string replace_after = "5m";
  /// Timers of Raft and of the members: wan or lan.
  std::string timers = "wan";
  /// File for the actions of its Raft replica; empty: none.
  std::string raft_log{};
  /// File for how it sees the other members; empty: none.
  std::string membership_log{};
  /// A line of troupe ca invite, or @FILE.
  std::string token{};
  /// Runs the service of `troupe chaos --workload service`.
  bool chaos_numbers = false;
  std::string chaos_letters{};
};

int run_node(const common_options& common, const node_command& what, const held_signals& signals);

struct init_command {
  std::string data{};
  /// Default: the first 8 digits of its id.
  std::string name{};
  /// File for a request to another CA, instead of a CA of its own; empty: none.
  std::string request{};
};

int run_init(const common_options& common, const init_command& what);

struct ca_command {
  /// See ca_verbs().
  std::string verb{};
  /// For renew and revoke: a name, node id or serial. For withdraw: the id of a token.
  std::string which{};
  std::string data{};
  std::string name{};
  std::string role = "member";
  std::string rights = "use";
  /// Folder for the new identity, or for the certificates of one that exists. For invite: file for
  /// the token; empty: stdout.
  std::string out{};
  std::string request{};
  /// How long an invitation is valid, in seconds.
  double lasts = 900;
  /// Revokes even the node that has the CA.
  bool force = false;
};

int run_ca(const common_options& common, const ca_command& what);

struct login_command {
  std::string at{};
  std::string token{};
  /// Default: user@host.
  std::string name{};
  bool replace = false;
};

int run_login(const common_options& common, const login_command& what);

struct demo_command {
  std::string file{};
  double seconds = 11; // without the kills; with them about 15
  std::uint32_t slots = 4;
};

int run_demo(const common_options& common, const demo_command& what, const std::string& self,
             const held_signals& signals);

struct dag_command {
  std::string file{};
  /// File for the drawing; empty: none.
  std::string svg{};
  /// How long Graphviz may take, in seconds.
  double draw_within_s = 30;
};

int run_dag(const common_options& common, const dag_command& what);

struct submit_command {
  std::string file{};
  double time_scale = 1;
  std::string key{};
  std::string priority = "medium";
  std::string policy = "fail_fast";
  bool resources = false;
  /// File for the timeline of the run, written when it ends; empty: none.
  std::string report{};
  /// How long it follows the run, in seconds; without it to the end.
  std::optional<double> within_s{};
  /// Does not follow the run.
  bool detach = false;
};

int run_submit(const common_options& common, const submit_command& what);

struct workflows_command {
  /// list, pause, resume or cancel.
  std::string verb = "list";
  /// For pause, resume and cancel.
  std::optional<std::uint64_t> run{};
};

int run_workflows(const common_options& common, const workflows_command& what);

struct run_command {
  std::uint64_t run = 0;
  /// Also shows the results of its tasks.
  bool results = false;
};

int run_run(const common_options& common, const run_command& what);

struct lock_command {
  std::string name{};
  /// Durations as to_duration() reads them.
  std::string ttl = "10s";
  std::string wait = "0s";
  bool shared = false;
  std::vector<std::string> command{};
};

int run_lock(const common_options& common, const lock_command& what);

struct locks_command {
  /// The lock to take from its holder.
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

struct dead_letters_command {
  /// Name or id; empty: all nodes.
  std::string node{};
  /// The id of one to deliver again, or all.
  std::optional<std::string> redrive{};
  /// The id of one whose content is to be shown.
  std::optional<std::string> show{};
  /// The id of one to let go of, or all.
  std::optional<std::string> purge{};
};

int run_dead_letters(const common_options& common, const dead_letters_command& what);

struct inbox_command {
  /// Empty: all agents.
  std::string agent{};
  /// Name or id; empty: all nodes.
  std::string node{};
  /// Let go of what waits for the agent, as no node has it.
  bool expire = false;
};

int run_inbox(const common_options& common, const inbox_command& what);

struct voters_command {
  /// list, add, remove, replace or lead.
  std::string verb = "list";
  std::string node{};
  /// For replace: the node that takes its place.
  std::string by{};
  bool force = false;
};

int run_voters(const common_options& common, const voters_command& what);

struct backup_command {
  std::string file{};
  std::string data{};
  /// For restore: the name of the node for people.
  std::string name{};
  bool dry_run = false;
};

int run_backup(const common_options& common, const backup_command& what);

int run_restore(const common_options& common, const backup_command& what);

int run_recover(const common_options& common, const backup_command& what);

int run_status(const common_options& common, bool shows_links);

struct top_command {
  /// A duration as to_duration() reads it.
  std::string every = "1s";
  bool once = false;
};

int run_top(const common_options& common, const top_command& what);

int run_agents(const common_options& common);

struct message_command {
  std::string agent{};
  std::string text{};
  bool wants_answer = false;
  /// How long it is worth delivering, in seconds; without it, it never expires.
  std::optional<double> ttl_s{};
  /// fire, confirm or once.
  std::string delivery_class = "fire";
  bool synced = false;
  std::string priority = "normal";
};

int run_message(const common_options& common, const message_command& what);

struct state_command {
  enum class verb { get, put, watch, remove, list } what = verb::get;
  /// For list the beginning of the keys.
  std::string key{};
  std::string value{};
  std::string level = "strong";
  /// For put: how long the value stays, in seconds; without it, until it is removed.
  std::optional<double> ttl_s{};
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
  /// Share of messages that are lost, 0 to 1; negative: as `faults` says.
  double loss = -1;
  /// Members of swim that get to no mail for some seconds, again and again: below 1 a share of
  /// them, else how many. 0: the scenario as it is.
  double starved = 0;
};

/// The scenarios of `troupe sim`.
std::vector<std::string> scenario_names();

int run_sim(const common_options& common, sim_command what);

struct chaos_command {
  std::uint32_t nodes = 3;
  /// Zero: all of up to 7 nodes, otherwise 5.
  std::uint32_t voters = 0;
  std::uint32_t seconds = 60;
  std::uint64_t seed = 0;
  std::uint32_t clients = 4;
  /// Timers of Raft and of the members: wan or lan.
  std::string timers = "wan";
  std::string workload = "register";
  /// Network between the processes: proxy or namespaces.
  std::string network = "proxy";
  /// Kinds of faults, by name; empty: all of them.
  std::vector<std::string> faults{};
  /// File for the history; empty: only a failed run leaves one, in the current folder.
  std::string history{};
  /// Folder for the actions of the Raft replicas; empty: none.
  std::string raft_log{};
};

/// The kinds of faults of `troupe chaos`.
std::vector<std::string> chaos_fault_names();

int run_chaos(const common_options& common, const chaos_command& what, const std::string& self,
              const held_signals& signals);

} // namespace cli
