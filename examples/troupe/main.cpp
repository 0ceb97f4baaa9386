// The command `troupe`: runs nodes, submits workflows, takes locks, looks around.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "settings.hpp"
#include "troupe/core/version.hpp"
#include "troupe/node/init.hpp"

namespace {

/// The workflow that the demo runs: from the source tree, or where it was installed.
std::string demo_file() {
  for (auto* place : {TROUPE_DEMO_FILE, TROUPE_DEMO_FILE_INSTALLED})
    if (std::filesystem::exists(place))
      return place;
  return "epigenomics.json";
}

/// Reads the command line into the commands and calls the one that is meant.
class command_line {
public:
  command_line() {
    app_.set_version_flag("--version", "troupe " + to_string(troupe::library_version));
    app_.require_subcommand(1);
    app_.failure_message([](const CLI::App* app, const CLI::Error& why) {
      auto parsed = app->get_subcommands();
      auto name = parsed.empty() ? std::string{} : parsed.front()->get_name() + ' ';
      return "error: " + std::string{why.what()} + "; see troupe " + name + "--help\n";
    });
    add_node();
    add_leave();
    add_maintain();
    add_voters();
    add_backups();
    add_demo();
    add_workflows();
    add_locks();
    add_lists();
    add_messages();
    add_state();
    add_sim();
    add_chaos();
    add_config();
  }

  int run(int argc, char** argv) {
    if (auto why = check_name(argc > 1 ? argv[1] : "-"); why.code != troupe::errc::none)
      return cli::complain(why);
    try {
      auto words = cut_command(argc, argv);
      if (auto why = check_values(words, argv); why.code != troupe::errc::none)
        return cli::complain(why);
      app_.parse(words, argv);
      if (auto why = read_settings(); why.code != troupe::errc::none) {
        cli::complain(why);
        return cli::bad_input;
      }
    } catch (const CLI::ParseError& why) { // also --help and --version
      return app_.exit(why) == 0 ? cli::ok : cli::bad_input;
    }
    troupe::init();
    for (auto& [command, run_it] : calls_)
      if (command->parsed())
        return run_it();
    return cli::bad_input;
  }

private:
  using call = std::function<int()>;

  /// The parser takes the next word for a value that is empty, as of a variable in a script.
  static troupe::problem check_values(int count, char** words) {
    for (auto each = 1; each < count; ++each) {
      std::string_view word = words[each];
      if (word == "--")
        break;
      if (word.starts_with("--") && word.ends_with('='))
        return {troupe::errc::bad_argument,
                std::string{word} + " has no value; give one, or leave it out"};
    }
    return {};
  }

  /// Takes what `lock` is to run as it stands: the parser would read words in brackets as lists.
  /// Returns how many words are left.
  int cut_command(int argc, char** argv) {
    auto** end = argv + argc;
    auto** cut
      = argc > 1 && argv[1] == std::string{"lock"} ? std::find(argv, end, std::string{"--"}) : end;
    if (cut != end)
      lock_.command.assign(cut + 1, end);
    return static_cast<int>(cut - argv);
  }

  /// The parser itself would only say that there is no command.
  troupe::problem check_name(const std::string& name) const {
    std::vector<std::string> known;
    for (auto& [command, run_it] : calls_)
      known.push_back(command->get_name());
    if (name.starts_with('-') || std::ranges::find(known, name) != known.end())
      return {};
    return {troupe::errc::bad_argument, "'" + name + "' is no command; the nearest one is "
                                          + cli::nearest(name, known) + ", see troupe --help"};
  }

  CLI::App* add(const std::string& name, const std::string& what, call run) {
    auto* command = app_.add_subcommand(name, what);
    command->option_defaults()->always_capture_default();
    command->add_flag("--json", common_.json, "One JSON object a line");
    calls_.emplace_back(command, std::move(run));
    return command;
  }

  void add_file(CLI::App* command) {
    command->add_option("--config", common_.config, "JSON file of options; TROUPE_CONFIG")
      ->capture_default_str();
  }

  void add_at(CLI::App* command) {
    command->add_option("--at", common_.at, "A node to ask, HOST:PORT; more: repeat")
      ->default_val(std::vector<std::string>{"127.0.0.1:6767"})
      ->allow_extra_args(false)
      ->delimiter(',');
    command->add_option("--timeout", common_.wait_s, "Seconds to wait for an answer")
      ->check(is_number)
      ->check(CLI::Range(0.01, 3600.0));
  }

