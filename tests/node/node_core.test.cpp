#include "troupe/cluster/node_core.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/sim/world/swim_member.hpp"

namespace node_core_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::agent_change;
using cluster::claims;
using cluster::liveness;
using cluster::member_status;
using cluster::node_core;
using cluster::node_core_options;
using cluster::record_exchange;
using registry::record;
using registry::record_kind;
using registry::record_status;

namespace {

public_key key_number(int number) {
  public_key made;
  made.bytes.front() = static_cast<std::byte>(number + 1);
  return made;
}

/// Another member, and what it says.
class member {
public:
  explicit member(int number, boot_number boot = 1)
    : key(key_number(number)), who(id_of(key)), id(to_string(who)), book_(who, boot) {}

  void says_node(const std::string& name, bool is_fleeting = false, bool rests = false) {
    record made;
    made.key = {record_kind::node, name, {}};
    if (is_fleeting)
      made.metadata[cluster::known_nodes::fleeting_mark] = "yes";
    if (rests)
      made.status = record_status::maintenance;
    put(made);
  }

  /// One whose name nobody has claimed, or by that claim.
  void says_agent(const std::string& name, std::uint64_t token = 0) {
    record made;
    made.key = {record_kind::agent, token == 0 ? name + '@' + id : name, {}};
    made.token = token;
    put(made);
  }

  void put(record what) {
    what = book_.put(std::move(what));
    said_[what.key] = what;
  }

  void takes_back(record_kind kind, const std::string& name) {
    auto gone = *book_.remove(kind, name);
    said_[gone.key] = gone;
  }

  void starts_again(boot_number boot) {
    book_ = registry::own_records{who, boot};
    said_.clear();
  }

  [[nodiscard]] cluster::signed_statement statement() {
    registry::set_digest whole;
    for (auto& [which, each] : said_)
      if (!each.removed)
        whole.add(registry::digest_of(each));
    cluster::statement made{
      who, {book_.boot(), ++times_}, false, "p:1", {book_.version(), whole.finish()}};
    return {made, sim::sign_with(key, cluster::to_be_signed(made))};
  }

  [[nodiscard]] cluster::told_records page(const cluster::signed_statement& of) const {
    cluster::told_records made{of, {.upto = book_.version()}};
    for (auto& [which, each] : said_)
      if (!each.removed)
        made.page.records.push_back(each);
    std::ranges::sort(made.page.records, {}, [](auto& each) { return each.version; });
    return made;
  }

  [[nodiscard]] boot_number boot() const {
    return book_.boot();
  }

  public_key key;
  node_id who;
  std::string id;

private:
  registry::own_records book_;
  std::map<registry::record_key, record> said_;
  std::uint32_t times_ = 0;
};

const auto self_key = key_number(100);
const auto self_id = id_of(self_key);
/// As records and services have it.
const auto self = to_string(self_id);

/// The core of a node called "one". It answers nothing by itself.
class one_node {
public:
  explicit one_node(node_core_options how = {})
    : it_(
      [&] {
        how.node = self_id;
        how.name = "one";
        how.boot = 1;
        return how;
      }(),
      &sim::is_signed_with) {}

  void step(node_core::event what, request_id id = 0) {
    it_.step(now, id, std::move(what), out);
    CHECK(it_.flaws() == std::vector<std::string>{});
  }

  /// So many calls of this node to that agent are not answered that it shows unhealthy.
  void miss(const node_id& node, const std::string& agent) {
    for (auto times = registry::registry_options{}.unhealthy_after; times > 0; --times)
      step(node_core::call_ended{node, agent, registry::call_outcome::timed_out});
  }

  void pass(duration span) {
    auto end = now + span;
    while (it_.next_deadline() && *it_.next_deadline() <= end) {
      now = std::max(now, *it_.next_deadline());
      it_.tick(now, out);
    }
    now = end;
  }

  /// The members show it so.
  void see(member& whom, member_status is = member_status::alive) {
    last_[whom.id] = whom.statement();
    see_same(whom, is);
  }

  [[nodiscard]] const cluster::signed_statement& last_said(const member& whom) const {
    return last_.at(whom.id);
  }

  /// It has said nothing since.
  void see_same(member& whom, member_status is) {
    auto& said = last_said(whom);
    step(node_core::member_is{whom.who, said.what.when, is, said, whom.key, whom.who});
  }

  /// It is shown alive, and asked for all that it says, which comes.
  void hear(member& whom) {
    see(whom);
    bring(whom);
  }

  /// There is no link to it: such ones are asked one after the other, see record_questions.
  void bring(member& whom) {
    for (auto tries = 0; tries < 30 && core().behind() > 0; ++tries) {
      auto asked = only<record_exchange::ask>();
      if (!asked)
        pass(50ms);
      else
        step(record_exchange::answered{std::vector{whom.page(last_said(whom))}}, asked->id);
    }
    CHECK(core().behind() == 0);
  }

  /// Says itself, as a node does that begins.
  void begin() {
    record made;
    made.key = {record_kind::node, "one", self_id};
    step(claims::bound{});
    step(claims::put{made});
    out.clear();
  }

  /// Adds an agent whose name is claimed with `token`.
  void add(const std::string& id, std::uint64_t token) {
    record made;
    made.key.name = id;
    step(node_core::add_agent{made, true}, 77);
    auto asked = question<registry::names::claim>();
    REQUIRE(asked);
    registry::names::claims granted;
    granted.claimed.push_back({.name = id, .owner = self_id, .boot = 1, .token = token});
    step(claims::heard<registry::names::claims>{granted}, asked->first);
    out.clear();
  }

  template <class Effect>
  std::vector<Effect> all() {
    std::vector<Effect> found;
    std::erase_if(out, [&](auto& each) {
      auto* one = std::get_if<Effect>(&each);
      if (one != nullptr)
        found.push_back(std::move(*one));
      return one != nullptr;
    });
    return found;
  }

