// A founder whose folder is from before others voted, and others that start at the same time.

#include "troupe/raft/replica.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "support/seeds.hpp"
#include "troupe/sim/world/raft_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace put_back_test {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

/// Three replicas, and an operator who has each that leads take the others in, as nodes do.
class cluster {
public:
  explicit cluster(std::uint64_t seed) : world_(seed, 3, {}) {
    auto& watch = world_.setting();
    watch.max_first_step = raft::max_first_step;
    watch.applied = [this](auto who, auto& line, auto& state) { applied(who, line, state); };
    watch.stepped = [this](auto who, auto&, auto& effects) { note(who, effects); };
    world_.start(founder);
    world_.at(founder)->step(1, raft::replica::found_group{"0"});
    world_.arm(founder);
    operate();
    put(1 + random(20));
  }

  /// The founder goes on alone for a while before the others come.
  void grow_beyond_copy() {
    copy_founder();
    for (auto restarts = random(3); restarts > 0; --restarts)
      restart_founder();
    grow();
  }

  void copy_founder() {
    copy_ = world_.disk(founder);
  }

  /// The others leave, so that the founder is the only voter once more.
  void shrink_to_founder() {
    gone_ = {other, last};
    REQUIRE(world_.run_until(world_.now() + 20s, [this] {
      auto& here = world_.at(founder)->inside();
      return here.is_settled() && here.members().voters().size() == 1
             && here.commit_index() == here.last_index();
    }));
    kill(other);
    kill(last);
    gone_.clear();
    put(1 + random(20));
  }

  void restart_founder() {
    world_.kill(founder);
    world_.start(founder);
    put(random(20));
  }

  /// Returns once both others vote and have what was put since.
  void grow() {
    world_.start(1);
    world_.start(2);
    REQUIRE(world_.run_until(world_.now() + 10s, [this] {
      auto* leads = leader();
      return leads != nullptr && leads->inside().members().voters().size() == 3;
    }));
    put(1 + random(20));
    REQUIRE(world_.run_until(world_.now() + 10s, [this] { return all_have(highest()); }));
  }

  /// The founder leaves for good, and the last one, too, if only one is to be left. Then things go
  /// on, until logs begin behind that.
  void go_on_without_founder(bool only_one_is_left) {
    gone_ = {founder};
    if (only_one_is_left)
      gone_.insert(last);
    REQUIRE(world_.run_until(world_.now() + 10s, [this] {
      auto* leads = leader();
      return leads != nullptr && leads->inside().members().voters().size() == 3 - gone_.size()
             && std::ranges::none_of(gone_, [&](auto who) { return leads == world_.at(who); });
    }));
    for (auto who : gone_)
      kill(who);
    put(200);
  }

  /// Ends all, puts the copy in the place of the founder's disk, and starts the first so many, each
  /// when it comes.
  void put_back(sim::process_id started) {
    kept_ = states_;
    for (auto who = sim::process_id{}; who < world_.size(); ++who)
      kill(who);
    world_.disk(founder) = copy_;
    start_first(started);
  }

  /// The copy leads alone until it has more than the others, and its log begins with that.
  void go_on_with_copy() {
    auto* copy = world_.at(founder);
    auto target = kept_.rbegin()->first + 100 + random(100);
    REQUIRE(world_.run_until(world_.now() + 60s, [&] {
      if (copy = world_.at(founder); copy != nullptr)
        ask_of(copy, raft::replica::propose{{std::string(10, 'z')}});
      return copy != nullptr && copy->inside().commit_index() > target;
    }));
    REQUIRE(copy->inside().look({}).first > kept_.rbegin()->first);
  }

  void start_first(sim::process_id started) {
    for (auto who = sim::process_id{}; who < started; ++who)
      world_.after(duration{static_cast<std::int64_t>(random(duration{latest_start}.count()))},
                   [this, who] { start(who); });
  }

  /// The founder and the other one have what the last one has not.
  void leave_last_behind() {
    kill(last);
    put(1 + random(60));
    REQUIRE(world_.run_until(world_.now() + 10s, [this] {
      return std::ranges::all_of(std::array{founder, other}, [this](auto who) {
        return world_.at(who)->state().index == highest();
      });
    }));
  }

  /// Processes are killed and started again for that long, at random.
  void come_and_go(duration span) {
    for (auto end = world_.now() + span; world_.now() < end;) {
      auto who = static_cast<sim::process_id>(random(world_.size()));
      world_.at(who) == nullptr ? start(who) : kill(who);
      ask(raft::replica::propose{{std::string(7, 'y')}});
      auto pause = duration{static_cast<std::int64_t>(random(duration{1s}.count()))};
      world_.run_until(world_.now() + pause, [] { return false; });
    }
  }

