#include "node/seats_fixture.hpp" // first of all the header under test

#include "support/seeds.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>

#include "troupe/core/visit.hpp"

namespace seats_property {

using namespace seats_fixture;

namespace {

/// Node n1 and five others whose links come and go, whose disks forget, which are behind or silent
/// at times; a group that answers late and in any order, that others lead at times and change; and
/// people who want this and that. It checks each effect.
class shared_group {
public:
  explicit shared_group(random_source random)
    : random_(random),
      replace_after_(random_.below(3) * 500ms),
      it_("n1"_node, raft::member_id{1}, {.replace_after = replace_after_}, 1) {
    for (std::uint64_t number = 1; number <= 6; ++number)
      nodes_["n" + std::to_string(number)].seat = number;
    group_.self = raft::member_id{1};
    group_.last = group_.commit = 1'000;
    group_.members.members[group_.self] = {true, contact_of("n1")};
    commit();
  }

  void run() {
    for (auto round = 0; round < 300; ++round) {
      act();
      while (!todo_.empty() && random_.below(3) != 0)
        answer_one(random_.below(todo_.size()));
      pass(duration{std::chrono::milliseconds{random_.below(400)}});
    }
    settle();
  }

private:
  struct other {
    std::uint64_t seat = 0;
    bool is_linked = false;
    raft::log_index lag = 0;
    bool is_silent = false;
    /// It has said to node n1, which has led since, that it leaves.
    bool has_left = false;
    /// The members show it, and when it was there last.
    bool is_shown = false;
    time_point seen{};
    /// Somebody has wanted that, at some time.
    bool is_wished_away = false;
  };

  other& any_other(std::string& name) {
    name = "n" + std::to_string(2 + random_.below(5));
    return nodes_.at(name);
  }

  // -- what happens ----------------------------------------------------------------------------

  void act() {
    std::string name;
    auto& it = any_other(name);
    switch (random_.below(19)) {
      case 18:
        return revoke(name, it);
      case 16:
      case 17:
        return show(name, it, random_.below(2) == 0);
      case 0:
      case 1:
      case 2:
        return link(name, it);
      case 3:
        see(it);
        it.is_linked = false;
        return step(seats::link_down{test::node_named(name)});
      case 4:
        it.lag = random_.below(3) == 0 ? 500 : 0;
        it.is_silent = random_.below(4) == 0;
        return;
      case 5:
        lost_.insert(raft::member_id{it.seat});
        return step(seats::forgot{raft::member_id{it.seat}});
      case 6:
        it.has_left = leads_;
        it.is_wished_away = true;
        return step(seats::node_left{test::node_named(name)});
      case 7:
        return step(seats::wants_peer{contact_of(name)});
      case 8: { // its own seat is void, somebody says
        auto id = begin();
        return step(seats::exchanged{{test::node_named(name), raft::member_id{it.seat}},
                                     raft::member_id{1 + random_.below(2)},
                                     it.is_linked && random_.below(2) == 0 ? test::node_named(name)
                                                                           : node_id{},
                                     group_.self,
                                     group_.leader},
                    id);
      }
      case 9:
        return change_lead();
      case 10:
        if (group_.now != raft::role::leader) // another one changes the members
          return change_members(it);
        return;
      case 11:
        return step(seats::hand_over{}, begin());
      default:
        return ask(name);
    }
  }

  void show(const std::string& name, other& it, bool is_there) {
    if (name == revoked_ && is_there)
      return;
    see(it);
    it.is_shown = is_there;
    see(it);
    step(seats::member_shows{test::node_named(name), is_there});
  }

  /// One that does not come back once its link has ended.
  void revoke(const std::string& name, other& it) {
    if (!revoked_.empty())
      return;
    it.is_wished_away = true;
    revoked_ = name;
    step(seats::revoked{{test::node_named(name)}});
  }

  void see(other& it) const {
    if (it.is_linked || it.is_shown)
      it.seen = now_;
  }

  void link(const std::string& name, other& it) {
    if (name == revoked_)
      return;
    it.is_linked = true;
    see(it);
    step(seats::node_is{test::node_named(name), name_of(name), address_of(name)});
    step(seats::link_up{test::node_named(name)});
  }

