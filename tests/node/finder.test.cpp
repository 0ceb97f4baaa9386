#include "troupe/cluster/finder.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/seen_effects.hpp"

namespace finder_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::finder;
using cluster::whereabouts;
using net::address;

namespace {

address at(const std::string& host) {
  return {host, 1};
}

const auto a = at("a");
const auto b = at("b");
const auto c = at("c");
const auto d = at("d");

/// The services are on the node that says so, since that revision.
whereabouts here(std::uint64_t revision = 1, cluster::service_handle first = 11) {
  whereabouts made{.handle = first, .revision = revision};
  for (auto& each : cluster::cluster_services)
    made.all[each] = first++;
  made.all[cluster::voters_name] = first;
  return made;
}

whereabouts there(const std::string& host, std::uint64_t revision = 1,
                  std::vector<std::string> others = {}) {
  return {.address = host + ":1", .others = std::move(others), .revision = revision};
}

whereabouts nowhere(std::uint64_t revision = 1, problem why = {},
                    std::vector<std::string> others = {}) {
  return {.others = std::move(others), .revision = revision, .why = std::move(why)};
}

const problem minority{errc::no_quorum, "two of three are missing"};
const problem revoked{errc::denied, "the certificate was revoked"};

cluster::finder_options from(std::vector<address> addresses) {
  return {.addresses = std::move(addresses), .retry = {1s, 1s}, .guide_after = 1h};
}

/// A process that looks for the services.
struct finding : test::seen_effects<finder> {
  explicit finding(cluster::finder_options how) : it(std::move(how), 7, now) {}

  explicit finding(std::vector<address> addresses) : finding(from(std::move(addresses))) {
    start();
  }

  void start(const std::optional<address>& self = std::nullopt) {
    step(finder::start{self});
  }

  void step(finder::event what, request_id id = 0) {
    it.step(now, id, std::move(what), out);
    look();
  }

  /// Runs all that is due meanwhile.
  void pass(duration span) {
    auto until = now + span;
    for (auto due = it.next_deadline(); due && *due <= until; due = it.next_deadline()) {
      now = std::max(now, *due);
      it.tick(now, out);
      look();
    }
    now = until;
  }

  void look() {
    for (auto& each : it.flaws())
      FAIL_CHECK(each);
  }

  request_id dialled(const address& where) {
    auto each = std::ranges::find_if(out, [&](auto& what) {
      auto* one = std::get_if<finder::dial>(&what);
      return one != nullptr && one->where == where;
    });
    REQUIRE(each != out.end());
    auto id = std::get<finder::dial>(*each).id;
    out.erase(each);
    return id;
  }

  /// The node at `where` is reached.
  void link(const address& where, net::connection_id number) {
    step(finder::dialled{number}, dialled(where));
  }

  /// It alone of those that a search dials.
  void reach(const address& where, net::connection_id number) {
    for (auto tries = 0; tries < 10; ++tries) {
      for (auto& each : take<finder::dial>()) {
        if (each.where == where)
          return step(finder::dialled{number}, each.id);
        step(finder::dialled{problem{errc::unreachable, "is closed"}}, each.id);
      }
      pass(1s);
    }
    FAIL("it is not dialled");
  }

  void refuse(const address& where, problem why = {errc::unreachable, "is closed"}) {
    step(finder::dialled{std::move(why)}, dialled(where));
  }

  /// The last question over that link, which is to be held or not.
  finder::ask asked(net::connection_id number, bool is_held = false) {
    for (auto each = out.rbegin(); each != out.rend(); ++each)
      if (auto* one = std::get_if<finder::ask>(&*each);
          one != nullptr && one->link == number && (one->wait > 0s) == is_held) {
        auto found = *one;
        out.erase(std::next(each).base());
        return found;
      }
    FAIL("no such question");
    return {};
  }

  finder::ask held(net::connection_id number) {
    return asked(number, true);
  }

  void answer(const finder::ask& question, result<whereabouts> what) {
    step(finder::heard{std::move(what)}, question.id);
  }

  void answer(net::connection_id number, result<whereabouts> what) {
    answer(asked(number), std::move(what));
  }

  /// Bound to `where` by this link; the question that is held there is in `watch`.
  void bound_to(const address& where, net::connection_id number, std::uint64_t revision = 1) {
    link(where, number);
    answer(number, here(revision));
    CHECK(only<finder::bind>().how.where == where);
    watch = held(number);
    out.clear();
  }

  time_point now{1h};
  finder it;
  finder::ask watch;
};

} // namespace

// -- the search --------------------------------------------------------------------------

TEST_CASE("the services are found by way of a node that shows the way", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  auto question = f.asked(1);
  CHECK(question.known == 0); // all services are wanted
  f.answer(question, there("b", 3, {"c:1"}));
  auto met = f.only<finder::met>();
  CHECK(met.link == 1);
  CHECK(met.where == a);
  f.link(b, 2);
  auto said = here(5);
  said.records["troupe.lock"] = 42;
  f.answer(2, said);
  auto bound = f.only<finder::bind>().how;
  CHECK(bound.link == 2);
  CHECK(bound.where == b);
  CHECK(bound.has_voters);
  CHECK(bound.handles == said.all);
  CHECK(bound.records == said.records);
  CHECK(bound.others == std::vector{a, c, b});
  CHECK(*f.only<finder::point>().where == b);
  CHECK(f.held(2).known == 5);
  CHECK(f.has_none<finder::failed>());
  CHECK(f.has_none<finder::dial>());
}

TEST_CASE("programs' services are bound as well, troupe's other actors are not", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  auto said = here();
  said.all["shop.cart"] = 70;
  said.all["shop.gone"] = 0;
  said.all["troupe.seat"] = 71;
  SECTION("on voters") {}
  SECTION("in the memory of one node") {
    said.all.erase(cluster::voters_name);
  }
  f.answer(1, said);
  auto bound = f.only<finder::bind>().how;
  CHECK(bound.handles.at("shop.cart") == 70);
  CHECK_FALSE(bound.handles.contains("shop.gone"));
  CHECK_FALSE(bound.handles.contains("troupe.seat"));
  CHECK(bound.has_voters == said.all.contains(cluster::voters_name));
}

TEST_CASE("a node that does not have all services is not bound", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  auto said = here();
  auto* missing = GENERATE(cluster::locks_name, cluster::voters_name, cluster::names_name);
  said.all[missing] = 0;
  f.answer(1, said);
  CHECK(f.has_none<finder::bind>());
  CHECK_THAT(f.only<finder::failed>().why.detail, ContainsSubstring("hosts the services no more"));
  f.pass(1s);
  f.link(a, 1);
  f.answer(1, here());
  CHECK(f.only<finder::bind>().how.link == 1);
}

TEST_CASE("addresses are dialled in turn until one answers", "[node][finder]") {
  finding f{{a, b, c}};
  f.refuse(a);
  CHECK(f.only<finder::failed>().why.code == errc::unreachable);
  f.pass(1ms);
  CHECK(f.has_none<finder::dial>()); // after a pause, of a second at most
  f.pass(1s);
  f.refuse(b);
  f.pass(1s);
  f.refuse(c);
  f.pass(1s);
  f.link(a, 1);
}

TEST_CASE("strangers among the addresses delay a search by one time-out each, in whatever order",
          "[node][finder]") {
  auto member = at("member");
  auto silent = at("silent");
  std::map<address, problem> refusals{
    {at("closed"), {errc::unreachable, "is closed"}},
    {at("no node"), {errc::bad_argument, "is no node of troupe"}},
    // Which may say what it likes.
    {at("other CA"), {errc::denied, "refused this side's certificate: that has been revoked"}}};
  std::vector<address> order{member, silent};
  for (auto& [where, why] : refusals)
    order.push_back(where);
  std::ranges::sort(order);
  auto tried = 0;
  do {
    auto how = from(order);
    finding f{how};
    f.start();
    auto is_bound = false;
    while (!is_bound) {
      auto next = f.only<finder::dial>();
      if (next.where == member) {
        f.step(finder::dialled{net::connection_id{1}}, next.id);
        f.answer(1, here());
        is_bound = !f.take<finder::bind>().empty();
        REQUIRE(is_bound);
      } else if (next.where == silent)
        f.pass(how.dial_next_after);
      else
        f.step(finder::dialled{refusals.at(next.where)}, next.id);
      if (!is_bound)
        f.pass(how.retry.max);
    }
    INFO("the first one is " << to_string(order.front()));
    CHECK(f.now <= time_point{1h} + how.dial_next_after + 4 * how.retry.max);
    CHECK(f.has_none<finder::refused>());
    CHECK(f.has_none<finder::without_quorum>());
    ++tried;
  } while (std::ranges::next_permutation(order).found);
  CHECK(tried == 120);
}

