// That a watcher has the keys at last, however many there are and however fast they change.

#include "state/calendar_table.hpp"
#include "support/seeds.hpp"
#include "troupe/state/state_table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace state_watch_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;
using test::calendar_table;
using troupe::test::random_source;

namespace {

entry_key numbered(std::uint64_t number) {
  auto digits = std::to_string(number);
  return {consistency::strong, value_type::lww_register,
          "key-" + std::string(8 - digits.size(), '0') + digits};
}

/// A table of many keys, and what stands under each by what was asked and answered.
class busy_table {
public:
  explicit busy_table(std::uint64_t keys, std::size_t value_bytes = 1, state_options options = {})
    : table_(std::move(options)), value_bytes_(value_bytes) {
    for (std::uint64_t each = 0; each < keys; ++each)
      write(each);
  }

  void write(std::uint64_t number) {
    auto value = to_value(std::string(value_bytes_, static_cast<char>('a' + number % 26)));
    auto made = table_.write(put{.key = numbered(number), .value = std::move(value)});
    stands_[made.key] = made.version;
  }

  void remove(std::uint64_t number) {
    if (stands_.erase(numbered(number)) > 0)
      table_.write(remove_key{.key = numbered(number)});
  }

  /// As after a restore from a backup of this moment.
  void begin_era() {
    table_.configure(table_.table.snapshot().options,
                     table_.table.answer(count_entries{}).revision + 100);
  }

  [[nodiscard]] const state_table& table() const {
    return table_.table;
  }

  /// The version of each key that is there in `scope`, up to `last` if given.
  [[nodiscard]] std::map<entry_key, std::uint64_t>
  stands(const key_scope& scope, const std::optional<entry_key>& last) const {
    std::map<entry_key, std::uint64_t> result;
    for (auto& each : stands_)
      if (contains(scope, each.first) && (!last || each.first <= *last))
        result.insert(result.end(), each);
    return result;
  }

private:
  calendar_table table_;
  std::size_t value_bytes_;
  std::map<entry_key, std::uint64_t> stands_;
};

/// Follows a table, page by page. Judges each page by what the table is then.
class reader {
public:
  explicit reader(watch_state question) : question_(std::move(question)) {}

  void read(const busy_table& from) {
    auto page = from.table().answer(question_);
    REQUIRE(page);
    ++pages;
    if (page->complete) {
      ++snapshots;
      has_.clear();
    }
    REQUIRE((page->complete || page->revision >= question_.after));
    for (auto& each : page->changes) {
      REQUIRE(contains(question_.scope, each.key));
      auto& known = knows_[each.key];
      REQUIRE(each.revision >= known); // of one key nothing older comes later
      known = each.revision;
      if (each.entries.empty())
        has_.erase(each.key);
      else
        has_[each.key] = version_of(each.entries);
    }
    is_complete = !page->more && !page->rest;
    auto now = from.table().answer(count_entries{});
    auto is_up_to_now = page->revision == now.revision;
    REQUIRE((is_up_to_now || !is_complete));
    if (is_complete || (is_up_to_now && now.strong.keys < 1'000)) // as it takes long
      REQUIRE(has_ == from.stands(question_.scope, page->rest));
    question_ = question_.next(*page);
  }

  [[nodiscard]] std::size_t keys() const {
    return has_.size();
  }

  int pages = 0;
  int snapshots = 0;
  bool is_complete = false;

private:
  watch_state question_;
  std::map<entry_key, std::uint64_t> has_;
  std::map<entry_key, std::uint64_t> knows_;
};

} // namespace

// How: between two pages come 500 puts of 256 bytes, all over the keys or where the watcher has
// been. That is one page each 19 ms at the highest rate of puts that docs/benchmarks.md has.
TEST_CASE("a watcher that answers each page at once has all keys, however fast they are written",
          "[state][property][watch]") {
  auto count = GENERATE(std::uint64_t{20'000}, std::uint64_t{100'000});
  auto where = GENERATE(std::uint64_t{1}, std::uint64_t{50}); // all keys, or the first of them
  busy_table keys{count, 256};
  random_source random{1};
  reader watcher{{}};
  while (!watcher.is_complete && watcher.pages < 300) {
    watcher.read(keys);
    if (!watcher.is_complete)
      for (int each = 0; each < 500; ++each)
        keys.write(random.below(count / where));
  }
  CHECK(watcher.is_complete);
  CHECK(watcher.snapshots == 1);
  CHECK(watcher.pages <= static_cast<int>(count / 500) + 1);
}

// How: as above, with many more changes than lines in a page.
TEST_CASE("all keys come to a watcher in the end, however slow it is", "[state][property][watch]") {
  constexpr std::uint64_t count = 3'000;
  constexpr std::uint32_t limit = 100;
  busy_table keys{count};
  random_source random{1};
  reader watcher{{.limit = limit}};
  std::uint64_t most = 0;
  while (most < count && watcher.pages < 1'000) {
    watcher.read(keys);
    most = std::max<std::uint64_t>(most, watcher.keys());
    for (int each = 0; each < 400; ++each)
      keys.write(random.below(count));
  }
  CHECK(watcher.pages <= 2 * static_cast<int>(count / limit) + 1);
  CHECK(watcher.snapshots == 1);
}

// How: watchers of several scopes and sizes of pages read now and then among puts, removals and
// new eras, of few changes that are kept. Each page is judged, see reader.
TEST_CASE("what a watcher put together is the table, exactly, at each page that comes up to it",
          "[state][property][watch]") {
  constexpr std::uint64_t count = 300;
  int anew = 0;
  int complete = 0;
  test::for_each_seed(20, [&](random_source random) {
    busy_table keys{count / 2, 20, {.max_changes = 40, .max_change_bytes = 1'000}};
    std::vector<reader> readers;
    for (auto limit : {1U, 7U, 40U, 1'000U})
      for (auto* prefix : {"", "key-000000", "key-0000012", "key-00000123"})
        readers.emplace_back(watch_state{.scope = {.prefix = prefix}, .limit = limit});
    for (int round = 0; round < 300; ++round) {
      for (auto changes = random.below(20); changes > 0; --changes)
        random.one_in(6) ? keys.remove(random.below(count)) : keys.write(random.below(count));
      if (random.one_in(100))
        keys.begin_era();
      auto& each = readers.at(random.below(readers.size()));
      for (auto pages = random.below(12); pages > 0; --pages) {
        each.read(keys);
        complete += each.is_complete ? 1 : 0;
      }
    }
    for (auto& each : readers) {
      do
        each.read(keys);
      while (!each.is_complete); // nothing changes any more
      anew += each.snapshots;
    }
  });
  CHECK(anew > 0);
  CHECK(complete > anew);
}

} // namespace state_watch_property
