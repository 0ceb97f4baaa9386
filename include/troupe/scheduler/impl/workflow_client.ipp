#ifndef TROUPE_SCHEDULER_IMPL_WORKFLOW_CLIENT_IPP
#define TROUPE_SCHEDULER_IMPL_WORKFLOW_CLIENT_IPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "troupe/core/backoff.hpp"
#include "troupe/core/random.hpp"
#include "troupe/scheduler/workflow_client.hpp"

namespace troupe::scheduler {

namespace detail {

/// Whether the error may pass, so that wait() continues.
inline bool may_show_again(errc why) {
  return why == errc::no_quorum || why == errc::not_leader || why == errc::unreachable
         || why == errc::timed_out || why == errc::busy || why == errc::limit_reached;
}

inline std::string in_words(const run_view& run) {
  return "'" + run.name + "' with " + std::to_string(run.tasks) + " tasks"
         + (run.key.empty() ? "" : " and the key '" + run.key + "'");
}

/// Detects that the nodes now belong to another cluster, which has its own run of that number.
inline problem check_same(const run_view& first, const run_view& now) {
  auto may_grow = first.policy == failure_policy::compensate; // by the compensation tasks
  if (std::tie(first.name, first.key, first.priority, first.policy)
        == std::tie(now.name, now.key, now.priority, now.policy)
      && (may_grow || first.tasks == now.tasks))
    return {};
  return {errc::conflict, "the nodes that are asked are another cluster: its run "
                            + std::to_string(now.run.value) + " is " + in_words(now) + ", and not "
                            + in_words(first)};
}

} // namespace detail

struct workflow_run::inside {
  inside(host::client<scheduler_protocol> from, duration within, run_id which)
    : service(std::move(from)), wait(within), run(which) {}

  host::client<scheduler_protocol> service;
  const duration wait;
  const run_id run;
  bool repeated = false;
  std::mutex mutex;
  /// Its view in the first answer.
  std::optional<run_view> first;
  /// The ids of its tasks, in order. Empty until they are needed.
  std::vector<std::string> ids;

  template <class Command>
  troupe::result<run_state> change() {
    return service.ask(Command{run}, wait).transform([](const run_receipt& now) {
      return now.state;
    });
  }

  problem recognise(const run_view& now) {
    std::lock_guard guard{mutex};
    if (!first)
      first = now;
    return detail::check_same(*first, now);
  }

  /// Calls `take(page)` for each page of tasks.
  template <class Take>
  problem for_each_page(Take take) {
    for (find_run question{.run = run};;) {
      auto page = service.ask(question, wait);
      if (!page)
        return page.error();
      if (auto why = recognise(page->run))
        return why;
      if (page->tasks.empty())
        return {};
      question.first += static_cast<std::uint32_t>(page->tasks.size());
      take(page->tasks);
    }
  }

