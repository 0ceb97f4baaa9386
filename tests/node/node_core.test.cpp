#include "troupe/cluster/node_core.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace node_core_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::agent_change;
using cluster::claims;
using cluster::liveness;
using cluster::node_core;
using cluster::node_core_options;
using registry::change_kind;
using registry::record_kind;
using registry::record_status;

namespace {

registry::record_view record_of(record_kind kind, const std::string& name, const std::string& node,
                                std::uint64_t token = 0) {
  registry::record_view made;
  made.value.key = {kind, name, node};
  made.value.boot = 1;
  made.value.version = 1;
  made.value.token = token;
  return made;
}

registry::record_view node_of(const std::string& id, const std::string& name) {
  return record_of(record_kind::node, name, id);
}

/// An agent whose name nobody has claimed.
registry::record_view agent_of(const std::string& id, const std::string& node) {
  return record_of(record_kind::agent, id + '@' + node, node);
}

/// The core of node n1, called "one". It answers nothing by itself.
class one_node {
public:
  explicit one_node(node_core_options how = {})
    : it_(
      [&] {
        how.node = "n1";
        how.name = "one";
        how.boot = 1;
        return how;
      }(),
      1) {}

  void step(node_core::event what, request_id id = 0) {
    it_.step(now, id, std::move(what), out);
    CHECK(it_.flaws() == std::vector<std::string>{});
  }

  void pass(duration span) {
    auto end = now + span;
    while (it_.next_deadline() && *it_.next_deadline() <= end) {
      now = std::max(now, *it_.next_deadline());
      it_.tick(now, out);
    }
    now = end;
  }

  /// The registry tells this in one piece.
  void hear(std::vector<std::pair<change_kind, registry::record_view>> changes) {
    step(node_core::told{news(std::move(changes))});
  }

  void hear(change_kind kind, registry::record_view what) {
    hear({{kind, std::move(what)}});
  }

  registry::record_changes
  news(std::vector<std::pair<change_kind, registry::record_view>> changes) {
    registry::record_changes made;
    for (auto& [kind, what] : changes)
      made.changes.push_back({++revision_, kind, std::move(what)});
    made.revision = revision_;
    return made;
  }

  /// Says itself, as a node does that begins, and all that it says is heard.
  void begin() {
    step(claims::begin{});
    step(claims::bound{});
    step(claims::put{node_of("n1", "one").value});
    answer_puts();
    out.clear();
  }

  void answer_puts() {
    while (auto asked = question<registry::put_records>())
      step(claims::heard<registry::put_report>{registry::put_report{}}, asked->first);
  }

  /// Adds an agent whose name is claimed with `token`.
  void add(const std::string& id, std::uint64_t token) {
    registry::record made;
    made.key.name = id;
    step(node_core::add_agent{made, true}, 77);
    auto asked = question<registry::names::claim>();
    REQUIRE(asked);
    registry::names::claims granted;
    granted.claimed.push_back({.name = id, .owner = "n1", .boot = 1, .token = token});
    step(claims::heard<registry::names::claims>{granted}, asked->first);
    answer_puts();
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

  time_point now{};
  node_core::effects out;

  [[nodiscard]] const node_core& core() const {
    return it_;
  }

private:
  node_core it_;
  std::uint64_t revision_ = 0;
};

std::vector<std::string> names_in(const node_core::begin_registry& what) {
  std::vector<std::string> found;
  for (auto& page : what.pages)
    for (auto& each : page.records)
      found.push_back(each.key.name);
  return found;
}

} // namespace

// -- snapshots ---------------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "until the last page of a snapshot all is found that was before",
                 "[node][core]") {
  hear({{change_kind::added, node_of("n2", "two")}, {change_kind::added, agent_of("old", "n2")}});
  CHECK(only<node_core::caught_up>());
  out.clear();
  auto first = news(
    {{change_kind::added, node_of("n3", "three")}, {change_kind::added, agent_of("new", "n3")}});
  first.complete = true;
  first.more = true;
  first.rest = first.changes.back().what.value.key;
  step(node_core::told{first});
  CHECK_FALSE(only<node_core::found_only>());
  CHECK_FALSE(only<node_core::caught_up>());
  CHECK(core().nodes().find("two"));
  step(node_core::told{news({{change_kind::removed, agent_of("new", "n3")},
                             {change_kind::added, agent_of("other", "n3")}})});
  auto found = only<node_core::found_only>();
  REQUIRE(found);
  CHECK(found->agents == std::set<std::pair<std::string, std::string>>{{"other", "n3"}});
  CHECK(only<node_core::caught_up>());
  CHECK_FALSE(core().nodes().find("two"));
  CHECK(core().nodes().find("three"));
}

