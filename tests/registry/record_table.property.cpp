// What must hold on every schedule, not only on those we thought of.

#include "troupe/registry/record_table.hpp"
#include "registry/clocked_table.hpp"
#include "support/seeds.hpp"
#include "troupe/registry/own_records.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace record_table_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::registry;
using namespace troupe::test;

namespace {

const std::array<std::string, 4> owners{"n1", "n2", "n3", "n4"};

/// Four nodes that register, change, remove and start again, and a network that keeps
/// what they said to say it once more.
class busy_cluster {
public:
  /// Returns a request that some node, link or operator could make.
  event next(random_source& random) {
    auto owner = random.below(owners.size());
    auto& book = books_[owner];
    switch (random.below(12)) {
      case 0:
        book.rise_above(book.boot());
        return put_records{book.all()};
      case 1:
        if (!said_.empty())
          return put_records{{said_[random.below(said_.size())]}};
        return verdict{node_named(owners[owner]), book.boot(), record_status::active};
      case 2:
      case 3:
      case 4:
        return verdict{node_named(owners[owner]), book.boot() - random.below(2),
                       random.one_in(2) ? record_status::disconnected : record_status::active};
      case 5:
        if (random.one_in(5))
          return forget{node_named(owners[owner]), book.boot()};
        return put_records{book.all()};
      case 6:
        return report_outcome{random_key(random, owners[owner]), call_outcome(random.below(3))};
      case 7:
        if (auto gone = book.remove(record_kind::agent, random_key(random, owners[owner]).name))
          return say(*gone);
        return verdict{node_named(owners[owner]), book.boot(), record_status::active};
      default:
        return say(book.put(random_record(random, owners[owner])));
    }
  }

private:
  event say(const record& value) {
    said_.push_back(value);
    return put_records{{value}};
  }

  static record_key random_key(random_source& random, const std::string& owner) {
    switch (random.below(4)) {
      case 0:
        return {record_kind::agent, "echo", node_named(owner)};
      case 1:
        return {record_kind::node, owner, node_named(owner)};
      default:
        return agent(std::string(1, static_cast<char>('a' + random.below(3))), owner).key;
    }
  }

  record random_record(random_source& random, const std::string& owner) {
    record result{.key = random_key(random, owner)};
    if (result.key.name == "echo")
      result.token = ++last_token_;
    for (auto* each : {"draw", "paint", "sing"})
      if (random.one_in(3))
        result.capabilities.insert(each);
    if (random.one_in(3))
      result.groups.insert("art");
    if (random.one_in(3))
      result.metadata.emplace("zone", random.one_in(2) ? "a" : "b");
    if (random.one_in(6))
      result.status = record_status::maintenance;
    return result;
  }

  std::array<own_records, owners.size()> books_{
    own_records{"n1"_node, 1}, own_records{"n2"_node, 1}, own_records{"n3"_node, 1},
    own_records{"n4"_node, 1}};
  std::vector<record> said_;
  std::uint64_t last_token_ = 0;
};

/// Returns a span in which something may or may not happen.
duration random_span(random_source& random) {
  return random.one_in(20) ? duration{1h} : duration{std::chrono::milliseconds{random.below(9000)}};
}

/// Returns bounds so small that all of them are met.
registry_options small_options() {
  return {.retention = 30min, .unhealthy_after = 2, .max_removed = 6, .max_changes = 12};
}

find_records random_question(random_source& random) {
  find_records result;
  if (random.one_in(3))
    result.kind = record_kind(random.below(2));
  if (random.one_in(3))
    result.owner = node_named(owners[random.below(owners.size())]);
  if (random.one_in(3))
    result.name = "echo";
  for (auto* each : {"draw", "paint"})
    if (random.one_in(3))
      result.capabilities.push_back(each);
  if (random.one_in(3))
    result.group = "art";
  if (random.one_in(3))
    result.metadata.emplace("zone", "a");
  if (random.one_in(2))
    result.statuses = all_statuses();
  result.unhealthy_too = random.one_in(2);
  result.limit = static_cast<std::uint32_t>(1 + random.below(6));
  return result;
}

/// Returns everything that shows.
std::vector<record_view> everything(const record_table& table) {
  return table
    .answer(find_records{.statuses = all_statuses(), .unhealthy_too = true, .limit = 1000})
    .records;
}

/// Returns all records that the table has, also removed ones.
std::vector<record> heard_by(const record_table& table) {
  std::vector<record> result;
  for (auto& owner : owners)
    if (auto all
        = table.records_of(node_named(owner), table.answer(find_owner{node_named(owner)}).boot))
      for (auto& each : all->records)
        result.push_back(*each);
  return result;
}

/// What tables that got the same records have to agree on.
struct common_ground {
  std::map<std::string, std::uint64_t> boots;
  std::vector<record> records;
  std::vector<record> shown;

