#include "troupe/cluster/record_pull.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "node/record_fixture.hpp"
#include "troupe/registry/record_bounds.hpp"

namespace record_pull_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::record_fixture;
using Catch::Matchers::ContainsSubstring;
using cluster::record_pull;
using cluster::signed_statement;
using cluster::told_records;

namespace {

using asking_node = asking<record_pull>;
using words = std::vector<std::string>;

} // namespace

// -- asking ------------------------------------------------------------------------------

TEST_CASE_METHOD(asking_node, "what a member says is asked for, and then what has changed",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  two.say("b");
  auto head = two.state();
  hear(two, head);
  CHECK(it.behind() == 1);
  CHECK_FALSE(has_asked());
  pass(50ms - 1ns);
  CHECK_FALSE(has_asked()); // it gathers
  auto what = asked();
  CHECK(what.whom == two.who);
  CHECK(what.what == std::vector<cluster::record_wish>{{two.who, 1, 0}});
  answer({two.page(head)});
  CHECK(shows(two) == words{"a 0", "b 0"});
  CHECK(it.behind() == 0);
  CHECK(take<record_pull::merged>().size() == 1);
  two.take_back("a");
  two.say("b", 7);
  head = two.state();
  hear(two, head);
  CHECK(asked().what.front().after == 2);
  answer({two.page(head, 2)});
  CHECK(shows(two) == words{"b 7"});
  SECTION("not because it says the same again") {
    hear(two, two.state());
    hear(two, head); // late
    pass(1min);
    CHECK_FALSE(has_asked());
  }
  SECTION("a statement of something else, not of its records, is not a change") {
    auto moved = two.state().what;
    moved.address = "p:2";
    hear(two, two.sign(moved));
    CHECK(it.behind() == 0);
  }
}

TEST_CASE_METHOD(asking_node, "one question asks about all that is new", "[node][exchange]") {
  owner two{2};
  owner three{3};
  two.say("a");
  three.say("a");
  step(record_pull::linked{node_number(9), true});
  auto of_two = two.state();
  auto of_three = three.state();
  hear(two, of_two, 9);
  hear(three, of_three, 9);
  auto what = asked();
  CHECK(what.whom == node_number(9));
  CHECK(what.what.size() == 2);
  answer({two.page(of_two), three.page(of_three)});
  CHECK(it.behind() == 0);
}

TEST_CASE_METHOD(asking_node, "who is linked is asked first: the node, who has told, then others",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  std::set<node_id> whom;
  SECTION("the node itself") {
    for (auto each : {2, 3, 4})
      step(record_pull::linked{node_number(each), true});
    hear(two, head, 3);
    CHECK(asked().whom == two.who);
  }
  SECTION("who has told") {
    for (auto each : {3, 4})
      step(record_pull::linked{node_number(each), true});
    hear(two, head, 3);
    CHECK(asked().whom == node_number(3));
    for (auto tries = 0; tries < 6; ++tries) {
      step(record_pull::answered{}, last.id);
      whom.insert(asked().whom);
    }
    CHECK(whom.contains(two.who)); // at last without a link
    CHECK(whom.contains(node_number(4)));
  }
  SECTION("those with a link three times, and then one that takes a link first") {
    step(record_pull::linked{node_number(5), true});
    hear(two, head);
    for (auto tries = 1; tries <= 8; ++tries) {
      CHECK(asked().whom == (tries % 4 == 0 ? two.who : node_number(5)));
      step(record_pull::answered{}, last.id);
    }
  }
  SECTION("all that have a link, if the node and who has told have none") {
    auto count = GENERATE(2, 3, 4, 5);
    for (auto each = 0; each < count; ++each)
      step(record_pull::linked{node_number(3 + each), true});
    auto teller = GENERATE(2, 9);
    hear(two, head, teller);
    for (auto tries = 0; tries < 4 * count; ++tries) {
      whom.insert(asked().whom);
      step(record_pull::answered{std::vector<told_records>{}}, last.id);
    }
    for (auto each = 0; each < count; ++each)
      CHECK(whom.contains(node_number(3 + each)));
  }
  SECTION("all that have a link, also beside the node") {
    auto count = GENERATE(2, 3, 4, 5);
    for (auto each = 0; each < count; ++each)
      step(record_pull::linked{node_number(2 + each), true});
    hear(two, head, 9);
    for (auto tries = 0; tries < 4 * count; ++tries) {
      whom.insert(asked().whom);
      step(record_pull::answered{std::vector<told_records>{}}, last.id);
    }
    for (auto each = 0; each < count; ++each)
      CHECK(whom.contains(node_number(2 + each)));
  }
  SECTION("of two with a link each at every other try") {
    auto teller = GENERATE(3, 5);
    for (auto each : {3, 5})
      step(record_pull::linked{node_number(each), true});
    hear(two, head, teller);
    for (auto tries = 0; tries < 3; ++tries) {
      CHECK(asked().whom == node_number(tries % 2 == 0 ? teller : 8 - teller));
      step(record_pull::answered{std::vector<told_records>{}}, last.id);
    }
  }
  SECTION("the node itself at every other try") {
    for (auto each : {2, 3, 4, 5})
      step(record_pull::linked{node_number(each), true});
    hear(two, head, 3);
    std::vector<node_id> all;
    for (auto tries = 0; tries < 6; ++tries) {
      all.push_back(asked().whom);
      step(record_pull::answered{}, last.id);
    }
    CHECK(std::ranges::count(all, two.who) == 3);
    CHECK(std::set(all.begin(), all.end()).size() > 2);
  }
  SECTION("the node itself, as soon as there is a link") {
    hear(two, head, 3);
    for (auto tries = 0; tries < 8; ++tries)
      asked(), step(record_pull::answered{}, last.id);
    step(record_pull::linked{node_number(7), true});
    step(record_pull::linked{two.who, true});
    pass(50ms);
    auto what = take<record_pull::ask>();
    REQUIRE(what.size() == 1);
    CHECK(what.front().whom == two.who);
  }
}

