// A workflow written in C++, run by a worker in this process: each task has the name of a handler
// and an input, and gets the results of the tasks that it waits for.
#include <iostream>
#include <map>
#include <string>

#include "troupe/core/json.hpp"
#include "troupe/node/node.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/scheduler/workflow_client.hpp"
#include "troupe/workflow/dag_builder.hpp"

using namespace troupe;

namespace {

int fail(const problem& why) {
  std::cerr << "error: " << why << '\n';
  return 1;
}

// [handlers]
/// The handlers of the worker. Each runs in a thread of its own and may block.
scheduler::task_handlers handlers() {
  scheduler::task_handlers offered;
  offered.handle("letters", [](const std::string& text) { return text.size(); });
  offered.handle("sum", [](const scheduler::task_call& call) {
    return call.parents<int>().transform([](const std::map<std::string, int>& counted) {
      auto sum = 0;
      for (auto& [task, letters] : counted)
        sum += letters;
      return sum;
    });
  });
  return offered;
}
// [handlers]

} // namespace

int main() {
  auto me = node::start({.listen = {"127.0.0.1", 0}});
  if (!me)
    return fail(me.error());
  // [run]
  auto worker = me->work({.capacity = {.slots = 2}}, handlers());

  auto flow = workflow::dag_builder{"count letters"}
                .task("total")
                .after("left", "right")
                .runs("sum")
                .retries(2)
                .task("left")
                .runs("letters", "distributed")
                .task("right")
                .runs("letters", "agents")
                .build();
  if (!flow)
    return fail(flow.error());

  auto run = me->workflows().submit(*flow, {.key = "tonight"});
  if (!run)
    return fail(run.error());
  auto end = run->wait();
  if (!end)
    return fail(end.error());
  std::cout << name_of(end->state) << '\n';
  auto total = run->result<int>("total");
  if (!total)
    return fail(total.error());
  // [run]
  std::cout << "total: " << *total << '\n';
}
