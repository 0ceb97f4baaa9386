#include "troupe/scheduler/worker_core.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace worker_core_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;

namespace {

constexpr duration lease = 9s;

/// A worker core, what it asks for, and a scheduler that says what the test wants.
class hands {
public:
  explicit hands(std::uint64_t slots = 4, worker_core_options how = {})
    : core_(
      {.name = "w", .owner = owner_id{"node"}, .capacity = {0, 0, 0, slots}, .handlers = {"work"}},
      how, 1) {
    tick();
  }

  // -- what it does ------------------------------------------------------------------

  /// The first effect of that kind that was not taken yet, if there is one.
  template <class Effect>
  std::optional<Effect> next() {
    for (auto& each : out_)
      if (auto* found = std::get_if<Effect>(&each)) {
        auto taken = std::move(*found);
        std::erase_if(out_, [&](auto& other) { return &other == &each; });
        return taken;
      }
    return std::nullopt;
  }

  template <class Effect>
  std::size_t count() {
    std::size_t all = 0;
    while (next<Effect>())
      ++all;
    return all;
  }

  /// The first request of that kind that was not taken yet; its id is `asked`.
  template <class Request>
  std::optional<Request> request() {
    for (auto& each : out_)
      if (auto* found = std::get_if<worker_core::send>(&each))
        if (auto* words = std::get_if<Request>(&found->what)) {
          asked = found->id;
          wait = found->wait;
          auto taken = *words;
          std::erase_if(out_, [&](auto& other) { return &other == &each; });
          return taken;
        }
    return std::nullopt;
  }

  request_id asked = 0;
  duration wait{};

  // -- what happens to it --------------------------------------------------------------

  void pass(duration span) {
    now_ += span;
    tick();
  }

  /// Lets it wake when it wants to, until `span` has passed.
  void live(duration span) {
    auto end = now_ + span;
    while (core_.next_deadline() && *core_.next_deadline() <= end) {
      now_ = std::max(now_, *core_.next_deadline());
      tick();
    }
    now_ = end; // it wakes itself
  }

  void tick() {
    core_.tick(now_, out_);
    must_not_spin();
  }

  void step(request_id id, worker_core::event what) {
    core_.step(now_, id, std::move(what), out_);
    must_not_spin();
  }

  template <class Result>
  void answer(request_id id, result<Result> what) {
    step(id, worker_core::heard<Result>{std::move(what)});
  }

  void identify(std::uint64_t boot = 1, bool maintenance = false) {
    REQUIRE(next<worker_core::identify>());
    step(0, worker_core::identified{boot, maintenance});
  }

  register_worker enroll(std::uint64_t id = 7, std::uint64_t boot = 1) {
    identify(boot);
    auto words = request<register_worker>();
    REQUIRE(words);
    answer<worker_receipt>(asked, worker_receipt{worker_id{id}, {}, lease});
    return *words;
  }

  void give_orders(worker_orders what) {
    REQUIRE(request<watch_assignments>());
    what.sequence = ++sequence_;
    answer<worker_orders>(asked, std::move(what));
  }

  void fail_orders(errc code = errc::unreachable) {
    REQUIRE(request<watch_assignments>());
    answer<worker_orders>(asked, problem{code, "no"});
  }

  /// Gives it task `number`; returns its job if it begins it.
  std::optional<request_id> give(std::uint32_t number, std::uint64_t slots = 1) {
    give_orders({.assignments = {order(number, slots)}});
    auto begun = next<worker_core::begin>();
    return begun ? std::optional{begun->id} : std::nullopt;
  }

  void end(request_id job, result<std::string> value) {
    step(job, worker_core::ended{std::move(value)});
  }

  /// Answers the report that is under way.
  std::vector<outcome> take_report() {
    auto words = request<report>();
    REQUIRE(words);
    answer<report_receipt>(asked, report_receipt{});
    return words->outcomes;
  }

  static attempt_id attempt(std::uint32_t number) {
    return {run_id{1}, number, 1};
  }

  static assignment order(std::uint32_t number, std::uint64_t slots = 1) {
    return {.what = attempt(number), .handler = "work", .needs = {0, 0, 0, slots}};
  }

