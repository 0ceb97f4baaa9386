#include "troupe/host/journal.hpp" // the header under test
#include "support/simulated_log.hpp"
#include "troupe/host/plain_machine.hpp"
#include "troupe/lock/lock_table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace journal_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::host;
using Catch::Matchers::ContainsSubstring;
using lock::lock_table;

namespace {

/// A journal of `count` acquires behind the configuration.
std::vector<record<lock_table>> a_journal(std::size_t count) {
  std::vector<record<lock_table>> result{{1, {}, notice<lock_table>{lock::configure{}}}};
  while (result.size() <= count) {
    auto number = std::to_string(result.size());
    result.push_back({result.size() + 1, time_point{} + 1ms * static_cast<int>(result.size()),
                      command<lock_table>{{}, lock::acquire{"lock" + number, "ann", 1min}}});
  }
  return result;
}

/// A machine of the next release, as far as a host can see one.
class newer_table : public lock_table {
public:
  static constexpr std::uint32_t rules = 2;

  void use_rules(std::uint32_t number) {
    in_force = number;
  }

  std::uint32_t in_force = 1;
};

struct tally_up {
  using result = std::uint64_t;

  std::uint64_t written = 0;
  std::uint64_t unwritten = 0;

  TROUPE_FIELDS(tally_up, written);
};

/// Its rules refuse what they took before: numbers above a bound.
struct tally : plain_machine<tally, std::uint64_t, commands<tally_up>> {
  static inline std::uint64_t throws_from = 1'000;

  std::uint64_t apply(const tally_up& what) {
    if (what.written >= throws_from)
      throw std::invalid_argument{"a number that is too high"};
    return state() += what.written + what.unwritten;
  }

  static problem verify(const snapshot_type& saved) {
    if (saved.state >= throws_from)
      throw std::invalid_argument{"a sum that is too high"};
    return {};
  }
};

/// The rules of `tally` are others for a while.
struct stricter_rules {
  explicit stricter_rules(std::uint64_t throws_from) {
    tally::throws_from = throws_from;
  }

  stricter_rules(const stricter_rules&) = delete;
  stricter_rules& operator=(const stricter_rules&) = delete;

  ~stricter_rules() {
    tally::throws_from = 1'000;
  }
};

/// Adds these in a core that stores to `log`.
void add_all(test::simulated_log& log, const std::vector<tally_up>& all, core_options how = {}) {
  using core = durable_core<tally>;
  core inside{how};
  core::effects out;
  auto drain = [&] {
    while (!out.empty()) {
      core::effects next;
      for (auto& what : std::exchange(out, {}))
        if (auto* batch = std::get_if<core::append>(&what)) {
          REQUIRE(log.append(to_stored(*batch->records).value()).code == errc::none);
          inside.step({}, 0, core::synced{}, next);
        } else if (auto* state = std::get_if<core::save>(&what)) {
          for (auto& part : to_parts(*state->state).value())
            REQUIRE(log.save(part).code == errc::none);
        }
      out = std::move(next);
    }
  };
  inside.start({}, out);
  drain();
  for (auto& each : all) {
    inside.step({}, 1, command<tally>{{}, each}, out);
    drain();
  }
}

} // namespace

TEST_CASE("a journal says all that its requests did, also of fields that are not written",
          "[host][journal]") {
  test::simulated_log log;
  add_all(log, {{2, 5}, {1, 0}});
  durable_core<tally> core;
  REQUIRE(recover(core, log).code == errc::none);
  CHECK(core.snapshot().inside.state == 3);
}

TEST_CASE("rules that throw at a record of their journal are told which", "[host][journal]") {
  test::simulated_log log;
  add_all(log, {{1, 0}, {50, 0}});
  storage::stored_log before;
  REQUIRE_FALSE(log.load(before));
  stricter_rules changed{50};
  durable_core<tally> core;
  auto why = recover(core, log);
  storage::stored_log after;
  REQUIRE_FALSE(log.load(after));
  CHECK(std::ranges::equal(after.records, before.records, {}, &storage::stored_record::bytes,
                           &storage::stored_record::bytes)); // corrected rules go on from there
  CHECK(why.code == errc::failed);
  CHECK_THAT(why.detail,
             ContainsSubstring("record 3") && ContainsSubstring("a number that is too high"));
}

