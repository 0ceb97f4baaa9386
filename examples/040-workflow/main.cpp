// A workflow written in C++, run by a worker in this process: each task is the name of a
// handler and an input, results go to the tasks that wait for them.
#include <chrono>
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/workflow/dag_builder.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

int fail(const problem& why) {
  std::cerr << "error: " << why.detail << '\n';
  return 1;
}

/// The handlers of the worker. Each runs in a thread of its own and may block.
scheduler::task_handlers handlers() {
  scheduler::task_handlers offered;
  offered.handle("letters", [](const scheduler::task_call& call) -> result<std::string> {
    return std::to_string(call.input().size());
  });
  offered.handle("sum", [](const scheduler::task_call& call) -> result<std::string> {
    auto sum = 0;
    for (auto& parent : call.order().parents)
      sum += std::stoi(parent.value);
    return std::to_string(sum);
  });
  return offered;
}

} // namespace

int main() {
  troupe::init();
  auto me = node::start({.listen = {"127.0.0.1", 0}});
  if (!me || !(*me)->wait_joined(10s))
    return 1;
  auto worker = (*me)->work({.capacity = {.slots = 2}}, handlers());

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

  auto& service = (*me)->scheduler();
  auto receipt = service.ask(scheduler::to_submit(*flow, {.key = "tonight"}), 5s);
  if (!receipt)
    return fail(receipt.error());
  scheduler::watch_run question{receipt->run, 0, 10s, 100};
  for (;;) {
    auto news = service.ask(question, 20s);
    if (!news)
      return fail(news.error());
    question.after = news->revision;
    if (is_final(news->run.state)) {
      std::cout << name_of(news->run.state) << '\n';
      break;
    }
  }
  auto total = service.ask(scheduler::find_result{receipt->run, *flow->find("total")}, 5s);
  if (!total)
    return fail(total.error());
  std::cout << "total: " << total->value << '\n';
}
