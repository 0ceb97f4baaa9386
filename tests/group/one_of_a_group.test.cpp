// What one replica of a group says to its disk and its services, step by step.

#include "troupe/group/group_core.hpp" // the header under test

#include "troupe/core/checksum.hpp"
#include "troupe/core/visit.hpp"

#include <malloc.h>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace one_of_a_group_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::host;
using texts = std::vector<std::string>;
using rooms = std::vector<errc>;
using body = decltype(raft::message::body);
using line = decltype(raft::entry::what);

namespace {

constexpr service_id notes = 1;

line note_of(const std::string& text) {
  return to_bytes(group_entry{notes, text});
}

line checkpoint_of(raft::log_index previous = 0, std::uint64_t hash = 0) {
  checkpoint what{previous, to_string(library_version), {{notes, hash}}};
  return to_bytes(group_entry{group_core::itself, to_bytes(group_fact{what})});
}

std::string about(std::uint32_t rules) {
  return to_bytes(known_rules{{{notes, rules}}});
}

constexpr auto tickets = number_of_own("tickets");
const std::map<service_id, service_title> has_tickets{{tickets, {"tickets", "ticket_service"}}};

std::string state_of(const std::string& text, service_id which = notes) {
  return to_bytes(group_state{{{which, text}}});
}

/// The replica of seat 1. The test is its disk, its service and the replicas 2 and 3.
class one_of_a_group {
public:
  /// `own`: what its program adds.
  explicit one_of_a_group(group_options how = options(), std::uint64_t voters = 3,
                          const std::map<service_id, service_title>& own = {})
    : core_(std::make_unique<group_core>(raft::member_id{1}, how, rules(own), stored(voters), now_,
                                         own)) {}

  static group_options options() {
    group_options made;
    made.consensus = raft::lan();
    made.consensus.keep_entries = 1;
    return made;
  }

  static group_options snapshot_every(std::uint32_t entries) {
    auto made = options();
    made.snapshot_every = entries;
    return made;
  }

  [[nodiscard]] const raft::replica& consensus() const {
    return core_->consensus();
  }

  [[nodiscard]] raft::log_index applied() const {
    return core_->applied();
  }

  /// The last round of heartbeats that it has sent.
  [[nodiscard]] std::uint64_t round() const {
    return round_;
  }

  void step(const group_core::event& what, request_id id = 7) {
    group_core::effects out;
    core_->step(now_, id, what, out);
    take(out);
  }

  void tick_after(duration span) {
    now_ += span;
    group_core::effects out;
    core_->tick(now_, out);
    take(out);
  }

  // -- the other replicas -------------------------------------------------------------------

  /// Is elected. Nothing of its term is committed then, unless it is alone.
  void win() {
    for (int each = 0; each < 100 && !leads(); ++each) {
      tick_after(std::max(*consensus().next_deadline() - now_, duration::zero()));
      if (consensus().current_role() == raft::role::pre_candidate)
        hear(2, consensus().term() + 1, raft::vote_answer{true, true});
      if (consensus().current_role() == raft::role::candidate)
        hear(2, consensus().term(), raft::vote_answer{false, true});
    }
    REQUIRE(leads());
  }

  void lead() {
    win();
    accept();
  }

  [[nodiscard]] bool leads() const {
    return consensus().current_role() == raft::role::leader;
  }

  /// Both have all entries that there are now, and have heard the last heartbeat.
  void accept(const std::string& about = {}) {
    auto last = consensus().last_index();
    raft::append_answer answer{true, last, 0, 0, round_, last, about};
    for (std::uint64_t each : {2, 3})
      hear(each, consensus().term(), answer);
  }

  /// Replica 3 leads the term `term` and puts `lines` behind entry `previous`.
  void hear_leader(raft::term_number term, raft::log_index previous,
                   const std::vector<line>& lines = {}, raft::log_index commit = 0) {
    raft::append what;
    what.previous_index = previous;
    what.previous_term = consensus().term_of(previous).value_or(0);
    what.commit = commit;
    for (auto& each : lines)
      what.entries.push_back({++previous, term, {}, each});
    hear(3, term, what);
  }

