#include "troupe/cluster/claims.hpp" // the header under test
#include "support/seeds.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/registry/record_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace claims_test {

using namespace std::literals;
using namespace troupe;
using cluster::claims;
using cluster::claims_options;
namespace names = registry::names;

namespace {

constexpr auto agent_kind = registry::record_kind::agent;
constexpr auto same_identity = "another live process has this node's identity";

registry::record agent(const std::string& name, const std::string& node = "n1") {
  registry::record made;
  made.key = {agent_kind, name, node};
  return made;
}

problem no(errc code) {
  return {code, "for the test"};
}

/// The claims of node n1, and what they lead to. It answers nothing by itself.
class speaker {
public:
  explicit speaker(boot_number boot = 5, claims_options how = {}) : it_("n1", boot, how, 1) {}

  void step(claims::event what, request_id id = 0) {
    it_.step(now, id, std::move(what), out);
  }

  void pass(duration span) {
    auto end = now + span;
    while (it_.next_deadline() && *it_.next_deadline() <= end) {
      now = std::max(now, *it_.next_deadline());
      it_.tick(now, out);
    }
    now = end;
  }

  /// The first effect of that kind that was not taken yet.
  template <class Effect>
  std::optional<Effect> next() {
    for (auto each = out.begin(); each != out.end(); ++each)
      if (auto* found = std::get_if<Effect>(&*each)) {
        auto taken = std::move(*found);
        out.erase(each);
        return taken;
      }
    return std::nullopt;
  }

  /// The first question of that kind; its id is `asked`.
  template <class Words>
  std::optional<Words> question() {
    for (auto each = out.begin(); each != out.end(); ++each)
      if (auto* found = std::get_if<claims::ask>(&*each))
        if (auto* words = std::get_if<Words>(&found->what)) {
          asked = found->id;
          auto taken = *words;
          out.erase(each);
          return taken;
        }
    return std::nullopt;
  }

  template <class Result>
  void answer(result<Result> what) {
    step(claims::heard<Result>{std::move(what)}, asked);
  }

  void take() {
    REQUIRE(question<registry::put_records>());
    answer<registry::put_report>(registry::put_report{.merged = 1});
  }

  void grant(std::uint64_t token) {
    auto what = question<names::claim>();
    REQUIRE(what);
    names::claims given;
    for (auto& each : what->names)
      given.claimed.push_back({each, what->owner, what->boot, token++});
    answer<names::claims>(given);
  }

  /// An agent that the cluster knows.
  void have(const std::string& name, std::uint64_t token) {
    step(claims::add{agent(name), true}, 1'000 + token);
    grant(token);
    take();
    out.clear();
  }

  errc ended(request_id id) {
    auto what = next<claims::done>();
    REQUIRE(what);
    CHECK(what->id == id);
    return what->why.code;
  }

  claims it_;
  claims::effects out;
  time_point now{1h};
  request_id asked = 0;
};

} // namespace

TEST_CASE_METHOD(speaker, "a name is shown and told once it is claimed", "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  CHECK_FALSE(next<claims::show>());
  CHECK_FALSE(question<registry::put_records>());
  grant(3);
  auto shown = next<claims::show>();
  REQUIRE(shown);
  CHECK(shown->what.token == 3);
  auto told = question<registry::put_records>();
  REQUIRE(told);
  CHECK(told->records.front().token == 3);
  CHECK_FALSE(next<claims::done>());
  answer<registry::put_report>(registry::put_report{});
  CHECK(ended(7) == errc::none);
}

TEST_CASE_METHOD(speaker, "a name that another has is refused, and shown nowhere",
                 "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  REQUIRE(question<names::claim>());
  answer<names::claims>(no(errc::name_taken));
  CHECK(ended(7) == errc::name_taken);
  CHECK(out.empty());
}

TEST_CASE_METHOD(speaker, "a claim is given back if its agent has ended, or its outcome is unknown",
                 "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  SECTION("it has ended") {
    step(claims::remove{"painter"});
    grant(3);
    CHECK(ended(7) == errc::withdrawn);
  }
  SECTION("no answer came") {
    pass(10s);
    CHECK(ended(7) == errc::timed_out);
  }
  auto given = question<names::release>();
  REQUIRE(given);
  CHECK(given->names == std::vector{"painter"s});
  CHECK_FALSE(next<claims::show>());
}

