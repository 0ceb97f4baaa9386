// What a replica does with messages that no replica sends, requests beyond its bounds, and
// snapshots that do not arrive whole.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/checksum.hpp"

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace troupe;
using namespace troupe::raft;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr auto huge = std::uint64_t{1} << 63U;

/// Replica 1 of three, whose disk has three entries of term 1, and what it said.
class subject {
public:
  explicit subject(options how = lan(), const stored_state& from = disk())
    : inside_({1}, how, from, time_point{}) {}

  void hear(message what, seat_id from = {2}) {
    step(replica::received{from, std::move(what)});
  }

  void step(const replica::event& what) {
    out_.clear();
    replica::effects out;
    inside_.step(now_, ++requests_, what, out);
    carry_out(out);
  }

  /// Lets time pass.
  void run(duration span) {
    for (auto end = now_ + span; now_ < end;) {
      now_ += 50ms;
      replica::effects out;
      inside_.tick(now_, out);
      carry_out(out);
    }
  }

  /// Wins an election of term 2.
  void lead() {
    replica::effects out;
    now_ = inside_.next_deadline().value();
    inside_.tick(now_, out);
    carry_out(out);
    hear({2, vote_answer{true, true}});
    hear({2, vote_answer{false, true}});
    REQUIRE(inside_.current_role() == role::leader);
    out_.clear();
  }

  /// What came of the last step, of one kind.
  template <class Effect>
  [[nodiscard]] std::vector<Effect> all() const {
    std::vector<Effect> found;
    for (auto& what : out_)
      if (auto* one = std::get_if<Effect>(&what))
        found.push_back(*one);
    return found;
  }

  template <class Effect>
  [[nodiscard]] Effect only() const {
    auto found = all<Effect>();
    REQUIRE(found.size() == 1);
    return found.front();
  }

  /// The body of the one message that it sent.
  template <class Body>
  [[nodiscard]] Body said() const {
    auto what = only<replica::send>().what.body;
    REQUIRE(std::holds_alternative<Body>(what));
    return std::get<Body>(what);
  }

  [[nodiscard]] const replica& operator*() const {
    return inside_;
  }

private:
  static stored_state disk() {
    stored_state made;
    made.last_ballot = {1, {}};
    for (std::uint64_t each = 1; each <= 3; ++each)
      made.base.members.members[{each}] = {true, ""};
    made.entries = {{1, 1, {}, no_op{}}, {2, 1, {}, std::string{"x"}}, {3, 1, {}, no_op{}}};
    return made;
  }

  void carry_out(const replica::effects& out) {
    for (auto& what : out) {
      out_.push_back(what);
      if (auto* write = std::get_if<replica::write>(&what)) {
        replica::effects more;
        inside_.step(now_, 0, replica::written{write->number}, more);
        carry_out(more);
      }
    }
  }

  replica inside_;
  time_point now_{};
  request_id requests_ = 0;
  replica::effects out_;
};

append entries_behind(log_index index, term_number term, std::vector<entry> lines) {
  return {index, term, 0, {}, 1, std::move(lines)};
}

snapshot_header header_at(log_index index) {
  return {index, 1, {}, {{{{1}, {true, ""}}, {{2}, {true, ""}}, {{3}, {true, ""}}}}};
}

snapshot_part part_of(const std::string& whole, std::size_t offset, std::size_t size) {
  return {header_at(50), offset, whole.size(), crc32c(whole), whole.substr(offset, size)};
}

} // namespace