  /// The same, of entries that are committed at once.
  void hear_committed(raft::term_number term, const std::vector<line>& lines) {
    auto previous = consensus().last_index();
    hear_leader(term, previous, lines, previous + lines.size());
  }

  /// The leader sends its snapshot after entry `index`.
  void hear_snapshot(raft::term_number term, raft::log_index index, const std::string& bytes) {
    raft::snapshot_header header{index, term, {}, consensus().members()};
    hear(3, term, raft::snapshot_part{header, 0, bytes.size(), crc32c(bytes), bytes});
  }

  void hear(std::uint64_t from, raft::term_number term, const body& what) {
    step(raft::replica::event{raft::replica::received{{from}, {term, what}}}, 0);
  }

  // -- the disk -----------------------------------------------------------------------------

  bool is_disk_slow = false;

  /// The write of this number is synced.
  void written(std::uint64_t number) {
    step(raft::replica::event{raft::replica::written{number}}, 0);
  }

  void sync() {
    REQUIRE(written_ < begun_);
    written(written_ = begun_);
  }

  void refuse_write() {
    REQUIRE(written_ < begun_--);
    step(
      raft::replica::event{raft::replica::not_written{{errc::storage_full, "no room; make space"}}},
      0);
  }

  [[nodiscard]] std::uint64_t begun() const {
    return begun_;
  }

  // -- the service ----------------------------------------------------------------------------

  void note(const std::string& text, std::uint64_t number = 1) {
    step(group_core::propose{notes, {consensus().term(), number, text}});
  }

  void read(request_id id, bool may_wait = false) {
    step(group_core::read{notes, may_wait}, id);
  }

  void give_section(raft::log_index index, const std::string& state) {
    step(group_core::section_of(notes, index, state));
  }

  /// What the service was told since the last call, in order.
  texts heard() {
    return std::exchange(heard_, {});
  }

  rooms room; // as the disk was said to have it
  std::vector<group_core::save> saved;
  std::vector<raft::configuration> members;
  std::vector<problem> stops;
  std::vector<request_id> refused;
  raft::group_time led_from{}; // what a service was last told with its lead

private:
  static std::map<service_id, std::uint32_t> rules(const std::map<service_id, service_title>& own) {
    std::map<service_id, std::uint32_t> made{{notes, 3}};
    for (auto& [which, title] : own)
      made[which] = 2;
    return made;
  }

  static std::string name_of(service_id which) {
    return which == notes ? "" : "own service: ";
  }

  static raft::stored_state stored(std::uint64_t voters) {
    raft::stored_state made;
    for (std::uint64_t each = 1; each <= voters; ++each)
      made.base.members.members[{each}] = {true, ""};
    return made;
  }

  void take(group_core::effects& out) {
    for (auto& what : out)
      troupe::visit([this](auto& each) { handle(each); }, what);
    if (!is_disk_slow && written_ < begun_)
      sync();
  }

  void handle(group_core::send& what) {
    if (auto* found = std::get_if<raft::append>(&what.what.body))
      round_ = found->round;
  }

  void handle(group_core::write& what) {
    begun_ = what.number;
  }

  void handle(group_core::deliver& what) {
    heard_.push_back("note " + what.payload);
  }

  void handle(group_core::lead& what) {
    heard_.push_back(name_of(what.service) + "lead of term " + std::to_string(what.term));
    led_from = what.now;
  }

  void handle(group_core::follow&) {
    heard_.emplace_back("follow");
  }

  void handle(group_core::not_taken& what) {
    heard_.push_back(name_of(what.service) + "proposal " + std::to_string(what.number)
                     + " not taken");
  }

  void handle(group_core::read_ready& what) {
    heard_.push_back("read " + std::to_string(what.id) + " ready");
  }

  void handle(group_core::read_refused& what) {
    CHECK(what.why.code == errc::not_leader);
    heard_.push_back("read " + std::to_string(what.id) + " refused");
  }

  void handle(group_core::allow_rules& what) {
    heard_.push_back(name_of(what.service) + "rules " + std::to_string(what.number));
  }

