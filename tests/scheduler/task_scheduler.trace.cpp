// Replays traces/*.trace against task_scheduler.

#include "troupe/scheduler/task_scheduler.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace task_scheduler_trace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;

namespace {

/// Understands, with all spans in milliseconds:
///   worker NAME SLOTS [BOOT] | renew NAME | lost NAME | leave NAME
///   submit [low|medium|high|urgent] [fail_fast|continue_what_can|compensate] TASK...
///     where TASK is ID or ID<-PARENT,PARENT
///   cancel RUN | pause RUN | resume RUN
///   orders NAME           what it has to do, all of it
///   report NAME OUTCOME TASK[#ATTEMPT] [VALUE]   attempt as in its orders if not given
///   run RUN               how its tasks stand
///   pass SPAN
class scheduler_interpreter {
public:
  scheduler_interpreter() {
    effects out;
    machine_.step(now_, 0, configure{{.ageing = 30s, .seed = 1}}, out);
  }

  std::string answer(const std::string& command) {
    std::istringstream in{command};
    std::string verb;
    in >> verb;
    if (verb == "pass")
      return pass(in);
    if (verb == "orders")
      return orders(in);
    if (verb == "run")
      return states(in);
    effects out;
    machine_.step(now_, ++last_id_, read_event(verb, in), out);
    return to_text(out);
  }

private:
  struct known_worker {
    worker_id id;
    std::uint64_t boot = 1;
  };

  std::string pass(std::istream& in) {
    std::int64_t span = 0;
    in >> span;
    effects out;
    machine_.tick(now_ += std::chrono::milliseconds{span}, out);
    auto next = machine_.next_deadline();
    return next ? "next in " + to_string(*next - now_) + "\n" : "nothing to wait for\n";
  }

  std::string orders(std::istream& in) {
    auto who = read_worker(in);
    auto found = machine_.answer(watch_assignments{who.id, who.boot});
    if (!found)
      return found.error().detail + "\n";
    std::ostringstream text;
    text << name_of(found->state) << ", up to " << found->sequence << '\n';
    for (auto& each : found->assignments) {
      known_[each.task] = each.what;
      text << "begin " << each.task << '#' << each.what.attempt << " of run "
           << each.what.run.value;
      for (auto& parent : each.parents)
        text << ' ' << parent.id << '=' << parent.value;
      text << '\n';
    }
    for (auto& each : found->cancellations)
      text << "stop " << each.task << '#' << each.attempt << " of run " << each.run.value << '\n';
    return text.str();
  }

  std::string states(std::istream& in) {
    auto found = machine_.answer(find_run{read_run(in)});
    if (!found)
      return found.error().detail + "\n";
    std::ostringstream text;
    text << name_of(found->run.state);
    if (found->run.why.code != errc::none)
      text << ": " << found->run.why.detail;
    text << '\n';
    for (auto& each : found->tasks) {
      text << each.id << ' ' << name_of(each.state) << " attempt=" << each.attempt;
      if (each.failures + each.losses > 0)
        text << " failures=" << each.failures << " losses=" << each.losses;
      if (each.why.code != errc::none)
        text << " (" << each.why.detail << ')';
      text << '\n';
    }
    return text.str();
  }

  // -- reading -----------------------------------------------------------------------

  event read_event(const std::string& verb, std::istream& in) {
    if (verb == "worker")
      return read_words(in);
    if (verb == "submit")
      return read_submission(in);
    if (verb == "cancel")
      return cancel_run{read_run(in)};
    if (verb == "pause")
      return pause_run{read_run(in)};
    if (verb == "resume")
      return resume_run{read_run(in)};
    if (verb == "report")
      return read_report(in);
    std::string name;
    in >> name;
    auto who = workers_[name];
    if (verb == "renew")
      return renew_worker{who.id, who.boot};
    if (verb == "leave")
      return deregister_worker{who.id, who.boot};
    if (verb == "lost")
      return worker_lost{owner_id{"node-" + name}, who.boot};
    throw std::invalid_argument{"unknown command: " + verb};
  }

  known_worker read_worker(std::istream& in) {
    std::string name;
    in >> name;
    return workers_[name];
  }

  static run_id read_run(std::istream& in) {
    run_id run;
    in >> run.value;
    return run;
  }

