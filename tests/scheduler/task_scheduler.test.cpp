#include "troupe/scheduler/task_scheduler.hpp" // the header under test
#include "scheduler/clocked_scheduler.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace task_scheduler_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using Catch::Matchers::ContainsSubstring;
using test::clocked_scheduler;
using test::work;
using enum troupe::scheduler::task_state;

namespace {

using names = std::vector<std::string>;
using states = std::vector<task_state>;

const retry_policy no_retry{.max_attempts = 1};

submit flow(std::vector<task_spec> tasks) {
  return {.name = "flow", .tasks = std::move(tasks)};
}

/// a, then b and c, then d.
submit diamond() {
  return flow({work("a"), work("b", {0}), work("c", {0}), work("d", {1, 2})});
}

} // namespace

// -- from task to task --------------------------------------------------------------

SCENARIO("a workflow runs in the order of its graph", "[scheduler]") {
  GIVEN("a diamond of four tasks and a worker for two at once") {
    clocked_scheduler all;
    auto ann = all.add("ann", 2);
    auto run = all.ask(diamond()).run;
    CHECK(all.tasks_of(ann) == names{"a"});
    CHECK(all.states(run) == states{running, pending, pending, pending});
    WHEN("the first task completes") {
      all.complete(ann, "a", "flour");
      THEN("both that wait for it run, with its result") {
        auto orders = all.orders(ann);
        REQUIRE(orders.assignments.size() == 2);
        for (auto& each : orders.assignments)
          CHECK(each.parents == std::vector<parent_result>{{"a", "flour"}});
      }
      THEN("the last one waits for both") {
        all.complete(ann, "c", "dough");
        CHECK(all.states(run) == states{completed, running, completed, pending});
        all.complete(ann, "b", "oven");
        CHECK(all.orders(ann).assignments.at(0).parents
              == std::vector<parent_result>{{"b", "oven"}, {"c", "dough"}});
        all.complete(ann, "d", "bread");
        CHECK(all.look(run).run.state == run_state::completed);
        CHECK(all.machine.answer(find_result{run, 3})->value == "bread");
      }
    }
  }
}

TEST_CASE("parents need not stand before their children", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 2);
  all.ask(flow({work("last", {2}), work("first"), work("middle", {1})}));
  for (auto* task : {"first", "middle", "last"}) {
    CHECK(all.tasks_of(ann) == names{task});
    all.complete(ann, task);
  }
}

TEST_CASE("what runs and who waits is told for how long, as of the question", "[scheduler]") {
  clocked_scheduler all;
  all.add("ann", 1);
  auto run = all.ask(flow({work("bake"), work("wash")})).run;
  auto later = all.now + 3s;
  auto details = all.machine.answer(find_run{run}, later);
  REQUIRE(details);
  CHECK(details->run.ran == 3s);
  CHECK(details->run.age == 3s);
  CHECK(details->tasks.at(0).ran == 3s);
  CHECK(details->tasks.at(1).waited == 3s);
  CHECK(all.machine.answer(list_runs{}, later).runs.at(0).ran == 3s);
  CHECK(all.machine.answer(watch_run{run}, later)->run.ran == 3s);
  auto lease = all.machine.answer(list_workers{}).workers.at(0).lease_left;
  CHECK(all.machine.answer(list_workers{}, later).workers.at(0).lease_left == lease - 3s);
  CHECK(all.look(run).run.ran == 0s); // as of what it has heard
}

// -- workers that are lost ------------------------------------------------------------

SCENARIO("the tasks of a lost worker run elsewhere, their late results are refused",
         "[scheduler]") {
  GIVEN("a task that runs at ann, while bob has room") {
    clocked_scheduler all;
    auto ann = all.add("ann", 1);
    auto run = all.ask(flow({work("bake")})).run;
    auto first = all.attempt(ann, "bake");
    auto bob = all.add("bob", 1);
    WHEN("the node of ann is lost") {
      auto receipt = all.ask(worker_lost{owner_id{"node of ann"}, 1});
      CHECK(receipt == loss_receipt{1, 1});
      THEN("bob gets the task, under a higher number") {
        CHECK(all.attempt(bob, "bake").attempt > first.attempt);
        CHECK(all.look(run, 0).losses == 1);
        CHECK(all.look(run, 0).failures == 0);
      }
      THEN("ann is not known any more") {
        CHECK(all.refusal(report{ann, 1, {{.what = first, .value = "burnt"}}}).code
              == errc::not_found);
        CHECK_FALSE(all.machine.answer(watch_assignments{ann, 1}));
        CHECK(all.states(run) == states{running});
        CHECK(all.statistics().stale_outcomes == 1);
      }
    }
    WHEN("ann is silent for longer than its lease") {
      all.pass(9s);
      all.ask(renew_worker{bob, 1});
      all.pass(1s);
      THEN("bob gets the task") {
        CHECK(all.tasks_of(bob) == names{"bake"});
      }
      THEN("a result that ann brings in later is stale, even if nobody else has one") {
        auto late = all.report(ann, {.what = first, .value = "burnt"});
        CHECK(late.taken == 0);
        CHECK(late.stale == std::vector<stale_outcome>{{first}});
        CHECK(all.states(run) == states{running});
        all.complete(bob, "bake", "bread");
        CHECK(all.machine.answer(find_result{run, 0})->value == "bread");
      }
      THEN("ann gets nothing until it is heard of, and nothing beyond what it still runs") {
        all.ask(flow({work("brew")}));
        CHECK(all.tasks_of(ann).empty());
        CHECK(all.ask(renew_worker{ann, 1}).state == worker_state::active);
        CHECK(all.tasks_of(ann).empty()); // its slot is taken, for all we know
        CHECK(all.orders(ann).cancellations == std::vector<attempt_id>{first});
        all.report(ann, {.what = first, .kind = outcome_kind::stopped});
        CHECK(all.tasks_of(ann) == names{"brew"});
      }
    }
    WHEN("ann is silent for very long") {
      all.pass(5min);
      all.ask(renew_worker{bob, 1});
      all.pass(6min);
      THEN("it is forgotten") {
        CHECK(all.refusal(renew_worker{ann, 1}).code == errc::not_found);
      }
    }
  }
}

TEST_CASE("a worker is silent when its host says so", "[scheduler]") {
  clocked_scheduler all;
  all.machine.use_rules(2);
  auto ann = all.add("ann", 1);
  auto bob = all.add("bob", 1);
  auto run = all.ask(flow({work("bake")})).run;
  auto first = all.attempt(ann, "bake");
  auto seen = all.orders(ann).sequence;
  auto silence_of = [&](worker_id who) {
    effects out;
    all.machine.step(all.now, 0, silence{who.value}, out);
    CHECK(out.empty());
  };
  CHECK(all.machine.lives() == std::vector{ann.value, bob.value});
  CHECK(all.machine.life_of(check_in{ann, 1}) == ann.value);
  CHECK_FALSE(all.machine.life_of(check_in{ann, 2})); // a boot that is not known

  all.pass(1h);
  CHECK(all.tasks_of(ann) == names{"bake"});
  CHECK(all.machine.answer(check_in{ann, 1, seen, {first}}));
  CHECK(all.machine.answer(check_in{ann, 1, seen - 1, {}})); // has not heard of it
  CHECK(all.machine.answer(check_in{ann, 1, seen, {}}).error().code == errc::conflict);
  CHECK(all.machine.answer(check_in{ann, 2, seen, {}}).error().code == errc::not_found);

  silence_of(ann);
  silence_of(ann); // says it twice
  silence_of(worker_id{77});
  CHECK(all.tasks_of(bob) == names{"bake"});
  CHECK(all.machine.lives() == std::vector{bob.value});
  CHECK(all.machine.answer(check_in{ann, 1, seen, {first}}).error().code == errc::conflict);
  CHECK(all.report(ann, {.what = first, .value = "burnt"}).stale
        == std::vector<stale_outcome>{{first}});
  CHECK(all.states(run) == states{running});

  SECTION("it is forgotten after so long, counted from when it was told") {
    silence_of(bob);
    all.pass(9min);
    CHECK(all.machine.answer(list_workers{}).workers.size() == 2);
    all.pass(2min);
    CHECK(all.machine.answer(list_workers{}).workers.size() == 1); // ann reported
  }
  SECTION("a snapshot knows the rules") {
    task_scheduler copy;
    copy.restore(all.now, all.machine.snapshot());
    CHECK(copy.snapshot() == all.machine.snapshot());
    CHECK(copy.lives() == all.machine.lives());
  }
}

