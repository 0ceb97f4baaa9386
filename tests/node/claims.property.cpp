// What must hold in whatever order agents come and go, answers are late, lost or refused, services
// forget, and the node starts again: the claims of node n1 beside those of n2, on a service of
// names whose questions wait on the way. All that a node says is shown at once.

#include "troupe/cluster/claims.hpp"
#include "router/named_nodes.hpp"
#include "support/seeds.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/registry/record_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace claims_property {

using namespace std::literals;
using namespace troupe;
using cluster::claims;
using test::operator""_node;
namespace names = registry::names;

namespace {

constexpr auto agent_kind = registry::record_kind::agent;
const auto self_id = "n1"_node;
const auto rival_id = "n2"_node;
const owner_id self{self_id};
const owner_id rival{rival_id};
constexpr std::array<const char*, 4> all_names{"a", "b", "c", "d"};

/// How often what the test is about has happened, in all worlds.
struct tally {
  std::map<std::string, std::size_t> seen;
};

class world {
public:
  world(test::random_source random, tally& counts) : random_(random), counts_(counts) {
    forget_names();
    forget_records();
    is_fleeting_ = random_.one_in(2);
    begin_life();
  }

  // -- what may happen -----------------------------------------------------------------

  void anything() {
    switch (random_.below(24)) {
      case 0:
      case 1:
      case 2:
        return add();
      case 3:
      case 4:
        return end_agent();
      case 5:
        return give_up_add();
      case 6:
        return put();
      case 7:
      case 8:
      case 9:
      case 10:
        return carry_out_any();
      case 11:
      case 12:
      case 13:
        return deliver_any();
      case 14:
        return refuse_any();
      case 15:
        return pass(duration{random_.below(4) * 1'000'000'000});
      case 16:
      case 17:
        return watch();
      case 18:
      case 19:
        return act_as_rival();
      case 20:
        return change_leader();
      case 21:
        if (random_.one_in(2))
          return hear_of_later_life();
        return be_given_up();
      case 22:
        return keep_boot();
      default:
        if (random_.one_in(8))
          begin_life();
    }
  }

  /// No more faults: all is carried out, in order, and time goes on.
  void settle() {
    for (auto round = 0; round < 200; ++round) {
      while (is_bound_wanted_ || !asks_.empty() || wished_) {
        if (std::exchange(is_bound_wanted_, false))
          step(claims::bound{});
        keep_boot();
        while (!asks_.empty()) {
          if (!asks_.front().answer)
            carry_out(asks_.front());
          deliver(asks_.begin());
        }
      }
      settle_rival();
      watch();
      pass(1s);
    }
  }

  /// What is said equals what is.
  void check_agreement() {
    INFO("at " << now_.time_since_epoch().count());
    CHECK(waiting_.empty());
    std::set<std::string> held;
    std::set<std::string> granted;
    std::set<std::string> agents;
    auto with = [](const agent_id& name, std::uint64_t number) {
      return name.text() + " #" + std::to_string(number);
    };
    for (auto& each : it_->book().all()) {
      if (each.token != 0)
        held.insert(with(each.key.name, each.token));
      if (each.key.kind == agent_kind)
        agents.insert(each.key.name);
    }
    for (auto& each : names_.answer(names::list_claims{self}).claimed)
      if (each.boot == it_->book().boot() || !held.empty()) // the first claim frees older ones
        granted.insert(with(each.name, each.token));
    CHECK(said_ == shown_by(it_->book()));
    CHECK(held == granted);
    std::set<std::string> living;
    for (auto& [name, id] : living_)
      living.insert(name);
    CHECK(agents == living);
  }

  /// It leaves, whatever is under way: in any order, but nothing of earlier lives arrives any more.
  /// Once that has ended, it has no name, though it goes on for a while.
  void leave() {
    std::erase_if(asks_, [this](auto& each) { return each.life != life_; });
    living_.clear();
    auto id = ++last_id_;
    waiting_[id] = {};
    step(claims::leave{}, id);
    for (auto rest = 1'000; rest > 0 && waiting_.contains(id); --rest)
      go_on_leaving();
    CHECK_FALSE(waiting_.contains(id));
    CHECK(it_->book().size() == 0);
    for (auto rest = 20; rest > 0; --rest)
      go_on_leaving();
    for (auto& each : names_.answer(names::list_claims{self}).claimed)
      CHECK(each.boot > it_->book().boot()); // of a later life
  }

private:
  void go_on_leaving() {
    switch (random_.below(6)) {
      case 0:
        return add_in_vain();
      case 1:
        return step(claims::bound{});
      case 2:
      case 3:
        return carry_out_any();
      case 4:
        if (auto* which = any_ask(); which != nullptr && which->answer)
          deliver(asks_.begin() + (which - asks_.data()));
        return;
      default:
        if (asks_.empty())
          pass(1s);
    }
  }

  void add_in_vain() {
    registry::record made;
    made.key = {agent_kind, all_names.at(random_.below(all_names.size())), self_id};
    waiting_[++last_id_] = made.key.name;
    step(claims::add{made, true}, last_id_);
    CHECK_FALSE(waiting_.contains(last_id_));
  }

  /// What others show, who have heard all that was said.
  using shown_records = std::map<registry::record_key, registry::record>;

  static shown_records shown_by(const registry::own_records& book) {
    shown_records made;
    for (auto& each : book.all())
      made.emplace(each.key, each);
    return made;
  }

  /// A question on its way.
  struct question {
    claims::ask what;
    std::uint64_t life = 0;
    std::optional<claims::event> answer{};
    /// The claims do not wait for it any more: the last number they had given by then.
    std::optional<request_id> ended{};
  };

  using questions = std::vector<question>;

  // -- the node ------------------------------------------------------------------------

  void begin_life() {
    ++life_;
    note("lives");
    boot_ = std::max(boot_, kept_boot_) + 1;
    while (past_.contains(boot_)) // claims of such a life would pass for its own
      ++boot_;
    kept_boot_ = boot_;
    cluster::claims_options how;
    how.is_fleeting = is_fleeting_;
    how.max_rises = 1'000'000;
    it_.emplace(self_id, boot_, how);
    said_.clear();
    living_.clear();
    waiting_.clear();
    asked_at_.clear();
    last_asked_ = 0;
    wished_.reset();
    registry::record node;
    node.key = {registry::record_kind::node, "one", self_id};
    step(claims::put{node});
    is_bound_wanted_ = true;
  }

  void step(claims::event what, request_id id = 0) {
    claims::effects out;
    it_->step(now_, id, std::move(what), out);
    perform(out);
  }

  void pass(duration span) {
    auto end = now_ + span;
    while (it_->next_deadline() && *it_->next_deadline() <= end) {
      now_ = std::max(now_, *it_->next_deadline());
      claims::effects out;
      it_->tick(now_, out);
      for (auto& each : asks_)
        if (each.life == life_ && !each.ended
            && asked_at_.at(each.what.id) + each.what.wait <= now_)
          each.ended = last_asked_;
      perform(out);
    }
    now_ = end;
  }

  void perform(claims::effects& out) {
    REQUIRE(it_->flaws() == std::vector<std::string>{});
    for (auto& each : out)
      troupe::visit([this](auto& what) { carry(what); }, each);
    for (auto& each : it_->book().all())
      if (each.token != 0 && !each.removed)
        REQUIRE(granted_.contains({each.key.name, each.token}));
  }

  void carry(claims::ask& what) {
    last_asked_ = what.id;
    asked_at_[what.id] = now_;
    if (auto* claim = std::get_if<names::claim>(&what.what))
      for (auto& each : asks_)
        if (auto* release = std::get_if<names::release>(&each.what.what);
            release != nullptr && each.life == life_ && !each.ended)
          for (auto& name : claim->names)
            REQUIRE(std::ranges::find(release->names, name) == release->names.end());
    if (auto* release = std::get_if<names::release>(&what.what))
      for (auto& name : release->names)
        REQUIRE_FALSE(has(name.text()));
    asks_.push_back({std::move(what), life_});
  }

  void carry(claims::done& what) {
    auto found = waiting_.find(what.id);
    REQUIRE(found != waiting_.end()); // one answer for each
    auto name = std::exchange(found->second, {});
    waiting_.erase(found);
    note(what.why ? "refused: " + std::string{name_of(what.why.code)} : "done");
    auto agent = living_.find(name);
    if (!what.why || agent == living_.end() || agent->second != what.id)
      return;
    living_.erase(agent);
    REQUIRE_FALSE(it_->book().find(agent_kind, name)); // nothing is left
    if (random_.one_in(2))
      step(claims::remove{without_node(name)}, what.id); // as who waited for it does
  }

  void carry(claims::lost_name& what) {
    note("lost names");
    auto agent = living_.find(what.name.text());
    REQUIRE(agent != living_.end());
    REQUIRE(agent->second == what.added);
    living_.erase(agent);
  }

  /// With rising versions, of the present boot.
  void carry(claims::says& what) {
    for (auto& each : what.what) {
      REQUIRE(each.boot == it_->book().boot());
      if (each.removed)
        REQUIRE(said_.erase(each.key) == 1);
      else
        said_[each.key] = each;
      registry::effects none;
      records_.step(now_, 1, registry::put_records{{each}}, none);
    }
  }

  void carry(claims::rise& what) {
    wished_ = what.boot;
  }

  void carry(claims::show& what) {
    auto& name = what.what.key.name;
    REQUIRE(living_.contains(name));
    REQUIRE((what.what.token != 0) == (name.find('@') == std::string::npos));
  }

  void carry(claims::hide&) {}
  void carry(claims::warn&) {}
  void carry(claims::complain&) {}
  void carry(claims::settle&) {}

  [[nodiscard]] bool has(const std::string& name) const {
    auto known = it_->book().find(agent_kind, name);
    return known && known->token != 0;
  }

  // -- its agents ----------------------------------------------------------------------

  static std::string without_node(const std::string& name) {
    return name.substr(0, name.find('@'));
  }

  void add() {
    auto is_claimed = !random_.one_in(4);
    std::string name
      = is_claimed ? all_names.at(random_.below(all_names.size())) : "x@" + self.text();
    if (living_.contains(name))
      return; // the router has it
    registry::record made;
    made.key = {agent_kind, name, self_id};
    auto id = ++last_id_;
    living_[name] = id;
    waiting_[id] = name;
    step(claims::add{made, is_claimed}, id);
  }

  void end_agent() {
    if (living_.empty())
      return;
    auto which
      = std::next(living_.begin(), static_cast<std::ptrdiff_t>(random_.below(living_.size())));
    auto name = which->first;
    living_.erase(which);
    step(claims::remove{without_node(name)});
  }

  /// Who waits for an agent does so no more. Another one may have its name by then.
  void give_up_add() {
    if (waiting_.empty())
      return;
    auto which
      = std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(random_.below(waiting_.size())));
    auto [id, name] = *which;
    if (name.empty())
      return; // not an agent
    if (auto agent = living_.find(name); agent != living_.end() && agent->second == id)
      living_.erase(agent);
    step(claims::remove{without_node(name)}, id);
  }

  void put() {
    registry::record made;
    made.key = {registry::record_kind::service, "s", self_id};
    made.load = static_cast<std::uint32_t>(random_.below(100));
    waiting_[++last_id_] = {};
    step(claims::put{made}, last_id_);
  }

  // -- the way to the services ---------------------------------------------------------

  question* any_ask() {
    return asks_.empty() ? nullptr : &asks_[random_.below(asks_.size())];
  }

  void carry_out_any() {
    if (auto* which = any_ask(); which != nullptr && !which->answer)
      carry_out(*which);
  }

  void carry_out(question& which) {
    which.answer = troupe::visit([this](auto& words) { return answer_to(words); }, which.what.what);
    if (which.life == life_) // drops what had ended before this was asked
      std::erase_if(
        asks_, [&, id = which.what.id](question& each) { return each.ended && *each.ended < id; });
  }

  void deliver_any() {
    if (asks_.empty())
      return;
    auto which = asks_.begin() + static_cast<std::ptrdiff_t>(random_.below(asks_.size()));
    if (!which->answer)
      return;
    if (random_.one_in(6))
      asks_.erase(which); // its answer is lost
    else
      deliver(which);
  }

  void deliver(questions::iterator which) {
    auto what = std::move(*which);
    asks_.erase(which);
    if (what.life == life_)
      step(std::move(*what.answer), what.what.id); // also if it is not waited for any more
  }

  void refuse_any() {
    constexpr std::array codes{errc::busy,          errc::no_quorum,       errc::unreachable,
                               errc::limit_reached, errc::session_expired, errc::outcome_unknown};
    auto* which = any_ask();
    if (which == nullptr || which->answer || which->ended || which->life != life_)
      return;
    auto code = codes.at(random_.below(codes.size()));
    auto id = which->what.id;
    problem why{code, "for the test"};
    std::optional<claims::event> answer;
    troupe::visit(
      [&]<class Words>(const Words&) {
        answer = claims::heard<typename Words::result>{result<typename Words::result>{why}};
      },
      which->what.what);
    if (code == errc::outcome_unknown && random_.one_in(2))
      which->ended = last_asked_; // it may yet be carried out
    else
      asks_.erase(asks_.begin() + (which - asks_.data()));
    step(std::move(*answer), id);
  }

  // -- the services --------------------------------------------------------------------

  template <class Words>
  claims::event answer_to(const Words& words) {
    using heard = claims::heard<typename Words::result>;
    if constexpr (std::is_same_v<Words, names::list_claims>) {
      return heard{names_.answer(words)};
    } else {
      names::effects out;
      names_.step(now_, 1, words, out);
      note_grants(out);
      if constexpr (std::is_same_v<Words, names::release>)
        for (auto& name : freed_by(out))
          if (words.boot == it_->book().boot()) // else a claim of a past life is freed
            REQUIRE_FALSE(has(name.text()));    // that of a living agent
      return event_of<Words>(out);
    }
  }

  template <class Words, class Effects>
  static claims::event event_of(const Effects& out) {
    using value = typename Words::result;
    for (auto& each : out) {
      if (auto* found = std::get_if<answered<value>>(&each))
        return claims::heard<value>{found->value};
      if (auto* why = std::get_if<refused>(&each))
        return claims::heard<value>{result<value>{why->why}};
    }
    FAIL("no answer");
    return claims::bound{};
  }

  static std::vector<agent_id> freed_by(const names::effects& out) {
    for (auto& each : out)
      if (auto* freed = std::get_if<names::released>(&each))
        return freed->value.names;
    return {};
  }

  void note_grants(const names::effects& out) {
    for (auto& each : out)
      if (auto* found = std::get_if<names::granted>(&each))
        for (auto& claim : found->value.claimed)
          if (claim.owner == self)
            granted_.insert({claim.name.text(), claim.token});
  }

  void forget_names() {
    names::effects none;
    names_.step(now_, 0, names::configure{{}, floor_ += 1'000, true}, none);
  }

  void forget_records() {
    records_ = {};
    registry::effects none;
    registry::registry_options how;
    how.retention = 1'000'000s;
    records_.step(now_, 0, registry::configure{how, revision_ += 1'000'000}, none);
    watched_ = 0;
  }

  void change_leader() {
    if (random_.one_in(2))
      return;
    note("leaders");
    if (random_.one_in(3))
      forget_names();
    is_bound_wanted_ = true;
    if (random_.one_in(2))
      step(claims::bound{});
  }

  void watch() {
    registry::watch_records next{watched_};
    for (auto more = true; more;) {
      auto news = records_.answer(next);
      for (auto& each : news.changes)
        follow(each);
      next = next.next(news);
      more = news.more || news.rest;
    }
    watched_ = next.after;
  }

  void follow(const registry::change& news) {
    auto& value = news.what.value;
    auto is_taken = news.kind == registry::change_kind::taken;
    if (value.key.kind == agent_kind && has(value.key.name)
        && (value.key.owner == self_id ? is_taken : registry::is_shown(news.kind)))
      step(claims::seen{value.key.name, value.key.owner, value.token, is_taken, "somebody"});
  }

  // -- later lives ---------------------------------------------------------------------

  void hear_of_later_life() {
    if (!random_.one_in(4))
      return;
    auto heard = it_->book().boot() + random_.below(3);
    if (random_.one_in(2))
      return step(claims::outlived{heard, random_.one_in(2)});
    names::effects out;
    if (heard > it_->book().boot() && past_.insert(heard).second)
      names_.step(now_, 1, names::claim{{all_names.at(random_.below(4))}, self, heard}, out);
  }

  /// Somebody has taken it for dead. It may hear of that.
  void be_given_up() {
    if (is_fleeting_ && random_.one_in(2)) {
      note("names freed");
      names::effects none;
      names_.step(now_, 1, names::owner_gone{self, it_->book().boot()}, none);
    }
    if (random_.one_in(2))
      step(claims::given_up{});
  }

  void keep_boot() {
    if (auto wish = std::exchange(wished_, std::nullopt)) {
      note("boots");
      kept_boot_ = std::max(kept_boot_, *wish);
      while (past_.contains(kept_boot_))
        ++kept_boot_;
      step(claims::risen{kept_boot_});
    }
  }

  // -- the other node ------------------------------------------------------------------

  void put_as_rival(const registry::record& what) {
    registry::effects none;
    records_.step(now_, 1, registry::put_records{{what}}, none);
  }

  /// Whether it gets the name, or has it still.
  bool claim_as_rival(const std::string& name) {
    names::effects out;
    names_.step(now_, 1, names::claim{{name}, rival, 1}, out);
    auto* found = std::get_if<names::granted>(&out.front());
    if (found == nullptr)
      return false;
    registry::record made;
    made.key = {agent_kind, name, rival_id};
    made.token = found->value.claimed.front().token;
    put_as_rival(rivals_.put(made));
    return true;
  }

  void act_as_rival() {
    std::string name = all_names.at(random_.below(all_names.size()));
    if (!rivals_.find(agent_kind, name))
      claim_as_rival(name);
    else if (random_.one_in(2))
      give_back_as_rival(name);
  }

  void give_back_as_rival(const std::string& name) {
    names::effects out;
    names_.step(now_, 1, names::release{{name}, rival, 1}, out);
    if (auto gone = rivals_.remove(agent_kind, name))
      put_as_rival(*gone);
  }

  void settle_rival() {
    for (auto& each : rivals_.all())
      if (!claim_as_rival(each.key.name))
        give_back_as_rival(each.key.name);
  }

  void note(const std::string& what) {
    ++counts_.seen[what];
  }

  test::random_source random_;
  tally& counts_;
  time_point now_{1h};

  std::optional<claims> it_;
  std::uint64_t life_ = 0;
  boot_number boot_ = 0;
  boot_number kept_boot_ = 0;
  /// Lives that others have heard of.
  std::set<boot_number> past_;
  std::optional<boot_number> wished_;
  request_id last_id_ = 0;
  /// What the router has, each with who has added it.
  std::map<std::string, request_id> living_;
  /// Who waits for an answer, with the name of the agent.
  std::map<request_id, std::string> waiting_;

  bool is_fleeting_ = false;
  shown_records said_;

  questions asks_;
  std::map<request_id, time_point> asked_at_;
  request_id last_asked_ = 0;
  bool is_bound_wanted_ = false;

  registry::name_table names_;
  std::uint64_t floor_ = 0;
  registry::record_table records_;
  std::uint64_t revision_ = 0;
  std::uint64_t watched_ = 0;
  std::set<std::pair<std::string, std::uint64_t>> granted_;
  registry::own_records rivals_{rival_id, 1};
};

} // namespace

TEST_CASE("a node that has left has no name, whatever was under way", "[node][names][property]") {
  tally counts;
  test::for_each_seed(1'000, [&](test::random_source random) {
    world it{random, counts};
    for (auto left = 60; left > 0; --left)
      it.anything();
    it.leave();
  });
}

TEST_CASE("after all faults the cluster knows what a node says, and no agent has lost its name",
          "[node][names][registry][property]") {
  tally counts;
  test::for_each_seed(2'000, [&](test::random_source random) {
    world it{random, counts};
    for (auto left = 300; left > 0; --left)
      it.anything();
    it.settle();
    it.check_agreement();
  });
  if (test::given_seed())
    return;
  for (auto* each : {"done", "lost names", "boots", "leaders", "names freed", "refused: withdrawn",
                     "refused: name_taken", "refused: timed_out", "refused: in_use"}) {
    INFO(each);
    CHECK(counts.seen[each] > 10);
  }
}

} // namespace claims_property
