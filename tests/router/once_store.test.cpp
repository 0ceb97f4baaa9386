// The store that has the effect of each message of class once exactly once.

#include "troupe/router/once_store.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/file_limit.hpp"
#include "support/lossy_disk.hpp"
#include "support/node_number.hpp"
#include "support/temporary_folder.hpp"

namespace once_store_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

using applied = once_store::applied;

const agent_id ledger{"ledger"};

message_id message(std::uint64_t number, boot_number boot = 1) {
  return {test::node_number(1), boot, number};
}

struct rig {
  test::temporary_folder folder;
  std::filesystem::path file = folder / "ledger.db";
  wall_time calendar{1'000'000h};
  std::uint64_t max_marks = 1'000;
  std::shared_ptr<once_store> store = open();

  std::shared_ptr<once_store> open() {
    auto made = once_store::open(file, {max_marks, [this] { return calendar; }});
    REQUIRE(made);
    REQUIRE((*made)->database().run("CREATE TABLE IF NOT EXISTS entries(value INTEGER NOT NULL)"));
    return *std::move(made);
  }

  static problem enter(storage::database& into, std::uint64_t value) {
    auto add = into.prepare("INSERT INTO entries VALUES(?)");
    return add.bind(1, static_cast<std::int64_t>(value)).run() ? problem{} : into.failed("enter");
  }

  result<applied> apply(std::uint64_t number) {
    return store->apply(ledger, message(number),
                        [&](storage::database& into) { return enter(into, number); });
  }

  std::int64_t entries() {
    return store->database().number("SELECT COUNT(*) FROM entries");
  }

  std::int64_t marks() {
    return store->database().number("SELECT COUNT(*) FROM troupe_once");
  }
};

} // namespace

TEST_CASE("a message that comes again has no second effect, also to a later process", "[once]") {
  rig r;
  CHECK(r.apply(1).value() == applied::now);
  CHECK(r.apply(2).value() == applied::now);
  CHECK(r.apply(1).value() == applied::before);
  r.store = r.open();
  CHECK(r.apply(2).value() == applied::before);
  CHECK(r.entries() == 2);
  CHECK(r.store->applied_count() == 0);
  CHECK(r.store->repeated_count() == 1);
}

TEST_CASE("a message is known by its node, start and number, and by the agent", "[once]") {
  rig r;
  auto apply = [&](const agent_id& agent, const message_id& id) {
    return r.store->apply(agent, id, [](storage::database& into) { return rig::enter(into, 1); })
      .value();
  };
  auto last = ~std::uint64_t{0};
  for (auto& id : {message(1), message(2), message(1, 2), message(last, last),
                   message_id{test::node_number(2), 1, 1}}) {
    CHECK(apply(ledger, id) == applied::now);
    CHECK(apply(ledger, id) == applied::before);
  }
  CHECK(apply(agent_id{"other"}, message(1)) == applied::now);
  CHECK(r.entries() == 6);
}

TEST_CASE("a function that refuses or throws leaves neither effect nor mark", "[once]") {
  rig r;
  auto refused = r.store->apply(ledger, message(1), [](storage::database& into) {
    auto why = rig::enter(into, 1);
    return why ? why : problem{errc::failed, "no"};
  });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail == "no");
  CHECK_THROWS_AS(r.store->apply(ledger, message(1),
                                 [](storage::database& into) -> problem {
                                   static_cast<void>(rig::enter(into, 1));
                                   throw std::runtime_error{"no"};
                                 }),
                  std::runtime_error);
  CHECK(r.entries() == 0);
  CHECK(r.marks() == 0);
  CHECK(r.apply(1).value() == applied::now);
  CHECK(r.entries() == 1);
}

TEST_CASE("a function that ends its transaction has no effect", "[once]") {
  rig r;
  for (auto* ends : {"COMMIT", "ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN"}) {
    CAPTURE(ends);
    auto refused = r.store->apply(ledger, message(1), [&](storage::database& into) {
      static_cast<void>(rig::enter(into, 1));
      into.run(ends);
      into.run("BEGIN"); // also where there is none
      static_cast<void>(rig::enter(into, 2));
      return problem{};
    });
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::failed);
    CHECK(r.entries() == 0);
    CHECK(r.marks() == 0);
  }
  CHECK(r.apply(1).value() == applied::now);
}

TEST_CASE("a function begins no second transaction of its store", "[once]") {
  rig r;
  auto outer = r.store->apply(ledger, message(1), [&](storage::database&) {
    auto inner = r.apply(2);
    return inner ? problem{} : inner.error();
  });
  REQUIRE_FALSE(outer);
  CHECK(outer.error().code == errc::bad_argument);
  CHECK(r.entries() == 0);
  CHECK(r.apply(2).value() == applied::now);
}

