#include "troupe/group/own_services.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "group/small_group.hpp"

namespace own_services_test {

using namespace troupe;
using namespace troupe::host;
using namespace troupe::host::small_test;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr auto tickets = number_of_own("tickets");
const service_title tickets_title{"tickets", "ticket_service"};
const small_group::own has_tickets{{tickets, tickets_title}};
const small_group::own has_none{};

/// Nodes 1, 2 and 3 bring these; node 1 leads.
small_group a_group(small_group::own first, small_group::own second, small_group::own third,
                    group_options how = small_group::options()) {
  return small_group{how, {1, 1, 1}, {std::move(first), std::move(second), std::move(third)}};
}

void introduce(small_group& group, const service_title& title = tickets_title) {
  group.give(1, raw(to_bytes(group_fact{introduction{number_of_own(title.name), title}}),
                    group_core::itself));
}

/// An entry of the service, whoever leads: as one that did before has written it.
void write(small_group& group, const std::string& text) {
  group.give(1, raw(text, tickets));
}

/// A group of one node whose program has `tickets`. Its sections come when the test gives them.
class one_of_one {
public:
  std::optional<problem> stopped;
  std::string warning;

  explicit one_of_one(const group_options& how)
    : core_({1}, how, small_group::services(1, has_tickets), alone(), time_point{}, has_tickets) {
    while (core_.consensus().current_role() != raft::role::leader
           || core_.own_view_of_all().empty())
      tick();
  }

  void step(const group_core::event& what) {
    group_core::effects made;
    core_.step(now_, 7, what, made);
    carry_out(made);
  }

  void tick() {
    now_ = core_.next_deadline().value();
    group_core::effects made;
    core_.tick(now_, made);
    carry_out(made);
  }

  void note(const std::string& text, service_id which = notes) {
    step(group_core::propose{which, {core_.consensus().term(), 1, text}});
  }

  /// Writes entries of a service of ours until this holds, or for long.
  template <class Condition>
  void note_until(Condition holds) {
    for (auto each = 0; each < 50 && !holds(); ++each)
      note("n;");
  }

  /// The entry of the next snapshot, for which the services were asked.
  raft::log_index note_until_asked() {
    note_until([&] { return !asked_.empty(); });
    REQUIRE(asked() == std::vector{notes, more_notes, tickets});
    return asked_at_;
  }

  /// The services that were asked for their sections since the last call.
  std::vector<service_id> asked() {
    return std::exchange(asked_, {});
  }

  void give_section(service_id which, raft::log_index index) {
    step(group_core::section_of(which, index, "state of " + std::to_string(which)));
  }

  /// The snapshot that was made since the last call.
  std::optional<group_core::save> saved() {
    return std::exchange(saved_, {});
  }

  [[nodiscard]] bool has_warned() const {
    return !warning.empty();
  }

  [[nodiscard]] raft::log_index applied() const {
    return core_.applied();
  }

private:
  static raft::stored_state alone() {
    raft::stored_state stored;
    stored.base.members.members[{1}] = {true, ""};
    return stored;
  }

  void carry_out(group_core::effects& made) {
    while (!made.empty()) {
      group_core::effects next;
      for (auto& each : made)
        if (auto* write = std::get_if<group_core::write>(&each))
          core_.step(now_, 0, raft::replica::event{raft::replica::written{write->number}}, next);
        else if (auto* asks = std::get_if<group_core::take_section>(&each)) {
          asked_.push_back(asks->service);
          asked_at_ = asks->index;
        } else if (auto* save = std::get_if<group_core::save>(&each))
          saved_ = std::move(*save);
        else if (auto* warned = std::get_if<group_core::warned>(&each))
          warning = warned->why.detail;
        else if (auto* stop = std::get_if<group_core::stop>(&each))
          stopped = stop->why;
      made = std::move(next);
    }
  }