  troupe::result<std::uint32_t> number_of(const std::string& task) {
    for (auto is_fresh = false;; is_fresh = true) {
      {
        std::lock_guard guard{mutex};
        if (auto place = std::ranges::find(ids, task); place != ids.end())
          return static_cast<std::uint32_t>(place - ids.begin());
      }
      if (is_fresh)
        return problem{errc::not_found, "run " + std::to_string(run.value) + " has no task '"
                                          + task.substr(0, 64) + "'; see its tasks()"};
      // Compensation tasks may have been added since.
      std::vector<std::string> found;
      if (auto why = for_each_page([&](const std::vector<task_view>& page) {
            for (auto& each : page)
              found.push_back(each.id);
          }))
        return why;
      std::lock_guard guard{mutex};
      ids = std::move(found);
    }
  }
};

TROUPE_COMPILED workflow_run::workflow_run(std::shared_ptr<inside> made)
  : inside_(std::move(made)) {}

TROUPE_COMPILED run_id workflow_run::id() const {
  return inside_->run;
}

TROUPE_COMPILED bool workflow_run::repeated() const {
  return inside_->repeated;
}

TROUPE_COMPILED troupe::result<run_view> workflow_run::wait(const run_observer& tell,
                                                            std::optional<duration> within) {
  using namespace std::chrono_literals;
  constexpr duration at_once = 20s; // the longest that one question waits for news
  constexpr duration answer_within = 5s;
  const backoff pause{100ms, 2s};
  auto since = std::chrono::steady_clock::now();
  random_source random{inside_->run.value};
  watch_run question{inside_->run, 0, {}, 1'000};
  for (std::uint32_t failures = 0;;) {
    auto left = duration::max();
    if (within) {
      left = *within - (std::chrono::steady_clock::now() - since);
      if (left <= duration::zero())
        return problem{errc::timed_out, "run " + std::to_string(inside_->run.value)
                                          + " is not over within " + troupe::in_words(*within)
                                          + "; it goes on: wait again, or cancel it"};
    }
    question.wait = std::min(at_once, left - left / 8);
    auto news = inside_->service.ask(question, std::min(question.wait + answer_within, left));
    if (!news) {
      if (!detail::may_show_again(news.error().code))
        return news.error();
      if (news.error().code == errc::timed_out && left < answer_within)
        continue; // the time left was too short for an answer
      if (tell)
        tell(news.error());
      // Refusals may come at once: do not retry in a tight loop.
      std::this_thread::sleep_for(std::min(pause.delay(++failures, random), left));
      continue;
    }
    if (auto why = inside_->recognise(news->run))
      return why;
    auto has_news = failures > 0 || news->complete || news->revision != question.after;
    failures = 0;
    question.after = news->revision;
    if (tell && has_news)
      tell(news->run);
    if (is_final(news->run.state))
      return std::move(news->run);
  }
}

TROUPE_COMPILED troupe::result<run_view> workflow_run::look() {
  auto page = inside_->service.ask(find_run{.run = inside_->run, .limit = 1}, inside_->wait);
  if (!page)
    return page.error();
  if (auto why = inside_->recognise(page->run))
    return why;
  return std::move(page->run);
}

TROUPE_COMPILED troupe::result<std::vector<task_view>> workflow_run::tasks() {
  std::vector<task_view> all;
  if (auto why = inside_->for_each_page(
        [&](std::vector<task_view>& page) { std::ranges::move(page, std::back_inserter(all)); }))
    return why;
  return all;
}

TROUPE_COMPILED troupe::result<std::string> workflow_run::text_of(const std::string& id) {
  auto number = inside_->number_of(id);
  if (!number)
    return number.error();
  auto found = inside_->service.ask(find_result{inside_->run, *number}, inside_->wait);
  if (!found)
    return found.error();
  auto of_task = "task " + id + " of run " + std::to_string(inside_->run.value);
  if (found->state == task_state::completed)
    return std::move(found->value);
  if (!is_final(found->state))
    return problem{errc::busy, of_task + " is not over; wait() for the run first"};
  auto& why = found->why;
  return problem{why ? why.code : errc::cancelled,
                 of_task + " is " + std::string{name_of(found->state)}
                   + (why.detail.empty() ? "" : ": " + why.detail)};
}

TROUPE_COMPILED troupe::result<run_state> workflow_run::cancel() {
  return inside_->change<cancel_run>();
}

TROUPE_COMPILED troupe::result<run_state> workflow_run::pause() {
  return inside_->change<pause_run>();
}

TROUPE_COMPILED troupe::result<run_state> workflow_run::resume() {
  return inside_->change<resume_run>();
}

// -- all of them -----------------------------------------------------------------------

TROUPE_COMPILED workflow_client::workflow_client(host::client<scheduler_protocol> service,
                                                 duration wait)
  : service_(std::move(service)), wait_(wait) {}

TROUPE_COMPILED workflow_client::workflow_client(caf::actor_system& sys,
                                                 const scheduler_actor& service, duration wait)
  : workflow_client(host::client<scheduler_protocol>{sys, service}, wait) {}

TROUPE_COMPILED result<workflow_run> workflow_client::submit(const workflow::dag& flow,
                                                             const submission_options& how) {
  return submit(to_submit(flow, how));
}

TROUPE_COMPILED result<workflow_run> workflow_client::submit(const scheduler::submit& what) {
  auto taken = service_.ask(what, wait_);
  if (!taken)
    return taken.error();
  auto made = run(taken->run);
  made.inside_->repeated = taken->repeated;
  return made;
}

TROUPE_COMPILED workflow_run workflow_client::run(run_id which) const {
  return workflow_run{std::make_shared<workflow_run::inside>(service_, wait_, which)};
}

TROUPE_COMPILED workflow_run workflow_client::run(const workflow_run& which) const {
  auto made = run(which.id());
  auto& from = *which.inside_;
  std::lock_guard guard{from.mutex};
  made.inside_->repeated = from.repeated;
  made.inside_->first = from.first;
  made.inside_->ids = from.ids;
  return made;
}

TROUPE_COMPILED result<std::vector<run_view>>
workflow_client::runs(std::optional<run_state> state) {
  std::vector<run_view> all;
  for (list_runs question{.state = state};;) {
    auto page = service_.ask(question, wait_);
    if (!page)
      return page.error();
    if (page->runs.empty())
      return all;
    question.after = page->runs.back().run;
    std::ranges::move(page->runs, std::back_inserter(all));
  }
}

TROUPE_COMPILED result<schedule_receipt> workflow_client::schedule(const std::string& name,
                                                                   const std::string& cron,
                                                                   const workflow::dag& flow,
                                                                   const submission_options& how) {
  return service_.ask(define_schedule{name, cron, to_submit(flow, how)}, wait_);
}

TROUPE_COMPILED result<schedule_receipt> workflow_client::unschedule(const std::string& name) {
  return service_.ask(remove_schedule{name}, wait_);
}

} // namespace troupe::scheduler

#endif
