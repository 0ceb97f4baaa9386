// What is seen of the attempts of a run, and how it is drawn.

#include "../../examples/troupe/timeline.hpp"

#include "scheduler/clocked_scheduler.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <map>
#include <set>

namespace timeline_test {

using namespace troupe;
using namespace troupe::test;
using namespace std::literals;
using Catch::Matchers::ContainsSubstring;
using cli::attempt_end;

namespace {

/// A scheduler with one run, as a client sees it that looks when the test says so.
struct followed_run : clocked_scheduler {
  template <class Question>
  result<typename Question::result> ask(const Question& question, duration) {
    ++questions;
    if constexpr (requires { machine.answer(question, now); })
      return machine.answer(question, now);
    else
      return machine.answer(question);
  }

  using clocked_scheduler::ask;

  /// Tasks that may be tried ten times, and wait a moment in between.
  explicit followed_run(std::vector<scheduler::task_spec> tasks,
                        scheduler::scheduler_options options = {})
    : clocked_scheduler(options) {
    scheduler::submit order;
    order.name = "run";
    for (auto& each : tasks)
      if (!each.retry)
        each.retry = scheduler::retry_policy{.max_attempts = 10};
    order.tasks = std::move(tasks);
    run = ask(order).run;
    seen.emplace(run, true, 1s);
  }

  void look() {
    seen->look(*this);
  }

  std::vector<cli::attempt_seen> finish() {
    seen->finish(*this);
    return seen->all();
  }

  [[nodiscard]] std::string drawn() {
    seen->finish(*this);
    auto details = machine.answer(scheduler::find_run{run}, now);
    REQUIRE(details);
    return cli::timeline{*seen, details->run}.svg();
  }

  /// It is silent from here on, and what it had is lost.
  void silence(scheduler::worker_id worker) {
    while (worker_state_of(worker) == scheduler::worker_state::active) {
      pass(100ms);
      for (auto& [id, boot] : alive)
        if (id != worker)
          ask(scheduler::renew_worker{.worker = id, .boot = boot});
    }
  }

  scheduler::worker_state worker_state_of(scheduler::worker_id worker) {
    for (auto& each : machine.answer(scheduler::list_workers{}, now).workers)
      if (each.worker == worker)
        return each.state;
    return scheduler::worker_state::silent;
  }

  scheduler::worker_id join(const std::string& name, std::uint64_t slots) {
    auto made = add(name, slots);
    alive[made] = 1;
    return made;
  }

  /// Until the task runs on this worker.
  void await(scheduler::worker_id worker, const std::string& task) {
    for (auto each = 0; each < 1'000; ++each) {
      for (auto& running : tasks_of(worker))
        if (running == task)
          return;
      pass(50ms);
      for (auto& [id, boot] : alive)
        if (worker_state_of(id) == scheduler::worker_state::active)
          ask(scheduler::renew_worker{.worker = id, .boot = boot});
    }
    FAIL(task << " does not run there");
  }

