// What a node is asked before it knows what others know.

#include "troupe/host/early_questions.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace early_questions_test {

using namespace std::literals;
using namespace troupe;
using host::early_questions;
using texts = std::vector<std::string>;

namespace {

constexpr early_questions::time_point start{};

struct newcomer {
  newcomer() {
    early.begin(start);
  }

  problem hold(const std::string& about, std::chrono::nanoseconds now = 0s,
               std::chrono::nanoseconds longest = 1min, std::string by = {}) {
    return early.hold(start + now, longest,
                      {about, std::move(by), [this, about] { heard.push_back(about); },
                       [this, about](const problem&) { heard.push_back("not " + about); }});
  }

  texts take() {
    return std::exchange(heard, {});
  }

  early_questions early;
  texts heard;
};

} // namespace

TEST_CASE_METHOD(newcomer, "early questions wait until all is known, and keep their order",
                 "[host]") {
  REQUIRE_FALSE(hold("one"));
  REQUIRE_FALSE(hold("two", 1s));
  REQUIRE_FALSE(hold("one", 2s));
  early.tick(start + 4s);
  CHECK(take().empty());
  CHECK(early.is_waiting("one"));
  CHECK_FALSE(early.is_waiting("three"));

  early.knows_all_now();
  CHECK(take() == texts{"one", "two", "one"});
  CHECK_FALSE(early.is_waiting("one"));
  CHECK_FALSE(early.may_wait(start + 4s));
  CHECK_FALSE(early.next_deadline());
}

TEST_CASE_METHOD(newcomer, "early questions are answered after five seconds at the latest",
                 "[host]") {
  REQUIRE_FALSE(hold("long", 1s));
  REQUIRE_FALSE(hold("short", 1s, 2s));
  REQUIRE_FALSE(hold("later", 5s));
  CHECK(early.next_deadline() == start + 3s);
  early.tick(start + 3s);
  CHECK(take() == texts{"short"});
  CHECK(early.next_deadline() == start + 6s);
  CHECK(early.may_wait(start + 5999ms));
  early.tick(start + 6s);
  CHECK(take() == texts{"long", "later"});
  CHECK_FALSE(early.is_waiting("long"));
  CHECK_FALSE(early.may_wait(start + 6s)); // the next would wait in vain, too
  CHECK_FALSE(early.knows_all());
}

TEST_CASE_METHOD(newcomer, "no question begins to wait where nobody tells a node anything",
                 "[host]") {
  REQUIRE_FALSE(hold("late", 9s));
  CHECK(early.next_deadline() == start + 10s);
  CHECK(early.may_wait(start + 9999ms));
  CHECK_FALSE(early.may_wait(start + 10s));
  CHECK_FALSE(early.knows_all());
}

TEST_CASE_METHOD(newcomer, "questions wait again once a node finds the others late", "[host]") {
  auto found = start + 12s;
  CHECK_FALSE(early.may_wait(found));
  early.finds_others(found);
  CHECK(early.may_wait(found));
  REQUIRE_FALSE(hold("x", 12s));
  early.tick(found + 4999ms);
  CHECK(take().empty());
  early.tick(found + 5s); // no longer than any other
  CHECK(take() == texts{"x"});
  CHECK_FALSE(early.may_wait(found + 5s));
  early.knows_all_now();
  early.finds_others(found + 6s);
  CHECK(early.knows_all());
}

TEST_CASE_METHOD(newcomer, "what waits longest about the same has later ones wait", "[host]") {
  REQUIRE_FALSE(hold("x", 0s, 1s));
  REQUIRE_FALSE(hold("x"));
  early.tick(start + 1s);
  CHECK(take() == texts{"x"});
  CHECK(early.is_waiting("x"));
}

TEST_CASE_METHOD(newcomer, "nothing overtakes an earlier question about the same", "[host]") {
  CHECK(early.has_to_wait(start, "x", false));
  CHECK_FALSE(early.has_to_wait(start, "x", true));
  REQUIRE_FALSE(hold("x"));
  CHECK(early.has_to_wait(start, "x", true)); // it has come to be known since
  CHECK_FALSE(early.has_to_wait(start, "y", true));
  auto late = 5001ms; // before the tick of that time
  CHECK(early.has_to_wait(start + late, "x", false));
  CHECK(early.has_to_wait(start + late, "x", true));
  CHECK_FALSE(early.has_to_wait(start + late, "y", false));
  REQUIRE_FALSE(hold("x", late));
  REQUIRE_FALSE(hold("x", late, 1min));
  early.tick(start + late);
  CHECK(take() == texts{"x", "x", "x"});
  CHECK_FALSE(early.has_to_wait(start + late, "x", false));
  early.knows_all_now();
  CHECK_FALSE(early.has_to_wait(start, "x", false));
}

