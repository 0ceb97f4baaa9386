#include "troupe/cluster/membership.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "node/swim_fixture.hpp"

#include "support/take.hpp"

namespace membership_test {

using namespace std::literals;
using namespace troupe;
using namespace cluster;
using Names = test::one_member;

namespace {

constexpr auto last_refutation = std::numeric_limits<std::uint32_t>::max();
constexpr auto last_boot = std::numeric_limits<boot_number>::max();

/// The table of a node that hears of a, b, c and d.
struct table {
  explicit table(incarnation when = {5, 0}, const swim_options& how_it_does = {})
    : how(how_it_does), it{id("self"), when, how, &sim::is_signed_with} {
    it.begin("self:1", out);
    sign();
    for (auto* name : {"a", "b", "c", "d"})
      it.introduce(now, {Names::key(name), Names::said(name), false}, out);
    out.clear();
  }

  static node_id id(const std::string& name) {
    return Names::id(name);
  }

  void hear(const std::string& from, const rumour& what,
            membership::channel how_it_came = membership::channel::mail) {
    it.take_in(now, id(from), what, how_it_came, out);
    CHECK(it.flaws().empty());
  }

  void accuse(const std::string& by, const std::string& whom, incarnation when,
              bool is_dead = false) {
    hear(by, accusation{id(whom), when, id(by), is_dead});
  }

  /// `by` suspects it, and it does not contradict in time.
  void bury(const std::string& by, const std::string& whom, incarnation when) {
    accuse(by, whom, when);
    it.end_suspicions(now += 1min, out);
  }

  /// Signs what it wants to say last; returns whether there was anything.
  bool sign() {
    auto wanted = take<membership::sign>();
    if (wanted.empty())
      return false;
    auto text = to_be_signed(wanted.back().what);
    it.stated(now, {wanted.back().what, sim::sign_with(Names::key("self"), text)});
    return true;
  }

  [[nodiscard]] const known_member& of(const std::string& name) const {
    return it.all().at(id(name));
  }

  template <class Effect>
  std::vector<Effect> take() {
    return test::take<Effect>(out);
  }