  /// Neither "nan" nor "inf", which are within any range.
  static std::string is_number(const std::string& text) {
    auto is_one = text.find_first_not_of("0123456789.eE+-") == std::string::npos;
    return is_one ? std::string{} : "'" + text + "' is no number, like 2.5";
  }

  /// What a history has is kept in memory and judged in the end.
  static std::string is_chaos_span(const std::string& text) {
    unsigned seconds = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    auto is_one = fault == std::errc{} && end == text.data() + text.size() && text[0] != '0';
    if (is_one && seconds >= 10 && seconds <= 1'800)
      return {};
    return "'" + text
           + "' is no number of seconds from 10 to 1800, like 60; a run is not longer, as all that "
             "clients see is kept in memory, so start more runs with other seeds";
  }

  /// A command that asks a cluster.
  CLI::App* add_asking(const std::string& name, const std::string& what, call run) {
    auto* command = add(name, what, std::move(run));
    add_at(command);
    add_file(command);
    return command;
  }

  /// Neither "010", which would be run 8, nor "-1".
  static std::string is_run(const std::string& text) {
    auto is_one = !text.empty() && text.size() < 20 && text[0] != '0'
                  && text.find_first_not_of("0123456789") == std::string::npos;
    return is_one ? std::string{}
                  : "'" + text + "' is no number of a run, as troupe workflows shows them";
  }

  /// Neither "010", which would be 8, nor "" or "-1".
  static std::string is_count(const std::string& text) {
    auto is_one = text == "0" || (text.size() < 10 && text[0] != '0' && is_digits(text));
    return is_one ? std::string{} : "'" + text + "' is no number; write it as 0, 4 or 16";
  }

  /// Neither "0x2" nor "nan", which others may take for numbers.
  static std::string is_amount(const std::string& text) {
    auto point = text.find('.');
    auto is_one = text.size() < 10 && is_digits(text.substr(0, point))
                  && (point == std::string::npos || is_digits(text.substr(point + 1)));
    return is_one ? std::string{} : "'" + text + "' is no number; write it as 0, 4 or 2.5";
  }

  /// Neither "010", which would be 8, nor "-1", nor what is too large, which would be another one.
  static std::string is_seed(const std::string& text) {
    std::uint64_t seed = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seed);
    auto is_one
      = fault == std::errc{} && end == text.data() + text.size() && (text == "0" || text[0] != '0');
    return is_one ? std::string{}
                  : "'" + text + "' is no seed; give a number from 0 to 18446744073709551615";
  }

  /// Neither "-5", which would be too much, nor "0x5" or "010".
  static std::string is_size(const std::string& text) {
    auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    auto is_one = digits > 0 && (digits == 1 || text[0] != '0')
                  && text.find_first_of("xX") == std::string::npos;
    return is_one ? std::string{} : "'" + text + "' is no size; write it as 512MB or 16GiB";
  }

  static bool is_digits(const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  }

  void add_node_options(CLI::App* command) {
    command->add_option("--listen", node_.listen, "Where it takes links; port 0 is any free one");
    command->add_option("--advertise", node_.advertise, "What others dial, where that differs");
    command->add_option("--join", node_.join, "Nodes of the cluster to join; none: founds one")
      ->delimiter(',');
    command->add_option("--data", node_.data, "Folder to keep everything in; none: in memory");
    command->add_option("--name", node_.name, "What people call it");
    command->add_option("--slots", node_.slots, "Tasks at once; 0: no worker")->check(is_count);
    command->add_option("--cpus", node_.cpus, "Cores that its worker offers")
      ->check(is_amount)
      ->check(CLI::Range(0.0, 1e6));
    command
      ->add_option("--memory", node_.memory_bytes, "Memory that its worker offers: 512MB, 16GiB")
      ->transform(CLI::AsSizeValue(true))
      ->transform(CLI::Validator{[](std::string& text) { return is_size(text); }, ""}); // first
    command->add_option("--gpus", node_.gpus, "GPUs that its worker offers")->check(is_count);
    command->add_option("--group", node_.group, "Group of its worker");
    command->add_option("--label", node_.labels, "Label of its worker, NAME=VALUE; more: repeat")
      ->allow_extra_args(false)
      ->delimiter(',');
    command->add_flag("--allow-exec", node_.allow_exec,
                      "Its worker runs programs for whoever submits tasks");
    command->add_flag("--bootstrap", node_.bootstrap, "Founds a cluster if none is found");
    command->add_flag("--leave-on-term", node_.leave_on_term, "Leaves for good at SIGTERM");
    command
      ->add_option("--voters", node_.voters,
                   "Nodes with --data that keep what the cluster has; 3 stand a loss, 5 two")
      ->check(is_count)
      ->check(CLI::Range(1, 7));
    command->add_option("--raft-log", node_.raft_log,
                        "A file for all that its replica of the log does; grows without end");
    command->add_option("--timers", node_.timers,
                        "How soon a lost leader is replaced: wan (1 to 2 s), lan (0.2 to 0.4 s)");
    command->add_option("--drain", node_.drain,
                        "How long its tasks may take yet when it is to end: 30s, 0");
    command->add_flag("--insecure", insecure_, "Plain links, on loopback only; the only kind yet");
  }