  time_point now_{};
  group_core core_;
  std::vector<service_id> asked_;
  raft::log_index asked_at_ = 0;
  std::optional<group_core::save> saved_;
};

/// What a replica whose program has `own` starts with, from this snapshot.
group_core::effects begin_with(const raft::snapshot& from, const small_group::own& own) {
  raft::stored_state stored;
  stored.base = from.header;
  group_core fresh{{3},    small_group::options(), small_group::services(1, own),
                   stored, time_point{},           own};
  group_core::effects out;
  CHECK(fresh.begin(*from.bytes, out).code == errc::none);
  return out;
}

/// The state of the service that these effects make, on top of `state`.
std::string tickets_after(const group_core::effects& all, std::string state = {}) {
  for (auto& each : all) {
    if (auto* section = std::get_if<group_core::restore_section>(&each);
        section != nullptr && section->service == tickets)
      state = section->bytes;
    if (auto* entry = std::get_if<group_core::deliver>(&each);
        entry != nullptr && entry->service == tickets)
      state += entry->payload;
  }
  return state;
}

} // namespace

TEST_CASE("a service that programs bring is introduced by the log, and leads from then on") {
  auto group = a_group(has_tickets, has_tickets, has_tickets);
  CHECK(group.at(1).led.contains(tickets));
  CHECK_FALSE(group.at(2).led.contains(tickets));
  group.note("a;", tickets);
  group.note("b;", tickets);
  for (std::uint64_t each : {1, 2, 3})
    CHECK(group.at(each).states[tickets] == "a;b;");
}

TEST_CASE("a program may bring many services, with names of any length that a node takes") {
  small_group::own many;
  for (auto each = 0; each < 20; ++each) {
    service_title title{std::to_string(each) + std::string(250, 'n'), std::string(250, 't')};
    many.emplace(number_of_own(title.name), title);
  }
  auto group = a_group(many, many, {});
  for (auto& [which, title] : many)
    CHECK(group.at(1).led.contains(which));
}

TEST_CASE("a leader whose program lacks a service leads the others") {
  auto group = a_group(has_none, has_tickets, has_tickets);
  introduce(group);
  CHECK_FALSE(group.at(1).led.contains(tickets));
  CHECK(group.at(1).led.contains(notes));
  write(group, "a;");
  group.note("b;");
  CHECK(group.at(2).states[tickets] == "a;");
  CHECK_FALSE(group.at(1).states.contains(tickets));
  CHECK(group.at(1).states[notes] == "b;");
}

TEST_CASE("a replica without a service keeps its entries for a program that has it") {
  auto group = a_group(has_tickets, has_tickets, has_none);
  std::string all;
  for (auto each = 0; each < 25; ++each) {
    group.note(std::to_string(each) + ';', tickets);
    all += std::to_string(each) + ';';
  }
  REQUIRE(group.at(3).saved.size() >= 2);
  for (auto& each : group.at(3).saved) {
    auto mine = tickets_after(begin_with(each, has_tickets));
    CHECK_FALSE(mine.empty());
    CHECK(all.starts_with(mine));
  }
  CHECK_FALSE(group.at(3).states.contains(tickets));
  CHECK_FALSE(group.at(3).stopped);
}

TEST_CASE("snapshots of replicas with and without a service lead to the same state") {
  auto group = a_group(has_tickets, has_tickets, has_none);
  for (auto each = 0; each < 40; ++each)
    group.note(std::to_string(each) + ';', each % 3 == 0 ? notes : tickets);
  auto& with = group.at(2).saved;
  auto& without = group.at(3).saved;
  REQUIRE(with.size() == without.size());
  for (std::size_t each = 0; each < with.size(); ++each) {
    CHECK(with[each].header == without[each].header);
    CHECK(tickets_after(begin_with(with[each], has_tickets))
          == tickets_after(begin_with(without[each], has_tickets)));
  }
}

TEST_CASE("what a replica kept survives its restart, and goes on from there") {
  auto group = a_group(has_tickets, has_tickets, has_none);
  for (auto each = 0; each < 12; ++each)
    group.note(std::to_string(each) + ';', tickets);
  auto kept = group.at(3).saved.back();
  raft::stored_state stored;
  stored.base = kept.header;
  group_core again{{3}, small_group::options(), small_group::services(), stored, time_point{}};
  group_core::effects out;
  REQUIRE(again.begin(*kept.bytes, out).code == errc::none);
  CHECK(tickets_after(out).empty());
  auto views = again.own_view_of_all();
  REQUIRE(views.size() == 1);
  CHECK(views.front().title == tickets_title);
  CHECK(views.front().why.code == errc::incompatible);
  CHECK_THAT(views.front().why.detail, ContainsSubstring("node_options::services"));
}

