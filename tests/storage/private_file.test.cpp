#include "troupe/storage/private_file.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"

namespace private_file_test {

using namespace troupe;
using namespace troupe::storage;

namespace {

unsigned mode_of(const std::filesystem::path& where) {
  struct stat about {};
  REQUIRE(::stat(where.c_str(), &about) == 0);
  return about.st_mode & 0777U;
}

} // namespace

TEST_CASE("a private file is for its owner only, whatever was there before", "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "file";
  auto fresh = folder / "file.new";
  std::ofstream{file} << "old";
  std::ofstream{fresh} << "left by a crash";
  REQUIRE(::chmod(file.c_str(), 0666) == 0);
  REQUIRE(::chmod(fresh.c_str(), 0666) == 0);
  REQUIRE(write_private(file, "new"));
  CHECK(mode_of(file) == 0600);
  auto read = read_private(file, "make a new one");
  REQUIRE(read);
  CHECK(read->text() == "new");
  CHECK_FALSE(std::filesystem::exists(fresh));
}

TEST_CASE("a private file that another user has is refused, whose secret it may be", "[storage]") {
  CHECK_FALSE(is_of_another_user(4711, 4711));
  CHECK_FALSE(is_of_another_user(0, 4711)); // root can read it in any case
  CHECK(is_of_another_user(4711, 0));
  CHECK(is_of_another_user(4711, 4712));
  if (::geteuid() != 0)
    SKIP("only root gives files to others");
  test::temporary_folder folder;
  auto file = folder / "file";
  REQUIRE(write_private(file, "secret"));
  REQUIRE(::chown(file.c_str(), 4711, static_cast<gid_t>(-1)) == 0);
  auto read = read_private(file, "make a new one");
  REQUIRE_FALSE(read);
  CHECK(read.error().code == errc::bad_argument);
  CHECK(read.error().detail
        == file.string()
             + ", which holds a private key, belongs to the user 4711, and this process runs as "
               "root; run it as that user (sudo -u 4711). If no node runs there and the file is "
               "yours, give it to your user (chown root "
             + file.string() + "); if a stranger had it, make a new one");
  REQUIRE(::chown(file.c_str(), 0, static_cast<gid_t>(-1)) == 0);
  CHECK(read_private(file, "make a new one"));
}

TEST_CASE("whoever holds the lock of a folder stops no writer for ever, who says what to do",
          "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "file";
  REQUIRE(write_private(file, "old"));
  auto holder = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(::flock(holder, LOCK_SH) == 0); // any user that may list the folder can
  auto late = write_private(file, "new", std::chrono::milliseconds{30});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::in_use);
  CHECK(late.error().detail.find("fuser -v " + folder.path().string()) != std::string::npos);
  CHECK(late.error().detail.find("chmod") == std::string::npos); // it may be anybody's folder
  CHECK(read_private(file, "make a new one")->text() == "old");
  ::close(holder);
  REQUIRE(write_private(file, "new", std::chrono::milliseconds{30}));
}

TEST_CASE("several may write a private file at once, and one of them is the last", "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "file";
  constexpr auto writers = 4;
  constexpr auto rounds = 50;
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (auto each = 0; each < writers; ++each)
    threads.emplace_back([&, text = std::string(10'000, static_cast<char>('a' + each))] {
      for (auto round = 0; round < rounds; ++round)
        failed += write_private(file, text) ? 0 : 1;
    });
  for (auto& each : threads)
    each.join();
  CHECK(failed == 0);
  auto read = read_private(file, "make a new one");
  REQUIRE(read);
  CHECK(read->text() == std::string(10'000, read->text().front()));
  CHECK_FALSE(std::filesystem::exists(folder / "file.new"));
}

TEST_CASE("a private file that cannot be written stays as it was", "[storage]") {
  test::temporary_folder folder;
  CHECK(write_private(folder / "none" / "file", "x").error().code == errc::not_found);
  std::filesystem::create_directory(folder / "folder");
  std::ofstream{folder / "folder" / "kept"} << "x";
  CHECK(write_private(folder / "folder", "x").error().code == errc::bad_argument);
  CHECK(std::filesystem::exists(folder / "folder" / "kept"));
  CHECK_FALSE(std::filesystem::exists(folder / "folder.new"));
}

TEST_CASE("a new private folder is closed to others, and one that exists stays as it is",
          "[storage]") {
  test::temporary_folder folder;
  REQUIRE(make_private_folder(folder / "a" / "b"));
  CHECK(mode_of(folder / "a" / "b") == 0700);
  CHECK_FALSE(is_open_to_others(folder / "a" / "b"));
  REQUIRE(::chmod((folder / "a").c_str(), 0755) == 0);
  REQUIRE(make_private_folder(folder / "a"));
  CHECK(mode_of(folder / "a") == 0755); // it may be one that others need, such as /tmp
  CHECK(is_open_to_others(folder / "a"));
  auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  auto made = make_private_folder("relative");
  std::filesystem::current_path(here);
  CHECK(made);
  CHECK(mode_of(folder / "relative") == 0700);
  for (auto* name : {"slash/", "slashes//", "dot/.", "deep/slash/", "dots/./."}) {
    CAPTURE(name);
    REQUIRE(make_private_folder(folder / name));
    CHECK(mode_of(folder / name) == 0700);
  }
  CHECK(make_private_folder("/"));
  CHECK(make_private_folder("./"));
  std::ofstream{folder / "file"} << "x";
  CHECK(make_private_folder(folder / "file").error().code == errc::bad_argument);
}

} // namespace private_file_test
