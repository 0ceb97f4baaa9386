#include "troupe/router/detail/outbox_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/file_limit.hpp"
#include "support/lossy_disk.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/router/detail/outbox_keeper.hpp"
#include "troupe/storage/database.hpp"

namespace outbox_file_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using router::detail::outbox_file;
using router::detail::outbox_keeper;

namespace {

using places = std::vector<std::uint64_t>;

places places_in(const std::vector<outbox_file::row>& all) {
  places result;
  for (auto& each : all) {
    CHECK(each.bytes == "message " + std::to_string(each.place));
    result.push_back(each.place);
  }
  return result;
}

std::vector<outbox_file::row> rows(std::uint64_t first, std::uint64_t last) {
  std::vector<outbox_file::row> made;
  for (auto place = first; place <= last; ++place)
    made.push_back({place, "message " + std::to_string(place)});
  return made;
}

/// Leaves the files as kill -9 would.
struct killed_outbox {
  test::temporary_folder folder;

  killed_outbox() {
    outbox_file file{folder / "live"};
    REQUIRE(file.load().value().empty());
    REQUIRE(!file.commit(rows(1, 5), {}));
    REQUIRE(!file.commit(rows(6, 9), {2, 3, 7}));
    for (auto* ending : {"", "-wal", ".mark"})
      std::filesystem::copy_file(folder / ("live"s + ending), path(ending));
  }

  [[nodiscard]] std::filesystem::path path(const std::string& ending = "") const {
    return folder / ("killed" + ending);
  }
};

} // namespace

TEST_CASE("an outbox keeps what was committed and not removed, in its order, over a crash") {
  killed_outbox disk;
  outbox_file file{disk.path()};
  CHECK(places_in(file.load().value()) == places{1, 4, 5, 6, 8, 9});
  REQUIRE(!file.commit(rows(10, 10), {1}));
}

TEST_CASE("an outbox says whether the process that used it before has ended cleanly") {
  killed_outbox disk;
  auto is_clean = [&](bool ends_cleanly) {
    outbox_file file{disk.path()};
    REQUIRE(file.load());
    if (ends_cleanly)
      file.end_cleanly();
    return file.ended_cleanly();
  };
  CHECK(!is_clean(true));
  CHECK(is_clean(true));
  CHECK(is_clean(false)); // and is killed, with nothing written
  CHECK(!is_clean(true));
  {
    outbox_file file{disk.path()};
    REQUIRE(file.load());
    file.end_cleanly();
    REQUIRE(!file.commit({}, {1})); // as a release would that says nothing
  }
  CHECK(!is_clean(false));
}

TEST_CASE("an outbox of a release that does not say how it ended was not ended cleanly") {
  killed_outbox disk;
  {
    storage::database file;
    REQUIRE(!file.open(disk.path(), storage::database::sharing::exclusive,
                       "DROP TABLE IF EXISTS clean_end"));
  }
  outbox_file file{disk.path()};
  CHECK(places_in(file.load().value()) == places{1, 4, 5, 6, 8, 9});
  CHECK(!file.ended_cleanly());
}

TEST_CASE("on a full disk a process goes on as after a kill, as it could be killed unnoticed") {
  killed_outbox disk;
  {
    outbox_file file{disk.path()};
    REQUIRE(file.load());
    file.end_cleanly();
  }
  outbox_file file{disk.path()};
  test::file_limit limit{1U};
  CHECK(places_in(file.load().value()) == places{1, 4, 5, 6, 8, 9});
  CHECK(!file.ended_cleanly());
}

TEST_CASE("what keeps messages says once they are written that it has ended cleanly") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  auto ends_cleanly = GENERATE(true, false);
  {
    auto file = std::make_unique<outbox_file>(path);
    REQUIRE(file->load());
    outbox_keeper keeper{std::move(file), 0};
    keeper.add("message 1", [](const problem&) {});
    if (ends_cleanly)
      keeper.end_cleanly();
  }
  auto file = std::make_unique<outbox_file>(path);
  CHECK(places_in(file->load().value()) == places{1});
  CHECK(file->ended_cleanly() == ends_cleanly);
  CHECK(outbox_keeper{std::move(file), 1}.ended_cleanly() == ends_cleanly);
}

