#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "commands.hpp"
#include "connect.hpp"
#include "progress.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/file.hpp"
#include "troupe/workflow/report.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;

int run_dag(const common_options& common, const std::string& file) {
  auto flow = workflow::read_workflow(file);
  if (!flow)
    return complain_of_workflow(flow.error());
  auto figures = workflow::analyse(*flow);
  if (common.json)
    print(workflow::to_json(*flow, figures));
  else
    workflow::print(std::cout, *flow, figures);
  return ok;
}

namespace {

std::string in_words(const scheduler::run_view& run) {
  auto at = [&](scheduler::task_state state) {
    return std::to_string(run.counts.at(static_cast<std::size_t>(state)));
  };
  auto text = at(scheduler::task_state::running) + " running, " + at(scheduler::task_state::ready)
              + " ready";
  if (auto bad = at(scheduler::task_state::failed); bad != "0")
    text += ", " + bad + " failed";
  return text;
}

std::uint32_t over(const scheduler::run_view& run) {
  std::uint32_t result = 0;
  for (std::size_t state = 0; state < run.counts.size(); ++state)
    if (is_final(static_cast<scheduler::task_state>(state)))
      result += run.counts[state];
  return result;
}

/// Whether the run goes on, and may be seen again later.
bool passes(errc code) {
  return code == errc::no_quorum || code == errc::not_leader || code == errc::unreachable
         || code == errc::timed_out || code == errc::busy || code == errc::limit_reached;
}

/// The nodes that are asked may be another cluster by now, with a run of its own of that number.
problem check_same(const scheduler::run_view& first, const scheduler::run_view& now) {
  auto called = [](const scheduler::run_view& run) {
    return "'" + run.name + "' with " + std::to_string(run.tasks) + " tasks"
           + (run.key.empty() ? "" : " and the key '" + run.key + "'");
  };
  if (std::tie(first.name, first.key, first.tasks, first.priority, first.policy)
      == std::tie(now.name, now.key, now.tasks, now.priority, now.policy))
    return {};
  return {errc::conflict, "the nodes that are asked are another cluster: its run "
                            + std::to_string(now.run.value) + " is " + called(now) + ", and not "
                            + called(first)};
}

/// Follows a run to its end, also while the cluster gives no answer: it was taken, and whoever
/// submits it again has two.
result<scheduler::run_view> follow(std::unique_ptr<cluster_client>& cluster, scheduler::run_id run,
                                   const common_options& common) {
  progress_bar bar;
  scheduler::watch_run question{run, 0, 20s, 1'000};
  std::optional<scheduler::run_view> first; // as it was when it had been taken
  for (auto is_hidden = false;;) {
    auto news = cluster->services().scheduler.ask(question, 25s);
    if (!news && passes(news.error().code)) {
      if (!std::exchange(is_hidden, true))
        print_line(std::cerr, "warning: " + news.error().detail + "; run "
                                + std::to_string(run.value)
                                + " was taken and is followed on, do not submit it again");
      std::this_thread::sleep_for(500ms); // a refusal may come at once
      // The nodes may have begun a new cluster from what the old one had.
      if (news.error().code == errc::timed_out)
        if (auto fresh = connect(common))
          cluster = *std::move(fresh);
      continue;
    }
    if (!news)
      return news.error();
    if (!first)
      first = news->run;
    if (auto why = check_same(*first, news->run); why.code != errc::none)
      return why;
    if (std::exchange(is_hidden, false))
      print_line(std::cerr, "run " + std::to_string(run.value) + " can be seen again");
    question.after = news->revision;
    auto& view = news->run;
    if (common.json)
      print({{"event", "progress"},
             {"done", over(view)},
             {"tasks", view.tasks},
             {"state", std::string{name_of(view.state)}}});
    else
      bar.show(over(view), view.tasks, in_words(view));
    if (is_final(view.state)) {
      bar.close();
      return view;
    }
  }
}

} // namespace

int run_submit(const common_options& common, const submit_command& what) {
  if (!(what.time_scale >= 0) || what.time_scale > 1e6)
    return complain({errc::bad_argument,
                     "--time-scale is " + std::to_string(what.time_scale) + "; give 0 to 1000000"});
  auto flow = workflow::read_workflow(what.file);
  if (!flow)
    return complain_of_workflow(flow.error());
  scheduler::submission_options how;
  how.key = what.key;
  how.time_scale = what.time_scale;
  how.resources = what.resources;
  auto priority = named<scheduler::priority>(what.priority, "--priority", 4);
  if (!priority)
    return complain(priority.error());
  auto policy = named<scheduler::failure_policy>(what.policy, "--policy", 3);
  if (!policy)
    return complain(policy.error());
  how.priority = *priority;
  how.policy = *policy;
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  auto& service = (*cluster)->services().scheduler;
  auto receipt = service.ask(scheduler::to_submit(*flow, how), 30s);
  if (!receipt)
    return complain(receipt.error());
  auto number = std::to_string(receipt->run.value);
  if (common.json)
    print({{"event", "submitted"}, {"run", receipt->run.value}, {"repeated", receipt->repeated}});
  else if (receipt->repeated)
    print_line(std::cout, "run " + number + " has this key: it is followed, and " + what.file
                            + " was not submitted");
  else
    print_line(std::cout, "run " + number + ": " + std::to_string(flow->size()) + " tasks");
  auto end = follow(*cluster, receipt->run, common);
  if (!end)
    return complain({end.error().code,
                     end.error().detail + "; run " + number + " was taken"
                       + (end.error().code == errc::not_found || end.error().code == errc::conflict
                            ? ", and how it ended cannot be seen any more"
                            : ": see troupe run " + number)});
  auto completed = end->state == scheduler::run_state::completed;
  if (common.json)
    print(
      {{"event", "done"},
       {"run", end->run.value},
       {"state", std::string{name_of(end->state)}},
       {"tasks", end->tasks},
       {"completed", end->counts.at(static_cast<std::size_t>(scheduler::task_state::completed))},
       {"ran_s", seconds(end->ran)},
       {"why", end->why.detail}});
  else
    std::cout << name_of(end->state) << " after " << seconds(end->ran) << " s"
              << (completed ? "" : ": " + printable(end->why.detail)) << std::endl;
  return completed ? ok : failed;
}

namespace {

void show(const common_options& common, const scheduler::run_view& run) {
  if (common.json)
    print({{"run", run.run.value},
           {"name", run.name},
           {"key", run.key},
           {"state", std::string{name_of(run.state)}},
           {"tasks", run.tasks},
           {"done", over(run)},
           {"ran_s", seconds(run.ran)},
           {"why", run.why.detail}});
  else
    print_line(std::cout, std::to_string(run.run.value) + "  " + std::string{name_of(run.state)}
                            + "  " + std::to_string(over(run)) + '/' + std::to_string(run.tasks)
                            + "  " + json(seconds(run.ran)).dump() + " s  " + printable(run.name)
                            + (run.why.detail.empty() ? "" : "  " + printable(run.why.detail)));
}

int list_all(const common_options& common, cluster::scheduler_client& service) {
  scheduler::list_runs question{};
  for (;;) {
    auto page = service.ask(question, common.wait());
    if (!page)
      return complain(page.error());
    if (page->runs.empty())
      return ok;
    for (auto& each : page->runs) {
      show(common, each);
      question.after = each.run;
    }
  }
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

void show(const common_options& common, const scheduler::task_view& task, const std::string& worker,
          const std::optional<std::string>& value) {
  if (common.json) {
    json line{{"task", task.id},
              {"state", std::string{name_of(task.state)}},
              {"attempts", task.attempt},
              {"failures", task.failures},
              {"losses", task.losses},
              {"worker", task.attempt > 0 ? json(worker) : json()},
              {"ran_s", seconds(task.ran)},
              {"why", task.why.detail}};
    if (value)
      line["result"] = *value;
    return print(line);
  }
  std::string text = "  " + printable(task.id) + "  " + std::string{name_of(task.state)};
  if (task.attempt > 1)
    text += "  attempt " + std::to_string(task.attempt);
  if (task.attempt > 0)
    text += "  " + json(seconds(task.ran)).dump() + " s  at " + printable(worker);
  if (!task.why.detail.empty())
    text += "  " + printable(task.why.detail);
  print_line(std::cout, value ? text + "  " + printable(*value) : text);
}

} // namespace

int run_workflows(const common_options& common, const workflows_command& what) {
  if ((what.verb == "list") == what.run.has_value())
    return complain(
      {errc::bad_argument,
       what.run ? "list shows all runs; troupe run " + std::to_string(*what.run) + " shows this one"
                : what.verb + " needs the number of a run; troupe workflows shows them"});
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  auto& service = (*cluster)->services().scheduler;
  if (!what.run)
    return list_all(common, service);
  scheduler::run_id run{*what.run};
  auto done = what.verb == "pause"    ? service.ask(scheduler::pause_run{run}, common.wait())
              : what.verb == "resume" ? service.ask(scheduler::resume_run{run}, common.wait())
                                      : service.ask(scheduler::cancel_run{run}, common.wait());
  if (!done)
    return complain(done.error());
  std::string state{name_of(done->state)};
  if (is_final(done->state)
      && (what.verb != "cancel" || done->state != scheduler::run_state::cancelled))
    return complain({errc::conflict, "run " + std::to_string(*what.run) + " is over (" + state
                                       + "); there is nothing to " + what.verb
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
    return complain(cluster.error());
  auto& service = (*cluster)->services().scheduler;
  auto workers = names_of_workers(common, service);
  if (!workers)
    return complain(workers.error());
  scheduler::find_run question{.run = {what.run}};
  for (;;) {
    auto page = service.ask(question, common.wait());
    if (!page)
      return complain(page.error());
    if (question.first == 0)
      show(common, page->run);
    for (auto& each : page->tasks) {
      std::optional<std::string> value;
      if (what.results && each.state == scheduler::task_state::completed) {
        auto found = service.ask(scheduler::find_result{{what.run}, question.first}, common.wait());
        if (!found)
          return complain(found.error());
        value = found->value;
      }
      ++question.first;
      auto worker = workers->find(each.worker);
      show(common, each,
           worker != workers->end() ? worker->second
                                    : "worker " + std::to_string(each.worker.value),
           value);
    }
    if (page->tasks.empty())
      return ok;
  }
}

} // namespace cli