TEST_CASE("a message with numbers that no group counts to is dropped and named") {
  auto far = group_time{duration::max()};
  auto bad = GENERATE_COPY(values<message>({
    {0, take_over{}},
    {huge, take_over{}},
    {std::numeric_limits<std::uint64_t>::max(), vote_request{3, 1, true, false}},
    {1, vote_request{huge, 1, false, false}},
    {1, vote_request{3, 7, false, false}},
    {1, entries_behind(huge, 1, {})},
    {1, entries_behind(3, huge, {})},
    {1, append{3, 1, huge, {}, 1, {}}},
    {1, append{3, 1, 0, {}, huge, {}}},
    {1, append{3, 1, 0, far, 1, {}}},
    {1, append{3, 1, 0, group_time{-1ns}, 1, {}}},
    {1, entries_behind(3, 1, {{huge, 1, {}, no_op{}}})},
    {1, entries_behind(3, 1, {{5, 1, {}, no_op{}}})},
    {1, entries_behind(3, 1, {{4, 2, {}, no_op{}}})},
    {1, entries_behind(3, 1, {{4, 0, {}, no_op{}}})},
    {1, entries_behind(3, 1, {{4, 1, far, no_op{}}})},
    {1, append_answer{true, huge, 0, 0, 1, 3}},
    {1, append_answer{false, 3, huge, 1, 1, 3}},
    {1, append_answer{false, 3, 0, 1, 1, huge}},
    {1, snapshot_part{header_at(huge), 0, 5, 0, "state"}},
    {1, snapshot_part{header_at(0), 0, 5, 0, "state"}},
    {1, snapshot_part{header_at(50), huge, 5, 0, "state"}},
    {1, snapshot_part{header_at(50), 2, 5, 0, "state"}},
    {1, snapshot_part{header_at(50), 0, huge, 0, "state"}},
  }));
  subject replica;
  auto term = (*replica).term();
  auto last = (*replica).last_index();
  replica.hear(bad);
  auto why = replica.only<replica::ignored>();
  CHECK(why.from == seat_id{2});
  CHECK_FALSE(why.why.detail.empty());
  CHECK(replica.all<replica::send>().empty());
  CHECK(replica.all<replica::write>().empty());
  CHECK((*replica).term() == term);
  CHECK((*replica).last_index() == last);
}

TEST_CASE("a message of a term that no group has counted to ends no group") {
  auto term = GENERATE(max_number - 1, 1 + max_term_jump + 1);
  auto body = GENERATE(values<decltype(message::body)>({
    vote_request{3, 1, false, false},
    vote_request{3, 1, false, true},
    vote_request{3, 1, true, false},
    vote_answer{true, true},
    vote_answer{false, false},
    entries_behind(3, 1, {}),
    entries_behind(3, 1, {{4, 1, {}, no_op{}}}),
    append_answer{false, 3, 0, 1, 1, 3},
    part_of("state", 0, 5),
    snapshot_answer{50, 0},
    take_over{},
  }));
  subject replica;
  replica.hear({term, body});
  auto why = replica.only<replica::ignored>().why;
  CHECK(why.code == errc::limit_reached);
  CHECK_THAT(why.detail, ContainsSubstring("term " + std::to_string(term)));
  CHECK(replica.all<replica::send>().empty());
  CHECK(replica.all<replica::write>().empty());
  CHECK((*replica).term() == 1);
  replica.lead(); // in the next term
  replica.hear({term + 1, body});
  CHECK((*replica).current_role() == role::leader);
}

TEST_CASE("a member that was away takes the term of the group, however often that has elected") {
  subject replica;
  replica.hear({1 + max_term_jump, entries_behind(3, 1, {})});
  CHECK((*replica).term() == 1 + max_term_jump);
  CHECK((*replica).leader() == seat_id{2});
}

TEST_CASE("a new member takes the term of the leader that adds it, not that of a candidate") {
  constexpr auto term = 2 * max_term_jump;
  replica fresh{{9}, lan(), stored_state{}, time_point{}};
  replica::effects out;
  fresh.step(time_point{}, 1, replica::received{{2}, {term, vote_request{3, 1, false, false}}},
             out);
  CHECK(fresh.term() == 0);
  fresh.step(time_point{}, 2, replica::received{{2}, {term, append{}}}, out);
  CHECK(fresh.term() == term);
  CHECK(fresh.leader() == seat_id{2});
}

