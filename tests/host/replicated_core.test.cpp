#include "troupe/host/replicated_core.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/everything.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/plain_machine.hpp"
#include "troupe/lock/lock_table.hpp"
#include "troupe/state/state_table.hpp"

namespace replicated_core_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::host;

namespace {

/// One replica of a service, in a group that takes what it proposes, up to a size.
template <machine M>
struct member {
  using core = replicated_core<M>;

  core inside{7};
  std::size_t max_bytes = 1'000'000;
  /// What the group has taken, for other replicas.
  std::vector<std::string> log;
  std::map<request_id, effect_of<M>> answers;
  std::map<request_id, problem> refusals;
  /// Callers who got a session.
  std::vector<request_id> sessions;
  std::size_t refused_proposals = 0;
  /// The group refuses all, as its leadership is handed over.
  bool hands_over = false;
  bool is_slow = false;
  std::vector<proposal> waiting;

  void give(time_point now, request_id caller, typename core::event what) {
    typename core::effects out;
    inside.step(now, caller, std::move(what), out);
    carry_out(now, out);
  }

  void tick(time_point now) {
    typename core::effects out;
    inside.tick(now, out);
    carry_out(now, out);
  }

  void ask(time_point now, request_id caller, typename M::event what) {
    give(now, caller, command<M>{{}, std::move(what)});
  }

  /// The group has taken all that it was slow with.
  void catch_up(time_point now) {
    is_slow = false;
    for (auto& each : std::exchange(waiting, {}))
      take(now, each);
  }

private:
  void carry_out(time_point now, typename core::effects& out) {
    for (auto& what : out)
      troupe::visit([&](auto& each) { handle(now, each); }, what);
  }

  void handle(time_point now, typename core::propose& what) {
    is_slow ? waiting.push_back(what.what) : take(now, what.what);
  }

  void take(time_point now, const proposal& what) {
    if (hands_over) {
      ++refused_proposals;
      return give(now, 0,
                  typename core::not_taken{what.number, {errc::busy, "leadership is handed over"}});
    }
    if (what.payload.size() > max_bytes) {
      ++refused_proposals;
      return give(now, 0,
                  typename core::not_taken{what.number, {errc::too_large, "that is too much"}});
    }
    log.push_back(what.payload);
    give(now, 0, typename core::committed{what.payload});
  }

  void handle(time_point, typename core::answered& what) {
    answers.emplace(what.id, what.what);
  }

  void handle(time_point, typename core::session_done& what) {
    sessions.push_back(what.id);
  }

  void handle(time_point, typename core::rejected& what) {
    refusals.emplace(what.id, what.why);
  }

  template <class Other>
  void handle(time_point, Other&) {}
};

struct plant {
  using result = std::uint64_t;

  test::tree what;

  TROUPE_FIELDS(plant, what);
};

/// Counts the trees that were planted.
struct grove : plain_machine<grove, std::uint64_t, commands<plant>> {
  std::uint64_t apply(const plant&) {
    return ++state();
  }
};

/// Puts each tree under the ones before.
struct forest : plain_machine<forest, test::tree, commands<plant>> {
  std::uint64_t apply(const plant& what) {
    auto grown = what.what;
    auto* tip = &grown;
    while (!tip->children.empty())
      tip = &tip->children.front();
    tip->children.push_back(state());
    state() = grown;
    return 0;
  }
};

/// Its rules use what only its sender has.
struct add {
  using result = std::uint64_t;

  std::uint64_t written = 0;
  std::uint64_t unwritten = 0;

  TROUPE_FIELDS(add, written);
};

/// Its inspect reads another type than it writes.
struct garbled {
  using result = std::uint64_t;

  template <class Form>
  friend bool inspect(Form& f, garbled& x) {
    if constexpr (Form::is_loading)
      return f.object(x).fields(f.field("text", x.text));
    else
      return f.object(x).fields(f.field("number", x.number));
  }

  std::uint64_t number = 0;
  std::string text;
};

/// Its inspect throws when it reads what it does not take, as a parser does.
struct picky {
  using result = std::uint64_t;

  template <class Form>
  friend bool inspect(Form& f, picky& x) {
    auto is_read = f.object(x).fields(f.field("number", x.number));
    if constexpr (Form::is_loading)
      if (x.number > 9)
        throw std::out_of_range{"no digit"};
    return is_read;
  }

  std::uint64_t number = 0;
};

struct adding_options {
  std::uint64_t written = 0;
  std::uint64_t unwritten = 0;