TEST_CASE_METHOD(one_node, "a snapshot that begins anew forgets the pages of the last",
                 "[node][core]") {
  auto first = news({{change_kind::added, agent_of("a", "n2")}});
  first.complete = true;
  first.rest = first.changes.back().what.value.key;
  step(node_core::told{first});
  auto again = news({{change_kind::added, agent_of("b", "n2")}});
  again.complete = true;
  step(node_core::told{again});
  auto found = only<node_core::found_only>();
  REQUIRE(found);
  CHECK(found->agents == std::set<std::pair<std::string, std::string>>{{"b", "n2"}});
}

TEST_CASE("what the registry tells beyond the bounds is not kept, and that is said",
          "[node][core]") {
  node_core_options how;
  how.copy.max_records = 2;
  how.copy.max_owners = 2;
  one_node it{how};
  auto first = it.news({{change_kind::added, node_of("n2", "two")},
                        {change_kind::added, node_of("n3", "three")},
                        {change_kind::added, node_of("n4", "four")}});
  first.complete = true;
  it.step(node_core::told{first});
  auto said = it.only<node_core::complain>();
  REQUIRE(said);
  CHECK(said->topic == node_core::not_kept);
  CHECK(it.core().nodes().find("three"));
  CHECK_FALSE(it.core().nodes().find("four"));
  it.step(node_core::told{it.news({{change_kind::added, agent_of("a", "n2")}})});
  it.out.clear();
  auto agents = it.news({{change_kind::added, agent_of("a", "n2")},
                         {change_kind::added, agent_of("b", "n2")},
                         {change_kind::added, agent_of("c", "n2")}});
  agents.complete = true;
  it.step(node_core::told{agents});
  auto found = it.only<node_core::found_only>();
  REQUIRE(found);
  CHECK(found->agents.size() == 2);
  auto next = it.news({{change_kind::added, node_of("n2", "two")}});
  next.complete = true;
  it.step(node_core::told{next});
  CHECK(it.only<node_core::settle>());
}

// -- who is found ------------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "an agent is found where its node is there, and rests in maintenance",
                 "[node][core]") {
  auto what = agent_of("a", "n2");
  hear(change_kind::added, what);
  auto found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->id == "a");
  CHECK(found->what.key.owner == "n2");
  CHECK_FALSE(found->rests);
  what.status = record_status::maintenance;
  hear(change_kind::updated, what);
  found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->rests);
  for (auto status : {record_status::inactive, record_status::disconnected}) {
    what.status = status;
    hear(change_kind::updated, what);
    CHECK_FALSE(only<node_core::found>());
    auto gone = only<node_core::gone>();
    REQUIRE(gone);
    CHECK(gone->id == "a");
    CHECK(gone->node == "n2");
  }
  what.status = record_status::active;
  hear(change_kind::removed, what);
  CHECK_FALSE(only<node_core::found>());
  CHECK(only<node_core::gone>());
}

TEST_CASE_METHOD(one_node, "an agent is ill as long as the registry shows it unhealthy",
                 "[node][core]") {
  auto what = agent_of("a", "n2");
  what.healthy = false;
  hear(change_kind::added, what);
  auto found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->ill);
  CHECK_FALSE(found->rests);
  what.healthy = true;
  hear(change_kind::updated, what);
  found = only<node_core::found>();
  REQUIRE(found);
  CHECK_FALSE(found->ill);
  begin();
  registry::record own;
  own.key.name = "b";
  step(node_core::add_agent{own, false});
  out.clear();
  auto shown = agent_of("b", "n1");
  shown.healthy = false;
  hear(change_kind::updated, shown);
  found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->ill);
}

