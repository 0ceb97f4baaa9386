#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "commands.hpp"
#include "connect.hpp"
#include "node_process.hpp"
#include "progress.hpp"
#include "troupe/host/journal.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/storage/sqlite_log.hpp"
#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/file.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;
using clock = std::chrono::steady_clock;

namespace {

/// When a greedy list schedule ends, longest remaining path first, on `before` workers up to
/// `change` and on `after` from then on; what ran on those that left begins anew.
duration list_schedule_with_loss(const workflow::dag& flow, double scale, std::size_t before,
                                 std::size_t after, duration change) {
  auto length
    = [&](workflow::task_index each) { return scheduler::scaled(flow[each].run_time, scale); };
  auto order = flow.topological_order();
  std::vector<duration> rest(flow.size());
  std::vector<std::size_t> missing(flow.size());
  for (auto each = order.rbegin(); each != order.rend(); ++each) {
    for (auto child : flow.children(*each))
      rest[*each] = std::max(rest[*each], rest[child]);
    rest[*each] += length(*each);
    missing[*each] = flow.parents(*each).size();
  }
  auto later = [&](workflow::task_index left, workflow::task_index right) {
    return std::pair{rest[left], right} < std::pair{rest[right], left};
  };
  std::priority_queue<workflow::task_index, std::vector<workflow::task_index>, decltype(later)>
    ready{later};
  for (auto each : flow.sources())
    ready.push(each);
  std::multimap<duration, workflow::task_index> running;
  duration now{};
  auto workers = before;
  auto changed = false;
  while (!ready.empty() || !running.empty()) {
    while (!ready.empty() && running.size() < workers) {
      running.emplace(now + length(ready.top()), ready.top());
      ready.pop();
    }
    auto next = running.begin();
    if (!changed && next->first > change) {
      changed = true;
      now = change;
      workers = after;
      while (running.size() > workers) { // those that would have ended last
        ready.push(std::prev(running.end())->second);
        running.erase(std::prev(running.end()));
      }
      continue;
    }
    now = next->first;
    for (auto child : flow.children(next->second))
      if (--missing[child] == 0)
        ready.push(child);
    running.erase(next);
  }
  return now;
}

/// What the journal of a scheduler says of one run.
struct journal_count {
  std::size_t recorded = 0;
  std::size_t twice = 0;
  std::size_t late = 0;
};

/// Steps the journal once more and counts, for each task, how often a result was taken.
result<journal_count> count_results(const std::filesystem::path& file, scheduler::run_id run) {
  using machine = scheduler::task_scheduler;
  storage::sqlite_log log{file};
  storage::stored_log content;
  if (auto why = log.load(content); why.code != errc::none)
    return why;
  if (content.snapshot)
    return problem{errc::failed, "the journal begins with a snapshot, so its start cannot be "
                                 "counted; run a smaller workflow"};
  machine rules;
  std::map<std::uint32_t, std::size_t> taken;
  journal_count result;
  for (auto& each : content.records) {
    auto line = from_bytes<host::record<machine>>(each.bytes);
    if (!line)
      return problem{errc::incompatible, "record " + std::to_string(each.index)
                                           + " of the journal is of a newer release"};
    machine::effects out;
    rules.tick(line->at, out);
    const scheduler::event* what = nullptr;
    if (auto* asked = std::get_if<host::command<machine>>(&line->what))
      what = &asked->what;
    else if (auto* entered = std::get_if<host::notice<machine>>(&line->what))
      what = &entered->what;
    if (what == nullptr)
      continue;
    rules.step(line->at, line->index, *what, out);
    auto* report = std::get_if<scheduler::report>(what);
    if (report == nullptr || out.empty())
      continue;
    auto* answer = std::get_if<scheduler::answered<scheduler::report_receipt>>(&out.back());
    if (answer == nullptr)
      continue;
    for (auto& outcome : report->outcomes) {
      if (outcome.kind != scheduler::outcome_kind::completed || outcome.what.run != run)
        continue;
      auto stale = std::ranges::any_of(answer->value.stale,
                                       [&](auto& late) { return late.what == outcome.what; });
      ++(stale ? result.late : taken[outcome.what.task]);
    }
  }
  result.recorded = taken.size();
  result.twice = static_cast<std::size_t>(
    std::ranges::count_if(taken, [](auto& each) { return each.second > 1; }));
  return result;
}

/// One demo, from its processes to its summary.
class demo {
public:
  demo(const common_options& common, const demo_command& what, std::string self,
       const held_signals& signals)
    : common_(common), what_(what), self_(std::move(self)), signals_(signals) {}