  TROUPE_FIELDS(adding_options, written);
};

struct adder
  : plain_machine<adder, std::uint64_t, commands<add, garbled, picky>, queries<>, adding_options> {
  std::uint64_t apply(const add& what) {
    return state() += what.written + what.unwritten + options().unwritten;
  }

  std::uint64_t apply(const garbled& what) {
    return state() += what.number;
  }

  std::uint64_t apply(const picky& what) {
    return state() += what.number;
  }
};

time_point at(duration since) {
  return time_point{since};
}

} // namespace

TEST_CASE("requests that are too large for one entry go in several", "[host]") {
  member<lock::lock_table> locks;
  locks.give(at(1s), 0, replicated_core<lock::lock_table>::leads{});
  locks.give(at(1s), 0, notice<lock::lock_table>{lock::configure{{}, 1'000}});
  locks.max_bytes = 1'000;
  locks.is_slow = true;
  for (request_id caller = 1; caller <= 100; ++caller) // all but the first wait for the first
    locks.ask(at(2s), caller,
              lock::acquire{"lock-" + std::to_string(caller), std::string(200, 'o'), 1min, {}});
  CHECK(locks.answers.empty());
  locks.catch_up(at(3s));
  CHECK(locks.refusals.empty());
  CHECK(locks.refused_proposals > 0);
  REQUIRE(locks.answers.size() == 100);
  std::uint64_t last = 0;
  for (auto& [caller, answer] : locks.answers) { // in the order in which they came
    auto token = std::get<lock::accepted>(answer).value.token.value;
    CHECK(token > last);
    last = token;
  }

  // One that is too large alone is refused alone.
  locks.is_slow = true;
  locks.ask(at(4s), 200, lock::acquire{"a", "o", 1min, {}});
  locks.ask(
    at(4s), 201,
    lock::acquire{std::string(250, 'x'), std::string(250, 'o'), 1min, {}, std::string(250, 'l')});
  locks.ask(at(4s), 202, lock::acquire{"b", "o", 1min, {}});
  locks.max_bytes = 500;
  locks.catch_up(at(5s));
  locks.give(at(6s), 0, keep_session{}); // it rests after a refusal
  CHECK(locks.answers.contains(200));
  CHECK(locks.answers.contains(202));
  REQUIRE(locks.refusals.contains(201));
  CHECK(locks.refusals.at(201).code == errc::too_large);
}

TEST_CASE("a request that nests too deep to be read again is refused alone", "[host]") {
  member<grove> trees;
  trees.give(at(1s), 0, replicated_core<grove>::leads{});
  trees.give(at(1s), 0, notice<grove>{options_are<no_settings>{}});
  trees.is_slow = true;
  trees.ask(at(2s), 1, plant{test::branch(3)}); // the others wait for it
  trees.ask(at(2s), 2, plant{test::branch(3)});
  trees.ask(at(2s), 3, plant{test::branch(max_nesting - 2)});
  trees.ask(at(2s), 4, plant{test::branch(max_nesting)});
  trees.ask(at(2s), 5, plant{test::branch(1'000)});
  trees.ask(at(2s), 6, plant{test::branch(3)});
  trees.catch_up(at(3s));
  CHECK(trees.answers.size() == 3);
  CHECK(trees.answers.contains(1));
  CHECK(trees.answers.contains(2));
  CHECK(trees.answers.contains(6));
  REQUIRE(trees.refusals.size() == 3);
  for (request_id each = 3; each <= 5; ++each)
    CHECK(trees.refusals.at(each).code == errc::too_large);
  for (auto& entry : trees.log)
    CHECK(from_bytes<replicated_batch<grove>>(entry, memory_for<grove>(entry.size())));
}

TEST_CASE("a leader carries out of a request what its followers read of it", "[host]") {
  using core = replicated_core<adder>;
  member<adder> leader;
  leader.give(at(1s), 0, core::leads{});
  leader.give(at(1s), 0, notice<adder>{options_are<adding_options>{{1, 100}}});
  leader.ask(at(2s), 1, add{2, 5});
  leader.ask(at(3s), 2, add{1, 0});
  REQUIRE(leader.answers.size() == 2);
  CHECK(std::get<answered<std::uint64_t>>(leader.answers.at(2)).value == 3);
  member<adder> follower;
  core::effects out;
  for (auto& entry : leader.log)
    follower.inside.step(at(1s), 0, core::committed{entry}, out);
  CHECK(out.empty()); // it has not diverged
  CHECK(follower.inside.section() == leader.inside.section());
}

TEST_CASE("a request that its followers cannot read is refused, and not written", "[host]") {
  using core = replicated_core<adder>;
  member<adder> leader;
  leader.give(at(1s), 0, core::leads{});
  leader.give(at(1s), 0, notice<adder>{options_are<adding_options>{}});
  auto written = leader.log.size();
  leader.ask(at(2s), 1, garbled{7, {}});
  REQUIRE(leader.refusals.contains(1));
  CHECK(leader.refusals.at(1).code == errc::bad_argument);
  CHECK(leader.log.size() == written);
}

TEST_CASE("a request whose bytes make its inspect throw is refused, and ends no service",
          "[host]") {
  using core = replicated_core<adder>;
  member<adder> leader;
  leader.give(at(1s), 0, core::leads{});
  leader.give(at(1s), 0, notice<adder>{options_are<adding_options>{}});
  CHECK_NOTHROW(leader.ask(at(2s), 1, picky{10}));
  CHECK(leader.refusals.contains(1));
}

TEST_CASE("a state that nests too deep to be read again makes no section", "[host]") {
  using core = replicated_core<forest>;
  member<forest> leader;
  leader.give(at(1s), 0, core::leads{});
  leader.give(at(1s), 0, notice<forest>{options_are<no_settings>{}});
  leader.ask(at(2s), 1, plant{test::branch(max_nesting / 2)});
  leader.ask(at(2s), 2, plant{test::branch(max_nesting / 2)});
  REQUIRE(leader.answers.size() == 2);
  CHECK_THROWS_AS(leader.inside.frozen_section()(), bad_result_access);
}

TEST_CASE("a calendar that is set back by an hour is held, whoever leads, and time goes on",
          "[host][wall]") {
  using core = replicated_core<state::state_table>;
  constexpr wall_time noon{500'000h};
  const state::entry_key key{state::consistency::strong, state::value_type::lww_register, "k"};
  member<state::state_table> first;
  first.give(at(1s), 0, core::leads{});
  first.give(at(1s), 0, notice<state::state_table>{state::configure{{}, 1'000}});
  first.give(at(1s), 0, core::wall_is{noon});
  state::put what{key, state::to_value("early")};
  what.ttl = 10min;
  first.ask(at(2s), 1, what);
  auto written = std::get<state::accepted>(first.answers.at(1)).value;
  CHECK(written.written_at >= noon);
  first.give(at(3s), 0, core::wall_is{noon - 1h});
  CHECK(first.inside.snapshot().calendar == noon);
  first.ask(at(4s), 2, state::put{{key.level, key.type, "other"}, state::to_value("late")});
  CHECK(std::get<state::accepted>(first.answers.at(2)).value.written_at >= written.written_at);

  member<state::state_table> second; // whose calendar is an hour behind
  for (auto& each : first.log)
    second.give(at(0s), 0, core::committed{each});
  second.give(at(5s), 0, core::leads{});
  second.give(at(5s), 0, core::wall_is{noon - 1h});
  second.ask(at(6s), 3, state::put{{key.level, key.type, "third"}, state::to_value("later")});
  auto third = std::get<state::accepted>(second.answers.at(3)).value;
  CHECK(third.written_at >= written.written_at);
  CHECK_FALSE(second.inside.answer(state::get{key}).entries.empty());
  second.give(at(7s), 0, core::wall_is{noon + 11min});
  CHECK(second.inside.answer(state::get{key}).entries.empty());
  CHECK(second.inside.time() == at(7s));
}

TEST_CASE(
  "a replica that reaches no majority says so to who asks it, and who waits goes on waiting",
  "[host][quorum]") {
  using core = replicated_core<lock::lock_table>;
  member<lock::lock_table> locks;
  locks.give(at(1s), 0, core::leads{1});
  locks.give(at(1s), 0, notice<lock::lock_table>{lock::configure{{}, 1'000}});
  locks.ask(at(2s), 1, lock::acquire{"press", "first", 1min, {}});
  locks.ask(at(2s), 2, lock::acquire{"press", "second", 1min, 10min});
  REQUIRE(locks.answers.contains(1));

  locks.give(at(3s), 0, core::follows{{errc::not_leader, "another leads"}});
  locks.ask(at(3s), 3, lock::acquire{"other", "third", 1min, {}});
  CHECK(locks.refusals.at(3).code == errc::not_leader);
  CHECK(locks.inside.refusal().code == errc::not_leader);

  problem missing{errc::no_quorum, "it misses B, C"};
  locks.give(at(4s), 0, core::without_quorum{missing});
  locks.ask(at(4s), 4, lock::acquire{"other", "third", 1min, {}});
  locks.give(at(4s), 5, open_session{});
  CHECK(locks.refusals.at(4) == missing);
  CHECK(locks.refusals.at(5) == missing);
  CHECK(locks.inside.refusal() == missing);
  locks.give(at(4s), 0, core::rules_allowed{1}); // asked for by nobody, so nobody is refused
  CHECK_FALSE(locks.refusals.contains(0));
  CHECK_FALSE(locks.refusals.contains(2));

  // Nor is a caller told that has gone: it is forgotten, here as elsewhere.
  locks.give(at(4s), 2, core::caller_gone{});
  CHECK_FALSE(locks.refusals.contains(2));

  locks.give(at(5s), 0, core::without_quorum{});
  locks.ask(at(5s), 6, lock::acquire{"other", "third", 1min, {}});
  CHECK(locks.refusals.at(6).code == errc::not_leader);
  locks.give(at(6s), 0, core::leads{3});
  CHECK(locks.inside.refusal().code == errc::none);
}

TEST_CASE("what comes while leadership is handed over waits for the next leader", "[host]") {
  using core = replicated_core<lock::lock_table>;
  member<lock::lock_table> locks;
  locks.give(at(1s), 0, core::leads{1});
  locks.give(at(1s), 0, notice<lock::lock_table>{lock::configure{{}, 1'000}});
  locks.hands_over = true;
  locks.ask(at(2s), 1, lock::acquire{"a", "first", 1min, {}});
  locks.ask(at(2s), 2, lock::acquire{"b", "second", 1min, {}});
  locks.give(at(2s), 3, open_session{});
  CHECK(locks.refusals.empty());
  CHECK(locks.refused_proposals == 1);

  // It is tried again after a rest, not without a pause.
  REQUIRE(locks.inside.next_deadline() == at(2s + durable_core<lock::lock_table>::rest));
  locks.tick(at(2s + durable_core<lock::lock_table>::rest / 2));
  CHECK(locks.refused_proposals == 1);

  SECTION("another one leads: it was not carried out, and may be asked of that") {
    locks.give(at(2s + 20ms), 0, core::follows{{errc::not_leader, "another leads"}});
    for (request_id each : {1, 2, 3})
      CHECK(locks.refusals.at(each).code == errc::not_leader);
    CHECK(locks.log.size() == 1);
  }
  SECTION("this one goes on: it is carried out once, in its order") {
    locks.hands_over = false;
    locks.tick(*locks.inside.next_deadline());
    CHECK(locks.refusals.empty());
    auto token_of = [&](request_id caller) {
      return std::get<lock::accepted>(locks.answers.at(caller)).value.token.value;
    };
    CHECK(token_of(1) < token_of(2));
    CHECK(locks.sessions == std::vector<request_id>{3});
    CHECK(locks.log.size() == 2);
  }
}

namespace {

using locks_core = replicated_core<lock::lock_table>;

/// One replica of a lock service, whose group says only what the test makes it say.
struct lone_locks {
  explicit lone_locks(std::uint64_t life) : inside(life) {}

  void give(locks_core::event what, request_id caller = 0) {
    inside.step(now, caller, std::move(what), out);
  }

  void lead(raft::term_number term) {
    give(locks_core::leads{term});
  }

  void acquire(const std::string& name, request_id caller, duration ttl = 1min,
               duration wait = 0s) {
    give(command<lock::lock_table>{{}, lock::acquire{name, "me", ttl, wait}}, caller);
  }

  /// What it has proposed since the last call.
  std::vector<std::string> proposals() {
    std::vector<std::string> found;
    for (auto& each : out)
      if (auto* made = std::get_if<locks_core::propose>(&each))
        found.push_back(std::move(made->what.payload));
    return found;
  }

  /// Commits what it has proposed. Returns that.
  std::string commit() {
    auto made = proposals();
    REQUIRE(made.size() == 1);
    out.clear();
    give(locks_core::committed{made.front()});
    return made.front();
  }

  template <class Effect>
  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(
      std::ranges::count_if(out, [](auto& each) { return std::holds_alternative<Effect>(each); }));
  }

  locks_core inside;
  time_point now = at(1s);
  locks_core::effects out;
};

} // namespace

TEST_CASE("what a machine wants done is carried out where it leads, and nowhere else",
          "[host][replicated]") {
  lone_locks leader{7};
  lone_locks follower{8};
  leader.lead(1);
  leader.acquire("door", 1, 1s);
  follower.give(locks_core::committed{leader.commit()});
  leader.now = at(5s);
  leader.inside.tick(leader.now, leader.out);
  follower.give(locks_core::committed{leader.commit()});
  CHECK(leader.count<locks_core::perform>() == 1); // the lease is over
  CHECK(follower.inside.snapshot().inside == leader.inside.snapshot().inside);
  CHECK(follower.out.empty());
}

TEST_CASE("a state of newer rules is refused, and nothing of it is taken", "[host][replicated]") {
  lone_locks leader{7};
  leader.lead(1);
  leader.acquire("door", 1);
  leader.commit();
  auto saved = leader.inside.snapshot();
  ++saved.rules;
  lone_locks behind{8};
  CHECK(behind.inside.restore_section(to_bytes(saved), behind.out).code == errc::incompatible);
  CHECK(behind.inside.index() == 0);
  CHECK(behind.inside.restore_section(leader.inside.section(), behind.out).code == errc::none);
  CHECK(behind.inside.index() == 1);
}

TEST_CASE("a state that its machine knows to be damaged is refused, and nothing of it is taken",
          "[host][replicated]") {
  lone_locks leader{7};
  leader.lead(1);
  leader.acquire("door", 1);
  leader.commit();
  auto saved = leader.inside.snapshot();
  saved.inside.locks.front().holders.clear();
  lone_locks behind{8};
  CHECK(behind.inside.restore_section(to_bytes(saved), behind.out).code == errc::damaged);
  CHECK(behind.inside.index() == 0);
  CHECK(behind.out.empty());
}

TEST_CASE("who waits where a newer state comes in hears that the outcome is unknown",
          "[host][replicated]") {
  lone_locks ahead{7};
  ahead.lead(1);
  ahead.acquire("gate", 1);
  ahead.commit();
  lone_locks behind{8};
  behind.lead(2);
  behind.acquire("door", 1);
  behind.commit();
  behind.give(command<lock::lock_table>{{}, lock::acquire{"door", "other", 1min, 10min}}, 2);
  behind.commit();
  behind.give(locks_core::follows{{errc::not_leader, "another leads"}});
  behind.out.clear();
  CHECK(behind.inside.restore_section(ahead.inside.section(), behind.out).code == errc::none);
  REQUIRE(behind.out.size() == 1);
  auto& told = std::get<locks_core::rejected>(behind.out.front());
  CHECK(told.id == 2);
  CHECK(told.why.code == errc::outcome_unknown);
}

TEST_CASE("what was proposed before a newer state came in is of no batch any more",
          "[host][replicated]") {
  lone_locks ahead{7};
  ahead.lead(1);
  ahead.acquire("gate", 1);
  ahead.commit();
  lone_locks behind{8};
  behind.lead(1);
  behind.acquire("door", 1);
  auto proposed = behind.proposals();
  REQUIRE(proposed.size() == 1);
  behind.out.clear();
  REQUIRE(behind.inside.restore_section(ahead.inside.section(), behind.out).code == errc::none);
  behind.out.clear();
  behind.give(locks_core::committed{proposed.front()});
  CHECK(behind.count<locks_core::diverged>() == 1); // it follows another record
  CHECK(behind.inside.index() == 1);
}

TEST_CASE("only the batch that is under way answers those who wait for it", "[host][replicated]") {
  lone_locks locks{7};
  std::string other;
  SECTION("not one of the same number by another replica, or of an earlier life") {
    lone_locks another{8};
    another.lead(1);
    another.acquire("gate", 1);
    other = another.proposals().front();
    locks.lead(1);
  }
  SECTION("nor one of its own of before") {
    locks.lead(1);
    locks.acquire("gate", 1);
    other = locks.proposals().front();
    locks.give(locks_core::follows{{errc::not_leader, "another leads"}});
    locks.lead(3);
  }
  locks.acquire("door", 2);
  locks.out.clear();
  locks.give(locks_core::committed{other});
  CHECK(locks.count<locks_core::answered>() == 0);
  CHECK(locks.inside.answer(lock::find_lock{"gate"}).holders.size() == 1);
  CHECK(locks.inside.answer(lock::find_lock{"door"}).holders.empty());
}

TEST_CASE("a replica that cannot follow the others stops", "[host][replicated]") {
  lone_locks leader{7};
  leader.lead(1);
  leader.acquire("door", 1);
  leader.commit();
  leader.acquire("gate", 2);
  lone_locks follower{8};
  SECTION("as an entry is missing") {
    follower.give(locks_core::committed{leader.commit()});
  }
  SECTION("as it cannot read one") {
    follower.give(locks_core::committed{"of a later release"});
  }
  CHECK(follower.count<locks_core::diverged>() == 1);
}

} // namespace replicated_core_test