  void ask(const std::string& name) {
    cluster::change_voters what{static_cast<voter_change>(random_.below(4)), id_of(name),
                                random_.below(4) == 0};
    if (what.what == voter_change::remove || what.what == voter_change::leave)
      nodes_.at(name).is_wished_away = true;
    step(seats::change{what}, begin(what));
  }

  request_id begin(const cluster::change_voters& what = {}) {
    open_[++last_asker_] = what;
    return last_asker_;
  }

  void change_lead() {
    auto voters = group_.members.voters();
    auto who
      = *std::next(voters.begin(), static_cast<std::ptrdiff_t>(random_.below(voters.size())));
    lead(random_.below(4) == 0 ? raft::member_id{} : who);
  }

  void lead(raft::member_id who) {
    ++group_.term;
    group_.leader = who;
    group_.now = who == group_.self ? raft::role::leader : raft::role::follower;
    step(seats::changed_role{group_.now, group_.term, who, "so it is"});
  }

  void change_members(const other& it) {
    auto seat = raft::member_id{it.seat};
    auto found = group_.members.members.find(seat);
    if (found == group_.members.members.end()) {
      if (!has_seat(it))
        group_.members.members[seat] = {false, contact_of(node_of_seat(seat))};
    } else if (!found->second.votes) {
      found->second.votes = true;
    } else if (group_.members.voters().size() > 1) {
      group_.members.members.erase(found);
    }
    commit();
  }

  [[nodiscard]] bool has_seat(const other& it) const {
    return std::ranges::any_of(group_.members.members, [&](auto& each) {
      return cluster::to_seat_contact(each.second.contact).node
             == test::node_named(node_of_seat(raft::member_id{it.seat}));
    });
  }

  /// The second seat of node n2 is 12, and so on.
  static std::string node_of_seat(raft::member_id seat) {
    return "n" + std::to_string(seat.value % 10);
  }

  // -- the answers of the group ------------------------------------------------------------------

  raft::replica_types::status status() {
    group_.others.clear();
    if (group_.now == raft::role::leader)
      for (auto& [seat, who] : group_.members.members)
        if (seat != group_.self) {
          auto& it = nodes_.at(node_of_seat(seat));
          group_.others.push_back({seat, who, group_.last - it.lag,
                                   it.is_silent ? duration{5s} : duration{10ms}, false, true});
        }
    return group_;
  }

  void answer_one(std::size_t which) {
    auto what = std::move(todo_[which]);
    todo_.erase(todo_.begin() + static_cast<std::ptrdiff_t>(which));
    if (auto* asked = std::get_if<seats::look>(&what)) {
      auto now = status();
      if (asked->id == last_look_)
        shown_ = now;
      return step(seats::seen{now, {}, "h1:1"}, asked->id);
    }
    if (auto* asked = std::get_if<seats::renew>(&what)) {
      if (random_.below(3) == 0)
        return step(seats::renewed{{errc::storage_full, "no room"}, status()}, asked->id);
      group_.self = raft::member_id{group_.self.value + 10};
      nodes_.at("n1").seat = group_.self.value;
      lead({});
      return step(seats::renewed{{}, status()}, asked->id);
    }
    if (auto* asked = std::get_if<seats::greet>(&what)) {
      auto& it = nodes_.at(test::name_of(asked->node));
      if (asked->forgotten == raft::member_id{it.seat})
        it.seat += 10;
      if (is_prompt_ || random_.below(4) != 0)
        step(seats::greeted{{asked->node, raft::member_id{it.seat}}}, asked->id);
      return;
    }
    auto& asked = std::get<seats::propose>(what);
    auto is_change = !std::holds_alternative<raft::replica_types::transfer>(asked.what);
    open_changes_ -= is_change ? 1 : 0;
    auto why = answer_to(asked.what);
    if (!why && is_change)
      commit();
    step(seats::answered{std::move(why)}, asked.id);
  }