  explicit common_ground(const record_table& table) {
    for (auto& each : owners)
      boots.emplace(each, table.answer(find_owner{node_named(each)}).boot);
    records = heard_by(table);
    for (auto& each : everything(table))
      shown.push_back(each.value);
  }

  friend bool operator==(const common_ground&, const common_ground&) = default;
};

/// Puts `records` in any order, some of them twice, in batches of any size.
void put_shuffled(random_source& random, clocked_table& table, std::vector<record> records) {
  auto copies = records;
  for (auto& each : copies)
    if (random.one_in(3))
      records.push_back(each);
  for (auto last = records.size(); last > 1; --last)
    std::swap(records[last - 1], records[random.below(last)]);
  while (!records.empty()) {
    auto size = std::min<std::size_t>(records.size(), 1 + random.below(4));
    table.put({records.end() - static_cast<std::ptrdiff_t>(size), records.end()});
    records.resize(records.size() - size);
  }
}

} // namespace

// How: some nodes say 60 things over several boots, now and then two things at once; the
// tables get all of it in any order and however often.
TEST_CASE("tables that got the same records agree", "[registry][property]") {
  test::for_each_seed(200, [](random_source random) {
    busy_cluster cluster;
    std::vector<record> said;
    while (said.size() < 60) {
      auto what = cluster.next(random);
      if (auto* put = std::get_if<put_records>(&what))
        said.insert(said.end(), put->records.begin(), put->records.end());
      if (!said.empty() && random.one_in(8)) { // an impostor says it in other words
        auto other = said[random.below(said.size())];
        other.load = static_cast<std::uint32_t>(random.below(3));
        said.push_back(other);
      }
    }
    clocked_table one;
    clocked_table other;
    put_shuffled(random, one, said);
    put_shuffled(random, other, said);
    REQUIRE(common_ground{one.table} == common_ground{other.table});
    auto before = common_ground{one.table};
    put_shuffled(random, one, said); // again
    REQUIRE(common_ground{one.table} == before);
  });
}

// How: each of two tables gets a part of the records, then all that the other one has.
TEST_CASE("tables that heard of each other agree, whoever told what first",
          "[registry][property]") {
  test::for_each_seed(200, [](random_source random) {
    busy_cluster cluster;
    clocked_table one;
    clocked_table other;
    clocked_table whole;
    for (int each = 0; each < 80; ++each) {
      auto what = cluster.next(random);
      if (auto* put = std::get_if<put_records>(&what)) {
        (random.one_in(2) ? one : other).put(put->records);
        whole.put(put->records);
      }
    }
    auto from_one = heard_by(one.table);
    put_shuffled(random, one, heard_by(other.table));
    put_shuffled(random, other, from_one);
    REQUIRE(common_ground{one.table} == common_ground{other.table});
    REQUIRE(common_ground{one.table} == common_ground{whole.table});
  });
}

// How: a twin gets the same calls and the same questions.
TEST_CASE("the same calls have the same effects", "[registry][property]") {
  test::for_each_seed(100, [](random_source random) {
    busy_cluster cluster;
    clocked_table original{small_options()};
    clocked_table twin{small_options()};
    for (int each = 0; each < 250; ++each) {
      auto span = random_span(random);
      original.pass(span);
      twin.pass(span);
      auto what = cluster.next(random);
      REQUIRE(original.ask(what) == twin.ask(what));
      REQUIRE(original.table.next_deadline() == twin.table.next_deadline());
      auto question = random_question(random);
      REQUIRE(original.table.answer(question) == twin.table.answer(question));
      REQUIRE(original.table.answer(count_records{}) == twin.table.answer(count_records{}));
      watch_records watch{.after = original.table.revision()
                                   - std::min<std::uint64_t>(random.below(20), each),
                          .limit = 3};
      REQUIRE(original.table.answer(watch) == twin.table.answer(watch));
    }
  });
}

// How: every answer is compared with a search through all that shows.
TEST_CASE("a look-up finds what a search through everything would", "[registry][property]") {
  test::for_each_seed(50, [](random_source random) {
    busy_cluster cluster;
    clocked_table registry{small_options()};
    for (int each = 0; each < 200; ++each) {
      registry.pass(random_span(random));
      registry.ask(cluster.next(random));
      auto question = random_question(random);
      std::vector<record_view> expected;
      for (auto& candidate : everything(registry.table)) {
        auto& [key, boot, version, removed, status, token, endpoints, capabilities, groups,
               metadata, offers, load, registered]
          = candidate.value;
        auto has = [&](auto& capability) { return capabilities.contains(capability); };
        if ((!question.kind || key.kind == *question.kind)
            && (question.name.empty() || key.name == question.name)
            && (question.owner == node_id{} || key.owner == question.owner)
            && std::ranges::all_of(question.capabilities, has)
            && (question.group.empty() || groups.contains(question.group))
            && (question.metadata.empty() || (metadata.contains("zone") && metadata["zone"] == "a"))
            && (!question.statuses.empty() || candidate.status == record_status::active)
            && (question.unhealthy_too || candidate.healthy))
          expected.push_back(candidate);
      }
      std::vector<record_view> found;
      for (auto more = true; more;) {
        auto page = registry.table.answer(question);
        found.insert(found.end(), page.records.begin(), page.records.end());
        more = page.more;
        if (more)
          question.after = page.records.back().value.key;
      }
      REQUIRE(found == expected);
      auto counts = registry.table.answer(count_records{});
      auto shown = counts.nodes.active + counts.agents.active + counts.services.active;
      REQUIRE(shown == std::ranges::count_if(everything(registry.table), [](auto& view) {
                return view.status == record_status::active;
              }));
    }
  });
}