TEST_CASE_METHOD(one_node, "a claimed name is the id of its agent, whatever it ends with",
                 "[node][core]") {
  hear(change_kind::added, record_of(record_kind::agent, "a@n2", "n2", 7));
  auto found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->id == "a@n2");
}

TEST_CASE_METHOD(one_node, "what becomes of a call is told of the record of its agent",
                 "[node][core]") {
  using registry::call_outcome;
  auto told = [this](const std::string& agent, const std::string& node) {
    out.clear();
    step(node_core::call_ended{node, agent, call_outcome::timed_out});
    auto found = only<node_core::report>();
    if (found)
      CHECK(found->what.outcome == call_outcome::timed_out);
    return found ? to_text(found->what.key) : "nothing";
  };
  hear(change_kind::added, record_of(record_kind::agent, "a", "n2", 7));
  hear(change_kind::added, agent_of("b", "n2"));
  auto key = [](const std::string& name) {
    return to_text(registry::record_key{record_kind::agent, name, "n2"});
  };
  CHECK(told("a", "n2") == key("a"));
  CHECK(told("b", "n2") == key("b@n2"));
  CHECK(told("b@n2", "n2") == "nothing"); // that is how it stands in the registry, not its id
  CHECK(told("a", "n3") == "nothing");    // its name has moved
  CHECK(told("nobody", "n2") == "nothing");
}

TEST_CASE_METHOD(one_node, "an agent of this node is found as the node says it", "[node][core]") {
  begin();
  registry::record made;
  made.key.name = "a";
  made.capabilities = {"print"};
  step(node_core::add_agent{made, false}, 1);
  auto found = only<node_core::found>();
  REQUIRE(found); // before the registry shows it
  CHECK(found->id == "a");
  CHECK_FALSE(found->rests);
  CHECK(found->what.capabilities == std::set<std::string>{"a", "print"});
  auto late = agent_of("a", "n1"); // without capabilities, as unhealthy nodes show
  late.status = record_status::disconnected;
  hear(change_kind::updated, late);
  found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->what.capabilities == std::set<std::string>{"a", "print"});
  CHECK_FALSE(only<node_core::gone>());
  step(node_core::maintain{true}, 2);
  hear(change_kind::updated, late);
  found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->rests);
  step(claims::remove{"a"});
  CHECK(only<node_core::gone>());
  hear(change_kind::updated, late); // of what has ended
  CHECK_FALSE(only<node_core::found>());
}

// -- what this node says -----------------------------------------------------------------

TEST_CASE_METHOD(one_node, "an agent id with @ is of the node that it names", "[node][core]") {
  begin();
  registry::record made;
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
    auto put = question<registry::put_records>();
    REQUIRE(put);
    CHECK(put->second.records.front().key.name == "a@one@n1");
    CHECK(put->second.records.front().capabilities.empty());
  }
  SECTION("without one a unique id is claimed first") {
    made.key.name = "a";
    step(node_core::add_agent{made, true}, 4);
    CHECK(question<registry::names::claim>());
    CHECK_FALSE(question<registry::put_records>());
  }
}

