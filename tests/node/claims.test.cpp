#include "troupe/cluster/claims.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"

namespace claims_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::claims;
using cluster::claims_options;
using test::operator""_node;
namespace names = registry::names;

namespace {

constexpr auto agent_kind = registry::record_kind::agent;
const owner_id self{"n1"_node};

constexpr auto same_identity = "another live process has this node's identity";

registry::record agent(const std::string& name, const std::string& node = "n1") {
  registry::record made;
  made.key = {agent_kind, test::with_whole_id(name), test::node_named(node)};
  return made;
}

problem no(errc code) {
  return {code, "for the test"};
}

/// The claims of node n1, and what they lead to. It answers nothing by itself.
class speaker {
public:
  explicit speaker(boot_number boot = 5, claims_options how = {}) : it_("n1"_node, boot, how) {}

  void step(claims::event what, request_id id = 0) {
    it_.step(now, id, std::move(what), out);
    CHECK(it_.flaws() == std::vector<std::string>{});
  }

  void pass(duration span) {
    auto end = now + span;
    while (it_.next_deadline() && *it_.next_deadline() <= end) {
      now = std::max(now, *it_.next_deadline());
      it_.tick(now, out);
      CHECK(it_.flaws() == std::vector<std::string>{});
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

  /// What it has said next.
  std::vector<registry::record> said() {
    auto what = next<claims::says>();
    REQUIRE(what);
    return what->what;
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
    said();
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
  CHECK_FALSE(next<claims::says>());
  CHECK_FALSE(next<claims::done>());
  grant(3);
  auto shown = next<claims::show>();
  REQUIRE(shown);
  CHECK(shown->what.token == 3);
  CHECK(said().front().token == 3);
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
  CHECK(given->names == std::vector<agent_id>{"painter"});
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
    answer<names::claims>(names::claims{{{"painter", self, 5, 3}}});
    CHECK(ended(7) == errc::withdrawn);
    CHECK_FALSE(question<names::release>());
    said();
    CHECK(ended(8) == errc::none);
  }
  SECTION("which is claimed again if not") {
    answer<names::claims>(no(errc::no_quorum));
    CHECK(ended(7) == errc::no_quorum);
    CHECK_FALSE(question<names::release>());
    grant(4);
    said();
    CHECK(ended(8) == errc::none);
  }
  SECTION("unless it has ended, too") {
    step(claims::remove{"painter"});
    CHECK(ended(8) == errc::withdrawn);
    answer<names::claims>(names::claims{{{"painter", self, 5, 3}}});
    CHECK(ended(7) == errc::withdrawn);
    CHECK(question<names::release>());
  }
}

TEST_CASE_METHOD(speaker, "a name is released before others hear that its agent is gone",
                 "[node][names]") {
  have("painter", 3);
  step(claims::remove{"painter"});
  auto hidden = next<claims::hide>();
  REQUIRE(hidden);
  CHECK(hidden->what.key.name == "painter");
  REQUIRE(out.size() == 2);
  CHECK(std::holds_alternative<names::release>(std::get<claims::ask>(out.front()).what));
  CHECK(std::get<claims::says>(out.back()).what.front().removed);
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

TEST_CASE_METHOD(speaker, "an answer about another name is none", "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  REQUIRE(question<names::claim>());
  SECTION("but that one") {
    answer<names::claims>(names::claims{{{"sculptor", self, 5, 3}}});
  }
  SECTION("and one about no name") {
    answer<names::claims>(names::claims{});
  }
  CHECK(ended(7) == errc::failed);
  CHECK_FALSE(next<claims::show>());
  CHECK(question<names::release>());
}

TEST_CASE_METHOD(speaker, "answers after their question was given up change nothing",
                 "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  REQUIRE(question<names::claim>());
  auto old = asked;
  pass(10s);
  out.clear();
  step(claims::heard<names::claims>{names::claims{{{"painter", self, 5, 3}}}}, old);
  step(claims::heard<names::claim_page>{names::claim_page{{{"x", self, 9, 1}}, false}}, old);
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
  CHECK(all->names == std::vector<agent_id>{"a", "b", "c"});
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

TEST_CASE_METHOD(speaker, "names beyond one batch are claimed in several, and given back in one",
                 "[node][names]") {
  for (std::uint64_t each = 1; each <= 1'200; ++each)
    have("agent-" + std::to_string(each), each);
  step(claims::bound{});
  CHECK(question<names::claim>()->names.size() == 1'000);
  answer<names::claims>(no(errc::bad_argument));
  CHECK(question<names::claim>()->names.size() == 200);
  answer<names::claims>(no(errc::bad_argument));
  out.clear();
  step(claims::leave{}, 7);
  CHECK(said().size() == 1'200);
  CHECK_FALSE(next<claims::done>());
  CHECK(question<names::owner_gone>()->boot == 5);
  CHECK(out.empty());
  answer<names::freed>(names::freed{});
  CHECK(ended(7) == errc::none);
}

TEST_CASE_METHOD(speaker, "a node that leaves gives back what an earlier life of it has claimed",
                 "[node][names]") {
  step(claims::leave{}, 7);
  auto all = question<names::owner_gone>();
  REQUIRE(all);
  CHECK(all->owner == self);
  CHECK(all->boot == 5);
  CHECK(out.empty());
  SECTION("once that is heard") {
    answer<names::freed>(names::freed{});
    CHECK(ended(7) == errc::none);
  }
  SECTION("or says why not") {
    answer<names::freed>(no(errc::no_quorum));
    CHECK(ended(7) == errc::no_quorum);
  }
  SECTION("or that nobody has answered") {
    pass(claims_options{}.answer_within);
    CHECK(ended(7) == errc::timed_out);
  }
}

TEST_CASE_METHOD(speaker, "a name that is being claimed when its node leaves is given back",
                 "[node][names]") {
  have("painter", 3);
  SECTION("that of an agent which begins") {
    step(claims::add{agent("sculptor"), true}, 7);
    REQUIRE(question<names::claim>());
    step(claims::leave{}, 8);
    CHECK_FALSE(question<names::owner_gone>());
    names::claims given{{{"sculptor", self, 5, 4}}};
    answer<names::claims>(given);
    CHECK(ended(7) == errc::withdrawn);
    REQUIRE(question<names::release>());
  }
  SECTION("that of an agent which ends") {
    step(claims::remove{"painter"});
    REQUIRE(question<names::release>());
    step(claims::leave{}, 8);
  }
  SECTION("once more") {
    step(claims::bound{});
    auto again = question<names::claim>();
    REQUIRE(again);
    auto asked_again = asked;
    step(claims::leave{}, 8);
    CHECK_FALSE(question<names::owner_gone>());
    asked = asked_again;
    answer<names::claims>(names::claims{{{"painter", self, 5, 3}}});
    REQUIRE(question<names::release>());
  }
  CHECK_FALSE(question<names::owner_gone>());
  answer<names::freed>(names::freed{});
  CHECK_FALSE(next<claims::done>());
  REQUIRE(question<names::owner_gone>());
  answer<names::freed>(names::freed{});
  CHECK(ended(8) == errc::none);
}

TEST_CASE_METHOD(speaker, "a node that has left claims no name and says nothing more",
                 "[node][names]") {
  step(claims::leave{}, 7);
  REQUIRE(question<names::owner_gone>());
  step(claims::add{agent("painter"), true}, 8);
  CHECK(ended(8) == errc::cancelled);
  step(claims::add{agent("x@n1")}, 9);
  CHECK(ended(9) == errc::cancelled);
  step(claims::put{agent("s@n1")}, 10);
  CHECK(ended(10) == errc::cancelled);
  answer<names::freed>(names::freed{});
  CHECK(ended(7) == errc::none);
  step(claims::bound{});
  CHECK(out.empty());
  CHECK(it_.book().size() == 0);
}

TEST_CASE_METHOD(speaker, "a claim that is older loses its name, another word does not",
                 "[node][names]") {
  have("painter", 3);
  step(claims::seen{"painter", "n2"_node, 2, false, "two"});
  step(claims::seen{"painter", "n2"_node, 3, false, "two"});
  step(claims::seen{"painter", "n2"_node, 9, true, "two"});
  step(claims::seen{"painter", "n1"_node, 2, true, "one"});
  step(claims::seen{"sculptor", "n2"_node, 9, false, "two"});
  CHECK(out.empty());
  SECTION("another has a newer one") {
    step(claims::seen{"painter", "n2"_node, 4, false, "two"});
  }
  SECTION("its own record shows as taken") {
    step(claims::seen{"painter", "n1"_node, 3, true, "one"});
  }
  REQUIRE(next<claims::lost_name>());
  CHECK(said().front().removed);
  CHECK_FALSE(question<names::release>());
  step(claims::bound{}); // a claim of before may have been carried out late
  CHECK(question<names::release>()->names == std::vector<agent_id>{"painter"});
}

TEST_CASE_METHOD(speaker,
                 "a grant that another has been given the name after is none, though it comes late",
                 "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  SECTION("of a claim of before") {
    step(claims::seen{"painter", "n2"_node, 9, false, "two"});
    step(claims::seen{"painter", "n3"_node, 4, false, "three"});
    grant(8);
    CHECK_FALSE(next<claims::show>());
    auto done = next<claims::done>();
    REQUIRE(done);
    CHECK(done->why.code == errc::name_taken);
    CHECK_THAT(done->why.detail, ContainsSubstring("node two has a newer claim to 'painter'"));
    CHECK_FALSE(question<names::release>()); // it is not this node's
  }
  SECTION("of a later one it is one") {
    step(claims::seen{"painter", "n2"_node, 9, false, "two"});
    grant(10);
    CHECK(next<claims::show>());
  }
  SECTION("what was taken from others, or of this node, tells nothing") {
    step(claims::seen{"painter", "n2"_node, 9, true, "two"});
    step(claims::seen{"painter", "n1"_node, 9, false, "one"});
    step(claims::seen{"sculptor", "n2"_node, 9, false, "two"});
    grant(8);
    CHECK(next<claims::show>());
  }
}

TEST_CASE_METHOD(speaker, "what changes is said at once, with one version each, and has its answer",
                 "[node][registry]") {
  step(claims::put{agent("s@n1")}, 7);
  CHECK(said().front().version == 1);
  CHECK(ended(7) == errc::none);
  step(claims::add{agent("a@n1")}, 8);
  CHECK(next<claims::show>());
  CHECK(said().front().version == 2);
  CHECK(ended(8) == errc::none);
  step(claims::remove{"a"});
  auto gone = said();
  REQUIRE(gone.size() == 1);
  CHECK(gone.front().removed);
  CHECK(gone.front().version == 3);
  step(claims::bound{}); // the services hear nothing of it
  step(claims::leave{}, 9);
  CHECK(said().front().removed);
  REQUIRE(question<names::owner_gone>()); // of an earlier life
  answer<names::freed>(names::freed{});
  CHECK(ended(9) == errc::none);
  CHECK(out.size() == 1);
  CHECK(next<claims::hide>());
}

TEST_CASE_METHOD(speaker, "a node goes above a later boot once that is on its disk",
                 "[node][registry]") {
  have("painter", 3);
  SECTION("that the service of names knows of") {
    step(claims::add{agent("sculptor"), true}, 7);
    REQUIRE(question<names::claim>());
    answer<names::claims>(no(errc::in_use));
    CHECK(ended(7) == errc::in_use);
    REQUIRE(question<names::list_claims>());
    answer<names::claim_page>(names::claim_page{{{"x", self, 9, 1}}, false});
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
  CHECK_FALSE(next<claims::says>());
  step(claims::risen{10});
  CHECK(next<claims::warn>());
  CHECK(said().front().boot == 10);
  CHECK(question<names::claim>()->boot == 10);
  out.clear();
  step(claims::risen{10});
  step(claims::risen{4}); // a boot never goes back
  step(claims::outlived{8});
  CHECK(out.empty());
}

TEST_CASE_METHOD(speaker, "a node believes no word of a start that cannot be, and says what to do",
                 "[node][registry]") {
  auto is_ignored = [&] {
    CHECK_FALSE(next<claims::rise>());
    auto said = next<claims::complain>();
    REQUIRE(said);
    CHECK_THAT(said->topic, ContainsSubstring("start of this node that cannot be"));
    CHECK_THAT(said->detail,
               ContainsSubstring("this is number 5") && ContainsSubstring("an empty data folder"));
  };
  SECTION("of the service of names") {
    step(claims::add{agent("painter"), true}, 7);
    REQUIRE(question<names::claim>());
    answer<names::claims>(no(errc::in_use));
    REQUIRE(question<names::list_claims>());
    answer<names::claim_page>(names::claim_page{{{"x", self, registry::max_boot, 1}}, false});
    is_ignored();
  }
  SECTION("of anybody else") {
    step(claims::outlived{~boot_number{0}});
    is_ignored();
    SECTION("and goes above one that can be, later") {
      step(claims::outlived{8});
      CHECK(next<claims::rise>()->boot == 9);
    }
  }
  SECTION("that is one start too far") {
    step(claims::outlived{5 + max_boot_jump + 1});
    is_ignored();
    step(claims::outlived{5 + max_boot_jump});
    CHECK(next<claims::rise>()->boot == 6 + max_boot_jump);
  }
}

TEST_CASE("no node goes above the last boot", "[node][registry]") {
  speaker it{registry::max_boot - 2};
  it.step(claims::outlived{registry::max_boot});
  CHECK_FALSE(it.next<claims::rise>());
  CHECK(it.next<claims::complain>());
  it.step(claims::outlived{registry::max_boot - 1});
  CHECK(it.next<claims::rise>()->boot == registry::max_boot);
}

TEST_CASE("who has no data folder says so with each claim", "[node][names]") {
  for (auto is_fleeting : {true, false}) {
    speaker it{5, {.is_fleeting = is_fleeting}};
    it.step(claims::add{agent("painter"), true}, 7);
    CHECK(it.question<names::claim>()->is_fleeting == is_fleeting);
  }
}

TEST_CASE("a node without a data folder looks whether its names are still its", "[node][names]") {
  speaker it{5, {.is_fleeting = true, .retry_every = 10s, .look_every = 30s}};
  it.have("painter", 3);
  it.have("sculptor", 4);
  auto looks = [&] {
    auto what = it.question<names::list_claims>();
    if (what) {
      CHECK(what->owner == self);
      CHECK(what->after.empty());
      CHECK(what->limit == 1'000);
    }
    return what.has_value();
  };
  names::name_claim painter{"painter", self, 5, 3};
  names::name_claim sculptor{"sculptor", self, 5, 4};
  SECTION("each time after that span") {
    it.pass(30s - 1ms);
    CHECK(it.out.empty());
    it.pass(1ms);
    REQUIRE(looks());
    SECTION("and claims nothing that it has") {
      it.answer<names::claim_page>(names::claim_page{{painter, sculptor}, false});
      CHECK(it.out.empty());
    }
    SECTION("and again where no answer came") {
      it.pass(10s);
      CHECK(it.out.empty());
    }
    it.pass(30s);
    CHECK(looks());
  }
  SECTION("when it hears that it was taken for dead, and once more soon") {
    it.step(claims::given_up{});
    REQUIRE(looks());
    it.step(claims::given_up{}); // one question at a time
    CHECK_FALSE(looks());
    it.answer<names::claim_page>(names::claim_page{{painter, sculptor}, false});
    it.pass(10s); // they may have been freed since
    REQUIRE(looks());
    it.answer<names::claim_page>(names::claim_page{});
    auto again = it.question<names::claim>();
    REQUIRE(again);
    CHECK(again->names == std::vector<agent_id>{"painter", "sculptor"});
    it.answer<names::claims>(names::claims{{{"painter", self, 5, 7}, {"sculptor", self, 5, 8}}});
    CHECK(it.it_.book().find(agent_kind, "painter")->token == 7);
    CHECK(it.said().size() == 2);
  }
  SECTION("and claims again what is missing, or was claimed with an earlier boot") {
    it.pass(30s);
    REQUIRE(looks());
    if (GENERATE(true, false)) {
      it.answer<names::claim_page>(names::claim_page{{painter}, false});
    } else {
      sculptor.boot = 4;
      it.answer<names::claim_page>(names::claim_page{{painter, sculptor}, false});
    }
    CHECK(it.question<names::claim>()->names == std::vector<agent_id>{"sculptor"});
    it.answer<names::claims>(no(errc::name_taken)); // another was faster
    CHECK(it.next<claims::lost_name>()->name == "sculptor");
  }
  SECTION("page by page") {
    it.pass(30s);
    REQUIRE(looks());
    it.answer<names::claim_page>(names::claim_page{{painter}, true});
    CHECK_FALSE(it.question<names::claim>()); // the next page may have the other
    auto next = it.question<names::list_claims>();
    REQUIRE(next);
    CHECK(next->after == "painter");
    SECTION("to the end") {
      it.answer<names::claim_page>(names::claim_page{});
      CHECK(it.question<names::claim>()->names == std::vector<agent_id>{"sculptor"});
    }
    SECTION("but not for ever") {
      it.answer<names::claim_page>(names::claim_page{{painter}, true});
      CHECK_FALSE(it.question<names::list_claims>());
    }
  }
  SECTION("not once it has none") {
    it.step(claims::remove{"painter"});
    it.step(claims::remove{"sculptor"});
    while (it.question<names::release>())
      it.answer<names::freed>(names::freed{});
    it.out.clear();
    it.pass(1h);
    CHECK_FALSE(looks());
    SECTION("until it has one again") {
      it.have("painter", 9);
      it.pass(30s);
      CHECK(looks());
    }
  }
}

TEST_CASE("a node with a data folder keeps its names without looking until it was taken for dead",
          "[node][names]") {
  speaker it{5};
  it.have("painter", 3);
  it.pass(1h);
  CHECK(it.out.empty());
  it.step(claims::given_up{}); // perhaps for so long that it was forgotten
  REQUIRE(it.question<names::list_claims>());
  it.answer<names::claim_page>(names::claim_page{});
  auto again = it.question<names::claim>();
  REQUIRE(again);
  CHECK(again->names == std::vector<agent_id>{"painter"});
}

TEST_CASE_METHOD(speaker, "a node goes above another life of the same boot", "[node][registry]") {
  step(claims::outlived{5});
  step(claims::outlived{4, true});
  CHECK_FALSE(next<claims::rise>());
  step(claims::outlived{5, true}); // its folder was put back
  auto wish = next<claims::rise>();
  REQUIRE(wish);
  CHECK(wish->boot == 6);
  step(claims::risen{6});
  out.clear();
  step(claims::outlived{5, true});
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
  step(claims::heard<names::claims>{names::claims{{{"painter", self, 5, 3}}}}, old);
  CHECK_FALSE(next<claims::show>());
  CHECK(question<names::claim>()->boot == 6);
}

TEST_CASE_METHOD(speaker, "a node does not go above others for ever, and says why",
                 "[node][registry]") {
  for (auto turn = 0; turn < 16; ++turn) {
    step(claims::outlived{it_.book().boot(), true});
    auto wish = next<claims::rise>();
    REQUIRE(wish);
    step(claims::risen{wish->boot});
    out.clear();
  }
  step(claims::outlived{1'000});
  CHECK_FALSE(next<claims::rise>());
  CHECK(next<claims::complain>()->topic == same_identity);
}

TEST_CASE_METHOD(speaker, "an agent is not taken back for the failure of another of its name",
                 "[node][names]") {
  SECTION("whose caller has given it up late") {
    have("painter", 3);
    step(claims::remove{"painter"}, 7); // it was added with 1'003
    CHECK(out.empty());
    step(claims::remove{"painter"}, 1'003);
    CHECK(question<names::release>());
  }
  SECTION("that waits for the claim of the first") {
    step(claims::add{agent("painter"), true}, 7);
    step(claims::remove{"painter"});
    step(claims::add{agent("painter"), true}, 8);
    step(claims::remove{"painter"}, 7);
    CHECK_FALSE(next<claims::done>());
    step(claims::remove{"painter"}, 8);
    CHECK(ended(8) == errc::withdrawn);
  }
  SECTION("the claim of which is under way") {
    step(claims::add{agent("painter"), true}, 7);
    step(claims::remove{"painter"}, 6);
    grant(3);
    said();
    CHECK(ended(7) == errc::none);
  }
}

TEST_CASE_METHOD(speaker, "an agent of a name that is registered here is refused",
                 "[node][names]") {
  have("painter", 3);
  step(claims::add{agent("painter"), true}, 7);
  CHECK(ended(7) == errc::in_use);
  step(claims::add{agent("a@n1")}, 8);
  CHECK(ended(8) == errc::none);
  step(claims::add{agent("a@n1")}, 9);
  CHECK(ended(9) == errc::in_use);
}

TEST_CASE_METHOD(speaker, "claims and releases that failed are made again after a while",
                 "[node][names]") {
  have("painter", 3);
  auto wait = [&] { pass(10s); };
  SECTION("a release") {
    step(claims::remove{"painter"});
    REQUIRE(question<names::release>());
    answer<names::freed>(no(errc::no_quorum));
    SECTION("of a name that nobody here has since") {
      wait();
      CHECK(question<names::release>()->names == std::vector<agent_id>{"painter"});
      answer<names::freed>(names::freed{});
    }
    SECTION("not of one that an agent has again") {
      have("painter", 4);
    }
    SECTION("not of one that is being claimed") {
      pass(9s);
      step(claims::add{agent("painter"), true}, 7);
      pass(1s);
      CHECK_FALSE(question<names::release>());
      grant(5);
    }
    wait();
    CHECK_FALSE(question<names::release>());
  }
  SECTION("not a release that was refused") {
    step(claims::remove{"painter"});
    REQUIRE(question<names::release>());
    answer<names::freed>(no(errc::denied));
    wait();
    CHECK_FALSE(question<names::release>());
  }
  SECTION("a release, too, when the services can be reached again") {
    step(claims::remove{"painter"});
    pass(10s);
    out.clear();
    step(claims::bound{});
    CHECK(question<names::release>());
  }
  SECTION("the claim of all") {
    step(claims::bound{});
    REQUIRE(question<names::claim>());
    answer<names::claims>(no(errc::no_quorum));
    CHECK(next<claims::complain>());
    wait();
    CHECK(question<names::claim>()->names == std::vector<agent_id>{"painter"});
    answer<names::claims>(names::claims{{{"painter", self, 5, 3}}});
    CHECK(next<claims::settle>());
    wait();
    CHECK_FALSE(question<names::claim>());
  }
  SECTION("the claim of all, where no answer came") {
    step(claims::bound{});
    REQUIRE(question<names::claim>());
    pass(10s);
    wait();
    CHECK(question<names::claim>()->names == std::vector<agent_id>{"painter"});
  }
  SECTION("the claim of all, when a later boot that had names has none any more") {
    step(claims::bound{});
    REQUIRE(question<names::claim>());
    answer<names::claims>(no(errc::in_use));
    REQUIRE(question<names::list_claims>());
    answer<names::claim_page>(names::claim_page{});
    wait();
    CHECK(question<names::claim>());
  }
}

TEST_CASE_METHOD(speaker,
                 "a name is given back if it was claimed again for an agent that has ended",
                 "[node][names]") {
  have("a", 1);
  have("b", 2);
  step(claims::bound{});
  REQUIRE(question<names::claim>());
  auto all = asked;
  step(claims::remove{"a"});
  REQUIRE(question<names::release>());
  answer<names::freed>(names::freed{{"a"}}); // the claim may be carried out after that
  out.clear();
  auto heard
    = [&](result<names::claims> what) { step(claims::heard<names::claims>{std::move(what)}, all); };
  names::claims granted{{{"a", self, 5, 3}, {"b", self, 5, 2}}};
  SECTION("which was granted") {
    heard(granted);
    CHECK(question<names::release>()->names == std::vector<agent_id>{"a"});
  }
  SECTION("which is not known") {
    heard(no(errc::outcome_unknown));
    CHECK(question<names::release>()->names == std::vector<agent_id>{"a"});
  }
  SECTION("also if all was claimed once more since") {
    step(claims::bound{});
    heard(granted);
    CHECK(question<names::release>()->names == std::vector<agent_id>{"a"});
  }
  SECTION("unless it was refused") {
    heard(no(errc::name_taken));
    CHECK_FALSE(question<names::release>());
  }
  SECTION("when another claim of it has ended, too") {
    step(claims::add{agent("a"), true}, 7);
    REQUIRE(question<names::claim>());
    heard(granted);
    CHECK_FALSE(question<names::release>());
    answer<names::claims>(no(errc::name_taken)); // carried out before the other
    CHECK(ended(7) == errc::name_taken);
    out.clear();
    step(claims::bound{});
    CHECK(question<names::release>()->names == std::vector<agent_id>{"a"});
  }
}

TEST_CASE_METHOD(speaker, "a refusal of an earlier claim takes no name", "[node][names]") {
  have("painter", 3);
  step(claims::bound{});
  REQUIRE(question<names::claim>());
  auto earlier = asked;
  SECTION("if it was claimed again since") {
    step(claims::bound{});
    out.clear();
    step(claims::heard<names::claims>{no(errc::name_taken)}, earlier);
    CHECK(out.empty());
  }
  SECTION("if an agent has a newer claim: it is asked again") {
    step(claims::remove{"painter"});
    REQUIRE(question<names::release>());
    answer<names::freed>(names::freed{});
    have("painter", 5);
    step(claims::heard<names::claims>{no(errc::name_taken)}, earlier);
    CHECK_FALSE(next<claims::lost_name>());
    REQUIRE(question<names::claim>());
    answer<names::claims>(no(errc::name_taken));
    auto lost = next<claims::lost_name>();
    REQUIRE(lost);
    CHECK(lost->added == 1'005);
    CHECK(next<claims::hide>());
  }
}

TEST_CASE_METHOD(speaker, "a claim that a service has granted before it was another is made again",
                 "[node][names]") {
  step(claims::add{agent("painter"), true}, 7);
  auto what = question<names::claim>();
  REQUIRE(what);
  step(claims::bound{});
  CHECK_FALSE(question<names::claim>()); // not two at a time
  answer<names::claims>(names::claims{{{"painter", self, 5, 3}}});
  grant(9); // by the new service
  CHECK(it_.book().find(agent_kind, "painter")->token == 9);
}

TEST_CASE_METHOD(speaker, "its next deadline is that of its first question", "[node][names]") {
  CHECK_FALSE(it_.next_deadline());
  step(claims::put{agent("s@n1")});
  CHECK_FALSE(it_.next_deadline());
  step(claims::add{agent("a"), true}, 1);
  pass(3s);
  step(claims::add{agent("b"), true}, 2);
  CHECK(it_.next_deadline() == time_point{1h + 10s});
  grant(1);
  CHECK(it_.next_deadline() == time_point{1h + 13s});
}

TEST_CASE("a node has a bound of questions", "[node][registry]") {
  speaker it{1, {.max_questions = 2}};
  it.step(claims::add{agent("a"), true}, 1);
  it.step(claims::add{agent("b"), true}, 2);
  it.step(claims::add{agent("c"), true}, 3);
  CHECK(it.ended(3) == errc::limit_reached);
  it.step(claims::put{agent("s@n1")}, 4); // which asks nothing
  CHECK(it.ended(4) == errc::none);
  it.grant(1);
  it.step(claims::remove{"a"}); // what ends is told all the same
  CHECK(it.question<names::release>());
}

TEST_CASE("names whose release has failed count among the records", "[node][names]") {
  speaker it{1, {.max_records = 1}};
  it.have("a", 1);
  it.step(claims::remove{"a"});
  it.step(claims::add{agent("b"), true}, 2);
  CHECK(it.ended(2) == errc::limit_reached);
  REQUIRE(it.question<names::release>());
  it.answer<names::freed>(no(errc::busy));
  it.step(claims::add{agent("b"), true}, 3);
  CHECK(it.ended(3) == errc::limit_reached);
}

TEST_CASE("a node has a bound of records", "[node][registry]") {
  speaker it{1, {.max_records = 2}};
  it.step(claims::put{agent("a@n1")}, 1);
  CHECK(it.ended(1) == errc::none);
  it.step(claims::add{agent("b"), true}, 2);
  it.step(claims::add{agent("c"), true}, 3);
  CHECK(it.ended(3) == errc::limit_reached);
  it.step(claims::put{agent("d@n1")}, 4);
  CHECK(it.ended(4) == errc::limit_reached);
  it.step(claims::put{agent("a@n1")}, 5); // a change
  CHECK(it.ended(5) == errc::none);
}

} // namespace claims_test