  template <class Effect>
  std::optional<Effect> only() {
    auto found = all<Effect>();
    CHECK(found.size() <= 1);
    return found.empty() ? std::nullopt : std::optional{std::move(found.front())};
  }

  /// The last one. What the node says changes what it shows, and each of the two may tell.
  template <class Effect>
  std::optional<Effect> last() {
    auto found = all<Effect>();
    return found.empty() ? std::nullopt : std::optional{std::move(found.back())};
  }

  /// The first question of these words, and its id.
  template <class Words>
  std::optional<std::pair<request_id, Words>> question() {
    for (auto each = out.begin(); each != out.end(); ++each)
      if (auto* found = std::get_if<claims::ask>(&*each))
        if (auto* words = std::get_if<Words>(&found->what)) {
          std::pair made{found->id, *words};
          out.erase(each);
          return made;
        }
    return std::nullopt;
  }

  [[nodiscard]] errc ended(request_id id) {
    auto done = only<claims::done>();
    REQUIRE(done);
    CHECK(done->id == id);
    return done->why.code;
  }

  [[nodiscard]] std::optional<record> said(const std::string& name) const {
    return it_.book().find(record_kind::agent, name);
  }

  [[nodiscard]] record_status shows(const member& whom) const {
    return it_.table().answer(registry::find_owner{whom.who}).liveness;
  }

  [[nodiscard]] bool knows(const member& whom) const {
    return it_.table().answer(registry::find_owner{whom.who}).records > 0;
  }

  time_point now{1h};
  node_core::effects out;

  [[nodiscard]] const node_core& core() const {
    return it_;
  }

private:
  node_core it_;
  std::map<std::string, cluster::signed_statement> last_;
};

} // namespace

// -- who is there ------------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "an agent is found while its node is there", "[node][core]") {
  member two{2};
  two.says_node("two");
  two.says_agent("a");
  hear(two);
  auto found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->id == "a");
  CHECK(found->node == two.who);
  CHECK(found->what.key.owner == two.who);
  CHECK_FALSE(found->rests);
  CHECK_FALSE(found->ill);
  see_same(two, member_status::suspect);
  CHECK(shows(two) == record_status::active);
  see_same(two, member_status::dead);
  CHECK(shows(two) == record_status::disconnected);
  auto gone = only<node_core::gone>();
  REQUIRE(gone);
  CHECK(gone->id == "a");
  CHECK(gone->node == two.who);
  SECTION("and again, once it is back") {
    see(two);
    CHECK(shows(two) == record_status::active);
    CHECK(only<node_core::found>());
  }
  SECTION("what it has said before it died comes late, and shows it as gone") {
    member three{3};
    three.says_node("three");
    see(three);
    see_same(three, member_status::dead);
    bring(three);
    CHECK(shows(three) == record_status::disconnected);
  }
}

TEST_CASE_METHOD(one_node,
                 "who has told of the records of a node that has just died is asked for them",
                 "[node][core]") {
  member two{2};
  two.says_node("two");
  auto said = two.statement();
  auto teller = member{3}.who;
  step(node_core::member_is{two.who, said.what.when, member_status::alive, said, two.key, teller});
  step(node_core::member_is{two.who, said.what.when, member_status::dead, said, two.key,
                            member{4}.who});
  pass(100ms);
  auto asked = only<record_exchange::ask>();
  REQUIRE(asked);
  CHECK(asked->whom == teller);
}

TEST_CASE_METHOD(one_node, "who was dead before this node came is shown as gone", "[node][core]") {
  member two{2};
  two.says_node("two");
  two.says_agent("a");
  member three{3};
  three.says_node("three");
  hear(three);
  out.clear();
  auto said = two.statement();
  step(
    node_core::member_is{two.who, said.what.when, member_status::dead, said, two.key, three.who});
  pass(100ms);
  auto asked = only<record_exchange::ask>();
  REQUIRE(asked);
  CHECK(asked->whom == three.who);
  step(record_exchange::answered{std::vector{two.page(said)}}, asked->id);
  CHECK(core().behind() == 0);
  CHECK(shows(two) == record_status::disconnected);
  auto gone = only<node_core::gone>(); // whatever was said before it
  REQUIRE(gone);
  CHECK(gone->id == "a");
  CHECK(all<node_core::warn>().empty());
  out.clear();
  SECTION("and alive once it is back") {
    see(two);
    CHECK(shows(two) == record_status::active);
    CHECK(only<node_core::found>());
  }
  SECTION("until the members forget it") {
    step(node_core::member_forgotten{two.who});
    CHECK_FALSE(knows(two));
  }
}

TEST_CASE_METHOD(one_node, "who has stopped shows as there until it could be back",
                 "[node][core]") {
  member two{2};
  two.says_node("two");
  hear(two);
  see_same(two, member_status::left);
  pass(5s - 1ms);
  CHECK(shows(two) == record_status::active);
  SECTION("it is not") {
    see_same(two, member_status::left); // once more gives it no more time
    pass(1ms);
    CHECK(shows(two) == record_status::disconnected);
  }
  SECTION("it is") {
    two.starts_again(2);
    two.says_node("two");
    hear(two);
    pass(1h);
    CHECK(shows(two) == record_status::active);
  }
  SECTION("it is dead by then") {
    see_same(two, member_status::dead);
    CHECK(shows(two) == record_status::disconnected);
    pass(1h);
    CHECK(shows(two) == record_status::disconnected);
  }
}

TEST_CASE_METHOD(one_node, "who was never seen there is not there when it has stopped",
                 "[node][core]") {
  member two{2};
  two.says_node("two");
  see(two);
  see_same(two, member_status::dead);
  see_same(two, member_status::left);
  bring(two);
  CHECK(shows(two) == record_status::disconnected);
}