TEST_CASE("nothing waits where all is known from the start", "[host]") {
  early_questions early;
  CHECK(early.knows_all());
  CHECK_FALSE(early.may_wait(start));
  CHECK_FALSE(early.has_to_wait(start, "x", false));
}

TEST_CASE_METHOD(newcomer, "a question about what is expected waits until that comes", "[host]") {
  early.knows_all_now();
  CHECK(early.is_idle());
  early.expect(start, "x");
  CHECK_FALSE(early.is_idle());
  CHECK(early.has_to_wait(start, "x", false));
  CHECK_FALSE(early.has_to_wait(start, "x", true));
  CHECK_FALSE(early.has_to_wait(start, "y", false));
  REQUIRE_FALSE(hold("x", 1s));
  CHECK(early.has_to_wait(start + 1s, "x", true)); // it would overtake
  REQUIRE_FALSE(hold("x", 2s));
  early.tick(start + 4s);
  early.comes("y");
  CHECK(take().empty());
  early.comes("x");
  CHECK(take() == texts{"x", "x"});
  CHECK(early.is_idle());
  CHECK_FALSE(early.next_deadline());
  CHECK_FALSE(early.has_to_wait(start + 4s, "x", false));
  early.comes("x");
  CHECK(take().empty());
}

TEST_CASE_METHOD(newcomer, "what is expected and does not come is waited for five seconds",
                 "[host]") {
  early.knows_all_now();
  early.expect(start, "x");
  CHECK(early.next_deadline() == start + 5s);
  REQUIRE_FALSE(hold("x", 4s));
  REQUIRE_FALSE(hold("x", 4s, 500ms));
  CHECK(early.is_expected(start + 4999ms, "x"));
  CHECK_FALSE(early.is_expected(start + 5s, "x")); // before the tick of that time
  CHECK(early.next_deadline() == start + 4500ms);
  early.tick(start + 4500ms);
  CHECK(take() == texts{"x"});
  early.tick(start + 5s);
  CHECK(take() == texts{"x"});
  CHECK(early.is_idle());
  CHECK_FALSE(early.next_deadline());
  REQUIRE_FALSE(hold("x", 6s)); // nothing to wait for
  early.tick(start + 6s);
  CHECK(take() == texts{"x"});
}

TEST_CASE_METHOD(newcomer, "what is expected anew is waited for from then on", "[host]") {
  early.knows_all_now();
  early.expect(start, "x");
  early.expect(start + 3s, "x");
  early.tick(start + 5s);
  CHECK(early.is_expected(start + 7999ms, "x"));
  CHECK(early.next_deadline() == start + 8s);
  early.tick(start + 8s);
  CHECK(early.is_idle());
}

TEST_CASE_METHOD(newcomer, "a node that has just started expects nothing for longer than all",
                 "[host]") {
  early.expect(start + 4s, "x");
  REQUIRE_FALSE(hold("y", 4s));
  REQUIRE_FALSE(hold("x", 4s));
  early.comes("x");
  CHECK(take() == texts{"x"}); // it is known
  early.expect(start + 6s, "x");
  REQUIRE_FALSE(hold("x", 6s));
  early.knows_all_now();
  CHECK(take() == texts{"y"});
  early.comes("x");
  CHECK(take() == texts{"x"});
}

TEST_CASE_METHOD(newcomer, "what has come is overtaken by nothing where all is yet to come",
                 "[host]") {
  REQUIRE_FALSE(hold("y")); // all is waited for until 5 s after the start
  early.expect(start + 4s, "x");
  REQUIRE_FALSE(hold("x", 4s)); // which this one is for longer
  early.tick(start + 6s);
  CHECK(take() == texts{"y"});
  early.comes("x");
  CHECK(take() == texts{"x"});
  CHECK_FALSE(early.has_to_wait(start + 6s, "x", true));
}

TEST_CASE_METHOD(newcomer, "what did not come is answered with all that waits for all", "[host]") {
  early.expect(start, "x");
  early.expect(start, "y");
  early.comes("x");
  REQUIRE_FALSE(hold("y", 4s));
  early.tick(start + 5s);
  CHECK(take().empty());
  early.tick(start + 9s);
  CHECK(take() == texts{"y"});
}

