#include "troupe/group/group_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>

#include "support/lossy_disk.hpp"
#include "support/temporary_folder.hpp"

namespace group_log_test {

using namespace troupe;
using namespace troupe::host;

namespace {

raft::entry line(raft::log_index index, raft::term_number term, std::string text) {
  return {index, term, raft::group_time{duration{static_cast<std::int64_t>(index)}},
          std::move(text)};
}

raft::replica::write entries(raft::log_index first, std::vector<raft::entry> lines) {
  return {1, {}, {}, first, std::move(lines)};
}

raft::snapshot snapshot_at(raft::log_index index, std::string bytes) {
  return {{index, 1, {}, {{{{7}, {true, "here"}}}}},
          std::make_shared<const std::string>(std::move(bytes))};
}

void save(group_log& log, const raft::snapshot& what, raft::log_index expendable) {
  group_log::saving saving{what, expendable};
  while (!saving.is_done())
    REQUIRE(log.save(saving).code == errc::none);
}

std::vector<raft::entry> lines_to(raft::log_index last) {
  std::vector<raft::entry> made;
  for (raft::log_index each = 1; each <= last; ++each)
    made.push_back(line(each, 1, "x"));
  return made;
}

/// One by one, and each so large that old entries go.
void write_a_lot(group_log& log, raft::log_index first, raft::log_index last) {
  for (auto each = first; each <= last; ++each)
    REQUIRE(log.write(entries(each, {line(each, 1, std::string(300'000, 'x'))})).code
            == errc::none);
}

struct fixture {
  test::temporary_folder folder;
  std::filesystem::path file = folder / "group";

  stored_group loaded() {
    group_log log{file};
    stored_group found;
    auto why = log.load(found);
    INFO(why.detail);
    REQUIRE(why.code == errc::none);
    return found;
  }

  problem trouble() {
    group_log log{file};
    stored_group found;
    return log.load(found);
  }

  /// Found out when it is opened, and said by this.
  void must_be_damaged(const std::string& named) {
    auto why = trouble();
    CHECK(why.code == errc::damaged);
    CHECK_THAT(why.detail, Catch::Matchers::ContainsSubstring(named));
  }

  /// Runs `sql` on the file of a log that is closed.
  void damage(const std::string& sql) {
    storage::database raw;
    REQUIRE(raw.open(file, storage::database::sharing::shared, "").code == errc::none);
    REQUIRE(raw.run(sql.c_str()));
  }

  void begin_anew(const std::optional<raft::snapshot>& base = std::nullopt) {
    with_log([&](group_log& log, const stored_group& found) {
      REQUIRE(log.begin_anew(found, "here", base).code == errc::none);
    });
  }

  /// A new log, whose mark is this device.
  void mark_is(const char* device) {
    loaded();
    std::filesystem::remove(file.string() + ".mark");
    std::filesystem::create_symlink(device, file.string() + ".mark");
  }

  template <class Job>
  void with_log(Job job) {
    group_log log{file};
    stored_group found;
    REQUIRE(log.load(found).code == errc::none);
    job(log, found);
  }

  /// Calls `job` while the log is open that gave this.
  template <class Job>
  void with_content(Job job) {
    with_log([&](group_log&, const stored_group& found) { job(found); });
  }

  template <class Job>
  void with(Job job) {
    with_log([&](group_log& log, const stored_group&) { job(log); });
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a log that is new has a seat, and keeps it") {
  auto first = loaded();
  CHECK(first.seat != raft::member_id{});
  CHECK(loaded().seat == first.seat);
  CHECK(first.state.entries.empty());
}

TEST_CASE_METHOD(fixture, "a log that was moved away is missed, and nothing of it is touched") {
  auto copies = folder / "copies";
  std::filesystem::create_directory(copies);
  std::vector<std::string> all{"group", "group-wal", "group.mark"};
  with([&](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 1, "a"), line(2, 1, "b")})).code == errc::none);
    for (auto& each : all) // as a process that is killed leaves it
      std::filesystem::copy_file(folder / each, copies / each);
  });
  for (auto& each : all)
    std::filesystem::remove(folder / each);
  auto left = GENERATE("group-wal", "group.mark");
  std::filesystem::copy_file(copies / left, folder / left);
  SECTION("it is not there") {}
  SECTION("it is there, but was not written to its end") {
    std::ofstream{folder / "group"};
  }
  SECTION("it leads to where nothing is") {
    std::filesystem::create_symlink(folder / "elsewhere", folder / "group");
    if (left == std::string{"group-wal"}) // which is there, then, too
      std::filesystem::rename(folder / left, folder / "elsewhere-wal");
  }
  must_be_damaged("put the file back");
  CHECK_FALSE(std::filesystem::exists(folder / "elsewhere"));
  std::filesystem::remove(folder / "group");
  for (auto& each : all)
    if (each != left || !std::filesystem::exists(folder / each))
      std::filesystem::copy_file(copies / each, folder / each);
  CHECK(loaded().state.entries.size() == 2);
}

TEST_CASE_METHOD(fixture, "vote and entries are there after a restart") {
  with([](group_log& log) {
    auto what = entries(1, {line(1, 1, "a"), line(2, 1, "b")});
    what.vote = raft::ballot{1, {9}};
    REQUIRE(log.write(what).code == errc::none);
  });
  auto found = loaded();
  CHECK(found.state.last_ballot == raft::ballot{1, {9}});
  CHECK(found.state.entries == std::vector{line(1, 1, "a"), line(2, 1, "b")});
}

TEST_CASE_METHOD(fixture, "what is known to be committed is known after a restart") {
  with([](group_log& log) {
    auto what = entries(1, {line(1, 1, "a"), line(2, 1, "b"), line(3, 1, "c")});
    what.committed = 1;
    REQUIRE(log.write(what).code == errc::none);
  });
  CHECK(loaded().state.committed == 1);
  with([](group_log& log) { log.note_commit(2); });
  CHECK(loaded().state.committed == 2);
  with([](group_log& log) { log.note_commit(1); }); // late
  CHECK(loaded().state.committed == 2);
  INFO("also beside another vote, and never beyond the log");
  with([](group_log& log) {
    auto what = entries(4, {});
    what.vote = raft::ballot{2, {9}};
    REQUIRE(log.write(what).code == errc::none);
    log.note_commit(9);
  });
  CHECK(loaded().state.committed == 3);
  std::filesystem::remove(file.string() + ".mark");
  CHECK(loaded().state.committed == 0);
}

TEST_CASE_METHOD(fixture,
                 "of a state that takes the place of a log all is committed, and no more") {
  with([](group_log& log) {
    auto what = entries(1, {line(1, 1, "a"), line(2, 1, "b"), line(3, 1, "c")});
    what.committed = 3;
    REQUIRE(log.write(what).code == errc::none);
  });
  SECTION("of a leader") {
    with([](group_log& log) {
      REQUIRE(log.write({2, {}, snapshot_at(50, "theirs"), 51, {line(51, 1, "next")}, 50}).code
              == errc::none);
    });
    CHECK(loaded().state.committed == 50);
  }
  SECTION("of a backup") {
    begin_anew(snapshot_at(2, "state"));
    CHECK(loaded().state.committed == 2);
  }
  SECTION("of a backup that is ahead of it") {
    begin_anew(snapshot_at(9, "state"));
    CHECK(loaded().state.committed == 9);
  }
  SECTION("and no entry that is written behind it at once") {
    with_log([](group_log& log, const stored_group& found) {
      REQUIRE(log.begin_anew(found, "here", snapshot_at(2, "state")).code == errc::none);
      REQUIRE(log.write(entries(3, {line(3, 4, "new")})).code == errc::none);
    });
    CHECK(loaded().state.committed == 2);
  }
}

TEST_CASE_METHOD(fixture, "the time of a group is known after a restart") {
  auto time = raft::group_time{std::chrono::seconds{9}};
  with([&](group_log& log) { log.mark(time); });
  CHECK(loaded().state.marked == time);
  with([](group_log& log) { log.note_commit(1); });
  CHECK(loaded().state.marked == time);
}

TEST_CASE_METHOD(fixture, "a seat that was changed stays so") {
  with([](group_log& log) { REQUIRE(log.change_seat({9}).code == errc::none); });
  CHECK(loaded().seat == raft::member_id{9});
}

TEST_CASE_METHOD(fixture, "entries of a later term replace what stood there") {
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 1, "a"), line(2, 1, "b"), line(3, 1, "c")})).code
            == errc::none);
    REQUIRE(log.write(entries(2, {line(2, 2, "x")})).code == errc::none);
  });
  CHECK(loaded().state.entries == std::vector{line(1, 1, "a"), line(2, 2, "x")});
}

