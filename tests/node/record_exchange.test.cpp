#include "troupe/cluster/record_exchange.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/take.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/sim/world/swim_member.hpp"

namespace record_exchange_test {

using namespace std::literals;
using namespace troupe;
using cluster::exchange_options;
using cluster::record_exchange;
using cluster::signed_statement;
using cluster::told_records;
using registry::record;
using registry::record_kind;

namespace {

public_key key_number(int number) {
  public_key made;
  made.bytes.front() = static_cast<std::byte>(number + 1);
  return made;
}

node_id node_number(int number) {
  return id_of(key_number(number));
}

/// A node that says something of itself.
class owner {
public:
  explicit owner(int which, boot_number boot = 1)
    : number(which), who(node_number(which)), book(to_string(who), boot) {
    registry::effects none;
    table.step({}, 0, registry::configure{registry::registry_options{}, 0}, none);
  }

  void say(const std::string& name, std::uint32_t load = 0) {
    record made;
    made.key = {record_kind::agent, name + '@' + to_string(who), {}};
    made.load = load;
    put(book.put(made));
  }

  void take_back(const std::string& name) {
    put(*book.remove(record_kind::agent, name + '@' + to_string(who)));
  }

  void put(const record& what) {
    registry::effects none;
    table.step({}, 0, registry::put_records{{what}}, none);
  }

  /// Signed anew.
  signed_statement state() {
    registry::set_digest whole;
    table.for_each_of(to_string(who), [&](auto&, auto& each) { whole.add(each); });
    return sign({who, {book.boot(), ++times}, false, "p:1", {book.version(), whole.finish()}});
  }

  [[nodiscard]] signed_statement sign(const cluster::statement& what) const {
    return {what, sim::sign_with(key_number(number), cluster::to_be_signed(what))};
  }

  [[nodiscard]] told_records page(const signed_statement& of, std::uint64_t after = 0,
                                  std::size_t room = 1'000'000) const {
    return {of, registry::page_of(*table.records_of(to_string(who), book.boot()), after, room)};
  }

  int number;
  node_id who;
  registry::own_records book;
  registry::record_table table;
  std::uint32_t times = 0;
};

/// Node 0, which asks others.
struct asking {
  explicit asking(exchange_options how = {})
    : it(node_number(0), how, table, &sim::is_signed_with) {
    registry::effects none;
    table.step({}, 0, registry::configure{registry::registry_options{}, 0}, none);
  }

  void step(record_exchange::event what, request_id id = 0) {
    it.step(now, id, std::move(what), out);
    CHECK(it.flaws() == std::vector<std::string>{});
  }

  void pass(duration span) {
    auto end = now + span;
    while (it.next_deadline() && *it.next_deadline() <= end) {
      now = std::max(now, *it.next_deadline());
      it.tick(now, out);
      CHECK(it.flaws() == std::vector<std::string>{});
    }
    now = end;
  }

  void hear(const owner& of, const signed_statement& what, int from = -1) {
    step(
      record_exchange::heard{what, key_number(of.number), from < 0 ? of.who : node_number(from)});
  }

  /// The one question that is asked now, or next.
  record_exchange::ask asked() {
    auto all = test::take<record_exchange::ask>(out);
    while (all.empty() && it.next_deadline()) {
      pass(*it.next_deadline() - now);
      all = test::take<record_exchange::ask>(out);
    }
    REQUIRE(all.size() == 1);
    last = all.front();
    return last;
  }

  void answer(std::vector<told_records> what) {
    step(record_exchange::answered{std::move(what)}, last.id);
  }

  /// All that the owner says, from there on.
  void bring(const owner& of, const signed_statement& head) {
    auto what = asked();
    REQUIRE(what.what.size() == 1);
    answer({of.page(head, what.what.front().after)});
  }

  [[nodiscard]] bool has_asked() {
    return !test::take<record_exchange::ask>(out).empty();
  }

  [[nodiscard]] std::size_t complaints() {
    return test::take<record_exchange::complain>(out).size();
  }

  /// What is shown of that node, by loads.
  [[nodiscard]] std::vector<std::string> shows(const owner& of) const {
    std::vector<std::string> found;
    table.for_each_of(to_string(of.who), [&](const record& each, auto&) {
      found.push_back(each.key.name.substr(0, each.key.name.find('@')) + ' '
                      + std::to_string(each.load));
    });
    return found;
  }