TEST_CASE("an outbox that lacks what was committed, or was changed, is refused") {
  killed_outbox disk;
  SECTION("its log is gone") {
    std::filesystem::remove(disk.path("-wal"));
    auto found = outbox_file{disk.path()}.load();
    REQUIRE(!found);
    CHECK(found.error().code == errc::damaged);
    CHECK_THAT(found.error().detail, ContainsSubstring("killed"));
  }
  SECTION("a byte of a message is another") {
    {
      storage::database raw;
      REQUIRE(!raw.open(disk.path(), storage::database::sharing::exclusive, ""));
      REQUIRE(raw.run("UPDATE outbox SET bytes = CAST('message 5' AS BLOB) WHERE place = 4"));
    }
    auto found = outbox_file{disk.path()}.load();
    REQUIRE(!found);
    CHECK_THAT(found.error().detail, ContainsSubstring("message 4 has a wrong checksum"));
  }
  SECTION("a message is in the place of another one") {
    {
      storage::database raw;
      REQUIRE(!raw.open(disk.path(), storage::database::sharing::exclusive, ""));
      REQUIRE(raw.run("UPDATE outbox SET place = 10 WHERE place = 4"));
    }
    auto found = outbox_file{disk.path()}.load();
    REQUIRE(!found);
    CHECK_THAT(found.error().detail, ContainsSubstring("message 10 has a wrong checksum"));
  }
  SECTION("it is of a later release") {
    {
      storage::database raw;
      REQUIRE(!raw.open(disk.path(), storage::database::sharing::exclusive, ""));
      REQUIRE(raw.run("PRAGMA user_version=2"));
    }
    auto found = outbox_file{disk.path()}.load();
    REQUIRE(!found);
    CHECK(found.error().code == errc::incompatible);
  }
}

TEST_CASE("what is committed to an outbox that is gone from its place is not taken") {
  test::temporary_folder folder;
  outbox_file file{folder / "outbox"};
  REQUIRE(file.load().value().empty());
  REQUIRE_FALSE(file.commit(rows(1, 1), {}));
  std::filesystem::remove(folder / "outbox");
  auto why = file.commit(rows(2, 2), {});
  CHECK(why.code == errc::damaged);
  CHECK_THAT(why.detail, ContainsSubstring("was moved, deleted or replaced while this process"));
}

TEST_CASE("what an outbox that was moved has refused is not in it when it is put back") {
  test::temporary_folder folder;
  auto move = [&](const std::string& from, const std::string& to) {
    for (auto* ending : {"", "-wal", ".mark"})
      std::filesystem::rename(folder / (from + ending), folder / (to + ending));
  };
  {
    outbox_file file{folder / "outbox"};
    REQUIRE(file.load().value().empty());
    REQUIRE_FALSE(file.commit(rows(1, 2), {}));
    move("outbox", "moved");
    CHECK(file.commit(rows(3, 3), {1}).code == errc::damaged);
    CHECK(file.commit(rows(4, 4), {}).code == errc::damaged);
    move("moved", "outbox");
    CHECK_FALSE(file.commit(rows(5, 5), {}));
  }
  CHECK(places_in(outbox_file{folder / "outbox"}.load().value()) == places{1, 2, 5});
}

TEST_CASE("a full disk keeps nothing of a commit, and a later one goes on") {
  test::temporary_folder folder;
  outbox_file file{folder / "outbox"};
  REQUIRE(file.load().value().empty());
  REQUIRE(!file.commit(rows(1, 2), {}));
  {
    test::file_limit limit{64U << 10U};
    auto why = file.commit({{3, std::string(1U << 20U, 'x')}}, {1});
    CHECK(why.code == errc::storage_full);
  }
  REQUIRE(!file.commit(rows(3, 3), {2}));
  outbox_file other{folder / "other"}; // the first one has its file still
  std::filesystem::copy_file(folder / "outbox", folder / "copy");
  std::filesystem::copy_file(folder / "outbox-wal", folder / "copy-wal");
  CHECK(places_in(outbox_file{folder / "copy"}.load().value()) == places{1, 3});
}