TEST_CASE("an answer about entries that a leader never had does not move it") {
  subject replica;
  replica.lead();
  auto commit = (*replica).commit_index();
  auto last = (*replica).last_index();
  replica.hear({2, append_answer{true, last + 1, 0, 0, 1, last + 1}});
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("entries that no leader sent"));
  CHECK((*replica).commit_index() == commit);
  replica.hear({2, snapshot_answer{max_number, max_number}});
  replica.hear({2, append_answer{true, last, 0, 0, max_number - 1, last}}); // a round to come
  CHECK((*replica).commit_index() == last);
  replica.step(replica::read{});
  CHECK(replica.all<replica::read_at>().empty()); // not confirmed by that
}

TEST_CASE("a refusal from before an acknowledgement is late, one of a later round is a loss") {
  subject replica;
  replica.lead();
  auto last = (*replica).last_index();
  append_answer refusal{false, last, 2, 1, 1, 2};
  replica.hear({2, append_answer{true, last, 0, 0, 1, last}});
  replica.hear({2, refusal}); // overtaken on its way, or sent twice by the network
  CHECK(replica.all<replica::forgot>().empty());
  refusal.round = max_number - 1; // a round to come, which nobody can answer
  replica.hear({2, refusal});
  CHECK(replica.all<replica::forgot>().empty());
  replica.step(replica::read{}); // begins the next round
  refusal.round = 2;
  refusal.last_index = last; // it has all, whatever it refuses
  replica.hear({2, refusal});
  CHECK(replica.all<replica::forgot>().empty());
  CHECK(replica.all<replica::read_at>().size() == 1);
  replica.step(replica::read{});
  refusal.last_index = 2;
  refusal.round = 3;
  replica.hear({2, refusal});
  CHECK(replica.only<replica::forgot>().synced == last);

  // It may have voted for another leader and have forgotten that, too: it confirms no read.
  CHECK(replica.all<replica::read_at>().empty());
  replica.hear({2, append_answer{true, 0, 0, 0, 3, 2}});
  CHECK(replica.all<replica::read_at>().empty());
  replica.hear({2, append_answer{true, 0, 0, 0, 3, 0}}, {3});
  CHECK(replica.all<replica::read_at>().size() == 1);

  // Who is handed the lead unless somebody is named: the other one, though that has less.
  replica.step(replica::transfer{});
  replica.hear({2, append_answer{true, last, 0, 0, 3, last}}, {3});
  std::vector<seat_id> take_over;
  for (auto& each : replica.all<replica::send>())
    if (std::holds_alternative<raft::take_over>(each.what.body))
      take_over.push_back(each.to);
  CHECK(take_over == std::vector{seat_id{3}});
}

TEST_CASE("a learner that has lost what it acknowledged gets no vote") {
  subject replica;
  replica.lead();
  auto all_is_synced = [&](seat_id by) {
    auto last = (*replica).last_index();
    replica.hear({2, append_answer{true, last, 0, 0, 1, last}}, by);
  };
  all_is_synced({2});
  replica.step(replica::add_learner{{4}, "new"});
  all_is_synced({2});
  auto knows = [&] { return (*replica).look({}).others.back().knows_members; };
  CHECK_FALSE(knows());
  all_is_synced({4});
  CHECK(knows());
  replica.step(replica::read{});
  replica.hear({2, append_answer{false, (*replica).last_index(), 0, 0, 2, 0}}, {4});
  CHECK(replica.all<replica::forgot>().size() == 1);
  CHECK_FALSE(knows());
  replica.step(replica::promote{{4}});
  CHECK(replica.only<replica::refused>().why.code == errc::busy);
}

