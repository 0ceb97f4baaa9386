#include "troupe/host/detail/record_queue.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/lock/lock_table.hpp"

namespace record_queue_test {

using namespace std::literals;
using namespace troupe;
using host::notice;
using host::session_id;
using host::time_passed;
using lock::lock_table;
using queue = host::detail::record_queue<lock_table>;
using callers = std::vector<request_id>;

namespace {

constexpr time_point start{1h};

host::command<lock_table> request(const std::string& name) {
  return {{}, lock::acquire{.name = name, .owner = "ann"}};
}

notice<lock_table> options() {
  return {lock::configure{}};
}

/// Where `batch` has which entries: "ann" for what one asked, else by their kinds.
std::vector<std::string> entries_of(const host::batch<lock_table>& batch) {
  std::vector<std::string> found;
  for (auto& each : *batch)
    if (auto* asked = std::get_if<host::command<lock_table>>(&each.what))
      found.push_back(std::get<lock::acquire>(asked->what).name);
    else if (std::holds_alternative<notice<lock_table>>(each.what))
      found.emplace_back("notice");
    else if (std::holds_alternative<host::close_session>(each.what))
      found.emplace_back("end of " + each.by);
    else if (std::holds_alternative<host::use_rules>(each.what))
      found.emplace_back("rules");
    else
      found.emplace_back("other");
  return found;
}

/// An open queue that begins batches with the next index.
struct writing {
  explicit writing(host::core_options how = {}) : it(how) {}

  void ask(request_id caller, const std::string& name) {
    REQUIRE_FALSE(it.enter(caller, request(name), "ann"));
  }

  host::batch<lock_table> begin() {
    return it.begin(index + 1, start, 77);
  }

  callers commit() {
    auto done = it.commit();
    index += done.records->size();
    return done.callers;
  }

