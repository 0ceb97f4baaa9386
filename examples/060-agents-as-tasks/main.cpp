// A workflow whose tasks are done by agents of the application. An agent knows nothing of
// workflows: it gets the input of the task as a message, and its answer is the result.
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/scheduler/workflow_client.hpp"
#include "troupe/workflow/file.hpp"

using namespace troupe;

constexpr auto newspaper = R"({"schema": "troupe-dag/1", "name": "newspaper", "tasks": [
  {"id": "storm", "run": "agent:reporter", "input": "the storm"},
  {"id": "match", "run": "agent:reporter", "input": "the match"},
  {"id": "print", "run": "agent:press", "input": "page 1", "parents": ["storm", "match"]},
  {"id": "again", "run": "agent:press", "input": "page 1", "parents": ["print"]}]})";

int main() {
  auto me = node::start({.listen = {"127.0.0.1", 0}}).value();
  me.agent("reporter", [](const std::string& subject) { return "a report of " + subject; }).value();
  me.agent("press",
           [printed = 0](const std::string& page) mutable { // one press, one count
             return page + ", copy " + std::to_string(++printed);
           })
    .value();
  auto worker = me.work(); // sends the tasks to the agents, on any node of the cluster

  auto flow = workflow::parse_workflow(newspaper);
  auto run = flow ? me.workflows().submit(*flow) : flow.error();
  auto end = run ? run->wait() : run.error();
  if (!end) {
    std::cerr << "error: " << end.error() << '\n';
    return 1;
  }
  for (auto& each : run->tasks().value())
    std::cout << each.id << ": " << run->result(each.id).value() << '\n';
}