  void add_node() {
    auto* command = add("node", "Runs a node until SIGTERM", [this] {
      cli::held_signals signals; // before there are threads that would get them
      return cli::run_node(common_, node_, signals);
    });
    add_node_options(command);
    add_file(command);
    // Not among add_node_options(): it is said with each call, never for good in a file.
    command->add_flag("--plain-beyond-loopback", node_.plain_beyond_loopback,
                      "Links at any address, though everybody on the way reads them and writes "
                      "into them: for networks made for a test");
  }

  void add_leave() {
    add_asking("leave", "Makes the node at --at leave its cluster for good and end",
               [this] { return cli::run_leave(common_, leave_); })
      ->add_flag("--force", leave_.force,
                 "Also a voter that nobody can replace, and the only host");
  }

  void add_maintain() {
    auto* command = add_asking("maintain", "Has a node take no new tasks, until --off",
                               [this] { return cli::run_maintain(common_, maintain_); });
    command->add_option("NODE", maintain_.node, "Name or id of a node")->required();
    command->add_flag("--off", maintain_.off, "It takes tasks again");
  }

  void add_voters() {
    auto* command = add_asking("voters", "Shows or changes which nodes keep what the cluster has",
                               [this] { return cli::run_voters(common_, voters_); });
    command->add_option("VERB", voters_.verb, "list, add, remove, replace or lead")
      ->check(CLI::IsMember({"list", "add", "remove", "replace", "lead"}));
    command->add_option("NODE", voters_.node, "Name or id of a node");
    command->add_option("BY", voters_.by, "For replace: the node that takes its place");
    command->add_flag("--force", voters_.force,
                      "Removes a voter also where nobody can take its place");
  }

  void add_backups() {
    add_asking("backup", "Writes all that a cluster keeps into a file",
               [this] { return cli::run_backup(common_, backup_); })
      ->add_option("FILE", backup_.file)
      ->required();
    auto* restore = add("restore", "Makes a data folder from a backup, for a new cluster",
                        [this] { return cli::run_restore(common_, backup_); });
    restore->add_option("FILE", backup_.file)->required();
    restore->add_option("--data", backup_.data, "The folder, new or empty")->required();
    auto* recover = add("recover", "Has a voter go on alone when the majority is gone for good",
                        [this] { return cli::run_recover(common_, backup_); });
    recover->add_option("--data", backup_.data, "The folder of a voter that does not run")
      ->required();
    recover->add_flag("--dry-run", backup_.dry_run,
                      "Only say where its log ends, to compare voters");
  }

  void add_demo() {
    demo_.file = demo_file();
    auto* command = add(
      "demo", "Runs a real workflow on three processes and kills one of them in the middle",
      [this] {
        cli::held_signals signals; // before there are threads that would get them
        return cli::run_demo(common_, demo_, std::filesystem::canonical("/proc/self/exe"), signals);
      });
    command->add_option("--file", demo_.file, "Another workflow");
    command->add_option("--seconds", demo_.seconds, "About how long it should take")
      ->check(is_number)
      ->check(CLI::Range(0.1, 3600.0));
    command->add_option("--slots", demo_.slots, "Tasks at once on each node")
      ->check(is_count)
      ->check(CLI::Range(1, 1000));
  }

