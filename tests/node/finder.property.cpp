#include "troupe/cluster/finder.hpp" // the header under test
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/seeds.hpp"

namespace finder_property {

using namespace std::literals;
using namespace troupe;
using cluster::finder;
using cluster::whereabouts;
using net::address;

namespace {

constexpr std::size_t node_count = 5;
constexpr std::size_t nobody = node_count;
/// How long after the last fault the services are bound at the latest.
constexpr duration settled_within = 40s;

address address_of(std::size_t node) {
  return {"n" + std::to_string(node), 1};
}

/// Five nodes, of which one leads or none does. They hear of a change of the leader one after the
/// other; the leader before them all, so that no two say that they lead. Nodes hang, die and come
/// back, or cannot be reached; messages of the finder and its dials are lost, late, or come twice.
/// The finder is a client's, or node 0's, which votes.
class searched_world {
public:
  searched_world(random_source random, bool is_member)
    : random_(random), is_member_(is_member), it_(options(), random_.next(), now_) {
    for (std::size_t node = 0; node < node_count; ++node)
      nodes_[node].is_up = true;
  }

  void run() {
    step(finder::seated{is_member_});
    step(finder::start{is_member_ ? std::optional{address_of(0)} : std::nullopt});
    for (auto round = 0; round < 100; ++round) {
      act();
      pass(std::chrono::milliseconds{random_.below(1'500)});
    }
    heal();
    // The leader is out of reach of this process alone, for good.
    if (auto is_cut = random_.below(2) == 0; is_cut && !(is_member_ && leader_ == 0))
      nodes_[leader_].is_cut = true;
    pass(settled_within);
    INFO("leader " << leader_ << ", bound to " << (bound_ ? bound_->link : 0));
    CHECK_FALSE(quorum_);
    if (is_member_ && leader_ == 0) {
      CHECK(is_here_);
      return;
    }
    CHECK(pointed_ == std::optional{address_of(leader_)});
    CHECK(it_.leaders().leader() == to_string(address_of(leader_)));
    REQUIRE(bound_.has_value());
    CHECK(bound_->where == address_of(leader_));
    CHECK(bound_->handles.at(cluster::names_name) == term_ * 100);
    CHECK(links_.contains(bound_->link));
    // It stays so.
    bind_count_ = 0;
    pass(settled_within);
    CHECK(bind_count_ == 0);
  }

private:
  struct belief {
    std::size_t leader = nobody;
    std::uint64_t term = 0;
  };

  struct held_question {
    finder::ask what;
    time_point until{};
  };

  struct simulated {
    bool is_up = false;
    bool hangs = false;
    /// Nothing gets through, and no link ends for that.
    bool is_cut = false;
    belief knows{};
    std::uint64_t revision = 1;
    std::vector<held_question> held{};
  };

  [[nodiscard]] cluster::finder_options options() {
    cluster::finder_options made;
    for (std::size_t node = is_member_ ? 1 : 0; node < node_count; ++node)
      if (made.addresses.empty() || random_.below(2) == 0)
        made.addresses.push_back(address_of(node));
    made.has_guide = !is_member_;
    if (!is_member_) {
      made.idle_after = 10s;
      made.check_every = 250ms;
      made.check_at_rest = 2s;
      made.guide_after = 2s;
    }
    made.dial_within = 20s;
    return made;
  }

  // -- time --------------------------------------------------------------------------------

  void later(duration span, std::function<void()> what) {
    agenda_.emplace(now_ + span, std::move(what));
  }

  duration some(duration most) {
    return duration{
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.count()) + 1))};
  }

