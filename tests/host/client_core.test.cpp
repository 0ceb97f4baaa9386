#include "troupe/host/client_core.hpp" // the header under test
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace client_core_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::host;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

/// A client, and what it has sent and ended, by hand.
struct driven_client {
  explicit driven_client(client_options how = {}) : core(how, 7) {}

  void step(const client_core::event& what, request_id id = 0) {
    client_core::effects out;
    core.step(now, id, what, out);
    take(out);
  }

  void pass(duration span) {
    now += span;
    client_core::effects out;
    core.tick(now, out);
    take(out);
  }

  /// Until something is due.
  void wake() {
    REQUIRE(core.next_deadline());
    pass(std::max(*core.next_deadline() - now, duration::zero()));
  }

  request_id ask(duration wait = 10s, bool numbered = true, bool hurries = false) {
    step(client_core::ask{now + wait, numbered, hurries}, ++last_id);
    return last_id;
  }

  /// A question that the service keeps.
  request_id ask_for_news(duration wait) {
    step(client_core::ask{now + wait, false, false, true}, ++last_id);
    return last_id;
  }

  void answer(request_id id, std::uint32_t attempt = 1) {
    step(client_core::answered{attempt}, id);
  }

  void fail(request_id id, errc why, std::uint32_t attempt = 1) {
    step(client_core::failed{attempt, {why, "so says the service"}}, id);
  }

  /// The service gives the session that was asked for last.
  void give_session(std::uint64_t session) {
    REQUIRE(opening);
    step(client_core::opened{opening->line, opening->turn, {session}});
  }

  /// With a service, and a session.
  static driven_client in_session(client_options how = {}) {
    driven_client made{how};
    made.step(client_core::reached{});
    made.answer_first();
    return made;
  }

  void answer_first() {
    auto first = ask();
    give_session(70);
    answer(first);
    sent.clear();
  }

  [[nodiscard]] std::optional<problem> end_of(request_id id) const {
    auto found = std::ranges::find(ended, id, &client_core::ended::id);
    return found != ended.end() ? std::optional{found->why} : std::nullopt;
  }

  client_core core;
  time_point now{1h};
  request_id last_id = 0;
  std::vector<client_core::send> sent;
  std::vector<client_core::done> done;
  std::vector<client_core::ended> ended;
  std::vector<session_id> kept;
  std::vector<session_id> closed;
  std::optional<client_core::open> opening;
  int openings = 0;
  int doubts = 0;

private:
  void take(const client_core::effects& out) {
    for (auto& each : out)
      troupe::visit([this](const auto& what) { take(what); }, each);
  }

  void take(const client_core::send& what) {
    sent.push_back(what);
  }
  void take(const client_core::open& what) {
    opening = what;
    ++openings;
  }
  void take(const client_core::keep& what) {
    kept.push_back(what.what.id);
  }
  void take(const client_core::end& what) {
    closed.push_back(what.what.id);
  }
  void take(const client_core::done& what) {
    done.push_back(what);
  }
  void take(const client_core::doubt&) {
    ++doubts;
  }
  void take(const client_core::ended& what) {
    ended.push_back(what);
  }
};

} // namespace

TEST_CASE("a command opens a session, is numbered in it and is done with its answer",
          "[host][client]") {
  driven_client client;
  auto first = client.ask();
  auto second = client.ask();
  CHECK(client.openings == 0);
  client.step(client_core::reached{});
  CHECK(client.openings == 1);
  CHECK(client.opening->what.key != 0);
  CHECK(client.sent.empty());
  client.give_session(70);
  REQUIRE(client.sent.size() == 2);
  CHECK(client.sent[0].who == call{{70}, 1, 0});
  CHECK(client.sent[1].who == call{{70}, 2, 0});
  client.answer(first);
  client.answer(first); // again
  CHECK(client.done.size() == 1);
  client.ask();
  CHECK(client.sent.back().who == call{{70}, 3, 1}); // the first is acknowledged
  client.answer(second);
  CHECK(client.done.size() == 2);
  CHECK(client.openings == 1);
}

