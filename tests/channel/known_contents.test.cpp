#include "troupe/channel/known_contents.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <set>

namespace known_contents_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::channel;

namespace {

using endings = std::map<sequence_number, ending>;

const options few{.max_messages = 2};

content_id id_of(std::uint64_t number) {
  return {{}, 1, number};
}

known_contents::holding had_by(const agent_id& agent, std::uint64_t what, time_point until = {}) {
  return {agent, id_of(what), what, 1, until};
}

} // namespace

TEST_CASE("how a content has ended is known in the next session, until it has come", "[channel]") {
  known_contents all{{}};
  all.ended(1, id_of(10));
  all.ended(2, id_of(20));
  all.ended(3, id_of(30));
  CHECK_FALSE(all.take_end(id_of(10))); // of this session
  all.forget({1, 2});                   // its sender knows
  endings others{{3, {3, outcome::given_up, {errc::failed, "no"}, 4}}};
  CHECK(all.end_session(others).empty());
  CHECK_FALSE(all.take_end(id_of(10)));
  CHECK(all.take_end(id_of(20))->how == outcome::handled);
  auto how = all.take_end(id_of(30));
  REQUIRE(how);
  CHECK(*how == ending{3, outcome::given_up, {errc::failed, "no"}, 4});
  CHECK(all.ends() == 0);
}

TEST_CASE("what an agent has of an earlier session it does not get again", "[channel]") {
  known_contents all{{}};
  CHECK_FALSE(all.hold({1, 7}, had_by("a", 10, time_point{5s})));
  CHECK_FALSE(all.is_held(id_of(20), 1));
  CHECK(all.is_held(id_of(10), 2));
  endings none;
  CHECK(all.end_session(none) == std::set<sequence_number>{2});
  CHECK(all.end_session(none) == std::set<sequence_number>{0}); // it has not come since
  CHECK_FALSE(all.let_go({2, 7}));
  CHECK(all.next_deadline() == time_point{5s});
  CHECK_FALSE(all.take_silent(time_point{4s}));
  auto gone = all.take_silent(time_point{5s});
  REQUIRE(gone);
  CHECK(gone->first == 7);
  CHECK(gone->second.what == 10);
  CHECK_FALSE(all.next_deadline());
  CHECK_FALSE(all.let_go({1, 7}));
}

TEST_CASE("who has done with a content of an earlier session is not waited for", "[channel]") {
  known_contents all{{}};
  all.hold({1, 7}, had_by("a", 10, time_point{5s}));
  all.is_held(id_of(10), 2);
  auto gone = all.let_go({1, 7});
  REQUIRE(gone);
  CHECK(gone->now == 2);
  CHECK_FALSE(all.next_deadline());
  CHECK(all.held() == 0);
}

TEST_CASE("failures count for an agent, over sessions", "[channel]") {
  known_contents all{{}};
  all.failed("a", id_of(10), 0); // nothing to keep
  CHECK(all.failures() == 0);
  all.failed("a", id_of(10), 2);
  all.failed_again("a", id_of(10));
  CHECK(all.take_failures("b", id_of(10)) == 0);
  CHECK(all.take_failures("a", id_of(10)) == 3);
  CHECK(all.take_failures("a", id_of(10)) == 0);
  all.failed("a", id_of(10), 5);
  all.failed("a", id_of(10), 2); // who sends it again knows of two
  CHECK(all.take_failures("a", id_of(10)) == 5);
  constexpr auto most = std::numeric_limits<std::uint32_t>::max();
  all.failed("a", id_of(10), most);
  all.failed_again("a", id_of(10));
  CHECK(all.take_failures("a", id_of(10)) == most);
}

TEST_CASE("all that is known of contents is bounded, the latest stays", "[channel]") {
  known_contents all{few};
  endings none;
  for (std::uint64_t each = 1; each <= 100; ++each) {
    all.ended(each, id_of(each));
    CHECK(all.ends() <= 8);
    all.failed("a", id_of(each), 1);
    CHECK(all.failures() <= 4);
    auto gone = all.hold({each, 1}, had_by("a", each));
    CHECK(gone.has_value() == (each > 4));
    if (gone)
      CHECK(gone->what == each - 4);
  }
  all.end_session(none);
  CHECK(all.ends() == 8);
  CHECK(all.take_end(id_of(100)));
  CHECK_FALSE(all.take_end(id_of(92)));
}

} // namespace known_contents_test