TEST_CASE("wherever the disk is full, nothing is kept of a commit, and all of the next one") {
  std::size_t refused = 0;
  for (rlim_t limit = 0; limit <= 96U << 10U; limit += 3U << 10U) {
    test::temporary_folder folder;
    outbox_file file{folder / "outbox"};
    REQUIRE(file.load().value().empty());
    REQUIRE(!file.commit(rows(1, 3), {}));
    problem why;
    {
      test::file_limit full{limit};
      why = file.commit({{4, std::string(30U << 10U, 'x')}}, {1});
    }
    if (why) {
      ++refused;
      CHECK(why.code == errc::storage_full);
    }
    REQUIRE(!file.commit(rows(5, 5), {2, 4}));
    for (auto* ending : {"", "-wal", ".mark"})
      std::filesystem::copy_file(folder / ("outbox"s + ending), folder / ("copy"s + ending));
    auto left = places_in(outbox_file{folder / "copy"}.load().value());
    CHECK(left == (why ? places{1, 3, 5} : places{3, 5}));
  }
  CHECK(refused > 5);
  CHECK(refused < 30);
}

TEST_CASE("an outbox that is killed at any write, or loses power, has all of a commit or nothing") {
  test::lossy_disk disk;
  test::temporary_folder folder;
  auto live = folder / "live";
  outbox_file file{live};
  REQUIRE(file.load().value().empty());
  REQUIRE(!file.commit(rows(1, 4), {}));
  std::size_t looks = 0;
  auto look = [&](bool has_ended) {
    auto watch = std::exchange(disk.on_change, [] {});
    for (auto loses_power : {false, true}) {
      auto copy = folder / ("copy" + std::to_string(++looks));
      if (loses_power)
        disk.lose_power(live, copy);
      else
        disk.restart(live, copy);
      std::filesystem::copy_file(live.string() + ".mark", copy.string() + ".mark");
      auto left = outbox_file{copy}.load();
      REQUIRE(left);
      auto found = places_in(*left);
      CHECK((found == places{2, 4, 5, 6, 7} || (!has_ended && found == places{1, 2, 3, 4})));
    }
    disk.on_change = watch;
  };
  disk.on_change = [&] { look(false); };
  REQUIRE(!file.commit(rows(5, 7), {1, 3}));
  disk.on_change = [] {};
  look(true);
  CHECK(looks > 6); // there were writes to be killed at
}

TEST_CASE("a commit whose sync has failed is there later or not, and those after it are") {
  test::lossy_disk disk;
  test::temporary_folder folder;
  auto live = folder / "live";
  outbox_file file{live};
  REQUIRE(file.load().value().empty());
  REQUIRE(!file.commit(rows(1, 2), {}));
  disk.fail_next_sync();
  CHECK(file.commit(rows(3, 3), {1}).code == errc::damaged);
  REQUIRE(!file.commit(rows(4, 4), {2}));
  disk.lose_power(live, folder / "copy");
  std::filesystem::copy_file(live.string() + ".mark", (folder / "copy").string() + ".mark");
  auto left = outbox_file{folder / "copy"}.load();
  REQUIRE(left);
  auto found = places_in(*left);
  CHECK((found == places{1, 4} || found == places{3, 4}));
}

TEST_CASE("who keeps messages hears of each in order once it is on the disk") {
  test::temporary_folder folder;
  constexpr std::uint64_t count = 2'000;
  std::mutex mutex;
  places heard;
  {
    auto file = std::make_unique<outbox_file>(folder / "outbox");
    REQUIRE(file->load().value().empty());
    outbox_keeper keeper{std::move(file), 0};
    for (std::uint64_t number = 1; number <= count; ++number) {
      auto place = keeper.add("message " + std::to_string(number), [&, number](const problem& why) {
        std::lock_guard guard{mutex};
        if (!why)
          heard.push_back(number);
      });
      REQUIRE(place == number);
      if (number % 2 == 0)
        keeper.settle(number, std::nullopt, [] {});
    }
  } // all is written
  CHECK(heard.size() == count);
  CHECK(std::ranges::is_sorted(heard));
  auto left = places_in(outbox_file{folder / "outbox"}.load().value());
  CHECK(left.size() == count / 2);
  CHECK(std::ranges::all_of(left, [](auto place) { return place % 2 == 1; }));
}