TEST_CASE_METHOD(speaker, "an agent that takes the place of one that ended gets its claim",
                 "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  REQUIRE(question<names::claim>());
  step(claims::remove{"painter"});
  step(claims::add{agent("painter"), true}, 8);
  CHECK_FALSE(question<names::claim>()); // never two under way
  step(claims::add{agent("painter"), true}, 9);
  CHECK(ended(9) == errc::in_use);
  SECTION("which is granted") {
    answer<names::claims>(names::claims{{{"painter", "n1", 5, 3}}});
    CHECK(ended(7) == errc::withdrawn);
    CHECK_FALSE(question<names::release>());
    take();
    CHECK(ended(8) == errc::none);
  }
  SECTION("which is claimed again if not") {
    answer<names::claims>(no(errc::no_quorum));
    CHECK(ended(7) == errc::no_quorum);
    CHECK_FALSE(question<names::release>());
    grant(4);
    take();
    CHECK(ended(8) == errc::none);
  }
  SECTION("unless it has ended, too") {
    step(claims::remove{"painter"});
    CHECK(ended(8) == errc::withdrawn);
    answer<names::claims>(names::claims{{{"painter", "n1", 5, 3}}});
    CHECK(ended(7) == errc::withdrawn);
    CHECK(question<names::release>());
  }
}

TEST_CASE_METHOD(speaker, "a name is released before the registry hears that its agent is gone",
                 "[node][names]") {
  have("painter", 3);
  step(claims::remove{"painter"});
  REQUIRE(out.size() == 2);
  CHECK(std::holds_alternative<names::release>(std::get<claims::ask>(out.front()).what));
  auto gone = std::get<registry::put_records>(std::get<claims::ask>(out.back()).what);
  CHECK(gone.records.front().removed);
  SECTION("and not claimed again before that is answered") {
    step(claims::add{agent("painter"), true}, 8);
    CHECK_FALSE(question<names::claim>());
    REQUIRE(question<names::release>());
    answer<names::freed>(names::freed{{"painter"}});
    CHECK(question<names::claim>());
  }
  SECTION("an agent that ends before that hears it") {
    step(claims::add{agent("painter"), true}, 8);
    step(claims::remove{"painter"});
    CHECK(ended(8) == errc::withdrawn);
    REQUIRE(question<names::release>());
    answer<names::freed>(names::freed{});
    CHECK_FALSE(question<names::claim>());
  }
}

TEST_CASE_METHOD(speaker, "answers after their question was given up change nothing",
                 "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  REQUIRE(question<names::claim>());
  auto old = asked;
  pass(10s);
  out.clear();
  step(claims::heard<names::claims>{names::claims{{{"painter", "n1", 5, 3}}}}, old);
  step(claims::heard<registry::put_report>{registry::put_report{.clashing = 1}}, 99);
  CHECK(out.empty());
}

TEST_CASE_METHOD(speaker, "a batch that is refused as taken is claimed one by one",
                 "[node][names]") {
  have("a", 1);
  have("b", 2);
  have("c", 3);
  step(claims::bound{});
  auto all = question<names::claim>();
  REQUIRE(all);
  CHECK(all->names == std::vector{"a"s, "b"s, "c"s});
  answer<names::claims>(no(errc::name_taken));
  grant(4);
  REQUIRE(question<names::claim>());
  answer<names::claims>(no(errc::name_taken));
  auto lost = next<claims::lost_name>();
  REQUIRE(lost);
  CHECK(lost->name == "b");
  CHECK(lost->why.code == errc::name_taken);
  CHECK_FALSE(question<names::release>()); // it is another's
  grant(2);                                // older than what it has
  CHECK(it_.book().find(agent_kind, "a")->token == 4);
  CHECK_FALSE(it_.book().find(agent_kind, "b"));
  CHECK(it_.book().find(agent_kind, "c")->token == 3);
}