TEST_CASE_METHOD(one_node, "an agent changes while it runs, here and in the registry",
                 "[node][core]") {
  begin();
  registry::record made;
  made.key.name = "a";
  made.capabilities = {"print", "scan"};
  made.metadata = {{"floor", "1"}, {"room", "7"}};
  step(node_core::add_agent{made, false}, 1);
  answer_puts();
  out.clear();
  agent_change how;
  how.add_capabilities = {"copy", "both"};
  how.remove_capabilities = {"scan", "both", "never had"};
  how.add_groups = {"printers"};
  how.metadata = {{"floor", std::nullopt}, {"room", "8"}, {"shelf", "2"}};
  how.load = 5;
  step(node_core::update_agent{"a", how}, 2);
  auto put = question<registry::put_records>();
  REQUIRE(put);
  auto said = put->second.records.front();
  CHECK(said.key.name == "a@n1");
  CHECK(said.capabilities == std::set<std::string>{"a", "copy", "print"});
  CHECK(said.groups == std::set<std::string>{"printers"});
  CHECK(said.metadata == std::map<std::string, std::string>{{"room", "8"}, {"shelf", "2"}});
  CHECK(said.load == 5);
  auto found = only<node_core::found>();
  REQUIRE(found); // before the registry shows it
  CHECK(found->id == "a");
  CHECK(found->what.capabilities == said.capabilities);
  CHECK(found->what.load == 5);
  CHECK_FALSE(only<claims::done>());
  step(claims::heard<registry::put_report>{registry::put_report{1}}, put->first);
  auto done = only<claims::done>();
  REQUIRE(done);
  CHECK(done->id == 2);
  CHECK_FALSE(done->why);
  SECTION("what is not named stays") {
    step(node_core::update_agent{"a", {.load = 6}}, 3);
    put = question<registry::put_records>();
    REQUIRE(put);
    auto again = put->second.records.front();
    CHECK(again.load == 6);
    again.load = 5;
    again.version = said.version;
    CHECK(again == said);
  }
  SECTION("nothing is said where nothing changes") {
    step(node_core::update_agent{"a", how}, 3);
    CHECK_FALSE(question<registry::put_records>());
    done = only<claims::done>();
    REQUIRE(done);
    CHECK_FALSE(done->why);
  }
  SECTION("one that rests stays so") {
    step(node_core::maintain{true}, 3);
    out.clear();
    step(node_core::update_agent{"a", {.load = 6}}, 4);
    found = only<node_core::found>();
    REQUIRE(found);
    CHECK(found->rests);
    CHECK_FALSE(found->ill);
  }
  SECTION("one that is ill stays so, until the registry shows it well") {
    auto shown = agent_of("a", "n1");
    shown.healthy = false;
    hear(change_kind::updated, shown);
    out.clear();
    step(node_core::update_agent{"a", {.load = 6}}, 3);
    found = only<node_core::found>();
    REQUIRE(found);
    CHECK(found->ill);
    shown.healthy = true;
    hear(change_kind::updated, shown);
    out.clear();
    step(node_core::update_agent{"a", {.load = 7}}, 4);
    found = only<node_core::found>();
    REQUIRE(found);
    CHECK_FALSE(found->ill);
  }
}

TEST_CASE("an agent does not change while too many questions are open", "[node][core]") {
  node_core_options narrow;
  narrow.claims.max_questions = 4;
  one_node it{narrow};
  it.begin();
  registry::record made;
  made.key.name = "a";
  it.step(node_core::add_agent{made, false}, 1);
  it.answer_puts();
  it.out.clear();
  for (request_id id = 2; it.all<claims::done>().empty(); ++id) {
    REQUIRE(id < 10);
    it.out.clear();
    it.step(node_core::update_agent{"a", {.load = static_cast<std::uint32_t>(id)}}, id);
    auto shown = it.all<node_core::found>();
    auto load = it.core().book().find(record_kind::agent, "a@n1")->load;
    CHECK(shown.size() == (load == id ? 1 : 0)); // what was refused has changed nothing
  }
}

TEST_CASE_METHOD(one_node, "an agent changes while its name is being claimed", "[node][core]") {
  begin();
  registry::record made;
  made.key.name = "a";
  made.capabilities = {"print"};
  step(node_core::add_agent{made, true}, 1);
  auto asked = question<registry::names::claim>();
  REQUIRE(asked);
  auto load = 7U;
  auto update = [this](const agent_change& how) {
    step(node_core::update_agent{"a", how}, 2);
    CHECK_FALSE(question<registry::put_records>());
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
  granted.claimed.push_back({.name = "a", .owner = "n1", .boot = 1, .token = 5});
  step(claims::heard<registry::names::claims>{granted}, asked->first);
  auto put = question<registry::put_records>();
  REQUIRE(put);
  auto& said = put->second.records.front();
  CHECK(said.load == load);
  CHECK(said.capabilities == std::set<std::string>{"scan"});
  CHECK(said.token == 5);
  auto found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->what.load == load);
}