TEST_CASE_METHOD(fixture, "with what is written after a snapshot, entries far behind it go") {
  auto bytes = std::string(3'000'000, 's'); // several parts
  with([&](group_log& log) {
    REQUIRE(log.write(entries(1, lines_to(10))).code == errc::none);
    save(log, snapshot_at(8, bytes), 5);
    REQUIRE(log.newest()->bytes->size() == bytes.size());
    write_a_lot(log, 11, 13);
  });
  auto found = loaded();
  CHECK(found.snapshot == bytes);
  CHECK(found.state.base == snapshot_at(8, "").header);
  CHECK(found.state.entries.front().index == 6);
  CHECK(found.state.entries.back().index == 13);
}

TEST_CASE_METHOD(fixture, "entries that were about to go when the process ended do no harm") {
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, lines_to(10))).code == errc::none);
    save(log, snapshot_at(3, "old"), 3);
    save(log, snapshot_at(8, "new"), 8);
  });
  auto found = loaded();
  CHECK(found.snapshot == "new");
  CHECK(found.state.base.index == 8);
  CHECK(found.state.entries.back().index == 10);
  with([](group_log& log) {
    save(log, snapshot_at(9, "newest"), 9);
    write_a_lot(log, 11, 16);
  });
  CHECK(loaded().snapshot == "newest");
  CHECK(loaded().state.entries.front().index == 10);
}