TEST_CASE_METHOD(speaker, "names beyond one batch are claimed and released in several",
                 "[node][names]") {
  for (std::uint64_t each = 1; each <= 1'200; ++each)
    have("agent-" + std::to_string(each), each);
  step(claims::bound{});
  CHECK(question<names::claim>()->names.size() == 1'000);
  CHECK(question<names::claim>()->names.size() == 200);
  for (auto size : {500U, 500U, 200U})
    CHECK(question<registry::put_records>()->records.size() == size);
  out.clear();
  step(claims::leave{}, 7);
  for (auto size : {1'000U, 200U}) {
    CHECK(question<names::release>()->names.size() == size);
    answer<names::freed>(names::freed{});
  }
  for (auto left : {2, 1, 0}) {
    CHECK_FALSE(next<claims::done>());
    take();
    CHECK(left >= 0);
  }
  CHECK(ended(7) == errc::none);
}

TEST_CASE_METHOD(speaker, "a claim that is older loses its name, another word does not",
                 "[node][names]") {
  have("painter", 3);
  step(claims::seen{"painter", "n2", 2, false, "two"});
  step(claims::seen{"painter", "n2", 3, false, "two"});
  step(claims::seen{"painter", "n2", 9, true, "two"});
  step(claims::seen{"painter", "n1", 2, true, "one"});
  step(claims::seen{"sculptor", "n2", 9, false, "two"});
  CHECK(out.empty());
  SECTION("another has a newer one") {
    step(claims::seen{"painter", "n2", 4, false, "two"});
  }
  SECTION("the registry has taken it") {
    step(claims::seen{"painter", "n1", 3, true, "one"});
  }
  REQUIRE(next<claims::lost_name>());
  CHECK(question<registry::put_records>()->records.front().removed);
  CHECK_FALSE(question<names::release>());
}

TEST_CASE_METHOD(speaker, "all is said again when the registry has forgotten", "[node][registry]") {
  have("painter", 3);
  step(claims::begin{});
  REQUIRE(question<registry::heartbeat>());
  answer<registry::owner_view>(registry::owner_view{.owner = "n1", .boot = 5});
  CHECK_FALSE(question<registry::put_records>());
  pass(10s);
  auto beat = question<registry::heartbeat>();
  REQUIRE(beat);
  CHECK(beat->boot == 5);
  answer<registry::owner_view>(no(errc::not_found));
  CHECK(question<registry::put_records>()->records.size() == 1);
}

TEST_CASE_METHOD(speaker,
                 "a put of unknown outcome is said again a few times, without what is past",
                 "[node][registry]") {
  step(claims::put{agent("a@n1")}, 7);
  auto first = question<registry::put_records>();
  REQUIRE(first);
  answer<registry::put_report>(no(errc::session_expired));
  SECTION("it stays") {
    for (auto tries = 1; tries < 5; ++tries) {
      pass(1s);
      CHECK(question<registry::put_records>()->records == first->records);
      CHECK_FALSE(next<claims::done>());
      answer<registry::put_report>(no(errc::outcome_unknown));
    }
    CHECK(ended(7) == errc::outcome_unknown);
  }
  SECTION("it was taken back") {
    step(claims::remove{"a"});
    take();
    pass(1s);
    CHECK_FALSE(question<registry::put_records>());
    CHECK(ended(7) == errc::none);
  }
}

TEST_CASE_METHOD(speaker, "a node goes above a later boot once that is on its disk",
                 "[node][registry]") {
  have("painter", 3);
  auto says = [&](boot_number boot) {
    REQUIRE(question<registry::find_owner>());
    answer<registry::owner_view>(registry::owner_view{.owner = "n1", .boot = boot});
  };
  SECTION("that the registry knows of by its records") {
    step(claims::put{agent("a@n1")});
    REQUIRE(question<registry::put_records>());
    answer<registry::put_report>(registry::put_report{.stale = 1});
    says(9);
  }
  SECTION("that it knows of by its beats") {
    step(claims::begin{});
    REQUIRE(question<registry::heartbeat>());
    answer<registry::owner_view>(no(errc::conflict));
    says(9);
  }
  SECTION("that the service of names knows of") {
    step(claims::add{agent("sculptor"), true}, 7);
    REQUIRE(question<names::claim>());
    answer<names::claims>(no(errc::in_use));
    CHECK(ended(7) == errc::in_use);
    REQUIRE(question<names::list_claims>());
    answer<names::claim_page>(names::claim_page{{{"x", "n1", 9, 1}}, false});
  }
  SECTION("that somebody else knows of") {
    step(claims::outlived{9});
    step(claims::outlived{9}); // told once
  }
  auto wish = next<claims::rise>();
  REQUIRE(wish);
  CHECK(wish->boot == 10);
  CHECK_FALSE(next<claims::rise>());
  CHECK(it_.book().boot() == 5);
  CHECK_FALSE(question<registry::put_records>());
  step(claims::risen{10});
  CHECK(next<claims::warn>());
  CHECK(question<registry::put_records>()->records.front().boot == 10);
  CHECK(question<names::claim>()->boot == 10);
  out.clear();
  step(claims::risen{10});
  step(claims::risen{4}); // a boot never goes back
  step(claims::outlived{8});
  CHECK(out.empty());
}

TEST_CASE_METHOD(speaker, "a disk that does not keep a boot is asked again", "[node][registry]") {
  step(claims::outlived{9});
  REQUIRE(next<claims::rise>());
  pass(10s);
  step(claims::outlived{9});
  CHECK(next<claims::rise>());
}

TEST_CASE_METHOD(speaker, "a claim under way is made anew with a new boot", "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  REQUIRE(question<names::claim>());
  auto old = asked;
  step(claims::risen{6});
  step(claims::heard<names::claims>{names::claims{{{"painter", "n1", 5, 3}}}}, old);
  CHECK_FALSE(next<claims::show>());
  CHECK(question<names::claim>()->boot == 6);
}

TEST_CASE_METHOD(speaker, "a node does not go above others for ever, and says why",
                 "[node][registry]") {
  for (auto turn = 0; turn < 16; ++turn) {
    step(claims::put{agent("a@n1")});
    REQUIRE(question<registry::put_records>());
    answer<registry::put_report>(registry::put_report{.clashing = 1});
    auto wish = next<claims::rise>();
    REQUIRE(wish);
    step(claims::risen{wish->boot});
    out.clear();
  }
  step(claims::outlived{1'000});
  CHECK_FALSE(next<claims::rise>());
  CHECK(next<claims::complain>()->topic == same_identity);
}

TEST_CASE_METHOD(speaker, "a record that is not taken is complained of, until one is",
                 "[node][registry]") {
  step(claims::put{agent("a@n1")});
  REQUIRE(question<registry::put_records>());
  SECTION("as it is refused") {
    answer<registry::put_report>(no(errc::bad_argument));
    CHECK(next<claims::complain>());
  }
  SECTION("but not as the registry is out of reach") {
    answer<registry::put_report>(no(errc::unreachable));
    CHECK_FALSE(next<claims::complain>());
  }
  step(claims::put{agent("a@n1")});
  take();
  CHECK(next<claims::settle>());
}

TEST_CASE("a node has a bound of records", "[node][registry]") {
  speaker it{1, {.max_records = 2}};
  it.step(claims::put{agent("a@n1")}, 1);
  it.step(claims::add{agent("b"), true}, 2);
  it.step(claims::add{agent("c"), true}, 3);
  CHECK(it.ended(3) == errc::limit_reached);
  it.step(claims::put{agent("d@n1")}, 4);
  CHECK(it.ended(4) == errc::limit_reached);
  it.step(claims::put{agent("a@n1")}, 5); // a change
  CHECK_FALSE(it.next<claims::done>());
}

} // namespace claims_test