  void add_workflows() {
    add("dag", "Analyses a workflow file", [this] { return cli::run_dag(common_, dag_file_); })
      ->add_option("FILE", dag_file_)
      ->required();
    auto* submit = add_asking("submit", "Runs a workflow file on a cluster",
                              [this] { return cli::run_submit(common_, submit_); });
    submit->add_option("FILE", submit_.file)->required();
    submit->add_option("--time-scale", submit_.time_scale,
                       "Tasks without a handler sleep for their run time, times this");
    submit->add_option("--key", submit_.key, "The same key again is the same run");
    submit->add_option("--priority", submit_.priority, "low, medium, high or urgent");
    submit->add_option("--policy", submit_.policy,
                       "fail_fast, continue_what_can, or compensate for tasks "
                       "that a C++ program has given what undoes them");
    submit->add_flag("--resources", submit_.resources, "Tasks take the cores and memory they name");
    auto* workflows = add_asking("workflows", "Lists the runs; pauses, resumes or cancels one",
                                 [this] { return cli::run_workflows(common_, workflows_); });
    workflows->add_option("VERB", workflows_.verb, "list, pause, resume or cancel")
      ->check(CLI::IsMember({"list", "pause", "resume", "cancel"}));
    workflows->add_option("RUN", workflows_.run, "The number of a run, as the list shows it")
      ->check(is_run);
    auto* one
      = add_asking("run", "Shows a run with its tasks: where each ran, how long, why it failed",
                   [this] { return cli::run_run(common_, run_); });
    one->add_option("RUN", run_.run, "Its number, as `troupe workflows` shows it")
      ->required()
      ->check(is_run);
    one->add_flag("--results", run_.results, "Also what its tasks have returned");
  }

  void add_locks() {
    auto* command = add_asking(
      "lock",
      "Runs a command, given after --, while holding a lock; it finds the fencing token in "
      "TROUPE_TOKEN",
      [this] {
        if (lock_.command.empty())
          return cli::complain({troupe::errc::bad_argument,
                                "there is no command to run; give it after --, as in troupe lock "
                                "NAME -- COMMAND"});
        return cli::run_lock(common_, lock_);
      });
    command->add_option("NAME", lock_.name)->required();
    command->add_option("--ttl", lock_.ttl,
                        "How long the lock stays with one that was killed: 500ms, 10s, 2m");
    command->add_option("--wait", lock_.wait,
                        "How long to wait in line for it, up to 10m; 0: not at all");
    command->add_flag("--shared", lock_.shared, "Together with others that hold it shared");
    add_asking("locks", "Lists the locks, their holders and who waits",
               [this] { return cli::run_locks(common_, locks_); })
      ->add_option("--force-release", locks_.force_release,
                   "Takes this lock from whoever holds it, who finds out when it renews its lease");
  }

