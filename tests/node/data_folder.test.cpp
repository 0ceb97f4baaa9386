#include "troupe/node/identity.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::data_folder;

namespace {

problem trouble(const std::filesystem::path& where) {
  auto opened = data_folder::open(where);
  return opened ? problem{} : opened.error();
}

} // namespace

TEST_CASE("a data folder remembers who its node is, and counts its starts", "[node]") {
  test::temporary_folder folder;
  auto first = data_folder::open(folder / "a")->self();
  auto second = data_folder::open(folder / "a")->self();
  CHECK(second.id == first.id);
  CHECK(second.boot == first.boot + 1);
}

TEST_CASE("a data folder that has lost its identity makes no new one over what it keeps",
          "[node]") {
  test::temporary_folder folder;
  REQUIRE(data_folder::open(folder / "a"));
  std::filesystem::path identity = folder / "a" / "identity.json";
  auto is_refused = [&](errc code, const char* words) {
    auto why = trouble(folder / "a");
    CHECK(why.code == code);
    CHECK_THAT(why.detail, ContainsSubstring(words));
  };
  SECTION("the file is gone, the log is there") {
    std::ofstream{folder / "a" / "group.db"} << "log";
    std::filesystem::remove(identity);
    is_refused(errc::damaged, "identity.json");
    CHECK_FALSE(std::filesystem::exists(identity));
  }
  SECTION("the file is there, and cannot be read") {
    std::filesystem::remove(identity);
    std::filesystem::create_symlink("identity.json", identity);
    is_refused(errc::bad_argument, "cannot read");
    CHECK(std::filesystem::is_symlink(identity));
  }
  SECTION("nothing is there: it is a new one") {
    std::filesystem::remove(identity);
    CHECK(trouble(folder / "a").code == errc::none);
  }
}
