// The command `troupe`: runs nodes, submits workflows, takes locks, shows what a cluster does.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include "chaos/numbers.hpp"
#include "commands.hpp"
#include "completion.hpp"
#include "help.hpp"
#include "settings.hpp"
#include "troupe/core/version.hpp"
#include "troupe/node/init.hpp"
#include "value_checks.hpp"

using namespace std::literals;

namespace {

/// The workflow that the demo runs: from the source tree, or where it was installed.
std::string demo_file() {
  for (auto* place : {TROUPE_DEMO_FILE, TROUPE_DEMO_FILE_INSTALLED})
    if (std::filesystem::exists(place))
      return place;
  return "epigenomics.json";
}

/// Parses the command line and runs the command that it names.
class command_line {
public:
  command_line() {
    app_.set_help_flag("-h,--help", "Prints this help and ends"); // commands inherit it
    app_.set_version_flag("--version", "troupe " + to_string(troupe::library_version),
                          "Prints the version and ends");
    app_.require_subcommand(1);
    add_demo();
    add_help();
    add_node();
    add_identities();
    add_login();
    add_leave();
    add_maintain();
    add_voters();
    add_backups();
    add_workflows();
    add_locks();
    add_lists();
    add_messages();
    add_state();
    add_sim();
    add_chaos();
    add_config();
    add_pages();
    cli::arrange_help(app_);
  }

  int run(int argc, char** argv) {
    if (argc < 2) {
      cli::print_line(std::cerr, cli::help_of(app_, {}));
      return cli::bad_input;
    }
    common_.json = wants_json(argc, argv); // needed even if the parser fails
    if (auto why = check_name(argv[1]))
      return cli::complain(common_, why);
    auto words = cut_command(argc, argv);
    try {
      if (auto why = check_values(words, argv))
        return cli::complain(common_, why);
      app_.parse(words, argv);
      if (auto why = read_settings()) {
        cli::complain(common_, why);
        return cli::bad_input;
      }
    } catch (const CLI::ParseError& why) { // also --help and --version
      if (auto* verb = verb_to_explain(why)) {
        std::cout << cli::help_of_verb(*ca_command_, *verb) << std::flush;
        return check_output();
      }
      return why.get_exit_code() == 0
               ? (app_.exit(why), check_output())
               : cli::complain(common_, cli::explain(app_, why, behind_mark(words, argv)));
    }
    troupe::init<cli::chaos::troupe_chaos_numbers>();
    for (auto& [command, run_it] : calls_)
      if (command->parsed()) {
        auto status = run_it();
        // The status of `lock` is that of its command, whose work is done: it stays.
        return status == cli::ok && command->get_name() != "lock" ? check_output() : status;
      }
    return cli::bad_input;
  }

private:
  using call = std::function<int()>;

  /// Checks that all output was written. Prints no error if the reader closed the pipe: it needs
  /// no more.
  int check_output() const {
    std::cout.flush();
    if (std::cout)
      return cli::ok;
    pollfd out{STDOUT_FILENO, POLLOUT, 0};
    if (::poll(&out, 1, 0) != 1 || (out.revents & POLLERR) == 0)
      cli::complain(common_, {troupe::errc::storage_full,
                              "the output could not be written; see whether the disk is full"});
    return cli::failed;
  }

  /// The parser would take the next word as the value of an option that ends with "=", as an empty
  /// variable of a script leaves it.
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

  static bool wants_json(int count, char** words) {
    auto** end = std::find(words, words + count, std::string_view{"--"});
    return std::find(words, end, std::string_view{"--json"}) != end;
  }

  /// Takes the command of `lock` unparsed: the parser would read words in brackets as lists.
  /// Returns how many words are left.
  int cut_command(int argc, char** argv) {
    auto** end = argv + argc;
    auto** cut
      = argc > 1 && argv[1] == std::string{"lock"} ? std::find(argv, end, std::string{"--"}) : end;
    if (cut != end)
      lock_.command.assign(cut + 1, end);
    return static_cast<int>(cut - argv);
  }

  /// The words behind the first `--`.
  static std::vector<std::string> behind_mark(int count, char** words) {
    auto** end = words + count;
    auto** mark = std::find(words, end, std::string_view{"--"});
    return mark == end ? std::vector<std::string>{} : std::vector<std::string>(mark + 1, end);
  }

  /// Names the nearest command, if it is close; the parser itself would only say that there is no
  /// command.
  troupe::problem check_name(const std::string& name) const {
    std::vector<std::string> known;
    for (auto& [command, run_it] : calls_)
      known.push_back(command->get_name());
    if (name.starts_with('-') || std::ranges::find(known, name) != known.end())
      return {};
    auto close = cli::close_to(name, known);
    return {troupe::errc::bad_argument,
            "'" + name + "' is no command; "
              + (close ? "the nearest one is " + *close + ", see troupe --help"
                       : "see troupe --help, which lists them")};
  }

  /// The verb of `troupe ca` whose page is asked for; null: none is.
  [[nodiscard]] const cli::ca_verb* verb_to_explain(const CLI::ParseError& why) const {
    if (dynamic_cast<const CLI::CallForHelp*>(&why) == nullptr || !ca_command_->parsed())
      return nullptr;
    auto& given = ca_command_->get_option("VERB")->results();
    return given.empty() ? nullptr : cli::find_ca_verb(given.front());
  }

