#include "troupe/cluster/record_pull.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
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

TEST_CASE_METHOD(asking_node, "of members without a link another one is asked once a second",
                 "[node][exchange]") {
  std::vector<owner> all;
  for (auto number : {2, 3, 4})
    all.emplace_back(number).say("a");
  auto dials = [&](duration span) {
    std::vector<node_id> found;
    for (auto end = now + span; now < end; pass(50ms))
      for (auto& each : take<record_pull::ask>())
        if (each.whom != node_number(9))
          found.push_back(each.whom);
        else
          step(record_pull::answered{std::vector<told_records>{}}, each.id);
    return found;
  };
  SECTION("if nobody has a link, each in its turn") {
    for (auto& each : all)
      hear(each, each.state());
    auto asked = dials(3s);
    CHECK(asked.size() == 3);
    CHECK(std::set(asked.begin(), asked.end()) == std::set{all[0].who, all[1].who, all[2].who});
  }
  SECTION("those that have one are asked in between") {
    step(record_pull::linked{node_number(9), true});
    for (auto& each : all)
      hear(each, each.state());
    auto asked = dials(1s);
    CHECK(asked.size() == 1);
    asked = dials(9s);
    CHECK(asked.size() <= 9);
    CHECK(asked.size() >= 2);
  }
}

TEST_CASE_METHOD(asking_node, "who cannot be reached leaves others without a link their turn",
                 "[node][exchange]") {
  step(record_pull::linked{node_number(30), true});
  std::vector<owner> all;
  auto count = GENERATE(2, 3, 12);
  auto dial_takes = GENERATE(0ms, 5ms, 4s);
  for (auto number = 2; number < 2 + count; ++number)
    all.emplace_back(number).say("a");
  for (auto& each : all)
    hear(each, each.state());
  std::map<node_id, int> dialled;
  std::multimap<time_point, request_id> open;
  for (auto end = now + 60s; now < end; pass(1ms)) {
    while (!open.empty() && open.begin()->first <= now) {
      auto id = open.begin()->second;
      open.erase(open.begin());
      step(record_pull::answered{}, id);
    }
    for (auto& each : take<record_pull::ask>())
      if (each.whom != node_number(30)) {
        ++dialled[each.whom];
        open.emplace(now + dial_takes, each.id);
      } else {
        open.emplace(now, each.id);
      }
  }
  for (auto& each : all) {
    INFO(each.number << " of " << count << " after " << dial_takes.count());
    CHECK(dialled[each.who] > 0);
  }
}

TEST_CASE_METHOD(asking_node, "who has too many records does not keep others from being dialled",
                 "[node][exchange]") {
  registry::effects none;
  registry::registry_options how;
  how.max_records = 10;
  table.step(now, 0, registry::configure{how, 0}, none);
  step(record_pull::linked{node_number(9), true});
  owner two{2};
  owner three{3};
  std::map<node_id, signed_statement> it_said;
  for (auto* each : {&two, &three}) {
    for (auto number = 0; number < 7; ++number)
      each->say("a" + std::to_string(number));
    it_said[each->who] = each->state();
    hear(*each, it_said[each->who]);
  }
  std::map<node_id, int> dialled;
  auto go_on = [&](duration span, const owner* told) {
    for (auto end = now + span; now < end; pass(1ms))
      for (auto& each : take<record_pull::ask>()) {
        std::vector<told_records> found;
        for (auto& about : each.what)
          if (told != nullptr && about.owner == told->who && about.after == 0)
            found.push_back(told->page(it_said.at(about.owner)));
        if (each.whom != node_number(9))
          ++dialled[each.whom];
        step(record_pull::answered{std::move(found)}, each.id);
      }
  };
  while (dialled.empty())
    go_on(1ms, nullptr);
  auto& first = dialled.contains(two.who) ? two : three;
  auto& other = dialled.contains(two.who) ? three : two;
  go_on(800ms, &other); // which has missed its turn, and has been heard of before the next one
  REQUIRE(shows(other).size() == 5);
  dialled.clear();
  go_on(12s, nullptr);
  CHECK(dialled[first.who] > 0);
}