TEST_CASE("a session begins with its first command where something is known of the service",
          "[host][client]") {
  driven_client client;
  client.step(client_core::reached{41});
  auto first = client.ask(60s);
  auto second = client.ask(60s);
  REQUIRE(client.sent.size() == 2);
  auto session = client.sent[0].who.session;
  CHECK((session.value & session_id::chosen) != 0);
  CHECK(client.sent[0].who == call{session, 1, 0, 41});
  CHECK(client.sent[1].who == call{session, 2, 0, 41}); // whichever comes first
  SECTION("and is like any other from its first answer on") {
    client.answer(second);
    client.pass(20s);
    CHECK(client.kept == std::vector{session});
    client.ask();
    CHECK(client.sent.back().who == call{session, 3, 0}); // the first has no answer yet
    client.step(client_core::close{});
    CHECK(client.closed == std::vector{session});
    CHECK(client.end_of(first)->code == errc::withdrawn);
  }
  SECTION("and the same is said of it wherever the service is") {
    client.step(client_core::reached{50});
    REQUIRE(client.sent.size() == 4);
    CHECK(client.sent[2].who == call{session, 1, 0, 41});
    client.step(client_core::reached{});
    CHECK(client.sent[4].who == call{session, 1, 0, 41});
    CHECK(client.openings == 0);
  }
  SECTION("and has to be asked for where too much has ended since") {
    client.fail(first, errc::session_expired);
    CHECK(client.openings == 1);
    client.give_session(70);
    REQUIRE(client.sent.size() == 3); // of the other one nothing is known
    CHECK(client.sent[2].who == call{{70}, 1, 0});
    client.fail(second, errc::session_expired);
    REQUIRE(client.sent.size() == 4);
    CHECK(client.sent[3].who == call{{70}, 2, 0});
    client.step(client_core::close{});
    CHECK(client.closed == std::vector<session_id>{{70}});
  }
  SECTION("and is kept while its first command waits") {
    client.pass(20s);
    CHECK(client.kept == std::vector{session});
  }
  SECTION("and is like any other also when a repeat is answered") {
    client.step(client_core::reached{50});
    client.answer(first, 2);
    client.ask();
    CHECK(client.sent.back().who == call{session, 3, 1});
  }
  SECTION("and is ended though nothing was heard of it") {
    client.step(client_core::close{});
    CHECK(client.closed == std::vector{session});
  }
}

TEST_CASE("no session is chosen by what was known long ago", "[host][client]") {
  driven_client client;
  client.step(client_core::reached{41});
  client.now += 10s;
  client.ask();
  CHECK(client.openings == 1);
  client.step(client_core::reached{50}); // the service may have opened it
  CHECK(client.openings == 2);
  CHECK(client.sent.empty());
}

TEST_CASE("what all but one refused goes on in the next session", "[host][client]") {
  driven_client client;
  client.step(client_core::reached{41});
  auto first = client.ask();
  client.fail(first, errc::not_leader);
  client.step(client_core::reached{50});
  client.fail(first, errc::session_expired, 2);
  CHECK_FALSE(client.end_of(first));
  CHECK(client.openings == 1);
}

TEST_CASE("what keeps one session keeps all, however many begin", "[host][client]") {
  auto client = driven_client::in_session();
  for (auto each = 0; each < 12; ++each) {
    client.pass(15s);
    client.ask(1h); // waits, so that those after it go on in another session at last
    for (auto openings = client.openings; client.openings == openings;) {
      auto other = client.ask(1h);
      if (client.openings > openings)
        client.give_session(80 + static_cast<std::uint64_t>(each));
      client.answer(other);
    }
  }
  CHECK(client.openings == 1 + 12);
  CHECK(client.kept.size() >= 9); // every 20 s, at least one
}

TEST_CASE("a question needs no session", "[host][client]") {
  driven_client client;
  client.step(client_core::reached{});
  auto question = client.ask(10s, false);
  CHECK(client.openings == 0);
  REQUIRE(client.sent.size() == 1);
  CHECK(client.sent[0].who == call{});
  client.answer(question);
  CHECK(client.done.size() == 1);
}

TEST_CASE("a command of which nothing was heard is not carried out again in the next session",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto unheard = client.ask();
  client.step(client_core::failed{1,
                                  {errc::unreachable, "the link is lost"},
                                  client_core::failed::kind::unheard},
              unheard);
  client.fail(client.ask(), errc::session_expired);
  CHECK_FALSE(client.end_of(unheard));
  client.step(client_core::reached{});
  client.fail(unheard, errc::session_expired, 2);
  REQUIRE(client.end_of(unheard));
  CHECK(client.end_of(unheard)->code == errc::session_expired);
}