  problem answer_to(const change_of_members& what) {
    using types = raft::replica_types;
    if (group_.now != raft::role::leader)
      return {errc::not_leader, "another one leads"};
    if (random_.below(8) == 0)
      return {errc::busy, "a change is under way"};
    if (auto* over = std::get_if<types::transfer>(&what)) {
      if (group_.members.votes(over->to) && random_.below(2) == 0)
        lead(over->to);
      return {};
    }
    return troupe::visit(
      [this]<class Change>(const Change& each) -> problem {
        if constexpr (requires { raft::detail::changed(group_.members, each); }) {
          auto next = raft::detail::changed(group_.members, each);
          if (!next)
            return next.error();
          group_.members = *next;
          group_.members_for = duration::zero();
          return {};
        } else {
          FAIL("no change of members");
          return {};
        }
      },
      what);
  }

  void commit() {
    step(seats::members_are{group_.members, status()});
  }

  // -- what is checked -------------------------------------------------------------------------

  void step(seats::event what, request_id id = 0) {
    seats::effects out;
    it_.step(now_, id, std::move(what), out);
    look_at(out);
  }

  void pass(duration span) {
    auto until = now_ + span;
    for (auto due = it_.next_deadline(); due && *due <= until; due = it_.next_deadline()) {
      now_ = std::max(now_, *due);
      seats::effects out;
      it_.tick(now_, out);
      look_at(out);
      if (is_prompt_)
        answer_all();
    }
    now_ = until;
  }

  void answer_all() {
    while (!todo_.empty())
      answer_one(0);
  }

  void look_at(seats::effects& out) {
    auto flaws = it_.flaws();
    for (auto& each : flaws)
      FAIL_CHECK(each);
    for (auto& each : out) {
      if (auto* asked = std::get_if<seats::look>(&each)) {
        last_look_ = asked->id;
        todo_.emplace_back(*asked);
      } else if (auto* change = std::get_if<seats::propose>(&each)) {
        check(change->what);
        todo_.emplace_back(*change);
      } else if (auto* seat = std::get_if<seats::renew>(&each)) {
        CHECK(seat->lost == group_.self);
        todo_.emplace_back(*seat);
      } else if (auto* greeting = std::get_if<seats::greet>(&each)) {
        CHECK(nodes_.at(test::name_of(greeting->node)).is_linked);
        todo_.emplace_back(*greeting);
      } else if (auto* card = std::get_if<seats::show_card>(&each)) {
        ended(card->id);
      } else if (auto* refused = std::get_if<seats::refuse>(&each)) {
        CHECK(refused->why);
        ended(refused->id);
      } else if (auto* made = std::get_if<seats::made>(&each)) {
        ended(made->id);
      } else if (auto* over = std::get_if<seats::handed_over>(&each)) {
        ended(over->id);
      } else if (auto* turn = std::get_if<seats::lead>(&each)) {
        CHECK(turn->turn > turn_);
        turn_ = turn->turn;
        leads_ = true;
        led_since_ = now_;
        promoted_ = 0;
      } else if (auto* other_turn = std::get_if<seats::follow>(&each)) {
        CHECK(other_turn->turn > turn_);
        turn_ = other_turn->turn;
        leads_ = false;
        for (auto& [name, it] : nodes_)
          it.has_left = false;
      }
    }
  }

  void ended(request_id id) {
    INFO("request " << id);
    REQUIRE(open_.erase(id) == 1); // once
  }

  void check(const change_of_members& what) {
    using types = raft::replica_types;
    INFO(to_words(what));
    // The group may have another leader by now, but this node was told so then.
    if (std::holds_alternative<types::transfer>(what))
      return;
    CHECK(++open_changes_ == 1);
    CHECK(shown_.now == raft::role::leader);
    if (auto* vote = std::get_if<types::promote>(&what)) {
      auto who
        = std::ranges::find(shown_.others, vote->seat, &raft::replica_types::member_status::seat);
      REQUIRE(who != shown_.others.end());
      CHECK(who->match + 100 >= shown_.last);
      CHECK(who->silent_for < 1s);
      CHECK(node_of_seat(vote->seat) != revoked_);
      ++promoted_;
    }
    if (auto* learner = std::get_if<types::add_learner>(&what))
      CHECK(node_of_seat(learner->seat) != revoked_);
    if (auto* goes = std::get_if<types::remove>(&what); goes && shown_.members.votes(goes->seat)
                                                        && !is_void(goes->seat)
                                                        && !is_forced(goes->seat)) {
      auto voters = shown_.members.voters().size();
      CHECK(losses_of(voters - 1) >= std::min(losses_of(voters), losses_of(3)));
      if (!is_wished_away(goes->seat))
        check_loss(nodes_.at(node_of_seat(goes->seat)));
    }
  }

