#include "troupe/net/refusal_log.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace refusal_log_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

namespace {

struct refusals {
  void note(const std::string& from, verdict why, const std::string& detail = {}) {
    log.note(now, from, why, detail, lines);
  }

  void pass(duration span) {
    now += span;
    log.tick(now, lines);
  }

  std::vector<std::string> take() {
    return std::exchange(lines, {});
  }

  refusal_log log{3};
  time_point now{1h};
  std::vector<std::string> lines;
};

using texts = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(refusals, "the first refusal of an address is told at once, others with a count",
                 "[net]") {
  note("192.0.2.1", verdict::not_secured, "it has no certificate");
  CHECK(take() == texts{"refused a connection from 192.0.2.1: it has no certificate"});
  for (auto count = 0; count < 41; ++count)
    note("192.0.2.1", verdict::bad_greeting, "it speaks HTTP");
  CHECK(take().empty());
  pass(1min);
  CHECK(take()
        == texts{"refused 41 more connections from 192.0.2.1 within a minute; the last one: it "
                 "speaks HTTP"});
  pass(1min);
  CHECK(take().empty());
  CHECK_FALSE(log.next_deadline()); // and it is forgotten
  note("192.0.2.1", verdict::unproven);
  CHECK(take()
        == texts{"refused a connection from 192.0.2.1: its certificate does not prove what it says "
                 "it is"});
}

TEST_CASE_METHOD(refusals, "refusals are counted by reason", "[net]") {
  note("a", verdict::not_secured);
  note("b", verdict::not_secured);
  note("a", verdict::displaced);
  CHECK(log.counts().at(verdict::not_secured) == 2);
  CHECK(log.counts().at(verdict::displaced) == 1);
}

TEST_CASE_METHOD(refusals, "what belongs to normal life is counted in silence", "[net]") {
  for (auto why : {verdict::linked, verdict::greeting, verdict::dialling, verdict::crossed,
                   verdict::displaced, verdict::closed, verdict::full})
    note("a", why);
  CHECK(take().empty());
  CHECK_FALSE(log.next_deadline());
}

TEST_CASE_METHOD(refusals, "addresses beyond the bound are one", "[net]") {
  for (auto number = 0; number < 1000; ++number)
    note("address " + std::to_string(number), verdict::bad_greeting);
  CHECK(take().size() == 4); // three addresses, and the others
  pass(1min);
  auto told = take();
  REQUIRE(told.size() == 1);
  CHECK(told.front().starts_with("refused 996 more connections from other addresses"));
}

} // namespace refusal_log_test