  const worker_core& core() const {
    return core_;
  }

private:
  /// What it wants to be woken for it has done when it was.
  void must_not_spin() {
    auto next = core_.next_deadline();
    REQUIRE((!next || *next > now_));
  }

  worker_core core_;
  worker_core::effects out_;
  time_point now_{};
  std::uint64_t sequence_ = 0;
};

} // namespace

TEST_CASE("a worker registers, asks for orders and is heard each third of its lease",
          "[scheduler][worker]") {
  hands who;
  auto words = who.enroll(7, 3);
  CHECK(words.boot == 3);
  CHECK(who.core().id() == worker_id{7});
  auto told = who.next<worker_core::registered>();
  REQUIRE(told);
  CHECK(told->why.code == errc::none);
  auto question = who.request<watch_assignments>();
  REQUIRE(question);
  CHECK(question->worker == worker_id{7});
  CHECK(question->boot == 3);
  CHECK(question->wait < who.wait); // the scheduler answers in time that it has none
  CHECK_FALSE(who.request<check_in>());
  who.live(lease / 3);
  CHECK(who.request<check_in>());
  CHECK(who.wait == lease - lease / 3); // by the end of the lease it wants to know
}

TEST_CASE("a worker whose books the scheduler does not share is heard by a record",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  REQUIRE(who.give(1));
  auto second = who.give(2);
  who.end(*second, std::string{"done"}); // and the scheduler has not heard of it yet
  who.live(lease / 3);
  auto sign = who.request<check_in>();
  REQUIRE(sign);
  CHECK(sign->seen == 2);
  CHECK(sign->open == std::vector{hands::attempt(1), hands::attempt(2)});
  who.answer<worker_receipt>(who.asked, problem{errc::conflict, "send renew_worker"});
  auto record = who.request<renew_worker>();
  REQUIRE(record);
  CHECK(record->open == sign->open);
  who.answer<worker_receipt>(who.asked, worker_receipt{worker_id{7}, {}, lease});
  who.live(lease / 3);
  CHECK(who.request<check_in>());
}

TEST_CASE("a lease counts from when the sign of life was sent that was answered",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  REQUIRE(job);
  who.live(lease / 3);
  REQUIRE(who.request<check_in>());
  who.pass(lease / 3); // the answer takes its time
  who.answer<worker_receipt>(who.asked, worker_receipt{worker_id{7}, {}, lease});
  who.live(2 * lease / 3 - 1ns);
  CHECK_FALSE(who.next<worker_core::stop>());
  who.live(1ns);
  auto stopped = who.next<worker_core::stop>();
  REQUIRE(stopped);
  CHECK(stopped->id == *job);
}

TEST_CASE("an answer that was overtaken takes nothing from a lease", "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto first = who.give(1);
  REQUIRE(who.give(2));
  who.live(lease / 3);
  REQUIRE(who.request<check_in>());
  auto sign = who.asked;
  who.pass(lease / 3);
  who.end(*first, std::string{"done"});
  CHECK(who.take_report().size() == 1); // a sign of life, too
  who.answer<worker_receipt>(sign, worker_receipt{worker_id{7}, {}, lease});
  who.live(lease - 1ns);
  CHECK_FALSE(who.next<worker_core::stop>());
  who.live(1ns);
  CHECK(who.next<worker_core::stop>());
}

TEST_CASE("a lease is as long as the scheduler said last", "[scheduler][worker]") {
  hands who;
  who.enroll();
  REQUIRE(who.give(1));
  who.live(lease / 3);
  REQUIRE(who.request<check_in>());
  who.answer<worker_receipt>(who.asked, worker_receipt{worker_id{7}, {}, 1s});
  who.live(1s);
  CHECK(who.count<worker_core::stop>() == 1);
}