TEST_CASE("a session that comes when nobody wants it any more is ended", "[host][client]") {
  driven_client client;
  client.step(client_core::reached{});
  client.ask();
  client.step(client_core::close{});
  CHECK(client.closed.empty());
  SECTION("where the service is still there") {
    client.give_session(70);
    CHECK(client.closed == std::vector<session_id>{{70}});
  }
  SECTION("but not by one that was lost") {
    client.step(client_core::lost{});
    client.give_session(70);
    CHECK(client.closed.empty());
  }
}

TEST_CASE("nothing is said to a service that is out of reach", "[host][client]") {
  auto client = driven_client::in_session();
  client.step(client_core::lost{});
  client.pass(2 * client_options{}.keep_every);
  CHECK(client.kept.empty());
  client.step(client_core::close{});
  CHECK(client.closed.empty());
}

TEST_CASE("a session that comes late from a service that was lost is not used", "[host][client]") {
  driven_client client;
  client.step(client_core::reached{});
  client.ask();
  client.step(client_core::lost{});
  client.give_session(70);
  client.step(client_core::reached{});
  CHECK(client.openings == 2);
  CHECK(client.sent.empty());
  auto [line, turn, what] = *client.opening;
  client.step(client_core::not_opened{line, turn - 1, {errc::limit_reached, "all are in use"}});
  CHECK(client.ended.empty()); // said by the service of before
  client.give_session(71);
  REQUIRE(client.sent.size() == 1);
  CHECK(client.sent[0].who == call{{71}, 1, 0});
}

TEST_CASE("who hurries goes on while the service is there, whatever was said of it",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto sent = client.ask(10s, true, true);
  client.step(client_core::refuse{{errc::no_quorum, "1 of 3 voters"}});
  CHECK_FALSE(client.end_of(sent));
  CHECK_FALSE(client.end_of(client.ask(10s, true, true)));
  CHECK(client.sent.size() == 2);
}

