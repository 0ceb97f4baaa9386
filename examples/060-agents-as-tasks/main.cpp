// A workflow whose tasks are done by agents of the application. An agent knows nothing of
// workflows: it gets the input of the task as a message, and its answer is the result.
#include <chrono>
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/workflow/file.hpp"

using namespace std::literals;
using namespace troupe;

constexpr auto newspaper = R"({"schema": "troupe-dag/1", "name": "newspaper", "tasks": [
  {"id": "storm", "run": "agent:reporter", "input": "the storm"},
  {"id": "match", "run": "agent:reporter", "input": "the match"},
  {"id": "print", "run": "agent:press", "input": "page 1", "parents": ["storm", "match"]},
  {"id": "again", "run": "agent:press", "input": "page 1", "parents": ["print"]}]})";

int main() {
  init();
  auto started = node::start({.listen = {"127.0.0.1", 0}});
  if (!started || !(*started)->wait_joined(10s))
    return 1;
  auto& me = **started;
  me.agent("reporter", [](const std::string& subject) { return "a report of " + subject; });
  me.agent("press", [printed = 0](const std::string& page) mutable { // one press, one count
    return page + ", copy " + std::to_string(++printed);
  });
  auto worker = me.work(); // asks the agents, on whatever node of the cluster they live

  auto flow = workflow::parse_workflow(newspaper);
  auto receipt = flow ? me.scheduler().ask(scheduler::to_submit(*flow), 5s) : flow.error();
  if (!receipt) {
    std::cerr << "error: " << receipt.error().detail << '\n';
    return 1;
  }
  scheduler::watch_run question{receipt->run, 0, 10s, 100};
  for (auto is_over = false; !is_over;) {
    auto news = me.scheduler().ask(question, 20s);
    if (!news)
      return 1;
    question.after = news->revision;
    is_over = is_final(news->run.state);
  }
  for (auto each : flow->topological_order()) {
    auto made = me.scheduler().ask(scheduler::find_result{receipt->run, each}, 5s);
    std::cout << (*flow)[each].id << ": " << (made ? made->value : made.error().detail) << '\n';
  }
}
