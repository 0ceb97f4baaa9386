// What must hold on every schedule, not only on those we thought of.

#include "troupe/state/state_table.hpp"
#include "state/calendar_table.hpp"
#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace state_table_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;
using test::calendar_table;
using troupe::test::random_source;

namespace {

/// Room for so little that every bound is met.
const state_options small{
  .max_keys = 6, .max_bytes = 200, .max_siblings = 3, .max_changes = 12, .max_change_bytes = 300};

entry_key random_key(random_source& random) {
  constexpr std::array levels{consistency::eventual, consistency::causal, consistency::strong};
  constexpr std::array types{value_type::lww_register, value_type::mv_register,
                             value_type::version_register};
  constexpr std::array names{"a", "ab", "b"};
  return {levels.at(random.below(3)), types.at(random.below(3)), names.at(random.below(3))};
}

/// A moment in the life of a key: the era, and how often the key has changed till then.
struct moment {
  std::uint64_t era = 0;
  std::uint64_t changes = 0;

  friend bool operator==(const moment&, const moment&) = default;
};

/// A request, and which writes its author has really seen: not what a clock says.
struct attempt {
  event what{wall{}};
  std::uint64_t author = 0;
  /// None: whatever is there.
  std::optional<std::set<std::uint64_t>> seen;
  /// When the author read the key that a context is of. None: without a context.
  std::optional<moment> read_at;
};

/// A second opinion on the values, from requests, answers and what authors have read. It
/// looks at no clock but to hand it back.
class value_witness {
public:
  /// Returns a request of one of three authors, who may just have read the key.
  attempt random_attempt(random_source& random, const state_table& table) {
    attempt result;
    result.author = random.below(3);
    auto key = random_key(random);
    auto& memory = memories_[{result.author, key}];
    if (random.one_in(3))
      memory = read(table, key);
    std::optional<std::uint64_t> expect;
    std::optional<vector_clock> context;
    if (random.one_in(3))
      expect = some_version(key, random);
    if (memory.clock && !random.one_in(3)) {
      context = memory.clock;
      result.seen = memory.seen;
      result.read_at = memory.read_at;
    } else if (!expect && key.type == value_type::mv_register) {
      result.seen.emplace();
    }
    if (random.one_in(4)) {
      if (!context)
        result.seen.reset();
      result.what = remove_key{key, expect, context};
      return result;
    }
    put made{.key = key, .expect_version = expect, .context = context};
    made.value = to_value(std::string(random.below(40), static_cast<char>('a' + random.below(26))));
    if (random.one_in(3))
      made.ttl = std::chrono::seconds{1 + random.below(20)};
    result.what = made;
    return result;
  }

  void answered(const attempt& asked, const written& value, wall_time today) {
    REQUIRE(value.version > last_version_);
    last_version_ = value.version;
    auto& memory = memories_[{asked.author, value.key}];
    auto& standing = values_[value.key];
    auto* made = std::get_if<put>(&asked.what);
    if (made != nullptr && made->expect_version)
      REQUIRE(*made->expect_version == newest(standing));
    if (made == nullptr)
      REQUIRE_FALSE(standing.empty());
    if (value.key.level == consistency::strong && asked.read_at)
      REQUIRE(*asked.read_at == moment_of(value.key)); // it has not come and gone since either
    std::erase_if(standing, [&](auto& each) {
      return value.key.type != value_type::mv_register || !asked.seen
             || asked.seen->contains(each.version);
    });
    ++changes_[value.key];
    memory.read_at = moment_of(value.key);
    memory.clock = value.clock;
    memory.seen = asked.seen.value_or(std::set<std::uint64_t>{});
    if (made != nullptr) {
      REQUIRE(value.written_at >= today);
      standing.push_back({value.version, made->value, value.expires_at});
      memory.seen.insert(value.version);
    }
    REQUIRE(value.siblings == standing.size());
  }

  void saw(const expired& what, wall_time today) {
    auto& standing = values_[what.key];
    auto found = std::ranges::find(standing, what.version, &value_seen::version);
    REQUIRE(found != standing.end());
    REQUIRE(found->ends);
    REQUIRE(*found->ends <= today);
    standing.erase(found);
    ++changes_[what.key];
  }