TEST_CASE_METHOD(fixture, "a snapshot that was not finished does not count") {
  with([&](group_log& log) {
    save(log, snapshot_at(4, "old"), 0);
    group_log::saving saving{snapshot_at(9, std::string(3'000'000, 's')), 0};
    REQUIRE(log.save(saving).code == errc::none);
    REQUIRE_FALSE(saving.is_done());
  });
  CHECK(loaded().snapshot == "old");
}

TEST_CASE_METHOD(fixture, "entries stay until the snapshot that has them is whole") {
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, lines_to(10))).code == errc::none);
    group_log::saving saving{snapshot_at(8, std::string(3'000'000, 's')), 8};
    REQUIRE(log.save(saving).code == errc::none);
    write_a_lot(log, 11, 16);
  });
  auto found = loaded();
  CHECK(found.state.base.index == 0);
  CHECK(found.state.entries.size() == 16);
}

TEST_CASE_METHOD(fixture, "behind a snapshot of the leader entries go as behind one's own") {
  with([](group_log& log) {
    std::vector<raft::entry> lines;
    for (raft::log_index each = 1'001; each <= 1'010; ++each)
      lines.push_back(line(each, 1, "x"));
    REQUIRE(log.write({1, {}, snapshot_at(1'000, "theirs"), 1'001, lines}).code == errc::none);
    save(log, snapshot_at(1'010, "own"), 1'009);
    write_a_lot(log, 1'011, 1'013);
  });
  CHECK(loaded().state.entries.front().index == 1'010);
}

TEST_CASE_METHOD(fixture, "nothing of what a snapshot has replaced comes back or goes with it") {
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, lines_to(10))).code == errc::none);
    save(log, snapshot_at(8, "own"), 8);
    REQUIRE(log.write({1, {}, snapshot_at(2, "theirs"), 3, {line(3, 1, "next")}}).code
            == errc::none);
    write_a_lot(log, 4, 6);
  });
  auto found = loaded();
  CHECK(found.snapshot == "theirs");
  CHECK(found.state.base.index == 2);
  CHECK(found.state.entries.front() == line(3, 1, "next"));
  CHECK(found.state.entries.size() == 4);
}

TEST_CASE_METHOD(fixture, "a snapshot of the leader takes the place of everything") {
  with([&](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 1, "a"), line(2, 1, "b")})).code == errc::none);
    raft::replica::write what{2, {}, snapshot_at(50, "theirs"), 51, {line(51, 1, "next")}};
    REQUIRE(log.write(what).code == errc::none);
  });
  auto found = loaded();
  CHECK(found.snapshot == "theirs");
  CHECK(found.state.entries == std::vector{line(51, 1, "next")});
}