TEST_CASE("a replica that has stepped entries gets the rest of who lacks the service, once") {
  auto how = small_group::options();
  how.consensus.keep_entries = 0;
  auto group = a_group(has_none, has_tickets, has_tickets, how);
  introduce(group);
  write(group, "a;");
  write(group, "b;");
  group.beat();
  REQUIRE(group.at(3).states[tickets] == "a;b;");
  group.cut_off(3);
  for (auto each = 0; each < 30; ++each)
    write(group, std::to_string(each) + ';');
  group.connect(3);
  for (auto each = 0; each < 20; ++each)
    group.beat();
  REQUIRE(group.at(1).loads > 0); // it was sent a snapshot
  CHECK(group.at(3).states[tickets] == group.at(2).states[tickets]);
}

TEST_CASE("a replica that keeps too much of a service that it lacks stops, and says what to do") {
  auto how = small_group::options();
  how.max_unread_bytes = 100;
  auto group = a_group(has_tickets, has_tickets, has_none, how);
  group.note(std::string(60, 'a'), tickets);
  group.note(std::string(40, 'b'), tickets);
  group.beat();
  CHECK_FALSE(group.at(3).stopped);
  group.note("c", tickets);
  group.beat();
  REQUIRE(group.at(3).stopped);
  CHECK(group.at(3).stopped->code == errc::limit_reached);
  CHECK_THAT(group.at(3).stopped->detail,
             ContainsSubstring("'tickets'") && ContainsSubstring("max_unread_bytes"));
  CHECK_FALSE(group.at(1).stopped); // who runs it keeps as much at a time as it needs
  CHECK_FALSE(group.at(2).stopped);
}

TEST_CASE("a service that has ended on one replica goes on elsewhere, and the replica votes on") {
  auto group = a_group(has_tickets, has_tickets, has_tickets);
  for (auto each = 0; each < 15; ++each)
    group.note(std::to_string(each) + ';', tickets);
  group.give(2, group_core::ended{tickets, {errc::failed, "its rules threw"}});
  CHECK(group.at(2).excluded[tickets].code == errc::failed);
  CHECK_THAT(group.at(2).warnings.back().detail, ContainsSubstring("its rules threw"));
  for (auto each = 15; each < 40; ++each)
    group.note(std::to_string(each) + ';', tickets);
  CHECK_FALSE(group.at(2).stopped);
  CHECK(group.at(2).saved.back().header == group.at(3).saved.back().header);
  CHECK(tickets_after(begin_with(group.at(2).saved.back(), has_tickets))
        == tickets_after(begin_with(group.at(3).saved.back(), has_tickets)));
}

TEST_CASE("a service of ours that has ended stops the replica") {
  auto group = a_group(has_none, has_none, has_none);
  group.give(2, group_core::ended{notes, {errc::failed, "its rules threw"}});
  REQUIRE(group.at(2).stopped);
  CHECK(group.at(2).stopped->code == errc::failed);
}

TEST_CASE("a service that ends while its section is awaited leaves the snapshot to the next one") {
  auto how = small_group::options();
  how.snapshot_every = 1'000;
  one_of_one group{how};
  group.step(group_core::snapshot_now{});
  REQUIRE(group.asked() == std::vector{notes, more_notes, tickets});
  group.step(group_core::ended{tickets, {errc::failed, "its rules threw"}});
  group.tick(); // whoever asked for it still waits
  REQUIRE(group.asked() == std::vector{notes, more_notes});
  for (auto each : {notes, more_notes})
    group.give_section(each, group.applied());
  CHECK(group.saved());
}