TEST_CASE("what is run without a mark is one transaction as well", "[once]") {
  rig r;
  CHECK(r.store->run([](storage::database& into) { return rig::enter(into, 1); }));
  auto refused = r.store->run([](storage::database& into) {
    static_cast<void>(rig::enter(into, 2));
    return problem{errc::busy, "later"};
  });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::busy);
  CHECK(r.entries() == 1);
  CHECK(r.marks() == 0);
}

TEST_CASE("a mark is kept for 24 hours, and 16 older ones go with each that comes", "[once]") {
  rig r;
  for (std::uint64_t each = 1; each <= 100; ++each)
    REQUIRE(r.apply(each));
  r.calendar += once_window;
  CHECK(r.apply(1).value() == applied::before);
  CHECK(r.apply(101).value() == applied::now); // nothing is older than the window
  CHECK(r.marks() == 101);
  r.calendar += 1ms;
  CHECK(r.apply(102).value() == applied::now);
  CHECK(r.marks() == 102 - 16);
  CHECK(r.apply(100).value() == applied::before);
  for (std::uint64_t each = 103; each <= 109; ++each)
    REQUIRE(r.apply(each));
  CHECK(r.marks() == 9); // those of the last two steps
  CHECK(r.entries() == 109);
}

TEST_CASE("a store with as many marks as it may keep refuses others until some are older",
          "[once]") {
  rig r;
  r.store.reset();
  r.max_marks = 10;
  r.store = r.open();
  for (std::uint64_t each = 1; each <= 10; ++each)
    REQUIRE(r.apply(each));
  auto refused = r.apply(11);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::limit_reached);
  CHECK(refused.error().detail.find("once_options::max_marks") != std::string::npos);
  CHECK(r.apply(10).value() == applied::before);
  CHECK(r.entries() == 10);
  r.calendar += once_window + 1ms;
  CHECK(r.apply(11).value() == applied::now);
  CHECK(r.store->marks() == 1);
}

TEST_CASE("a full disk keeps neither effect nor mark, and the message is applied later", "[once]") {
  rig r;
  REQUIRE(r.apply(1));
  std::size_t refused = 0;
  auto big = [](storage::database& into) {
    return into.run("INSERT INTO entries SELECT randomblob(20000)") ? problem{}
                                                                    : into.failed("enter");
  };
  {
    test::file_limit full{256U << 10U};
    for (std::uint64_t each = 2; each <= 40; ++each)
      if (auto done = r.store->apply(ledger, message(each), big); !done) {
        CHECK(done.error().code == errc::storage_full);
        ++refused;
      }
  }
  CHECK(refused > 0);
  CHECK(r.entries() == r.marks());
  CHECK(r.entries() == static_cast<std::int64_t>(40 - refused));
  for (std::uint64_t each = 2; each <= 40; ++each)
    CHECK(r.store->apply(ledger, message(each), big));
  CHECK(r.entries() == 40);
  CHECK(r.marks() == 40);
}

TEST_CASE("a process that is killed at any write leaves both effect and mark, or neither",
          "[once]") {
  test::lossy_disk disk;
  rig r;
  constexpr std::uint64_t most = 5;
  std::size_t kills = 0;
  // Each message has two entries; each is seen with all of what was applied, and of the one that
  // is under way with all or nothing.
  auto look = [&](std::uint64_t done, bool has_ended) {
    auto copy = r.folder / ("killed" + std::to_string(++kills));
    for (auto* ending : {"", "-wal"})
      std::filesystem::copy_file(r.file.string() + ending, copy.string() + ending);
    auto before = std::exchange(disk.on_change, [] {});
    {
      storage::database left;
      REQUIRE(left.open(copy, storage::database::sharing::shared, "").code == errc::none);
      auto entries = left.number("SELECT COUNT(*) FROM entries");
      auto marks = left.number("SELECT COUNT(*) FROM troupe_once");
      CHECK(entries == 2 * marks);
      CHECK(marks >= static_cast<std::int64_t>(done));
      CHECK(marks <= static_cast<std::int64_t>(done + (has_ended ? 0 : 1)));
    }
    disk.on_change = before;
  };
  for (std::uint64_t number = 1; number <= most; ++number) {
    disk.on_change = [&] { look(number - 1, false); };
    auto made = r.store->apply(ledger, message(number), [&](storage::database& into) {
      auto why = rig::enter(into, number);
      look(number - 1, false);
      if (!why)
        why = rig::enter(into, number);
      look(number - 1, false);
      return why;
    });
    disk.on_change = [] {};
    CHECK(made.value() == applied::now);
    look(number, true);
  }
  CHECK(kills > 5 * most); // there were writes to be killed at
}

TEST_CASE("a store is for several threads at a time", "[once]") {
  rig r;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      for (std::uint64_t each = 1; each <= 25; ++each)
        static_cast<void>(r.apply(thread % 2 * 100 + each)); // each number twice
    });
  for (auto& each : threads)
    each.join();
  CHECK(r.entries() == 50);
  CHECK(r.store->applied_count() == 50);
  CHECK(r.store->repeated_count() == 50);
}

} // namespace once_store_test