TEST_CASE_METHOD(one_node, "a later life ends what the one before has said", "[node][core]") {
  member two{2};
  two.says_node("two");
  two.says_agent("a");
  hear(two);
  see_same(two, member_status::dead);
  out.clear();
  two.starts_again(2);
  two.says_node("two");
  two.says_agent("b");
  hear(two);
  CHECK(shows(two) == record_status::active);
  auto found = last<node_core::found>();
  REQUIRE(found);
  CHECK(found->id == "b");
  auto known = core().table().answer(registry::find_owner{two.who});
  CHECK(known.boot == 2);
  CHECK(known.records == 2);
}

TEST_CASE_METHOD(one_node, "of those that the members forget nothing is left", "[node][core]") {
  member two{2};
  two.says_node("two");
  hear(two);
  see_same(two, member_status::dead);
  REQUIRE(knows(two));
  SECTION("and who leads frees their names") {
    step(node_core::lead{});
    out.clear();
    step(node_core::member_forgotten{two.who});
    auto freed = only<liveness::free_names>();
    REQUIRE(freed);
    CHECK(freed->owner == two.who);
    CHECK(freed->boot == 1);
  }
  SECTION("and nobody else does") {
    step(node_core::member_forgotten{two.who});
    CHECK_FALSE(only<liveness::free_names>());
  }
  CHECK_FALSE(knows(two));
  CHECK_FALSE(core().nodes().find("two"));
  two.starts_again(2);
  two.says_node("two");
  hear(two); // it comes back after all
  CHECK(knows(two));
  CHECK(shows(two) == record_status::active);
}

TEST_CASE_METHOD(one_node,
                 "of a node whose identity is revoked nothing is left once it is not there",
                 "[node][core]") {
  member two{2};
  two.says_node("two");
  two.says_agent("painter", 7);
  hear(two);
  member other{3};
  other.says_node("three");
  hear(other);
  step(node_core::lead{});
  out.clear();
  SECTION("as it is revoked first") {
    step(node_core::expelled{{two.who}});
    CHECK(knows(two)); // its link ends next
    see_same(two, member_status::dead);
  }
  SECTION("as it is dead first") {
    see_same(two, member_status::dead);
    CHECK(knows(two));
    out.clear();
    step(node_core::expelled{{two.who}});
  }
  SECTION("also if it says more to a member that has not heard of it") {
    step(node_core::expelled{{two.who}});
    see_same(two, member_status::dead);
    CHECK_FALSE(knows(two));
    two.starts_again(2);
    two.says_node("two");
    hear(two);
    CHECK(knows(two));
    out.clear();
    see_same(two, member_status::dead);
  }
  CHECK_FALSE(knows(two));
  CHECK(knows(other));
  auto freed = only<liveness::free_names>();
  REQUIRE(freed);
  CHECK(freed->owner == two.who);
  CHECK(freed->boot == two.boot());
}

TEST_CASE_METHOD(one_node, "the end of the link of an earlier life is none of the present one",
                 "[node][core]") {
  member two{2, 2};
  member three{3};
  two.says_node("two");
  step(liveness::link_up{three.who, 1});
  step(liveness::link_up{two.who, 1});
  step(liveness::link_up{two.who, 2});
  step(liveness::link_down{two.who, 1, "replaced"});
  auto whom = [&] {
    see(two);
    pass(50ms);
    auto asked = only<record_exchange::ask>();
    REQUIRE(asked);
    return asked->whom;
  };
  SECTION("so it is asked itself") {
    CHECK(whom() == two.who);
  }
  SECTION("and then that ends, too") {
    step(liveness::link_down{two.who, 2, "lost"});
    CHECK(whom() == three.who);
  }
}

TEST_CASE_METHOD(one_node, "a node without a data folder that was cut off for long is shown again",
                 "[node][core]") {
  begin();
  member two{2};
  two.says_node("two", true);
  two.says_agent("echo");
  hear(two);
  see_same(two, member_status::dead);
  pass(5min - 1ns);
  CHECK(core().table().answer(registry::find_owner{two.who}).records == 2);
  pass(1ns);
  CHECK(core().table().answer(registry::find_owner{two.who}).records == 0);
  out.clear();
  see_same(two, member_status::alive);
  bring(two);
  CHECK(core().table().answer(registry::find_owner{two.who}).records == 2);
  CHECK(shows(two) == record_status::active);
}

TEST_CASE_METHOD(one_node,
                 "what comes of a node that is dropped is asked for again once it is back",
                 "[node][core]") {
  begin();
  member two{2};
  two.says_node("two", true);
  hear(two);
  see_same(two, member_status::dead);
  pass(5min);
  CHECK_FALSE(knows(two));
  out.clear();
  see_same(two, member_status::dead); // as another life this node hears of all members anew
  pass(30s);
  if (auto asked = last<record_exchange::ask>()) // of one that has seen it die later
    step(record_exchange::answered{std::vector{two.page(last_said(two))}}, asked->id);
  CHECK_FALSE(knows(two));
  see_same(two, member_status::alive);
  bring(two);
  CHECK(knows(two));
  CHECK(shows(two) == record_status::active);
}

SCENARIO_METHOD(one_node, "a node that the members have forgotten comes back as it was",
                "[node][core]") {
  GIVEN("a node with an agent, whose link was cut for so long that the members forgot it") {
    member two{2};
    two.says_node("two");
    two.says_agent("a");
    hear(two);
    see_same(two, member_status::dead);
    pass(100 * 24h);
    REQUIRE(knows(two)); // time alone forgets nobody
    step(node_core::member_forgotten{two.who});
    REQUIRE_FALSE(knows(two));
    out.clear();
    WHEN("it is back with the same boot") {
      see(two);
      THEN("its records are asked for again, and found") {
        auto asked = only<record_exchange::ask>();
        if (!asked) {
          pass(50ms);
          asked = only<record_exchange::ask>();
        }
        REQUIRE(asked);
        REQUIRE(asked->what.size() == 1);
        CHECK(asked->what[0] == cluster::record_wish{two.who, 1, 0});
        step(record_exchange::answered{std::vector{two.page(last_said(two))}}, asked->id);
        CHECK(core().behind() == 0);
        CHECK(shows(two) == record_status::active);
        CHECK(core().nodes().find("two"));
        auto found = last<node_core::found>();
        REQUIRE(found);
        CHECK(found->id == "a");
        CHECK_FALSE(only<node_core::complain>());
      }
    }
  }
}