TEST_CASE_METHOD(one_node, "an agent that is added in maintenance rests", "[node][core]") {
  begin();
  step(node_core::maintain{true}, 1);
  out.clear();
  registry::record made;
  made.key.name = "a";
  step(node_core::add_agent{made, false}, 2);
  auto found = only<node_core::found>();
  REQUIRE(found);
  CHECK(found->rests);
}

TEST_CASE_METHOD(one_node, "a change of an agent that no registry takes is refused",
                 "[node][core]") {
  begin();
  registry::record made;
  made.key.name = "a";
  step(node_core::add_agent{made, false}, 1);
  answer_puts();
  out.clear();
  auto refused = [this](const std::string& id, const agent_change& how) {
    step(node_core::update_agent{id, how}, 2);
    CHECK_FALSE(question<registry::put_records>());
    CHECK_FALSE(only<node_core::found>());
    auto done = only<claims::done>();
    return done ? done->why : problem{};
  };
  CHECK(refused("b", {.load = 1}).code == errc::not_found);
  CHECK(refused("a@n2", {.load = 1}).code == errc::not_found);
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
  step(node_core::maintain{true}, 4);
  CHECK_FALSE(only<claims::done>());
  auto put = question<registry::put_records>();
  REQUIRE(put);
  CHECK(put->second.records.front().status == record_status::maintenance);
  step(claims::heard<registry::put_report>{registry::put_report{}}, put->first);
  CHECK(only<claims::done>());
  step(node_core::maintain{false}, 5);
  put = question<registry::put_records>();
  REQUIRE(put);
  CHECK(put->second.records.front().status == record_status::active);
}

TEST_CASE_METHOD(one_node, "what a registry shows of this node and is not said is taken back",
                 "[node][core]") {
  begin();
  hear(change_kind::added, agent_of("ghost", "n1"));
  auto put = question<registry::put_records>();
  REQUIRE(put);
  CHECK(put->second.records.front().removed);
  CHECK(put->second.records.front().key.name == "ghost@n1");
}

TEST_CASE_METHOD(one_node, "an agent whose name another node has claimed later loses it",
                 "[node][core]") {
  begin();
  add("a", 5);
  hear(change_kind::added, node_of("n2", "two"));
  SECTION("as the other one shows") {
    hear(change_kind::added, record_of(record_kind::agent, "a", "n2", 9));
  }
  SECTION("as its own is hidden") {
    hear(change_kind::taken, record_of(record_kind::agent, "a", "n1", 5));
  }
  auto lost = only<claims::lost_name>();
  REQUIRE(lost);
  CHECK(lost->name == "a");
}

TEST_CASE_METHOD(one_node, "an earlier claim of another node takes no name", "[node][core]") {
  begin();
  add("a", 5);
  hear(change_kind::added, record_of(record_kind::agent, "a", "n2", 3));
  hear(change_kind::removed, record_of(record_kind::agent, "a", "n2", 9));
  hear(change_kind::updated, record_of(record_kind::agent, "a", "n1", 5));
  CHECK_FALSE(only<claims::lost_name>());
}

// -- other nodes -------------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "the log names each namesake once, up to a bound", "[node][core]") {
  for (auto round = 0; round < 2; ++round)
    for (auto each : {"n2", "n3"})
      hear(round == 0 ? change_kind::added : change_kind::updated, node_of(each, "one"));
  CHECK(all<node_core::warn>().size() == 2);
  hear(change_kind::added, node_of("n1", "one")); // itself
  auto away = node_of("n4", "one");
  away.liveness = record_status::disconnected;
  hear(change_kind::added, away);
  CHECK(all<node_core::warn>().empty());
  for (auto count = 0; count < 40; ++count)
    hear(change_kind::added, node_of("m" + std::to_string(count), "one"));
  CHECK(all<node_core::warn>().size() == node_core::max_namesakes - 2);
}