  /// The table is as it was when this was `then`. What authors have read of the key at level
  /// strong they try all the same; of other levels they read again.
  void restored(const value_witness& then) {
    values_ = then.values_;
    ++era_;
    std::erase_if(memories_,
                  [](auto& each) { return each.first.second.level != consistency::strong; });
  }

  [[nodiscard]] std::uint64_t last_version() const {
    return last_version_;
  }

  void check(const state_table& table, wall_time today) const {
    for (auto& [key, standing] : values_) {
      auto found = table.answer(get{key}).entries;
      REQUIRE(found.size() == standing.size());
      for (std::size_t each = 0; each < found.size(); ++each) {
        REQUIRE(found[each].version == standing[each].version);
        REQUIRE(found[each].value == standing[each].value);
        REQUIRE(verify(found[each]).code == errc::none);
        if (found[each].expires_at)
          REQUIRE(*found[each].expires_at > today);
      }
    }
  }

private:
  struct value_seen {
    std::uint64_t version;
    bytes value;
    std::optional<wall_time> ends;
  };

  struct memory_of_key {
    std::optional<vector_clock> clock;
    std::set<std::uint64_t> seen;
    moment read_at;
  };

  [[nodiscard]] moment moment_of(const entry_key& key) {
    return {era_, changes_[key]};
  }

  memory_of_key read(const state_table& table, const entry_key& key) {
    auto found = table.answer(get{key});
    memory_of_key result{found.clock, {}, moment_of(key)};
    for (auto& each : found.entries)
      result.seen.insert(each.version);
    return result;
  }

  static std::uint64_t newest(const std::vector<value_seen>& standing) {
    return standing.empty() ? 0 : standing.back().version;
  }

  /// Returns the version of a key, or one that was given once.
  [[nodiscard]] std::uint64_t some_version(const entry_key& key, random_source& random) const {
    auto found = values_.find(key);
    auto version = found != values_.end() ? newest(found->second) : 0;
    return random.one_in(3) ? random.below(last_version_ + 1) : version;
  }