  void pass(duration span) {
    auto until = now_ + span;
    for (std::size_t count = 0;; ++count) {
      REQUIRE(count < 100'000); // it does not run wild
      auto due = it_.next_deadline();
      auto next = std::min(due.value_or(until), until);
      if (!agenda_.empty() && agenda_.begin()->first <= next) {
        auto job = agenda_.extract(agenda_.begin());
        now_ = std::max(now_, job.key());
        job.mapped()();
      } else if (due && *due <= until) {
        now_ = std::max(now_, *due);
        finder::effects out;
        it_.tick(now_, out);
        look_at(out);
      } else {
        break;
      }
    }
    now_ = until;
  }

  // -- faults ------------------------------------------------------------------------------

  void act() {
    auto which = random_.below(node_count);
    auto& it = nodes_[which];
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
        return elect(random_.below(4) == 0 ? nobody : which);
      case 3:
        return kill(which);
      case 4:
      case 5:
        if (!it.is_up)
          it = {.is_up = true, .knows = it.knows, .revision = 1};
        return;
      case 6:
        it.hangs = !it.hangs;
        return;
      case 7:
        it.is_cut = !it.is_cut;
        return;
      case 8:
        return break_links(which);
      case 9:
        return step(finder::doubt{bound_ && random_.below(2) == 0 ? bound_->link : 0});
      case 10:
        if (is_member_) {
          step(finder::seat_says{random_.below(2) == 0 ? problem{}
                                                       : problem{errc::no_quorum, "by its seat"}});
          step(finder::present{random_.below(4), 3});
        }
        return step(finder::learned{{to_string(address_of(which)), "nonsense"}});
      default:
        loses_ = !loses_;
    }
  }

  void kill(std::size_t which) {
    if (is_member_ && which == 0)
      return;
    if (leader_ == which)
      elect(nobody);
    nodes_[which].is_up = false;
    nodes_[which].held.clear();
    break_links(which);
  }

  void break_links(std::size_t which) {
    for (auto each = links_.begin(); each != links_.end();) {
      auto [link, node] = *each++;
      auto by = relayed_by_.find(link);
      if (node != which && (by == relayed_by_.end() || by->second != which))
        continue;
      links_.erase(link);
      later(some(300ms), [this, link] {
        down_.insert(link);
        step(finder::link_down{link});
      });
    }
  }

  void heal() {
    loses_ = false;
    is_calm_ = true;
    if (is_member_)
      step(finder::seat_says{});
    for (std::size_t which = 0; which < node_count; ++which) {
      auto& it = nodes_[which];
      it.is_up = true;
      it.hangs = it.is_cut = false;
    }
    if (leader_ == nobody || random_.below(2) == 0)
      elect(random_.below(node_count));
    else
      for (std::size_t which = 0; which < node_count; ++which)
        later(some(1s), [this, which] { hear(which, {leader_, term_}); });
  }

  // -- who leads ---------------------------------------------------------------------------

  void elect(std::size_t which) {
    if (which != nobody && (!nodes_[which].is_up || nodes_[which].hangs))
      return;
    auto before = std::exchange(leader_, which);
    ++term_;
    belief news{leader_, term_};
    if (before != nobody)
      hear(before, news);
    for (std::size_t each = 0; each < node_count; ++each)
      if (each == leader_)
        hear(each, news);
      else if (random_.below(5) != 0 || is_calm_)
        later(some(1s), [this, each, news] { hear(each, news); });
  }

  void hear(std::size_t which, const belief& news) {
    auto& it = nodes_[which];
    if (!it.is_up || news.term < it.knows.term)
      return;
    if (news.term == it.knows.term && news.leader == it.knows.leader)
      return;
    it.knows = news;
    ++it.revision;
    for (auto& each : std::exchange(it.held, {}))
      reply(which, each.what);
    if (is_member_ && which == 0)
      tell_member(news);
  }

  void tell_member(const belief& news) {
    if (news.leader == 0)
      return step(finder::lead{news.term});
    auto where = news.leader == nobody ? std::nullopt : std::optional{address_of(news.leader)};
    if (where)
      heard_term_ = std::max(heard_term_, news.term);
    step(finder::follow{news.term, where});
  }

  // -- the network -------------------------------------------------------------------------

  bool is_lost() {
    return loses_ && random_.below(4) == 0;
  }

  duration delay() {
    return loses_ && random_.below(4) == 0 ? some(4s) : some(20ms);
  }