TEST_CASE("when its lease is over a worker stops what it runs, once, and begins nothing",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  REQUIRE(who.request<watch_assignments>()); // on its way when the lease ends
  auto question = who.asked;
  who.live(lease);
  CHECK(who.count<worker_core::stop>() == 1);
  who.answer<worker_orders>(question,
                            worker_orders{.sequence = 9, .assignments = {hands::order(2)}});
  CHECK_FALSE(who.next<worker_core::begin>());
  CHECK_FALSE(who.request<watch_assignments>());
  REQUIRE(who.request<check_in>()); // the one before was not answered
  auto first = who.asked;
  who.answer<worker_receipt>(first, problem{errc::unreachable, "no"});
  who.live(3s);
  REQUIRE(who.request<check_in>());
  CHECK(who.asked > first);
  who.answer<worker_receipt>(who.asked, worker_receipt{worker_id{7}, {}, lease});
  CHECK(who.count<worker_core::stop>() == 0);
  auto again = who.request<watch_assignments>();
  REQUIRE(again);
  CHECK(again->after == 1); // it asks again for what it has not begun
  who.end(*job, problem{errc::cancelled, "as I was told"});
  auto told = who.take_report();
  REQUIRE(told.size() == 1);
  CHECK(told[0].kind == outcome_kind::stopped);
}

TEST_CASE("a worker takes no more than it has room for", "[scheduler][worker]") {
  hands who{2};
  who.enroll();
  auto first = who.give(1);
  auto second = who.give(2);
  REQUIRE((first && second));
  CHECK_FALSE(who.give(3));
  auto told = who.take_report();
  REQUIRE(told.size() == 1);
  CHECK(told[0].what == hands::attempt(3));
  CHECK(told[0].kind == outcome_kind::busy);
  who.give_orders({.cancellations = {hands::attempt(1)}});
  CHECK(who.count<worker_core::stop>() == 1);
  CHECK_FALSE(who.give(4)); // its handler has not ended
  who.take_report();
  who.end(*first, std::string{"all the same"});
  CHECK(who.give(5));
  CHECK(who.take_report().at(0).kind == outcome_kind::completed);
}

TEST_CASE("an amount of which a sum would overflow has no room", "[scheduler][worker]") {
  hands who;
  who.enroll();
  REQUIRE(who.give(1));
  CHECK_FALSE(who.give(2, ~std::uint64_t{0}));
}

TEST_CASE("an order that is known is not begun again", "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  CHECK_FALSE(who.give(1));
  who.end(*job, std::string{"once"});
  CHECK_FALSE(who.give(1)); // the scheduler has not heard of it
  CHECK(who.take_report().size() == 1);
  CHECK_FALSE(who.request<report>());
}

TEST_CASE("an outcome is told in the same words until it is heard, and never again",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto first = who.give(1);
  auto second = who.give(2);
  who.end(*first, std::string{"one"});
  auto told = who.request<report>();
  REQUIRE(told);
  auto lost = who.asked;
  who.end(*second, std::string{"two"});
  CHECK_FALSE(who.request<report>()); // one at a time
  who.answer<report_receipt>(lost, problem{errc::timed_out, "no answer"});
  who.live(1s);
  auto repeated = who.request<report>();
  REQUIRE(repeated);
  CHECK(repeated->outcomes == told->outcomes);
  auto asked = who.asked;
  who.answer<report_receipt>(lost, report_receipt{}); // too late: nobody waits for this one
  CHECK_FALSE(who.request<report>());
  who.answer<report_receipt>(asked, report_receipt{});
  auto next = who.take_report();
  REQUIRE(next.size() == 1);
  CHECK(next[0].value == "two");
  who.live(lease);
  CHECK_FALSE(who.request<report>());
}

TEST_CASE("orders that cross the answer to a report do not bring an outcome back",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  REQUIRE(who.request<watch_assignments>()); // the scheduler cancels now, the answer is slow
  auto question = who.asked;
  who.end(*job, std::string{"done"});
  CHECK(who.take_report().size() == 1);
  who.answer<worker_orders>(question, worker_orders{.sequence = 9,
                                                    .assignments = {hands::order(1)},
                                                    .cancellations = {hands::attempt(1)}});
  CHECK_FALSE(who.request<report>());
  CHECK_FALSE(who.next<worker_core::begin>());
}

TEST_CASE("an attempt that is cancelled before it began is told to have stopped",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  who.give_orders({.cancellations = {hands::attempt(1)}});
  auto told = who.take_report();
  REQUIRE(told.size() == 1);
  CHECK(told[0].kind == outcome_kind::stopped);
}

