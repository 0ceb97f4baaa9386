#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "connect.hpp"
#include "demo_figures.hpp"
#include "node_process.hpp"
#include "progress.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/testing/throwaway_ca.hpp"
#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/file.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;
using clock = std::chrono::steady_clock;

namespace {

duration to_span(double seconds) {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>{seconds});
}

/// One demo, from its processes to its summary.
class demo {
public:
  demo(const common_options& common, const demo_command& what, std::string self,
       const held_signals& signals)
    : common_(common), what_(what), self_(std::move(self)), signals_(signals) {}

  int run() {
    if (auto& why = folder_.missing())
      return complain(common_, why);
    auto flow = workflow::read_workflow(what_.file);
    if (!flow)
      return complain_of_workflow(common_, flow.error());
    auto figures = workflow::analyse(*flow);
    auto slots = what_.slots * 3;
    auto ideal = workflow::list_schedule(*flow, slots);
    scale_ = what_.seconds / std::max(seconds(ideal), 1e-3);
    say("workflow " + flow->name() + ": " + std::to_string(figures.tasks) + " tasks, "
        + std::to_string(figures.edges) + " edges; one second of its run time takes "
        + in_words(to_span(scale_)));
    if (!start_nodes())
      return is_interrupted()
               ? interrupted()
               : complain_with_logs({errc::failed, "a node did not start; see above"});
    // Not with the identity of the user: these nodes have no certificates.
    auto client = cluster_client::connect({{"127.0.0.1", nodes_.front().port}}, common_.wait(), {},
                                          folder_.path() / "client");
    if (!client)
      return complain(common_, client.error());
    if (!wait_for_workers(**client))
      return is_interrupted()
               ? interrupted()
               : complain_with_logs(
                 {errc::timed_out, "the workers did not register within 20 s; see above"});
    return run_workflow(*flow, **client);
  }

private:
  /// A node that was killed, and those of its tasks, with their attempts, that do not run again
  /// yet.
  struct loss {
    std::string node;
    clock::time_point at;
    std::map<std::uint32_t, std::uint32_t> tasks;
    std::size_t count = 0;
    std::optional<clock::time_point> recovered_at;
  };

  void say(const std::string& line) {
    if (!common_.json)
      std::cout << line << std::endl;
  }

  /// Checked between blocking calls, so that an interrupt ends the demo by the normal path and
  /// cleans up.
  bool is_interrupted() {
    return interrupted_ = interrupted_ || signals_.wait(0ms).has_value();
  }

  int interrupted() {
    bar_.close();
    return complain(common_, {errc::cancelled, "interrupted; start it again to see the rest"});
  }

  /// Prints the logs of the nodes. Until then they are in files: while nodes are killed, such lines
  /// would read like failures.
  int complain_with_logs(const problem& why) {
    bar_.close();
    print_logs(folder_.path());
    return complain(common_, why);
  }

  bool start_nodes() {
    testing::throwaway_ca ca{folder_.path() / "ca"};
    ca.issue(folder_.path() / "client", "demo", security::role::client);
    for (auto* name : {"n1", "n2", "n3"})
      ca.issue(folder_.path() / name, name);
    for (auto* name : {"n1", "n2", "n3"})
      if (is_interrupted() || !start(name))
        return false;
    return true;
  }

  /// Starts a node, or restarts it on its folder.
  bool start(const std::string& name) {
    std::vector<std::string> options{"--listen", "127.0.0.1:0",
                                     "--data",   folder_.path() / name,
                                     "--slots",  std::to_string(what_.slots),
                                     "--timers", "lan"};
    for (auto& each : nodes_)
      if (each.name != name)
        options.insert(options.end(), {"--join", "127.0.0.1:" + std::to_string(each.port)});
    auto made = start_node(self_, name, options, folder_.path() / (name + ".log"));
    if (!made)
      return false;
    bar_.close();
    if (common_.json)
      print(
        {{"event", "node"}, {"node", name}, {"pid", made->process.pid()}, {"port", made->port}});
    else
      say("node " + name + ": process " + std::to_string(made->process.pid()) + ", port "
          + std::to_string(made->port) + ", " + std::to_string(what_.slots) + " slots"
          + (find(name) != nullptr ? ", back on its data" : ""));
    if (auto* old = find(name))
      *old = std::move(*made);
    else
      nodes_.push_back(std::move(*made));
    return true;
  }

