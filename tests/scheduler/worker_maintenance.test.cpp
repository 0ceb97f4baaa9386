#include "troupe/scheduler/worker_maintenance.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/seen_effects.hpp"

namespace worker_maintenance_test {

using namespace troupe;
using scheduler::worker_maintenance;

namespace {

struct story : test::seen_effects<worker_maintenance> {
  worker_maintenance it{owner_id{"n1"}};

  void step(worker_maintenance::event what, request_id id) {
    it.step({}, id, std::move(what), out);
  }

  void want(bool on, request_id id) {
    step(worker_maintenance::want{on}, id);
  }

  /// Answers the open question with workers, by their numbers; negative ones are of another node.
  void list(const std::vector<int>& workers) {
    scheduler::worker_list all;
    for (auto each : workers) {
      scheduler::worker_view one;
      one.worker = {static_cast<std::uint64_t>(each < 0 ? -each : each)};
      one.owner = owner_id{each < 0 ? "n2" : "n1"};
      all.workers.push_back(one);
    }
    step(worker_maintenance::listed{all}, only<worker_maintenance::list>().id);
  }

  /// Which workers are told; all of them answer.
  std::vector<std::uint64_t> tell(bool on, const problem& why = {}) {
    std::vector<std::uint64_t> found;
    for (auto& each : take<worker_maintenance::tell>()) {
      CHECK(each.on == on);
      found.push_back(each.worker.value);
      step(worker_maintenance::told{why}, each.id);
    }
    return found;
  }

  errc end_of(request_id id) {
    auto ended = only<worker_maintenance::done>();
    CHECK(ended.id == id);
    return ended.why.code;
  }

  [[nodiscard]] bool has_ended() {
    return !take<worker_maintenance::done>().empty();
  }
};

using workers = std::vector<std::uint64_t>;

} // namespace

TEST_CASE_METHOD(story, "all workers of a node are told, page by page", "[scheduler]") {
  want(true, 1);
  CHECK_FALSE(has_ended());
  list({1, -2, 3});
  CHECK(tell(true) == workers{1, 3});
  auto next = only<worker_maintenance::list>();
  CHECK(next.after.value == 3);
  out.emplace_back(next);
  list({-4, -5}); // all of others
  next = only<worker_maintenance::list>();
  CHECK(next.after.value == 5);
  out.emplace_back(next);
  CHECK_FALSE(has_ended());
  list({});
  CHECK(end_of(1) == errc::none);
  CHECK(out.empty());
}

TEST_CASE_METHOD(story, "a page is asked for once the one before is told", "[scheduler]") {
  want(false, 1);
  list({1, 2});
  auto told = take<worker_maintenance::tell>();
  REQUIRE(told.size() == 2);
  CHECK(told.front().id != told.back().id);
  step(worker_maintenance::told{}, told.back().id);
  step(worker_maintenance::told{{errc::timed_out, "late"}}, told.back().id); // said twice
  CHECK(out.empty());
  step(worker_maintenance::told{}, told.front().id);
  list({});
  CHECK(end_of(1) == errc::none);
  step(worker_maintenance::told{}, told.front().id);
  CHECK(out.empty());
}

TEST_CASE_METHOD(story, "a page that comes twice is told once", "[scheduler]") {
  want(true, 1);
  auto asked = only<worker_maintenance::list>();
  out.emplace_back(asked);
  list({1});
  CHECK(take<worker_maintenance::tell>().size() == 1);
  step(worker_maintenance::listed{problem{errc::timed_out, "late"}}, asked.id);
  CHECK(out.empty());
}

TEST_CASE_METHOD(story, "a worker that is gone needs no word", "[scheduler]") {
  want(true, 1);
  list({1});
  CHECK(tell(true, {errc::not_found, "no such worker"}) == workers{1});
  list({});
  CHECK(end_of(1) == errc::none);
}

TEST_CASE_METHOD(story, "the first problem ends it, once all have answered", "[scheduler]") {
  want(true, 1);
  SECTION("of a worker") {
    list({1, 2, 3});
    auto told = take<worker_maintenance::tell>();
    REQUIRE(told.size() == 3);
    step(worker_maintenance::told{{errc::timed_out, "late"}}, told[0].id);
    step(worker_maintenance::told{{errc::no_quorum, "no leader"}}, told[1].id);
    CHECK(out.empty());
    step(worker_maintenance::told{}, told[2].id);
    CHECK(end_of(1) == errc::timed_out);
  }
  SECTION("of a page") {
    step(worker_maintenance::listed{problem{errc::timed_out, "late"}},
         only<worker_maintenance::list>().id);
    CHECK(end_of(1) == errc::timed_out);
  }
  CHECK(out.empty());
  want(true, 2); // and the next one begins anew
  auto first = only<worker_maintenance::list>();
  CHECK(first.after.value == 0);
  out.emplace_back(first);
  list({1});
  CHECK(tell(true) == workers{1});
  list({});
  CHECK(end_of(2) == errc::none);
}

TEST_CASE_METHOD(story, "who wants the same waits for the same", "[scheduler]") {
  want(true, 1);
  want(true, 2);
  list({1});
  want(true, 3);
  CHECK(tell(true) == workers{1});
  list({});
  auto ended = take<worker_maintenance::done>();
  REQUIRE(ended.size() == 3);
  CHECK(ended[1].id == 2);
  CHECK_FALSE(ended[2].why);
}

TEST_CASE_METHOD(story, "the latest wish counts", "[scheduler]") {
  want(true, 1);
  SECTION("before a page has come") {
    auto earlier = only<worker_maintenance::list>();
    want(false, 2);
    CHECK(end_of(1) == errc::cancelled);
    scheduler::worker_list late;
    late.workers.emplace_back();
    late.workers.front().owner = owner_id{"n1"};
    step(worker_maintenance::listed{late}, earlier.id);
    CHECK(take<worker_maintenance::tell>().empty());
  }
  SECTION("while workers are told") {
    list({1, 2});
    auto told = take<worker_maintenance::tell>();
    want(false, 2);
    CHECK(end_of(1) == errc::cancelled);
    step(worker_maintenance::told{{errc::timed_out, "late"}}, told.at(0).id);
    CHECK(out.empty()); // a late "begin" must not come after the "end"
    step(worker_maintenance::told{}, told.at(1).id);
  }
  SECTION("and is changed again") {
    list({1});
    auto told = take<worker_maintenance::tell>();
    want(false, 4);
    CHECK(end_of(1) == errc::cancelled);
    want(true, 5);
    CHECK(end_of(4) == errc::cancelled);
    want(false, 2);
    CHECK(end_of(5) == errc::cancelled);
    CHECK(take<worker_maintenance::list>().empty());
    step(worker_maintenance::told{}, told.at(0).id);
  }
  auto all = only<worker_maintenance::list>();
  CHECK(all.after.value == 0);
  out.emplace_back(all);
  list({1, 2});
  CHECK(tell(false) == workers{1, 2});
  list({});
  CHECK(end_of(2) == errc::none);
}

} // namespace worker_maintenance_test