  int run() {
    auto flow = workflow::read_workflow(what_.file);
    if (!flow)
      return complain_of_file(what_.file, flow.error());
    auto figures = workflow::analyse(*flow);
    auto slots = what_.slots * 3;
    auto ideal = workflow::list_schedule(*flow, slots);
    scale_ = what_.seconds / std::max(seconds(ideal), 1e-3);
    say("workflow " + flow->name() + ": " + std::to_string(figures.tasks) + " tasks, "
        + std::to_string(figures.edges) + " edges, sleeps scaled by " + std::to_string(scale_));
    if (!start_nodes())
      return is_interrupted() ? interrupted()
                              : complain({errc::failed, "a node did not start; see above"});
    auto where = common_;
    where.at = {"127.0.0.1:" + std::to_string(nodes_.front().port)};
    auto cluster = connect(where);
    if (!cluster)
      return complain(cluster.error());
    auto& service = (*cluster)->services().scheduler;
    if (!wait_for_workers(service))
      return is_interrupted()
               ? interrupted()
               : complain({errc::timed_out, "the workers did not register within 20 s"});
    return run_workflow(*flow, service);
  }

private:
  void say(const std::string& line) {
    if (!common_.json)
      std::cout << line << std::endl;
  }

  /// Looked at between all that blocks, so that everything is cleaned up on the usual way out.
  bool is_interrupted() {
    return interrupted_ = interrupted_ || signals_.wait(0ms).has_value();
  }

  int interrupted() {
    bar_.close();
    return complain({errc::cancelled, "interrupted; start it again to see the rest"});
  }

  bool start_nodes() {
    for (auto* name : {"n1", "n2", "n3"}) {
      if (is_interrupted())
        return false;
      std::vector<std::string> options{"--listen", "127.0.0.1:0",
                                       "--data",   folder_.path() / name,
                                       "--slots",  std::to_string(what_.slots)};
      if (!nodes_.empty())
        options.insert(options.end(),
                       {"--join", "127.0.0.1:" + std::to_string(nodes_.front().port)});
      auto made = start_node(self_, name, options);
      if (!made)
        return false;
      if (common_.json)
        print(
          {{"event", "node"}, {"node", name}, {"pid", made->process.pid()}, {"port", made->port}});
      else
        say("node " + std::string{name} + ": process " + std::to_string(made->process.pid())
            + ", port " + std::to_string(made->port) + ", " + std::to_string(what_.slots) + " slots"
            + (nodes_.empty() ? ", host of the cluster" : ""));
      nodes_.push_back(std::move(*made));
    }
    return true;
  }

  bool wait_for_workers(cluster::scheduler_client& service) {
    auto deadline = clock::now() + 20s;
    while (clock::now() < deadline && !is_interrupted()) {
      auto found = service.ask(scheduler::list_workers{}, 5s);
      if (found && found->workers.size() == nodes_.size()) {
        for (auto& each : found->workers)
          if (each.name == nodes_.back().name)
            victim_ = each.worker;
        return true;
      }
      nodes_.front().process.read_line(20ms); // a node says nothing more: only a short wait
    }
    return false;
  }