  scheduler::run_id run{};
  std::optional<cli::attempts_seen> seen;
  std::map<scheduler::worker_id, std::uint64_t> alive;
  std::size_t questions = 0;
};

std::vector<std::optional<attempt_end>> ends(const std::vector<cli::attempt_seen>& all) {
  std::vector<std::optional<attempt_end>> found;
  for (auto& each : all)
    found.push_back(each.how);
  return found;
}

using ends_of = std::vector<std::optional<attempt_end>>;

/// No more than `most` of these are at the same time on one worker.
void check_at_once(const std::vector<cli::attempt_seen>& all, std::size_t most) {
  for (auto& each : all) {
    std::size_t count = 0;
    for (auto& other : all)
      if (other.worker == each.worker && other.begin <= each.begin && other.end > each.begin)
        ++count;
    INFO("task " << each.task << ", attempt " << each.number);
    CHECK(count <= most);
  }
}

struct drawn_bar {
  std::string kind;
  double begin = 0;
  double end = 0;
  double y = 0;
};

/// The value of an attribute in a tag.
std::string attribute(const std::string& tag, const std::string& name) {
  auto begin = tag.find(' ' + name + "=\"");
  if (begin == std::string::npos)
    return {};
  begin += name.size() + 3;
  return tag.substr(begin, tag.find('"', begin) - begin);
}

std::vector<drawn_bar> bars(const std::string& svg) {
  static const std::set<std::string> kinds{"completed", "failed",  "lost",   "given_back",
                                           "cancelled", "unclear", "running"};
  std::vector<drawn_bar> found;
  for (std::size_t at = 0; (at = svg.find("<rect ", at)) != std::string::npos; ++at) {
    auto tag = svg.substr(at, svg.find('>', at) - at);
    if (tag.ends_with('/') || !kinds.contains(attribute(tag, "class")))
      continue; // of the legend
    auto x = std::stod(attribute(tag, "x"));
    found.push_back({attribute(tag, "class"), x, x + std::stod(attribute(tag, "width")),
                     std::stod(attribute(tag, "y"))});
  }
  return found;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++found;
  return found;
}

} // namespace

TEST_CASE("a loss and a failure between two looks are told apart, in either order",
          "[cluster][cli]") {
  for (auto is_lost_first : {true, false}) {
    INFO(is_lost_first);
    followed_run flow{{work("x")}};
    auto alpha = flow.join("alpha", 1);
    flow.look();
    if (!is_lost_first) {
      flow.fail(alpha, "x", true);
      flow.await(alpha, "x");
    }
    flow.silence(alpha);
    auto beta = flow.join("beta", 1);
    flow.await(beta, "x");
    if (is_lost_first) {
      flow.fail(beta, "x", true);
      flow.await(beta, "x");
    }
    flow.complete(beta, "x");
    flow.pass(1ms);
    auto failed_and_lost = is_lost_first ? ends_of{attempt_end::was_lost, attempt_end::has_failed}
                                         : ends_of{attempt_end::has_failed, attempt_end::was_lost};
    failed_and_lost.emplace_back(attempt_end::has_completed);
    CHECK(ends(flow.finish()) == failed_and_lost);
  }
}

TEST_CASE("of attempts that left their task ready those were lost whose worker is gone",
          "[cluster][cli]") {
  followed_run flow{{work("x")}};
  auto alpha = flow.join("alpha", 1);
  flow.look();
  flow.report(alpha, {.what = flow.attempt(alpha, "x"), .kind = scheduler::outcome_kind::busy});
  auto beta = flow.join("beta", 1);
  flow.await(beta, "x");
  flow.silence(beta);
  flow.await(alpha, "x");
  flow.complete(alpha, "x");
  CHECK(ends(flow.finish())
        == ends_of{attempt_end::was_given_back, attempt_end::was_lost, attempt_end::has_completed});
}

TEST_CASE("where a failure and a loss cannot be told apart, a report says so", "[cluster][cli]") {
  scheduler::scheduler_options few;
  few.max_changes = 1; // so that a look gets none
  followed_run flow{{work("x"), work("y")}, few};
  auto alpha = flow.join("alpha", 2);
  flow.look();
  flow.pass(1s);
  flow.fail(alpha, "x", true);
  flow.await(alpha, "x");
  flow.silence(alpha);
  auto beta = flow.join("beta", 2);
  flow.await(beta, "x");
  flow.complete(beta, "x");
  flow.await(beta, "y");
  flow.complete(beta, "y");
  auto drawn = flow.drawn();
  // Of x the second attempt was not seen; the first failed or was lost.
  CHECK(ends(flow.seen->all())
        == ends_of{attempt_end::is_unclear, attempt_end::has_completed, attempt_end::was_lost,
                   attempt_end::has_completed});
  CHECK_THAT(drawn, ContainsSubstring("4 attempts, 1 lost, 1 failed or lost; 1 more attempt is not "
                                      "shown: the time could not be seen"));
}

TEST_CASE("what a worker could not take is no failure", "[cluster][cli]") {
  followed_run flow{{work("x")}};
  auto alpha = flow.join("alpha", 1);
  flow.look();
  flow.report(alpha, {.what = flow.attempt(alpha, "x"), .kind = scheduler::outcome_kind::busy});
  flow.await(alpha, "x");
  flow.look();
  flow.complete(alpha, "x");
  CHECK(ends(flow.finish()) == ends_of{attempt_end::was_given_back, attempt_end::has_completed});
}

TEST_CASE("the reason of an attempt is its own, and not why its run ended", "[cluster][cli]") {
  auto once = work("bad");
  once.retry = scheduler::retry_policy{.max_attempts = 1};
  followed_run flow{{work("again"), once, work("long")}};
  auto alpha = flow.join("alpha", 3);
  flow.pass(10ms);
  flow.fail(alpha, "again", true);
  flow.pass(1ms);
  flow.fail(alpha, "bad", true); // which ends all
  auto all = flow.finish();
  REQUIRE(all.size() == 3);
  CHECK(all[0].how == attempt_end::has_failed);
  CHECK(all[0].why.find("bad") == std::string::npos);
  CHECK(all[1].why == "out of eggs");
  CHECK(all[2].how == attempt_end::was_cancelled);
  CHECK_THAT(all[2].why, ContainsSubstring("bad"));
}

TEST_CASE("attempts that were seen late do not overlap more than their worker has slots",
          "[cluster][cli]") {
  std::vector<scheduler::task_spec> tasks;
  for (auto each = 0; each < 12; ++each)
    tasks.push_back(work("t" + std::to_string(each)));
  followed_run flow{std::move(tasks)};
  auto alpha = flow.join("alpha", 2);
  for (auto step = 1; !flow.tasks_of(alpha).empty(); ++step) {
    flow.pass(step % 3 == 0 ? 7ms : 31ms);
    auto running = flow.tasks_of(alpha);
    flow.complete(alpha, running[static_cast<std::size_t>(step) % running.size()]);
    if (step % 4 == 0)
      flow.look(); // late: three ended before
  }
  auto all = flow.finish();
  REQUIRE(all.size() == 12);
  check_at_once(all, 2);
}

TEST_CASE("an attempt ends before the next one of its task begins, whatever was seen",
          "[cluster][cli]") {
  followed_run flow{{work("x")}};
  auto alpha = flow.join("alpha", 1);
  flow.look();
  for (auto each = 0; each < 4; ++each) {
    flow.fail(alpha, "x", true);
    flow.await(alpha, "x");
  }
  flow.pass(30ms);
  flow.complete(alpha, "x"); // all of it at the last look
  auto all = flow.finish();
  REQUIRE(all.size() == 5);
  for (std::size_t each = 1; each < all.size(); ++each) {
    CHECK(all[each - 1].begin <= all[each - 1].end);
    CHECK(all[each - 1].end <= all[each].begin);
  }
}

TEST_CASE("attempts beyond the bound of a report are counted with that reason", "[cluster][cli]") {
  std::vector<scheduler::task_spec> tasks;
  for (std::size_t each = 0; each < cli::attempts_seen::max_attempts + 2; ++each)
    tasks.push_back(work("t" + std::to_string(each)));
  followed_run flow{std::move(tasks)};
  flow.join("alpha", cli::attempts_seen::max_attempts + 2);
  flow.pass(10ms);
  auto drawn = flow.drawn();
  CHECK(flow.seen->unseen() == 0);
  CHECK(flow.seen->left_out() == 2);
  CHECK_THAT(drawn, ContainsSubstring("2 more attempts are not shown: a report has at most 20000"));
  CHECK_THAT(drawn, !ContainsSubstring("could not be seen"));
}

TEST_CASE("bars of one worker are in lines, in which none covers another", "[cluster][cli]") {
  std::vector<scheduler::task_spec> tasks;
  for (auto each = 0; each < 9; ++each)
    tasks.push_back(work("t" + std::to_string(each)));
  followed_run flow{std::move(tasks)};
  auto alpha = flow.join("alpha", 3);
  for (auto running = flow.tasks_of(alpha); !running.empty(); running = flow.tasks_of(alpha)) {
    flow.look();
    flow.pass(50ms);
    flow.complete(alpha, running.front());
  }
  auto found = bars(flow.drawn());
  REQUIRE(found.size() == 9);
  std::set<double> lines;
  for (auto& each : found) {
    lines.insert(each.y);
    for (auto& other : found)
      if (&each != &other && each.y == other.y) {
        constexpr auto exactness = 2.01; // pixels
        CHECK((each.end <= other.begin + exactness || other.end <= each.begin + exactness));
      }
  }
  CHECK(lines.size() == 3);
}

TEST_CASE("the heading has the result of a run before a name of any length", "[cluster][cli]") {
  followed_run flow{{work("x")}};
  auto alpha = flow.join("alpha", 1);
  flow.look();
  flow.pass(2s);
  flow.complete(alpha, "x");
  flow.seen->finish(flow);
  auto view = flow.machine.answer(scheduler::find_run{flow.run}, flow.now)->run;
  view.name = std::string(255, 'M');
  auto drawn = cli::timeline{*flow.seen, view}.svg();
  CHECK_THAT(
    drawn, ContainsSubstring(">run 1 completed after 2 s: " + std::string(58, 'M') + "..</text>"));
}

TEST_CASE("labels end with their bars, and what failed is listed by name", "[cluster][cli]") {
  std::vector<scheduler::task_spec> tasks;
  for (auto each = 0; each < 25; ++each) {
    tasks.push_back(work(std::string(28, 'W') + std::to_string(each)));
    tasks.back().retry = scheduler::retry_policy{.max_attempts = 1};
  }
  scheduler::submit order;
  followed_run flow{{work("keeps")}};
  order.tasks = std::move(tasks);
  order.policy = scheduler::failure_policy::continue_what_can;
  flow.run = flow.ask(order).run;
  flow.seen.emplace(flow.run, true, 1s);
  auto alpha = flow.join("alpha", 30);
  flow.look();
  flow.pass(1s);
  for (auto& each : flow.tasks_of(alpha))
    if (each != "keeps")
      flow.fail(alpha, each, false);
  auto drawn = flow.drawn();
  // Each name is within an element as wide as its bar, which clips it.
  auto found = bars(drawn);
  REQUIRE(found.size() == 25);
  std::size_t labels = 0;
  for (std::size_t at = 0; (at = drawn.find("<svg x=", at)) != std::string::npos; ++at) {
    auto tag = drawn.substr(at, drawn.find('>', at) - at);
    auto x = std::stod(attribute(tag, "x"));
    auto end = x + std::stod(attribute(tag, "width"));
    auto y = std::stod(attribute(tag, "y"));
    for (auto& each : found)
      if (each.y == y && each.begin <= x && x < each.end) {
        ++labels;
        CHECK(end <= each.end);
      }
  }
  CHECK(labels == 25);
  CHECK(count(drawn, ", attempt 1: failed on alpha at 1 s: out of eggs</text>") == 20);
  CHECK_THAT(drawn, ContainsSubstring(">and 5 more</text>"));
}

TEST_CASE("a picture has no character that XML does not have, and none that turns the text",
          "[cluster][cli]") {
  followed_run flow{{work("a\xef\xbf\xbe\xef\xbf\xbf"
                          "b"),
                     work("\xe2\x80\xaegnp.exe")}};
  auto alpha = flow.join("alpha", 2);
  flow.look();
  flow.pass(1s);
  for (auto& each : flow.tasks_of(alpha))
    flow.complete(alpha, each);
  auto drawn = flow.drawn();
  CHECK_THAT(drawn, ContainsSubstring("a\xef\xbf\xbd\xef\xbf\xbd"
                                      "b, attempt 1"));
  CHECK_THAT(drawn, ContainsSubstring(R"(\xe2\x80\xaegnp.exe, attempt 1)"));
  for (auto* text : {"\xef\xbf\xbe", "\xef\xbf\xbf", "\xe2\x80\xae"})
    CHECK(drawn.find(text) == std::string::npos);
}

TEST_CASE("text for people has no character that turns what follows", "[cluster][cli]") {
  for (std::string turning : {"\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9"}) {
    auto shown = cli::printable("a" + turning + "b");
    CHECK(shown.find(turning) == std::string::npos);
    CHECK(shown.starts_with(R"(a\xe2\x8)"));
    CHECK(shown.ends_with("b"));
  }
  for (std::string plain :
       {"\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\xa5", "\xe2\x81\xaa", "\xe2\x82\xac", "\xc2\xa0"})
    CHECK(cli::printable(plain) == plain);
  CHECK(cli::printable("\x1b\xc2\x9b\x7f") == R"(\x1b\xc2\x9b\x7f)");
  CHECK(cli::printable("\xff\xe2\x80\xae") == R"(\xff\xe2\x80\xae)");
}

} // namespace timeline_test