TEST_CASE("what is to be removed waits for what is written next, and shares its sync") {
  test::temporary_folder folder;
  {
    auto file = std::make_unique<outbox_file>(folder / "outbox");
    REQUIRE(file->load().value().empty());
    outbox_keeper keeper{std::move(file), 0, 1h};
    auto add = [&] {
      std::promise<problem> heard;
      keeper.add("message", [&heard](const problem& why) { heard.set_value(why); });
      CHECK(!heard.get_future().get());
    };
    add();
    std::promise<void> removed;
    auto gone = removed.get_future();
    keeper.settle(1, std::nullopt, [&removed] { removed.set_value(); });
    CHECK(gone.wait_for(100ms) == std::future_status::timeout); // it would have gone by then
    add();
    REQUIRE(gone.wait_for(20s) == std::future_status::ready);
  }
  storage::database database;
  REQUIRE(!database.open(folder / "outbox", storage::database::sharing::exclusive, ""));
  CHECK(database.number("SELECT number FROM commits") == 2);
  CHECK(database.number("SELECT count(*) FROM outbox") == 1);
}

TEST_CASE("many that are to be removed wait for nothing, and fewer not for long") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  std::promise<void> all_gone;
  std::promise<void> last_gone;
  {
    outbox_keeper keeper{std::move(file), 0, 1h};
    std::promise<void> kept;
    for (std::size_t number = 1; number <= outbox_keeper::most_waiting; ++number)
      keeper.add("message", [&, number](const problem&) {
        if (number == outbox_keeper::most_waiting)
          kept.set_value();
      });
    REQUIRE(kept.get_future().wait_for(20s) == std::future_status::ready);
    std::size_t gone = 0; // on one thread
    auto are_gone = all_gone.get_future();
    for (std::size_t number = 1; number <= outbox_keeper::most_waiting; ++number) {
      if (number == outbox_keeper::most_waiting)
        CHECK(are_gone.wait_for(100ms) == std::future_status::timeout); // the disk waits by then
      keeper.settle(number, std::nullopt, [&] {
        if (++gone == outbox_keeper::most_waiting)
          all_gone.set_value();
      });
    }
    REQUIRE(are_gone.wait_for(20s) == std::future_status::ready);
  }
  file = std::make_unique<outbox_file>(folder / "outbox");
  CHECK(file->load().value().empty());
  outbox_keeper keeper{std::move(file), 0};
  keeper.add("message", [](const problem&) {});
  keeper.settle(1, std::nullopt, [&last_gone] { last_gone.set_value(); });
  CHECK(last_gone.get_future().wait_for(20s) == std::future_status::ready);
}

TEST_CASE(
  "on a full disk who keeps a message hears so, and what is to be removed is removed later") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  outbox_keeper keeper{std::move(file), 0};
  auto add = [&](std::string bytes) {
    std::promise<problem> heard;
    keeper.add(std::move(bytes), [&heard](const problem& why) { heard.set_value(why); });
    return heard.get_future().get();
  };
  REQUIRE(!add("message 1"));
  std::promise<void> gone;
  {
    test::file_limit limit{1U << 10U};
    keeper.settle(1, std::nullopt, [&gone] { gone.set_value(); });
    CHECK(add("message 2").code == errc::storage_full);
  }
  REQUIRE(gone.get_future().wait_for(20s) == std::future_status::ready);
  CHECK(!add("message 3"));
}

TEST_CASE("of each write it is told how it went, before those hear who wait for it") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  std::vector<errc> all; // by the thread of the disk, which waits for none here
  auto tell = [&all](const problem& why) { all.push_back(why.code); };
  outbox_keeper keeper{std::move(file), 0, 10ms, tell};
  auto add = [&](std::string bytes) {
    std::promise<std::vector<errc>> heard;
    keeper.add(std::move(bytes), [&](const problem&) { heard.set_value(all); });
    return heard.get_future().get();
  };
  CHECK(add("message 1") == std::vector{errc::none});
  {
    test::file_limit limit{1U << 10U};
    CHECK(add("message 2") == std::vector{errc::none, errc::storage_full});
  }
  CHECK(add("message 3") == std::vector{errc::none, errc::storage_full, errc::none});
}

