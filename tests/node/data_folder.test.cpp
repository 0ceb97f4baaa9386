#include "troupe/node/identity.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>

#include "support/temporary_folder.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/setup.hpp"

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

TEST_CASE("a node has the id of its key, which only its owner can read", "[node]") {
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  CHECK(data->self().id == id_of(data->key().public_half()));
  auto mode_of = [&](const std::string& name) {
    struct stat about {};
    REQUIRE(::stat((folder / "a" / name).c_str(), &about) == 0);
    return about.st_mode & 0777U;
  };
  CHECK(mode_of("") == 0700);
  for (auto* name : {"identity.key", "identity.json", "lock"})
    CHECK(mode_of(name) == 0600);
  CHECK_FALSE(data->is_open_to_others());
  REQUIRE(::chmod((folder / "a").c_str(), 0755) == 0);
  CHECK(data->is_open_to_others()); // and it stays open: who knows what else is there
}

TEST_CASE("a node without a data folder has another id at each start, and no key", "[node]") {
  auto fleeting = data_folder::open({});
  REQUIRE(fleeting);
  CHECK_FALSE(fleeting->is_durable());
  CHECK(fleeting->self().id != node_id{});
  CHECK(fleeting->self().id != data_folder::open({})->self().id);
  CHECK(fleeting->credentials(wall_time{}).value() == nullptr);
}

TEST_CASE("a data folder whose key is missing, another or open to others is refused", "[node]") {
  test::temporary_folder folder;
  REQUIRE(data_folder::open(folder / "a"));
  REQUIRE(data_folder::open(folder / "b"));
  auto key = folder / "a" / "identity.key";
  SECTION("missing: also what was made before there were keys") {
    std::filesystem::remove(key);
    CHECK(trouble(folder / "a").code == errc::damaged);
    CHECK_THAT(trouble(folder / "a").detail, ContainsSubstring("no identity.key"));
  }
  SECTION("another") {
    std::filesystem::copy(folder / "b" / "identity.key", key,
                          std::filesystem::copy_options::overwrite_existing);
    CHECK(trouble(folder / "a").code == errc::damaged);
  }
  SECTION("open to others") {
    REQUIRE(::chmod(key.c_str(), 0640) == 0);
    CHECK_THAT(trouble(folder / "a").detail, ContainsSubstring("chmod 600"));
  }
  SECTION("there before the folder was used, as troupe ca issue leaves it") {
    std::filesystem::create_directory(folder / "c");
    REQUIRE(security::key_pair::load(key)->save(folder / "c" / "identity.key"));
    CHECK(data_folder::open(folder / "c")->self().id == data_folder::open(folder / "a")->self().id);
  }
}

TEST_CASE("a data folder has both certificates or none", "[node]") {
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  auto now = read_calendar();
  CHECK(data->credentials(now).value() == nullptr);
  REQUIRE(security::make_own_authority(folder / "a", data->key(), "n1", now));
  auto found = data->credentials(now);
  REQUIRE(found);
  CHECK((*found)->self().node == data->self().id);
  CHECK((*found)->self().as == security::role::member);
  CHECK(security::make_own_authority(folder / "a", data->key(), "n1", now).error().code
        == errc::in_use);
  std::filesystem::rename(folder / "a" / "ca.pem", folder / "a" / "away");
  CHECK(data->credentials(now).error().code == errc::damaged);
  std::filesystem::rename(folder / "a" / "away", folder / "a" / "ca.pem");
  // A crash may have ended it before the last file.
  std::filesystem::remove(folder / "a" / "node.pem");
  CHECK(data->credentials(now).value() == nullptr);
  CHECK(security::make_own_authority(folder / "a", data->key(), "n1", now));
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

TEST_CASE("a folder of an identity counts starts and keeps nothing else", "[node]") {
  test::temporary_folder folder;
  auto id = node_id{};
  for (boot_number boot = 1; boot <= 3; ++boot) {
    auto made = data_folder::open(folder / "i", false);
    REQUIRE(made);
    CHECK(made->self().boot == boot);
    CHECK((boot == 1 || made->self().id == id));
    id = made->self().id;
    CHECK_FALSE(made->is_durable());
    CHECK(made->self().cluster == cluster_id{});
    CHECK_FALSE(made->belong_to(random_id<cluster_id>(), true, {"127.0.0.1:1"}));
    CHECK(made->self().cluster != cluster_id{});
  }
}
