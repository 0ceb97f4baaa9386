#include "troupe/cluster/announcer.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/take.hpp"

namespace announcer_test {

using namespace std::literals;
using namespace troupe;
using cluster::announcer;
using cluster::claims_types;
using registry::record;
using registry::record_kind;
using said = announcer::said;
using words = std::vector<std::string>;

namespace {

const problem gone{errc::unreachable, "no way"};
const problem again{errc::session_expired, "another registry"};

/// Has one record, of an agent or several.
struct speaker {
  record made(const std::string& name) {
    record what;
    what.key = {record_kind::agent, name, {}};
    return book.put(what);
  }

  /// Says it, and has somebody wait for it.
  void announce(const record& what, request_id asker = 0) {
    it.announce(now, {what}, {.asker = asker}, out);
  }

  /// The names in the puts that are asked now, "-" for removals, and their questions.
  words told() {
    words found;
    for (auto& each : test::take<claims_types::ask>(out))
      if (auto* put = std::get_if<registry::put_records>(&each.what)) {
        asked.push_back(each.id);
        for (auto& one : put->records)
          found.push_back((one.removed ? "-" : "") + one.key.name);
      }
    return found;
  }

  /// Takes the first open put.
  said open() {
    REQUIRE(!asked.empty());
    auto id = asked.front();
    asked.erase(asked.begin());
    auto found = questions.take<said>(id);
    REQUIRE(found);
    return *found;
  }

  /// The registry takes it. Returns who hears of it.
  std::optional<announcer::tally> taken() {
    return it.count(open().tally, {}, out);
  }

  std::optional<announcer::tally> fails(const problem& why) {
    return it.failed(now, open(), why, out);
  }

  /// Says what is due by now.
  void repeat(duration span = 1s) {
    now += span;
    while (auto next = it.take_due(now))
      over = it.say(now, std::move(*next), out);
  }

  bool has_settled() {
    return !test::take<claims_types::settle>(out).empty();
  }

  std::size_t complaints() {
    return test::take<claims_types::complain>(out).size();
  }

