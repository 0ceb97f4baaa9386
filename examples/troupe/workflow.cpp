#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

#include "attempts_seen.hpp"
#include "cluster_report.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "output_file.hpp"
#include "progress.hpp"
#include "table.hpp"
#include "timeline.hpp"
#include "troupe/scheduler/workflow_client.hpp"
#include "troupe/workflow/file.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;

namespace {

std::string counts_of(const scheduler::run_view& run) {
  auto at = [&](scheduler::task_state state) {
    return std::to_string(run.counts.at(static_cast<std::size_t>(state)));
  };
  auto text = at(scheduler::task_state::running) + " running, " + at(scheduler::task_state::ready)
              + " ready";
  if (auto bad = at(scheduler::task_state::failed); bad != "0")
    text += ", " + bad + " failed";
  return text;
}

/// The beginning of a long text, on one line.
std::string beginning_of(const std::string& text) {
  constexpr std::size_t most = 200;
  if (text.size() <= most)
    return text;
  auto end = most;
  while ((static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) // inside a character of UTF-8
    --end;
  return text.substr(0, end) + "... (" + std::to_string(text.size()) + " bytes)";
}

/// Waits for each answer as long as --timeout says.
scheduler::workflow_client workflows(cluster_client& cluster, const common_options& common) {
  return cluster.workflows(common.wait());
}

/// What becomes of a run that is not followed to its end.
std::string how_it_goes_on(const std::string& run) {
  return "run " + run + " goes on; see it with troupe run " + run
         + ", cancel it with troupe workflows cancel " + run;
}

/// Follows a run until a signal: then says that the run goes on, and ends the process.
/// Thread-safe.
class interruptible {
public:
  /// Has to be made before any thread that would get the signals.
  explicit interruptible(const common_options& common) {
    auto signals
      = std::make_shared<held_signals>(std::initializer_list<int>{SIGINT, SIGTERM, SIGHUP});
    std::thread{[signals, common, now = now_] {
      auto number = signals->next().number;
      std::lock_guard guard{now->mutex};
      if (::isatty(STDERR_FILENO) == 1)
        print_line(std::cerr, {}); // ends the line of the bar
      if (!now->text.empty())
        note(common, "interrupted", now->text);
      std::_Exit(128 + number);
    }}.detach();
  }

  void asks() {
    say("it is not known whether the run was accepted; if so, troupe workflows shows it");
  }

  /// `goes_on`: that it does, and what was not done.
  void follows(const std::string& goes_on) {
    say(goes_on);
  }

  /// `undone`: says what was not done yet; may be empty.
  void is_over(const std::string& undone) {
    say(undone);
  }

  /// Does something that a signal must not interrupt: a signal ends the process before or after
  /// it. Afterwards no message is due.
  template <class Action>
  auto finish(Action action) {
    std::lock_guard guard{now_->mutex};
    now_->text.clear();
    return action();
  }

private:
  struct standing {
    std::mutex mutex;
    std::string text;
  };

  void say(const std::string& text) {
    std::lock_guard guard{now_->mutex};
    now_->text = text;
  }

  std::shared_ptr<standing> now_ = std::make_shared<standing>();
};

/// Says why ready tasks wait if no worker can run them, once for each reason.
class waiting_reasons {
public:
  explicit waiting_reasons(const common_options& common) : common_(common) {}

  /// Asks only if no task runs: otherwise tasks may just wait for others.
  void look_at(scheduler::workflow_run& run, const scheduler::run_view& now) {
    auto at = [&](auto state) { return now.counts.at(static_cast<std::size_t>(state)); };
    if (at(scheduler::task_state::running) > 0 || at(scheduler::task_state::ready) == 0)
      return;
    auto tasks = run.tasks();
    if (!tasks)
      return; // following the run reports the error
    std::map<std::string, std::uint64_t> waiting;
    for (auto& each : *tasks)
      if (each.state == scheduler::task_state::ready && each.why)
        ++waiting[each.why.detail];
    for (auto& [why, count] : waiting)
      if (said_.insert(why).second)
        note(common_, "warning", std::to_string(count) + " ready: " + in_our_words(why));
  }

private:
  const common_options& common_;
  std::set<std::string> said_;
};

/// Results of larger runs are shown only on request: each of them costs a query.
constexpr std::uint32_t most_results = 100;

/// The results of the tasks by their ids; empty for a large run.
std::map<std::string, std::string> results_of(scheduler::workflow_run& run,
                                              const scheduler::run_view& end) {
  std::map<std::string, std::string> found;
  if (end.tasks > most_results)
    return found;
  auto tasks = run.tasks();
  if (!tasks)
    return found; // troupe run --results shows them later
  for (auto& each : *tasks)
    if (each.state == scheduler::task_state::completed)
      if (auto value = run.result(each.id))
        found[each.id] = *value;
  return found;
}

/// Follows a run to its end, also while the cluster does not answer: the run was accepted, and
/// submitting it again would make a second one. `seen`, if given, is updated meanwhile. Errors:
/// timed_out (it has not ended within `within_s`, if given), those of workflow_run::wait.
result<scheduler::run_view> follow(std::unique_ptr<cluster_client>& cluster,
                                   scheduler::workflow_run& run, const common_options& common,
                                   std::optional<double> within_s, attempts_seen* seen) {
  auto begin = std::chrono::steady_clock::now();
  auto number = std::to_string(run.id().value);
  progress_bar bar;
  waiting_reasons reasons{common};
  auto is_hidden = false;
  auto tell = [&](const result<scheduler::run_view>& now) {
    if (!now) {
      if (!std::exchange(is_hidden, true))
        note(common, "warning",
             now.error().detail + "; run " + number
               + " was taken and is followed on, do not submit it again");
      return;
    }
    if (std::exchange(is_hidden, false))
      note(common, "over", "run " + number + " can be seen again");
    if (common.json)
      print({{"event", "progress"},
             {"done", tasks_over(*now)},
             {"tasks", now->tasks},
             {"state", std::string{name_of(now->state)}}});
    else
      bar.show(tasks_over(*now), now->tasks, counts_of(*now));
    reasons.look_at(run, *now);
    if (seen != nullptr)
      seen->look(cluster->services().scheduler);
  };
  for (;;) {
    duration slice = 25s;
    if (within_s)
      slice = std::min(slice, to_span(*within_s) - (std::chrono::steady_clock::now() - begin));
    auto end = run.wait(tell, slice);
    auto is_late = within_s && std::chrono::steady_clock::now() - begin >= to_span(*within_s);
    if (end || end.error().code != errc::timed_out || is_late) {
      bar.close();
      return end;
    }
    if (!is_hidden)
      continue;
    // The nodes may have become a new cluster by troupe recover or restore.
    if (auto fresh = connect_silently(common)) {
      run = workflows(**fresh, common).run(run);
      cluster = *std::move(fresh);
    }
  }
}

/// The report of a run, which is written when it ends.
class run_report {
public:
  /// Errors: those of output_file::open.
  static result<std::unique_ptr<run_report>> open(const submit_command& what) {
    if (what.report.empty())
      return std::unique_ptr<run_report>{};
    auto file = output_file::open(what.report, "--report", what.file);
    if (!file)
      return file.error();
    return std::unique_ptr<run_report>{new run_report{what.report, *std::move(file)}};
  }

  attempts_seen& follows(const scheduler::workflow_run& run, duration wait) {
    return seen_.emplace(run.id(), !run.repeated(),
                         std::min<duration>(wait, 2s)); // it asks again later
  }

  problem write(cluster_client& cluster, const scheduler::run_view& end,
                const common_options& common, interruptible& at_signals) {
    seen_->finish(cluster.services().scheduler);
    auto text = timeline{*seen_, end}.svg();
    if (auto why = at_signals.finish([&] { return file_.write(text); }))
      return why;
    if (common.json)
      print({{"event", "report"},
             {"file", path_},
             {"unseen_attempts", seen_->unseen()},
             {"attempts_left_out", seen_->left_out()}});
    else
      print_line(std::cout, "the timeline of the run is in " + path_);
    return {};
  }

private:
  run_report(std::string path, output_file file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  output_file file_;
  std::optional<attempts_seen> seen_;
};

} // namespace

int run_submit(const common_options& common, const submit_command& what) {
  auto flow = workflow::read_workflow(what.file);
  if (!flow)
    return complain_of_workflow(common, flow.error());
  scheduler::submission_options how;
  how.key = what.key;
  how.time_scale = what.time_scale;
  how.resources = what.resources;
  auto priority = named<scheduler::priority>(what.priority, "--priority", 4);
  if (!priority)
    return complain(common, priority.error());
  auto policy = named<scheduler::failure_policy>(what.policy, "--policy", 3);
  if (!policy)
    return complain(common, policy.error());
  how.priority = *priority;
  how.policy = *policy;
  auto report = run_report::open(what);
  if (!report)
    return complain(common, report.error());
  interruptible at_signals{common};
  auto cluster = connect(common);
  if (!cluster)
    return complain(common, cluster.error());
  at_signals.asks();
  auto run = workflows(**cluster, common).submit(*flow, how);
  if (!run)
    return complain(common, run.error());
  auto number = std::to_string(run->id().value);
  const std::string unwritten = "no report was written";
  auto no_report = *report ? "; " + unwritten : std::string{};
  auto goes_on = how_it_goes_on(number);
  at_signals.follows(goes_on + no_report);
  if (common.json)
    print({{"event", "submitted"}, {"run", run->id().value}, {"repeated", run->repeated()}});
  else if (run->repeated())
    print_line(std::cout, "run " + number + " has this key"
                            + (what.detach ? "" : ": it is followed") + ", and " + what.file
                            + " was not submitted");
  else
    print_line(std::cout, "run " + number + ": " + counted(flow->size(), "task"));
  if (what.detach) {
    if (!common.json)
      print_line(std::cout, goes_on);
    return ok;
  }
  auto end = follow(*cluster, *run, common, what.within_s,
                    *report ? &(*report)->follows(*run, common.wait()) : nullptr);
  if (!end && end.error().code == errc::timed_out)
    return complain(common,
                    {errc::timed_out, "the time of --within is over; " + goes_on + no_report});
  if (!end)
    return complain(common, {end.error().code, end.error().detail + "; run " + number + " was taken"
                                                 + (end.error().code == errc::not_found
                                                        || end.error().code == errc::conflict
                                                      ? ", and how it ended cannot be seen any more"
                                                      : ": see troupe run " + number)
                                                 + no_report});
  at_signals.is_over(*report ? unwritten : "");
  auto completed = end->state == scheduler::run_state::completed;
  auto unreported = *report ? (*report)->write(**cluster, *end, common, at_signals) : problem{};
  auto results = results_of(*run, *end);
  if (common.json)
    print(
      {{"event", "done"},
       {"run", end->run.value},
       {"state", std::string{name_of(end->state)}},
       {"tasks", end->tasks},
       {"completed", end->counts.at(static_cast<std::size_t>(scheduler::task_state::completed))},
       {"ran_s", seconds(end->ran)},
       {"why", in_our_words(end->why.detail)},
       {"results", results}});
  auto status = unreported ? complain(common, unreported) : completed ? ok : failed;
  if (common.json)
    return status;
  for (auto& [task, value] : results)
    if (!value.empty())
      print_line(std::cout, "  " + printable(task) + "  " + beginning_of(printable(value)));
  print_line(std::cout,
             std::string{name_of(end->state)} + " after " + in_words(end->ran)
               + (completed ? "" : ": " + printable(in_our_words(end->why.detail)))
               + (end->tasks > most_results
                    ? "; see the results of its tasks with troupe run " + number + " --results"
                    : ""));
  return status;
}

namespace {

std::uint32_t completed(const scheduler::run_view& run) {
  auto index = static_cast<std::size_t>(scheduler::task_state::completed);
  return index < run.counts.size() ? run.counts[index] : 0;
}

void print_run(const scheduler::run_view& run) {
  print({{"run", run.run.value},
         {"name", run.name},
         {"key", run.key},
         {"state", std::string{name_of(run.state)}},
         {"tasks", run.tasks},
         {"done", tasks_over(run)},
         {"completed", completed(run)},
         {"ran_s", seconds(run.ran)},
         {"why", in_our_words(run.why.detail)}});
}

table::row row_of(const scheduler::run_view& run) {
  return {std::to_string(run.run.value),
          std::string{name_of(run.state)},
          std::to_string(completed(run)) + '/' + std::to_string(run.tasks),
          in_words(run.ran),
          run.name,
          in_our_words(run.why.detail)};
}

table table_of_runs() {
  return table{{"RUN", "STATE", "TASKS", "TIME", "NAME", ""}};
}

int list_all(const common_options& common, cluster::scheduler_client& service) {
  scheduler::list_runs question{};
  auto shown = table_of_runs();
  auto is_any = false;
  for (;;) {
    auto page = service.ask(question, common.wait());
    if (!page)
      return complain(common, page.error());
    if (page->runs.empty())
      break;
    is_any = true;
    for (auto& each : page->runs) {
      if (common.json)
        print_run(each);
      else
        shown.add(row_of(each));
      question.after = each.run;
    }
    if (!common.json)
      shown.print(std::cout);
  }
  if (!common.json && !is_any)
    print_line(std::cout, "no workflows");
  return ok;
}

/// What is called so.
using worker_names = std::map<scheduler::worker_id, std::string>;

result<worker_names> names_of_workers(const common_options& common,
                                      cluster::scheduler_client& service) {
  worker_names found;
  scheduler::list_workers question{};
  for (;;) {
    auto page = service.ask(question, common.wait());
    if (!page)
      return page.error();
    if (page->workers.empty())
      return found;
    for (auto& each : page->workers) {
      found[each.worker] = each.name;
      question.after = each.worker;
    }
  }
}

void print_task(const scheduler::task_view& task, const std::string& worker,
                const std::optional<std::string>& value) {
  json line{{"task", task.id},
            {"state", std::string{name_of(task.state)}},
            {"attempts", task.attempt},
            {"failures", task.failures},
            {"losses", task.losses},
            {"worker", task.attempt > 0 ? json(worker) : json()},
            {"ran_s", seconds(task.ran)},
            {"why", in_our_words(task.why.detail)}};
  if (value)
    line["result"] = *value;
  print(line);
}

/// The result, or the reason of a failure, is last: it may be long.
table::row row_of(const scheduler::task_view& task, const std::string& worker,
                  const std::optional<std::string>& value) {
  auto was_begun = task.attempt > 0;
  return {"  " + task.id,
          std::string{name_of(task.state)},
          was_begun ? std::to_string(task.attempt) : "",
          was_begun ? in_words(task.ran) : "",
          was_begun ? worker : "",
          value.value_or(in_our_words(task.why.detail))};
}

} // namespace

int run_workflows(const common_options& common, const workflows_command& what) {
  if ((what.verb == "list") == what.run.has_value())
    return complain(
      common,
      {errc::bad_argument,
       what.run ? "list shows all runs; troupe run " + std::to_string(*what.run) + " shows this one"
                : what.verb + " needs the number of a run; troupe workflows shows them"});
  auto cluster = connect(common);
  if (!cluster)
    return complain(common, cluster.error());
  auto& service = (*cluster)->services().scheduler;
  if (!what.run)
    return list_all(common, service);
  scheduler::run_id run{*what.run};
  auto done = what.verb == "pause"    ? service.ask(scheduler::pause_run{run}, common.wait())
              : what.verb == "resume" ? service.ask(scheduler::resume_run{run}, common.wait())
                                      : service.ask(scheduler::cancel_run{run}, common.wait());
  if (!done)
    return complain(common, done.error());
  std::string state{name_of(done->state)};
  if (is_final(done->state)
      && (what.verb != "cancel" || done->state != scheduler::run_state::cancelled))
    return complain(common, {errc::conflict, "run " + std::to_string(*what.run) + " is over ("
                                               + state + "); there is nothing to " + what.verb
                                               + ", submit it again to run it anew"});
  if (common.json)
    print({{"event", what.verb}, {"run", *what.run}, {"state", state}});
  else
    print_line(std::cout, "run " + std::to_string(*what.run) + " is " + state);
  return ok;
}

int run_run(const common_options& common, const run_command& what) {
  auto cluster = connect(common);
  if (!cluster)
    return complain(common, cluster.error());
  auto& service = (*cluster)->services().scheduler;
  auto workers = names_of_workers(common, service);
  if (!workers)
    return complain(common, workers.error());
  scheduler::find_run question{.run = {what.run}};
  table tasks{{"  TASK", "STATE", "ATTEMPTS", "TIME", "WORKER", ""}};
  for (;;) {
    auto page = service.ask(question, common.wait());
    if (!page)
      return complain(common, page.error());
    if (question.first == 0 && common.json)
      print_run(page->run);
    if (question.first == 0 && !common.json) {
      auto shown = table_of_runs();
      shown.add(row_of(page->run));
      shown.print(std::cout);
    }
    for (auto& each : page->tasks) {
      std::optional<std::string> value;
      if (what.results && each.state == scheduler::task_state::completed) {
        auto found = service.ask(scheduler::find_result{{what.run}, question.first}, common.wait());
        if (!found)
          return complain(common, found.error());
        value = found->value;
      }
      ++question.first;
      auto known = workers->find(each.worker);
      auto worker = known != workers->end()
                      ? known->second
                      : "worker " + std::to_string(each.worker.value) + " (gone)";
      if (common.json)
        print_task(each, worker, value);
      else
        tasks.add(row_of(each, worker, value));
    }
    if (page->tasks.empty())
      return ok;
    if (!common.json)
      tasks.print(std::cout);
  }
}

} // namespace cli