TEST_CASE("what an end says decides its outcome", "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  SECTION("a problem that may pass is tried again") {
    who.end(*job, problem{errc::failed, "shaken"});
    auto told = who.take_report().at(0);
    CHECK(told.kind == outcome_kind::failed);
    CHECK(told.retryable);
    CHECK(told.why.detail == "shaken");
  }
  SECTION("one that does not is not") {
    who.end(*job, problem{errc::bad_argument, "wrong"});
    CHECK_FALSE(who.take_report().at(0).retryable);
  }
  SECTION("a job ends once") {
    who.end(*job, std::string{"done"});
    who.end(*job, std::string{"twice"});
    CHECK(who.take_report().size() == 1);
    CHECK_FALSE(who.request<report>());
  }
}

TEST_CASE("of how far an attempt is only the latest is told, and nothing after its end",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  who.step(*job, worker_core::progressed{1});
  auto first = who.request<report>();
  REQUIRE(first);
  auto asked = who.asked;
  CHECK(first->outcomes.at(0).permille == 1);
  who.step(*job, worker_core::progressed{2});
  who.step(*job, worker_core::progressed{3});
  who.answer<report_receipt>(asked, report_receipt{});
  auto second = who.request<report>();
  REQUIRE(second);
  asked = who.asked;
  CHECK(second->outcomes.size() == 1);
  CHECK(second->outcomes.at(0).permille == 3);
  who.step(*job, worker_core::progressed{4});
  who.end(*job, std::string{"done"});
  who.step(*job, worker_core::progressed{5});
  who.answer<report_receipt>(asked, report_receipt{});
  auto last = who.take_report();
  REQUIRE(last.size() == 1);
  CHECK(last[0].kind == outcome_kind::completed);
}

TEST_CASE("reports are bounded in outcomes and bytes, and so is a result", "[scheduler][worker]") {
  hands who{4, {.max_report = 2, .max_report_bytes = 10, .max_value_bytes = 20}};
  who.enroll();
  std::vector<request_id> jobs;
  for (std::uint32_t number = 1; number <= 4; ++number)
    jobs.push_back(*who.give(number));
  who.end(jobs[0], std::string(15, 'x')); // under way while the others end
  REQUIRE(who.request<report>());
  auto asked = who.asked;
  who.end(jobs[1], std::string(6, 'y'));
  who.end(jobs[2], std::string(6, 'z'));
  who.end(jobs[3], std::string(21, 'z'));
  who.answer<report_receipt>(asked, report_receipt{});
  CHECK(who.take_report().size() == 1);
  CHECK(who.take_report().at(0).value == "zzzzzz");
  auto told = who.take_report();
  CHECK(told.at(0).why.code == errc::too_large);
  CHECK_FALSE(told.at(0).retryable);
}

TEST_CASE("a forgotten worker stops all, tells nothing of it and registers as who it is now",
          "[scheduler][worker]") {
  hands who{3};
  who.enroll();
  auto running = who.give(1);
  auto over = who.give(2);
  auto over_too = who.give(3);
  who.end(*over, std::string{"in vain"});
  REQUIRE(who.request<report>());
  auto told = who.asked;
  who.end(*over_too, std::string{"in vain, too"});
  who.live(lease / 3);
  REQUIRE(who.request<check_in>());
  who.answer<worker_receipt>(who.asked, problem{errc::conflict, "send renew_worker"});
  REQUIRE(who.request<renew_worker>());
  who.answer<report_receipt>(told, problem{errc::not_found, "register"});
  CHECK(who.count<worker_core::stop>() == 1);
  CHECK_FALSE(who.core().id());
  CHECK(who.request<watch_assignments>()); // of before
  auto old_question = who.asked;
  auto words = who.enroll(8, 5);
  CHECK(words.boot == 5);
  who.answer<worker_orders>(old_question, problem{errc::not_found, "of before"});
  CHECK(who.core().id() == worker_id{8});
  CHECK_FALSE(who.request<report>());
  SECTION("what it ran takes its room until it has ended") {
    REQUIRE((who.give(4) && who.give(5)));
    CHECK_FALSE(who.give(6));
    CHECK(who.take_report().at(0).kind == outcome_kind::busy);
    who.end(*running, std::string{"at last"});
    CHECK_FALSE(who.request<report>());
    CHECK(who.give(7));
  }
  SECTION("its orders and signs of life begin anew") {
    auto question = who.request<watch_assignments>();
    REQUIRE(question);
    CHECK(question->worker == worker_id{8});
    CHECK(question->after == 0);
    who.live(lease / 3);
    auto sign = who.request<check_in>();
    REQUIRE(sign);
    CHECK(sign->open.empty());
  }
}