TEST_CASE_METHOD(fixture, "a flipped bit in an entry is named, in the middle and at the end") {
  for (auto victim : {2, 5}) {
    std::filesystem::remove(file);
    std::filesystem::remove(file.string() + ".mark");
    with([](group_log& log) {
      std::vector<raft::entry> lines;
      for (raft::log_index each = 1; each <= 5; ++each)
        lines.push_back(line(each, 1, "text"));
      REQUIRE(log.write(entries(1, lines)).code == errc::none);
    });
    damage("UPDATE entry SET bytes = CAST(replace(bytes, 'text', 'teXt') AS BLOB) WHERE place = "
           + std::to_string(victim));
    must_be_damaged("entry " + std::to_string(victim));
  }
}

TEST_CASE_METHOD(fixture, "one flipped bit in the WAL of a group is found out") {
  with([this](group_log& log) {
    for (raft::log_index each = 1; each <= 20; ++each)
      REQUIRE(log.write(entries(each, {line(each, 1, std::string(200, 'x'))})).code == errc::none);
    for (auto* ending : {"", "-wal", ".mark"})
      std::filesystem::copy_file(file.string() + ending, folder / (std::string{"killed"} + ending));
  });
  file = folder / "killed"; // as kill -9 leaves it
  auto wal = file.string() + "-wal";
  auto position = static_cast<std::streamoff>(std::filesystem::file_size(wal) / 2);
  std::fstream bytes{wal, std::ios::in | std::ios::out | std::ios::binary};
  bytes.seekg(position);
  auto byte = static_cast<char>(bytes.get() ^ 1);
  bytes.seekp(position);
  bytes.put(byte);
  bytes.close();
  must_be_damaged("must not vote");
}

TEST_CASE_METHOD(fixture, "a snapshot that was cut short on the disk is named") {
  auto [harm, named] = GENERATE(table<std::string, std::string>({
    {"UPDATE snapshot SET bytes = substr(bytes, 1, 100) WHERE part = 1", "snapshot at entry 8"},
    {"UPDATE snapshot SET bytes = x'' WHERE part = 2", "snapshot at entry 8"},
    {"DELETE FROM snapshot WHERE part = 1", "entries before"},
    {"DELETE FROM snapshot WHERE part = 2; DELETE FROM entry", "the log ends at entry 0"},
  }));
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, lines_to(10))).code == errc::none);
    save(log, snapshot_at(8, std::string(3'000'000, 's')), 3);
    write_a_lot(log, 11, 13);
  });
  damage(harm);
  INFO(harm);
  must_be_damaged(named);
}

TEST_CASE_METHOD(fixture, "of a write that the disk has no room for nothing stays") {
  group_log log{file};
  stored_group found;
  REQUIRE(log.load(found).code == errc::none);
  REQUIRE(log.write(entries(1, {line(1, 1, "a")})).code == errc::none);
  save(log, snapshot_at(1, "old"), 0);
  auto next = entries(2, {line(2, 1, "b"), line(3, 1, std::string(100'000, 'c'))});
  next.vote = raft::ballot{2, {9}};

  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto limited = before;
  limited.rlim_cur = 65'536;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limited) == 0);
  auto refused = log.write(next);
  group_log::saving saving{snapshot_at(1, std::string(200'000, 's')), 0};
  auto not_saved = log.save(saving);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);

  CHECK(refused.code == errc::storage_full);
  CHECK_THAT(refused.detail, Catch::Matchers::ContainsSubstring("ulimit -f"));
  CHECK(not_saved.code == errc::storage_full);
  REQUIRE(log.load(found).code == errc::none);
  CHECK(found.state.entries == std::vector{line(1, 1, "a")});
  CHECK(found.state.last_ballot == raft::ballot{});

  REQUIRE(log.write(next).code == errc::none); // the same again, once there is room
  REQUIRE(log.load(found).code == errc::none);
  CHECK(found.state.entries.size() == 3);
  CHECK(found.state.last_ballot == raft::ballot{2, {9}});
}

TEST_CASE("what a group's log gives is on the disk, though a sync had failed before") {
  test::lossy_disk disk;
  fixture here;
  auto restarted = here.folder / "restarted";
  here.with([&](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 1, "kept")})).code == errc::none);
    disk.fail_next_sync();
    auto vote = entries(2, {line(2, 2, "not synced")});
    vote.vote = raft::ballot{2, {7}};
    REQUIRE(log.write(vote).code == errc::damaged);
    disk.restart(here.file, restarted);
  });
  here.file = restarted;
  SECTION("it is brought there again") {
    raft::stored_state found;
    here.with_content([&](const stored_group& content) {
      found = content.state;
      disk.lose_power(restarted, here.folder / "after");
    });
    REQUIRE(found.entries.size() == 2); // or the test shows nothing
    here.file = here.folder / "after";
    auto left = here.loaded().state;
    CHECK(left.entries == found.entries);
    CHECK(left.last_ballot == found.last_ballot);
  }
  SECTION("or the log is not loaded") {
    disk.fail_next_sync();
    auto why = here.trouble();
    CHECK(why.code == errc::damaged);
    CHECK_THAT(why.detail, Catch::Matchers::ContainsSubstring("check the disk"));
  }
}

TEST_CASE_METHOD(fixture, "a log that lost synced entries is damaged") {
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 1, "a"), line(2, 1, "b")})).code == errc::none);
  });
  damage("DELETE FROM entry WHERE place = 2");
  CHECK(trouble().code == errc::damaged);
}