TEST_CASE("who has watched the registry of another node, or another life, begins anew",
          "[node][core]") {
  node_core_options how;
  how.revision_floor = 9'000;
  one_node first{how};
  how.revision_floor = 7'000;
  one_node other{how};
  member two{2};
  two.says_node("two");
  first.hear(two);
  other.hear(two);
  auto seen = first.core().table().answer(registry::watch_records{});
  REQUIRE(seen.changes.size() == 1);
  two.says_agent("a");
  other.hear(two);
  auto next = other.core().table().answer(registry::watch_records{}.next(seen));
  CHECK(next.complete);
  CHECK(next.changes.size() == 2);
  auto back = first.core().table().answer(registry::watch_records{}.next(next));
  CHECK(back.complete);
  CHECK(back.changes.size() == 1);
}

TEST_CASE_METHOD(one_node, "as a new boot a node waits for those that it has known",
                 "[node][core]") {
  member two{2};
  member three{3};
  two.says_node("two");
  three.says_node("three");
  hear(two);
  hear(three);
  step(claims::risen{2});
  pass(1s);
  hear(two);
  pass(30s - 1s);
  CHECK(shows(two) == record_status::active);
  CHECK(shows(three) == record_status::disconnected);
  step(node_core::lead{});
  pass(24h);
  CHECK(shows(two) == record_status::active);
  CHECK(core().table().answer(registry::find_owner{three.who}).records == 0); // as for the members
}

TEST_CASE_METHOD(one_node, "as a new boot a node asks nobody about those that are forgotten",
                 "[node][core]") {
  member two{2};
  two.says_node("two");
  hear(two);
  two.says_agent("a");
  see(two);
  step(claims::risen{2});
  pass(24h - 1ns);
  CHECK(core().behind() == 1);
  pass(1ns);
  CHECK(core().behind() == 0);
}

TEST_CASE_METHOD(one_node, "as a new boot a leader gives up those that it does not hear of again",
                 "[node][core]") {
  member two{2};
  two.says_node("two");
  hear(two);
  step(node_core::lead{});
  step(claims::risen{2});
  pass(30s - 1ns);
  CHECK_FALSE(only<liveness::give_up>());
  pass(1ns + 5s);
  auto given_up = only<liveness::give_up>();
  REQUIRE(given_up);
  CHECK(given_up->owner == two.who);
}

TEST_CASE_METHOD(one_node, "all is here once the records of those have come that others know",
                 "[node][core]") {
  member two{2};
  two.says_node("two");
  SECTION("after a comparison") {
    see(two);
    step(node_core::compared{});
    CHECK_FALSE(only<node_core::caught_up>());
    bring(two);
    CHECK(only<node_core::caught_up>());
  }
  SECTION("not before one") {
    hear(two);
    CHECK_FALSE(only<node_core::caught_up>());
    step(node_core::compared{});
    CHECK(only<node_core::caught_up>());
    step(node_core::compared{});
    CHECK_FALSE(only<node_core::caught_up>()); // once
  }
  SECTION("at once, where this node leads and is alone in its group") {
    step(node_core::lead{true});
    CHECK(only<node_core::caught_up>());
  }
  SECTION("likewise where this node leads others") {
    see(two);
    step(node_core::lead{});
    CHECK_FALSE(only<node_core::caught_up>());
    step(node_core::compared{});
    CHECK_FALSE(only<node_core::caught_up>());
    bring(two);
    CHECK(only<node_core::caught_up>());
  }
  SECTION("or of nobody, where a node that leads others reaches none") {
    step(node_core::lead{});
    pass(5s - 1ns);
    CHECK_FALSE(only<node_core::caught_up>());
    pass(1ns);
    CHECK(only<node_core::caught_up>());
  }
  SECTION("or of those that are still there") {
    see(two);
    step(node_core::compared{});
    see_same(two, member_status::dead);
    CHECK(only<node_core::caught_up>());
  }
}

TEST_CASE("what others say beyond the bounds is not kept, and that is said", "[node][core]") {
  node_core_options how;
  how.table.max_records = 2;
  one_node it{how};
  member two{2};
  two.says_node("two");
  two.says_agent("a");
  two.says_agent("b");
  it.see(two);
  it.pass(50ms);
  auto asked = it.only<record_exchange::ask>();
  REQUIRE(asked);
  auto of = two.statement();
  it.step(record_exchange::answered{std::vector{two.page(of)}}, asked->id);
  auto said = it.only<node_core::complain>();
  REQUIRE(said);
  CHECK(said->topic == node_core::not_kept);
  CHECK(it.core().behind() == 1);
}

// -- who is found ------------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "the agents of a node in maintenance rest", "[node][core]") {
  member two{2};
  two.says_agent("a");
  two.says_node("two", false, true);
  hear(two);
  auto found = last<node_core::found>();
  REQUIRE(found);
  CHECK(found->rests);
  two.says_node("two");
  hear(two);
  found = last<node_core::found>();
  REQUIRE(found);
  CHECK_FALSE(found->rests);
  two.takes_back(record_kind::agent, "a@" + two.id);
  hear(two);
  CHECK(only<node_core::gone>());
}