namespace {

/// Follows a registry as a client does and keeps what it was told.
class follower {
public:
  explicit follower(std::uint32_t limit) : question_{.limit = limit} {}

  /// Asks once. Returns whether there was anything.
  bool look(const record_table& table) {
    auto has_news = table.has_news(question_);
    auto news = table.answer(question_);
    REQUIRE((has_news || (news.changes.empty() && !news.complete)));
    if (news.complete)
      known_.clear();
    auto in_snapshot = news.complete || question_.rest;
    auto expected = question_.after;
    for (auto& each : news.changes) {
      if (!in_snapshot) {
        REQUIRE(each.revision == ++expected); // no gap
        if (!overlaps_ && each.kind != change_kind::removed && each.kind != change_kind::lost)
          REQUIRE(known_.contains(each.what.value.key) == (each.kind != change_kind::added));
      }
      if (is_shown(each.kind))
        known_[each.what.value.key] = each.what;
      else
        known_.erase(each.what.value.key);
    }
    REQUIRE((in_snapshot || news.revision == expected));
    overlaps_ = (overlaps_ || in_snapshot) && news.more;
    question_ = question_.next(news);
    return has_news;
  }

  void check(const record_table& table) const {
    std::vector<record_view> told;
    for (auto& [key, view] : known_)
      told.push_back(view);
    auto shown = everything(table);
    for (auto& each : shown)
      each.unseen_for = {};
    REQUIRE(told == shown);
  }

private:
  watch_records question_;
  std::map<record_key, record_view> known_;
  /// What changed while a snapshot was under way comes twice.
  bool overlaps_ = true;
};

} // namespace

// How: followers look at random moments, with pages of 1 to 5; some are far behind, some
// in the middle of a snapshot while the registry goes on. In the end each looks until
// there is no news.
TEST_CASE("no watcher misses a change", "[registry][property]") {
  test::for_each_seed(200, [](random_source random) {
    busy_cluster cluster;
    clocked_table registry{small_options()};
    std::vector<follower> followers;
    for (std::uint32_t limit = 1; limit <= 5; ++limit)
      followers.emplace_back(limit);
    for (int each = 0; each < 200; ++each) {
      registry.pass(random_span(random));
      registry.ask(cluster.next(random));
      for (auto& who : followers)
        if (random.one_in(4))
          for (auto looks = random.below(6); looks > 0; --looks)
            who.look(registry.table);
      if (random.one_in(50))
        followers[random.below(followers.size())] = follower{3};
      if (random.one_in(80)) // a new life, in which revisions begin above
        registry.ask(configure{small_options(), registry.table.revision() + 100});
    }
    for (auto& who : followers) {
      while (who.look(registry.table))
        ;
      who.check(registry.table);
    }
  });
}

// How: between two pages come 500 changes of records all over the table, or of the first ones.
TEST_CASE("a watcher that answers each page at once has all records, however fast they change",
          "[registry][property][watch]") {
  constexpr std::uint64_t count = 20'000;
  auto where = GENERATE(std::uint64_t{1}, std::uint64_t{50}); // all records, or the first of them
  clocked_table registry;
  std::uint64_t version = 0;
  auto change = [&](std::uint64_t which) {
    auto digits = std::to_string(which);
    registry.put({agent("a" + std::string(5 - digits.size(), '0') + digits, "n1", ++version)});
  };
  for (std::uint64_t each = 0; each < count; ++each)
    change(each);
  random_source random{1};
  std::map<record_key, std::uint64_t> has; // the version of each record
  watch_records question;
  int pages = 0;
  auto goes_on = true;
  while (goes_on && pages < 200) {
    auto page = registry.table.answer(question);
    ++pages;
    CHECK(page.complete == (pages == 1));
    for (auto& each : page.changes)
      has[each.what.value.key] = each.what.value.version;
    question = question.next(page);
    goes_on = page.more;
    for (int each = 0; goes_on && each < 500; ++each)
      change(random.below(count / where));
  }
  REQUIRE_FALSE(goes_on);
  CHECK(pages <= static_cast<int>(count / 500) + 1);
  REQUIRE(has.size() == registry.table.answer(count_records{}).agents.active);
  for (auto& [key, last] : has)
    REQUIRE(registry.look(key).value.version == last);
}

} // namespace record_table_property