TEST_CASE(
  "what is left of a message that has ended is written once there is space, the last of it, "
  "unless something else took its place") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  auto keeper = std::make_unique<outbox_keeper>(std::move(file), 0);
  std::promise<problem> heard;
  keeper->add("1", [](const problem&) {});
  keeper->add("2", [](const problem&) {});
  keeper->add("3", [](const problem&) {});
  keeper->add("4", [&heard](const problem& why) { heard.set_value(why); });
  REQUIRE(!heard.get_future().get());
  std::promise<problem> replaced;
  std::atomic<int> told = 0;
  std::promise<void> all_told;
  auto is_told = [&] {
    if (++told == 5)
      all_told.set_value();
  };
  {
    test::file_limit limit{1U << 10U};
    keeper->settle(1, "1 dead", is_told);
    keeper->settle(2, "2 dead", is_told);
    keeper->settle(3, "3 dead", is_told);
    keeper->settle(4, "4 dead", is_told);
    keeper->replace(3, "3 again", [&replaced](const problem& why) { replaced.set_value(why); });
    CHECK(replaced.get_future().get().code == errc::storage_full);
    keeper->settle(2, std::nullopt, is_told);
    CHECK(told == 0);
  }
  keeper->replace(4, "4 again", [](const problem&) {});
  CHECK(all_told.get_future().wait_for(20s) == std::future_status::ready);
  keeper.reset();
  auto left = outbox_file{folder / "outbox"}.load().value();
  REQUIRE(left.size() == 3);
  CHECK(left[0].bytes == "1 dead");
  CHECK(left[1].bytes == "3 dead"); // as "3 again" is not kept
  CHECK(left[2].bytes == "4 again");
}

TEST_CASE("of what comes for one place while a commit fails, the last is kept") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  auto keeper = std::make_unique<outbox_keeper>(std::move(file), 0);
  auto ignore = [](const problem&) {};
  std::promise<problem> kept;
  keeper->add("1", ignore);
  keeper->add("2", ignore);
  keeper->add("3", [&kept](const problem& why) { kept.set_value(why); });
  REQUIRE(!kept.get_future().get());
  std::promise<void> all_told;
  {
    std::optional<test::file_limit> limit{1U << 10U};
    keeper->settle(1, "1 dead", [] {});
    keeper->settle(2, "2 dead", [] {});
    std::promise<problem> refused;
    keeper->add("4", [&](const problem& why) { // together with those
      limit.reset();
      keeper->settle(1, std::nullopt, [] {});
      keeper->replace(2, "2 again", ignore);
      keeper->settle(3, "3 dead", [] {});
      keeper->replace(3, "3 again", ignore);
      keeper->settle(3, std::nullopt, [&all_told] { all_told.set_value(); });
      refused.set_value(why);
    });
    CHECK(refused.get_future().get().code == errc::storage_full);
  }
  CHECK(all_told.get_future().wait_for(20s) == std::future_status::ready);
  keeper.reset();
  auto left = outbox_file{folder / "outbox"}.load().value();
  REQUIRE(left.size() == 1);
  CHECK(left[0].bytes == "2 again");
}

TEST_CASE(
  "a keeper ends on a full disk; what it could not remove stays, and nobody hears it has gone") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  auto keeper = std::make_unique<outbox_keeper>(std::move(file), 0);
  std::promise<problem> first;
  std::promise<problem> second;
  keeper->add("message 1", [&first](const problem& why) { first.set_value(why); });
  REQUIRE(!first.get_future().get());
  bool has_gone = false;
  {
    test::file_limit limit{1U << 10U};
    keeper->settle(1, std::nullopt, [&has_gone] { has_gone = true; });
    keeper->add("message 2", [&second](const problem& why) { second.set_value(why); });
    keeper.reset();
  }
  CHECK(second.get_future().get().code == errc::storage_full);
  CHECK(!has_gone);
  CHECK(places_in(outbox_file{folder / "outbox"}.load().value()) == places{1});
}