  /// A command that prints a text, and nothing else.
  CLI::App* add_printing(const std::string& name, const std::string& what,
                         std::function<std::string()> text) {
    auto* command = app_.add_subcommand(name, what);
    calls_.emplace_back(command, [text = std::move(text)] {
      std::cout << text();
      return cli::ok;
    });
    return command;
  }

  CLI::App* add(const std::string& name, const std::string& what, call run) {
    auto* command = app_.add_subcommand(name, what);
    command->option_defaults()->always_capture_default();
    command->add_flag("--json", common_.json, "Prints one JSON object per line");
    calls_.emplace_back(command, std::move(run));
    return command;
  }

  void add_file(CLI::App* command) {
    command->add_option("--config", common_.config, "JSON file of options; also TROUPE_CONFIG")
      ->option_text("FILE")
      ->capture_default_str()
      ->check(cli::given("a file, or leave it out"));
  }

  void add_nodes_to_ask(CLI::App* command, const std::string& meaning) {
    command->add_option("--at", common_.at, meaning)
      ->default_val(std::vector<std::string>{"127.0.0.1:6767"})
      ->option_text("HOST:PORT")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->check(cli::given("a node, HOST:PORT"))
      ->check(cli::is_address_to_dial);
  }

  void add_at(CLI::App* command) {
    add_nodes_to_ask(command, "A node to ask, HOST:PORT; may be repeated");
    command
      ->add_option("--timeout", common_.wait_s, "How long to wait for each answer: 500ms, 10s, 2m")
      ->option_text("SPAN")
      ->default_str("10s")
      ->transform(cli::span_in(10ms, 1h));
    command
      ->add_option("--identity", common_.identity,
                   "Folder with your key and certificate (troupe login makes it); default: the one "
                   "that TROUPE_HOME names, or ~/.troupe")
      ->option_text("FOLDER");
    add_insecure(command);
  }

  void add_insecure(CLI::App* command) {
    command->add_flag("--insecure", common_.insecure,
                      "Plain links without certificates, on loopback only: for tests on one "
                      "machine; all processes of a cluster need the same");
  }

  /// A command that asks a cluster.
  CLI::App* add_asking(const std::string& name, const std::string& what, call run) {
    auto* command = add(name, what, std::move(run));
    add_at(command);
    add_file(command);
    return command;
  }

