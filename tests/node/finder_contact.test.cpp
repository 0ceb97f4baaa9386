#include "troupe/cluster/finder_contact.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

#include "support/take.hpp"

namespace finder_contact_test {

using namespace std::literals;
using namespace troupe;
using cluster::finder_contact;
using cluster::finder_effects;
using cluster::whereabouts;
using net::address;

namespace {

const address a{"a", 1};
const address b{"b", 1};

struct contacted {
  void meet(std::uint64_t revision = 5) {
    CHECK(it.meet(7, a, revision, out));
    out.clear();
  }

  /// The question that it asks now.
  finder_effects::ask asked() {
    it.listen(now, out);
    auto found = test::take<finder_effects::ask>(out);
    REQUIRE(found.size() == 1);
    return found.front();
  }

  bool is_asked() {
    it.listen(now, out);
    return !test::take<finder_effects::ask>(out).empty();
  }

  [[nodiscard]] std::vector<std::string> flaws(net::connection_id up) const {
    return it.flaws([up](net::connection_id link) { return link == up; });
  }

  cluster::finder_options options{.addresses = {}, .check_every = 2s};
  cluster::finder_requests requests{1min, 10};
  finder_contact it{options, requests};
  finder_effects::effects out;
  time_point now{1h};
};

} // namespace

TEST_CASE("the first node that answers is the contact, as long as it does", "[node][finder]") {
  contacted c;
  CHECK_FALSE(c.it);
  CHECK_FALSE(c.is_asked());
  CHECK(c.it.meet(7, a, 5, c.out));
  auto met = test::take<finder_effects::met>(c.out);
  REQUIRE(met.size() == 1);
  CHECK(met.front().link == 7);
  CHECK(met.front().where == a);
  CHECK_FALSE(c.it.meet(8, b, 9, c.out));
  CHECK(c.out.empty());
  CHECK(c.it.who().where == a);
  CHECK(c.it.who().revision == 5);
  CHECK(c.it.is_over(7));
  CHECK_FALSE(c.it.is_over(8));
  c.it.part();
  CHECK_FALSE(c.it);
  CHECK_FALSE(c.it.is_over(7));
  CHECK(c.it.meet(8, b, 9, c.out));
}

TEST_CASE("the contact holds one question at a time", "[node][finder]") {
  contacted c;
  c.meet();
  auto question = c.asked();
  CHECK(question.link == 7);
  CHECK(question.known == 5);
  CHECK(question.wait == 2s);
  CHECK(question.within == 2s + cluster::finder_requests::answer_within);
  CHECK(c.it.asks(question.id));
  CHECK_FALSE(c.it.asks(question.id + 1));
  CHECK_FALSE(c.is_asked());
  c.it.part();
  CHECK_FALSE(c.it.asks(question.id));
}

TEST_CASE("what the contact says again is no news", "[node][finder]") {
  contacted c;
  c.meet();
  c.asked();
  CHECK(c.it.heard(c.now, whereabouts{.revision = 5}) == finder_contact::word::old_news);
  CHECK(c.asked().known == 5);
  CHECK(c.it.heard(c.now, whereabouts{.revision = 6}) == finder_contact::word::news);
  CHECK(c.it.who().revision == 6);
  CHECK(c.asked().known == 6);
  CHECK(c.it.heard(c.now, whereabouts{.revision = 5})
        == finder_contact::word::news); // it restarted
}

TEST_CASE("a contact that has too much to do is asked again after a pause", "[node][finder]") {
  contacted c;
  c.meet();
  c.asked();
  CHECK(c.it.heard(c.now, problem{errc::busy, "later"}) == finder_contact::word::busy);
  CHECK_FALSE(c.is_asked());
  CHECK(c.it.question()->due == c.now + 2s);
  CHECK_FALSE(c.it.late(c.now + 1s));
  CHECK_FALSE(c.is_asked());
  CHECK_FALSE(c.it.late(c.now + 2s)); // the pause is over, and nobody is late
  CHECK(c.is_asked());
}

TEST_CASE("a contact that fails, or does not answer in time, is silent", "[node][finder]") {
  contacted c;
  c.meet();
  auto question = c.asked();
  CHECK_FALSE(c.it.late(c.now + question.within - 1ms));
  auto late = c.it.late(c.now + question.within);
  REQUIRE(late);
  CHECK(late->where == a);
  CHECK(c.it.heard(c.now, problem{errc::unreachable, "gone"}) == finder_contact::word::silent);
  CHECK_FALSE(c.it.question());
}

TEST_CASE("a contact that was not needed says at once what it knows", "[node][finder]") {
  contacted c;
  c.it.rest(); // there is none
  c.meet();
  auto question = c.asked();
  c.it.rest();
  CHECK_FALSE(c.it.asks(question.id));
  CHECK(c.it);
  CHECK(c.asked().known == 0);
}

TEST_CASE("a contact knows what is wrong with its state", "[node][finder]") {
  contacted c;
  CHECK(c.flaws(0).empty());
  c.meet();
  c.asked();
  CHECK(c.flaws(7).empty());
  CHECK(c.flaws(8).size() == 2); // its link, and the question over that
}

} // namespace finder_contact_test