  cluster::claims_options options{.heartbeat_every = 10s, .max_tries = 3, .max_owed = 3};
  registry::own_records book{"n1", 4};
  cluster::service_questions questions{10s};
  announcer it{options, book, questions, 1};
  claims_types::effects out;
  time_point now{1h};
  std::vector<request_id> asked;
  std::optional<announcer::tally> over;
};

} // namespace

TEST_CASE_METHOD(speaker, "who waits for a record hears once the registry has it",
                 "[node][claims]") {
  announce(made("painter"), 7);
  CHECK(told() == words{"painter"});
  CHECK(it.askers() == std::vector<request_id>{7});
  auto heard = taken();
  REQUIRE(heard);
  CHECK(heard->asker == 7);
  CHECK_FALSE(heard->first);
  CHECK(it.askers().empty());
  CHECK(it.flaws().empty());
}

TEST_CASE_METHOD(speaker, "what nobody waits for is logged when it fails and when it is over",
                 "[node][claims]") {
  announce(made("painter"));
  told();
  CHECK_FALSE(fails({errc::limit_reached, "full"}));
  CHECK(complaints() == 1);
  announce(made("painter"));
  told();
  CHECK_FALSE(fails(gone)); // said elsewhere
  CHECK(complaints() == 0);
  announce(made("painter"));
  told();
  CHECK_FALSE(fails({errc::no_quorum, "n2 is missing"}));
  CHECK(complaints() == 0);
  announce(made("painter"));
  told();
  CHECK_FALSE(taken());
  CHECK(has_settled());
}

TEST_CASE_METHOD(speaker, "an agent that is added is told of, also if nobody waits",
                 "[node][claims]") {
  it.announce(now, {made("painter")}, {.added = "painter"}, out);
  told();
  auto heard = taken();
  REQUIRE(heard);
  CHECK(heard->added == "painter");
  it.close(*heard, out);
  CHECK(has_settled());
}

TEST_CASE_METHOD(speaker, "many records are told in pages, and have one answer", "[node][claims]") {
  std::vector<record> all;
  for (std::size_t each = 0; each < 1'001; ++each)
    all.push_back(made("agent-" + std::to_string(each)));
  it.announce(now, all, {.asker = 7}, out);
  CHECK(told().size() == 1'001);
  CHECK(asked.size() == 3); // of 500 at most
  CHECK_FALSE(taken());
  CHECK_FALSE(fails({errc::too_large, "the second"}));
  auto heard = fails({errc::denied, "the third"});
  REQUIRE(heard);
  CHECK(heard->first.code == errc::too_large);
}

TEST_CASE_METHOD(speaker, "a tally may wait for questions of others", "[node][claims]") {
  auto ticket = it.begin_tally({.asker = 7});
  it.expect(ticket, 1);
  it.say_pages(now, {made("painter")}, ticket, 0, out);
  told();
  CHECK_FALSE(it.count(ticket, {}, out)); // all is asked
  CHECK_FALSE(taken());
  CHECK(it.count(ticket, {errc::failed, "a name"}, out)->first.code == errc::failed);
}

TEST_CASE_METHOD(speaker, "what may have been lost is said again at once, a few times",
                 "[node][claims]") {
  for (auto code : {errc::session_expired, errc::outcome_unknown, errc::busy}) {
    announce(made("painter"), 7);
    CHECK(told() == words{"painter"});
    for (auto tries = 1; tries < 3; ++tries) {
      CHECK_FALSE(fails({code, "perhaps"}));
      CHECK(it.waiting() == 1);
      CHECK(it.next_deadline() > now);
      CHECK(it.next_deadline() <= now + 1s);
      CHECK_FALSE(it.take_due(now));
      repeat();
      CHECK(told() == words{"painter"});
    }
    auto heard = fails({code, "perhaps"});
    REQUIRE(heard);
    CHECK(heard->first.code == code);
    CHECK(it.waiting() == 0);
    it.catch_up(now, out); // and with a later heartbeat
    CHECK(told() == words{"painter"});
    CHECK_FALSE(taken());
  }
}

TEST_CASE_METHOD(speaker, "a record is said again as it is now", "[node][claims]") {
  announce(made("painter"));
  announce(made("sculptor"));
  told();
  auto version = made("painter").version; // it has changed
  CHECK_FALSE(fails(again));
  CHECK_FALSE(fails(again));
  book.remove(record_kind::agent, "sculptor");
  repeat();
  auto puts = test::take<claims_types::ask>(out);
  REQUIRE(puts.size() == 1); // who took sculptor back has said so
  auto& put = std::get<registry::put_records>(puts.front().what);
  CHECK(put.records.front().version == version);
  CHECK(has_settled()); // of sculptor
  CHECK(it.flaws().empty());
}

TEST_CASE_METHOD(speaker, "a removal is said again with its boot, and not in a later one",
                 "[node][claims]") {
  made("painter");
  auto removal = *book.remove(record_kind::agent, "painter");
  announce(removal);
  CHECK(told() == words{"-painter"});
  CHECK_FALSE(fails(again));
  repeat();
  CHECK(told() == words{"-painter"});
  CHECK_FALSE(fails(again));
  book.rise_above(4);
  repeat();
  CHECK(told().empty()); // a later boot ends what earlier ones have said
  CHECK(it.flaws().empty());
}

TEST_CASE_METHOD(speaker, "what failed is said again once the registry answers", "[node][claims]") {
  announce(made("painter"));
  announce(made("sculptor"));
  told();
  CHECK_FALSE(fails(gone));
  CHECK_FALSE(fails({errc::bad_argument, "no name"})); // it would fail again
  it.catch_up(now, out);
  CHECK(told() == words{"painter"});
  it.catch_up(now, out);
  CHECK(told().empty());
  CHECK_FALSE(fails(gone));
  it.say_all(now, out);
  CHECK(told() == words{"painter", "sculptor"});
  it.catch_up(now, out); // that was all
  CHECK(told().empty());
}

TEST_CASE_METHOD(speaker, "what is said again is said with the present boot", "[node][claims]") {
  announce(made("painter"));
  told();
  CHECK_FALSE(fails(again));
  book.rise_above(4);
  repeat();
  CHECK(told() == words{"painter"});
  CHECK(open().boot == 5);
}

TEST_CASE_METHOD(speaker, "so much may be owed, beyond it all is said again", "[node][claims]") {
  made("poet");
  for (auto* each : {"painter", "sculptor", "dancer"})
    announce(made(each));
  told();
  for (auto each = 0; each < 3; ++each)
    CHECK_FALSE(fails(gone));
  CHECK(it.flaws().empty());
  it.catch_up(now, out);
  CHECK(told() == words{"dancer", "painter", "poet", "sculptor"});
}

TEST_CASE_METHOD(speaker, "a registry that has forgotten is told all", "[node][claims]") {
  made("painter");
  it.catch_up(now, out);
  CHECK(told().empty());
  it.is_forgotten();
  it.catch_up(now, out);
  CHECK(told() == words{"painter"});
  CHECK_FALSE(taken());
  it.catch_up(now, out);
  CHECK(told().empty());
}

TEST_CASE_METHOD(speaker, "what was taken back is forgotten once a registry has heard it all",
                 "[node][claims]") {
  announce(made("painter"));
  told();
  book.remove(record_kind::agent, "painter");
  it.say_all(now, out); // an older word is still under way
  CHECK(told() == words{"-painter"});
  CHECK_FALSE(taken());
  CHECK_FALSE(taken());
  CHECK(book.all().size() == 1);
  it.say_all(now, out);
  told();
  SECTION("it has") {
    CHECK_FALSE(taken());
    CHECK(book.all().empty());
  }
  SECTION("it has not taken it") {
    CHECK_FALSE(fails(gone));
    CHECK(book.all().size() == 1);
  }
  SECTION("a later boot has begun") {
    auto what = open();
    book.rise_above(4);
    made("sculptor");
    book.remove(record_kind::agent, "sculptor");
    CHECK_FALSE(it.count(what.tally, {}, out));
    CHECK(book.all().size() == 1);
  }
}

TEST_CASE_METHOD(speaker, "what has changed since it was said is outdated", "[node][claims]") {
  auto same = made("painter");
  auto before = made("sculptor");
  made("sculptor");
  auto removed = made("dancer");
  book.remove(record_kind::agent, "dancer");
  auto removal = made("poet");
  removal.removed = true;
  book.remove(record_kind::agent, "poet");
  CHECK(it.outdated({same, removal}) == 0);
  CHECK(it.outdated({same, before, removed, removal}) == 2);
}

TEST_CASE_METHOD(speaker, "the node says that it lives, again and again", "[node][claims]") {
  auto beats = [&] {
    std::size_t found = 0;
    for (auto& each : test::take<claims_types::ask>(out))
      found += std::holds_alternative<registry::heartbeat>(each.what) ? 1 : 0;
    return found;
  };
  CHECK(it.next_deadline() == std::nullopt);
  it.beat_if_due(now + 1h, out);
  CHECK(beats() == 0); // it has not begun
  it.begin(now, out);
  CHECK(beats() == 1);
  it.begin(now, out);
  CHECK(beats() == 0);
  CHECK(it.next_deadline() == now + 10s);
  it.beat_if_due(now + 10s - 1ms, out);
  CHECK(beats() == 0);
  it.beat_if_due(now + 10s, out);
  CHECK(beats() == 1);
  announce(made("painter"));
  told();
  now += 19s + 900ms;
  CHECK_FALSE(fails(again)); // which is due first
  CHECK(it.next_deadline() < now + 100ms);
}

} // namespace announcer_test
