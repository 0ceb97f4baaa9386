// What a workflow file and `troupe submit` promise of tasks that wait, fail or take too long, on
// three voters that lose their leader and workers in processes of their own.

#include "runs_of_three.hpp"

#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace troupe::test;

TEST_CASE("of runs that wait for one slot those of higher priority go first, also under the next "
          "leader",
          "[cluster][cli]") {
  runs_of_three all;
  auto worker = all.worker("worker", 1);
  auto log = all.path("log");
  auto says
    = [&](const std::string& what) { return script_task(what, "echo " + what + " >> " + log); };
  auto first = all.submit({script_task("first", until_there(all.path("gate")))});
  all.await(first, "first", "running");
  words runs;
  for (auto* each : {"low", "medium", "high", "urgent"})
    runs.push_back(all.submit({says(each + "-1"s), says(each + "-2"s)}, {"--priority", each}));
  all.lose_leader();
  CHECK(content_of(log).empty());
  all.open("gate");
  for (auto& each : runs) {
    auto end = all.end_of(each);
    INFO(end);
    CHECK(end.status == 0);
  }
  CHECK(content_of(log)
        == "urgent-1\nurgent-2\nhigh-1\nhigh-2\nmedium-1\nmedium-2\nlow-1\nlow-2\n");
  auto wrong = run(
    {"submit", all.path("flow0.json"), "--priority", "highest", "--at", all.voters.addresses()});
  INFO(wrong);
  CHECK(wrong.status != 0);
  CHECK(wrong.says("highest"));
}

TEST_CASE("a task that fails is tried as often as its file says, also under the next leader",
          "[cluster][cli]") {
  runs_of_three all;
  auto worker = all.worker("worker", 2);
  auto log = all.path("log");
  // Says which try of its task it is, waits for its gate, and fails but for the third.
  auto tries = [&](const std::string& id) {
    return script_task(id, "echo " + id + " >> " + log + "; n=$(grep -c " + id + " " + log + "); "
                             + until_there(all.path(id) + ".$n") + "echo try $n; [ $n = 3 ]");
  };
  auto run_number
    = all.submit({tries("flaky"), script_task("after", "echo after >> " + log, {"flaky"})});
  all.await(run_number, "flaky", "running");
  all.open("flaky.1");
  REQUIRE(comes_true([&] { return content_of(log) == "flaky\nflaky\n"; }));
  auto leads = all.voters.leader();
  all.voters[leads].kill();
  all.open("flaky.2"); // fails where nobody leads
  all.open("flaky.3");
  auto end = all.end_of(run_number);
  INFO(end);
  CHECK(end.status == 0);
  CHECK(content_of(log) == "flaky\nflaky\nflaky\nafter\n");
  auto flaky = all.tasks(run_number)["flaky"];
  INFO(flaky.dump());
  CHECK(flaky["state"] == "completed");
  CHECK(flaky["attempts"] == 3);
  CHECK(flaky["failures"] == 2);
  CHECK(flaky["losses"] == 0);
  CHECK(flaky["result"].get<std::string>().find("try 3") != std::string::npos);
  all.voters.start_node(leads);

  struct bad_end {
    json task;
    int tries;
    std::string why;
  };
  const std::vector<bad_end> bad_ends{
    {script_task("thrice", "exit 7"), 3, "ended with status 7"}, // by default
    {with_more(script_task("twice", "exit 8"), {{"retries", 1}}), 2, "ended with status 8"},
    {with_more(script_task("once", "exit 9"), {{"retries", 0}}), 1, "ended with status 9"},
    // Another try would do no better, however many there may be.
    {with_more(script_task("hopeless", ""),
               {{"input", {{"argv", {"/no/such/program"}}}}, {"retries", 9}}),
     1, "/no/such/program"},
    {with_more(script_task("senseless", ""), {{"input", {{"arguments", 3}}}, {"retries", 9}}), 1,
     "argv"}};
  words numbers;
  for (auto& each : bad_ends)
    numbers.push_back(all.submit({each.task}));
  for (std::size_t each = 0; each < bad_ends.size(); ++each) {
    auto failed = all.end_of(numbers[each]);
    INFO(failed);
    CHECK(failed.status == 1);
    CHECK(failed.says(bad_ends[each].why));
    auto shown = all.tasks(numbers[each])[bad_ends[each].task["id"]];
    INFO(shown.dump());
    CHECK(shown["state"] == "failed");
    CHECK(shown["attempts"] == bad_ends[each].tries);
  }
}