TEST_CASE_METHOD(one_node, "that a node has left is told, and logged by who leads",
                 "[node][core]") {
  hear(change_kind::added, node_of("n2", "two"));
  CHECK(only<node_core::node_is>());
  hear(change_kind::removed, node_of("n2", "two"));
  auto left = only<node_core::node_left>();
  REQUIRE(left);
  CHECK(left->node == "n2");
  CHECK(left->boot == 1);
  CHECK_FALSE(only<node_core::inform>());
  step(node_core::lead{});
  hear({{change_kind::added, node_of("n2", "two")}, {change_kind::removed, node_of("n2", "two")}});
  CHECK(only<node_core::inform>());
  hear({{change_kind::added, node_of("n3", "three")}, {change_kind::lost, node_of("n3", "three")}});
  CHECK(all<node_core::node_left>().size() == 1); // a loss is none
  CHECK_FALSE(only<node_core::inform>());
  step(node_core::follow{});
  hear(
    {{change_kind::added, node_of("n4", "four")}, {change_kind::removed, node_of("n4", "four")}});
  CHECK_FALSE(only<node_core::inform>());
}

TEST_CASE_METHOD(one_node, "the log says which members come and go, but not of this node itself",
                 "[node][core]") {
  using enum cluster::member_status;
  step(liveness::seen{"n1", 1, alive});
  step(liveness::seen{"n2", 1, alive});
  hear({{change_kind::added, node_of("n2", "two")}});
  pass(2s);
  auto joined = all<node_core::inform>();
  REQUIRE(joined.size() == 1);
  CHECK(joined.front().text == "member two has joined");
  CHECK(all<node_core::warn>().empty());
  step(liveness::seen{"n2", 1, dead});
  auto warned = only<node_core::warn>();
  REQUIRE(warned);
  CHECK(warned->text == "member two is dead: it has not answered in time");
}

TEST_CASE_METHOD(one_node, "who leads asks about nodes that the registry has forgotten",
                 "[node][core]") {
  step(node_core::lead{});
  hear({{change_kind::added, node_of("n2", "two")}, {change_kind::lost, node_of("n2", "two")}});
  auto asked = only<liveness::ask>();
  REQUIRE(asked);
  CHECK(asked->node == "n2");
}

TEST_CASE_METHOD(one_node, "an agent that shows unhealthy is pinged until it is gone",
                 "[node][core]") {
  step(node_core::lead{});
  auto ill = agent_of("a", "n2");
  ill.healthy = false;
  hear(change_kind::added, ill);
  pass(10s);
  auto ping = only<liveness::ping>();
  REQUIRE(ping);
  CHECK(ping->agent == "a");
  step(liveness::pong{false}, ping->id);
  SECTION("removed") {
    hear(change_kind::removed, ill);
  }
  SECTION("not in a snapshot") {
    auto none = news({});
    none.complete = true;
    step(node_core::told{none});
  }
  pass(10s);
  CHECK_FALSE(only<liveness::ping>());
}

// -- who leads ---------------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "a new registry hears what was known, and what this node says",
                 "[node][core]") {
  begin();
  auto away = node_of("n2", "two");
  away.liveness = record_status::disconnected;
  away.value.boot = 3;
  hear({{change_kind::added, away},
        {change_kind::added, node_of("n3", "three")},
        {change_kind::added, node_of("n1", "one")}});
  pass(2s);
  out.clear();
  step(node_core::lead{});
  auto begun = only<node_core::begin_registry>();
  REQUIRE(begun);
  CHECK(names_in(*begun) == std::vector<std::string>{"one", "three", "two"});
  REQUIRE(begun->lost.size() == 1);
  CHECK(begun->lost.front().owner == "n2");
  CHECK(begun->lost.front().boot == 3);
  CHECK(begun->lost.front().liveness == record_status::disconnected);
  CHECK(begun->lost.front().for_long == 2s);
  CHECK(core().leads());
  pass(4s);
  CHECK(all<liveness::give_up>().empty());
  pass(1s); // neither is linked
  CHECK(all<liveness::give_up>().size() == 2);
  auto told = all<node_core::warn>();
  REQUIRE(told.size() == 1); // of the other the last leader has told
  CHECK(told.front().text.find("three is lost") != std::string::npos);
}

