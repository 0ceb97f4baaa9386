#include "group/small_group.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace group_core_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::host;
using namespace troupe::host::small_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("all replicas of a group make their snapshots of the same states") {
  small_group group;
  group.note_many(50);
  auto& first = group.at(1).saved;
  REQUIRE(first.size() >= 3);
  for (std::uint64_t other : {2, 3}) {
    auto& saved = group.at(other).saved;
    REQUIRE(saved.size() + 1 >= first.size()); // the leader hears first what is committed
    for (std::size_t each = 0; each < saved.size(); ++each) {
      CHECK(saved[each].header == first[each].header);
      CHECK(*saved[each].bytes == *first[each].bytes);
    }
  }
}

TEST_CASE("a snapshot is made after so many bytes of entries, however few they are") {
  auto how = small_group::options();
  how.snapshot_every = 1'000'000;
  how.snapshot_every_bytes = 10'000;
  small_group group{how};
  for (auto each = 0; each < 9; ++each)
    group.note(std::string(1'000, 'x'));
  CHECK(group.at(1).saved.empty());
  group.note(std::string(1'000, 'x'));
  group.note("the others hear of the commit");
  for (std::uint64_t each : {1, 2, 3})
    CHECK(group.at(each).saved.size() == 1);
}

TEST_CASE("a state larger than that is written again only after as many bytes of entries") {
  auto how = small_group::options();
  how.snapshot_every = 1'000'000;
  how.snapshot_every_bytes = 1'000;
  small_group group{how};
  for (auto each = 0; each < 64; ++each)
    group.note(std::string(1'000, 'x')); // which the state keeps
  CHECK(group.at(1).saved.size() >= 6);  // each twice the one before
  CHECK(group.at(1).saved.size() <= 8);
}

TEST_CASE("a state that is too large to be sent is kept, said and not sent until it is smaller") {
  auto how = small_group::options();
  how.consensus.max_snapshot_bytes = 2'000;
  how.consensus.keep_entries = 1;
  small_group group{how};
  group.cut_off(3);
  for (auto each = 0; each < 30; ++each)
    group.note(std::string(200, 'x'));
  CHECK_FALSE(group.at(1).saved.empty()); // so that its log stays short
  CHECK(group.at(1).core->consensus().look({}).first > 10);
  REQUIRE_FALSE(group.at(1).warnings.empty());
  CHECK(group.at(1).warnings.back().code == errc::limit_reached);
  CHECK_THAT(group.at(1).warnings.back().detail, ContainsSubstring("max_snapshot_bytes"));

  auto said = group.at(1).warnings.size();
  group.connect(3);
  for (auto each = 0; each < 20; ++each)
    group.beat();
  CHECK(group.at(3).states[notes].empty());
  CHECK(group.at(1).loads == 1);
  CHECK(group.at(1).warnings.size() == said + 1); // a leader that was started again says it, too

  group.note(forget_all);
  auto warnings = group.at(1).warnings.size();
  for (auto each = 0; each < 12; ++each)
    group.note("few words; ");
  for (auto each = 0; each < 20; ++each)
    group.beat();
  CHECK(group.at(3).states[notes] == group.at(1).states[notes]);
  CHECK(group.at(1).warnings.size() == warnings);
}

TEST_CASE("a replica whose state is not the leader's stops, and says which service it is") {
  small_group group;
  group.note_many(5);
  group.at(2).states[more_notes][3] ^= 1; // a bit of its memory
  group.note_many(40);
  REQUIRE(group.at(2).stopped);
  CHECK(group.at(2).stopped->code == errc::damaged);
  CHECK_THAT(group.at(2).stopped->detail,
             ContainsSubstring("service 2") && ContainsSubstring("move its log away"));
  CHECK_FALSE(group.at(1).stopped);
  CHECK_FALSE(group.at(3).stopped);
  group.note("last");
  CHECK(group.at(3).states == group.at(1).states);
}

TEST_CASE("what a leader of another release had is not compared") {
  small_group group;
  group.note_many(15);
  auto last = group.at(1).saved.back().header.index;
  auto strange = [&](const std::string& release) {
    return raw(to_bytes(group_fact{checkpoint{last, release, {{notes, 1}}}}), group_core::itself);
  };
  group.give(1, strange("99.0.0"));
  group.note_many(3);
  CHECK_FALSE(group.at(2).stopped);
  last = group.at(1).saved.back().header.index;
  group.give(1, strange(to_string(library_version)));
  group.note_many(3);
  CHECK(group.at(2).stopped);
}

TEST_CASE("a snapshot of a group that was cut short anywhere is damaged, and no part is taken") {
  small_group group;
  group.note_many(15);
  raft::stored_state stored;
  stored.base = group.at(1).saved.back().header;
  auto whole = *group.at(1).saved.back().bytes;
  group_core fresh{{3}, small_group::options(), small_group::services(), stored, time_point{}};
  for (std::size_t size = 0; size < whole.size(); ++size) {
    group_core::effects out;
    auto why = fresh.begin(whole.substr(0, size), out);
    INFO(size);
    CHECK(why.code == errc::damaged);
    CHECK(out.empty());
  }
  group_core::effects out;
  CHECK(fresh.begin(whole, out).code == errc::none);
  REQUIRE(out.size() == 3);
  CHECK(std::holds_alternative<group_core::restore_section>(out[1]));
  auto* known = std::get_if<group_core::members_are>(&out[2]); // no entry will tell them again
  REQUIRE(known != nullptr);
  CHECK(known->members.voters().size() == 3);
}

TEST_CASE("an entry of a service that is not known here stops the replica") {
  small_group group;
  group.give(1, raw("text", 77));
  REQUIRE(group.at(1).stopped);
  CHECK(group.at(1).stopped->code == errc::incompatible);
  CHECK_THAT(group.at(1).stopped->detail, ContainsSubstring("upgrade first"));
}

TEST_CASE("a service that asks too much of its group is refused, and the group goes on") {
  auto how = small_group::options();
  how.consensus.max_uncommitted = 5;
  how.consensus.max_command_bytes = 1'000;
  small_group group{how};
  group.note(std::string(1'001, 'x'));
  REQUIRE(group.at(1).refusals.size() == 1);
  CHECK(group.at(1).refusals.back().code == errc::too_large);
  group.note("small");
  CHECK(group.at(3).states.at(notes) == "small");
  group.cut_off(1);
  for (auto each = 0; each < 100; ++each)
    group.note("flood");
  CHECK(group.at(1).refusals.size() == 1 + 95);
  CHECK(group.at(1).refusals.back().code == errc::limit_reached);
}

TEST_CASE("a snapshot that was asked for is made as soon as the log takes it") {
  auto how = small_group::options();
  how.consensus.max_uncommitted = 5;
  how.snapshot_every = 1'000;
  small_group group{how};
  group.cut_off(1);
  for (auto each = 0; each < 10; ++each)
    group.note("flood");
  group.give(1, group_core::snapshot_now{});
  CHECK(group.at(1).saved.empty());
  group.connect(1);
  for (auto each = 0; each < 3; ++each)
    group.beat();
  for (std::uint64_t each = 1; each <= 3; ++each)
    CHECK(group.at(each).saved.size() == 1);
}

TEST_CASE("new rules are allowed when every member has said that it knows them") {
  using numbers = std::vector<std::uint32_t>;
  SECTION("all do") {
    small_group group{small_group::options(), {3, 4, 3}};
    group.beat();
    group.beat();
    CHECK(group.at(1).allowed == numbers{3});
  }
  SECTION("one does not") {
    small_group group{small_group::options(), {3, 2, 3}};
    group.beat();
    CHECK(group.at(1).allowed == numbers{2});
    group.give(1, raft::replica::event{raft::replica::remove{{2}}});
    group.note("which tells of the commit");
    CHECK(group.at(1).allowed == numbers{2, 3});
  }
  SECTION("a learner is a member, too") {
    small_group group{small_group::options(), {3, 2, 3}};
    group.beat();
    group.cut_off(4);
    group.give(1, raft::replica::event{raft::replica::add_learner{{4}, "four"}});
    group.note("which tells of the commit");
    group.give(1, raft::replica::event{raft::replica::remove{{2}}});
    group.note("which tells of the commit");
    CHECK(group.at(1).core->consensus().members().members.size() == 3);
    CHECK(group.at(1).allowed == numbers{2});
  }
  SECTION("of the host's and of the machine's each as far as all do") {
    auto of = [](std::uint32_t host, std::uint32_t machine) { return host << 16U | machine; };
    small_group group{small_group::options(), {of(1, 2), of(0, 3), of(1, 3)}};
    group.beat();
    group.beat();
    CHECK(group.at(1).allowed == numbers{of(0, 2)});
    group.give(1, raft::replica::event{raft::replica::remove{{2}}});
    group.note("which tells of the commit");
    CHECK(group.at(1).allowed == numbers{of(0, 2), of(1, 2)});
  }
  SECTION("one has not been heard of: who knows what it is") {
    small_group group{small_group::options(), {3, 3, 3}};
    CHECK(group.at(1).allowed == numbers{3}); // by what it said to the first heartbeat
    small_group other{small_group::options(), {3, 3, 1}};
    other.beat();
    CHECK(other.at(1).allowed.empty());
  }
}

TEST_CASE("who is left without a majority says who is missing, and takes it back") {
  auto how = small_group::options();
  how.name_of = [](const std::string&) { return std::string{"a node"}; };
  small_group group{how};
  group.run(1s);
  for (std::uint64_t each : {1, 2, 3})
    CHECK(group.at(each).quorum.code == errc::none);

  group.cut_off(1); // a leader, and then a follower, that is alone
  group.run(quorum_watch::min_patience - 300ms);
  CHECK(group.at(1).quorum.code == errc::none);
  group.run(600ms);
  CHECK(group.at(1).quorum.code == errc::no_quorum);
  CHECK_THAT(group.at(1).quorum.detail, ContainsSubstring("1 of 3 voters reachable"));
  CHECK_THAT(group.at(1).quorum.detail, ContainsSubstring("a node, a node"));
  for (std::uint64_t each : {2, 3}) // a majority, also while they elect
    CHECK(group.at(each).quorum.code == errc::none);

  group.cut_off(2);
  group.cut_off(3);
  group.run(quorum_watch::min_patience + 500ms);
  for (std::uint64_t each : {1, 2, 3})
    CHECK(group.at(each).quorum.code == errc::no_quorum);

  group.connect(1);
  group.connect(2);
  group.run(1s);
  CHECK(group.at(1).quorum.code == errc::none);
  CHECK(group.at(2).quorum.code == errc::none);
  CHECK(group.at(3).quorum.code == errc::no_quorum);
}

TEST_CASE("a replica that changes its seat does not count the old one as reached") {
  small_group group;
  group.run(1s);
  auto view = [&] { return group.at(3).core->quorum(group.now()); };
  REQUIRE(view().voters.size() == 3);
  REQUIRE(view().voters.back().is_reached);
  group.give(3, raft::replica::event{raft::replica::change_seat{{9}}});
  CHECK_FALSE(view().voters.back().is_reached);
  group.run(1min);
  CHECK(group.at(3).quorum.code == errc::none); // it is no voter
}

TEST_CASE("a full disk is told once, and so is that there is room again") {
  small_group group;
  group.run(1s);
  group.at(2).is_full = true;
  for (auto each = 0; each < 3; ++each) {
    group.note("text; ");
    group.run(1s);
  }
  CHECK(group.at(2).room == std::vector{errc::storage_full});
  group.at(2).is_full = false;
  group.run(1s);
  CHECK(group.at(2).room == std::vector{errc::storage_full, errc::none});
  CHECK(group.at(1).room.empty());
}

} // namespace group_core_test