TEST_CASE_METHOD(newcomer, "nothing overtakes what waits for all where its agent is expected anew",
                 "[host]") {
  early.expect(start, "x");
  REQUIRE_FALSE(hold("x", 4s, 1min)); // until nine seconds after the start
  early.knows_all_now();
  REQUIRE_FALSE(hold("x", 4500ms, 1min));
  early.expect(start + 4900ms, "x");
  early.tick(start + 5s);
  CHECK(take().empty());
  early.tick(start + 9s);
  CHECK(take() == texts{"x", "x"});
}

TEST_CASE_METHOD(newcomer, "what did not come holds nothing up once all is known", "[host]") {
  early.expect(start, "x");
  REQUIRE_FALSE(hold("x", 4s)); // for nine seconds if all is yet to come
  early.knows_all_now();
  CHECK(take().empty());
  early.tick(start + 5s);
  CHECK(take() == texts{"x"});
  early.expect(start + 6s, "x");
  REQUIRE_FALSE(hold("x", 6s));
  early.expect(start + 11s, "y"); // before the tick of that time
  CHECK(take() == texts{"x"});
}

TEST_CASE_METHOD(newcomer, "no more is expected than may wait", "[host]") {
  early.knows_all_now();
  for (std::size_t each = 0; each < early_questions::most; ++each)
    early.expect(start, std::to_string(each));
  early.expect(start, "x");
  CHECK_FALSE(early.is_expected(start, "x"));
  early.expect(start + 1s, "0"); // one of them
  CHECK(early.is_expected(start + 5500ms, "0"));
  early.expect(start + 5s, "x");
  CHECK(early.is_expected(start + 5s, "x"));
}

TEST_CASE_METHOD(newcomer, "who finds no room hears what the others wait for", "[host]") {
  early.knows_all_now();
  early.expect(start, "x");
  for (auto left = early_questions::most; left > 0; --left)
    REQUIRE_FALSE(hold("x"));
  auto why = hold("x");
  CHECK(why.code == errc::limit_reached);
  CHECK(why.detail.starts_with("too much waits for agents whose nodes have just started again; "));
}

TEST_CASE_METHOD(newcomer, "early questions of one leave room for those of others", "[host]") {
  for (auto left = early_questions::most / 2; left > 0; --left)
    REQUIRE_FALSE(hold("x", 0s, 1min, "ann"));
  CHECK(hold("x", 0s, 1min, "ann").code == errc::limit_reached);
  CHECK_FALSE(hold("y", 0s, 1min, "bob"));
  CHECK(early.is_waiting("y"));
}

TEST_CASE("bytes of early questions are bounded, and those of one leave room for others",
          "[host]") {
  early_questions early{1'000};
  early.begin(start);
  auto answers = 0;
  auto hold = [&](const std::string& by, std::size_t bytes) {
    return early.hold(start, 1min,
                      {"x", by, [&answers] { ++answers; }, [](const problem&) {}, bytes});
  };
  CHECK_FALSE(hold("ann", 2'000)); // alone
  CHECK(hold("ann", 1).code == errc::limit_reached);
  CHECK(hold("", 1).code == errc::limit_reached);
  early.tick(start + 5s);
  CHECK(answers == 1);
  early.begin(start);
  CHECK_FALSE(hold("ann", 400));
  CHECK_FALSE(hold("ann", 100));
  CHECK(hold("ann", 101).code == errc::limit_reached);
  CHECK_FALSE(hold("bob", 200));
  CHECK_FALSE(hold("", 300)); // the program's own may take what is left
  CHECK(hold("", 1).code == errc::limit_reached);
  early.knows_all_now();
  CHECK(answers == 5);
  early.begin(start);
  CHECK_FALSE(hold("ann", 500));
  early.refuse_all({errc::cancelled, "over"});
  CHECK_FALSE(hold("ann", 600)); // alone
}

TEST_CASE_METHOD(newcomer, "one that is refused does not wait", "[host]") {
  for (auto left = early_questions::most; left > 0; --left)
    REQUIRE_FALSE(hold("x"));
  CHECK(hold("y").code == errc::limit_reached);
  CHECK_FALSE(early.is_waiting("y"));
}

TEST_CASE_METHOD(newcomer, "early questions are refused where nobody is left to answer", "[host]") {
  REQUIRE_FALSE(hold("one"));
  early.refuse_all({errc::cancelled, "over"});
  CHECK(take() == texts{"not one"});
  CHECK_FALSE(early.is_waiting("one"));
  CHECK_FALSE(early.next_deadline());
}

} // namespace early_questions_test