  void start(sim::process_id which) {
    if (world_.at(which) == nullptr)
      world_.start(which);
  }

  /// Whether the founder and the other one lead nothing for that long, once both have started and
  /// heard of each other.
  [[nodiscard]] bool rest_for(duration span) {
    world_.run_until(world_.now() + latest_start + 1s, [] { return false; });
    return !world_.run_until(world_.now() + span, [this] {
      return std::ranges::any_of(std::array{founder, other}, [this](auto who) {
        return world_.at(who)->inside().current_role() == raft::role::leader;
      });
    });
  }

  /// Whether whoever of the others leads after a while does so for that long, and all that is put
  /// meanwhile is committed.
  [[nodiscard]] bool is_undisturbed_for(duration span) {
    world_.run_until(world_.now() + latest_start + 5s, [] { return false; });
    auto before = elections_;
    for (auto end = world_.now() + span; world_.now() < end;)
      put(1);
    return elections_ == before && honest_seats_given_up_ == 0;
  }

  /// Whether they go on within `span`, with all that there was.
  [[nodiscard]] bool goes_on(duration span) {
    return world_.run_until(world_.now() + span, [this] {
      auto* leads = leader();
      return leads != nullptr && (leads != world_.at(founder) || !is_alone(founder))
             && leads->state().index > kept_.rbegin()->first;
    });
  }

  [[nodiscard]] const std::string& broken() const {
    return broken_;
  }

  std::uint64_t random(std::uint64_t below) {
    return world_.random().below(below);
  }

private:
  static constexpr sim::process_id founder = 0;
  static constexpr sim::process_id other = 1;
  static constexpr sim::process_id last = 2;
  static constexpr duration latest_start = 5s;

  /// What is known to be committed is left behind by a process that is killed.
  void kill(sim::process_id which) {
    auto committed = world_.disk(which).stored().committed;
    if (world_.at(which) != nullptr)
      world_.kill(which);
    world_.disk(which).note_commit(committed);
  }

  [[nodiscard]] raft::log_index highest() const {
    return states_.empty() ? 0 : states_.rbegin()->first;
  }

  /// Whoever leads and knows all that is committed; rather one of the others than the founder.
  [[nodiscard]] sim::raft_process* leader() {
    for (auto who = world_.size(); who-- > 0;)
      if (auto* process = world_.at(who); process && process->inside().is_settled())
        return process;
    return nullptr;
  }

  [[nodiscard]] bool is_alone(sim::process_id who) {
    auto* process = world_.at(who);
    return process == nullptr
           || process->inside().members().voters()
                == std::set<raft::member_id>{sim::raft_process::seat_of(who)};
  }

  [[nodiscard]] bool all_have(raft::log_index index) {
    for (auto who = sim::process_id{}; who < world_.size(); ++who)
      if (world_.at(who)->state().index < index)
        return false;
    return true;
  }

  /// So many commands, one after the other.
  void put(std::uint64_t count) {
    for (; count > 0; --count) {
      auto before = highest();
      REQUIRE(world_.run_until(world_.now() + 10s, [this] { return leader() != nullptr; }));
      ask_of(leader(), raft::replica::propose{{std::string(10, 'x')}});
      REQUIRE(world_.run_until(world_.now() + 10s, [&] { return highest() > before; }));
    }
  }

  template <class Event>
  void ask(Event what) {
    for (auto who = sim::process_id{}; who < world_.size(); ++who)
      if (auto* process = world_.at(who);
          process && process->inside().current_role() == raft::role::leader)
        ask_of(process, what);
  }

  template <class Event>
  void ask_of(sim::raft_process* process, Event what) {
    process->step(++requests_, std::move(what));
    world_.arm(sim::raft_process::process_of(process->seat()));
  }

  void note(sim::process_id who, const raft::replica::effects& out) {
    for (auto& what : out) {
      if (auto* changed = std::get_if<raft::replica::changed_role>(&what))
        elections_ += who != founder && changed->now == raft::role::leader ? 1 : 0;
      if (auto* lost = std::get_if<raft::replica::forgot>(&what))
        honest_seats_given_up_
          += who != founder && sim::raft_process::process_of(lost->seat) == who ? 1 : 0;
    }
  }

  /// The cluster has taken leave of them. Older copies do not know that.
  void part_from_those_gone() {
    auto* leads = leader();
    if (leads == nullptr || (!kept_.empty() && leads == world_.at(founder)))
      return;
    for (auto& [seat, how] : raft::configuration{leads->inside().members()}.members)
      if (gone_.contains(sim::raft_process::process_of(seat)))
        ask(raft::replica::remove{seat});
  }