  void handle(group_core::take_section& what) {
    heard_.push_back("take section " + std::to_string(what.index));
  }

  void handle(group_core::restore_section& what) {
    heard_.push_back("restore " + what.bytes);
  }

  void handle(group_core::disk_room& what) {
    room.push_back(what.why.code);
  }

  void handle(group_core::save& what) {
    saved.push_back(what);
  }

  void handle(group_core::members_are& what) {
    members.push_back(what.members);
  }

  void handle(group_core::stop& what) {
    stops.push_back(what.why);
  }

  void handle(group_core::refused& what) {
    refused.push_back(what.id);
  }

  template <class Other>
  void handle(Other&) {}

  time_point now_{};
  std::unique_ptr<group_core> core_;
  std::uint64_t begun_ = 0; // the newest write
  std::uint64_t written_ = 0;
  std::uint64_t round_ = 0; // of the newest heartbeat
  texts heard_;
};

/// A leader that has committed an entry which its own disk does not have yet.
void commit_unsynced(one_of_a_group& replica) {
  replica.lead();
  replica.is_disk_slow = true;
  replica.note("text");
  replica.accept();
  REQUIRE(replica.consensus().commit_index() == 2);
  REQUIRE(replica.applied() == 1);
  replica.heard();
}

/// A follower that makes a snapshot of the state after entry 3.
void take_checkpoint(one_of_a_group& replica) {
  replica.hear_committed(1, {raft::no_op{}, note_of("a"), checkpoint_of()});
  REQUIRE(replica.heard() == texts{"note a", "take section 3"});
}

} // namespace

// -- reads --------------------------------------------------------------------------------------

TEST_CASE("a read is answered once all that was committed before it is applied", "[host][group]") {
  one_of_a_group replica;
  commit_unsynced(replica);
  replica.read(5);
  replica.accept();
  replica.tick_after(20ms);
  CHECK(replica.heard().empty());
  replica.sync();
  CHECK(replica.heard() == texts{"note text", "read 5 ready"});
}

TEST_CASE("a read that may wait has a group begin no round of heartbeats", "[host][group]") {
  one_of_a_group replica;
  replica.lead();
  replica.heard();
  auto before = replica.round();
  replica.read(5, true);
  CHECK(replica.round() == before);
  SECTION("and waits for the next one") {
    replica.tick_after(one_of_a_group::options().consensus.heartbeat);
  }
  SECTION("or for that of another read") {
    replica.read(6);
  }
  CHECK(replica.round() == before + 1);
  CHECK(replica.heard().empty());
  replica.accept();
  CHECK(replica.heard().front() == "read 5 ready");
}

TEST_CASE("reads are refused when the leader of a group leads no more", "[host][group]") {
  one_of_a_group replica;
  SECTION("though they only wait for what is committed to be applied") {
    commit_unsynced(replica);
    replica.read(5);
    replica.accept();
  }
  SECTION("and those that wait for a majority") {
    replica.lead();
    replica.heard();
    replica.read(5);
  }
  CHECK(replica.heard().empty());
  replica.hear_leader(9, 0);
  auto told = replica.heard();
  std::ranges::sort(told);
  CHECK(told == texts{"follow", "read 5 refused"});
  replica.is_disk_slow = false;
  replica.hear_leader(9, 1, {raft::no_op{}}, 2);
  for (auto& each : replica.heard())
    CHECK(each != "read 5 ready");
}

TEST_CASE("a follower refuses a read at once", "[host][group]") {
  one_of_a_group replica;
  replica.read(5);
  CHECK(replica.heard() == texts{"read 5 refused"});
}