  started_node* find(const std::string& name) {
    auto found = std::ranges::find(nodes_, name, &started_node::name);
    return found != nodes_.end() ? &*found : nullptr;
  }

  bool wait_for_workers(cluster_client& client) {
    auto deadline = clock::now() + 20s;
    while (clock::now() < deadline && !is_interrupted()) {
      auto found = client.services().scheduler.ask(scheduler::list_workers{}, 5s);
      if (found && found->workers.size() == nodes_.size() && leader(client)) {
        for (auto& each : found->workers)
          workers_[each.name] = each.worker;
        say("all three nodes are voters; node " + *leader(client) + " is the leader");
        return true;
      }
      nodes_.front().process.read_line(20ms); // prints nothing more: only a short wait
    }
    return false;
  }

  /// Returns the name of the leader if all nodes are voters and up to date; otherwise nothing.
  std::optional<std::string> leader(cluster_client& client) {
    auto found = client.voters().list(5s);
    if (!found || found->seats.size() != nodes_.size())
      return std::nullopt;
    std::optional<std::string> result;
    for (auto& each : found->seats) {
      if (!each.votes || !each.lag || *each.lag > 10 || each.silent_for > 1s)
        return std::nullopt;
      for (auto& node : nodes_)
        if (each.leads && each.address == "127.0.0.1:" + std::to_string(node.port))
          result = node.name;
    }
    return result;
  }