  swim_options how;
  membership::effects out;
  time_point now{std::chrono::hours{1}};
  membership it;
};

} // namespace

TEST_CASE_METHOD(table, "an accusation counts against the incarnation that it names, and no other",
                 "[node][swim][membership]") {
  hear("b", told_itself{Names::said("a", {2, 2})});
  out.clear();
  for (auto when : {incarnation{2, 1}, incarnation{1, 9}, incarnation{2, 3}, incarnation{3, 0}})
    for (auto is_dead : {false, true})
      accuse("b", "a", when, is_dead);
  CHECK(of("a").is == member_status::alive);
  CHECK(take<membership::shows>().empty());
  accuse("b", "a", {2, 2});
  CHECK(of("a").is == member_status::suspect);
  CHECK(take<membership::suspects>().size() == 1); // an opinion would help
}

TEST_CASE_METHOD(table,
                 "nobody is dead on the word of others, who may lie or be cut off themselves",
                 "[node][swim][membership]") {
  it.introduce(now, {Names::key("e"), Names::said("e"), false}, out);
  for (auto* by : {"b", "c", "d", "e", "b"}) {
    hear("b", accusation{id("a"), {1, 0}, id(by), true});
    CHECK(of("a").is == member_status::suspect);
  }
  auto end = now + how.least_suspicion * how.period; // that they agree leaves it no more
  it.end_suspicions(end - 1ns, out);
  CHECK(of("a").is == member_status::suspect);
  out.clear();
  SECTION("it contradicts in time, and was never dead") {
    hear("b", told_itself{Names::said("a", {1, 1})});
    it.end_suspicions(end, out);
    CHECK(of("a").is == member_status::alive);
  }
  SECTION("it does not, and is dead as this node sees it") {
    it.end_suspicions(end, out);
    auto shown = take<membership::shows>();
    REQUIRE(shown.size() == 1);
    CHECK(shown.front().is == member_status::dead);
    CHECK(shown.front().by == id("self"));
  }
}

TEST_CASE_METHOD(table, "who accuses a node of what it has contradicted learns that at once",
                 "[node][swim][membership]") {
  accuse("a", "self", {5, 0});
  REQUIRE(sign());
  auto said_to = [this](const char* name) {
    swim_mail made{swim_ack{1}, {}};
    it.add_rumours(*it.all().find(id(name)), made);
    return std::ranges::count(made.rumours, rumour{told_itself{*it.own()}});
  };
  accuse("b", "self", {5, 0});
  CHECK(said_to("b") == 1); // not once more, as it is news, too
  while (it.has_news())     // the others have heard of it, and b has missed it
    said_to("c");
  CHECK(said_to("b") == 0);
  for (auto when : {incarnation{5, 0}, incarnation{4, 7}}) {
    accuse("b", "self", when);
    CHECK_FALSE(sign()); // it has said enough
    CHECK_FALSE(it.has_news());
    CHECK(said_to("a") == 0);
    CHECK(said_to("b") == 1);
    CHECK(said_to("b") == 0);
  }
}

TEST_CASE_METHOD(table,
                 "who accuses a node of what it has not contradicted yet is told nothing old",
                 "[node][swim][membership]") {
  while (it.has_news()) {
    swim_mail made{swim_ack{1}, {}};
    it.add_rumours(*it.all().find(id("c")), made);
  }
  accuse("b", "self", {5, 0}); // what it says to that is being signed
  accuse("b", "self", {5, 1}); // a lie, which it could only confirm
  swim_mail made{swim_ack{1}, {}};
  it.add_rumours(*it.all().find(id("b")), made);
  CHECK(made.rumours.empty());
}

TEST_CASE("what a node has contradicted is told only where it fits", "[node][swim][membership]") {
  rumour own = told_itself{Names::said("self", {5, 1}, false, "self:1")};
  auto bare = to_bytes(swim_mail{swim_ack{1}, {}}).size();
  auto is_room = GENERATE(false, true);
  swim_options how;
  how.max_mail = bare + to_bytes(own).size() - (is_room ? 0 : 1);
  table of{{5, 0}, how};
  of.accuse("a", "self", {5, 0});
  REQUIRE(of.sign());
  of.accuse("b", "self", {5, 0});
  of.accuse("b", "a", {1, 0}); // news that is smaller
  swim_mail made{swim_ack{1}, {}};
  of.it.add_rumours(*of.it.all().find(table::id("b")), made);
  REQUIRE(made.rumours.size() == 1);
  CHECK((made.rumours.front() == own) == is_room);
}

TEST_CASE("a node that has said nothing yet has contradicted nobody", "[node][swim][membership]") {
  swim_options how;
  membership it{table::id("self"), {5, 0}, how, &sim::is_signed_with};
  membership::effects out;
  it.introduce({}, {Names::key("b"), Names::said("b"), false}, out);
  auto accuses = [&] {
    it.take_in({}, table::id("b"), accusation{table::id("self"), {4, 0}, table::id("b"), false},
               membership::channel::mail, out);
    swim_mail made{swim_ack{1}, {}};
    it.add_rumours(*it.all().find(table::id("b")), made);
    return made.rumours;
  };
  CHECK(accuses().empty());
  it.begin("self:1", out);
  CHECK(accuses().empty());
}

TEST_CASE_METHOD(table, "only members that take part agree that another one is not heard",
                 "[node][swim][membership]") {
  bury("b", "c", {1, 0});
  hear("b", told_itself{Names::said("d", {1, 0}, true)});
  out.clear();
  auto accused_by = [this](const std::string& by) {
    out.clear();
    hear("b", accusation{id("a"), {1, 0}, id(by), false});
  };
  for (auto* by : {"c", "d", "stranger", "a"}) {
    accused_by(by); // dead, left, no member, the one that it is about
    CHECK(of("a").is == member_status::alive);
  }
  accused_by("self"); // which knows that it has not said so
  CHECK(of("a").is == member_status::alive);
  accused_by("b");
  REQUIRE(of("a").is == member_status::suspect);
  auto end = of("a").dead_at;
  for (auto* by : {"c", "d", "stranger", "a", "self"}) {
    accused_by(by);
    CHECK(of("a").dead_at == end);
  }
}

TEST_CASE("one member that names others as those that agree leaves a suspect its least time",
          "[node][swim][membership]") {
  table it;
  for (auto* name : {"e", "f", "g", "h"})
    it.it.introduce(it.now, {Names::key(name), Names::said(name), false}, it.out);
  auto least = it.how.least_suspicion * it.how.period;
  for (auto refutation = 0U; refutation < 5; ++refutation) { // of each new word of a
    for (auto* by : {"b", "c", "d", "e", "f", "g", "h"})
      it.hear("b", accusation{Names::id("a"), {1, refutation}, Names::id(by), true});
    CHECK(it.of("a").dead_at == it.now + least);
    it.it.end_suspicions(it.now + least - 1ns, it.out);
    REQUIRE(it.of("a").is == member_status::suspect);
    swim_mail mail; // a hears of it with whatever this node sends it
    it.it.add_rumours(*it.it.all().find(Names::id("a")), mail);
    REQUIRE(!mail.rumours.empty());
    CHECK(subject_of(mail.rumours.front()) == Names::id("a"));
    it.hear("a", told_itself{Names::said("a", {1, refutation + 1})});
    CHECK(it.of("a").is == member_status::alive);
  }
}

TEST_CASE_METHOD(table, "what has an address that no host can have is not believed, signed or not",
                 "[node][swim][membership]") {
  std::string longest(max_member_address, 'x');
  hear("b", told_itself{Names::said("a", {2, 0}, false, longest)});
  CHECK(of("a").told.what.when == incarnation{2, 0});
  hear("b", told_itself{Names::said("a", {3, 0}, false, longest + 'x')});
  CHECK(of("a").told.what.when == incarnation{2, 0});
  auto complaints = take<membership::complain>();
  REQUIRE(complaints.size() == 1);
  CHECK(complaints.front().of == id("b"));
  it.introduce(now, {Names::key("e"), Names::said("e", {1, 0}, false, longest + 'x'), true}, out);
  CHECK_FALSE(it.all().contains(id("e")));
  CHECK(take<membership::complain>().size() == 1);
  it.introduce(now, {Names::key("e"), Names::said("e", {1, 0}, false, longest), true}, out);
  CHECK(it.all().contains(id("e")));
}

TEST_CASE_METHOD(table, "this node suspects only the life that it has pinged",
                 "[node][swim][membership]") {
  it.suspect(now, id("a"), {1, 1}, out);
  it.suspect(now, id("stranger"), {1, 0}, out);
  CHECK(out.empty());
  it.suspect(now, id("a"), {1, 0}, out);
  CHECK(of("a").is == member_status::suspect);
  CHECK(take<membership::suspects>().empty()); // it has its opinion
  it.leave(out);
  it.suspect(now, id("b"), {1, 0}, out);
  CHECK(of("b").is == member_status::alive);
}

TEST_CASE("at its last incarnation a node neither counts from zero nor is silent about it",
          "[node][swim][membership]") {
  table at{{last_boot, last_refutation - 1}};
  at.accuse("b", "self", {last_boot, last_refutation}); // that has not been
  CHECK_FALSE(at.sign());
  CHECK(at.take<membership::complain>().size() == 1);
  at.accuse("b", "self", {last_boot, last_refutation - 1});
  CHECK(at.take<membership::contradicts>().size() == 1);
  REQUIRE(at.sign());
  CHECK(at.it.own()->what.when == incarnation{last_boot, last_refutation});
  CHECK(at.out.empty());
  at.accuse("b", "self", {last_boot, last_refutation});
  CHECK_FALSE(at.sign());
  CHECK(at.take<membership::contradicts>().empty());
  CHECK(at.take<membership::complain>().size() == 1);
  at.it.move_to("self:2", at.out);
  CHECK_FALSE(at.sign());
  CHECK(at.take<membership::complain>().size() == 1);
  CHECK(at.it.own()->what.when == incarnation{last_boot, last_refutation});
  at.it.leave(at.out);
  REQUIRE(at.sign());
  CHECK(at.it.own()->what.leaves);
}

TEST_CASE_METHOD(table, "the last incarnation of all is no later than itself, and cannot be forged",
                 "[node][swim][membership]") {
  constexpr incarnation last{last_boot, last_refutation};
  auto forged = Names::said("a", last);
  forged.by = {};
  hear("b", told_itself{forged});
  CHECK(of("a").told.what.when == incarnation{1, 0});
  CHECK(take<membership::complain>().size() == 1);
  hear("b", told_itself{Names::said("a", last)});
  CHECK(of("a").told.what.when == last);
  for (auto when : {incarnation{0, 0}, incarnation{1, 1}, incarnation{last_boot, 0}})
    hear("b", told_itself{Names::said("a", when)});
  CHECK(of("a").told.what.when == last);
  bury("b", "a", last);
  CHECK(of("a").is == member_status::dead);
  hear("b", told_itself{Names::said("a", last)}); // nothing later
  CHECK(of("a").is == member_status::dead);
}

TEST_CASE("ten thousand members that are none cost a bounded number of questions",
          "[node][swim][membership]") {
  table it; // with room for 1,000
  for (auto each = 0; each < 10'000; ++each) {
    auto name = "bogus" + std::to_string(each);
    it.it.take_in(it.now, Names::id("b"), told_itself{Names::said(name)},
                  membership::channel::comparison, it.out);
    it.it.take_in(it.now, Names::id("b"), accusation{Names::id(name), {1, 0}, Names::id("b"), true},
                  membership::channel::comparison, it.out);
  }
  CHECK(it.it.flaws().empty());
  CHECK(it.it.all().size() == 4);
  CHECK(it.take<membership::ask>().size() == 1'000);
  CHECK(it.out.empty());
  it.now += 5 * it.how.period; // whoever was asked has not answered
  it.hear("c", told_itself{Names::said("e")});
  CHECK(it.take<membership::ask>().size() == 1);
}

TEST_CASE("one that tells of strangers without end leaves room for what others tell",
          "[node][swim][membership]") {
  swim_options how;
  how.max_strangers = 10;
  table full{{5, 0}, how};
  auto asked = [&full](const std::string& from, const std::string& of) {
    full.hear(from, told_itself{Names::said(of)});
    auto found = full.take<membership::ask>();
    REQUIRE(found.size() <= 1);
    CHECK((found.empty() || found.front().from == Names::id(from)));
    return !found.empty();
  };
  for (auto each = 0; each < 100; ++each)
    CHECK(asked("b", "bogus" + std::to_string(each)) == (each < 10));
  CHECK(asked("c", "e")); // takes the place of a bogus one
  CHECK_FALSE(asked("d", "e"));
  for (auto each = 0; each < 100; ++each) { // what b told gave way, and does not come back
    CHECK_FALSE(asked("b", "bogus" + std::to_string(each)));
    CHECK_FALSE(asked("b", "more" + std::to_string(each)));
  }
  auto of_d = 0;
  for (auto each = 0; each < 100; ++each)
    of_d += asked("d", "other" + std::to_string(each)) ? 1 : 0;
  CHECK(of_d == 4); // no more than b has
  CHECK(asked("c", "f"));
  full.now += 5 * full.how.period;
  full.hear("c", told_itself{Names::said("e")});
  CHECK(full.take<membership::ask>().size() == 1); // nobody has answered
}

TEST_CASE("who says different things to different members is found out, and the first word counts",
          "[node][swim][membership]") {
  table one;
  table other;
  auto first = Names::said("a", {2, 0}, false, "here:1");
  auto second = Names::said("a", {2, 0}, false, "there:2");
  one.hear("a", told_itself{first});
  other.hear("a", told_itself{second});
  one.hear("b", told_itself{second});
  other.hear("b", told_itself{first});
  for (auto* each : {&one, &other}) {
    auto complaints = each->take<membership::complain>();
    REQUIRE(complaints.size() == 1);
    CHECK(complaints.front().of == Names::id("a"));
  }
  CHECK(one.of("a").told == first);
  CHECK(other.of("a").told == second);
  auto later = Names::said("a", {2, 1}, false, "here:1"); // all agree again
  for (auto* each : {&one, &other}) {
    each->hear("b", told_itself{later});
    CHECK(each->of("a").told == later);
    CHECK(each->take<membership::complain>().empty());
  }
}

TEST_CASE_METHOD(table, "what is said of the receiver comes first in a mail to it",
                 "[node][swim][membership]") {
  bury("b", "a", {1, 0});
  hear("b", told_itself{Names::said("c", {2, 0})});
  swim_mail mail;
  it.add_rumours(*it.all().find(id("a")), mail);
  REQUIRE(mail.rumours.size() >= 2);
  CHECK(mail.rumours.front() == rumour{accusation{id("a"), {1, 0}, id("self"), true}});
}

TEST_CASE_METHOD(table, "news has a deadline until it is told", "[node][swim][membership]") {
  while (it.has_news()) {
    swim_mail gone;
    it.add_rumours(*it.all().find(id("a")), gone);
  }
  it.is_news_due(now + 1s);
  CHECK_FALSE(it.next_deadline());
  hear("b", told_itself{Names::said("c", {2, 0})});
  CHECK(it.next_deadline() == now + how.news_every);
  CHECK_FALSE(it.is_news_due(now + how.news_every - 1ns));
  CHECK(it.is_news_due(now + how.news_every));
  it.plan_news(now + how.news_every);
  CHECK(it.next_deadline() == now + 2 * how.news_every);
}

TEST_CASE_METHOD(table, "the dead are forgotten with what is told of them",
                 "[node][swim][membership]") {
  bury("b", "a", {1, 0});
  CHECK(it.long_gone(now + how.keep_gone - 1ns).empty());
  REQUIRE(it.long_gone(now + how.keep_gone) == std::vector<node_id>{id("a")});
  it.forget(id("a"), out);
  CHECK(it.flaws().empty());
  swim_mail mail;
  it.add_rumours(*it.all().find(id("b")), mail);
  for (auto& each : mail.rumours)
    CHECK(subject_of(each) != id("a"));
}

// -- records -----------------------------------------------------------------------------

TEST_CASE_METHOD(table, "a member says of its records what they are, each time later",
                 "[node][swim][membership]") {
  registry::records_head head{7, {}};
  it.hold(head, out);
  REQUIRE(sign());
  CHECK(it.own()->what.records == head);
  CHECK(it.own()->what.when == incarnation{5, 1});
  it.hold(head, out); // it has said so
  CHECK_FALSE(sign());
  head.version = 8;
  it.hold(head, out);
  it.stated(now, *it.own()); // of before: it has more to say
  CHECK(it.own()->what.records.version == 7);
  REQUIRE(sign());
  CHECK(it.own()->what.when == incarnation{5, 2});
  it.leave(out);
  REQUIRE(sign());
  head.version = 9;
  it.hold(head, out);
  CHECK_FALSE(sign()); // who goes says no more
}

TEST_CASE("what a member says of its records before it begins is said with the first word",
          "[node][swim][membership]") {
  swim_options how;
  membership it{Names::id("self"), {5, 0}, how, &sim::is_signed_with};
  membership::effects out;
  it.hold({7, {}}, out);
  CHECK(out.empty());
  it.begin("self:1", out);
  auto wanted = test::take<membership::sign>(out);
  REQUIRE(wanted.size() == 1);
  CHECK(wanted.front().what.records.version == 7);
  CHECK(wanted.front().what.when == incarnation{5, 0});
}

TEST_CASE_METHOD(table, "a member hears that it was dead to somebody, in this life",
                 "[node][swim][membership]") {
  auto heard = [this](incarnation when, bool is_dead) {
    out.clear();
    accuse("a", "self", when, is_dead);
    now += how.period;
    return take<membership::was_dead>().size();
  };
  it.hold({7, {}}, out);
  REQUIRE(sign());
  CHECK(heard({5, 0}, true) == 1); // though it has said more since
  CHECK(heard({5, 1}, true) == 1);
  CHECK(heard({5, 0}, false) == 0);
  CHECK(heard({4, 9}, true) == 0);
  SECTION("and takes it for that when who was dead to it is back") {
    bury("b", "a", {1, 0});
    out.clear();
    hear("a", told_itself{Names::said("a", {1, 1})});
    CHECK(take<membership::was_dead>().size() == 1);
  }
}

TEST_CASE_METHOD(table, "that it was dead to somebody a member hears once in a period",
                 "[node][swim][membership]") {
  auto heard = [this] {
    out.clear();
    for (auto* by : {"a", "b", "c"})
      for (auto count = 0; count < 100; ++count)
        accuse(by, "self", {5, 0}, true);
    return take<membership::was_dead>().size();
  };
  CHECK(heard() == 1);
  now += how.period - 1ns;
  CHECK(heard() == 0);
  now += 1ns;
  CHECK(heard() == 1);
}

TEST_CASE_METHOD(table, "a member that meets another life of itself says so",
                 "[node][swim][membership]") {
  auto met = [this](incarnation when) {
    out.clear();
    hear("a", told_itself{Names::said("self", when)});
    auto found = take<membership::met_itself>();
    CHECK(found.size() == take<membership::complain>().size());
    return found.size();
  };
  CHECK(met({5, 0}) == 1); // with another address
  CHECK(met({5, 3}) == 1);
  CHECK(met({9, 0}) == 1);
  CHECK(met({4, 7}) == 0);
  out.clear();
  hear("a", told_itself{*it.own()});
  CHECK(take<membership::met_itself>().empty());
}

// -- the digest --------------------------------------------------------------------------------

TEST_CASE_METHOD(table, "who sees the same has the same digest, in whatever order it has heard it",
                 "[node][swim][membership]") {
  membership other{id("a"), {1, 0}, how, &sim::is_signed_with};
  other.begin("there:1", out);
  other.stated(now, Names::said("a"));
  auto own = *it.own();
  other.introduce(now, {Names::key("d"), Names::said("d", {2, 0}), false}, out);
  other.introduce(now, {Names::key("self"), own, false}, out);
  for (auto* name : {"c", "b"})
    other.introduce(now, {Names::key(name), Names::said(name), false}, out);
  CHECK(it.digest() != other.digest()); // of another life of d
  hear("b", told_itself{Names::said("d", {2, 0})});
  CHECK(it.digest() == other.digest());
  accuse("b", "c", {1, 0}); // which may contradict
  CHECK(it.digest() == other.digest());
  SECTION("it is dead to one of them") {
    it.end_suspicions(now += 1min, out);
    REQUIRE(of("c").is == member_status::dead);
    CHECK(it.digest() != other.digest());
    hear("b", told_itself{Names::said("c", {1, 1})});
    CHECK(it.digest() != other.digest());
    other.take_in(now, id("b"), told_itself{Names::said("c", {1, 1})}, membership::channel::mail,
                  out);
    CHECK(it.digest() == other.digest());
  }
  SECTION("it has left, as one of them has heard") {
    hear("c", told_itself{Names::said("c", {1, 0}, true)});
    CHECK(it.digest() != other.digest());
  }
  SECTION("this node says something new of itself") {
    it.move_to("self:2", out);
    CHECK(it.digest() == other.digest()); // not yet
    sign();
    CHECK(it.digest() != other.digest());
  }
}

} // namespace membership_test