TEST_CASE_METHOD(asking_node,
                 "what brings nothing is tried again, ever later, and at once for who is back",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  hear(two, head);
  asked();
  SECTION("no answer in time") {
    pass(4s - 1ms);
    CHECK_FALSE(has_asked());
    auto old = last.id;
    pass(1ms + 100ms);
    CHECK(has_asked());
    step(record_pull::answered{std::vector{two.page(head)}}, old); // after it was given up
    CHECK(it.behind() == 1);
    CHECK(shows(two).empty());
  }
  SECTION("an empty answer, or one of others") {
    owner other{3};
    other.say("x");
    for (auto tries = 0; auto wait : {100ms, 100ms, 100ms, 100ms, 200ms, 400ms, 800ms, 1'000ms}) {
      answer(++tries == 2 ? std::vector{other.page(other.state())} : std::vector<told_records>{});
      pass(wait - 1ms);
      CHECK_FALSE(has_asked());
      pass(1ms);
      asked();
    }
    CHECK(shows(other).empty());
    step(record_pull::gone{two.who});
    answer({});
    two.say("b");
    hear(two, two.state());
    pass(50ms);
    CHECK(has_asked());
  }
}

TEST_CASE_METHOD(asking_node, "what was in vain is tried at once when there is a reason to hope",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  auto fail = [&](int times) {
    for (; times > 0; --times) {
      asked();
      answer({});
    }
  };
  auto is_asked_soon = [&] {
    pass(50ms);
    return has_asked();
  };
  hear(two, head, 3);
  SECTION("there is a link to somebody at last") {
    fail(7);
    step(record_pull::linked{node_number(7), true});
    CHECK(is_asked_soon());
  }
  SECTION("there is one to the node itself") {
    step(record_pull::linked{node_number(7), true});
    step(record_pull::linked{node_number(8), true});
    fail(7);
    step(record_pull::linked{node_number(9), true});
    CHECK_FALSE(is_asked_soon()); // one more link says nothing
    step(record_pull::linked{two.who, true});
    CHECK(is_asked_soon());
  }
  SECTION("it is back") {
    fail(6);
    step(record_pull::gone{two.who});
    fail(1);
    hear(two, head, 3);
    CHECK(is_asked_soon());
  }
}

TEST_CASE_METHOD(asking_node, "of who is gone others are asked, some times", "[node][exchange]") {
  owner two{2};
  two.say("a");
  step(record_pull::linked{node_number(3), true});
  hear(two, two.state(), 3);
  step(record_pull::gone{two.who});
  auto tries = 0;
  for (; it.next_deadline() && tries < 100; ++tries) {
    CHECK(asked().whom == node_number(3));
    answer({});
  }
  CHECK(tries == 9);
  SECTION("and of who is forgotten nobody") {
    step(record_pull::forgotten{two.who});
    CHECK(it.behind() == 0);
  }
}

TEST_CASE_METHOD(asking_node, "what is forgotten while it is asked for does not come",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  hear(two, head);
  asked();
  step(record_pull::forgotten{two.who});
  answer({two.page(head)});
  CHECK(shows(two).empty());
  CHECK_FALSE(it.next_deadline());
}

TEST_CASE_METHOD(asking_node, "of who is forgotten no page is kept", "[node][exchange]") {
  owner two{2};
  for (auto each = 0; each < 10; ++each)
    two.say("a" + std::to_string(each));
  auto head = two.state();
  hear(two, head);
  asked();
  answer({two.page(head, 0, 1'000)});
  REQUIRE(has_asked()); // for the rest
  step(record_pull::forgotten{two.who});
  CHECK(it.flaws() == words{});
}

// -- what comes --------------------------------------------------------------------------

TEST_CASE_METHOD(asking_node, "what is not what the node has signed is not merged",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  two.say("b");
  auto head = two.state();
  step(record_pull::linked{node_number(3), true});
  hear(two, head, 3);
  auto liar = asked().whom;
  CHECK(liar == node_number(3));
  auto lie = two.page(head);
  auto why = "records that are not those that it has signed"s;
  const auto not_its = "records that are not of that node, or not of that time"s;
  SECTION("another record") {
    lie.page.records.front().load = 9;
  }
  SECTION("a record too few") {
    lie.page.records.pop_back();
  }
  SECTION("a record of another node") {
    lie.page.records.front().key.owner = to_string(node_number(3));
    why = not_its;
  }
  SECTION("a record of another life") {
    lie.page.records.front().boot = 2;
    why = not_its;
  }
  SECTION("a record of later") {
    lie.page.records.back().version = 3;
    why = not_its;
  }
  SECTION("records in another order") {
    std::ranges::reverse(lie.page.records);
    why = not_its;
  }
  SECTION("an invalid record") {
    lie.page.records.front().load = 0;
    lie.page.records.front().key.name = "";
    why = registry::check(lie.page.records.front()).detail;
  }
  SECTION("a statement that is not signed") {
    lie.of.what.records.version = 8;
    why = "what that has not signed";
  }
  SECTION("a page with a gap") {
    lie.page.is_last = false;
    lie.page.upto = 9;
    why = "pages with gaps";
  }
  answer({lie});
  CHECK_THAT(only<record_pull::complain>().what, ContainsSubstring(why));
  CHECK(shows(two).empty());
  CHECK(it.behind() == 1);
  while (asked().whom == liar) // it is not asked again
    FAIL("the liar is asked");
  answer({two.page(head)});
  CHECK(it.behind() == 0);
  CHECK(shows(two).size() == 2);
}

TEST_CASE_METHOD(asking_node, "if what has changed does not fit, all is asked for",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  two.say("b");
  two.take_back("a");
  head = two.state();
  hear(two, head);
  CHECK(asked().what.front().after == 1);
  auto without_removal = two.page(head, 1);
  std::erase_if(without_removal.page.records, [](auto& each) { return each.removed; });
  answer({without_removal});
  auto again = take<record_pull::ask>(); // at once, and the same member
  REQUIRE(again.size() == 1);
  last = again.front();
  CHECK(last.what.front().after == 0);
  CHECK(complaints() == 0); // removals are forgotten at times
  answer({two.page(head)});
  CHECK(shows(two) == words{"b 0"});
}

TEST_CASE_METHOD(asking_node, "a page that does not go on where it was asked does not count",
                 "[node][exchange]") {
  owner two{2};
  for (auto name : {"a", "b", "c"})
    two.say(name);
  auto head = two.state();
  hear(two, head);
  asked();
  answer({two.page(head, 1)});
  CHECK_FALSE(has_asked()); // after a while, as it has brought nothing
  CHECK(complaints() == 0);
  CHECK(asked().what.front().after == 0);
  answer({two.page(head)});
  CHECK(shows(two).size() == 3);
}

TEST_CASE_METHOD(asking_node, "who knows less is no liar, and who knows more tells that",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto old = two.state();
  auto old_page = two.page(old);
  hear(two, old);
  bring(two, old);
  two.say("b");
  auto head = two.state();
  hear(two, head);
  asked();
  SECTION("less") {
    answer({old_page});
    CHECK(complaints() == 0);
    CHECK(it.behind() == 1);
    bring(two, head);
    CHECK(it.behind() == 0);
  }
  SECTION("less than is here") {
    bring(two, head);
    two.say("c");
    hear(two, two.state());
    asked();
    answer({old_page});
    CHECK(complaints() == 0);
    CHECK(shows(two).size() == 2);
  }
  SECTION("more") {
    two.say("c");
    auto later = two.state();
    answer({two.page(later, 1)});
    auto learned = take<record_pull::learned>();
    REQUIRE(learned.size() == 1);
    CHECK(learned.front().what == later);
    CHECK(it.behind() == 0);
    CHECK(shows(two).size() == 3);
    hear(two, head); // late
    CHECK(it.behind() == 0);
  }
}

TEST_CASE_METHOD(asking_node, "a later life takes the place of the one before",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  owner again{2, 2};
  again.say("z");
  auto later = again.state();
  hear(again, later);
  auto what = asked();
  CHECK(what.what == std::vector<cluster::record_wish>{{two.who, 2, 0}});
  SECTION("and a life never goes back") {
    answer({two.page(head)});
    CHECK(shows(two) == words{"a 0"});
    bring(again, later);
    hear(two, head);
  }
  SECTION("once it has come") {
    answer({again.page(later)});
  }
  CHECK(shows(two) == words{"z 0"});
  CHECK(it.behind() == 0);
}

TEST_CASE_METHOD(asking_node,
                 "of a later life others are asked before the question of the last ends",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  step(record_pull::linked{node_number(3), true});
  hear(two, two.state(), 3);
  CHECK(asked().whom == node_number(3));
  step(record_pull::linked{node_number(3), false});
  step(record_pull::linked{node_number(4), true});
  owner again{2, 2};
  again.say("z");
  hear(again, again.state(), 4);
  pass(50ms);
  auto next = only<record_pull::ask>();
  CHECK(next.whom == node_number(4));
  CHECK(next.what == std::vector<cluster::record_wish>{{two.who, 2, 0}});
  answer({}); // to the question of before
  pass(3s);
  CHECK_FALSE(has_asked()); // as one is open
}

TEST_CASE_METHOD(asking_node, "two lives of one boot are not mixed", "[node][exchange]") {
  owner two{2};
  two.say("a");
  two.say("b", 1);
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  owner twin{2}; // its disk was put back
  twin.times = 5;
  twin.say("b", 2);
  twin.say("c");
  twin.say("c");
  auto other = twin.state();
  hear(twin, other);
  asked();
  answer({twin.page(other, 2)});
  CHECK(asked().what.front().after == 0);
  answer({twin.page(other)});
  CHECK(complaints() == 1);
  CHECK(it.behind() == 1);
  CHECK(it.have(two.who) == nullptr); // others get nothing of it here
}

TEST_CASE_METHOD(asking_node, "a node that says nothing any more needs no question",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  two.take_back("a");
  hear(two, two.state());
  CHECK(it.behind() == 0);
  CHECK(shows(two).empty());
  CHECK_FALSE(it.next_deadline());
}

TEST_CASE_METHOD(asking_node, "many records come page by page", "[node][exchange]") {
  owner two{2};
  for (auto each = 0; each < 10'000; ++each)
    two.say("a" + std::to_string(each));
  auto head = two.state();
  hear(two, head);
  auto pages = 0;
  asked();
  for (auto after = std::uint64_t{0}; it.behind() > 0 && pages < 1'000; ++pages) {
    CHECK(shows(two).empty()); // nothing before it is complete
    CHECK(last.what.front().after == after);
    auto page = two.page(head, after, 256 << 10U);
    after = page.page.upto;
    it.step(now, last.id, record_pull::answered{std::vector{page}}, out);
    if (auto next = take<record_pull::ask>(); !next.empty())
      last = next.front();
  }
  CHECK(it.flaws().empty());
  CHECK(pages > 5);
  CHECK(shows(two).size() == 10'000);
}

TEST_CASE_METHOD(asking_node, "what changes while pages come is no harm", "[node][exchange]") {
  owner two{2};
  for (auto each = 0; each < 10; ++each)
    two.say("a" + std::to_string(each));
  auto head = two.state();
  hear(two, head);
  asked();
  answer({two.page(head, 0, 1'000)});
  auto next = take<record_pull::ask>();
  REQUIRE(next.size() == 1);
  last = next.front();
  two.take_back("a0");
  two.say("a1", 5);
  head = two.state();
  hear(two, head);
  answer({two.page(head, last.what.front().after)});
  CHECK(it.behind() == 0);
  CHECK(shows(two).size() == 9);
}

// -- bounds ------------------------------------------------------------------------------

TEST_CASE("so many statements are remembered while records come", "[node][exchange]") {
  asking_node a{{.max_heads = 2}};
  owner two{2};
  for (auto each = 0; each < 5; ++each) {
    two.say("a", static_cast<std::uint32_t>(each));
    a.hear(two, two.state());
  }
  CHECK(a.it.flaws().empty());
  a.bring(two, two.state());
  CHECK(a.it.behind() == 0);
}

TEST_CASE("what has come and is not complete is bounded", "[node][exchange]") {
  asking_node a{{.max_staged = 1'000}};
  owner two{2};
  for (auto each = 0; each < 10; ++each)
    two.say("a" + std::to_string(each));
  auto head = two.state();
  a.hear(two, head);
  a.bring(two, head);
  CHECK(a.complaints() == 1);
  CHECK(a.it.behind() == 1);
  CHECK(a.shows(two).empty());
}

TEST_CASE("a question asks about so many nodes", "[node][exchange]") {
  asking_node a{{.max_asked = 2}};
  a.step(record_pull::linked{node_number(99), true});
  std::vector<owner> all;
  for (auto each = 2; each < 5; ++each) {
    auto& one = all.emplace_back(each);
    one.say("a");
    a.hear(one, one.state(), 99);
  }
  CHECK(a.asked().what.size() == 2);
  a.answer({});
  CHECK(a.asked().what.size() <= 2);
}

} // namespace record_pull_test