TEST_CASE("a service that does not give its section does not keep the log from being shortened") {
  auto how = small_group::options();
  how.max_unread_bytes = 200;
  one_of_one group{how};
  group.note("early;", tickets);
  auto first = group.note_until_asked();
  for (auto each : {notes, more_notes, tickets})
    group.give_section(each, first);
  REQUIRE(group.saved());
  group.step(group_core::saved{first, true});
  group.note("a;", tickets);
  auto second = group.note_until_asked();
  group.give_section(notes, second);
  group.note("b;", tickets); // after the snapshot that waits
  group.note_until([&] { return group.has_warned(); });
  CHECK_FALSE(group.saved()); // a service of ours is waited for, however long it takes
  group.give_section(more_notes, second);
  group.note_until([&] { return group.has_warned(); });
  auto kept = group.saved();
  REQUIRE(kept);
  CHECK(kept->header.index == second);
  CHECK(kept->state.sections.at(tickets) == "state of " + std::to_string(tickets));
  REQUIRE(kept->state.unread.at(tickets).size() == 1);
  CHECK(kept->state.unread.at(tickets).front().payload == "a;");
  CHECK_THAT(group.warning, ContainsSubstring("'tickets'"));
  group.step(group_core::saved{second, true});
  SECTION("and is asked again for the next one") {
    auto third = group.note_until_asked();
    for (auto each : {notes, more_notes, tickets})
      group.give_section(each, third);
    CHECK(group.saved()->state.unread.empty());
    group.note(std::string(250, 'c'), tickets); // it is in time again
    CHECK_FALSE(group.stopped);
  }
  SECTION("but its entries are kept up to a bound only") {
    group.note(std::string(250, 'c'), tickets);
    REQUIRE(group.stopped);
    CHECK(group.stopped->code == errc::limit_reached);
    CHECK_THAT(group.stopped->detail, ContainsSubstring("its rules take too long"));
  }
}

TEST_CASE("a service has until the next snapshot is due to give its section") {
  one_of_one group{small_group::options()};
  group.note("a;", tickets);
  auto index = group.note_until_asked();
  for (auto each : {notes, more_notes})
    group.give_section(each, index);
  group.note("b;", tickets);
  group.note("n;");
  CHECK_FALSE(group.saved());
  CHECK_FALSE(group.has_warned());
  group.give_section(tickets, index);
  auto kept = group.saved();
  REQUIRE(kept);
  CHECK(kept->state.sections.contains(tickets));
  CHECK_FALSE(kept->state.unread.contains(tickets));
}

TEST_CASE("a service that gives each section a little late does not stop its node") {
  auto how = small_group::options();
  how.max_unread_bytes = 200;
  one_of_one group{how};
  for (auto round = 0; round < 5 && !group.stopped; ++round) {
    auto index = group.note_until_asked();
    for (auto each : {notes, more_notes})
      group.give_section(each, index);
    group.warning.clear();
    group.note_until([&] { return group.has_warned(); });
    REQUIRE(group.saved());
    group.give_section(tickets, index); // the next snapshot was due one entry ago
    group.step(group_core::saved{index, true});
    group.note(std::string(50, 't'), tickets);
  }
  CHECK_FALSE(group.stopped); // what it has not carried out is one entry at most
}

TEST_CASE("of two types under one name the first one counts, and the other is left out") {
  const service_title other{"tickets", "raffle_service"};
  auto group = a_group(has_tickets, {{tickets, other}}, has_tickets);
  group.note("a;", tickets);
  group.beat();
  REQUIRE(group.at(2).excluded.contains(tickets));
  auto& why = group.at(2).excluded[tickets];
  CHECK(why.code == errc::wrong_type);
  CHECK_THAT(why.detail,
             ContainsSubstring("ticket_service") && ContainsSubstring("raffle_service"));
  CHECK_FALSE(group.at(2).states.contains(tickets));
  introduce(group, other); // as a leader that had not heard of the first one would
  group.note("b;", tickets);
  CHECK(group.at(1).states[tickets] == "a;b;");
}

TEST_CASE("two names that share a number are told apart") {
  const service_title other{"stekcit", "ticket_service"};
  own_services known{{{tickets, other}}};
  CHECK(known.introduce({tickets, tickets_title}));
  CHECK_FALSE(known.introduce({tickets, other}));
  CHECK_FALSE(known.runs(tickets));
  CHECK(known.why_not(tickets).code == errc::conflict);
  CHECK_THAT(known.why_not(tickets).detail, ContainsSubstring("'stekcit' and 'tickets'"));
}