  void connect(request_id id, std::size_t which) {
    auto& it = nodes_[which];
    if (it.is_cut || it.hangs || is_lost()) {
      if (random_.below(2) == 0) // else nobody answers
        later(5s, [this, id] {
          step(finder::dialled{problem{errc::unreachable, "gave no greeting"}}, id);
        });
      return;
    }
    if (!it.is_up)
      return step(finder::dialled{problem{errc::unreachable, "is closed"}}, id);
    auto known = std::ranges::find_if(links_, [&](auto& each) { return each.second == which; });
    auto link = known != links_.end() ? known->first : ++last_link_;
    links_[link] = which;
    step(finder::dialled{link, relayed_by_.contains(link)}, id);
  }

  /// The relay answers whoever it can relay to, or that it cannot.
  void connect_through(const finder::dial& what) {
    auto by = static_cast<std::size_t>(what.through->host.back() - '0');
    auto to = static_cast<std::size_t>(what.where.host.back() - '0');
    CHECK(by != to);
    auto& relay = nodes_[by];
    auto& it = nodes_[to];
    auto reaches = relay.is_up && !relay.hangs && !relay.is_cut && it.is_up && !it.hangs
                   && relay.knows.leader == to;
    if (!reaches || is_lost())
      return later(some(4s), [this, id = what.id] {
        step(finder::dialled{problem{errc::unreachable, "relays nothing"}}, id);
      });
    auto link = ++last_link_;
    links_[link] = to;
    relayed_by_[link] = by;
    step(finder::dialled{link, true}, what.id);
  }

  [[nodiscard]] bool passes(net::connection_id link) const {
    auto by = relayed_by_.find(link);
    auto& end = nodes_.at(links_.at(link));
    return by == relayed_by_.end() ? !end.is_cut : !nodes_.at(by->second).is_cut;
  }

  void ask(const finder::ask& what) {
    auto to = links_.find(what.link);
    if (to == links_.end() || is_lost())
      return;
    auto& it = nodes_[to->second];
    if (!it.is_up || it.hangs || !passes(what.link))
      return;
    if (what.wait <= duration::zero() || what.known != it.revision)
      return reply(to->second, what);
    if (it.held.size() >= 5)
      return say(what, problem{errc::busy, "too many wait here"});
    it.held.push_back({what, now_ + what.wait});
    later(what.wait, [this, which = to->second, id = what.id] {
      auto& held = nodes_[which].held;
      auto found = std::ranges::find_if(held, [&](auto& each) { return each.what.id == id; });
      if (found == held.end())
        return;
      auto question = found->what;
      held.erase(found);
      reply(which, question);
    });
  }

  void reply(std::size_t which, const finder::ask& what) {
    auto& it = nodes_[which];
    if (it.hangs || !links_.contains(what.link) || !passes(what.link) || is_lost())
      return;
    whereabouts said{.revision = it.revision};
    if (it.knows.leader == which) {
      said.handle = it.knows.term * 100;
      auto handle = said.handle;
      for (auto& each : cluster::cluster_services)
        said.all[each] = handle++;
      said.all[cluster::voters_name] = handle;
    } else if (it.knows.leader != nobody) {
      said.address = to_string(address_of(it.knows.leader));
    } else {
      said.why = {errc::no_quorum, "nobody leads"};
    }
    for (std::size_t each = 0; each < node_count; ++each)
      said.others.push_back(to_string(address_of(each)));
    say(what, said);
  }

  void say(const finder::ask& what, const result<whereabouts>& said) {
    auto times = loses_ && random_.below(5) == 0 ? 2 : 1;
    for (auto count = 0; count < times; ++count)
      later(delay(), [this, what, said] {
        if (links_.contains(what.link))
          step(finder::heard{said}, what.id);
      });
  }

  // -- the finder --------------------------------------------------------------------------

  void step(finder::event what, request_id id = 0) {
    finder::effects out;
    it_.step(now_, id, std::move(what), out);
    look_at(out);
  }

  void look_at(finder::effects& out) {
    for (auto& each : it_.flaws())
      FAIL_CHECK(each);
    for (auto& each : out)
      troupe::visit([this](auto& what) { perform(what); }, each);
  }

  void perform(const finder::dial& what) {
    if (what.through)
      return later(delay(), [this, what] { connect_through(what); });
    auto which = static_cast<std::size_t>(what.where.host.back() - '0');
    if (random_.below(2) == 0)
      later({}, [this, id = what.id] { step(finder::resolved{}, id); });
    later(delay(), [this, which, id = what.id] { connect(id, which); });
  }