TEST_CASE("a worker whose loss makes a run be undone is in no line of what undoes it",
          "[scheduler]") {
  clocked_scheduler all{{.max_losses = 0}};
  auto undoes = [](const std::string& name, std::vector<std::string> handlers) {
    auto words = clocked_scheduler::worker_named(name, 1);
    words.handlers = std::move(handlers);
    return words;
  };
  auto ann = all.add(undoes("ann", {"work", "undo"}));
  auto baked = work("bake");
  baked.compensation = "undo";
  auto flow_of_two = flow({baked, work("eat", {0})});
  flow_of_two.policy = failure_policy::compensate;
  auto run = all.ask(flow_of_two).run;
  all.complete(ann, "bake", "bread");
  all.ask(worker_lost{.owner = owner_id{"node of ann"}, .boot = 1});
  REQUIRE(all.machine.answer(find_run{run})->run.state == run_state::compensating);
  all.add(undoes("bob", {"undo"}));
  all.ask(worker_lost{.owner = owner_id{"node of bob"}, .boot = 1});
  all.ask(flow({{.id = "other", .handler = "undo"}}));
  auto carl = undoes("carl", {"undo"});
  carl.maintenance = true;
  all.add(carl);
  all.ask(worker_lost{.owner = owner_id{"node of carl"}, .boot = 1});
  all.pass(2min);
  CHECK(all.machine.answer(list_workers{}).workers.empty());
}

TEST_CASE("a scheduler that was restored is the same after a change of its options",
          "[scheduler]") {
  clocked_scheduler all{{.max_changes = 4}};
  auto ann = all.add(clocked_scheduler::worker_named("ann", 1));
  std::vector<task_spec> many;
  for (auto each = 0; each < 5; ++each)
    many.push_back(work("t" + std::to_string(each)));
  all.ask(flow(many));
  for (auto each = 0; each < 4; ++each)
    all.complete(ann, "t" + std::to_string(each), "done");
  task_scheduler copy;
  copy.restore(all.now, all.machine.snapshot());
  effects out;
  for (auto* each : {&all.machine, &copy})
    each->step(all.now, 99, configure{{.max_changes = 1'000}}, out);
  CHECK(copy.snapshot() == all.machine.snapshot());
}

TEST_CASE("a restarted worker takes the place of its dead self", "[scheduler]") {
  clocked_scheduler all;
  auto words = clocked_scheduler::worker_named("ann", 1);
  auto before = all.add(words);
  auto run = all.ask(flow({work("bake")})).run;
  words.boot = 2;
  auto after = all.add(words);
  CHECK(after != before);
  auto orders = all.machine.answer(watch_assignments{after, 2});
  REQUIRE(orders);
  CHECK(orders->assignments.at(0).what == attempt_id{run, 0, 2});
  CHECK(all.refusal(renew_worker{before, 1}).code == errc::not_found);
  words.boot = 1;
  CHECK(all.refusal(words).code == errc::conflict);
}

TEST_CASE("a worker that registers again with the same boot keeps its tasks", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  all.ask(flow({work("bake"), work("brew")}));
  auto words = clocked_scheduler::worker_named("ann", 2);
  words.handlers = {"work", "play"};
  CHECK(all.add(words) == ann);
  CHECK(all.tasks_of(ann) == names{"bake", "brew"});
}

TEST_CASE("what a worker was told and does not know of runs again", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 3);
  auto run = all.ask(flow({work("bake"), work("brew")})).run;
  auto seen = all.orders(ann);
  auto later = all.ask(flow({work("not seen yet")})).run;
  REQUIRE(all.states(later) == states{running});
  all.ask(renew_worker{ann, 1, seen.sequence, {seen.assignments[0].what}});
  CHECK(all.look(later, 0).attempt == 1);
  CHECK(all.look(later, 0).losses == 0);
  CHECK(all.look(run, 0).attempt == 1);
  CHECK(all.look(run, 1).attempt == 2);
  CHECK(all.look(run, 1).losses == 1);
  all.ask(renew_worker{ann, 1}); // says nothing of what it saw
  CHECK(all.look(run, 0).attempt == 1);
}

TEST_CASE("a task that loses worker after worker is given up", "[scheduler]") {
  clocked_scheduler all{{.max_losses = 2}};
  auto words = clocked_scheduler::worker_named("ann", 1);
  all.add(words);
  auto run = all.ask(flow({work("poison")})).run;
  for (words.boot = 2; words.boot <= 4; ++words.boot)
    all.add(words);
  CHECK(all.look(run, 0).state == failed);
  CHECK_THAT(all.look(run, 0).why.detail, ContainsSubstring("3 workers were lost"));
}

TEST_CASE("a worker that leaves finishes what it has", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 2);
  all.ask(flow({work("bake")}));
  CHECK(all.ask(deregister_worker{ann, 1}).state == worker_state::draining);
  all.ask(flow({work("brew")}));
  CHECK(all.tasks_of(ann) == names{"bake"});
  all.complete(ann, "bake");
  CHECK_FALSE(all.machine.answer(watch_assignments{ann, 1}));
  CHECK(all.statistics().workers == 0);
}

TEST_CASE("a worker in maintenance finishes what it has and gets nothing new", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 2);
  all.ask(flow({work("bake")}));
  CHECK(all.ask(set_maintenance{ann, true}).state == worker_state::maintenance);
  all.ask(flow({work("brew")}));
  all.complete(ann, "bake");
  CHECK(all.tasks_of(ann).empty());
  CHECK(all.ask(set_maintenance{ann, false}).state == worker_state::active);
  CHECK(all.tasks_of(ann) == names{"brew"});
}

TEST_CASE("a worker that registers in maintenance gets nothing until that ends", "[scheduler]") {
  clocked_scheduler all;
  auto words = clocked_scheduler::worker_named("ann", 2);
  words.maintenance = true;
  auto ann = all.add(words);
  all.ask(flow({work("bake")}));
  CHECK(all.tasks_of(ann).empty());
  SECTION("by hand") {
    CHECK(all.ask(set_maintenance{ann, false}).state == worker_state::active);
    CHECK(all.tasks_of(ann) == names{"bake"});
  }
  SECTION("not by a repeat without the word") {
    words.maintenance = false;
    words.capacity.slots = 3;
    CHECK(all.add(words) == ann);
    CHECK(all.tasks_of(ann).empty());
  }
  SECTION("with its next start, if that does not say so again") {
    words.maintenance = false;
    words.boot = 2;
    auto later = all.ask(words);
    CHECK(later.state == worker_state::active);
  }
}

// -- the end of attempts ----------------------------------------------------------------

SCENARIO("a cancelled task takes room until its worker reports the end", "[scheduler]") {
  GIVEN("a run that is cancelled while one of its tasks runs") {
    clocked_scheduler all;
    auto ann = all.add("ann", 1);
    auto run = all.ask(diamond()).run;
    auto attempt = all.attempt(ann, "a");
    CHECK(all.ask(cancel_run{run}).state == run_state::cancelled);
    CHECK(all.states(run) == states{cancelled, cancelled, cancelled, cancelled});
    all.ask(flow({work("next")}));
    THEN("the worker is told, and gets nothing else meanwhile") {
      CHECK(all.tasks_of(ann).empty());
      CHECK(all.orders(ann).cancellations == std::vector<attempt_id>{attempt});
    }
    THEN("its result is refused, and its room is free from there on") {
      CHECK(all.report(ann, {.what = attempt, .value = "late"}).taken == 0);
      CHECK(all.states(run)[0] == cancelled);
      CHECK(all.machine.answer(find_result{run, 0})->value.empty());
      CHECK(all.tasks_of(ann) == names{"next"});
    }
    THEN("a second report of the end changes nothing") {
      outcome end{.what = attempt, .kind = outcome_kind::stopped};
      CHECK(all.report(ann, end).taken == 1);
      CHECK(all.report(ann, end).taken == 0);
      CHECK(all.tasks_of(ann) == names{"next"});
    }
    THEN("a second cancel is harmless") {
      CHECK(all.ask(cancel_run{run}).state == run_state::cancelled);
    }
  }
}