TEST_CASE_METHOD(one_node, "an agent that callers do not reach is ill until it answers",
                 "[node][core]") {
  member two{2};
  two.says_node("two");
  two.says_agent("a");
  hear(two);
  out.clear();
  miss(two.who, "nobody");
  miss(self_id, "a");
  CHECK(out.empty());
  miss(two.who, "a");
  auto found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->ill);
  CHECK_FALSE(found->rests);
  pass(10s); // whoever leads
  auto ping = only<liveness::ping>();
  REQUIRE(ping);
  CHECK(ping->agent == "a");
  CHECK(ping->node == two.who);
  SECTION("once it answers, it is well") {
    step(liveness::pong{true}, ping->id);
    found = only<node_core::found>();
    REQUIRE(found);
    CHECK_FALSE(found->ill);
  }
  SECTION("once it is gone, it is pinged no more") {
    step(liveness::pong{false}, ping->id);
    two.takes_back(record_kind::agent, "a@" + two.id);
    hear(two);
    pass(1min);
    CHECK_FALSE(only<liveness::ping>());
  }
}

TEST_CASE_METHOD(one_node, "a call counts against the agent that it was for, and no namesake",
                 "[node][core]") {
  member two{2};
  member three{3};
  two.says_node("two");
  three.says_node("three");
  SECTION("of another node, which has got the name since") {
    three.says_agent("a", 9);
    hear(two);
    hear(three);
    out.clear();
    miss(two.who, "a");
    CHECK(all<node_core::found>().empty());
    miss(three.who, "a");
    auto found = last<node_core::found>();
    REQUIRE(found);
    CHECK(found->ill);
  }
  SECTION("of the same node, whose record is called like the other's id") {
    auto longer = "a@" + two.id;
    two.says_agent("a");
    two.says_agent(longer);
    hear(two);
    out.clear();
    miss(two.who, longer);
    auto found = all<node_core::found>();
    REQUIRE(found.size() == 1);
    CHECK(found.front().id == longer);
    CHECK(found.front().ill);
  }
}

TEST_CASE("a claimed name is the id of its agent, whatever it ends with", "[node][core]") {
  record what;
  auto two = id_of(key_number(2));
  auto longer = "a@" + to_string(two);
  what.key = {record_kind::agent, longer, two};
  CHECK(registry::agent_of(what) == "a");
  what.token = 7;
  CHECK(registry::agent_of(what) == longer);
}

TEST_CASE_METHOD(one_node, "an agent of this node is found as the node says it", "[node][core]") {
  begin();
  record made;
  made.key.name = "a";
  made.capabilities = {"print"};
  step(node_core::add_agent{made, false}, 1);
  auto found = last<node_core::found>();
  REQUIRE(found);
  CHECK(found->id == "a");
  CHECK_FALSE(found->rests);
  CHECK(found->what.capabilities == std::set<std::string>{"a", "print"});
  CHECK(ended(1) == errc::none);
  step(node_core::maintain{true}, 2);
  CHECK(ended(2) == errc::none);
  found = last<node_core::found>();
  REQUIRE(found);
  CHECK(found->rests);
  step(claims::remove{"a"});
  CHECK(only<node_core::gone>());
  CHECK_FALSE(last<node_core::found>());
}

// -- what this node says -----------------------------------------------------------------

TEST_CASE_METHOD(one_node, "a change of what this node says has its head restated",
                 "[node][core]") {
  auto sign = [this](const registry::records_head& head, std::uint32_t times) {
    cluster::statement mine{id_of(self_key), {1, times}, false, "p:1", head};
    step(record_exchange::spoke{{mine, sim::sign_with(self_key, cluster::to_be_signed(mine))}});
  };
  record made;
  made.key = {record_kind::node, "one", self_id};
  step(claims::put{made});
  auto head = only<record_exchange::restate>();
  REQUIRE(head);
  CHECK(head->what.version == 1);
  sign(head->what, 1);
  made = {};
  made.key.name = "a";
  step(node_core::add_agent{made, false}, 1);
  pass(100ms);
  head = only<record_exchange::restate>();
  REQUIRE(head);
  CHECK(head->what.version == 2);
  sign(head->what, 2);
  step(record_exchange::asked{{{id_of(self_key), 0, 0}}}, 9);
  auto told = only<record_exchange::reply>();
  REQUIRE(told);
  CHECK(told->id == 9);
  REQUIRE(told->what.size() == 1);
  CHECK(told->what.front().page.records.size() == 2);
  CHECK(told->what.front().of.what.records == head->what);
}

TEST_CASE_METHOD(one_node, "an agent id with @ is of the node that it names", "[node][core]") {
  begin();
  record made;
  SECTION("of another one it is refused") {
    made.key.name = "a@two";
    step(node_core::add_agent{made, true}, 4);
    auto done = only<claims::done>();
    REQUIRE(done);
    CHECK(done->id == 4);
    CHECK(done->why.code == errc::bad_argument);
    CHECK_THAT(done->why.detail, ContainsSubstring("end it with @one"));
    CHECK(out.empty());
  }
  SECTION("of this one it needs no claim, and no capability") {
    made.key.name = "a@one";
    step(node_core::add_agent{made, true}, 4);
    CHECK_FALSE(question<registry::names::claim>());
    auto own = said("a@one@" + self);
    REQUIRE(own);
    CHECK(own->capabilities.empty());
  }
  SECTION("without one a unique id is claimed first") {
    made.key.name = "a";
    step(node_core::add_agent{made, true}, 4);
    CHECK(question<registry::names::claim>());
    CHECK(core().book().size() == 1); // the node itself
  }
}

