#include "troupe/cluster/sealed_swim.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/sealed_swim_fixture.hpp"

namespace sealed_swim_test {

using namespace std::literals;
using namespace troupe;
using namespace cluster;
using test::some_members;

namespace {

member_card card_of(some_members& all, std::size_t which) {
  return *all.at(which).card_of(all.id(which));
}

} // namespace

TEST_CASE("members that one of them has met all know each other", "[node][sealed_swim]") {
  some_members it{5};
  it.pass(2s);
  for (std::size_t each = 0; each < 5; ++each) {
    INFO(each);
    CHECK(it.all_show(each, member_status::alive));
    CHECK(it.at(each).members().present() == 5);
  }
  CHECK(!it.sent.empty());
  for (auto& each : it.sent) {
    CHECK(each.datagram.size() <= 1'200);
    CHECK(each.datagram.find(to_bytes(it.id(0))) == std::string::npos);
  }
}

TEST_CASE("who is killed all show dead, and alive again in its next life", "[node][sealed_swim]") {
  some_members it{5};
  it.pass(2s);
  it.stop(3);
  it.pass(3s);
  CHECK(it.all_show(3, member_status::dead));
  it.start(3);
  it.link(3, 1);
  it.pass(2s);
  CHECK(it.all_show(3, member_status::alive));
  for (auto each : {0U, 1U, 2U, 4U}) {
    auto card = it.at(each).card_of(it.id(3));
    REQUIRE(card);
    CHECK(card->offers.boot == 2);
  }
}

TEST_CASE("two sides that show each other dead are one again once a link is up between them",
          "[node][sealed_swim]") {
  some_members it{4};
  it.pass(2s);
  it.cut_off = {2, 3};
  it.pass(10s);
  for (auto here : {0U, 1U})
    for (auto there : {2U, 3U}) {
      REQUIRE(it.shows(here, there) == member_status::dead);
      REQUIRE(it.shows(there, here) == member_status::dead);
    }
  it.cut_off.clear();
  it.link(2, 0); // nothing new is on the cards: each is in the life that the other shows dead
  it.pass(2s);
  for (std::size_t each = 0; each < 4; ++each)
    CHECK(it.all_show(each, member_status::alive));
}

TEST_CASE("one that the others show dead is shown alive once a datagram of it comes",
          "[node][sealed_swim]") {
  some_members it{3};
  it.pass(2s);
  it.stop(2); // SIGSTOP: it has not heard that it is dead
  it.pass(10s);
  REQUIRE(it.all_show(2, member_status::dead));
  it.go_on(2);
  it.pass(2s);
  CHECK(it.all_show(2, member_status::alive));
}

TEST_CASE("a life that nobody has told of is learned of by what cannot be read",
          "[node][sealed_swim]") {
  some_members it{2};
  it.pass(2s);
  it.stop(1);
  it.start(1);
  it.step(1, sealed_swim::met{card_of(it, 0)}); // and the other hears nothing of it
  it.pass(1s);
  CHECK(it.shows(0, 1) == member_status::alive);
  CHECK(it.at(0).members().find(it.id(1))->when.boot == 2);
  CHECK(it.shows(1, 0) == member_status::alive);
}

TEST_CASE("who gets what it cannot read says so, and is met again", "[node][sealed_swim]") {
  some_members it{2};
  it.pass(2s);
  auto last = std::find_if(it.sent.rbegin(), it.sent.rend(),
                           [&](auto& each) { return each.to == it.id(1); });
  REQUIRE(last != it.sent.rend());
  auto old = last->datagram;
  it.stop(1);
  it.start(1);
  it.cut_links.insert({0, 1}); // else it would tell of itself over a link
  it.step(1, sealed_swim::met{card_of(it, 0)});
  it.cut_links.clear();
  it.all[0]->done.clear();
  it.all[1]->done.clear();
  it.receive(0, 1, old);
  CHECK(it.done<sealed_swim::reply>(1).size() == 1);
  REQUIRE(it.done<sealed_swim::introduce>(0).size() == 1);
  CHECK(it.done<sealed_swim::introduce>(0).front().to == it.id(1));
  CHECK(it.at(0).card_of(it.id(1))->offers.boot == 2);
}

TEST_CASE("the card of a later life is asked for where that was heard", "[node][sealed_swim]") {
  some_members it{3};
  it.pass(2s);
  it.stop(2);
  it.start(2);
  it.cut_links.insert({1, 2});
  it.link(2, 0);
  it.pass(1s);
  auto card = it.at(1).card_of(it.id(2));
  REQUIRE(card);
  CHECK(card->offers.boot == 2);
  auto asked = it.done<swim::ask>(1);
  REQUIRE(!asked.empty());
  CHECK(asked.back().whom == it.id(2));
  CHECK(asked.back().from == it.id(0));
}

TEST_CASE("a card of an earlier life is passed on to nobody", "[node][sealed_swim]") {
  some_members it{3};
  it.pass(2s);
  it.stop(2);
  it.start(2);
  it.cut_links.insert({1, 2});
  it.cut_links.insert({0, 1});
  it.link(2, 0);
  it.pass(2s);
  CHECK(it.at(1).members().find(it.id(2))->when.boot == 2);
  CHECK(!it.at(1).card_of(it.id(2)));
  CHECK(it.at(0).card_of(it.id(2)));
}

TEST_CASE("a card says what its node has said last", "[node][sealed_swim]") {
  some_members it{2};
  it.pass(2s);
  it.step(1, swim::moved{"elsewhere:1"});
  it.pass(2s);
  CHECK(it.at(0).card_of(it.id(1))->said.what.address == "elsewhere:1");
}

TEST_CASE("a member without datagrams stays, and the log hears of it", "[node][sealed_swim]") {
  some_members it{4};
  it.pass(2s);
  it.without_datagrams.insert(2);
  it.pass(20s);
  CHECK(it.all_show(2, member_status::alive));
  auto heard = it.done<swim::no_datagrams>(0);
  REQUIRE(!heard.empty());
  CHECK(heard.front().to == it.id(2));
  CHECK(it.done<swim::datagrams_again>(0).empty());
  it.without_datagrams.clear();
  it.pass(20s);
  CHECK(it.done<swim::datagrams_again>(0).size() == 1);
}

TEST_CASE("a node to which no datagrams come says so once, not of each member, and when some do",
          "[node][sealed_swim]") {
  some_members it{8};
  it.pass(2s);
  it.without_datagrams.insert(2);
  it.pass(30s);
  CHECK(it.done<sealed_swim::cut_off>(2).size() == 1);
  std::set<node_id> named;
  for (auto& each : it.done<swim::no_datagrams>(2))
    named.insert(each.to);
  CHECK(named.size() == 2);
  for (auto other : {0U, 1U, 7U}) { // which hear all but one
    CHECK(it.done<sealed_swim::cut_off>(other).empty());
    for (auto& each : it.done<swim::no_datagrams>(other))
      CHECK(each.to == it.id(2));
  }
  CHECK(it.done<sealed_swim::cut_off_no_more>(2).empty());
  it.without_datagrams.clear();
  it.pass(20s);
  CHECK(it.done<sealed_swim::cut_off_no_more>(2).size() == 1);
}

TEST_CASE("one whose link to another is cut stays for both", "[node][sealed_swim]") {
  some_members it{4};
  it.pass(2s);
  it.cut_links.insert({0, 2});
  it.step(0, swim::doubted{it.id(2)});
  it.pass(10s);
  CHECK(it.all_show(2, member_status::alive));
  CHECK(it.all_show(0, member_status::alive));
  for (auto& each : it.done<swim::shows>(0))
    CHECK(each.is == member_status::alive);
}

TEST_CASE("who leaves is not dead", "[node][sealed_swim]") {
  some_members it{4};
  it.pass(2s);
  it.step(2, swim::leave{});
  it.pass(300ms);
  it.stop(2);
  it.pass(10s);
  CHECK(it.all_show(2, member_status::left));
}

// -- cards -------------------------------------------------------------------------------------

TEST_CASE("a card that its node has not signed makes nobody known", "[node][sealed_swim]") {
  some_members it{2};
  some_members others{1};
  it.pass(1s);
  auto good = card_of(others, 0);
  auto expect_refusal = [&](member_card forged) {
    it.step(0, sealed_swim::met{std::move(forged)});
    CHECK(it.at(0).members().present() == 2);
    CHECK(!it.at(0).members().find(others.id(0)));
    CHECK(!it.at(0).card_of(others.id(0)));
    CHECK(it.at(0).flaws().empty());
  };
  SECTION("another key for datagrams") {
    auto forged = good;
    forged.offers.offer.key.bytes[0] ^= std::byte{1};
    expect_refusal(forged);
  }
  SECTION("another salt") {
    auto forged = good;
    forged.offers.offer.salt.bytes[0] ^= std::byte{1};
    expect_refusal(forged);
  }
  SECTION("the offer of another node") {
    auto forged = good;
    forged.offers = card_of(it, 1).offers;
    forged.of_offers = card_of(it, 1).of_offers;
    expect_refusal(forged);
  }
  SECTION("another statement") {
    auto forged = good;
    forged.said.what.address = "elsewhere:1";
    expect_refusal(forged);
  }
  SECTION("the key of another") {
    auto forged = good;
    forged.key = card_of(it, 1).key;
    expect_refusal(forged);
  }
  SECTION("an offer of another life") {
    auto forged = good;
    ++forged.offers.boot;
    forged.of_offers = others.all[0]->key.sign(to_be_signed(forged.offers));
    expect_refusal(forged);
  }
  SECTION("a certificate that leaves no room for other cards") {
    auto padded = good;
    padded.certificate.resize(8'193, ' ');
    expect_refusal(padded);
    good.certificate.resize(8'192, ' ');
  }
  it.step(0, sealed_swim::met{good});
  CHECK(it.at(0).members().present() == 3);
  CHECK(it.at(0).card_of(others.id(0)) == good);
}

namespace {

/// The card with an offer that its node has not signed.
member_card with_another_key(member_card made) {
  made.offers.offer.key.bytes[0] ^= std::byte{1};
  return made;
}

} // namespace

TEST_CASE("of a card that is passed on only what the node says is looked at before it is needed",
          "[node][sealed_swim]") {
  some_members it{2};
  some_members others{1};
  it.pass(1s);
  auto card = card_of(others, 0);
  auto looks_at = [&](auto job) {
    auto before = some_members::looks;
    job();
    return some_members::looks - before;
  };
  CHECK(looks_at([&] { it.step(0, sealed_swim::met{card, false}); }) == 1);
  CHECK(it.at(0).members().present() == 3);
  SECTION("until it is passed on") {
    CHECK(looks_at([&] { CHECK(it.at(0).card_of(others.id(0)) == card); }) == 1);
  }
  SECTION("until the first datagram goes to it") {
    CHECK(looks_at([&] { it.pass(1s); }) == 1);
    CHECK(it.at(0).card_of(others.id(0)) == card);
  }
  SECTION("until the first datagram comes") {
    others.step(0, sealed_swim::met{card_of(it, 0)});
    auto answers = looks_at([&] {
      others.pass(1s);
      REQUIRE(!others.done<sealed_swim::send>(0).empty());
      it.step(0, sealed_swim::arrived{others.done<sealed_swim::send>(0).back().datagram});
    });
    CHECK(answers == 1);
  }
  CHECK(looks_at([&] {
          it.step(0, sealed_swim::met{card, false});
          CHECK(it.at(0).card_of(others.id(0)) == card);
        })
        == 0);
}

TEST_CASE(
  "an offer that a node has not signed is passed on to nobody, and its node is asked itself",
  "[node][sealed_swim]") {
  some_members it{3};
  it.pass(1s);
  it.stop(2);
  it.start(2);
  auto good = card_of(it, 2);
  auto forged = with_another_key(good);
  it.step(0, sealed_swim::met{forged, false});
  CHECK(it.at(0).members().find(it.id(2))->when.boot == 2);
  SECTION("it is asked for") {
    CHECK(!it.at(0).card_of(it.id(2)));
  }
  SECTION("it is written to") {}
  SECTION("the good one comes later from another member, and counts") {
    it.step(0, sealed_swim::met{good, false});
    CHECK(it.at(0).card_of(it.id(2)) == good);
    CHECK(it.done<swim::complain>(0).empty());
    return;
  }
  it.pass(1s);
  CHECK(it.at(0).card_of(it.id(2)) == good);
  auto told = it.done<swim::complain>(0);
  REQUIRE(!told.empty());
  CHECK(told.back().what == "has a card that it has not signed");
  REQUIRE(it.done<sealed_swim::introduce>(0).size() == 1);
  CHECK(it.done<sealed_swim::introduce>(0).front().to == it.id(2));
  it.pass(10s);
  CHECK(it.all_show(2, member_status::alive));
  CHECK(it.done<sealed_swim::introduce>(0).size() == 1);
}

TEST_CASE("a forged offer does not take the place of the one that its node has made",
          "[node][sealed_swim]") {
  some_members it{2};
  some_members others{1};
  it.pass(1s);
  auto good = card_of(others, 0);
  auto forged = with_another_key(good);
  it.step(0, sealed_swim::met{good, false});
  it.step(0, sealed_swim::met{forged, false});
  CHECK(it.at(0).card_of(others.id(0)) == good);
}

TEST_CASE("a signature that is not of the node does not take the place of its own",
          "[node][sealed_swim]") {
  some_members it{2};
  some_members others{1};
  it.pass(1s);
  auto good = card_of(others, 0);
  it.step(0, sealed_swim::met{good});
  auto forged = good;
  forged.of_offers.bytes[0] ^= std::byte{1};
  auto is_news = GENERATE(false, true);
  it.step(0, sealed_swim::met{forged, is_news});
  CHECK(it.at(0).card_of(others.id(0)) == good);
}

TEST_CASE("nobody gets what is for another member", "[node][sealed_swim]") {
  some_members it{2};
  some_members others{1};
  it.pass(1s);
  auto good = card_of(it, 1);
  auto& thief = others.all[0]->key;
  SECTION("with a card that it has signed itself") {
    auto forged = card_of(others, 0);
    forged.said.what = good.said.what;
    forged.said.by = thief.sign(to_be_signed(forged.said.what));
    forged.offers.node = good.offers.node;
    forged.of_offers = thief.sign(to_be_signed(forged.offers));
    it.step(0, sealed_swim::met{forged});
  }
  SECTION("with its own key in the card that all have") {
    auto forged = good;
    forged.offers.offer = card_of(others, 0).offers.offer;
    it.step(0, sealed_swim::met{forged});
    forged.key = thief.public_half();
    it.step(0, sealed_swim::met{forged});
  }
  SECTION("with an offer for that in its own card") {
    auto forged = card_of(others, 0);
    forged.offers.node = good.offers.node;
    forged.of_offers = thief.sign(to_be_signed(forged.offers));
    it.step(0, sealed_swim::met{forged});
  }
  CHECK(it.at(0).card_of(it.id(1)) == good);
  it.pass(10s);
  CHECK(it.all_show(1, member_status::alive));
  CHECK(it.done<swim::no_datagrams>(0).empty());
}

TEST_CASE("the card of an earlier life changes nothing", "[node][sealed_swim]") {
  some_members it{2};
  auto old = card_of(it, 1);
  it.stop(1);
  it.start(1);
  it.link(1, 0);
  auto present = it.at(0).card_of(it.id(1));
  REQUIRE(present);
  it.step(0, sealed_swim::met{old});
  CHECK(it.at(0).card_of(it.id(1)) == present);
  it.pass(10s);
  CHECK(it.all_show(1, member_status::alive));
}

TEST_CASE("two processes with one identity and one life are found out, and the last card counts",
          "[node][sealed_swim]") {
  some_members it{3};
  it.pass(2s);
  auto twin = card_of(it, 1); // as of a copy of its data folder
  twin.offers.offer.salt.bytes[0] ^= std::byte{1};
  twin.of_offers = it.all[1]->key.sign(to_be_signed(twin.offers));
  it.all[0]->done.clear();
  it.step(0, sealed_swim::met{twin});
  auto complaints = it.done<swim::complain>(0);
  REQUIRE(complaints.size() == 1);
  CHECK(complaints.front().of == it.id(1));
  CHECK(it.at(0).card_of(it.id(1)) == twin);
  it.step(0, sealed_swim::met{twin}); // no other one
  CHECK(it.done<swim::complain>(0).size() == 1);
  it.link(1, 0);
  CHECK(it.done<swim::complain>(0).size() == 2);
  it.all[0]->done.clear();
  it.pass(5s);
  CHECK(it.all_show(1, member_status::alive));
  CHECK(it.done<swim::complain>(0).empty());
  it.stop(1);
  it.start(1); // a later life may offer what it likes
  it.link(1, 0);
  CHECK(it.done<swim::complain>(0).empty());
}

TEST_CASE("another life of a node is one that has its key", "[node][sealed_swim]") {
  some_members it{2};
  it.pass(2s);
  auto met = [&](const cluster::signed_statement& what) {
    it.all[1]->done.clear();
    it.step(1, swim::told{it.id(0), {cluster::told_itself{what}}});
    return it.done<swim::met_itself>(1).size();
  };
  auto later = *it.at(1).members().own();
  later.what.when.boot = 9;
  CHECK(met(later) == 0);
  later.by = it.all[0]->key.sign(cluster::to_be_signed(later.what));
  CHECK(met(later) == 0);
  later.by = it.all[1]->key.sign(cluster::to_be_signed(later.what));
  CHECK(met(later) == 1);
}

TEST_CASE("of a page of lies one signature is looked at", "[node][sealed_swim]") {
  some_members it{3};
  it.pass(2s);
  auto of_itself = GENERATE(false, true);
  std::vector<cluster::rumour> page;
  for (std::uint32_t each = 0; each < 251; ++each) {
    auto forged = *it.at(of_itself ? 1 : 2).members().own();
    forged.what.when = {9, each};
    page.emplace_back(cluster::told_itself{forged});
  }
  auto before = some_members::looks;
  it.step(1, swim::told{it.id(0), page});
  CHECK(some_members::looks - before == 1);
  CHECK(it.done<swim::met_itself>(1).empty());
  it.step(1, swim::told{it.id(0), page});
  CHECK(some_members::looks - before == 2); // and of each further one
  auto& said = *it.at(2).members().own();
  it.step(0, swim::moved{"elsewhere:1"});
  it.step(
    1, swim::told{it.id(0),
                  {cluster::told_itself{said}, cluster::told_itself{*it.at(0).members().own()}}});
  CHECK(it.at(1).members().find(it.id(0))->address == "elsewhere:1");
}

TEST_CASE("of a page of one member's statements two are looked at", "[node][sealed_swim]") {
  some_members it{3};
  it.pass(2s);
  auto& liar = *it.all[0];
  std::vector<cluster::rumour> page; // all true, each later than the one before
  for (std::uint32_t each = 1; each < 126; ++each)
    for (auto by : {0U, 2U}) { // and what others say between them hides nothing
      auto said = *it.at(by).members().own();
      said.what.when.refutation += each;
      said.by = it.all[by]->key.sign(cluster::to_be_signed(said.what));
      page.emplace_back(cluster::told_itself{said});
    }
  liar.done.clear();
  it.all[1]->done.clear();
  auto before = some_members::looks;
  it.step(1, swim::told{it.id(0), page});
  CHECK(some_members::looks - before == 4);
  CHECK(it.done<swim::complain>(1).size() == 1);
}

TEST_CASE("a member that gives cause for complaints without end gets some each second",
          "[node][sealed_swim]") {
  some_members it{2};
  it.pass(2s);
  std::vector<cluster::rumour> lies(100, cluster::accusation{it.id(1), {9, 0}, it.id(0), true});
  auto complaints = [&] {
    it.all[1]->done.clear();
    for (auto& each : lies)
      it.step(1, swim::told{it.id(0), {each}});
    return it.done<swim::complain>(1).size();
  };
  auto first = complaints();
  CHECK(first > 0);
  CHECK(first < 50);
  CHECK(complaints() == 0);
  it.now += 1s;
  CHECK(complaints() == first);
}

TEST_CASE("a member that says that it is where another one is makes that one hear nothing",
          "[node][sealed_swim]") {
  some_members it{3};
  it.pass(2s);
  auto where = GENERATE(0U, 2U); // the one that writes, or a third one
  it.step(1, swim::moved{some_members::address(where)});
  it.pass(2s);
  REQUIRE(it.at(0).members().find(it.id(1))->address == some_members::address(where));
  auto last = std::find_if(it.sent.rbegin(), it.sent.rend(), [&](auto& each) {
    return each.to == it.id(1) && each.address == some_members::address(where)
           && each.datagram.size() > security::datagram_session::overhead;
  });
  REQUIRE(last != it.sent.rend());
  it.all[where]->done.clear();
  auto dropped = it.at(where).dropped();
  it.step(where, sealed_swim::arrived{last->datagram});
  for (auto& each : it.all[where]->done) // at most it asks who that is
    CHECK(std::holds_alternative<sealed_swim::reply>(each));
  auto all = [](const security::datagram_book::counts& of) {
    return of.strange + of.damaged + of.repeated;
  };
  CHECK(all(it.at(where).dropped()) == all(dropped) + 1);
  it.pass(10s); // its link answers for it
  CHECK(it.shows(0, 1) == member_status::alive);
  CHECK(it.shows(0, 2) == member_status::alive);
}

TEST_CASE("whose certificate does not count any more is neither heard nor written to, and dead",
          "[node][sealed_swim]") {
  some_members it{4};
  it.pass(2s);
  for (auto each : {0U, 1U, 2U}) {
    it.step(each, sealed_swim::barred{it.id(3)});
    it.cut_links.insert({each, 3});
    CHECK(!it.at(each).card_of(it.id(3)));
  }
  auto before = it.sent.size();
  auto strange = it.at(0).dropped().strange;
  it.pass(3s);
  CHECK(it.all_show(3, member_status::dead));
  for (auto each = before; each < it.sent.size(); ++each)
    CHECK(it.sent[each].to != it.id(3));
  CHECK(it.at(0).dropped().strange > strange);
}

TEST_CASE("who comes back in the same life is read at once, and no number is used twice",
          "[node][sealed_swim]") {
  auto how = swim_options::lan();
  how.keep_gone = 1min;
  some_members it{3, how};
  it.pass(5s);
  auto damaged = [&] {
    std::uint64_t all = 0;
    for (std::size_t each = 0; each < 3; ++each)
      all += it.at(each).dropped().damaged + it.at(each).dropped().repeated;
    return all;
  };
  SECTION("its certificate had expired") {
    for (auto each : {0U, 1U})
      it.step(each, sealed_swim::barred{it.id(2)});
    it.cut_links = {{0, 2}, {1, 2}};
    it.pass(5s);
    REQUIRE(it.shows(0, 2) == member_status::dead);
    it.cut_links.clear();
    it.link(2, 0);
    it.link(2, 1);
  }
  SECTION("it was forgotten by the others, and they by it") {
    it.cut_off = {2};
    it.pass(3min);
    REQUIRE_FALSE(it.shows(0, 2));
    REQUIRE_FALSE(it.shows(2, 0));
    it.cut_off.clear();
    it.link(2, 0);
  }
  SECTION("it was forgotten by one of them only") {
    it.cut_off = {0};
    it.pass(3min);
    it.start(0);
    it.cut_off.clear();
    it.link(0, 1);
  }
  auto before = it.sent.size();
  it.pass(2s);
  for (std::size_t each = 0; each < 3; ++each)
    CHECK(it.all_show(each, member_status::alive));
  CHECK(it.sent.size() > before);
  CHECK(damaged() == 0);
  std::set<std::pair<std::uint64_t, std::uint64_t>> used;
  for (auto& each : it.sent)
    if (auto header = security::datagram_header::read(each.datagram))
      CHECK(used.emplace(header->key, header->number).second);
}

TEST_CASE("a forgotten member leaves no card and no key behind", "[node][sealed_swim]") {
  auto how = swim_options::lan();
  how.keep_gone = 1min;
  some_members it{3, how};
  it.pass(2s);
  it.stop(2);
  it.pass(3min);
  CHECK(!it.shows(0, 2));
  CHECK(!it.at(0).card_of(it.id(2)));
  CHECK(it.at(0).flaws().empty());
}

TEST_CASE("no more cards are kept than members allowed", "[node][sealed_swim]") {
  auto how = swim_options::lan();
  how.max_members = 2;
  some_members it{4, how};
  it.pass(1s);
  CHECK(it.at(0).members().present() == 3);
  CHECK(it.at(0).flaws().empty());
}

// -- datagrams ---------------------------------------------------------------------------------

TEST_CASE("changed, repeated and strange datagrams do nothing, and are counted",
          "[node][sealed_swim]") {
  some_members it{2};
  it.pass(2s);
  auto before = it.all[0]->done.size();
  auto last = std::find_if(it.sent.rbegin(), it.sent.rend(),
                           [&](auto& each) { return each.to == it.id(0); });
  REQUIRE(last != it.sent.rend());
  auto changed = last->datagram;
  changed[security::datagram_header::size - 1] ^= 1; // of a number that has not come
  it.step(0, sealed_swim::arrived{last->datagram});
  it.step(0, sealed_swim::arrived{changed});
  it.step(0, sealed_swim::arrived{"hello"});
  it.step(0, sealed_swim::arrived{""});
  it.step(0, sealed_swim::arrived{std::string(1'200, '\1')});
  CHECK(it.all[0]->done.size() == before);
  CHECK(it.at(0).dropped().damaged == 1);
  CHECK(it.at(0).dropped().repeated == 1);
  CHECK(it.at(0).dropped().foreign == 2);
  CHECK(it.at(0).dropped().strange == 1);
}

TEST_CASE("a renewed certificate is in the card from then on", "[node][sealed_swim]") {
  some_members it{1};
  it.step(0, sealed_swim::certified{"new"});
  CHECK(card_of(it, 0).certificate == "new");
}

} // namespace sealed_swim_test
