// What a replica does with messages that no replica sends, requests beyond its bounds, and
// snapshots that do not arrive whole.

#include "troupe/raft/replica.hpp" // the header under test

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

#include "one_replica.hpp"

namespace bad_input_test {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace troupe;
using namespace troupe::raft;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr auto huge = std::uint64_t{1} << 63U;

} // namespace

TEST_CASE("a message with numbers that no group counts to is dropped and named") {
  auto far = group_time{duration::max()};
  auto bad = GENERATE_COPY(values<message>({
    {0, take_over{}},
    {huge, take_over{}},
    {std::numeric_limits<std::uint64_t>::max(), vote_request{3, 1, true, false}},
    {1, vote_request{huge, 1, false, false}},
    {1, vote_request{3, 7, false, false}},
    {1, vote_request{3, 1, true, false, 4, 1}},
    {2, vote_request{3, 1, true, false, 3, 2}},
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
    {1, snapshot_part{snapshot_header{}, 0, 5, 0, "state"}},
    {1, snapshot_part{header_at(50), huge, 5, 0, "state"}},
    {1, snapshot_part{header_at(50), 2, 5, 0, "state"}},
    {1, snapshot_part{header_at(50), 0, huge, 0, "state"}},
  }));
  subject replica;
  auto term = (*replica).term();
  auto last = (*replica).last_index();
  replica.hear(bad);
  auto why = replica.only<replica::ignored>();
  CHECK(why.from == member_id{2});
  CHECK_FALSE(why.why.detail.empty());
  CHECK_FALSE(why.contradicts); // no disk has lost anything
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
  CHECK((*replica).leader() == member_id{2});
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
  CHECK(fresh.leader() == member_id{2});
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
  std::vector<member_id> take_over;
  for (auto& each : replica.all<replica::send>())
    if (std::holds_alternative<raft::take_over>(each.what.body))
      take_over.push_back(each.to);
  CHECK(take_over == std::vector{member_id{3}});
}

TEST_CASE("a learner that has lost what it acknowledged gets no vote") {
  subject replica;
  replica.lead();
  auto all_is_synced = [&](member_id by) {
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
  CHECK(static_cast<std::size_t>(taken) * size <= how.max_uncommitted_bytes);
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
    auto other = part_of(std::string(1'000, 't'), 600, GENERATE(std::size_t{100}, 400));
    replica.hear({term, other});
    CHECK(replica.said<snapshot_answer>().offset == 0);
    CHECK(replica.all<replica::ignored>().empty()); // none of it is damaged
    replica.hear({term, part_of(whole, 0, 600)});
  }
  SECTION("nor those of the same state at another entry") {
    auto later = part_of(whole, 600, 400);
    later.header.index = 51;
    replica.hear({term, later});
    CHECK(replica.said<snapshot_answer>().index == 51);
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
TEST_CASE("of two leaders of one term only the first is heard", "[raft]") {
  subject replica;
  replica.hear({2, append{3, 1, 3, {}, 1, {}}});
  replica.hear({2, append{3, 1, 3, {}, 1, {}}}, {3});
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("two leaders of one term"));
  CHECK((*replica).leader() == member_id{2});
}

} // namespace bad_input_test