  void perform(const finder::ask& what) {
    CHECK(what.within > what.wait);
    asked_[what.id] = what.link;
    CHECK_FALSE(down_.contains(what.link));
    later(delay(), [this, what] { ask(what); });
  }

  void perform(const finder::bind& what) {
    CHECK_FALSE(down_.contains(what.how.link));
    auto term = what.how.handles.at(cluster::names_name) / 100;
    CHECK(term >= heard_term_); // no word of an earlier leader
    heard_term_ = term;
    CHECK(pointed_ == what.how.where);
    CHECK(relays_ != relayed_by_.contains(what.how.link));
    bound_ = what.how;
    is_here_ = false;
    ++bind_count_;
  }

  void perform(const finder::bind_here& what) {
    CHECK(what.turn >= heard_term_);
    heard_term_ = what.turn;
    CHECK(leader_ == 0);
    bound_.reset();
    pointed_.reset();
    is_here_ = true;
  }

  void perform(const finder::unbind&) {
    CHECK((bound_ || is_here_));
    bound_.reset();
    is_here_ = false;
  }

  void perform(const finder::met& what) {
    CHECK_FALSE(down_.contains(what.link));
    CHECK(contact_ == 0);
    contact_ = what.link;
  }

  void perform(const finder::parted&) {
    CHECK(contact_ != 0);
    contact_ = 0;
  }

  void perform(const finder::point& what) {
    CHECK_FALSE(is_here_);
    CHECK(what.where != std::optional{address_of(is_member_ ? 0 : nobody)});
    pointed_ = what.where;
    relays_ = what.relays;
  }

  void perform(const finder::close& what) {
    CHECK((!bound_ || bound_->link != what.link));
    CHECK((bound_ || is_here_ || contact_ != what.link));
    auto found = links_.find(what.link);
    if (found == links_.end() || random_.below(3) == 0)
      return; // a program uses it
    links_.erase(found);
    later(some(300ms), [this, link = what.link] {
      down_.insert(link);
      step(finder::link_down{link});
    });
  }

  void perform(const finder::without_quorum& what) {
    CHECK(what.why != quorum_);
    CHECK((!what.why || is_member_ || (!bound_ && !is_here_)));
    quorum_ = what.why;
  }

  void perform(const finder::failed&) {}
  void perform(const finder::settled&) {}

  void perform(const finder::refused&) {
    FAIL_CHECK("nobody refuses");
  }

  random_source random_;
  bool is_member_;
  time_point now_{1h};
  finder it_;
  std::multimap<time_point, std::function<void()>> agenda_;
  std::map<std::size_t, simulated> nodes_;
  std::size_t leader_ = nobody;
  std::uint64_t term_ = 0;
  bool loses_ = false;
  bool is_calm_ = false;

  /// Those that are up, with the node at the other end; and those that the finder was told of as
  /// ended.
  std::map<net::connection_id, std::size_t> links_;
  std::set<net::connection_id> down_;
  net::connection_id last_link_ = 0;
  /// The nodes that links lead through.
  std::map<net::connection_id, std::size_t> relayed_by_;
  std::map<request_id, net::connection_id> asked_;

  std::optional<cluster::finder_binding> bound_;
  bool is_here_ = false;
  std::size_t bind_count_ = 0;
  /// Whom those that ask this node are told, who answers, and why nobody leads.
  std::optional<address> pointed_;
  bool relays_ = false;
  net::connection_id contact_ = 0;
  problem quorum_;
  /// The highest term that was bound, or that the finder was told to follow.
  std::uint64_t heard_term_ = 0;
};

} // namespace

TEST_CASE("a client comes to be bound to the node that leads, and never to an earlier one",
          "[node][finder][property]") {
  test::for_each_seed(test::simulated_worlds, [](random_source random) {
    searched_world{random, false}.run();
  });
}

TEST_CASE("a member comes to be bound to the node that leads, and never to an earlier one",
          "[node][finder][property]") {
  test::for_each_seed(test::simulated_worlds, [](random_source random) {
    searched_world{random, true}.run();
  });
}

} // namespace finder_property