  registry::record_table table;
  record_exchange it;
  record_exchange::effects out;
  record_exchange::ask last{};
  time_point now{1h};
};

using words = std::vector<std::string>;

} // namespace

// -- asking ------------------------------------------------------------------------------

TEST_CASE_METHOD(asking, "what a member says is asked for, and then what has changed",
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
  CHECK(test::take<record_exchange::merged>(out).size() == 1);
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

TEST_CASE_METHOD(asking, "one question asks about all that is new", "[node][exchange]") {
  owner two{2};
  owner three{3};
  two.say("a");
  three.say("a");
  step(record_exchange::linked{node_number(9), true});
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

TEST_CASE_METHOD(asking, "who is linked is asked first: the node, who has told, then others",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  std::set<node_id> whom;
  SECTION("the node itself") {
    for (auto each : {2, 3, 4})
      step(record_exchange::linked{node_number(each), true});
    hear(two, head, 3);
    CHECK(asked().whom == two.who);
  }
  SECTION("who has told") {
    for (auto each : {3, 4})
      step(record_exchange::linked{node_number(each), true});
    hear(two, head, 3);
    CHECK(asked().whom == node_number(3));
    for (auto tries = 0; tries < 6; ++tries) {
      step(record_exchange::answered{}, last.id);
      whom.insert(asked().whom);
    }
    CHECK(whom.contains(two.who)); // at last without a link
    CHECK(whom.contains(node_number(4)));
  }
  SECTION("those with a link three times, and then one that takes a link first") {
    step(record_exchange::linked{node_number(5), true});
    hear(two, head);
    for (auto tries = 1; tries <= 8; ++tries) {
      CHECK(asked().whom == (tries % 4 == 0 ? two.who : node_number(5)));
      step(record_exchange::answered{}, last.id);
    }
  }
  SECTION("all that have a link, if the node and who has told have none") {
    auto count = GENERATE(2, 3, 4, 5);
    for (auto each = 0; each < count; ++each)
      step(record_exchange::linked{node_number(3 + each), true});
    auto teller = GENERATE(2, 9);
    hear(two, head, teller);
    for (auto tries = 0; tries < 4 * count; ++tries) {
      whom.insert(asked().whom);
      step(record_exchange::answered{std::vector<told_records>{}}, last.id);
    }
    for (auto each = 0; each < count; ++each)
      CHECK(whom.contains(node_number(3 + each)));
  }
  SECTION("all that have a link, also beside the node") {
    auto count = GENERATE(2, 3, 4, 5);
    for (auto each = 0; each < count; ++each)
      step(record_exchange::linked{node_number(2 + each), true});
    hear(two, head, 9);
    for (auto tries = 0; tries < 4 * count; ++tries) {
      whom.insert(asked().whom);
      step(record_exchange::answered{std::vector<told_records>{}}, last.id);
    }
    for (auto each = 0; each < count; ++each)
      CHECK(whom.contains(node_number(2 + each)));
  }
  SECTION("of two with a link each at every other try") {
    auto teller = GENERATE(3, 5);
    for (auto each : {3, 5})
      step(record_exchange::linked{node_number(each), true});
    hear(two, head, teller);
    for (auto tries = 0; tries < 3; ++tries) {
      CHECK(asked().whom == node_number(tries % 2 == 0 ? teller : 8 - teller));
      step(record_exchange::answered{std::vector<told_records>{}}, last.id);
    }
  }
  SECTION("the node itself at every other try") {
    for (auto each : {2, 3, 4, 5})
      step(record_exchange::linked{node_number(each), true});
    hear(two, head, 3);
    std::vector<node_id> all;
    for (auto tries = 0; tries < 6; ++tries) {
      all.push_back(asked().whom);
      step(record_exchange::answered{}, last.id);
    }
    CHECK(std::ranges::count(all, two.who) == 3);
    CHECK(std::set(all.begin(), all.end()).size() > 2);
  }
  SECTION("the node itself, as soon as there is a link") {
    hear(two, head, 3);
    for (auto tries = 0; tries < 8; ++tries)
      asked(), step(record_exchange::answered{}, last.id);
    step(record_exchange::linked{node_number(7), true});
    step(record_exchange::linked{two.who, true});
    pass(50ms);
    auto what = test::take<record_exchange::ask>(out);
    REQUIRE(what.size() == 1);
    CHECK(what.front().whom == two.who);
  }
}

TEST_CASE_METHOD(asking,
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
    step(record_exchange::answered{std::vector{two.page(head)}}, old); // after it was given up
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
    step(record_exchange::gone{two.who});
    answer({});
    two.say("b");
    hear(two, two.state());
    pass(50ms);
    CHECK(has_asked());
  }
}

TEST_CASE_METHOD(asking, "of who is gone others are asked, some times", "[node][exchange]") {
  owner two{2};
  two.say("a");
  step(record_exchange::linked{node_number(3), true});
  hear(two, two.state(), 3);
  step(record_exchange::gone{two.who});
  auto tries = 0;
  for (; it.next_deadline() && tries < 100; ++tries) {
    CHECK(asked().whom == node_number(3));
    answer({});
  }
  CHECK(tries == 9);
  SECTION("and of who is forgotten nobody") {
    step(record_exchange::forgotten{two.who});
    CHECK(it.behind() == 0);
  }
}

TEST_CASE_METHOD(asking, "what is forgotten while it is asked for does not come",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  hear(two, head);
  asked();
  step(record_exchange::forgotten{two.who});
  answer({two.page(head)});
  CHECK(shows(two).empty());
  CHECK_FALSE(it.next_deadline());
}

// -- what comes --------------------------------------------------------------------------

TEST_CASE_METHOD(asking, "what is not what the node has signed is not merged", "[node][exchange]") {
  owner two{2};
  two.say("a");
  two.say("b");
  auto head = two.state();
  step(record_exchange::linked{node_number(3), true});
  hear(two, head, 3);
  auto liar = asked().whom;
  CHECK(liar == node_number(3));
  auto lie = two.page(head);
  auto is_refused = true;
  SECTION("another record") {
    lie.page.records.front().load = 9;
  }
  SECTION("a record too few") {
    lie.page.records.pop_back();
  }
  SECTION("a record of another node") {
    lie.page.records.front().key.owner = to_string(node_number(3));
  }
  SECTION("a record of another life") {
    lie.page.records.front().boot = 2;
  }
  SECTION("a record of later") {
    lie.page.records.back().version = 3;
  }
  SECTION("records in another order") {
    std::ranges::reverse(lie.page.records);
  }
  SECTION("an invalid record") {
    lie.page.records.front().load = 0;
    lie.page.records.front().key.name = "";
  }
  SECTION("a statement that is not signed") {
    lie.of.what.records.version = 8;
  }
  SECTION("a page with a gap") {
    lie.page.is_last = false;
    lie.page.upto = 9;
  }
  REQUIRE(is_refused);
  answer({lie});
  CHECK(complaints() == 1);
  CHECK(shows(two).empty());
  CHECK(it.behind() == 1);
  while (asked().whom == liar) // it is not asked again
    FAIL("the liar is asked");
  answer({two.page(head)});
  CHECK(it.behind() == 0);
  CHECK(shows(two).size() == 2);
}

TEST_CASE_METHOD(asking, "if what has changed does not fit, all is asked for", "[node][exchange]") {
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
  auto again = test::take<record_exchange::ask>(out); // at once, and the same member
  REQUIRE(again.size() == 1);
  last = again.front();
  CHECK(last.what.front().after == 0);
  CHECK(complaints() == 0); // removals are forgotten at times
  answer({two.page(head)});
  CHECK(shows(two) == words{"b 0"});
}

TEST_CASE_METHOD(asking, "who knows less is no liar, and who knows more tells that",
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
  SECTION("more") {
    two.say("c");
    auto later = two.state();
    answer({two.page(later, 1)});
    auto learned = test::take<record_exchange::learned>(out);
    REQUIRE(learned.size() == 1);
    CHECK(learned.front().what == later);
    CHECK(it.behind() == 0);
    CHECK(shows(two).size() == 3);
    hear(two, head); // late
    CHECK(it.behind() == 0);
  }
}

TEST_CASE_METHOD(asking, "a later life takes the place of the one before", "[node][exchange]") {
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

TEST_CASE_METHOD(asking, "two lives of one boot are not mixed", "[node][exchange]") {
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
  step(record_exchange::asked{{{two.who, 0, 0}}}, 4); // others get nothing of it here
  auto told = test::take<record_exchange::reply>(out);
  REQUIRE(told.size() == 1);
  CHECK(told.front().what.empty());
}

TEST_CASE_METHOD(asking, "a node that says nothing any more needs no question",
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

TEST_CASE_METHOD(asking, "many records come page by page", "[node][exchange]") {
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
    it.step(now, last.id, record_exchange::answered{std::vector{page}}, out);
    if (auto next = test::take<record_exchange::ask>(out); !next.empty())
      last = next.front();
  }
  CHECK(it.flaws().empty());
  CHECK(pages > 5);
  CHECK(shows(two).size() == 10'000);
}

TEST_CASE_METHOD(asking, "what changes while pages come is no harm", "[node][exchange]") {
  owner two{2};
  for (auto each = 0; each < 10; ++each)
    two.say("a" + std::to_string(each));
  auto head = two.state();
  hear(two, head);
  asked();
  answer({two.page(head, 0, 1'000)});
  auto next = test::take<record_exchange::ask>(out);
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
  asking a{{.max_heads = 2}};
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
  asking a{{.max_staged = 1'000}};
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
  asking a{{.max_asked = 2}};
  a.step(record_exchange::linked{node_number(99), true});
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

// -- what this node says, and tells ------------------------------------------------------

TEST_CASE("a node says at once that its records have changed, then at times", "[node][exchange]") {
  asking a;
  owner self{0};
  auto change = [&](const std::string& name) {
    self.say(name);
    registry::effects none;
    auto what = *self.book.find(record_kind::agent, name + '@' + to_string(self.who));
    a.table.step(a.now, 0, registry::put_records{{what}}, none);
    a.step(record_exchange::changed{1, self.book.version()});
  };
  auto head = [&]() -> std::optional<registry::records_head> {
    auto all = test::take<record_exchange::restate>(a.out);
    CHECK(all.size() <= 1);
    return all.empty() ? std::nullopt : std::optional{all.front().what};
  };
  auto told = [&](std::uint64_t after = 0) {
    a.step(record_exchange::asked{{{self.who, 1, after}}}, 7);
    return test::take<record_exchange::reply>(a.out).front().what;
  };
  change("a");
  auto first = head();
  REQUIRE(first);
  auto said = self.state();
  CHECK(*first == said.what.records);
  CHECK(told().empty()); // it is not signed yet
  change("b");
  CHECK_FALSE(head()); // one at a time
  a.step(record_exchange::spoke{said});
  REQUIRE(told().size() == 1);
  CHECK(told().front().page.records.size() == 1); // as it was said, and not what has changed since
  a.pass(100ms - 1ms);
  CHECK_FALSE(head());
  a.pass(1ms);
  auto second = head();
  REQUIRE(second);
  CHECK(second->version == 2);
  CHECK(a.it.said_version() == 1);
  a.step(record_exchange::spoke{self.state()});
  CHECK(a.it.said_version() == 2);
  CHECK(told().front().page.records.size() == 2);
  CHECK(told(1).front().page.records.size() == 1);
  SECTION("and no more") {
    a.pass(1min);
    CHECK_FALSE(head());
    a.step(record_exchange::hurry{});
    CHECK_FALSE(head());
  }
  SECTION("at once when somebody begins to know it") {
    change("c");
    CHECK_FALSE(head());
    a.step(record_exchange::hurry{});
    CHECK(head()->version == 3);
  }
  SECTION("at once after what is being signed, when somebody begins to know it") {
    a.pass(100ms);
    change("c");
    CHECK(head()->version == 3);
    auto third = self.state();
    change("d");
    a.step(record_exchange::hurry{});
    CHECK_FALSE(head());
    a.step(record_exchange::spoke{third});
    CHECK(head()->version == 4);
    auto fourth = self.state();
    change("e");
    a.step(record_exchange::spoke{fourth});
    CHECK_FALSE(head()); // nobody hurries
  }
}

TEST_CASE_METHOD(asking, "what a node has of others it tells as they have signed it",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  two.say("b");
  auto head = two.state();
  hear(two, head);
  auto told = [&](cluster::record_wish what) {
    step(record_exchange::asked{{what}}, 7);
    return test::take<record_exchange::reply>(out).front().what;
  };
  CHECK(told({two.who, 1, 0}).empty()); // it has none yet
  bring(two, head);
  auto all = told({two.who, 0, 0});
  REQUIRE(all.size() == 1);
  CHECK(all.front() == two.page(head));
  CHECK(told({two.who, 1, 1}).front().page.records.size() == 1);
  CHECK(told({two.who, 2, 1}).front().page.after == 0); // of another life: from the beginning
  CHECK(told({two.who, 1, 9}).front().page.after == 0);
  CHECK(told({node_number(8), 1, 0}).empty());
}

TEST_CASE("an answer holds so much", "[node][exchange]") {
  asking a{{.max_answer = 1'000}};
  std::vector<cluster::record_wish> wishes;
  for (auto each = 2; each < 6; ++each) {
    owner one{each};
    for (auto name : {"a", "b", "c", "d", "e", "f"})
      one.say(name);
    auto head = one.state();
    a.hear(one, head);
    a.bring(one, head);
    wishes.push_back({one.who, 1, 0});
  }
  a.step(record_exchange::asked{wishes}, 7);
  auto told = test::take<record_exchange::reply>(a.out).front().what;
  REQUIRE(told.size() == 4);
  CHECK_FALSE(told.front().page.records.empty());
  CHECK_FALSE(told.front().page.is_last);
  CHECK(told.back().page.records.empty()); // and it says that there is more
  CHECK_FALSE(told.back().page.is_last);
}

} // namespace record_exchange_test
