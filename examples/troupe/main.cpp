// The command `troupe`: runs nodes, submits workflows, takes locks, looks around.

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>

#include "commands.hpp"
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

} // namespace

int main(int argc, char** argv) {
  cli::held_signals signals;
  troupe::init();
  CLI::App app{"Networks of agents: programs that find each other, exchange messages, share state, "
               "take locks and run workflows together."};
  app.set_version_flag("--version", "troupe " + to_string(troupe::library_version));
  app.require_subcommand(1);
  cli::common_options common;
  auto asks = [&](CLI::App* command) {
    command->add_option("--at", common.at, "Nodes to ask, HOST:PORT")
      ->default_val(std::vector<std::string>{"127.0.0.1:6767"});
    command->add_option("--timeout", common.wait_s, "Seconds to wait for an answer")
      ->check(CLI::Range(0.01, 3600.0));
    command->add_flag("--json", common.json, "One JSON object a line");
    return command;
  };
  auto prints = [&](CLI::App* command) {
    command->add_flag("--json", common.json, "One JSON object a line");
    return command;
  };

  cli::node_command node;
  bool insecure = true; // accepted and implied, as there are no other links yet
  auto* run_node = prints(app.add_subcommand("node", "Runs a node until SIGTERM"));
  run_node->add_option("--listen", node.listen, "Where it takes links; port 0 is any free one");
  run_node->add_option("--advertise", node.advertise, "What others dial, where that differs");
  run_node->add_option("--join", node.join, "Nodes of the cluster to join; none: founds one");
  run_node->add_option("--data", node.data, "Folder to keep everything in; none: in memory");
  run_node->add_option("--name", node.name, "What people call it");
  run_node->add_option("--slots", node.slots, "Tasks at once; 0: no worker");
  run_node->add_option("--group", node.group, "Group of its worker");
  run_node->add_flag("--bootstrap", node.bootstrap, "Founds a cluster if none is found");
  run_node->add_flag("--leave-on-term", node.leave_on_term, "Leaves for good at SIGTERM");
  run_node->add_flag("--insecure", insecure, "Plain links, on loopback only; the only kind so far");

  cli::demo_command demo{demo_file()};
  auto* run_demo = prints(app.add_subcommand(
    "demo", "Runs a real workflow on three processes and kills one of them in the middle"));
  run_demo->add_option("--file", demo.file, "Another workflow");
  run_demo->add_option("--seconds", demo.seconds, "About how long it should take")
    ->check(CLI::Range(0.1, 3600.0));
  run_demo->add_option("--slots", demo.slots, "Tasks at once on each node")
    ->check(CLI::Range(1, 1000));

  std::string dag_file;
  auto* dag = prints(app.add_subcommand("dag", "Analyses a workflow file"));
  dag->add_option("FILE", dag_file)->required();

  cli::submit_command submit;
  auto* run_submit = asks(app.add_subcommand("submit", "Runs a workflow file on a cluster"));
  run_submit->add_option("FILE", submit.file)->required();
  run_submit->add_option("--time-scale", submit.time_scale,
                         "Tasks without a handler sleep for their run time, times this");
  run_submit->add_option("--key", submit.key, "The same key again is the same run");
  run_submit->add_option("--priority", submit.priority, "low, medium, high or urgent");
  run_submit->add_option("--policy", submit.policy, "fail_fast, continue_what_can or compensate");
  run_submit->add_flag("--resources", submit.resources,
                       "Tasks take the cores and memory they name");

  auto* workflows = asks(app.add_subcommand("workflows", "Lists the runs"));

  CLI11_PARSE(app, argc, argv);
  if (run_node->parsed())
    return cli::run_node(common, node, signals);
  if (run_demo->parsed())
    return cli::run_demo(common, demo, std::filesystem::canonical("/proc/self/exe"));
  if (dag->parsed())
    return cli::run_dag(common, dag_file);
  if (run_submit->parsed())
    return cli::run_submit(common, submit);
  if (workflows->parsed())
    return cli::run_workflows(common);
  return cli::bad_input;
}