TEST_CASE("a worker that does not name a cancelled attempt any more has its room again",
          "[scheduler]") {
  clocked_scheduler all;
  all.machine.use_rules(2);
  auto ann = all.add("ann", 1);
  auto run = all.ask(flow({work("bake")})).run;
  auto attempt = all.attempt(ann, "bake");
  all.ask(cancel_run{run});
  all.ask(flow({work("next")}));
  auto seen = all.orders(ann).sequence;
  CHECK(all.machine.answer(check_in{ann, 1, seen, {attempt}}));
  CHECK(all.machine.answer(check_in{ann, 1, seen - 1})); // has not heard that it is to end
  CHECK(all.machine.answer(check_in{ann, 1, seen}).error().code == errc::conflict);
  all.ask(renew_worker{ann, 1, seen, {attempt}});
  CHECK(all.tasks_of(ann).empty());
  all.ask(renew_worker{ann, 1, seen});
  CHECK(all.tasks_of(ann) == names{"next"});
}

TEST_CASE("the second of two reports of one result is stale", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  auto run = all.ask(flow({work("bake")})).run;
  auto attempt = all.attempt(ann, "bake");
  auto receipt = all.ask(
    report{ann, 1, {{.what = attempt, .value = "one"}, {.what = attempt, .value = "two"}}});
  CHECK(receipt.taken == 1);
  CHECK(receipt.stale == std::vector<stale_outcome>{{attempt}});
  CHECK(all.machine.answer(find_result{run, 0})->value == "one");
}

SCENARIO("a failed attempt is tried again if that may help", "[scheduler]") {
  GIVEN("a task that may be tried three times, 1 s to 4 s apart") {
    clocked_scheduler all{{.seed = 1}};
    auto ann = all.add("ann", 1);
    auto what = flow({work("bake")});
    what.retry = {.max_attempts = 3, .wait = {1s, 4s}};
    auto run = all.ask(what).run;
    WHEN("it fails for a passing reason") {
      all.fail(ann, "bake", true);
      THEN("it waits for a while, and its reason can be seen") {
        CHECK(all.states(run) == states{pending});
        CHECK(all.look(run, 0).why == problem{errc::failed, "out of eggs"});
        CHECK(all.tasks_of(ann).empty());
        all.pass(1s);
        CHECK(all.attempt(ann, "bake").attempt == 2);
      }
      THEN("the third failure is the last") {
        all.pass(1s);
        all.fail(ann, "bake", true);
        all.pass(2s);
        all.fail(ann, "bake", true);
        CHECK(all.states(run) == states{failed});
        CHECK(all.look(run).run.state == run_state::failed);
        CHECK(all.look(run).run.why.detail == R"(task "bake": out of eggs)");
      }
    }
    WHEN("it fails for good") {
      all.fail(ann, "bake", false);
      THEN("it is not tried again") {
        CHECK(all.states(run) == states{failed});
      }
    }
    WHEN("its worker has no room by its own books") {
      all.report(ann, {.what = all.attempt(ann, "bake"), .kind = outcome_kind::busy});
      THEN("that costs no attempt, but the worker gets nothing for a moment") {
        CHECK(all.look(run, 0).failures == 0);
        CHECK(all.states(run) == states{ready});
        all.pass(200ms);
        CHECK(all.attempt(ann, "bake").attempt == 2);
      }
    }
  }
}

TEST_CASE("retries are spread by chance, the same chance for the same seed", "[scheduler]") {
  auto waits = [](std::uint64_t seed) {
    clocked_scheduler all{{.seed = seed}};
    auto ann = all.add("ann", 20);
    auto what = flow({});
    for (auto number = 0; number < 20; ++number)
      what.tasks.push_back(work(std::to_string(number)));
    all.ask(what);
    for (auto& each : all.orders(ann).assignments)
      all.fail(ann, each.task, true);
    std::vector<time_point> result;
    while (auto next = all.machine.next_deadline()) {
      if (*next > time_point{} + 1s)
        break;
      result.push_back(*next);
      all.pass(*next - all.now);
    }
    return result;
  };
  CHECK(waits(1).size() > 15);
  CHECK(waits(1) == waits(1));
  CHECK(waits(1) != waits(2));
}

SCENARIO("an attempt that takes too long is over", "[scheduler]") {
  GIVEN("a task with 5 s for each attempt") {
    clocked_scheduler all;
    auto ann = all.add("ann", 1);
    auto slow = work("slow");
    slow.timeout = 5s;
    auto run = all.ask(flow({slow})).run;
    auto attempt = all.attempt(ann, "slow");
    all.pass(3s);
    all.ask(renew_worker{ann, 1});
    CHECK(all.orders(ann).assignments.at(0).timeout == 2s);
    WHEN("they pass") {
      all.pass(2s);
      THEN("the worker is told to stop, and the task waits for another try") {
        CHECK(all.orders(ann).cancellations == std::vector<attempt_id>{attempt});
        CHECK(all.look(run, 0).why.code == errc::timed_out);
        CHECK(all.look(run, 0).failures == 1);
        CHECK(all.statistics().timed_out == 1);
      }
      THEN("a result that comes later is stale") {
        CHECK(all.report(ann, {.what = attempt}).taken == 0);
      }
    }
  }
}