TEST_CASE("what is asked of a replica takes no memory once it is answered", "[host][group]") {
  constexpr std::size_t times = 10'000;
  constexpr std::size_t little = 10 * times; // bytes
  one_of_a_group replica;
  std::size_t answers = 0;
  auto takes_little = [&](auto ask) {
    auto before = ::mallinfo2().uordblks;
    for (std::size_t each = 1; each <= times; ++each) {
      ask(each);
      answers += replica.heard().size();
    }
    return ::mallinfo2().uordblks < before + little;
  };
  CHECK(takes_little([&](request_id each) { replica.read(each); }));
  CHECK(answers == times);
  replica.lead();
  replica.heard();
  CHECK(takes_little([&](request_id each) {
    replica.read(each);
    replica.accept();
  }));
  CHECK(answers == 2 * times);
  INFO("nor does what strangers say");
  CHECK(takes_little([&](std::uint64_t each) {
    replica.hear(1'000 + each, replica.consensus().term(), raft::append_answer{});
  }));
}

// -- leading ------------------------------------------------------------------------------------

TEST_CASE("a service leads once, after all that other leaders committed", "[host][group]") {
  one_of_a_group replica;
  replica.hear_leader(1, 0, {raft::no_op{}, note_of("a")});
  CHECK(replica.heard().empty());
  SECTION("of its own term") {
    replica.lead();
    CHECK(replica.heard() == texts{"note a", "lead of term 2"});
  }
  SECTION("and not where it follows") {
    replica.hear_leader(1, 2, {}, 2);
    CHECK(replica.heard() == texts{"note a"});
    replica.hear_leader(2, 2);
    CHECK(replica.heard().empty());
  }
}

TEST_CASE("a proposal counts for the lead that its service has heard of", "[host][group]") {
  one_of_a_group replica;
  replica.win();
  replica.note("early", 4);
  CHECK(replica.heard() == texts{"proposal 4 not taken"});
  replica.accept();
  CHECK(replica.heard() == texts{"lead of term 1"});
  replica.hear_leader(2, 1);
  replica.lead();
  CHECK(replica.heard() == texts{"follow", "lead of term 3"});
  replica.step(group_core::propose{notes, {1, 5, "late"}});
  CHECK(replica.heard() == texts{"proposal 5 not taken"});
  replica.note("in time");
  replica.accept();
  CHECK(replica.heard() == texts{"note in time"});
}

TEST_CASE("of the proposals of a lead that has ended nothing is said any more", "[host][group]") {
  one_of_a_group replica;
  replica.lead();
  for (std::uint64_t each = 1; each <= 20; ++each)
    replica.note("text", each);
  replica.heard();
  raft::configuration alone;
  alone.members[{1}] = {true, ""};
  replica.hear_leader(2, 1, {raft::no_op{}, alone}, 3);
  replica.win();
  CHECK(replica.heard() == texts{"follow", "lead of term 3", "rules 3"});
  replica.is_disk_slow = true;
  replica.note("no room", 77);
  replica.refuse_write();
  CHECK(replica.heard() == texts{"proposal 77 not taken"});
}

TEST_CASE("rules are allowed anew in each lead, when the others have said anew what they know",
          "[host][group]") {
  one_of_a_group replica;
  replica.lead();
  replica.accept(about(3));
  CHECK(replica.heard() == texts{"lead of term 1", "rules 3"});
  replica.hear_leader(2, 1);
  replica.lead();
  CHECK(replica.heard() == texts{"follow", "lead of term 3"}); // they may have been replaced
  replica.accept(about(3));
  CHECK(replica.heard() == texts{"rules 3"});
  INFO("and never taken back");
  replica.step(raft::replica::event{raft::replica::add_learner{{4}, ""}});
  replica.accept();
  CHECK(replica.members.back().members.size() == 4);
  CHECK(replica.heard().empty());
}

TEST_CASE("a service of a program leads with the group's time, and by the rules that all know",
          "[host][group]") {
  one_of_a_group replica{one_of_a_group::options(), 3, has_tickets};
  replica.win();
  replica.accept(to_bytes(known_rules{{{notes, 3}, {tickets, 2}}, has_tickets}));
  replica.heard();
  replica.tick_after(5ms);
  replica.accept(); // the introduction
  CHECK(replica.heard() == texts{"own service: lead of term 1", "own service: rules 2"});
  CHECK(replica.led_from > raft::group_time{});
}

TEST_CASE("half of the voters are too few for a service", "[host][group]") {
  one_of_a_group replica{one_of_a_group::options(), 2, has_tickets};
  replica.win();
  replica.accept(to_bytes(known_rules{{{notes, 3}}})); // without tickets
  replica.accept();                                    // the introduction
  replica.heard();
  replica.step(group_core::propose{tickets, {replica.consensus().term(), 4, "a"}});
  CHECK(replica.heard() == texts{"own service: proposal 4 not taken"});
}

TEST_CASE("a service whose introduction went with its lead is introduced in the next",
          "[host][group]") {
  one_of_a_group replica{one_of_a_group::options(), 3, has_tickets};
  replica.lead();
  replica.hear_leader(2, 1, {raft::no_op{}}); // in place of the introduction
  replica.lead();
  replica.heard();
  replica.accept();
  CHECK(replica.heard() == texts{"own service: lead of term 3"});
}

TEST_CASE("only who asked is told of a refusal", "[host][group]") {
  one_of_a_group replica;
  raft::replica::event change = raft::replica::remove{{2}};
  replica.step(change, 0);
  CHECK(replica.refused.empty());
  replica.step(change, 8);
  CHECK(replica.refused == std::vector<request_id>{8});
}

// -- snapshots ----------------------------------------------------------------------------------

TEST_CASE("a checkpoint that a full disk refused is proposed again", "[host][group]") {
  one_of_a_group replica{one_of_a_group::snapshot_every(3), 1};
  replica.win();
  replica.note("a");
  replica.is_disk_slow = true;
  replica.note("b");
  replica.sync();
  REQUIRE(replica.consensus().last_index() == 4);
  replica.refuse_write();
  CHECK(replica.consensus().last_index() == 3);
  replica.is_disk_slow = false;
  replica.tick_after(100ms);
  replica.heard();
  replica.note("c");
  CHECK(replica.heard() == texts{"note c", "take section 5"});
}

TEST_CASE("a checkpoint that went with its lead is proposed again in the next", "[host][group]") {
  one_of_a_group replica{one_of_a_group::snapshot_every(3)};
  replica.lead();
  replica.note("a");
  replica.note("b");
  replica.accept();
  REQUIRE(replica.consensus().last_index() == 4); // the checkpoint
  replica.hear_leader(2, 3, {raft::no_op{}}, 4);
  replica.lead();
  replica.accept();
  CHECK(replica.heard().back() == "take section 6");
}

TEST_CASE("a snapshot is asked of a leader, for as long as it leads", "[host][group]") {
  one_of_a_group replica;
  SECTION("it leads no more") {
    replica.lead();
    replica.step(group_core::snapshot_now{});
    replica.hear_leader(2, 1, {raft::no_op{}}, 2);
  }
  SECTION("it follows") {
    replica.step(group_core::snapshot_now{});
    replica.hear_leader(2, 0, {raft::no_op{}}, 1);
  }
  replica.lead();
  replica.tick_after(20ms);
  replica.accept();
  CHECK(replica.heard().back() == "lead of term 3");
}

TEST_CASE("a snapshot is not asked of a replica that has no group yet", "[host][group]") {
  one_of_a_group replica{one_of_a_group::options(), 0};
  replica.step(group_core::snapshot_now{});
  replica.step(raft::replica::event{raft::replica::found_group{"here"}});
  replica.tick_after(20ms);
  CHECK(replica.heard() == texts{"lead of term 1", "rules 3"});
}

TEST_CASE("a snapshot that could not be kept shortens no log", "[host][group]") {
  one_of_a_group replica;
  take_checkpoint(replica);
  replica.give_section(3, "a");
  REQUIRE(replica.saved.size() == 1);
  replica.step(group_core::saved{3, false});
  CHECK(replica.consensus().look({}).first == 1);
  replica.hear_committed(1, {note_of("b"), checkpoint_of()});
  CHECK(replica.heard() == texts{"note b", "take section 5"});
  replica.give_section(5, "ab");
  replica.step(group_core::saved{5, true});
  CHECK(replica.consensus().look({}).first > 1);
}

TEST_CASE("word of a snapshot that is not being made shortens no log", "[host][group]") {
  one_of_a_group replica;
  take_checkpoint(replica);
  replica.step(group_core::saved{2, true});
  CHECK(replica.consensus().look({}).first == 1);
  replica.give_section(3, "a");
  replica.step(group_core::saved{3, true});
  CHECK(replica.consensus().look({}).first > 1);
}

TEST_CASE("while a snapshot is on its way to the disk no other is begun", "[host][group]") {
  one_of_a_group replica;
  take_checkpoint(replica);
  replica.hear_committed(1, {checkpoint_of()});
  CHECK(replica.heard().empty());
  replica.give_section(3, "a");
  CHECK(replica.saved.size() == 1);
}

TEST_CASE("only snapshots of the same entry are compared", "[host][group]") {
  one_of_a_group replica;
  take_checkpoint(replica);
  replica.give_section(3, "a");
  replica.step(group_core::saved{3, true});
  replica.hear_committed(1, {checkpoint_of(2, 1)});
  CHECK(replica.stops.empty());
  SECTION("this one is") {
    replica.hear_committed(1, {checkpoint_of(3, 1)});
    CHECK(replica.stops.size() == 1);
  }
  SECTION("and none of a state that was replaced") {
    replica.hear_snapshot(1, 50, state_of("theirs"));
    CHECK(replica.heard().back() == "restore theirs");
    replica.hear_committed(1, {checkpoint_of(3, 1)});
    CHECK(replica.stops.empty());
  }
}

TEST_CASE("of a state that was replaced nothing gets into a later snapshot", "[host][group]") {
  one_of_a_group replica;
  take_checkpoint(replica);
  replica.hear_snapshot(1, 50, state_of("theirs"));
  CHECK(replica.applied() == 50);
  CHECK(replica.heard() == texts{"restore theirs"});
  REQUIRE(replica.members.size() == 1); // no entry will tell them
  CHECK(replica.members.back().voters().size() == 3);
  replica.give_section(3, "mine");
  CHECK(replica.saved.empty());
  replica.hear_committed(1, {checkpoint_of()});
  CHECK(replica.heard() == texts{"take section 51"});
  replica.give_section(3, "mine");
  replica.step(group_core::saved{3, true});
  CHECK(replica.saved.empty());
  replica.give_section(51, "theirs");
  REQUIRE(replica.saved.size() == 1);
  CHECK(replica.saved.back().header.index == 51);
  CHECK(replica.saved.back().state.sections.at(notes) == "theirs");
}

TEST_CASE("a replica stops at a leader's snapshot that it cannot read", "[host][group]") {
  one_of_a_group replica;
  SECTION("at all") {
    replica.hear_snapshot(1, 50, "no state");
    REQUIRE(replica.stops.size() == 1);
    CHECK(replica.stops.back().code == errc::damaged);
  }
  SECTION("as it does not know a service") {
    replica.hear_snapshot(1, 50, state_of("theirs", 77));
    REQUIRE(replica.stops.size() == 1);
    CHECK(replica.stops.back().code == errc::incompatible);
  }
  CHECK(replica.heard().empty());
}

// -- room on the disk ---------------------------------------------------------------------------

TEST_CASE("a disk has room again when it has taken entries that were written after a refusal",
          "[host][group]") {
  one_of_a_group replica;
  replica.hear_committed(1, {raft::no_op{}, note_of("it had room")});
  replica.is_disk_slow = true;
  replica.hear_leader(2, 0); // a term alone is to be written
  replica.refuse_write();
  CHECK(replica.room == rooms{errc::storage_full});
  replica.tick_after(100ms);
  replica.sync();
  CHECK(replica.room == rooms{errc::storage_full}); // few bytes, which fit anywhere
  replica.hear_leader(2, 2, {note_of("text")});
  replica.written(replica.begun() - 1); // a word that comes late, or twice
  CHECK(replica.room == rooms{errc::storage_full});
  replica.sync();
  CHECK(replica.room == rooms{errc::storage_full, errc::none});
}

} // namespace one_of_a_group_test