  void add_sim() {
    auto* command = add("sim", "Runs a scenario in a simulated world full of faults",
                        [this] { return cli::run_sim(common_, sim_); });
    command->add_option("SCENARIO", sim_.scenario, "One of those that `sim list` names")
      ->required();
    command->add_option("--nodes", sim_.nodes, "Nodes of the world")
      ->check(is_count)
      ->check(CLI::Range(1, 31));
    auto* seed = command->add_option("--seed", sim_.seed, "One seed is one run")->check(is_seed);
    command->add_option("--seeds", sim_.seeds, "A..B: a run for each")->excludes(seed);
    command->add_option("--seconds", sim_.seconds, "Virtual seconds with faults")
      ->check(is_count)
      ->check(CLI::Range(1, 86'400));
    command->add_option("--faults", sim_.faults, "none, rough or storm");
    command->add_option("--loss", sim_.loss, "Share of messages that are lost")
      ->check(is_number)
      ->check(CLI::Range(0.0, 1.0));
  }

  void add_chaos() {
    auto* command = add(
      "chaos", "Runs a cluster of processes, breaks it again and again, judges what clients saw",
      [this] {
        cli::held_signals signals; // before there are threads that would get them
        return cli::run_chaos(common_, chaos_, std::filesystem::canonical("/proc/self/exe"),
                              signals);
      });
    command->add_option("--nodes", chaos_.nodes, "Processes")
      ->check(is_count)
      ->check(CLI::Range(3, 7));
    command
      ->add_option("--seconds", chaos_.seconds,
                   "How long, 10 to 1800; the last 10 s are without faults. Judging what clients "
                   "saw takes up to 2 minutes more, and a history has up to 2000000 calls")
      ->check(is_chaos_span);
    command->add_option("--seed", chaos_.seed, "The same seed is the same plan of faults")
      ->check(is_seed);
    command->add_option("--clients", chaos_.clients, "Who does one thing at a time each")
      ->check(is_count)
      ->check(CLI::Range(1, 100));
    command->add_option("--timers", chaos_.timers, "Of the nodes: wan or lan")
      ->check(CLI::IsMember({"wan", "lan"}));
    command->add_option("--workload", chaos_.workload, "What clients do")
      ->check(CLI::IsMember({"register", "kv", "lock", "lease", "queue", "scheduler"}));
    command
      ->add_option("--network", chaos_.network,
                   "Between them: proxy, which needs no rights, or namespaces, the kernel's own "
                   "network, which needs root and the programs ip and nft")
      ->check(CLI::IsMember({"proxy", "namespaces"}));
    command
      ->add_option("--faults", chaos_.faults,
                   "Only these: kill_leader, kill_others, pause_leader, pause_others, "
                   "isolate_leader, isolate_minority, isolate_all, one_way, slow, reset, members")
      ->delimiter(',');
    command->add_option("--raft-log", chaos_.raft_log,
                        "An empty folder for what the replicas of the log did, to be judged, too");
    command->add_option("--history", chaos_.history,
                        "File for what clients saw; without it only that of a bad run is kept");
    command->add_flag("--insecure", insecure_, "Plain links, on loopback only; the only kind yet");
  }

  void add_lists() {
    add_asking("status", "Shows the members of a cluster and what it has to do",
               [this] { return cli::run_status(common_); });
    add_asking("agents", "Lists the agents", [this] { return cli::run_agents(common_); });
  }

  void add_message(const std::string& name, const std::string& what, bool wants_answer) {
    auto* command = add_asking(name, what, [this, wants_answer] {
      message_.wants_answer = wants_answer;
      return cli::run_message(common_, message_);
    });
    command->add_option("AGENT", message_.agent)->required();
    command->add_option("TEXT", message_.text)->required();
  }

  void add_messages() {
    add_message("send", "Sends a text to an agent", false);
    add_message("request", "Sends a text to an agent and prints its answer", true);
  }

  CLI::App* add_key(const std::string& name, const std::string& what,
                    cli::state_command::verb verb) {
    auto* command = add_asking(name, what, [this, verb] {
      state_.what = verb;
      return cli::run_state(common_, state_);
    });
    command->add_option("KEY", state_.key)->required();
    command->add_option("--level", state_.level, "eventual, causal or strong; part of the key");
    return command;
  }

  void add_state() {
    add_key("get", "Prints a value of the shared state", cli::state_command::verb::get);
    add_key("put", "Writes a value of the shared state", cli::state_command::verb::put)
      ->add_option("VALUE", state_.value)
      ->required();
    add_key("watch", "Prints a value and each change of it", cli::state_command::verb::watch);
  }

  void add_config() {
    config_ = add("config", "Shows the options that hold, and where each comes from",
                  [this] { return cli::run_config(common_, *config_, origins_); });
    add_node_options(config_);
    add_at(config_);
    add_file(config_);
  }

  /// Fills the options that have no flag.
  troupe::problem read_settings() {
    for (auto* command : app_.get_subcommands()) {
      if (command->get_option_no_throw("--config") == nullptr)
        continue;
      if (auto* file = std::getenv("TROUPE_CONFIG"); file != nullptr && common_.config.empty())
        common_.config = file;
      auto from = cli::apply_settings(*command, *config_, common_.config);
      if (!from)
        return from.error();
      origins_ = *std::move(from);
    }
    return {};
  }

  CLI::App app_{
    "Networks of agents: programs that find each other, exchange messages, share state, "
    "take locks and run workflows together."};
  std::vector<std::pair<CLI::App*, call>> calls_;
  CLI::App* config_ = nullptr;
  cli::common_options common_;
  cli::node_command node_;
  bool insecure_ = true; // accepted and implied, as there are no other links yet
  cli::leave_command leave_;
  cli::maintain_command maintain_;
  cli::voters_command voters_;
  cli::backup_command backup_;
  cli::demo_command demo_;
  std::string dag_file_;
  cli::sim_command sim_;
  cli::chaos_command chaos_;
  cli::submit_command submit_;
  cli::workflows_command workflows_;
  cli::run_command run_;
  cli::lock_command lock_;
  cli::locks_command locks_;
  cli::message_command message_;
  cli::state_command state_;
  cli::origins origins_;
};

} // namespace

int main(int argc, char** argv) {
  return command_line{}.run(argc, argv);
}