TEST_CASE_METHOD(one_node, "an agent changes while it runs", "[node][core]") {
  begin();
  record made;
  made.key.name = "a";
  made.capabilities = {"print", "scan"};
  made.metadata = {{"floor", "1"}, {"room", "7"}};
  step(node_core::add_agent{made, false}, 1);
  out.clear();
  agent_change how;
  how.add_capabilities = {"copy", "both"};
  how.remove_capabilities = {"scan", "both", "never had"};
  how.add_groups = {"printers"};
  how.metadata = {{"floor", std::nullopt}, {"room", "8"}, {"shelf", "2"}};
  how.load = 5;
  step(node_core::update_agent{"a", how}, 2);
  CHECK(ended(2) == errc::none);
  auto now_said = *said("a@" + self);
  CHECK(now_said.capabilities == std::set<std::string>{"a", "copy", "print"});
  CHECK(now_said.groups == std::set<std::string>{"printers"});
  CHECK(now_said.metadata == std::map<std::string, std::string>{{"room", "8"}, {"shelf", "2"}});
  CHECK(now_said.load == 5);
  auto found = last<node_core::found>();
  REQUIRE(found);
  CHECK(found->id == "a");
  CHECK(found->what == now_said);
  SECTION("who has asked finds it so") {
    step(node_core::update_agent{"a", {.load = 6}}, 3);
    REQUIRE(out.size() >= 2);
    auto* first = std::get_if<node_core::found>(&out.front());
    REQUIRE(first);
    CHECK(first->what.load == 6);
    CHECK(std::holds_alternative<claims::done>(out[1]));
  }
  SECTION("what is not named stays") {
    step(node_core::update_agent{"a", {.load = 6}}, 3);
    auto again = *said("a@" + self);
    CHECK(again.load == 6);
    again.load = 5;
    again.version = now_said.version;
    CHECK(again == now_said);
  }
  SECTION("nothing is said where nothing changes") {
    step(node_core::update_agent{"a", how}, 3);
    CHECK(ended(3) == errc::none);
    CHECK(*said("a@" + self) == now_said);
  }
  SECTION("one that rests stays so") {
    step(node_core::maintain{true}, 3);
    out.clear();
    step(node_core::update_agent{"a", {.load = 6}}, 4);
    found = last<node_core::found>();
    REQUIRE(found);
    CHECK(found->rests);
    CHECK_FALSE(found->ill);
  }
  SECTION("one that is ill stays so, until it is reached") {
    miss(self_id, "a");
    found = last<node_core::found>();
    REQUIRE(found);
    CHECK(found->ill);
    step(node_core::update_agent{"a", {.load = 6}}, 3);
    auto shown = all<node_core::found>();
    CHECK_FALSE(shown.empty());
    CHECK(std::ranges::all_of(shown, [](auto& each) { return each.ill; })); // not for a moment
    step(node_core::call_ended{self_id, "a", registry::call_outcome::succeeded});
    step(node_core::update_agent{"a", {.load = 7}}, 4);
    found = last<node_core::found>();
    REQUIRE(found);
    CHECK_FALSE(found->ill);
  }
}

TEST_CASE_METHOD(one_node, "an agent changes while its name is being claimed", "[node][core]") {
  begin();
  record made;
  made.key.name = "a";
  made.capabilities = {"print"};
  step(node_core::add_agent{made, true}, 1);
  auto asked = question<registry::names::claim>();
  REQUIRE(asked);
  auto load = 7U;
  auto update = [this](const agent_change& how) {
    step(node_core::update_agent{"a", how}, 2);
    CHECK_FALSE(said("a"));
    CHECK_FALSE(only<node_core::found>()); // it may be that of another node
    auto done = only<claims::done>();
    REQUIRE(done);
    CHECK(done->id == 2);
    return done->why;
  };
  SECTION("and begins so") {
    CHECK_FALSE(update({.load = load}));
    CHECK_FALSE(update({.add_capabilities = {"scan"}, .remove_capabilities = {"print"}}));
    CHECK_FALSE(update({}));
    CHECK(update({.add_groups = {""}}).code == errc::bad_argument);
  }
  SECTION("as may one that waits until the claim of the last one of its name is answered") {
    step(claims::remove{"a"});
    CHECK(update({.load = load}).code == errc::not_found);
    out.clear();
    step(node_core::add_agent{made, true}, 3);
    CHECK_FALSE(update({.add_capabilities = {"scan"}, .load = load}));
    CHECK_FALSE(update({.remove_capabilities = {"print"}}));
    out.clear();
  }
  registry::names::claims granted;
  granted.claimed.push_back({.name = "a", .owner = self_id, .boot = 1, .token = 5});
  step(claims::heard<registry::names::claims>{granted}, asked->first);
  auto own = said("a");
  REQUIRE(own);
  CHECK(own->load == load);
  CHECK(own->capabilities == std::set<std::string>{"scan"});
  CHECK(own->token == 5);
  auto found = last<node_core::found>();
  REQUIRE(found);
  CHECK(found->what.load == load);
}

TEST_CASE_METHOD(one_node, "an agent that is added in maintenance rests", "[node][core]") {
  begin();
  step(node_core::maintain{true}, 1);
  out.clear();
  record made;
  made.key.name = "a";
  step(node_core::add_agent{made, false}, 2);
  auto shown = all<node_core::found>();
  CHECK_FALSE(shown.empty());
  CHECK(std::ranges::all_of(shown, [](auto& each) { return each.rests; })); // from the beginning
}