  /// Nobody wants it away: it is gone for long, or has come back after another one had its place.
  void check_loss(const other& it) {
    CHECK(replace_after_ > duration::zero());
    CHECK(now_ - led_since_ >= replace_after_);
    auto is_gone = !it.is_linked && !it.is_shown;
    CHECK((is_gone ? now_ - it.seen >= replace_after_ : promoted_ > 0));
    --promoted_;
  }

  [[nodiscard]] bool is_wished_away(raft::member_id seat) const {
    auto node = node_of_seat(seat);
    return nodes_.at(node).is_wished_away || shown_.members.kept_out.contains(id_of(node));
  }

  /// So many of the voters may be lost.
  static std::size_t losses_of(std::size_t voters) {
    return (voters - 1) / 2;
  }

  /// Whether its vote is worth nothing.
  [[nodiscard]] bool is_void(raft::member_id seat) const {
    return lost_.contains(seat) || nodes_.at(node_of_seat(seat)).seat != seat.value;
  }

  /// By the log, as it has left, or by the last who asks for a change of its node.
  [[nodiscard]] bool is_forced(raft::member_id seat) const {
    auto node = node_of_seat(seat);
    auto is_by_asker = false;
    for (auto& [id, asked] : open_)
      if (asked.node == id_of(node) && asked.what != voter_change::lead)
        is_by_asker = asked.what == voter_change::leave && asked.force;
    return is_by_asker || node == revoked_ || nodes_.at(node).has_left
           || shown_.members.forced_out.contains(id_of(node));
  }

  /// All is well from here on: who waits is answered, and as many vote as are wanted.
  void settle() {
    is_prompt_ = true;
    for (auto& [name, it] : nodes_) {
      it.lag = 0;
      it.is_silent = false;
    }
    for (auto time = 0; time < 2; ++time) {
      group_.members.members.try_emplace(group_.self, raft::member{false, contact_of("n1")});
      group_.members.members.at(group_.self).votes = true;
      group_.members.kept_out.clear();
      group_.members.forced_out.clear();
      commit();
      for (auto& [name, it] : nodes_)
        if (name != "n1") {
          step(seats::link_down{test::node_named(name)}); // who was to leave may come back
          link(name, it);
        }
      answer_all();
      lead(group_.self);
      pass(1min);
    }
    CHECK(open_.empty());
    auto voters = group_.members.voters();
    CHECK(voters.size() >= 3);
    for (auto each : voters)
      CHECK(each.value
            == (each == group_.self ? group_.self.value : nodes_.at(node_of_seat(each)).seat));
    for (auto& [seat, who] : group_.members.members)
      CHECK(node_of_seat(seat) != revoked_);
  }

  random_source random_;
  duration replace_after_;
  seats it_;
  time_point now_{1h};
  std::map<std::string, other> nodes_;
  raft::replica_types::status group_;
  raft::replica_types::status shown_; // by the last answer that counted
  request_id last_look_ = 0;
  std::deque<std::variant<seats::look, seats::propose, seats::renew, seats::greet>> todo_;
  int open_changes_ = 0;
  std::map<request_id, cluster::change_voters> open_;
  std::set<raft::member_id> lost_; // seats that have forgotten
  request_id last_asker_ = 0;
  std::uint64_t turn_ = 0;
  bool leads_ = false; // by what it has said last
  time_point led_since_{};
  int promoted_ = 0; // since then
  bool is_prompt_ = false;
  std::string revoked_; // none: empty
};

} // namespace

TEST_CASE("a group changes one member at a time, answers each who asks once, and comes to have its "
          "voters",
          "[node][seats][property]") {
  test::for_each_seed(test::simulated_worlds,
                      [](random_source random) { shared_group{random}.run(); });
}

} // namespace seats_property