TEST_CASE("a task that takes longer than its file says is killed and tried again, also under the "
          "next leader",
          "[cluster][cli]") {
  runs_of_three all;
  auto worker = all.worker("worker", 1);
  auto pids = all.path("pids");
  // The first try hangs, with a program that it has started in a session of its own.
  auto hangs = "setsid sleep 600 & echo $$ $! >> " + pids + "; [ $(wc -l < " + pids
               + ") = 1 ] && wait; kill $!; echo in time";
  auto number
    = all.submit({with_more(script_task("slow", hangs), {{"timeout_s", 10}, {"retries", 1}})});
  REQUIRE(comes_true([&] { return !content_of(pids).empty(); }));
  std::istringstream text{content_of(pids)};
  words first_try;
  for (std::string each; text >> each;)
    first_try.push_back(each);
  REQUIRE(first_try.size() == 2);
  for (auto& each : first_try)
    CHECK_FALSE(has_ended(each));
  all.lose_leader();
  auto end = all.end_of(number);
  INFO(end);
  CHECK(end.status == 0);
  for (auto& each : first_try)
    CHECK(comes_true([&] { return has_ended(each); }));
  auto slow = all.tasks(number)["slow"];
  INFO(slow.dump());
  CHECK(slow["state"] == "completed");
  CHECK(slow["attempts"] == 2);
  CHECK(slow["failures"] == 1);

  auto for_ever
    = with_more(script_task("for ever", "sleep 600"), {{"timeout_s", 0.5}, {"retries", 1}});
  auto failed = all.end_of(all.submit({for_ever, script_task("after", "true", {"for ever"})}));
  INFO(failed);
  CHECK(failed.status == 1);
  auto why = failed.lines().back().value("why", "");
  CHECK(why.find("task \"for ever\"") != std::string::npos);
  CHECK((failed.says("took longer than 500 ms") || failed.says("the time of its task was over")));
  auto next = all.end_of(all.submit({with_more(script_task("next", "true"), {{"timeout_s", 20}})}));
  INFO(next);
  CHECK(next.status == 0); // the one slot is free
}

TEST_CASE("what becomes of the rest of a run when a task fails is as its policy says, also under "
          "the next leader",
          "[cluster][cli]") {
  runs_of_three all;
  auto left = all.worker("left", 1);
  auto right = all.worker("right", 1);
  for (auto* policy : {"fail_fast", "continue_what_can"}) {
    CAPTURE(policy);
    auto named = [&](const std::string& name) { return all.path(policy + "-"s + name); };
    auto log = named("log");
    auto done = [&](const std::string& id) { return "echo " + id + " >> " + log; };
    auto number = all.submit(
      {with_more(script_task("bad", until_there(named("gate")) + "exit 4"), {{"retries", 0}}),
       script_task("good", "echo $$ > " + named("pid") + ".new; mv " + named("pid") + ".new "
                             + named("pid") + "; " + until_there(named("open")) + done("good")),
       script_task("after bad", done("after bad"), {"bad"}),
       script_task("after good", done("after good"), {"good"}),
       script_task("after both", done("after both"), {"bad", "good"})},
      {"--policy", policy});
    all.await(number, "bad", "running");
    REQUIRE(comes_true([&] { return !content_of(named("pid")).empty(); }));
    all.lose_leader();
    write_file(named("gate"), "");
    all.await(number, "bad", "failed");
    auto shown = all.tasks(number);
    std::istringstream text{content_of(named("pid"))};
    std::string pid;
    text >> pid;
    if (policy == "fail_fast"s) {
      CHECK(shown["good"]["state"] == "cancelled");
      CHECK(shown["after good"]["state"] == "skipped");
      CHECK(comes_true([&] { return has_ended(pid); }));
    } else {
      CHECK(shown["good"]["state"] == "running");
      CHECK(shown["after good"]["state"] == "pending");
      CHECK_FALSE(has_ended(pid));
    }
    write_file(named("open"), "");
    auto end = all.end_of(number);
    INFO(end);
    CHECK(end.status == 1);
    CHECK(end.says("ended with status 4"));
    shown = all.tasks(number);
    CHECK(shown["bad"]["attempts"] == 1);
    for (auto* each : {"after bad", "after both"})
      CHECK(shown[each]["state"] == "skipped");
    CHECK(content_of(log) == (policy == "fail_fast"s ? "" : "good\nafter good\n"));
  }
  auto wrong
    = run({"submit", all.path("flow0.json"), "--policy", "hope", "--at", all.voters.addresses()});
  INFO(wrong);
  CHECK(wrong.status != 0);
  CHECK(wrong.says("hope"));
}