TEST_CASE_METHOD(one_node, "an agent that no registry takes is not added", "[node][core]") {
  begin();
  auto refused = [&](record made, bool is_unique) {
    auto version = core().book().version();
    step(node_core::add_agent{std::move(made), is_unique}, 1);
    CHECK(core().book().version() == version);
    CHECK_FALSE(question<registry::names::claim>());
    auto done = only<claims::done>();
    CHECK(out.empty()); // the log hears nothing of it
    return done ? done->why : problem{};
  };
  for (auto is_unique : {true, false}) {
    record made;
    made.key.name = "a";
    made.metadata["text"] = std::string(20'000, 'x');
    CHECK(refused(made, is_unique).code == errc::too_large);
    made.metadata["text"] = "\xff";
    CHECK(refused(made, is_unique).code == errc::bad_argument);
    made.metadata.clear();
    for (auto each = 0; each < 100; ++each)
      made.metadata[std::to_string(each)] = "x";
    CHECK(refused(made, is_unique).code == errc::limit_reached);
  }
  record made;
  made.key.name = std::string(191, 'a'); // its record has the id of the node behind it
  CHECK_THAT(refused(made, false).detail, ContainsSubstring("give at most 190"));
  made.key.name = std::string(187, 'a') + "@one";
  CHECK(refused(made, true).code == errc::bad_argument);
  made.key.name = std::string(190, 'a');
  step(node_core::add_agent{made, false}, 2);
  CHECK(ended(2) == errc::none);
  made.key.name = std::string(255, 'a');
  step(node_core::add_agent{made, true}, 3);
  CHECK(question<registry::names::claim>());
}

TEST_CASE("a node that has its share of the records hears that as it adds an agent",
          "[node][core]") {
  node_core_options how;
  how.table.max_records = 4; // half for this node
  one_node it{how};
  it.begin();
  auto add = [&](const std::string& name, bool is_unique, request_id id) {
    record made;
    made.key.name = name;
    it.step(node_core::add_agent{made, is_unique}, id);
  };
  add("a", false, 1);
  CHECK(it.ended(1) == errc::none);
  add("b", true, 2); // it is being claimed
  it.out.clear();
  add("c", false, 3);
  auto done = it.only<claims::done>();
  REQUIRE(done);
  CHECK(done->why.code == errc::limit_reached);
  CHECK_THAT(done->why.detail, ContainsSubstring("has 2 of 4 records"));
  it.step(claims::remove{"a"});
  it.out.clear();
  add("c", false, 4);
  CHECK(it.ended(4) == errc::none);
}

TEST_CASE("names that are being given back do not count in the share of a node", "[node][core]") {
  node_core_options how;
  how.table.max_records = 4;
  one_node it{how};
  it.begin();
  it.add("a", 1);
  it.add("b", 2);
  it.step(claims::remove{"a"});
  it.step(claims::remove{"b"});
  it.out.clear();
  record made;
  made.key.name = "c";
  it.step(node_core::add_agent{made, false}, 1);
  CHECK(it.ended(1) == errc::none);
}

TEST_CASE("a node shows what it says, also if others have filled its table meanwhile",
          "[node][core]") {
  node_core_options how;
  how.table.max_records = 4;
  one_node it{how};
  it.begin();
  record made;
  made.key.name = "a";
  it.step(node_core::add_agent{made, true}, 1);
  auto asked = it.question<registry::names::claim>();
  REQUIRE(asked);
  for (auto number : {2, 3}) {
    member other{number};
    other.says_node("other");
    other.says_agent("a");
    other.says_agent("b");
    it.hear(other);
  }
  it.out.clear();
  registry::names::claims granted;
  granted.claimed.push_back({.name = "a", .owner = self_id, .boot = 1, .token = 1});
  it.step(claims::heard<registry::names::claims>{granted}, asked->first);
  CHECK(it.ended(1) == errc::none);
  auto shown = it.core().table().answer(registry::get_record{record_kind::agent, "a", self_id});
  CHECK(shown.found);
  CHECK_FALSE(it.only<node_core::complain>());
}

TEST_CASE("a node says more than one batch of its table has", "[node][core]") {
  node_core_options how;
  how.table.max_batch = 2;
  one_node it{how};
  it.begin();
  for (auto* name : {"a", "b", "c"})
    it.add(name, 1);
  it.step(claims::risen{2}); // it says all again
  CHECK_FALSE(it.only<node_core::complain>());
  CHECK(it.core().table().answer(registry::find_owner{self_id}).records == 4);
}

TEST_CASE_METHOD(one_node, "a change of an agent that no registry takes is refused",
                 "[node][core]") {
  begin();
  record made;
  made.key.name = "a";
  step(node_core::add_agent{made, false}, 1);
  out.clear();
  auto version = core().book().version();
  auto refused = [&](const std::string& id, const agent_change& how) {
    step(node_core::update_agent{id, how}, 2);
    CHECK(core().book().version() == version);
    CHECK_FALSE(only<node_core::found>());
    auto done = only<claims::done>();
    return done ? done->why : problem{};
  };
  CHECK(refused("b", {.load = 1}).code == errc::not_found);
  CHECK(refused("a@two", {.load = 1}).code == errc::not_found);
  CHECK(refused("a", {.add_groups = {""}}).code == errc::bad_argument);
  CHECK(refused("a", {.remove_capabilities = {"a"}}).code == errc::bad_argument);
  CHECK(refused("a", {.metadata = {{"text", std::string(20'000, 'x')}}}).code == errc::too_large);
  std::set<std::string> many;
  for (auto each = 0; each < 100; ++each)
    many.insert(std::to_string(each));
  CHECK(refused("a", {.add_capabilities = many}).code == errc::limit_reached);
}

TEST_CASE_METHOD(one_node, "maintenance is said once the node has said itself", "[node][core]") {
  step(node_core::maintain{true}, 3);
  auto done = only<claims::done>();
  REQUIRE(done);
  CHECK(done->id == 3);
  CHECK_FALSE(done->why);
  begin();
  auto status = [this] { return core().book().find(record_kind::node, "one")->status; };
  CHECK(status() == record_status::active);
  step(node_core::maintain{true}, 4);
  CHECK(ended(4) == errc::none);
  CHECK(status() == record_status::maintenance);
  step(node_core::maintain{false}, 5);
  CHECK(status() == record_status::active);
}

TEST_CASE_METHOD(one_node, "an agent whose name another node has claimed later loses it",
                 "[node][core]") {
  begin();
  add("a", 5);
  member two{2};
  two.says_node("two");
  SECTION("by a later claim") {
    two.says_agent("a", 9);
    hear(two);
    auto lost = only<claims::lost_name>();
    REQUIRE(lost);
    CHECK(lost->name == "a");
    CHECK_FALSE(said("a"));
  }
  SECTION("and not by a token that no service of names gives") {
    two.says_agent("a", ~std::uint64_t{0});
    see(two);
    pass(50ms);
    auto asked = only<record_exchange::ask>();
    REQUIRE(asked);
    step(record_exchange::answered{std::vector{two.page(last_said(two))}}, asked->id);
    CHECK_FALSE(only<claims::lost_name>());
    CHECK(said("a"));
    CHECK_FALSE(knows(two));
    auto why = only<node_core::complain>();
    REQUIRE(why);
    CHECK_THAT(why->detail, ContainsSubstring("token 18446744073709551615"));
  }
  SECTION("and not by an earlier one") {
    two.says_agent("a", 3);
    hear(two);
    CHECK_FALSE(only<claims::lost_name>());
    two.takes_back(record_kind::agent, "a");
    hear(two);
    CHECK_FALSE(only<claims::lost_name>());
    CHECK(said("a"));
  }
}

TEST_CASE("a node without a data folder looks at its names when it was taken for dead",
          "[node][core]") {
  node_core_options how;
  how.claims.is_fleeting = true;
  one_node it{how};
  it.begin();
  it.add("painter", 3);
  it.step(claims::given_up{});
  CHECK(it.question<registry::names::list_claims>());
}

// -- other nodes -------------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "the log names each namesake once, up to a bound", "[node][core]") {
  begin();
  CHECK(all<node_core::warn>().empty()); // of itself
  member two{2};
  two.says_node("one");
  hear(two);
  CHECK(all<node_core::warn>().size() == 1);
  two.says_node("one");
  hear(two);
  CHECK(all<node_core::warn>().empty());
  member away{3};
  away.says_node("one");
  see(away);
  see_same(away, member_status::dead);
  out.clear();
  bring(away);
  CHECK(all<node_core::warn>().size() == 1); // it was there when it said so
  for (auto count = 0; count < 40; ++count) {
    member other{110 + count};
    other.says_node("one");
    hear(other);
  }
  CHECK(all<node_core::warn>().size() == cluster::record_news::max_namesakes - 2);
}

TEST_CASE_METHOD(one_node, "that a node has left is told, and logged by who leads",
                 "[node][core]") {
  member two{2};
  auto comes_and_leaves = [&] {
    two.says_node("two");
    hear(two);
    CHECK(last<node_core::node_is>());
    out.clear();
    two.takes_back(record_kind::node, "two");
    hear(two);
    auto left = only<node_core::node_left>();
    REQUIRE(left);
    CHECK(left->node == two.who);
    CHECK(left->boot == 1);
    return all<node_core::inform>().size();
  };
  CHECK(comes_and_leaves() == 0);
  step(node_core::lead{});
  CHECK(comes_and_leaves() == 1);
  step(node_core::follow{});
  CHECK(comes_and_leaves() == 0);
}

TEST_CASE_METHOD(one_node, "the log says which members come and go", "[node][core]") {
  member two{2};
  two.says_node("two");
  hear(two);
  pass(2s);
  auto joined = all<node_core::inform>();
  REQUIRE(joined.size() == 1);
  CHECK(joined.front().text == "member two has joined");
  CHECK(all<node_core::warn>().empty());
  see_same(two, member_status::dead);
  auto warned = only<node_core::warn>();
  REQUIRE(warned);
  CHECK(warned->text == "member two is dead: it has not answered in time");
}

// -- who leads ---------------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "who begins to lead gives up those that are lost", "[node][core]") {
  begin();
  member two{2, 3};
  two.says_node("two");
  hear(two);
  see_same(two, member_status::dead);
  member three{3};
  three.says_node("three");
  hear(three);
  pass(2s);
  out.clear();
  step(node_core::lead{});
  CHECK(core().leads());
  auto lost = only<liveness::give_up>();
  REQUIRE(lost);
  CHECK(lost->owner == two.who);
  CHECK(lost->boot == 3);
  CHECK(all<node_core::warn>().empty()); // the last leader has told of it
  pass(1min);
  CHECK_FALSE(only<liveness::give_up>()); // three is there
  see_same(three, member_status::dead);
  pass(0s);
  lost = only<liveness::give_up>();
  REQUIRE(lost);
  CHECK(lost->owner == three.who);
}

TEST_CASE_METHOD(one_node, "a leader frees the names of a lost node that cannot come back",
                 "[node][core]") {
  member two{2};
  two.says_node("two", true);
  hear(two);
  step(node_core::lead{});
  see_same(two, member_status::dead);
  pass(0s);
  auto freed = only<liveness::free_names>();
  REQUIRE(freed);
  CHECK(freed->owner == two.who);
}

TEST_CASE_METHOD(one_node, "who leads looks through all names but its own", "[node][core]") {
  step(node_core::lead{});
  auto asked = only<liveness::list_names>();
  REQUIRE(asked);
  registry::names::claim_page page;
  auto other = id_of(key_number(2));
  for (auto& each : {self_id, other})
    page.claimed.push_back({"name of " + to_string(each), each, 1, 7, true});
  step(liveness::names_listed{page}, asked->id);
  pass(5s);
  CHECK(only<liveness::give_up>()->owner == other);
}

TEST_CASE_METHOD(one_node, "who leads no more judges nobody", "[node][core]") {
  member two{2};
  two.says_node("two");
  hear(two);
  step(node_core::lead{});
  step(node_core::follow{});
  CHECK_FALSE(core().leads());
  see_same(two, member_status::dead);
  pass(1min);
  CHECK(all<liveness::give_up>().empty());
  CHECK(shows(two) == record_status::disconnected); // which each node sees itself
}

TEST_CASE_METHOD(one_node, "the core wakes for whichever of its machines is due first",
                 "[node][core]") {
  CHECK_FALSE(core().next_deadline());
  step(node_core::lead{true});
  CHECK(core().next_deadline() == now + 30s); // the next look through the names
  step(liveness::link_up{id_of(key_number(2)), 1});
  step(liveness::link_down{id_of(key_number(2)), 1, "silent"});
  CHECK(core().next_deadline() == now + 5s);
  member two{2};
  two.says_node("two");
  see(two);
  CHECK(core().next_deadline() == now + 50ms); // the question for its records
  bring(two);
  see_same(two, member_status::left);
  step(node_core::follow{});
  pass(4s); // what the log says has been said
  CHECK(core().next_deadline() == now + 1s);
}

} // namespace node_core_test