TEST_CASE_METHOD(fixture, "what was changed on the disk is named") {
  auto [sql, named] = GENERATE(table<std::string, std::string>({
    {"DELETE FROM entry WHERE place = 3", "entries before 4 are missing"},
    {"UPDATE entry SET (bytes, sum) = (SELECT bytes, sum FROM entry WHERE place = 3)"
     " WHERE place = 2",
     "entry 2 has a wrong checksum"},
    {"UPDATE fact SET bytes = x'00' WHERE name = 'ballot'", "the ballot has a wrong checksum"},
    {"UPDATE fact SET bytes = x'', sum = 0 WHERE name = 'recovered'", "the floor of its tokens"},
  }));
  with([](group_log& log) { REQUIRE(log.write(entries(1, lines_to(10))).code == errc::none); });
  begin_anew();
  damage(sql);
  INFO(sql);
  must_be_damaged(named);
}

TEST_CASE_METHOD(fixture, "a log that ends before its snapshot is damaged, also without a mark") {
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, lines_to(10))).code == errc::none);
    save(log, snapshot_at(8, "state"), 0);
  });
  damage("DELETE FROM entry WHERE place > 5");
  std::filesystem::remove(file.string() + ".mark");
  must_be_damaged("entry 5, before its snapshot");
}

TEST_CASE_METHOD(fixture, "a vote of the mark's term is lost unless it is the same") {
  auto [marked, expected] = GENERATE(table<std::uint64_t, errc>({
    {0, errc::none}, // then the vote was given after the mark
    {8, errc::damaged},
    {9, errc::none},
  }));
  auto vote = [this](std::uint64_t seat) {
    with([&](group_log& log) {
      raft::replica::write what{1, raft::ballot{3, {seat}}, {}, 1, {}};
      REQUIRE(log.write(what).code == errc::none);
    });
  };
  vote(marked);
  std::filesystem::rename(file.string() + ".mark", folder / "old.mark");
  vote(9);
  std::filesystem::rename(folder / "old.mark", file.string() + ".mark");
  CHECK(trouble().code == expected);
}

TEST_CASE_METHOD(fixture, "a vote that was lost is found out") {
  with([](group_log& log) {
    raft::replica::write what{1, raft::ballot{3, {9}}, {}, 1, {}};
    REQUIRE(log.write(what).code == errc::none);
  });
  damage("DELETE FROM fact WHERE name = 'ballot'");
  CHECK(trouble().code == errc::damaged);
}

TEST_CASE_METHOD(fixture, "a log may become shorter by entries of a later term") {
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 1, "a"), line(2, 1, "b"), line(3, 1, "c")})).code
            == errc::none);
  });
  // As if the machine had died between the commit and its mark.
  std::filesystem::copy_file(file.string() + ".mark", folder / "old.mark");
  with(
    [](group_log& log) { REQUIRE(log.write(entries(2, {line(2, 2, "x")})).code == errc::none); });
  std::filesystem::copy_file(folder / "old.mark", file.string() + ".mark",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK(loaded().state.entries.size() == 2);
}