namespace {

/// A process that takes the steps of journeys.
troupe::testing::child_process agency(runs_of_three& all, const std::string& name) {
  troupe::testing::child_process made{
    {workflows_program, all.voters.addresses(), "agency", name, all.path("")}};
  REQUIRE(made.read_line() == "ready");
  return made;
}

} // namespace

TEST_CASE("what was completed of a run that fails is undone in the opposite order, though the "
          "leader and the worker that undoes it are killed",
          "[cluster][node]") {
  runs_of_three all;
  std::map<std::string, troupe::testing::child_process> agencies;
  for (auto* name : {"one", "other"})
    agencies.emplace(name, agency(all, name));
  auto log = all.path("log");
  auto number = all.run_of({"journey", "tuesday", "flight,hotel,no-car,tour"});
  for (auto* each : {"book flight", "book hotel", "book no-car"})
    all.open(each);
  // Who is asked to do this, each time that it is tried.
  auto asked = [&](const std::string& what) {
    std::istringstream lines{content_of(all.path("asked"))};
    words names;
    for (std::string each; std::getline(lines, each);)
      if (each.ends_with(" " + what))
        names.push_back(each.substr(0, each.find(' ')));
    return names;
  };
  REQUIRE(comes_true([&] { return asked("cancel hotel").size() == 1; }));
  CHECK(all.shown(number)["state"] == "compensating");
  CHECK(content_of(log) == "book flight\nbook hotel\n");

  auto leads = all.voters.leader();
  all.voters[leads].kill();
  agencies.at(asked("cancel hotel")[0]).send_signal(SIGKILL);
  REQUIRE(comes_true([&] { return asked("cancel hotel").size() == 2; }, 60s));
  CHECK(asked("cancel hotel")[0] != asked("cancel hotel")[1]);
  CHECK(asked("cancel flight").empty()); // not before the hotel
  for (auto* each : {"cancel flight", "cancel hotel"})
    all.open(each);
  REQUIRE(comes_true([&] { return all.shown(number)["state"] == "failed"; }));
  CHECK(content_of(log)
        == "book flight\nbook hotel\ncancel hotel of booking hotel\n"
           "cancel flight of booking flight\n");
  CHECK(asked("book no-car").size() == 1);
  CHECK(asked("book tour").empty());
  CHECK(asked("cancel no-car").empty()); // there was nothing to undo
  auto why = all.shown(number)["why"].get<std::string>();
  INFO(why);
  CHECK(why.find("there is no car") != std::string::npos);
  auto tasks = all.tasks(number);
  CHECK(tasks["tour"]["state"] == "skipped");
  CHECK(tasks["undo:hotel"]["state"] == "completed");
  CHECK(tasks["undo:hotel"]["losses"] == 1);
  CHECK(all.run_of({"journey", "tuesday", "flight"}) == number); // of that key, undone as it is
}