  event read_words(std::istream& in) {
    register_worker words{.capacity = {}, .handlers = {"work"}};
    in >> words.name >> words.capacity.slots;
    if (!(in >> words.boot))
      words.boot = 1;
    words.owner = owner_id{"node-" + words.name};
    workers_[words.name].boot = words.boot;
    last_registered_ = words.name;
    return words;
  }

  static event read_submission(std::istream& in) {
    submit result{.name = "flow", .tasks = {}};
    std::map<std::string, std::uint32_t> positions;
    std::string word;
    while (in >> word) {
      if (auto level = std::ranges::find(priority_names, word); level != priority_names.end()) {
        result.priority = static_cast<priority>(level - priority_names.begin());
        continue;
      }
      if (auto policy = std::ranges::find(failure_policy_names, word);
          policy != failure_policy_names.end()) {
        result.policy = static_cast<failure_policy>(policy - failure_policy_names.begin());
        continue;
      }
      auto arrow = word.find("<-");
      task_spec task{.id = word.substr(0, arrow), .handler = "work", .compensation = "work"};
      if (arrow != std::string::npos) {
        std::istringstream parents{word.substr(arrow + 2)};
        for (std::string parent; std::getline(parents, parent, ',');)
          task.parents.push_back(positions.at(parent));
      }
      positions.emplace(task.id, static_cast<std::uint32_t>(result.tasks.size()));
      result.tasks.push_back(std::move(task));
    }
    return result;
  }

  event read_report(std::istream& in) {
    auto who = read_worker(in);
    std::string kind;
    std::string task;
    outcome what;
    in >> kind >> task >> what.value;
    what.retryable = kind == "failed";
    if (kind == "failed" || kind == "broken")
      what.why = {errc::failed, "out of eggs"};
    if (kind == "broken")
      kind = "failed";
    auto found = std::ranges::find(outcome_kind_names, kind);
    if (found == outcome_kind_names.end())
      throw std::invalid_argument{"unknown outcome: " + kind};
    what.kind = static_cast<outcome_kind>(found - outcome_kind_names.begin());
    what.what = read_attempt(who, task);
    return report{who.id, who.boot, {what}};
  }

  /// Returns the attempt that the worker has of a task, or had.
  attempt_id read_attempt(const known_worker& who, const std::string& text) {
    auto mark = text.find('#');
    auto task = text.substr(0, mark);
    if (auto orders = machine_.answer(watch_assignments{who.id, who.boot}))
      for (auto& each : orders->assignments)
        known_[each.task] = each.what;
    auto result = known_.at(task);
    if (mark != std::string::npos)
      result.attempt = static_cast<std::uint32_t>(std::stoul(text.substr(mark + 1)));
    return result;
  }

  // -- writing -----------------------------------------------------------------------

  std::string to_text(const effects& out) {
    std::ostringstream text;
    auto print = overloaded{
      [&](const answered<run_receipt>& answer) {
        text << "run " << answer.value.run.value << ' ' << name_of(answer.value.state)
             << (answer.value.repeated ? " (as before)" : "") << '\n';
      },
      [&](const answered<worker_receipt>& answer) {
        if (auto name = std::exchange(last_registered_, {}); !name.empty())
          workers_[name].id = answer.value.worker;
        text << "worker " << answer.value.worker.value << ' ' << name_of(answer.value.state)
             << " for " << to_string(answer.value.lease) << '\n';
      },
      [&](const answered<loss_receipt>& answer) {
        text << "lost " << answer.value.workers << " workers, " << answer.value.attempts
             << " attempts\n";
      },
      [&](const answered<report_receipt>& answer) {
        text << "taken " << answer.value.taken << ", stale " << answer.value.stale.size() << '\n';
      },
      [&](const answered<schedule_receipt>& answer) {
        text << "schedule " << answer.value.name << '\n';
      },
      [&](const refused& answer) {
        text << "refused " << name_of(answer.why.code) << ": " << answer.why.detail << '\n';
      },
    };
    for (auto& what : out)
      troupe::visit(print, what);
    return text.str();
  }

  task_scheduler machine_;
  time_point now_{};
  request_id last_id_ = 0;
  std::map<std::string, known_worker> workers_;
  std::map<std::string, attempt_id> known_;
  std::string last_registered_;
};

} // namespace

TEST_CASE("the scheduler answers as its golden traces say", "[scheduler][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/scheduler/traces")) {
    scheduler_interpreter all;
    test::replay_trace(file, [&](const std::string& command) { return all.answer(command); });
  }
}

} // namespace task_scheduler_trace