  void add_node_options(CLI::App* command) {
    command->option_defaults()->group("Network");
    command
      ->add_option("--listen", node_.listen, "Address to accept links at; port 0: any free port")
      ->option_text("HOST:PORT")
      ->check(cli::is_address);
    command->add_option("--advertise", node_.advertise, "Address that others dial, if it differs")
      ->option_text("HOST:PORT")
      ->check(cli::is_address);
    command
      ->add_option("--join", node_.join, "Nodes of the cluster to join; without it, founds one")
      ->option_text("HOST:PORT")
      ->delimiter(',')
      ->check(cli::given("HOST:PORT, or leave --join out to found a cluster"))
      ->check(cli::is_address_to_dial);
    command->add_flag("--bootstrap", node_.bootstrap, "Founds a cluster if --join finds none");
    command
      ->add_option("--bootstrap-expect", node_.bootstrap_expect,
                   "Number of nodes that found a cluster together, 1 to 7, with each other's "
                   "addresses in --join and the same number; needs --data; 0: no others")
      ->check(cli::count_in(0, 7));
    command->option_defaults()->group("Identity and data");
    command->add_option("--name", node_.name, "Its name for people");
    command->add_option("--data", node_.data, "Folder for all data; without it, in memory")
      ->option_text("FOLDER")
      ->check(cli::given("a folder, or leave --data out to keep all in memory"));
    command
      ->add_option("--voters", node_.voters,
                   "Number of voters, 1 to 7, among nodes with --data; 3 tolerate one loss, 5 two")
      ->check(cli::count_in(1, 7));
    command
      ->add_option("--replace-after", node_.replace_after,
                   "How long a voter has to be dead or stopped before another node takes its place")
      ->option_text("SPAN|never")
      ->check(cli::is_span_or_never);
    command
      ->add_option(
        "--timers", node_.timers,
        "How soon a lost leader is replaced, and how often members are pinged: wan (1 to 2 s; "
        "each second), lan (0.2 to 0.4 s; 200 ms)")
      ->option_text("wan|lan")
      ->check(cli::one_of({"wan", "lan"}));
    command
      ->add_option("--raft-log", node_.raft_log,
                   "File for all that its Raft replica does; grows without bound")
      ->option_text("FILE");
    command
      ->add_option("--membership-log", node_.membership_log,
                   "File for each change of how it sees the other members; grows without bound")
      ->option_text("FILE");
    command->option_defaults()->group("Resources of its worker");
    command->add_option("--slots", node_.slots, "Tasks at once, up to 1024; 0: no worker")
      ->check(cli::count_in(0, 1'024)); // a thread for each, see worker_options::capacity
    command->add_option("--cpus", node_.cpus, "Cores")->check(cli::number_in(0, 1'000'000));
    command->add_option("--memory", node_.memory_bytes, "Memory: 512MB, 16GiB")
      ->option_text("SIZE")
      ->transform(cli::in_bytes());
    command->add_option("--gpus", node_.gpus, "GPUs")->check(cli::count_in(0, 1'000'000));
    command->add_option("--group", node_.group,
                        "Group of its worker, which then runs only tasks of this group");
    command->add_option("--label", node_.labels, "A label of it; may be repeated")
      ->option_text("NAME=VALUE")
      ->allow_extra_args(false) // no delimiter: a value may have commas
      ->check(cli::is_label);
    command->add_flag("--allow-exec", node_.allow_exec,
                      "Runs programs for everybody who may submit tasks");
    command->add_flag("--allow-spawn", node_.allow_spawn,
                      "Lets other members spawn services in this process");
    command->option_defaults()->group("Stopping");
    command->add_flag("--leave-on-term", node_.leave_on_term,
                      "Leaves the cluster permanently at SIGTERM");
    command
      ->add_option("--drain", node_.drain,
                   "How long its tasks may still run after it was asked to end: 30s, 1h, 0")
      ->option_text("SPAN")
      ->check(cli::is_span);
    command->option_defaults()->group("For tests");
    command->add_flag("--chaos-numbers", node_.chaos_numbers,
                      "Runs the service that troupe chaos --workload service uses");
    command
      ->add_option("--chaos-letters", node_.chaos_letters,
                   "Sends and handles the messages of troupe chaos --workload messages, as the "
                   "files in this folder say")
      ->option_text("FOLDER");
    command->option_defaults()->group("Options");
  }

  void add_node() {
    auto* command = add("node",
                        "Runs a node until SIGTERM or SIGINT, and at once with a later "
                        "second or a third",
                        [this] {
                          cli::held_signals signals; // before any thread that would get them
                          return cli::run_node(common_, node_, signals);
                        });
    add_node_options(command);
    add_file(command);
    // Not among add_node_options(), as `config` has these two with the options of commands.
    command->option_defaults()->group("Identity and data");
    command
      ->add_option("--identity", common_.identity,
                   "Without --data: folder with its key and certificates, of troupe ca issue")
      ->option_text("FOLDER")
      ->check(cli::given("a folder, or leave --identity out"));
    add_insecure(command);
    // A secret: not in the environment, where children have it, nor in a file for all to read.
    command
      ->add_option("--token", node_.token,
                   "With --join at the first start: a line of troupe ca invite, or @FILE with it")
      ->option_text("LINE|@FILE")
      ->check(cli::given("the line of troupe ca invite, or @FILE"));
    command->option_defaults()->group("Options");
  }

  void add_identities() {
    auto* init
      = add("init", "Makes an identity, and a CA that admits others to its cluster", [this] {
          if (!init_.request.empty() && !init_.name.empty())
            return cli::complain(common_, {troupe::errc::bad_argument,
                                           "--name says nothing beside --request; the CA gives "
                                           "the name (troupe ca issue --name)"});
          return cli::run_init(common_, init_);
        });
    init->add_option("--data", init_.data, "Data folder of a node, new or without certificates")
      ->option_text("FOLDER")
      ->required()
      ->check(cli::given("a folder"));
    init->add_option("--name", init_.name,
                     "Its name for people; default: the first 8 digits of its id");
    init
      ->add_option("--request", init_.request,
                   "Makes no CA, but a file with which another cluster's CA admits it")
      ->option_text("FILE")
      ->check(cli::given("a file, or leave --request out"));
    ca_command_
      = add("ca", "Admits nodes and clients to the cluster of a CA, and excludes them", [this] {
          auto why = check_ca();
          return why ? cli::complain(common_, why) : cli::run_ca(common_, ca_);
        });
    auto* ca = ca_command_;
    ca->add_option("VERB", ca_.verb, "issue, list, renew, revoke, invite, invitations or withdraw")
      ->required()
      ->check(cli::one_of(cli::ca_verb_names()));
    ca->add_option("WHICH", ca_.which,
                   "For renew and revoke: a name or node id, or the beginning of one, which stands "
                   "for all certificates of that identity; or the serial of one certificate. For "
                   "withdraw: the id of a token, as invitations shows it");
    ca->add_option("--data", ca_.data, "Data folder with the CA, as troupe init made it")
      ->option_text("FOLDER")
      ->required()
      ->check(cli::given("a folder"));
    ca->add_option("--name", ca_.name, "Name of the node or client, for people")
      ->check(cli::given("a name"));
    ca->add_option("--role", ca_.role, "member, or client")
      ->option_text("member|client")
      ->check(cli::one_of({"member", "client"}));
    ca->add_option("--rights", ca_.rights,
                   "Of a client: read, use or operate; each includes those before it")
      ->option_text("read|use|operate")
      ->check(cli::one_of({"read", "use", "operate"}));
    ca->add_option("--for", ca_.lasts,
                   "For invite: how long the token can be used, 1m to 168h: 15m, 2h")
      ->option_text("SPAN")
      ->default_str("15m")
      ->transform(cli::span_in(1min, 168h));
    ca->add_option("--out", ca_.out,
                   "For invite: a new file for the token, which only you can read, instead of "
                   "stdout. Else: folder for the identity and its certificates; default with "
                   "--request: where that file is")
      ->option_text("FILE|FOLDER")
      ->check(cli::given("a file or folder"));
    ca->add_option("--request", ca_.request,
                   "A file of troupe init --request, so that no key travels")
      ->option_text("FILE")
      ->check(cli::given("a file"));
    add_nodes_to_ask(ca, "For revoke: a node to ask whether the cluster keeps a majority, "
                         "HOST:PORT; may be repeated");
    ca->add_flag("--force", ca_.force, "For revoke: even the node that has the CA");
  }

  void add_login() {
    auto* login = add("login", "Gets you a certificate of a cluster, for all other commands",
                      [this] { return cli::run_login(common_, login_); });
    login->add_option("AT", login_.at, "A node of the cluster, HOST:PORT")
      ->required()
      ->check(cli::is_address_to_dial);
    login
      ->add_option("--token", login_.token,
                   "A line of troupe ca invite --role client, or @FILE with it")
      ->option_text("LINE|@FILE")
      ->check(cli::given("the line of troupe ca invite, or @FILE"));
    login->add_option("--name", login_.name, "Your name in it; default: user@host");
    login->add_option("--timeout", common_.wait_s, "How long to try: 500ms, 10s, 2m")
      ->option_text("SPAN")
      ->default_str("10s")
      ->transform(cli::span_in(10ms, 1h));
    login->add_flag("--replace", login_.replace,
                    "Replaces also a certificate in that folder that has more rights");
    login
      ->add_option("--identity", common_.identity,
                   "Folder for your key and certificate; default: the one that TROUPE_HOME names, "
                   "or ~/.troupe")
      ->option_text("FOLDER");
  }

  /// What `troupe ca` would not use with this verb, and its user may rely on.
  [[nodiscard]] troupe::problem check_ca() const {
    auto refuse = [](const std::string& why) {
      return troupe::problem{troupe::errc::bad_argument, why};
    };
    auto given = [this](const std::string& option) { return ca_command_->count(option) > 0; };
    auto& verb = *cli::find_ca_verb(ca_.verb);
    auto takes = [&verb](const std::string& option) {
      return std::ranges::find(verb.options, option, &cli::ca_option::name) != verb.options.end();
    };
    if (!ca_.which.empty() && verb.which.empty())
      return refuse("'" + ca_.which + "' is one word too many for troupe ca " + ca_.verb
                    + (takes("--name") ? "; give a name as --name" : "; it lists all"));
    for (auto* each : ca_command_->get_options())
      for (auto& name : each->get_lnames())
        if (auto all = cli::ca_verbs_with("--" + name);
            !all.empty() && each->count() > 0 && !takes("--" + name))
          return refuse("--" + name + " is for troupe ca " + all + "; leave it out of troupe ca "
                        + ca_.verb);
    if (given("--rights") && ca_.role == "member")
      return refuse("--rights is for clients, as a member may do everything; give --role client, "
                    "or leave --rights out");
    return {};
  }

  void add_leave() {
    add_asking("leave", "Makes the node at --at leave its cluster permanently and end",
               [this] { return cli::run_leave(common_, leave_); })
      ->add_flag(
        "--force", leave_.force,
        "Even a voter that no node can replace, the only host, a node with messages that are not "
        "delivered, or one that no leader answers");
  }

  void add_maintain() {
    auto* command = add_asking("maintain", "Makes a node take no new tasks, until --off",
                               [this] { return cli::run_maintain(common_, maintain_); });
    command->add_option("NODE", maintain_.node, "Name or id of a node, or the beginning of its id")
      ->required()
      ->check(cli::given("the name or id of a node"));
    command->add_flag("--off", maintain_.off, "It takes tasks again");
  }

  void add_voters() {
    auto* command = add_asking("voters", "Shows or changes the voters of a cluster",
                               [this] { return cli::run_voters(common_, voters_); });
    command->add_option("VERB", voters_.verb, "list, add, remove, replace or lead")
      ->check(cli::one_of({"list", "add", "remove", "replace", "lead"}));
    command->add_option("NODE", voters_.node, "Name or id of a node, or the beginning of its id");
    command->add_option("BY", voters_.by, "For replace: the node that becomes a voter instead");
    command->add_flag("--force", voters_.force,
                      "Removes a voter even if no node can take its place");
  }

  void add_backups() {
    add_asking("backup", "Writes all data of a cluster into a file",
               [this] { return cli::run_backup(common_, backup_); })
      ->add_option("FILE", backup_.file, "The file, which must not exist yet")
      ->required()
      ->check(cli::given("a file"));
    auto* restore = add("restore", "Makes a data folder from a backup, for a new cluster",
                        [this] { return cli::run_restore(common_, backup_); });
    restore->add_option("FILE", backup_.file, "The backup")
      ->required()
      ->check(cli::given("a file"));
    restore->add_option("--data", backup_.data, "The folder, new or empty")
      ->option_text("FOLDER")
      ->required()
      ->check(cli::given("a folder"));
    restore->add_option("--name", backup_.name,
                        "Its name for people; default: the first 8 digits of its id");
    restore->add_flag("--insecure", common_.insecure,
                      "Makes no CA: for a cluster with --insecure, or with certificates of a CA "
                      "that you have (troupe ca issue)");
    auto* recover
      = add("recover", "Makes a voter go on alone when the majority is lost permanently",
            [this] { return cli::run_recover(common_, backup_); });
    recover->add_option("--data", backup_.data, "The folder of a voter that does not run")
      ->option_text("FOLDER")
      ->required()
      ->check(cli::given("a folder"));
    recover->add_flag("--dry-run", backup_.dry_run,
                      "Only shows where its log ends, to compare voters");
  }

  void add_demo() {
    demo_.file = demo_file();
    auto* command = add(
      "demo", "Runs a real workflow on three processes; kills a worker, then the leader", [this] {
        cli::held_signals signals; // before any thread that would get them
        return cli::run_demo(common_, demo_, std::filesystem::canonical("/proc/self/exe"), signals);
      });
    command->add_option("--file", demo_.file, "Workflow to run instead of the built-in one")
      ->option_text("FILE")
      ->default_str("");
    command->add_option("--seconds", demo_.seconds, "About how long it should take: 20s, 1m")
      ->option_text("SPAN")
      ->default_str("11s")
      ->transform(cli::span_in(100ms, 1h));
    command->add_option("--slots", demo_.slots, "Tasks at once on each node")
      ->check(cli::count_in(1, 1000));
  }

  void add_workflows() {
    auto* dag = add("dag", "Analyses a workflow file, and draws it",
                    [this] { return cli::run_dag(common_, dag_); });
    dag->add_option("FILE", dag_.file, "A workflow: troupe-dag/1, or WfFormat of WfCommons")
      ->required()
      ->check(cli::given("the file of a workflow"));
    dag
      ->add_option(
        "--svg", dag_.svg,
        "Draws it into this file (not -) with the program dot of Graphviz. Without dot, or for "
        "more than 2000 tasks or 5000 edges, the file gets the graph as DOT text, a warning on "
        "standard error says so, and the exit status is 0")
      ->option_text("FILE")
      ->check(cli::is_file_to_write);
    dag->add_option("--draw-within", dag_.draw_within_s, "How long dot may take: 500ms, 30s, 2m")
      ->option_text("SPAN")
      ->default_str("30s")
      ->transform(cli::span_in(10ms, 1h));
    auto* submit = add_asking("submit", "Runs a workflow file on a cluster",
                              [this] { return cli::run_submit(common_, submit_); });
    submit->add_option("FILE", submit_.file, "A workflow: troupe-dag/1, or WfFormat of WfCommons")
      ->required()
      ->check(cli::given("the file of a workflow"));
    submit
      ->add_option("--time-scale", submit_.time_scale,
                   "Tasks without a handler sleep for their run time times this factor")
      ->check(cli::number_in(0, 1'000'000));
    submit
      ->add_option("--key", submit_.key, "Idempotency key: submitting it again gives the same run")
      ->check(cli::given("a key, or leave it out"));
    submit->add_option("--priority", submit_.priority, "low, medium, high or urgent")
      ->check(cli::one_of({"low", "medium", "high", "urgent"}));
    submit
      ->add_option("--policy", submit_.policy,
                   "fail_fast, continue_what_can, or compensate for tasks "
                   "to which a C++ program has given a compensation")
      ->check(cli::one_of({"fail_fast", "continue_what_can", "compensate"}));
    submit->add_flag("--resources", submit_.resources,
                     "Tasks take the cores and memory that they ask for");
    auto* within
      = submit
          ->add_option("--within", submit_.within_s,
                       "How long to follow the run once it is accepted: 30s, 1h, up to 10000h. "
                       "Afterwards it goes on, and the exit status is 3; default: to its end")
          ->option_text("SPAN")
          ->transform(cli::span_in(10ms, 10'000h));
    auto* detach = submit
                     ->add_flag("--detach", submit_.detach,
                                "Prints the number of the run and ends, once it is accepted")
                     ->excludes(within);
    submit
      ->add_option("--report", submit_.report,
                   "Draws the run into this file (SVG, not -) when it ends: each attempt of a task "
                   "by worker and time, also those that failed or were lost. Attempts that ended "
                   "before the run was followed, as with a --key used before, are only counted")
      ->option_text("FILE")
      ->check(cli::is_file_to_write)
      ->excludes(detach);
    auto* workflows = add_asking("workflows", "Lists the runs; pauses, resumes or cancels one",
                                 [this] { return cli::run_workflows(common_, workflows_); });
    workflows->add_option("VERB", workflows_.verb, "list, pause, resume or cancel")
      ->check(cli::one_of({"list", "pause", "resume", "cancel"}));
    workflows->add_option("RUN", workflows_.run, "The number of a run, as the list shows it")
      ->check(cli::is_run);
    auto* one
      = add_asking("run", "Shows a run with its tasks: where each ran, how long, why it failed",
                   [this] { return cli::run_run(common_, run_); });
    one->add_option("RUN", run_.run, "Its number, as `troupe workflows` shows it")
      ->required()
      ->check(cli::is_run);
    one->add_flag("--results", run_.results, "Also shows the results of its tasks");
  }

  void add_locks() {
    auto* command = add_asking(
      "lock",
      "Runs a command, given after --, while holding a lock; the fencing token is in "
      "TROUPE_TOKEN",
      [this] {
        if (lock_.command.empty())
          return cli::complain(common_,
                               {troupe::errc::bad_argument,
                                "there is no command to run; give it after --, as in troupe lock "
                                "NAME -- COMMAND"});
        return cli::run_lock(common_, lock_);
      });
    command->add_option("NAME", lock_.name, "The lock; it need not exist")->required();
    command
      ->add_option("--ttl", lock_.ttl,
                   "How long a killed holder keeps the lock: 500ms, 10s, up to 10m")
      ->option_text("SPAN")
      ->check(cli::is_span);
    command
      ->add_option("--wait", lock_.wait, "How long to wait in line for it, up to 10m; 0: try once")
      ->option_text("SPAN")
      ->check(cli::is_span);
    command->add_flag("--shared", lock_.shared, "Shares the lock with other --shared holders");
    add_asking("locks", "Lists the locks, their holders and waiters",
               [this] { return cli::run_locks(common_, locks_); })
      ->add_option("--force-release", locks_.force_release,
                   "Takes this lock from its holder, which notices when it renews its lease");
  }

  void add_sim() {
    auto* command = add("sim", "Runs a scenario in a simulated world full of faults",
                        [this] { return cli::run_sim(common_, sim_); });
    command->add_option("SCENARIO", sim_.scenario, "A scenario that `troupe sim list` names")
      ->required()
      ->check(cli::one_of(cli::scenario_names()));
    command->add_option("--nodes", sim_.nodes, "Simulated nodes, 1 to 31; of swim 3 to 1000")
      ->check(cli::count_in(1, 1'000));
    auto* seed = command->add_option("--seed", sim_.seed, "The same seed gives the same run")
                   ->check(cli::is_seed);
    command->add_option("--seeds", sim_.seeds, "A..B: one run per seed")->excludes(seed);
    command->add_option("--seconds", sim_.seconds, "Virtual time with faults, up to 24h")
      ->option_text("SPAN")
      ->default_str("60s")
      ->transform(cli::whole_seconds_in(1s, 24h));
    command->add_option("--faults", sim_.faults, "none, rough or storm")
      ->check(cli::one_of({"none", "rough", "storm"}));
    command
      ->add_option("--loss", sim_.loss,
                   "Share of messages that are lost, 0 to 1; default: as --faults says")
      ->default_str("")
      ->check(cli::number_in(0, 1));
    command
      ->add_option("--starved", sim_.starved,
                   "Of swim: so many members, or below 1 such a share, get to no mail for 0.5 to "
                   "8.5 s, again and again, in 30 s of a run of their own; counts who is falsely "
                   "taken for dead, also without Lifeguard")
      ->default_str("")
      ->check(cli::number_in(0, 999));
  }

  void add_chaos() {
    auto* command = add(
      "chaos", "Runs a cluster of processes, injects faults, checks what the clients saw", [this] {
        cli::held_signals signals; // before any thread that would get them
        return cli::run_chaos(common_, chaos_, std::filesystem::canonical("/proc/self/exe"),
                              signals);
      });
    command->add_option("--nodes", chaos_.nodes, "Processes, 3 to 100")
      ->check(cli::count_in(3, 100));
    command
      ->add_option("--voters", chaos_.voters,
                   "How many of them vote, 3 to 7; default: all of up to 7, otherwise 5")
      ->default_str("")
      ->check(cli::count_in(3, 7));
    command
      ->add_option("--seconds", chaos_.seconds,
                   "How long, 10s to 30m; the last 10 s are without faults. Checking what clients "
                   "saw takes up to 2 minutes more, and a history has up to 2000000 calls")
      ->option_text("SPAN")
      ->default_str("60s")
      ->transform(cli::whole_seconds_in(
        10s, 30min,
        ", because the history of a run is kept in memory; for longer tests start several runs "
        "with different seeds"));
    command->add_option("--seed", chaos_.seed, "The same seed gives the same plan of faults")
      ->check(cli::is_seed);
    command->add_option("--clients", chaos_.clients, "Clients, each with one call at a time")
      ->check(cli::count_in(1, 100));
    command->add_option("--timers", chaos_.timers, "As of troupe node: wan or lan")
      ->check(cli::one_of({"wan", "lan"}));
    command
      ->add_option("--workload", chaos_.workload,
                   "What clients do, and what is judged: register, kv, lock, lease, queue, "
                   "scheduler, service, membership, messages")
      ->check(cli::one_of({"register", "kv", "lock", "lease", "queue", "scheduler", "service",
                           "membership", "messages"}));
    command
      ->add_option("--network", chaos_.network,
                   "proxy, which needs no rights, or namespaces, which uses the kernel's network "
                   "and needs root and the programs ip and nft")
      ->check(cli::one_of({"proxy", "namespaces"}));
    command
      ->add_option("--faults", chaos_.faults,
                   "Only these faults: kill_leader, kill_others, pause_leader, pause_others, "
                   "isolate_leader, isolate_minority, isolate_all, one_way, slow, reset, members, "
                   "unlink_leader, end_others, restart_all, starve_others, kill_all")
      ->delimiter(',')
      ->check(cli::one_of(cli::chaos_fault_names()));
    command
      ->add_option("--raft-log", chaos_.raft_log,
                   "Empty folder for the actions of the Raft replicas, which are checked, too")
      ->option_text("FOLDER");
    command
      ->add_option("--history", chaos_.history,
                   "File for what clients saw; without it only a failed run leaves one")
      ->option_text("FILE");
  }

  void add_lists() {
    add_asking("status", "Shows the members of a cluster and its load",
               [this] { return cli::run_status(common_, shows_links_); })
      ->add_flag("--links", shows_links_,
                 "Shows also the links of the node at --at: peers, roles, certificates, relays");
    auto* top
      = add_asking("top", "Shows a cluster while it changes: nodes, workers, runs and rates",
                   [this] { return cli::run_top(common_, top_); });
    top->add_option("--every", top_.every, "Refresh interval, 100ms to 1h: 500ms, 1m")
      ->option_text("SPAN")
      ->transform(cli::span_in(100ms, 1h));
    top->add_flag(
      "--once", top_.once,
      "Prints one frame and ends. This is the default without a terminal, but not under "
      "--json");
    add_asking("agents", "Lists the agents", [this] { return cli::run_agents(common_); });
  }

  void add_message(const std::string& name, const std::string& what, bool wants_answer) {
    auto* command = add_asking(name, what, [this, wants_answer] {
      message_.wants_answer = wants_answer;
      return cli::run_message(common_, message_);
    });
    command->add_option("AGENT", message_.agent, "Its name, as troupe agents shows it")
      ->required()
      ->check(cli::given("the name of an agent"));
    command->add_option("TEXT", message_.text, "The text to send")->required();
    command
      ->add_option("--ttl", message_.ttl_s,
                   std::string{"How long the text is worth delivering: 500ms, 10s, 1h; then it is "
                               "refused as expired; default: it never expires"}
                     + (wants_answer ? "" : ", and 23h with --class once, which is also the most"))
      ->option_text("SPAN")
      ->transform(cli::span_in(1ms, 8'760h)); // longest_span
    command
      ->add_option("--priority", message_.priority,
                   "low, normal, high or critical: whose turn it is of what waits for the agent")
      ->check(cli::one_of({"low", "normal", "high", "critical"}));
    if (wants_answer)
      return;
    command
      ->add_option("--class", message_.delivery_class,
                   "fire: at most once; confirm: again until the agent has handled it, which the "
                   "command waits for, up to --timeout; once: the same, with one effect in the "
                   "agent's database")
      ->check(cli::one_of({"fire", "confirm", "once"}));
    command->add_flag("--synced", message_.synced,
                      "The node that takes it (the leader, or the node at --at while that knows "
                      "no leader) keeps it on its disk until it is handled, also over a restart; "
                      "for --class confirm and once");
  }

  void add_messages() {
    add_message("send", "Sends a text to an agent", false);
    add_message("request", "Sends a text to an agent and prints its answer", true);
    auto* command
      = add_asking("dead-letters", "Lists messages of class confirm and once that were not handled",
                   [this] { return cli::run_dead_letters(common_, dead_letters_); });
    command
      ->add_option("--node", dead_letters_.node,
                   "Name or id of a node, or the beginning of its id; default: all nodes")
      ->option_text("NODE")
      ->check(cli::given("the name or id of a node"));
    auto* show = command
                   ->add_option("--show", dead_letters_.show,
                                "Shows the content of the one with this id, or with fewer digits "
                                "of its node, as JSON")
                   ->option_text("ID")
                   ->check(cli::given("the id of a dead letter"));
    auto* again = command
                    ->add_option("--redrive", dead_letters_.redrive,
                                 "Delivers the one with this id again, or with fewer digits of its "
                                 "node (3fa9:2:17); or all")
                    ->option_text("ID|all")
                    ->check(cli::given("the id of a dead letter, or all"))
                    ->excludes(show);
    command
      ->add_option(
        "--purge", dead_letters_.purge,
        "Lets go of the one with this id for good, or with fewer digits of its node; or of all")
      ->option_text("ID|all")
      ->check(cli::given("the id of a dead letter, or all"))
      ->excludes(again)
      ->excludes(show);
    command = add_asking("inbox",
                         "Shows where messages wait, and for what: at agents that are slow, and "
                         "those of class confirm and once at the nodes that have accepted them",
                         [this] { return cli::run_inbox(common_, inbox_); });
    auto* agent = command->add_option("AGENT", inbox_.agent, "Of this agent only; default: of all")
                    ->check(cli::given("the name of an agent"));
    command
      ->add_flag("--expire", inbox_.expire,
                 "Lets go of the messages of class confirm and once that wait for AGENT where no "
                 "node in reach has it, as when its name is misspelt: they become dead letters")
      ->needs(agent);
    command
      ->add_option("--node", inbox_.node,
                   "Name or id of a node, or the beginning of its id; default: all nodes")
      ->option_text("NODE")
      ->check(cli::given("the name or id of a node"));
  }

  CLI::App* add_state_command(const std::string& name, const std::string& what,
                              cli::state_command::verb verb) {
    auto* command = add_asking(name, what, [this, verb] {
      state_.what = verb;
      return cli::run_state(common_, state_);
    });
    command->add_option("--level", state_.level, "eventual, causal or strong; part of the key")
      ->check(cli::one_of({"eventual", "causal", "strong"}));
    return command;
  }

  CLI::App* add_key(const std::string& name, const std::string& what,
                    cli::state_command::verb verb) {
    auto* command = add_state_command(name, what, verb);
    command->add_option("KEY", state_.key, "The name of the value")
      ->required()
      ->check(cli::given("the name of a value"));
    return command;
  }

  void add_state() {
    add_key("get", "Prints a value of the shared state", cli::state_command::verb::get);
    auto* put = add_key("put", "Writes a value of the shared state", cli::state_command::verb::put);
    put->add_option("VALUE", state_.value, "The new value")->required();
    put
      ->add_option(
        "--ttl", state_.ttl_s,
        "How long the value stays: 500ms, 10s, 1h, up to 87840h; default: until it is removed")
      ->option_text("SPAN")
      ->transform(cli::span_in(1ms, 87'840h)); // see state_options::max_ttl
    add_key("remove", "Removes a value of the shared state", cli::state_command::verb::remove);
    add_state_command("list", "Lists the keys of the shared state", cli::state_command::verb::list)
      ->add_option("PREFIX", state_.key, "Only keys that begin with it");
    add_key("watch", "Prints a value and each change to it", cli::state_command::verb::watch);
  }

  void add_config() {
    config_ = add("config", "Shows the effective options, and where each comes from",
                  [this] { return cli::run_config(common_, *config_, origins_); });
    add_node_options(config_);
    add_at(config_);
    add_file(config_);
  }

  void add_help() {
    auto* help = add("help", "Shows this help, or the help of a command", [this] {
      if (auto why = help_for_.empty() ? troupe::problem{} : check_name(help_for_))
        return cli::complain(common_, why);
      auto* verb = help_for_ == "ca" ? cli::find_ca_verb(verb_for_) : nullptr;
      if (!verb_for_.empty() && verb == nullptr)
        return cli::complain(common_, no_page(verb_for_));
      std::cout << (verb != nullptr ? cli::help_of_verb(*ca_command_, *verb)
                                    : cli::help_of(app_, help_for_))
                << std::flush;
      return cli::ok;
    });
    help->add_option("COMMAND", help_for_, "A command");
    help->add_option("VERB", verb_for_, "Of troupe ca: one of its verbs");
  }

  /// Why there is no page for the verb `word` of the command `help_for_`.
  [[nodiscard]] troupe::problem no_page(const std::string& word) const {
    auto close = help_for_ == "ca" ? cli::close_to(word, cli::ca_verb_names()) : std::nullopt;
    return {troupe::errc::bad_argument,
            close ? "'" + word + "' is no verb of troupe ca; the nearest one is " + *close
                      + ", see troupe help ca"
                  : "'" + word + "' is one word too many for troupe help, which shows " + help_for_
                      + " with all that it does; see troupe help " + help_for_};
  }

  /// Commands whose output is made from all other commands.
  void add_pages() {
    add_printing("completion",
                 "Prints a script with which a shell completes troupe commands; installed with "
                 "the command",
                 [this] { return cli::completion_of(app_, shell_); })
      ->add_option("SHELL", shell_, "bash, zsh or fish")
      ->required()
      ->check(cli::one_of(cli::completed_shells()));
    add_printing("man", "Prints the man page of troupe; installed with the command",
                 [this] { return cli::man_page_of(app_, to_string(troupe::library_version)); });
    std::vector<std::string> commands;
    for (auto& [command, run] : calls_)
      commands.push_back(command->get_name());
    app_.get_subcommand("help")->get_option("COMMAND")->check(cli::often(commands));
  }

  /// Sets the options that were not given as a flag.
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
    "take locks and run workflows together.",
    "troupe"};
  std::vector<std::pair<CLI::App*, call>> calls_;
  CLI::App* config_ = nullptr;
  cli::common_options common_;
  cli::node_command node_;
  cli::init_command init_;
  cli::ca_command ca_;
  cli::login_command login_;
  CLI::App* ca_command_ = nullptr;
  cli::leave_command leave_;
  cli::maintain_command maintain_;
  cli::dead_letters_command dead_letters_;
  cli::inbox_command inbox_;
  cli::voters_command voters_;
  cli::top_command top_;
  bool shows_links_ = false;
  cli::backup_command backup_;
  cli::demo_command demo_;
  cli::dag_command dag_;
  cli::sim_command sim_;
  cli::chaos_command chaos_;
  cli::submit_command submit_;
  cli::workflows_command workflows_;
  cli::run_command run_;
  cli::lock_command lock_;
  cli::locks_command locks_;
  cli::message_command message_;
  cli::state_command state_;
  std::string help_for_;
  std::string verb_for_;
  std::string shell_;
  cli::origins origins_;
};

} // namespace

int main(int argc, char** argv) {
  return command_line{}.run(argc, argv);
}
