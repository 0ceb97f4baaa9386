#include "troupe/scheduler/submission.hpp" // the header under test
#include "scheduler/clocked_scheduler.hpp"
#include "troupe/workflow/file.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace submission_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using troupe::test::clocked_scheduler;
using names = std::vector<std::string>;

namespace {

submit from_file(const std::string& tasks, const submission_options& how = {}) {
  auto read = workflow::parse_workflow(R"({"schema": "troupe-dag/1", "name": "f", "tasks": [)"
                                       + tasks + "]}");
  INFO((read ? "" : read.error().detail));
  REQUIRE(read);
  return to_submit(*read, how);
}

/// The order in which a worker with one slot gets all that is ready.
names order_at(clocked_scheduler& all, worker_id worker) {
  names order;
  for (auto given = all.tasks_of(worker); !given.empty(); given = all.tasks_of(worker)) {
    REQUIRE(given.size() == 1);
    order.push_back(given.front());
    all.complete(worker, given.front());
  }
  return order;
}

constexpr auto* mixed = R"({"id": "third", "run": "work", "priority": 1},
                           {"id": "last", "run": "work", "priority": -7},
                           {"id": "first", "run": "work", "priority": 2000000000},
                           {"id": "fourth", "run": "work"},
                           {"id": "second", "run": "work", "priority": 20},
                           {"id": "second, too", "run": "work", "priority": 20})";

} // namespace

TEST_CASE("a file with priorities on one worker slot runs in order of priority", "[scheduler]") {
  clocked_scheduler all;
  all.ask(from_file(mixed));
  auto ann = all.add("ann", 1);
  CHECK(order_at(all, ann) == names{"first", "second", "second, too", "third", "fourth", "last"});
}

TEST_CASE("tasks of a file without priorities run in its order", "[scheduler]") {
  clocked_scheduler all;
  auto what = from_file(R"({"id": "one", "run": "work"}, {"id": "two", "run": "work"})");
  for (auto& each : what.tasks)
    CHECK(each.steps_behind == 0);
  all.ask(what);
  auto ann = all.add("ann", 1);
  CHECK(order_at(all, ann) == names{"one", "two"});
}

TEST_CASE("priorities of a file order its own tasks below the priority of the run", "[scheduler]") {
  clocked_scheduler all;
  all.ask(from_file(mixed, {.priority = priority::medium}));
  all.ask(from_file(R"({"id": "urgent", "run": "work", "priority": -100})",
                    {.priority = priority::urgent}));
  auto ann = all.add("ann", 1);
  CHECK(order_at(all, ann).front() == "urgent");
}

TEST_CASE("a task of low priority that has waited long enough gets past newer ones",
          "[scheduler]") {
  clocked_scheduler all{{.ageing = 10s}};
  all.ask(from_file(R"({"id": "high", "run": "work", "priority": 5},
                       {"id": "low", "run": "work", "priority": 4})"));
  all.pass(11s);
  all.ask(from_file(R"({"id": "new", "run": "work"})"));
  auto ann = all.add("ann", 1);
  CHECK(order_at(all, ann) == names{"high", "low", "new"});
}

TEST_CASE("a task is at most so many steps behind", "[scheduler]") {
  clocked_scheduler all{{.ageing = 24h}};
  auto far = test::work("far");
  far.steps_behind = max_steps_behind + 1;
  CHECK(all.refusal(submit{.name = "f", .tasks = {far}}).code == errc::bad_argument);
  far.steps_behind = max_steps_behind;
  all.ask(submit{.name = "f", .tasks = {far, test::work("near")}});
  auto ann = all.add("ann", 1);
  CHECK(order_at(all, ann) == names{"near", "far"});
}

TEST_CASE("of more priorities than there are steps the lowest are as one", "[scheduler]") {
  std::string tasks;
  for (auto each = 0U; each < max_steps_behind + 3; ++each)
    tasks += (tasks.empty() ? "" : ",") + R"({"id": "t)"s + std::to_string(each)
             + R"(", "run": "work", "priority": )" + std::to_string(-static_cast<int>(each)) + "}";
  auto what = from_file(tasks);
  std::map<std::uint32_t, int> counts;
  for (auto& each : what.tasks)
    ++counts[each.steps_behind];
  CHECK(counts.size() == max_steps_behind + 1);
  CHECK(counts.rbegin()->first == max_steps_behind);
  CHECK(counts.rbegin()->second == 3);
}

} // namespace submission_test