TEST_CASE("a second session is kept once it is there, and its refusal ends its own commands only",
          "[host][client]") {
  auto client = driven_client::in_session({.max_pending = 10'000});
  auto slow = client.ask(1h);
  client.opening.reset();
  request_id waits = 0;
  for (auto each = 0; each < 2'000 && !client.opening; ++each) {
    waits = client.ask(1h);
    if (!client.opening)
      client.answer(waits);
  }
  REQUIRE(client.opening);
  client.pass(client_options{}.keep_every);
  CHECK(client.kept == std::vector<session_id>{{70}}); // the other is none yet
  client.step(client_core::not_opened{
    client.opening->line, client.opening->turn, {errc::limit_reached, "all are in use"}});
  CHECK(client.end_of(waits)->code == errc::limit_reached);
  CHECK_FALSE(client.end_of(slow));
}

TEST_CASE("a question that a session's end is said to is refused like any other",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto question = client.ask(10s, false);
  auto command = client.ask();
  client.fail(question, errc::session_expired);
  REQUIRE(client.end_of(question));
  CHECK(client.end_of(question)->code == errc::session_expired);
  client.answer(command);
  CHECK(client.done.size() == 2);
  client.ask();
  CHECK(client.sent.back().who == call{{70}, 3, 2}); // the session goes on
}

TEST_CASE("a command is repeated under its number, and its first answer counts", "[host][client]") {
  auto client = driven_client::in_session();
  auto id = client.ask();
  client.fail(id, errc::not_leader);
  client.wake();
  client.step(client_core::lost{});
  client.step(client_core::reached{});
  REQUIRE(client.sent.size() == 3);
  for (auto& each : client.sent)
    CHECK(each.who == client.sent.front().who);
  CHECK(client.sent[2].attempt == 3);
  client.fail(id, errc::failed, 2); // no longer under way
  CHECK(client.ended.empty());
  client.answer(id, 2);
  REQUIRE(client.done.size() == 2);
  CHECK(client.done.back().repeated);
}

TEST_CASE("what a session's end leaves open is sent in the next if it was sent once",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto twice = client.ask();
  client.step(client_core::reached{});
  auto once = client.ask();
  client.sent.clear();
  client.fail(once, errc::session_expired);
  CHECK_FALSE(client.end_of(twice)); // its answer may be on its way
  client.fail(twice, errc::session_expired, 2);
  REQUIRE(client.end_of(twice));
  CHECK(client.end_of(twice)->code == errc::session_expired);
  CHECK(client.sent.empty());
  client.give_session(90);
  REQUIRE(client.sent.size() == 1);
  CHECK(client.sent[0].who == call{{90}, 1, 0});
  client.answer(once, 1); // to what was sent in the session that ended
  CHECK(client.done.size() == 1);
  client.answer(once, 2);
  CHECK(client.done.size() == 2);
}

TEST_CASE("what was sent once in each of two sessions that ended is sent in a third",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto id = client.ask();
  client.fail(id, errc::session_expired);
  client.give_session(90);
  client.fail(id, errc::session_expired, 2);
  CHECK_FALSE(client.end_of(id)); // it was carried out in neither
  client.give_session(91);
  client.answer(id, 3);
  CHECK(client.done.size() == 2);
}

TEST_CASE("all commands of a session that ended hear of it in their own words", "[host][client]") {
  auto client = driven_client::in_session();
  auto first = client.ask();
  auto second = client.ask();
  auto unsure = client.ask();
  client.fail(unsure, errc::outcome_unknown);
  client.sent.clear();
  client.fail(first, errc::session_expired);
  client.fail(second, errc::session_expired); // of the same session: it has another number already
  CHECK_FALSE(client.end_of(first));
  CHECK_FALSE(client.end_of(second));
  client.wake(); // it is sent again
  client.fail(unsure, errc::session_expired, 2);
  REQUIRE(client.end_of(unsure)); // perhaps carried out
  CHECK(client.end_of(unsure)->code == errc::session_expired);
  client.sent.clear();
  client.give_session(90);
  REQUIRE(client.sent.size() == 2);
  CHECK(client.sent[0].who == call{{90}, 1, 0});
  CHECK(client.sent[1].who == call{{90}, 2, 0});
}

TEST_CASE("what was refused by all nodes was not carried out, what one did not know may be",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto refused = client.ask(1s);
  client.fail(refused, errc::not_leader);
  auto unknown = client.ask(1s);
  client.fail(unknown, errc::outcome_unknown);
  CHECK_FALSE(client.end_of(unknown)); // it is repeated
  client.step(client_core::lost{});
  client.pass(1s);
  CHECK(client.end_of(refused)->code == errc::no_quorum);
  CHECK(client.end_of(unknown)->code == errc::outcome_unknown);
}

TEST_CASE("a service that moves while a session is asked for is asked again", "[host][client]") {
  driven_client client;
  client.step(client_core::reached{});
  auto id = client.ask();
  client.step(client_core::reached{});
  CHECK(client.openings == 2);
  client.give_session(70);
  CHECK(client.sent.size() == 1);
  client.answer(id);
  client.wake(); // signs of life go at their pace
  auto kept = client.kept.size();
  client.pass(client_options{}.keep_every / 2);
  CHECK(client.kept.size() == kept);
}

TEST_CASE("a request ends at its deadline with what is known of it", "[host][client]") {
  driven_client client;
  auto unsent = client.ask(1s);
  client.pass(1s);
  CHECK(client.end_of(unsent)->code == errc::unreachable);
  client.step(client_core::reached{});
  auto question = client.ask(1s, false);
  auto sent = client.ask(1s);
  client.give_session(70);
  auto refused = client.ask(1s);
  client.fail(refused, errc::no_quorum);
  client.pass(999ms);
  CHECK(client.ended.size() == 1);
  client.step(client_core::lost{});
  client.pass(1ms);
  CHECK(client.end_of(question)->code == errc::timed_out);
  CHECK(client.end_of(sent)->code == errc::outcome_unknown);
  CHECK(client.end_of(refused)->code != errc::timed_out);
  CHECK(client.core.pending_requests() == 0);
}

TEST_CASE("a request to a service that was out of reach says what was in the way",
          "[host][client]") {
  driven_client client;
  client.step(client_core::hinder{{errc::unreachable, "no way to a:1"}});
  client.step(client_core::hinder{{errc::unreachable, "no way to b:1; open the network"}});
  auto unsent = client.ask(1s);
  auto words = "the service was out of reach; nothing was done"s;
  SECTION("of the last try") {
    client.pass(1s);
    CHECK(client.end_of(unsent)
          == problem{errc::unreachable, words + ": no way to b:1; open the network"});
  }
  SECTION("with what to do, if it does not say so") {
    client.step(client_core::hinder{{errc::unreachable, "a:1 knows no node that leads"}});
    client.pass(1s);
    CHECK_THAT(client.end_of(unsent)->detail, StartsWith(words + ": a:1 knows no node that leads; ")
                                                && ContainsSubstring("retry once a node leads"));
  }
  SECTION("not where that is not known any more") {
    client.step(client_core::hinder{});
    client.pass(1s);
    CHECK(client.end_of(unsent) == problem{errc::unreachable, words});
  }
  SECTION("not of a time before it was reached") {
    client.step(client_core::reached{});
    client.step(client_core::lost{});
    auto next = client.ask(500ms, false);
    client.pass(500ms);
    CHECK(client.end_of(next) == problem{errc::unreachable, words});
  }
  SECTION("not where it is reached and gives no session") {
    client.step(client_core::reached{});
    client.step(client_core::hinder{{errc::unreachable, "no way to a:1"}});
    client.pass(1s);
    CHECK(client.end_of(unsent) == problem{errc::unreachable, words});
  }
}

TEST_CASE("who hurries hears at once that nothing can be done", "[host][client]") {
  auto client = driven_client::in_session();
  auto sent = client.ask(10s, true, true);
  auto patient = client.ask(10s);
  client.step(client_core::lost{});
  CHECK_FALSE(client.end_of(sent));
  problem why{errc::no_quorum, "1 of 3 voters"};
  client.step(client_core::refuse{why});
  CHECK(client.end_of(sent)->code == errc::outcome_unknown);
  CHECK_THAT(client.end_of(sent)->detail, ContainsSubstring("1 of 3 voters"));
  auto later = client.ask(10s, true, true);
  CHECK(client.end_of(later) == why);
  CHECK_FALSE(client.end_of(patient));
  client.step(client_core::reached{});
  CHECK_FALSE(client.end_of(client.ask(10s, true, true)));
}

TEST_CASE("who is denied hears so at once, whether it hurries or not", "[host][client]") {
  auto client = driven_client::in_session();
  auto sent = client.ask(10s);
  auto question = client.ask(10s, false);
  client.step(client_core::lost{});
  problem why{errc::denied, "its certificate has been revoked"};
  client.step(client_core::refuse{why});
  CHECK(client.end_of(sent)->code == errc::outcome_unknown);
  CHECK(client.end_of(question) == why);
  CHECK(client.end_of(client.ask(10s)) == why);
  client.step(client_core::reached{});
  CHECK_FALSE(client.end_of(client.ask(10s)));
}

TEST_CASE("a refusal is over once the service was reached", "[host][client]") {
  auto client = driven_client::in_session();
  client.step(client_core::lost{});
  client.step(client_core::refuse{{errc::no_quorum, "1 of 3 voters"}});
  client.step(client_core::reached{});
  client.step(client_core::lost{});
  CHECK_FALSE(client.end_of(client.ask(10s, true, true)));
}

TEST_CASE("many failures put a retry off no further than the first", "[host][client]") {
  auto client = driven_client::in_session();
  auto first = client.ask();
  client.fail(first, errc::not_leader);
  auto due = client.core.next_deadline();
  for (auto rest = 50; rest > 0; --rest) {
    client.pass(1us);
    client.fail(client.ask(), errc::not_leader);
  }
  CHECK(client.core.next_deadline() == due);
}

TEST_CASE("more than max_pending is refused", "[host][client]") {
  driven_client client{{.max_pending = 2}};
  client.ask();
  client.ask();
  auto third = client.ask();
  CHECK(client.end_of(third)->code == errc::limit_reached);
  CHECK_THAT(client.end_of(third)->detail, ContainsSubstring("client_options::max_pending"));
  client.pass(10s);
  CHECK_FALSE(client.end_of(client.ask()));
}

TEST_CASE("a service that gives no session refuses what waits for one", "[host][client]") {
  driven_client client;
  client.step(client_core::reached{});
  auto patient = client.ask();
  auto hurried = client.ask(10s, true, true);
  auto [line, turn, what] = *client.opening;
  client.step(client_core::not_opened{line, turn, {errc::no_quorum, "alone"}});
  CHECK(client.end_of(hurried)->code == errc::no_quorum);
  CHECK_FALSE(client.end_of(patient));
  client.wake();
  CHECK(client.openings == 2);
  CHECK(client.opening->what.key == what.key); // the same session
  client.step(client_core::not_opened{line, turn, {errc::limit_reached, "too many sessions"}});
  CHECK(client.end_of(patient)->code == errc::limit_reached);
  client.step(client_core::lost{});
  client.step(client_core::reached{});
  client.ask();
  client.step(client_core::opened{line, turn, {70}}); // by the service of before
  CHECK(client.sent.empty());
  client.give_session(71);
  CHECK(client.sent.size() == 1);
}

TEST_CASE("a command that waits for long does not keep others from going on", "[host][client]") {
  auto client = driven_client::in_session({.max_pending = 10'000});
  auto slow = client.ask(1h);
  for (auto each = 0; each < 2'000; ++each) {
    auto id = client.ask(1h);
    if (client.opening && client.sent.back().id != id)
      client.give_session(100 + static_cast<std::uint64_t>(each));
    REQUIRE(client.sent.back().id == id);
    REQUIRE(client.sent.back().who.number - client.sent.back().who.acked <= 600);
    client.answer(id);
  }
  CHECK(client.openings == 2);
  CHECK(client.closed.empty());
  client.answer(slow);
  CHECK(client.closed == std::vector<session_id>{{70}}); // it ended with its last command
}

TEST_CASE("sessions are kept, and closed with the client", "[host][client]") {
  auto client = driven_client::in_session();
  client.wake();
  CHECK(client.kept == std::vector<session_id>{{70}});
  auto open = client.ask();
  client.step(client_core::close{});
  CHECK(client.closed == std::vector<session_id>{{70}});
  CHECK(client.end_of(open)->code == errc::withdrawn);
  CHECK(client.end_of(client.ask())->code == errc::withdrawn);
  CHECK_FALSE(client.core.next_deadline());
}

TEST_CASE("what the service does not understand is not repeated", "[host][client]") {
  auto client = driven_client::in_session();
  auto id = client.ask();
  client.step(
    client_core::failed{1, {errc::failed, "unexpected"}, client_core::failed::kind::misunderstood},
    id);
  CHECK(client.end_of(id)->code == errc::failed);
  auto unheard = client.ask();
  client.step(client_core::failed{1,
                                  {errc::unreachable, "the link is lost"},
                                  client_core::failed::kind::unheard},
              unheard);
  CHECK_FALSE(client.end_of(unheard));
  client.wake();
  CHECK(client.sent.back().attempt == 2);
}

TEST_CASE("a try that is refused says nothing of those before it", "[host][client]") {
  auto client = driven_client::in_session();
  auto code = GENERATE(errc::limit_reached, errc::storage_full, errc::busy, errc::too_large,
                       errc::unreachable, errc::wrong_type, errc::denied, errc::incompatible);
  auto twice = client.ask();
  client.step(client_core::lost{});
  client.step(client_core::reached{});
  auto once = client.ask();
  client.fail(twice, code, 2);
  client.fail(once, code);
  CHECK(client.end_of(twice)->code == errc::outcome_unknown);
  CHECK_THAT(client.end_of(twice)->detail, ContainsSubstring("so says the service"));
  CHECK(client.end_of(once)->code == code);
}

TEST_CASE("a try that is refused twice does not make up for one of which nothing was heard",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto twice = client.ask(1s);
  client.step(client_core::reached{}); // sent to another place
  client.fail(twice, errc::not_leader, 2);
  client.fail(twice, errc::not_leader, 2);
  client.step(client_core::lost{});
  client.pass(1s);
  REQUIRE(client.end_of(twice));
  CHECK(client.end_of(twice)->code == errc::outcome_unknown);
}

TEST_CASE("that one node does not understand a request says nothing of what another has done",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto twice = client.ask();
  client.step(client_core::reached{}); // of an older release
  auto question = client.ask(10s, false);
  client.step(client_core::reached{});
  problem why{errc::incompatible, "no such request"};
  for (auto [id, attempt] : {std::pair{twice, 3U}, std::pair{question, 2U}})
    client.step(client_core::failed{attempt, why, client_core::failed::kind::misunderstood}, id);
  CHECK(client.end_of(twice)->code == errc::outcome_unknown);
  CHECK_THAT(client.end_of(twice)->detail, ContainsSubstring("no such request"));
  CHECK(client.end_of(question) == why);
}

TEST_CASE("a try that is refused after all before it were ends with the reason", "[host][client]") {
  auto client = driven_client::in_session();
  auto id = client.ask();
  client.fail(id, errc::not_leader);
  client.wake();
  client.fail(id, errc::storage_full, 2);
  CHECK(client.end_of(id)->code == errc::storage_full);
}

TEST_CASE("what is sent to another place is not sent there again for an earlier failure",
          "[host][client]") {
  auto client = driven_client::in_session();
  auto first = client.ask();
  auto second = client.ask();
  client.fail(first, errc::not_leader);
  client.step(client_core::reached{});
  auto sent = client.sent.size();
  client.pass(2s);
  CHECK(client.sent.size() == sent);
  client.answer(first, 2);
  client.answer(second, 2);
  CHECK(client.core.pending_requests() == 0);
}

TEST_CASE("what is under way is not sent again when others fail", "[host][client]") {
  auto client = driven_client::in_session();
  auto slow = client.ask();
  auto question = client.ask(10s, false);
  auto refused = client.ask();
  auto sent = client.sent.size();
  client.fail(refused, errc::not_leader);
  client.pass(2s);
  REQUIRE(client.sent.size() == sent + 1);
  CHECK(client.sent.back().id == refused);
  client.step(client_core::reached{}); // elsewhere all have to be sent
  CHECK(client.sent.size() == sent + 4);
  for (auto each : {slow, question, refused})
    client.answer(each, 2);
  CHECK(client.core.pending_requests() == 0);
}

TEST_CASE("a question for whose answer there was no room is asked again", "[host][client]") {
  auto client = driven_client::in_session();
  auto id = client.ask(1s, false);
  client.fail(id, errc::outcome_unknown);
  client.pass(100ms);
  CHECK(client.sent.size() == 2);
  client.fail(id, errc::outcome_unknown, 2);
  client.pass(1s);
  CHECK(client.end_of(id)->code == errc::timed_out);
}

TEST_CASE("tries of a session that ended were not carried out", "[host][client]") {
  auto client = driven_client::in_session();
  auto id = client.ask(1s);
  client.fail(id, errc::session_expired);
  client.step(client_core::lost{});
  client.pass(1s);
  CHECK(client.end_of(id)->code == errc::unreachable);
}

TEST_CASE("a service that keeps questions is doubted no more often than wished", "[host][client]") {
  client_options how;
  how.doubt_after = 10s;
  auto client = driven_client::in_session(how);
  client.ask_for_news(1h);
  for (auto each = 1; each <= 2; ++each) {
    client.pass(10s - 1ms);
    CHECK(client.doubts == each - 1);
    client.pass(1ms);
    CHECK(client.doubts == each);
  }
}

TEST_CASE("a service is doubted where requests wait and nothing is heard of it") {
  client_options how;
  how.doubt_after = 250ms;
  auto client = driven_client::in_session(how);
  SECTION("not while nobody waits for an answer") {
    client.pass(10s);
    CHECK(client.doubts == 0);
    INFO("and from then on when somebody asks");
    client.ask();
    client.pass(249ms);
    CHECK(client.doubts == 0);
    client.pass(1ms);
    CHECK(client.doubts == 1);
  }
  SECTION("again after ever longer pauses, as the service may keep the request waiting") {
    client.ask(1h);
    auto doubts = 0;
    for (auto pause : {250ms, 500ms, 1'000ms, 2'000ms, 4'000ms, 8'000ms, 8'000ms}) {
      CHECK(client.core.next_deadline() <= client.now + pause);
      client.pass(pause - 1ms);
      CHECK(client.doubts == doubts);
      client.pass(1ms);
      CHECK(client.doubts == ++doubts);
    }
    INFO("and for a later request at its time, which those after it do not put off");
    client.pass(5s);
    client.ask(1h);
    client.pass(200ms);
    auto third = client.ask(1h);
    client.pass(49ms);
    CHECK(client.doubts == doubts);
    client.pass(1ms);
    CHECK(client.doubts == ++doubts);
    client.pass(499ms);
    CHECK(client.doubts == doubts);
    client.pass(1ms);
    CHECK(client.doubts == ++doubts);
    INFO("an answer to one says that the service is there, and nothing of those that wait");
    client.answer(third);
    client.pass(999ms);
    CHECK(client.doubts == doubts);
    client.pass(1ms);
    CHECK(client.doubts == ++doubts);
    INFO("and at another place all are waited for anew");
    client.step(client_core::reached{});
    client.pass(250ms);
    CHECK(client.doubts == ++doubts);
  }
  SECTION("not for the time before a question that is kept") {
    client.pass(10s);
    client.ask_for_news(1h);
    client.pass(8s - 1ms);
    CHECK(client.doubts == 0);
    client.pass(1ms);
    CHECK(client.doubts == 1);
  }
  SECTION("not for what was doubted at one place, and answered at another") {
    client.ask_for_news(1h);
    auto first = client.ask(1h);
    client.pass(250ms);
    CHECK(client.doubts == 1);
    client.step(client_core::reached{});
    client.answer(first, 2);
    client.pass(8s - 1ms);
    CHECK(client.doubts == 1);
    client.pass(1ms);
    CHECK(client.doubts == 2);
  }
  SECTION("seldom where all that waits is kept until there is news") {
    auto kept = client.ask_for_news(1h);
    for (auto each = 1; each <= 3; ++each) {
      client.pass(8s - 1ms);
      CHECK(client.doubts == each - 1);
      client.pass(1ms);
      CHECK(client.doubts == each);
    }
    INFO("but in time for another request beside it");
    client.pass(5s);
    auto other = client.ask(1h);
    client.ask_for_news(1h);
    client.pass(249ms);
    CHECK(client.doubts == 3);
    client.pass(1ms);
    CHECK(client.doubts == 4);
    client.pass(250ms);
    client.ask_for_news(1h);
    client.pass(249ms);
    CHECK(client.doubts == 4);
    client.pass(1ms);
    CHECK(client.doubts == 5);
    INFO("and seldom again once that is answered");
    client.answer(other);
    client.pass(8s - 1ms);
    CHECK(client.doubts == 5);
    client.pass(1ms);
    CHECK(client.doubts == 6);
    INFO("also where it was answered before a doubt");
    client.pass(1s);
    client.answer(client.ask(1h));
    client.answer(kept);
    client.pass(8s - 1ms);
    CHECK(client.doubts == 6);
    client.pass(1ms);
    CHECK(client.doubts == 7);
    INFO("and at another place");
    client.step(client_core::reached{});
    client.pass(8s - 1ms);
    CHECK(client.doubts == 7);
    client.pass(1ms);
    CHECK(client.doubts == 8);
  }
  SECTION("not more often than is wished") {
    how.doubt_after = 10s;
    auto patient = driven_client::in_session(how);
    patient.ask(1h);
    for (auto each = 1; each < 4; ++each) {
      patient.pass(10s - 1ms);
      CHECK(patient.doubts == each - 1);
      patient.pass(1ms);
      CHECK(patient.doubts == each);
    }
  }
  SECTION("not as long as other requests are answered, or refused by itself") {
    client.ask(10s);
    for (auto each = 0; each < 10; ++each) {
      auto second = client.ask(10s);
      client.pass(200ms);
      if (each % 2 == 0)
        client.answer(second);
      else
        client.fail(second, errc::storage_full);
    }
    CHECK(client.doubts == 0);
    INFO("but that no answer will come says nothing");
    auto third = client.ask(10s);
    client.pass(200ms);
    client.step(client_core::failed{1, {errc::unreachable, ""}, client_core::failed::kind::unheard},
                third);
    client.pass(50ms);
    CHECK(client.doubts == 1);
  }
  SECTION("nor where it is known to be nowhere") {
    client.ask(10s);
    client.step(client_core::lost{});
    client.pass(1s);
    CHECK(client.doubts == 0);
    client.step(client_core::reached{});
    client.pass(249ms);
    CHECK(client.doubts == 0);
  }
  SECTION("nor where nobody wants to hear of it") {
    how.doubt_after = {};
    auto deaf = driven_client::in_session(how);
    deaf.ask(10s);
    CHECK(deaf.core.next_deadline() == deaf.now + 10s);
    deaf.pass(5s);
    CHECK(deaf.doubts == 0);
  }
  SECTION("also while a session is asked for") {
    client.step(client_core::lost{});
    auto fresh = driven_client{how};
    fresh.step(client_core::reached{});
    fresh.ask(10s);
    fresh.pass(200ms);
    fresh.give_session(71);
    fresh.pass(200ms);
    CHECK(fresh.doubts == 0);
    fresh.pass(50ms);
    CHECK(fresh.doubts == 1);
  }
}

} // namespace client_core_test