  std::map<entry_key, std::vector<value_seen>> values_;
  std::map<std::pair<std::uint64_t, entry_key>, memory_of_key> memories_;
  std::map<entry_key, std::uint64_t> changes_;
  std::uint64_t era_ = 0;
  std::uint64_t last_version_ = 0;
};

/// One step of a random life: a request, or time. `told` gets each answer and expiry.
template <class Told>
void live(calendar_table& keys, random_source& random, value_witness& authors, Told told) {
  if (random.one_in(5)) {
    auto span = std::chrono::milliseconds{random.below(5'000)};
    for (auto& what : keys.pass(span))
      told(attempt{}, what);
    return;
  }
  keys.now += std::chrono::milliseconds{random.below(100)};
  auto asked = authors.random_attempt(random, keys.table);
  for (auto& answer : keys.ask(asked.what))
    told(asked, answer);
}

/// Lets a witness hear all that a table says.
auto hear(value_witness& witness, const calendar_table& keys) {
  return [&witness, &keys](const attempt& asked, const effect& what) {
    if (auto* good = std::get_if<accepted>(&what))
      witness.answered(asked, good->value, keys.today);
    else if (auto* over = std::get_if<expired>(&what))
      witness.saw(*over, keys.today);
    else
      REQUIRE_FALSE(std::get<refused>(what).why.detail.empty());
  };
}

std::map<entry_key, std::vector<entry>> contents(const state_table& table, const key_scope& scope) {
  std::map<entry_key, std::vector<entry>> result;
  for (auto& each : table.snapshot().keys)
    if (!each->set.entries.empty() && contains(scope, each->key))
      result[each->key] = each->set.entries;
  return result;
}

/// Follows a table as a program does that reads one page now and then.
class follower {
public:
  explicit follower(watch_state question) : question_(std::move(question)) {}

  void read(const state_table& table, random_source& random) {
    question_.limit = static_cast<std::uint32_t>(1 + random.below(4));
    auto news = table.has_news(question_);
    auto page = table.answer(question_);
    REQUIRE(page);
    if (!news) {
      REQUIRE(page->changes.empty());
      REQUIRE_FALSE((page->complete || page->more || page->rest));
    }
    if (page->complete) {
      ++snapshots;
      seen_.clear();
    } else {
      REQUIRE(page->revision >= question_.after);
    }
    for (auto& each : page->changes) {
      REQUIRE(contains(question_.scope, each.key));
      changes += page->complete || question_.rest ? 0 : 1;
      if (!page->complete && !question_.rest) { // each change once, in order
        REQUIRE(each.revision > last_);
        last_ = each.revision;
      }
      if (each.entries.empty())
        seen_.erase(each.key);
      else
        seen_[each.key] = each.entries;
    }
    if (page->complete || question_.rest)
      last_ = page->revision;
    up_to_date = !page->more && !page->rest;
    if (up_to_date) {
      REQUIRE(seen_ == contents(table, question_.scope));
      REQUIRE(page->revision == table.answer(count_entries{}).revision);
      REQUIRE_FALSE(table.has_news(question_.next(*page)));
    }
    question_ = question_.next(*page);
  }

  int snapshots = 0;
  int changes = 0; // told after the snapshot
  bool up_to_date = false;

private:
  watch_state question_;
  std::map<entry_key, std::vector<entry>> seen_;
  std::uint64_t last_ = 0;
};

std::vector<watch_state> some_scopes() {
  return {{},
          {.scope = {.prefix = "a"}},
          {.scope = {.level = consistency::causal}},
          {.scope = {.type = value_type::mv_register, .prefix = "a"}},
          {.scope = only({consistency::eventual, value_type::lww_register, "ab"})}};
}

} // namespace

// How: 300 random requests at random times on few keys; the witness knows from requests
// and answers alone what has to stand. Now and then the table is restored from a backup.
TEST_CASE("what stands is what its writers left, and no strong write overlooks another",
          "[state][property]") {
  std::size_t refusals = 0;
  std::size_t answers = 0;
  test::for_each_seed(150, [&](random_source random) {
    calendar_table keys{small};
    value_witness witness;
    auto told = hear(witness, keys);
    auto backup = std::pair{keys.table.snapshot(), witness};
    for (int step = 0; step < 300; ++step) {
      if (random.one_in(30))
        backup = {keys.table.snapshot(), witness};
      if (random.one_in(100)) {
        keys.table.restore(keys.now, backup.first);
        keys.configure(small, witness.last_version() + 100);
        witness.restored(backup.second);
        for (auto& what : keys.pass({})) // what has ended since
          told({}, what);
      }
      live(keys, random, witness, [&](const attempt& asked, const effect& what) {
        ++(std::holds_alternative<refused>(what) ? refusals : answers);
        told(asked, what);
      });
      witness.check(keys.table, keys.today);
    }
  });
  CHECK(answers > refusals / 4); // neither is rare
  CHECK(refusals > answers / 4);
}

TEST_CASE("no bound is passed, and the counts are true", "[state][property]") {
  test::for_each_seed(60, [](random_source random) {
    calendar_table keys{small};
    value_witness witness;
    for (int step = 0; step < 200; ++step) {
      live(keys, random, witness, hear(witness, keys));
      auto saved = keys.table.snapshot();
      std::map<consistency, level_counts> counted;
      for (auto& each : saved.keys) {
        auto& level = counted[each->key.level];
        auto& entries = each->set.entries;
        REQUIRE(entries.size() <= small.max_siblings);
        ++(entries.empty() ? level.tombstones : level.keys);
        level.siblings += entries.empty() ? 0 : entries.size() - 1;
        for (auto& what : entries)
          level.bytes += what.key.key.size() + what.value.size();
      }
      auto said = keys.table.answer(count_entries{});
      std::uint64_t live_keys = 0;
      std::uint64_t live_bytes = 0;
      for (auto& [level, counts] : {std::pair{consistency::eventual, said.eventual},
                                    std::pair{consistency::causal, said.causal},
                                    std::pair{consistency::strong, said.strong}}) {
        auto& expected = counted[level];
        REQUIRE(
          std::tuple{counts.keys, counts.siblings, counts.bytes, counts.tombstones}
          == std::tuple{expected.keys, expected.siblings, expected.bytes, expected.tombstones});
        live_keys += counts.keys;
        live_bytes += counts.bytes;
      }
      REQUIRE(live_keys <= small.max_keys);
      REQUIRE(live_bytes <= small.max_bytes);
      REQUIRE(said.changes <= small.max_changes);
      REQUIRE(saved.keys.size() <= small.max_keys + small.max_changes);
    }
  });
}

// How: the bytes of a snapshot are made at once and again after more calls. A snapshot of a
// large table is written down while the table goes on.
TEST_CASE("a snapshot stays what it was", "[state][property][snapshot]") {
  test::for_each_seed(60, [](random_source random) {
    calendar_table keys{small};
    value_witness witness;
    for (int round = 0; round < 20; ++round) {
      auto saved = keys.table.snapshot();
      auto bytes = to_bytes(saved);
      for (int step = 0; step < 10; ++step)
        live(keys, random, witness, hear(witness, keys));
      REQUIRE(to_bytes(saved) == bytes);
    }
  });
}

// How: a twin is restored from the bytes of a snapshot now and then; from there on both
// get the same calls. Followers and restarted nodes rely on this.
TEST_CASE("a restored table answers as the original does", "[state][property][snapshot]") {
  test::for_each_seed(60, [](random_source random) {
    calendar_table keys{small};
    calendar_table twin{small};
    value_witness witness;
    auto told = hear(witness, keys);
    for (int step = 0; step < 200; ++step) {
      effects out;
      std::vector<std::pair<attempt, effect>> heard;
      auto before = keys.now;
      auto today = keys.today;
      live(keys, random, witness, [&](const attempt& asked, const effect& what) {
        heard.emplace_back(asked, what);
        out.push_back(what);
      });
      effects twin_out;
      if (keys.today != today) {
        twin_out = twin.pass(keys.today - today);
      } else {
        twin.now += keys.now - before;
        if (!heard.empty())
          twin_out = twin.ask(heard.front().first.what);
      }
      REQUIRE(out == twin_out);
      REQUIRE(keys.table.next_wall_deadline() == twin.table.next_wall_deadline());
      REQUIRE(keys.table.snapshot() == twin.table.snapshot());
      for (auto& [asked, what] : heard)
        told(asked, what);
      if (random.one_in(20)) {
        auto saved = from_bytes<table_snapshot>(to_bytes(keys.table.snapshot()));
        REQUIRE(saved);
        REQUIRE(state_table::verify(*saved).code == errc::none);
        twin.table = state_table{};
        twin.table.restore(keys.now, *saved);
        REQUIRE(twin.table.answer(count_entries{}) == keys.table.answer(count_entries{}));
      }
    }
  });
}

// How: watchers of several scopes read pages of 1 to 4 at random moments; whenever one
// is told that there is no more, what it put together is the table.
TEST_CASE("watchers have the table, whatever page they ask for", "[state][property][watch]") {
  int anew = 0;
  int caught_up = 0;
  test::for_each_seed(100, [&](random_source random) {
    calendar_table keys{small};
    value_witness witness;
    std::vector<follower> followers;
    for (auto& each : some_scopes())
      followers.emplace_back(each);
    for (int step = 0; step < 300; ++step) {
      live(keys, random, witness, hear(witness, keys));
      auto& reader = followers.at(random.below(followers.size()));
      for (auto pages = random.below(6); pages > 0; --pages) {
        reader.read(keys.table, random);
        caught_up += reader.up_to_date ? 1 : 0;
      }
    }
    for (auto& each : followers) {
      do
        each.read(keys.table, random);
      while (!each.up_to_date);
      anew += each.snapshots;
    }
  });
  CHECK(anew > 0);
  CHECK(caught_up > anew);
}

TEST_CASE("who keeps up is told every change, and never begins anew", "[state][property][watch]") {
  test::for_each_seed(60, [](random_source random) {
    auto options = small;
    options.max_changes = 50; // more than one step can make
    options.max_change_bytes = 10'000;
    calendar_table keys{options};
    value_witness witness;
    follower reader{{}};
    reader.read(keys.table, random);
    int made = 0;
    auto told = hear(witness, keys);
    for (int step = 0; step < 200; ++step) {
      live(keys, random, witness, [&](const attempt& asked, const effect& what) {
        made += std::holds_alternative<refused>(what) ? 0 : 1;
        told(asked, what);
      });
      do
        reader.read(keys.table, random);
      while (!reader.up_to_date);
      REQUIRE(reader.changes == made);
    }
    REQUIRE(reader.snapshots == 1);
  });
}

} // namespace state_table_property