TEST_CASE_METHOD(one_node, "a node of which only agents are known is given up, too",
                 "[node][core]") {
  hear(change_kind::added, agent_of("a", "n2"));
  hear(change_kind::added, agent_of("a", "n1"));
  step(node_core::lead{});
  hear(change_kind::added, agent_of("a", "n3"));
  auto away = agent_of("a", "n4");
  away.liveness = record_status::disconnected;
  hear(change_kind::added, away);
  pass(5s);
  auto lost = all<liveness::give_up>();
  REQUIRE(lost.size() == 2);
  CHECK(lost.front().node == "n2");
  CHECK(lost.back().node == "n3");
}

TEST_CASE_METHOD(one_node, "who leads looks through all names but its own", "[node][core]") {
  step(node_core::lead{});
  auto asked = only<liveness::list_names>();
  REQUIRE(asked);
  registry::names::claim_page page;
  for (auto each : {"n1", "n2"})
    page.claimed.push_back({std::string{"name of "} + each, each, 1, 7, true});
  step(liveness::names_listed{page}, asked->id);
  pass(5s);
  CHECK(only<liveness::give_up>()->node == "n2");
}

TEST_CASE("a node without a data folder that is shown as lost claims its names again",
          "[node][core]") {
  cluster::node_core_options how;
  how.claims.is_fleeting = true;
  one_node it{how};
  it.begin();
  it.add("painter", 3);
  auto shown = record_of(record_kind::agent, "painter", "n1", 3);
  auto beats = [&] {
    it.out.clear();
    it.pass(10s);
    auto asked = it.question<registry::heartbeat>();
    REQUIRE(asked);
    it.step(claims::heard<registry::owner_view>{registry::owner_view{.owner = "n1", .boot = 1}},
            asked->first);
    return it.question<registry::names::claim>().has_value();
  };
  it.pass(1s);
  it.hear(change_kind::added, shown);
  CHECK_FALSE(beats());
  shown.liveness = record_status::disconnected;
  it.hear(change_kind::updated, shown);
  CHECK(beats());
}

TEST_CASE_METHOD(one_node, "a registry that goes on is not begun anew", "[node][core]") {
  hear(change_kind::added, node_of("n2", "two"));
  step(node_core::lead{false});
  CHECK_FALSE(only<node_core::begin_registry>());
  CHECK(core().leads());
}

TEST_CASE_METHOD(one_node, "what is told to a new registry comes in pages", "[node][core]") {
  for (std::size_t count = 0; count < node_core::page + 1; ++count)
    hear(change_kind::added, agent_of("a" + std::to_string(count), "n2"));
  step(node_core::lead{});
  auto begun = only<node_core::begin_registry>();
  REQUIRE(begun);
  REQUIRE(begun->pages.size() == 2);
  CHECK(begun->pages.front().records.size() == node_core::page);
  CHECK(begun->pages.back().records.size() == 1);
}

TEST_CASE_METHOD(one_node, "who does not lead judges nobody", "[node][core]") {
  hear(change_kind::added, node_of("n2", "two"));
  step(node_core::lead{});
  step(node_core::follow{});
  CHECK_FALSE(core().leads());
  pass(1min);
  CHECK(all<liveness::give_up>().empty());
}

TEST_CASE_METHOD(one_node, "the core wakes for whichever of its machines is due first",
                 "[node][core]") {
  CHECK_FALSE(core().next_deadline());
  step(node_core::lead{});
  CHECK(core().next_deadline() == now + 10s); // the check
  step(claims::begin{});
  CHECK(core().next_deadline() <= now + 10s); // an answer, or a heartbeat
  pass(9s);
  step(liveness::link_up{"n2", 1});
  step(liveness::link_down{"n2", 1, "silent"});
  CHECK(core().next_deadline() == time_point{} + 10s);
}

} // namespace node_core_test
