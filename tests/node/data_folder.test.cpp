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

TEST_CASE("a data folder that is in use is refused in the words of a program", "[node]") {
  test::temporary_folder folder;
  auto first = data_folder::open(folder / "a");
  auto why = trouble(folder / "a");
  CHECK(why.code == errc::in_use);
  CHECK(why.detail
        == (folder / "a").string()
             + " belongs to a running node; stop that, or give another folder as "
               "node_options::data");
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

TEST_CASE("a data folder that hears of a later start goes on above it, also the next time",
          "[node]") {
  test::temporary_folder folder;
  {
    auto data = data_folder::open(folder / "a");
    REQUIRE(data);
    CHECK(data->rise_above(40).code == errc::none);
    CHECK(data->self().boot == 41);
    CHECK(data->rise_above(40).code == errc::none); // old news
    CHECK(data->self().boot == 41);
    CHECK(data->rise_above(41).code == errc::none); // another process has been this start, too
    CHECK(data->self().boot == 42);
  }
  {
    auto lost = data_folder::open(folder / "b");
    REQUIRE(lost);
    std::filesystem::remove_all(folder / "b");
    CHECK(lost->rise_above(40).code == errc::bad_argument); // what the disk does not keep is not so
    CHECK(lost->self().boot == 1);
  }
  CHECK(data_folder::open(folder / "a")->self().boot == 43);
}

TEST_CASE("a log that is of no cluster is discarded with all that is kept beside it", "[node]") {
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  for (auto* name : {"group.db", "group.db-wal", "group.db.mark", "other.db"})
    std::ofstream{folder / "a" / name} << "content";
  CHECK(data->discard("group.db").code == errc::none);
  CHECK_FALSE(std::filesystem::exists(folder / "a" / "group.db"));
  CHECK_FALSE(std::filesystem::exists(folder / "a" / "group.db-wal"));
  CHECK_FALSE(std::filesystem::exists(folder / "a" / "group.db.mark"));
  CHECK(std::filesystem::exists(folder / "a" / "other.db"));
  CHECK(std::filesystem::exists(folder / "a" / "identity.json"));
}