TEST_CASE("a snapshot that no member would take is not sent, the next one is if it is smaller") {
  auto how = lan();
  how.max_snapshot_bytes = 10;
  how.keep_entries = 0;
  subject replica{how};
  replica.lead();
  auto last = (*replica).last_index();
  std::uint64_t round = 1;
  auto next_round = [&] {
    replica.hear({2, append_answer{true, last, 0, 0, round, last}});
    replica.step(replica::read{});
    ++round;
  };
  auto loaded_with = [&](std::size_t bytes) {
    replica.step(
      replica::loaded{{header_at(last), std::make_shared<const std::string>(bytes, 's')}});
    std::size_t parts = 0;
    for (auto& each : replica.all<replica::send>())
      parts += std::holds_alternative<snapshot_part>(each.what.body) ? 1U : 0U;
    return parts;
  };
  next_round();
  replica.step(replica::compacted{last});
  replica.hear({2, append_answer{false, last - 1, 0, 0, round, 0}}, {3});
  CHECK(replica.all<replica::load_snapshot>().size() == 1);
  CHECK(loaded_with(11) == 0);
  next_round();
  CHECK(replica.all<replica::load_snapshot>().empty()); // it would be the same again
  replica.step(replica::compacted{last});
  next_round();
  CHECK(replica.all<replica::load_snapshot>().size() == 1);
  CHECK(loaded_with(10) == 1);
}

TEST_CASE("a snapshot may have as many bytes as its length on the wire can say, and no more") {
  auto how = lan();
  how.max_snapshot_bytes = std::numeric_limits<std::uint32_t>::max();
  CHECK_NOTHROW(subject{how});
  ++how.max_snapshot_bytes;
  CHECK_THROWS_AS(subject{how}, std::invalid_argument);
}

TEST_CASE("a command over its bound is refused with the remedy, and all with it") {
  auto how = lan();
  how.max_command_bytes = 100;
  subject replica{how};
  replica.lead();
  auto last = (*replica).last_index();
  replica.step(replica::propose{{"small", std::string(101, 'x')}});
  auto why = replica.only<replica::refused>().why;
  CHECK(why.code == errc::too_large);
  CHECK_THAT(why.detail, ContainsSubstring("101 bytes") && ContainsSubstring("at most 100")
                           && ContainsSubstring("max_command_bytes"));
  CHECK((*replica).last_index() == last);
  replica.step(replica::propose{{std::string(100, 'x')}});
  CHECK(replica.only<replica::proposed>().first == last + 1);
}

TEST_CASE("a flood of commands is bounded by number and by bytes, and ends with the commits") {
  auto how = lan();
  how.max_uncommitted = 10;
  how.max_uncommitted_bytes = 2'000;
  auto size = GENERATE(std::size_t{1}, std::size_t{500});
  subject replica{how};
  replica.lead(); // nobody answers, so nothing is committed
  auto taken = 0;
  problem why;
  while (why.code == errc::none && taken < 1'000) {
    replica.step(replica::propose{{std::string(size, 'x')}});
    if (auto refused = replica.all<replica::refused>(); !refused.empty())
      why = refused.front().why;
    else
      ++taken;
  }
  CHECK(why.code == errc::limit_reached);
  CHECK_THAT(why.detail, ContainsSubstring("retry with backoff"));
  CHECK(taken > 0);
  CHECK(taken <= 10);
  auto last = (*replica).last_index();
  CHECK(last <= 3 + 10);
  replica.hear({2, append_answer{true, last, 0, 0, 1, last}});
  REQUIRE((*replica).commit_index() == last);
  replica.step(replica::propose{{std::string(size, 'x')}});
  CHECK(replica.only<replica::proposed>().first == last + 1);
}

TEST_CASE("a flood of reads is bounded") {
  auto how = lan();
  how.max_reads = 5;
  subject replica{how};
  replica.lead();
  for (auto each = 0; each < 5; ++each) {
    replica.step(replica::read{});
    CHECK(replica.all<replica::refused>().empty());
  }
  replica.step(replica::read{});
  CHECK(replica.only<replica::refused>().why.code == errc::limit_reached);
}