  int run_workflow(const workflow::dag& flow, cluster_client& client) {
    auto& service = client.services().scheduler;
    scheduler::submission_options how;
    how.time_scale = scale_;
    how.key = "demo";
    auto receipt = service.ask(scheduler::to_submit(flow, how), 30s);
    if (!receipt)
      return complain(common_, receipt.error());
    started_ = clock::now();
    scheduler::watch_run question{receipt->run, 0, 200ms, 1'000}; // short, to check for signals
    while (!is_interrupted()) {
      auto news = service.ask(question, 60s);
      if (!news)
        return complain(common_, news.error());
      question.after = news->revision;
      look_at(*news);
      auto done = news->run.counts.at(static_cast<std::size_t>(scheduler::task_state::completed));
      show(done, news->run);
      if (is_final(news->run.state))
        return finish(flow, news->run);
      if (!next_fault(client, double(done) / news->run.tasks))
        return complain_with_logs({errc::failed, "a node did not start again; see above"});
    }
    return interrupted();
  }

  /// Kills a worker, restarts it when others have its tasks, then kills the leader.
  bool next_fault(cluster_client& client, double done) {
    if (losses_.empty() && done >= 0.25) {
      auto leads = leader(client);
      if (leads)
        kill(*leads == "n3" ? "n2" : "n3", "a worker");
    } else if (losses_.size() == 1 && losses_.front().recovered_at && !is_back_) {
      if (!start(losses_.front().node))
        return false;
      is_back_ = true;
      changes_.push_back(clock::now());
    } else if (losses_.size() == 1 && is_back_ && done >= 0.5) {
      if (auto leads = leader(client))
        kill(*leads, "the leader");
    }
    return true;
  }

  /// Records which worker runs which task, to see when the tasks of a killed node run again.
  void look_at(const scheduler::run_news& news) {
    for (auto& each : news.changes) {
      auto runs = each.state == scheduler::task_state::running;
      if (runs)
        running_[each.task] = {each.worker, each.attempt};
      else
        running_.erase(each.task);
      for (auto& gone : losses_)
        if (auto lost = gone.tasks.find(each.task);
            lost != gone.tasks.end()
            && ((runs && each.attempt > lost->second)
                || each.state == scheduler::task_state::completed)) {
          gone.tasks.erase(lost);
          if (gone.tasks.empty())
            gone.recovered_at = clock::now();
        }
    }
  }

  void show(std::uint32_t done, const scheduler::run_view& run) {
    auto elapsed = seconds(clock::now() - started_);
    if (common_.json) {
      print({{"event", "progress"}, {"done", done}, {"tasks", run.tasks}, {"elapsed_s", elapsed}});
      return;
    }
    auto text
      = std::to_string(run.counts.at(static_cast<std::size_t>(scheduler::task_state::running)))
        + " running";
    for (auto& each : losses_)
      text += ", " + each.node + " killed" + (each.tasks.empty() ? ", its tasks run again" : "");
    bar_.show(done, run.tasks, text);
  }

  void kill(const std::string& name, const std::string& as) {
    auto& node = *find(name);
    node.process.send_signal(SIGKILL);
    loss made{name, clock::now(), {}, 0, {}};
    for (auto& [task, where] : running_)
      if (where.first == workers_[name])
        made.tasks[task] = where.second;
    made.count = made.tasks.size();
    if (made.tasks.empty())
      made.recovered_at = made.at;
    changes_.push_back(made.at);
    bar_.close();
    if (common_.json)
      print({{"event", "killed"}, {"node", name}, {"as", as}, {"running", made.count}});
    else
      say("SIGKILL for " + as + ", node " + name + ", process " + std::to_string(node.process.pid())
          + ", which runs " + std::to_string(made.count) + " tasks");
    losses_.push_back(std::move(made));
  }

  /// The log file of a node that lived to the end.
  [[nodiscard]] std::filesystem::path surviving_log() const {
    auto lives = [this](auto& node) { return losses_.empty() || losses_.back().node != node.name; };
    return folder_.path() / std::ranges::find_if(nodes_, lives)->name / "group.db";
  }

  int finish(const workflow::dag& flow, const scheduler::run_view& run) {
    auto makespan = seconds(clock::now() - started_);
    bar_.close();
    for (auto& each : nodes_)
      each.process.send_signal(SIGTERM);
    for (auto& each : nodes_)
      each.process.wait_for_end(20s);
    auto counted = count_results(surviving_log(), run.run);
    if (!counted)
      return complain(common_, counted.error());
    std::map<duration, std::size_t> workers{{duration::zero(), std::size_t{what_.slots} * 3}};
    for (auto& each : changes_) // a node is killed, restarted, killed
      workers[std::chrono::duration_cast<duration>(each - started_)]
        = std::size_t{what_.slots} * (workers.size() % 2 == 1 ? 2 : 3);
    auto bound = list_schedule_with_losses(flow, scale_, workers);
    auto completed = run.counts.at(static_cast<std::size_t>(scheduler::task_state::completed));
    auto recovery = 0.0;
    std::size_t lost = 0;
    std::string nodes;
    for (auto& each : losses_) {
      recovery = std::max(recovery, seconds(each.recovered_at.value_or(each.at) - each.at));
      lost += each.count;
      nodes += (nodes.empty() ? "" : " and ") + each.node;
    }
    auto good = run.state == scheduler::run_state::completed && completed == run.tasks
                && counted->recorded == run.tasks && counted->twice == 0;
    if (common_.json) {
      print({{"event", "done"},
             {"tasks", run.tasks},
             {"completed", completed},
             {"recorded", counted->recorded},
             {"recorded_twice", counted->twice},
             {"late_refused", counted->late},
             {"nodes_lost", losses_.size()},
             {"lost_running", lost},
             {"recovery_s", recovery},
             {"makespan_s", makespan},
             {"bound_s", seconds(bound)}});
    } else {
      say("");
      say("completed       " + std::to_string(completed) + " of " + std::to_string(run.tasks)
          + " tasks");
      say("recorded once   " + std::to_string(counted->recorded - counted->twice)
          + " results, read from the journal; twice: " + std::to_string(counted->twice));
      say("nodes lost      " + nodes + ", with " + std::to_string(lost)
          + " tasks; all of them ran again after " + in_words(to_span(recovery)) + " at most");
      say("total time      " + in_words(to_span(makespan))
          + "; list schedule for the workers that were alive: " + in_words(bound));
    }
    if (!good)
      return complain(common_, {errc::failed, "the run ended as " + std::string{name_of(run.state)}
                                                + "; see the figures above"});
    return ok;
  }

  const common_options& common_;
  const demo_command& what_;
  std::string self_;
  const held_signals& signals_;
  bool interrupted_ = false;
  scratch_folder folder_{"demo"}; // outlives the processes that write to it
  std::vector<started_node> nodes_;
  double scale_ = 1;
  clock::time_point started_;
  /// By node name.
  std::map<std::string, scheduler::worker_id> workers_;
  /// Which task runs on which worker, in which attempt.
  std::map<std::uint32_t, std::pair<scheduler::worker_id, std::uint32_t>> running_;
  std::vector<loss> losses_;
  bool is_back_ = false;
  /// When a node was killed, restarted, killed.
  std::vector<clock::time_point> changes_;
  progress_bar bar_;
};

} // namespace

int run_demo(const common_options& common, const demo_command& what, const std::string& self,
             const held_signals& signals) {
  return demo{common, what, self, signals}.run();
}

} // namespace cli