TEST_CASE_METHOD(fixture, "a log becomes shorter only if its mark can say so before") {
  mark_is("/dev/full");
  auto ends_earlier = entries(2, {line(2, 1, "x")});
  with([&](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 1, "a"), line(2, 2, "b"), line(3, 2, "c")})).code
            == errc::none);
    CHECK(log.write(ends_earlier).code == errc::storage_full);
    CHECK(log.write(entries(4, {line(4, 2, "d")})).code == errc::none); // needs no mark
  });
  CHECK(loaded().state.entries.size() == 4);
  std::filesystem::remove(file.string() + ".mark");
  with([&](group_log& log) { REQUIRE(log.write(ends_earlier).code == errc::none); });
  CHECK(loaded().state.entries.size() == 2);
}

TEST_CASE_METHOD(fixture, "a mark that a disk does not take for another reason is damage") {
  SECTION("that has no place to write at") {
    loaded();
    std::filesystem::remove(file.string() + ".mark");
    REQUIRE(::mkfifo((file.string() + ".mark").c_str(), 0600) == 0);
  }
  SECTION("that does not sync") {
    mark_is("/dev/null");
  }
  with([&](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 2, "a"), line(2, 2, "b")})).code == errc::none);
    CHECK(log.write(entries(2, {line(2, 1, "x")})).code == errc::damaged);
  });
  CHECK(loaded().state.entries.back() == line(2, 2, "b"));
}