TEST_CASE("a flood of members is bounded") {
  auto how = lan();
  how.max_members = 3;
  subject replica{how};
  replica.lead();
  auto last = (*replica).last_index();
  replica.hear({2, append_answer{true, last, 0, 0, 1, last}});
  replica.step(replica::add_learner{{9}, "nine"});
  auto why = replica.only<replica::refused>().why;
  CHECK(why.code == errc::limit_reached);
  CHECK_THAT(why.detail, ContainsSubstring("remove one first"));
}

TEST_CASE("a snapshot that loses bytes on its way is asked for again, and changes nothing") {
  std::string whole(1'000, 's');
  subject replica;
  auto term = (*replica).term();
  replica.hear({term, part_of(whole, 0, 600)});
  CHECK(replica.said<snapshot_answer>().offset == 600);

  SECTION("a part that was cut short leaves a gap: it goes on where that is") {
    auto cut = part_of(whole, 600, 100);
    replica.hear({term, cut});
    CHECK(replica.said<snapshot_answer>().offset == 700);
    replica.hear({term, part_of(whole, 900, 100)}); // the one between was lost
    CHECK(replica.said<snapshot_answer>().offset == 700);
    replica.hear({term, part_of(whole, 0, 600)}); // the leader begins again
    CHECK(replica.said<snapshot_answer>().offset == 600);
  }
  SECTION("a flipped byte is found by the checksum of the whole") {
    auto last = part_of(whole, 600, 400);
    last.bytes[10] = 't';
    replica.hear({term, last});
    auto why = replica.only<replica::ignored>().why;
    CHECK(why.code == errc::damaged);
    CHECK_THAT(why.detail, ContainsSubstring("asked for again"));
    CHECK(replica.said<snapshot_answer>().offset == 0);
    CHECK(replica.all<replica::write>().empty());
    replica.hear({term, part_of(whole, 0, 600)});
  }
  SECTION("parts of another snapshot are not mixed with it") {
    std::string other(1'000, 't');
    replica.hear({term, part_of(other, 600, 400)});
    CHECK(replica.said<snapshot_answer>().offset == 0);
    replica.hear({term, part_of(whole, 0, 600)});
  }
  CHECK(replica.all<replica::installed>().empty());
  CHECK((*replica).last_index() == 3);

  replica.hear({term, part_of(whole, 600, 400)});
  auto state = replica.only<replica::installed>().what;
  CHECK(*state.bytes == whole);
  CHECK(state.header == header_at(50));
  CHECK((*replica).last_index() == 50);
}

TEST_CASE("a snapshot over its bound is refused with the remedy") {
  auto how = lan();
  how.max_snapshot_bytes = 999;
  subject replica{how};
  replica.hear({(*replica).term(), part_of(std::string(1'000, 's'), 0, 600)});
  auto why = replica.only<replica::ignored>().why;
  CHECK(why.code == errc::too_large);
  CHECK_THAT(why.detail, ContainsSubstring("raise raft::options::max_snapshot_bytes"));
}

TEST_CASE("a leader that lacks what is committed here is not heard", "[raft]") {
  subject replica;
  auto committed = append{3, 1, 3, {}, 1, {}};
  replica.hear({1, committed});
  REQUIRE((*replica).commit_index() == 3);
  auto is_deaf = [&] {
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("is committed here in term 1"));
    CHECK(replica.all<replica::send>().empty());
    CHECK((*replica).leader() == seat_id{});
    CHECK((*replica).term_of(2) == 1);
  };
  SECTION("by an entry") {
    replica.hear({2, entries_behind(1, 1, {{2, 2, {}, no_op{}}})}, {3});
    is_deaf();
  }
  SECTION("by the entry before") {
    replica.hear({2, entries_behind(2, 2, {{3, 2, {}, no_op{}}})}, {3});
    is_deaf();
  }
  SECTION("by a snapshot") {
    auto header = header_at(2);
    header.term = 2;
    snapshot_part first;
    first.header = header;
    first.size = 1;
    first.bytes = "x";
    replica.hear({2, first}, {3});
    is_deaf();
  }
  SECTION("and hears the one that has it") {
    replica.hear({2, entries_behind(1, 1, {{2, 2, {}, no_op{}}})}, {3});
    replica.hear({3, committed});
    CHECK((*replica).leader() == seat_id{2});
  }
}

TEST_CASE("a leader that contradicts what a snapshot has here is not heard", "[raft]") {
  auto how = lan();
  how.keep_entries = 0;
  subject replica{how};
  replica.hear({1, append{3, 1, 3, {}, 1, {}}});
  replica.step(replica::compacted{3});
  REQUIRE((*replica).look({}).first == 4);
  replica.hear({2, entries_behind(2, 2, {})}, {3});
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("is committed here in term 1"));
  CHECK(replica.all<replica::send>().empty()); // that it has what is committed, say
  replica.hear({2, entries_behind(2, 1, {})}, {3});
  CHECK((*replica).leader() == seat_id{3});
}

TEST_CASE("a replica that committed what the leader of the others lacks does not disturb them",
          "[raft]") {
  subject replica;
  replica.hear({2, append{3, 1, 4, {}, 1, {{4, 2, {}, no_op{}}}}});
  REQUIRE((*replica).commit_index() == 4);
  for (auto each = 0; each < 100; ++each) {
    replica.hear({3, entries_behind(4, 1, {{5, 1, {}, no_op{}}})}, {3});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("a disk has lost what it had synced"));
    replica.run(lan().heartbeat);
    for (auto& [to, what] : replica.all<replica::send>()) // it may ask for votes, as a trial
      CHECK(std::get<vote_request>(what.body).trial);
    CHECK((*replica).leader() == seat_id{});
  }
  CHECK((*replica).term() == 3);
}

TEST_CASE("a leader that lacks what another one of its term has committed leads no more",
          "[raft]") {
  subject replica;
  replica.lead();
  replica.hear({2, append{3, 1, 3, {}, 1, {}}}, {3}); // says nothing of who is right
  CHECK((*replica).current_role() == role::leader);
  replica.hear({2, append{9, 1, 9, {}, 1, {}}}, {3});
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("a disk has lost what it had synced"));
  CHECK((*replica).current_role() == role::follower);
}

namespace {

/// The disk of a replica that votes alone: an older copy, from before others voted.
stored_state older_copy() {
  stored_state disk;
  disk.last_ballot = {8, {}};
  disk.base.members.members[{1}] = {true, ""};
  disk.entries = {{1, 7, {}, no_op{}}, {2, 7, {}, std::string{"x"}}};
  return disk;
}

/// Leads alone in term 9 and has committed entry 3.
subject lonely_leader() {
  subject replica{lan(), older_copy()};
  replica.run(50ms);
  REQUIRE((*replica).current_role() == role::leader);
  REQUIRE((*replica).term() == 9);
  REQUIRE((*replica).commit_index() == 3);
  return replica;
}

} // namespace

TEST_CASE("one that leads alone leads no more when an earlier leader has committed what it lacks",
          "[raft]") {
  auto replica = lonely_leader();
  append heartbeat{3, 8, 3, {}, 1, {}};
  auto hears = [&](message what) {
    replica.hear(std::move(what));
    CHECK_FALSE(replica.said<append_answer>().accepted);
    return (*replica).current_role() == role::leader ? "goes on" : "stops";
  };
  SECTION("its entry is another one") {
    CHECK(hears({8, heartbeat}) == "stops"s);
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("entry 3 was committed in term 8")
                 && ContainsSubstring("it led alone without that"));
    INFO("nor does it stand again, also when it hears of no leader any more");
    replica.run(lan().election_timeout * 10);
    CHECK((*replica).current_role() == role::follower);
    CHECK((*replica).term() == 9);
    INFO("until it has heard nothing of them for long: they may be the older copies");
    replica.run(lan().election_timeout * 85);
    CHECK((*replica).current_role() == role::follower);
    replica.run(lan().election_timeout * 5 + 100ms);
    CHECK((*replica).current_role() == role::leader);
  }
  SECTION("and a leader that says nothing of what it lacks does not end that") {
    CHECK(hears({8, heartbeat}) == "stops"s);
    replica.hear({10, append{2, 7, 2, {}, 1, {}}});
    CHECK((*replica).leader() == seat_id{2});
    replica.run(lan().election_timeout * 90);
    CHECK((*replica).current_role() == role::follower);
  }
  SECTION("it does not reach so far") {
    heartbeat.previous_index = heartbeat.commit = 4;
    CHECK(hears({8, heartbeat}) == "stops"s);
  }
  SECTION("it is told no more than how much is committed") {
    CHECK(hears({8, {append{0, 0, 3, {}, 1, {}}}}) == "goes on"s);
    CHECK(hears({8, {append{0, 0, 4, {}, 1, {}}}}) == "stops"s);
  }
  SECTION("entries come with it") {
    CHECK(hears({8, {append{2, 7, 3, {}, 1, {{3, 8, {}, no_op{}}}}}}) == "stops"s);
  }
  SECTION("a snapshot says so") {
    auto part = part_of("x", 0, 1);
    CHECK(hears({8, part}) == "stops"s);
  }
  SECTION("others have come to it since") {
    replica.step(replica::add_learner{{2}, ""});
    append_answer has_all{true, 4, 0, 0, 0, 4};
    replica.hear({9, has_all});
    replica.step(replica::promote{{2}});
    has_all.index = has_all.last_index = 5;
    replica.hear({9, has_all});
    REQUIRE((*replica).members().voters().size() == 2);
    replica.hear({8, heartbeat}, {3});
    CHECK((*replica).current_role() == role::follower);
  }
  SECTION("the other one has not committed it") {
    heartbeat.commit = 2;
    CHECK(hears({8, heartbeat}) == "goes on"s);
    CHECK(hears({8, {append{2, 7, 2, {}, 1, {{3, 8, {}, no_op{}}}}}}) == "goes on"s);
  }
  SECTION("what the other one has committed is here") {
    CHECK(hears({8, {append{2, 7, 2, {}, 1, {}}}}) == "goes on"s);
  }
}

TEST_CASE("one that led alone stands no more, also when the others' term is the later one",
          "[raft]") {
  auto replica = lonely_leader();
  for (auto each = 0; each < 100; ++each) {
    replica.hear({100, append{3, 100, 3, {}, 1, {}}});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("it led alone without that"));
    replica.run(lan().election_timeout);
    CHECK((*replica).current_role() == role::follower);
  }
  CHECK((*replica).term() == 100);
}

