#include "troupe/cluster/node_core.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "node/record_fixture.hpp"
#include "support/seeds.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/sim/world/swim_member.hpp"

namespace node_core_property {

using namespace std::literals;
using namespace troupe;
using cluster::claims;
using cluster::liveness;
using cluster::member_status;
using cluster::node_core;
using cluster::record_exchange;
using record_fixture::owner;
using registry::record;
using registry::record_kind;
using registry::record_status;

namespace {

constexpr auto others = 5;

/// A node that hears what a cluster never says in this order: answers to questions that are over or
/// were never asked, lives that go back, links that end twice, members that say two things, and
/// what it is said to have said itself.
class confused_node {
public:
  explicit confused_node(random_source random)
    : random_(random), it_(options(random_.below(3) == 0), &sim::is_signed_with) {
    for (auto number = 1; number <= others; ++number)
      members_.emplace_back(number);
  }

  void run() {
    record made;
    made.key = {record_kind::node, "one", it_.id()};
    step(claims::put{made}, ask());
    for (auto round = 0; round < 200; ++round) {
      act();
      pass(std::chrono::milliseconds{random_.below(8) == 0 ? random_.below(20'000)
                                                           : random_.below(100)});
    }
    pass(2min); // what has no answer by then ends
    for (auto& each : asked_)
      FAIL_CHECK("no answer to " << each);
  }

private:
  cluster::node_core_options options(bool is_fleeting) {
    cluster::node_core_options how;
    how.node = record_fixture::node_number(0);
    how.name = "one";
    how.boot = 5;
    how.claims.is_fleeting = is_fleeting;
    how.claims.max_rises = 4;
    how.liveness.max_nodes = 4;
    how.liveness.max_ill = 3;
    how.table.max_changes = random_.below(2) == 0 ? 2 : 1'000; // it begins anew often, or never
    how.table.unhealthy_after = 1;
    how.table.max_records = 40;
    how.forget_after = 1min;
    return how;
  }

  // -- what happens ------------------------------------------------------------------------

  owner& any() {
    return members_[random_.below(members_.size())];
  }

  node_id any_node() {
    auto number = static_cast<int>(random_.below(others + 3)); // this node, and some that are none
    return record_fixture::node_number(number);
  }

  std::string any_id() {
    return to_string(any_node());
  }

  boot_number any_boot() {
    return random_.below(8);
  }

  std::string any_name() {
    return std::string(1, static_cast<char>('a' + random_.below(3)));
  }

  request_id any_request() {
    return random_.below(2) == 0 ? random_.below(last_request_ + 2) : last_request_;
  }

  member_status any_status() {
    return static_cast<member_status>(random_.below(4));
  }

  void act() {
    switch (random_.below(14)) {
      case 0:
      case 1:
        return say_something(any());
      case 2:
        return tell(any(), any_status());
      case 3:
      case 4:
        return answer();
      case 5:
        return links();
      case 6:
        return lead();
      case 7:
      case 8:
        return agents();
      case 9:
      case 10:
        return names();
      case 11:
        return boots();
      case 12:
        return asks();
      default:
        return others_say();
    }
  }

  /// A change, and that it is there.
  void say_something(owner& who) {
    auto name = any_name();
    auto id = to_string(who.who);
    record made;
    made.load = static_cast<std::uint32_t>(random_.below(100));
    switch (random_.below(6)) {
      case 0:
        made.key = {record_kind::node, "node " + id.substr(0, 4), {}};
        if (random_.below(3) == 0)
          made.status = record_status::maintenance;
        if (random_.below(3) == 0)
          made.metadata[cluster::known_nodes::fleeting_mark] = "yes";
        who.put(who.book.put(made));
        break;
      case 1:
        made.key = {record_kind::agent, name, {}};
        made.token = 1 + random_.below(20);
        who.put(who.book.put(made));
        break;
      case 2:
        who.say(name, made.load);
        break;
      case 3:
        for (auto& called : {name, name + '@' + id})
          if (auto gone = who.book.remove(record_kind::agent, called))
            who.put(*gone);
        break;
      case 4: // the next life, an earlier one, or another process with the same one
        who = owner{who.number, std::max<boot_number>(1, who.book.boot() + random_.below(3) - 1)};
        who.times = static_cast<std::uint32_t>(random_.below(50));
        who.say(name, made.load);
        break;
      default:
        if (auto gone = who.book.remove(record_kind::node, "node " + id.substr(0, 4)))
          who.put(*gone);
    }
    tell(who, member_status::alive);
  }

  void tell(owner& who, member_status is) {
    if (said_[who.number].empty() || random_.below(4) != 0)
      said_[who.number].push_back(who.state());
    auto& all = said_[who.number];
    auto& said = random_.below(6) == 0 ? all[random_.below(all.size())] : all.back();
    step(node_core::member_is{who.who, said.what.when, is, said,
                              record_fixture::key_number(who.number), any().who});
  }

  void answer() {
    if (open_.empty() || random_.below(8) == 0)
      return step(record_exchange::answered{}, random_.below(1'000));
    auto which = std::next(open_.begin(), static_cast<std::ptrdiff_t>(random_.below(open_.size())));
    auto [id, what] = *which;
    std::vector<cluster::told_records> told;
    for (auto& wish : what.what) {
      auto who = std::ranges::find(members_, wish.owner, &owner::who);
      if (who == members_.end() || random_.below(8) == 0 || said_[who->number].empty())
        continue;
      auto of = said_[who->number].back();
      auto& from = random_.below(12) == 0 ? any() : *who; // at times what another one has said
      auto all = from.table.records_of(from.who, from.book.boot());
      if (!all)
        continue;
      auto after = random_.below(12) == 0 ? random_.below(5) : wish.after;
      told.push_back({of, registry::page_of(*all, after, random_.below(3) == 0 ? 300 : 100'000)});
    }
    if (random_.below(6) != 0)
      open_.erase(which); // else it is answered once more
    step(record_exchange::answered{std::move(told)}, id);
  }

  void links() {
    auto node = any_node();
    if (to_string(node) == self_)
      return; // no link leads to the node itself
    if (random_.below(2) == 0)
      return step(liveness::link_up{node, any_boot()});
    step(liveness::link_down{node, any_boot(), "closed"});
  }

  void lead() {
    switch (random_.below(5)) {
      case 0:
        leads_ = true;
        return step(node_core::lead{random_.below(4) == 0});
      case 1:
        leads_ = false;
        return step(node_core::follow{});
      case 2: {
        registry::names::claim_page page;
        page.more = random_.below(4) == 0;
        for (auto rest = random_.below(4); rest > 0; --rest)
          page.claimed.push_back(
            {any_name(), owner_id{any_id()}, any_boot(), random_.below(9), random_.below(2) == 0});
        return step(liveness::names_listed{page}, any_request());
      }
      case 3: {
        std::vector<liveness::worker> page;
        for (auto rest = random_.below(4); rest > 0; --rest)
          page.push_back({random_.below(9), any_node(), any_boot(), random_.below(2) == 0});
        return step(liveness::workers_listed{page}, any_request());
      }
      default:
        return step(liveness::pong{random_.below(2) == 0}, any_request());
    }
  }

  void agents() {
    auto name = any_name() + (random_.below(6) == 0 ? "@one" : "");
    record made;
    made.key.name = name;
    cluster::agent_change how;
    switch (random_.below(6)) {
      case 0:
      case 1:
        return step(node_core::add_agent{made, random_.below(2) == 0}, ask());
      case 2:
        return step(claims::remove{name}, random_.below(3) == 0 ? random_.below(20) : 0);
      case 3:
        how.load = static_cast<std::uint32_t>(random_.below(9));
        return step(node_core::update_agent{name, how}, ask());
      case 4:
        return step(node_core::maintain{random_.below(2) == 0}, ask());
      default:
        return step(node_core::call_ended{any_node(), name,
                                          static_cast<registry::call_outcome>(random_.below(3))});
    }
  }

  void names() {
    auto code = std::vector{errc::name_taken, errc::in_use, errc::unreachable,
                            errc::bad_argument}[random_.below(4)];
    auto id = any_request();
    auto fails = random_.below(3) == 0;
    auto claimed = questions_.find(id);
    switch (random_.below(4)) {
      case 0:
      case 1: {
        registry::names::claims granted;
        if (claimed != questions_.end() && random_.below(8) != 0)
          for (auto& each : claimed->second)
            granted.claimed.push_back({each, it_.id(), 5, 1 + random_.below(20)});
        else if (random_.below(2) == 0)
          granted.claimed.push_back({any_name(), it_.id(), 5, 7});
        if (fails)
          return step(claims::heard<registry::names::claims>{problem{code, "no"}}, id);
        return step(claims::heard<registry::names::claims>{granted}, id);
      }
      case 2:
        if (fails)
          return step(claims::heard<registry::names::freed>{problem{code, "no"}}, id);
        return step(claims::heard<registry::names::freed>{registry::names::freed{}}, id);
      default: {
        registry::names::claim_page page;
        page.more = random_.below(4) == 0;
        if (random_.below(2) == 0)
          page.claimed.push_back({any_name(), it_.id(), any_boot(), 7, false});
        return step(claims::heard<registry::names::claim_page>{page}, id);
      }
    }
  }

  void boots() {
    auto own = it_.book().boot();
    auto some = own + random_.below(4) - std::min<boot_number>(own, random_.below(4));
    switch (random_.below(5)) {
      case 0:
        return step(claims::bound{});
      case 1:
        return step(claims::given_up{});
      case 2:
        return step(
          claims::outlived{random_.below(9) == 0 ? ~boot_number{0} : some, random_.below(2) == 0});
      case 3:
        return step(claims::risen{some});
      default:
        return random_.below(200) == 0 ? step(claims::leave{}, ask()) : void();
    }
  }

  void asks() {
    std::vector<cluster::record_wish> what;
    for (auto rest = random_.below(4); rest > 0; --rest)
      what.push_back({record_fixture::node_number(static_cast<int>(random_.below(others + 2))),
                      any_boot(), random_.below(9)});
    step(record_exchange::asked{what}, 5'000 + ++last_asked_);
    step(record_exchange::hurry{});
    auto head = random_.below(3) == 0 ? registry::records_head{} : head_;
    cluster::statement mine{
      record_fixture::node_number(0), {it_.book().boot(), ++times_}, false, "p:1", head};
    step(record_exchange::spoke{
      {mine, sim::sign_with(record_fixture::key_number(0), cluster::to_be_signed(mine))}});
  }

  void others_say() {
    switch (random_.below(4)) {
      case 0:
        return step(node_core::compared{});
      case 1: {
        std::set<node_id> those;
        for (auto rest = random_.below(3); rest > 0; --rest)
          those.insert(any_node());
        return step(node_core::expelled{those});
      }
      default:
        return step(node_core::member_forgotten{
          record_fixture::node_number(1 + static_cast<int>(random_.below(others + 2)))});
    }
  }

  // -- the machine -------------------------------------------------------------------------

  request_id ask() {
    asked_.insert(++last_asker_);
    return last_asker_;
  }

  void step(node_core::event what, request_id id = 0) {
    node_core::effects out;
    it_.step(now_, id, std::move(what), out);
    look_at(out);
  }

  void pass(duration span) {
    auto until = now_ + span;
    for (auto count = 0; it_.next_deadline() && *it_.next_deadline() <= until; ++count) {
      REQUIRE(count < 10'000); // it does not run wild
      now_ = std::max(now_, *it_.next_deadline());
      node_core::effects out;
      it_.tick(now_, out);
      look_at(out);
    }
    now_ = until;
  }

  void look_at(const node_core::effects& out) {
    for (auto& each : out)
      troupe::visit([this](auto& what) { perform(what); }, each);
    for (auto& each : it_.flaws())
      FAIL_CHECK(each);
    CHECK(it_.book().boot() >= boot_);
    boot_ = it_.book().boot();
    CHECK(it_.leads() == leads_);
    auto seen = it_.nodes().seen();
    CHECK(seen.there == presence_.there);
    CHECK(seen.all == presence_.all);
    check_own_records();
    check_routes();
  }

  /// The table has of this node what it says.
  void check_own_records() {
    std::size_t count = 0;
    it_.table().for_each_of(it_.id(), [&](const record& each, const auto&) {
      ++count;
      auto said = it_.book().find(each.key.kind, each.key.name);
      CHECK((said == std::optional{each} || refuses_));
    });
    CHECK((count == it_.book().size() || refuses_));
  }

  /// Messages go where the table shows agents of others.
  void check_routes() {
    std::map<std::pair<agent_id, node_id>, std::vector<record>> wanted;
    it_.for_each_record([&](const registry::record_view& each) {
      auto& key = each.value.key;
      if (key.kind == record_kind::agent && key.owner != it_.id()
          && each.status <= record_status::maintenance)
        wanted[{registry::agent_of(each.value), key.owner}].push_back(each.value);
    });
    CHECK(wanted.size() == routes_.size());
    for (auto& [where, which] : routes_) {
      auto found = wanted.find(where);
      REQUIRE(found != wanted.end());
      CHECK(std::ranges::find(found->second, which) != found->second.end());
    }
  }

  // -- what it does ------------------------------------------------------------------------

  void perform(const node_core::found& what) {
    CHECK(what.what.key.owner == what.node);
    if (what.node != it_.id())
      routes_.insert_or_assign({what.id, what.node}, what.what);
  }

  void perform(const node_core::gone& what) {
    routes_.erase({what.id, what.node});
  }

  void perform(const node_core::found_only& what) {
    std::erase_if(routes_, [&](auto& each) { return !what.agents.contains(each.first); });
  }

  void perform(const claims::done& what) {
    CHECK(asked_.erase(what.id) == 1);
  }

  void perform(const claims::ask& what) {
    last_request_ = what.id;
    if (auto* claim = std::get_if<registry::names::claim>(&what.what)) {
      CHECK(claim->owner == it_.id());
      CHECK(claim->boot == it_.book().boot());
      questions_[what.id] = claim->names;
    }
  }

  void perform(const claims::lost_name& what) {
    CHECK_FALSE(it_.book().find(record_kind::agent, what.name.text()));
  }

  void perform(const claims::rise& what) {
    CHECK(what.boot > it_.book().boot());
  }

  void perform(const liveness::give_up& what) {
    CHECK(leads_);
    CHECK(what.owner != it_.id());
  }

  void perform(const liveness::free_names& what) {
    CHECK(leads_);
    CHECK(what.owner != it_.id());
  }

  void perform(const liveness::list_names& what) {
    CHECK(leads_);
    last_request_ = what.id;
  }

  void perform(const liveness::list_workers& what) {
    CHECK(leads_);
    last_request_ = what.id;
  }

  void perform(const liveness::ping& what) {
    last_request_ = what.id;
  }

  void perform(const record_exchange::ask& what) {
    CHECK(to_string(what.whom) != self_);
    CHECK(open_.emplace(what.id, what).second);
    for (auto& each : what.what)
      CHECK(each.owner != it_.id());
  }

  void perform(const record_exchange::reply& what) {
    CHECK(what.id == 5'000 + last_asked_); // at once
  }

  void perform(const record_exchange::restate& what) {
    head_ = what.what;
  }

  void perform(const node_core::presence& what) {
    presence_ = what;
  }

  void perform(const node_core::caught_up&) {
    CHECK_FALSE(is_caught_up_); // once
    is_caught_up_ = true;
  }

  void perform(const node_core::complain& what) {
    CHECK_FALSE(what.topic.empty());
    refuses_ = refuses_ || what.topic == node_core::not_kept;
  }

  void perform(const node_core::node_is&) {}
  void perform(const node_core::node_left&) {}
  void perform(const node_core::inform&) {}
  void perform(const node_core::warn&) {}
  void perform(const node_core::settle&) {}
  void perform(const record_exchange::learned&) {}

  random_source random_;
  const std::string self_ = to_string(record_fixture::node_number(0));
  node_core it_;
  time_point now_{1h};
  std::vector<owner> members_;
  std::map<int, std::vector<cluster::signed_statement>> said_;

  bool leads_ = false;
  bool is_caught_up_ = false;
  /// The table was full at times.
  bool refuses_ = false;
  boot_number boot_ = 5;
  cluster::known_nodes::presence presence_{};
  std::map<std::pair<agent_id, node_id>, record> routes_;
  std::set<request_id> asked_;
  request_id last_asker_ = 0;
  request_id last_request_ = 0;
  request_id last_asked_ = 0;
  std::map<request_id, std::vector<agent_id>> questions_;
  std::map<request_id, record_exchange::ask> open_;
  registry::records_head head_{};
  std::uint32_t times_ = 0;
};

} // namespace

TEST_CASE("whatever a node hears, and in whatever order, it shows what it knows and answers once",
          "[node][core][property]") {
  test::for_each_seed(50, [](random_source random) { confused_node{random}.run(); });
}

} // namespace node_core_property