  int run_workflow(const workflow::dag& flow, cluster::scheduler_client& service) {
    scheduler::submission_options how;
    how.time_scale = scale_;
    how.key = "demo";
    auto receipt = service.ask(scheduler::to_submit(flow, how), 30s);
    if (!receipt)
      return complain(receipt.error());
    started_ = clock::now();
    scheduler::watch_run question{receipt->run, 0, 200ms, 1'000}; // to look at signals between
    while (!is_interrupted()) {
      auto news = service.ask(question, 60s);
      if (!news)
        return complain(news.error());
      question.after = news->revision;
      look_at(*news);
      auto done = news->run.counts.at(static_cast<std::size_t>(scheduler::task_state::completed));
      show(done, news->run);
      if (is_final(news->run.state))
        return finish(flow, news->run);
      if (!killed_at_ && done >= news->run.tasks * 2 / 5)
        kill_worker(done);
    }
    return interrupted();
  }

  /// Keeps who runs what, to see when the killed worker's tasks run again.
  void look_at(const scheduler::run_news& news) {
    for (auto& each : news.changes) {
      if (each.state == scheduler::task_state::running)
        runs_on_[each.task] = each.worker;
      else
        runs_on_.erase(each.task);
      if (killed_at_ && each.state == scheduler::task_state::running && each.worker != victim_
          && lost_.erase(each.task) > 0 && lost_.empty())
        recovered_at_ = clock::now();
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
    if (killed_at_)
      text += lost_.empty() ? ", n3 killed, its tasks run elsewhere" : ", n3 killed";
    bar_.show(done, run.tasks, text);
  }

  void kill_worker(std::uint32_t done) {
    nodes_.back().process.send_signal(SIGKILL);
    killed_at_ = clock::now();
    for (auto& [task, worker] : runs_on_)
      if (worker == victim_)
        lost_.insert(task);
    lost_count_ = lost_.size();
    bar_.close();
    if (common_.json)
      print({{"event", "killed"},
             {"node", nodes_.back().name},
             {"done", done},
             {"running", lost_count_}});
    else
      say("SIGKILL for node n3, process " + std::to_string(nodes_.back().process.pid())
          + ", which runs " + std::to_string(lost_count_) + " tasks");
  }

  int finish(const workflow::dag& flow, const scheduler::run_view& run) {
    auto makespan = seconds(clock::now() - started_);
    bar_.close();
    for (auto& each : nodes_)
      each.process.send_signal(SIGTERM);
    for (auto& each : nodes_)
      each.process.wait_for_end(20s);
    auto counted = count_results(folder_.path() / "n1" / "scheduler.db", run.run);
    if (!counted)
      return complain(counted.error());
    auto killed_after = killed_at_ ? *killed_at_ - started_ : clock::duration::max();
    auto bound = list_schedule_with_loss(flow, scale_, std::size_t{what_.slots} * 3,
                                         std::size_t{what_.slots} * 2,
                                         std::chrono::duration_cast<duration>(killed_after));
    auto completed = run.counts.at(static_cast<std::size_t>(scheduler::task_state::completed));
    auto recovery = killed_at_ && recovered_at_ ? seconds(*recovered_at_ - *killed_at_) : 0.0;
    auto good = run.state == scheduler::run_state::completed && completed == run.tasks
                && counted->recorded == run.tasks && counted->twice == 0;
    if (common_.json) {
      print({{"event", "done"},
             {"tasks", run.tasks},
             {"completed", completed},
             {"recorded", counted->recorded},
             {"recorded_twice", counted->twice},
             {"late_refused", counted->late},
             {"nodes_lost", killed_at_ ? 1 : 0},
             {"lost_running", lost_count_},
             {"recovery_s", recovery},
             {"makespan_s", makespan},
             {"bound_s", seconds(bound)}});
    } else {
      say("");
      say("completed       " + std::to_string(completed) + " of " + std::to_string(run.tasks)
          + " tasks");
      say("recorded once   " + std::to_string(counted->recorded - counted->twice)
          + " results, read from the journal; twice: " + std::to_string(counted->twice));
      say("nodes lost      " + std::to_string(killed_at_ ? 1 : 0) + ", with "
          + std::to_string(lost_count_) + " tasks; all of them ran again after "
          + std::to_string(recovery) + " s");
      say("total time      " + std::to_string(makespan) + " s; list schedule for the workers that "
          + "were alive: " + std::to_string(seconds(bound)) + " s");
    }
    if (!good)
      return complain({errc::failed, "the run ended as " + std::string{name_of(run.state)}
                                       + "; see the figures above"});
    return ok;
  }

  const common_options& common_;
  const demo_command& what_;
  std::string self_;
  const held_signals& signals_;
  bool interrupted_ = false;
  scratch_folder folder_{"demo"}; // outlives the processes that write into it
  std::vector<started_node> nodes_;
  double scale_ = 1;
  scheduler::worker_id victim_;
  clock::time_point started_;
  std::optional<clock::time_point> killed_at_;
  std::optional<clock::time_point> recovered_at_;
  std::map<std::uint32_t, scheduler::worker_id> runs_on_;
  std::set<std::uint32_t> lost_;
  std::size_t lost_count_ = 0;
  progress_bar bar_;
};

} // namespace

int run_demo(const common_options& common, const demo_command& what, const std::string& self,
             const held_signals& signals) {
  return demo{common, what, self, signals}.run();
}

} // namespace cli