TEST_CASE("a worker that is refused says why and tries again", "[scheduler][worker]") {
  hands who;
  who.identify();
  REQUIRE(who.request<register_worker>());
  who.answer<worker_receipt>(who.asked, problem{errc::bad_argument, "no slots"});
  auto told = who.next<worker_core::registered>();
  REQUIRE(told);
  CHECK(told->why.detail == "no slots");
  who.live(100ms);
  who.identify();
  REQUIRE(who.request<register_worker>());
  who.answer<worker_receipt>(who.asked, problem{errc::unreachable, "nobody there"});
  CHECK_FALSE(who.next<worker_core::registered>()); // is no answer
}

TEST_CASE("what fails is tried again after a while, each time", "[scheduler][worker]") {
  hands who{4, {.retry = {100ms, 1s}}};
  who.enroll();
  for (auto tries = 0; tries < 30; ++tries) {
    who.fail_orders(errc::outcome_unknown);
    CHECK_FALSE(who.request<watch_assignments>());
    who.live(1s);
    while (who.request<check_in>())
      who.answer<worker_receipt>(who.asked, worker_receipt{worker_id{7}, {}, lease});
  }
  CHECK(who.request<watch_assignments>());
}

TEST_CASE("a worker that drains begins nothing, leaves and says when it is done",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  who.step(0, worker_core::drain{});
  REQUIRE(who.request<deregister_worker>());
  who.answer<worker_receipt>(who.asked, problem{errc::unreachable, "no"});
  CHECK_FALSE(who.give(2)); // given before the scheduler knew
  CHECK(who.take_report().at(0).kind == outcome_kind::busy);
  who.live(100ms);
  REQUIRE(who.request<deregister_worker>());
  who.answer<worker_receipt>(who.asked, worker_receipt{worker_id{7}, {}, lease});
  CHECK_FALSE(who.next<worker_core::drained>());
  who.end(*job, std::string{"done"});
  CHECK_FALSE(who.next<worker_core::drained>()); // nobody has heard it
  CHECK(who.take_report().at(0).value == "done");
  CHECK(who.count<worker_core::drained>() == 1);
  who.step(0, worker_core::drain{});
  CHECK(who.count<worker_core::drained>() == 1); // once for each who asks
  REQUIRE(who.request<watch_assignments>());
  who.answer<worker_orders>(who.asked, problem{errc::not_found, "forgotten"});
  who.live(10 * lease);
  CHECK_FALSE(who.next<worker_core::identify>());
}

TEST_CASE("a worker that drains while it registers leaves once it has", "[scheduler][worker]") {
  hands who;
  who.identify();
  REQUIRE(who.request<register_worker>());
  auto asked = who.asked;
  who.step(0, worker_core::drain{});
  CHECK(who.count<worker_core::drained>() == 1);
  SECTION("and does not try again where that failed") {
    who.answer<worker_receipt>(asked, problem{errc::unreachable, "no"});
    who.live(1min);
    CHECK_FALSE(who.next<worker_core::identify>());
  }
  SECTION("when the answer comes") {
    who.answer<worker_receipt>(asked, worker_receipt{worker_id{7}, {}, lease});
    CHECK(who.request<deregister_worker>());
  }
}

TEST_CASE("a worker asks for no more orders than it has room for in its books",
          "[scheduler][worker]") {
  hands who{100, {.max_attempts = 3, .max_orders = 2}};
  who.enroll();
  auto question = who.request<watch_assignments>();
  REQUIRE(question);
  CHECK(question->limit == 2);
  who.answer<worker_orders>(
    who.asked, worker_orders{.sequence = 2, .assignments = {hands::order(1), hands::order(2)}});
  question = who.request<watch_assignments>();
  REQUIRE(question);
  CHECK(question->limit == 1);
  worker_orders too_many{.sequence = 4, .assignments = {hands::order(3), hands::order(4)}};
  who.answer<worker_orders>(who.asked, too_many);
  CHECK(who.count<worker_core::begin>() == 3);
  CHECK_FALSE(who.request<watch_assignments>());
  who.end(1, std::string{"done"});
  CHECK_FALSE(who.request<watch_assignments>());
  who.take_report();
  CHECK(who.request<watch_assignments>());
}

