#include <chrono>
#include <string>
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
    return complain_of_file(file, flow.error());
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

/// Follows a run to its end.
result<scheduler::run_view> follow(cluster::scheduler_client& service, scheduler::run_id run,
                                   const common_options& common) {
  progress_bar bar;
  scheduler::watch_run question{run, 0, 20s, 1'000};
  for (;;) {
    auto news = service.ask(question, 60s);
    if (!news)
      return news.error();
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
    return complain_of_file(what.file, flow.error());
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
  if (common.json)
    print({{"event", "submitted"}, {"run", receipt->run.value}, {"repeated", receipt->repeated}});
  else
    std::cout << "run " << receipt->run.value << (receipt->repeated ? ", submitted before" : "")
              << ": " << flow->size() << " tasks" << std::endl;
  auto end = follow(service, receipt->run, common);
  if (!end)
    return complain(end.error());
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
              << (completed ? "" : ": " + end->why.detail) << std::endl;
  return completed ? ok : failed;
}

int run_workflows(const common_options& common) {
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  scheduler::list_runs question{};
  for (;;) {
    auto page = (*cluster)->services().scheduler.ask(question, common.wait());
    if (!page)
      return complain(page.error());
    if (page->runs.empty())
      return ok;
    for (auto& each : page->runs) {
      if (common.json)
        print({{"run", each.run.value},
               {"name", each.name},
               {"key", each.key},
               {"state", std::string{name_of(each.state)}},
               {"tasks", each.tasks},
               {"done", over(each)},
               {"ran_s", seconds(each.ran)}});
      else
        std::cout << each.run.value << "  " << name_of(each.state) << "  " << over(each) << '/'
                  << each.tasks << "  " << seconds(each.ran) << " s  " << each.name << std::endl;
      question.after = each.run;
    }
  }
}

} // namespace cli