TEST_CASE("rules that throw at a stored state are told so", "[host][journal]") {
  test::simulated_log log;
  core_options how;
  how.snapshot_every = 1;
  add_all(log, {{1, 0}, {50, 0}}, how);
  stricter_rules changed{50};
  durable_core<tally> core;
  auto why = recover(core, log);
  CHECK(why.code == errc::failed);
  CHECK_THAT(why.detail,
             ContainsSubstring("snapshot") && ContainsSubstring("a sum that is too high"));
}

TEST_CASE("a long replay tells how far it is", "[host][journal]") {
  test::simulated_log log;
  REQUIRE(log.append(to_stored(a_journal(5'000)).value()).code == errc::none);
  durable_core<lock_table> core;
  std::vector<std::size_t> told;
  REQUIRE(recover(core, log,
                  [&](std::size_t done, std::size_t total) {
                    CHECK(total == 5'001);
                    told.push_back(done);
                  })
            .code
          == errc::none);
  CHECK(told == std::vector<std::size_t>{0, 1'024, 2'048, 3'072, 4'096});
  CHECK(core.index() == 5'001);
}

TEST_CASE("a record that is missing in the middle is named", "[host][journal]") {
  auto records = a_journal(10);
  records.erase(records.begin() + 4);
  test::simulated_log log;
  REQUIRE(log.append(to_stored(records).value()).code == errc::none);
  durable_core<lock_table> core;
  auto why = recover(core, log);
  CHECK(why.code == errc::damaged);
  CHECK_THAT(why.detail, ContainsSubstring("record 6 follows record 4"));
}

namespace {

/// A release that, against the rules, does something else with the same record.
class changed_table : public lock_table {
public:
  void step(time_point now, request_id id, const event& what, effects& out) {
    lock_table::step(now, id, what, out);
    for (auto& each : out)
      if (auto* refusal = std::get_if<lock::refused>(&each)) {
        refusal->why.detail += " Please.";
        if (changes_codes)
          refusal->why.code = errc::busy;
      }
  }

  static inline bool changes_codes = false; // machines have no such thing, this one plays a build
};

/// The journal, as bytes, of a life with one refusal and two batches.
std::vector<storage::stored_record> a_refusal_and_more() {
  using core = durable_core<lock_table>;
  core host;
  std::vector<storage::stored_record> result;
  core::effects out;
  auto enter = [&](const core::event& what) {
    host.step({}, 0, what, out);
    auto& records = *std::get<core::append>(out.front()).records;
    std::ranges::move(to_stored(records).value(), std::back_inserter(result));
    out.clear();
    host.step({}, 0, core::synced{}, out);
    out.clear();
  };
  enter(notice<lock_table>{lock::configure{}});
  enter(command<lock_table>{{}, lock::release{"db", {7}}});
  enter(command<lock_table>{{}, lock::acquire{"db", "ann", 1min}});
  return result;
}

} // namespace

TEST_CASE("a replay that leads elsewhere than it did is refused", "[host][journal]") {
  changed_table::changes_codes = true;
  test::simulated_log log;
  REQUIRE(log.append(a_refusal_and_more()).code == errc::none);
  durable_core<changed_table> core;
  auto why = recover(core, log);
  CHECK(why.code == errc::damaged);
  CHECK_THAT(why.detail, ContainsSubstring("the records up to 2 give another result"));
}

TEST_CASE("a sentence that is worded anew is no other history", "[host][journal]") {
  changed_table::changes_codes = false;
  test::simulated_log log;
  REQUIRE(log.append(a_refusal_and_more()).code == errc::none);
  durable_core<changed_table> core;
  CHECK(recover(core, log).code == errc::none);
  CHECK(core.index() == 3);
}

namespace {

/// Adds up. Its events and effects have more fields in a later release.
template <bool HasGrown>
class adder {
public:
  struct add {
    std::int64_t amount = 0;
    std::string note{};

    template <class Inspector>
    friend bool inspect(Inspector& f, add& x) {
      if constexpr (HasGrown)
        return f.object(x).fields(f.field("amount", x.amount), f.field("note", x.note));
      else
        return f.object(x).fields(f.field("amount", x.amount));
    }
  };
  struct added {
    request_id id = 0;
    std::int64_t sum = 0;
    std::uint32_t notes = 0;

    template <class Inspector>
    friend bool inspect(Inspector& f, added& x) {
      if constexpr (HasGrown)
        return f.object(x).fields(f.field("id", x.id), f.field("sum", x.sum),
                                  f.field("notes", x.notes));
      else
        return f.object(x).fields(f.field("id", x.id), f.field("sum", x.sum));
    }
  };
  struct look {};

  using event = std::variant<add>;
  using effects = std::vector<std::variant<added>>;
  using query = look;
  using snapshot_type = added;

  void step(time_point, request_id id, const event& what, effects& out) {
    auto& [amount, note] = std::get<add>(what);
    state_.id = id;
    state_.sum += amount;
    state_.notes += note.empty() ? 0 : 1;
    out.push_back(state_);
  }

  void tick(time_point, effects&) {}

  static std::optional<time_point> next_deadline() {
    return std::nullopt;
  }

  std::int64_t answer(const look&) const {
    return state_.sum;
  }

  snapshot_type snapshot() const {
    return state_;
  }

  void restore(time_point, const snapshot_type& saved) {
    state_ = saved;
  }

private:
  added state_;
};

/// The journal, as bytes, of a life in which 1, 256 and 2 are added, each in a batch of its own.
template <class Adder>
std::vector<storage::stored_record> a_life_of(const std::string& note = {}) {
  using core = durable_core<Adder>;
  core host;
  std::vector<storage::stored_record> result;
  for (std::int64_t each : {1, 256, 2}) {
    typename core::effects out;
    typename Adder::add what;
    what.amount = each;
    what.note = note;
    host.step({}, each, command<Adder>{{}, what}, out);
    std::ranges::move(to_stored(*std::get<typename core::append>(out.front()).records).value(),
                      std::back_inserter(result));
    out.clear();
    host.step({}, 0, typename core::synced{}, out);
  }
  return result;
}

} // namespace

TEST_CASE("a journal from before a request and its answer had a further field is replayed",
          "[host][journal]") {
  test::simulated_log log;
  REQUIRE(log.append(a_life_of<adder<false>>()).code == errc::none);
  durable_core<adder<true>> core;
  auto why = recover(core, log);
  INFO(why.detail);
  CHECK(why.code == errc::none);
  CHECK(core.answer(adder<true>::look{}) == 259);
}

TEST_CASE("a release that does not know a field that is used is found out", "[host][journal]") {
  test::simulated_log log;
  REQUIRE(log.append(a_life_of<adder<true>>("a note")).code == errc::none);
  durable_core<adder<false>> core;
  CHECK(recover(core, log).code == errc::damaged);
}

TEST_CASE("a snapshot goes on with the history of its records", "[host][journal]") {
  auto records = a_refusal_and_more();
  durable_core<lock_table> first;
  test::simulated_log log;
  REQUIRE(log.append({records[0], records[1]}).code == errc::none);
  REQUIRE(recover(first, log).code == errc::none);
  for (auto parts = to_parts(first.snapshot(), 10).value(); auto& part : parts)
    REQUIRE(log.save(part).code == errc::none);
  REQUIRE(log.append({records[2]}).code == errc::none);
  durable_core<lock_table> second;
  REQUIRE(recover(second, log).code == errc::none);
  CHECK(second.index() == 3);
}

TEST_CASE("what nobody keeps makes no snapshots", "[host][journal]") {
  using core = durable_core<lock_table>;
  auto keeps = GENERATE(true, false);
  core host{core_options{.snapshot_every = 2}};
  if (!keeps)
    host.keep_no_journal();
  core::effects out;
  for (auto turn = 0; turn < 3; ++turn) {
    host.step({}, 0, notice<lock_table>{lock::configure{}}, out);
    host.step({}, 0, core::synced{}, out);
  }
  auto is_save = [](auto& each) { return std::holds_alternative<core::save>(each); };
  CHECK(std::ranges::any_of(out, is_save) == keeps);
}

TEST_CASE("a newer release switches the rules by a record", "[host][journal]") {
  durable_core<newer_table> core;
  decltype(core)::effects out;
  core.start({}, out);
  REQUIRE(out.size() == 1);
  auto batch = std::get<durable_core<newer_table>::append>(out.front()).records;
  REQUIRE(batch->size() == 1);
  auto* change = std::get_if<use_rules>(&batch->front().what);
  REQUIRE(change != nullptr);
  CHECK(change->number == service_rules::known<newer_table>().number());
  CHECK(service_rules{change->number}.machine() == 2);
  SECTION("and an older one refuses what was written under them") {
    durable_core<lock_table> older;
    auto why = older.replay({1, {}, use_rules{2}});
    CHECK(why.code == errc::incompatible);
    CHECK_THAT(why.detail, ContainsSubstring("upgrade first"));
  }
  SECTION("and goes on under them after a restart") {
    core.step({}, 0, durable_core<newer_table>::synced{}, out);
    CHECK(core.snapshot().rules == change->number);
  }
}

} // namespace journal_test
