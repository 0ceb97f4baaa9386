// What programs do with the workflows of a cluster that no command does.
//
// Usage: workflows_program ADDRESS,... delayed SECONDS FILE
//            submits a workflow that starts so much later; says "run NUMBER"
//        workflows_program ADDRESS,... at SECONDS FILE
//            submits one that starts at this moment, in seconds since 1970; says "run NUMBER"
//        workflows_program ADDRESS,... every NAME CRON FILE
//            defines a schedule; says "defined", or "replaced"
//        workflows_program ADDRESS,... remove NAME
//            ends a schedule; says "removed"
//        workflows_program ADDRESS,... schedules
//            says in JSON how each schedule stands, one a line
//        workflows_program ADDRESS,... journey KEY STEP,...
//            submits steps that follow one another, each of them undone if a later one fails; says
//            "run NUMBER"
//        workflows_program ADDRESS,... agency NAME FOLDER
//            a member with a worker for such steps: writes "book STEP" or "cancel STEP" into the
//            file "log" of that folder, once there is a file of that name in it; says before, in
//            "asked", its name and what. There is no booking of what begins with "no-". Says
//            "ready".
// A refusal is a line "error: CODE: …", and status 1.

#include "support/test_ca.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/node.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/workflow/file.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

using namespace std::literals;
using namespace troupe;
using words = std::vector<std::string>;

namespace {

[[noreturn]] void fail(const problem& why) {
  std::cout << "error: " << name_of(why.code) << ": " << why.detail << std::endl;
  std::_Exit(1);
}

template <class T>
T value_of(result<T> what) {
  if (!what)
    fail(what.error());
  return std::move(*what);
}

words parts_of(const std::string& text) {
  words result;
  std::istringstream rest{text};
  for (std::string each; std::getline(rest, each, ',');)
    result.push_back(each);
  return result;
}

scheduler::submit read(const std::string& file) {
  return scheduler::to_submit(value_of(workflow::read_workflow(file)));
}

scheduler::submit journey(const std::string& key, const words& steps) {
  scheduler::submit result{.name = "journey", .key = key};
  result.policy = scheduler::failure_policy::compensate;
  result.retry.max_attempts = 1;
  for (auto& each : steps) {
    scheduler::task_spec task{.id = each, .handler = "book", .input = each};
    if (!result.tasks.empty())
      task.parents = {static_cast<std::uint32_t>(result.tasks.size() - 1)};
    task.compensation = "cancel";
    result.tasks.push_back(std::move(task));
  }
  return result;
}

void add_line(const std::filesystem::path& file, const std::string& line) {
  std::ofstream{file, std::ios::app} << line + '\n';
}

/// Does what a task of a journey says, once the file for that is there.
result<std::string> take_step(const scheduler::task_call& call, const std::string& name,
                              const std::filesystem::path& folder) {
  auto what = call.order().handler + ' ' + call.input();
  add_line(folder / "asked", name + ' ' + what);
  while (!std::filesystem::exists(folder / what)) {
    if (call.is_cancelled())
      return problem{errc::cancelled, "cancelled"};
    ::poll(nullptr, 0, 10); // for another process, which cannot wake us
  }
  if (call.input().starts_with("no-"))
    return problem{errc::failed, "there is no " + call.input().substr(3)};
  // What is undone says which booking it was.
  auto* booking = call.parent(call.input());
  add_line(folder / "log", booking != nullptr && call.order().handler == "cancel"
                             ? what + " of " + *booking
                             : what);
  return "booking " + call.input();
}

[[noreturn]] void be_agency(const std::vector<net::address>& join, const std::string& name,
                            const std::filesystem::path& folder) {
  node_options how{.name = name, .listen = {"127.0.0.1", 0}, .join = join};
  how.log = [](const log_line& line) { std::cerr << to_string(line) << std::endl; };
  how.wait_joined = 20s;
  test::certify(how);
  auto me = value_of(node::start(std::move(how)));
  scheduler::task_handlers offered;
  for (auto* each : {"book", "cancel"})
    offered.handle(each,
                   [=](const scheduler::task_call& call) { return take_step(call, name, folder); });
  auto worker = me.work({.capacity = {.slots = 1}}, std::move(offered));
  std::cout << "ready" << std::endl;
  for (;;)
    ::pause(); // until it is killed
}

/// Whether the words were understood.
bool carry_out(cluster::scheduler_client& service, const words& what) {
  constexpr auto wait = 20s;
  auto& verb = what[0];
  auto run = [&](const scheduler::submit& given) {
    auto receipt = value_of(service.ask(given, wait));
    std::cout << "run " << receipt.run.value << std::endl;
  };
  if (verb == "delayed" && what.size() == 3) {
    auto given = read(what[2]);
    given.delay = std::chrono::seconds{std::stoi(what[1])};
    run(given);
  } else if (verb == "at" && what.size() == 3) {
    auto given = read(what[2]);
    given.start_at = wall_time{std::chrono::seconds{std::stoll(what[1])}};
    run(given);
  } else if (verb == "every" && what.size() == 4) {
    auto receipt
      = value_of(service.ask(scheduler::define_schedule{what[1], what[2], read(what[3])}, wait));
    std::cout << (receipt.replaced ? "replaced" : "defined") << std::endl;
  } else if (verb == "remove" && what.size() == 2) {
    value_of(service.ask(scheduler::remove_schedule{what[1]}, wait));
    std::cout << "removed" << std::endl;
  } else if (verb == "schedules" && what.size() == 1) {
    for (auto& each : value_of(service.ask(scheduler::list_schedules{}, wait)).schedules) {
      nlohmann::json next;
      if (each.next)
        next = std::chrono::floor<std::chrono::seconds>(each.next->time_since_epoch()).count();
      std::cout << nlohmann::json{{"name", each.name},       {"next", next},
                                  {"started", each.started}, {"skipped", each.skipped},
                                  {"refused", each.refused}, {"last_run", each.last_run.value}}
                << std::endl;
    }
  } else if (verb == "journey" && what.size() == 3) {
    run(journey(what[1], parts_of(what[2])));
  } else {
    return false;
  }
  return true;
}

} // namespace

int main(int argc, char** argv) {
  init();
  const words given(argv + 1, argv + argc);
  if (given.size() < 2)
    fail({errc::bad_argument, "give ADDRESS,... and what to do"});
  std::vector<net::address> nodes;
  for (auto& each : parts_of(given[0]))
    nodes.push_back(value_of(net::address::from_string(each)));
  const words what(given.begin() + 1, given.end());
  if (what[0] == "agency" && what.size() == 3)
    be_agency(nodes, what[1], what[2]);
  auto cluster
    = value_of(cluster_client::connect(nodes, 20s, test::client_links(), test::client_identity()));
  if (!carry_out(cluster->services().scheduler, what))
    fail({errc::bad_argument, "'" + what[0] + "' is nothing that it does"});
}