TEST_CASE("what the scheduler refuses for good keeps no other outcome waiting",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto large = who.give(1);
  auto small = who.give(2);
  auto third = who.give(3);
  who.end(*large, std::string(100, 'x'));
  REQUIRE(who.request<report>());
  auto asked = who.asked;
  who.end(*small, std::string{"done"});
  who.end(*third, std::string{"done, too"});
  who.answer<report_receipt>(asked, problem{errc::too_large, "an entry has 16 MiB at most"});
  CHECK_FALSE(who.request<report>()); // not at once
  who.live(5s);
  auto next = who.take_report();
  REQUIRE(next.size() == 3);
  CHECK(next[0].what == hands::attempt(2));
  CHECK(next[1].what == hands::attempt(3));
  auto& told = next[2]; // in its place
  CHECK(told.what == hands::attempt(1));
  CHECK(told.kind == outcome_kind::failed);
  CHECK(told.value.empty());
  CHECK(told.why.code == errc::too_large);
  CHECK_FALSE(told.retryable);
}

TEST_CASE("a report that is refused for good goes again in halves", "[scheduler][worker]") {
  hands who;
  who.enroll();
  std::vector<request_id> jobs;
  for (std::uint32_t number = 1; number <= 4; ++number)
    jobs.push_back(*who.give(number));
  who.end(jobs[0], std::string{"1"});
  REQUIRE(who.request<report>());
  auto first = who.asked;
  for (std::size_t each = 1; each < 4; ++each)
    who.end(jobs[each], std::to_string(each + 1));
  who.answer<report_receipt>(first, report_receipt{});
  REQUIRE(who.request<report>()); // 2, 3 and 4
  who.answer<report_receipt>(who.asked, problem{errc::bad_argument, "one of them is wrong"});
  who.live(5s);
  auto half = who.take_report();
  REQUIRE(half.size() == 1);
  CHECK(half[0].what == hands::attempt(2));
  auto rest = who.take_report();
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].value == "3");
  CHECK(rest[1].value == "4");
  CHECK_FALSE(who.request<report>());
}

TEST_CASE("what a part of a refused report holds is told before what came later",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto first = who.give(1);
  auto second = who.give(2);
  auto third = who.give(3);
  auto fourth = who.give(4);
  who.end(*first, std::string{"1"});
  REQUIRE(who.request<report>());
  auto asked = who.asked;
  who.end(*second, std::string{"2"});
  who.step(*third, worker_core::progressed{500});
  who.answer<report_receipt>(asked, report_receipt{});
  REQUIRE(who.request<report>()); // 2, and how far 3 is
  asked = who.asked;
  who.end(*third, std::string{"3"});
  who.end(*fourth, std::string{"4"});
  who.answer<report_receipt>(asked, problem{errc::bad_argument, "one of them is wrong"});
  who.live(5s);
  CHECK(who.take_report().size() == 1);
  auto rest = who.take_report();
  REQUIRE(rest.size() == 3);
  CHECK(rest[0].kind == outcome_kind::progress);
  CHECK(rest[1].what == hands::attempt(3));
  CHECK(rest[1].kind == outcome_kind::completed);
}

TEST_CASE("a task goes on when the scheduler refuses to hear how far it is",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  who.step(*job, worker_core::progressed{500});
  REQUIRE(who.request<report>());
  who.answer<report_receipt>(who.asked, problem{errc::bad_argument, "no"});
  who.live(5s);
  CHECK_FALSE(who.request<report>());
  who.end(*job, std::string{"done"});
  CHECK(who.take_report().at(0).kind == outcome_kind::completed);
}

TEST_CASE("the words of a failure are cut", "[scheduler][worker]") {
  hands who;
  who.enroll();
  constexpr std::size_t bound = 64 * 1024;
  auto words = GENERATE(std::string(1 << 20, 'x'), std::string(1 << 20, '\xbf'));
  auto job = who.give(1);
  who.end(*job, problem{errc::failed, words});
  CHECK(who.take_report().at(0).why.detail == words.substr(0, bound));
  INFO("and those of the scheduler that refuses an outcome");
  job = who.give(2);
  who.end(*job, std::string{"done"});
  REQUIRE(who.request<report>());
  who.answer<report_receipt>(who.asked, problem{errc::bad_argument, words});
  who.live(5s);
  CHECK(who.take_report().at(0).why.detail.size() == bound);
}

