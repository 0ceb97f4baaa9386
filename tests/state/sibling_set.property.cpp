// What lets replicas agree on one key whatever way the news of it takes.

#include "troupe/state/sibling_set.hpp" // the header under test
#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace sibling_set_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;
using troupe::test::random_source;

namespace {

constexpr auto types
  = {value_type::lww_register, value_type::mv_register, value_type::version_register};

/// Four replicas of one key with calendars of their own, and a witness who knows every
/// write and removal ever made, but no rule of the sets.
class world {
public:
  world(value_type type, random_source random) : type_(type), random_(random) {
    for (auto& each : replicas_)
      each.calendar = wall_time{} + std::chrono::seconds{random_.below(5)};
  }

  /// One write, removal, expiry or merge, perhaps of a state of the past.
  void act() {
    auto& where = replicas_.at(random_.below(replicas_.size()));
    where.calendar += std::chrono::seconds{random_.below(3)};
    switch (random_.below(8)) {
      case 0:
        return remove(where);
      case 1:
        return let_expire(where);
      case 2:
      case 3:
      case 4:
        return write(where);
      default:
        join(where.set, past_.at(random_.below(past_.size())), type_);
        where.version = std::max(where.version, newest(where.set));
        where.calendar = std::max(where.calendar, latest(where.set));
    }
  }

  void settle_all() {
    sibling_set all;
    for (auto& each : replicas_)
      join(all, each.set, type_);
    for (auto& each : replicas_)
      join(each.set, all, type_);
  }

  [[nodiscard]] const sibling_set& at(std::size_t number) const {
    return replicas_.at(number).set;
  }

  [[nodiscard]] const sibling_set& some_state() {
    return past_.at(random_.below(past_.size()));
  }

  /// What must stand once everybody has heard of everything, by the texts of values.
  [[nodiscard]] std::vector<std::string> witnessed() const {
    std::vector<std::string> result;
    for (auto& each : writes_)
      if (type_ == value_type::mv_register ? stands_among_siblings(each) : stands_alone(each))
        result.push_back(to_text(each.value));
    std::ranges::sort(result);
    return result;
  }

private:
  struct replica {
    sibling_set set;
    std::uint64_t version = 0;
    wall_time calendar{};
  };

  struct removal {
    write_stamp stamp;
    vector_clock context;
  };

  [[nodiscard]] std::string name_of(const replica& which) const {
    return std::string(1, static_cast<char>('a' + (&which - replicas_.data())));
  }

  void write(replica& where) {
    entry what;
    what.value = to_value("v" + std::to_string(writes_.size()));
    what.version = ++where.version;
    what.replica = name_of(where);
    if (random_.one_in(2))
      what.context = where.set.clock;
    else if (random_.one_in(2)) // read a while ago, here or elsewhere
      what.context = past_.at(random_.below(past_.size())).clock;
    what.written_at = where.calendar;
    seal(what);
    writes_.push_back(what);
    add_write(where.set, std::move(what), type_);
    past_.push_back(where.set);
  }

  void remove(replica& where) {
    auto context = random_.one_in(2) ? where.set.clock : some_state().clock;
    removal what{{where.calendar, name_of(where), ++where.version}, context};
    removals_.push_back(what);
    add_removal(where.set, what.stamp, what.context, type_);
    past_.push_back(where.set);
  }

  void let_expire(replica& where) {
    if (where.set.entries.empty())
      return;
    auto what = where.set.entries[random_.below(where.set.entries.size())];
    over_.push_back(what);
    add_expiry(where.set, what, type_);
    past_.push_back(where.set);
  }

  static std::uint64_t newest(const sibling_set& set) {
    std::uint64_t result = 0;
    for (auto& [name, count] : set.clock.counts())
      result = std::max(result, count);
    return result;
  }

  static wall_time latest(const sibling_set& set) {
    auto result = set.removed ? set.removed->at : wall_time{};
    for (auto& each : set.entries)
      result = std::max(result, each.written_at);
    return result;
  }

  /// Nobody wrote or removed who had seen it, and it did not run out.
  [[nodiscard]] bool stands_among_siblings(const entry& what) const {
    auto seen_by = [&](auto& other) { return other.context.knows(what.replica, what.version); };
    return std::ranges::none_of(writes_, seen_by) && std::ranges::none_of(removals_, seen_by)
           && std::ranges::find(over_, what) == over_.end();
  }

  /// It is the greatest of all writes, and above all that is gone.
  [[nodiscard]] bool stands_alone(const entry& what) const {
    auto rank = [this](const write_stamp& stamp) {
      return type_ == value_type::version_register
               ? std::tuple{wall_time{}, std::to_string(stamp.version + 1'000'000), stamp.replica}
               : std::tuple{stamp.at, stamp.replica, std::to_string(stamp.version + 1'000'000)};
    };
    auto mine = rank(stamp_of(what));
    return std::ranges::none_of(writes_, [&](auto& each) { return rank(stamp_of(each)) > mine; })
           && std::ranges::none_of(removals_, [&](auto& each) { return rank(each.stamp) > mine; })
           && std::ranges::none_of(over_, [&](auto& each) { return rank(stamp_of(each)) >= mine; });
  }

  value_type type_;
  random_source random_;
  std::array<replica, 4> replicas_;
  std::vector<entry> writes_;
  std::vector<removal> removals_;
  std::vector<entry> over_;
  std::deque<sibling_set> past_{{}};
};

std::vector<std::string> texts(const sibling_set& set) {
  std::vector<std::string> result;
  for (auto& each : set.entries)
    result.push_back(to_text(each.value));
  std::ranges::sort(result);
  return result;
}

sibling_set joined(sibling_set left, const sibling_set& right, value_type type) {
  join(left, right, type);
  return left;
}

} // namespace

TEST_CASE("sets join in any order, grouping and number", "[state][siblings][property]") {
  auto type = GENERATE(values(types));
  INFO(name_of(type));
  test::for_each_seed(150, [&](random_source random) {
    world all{type, random};
    for (int step = 0; step < 40; ++step)
      all.act();
    for (int round = 0; round < 20; ++round) {
      auto a = all.some_state();
      auto b = all.some_state();
      auto c = all.some_state();
      REQUIRE(joined(a, b, type) == joined(b, a, type));
      REQUIRE(joined(joined(a, b, type), c, type) == joined(a, joined(b, c, type), type));
      REQUIRE(joined(a, a, type) == a);
      REQUIRE(joined(joined(a, b, type), a, type) == joined(a, b, type));
    }
  });
}

TEST_CASE("replicas that heard the same agree, and lose no write", "[state][siblings][property]") {
  auto type = GENERATE(values(types));
  INFO(name_of(type));
  test::for_each_seed(200, [&](random_source random) {
    world all{type, random};
    for (int step = 0; step < 60; ++step)
      all.act();
    all.settle_all();
    for (std::size_t each = 1; each < 4; ++each)
      REQUIRE(all.at(each) == all.at(0));
    REQUIRE(texts(all.at(0)) == all.witnessed());
    if (type != value_type::mv_register)
      REQUIRE(all.at(0).entries.size() <= 1);
  });
}

TEST_CASE("siblings are the concurrent ones", "[state][siblings][property]") {
  test::for_each_seed(200, [](random_source random) {
    world all{value_type::mv_register, random};
    for (int step = 0; step < 60; ++step) {
      all.act();
      auto& entries = all.some_state().entries;
      for (auto& one : entries)
        for (auto& other : entries)
          REQUIRE((compare(one, other) == clock_order::concurrent || one == other));
    }
  });
}

} // namespace sibling_set_property