TEST_CASE("numbers of services that programs bring are the same for ever, and none of ours") {
  CHECK(number_of_own("tickets") == 29'391);
  CHECK(number_of_own("") >= first_own_service);
  for (auto each = 0; each < 10'000; ++each)
    REQUIRE(number_of_own("service " + std::to_string(each)) >= first_own_service);
}

TEST_CASE("the leader names the members that lack a service, and those with older rules") {
  auto group = a_group(has_tickets, has_none, has_tickets);
  group.note("a;", tickets);
  group.beat();
  auto views = group.at(1).core->own_view_of_all();
  REQUIRE(views.size() == 1);
  CHECK(views.front().title == tickets_title);
  CHECK(views.front().why.code == errc::none);
  CHECK(views.front().lacking == std::vector{raft::member_id{2}});
  CHECK(views.front().older.empty());
  auto others = group.at(2).core->own_view_of_all();
  REQUIRE(others.size() == 1);
  CHECK(others.front().why.code == errc::incompatible);
  CHECK(others.front().lacking.empty()); // only who leads has heard of it
}

TEST_CASE("a member that has not told yet what it has is not said to lack a service") {
  auto group = a_group(has_tickets, has_tickets, has_tickets);
  group.note("a;", tickets);
  group.beat();
  group.cut_off(1);
  group.run(std::chrono::seconds{3}); // another one leads, and does not hear node 1
  std::uint64_t leads = group.at(2).core->consensus().current_role() == raft::role::leader ? 2 : 3;
  REQUIRE(group.at(leads).core->consensus().is_settled());
  auto views = group.at(leads).core->own_view_of_all();
  REQUIRE(views.size() == 1);
  CHECK(views.front().lacking.empty());
}

TEST_CASE("what most voters lack is not written, as those would stop at their bound") {
  auto group = a_group(has_tickets, has_none, has_none);
  group.note("a;", tickets);
  REQUIRE_FALSE(group.at(1).refusals.empty());
  CHECK(group.at(1).refusals.back().code == errc::no_quorum);
  CHECK_THAT(group.at(1).refusals.back().detail,
             ContainsSubstring("'tickets'") && ContainsSubstring("2 of 3 voters"));
  CHECK_FALSE(group.at(1).states.contains(tickets));
  group.note("b;"); // others are
  CHECK(group.at(2).states[notes] == "b;");
}

TEST_CASE("where a service has failed it counts as one that a program lacks") {
  auto group = a_group(has_tickets, has_tickets, has_tickets);
  group.note("a;", tickets);
  group.beat();
  group.give(2, group_core::ended{tickets, {errc::failed, "its rules threw"}});
  group.beat();
  group.note("b;", tickets);
  CHECK(group.at(3).states[tickets] == "a;b;"); // two of three run it
  auto views = group.at(1).core->own_view_of_all();
  REQUIRE(views.size() == 1);
  CHECK(views.front().lacking == std::vector{raft::member_id{2}});
  group.give(3, group_core::ended{tickets, {errc::failed, "its rules threw"}});
  group.beat();
  group.note("c;", tickets);
  REQUIRE_FALSE(group.at(1).refusals.empty());
  CHECK(group.at(1).refusals.back().code == errc::no_quorum);
  CHECK_THAT(group.at(1).refusals.back().detail, ContainsSubstring("2 of 3 voters"));
  for (std::uint64_t each : {1, 2, 3})
    CHECK_FALSE(group.at(each).stopped);
}

TEST_CASE("a leader where a service has failed counts itself") {
  auto group = a_group(has_tickets, has_tickets, has_none);
  group.note("a;", tickets);
  group.beat();
  group.note("b;", tickets);
  CHECK(group.at(2).states[tickets] == "a;b;");
  group.give(1, group_core::ended{tickets, {errc::failed, "its rules threw"}});
  group.note("c;", tickets);
  REQUIRE_FALSE(group.at(1).refusals.empty());
  CHECK(group.at(1).refusals.back().code == errc::no_quorum);
}

TEST_CASE("of a service that fails again the first reason is told") {
  own_services known{{{tickets, tickets_title}}};
  REQUIRE(known.introduce({tickets, tickets_title}));
  known.end(tickets, {errc::failed, "its rules threw"});
  known.end(tickets, {errc::damaged, "another reason"});
  CHECK(known.why_not(tickets).detail == "its rules threw");
}

TEST_CASE("who lacks a service tells nothing of older rules of it") {
  auto group = a_group(has_none, has_tickets, has_tickets);
  introduce(group);
  group.beat();
  auto views = group.at(1).core->own_view_of_all();
  REQUIRE(views.size() == 1);
  CHECK(views.front().older.empty());
}

TEST_CASE("a leader that cannot run a service says so, as it is nowhere then") {
  auto group = a_group(has_none, has_tickets, has_none);
  introduce(group);
  group.cut_off(1);
  group.run(std::chrono::seconds{3});
  group.connect(1);
  group.run(std::chrono::seconds{1});
  std::uint64_t leads = 1;
  while (leads < 3 && group.at(leads).core->consensus().current_role() != raft::role::leader)
    ++leads;
  auto lacks = leads != 2;
  CHECK(group.at(leads).led.contains(tickets) != lacks);
  CHECK(std::ranges::any_of(group.at(leads).warnings,
                            [](const problem& each) { return each.code == errc::incompatible; })
        == lacks);
}

TEST_CASE("an introduction that the log did not take is proposed again") {
  auto how = small_group::options();
  how.consensus.max_uncommitted = 1; // of two at once one is refused
  auto both = has_tickets;
  both[number_of_own("raffle")] = {"raffle", "raffle_service"};
  auto group = a_group(both, both, both, how);
  for (auto each = 0; each < 5; ++each)
    group.beat();
  CHECK(group.at(1).led.contains(tickets));
  CHECK(group.at(1).led.contains(number_of_own("raffle")));
  CHECK(group.at(1).core->own_view_of_all().size() == 2);
}

TEST_CASE("entries of a service that was not introduced stop a replica, whoever brings it") {
  own_services known{{{tickets, tickets_title}}};
  CHECK_FALSE(known.is_introduced(tickets));
  CHECK_FALSE(known.runs(tickets));
  REQUIRE(known.to_introduce().size() == 1);
  auto group = a_group(has_none, has_tickets, has_none);
  write(group, "a;");
  group.beat();
  REQUIRE(group.at(2).stopped);
  CHECK(group.at(2).stopped->code == errc::incompatible);
}

TEST_CASE("a state that programs of two releases write otherwise is told, and stops no replica") {
  auto group = a_group(has_tickets, has_tickets, has_tickets);
  for (auto each = 0; each < 5; ++each)
    group.note("a;", tickets);
  group.at(1).states[tickets] += "a field of a later release;";
  for (auto each = 0; each < 40; ++each)
    group.note("b;", tickets);
  for (std::uint64_t each : {1, 2, 3})
    CHECK_FALSE(group.at(each).stopped);
  for (std::uint64_t each : {2, 3}) {
    REQUIRE_FALSE(group.at(each).warnings.empty());
    CHECK(group.at(each).warnings.back().code == errc::damaged);
    CHECK_THAT(group.at(each).warnings.back().detail, ContainsSubstring("'tickets'"));
  }
}

TEST_CASE("a replica that is far behind gets the last section and all entries since, once") {
  auto how = small_group::options();
  how.consensus.keep_entries = 0;
  auto group = a_group(has_tickets, has_tickets, has_tickets, how);
  for (auto each = 0; each < 25; ++each) // some snapshots
    group.note(std::to_string(each) + ';', tickets);
  group.beat();
  auto had = group.at(3).states[tickets];
  group.give(1, group_core::ended{tickets, {errc::failed, "its rules threw"}});
  write(group, "before;"); // after the section that node 1 has, before node 3 is cut off
  group.beat();
  REQUIRE(group.at(3).states[tickets] == had + "before;");
  group.cut_off(3);
  for (auto each = 0; each < 30; ++each)
    write(group, std::to_string(each) + "!;");
  group.connect(3);
  for (auto each = 0; each < 20; ++each)
    group.beat();
  REQUIRE(group.at(1).loads > 0);
  CHECK(group.at(3).states[tickets] == group.at(2).states[tickets]);
}

TEST_CASE("what a section has is not kept beside it, over restarts, too") {
  auto how = small_group::options();
  how.max_unread_bytes = 60;
  auto group = a_group(has_tickets, has_tickets, has_tickets, how);
  for (auto each = 0; each < 35; ++each) // each snapshot has what came before
    group.note("abc;", tickets);
  group.give(2, group_core::ended{tickets, {errc::failed, "its rules threw"}});
  group.note("abc;", tickets);
  group.beat();
  CHECK_FALSE(group.at(2).stopped);
  for (auto each = 0; each < 20; ++each)
    group.note("abc;", tickets);
  group.beat();
  CHECK(group.at(2).stopped);

  own_services before{{}};
  REQUIRE(before.introduce({tickets, tickets_title}));
  REQUIRE(before.keep(tickets, 1, std::string(40, 'a'), 60).code == errc::none);
  group_state state;
  before.write(state.introduced, state.sections, state.unread);
  own_services after{{}};
  after.restore(1, state.introduced, state.sections, state.unread);
  after.restore(1, state.introduced, state.sections, state.unread);
  CHECK(after.unread(tickets).size() == 1);
  CHECK(after.keep(tickets, 2, std::string(40, 'b'), 60).code == errc::limit_reached);
}

TEST_CASE("entries after a section are kept beside it") {
  own_services known{{}};
  REQUIRE(known.introduce({tickets, tickets_title}));
  REQUIRE_FALSE(known.keep(tickets, 1, "before", 60));
  REQUIRE_FALSE(known.keep(tickets, 2, "after", 60));
  known.section_is(tickets, 1, "section");
  REQUIRE(known.unread(tickets).size() == 1);
  CHECK(known.unread(tickets).front().payload == "after");
}

TEST_CASE("of a late service what has come since then is bounded, not what was kept before") {
  own_services known{{{tickets, tickets_title}}};
  REQUIRE(known.introduce({tickets, tickets_title}));
  REQUIRE_FALSE(known.keep(tickets, 1, std::string(500, 'a'), 60)); // it carries these out
  known.is_late(tickets);
  CHECK_FALSE(known.keep(tickets, 2, std::string(60, 'b'), 60));
  known.is_late(tickets); // for the next snapshot, too
  CHECK(known.keep(tickets, 3, "c", 60).code == errc::limit_reached);
}

TEST_CASE("a section that comes too late for its snapshot is kept for the next one") {
  own_services known{{{tickets, tickets_title}}};
  REQUIRE(known.introduce({tickets, tickets_title}));
  REQUIRE_FALSE(known.keep(tickets, 1, "one", 60));
  REQUIRE_FALSE(known.keep(tickets, 2, "two", 60));
  known.late_section_is(tickets, 1, "of a service that is not late");
  CHECK_FALSE(known.section(tickets));
  known.is_late(tickets);
  known.late_section_is(tickets, 1, "section");
  CHECK(known.section(tickets) == "section");
  CHECK(known.unread(tickets).size() == 1);
  CHECK_FALSE(known.keep(tickets, 3, std::string(100, 'c'), 60)); // it is not late any more
}

TEST_CASE("a late section from before a state was restored is not taken") {
  own_services known{{{tickets, tickets_title}}};
  known.restore(7, {{tickets, tickets_title}}, {{tickets, "restored"}}, {});
  known.is_late(tickets);
  known.late_section_is(tickets, 7, "as old");
  known.late_section_is(tickets, 5, "older");
  CHECK(known.section(tickets) == "restored");
  known.late_section_is(tickets, 8, "later");
  CHECK(known.section(tickets) == "later");
}

TEST_CASE("a state that is restored leaves nothing of the one before") {
  own_services known{{}};
  REQUIRE(known.introduce({tickets, tickets_title}));
  known.restore(5, {}, {}, {});
  CHECK_FALSE(known.is_introduced(tickets));
}

TEST_CASE("an introduction of a number of ours is damage") {
  auto group = a_group(has_tickets, has_tickets, has_tickets);
  group.give(1, raw(to_bytes(group_fact{introduction{notes, tickets_title}}), group_core::itself));
  REQUIRE(group.at(1).stopped);
  group_state state;
  state.introduced[notes] = tickets_title;
  group_core fresh{{3}, small_group::options(), small_group::services(), {}, time_point{}};
  group_core::effects out;
  CHECK(fresh.begin(to_bytes(state), out).code == errc::damaged);
}

TEST_CASE(
  "a program with another type of a service hears why also when it starts from a snapshot") {
  auto group = a_group(has_tickets, has_tickets, has_tickets);
  for (auto each = 0; each < 15; ++each)
    group.note("a;", tickets);
  auto out = begin_with(group.at(1).saved.back(), {{tickets, {"tickets", "raffle_service"}}});
  auto is_told = [](auto& each) {
    auto* what = std::get_if<group_core::excluded>(&each);
    return what != nullptr && what->service == tickets && what->why.code == errc::wrong_type;
  };
  CHECK(std::ranges::any_of(out, is_told));
  CHECK(tickets_after(out).empty());
}

} // namespace own_services_test
