#include "troupe/storage/private_lines.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>

#include "support/temporary_folder.hpp"
#include "troupe/storage/small_file.hpp" // another

namespace private_lines_test {

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using storage::private_lines;

namespace {

void add_raw(const std::string& file, const std::string& text) {
  std::ofstream{file, std::ios::app} << text;
}

} // namespace

TEST_CASE("lines that were appended are there when the file is opened again", "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "lines";
  {
    auto made = private_lines::open(file);
    REQUIRE(made);
    CHECK(made->lines().empty());
    REQUIRE(made->append("one"));
    REQUIRE(made->append(""));
    REQUIRE(made->append(std::string(private_lines::max_line_bytes, 'x')));
    CHECK(made->lines().size() == 3);
    CHECK(made->append(std::string(private_lines::max_line_bytes + 1, 'x')).error().code
          == errc::too_large);
  }
  struct stat about {};
  REQUIRE(::stat(file.c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  auto again = private_lines::open(file);
  REQUIRE(again);
  CHECK(again->lines()
        == std::vector<std::string>{"one", "", std::string(private_lines::max_line_bytes, 'x')});
}

TEST_CASE("the beginning of a last line that a crash left is cut off", "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "lines";
  REQUIRE(private_lines::open(file)->append("one"));
  add_raw(file, "tw");
  {
    auto made = private_lines::open(file);
    REQUIRE(made);
    CHECK(made->lines() == std::vector<std::string>{"one"});
    REQUIRE(made->append("three"));
  }
  CHECK(private_lines::open(file)->lines() == std::vector<std::string>{"one", "three"});
}

TEST_CASE("a file of lines that is not as it was written is refused, with the remedy",
          "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "lines";
  CHECK(private_lines::open(folder / "none" / "lines").error().code == errc::not_found);
  REQUIRE(private_lines::open(file)->append("one"));
  REQUIRE(::chmod(file.c_str(), 0620) == 0);
  CHECK_THAT(private_lines::open(file).error().detail, ContainsSubstring("chmod 600"));
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  add_raw(file, std::string(private_lines::max_line_bytes + 1, 'x') + '\n');
  CHECK_THAT(private_lines::open(file).error().detail, ContainsSubstring("line 2"));
  std::filesystem::remove(file);
  std::filesystem::create_symlink(folder / "elsewhere", file);
  CHECK_FALSE(private_lines::open(file));
}

TEST_CASE("lines are read while another has the file, in a folder that cannot be written",
          "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "lines";
  CHECK(private_lines::read_only(file).error().code == errc::not_found);
  auto writer = private_lines::open(file);
  REQUIRE(writer);
  REQUIRE(writer->append("one"));
  add_raw(file, "tw"); // is being written
  REQUIRE(::chmod(folder.path().c_str(), 0500) == 0);
  CHECK(private_lines::read_only(file).value() == std::vector<std::string>{"one"});
  REQUIRE(::chmod(folder.path().c_str(), 0700) == 0);
  CHECK(std::filesystem::file_size(file) == 6); // what is being written stays
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  CHECK_THAT(private_lines::read_only(file).error().detail, ContainsSubstring("chmod 600"));
}

TEST_CASE("lines are replaced at once, and whoever waits for the file gets the new one",
          "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "lines";
  auto first = private_lines::open(file);
  REQUIRE(first);
  for (auto* each : {"one", "two", "three"})
    REQUIRE(first->append(each));
  add_raw(file.string() + ".new", "left by a crash\n");
  std::vector<std::string> seen;
  std::thread waits{[&] {
    auto second = private_lines::open(file);
    if (second && second->append("five"))
      seen = second->lines();
  }};
  REQUIRE(first->replace({"two"}));
  REQUIRE(first->append("four"));
  first = problem{errc::busy, {}};
  waits.join();
  CHECK(seen == std::vector<std::string>{"two", "four", "five"});
  CHECK(private_lines::read_only(file).value() == seen);
  struct stat about {};
  REQUIRE(::stat(file.c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  CHECK_FALSE(std::filesystem::exists(file.string() + ".new"));
  auto refused = private_lines::open(file);
  REQUIRE(refused);
  std::filesystem::create_directories(file.string() + ".new/full");
  CHECK_FALSE(refused->replace({}));
  CHECK(refused->lines() == seen);
  REQUIRE(refused->append("six"));
}

TEST_CASE("a small file is read whole, or refused", "[storage]") {
  test::temporary_folder folder;
  auto file = folder / "file";
  CHECK(storage::read_small(file, 10).error().code == errc::not_found);
  add_raw(file, "0123456789");
  CHECK(storage::read_small(file, 10).value() == "0123456789");
  CHECK(storage::read_small(file, 9).error().code == errc::too_large);
  CHECK_FALSE(storage::read_small(folder.path(), 10));
  add_raw(folder / "empty", "");
  CHECK(storage::read_small(folder / "empty", 10).value().empty());
}

TEST_CASE("to read a small file waits for nobody", "[storage]") {
  test::temporary_folder folder;
  auto pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), S_IRWXU) == 0);
  CHECK(storage::read_small(pipe, 10).error().code == errc::bad_argument);
}

} // namespace private_lines_test