TEST_CASE("a dead letter for which there is no space holds up nothing else") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  auto keeper = std::make_unique<outbox_keeper>(std::move(file), 0);
  auto add = [&](std::string bytes) {
    std::promise<problem> heard;
    keeper->add(std::move(bytes), [&heard](const problem& why) { heard.set_value(why); });
    return heard.get_future().get();
  };
  for (auto* each : {"1", "2", "3", "4"})
    REQUIRE(!add(each));
  const std::string large(1U << 20U, 'x');
  std::atomic<bool> is_large_there = false;
  std::promise<void> large_gone;
  {
    test::file_limit limit{256U << 10U};
    std::promise<void> gone;
    keeper->settle(1, large, [&] {
      is_large_there = true;
      large_gone.set_value();
    });
    SECTION("neither what is removed nor what is added") {
      keeper->settle(2, std::nullopt, [&gone] { gone.set_value(); });
      REQUIRE(gone.get_future().wait_for(20s) == std::future_status::ready);
      CHECK(!add("5"));
    }
    SECTION("nor a smaller one, nor what takes the place of one") {
      keeper->settle(3, "3 dead", [&gone] { gone.set_value(); });
      keeper->settle(2, "2 dead", [] {});
      std::promise<problem> replaced;
      keeper->replace(2, "2 again", [&](const problem& why) { replaced.set_value(why); });
      CHECK(!replaced.get_future().get());
      REQUIRE(gone.get_future().wait_for(20s) == std::future_status::ready);
    }
    CHECK(!is_large_there);
  }
  REQUIRE(large_gone.get_future().wait_for(20s) == std::future_status::ready);
  keeper.reset();
  auto left = outbox_file{folder / "outbox"}.load().value();
  REQUIRE(left.size() == 4);
  CHECK(left[0].bytes == large);
  auto is_again = left[1].place == 2;
  CHECK((is_again ? left[1].bytes == "2 again" && left[2].bytes == "3 dead"
                  : left[1].bytes == "3" && left[3].bytes == "5"));
}

TEST_CASE("what takes the place of a dead letter stays, whatever there is no space for") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  auto keeper = std::make_unique<outbox_keeper>(std::move(file), 0);
  auto ignore = [](const problem&) {};
  std::promise<problem> kept;
  keeper->add("1", ignore);
  keeper->add("2", [&kept](const problem& why) { kept.set_value(why); });
  REQUIRE(!kept.get_future().get());
  std::promise<problem> replaced;
  std::promise<void> told;
  std::promise<void> all_there;
  {
    test::file_limit limit{256U << 10U};
    keeper->add("3", [&](const problem&) { // those behind it are one group
      keeper->settle(1, "1 dead", [&told] { told.set_value(); });
      keeper->settle(2, std::string(1U << 20U, 'x'), [&all_there] { all_there.set_value(); });
      keeper->replace(1, "1 again", [&](const problem& why) { replaced.set_value(why); });
    });
    CHECK(!replaced.get_future().get());
    REQUIRE(told.get_future().wait_for(20s) == std::future_status::ready);
  }
  REQUIRE(all_there.get_future().wait_for(20s) == std::future_status::ready);
  keeper.reset();
  auto left = outbox_file{folder / "outbox"}.load().value();
  REQUIRE(left.size() == 3);
  CHECK(left[0].bytes == "1 again");
}

TEST_CASE("a dead letter stays where there is no space for what was to take its place") {
  test::temporary_folder folder;
  auto file = std::make_unique<outbox_file>(folder / "outbox");
  REQUIRE(file->load().value().empty());
  auto keeper = std::make_unique<outbox_keeper>(std::move(file), 0, 1h);
  std::promise<problem> kept;
  keeper->add("1", [&kept](const problem& why) { kept.set_value(why); });
  REQUIRE(!kept.get_future().get());
  std::promise<problem> replaced;
  std::promise<void> told;
  {
    test::file_limit limit{256U << 10U};
    keeper->settle(1, "1 dead", [&told] { told.set_value(); });
    keeper->replace(1, std::string(1U << 20U, 'x'),
                    [&](const problem& why) { replaced.set_value(why); });
    CHECK(replaced.get_future().get().code == errc::storage_full);
    REQUIRE(told.get_future().wait_for(20s) == std::future_status::ready);
  }
  keeper.reset();
  auto left = outbox_file{folder / "outbox"}.load().value();
  REQUIRE(left.size() == 1);
  CHECK(left[0].bytes == "1 dead");
}

} // namespace outbox_file_test