TEST_CASE("an address that takes long is passed over, and taken when it comes late",
          "[node][finder]") {
  finding f{{a, b}};
  auto slow = f.dialled(a);
  f.step(finder::resolved{}, slow);
  f.pass(1'500ms - 1ns);
  CHECK(f.has_none<finder::failed>());
  f.pass(1ns);
  auto why = f.only<finder::failed>().why;
  CHECK(why.code == errc::timed_out);
  CHECK_THAT(why.detail, ContainsSubstring("a:1 does not answer"));
  f.pass(1s);
  auto other = f.dialled(b);
  SECTION("while another is dialled") {
    f.step(finder::dialled{net::connection_id{1}}, slow);
    f.answer(1, here());
    CHECK(f.only<finder::bind>().how.where == a);
    f.step(finder::dialled{net::connection_id{2}}, other);
    CHECK(f.has_none<finder::ask>() == false); // the one that is held
    CHECK(f.has_none<finder::bind>());
  }
  SECTION("even in its next turn it is not dialled twice") {
    f.step(finder::dialled{problem{errc::unreachable, "is closed"}}, other);
    f.pass(1s);
    CHECK(f.has_none<finder::dial>());
    f.take<finder::failed>();
    f.step(finder::dialled{problem{errc::unreachable, "gave no greeting"}}, slow);
    auto silent = f.only<finder::failed>().why;
    CHECK(silent.code == errc::timed_out); // it was silent once
    CHECK(silent.detail == "gave no greeting");
  }
  SECTION("a late refusal is no news") {
    f.step(finder::dialled{problem{errc::unreachable, "is closed"}}, slow);
    CHECK(f.out.empty());
  }
}

TEST_CASE("a name that is not found in time is said to be that", "[node][finder]") {
  finding f{{a, b}};
  auto slow = f.dialled(a);
  f.pass(1'500ms);
  auto why = f.only<finder::failed>().why;
  CHECK(why.code == errc::unreachable);
  CHECK_THAT(why.detail, ContainsSubstring("its name is not found yet"));
  SECTION("also where the name servers say so in its next turn") {
    f.pass(1s);
    f.refuse(b);
    f.pass(1s);
    f.take<finder::failed>();
    f.step(finder::dialled{problem{errc::unreachable, "no such name"}}, slow);
    CHECK(f.only<finder::failed>().why.code == errc::unreachable);
  }
}

TEST_CASE("a late link is of no use to who has found the services", "[node][finder]") {
  finding f{{a, b}};
  auto slow = f.dialled(a);
  f.pass(1'500ms + 1s);
  f.bound_to(b, 2);
  SECTION("at rest") {
    f.step(finder::dialled{net::connection_id{1}}, slow);
    CHECK(f.out.empty());
  }
  SECTION("and hears that they have moved") {
    f.answer(f.watch, there("c", 2));
    f.step(finder::dialled{net::connection_id{1}}, slow);
    CHECK(f.has_none<finder::ask>());
  }
}

TEST_CASE("a dial that nobody answers is given up", "[node][finder]") {
  finding f{{a}};
  auto lost = f.dialled(a);
  f.pass(58s);
  CHECK(f.has_none<finder::dial>());
  f.pass(5s);
  auto next = f.dialled(a);
  CHECK(next != lost);
  f.out.clear();
  f.step(finder::dialled{net::connection_id{1}}, lost);
  CHECK(f.out.empty());
  f.step(finder::dialled{net::connection_id{1}}, next);
  f.answer(1, here());
  CHECK(f.only<finder::bind>().how.link == 1);
}

TEST_CASE("dials are given up in time while nothing else is due", "[node][finder]") {
  auto how = from({b, a, c});
  how.check_at_rest = 1h;
  finding f{how};
  f.start();
  auto first = f.now;
  f.dialled(b);
  f.pass(2'500ms);
  f.dialled(a);
  f.pass(2'500ms);
  f.bound_to(c, 3);
  CHECK(f.it.next_deadline() == first + 1min);
}

TEST_CASE("a node that does not answer in time is passed over", "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  auto question = f.asked(1);
  CHECK(question.within == 1'500ms);
  auto how = GENERATE(0, 1, 2);
  if (how == 0)
    f.pass(1'500ms);
  else if (how == 1)
    f.answer(question, problem{errc::failed, "no such actor"});
  else
    f.step(finder::link_down{1});
  auto why = f.only<finder::failed>().why;
  CHECK(why.code == errc::timed_out);
  CHECK_THAT(why.detail, ContainsSubstring("a:1 does not answer"));
  f.pass(1s);
  f.dialled(b);
  // The answer after its question was given up.
  f.answer(question, here());
  CHECK(f.out.empty());
}

TEST_CASE("a node that knows no way is asked until it knows one", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  f.answer(1, nowhere(3));
  CHECK_THAT(f.only<finder::failed>().why.detail,
             ContainsSubstring("a:1 does not know where the services are"));
  auto listens = f.held(1); // the contact is listened to as well
  auto waits = f.held(1);
  if (listens.id < waits.id)
    std::swap(listens, waits);
  CHECK(waits.known == 3);
  CHECK(waits.wait == 1s);
  CHECK(waits.within == 2'500ms);
  SECTION("where they are") {
    f.answer(waits, there("b", 4));
    f.link(b, 2);
    f.answer(2, here());
    CHECK(f.only<finder::bind>().how.where == b);
  }
  SECTION("that they are there, and asks for all") {
    f.answer(waits, whereabouts{.handle = 11, .revision = 4});
    CHECK(f.asked(1).known == 0);
  }
  SECTION("that nothing has changed") {
    f.answer(waits, nowhere(3));
    CHECK_THAT(f.only<finder::failed>().why.detail, ContainsSubstring("knows no node that leads"));
    f.pass(1s);
    f.dialled(a);
  }
  SECTION("still not") {
    f.answer(waits, nowhere(4));
    CHECK(f.only<finder::failed>().why.code == errc::unreachable);
    CHECK(f.held(1).known == 4);
  }
  SECTION("or says nothing") {
    f.answer(waits, problem{errc::busy, "too many wait"});
    CHECK(f.only<finder::failed>().why.code == errc::busy);
    f.pass(1s);
    f.dialled(a);
  }
}

TEST_CASE("who always has news, but no way, keeps nobody from asking others", "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  f.answer(1, GENERATE(nowhere(1), there("a", 1)));
  for (std::uint64_t revision = 2; revision < 10; ++revision) {
    std::vector<finder::ask> asked;
    for (auto& each : f.take<finder::ask>())
      asked.push_back(each);
    for (auto& each : asked)
      f.answer(each, nowhere(revision));
  }
  f.pass(1s);
  f.link(b, 2);
  f.answer(2, here());
  CHECK(f.only<finder::bind>().how.where == b);
}

TEST_CASE("who points to a node that does not answer is asked for another way", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  f.answer(1, there("b", 3));
  f.out.erase(std::remove_if(f.out.begin(), f.out.end(),
                             [](auto& each) { return std::holds_alternative<finder::ask>(each); }),
              f.out.end());
  f.refuse(b);
  auto waits = f.held(1);
  CHECK(waits.known == 3);
  SECTION("unless its link ends") {
    f.step(finder::link_down{1});
    f.pass(1s);
    f.dialled(a);
  }
  SECTION("and that is gone") {
    f.answer(waits, there("c", 4));
    f.link(c, 3);
    f.answer(3, here());
    CHECK(f.only<finder::bind>().how.where == c);
  }
}

TEST_CASE("a way that has lost its link is no way", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  f.answer(1, there("b", 3));
  f.step(finder::link_down{1});
  f.out.erase(f.out.begin(), f.out.end() - 1);
  f.step(finder::dialled{problem{errc::unreachable, {}}}, 2 + 1);
  f.pass(4s);
  CHECK(f.has_none<finder::ask>());
}

TEST_CASE("a way that is lost for a moment is no lasting failure", "[node][finder]") {
  finding f{{a}};
  f.refuse(a); // never found: somebody waits for this
  CHECK(f.only<finder::failed>().lasts);
  f.pass(1s);
  f.bound_to(a, 1);
  f.step(finder::link_down{1});
  auto lost = f.now;
  std::vector<duration> after;
  while (after.empty() || after.back() < 3s) {
    f.pass(1s);
    f.refuse(a);
    auto what = f.only<finder::failed>();
    after.push_back(f.now - lost);
    CHECK(what.lasts == (after.back() >= 2s));
  }
  CHECK(after.front() < 2s);
  f.pass(1s);
  f.bound_to(a, 2);
  f.step(finder::link_down{2});
  f.refuse(a);
  CHECK_FALSE(f.only<finder::failed>().lasts); // it was found in between
}

TEST_CASE("nodes that point to each other are left after three", "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  f.answer(1, there("b"));
  f.link(b, 2);
  f.answer(2, there("a"));
  f.link(a, 1);
  f.answer(1, there("b"));
  f.link(b, 2);
  CHECK(f.has_none<finder::failed>());
  f.answer(2, there("a"));
  CHECK(f.only<finder::failed>().why.code == errc::unreachable);
  CHECK(f.has_none<finder::dial>());
}

TEST_CASE("nodes that point to others are counted anew with each address", "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  f.answer(1, there("b"));
  f.link(b, 2);
  f.answer(2, there("c"));
  f.refuse(c);
  f.step(finder::link_down{2});
  f.pass(1s);
  f.link(b, 2);
  f.answer(2, there("c"));
  f.link(c, 3);
  f.answer(3, there("d"));
  f.link(d, 4);
  f.answer(4, here());
  CHECK(f.only<finder::bind>().how.where == d);
}

TEST_CASE("no node is followed to where it is itself, to this node, or to nowhere",
          "[node][finder]") {
  finding f{from({a})};
  f.start(d);
  f.link(a, 1);
  auto said = GENERATE("a:1"s, "d:1"s, "here"s, ""s);
  f.answer(1, whereabouts{.address = said, .revision = 1});
  CHECK(f.has_none<finder::dial>());
  CHECK(f.only<finder::failed>().why.code == errc::unreachable);
  // Who points to itself will not know better soon.
  f.take<finder::ask>();
  f.pass(1s);
  if (said == "a:1")
    f.dialled(a);
  else
    CHECK(f.has_none<finder::dial>());
}

TEST_CASE("this node is not among those that it asks", "[node][finder]") {
  finding f{from({d, a})};
  f.start(d);
  f.step(finder::learned{{"d:1", "a:1", "nonsense", "b:1"}});
  f.refuse(a);
  f.pass(1s);
  f.refuse(b);
  f.pass(1s);
  f.dialled(a);
}

TEST_CASE("a search begins once there is whom to ask", "[node][finder]") {
  finding f{from({})};
  SECTION("links can be made") {
    f.step(finder::learned{{"a:1"}});
    CHECK(f.out.empty());
    f.start();
  }
  SECTION("an address is known") {
    f.start();
    CHECK_FALSE(f.it.next_deadline());
    f.step(finder::learned{{"a:1"}});
  }
  SECTION("somebody leads") {
    f.step(finder::follow{1, b});
    f.start();
    f.step(finder::follow{1, a});
  }
  f.dialled(a);
}

// -- what is bound -----------------------------------------------------------------------

TEST_CASE("the services are followed when their node says that they have moved", "[node][finder]") {
  finding f{{a}};
  f.bound_to(a, 1, 7);
  CHECK(f.watch.known == 7);
  CHECK(f.watch.wait == 1s);
  CHECK(f.watch.within == 1'500ms);
  SECTION("not while it says that they have not") {
    f.answer(f.watch, whereabouts{.handle = 11, .revision = 8});
    CHECK(f.held(1).known == 8);
    CHECK(f.out.empty());
  }
  SECTION("to another node, and stay bound until they are there") {
    f.answer(f.watch, there("b", 8));
    CHECK(f.has_none<finder::unbind>());
    f.link(b, 2);
    f.answer(2, here());
    CHECK(f.only<finder::bind>().how.where == b);
    CHECK(f.held(2).known == 1);
  }
  SECTION("to other actors of the same node") {
    f.answer(f.watch, whereabouts{.handle = 21, .revision = 8});
    CHECK(f.has_none<finder::unbind>());
    f.link(a, 1);
    f.answer(1, here(8, 21));
    CHECK(f.only<finder::bind>().how.handles.at(cluster::names_name) == 21);
  }
  SECTION("to who says that they are here, which was earlier") {
    finding g{from({a, b})};
    g.start(d);
    g.bound_to(a, 1, 7);
    g.answer(g.watch, there("d", 8));
    CHECK(g.has_none<finder::unbind>());
    g.dialled(b);
  }
  SECTION("to nowhere: their node says where they will be") {
    f.answer(f.watch, nowhere(8, {}, {"c:1"}));
    f.only<finder::unbind>();
    CHECK_FALSE(f.only<finder::point>().where);
    auto listens = f.held(1);
    CHECK(listens.known == 0); // a is the contact
    f.answer(listens, there("c", 9));
    f.link(c, 3);
    f.answer(3, here());
    CHECK(f.only<finder::bind>().how.where == c);
  }
}

TEST_CASE("the node that the services have left becomes the contact if there is none",
          "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  f.answer(1, there("b"));
  f.bound_to(b, 2);
  f.step(finder::link_down{1});
  CHECK(f.take<finder::parted>().size() == 1);
  f.answer(f.watch, nowhere(8, minority));
  auto met = f.only<finder::met>();
  CHECK(met.link == 2);
  CHECK(met.where == b);
  CHECK(f.held(2).known == 8);
}

TEST_CASE("services that turn out to be where they were are not bound anew", "[node][finder]") {
  finding f{{a}};
  f.bound_to(a, 1);
  f.pass(1'500ms); // it was slow
  f.link(a, 1);
  auto said = here(4);
  SECTION("by the same link") {
    f.answer(1, said);
    CHECK(f.take<finder::settled>().size() == 1);
    CHECK(f.has_none<finder::bind>());
    CHECK(f.has_none<finder::point>());
    CHECK(f.held(1).known == 4);
  }
  SECTION("but with other actors they are") {
    said.all[cluster::locks_name] = 99;
    f.answer(1, said);
    CHECK(f.has_none<finder::settled>());
    CHECK(f.only<finder::bind>().how.handles.at(cluster::locks_name) == 99);
  }
}

TEST_CASE("a node that does not say that it is there is passed over for a while",
          "[node][finder]") {
  finding f{{a, b}};
  f.bound_to(a, 1);
  SECTION("after half a second more") {
    f.pass(1'500ms - 1ns);
    CHECK(f.has_none<finder::dial>());
    f.pass(1ns);
  }
  SECTION("when its link fails") {
    f.answer(f.watch, problem{errc::unreachable, "the link is lost"});
  }
  CHECK(f.has_none<finder::unbind>()); // there is nothing better yet
  f.link(b, 2);
  f.answer(2, there("a"));
  CHECK(f.has_none<finder::dial>());
  // b may hear of another leader, and is asked for that.
  for (auto round = 0; round < 5; ++round) {
    f.out.clear();
    f.pass(2'500ms + 1s);
    auto dials = f.take<finder::dial>();
    for (auto& each : dials)
      if (each.where == a) {
        CHECK(round > 0);
        return;
      } else {
        f.step(finder::dialled{problem{errc::unreachable, "is closed"}}, each.id);
      }
  }
  FAIL("a is never asked again");
}

TEST_CASE("a node that was silent is asked again once the services were found elsewhere",
          "[node][finder]") {
  finding f{{a, b}};
  f.bound_to(a, 1);
  f.pass(1'500ms);
  f.link(b, 2);
  f.answer(2, here());
  CHECK(f.only<finder::bind>().how.where == b);
  f.step(finder::link_down{2});
  f.dialled(a);
}

TEST_CASE("a node that has too many questions to hold is asked again later", "[node][finder]") {
  finding f{{a}};
  f.bound_to(a, 1, 7);
  f.answer(f.watch, problem{errc::busy, "too many wait here"});
  CHECK(f.out.empty());
  f.pass(1s - 1ns);
  CHECK(f.out.empty());
  f.pass(1ns);
  CHECK(f.held(1).known == 7);
}

TEST_CASE("nobody waits long for a node that hangs", "[node][finder]") {
  auto how = from({a, b});
  how.check_at_rest = 20s;
  finding f{how};
  f.start();
  f.bound_to(a, 1, 7);
  CHECK(f.watch.wait == 20s);
  f.step(finder::doubt{});
  auto question = f.asked(1);
  CHECK(question.known == 7);
  CHECK(question.within == 500ms);
  SECTION("but asks once at a time") {
    f.step(finder::doubt{});
    CHECK(f.out.empty());
  }
  SECTION("it is there") {
    f.answer(question, whereabouts{.handle = 11, .revision = 7});
    CHECK(f.out.empty());
    f.step(finder::doubt{});
    f.asked(1);
  }
  SECTION("it is busy") {
    f.answer(question, problem{errc::busy, "too many wait here"});
    CHECK(f.out.empty());
    f.pass(1s);
    CHECK(f.out.empty());
  }
  SECTION("it is not: others are asked") {
    f.pass(500ms);
    f.dialled(b);
    f.step(finder::doubt{}); // is known
    CHECK(f.out.empty());
  }
  SECTION("the answer to the earlier question does not end the search") {
    f.pass(500ms);
    f.dialled(b);
    f.answer(f.watch, nowhere(8));
    f.answer(question, nowhere(8));
    CHECK(f.out.empty());
  }
}

TEST_CASE("the nodes that the node of the services names are asked once it is gone",
          "[node][finder]") {
  finding f{{a}};
  f.bound_to(a, 1);
  auto said = here();
  said.others = {"d:1"};
  f.answer(f.watch, said);
  f.step(finder::link_down{1});
  f.reach(d, 2);
}

TEST_CASE("where another cluster has answered, nobody is sent from here", "[node][finder]") {
  finding f{{a, b, c}};
  f.refuse(a, {errc::bad_argument, "a:1 is a node of another cluster; check the address"});
  f.pass(1s);
  f.refuse(b); // which may start yet
  f.pass(1s);
  f.link(c, 1);
  f.answer(1, here());
  CHECK(f.only<finder::bind>().how.others == std::vector{b, c});
}

TEST_CASE("services in the memory of a node are lost with it", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  auto said = here();
  auto moves = GENERATE(false, true);
  auto has_led = GENERATE(false, true);
  if (!moves)
    said.all.erase(cluster::voters_name);
  f.answer(1, said);
  f.out.clear();
  if (has_led) { // as services that can move
    f.step(finder::lead{1});
    f.step(finder::follow{2, std::nullopt});
  }
  f.step(finder::link_down{1});
  for (auto tries = 0; tries < 5; ++tries) {
    for (auto& each : f.take<finder::dial>())
      f.step(finder::dialled{problem{errc::unreachable, "is closed"}}, each.id);
    f.pass(1s);
  }
  auto told = f.take<finder::without_quorum>();
  CHECK(told.size() == (moves || has_led ? 0 : 1));
  if (!told.empty())
    CHECK_THAT(told.back().why.detail, ContainsSubstring("in the memory of the node at a:1"));
}

TEST_CASE("services whose link is lost are out of reach", "[node][finder]") {
  finding f{{a, b}};
  f.bound_to(a, 1);
  SECTION("and searched for") {
    f.step(finder::link_down{1});
    f.only<finder::unbind>();
    CHECK(f.take<finder::parted>().size() == 1);
    CHECK_FALSE(f.only<finder::point>().where);
    f.bound_to(b, 2);
  }
  SECTION("not if it is another link, or one of before") {
    f.step(finder::link_down{9});
    CHECK(f.out.empty());
  }
  SECTION("what was said there is of no interest any more") {
    f.step(finder::link_down{1});
    f.out.clear();
    f.answer(f.watch, there("c", 9));
    CHECK(f.out.empty());
  }
  SECTION("who votes says by itself that they are nowhere") {
    f.step(finder::seated{true});
    f.step(finder::link_down{1});
    CHECK(f.take<finder::unbind>().size() == 1);
    CHECK(f.has_none<finder::point>());
  }
}

// -- this node ---------------------------------------------------------------------------

TEST_CASE("a node that leads does not search", "[node][finder]") {
  finding f{{a}};
  SECTION("from a search") {
    f.link(a, 1);
    f.step(finder::lead{3});
  }
  SECTION("from what was bound") {
    f.bound_to(a, 1);
    f.step(finder::lead{3});
  }
  CHECK(f.only<finder::bind_here>().turn == 3);
  f.out.clear();
  CHECK(f.it.next_deadline().has_value() == false);
  f.step(finder::follow{2, b}); // was said before
  f.step(finder::lead{2});
  f.step(finder::doubt{});
  CHECK(f.out.empty());
  f.step(finder::follow{4, std::nullopt});
  f.only<finder::unbind>();
  CHECK_FALSE(f.only<finder::point>().where);
  f.dialled(a);
}

TEST_CASE("a node goes to whom its own replica follows", "[node][finder]") {
  finding f{{a}};
  SECTION("from a search, whose answer is then of no use") {
    f.link(a, 1);
    auto earlier = f.asked(1);
    f.step(finder::follow{3, b});
    CHECK(*f.only<finder::point>().where == b);
    f.answer(earlier, here());
    CHECK(f.has_none<finder::bind>());
    f.bound_to(b, 2);
  }
  SECTION("from what is bound, which stays until then") {
    f.bound_to(a, 1);
    f.step(finder::follow{3, b});
    CHECK(f.has_none<finder::unbind>());
    f.bound_to(b, 2);
  }
  SECTION("if it is not there already") {
    f.bound_to(a, 1);
    f.step(finder::follow{3, a});
    CHECK(*f.only<finder::point>().where == a);
    CHECK(f.out.empty());
  }
  SECTION("also there if it searches, as its question may have been answered earlier") {
    f.bound_to(a, 1);
    f.answer(f.watch, here(2, 21));
    f.link(a, 1);
    auto earlier = f.asked(1);
    f.step(finder::follow{3, a});
    f.out.clear();
    f.answer(earlier, here(2, 21));
    CHECK(f.has_none<finder::bind>());
  }
  SECTION("and stays where it is if that is not known") {
    f.bound_to(a, 1);
    f.step(finder::follow{3, std::nullopt});
    CHECK_FALSE(f.only<finder::point>().where);
    CHECK(f.out.empty());
  }
  SECTION("not to whom it followed earlier") {
    f.step(finder::follow{3, b});
    f.dialled(b);
    f.out.clear();
    f.step(finder::follow{2, c});
    CHECK(f.out.empty());
  }
}

TEST_CASE("a node relays to the address that it tells others", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  f.answer(1, here());
  CHECK(f.only<finder::point>() == finder::point{a, true});
  f.out.clear();
  f.step(finder::follow{3, b});
  CHECK(f.only<finder::point>() == finder::point{b, false}); // not before it has a link
  SECTION("though it has found the leader by another address than the group has") {
    f.link(b, 1);
    f.answer(1, here());
    CHECK(f.only<finder::point>() == finder::point{b, true});
    CHECK(f.has_none<finder::bind>());
    f.step(finder::follow{4, b});
    CHECK(f.only<finder::point>() == finder::point{b, true});
  }
  SECTION("though it does not reach that one") {
    f.refuse(b);
    f.pass(1s);
    f.link(a, 1);
    f.answer(1, here());
    CHECK(f.only<finder::point>() == finder::point{a, true});
    CHECK(f.has_none<finder::bind>());
  }
  SECTION("and a new leader, once it has a link to that") {
    f.link(b, 2);
    f.answer(2, here());
    CHECK(f.only<finder::point>() == finder::point{b, true});
  }
}

TEST_CASE("what this node has led tells its contact to speak anew", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  f.answer(1, nowhere(5));
  f.step(finder::lead{1});
  f.out.clear();
  f.step(finder::follow{2, std::nullopt});
  CHECK(f.held(1).known == 0);
}

// -- the contact and the quorum ----------------------------------------------------------

TEST_CASE("while nothing is bound the first node that answers says where to go", "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  f.answer(1, nowhere(2));
  CHECK(f.only<finder::met>().where == a);
  auto listens = f.held(1);
  if (auto other = f.held(1); other.id > listens.id)
    listens = other;
  f.out.clear();
  SECTION("at once") {
    f.answer(listens, there("c", 3));
    CHECK(f.held(1).known == 3);
    f.link(c, 3);
    f.answer(3, here());
    CHECK(f.only<finder::bind>().how.where == c);
    CHECK(f.has_none<finder::met>()); // it stays the contact
  }
  SECTION("itself") {
    f.answer(listens, whereabouts{.handle = 11, .revision = 3});
    f.link(a, 1);
    f.answer(1, here());
    CHECK(f.only<finder::bind>().how.where == a);
  }
  SECTION("no news is no way") {
    f.answer(listens, there("c", 2));
    CHECK(f.has_none<finder::dial>());
  }
  SECTION("when it is too busy, later") {
    f.answer(listens, problem{errc::busy, {}});
    CHECK(f.out.empty());
    f.pass(1s);
    CHECK(f.held(1).known == 2);
  }
  SECTION("until it does not answer") {
    f.answer(listens, problem{errc::failed, {}});
    CHECK(f.take<finder::parted>().size() == 1);
  }
  SECTION("until it does not answer a search") {
    f.pass(1s + 1'500ms - 1ns);
    CHECK(f.has_none<finder::parted>());
    f.answer(listens, nowhere(2));
    f.pass(1s + 1ns);
    f.refuse(b);
    f.pass(1s);
    f.out.erase(f.out.begin(), std::ranges::find_if(f.out, [](auto& each) {
                  return std::holds_alternative<finder::dial>(each);
                }));
    f.link(a, 1);
    f.answer(1, problem{errc::failed, {}});
    CHECK(f.take<finder::parted>().size() == 1);
  }
  SECTION("until its link ends") {
    f.step(finder::link_down{1});
    CHECK(f.take<finder::parted>().size() == 1);
  }
  SECTION("until it is silent") {
    f.pass(2'500ms);
    CHECK(f.take<finder::parted>().size() == 1);
  }
}

TEST_CASE("a contact is not sent to the node that was found silent", "[node][finder]") {
  finding f{{a, b}};
  f.bound_to(a, 1);
  f.pass(1'500ms);
  f.step(finder::link_down{1});
  f.link(b, 2);
  f.answer(2, nowhere(1));
  auto listens = f.held(2);
  if (auto other = f.held(2); other.id > listens.id)
    listens = other;
  f.out.clear();
  f.answer(listens, there("a", 2));
  CHECK(f.has_none<finder::dial>());
}

TEST_CASE("who is sent to the node that was found silent says which that is", "[node][finder]") {
  finding f{{a, b}};
  f.bound_to(a, 1);
  f.pass(1'500ms);
  f.step(finder::link_down{1});
  f.link(b, 2);
  f.answer(2, there("a", 1));
  CHECK(f.has_none<finder::dial>());
  auto why = f.only<finder::failed>().why;
  CHECK(why.code == errc::unreachable);
  CHECK_THAT(why.detail, ContainsSubstring("b:1 says that the services are at a:1, which does not "
                                           "answer this node"));
  auto listens = f.held(2);
  auto waits = f.held(2);
  if (listens.id < waits.id)
    std::swap(listens, waits);
  SECTION("and has that one relay") {
    f.answer(waits, there("a", 1));
    auto dial = f.only<finder::dial>();
    CHECK(dial.where == a);
    CHECK(dial.through == b);
    CHECK(f.has_none<finder::failed>());
  }
  SECTION("until it names none") {
    f.answer(waits, nowhere(1));
    CHECK(f.has_none<finder::dial>());
    CHECK(f.only<finder::failed>().why.detail == "b:1 names no leader that answers this node");
  }
}

namespace {

/// A process that asked a, which keeps to its word that the services are at b. Nobody answers
/// there.
struct relayed_finding : finding {
  relayed_finding() : finding({a, c}) {
    link(a, 1);
    answer(1, there("b", 3));
    take<finder::ask>(); // what the contact is asked
    refuse(b);
    auto waits = held(1);
    CHECK(waits.known == 3);
    out.clear();
    answer(waits, there("b", 3));
    through = only<finder::dial>();
  }

  finder::dial through;
};

} // namespace

TEST_CASE_METHOD(relayed_finding,
                 "a node that does not reach the leader has another relay the link to it",
                 "[node][finder]") {
  CHECK(through.where == b);
  CHECK(through.through == a);
  step(finder::dialled{net::connection_id{7}, true}, through.id);
  answer(7, here());
  auto how = only<finder::bind>().how;
  CHECK(how.where == b);
  CHECK(how.link == 7);
  // It relays nobody itself, and names who does.
  CHECK(only<finder::point>() == finder::point{b, false, a});
  auto watched = held(7);
  SECTION("and looks for them anew when that link ends") {
    step(finder::link_down{7});
    only<finder::unbind>();
    CHECK_FALSE(take<finder::dial>().empty());
  }
  SECTION("and dials the leader itself when that link is silent, as the one that relays may hang") {
    out.clear();
    answer(watched, problem{errc::timed_out, "no answer"});
    link(c, 8);
    answer(8, there("b"));
    auto next = only<finder::dial>();
    CHECK(next.where == b);
    CHECK_FALSE(next.through);
  }
}

TEST_CASE_METHOD(relayed_finding, "a node that cannot be relayed asks the next", "[node][finder]") {
  SECTION("because it is refused") {
    step(finder::dialled{problem{errc::unreachable, "a:1 does not relay"}}, through.id);
    auto why = only<finder::failed>().why;
    CHECK(why.code == errc::unreachable);
    CHECK(why.detail
          == "b:1 does not answer this process, and a:1 does not relay; open the network from here "
             "to b:1, or give the address of a node that reaches it as well");
    pass(1s);
    link(c, 3);
    answer(3, there("b", 1));
    // What does not answer this node is not dialled once more.
    through = only<finder::dial>();
    CHECK(through.where == b);
    CHECK(through.through == c);
    CHECK(has_none<finder::failed>());
    step(finder::dialled{net::connection_id{7}, true}, through.id);
    answer(7, here());
    CHECK(only<finder::bind>().how.link == 7);
    CHECK(only<finder::point>() == finder::point{b, false, c});
  }
  SECTION("because it hears nothing") {
    pass(3'999ms);
    CHECK(has_none<finder::failed>());
    pass(1ms);
    CHECK(only<finder::failed>().why.code == errc::timed_out);
    pass(1s);
    auto next = dialled(c);
    // The link comes all the same, and is taken as any other that is late.
    step(finder::dialled{net::connection_id{7}, true}, through.id);
    answer(7, here());
    CHECK_FALSE(only<finder::point>().relays);
    step(finder::dialled{net::connection_id{8}}, next);
  }
}

TEST_CASE_METHOD(relayed_finding,
                 "where nobody relays to the leader, it is dialled again after a while",
                 "[node][finder]") {
  auto refused = 0;
  for (net::connection_id number = 10; through.through; ++number) {
    REQUIRE(++refused <= 5);
    step(finder::dialled{problem{errc::unreachable, "does not relay"}}, through.id);
    out.clear();
    pass(1s);
    auto next = only<finder::dial>();
    step(finder::dialled{number}, next.id);
    answer(number, there("b", 1));
    through = only<finder::dial>();
    CHECK(through.where == b);
  }
  CHECK(refused == 5);
}

TEST_CASE_METHOD(relayed_finding, "an answer to a dial through another counts once",
                 "[node][finder]") {
  step(finder::dialled{problem{errc::unreachable, "a:1 does not relay"}}, through.id);
  out.clear();
  step(finder::dialled{net::connection_id{7}, true}, through.id);
  CHECK(has_none<finder::ask>());
}

TEST_CASE_METHOD(relayed_finding, "who has moved meanwhile is not dialled through another",
                 "[node][finder]") {
  step(finder::link_down{1}); // nor is the way lost with the link of who relays
  CHECK(has_none<finder::failed>());
  step(finder::follow{1, c});
  dialled(c);
  step(finder::dialled{problem{errc::unreachable, "a:1 does not relay"}}, through.id);
  CHECK(has_none<finder::failed>());
}

TEST_CASE("a link that was relayed is none when the node is reached itself", "[node][finder]") {
  finding f{{a}};
  f.step(finder::dialled{net::connection_id{7}, true}, 99);
  f.link(a, 7);
  f.answer(7, here());
  CHECK(f.only<finder::point>().relays);
}

TEST_CASE("who says that the services are where it is itself relays nothing", "[node][finder]") {
  finding f{{a}};
  f.link(a, 1);
  f.answer(1, there("a", 3));
  f.answer(f.held(1), there("a", 3));
  CHECK(f.has_none<finder::dial>());
}

TEST_CASE("that there is no quorum is told once all addresses were tried", "[node][finder]") {
  finding f{{a, b, c}};
  f.link(a, 1);
  f.answer(1, nowhere(1, minority));
  CHECK(f.has_none<finder::without_quorum>());
  SECTION("side by side") {
    f.refuse(b);
    CHECK(f.has_none<finder::without_quorum>());
    f.link(c, 3);
    f.answer(3, nowhere());
    CHECK(f.only<finder::without_quorum>().why == minority);
  }
  SECTION("also those that hang") {
    f.link(c, 3); // and does not answer, as b is not reached
    f.pass(1'500ms - 1ns);
    CHECK(f.has_none<finder::without_quorum>());
    f.pass(1ns);
    CHECK(f.only<finder::without_quorum>().why == minority);
  }
  SECTION("those that break off as well") {
    f.refuse(b);
    f.link(c, 3);
    f.step(finder::link_down{3});
    CHECK(f.only<finder::without_quorum>().why == minority);
  }
  SECTION("until they are found") {
    f.refuse(b);
    f.link(c, 3);
    f.answer(3, there("d"));
    CHECK(f.has_none<finder::without_quorum>());
    f.link(d, 4);
    f.answer(4, here());
    CHECK(f.only<finder::bind>().how.where == d);
    CHECK(f.has_none<finder::without_quorum>());
  }
  SECTION("by who leads where others do not reach it") {
    f.link(c, 3);
    f.answer(3, here());
    f.dialled(c); // asked for all
  }
  SECTION("until the contact knows better") {
    f.refuse(b);
    f.refuse(c);
    CHECK(f.only<finder::without_quorum>().why == minority);
    auto listens = f.held(1);
    if (auto other = f.held(1); other.id > listens.id)
      listens = other;
    SECTION("") {
      f.answer(listens, nowhere(2));
    }
    SECTION("or is gone") {
      f.step(finder::link_down{1});
    }
    CHECK(f.only<finder::without_quorum>().why == problem{});
  }
}

TEST_CASE("of many addresses five are enough to believe that there is no quorum",
          "[node][finder]") {
  std::vector<address> many;
  for (auto index = 0; index < 20; ++index)
    many.push_back(at("n" + std::to_string(index)));
  finding f{many};
  f.link(many[0], 1);
  f.answer(1, nowhere(1, minority));
  auto dials = f.take<finder::dial>();
  REQUIRE(dials.size() == 5);
  for (std::size_t index = 0; index < 4; ++index) {
    CHECK(f.has_none<finder::without_quorum>());
    f.step(finder::dialled{problem{errc::unreachable, {}}}, dials[index].id);
  }
  CHECK(f.only<finder::without_quorum>().why == minority);
}

TEST_CASE("the word of a cut off node does not outlive that the services are found",
          "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  f.answer(1, nowhere(1, minority));
  auto beside = f.dialled(b);
  auto how = GENERATE(0, 1);
  f.step(finder::lead{1});
  f.out.clear();
  if (how == 0)
    f.step(finder::dialled{net::connection_id{2}}, beside);
  else
    f.step(finder::dialled{problem{errc::unreachable, {}}}, beside);
  f.pass(10s);
  CHECK(f.out.empty());
}

TEST_CASE("what a contact has said of the quorum it says again once the services are lost",
          "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  f.answer(1, nowhere(1, minority));
  f.refuse(b);
  CHECK(f.only<finder::without_quorum>().why == minority);
  auto sought = f.held(1);
  if (auto other = f.held(1); other.id < sought.id)
    sought = other;
  f.answer(sought, there("b", 2));
  f.link(b, 2);
  f.answer(2, here());
  CHECK(f.only<finder::without_quorum>().why == problem{});
  f.step(finder::link_down{2});
  auto again = f.held(1);
  for (auto round = 0; round < 2; ++round) {
    for (auto& each : f.take<finder::dial>())
      f.step(finder::dialled{problem{errc::unreachable, "is closed"}}, each.id);
    f.pass(1s);
  }
  CHECK(f.has_none<finder::without_quorum>());
  f.answer(again, nowhere(3, minority));
  CHECK(f.only<finder::without_quorum>().why == minority);
}

// -- the guide ---------------------------------------------------------------------------

namespace {

/// Bound to a; b says where the services move.
struct guided : finding {
  guided()
    : finding([] {
        auto how = from({a, b, c});
        how.guide_after = 2s;
        how.check_at_rest = 1h;
        return how;
      }()) {
    start();
    bound_to(a, 1);
    pass(2s - 1ns);
    CHECK(out.empty());
    pass(1ns);
    link(b, 2);
    guide = held(2);
    CHECK(guide.known == 0);
    CHECK(guide.wait == 2s);
    CHECK(guide.within == 3s);
    out.clear();
  }

  finder::ask guide;
};

} // namespace

TEST_CASE("a second node says that the services have moved", "[node][finder]") {
  guided f;
  f.answer(f.guide, there("a", 4)); // where they are
  f.guide = f.held(2);
  CHECK(f.guide.known == 4);
  CHECK(f.out.empty());
  SECTION("elsewhere") {
    f.answer(f.guide, there("c", 5));
    f.link(c, 3);
    f.answer(3, here());
    CHECK(f.only<finder::bind>().how.where == c);
    CHECK(f.has_none<finder::dial>());
    f.answer(f.held(2), there("a", 6)); // the same guide
    f.dialled(a);
  }
  SECTION("to itself, which then is no guide") {
    f.answer(f.guide, whereabouts{.handle = 11, .revision = 5});
    f.link(b, 2);
    f.answer(2, here());
    CHECK(f.only<finder::bind>().how.where == b);
    f.dialled(a);
  }
  SECTION("unless it has said so before") {
    f.answer(f.guide, there("c", 4));
    CHECK(f.has_none<finder::dial>());
  }
  SECTION("unless this node knows better by its own replica") {
    f.step(finder::follow{1, a});
    f.answer(f.guide, there("c", 5));
    CHECK(f.has_none<finder::dial>());
    SECTION("until that node hangs") {
      f.step(finder::doubt{});
      f.pass(500ms);
      f.take<finder::dial>();
      auto next = f.held(2);
      f.answer(next, there("c", 6));
      f.dialled(c);
    }
  }
  SECTION("unless its replica knows better and it has looked there") {
    f.step(finder::follow{1, c}); // they have moved
    f.bound_to(c, 3);
    f.step(finder::follow{2, a});
    f.bound_to(a, 4);
    f.answer(f.guide, there("c", 5));
    CHECK(f.has_none<finder::dial>());
  }
  SECTION("also where the replica of this node was wrong") {
    f.step(finder::follow{1, c});
    f.link(c, 3);
    f.answer(3, there("a", 2));
    f.link(a, 4);
    f.answer(4, here());
    f.take<finder::bind>();
    f.answer(f.guide, there("c", 5));
    f.dialled(c);
  }
  SECTION("also where the services were lost at the place that its replica has named") {
    f.step(finder::follow{1, a});
    f.step(finder::link_down{1});
    f.reach(a, 4);
    f.answer(4, here());
    f.only<finder::bind>();
    f.answer(f.guide, there("c", 5));
    f.dialled(c);
  }
  SECTION("or has no idea") {
    f.answer(f.guide, nowhere(5));
    CHECK(f.has_none<finder::dial>());
    CHECK(f.held(2).known == 5);
  }
}

TEST_CASE("another guide is found for one that has gone", "[node][finder]") {
  guided f;
  auto how = GENERATE(0, 1, 2);
  if (how == 0)
    f.step(finder::link_down{2});
  else if (how == 1)
    f.answer(f.guide, problem{errc::busy, {}});
  else
    f.pass(3s);
  CHECK(f.has_none<finder::dial>());
  f.pass(5s - 1ns);
  CHECK(f.has_none<finder::dial>());
  f.pass(1ns);
  f.refuse(c);
  f.pass(5s);
  f.link(b, 4);
  f.held(4);
}

TEST_CASE("a search does not go to a guide that it has not dialled", "[node][finder]") {
  guided f;
  f.step(finder::link_down{2});
  f.pass(5s);
  auto guide = f.dialled(c);
  f.step(finder::link_down{1});
  auto sought = f.dialled(b);
  f.out.clear();
  f.step(finder::dialled{net::connection_id{3}}, guide);
  f.held(3);
  CHECK(f.has_none<finder::ask>());
  f.step(finder::dialled{net::connection_id{4}}, sought);
  f.asked(4);
}

TEST_CASE("there is no guide where it is not needed", "[node][finder]") {
  guided f;
  SECTION("as this node leads") {
    f.step(finder::lead{1});
  }
  SECTION("as the services do not move") {
    f.answer(f.guide, there("c", 4));
    f.guide = f.held(2);
    f.link(c, 3);
    auto said = here();
    said.all.erase(cluster::voters_name);
    f.answer(3, said);
    CHECK(f.take<finder::bind>().size() == 1);
    f.step(finder::link_down{1});
  }
  f.out.clear();
  f.answer(f.guide, there("b", 5));
  f.pass(30s);
  CHECK(f.has_none<finder::dial>());
}

TEST_CASE("a guide is the contact when the services are lost", "[node][finder]") {
  guided f;
  f.step(finder::link_down{1}); // was the contact
  auto met = f.only<finder::met>();
  CHECK(met.link == 2);
  CHECK(met.where == b);
  f.held(2);
}

TEST_CASE("who has shown the way is the guide at once where links are cheap", "[node][finder]") {
  auto how = from({c, a});
  how.guide_after = {};
  finding f{how};
  f.start();
  f.refuse(c);
  f.pass(1s);
  f.link(a, 1);
  f.answer(1, there("b", 1, {"c:1"}));
  f.link(b, 2);
  f.answer(2, here());
  f.link(a, 1);
  f.held(1);
}

TEST_CASE("a member has no guide at rest, and doubts the node that others suspect",
          "[node][finder]") {
  auto how = from({a, b});
  how.guide_after = {};
  how.check_at_rest = 1h;
  how.has_guide = false;
  finding f{how};
  f.start();
  f.link(a, 1);
  f.answer(1, here());
  auto watch = f.held(1);
  CHECK(f.has_none<finder::dial>());
  f.out.clear();
  f.step(finder::doubt{.link = 2}); // of another node
  CHECK(f.out.empty());
  f.step(finder::doubt{.link = 1});
  auto asked = f.asked(1);
  SECTION("which answers") {
    f.answer(asked, here());
    f.pass(10s);
    CHECK(f.has_none<finder::dial>());
  }
  SECTION("or is passed over") {
    f.pass(500ms);
    f.link(b, 2);
    f.answer(2, here());
    CHECK(f.only<finder::bind>().how.where == b);
    f.pass(10s);
    CHECK(f.has_none<finder::dial>());
  }
  SECTION("while another node tells it of the next one, before its silence is certain") {
    f.answer(watch, here()); // said before the doubt
    f.pass(200ms);
    f.link(b, 2);
    f.answer(f.held(2), there("a", 4));
    f.pass(200ms);
    f.answer(f.held(2), there("c", 5));
    f.link(c, 3);
    f.answer(3, here());
    CHECK(f.only<finder::bind>().how.where == c);
    f.pass(10s);
    CHECK(f.has_none<finder::dial>());
  }
  SECTION("which answers after another node was asked: that has served") {
    f.pass(200ms);
    f.link(b, 2);
    f.answer(f.held(2), there("a", 4));
    f.answer(asked, here());
    f.answer(f.held(2), there("c", 5));
    CHECK(f.has_none<finder::dial>());
    f.step(finder::doubt{});
    f.pass(200ms);
    CHECK(f.only<finder::dial>().where == b); // again
  }
}

TEST_CASE("services in the memory of one node are asked of nobody else, whatever the doubt",
          "[node][finder]") {
  auto how = from({a, b});
  how.check_at_rest = 1h;
  how.has_guide = false;
  finding f{how};
  f.start();
  f.link(a, 1);
  auto alone = here();
  alone.all.erase(cluster::voters_name);
  f.answer(1, alone);
  f.held(1);
  f.out.clear();
  f.step(finder::doubt{});
  auto asked = f.asked(1);
  f.pass(499ms);
  CHECK(f.has_none<finder::dial>());
  f.answer(asked, alone);
  f.pass(10s);
  CHECK(f.has_none<finder::dial>());
}

TEST_CASE("no guide begins after the services have gone", "[node][finder]") {
  auto how = from({a, b});
  how.guide_after = 2s;
  finding f{how};
  f.start();
  f.bound_to(a, 1);
  f.pass(1'400ms);
  f.step(finder::link_down{1});
  f.link(b, 2);
  f.out.clear();
  f.pass(1s);
  CHECK(f.has_none<finder::dial>());
}

// -- permanent refusals ------------------------------------------------------------------

TEST_CASE("a permanent refusal is told once no other node leads to the services",
          "[node][finder]") {
  finding f{{a, b}};
  f.refuse(a, revoked);
  CHECK(f.has_none<finder::refused>());
  f.pass(1s);
  SECTION("whatever the others say") {
    f.refuse(b);
    CHECK(f.only<finder::refused>().why == revoked);
  }
  SECTION("also if they are silent") {
    f.dialled(b);
    f.pass(1'500ms);
    CHECK(f.only<finder::refused>().why == revoked);
  }
  SECTION("once") {
    f.refuse(b, revoked);
    CHECK(f.only<finder::refused>().why == revoked);
    f.pass(1s);
    f.refuse(a, revoked);
    CHECK(f.has_none<finder::refused>());
    f.pass(1s);
    SECTION("and again if it is another") {
      f.refuse(b, {errc::denied, "the certificate has expired"});
      CHECK(f.only<finder::refused>().why.detail == "the certificate has expired");
    }
    SECTION("until one answers") {
      f.link(b, 2);
      CHECK(f.has_none<finder::refused>());
      f.answer(2, nowhere());
      CHECK(f.only<finder::refused>().why == problem{});
      f.step(finder::link_down{2});
      CHECK(f.only<finder::refused>().why == revoked);
    }
    SECTION("permanently where one leads to the services") {
      f.link(b, 2);
      f.answer(2, here());
      CHECK(f.only<finder::refused>().why == problem{});
      f.step(finder::link_down{2});
      f.refuse(a);
      f.pass(1s);
      f.refuse(b);
      CHECK(f.has_none<finder::refused>());
    }
  }
  SECTION("not if one answers") {
    f.link(b, 2);
    f.answer(2, nowhere());
    CHECK(f.has_none<finder::refused>());
  }
  SECTION("but if that has no majority: it may be refused itself") {
    f.link(b, 2);
    f.answer(2, nowhere(1, minority));
    CHECK(f.only<finder::refused>().why == revoked);
  }
}

TEST_CASE("a node that is asked beside the contact may refuse permanently", "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  f.answer(1, nowhere(1, minority));
  f.refuse(b, revoked);
  CHECK(f.only<finder::refused>().why == revoked);
}

TEST_CASE("those that a node names which is asked beside the contact are asked as well",
          "[node][finder]") {
  finding f{{a, b}};
  f.link(a, 1);
  f.answer(1, nowhere(1, minority));
  f.link(b, 2);
  f.answer(2, nowhere(1, {}, {"c:1"}));
  CHECK(f.has_none<finder::without_quorum>());
  f.reach(c, 3);
  f.answer(3, there("d"));
  f.link(d, 4);
  f.answer(4, here());
  CHECK(f.only<finder::bind>().how.where == d);
  CHECK(f.has_none<finder::without_quorum>());
}

TEST_CASE("what may pass is no permanent refusal", "[node][finder]") {
  finding f{{a}};
  f.refuse(a, {errc::limit_reached, "no room for another link"});
  f.pass(1s);
  f.refuse(a);
  CHECK(f.has_none<finder::refused>());
}

// -- what this node's seat says ----------------------------------------------------------

TEST_CASE("a node that votes goes by its own word of the quorum", "[node][finder]") {
  const problem own{errc::no_quorum, "this seat reaches nobody"};
  finding f{{a, b}};
  f.step(finder::seat_says{own});
  CHECK(f.has_none<finder::without_quorum>());
  f.step(finder::seated{true});
  auto said = f.only<finder::without_quorum>();
  CHECK(said.why == own);
  CHECK(said.is_own);
  f.link(a, 1);
  f.answer(1, nowhere(1, minority));
  f.refuse(b);
  CHECK(f.has_none<finder::without_quorum>());
  f.step(finder::seat_says{});
  CHECK(f.only<finder::without_quorum>().why == problem{});
  f.step(finder::seated{false});
  said = f.only<finder::without_quorum>();
  CHECK(said.why == minority);
  CHECK_FALSE(said.is_own);
}

TEST_CASE("who leads, and how often that has changed, is what the node itself knows",
          "[node][finder]") {
  finding f{{a}};
  f.pass(3s);
  f.take<finder::dial>();
  CHECK(f.it.leaders().leaderless_for(f.now) == 3s);
  f.step(finder::follow{1, b});
  CHECK(f.only<finder::point>().where == b);
  CHECK(f.it.leaders().leader() == "b:1");
  f.step(finder::lead{2});
  CHECK(f.it.leaders().leader() == "this node");
  CHECK(f.it.leaders().changes() == 1);
  f.step(finder::follow{3, {}});
  CHECK(f.only<finder::point>().where == std::nullopt);
  f.pass(2s);
  CHECK(f.it.leaders().leaderless_for(f.now) == 2s);
}

// -- links and bounds --------------------------------------------------------------------

namespace {

cluster::finder_options of_client(std::vector<address> addresses) {
  auto how = from(std::move(addresses));
  how.idle_after = 10s;
  return how;
}

} // namespace

TEST_CASE("a link that only showed the way is closed when it has had no use for a while",
          "[node][finder]") {
  finding f{of_client({a})};
  f.start();
  f.link(a, 1);
  f.answer(1, there("b"));
  f.link(b, 2);
  f.answer(2, here());
  f.watch = f.held(2);
  auto stay = [&](duration span) { // bound
    for (; span > 0s; span -= 500ms) {
      f.pass(500ms);
      f.answer(f.watch, whereabouts{.handle = 11, .revision = 1});
      f.watch = f.held(2);
    }
  };
  stay(9'500ms);
  CHECK(f.has_none<finder::close>());
  SECTION("which the bound one is not") {
    stay(500ms);
    CHECK(f.only<finder::close>().link == 1);
    stay(30s);
    CHECK(f.has_none<finder::close>());
    f.step(finder::link_down{1});
    CHECK(f.take<finder::parted>().size() == 1);
  }
  SECTION("which begins anew with each use") {
    f.step(finder::follow{1, a});
    f.link(a, 1);
    f.answer(1, there("b", 2));
    f.link(b, 2);
    f.answer(2, here());
    f.watch = f.held(2);
    stay(9'500ms);
    CHECK(f.has_none<finder::close>());
    stay(500ms);
    CHECK(f.only<finder::close>().link == 1);
  }
}

TEST_CASE("each link is closed in its own time", "[node][finder]") {
  auto how = of_client({a});
  how.check_at_rest = 1h;
  finding f{how};
  f.start();
  f.link(a, 5);
  f.answer(5, there("b"));
  f.link(b, 2);
  f.answer(2, there("c"));
  f.link(c, 3);
  f.answer(3, here());
  auto bound = f.now;
  f.pass(1s);
  f.step(finder::follow{1, b});
  f.link(b, 2);
  f.answer(2, there("c"));
  f.link(c, 3);
  f.answer(3, here());
  CHECK(f.it.next_deadline() == bound + 10s);
}

TEST_CASE("a contact stays linked while nothing is bound", "[node][finder]") {
  finding f{of_client({a})};
  f.start();
  f.link(a, 1);
  f.answer(1, nowhere(1));
  for (auto round = 0; round < 200; ++round) {
    f.pass(100ms);
    for (auto& each : f.take<finder::ask>())
      f.answer(each, nowhere(1));
    for (auto& each : f.take<finder::dial>())
      f.step(finder::dialled{net::connection_id{1}}, each.id);
  }
  CHECK(f.has_none<finder::close>());
  CHECK(f.has_none<finder::parted>());
}

TEST_CASE("all that others can make grow has a bound", "[node][finder]") {
  auto how = of_client({a});
  how.max_addresses = 10;
  how.max_dials = 10;
  how.max_links = 16;
  SECTION("addresses") {
    finding f{how};
    f.start();
    std::vector<std::string> many;
    for (auto index = 0; index < 10'000; ++index)
      many.push_back("n" + std::to_string(index) + ":1");
    f.step(finder::learned{many});
    f.link(a, 1);
    f.answer(1, nowhere(1, minority, many));
    CHECK(f.it.flaws().empty());
  }
  SECTION("dials") {
    finding f{how};
    f.start();
    for (auto index = 0; index < 20; ++index)
      f.step(finder::follow{1, at("n" + std::to_string(index))});
    CHECK(f.take<finder::dial>().size() == 10);
    CHECK(f.take<finder::failed>().back().why.code == errc::limit_reached);
  }
  SECTION("links") {
    finding f{how};
    f.start();
    f.bound_to(a, 100);
    net::connection_id number = 0;
    for (auto index = 0; index < 40; ++index) {
      auto host = "n" + std::to_string(index);
      f.step(finder::follow{1, at(host)});
      f.link(at(host), ++number);
      f.answer(number, there("a"));
      f.link(a, 100);
      f.answer(100, here());
      f.pass(10ms);
    }
    auto closed = f.take<finder::close>();
    REQUIRE(closed.size() == 25);
    CHECK(closed.front().link == 1); // of the longest rest
  }
  SECTION("nodes that were tried") {
    finding f{how};
    f.start();
    f.link(a, 1);
    for (auto index = 0; index < 40; ++index) {
      f.answer(1, there("n" + std::to_string(index)));
      f.refuse(at("n" + std::to_string(index)));
      f.step(finder::follow{1, a});
      f.link(a, 1);
    }
  }
}

TEST_CASE("what nobody has asked for changes nothing", "[node][finder]") {
  finding f{{a}};
  auto dial = f.dialled(a);
  f.step(finder::heard{here()}, 0);
  f.step(finder::heard{here()}, dial);
  f.step(finder::heard{here()}, 99);
  f.step(finder::dialled{net::connection_id{5}}, 99);
  f.step(finder::resolved{}, 99);
  f.step(finder::link_down{5});
  f.step(finder::doubt{});
  CHECK(f.out.empty());
  f.step(finder::dialled{net::connection_id{1}}, dial);
  auto question = f.asked(1);
  f.answer(question, here());
  CHECK(f.take<finder::bind>().size() == 1);
  f.out.clear();
  f.answer(question, here(9, 77)); // twice
  CHECK(f.out.empty());
}

} // namespace finder_test