  request_id index = 0;
  queue it;
};

} // namespace

SCENARIO("what waits for the disk is written in batches", "[host]") {
  writing w{{.max_batch = 3}};
  w.index = 9;
  CHECK(w.it.is_empty());
  for (request_id caller = 1; caller <= 5; ++caller)
    w.ask(caller, "lock " + std::to_string(caller));
  GIVEN("a batch under way") {
    auto first = w.begin();
    THEN("it has the first entries, with their indices and one time") {
      CHECK(entries_of(first) == std::vector{"lock 1"s, "lock 2"s, "lock 3"s});
      for (std::size_t each = 0; each < first->size(); ++each) {
        CHECK((*first)[each].index == 10 + each);
        CHECK((*first)[each].at == start);
        CHECK((*first)[each].by == "ann");
        CHECK((*first)[each].history == (each == 0 ? 77U : 0U));
      }
    }
    THEN("there is no other until it is written") {
      CHECK_FALSE(w.it.may_write());
      CHECK(w.it.has_waiting());
      CHECK(w.commit() == callers{1, 2, 3});
      CHECK(w.it.may_write());
      CHECK(w.begin()->front().index == 13);
      CHECK_FALSE(w.it.has_waiting());
      CHECK_FALSE(w.it.is_empty());
      CHECK(w.commit() == callers{4, 5});
      CHECK(w.it.is_empty());
    }
    THEN("who leaves is not named any more, and what was asked is written") {
      w.it.forget(2);
      w.it.forget(4);
      CHECK(w.commit() == callers{1, 0, 3});
      CHECK(w.begin()->size() == 2);
      CHECK(w.commit() == callers{0, 5});
    }
    THEN("another replica that writes from now on leaves it with nothing") {
      auto left = w.it.close();
      CHECK(left.under_way == callers{1, 2, 3});
      CHECK(left.queued == callers{4, 5});
      CHECK(w.it.is_empty());
      CHECK_FALSE(w.it.is_open());
      CHECK_FALSE(w.it.may_write());
      w.it.open();
      CHECK(w.it.may_write());
    }
  }
  GIVEN("a host with more requests to come") {
    w.it.hold();
    THEN("nothing is written until it lets go") {
      CHECK_FALSE(w.it.may_write());
      w.it.let_go();
      CHECK(w.it.may_write());
    }
  }
}

TEST_CASE("the queue for the disk is bounded for callers, not for the host", "[host]") {
  writing w{{.max_queued = 2}};
  w.ask(1, "a");
  CHECK(w.it.has_room());
  w.ask(2, "b");
  CHECK_FALSE(w.it.has_room());
  auto why = w.it.enter(3, request("c"), {});
  CHECK(why.code == errc::limit_reached);
  CHECK(why.detail.find("core_options::max_queued") != std::string::npos);
  w.it.enter_own(time_passed{});
  w.it.enter_own(host::close_session{session_id{7}}, "bob");
  CHECK(entries_of(w.begin()) == std::vector{"a"s, "b"s, "other"s, "end of bob"s});
}

SCENARIO("a batch that is not written comes to nothing", "[host]") {
  writing w;
  w.ask(1, "a");
  CHECK_FALSE(w.it.enter(0, options(), {}));
  w.it.enter_own(host::close_session{session_id{7}}, "bob");
  w.it.enter_own(host::use_rules{2});
  w.it.enter_own(time_passed{});
  w.ask(2, "b");
  w.begin();
  w.ask(3, "later");
  WHEN("the disk is full") {
    CHECK(w.it.give_up(start, errc::storage_full) == callers{1, 2});
    THEN("what the host entered goes first, in its order") {
      CHECK(entries_of(w.begin()) == std::vector{"notice"s, "end of bob"s, "rules"s, "later"s});
    }
    THEN("writes rest for a while") {
      CHECK(w.it.may_write());
      CHECK(w.it.rests_until() == start + queue::rest);
    }
    THEN("there is no rest for one that writes anew") {
      w.it.close();
      w.it.open();
      CHECK(w.it.rests_until() < start);
    }
  }
  WHEN("the group is busy") {
    CHECK(w.it.give_up(start, errc::busy).empty());
    THEN("all of it is tried again after the rest, and nobody is refused") {
      CHECK(w.it.rests_until() == start + queue::rest);
      auto again = w.begin();
      CHECK(entries_of(again)
            == std::vector{"a"s, "notice"s, "end of bob"s, "rules"s, "other"s, "b"s, "later"s});
      CHECK(again->front().by == "ann");
      CHECK(w.commit() == callers{1, 0, 0, 0, 0, 2, 3});
    }
  }
}

SCENARIO("a batch that is too large is written in smaller ones", "[host]") {
  writing w;
  GIVEN("ten requests") {
    for (request_id caller = 1; caller <= 10; ++caller)
      w.ask(caller, std::to_string(caller));
    CHECK(w.begin()->size() == 10);
    CHECK(w.it.give_up(start, errc::too_large).empty());
    THEN("half of them are tried at once, then again half") {
      CHECK(w.it.rests_until() < start);
      CHECK(w.begin()->size() == 5);
      CHECK(w.it.give_up(start, errc::too_large).empty());
      auto next = w.begin();
      CHECK(entries_of(next) == std::vector{"1"s, "2"s});
      CHECK(next->front().by == "ann");
      CHECK(w.commit() == callers{1, 2});
    }
    THEN("batches grow again with each that is written") {
      for (request_id caller = 11; caller <= 40; ++caller)
        w.ask(caller, std::to_string(caller));
      std::vector<std::size_t> sizes;
      for (auto count = 0; count < 4; ++count) {
        sizes.push_back(w.begin()->size());
        w.commit();
      }
      CHECK(sizes == std::vector<std::size_t>{5, 6, 7, 8});
    }
    THEN("a small batch does not make later ones smaller") {
      w.begin();
      w.commit(); // five; six may be next
      w.begin();
      w.commit();
      w.ask(11, "alone");
      w.begin();
      w.commit();
      for (request_id caller = 12; caller <= 30; ++caller)
        w.ask(caller, std::to_string(caller));
      CHECK(w.begin()->size() == 6);
    }
  }
  GIVEN("one request that is too large alone") {
    w.ask(1, "a");
    w.begin();
    w.ask(2, "b");
    THEN("its caller is refused, and the next one goes on without a rest") {
      CHECK(w.it.give_up(start, errc::too_large) == callers{1});
      CHECK(w.it.rests_until() < start);
      CHECK(entries_of(w.begin()) == std::vector{"b"s});
    }
  }
  GIVEN("an entry of the host that is too large alone") {
    CHECK_FALSE(w.it.enter(0, options(), {}));
    w.begin();
    THEN("it is dropped, which is said") {
      CHECK(w.it.give_up(start, errc::too_large) == callers{0});
      CHECK(w.it.is_empty());
      CHECK_FALSE(w.it.configures());
    }
  }
}

TEST_CASE("the queue knows while options may change", "[host]") {
  writing w;
  w.ask(1, "a");
  w.it.enter_own(notice<lock_table>{withdraw{7}});
  CHECK_FALSE(w.it.configures());
  CHECK_FALSE(w.it.enter(5, options(), {}));
  CHECK_FALSE(w.it.enter(0, options(), {}));
  CHECK(w.it.configures());
  w.begin();
  CHECK(w.it.give_up(start, errc::storage_full) == callers{1, 5});
  CHECK(w.it.configures()); // one of the two is tried again
  w.begin();
  CHECK(w.it.configures());
  w.commit();
  CHECK_FALSE(w.it.configures());
  CHECK_FALSE(w.it.enter(0, options(), {}));
  w.it.close();
  CHECK_FALSE(w.it.configures());
}

} // namespace record_queue_test