TEST_CASE_METHOD(asking_node, "the longer answers take, the longer the next question waits",
                 "[node][exchange]") {
  owner two{2};
  std::uint32_t load = 0;
  step(record_pull::linked{two.who, true});
  auto waits = [&](duration took) {
    two.say("a", ++load);
    auto head = two.state();
    hear(two, head);
    auto began = now;
    auto what = asked();
    auto waited = now - began;
    pass(took);
    answer({two.page(head, what.what.front().after)});
    CHECK(it.behind() == 0);
    return waited;
  };
  CHECK(waits(10ms) == 50ms);
  CHECK(waits(200ms) == 50ms);
  CHECK(waits(200ms) == 205ms); // half of what there was, and 200 ms
  CHECK(waits(3s) == 302'500us);
  CHECK(waits(0s) == 1s); // at most
  CHECK(waits(0s) == 500ms);
  pass(1s);
  CHECK(waits(0s) == 50ms);
}

TEST_CASE_METHOD(asking_node, "where news follows news of many nodes, few questions ask about all",
                 "[node][exchange]") {
  struct started {
    owner who;
    signed_statement head;
    time_point heard;
  };
  std::map<node_id, started> all;
  auto questions = 0;
  duration longest{};
  step(record_pull::linked{node_number(999), true});
  auto start = [&](int number) {
    owner one{number};
    one.say("a");
    auto head = one.state();
    hear(one, head, 999);
    all.emplace(one.who, started{std::move(one), head, now});
  };
  auto rest = [&](duration span) {
    for (auto end = now + span; now < end;) {
      pass(5ms);
      for (auto& question : take<record_pull::ask>()) {
        ++questions;
        std::vector<told_records> what;
        for (auto& wish : question.what)
          if (auto found = all.find(wish.owner); found != all.end()) {
            what.push_back(found->second.who.page(found->second.head, wish.after));
            longest = std::max(longest, now - found->second.heard);
          }
        step(record_pull::answered{what}, question.id);
      }
    }
  };
  auto start_many = [&](int first, int count = 150) {
    questions = 0;
    for (auto each = first; each < first + count; ++each) {
      start(each);
      rest(20ms);
    }
    rest(1s);
  };
  SECTION("a few are asked about one by one") {
    for (auto each = 1; each <= 8; ++each) {
      start(each);
      rest(60ms);
    }
    CHECK(questions == 8);
    CHECK(longest <= 55ms);
  }
  SECTION("many together, none later than a second") {
    start_many(1);
    CHECK(it.behind() == 0);
    CHECK(questions <= 24); // in 3 s
    CHECK(longest <= 1'005ms);
    SECTION("and the first after a rest soon") {
      rest(1s);
      longest = {};
      start(200);
      rest(1s);
      CHECK(longest <= 55ms);
    }
  }
  SECTION("none later than that, however many they are") {
    start_many(1, 300);
    CHECK(longest <= 1'005ms);
  }
  SECTION("one that says more while it is asked about keeps no other waiting") {
    start_many(1);
    rest(2s);
    step(record_pull::linked{node_number(998), true});
    owner loud{500};
    for (auto each = 0U; each < 25; ++each) {
      loud.say("a", each);
      hear(loud, loud.state(), 999);
      pass(10ms);
    }
    CHECK(take<record_pull::ask>().size() == 1); // without an answer
    owner other{501};
    other.say("a");
    hear(other, other.state(), 998);
    pass(50ms);
    CHECK(only<record_pull::ask>().whom == node_number(998));
  }
  SECTION("what is tried again goes with them") {
    std::vector<owner> unknown; // nobody has their records
    for (auto each = 500; each < 520; ++each) {
      unknown.emplace_back(each).say("a");
      hear(unknown.back(), unknown.back().state(), 999);
      rest(20ms);
    }
    start_many(1);

    CHECK(questions <= 28);
  }
}

TEST_CASE_METHOD(asking_node,
                 "while others know nothing of those that start, questions become fewer",
                 "[node][exchange]") {
  step(record_pull::linked{node_number(9), true});
  auto questions = [&](int first) {
    auto asked = 0;
    for (auto each = first; each < first + 50; ++each) {
      owner one{each};
      one.say("a");
      hear(one, one.state());
      pass(100ms);
      for (auto& question : take<record_pull::ask>()) {
        asked += question.whom == node_number(9) ? 1 : 0;
        step(record_pull::answered{std::vector<told_records>{}}, question.id);
      }
    }
    return asked;
  };
  CHECK(questions(100) < 20);
  CHECK(questions(200) <= 12);
  owner two{2};
  step(record_pull::linked{two.who, true});
  two.say("a");
  hear(two, two.state());
  auto began = now;
  while (shows(two).empty() && now < began + 5s) {
    pass(50ms);
    for (auto& question : take<record_pull::ask>())
      step(record_pull::answered{question.whom == two.who ? std::vector{two.page(two.state())}
                                                          : std::vector<told_records>{}},
           question.id);
  }
  CHECK(now - began <= 1'100ms);
}

TEST_CASE_METHOD(asking_node, "after a good moment a question that brings nothing costs little",
                 "[node][exchange]") {
  owner two{2};
  step(record_pull::linked{two.who, true});
  auto is_told = [&](owner& of, bool knows) {
    of.say("a");
    auto head = of.state();
    hear(of, head, 2);
    auto began = now;
    auto what = asked();
    answer(knows ? std::vector{of.page(head, what.what.front().after)}
                 : std::vector<told_records>{});
    return now - began;
  };
  for (auto each = 10; each < 22; ++each) { // nobody knows them
    owner stranger{each};
    static_cast<void>(is_told(stranger, false));
    step(record_pull::forgotten{stranger.who});
  }
  CHECK(is_told(two, true) == 1s); // by then they rest for long
  for (auto times = 0; times < 2; ++times)
    CHECK(is_told(two, true) == 50ms);
  owner three{3};
  CHECK(is_told(three, false) == 50ms);
  step(record_pull::forgotten{three.who});
  CHECK(is_told(two, true) <= 200ms);
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
    lie.page.records.front().key.owner = node_number(3);
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

TEST_CASE_METHOD(asking_node, "of a later life a part of what it says counts", "[node][exchange]") {
  owner two{2};
  for (auto each : {"a", "b", "c"})
    two.say(each);
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  owner anew{2, 2};
  anew.say("a", 1);
  auto early = anew.state();
  auto told = anew.page(early);
  anew.say("b", 1);
  hear(anew, anew.state(), 3);
  static_cast<void>(asked());
  answer({told}); // by one that has not heard the rest
  CHECK(shows(two) == words{"a 1"});
  CHECK(it.behind() == 1);
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
  step(record_pull::linked{node_number(5), true}); // whom it could ask as well
  owner again{2, 2};
  again.say("z");
  hear(again, again.state(), 4);
  pass(50ms);
  auto next = only<record_pull::ask>();
  CHECK(next.whom == node_number(4)); // who has told of it
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
  CHECK(it.behind() == 0);
  CHECK(shows(two) == words{"b 2", "c 0"});
  CHECK(*it.have(two.who) == other);
}

TEST_CASE_METHOD(asking_node, "who says less than before in the same life is shown so",
                 "[node][exchange]") {
  owner two{2};
  for (auto each : {"a", "b", "c"})
    two.say(each);
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  owner twin{2}; // its disk was put back
  twin.times = 5;
  twin.say("b", 2);
  auto other = twin.state();
  hear(twin, other);
  for (auto tries = 0; it.behind() > 0 && tries < 10; ++tries)
    bring(twin, other);
  CHECK(it.behind() == 0);
  CHECK(shows(two) == words{"b 2"});
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

TEST_CASE_METHOD(asking_node, "a statement that nobody has signed hides no later one",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  step(record_pull::linked{node_number(3), true});
  hear(two, head, 3);
  CHECK(asked().whom == node_number(3));
  auto lie = two.page(head); // as the node has signed it, but for the time
  lie.of.what.when.refutation = 1'000'000;
  answer({lie});
  CHECK(complaints() == 1);
  CHECK(take<record_pull::learned>().empty());
  two.say("b");
  auto later = two.state();
  hear(two, later);
  bring(two, later);
  CHECK(shows(two) == words{"a 0", "b 0"});
  CHECK(*it.have(two.who) == later); // and is not handed on
}

TEST_CASE_METHOD(asking_node,
                 "what a node has said before in the same life gives way to what it says now",
                 "[node][exchange]") {
  owner two{2};
  two.say("a", 9);
  two.say("b");
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  owner liar{2}; // it says other things with the same versions
  liar.times = 5;
  liar.say("a", 1);
  liar.say("c");
  auto other = liar.state();
  hear(liar, other);
  for (auto tries = 0; it.behind() > 0 && tries < 10; ++tries)
    bring(liar, other);
  CHECK(shows(two) == words{"a 1", "c 0"});
  CHECK(it.behind() == 0);
  pass(1h);
  CHECK_FALSE(has_asked());
}

TEST_CASE_METHOD(asking_node,
                 "who always has no room for what it is asked does not keep it from coming",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto of_two = two.state();
  owner three{3};
  for (auto each = 0; each < 10'000; ++each)
    three.say("a");
  auto of_three = three.state();
  step(record_pull::linked{node_number(3), true});
  step(record_pull::linked{node_number(4), true});
  hear(two, of_two, 3);
  hear(three, of_three);
  auto is_slow = GENERATE(false, true);
  auto version = std::uint64_t{0};
  auto is_asked_elsewhere = false;
  for (auto tries = 0; tries < 1'000 && !is_asked_elsewhere; ++tries) {
    auto all = take<record_pull::ask>();
    if (all.empty())
      pass(*it.next_deadline() - now);
    for (auto& each : all) {
      auto asks = [&](const owner& of) {
        return std::ranges::any_of(each.what, [&](auto& wish) { return wish.owner == of.who; });
      };
      is_asked_elsewhere = is_asked_elsewhere || (each.whom != node_number(3) && asks(two));
      std::vector<told_records> told;
      if (asks(three)) {
        registry::record one;
        one.key = {registry::record_kind::agent, "a@" + to_string(three.who), three.who};
        one.boot = 1;
        one.version = version + 1;
        told.push_back({of_three, {version, version + 1, false, {one}}});
        ++version;
      }
      if (asks(two) && each.whom == node_number(3))
        told.push_back({of_two, {0, 0, false, {}}});
      pass(is_slow ? 3s : 10ms);
      if (each.whom == node_number(3))
        step(record_pull::answered{told}, each.id);
    }
  }
  CHECK(is_asked_elsewhere);
}

TEST_CASE_METHOD(asking_node, "who tells ever more of a node does not keep others from being asked",
                 "[node][exchange]") {
  owner two{2};
  for (auto each = 0; each < 10'000; ++each)
    two.say("a");
  auto head = two.state();
  step(record_pull::linked{node_number(3), true});
  step(record_pull::linked{node_number(4), true});
  hear(two, head, 3);
  auto begun = now;
  for (auto what = asked(); what.whom == node_number(3) && now < begun + 1min; what = asked()) {
    auto after = what.what.front().after;
    registry::record one;
    one.key = {registry::record_kind::agent, "a@" + to_string(two.who), two.who};
    one.boot = 1;
    one.version = after + 1;
    pass(1s);
    answer({{head, {after, after + 1, false, {one}}}});
  }
  CHECK(last.whom != node_number(3));
  for (auto tries = 0; it.behind() > 0 && tries < 10; ++tries) {
    answer({two.page(head, last.what.front().after)});
    if (it.behind() > 0)
      asked();
  }
  CHECK(shows(two) == words{"a 0"});
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
  a.pass(30s - 1ns);
  CHECK_FALSE(a.has_asked());
  SECTION("and asked for again from time to time") {
    a.pass(1ns);
    CHECK(a.has_asked());
  }
  SECTION("and asked for soon if it is something else") {
    a.hear(two, two.sign(two.state().what));
    a.pass(0s);
    CHECK_FALSE(a.has_asked()); // it is not
    a.step(record_pull::answered{}, a.asked().id);
    a.bring(two, two.state());
    two.take_back("a0");
    a.hear(two, two.state());
    a.pass(50ms);
    CHECK(a.has_asked());
  }
}

TEST_CASE_METHOD(asking_node, "what is no longer among all that a node says is gone",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  two.say("b");
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  two.take_back("a");
  two.say("b", 7);
  head = two.state();
  hear(two, head);
  asked();
  auto whole = two.page(head); // of who has forgotten that it was taken back
  std::erase_if(whole.page.records, [](auto& each) { return each.removed; });
  answer({whole});
  CHECK(shows(two) == words{"b 7"});
  CHECK(it.behind() == 0);
  CHECK(complaints() == 0); // nor is it as if another process spoke for the node
}

TEST_CASE_METHOD(asking_node, "what is kept in part is not handed on", "[node][exchange]") {
  registry::effects none;
  registry::registry_options how;
  how.max_records = 1'100; // one node gets half of them
  table.step(now, 0, registry::configure{how, 0}, none);
  owner two{2};
  for (auto each = 0; each < 600; ++each) // put at 500 at a time, then one by one
    two.say("a" + std::to_string(each));
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  CHECK(complaints() == 1);
  CHECK(shows(two).size() == 550);
  CHECK(it.behind() == 1);
  CHECK(it.have(two.who) == nullptr);
}

TEST_CASE_METHOD(asking_node, "a node of which not all can be kept is shown with what can be",
                 "[node][exchange]") {
  registry::effects none;
  registry::registry_options how;
  how.max_records = 10;
  table.step(now, 0, registry::configure{how, 0}, none);
  owner two{2};
  for (auto each = 0; each < 7; ++each)
    two.say("a" + std::to_string(each));
  registry::record itself;
  itself.key = {registry::record_kind::node, "two", {}};
  two.put(two.book.put(itself));
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  CHECK_THAT(only<record_pull::complain>().what, ContainsSubstring("has 5 of 10 records"));
  CHECK(shows(two) == words{"two 0", "a0 0", "a1 0", "a2 0", "a3 0", "a4 0"});
  CHECK(it.behind() == 1);
  CHECK(it.have(two.who) == nullptr);
}

TEST_CASE_METHOD(asking_node, "what is kept in part does not go back", "[node][exchange]") {
  registry::effects none;
  registry::registry_options how;
  how.max_records = 10;
  table.step(now, 0, registry::configure{how, 0}, none);
  owner two{2};
  two.say("a");
  two.say("b");
  auto early = two.state();
  auto told_early = two.page(early);
  two.take_back("a");
  for (auto each = 0; each < 7; ++each)
    two.say("c" + std::to_string(each));
  auto head = two.state();
  hear(two, head, 3);
  bring(two, head);
  auto kept = shows(two);
  CHECK(kept == words{"b 0", "c0 0", "c1 0", "c2 0", "c3 0"});
  static_cast<void>(asked());
  answer({told_early}); // by one that knows no more
  CHECK(shows(two) == kept);
  CHECK(it.behind() == 1);
}

TEST_CASE_METHOD(asking_node, "who goes on from the pages of another is no liar",
                 "[node][exchange]") {
  owner two{2};
  for (auto each = 0; each < 10; ++each)
    two.say("a" + std::to_string(each));
  auto old = two.state();
  auto whole = two.page(old);
  for (auto each : {3, 4})
    step(record_pull::linked{node_number(each), true});
  auto first = two.page(old, 0, 1'000);
  SECTION("which tells of later") {
    auto rest = two.page(old, 4); // without a0 to a3
    two.say("a0", 5);
    auto head = two.state();
    hear(two, head, 3);
    REQUIRE(asked().whom == node_number(3));
    answer({two.page(head, 0, 1'000)});
    REQUIRE(asked().whom == node_number(3));
    step(record_pull::answered{}, last.id);
    auto next = asked();
    REQUIRE(next.whom == node_number(4));
    REQUIRE(next.what.front().after == rest.page.after);
    answer({rest});
    CHECK(complaints() == 0);
  }
  SECTION("which lies") {
    hear(two, old, 3);
    REQUIRE(asked().whom == node_number(3));
    first.page.records.front().load = 9;
    answer({first});
    REQUIRE(asked().whom == node_number(3));
    step(record_pull::answered{}, last.id);
    auto next = asked();
    REQUIRE(next.whom == node_number(4));
    answer({two.page(old, next.what.front().after)});
    CHECK(complaints() == 0);
  }
  auto again = asked(); // for all of it, alone
  CHECK(again.whom == node_number(4));
  CHECK(again.what.front().after == 0);
  answer({whole});
  CHECK(complaints() == 0);
  CHECK(shows(two).size() == 10);
}

TEST_CASE("who fills the room for what has come is no reason to distrust others",
          "[node][exchange]") {
  asking_node a{{.max_staged = 20'000}};
  owner mad{5};
  for (auto each = 0; each < 100; ++each)
    mad.say("a" + std::to_string(each));
  auto of_mad = mad.state();
  a.hear(mad, of_mad);
  a.asked();
  a.step(record_pull::answered{std::vector{mad.page(of_mad, 0, 17'000)}}, a.last.id);
  a.out.clear(); // it brings no more
  owner two{2};
  for (auto each = 0; each < 20; ++each)
    two.say("a" + std::to_string(each));
  auto head = two.state();
  a.step(record_pull::linked{node_number(3), true});
  a.hear(two, head, 3);
  auto is_asked = std::size_t{0};
  for (auto end = a.now + 1min; a.now < end && a.it.next_deadline();) {
    a.pass(*a.it.next_deadline() - a.now);
    for (auto& each : a.take<record_pull::ask>())
      if (each.what.front().owner == two.who && each.whom == node_number(3)) {
        ++is_asked;
        a.step(record_pull::answered{std::vector{two.page(head, each.what.front().after)}},
               each.id);
      }
  }
  CHECK(is_asked > 0);
  CHECK(a.shows(two).size() == 20);
}

TEST_CASE("who brings no more than half of what has come does not give way", "[node][exchange]") {
  asking_node a{{.max_staged = 20'000}};
  std::vector<owner> all;
  std::vector<signed_statement> heads;
  for (auto each : {2, 3, 4}) {
    auto& one = all.emplace_back(each);
    for (auto agent = 0; agent < 40; ++agent)
      one.say("a" + std::to_string(agent));
    heads.push_back(one.state());
    a.step(record_pull::linked{one.who, true});
    a.hear(one, heads.back());
  }
  a.pass(50ms);
  auto questions = a.take<record_pull::ask>();
  REQUIRE(questions.size() == 3);
  for (auto& each : questions)
    for (std::size_t one = 0; one < all.size(); ++one)
      if (each.whom == all[one].who)
        a.step(record_pull::answered{std::vector{all[one].page(heads[one], 0, 9'000)}}, each.id);
  CHECK(a.complaints() == 1); // of the last
  questions = a.take<record_pull::ask>();
  CHECK(questions.size() == 2);
  for (auto& each : questions)
    for (std::size_t one = 0; one < all.size(); ++one)
      if (each.whom == all[one].who) {
        CHECK(each.what.front().after > 0);
        a.step(record_pull::answered{std::vector{
                 all[one].page(heads[one], each.what.front().after, 9'000)}},
               each.id);
      }
  CHECK(a.it.behind() < 3);
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