  void operate() {
    part_from_those_gone();
    for (auto who = sim::process_id{}; who < world_.size(); ++who)
      if (auto* process = world_.at(who); process && !gone_.contains(who)) {
        for (auto* leads = leader(); leads != nullptr; leads = nullptr)
          for (auto& [seat, how] : raft::configuration{leads->inside().members()}.members)
            if (sim::raft_process::process_of(seat) == who && seat != process->seat())
              ask(raft::replica::remove{seat});
        ask(raft::replica::add_learner{process->seat(), std::to_string(who)});
        ask(raft::replica::promote{process->seat()});
      }
    world_.after(100ms, [this] { operate(); });
  }

  /// What the founder does, or did, alone with its older copy is its own affair.
  void applied(sim::process_id who, const raft::entry& line, const sim::applied_state& state) {
    if (who == founder && !kept_.empty()
        && (is_alone(who) || world_.at(who)->inside().leader() == raft::member_id{}))
      return;
    if (broken_.empty() && line.index > 1 && !states_.contains(line.index - 1))
      broken_ = "process " + std::to_string(who) + " applies entry " + std::to_string(line.index)
                + " behind what none of the others has applied";
    auto first = states_.try_emplace(line.index, state).first;
    if (first->second != state && broken_.empty())
      broken_ = "process " + std::to_string(who) + " applies another entry "
                + std::to_string(line.index) + " than was applied there before";
  }

  sim::world<sim::raft_process> world_;
  sim::raft_disk copy_;
  std::map<raft::log_index, sim::applied_state> states_;
  std::map<raft::log_index, sim::applied_state> kept_; // when it was put back
  std::set<sim::process_id> gone_;
  std::string broken_;
  request_id requests_ = 1;
  std::uint64_t elections_ = 0;
  std::uint64_t honest_seats_given_up_ = 0;
};

} // namespace

TEST_CASE("nothing is lost when a founder's older copy and all others start at the same time",
          "[raft]") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    cluster all{seed};
    all.grow_beyond_copy();
    all.put_back(3);
    auto goes_on = all.goes_on(60s);
    REQUIRE(all.broken() == "");
    REQUIRE(goes_on);
  }
}

TEST_CASE("a founder's older copy neither leads nor votes beside one that knows what it has lost",
          "[raft]") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    cluster all{seed};
    all.grow_beyond_copy();
    all.put_back(2);
    auto rests = all.rest_for(30s);
    REQUIRE(rests);
    all.start(2);
    auto goes_on = all.goes_on(60s);
    REQUIRE(all.broken() == "");
    REQUIRE(goes_on);
  }
}

TEST_CASE("the older copy of a founder that has left since disturbs nobody", "[raft]") {
  for (std::uint64_t seed = 0; seed < test::simulated_worlds / 2; ++seed) {
    CAPTURE(seed);
    cluster all{seed};
    all.grow_beyond_copy();
    auto only_one_is_left = seed % 2 == 0;
    all.go_on_without_founder(only_one_is_left);
    all.put_back(only_one_is_left ? 2 : 3);
    auto is_undisturbed = all.is_undisturbed_for(20s);
    REQUIRE(all.broken() == "");
    REQUIRE(is_undisturbed);
  }
}

TEST_CASE("nothing is lost when a founder's older copy has led alone for longer than the others",
          "[raft]") {
  for (std::uint64_t seed = 0; seed < test::simulated_worlds; ++seed) {
    CAPTURE(seed);
    cluster all{seed};
    all.grow_beyond_copy();
    if (seed % 4 < 2) {
      all.shrink_to_founder();
      all.copy_founder();
      all.grow();
    }
    auto has_left = seed % 2 == 0;
    if (has_left)
      all.go_on_without_founder(false);
    all.put_back(1);
    all.go_on_with_copy();
    all.start_first(3);
    if (has_left) {
      auto is_undisturbed = all.is_undisturbed_for(20s);
      REQUIRE(all.broken() == "");
      REQUIRE(is_undisturbed);
    }
    auto goes_on = all.goes_on(60s);
    REQUIRE(all.broken() == "");
    REQUIRE(goes_on);
  }
}

TEST_CASE("nothing is lost when a founder's older copy is put back and any of them come and go",
          "[raft]") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    cluster all{seed};
    all.grow_beyond_copy();
    if (all.random(2) == 0)
      all.leave_last_behind();
    all.put_back(static_cast<sim::process_id>(all.random(4)));
    all.come_and_go(20s);
    REQUIRE(all.broken() == "");
    all.start_first(3);
    auto goes_on = all.goes_on(60s);
    REQUIRE(all.broken() == "");
    REQUIRE(goes_on);
  }
}

} // namespace put_back_test