TEST_CASE_METHOD(fixture,
                 "a vote that a full disk refused is not missed, though the mark said that "
                 "the log becomes shorter") {
  auto next = entries(2, {line(2, 1, std::string(200'000, 'x'))});
  next.vote = raft::ballot{3, {9}};
  next.committed = 2;
  with([&](group_log& log) {
    auto first = entries(1, {line(1, 1, "a"), line(2, 2, "b"), line(3, 2, "c")});
    first.committed = 1;
    REQUIRE(log.write(first).code == errc::none);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    auto limited = before;
    limited.rlim_cur = 65'536;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limited) == 0);
    auto refused = log.write(next);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(refused.code == errc::storage_full);
  });
  auto found = loaded(); // as after a crash
  CHECK(found.state.entries.size() == 3);
  CHECK(found.state.last_ballot == raft::ballot{});
  CHECK(found.state.committed == 1); // entry 2 is another one
  with([&](group_log& log) { CHECK(log.write(next).code == errc::none); });
  CHECK(loaded().state.last_ballot == raft::ballot{3, {9}});
  CHECK(loaded().state.committed == 2);
}

TEST_CASE_METHOD(fixture, "a log that is begun anew is of a later term than its last vote") {
  with([](group_log& log) {
    auto what = entries(1, {line(1, 1, "a")});
    what.vote = raft::ballot{9, {7}};
    REQUIRE(log.write(what).code == errc::none);
  });
  begin_anew();
  CHECK(loaded().state.last_ballot.term > 9);
}

TEST_CASE_METHOD(fixture, "a log that is begun anew goes on behind all that it has") {
  auto vote = GENERATE(raft::term_number{9}, raft::term_number{2});
  auto old = std::vector{line(1, 1, "a"), line(2, 5, "b")};
  with([&](group_log& log) {
    auto what = entries(1, old);
    what.vote = raft::ballot{vote, {7}};
    REQUIRE(log.write(what).code == errc::none);
  });
  begin_anew();
  auto found = loaded();
  auto term = std::max(vote, raft::term_number{5}) + 1;
  REQUIRE(found.state.entries.size() == 3);
  auto& added = found.state.entries.back();
  CHECK(std::vector{found.state.entries[0], found.state.entries[1]} == old);
  CHECK(added.index == 3);
  CHECK(added.term == term);
  CHECK(added.at == old.back().at);
  auto& members = std::get<raft::configuration>(added.what).members;
  CHECK(members == std::map{std::pair{found.seat, raft::member{true, "here"}}});
  CHECK(found.state.last_ballot == raft::ballot{term, {}});
}

TEST_CASE_METHOD(fixture, "a log that begins with the state of a backup is of a later term") {
  auto base = snapshot_at(5, "state");
  base.header.term = 7;
  begin_anew(base);
  auto found = loaded();
  CHECK(found.state.last_ballot == raft::ballot{8, {}});
  CHECK(found.state.base.term == 7);
  CHECK(found.state.base.members.voters() == std::set{found.seat});
  CHECK(found.state.entries.empty());
}

TEST_CASE_METHOD(fixture, "a log that is begun anew knows how often voters were added") {
  auto is_in_snapshot = GENERATE(false, true);
  raft::configuration members;
  members.members[{7}] = {true, "there"};
  members.promotions = 3;
  with([&](group_log& log) {
    if (is_in_snapshot) {
      auto all = snapshot_at(5, "state");
      all.header.members = members;
      REQUIRE(log.write({2, {}, all, 6, {line(6, 2, "a")}, 5}).code == errc::none);
    } else {
      auto changed = line(2, 1, "");
      changed.what = members;
      auto lines = entries(1, {line(1, 1, "a"), changed, line(3, 1, "b")});
      REQUIRE(log.write(lines).code == errc::none);
    }
  });
  begin_anew();
  auto state = loaded().state;
  auto now = std::get<raft::configuration>(state.entries.back().what);
  CHECK(now.voters().size() == 1);
  CHECK(now.promotions == 3);
}

TEST_CASE_METHOD(fixture, "a log that was begun anew has one floor of tokens for ever") {
  CHECK(loaded().token_floor == 0);
  begin_anew(snapshot_at(5, "state"));
  auto floor = loaded().token_floor;
  CHECK(floor > 0);
  CHECK(loaded().token_floor == floor); // microseconds later
}

TEST_CASE_METHOD(fixture, "a log that cannot begin anew is as it was") {
  mark_is("/dev/full");
  with([](group_log& log) {
    REQUIRE(log.write(entries(1, {line(1, 2, "a"), line(2, 2, "b")})).code == errc::none);
  });
  auto before = loaded();
  {
    group_log log{file};
    stored_group found;
    REQUIRE(log.load(found).code == errc::none);
    auto why = log.begin_anew(found, "here", snapshot_at(1, "state")); // becomes shorter
    CHECK(why.code == errc::storage_full);
  }
  CHECK(loaded().seat == before.seat);
  CHECK(loaded().token_floor == 0);
  CHECK(loaded().state.entries == before.state.entries);
}

TEST_CASE_METHOD(fixture, "what is written to a file that is gone from its place is not taken") {
  group_log log{file};
  stored_group content;
  REQUIRE(log.load(content).code == errc::none);
  REQUIRE(log.write(entries(1, {line(1, 1, "a")})).code == errc::none);
  SECTION("because it was moved") {
    std::filesystem::create_directory(folder / "elsewhere");
    for (auto* part : {"group", "group-wal", "group.mark"})
      std::filesystem::rename(folder / part, folder / "elsewhere" / part);
  }
  SECTION("because it was deleted") {
    std::filesystem::remove(file);
  }
  auto why = log.write(entries(2, {line(2, 1, "b")}));
  CHECK(why.code == errc::damaged);
  CHECK_THAT(why.detail,
             Catch::Matchers::ContainsSubstring("was moved, deleted or replaced while"));
}

TEST_CASE_METHOD(fixture, "another process keeps off") {
  group_log log{file};
  stored_group found;
  REQUIRE(log.load(found).code == errc::none);
  CHECK(trouble().code == errc::in_use);
}

// It stands last because it takes seconds: a mutant is noticed before.
TEST_CASE_METHOD(fixture, "the file of a log that goes on for ever does not grow for ever") {
  constexpr raft::log_index every = 100;
  std::uintmax_t early = 0;
  with([&](group_log& log) {
    for (raft::log_index each = 1; each <= 30 * every; ++each) {
      REQUIRE(log.write(entries(each, {line(each, 1, std::string(5'000, 'x'))})).code
              == errc::none);
      if (each % every == 0)
        save(log, snapshot_at(each, std::string(1'000'000, 's')), each - 10);
      if (each == 4 * every)
        early = std::filesystem::file_size(file);
    }
  });
  CHECK(std::filesystem::file_size(file) < 2 * early);
  auto found = loaded();
  CHECK(found.state.base.index == 30 * every);
  CHECK(found.state.entries.size() <= 3 * every);
}

} // namespace group_log_test