namespace {

/// Replica 1 of so many voters, with a snapshot at entry 1,000, made in term 5.
stored_state snapshot_of(std::uint64_t voters) {
  stored_state disk;
  disk.last_ballot = {5, {}};
  disk.base.index = 1'000;
  disk.base.term = 5;
  for (std::uint64_t each = 1; each <= voters; ++each)
    disk.base.members.members[{each}] = {true, ""};
  for (std::uint64_t each = 1; each <= 3; ++each)
    disk.entries.push_back({1'000 + each, 5, {}, disk.base.members});
  return disk;
}

} // namespace

TEST_CASE("a leader that contradicts what lies below a snapshot is not heard", "[raft]") {
  auto contradiction = append{60, 39'999, 61, {}, 1, {}};
  SECTION("and not disturbed, where this replica led alone") {
    subject replica{lan(), snapshot_of(1)};
    replica.run(50ms);
    REQUIRE((*replica).current_role() == role::leader);
    replica.hear({40'000, contradiction});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("it led alone without that"));
    replica.run(lan().election_timeout * 90);
    CHECK((*replica).current_role() == role::follower);
  }
  SECTION("and there may be another one, where others vote") {
    subject replica{lan(), snapshot_of(3)};
    replica.hear({40'000, contradiction});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("of a voter that elected the leader"));
    replica.run(lan().election_timeout * 5);
    CHECK((*replica).current_role() == role::pre_candidate);
  }
}

TEST_CASE("what a leader sends from below a snapshot is heard, and acknowledged no further than "
          "that leader knows it to be committed",
          "[raft]") {
  subject replica{lan(), snapshot_of(3)};
  replica.hear({9, append{600, 3, 602, {}, 1, {}}});
  CHECK((*replica).leader() == seat_id{2});
  CHECK(replica.said<append_answer>().accepted);
  CHECK(replica.said<append_answer>().index == 602);
  replica.hear({9, append{600, 3, 900, {}, 1, {{601, 3, {}, no_op{}}}}});
  CHECK(replica.said<append_answer>().index == 900);
  replica.hear({9, append{600, 3, 9'000, {}, 2, {}}});
  CHECK(replica.said<append_answer>().index == 1'000);
  INFO("what it adds in its own term contradicts the snapshot");
  replica.hear({9, append{602, 3, 602, {}, 3, {{603, 9, {}, no_op{}}}}});
  CHECK((*replica).leader() == seat_id{});
}

TEST_CASE(
  "one that leads alone leads no more when an earlier leader has committed what its snapshot "
  "cannot have",
  "[raft]") {
  auto disk = snapshot_of(1);
  disk.last_ballot = {20, {}};
  subject replica{lan(), disk};
  replica.run(50ms);
  REQUIRE((*replica).current_role() == role::leader);
  replica.hear({10, append{60, 5, 61, {}, 1, {}}});
  CHECK((*replica).current_role() == role::leader); // it may have that
  replica.hear({10, append{60, 6, 61, {}, 1, {}}});
  CHECK((*replica).current_role() == role::follower);
}

TEST_CASE("the only voter that has heard of more waits for three election time-outs", "[raft]") {
  subject replica{lan(), older_copy()};
  replica.hear({9, vote_request{500, 8, false, false}});
  replica.run(lan().election_timeout * 3 - 50ms);
  CHECK((*replica).current_role() == role::follower);
  replica.run(100ms);
  CHECK((*replica).current_role() == role::leader);
}

TEST_CASE("one that led alone stands again once it has what the others have", "[raft]") {
  auto replica = lonely_leader();
  replica.hear({8, append{3, 8, 3, {}, 1, {}}});
  REQUIRE((*replica).current_role() == role::follower);
  auto seat = seat_id{1};
  SECTION("by a snapshot") {}
  SECTION("on a seat of its own") {
    seat = seat_id{3};
    replica.step(replica::change_seat{seat});
  }
  auto header = header_at(50);
  snapshot_part whole{header, 0, 1, crc32c("x"), "x"};
  replica.hear({20, whole});
  replica.hear({20, append{50, 1, 51, {}, 2, {{51, 20, {}, no_op{}}}}});
  REQUIRE((*replica).members().votes(seat));
  auto role_after = [&](duration span) {
    replica.run(span);
    return (*replica).current_role();
  };
  CHECK(role_after(lan().election_timeout * 3) != role::follower);
}

TEST_CASE("a leader with voters behind it goes on, whatever an earlier one says", "[raft]") {
  subject replica;
  replica.lead();
  replica.hear({1, append{9, 1, 9, {}, 1, {}}}, {3});
  CHECK((*replica).current_role() == role::leader);
  CHECK_FALSE(replica.said<append_answer>().accepted);
}

TEST_CASE("of two leaders of one term only the first is heard", "[raft]") {
  subject replica;
  replica.hear({2, append{3, 1, 3, {}, 1, {}}});
  replica.hear({2, append{3, 1, 3, {}, 1, {}}}, {3});
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("two leaders of one term"));
  CHECK((*replica).leader() == seat_id{2});
}