TEST_CASE("progress is shown, and ends nothing", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  auto run = all.ask(flow({work("bake")})).run;
  auto attempt = all.attempt(ann, "bake");
  CHECK(all.report(ann, {.what = attempt, .kind = outcome_kind::progress, .permille = 250}).taken
        == 1);
  CHECK(all.look(run, 0).progress_permille == 250);
  all.report(ann, {.what = attempt, .kind = outcome_kind::progress, .permille = 2'500});
  CHECK(all.look(run, 0).progress_permille == 1'000); // no task is more than done
  CHECK(all.tasks_of(ann) == names{"bake"});
  all.complete(ann, "bake");
}

// -- the end of runs ----------------------------------------------------------------------

SCENARIO("what becomes of the rest when a task fails is a matter of policy", "[scheduler]") {
  GIVEN("a -> b -> c beside x -> y, where b fails while x runs") {
    clocked_scheduler all;
    auto ann = all.add("ann", 4);
    auto what = flow({work("a"), work("b", {0}), work("c", {1}), work("x"), work("y", {3})});
    for (auto& each : what.tasks)
      each.compensation = "work";
    auto run_with = [&](failure_policy policy) {
      what.policy = policy;
      auto run = all.ask(what).run;
      all.complete(ann, "a", "result of a");
      all.fail(ann, "b", false);
      return run;
    };
    WHEN("it is fail_fast") {
      auto run = run_with(failure_policy::fail_fast);
      THEN("nothing new starts, and what runs is cancelled") {
        CHECK(all.states(run) == states{completed, failed, skipped, cancelled, skipped});
        CHECK(all.look(run).run.state == run_state::failed);
      }
    }
    WHEN("it is continue_what_can") {
      auto run = run_with(failure_policy::continue_what_can);
      THEN("only what needs the failed task is skipped") {
        CHECK(all.states(run) == states{completed, failed, skipped, running, pending});
        all.complete(ann, "x");
        all.complete(ann, "y");
        CHECK(all.look(run).run.state == run_state::failed);
      }
    }
    WHEN("it is compensate") {
      auto run = run_with(failure_policy::compensate);
      THEN("what was completed is undone, with its result") {
        CHECK(all.look(run).run.state == run_state::compensating);
        auto orders = all.orders(ann);
        REQUIRE(orders.assignments.size() == 1);
        CHECK(orders.assignments[0].task == "undo:a");
        CHECK(orders.assignments[0].parents == std::vector<parent_result>{{"a", "result of a"}});
        all.complete(ann, "undo:a");
        CHECK(all.look(run).run.state == run_state::failed);
      }
    }
  }
}

TEST_CASE("tasks are undone in the opposite order of their graph", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 4);
  auto what = flow({work("a"), work("b", {0}), work("not undone", {1}), work("c", {2}),
                    work("other", {0}), work("bad", {3, 4})});
  what.policy = failure_policy::compensate;
  for (auto& each : what.tasks)
    each.compensation = each.id == "not undone" ? "" : "work";
  auto run = all.ask(what).run;
  for (auto* task : {"a", "b", "not undone", "c", "other"})
    all.complete(ann, task);
  all.fail(ann, "bad", false);
  CHECK(all.tasks_of(ann) == names{"undo:c", "undo:other"});
  all.complete(ann, "undo:other");
  CHECK(all.tasks_of(ann) == names{"undo:c"});
  all.complete(ann, "undo:c");
  CHECK(all.tasks_of(ann) == names{"undo:b"});
  all.fail(ann, "undo:b", false); // there is nothing better to do than to go on
  CHECK(all.tasks_of(ann) == names{"undo:a"});
  all.complete(ann, "undo:a");
  CHECK(all.look(run).run.state == run_state::failed);
}

TEST_CASE("a paused run starts nothing new", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  auto run = all.ask(diamond()).run;
  CHECK(all.ask(pause_run{run}).state == run_state::paused);
  all.complete(ann, "a"); // what runs goes on
  CHECK(all.states(run) == states{completed, ready, ready, pending});
  CHECK(all.tasks_of(ann).empty());
  CHECK(all.ask(pause_run{run}).state == run_state::paused);
  CHECK(all.ask(resume_run{run}).state == run_state::running);
  CHECK(all.tasks_of(ann) == names{"b"});
  CHECK(all.ask(resume_run{run}).state == run_state::running);
}

TEST_CASE("a delayed run starts when its time has come", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  auto what = flow({work("bake")});
  what.delay = 5s;
  auto run = all.ask(what).run;
  CHECK(all.look(run).run.state == run_state::waiting);
  SECTION("not before") {
    all.pass(4s);
    CHECK(all.tasks_of(ann).empty());
    all.pass(1s);
    CHECK(all.tasks_of(ann) == names{"bake"});
  }
  SECTION("nor while it is paused") {
    all.ask(pause_run{run});
    all.pass(9s);
    all.ask(renew_worker{ann, 1});
    CHECK(all.tasks_of(ann).empty());
    all.ask(resume_run{run});
    all.pass(0s);
    CHECK(all.tasks_of(ann) == names{"bake"});
  }
  SECTION("nor at all if it is cancelled") {
    all.ask(cancel_run{run});
    all.pass(9s);
    CHECK(all.states(run) == states{cancelled});
  }
}

// -- the calendar ---------------------------------------------------------------------------

namespace {

/// Seconds after the midnight before a day of 2026.
wall_time on_friday(duration time_of_day) {
  using namespace std::chrono;
  return wall_time{sys_days{2026y / November / 20}.time_since_epoch() + time_of_day};
}

void tell(clocked_scheduler& all, wall_time now) {
  effects out;
  all.machine.step(all.now, 0, wall{now}, out);
  CHECK(out.empty());
}

} // namespace

TEST_CASE("a run starts at its moment of the calendar", "[scheduler][cron]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  tell(all, on_friday(8h));
  auto what = flow({work("bake")});
  what.start_at = on_friday(9h);
  auto run = all.ask(what).run;
  CHECK(all.look(run).run.state == run_state::waiting);
  CHECK(all.machine.next_wall_deadline() == on_friday(9h));
  SECTION("not before") {
    tell(all, on_friday(9h - 1s));
    CHECK(all.tasks_of(ann).empty());
    tell(all, on_friday(9h));
    CHECK(all.tasks_of(ann) == names{"bake"});
    CHECK_FALSE(all.machine.next_wall_deadline());
  }
  SECTION("nor while it is paused") {
    all.ask(pause_run{run});
    CHECK_FALSE(all.machine.next_wall_deadline());
    tell(all, on_friday(10h));
    CHECK(all.tasks_of(ann).empty());
    all.ask(resume_run{run});
    CHECK(all.tasks_of(ann) == names{"bake"});
  }
  SECTION("nor at all if it is cancelled") {
    all.ask(cancel_run{run});
    CHECK_FALSE(all.machine.next_wall_deadline());
    tell(all, on_friday(10h));
    CHECK(all.states(run) == states{cancelled});
  }
  SECTION("at once if that has passed") {
    all.ask(cancel_run{run});
    what.start_at = on_friday(7h);
    all.ask(what);
    CHECK(all.tasks_of(ann) == names{"bake"});
  }
}

TEST_CASE("a calendar that is set back holds up no run", "[scheduler][cron]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  tell(all, on_friday(9h));
  tell(all, on_friday(8h));
  auto what = flow({work("bake")});
  what.start_at = on_friday(8h + 30min);
  all.ask(what);
  CHECK(all.tasks_of(ann) == names{"bake"});
}

SCENARIO("a schedule starts a workflow again and again", "[scheduler][cron]") {
  GIVEN("one for each full hour, defined at 8:30") {
    clocked_scheduler all{{.max_runs = 2, .max_schedules = 1}};
    auto ann = all.add("ann", 1);
    define_schedule what{.name = "hourly", .cron = "@hourly", .what = flow({work("bake")})};
    CHECK(all.ask(what) == schedule_receipt{"hourly", false});
    auto standing = [&] { return all.machine.answer(list_schedules{}).schedules.at(0); };
    CHECK(all.machine.next_wall_deadline() < on_friday(0s)); // it wants to know the time
    tell(all, on_friday(8h + 30min));
    CHECK(standing().next == on_friday(9h));
    CHECK(all.machine.next_wall_deadline() == on_friday(9h));
    CHECK(all.tasks_of(ann).empty());
    WHEN("the calendar is looked at before the hour") {
      tell(all, on_friday(8h + 45min));
      THEN("nothing starts yet") {
        CHECK(all.tasks_of(ann).empty());
        CHECK(standing().started == 0);
        CHECK(standing().next == on_friday(9h));
      }
    }
    WHEN("the hour comes") {
      tell(all, on_friday(9h + 10s));
      THEN("a run starts, with the moment as its key") {
        CHECK(all.tasks_of(ann) == names{"bake"});
        CHECK(all.look(run_id{1}).run.key == "hourly@2026-11-20T09:00Z");
        CHECK(standing().started == 1);
        CHECK(standing().last_run == run_id{1});
        CHECK(standing().next == on_friday(10h));
      }
      THEN("the next is left out while this one is under way") {
        tell(all, on_friday(10h));
        CHECK(standing().started == 1);
        CHECK(standing().skipped == 1);
        all.complete(ann, "bake");
        tell(all, on_friday(11h));
        CHECK(standing().started == 2);
      }
      THEN("unless it says that they may overlap, as far as there is room") {
        what.overlap = true;
        CHECK(all.ask(what).replaced);
        tell(all, on_friday(9h + 20s));
        tell(all, on_friday(10h));
        CHECK(all.statistics().runs_live == 2);
        tell(all, on_friday(11h));
        CHECK(standing().refused == 1);
        CHECK(standing().why.code == errc::limit_reached);
      }
    }
    WHEN("nobody looked for half a day") {
      tell(all, on_friday(20h + 1min));
      THEN("one run makes up for all that were missed") {
        CHECK(standing().started == 1);
        CHECK(standing().next == on_friday(21h));
      }
    }
    WHEN("it is removed") {
      CHECK(all.ask(remove_schedule{"hourly"}).replaced);
      THEN("nothing starts any more") {
        CHECK_FALSE(all.machine.next_wall_deadline());
        tell(all, on_friday(9h));
        CHECK(all.statistics().runs_submitted == 0);
        CHECK(all.refusal(remove_schedule{"hourly"}).code == errc::not_found);
      }
    }
    THEN("there is room for as many as the options say") {
      what.name = "another";
      CHECK(all.refusal(what).code == errc::limit_reached);
    }
  }
}

TEST_CASE("the same key is the same run, whatever else is said", "[scheduler]") {
  clocked_scheduler all;
  auto what = diamond();
  what.key = "tuesday";
  auto first = all.ask(what);
  CHECK_FALSE(first.repeated);
  auto again = all.ask(submit{.name = "other", .tasks = {}, .key = "tuesday"});
  CHECK(again.repeated);
  CHECK(again.run == first.run);
  CHECK(all.statistics().runs_submitted == 1);
}

// -- who goes first -----------------------------------------------------------------------

namespace {

task_spec work_of(priority level, std::string id) {
  auto result = work(std::move(id));
  result.priority = level;
  return result;
}

} // namespace

TEST_CASE("higher priorities go first, equals in the order of coming", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  all.ask(flow({work("busy")}));
  all.ask(flow({work_of(priority::low, "low"), work_of(priority::urgent, "urgent"),
                work_of(priority::medium, "medium"), work_of(priority::high, "high"),
                work_of(priority::high, "high too")}));
  for (auto* task : {"busy", "urgent", "high", "high too", "medium", "low"}) {
    CHECK(all.tasks_of(ann) == names{task});
    all.complete(ann, task);
  }
}

TEST_CASE("a task that waited long enough passes newer ones of the next priority", "[scheduler]") {
  auto first_after = [](duration waited) {
    clocked_scheduler all{{.lease = 1h, .ageing = 30s}};
    auto ann = all.add("ann", 1);
    all.ask(flow({work("busy")}));
    all.ask(flow({work_of(priority::medium, "old")}));
    all.pass(waited);
    all.ask(flow({work_of(priority::high, "new")}));
    all.complete(ann, "busy");
    return all.tasks_of(ann).at(0);
  };
  CHECK(first_after(29s) == "new");
  CHECK(first_after(31s) == "old");
}

TEST_CASE("a task that failed goes before its equals", "[scheduler]") {
  clocked_scheduler all{{.retry_head_start = 10s}};
  auto ann = all.add("ann", 1);
  auto what = flow({work("again")});
  what.retry.wait = {};
  what.retry.wait.first = 0s;
  all.ask(what);
  all.ask(flow({work("equal")}));
  all.ask(flow({work("new")}));
  all.pass(1s);
  all.fail(ann, "again", true);
  all.pass(0s);
  CHECK(all.tasks_of(ann) == names{"equal"}); // the slot came free before the other was ready
  all.complete(ann, "equal");
  CHECK(all.tasks_of(ann) == names{"again"});
}

TEST_CASE("a task that was lost with its worker goes before its equals", "[scheduler]") {
  clocked_scheduler all{{.retry_head_start = 10s}};
  all.add("ann", 1);
  auto bob = all.add("bob", 1);
  all.ask(flow({work("lost")}));
  all.ask(flow({work("other")}));
  REQUIRE(all.tasks_of(bob) == names{"other"});
  all.pass(1s);
  all.ask(flow({work("new")}));
  all.pass(1s);
  all.ask(worker_lost{owner_id{"node of ann"}, 1});
  all.complete(bob, "other");
  CHECK(all.tasks_of(bob) == names{"lost"});
}

TEST_CASE("a task that fits nowhere does not hold up those that do", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add({.name = "ann",
                      .owner = owner_id{"node"},
                      .boot = 1,
                      .capacity = {.millicores = 2'000, .slots = 4},
                      .handlers = {"work"}});
  auto wide = work("wide");
  wide.needs.millicores = 2'000;
  auto narrow = work("narrow");
  narrow.needs.millicores = 1'000;
  auto another = narrow;
  another.id = "another";
  all.ask(flow({narrow, wide, another}));
  CHECK(all.tasks_of(ann) == names{"narrow", "another"});
}

TEST_CASE("a task starts at once when a larger one before it is cancelled", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add({.name = "ann",
                      .owner = owner_id{"node"},
                      .boot = 1,
                      .capacity = {.millicores = 1'000, .memory_bytes = 100, .slots = 4},
                      .handlers = {"work"}});
  auto sized = [](std::string id, std::uint64_t millicores, std::uint64_t memory_bytes) {
    auto result = work(std::move(id));
    result.needs.millicores = millicores;
    result.needs.memory_bytes = memory_bytes;
    return flow({result});
  };
  all.ask(sized("first", 450, 45));
  SECTION("of memory") {
    auto larger = all.ask(sized("larger", 500, 60)).run;
    all.ask(sized("smaller", 500, 50));
    CHECK(all.tasks_of(ann) == names{"first"});
    all.ask(cancel_run{larger});
  }
  SECTION("of cores") {
    auto larger = all.ask(sized("larger", 560, 50)).run;
    all.ask(sized("smaller", 540, 50));
    CHECK(all.tasks_of(ann) == names{"first"});
    all.ask(cancel_run{larger});
  }
  CHECK(all.tasks_of(ann) == names{"first", "smaller"});
}

TEST_CASE("a task whose room was kept at a worker that goes into maintenance waits for another",
          "[scheduler]") {
  clocked_scheduler all{{.lease = 1h, .reserve_after = 10s}};
  register_worker words{.name = "ann",
                        .owner = owner_id{"node"},
                        .boot = 1,
                        .capacity = {.millicores = 2'000, .slots = 4},
                        .handlers = {"work"}};
  auto ann = all.add(words);
  words.name = "bob";
  auto bob = all.add(words);
  auto wide = work("wide");
  wide.needs.millicores = 2'000;
  auto small = work("small");
  small.needs.millicores = 1'000;
  for (auto each = 0; each < 4; ++each)
    all.ask(flow({small}));
  all.ask(flow({wide}));
  all.pass(10s); // ann is to have it
  all.ask(set_maintenance{ann, true});
  all.pass(10s);
  all.ask(flow({small}));
  all.complete(bob, "small");
  CHECK(all.tasks_of(bob) == names{"small"});
  all.complete(bob, "small");
  CHECK(all.tasks_of(bob) == names{"wide"});
}

SCENARIO("small tasks do not keep a large one waiting for ever", "[scheduler]") {
  GIVEN("a worker whose two cores are always in use by tasks of one core") {
    clocked_scheduler all{{.reserve_after = 10s}};
    auto ann = all.add({.name = "ann",
                        .owner = owner_id{"node"},
                        .boot = 1,
                        .capacity = {.millicores = 2'000, .slots = 4},
                        .handlers = {"work"}});
    auto wide = work("wide");
    wide.needs.millicores = 2'000;
    auto small = work("small");
    small.needs.millicores = 1'000;
    all.ask(flow({small}));
    all.ask(flow({small}));
    all.ask(flow({wide}));
    auto replace_one = [&] {
      all.ask(flow({small}));
      all.complete(ann, "small");
      all.pass(1s);
    };
    for (auto second = 0; second < 9; ++second)
      replace_one();
    CHECK(all.tasks_of(ann) == names{"small", "small"});
    WHEN("it has waited for long") {
      all.pass(1s);
      THEN("the worker gets no small ones until it has had the large one") {
        replace_one();
        CHECK(all.tasks_of(ann) == names{"small"});
        replace_one();
        CHECK(all.tasks_of(ann) == names{"wide"});
        all.complete(ann, "wide");
        CHECK(all.tasks_of(ann) == names{"small", "small"});
      }
      THEN("the small ones go on if the large one is cancelled") {
        replace_one();
        all.ask(cancel_run{run_id{3}});
        CHECK(all.tasks_of(ann) == names{"small", "small"});
      }
    }
  }
}

// -- who gets it ----------------------------------------------------------------------------

TEST_CASE("tasks go to the least loaded worker", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 4);
  auto bob = all.add("bob", 4);
  all.ask(flow({work("1"), work("2"), work("3"), work("4")}));
  CHECK(all.tasks_of(ann) == names{"1", "3"});
  CHECK(all.tasks_of(bob) == names{"2", "4"});
}

TEST_CASE("of workers that have room again at once, the least loaded gets what waits",
          "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 4);
  auto bob = all.add("bob", 4);
  SECTION("while nobody else has room") {}
  SECTION("while another one has room that may not have it") {
    auto words = clocked_scheduler::worker_named("cat", 4);
    words.handlers = {"play"};
    all.add(words);
  }
  all.ask(flow({work("1"), work("2"), work("3")}));
  REQUIRE(all.tasks_of(ann) == names{"1", "3"});
  all.ask(flow({work("late")}));
  for (auto who : {bob, ann})
    all.report(who, {.what = all.attempt(who, "late"), .kind = outcome_kind::busy});
  REQUIRE(all.tasks_of(ann).size() + all.tasks_of(bob).size() == 3);
  all.pass(scheduler_options{}.busy_pause);
  CHECK(all.tasks_of(bob) == names{"2", "late"});
}

TEST_CASE("the load of a worker is the share of its slots, or of its scarcest resource",
          "[scheduler]") {
  auto third_goes_to = [](placement policy) {
    clocked_scheduler all{{.placement = policy}};
    register_worker words{.name = "ann",
                          .owner = owner_id{"node"},
                          .boot = 1,
                          .capacity = {.memory_bytes = 100, .slots = 8},
                          .handlers = {"work"}};
    auto ann = all.add(words);
    words.name = "bob";
    words.capacity.slots = 4;
    auto bob = all.add(words);
    auto large = work("large");
    large.needs.memory_bytes = 90;
    all.ask(flow({large}));
    all.ask(flow({work("other")}));
    REQUIRE(all.tasks_of(ann) == names{"large"}); // 90 % of the memory, 1 of 8 slots
    REQUIRE(all.tasks_of(bob) == names{"other"}); // 1 of 4 slots
    all.ask(flow({work("third")}));
    return all.tasks_of(ann).size() == 2 ? "ann"s : "bob"s;
  };
  CHECK(third_goes_to(placement::resource_aware) == "bob");
  CHECK(third_goes_to(placement::least_loaded) == "ann");
}

TEST_CASE("capacity is never exceeded", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add({.name = "ann",
                      .owner = owner_id{"node"},
                      .boot = 1,
                      .capacity = {.millicores = 4'000, .memory_bytes = 100, .gpus = 1, .slots = 3},
                      .handlers = {"work"}});
  auto cores = work("cores");
  cores.needs = {.millicores = 3'000, .slots = 1};
  auto memory = work("memory");
  memory.needs = {.memory_bytes = 60, .slots = 1};
  auto gpu = work("gpu");
  gpu.needs = {.gpus = 1, .slots = 1};
  SECTION("of what a task asks for") {
    auto twice = [](task_spec what) {
      auto other = what;
      other.id += " too";
      return flow({std::move(what), std::move(other)});
    };
    for (auto& each : {cores, memory, gpu})
      all.ask(twice(each));
    CHECK(all.tasks_of(ann) == names{"cores", "memory", "gpu"});
  }
  SECTION("of slots, whatever else is free") {
    all.ask(flow({work("1"), work("2"), work("3"), work("4")}));
    CHECK(all.tasks_of(ann) == names{"1", "2", "3"});
  }
}

SCENARIO("groups, labels and handlers say who may run a task", "[scheduler]") {
  GIVEN("a worker without a group, one of the night shift and one of both") {
    clocked_scheduler all;
    auto words = clocked_scheduler::worker_named("day", 1);
    auto day = all.add(words);
    words.name = "night";
    words.groups = {"night"};
    words.labels = {{"disk", "fast"}};
    auto night = all.add(words);
    auto in = [](std::string group) {
      auto result = work("in " + group);
      result.group = std::move(group);
      return result;
    };
    THEN("a task of a group runs in the group only") {
      all.ask(flow({in("night")}));
      CHECK(all.tasks_of(night) == names{"in night"});
      all.ask(flow({in("night")}));
      CHECK(all.tasks_of(day).empty());
    }
    THEN("a task without a group runs where none is named") {
      all.ask(flow({in("")}));
      CHECK(all.tasks_of(day) == names{"in "});
      all.ask(flow({in("")}));
      CHECK(all.tasks_of(night).empty());
    }
    THEN("a worker may belong to both") {
      words.name = "both";
      words.groups = {"", "night"};
      words.capacity.slots = 2;
      auto both = all.add(words);
      all.ask(flow({work("d"), work("d too")}));
      all.ask(flow({in("night")}));
      all.ask(flow({in("night")}));
      CHECK(all.tasks_of(both).size() == 2);
    }
    THEN("labels must be there with their value") {
      auto labelled = in("night");
      labelled.labels = {{"disk", "slow"}};
      auto run = all.ask(flow({labelled})).run;
      CHECK(all.states(run) == states{ready});
      CHECK_THAT(all.look(run, 0).why.detail, ContainsSubstring("labels"));
      labelled.labels = {{"disk", "fast"}};
      all.ask(flow({labelled}));
      CHECK(all.tasks_of(night) == names{"in night"});
    }
  }
}

SCENARIO("a task for which no worker is good waits for one, but not for ever", "[scheduler]") {
  GIVEN("a worker that cannot do what is asked") {
    clocked_scheduler all{{.lease = 1h, .unplaceable_patience = 30s}};
    all.add("ann", 1);
    auto unknown = work("juggle");
    unknown.handler = "juggle";
    auto forbidden = work("run");
    forbidden.handler = exec_handler;
    auto forbidden_run = all.ask(flow({forbidden})).run;
    CHECK_THAT(all.look(forbidden_run, 0).why.detail,
               ContainsSubstring("troupe node --allow-exec"));
    all.ask(cancel_run{forbidden_run});
    auto large = work("lift");
    large.needs.memory_bytes = 1'000'000;
    auto run = all.ask(flow({unknown})).run;
    auto large_run = all.ask(flow({large})).run;
    THEN("the reason can be seen at once") {
      CHECK(all.look(run, 0).why.detail
            == R"(no worker offers the handler "juggle"; check its name, or start a worker that )"
               "does");
      CHECK_THAT(all.look(large_run, 0).why.detail,
                 ContainsSubstring("it needs 1 slot and 1000000 bytes of memory, more than any "
                                   "worker has that offers"));
      CHECK(all.statistics().unplaceable == 2);
    }
    WHEN("nobody comes") {
      all.pass(30s);
      THEN("both have failed, and say why") {
        CHECK(all.look(run).run.state == run_state::failed);
        CHECK(all.look(run).run.why.code == errc::not_found);
        CHECK(all.look(large_run).run.why.code == errc::too_large);
        CHECK(all.statistics().unplaceable == 0);
      }
    }
    WHEN("somebody comes in time") {
      all.pass(29s);
      auto words = clocked_scheduler::worker_named("bob", 2);
      words.handlers = {"juggle", "work"};
      words.capacity.memory_bytes = 1'000'000;
      auto bob = all.add(words);
      THEN("it gets both") {
        CHECK(all.tasks_of(bob).size() == 2);
        all.pass(1min);
        CHECK(all.statistics().failed == 0);
      }
      THEN("a task waits anew when the last worker for it leaves") {
        all.ask(worker_lost{owner_id{"node of bob"}, 1});
        CHECK(all.states(run) == states{ready});
        all.pass(29s);
        CHECK(all.states(run) == states{ready});
        all.pass(1s);
        CHECK(all.states(run) == states{failed});
      }
    }
  }
}

TEST_CASE("while there is no worker at all tasks wait for ever", "[scheduler]") {
  clocked_scheduler all{{.unplaceable_patience = 30s}};
  auto run = all.ask(flow({work("bake")})).run;
  all.pass(1h);
  CHECK(all.look(run, 0).why.detail == "no worker is registered; start one");
  auto ann = all.add("ann", 1);
  CHECK(all.tasks_of(ann) == names{"bake"});
}

// -- looking ----------------------------------------------------------------------------------

SCENARIO("a watcher gets all states first, then each change in order", "[scheduler]") {
  GIVEN("a run that was watched from its start") {
    clocked_scheduler all{{.max_changes = 6}};
    auto ann = all.add("ann", 2);
    auto run = all.ask(diamond()).run;
    auto first = all.machine.answer(watch_run{run});
    REQUIRE(first);
    CHECK(first->complete);
    CHECK(first->states == states{running, pending, pending, pending});
    CHECK_FALSE(all.machine.has_news(watch_run{run, first->revision}));
    WHEN("a task completes") {
      all.complete(ann, "a");
      THEN("the watcher learns what changed") {
        CHECK(all.machine.has_news(watch_run{run, first->revision}));
        auto news = all.machine.answer(watch_run{run, first->revision});
        CHECK_FALSE(news->complete);
        std::vector<std::pair<std::uint32_t, task_state>> seen;
        for (auto& each : news->changes)
          seen.emplace_back(each.task, each.state);
        CHECK(seen
              == std::vector<std::pair<std::uint32_t, task_state>>{
                {0, completed}, {1, ready}, {2, ready}, {1, running}, {2, running}});
        CHECK(news->revision == news->run.revision);
      }
      THEN("a page at a time, if it wants") {
        auto news = all.machine.answer(watch_run{run, first->revision, 0s, 2});
        REQUIRE(news->changes.size() == 2);
        auto rest = all.machine.answer(watch_run{run, news->revision, 0s, 100});
        CHECK(rest->changes.size() == 3);
        CHECK(rest->changes.front().revision > news->changes.back().revision);
      }
    }
    WHEN("more happens than is remembered") {
      for (auto* task : {"a", "b", "c", "d"})
        all.complete(ann, task);
      THEN("the watcher gets all states again") {
        auto news = all.machine.answer(watch_run{run, first->revision});
        CHECK(news->complete);
        CHECK(news->states == states{completed, completed, completed, completed});
        CHECK(news->revision == news->run.revision);
      }
      THEN("and does not wait for news of a run that is over") {
        auto last = all.look(run).run.revision;
        CHECK(all.machine.has_news(watch_run{run, last}));
      }
    }
  }
}

TEST_CASE("orders come in pages, none missing", "[scheduler]") {
  clocked_scheduler all{{.max_payload_bytes = 1'000, .max_assignment_bytes = 2'500}};
  auto ann = all.add("ann", 9);
  auto what = flow({});
  for (auto number = 0; number < 6; ++number) {
    what.tasks.push_back(work(std::to_string(number)));
    what.tasks.back().input = std::string(1'000, 'x');
  }
  auto run = all.ask(what).run;
  auto bytes_page = all.machine.answer(watch_assignments{ann, 1});
  CHECK(bytes_page->assignments.size() == 2); // as many as go into 2,500 bytes
  all.ask(cancel_run{run});
  names seen;
  std::uint64_t after = 0;
  std::size_t cancelled_seen = 0;
  all.ask(flow({work("after")}));
  while (all.machine.has_news(watch_assignments{ann, 1, after})) {
    auto page = all.machine.answer(watch_assignments{ann, 1, after, 0s, 2});
    CHECK(page->assignments.size() + page->cancellations.size() <= 2);
    cancelled_seen += page->cancellations.size();
    for (auto& each : page->assignments)
      seen.push_back(each.task);
    after = page->sequence;
  }
  CHECK(cancelled_seen == 6);
  CHECK(seen == names{"after"});
}

TEST_CASE("runs and workers are listed page by page", "[scheduler]") {
  clocked_scheduler all;
  for (auto* name : {"ann", "bob", "cid"})
    all.add(name, 1);
  auto workers = all.machine.answer(list_workers{worker_id{1}, 1}).workers;
  REQUIRE(workers.size() == 1);
  CHECK(workers[0].name == "bob");
  CHECK(workers[0].lease_left == 10s);
  for (auto number = 0; number < 3; ++number)
    all.ask(flow({work("bake")}));
  all.ask(cancel_run{run_id{2}});
  CHECK(all.machine.answer(list_runs{}).runs.size() == 3);
  CHECK(all.machine.answer(list_runs{run_id{1}, 1}).runs.at(0).run == run_id{2});
  auto over = all.machine.answer(list_runs{.state = run_state::cancelled}).runs;
  REQUIRE(over.size() == 1);
  CHECK(over[0].run == run_id{2});
  CHECK(all.machine.answer(find_run{run_id{9}}).error().code == errc::not_found);
  CHECK(all.machine.answer(find_result{run_id{1}, 9}).error().code == errc::not_found);
  CHECK(all.machine.answer(find_result{run_id{9}, 0}).error().code == errc::not_found);
  CHECK(all.machine.answer(watch_run{run_id{9}}).error().code == errc::not_found);
}

TEST_CASE("statistics tell how long tasks wait and how attempts end", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 1);
  all.ask(flow({work("first"), work_of(priority::urgent, "second")}));
  auto before = all.statistics();
  CHECK(before.tasks == std::vector<std::uint64_t>{0, 1, 1, 0, 0, 0, 0});
  CHECK(before.queues.at(1).length + before.queues.at(3).length == 1);
  all.pass(2s);
  all.complete(ann, "second");
  all.complete(ann, "first");
  auto after = all.statistics();
  CHECK(after.attempts == 2);
  CHECK(after.completed == 2);
  CHECK(after.runs_live == 0);
  CHECK(after.runs_finished == 1);
  CHECK(after.queues.at(1).started == 1);
  CHECK(after.queues.at(1).waited_longest == 2s);
  CHECK(after.queues.at(1).length == 0);
}

// -- bounds -------------------------------------------------------------------------------------

TEST_CASE("runs that are over are kept for a while, then dropped with their key", "[scheduler]") {
  clocked_scheduler all{{.max_finished_runs = 2}};
  auto ann = all.add("ann", 1);
  for (auto* key : {"one", "two", "three"}) {
    auto what = flow({work("bake")});
    what.key = key;
    all.ask(what);
    all.complete(ann, "bake");
  }
  CHECK(all.machine.answer(find_run{run_id{1}}).error().code == errc::not_found);
  CHECK(all.look(run_id{2}).run.key == "two");
  auto what = flow({work("bake")});
  what.key = "one";
  CHECK_FALSE(all.ask(what).repeated);
  what.key = "two";
  CHECK(all.ask(what).repeated);
}

TEST_CASE("a run that is dropped leaves nothing behind", "[scheduler]") {
  clocked_scheduler all{{.max_finished_runs = 0}};
  auto ann = all.add("ann", 2);
  auto first = all.ask(diamond()).run;
  all.ask(flow({work("bake")}));
  for (auto* task : {"a", "bake", "b"})
    all.complete(ann, task, "some result");
  auto orders = all.orders(ann);
  all.ask(cancel_run{first});
  CHECK(all.machine.answer(find_run{first}).error().code == errc::not_found);
  CHECK(all.machine.answer(list_runs{}).runs.empty());
  CHECK(all.statistics().bytes == 0);
  CHECK(all.statistics().tasks == std::vector<std::uint64_t>(task_states));
  CHECK(all.orders(ann).cancellations.size() == 1); // its room is still taken
  for (auto& each : orders.assignments)
    all.report(ann, {.what = each.what});
  CHECK(all.machine.answer(list_workers{}).workers.at(0).used == resources{.slots = 0});
}

TEST_CASE("results that are too large fail their task", "[scheduler]") {
  clocked_scheduler all{{.max_payload_bytes = 10, .max_assignment_bytes = 25}};
  auto ann = all.add("ann", 4);
  SECTION("one by itself") {
    auto run = all.ask(flow({work("bake")})).run;
    all.report(ann, {.what = all.attempt(ann, "bake"), .value = std::string(11, 'x')});
    CHECK(all.look(run, 0).state == failed);
    CHECK(all.look(run, 0).why.code == errc::too_large);
  }
  SECTION("all that go into the next together") {
    auto run = all.ask(flow({work("1"), work("2"), work("3"), work("next", {0, 1, 2})})).run;
    for (auto* task : {"1", "2", "3"})
      all.complete(ann, task, std::string(10, 'x'));
    CHECK(all.look(run, 3).state == failed);
    CHECK(all.look(run, 3).why.code == errc::too_large);
    CHECK(all.look(run).run.state == run_state::failed);
  }
}

TEST_CASE("what is full refuses and says which bound it is", "[scheduler]") {
  clocked_scheduler all{
    {.max_runs = 2, .max_live_tasks = 5, .max_workers = 1, .max_bytes = 10'000}};
  auto ann = all.add("ann", 1);
  CHECK_THAT(all.refusal(clocked_scheduler::worker_named("bob", 1)).detail,
             ContainsSubstring("scheduler_options::max_workers"));
  all.ask(diamond());
  auto too_many = all.refusal(diamond());
  CHECK(too_many.code == errc::limit_reached);
  CHECK_THAT(too_many.detail, ContainsSubstring("scheduler_options::max_live_tasks"));
  auto heavy = work("heavy");
  heavy.input = std::string(10'000, 'x');
  CHECK_THAT(all.refusal(flow({heavy})).detail, ContainsSubstring("scheduler_options::max_bytes"));
  all.ask(flow({work("bake")}));
  CHECK_THAT(all.refusal(flow({work("brew")})).detail,
             ContainsSubstring("scheduler_options::max_runs"));
  SECTION("what is over makes room") {
    all.ask(cancel_run{run_id{1}});
    CHECK(all.ask(flow({work("brew")})).run == run_id{3});
  }
  SECTION("a result without room is tried again later") {
    all.ask(cancel_run{run_id{2}});
    all.report(ann, {.what = all.attempt(ann, "a"), .value = std::string(9'000, 'x')});
    CHECK(all.look(run_id{1}, 0).why.code == errc::limit_reached);
    CHECK(all.look(run_id{1}, 0).state == pending);
  }
  SECTION("a result makes what is over go") {
    all.ask(cancel_run{run_id{2}});
    auto before = all.statistics().bytes;
    all.complete(ann, "a", std::string(10'000 - before + 100, 'x'));
    CHECK(all.look(run_id{1}, 0).state == completed);
    CHECK_FALSE(all.machine.answer(find_run{run_id{2}}));
  }
}

TEST_CASE("spans as long as can be said mean for ever", "[scheduler]") {
  constexpr auto ever = duration::max();
  clocked_scheduler all{{.lease = ever,
                         .silence = ever,
                         .unplaceable_patience = ever,
                         .ageing = ever,
                         .retry_head_start = ever,
                         .reserve_after = ever}};
  all.add("ann", 1);
  auto unknown = work("juggle");
  unknown.handler = "juggle";
  unknown.priority = priority::urgent;
  auto run = all.ask(flow({unknown, work("bake"), work("brew")})).run;
  all.pass(24h * 300);
  CHECK(all.states(run) == states{ready, running, ready});
}

TEST_CASE("lowered bounds take nothing back", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 2);
  auto run = all.ask(diamond()).run;
  effects out;
  all.machine.step(
    all.now, 0, configure{{.max_runs = 0, .max_tasks = 1, .max_live_tasks = 1, .ageing = 1s}}, out);
  CHECK(out.empty());
  for (auto* task : {"a", "b", "c", "d"})
    all.complete(ann, task);
  CHECK(all.look(run).run.state == run_state::completed);
  CHECK(all.refusal(flow({work("bake")})).code == errc::limit_reached);
}

TEST_CASE("requests outside the contract are refused by name", "[scheduler]") {
  clocked_scheduler all{{.max_tasks = 4, .max_edges = 3, .max_payload_bytes = 100}};
  auto ann = all.add("ann", 1);
  auto with = [](auto change) {
    auto result = flow({work("a")});
    change(result);
    return result;
  };
  auto schedule = [](auto change) {
    define_schedule result{.name = "daily", .cron = "@daily", .what = flow({work("a")})};
    change(result);
    return result;
  };
  auto words = [](auto change) {
    auto result = clocked_scheduler::worker_named("bob", 1);
    change(result);
    return result;
  };
  const std::vector<std::pair<event, errc>> cases = {
    {flow({}), errc::bad_argument},
    {flow({work("")}), errc::bad_argument},
    {flow({work(std::string(256, 'x'))}), errc::bad_argument},
    {flow({work("\xff")}), errc::bad_argument},
    {flow({work("a"), work("a")}), errc::bad_argument},
    {flow({work("a", {1})}), errc::bad_argument},
    {flow({work("a", {0})}), errc::bad_argument},
    {flow({work("a", {1}), work("b", {0})}), errc::bad_argument},
    {flow({work("a"), work("b", {0, 0})}), errc::bad_argument},
    {flow({work("a"), work("b"), work("c"), work("d"), work("e")}), errc::too_large},
    {flow({work("a"), work("b", {0}), work("c", {0, 1}), work("d", {2})}), errc::too_large},
    {with([](auto& x) { x.tasks[0].handler = ""; }), errc::bad_argument},
    {with([](auto& x) { x.tasks[0].input = std::string(101, 'x'); }), errc::too_large},
    {with([](auto& x) { x.tasks[0].needs.slots = 0; }), errc::bad_argument},
    {with([](auto& x) { x.tasks[0].needs.memory_bytes = max_resource + 1; }), errc::bad_argument},
    {with([](auto& x) { x.tasks[0].timeout = -1s; }), errc::bad_argument},
    {with([](auto& x) { x.tasks[0].timeout = 24h * 400; }), errc::bad_argument},
    {with([](auto& x) { x.tasks[0].retry = retry_policy{.max_attempts = 0}; }), errc::bad_argument},
    {with([](auto& x) { x.tasks[0].priority = static_cast<priority>(9); }), errc::bad_argument},
    {with([](auto& x) {
       x.tasks[0].labels = {{"", "x"}};
     }),
     errc::bad_argument},
    {with([](auto& x) { x.tasks[0].group = std::string(256, 'x'); }), errc::bad_argument},
    {with([](auto& x) { x.tasks[0].compensation = std::string(256, 'x'); }), errc::bad_argument},
    {with([](auto& x) { x.name = std::string(256, 'x'); }), errc::bad_argument},
    {with([](auto& x) { x.key = std::string(256, 'x'); }), errc::bad_argument},
    {with([](auto& x) { x.policy = static_cast<failure_policy>(9); }), errc::bad_argument},
    {with([](auto& x) { x.priority = static_cast<priority>(9); }), errc::bad_argument},
    {with([](auto& x) { x.delay = -1s; }), errc::bad_argument},
    {with([](auto& x) { x.retry.wait.max = -1s; }), errc::bad_argument},
    {with([](auto& x) {
       x.delay = 1s;
       x.start_at = wall_time{};
     }),
     errc::bad_argument},
    {schedule([](auto& x) { x.name = ""; }), errc::bad_argument},
    {schedule([](auto& x) { x.name = std::string(201, 'x'); }), errc::bad_argument},
    {schedule([](auto& x) { x.cron = "each day"; }), errc::bad_argument},
    {schedule([](auto& x) { x.what.tasks.clear(); }), errc::bad_argument},
    {schedule([](auto& x) { x.what.key = "mine"; }), errc::bad_argument},
    {schedule([](auto& x) { x.what.delay = 1s; }), errc::bad_argument},
    {schedule([](auto& x) { x.what.start_at = wall_time{}; }), errc::bad_argument},
    {cancel_run{run_id{99}}, errc::not_found},
    {pause_run{run_id{99}}, errc::not_found},
    {resume_run{run_id{99}}, errc::not_found},
    {words([](auto& x) { x.name = ""; }), errc::bad_argument},
    {words([](auto& x) { x.owner = {}; }), errc::bad_argument},
    {words([](auto& x) { x.handlers.clear(); }), errc::bad_argument},
    {words([](auto& x) { x.handlers = {""}; }), errc::bad_argument},
    {words([](auto& x) { x.handlers.resize(1'001, "x"); }), errc::bad_argument},
    {words([](auto& x) { x.capacity.slots = 0; }), errc::bad_argument},
    {words([](auto& x) { x.capacity.gpus = max_resource + 1; }), errc::bad_argument},
    {words([](auto& x) { x.groups = {std::string(256, 'x')}; }), errc::bad_argument},
    {words([](auto& x) {
       x.labels = {{"x", std::string(256, 'x')}};
     }),
     errc::bad_argument},
    {renew_worker{worker_id{99}, 1}, errc::not_found},
    {renew_worker{ann, 2}, errc::not_found},
    {deregister_worker{ann, 2}, errc::not_found},
    {set_maintenance{worker_id{99}}, errc::not_found},
    {report{ann, 2, {}}, errc::not_found},
    {report{ann, 1, {{.kind = static_cast<outcome_kind>(9)}}}, errc::bad_argument},
  };
  for (std::size_t index = 0; index < cases.size(); ++index) {
    INFO("case " << index);
    auto why = all.refusal(cases[index].first);
    CHECK(why.code == cases[index].second);
    CHECK_FALSE(why.detail.empty());
  }
  CHECK(all.statistics().runs_submitted == 0);
}

TEST_CASE("a refused graph says what is wrong with it", "[scheduler]") {
  clocked_scheduler all;
  CHECK(all.refusal(flow({work("a", {2}), work("b", {0}), work("c", {1}), work("d", {2})})).detail
        == R"(the tasks wait for each other: "a" -> "b" -> "c" -> "a"; take out one of these )"
           "parents");
  CHECK(all.refusal(flow({work("twin"), work("twin")})).detail
        == R"(two tasks have the id "twin"; give each its own)");
  CHECK(all.refusal(flow({work("a", {7})})).detail
        == R"(task "a" has parent number 7; there are 1 tasks, from number 0)");
}

TEST_CASE("outcomes that nobody asked for are stale, whatever they name", "[scheduler]") {
  clocked_scheduler all;
  auto ann = all.add("ann", 2);
  auto bob = all.add("bob", 2);
  auto run = all.ask(flow({work("bake")})).run;
  auto attempt = all.attempt(ann, "bake");
  for (auto& what : {attempt_id{run_id{9}, 0, 1}, attempt_id{run, 9, 1}, attempt_id{run, 0, 0},
                     attempt_id{run, 0, 2}})
    CHECK(all.report(ann, {.what = what}).stale.size() == 1);
  CHECK(all.report(bob, {.what = attempt}).stale.size() == 1); // not its own
  CHECK(all.states(run) == states{running});
}

} // namespace task_scheduler_test