TEST_CASE("a worker says at each registration whether it is in maintenance",
          "[scheduler][worker]") {
  hands who;
  who.identify(1, true);
  auto words = who.request<register_worker>();
  REQUIRE(words);
  CHECK(words->maintenance);
}

TEST_CASE("a worker that has left asks for nothing more", "[scheduler][worker]") {
  hands who;
  who.enroll();
  who.step(0, worker_core::drain{});
  REQUIRE(who.request<deregister_worker>());
  who.answer<worker_receipt>(who.asked, worker_receipt{worker_id{7}, {}, lease});
  who.fail_orders();
  who.live(lease * 3);
  CHECK_FALSE(who.request<watch_assignments>());
  CHECK_FALSE(who.request<check_in>());
}

TEST_CASE("a sign of life that got no answer is repeated well within the lease",
          "[scheduler][worker]") {
  hands who;
  who.identify();
  REQUIRE(who.request<register_worker>());
  constexpr duration brief = 600ms;
  who.answer<worker_receipt>(who.asked, worker_receipt{worker_id{7}, {}, brief});
  for (auto tries = 0; tries < 20; ++tries) {
    who.live(brief / 3);
    REQUIRE(who.request<check_in>());
    who.answer<worker_receipt>(who.asked, problem{errc::unreachable, "no"});
  }
}

TEST_CASE("a record that is refused is not repeated at once", "[scheduler][worker]") {
  hands who;
  who.enroll();
  who.live(lease / 3);
  REQUIRE(who.request<check_in>());
  who.answer<worker_receipt>(who.asked, problem{errc::conflict, "send renew_worker"});
  REQUIRE(who.request<renew_worker>());
  who.answer<worker_receipt>(who.asked, problem{errc::conflict, "no"});
  CHECK_FALSE(who.request<renew_worker>());
  CHECK_FALSE(who.request<check_in>());
}

TEST_CASE("orders of a scheduler that was restored are asked for from where it stands",
          "[scheduler][worker]") {
  hands who;
  who.enroll();
  who.give_orders({});
  auto question = who.request<watch_assignments>();
  REQUIRE(question);
  REQUIRE(question->after > 0);
  worker_orders earlier;
  earlier.sequence = 0;
  who.answer<worker_orders>(who.asked, earlier);
  auto next = who.request<watch_assignments>();
  REQUIRE(next);
  CHECK(next->after == 0);
}

TEST_CASE("progress of attempts that are void is told to nobody", "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  who.step(*job, worker_core::progressed{5});
  REQUIRE(who.request<report>());
  who.step(*job, worker_core::progressed{6}); // waits for the answer
  who.answer<report_receipt>(who.asked, problem{errc::not_found, "register"});
  who.live(5s);
  who.enroll(8);
  CHECK_FALSE(who.request<report>());
}

TEST_CASE("an outcome of which nothing is taken is dropped", "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  who.end(*job, std::string{"done"});
  who.step(0, worker_core::drain{});
  for (auto tries = 0; tries < 2; ++tries) {
    who.live(5s);
    REQUIRE(who.request<report>());
    who.answer<report_receipt>(who.asked, problem{errc::bad_argument, "no"});
  }
  who.live(5s);
  CHECK_FALSE(who.request<report>());
  CHECK(who.next<worker_core::drained>());
}

TEST_CASE("an outcome that was dropped is named no more", "[scheduler][worker]") {
  hands who;
  who.enroll();
  auto job = who.give(1);
  who.end(*job, std::string{"done"});
  for (auto tries = 0; tries < 2; ++tries) {
    REQUIRE(who.request<report>());
    who.answer<report_receipt>(who.asked, problem{errc::bad_argument, "no"});
    who.live(lease / 8); // and tries again
  }
  who.live(lease / 3);
  auto sign = who.request<check_in>();
  REQUIRE(sign);
  CHECK(sign->open.empty());
}

} // namespace worker_core_test
