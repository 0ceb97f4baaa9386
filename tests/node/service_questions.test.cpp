#include "troupe/cluster/service_questions.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"
#include "support/take.hpp"

namespace service_questions_test {

using namespace std::literals;
using namespace troupe;
using cluster::claims_types;
using cluster::service_questions;
using test::operator""_node;
using questions = service_questions;

namespace {

struct asking {
  template <class Words>
  request_id ask(Words words, questions::purpose what) {
    return it.ask(now, std::move(words), std::move(what), out);
  }

  request_id claim(const std::string& name) {
    return ask(registry::names::claim{}, questions::claim_of{name});
  }

  request_id claim_again(const std::string& name) {
    return ask(registry::names::claim{}, questions::claimed_again{.names = {{name, 3}}});
  }

  service_questions it{10s};
  claims_types::effects out;
  time_point now{1h};
};

} // namespace

TEST_CASE("each question has a number of its own and the same time", "[node][claims]") {
  asking a;
  CHECK(a.it.next_deadline() == std::nullopt);
  auto first = a.claim("painter");
  a.now += 1s;
  auto second = a.ask(registry::names::list_claims{"n1"_node, {}, 1}, questions::search_names{});
  CHECK(first != second);
  auto asked = test::take<claims_types::ask>(a.out);
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].id == first);
  CHECK(asked[0].wait == 10s);
  CHECK(std::holds_alternative<registry::names::claim>(asked[0].what));
  CHECK(std::get<registry::names::list_claims>(asked[1].what).owner == "n1"_node);
  CHECK(a.it.size() == 2);
  CHECK(a.it.contains(second));
  CHECK(a.it.next_deadline() == a.now + 9s);
  CHECK(a.it.flaws().empty());
}

TEST_CASE("an answer counts once, and for what was asked", "[node][claims]") {
  asking a;
  auto id = a.claim("painter");
  CHECK_FALSE(a.it.take<questions::claim_of>(id + 1));
  CHECK_FALSE(a.it.take<questions::given_back>(id)); // it was no release
  CHECK(a.it.contains(id));
  CHECK(a.it.take<questions::claim_of>(id)->name == "painter");
  CHECK_FALSE(a.it.take<questions::claim_of>(id));
  CHECK(a.it.size() == 0);
}

TEST_CASE("questions are given up in their order, when their time is over", "[node][claims]") {
  asking a;
  a.claim("painter");
  a.now += 1s;
  a.claim("sculptor");
  CHECK_FALSE(a.it.take_due(a.now + 9s - 1ms));
  auto late = a.it.take_due(a.now + 9s);
  REQUIRE(late);
  CHECK(std::get<questions::claim_of>(*late).name == "painter");
  CHECK_FALSE(a.it.take_due(a.now + 9s));
  CHECK(a.it.next_deadline() == a.now + 10s);
  CHECK(std::get<questions::claim_of>(*a.it.take_due(a.now + 10s)).name == "sculptor");
  CHECK_FALSE(a.it.take_due(a.now + 1h));
}

TEST_CASE("a question that is dropped has no answer", "[node][claims]") {
  asking a;
  auto id = a.claim("painter");
  CHECK(a.it.drop(id));
  CHECK_FALSE(a.it.drop(id));
  CHECK_FALSE(a.it.take<questions::claim_of>(id));
  CHECK(a.claim("painter") != id); // no number is given twice
}

TEST_CASE("claims that were repeated say nothing of the present", "[node][claims]") {
  asking a;
  auto before = a.claim_again("painter");
  auto other = a.claim("sculptor");
  a.it.make_claims_stale();
  auto after = a.claim_again("painter");
  CHECK(a.it.take<questions::claimed_again>(before)->is_stale);
  CHECK_FALSE(a.it.take<questions::claimed_again>(after)->is_stale);
  CHECK(a.it.take<questions::claim_of>(other)->name == "sculptor");
}

TEST_CASE("what is wrong with a request itself does not pass", "[node][claims]") {
  for (auto code : {errc::bad_argument, errc::too_large, errc::denied, errc::wrong_type})
    CHECK_FALSE(service_questions::may_pass(code));
  for (auto code : {errc::unreachable, errc::no_quorum, errc::timed_out, errc::busy,
                    errc::limit_reached, errc::session_expired, errc::outcome_unknown})
    CHECK(service_questions::may_pass(code));
}

TEST_CASE("a later question that is due earlier is a flaw", "[node][claims]") {
  asking a;
  a.claim("painter");
  a.now -= 1s;
  a.claim("sculptor");
  CHECK(a.it.flaws().size() == 1);
}

} // namespace service_questions_test
