#include "troupe/storage/scratch_folder.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "support/temporary_folder.hpp"
#include "support/variable.hpp"

namespace scratch_folder_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using storage::scratch_folder;

namespace {

/// As a process leaves it that was killed two minutes ago.
std::filesystem::path leave(const std::filesystem::path& folder, const std::string& name) {
  auto left = folder / name;
  std::filesystem::create_directory(left);
  std::ofstream{left / "lock"};
  std::filesystem::last_write_time(left, std::filesystem::file_time_type::clock::now() - 2min);
  return left;
}

} // namespace

TEST_CASE("a scratch folder is its owner's alone, and goes with what is in it", "[storage]") {
  test::temporary_folder parent;
  test::variable where{"TMPDIR", parent.path()};
  std::filesystem::path path;
  {
    scratch_folder made{"test"};
    REQUIRE_FALSE(made.missing());
    path = made.path();
    CHECK(path.parent_path() == parent.path());
    CHECK(std::filesystem::status(path).permissions() == std::filesystem::perms::owner_all);
    std::ofstream{path / "file"} << "text";
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("of scratch folders that were left those go that nobody uses", "[storage]") {
  test::temporary_folder parent;
  test::variable where{"TMPDIR", parent.path()};
  auto left = leave(parent.path(), "troupe-test-abcdef");
  auto another = leave(parent.path(), "troupe-other-abcdef");
  auto used = std::make_unique<scratch_folder>("test");
  CHECK_FALSE(std::filesystem::exists(left));
  CHECK(std::filesystem::exists(another));
  std::filesystem::last_write_time(used->path(),
                                   std::filesystem::file_time_type::clock::now() - 2min);
  auto fresh = parent.path() / "troupe-test-fedcba"; // about to be locked
  std::filesystem::create_directory(fresh);
  std::ofstream{fresh / "lock"};
  scratch_folder next{"test"};
  CHECK(std::filesystem::exists(used->path()));
  CHECK(std::filesystem::exists(fresh));
}

TEST_CASE("where there is no place for a scratch folder that is said", "[storage]") {
  test::temporary_folder parent;
  test::variable where{"TMPDIR", parent / "nowhere"};
  scratch_folder made{"test"};
  CHECK_THAT(made.missing().detail, ContainsSubstring("set TMPDIR to a writable folder"));
  CHECK(made.path().empty());
}

} // namespace scratch_folder_test
